"""What agents make of suggestions in the helpdesk itself: a changed tag or field, or a solved ticket, is feedback."""

from __future__ import annotations

from service.answering import find_kept
from service.feedback import give_feedback
from service.helpdesks.note import tag_of, value_of
from service.helpdesks.options import HelpdeskOptions
from service.helpdesks.payloads import Judged
from service.schemas import FeedbackRequest
from service.serving import Serving
from tickets.records import FeedbackAction, Suggestion
from tickets.ticket_queue import standing_feedback
from tickets.webhook_deliveries import feedback_id_of, suggestion_id_of


def judge(held: Serving, helpdesk: str, options: HelpdeskOptions, judged: Judged, *, delivery_id: str) -> str | None:
    """Keep the feedback that a judgement is, and say which it was; None where it is none.

    A value other than the first suggestion corrects it. The first suggestion itself accepts it, but only once the
    ticket is done: before, it stands there because we wrote it. The same judgement again is no second feedback. Raises
    Problem as `give_feedback` does.
    """
    found = find_kept(held, suggestion_id_of(helpdesk, judged.ticket_id))
    if found is None:
        return None
    ticket, suggestion = found
    first = suggestion.contact_types[0].contact_type if suggestion.contact_types else None
    chosen = _chosen(held, options, suggestion, judged.values, first)
    if chosen is None or (chosen == first and not judged.final):
        return None
    if chosen == _last_judged(held, ticket.ticket_id):
        return None
    action: FeedbackAction = "accepted" if chosen == first else "corrected"
    given = FeedbackRequest(
        suggestion_id=suggestion.suggestion_id, action=action, contact_type=chosen, agent=judged.agent
    )
    give_feedback(held, given, feedback_id=feedback_id_of(helpdesk, delivery_id))
    return action


def _chosen(
    held: Serving, options: HelpdeskOptions, suggestion: Suggestion, values: tuple[str, ...], first: str | None
) -> str | None:
    """The one contact type that the values name. Our own tag stays when an agent adds another, so the other counts."""
    tree = held.choices.tree()
    known = {node.id: tree.path(node.id) for node in tree.leaves()}
    known |= {ranked.contact_type: ranked.path for ranked in suggestion.contact_types}
    spoken = {value.casefold() for value in values}
    named = {contact_type for contact_type, path in known.items() if spoken & _ways_to_say(contact_type, path, options)}
    others = named - {first}
    if len(others) == 1:
        return others.pop()
    return first if not others and first in named else None


def _ways_to_say(contact_type: str, path: str, options: HelpdeskOptions) -> set[str]:
    said = (contact_type, path, value_of(contact_type, options.field_values), tag_of(contact_type, options.tag_prefix))
    return {one.casefold() for one in said}


def _last_judged(held: Serving, ticket_id: str) -> str | None:
    """The contact type of the newest feedback on a ticket, whoever gave it: in the sidebar, say, on a suggestion of its
    own."""
    given = standing_feedback(held.engine, [ticket_id]).get(ticket_id)
    return given["contact_type"] if given else None
