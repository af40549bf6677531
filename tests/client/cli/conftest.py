"""A command line of somebody's, against a Muster that listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from django.test import Client as Browser

from client.muster_client.cli import login
from client.muster_client.cli.main import main
from registry.devices import requests
from registry.identity import tokens
from registry.models import DeviceRequest, Person

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the command line keeps its token; nothing of the machine's own is seen."""
    for name in ("MUSTER_URL", "MUSTER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "config" / "config.json"
    monkeypatch.setenv("MUSTER_CONFIG", str(place))
    return place


@pytest.fixture
def run() -> Run:
    def call(*words: str, **more: Any) -> Result:
        result = CliRunner().invoke(main, [*words], **more)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result

    return call


@pytest.fixture
def muster(settings: Any, live_server: Any) -> Iterator[str]:
    """The address of a Muster that listens."""
    settings.MUSTER_BASE_URL = live_server.url
    settings.MUSTER_APPROVER_MFA = False
    tokens.forget()
    requests.forget()
    yield live_server.url
    tokens.forget()
    requests.forget()


@pytest.fixture
def confirm(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """While the command waits, its person types the code that it showed."""
    shown: list[str] = []
    echo = login.click.echo

    def watched(message: Any = None, **more: Any) -> None:
        shown.append(str(message))
        echo(message, **more)

    def will(person: Person, word: str = "allow") -> None:
        def type_it(_: float) -> None:
            DeviceRequest.objects.update(polled_at=None)
            codes = [each.rpartition(": ")[2] for each in shown if "and type" in each]
            browser = Browser()
            browser.force_login(person)
            browser.post("/device/", {"code": codes[-1], "answer": word})

        monkeypatch.setattr(login.click, "echo", watched)
        monkeypatch.setattr(login.time, "sleep", type_it)

    return will


@pytest.fixture
def sign_in(muster: str, run: Run, confirm: Callable[..., None]) -> Callable[..., None]:
    def sign(person: Person, *more: str, write: bool = True) -> None:
        confirm(person)
        may = ["--write"] if write else []
        result = run("login", muster, "--no-browser", *may, *more)
        assert result.exit_code == 0, result.output

    return sign
