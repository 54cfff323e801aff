"""The front matter of a model card, as the hub reads it: the model card metadata of Hugging Face, figures as a
`model-index` among it."""

from __future__ import annotations

import math
import re
from pathlib import Path

from models.card_figures import LEVEL, RANKING, titles
from models.config import DEFAULT_ENCODER
from models.release import Release

_ON_THE_HUB = {DEFAULT_ENCODER: "sentence-transformers/all-MiniLM-L6-v2"}  # installed by pip, known to the hub as
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_TAGS = ["customer-support", "ticket-triage", "text-classification", "onnx", "int8"]


def front_matter(release: Release) -> str:
    """The metadata of the card as YAML, without its fences."""
    from huggingface_hub import EvalResult, ModelCardData

    split = "test" if "test" in release.metrics["model"] else "validation"
    figures = release.metrics["model"].get(split, {})
    results = [
        EvalResult(
            task_type="text-ranking" if figure.startswith(RANKING) else "text-classification",
            task_name="Reply templates" if figure.startswith(RANKING) else "Contact types",
            dataset_type="support-tickets",
            dataset_name="Resolved support tickets",
            dataset_split=split,
            dataset_revision=release.data_hash[:40] or None,
            metric_type="accuracy" if LEVEL.fullmatch(figure) else figure.removeprefix(RANKING),
            metric_name=title,
            metric_value=round(float(figures[figure]), 4),
        )
        for figure, title in titles(figures).items()
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
