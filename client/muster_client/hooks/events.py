"""What coding agents send a hook on standard input, read strictly.

- Claude Code: https://code.claude.com/docs/en/hooks, `PreToolUse`, `PostToolUse` and
  `PostToolUseFailure`.
- Codex: https://developers.openai.com/codex/hooks, `PreToolUse` and `PostToolUse`.
- Cursor: https://cursor.com/docs/hooks, `preToolUse`, `postToolUse` and `postToolUseFailure`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping as Map
from dataclasses import dataclass
from typing import Any

from .. import strict_json
from .errors import HookError

Json = Any

CLAUDE_CODE, CODEX, CURSOR = "claude-code", "codex", "cursor"
AGENTS = (CLAUDE_CODE, CODEX, CURSOR)
BEFORE, AFTER, FAILED = "PreToolUse", "PostToolUse", "PostToolUseFailure"
MAX_EVENT = 16 * 1024 * 1024
MAX_NAME = 200
# Where the name of a run stands.
_RUN = {CLAUDE_CODE: "session_id", CODEX: "session_id", CURSOR: "conversation_id"}


@dataclass(frozen=True, slots=True)
class Event:
    """One call of a tool, before or after it was made.

    `agent` is one of `AGENTS`, `event` is `BEFORE`, `AFTER` or `FAILED`; `call` is the agent's own
    name for this one call, `run` for all that it does in one conversation.
    """

    agent: str
    event: str
    tool: str
    given: Map[str, Json]
    call: str
    run: str

    @property
    def session(self) -> str:
        """The session that the call belongs to on Muster's record."""
        return f"{self.agent}:{self.run}"

    @property
    def key(self) -> str:
        """The key of this one call, the same before and after it."""
        said = "\n".join((self.agent, self.run, self.call)).encode()
        return f"hook-{hashlib.sha256(said).hexdigest()}"


def read_event(agent: str, raw: bytes) -> Event:
    """The event in what an agent sent. Raises `HookError`, which says what is wrong with it."""
    whole = _object(raw)
    return Event(
        agent=agent,
        event=_event(whole),
        tool=_name(whole, "tool_name"),
        given=_given(whole),
        call=_name(whole, "tool_use_id"),
        run=_name(whole, _RUN[agent]),
    )


def _object(raw: bytes) -> dict[str, Json]:
    if len(raw) > MAX_EVENT:
        raise HookError(f"The hook was sent more than {MAX_EVENT} bytes.")
    try:
        whole = strict_json.read(raw)
    except ValueError as error:
        raise HookError(f"What the hook was sent is not JSON: {error}.") from error
    if not isinstance(whole, dict):
        raise HookError("What the hook was sent is no object.")
    return whole


def _event(whole: Map[str, Json]) -> str:
    """Cursor's names begin in lower case, and mean the same."""
    name = whole.get("hook_event_name")
    found = {each.lower(): each for each in (BEFORE, AFTER, FAILED)}
    if not isinstance(name, str) or name.lower() not in found:
        raise HookError(f"The hook is for {BEFORE}, {AFTER} and {FAILED}, not for {name!r}.")
    return found[name.lower()]


def _name(whole: Map[str, Json], name: str) -> str:
    value = whole.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable():
        raise HookError(f"{name} must be 1 to {MAX_NAME} printable characters.")
    return value


def _given(whole: Map[str, Json]) -> dict[str, Json]:
    value = whole.get("tool_input")
    if not isinstance(value, dict):
        raise HookError("tool_input must be an object.")
    return value
