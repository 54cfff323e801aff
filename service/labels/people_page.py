"""Who labelled in the last four weeks, how far each agrees with others and with known answers; for administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from models.intervals import share_of
from service.labels.label_view import LOOKED_BACK, Notice, view
from service.pages import render
from service.pages.person import person_of
from service.serving import Held
from tickets.label_work import people

router = APIRouter(prefix="/labels/people")


@router.get("")
def people_page(request: Request, held: Held, told: Annotated[Notice, Depends()]) -> HTMLResponse:
    """Few tickets tell little of a person: each share has its interval."""
    rows = [
        (
            person,
            share_of(person.agreed.hits, person.agreed.compared),
            share_of(person.gold.hits, person.gold.compared),
        )
        for person in people(held.engine, held.choices.tree(), since=held.options.clock() - LOOKED_BACK)
    ]
    return render(request, "people.html", people=rows, **view(held, person_of(request), told))
