"""Which source rows are a person's: raw rows, rows in quarantine, and the corrections that people made of either.

Rows are read as `clean` reads them. A row that cannot be read at all is the person's when what they are known by stands
in it. The row and its corrections are one: when any of them is the person's, all are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.corrections import PREFIX, raw_id
from pipeline.lake import parts_of
from pipeline.rows import who_wrote
from pipeline.sources.tabular import BROKEN_JSON, INVALID_UTF8, WRONG_COLUMNS
from pipeline.text.redact import customer_hash
from tickets.dataset import Dataset
from tickets.tables import QUARANTINE, RAW, SUGGESTIONS, TICKETS
from tickets.workspace import Workspace

_UNREADABLE = (BROKEN_JSON, INVALID_UTF8, WRONG_COLUMNS)
_ANSWERS = ("feedback:", "labels:")  # QUARANTINE.source of what people answered
_BATCH = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose rows are meant: the customer, as `customer_key` is written at the source, or tickets by their ids, or
    both."""

    customer: str | None = None
    tickets: frozenset[str] = frozenset()

    def key(self, dataset: Dataset) -> str | None:
        return customer_hash(self.customer, salt=dataset.name) if self.customer else None


@dataclass(frozen=True, slots=True)
class Chains:
    """Corrections of one day: the row that each corrects, by its id, and the first rows of chains that are a
    person's."""

    corrects: Mapping[str, str]
    theirs: frozenset[str] = frozenset()

    @property
    def firsts(self) -> frozenset[str]:
        """The source rows that were corrected."""
        return frozenset(self.corrects.values()) - self.corrects.keys()

    def first(self, identifier: str) -> str:
        """Where the chain of a row begins; the row itself where it is in none."""
        while identifier in self.corrects:
            identifier = self.corrects[identifier]
        return identifier


class SourceRows:
    """The source rows of one workspace, looked at with one person in mind."""

    def __init__(self, workspace: Workspace, dataset: Dataset, person: Person) -> None:
        self._workspace, self._dataset, self.person = workspace, dataset, person
        self._key = person.key(dataset)
        written = json.dumps(person.customer.strip(), ensure_ascii=False)[1:-1] if person.customer else None
        self._written = re.compile(rf"(?<!\w){re.escape(written)}(?!\w)", re.IGNORECASE) if written else None

    def with_all_tickets(self) -> SourceRows:
        """The same, with the ids of every ticket of the person that the lake knows."""
        found = set(self.person.tickets)
        if self._key is not None:
            found |= _ids_where(self._workspace, pa.scalar(self._key))
            found.update(self._tickets_in(QUARANTINE), self._tickets_in(RAW))
        days = [day for day in self._workspace.partitions(RAW) if _corrections(self._workspace, day)]
        grown = replace(self.person, tickets=frozenset(found))
        while True:  # a correction may have given a ticket another id
            again = SourceRows(self._workspace, self._dataset, grown)
            found.update(*(again.tickets_of_chains(day) for day in days))
            if found == grown.tickets:
                return again
            grown = replace(grown, tickets=frozenset(found))

    def chains(self, day: str) -> Chains:
        """The day's corrections. Costs nothing where there are none."""
        if not (corrects := _corrections(self._workspace, day)):
            return Chains({})
        plain = Chains(corrects)
        theirs = (plain.first(_id(row)) for row in self._rows(RAW, day) if self._is_named(row))
        return Chains(corrects, plain.firsts.intersection(theirs))

    def tickets_of_chains(self, day: str) -> Iterator[str]:
        chains = self.chains(day)
        for row in self._rows(RAW, day) if chains.theirs else ():
            if chains.first(_id(row)) in chains.theirs and (told := self._who(row)[0]):
                yield told

    def in_raw(self, rows: pa.Table, chains: Chains) -> pa.Array:
        """Which rows of RAW are the person's: bool, one a row."""
        if not chains.corrects:
            return pa.array([self._is_theirs(row) for row in rows.to_pylist()], pa.bool_())
        told = [(row, chains.first(_id(row))) for row in rows.to_pylist()]
        firsts = chains.firsts
        theirs = [first in chains.theirs if first in firsts else self._is_theirs(row) for row, first in told]
        return pa.array(theirs, pa.bool_())

    def in_quarantine(self, rows: pa.Table) -> pa.Array:
        """Which rows of QUARANTINE are the person's: bool, one a row."""
        return pa.array([self._is_theirs(row) for row in rows.to_pylist()], pa.bool_())

    def _is_named(self, row: Mapping[str, Any]) -> bool:
        return self._are_theirs(*self._who(row))

    def _are_theirs(self, ticket: str | None, customer: str | None) -> bool:
        return ticket in self.person.tickets or (customer is not None and customer == self._key)

    def _is_theirs(self, row: Mapping[str, Any]) -> bool:
        who = self._who(row)
        if self._are_theirs(*who):
            return True
        if self._written is None or not (_is_unreadable(row) or who == (None, None)):
            return False
        return self._written.search(row["fields"]) is not None

    def _who(self, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
        if row["source"].startswith(_ANSWERS) and "step" in row:
            return json.loads(row["fields"]).get("ticket_id"), None
        return who_wrote(row["fields"], self._dataset, source=row["source"], row=row["row"])

    def _tickets_in(self, table: Any) -> Iterator[str]:
        for day in self._workspace.partitions(table):
            for row in self._rows(table, day):
                ticket, customer = self._who(row)
                if ticket and customer is not None and customer == self._key:
                    yield ticket

    def _rows(self, table: Any, day: str) -> Iterator[Mapping[str, Any]]:
        wanted = {"source", "row", "fields", "problem", "corrects", "step", "reason"}
        for path in parts_of(self._workspace, table, day):
            with pq.ParquetFile(path) as file:
                columns = [name for name in file.schema_arrow.names if name in wanted]
                for batch in file.iter_batches(batch_size=_BATCH, columns=columns):
                    yield from batch.to_pylist()


def _is_unreadable(row: Mapping[str, Any]) -> bool:
    return bool(row.get("problem")) or row.get("reason") in _UNREADABLE


def _id(row: Mapping[str, Any]) -> str:
    return raw_id(row["source"], row["row"], row["fields"], row.get("corrects"))


def _corrections(workspace: Workspace, day: str) -> dict[str, str]:
    parts = [path for path in parts_of(workspace, RAW, day) if path.name.startswith(PREFIX)]
    rows: Iterable[Mapping[str, Any]] = (row for path in parts for row in pq.ParquetFile(path).read().to_pylist())
    return {_id(row): row["corrects"] for row in rows}


def _ids_where(workspace: Workspace, key: pa.Scalar) -> set[str]:
    """Tickets of the customer that are cleaned, or that only a suggestion tells of."""
    found: set[str] = set()
    for table, own in (
        (TICKETS, pc.field("customer_key") == key),
        (SUGGESTIONS, pc.match_substring(pc.field("ticket"), key.as_py())),
    ):
        if workspace.table_path(table).is_dir():
            found.update(workspace.read(table, ["ticket_id"], where=own)["ticket_id"].to_pylist())
    return found
