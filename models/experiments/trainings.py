"""What a training tells whoever records it: at its start, and when its model directory is finished."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models import release as names
from models.config import TrainConfig
from models.experiments.origin import origin_of
from models.experiments.recording import JUDGED_BY, Product, Recording, RunStart
from models.release import Release
from models.training.data import TrainingData

_REPORT_COLUMNS = ("contact_type", "tickets", "precision", "recall", "taken_for")


def training_start(data: TrainingData, config: TrainConfig, initial: Path | None) -> RunStart:
    """Its version is not known before it ends, so until then it is named after when it began."""
    now = datetime.now(UTC)
    run_id = f"training-{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"
    context = {"tree_version": data.tree.version, **({"initial": initial.name} if initial else {})}
    return RunStart(
        run_id=run_id,
        kind="training",
        name=run_id,
        knobs=dataclasses.asdict(config),
        origin=origin_of(data, config.device),
        context=context,
        started=now,
    )


def conclude(run: Recording, release: Release, folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Give `run` the figures of the model that was trained, and what of its `folder` is kept beside them."""
    run.figures |= {**kept_look(history), **_flat(release.metrics)}
    if "cost/train_seconds" in run.figures:
        run.figures["train_seconds"] = run.figures["cost/train_seconds"]
    run.product = Product(
        model=(release.version, folder),
        files=[folder / name for name in (names.METRICS, names.CARD, names.FACTS)],
        texts={f"class_report_{split}.csv": text for split, text in _class_reports(folder)},
    )


def kept_look(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The validation figures of the look whose weights are kept; {} without validation tickets."""
    looks = [look for look in history if JUDGED_BY in look]
    best = max(looks, key=lambda look: float(look[JUDGED_BY]), default={})  # the first among equals, as `fit` has it
    return {name: float(value) for name, value in best.items() if name.startswith("validation_")}


def _flat(metrics: Mapping[str, Any]) -> dict[str, float]:
    """`test/accuracy` of the model, `tfidf/test/accuracy` of the others."""
    return {
        f"{split}/{figure}" if who == "model" else f"{who}/{split}/{figure}": float(value)
        for who, figures in metrics.items()
        for split, row in figures.items()
        for figure, value in row.items()
    }


def _class_reports(folder: Path) -> Iterator[tuple[str, str]]:
    """Split and its report as CSV, a row a contact type."""
    written = json.loads((folder / names.METRICS).read_text(encoding="utf-8"))
    for split, rows in written["contact_types"].items():
        text = io.StringIO()
        table = csv.DictWriter(text, _REPORT_COLUMNS, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
        yield split, text.getvalue()
