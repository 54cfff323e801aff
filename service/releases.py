"""The release in memory: loads what releases/current names, watches it, and changes over between two requests.

A release that cannot be loaded is refused, said in the log and on /readyz, and the one before goes on serving.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
import structlog
from anyio import to_thread

from models.release import FACTS, current_release, current_version
from models.suggest import Suggester
from service.problems import Problem
from tickets.errors import ReleaseError, TriageError
from tickets.records import Ticket
from tickets.workspace import Workspace

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LoadedRelease:
    """A release ready to suggest."""

    suggester: Suggester
    loaded_at: datetime

    @property
    def version(self) -> str:
        return self.suggester.version


@dataclass(frozen=True, slots=True)
class RefusedRelease:
    """A release that could not be loaded, and why. `stamp` tells when its files changed, so that it is tried again."""

    version: str
    reason: str
    stamp: tuple[int, ...]


class Releases:
    """Holds the loaded release. Reading it is one attribute access: a request keeps the one it started with."""

    def __init__(self, workspace: Workspace, *, threads: int = 1, changed: Callable[[str], None]) -> None:
        self.loaded: LoadedRelease | None = None
        self.refused: RefusedRelease | None = None
        self._workspace = workspace
        self._threads = threads
        self._changed = changed
        self._lock = threading.Lock()

    def require(self, *, retry_after: float) -> LoadedRelease:
        """The loaded release. Raises Problem (503) that says what to do when there is none."""
        if self.loaded is not None:
            return self.loaded
        if self.refused is not None:
            detail = f"the release {self.refused.version} cannot be loaded: {self.refused.reason}"
            hint = "Promote a whole release with `triage promote VERSION`, or go back with `triage rollback`."
        else:
            detail = "no model has been promoted yet."
            hint = "Run `triage train`, then `triage promote VERSION`; the service takes it up by itself."
        raise Problem(503, "no-release", detail, hint=hint, retry_after=retry_after)

    def refresh(self) -> bool:
        """Load what releases/current names unless it is loaded already; True when the release changed. Never raises."""
        with self._lock:
            try:
                version = current_version(self._workspace)
                stamp = self._stamp(version) if version is not None else ()
            except (OSError, ValueError) as error:  # ValueError: bytes that are no text, a name that no file can have
                log.warning("releases/current cannot be read", reason=type(error).__qualname__)
                return False
            if version is None or (self.loaded is not None and version == self.loaded.version):
                self.refused = None
                return False
            if self.refused is not None and (self.refused.version, self.refused.stamp) == (version, stamp):
                return False
            return self._load(version, stamp)

    async def watch(self, seconds: float) -> None:
        """Refresh every so many seconds until cancelled. Loading has a thread of its own: requests go on meanwhile."""
        while True:
            await anyio.sleep(seconds)
            await to_thread.run_sync(self.refresh)

    def _load(self, version: str, stamp: tuple[int, ...]) -> bool:
        started = time.perf_counter()
        try:
            suggester = load_suggester(self._workspace, threads=self._threads)
        except Exception as error:  # whatever a broken file raises, the release before must go on serving
            reason = error.message if isinstance(error, TriageError) else type(error).__qualname__
            self.refused = RefusedRelease(version, reason, stamp)
            serving = self.loaded.version if self.loaded else None
            log.error("release refused", version=version, reason=reason, serving=serving)
            return False
        self.loaded = LoadedRelease(suggester, datetime.now(UTC))
        self.refused = None
        self._changed(suggester.version)
        log.info("release loaded", version=suggester.version, seconds=round(time.perf_counter() - started, 3))
        return True

    def _stamp(self, version: str) -> tuple[int, ...]:
        """Changes when `current` or the release's facts are written anew."""
        paths = (self._workspace.releases / "current", self._workspace.releases / version / FACTS)
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def load_suggester(workspace: Workspace, *, threads: int) -> Suggester:
    """Load and warm the current release: its first inference is paid here, not by a request. Raises ReleaseError."""
    release = current_release(workspace)
    suggester = Suggester.load(release, threads=threads)
    probe = Ticket(ticket_id="warm-up", created_at=datetime.now(UTC), body="Where is my order? It has not arrived.")
    if not suggester.suggest([probe]):
        raise ReleaseError(f"the release {release.version} answers nothing.", hint="Train again, or roll back.")
    return suggester
