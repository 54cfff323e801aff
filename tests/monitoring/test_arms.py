"""The parts of the traffic compared: what a suggestion saves, what a challenger would change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from monitoring.arms import compare_arms
from monitoring.performance import feedback_figures, read_judged
from tests.logged import log_suggestions, suggested
from tickets.contact_types import ContactTypeTree
from tickets.database import challenger_answers
from tickets.feedback_log import record_feedback
from tickets.records import Arm, Feedback, FeedbackAction

AT = datetime(2026, 3, 2, tzinfo=UTC)
WHOLE = (AT, AT + timedelta(days=1))


def keep(  # noqa: PLR0917  # reads as a row of a table
    engine: sa.Engine, number: int, arm: Arm, action: FeedbackAction, chosen: str, seconds: float | None
) -> None:
    ticket, made = suggested(f"t{number}", at=AT, arm=arm)
    log_suggestions(engine, [(ticket, made)])
    given = Feedback(
        feedback_id=f"f{number}",
        suggestion_id=made.suggestion_id,
        ticket_id=ticket.ticket_id,
        action=action,
        at=AT + timedelta(minutes=1),
        contact_type=chosen,
        handle_seconds=seconds,
    )
    assert record_feedback(engine, given)


def test_the_holdout_tells_what_a_suggestion_saves(engine: sa.Engine) -> None:
    rng = np.random.default_rng(1)
    for number in range(60):
        held_out = number % 3 == 0
        seconds = float(rng.normal(120 if held_out else 90, 10))
        action: FeedbackAction = "corrected" if held_out else "accepted"
        keep(engine, number, "holdout" if held_out else "champion", action, "refund", seconds)
    report = compare_arms(engine, *WHOLE)
    assert [(arm.arm, arm.tickets) for arm in report.arms] == [("champion", 40), ("holdout", 20)]
    assert report.saved is not None
    assert report.saved.proven
    assert report.saved.low < 30 < report.saved.high
    assert report.saved.high - report.saved.low < 20
    assert report.canaries == {}


def test_where_nothing_differs_nothing_is_proven(engine: sa.Engine) -> None:
    rng = np.random.default_rng(2)
    for number in range(60):
        arm: Arm = "canary" if number % 2 else "champion"
        keep(engine, number, arm, "accepted", "refund", float(rng.normal(90, 10)))
    report = compare_arms(engine, *WHOLE)
    assert not report.canaries["v1"].proven


def test_a_shadow_is_judged_on_the_tickets_that_agents_settled(engine: sa.Engine) -> None:
    for number in range(20):
        keep(engine, number, "champion", "corrected", "invoice", None)  # the champion is wrong each time
        said = "invoice" if number < 15 else "refund"
        with engine.begin() as connection:
            connection.execute(
                sa.insert(challenger_answers).values(
                    suggestion_id=f"s-t{number}",
                    model_version="v2",
                    at=AT,
                    contact_type=said,
                    probability=0.7,
                    abstained=False,
                    agreed=said == "refund",
                )
            )
    (shadow,) = compare_arms(engine, *WHOLE).shadows
    assert (shadow.version, shadow.judged, shadow.agreed.hits) == ("v2", 20, 5)
    assert shadow.better is not None
    assert shadow.better.value == pytest.approx(0.75)
    assert shadow.better.proven


def test_no_feedback_and_a_single_ticket_give_no_figure(engine: sa.Engine) -> None:
    assert compare_arms(engine, *WHOLE).arms == ()
    keep(engine, 1, "holdout", "corrected", "refund", 100.0)
    keep(engine, 2, "champion", "accepted", "refund", 90.0)
    assert compare_arms(engine, *WHOLE).saved is None


def test_what_was_chosen_unaided_is_no_refusal_of_a_suggestion(engine: sa.Engine) -> None:
    keep(engine, 1, "holdout", "corrected", "refund", None)
    keep(engine, 2, "holdout", "corrected", "invoice", None)
    keep(engine, 3, "champion", "accepted", "refund", None)
    figures = feedback_figures(read_judged(engine, *WHOLE, today=ContactTypeTree(nodes=())))
    assert figures["acceptance"] is not None
    assert (figures["acceptance"].share, figures["acceptance"].tickets) == (1.0, 1)
    assert figures["accuracy_unaided"] is not None
    assert (figures["accuracy_unaided"].share, figures["accuracy_unaided"].tickets) == (0.5, 2)
