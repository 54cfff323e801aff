"""Agents accept good suggestions, sometimes believe bad ones, and are faster with help."""

from __future__ import annotations

from datetime import UTC, date, datetime
from random import Random

import pytest

from tickets.records import Band, RankedContactType, RankedTemplate, Suggestion
from tickets.simulate import AgentAction, SimulatedTicket, SimulationConfig, respond, simulate

CONFIG = SimulationConfig(seed=8, start=date(2026, 5, 4), days=2, tickets_per_day=700)


@pytest.fixture(scope="module")
def tickets() -> list[SimulatedTicket]:
    return [ticket for day in simulate(CONFIG) for ticket in day.tickets]


def suggestion(ticket: SimulatedTicket, contact_type: str, template: str, *, band: Band, abstained: bool) -> Suggestion:
    ranked = RankedContactType(contact_type=contact_type, path=contact_type, probability=0.8, band=band)
    return Suggestion(
        suggestion_id="s",
        ticket_id=ticket.ticket.ticket_id,
        model_version="m",
        created_at=datetime(2026, 5, 4, tzinfo=UTC),
        contact_types=(ranked,),
        templates=(RankedTemplate(template_id=template, title=template, score=1.0),),
        abstained=abstained,
    )


def actions(
    tickets: list[SimulatedTicket], *, right: bool, band: Band = "high", abstained: bool = False
) -> list[AgentAction]:
    rng = Random(4)
    shown = []
    for ticket in tickets:
        contact_type = ticket.true_contact_type if right else "Account::Profile::Personal data request"
        template = ticket.right_template_id if right else "account-verify"
        shown.append(respond(ticket, suggestion(ticket, contact_type, template, band=band, abstained=abstained), rng))
    return shown


def share(done: list[AgentAction], action: str) -> float:
    return sum(a.action == action for a in done) / len(done)


def seconds(done: list[AgentAction]) -> float:
    return sum(a.handle_seconds for a in done)


def test_a_right_suggestion_is_nearly_always_accepted_and_mends_wrong_labels(tickets):
    done = actions(tickets, right=True)
    assert share(done, "accepted") > 0.9
    assert share(done, "ignored") < 0.08
    right = sum(a.contact_type == t.true_contact_type for a, t in zip(done, tickets, strict=True)) / len(done)
    alone = sum(t.outcome.contact_type == t.true_contact_type for t in tickets) / len(tickets)
    assert right > alone + 0.02


def test_a_wrong_suggestion_is_mostly_corrected_and_believed_the_more_the_surer_it_looks(tickets):
    sure, unsure = actions(tickets, right=False, band="high"), actions(tickets, right=False, band="low")
    abstained = actions(tickets, right=False, abstained=True)
    assert share(sure, "corrected") > 0.7
    assert share(sure, "accepted") > 2 * share(unsure, "accepted") > share(abstained, "accepted")


def test_help_saves_time_and_wrong_help_costs_some(tickets):
    alone = sum(t.outcome.handle_seconds or 0 for t in tickets)
    assert seconds(actions(tickets, right=True)) < 0.75 * alone
    assert alone < seconds(actions(tickets, right=False)) < 1.15 * alone


def test_without_a_suggestion_the_agent_does_what_the_history_says(tickets):
    action = respond(tickets[0], None, Random(1))
    assert action.action == "ignored"
    assert action.contact_type == tickets[0].outcome.contact_type
    assert action.template_id == tickets[0].outcome.template_id
    assert action.handle_seconds == tickets[0].outcome.handle_seconds


def test_edits_are_shares_of_the_text(tickets):
    done = actions(tickets, right=True)
    assert all(0 <= a.edit_distance <= 1 for a in done)
    assert 0.2 < sum(a.edit_distance > 0 for a in done) / len(done) < 0.7
