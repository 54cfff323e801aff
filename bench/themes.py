"""New themes, measured: how often a quiet night has one, how often a new kind of ticket is found, how pure, how whole.

    python bench/themes.py --workspace demo [--quick]

The workspace is one that `make demo` left: its oldest model has never seen the scooters that the simulated company
launches later. Quiet tickets and tickets about scooters are simulated, read by that model once, and drawn into windows:
a quiet night compares two draws of quiet tickets, another night has a share of scooters in the later one.

Figures: theme_false_alarm_rate with theme_quiet_nights; for windows of 200, 500 and 2,000 tickets and shares of 5 and
10 % theme_power_<share>pct_<size>, theme_purity_<share>pct_<size> (of the tickets found, those about scooters) and
theme_recall_<share>pct_<size> (of the scooters, those found); theme_seconds_2000 for one night.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import sys
import time
from collections.abc import Iterable
from pathlib import Path

# This folder comes last: it holds a pipeline.py, and `pipeline` must mean the package.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import numpy as np
from bench_record import record

from models.release import open_release, versions
from models.suggest import Suggester
from monitoring.current import Logged, Period, look_at
from monitoring.themes import find_themes
from monitoring.windows import Window, joined
from tickets.records import Suggestion
from tickets.simulate import SimulatedTicket, SimulationConfig, new_product, simulate
from tickets.workspace import Workspace

START = dt.date(2026, 9, 7)
_REFERENCE = 1000
_SIZES, _SHARES = (200, 500, 2000), (0.05, 0.10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=Path("demo"))
    parser.add_argument("--quick", action="store_true", help="fewer tickets and nights")
    given = parser.parse_args()
    started = time.perf_counter()
    workspace = Workspace.open(given.workspace)
    reads = Suggester.load(open_release(workspace.models / versions(workspace)[0]))
    quiet_tickets, nights, draws = (3000, 40, 10) if given.quick else (4000, 200, 40)
    quiet = _read(reads, _quiet(quiet_tickets))
    scooters = _read(reads, _scooters(400))
    print(f"{len(quiet)} quiet tickets and {len(scooters)} about scooters read", flush=True)
    figures = _false_alarms(quiet, nights)
    print(figures, flush=True)
    for size in _SIZES:
        for share in _SHARES:
            figures |= _power(quiet, scooters, size=size, share=share, draws=draws)
            print(figures, flush=True)
    record("themes", figures | {"quick": given.quick}, seconds=time.perf_counter() - started)


def _false_alarms(quiet: Window, nights: int) -> dict[str, float]:
    alarms = 0
    for night in range(nights):
        rows = np.random.default_rng(night).permutation(len(quiet))
        before, now = quiet.take(rows[:_REFERENCE]), quiet.take(rows[_REFERENCE : 2 * _REFERENCE])
        alarms += bool(find_themes(before, _unlabelled(now), overridden={}))
    return {"theme_false_alarm_rate": alarms / nights, "theme_quiet_nights": nights}


def _power(quiet: Window, scooters: Window, *, size: int, share: float, draws: int) -> dict[str, float]:
    found, right, named, there, seconds = 0, 0, 0, 0, 0.0
    for draw in range(draws):
        rng = np.random.default_rng(1000 + draw)
        rows, new = rng.permutation(len(quiet)), rng.permutation(len(scooters))[: round(share * size)]
        before = quiet.take(rows[:_REFERENCE])
        now = _unlabelled(joined([quiet.take(rows[_REFERENCE:][: size - len(new)]), scooters.take(new)]))
        clock = time.perf_counter()
        themes = find_themes(before, now, overridden={})
        seconds += time.perf_counter() - clock
        inside = {row for theme in themes for row in theme.rows.tolist()}
        about = [row for row in inside if row >= len(now) - len(new)]
        found += any(np.mean(theme.rows >= len(now) - len(new)) > 0.5 for theme in themes)
        right, named, there = right + len(about), named + len(inside), there + len(new)
    name = f"{round(100 * share)}pct_{size}"
    return {
        f"theme_power_{name}": found / draws,
        f"theme_purity_{name}": round(right / named, 3) if named else 0.0,
        f"theme_recall_{name}": round(right / there, 3),
        f"theme_seconds_{size}": round(seconds / draws, 2),
    }


def _read(reads: Suggester, simulated: Iterable[SimulatedTicket]) -> Window:
    """What the model sees of tickets, with their true contact types."""
    truth = {one.ticket.ticket_id: one.true_contact_type for one in simulated}
    tickets = [one.ticket for one in simulated]
    logged = tuple(Logged(ticket, _no_suggestion(ticket.ticket_id, ticket.created_at)) for ticket in tickets)
    window, _ = look_at(Period(tickets[0].created_at, tickets[-1].created_at, len(tickets), logged), reads)
    return dataclasses.replace(window, contact_types=tuple(truth[ticket_id] for ticket_id in window.ticket_ids))


def _no_suggestion(ticket_id: str, at: dt.datetime) -> Suggestion:
    return Suggestion(
        suggestion_id=ticket_id, ticket_id=ticket_id, model_version="", created_at=at, contact_types=(), templates=()
    )


def _quiet(count: int) -> list[SimulatedTicket]:
    config = SimulationConfig(seed=41, start=START, days=7, tickets_per_day=count // 6)
    return [one for day in simulate(config) for one in day.tickets][:count]


def _scooters(count: int) -> list[SimulatedTicket]:
    event = new_product(START, share=0.9)
    config = SimulationConfig(seed=42, start=START, days=4, tickets_per_day=count // 3, events=(event,))
    drawn = [one for day in simulate(config) for one in day.tickets]
    return [one for one in drawn if one.true_contact_type in event.contact_types][:count]


def _unlabelled(window: Window) -> Window:
    return dataclasses.replace(window, contact_types=())


if __name__ == "__main__":
    main()
