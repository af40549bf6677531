"""The bill of materials, known faults of packages, the documentation as a site."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from governance.runner import audit, docs, sbom, site, testing
from governance.runner.audit import Looked, Outcome
from governance.runner.places import PROJECT, CannotStart
from governance.runner.requirements import pinned

PIN = "a-b==1.0 \\\n    --hash=sha256:" + "a" * 64 + "\n"


def test_the_bill_has_every_pin_once() -> None:
    text = (PROJECT / "requirements.txt").read_text()

    whole = sbom.bill(text)

    components = json.loads(whole)["components"]
    assert {(each["name"], each["version"]) for each in components} == {
        (name, version) for name, versions in pinned(text).items() for version in versions
    }
    assert sum(len(each["externalReferences"]) for each in components) == len(
        re.findall(r"--hash=sha256:[0-9a-f]{64}", text)
    )


def test_a_bill_is_one_of_cyclonedx() -> None:
    """By the published schema, which takes minutes for all that is pinned."""
    marked = PIN.replace("a-b==1.0", "c==2 ; sys_platform == 'win32'")

    whole = sbom.bill(PIN + marked)

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(whole) is None
    assert [each["bom-ref"] for each in json.loads(whole)["components"]] == [
        "pkg:pypi/a-b@1.0",
        "pkg:pypi/c@2#sys_platform == 'win32'",
    ]


def test_the_same_requirements_make_the_same_bill() -> None:
    assert sbom.bill(PIN) == sbom.bill(PIN)
    assert sbom.bill(PIN) != sbom.bill(PIN.replace("1.0", "1.1"))


def test_a_pin_without_a_hash_makes_no_bill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CannotStart, match="has 2 pins, 1 of them with hashes"):
        sbom.bill(PIN + "c==2.0\n")
    with pytest.raises(CannotStart, match="cannot be written"):
        sbom.run([str(tmp_path / "nowhere" / "bill.json")])

    assert sbom.run([str(tmp_path / "bill.json")]) == 0
    whole = json.loads((tmp_path / "bill.json").read_text())
    assert whole["bomFormat"] == "CycloneDX"
    assert capsys.readouterr().err.startswith(f"{len(whole['components'])} packages in ")


def report(*dependencies: dict[str, Any]) -> str:
    return json.dumps({"dependencies": dependencies, "fixes": []})


GOOD = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "skip_reason": "Dependency not found on PyPI"}
BAD = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]}


@pytest.mark.parametrize(
    ("printed", "complained", "looked"),
    [
        (report(GOOD), "", Looked(Outcome.CLEAN, "no fault is known of 1 packages.")),
        (report(GOOD, UNKNOWN, BAD), "", Looked(Outcome.FOUND, "c 2: PYSEC-1; mended in 2.1")),
        (
            report(GOOD, UNKNOWN),
            "",
            Looked(
                Outcome.SKIPPED,
                "the vulnerability service told nothing of 1 of 2 packages (b).",
            ),
        ),
        (
            report(),
            "",
            Looked(
                Outcome.SKIPPED,
                "the vulnerability service told nothing of 0 of 0 packages (there are none).",
            ),
        ),
        (
            "",
            "Traceback\nrequests.exceptions.ConnectionError: away",
            Looked(
                Outcome.SKIPPED,
                "the vulnerability service cannot be reached: "
                "requests.exceptions.ConnectionError: away",
            ),
        ),
        ("", "usage: pip-audit", Looked(Outcome.FOUND, "pip-audit failed: usage: pip-audit")),
        ("null", "", Looked(Outcome.FOUND, "pip-audit failed: it said nothing")),
    ],
)
def test_what_cannot_be_told_of_packages_is_not_passed(
    printed: str, complained: str, looked: Looked
) -> None:
    assert audit.read(printed, complained) == looked


def test_a_service_that_takes_too_long_is_skipped() -> None:
    assert audit.look(seconds=0.01) == Looked(
        Outcome.SKIPPED, "the vulnerability service took more than 0.01 s."
    )


def test_a_check_that_is_skipped_says_so_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "import sys; print('nobody answered'); sys.exit(75)"
    monkeypatch.setattr(testing, "environment", lambda installation, process: {})
    wanted = [testing.Check("vulnerabilities", [sys.executable, "-c", said])]

    failed = testing._run_checks(None, wanted)  # type: ignore[arg-type]

    told = capsys.readouterr().out
    assert failed == []
    assert re.fullmatch(r"vulnerabilities +skipped \([0-9.]+ s\)\nnobody answered\n", told)
    assert {each.name for each in testing.long_checks()} >= {"vulnerabilities", "site"}


# The site


def test_every_page_is_in_the_site_once() -> None:
    named = [page for section in site.nav() for pages in section.values() for page in pages]

    there = sorted(str(path.relative_to(site.DOCS)) for path in site.DOCS.rglob("*.md"))
    assert sorted(named) == there


def test_the_theme_loads_nothing_from_elsewhere() -> None:
    text = (PROJECT / "mkdocs.yml").read_text()
    found = yaml.safe_load(text)

    assert (found["theme"]["name"], found["theme"]["font"]) == ("material", False)
    assert "http" not in text


def test_a_link_out_of_the_pages_is_its_name_and_a_broken_one_stays() -> None:
    page = type("Page", (), {"file": type("File", (), {"src_uri": "howto/install.md"})})
    text = "[Security](../../SECURITY.md) [Seal](seal.md) [Gone](../../GONE.md) [S](https://s.e)"

    assert site.on_page_markdown(text, page=page) == (
        "Security [Seal](seal.md) [Gone](../../GONE.md) [S](https://s.e)"
    )


@pytest.mark.outside
def test_the_site_builds_strictly_and_asks_nobody(tmp_path: Path) -> None:
    done = docs.build(tmp_path / "site")

    assert done.returncode == 0, done.stdout
    loaded = [
        address
        for path in (tmp_path / "site").rglob("*.html")
        for address in re.findall(
            r'<(?:script|link rel="stylesheet"|img)[^>]+(?:src|href)="([^"]+)"', path.read_text()
        )
    ]
    assert len(loaded) > 100
    assert [each for each in loaded if "//" in each] == []


@pytest.mark.outside
def test_a_broken_link_breaks_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mkdocs.yml", "SECURITY.md", "CHANGELOG.md"):
        shutil.copy(PROJECT / name, tmp_path)
    shutil.copytree(PROJECT / "docs", tmp_path / "docs")
    (tmp_path / "governance/runner").mkdir(parents=True)
    shutil.copy(PROJECT / "governance/runner/site.py", tmp_path / "governance/runner")
    with (tmp_path / "docs/howto/seal.md").open("a") as page:
        page.write("\n[Nowhere](nowhere.md)\n")
    monkeypatch.setattr(docs, "PROJECT", tmp_path)

    done: subprocess.CompletedProcess[str] = docs.build(tmp_path / "site")

    assert done.returncode == 1
    assert "nowhere.md" in done.stdout
