"""Why an alarm was raised: the contact types, the words and the tickets that carry it, and what to do about it.

Each detector has its own way of saying which tickets are telling. What those have in common and the reference has not
is the explanation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.diagnosis.telling_words import own_words, together, word_counts
from monitoring.alarms import fell
from monitoring.detectors.attributes import NEW, NUMBER, category, is_number, is_there
from monitoring.detectors.text import words_of
from monitoring.recommendations import recommend
from monitoring.windows import Window
from tickets.monitor_log import DetectorResult

EXAMPLES = 5
_TELLING = 0.1  # of the current tickets, where a detector names no group of its own
_LEAST = 10
_MORE = 0.03  # of telling tickets, beyond the share that a contact type has in the reference
_TYPES = 3

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`contact_types`, `words` and `examples` (ticket ids) most telling first; `recommends` in sentences."""

    contact_types: Sequence[str]
    words: Sequence[str]
    examples: Sequence[str]
    recommends: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return {
            "contact_types": list(self.contact_types),
            "words": list(self.words),
            "examples": list(self.examples),
            "recommends": list(self.recommends),
        }


def explain(
    result: DetectorResult,
    reference: Window,
    current: Window,
    *,
    overridden: Sequence[str] = (),
    results: Sequence[DetectorResult] = (),
) -> Explanation:
    """`overridden` are tickets whose suggestion agents corrected; `results` the whole night's, for what to do."""
    looked = result.statistic is not None and len(reference) and len(current)
    scores = _scores(result, reference, current, overridden) if looked else None
    rows = np.zeros(0, np.int64) if scores is None else _telling(scores)
    types = _contact_types(rows, reference, current)
    told, before = word_counts([current.texts[row] for row in rows.tolist()]), word_counts(reference.texts)
    words = own_words(told, before, together([told, before]))
    new = _words_of(result)
    examples = [current.ticket_ids[row] for row in rows[:EXAMPLES].tolist()]
    return Explanation(
        contact_types=types,
        words=[*new, *(word for word in words if word not in new)][:10],
        examples=list(result.details.get("examples", ())) or examples,
        recommends=recommend(result, types, results),
    )


def _words_of(result: DetectorResult) -> list[str]:
    """The words that a detector of words names itself."""
    if result.detector == "text.unseen_words" and not fell(result.details):
        return [str(word) for word in result.details.get("new", ())]
    if result.detector == "text.words":
        return [row["name"] for row in result.details.get("moved", ()) if row["current"] > row["reference"]]
    return []


def _telling(scores: Doubles) -> NDArray[np.int64]:
    """The rows that carry a change, the most telling first: those in a group of their own, else the highest tenth."""
    order: NDArray[np.int64] = np.argsort(-scores, kind="stable").astype(np.int64)
    if set(np.unique(scores).tolist()) <= {0.0, 1.0}:
        return order[: int(scores.sum())]
    return order[: max(_LEAST, round(_TELLING * len(scores)))]


def _contact_types(rows: NDArray[np.int64], reference: Window, current: Window) -> list[str]:
    """Predicted types that are more frequent among the telling tickets than in the reference, the most first."""
    if not len(rows):
        return []
    before = Counter(reference.predicted)
    now = Counter(current.predicted[row] for row in rows.tolist())
    more = {kind: count / len(rows) - before[kind] / max(1, len(reference)) for kind, count in now.items()}
    ranked = sorted(more, key=lambda kind: (-more[kind], kind))
    return [kind for kind in ranked if more[kind] > _MORE and now[kind] > 1][:_TYPES]


def _scores(result: DetectorResult, reference: Window, current: Window, overridden: Sequence[str]) -> Doubles | None:
    """(m,) how telling each current ticket is, 0 or 1 where it is a matter of belonging; None where none is."""
    details, scores = result.details, None
    sign = -1.0 if fell(details) else 1.0  # to the side that the figure moved to
    match result.detector:
        case "embeddings.domain" | "embeddings.mmd":
            towards = current.embeddings.mean(axis=0) - reference.embeddings.mean(axis=0)
            scores = np.asarray(current.embeddings @ towards, dtype=np.float64)
        case "predictions.types" | "predictions.one_type":
            scores = _grew(details, current.predicted)
        case "text.language":
            scores = _grew(details, current.languages)
        case "text.length":
            scores = sign * np.array([len(words_of(text)) for text in current.texts], dtype=np.float64)
        case "text.words":
            grown = set(_words_of(result))
            scores = np.array([bool(grown & set(words_of(text))) for text in current.texts], dtype=np.float64)
        case "text.unseen_words":
            scores = _unseen(details, reference, current)
        case "attributes":
            scores = _attribute(details, reference, current)
        case "accuracy.estimate":
            scores = -current.probability
        case "confidence.probability":
            scores = sign * current.probability
        case "confidence.out_of_scope":
            scores = sign * current.out_of_scope
        case "confidence.abstained":
            scores = (~current.abstained if fell(details) else current.abstained).astype(np.float64)
        case name if name.startswith("feedback."):
            corrected = set(overridden)
            scores = np.array([ticket_id in corrected for ticket_id in current.ticket_ids], dtype=np.float64)
    return scores


def _grew(details: Mapping[str, Any], values: Sequence[str]) -> Doubles:
    """Belonging to the categories whose share rose most, of those that were named."""
    moved = [row for row in details.get("moved", ()) if row["current"] > row["reference"]]
    grown = {row["name"] for row in moved[:_TYPES]}
    return np.array([value in grown for value in values], dtype=np.float64)


def _attribute(details: Mapping[str, Any], reference: Window, current: Window) -> Doubles:
    """Tickets whose value of the attribute that moved most belongs to what grew, or lies on the side it moved to."""
    moved: Mapping[str, Any] = next(iter(details.get("moved", ())), {})
    name = moved.get("attribute", "")
    values = [row.get(name) for row in current.attributes]
    if "categories" in moved:
        grown = {row["name"] for row in moved["categories"] if row["current"] > row["reference"]}
        return np.array([category(value) in grown for value in values], np.float64)
    if "median" in moved:
        sign = 1.0 if moved["median"]["current"] >= moved["median"]["reference"] else -1.0
        return np.array([sign * value if is_number(value) else -np.inf for value in values], np.float64)
    more = "current" in moved and moved["current"] > moved["reference"]
    if moved.get("of") == NEW:
        known = {category(row.get(name)) for row in reference.attributes}
        return np.array([is_there(value) and (category(value) not in known) == more for value in values], np.float64)
    holds = is_number if moved.get("of") == NUMBER else is_there
    return np.array([holds(value) == more for value in values], dtype=np.float64)


def _unseen(details: Mapping[str, Any], reference: Window, current: Window) -> Doubles:
    """Tickets that use a new word, or, where no word is shared, the share of words that the reference never has; of
    fewer new words, those that hold none."""
    new = set(details.get("new", ()))
    words = [set(words_of(text)) for text in current.texts]
    known = {word for text in reference.texts for word in words_of(text)}
    if fell(details):
        return np.array([bool(said) and said <= known for said in words], dtype=np.float64)
    if new:
        return np.array([bool(new & said) for said in words], dtype=np.float64)
    return np.array([len(said - known) / max(1, len(said)) for said in words], dtype=np.float64)
