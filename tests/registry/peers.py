"""Identity providers that the tests start: npm's oidc-provider, and one in Keycloak's shape."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks.parties import free_port

DATA = Path(__file__).parent.parent / "data" / "idp"
# Kept between runs, so that npm is asked once.
CACHE = Path(tempfile.gettempdir()) / "muster-tests-idp"
INITIAL = "an-initial-access-token-that-only-tests-know"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "ca.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(private)
    return folder / "ca.pem", folder / "key.pem"


def installed() -> Path:
    """A folder with npm's oidc-provider in it; skips, and says why, where there can be none."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed, so there is no identity provider to ask")
    CACHE.mkdir(exist_ok=True)
    for name in ("package.json", "provider.mjs", "people.mjs"):
        shutil.copy(DATA / name, CACHE / name)
    if not (CACHE / "node_modules" / "oidc-provider").is_dir():
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", CACHE]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm could not install oidc-provider: {done.stderr[-200:]}")
    return CACHE


@contextmanager
def oidc_provider(folder: Path) -> Iterator[str]:
    """npm's oidc-provider, running; its issuer."""
    place, port = installed(), free_port()
    ca, key = certificate(folder)
    child = subprocess.Popen(
        ["node", place / "provider.mjs", str(port), ca, key, INITIAL],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=place,
    )
    try:
        assert child.stdout is not None
        issuer = child.stdout.readline().strip()
        assert issuer == f"https://localhost:{port}"
        yield issuer
    finally:
        child.terminate()
        child.wait(10)
        if child.stdout:
            child.stdout.close()


class House:
    """npm's oidc-provider with people who sign in there, and a browser that does."""

    secret = "of-the-house-4711-and-nobody-else"
    back = "http://127.0.0.1:8000/sign-in/with/house/back/"

    def __init__(self, folder: Path, back: str = "") -> None:
        self.place, self.port, self.back = installed(), free_port(), back or self.back
        self.ca, self.key = certificate(folder)
        self.child: subprocess.Popen[str] | None = None
        self.people: dict[str, dict[str, Any]] = {}
        self.start()

    @property
    def issuer(self) -> str:
        return f"https://localhost:{self.port}"

    def start(self) -> None:
        client = {
            "client_id": "muster",
            "client_secret": self.secret,
            "redirect_uris": [self.back],
            "require_auth_time": True,
            "post_logout_redirect_uris": [self.back.partition("/sign-in/")[0] + "/accounts/login/"],
        }
        script = self.place / "people.mjs"
        self.child = subprocess.Popen(
            ["node", script, str(self.port), self.ca, self.key, json.dumps(client)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.place,
        )
        assert self.child.stdout is not None
        assert self.child.stdout.readline().strip() == self.issuer
        self._tell(people=self.people)

    def stop(self) -> None:
        if self.child is not None and self.child.stdout is not None:
            self.child.terminate()
            self.child.wait(10)
            self.child.stdout.close()
        self.child = None

    def knows(self, account: str, /, **claims: Any) -> None:
        """Have someone have an account there; `amr`, `acr` and `off` are about signing in."""
        about = {key: claims.pop(key) for key in ("amr", "acr", "off") if key in claims}
        self.people[account] = {"claims": claims, **about}
        self._tell(people=self.people)

    def rotate(self) -> None:
        self._tell(rotate=True)

    def _tell(self, **what: Any) -> None:
        with self.browser() as browser:
            browser.post(f"{self.issuer}/test", json=what).raise_for_status()

    def browser(self) -> httpx.Client:
        trust = ssl.create_default_context(cafile=str(self.ca))
        return httpx.Client(verify=trust, trust_env=False)

    def signed_in(self, url: str, name: str, browser: httpx.Client | None = None) -> str:
        """Go where Muster sends people, sign in there, and say where that leads back to."""
        with browser or self.browser() as client:
            answer = client.get(url)
            for _ in range(10):
                if answer.status_code == 200:
                    answer = client.post(str(answer.url), data={"login": name})
                place = answer.headers.get("location", "")
                if place.startswith(self.back):
                    return place
                assert answer.status_code in (302, 303), answer.text
                answer = client.get(urllib.parse.urljoin(self.issuer, place))
        raise AssertionError("the house sends nobody back")


class Keycloak:
    """What of Keycloak's admin REST API Muster speaks, written to its documentation."""

    def __init__(self, folder: Path) -> None:
        ca, key = certificate(folder)
        self.ca = ca
        self.clients: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.broken = False
        handler = type("Handler", (_Admin,), {"keycloak": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(ca, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def name(self) -> str:
        return f"localhost:{self.server.server_address[1]}"

    def token(self, client_id: str, secret: str) -> int:
        """The status with which a client of the realm would be answered for a token."""
        for each in self.clients.values():
            if each["clientId"] == client_id and each["secret"] == secret:
                return 200 if each["enabled"] else 401
        return 401

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def configure(settings: Any, found: Keycloak, folder: Path) -> None:
    """Have Muster make its agents' clients there."""
    (folder / "secret").write_text("s3\n")
    settings.MUSTER_EGRESS_CA = str(found.ca)
    settings.MUSTER_EGRESS_ALLOWED = frozenset({found.name})
    settings.MUSTER_IDENTITY_PROVIDERS = [
        {
            "name": "house",
            "kind": "keycloak",
            "url": f"https://{found.name}",
            "realm": "house",
            "client_id": "muster",
            "secret_file": str(folder / "secret"),
        }
    ]


class _Admin(BaseHTTPRequestHandler):
    keycloak: Keycloak

    def log_message(self, *_: Any) -> None:
        return

    def _answer(self, status: int, body: Any = None, **headers: str) -> None:
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        self.keycloak.asked.append((self.command, path))
        if self.keycloak.broken:
            return self._answer(500, {"error": "unknown_error"})
        if path == "/realms/house/protocol/openid-connect/token":
            return self._login(dict(urllib.parse.parse_qsl(raw.decode())))
        if self.headers.get("Authorization") != "Bearer of the realm's manager":
            return self._answer(401, {"error": "HTTP 401 Unauthorized"})
        base, _, rest = path.partition("/admin/realms/house/clients")
        parts = [part for part in rest.split("/") if part]
        if base or not path.startswith("/admin/realms/house/clients"):
            return self._answer(404, {"error": "Realm not found."})
        body = json.loads(raw) if raw else {}
        if not parts:
            return self._all(body, dict(urllib.parse.parse_qsl(query)))
        return self._one(parts, body)

    do_GET = do_POST = do_PUT = do_DELETE = _handle  # noqa: N815 - as the server calls them

    def _login(self, form: dict[str, str]) -> None:
        good = {"grant_type": "client_credentials", "client_id": "muster", "client_secret": "s3"}
        if form != good:
            return self._answer(401, {"error": "unauthorized_client"})
        return self._answer(200, {"access_token": "of the realm's manager", "expires_in": 60})

    def _all(self, body: dict[str, Any], query: dict[str, str]) -> None:
        clients = self.keycloak.clients
        if self.command == "GET":
            wanted = query.get("clientId", "")
            shown = [each for each in clients.values() if each["clientId"] == wanted]
            hidden = ("secret",)
            return self._answer(
                200, [{k: v for k, v in each.items() if k not in hidden} for each in shown]
            )
        if any(each["clientId"] == body["clientId"] for each in clients.values()):
            return self._answer(409, {"errorMessage": "Client already exists"})
        uid = f"uid-{len(self.keycloak.asked)}"
        secret = "" if body["clientAuthenticatorType"] == "client-jwt" else f"of {uid}"
        clients[uid] = {**body, "id": uid, "secret": secret}
        return self._answer(201, Location=f"https://{self.keycloak.name}{self.path}/{uid}")

    def _one(self, parts: list[str], body: dict[str, Any]) -> None:
        found = self.keycloak.clients.get(parts[0])
        if found is None:
            return self._answer(404, {"error": "Could not find client"})
        if parts[1:] == ["client-secret"]:
            return self._answer(200, {"type": "secret", "value": found["secret"]})
        if self.command == "DELETE":
            del self.keycloak.clients[parts[0]]
            return self._answer(204)
        if self.command == "PUT":
            found.update(body)
            return self._answer(204)
        return self._answer(200, found)
