"""The model card: README.md of a model directory, made from what training measured, in the layout that the hub reads.

Its sections follow Mitchell et al. 2019, "Model Cards for Model Reporting"; its front matter is the model card metadata
of Hugging Face, figures as a `model-index` among it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from models import release as names
from models.attributes import load_attributes
from models.calibrate import Calibration
from models.card_text import ETHICS, LIMITS, LOADING, USE
from models.confidence.limits import NEVER
from models.confidence.scope import LIMIT
from models.config import DEFAULT_ENCODER
from models.intervals import Share, share_of
from models.markdown import plain, table
from models.release import Release
from models.tree_index import index_tree
from tickets.catalogue import load_tree
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
_ON_THE_HUB = {DEFAULT_ENCODER: "sentence-transformers/all-MiniLM-L6-v2"}  # installed by pip, known to the hub as
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TAGS = ["customer-support", "ticket-triage", "text-classification", "onnx", "int8"]
_RANKING = "template_"  # what figures of reply templates begin with
_WORST = 10
_LEVEL = re.compile(r"accuracy_level_(\d+)")
Metrics = Mapping[str, Mapping[str, Mapping[str, float]]]  # who -> split (or `cost`) -> figure -> value


def model_card(release: Release) -> str:
    """Markdown with front matter: what the model is for, what it was trained on, how good it is beside the baselines
    and for whom, what it costs, how to load it, where it ends. Reads metrics.json and the catalogue in its folder."""
    found = _findings(release)
    tree = load_tree(release.path(names.TREE)) if release.path(names.TREE).is_file() else ContactTypeTree(nodes=())
    return f"""---
{front_matter(release)}
---
# Triage model {release.version}

Suggests contact types and reply templates for customer-support tickets, with calibrated probabilities.

{_details(release, tree)}
{USE}
## Training data

{_training_data(release, found)}
## Quality

Measured through the served int8 graph. The baselines learned from the same tickets. hits@k: the right one is among the
first k. MRR: the mean of 1 / its place. Calibration error: mean gap between probability and accuracy over 15 bins.

{_quality(release.metrics)}
### Intervals

95 %, by Wilson; tickets are taken as independent of each other.

{_intervals(release.metrics, found)}
## For whom it works

{_slices(found)}
### Contact types that it misses most

{_worst(found, tree)}
## Reading its probabilities

{_limits(release.calibration)}
{_reliability(found)}
## Cost

{_table(release.metrics, "cost", COST)}
{LOADING}
{ETHICS}
## Limits

{LIMITS}- Texts are cut after {release.max_tokens} tokens.
"""


def front_matter(release: Release) -> str:
    """The metadata of the card as YAML, without its fences."""
    from huggingface_hub import EvalResult, ModelCardData

    split = "test" if "test" in release.metrics["model"] else "validation"
    figures = release.metrics["model"].get(split, {})
    results = [
        EvalResult(
            task_type="text-ranking" if figure.startswith(_RANKING) else "text-classification",
            task_name="Reply templates" if figure.startswith(_RANKING) else "Contact types",
            dataset_type="support-tickets",
            dataset_name="Resolved support tickets",
            dataset_split=split,
            dataset_revision=release.data_hash[:40] or None,
            metric_type="accuracy" if _LEVEL.fullmatch(figure) else figure.removeprefix(_RANKING),
            metric_name=title,
            metric_value=round(float(figures[figure]), 4),
        )
        for figure, title in _titles(figures).items()
        if figure in figures and math.isfinite(figures[figure])
    ]
    data = ModelCardData(
        language=list(release.languages) or None,
        license="other",
        license_name="private",
        license_link="LICENSE",
        base_model=base_model(str(release.config.get("encoder", ""))),
        pipeline_tag="text-classification",
        tags=_TAGS,
        model_name=f"Triage model {release.version}",
        eval_results=results or None,
    )
    return data.to_yaml()


def base_model(encoder: str) -> str | None:
    """The hub's id of an encoder; None for a folder, which the hub does not know and whose path is private."""
    if encoder in _ON_THE_HUB:
        return _ON_THE_HUB[encoder]
    return encoder if _HUB_ID.fullmatch(encoder) and not Path(encoder).exists() else None


def _findings(release: Release) -> dict[str, Any]:
    path = release.path(names.METRICS)
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def _details(release: Release, tree: ContactTypeTree) -> str:
    encoder = str(release.config.get("encoder", ""))
    known = base_model(encoder)
    leaves = len(index_tree(tree).leaves)
    origin = known or f"the encoder in the folder {Path(encoder).name}"
    if release.started_from:
        origin += f", by way of version {release.started_from}"
    settings = {
        name: value for name, value in release.config.items() if name != "encoder" and value not in (None, "", [], ())
    }
    return f"""## Model details

- Trained {release.created_at[:10]} from {origin}: text encoder,
  attributes fused in by a gate, conditional softmax down the tree of contact types, a ranker of reply templates.
- It reads the text, language and channel{_attributes(release)}.
- {leaves:,} contact types (tree version {release.tree_version}), languages {", ".join(release.languages) or "unknown"}.
- Settings: {", ".join(f"{name} {_short(value)}" for name, value in settings.items()) or "unknown"}.
- Licence: see LICENSE. The encoder's own licence stays in force.
"""


def _attributes(release: Release) -> str:
    path = release.path(names.ATTRIBUTES)
    if not path.is_file():
        return ""
    spec = load_attributes(path)
    named = [column.name for column in spec.categories if column.source == "attribute"]
    named += [column.name for column in spec.numbers if column.source == "attribute"]
    counted = any(column.source == "statistic" for column in spec.numbers)
    return f", the attributes {', '.join(named)}" * bool(named) + ", and counts of words and signs" * counted


def _short(value: Any) -> str:
    """A setting in a line; of a path its last part, since folders are private."""
    text = json.dumps(value) if isinstance(value, (dict, list, tuple)) else str(value)
    return Path(text).name if text.startswith(("/", "~")) else text


def _training_data(release: Release, found: Mapping[str, Any]) -> str:
    rows = [
        [split, f"{window['tickets']:,}", window["from"][:10], window["to"][:10]]
        for split, window in release.windows.items()
    ]
    about = found.get("tickets", {}).get("train", {})
    told = [
        f"- {title}: {', '.join(f'{name} {count:,}' for name, count in about[key].items())}."
        for key, title in (("languages", "Languages"), ("channels", "Channels"), ("label_sources", "Labels from"))
        if about.get(key)
    ]
    if about.get("contact_types"):
        told.append(f"- {about['contact_types']:,} contact types have training tickets.")
    lines = ["Resolved tickets, cleaned and masked, split by time and without near-duplicates across splits where the"]
    lines.append("dataset brings no split of its own.\n")
    lines.append(table(("split", "tickets", "first", "last"), rows))
    if told:
        lines += ["\nOf the training tickets:\n", *told]
    lines.append(f"\nData hash `{release.data_hash[:16]}`, contact-type tree version {release.tree_version}.\n")
    return "\n".join(lines)


def _quality(metrics: Metrics) -> str:
    return "\n".join(f"### {split}\n\n{_table(metrics, split, QUALITY)}" for split in _splits(metrics))


def _splits(metrics: Metrics) -> list[str]:
    return [split for split in ("validation", "test") if split in metrics["model"]]


def _table(metrics: Metrics, split: str, rows: Mapping[str, str]) -> str:
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


def _titles(figures: Mapping[str, float]) -> dict[str, str]:
    """Every level's accuracy, then the other figures that have a name."""
    levels = sorted(int(level[1]) for name in figures if (level := _LEVEL.fullmatch(name)))
    titles = {f"accuracy_level_{level}": f"accuracy, level {level}" for level in levels}
    return titles | {name: title for name, title in QUALITY.items() if not _LEVEL.fullmatch(name)}


def _intervals(metrics: Metrics, found: Mapping[str, Any]) -> str:
    rows = []
    for split in _splits(metrics):
        figures = metrics["model"][split]
        leaves = sum(row["tickets"] for row in found.get("contact_types", {}).get(split, ()))
        for figure, title in _titles(figures).items():
            if figure not in figures or figure == "ece" or figure.endswith("mrr"):
                continue
            if figure.startswith(_RANKING):
                tickets = figures["template_tickets"]
            else:
                tickets = figures["tickets"] if figure == "accuracy_level_1" or not leaves else leaves
            share = share_of(round(figures[figure] * tickets), int(tickets))
            rows.append([split, title, f"{int(tickets):,}", str(share)])
    return table(("split", "figure", "tickets", "value"), rows) + "\n"


def _slices(found: Mapping[str, Any]) -> str:
    measured = found.get("slices", {})
    split = "test" if measured.get("test") else "validation"
    slices = measured.get(split, [])
    shown = [one for one in slices if one["name"] in ("language", "channel") or one["worse"]]
    if not shown:
        return (
            f"{'No slice is' if slices else 'No language, channel or attribute has enough tickets to be'} told apart.\n"
        )
    rows = [
        [
            plain(f"{one['name']}: {one['value']}") + (" **worse**" if one["worse"] else ""),
            f"{one['tickets']:,}",
            str(_right(one["error"])),
            str(_right(one["rest"])),
        ]
        for one in sorted(shown, key=lambda one: (one["name"], one["value"]))
    ]
    worse = sum(bool(one["worse"]) for one in slices)
    return (
        f"On {split} tickets, {len(slices)} slices by language, channel, length, month and attributes; {worse} are "
        "worse than the\nrest of the tickets (Fisher's exact test, Benjamini-Hochberg). Shown are languages, channels "
        f"and what is worse.\n\n{table(('slice', 'tickets', 'right', 'right among the rest'), rows)}\n"
    )


def _right(error: Mapping[str, Any]) -> Share:
    return share_of(error["tickets"] - error["hits"], error["tickets"])


def _worst(found: Mapping[str, Any], tree: ContactTypeTree) -> str:
    reports = found.get("contact_types", {})
    split = "test" if reports.get("test") else "validation"
    counted = [(row, round(row["tickets"] * (1 - row["recall"]))) for row in reports.get(split, ()) if row["tickets"]]
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


def _limits(calibration: Calibration) -> str:
    def from_to(limits: Sequence[float]) -> str:
        reached = sorted(limit for limit in limits if limit < NEVER)
        if not reached:
            return "never given: no limit reached its target"
        low, high, missed = reached[0], reached[-1], len(limits) - len(reached)
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


def _reliability(found: Mapping[str, Any]) -> str:
    measured = found.get("reliability", {})
    split = "test" if measured.get("test") else "validation"
    rows = [
        [
            f"{one['low']:.1f} to {one['high']:.1f}",
            f"{one['right']['tickets']:,}",
            f"{one['confidence']:.1%}",
            str(share_of(one["right"]["hits"], one["right"]["tickets"])),
            one["off"],
        ]
        for one in measured.get(split, ())
    ]
    if not rows:
        return ""
    return f"\nOn {split} tickets:\n\n{table(('probability', 'tickets', 'mean', 'right', ''), rows)}\n"


def _path(tree: ContactTypeTree, contact_type: str | None) -> str:
    if contact_type is None:
        return ""
    return plain(tree.path(contact_type) if contact_type in tree else contact_type)
