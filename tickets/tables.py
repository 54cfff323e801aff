"""The schema of every table in the lake, in Arrow's types. All are Parquet under `lake/<table>/<partition>=<value>/`.

`arrived` is the day (YYYY-MM-DD) on which a batch of rows reached the lake: history arrives on one day, each night adds
one more, and a corrected ticket arrives again. The version that arrived last counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 1

_time = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name, its columns (the partition column not among them), and what it is partitioned by."""

    name: str
    schema: pa.Schema
    partition: str | None = "arrived"


RAW = Table(  # a source row as it came; `problem` says why it could not be read at all
    "raw",
    pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),  # file name with its hash, or SERVICE
            pa.field("row", pa.int64(), nullable=False),  # 1 is the first row after the header
            pa.field("fields", pa.string(), nullable=False),  # JSON object: column -> value, unparsed
            pa.field("split", pa.string()),
            pa.field("problem", pa.string()),
        ]
    ),
)
QUARANTINE = Table(  # every row refused, whole, with the step that refused it and why
    "quarantine",
    pa.schema(
        [
            pa.field("source", pa.string(), nullable=False),
            pa.field("row", pa.int64(), nullable=False),
            pa.field("fields", pa.string(), nullable=False),
            pa.field("step", pa.string(), nullable=False),
            pa.field("reason", pa.string(), nullable=False),  # a short fixed phrase, fit for counting
            pa.field("detail", pa.string(), nullable=False),  # what was found and what to do
        ]
    ),
)
TICKETS = Table(  # one row a ticket and arrival: cleaned, masked, its language told
    "tickets",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("created_at", _time, nullable=False),
            pa.field("channel", pa.string(), nullable=False),
            pa.field("subject", pa.string(), nullable=False),
            pa.field("body", pa.string(), nullable=False),
            pa.field("language", pa.string(), nullable=False),
            pa.field("customer_key", pa.string()),
            pa.field("attributes", pa.string(), nullable=False),  # JSON object, see records.attributes_to_text
            pa.field("split", pa.string()),  # given by the dataset, or null
        ]
    ),
)
OUTCOMES = Table(  # the latest outcome of each ticket, contact types migrated to the current tree
    "outcomes",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("contact_type", pa.string(), nullable=False),
            pa.field("template_id", pa.string()),
            pa.field("resolved_at", _time),
            pa.field("handle_seconds", pa.float64()),
            pa.field("source", pa.string(), nullable=False),
            pa.field("labeler", pa.string()),
        ]
    ),
    partition=None,
)
SPLITS = Table(  # train | validation | test; `leak`: its customer or text stands in an earlier one; `later`: after test
    "splits",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("split", pa.string(), nullable=False),
            pa.field("cluster", pa.string(), nullable=False),  # the smallest ticket_id among its near-duplicates
        ]
    ),
    partition=None,
)
FEATURES = Table(  # what a model reads; outcome columns are null for tickets without one (split `unlabelled`)
    "features",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("created_at", _time, nullable=False),
            pa.field("text", pa.string(), nullable=False),
            pa.field("language", pa.string(), nullable=False),
            pa.field("channel", pa.string(), nullable=False),
            pa.field("attributes", pa.string(), nullable=False),
            pa.field("statistics", pa.string(), nullable=False),  # JSON object: name -> number
            pa.field("contact_type", pa.string()),
            pa.field("template_id", pa.string()),
            pa.field("outcome_source", pa.string()),
        ]
    ),
    partition="split",
)
PAIRS = Table(  # ticket-template pairs to learn ranking from
    "pairs",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("template_id", pa.string(), nullable=False),
            pa.field("relevant", pa.bool_(), nullable=False),
            pa.field("negative", pa.string()),  # random | same contact type; null when relevant
        ]
    ),
    partition="split",
)
SUGGESTIONS = Table(  # what the service suggested, extracted from the operational database
    "suggestions",
    pa.schema(
        [
            pa.field("suggestion_id", pa.string(), nullable=False),
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("created_at", _time, nullable=False),
            pa.field("model_version", pa.string(), nullable=False),
            pa.field("contact_type", pa.string()),
            pa.field("probability", pa.float64()),
            pa.field("abstained", pa.bool_(), nullable=False),
            pa.field("ticket", pa.string(), nullable=False),  # records.to_json of the Ticket
            pa.field("suggestion", pa.string(), nullable=False),  # records.to_json of the Suggestion
        ]
    ),
)
FEEDBACK = Table(  # what agents did with suggestions
    "feedback",
    pa.schema(
        [
            pa.field("feedback_id", pa.string(), nullable=False),
            pa.field("suggestion_id", pa.string(), nullable=False),
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("action", pa.string(), nullable=False),
            pa.field("at", _time, nullable=False),
            pa.field("contact_type", pa.string()),
            pa.field("template_id", pa.string()),
            pa.field("edit_distance", pa.float64()),
            pa.field("handle_seconds", pa.float64()),
            pa.field("agent", pa.string()),
        ]
    ),
)
LABELS = Table(  # what labelers answered when asked
    "labels",
    pa.schema(
        [
            pa.field("label_id", pa.string(), nullable=False),
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("contact_type", pa.string(), nullable=False),
            pa.field("template_id", pa.string()),
            pa.field("labeler", pa.string(), nullable=False),
            pa.field("at", _time, nullable=False),
            pa.field("share", pa.string(), nullable=False),  # why it was asked: unsure | diverse | random
        ]
    ),
)
BACKLOG = Table(  # nightly suggestions for open tickets
    "backlog",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("model_version", pa.string(), nullable=False),
            pa.field("contact_type", pa.string()),
            pa.field("probability", pa.float64()),
            pa.field("abstained", pa.bool_(), nullable=False),
            pa.field("suggestion", pa.string(), nullable=False),
        ]
    ),
    partition="as_of",
)

TABLES = (RAW, QUARANTINE, TICKETS, OUTCOMES, SPLITS, FEATURES, PAIRS, SUGGESTIONS, FEEDBACK, LABELS, BACKLOG)
SERVICE = "service"  # RAW.source of tickets that came through the service; their fields are records.to_json of a Ticket
