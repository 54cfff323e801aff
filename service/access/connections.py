"""Limits of a connection, below HTTP's requests: how large and slow its headers may be, how many there are, and what
becomes of a body that nobody reads.

uvicorn's parser takes headers of any size and waits for them for ever, so its protocol is watched here: one connection
that never ends its headers holds nothing for long. A request may be refused while its body is still on its way. Closing
then would reset the connection and could take the refusal with it, so what still comes is read and dropped for a moment
(nginx calls this a lingering close), and a body that ends in time leaves the connection as good as new.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.access.options import AccessOptions

_LINGER_SECONDS, _LINGER_BYTES = 2.0, 16_000_000
_BODY = b'{"type": "about:blank", "title": "%s", "status": %d, "detail": "%s", "code": "%s"}'


def limited_protocol(options: AccessOptions) -> partial[LimitedProtocol]:
    """What uvicorn's `http` setting is given."""
    return partial(LimitedProtocol, options)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. An answer of its own ends it: 431 for headers too large, 408 for slow ones, 503 for one
    connection too many."""

    def __init__(self, options: AccessOptions, config: Config, *rest: Any, **named: Any) -> None:
        super().__init__(config, *rest, **named)
        self._limits = options
        self._head = 0  # bytes since the request began; -1 while a body is read
        self._fields = 0  # bytes of its headers
        self._timer: asyncio.TimerHandle | None = None
        self._dropped = 0  # bytes of a body whose request is answered

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.max_connections:
            self._end(503, b"Service Unavailable", b"too-busy", b"too many connections are open.")
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._head >= 0:
            self._head += len(data)
            if self._timer is None:
                self._wait_for_headers()
        before = self._head
        super().data_received(data)
        # Bytes after the headers are body; only what is still header counts against the limit.
        if self._head == before and before > self._limits.max_header_bytes:
            self._too_large(b"the headers are larger than %d bytes." % self._limits.max_header_bytes)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head, self._fields = max(self._head, 0), 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.transport.is_closing():
            return
        super().on_header(name, value)
        self._fields += len(name) + len(value)
        if len(self.headers) > self._limits.max_headers:
            self._too_large(b"there are more than %d headers." % self._limits.max_headers)
        elif self._fields + len(self.url) > self._limits.max_header_bytes:
            self._too_large(b"the headers are larger than %d bytes." % self._limits.max_header_bytes)

    def on_headers_complete(self) -> None:
        self._head = -1
        self._stop_waiting()
        if not self.transport.is_closing():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.transport.is_closing():
            return
        super().on_body(body)
        if self.cycle.response_complete:
            self._dropped += len(body)
            if self._dropped > _LINGER_BYTES:
                self.transport.close()

    def on_message_complete(self) -> None:
        lingered = self._head < 0 and self.cycle.response_complete
        self._head = 0
        if self.transport.is_closing():
            return
        super().on_message_complete()
        if lingered:
            self._stop_waiting()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._head < 0 and not self.transport.is_closing():
            self._dropped = 0
            self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _wait_for_headers(self) -> None:
        self._timer = self.loop.call_later(self._limits.header_seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._head > 0:
            self._end(408, b"Request Timeout", b"too-slow", b"the headers did not arrive in time.")
        else:
            self.transport.close()  # it never asked for anything

    def _too_large(self, detail: bytes) -> None:
        self._end(431, b"Request Header Fields Too Large", b"headers-too-large", detail)

    def _end(self, status: int, title: bytes, code: bytes, detail: bytes) -> None:
        """Answer and close. While an earlier request of this connection is being answered, only close."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            body = _BODY % (title, status, detail, code)
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
                b"connection: close\r\nretry-after: 1\r\n\r\n%s" % (status, title, len(body), body)
            )
        self.transport.close()
