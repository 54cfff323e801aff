"""Everything the ticket's page shows of a ticket and its suggestion, and what the agent has begun to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, StringConstraints

from service.console.edit_distance import edit_distance
from service.console.replies import Reply, fill, missing
from service.console.templates_found import TemplateSearch, languages_of, templates_offered
from service.pages.opened import opened_now
from service.pages.person import person_of
from service.pages.picker import types_found
from service.pages.shown_text import marked
from service.schemas import MAX_TEXT
from service.serving import Serving
from tickets.feedback_log import new_id
from tickets.records import Suggestion, Ticket, shown
from tickets.ticket_queue import standing_feedback

TEMPLATE_KEYS = "tyg"

Words = Annotated[str, StringConstraints(max_length=200)]


class Draft(BaseModel):
    """What stands in the ticket's form and is not sent yet. `reply_of` is the template that `reply` was made from."""

    suggested_type: Words = ""
    chosen_type: Words = ""
    template_id: Words = ""
    reply: Annotated[str, StringConstraints(max_length=MAX_TEXT)] | None = None
    reply_of: Words = ""
    q: Words = ""
    words: Words = ""
    template_language: Words = ""
    template_type: Words = ""
    feedback_id: Annotated[str, StringConstraints(max_length=200, pattern=r"^[0-9a-f-]*$")] = ""
    opened: Annotated[str, StringConstraints(max_length=30, pattern=r"^[0-9.]*$")] = ""


@dataclass(frozen=True)
class ReplyBox:
    """The reply as it stands in its box."""

    template_id: str
    text: str
    missing: tuple[str, ...]


def ticket_view(
    request: Request, held: Serving, ticket: Ticket, suggestion: Suggestion, draft: Draft | None = None
) -> dict[str, Any]:
    """The context of `ticket.html`. What the model says of a held-out ticket is left out."""
    said = shown(suggestion)
    draft = draft or _untouched(said)
    search = TemplateSearch(draft.words, draft.template_language, draft.template_type)
    suggested = [ranked.template_id for ranked in said.templates]
    templates = templates_offered(
        held.choices, search, chosen=draft.template_id, language=ticket.language, without=suggested
    )
    return types_found(request, held, draft.q, chosen=draft.chosen_type) | {
        "ticket": ticket,
        "suggestion": said,
        "held_out": said.arm == "holdout",
        "body": marked(ticket.body, [word.word for word in said.words]),
        "subject": marked(ticket.subject, [word.word for word in said.words]),
        "templates": [(ranked, held.choices.template(ranked.template_id)) for ranked in said.templates],
        "template_keys": TEMPLATE_KEYS,
        "found_templates": templates,
        "template_search": search,
        "template_languages": languages_of(held.choices),
        "type_paths": held.choices.active_paths(),
        "similar": _similar(held, said),
        "among": _among(held, said),
        "draft": draft,
        "reply": reply_box(request, held, ticket, draft),
        "answered": standing_feedback(held.engine, [ticket.ticket_id]).get(ticket.ticket_id),
        # Made with the page, so pressing twice sends the same feedback.
        "feedback_id": draft.feedback_id or new_id(),
        "opened": draft.opened or opened_now(held),
    }


def reply_box(request: Request, held: Serving, ticket: Ticket, draft: Draft) -> ReplyBox | None:
    """The reply of the chosen template: as the agent left it, or filled anew. None while no template is chosen."""
    if draft.reply is not None and draft.reply_of == draft.template_id and draft.reply_of:
        return ReplyBox(draft.reply_of, draft.reply, missing(draft.reply))
    filled = filled_reply(request, held, ticket, draft.template_id)
    return ReplyBox(draft.template_id, filled.text, filled.missing) if filled else None


def filled_reply(request: Request, held: Serving, ticket: Ticket, template_id: str) -> Reply | None:
    template = held.choices.template(template_id) if template_id else None
    return fill(template, ticket, agent=person_of(request)) if template else None


def changed_share(request: Request, held: Serving, ticket: Ticket, draft: Draft) -> float | None:
    """How much of the template's text the agent changed; None when no reply was written from the chosen template."""
    if draft.reply is None or not draft.template_id or draft.reply_of != draft.template_id:
        return None
    filled = filled_reply(request, held, ticket, draft.template_id)
    return edit_distance(filled.text, draft.reply) if filled else None


def _untouched(suggestion: Suggestion) -> Draft:
    """The form before the agent touches it: the first contact type, unless the model abstained; no template."""
    first = suggestion.contact_types[0].contact_type if suggestion.contact_types else ""
    return Draft(suggested_type="" if suggestion.abstained else first)


def _similar(held: Serving, suggestion: Suggestion) -> list[dict[str, Any]]:
    """Similar tickets, with what was done about them: their contact type and, where it is known here, the template."""
    given = standing_feedback(held.engine, [row.ticket_id for row in suggestion.similar]) if suggestion.similar else {}
    rows = []
    for row in suggestion.similar:
        sent = held.choices.template((given.get(row.ticket_id) or {}).get("template_id") or "")
        rows.append({"row": row, "path": held.choices.path(row.contact_type), "sent": sent.title if sent else None})
    return rows


def _among(held: Serving, suggestion: Suggestion) -> dict[str, Any] | None:
    """The answer set beside the types that are shown: how many of them are in it, the paths of others that are, and the
    path of the part of the tree that is named instead. None without a set."""
    if suggestion.answer_set is None:
        return None
    among, under = suggestion.answer_set.contact_types, suggestion.answer_set.under
    named = [ranked.contact_type for ranked in suggestion.contact_types]
    return {
        "share": suggestion.answer_set.coverage,
        "shown": sum(contact_type in among for contact_type in named),
        "others": [held.choices.path(contact_type) for contact_type in among if contact_type not in named],
        "under": held.choices.path(under) if under else None,
    }
