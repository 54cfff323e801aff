"""One large night for bench/monitoring.py: a small real release, a database full of suggestions, `run_night`.

    python bench/night_100k.py make FOLDER TICKETS        # the workspace and its database
    python bench/night_100k.py watch FOLDER TICKETS       # the night, then the next one; prints JSON

Each step is a process of its own, so that the peak of memory is the night's. The texts are BANKING77's questions; the
release is MiniLM in int8 with a head learned in one pass, and its validation period is spread over four weeks.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# As a script this folder comes first, and its monitoring.py would hide the package of that name.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import banking77
import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from bench_record import peak_mb
from promoted import promoted_workspace
from public_data import BANKING77

from models.config import TrainConfig
from models.encoder import load_tokenizer
from models.release import current_release
from models.suggest import Suggester
from monitoring.night import run_night
from pipeline.text.clean import clean_ticket
from tickets.database import feedback, open_database, suggestions
from tickets.feedback_log import suggestion_columns
from tickets.records import Ticket, to_json
from tickets.workspace import Workspace

_CONFIG = TrainConfig(epochs=1, trainable_layers=0, max_tokens=64)
_MONDAY = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)  # of the validation period
_DAYS = 28
_NIGHT = dt.date(2026, 4, 6)
_AT_ONCE = 5_000  # rows


def night_figures(tickets: int) -> dict[str, float | int]:
    with tempfile.TemporaryDirectory() as folder:
        for step in ("make", "watch"):
            command = [sys.executable, __file__, step, folder, str(tickets)]
            told = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    found: dict[str, float | int] = json.loads(told.splitlines()[-1])
    return found


def make(folder: Path, tickets: int) -> None:
    workspace = _workspace(folder, quick=tickets < 100_000)
    _fill(workspace, tickets)


def watch(folder: Path, tickets: int) -> None:
    workspace = Workspace(folder / "workspace")
    engine = open_database(workspace.default_database_url)
    seconds = []
    for look in (1, 2):  # the second finds the limits that the first has kept
        clock = time.perf_counter()
        night = run_night(workspace, engine, as_of=_NIGHT)
        seconds.append(round(time.perf_counter() - clock, 1))
        print(night.run.summary["limits"], night.run.summary["drifted"], file=sys.stderr)
        if look == 1:
            with engine.connect() as connection:
                limits_took = connection.execute(sa.text("SELECT sum(seconds) FROM detector_limits")).scalar() or 0.0
    print(
        json.dumps(
            {
                "night_seconds_100k": seconds[0],
                "night_limits_seconds": round(limits_took, 1),
                "night_seconds_100k_limits_kept": seconds[1],
                "night_peak_mb": peak_mb(),
                "night_tickets": tickets,
            }
        )
    )


def _workspace(folder: Path, *, quick: bool) -> Workspace:
    """A workspace with a promoted release that knows BANKING77's intents."""
    asked, test = (banking77.questions(BANKING77, part) for part in ("train", "test"))
    validation, rest = banking77.drawn(asked, 40, seed=17)
    train, _ = banking77.drawn(rest, 15 if quick else 60, seed=18)
    tokenizer = load_tokenizer(_CONFIG.encoder, _CONFIG.max_tokens)
    data = banking77.data_of(train, validation, test[:500], tokenizer, _CONFIG, spread=_spread)
    return promoted_workspace(folder, data, _CONFIG)


def _spread(rows: pa.Table) -> pa.Table:
    """The same examples, as many on each of four weeks' days."""
    times = [_MONDAY + dt.timedelta(days=number % _DAYS, hours=9) for number in range(len(rows))]
    place = rows.schema.get_field_index("created_at")
    return rows.set_column(place, rows.schema.field(place), pa.array(times, rows.schema.field(place).type))


def _fill(workspace: Workspace, tickets: int) -> None:
    """Suggestions on one day for so many tickets, a hundred on each day before, and agents' word on half of them."""
    texts = [text for text, _ in banking77.questions(BANKING77, "train")]
    suggester = Suggester.load(current_release(workspace), threads=2)
    some = [
        clean_ticket(Ticket(ticket_id=f"t{n}", created_at=_MONDAY, body=texts[n * 3]), ("en",)) for n in range(1000)
    ]
    said = suggester.suggest_cleaned(some)
    rng = np.random.default_rng(3)
    rows, judged = [], []
    for number in range(-100 * 35, tickets):
        day = _NIGHT + dt.timedelta(days=min(number, 0) // 100)
        at = dt.datetime.combine(day, dt.time(9), dt.UTC) + dt.timedelta(milliseconds=int(rng.integers(36_000_000)))
        which = int(rng.integers(len(some)))
        ticket = dataclasses.replace(
            some[which], ticket_id=f"n{number}", created_at=at, body=texts[int(rng.integers(len(texts)))]
        )
        made = dataclasses.replace(said[which], suggestion_id=f"s{number}", ticket_id=ticket.ticket_id, created_at=at)
        rows.append({**suggestion_columns(ticket, made), "ticket": to_json(ticket), "suggestion": to_json(made)})
        if number % 2:
            judged.append(_judgement(made.suggestion_id, ticket.ticket_id, at, accepted=bool(rng.random() < 0.8)))
    engine = open_database(workspace.default_database_url)
    with engine.begin() as connection:
        for table, values in ((suggestions, rows), (feedback, judged)):
            for start in range(0, len(values), _AT_ONCE):
                connection.execute(sa.insert(table), values[start : start + _AT_ONCE])
    engine.dispose()


def _judgement(suggestion_id: str, ticket_id: str, at: dt.datetime, *, accepted: bool) -> dict[str, object]:
    return {
        "feedback_id": f"f-{suggestion_id}",
        "suggestion_id": suggestion_id,
        "ticket_id": ticket_id,
        "action": "accepted" if accepted else "corrected",
        "at": at + dt.timedelta(minutes=5),
        "contact_type": None if accepted else "card arrival",
    }


if __name__ == "__main__":
    step, given_folder, given_tickets = sys.argv[1:]
    {"make": make, "watch": watch}[step](Path(given_folder), int(given_tickets))
