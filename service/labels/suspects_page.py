"""Labels of the past that the model doubts, as a list: what the label says, what the model says, how surely."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from service.labels.label_view import Notice, view
from service.pages import render
from service.pages.person import person_of
from service.serving import Held
from tickets.label_work import waiting_suspects

SHOWN = 50

router = APIRouter(prefix="/labels/suspects")


@router.get("")
def suspects(request: Request, held: Held, told: Annotated[Notice, Depends()]) -> HTMLResponse:
    """Those that nobody has looked at yet, the likeliest mistakes first."""
    waiting = waiting_suspects(held.engine, limit=SHOWN)
    return render(request, "suspects.html", suspects=waiting, **view(held, person_of(request), told))
