"""The queue: which tickets wait, filtered, searched and in order; and the way from one ticket to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse, Response

from service.answering import settle
from service.console.notices import Notice
from service.console.queue_address import QueueAddress
from service.pages import render
from service.problems import Problem
from service.serving import Held, Serving
from tickets.records import Suggestion, Ticket
from tickets.ticket_queue import COUNTED, QueueFilter, count_waiting, seen_values, waiting

PAGE = 25

Mark = Annotated[str | None, Query(max_length=200, pattern=r"^[\x21-\x7e]*$")]


@dataclass(frozen=True)
class Place:
    """Where a page of the queue begins: right after a suggestion, or right before one."""

    after: Mark = None
    before: Mark = None


Address = Annotated[QueueAddress, Depends()]
LastStep = Annotated[Notice, Depends()]

router = APIRouter(prefix="/console")


@router.get("")
def queue(
    request: Request, held: Held, address: Address, told: LastStep, place: Annotated[Place, Depends()]
) -> Response:
    """Tickets that no feedback stands for. A day that cannot be read is said beside the filters."""
    settle(held)
    problem: Problem | None = None
    try:
        wanted = address.wanted(held.choices)
    except Problem as found:
        problem, wanted = found, QueueFilter()
    page = _page(held, wanted, place) if problem is None else {"waiting": [], "count": 0}
    if problem is None and place != Place() and not page["waiting"]:
        place = Place()  # all that stood there was answered; elsewhere in the queue there may be others
        page = _page(held, wanted, place)
    languages, channels = seen_values(held.engine)
    here_query = address.query(after=place.after, before=place.before)
    answer = render(
        request,
        "queue.html",
        status_code=problem.status_code if problem else 200,
        address=address,
        problem=problem,
        languages=sorted({*languages, *filter(None, [address.language])}),
        channels=sorted({*channels, *filter(None, [address.channel])}),
        types=held.choices.active_paths(),
        type_path=held.choices.path(address.type) if address.type else "",
        release=held.releases.loaded.version if held.releases.loaded else None,
        notice=told.shown(held),
        here_query=here_query,
        **({"newer": None, "older": None, "counted": COUNTED} | page),
    )
    here = "/console" + here_query
    if problem is None and _by_filters(request) and not request.headers.get("hx-current-url", "").endswith(here):
        answer.headers["HX-Push-Url"] = here  # the address bar shows what can be asked for again, and Back goes back
    return answer


def _by_filters(request: Request) -> bool:
    """Whether htmx asks because the filters changed. The list that fetches itself anew is no step to go back to."""
    return request.headers.get("hx-source") == "form#filters"


@router.get("/next")
def next_ticket(held: Held, address: Address, told: LastStep, after: Mark = None) -> RedirectResponse:
    """The ticket after this one in the filtered queue, the first one at its end; the queue when none waits."""
    settle(held)
    return _go(held, address, told, waiting(held.engine, address.wanted(held.choices), after=after, limit=2), after)


@router.get("/previous")
def previous_ticket(held: Held, address: Address, told: LastStep, before: Mark = None) -> RedirectResponse:
    """The ticket before this one in the filtered queue; the first one where there is none."""
    settle(held)
    found = waiting(held.engine, address.wanted(held.choices), before=before, limit=1)
    return _go(held, address, told, found, before)


def _go(
    held: Serving,
    address: QueueAddress,
    told: Notice,
    found: list[tuple[Ticket, Suggestion]],
    here: str | None,
) -> RedirectResponse:
    others = [suggestion.suggestion_id for _, suggestion in found if suggestion.suggestion_id != here]
    if not others:
        first = waiting(held.engine, address.wanted(held.choices), limit=2)
        others = [suggestion.suggestion_id for _, suggestion in first]
    where = f"/console/suggestions/{others[0]}" if others else "/console"
    return RedirectResponse(where + address.query(**told.carried()), status_code=303)


def _page(held: Serving, wanted: QueueFilter, place: Place) -> dict[str, Any]:
    """One page of the queue, what stands on either side of it, and how many there are in all."""
    after, before = place.after, place.before
    rows = waiting(held.engine, wanted, after=after, before=before, limit=PAGE + 1)
    more = len(rows) > PAGE
    shown = rows[-PAGE:] if before else rows[:PAGE]
    ends = (shown[0][1].suggestion_id, shown[-1][1].suggestion_id) if shown else ("", "")
    first = not after and not (before and more)
    return {
        "waiting": shown,
        "newer": None if first else ends[0] or None,
        "older": ends[1] if more or before else None,
        "count": len(rows) if first and not more and not before else count_waiting(held.engine, wanted),
    }
