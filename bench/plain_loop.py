"""The pipeline as one would first write it: the same pure functions, one process, one row after the other.

What Spark is measured against (bench/pipeline.py). It reads the same source and writes rows of the same tables, and
keeps in dictionaries what the pipeline shuffles, so it needs memory for all tickets at once. What only a nightly job
owes is left out: it checks no contract and no repeated id, sorts nothing, and writes no manifest and no quarantine.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.cleaning import checked_row, outcome_values, ticket_values
from pipeline.contact_type_reading import read_contact_type
from pipeline.duplicates import connected
from pipeline.featurise import feature_values, node_of, signature_rows
from pipeline.pairs import pairs_of
from pipeline.rows import ImportedOutcome
from pipeline.sources.tabular import SourceRow, read_rows
from pipeline.split import LEAK, TEST, TRAIN, UNLABELLED, VALIDATION
from pipeline.text.clean import Refused
from pipeline.text.minhash import SIMILAR, similarity
from pipeline.units import PartWriter
from tickets.catalogue import load_templates, load_tree
from tickets.dataset import Dataset, load_dataset
from tickets.records import Ticket
from tickets.tables import (
    FEATURES,
    IMPORTED_OUTCOMES,
    NEAR_DUPLICATES,
    OUTCOMES,
    PAIRS,
    RAW,
    SIGNATURES,
    SPLITS,
    TICKETS,
    Table,
)

_AT_ONCE = 4_096
_SPLITS = (TRAIN, VALIDATION, TEST)


@dataclass
class Loop:
    """What the loop keeps in memory from stage to stage."""

    folder: Path
    dataset: Dataset
    out: Path
    as_of: str
    rows: list[SourceRow] = field(default_factory=list)
    tickets: list[tuple[Ticket, str]] = field(default_factory=list)  # with their attributes as text
    imported: dict[str, ImportedOutcome] = field(default_factory=dict)
    candidates: set[tuple[int, int]] = field(default_factory=set)
    signatures: list[bytes] = field(default_factory=list)
    root: dict[int, int] = field(default_factory=dict)  # of tickets with a near-duplicate
    outcomes: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # contact type and template
    learned_from: set[str] = field(default_factory=set)  # tickets of the training split

    @property
    def source(self) -> str:
        return self.dataset.files[0].path

    def part(self, table: Table) -> PartWriter:
        return PartWriter(self.out / f"{table.name}.parquet", table.schema)


def plain_loop(dataset: Path, out: Path, *, as_of: dt.date) -> dict[str, float]:
    """Run every stage on the dataset's one file; returns the seconds of each."""
    loop = Loop(dataset.parent, load_dataset(dataset), out, as_of.isoformat())
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        clock = time.perf_counter()
        yield
        seconds[stage] = time.perf_counter() - clock

    stages = (_import, _clean, _featurise, _duplicates, _label, _split, _pairs)
    for stage in stages:
        with timed(stage.__name__.strip("_")):
            stage(loop)
    return seconds


def _import(loop: Loop) -> None:
    with loop.part(RAW) as part:
        for row, found in enumerate(read_rows(loop.folder / loop.source, loop.dataset), start=1):
            part.append((loop.source, row, found.fields, None, found.problem), len(found.fields))
            loop.rows.append(found)


def _clean(loop: Loop) -> None:
    with loop.part(TICKETS) as part, loop.part(IMPORTED_OUTCOMES) as imported:
        for row, found in enumerate(loop.rows, start=1):
            try:
                ticket, outcome, _ = checked_row(
                    found.fields, found.problem, loop.dataset, loop.source, row, arrived=loop.as_of
                )
            except Refused:
                continue
            values = ticket_values(ticket)
            part.append((*values, None), len(ticket.body))
            loop.tickets.append((ticket, values[-1]))
            if outcome is not None:
                imported.append(outcome_values(ticket, outcome, loop.source, row, keep_reply=False))
                loop.imported[ticket.ticket_id] = outcome
    loop.rows.clear()


def _featurise(loop: Loop) -> None:
    buckets: dict[int, int] = {}
    with loop.part(FEATURES) as part, loop.part(SIGNATURES) as signed:
        for start in range(0, len(loop.tickets), _AT_ONCE):
            rows = [feature_values(*ticket) for ticket in loop.tickets[start : start + _AT_ONCE]]
            for row in rows:
                part.append(row, len(row[2]))
            signatures = signature_rows([row[0] for row in rows], [row[2] for row in rows])
            signed.write(signatures)
            loop.signatures += signatures["signature"].to_pylist()
            for place, own in enumerate(signatures["buckets"].to_pylist(), start=start):
                for bucket in own:
                    if (first := buckets.setdefault(bucket, place)) != place:
                        loop.candidates.add((place, first))


def _duplicates(loop: Loop) -> None:
    pairs = np.array(sorted(loop.candidates), dtype=np.int64).reshape(-1, 2)
    known = np.frombuffer(b"".join(loop.signatures), dtype=np.uint8).reshape(len(loop.tickets), -1)
    alike = pairs[similarity(known[pairs[:, 0]], known[pairs[:, 1]]) >= SIMILAR]
    nodes, roots = connected(alike[:, 0], alike[:, 1])
    loop.root = dict(zip(nodes.tolist(), roots.tolist(), strict=True))
    with loop.part(NEAR_DUPLICATES) as part:
        for link in alike.tolist():
            part.append(tuple(node_of(loop.tickets[number][0].ticket_id) for number in link))


def _label(loop: Loop) -> None:
    tree = load_tree(loop.folder / str(loop.dataset.contact_types_file))
    readings: dict[str, str | None] = {}
    with loop.part(OUTCOMES) as part:
        for name, outcome in sorted(loop.imported.items()):
            if outcome.contact_type not in readings:
                readings[outcome.contact_type] = read_contact_type(outcome.contact_type, tree).contact_type
            if current := readings[outcome.contact_type]:
                times = (outcome.resolved_at, outcome.handle_seconds)
                part.append((name, current, outcome.template_id, *times, "import", outcome.labeler))
                loop.outcomes[name] = (current, outcome.template_id)


def _split(loop: Loop) -> None:
    labelled = [number for number, (ticket, _) in enumerate(loop.tickets) if ticket.ticket_id in loop.outcomes]
    times = np.array([loop.tickets[number][0].created_at.timestamp() for number in labelled])
    places: npt.NDArray[np.int64] = np.searchsorted(np.quantile(times, [0.8, 0.9]), times, side="right")
    place_of = dict(zip(labelled, places.tolist(), strict=True))
    earliest: dict[int | str, int] = {}
    for number, place in place_of.items():
        for shared in (loop.root.get(number, number), loop.tickets[number][0].customer_key):
            if shared is not None:
                earliest[shared] = min(earliest.get(shared, len(_SPLITS)), place)
    with loop.part(SPLITS) as part:
        for number, (ticket, _) in enumerate(loop.tickets):
            root, kept = loop.root.get(number, number), UNLABELLED
            if number in place_of:
                first = min(earliest[shared] for shared in (root, ticket.customer_key) if shared is not None)
                kept = _SPLITS[place_of[number]] if first >= place_of[number] else LEAK
            part.append((ticket.ticket_id, loop.as_of, kept, loop.tickets[root][0].ticket_id))
            if kept == TRAIN:
                loop.learned_from.add(ticket.ticket_id)


def _pairs(loop: Loop) -> None:
    templates = [one for one in load_templates(loop.folder / str(loop.dataset.templates_file)) if one.active]
    serving: dict[str, set[str]] = {}
    for made in templates:
        for contact_type in made.contact_types:
            serving.setdefault(contact_type, set()).add(made.template_id)
    sent = [(name, *values) for name, values in loop.outcomes.items() if values[1]]
    for name, contact_type, template in sent:
        if name in loop.learned_from:
            serving.setdefault(contact_type, set()).add(str(template))
    serves = {contact_type: sorted(some) for contact_type, some in serving.items()}
    names = sorted(template.template_id for template in templates)
    with loop.part(PAIRS) as part:
        for start in range(0, len(sent), _AT_ONCE):
            columns = [pa.array(column) for column in zip(*sent[start : start + _AT_ONCE], strict=True)]
            table = pa.table(dict(zip(("ticket_id", "contact_type", "template_id"), columns, strict=True)))
            part.write(pairs_of(table, templates=names, serving=serves))
