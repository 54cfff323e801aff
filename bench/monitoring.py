"""Monitoring: how often it is wrong, what it notices and how soon, how well it guesses accuracy, what a night costs.

    python bench/monitoring.py [--quick] [--only false_alarms,power,power_elsewhere,accuracy,night]

Needs public data (bench/public_data.py). Two histories are watched (bench/watched.py): the simulated
company with 500 tickets a day, and CFPB complaints. Nights are those of `run_night` with its default windows: the
fewest days that bring 500 tickets, seven at most. So 500 tickets a night are a window of one day, 200 are three days,
and about 17, which is what CFPB brings, are a week. Everything goes through the job's own functions: detectors, A/A
limits, Holm, least effects, persistence (2 of 3 nights).

false_alarm_rate: share of nights on which any detector would raise an alarm though nothing was done, over months whose
days (reference and nights alike) are drawn from quiet history, each weekday in its place. `_in_order` keeps CFPB's
calendar: what truly changed in those months counts as false. `_evidently` is the verdict of Evidently's DataDriftPreset
with its defaults (half of the columns drifted) on every third of the same nights, without persistence, which it does
not have; `_evidently_any_column` is how often it flags any column.

power_<share>pct_<tickets>: share of changes noticed within three nights of their first, over all kinds; each kind has
its own key, `_nights` tells how many it took. Injected shifts are that share of the tickets; with 10 % of 500 stand the
two real changes (complaints of 2023, the skewed file) as they came, all tickets of a night. `_mixed_in` is those two as
a tenth of the tickets. 0pct is what the same nights say when nothing is changed. Volume and agents' feedback take no
part: tickets alone must tell.

accuracy_estimate_error_points: median absolute error of the estimate without labels, in percentage points, on windows
of 500 tickets with 10 % and with all of them shifted; accuracy_estimate_unknown is how often it gives none.

night_seconds_100k, night_peak_mb: `run_night` on 100,000 suggestions of one day and 50,000 judgements, A/A limits and
Evidently's report included, in a process of its own (bench/night_100k.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# As a script this folder comes first, and its monitoring.py would hide the package of that name.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

from bench_record import record
from night_100k import night_figures
from parts import add_only
from quiet_months import POLICY, Watch, alarm_nights, evidently, quiet_month
from shifted_nights import Case, mixed_window, nights_to_detection
from watched import Watched, complaints, simulated

from models.intervals import share_of
from monitoring.accuracy_estimate import estimate_accuracy
from monitoring.policy import Limits, Policy
from monitoring.quiet_nights import days_of, shuffled_days
from monitoring.windows import Window

Figures = dict[str, float | int | str]
Mixing = tuple[Watched, Watch, Window, Mapping[str, Window]]

SIZES, SHARES = (200, 500, 2000), (0.05, 0.10)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much of each."""

    months: int  # of each history
    nights: int  # of a month
    draws: int  # of each kind of shift at 10 % and 500 tickets
    draws_elsewhere: int  # at other shares and sizes; 0: none
    evidently_draws: int
    tickets: int  # of the large night
    policy: Policy


@dataclass(frozen=True, slots=True)
class Cell:
    """A share of so many tickets a night, and how often it is drawn of each kind, for us and for Evidently."""

    tickets: int
    share: float
    draws: int
    evidently: int
    ending: str = ""

    @property
    def name(self) -> str:
        return f"power_{round(100 * self.share)}pct_{self.tickets}{self.ending}"


FULL = Effort(months=4, nights=30, draws=10, draws_elsewhere=4, evidently_draws=4, tickets=100_000, policy=POLICY)
QUICK = Effort(
    months=2,
    nights=10,
    draws=2,
    draws_elsewhere=0,
    evidently_draws=1,
    tickets=10_000,
    policy=dataclasses.replace(POLICY, limits=Limits(replays=60)),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="a fraction of the nights: shows that it works")
    add_only(arguments, PARTS)
    given = arguments.parse_args()
    effort, started, figures = QUICK if given.quick else FULL, time.perf_counter(), {"quick": given.quick}
    histories = [simulated(given.quick), complaints(given.quick)] if set(given.only) - {"night"} else []
    for name in given.only:
        clock = time.perf_counter()
        figures |= PARTS[name](histories, effort)
        figures[f"{name}_seconds"] = round(time.perf_counter() - clock, 1)
        print(f"{name}: {figures[f'{name}_seconds']} s", file=sys.stderr)
    name = "monitoring" if set(given.only) == set(PARTS) else "monitoring-part"
    record(name, figures, seconds=time.perf_counter() - started)


def false_alarms(histories: list[Watched], effort: Effort) -> Figures:
    figures: Figures = {}
    alarms: list[bool] = []
    theirs: list[tuple[bool, bool]] = []
    months: list[bool] = []
    for watched in histories:
        here: list[bool] = []
        for seed in range(effort.months):
            month, verdicts = _watch_month(watched, effort, seed=seed, in_order=False)
            print(f"{watched.name}, month {seed}: {sum(month)} of {len(month)} nights alarm", file=sys.stderr)
            here += month
            theirs += verdicts
            months.append(any(month))
        figures |= _rate(f"false_alarm_rate_{watched.name}", here)
        alarms += here
        if watched.name == "cfpb":
            month, _ = _watch_month(watched, effort, seed=0, in_order=True)
            figures |= _rate("false_alarm_rate_in_order", month)
    return (
        _rate("false_alarm_rate", alarms)
        | figures
        | _rate("false_alarm_rate_evidently", [dataset for dataset, _ in theirs])
        | _rate("false_alarm_rate_evidently_any_column", [column for _, column in theirs])
        | _rate("months_with_a_false_alarm", months)
    )


def _watch_month(
    watched: Watched, effort: Effort, *, seed: int, in_order: bool
) -> tuple[list[bool], list[tuple[bool, bool]]]:
    """Whether each night had an alarm; and, of every third, Evidently's verdicts."""
    watch, nights = quiet_month(watched, effort.policy, nights=effort.nights, seed=seed, in_order=in_order)
    drifted, verdicts = [], []
    for number, night in enumerate(nights):
        drifted.append({result.detector for result in watch.judged(night) if result.drifted})
        if number % 3 == 0 and not in_order:
            verdicts.append(evidently(watch.evidence(night)))
    return alarm_nights(drifted, watch.policy.limits), verdicts


def power(histories: list[Watched], effort: Effort) -> Figures:
    """A tenth of 500 tickets a night, beside Evidently, and the nights on which nothing was mixed in."""
    watches = _watches(histories, effort)
    injected = [(one, watch, pool, one.shifts) for one, watch, pool in watches]
    changes = [(one, watch, pool, one.changes) for one, watch, pool in watches]
    nothing = [(one, watch, pool, {"nothing": pool}) for one, watch, pool in watches]
    return (
        _power_of(Cell(500, 0.10, effort.draws, effort.evidently_draws), injected, whole=changes)
        | _power_of(Cell(500, 0.10, effort.draws, 0, "_mixed_in"), changes)
        | _power_of(Cell(500, 0.0, effort.draws, 0), nothing)
    )


def power_elsewhere(histories: list[Watched], effort: Effort) -> Figures:
    """The other sizes and shares."""
    injected = [(one, watch, pool, one.shifts) for one, watch, pool in _watches(histories, effort)]
    figures: Figures = {}
    for size in SIZES:
        for share in SHARES:
            if effort.draws_elsewhere and (size, share) != (500, 0.10):
                figures |= _power_of(Cell(size, share, effort.draws_elsewhere, 0), injected)
    return figures


def _watches(histories: list[Watched], effort: Effort) -> list[tuple[Watched, Watch, Window]]:
    return [(one, Watch(reference, effort.policy), pool) for one, reference, pool in _halves(histories)]


def _power_of(cell: Cell, mixed: Sequence[Mixing], *, whole: Sequence[Mixing] = ()) -> Figures:
    """Noticed or not by kind, nights it took, and the same of Evidently for the first draws; `whole` are changes that
    all tickets belong to."""
    figures: Figures = {}
    ours: list[int | None] = []
    theirs: list[int | None] = []
    for share, mixings in ((cell.share, mixed), (1.0, whole)):
        for watched, watch, pool, kinds in mixings:
            for kind, shift in kinds.items():
                cases = [Case(pool, shift, share, cell.tickets, seed) for seed in range(cell.draws)]
                took = [nights_to_detection(watch, case, with_evidently=case.seed < cell.evidently) for case in cases]
                figures[f"{cell.name}_{watched.name}_{kind}"] = _share_seen([nights for nights, _ in took])
                ours += [nights for nights, _ in took]
                theirs += [nights for _, nights in took[: cell.evidently]]
    seen = [nights for nights in ours if nights is not None]
    figures[f"{cell.name}_nights"] = round(float(np.mean(seen)), 2) if seen else 0.0
    if theirs:
        figures |= {f"{cell.name}_evidently": _share_seen(theirs), f"{cell.name}_evidently_of": len(theirs)}
    return {cell.name: _share_seen(ours), f"{cell.name}_interval": _interval(ours)} | figures


def accuracy(histories: list[Watched], _effort: Effort) -> Figures:
    errors: list[float] = []
    unknown = asked = 0
    for watched, reference, pool in _halves(histories):
        for shift in (watched.shifts | watched.changes).values():
            for share in (0.1, 1.0):
                for seed in range(4):
                    window = mixed_window(Case(pool, shift, share=share, per_day=500, seed=seed))
                    guess, asked = _estimated(reference, window), asked + 1
                    unknown += guess is None
                    errors += [] if guess is None else [100 * abs(guess - float(window.correct.mean()))]
    return {
        "accuracy_estimate_error_points": round(float(np.median(errors)), 2) if errors else 100.0,
        "accuracy_estimate_error_points_p90": round(float(np.quantile(errors, 0.9)), 2) if errors else 100.0,
        "accuracy_estimate_unknown": round(unknown / asked, 4),
        "accuracy_estimate_windows": asked,
    }


def _estimated(reference: Window, current: Window) -> float | None:
    """The one place that knows what the estimate looks like."""
    estimate = estimate_accuracy(reference, current, least=50).estimate
    return None if estimate is None else estimate.share


def night(_histories: list[Watched], effort: Effort) -> Figures:
    return dict(night_figures(effort.tickets))


def _halves(histories: list[Watched]) -> Iterator[tuple[Watched, Window, Window]]:
    """A reference and a pool of other days of the same months: what differs between them is chance."""
    for watched in histories:
        rows = days_of(watched.quiet)
        order = shuffled_days(watched.quiet, np.random.default_rng(5))
        half = len(order) // 2
        parts = [np.sort(np.concatenate([rows[day] for day in some])) for some in (order[:half], order[half:])]
        yield watched, watched.quiet.take(parts[0]), watched.quiet.take(parts[1])


def _rate(name: str, found: list[bool]) -> Figures:
    share = share_of(sum(found), len(found))
    return {
        name: round(sum(found) / len(found), 4),
        f"{name}_interval": f"{share.low:.4f} to {share.high:.4f}",
        f"{name}_of": len(found),
    }


def _share_seen(took: list[int | None]) -> float:
    return round(sum(nights is not None for nights in took) / len(took), 4)


def _interval(took: list[int | None]) -> str:
    share = share_of(sum(nights is not None for nights in took), len(took))
    return f"{share.low:.4f} to {share.high:.4f}"


PARTS: dict[str, Callable[[list[Watched], Effort], Figures]] = {
    "false_alarms": false_alarms,
    "power": power,
    "power_elsewhere": power_elsewhere,
    "accuracy": accuracy,
    "night": night,
}

if __name__ == "__main__":
    main()
