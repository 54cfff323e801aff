"""Where errors come from: on made-up mistakes whose causes are known, and on tickets made to have one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.batches import TicketArrays
from models.config import TrainConfig
from models.diagnosis.answers import Judge, network_rung, tfidf_rung
from models.diagnosis.bias_variance import (
    BIAS,
    FURTHER,
    LABELS,
    SAME_PERIOD,
    SHIFT,
    TEST,
    TRAINING,
    VALIDATION,
    VARIANCE,
    Level,
    by_fitting,
    by_model,
    decompose,
    measured,
)
from models.diagnosis.label_noise import LabelNoise
from models.diagnosis.pictures import waterfall
from models.intervals import share_of
from models.training.data import TrainingData
from tickets.errors import TrainingDataError

Load = Callable[..., TrainingData]
Put = Callable[[str, list[dict[str, Any]]], None]
UNKNOWN = LabelNoise(source="unknown", share=None, draws=np.zeros(0), sample=0, words="unknown: nothing was asked")


def wrong(share: float, count: int) -> NDArray[np.bool_]:
    return np.arange(count) < round(share * count)


def levels(*shares: float, count: int = 2_000) -> list[Level]:
    names = (TRAINING, SAME_PERIOD, VALIDATION, TEST)
    return [measured(name, wrong(share, count), seed=1) for name, share in zip(names, shares, strict=True)]


def noise(share: float, count: int = 2_000) -> LabelNoise:
    draws = np.random.default_rng(0).binomial(count, share, 1_000) / count
    return LabelNoise(source="near-duplicates", share=share, draws=draws, sample=count, words="told by duplicates")


def test_gaps_are_the_steps_between_errors_and_add_up(tiny_config: TrainConfig) -> None:
    found = decompose(levels(0.12, 0.2, 0.22, 0.25), noise(0.05), judged="x", config=tiny_config)
    assert [gap.cause for gap in found.gaps] == [LABELS, BIAS, VARIANCE, SHIFT, FURTHER]
    assert [round(gap.size, 3) for gap in found.gaps] == [0.05, 0.07, 0.08, 0.02, 0.03]
    assert sum(gap.size for gap in found.gaps) == pytest.approx(found.levels[-1].error)
    for gap in found.gaps:
        assert gap.low < gap.size < gap.high


@pytest.mark.parametrize(
    ("shares", "labels", "cause", "said"),
    [
        ((0.30, 0.32, 0.33, 0.33), 0.02, BIAS, "larger encoder"),
        ((0.03, 0.25, 0.26, 0.27), 0.02, VARIANCE, "more history"),
        ((0.03, 0.08, 0.25, 0.26), 0.02, SHIFT, "retrain more often"),
        ((0.03, 0.08, 0.09, 0.29), 0.02, FURTHER, "retrain more often"),
        ((0.22, 0.23, 0.25, 0.25), 0.20, LABELS, "Review labels"),
    ],
)
def test_what_to_do_next_follows_from_the_largest_gap(
    tiny_config: TrainConfig, shares: tuple[float, ...], labels: float, cause: str, said: str
) -> None:
    found = decompose(levels(*shares), noise(labels), judged="x", config=tiny_config)
    assert found.largest.cause == cause
    assert found.largest.clear
    assert cause in found.advice[0]
    assert said in found.advice[1]


def test_a_gap_that_chance_can_make_is_no_advice(tiny_config: TrainConfig) -> None:
    found = decompose(levels(0.1, 0.15, 0.15, 0.15, count=40), noise(0.09, 40), judged="x", config=tiny_config)
    small = next(gap for gap in found.gaps if gap.cause == VARIANCE)
    assert not small.clear
    alike = decompose(levels(0.0, 0.0, 0.05, 0.05, count=40), noise(0.0, 40), judged="x", config=tiny_config)
    assert alike.largest.cause == SHIFT
    assert "judge on more tickets" in alike.advice[1]


def test_unknown_label_noise_is_said_and_kept_with_bias(tiny_config: TrainConfig) -> None:
    found = decompose(levels(0.3, 0.31, 0.32, 0.32), UNKNOWN, judged="x", config=tiny_config)
    assert found.gaps[0].cause == f"{BIAS} and {LABELS}"
    assert "nothing was asked" in found.advice[-1]


def test_later_tickets_that_are_easier_are_told(tiny_config: TrainConfig) -> None:
    found = decompose(levels(0.1, 0.6, 0.4, 0.4), noise(0.05), judged="x", config=tiny_config)
    assert any("easier than the same period ones, by 20.0 points" in line for line in found.advice)


def test_labels_learned_by_heart_are_told(tiny_config: TrainConfig) -> None:
    found = decompose(levels(0.0, 0.2, 0.21, 0.21), noise(0.1), judged="x", config=tiny_config)
    assert any("by heart" in line for line in found.advice)


def test_tickets_of_one_group_are_one_witness() -> None:
    mistakes = np.repeat(wrong(0.2, 50), 20)
    alone = measured(TRAINING, mistakes, seed=1)
    together = measured(TRAINING, mistakes, groups=np.repeat(np.arange(50), 20), seed=1)
    widths = [level.interval[1] - level.interval[0] for level in (alone, together)]
    assert widths[1] > 3 * widths[0]
    assert together.error == alone.error == pytest.approx(0.2)


@pytest.mark.parametrize("error", [0.0, 1.0])
def test_no_mistake_among_a_few_tickets_is_no_proof_that_there_is_none(error: float) -> None:
    few, many = (measured(TRAINING, np.full(count, error == 1), seed=1).interval for count in (40, 4_000))
    known = share_of(round(40 * error), 40)
    assert few == pytest.approx((known.low, known.high), abs=0.01)
    assert many == pytest.approx((error, error), abs=0.002)
    letters = measured(TRAINING, np.full(4_000, error == 1), groups=np.repeat(np.arange(40), 100), seed=1).interval
    assert letters == few


def test_labels_that_never_disagreed_may_still_disagree(tiny_config: TrainConfig) -> None:
    found = decompose(levels(0.1, 0.2, 0.22, 0.25), noise(0.0, 40), judged="x", config=tiny_config)
    assert found.gaps[0].high == pytest.approx(share_of(0, 40).high, abs=0.01)


def test_each_period_is_drawn_again_by_its_groups(load_tiny: Load, tiny_config: TrainConfig) -> None:
    """Every second ticket is wrong, in groups of ten that are alike."""
    data = load_tiny()
    judge = by_place(data, lambda place: place // 10 % 2 == 0)
    tens = {name: np.arange(1_000) // 10 for name in (TRAINING, VALIDATION, TEST)}
    groups = {TRAINING: tens[TRAINING][:120], VALIDATION: tens[VALIDATION][:40], TEST: tens[TEST][:40]}
    alone, together = (
        by_model(data, tiny_config, judge, known, UNKNOWN, judged="", report=lambda _line: None)
        for known in ({}, groups)
    )
    for name in (TRAINING, VALIDATION, TEST):
        single, grouped = (next(one for one in found.levels if one.name == name) for found in (alone, together))
        assert single.error == grouped.error
        widths = [one.interval[1] - one.interval[0] for one in (single, grouped)]
        assert widths[1] > 2 * widths[0]


def by_place(data: TrainingData, wrong_at: Callable[[NDArray[np.int64]], NDArray[np.bool_]]) -> Judge:
    """A judge that goes by where a ticket stands in its split."""
    place = {
        ticket_id: number
        for part in (data.train, data.validation, data.test)
        for number, ticket_id in enumerate(part.ticket_ids)
    }
    return lambda tickets: wrong_at(np.array([place[ticket_id] for ticket_id in tickets.ticket_ids]))


@pytest.mark.parametrize("fitted", [True, False])
def test_without_validation_tickets_it_says_what_to_do(
    load_tiny: Load, tiny_config: TrainConfig, put_features: Put, fitted: bool
) -> None:
    put_features("validation", [])
    data = load_tiny()
    with pytest.raises(TrainingDataError, match=r"validation split has an outcome.*triage features"):
        if fitted:
            by_fitting(data, tiny_config, tfidf_rung(data, tiny_config), {}, UNKNOWN, judged="")
        else:
            judge = by_place(data, lambda place: place < 0)
            by_model(data, tiny_config, judge, {}, UNKNOWN, judged="", report=lambda _line: None)


def test_the_label_mix_of_the_last_weeks_is_named_as_a_limit(load_tiny: Load, tiny_config: TrainConfig) -> None:
    data = load_tiny()
    without = dataclasses.replace(tiny_config, label_mix=False)
    for config, said in ((tiny_config, True), (without, False)):
        found = by_fitting(data, config, tfidf_rung(data, config), {}, UNKNOWN, judged="")
        assert ["last weeks" in level.how for level in found.levels] == [said, said, False, False]


def test_an_interval_holds_the_true_error_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(8)
    inside = 0
    for draw in range(200):
        low, high = measured(TRAINING, random.random(400) < 0.3, seed=draw).interval
        inside += low <= 0.3 <= high
    assert 180 <= inside <= 199


def test_a_model_that_learns_all_but_the_future_shows_shift(
    load_tiny: Load, tiny_config: TrainConfig, put_features: Put, make_row: Callable[..., dict[str, Any]]
) -> None:
    """In the later periods customers use words that training never met."""
    names = ["refund", "invoice", "late", "lost", "broken"]
    for split, first in (("validation", 400), ("test", 600)):
        rows = [make_row(first + n, names[n % 5], f"order {names[(n + 1) % 5]} today") for n in range(60)]
        put_features(split, rows)
    data = load_tiny()
    found = by_fitting(data, tiny_config, tfidf_rung(data, tiny_config), {}, UNKNOWN, judged="TF-IDF")
    assert found.largest.cause == SHIFT
    assert found.largest.clear
    assert [level.name for level in found.levels] == [TRAINING, SAME_PERIOD, VALIDATION, TEST]
    assert sum(level.tickets for level in found.levels[:2]) == len(data.train)


def test_new_contact_types_are_part_of_the_shift(
    load_tiny: Load,
    tiny_config: TrainConfig,
    put_features: Put,
    make_row: Callable[..., dict[str, Any]],
    tiny_examples: dict[str, list[dict[str, Any]]],
) -> None:
    put_features("train", [row for row in tiny_examples["train"] if row["contact_type"] != "lost"])
    names = ("lost", "late")
    put_features("validation", [make_row(400 + n, names[n % 2], f"order {names[n % 2]} today") for n in range(40)])
    data = load_tiny()
    found = by_fitting(data, tiny_config, tfidf_rung(data, tiny_config), {}, UNKNOWN, judged="TF-IDF")
    new = float((data.validation.node == data.index.position("lost")).mean())
    assert found.figures["new_types_validation"] == pytest.approx(new)
    assert any("training never saw" in line for line in found.advice)


def test_the_network_is_judged_on_the_slice_it_did_not_see(load_tiny: Load, tiny_config: TrainConfig) -> None:
    data = load_tiny()
    config = dataclasses.replace(tiny_config, epochs=6, patience=6)
    learn = network_rung(data, config, report=lambda _line: None, progress=lambda _step, _total, _loss: None)
    found = by_fitting(data, config, learn, {}, UNKNOWN, judged="network")
    assert found.levels[0].error < 0.2
    assert found.levels[1].tickets == 18
    assert sum(gap.size for gap in found.gaps) == pytest.approx(found.levels[-1].error)


def test_a_model_without_a_slice_borrows_the_shift_of_tfidf(
    load_tiny: Load, tiny_config: TrainConfig, put_features: Put, make_row: Callable[..., dict[str, Any]]
) -> None:
    """The model errs on a tenth of what it learned and on half of the later tickets, where TF-IDF errs on all of them:
    the step is shift, not variance."""
    names = ["refund", "invoice", "late", "lost", "broken"]
    put_features(
        "validation", [make_row(400 + n, names[n % 5], f"order {names[(n + 1) % 5]} today") for n in range(60)]
    )
    data = load_tiny()

    def judge(tickets: TicketArrays) -> NDArray[np.bool_]:
        return wrong(0.1 if tickets.ticket_ids[0] == data.train.ticket_ids[0] else 0.5, len(tickets))

    model: Judge = judge
    found = by_model(data, tiny_config, model, {}, UNKNOWN, judged="model", report=lambda _line: None)
    sizes = {gap.cause: gap.size for gap in found.gaps}
    assert sizes[SHIFT] > 0.5 > sizes[VARIANCE]
    assert sizes[SHIFT] + sizes[VARIANCE] == pytest.approx(0.4)
    assert "estimated" in found.levels[1].how


def test_the_picture_shows_each_cause(tiny_config: TrainConfig) -> None:
    found = decompose(levels(0.02, 0.2, 0.18, 0.25), noise(0.05), judged="a <model>", config=tiny_config)
    drawn = waterfall(found)
    assert drawn == waterfall(found)
    for word in (LABELS, BIAS, VARIANCE, SHIFT, "-3.0", "25.0", "a &lt;model"):
        assert word in drawn
