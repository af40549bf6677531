"""What an agent reads on a hook's standard output, in its own words.

Each form holds the members that its agent documents and no other: Codex takes an answer with a
member that it does not know for a hook that failed, and goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from ..client import Muster
from .asking import Verdict, answer
from .events import BEFORE, CLAUDE_CODE, CODEX, CURSOR, MAX_EVENT, read_event
from .mapping import Mapping as Names
from .mapping import read_mapping

Json = Any

# What Muster's allow is to the agent: the end of it, a question to the user besides, or nothing,
# so that the agent's own rules decide.
ALLOW, ASK, PASS = "allow", "ask", "pass"
ON_ALLOW = (ALLOW, ASK, PASS)


def answered(agent: str, source: BinaryIO, mapping: str, on_allow: str) -> str:
    """What one event is answered, asked by the environment's client. Raises `MusterError`."""
    event = read_event(agent, source.read(MAX_EVENT + 1))
    names = read_mapping(agent, mapping) if mapping else Names(agent)
    with Muster.from_environment() as muster:
        return said(answer(muster, event, names), on_allow)


def said(verdict: Verdict, on_allow: str) -> str:
    """One line of JSON. `on_allow` is one of `ON_ALLOW`."""
    return json.dumps(_FORMS[verdict.event.agent](verdict, on_allow), ensure_ascii=False)


def _claude_code(verdict: Verdict, on_allow: str) -> Json:
    if verdict.event.event != BEFORE:
        return _context(verdict)
    if verdict.allowed and on_allow == PASS:
        return {}
    return _decided(on_allow if verdict.allowed else "deny", verdict.told)


def _codex(verdict: Verdict, on_allow: str) -> Json:
    """Codex knows a denial; anything else leaves the call to its own rules."""
    if verdict.event.event != BEFORE:
        return _context(verdict)
    return {} if verdict.allowed else _decided("deny", verdict.told)


def _cursor(verdict: Verdict, on_allow: str) -> Json:
    if verdict.event.event != BEFORE:
        return {"additional_context": verdict.told} if verdict.told else {}
    if not verdict.allowed:
        told = verdict.told
        return {"permission": "deny", "user_message": told, "agent_message": told}
    return {} if on_allow == PASS else {"permission": on_allow}


def _decided(word: str, reason: str) -> Json:
    return {
        "hookSpecificOutput": {
            "hookEventName": BEFORE,
            "permissionDecision": word,
            "permissionDecisionReason": reason,
        }
    }


def _context(verdict: Verdict) -> Json:
    if not verdict.told:
        return {}
    event = verdict.event.event
    return {"hookSpecificOutput": {"hookEventName": event, "additionalContext": verdict.told}}


_FORMS: Mapping[str, Callable[[Verdict, str], Json]] = {
    CLAUDE_CODE: _claude_code,
    CODEX: _codex,
    CURSOR: _cursor,
}
