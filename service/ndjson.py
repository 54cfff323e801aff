"""Lines of a request as they come in: cut from its pieces, and held until they are answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import anyio


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the request, counted from one. None: longer than the limit, and dropped."""

    number: int
    text: bytes | None


class LineCutter:
    """Cuts pieces of a body into lines, holding at most one that has not ended. Blank lines count and are not given."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._begun = bytearray()
        self._dropping = False
        self._number = 0

    def feed(self, piece: bytes) -> Iterator[Line]:
        """The lines that end in this piece."""
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._add(part)
            yield from self.end()
        self._add(rest)

    def end(self) -> Iterator[Line]:
        """The line that was begun, ended here."""
        self._number += 1
        text, dropped = bytes(self._begun).strip(), self._dropping
        self._begun.clear()
        self._dropping = False
        if dropped or text:
            yield Line(self._number, None if dropped else text)

    def _add(self, part: bytes) -> None:
        if self._dropping or len(self._begun) + len(part) > self._longest:
            self._begun.clear()
            self._dropping = True
        else:
            self._begun += part


class WaitingLines:
    """Lines that were read and not answered yet, of so many bytes at most. One task puts, another takes."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lines: deque[Line] = deque()
        self._bytes = 0
        self._ended = False
        self._changed = anyio.Event()

    async def put(self, line: Line) -> None:
        """Wait until there is room, so that no more is read than can be answered."""
        while self._lines and self._bytes + _size(line) > self._most_bytes:
            await self._wait()
        self._lines.append(line)
        self._bytes += _size(line)
        self._tell()

    async def take(self, most: int) -> list[Line]:
        """The lines that wait, at least one and at most so many; none once all were taken."""
        while not self._lines and not self._ended:
            await self._wait()
        taken = [self._lines.popleft() for _ in range(min(most, len(self._lines)))]
        self._bytes -= sum(_size(line) for line in taken)
        self._tell()
        return taken

    def end(self) -> None:
        """No more lines will come."""
        self._ended = True
        self._tell()

    async def _wait(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        told, self._changed = self._changed, anyio.Event()
        told.set()


def _size(line: Line) -> int:
    return len(line.text or b"") + 100  # what a line costs beside its text
