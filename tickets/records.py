"""The records that flow through the product. All are frozen; all times are UTC and carry their zone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

AttributeValue = str | float | bool | None
Band = Literal["high", "medium", "low"]
FeedbackAction = Literal["accepted", "corrected", "ignored"]
Arm = Literal["champion", "canary", "holdout"]
OutcomeSource = Literal["agent", "labeler", "import"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a customer wrote and what the helpdesk knew when it arrived. `customer_key` is a hash, never an address."""

    ticket_id: str
    created_at: datetime
    body: str
    subject: str = ""
    channel: str = ""
    language: str | None = None
    customer_key: str | None = None
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a ticket ended: its contact type and, if one was sent, its reply template."""

    ticket_id: str
    contact_type: str
    template_id: str | None = None
    resolved_at: datetime | None = None
    handle_seconds: float | None = None
    source: OutcomeSource = "import"
    labeler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyTemplate:
    """A reply that agents send, with `{{placeholders}}`. Empty `contact_types` means it may serve any."""

    template_id: str
    title: str
    body: str
    language: str = "en"
    contact_types: tuple[str, ...] = ()
    active: bool = True
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedContactType:
    """A contact type with the calibrated probability (0 to 1) that it is the right one."""

    contact_type: str
    path: str
    probability: float
    band: Band


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedTemplate:
    """A reply template; `score` orders templates within one suggestion and is no probability."""

    template_id: str
    title: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarTicket:
    """A resolved ticket close to this one; `similarity` is a cosine, -1 to 1."""

    ticket_id: str
    snippet: str
    contact_type: str
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WordWeight:
    """A word of the ticket and how much it spoke for the first contact type."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSet:
    """The contact types, best first, among which the right one is with a probability of `coverage`. Empty when there
    are too many to be of use; `under` is then the part of the tree that it is in, where that can be told."""

    coverage: float
    contact_types: tuple[str, ...] = ()
    under: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What the model says of one ticket, best first. `abstained` means: show the list, pre-select nothing.

    `arm` is the part of the traffic that the ticket fell into: `canary` was answered by a challenger; in `holdout`,
    what the model says is kept and shown to nobody.
    """

    suggestion_id: str
    ticket_id: str
    model_version: str
    created_at: datetime
    contact_types: tuple[RankedContactType, ...]
    templates: tuple[RankedTemplate, ...]
    abstained: bool = False
    abstain_reason: str | None = None
    out_of_scope: float = 0.0
    answer_set: AnswerSet | None = None  # None: made before there were any, or by a release without them
    similar: tuple[SimilarTicket, ...] = ()
    words: tuple[WordWeight, ...] = ()
    arm: Arm = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What an agent did with a suggestion. `edit_distance` is the share of the template's text that changed, 0 to 1."""

    feedback_id: str
    suggestion_id: str
    ticket_id: str
    action: FeedbackAction
    at: datetime
    contact_type: str | None = None
    template_id: str | None = None
    edit_distance: float | None = None
    handle_seconds: float | None = None
    agent: str | None = None


def shown(suggestion: Suggestion) -> Suggestion:
    """What an agent gets to see of a suggestion: nothing of one that is withheld, to measure what suggestions do."""
    if suggestion.arm != "holdout":
        return suggestion
    return dataclasses.replace(
        suggestion,
        contact_types=(),
        templates=(),
        abstained=True,
        abstain_reason="withheld to measure the effect of suggestions",
        answer_set=None,
        similar=(),
        words=(),
    )


def to_json(record: Any) -> dict[str, Any]:
    """A record as JSON-ready data: times become ISO 8601 text, tuples lists."""
    return {name: _plain(value) for name, value in dataclasses.asdict(record).items()}


def ticket_from_json(data: Mapping[str, Any]) -> Ticket:
    """Read a ticket written by `to_json`."""
    return Ticket(**{**data, "created_at": datetime.fromisoformat(data["created_at"])})


def suggestion_from_json(data: Mapping[str, Any]) -> Suggestion:
    """Read a suggestion written by `to_json`."""
    return Suggestion(
        **{
            **data,
            "created_at": datetime.fromisoformat(data["created_at"]),
            "contact_types": tuple(RankedContactType(**row) for row in data["contact_types"]),
            "templates": tuple(RankedTemplate(**row) for row in data["templates"]),
            "similar": tuple(SimilarTicket(**row) for row in data["similar"]),
            "words": tuple(WordWeight(**row) for row in data["words"]),
            "answer_set": _answer_set(data.get("answer_set")),
        }
    )


def _answer_set(data: Mapping[str, Any] | None) -> AnswerSet | None:
    return None if data is None else AnswerSet(**{**data, "contact_types": tuple(data["contact_types"])})


def attributes_to_text(attributes: Mapping[str, AttributeValue]) -> str:
    """Attributes as the JSON text kept in tables: sorted keys, so equal attributes are equal bytes."""
    return json.dumps(dict(attributes), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
