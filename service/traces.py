"""Traces by OpenTelemetry: a span for each request, and for cleaning, waiting, inference and keeping inside it.

FastAPI makes the span of a request and reads W3C traceparent; the others are made here. Without a collector nothing of
the SDK is imported and a span costs well under a microsecond. Spans carry routes, counts and ids, never a query or an
exception's message: both may hold what a customer wrote.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from tickets.errors import MachineError

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.sdk.trace import TracerProvider

Attribute = str | int | float | bool
_UNTRACED = ("/livez", "/readyz", "/metrics", "/static/")  # asked for all day long by machines
_END_SECONDS = 3.0
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context
_NOTHING = contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class Traces:
    """Where spans go; without a provider, nowhere. Safe from several threads."""

    provider: TracerProvider | None = None
    tracer: trace.Tracer | None = None

    def span(self, name: str, **attributes: Attribute) -> contextlib.AbstractContextManager[None]:
        """A span around a `with` block, inside the current one. An exception marks it by its kind alone."""
        if self.tracer is None:
            return _NOTHING
        return _span(self.tracer, name, attributes)

    def here(self) -> Context | None:
        """The current span, for work that another thread or task does for it: the `parent` of `record`."""
        return contexts.get_current() if self.tracer is not None else None

    def record(self, name: str, parent: Context | None, started: int, ended: int, **attributes: Attribute) -> None:
        """A span that is over, inside `parent`; times in nanoseconds as time.time_ns() tells them."""
        if self.tracer is None or parent is None:
            return
        self.tracer.start_span(name, parent, attributes=attributes, start_time=started).end(ended)

    def for_fastapi(self) -> TelemetryConfig:
        """FastAPI's own telemetry: the span of a request and nothing else. Metrics are Prometheus', logs are ours."""
        return {
            "tracing": self.provider is not None,
            "tracer_provider": self.provider,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": _untraced,
        }


NO_TRACES = Traces()


@contextlib.contextmanager
def exported_traces(endpoint: str | None) -> Iterator[Traces]:
    """Traces sent by OTLP/HTTP to a collector such as http://collector:4318, the last of them at the end of the block.

    The exporter reads the other OTEL_* variables itself: headers, timeouts, the service's name, the share of requests
    that is sampled. Nothing is sent without an endpoint. Raises MachineError where the exporter is not installed.
    """
    if not endpoint:
        yield NO_TRACES
        return
    provider = _provider(endpoint)
    try:
        yield Traces(provider, provider.get_tracer("triage"))
    finally:
        ending = threading.Thread(target=provider.shutdown, name="triage-traces", daemon=True)
        ending.start()
        ending.join(timeout=_END_SECONDS)  # a collector that is away must not keep the process from ending


def trace_id(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The id of the trace that a request belongs to, 32 hex digits: ours, or the client's while we make none."""
    found = trace.get_current_span().get_span_context()
    if found.is_valid:
        return f"{found.trace_id:032x}"
    for name, value in headers:
        if name == b"traceparent" and (given := _TRACEPARENT.fullmatch(value)):
            return given[1].decode("ascii")
    return None


def _provider(endpoint: str) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MachineError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but the exporter of traces is not installed.",
            hint="pip install 'ticket-triage[telemetry]', or unset it.",
        ) from error

    class WithoutQueries(SpanProcessor):
        """A query is what somebody typed; FastAPI would send it along."""

        def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002  # as the SDK calls it
            if span.attributes and "url.query" in span.attributes:
                span.set_attribute("url.query", "REDACTED")

    resource = Resource.create()
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "ticket-triage"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(WithoutQueries())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return provider


@contextlib.contextmanager
def _span(tracer: trace.Tracer, name: str, attributes: dict[str, Attribute]) -> Iterator[None]:
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield
        except BaseException as error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(StatusCode.ERROR)
            raise


def _untraced(scope: MutableMapping[str, Any]) -> bool:
    path: str = scope.get("path", "")
    return path.startswith(_UNTRACED)
