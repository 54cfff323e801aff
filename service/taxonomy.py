"""GET /v1/contact-types, /v1/templates and /v1/model: what can be suggested and chosen, and by which release."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.examples import MODEL, TEMPLATES, TREE
from service.pages.shown_text import plain_text
from service.problems import documented
from service.schemas import ModelAnswer, TemplatesAnswer, TreeAnswer
from service.serving import Held
from service.wire import answers

router = APIRouter(prefix="/v1", tags=["catalogue"])

PlainText = Annotated[bool, Query(description="Bodies as they are copied into a reply: HTML becomes text.")]


@router.get("/contact-types", response_model=TreeAnswer, responses=answers(TREE))
def contact_types(held: Held) -> dict[str, Any]:
    """The contact-type tree, in tree order; empty before the first import."""
    tree = held.choices.tree()
    return {
        "version": tree.version,
        "contact_types": [asdict(node) | {"path": tree.path(node.id)} for node in tree.nodes],
        "mapping": tree.mapping,
    }


@router.get("/templates", response_model=TemplatesAnswer, responses=answers(TEMPLATES) | documented(422))
def templates(held: Held, plain: PlainText = False) -> dict[str, Any]:
    """The reply templates, the inactive ones too."""
    found = [asdict(template) for template in held.choices.templates()]
    return {"templates": [row | {"body": plain_text(row["body"])} for row in found] if plain else found}


@router.get("/model", response_model=ModelAnswer, responses=answers(MODEL) | documented(503))
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
