"""Every detector on windows that hold little or odd things: a clear status with its reason, never a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.release import Release
from monitoring.alarms import judge
from monitoring.evidence import detect
from monitoring.explanations import explain
from monitoring.policy import Policy
from monitoring.windows import Window, read_reference, sample
from tests.monitoring.conftest import evidence_of
from tickets.records import AttributeValue

POLICY = Policy(permutations=199)
Change = Callable[[Window], Window]


def _attributes(change: Callable[[dict[str, Any]], Mapping[str, AttributeValue]]) -> Change:
    return lambda window: replace(window, attributes=tuple(change(dict(row)) for row in window.attributes))


def _constant_numbers(window: Window) -> Window:
    count = len(window)
    return replace(
        window,
        probability=np.full(count, 0.8),
        out_of_scope=np.full(count, 0.1),
        embeddings=np.full_like(window.embeddings, 0.2),
        attributes=tuple({**row, "amount": 7.0} for row in window.attributes),
    )


def _one_class(window: Window) -> Window:
    return replace(window, predicted=("refund",) * len(window), contact_types=("refund",) * len(window))


# What becomes of the reference, and of the current window.
CASES: dict[str, tuple[Change, Change]] = {
    "empty": (lambda w: w, lambda w: sample(w, 0, seed=0)),
    "empty reference": (lambda w: sample(w, 0, seed=0), lambda w: w),
    "ten": (lambda w: w, lambda w: sample(w, 10, seed=0)),
    "one class": (_one_class, _one_class),
    "all null": (_attributes(lambda row: {**row, "city": None}), _attributes(lambda row: {**row, "city": None})),
    "vanished": (lambda w: w, _attributes(lambda row: {name: v for name, v in row.items() if name != "city"})),
    "new category": (lambda w: w, _attributes(lambda row: {**row, "city": "Braga"})),
    "constant numbers": (_constant_numbers, _constant_numbers),
    "no words": (lambda w: w, lambda w: replace(w, texts=("123",) * len(w))),
    "no labels": (lambda w: replace(w, contact_types=(None,) * len(w)), lambda w: w),
}
DRIFTS = {"vanished": {"attributes"}, "new category": {"attributes"}, "no words": {"text.length", "text.words"}}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("error")
def test_every_detector_answers_and_only_what_changed_is_called_drift(case: str, release: Release) -> None:
    window = read_reference(release)
    of_reference, of_current = CASES[case]
    reference, current = of_reference(window.take(np.arange(0, 800, 2))), of_current(window.take(np.arange(1, 800, 2)))
    results = judge(detect(evidence_of(reference, current), POLICY), POLICY.limits)
    assert len({result.detector for result in results}) == len(results) == 19
    for result in results:
        assert result.status == "unknown" or result.statistic is not None
        assert result.status != "unknown" or result.details["why"]
        assert result.statistic is None or np.isfinite(result.statistic)
        assert result.p_value is None or 0 <= result.p_value <= 1
        assert explain(result, reference, current, results=results).recommends
    drifted = {result.detector for result in results if result.drifted}
    assert drifted == DRIFTS.get(case, set())
    if case in {"empty", "empty reference", "ten"}:
        assert {result.status for result in results} == {"unknown"}
