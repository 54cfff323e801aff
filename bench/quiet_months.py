"""Quiet months for bench/monitoring.py: a reference and the nights after it, judged as the job judges them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import warnings
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

import numpy as np
from watched import Watched

from monitoring.alarms import judge
from monitoring.current import days_needed
from monitoring.evidence import Evidence, detect
from monitoring.limits import bucket, days_in, limits_for
from monitoring.performance import Judged
from monitoring.policy import Limits, Policy
from monitoring.quiet_nights import days_of, shuffled_days
from monitoring.reports import comparable, frame
from monitoring.windows import Window, match_weekdays, sample
from tickets.limit_log import DetectorLimits
from tickets.monitor_log import DetectorResult

POLICY = Policy(permutations=999, evidently=False)
_JUDGED = 0.5  # of tickets
_AGENTS_ERR = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What a night looks at beside the reference."""

    current: Window
    judged: Sequence[Judged] = ()
    judged_before: Sequence[Judged] = ()
    days: Mapping[dt.date, int] = field(default_factory=dict)
    days_before: Mapping[dt.date, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watch:
    """A reference, and the limits that were computed for it, by window."""

    reference: Window
    policy: Policy
    kept: dict[tuple[int, int], DetectorLimits | str] = field(default_factory=dict)

    def evidence(self, night: Night) -> Evidence:
        matched, could = match_weekdays(self.reference, night.current, seed=self.policy.seed)
        return Evidence(
            whole_reference=self.reference,
            reference=sample(matched, self.policy.sample, seed=self.policy.seed),
            weekdays_matched=could,
            current=night.current,
            logged=(),
            judged=night.judged,
            judged_before=night.judged_before,
            judged_after=night.judged,
            labelled=(),
            days=night.days,
            days_before=night.days_before,
        )

    def judged(self, night: Night) -> list[DetectorResult]:
        evidence = self.evidence(night)
        key = days_in(night.current), bucket(len(night.current))
        if key not in self.kept:
            self.kept[key] = limits_for(evidence, self.policy, self.reference)
        limits = self.kept[key]
        found = limits if isinstance(limits, DetectorLimits) else None
        return judge(detect(evidence, self.policy), self.policy.limits, found)


def quiet_month(
    watched: Watched, policy: Policy, *, nights: int, seed: int, in_order: bool
) -> tuple[Watch, Iterator[Night]]:
    """A reference of `reference_days` and the nights that follow. Out of order, all days are drawn anew, each weekday
    in its place; in order, the nights are all that the history has."""
    rng = np.random.default_rng(seed)
    quiet = watched.quiet if in_order else _on_other_days(watched.quiet, rng)
    first = min(quiet.created_at).date()
    days = [(first + dt.timedelta(days=number), rows) for number, rows in enumerate(days_of(quiet))]
    start = watched.reference_days + POLICY.window_days - 1
    stop = len(days) if in_order else min(len(days), start + nights)
    reference = quiet.take(np.sort(np.concatenate([there for _, there in days[: watched.reference_days]])))
    said = _agents(quiet, rng)

    def drawn() -> Iterator[Night]:
        for last in range(start, stop):
            yield _night(quiet, days[: last + 1], said)

    return Watch(reference, policy), drawn()


def _on_other_days(window: Window, rng: np.random.Generator) -> Window:
    """The same tickets with their days in a new order, each on its weekday."""
    rows, moved = days_of(window), list(window.created_at)
    for place, day in enumerate(shuffled_days(window, rng).tolist()):
        for row in rows[day].tolist():
            moved[row] += dt.timedelta(days=place - day)
    return dataclasses.replace(window, created_at=tuple(moved))


def _night(quiet: Window, days: list[tuple[dt.date, np.ndarray]], said: Mapping[int, Judged]) -> Night:
    as_of = days[-1][0]
    counts = {day: len(rows) for day, rows in days}
    length = days_needed(counts, as_of, tickets=POLICY.window_tickets, most=POLICY.window_days)
    there = [row for _, rows in days[-length:] for row in rows.tolist()]
    past = days[:-length][-POLICY.history_days :]
    end = dt.datetime.combine(as_of + dt.timedelta(days=1), dt.time(), dt.UTC)
    current = sample(quiet.take(np.array(sorted(there), dtype=np.int64)), POLICY.sample, seed=POLICY.seed)
    return Night(
        current=dataclasses.replace(current, start=end - dt.timedelta(days=length), end=end),
        judged=[said[row] for row in there if row in said],
        judged_before=[said[row] for _, rows in past for row in rows.tolist() if row in said],
        days=dict(list(counts.items())[-length:]),
        days_before={day: len(rows) for day, rows in past},
    )


def _agents(window: Window, rng: np.random.Generator) -> dict[int, Judged]:
    """What agents say of half the tickets: by row. They accept what is right, and err now and then."""
    judged = {}
    for row in np.flatnonzero(rng.random(len(window)) < _JUDGED).tolist():
        right = window.predicted[row] == window.contact_types[row]
        took = right != bool(rng.random() < _AGENTS_ERR)
        judged[row] = Judged(
            ticket_id=window.ticket_ids[row],
            at=window.created_at[row],
            model_version="watched",
            action="accepted" if took else "corrected",
            contact_type=window.contact_types[row],
            suggested=(window.predicted[row],),
        )
    return judged


def alarm_nights(drifted: Sequence[Set[str]], limits: Limits) -> list[bool]:
    """Whether each night with enough nights before it would have an alarm, raised then or standing."""
    found = []
    for last in range(limits.of - 1, len(drifted)):
        before = drifted[last - limits.of + 1 : last]
        found.append(any(1 + sum(name in night for night in before) >= limits.persist for name in drifted[last]))
    return found


def evidently(evidence: Evidence) -> tuple[bool, bool]:
    """Evidently's DataDriftPreset as it comes: whether it calls the table drifted, and whether any column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    before, after = frame(evidence.reference), frame(evidence.current)
    numeric, categorical = comparable(before, after)
    kinds = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    columns = [*numeric, *categorical]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snapshot = Report([DataDriftPreset()]).run(
            Dataset.from_pandas(after[columns], data_definition=kinds),
            Dataset.from_pandas(before[columns], data_definition=kinds),
        )
    (counted,) = [row["value"] for row in snapshot.dict()["metrics"] if row["metric_name"].startswith("DriftedColumns")]
    return counted["share"] >= 0.5, counted["count"] > 0
