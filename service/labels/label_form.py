"""What the pages of /labels send: a contact type that was chosen, or that nobody can tell."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Request
from pydantic import BaseModel, Field

from service.pages.opened import seconds_since
from service.pages.person import person_of
from service.problems import Problem
from service.serving import Serving
from tickets.errors import InputError
from tickets.label_queue import CLAIM_LASTS

Only = Literal["", "suspect"]


class LabelForm(BaseModel):
    """A type found by searching goes before one of those offered. `opened` is when the page was, in Unix seconds;
    `only` is the share that the person works through."""

    action: Literal["label", "skip"]
    chosen_type: str | None = None
    suggested_type: str | None = None
    opened: Annotated[str, Field(max_length=30)] = ""
    only: Only = ""

    def contact_type(self, held: Serving) -> str:
        """Raises Problem when none was chosen that there is."""
        chosen = self.chosen_type or self.suggested_type
        if chosen is None or "\x00" in chosen or not held.choices.knows_contact_type(chosen):
            hint = "Go back and choose one, or skip it."
            raise Problem(422, "no-contact-type", "no contact type was chosen.", hint=hint)
        return chosen

    def seconds(self, held: Serving) -> float | None:
        """How long it took; None where that cannot be so."""
        return seconds_since(held, self.opened, most=CLAIM_LASTS.total_seconds())


def labeler_of(request: Request) -> str:
    """Raises Problem for somebody without a name."""
    labeler = person_of(request)
    if labeler is None:
        raise Problem(422, "no-name", "a label needs the name of who gave it.", hint="Write your name at the top.")
    return labeler


def known_text(item_id: str) -> str:
    """The id, if it can be one: PostgreSQL refuses a text with a zero byte. Raises InputError."""
    if "\x00" in item_id:
        raise InputError("no label was asked under this id.", hint="Reload the queue.")
    return item_id
