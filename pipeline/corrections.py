"""Corrections: rows that people mended, in `raw` beside the rows they stand for. Nothing is overwritten.

A correction lies in the day of the row it corrects, under the same source and row, and names it by `raw_id`, a hash
that takes in what that row itself corrected. So corrections form chains and never circles, whatever the text goes back
to, and which row is in force depends on no order of files. Only the last row of a chain is in force; `clean` reads
those alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake import parts_of, replace_parts
from pipeline.text.clean import Refused, clean_ticket
from pipeline.units import Unit, read_unit
from tickets.errors import InputError
from tickets.records import ticket_from_json
from tickets.tables import RAW, SERVICE
from tickets.workspace import Workspace

PREFIX = "corrected-"  # of the parts in RAW; the number and the hash of the content follow
_PART = re.compile(rf"{PREFIX}(\d{{6}})-")
_SCHEMA = RAW.schema.append(pa.field("corrects", pa.string(), nullable=False))  # raw_id of the row it stands for
_NAMES = RAW.schema.names
_KEY = ["source", "row"]
_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a raw row stands."""

    arrived: str
    source: str
    row: int


@dataclass(frozen=True, slots=True)
class Corrected:
    """What `correct` did: rows written now, rows that said the same already, and the days in which rows changed."""

    written: int
    unchanged: int
    days: tuple[str, ...]


def raw_id(source: str, row: int, fields: str, corrects: str | None = None) -> str:
    """The name of a raw row within its day: 32 hexadecimal characters."""
    return hashlib.sha256("\x1f".join((source, str(row), corrects or "", fields)).encode()).hexdigest()[:32]


def fields_text(fields: Mapping[str, Any]) -> str:
    """Fields as RAW keeps them: equal fields are equal text. Half characters, which no table can hold, become `?`."""
    written = json.dumps(dict(fields), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return written.encode("utf-8", "replace").decode()


def out_of_force(workspace: Workspace, days: Iterable[str]) -> frozenset[str]:
    """The ids of the rows that `clean` passes over: those that a correction stands for, and corrections of rows that
    were imported anew since. Empty, and for nothing, where there are no corrections."""
    gone: set[str] = set()
    for day in days:
        corrected = [path for path in parts_of(workspace, RAW, day) if path.name.startswith(PREFIX)]
        places = {_place(day, row) for path in corrected for row in pq.read_table(path, columns=_KEY).to_pylist()}
        rows = {row["id"]: row for row in _stored(workspace, day, places)} if places else {}
        for identifier, row in rows.items():
            if row["corrects"] is not None:
                gone.add(row["corrects"] if _reaches_a_source(rows, identifier) else identifier)
    return frozenset(gone)


def read_in_force(unit: Unit, gone: frozenset[str]) -> Iterator[tuple[str, pa.Table]]:
    """The unit's rows of RAW, row group by row group, each with the name of its file, without the rows in `gone`."""
    if not gone:
        yield from read_unit(unit, _NAMES)
        return
    for name, rows in read_unit(unit, [*_NAMES, "corrects"]):
        kept = [identifier not in gone for identifier in _ids(rows)]
        yield name, rows.select(_NAMES).filter(pa.array(kept, pa.bool_()))


def correct(workspace: Workspace, corrections: Mapping[Place, Mapping[str, Any]]) -> Corrected:
    """Keep mended rows, `fields` by place; rows whose fields say the same already are left as they are, so doing it
    twice changes nothing. Raises InputError, before anything is written, when a place holds no row or its fields can be
    no ticket's."""
    by_day: dict[str, dict[Place, Mapping[str, Any]]] = defaultdict(dict)
    for place, fields in corrections.items():
        by_day[place.arrived][place] = fields
    unchanged = 0
    changed: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for day, own in sorted(by_day.items()):
        found = _in_force(workspace, day, own)
        if missing := sorted((place.source, place.row) for place in own.keys() - found.keys()):
            source, row = missing[0]
            raise InputError(
                f"row {row} of {source!r} is not among the raw rows of {day}.",
                hint="Only source rows can be corrected; mend feedback and labels through the contact-type tree or "
                "a new label.",
            )
        for place, fields in sorted(own.items(), key=lambda item: (item[0].source, item[0].row)):
            _refuse_malformed(place, fields)
            if fields_text(json.loads(found[place]["fields"])) == fields_text(fields):
                unchanged += 1
            else:
                changed[day].append(_correction(found[place], fields))
    for day, rows in changed.items():
        _put(workspace, day, rows)
    return Corrected(sum(map(len, changed.values())), unchanged, tuple(changed))


def _in_force(workspace: Workspace, day: str, places: Iterable[Place]) -> dict[Place, dict[str, Any]]:
    gone = out_of_force(workspace, [day])
    return {_place(day, row): row for row in _stored(workspace, day, set(places)) if row["id"] not in gone}


def _stored(workspace: Workspace, day: str, places: set[Place]) -> Iterator[dict[str, Any]]:
    """The rows of the given places, corrections and what they correct alike, streamed."""
    sources = pa.array(sorted({place.source for place in places}), pa.string())
    numbers = pa.array(sorted({place.row for place in places}), pa.int64())
    for path in parts_of(workspace, RAW, day):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=[*_NAMES, "corrects"]):
                near = pc.and_(pc.is_in(batch["source"], value_set=sources), pc.is_in(batch["row"], value_set=numbers))
                for row in batch.filter(near).to_pylist():
                    if _place(day, row) in places:
                        corrects = row.get("corrects")
                        identifier = raw_id(row["source"], row["row"], row["fields"], corrects)
                        yield {**row, "corrects": corrects, "id": identifier}


def _reaches_a_source(rows: Mapping[str, dict[str, Any]], identifier: str) -> bool:
    """Whether the chain of corrections begins at a row that is still there."""
    name: str | None = identifier
    while name is not None:
        if name not in rows:
            return False
        name = rows[name]["corrects"]
    return True


def _place(day: str, row: Mapping[str, Any]) -> Place:
    return Place(arrived=day, source=row["source"], row=row["row"])


def _ids(rows: pa.Table) -> Iterator[str]:
    corrects = rows["corrects"].to_pylist() if "corrects" in rows.column_names else [None] * rows.num_rows
    for values in zip(*(rows[name].to_pylist() for name in ("source", "row", "fields")), corrects, strict=True):
        yield raw_id(*values)


def _refuse_malformed(place: Place, fields: Mapping[str, Any]) -> None:
    """Rows that came through the service hold a whole ticket; another shape would stop the night."""
    if place.source != SERVICE:
        return
    try:
        clean_ticket(ticket_from_json(fields), ("en",))
    except Refused:
        return  # `clean` will say so
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(
            f"row {place.row} of {place.arrived} is no ticket as the service takes it: {error!r}.",
            hint="Change values only; names and types of the fields must stay.",
        ) from error


def _correction(row: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("source", "row", "split")},
        "fields": fields_text(fields),
        "problem": None,
        "corrects": row["id"],
    }


def _put(workspace: Workspace, day: str, rows: Sequence[dict[str, Any]]) -> None:
    places = [int(found[1]) for path in parts_of(workspace, RAW, day) if (found := _PART.match(path.name))]
    content = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
    with workspace.aside("corrections") as aside:
        part = aside / "part.parquet"
        pq.write_table(pa.Table.from_pylist(list(rows), schema=_SCHEMA), part, compression="zstd")
        replace_parts(workspace, RAW, day, prefix=f"{PREFIX}{max(places, default=0) + 1:06d}-{content}-", parts=[part])
