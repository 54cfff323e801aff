"""A person's rows in the lake: found in every table, counted, taken out.

Nothing is made anew for it: each partition goes on saying what it was made from. What is derived goes first and the
source rows last, so that a run that was killed finds the person again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.cleaning import STEP as CLEAN
from pipeline.featurise import node_of
from pipeline.forgotten_rows import keep_out, row_hash
from pipeline.lake import count_rows, link_or_copy, made_from, parts_in
from pipeline.upkeep.row_removal import Found, Removal, remove_rows, write_counts, write_whole
from pipeline.upkeep.source_rows import Person, SourceRows
from pipeline.upkeep.unlinking import touching_rows, unlink
from tickets.dataset import Dataset
from tickets.forgetting import Held, without_tickets
from tickets.progress import Report, silent
from tickets.tables import (
    BACKLOG,
    FEATURES,
    FEEDBACK,
    IMPORTED_OUTCOMES,
    LABELS,
    NEAR_DUPLICATES,
    OUTCOMES,
    PAIRS,
    QUARANTINE,
    RAW,
    SIGNATURES,
    SIMILARITIES,
    SPLITS,
    SUGGESTIONS,
    TICKETS,
    TOPICS,
    Table,
)
from tickets.workspace import Workspace

_BY_TICKET = (SIMILARITIES, TOPICS, PAIRS, BACKLOG, OUTCOMES, FEATURES, IMPORTED_OUTCOMES, LABELS, FEEDBACK)
_SHOW_SIMILAR = (BACKLOG, SUGGESTIONS)  # whose suggestions show excerpts of other tickets


def find_tickets(workspace: Workspace, dataset: Dataset, person: Person) -> frozenset[str]:
    """The ids of all the person's tickets that the lake knows, and those given."""
    return SourceRows(workspace, dataset, person).with_all_tickets().person.tickets


def forget_in_lake(
    workspace: Workspace, dataset: Dataset, person: Person, *, apply: bool = False, report: Report = silent
) -> list[Held]:
    """Count the person's rows by table; with `apply` take them out (the caller holds the lock). `person` names all of
    their tickets. Doing it again finds nothing; after a run that was killed, the rest."""
    held = []
    for table, found in _tables(workspace, dataset, person, apply=apply):
        for rows, shortened in ((found.leaving, False), (found.shortened, True)):
            if rows:
                held.append(Held(place="lake", table=table.name, rows=rows, shortened=shortened, gone=apply))
                report(f"forget: {rows:,} rows of {table.name}{', shortened' * shortened}")
    return held


def _tables(workspace: Workspace, dataset: Dataset, person: Person, *, apply: bool) -> Iterator[tuple[Table, Found]]:
    """Each table with what was found in it, in the order in which they are changed."""
    tickets = person.tickets
    nodes = frozenset(map(node_of, tickets))
    yield SPLITS, _forget_splits(workspace, tickets, apply=apply)
    yield NEAR_DUPLICATES, _forget_links(workspace, nodes, apply=apply)
    by_node = Removal(columns=("node",), leaving=lambda rows: _among(rows["node"], nodes, pa.int64()))
    yield SIGNATURES, _in_all(workspace, SIGNATURES, by_node, apply=apply)
    for table in (*_BY_TICKET, SUGGESTIONS, TICKETS):
        yield table, _in_all(workspace, table, _by_ticket(tickets, similar=table in _SHOW_SIMILAR), apply=apply)
    rows = SourceRows(workspace, dataset, person)
    refused = Removal(columns=QUARANTINE.schema.names, leaving=rows.in_quarantine)
    yield QUARANTINE, _in_all(workspace, QUARANTINE, refused, apply=apply)
    if apply:
        _recount(workspace)
    raw = (
        remove_rows(workspace, RAW, day, _in_raw(workspace, dataset, rows, day), apply=apply)
        for day in workspace.partitions(RAW)
    )
    yield RAW, sum(raw, Found())


def _in_all(workspace: Workspace, table: Table, removal: Removal, *, apply: bool) -> Found:
    if not workspace.table_path(table).is_dir():
        return Found()
    values: list[str | None] = [*workspace.partitions(table)] if table.partition is not None else [None]
    return sum((remove_rows(workspace, table, value, removal, apply=apply) for value in values), Found())


def _by_ticket(tickets: Collection[str], *, similar: bool) -> Removal:
    named = re.compile(rf'"ticket_id": ?"(?:{"|".join(map(_in_json, sorted(tickets)))})"')

    def shorten(suggestions: Sequence[str]) -> list[str | None]:
        return [_without(text, tickets) if named.search(text) else None for text in suggestions]

    return Removal(
        columns=("ticket_id",),
        leaving=lambda rows: _among(rows["ticket_id"], tickets, pa.string()),
        shortened="suggestion" if similar else None,
        shorten=shorten if similar else None,
    )


def _in_json(ticket_id: str) -> str:
    return re.escape(json.dumps(ticket_id, ensure_ascii=False)[1:-1])


def _without(text: str, tickets: Collection[str]) -> str | None:
    """A suggestion without the tickets among those it shows as similar; None when it shows none of them."""
    before = json.loads(text)
    after = without_tickets(before, tickets)
    return json.dumps(after, ensure_ascii=False) if after != before else None


def _in_raw(workspace: Workspace, dataset: Dataset, rows: SourceRows, day: str) -> Removal:
    """What leaves is kept out of later imports first, so that no kill falls in between."""
    chains = rows.chains(day)

    def leaves(leaving: pa.Table) -> None:
        if leaving.num_rows:
            keep_out(workspace, {row_hash(fields, salt=dataset.name) for fields in leaving["fields"].to_pylist()})

    return Removal(
        columns=(*RAW.schema.names, "corrects"), leaving=lambda some: rows.in_raw(some, chains), leaves=leaves
    )


def _forget_splits(workspace: Workspace, tickets: Collection[str], *, apply: bool) -> Found:
    """A cluster that is named after a ticket that leaves is named after the first of those that stay. The table is one
    folder, so all of its rows change at once."""
    if not workspace.table_path(SPLITS).is_dir():
        return Found()
    placed = workspace.read(SPLITS, ["ticket_id", "cluster"])
    renamed = placed.filter(_among(placed["cluster"], tickets, pa.string()))
    staying = renamed.filter(pc.invert(_among(renamed["ticket_id"], tickets, pa.string())))
    first = staying.group_by("cluster").aggregate([("ticket_id", "min")])
    names = dict(zip(first["cluster"].to_pylist(), first["ticket_id_min"].to_pylist(), strict=True))
    removal = Removal(
        columns=("ticket_id",),
        leaving=lambda rows: _among(rows["ticket_id"], tickets, pa.string()),
        shortened="cluster",
        shorten=lambda clusters: [names.get(cluster) for cluster in clusters],
    )
    found = remove_rows(workspace, SPLITS, None, removal, apply=apply)
    if found and apply:
        counted = Counter(workspace.read(SPLITS, ["split"])["split"].to_pylist())
        write_counts(workspace.table_path(SPLITS), **counted)
    return found


def _forget_links(workspace: Workspace, nodes: Collection[int], *, apply: bool) -> Found:
    """Links of many days name each other's nodes, so the table changes as a whole."""
    table = workspace.table_path(NEAR_DUPLICATES)
    days = workspace.partitions(NEAR_DUPLICATES)
    links = {day: _links(parts_in(table / f"arrived={day}")) for day in days}
    found = Found(sum(touching_rows(rows, nodes) for rows in links.values()))
    if not found or not apply:
        return found
    changed = unlink(links, nodes)
    with workspace.aside("forget") as aside:
        for day in days:
            old, new = table / f"arrived={day}", aside / NEAR_DUPLICATES.name / f"arrived={day}"
            new.mkdir(parents=True)
            parts = parts_in(old) if day in changed else []
            for path in old.iterdir():
                if path not in parts:
                    link_or_copy(path, new / path.name)
            for path in parts:
                rows = changed.pop(day, NEAR_DUPLICATES.schema.empty_table())  # all of them in the first part
                write_whole(rows, new / path.name)
        workspace.publish(aside / NEAR_DUPLICATES.name, NEAR_DUPLICATES)
    return found


def _links(parts: Sequence[Path]) -> pa.Table:
    read = [pq.ParquetFile(path).read(NEAR_DUPLICATES.schema.names) for path in parts]
    return pa.concat_tables([NEAR_DUPLICATES.schema.empty_table(), *read])


def _recount(workspace: Workspace) -> None:
    """What marks count beside the rows of their own partition: `clean` what it refused, `label` and `pairs` all."""
    for day in workspace.partitions(TICKETS):
        said = made_from(workspace, TICKETS, day).get("counts", {})
        refused = workspace.table_path(QUARANTINE) / f"arrived={day}"
        counts = {"tickets": count_rows(workspace.table_path(TICKETS) / f"arrived={day}")}
        counts["quarantine"] = _refused_by_clean(refused) if refused.is_dir() else said.get("quarantine", 0)
        counts["raw"] = counts["tickets"] + counts["quarantine"]
        for table in (TICKETS, IMPORTED_OUTCOMES):
            write_counts(workspace.table_path(table) / f"arrived={day}", **counts)
    for table, name in ((OUTCOMES, "outcomes"), (PAIRS, "pairs")):
        if workspace.table_path(table).is_dir():
            write_counts(workspace.table_path(table), **{name: count_rows(workspace.table_path(table))})


def _refused_by_clean(folder: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in folder.glob(f"{CLEAN}-*.parquet"))


def _among(column: pa.ChunkedArray, values: Collection[object], kind: pa.DataType) -> pa.Array:
    told = pc.is_in(column, value_set=pa.array(list(values), kind))
    return told.combine_chunks() if isinstance(told, pa.ChunkedArray) else told
