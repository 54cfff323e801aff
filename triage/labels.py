"""Labels to and from Label Studio as functions: the open queue goes out, annotations come back as labels."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from pipeline.lake import replace_parts
from pipeline.sources.tabular import source_row
from tickets.catalogue import read_tree
from tickets.contact_types import ContactTypeTree
from tickets.errors import SourceError
from tickets.label_exchange import expect, find_item, kept_label, make_gold, open_items, take_in
from tickets.label_studio import Annotation, contact_type_at, interface, read_annotations, tasks
from tickets.manifests import file_hash
from tickets.tables import QUARANTINE
from tickets.workspace import Workspace, write_text
from triage.settings import Settings, database
from triage.steps import opened

_STEP = "labels"
_DETAILS: Mapping[str, str] = {
    "a name that cannot be kept": "the item, the ticket, the annotator or the annotation has a zero byte or half a "
    "character in its name, which no database takes",
    "nothing was asked": "no item or ticket of this task is in the queue; export it again",
    "no contact type was chosen": "the annotation holds no <Taxonomy> or <Choices> result",
    "several contact types were chosen": "one is wanted; set maxUsages to 1",
    "unknown contact type": "no leaf of today's tree has this path",
    "answered already": "the item has the labels it needs",
    "changed since it was imported": "the annotator said something else when the label was kept, which stays",
}


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's annotations; `gold` of them made their ticket gold. `refused` counts reasons, those rows
    are in quarantine."""

    kept: int = 0
    known: int = 0
    cancelled: int = 0
    gold: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
    """An annotation with the item, the label's id and the contact type that it means; `refused` says why there is none
    of them."""

    annotation: Annotation
    item_id: str = ""
    label_id: str = ""
    contact_type: str = ""
    refused: str = ""


def export_labels(settings: Settings, tasks_file: Path, interface_file: Path) -> int:
    """Write the open items as tasks, and the labelling interface; returns how many items. They stay in the queue.
    Raises WorkspaceError, MachineError."""
    workspace = Workspace.open(settings.workspace)
    with database(settings, workspace) as engine:
        items = open_items(engine)
    write_text(interface_file, interface(read_tree(workspace)))
    write_text(tasks_file, tasks(items))
    return len(items)


def import_labels(settings: Settings, path: Path, *, now: dt.datetime) -> Imported:
    """Keep the annotations of an export as labels; the same file again changes nothing. Raises SourceError."""
    try:
        annotations = read_annotations(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8.", hint="Export it from Label Studio as JSON.") from error
    with opened(settings, "labels import") as (workspace, engine):
        tree = read_tree(workspace)
        answers = [_meant(engine, tree, one) for one in annotations]
        outcomes = _take_in(engine, answers, now=now)
        gold = _make_gold(engine, answers, outcomes, now=now)
        refused = [(one, why) for one, why in zip(annotations, outcomes, strict=True) if why in _DETAILS]
        _quarantine(workspace, path, refused, day=now.date().isoformat())
    counts = Counter(outcomes)
    return Imported(
        kept=counts["kept"],
        known=counts["known"],
        cancelled=counts["cancelled"],
        gold=gold,
        refused={reason: counts[reason] for reason in _DETAILS if counts[reason]},
    )


def _meant(engine: sa.Engine, tree: ContactTypeTree, annotation: Annotation) -> _Answer:
    """What an annotation says of which item, as the queue and today's tree know them."""
    if annotation.cancelled:
        return _Answer(annotation, refused="cancelled")
    if not annotation.keepable:
        return _Answer(annotation, refused="a name that cannot be kept")
    asked = {"item_id": annotation.item_id, "ticket_id": annotation.ticket_id}
    item_id, label_id = kept_label(engine, annotation) or (find_item(engine, **asked), annotation.label_id)
    if item_id is None:
        return _Answer(annotation, refused="nothing was asked")
    chosen = {contact_type_at(tree, path) for path in annotation.paths}
    if len(chosen) != 1:
        which = "several contact types were chosen" if chosen else "no contact type was chosen"
        return _Answer(annotation, refused=which)
    (contact_type,) = chosen
    if contact_type is None:
        return _Answer(annotation, refused="unknown contact type")
    return _Answer(annotation, item_id, label_id, contact_type)


def _take_in(engine: sa.Engine, answers: Sequence[_Answer], *, now: dt.datetime) -> list[str]:
    """What became of each answer, in order. An item that several people answered waits for all of them first."""
    people: dict[str, set[str]] = {}
    for one in answers:
        if not one.refused:
            people.setdefault(one.item_id, set()).add(one.annotation.annotator)
    for item_id, annotators in people.items():
        expect(engine, item_id, people=len(annotators))
    return [one.refused or _keep(engine, one, now=now) for one in answers]


def _keep(engine: sa.Engine, one: _Answer, *, now: dt.datetime) -> str:
    return take_in(
        engine,
        one.item_id,
        label_id=one.label_id,
        contact_type=one.contact_type,
        labeler=one.annotation.annotator,
        at=min(one.annotation.at or now, now),
        kept_at=now,
        seconds=one.annotation.seconds,
    )


def _make_gold(engine: sa.Engine, answers: Sequence[_Answer], outcomes: Sequence[str], *, now: dt.datetime) -> int:
    """Annotations that a reviewer marked as ground truth tell the answers of gold tickets."""
    made = 0
    for one, outcome in zip(answers, outcomes, strict=True):
        if one.annotation.ground_truth and outcome in ("kept", "known"):
            told = {"label_id": one.label_id, "contact_type": one.contact_type}
            made += make_gold(engine, one.item_id, **told, at=now)
    return made


def _quarantine(workspace: Workspace, path: Path, refused: Sequence[tuple[Annotation, str]], *, day: str) -> None:
    """Refused annotations, whole, on the day on which the file first came; a file that comes again replaces its own."""
    key = file_hash(path)
    prefix = f"{_STEP}-{key[:16]}-"
    before = sorted(workspace.table_path(QUARANTINE).glob(f"arrived=*/{prefix}*.parquet"))
    day = before[0].parent.name.removeprefix("arrived=") if before else day
    if not refused and not before:
        return
    rows: list[dict[str, Any]] = [
        {
            "source": f"{path.name} {key[:16]}",
            "row": one.number,
            "fields": source_row(dict(one.whole), None).fields,
            "step": _STEP,
            "reason": reason,
            "detail": _DETAILS[reason],
        }
        for one, reason in refused
    ]
    with workspace.aside(_STEP) as aside:
        part = aside / "part.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=QUARANTINE.schema), part)
        replace_parts(workspace, QUARANTINE, day, prefix=prefix, parts=[part] if rows else [])
