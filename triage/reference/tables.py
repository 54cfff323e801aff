"""Every table of the lake and of the operational database, column by column, as docs/reference/tables.md shows them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import sqlalchemy as sa

from tickets import database
from tickets import tables as lake
from tickets.database import UtcTime, metadata
from triage.reference.markdown import code, joined, table
from triage.reference.remarks import Remarks, remarks_of

_INTRODUCTION = """# Tables

What is kept where, and what a column means where its name does not say it. The lake is Parquet under
`lake/<table>/` of the workspace ([architecture](../architecture.md#where-things-are-kept)); the operational
database is SQLite or PostgreSQL."""
_LAKE = """## The lake

`arrived` is the day (YYYY-MM-DD) on which a batch of rows reached the lake. Of a ticket that arrived several times,
the version that arrived last counts. Schema version {version}; the schemas are in `tickets/tables.py`."""
_DATABASE = """## The operational database

Times have a zone and are kept in UTC. JSON columns are JSON in both databases. Tables are declared in
`tickets/database.py`; a migration brings a database to them when a process starts."""
_HEADS = ("column", "type", "may be empty", "")
_NOTHING = Remarks("", {})


def as_markdown() -> str:
    """The page: both groups, a section a table."""
    return joined((_INTRODUCTION, _LAKE.format(version=lake.SCHEMA_VERSION), *_of_lake(), _DATABASE, *_of_database()))


def _of_lake() -> Iterator[str]:
    said = remarks_of(lake, call="Table")
    for declared in lake.TABLES:
        told = said.get(declared.name.upper(), _NOTHING)
        yield f"### {declared.name}"
        yield _sentence(told.whole)
        yield f"Partitioned by {code(declared.partition)}." if declared.partition else "Not partitioned."
        yield table(_HEADS, (_lake_row(field, told) for field in declared.schema))


def _lake_row(field: pa.Field, told: Remarks) -> tuple[str, str, str, str]:
    kind = str(field.type).replace("timestamp[us, tz=UTC]", "time (UTC)")
    return code(field.name), kind, "yes" if field.nullable else "", told.parts.get(field.name, "")


def _of_database() -> Iterator[str]:
    said = remarks_of(database, call="sa.Table")
    for declared in metadata.tables.values():
        told = said.get(declared.name, _NOTHING)
        yield f"### {declared.name} (database)"
        yield _sentence(told.whole)
        yield table(_HEADS, (_database_row(column, told) for column in declared.columns))


def _database_row(column: sa.Column[object], told: Remarks) -> tuple[str, str, str, str]:
    facts = ["key"] if column.primary_key else []
    facts += [f"of {code(str(key.column))}" for key in column.foreign_keys]
    remarks = "; ".join([*facts, told.parts.get(column.name, "")]).rstrip("; ")
    kind = "time (UTC)" if isinstance(column.type, UtcTime) else str(column.type).lower()
    return code(column.name), kind, "yes" if column.nullable else "", remarks


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""
