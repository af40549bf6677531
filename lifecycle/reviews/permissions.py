"""Who sees and answers reviews."""

from __future__ import annotations

from governance.kernel.errors import NotAllowed
from lifecycle.models import Review, ReviewStep
from lifecycle.models.reviews import StepRole, StepState
from registry import clearing
from registry import permissions as register
from registry.enums import GroupName
from registry.models import Person

GIVEN = frozenset({StepState.APPROVED, StepState.ANSWERED})


def check_can_see(review: Review, by: Person) -> None:
    """See one review."""
    if not Review.objects.visible_to(by).filter(pk=review.pk).exists():
        raise NotAllowed("Only those who sign it, its owner and those who see the agent see this.")


def check_can_answer(step: ReviewStep, by: Person) -> None:
    """Answer a step: the right person, for no agent of their own, in one role alone."""
    review, agent = step.review, step.review.agent
    register.check_may_act(by)
    if review.change is not None and review.change.proposed_by_id == by.pk:
        raise NotAllowed("You proposed this, so someone else must sign it.")
    if step.role == StepRole.OWNER:
        _check_owner(review, by)
        return
    register.check_can_sign_agent(agent, clearing.BASES[step.role], by, step.system)
    others = (
        each for each in review.steps.all() if each.answered_by_id == by.pk and each.state in GIVEN
    )
    other = next((each for each in others if each.role != step.role), None)
    if other:
        raise NotAllowed(
            f"You signed {agent.slug} as {other.title.lower()} already. Two hats on one head "
            "count once, so someone else must sign here."
        )


def _check_owner(review: Review, by: Person) -> None:
    """The owner attests; security's word stands in for it, never for their own agent."""
    own = by.pk == review.agent.owner_id
    others = register.in_group(by, GroupName.SECURITY) and not register.answers_for(
        review.agent, by
    )
    if not own and not others:
        raise NotAllowed(
            f"Only its owner {review.agent.owner} may attest {review.agent.slug}, or someone in "
            "security who does not answer for it."
        )


def why_not(step: ReviewStep, by: Person) -> str:
    """The sentence for which this person may not answer; empty if they may."""
    return register.can(check_can_answer, step, by)


def check_can_see_queue(by: Person) -> None:
    """See everyone's reviews and how they go."""
    if not by.reads_everything:
        raise NotAllowed("Only security, the DPO, auditors and platform admins see all reviews.")
