"""How far Spark is, for a person who watches: tasks done of those of the stages at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tickets.progress import UnderWay, Watcher, watcher

if TYPE_CHECKING:
    from pyspark import SparkContext, StatusTracker

_EVERY_SECONDS = 0.5
_FEWEST = 4  # of one task nothing can be told until it is done


@contextmanager
def told_tasks(context: SparkContext) -> Iterator[None]:
    """While the block lasts, whoever watches is told. Where nobody does, nothing is asked."""
    told = watcher()
    if told is None:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_tell, args=(context.statusTracker(), told, ended), name="tasks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=5)


def _tell(tracker: StatusTracker, told: Watcher, ended: threading.Event) -> None:
    while not ended.wait(_EVERY_SECONDS):
        try:
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
        except Exception:  # Java is gone, or going: the command itself says what that means
            return
        known = [stage for stage in stages if stage is not None]
        done, total = (sum(getattr(stage, name) for stage in known) for name in ("numCompletedTasks", "numTasks"))
        if total >= _FEWEST:
            told(UnderWay("", done, total))
