"""What an inventory may say, and where it says what is wrong."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from lifecycle.apply.document import Inventory, read_inventory
from lifecycle.apply.nodes import read_yaml
from lifecycle.apply.problems import BadInventory
from lifecycle.apply.writing import write_yaml
from tests import public


def read(folder: Path, text: str | bytes, name: str = "inventory.yaml") -> Inventory:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_inventory(str(path))


def problems_of(folder: Path, text: str | bytes) -> list[str]:
    """The problems, with the folder's name taken off."""
    with pytest.raises(BadInventory) as caught:
        read(folder, text)
    return [line.removeprefix(f"{folder}/inventory.yaml:") for line in caught.value.lines()]


HEAD = "muster: 1\n"
BAD = {
    "empty": ("", ["1:1: The file is empty. Start with `muster: 1`."]),
    "a list": ("- 1\n", ["1:1: An inventory is a mapping that starts with muster: 1."]),
    "no version": (
        "systems: []\n",
        ["1:1: The key “muster” is missing. Start with `muster: 1`."],
    ),
    "another version": ("muster: 2\n", ["1:9: Only version 1 of the format can be read."]),
    "true is no version": ("muster: true\n", ["1:9: Only version 1 of the format can be read."]),
    "unknown kind": (
        HEAD + "agnets: []\n",
        ["2:1: “agnets” is not a kind. Did you mean “agents”?"],
    ),
    "unknown key": (
        HEAD + "systems:\n  - slug: crm\n    name: CRM\n    teir: internal\n",
        ["5:5: “teir” is not a key here. Did you mean “tier”?"],
    ),
    "unknown key, nothing alike": (
        HEAD + "systems:\n  - slug: crm\n    zzzz: 1\n",
        ["4:5: “zzzz” is not a key here."],
    ),
    "unknown key in an entry": (
        HEAD + "agents:\n  - slug: a\n    allowlist:\n      - tool: t\n        narowing: {}\n",
        ["6:9: “narowing” is not a key here. Did you mean “narrowing”?"],
    ),
    "a limit by another name": (
        HEAD + "agents:\n  - slug: a\n    rate_per_minite: 3\n",
        ["4:5: “rate_per_minite” is not a key here. Did you mean “rate_per_minute”?"],
    ),
    "no key": (HEAD + "systems:\n  - name: CRM\n", ["3:5: The key “slug” is missing."]),
    "not a list": (HEAD + "systems: {}\n", ["2:10: A list of systems is wanted here."]),
    "not a mapping": (
        HEAD + "gateways: [a]\n",
        ["2:12: A mapping is wanted here, with slug, name, source, is_active, absent."],
    ),
    "wrong choice": (
        HEAD + "systems:\n  - slug: crm\n    tier: internl\n",
        [
            (
                "4:11: “internl” is none of: public, internal, confidential, restricted."
                " Did you mean “internal”?"
            )
        ],
    ),
    "a slug that is none": (
        HEAD + "systems:\n  - slug: CRM system\n",
        [
            (
                "3:11: Use lower-case letters, digits, and single - _ . between them,"
                " such as refund-desk."
            )
        ],
    ),
    "a number for a text": (
        HEAD + "systems:\n  - slug: crm\n    name: 5\n",
        ["4:11: A text is wanted here. Write it in quotes."],
    ),
    "a text for a number": (
        HEAD + "agents:\n  - slug: a\n    rate_per_minute: '5'\n",
        ["4:22: A whole number is wanted here, without quotes."],
    ),
    "a text for true": (
        HEAD + "gateways:\n  - {slug: g, is_active: yes}\n",
        ["3:26: true or false is wanted here."],
    ),
    "a negative rate": (
        HEAD + "agents:\n  - slug: a\n    rate_per_minute: -1\n",
        ["4:22: Ensure this value is greater than or equal to 0."],
    ),
    "no date": (
        HEAD + "people:\n  - email: a@example.com\n    last_day: 2026-02-30\n",
        ["4:15: A date is wanted here, such as 2026-11-23."],
    ),
    "no e-mail address": (
        HEAD + "people:\n  - email: nobody\n",
        ["3:12: Enter a valid email address."],
    ),
    "twice": (
        HEAD + "systems:\n  - slug: crm\n  - slug: crm\n",
        ["4:5: “crm” stands twice, first in inventory.yaml:3."],
    ),
    "twice in another case": (
        HEAD + "tools:\n  - name: crm.read\n  - name: CRM.read\n",
        ["4:5: “CRM.read” stands twice, first in inventory.yaml:3."],
    ),
    "an entry twice": (
        HEAD + "agents:\n  - slug: a\n    allowlist:\n      - tool: t\n      - t\n",
        ["6:9: “t” stands twice in this list."],
    ),
    "a word twice": (
        HEAD + "roles:\n  - slug: r\n    tools: [t, t]\n",
        ["4:16: “t” stands twice in this list."],
    ),
    "duplicate key": (
        HEAD + "systems:\n  - slug: crm\n    tier: public\n    tier: internal\n",
        ["5:5: The key “tier” stands twice, first in line 4."],
    ),
    "deleting what stays": (
        HEAD + "agents:\n  - slug: a\n    absent: true\n",
        [
            (
                "4:13: Agents are never deleted, so that the record keeps its meaning."
                " Decommission it on its page."
            )
        ],
    ),
    "absent with more": (
        HEAD + "policies:\n  - slug: p\n    absent: true\n    log_only: true\n",
        ["3:5: What is absent has no log_only."],
    ),
    "tag": (
        HEAD + "systems: !!python/object/apply:os.system [x]\n",
        [
            (
                "2:10: Tags such as “tag:yaml.org,2002:python/object/apply:os.system” are not read."
                " Leave it out."
            ),
            (
                "2:43: A mapping is wanted here, with slug, name, description, environment, tier,"
                " categories, country, trust, personal_resource_ids, provider, rate_per_minute,"
                " rate_per_hour, owner, resources, agreements, absent."
            ),
        ],
    ),
    "not YAML": (
        HEAD + "a: b: c\n",
        ["2:5: This is not YAML: mapping values are not allowed in this context."],
    ),
    "not UTF-8": (b"muster: 1\nname: \xff\n", ["2:1: The file is not UTF-8."]),
    "control character": (
        HEAD + "# \x1b[31m\n",
        ["2:3: The character U+001B is not allowed in YAML."],
    ),
    "NUL": (
        HEAD + 'x: "\\0"\n',
        ["2:1: “x” is not a kind.", "2:4: The character NUL is not allowed."],
    ),
    "two documents": (
        HEAD + "---\nmuster: 1\n",
        ["2:1: A file holds one document, this is a second."],
    ),
    "a huge number": (
        HEAD + "tools:\n  - name: t\n    cost_minor: 9007199254740993\n",
        [
            "4:17: A whole number is wanted here, without quotes.",
            "4:17: The number is too large. Write it in quotes, as text.",
        ],
    ),
    "a policy with text and file": (
        HEAD + "policies:\n  - slug: p\n    text: permit(principal, action, resource);\n"
        "    file: p.cedar\n",
        [
            "5:11: A policy has either a text or a file, not both.",
            "5:11: The file “p.cedar” cannot be read: there is no such file.",
        ],
    ),
    "several at once": (
        HEAD + "systems:\n  - slug: crm\n    teir: x\n    country: 5\nroels: []\n",
        [
            "4:5: “teir” is not a key here. Did you mean “tier”?",
            "5:14: A text is wanted here. Write it in quotes.",
            "6:1: “roels” is not a kind. Did you mean “roles”?",
        ],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_problems_stand_where_they_are(tmp_path: Path, name: str) -> None:
    text, expected = BAD[name]

    found = problems_of(tmp_path, text)

    assert [line.replace(f"{tmp_path}/", "") for line in found] == expected


def bomb() -> bytes:
    lines = ['a: &a ["lol"]']
    lines += [
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    return "\n".join(lines).encode()


HOSTILE = {
    "billion laughs": (bomb(), "There are more than 500,000 values, aliases counted in."),
    "an alias of itself": (b"a: &a [*a]", "The alias “a” has no complete anchor before it."),
    "100,000 keys": (
        b"\n".join(b"k%d: 1" % n for n in range(100_000)),
        "A mapping holds more than 1,000 keys.",
    ),
    "deep lists": (b"[" * 100_000, "The nesting is deeper than 32 levels."),
    "deep mappings": (b"{a: " * 100_000, "The nesting is deeper than 32 levels."),
    "deep dashes": (b"- " * 100_000, "The nesting is deeper than 32 levels."),
    "complex keys": (b"? " * 100_000, "A key must be a word, not a list or a mapping."),
    "a large file": (b"#" * (16 * 1024 * 1024 + 1), "The file is larger than 16 MiB."),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_is_refused_quickly(tmp_path: Path, name: str) -> None:
    raw, expected = HOSTILE[name]
    before = time.monotonic()

    found = problems_of(tmp_path, raw)

    assert found[-1].split(": ", 1)[1] == expected
    assert time.monotonic() - before < 3


def test_words_of_yaml_1_1_stay_texts(tmp_path: Path) -> None:
    inventory = read(
        tmp_path, HEAD + "systems:\n  - {slug: no, name: 12:30, country: NO, provider: yes}\n"
    )

    (item,) = inventory
    assert item.fields == {"slug": "no", "name": "12:30", "country": "NO", "provider": "yes"}


def test_aliases_are_written_out(tmp_path: Path) -> None:
    inventory = read(
        tmp_path,
        HEAD + "systems:\n  - {slug: a, categories: &c [pii, finance]}\n"
        "  - {slug: b, categories: *c}\n",
    )

    assert [item.fields["categories"] for item in inventory] == [["finance", "pii"]] * 2


def test_folder_is_read_as_one(tmp_path: Path) -> None:
    (tmp_path / "teams").mkdir()
    (tmp_path / "a.yaml").write_text(HEAD + "systems:\n  - {slug: crm}\n")
    (tmp_path / "teams" / "b.yml").write_text(HEAD + "systems:\n  - {slug: erp}\n")
    (tmp_path / ".hidden.yaml").write_text("not read")
    (tmp_path / "notes.txt").write_text("not read")

    inventory = read_inventory(str(tmp_path))

    assert [item.label for item in inventory] == ["crm", "erp"]


def test_folder_refuses_what_two_files_say(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(HEAD + "systems:\n  - {slug: crm}\n")

    with pytest.raises(BadInventory) as caught:
        read_inventory(str(tmp_path))

    expected = f"{tmp_path}/b.yaml:3:5: “crm” stands twice, first in {tmp_path}/a.yaml:3."
    assert caught.value.lines() == [expected]


def test_policy_text_may_lie_beside(tmp_path: Path) -> None:
    (tmp_path / "p.cedar").write_text("permit(principal, action, resource);\n")

    (item,) = read(tmp_path, HEAD + "policies:\n  - {slug: p, file: p.cedar}\n")

    assert item.fields == {"slug": "p", "text": "permit(principal, action, resource);\n"}


@pytest.mark.parametrize("name", ["../outside.cedar", "/etc/hostname", "link.cedar"])
def test_policy_file_outside_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "inventory"
    folder.mkdir()
    (tmp_path / "outside.cedar").write_text("permit(principal, action, resource);")
    (folder / "link.cedar").symlink_to(tmp_path / "outside.cedar")

    found = problems_of(folder, HEAD + f"policies:\n  - {{slug: p, file: {name}}}\n")

    reason = "it lies outside the folder that is applied."
    assert found == [f"3:21: The file “{name}” cannot be read: {reason}"]


def test_json_is_an_inventory_too(tmp_path: Path) -> None:
    wanted = {"muster": 1, "systems": [{"slug": "crm", "name": "C\u2028R\U0001f600M"}]}

    (item,) = read(tmp_path, json.dumps(wanted, ensure_ascii=False))

    assert item.fields == {"slug": "crm", "name": "C\u2028R\U0001f600M"}


def test_every_naughty_string_is_read_as_it_was_written() -> None:
    strings = public.naughty_strings()

    node, problems = read_yaml(write_yaml({"strings": strings}).encode(), "naughty.yaml")

    assert problems == []
    assert node is not None
    assert node.plain() == {"strings": strings}


TRICKY = [
    *("", "null", "~", "true", "False", "no", "1", "-1.5", "1e3", ".5", "0x1f", "1_000", "12:30"),
    *("2026-11-23", "=", "<<", "- a", "a: b", "#x", " a ", "a\n", "\na", "a\n\n", "'", '"', "*a"),
    *("!a", "\u2028", "\x85", "\ufeff", "\U0001f600", "a\tb", "%", "@", "`", "|", "? a", "9" * 30),
]


@pytest.mark.parametrize("text", TRICKY)
def test_texts_stay_texts(text: str) -> None:
    node, problems = read_yaml(write_yaml({"key": [text, {"in": text}]}).encode(), "t.yaml")

    assert problems == []
    assert node is not None
    assert node.plain() == {"key": [text, {"in": text}]}
