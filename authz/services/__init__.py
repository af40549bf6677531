"""Every change of who may do what, one function for each thing that a person can do."""

from authz.services.drafts import discard_draft, propose_draft, save_draft
from authz.services.pdps import PDPFields, Tried, note_health, remove_pdp, save_pdp, try_pdp
from authz.services.policies import (
    PolicyDraft,
    agree_policy,
    bootstrap_policies,
    propose_policy,
    reject_policy,
    retire_policy,
    withdraw_policy,
)
from authz.services.previews import (
    ask_preview,
    forget_preview,
    is_silent,
    is_small,
    preview_seen_by,
    previews_to_forget,
    restart_preview,
    run_preview,
)
from authz.services.prices import set_meter, set_model_price, set_rate
from authz.services.relationships import remove_relationship, save_relationship
from authz.services.roles import change_role, save_role, set_agent_roles
from authz.services.signatures import SignatureFields, remove_signature, save_signature
from authz.services.toxic import ToxicFields, remove_toxic, save_toxic

__all__ = [
    "PDPFields",
    "PolicyDraft",
    "SignatureFields",
    "ToxicFields",
    "Tried",
    "agree_policy",
    "ask_preview",
    "bootstrap_policies",
    "change_role",
    "discard_draft",
    "forget_preview",
    "is_silent",
    "is_small",
    "note_health",
    "preview_seen_by",
    "previews_to_forget",
    "propose_draft",
    "propose_policy",
    "reject_policy",
    "remove_pdp",
    "remove_relationship",
    "remove_signature",
    "remove_toxic",
    "restart_preview",
    "retire_policy",
    "run_preview",
    "save_draft",
    "save_pdp",
    "save_relationship",
    "save_role",
    "save_signature",
    "save_toxic",
    "set_agent_roles",
    "set_meter",
    "set_model_price",
    "set_rate",
    "try_pdp",
    "withdraw_policy",
]
