"""Every detector on windows that hold little or odd things: a clear status with its reason, never a crash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from models.release import Release
from monitoring.alarms import judge
from monitoring.current import period_of
from monitoring.evidence import detect
from monitoring.explanations import explain
from monitoring.performance import feedback_figures, label_figures, read_judged, read_labelled
from monitoring.policy import Policy
from monitoring.windows import Window, read_reference, sample
from tests.logged import log_suggestions, suggested
from tests.monitoring.conftest import TREE, evidence_of
from tickets import label_queue
from tickets.feedback_log import record_feedback
from tickets.label_queue import LabelRequest
from tickets.records import AttributeValue, Feedback

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


def test_what_people_said_of_suggestions_without_a_contact_type_counts_as_not_suggested(
    engine: sa.Engine, release: Release
) -> None:
    at = datetime(2026, 3, 9, 9, tzinfo=UTC)
    made = [suggested(f"t{number}", at=at, version=release.version) for number in range(180)]
    pairs = [(ticket, replace(suggestion, contact_types=(), abstained=True)) for ticket, suggestion in made]
    log_suggestions(engine, pairs)
    for number, (ticket, suggestion) in enumerate(pairs[:120]):
        given = Feedback(
            feedback_id=f"f{number}",
            suggestion_id=suggestion.suggestion_id,
            ticket_id=ticket.ticket_id,
            action="corrected" if number < 60 else "accepted",
            at=at,
            contact_type="refund" if number < 60 else None,
        )
        record_feedback(engine, given)
    requests = [LabelRequest(ticket=t, suggestion=s, share="random", priority=1.0) for t, s in pairs[120:]]
    label_queue.enqueue(engine, requests, at=at, run_id="night")
    for request in label_queue.claim(engine, "ada", at=at, count=60):
        label_queue.answer(engine, request.item_id, contact_type="refund", labeler="ada", at=at)
    period = period_of(at.date(), 1)
    judged, labelled = read_judged(engine, *period, today=TREE), read_labelled(engine, *period, today=TREE)
    assert (len(judged), len(labelled)) == (120, 60)
    shares = {
        name: figure and (figure.share, figure.tickets)
        for name, figure in {**feedback_figures(judged), **label_figures(labelled)}.items()
    }
    assert shares == {
        "acceptance": (0.5, 120),
        "accuracy_feedback": (0.0, 60),
        "hits_at_3": (0.0, 60),
        "accuracy_unaided": None,
        "accuracy_labels": (0.0, 60),
        "hits_at_3_labels": (0.0, 60),
    }
    window = read_reference(release)
    seen = replace(evidence_of(window, window), judged=judged, judged_before=judged, labelled=labelled)
    status = {result.detector: result.status for result in judge(detect(seen, POLICY), POLICY.limits)}
    assert status["feedback.acceptance"] == "ok"
    assert status["feedback.override"] == "unknown"  # the model was sure of none
