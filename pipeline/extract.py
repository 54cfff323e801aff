"""Extract: what the service and the labelers wrote, from the operational database into the lake, through Arrow.

A night takes every row up to the end of its day that no night has, and what the lake holds it never gives up: a rerun
adds, also where the database has been pruned since. So it leaves feedback and labels that can still be taken back to
the night after it. Tickets that came in through the service become raw rows, so that cleaning treats them like any
other.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from pipeline.lake import arrivals, count_rows, parts_of, replace_parts
from pipeline.steps import run_step
from tickets.feedback_log import feedback_between, suggestions_between
from tickets.label_answers import UNDO_WITHIN
from tickets.label_queue import labels_between
from tickets.manifests import Manifest
from tickets.progress import Report, silent
from tickets.tables import FEEDBACK, LABELS, RAW, SERVICE, SUGGESTIONS, TICKETS, Table
from tickets.workspace import Workspace

STEP = "extract"
_LATE = timedelta(days=1)  # a row may be committed after the night that its time belongs to
_BATCH = 5_000
_PART = re.compile(r"(\d{6})-")  # its number among the files that nights added to the day

Row = Mapping[str, Any]
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class _Log:
    table: Table
    key: str
    between: Callable[[sa.Engine, datetime, datetime], Iterator[Row]]


_SUGGESTED = _Log(SUGGESTIONS, "suggestion_id", suggestions_between)
_ANSWERED = (_Log(FEEDBACK, "feedback_id", feedback_between), _Log(LABELS, "label_id", labels_between))


def extract(
    workspace: Workspace, engine: sa.Engine, *, as_of: date, report: Report = silent, now: datetime | None = None
) -> Manifest:
    """Add to `suggestions`, `feedback` and `labels` of `arrived=<as_of>`, and new tickets of the service to `raw`.

    The manifest counts what the day holds after it. Run again for the same date or an earlier one, it takes what has
    come in since and changes nothing else. `now` is the clock's time where none is given.
    """
    day = as_of.isoformat()
    over = datetime.combine(as_of + timedelta(days=1), time(), tzinfo=UTC)
    settled = min(over, (now or datetime.now(UTC)) - UNDO_WITHIN)
    with run_step(workspace, STEP, as_of, report) as step, workspace.aside(STEP) as aside:
        start = _start(workspace, SUGGESTIONS, as_of)
        suggested = _write_new(workspace, _SUGGESTED, _SUGGESTED.between(engine, start, over), start, aside)
        # Tickets before the suggestions they came with: a night that dies in between finds the suggestions again.
        step.counts["tickets"] = _keep_tickets(workspace, day, suggested, aside)
        _add(workspace, SUGGESTIONS, day, suggested)
        for log in _ANSWERED:
            start = _start(workspace, log.table, as_of)
            said = log.between(engine, start, settled)
            _add(workspace, log.table, day, _write_new(workspace, log, said, start, aside))
        for log in (_SUGGESTED, *_ANSWERED):
            if parts_of(workspace, log.table, day):
                step.wrote(log.table, day)
            step.counts[log.table.name] = count_rows(workspace.table_path(log.table) / f"arrived={day}")
        if step.counts["tickets"]:
            step.wrote(RAW, day)
        step.rows_out = sum(step.counts.values())
        step.summary = ", ".join(f"{count:,} {name}" for name, count in sorted(step.counts.items()))
    return step.done


def _write_new(workspace: Workspace, log: _Log, rows: Iterator[Row], start: datetime, aside: Path) -> Path | None:
    """A file with the rows, none older than `start`, that the lake lacks; None when there are none."""
    path = aside / f"{log.table.name}.parquet"
    new = _not_taken(workspace, log, rows, since=start.date().isoformat())
    return path if _write(path, log.table.schema, map(_flat, new)) else None


def _start(workspace: Workspace, table: Table, as_of: date) -> datetime:
    """The last earlier night may have run before its day was over, so its day is looked at again."""
    earlier = [day for day in arrivals(workspace, table, as_of) if day < as_of.isoformat()]
    if not earlier:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return datetime.combine(date.fromisoformat(earlier[-1]), time(), tzinfo=UTC) - _LATE


def _not_taken(workspace: Workspace, log: _Log, rows: Iterator[Row], *, since: str) -> Iterator[Row]:
    """The rows that no night holds. A row is taken by its own day's night or a later one, so older days are not
    read."""
    for batch in _batched(rows):
        taken = _present(workspace, log.table, log.key, [row[log.key] for row in batch], pc.field("arrived") >= since)
        yield from (row for row in batch if row[log.key] not in taken)


def _batched(rows: Iterable[_R]) -> Iterator[list[_R]]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch


def _present(
    workspace: Workspace, table: Table, column: str, values: Sequence[str], among: pc.Expression
) -> frozenset[str]:
    """Those of `values` that the table holds `among` its partitions."""
    if not values or not workspace.table_path(table).is_dir():
        return frozenset()
    found = workspace.read(table, [column], where=pc.field(column).isin(values) & among)
    return frozenset(found[column].to_pylist())


def _flat(row: Row) -> dict[str, Any]:
    """JSON columns become the text that the lake keeps."""
    return {
        name: json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict) else value
        for name, value in row.items()
    }


def _write(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> int:
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batched(rows):
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
            count += len(batch)
    return count


def _add(workspace: Workspace, table: Table, day: str, path: Path | None) -> None:
    """One more file in the day's partition, numbered above those that are there: a file may have left since."""
    if path is None:
        workspace.table_path(table).mkdir(parents=True, exist_ok=True)  # an empty table has been written too
        return
    numbers = (int(found[1]) for part in parts_of(workspace, table, day) if (found := _PART.match(part.name)))
    replace_parts(workspace, table, day, prefix=f"{max(numbers, default=-1) + 1:06d}-", parts=[path])


def _keep_tickets(workspace: Workspace, day: str, suggested: Path | None, aside: Path) -> int:
    """Make the day's raw rows of the service anew: a ticket each that got a suggestion and that no earlier day has."""
    sources = [*parts_of(workspace, SUGGESTIONS, day), *([suggested] if suggested else [])]
    path = aside / "service.parquet"
    count = _write(path, RAW.schema, _ticket_rows(workspace, day, sources))
    replace_parts(workspace, RAW, day, prefix=f"{SERVICE}-", parts=[path] if count else [])
    return count


def _ticket_rows(workspace: Workspace, day: str, sources: Sequence[Path]) -> Iterator[dict[str, Any]]:
    wanted: set[str] = set()
    for path in sources:
        wanted.update(pq.read_table(path, columns=["ticket_id"])["ticket_id"].to_pylist())
    # Later days do not count, so that a rerun of an old day finds what its own night found.
    seen = set(_present(workspace, TICKETS, "ticket_id", sorted(wanted), pc.field("arrived") < day))
    number = 0
    for path in sources:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH, columns=["ticket_id", "ticket"]):
            for row in batch.to_pylist():
                # A service that keeps no words (TRIAGE_PRIVACY__KEEP_TEXT) leaves a ticket nothing to learn from.
                if row["ticket_id"] in seen or not json.loads(row["ticket"])["body"]:
                    continue
                seen.add(row["ticket_id"])
                number += 1
                yield {"source": SERVICE, "row": number, "fields": row["ticket"], "split": None, "problem": None}
