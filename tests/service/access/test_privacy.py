"""What the database may keep of a ticket, by policy."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime

from pipeline.extract import extract
from service.access.privacy import kept_suggestion, kept_ticket
from tests.logged import log_suggestions
from tickets.database import open_database
from tickets.records import (
    RankedContactType,
    RankedTemplate,
    SimilarTicket,
    Suggestion,
    Ticket,
    WordWeight,
    suggestion_from_json,
    ticket_from_json,
    to_json,
)
from tickets.workspace import Workspace

AT = datetime(2026, 11, 30, 9, tzinfo=UTC)
TICKET = Ticket(
    ticket_id="T-1",
    created_at=AT,
    body="Quetzal wants a refund",
    subject="Quetzal again",
    channel="email",
    language="en",
    customer_key="a1b2",
    attributes={"note": "Quetzal called", "amount": 12.5},
)
SUGGESTION = Suggestion(
    suggestion_id="s-1",
    ticket_id="T-1",
    model_version="m-1",
    created_at=AT,
    contact_types=(RankedContactType(contact_type="refund", path="Payments::Refund", probability=0.9, band="high"),),
    templates=(RankedTemplate(template_id="t-1", title="Refund", score=1.0),),
    similar=(SimilarTicket(ticket_id="T-0", snippet="Quetzal before", contact_type="refund", similarity=0.8),),
    words=(WordWeight(word="quetzal", weight=0.5),),
)


def test_masked_keeps_what_cleaning_left() -> None:
    assert kept_ticket(TICKET, "masked") == TICKET
    assert kept_suggestion(SUGGESTION, "masked") == SUGGESTION


def test_none_keeps_no_words_and_all_that_learning_needs_to_match() -> None:
    ticket, suggestion = kept_ticket(TICKET, "none"), kept_suggestion(SUGGESTION, "none")
    written = json.dumps([to_json(ticket), to_json(suggestion)])
    assert "quetzal" not in written.lower()
    assert (ticket.ticket_id, ticket.customer_key, ticket.channel, ticket.created_at) == ("T-1", "a1b2", "email", AT)
    assert suggestion.contact_types == SUGGESTION.contact_types
    assert suggestion.similar[0].ticket_id == "T-0"
    assert ticket_from_json(to_json(ticket)) == ticket
    assert suggestion_from_json(to_json(suggestion)) == suggestion


def test_the_night_passes_over_tickets_without_words(workspace: Workspace) -> None:
    engine = open_database(workspace.default_database_url)
    spoken = dataclasses.replace(TICKET, ticket_id="T-2")
    log_suggestions(
        engine,
        [
            (kept_ticket(TICKET, "none"), kept_suggestion(SUGGESTION, "none")),
            (spoken, dataclasses.replace(SUGGESTION, suggestion_id="s-2", ticket_id="T-2")),
        ],
    )
    counts = extract(workspace, engine, as_of=AT.date()).counts
    engine.dispose()
    assert (counts["suggestions"], counts["tickets"]) == (2, 1)
