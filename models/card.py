"""The model card: README.md of a model directory, made from what training measured, in the layout that the hub reads.

Its sections follow Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models import card_figures as figures
from models import release as names
from models.attributes import load_attributes
from models.card_metadata import base_model, front_matter
from models.card_text import ETHICS, LIMITS, LOADING, USE
from models.markdown import table
from models.release import Release
from models.tree_index import index_tree
from tickets.catalogue import load_tree
from tickets.contact_types import ContactTypeTree


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

{figures.quality(release.metrics)}
### Intervals

95 %, by Wilson; tickets are taken as independent of each other.

{figures.intervals(release.metrics, found)}
## For whom it works

{figures.slices(found)}
### Contact types that it misses most

{figures.worst_types(found, tree)}
## Reading its probabilities

{figures.limits(release.calibration)}
{figures.reliability(found)}
## Cost

{figures.compared(release.metrics, "cost", figures.COST)}
{LOADING}
{ETHICS}
## Limits

{LIMITS}- Texts are cut after {release.max_tokens} tokens.
"""


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
