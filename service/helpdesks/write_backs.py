"""The work behind the webhooks: suggest for each taken ticket, then write that into the helpdesk, with patience.

The database is the queue. So a restart goes on where the last process stopped, several processes share the work, and
nothing waits in memory. A try either succeeds, is put off, or has failed for good; whatever it is stands in the table.
"""

from __future__ import annotations

from datetime import timedelta

import anyio
import httpx
import sqlalchemy as sa
import structlog
from anyio import to_thread

from service.answering import Wanted, answer, find_kept
from service.helpdesks.calls import HelpdeskApi, Refused, TryLater
from service.helpdesks.kinds import KINDS
from service.helpdesks.note import to_write
from service.helpdesks.options import HelpdeskOptions
from service.logs import where
from service.options import utc_now
from service.problems import Problem
from service.serving import Serving
from tickets import webhook_deliveries as deliveries
from tickets.records import Suggestion
from tickets.webhook_deliveries import Delivery

log = structlog.get_logger()

_MOST_DOUBLINGS = 40  # any wait is at its longest by then


class WriteBacks:
    """Runs inside the app. Made without an event loop; `run` lives in the app's."""

    def __init__(self, held: Serving) -> None:
        self._held = held
        self._knobs = held.options.helpdesks
        self._in_hand = 0
        self._stopping = False
        self._news = anyio.Event()
        self._ended = anyio.Event()

    def nudge(self) -> None:
        """There is something new, or room for more."""
        self._news.set()

    async def stop(self) -> None:
        """Take nothing more up, and give the tries under way a moment to end; what does not stays due."""
        self._stopping = True
        self.nudge()
        with anyio.move_on_after(self._knobs.stop_within):
            await self._ended.wait()

    async def run(self) -> None:
        """Work until stopped; where no helpdesk is connected, until nothing waits that once came from one. A database
        that is away is waited for."""
        if await self._is_done():
            self._ended.set()
            return
        async with httpx.AsyncClient(timeout=self._knobs.timeout) as client, anyio.create_task_group() as tasks:
            while not self._stopping:
                self._news = anyio.Event()
                try:
                    for delivery in await self._claim():
                        self._in_hand += 1
                        tasks.start_soon(self._work_on, client, delivery)
                    pause = await self._pause()
                    if await self._is_done():
                        break
                except Exception as error:  # whatever the database does, the service goes on and asks again
                    log.error("webhook deliveries not read", kind=type(error).__qualname__, at=where(error))
                    pause = self._knobs.look_every
                with anyio.move_on_after(pause):
                    await self._news.wait()
        self._ended.set()

    async def _is_done(self) -> bool:
        """Whether no helpdesk is connected and nothing is left of earlier days, so that nothing will ever be to do."""
        if any(self._knobs.named(name) for name in KINDS):
            return False
        try:
            return await to_thread.run_sync(deliveries.next_due, self._held.engine) is None
        except sa.exc.SQLAlchemyError:
            return False

    async def _claim(self) -> list[Delivery]:
        free = self._knobs.at_once - self._in_hand
        if free <= 0:
            return []
        return await to_thread.run_sync(
            lambda: deliveries.claim(self._held.engine, now=utc_now(), lease=self._knobs.lease, limit=free)
        )

    async def _pause(self) -> float:
        """Seconds until the next delivery is due; with all hands full, until one is free."""
        if self._in_hand >= self._knobs.at_once:
            return self._knobs.look_every
        due = await to_thread.run_sync(deliveries.next_due, self._held.engine)
        wait = self._knobs.look_every if due is None else (due - utc_now()).total_seconds()
        return min(max(wait, 0.0), self._knobs.look_every)

    async def _work_on(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        try:
            with anyio.fail_after(0.9 * self._knobs.lease):
                await self._try(client, delivery)
        except Exception as error:  # neither a fault of ours nor a database that is away ends the service
            kind = type(error).__qualname__
            log.error("webhook delivery interrupted", helpdesk=delivery.helpdesk, kind=kind, at=where(error))
            await self._put_off_if_it_can_be(delivery, kind)
        finally:
            self._in_hand -= 1
            self.nudge()

    async def _try(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        options = self._knobs.named(delivery.helpdesk)
        if options is None:
            await self._finish(delivery, "failed", "the helpdesk is no longer connected")
            return
        try:
            suggestion = await self._suggest(delivery)
            if suggestion.arm == "holdout":
                await self._finish(delivery, "withheld", None)
                return
            await self._write(client, delivery, suggestion, options)
        except TryLater as later:
            await self._put_off(delivery, later)
        except Refused as refused:
            await self._finish(delivery, "failed", refused.reason)
        except Problem as problem:  # no release yet, or a queue that is full, passes; a ticket without text does not
            if problem.status_code in (429, 503):
                await self._put_off(delivery, TryLater(problem.code, problem.retry_after), ours=True)
            else:
                await self._finish(delivery, "failed", problem.code)
        else:
            await self._finish(delivery, "written back", None)

    async def _suggest(self, delivery: Delivery) -> Suggestion:
        """The suggestion kept by an earlier try, or a new one."""
        kept = await to_thread.run_sync(find_kept, self._held, delivery.suggestion_id)
        if kept is not None:
            return kept[1]
        (made,) = await answer(self._held, [Wanted(ticket=delivery.ticket, suggestion_id=delivery.suggestion_id)])
        return made

    async def _write(
        self, client: httpx.AsyncClient, delivery: Delivery, suggestion: Suggestion, options: HelpdeskOptions
    ) -> None:
        """A try after the first looks whether the note is there: the one before may have died between note and tags."""
        kind = KINDS[delivery.helpdesk]
        written = to_write(suggestion, options)
        if not (written.tags or written.value or written.note):
            return
        api = HelpdeskApi(client, options.url, kind.credentials(options))
        again = delivery.attempts > 1 and written.note is not None
        if again and await kind.noted(api, delivery.ticket_id, written.reference, options):
            written = written.without_note()
        await kind.write_back(api, delivery.ticket_id, written, options)

    async def _put_off(self, delivery: Delivery, later: TryLater, *, ours: bool = False) -> None:
        """Try again later, so many times; without end when the trouble is `ours`, such as no release yet."""
        if delivery.attempts >= self._knobs.attempts and not ours:
            await self._finish(delivery, "failed", f"{delivery.attempts} tries, the last: {later.reason}")
            return
        # Told to wait less than its own time, it waits its own time.
        wait = min(max(self._backoff(delivery.attempts), later.wait or 0.0), self._knobs.longest_wait)
        until = utc_now() + timedelta(seconds=wait)
        log.info("webhook delivery put off", helpdesk=delivery.helpdesk, reason=later.reason, seconds=round(wait, 1))
        await to_thread.run_sync(
            lambda: deliveries.put_off(self._held.engine, delivery, until=until, reason=later.reason)
        )

    def _backoff(self, attempts: int) -> float:
        """Seconds: doubled with each attempt. Attempts may go on without end, so doubling must not."""
        return self._knobs.first_wait * 2.0 ** min(attempts - 1, _MOST_DOUBLINGS)

    async def _put_off_if_it_can_be(self, delivery: Delivery, reason: str) -> None:
        """Without a database the delivery is simply due again when its lease has run out."""
        try:
            await self._put_off(delivery, TryLater(reason))
        except sa.exc.SQLAlchemyError as error:
            log.error("webhook delivery left", helpdesk=delivery.helpdesk, kind=type(error).__qualname__)

    async def _finish(self, delivery: Delivery, status: str, reason: str | None) -> None:
        await to_thread.run_sync(lambda: deliveries.finish(self._held.engine, delivery, status, reason=reason))
        self._held.metrics.webhooks.labels(delivery.helpdesk, status.replace(" ", "_")).inc()
        level = log.warning if status == "failed" else log.info
        level(
            "webhook delivery done", helpdesk=delivery.helpdesk, status=status, reason=reason, tries=delivery.attempts
        )
