"""What long work says while it runs, to whoever started it.

Lines go to a `Report` that is handed down. How far a loop has come is of interest to a person at a terminal alone, so
it goes to whoever watches, if anybody does: `watched` names them for the length of a block, `under_way` costs a
microsecond where nobody is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
Report = Callable[[str], None]  # one line
Progress = Callable[[int, int, float], None]  # steps done, of how many, and the loss


@dataclass(frozen=True, slots=True)
class UnderWay:
    """What is being done ("": a part of what was named last), how much of it is done, of how much (0: nobody knows),
    and the seconds it took last time. `whole` is a loop in which other work is told, such as the days of a replay."""

    what: str
    done: int = 0
    total: int = 0
    took: float | None = None
    whole: bool = False


Watcher = Callable[[UnderWay], None]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def silent(*_said: object) -> None:
    """The report, or the progress, that nobody reads."""


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """`watcher` hears of all that is under way in this block, in this thread."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def watcher() -> Watcher | None:
    """Who watches here, for a thread that this one starts."""
    return _watcher.get()


def under_way(what: str, done: int = 0, total: int = 0, *, took: float | None = None, whole: bool = False) -> None:
    """Tell who watches."""
    told = _watcher.get()
    if told is not None:
        told(UnderWay(what, done, total, took, whole))


def each(what: str, items: Iterable[Item], total: int) -> Iterator[Item]:
    """The items; who watches hears how many of a long loop's are done, until it ends, also by a break."""
    try:
        for done, item in enumerate(items):
            under_way(what, done, total, whole=True)
            yield item
    finally:
        under_way(what, total, total, whole=True)
