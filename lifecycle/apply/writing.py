"""YAML that is read back as it was written. Needs no Django: scripts use it too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from lifecycle.apply.nodes import reads_as_text

WIDTH = 100

_Dumper: Any = yaml.CSafeDumper if yaml.__with_libyaml__ else yaml.SafeDumper


class _Writer(_Dumper):  # type: ignore[misc]
    """Writes texts so that they are read as texts, by YAML 1.1 and 1.2 alike."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write everything out: an alias in an export helps nobody."""
        return True


def _text(writer: Any, text: str) -> yaml.ScalarNode:
    style = None
    if "\n" in text:
        style = "|"
    elif not reads_as_text(text):
        style = "'"
    node: yaml.ScalarNode = writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Writer.add_representer(str, _text)


def write_yaml(document: Mapping[str, Any]) -> str:
    """`document` as YAML that is read back as it was."""
    text: str = yaml.dump(
        dict(document),
        Dumper=_Writer,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        width=WIDTH,
    )
    return text
