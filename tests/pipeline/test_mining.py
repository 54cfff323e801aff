"""Templates mined from replies: found again, with placeholders where customers differ, and nothing else proposed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pipeline.corrections import Place, correct
from pipeline.importing import import_files
from pipeline.templates import mining
from pipeline.templates.mining import SentReply, propose
from pipeline.templates.proposals import decide, mine, stored_replies, template_of
from pipeline.templates.reply_matching import index_replies, match_reply
from tickets.catalogue import read_dataset, read_proposals, read_templates
from tickets.errors import InputError, MissingStepError
from tickets.simulate.stream import SimulationConfig, chunks, simulate_chunk
from tickets.tables import RAW
from tickets.workspace import Workspace

DAY = date(2026, 3, 2)
NAMES = ("Ann", "Bob", "Carla", "Dmitri", "Élodie", "Farid")
WORDS = (
    "we",
    "the",
    "car",
    "found",
    "late",
    "near",
    "house",
    "driver",
    "said",
    "office",
    "call",
    "never",
    "again",
    "go",
)
CITIES = ("Berlin", "New York", "Rome", "São Paulo")


def reply(number: int) -> str:
    """One of two templates, filled in, one time in five with a sentence of the agent's own."""
    name, city, agent = NAMES[number % 6], CITIES[number % 4], NAMES[(number * 5 + 1) % 6]
    extra = " I am really sorry about this." if number % 5 == 0 else ""
    if number % 2:
        return (
            f"Hi {name},\n\nthe team in {city} has your report {4_000 + number}. "
            f"You get {1 + number % 9} days to answer, and our office is open until 18:00.{extra}\n\n"
            f"Kind regards,\n{agent}"
        )
    start = f"Hello {name}, I have sent ${number}.50 back to the card you paid with. "
    return f"{start}Write again if it is late.{extra} {agent}"


def own_words(number: int) -> str:
    random = Random(number)
    return f"Hi {NAMES[number % 6]}, {' '.join(random.choice(WORDS) for _ in range(25))}. {NAMES[number % 5]}"


def test_placeholders_stand_where_customers_differ_and_constants_are_put_back() -> None:
    replies = [SentReply(f"T{number}", reply(number), "Trips::Report") for number in range(200)]

    first, second = sorted(propose(replies, languages=["en"]), key=lambda proposal: proposal.body)

    assert first.body == (
        "Hello {{customer_name}}, I have sent {{amount}} back to the card you paid with. "
        "Write again if it is late. {{agent_name}}"
    )
    assert second.body == (
        "Hi {{customer_name}},\n\nthe team in {{name}} has your report {{number}}. You get {{days}} days to answer, "
        "and our office is open until 18:00.\n\nKind regards,\n{{agent_name}}"
    )
    assert (first.support, second.support, first.share) == (100, 100, 0.5)
    assert first.contact_types == ("Trips::Report",)
    assert set(first.examples) <= {f"T{number}" for number in range(0, 200, 2)}
    assert first.title == "Back to the card you paid with"


def test_what_agents_write_once_is_not_proposed() -> None:
    replies = [SentReply(str(number), own_words(number)) for number in range(400)]
    assert propose(replies, languages=["en"], at_least=10) == []


def test_known_templates_are_not_proposed_again() -> None:
    replies = [SentReply(str(number), reply(number)) for number in range(200)]
    found = propose(replies, languages=["en"])
    (other,) = propose(replies, languages=["en"], known=[template_of(found[0])])
    assert other.body == found[1].body


def test_simulated_templates_are_found_again() -> None:
    """Floors below what was measured: all 99 templates of 98,186 tickets, no reply told wrongly."""
    config = SimulationConfig(seed=11, start=DAY, days=20, tickets_per_day=200)
    tickets = [ticket for chunk in chunks(config) for ticket in simulate_chunk(config, chunk)]
    noise = [SentReply(f"own-{number}", own_words(number)) for number in range(len(tickets) // 5)]
    true = {ticket.ticket.ticket_id: ticket.outcome.template_id for ticket in tickets}
    replies = [SentReply(ticket.ticket.ticket_id, ticket.reply_text, ticket.outcome.contact_type) for ticket in tickets]

    proposals = propose([*replies, *noise], languages=["en", "es", "fr", "de"], at_least=15)

    index = index_replies([template_of(proposal) for proposal in proposals])
    told: dict[str, Counter[str | None]] = defaultdict(Counter)
    for sent in replies:
        if (name := match_reply(sent.text, index)) is not None:
            told[name][true[sent.ticket_id]] += 1
    uses = Counter(true.values())
    common = {name for name, count in uses.items() if count >= 15}
    found = {votes.most_common(1)[0][0] for votes in told.values()}
    right = sum(votes.most_common(1)[0][1] for votes in told.values())
    assert len(common & found) >= 0.95 * len(common)
    assert right / sum(votes.total() for votes in told.values()) > 0.98
    assert right > 0.9 * sum(uses[name] for name in common)
    assert not any(match_reply(sent.text, index) for sent in noise)
    assert len(proposals) <= 1.1 * len(uses)
    languages = {proposal.language for proposal in proposals}
    assert {"en", "es"} <= languages <= {"en", "es", "fr", "de"}


def test_the_same_replies_give_the_same_proposals_in_any_order() -> None:
    replies = [SentReply(str(number), reply(number)) for number in range(120)]
    found = [proposal.body for proposal in propose(replies, languages=["en"])]
    assert [proposal.body for proposal in propose(replies[::-1], languages=["en"])] == found


def test_the_table_of_wordings_is_bounded() -> None:
    replies = (
        SentReply(str(number), own_words(number) if number % 4 else reply(number // 4)) for number in range(3_000)
    )
    lines: list[str] = []
    wordings, seen = mining.collect(replies, known=index_replies([]), most=500, report=lines.append)
    assert (len(wordings) <= 500, seen) == (True, 3_000)
    assert "seen once were left out" in lines[0]
    assert wordings[0].count > 100


@pytest.fixture
def helpdesk(
    workspace: Workspace, dataset_file: Path, write_csv: Callable[..., Path], make_row: Callable[..., dict[str, Any]]
) -> Workspace:
    rows = [make_row(number, macro="", answer=reply(number)) for number in range(1, 121)]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    return workspace


def test_people_approve_or_reject_and_are_not_asked_twice(helpdesk: Workspace) -> None:
    refund, report = sorted(mine(helpdesk, as_of=DAY), key=lambda proposal: proposal.body)
    assert read_templates(helpdesk) == ()
    assert refund.contact_types == ("Payment::Refund",)

    decide(helpdesk, [refund.template_id], "approved")
    decide(helpdesk, [report.template_id], "rejected")

    (template,) = read_templates(helpdesk)
    assert (template.template_id, template.body, template.version) == (refund.template_id, refund.body, 1)
    assert match_reply(reply(2), index_replies(read_templates(helpdesk))) == refund.template_id
    assert mine(helpdesk, as_of=DAY) == []
    assert {proposal.template_id: proposal.status for proposal in read_proposals(helpdesk)} == {
        refund.template_id: "approved",
        report.template_id: "rejected",
    }


def test_proposals_hold_no_names_and_unknown_ids_are_refused(helpdesk: Workspace) -> None:
    mine(helpdesk, as_of=DAY)
    written = (helpdesk.catalogue / "template_proposals.json").read_text(encoding="utf-8")
    assert not [name for name in (*NAMES, *CITIES) if name in written]
    with pytest.raises(InputError, match="'nothing' was not proposed"):
        decide(helpdesk, ["nothing"], "approved")


def test_a_corrected_row_counts_once_as_it_stands_now(helpdesk: Workspace) -> None:
    raw, *_ = helpdesk.read(RAW).to_pylist()
    place = Place(arrived=DAY.isoformat(), source=raw["source"], row=raw["row"])
    correct(helpdesk, {place: json.loads(raw["fields"]) | {"answer": "Mended by hand."}})

    found = [sent.text for sent in stored_replies(helpdesk, read_dataset(helpdesk), as_of=DAY)]

    assert (len(found), found.count("Mended by hand.")) == (120, 1)


def test_mining_needs_an_import(workspace: Workspace) -> None:
    with pytest.raises(MissingStepError):
        mine(workspace, as_of=DAY)
