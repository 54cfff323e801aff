"""Keys, recognised fast: looked up in the database, then remembered for some seconds.

A look-up runs in a thread, so a slow database never holds up the event loop; several requests with one key wait for
the same look-up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Literal

import anyio
import sqlalchemy as sa
import structlog
from anyio import CapacityLimiter, to_thread

from service.access.options import AccessOptions
from tickets.api_keys import ApiKey, find_key

log = structlog.get_logger()

_MOST = 10_000  # keys remembered; a look-up is all that a forgotten one costs


class DatabaseAway(Exception):  # noqa: N818  # reads as what it says
    """The database does not answer, and the key was not seen lately."""


@dataclass(slots=True)
class _Seen:
    key: ApiKey
    at: float  # by the monotonic clock
    ends: float  # Unix time; inf for a key without an end


class Keyring:
    """The keys of one database, as one process knows them."""

    def __init__(
        self, engine: sa.Engine, options: AccessOptions, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._options = options
        self._clock = clock
        self._seen: dict[str, _Seen] = {}
        self._looking: dict[str, anyio.Event] = {}
        self._away_until = -inf
        self._threads: CapacityLimiter | None = None  # made in the event loop it belongs to

    def knows(self, key_id: str) -> bool:
        """Whether this key was let in lately, so that asking for it again is no guess."""
        return key_id in self._seen

    def remembered(self, key_id: str) -> ApiKey | None:
        """The key if it works and was looked up a moment ago; None says to `find` it."""
        seen = self._seen.get(key_id)
        if seen is None or self._clock() - seen.at > self._options.fresh_seconds or time.time() >= seen.ends:
            return None
        return seen.key

    async def find(self, key_id: str) -> ApiKey | None:
        """The key if it works, from memory or from the database; None for one that does not. Raises DatabaseAway."""
        for _ in range(2):  # whoever waited for another's look-up finds its result, or looks itself
            if (key := self.remembered(key_id)) is not None:
                return key
            if (looking := self._looking.get(key_id)) is None:
                return await self._look(key_id)
            await looking.wait()
        return self.remembered(key_id) or await self._look(key_id)

    async def _look(self, key_id: str) -> ApiKey | None:
        self._looking[key_id] = done = anyio.Event()
        try:
            found = await self._ask(key_id)
        finally:
            self._looking.pop(key_id, None)
            done.set()
        if found == "away":
            return self._lately(key_id)
        now = datetime.now(UTC)
        if found is None or not found.works(now):
            self._seen.pop(key_id, None)
            return None
        if len(self._seen) >= _MOST:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key_id] = _Seen(found, self._clock(), found.expires_at.timestamp() if found.expires_at else inf)
        return found

    async def _ask(self, key_id: str) -> ApiKey | Literal["away"] | None:
        """What the database says. Once it was away it is left alone for a moment, so that requests need not wait."""
        if self._clock() < self._away_until:
            return "away"
        if self._threads is None:
            self._threads = CapacityLimiter(4)
        try:
            with anyio.fail_after(self._options.lookup_seconds):
                return await to_thread.run_sync(self._read, key_id, limiter=self._threads, abandon_on_cancel=True)
        except (sa.exc.SQLAlchemyError, TimeoutError) as error:
            self._away_until = self._clock() + min(1.0, self._options.fresh_seconds)
            log.warning("keys not looked up", kind=type(error).__qualname__)
            return "away"

    def _read(self, key_id: str) -> ApiKey | None:
        return find_key(self._engine, key_id)

    def _lately(self, key_id: str) -> ApiKey | None:
        seen = self._seen.get(key_id)
        if seen is None or self._clock() - seen.at > self._options.outage_seconds:
            raise DatabaseAway
        return seen.key if time.time() < seen.ends else None
