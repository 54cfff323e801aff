"""What is kept of a ticket and its suggestion, by TRIAGE_PRIVACY__KEEP_TEXT.

`masked` keeps the cleaned text, personal data masked. `none` keeps no words at all: ids, hashes, times and labels
(docs/security.md says what stops working then).
"""

from __future__ import annotations

import dataclasses

from service.access.options import KeepText
from tickets.records import Suggestion, Ticket


def kept_ticket(ticket: Ticket, policy: KeepText) -> Ticket:
    """A cleaned ticket as the database may keep it. `none` leaves subject, body and attributes out: a helpdesk's
    attributes may hold words too."""
    return dataclasses.replace(ticket, subject="", body="", attributes={}) if policy == "none" else ticket


def kept_suggestion(suggestion: Suggestion, policy: KeepText) -> Suggestion:
    """A suggestion as the database may keep it. `none` leaves out the ticket's words and the snippets of similar
    ones."""
    if policy != "none":
        return suggestion
    similar = tuple(dataclasses.replace(row, snippet="") for row in suggestion.similar)
    return dataclasses.replace(suggestion, words=(), similar=similar)
