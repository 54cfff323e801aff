"""A climb on disk: ladder.json with every figure, ladder.md for people, ladder.svg; and the table they share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.ladder.budget import UNITS, Recommendation, amount
from models.ladder.record import LadderRun, RungResult
from tickets.errors import MissingStepError, WorkspaceError
from tickets.workspace import Workspace, write_text

FORMAT = 1
RECORD, PAGE, PICTURE, RULES = "ladder.json", "ladder.md", "ladder.svg", "keyword_rules.txt"
HEADINGS = ("rung", "reads", "right %", "95 %", "hits@3", "ECE", "templates hits@3", *UNITS.values())
_SHARES = ("hits@3", "ece", "template_hits@3")


def table(run: LadderRun) -> list[tuple[str, ...]]:
    """One row a rung, under HEADINGS; a rung that failed has only its name."""
    rows = []
    for rung in run.rungs:
        if rung.problem:
            rows.append((rung.title, rung.reads, "failed", *[""] * (len(HEADINGS) - 3)))
            continue
        accuracy, judged = rung.accuracy, rung.figures[run.split]
        shares = [_share(name, judged.get(name)) for name in _SHARES]
        spent = [amount(rung.cost(name)) for name in UNITS]
        interval = f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
        rows.append((rung.title, rung.reads, f"{100 * rung.right:.1f}", interval, *shares, *spent))
    return rows


def notes(run: LadderRun) -> list[str]:
    """What the table cannot say: why a rung failed, where a model comes from."""
    problems = [f"{rung.title} failed: {rung.problem}" for rung in run.rungs if rung.problem]
    return problems + [f"{rung.title}: {rung.note}." for rung in run.rungs if rung.note]


def write_ladder(workspace: Workspace, run: LadderRun, recommendation: Recommendation, picture: str | None) -> Path:
    """Write everything under experiments/, the record last; returns the page. `picture` is SVG, None without one."""
    folder = workspace.experiments
    if picture is not None:
        write_text(folder / PICTURE, picture)
    for rung in run.rungs:
        if rung.readable:
            write_text(folder / RULES, rung.readable)
    write_text(folder / PAGE, page(run, recommendation, with_picture=picture is not None))
    write_text(folder / RECORD, to_json(run, recommendation))
    return folder / PAGE


def read_ladder(workspace: Workspace) -> LadderRun:
    """The last climb. Raises MissingStepError before the first, WorkspaceError when the file is something else."""
    path = workspace.experiments / RECORD
    if not path.exists():
        raise MissingStepError("no ladder has been climbed yet.", hint="Run `triage baselines` first.")
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']}")
        return _run_of(facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(f"cannot read {path}: {error!r}.", hint="Run `triage baselines` again.") from error


def page(run: LadderRun, recommendation: Recommendation, *, with_picture: bool) -> str:
    """Markdown: the table, the picture, the recommendation."""
    counts = ", ".join(f"{split} {count:,}" for split, count in run.tickets.items())
    numbers = "|".join(["---", "---", *["--:"] * (len(HEADINGS) - 2)])
    lines = [
        "# The ladder: what it costs to be how good",
        "",
        f"Judged on the {run.split} tickets that end in a leaf ({len(_judged(run)):,}). Tickets: {counts}. Data hash "
        f"`{run.data_hash[:16]}`. Measured {run.made_at[:10]} on {run.machine}; milliseconds are the median of single "
        "tickets on one thread.",
        "",
        f"|{'|'.join(HEADINGS)}|",
        f"|{numbers}|",
        *(f"|{'|'.join(row)}|" for row in table(run)),
        "",
        *(f"- {note}" for note in notes(run)),
        "",
        *([f"![Quality against costs]({PICTURE})", ""] if with_picture else []),
        *(f"{line}  " for line in recommendation.lines),
    ]
    return "\n".join(lines) + "\n"


def to_json(run: LadderRun, recommendation: Recommendation) -> str:
    """Every figure, and each judged ticket as 0 or 1, so that rungs can be compared later."""
    rungs = [
        {
            "name": rung.name,
            "title": rung.title,
            "reads": rung.reads,
            "figures": rung.figures,
            "accuracy": None if rung.problem else rung.accuracy.value,
            "accuracy_interval": None if rung.problem else [rung.accuracy.low, rung.accuracy.high],
            "correct": "".join("1" if right else "0" for right in rung.correct),
            "problem": rung.problem,
            "note": rung.note,
            "readable": rung.readable,
        }
        for rung in run.rungs
    ]
    facts = {
        "format": FORMAT,
        "made_at": run.made_at,
        "machine": run.machine,
        "data_hash": run.data_hash,
        "split": run.split,
        "tickets": dict(run.tickets),
        "settings": dict(run.settings),
        "recommendation": {"rung": recommendation.rung, "words": list(recommendation.lines)},
        "rungs": rungs,
    }
    return json.dumps(facts, indent=1, ensure_ascii=False) + "\n"


def _run_of(facts: Mapping[str, Any]) -> LadderRun:
    return LadderRun(
        rungs=tuple(
            RungResult(
                name=rung["name"],
                title=rung["title"],
                reads=rung["reads"],
                figures=rung["figures"],
                correct=np.array([letter == "1" for letter in rung["correct"]], np.bool_),
                problem=rung["problem"],
                note=rung["note"],
                readable=rung["readable"],
            )
            for rung in facts["rungs"]
        ),
        split=facts["split"],
        tickets=facts["tickets"],
        data_hash=facts["data_hash"],
        settings=facts["settings"],
        machine=facts["machine"],
        made_at=facts["made_at"],
    )


def _judged(run: LadderRun) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return max((rung.correct for rung in run.rungs), key=len, default=np.zeros(0, np.bool_))


def _share(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if name == "ece" else f"{100 * value:.1f}"
