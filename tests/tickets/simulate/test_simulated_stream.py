"""The stream of simulated tickets: the same for the same seed, and as the configuration says."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest

from tickets.errors import InputError
from tickets.simulate import SimulatedTicket, SimulationConfig, contact_type_tree, simulate
from tickets.simulate.stream import day_volume

MONDAY = date(2026, 1, 5)
FORTNIGHT = SimulationConfig(seed=11, start=MONDAY, days=14, tickets_per_day=400)


def tickets_of(config: SimulationConfig, *, processes: int = 1) -> list[SimulatedTicket]:
    return [ticket for day in simulate(config, processes=processes) for ticket in day.tickets]


@pytest.fixture(scope="module")
def fortnight() -> list[SimulatedTicket]:
    return tickets_of(FORTNIGHT)


def words(ticket: SimulatedTicket) -> int:
    return len(re.sub("<[^>]+>", " ", ticket.ticket.body).split())


def test_the_same_seed_gives_the_same_tickets_on_any_number_of_processes():
    config = SimulationConfig(seed=5, start=MONDAY, days=3, tickets_per_day=1500)  # several chunks a day
    alone, together = list(simulate(config)), list(simulate(config, processes=2))
    assert alone == together
    assert [day.day.day for day in alone] == [5, 6, 7]


def test_another_seed_gives_other_tickets():
    config = SimulationConfig(seed=1, start=MONDAY, days=1, tickets_per_day=50)
    ours, theirs = tickets_of(config), tickets_of(replace(config, seed=2))
    assert not {ticket.ticket.body for ticket in ours} & {ticket.ticket.body for ticket in theirs}


def test_a_longer_period_begins_with_the_same_days(fortnight):
    longer = replace(FORTNIGHT, days=16)
    days = simulate(longer)
    assert next(days).tickets == [t for t in fortnight if t.ticket.created_at.date() == MONDAY]


def test_ids_are_unique_and_times_ascend(fortnight):
    assert len({t.ticket.ticket_id for t in fortnight}) == len(fortnight)
    times = [t.ticket.created_at for t in fortnight]
    assert times == sorted(times)
    assert {t.ticket.created_at.utcoffset() for t in fortnight} == {times[0] - times[0]}


def test_volume_follows_the_week_and_tickets_follow_the_hours(fortnight):
    config = replace(FORTNIGHT, tickets_per_day=5000)
    fridays = [day_volume(config, day) for day in config.dates if day.weekday() == 4]
    sundays = [day_volume(config, day) for day in config.dates if day.weekday() == 6]
    assert min(fridays) > max(sundays)
    mean = statistics.mean(day_volume(config, day) for day in config.dates)
    assert mean == pytest.approx(5000, rel=0.05)
    hours = Counter(t.ticket.created_at.hour for t in fortnight)
    assert hours[19] > 4 * hours[3]


def test_tickets_are_about_a_hundred_words_long(fortnight):
    assert 85 <= statistics.mean(map(words, fortnight)) <= 115


def test_a_small_share_is_in_other_languages(fortnight):
    languages = Counter(t.language for t in fortnight)
    assert set(languages) == {"en", "es", "fr", "de"}
    assert 0.03 <= 1 - languages["en"] / len(fortnight) <= 0.09


def test_agents_mislabel_at_the_given_rate():
    for rate in (0.0, 0.2):
        tickets = tickets_of(replace(FORTNIGHT, days=7, mislabel_rate=rate))
        wrong = sum(t.outcome.contact_type != t.true_contact_type for t in tickets) / len(tickets)
        assert abs(wrong - rate) <= 4 * math.sqrt(rate * (1 - rate) / len(tickets))


def test_recorded_and_true_contact_types_are_leaves_of_the_tree(fortnight):
    leaves = {node.id for node in contact_type_tree().leaves()}
    assert {t.true_contact_type for t in fortnight} <= leaves
    assert {t.outcome.contact_type for t in fortnight} <= leaves
    assert len({t.true_contact_type for t in fortnight}) > 70


def test_bodies_hold_what_cleaning_must_remove(fortnight):
    bodies = [t.ticket.body for t in fortnight]

    def share(pattern: str) -> float:
        return sum(bool(re.search(pattern, body)) for body in bodies) / len(bodies)

    assert share(r"</(p|div)>") > 0.05
    assert share(r"(?m)^(>|-----Original)|<blockquote>") > 0.03
    assert share(r"[\w.]+@(mail\.)?example\.(com|org|net)") > 0.05
    assert share(r"\b(4242|4000|5555)[ \d]{12,15}\b") > 0.005
    assert share(r"\b(u|pls|cuz|thx)\b") > 0.03


def test_no_slot_is_left_unfilled(fortnight):
    for ticket in fortnight:
        assert not re.search(r"\{\w+\}", ticket.ticket.subject + re.sub(r"<style>.*?</style>", "", ticket.ticket.body))
        assert "{{" not in ticket.reply_text


def test_customers_write_again_from_the_same_address(fortnight):
    by_address = Counter(t.requester[1] for t in fortnight)
    assert by_address.most_common(1)[0][1] >= 3
    keys = {(t.requester[1], t.ticket.customer_key) for t in fortnight}
    assert len(keys) == len(by_address)
    assert "@" not in str(fortnight[0].ticket.customer_key)


def test_handling_time_depends_on_the_contact_type(fortnight):
    def median(path: str) -> float:
        return statistics.median(t.outcome.handle_seconds for t in fortnight if t.true_contact_type.startswith(path))

    assert median("Safety::Incidents") > 2 * median("Payments::Receipts")


def test_multi_issue_and_ambiguous_tickets_are_marked(fortnight):
    assert 0.04 <= sum(t.multi_issue for t in fortnight) / len(fortnight) <= 0.1
    assert 0.03 <= sum(t.ambiguous for t in fortnight) / len(fortnight) <= 0.07


def test_the_same_words_mean_another_contact_type_for_another_product(fortnight):
    fees = [t for t in fortnight if t.true_contact_type.endswith("::Cancellation fee")]
    families = {
        "go": "Rides",
        "pool": "Rides",
        "black": "Rides",
        "eats": "Orders",
        "market": "Orders",
        "send": "Parcels",
    }
    known = [t for t in fees if t.ticket.attributes["product"]]
    agreeing = [t for t in known if t.true_contact_type.startswith(families[str(t.ticket.attributes["product"])])]
    assert len(agreeing) / len(known) > 0.93


@pytest.mark.parametrize("wrong", [{"days": 0}, {"tickets_per_day": 0}, {"customers": 0}, {"mislabel_rate": 1.5}])
def test_an_impossible_configuration_is_refused(wrong):
    with pytest.raises(InputError):
        replace(FORTNIGHT, **wrong)
