"""GET /v1/contact-types, /v1/templates and /v1/model: what can be suggested and chosen, and by which release."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from service.problems import documented
from service.schemas import ModelAnswer, TemplatesAnswer, TreeAnswer
from service.serving import Held

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/contact-types", response_model=TreeAnswer)
def contact_types(held: Held) -> dict[str, Any]:
    """The contact-type tree, in tree order; empty before the first import."""
    tree = held.choices.tree()
    return {
        "version": tree.version,
        "contact_types": [asdict(node) | {"path": tree.path(node.id)} for node in tree.nodes],
        "mapping": tree.mapping,
    }


@router.get("/templates", response_model=TemplatesAnswer)
def templates(held: Held) -> dict[str, Any]:
    """The reply templates, the inactive ones too."""
    return {"templates": [asdict(template) for template in held.choices.templates()]}


@router.get("/model", response_model=ModelAnswer, responses=documented(503))
def model(held: Held) -> dict[str, Any]:
    """The release that is served, and how it scored when it was trained."""
    loaded = held.releases.require(retry_after=held.options.retry_after_seconds)
    release = loaded.suggester.release
    refused = held.releases.refused or held.releases.refused_challenger
    challenger = held.releases.challenger
    return {
        "version": release.version,
        "created_at": release.created_at,
        "loaded_at": loaded.loaded_at,
        "tree_version": release.tree_version,
        "languages": release.languages,
        "windows": release.windows,
        "metrics": release.metrics,
        "challenger": asdict(challenger.challenge) if challenger else None,
        "refused": {"version": refused.version, "reason": refused.reason} if refused else None,
    }
