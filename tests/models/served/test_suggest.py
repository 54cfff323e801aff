"""The Suggester: what an agent is shown for one ticket, and what serving imports."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from models.confidence.answer_sets import AnswerSets
from models.release import open_release
from models.suggest import Suggester
from pipeline.text.clean import Refused
from tickets.records import AnswerSet, Ticket, suggestion_from_json, to_json

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def suggester(trained) -> Suggester:
    return Suggester.load(open_release(trained.model.folder))


def ticket(body: str, **fields) -> Ticket:
    return Ticket(ticket_id="new", created_at=NOW, body=body, **fields)


def test_a_suggestion_has_everything_an_agent_needs(suggester):
    (suggestion,) = suggester.suggest([ticket("please refund my money, order cancelled", language="en")], now=NOW)
    assert suggestion.model_version == suggester.version
    assert suggestion.created_at == NOW
    assert suggestion.contact_types[0].path == "Payments::Refund"
    assert len(suggestion.contact_types) == len(suggestion.templates) == len(suggestion.similar) == 3
    shares = [row.probability for row in suggestion.contact_types]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1.001
    assert suggestion.templates[0].template_id == "reply-refund"
    cosines = [row.similarity for row in suggestion.similar]
    assert cosines == sorted(cosines, reverse=True)
    assert {row.contact_type for row in suggestion.similar} <= {"refund", "double", "lost", "route", "account"}
    assert {word.word for word in suggestion.words} & {"refund", "money", "cancelled", "order"}
    assert suggestion.answer_set is not None
    assert suggestion.answer_set.coverage == 0.9
    assert suggestion.answer_set.contact_types[0] == suggestion.contact_types[0].contact_type
    assert suggestion_from_json(to_json(suggestion)) == suggestion


def test_how_many_are_shown_is_the_callers_choice_up_to_all_there_are(suggester):
    (few,) = suggester.suggest([ticket("refund")], top_types=1, top_templates=2)
    assert (len(few.contact_types), len(few.templates)) == (1, 2)
    (many,) = suggester.suggest([ticket("refund")], top_types=50, top_templates=50)
    assert len(many.contact_types) == 5
    assert sum(row.probability for row in many.contact_types) == pytest.approx(1.0, abs=0.01)
    assert "reply-old" not in [row.template_id for row in many.templates]


def test_templates_follow_the_tickets_language(suggester):
    (german,) = suggester.suggest([ticket("refund money back return", language="de")])
    assert german.templates[0].template_id == "reply-de"


def test_a_ticket_far_from_the_training_tickets_is_out_of_scope(trained):
    release = open_release(trained.model.folder)
    narrow = replace(release.calibration, scope_center=-1e4, scope_scale=0.01)
    (suggestion,) = Suggester.load(replace(release, calibration=narrow)).suggest([ticket("refund money back")])
    assert suggestion.abstained
    assert suggestion.abstain_reason == "out of scope"
    assert suggestion.out_of_scope > 0.5
    assert len(suggestion.contact_types) == 3
    assert suggestion.answer_set == AnswerSet(coverage=0.9)  # nothing is promised of it


def test_where_the_set_is_too_large_the_part_of_the_tree_is_named_instead(trained, monkeypatch):
    release = open_release(trained.model.folder)
    wide = replace(release.calibration, sets=AnswerSets(enough=(1.0,), enough_under=0.5), scope_center=1e4)
    suggester = Suggester.load(replace(release, calibration=wide))
    monkeypatch.setattr("models.suggest.MANY", 1)
    (suggestion,) = suggester.suggest([ticket("please refund my money, order cancelled")])
    assert suggestion.answer_set == AnswerSet(coverage=0.9, under="pay")


def test_a_probability_under_the_limit_is_too_unsure(trained):
    release = open_release(trained.model.folder)
    strict = replace(release.calibration, abstain_below=1.1, scope_center=1e4)
    (suggestion,) = Suggester.load(replace(release, calibration=strict)).suggest([ticket("refund money back")])
    assert suggestion.abstained
    assert suggestion.abstain_reason == "too unsure"


def test_a_clear_ticket_is_not_abstained_on(suggester):
    (suggestion,) = suggester.suggest([ticket("hello please refund my cancelled order money back today")])
    assert not suggestion.abstained
    assert suggestion.abstain_reason is None


def test_tickets_of_any_length_keep_their_order(suggester):
    bodies = ["lost umbrella " * 30, "refund money", "password locked account " * 3, "charged twice"]
    together = suggester.detail_cleaned([ticket(body) for body in bodies]).embeddings
    alone = np.concatenate([suggester.detail_cleaned([ticket(body)]).embeddings for body in bodies])
    closest = (together @ alone.T).argmax(axis=1)  # int8 activations are scaled by the batch, so not equal to the bit
    assert closest.tolist() == [0, 1, 2, 3]


def test_a_ticket_is_cleaned_before_it_is_read(suggester):
    (plain,) = suggester.suggest([ticket("refund money back")])
    (html,) = suggester.suggest([ticket("<p>refund <b>money</b> back</p>")])
    assert [row.contact_type for row in plain.contact_types] == [row.contact_type for row in html.contact_types]


def test_a_ticket_without_words_is_refused(suggester):
    with pytest.raises(Refused):
        suggester.suggest([ticket("   ")])


def test_no_tickets_no_suggestions(suggester):
    assert suggester.suggest([]) == []
    assert suggester.detail_cleaned([]).embeddings.shape == (0, 384)


def test_detail_gives_the_arrays_behind_the_suggestions(suggester):
    tickets = [ticket("refund money back", language="en"), ticket("driver wrong route", language="en")]
    detail = suggester.detail_cleaned(tickets)  # cleaning would change nothing about them
    suggestions = suggester.suggest(tickets)
    assert detail.embeddings.shape == (2, 384)
    assert np.allclose(np.linalg.norm(detail.embeddings, axis=1), 1.0, atol=1e-4)
    assert [suggester.predictor.index.ids[node] for node in detail.predicted] == ["refund", "route"]
    assert detail.probability == pytest.approx([row.contact_types[0].probability for row in suggestions], abs=0.01)


def test_unknown_attributes_and_values_are_no_error(suggester):
    odd = {"product": "submarine", "amount": "many", "never seen": True, "nothing": None}
    assert len(suggester.suggest([ticket("refund money", attributes=odd, channel="pigeon")])) == 1


HEAVY = ("torch", "transformers", "pyspark", "mlflow", "evidently", "pandas", "sklearn")


@pytest.mark.parametrize("module", ["models.suggest", "models.release"])
def test_serving_imports_nothing_heavy(trained, module):
    code = f"""
import sys, datetime, pathlib
import {module}
from models.release import open_release
from models.suggest import Suggester
from tickets.records import Ticket
suggester = Suggester.load(open_release(pathlib.Path({str(trained.model.folder)!r})))
suggester.suggest([Ticket(ticket_id="a", created_at=datetime.datetime.now(datetime.UTC), body="refund money")])
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_scoring_for_the_gate_imports_no_torch():
    heavy = ("torch", "pyspark", "mlflow", "evidently")
    code = f"import sys, models.evaluate; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
