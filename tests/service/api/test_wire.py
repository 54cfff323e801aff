"""Records as JSON bytes, and bodies as records."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from service.wire import json_answer
from tickets.records import (
    AnswerSet,
    Feedback,
    RankedContactType,
    RankedTemplate,
    SimilarTicket,
    Suggestion,
    Ticket,
    WordWeight,
    to_json,
)

TIMES = [
    datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
    datetime(2026, 3, 2, 9, 30, 0, 5, tzinfo=UTC),
    datetime(1990, 1, 1, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=5, minutes=30))),
]


def suggestion(at: datetime) -> Suggestion:
    return Suggestion(
        suggestion_id="s",
        ticket_id='T \u2028 \U0001f600 "quoted"',
        model_version="v",
        created_at=at,
        contact_types=(RankedContactType(contact_type="r", path="P::R", probability=0.1 + 0.2, band="high"),),
        templates=(RankedTemplate(template_id="t", title="Rückzahlung", score=-1e-7),),
        abstain_reason="out of scope",
        answer_set=AnswerSet(coverage=0.9, contact_types=("a", "b"), under=None),
        similar=(SimilarTicket(ticket_id="h", snippet="x\ny", contact_type="r", similarity=1.0),),
        words=(WordWeight(word="refund", weight=1e22),),
    )


@pytest.mark.parametrize("at", TIMES)
def test_a_record_is_written_as_to_json_has_it(at: datetime) -> None:
    ticket = Ticket(ticket_id="t", created_at=at, body="b", attributes={"a": 1.5, "b": True, "c": None, "d": "é"})
    given = Feedback(feedback_id="f", suggestion_id="s", ticket_id="t", action="ignored", at=at)
    for record in (suggestion(at), ticket, given):
        written = bytes(json_answer(record).body)
        assert json.loads(written) == to_json(record)
        assert list(json.loads(written)) == list(to_json(record))
    assert json.loads(bytes(json_answer({"suggestions": [suggestion(at)]}).body))["suggestions"] == [
        to_json(suggestion(at))
    ]
