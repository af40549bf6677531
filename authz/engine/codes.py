"""Every `<check>.<cause>` that a decision can name: its sentence, its wire word, its remedies.

A code is stable from the day it is released: never renamed, never given another meaning. Sentences
are made from code and detail whenever they are shown and stored nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from authz.engine.types import Check, Json

Detail = Mapping[str, Json]
Remedy = Mapping[str, Json]

POLICY_DENIED = "policy_denied"
APPROVAL_REQUIRED = "approval_required"


@dataclass(frozen=True, slots=True)
class Code:
    """One cause. `reason` is the word of AuthZEN's Access-Request profile, "" without one.

    `sentence` says what may not be, because of what, and what to do next; `remedies` are the
    kinds of change that would make it allowed. `reserved` codes are documented, not yet given.
    """

    code: str
    sentence: str
    remedies: tuple[str, ...]
    reason: str = ""
    reserved: bool = False

    @property
    def check(self) -> Check:
        return Check(self.code.partition(".")[0])


REMEDIES: dict[str, str] = {
    "register_agent": "Register the agent, or correct its name.",
    "correct_person": "Correct the id, or load the person with this gateway's source.",
    "correct_gateway": "Register the gateway, or ask a platform admin to switch it on.",
    "ask_through_gateway": "Ask through a registered gateway.",
    "get_token": "Get a new token from the token endpoint.",
    "activate_agent": "Ask the agent's owner or security to bring it back.",
    "transfer_agent": "Ask security to give the agent a new owner.",
    "keep_pattern": "Call as the identity pattern says, or change the agent's row.",
    "call_directly": "Let the agent that acts call with its own token.",
    "ask_consent": "Ask the user for consent.",
    "ask_delegation": "Let the agent that hands over do it again, for this agent and this call.",
    "ask_giver": "Ask the owner of {giver} to bring it back.",
    "declare_sub_agent": "Ask the owner of {giver} to declare {receiver} as its sub-agent.",
    "name_chain": "Name the agents that the delegation came through, or leave them out.",
    "name_user": "Name the user that the delegation is for, and no other.",
    "call_anew": "Let the agent call for itself, with an approval of its own.",
    "add_to_allowlist": "Ask the owner to add the tool to the agent's allowlist.",
    "register_tool": "Register the tool, or correct its name.",
    "remove_secret": "Take the credential out, or declare the parameter as secret.",
    "remove_text": "Take the text out that has the signature.",
    "ask_signature_change": "Ask security to change the signature, or the tools that it is for.",
    "narrow_value": "Change the parameter so that its schema is met.",
    "match_resource": "Name the resource that the parameters name, or leave it out.",
    "grant_role": "Ask security for a role that grants the tool.",
    "read_policy": "Change the call so that the policy lets it through.",
    "ask_policy_change": "Ask security to change the policy.",
    "ask_pdp_owner": "Ask security who answers for {pdps}, and them what it would allow.",
    "open_session": "Open a session and name it.",
    "read_lower": "Read nothing above {destination} in the run that writes there.",
    "write_higher": "Write to a place that is {label} or above.",
    "open_clean_session": "Ask through a gateway that opens a clean session for this run.",
    "correct_input": "Name a registered system in context.inputs.",
    "declare_plan": "Declare a plan for the session before it reads untrusted input.",
    "extend_plan": "Put the call into the plan of the next session, before it reads.",
    "pin_value": "Let the plan say which value {parameter} may have.",
    "list_value": "Ask the owner to list the value of {parameter} in the row.",
    "ask_approval": "Ask for an approval, and ask again with it.",
    "use_approval": "Ask again with the approval, exactly as it was given.",
    "wait_for_approval": "Wait until a human has decided.",
    "lower_value": "Stay at or below {limit}.",
    "wait": "Wait until {until}.",
    "ask_limit": "Ask the owner of {agent} for more than {limit} calls each {window}.",
    "ask_cap": "Ask the owner of {agent} for a higher spend cap.",
    "ask_rate": "Ask security to set a rate for {currency}.",
    "ask_quota": "Ask the owner of {agent} for more than {limit} records each {window}.",
    "ask_again": "Ask again.",
    "tell_security": "Tell security: Muster could not judge this call.",
}

_GIVEN = (
    Code(
        "identity.unknown_agent",
        "This agent may not act. No agent of that name is on the register. "
        "Register it, or correct the name.",
        ("register_agent",),
    ),
    Code(
        "identity.unknown_person",
        "This person may not act. Muster does not know the id that was sent. "
        "Correct the id, or load the person.",
        ("correct_person",),
    ),
    Code(
        "identity.unknown_user",
        "{agent} may not act for this user. Muster does not know the id that was sent. "
        "Correct the id, or load the person.",
        ("correct_person",),
    ),
    Code(
        "identity.person_left",
        "This person may not act. They have left the company. Ask someone who works there.",
        (),
    ),
    Code(
        "identity.user_left",
        "{agent} may not act for this user. They have left the company. "
        "Ask someone who works there.",
        (),
    ),
    Code(
        "identity.unknown_gateway",
        "This gateway may not ask. It is not on the register. Register it first.",
        ("correct_gateway",),
    ),
    Code(
        "identity.gateway_inactive",
        "The gateway {gateway} may not ask. It is switched off. "
        "Ask a platform admin to switch it on.",
        ("correct_gateway",),
    ),
    Code(
        "identity.gateway_required",
        "This may not be asked without a gateway. A person's rights are told to "
        "enforcement points only. Ask through a registered gateway.",
        ("ask_through_gateway",),
    ),
    Code(
        "identity.token_missing",
        "This call may not be judged. No token came with it. Get one from the token endpoint.",
        ("get_token",),
    ),
    Code(
        "identity.token_outdated",
        "This token may not be used. The client's secret or key was changed since. "
        "Get a new token with the new one.",
        ("get_token",),
    ),
    Code(
        "identity.token_revoked",
        "This token may not be used. It was revoked. Get a new one.",
        ("get_token",),
    ),
    Code(
        "identity.token_user",
        "This token may not be used for this call. It stands for another user than the call names. "
        "Leave the user out, or use the token for that user.",
        ("get_token",),
    ),
    Code(
        "identity.token_delegation",
        "This token may not be used for this call. It stands for another delegation than the call "
        "names, or for none. Leave the delegation out, or use the token for it.",
        ("get_token",),
    ),
    Code(
        "identity.token_grant",
        "This token may not be used any more. The consent that it was issued on was replaced. "
        "Get a new token.",
        ("get_token",),
    ),
    Code(
        "identity.mismatch",
        "{agent} may not ask for another. Its token speaks for itself alone. "
        "Name it as the subject, or ask through a gateway.",
        ("ask_through_gateway",),
    ),
    Code(
        "identity.not_active",
        "{agent} may not act. Its row is {state}, not active. "
        "Ask its owner or security to bring it back.",
        ("activate_agent",),
    ),
    Code(
        "identity.owner_left",
        "{agent} may not act. Its owner has left the company. Ask security for a new owner.",
        ("transfer_agent",),
    ),
    Code(
        "identity.pattern",
        "{agent} may not make this call {carrying} a user. Its identity pattern is {pattern}. "
        "Call as the pattern says, or change the row.",
        ("keep_pattern",),
    ),
    Code(
        "delegation.not_accepted",
        "{agent} may not act on a call that was handed on. Delegations are not accepted here. "
        "Let it call with its own token.",
        ("call_directly",),
    ),
    Code(
        "delegation.unknown",
        "{agent} may not act on this delegation. Muster does not know it. "
        "Let the agent that hands over do it again.",
        ("ask_delegation",),
    ),
    Code(
        "delegation.other_agent",
        "{agent} may not act on this delegation. It was handed to another agent. "
        "Let the one that hands over do it again, for {agent}.",
        ("ask_delegation",),
    ),
    Code(
        "delegation.other_user",
        "{agent} may not act on this delegation for this user. It was handed over for another, "
        "or for nobody. Name the user that it is for.",
        ("name_user",),
    ),
    Code(
        "delegation.other_chain",
        "{agent} may not act on this delegation. It came through other agents than were named. "
        "Leave them out: Muster knows them.",
        ("name_chain",),
    ),
    Code(
        "delegation.too_deep",
        "{agent} may not act on this delegation. It was handed on {depth} times; {most} are the "
        "most. Let it call for itself, with an approval of its own.",
        ("call_anew",),
    ),
    Code(
        "delegation.broken",
        "{agent} may not act on this delegation. Its links do not follow on each other. "
        "Let the agent that hands over do it again.",
        ("ask_delegation",),
    ),
    Code(
        "delegation.ended",
        "{agent} may not act on this delegation. What {giver} handed over has ended. "
        "Let it hand over again.",
        ("ask_delegation",),
    ),
    Code(
        "delegation.expired",
        "{agent} may not act on this delegation. The time of what {giver} handed over is over. "
        "Let it hand over again.",
        ("ask_delegation",),
    ),
    Code(
        "delegation.giver_inactive",
        "{agent} may not act on this delegation. {giver}, which handed it over, is not active. "
        "Its owner can say why.",
        ("ask_giver",),
    ),
    Code(
        "delegation.giver_pattern",
        "{agent} may not act on this delegation. {giver}, which handed it over, may not call "
        "{tool} {carrying} a user: its identity pattern is {pattern}. Call as it says.",
        ("keep_pattern",),
    ),
    Code(
        "delegation.not_declared",
        "{agent} may not act on this delegation. {giver} does not declare {receiver} as an agent "
        "that it hands over to. Ask its owner to declare it, which is a review.",
        ("declare_sub_agent",),
    ),
    Code(
        "delegation.tool",
        "{agent} may not call {tool} on this delegation. {giver} did not hand it over. "
        "Let it hand over again, with this tool.",
        ("ask_delegation",),
    ),
    Code(
        "delegation.parameters",
        "{agent} may not call {tool} like this on this delegation. {giver} handed it over for "
        "other values: {finding} Correct the parameters, or let it hand over again.",
        ("narrow_value", "ask_delegation"),
    ),
    Code(
        "consent.none",
        "{agent} may not act for this user. The user has not given consent for {tool}. "
        "Ask them for it.",
        ("ask_consent",),
    ),
    Code(
        "consent.expired",
        "{agent} may not act for this user. The time of their consent is over. Ask them again.",
        ("ask_consent",),
    ),
    Code(
        "consent.replaced",
        "{agent} may not act for this user on what was handed over. The user has given another "
        "consent since. Let it hand over again.",
        ("ask_delegation",),
    ),
    Code(
        "consent.tool",
        "{agent} may not call {tool} for this user. Their consent does not hold it. "
        "Ask them for it.",
        ("ask_consent",),
    ),
    Code(
        "consent.parameters",
        "{agent} may not call {tool} like this for this user. They consented to other values: "
        "{finding} Correct the parameters, or ask them again.",
        ("narrow_value", "ask_consent"),
    ),
    Code(
        "allowlist.not_listed",
        "{agent} may not call {tool}. The tool is not in its row. "
        "Ask the owner to add it, which is a review.",
        ("add_to_allowlist",),
    ),
    Code(
        "parameters.malformed",
        "This may not go on. It is no question that can be judged. "
        "Correct the request and ask again.",
        ("ask_again",),
    ),
    Code(
        "parameters.unknown_tool",
        "{tool} may not be called. No tool of that name is on the register. "
        "Register it, or correct the name.",
        ("register_tool",),
    ),
    Code(
        "parameters.secret",
        "{tool} may not be called like this. A credential stands at {pointer}. "
        "Take it out, or declare the parameter as secret.",
        ("remove_secret",),
    ),
    Code(
        "parameters.schema",
        "{tool} may not be called like this. The parameters do not meet its schema: {finding} "
        "Correct them and ask again.",
        ("narrow_value",),
    ),
    Code(
        "parameters.narrowing",
        "{agent} may not call {tool} like this. Its row allows less than the tool: {finding} "
        "Correct the parameters, or ask the owner to widen the row.",
        ("narrow_value", "add_to_allowlist"),
    ),
    Code(
        "parameters.resource_mismatch",
        "{tool} may not be called like this. The resource that was named is not the one that "
        "the call touches. Name that one, or none.",
        ("match_resource",),
    ),
    Code(
        "parameters.resource_unreadable",
        "{tool} may not be called like this. Its parameter {parameter} does not name one "
        "resource. Send one name or number.",
        ("narrow_value",),
    ),
    Code(
        "parameters.denied_signature",
        "{tool} may not be called like this. What stands at {pointer} has the denied signature "
        "{signature}. Take it out, or ask security to change the signature.",
        ("remove_text", "ask_signature_change"),
    ),
    Code(
        "role.none",
        "{who} may not call {tool}. None of its roles grants the tool. "
        "Ask security for a role that does.",
        ("grant_role",),
    ),
    Code(
        "role.user_none",
        "{agent} may not call {tool} for this user. None of the user's roles grants the tool. "
        "Ask security for a role that does.",
        ("grant_role",),
    ),
    Code(
        "policy.forbidden",
        "{tool} may not be called like this. It is forbidden by {policies}. "
        "Change the call, or ask security to change the policy.",
        ("read_policy", "ask_policy_change"),
        reason=POLICY_DENIED,
    ),
    Code(
        "policy.no_permit",
        "{tool} may not be called like this. Policies govern it and none permits this call. "
        "Change the call, or ask security for a policy.",
        ("read_policy", "ask_policy_change"),
        reason=POLICY_DENIED,
    ),
    Code(
        "policy.external_denied",
        "{tool} may not be called like this. {pdps}, which is asked as well, denies it. "
        "Change the call, or ask who answers for it.",
        ("ask_pdp_owner",),
        reason=POLICY_DENIED,
    ),
    Code(
        "policy.external_unanswered",
        "{tool} may not be called now. {pdps}, which has to allow it as well, gave no answer that "
        "counts ({causes}). Ask again in a moment, or ask who answers for it.",
        ("ask_again", "ask_pdp_owner"),
    ),
    Code(
        "flow.sinks",
        "{agent} may not write to {system} with {tool}. Its run has read {label} data, and "
        "{system} is {destination}. Write to a place that is {label} or above.",
        ("write_higher", "read_lower", "open_clean_session"),
    ),
    Code(
        "flow.unknown_session",
        "{agent} may not go on in this session. Muster has not opened it. Open one, or name none.",
        ("open_session",),
    ),
    Code(
        "flow.other_session",
        "{agent} may not go on in this session. It belongs to another agent. Open one of its own.",
        ("open_session",),
    ),
    Code(
        "flow.session_ended",
        "{agent} may not go on in this session. It has ended. Open a new one.",
        ("open_session",),
    ),
    Code(
        "flow.unknown_input",
        "{agent} may not go on. What it says it has read, at {pointer}, names no registered "
        "system. Correct the name.",
        ("correct_input",),
    ),
    Code(
        "taint.untrusted_input",
        "{tool} waits for a human. The run has read untrusted input, and no plan was declared "
        "before. Declare one before reading.",
        ("ask_approval", "declare_plan"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "taint.outside_plan",
        "{tool} waits for a human. The run has read untrusted input, and this call is not in its "
        "plan. Plan it before reading.",
        ("ask_approval", "extend_plan"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "taint.open_plan",
        "{tool} waits for a human. The run has read untrusted input, and its plan leaves "
        "{parameter} open. Let the plan name the value.",
        ("ask_approval", "pin_value"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "taint.address",
        "{tool} waits for a human. The run has read untrusted input, and {parameter} holds an "
        "address that its plan does not name. Name it there.",
        ("ask_approval", "pin_value"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "taint.parameter",
        "{tool} waits for a human. {parameter} was taken from untrusted input and is not a value "
        "that the row lists. List it in the row.",
        ("ask_approval", "list_value"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "taint.denied",
        "{tool} may not be called now. The run has read untrusted input, and this tool runs only "
        "inside the plan. Plan it before reading.",
        ("declare_plan", "pin_value"),
    ),
    Code(
        "rate.minute",
        "{agent} may not call {tool} now. {limit} calls a minute are allowed, and they are used "
        "up. Wait until {until}, or ask the owner for more.",
        ("wait", "ask_limit"),
    ),
    Code(
        "rate.hour",
        "{agent} may not call {tool} now. {limit} calls an hour are allowed, and they are used "
        "up. Wait until {until}, or ask the owner for more.",
        ("wait", "ask_limit"),
    ),
    Code(
        "spend.cap",
        "{agent} may not call {tool} now. What it may cost would pass the spend cap of the day. "
        "It is suspended: ask its owner or security.",
        ("activate_agent", "ask_cap"),
    ),
    Code(
        "spend.month",
        "{agent} may not call {tool} now. What it may cost would pass the spend cap of the month. "
        "It is suspended: ask its owner or security.",
        ("activate_agent", "ask_cap"),
    ),
    Code(
        "spend.currency",
        "{agent} may not call {tool} like this. What it may cost is in {currency}, for which no "
        "rate is set. Ask security to set one.",
        ("ask_rate",),
    ),
    Code(
        "quota.hour",
        "{tool} waits for a human. {limit} records an hour are allowed, and this call would pass "
        "them. Wait until {until}, or for a release.",
        ("wait", "ask_quota"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "rate.busy",
        "This may not go on. The facts behind it changed again and again while it was judged. "
        "Wait a moment and ask again.",
        ("ask_again",),
    ),
    Code(
        "gate.amount",
        "{tool} waits for a human. It moves more than {limit}, and above that someone must "
        "approve it. Ask for an approval.",
        ("ask_approval", "lower_value"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.amount_unknown",
        "{tool} waits for a human. It does not say what it moves, and above {limit} someone must "
        "approve it. Send the amount, or ask for an approval.",
        ("narrow_value", "ask_approval"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.currency",
        "{tool} waits for a human. There is no rate that compares its currency with {currency}. "
        "Ask for an approval.",
        ("ask_approval",),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.sum",
        "{tool} waits for a human. With what was moved in the last {hours} hours it comes to more "
        "than {limit}, and above that someone must approve it. Ask for an approval.",
        ("ask_approval",),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.records",
        "{tool} waits for a human. It touches more than {limit} records, and above that someone "
        "must approve it. Ask for an approval.",
        ("ask_approval", "lower_value"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.records_unknown",
        "{tool} waits for a human. It does not say how many records it touches, and above {limit} "
        "someone must approve it. Send the number, or ask for an approval.",
        ("narrow_value", "ask_approval"),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.destructive",
        "{tool} waits for a human. It destroys something in production. Ask for an approval.",
        ("ask_approval",),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.grant",
        "{tool} waits for a human. It grants rights. Ask for an approval.",
        ("ask_approval",),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.domain",
        "{tool} waits for a human. It writes to someone whose domain nobody has approved for "
        "{agent} yet. Ask for an approval.",
        ("ask_approval",),
        reason=APPROVAL_REQUIRED,
    ),
    Code(
        "gate.flooded",
        "{tool} may not be called now. It needs a human, and {flooded} calls of {agent} wait for "
        "one already. Wait until they are decided.",
        ("wait_for_approval",),
    ),
    Code(
        "gate.release_unknown",
        "{tool} may not be called now. The approval that came with it is none of {agent}'s. "
        "Ask again without it.",
        ("ask_again",),
        reason="approval_unverifiable",
    ),
    Code(
        "gate.release_pending",
        "{tool} waits for a human. What came with it as an approval is a request that nobody has "
        "decided yet. Wait until somebody has.",
        ("wait_for_approval",),
        reason="grant_pending",
    ),
)
_ERRORS = tuple(
    Code(
        f"{check}.error",
        f"This call may not go on. The check {check} failed by an error, which counts as a "
        "refusal. Tell security.",
        ("tell_security",),
    )
    for check in Check
)

CODES: dict[str, Code] = {one.code: one for one in (*_GIVEN, *_ERRORS)}


class _Words(dict[str, str]):
    """The words of a detail; what it does not say, or leaves empty, is `this`."""

    def __missing__(self, key: str) -> str:
        return "this"


def message(code: str, detail: Detail) -> str:
    """The sentence for people; "" stands for an allow."""
    if not code:
        return "Allowed."
    known = CODES.get(code)
    if known is None:
        return f"This call may not go on ({code}). Tell security."
    return known.sentence.format_map(_words(detail))


def _words(detail: Detail) -> _Words:
    words = _Words({name: _word(value) for name, value in detail.items() if value != ""})
    findings = detail.get("findings")
    if findings:
        words["finding"] = " ".join(filter(None, (findings[0]["pointer"], findings[0]["sentence"])))
    return words


def _word(value: Json) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def reason(code: str) -> str:
    """The Access-Request profile's word where it defines one, else the code itself."""
    known = CODES.get(code)
    return known.reason or code if known else code


def remedies(code: str, detail: Detail) -> tuple[Remedy, ...]:
    """What would make it allowed: for each its `kind` and what it is about."""
    known = CODES.get(code)
    return tuple(
        {"kind": kind, **_about(kind, detail)} for kind in (known.remedies if known else ())
    )


_ABOUT = {
    "add_to_allowlist": ("agent", "tool"),
    "ask_consent": ("agent", "tool"),
    "ask_delegation": ("giver", "agent", "tool"),
    "ask_giver": ("giver",),
    "declare_sub_agent": ("giver", "receiver"),
    "activate_agent": ("agent",),
    "transfer_agent": ("agent",),
    "grant_role": ("tool", "granting"),
    "narrow_value": ("findings", "parameter"),
    "remove_secret": ("pointer",),
    "remove_text": ("pointer", "signature"),
    "ask_signature_change": ("signature",),
    "read_policy": ("policies",),
    "ask_policy_change": ("policies",),
    "ask_pdp_owner": ("pdps",),
    "read_lower": ("label", "destination"),
    "write_higher": ("label",),
    "correct_input": ("pointer",),
    "pin_value": ("parameter",),
    "list_value": ("agent", "tool", "parameter"),
    "lower_value": ("limit",),
    "wait": ("until",),
    "ask_limit": ("agent", "limit", "window", "scope"),
    "ask_cap": ("agent", "limit", "window"),
    "ask_rate": ("currency",),
    "ask_quota": ("agent", "tool", "limit", "window"),
}


def _about(kind: str, detail: Detail) -> dict[str, Json]:
    return {name: detail[name] for name in _ABOUT.get(kind, ()) if name in detail}


def remedy_text(remedy: Remedy) -> str:
    """The sentence of a remedy."""
    return REMEDIES.get(str(remedy["kind"]), "").format_map(_words(remedy))
