"""Telling templates by replies: what is taken out of a reply, and which edits a reply survives."""

from __future__ import annotations

import pickle
import time
from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.templates.reply_matching import index_replies, match_reply
from pipeline.templates.reply_skeleton import SLOT, sentence_key, sentences
from tickets.records import ReplyTemplate
from tickets.simulate.catalogue import reply_templates
from tickets.simulate.stream import SimulationConfig, chunks, simulate_chunk


def kinds(reply: str) -> list[tuple[str, str]]:
    return [slot for sentence in sentences(reply) for slot in sentence.slots]


@pytest.mark.parametrize(
    ("reply", "slots"),
    [
        (
            "Hi Zoe, it is $39.36.\nBest regards,\nCarla",
            [("customer_name", "Zoe"), ("amount", "$39.36"), ("agent_name", "Carla")],
        ),
        (
            "Guten Tag Frau Weiß, es sind 39,36 €. Jörg Kühn",
            [("customer_name", "Weiß"), ("amount", "39,36 €"), ("agent_name", "Jörg Kühn")],
        ),
        (
            "Hello, it comes on 3 March or 2026-03-04 at 14:30.",
            [("date", "3 March"), ("date", "2026-03-04"), ("time", "14:30")],
        ),
        ("Order RD-4E2FAE3 and #4711, 8 days.", [("order_id", "RD-4E2FAE3"), ("order_id", "#4711"), ("number", "8")]),
        (
            "Write to help@rondo.example or see https://rondo.example/a?b=1.",
            [("email", "help@rondo.example"), ("link", "https://rondo.example/a?b=1")],
        ),
        ("Call +49 30 123456 please.", [("phone", "+49 30 123456")]),
        (
            "Hello {{ticket.requester.first_name}}, bye. {{agent}}",
            [("given", "{{ticket.requester.first_name}}"), ("given", "{{agent}}")],
        ),
        ("Dear customer, what is listed under Help, Parcels. Ann", [("agent_name", "Ann")]),
        ("Hello there, nobody is named here. Thank you", []),
    ],
)
def test_what_differs_between_customers_is_taken_out(reply: str, slots: list[tuple[str, str]]) -> None:
    assert kinds(reply) == slots


def test_html_and_line_breaks_make_the_same_skeleton() -> None:
    plain = [sentence.key for sentence in sentences("Hi Ann,\n\nwe sent $5.00. Bye now.")]
    assert [sentence.key for sentence in sentences("<p>Hi Bob,</p><p>we sent €7.50. Bye now.</p>")] == plain
    assert [sentence.lines for sentence in sentences("Hi Ann,\n\nwe sent it. Bye now.")] == [0, 2, 0]


TEMPLATES = (
    ReplyTemplate(
        template_id="refund",
        title="Refund",
        body=(
            "Hi {{name}}, thanks for telling us. I have sent {{amount}} back to your card. "
            "It takes {{days}} days. {{agent}}"
        ),
    ),
    ReplyTemplate(
        template_id="team",
        title="Team",
        body="Dear {{name}}, the team in {{city}} will talk to the driver. Your {{product}} ride is free.\n\n{{agent}}",
    ),
    ReplyTemplate(template_id="empty", title="Empty", body="{{everything}}"),
)
INDEX = index_replies(TEMPLATES)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Hi Zoe, thanks for telling us. I have sent $12.00 back to your card. It takes 5 days. Carla", "refund"),
        ("Hi Zoe, thanks for telling us. I have sent $12.00 back to your card. Have a good day! Carla", "refund"),
        ("Dear Al, the team in New York City will talk to the driver. Your Rondo Black ride is free.\nBo", "team"),
        ("Hi Zoe, we do not do refunds of that kind, sorry about it. Carla", None),
        ("Hi Zoe, thanks for telling us. We will never ever pay you anything back for that ride at all. Carla", None),
        ("", None),
        ("Carla", None),
    ],
)
def test_a_reply_is_told_through_edits_and_other_texts_are_not(reply: str, expected: str | None) -> None:
    assert match_reply(reply, INDEX) == expected
    assert match_reply(reply, pickle.loads(pickle.dumps(INDEX))) == expected


def test_most_simulated_replies_are_told_and_hardly_any_wrongly() -> None:
    config = SimulationConfig(seed=7, start=date(2026, 3, 2), days=14, tickets_per_day=150)
    index = index_replies(reply_templates())
    found = [
        (ticket.outcome.template_id, match_reply(ticket.reply_text, index))
        for chunk in chunks(config)
        for ticket in simulate_chunk(config, chunk)
    ]
    assert len(found) > 1_500
    assert sum(told == true for true, told in found) / len(found) > 0.97
    assert sum(told not in (true, None) for true, told in found) / len(found) < 0.005


@given(st.text(max_size=400))
def test_any_text_has_a_skeleton_and_matching_never_fails(text: str) -> None:
    found = sentences(text)
    assert all(sentence.text.count(SLOT) == len(sentence.slots) for sentence in found)
    assert all(sentence.key == sentence_key(sentence.text) for sentence in found)
    match_reply(text, INDEX)


@pytest.mark.parametrize("piece", ["1.", "a@", "{{", "A ", "a-1-", "$ 1 ", "\n", "..", "www.", "Hi A ", "3 mar "])
def test_time_grows_with_the_text_and_no_faster(piece: str) -> None:
    started = time.process_time()
    sentences(piece * (20_000 // len(piece)))
    assert time.process_time() - started < 2.0


def test_order_of_templates_does_not_matter() -> None:
    shuffled = list(TEMPLATES)
    Random(3).shuffle(shuffled)
    assert index_replies(shuffled) == INDEX


def test_many_placeholders_side_by_side_cost_no_more_than_one() -> None:
    """A form's line of them: shared out one by one, the words of this reply took minutes."""
    placeholders = " ".join(f"{{{{field_{number}}}}}" for number in range(14))
    template = ReplyTemplate(
        template_id="form", title="Form", body=f"The parcel to {placeholders} is on its way.", language="en"
    )
    index = index_replies([template])
    clock = time.perf_counter()

    assert match_reply(f"The parcel to {'Elm Street ' * 7} is on its way.", index) == "form"
    assert match_reply(f"The parcel to {'Elm Street ' * 20} is lost.", index) is None
    assert match_reply("The parcel to Elm Street is on its way.", index) is None  # too few words for so many fields
    assert time.perf_counter() - clock < 5
