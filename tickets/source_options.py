"""`[source]` of dataset.toml: what a source that is no file needs to be told. A database its query, Zendesk its field.

[source]                                    # format = "database"
query = "select * from tickets where updated_at > :since order by updated_at, id"
watermark = "updated_at"                    # the highest value read is `:since` of the next import
since = 2024-01-01T00:00:00Z                # `:since` of the first one

[source]                                    # format = "zendesk"
contact_type_field = "Contact reason"       # title or id of the field; a list when there is one a level
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from tickets.errors import DatasetError

Watermark = str | int | date | datetime
_KEYS = {"database": {"query", "watermark", "since"}, "zendesk": {"contact_type_field"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """A checked [source] table. Which fields are set follows from the dataset's format."""

    query: str = ""
    watermark: str | None = None
    since: Watermark | None = None
    contact_type_fields: tuple[str, ...] = ()


def source_options(data: Mapping[str, Any], file_format: str) -> SourceOptions:
    """Check the [source] table of a dataset of this format. Raises DatasetError."""
    options = data.get("source", {})
    if not isinstance(options, Mapping):
        raise DatasetError(
            f"source is {options!r}; it must be a table: [source].",
            hint="Write the line [source], and its keys under it.",
        )
    known = _KEYS.get(file_format, set())
    if unknown := sorted(set(options) - known):
        expected = f"Known keys: {', '.join(sorted(known))}." if known else f"format {file_format!r} takes none."
        raise DatasetError(f"[source] has the unknown key {unknown[0]!r}.", hint=expected)
    return _database(options) if file_format == "database" else _zendesk(options)


def _database(options: Mapping[str, Any]) -> SourceOptions:
    query, watermark, since = (options.get(key) for key in ("query", "watermark", "since"))
    if not isinstance(query, str) or not query.strip():
        raise DatasetError("[source] has no `query`.", hint='Write query = "select ...".')
    if watermark is not None and not isinstance(watermark, str):
        raise DatasetError(
            f"watermark is {watermark!r}; the name of a column was expected.",
            hint='Write watermark = "updated_at", for example.',
        )
    if isinstance(since, bool) or not isinstance(since, str | int | date | None):
        raise DatasetError(
            f"since is {since!r}; a time, a day, a number or a text was expected.",
            hint="Write since = 2024-01-01, for example.",
        )
    if len({":since" in query, watermark is not None, since is not None}) > 1:
        raise DatasetError(
            "[source] needs `:since` in the query, `watermark` and `since` together, or none of them.",
            hint='For example: query = "... where updated_at > :since", watermark = "updated_at", since = 2024-01-01.',
        )
    return SourceOptions(query=query, watermark=watermark, since=since)


def _zendesk(options: Mapping[str, Any]) -> SourceOptions:
    given = options.get("contact_type_field", [])
    names = given if isinstance(given, list) else [given]
    if not all(isinstance(name, str | int) and str(name).strip() for name in names):
        raise DatasetError(
            f"contact_type_field is {given!r}.", hint='Write the title of a ticket field: "Contact reason".'
        )
    return SourceOptions(contact_type_fields=tuple(str(name) for name in names))
