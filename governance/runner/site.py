"""What mkdocs does not know of our documentation: the order of its pages, and what lies outside.

A hook of `mkdocs.yml`: https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
TUTORIAL = (
    "howto/install.md",
    "howto/register-an-agent.md",
    "howto/first-decision.md",
    "howto/govern-a-python-agent.md",
    "howto/ask-for-an-approval.md",
    "howto/answer-what-waits.md",
    "howto/search-the-trail.md",
)
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s:]+)(#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """The pages in their order: the tutorial by hand, the rest by the folders."""
    config["nav"] = nav()
    return config


def nav() -> list[dict[str, Any]]:
    """Every page once; whoever adds one to a folder need not add it here."""
    return [
        {"Muster": ["README.md"]},
        {"Tutorial": [*_pages("tutorial"), *TUTORIAL]},
        {"How to": [page for page in _pages("howto") if page not in TUTORIAL]},
        {"Reference": _pages("reference")},
        {"Explanation": [*_pages("explanation"), "performance.md"]},
        {"Decisions": ["adr/README.md", *(p for p in _pages("adr") if p != "adr/README.md")]},
    ]


def _pages(folder: str) -> list[str]:
    return sorted(str(path.relative_to(DOCS)) for path in (DOCS / folder).glob("*.md"))


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """A link to a file of the project that is no page is its name alone; a broken one stays."""
    here = DOCS / Path(page.file.src_uri).parent

    def said(found: re.Match[str]) -> str:
        there = (here / found[2]).resolve()
        outside = not there.is_relative_to(DOCS) and there.exists()
        return found[1] if outside else found[0]

    return LINK.sub(said, markdown)
