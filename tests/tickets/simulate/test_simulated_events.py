"""Scheduled events show in the stream on the days and at the strength they announce."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest

from tickets.errors import InputError
from tickets.simulate import (
    Event,
    SimulatedTicket,
    SimulationConfig,
    label_mix_change,
    new_product,
    outage,
    simulate,
    wording_change,
)
from tickets.simulate.catalogue import situations
from tickets.simulate.language import language, rename

START = date(2026, 3, 2)
QUIET = SimulationConfig(seed=21, start=START, days=8, tickets_per_day=500)
MIDDLE = START + timedelta(days=4)


def around(event: Event) -> tuple[list[SimulatedTicket], list[SimulatedTicket]]:
    """The tickets before the event's start, and from then on."""
    tickets = [ticket for day in simulate(replace(QUIET, events=(event,))) for ticket in day.tickets]
    before = [t for t in tickets if t.ticket.created_at.date() < event.start]
    return before, tickets[len(before) :]


def share(tickets: list[SimulatedTicket], name: str) -> float:
    return sum(name in t.events for t in tickets) / len(tickets)


def test_a_new_product_brings_contact_types_nobody_wrote_about_before():
    event = new_product(MIDDLE, share=0.2)
    before, after = around(event)
    assert not any(t.true_contact_type.startswith("Scooters") for t in before)
    assert share(after, event.name) == pytest.approx(0.2, abs=0.03)
    launched = [t for t in after if event.name in t.events]
    assert {t.true_contact_type for t in launched} == set(event.contact_types)
    assert {t.ticket.attributes["product"] for t in launched} >= {"scoot"}


def test_an_event_changes_no_day_before_it_starts():
    quiet = [ticket for day in simulate(replace(QUIET, days=4)) for ticket in day.tickets]
    for event in (new_product(MIDDLE), outage(MIDDLE), wording_change(MIDDLE)):
        assert around(event)[0] == quiet


def test_an_outage_adds_volume_on_its_days_only():
    event = outage(MIDDLE, days=1, share=0.5)
    quiet = [len(day.tickets) for day in simulate(QUIET)]
    troubled = list(simulate(replace(QUIET, events=(event,))))
    volumes = [len(day.tickets) for day in troubled]
    assert volumes[4] == pytest.approx(2 * quiet[4], rel=0.1)
    assert volumes[:4] + volumes[5:] == quiet[:4] + quiet[5:]
    assert share(troubled[4].tickets, event.name) == pytest.approx(0.5, abs=0.05)
    about = {t.true_contact_type for t in troubled[4].tickets if event.name in t.events}
    assert about == set(event.contact_types)


def test_a_wording_change_changes_words_and_not_the_label_mix():
    event = wording_change(MIDDLE, share=0.6)
    before, after = around(event)
    assert not any("captain" in t.ticket.body for t in before)
    assert share(after, event.name) == pytest.approx(
        0.54, abs=0.05
    )  # 6 % write in other languages, some use none of the words
    renamed = [t for t in after if event.name in t.events]
    assert all(t.language == "en" for t in renamed)
    assert sum("captain" in t.ticket.body.lower() for t in renamed) > 20
    fares = [sum(t.true_contact_type.startswith("Rides::Fares") for t in part) / len(part) for part in (before, after)]
    assert fares[0] == pytest.approx(fares[1], abs=0.03)
    assert rename("my order") == "my basket"


def test_a_label_mix_change_moves_its_share():
    paths = ("Payments::Promotions::Promo code not accepted", "Payments::Promotions::Gift card")
    event = label_mix_change(MIDDLE, paths, share=0.3)
    before, after = around(event)
    ordinary = sum(t.true_contact_type in paths for t in before) / len(before)
    assert sum(t.true_contact_type in paths for t in after) / len(after) == pytest.approx(
        0.3 + 0.7 * ordinary, abs=0.04
    )
    assert share(after, event.name) == pytest.approx(0.3, abs=0.04)


def test_a_ramp_grows_in_equal_steps():
    event = new_product(START, share=0.4, ramp_days=3)
    shares = [event.share_on(START + timedelta(days=day)) for day in range(-1, 5)]
    assert shares == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.4])


def test_an_impossible_event_is_refused():
    with pytest.raises(InputError, match="share"):
        new_product(START, share=1.5)
    with pytest.raises(InputError, match="unknown contact type"):
        label_mix_change(START, ("Rides::Nowhere",))
    with pytest.raises(InputError, match="contact types"):
        Event(kind="outage", name="empty", start=START, share=0.1)


def test_new_sentences_share_no_problem_with_the_usual_ones():
    """Of every contact type in every language: what says the problem after the day was never said before it."""
    for situation in situations():
        usual, new = situation.worded("usual"), situation.worded("new")
        assert set(usual.says) | set(new.says) == set(situation.says)
        assert set(usual.says).isdisjoint(new.says)
        assert set(usual.details).isdisjoint(new.details) or len(situation.details) == 1
    for code in ("en", "de", "fr", "es"):
        usual_talk, new_talk = language(code, "usual"), language(code, "new")
        assert set(usual_talk.chatter).isdisjoint(new_talk.chatter)
        for path, said in usual_talk.says.items():
            assert set(said).isdisjoint(new_talk.says[path]) or len(said) == 1


def test_new_sentences_are_said_from_their_day_on():
    config = replace(QUIET, new_sentences_from=MIDDLE)
    tickets = [ticket for day in simulate(config) for ticket in day.tickets]
    late = [t.ticket.created_at.date() >= MIDDLE for t in tickets]
    opening = "There are two payments of"  # a usual sentence of `Charged twice`
    closing = "and (again|another)"
    said = [opening in t.ticket.body for t in tickets]
    new = [re.search(f"from my card {closing}", t.ticket.body) is not None for t in tickets]
    assert any(said)
    assert not any(one and after for one, after in zip(said, late, strict=True))
    assert any(new)
    assert all(after for one, after in zip(new, late, strict=True) if one)
