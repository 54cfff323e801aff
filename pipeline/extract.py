"""Extract: what the service and the labelers wrote, from the operational database into the lake, through Arrow.

A night takes every row up to the end of its day that no other night has. Tickets that came in through the service
become raw rows, so that cleaning treats them like any other.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from pipeline.lake import arrivals, replace_parts
from pipeline.steps import Report, run_step, silent
from tickets.feedback_log import feedback_between, suggestions_between
from tickets.label_queue import labels_between
from tickets.manifests import Manifest
from tickets.tables import FEEDBACK, LABELS, RAW, SERVICE, SUGGESTIONS, TICKETS, Table
from tickets.workspace import Workspace

STEP = "extract"
_LATE = timedelta(days=1)  # a row may be committed after the night that its time belongs to
_BATCH = 5_000

Row = Mapping[str, Any]
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class _Log:
    table: Table
    key: str
    between: Callable[[sa.Engine, datetime, datetime], Iterator[Row]]


_LOGS = (
    _Log(SUGGESTIONS, "suggestion_id", suggestions_between),
    _Log(FEEDBACK, "feedback_id", feedback_between),
    _Log(LABELS, "label_id", labels_between),
)


def extract(workspace: Workspace, engine: sa.Engine, *, as_of: date, report: Report = silent) -> Manifest:
    """Write `suggestions`, `feedback` and `labels` of `arrived=<as_of>`, and new tickets of the service to `raw`.

    Run it again for the same date and the partition is made anew, with what has come in since.
    """
    day = as_of.isoformat()
    with run_step(workspace, STEP, as_of, report) as step, workspace.aside(STEP) as aside:
        for log in _LOGS:
            path = aside / f"{log.table.name}.parquet"
            rows = _not_taken(
                workspace, log, day, log.between(engine, _start(workspace, log.table, as_of), _end(as_of))
            )
            count = _write(path, log.table.schema, map(_flat, rows))
            replace_parts(workspace, log.table, day, prefix="", parts=[path] if count else [])
            step.counts[log.table.name] = count
        step.counts["tickets"] = _keep_tickets(workspace, day, aside)
        step.summary = ", ".join(f"{count:,} {name}" for name, count in step.counts.items())
    return step.done


def _start(workspace: Workspace, table: Table, as_of: date) -> datetime:
    """The last earlier night may have run before its day was over, so its day is looked at again."""
    earlier = [day for day in arrivals(workspace, table, as_of) if day < as_of.isoformat()]
    if not earlier:
        return datetime(1970, 1, 1, tzinfo=UTC)
    return datetime.combine(date.fromisoformat(earlier[-1]), time(), tzinfo=UTC) - _LATE


def _end(as_of: date) -> datetime:
    return datetime.combine(as_of + timedelta(days=1), time(), tzinfo=UTC)


def _not_taken(workspace: Workspace, log: _Log, day: str, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows that no other night holds."""
    for batch in _batched(rows):
        taken = _present(workspace, log.table, log.key, [row[log.key] for row in batch], other_than=day)
        yield from (row for row in batch if row[log.key] not in taken)


def _batched(rows: Iterable[_R]) -> Iterator[list[_R]]:
    remaining = iter(rows)
    while batch := list(itertools.islice(remaining, _BATCH)):
        yield batch


def _present(workspace: Workspace, table: Table, column: str, values: list[str], *, other_than: str) -> set[str]:
    """Those of `values` that the table holds in a partition other than that of the given day."""
    if not workspace.table_path(table).is_dir():
        return set()
    wanted = pc.field(column).isin(values) & (pc.field("arrived") != other_than)
    return set(workspace.read(table, [column], where=wanted)[column].to_pylist())


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


def _keep_tickets(workspace: Workspace, day: str, aside: Path) -> int:
    """Tickets of this night's suggestions that no earlier day has, each once, as raw rows of the service."""
    path = aside / "service.parquet"
    count = _write(path, RAW.schema, _ticket_rows(workspace, day))
    replace_parts(workspace, RAW, day, prefix=f"{SERVICE}-", parts=[path] if count else [])
    return count


def _ticket_rows(workspace: Workspace, day: str) -> Iterator[dict[str, Any]]:
    folder = workspace.table_path(SUGGESTIONS) / f"arrived={day}"
    seen: set[str] = set()
    number = 0
    for path in sorted(folder.glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=_BATCH, columns=["ticket_id", "ticket"]):
            rows = batch.to_pylist()
            known = _present(workspace, TICKETS, "ticket_id", [row["ticket_id"] for row in rows], other_than=day)
            for row in rows:
                if row["ticket_id"] in known or row["ticket_id"] in seen:
                    continue
                seen.add(row["ticket_id"])
                number += 1
                yield {"source": SERVICE, "row": number, "fields": row["ticket"], "split": None, "problem": None}
