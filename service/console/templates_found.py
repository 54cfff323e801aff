"""Reply templates beyond those suggested: found by their words, by language and by contact type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from service.choices import Choices
from service.pages import render
from service.query_values import Word
from service.serving import Held
from tickets.records import ReplyTemplate

MOST = 20

router = APIRouter(prefix="/console")


@dataclass(frozen=True)
class TemplateSearch:
    """What is looked for; empty means any. A contact type stands for all that is under it."""

    words: Word = ""
    template_language: Word = ""
    template_type: Word = ""

    @property
    def asked(self) -> bool:
        return bool(self.words.strip() or self.template_language or self.template_type)


@router.get("/templates")
def find_templates(
    request: Request, held: Held, search: Annotated[TemplateSearch, Depends()], template_id: Word = ""
) -> HTMLResponse:
    """A piece of page with what was found, each with a radio button named `template_id`; the one that was found before
    and chosen stays."""
    found = templates_offered(held.choices, search, chosen=template_id)
    return render(
        request, "found_templates.html", found_templates=found, template_search=search, chosen_template=template_id
    )


def templates_offered(
    choices: Choices,
    search: TemplateSearch,
    *,
    chosen: str,
    language: str | None = None,
    without: Sequence[str] = (),
) -> list[ReplyTemplate]:
    """The templates that were found, and before them the chosen one where the search does not find it again."""
    found = _templates_found(choices, search, language=language, without=without)
    kept = choices.template(chosen) if chosen not in ("", *without) else None
    return found if kept is None or kept in found else [kept, *found]


def _templates_found(
    choices: Choices, search: TemplateSearch, *, language: str | None, without: Sequence[str]
) -> list[ReplyTemplate]:
    """Active templates whose title or body holds every word, those in `language` first; none when nothing is asked."""
    if not search.asked:
        return []
    words = search.words.casefold().split()
    found = [
        template
        for template in choices.templates()
        if template.active
        and template.template_id not in without
        and search.template_language in ("", template.language)
        and _may_serve(choices, template, search.template_type)
        and all(word in f"{template.title} {template.body}".casefold() for word in words)
    ]
    return sorted(found, key=lambda template: template.language != language)[:MOST]


def languages_of(choices: Choices) -> list[str]:
    return sorted({template.language for template in choices.templates() if template.active and template.language})


def _may_serve(choices: Choices, template: ReplyTemplate, contact_type: str) -> bool:
    """Whether a template is for this contact type, for one below it or above it, or for any."""
    if not contact_type or not template.contact_types:
        return True
    tree = choices.tree()
    if contact_type not in tree:
        return contact_type in template.contact_types
    above = {node.id for node in tree.ancestors(contact_type)}
    return any(
        served in above or (served in tree and contact_type in {node.id for node in tree.ancestors(served)})
        for served in template.contact_types
    )
