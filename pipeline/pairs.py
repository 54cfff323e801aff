"""Pairs: for each ticket, the template that was sent and some that were not, to learn ranking from."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipeline.lake import count_rows, read_table, spark_schema, write
from pipeline.split import TEST, TRAIN, VALIDATION
from pipeline.steps import Report, run_step, silent
from tickets.catalogue import read_templates
from tickets.errors import MissingStepError
from tickets.manifests import Manifest
from tickets.tables import OUTCOMES, PAIRS, SPLITS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STEP = "pairs"
RANDOM, SAME_TYPE = "random", "same contact type"
RANDOM_NEGATIVES = 4
HARD_NEGATIVES = 3
_ROW = PAIRS.schema.append(pa.field("split", pa.string(), nullable=False))


def pair(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `pairs`: one relevant template for each ticket that one was sent for, hard negatives (templates for the
    same contact type) and random ones, drawn by the ticket's id alone. Raises MissingStepError."""
    if not workspace.table_path(SPLITS).is_dir():
        raise MissingStepError("the table `splits` has not been written yet.", hint="Run `triage features`.")
    with run_step(workspace, STEP, as_of, report) as step, workspace.aside(STEP) as aside:
        splits = read_table(spark, workspace, SPLITS).filter(f"split in ('{TRAIN}', '{VALIDATION}', '{TEST}')")
        outcomes = read_table(spark, workspace, OUTCOMES).filter("template_id is not null")
        sent = outcomes.join(splits, "ticket_id").select("ticket_id", "contact_type", "template_id", "split")
        templates = sorted(template.template_id for template in read_templates(workspace) if template.active)
        serving = _serving(workspace, sent)
        rows = sent.mapInArrow(_pairer(templates, serving), spark_schema(_ROW)).sortWithinPartitions(
            "split", "ticket_id"
        )
        write(rows, aside / "pairs", PAIRS, partition="split")
        partitions = sorted((aside / "pairs").glob("split=*"))
        step.counts = {path.name.removeprefix("split="): count_rows(path) for path in partitions}
        workspace.publish(aside / "pairs", PAIRS)
        step.summary = f"{sum(step.counts.values()):,} ticket-template pairs"
    return step.done


def _serving(workspace: Workspace, sent: DataFrame) -> dict[str, list[str]]:
    """The templates for each contact type: those made for it, and those that agents sent for it in training."""
    serving: dict[str, set[str]] = {}
    for template in read_templates(workspace):
        for contact_type in template.contact_types if template.active else ():
            serving.setdefault(contact_type, set()).add(template.template_id)
    for row in sent.filter(f"split = '{TRAIN}'").select("contact_type", "template_id").distinct().collect():
        serving.setdefault(row["contact_type"], set()).add(row["template_id"])
    return {contact_type: sorted(names) for contact_type, names in serving.items()}


def pairs_of(
    ticket_id: str,
    contact_type: str,
    template_id: str,
    *,
    templates: Sequence[str],
    serving: Mapping[str, Sequence[str]],
) -> list[tuple[str, str | None]]:
    """Templates to rank for one ticket, each with the kind of negative it is (None: the one that was sent)."""
    draw = random.Random(ticket_id)  # seeded by the text itself: the same on every machine and run
    hard = _sample(draw, [name for name in serving.get(contact_type, ()) if name != template_id], HARD_NEGATIVES)
    taken = {template_id, *hard}
    others = _sample(draw, [name for name in templates if name not in taken], RANDOM_NEGATIVES)
    return [(template_id, None), *((name, SAME_TYPE) for name in hard), *((name, RANDOM) for name in others)]


def _sample(draw: random.Random, names: Sequence[str], count: int) -> list[str]:
    return draw.sample(names, min(count, len(names)))


def _pairer(
    templates: Sequence[str], serving: Mapping[str, Sequence[str]]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows: list[dict[str, Any]] = []
            for sent in batch.to_pylist():
                ticket_id, split = sent["ticket_id"], sent["split"]
                found = pairs_of(
                    ticket_id, sent["contact_type"], sent["template_id"], templates=templates, serving=serving
                )
                for name, negative in found:
                    row = {"ticket_id": ticket_id, "template_id": name, "relevant": negative is None}
                    rows.append({**row, "negative": negative, "split": split})
            yield pa.RecordBatch.from_pylist(rows, schema=_ROW)

    return make
