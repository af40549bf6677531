"""Traces by OpenTelemetry: a span for each request, one within it for each decision.

Off unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set, and then nothing of it is imported. Decisions are
`execute_tool` spans of the GenAI semantic conventions (status Development); parameters are never
among what is told. A trace that cannot be delivered is dropped, and keeps nobody waiting.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from audit.redactor import find_secret
from authz import signals
from authz.decide import Answer
from governance.kernel import egress, tracked
from governance.kernel.errors import GovernanceError
from governance.kernel.tracked import Application, Message, Receive, Scope, Send
from governance.kernel.version import VERSION

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

log = logging.getLogger(__name__)

PATH = "/v1/traces"
TYPE = "application/x-protobuf"
SECONDS = 10
# What stands behind these opens a session or a report, and looks like nothing in particular.
LETS_IN = ("/sign-in/", "/accounts/", "/evidence/by-link/")
_ends: list[Callable[[], object]] = []


def traced(inner: Application) -> Application:
    """`inner` itself while traces are off; else an application that tells of each request."""
    if not settings.MUSTER_TRACES:
        return inner
    try:
        provider = provided(batched(exporter(settings.MUSTER_TRACES)))
    except ImportError:
        log.warning("Traces are off: install the extra otel, or unset the endpoint.")
        return inner
    _ends.append(provider.shutdown)
    return Traced(inner, provider)


def flush() -> None:
    """Send what waits, before the process ends."""
    while _ends:
        _ends.pop()()


def provided(processor: SpanProcessor) -> TracerProvider:
    """What makes spans, and hands each to `processor` at its end."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra

    told = {"service.name": "muster", "service.version": VERSION}
    provider = TracerProvider(resource=Resource.create(told), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return provider


def batched(to: SpanExporter) -> SpanProcessor:
    """Spans are sent by a thread of their own, many at once; what is too many is dropped."""
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

    return BatchSpanProcessor(to)


def exporter(endpoint: str) -> SpanExporter:
    """Sends spans to a collector's `/v1/traces`, by OTLP over HTTP.

    Plain http goes to this machine alone; https goes by the one way out that there is, so a
    collector inside a network must be listed.
    """
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import (  # noqa: PLC0415 - an extra
        encode_spans,
    )
    from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - an extra
        SpanExporter,
        SpanExportResult,
    )

    url = endpoint.rstrip("/") + PATH
    send = _send_here if urlsplit(url).scheme == "http" else _send_out

    class Outgoing(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            try:
                status = send(url, encode_spans(spans).SerializeToString())
            except (GovernanceError, httpx.HTTPError) as error:
                log.warning("%d spans were not delivered (%s).", len(spans), type(error).__name__)
                return SpanExportResult.FAILURE
            if status // 100 == 2:
                return SpanExportResult.SUCCESS
            log.warning("%d spans were not delivered (status %d).", len(spans), status)
            return SpanExportResult.FAILURE

    return Outgoing()


def _send_here(url: str, body: bytes) -> int:
    with httpx.Client(trust_env=False, timeout=SECONDS) as client:
        return client.post(url, content=body, headers={"content-type": TYPE}).status_code


def _send_out(url: str, body: bytes) -> int:
    return egress.post(url, body=body, headers={"content-type": TYPE}).status


class Traced:
    """An ASGI application around `inner` that makes a span of each request."""

    def __init__(self, inner: Application, provider: TracerProvider) -> None:
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - an extra
            TraceContextTextMapPropagator,
        )

        self._inner = inner
        self._tracer = provider.get_tracer("muster", VERSION)
        self._propagator = TraceContextTextMapPropagator()
        signals.decided.connect(self._decided, weak=False, dispatch_uid="traces")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - an extra

        parent = self._propagator.extract(_carried(scope))
        told = {"http.request.method": scope["method"], **_path(scope["path"])}
        with self._tracer.start_as_current_span(
            scope["method"], context=parent, kind=SpanKind.SERVER, attributes=told
        ) as span:
            context = span.get_span_context()
            tracked.note_span(f"{context.trace_id:032x}", f"{context.span_id:016x}")
            span.set_attribute("muster.request.id", tracked.request_id())

            async def send_told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._inner(scope, receive, send_told)

    def _decided(self, *, answer: Answer, began: int, **_: Any) -> None:
        request, decision = answer.resolved.request, answer.decision
        told = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": request.tool,
            "gen_ai.agent.id": request.agent,
            "gen_ai.conversation.id": request.session,
            "muster.decision.id": str(answer.id),
            "muster.decision.effect": decision.effect.value,
            "muster.decision.check": decision.check,
            "muster.decision.code": decision.code,
        }
        said = {name: value for name, value in told.items() if value and not _secret(value)}
        named = said.get("gen_ai.tool.name", "")
        name = f"execute_tool {named}".strip()
        self._tracer.start_span(name, attributes=said, start_time=began).end()


def _secret(value: str) -> bool:
    return find_secret(value) is not None


def _path(path: str) -> dict[str, str]:
    """The path, unless a credential stands in it. A link that lets somebody in is cut."""
    for beginning in LETS_IN:
        if path.startswith(beginning):
            return {"url.path": beginning}
    return {} if _secret(path) else {"url.path": path}


def _carried(scope: Scope) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in scope["headers"]
        if name in (b"traceparent", b"tracestate")
    }
