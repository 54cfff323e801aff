"""Errors counted by type, pair, level, confidence and slice: on answers made by hand, where every figure is known."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from itertools import accumulate

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from models.attributes import AttributeSpec, Category
from models.diagnosis.mistakes import (
    Answers,
    confident_mistakes,
    confused_pairs,
    errors_by_level,
    reliability,
    shortened,
    worst_types,
)
from models.diagnosis.slices import compare_slices, slicings_of
from models.diagnosis.telling_words import WordCounts, telling_words, together, word_counts
from models.intervals import share_of
from models.tree_index import index_tree
from tickets.contact_types import ContactType, ContactTypeTree

TREE = ContactTypeTree(
    nodes=(
        ContactType(id="pay", name="Payments"),
        ContactType(id="refund", name="Refund", parent="pay"),
        ContactType(id="double", name="Charged twice", parent="pay"),
        ContactType(id="ride", name="Ride"),
        ContactType(id="lost", name="Lost item", parent="ride"),
        ContactType(id="route", name="Wrong route", parent="ride"),
    )
)
INDEX = index_tree(TREE)
Said = tuple[str, str, float]  # the contact type, what was predicted, its probability


def answers(*said: Said, texts: list[str] | None = None) -> Answers:
    nodes = [INDEX.position(predicted) for _, predicted, _ in said]
    probability = np.array([share for _, _, share in said], np.float32)
    everything = np.zeros((len(said), len(INDEX.ids)), np.float32)
    everything[np.arange(len(said)), nodes] = probability
    return Answers(
        index=INDEX,
        ticket_ids=[f"t{row}" for row in range(len(said))],
        texts=texts or ["words"] * len(said),
        given=[truth for truth, _, _ in said],
        truth=np.array([INDEX.ids.index(truth) if truth in INDEX.ids else -1 for truth, _, _ in said]),
        node_probabilities=everything,
        predicted=np.array(nodes),
        probability=probability,
        abstained=np.zeros(len(said), bool),
    )


def test_an_error_belongs_to_the_first_level_that_is_wrong():
    found = errors_by_level(
        answers(
            *[("refund", "refund", 0.9)] * 5,
            *[("refund", "double", 0.9)] * 2,  # right product, wrong issue
            *[("refund", "lost", 0.9)] * 3,
        )
    )
    assert [(level.level, level.errors) for level in found] == [(1, 3), (2, 2)]
    assert [(level.right.hits, level.right.tickets) for level in found] == [(7, 10), (5, 7)]
    assert found[1].share_of_errors == pytest.approx(0.4)


def test_an_inner_contact_type_is_met_by_any_leaf_under_it_and_an_unknown_one_by_none():
    given = answers(("pay", "double", 0.9), ("pay", "lost", 0.9), ("brand new", "lost", 0.9))
    assert given.correct.tolist() == [True, False, False]
    assert [level.errors for level in errors_by_level(given)] == [1, 0]
    assert worst_types(given) == []
    mistakes = confident_mistakes(given, lambda rows: [()] * len(rows))
    assert {one.truth for one in mistakes} == {"pay", "brand new"}


def test_types_stand_by_the_tickets_they_cost_not_by_their_rate():
    given = answers(
        *[("refund", "refund", 0.9)] * 60,
        *[("refund", "double", 0.9)] * 20,  # 25 % of many
        *[("lost", "route", 0.9)] * 2,  # all of two
        *[("route", "route", 0.9)] * 10,
    )
    first, second, *rest = worst_types(given)
    assert (first.contact_type, first.missed, first.taken_for) == ("refund", 20, "double")
    assert first.share_of_errors == pytest.approx(20 / 22)
    assert (second.contact_type, second.missed, second.recall.value) == ("lost", 2, 0.0)
    (route,) = [row for row in rest if row.contact_type == "route"]
    assert route.taken == 2
    assert (route.precision.hits, route.precision.tickets) == (10, 12)


def test_only_a_type_that_is_surely_worse_is_marked():
    given = answers(*[("refund", "refund", 0.9)] * 90, *[("lost", "route", 0.9)] * 10, ("route", "lost", 0.9))
    marked = {row.contact_type: row.surely_worse for row in worst_types(given)}
    assert marked == {"refund": False, "lost": True, "route": False}


def test_contact_types_that_are_missed_by_chance_are_hardly_ever_marked():
    names = [f"type {number}" for number in range(60)]
    index = index_tree(ContactTypeTree(nodes=tuple(ContactType(id=name, name=name) for name in names)))
    rng = np.random.default_rng(4)
    marked = 0
    for _ in range(40):
        truth = rng.integers(0, 60, 1_200)
        wrong = rng.random(1_200) < 0.3
        predicted = np.where(wrong, (truth + 1) % 60, truth)
        said = replace(answers(*[("refund", "refund", 0.9)] * 1_200), index=index, truth=truth, predicted=predicted)
        marked += any(row.surely_worse for row in worst_types(said))
    assert marked <= 5  # 2 expected of 40; without correction nearly every report would have one


def test_a_pair_counts_both_ways_together_and_shows_the_surest_of_its_tickets():
    given = answers(
        *[("refund", "double", 0.6)] * 3,
        *[("double", "refund", 0.8)] * 2,
        *[("refund", "refund", 0.9)] * 5,
        *[("lost", "route", 0.9)] * 4,
    )
    first, second = confused_pairs(given, {})
    assert {first.first, first.second} == {"refund", "double"}
    assert (first.first_as_second, first.second_as_first) == (3, 2)
    assert (first.share.hits, first.share.tickets) == (5, 10)
    assert [one.probability for one in first.examples] == pytest.approx([0.8, 0.8, 0.6])
    assert {second.first, second.second} == {"lost", "route"}


def test_the_words_that_tell_a_pair_apart_come_from_past_tickets_too():
    given = answers(("refund", "double", 0.6), texts=["nothing to learn from"])
    past = {"refund": ["the money please again"] * 40, "double": ["charged twice please again"] * 40}
    (pair,) = confused_pairs(given, past)
    words = {pair.first: pair.first_words, pair.second: pair.second_words}
    assert {word.word for word in words["refund"]} == {"money"}
    assert {word.word for word in words["double"]} == {"charged", "twice"}
    assert (words["double"][0].here, words["double"][0].there) == (1.0, 0.0)


def dealt_texts(deal, count, *, words):
    """Texts of made-up words dealt out at random, a few of them often, as in a language."""
    vocabulary = [f"word{chr(97 + one)}{chr(97 + two)}" for one in range(20) for two in range(20)]
    often = [1 / (1 + place) for place in range(len(vocabulary))]
    return [" ".join(deal.choices(vocabulary, often, k=words)) for _ in range(count)]


def test_words_of_texts_dealt_out_at_random_tell_hardly_anything():
    deal = random.Random(3)
    told = 0
    for _ in range(10):
        texts = dealt_texts(deal, 300, words=30)
        first, second = word_counts(texts[:150]), word_counts(texts[150:])
        told += sum(map(len, telling_words(first, second, together([first, second]))))
    assert told <= 20  # two a pair, of up to twelve


def test_a_new_word_is_told_and_chance_is_not_where_a_few_texts_meet_many():
    deal = random.Random(3)
    by_chance = 0
    for _ in range(10):
        few, many = (dealt_texts(deal, size, words=15) for size in (50, 1000))
        few = [f"{text} scooter" if place % 4 == 0 else text for place, text in enumerate(few)]
        first, second = word_counts(few), word_counts(many)
        told, _ = telling_words(first, second, together([first, second]))
        assert told[0].word == "scooter"
        by_chance += len(told) - 1
    assert by_chance <= 5


@pytest.mark.parametrize(
    ("own", "of", "other", "others"), [(8, 8, 0, 2000), (8, 8, 1, 2000), (10, 20, 0, 4000), (3, 8, 0, 2000)]
)
def test_a_word_of_one_small_group_alone_is_told_as_one_that_a_single_other_text_shares(own, of, other, others):
    usual = {f"word{place}": 1 + of // (2 + place) for place in range(70)}
    many = {f"word{place}": max(1, others // (2 + place)) for place in range(900)}
    first = WordCounts(of, {**usual, "scooter": own})
    second = WordCounts(others, {**many, **({"scooter": other} if other else {})})
    told, _ = telling_words(first, second, together([first, second]))
    assert told[0].word == "scooter"
    _, mirrored = telling_words(second, first, together([first, second]))
    assert mirrored == told


def test_a_word_that_one_of_two_types_never_uses_is_told_before_a_background_of_fifty():
    usual = {f"word{place}": 50 // (2 + place % 20) for place in range(120)}
    rest = WordCounts(2400, {word: 48 * count for word, count in usual.items()})
    first, never, once = (WordCounts(50, {**usual, **own}) for own in ({"key": 20}, {}, {"key": 1}))
    for second in (never, once):
        told, other_way = telling_words(first, second, together([first, second, rest]))
        assert [one.word for one in told] == ["key"]
        assert other_way == ()


def test_a_word_that_two_texts_of_a_few_share_by_chance_is_not_told():
    deal = random.Random(5)
    vocabulary = [
        f"word{chr(97 + place // 400)}{chr(97 + place // 20 % 20)}{chr(97 + place % 20)}" for place in range(4800)
    ]
    often = list(accumulate(1 / (1 + place) for place in range(len(vocabulary))))
    many = word_counts([" ".join(deal.choices(vocabulary, cum_weights=often, k=25)) for _ in range(2000)])
    told = 0
    for _ in range(10):
        few = word_counts([" ".join(deal.choices(vocabulary, cum_weights=often, k=25)) for _ in range(8)])
        told += sum(map(len, telling_words(few, many, together([few, many]))))
    assert told <= 5


def test_masked_personal_data_is_no_word():
    assert dict(word_counts(["Dear <NAME> XXXX at <ADDRESS>, refund the refund"]).words) == {"refund": 1}


def test_the_surest_mistakes_stand_first_with_the_words_that_weighed_most():
    given = answers(("refund", "lost", 0.4), ("refund", "refund", 0.99), ("double", "lost", 0.7))
    found = confident_mistakes(given, lambda rows: [(f"word{row}",) for row in rows], most=2)
    assert [(one.ticket_id, one.truth, one.predicted, one.words) for one in found] == [
        ("t2", "double", "lost", ("word2",)),
        ("t0", "refund", "lost", ("word0",)),
    ]


def test_reliability_names_bins_that_are_too_sure_and_leaves_honest_ones_alone():
    probability = np.repeat(np.array([0.95, 0.55, 0.25], np.float32), 100)
    right = np.concatenate([np.arange(100) < 60, np.arange(100) < 55, np.arange(100) < 60])
    found = {round(one.low, 1): one for one in reliability(probability, right)}
    assert {low: one.off for low, one in found.items()} == {0.2: "too shy", 0.5: "", 0.9: "too sure"}
    assert found[0.9].right.value == 0.6


def test_a_few_tickets_do_not_make_a_bin_too_sure():
    (found,) = reliability(np.full(5, 0.99, np.float32), np.zeros(5, bool))
    assert found.off == ""


def test_wilsons_interval_is_that_of_scipy():
    for hits, tickets in ((0, 7), (5, 10), (90, 100), (3, 3)):
        expected = binomtest(hits, tickets).proportion_ci(0.95, method="wilson")
        found = share_of(hits, tickets)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert (share_of(0, 0).value, share_of(0, 0).low, share_of(0, 0).high) == (None, 0.0, 1.0)


def test_a_slice_with_more_errors_is_found_and_its_hard_types_told_from_itself():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 2000)
    german = rng.random(2000) < 0.2
    app = truth == 1  # a channel that holds the hard contact type alone
    wrong = rng.random(2000) < np.where(truth == 1, 0.4, 0.1) + np.where(german, 0.25, 0.0)
    slicings = {
        "language": ["de" if one else "en" for one in german],
        "channel": ["app" if one else "mail" for one in app],
        "coin": [str(value) for value in rng.integers(0, 2, 2000)],
    }
    found = {one.title: one for one in compare_slices(slicings, wrong, truth, np.full(2000, 0.8, np.float32))}
    assert {title for title, one in found.items() if one.worse} == {"language: de", "channel: app"}
    language = found["language: de"]
    assert language.error.value > language.expected + 0.15  # the same contact types do better elsewhere
    assert language.tickets == int(german.sum())
    assert language.rest.tickets == 2000 - language.tickets
    assert language.confidence == pytest.approx(0.8)


def test_slices_dealt_out_at_random_are_hardly_ever_called_worse():
    rng = np.random.default_rng(1)
    reports = 100
    alarms = 0
    for _ in range(reports):
        slicings = {f"coin {number}": [str(value) for value in rng.integers(0, 4, 400)] for number in range(6)}
        found = compare_slices(slicings, rng.random(400) < 0.3, np.zeros(400, np.int64), np.ones(400, np.float32))
        assert len(found) == 24
        alarms += any(one.worse for one in found)
    assert alarms <= 10  # 5 expected of 100; without correction most reports would have one


def test_examples_are_cut_by_language_length_month_and_the_models_own_attributes():
    rows = pa.Table.from_pylist(
        [
            {
                "text": "word " * (5 if row % 2 else 50),
                "language": "en",
                "channel": "",
                "created_at": datetime(2026, 1 + row % 2, 1, tzinfo=UTC),
                "attributes": json.dumps({"city": ["Oslo", "Rome", "Nowhere", None][row % 4], "secret": row}),
                "statistics": "{}",
            }
            for row in range(8)
        ]
    )
    spec = AttributeSpec(categories=(Category(name="city", source="attribute", values=("oslo", "rome")),), numbers=())
    found = slicings_of(rows, spec)
    assert set(found) == {"language", "channel", "length", "month", "city"}
    assert found["city"][:4] == ["oslo", "rome", "not seen in training", "missing"]
    assert found["length"][:2] == ["31 to 100 words", "1 to 10 words"]
    assert found["month"][:2] == ["2026-01", "2026-02"]
    assert set(found["channel"]) == {"unknown"}


def test_a_slice_without_a_rest_or_of_few_tickets_is_no_slice():
    few = ["rare"] * 5 + ["common"] * 95
    slicings = {"all": ["one"] * 100, "few": few}
    found = compare_slices(slicings, np.zeros(100, bool), np.zeros(100, np.int64), np.ones(100, np.float32))
    assert found == []


def test_a_long_text_becomes_one_short_line():
    assert shortened("first\n\n  second", 40) == "first second"
    assert shortened("a" * 50, 10) == "aaaaaaaaa…"
