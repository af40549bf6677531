"""A real nginx from Debian, configured by the words of the how-to, before a service of its own."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from authz.models import Hold
from authz.services import holds
from governance.runner.places import PROJECT
from registry.enums import AgentState
from registry.models import Agent
from tests.authz.test_ext_authz import GATED, proxied
from tests.factories.authz import Desk, bearer, make_person

pytestmark = [pytest.mark.outside, pytest.mark.django_db(transaction=True)]

HOWTO = PROJECT / "docs" / "howto" / "govern-a-service-behind-nginx.md"
GATEWAY_LINES = re.compile(r"^ +proxy_set_header Authorization   \$http_authorization;\n", re.M)
FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "nginx-light")


@dataclass
class Service:
    """What stands behind nginx, and what came to it."""

    port: int
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


@dataclass
class Front:
    """A running nginx."""

    port: int
    service: Service

    def ask(self, target: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str]]:
        """Status and headers for a request line and headers, sent as they stand."""
        lines = [f"{method} {target} HTTP/1.1", *headers, "Connection: close", "", ""]
        if not any(line.lower().startswith("host:") for line in headers):
            lines.insert(1, "Host: orders.example")
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            line.sendall("\r\n".join(lines).encode("latin-1"))
            head = b"".join(iter(lambda: line.recv(65536), b"")).partition(b"\r\n\r\n")[0]
        first, *rest = head.decode("latin-1").split("\r\n")
        told = {name.lower(): value for name, value in (each.split(": ", 1) for each in rest)}
        return int(first.split(" ")[1]), told


@pytest.fixture(scope="module")
def nginx() -> str:
    """The program; skips, and says why, where there can be none."""
    if not shutil.which("nginx"):
        if not shutil.which("apt-get"):
            pytest.skip("nginx is not installed, and there is no apt-get to install it")
        done = subprocess.run(INSTALL, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"apt-get could not install nginx: {done.stderr[-200:]}")
    return shutil.which("nginx") or "nginx"


@pytest.fixture
def service() -> Iterator[Service]:
    seen: list[tuple[str, str, dict[str, str]]] = []

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Service(server.server_address[1], seen)
    server.shutdown()
    server.server_close()
    thread.join()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def written(muster: str, tool: str, port: int, service: Service) -> str:
    """The how-to's server, with the addresses of this test."""
    (text,) = (
        block
        for block in re.findall(r"```nginx\n(.*?)```", HOWTO.read_text(), re.S)
        if block.startswith("server {")
    )
    text = re.sub(r"^ +(ssl_certificate|proxy_ssl)\w* .*\n", "", text, flags=re.M)
    for said, meant in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        ("https://muster.example", muster),
        ("http://127.0.0.1:9000", f"http://127.0.0.1:{service.port}"),
        ("orders.read;", f"{tool};"),
    ):
        assert text.count(said) == 1, said
        text = text.replace(said, meant)
    return text


@contextmanager
def running(
    program: str, folder: Path, server: str, service: Service, port: int
) -> Iterator[Front]:
    places = "".join(f"{name}_temp_path {folder}/{name};" for name in FOLDERS)
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {places}\n{server}}}\n"
    )
    command = [program, "-e", "stderr", "-p", str(folder), "-c", str(conf)]
    with (folder / "errors").open("w") as errors:
        child = subprocess.Popen(command, stderr=errors)
        try:
            _wait_for(port, child, folder / "errors")
            yield Front(port, service)
        finally:
            child.terminate()
            child.wait(30)


def _wait_for(port: int, child: subprocess.Popen[bytes], errors: Path) -> None:
    for _ in range(100):
        assert child.poll() is None, errors.read_text()
        with socket.socket() as line:
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(errors.read_text())


@pytest.fixture
def front(
    nginx: str, service: Service, live_server: Any, tmp_path: Path
) -> Iterator[Callable[..., Front]]:
    """`front(tool)`: nginx before the service, asking Muster; `change` edits the server's text."""
    open_ones: list[Any] = []

    def started(tool: str, change: Callable[[str], str] = str, muster: str = "") -> Front:
        port = free_port()
        text = change(written(muster or live_server.url, tool, port, service))
        open_ones.append(running(nginx, tmp_path, text, service, port))
        return open_ones[-1].__enter__()  # type: ignore[no-any-return]

    yield started
    for each in open_ones:
        each.__exit__(None, None, None)


def auth(desk: Desk) -> str:
    return f"Authorization: {bearer(desk.client)}"


def test_an_agents_own_token(front: Any, mark: Any, records_after: Any) -> None:
    desk = proxied()
    there, before = front(desk.tool.name), mark()

    allowed = there.ask("/v1/orders/17?limit=10", auth(desk), "User-Agent: x", "Cookie: a=b")
    denied = there.ask("/v1/admin", auth(desk))
    posted = there.ask("/v1/orders", auth(desk), "Content-Length: 0", method="POST")
    nobody = there.ask("/v1/orders/17")

    records = records_after(before, kind="decision")
    assert [each["effect"] for each in records] == ["allow", "deny", "deny"]
    assert [each[0] for each in (allowed, denied, posted, nobody)] == [200, 403, 403, 401]
    told = [each[1]["muster-decision-id"] for each in (allowed, denied, posted)]
    assert told == [str(each["id"]) for each in records]
    assert [each[1].get("muster-code") for each in (allowed, denied)] == [None, "parameters.schema"]
    assert nobody[1]["www-authenticate"].startswith("Bearer")
    ((method, path, headers),) = there.service.seen
    assert (method, path) == ("GET", "/v1/orders/17?limit=10")
    assert "authorization" not in headers


def test_what_a_client_says_in_the_proxys_name_is_not_heard(front: Any) -> None:
    desk, other = proxied(), proxied()
    there = front(desk.tool.name)
    lies = [
        f"{name}: {value}"
        for name, value in {
            "Muster-Tool": desk.tool.name,
            "Muster_Tool": desk.tool.name,
            "Muster-Agent": other.agent.slug,
            "Muster-Method": "GET",
            "Muster-Uri": "/v1/orders/17",
            "Muster_Uri": "/v1/orders/17",
            "Muster-Host": "orders.example",
            "X-Original-URI": "/v1/orders/17",
            "X-HTTP-Method-Override": "GET",
            "X-Forwarded-Host": "orders.example",
        }.items()
    ]

    assert there.ask("/v1/orders/17", auth(desk), *lies)[0] == 200
    assert there.ask("/v1/admin", auth(desk), *lies)[0] == 403
    assert there.ask("/v1/orders/17", auth(desk), *lies, method="POST")[0] == 403
    assert there.ask("/v1/orders/17", auth(desk), *lies, "Host: admin.example")[0] == 403
    assert len(there.service.seen) == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://admin.example/v1/orders/17", 403),
        ("/v1/orders%2F17", 403),
        ("/v1//orders/17", 403),
        ("/v1/x/../orders/17", 403),
        ("/v1/x/%2e%2e/orders/17", 403),
        ("/v1/orders/17%00", 400),
        ("/v1/orders/17%0d%0aMuster-Tool:%20x", 403),
        ("/v1/orders/17?limit=1&limit=2", 403),
        ("/v1/orders/17#x", 403),
        ("/v1/orders/" + "1" * 8000, 403),
        ("/v1/orders/" + "1" * 9000, 414),
        ("/_muster", 404),
    ],
)
def test_an_address_that_is_not_plain_does_not_go_through(
    front: Any, target: str, status: int
) -> None:
    desk = proxied()
    there = front(desk.tool.name)

    assert there.ask(target, auth(desk))[0] == status
    assert there.service.seen == []


def test_a_held_request_goes_through_once_when_somebody_approved(front: Any, settings: Any) -> None:
    settings.MUSTER_APPROVER_MFA = False
    approver, desk = make_person(groups=["security"]), proxied(**GATED)
    there = front(desk.tool.name)

    held = there.ask("/v1/orders/17", auth(desk))
    assert (held[0], held[1]["muster-code"]) == (403, "gate.grant")
    assert held[1]["muster-access-request"].endswith("/access/v1/requests")

    holds.approve_hold(hold_id=Hold.objects.get().pk, by=approver)
    approval = f"Muster-Approval: {there.ask('/v1/orders/17', auth(desk))[1]['muster-approval']}"
    asked = [there.ask("/v1/orders/17", auth(desk), approval)[0] for _ in range(2)]

    assert asked == [200, 403]
    assert len(there.service.seen) == 1


def test_a_gateway_names_the_agent(front: Any) -> None:
    desk = proxied()
    ours = (
        f'proxy_set_header Authorization "{bearer(desk.gateway_client)}";\n'
        f"proxy_set_header Muster-Agent {desk.agent.slug};\n"
    )
    there = front(desk.tool.name, lambda text: GATEWAY_LINES.sub(ours, text))

    before = there.ask("/v1/orders/17", "Authorization: Bearer x", "Muster-Agent: root")
    Agent.objects.filter(pk=desk.agent.pk).update(state=AgentState.SUSPENDED)
    after = there.ask("/v1/orders/17", "Muster-Agent: root")

    assert (before[0], after[0], after[1]["muster-code"]) == (200, 403, "identity.not_active")


def test_a_proxy_that_hands_on_its_clients_headers_lets_nothing_through(front: Any) -> None:
    desk = proxied()
    there = front(desk.tool.name, lambda text: text.replace("proxy_pass_request_headers off;", ""))

    assert there.ask("/v1/orders/17", auth(desk), "User-Agent: curl/8")[0] == 403
    assert there.service.seen == []


def test_without_its_record_nothing_goes_through(front: Any, login: Any) -> None:
    desk, auditor = proxied(), login("muster_migrator")
    auditor.execute("SET ROLE muster_audit")
    there = front(desk.tool.name)

    auditor.execute("REVOKE EXECUTE ON FUNCTION audit.append(jsonb) FROM muster_web")
    try:
        unrecorded, _ = there.ask("/v1/orders/17", auth(desk))
    finally:
        auditor.execute("GRANT EXECUTE ON FUNCTION audit.append(jsonb) TO muster_web")

    assert (unrecorded, there.service.seen) == (500, [])
    assert there.ask("/v1/orders/17", auth(desk))[0] == 200


def test_a_muster_that_is_away_lets_nothing_through(front: Any) -> None:
    desk = proxied()
    there = front(desk.tool.name, muster=f"http://127.0.0.1:{free_port()}")

    assert there.ask("/v1/orders/17", auth(desk))[0] == 500
    assert there.service.seen == []
