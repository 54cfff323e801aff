"""What a request's body may be: JSON nested to a limit, there within a time. Checked as it passes, unparsed."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from starlette.types import Message, Receive, Scope

from service.problems import Problem

_NO_BRACKET = bytes(byte for byte in range(256) if byte not in b"[]{}")
_OPENING = b"[{"


class Nesting:
    """Follows how deep JSON is nested, chunk by chunk, one value after the other too (NDJSON). Brackets within strings
    do not count. All but the brackets is passed over in C."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._depth = 0
        self._in_string = False
        self._escape = b""  # a backslash that ended the last chunk

    def feed(self, chunk: bytes) -> bool:
        """Whether all so far is nested no deeper than the limit."""
        # The order counts: of `\\\"` the pair of backslashes goes first, so what is left escapes the quote.
        text = (self._escape + chunk).replace(b"\\\\", b"")
        self._escape = b"\\" if text.endswith(b"\\") else b""
        pieces = text.replace(b'\\"', b"").split(b'"')
        outside = b"".join(pieces[1 if self._in_string else 0 :: 2])
        self._in_string ^= len(pieces) % 2 == 0
        brackets = outside.translate(None, _NO_BRACKET)
        opened = brackets.count(b"[") + brackets.count(b"{")
        if self._depth + opened <= self._limit:
            self._depth += 2 * opened - len(brackets)
            return True
        for bracket in brackets:
            self._depth += 1 if bracket in _OPENING else -1
            if self._depth > self._limit:
                return False
        return True


STREAM_PATH = "/v1/suggestions/stream"  # read while it is answered, with limits of its own (service/streaming.py)


def checked(scope: Scope, receive: Receive, *, max_depth: int, seconds: float) -> Receive:
    """`receive`, raising Problem for a body that is nested too deep (400) or takes too long to arrive (408). The same
    `receive` for a request without a body, and for a stream."""
    kind, has_body = _body_of(scope)
    if not has_body or scope["path"] == STREAM_PATH:
        return receive
    nesting = Nesting(max_depth) if b"json" in kind else None
    deadline = asyncio.get_running_loop().time() + seconds
    whole = False

    async def receive_checked() -> Message:
        nonlocal whole
        if whole:  # what is waited for now is the end of the connection
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError as error:
            raise _too_slow(seconds) from error
        whole = message["type"] != "http.request" or not message.get("more_body", False)
        if nesting is not None:
            _check(nesting, message, max_depth)
        return message

    return receive_checked


def _body_of(scope: Scope) -> tuple[bytes, bool]:
    """The content type in small letters, and whether a body is announced."""
    kind, has_body = b"", False
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value.lower()
        elif name == b"transfer-encoding" or (name == b"content-length" and value.strip(b" 0")):
            has_body = True
    return kind, has_body


def _check(nesting: Nesting, message: MutableMapping[str, Any], max_depth: int) -> None:
    body: bytes = message.get("body", b"")
    if b"\x00" in body:  # UTF-16 would hide its brackets; JSON between systems is UTF-8 (RFC 8259)
        raise Problem(400, "not-utf-8", "the body holds null bytes; JSON is sent in UTF-8.", hint="Send it in UTF-8.")
    if not nesting.feed(body):
        raise Problem(
            400,
            "too-deep",
            f"the JSON is nested deeper than {max_depth} levels.",
            hint="The page /docs shows what is expected, which is flat.",
        )


def _too_slow(seconds: float) -> Problem:
    return Problem(
        408,
        "too-slow",
        f"the body did not arrive within {seconds:g} seconds.",
        hint="Send it again, over a better line or in smaller parts.",
        headers={"Connection": "close"},
    )
