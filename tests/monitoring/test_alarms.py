"""Alarms: one correction over all detectors, nothing for trifles, nothing for what does not last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from models.release import Release
from monitoring.alarms import holm, judge, raise_alarms, recovered
from monitoring.current import Logged, Period, look_at
from monitoring.detectors.attributes import attribute_drift
from monitoring.evidence import detect
from monitoring.policy import Limits, Policy
from monitoring.windows import Window
from tests.monitoring.conftest import evidence_of
from tickets.limit_log import DetectorLimits
from tickets.monitor_log import Alarm, DetectorResult
from tickets.records import Suggestion, Ticket

AT = datetime(2026, 3, 9, tzinfo=UTC)
LIMITS = Limits(family_wise=0.05, least_effects={"a": 0.1, "b": 0.1, "c": 0.1}, persist=2, of=3)


def result(name: str, *, p: float | None, effect: float | None = 0.5, unknown: bool = False) -> DetectorResult:
    return DetectorResult(detector=name, statistic=effect, limit=None, p_value=p, status="unknown" if unknown else "ok")


def test_holm_gives_the_published_values() -> None:
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})


def test_a_small_p_value_alone_is_not_enough() -> None:
    (trifle,) = judge([result("a", p=1e-9, effect=0.01)], LIMITS)
    (real,) = judge([result("a", p=1e-9, effect=0.2)], LIMITS)
    assert (trifle.status, real.status) == ("ok", "drifted")
    assert real.limit == 0.1


def test_the_correction_grows_with_the_number_of_detectors_that_looked() -> None:
    alone = judge([result("a", p=0.03)], LIMITS)
    among = judge([result("a", p=0.03), result("b", p=0.5), result("c", p=0.9)], LIMITS)
    with_blind = judge([result("a", p=0.03), result("b", p=None, effect=None, unknown=True)], LIMITS)
    assert [r.status for r in (alone[0], among[0], with_blind[0])] == ["drifted", "ok", "drifted"]
    assert with_blind[1].status == "unknown"


def made(limits: dict[str, float], *, p_limit: float = 0.2) -> DetectorLimits:
    return DetectorLimits(
        limits=limits, p_limit=p_limit, replays=100, history_days=28, history_tickets=900, seconds=1.0
    )


def test_what_quiet_nights_reach_is_no_drift_however_small_its_p_value() -> None:
    results = [result("a", p=1e-9, effect=0.2), result("b", p=1e-9, effect=0.2)]
    a, b = judge(results, LIMITS, made({"a": 0.3, "b": 0.15}))
    assert (a.status, a.limit) == ("ok", 0.3)
    assert (b.status, b.limit) == ("drifted", 0.15)
    assert a.details["quiet_limit"] == 0.3
    assert a.details["least_effect"] == 0.1


def test_each_attribute_is_held_at_a_limit_of_its_own() -> None:
    rng = np.random.default_rng(2)
    before = [{"city": str(rng.choice(["Oslo", "Faro"])), "plan": "basic"} for _ in range(400)]
    now = [
        {"city": "Oslo" if rng.random() < 0.9 else "Faro", "plan": str(rng.choice(["basic"] * 9 + ["gold"]))}
        for _ in range(400)
    ]
    seen = attribute_drift(before, now)
    assert seen.details["moved"][0]["name"] == "city"  # the larger effect, and no news where cities come and go
    (unsteady,) = judge([seen], LIMITS, made({"attributes: city": 0.6, "attributes: plan": 0.1}))
    assert (unsteady.status, unsteady.details["moved"][0]["name"], unsteady.limit) == ("drifted", "plan", 0.1)
    (quiet,) = judge([seen], LIMITS, made({"attributes: city": 0.6, "attributes: plan": 0.5}))
    assert quiet.status == "ok"
    strict = replace(LIMITS, least_effects={"attributes": 0.5})
    (matters,) = judge([seen], strict, made({"attributes: city": 0.1, "attributes: plan": 0.0}))
    assert matters.details["moved"][0]["name"] == "city"  # a plan that moved less than matters is not put before it


def test_a_trifle_beyond_its_quiet_limit_stays_a_trifle() -> None:
    (trifle,) = judge([result("a", p=1e-9, effect=0.05)], LIMITS, made({"a": 0.01}))
    assert (trifle.status, trifle.limit) == ("ok", 0.1)


def test_p_values_are_held_at_the_level_that_persistence_lets_pass_where_there_is_a_limit() -> None:
    results = [result("a", p=0.04), result("b", p=0.04)]
    a, b = judge(results, LIMITS, made({"a": 0.2}))
    assert (a.status, b.status) == ("drifted", "ok")  # Holm makes 0.08 of both; 0.2 and 0.05 are their levels
    assert (a.details["p_limit"], b.details["p_limit"]) == (0.2, 0.05)


def test_quiet_nights_are_called_drifted_as_seldom_as_promised() -> None:
    rng = np.random.default_rng(1)
    names = list(Limits().least_effects)
    nights = [judge([result(name, p=float(rng.random()), effect=9.0) for name in names], LIMITS) for _ in range(1000)]
    share = np.mean([any(r.drifted for r in night) for night in nights])
    assert 0.03 < share < 0.07  # 5 % promised; independent p-values, every effect large enough


def raised(names: list[str], earlier: list[set[str]], already: set[str] | None = None) -> list[Alarm]:
    tonight = judge([result(name, p=1e-9) for name in names], LIMITS)
    return raise_alarms(tonight, earlier, already or set(), LIMITS, run_id="run", at=AT)


def test_an_alarm_needs_several_nights() -> None:
    assert raised(["a"], []) == []
    assert raised(["a"], [set(), set(), {"a"}]) == []  # too long ago
    assert [alarm.detector for alarm in raised(["a"], [{"a"}])] == ["a"]
    assert [alarm.detector for alarm in raised(["a", "b"], [{"b"}, {"a"}])] == ["a", "b"]


def test_a_detector_whose_alarm_is_open_raises_no_second_one() -> None:
    assert raised(["a"], [{"a"}], {"a"}) == []


def test_the_same_night_gives_the_same_alarm_the_same_id() -> None:
    assert raised(["a"], [{"a"}])[0].alarm_id == raised(["a"], [{"a"}])[0].alarm_id


def test_agreeing_detectors_and_unhappy_agents_are_critical() -> None:
    assert raised(["a"], [{"a"}])[0].severity == "warning"
    assert raised(["a", "b", "c"], [{"a"}])[0].severity == "critical"
    assert raised(["feedback.acceptance"], [{"feedback.acceptance"}])[0].severity == "critical"


def test_an_estimated_loss_decides_how_bad_it_is() -> None:
    def severity(detector: str, **estimate: Any) -> str:
        night = [
            result(detector, p=1e-9),
            result("b", p=1e-9),
            result("c", p=1e-9),
            result("accuracy.estimate", **estimate),
        ]
        alarms = raise_alarms(judge(night, LIMITS), [{detector}], set(), LIMITS, run_id="run", at=AT)
        return next(alarm.severity for alarm in alarms if alarm.detector == detector)

    assert severity("a", p=1e-9, effect=0.06) == "critical"
    assert severity("a", p=0.5, effect=0.01) == "warning"  # three detectors agree, and little is lost
    assert severity("a", p=None, effect=None, unknown=True) == "critical"  # nobody knows what is lost
    assert severity("volume", p=1e-9, effect=0.06) == "warning"


def test_an_alarm_carries_its_explanation() -> None:
    (alarm,) = raise_alarms(
        judge([result("a", p=1e-9)], LIMITS),
        [{"a"}],
        set(),
        LIMITS,
        run_id="run",
        at=AT,
        explain=lambda found: {"recommends": [f"look at {found.detector}"]},
    )
    assert alarm.details["recommends"] == ["look at a"]


def test_an_alarm_says_what_moved() -> None:
    seen = DetectorResult(
        detector="predictions.types",
        statistic=0.4,
        limit=None,
        p_value=1e-9,
        status="ok",
        details={"moved": [{"name": "scooter", "reference": 0.0, "current": 0.12}]},
    )
    (alarm,) = raise_alarms(judge([seen], LIMITS), [{"predictions.types"}], set(), LIMITS, run_id="run", at=AT)
    assert alarm.message == (
        "The mix of predicted contact types changed (scooter: 0.0% before, 12.0% now; 2 of the last 2 nights)."
    )


def test_an_alarm_is_over_after_quiet_nights_and_not_after_blind_ones() -> None:
    quiet, blind = judge([result("a", p=0.5)], LIMITS), [result("a", p=None, effect=None, unknown=True)]
    assert recovered(quiet, [{"a"}, {"a", "b"}], {"a"}, LIMITS) == ["a"]
    assert recovered(quiet, [{"a"}, {"b"}], {"a"}, LIMITS) == []  # one night drifted or could not look
    assert recovered(quiet, [{"a"}], {"a"}, LIMITS) == []
    assert recovered(blind, [{"a"}, {"a"}], {"a"}, LIMITS) == []


@pytest.mark.parametrize(
    ("detector", "details", "words"),
    [
        (
            "confidence.out_of_scope",
            {"mean": {"reference": 0.1, "current": 0.3}, "median": {"reference": 0.02, "current": 0.04}},
            "Tickets lie farther from what the model learned (median 0.02 before, 0.04 now).",
        ),
        (
            "confidence.probability",
            {"mean": {"reference": 0.8, "current": 0.6}, "median": {"reference": 0.7, "current": 0.7}},
            "The model is less sure of itself (mean 0.8 before, 0.6 now).",
        ),
        (
            "attributes",
            {"moved": [{"name": "city", "categories": [{"name": "Faro", "reference": 0.1, "current": 0.4}]}]},
            "Attributes of tickets changed (city Faro: 10.0% before, 40.0% now).",
        ),
        (
            "attributes",
            {"moved": [{"name": "amount present", "effect": 1.0, "reference": 0.8, "current": 0.0}]},
            "Attributes of tickets changed (amount present: 80.0% before, 0.0% now).",
        ),
        (
            "volume",
            {"tickets": 40, "expected": 99.6},
            "Fewer tickets come than usual (40 tickets, about 100 expected).",
        ),
    ],
)
def test_an_alarm_says_which_way(detector: str, details: dict[str, object], words: str) -> None:
    drifted = replace(result(detector, p=1e-9), status="drifted", details=details)
    (alarm,) = raise_alarms([drifted], [], set(), replace(LIMITS, persist=1, of=1), run_id="run", at=AT)
    assert alarm.message == words


def test_what_people_feel_comes_first() -> None:
    names = ["attributes", "confidence.abstained", "feedback.acceptance", "text.unseen_words"]
    alarms = raised(names, [set(names)])
    assert [alarm.detector for alarm in alarms] == [names[2], names[3], names[0], names[1]]
    assert alarms[0].details["headline"] == "Agents accept fewer suggestions"


@pytest.mark.slow
def test_all_detectors_together_stay_quiet_on_nights_like_the_reference(
    release: Release, reader_of: Callable[[Release], Any], draw: Callable[..., list[tuple[Ticket, str]]]
) -> None:
    """An A/A test with the default limits: 40 nights, 1 % promised for any drift in a night."""
    reader = reader_of(release)
    policy = Policy(permutations=999)

    def window(seed: int, count: int) -> Window:
        drawn = tuple(
            Logged(
                ticket,
                Suggestion(
                    suggestion_id=ticket.ticket_id,
                    ticket_id=ticket.ticket_id,
                    model_version="v",
                    created_at=ticket.created_at,
                    contact_types=(),
                    templates=(),
                ),
            )
            for ticket, _ in draw(count, day=date(2026, 3, 2), days=7, seed=seed)
        )
        return look_at(Period(AT, AT, count, drawn), reader)[0]

    nights = []
    for seed in range(40):
        reference, current = window(2 * seed, 400), window(2 * seed + 1, 250)
        nights.append(
            any(result.drifted for result in judge(detect(evidence_of(reference, current), policy), policy.limits))
        )
    assert sum(nights) <= 3  # four or more has a chance of one in a thousand
