"""The settings: declared once, read strictly, named where they are wrong, described as they are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from governance import configuration
from governance.configuration.declared import ELSEWHERE, SETTINGS
from governance.configuration.reference import page
from governance.configuration.setting import Kind, Setting
from governance.runner.__main__ import main
from governance.runner.places import PROJECT

HERE = {
    "DATABASE_URL": "postgres://muster_web:hunter2hunter2@127.0.0.1:9/muster",
    "MUSTER_DATA": "/nowhere",
    "MUSTER_KEYS": "/nowhere/keys",
}
SERVER = ("governance", "compliance", "lifecycle", "authz", "registry", "audit")
NAME = re.compile(r"\b(?:MUSTER|OTEL)_[A-Z_]+[A-Z]\b")
BAD = {
    Kind.WHOLE: ("soon", "1.5", "-1", "99999999999999999999"),
    Kind.DECIMAL: ("soon", "-1", "nan", "1e300"),
    Kind.SWITCH: ("ture", "2"),
    Kind.CHOICE: ("nonsense", "", "ON"),
    Kind.JSON: ("{", '{"a": 1}', "3"),
    Kind.ADDRESS: ("ftp://there", "no address", "http://host:99999"),
}


def refused(**changes: str) -> str:
    with pytest.raises(configuration.WrongSettings) as error:
        configuration.read({**HERE, **changes})
    return str(error.value)


def test_reference_is_what_the_code_says() -> None:
    """`python -m governance.configuration.reference docs/reference` writes it anew."""
    assert (PROJECT / "docs/reference/settings.md").read_text() == page()


def test_what_is_not_set_has_its_default() -> None:
    assert configuration.read(HERE) == {
        **{each.name: each.default for each in SETTINGS},
        **HERE,
    }


@pytest.mark.parametrize(
    "setting", [each for each in SETTINGS if each.kind in BAD], ids=lambda each: each.name
)
def test_what_is_wrong_is_refused_by_name(setting: Setting) -> None:
    for bad in BAD[setting.kind]:
        said = refused(**{setting.name: bad})

        assert re.fullmatch(rf"{setting.name} must be .+\.", said)


@pytest.mark.parametrize(
    "setting", [each for each in SETTINGS if each.least is not None], ids=lambda each: each.name
)
def test_bounds_belong_to_what_is_allowed(setting: Setting) -> None:
    step = 1 if setting.kind is Kind.WHOLE else 0.01
    beyond = [(setting.least or 0) - step, *([setting.most + step] if setting.most else [])]

    for bound in filter(None, (setting.least, setting.most)):
        assert setting.read({setting.name: f"{bound:g}"}) == bound
    for bad in beyond:
        assert setting.range in refused(**{setting.name: f"{bad:g}"})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert refused(MUSTER_HOLD_HOURS="soon", MUSTER_ZONE="Mars/Olympus", MUSTER_VAULTS="") == (
        "MUSTER_HOLD_HOURS must be a whole number of hours, 1 or more, at most 876600. "
        "MUSTER_ZONE must be a time zone of the IANA database, such as Europe/Berlin. "
        "MUSTER_VAULTS must name some of embedded, aws, kv."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"MUSTER_IDLE_DAYS": "20"},
            "MUSTER_NEVER_FIRED_DAYS must be no more than MUSTER_IDLE_DAYS.",
        ),
        (
            {"MUSTER_ROTATION_DAYS_RESTRICTED": "7"},
            (
                "MUSTER_ROTATION_OVERLAP_DAYS must be shorter than the time to the next rotation, "
                "which MUSTER_ROTATION_DAYS_… puts at 7 days."
            ),
        ),
        (
            {"MUSTER_VAULTS": "embedded, kv", "MUSTER_KV_URL": "https://kv.example"},
            "MUSTER_KV_ROLE_ID is not set, and MUSTER_VAULTS names kv, which needs it.",
        ),
        (
            {"MUSTER_ANCHORS": '[{"name": "a"}]', "MUSTER_ANCHORS_FILE": "/a.json"},
            "MUSTER_ANCHORS and MUSTER_ANCHORS_FILE are both set. Set one of them.",
        ),
        (
            {"MUSTER_SIGN_IN_PROVIDERS": "[{}]", "MUSTER_SIGN_IN_FILE": "/a.json"},
            "MUSTER_SIGN_IN_PROVIDERS and MUSTER_SIGN_IN_FILE are both set. Set one of them.",
        ),
        (
            {"MUSTER_APPROVED_COUNTRIES": "at,BE"},
            (
                "MUSTER_APPROVED_COUNTRIES must be a list of ISO 3166 codes in capitals, such as "
                "AT,BE."
            ),
        ),
        (
            {"MUSTER_CALENDAR": "Atlantis"},
            (
                "MUSTER_CALENDAR must be empty, or a country of ISO 3166 or a part of one, such as "
                "DK or DE-BY."
            ),
        ),
        (
            {"MUSTER_BASE_URL": "https://"},
            (
                "MUSTER_BASE_URL must be an address such as https://muster.example, with a host "
                "and no query."
            ),
        ),
    ],
)
def test_contradictions_are_named(changes: dict[str, str], said: str) -> None:
    assert refused(**changes).startswith(said)


def test_nothing_between_commas_is_a_list_of_nothing() -> None:
    """An installation that approves no country must not approve the default ones."""
    assert configuration.read({**HERE, "MUSTER_APPROVED_COUNTRIES": ""})[
        "MUSTER_APPROVED_COUNTRIES"
    ] == ([])


def test_an_empty_switch_is_not_off() -> None:
    assert configuration.read({**HERE, "MUSTER_APPROVER_MFA": ""})["MUSTER_APPROVER_MFA"] is True


def test_no_sentence_repeats_a_value() -> None:
    said = refused(
        DATABASE_URL="mysql://root:hunter2hunter2@db/x",
        MUSTER_EMAIL_URL="hunter2hunter2",
        MUSTER_HOLD_HOURS="hunter2hunter2",
        MUSTER_CALENDAR="hunter2hunter2",
        MUSTER_ANCHORS="hunter2hunter2",
    )

    assert "hunter2" not in said
    assert said.count(" must be ") == 5


def test_what_up_sets_itself_need_not_be_there_before() -> None:
    assert configuration.faults({}) == []
    assert configuration.faults({"MUSTER_KEYS": "/k", "MUSTER_OPEN_HOLDS": "0"}) == [
        "MUSTER_OPEN_HOLDS must be a whole number, 1 or more, at most 2147483647."
    ]


def test_unknown_names_are_told_with_the_nearest_one() -> None:
    found = configuration.unknown_names(
        {"MUSTER_HOLD_HOUR": "1", "MUSTER_QQQQQQQQQQQQ": "1", "PATH": "", **HERE}
    )

    assert list(found) == [
        "MUSTER_HOLD_HOUR is no setting of Muster, and does nothing. Is MUSTER_HOLD_HOURS meant?",
        "MUSTER_QQQQQQQQQQQQ is no setting of Muster, and does nothing.",
    ]


def test_what_the_server_reads_is_declared() -> None:
    declared = {each.name for each in SETTINGS}.union(ELSEWHERE)
    families = {each.family for each in SETTINGS}
    # Names that settings of Django's kind have within Python, and families' own.
    read = {
        name
        for app in SERVER
        for path in (PROJECT / app).rglob("*.py")
        if "migrations" not in path.parts
        for name in re.findall(
            r'(?:environ\b.*?|given)[\[(]"((?:MUSTER|OTEL)_\w+)"', path.read_text()
        )
    }

    assert read - declared - families == set()
    assert len(read) > 60


def test_what_is_declared_is_read() -> None:
    text = "\n".join(
        path.read_text()
        for app in SERVER
        for path in (PROJECT / app).rglob("*.py")
        if path.parent.name != "configuration"
    )
    names = set(NAME.findall(text))
    families = {each.family for each in SETTINGS if f'"{each.family}"' in text}

    assert {
        each.name for each in SETTINGS if each.name not in names and each.family not in families
    } - {"DATABASE_URL", "CELERY_BROKER_URL"} == set()


@pytest.mark.parametrize("started", [["manage.py", "check"], ["-c", "import governance.asgi"]])
def test_a_process_refuses_with_one_line(started: list[str]) -> None:
    told = {**HERE, "PATH": os.environ["PATH"], "MUSTER_HOLD_HOURS": "soon"}

    done = subprocess.run(
        [sys.executable, *started],
        env={**told, "DJANGO_SETTINGS_MODULE": "governance.settings"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (
        78,
        "",
        (
            "Muster refuses to start: MUSTER_HOLD_HOURS must be a whole number of hours, 1 or "
            "more, at most 876600.\n"
        ),
    )


def test_up_refuses_before_it_makes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUSTER_PORT", "eight")

    code = main(["up", "--data", str(tmp_path / "data")])

    assert (code, capfd.readouterr().err) == (
        1,
        "muster: MUSTER_PORT must be a whole number, from 0 to 65535.\n",
    )
    assert not (tmp_path / "data").exists()
