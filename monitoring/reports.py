"""Evidently reports of a night. The only module that imports Evidently.

A report is kept as its figures (reports/<run_id>.json) and as Evidently's own snapshot
(reports/<run_id>.snapshot.json, about 100 kB), from which the page of 4 MB is drawn again at any time; pages are kept
of the newest runs only.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitoring.detectors.text import words_of
from monitoring.windows import Window
from tickets.errors import InputError
from tickets.workspace import Workspace, write_text

if TYPE_CHECKING:
    import pandas as pd

PAGES_KEPT = 7
ATTRIBUTE = "attribute: "  # before the name of an attribute's column
_TOO_MANY = 100  # different values; a column with more is an id, and its bars would fill the page


def write_report(workspace: Workspace, run_id: str, reference: Window, current: Window) -> Path | None:
    """Compare attributes, text statistics and predictions of both windows; returns the path of the JSON.

    None when there is nothing to compare: an empty window, or no column with values in both.
    """
    if not len(reference) or not len(current):
        return None
    before, after = frame(reference), frame(current)
    numeric, categorical = comparable(before, after)
    if not numeric and not categorical:
        return None
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    kinds = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its statistics divide by empty bins, harmlessly and loudly
        snapshot = Report([DataDriftPreset()]).run(
            Dataset.from_pandas(after[[*numeric, *categorical]], data_definition=kinds),
            Dataset.from_pandas(before[[*numeric, *categorical]], data_definition=kinds),
        )
    path = workspace.reports / f"{run_id}.json"
    write_text(path, snapshot.json())
    write_text(_snapshot(workspace, run_id), snapshot.dumps())
    return path


def drift_scores(path: Path) -> dict[str, dict[str, Any]]:
    """What Evidently says of each column of a written report: `score`, its `method` and `threshold`, and `drifted`.

    Scores of methods called p-value drift when low, distances when high.
    """
    metrics = json.loads(path.read_text(encoding="utf-8"))["metrics"]
    scores = {}
    for metric in metrics:
        kind = metric["config"]
        if "column" not in kind or "method" not in kind or not isinstance(metric["value"], int | float):
            continue
        score, threshold = float(metric["value"]), float(kind["threshold"])
        drifted = score < threshold if "p_value" in kind["method"] else score >= threshold
        scores[kind["column"]] = {"score": score, "method": kind["method"], "threshold": threshold, "drifted": drifted}
    return scores


def write_page(workspace: Workspace, run_id: str) -> Path:
    """Draw the page of a run from its snapshot: one HTML file that needs no network. Raises InputError without a
    snapshot.
    """
    from evidently.core.report import Snapshot

    kept = _snapshot(workspace, run_id)
    if not kept.exists():
        raise InputError(f"there is no report of the run {run_id!r}.", hint="Run the monitoring of that date again.")
    html: str = Snapshot.loads(kept.read_text(encoding="utf-8")).get_html_str(as_iframe=False)
    path = workspace.reports / f"{run_id}.html"
    write_text(path, html)
    return path


def prune_pages(workspace: Workspace, *, keep: int = PAGES_KEPT) -> None:
    """Delete all pages but those drawn last, which need not be of the last nights; any can be drawn again."""
    pages = sorted(
        workspace.reports.glob("*.html"), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True
    )
    for page in pages[keep:]:
        page.unlink(missing_ok=True)


def frame(window: Window) -> pd.DataFrame:
    """One row a ticket: text statistics, language, channel, predictions, and each attribute under its own name."""
    import pandas as pd

    columns: dict[str, Sequence[Any]] = {
        "text: words": [len(words_of(text)) for text in window.texts],
        "text: characters": [len(text) for text in window.texts],
        "language": window.languages,
        "channel": window.channels,
        "prediction: contact type": window.predicted,
        "prediction: probability": window.probability.tolist(),
        "prediction: out of scope": window.out_of_scope.tolist(),
        "prediction: abstained": [str(value) for value in window.abstained.tolist()],
    }
    for name in sorted({name for row in window.attributes for name in row}):
        values = [row.get(name) for row in window.attributes]
        # Evidently takes a column of booleans for numbers; as words they are two categories.
        columns[f"{ATTRIBUTE}{name}"] = [str(value) if isinstance(value, bool) else value for value in values]
    return pd.DataFrame(columns)


def comparable(before: pd.DataFrame, after: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Columns with values in both frames, numbers and categories apart. All-null columns crash Evidently."""
    numeric, categorical = [], []
    for name in before.columns:
        if name not in after.columns or not before[name].notna().any() or not after[name].notna().any():
            continue
        values = {value for column in (before[name], after[name]) for value in column.dropna().tolist()}
        if all(isinstance(value, int | float) for value in values):
            numeric.append(name)
        elif len(values) <= _TOO_MANY and all(isinstance(value, str) for value in values):
            categorical.append(name)
    return numeric, categorical


def _snapshot(workspace: Workspace, run_id: str) -> Path:
    return workspace.reports / f"{run_id}.snapshot.json"
