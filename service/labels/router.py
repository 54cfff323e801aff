"""Working through the relabel queue: take the next ticket, choose its contact type or skip it.

A random share of the queue measures how right the model is; there its suggestion is not shown, since it would lean
people towards itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from service.pages import render
from service.pages.person import person_of
from service.problems import Problem
from service.serving import Held
from tickets import label_queue
from tickets.errors import InputError

router = APIRouter(prefix="/labels", include_in_schema=False)


class LabelForm(BaseModel):
    """What the page sends; a type found by searching goes before a suggested one."""

    action: Literal["label", "skip"]
    chosen_type: str | None = None
    suggested_type: str | None = None


@router.get("")
def next_item(request: Request, held: Held) -> HTMLResponse:
    """The next ticket for whoever is named at the top of the page; nothing is claimed for nobody."""
    labeler = person_of(request)
    claimed = label_queue.claim(held.engine, labeler, at=held.options.clock()) if labeler else []
    item = claimed[0] if claimed else None
    counts = label_queue.counts(held.engine)
    return render(
        request,
        "label.html",
        item=item,
        suggestion=item.suggestion if item is not None and item.share != "random" else None,
        waiting=counts.get("open", 0) + counts.get("claimed", 0),
        done=counts.get("done", 0),
        skipped=counts.get("skipped", 0),
        found=held.choices.search(""),
        query="",
    )


@router.post("/{item_id}")
def answer_item(
    request: Request,
    held: Held,
    item_id: str,
    form: Annotated[LabelForm, Form()],
) -> RedirectResponse:
    """Keep a label, or set the ticket aside; then show the next."""
    labeler = person_of(request)
    if labeler is None:
        raise Problem(422, "no-name", "a label needs the name of who gave it.", hint="Write your name at the top.")
    if "\x00" in item_id:
        raise InputError("no label was asked under this id.", hint="Reload the queue.")
    if form.action == "skip":
        label_queue.skip(held.engine, item_id, labeler=labeler, at=held.options.clock())
        return RedirectResponse("/labels", status_code=303)
    contact_type = form.chosen_type or form.suggested_type
    if contact_type is None or not held.choices.knows_contact_type(contact_type):
        raise Problem(422, "no-contact-type", "no contact type was chosen.", hint="Go back and choose one, or skip it.")
    label_queue.answer(held.engine, item_id, contact_type=contact_type, labeler=labeler, at=held.options.clock())
    return RedirectResponse("/labels", status_code=303)
