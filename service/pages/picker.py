"""The searchable tree of contact types, as a piece of page that htmx puts in place while one types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.pages import render
from service.pages.person import person_of
from service.query_values import Word
from service.serving import Held, Serving
from tickets.contact_types import ContactType
from tickets.ticket_queue import recently_chosen

router = APIRouter(prefix="/pick", include_in_schema=False)


@router.get("/contact-types")
def find_contact_types(request: Request, held: Held, q: Word = "", chosen_type: Word = "") -> HTMLResponse:
    """The contact types that hold every word of `q`, each with a radio button named `chosen_type`; the chosen one
    stays."""
    return render(request, "found_types.html", **types_found(request, held, q, chosen=chosen_type))


def types_found(request: Request, held: Serving, query: str, *, chosen: str = "") -> dict[str, Any]:
    """The context of `found_types.html`. `kept` is the chosen type where the search does not find it again."""
    found, tree = held.choices.search(query), held.choices.tree()
    missing = {chosen} - {leaf.id for leaf, _ in found}
    return {
        "found": found,
        "query": query.strip(),
        "recent": _recent_types(request, held, found),
        "chosen": chosen,
        "kept": [(leaf, tree.path(leaf.id)) for leaf in tree.leaves() if leaf.id in missing],
    }


def _recent_types(
    request: Request, held: Serving, found: Sequence[tuple[ContactType, str]]
) -> list[tuple[ContactType, str]]:
    """Of the types that were found, with their paths, those that whoever is named on the page chose last, newest
    first."""
    person = person_of(request)
    if person is None:
        return []
    by_id = {leaf.id: (leaf, path) for leaf, path in found}
    chosen = recently_chosen(held.engine, person, now=held.options.clock())
    return [by_id[contact_type] for contact_type in chosen if contact_type in by_id]
