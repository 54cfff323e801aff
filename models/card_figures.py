"""The figures of a model card: how good the model is, beside whom, how surely, and for whom. Markdown, a section a
function, from what training measured."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from models.calibrate import Calibration
from models.confidence.limits import NEVER
from models.confidence.scope import LIMIT
from models.intervals import Share, share_of
from models.markdown import plain, table
from tickets.contact_types import ContactTypeTree

QUALITY = {
    "accuracy_level_1": "accuracy, top level",
    "accuracy": "accuracy, contact type",
    "hits@3": "hits@3",
    "hits@5": "hits@5",
    "mrr": "MRR",
    "ece": "calibration error",
    "template_hits@1": "templates, hits@1",
    "template_hits@3": "templates, hits@3",
    "template_mrr": "templates, MRR",
}
COST = {"train_seconds": "seconds to train", "ms_per_ticket": "ms a ticket", "megabytes": "MB"}
RANKING = "template_"  # what figures of reply templates begin with
LEVEL = re.compile(r"accuracy_level_(\d+)")
_WORST = 10  # contact types
Metrics = Mapping[str, Mapping[str, Mapping[str, float]]]  # who -> split (or `cost`) -> figure -> value


def quality(metrics: Metrics) -> str:
    """A table a split: the model beside the baselines."""
    return "\n".join(f"### {split}\n\n{compared(metrics, split, QUALITY)}" for split in _splits(metrics))


def _splits(metrics: Metrics) -> list[str]:
    return [split for split in ("validation", "test") if split in metrics["model"]]


def compared(metrics: Metrics, split: str, rows: Mapping[str, str]) -> str:
    """A row a figure (`rows` maps it to its title) that anybody has, a column for each of those measured."""
    who = list(metrics)
    lines = [f"| | {' | '.join(who)} |", f"|---|{'--:|' * len(who)}"]
    for figure, title in rows.items():
        values = [metrics[name].get(split, {}).get(figure) for name in who]
        if any(value is not None for value in values):
            lines.append(f"| {title} | {' | '.join('' if v is None else _figure(v) for v in values)} |")
    return "\n".join(lines) + "\n"


def _figure(value: float) -> str:
    """Three digits that count, large numbers whole: 0.815, 4.5, 1,843."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def titles(figures: Mapping[str, float]) -> dict[str, str]:
    """Every level's accuracy, then the other figures that have a name."""
    levels = sorted(int(level[1]) for name in figures if (level := LEVEL.fullmatch(name)))
    told = {f"accuracy_level_{level}": f"accuracy, level {level}" for level in levels}
    return told | {name: title for name, title in QUALITY.items() if not LEVEL.fullmatch(name)}


def intervals(metrics: Metrics, found: Mapping[str, Any]) -> str:
    """The model's shares with their 95 % intervals, and the tickets that each is of."""
    rows = []
    for split in _splits(metrics):
        figures = metrics["model"][split]
        leaves = sum(row["tickets"] for row in found.get("contact_types", {}).get(split, ()))
        for figure, title in titles(figures).items():
            if figure not in figures or figure == "ece" or figure.endswith("mrr"):
                continue
            if figure.startswith(RANKING):
                tickets = figures["template_tickets"]
            else:
                tickets = figures["tickets"] if figure == "accuracy_level_1" or not leaves else leaves
            share = share_of(round(figures[figure] * tickets), int(tickets))
            rows.append([split, title, f"{int(tickets):,}", str(share)])
    return table(("split", "figure", "tickets", "value"), rows) + "\n"


def slices(found: Mapping[str, Any]) -> str:
    """Languages, channels, and whatever else is worse than the rest."""
    split, measured = _last_split(found.get("slices", {}))
    shown = [one for one in measured if one["name"] in ("language", "channel") or one["worse"]]
    if not shown:
        none = "No slice is" if measured else "No language, channel or attribute has enough tickets to be"
        return f"{none} told apart.\n"
    rows = [
        [
            plain(f"{one['name']}: {one['value']}") + (" **worse**" if one["worse"] else ""),
            f"{one['tickets']:,}",
            str(_right(one["error"])),
            str(_right(one["rest"])),
        ]
        for one in sorted(shown, key=lambda one: (one["name"], one["value"]))
    ]
    worse = sum(bool(one["worse"]) for one in measured)
    return (
        f"On {split} tickets, {len(measured)} slices by language, channel, length, month and attributes; {worse} are "
        "worse than the\nrest of the tickets (Fisher's exact test, Benjamini-Hochberg). Shown are languages, channels "
        f"and what is worse.\n\n{table(('slice', 'tickets', 'right', 'right among the rest'), rows)}\n"
    )


def _last_split(found: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
    """Test and what was found of it, or of validation where test has nothing."""
    split = "test" if found.get("test") else "validation"
    return split, found.get(split, ())


def _right(error: Mapping[str, Any]) -> Share:
    return share_of(error["tickets"] - error["hits"], error["tickets"])


def worst_types(found: Mapping[str, Any], tree: ContactTypeTree) -> str:
    """The contact types of which most tickets were missed."""
    split, reports = _last_split(found.get("contact_types", {}))
    counted = [(row, round(row["tickets"] * (1 - row["recall"]))) for row in reports if row["tickets"]]
    worst = [entry for entry in sorted(counted, key=lambda entry: (-entry[1], entry[0]["contact_type"])) if entry[1]]
    rows = [
        [
            _path(tree, row["contact_type"]),
            f"{row['tickets']:,}",
            f"{missed:,}",
            str(share_of(row["tickets"] - missed, row["tickets"])),
            "" if row["precision"] is None else f"{row['precision']:.1%}",
            _path(tree, row["taken_for"]),
        ]
        for row, missed in worst[:_WORST]
    ]
    if not rows:
        return "None was missed.\n"
    headings = ("contact type", "tickets", "missed", "recall", "precision", "most often taken for")
    return f"On {split} tickets.\n\n{table(headings, rows)}\n"


def limits(calibration: Calibration) -> str:
    """Where bands begin and abstaining ends, and how the probabilities were made."""

    def from_to(begins: Sequence[float]) -> str:
        reached = sorted(limit for limit in begins if limit < NEVER)
        if not reached:
            return "never given: no limit reached its target"
        low, high, missed = reached[0], reached[-1], len(begins) - len(reached)
        told = f"from a probability of {low:.2f}" + (f" to {high:.2f}, by contact type" if high > low else "")
        return told + (f"; never for {missed:,} contact types" if missed else "")

    highs, mediums = zip(*(calibration.type_limits.values() or [(calibration.high, calibration.medium)]), strict=True)
    lines = [
        f"- Band high: {from_to(highs)}.",
        f"- Band medium: {from_to(mediums)}.",
        "- Every contact type has limits of its own." if calibration.type_limits else "",
        f"- Abstains below probability {calibration.abstain_below:.2f}, and above the out-of-scope score {LIMIT}.",
        f"- Temperatures, top level first: {', '.join(f'{value:.2f}' for value in calibration.temperatures)}.",
        f"- Similar training tickets deal out {calibration.votes.share:.0%} of the probability."
        if calibration.votes.share
        else "",
        f"- Answer sets are made to hold the right contact type for {calibration.sets.coverage:.0%} of tickets."
        if calibration.sets
        else "",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def reliability(found: Mapping[str, Any]) -> str:
    """How often suggestions of each probability were right; "" where nobody has counted."""
    split, measured = _last_split(found.get("reliability", {}))
    rows = [
        [
            f"{one['low']:.1f} to {one['high']:.1f}",
            f"{one['right']['tickets']:,}",
            f"{one['confidence']:.1%}",
            str(share_of(one["right"]["hits"], one["right"]["tickets"])),
            one["off"],
        ]
        for one in measured
    ]
    if not rows:
        return ""
    return f"\nOn {split} tickets:\n\n{table(('probability', 'tickets', 'mean', 'right', ''), rows)}\n"


def _path(tree: ContactTypeTree, contact_type: str | None) -> str:
    if contact_type is None:
        return ""
    return plain(tree.path(contact_type) if contact_type in tree else contact_type)
