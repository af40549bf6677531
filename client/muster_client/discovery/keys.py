"""Keys in `.env` files: of what kind and under which name. The value stays where it is.

A key that stands in two files has the same digest in both: HMAC-SHA-256 under a salt that is made
for each scan and forgotten, unless one is given. So nobody can try values against a report.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from . import texts
from .findings import KEY, Finding, printable

# The longest prefix says what a key is for.
KINDS = {
    "sk-ant-": "Anthropic",
    "sk-proj-": "OpenAI",
    "sk-svcacct-": "OpenAI",
    "sk-or-": "OpenRouter",
    "sk-lf-": "Langfuse",
    "sk-": "OpenAI or alike",
    "AIza": "Google",
    "AKIA": "AWS",
    "ASIA": "AWS",
    "ghp_": "GitHub",
    "gho_": "GitHub",
    "ghs_": "GitHub",
    "github_pat_": "GitHub",
    "glpat-": "GitLab",
    "gsk_": "Groq",
    "hf_": "Hugging Face",
    "xai-": "xAI",
    "pplx-": "Perplexity",
    "r8_": "Replicate",
    "lsv2_": "LangSmith",
    "tvly-": "Tavily",
    "xoxb-": "Slack",
    "xoxp-": "Slack",
    "xapp-": "Slack",
    "sk_live_": "Stripe",
    "rk_live_": "Stripe",
    "mst_": "Muster",
    "muster_": "Muster",
}
_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=(.*)")
_SECRET_NAME = re.compile(r"(?i)token|secret|passw|credential|api[_-]?key|access[_-]?key|_key$")
# What only says that a value belongs there, or where it is.
_EMPTY = re.compile(
    r"(?i)\$\{.*\}|\$\(.*\)|\$\w+|<.*>|\{\{.*\}\}|x{3,}.*|\*+|\.{3,}|.*(?:your|changeme|example|"
    r"placeholder|replace|insert|dummy|\.\.\.|xxxx).*|none|null|true|false|vault://.*|op://.*"
)
_LEAST = 8


def is_env(path: str) -> bool:
    """`.env`, `.env.local`, `prod.env`, `.envrc`."""
    name = PurePosixPath(path).name
    return name == ".envrc" or name.startswith(".env.") or name.endswith(".env") or name == ".env"


def keys_in(path: str, raw: bytes, salt: bytes) -> Iterator[Finding]:
    """A finding for each variable that holds a key."""
    for line in texts.text_of(raw).splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        name, value = found[1], _bare(found[2].strip())
        kind = kind_of(name, value)
        if kind:
            detail = {"for": kind, "digest": digest_of(value, salt)}
            yield Finding(KEY, printable(name), printable(path, 500), detail)


def _bare(value: str) -> str:
    """The value without its quotes, or without the comment behind it."""
    if value[:1] in {'"', "'"} and (end := value.find(value[0], 1)) > 0:
        return value[1:end]
    return re.split(r"\s#", value, maxsplit=1)[0].strip()


def kind_of(name: str, value: str) -> str:
    """What a value opens, by how it begins, else "unknown" by its name; "" where it is no key."""
    if len(value) < _LEAST or _EMPTY.fullmatch(value):
        return ""
    begins = [each for each in KINDS if value.startswith(each)]
    if begins:
        return KINDS[max(begins, key=len)]
    return "unknown" if _SECRET_NAME.search(name) else ""


def digest_of(value: str, salt: bytes) -> str:
    """128 bits by which two places are known to hold the same key."""
    return hmac.new(salt, value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
