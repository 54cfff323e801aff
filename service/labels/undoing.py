"""Taking back one's last label, or setting aside, within ten minutes."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse

from service.labels.label_form import Only, known_text, labeler_of
from service.serving import Held
from tickets.label_answers import undo

router = APIRouter(prefix="/labels")


@router.post("/{item_id}/undo")
def undo_label(request: Request, held: Held, item_id: str, only: Annotated[Only, Form()] = "") -> RedirectResponse:
    """What was done is taken back, and the notice says who has the ticket now. Raises InputError when it is too late,
    or not theirs."""
    again = undo(held.engine, known_text(item_id), labeler=labeler_of(request), at=held.options.clock())
    where = "/labels/disputes" if again == "disputed" else "/labels"
    told = {"done": "undone" if again != "elsewhere" else "undone-elsewhere", "item": item_id}
    if only and again != "disputed":
        told["only"] = only
    return RedirectResponse(f"{where}?{urlencode(told)}", status_code=303)
