"""The learning curve: made from learners whose curve is known, and from a real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.batches import TicketArrays
from models.config import TrainConfig
from models.diagnosis.answers import Judge, Learn, frozen_rung, pretrained, tfidf_rung
from models.diagnosis.curve_text import curve_text
from models.diagnosis.learning_curve import NEWEST, RANDOM, LearningCurve, curve_of, growing_sizes, learning_curve
from models.diagnosis.pictures import curve_picture
from models.diagnosis.power_law import PowerLaw
from models.training.data import TrainingData
from tickets.errors import InputError, TrainingDataError

Load = Callable[..., TrainingData]
SIZES = np.array(growing_sizes(8_000, types=10), np.int64)


def mistakes(
    law: PowerLaw, *, seeds: int = 3, judged: int = 2_000, newest: float = 0.0, history: int = 8_000
) -> LearningCurve:
    """The curve of a learner that errs as `law` says, its newest few tickets by so much less. A ticket is as hard for
    each."""
    random = np.random.default_rng(1)
    hardness = np.argsort(random.permutation(judged)) / judged
    errors = np.array([law.error_at(size) for size in SIZES])
    drawn = hardness < (errors + random.normal(0, 0.003, (seeds, len(SIZES))))[:, :, None]
    latest: NDArray[np.bool_] = hardness < (errors - newest * (1 - SIZES / 8_000))[:, None]
    latest[-1] = drawn[0, -1]
    return curve_of(SIZES, drawn, latest, learner="made up", seeds=range(seeds), target=0.85, history=history)


def test_sizes_grow_by_one_factor_and_leave_the_beginning_behind() -> None:
    sizes = growing_sizes(16_000, types=100)
    assert (len(sizes), sizes[0], sizes[-1]) == (8, 1_000, 16_000)
    factors = np.diff(np.log(sizes))
    assert factors == pytest.approx(np.full(7, factors[0]), abs=0.01)
    assert growing_sizes(3_000, types=170)[0] == 510
    assert growing_sizes(900, types=170)[0] == 180
    with pytest.raises(TrainingDataError, match="takes 200 or more"):
        growing_sizes(199, types=5)


def test_what_lies_ahead_is_within_its_interval() -> None:
    law = PowerLaw(a=0.1, b=6.0, c=0.5)
    curve = mistakes(law)
    assert [one.tickets for one in curve.forecasts] == [16_000, 40_000, 80_000]
    for one in curve.forecasts:
        assert one.low <= law.error_at(one.tickets) <= one.high
        assert one.high - one.low < 0.1
    assert curve.backtest.sizes == tuple(SIZES[-2:].tolist())
    assert curve.backtest.miss < 0.02


def test_a_target_is_told_in_tickets() -> None:
    law = PowerLaw(a=0.05, b=6.0, c=0.4)
    curve = mistakes(law)
    assert curve.target is not None
    needed = law.tickets_for(0.15)
    assert curve.target.low <= needed <= curve.target.high
    assert any("The target of 85.0% takes about" in line for line in curve_text(curve))


def test_a_target_within_a_history_longer_than_what_was_learned_is_called_so() -> None:
    """The quick curve learns from a part of the history: what the target takes may lie between the two."""
    law = PowerLaw(a=0.05, b=6.0, c=0.4)
    needed = law.tickets_for(0.15)
    curve = mistakes(law, history=100_000)
    assert SIZES[-1] < needed < curve.history
    assert curve.target is not None
    assert curve.target.tickets is not None
    assert SIZES[-1] <= curve.target.low <= curve.target.tickets <= curve.target.high < curve.history
    assert curve.target.low <= needed <= curve.target.high
    (line,) = [line for line in curve_text(curve) if line.startswith("The target")]
    assert line.startswith("The target of 85.0% is reached within the history: by the curve it takes about ")
    assert line.endswith(" of 100,000.")


def test_a_target_beyond_the_end_of_the_curve_is_called_out_of_reach() -> None:
    curve = mistakes(PowerLaw(a=0.3, b=60.0, c=0.8))
    assert curve.target is not None
    assert curve.target.tickets is None
    said = " ".join(curve_text(curve))
    assert "flattens before" in said
    assert "0% of the curves" not in said


def test_a_target_that_is_reached_is_called_so() -> None:
    assert any("reached already" in line for line in curve_text(mistakes(PowerLaw(a=0.02, b=2.0, c=0.6))))


def test_a_curve_that_is_flat_is_called_so() -> None:
    assert any(
        "more history of this kind will not help" in line
        for line in curve_text(mistakes(PowerLaw(a=0.3, b=0.0, c=0.5)))
    )


def test_what_a_law_cannot_tell_widens_the_interval() -> None:
    """Errors that fall off a cliff at the end: the smaller sizes predict the largest badly, and it says so."""
    drawn = np.zeros((3, len(SIZES), 1_000), np.bool_)
    for place, error in enumerate([0.5, 0.48, 0.47, 0.46, 0.45, 0.44, 0.2, 0.1]):
        drawn[:, place, : round(1_000 * error)] = True
    curve = curve_of(SIZES, drawn, drawn[0], learner="odd", seeds=range(3), target=None, history=8_000)
    assert curve.backtest.miss > 0.15
    assert all(one.high - one.low > 0.15 for one in curve.forecasts)


def test_newest_tickets_that_teach_more_are_noticed() -> None:
    law = PowerLaw(a=0.1, b=6.0, c=0.5)
    assert "old history is worth less" in curve_text(mistakes(law, newest=0.06))[-1]
    assert "--max-train-tickets" in curve_text(mistakes(law, newest=0.25))[-1]
    assert "worth keeping" in curve_text(mistakes(law, newest=-0.06))[-1]
    assert "as much as" in curve_text(mistakes(law))[-1]


@pytest.fixture
def longer(load_tiny: Load, put_features: Callable[..., None], make_row: Callable[..., dict[str, Any]]) -> TrainingData:
    """300 training tickets: each word of a contact type is one of thirty, so that each ticket teaches one."""
    random = np.random.default_rng(2)
    names = ["refund", "invoice", "late", "lost", "broken"]
    rows = [
        make_row(number, name, f"order {name}{random.integers(30)} please")
        for number, name in enumerate(random.choice(names, 300).tolist())
    ]
    put_features("train", rows)
    later = [make_row(400 + n, name, f"order {name}{n % 30} please") for n, name in enumerate(names * 20)]
    put_features("validation", later)
    return load_tiny()


def test_a_real_learner_learns_more_from_more(longer: TrainingData, tiny_config: TrainConfig) -> None:
    lines: list[str] = []
    learn = words_alone(longer)
    curve = learning_curve(longer, learn, learner="words", seeds=(1, 2, 3), target=None, report=lines.append)
    errors = curve.mean_errors(RANDOM)
    assert list(errors) == growing_sizes(300, types=5)
    assert len(lines) == len(errors)
    assert errors[min(errors)] > errors[300] + 0.2
    assert curve.mean_errors(NEWEST)[300] == errors[300]
    assert len({point.seed for point in curve.points}) == 3
    capped = learning_curve(longer, learn, learner="words", seeds=(1,), target=None, report=lines.append, most=250)
    assert max(capped.mean_errors(RANDOM)) == 250
    assert [one.tickets for one in capped.forecasts] == [300, 600, 1_500, 3_000]
    assert "of the 300 there are" in curve_text(capped)[0]


def words_alone(data: TrainingData) -> Learn:
    """Looks each word up: what was not met is wrong."""

    def learn(tickets: TicketArrays, _seed: int) -> Judge:
        texts = tickets.rows["text"].to_pylist()
        known = {word for text in texts for word in text.split()}
        return lambda unseen: np.array(
            [not all(word in known for word in text.split()) for text in unseen.rows["text"].to_pylist()]
        )

    return learn


def test_the_rung_of_the_ladder_is_a_learner(load_tiny: Load, tiny_config: TrainConfig) -> None:
    data = load_tiny()
    judge = tfidf_rung(data, tiny_config)(data.train, 3)
    assert judge(data.train).mean() < 0.05
    assert judge(data.train.take(np.zeros(0, np.int64))).shape == (0,)


def test_one_contact_type_alone_is_always_the_answer(load_tiny: Load, tiny_config: TrainConfig) -> None:
    """A small part of a lopsided history may hold no other."""
    data = load_tiny()
    refund = data.index.position("refund")
    only = data.train.take(np.flatnonzero(data.train.node == refund))
    for learn in (tfidf_rung(data, tiny_config), frozen_rung(data, pretrained(data, tiny_config))):
        assert (learn(only, 1)(data.validation) == (data.validation.node != refund)).all()
    inner = data.train.take(np.arange(30))
    inner.node[:] = data.index.position("payments")
    with pytest.raises(TrainingDataError, match="none of 30"):
        tfidf_rung(data, tiny_config)(inner, 1)


def test_no_text_is_encoded_twice(load_tiny: Load) -> None:
    data, asked = load_tiny(), list[list[str]]()

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        asked.append(list(texts))
        return np.eye(2, dtype=np.float32)[[len(text) % 2 for text in texts]]

    learn = frozen_rung(data, embed)
    for seed in (1, 2):
        learn(data.train, seed)(data.validation)
    texts = [text for some in asked for text in some]
    assert sorted(texts) == sorted({*data.train.rows["text"].to_pylist(), *data.validation.rows["text"].to_pylist()})
    assert all(asked)  # nor is the encoder started for nothing


def test_a_target_that_is_no_accuracy_is_refused(load_tiny: Load, tiny_config: TrainConfig) -> None:
    data = load_tiny()
    with pytest.raises(InputError, match=r"--target 0\.85"):
        learning_curve(data, words_alone(data), learner="", seeds=(1,), target=85.0, report=lambda _line: None)


def test_the_picture_shows_points_and_target() -> None:
    drawn = curve_picture(mistakes(PowerLaw(a=0.1, b=6.0, c=0.5)))
    assert drawn.startswith("<?xml")
    for word in ("the newest", "drawn at random", "target 85% right", "training tickets"):
        assert word in drawn
    assert drawn == curve_picture(mistakes(PowerLaw(a=0.1, b=6.0, c=0.5)))
