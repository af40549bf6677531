"""What coding agents send their hooks, as their documentation shows it; and the command itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parents[3] / "client"
RUN = "from muster_client.cli.main import main; main()"

# https://code.claude.com/docs/en/hooks
CLAUDE_CODE: dict[str, Any] = {
    "session_id": "00893aaf-19fa-41d2-8238-13269b9b3ca0",
    "transcript_path": "/home/dev/.claude/projects/desk/00893aaf.jsonl",
    "cwd": "/home/dev/desk",
    "permission_mode": "default",
    "hook_event_name": "PreToolUse",
    "tool_name": "Bash",
    "tool_input": {"command": "npm test", "description": "Run the tests"},
    "tool_use_id": "toolu_01ABC123",
}
# https://developers.openai.com/codex/hooks
CODEX: dict[str, Any] = {
    "session_id": "0199a213-81c0-7800-8aa1-bbab2a035a53",
    "turn_id": "turn-1",
    "transcript_path": None,
    "cwd": "/home/dev/desk",
    "hook_event_name": "PreToolUse",
    "model": "gpt-5",
    "permission_mode": "default",
    "tool_name": "Bash",
    "tool_input": {"command": "npm test"},
    "tool_use_id": "call_1",
}
# https://cursor.com/docs/hooks
CURSOR: dict[str, Any] = {
    "conversation_id": "668320d2-2fd8-4888-b33c-2a466fec86e7",
    "generation_id": "490b90b7-a2ce-4c2c-bb76-cb77b125df2f",
    "hook_event_name": "preToolUse",
    "cursor_version": "2.4.0",
    "workspace_roots": ["/home/dev/desk"],
    "tool_name": "Shell",
    "tool_input": {"command": "npm test", "working_directory": "/home/dev/desk"},
    "tool_use_id": "abc123",
    "cwd": "/home/dev/desk",
}
BY_AGENT = {"claude-code": CLAUDE_CODE, "codex": CODEX, "cursor": CURSOR}


def sent(agent: str = "claude-code", **changed: Any) -> bytes:
    """The event, changed by `changed`; None takes a member out."""
    whole = BY_AGENT[agent] | changed
    return json.dumps({key: value for key, value in whole.items() if value is not None}).encode()


def run(
    raw: bytes, environment: dict[str, str], *more: str, agent: str = "claude-code"
) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", RUN, "hook", agent, *more],
        input=raw.decode("utf-8", "surrogateescape"),
        env=kept | {"PYTHONPATH": str(PLACE), "PYTHONUTF8": "1"} | environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=60,
    )
