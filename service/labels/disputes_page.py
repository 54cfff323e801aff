"""Tickets on whose labels people disagree: a third person sees what was said, not by whom, and settles it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from service.labels.label_form import LabelForm, known_text, labeler_of
from service.labels.label_view import Choice, Notice, view
from service.pages import render
from service.pages.person import person_of
from service.serving import Held
from tickets.label_answers import settle, skip
from tickets.label_disputes import claim_dispute

router = APIRouter(prefix="/labels/disputes")


@router.get("")
def next_dispute(request: Request, held: Held, told: Annotated[Notice, Depends()]) -> HTMLResponse:
    """The next dispute that this person took no part in."""
    person = person_of(request)
    again = told.item if told.done == "undone" else ""
    found = claim_dispute(held.engine, person, at=held.options.clock(), first=again) if person else None
    given = found.contact_types if found else ()
    return render(
        request,
        "dispute.html",
        item=found.item if found else None,
        choices=[Choice(contact_type=name, path=held.choices.path(name)) for name in given],
        **view(held, person, told),
    )


@router.post("/{item_id}")
def settle_dispute(request: Request, held: Held, item_id: str, form: Annotated[LabelForm, Form()]) -> RedirectResponse:
    """What this person says is the label that counts; or nobody can tell, and none does."""
    person, at = labeler_of(request), held.options.clock()
    if form.action == "skip":
        skip(held.engine, known_text(item_id), labeler=person, at=at)
    else:
        contact_type, seconds = form.contact_type(held), form.seconds(held)
        settle(held.engine, known_text(item_id), contact_type=contact_type, labeler=person, at=at, seconds=seconds)
    told = {"done": "skipped" if form.action == "skip" else "settled", "item": item_id}
    return RedirectResponse(f"/labels/disputes?{urlencode(told)}", status_code=303)
