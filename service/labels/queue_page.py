"""Working through the relabel queue: take the next ticket, choose its contact type or set it aside.

Labels that measure, of random and gold tickets and wherever two people label the same, are given blind: what the model
says would lean people towards it, and towards each other.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from service.labels.label_form import LabelForm, Only, known_text, labeler_of
from service.labels.label_view import Notice, choices_of, view
from service.pages import render
from service.pages.person import person_of
from service.serving import Held
from tickets import label_queue

router = APIRouter(prefix="/labels")


@router.get("")
def next_item(
    request: Request,
    held: Held,
    told: Annotated[Notice, Depends()],
    only: Annotated[Only, Query()] = "",
) -> HTMLResponse:
    """The next ticket for whoever is named at the top of the page; nothing is claimed for nobody."""
    labeler = person_of(request)
    at = held.options.clock()
    item = None
    if labeler is not None:
        again = told.item if told.done == "undone" else ""
        item = next(iter(label_queue.claim(held.engine, labeler, at=at, share=only or None, first=again)), None)
    return render(
        request,
        "label.html",
        item=item,
        only=only,
        choices=choices_of(held, item) if item is not None else [],
        **view(held, labeler, told),
    )


@router.post("/{item_id}")
def answer_item(
    request: Request,
    held: Held,
    item_id: str,
    form: Annotated[LabelForm, Form()],
) -> RedirectResponse:
    """Keep a label, or set the ticket aside; then show the next."""
    labeler, at = labeler_of(request), held.options.clock()
    if form.action == "skip":
        became = label_queue.skip(held.engine, known_text(item_id), labeler=labeler, at=at)
        return _next(done="skipped" if became == "skipped" else f"passed-{became}", item=item_id, only=form.only)
    label_queue.answer(
        held.engine,
        known_text(item_id),
        contact_type=form.contact_type(held),
        labeler=labeler,
        at=at,
        seconds=form.seconds(held),
    )
    return _next(done="labelled", item=item_id, only=form.only)


def _next(**told: str) -> RedirectResponse:
    query = urlencode({name: value for name, value in told.items() if value})
    return RedirectResponse(f"/labels?{query}", status_code=303)
