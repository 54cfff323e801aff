"""Labels to and from Label Studio as functions: the open queue goes out, annotations come back as labels."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from pipeline.lake import replace_parts
from tickets.catalogue import read_tree
from tickets.contact_types import ContactTypeTree
from tickets.errors import SourceError
from tickets.label_exchange import expect, find_item, make_gold, open_items, take_in
from tickets.label_studio import Annotation, contact_type_at, interface, read_annotations, tasks
from tickets.manifests import file_hash
from tickets.tables import QUARANTINE
from tickets.workspace import Workspace, write_text
from triage.settings import Settings, database
from triage.steps import opened

_STEP = "labels"
_DETAILS: Mapping[str, str] = {
    "a zero byte in a name": "the item, the ticket or the annotator is named so that no database takes it",
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
        outcomes = _take_in(engine, tree, annotations, now=now)
        gold = _make_gold(engine, tree, annotations, outcomes, now=now)
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


def _take_in(
    engine: sa.Engine, tree: ContactTypeTree, annotations: Sequence[Annotation], *, now: dt.datetime
) -> list[str]:
    """What became of each annotation, in order."""
    items = [_item_of(engine, one) for one in annotations]
    meant = [_meant(tree, one) for one in annotations]
    people: dict[str, set[str]] = {}
    for one, item_id, (contact_type, _) in zip(annotations, items, meant, strict=True):
        if item_id is not None and contact_type is not None:
            people.setdefault(item_id, set()).add(one.annotator)
    for item_id, annotators in people.items():
        expect(engine, item_id, people=len(annotators))
    outcomes = []
    for one, item_id, (contact_type, why) in zip(annotations, items, meant, strict=True):
        if not one.keepable or why == "cancelled" or (item_id is not None and contact_type is None):
            outcomes.append(why)
        elif item_id is None or contact_type is None:
            outcomes.append("nothing was asked")
        else:
            outcomes.append(_keep(engine, item_id, one, contact_type, now=now))
    return outcomes


def _item_of(engine: sa.Engine, one: Annotation) -> str | None:
    return find_item(engine, item_id=one.item_id, ticket_id=one.ticket_id) if one.keepable else None


def _keep(engine: sa.Engine, item_id: str, one: Annotation, contact_type: str, *, now: dt.datetime) -> str:
    return take_in(
        engine,
        item_id,
        label_id=one.label_id,
        contact_type=contact_type,
        labeler=one.annotator,
        at=min(one.at or now, now),
        kept_at=now,
        seconds=one.seconds,
    )


def _make_gold(
    engine: sa.Engine,
    tree: ContactTypeTree,
    annotations: Sequence[Annotation],
    outcomes: Sequence[str],
    *,
    now: dt.datetime,
) -> int:
    """Annotations that a reviewer marked as ground truth tell the answers of gold tickets."""
    made = 0
    for one, outcome in zip(annotations, outcomes, strict=True):
        item_id = _item_of(engine, one)
        contact_type, _ = _meant(tree, one)
        if one.ground_truth and outcome in ("kept", "known") and item_id is not None and contact_type is not None:
            made += make_gold(engine, item_id, label_id=one.label_id, contact_type=contact_type, at=now)
    return made


def _meant(tree: ContactTypeTree, annotation: Annotation) -> tuple[str | None, str]:
    """The contact type, or why there is none."""
    if annotation.cancelled:
        return None, "cancelled"
    if not annotation.keepable:
        return None, "a zero byte in a name"
    chosen = {contact_type_at(tree, path) for path in annotation.paths}
    if not chosen:
        return None, "no contact type was chosen"
    if len(chosen) > 1:
        return None, "several contact types were chosen"
    (contact_type,) = chosen
    return contact_type, "" if contact_type is not None else "unknown contact type"


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
            "fields": json.dumps(one.whole, ensure_ascii=False),
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
