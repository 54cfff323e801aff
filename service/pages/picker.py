"""The searchable list of contact types, as a piece of page that htmx puts in place while one types."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from service.pages import render
from service.serving import Held

router = APIRouter(prefix="/pick", include_in_schema=False)


@router.get("/contact-types")
def find_contact_types(request: Request, held: Held, q: Annotated[str, Query(max_length=200)] = "") -> HTMLResponse:
    """The contact types that hold every word of `q`, each with a radio button named `chosen_type`."""
    return render(request, "found_types.html", found=held.choices.search(q), query=q)
