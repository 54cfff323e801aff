"""The releases in memory: loads what releases/current names and the challenger beside it, watches both, and changes
over between two requests.

A release that cannot be loaded is refused, said in the log and on /readyz, and the one before goes on serving.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import anyio
import structlog
from anyio import to_thread

from models.challenger import Challenge, current_challenge
from models.release import FACTS, current_version, open_release
from models.suggest import Suggester
from service.logs import where
from service.problems import Problem
from tickets.errors import ReleaseError, TriageError
from tickets.records import Ticket
from tickets.workspace import Workspace

log = structlog.get_logger()

Told = Callable[[str | None, bool], None]  # after every attempt: the champion now, and whether loading went well


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


@dataclass(slots=True)
class _Place:
    """Where one release is held: that of the champion, or that of the challenger."""

    loaded: LoadedRelease | None = None
    refused: RefusedRelease | None = None

    def holds(self, version: str) -> bool:
        return self.loaded is not None and self.loaded.version == version

    def refuses(self, version: str, stamp: tuple[int, ...]) -> bool:
        """Whether this version was refused as its files are now."""
        return self.refused is not None and (self.refused.version, self.refused.stamp) == (version, stamp)


@dataclass(frozen=True, slots=True)
class LoadedChallenger:
    """A challenger that sees a share of the traffic."""

    release: LoadedRelease
    challenge: Challenge


@dataclass(slots=True)
class Releases:
    """Holds the loaded releases. Reading one is one attribute access: a request keeps what it started with."""

    workspace: Workspace
    told: Told
    challenger: LoadedChallenger | None = None
    _champion: _Place = field(default_factory=_Place)
    _challenger: _Place = field(default_factory=_Place)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def loaded(self) -> LoadedRelease | None:
        return self._champion.loaded

    @property
    def refused(self) -> RefusedRelease | None:
        return self._champion.refused

    @property
    def refused_challenger(self) -> RefusedRelease | None:
        return self._challenger.refused

    def require(self, *, retry_after: float) -> LoadedRelease:
        """The champion. Raises Problem (503) that says what to do when there is none."""
        if self.loaded is not None:
            return self.loaded
        if self.refused is not None:
            detail = f"the release {self.refused.version} cannot be loaded: {self.refused.reason}"
            hint = "Promote a whole release with `triage promote VERSION`, or go back with `triage rollback`."
        else:
            detail = "no model has been promoted yet."
            hint = "Run `triage train`, then `triage promote VERSION`; the service takes it up by itself."
        raise Problem(503, "no-release", detail, hint=hint, retry_after=retry_after)

    def refresh(self) -> None:
        """Load what the workspace names unless it is loaded already. Never raises."""
        with self._lock:
            self._refresh_champion()
            self._refresh_challenger()

    async def watch(self, seconds: float) -> None:
        """Refresh every so many seconds until cancelled. Loading has a thread of its own: requests go on meanwhile."""
        while True:
            await anyio.sleep(seconds)
            try:
                await to_thread.run_sync(self.refresh)
            except Exception as error:  # what was loaded goes on serving, and the next look may find it mended
                log.error("releases not looked at", kind=type(error).__qualname__, at=where(error))

    def _refresh_champion(self) -> None:
        try:
            version = current_version(self.workspace)
            stamp = self._stamp(version) if version is not None else ()
        except (OSError, ValueError) as error:  # ValueError: bytes that are no text, a name that no file can have
            log.warning("releases/current cannot be read", reason=type(error).__qualname__)
            return
        if version is None:
            self._champion.refused = None
        else:
            self._bring_in(self._champion, version, stamp)

    def _refresh_challenger(self) -> None:
        try:
            challenge = current_challenge(self.workspace)
            stamp = self._stamp(challenge.version) if challenge is not None else ()
        except (TriageError, OSError, ValueError) as error:
            log.warning("the challenger cannot be read", reason=type(error).__qualname__)
            return
        if challenge is None:
            self.challenger, self._challenger = None, _Place()
            return
        self._bring_in(self._challenger, challenge.version, stamp)
        held = self._challenger.loaded if self._challenger.holds(challenge.version) else None
        self.challenger = LoadedChallenger(held, challenge) if held is not None else None

    def _bring_in(self, place: _Place, version: str, stamp: tuple[int, ...]) -> None:
        """Load a version unless it is there, or was refused and its files have not changed since."""
        if place.holds(version):
            place.refused = None
        elif not place.refuses(version, stamp):
            self._load(place, version, stamp)

    def _load(self, place: _Place, version: str, stamp: tuple[int, ...]) -> None:
        started = time.perf_counter()
        try:
            suggester = load_suggester(self.workspace, version)
        except Exception as error:  # whatever a broken file raises, the release before must go on serving
            kind = type(error).__qualname__
            reason = error.message if isinstance(error, TriageError) else kind
            serving = place.loaded.version if place.loaded else None
            told = {"version": version, "reason": reason, "serving": serving}
            log.error("release refused", **told, kind=kind, at=where(error))
            place.refused = RefusedRelease(version, reason, stamp)
            self._tell(went_well=False)
            return
        place.loaded = LoadedRelease(suggester, datetime.now(UTC))
        place.refused = None
        self._tell(went_well=True)
        log.info("release loaded", version=suggester.version, seconds=round(time.perf_counter() - started, 3))

    def _tell(self, *, went_well: bool) -> None:
        self.told(self.loaded.version if self.loaded else None, went_well)

    def _stamp(self, version: str) -> tuple[int, ...]:
        """Changes when `current` or the release's facts are written anew."""
        paths = (self.workspace.releases / "current", self.workspace.releases / version / FACTS)
        return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def load_suggester(workspace: Workspace, version: str) -> Suggester:
    """Load and warm a release: its first inference is paid here, not by a request. Raises ReleaseError."""
    release = open_release(workspace.releases / version)
    suggester = Suggester.load(release)
    probe = Ticket(ticket_id="warm-up", created_at=datetime.now(UTC), body="Where is my order? It has not arrived.")
    if not suggester.suggest([probe]):
        raise ReleaseError(f"the release {release.version} answers nothing.", hint="Train again, or roll back.")
    return suggester
