"""What one night looks at: both windows, what agents said, how many tickets came. Gathered once, then handed to
detectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from monitoring.accuracy_estimate import accuracy_result, estimate_accuracy, window_signs
from monitoring.current import Logged, Reads, daily_tickets, days_needed, look_at, period_of, read_period
from monitoring.detectors import (
    attributes,
    confidence,
    domain_classifier,
    feedback,
    label_shift,
    mmd,
    predictions,
    text,
    volume,
    words,
)
from monitoring.performance import (
    EVER,
    Judged,
    accepted,
    audited_hits,
    editing,
    overridden_when_sure,
    read_judged,
    read_labelled,
)
from monitoring.policy import Policy
from monitoring.windows import Window, match_weekdays, read_reference, sample
from tickets.contact_types import ContactTypeTree
from tickets.monitor_log import DetectorResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`whole_reference` is the validation period as it was; `reference` its tickets on equal weekdays, sampled."""

    whole_reference: Window
    reference: Window
    weekdays_matched: bool
    current: Window
    logged: Sequence[Logged]  # the tickets of `current`, in its order
    judged: Sequence[Judged]  # feedback in the window on suggestions of this model
    judged_before: Sequence[Judged]  # the same for the days before the window
    judged_after: Sequence[Judged]  # feedback since the window began, on any model: whose answer is known already
    labelled: Sequence[Judged]  # labels of tickets of the last `window_days`, suggested for by this model: a night's
    # labels are answered after it, so a window of fewer days would never have any
    days: Mapping[date, int]
    days_before: Mapping[date, int]
    labelled_before: Sequence[Judged] = ()  # labels of tickets of the `history_days` before those


def gather(engine: sa.Engine, reads: Reads, *, as_of: date, policy: Policy, today: ContactTypeTree) -> Evidence:
    """Read everything of the night; what people said, as the tree of `today` has it. Raises ReleaseError when the
    reference cannot be read."""
    before, end = period_of(as_of, policy.window_days + policy.history_days)
    daily = daily_tickets(engine, before, end)
    days = days_needed(daily, as_of, tickets=policy.window_tickets, most=policy.window_days)
    start, _ = period_of(as_of, days)
    week, _ = period_of(as_of, policy.window_days)
    period = read_period(engine, start, end, size=policy.sample, seed=policy.seed)
    current, logged = look_at(period, reads)
    whole = read_reference(reads.release)
    matched, could = match_weekdays(whole, current, seed=policy.seed)

    def of_model(said: Sequence[Judged]) -> list[Judged]:
        return [item for item in said if item.model_version == reads.release.version]

    since = read_judged(engine, start, EVER, today=today)
    return Evidence(
        whole_reference=whole,
        reference=sample(matched, policy.sample, seed=policy.seed),
        weekdays_matched=could,
        current=current,
        logged=logged,
        judged=of_model([item for item in since if item.at < end]),
        judged_before=of_model(read_judged(engine, before, start, today=today)),
        judged_after=since,
        labelled=of_model(read_labelled(engine, week, end, today=today)),
        labelled_before=of_model(read_labelled(engine, before, week, today=today)),
        days={day: count for day, count in daily.items() if day >= start.date()},
        days_before={day: count for day, count in daily.items() if day < start.date()},
    )


def detect(evidence: Evidence, policy: Policy) -> list[DetectorResult]:
    """Every detector once. Their results are still to be judged together (monitoring.alarms.judge)."""
    return [
        *compare_windows(evidence, policy),
        _label_shift(evidence, policy),
        *_feedback(evidence, policy.least),
        volume.volume(evidence.days_before, evidence.days),
    ]


def compare_windows(evidence: Evidence, policy: Policy) -> list[DetectorResult]:
    """The detectors that test the current window against the reference: those that limits can be found for."""
    before, now, least = evidence.reference, evidence.current, policy.least
    drawn = {"seed": policy.seed, "permutations": policy.permutations, "least": least}
    return [
        domain_classifier.domain_classifier(before.embeddings, now.embeddings, ids=now.ticket_ids, **drawn),
        mmd.mmd(before.embeddings, now.embeddings, **drawn),
        accuracy_result(estimate_accuracy(evidence.whole_reference, now, least=least)),
        predictions.predicted_types(before.predicted, now.predicted, least=least),
        predictions.one_type(before.predicted, now.predicted, least=least),
        confidence.probability(before.probability, now.probability, least=least),
        confidence.out_of_scope(before.out_of_scope, now.out_of_scope, least=least),
        confidence.abstained(before.abstained, now.abstained, least=least),
        text.length(before.texts, now.texts, least=least),
        text.language(before.languages, now.languages, least=least),
        text.unseen_words(before.texts, now.texts, seed=policy.seed, least=least),
        words.word_shares(before.texts, now.texts, least=least),
        attributes.attribute_drift(before.attributes, now.attributes, seed=policy.seed, least=least),
    ]


def _label_shift(evidence: Evidence, policy: Policy) -> DetectorResult:
    before, now = evidence.reference, evidence.current
    small = min(len(before), len(now)) < policy.least
    return label_shift.label_shift(
        before.predicted,
        now.predicted,
        truth=before.contact_types,
        signs=None if small else window_signs(before, now),
        seed=policy.seed,
        least=policy.least,
    )


def _feedback(evidence: Evidence, least: int) -> list[DetectorResult]:
    earlier, now = evidence.judged_before, evidence.judged

    def flags(outcomes: Sequence[bool]) -> NDArray[np.bool_]:
        return np.array(outcomes, dtype=np.bool_)

    return [
        feedback.acceptance(
            flags(accepted(earlier)), flags(accepted(now)), right=evidence.whole_reference.correct, least=least
        ),
        feedback.override(flags(overridden_when_sure(earlier)), flags(overridden_when_sure(now)), least=least),
        feedback.hits_at_3(
            flags(audited_hits(evidence.labelled_before)), flags(audited_hits(evidence.labelled)), least=least
        ),
        feedback.edit_distance(np.array(editing(earlier)), np.array(editing(now)), least=least),
    ]
