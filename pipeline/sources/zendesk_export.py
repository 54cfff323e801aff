"""Fetch what changed in Zendesk since the last time into a folder of JSON-lines pages.

    state.json                 the cursor, and how many pages there are
    tickets-00000001.jsonl     a page: one ticket a line, whole, with its audits under `audits`
    macros.jsonl               all macros, fetched anew each time
    ticket_fields.jsonl        all ticket fields with their options, fetched anew each time

A ticket's audits hold its comments and the macros that agents applied, so one request tells all of a ticket. The other
way, incremental ticket events with comments, needs about as long (10 requests a minute of 1,000 events, ten or so of
them a ticket, against 200 to 700 audits a minute), spreads a ticket over many pages, and does not promise macros.
A page is in place before the cursor moves, so one that was cut short or killed is fetched again and none is lost.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.sources.zendesk_api import ZendeskAccount, ZendeskApi
from tickets.errors import InputError, SourceError
from tickets.progress import Report, silent
from tickets.workspace import write_text

STATE = "state.json"
MACROS = "macros.jsonl"
FIELDS = "ticket_fields.jsonl"
PAGE_PATTERN = "tickets-*.jsonl"
# A killed fetch repeats at most so many requests; with 10 pages a minute audits are the slower part still.
TICKETS_A_PAGE = 100
CONNECTIONS = 4
_WITHOUT_AUDITS = "deleted"
_LISTS = ((FIELDS, "/api/v2/ticket_fields.json", "ticket_fields"), (MACROS, "/api/v2/macros.json", "macros"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What one run brought."""

    tickets: int
    pages: int


def fetch_export(api: ZendeskApi, folder: Path, *, since: date | None = None, report: Report = silent) -> Fetched:
    """Fetch every ticket changed since the last run, and all macros and ticket fields, into `folder`.

    The first run begins at `since`, or with the account's first ticket. Raises InputError when the folder belongs to
    another account or Zendesk refuses us, SourceError when Zendesk keeps failing; run again, and it goes on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = _state(folder, api.url)
    for name, path, key in _LISTS:
        write_text(folder / name, _lines(api.listed(path, key)))
    tickets, first = 0, state["pages"]
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        while True:
            page = _page(api, state["cursor"], since)
            if page["tickets"]:
                whole = list(threads.map(lambda ticket: _with_audits(api, ticket), page["tickets"]))
                write_text(folder / f"tickets-{state['pages'] + 1:08d}.jsonl", _lines(whole))
                state["pages"] += 1
                tickets += len(whole)
                report(f"zendesk: {tickets:,} tickets, up to {whole[-1].get('updated_at')}")
            state["cursor"] = page.get("after_cursor") or state["cursor"]
            write_text(folder / STATE, json.dumps(state, indent=1))
            if page["end_of_stream"]:
                return Fetched(tickets=tickets, pages=state["pages"] - first)


def fetch_account(
    account: ZendeskAccount, folder: Path, *, since: date | None = None, report: Report = silent
) -> Fetched:
    """`fetch_export` with a connection of its own."""
    with ZendeskApi(account) as api:
        return fetch_export(api, folder, since=since, report=report)


def _state(folder: Path, url: str) -> dict[str, Any]:
    path = folder / STATE
    if not path.exists():
        return {"url": url, "cursor": None, "pages": 0}
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = str(state["url"]), int(state["pages"]), state["cursor"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}.", hint="Take the folder away and fetch anew.") from error
    if known[0] != url:
        raise InputError(f"{folder} holds the export of {known[0]}, not of {url}.", hint="Give each account a folder.")
    return state


def _page(api: ZendeskApi, cursor: str | None, since: date | None) -> dict[str, Any]:
    """A page of the cursor-based incremental export."""
    start = _epoch(since)
    place: dict[str, str | int] = {"cursor": cursor} if cursor else {"start_time": start}
    page = api.get("/api/v2/incremental/tickets/cursor.json", {**place, "per_page": TICKETS_A_PAGE})
    if page is None or not isinstance(page.get("tickets"), list) or not isinstance(page.get("end_of_stream"), bool):
        raise SourceError(f"{api.url} answers with no incremental export.", hint="Is it a Zendesk Support account?")
    if not page["end_of_stream"] and page.get("after_cursor") in (None, cursor):
        raise SourceError("Zendesk's export does not move on from its cursor.", hint="Run it again later.")
    return page


def _epoch(since: date | None) -> int:
    return (since - date(1970, 1, 1)).days * 86_400 if since else 0


def _with_audits(api: ZendeskApi, ticket: dict[str, Any]) -> dict[str, Any]:
    if ticket.get("status") == _WITHOUT_AUDITS:
        return ticket
    return {**ticket, "audits": list(api.listed(f"/api/v2/tickets/{int(ticket['id'])}/audits.json", "audits"))}


def _lines(rows: Iterable[dict[str, Any]]) -> str:
    """JSON lines, in ASCII: escapes hold half a character too, which UTF-8 cannot."""
    return "".join(json.dumps(row) + "\n" for row in rows)
