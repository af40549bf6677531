"""Whether the words that an agent has are those that its row needs. No queries, no writes."""

from __future__ import annotations

from collections.abc import Sequence

from governance.kernel import tiers
from registry import signing
from registry.models import Agent, Clearance
from registry.reach import Reach
from registry.signing import Step, Word

B = Clearance.Basis
ROLES = {
    B.ATTESTATION: signing.OWNER,
    B.SECURITY: signing.SECURITY,
    B.DPO: signing.DPO,
    B.SOURCE_OWNER: signing.SOURCE_OWNER,
}
OF_OTHERS = frozenset({B.SECURITY, B.DPO, B.SOURCE_OWNER})
BASES = {role: basis for basis, role in ROLES.items()}


def missing(agent: Agent, reach: Reach, words: Sequence[Clearance]) -> tuple[Step, ...]:
    """The steps that `words`, given for this reach and not voided, leave open.

    Whoever answers for the agent gives no word for it but the owner's attestation. Security's
    word stands in for the owner's where that alone is needed.
    """
    counted = [word for word in words if _is_anothers(agent, word)]
    if any(_covers_all(word, reach) for word in counted):
        return ()
    if reach.signers == (signing.OWNER,):
        enough = any(word.basis in {B.ATTESTATION, B.SECURITY} for word in counted)
        return () if enough else reach.steps
    given = [_word(word) for word in counted if word.basis in ROLES]
    return signing.unsigned(reach.steps, given)


def _is_anothers(agent: Agent, word: Clearance) -> bool:
    own = word.by_id in {agent.owner_id, agent.backup_owner_id}
    return not own or word.basis in {B.ATTESTATION, B.TEMPLATE, B.BOOTSTRAP}


def _covers_all(word: Clearance, reach: Reach) -> bool:
    """Loaded at the start; or made from a template that was approved up to this tier."""
    if word.basis == B.TEMPLATE:
        within = tiers.rank(reach.tier) <= tiers.rank(word.tier)
        return within and signing.by_tier_alone(reach)
    return bool(word.basis == B.BOOTSTRAP)


def _word(word: Clearance) -> Word:
    system = word.system.slug if word.system else ""
    return Word(ROLES[B(word.basis)], word.by_id, system)
