"""Data contracts: what each table of the lake promises, written once.

A rule is a Spark SQL condition that is true for a row that breaks it. The same rules send rows from outside to
quarantine (pipeline/contract_checks.with_reasons) and stop a run before it publishes rows that a bug made
(check_written). What source rows must be to become tickets stands in pipeline/refusals.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.refusals import ID_AT_MOST
from pipeline.text.clean import ATTRIBUTE_AT_MOST, KEEP_AT_MOST, SUBJECT_AT_MOST
from tickets import tables
from tickets.tables import Table

Catalogue = Literal["contact types", "templates"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`broken` is Spark SQL, true for a row that breaks the rule; null counts as kept. `name` is a short fixed phrase,
    `column` the one to show, `expected` says what it should have held."""

    name: str
    column: str
    broken: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Every value of `column` but null must be known: an active contact type of the current tree, a template of the
    catalogue, or a value of the same column in another table."""

    column: str
    to: Catalogue | Table

    @property
    def name(self) -> str:
        return f"{self.column} unknown"

    @property
    def expected(self) -> str:
        place = f"the table `{self.to.name}`" if isinstance(self.to, Table) else f"the {self.to} of the catalogue"
        return f"one of {place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a table promises beside its schema. No two rows share `key` (the partition is part of it when it is named
    there), or no two of those that `among` (Spark SQL) holds for; a partition has as many rows as the same one of
    `rows_of`."""

    table: Table
    key: tuple[str, ...]
    rules: tuple[Rule, ...] = ()
    references: tuple[Reference, ...] = ()
    among: str | None = None
    rows_of: Table | None = None

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """With those that follow from the schema: columns that may not be null."""
        required = tuple(
            Rule(name=f"{column.name} missing", column=column.name, broken=f"{column.name} is null", expected="a value")
            for column in self.table.schema
            if not column.nullable
        )
        return (*required, *self.rules)


def _id(column: str) -> Rule:
    broken = f"trim({column}) = '' or length({column}) > {ID_AT_MOST}"
    return Rule(name=f"{column} empty or too long", column=column, broken=broken, expected=f"1 to {ID_AT_MOST} letters")


def _text(column: str, at_most: int | None = None) -> Rule:
    broken = f"{column} = ''" + (f" or length({column}) > {at_most}" if at_most else "")
    expected = f"1 to {at_most} letters" if at_most else "at least a letter"
    return Rule(name=f"{column} empty or too long", column=column, broken=broken, expected=expected)


def _at_most(column: str, letters: int) -> Rule:
    broken = f"length({column}) > {letters}"
    return Rule(name=f"{column} too long", column=column, broken=broken, expected=f"at most {letters} letters")


def _time(column: str, *, arrived: bool = True) -> Rule:
    """Times in UTC. A day of grace after arrival: in some zones it is already tomorrow."""
    late = f" or {column} >= date_add(to_date(arrived), 2)" if arrived else ""
    expected = "a time from 1970 to the day after it arrived" if arrived else "a time from 1970 on"
    broken = f"{column} < timestamp '1970-01-01 00:00:00+00:00'{late}"
    return Rule(name=f"{column} out of range", column=column, broken=broken, expected=expected)


def _number(column: str, low: float, high: float | None = None) -> Rule:
    above = f" or {column} > {high}" if high is not None else f" or {column} = double('infinity')"
    expected = f"a number from {low:g} to {high:g}" if high is not None else f"a number from {low:g} on"
    broken = f"isnan({column}) or {column} < {low}{above}"
    return Rule(name=f"{column} out of range", column=column, broken=broken, expected=expected)


def _one_of(column: str, *values: str) -> Rule:
    listed = ", ".join(f"'{value}'" for value in values)
    broken = f"{column} not in ({listed})"
    return Rule(name=f"{column} not known", column=column, broken=broken, expected=f"one of {', '.join(values)}")


def _json(column: str) -> Rule:
    broken = f"{column} is not null and json_object_keys({column}) is null"
    return Rule(name=f"{column} no JSON object", column=column, broken=broken, expected="a JSON object")


def _shaped_json(column: str) -> Rule:
    """For columns of many rows: parsing each again would cost as much as all other rules together."""
    broken = f"not (startswith({column}, '{{') and endswith({column}, '}}'))"
    return Rule(name=f"{column} no JSON object", column=column, broken=broken, expected="a JSON object")


_LANGUAGE = Rule(
    name="language no code",
    column="language",
    broken="not (language rlike '^[a-z]{2,8}$')",
    expected="a code such as en, or und",
)
_SPLIT_GIVEN = _one_of("split", "train", "validation", "test")
_TICKET = (_id("ticket_id"), _time("created_at"), _LANGUAGE, _at_most("channel", ATTRIBUTE_AT_MOST))
_TREE = Reference(column="contact_type", to="contact types")
_TEMPLATE = Reference(column="template_id", to="templates")
_PROBABILITY = _number("probability", 0, 1)
_SECONDS = _number("handle_seconds", 0)
_TOPIC_NUMBERS = (
    Rule(name="topics empty", column="topics", broken="size(topics) = 0", expected="a number a topic"),
    Rule(
        name="topics not finite",
        column="topics",
        broken="exists(topics, t -> t is null or isnan(t) or abs(t) = float('infinity'))",
        expected="finite numbers",
    ),
)

CONTRACTS: Mapping[str, Contract] = {
    contract.table.name: contract
    for contract in (
        Contract(
            table=tables.RAW,
            key=("source", "row", "arrived"),
            among="_metadata.file_name not like 'corrected-%'",  # a correction stands under the row that it corrects
            rules=(_text("source"), _number("row", 1), _shaped_json("fields"), _SPLIT_GIVEN),
        ),
        Contract(
            table=tables.QUARANTINE,
            key=("source", "row", "step", "reason", "arrived"),
            rules=(*map(_text, ("source", "step", "reason", "detail")), _number("row", 0), _shaped_json("fields")),
        ),
        Contract(
            table=tables.TICKETS,
            key=("ticket_id", "arrived"),
            rules=(
                *_TICKET,
                _at_most("subject", SUBJECT_AT_MOST),
                _text("body", KEEP_AT_MOST),
                _shaped_json("attributes"),
                _SPLIT_GIVEN,
            ),
        ),
        Contract(
            table=tables.IMPORTED_OUTCOMES,
            key=("ticket_id", "arrived"),
            rules=(
                _id("ticket_id"),
                _text("contact_type"),
                _json("told_by"),
                _time("resolved_at", arrived=False),
                _SECONDS,
            ),
        ),
        Contract(
            table=tables.FEATURES,
            key=("ticket_id", "arrived"),
            rules=(*_TICKET, _text("text"), *map(_shaped_json, ("attributes", "statistics"))),
            rows_of=tables.TICKETS,
        ),
        Contract(
            table=tables.SIGNATURES,
            key=("node", "arrived"),
            rules=(
                Rule(name="buckets empty", column="node", broken="size(buckets) = 0", expected="one a band"),
                Rule(name="signature empty", column="node", broken="length(signature) = 0", expected="a byte a hash"),
            ),
            rows_of=tables.TICKETS,
        ),
        Contract(
            table=tables.NEAR_DUPLICATES,
            key=("node", "first", "arrived"),
            rules=(Rule(name="linked to itself", column="node", broken="node = first", expected="two tickets"),),
        ),
        Contract(
            table=tables.OUTCOMES,
            key=("ticket_id",),
            rules=(
                _id("ticket_id"),
                _one_of("source", "agent", "labeler", "import"),
                _time("resolved_at", arrived=False),
                _SECONDS,
            ),
            references=(_TREE, _TEMPLATE),
        ),
        Contract(
            table=tables.SPLITS,
            key=("ticket_id",),
            rules=(
                _id("ticket_id"),
                _id("cluster"),
                _one_of("split", "train", "validation", "test", "leak", "later", "unlabelled"),
                Rule(
                    name="arrived no day",
                    column="arrived",
                    broken=r"not (arrived rlike '^\\d{4}-\\d{2}-\\d{2}$')",
                    expected="YYYY-MM-DD",
                ),
            ),
            references=(Reference(column="ticket_id", to=tables.TICKETS),),
        ),
        Contract(
            table=tables.PAIRS,
            key=("ticket_id", "arrived"),
            among="relevant",  # a row doubled shows here too, at an eighth of the cost
            rules=(
                _id("ticket_id"),
                _one_of("negative", "random", "same contact type"),
                Rule(
                    name="relevant and negative",
                    column="negative",
                    broken="relevant = (negative is not null)",
                    expected="a kind of negative, or null when relevant",
                ),
            ),
            references=(_TEMPLATE,),
        ),
        Contract(
            table=tables.TERM_WEIGHTS,
            key=("word",),
            rules=(_text("word"), _number("idf", 0), *_TOPIC_NUMBERS),
        ),
        Contract(
            table=tables.TEMPLATE_PROFILES,
            key=("template_id",),
            rules=(
                _number("past_tickets", 0),
                *(
                    Rule(
                        name=f"{weights} not one a word",
                        column="template_id",
                        broken=f"size({words}) != size({weights})",
                        expected="a weight a word",
                    )
                    for words, weights in (("words", "weights"), ("past_words", "past_weights"))
                ),
            ),
            references=(_TEMPLATE,),
        ),
        Contract(
            table=tables.TOPICS,
            key=("ticket_id",),
            rules=(_id("ticket_id"), *_TOPIC_NUMBERS),
        ),
        Contract(
            table=tables.SIMILARITIES,
            key=("ticket_id", "template_id"),
            rules=(
                *(_number(column, -1e-5, 1 + 1e-5) for column in ("words", "past_words")),
                *(_number(column, -1 - 1e-5, 1 + 1e-5) for column in ("topics", "past_topics")),
            ),
        ),
        Contract(
            table=tables.SUGGESTIONS,
            key=("suggestion_id",),
            rules=(
                *map(_id, ("suggestion_id", "ticket_id", "model_version")),
                _time("created_at"),
                _PROBABILITY,
                *map(_shaped_json, ("ticket", "suggestion")),
            ),
        ),
        Contract(
            table=tables.FEEDBACK,
            key=("feedback_id",),
            rules=(
                *map(_id, ("feedback_id", "suggestion_id", "ticket_id")),
                _one_of("action", "accepted", "corrected", "ignored"),
                _time("at"),
                _number("edit_distance", 0, 1),
                _SECONDS,
            ),
            references=(Reference(column="suggestion_id", to=tables.SUGGESTIONS),),
        ),
        Contract(
            table=tables.LABELS,
            key=("label_id",),
            rules=(
                *map(_id, ("label_id", "ticket_id")),
                _text("contact_type"),
                _text("labeler"),
                _time("at"),
                _one_of("share", "unsure", "diverse", "random", "theme", "suspect"),
            ),
        ),
        Contract(
            table=tables.BACKLOG,
            key=("ticket_id", "as_of"),
            rules=(_id("ticket_id"), _id("model_version"), _PROBABILITY, _shaped_json("suggestion")),
        ),
    )
}
