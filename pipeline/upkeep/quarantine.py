"""The quarantine, looked at and emptied: which rows were refused and why, and what becomes of them after a fix."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.corrections import Corrected, Place, correct, fields_text
from tickets.errors import InputError
from tickets.manifests import (
    MADE_FROM,
    Manifest,
    file_hash,
    output_of,
    partition_name,
    read_manifest,
    write_manifest,
)
from tickets.tables import (
    FEATURES,
    IMPORTED_OUTCOMES,
    NEAR_DUPLICATES,
    OUTCOMES,
    PAIRS,
    QUARANTINE,
    RAW,
    SIGNATURES,
    SPLITS,
    TICKETS,
)
from tickets.workspace import Workspace

STEP = "replay"
_MADE_BY_DAY = (TICKETS, IMPORTED_OUTCOMES, FEATURES, SIGNATURES, NEAR_DUPLICATES)
_MADE_OF_ALL_DAYS = (OUTCOMES, SPLITS, PAIRS)  # of pairs, each day says too what it was drawn from
_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which refused rows are meant; None means any."""

    reason: str | None = None
    step: str | None = None
    day: str | None = None
    ids: frozenset[str] | None = None

    @property
    def filter(self) -> pc.Expression | None:
        """As a filter on QUARANTINE; `ids` are told row by row."""
        expression = None
        for name, wanted in (("reason", self.reason), ("step", self.step), ("arrived", self.day)):
            if wanted is not None:
                own = pc.field(name) == wanted
                expression = own if expression is None else expression & own
        return expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of the rows chosen: how many there were, how many left the quarantine, the days done again."""

    chosen: int
    left: int
    days: tuple[str, ...]
    corrected: Corrected | None = None


def quarantine_id(source: str, row: int, arrived: str, step: str) -> str:
    """The name of a refused row, the same after every rerun: 16 hexadecimal characters."""
    return hashlib.sha256("\x1f".join((source, str(row), arrived, step)).encode()).hexdigest()[:16]


def count_reasons(workspace: Workspace, chosen: Chosen) -> list[dict[str, Any]]:
    """How many rows each step refused for which reason: {step, reason, rows, first, last} (days), most rows first."""
    if not workspace.table_path(QUARANTINE).is_dir():
        return []
    if chosen.ids is not None:
        found = [{name: row[name] for name in ("step", "reason", "arrived")} for row in refused(workspace, chosen)]
        rows = pa.Table.from_pylist(found, schema=pa.schema([(name, pa.string()) for name in _COUNTED]))
    else:
        rows = workspace.read(QUARANTINE, list(_COUNTED), where=chosen.filter)
    counted = rows.group_by(["step", "reason"]).aggregate(
        [("arrived", "count"), ("arrived", "min"), ("arrived", "max")]
    )
    named = counted.rename_columns(["step", "reason", "rows", "first", "last"]).to_pylist()
    return sorted(named, key=lambda entry: (-entry["rows"], entry["step"], entry["reason"]))


def refused(workspace: Workspace, chosen: Chosen) -> Iterator[dict[str, Any]]:
    """The refused rows, whole, streamed: `id`, `arrived` and the columns of QUARANTINE, `fields` parsed. By day and
    file."""
    for day in workspace.partitions(QUARANTINE):
        if chosen.day not in (None, day):
            continue
        for path in sorted((workspace.table_path(QUARANTINE) / f"arrived={day}").glob("*.parquet")):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_BATCH):
                    yield from _chosen_rows(batch, day, chosen)


def replay(
    workspace: Workspace,
    *,
    as_of: date,
    chosen: Chosen,
    rerun: Callable[[], object],
    corrected: Path | None = None,
) -> Replayed:
    """Try refused rows again after a fix: `rerun`, which runs the pipeline, cleans the days they arrived on anew.

    The fix is in dataset.toml, the rules, the tree or the templates, or it is the rows themselves: `corrected` holds
    lines of `triage quarantine list --json` with `fields` mended, which enter `raw` beside the rows they correct. Doing
    the same again changes nothing. Raises InputError before anything changed.
    """
    mended = read_corrected(corrected) if corrected else {}
    if corrected and chosen == Chosen():
        chosen = Chosen(ids=frozenset(line["id"] for line in mended.values()))
    ids = {row["id"]: row["arrived"] for row in refused(workspace, chosen)}
    done = None
    if corrected:
        done = correct(workspace, {place: line["fields"] for place, line in mended.items()})
        _record(workspace, as_of, corrected, done)
    days = sorted({*ids.values(), *(done.days if done else ())})
    if days:
        forget(workspace, days)
        rerun()
    still = sum(row["id"] in ids for day in days for row in refused(workspace, Chosen(day=day)))
    return Replayed(chosen=len(ids), left=len(ids) - still, days=tuple(days), corrected=done)


def forget(workspace: Workspace, days: Collection[str]) -> None:
    """Have the next run make these days anew, and what follows from them, whether or not their rows have changed."""
    by_day = (partition_name(table, day) for table in _MADE_BY_DAY for day in days)
    for name in (*(table.name for table in _MADE_OF_ALL_DAYS), *by_day):
        (workspace.lake / name / MADE_FROM).unlink(missing_ok=True)


def read_corrected(path: Path) -> dict[Place, dict[str, Any]]:
    """The lines of a file of corrected rows by the place of their row. Raises InputError naming the line that is none,
    or whose row another line corrects too."""
    lines: dict[Place, dict[str, Any]] = {}
    try:
        written = path.read_text(encoding="utf-8").split("\n")  # texts may hold what `splitlines` takes for an end
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {path}: {error}.",
            hint="Name a file of lines that `triage quarantine list --json` printed, with `fields` mended.",
        ) from error
    for number, text in enumerate(written, start=1):
        if not text.strip():
            continue
        line = _line(text, number)
        place = Place(arrived=line["arrived"], source=line["source"], row=line["row"])
        if fields_text(lines.setdefault(place, line)["fields"]) != fields_text(line["fields"]):
            raise InputError(f"line {number} corrects a row that another line corrects too.", hint="Keep one of them.")
    return lines


_COUNTED = ("step", "reason", "arrived")
_HOW = "Take lines of `triage quarantine list --json` and change nothing but `fields`."


def _line(text: str, number: int) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except ValueError as error:
        raise InputError(f"line {number} is not valid JSON: {error}.", hint=_HOW) from error
    match line:
        case {"id": str(), "source": str(source), "row": int(row), "arrived": str(day), "step": str(step), **rest}:
            if line["id"] != quarantine_id(source, row, day, step):
                raise InputError(f"the id of line {number} does not belong to its row.", hint=_HOW)
            if isinstance(rest.get("fields"), dict):
                return dict(line)
    raise InputError(f"line {number} is no refused row with its fields.", hint=_HOW)


def _chosen_rows(batch: pa.RecordBatch, day: str, chosen: Chosen) -> Iterator[dict[str, Any]]:
    keep = pa.array([True] * batch.num_rows, pa.bool_())
    for name, wanted in (("reason", chosen.reason), ("step", chosen.step)):
        if wanted is not None:
            keep = pc.and_(keep, pc.equal(batch[name], wanted))
    for row in batch.filter(keep).to_pylist():
        identifier = quarantine_id(row["source"], row["row"], day, row["step"])
        if chosen.ids is None or identifier in chosen.ids:
            yield {"id": identifier, "arrived": day, **row, "fields": json.loads(row["fields"])}


def _record(workspace: Workspace, as_of: date, corrected: Path, done: Corrected) -> None:
    """A manifest that says which file corrected rows of which days; of several on one date, all of them."""
    earlier = read_manifest(workspace, STEP, as_of.isoformat())
    content = file_hash(corrected)
    source = f"{corrected.name}#{content[:12]}"
    counts = {"corrected": done.written, "unchanged": done.unchanged}
    if earlier and source in earlier.inputs and not done.written:
        return  # told already
    outputs = dict(earlier.outputs) if earlier else {}
    for day in done.days:
        name = partition_name(RAW, day)
        before = outputs[name].made_from if name in outputs else ()
        outputs[name] = output_of(workspace, RAW, day, made_from=tuple(sorted({*before, source})))
    write_manifest(
        workspace,
        Manifest(
            step=STEP,
            as_of=as_of.isoformat(),
            inputs={**(earlier.inputs if earlier else {}), source: content},
            counts={name: counts[name] + (earlier.counts.get(name, 0) if earlier else 0) for name in counts},
            outputs=outputs,
            rows_in=done.written + done.unchanged,
            rows_out=done.written,
        ),
    )
