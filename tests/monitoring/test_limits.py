"""Limits from A/A replays: the promise is kept on quiet nights, change is still seen, little history is said so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from numpy.typing import NDArray

from monitoring.alarms import judge
from monitoring.detectors.sample import seen
from monitoring.limits import LimitsFound, bucket, calibrate, limits_from, persisted, standing_limits
from monitoring.policy import Limits, Policy
from monitoring.quiet_history import quiet_days
from monitoring.quiet_nights import days_of, draw_nights, shape_of, shuffled_days
from monitoring.windows import Window
from tests.monitoring.conftest import evidence_of
from tickets.database import detector_limits
from tickets.limit_log import DetectorLimits
from tickets.monitor_log import DetectorResult, MonitorRun, RunStatus, record_run

AT = datetime(2026, 4, 1, tzinfo=UTC)
WIDTH = 24  # of the world's embeddings
LIMITS = Limits(family_wise=0.05, persist=2, of=3)
POLICY = Policy(permutations=199, evidently=False, limits=Limits(replays=3, family_wise=0.05))


def history(days: int, daily: int, *, seed: int, day_spread: float = 0.0, width: int = 6) -> Window:
    """Quiet days; with `day_spread` the tickets of a day have something in common."""
    rng = np.random.default_rng(seed)
    count = days * daily
    common = np.repeat(rng.normal(size=(days, width)), daily, axis=0) * day_spread
    vectors = (rng.normal(size=(count, width)) + common).astype(np.float32)
    noon = datetime(2026, 2, 2, 12, tzinfo=UTC)  # a Monday
    return Window(
        counted=count,
        start=noon,
        end=noon + timedelta(days=days),
        ticket_ids=tuple(f"{seed}-{row}" for row in range(count)),
        created_at=tuple(noon + timedelta(days=row // daily) for row in range(count)),
        texts=("my parcel is late",) * count,
        languages=("en",) * count,
        channels=("web",) * count,
        attributes=({"city": "Oslo"},) * count,
        predicted=tuple("ab"[int(value > 0)] for value in vectors[:, 0]),
        probability=1 / (1 + np.exp(-vectors[:, 1].astype(np.float64))),
        out_of_scope=rng.random(count),
        abstained=rng.random(count) < 0.1,
        embeddings=vectors,
        contact_types=("a",) * count,
    )


def mean_gaps(reference: Window, current: Window) -> Sequence[DetectorResult]:
    """Six simple detectors: how far each number's mean went."""
    gaps = np.abs(current.embeddings.mean(axis=0) - reference.embeddings.mean(axis=0))
    return [seen(f"mean {place}", float(gap), 0.0, {}) for place, gap in enumerate(gaps)]


def alarm_share(nights: NDArray[np.float64], bounds: NDArray[np.float64]) -> float:
    """Of (replays, 3, detectors): how often a last night alarms, itself and one of the two before beyond a limit."""
    beyond = nights > bounds
    return float(np.mean(np.any(beyond[:, 2] & (beyond[:, 0] | beyond[:, 1]), axis=1)))


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_fresh_quiet_nights_alarm_as_seldom_as_promised(shared: float) -> None:
    """Detectors with tails of several kinds; nights that are independent, or as windows that overlap make them."""

    def nights(count: int, seed: int) -> NDArray[np.float64]:
        rng = np.random.default_rng(seed)
        together = rng.normal(size=(count, 1, 8))
        raw = np.sqrt(shared) * together + np.sqrt(1 - shared) * rng.normal(size=(count, 3, 8))
        raw[..., 3] = np.maximum(raw[..., 3] - 1, 0)  # nothing on most nights, as Cramér's V
        raw[..., 4] = np.exp(raw[..., 4])
        return raw

    made = [limits_from(nights(100, seed), LIMITS) for seed in range(30)]
    rates = [alarm_share(nights(2000, 1000 + seed), bounds) for seed, (bounds, _) in enumerate(made)]
    assert 0.02 < np.mean(rates) < 0.08  # 5 % promised; tails of 100 replays are known roughly
    levels = [level for _, level in made]
    assert min(levels) >= LIMITS.family_wise
    assert max(levels) == 0.05


def test_the_persisted_height_is_what_tonight_and_another_night_share() -> None:
    heights = np.array([[[1.0, 9.0], [7.0, 2.0], [5.0, 4.0]]])
    assert persisted(heights, LIMITS).tolist() == [[5.0, 4.0]]
    assert persisted(heights, replace(LIMITS, persist=3)).tolist() == [[1.0, 2.0]]
    assert persisted(heights, replace(LIMITS, persist=1)).tolist() == [[5.0, 4.0]]


def limits_of(quiet: Window) -> DetectorLimits:
    shape = shape_of(quiet, tickets=30, window_days=1, nights=3)
    assert not isinstance(shape, str)
    made = calibrate(quiet, mean_gaps, shape, replace(POLICY, limits=replace(LIMITS, replays=60)))
    assert isinstance(made, DetectorLimits)
    return made


def test_days_that_are_alike_widen_the_limits() -> None:
    """Nights of the same world later on, which a test for independent tickets would nearly all call drifted."""
    rates, plain = [], limits_of(history(42, 30, seed=3))
    for seed in range(3):
        quiet = history(42, 30, seed=10 + seed, day_spread=0.5)
        alike = limits_of(quiet)
        assert min(alike.limits.values()) > 1.5 * max(plain.limits.values())
        later = history(150, 30, seed=20 + seed, day_spread=0.5)
        gaps = [[result.statistic or 0.0 for result in mean_gaps(quiet, later.take(rows))] for rows in days_of(later)]
        nights = np.array([gaps[last - 2 : last + 1] for last in range(2, len(gaps))])
        assert alarm_share(nights, np.array(list(plain.limits.values()))) > 0.5
        rates.append(alarm_share(nights, np.array(list(alike.limits.values()))))
    assert np.mean(rates) < 0.15  # 5 % promised; the tail of six weeks of days is known roughly


def test_a_change_goes_beyond_the_limits() -> None:
    quiet = history(28, 30, seed=5)
    made = limits_of(quiet)
    same, moved = history(1, 30, seed=6), history(1, 30, seed=6)
    moved = replace(moved, embeddings=moved.embeddings + np.float32(1))

    def judged(window: Window) -> list[bool]:
        results = [replace(result, p_value=1e-6) for result in mean_gaps(quiet, window)]
        return [result.drifted for result in judge(results, LIMITS, made)]

    assert all(judged(moved))
    assert not any(judged(same))


def test_replayed_nights_share_no_day_with_their_reference_and_keep_weekdays() -> None:
    quiet = history(28, 40, seed=1)
    shape = shape_of(quiet, tickets=200, window_days=7, nights=3)
    assert not isinstance(shape, str)
    for seed, in_order in ((0, True), (1, False)):
        nights = list(draw_nights(quiet, shape, largest=500, in_order=in_order, seed=seed))
        assert len(nights) == 3
        for reference, current in nights:
            days = [{time.date() for time in window.created_at} for window in (reference, current)]
            assert not days[0] & days[1]
            assert {day.weekday() for day in days[1]} == set(range(7))
            assert len(current) == 200
        again = list(draw_nights(quiet, shape, largest=500, in_order=in_order, seed=seed))
        assert [current.ticket_ids for _, current in again] == [current.ticket_ids for _, current in nights]
        # Windows one day apart share most of their tickets, as on real nights.
        assert len({*nights[0][1].ticket_ids} & {*nights[1][1].ticket_ids}) > 100


def test_shuffled_days_stay_on_their_weekday() -> None:
    order = shuffled_days(history(28, 1, seed=0), np.random.default_rng(2))
    assert sorted(order.tolist()) == list(range(28))
    assert (order % 7).tolist() == [day % 7 for day in range(28)]
    assert order.tolist() != list(range(28))


def test_a_history_that_was_thinner_has_its_days_counted_together() -> None:
    thin = shape_of(history(60, 50, seed=0), tickets=200, window_days=1, nights=3)
    assert not isinstance(thin, str)
    assert (thin.tickets, thin.days, thin.step) == (200, 4, 4)


@pytest.mark.parametrize(
    ("days", "daily", "words"), [(5, 100, "5 quiet days, 18 needed"), (28, 2, "56 quiet tickets, about")]
)
def test_too_little_history_is_said_in_words(days: int, daily: int, words: str) -> None:
    assert words in str(shape_of(history(days, daily, seed=0), tickets=400, window_days=7, nights=3))


def test_sizes_that_are_close_share_their_limits() -> None:
    assert bucket(30) == 30
    assert bucket(50) == 50
    assert bucket(210) == bucket(280) == 200
    assert bucket(283) == 283
    assert bucket(1000) == bucket(100_000)
    assert all(bucket(size) <= size for size in range(50, 3000, 7))


def test_limits_are_computed_once_for_a_model_and_a_size(world: Any) -> None:
    reference, engine = history(28, 15, seed=1), world.engine

    def standing(size: int, at: datetime, policy: Policy = POLICY, version: str = "v1") -> LimitsFound:
        reads = replace(world.reader, release=replace(world.reader.release, version=version))
        tonight = evidence_of(reference, history(1, size, seed=2))
        return standing_limits(engine, reads, tonight, policy, as_of=at.date(), at=at)

    def kept() -> list[Any]:
        with engine.connect() as connection:
            rows = connection.execute(sa.select(detector_limits).order_by(sa.text("model_version, window_tickets")))
            return [(row.model_version, row.window_tickets, row.made_at) for row in rows]

    first, again = standing(60, AT), standing(65, AT + timedelta(days=1))
    assert first.limits is not None
    assert again.limits == first.limits
    assert first.told == "3 replays of 28 quiet days"
    assert kept() == [("v1", 50, AT)]
    later = AT + timedelta(days=2)
    standing(80, later)
    standing(60, later, version="v2")
    assert kept() == [("v1", 50, AT), ("v1", 71, later), ("v2", 50, later)]
    standing(60, later, replace(POLICY, limits=replace(POLICY.limits, family_wise=0.04)))
    assert kept()[0] == ("v1", 50, later)


def test_quiet_days_of_service_are_history_when_the_reference_is_short(world: Any) -> None:
    short, begin = history(6, 40, seed=1, width=WIDTH), date(2026, 3, 2)
    world.arrive(1120, day=begin, days=28, seed=1)

    def standing(nights: int) -> LimitsFound:
        for day in range(nights):
            _record_night(world, begin + timedelta(days=day), "quiet")
        tonight = evidence_of(short, history(1, 60, seed=2, width=WIDTH))
        as_of = begin + timedelta(days=nights)
        return standing_limits(world.engine, world.reader, tonight, POLICY, as_of=as_of, at=AT)

    assert standing(13).told == "p-values alone: 6 quiet days, 14 needed for A/A replays"
    assert standing(15).told == "3 replays of 20 quiet days"
    assert standing(27).told == "3 replays of 20 quiet days"
    assert standing(28).told == "3 replays of 34 quiet days"


def test_days_before_an_alarm_are_not_quiet(world: Any) -> None:
    for day in range(1, 21):
        _record_night(world, date(2026, 3, day), "alarm" if day == 10 else "quiet")
    days = quiet_days(world.engine, world.reader.release.version, before=date(2026, 3, 19), nights=3)
    assert [day.day for day in days] == [*range(1, 7), *range(11, 19)]
    assert quiet_days(world.engine, "another model", before=date(2026, 3, 19), nights=3) == []


def _record_night(world: Any, day: date, status: RunStatus) -> None:
    run = MonitorRun(
        run_id=f"{day}-{world.reader.release.version}",
        as_of=day.isoformat(),
        started_at=AT,
        seconds=1.0,
        model_version=world.reader.release.version,
        status=status,
        windows={},
        summary={},
    )
    record_run(world.engine, run, [], [])
