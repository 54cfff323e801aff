"""The schema of every table in the lake, in Arrow's types. All are Parquet under `lake/<table>/<partition>=<value>/`.

`arrived` is the day (YYYY-MM-DD) on which a batch of rows reached the lake: history arrives on one day, each night adds
one more, and a corrected ticket arrives again. The version that arrived last counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

SCHEMA_VERSION = 2

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
IMPORTED_OUTCOMES = Table(  # how tickets ended as their source rows tell it, not yet read through the tree
    "imported_outcomes",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("source", pa.string(), nullable=False),  # RAW.source and RAW.row: where it stands
            pa.field("row", pa.int64(), nullable=False),
            pa.field("created_at", _time, nullable=False),  # of the ticket: what its contact type was called then
            pa.field("contact_type", pa.string(), nullable=False),  # an id or a path of any age
            pa.field("told_by", pa.string()),  # JSON object of the columns that tell the parts of a split type apart
            pa.field("template_id", pa.string()),
            pa.field("resolved_at", _time),
            pa.field("handle_seconds", pa.float64()),
            pa.field("labeler", pa.string()),
            pa.field("reply", pa.string()),  # only where templates are derived from the replies
        ]
    ),
)
SIGNATURES = Table(  # MinHash of each ticket's text, one row a ticket and arrival
    "signatures",
    pa.schema(
        [
            pa.field("node", pa.int64(), nullable=False),  # xxhash64 of the ticket_id
            pa.field("buckets", pa.list_(pa.int32()), nullable=False),  # one a band
            pa.field("signature", pa.binary(), nullable=False),  # one byte of each hash
        ]
    ),
)
NEAR_DUPLICATES = Table(  # links between the nodes of near-duplicates: the newer one and one that arrived before it
    "near_duplicates",
    pa.schema([pa.field("node", pa.int64(), nullable=False), pa.field("first", pa.int64(), nullable=False)]),
)
SPLITS = Table(  # one row a ticket, in its latest version: train | validation | test | unlabelled (no outcome);
    # `leak`: its customer or text stands in an earlier split; `later`: created after the test period
    "splits",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("arrived", pa.string(), nullable=False),  # of the latest version
            pa.field("split", pa.string(), nullable=False),
            pa.field("cluster", pa.string(), nullable=False),  # the smallest ticket_id among its near-duplicates
        ]
    ),
    partition=None,
)
FEATURES = Table(  # what a model reads of a ticket, one row a ticket and arrival; tickets.examples adds how it ended
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
        ]
    ),
)
PAIRS = Table(  # ticket-template pairs to learn ranking from, of every ticket that a template was sent for
    "pairs",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("template_id", pa.string(), nullable=False),
            pa.field("relevant", pa.bool_(), nullable=False),
            pa.field("negative", pa.string()),  # random | same contact type; null when relevant
        ]
    ),
)
TERM_WEIGHTS = Table(  # COTA v1: the words of the training tickets and their latent topics; singular values are in the
    # file's metadata, see pipeline.topics.space
    "term_weights",
    pa.schema(
        [
            pa.field("word", pa.string(), nullable=False),
            pa.field("idf", pa.float32(), nullable=False),
            pa.field("topics", pa.list_(pa.float32()), nullable=False),  # its row of the right singular vectors
        ]
    ),
    partition=None,
)
TEMPLATE_PROFILES = Table(  # COTA v1: what templates are compared by; words are row numbers of TERM_WEIGHTS
    "template_profiles",
    pa.schema(
        [
            pa.field("template_id", pa.string(), nullable=False),
            pa.field("past_tickets", pa.int64(), nullable=False),  # training tickets that it was sent for
            pa.field("words", pa.list_(pa.int32()), nullable=False),  # of its title and body
            pa.field("weights", pa.list_(pa.float32()), nullable=False),
            pa.field("past_words", pa.list_(pa.int32()), nullable=False),  # of its past tickets, summed
            pa.field("past_weights", pa.list_(pa.float64()), nullable=False),
        ]
    ),
    partition=None,
)
TOPICS = Table(  # COTA v1: where each labelled ticket lies in the latent topics of the training texts
    "topics",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("topics", pa.list_(pa.float32()), nullable=False),
        ]
    ),
    partition=None,
)
SIMILARITIES = Table(  # COTA v1: cosine similarities of the tickets and templates of PAIRS
    "similarities",
    pa.schema(
        [
            pa.field("ticket_id", pa.string(), nullable=False),
            pa.field("template_id", pa.string(), nullable=False),
            pa.field("words", pa.float32(), nullable=False),  # of TF-IDF with the template's own words, 0 to 1
            pa.field("topics", pa.float32(), nullable=False),  # of LSA topics with them, -1 to 1
            pa.field("past_words", pa.float32(), nullable=False),  # with training tickets it was sent for, 0 to 1
            pa.field("past_topics", pa.float32(), nullable=False),  # -1 to 1; this very ticket is never among them
        ]
    ),
    partition=None,
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
            pa.field(
                "share", pa.string(), nullable=False
            ),  # unsure | diverse | random | theme | suspect: why it was asked
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

TABLES = (
    *(RAW, QUARANTINE, TICKETS, IMPORTED_OUTCOMES, FEATURES, SIGNATURES, NEAR_DUPLICATES, OUTCOMES, SPLITS, PAIRS),
    *(TERM_WEIGHTS, TEMPLATE_PROFILES, TOPICS, SIMILARITIES, SUGGESTIONS, FEEDBACK, LABELS, BACKLOG),
)
SERVICE = "service"  # RAW.source of tickets that came through the service; their fields are records.to_json of a Ticket
