"""Every change of who may do what, one function for each thing that a person can do."""

from authz.services.policies import (
    PolicyDraft,
    agree_policy,
    bootstrap_policies,
    propose_policy,
    reject_policy,
    retire_policy,
)
from authz.services.relationships import remove_relationship, save_relationship
from authz.services.roles import save_role, set_agent_roles
from authz.services.signatures import SignatureFields, remove_signature, save_signature

__all__ = [
    "PolicyDraft",
    "SignatureFields",
    "agree_policy",
    "bootstrap_policies",
    "propose_policy",
    "reject_policy",
    "remove_relationship",
    "remove_signature",
    "retire_policy",
    "save_relationship",
    "save_role",
    "save_signature",
    "set_agent_roles",
]
