"""Traces: a span for a request, one for its decision, off without a collector, sent as OTLP."""

import threading
from collections.abc import Iterator
from contextvars import copy_context
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from authz import signals
from authz.api import answer
from governance import tracing
from governance.kernel.tracked import Tracked
from tests.factories.authz import bearer, make_desk
from tests.governance.test_logs import SECRET, SPAN, TRACE, TRACEPARENT

EVALUATION = "/access/v1/evaluation"
HIDDEN = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA3cD6eF9hJ2k"


@pytest.fixture
def nobody_listens() -> Iterator[None]:
    yield
    signals.decided.disconnect(dispatch_uid="traces")


def deciding(desk: Any) -> Any:
    """An ASGI application that decides one question of the desk."""
    headers = {"authorization": bearer(desk.client), "content-type": "application/json"}

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        # As the lean route: what is found in the database is found in this very thread.
        status, _, body = answer.answer("POST", EVALUATION, headers, orjson.dumps(desk.body()), "x")
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return inner


def run(app: Any, headers: list[tuple[bytes, bytes]], path: str = EVALUATION) -> None:
    async def send(message: Any) -> None:
        del message

    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    # Nothing here waits, and within a loop Django would take another connection.
    with pytest.raises(StopIteration):
        copy_context().run(app(scope, None, send).send, None)


@pytest.mark.django_db
@pytest.mark.usefixtures("nobody_listens")
def test_a_decision_is_a_span_within_its_request() -> None:
    kept = InMemorySpanExporter()
    desk = make_desk()
    app = Tracked(tracing.Traced(deciding(desk), tracing.provided(SimpleSpanProcessor(kept))))

    run(app, [(b"traceparent", TRACEPARENT), (b"x-request-id", b"r-1")])

    decision, request = kept.get_finished_spans()
    told = dict(decision.attributes or {})
    assert (request.name, dict(request.attributes or {})) == (
        "POST",
        {
            "http.request.method": "POST",
            "url.path": EVALUATION,
            "muster.request.id": "r-1",
            "http.response.status_code": 200,
        },
    )
    assert f"{request.context.trace_id:032x}" == TRACE
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == SPAN
    assert decision.parent == request.context
    assert decision.name == f"execute_tool {told['gen_ai.tool.name']}"
    assert told["gen_ai.operation.name"] == "execute_tool"
    assert told["gen_ai.agent.id"] == desk.agent.slug
    assert told["muster.decision.effect"] == "allow"
    assert set(told) <= {
        *("gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.agent.id"),
        *("gen_ai.conversation.id", "muster.decision.id", "muster.decision.effect"),
        *("muster.decision.check", "muster.decision.code"),
    }
    assert (decision.start_time or 0) <= (decision.end_time or 0)


@pytest.mark.usefixtures("nobody_listens")
@pytest.mark.parametrize(
    "path",
    [
        f"/{SECRET}",
        f"/sign-in/{HIDDEN}",
        f"/accounts/password/reset/key/1-{HIDDEN}/",
        f"/evidence/by-link/{HIDDEN}/report.pdf",
    ],
)
def test_a_credential_in_a_path_is_not_told(path: str) -> None:
    kept = InMemorySpanExporter()

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})

    run(tracing.Traced(inner, tracing.provided(SimpleSpanProcessor(kept))), [], path)

    (request,) = kept.get_finished_spans()
    assert [each for each in (SECRET, HIDDEN) if each in request.to_json()] == []
    assert dict(request.attributes or {})["http.response.status_code"] == 404


def test_without_a_collector_nothing_stands_between(settings: Any) -> None:
    settings.MUSTER_TRACES = ""

    async def inner(scope: Any, receive: Any, send: Any) -> None: ...

    assert tracing.traced(inner) is inner
    assert signals.decided.receivers == []


class Collector(HTTPServer):
    """Takes OTLP over HTTP, as a collector does, and keeps what came."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.came: list[tuple[str, str, bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append((self.path, self.headers["content-type"], body))
        self.send_response(self.server.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.mark.usefixtures("nobody_listens")
def test_spans_reach_a_collector(collector: Collector, settings: Any) -> None:
    settings.MUSTER_TRACES = collector.url

    async def inner(scope: Any, receive: Any, send: Any) -> None: ...

    run(tracing.traced(inner), [])
    tracing.flush()

    ((path, content_type, body),) = collector.came
    sent = ExportTraceServiceRequest.FromString(body)
    (of_us,) = sent.resource_spans
    names = [span.name for scope in of_us.scope_spans for span in scope.spans]
    said = {each.key: each.value.string_value for each in of_us.resource.attributes}
    assert (path, content_type, names) == ("/v1/traces", "application/x-protobuf", ["POST"])
    assert said["service.name"] == "muster"


def test_what_is_not_taken_is_said_and_raises_nothing(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 503

    given = tracing.exporter(collector.url).export([])
    away = tracing.exporter("http://127.0.0.1:9").export([])
    inside = tracing.exporter("https://127.0.0.1:9").export([])

    assert [given, away, inside] == [SpanExportResult.FAILURE] * 3
    assert "(status 503)" in caplog.text
    assert "(AddressRefused)" in caplog.text
