"""How reply templates fare: never used, always edited, nearly the same as another. Numpy and plain text alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.templates import TemplateMatrix
from service.console.replies import PLACEHOLDER
from service.dashboard.chart import Chart
from tickets.records import ReplyTemplate
from tickets.traffic import TemplateUse

ENOUGH_SENT = 30  # replies in the period, before a template that was not among them is called unused
ENOUGH_EDITS = 5  # sends whose edits are known, before a template is called always edited
ALWAYS = 0.9  # of those sends
SAME_WORDS = 0.75  # words in common, of all words of both (Jaccard 1901)
_NEAR = 0.8  # cosine of two vectors, from which the words of two templates are compared
_NEIGHBOURS = 5  # that are compared with each template
_ROWS = 512  # of the matrix of cosines at once
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class TemplateHealth:
    """A template with its figures; `findings` are words, empty when nothing is wrong."""

    template: ReplyTemplate
    use: TemplateUse
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemplatesSeen:
    """The health of all active templates, those with findings first, and the replies of the period in all."""

    all: Sequence[TemplateHealth]
    sent: int

    @property
    def ailing(self) -> Sequence[TemplateHealth]:
        return [health for health in self.all if health.findings]

    @property
    def enough(self) -> bool:
        return self.sent >= ENOUGH_SENT


def health(
    templates: Sequence[ReplyTemplate],
    use: Sequence[TemplateUse],
    alike: Mapping[str, Sequence[str]],
    *,
    language: str | None = None,
) -> TemplatesSeen:
    """Of active templates; where a language is named, of those in it and of others that its tickets were answered with.
    `alike` names those that say nearly the same."""
    used = {one.template_id: one for one in use}
    sent = sum(one.sent for one in use)
    seen = [
        _judge(
            template, used.get(template.template_id), alike.get(template.template_id, ()), enough=sent >= ENOUGH_SENT
        )
        for template in templates
        if template.active and (language in (None, template.language) or template.template_id in used)
    ]
    seen.sort(key=lambda one: (not one.findings, -len(one.findings), -one.use.sent, one.template.template_id))
    return TemplatesSeen(seen, sent)


@lru_cache(maxsize=2)
def near_duplicates(matrix: TemplateMatrix) -> Mapping[str, Sequence[str]]:
    """Template id -> the ids of active templates of its language that say nearly the same, nearest first. Remembered: a
    release that is served has one matrix, which never changes.

    Vectors find the neighbours, which need not say the same: templates that answer the same tickets stand close too. So
    the words decide.
    """
    found: dict[str, list[str]] = {}
    for language in {template.language for template in matrix.templates}:
        rows = [
            row for row, template in enumerate(matrix.templates) if template.active and template.language == language
        ]
        words = [_words(matrix.templates[row].body) for row in rows]
        for one, other in _neighbours(matrix.vectors[rows]):
            if words[one] and len(words[one] & words[other]) >= SAME_WORDS * len(words[one] | words[other]):
                ids = [matrix.templates[rows[place]].template_id for place in (one, other)]
                found.setdefault(ids[0], []).append(ids[1])
                found.setdefault(ids[1], []).append(ids[0])
    return found


def as_chart(seen: TemplatesSeen) -> Chart:
    """Every active template as a row; there is nothing to draw."""
    rows = [
        {
            "template": one.template.template_id,
            "title": one.template.title,
            "language": one.template.language,
            "sent": one.use.sent,
            "edited": one.use.edited / one.use.measured if one.use.measured else None,
            "text_changed": one.use.changed,
            "findings": "; ".join(one.findings),
        }
        for one in seen.all
    ]
    return Chart(("template", "title", "language", "sent", "edited", "text_changed", "findings"), rows)


def _judge(template: ReplyTemplate, use: TemplateUse | None, alike: Sequence[str], *, enough: bool) -> TemplateHealth:
    known = use or TemplateUse(template.template_id, 0, 0, 0, None)
    findings = []
    if known.sent == 0 and enough:
        findings.append("never used")
    if known.measured >= ENOUGH_EDITS and known.edited >= ALWAYS * known.measured:
        findings.append("always edited")
    if alike:
        findings.append(f"nearly the same as {', '.join(alike[:3])}{' and others' if len(alike) > 3 else ''}")
    return TemplateHealth(template, known, tuple(findings))


def _neighbours(vectors: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs of places where one is among the nearest of the other, nearest first, each once. Linear in memory."""
    pairs: dict[tuple[int, int], float] = {}
    for start in range(0, len(vectors), _ROWS):
        cosines = vectors[start : start + _ROWS] @ vectors.T
        for row, near in enumerate(cosines, start=start):
            near[row] = -1.0
            for place in np.argsort(-near)[:_NEIGHBOURS].tolist():
                if near[place] >= _NEAR:
                    pairs[min(row, place), max(row, place)] = float(near[place])
    return sorted(pairs, key=lambda pair: -pairs[pair])


def _words(body: str) -> frozenset[str]:
    return frozenset(_WORD.findall(PLACEHOLDER.sub(" ", body).casefold()))
