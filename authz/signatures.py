"""The denied signatures that an installation starts with.

They are chosen for precision: each is text that an order to a model needs and that a sentence
between people has no use for. Patterns see plain text (authz/engine/signatures.py): lower case,
one space between words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from authz.models import Signature
from registry.enums import ToolEffect

_SENDS = (ToolEffect.WRITE, ToolEffect.EXTERNAL_COMMUNICATION)
# Names under which a link carries data away; a picture needs none of them.
_CARRIES = r"(?:data|exfil|leak|payload|conversation|history|secrets?|passwords?|stolen|prompt)"
_FILLED = r"(?:[^\s)\"'>&]{8}|[{\[<$])"


@dataclass(frozen=True, slots=True)
class First:
    """A signature that is planted; without effects it is for every tool."""

    slug: str
    pattern: str
    reason: str
    effects: tuple[ToolEffect, ...] = ()
    is_active: bool = True


FIRST = (
    First(
        slug="instruction-override",
        pattern=r"\b(?:ignore|disregard|forget|override|overrule)\s(?:all\s|any\s|everything\s)?"
        r"(?:of\s)?(?:the\s|your\s|these\s|those\s)?"
        r"(?:previous|prior|above|preceding|earlier|original|initial|system)\s"
        r"(?:\w+\s){0,2}(?:instructions?|prompts?|guidelines|directives)\b",
        reason="Tells a model to drop what it was told before.",
    ),
    First(
        slug="instruction-reset",
        pattern=r"\b(?:ignore|disregard|forget)\s(?:everything|all|anything)\s(?:that\s)?"
        r"(?:you\s(?:were|have\sbeen|had\sbeen)\s(?:told|given|taught|instructed)|"
        r"(?:written\s)?above\sand)\b",
        reason="Tells a model to start over under someone else's orders.",
    ),
    First(
        slug="new-orders",
        pattern=r"(?:^|[\s\"'>\]*#])(?:system|developer|assistant)(?:\s(?:message|prompt|note))?\s?:\s?"
        r"(?:you\s(?:are\snow|must|will\snow)|ignore|disregard|new\s(?:instructions?|orders?))\b",
        reason="Speaks in the name of the system or the developer in the midst of data.",
    ),
    First(
        slug="chat-template",
        pattern=r"<\|(?:im_(?:start|end|sep)|system|user|assistant|endoftext|endofprompt|"
        r"(?:begin|end)_of_text|(?:start|end)_header_id|eo[tm]_id|python_tag|tool_call|"
        r"start|end|channel|message|return|call|constrain)\|>|\[/?inst\]|<</?sys>>|"
        r"</?(?:start|end)_of_turn>",
        reason="Is a mark of a chat template: it ends a text and begins another speaker's.",
    ),
    First(
        slug="prompt-disclosure",
        pattern=r"\b(?:reveal|print|show|repeat|output|display|disclose|leak|dump|recite|tell\sme|"
        r"give\sme|send\sme)\s(?:(?:me|us)\s)?(?:all\s)?(?:of\s)?your\s(?:\w+\s){0,2}"
        r"(?:system\s?(?:prompt|message)|(?:system|initial|original|hidden|secret)\s"
        r"(?:prompt|instructions?))\b",
        reason="Asks a model for its system prompt.",
    ),
    First(
        slug="repeat-above",
        pattern=r"\brepeat\s(?:back\s)?(?:everything|(?:all\s)?(?:of\s)?the\s(?:words|text|lines))\s"
        r"(?:written\s)?(?:above|before\sthis)\b",
        reason="Asks a model to recite what stands before, which is its system prompt.",
    ),
    First(
        slug="unbound-persona",
        pattern=r"\byou\sare\snow\s(?:in\s)?(?:dan\b|(?:developer|jailbreak|god)\smode\b|"
        r"(?:an?\s)?(?:unrestricted|unfiltered|uncensored|jailbroken)\b)|\bdo\sanything\snow\b",
        reason="Gives a model a persona that has no rules.",
    ),
    First(
        slug="agent-hijack",
        pattern=r"\bbefore\syou\s(?:can|may)\s(?:solve|do|finish|complete|continue)\s(?:with\s)?"
        r"(?:the|your)\s(?:original\s|current\s)?task\b|"
        r"</?information>\s?this\sis\san\simportant\smessage\b",
        reason="Puts another task before the one that an agent was given.",
    ),
    First(
        slug="tool-call-markup",
        pattern=r"</?(?:tool_calls?|tool_use|tool_result|tool_response|function_calls?|function_results?)>|"
        r"<invoke\sname=|\[/?(?:tool_calls|available_tools|tool_results)\]|"
        r"\"(?:tool_calls|function_call)\"\s?:\s?[\[{]",
        reason="Is a call of a tool as models write it, where data is expected.",
    ),
    First(
        slug="exfiltration-image",
        pattern=rf"!\[[^\]]*\]\(\s?<?https?://[^\s)]*[?&](?:q|d|query|info|content|{_CARRIES})={_FILLED}|"
        rf"<img\s[^>]*src\s?=\s?[\"']?https?://[^\s\"'>]*[?&](?:q|d|query|info|content|{_CARRIES})="
        rf"{_FILLED}",
        reason="Is a picture whose address carries data away as soon as it is shown.",
        effects=_SENDS,
    ),
    First(
        slug="exfiltration-link",
        pattern=rf"\]\(\s?<?https?://[^\s)]*[?&]{_CARRIES}={_FILLED}",
        reason="Is a link whose address carries data to whoever serves it.",
        effects=_SENDS,
    ),
    First(
        slug="script-markup",
        pattern=r"<script[\s>/]|\bjavascript\s?:|\bdata:text/html\b|"
        r"\bon(?:error|load|click|mouseover|focus)\s?=\s?[\"'`\\]*\s?(?:alert|eval|prompt|fetch|"
        r"javascript)",
        reason="Is script for whoever opens the text in a browser. Switched off at the start: "
        "tools that write web pages need it.",
        effects=_SENDS,
        is_active=False,
    ),
)


def plant_signatures(**_: Any) -> None:
    """Put the first signatures in place. What was changed or taken out since stays so."""
    for each in FIRST:
        if not Signature.history.filter(slug=each.slug).exists():
            Signature.objects.create(**asdict(each))
