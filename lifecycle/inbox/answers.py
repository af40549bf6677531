"""What one does in the inbox: each answer is one call of the service behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from authz.services import holds as authorization
from governance.kernel.errors import Invalid, NotFound
from lifecycle.inbox import holds as held
from lifecycle.inbox.entries import split
from lifecycle.models import ReviewStep
from lifecycle.reviews import page as review_page
from lifecycle.reviews import services as reviewing
from lifecycle.reviews import waiting as reviews
from lifecycle.reviews.errors import StepAnswered
from registry import changes
from registry import waiting as waits
from registry.models import Person

MOST_REASON = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person sends: their fields, what they ticked, and when they last proved themself."""

    by: Person
    given: Mapping[str, str] = field(default_factory=dict)
    ticked: Sequence[str] = ()
    second_factor_at: datetime | None = None

    @property
    def reason(self) -> str:
        """The reason, which whoever is refused reads."""
        said = self.given.get("reason", "").strip()
        if not said:
            raise Invalid("Say why, so that they can do better.")
        return said[:MOST_REASON]


def answer(*, key: str, word: str, reply: Reply) -> str:
    """Give one answer; returns the sentence that tells what happens now.

    What the services refuse is raised as it is. `NotFound` where kind and word do not fit.
    """
    kind, name = split(key)
    act = _ANSWERS.get((kind, word))
    if act is None:
        raise NotFound()
    return act(name, reply)


def _agree(name: str, reply: Reply) -> str:
    said = reply.given.get("reason", "")[:MOST_REASON]
    if (step := _step_of_change(_number(name), reply.by)) is not None:
        review = reviewing.approve_step(
            step_id=step.pk, by=reply.by, reason=said, digest=reply.given.get("digest", "")
        )
        if review.is_open:
            return f"Signed as {step.title}. It takes effect when everyone has signed."
        return "Signed. It is in effect from now on."
    changes.agree(change_id=_number(name), by=reply.by, answer=said)
    return "Agreed. It is in effect from now on."


def _step_of_change(change_id: int, by: Person) -> ReviewStep | None:
    """The step of the change's review that this person may answer, if it has a review."""
    review = review_page.review_of_change(change_id)
    return next(iter(reviews.mine(review, by)), None) if review else None


def _reject(name: str, reply: Reply) -> str:
    changes.reject(change_id=_number(name), by=reply.by, answer=reply.reason)
    return "Rejected. Nothing was changed, and its proposer reads your reason."


def _withdraw(name: str, reply: Reply) -> str:
    changes.withdraw(change_id=_number(name), by=reply.by)
    return "Taken back. Nothing was changed."


def _clear(name: str, reply: Reply) -> str:
    step = _step(name, reply)
    review = reviewing.approve_step(
        step_id=step.pk,
        by=reply.by,
        reason=reply.given.get("reason", "")[:MOST_REASON],
        digest=reply.given.get("digest", ""),
    )
    if review.is_open:
        return f"Signed as {step.title}. {name} is live when everyone has signed."
    return f"{name} is live. Its owner gives it a secret on its page."


def _step(name: str, reply: Reply) -> ReviewStep:
    """The step that was named, else the first that is this person's; else the refusal."""
    review = reviews.open_for(reply.by).filter(agent__slug=name).first()
    if review is None:
        raise NotFound()
    waiting = reviews.waiting_steps(review)
    asked = [each for each in waiting if str(each.pk) == reply.given.get("step")]
    found = asked or reviews.mine(review, reply.by) or waiting
    if not found:
        raise StepAnswered("Everyone has signed. Nothing is left to answer.")
    return found[0]


def _send_back(name: str, reply: Reply) -> str:
    reviewing.ask_for_change(step_id=_step(name, reply).pk, by=reply.by, reason=reply.reason)
    return f"{name} is a draft again. Its owner reads your reason."


def _approve_hold(name: str, reply: Reply) -> str:
    hold = authorization.approve_hold(
        hold_id=held.uuid_of(name),
        by=reply.by,
        seen=reply.given.get("seen", ""),
        second_factor_at=reply.second_factor_at,
    )
    if hold.is_open:
        return f"Your approval counts. {hold.agent} waits for another one besides."
    return f"Approved. {hold.agent} may do exactly this, once."


def _reject_hold(name: str, reply: Reply) -> str:
    hold = authorization.reject_hold(hold_id=held.uuid_of(name), by=reply.by, reason=reply.reason)
    return f"Rejected. {hold.agent} reads your reason."


def _release_batch(name: str, reply: Reply) -> str:
    done = authorization.approve_holds(
        hold_ids=_ticked(reply), by=reply.by, second_factor_at=reply.second_factor_at
    )
    return _told("Released", done)


def _reject_batch(name: str, reply: Reply) -> str:
    done = authorization.reject_holds(hold_ids=_ticked(reply), by=reply.by, reason=reply.reason)
    return _told("Rejected", done)


def _ticked(reply: Reply) -> list[UUID]:
    if not reply.ticked:
        raise Invalid("Tick at least one.")
    return [held.uuid_of(each) for each in reply.ticked]


def _told(word: str, done: authorization.Batch) -> str:
    if not done.left:
        return f"{word} {len(done.moved)}."
    why = next(iter(done.left.values()))
    if not done.moved:
        raise Invalid(why)
    return f"{word} {len(done.moved)}. {len(done.left)} were left as they are: {why}"


def _number(name: str) -> int:
    if not name.isdecimal() or len(name) > 18:
        raise NotFound()
    return int(name)


_ANSWERS: dict[tuple[str, str], Callable[[str, Reply], str]] = {
    (waits.CHANGE, "approve"): _agree,
    (waits.CHANGE, "reject"): _reject,
    (waits.CHANGE, "withdraw"): _withdraw,
    (reviews.REVIEW, "approve"): _clear,
    (reviews.REVIEW, "reject"): _send_back,
    (held.HOLD, "approve"): _approve_hold,
    (held.HOLD, "reject"): _reject_hold,
    (held.BATCH, "approve"): _release_batch,
    (held.BATCH, "reject"): _reject_batch,
}
