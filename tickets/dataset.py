"""`dataset.toml`: one description of where each field of a ticket and its outcome comes from.

The importer, the cleaner and the model read the same file, so a column under `never_inputs` cannot reach the model.

    name = "support-2026"
    format = "csv"                          # csv | jsonl | parquet | zendesk | database
    files = [{ path = "tickets.csv" }]      # or with a given split: { path = "test.csv", split = "test" }
                                            # a night that imports wants "inbox/*.csv": it takes what is new

    [ticket]                                # our field = your column; in JSON lines a dotted path reaches inside
    ticket_id = "id"                        # files may do without: then it is the file's name and the row's number
    created_at = "opened"                   # left out: `created_at_constant` is used
    subject = "title"
    body = "description"                    # required
    channel = "via"
    customer_key = "requester.email"        # hashed before it is stored

    [attributes]
    categorical = ["product"]
    numeric = ["tenure_days"]
    boolean = ["vip"]

    [outcome]
    contact_type = ["category", "reason"]   # one column with a written path, or one column a level
    told_by = ["sub_category"]              # tell the parts of a split contact type apart; never inputs
    template_id = "macro"
    resolved_at = "closed"
    reply = "answer"

A source that is no file (`zendesk`, `database`) has a `[source]` table too, see tickets/source_options.py. What may be
wrong with rows before a run stops, and which numbers can be right, is in `[contract]`, see tickets/contract_options.py.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

from tickets.contract_options import ContractOptions, contract_options
from tickets.errors import DatasetError
from tickets.source_options import SourceOptions, source_options

Format = Literal["csv", "jsonl", "parquet", "zendesk", "database"]
Split = Literal["train", "validation", "test"]
TICKET_FIELDS = ("ticket_id", "created_at", "subject", "body", "channel", "language", "customer_key")
OUTCOME_FIELDS = ("contact_type", "template_id", "resolved_at", "handle_seconds", "labeler", "reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of the dataset, relative to dataset.toml; `split` fixes where its rows go."""

    path: str
    split: Split | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A dataset.toml, checked. Field maps are our field -> source column."""

    name: str
    format: Format
    files: tuple[SourceFile, ...] = ()
    ticket: Mapping[str, str]
    outcome: Mapping[str, str] = field(default_factory=dict)
    contact_type: tuple[str, ...] = ()
    told_by: tuple[str, ...] = ()
    created_at_format: str | None = None
    created_at_constant: datetime | None = None
    timezone: str = "UTC"
    languages: tuple[str, ...] = ("en",)
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    boolean: tuple[str, ...] = ()
    never_inputs: tuple[str, ...] = ()
    contact_types_file: str | None = None
    templates_file: str | None = None
    source: SourceOptions = field(default_factory=SourceOptions)
    contract: ContractOptions = field(default_factory=ContractOptions)

    @property
    def attributes(self) -> tuple[str, ...]:
        return (*self.categorical, *self.numeric, *self.boolean)

    @property
    def columns(self) -> frozenset[str]:
        """Every source column the dataset needs to be present; without those of `told_by` and `never_inputs` it
        does."""
        return frozenset({*self.ticket.values(), *self.outcome.values(), *self.contact_type, *self.attributes})


def load_dataset(path: Path) -> Dataset:
    """Read and check a dataset.toml. Raises DatasetError, naming the key that is wrong and what it may hold."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DatasetError(
            f"cannot read {path}: {error.strerror}.",
            hint="Check the path; it is the dataset.toml that says which column is what.",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} is not valid TOML: {error}.", hint="Mend that line; texts stand in double quotes."
        ) from error
    return dataset_from_toml(data, name=path.stem)


def dataset_from_toml(data: Mapping[str, Any], *, name: str) -> Dataset:
    """Check parsed TOML and build the Dataset. Raises DatasetError."""
    known = {
        *("name", "format", "files", "ticket", "attributes", "outcome", "never_inputs", "timezone", "languages"),
        *("created_at_format", "created_at_constant", "contact_types_file", "templates_file", "source", "contract"),
    }
    _refuse_unknown("the top level", data, known)
    ticket, outcome, attributes = (_table(data, key) for key in ("ticket", "outcome", "attributes"))
    _refuse_unknown("[ticket]", ticket, set(TICKET_FIELDS))
    _refuse_unknown("[outcome]", outcome, {*OUTCOME_FIELDS, "told_by"})
    _refuse_unknown("[attributes]", attributes, {"categorical", "numeric", "boolean"})
    if "body" not in ticket:
        raise DatasetError("[ticket] has no `body`.", hint='Say which column holds the customer\'s text: body = "...".')
    file_format = _format(data, ticket)
    dataset = Dataset(
        name=_text(data, "name") or name,
        format=file_format,
        files=_source_files(data.get("files", [])),
        ticket={key: _text(ticket, key) or "" for key in ticket},
        outcome={key: _text(outcome, key) or "" for key in outcome if key not in ("contact_type", "told_by")},
        contact_type=_text_or_texts(outcome, "contact_type"),
        told_by=_texts(outcome, "told_by"),
        created_at_format=_text(data, "created_at_format"),
        created_at_constant=_created_at_constant(data, ticket),
        timezone=_text(data, "timezone") or "UTC",
        languages=_texts(data, "languages") or ("en",),
        categorical=_texts(attributes, "categorical"),
        numeric=_texts(attributes, "numeric"),
        boolean=_texts(attributes, "boolean"),
        never_inputs=_texts(data, "never_inputs"),
        contact_types_file=_text(data, "contact_types_file"),
        templates_file=_text(data, "templates_file"),
        source=source_options(data, file_format),
        contract=contract_options(data, _texts(attributes, "numeric")),
    )
    _refuse_leaks(dataset)
    return dataset


def _format(data: Mapping[str, Any], ticket: Mapping[str, Any]) -> Format:
    file_format: Format = data.get("format", "csv")
    if file_format not in get_args(Format):
        raise DatasetError(
            f"format is {file_format!r}; it may be one of {', '.join(get_args(Format))}.",
            hint='Write format = "csv", for example.',
        )
    if file_format == "database" and "ticket_id" not in ticket:
        raise DatasetError(
            "[ticket] has no `ticket_id`.", hint="Rows of a query are told apart by it from one import to the next."
        )
    return file_format


def _created_at_constant(data: Mapping[str, Any], ticket: Mapping[str, Any]) -> datetime | None:
    """When tickets without a time of their own were created."""
    constant = data.get("created_at_constant")
    if "created_at" not in ticket and constant is None:
        raise DatasetError(
            "[ticket] has no `created_at`.",
            hint="Name the column, or set created_at_constant = 2026-01-01T00:00:00Z for data without dates.",
        )
    if constant is not None and not isinstance(constant, datetime):
        raise DatasetError(
            f"created_at_constant is {constant!r}; a time was expected.", hint="Write it as 2026-01-01T00:00:00Z."
        )
    return constant


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, Mapping):
        raise DatasetError(
            f"{key} is {value!r}; it must be a table: [{key}].", hint=f"Write the line [{key}], and its keys under it."
        )
    return value


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if value is not None and (not isinstance(value, str) or not value.strip()):
        raise DatasetError(f"{key} is {value!r}; a text was expected.", hint=f'Write {key} = "...".')
    return value


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
        raise DatasetError(f"{key} is {value!r}; a list of texts was expected.", hint=f'Write {key} = ["..."].')
    return tuple(value)


def _text_or_texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    if isinstance(data.get(key), str):
        return (_text(data, key) or "",)
    return _texts(data, key)


def _refuse_unknown(where: str, data: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(data) - known):
        raise DatasetError(
            f"{where} has the unknown key {unknown[0]!r}.", hint=f"Known keys: {', '.join(sorted(known))}."
        )


def _source_files(entries: Any) -> tuple[SourceFile, ...]:
    if not isinstance(entries, list):
        raise DatasetError(
            f"files is {entries!r}; a list was expected.", hint='Write files = [{ path = "tickets.csv" }].'
        )
    return tuple(map(_source_file, entries))


def _source_file(entry: Any) -> SourceFile:
    match entry:
        case {"path": str(path), **rest} if not rest:
            return SourceFile(path=path)
        case {"path": str(path), "split": ("train" | "validation" | "test") as split, **rest} if not rest:
            return SourceFile(path=path, split=split)
    raise DatasetError(f"files has the entry {entry!r}.", hint='Write { path = "tickets.csv" }, or add split = "test".')


def _refuse_leaks(dataset: Dataset) -> None:
    """Inputs may not name a column that is only known after the ticket was resolved."""
    fields = {f"fields.{name}" for name in dataset.source.contact_type_fields}
    outcomes = {*dataset.outcome.values(), *dataset.contact_type, *dataset.told_by, *dataset.never_inputs, *fields}
    if leaks := sorted(outcomes & {*dataset.ticket.values(), *dataset.attributes}):
        raise DatasetError(
            f"the column {leaks[0]!r} is both an input and an outcome.",
            hint="A model that sees it would look perfect in tests and fail on new tickets: take it out of one place.",
        )
