"""Connections that refuse endless and loitering headers. uvicorn limits them for its slower parser only."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_ANSWER = (
    "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n"
    "connection: close\r\n\r\n{said}"
)


def limited_connections(max_header_bytes: int, header_seconds: float) -> type[LimitedConnection]:
    """A protocol for uvicorn with these limits; it makes an instance of it for each connection."""
    return type(
        "Connection", (LimitedConnection,), {"max_header_bytes": max_header_bytes, "header_seconds": header_seconds}
    )


class LimitedConnection(HttpToolsProtocol):
    """uvicorn's protocol over httptools that answers 431 to a larger head, 408 to a slower one, and hangs up.

    It counts and times what comes before the end of the headers; a request that comes whole costs no timer.
    """

    max_header_bytes = 32_768
    header_seconds = 15.0
    _counted = 0  # bytes of the head as it was parsed
    _received = 0  # bytes of a head that is still coming, which the parser holds back
    _head_is_whole = _refused = False
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._head_is_whole or self._refused:
            return
        self._received += len(data)
        if self._received > self.max_header_bytes:
            self._too_large()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def on_message_begin(self) -> None:
        self._counted = self._received = 0
        self._head_is_whole = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._counted += len(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._counted += len(name) + len(value) + 4
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_whole = True
        self._stop_timer()
        if self._counted > self.max_header_bytes:
            self._too_large()
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()

    def _too_large(self) -> None:
        said = f"the request line and headers are larger than {self.max_header_bytes} bytes."
        self._refuse("431 Request Header Fields Too Large", said)

    def _too_slow(self) -> None:
        self._timer = None
        self._refuse("408 Request Timeout", f"no whole request came within {self.header_seconds:g} seconds.")

    def _refuse(self, status: str, said: str) -> None:
        self._refused = True
        self._stop_timer()
        if not self.transport.is_closing():
            self.transport.write(_ANSWER.format(status=status, length=len(said), said=said).encode("ascii"))
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
