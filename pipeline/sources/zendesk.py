"""A Zendesk export on disk (pipeline/sources/zendesk_export.py wrote it), read as rows and as reply templates.

A row is the whole ticket with its audits, and what dataset.toml can name beside Zendesk's own keys:

    first_message             what the requester wrote first
    fields.<title>            custom fields by their title, options by the name that agents see
    outcome.contact_type      of solved and closed tickets: `contact_type_field` as a path
    outcome.template_id       the macro in the agent's first public reply that used one which writes replies
    outcome.reply             that reply; without a macro, the first one
    outcome.resolved_at       when the ticket was last solved
    outcome.assignee          who solved it

Only admins can delete or mark as spam, and what is left of such a ticket says nothing: it is counted and left out.
Shapes: developer.zendesk.com, Ticket Audits, Ticket Audit events reference, Ticket Fields, Macros.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from pipeline.sources.tabular import BROKEN_JSON, SourceRow, source_row
from pipeline.sources.zendesk_export import FIELDS, MACROS, PAGE_PATTERN
from pipeline.text.language import tell_language
from pipeline.text.markup import strip_markup
from tickets.contact_types import SEPARATOR
from tickets.dataset import Dataset
from tickets.errors import DatasetError, SourceError
from tickets.manifests import file_hash
from tickets.records import ReplyTemplate

DELETED = "deleted in Zendesk"
_SOLVED = frozenset({"solved", "closed"})
_OPTIONS = ("custom_field_options", "system_field_options")
_COPIES = frozenset({"html_body", "plain_body"})  # of a comment: `body` says the same


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    title: str
    options: Mapping[str, str]  # tag -> the name that agents see


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A folder that `fetch_export` filled, its ticket fields read."""

    folder: Path
    dataset: Dataset
    fields: Mapping[int, _Field]
    contact_type_ids: tuple[int, ...]
    replying: frozenset[str]  # ids of macros that write a public reply: only those can be templates

    def pages(self) -> list[tuple[Path, str]]:
        """The pages of tickets in the order they were fetched, each with a hash of its content and of how it is
        read."""
        reading = json.dumps(self.dataset.source.contact_type_fields)
        return [(path, joint_hash([file_hash(path), reading])) for path in sorted(self.folder.glob(PAGE_PATTERN))]

    def rows(self, pages: Sequence[Path], skipped: Counter[str]) -> Iterator[SourceRow]:
        """One row a ticket, in order; deleted ones are counted in `skipped`."""
        for page in pages:
            for ticket in _objects(page):
                if isinstance(ticket, SourceRow):
                    yield ticket
                elif ticket.get("status") == "deleted":
                    skipped[DELETED] += 1
                else:
                    yield source_row(self._row(ticket), None)

    def macros(self) -> list[ReplyTemplate]:
        """Macros that write a public reply, as templates; Zendesk's placeholders stay. A macro's version is when it
        was last changed, in seconds."""
        found = []
        for macro in _sound(self.folder / MACROS):
            body = _reply_of(macro)
            if body:
                changed = datetime.fromisoformat(macro.get("updated_at") or "1970-01-01T00:00:01+00:00")
                found.append(
                    ReplyTemplate(
                        template_id=str(macro["id"]),
                        title=str(macro.get("title") or macro["id"]),
                        body=body,
                        language=tell_language(body, self.dataset.languages),
                        active=bool(macro.get("active", True)),
                        version=int(changed.timestamp()),
                    )
                )
        return found

    def _row(self, ticket: dict[str, Any]) -> dict[str, Any]:
        audits = [_slim(audit) for audit in ticket.get("audits") or ()]
        values = {entry.get("id"): entry.get("value") for entry in ticket.get("custom_fields") or ()}
        outcome = None
        if ticket.get("status") in _SOLVED:
            levels = [self._named(identifier, values.get(identifier)) for identifier in self.contact_type_ids]
            outcome = {
                "contact_type": SEPARATOR.join(str(level) for level in levels if level) or None,
                **_answer(ticket, audits, self.replying),
                "resolved_at": _solved_at(audits) or ticket.get("updated_at"),
                "assignee": ticket.get("assignee_id"),
            }
        return {
            **ticket,
            "audits": audits,
            "first_message": _first_message(ticket, audits),
            "fields": {
                self.fields[identifier].title: self._named(identifier, value)
                for identifier, value in values.items()
                if identifier in self.fields
            },
            "outcome": outcome,
        }

    def _named(self, identifier: int, value: Any) -> Any:
        """A field's value with the names of options in place of their tags."""
        options = self.fields[identifier].options
        if isinstance(value, list):
            return ", ".join(str(options.get(item, item)) for item in value)
        return options.get(value, value) if isinstance(value, str) else value


def open_export(folder: Path, dataset: Dataset) -> Export:
    """Read the export's ticket fields and macros. Raises SourceError when the folder holds no export, or when
    dataset.toml names a field that Zendesk does not have; DatasetError when the contact type's field is an input."""
    if not (folder / FIELDS).exists():
        raise SourceError(
            f"{folder} holds no Zendesk export.", hint="Fetch one with `triage sources zendesk`, and name its folder."
        )
    fields = _fields(_sound(folder / FIELDS))
    by_name = {field.title: identifier for identifier, field in fields.items()}
    by_name |= {str(identifier): identifier for identifier in fields}
    wanted = [*dataset.source.contact_type_fields]
    wanted += [name.removeprefix("fields.") for name in dataset.columns if name.startswith("fields.")]
    if missing := [name for name in wanted if name not in by_name]:
        raise SourceError(
            f"Zendesk has no ticket field {missing[0]!r}.",
            hint=f"It has {', '.join(repr(field.title) for field in fields.values())}. Correct dataset.toml.",
        )
    chosen = tuple(by_name[name] for name in dataset.source.contact_type_fields)
    inputs = {by_name[name.removeprefix("fields.")] for name in dataset.attributes if name.startswith("fields.")}
    if leaks := inputs.intersection(chosen):
        raise DatasetError(
            f"the field {fields[leaks.pop()].title!r} is both an input and the contact type.",
            hint="A model that sees it would look perfect in tests and fail on new tickets: take it out of one place.",
        )
    replying = frozenset(str(macro["id"]) for macro in _sound(folder / MACROS) if _reply_of(macro))
    return Export(folder=folder, dataset=dataset, fields=fields, contact_type_ids=chosen, replying=replying)


def joint_hash(hashes: Iterable[str]) -> str:
    """One hash of several, in their order: SHA-256, hexadecimal."""
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _fields(rows: Iterable[dict[str, Any]]) -> dict[int, _Field]:
    """Ticket fields by id. Titles lose their dots, which are paths in dataset.toml; of two with one title, the later
    is told by its id."""
    fields: dict[int, _Field] = {}
    taken: set[str] = set()
    for row in rows:
        title = str(row.get("title") or row["id"]).replace(".", " ").strip()
        title = title if title not in taken else str(row["id"])
        taken.add(title)
        options = {option["value"]: option["name"] for key in _OPTIONS for option in row.get(key) or ()}
        fields[row["id"]] = _Field(title=title, options=options)
    return fields


def _objects(path: Path) -> Iterator[dict[str, Any] | SourceRow]:
    with open(path, "rb") as file:
        for line in file:
            try:
                found = orjson.loads(line)
            except orjson.JSONDecodeError:
                found = None
            if isinstance(found, dict):
                yield found
            elif line.strip():
                yield source_row({"": line.decode("utf-8", "surrogateescape").rstrip()}, BROKEN_JSON)


def _sound(path: Path) -> Iterator[dict[str, Any]]:
    for found in _objects(path) if path.exists() else ():
        if isinstance(found, SourceRow):
            raise SourceError(f"{path.name} holds a broken line.", hint="Fetch it again.")
        yield found


def _slim(audit: dict[str, Any]) -> dict[str, Any]:
    """An audit without the mails it sent out and the HTML of its comments: both repeat what `body` says."""
    events = [
        {key: value for key, value in event.items() if key not in _COPIES}
        for event in audit.get("events") or ()
        if "Notification" not in str(event.get("type"))
    ]
    return {**audit, "events": events}


def _comments(audits: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Public comments with text, each with its audit."""
    for audit in audits:
        for event in audit["events"]:
            if event.get("type") == "Comment" and event.get("public", True) and str(event.get("body") or "").strip():
                yield audit, event


def _first_message(ticket: Mapping[str, Any], audits: Sequence[dict[str, Any]]) -> str:
    requester = ticket.get("requester_id")
    for audit, comment in _comments(audits):
        if comment.get("author_id", audit.get("author_id")) == requester:
            return str(comment["body"])
    return str(ticket.get("description") or "")


def _answer(
    ticket: Mapping[str, Any], audits: Sequence[dict[str, Any]], replying: frozenset[str]
) -> dict[str, str | None]:
    """The agent's reply and the macro chosen for it: the last one applied, when several were."""
    others = {ticket.get("requester_id"), *(ticket.get("collaborator_ids") or ()), *(ticket.get("email_cc_ids") or ())}
    others.discard(ticket.get("assignee_id"))
    first: str | None = None
    for audit, comment in _comments(audits):
        author = comment.get("author_id", audit.get("author_id"))
        if author in others or not isinstance(author, int) or author < 0:  # triggers and automations write as -1
            continue
        macros = [str(event.get("macro_id")) for event in audit["events"] if event.get("type") == "AgentMacroReference"]
        if chosen := [macro for macro in macros if macro in replying]:
            return {"template_id": chosen[-1], "reply": str(comment["body"])}
        first = first if first is not None else str(comment["body"])
    return {"template_id": None, "reply": first}


def _solved_at(audits: Sequence[dict[str, Any]]) -> str | None:
    """When the status last became `solved`."""
    for audit in reversed(audits):
        for event in audit["events"]:
            if event.get("field_name") == "status" and event.get("value") == "solved":
                return str(audit.get("created_at"))
    return None


def _reply_of(macro: Mapping[str, Any]) -> str:
    """The public comment that a macro writes; "" when it writes none."""
    actions = {action.get("field"): action.get("value") for action in macro.get("actions") or ()}
    if str(actions.get("comment_mode_is_public", "true")).lower() == "false":
        return ""
    value = actions.get("comment_value_html") or actions.get("comment_value") or ""
    text = str(value[-1]) if isinstance(value, list) and value else str(value or "")  # ["channel:all", "text"]
    return strip_markup(text).strip() if "comment_value_html" in actions else text.strip()
