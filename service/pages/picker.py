"""The searchable tree of contact types, as a piece of page that htmx puts in place while one types."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from service.pages import render
from service.pages.person import person_of
from service.serving import Held, Serving
from tickets.contact_types import ContactType
from tickets.ticket_queue import recently_chosen

router = APIRouter(prefix="/pick", include_in_schema=False)


@router.get("/contact-types")
def find_contact_types(request: Request, held: Held, q: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """The contact types that hold every word of `q`, each with a radio button named `chosen_type`."""
    found, recent = held.choices.search(q), recent_types(request, held, q)
    return render(request, "found_types.html", found=found, query=q.strip(), recent=recent)


def recent_types(request: Request, held: Serving, query: str) -> list[tuple[ContactType, str]]:
    """What whoever is named on the page chose last, newest first, as far as it is found by the query."""
    person = person_of(request)
    if person is None:
        return []
    found = {leaf.id: (leaf, path) for leaf, path in held.choices.search(query)}
    chosen = recently_chosen(held.engine, person, now=held.options.clock())
    return [found[contact_type] for contact_type in chosen if contact_type in found]
