"""The model card: README.md of a model directory, in the layout that Hugging Face reads."""

from __future__ import annotations

from collections.abc import Mapping

from models.calibrate import NEVER, SCOPE_LIMIT, Calibration
from models.release import Release

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


def model_card(release: Release) -> str:
    """Markdown: what the model is for, what it was trained on, how good it is beside the baselines, where it ends."""
    windows = "\n".join(
        f"| {split} | {window['tickets']:,} | {window['from'][:10]} | {window['to'][:10]} |"
        for split, window in release.windows.items()
    )
    return f"""---
pipeline_tag: text-classification
language: [{", ".join(release.languages)}]
base_model: {release.config.get("encoder", "")}
---
# Triage model {release.version}

Suggests contact types and reply templates for support tickets. People decide: where the model is too unsure, or a
ticket is unlike anything it has seen, it abstains and pre-selects nothing. It is not meant to close tickets by itself.

## Data

| split | tickets | first | last |
|---|--:|---|---|
{windows}

Data hash `{release.data_hash[:16]}`, contact-type tree version {release.tree_version}.

## Quality

Measured through the served int8 graph. The baselines learned from the same tickets.

{_quality(release.metrics)}
## Cost

{_table(release.metrics, "cost", COST)}
## Reading its probabilities

{_limits(release.calibration)}
## Limits

- Contact types without training tickets are found by their name and description alone.
- The validation tickets chose the weights that were kept (early stopping) and fitted temperatures, bands and the
  limits of abstaining, all at once: their figures, the calibration error above all, flatter the model. Nothing was
  chosen on the test tickets.
- Similar tickets and distances are taken from training tickets alone.
- Texts are cut after {release.max_tokens} tokens.
"""


def _quality(metrics: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    splits = [split for split in ("validation", "test") if split in metrics["model"]]
    return "\n".join(f"### {split}\n\n{_table(metrics, split, QUALITY)}" for split in splits)


def _table(metrics: Mapping[str, Mapping[str, Mapping[str, float]]], split: str, rows: Mapping[str, str]) -> str:
    names = list(metrics)
    lines = [f"| | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
    for figure, title in rows.items():
        values = [metrics[name].get(split, {}).get(figure) for name in names]
        if any(value is not None for value in values):
            lines.append(f"| {title} | {' | '.join('' if v is None else f'{v:.3g}' for v in values)} |")
    return "\n".join(lines) + "\n"


def _limits(calibration: Calibration) -> str:
    def at_least(limit: float) -> str:
        return "never given: no limit reached its target" if limit >= NEVER else f"probability {limit:.2f} or more"

    temperatures = ", ".join(f"{value:.2f}" for value in calibration.temperatures)
    return f"""- Band high: {at_least(calibration.high)}. Band medium: {at_least(calibration.medium)}.
- Abstains below probability {calibration.abstain_below:.2f}, and above the out-of-scope score {SCOPE_LIMIT}.
- Temperatures, top level first: {temperatures}.
"""
