"""What goes into a decision and what comes out. Frozen, comparable, serialisable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from authz.engine.reading import NOTHING, Reading

Json = Any
Document = Mapping[str, Json]


class Check(StrEnum):
    """The thirteen checks, in the order of the walk."""

    IDENTITY = "identity"
    DELEGATION = "delegation"
    CONSENT = "consent"
    ALLOWLIST = "allowlist"
    PARAMETERS = "parameters"
    ROLE = "role"
    POLICY = "policy"
    FLOW = "flow"
    TAINT = "taint"
    RATE = "rate"
    SPEND = "spend"
    QUOTA = "quota"
    GATE = "gate"


class Status(StrEnum):
    """What became of one check."""

    PASSED = "passed"
    REFUSED = "refused"
    HELD = "held"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"
    NOT_BUILT = "not_built"
    NOT_REACHED = "not_reached"


# What ends a walk.
REFUSALS = frozenset([Status.REFUSED, Status.ERROR])


class Effect(StrEnum):
    """What a decision says."""

    ALLOW = "allow"
    DENY = "deny"
    HOLD = "hold"


class Mode(StrEnum):
    """Why a decision is made; `simulate` alone asks without a token and without an enforcer."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    LOG_ONLY = "log_only"
    SIMULATE = "simulate"


class SubjectKind(StrEnum):
    """Who acts: an agent (perhaps for a user), or a person alone."""

    AGENT = "agent"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Token:
    """What the presented token said of its client; compared with the slices at judging.

    One that stands for a `user` by a `grant`, or for a `delegation`, says so by their ids; each is
    "" where there is none. It is good for a call of exactly that.
    """

    client_version: int
    jti: str
    user: str = ""
    grant: str = ""
    delegation: str = ""


@dataclass(frozen=True, slots=True)
class Input:
    """Something that the caller says its run has read. `trusted` False lowers a system's trust."""

    system: str
    resource: str = ""
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class OutsideAnswer:
    """What another decision point said of the question with this digest.

    `allows` is None where it gave no answer that counts; `cause` says why. `ms` is how long that
    took, `reason` the words that it gave with its answer: they are recorded, and judge nothing.
    """

    pdp: str
    digest: str
    allows: bool | None
    cause: str = ""
    ms: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One question, normalised at the edge from any of the accepted wire shapes.

    `agent` is a slug, `person` and `user` are pseudonymous ids ("" where unknown or absent);
    `*_claimed` keep what was sent. `resource_type` and `resource_id` are as sent ("" if absent);
    the resource that is judged is computed from the tool's declared parameter.
    `secret_path` names the place of a recognised credential, "" if none was found.
    `delegation` is the id of the link under which the agent acts, "" for none; `chain` names the
    agents through whom the caller says that the call was handed on, nearest first.
    `session_opened` says that the session's name is one that Muster gave.
    `inputs` is what the run has read besides, `untrusted` the parameters that the caller says it
    took from hostile input. `estimate` is what it expects the call to cost: minor units, currency.
    `approval` is the release that the caller says it has, "" for none. `outside` is what other
    decision points answered, which Muster itself asked.
    """

    kind: SubjectKind
    tool: str
    agent: str = ""
    agent_claimed: str = ""
    person: str = ""
    person_claimed: str = ""
    user: str = ""
    user_claimed: str = ""
    gateway: str = ""
    token: Token | None = None
    parameters: Mapping[str, Json] = field(default_factory=dict)
    resource_type: str = ""
    resource_id: str = ""
    subject_type: str = ""
    subject_properties: Mapping[str, Json] = field(default_factory=dict)
    resource_properties: Mapping[str, Json] = field(default_factory=dict)
    session: str = ""
    session_opened: bool = False
    prompt_digest: str = ""
    code_reference: str = ""
    secret_path: str = ""
    delegation: str = ""
    chain: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()
    untrusted: tuple[str, ...] = ()
    estimate: tuple[int, str] | None = None
    approval: str = ""
    outside: tuple[OutsideAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of the snapshot: its key, revision, content and the content's digest (hex).

    What is compiled from a slice is kept by its digest: two contents never share one.
    """

    key: str
    revision: int
    digest: str
    document: Document


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The facts that checks 1 to 9 read, each in exactly one slice; None where there is none.

    `givers` are the agents that a chain came through, from whoever began it.
    """

    world: Slice
    agent: Slice | None = None
    person: Slice | None = None
    user: Slice | None = None
    gateway: Slice | None = None
    session: Slice | None = None
    chain: Slice | None = None
    givers: tuple[Slice | None, ...] = ()

    def used(self) -> tuple[Slice, ...]:
        """The slices that there are, in a fixed order."""
        own = (self.world, self.agent, self.person, self.user, self.gateway, self.session)
        every = (*own, self.chain, *self.givers)
        return tuple(one for one in every if one is not None)


@dataclass(frozen=True, slots=True)
class Step:
    """One check of the walk: what became of it, the code if it decided, what the code needs."""

    check: Check
    status: Status
    code: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed:
    """What would have been decided, were the row not in observe mode."""

    would: Effect
    check: str
    code: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict and the whole walk behind it (always thirteen steps, in order).

    `label` is the tier of all that the run has read with this call, and `tainted` says whether
    any of it came from outside the trust boundary. `reads` is the highest tier that the call
    reads, `writes` the lowest that it writes ("" for none). `reported` and `read` are what
    raises its session: what the caller said, in any case, and what the call reads, if it goes on.
    `combinations` are the toxic ones that raised the label, `would_ask` the decision points
    outside that would be asked if this were no mere question.
    """

    effect: Effect
    check: str
    code: str
    walk: tuple[Step, ...]
    detail: Mapping[str, Json] = field(default_factory=dict)
    policies: tuple[str, ...] = ()
    log_only: tuple[str, ...] = ()
    remedies: tuple[Mapping[str, Json], ...] = ()
    obligations: tuple[Mapping[str, Json], ...] = ()
    flags: tuple[str, ...] = ()
    resource_type: str = ""
    resource_id: str = ""
    classification: str = ""
    label: str = ""
    tainted: bool = False
    reads: str = ""
    writes: str = ""
    reported: Reading = NOTHING
    read: Reading = NOTHING
    observe: Observed | None = None
    combinations: tuple[str, ...] = ()
    would_ask: tuple[str, ...] = ()
