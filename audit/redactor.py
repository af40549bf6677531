"""Recognises credentials, so that none is ever recorded.

Every pattern runs on RE2, in time linear in the input. A recognised form is a refusal, so the
patterns are those of keys with a known shape; a value of no known shape counts only beside a
name such as `password`. Names are looked at as well as values.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import re2

from audit.errors import NotRecordable
from audit.payloads import canonical

REMOVED = "[credential removed]"
SEALED = "hmac-sha256:"

# Forms that nothing else has.
_KNOWN = (
    rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY",
    rb"PuTTY-User-Key-File-",
    rb"AGE-SECRET-KEY-1[0-9A-Z]{50}",
    rb"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{4,}\.",  # JWT, JWE
    rb"\bmst_[A-Za-z0-9_-]{16}",  # Muster
    rb"\b(?:mcl|muster_(?:log|scim))_[A-Za-z0-9_-]{43}",
    rb"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",  # AWS
    rb"\bAIza[0-9A-Za-z_-]{35}",  # Google
    rb"\bya29\.[0-9A-Za-z_-]{20}",
    rb"\bGOCSPX-[0-9A-Za-z_-]{20}",
    rb"\b[A-Za-z0-9_~.-]{3}[78]Q~[A-Za-z0-9_~.-]{31}",  # Azure
    rb"\b(?i:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40}",
    rb"[?&]sig=[A-Za-z0-9%/+]{40}",
    rb"\bgh[pousr]_[A-Za-z0-9]{36}",  # GitHub
    rb"\bgithub_pat_[A-Za-z0-9_]{22}",
    rb"\bglpat-[A-Za-z0-9_-]{20}",  # GitLab
    rb"\bxox[abeoprs]-[A-Za-z0-9-]{10}",  # Slack
    rb"\bxapp-[0-9]-[A-Za-z0-9-]{10}",
    rb"hooks\.slack\.com/services/T[A-Z0-9]{6,20}/B[A-Z0-9]{6,20}/[A-Za-z0-9]{16}",
    rb"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10}",  # Stripe
    rb"\bwhsec_[A-Za-z0-9+/]{20}",
    rb"\bsk-(?:ant|proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{16}",  # OpenAI, Anthropic
    rb"\bsk-[A-Za-z0-9]{32}",
    rb"\bnpm_[A-Za-z0-9]{36}",
    rb"\bpypi-AgE[A-Za-z0-9_-]{30}",
    rb"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32}",  # SendGrid
    rb"\bhf_[A-Za-z0-9]{30}",  # Hugging Face
    rb"\bhv[bs]\.[A-Za-z0-9_-]{20}",  # HashiCorp Vault
    rb"\bdo[opr]_v1_[a-f0-9]{64}",  # DigitalOcean
    rb"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",  # Shopify
    rb"\bdckr_pat_[A-Za-z0-9_-]{20}",
    rb"\bATATT3[A-Za-z0-9_=-]{30}",  # Atlassian
    rb"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",  # Telegram
    rb"\bSK[0-9a-f]{32}\b",  # Twilio
    rb"\b[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s/?#:@]{0,160}:[^\s/?#@]{1,160}@[^\s/@]",  # basic auth
)
# Forms that prose can have as well: what stands after them decides. Groups: name, sign, opening
# quote, value.
_ASSIGNED = (
    rb"(?i:(?:\b|_)(pass(?:word|wd|phrase)|pwd|(?:client|shared|app)[_-]?secret|secret"
    rb"|(?:api|access|secret|private|signing|encryption|account)[_ -]?key"
    rb"|secret[_-]?access[_-]?key|(?:(?:access|refresh|auth|api|id|session|bearer)[_-]?)?token"
    rb"|authorization)[\"']?\s{0,4}(:=|=>|[:=])\s{0,4})"
    rb"([\"']?)([^\s\"',;&<>]{4,200})"
)
_CARRIED = rb"(?i:\b(?:bearer|basic)\s{1,4})([A-Za-z0-9._~+/=-]{12,200})"
# Names whose value is a credential whatever it looks like, and names that make one likely.
_STRONG_NAME = (
    rb"(?i)(?:pass(?:word|wd|phrase)|pwd|client[_-]?secret|api[_-]?key|apikey"
    rb"|(?:secret|private)[_-]?key|secret[_-]?access[_-]?key|authorization)[0-9]*$"
)
_WEAK_NAME = rb"(?i)(?:secret|token|credential|auth|bearer|cookie|signature|otp|(?:^|[_.\- ])key)$"
_PLACEHOLDER = (
    rb"(?i)(?:null|none|nil|true|false|string|text|secret|password|required|optional|hidden"
    rb"|redacted|removed|missing|invalid|expired|unknown|changed|x+|\*+|(?:\xe2\x80\xa2)+|\.+|-+|_+"
    rb"|<.*|\$\{?.*|\{\{?.*|\[.*|%.*%?|hmac-sha256:[0-9a-f]{64})"
)
# A quick look at canonical JSON as a whole, so without counts and boundaries: its escapes stand
# before words. It finds whatever the patterns above find in the value, and more.
_SUSPECT = (
    rb"PRIVATE KEY|PuTTY-User-Key|AGE-SECRET-KEY|eyJ[A-Za-z0-9]|mst_|A(?:KI|SI|BI|CC)A[A-Z0-9]",
    rb"mcl_|muster_(?:log|scim)_|AIza|ya29\.|GOCSPX-|[78]Q~|(?i:AccountKey|SharedAccessKey)=|[?&]sig=|gh[pousr]_|github_pat_",
    rb"glpat-|xox[abeoprs]-|xapp-|hooks\.slack\.com|[rs]k_(?:live|test)_|whsec_|sk-|npm_|pypi-AgE",
    rb"SG\.|hf_|hv[bs]\.|do[opr]_v1_|shp(?:at|ca|pa|ss)_|dckr_pat_|ATATT3|[0-9]:AA|SK[0-9a-f]",
    rb"://[^\s/?#@]*@",
    (
        rb"(?i:pass(?:word|wd|phrase)|pwd|secret|token|key|auth(?:orization)?|credential|bearer"
        rb"|cookie|signature|otp)[0-9]*\\?[\"']?(?:\s|\\[nrtf])*[:=]"
    ),
    rb"(?i:bearer|basic)[\s\\]",
    rb"%[0-9A-Fa-f]",
)


def _compiled(pattern: bytes) -> Any:
    options = re2.Options()
    # Bytes as they are: hostile text need not be valid UTF-8 to be searched.
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    return re2.compile(pattern, options)


def _any_of(patterns: tuple[bytes, ...]) -> Any:
    return _compiled(b"|".join(b"(?:" + pattern + b")" for pattern in patterns))


_known = _any_of(_KNOWN)
_suspect = _any_of(_SUSPECT)
_assigned = _compiled(_ASSIGNED)
_carried = _compiled(_CARRIED)
_strong_name = _compiled(_STRONG_NAME)
_weak_name = _compiled(_WEAK_NAME)
_placeholder = _compiled(_PLACEHOLDER)
_sealed = _compiled(rb"hmac-sha256:[0-9a-f]{64}")


def find_secret(value: Any) -> str | None:
    """The place of the first recognised credential (`$.headers.authorization`), or None.

    A name that is itself a credential is shown as `*`. Fields declared secret are sealed by
    `seal_secret_field` before they come here; what that returns is not recognised.
    """
    return next(_places(value, "$", b""), None) if _is_worth_a_look(value) else None


def _is_worth_a_look(value: Any) -> bool:
    try:
        return is_suspect(canonical(value))
    except NotRecordable:
        return True  # Bytes and the like have no JSON form, and are looked at all the same.


def is_suspect(raw: bytes) -> bool:
    """Whether canonical JSON is worth a closer look; False only where nothing would be found."""
    return _suspect.search(raw) is not None


def redact(value: Any) -> Any:
    """`value` with every recognised credential replaced by a fixed text."""
    if type(value) is str and not _is_worth_a_look(value):
        return value
    return _redacted(value, b"")


def seal_secret_field(value: Any, salt: bytes) -> str:
    """What is stored in the place of a field that is declared secret.

    `salt` is that of the payload field in which it stands, so the HMAC cannot be guessed at
    without the record's key, nor compared between records.
    """
    return SEALED + hmac.new(salt, canonical(value), hashlib.sha256).hexdigest()


def _places(value: Any, path: str, name: bytes) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            raw = _bytes(key)
            if _is_secret(raw, b""):
                yield f"{path}.*"
            yield from _places(member, f"{path}.{key}", raw)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, member in enumerate(value):
            yield from _places(member, f"{path}[{index}]", name)
    elif not isinstance(value, bool | None) and _is_secret(_bytes(value), name):
        yield path


def _redacted(value: Any, name: bytes) -> Any:
    if isinstance(value, Mapping):
        return {
            (REMOVED if _is_secret(_bytes(key), b"") else key): _redacted(member, _bytes(key))
            for key, member in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(member, name) for member in value]
    if isinstance(value, bool | None) or not _is_secret(_bytes(value), name):
        return value
    return REMOVED


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return str(value).encode("utf-8", "surrogatepass")


def _is_secret(raw: bytes, name: bytes) -> bool:
    """Is this text a credential, in clear or URL-encoded, given the name it stands under?"""
    if len(raw) < 4 or _sealed.fullmatch(raw):
        return False
    if _is_named_secret(raw, name) or _holds_secret(raw):
        return True
    return b"%" in raw and _holds_secret(unquote_to_bytes(raw))


def _is_named_secret(raw: bytes, name: bytes) -> bool:
    if not name:
        return False
    if _strong_name.search(name):
        return not _placeholder.fullmatch(raw)
    return bool(_weak_name.search(name)) and _looks_random(raw)


def _holds_secret(raw: bytes) -> bool:
    # Nothing shorter has a known shape.
    if len(raw) < 8:
        return False
    if _known.search(raw):
        return True
    return any(map(_is_assigned_secret, _assigned.finditer(raw))) or any(
        _looks_random(found[1]) for found in _carried.finditer(raw)
    )


def _is_assigned_secret(found: Any) -> bool:
    name, sign, quote, value = found.groups()
    if _placeholder.fullmatch(value):
        return False
    # `password=…` is never prose and `password: …` may be; quotes and digits tell them apart.
    if name.lower().startswith((b"pass", b"pwd")):
        return sign != b":" or bool(quote) or _has_digit(value)
    return len(value) >= 8 and _has_digit(value) and _has_letter(value)


def _looks_random(raw: bytes) -> bool:
    """Long, without spaces, letters and digits mixed, and hard to guess at."""
    if not 12 <= len(raw) <= 4096 or b" " in raw or not (_has_digit(raw) and _has_letter(raw)):
        return False
    counts = Counter(raw).values()
    entropy = -sum(n / len(raw) * math.log2(n / len(raw)) for n in counts)
    return entropy >= 2.8


def _has_digit(raw: bytes) -> bool:
    return any(48 <= byte <= 57 for byte in raw)


def _has_letter(raw: bytes) -> bool:
    return raw.upper() != raw.lower()
