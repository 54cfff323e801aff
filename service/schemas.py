"""Requests and answers of the API. Requests refuse unknown fields, so a misspelt field is told rather than ignored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    StringConstraints,
)
from pydantic.config import JsonDict

from tickets.records import FeedbackAction, Suggestion

MAX_TEXT = 200_000  # characters of one ticket's text; the encoder reads the first few hundred words
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _no_null(text: str) -> str:
    """PostgreSQL keeps no null characters."""
    if "\x00" in text:
        raise ValueError("must not hold a null character")
    return text


def _drop_nulls(text: str) -> str:
    return text.replace("\x00", "")


def _written_out(time: object) -> object:
    """Pydantic would take a number for a Unix time, of seconds or milliseconds as it seems; a guess is no time."""
    if isinstance(time, datetime) or (isinstance(time, str) and "-" in time[1:]):
        return time
    raise ValueError("must be ISO 8601 text with its zone, such as 2026-03-02T09:30:00Z")


def _in_utc(time: datetime) -> datetime:
    # Compared before converting: a time at the edge of the calendar has no equivalent in UTC.
    if not _EARLIEST.replace(tzinfo=None) <= time.replace(tzinfo=None) <= _LATEST.replace(tzinfo=None):
        raise ValueError("must lie between the years 1990 and 2200")
    return time.astimezone(UTC)


Short = Annotated[StrictStr, StringConstraints(max_length=200), AfterValidator(_no_null)]
Id = Annotated[StrictStr, StringConstraints(min_length=1, max_length=200), AfterValidator(_no_null)]
Text = Annotated[StrictStr, StringConstraints(max_length=MAX_TEXT), AfterValidator(_drop_nulls)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
AttributeText = Annotated[StrictStr, StringConstraints(max_length=1000), AfterValidator(_no_null)]
Attributes = Annotated[dict[Id, StrictBool | Number | AttributeText | None], Field(max_length=200)]
Count = Annotated[int, Field(strict=True, ge=0, le=20)]


class Request(BaseModel):
    """What all request bodies share."""

    model_config = ConfigDict(extra="forbid")


class TicketFields(Request):
    """A ticket as a helpdesk knows it when it arrives."""

    body: Text = Field(description="What the customer wrote; plain text or HTML.")
    subject: Text = ""
    ticket_id: Id | None = Field(default=None, description="The helpdesk's own id; made when it is left out.")
    created_at: Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_utc)] | None = Field(
        default=None, description="ISO 8601 with its zone; now when it is left out."
    )
    channel: Short = ""
    language: Short | None = Field(default=None, description="ISO 639-1; told from the text when it is left out.")
    customer_key: Short | None = Field(
        default=None, description="Anything that stays the same for one customer; only its hash is kept."
    )
    attributes: Attributes = Field(default_factory=dict, description="What the helpdesk knows: name -> value.")


EXAMPLE_TICKET: JsonDict = {
    "ticket_id": "T-1042",
    "created_at": "2026-03-02T09:30:00Z",
    "subject": "Charged twice",
    "body": "Hello, my card was charged twice for the same ride yesterday. Please refund one of them.",
    "channel": "email",
    "attributes": {"city": "Lisbon", "amount": 12.5, "vip": False},
}


class SuggestionRequest(Request):
    """One ticket, and how many contact types and templates are wanted."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"ticket": EXAMPLE_TICKET, "top_types": 3, "top_templates": 3}]},
    )
    ticket: TicketFields
    top_types: Annotated[Count, Field(ge=1)] = 3
    top_templates: Count = 3


class BatchRequest(Request):
    """Several tickets at once; the service's option `max_batch` says how many at most."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tickets": [EXAMPLE_TICKET]}]})
    tickets: Annotated[list[TicketFields], Field(min_length=1)]
    top_types: Annotated[Count, Field(ge=1)] = 3
    top_templates: Count = 3


class BatchAnswer(BaseModel):
    """One suggestion a ticket, in the order of the request."""

    suggestions: list[Suggestion]


class FeedbackRequest(Request):
    """What an agent did with a suggestion.

    `accepted` takes a suggested contact type (the first, unless `contact_type` names another of them); `corrected` must
    name the right one; `ignored` names none.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "suggestion_id": "65954b9bcb65c9fc951c508a1ac212cc",
                    "action": "corrected",
                    "contact_type": "refund",
                    "template_id": "t-refund",
                    "handle_seconds": 41.5,
                    "agent": "Ana",
                }
            ]
        },
    )
    suggestion_id: Id
    action: FeedbackAction
    contact_type: Id | None = None
    template_id: Id | None = Field(default=None, description="The reply template that was sent.")
    edit_distance: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        default=None, description="The share of the template's text that the agent changed."
    )
    handle_seconds: Annotated[Number, Field(ge=0, le=10_000_000)] | None = None
    agent: Short | None = None


class ContactTypeAnswer(BaseModel):
    """A node of the tree; `path` is written out from the top level."""

    id: str
    name: str
    parent: str | None
    description: str
    active: bool
    path: str


class TreeAnswer(BaseModel):
    """The contact types that feedback may name. `mapping` sends retired ids to those that replaced them."""

    version: int
    contact_types: list[ContactTypeAnswer]
    mapping: dict[str, list[str]]


class TemplateAnswer(BaseModel):
    """A reply template with its {{placeholders}}."""

    template_id: str
    title: str
    body: str
    language: str
    contact_types: list[str]
    active: bool
    version: int


class TemplatesAnswer(BaseModel):
    templates: list[TemplateAnswer]


class ModelAnswer(BaseModel):
    """The release that is served. `challenger` sees a share of the traffic; `refused` names a release that could not be
    loaded, and why."""

    version: str
    created_at: str
    loaded_at: datetime
    tree_version: int
    languages: list[str]
    windows: dict[str, Any]
    metrics: dict[str, Any]
    challenger: dict[str, Any] | None
    refused: dict[str, str] | None


class WebhookAnswer(BaseModel):
    """`taken` (202) for a new ticket; `feedback`, `repeated` or `ignored` for whatever needs no work."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ignored", "reason": "no new ticket"}]})
    status: str
    reason: str | None = None
    action: str | None = None
    suggestion_id: str | None = None


class HealthAnswer(BaseModel):
    """`alive`, `ready`, or `ready, without database`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready"}]})
    status: str


class StreamAnswer(BaseModel):
    """A line of the answer to a stream: what a line of the request got, a suggestion or a problem."""

    line: int | None = Field(
        default=None, description="Of the request, counted from one; left out where a problem ended the stream."
    )
    suggestion: Suggestion | None = None
    problem: dict[str, Any] | None = Field(default=None, description="As the schema Problem has it.")


TAGS: list[dict[str, Any]] = [
    {"name": "suggestions", "description": "From tickets to contact types and reply templates."},
    {"name": "feedback", "description": "What agents did with suggestions: the next model learns from it."},
    {"name": "catalogue", "description": "What can be suggested and chosen, and by which release."},
    {"name": "inference", "description": "The same suggestions over the Open Inference Protocol (KServe v2)."},
    {"name": "helpdesks", "description": "Webhooks of helpdesks, each with its own proof of where it comes from."},
    {"name": "health", "description": "For whatever watches over the service."},
]
