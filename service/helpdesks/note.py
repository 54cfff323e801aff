"""What is written into a helpdesk: tags, a field's value, a note for agents. No ticket text goes into any of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass

from service.helpdesks.options import HelpdeskOptions
from service.pages import confidence
from tickets.records import Suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What shall stand in the ticket. The note holds `reference` too, so that it is found when it is there already."""

    reference: str
    tags: tuple[str, ...] = ()
    value: str | None = None  # of the field
    note: str | None = None

    def without_note(self) -> Written:
        return dataclasses.replace(self, note=None)


def to_write(suggestion: Suggestion, options: HelpdeskOptions) -> Written:
    """Tags and field hold the first contact type, unless the model abstained: then the note alone tells."""
    wanted = options.writes
    first = suggestion.contact_types[0].contact_type if suggestion.contact_types else None
    sure = None if suggestion.abstained else first
    return Written(
        reference=suggestion.suggestion_id,
        tags=(tag_of(sure, options.tag_prefix),) if sure is not None and "tags" in wanted else (),
        value=value_of(sure, options.field_values)
        if sure and options.contact_type_field and "field" in wanted
        else None,
        note=note_of(suggestion) if "note" in wanted else None,
    )


def tag_of(contact_type: str, prefix: str) -> str:
    """`triage_refund`: lower case, without what helpdesks do not allow in tags."""
    return prefix + re.sub(r"[^a-z0-9_-]+", "_", contact_type.casefold()).strip("_")


def value_of(contact_type: str, values: Mapping[str, str]) -> str:
    return values.get(contact_type, contact_type)


def note_of(suggestion: Suggestion) -> str:
    """The note, in plain text: contact types with confidence in words, reply templates, and why nothing is sure."""
    lines = ["Triage suggestions, for agents only"]
    if suggestion.abstained:
        lines.append(f"Not sure enough to choose: {suggestion.abstain_reason or 'no contact type stands out'}.")
    for rank, ranked in enumerate(suggestion.contact_types, 1):
        lines.append(f"{rank}. {ranked.path.replace('::', ' > ')} ({confidence(ranked.band)})")
    if suggestion.templates:
        lines += ["", "Reply templates worth a look:"]
        lines += [f"{rank}. {template.title}" for rank, template in enumerate(suggestion.templates, 1)]
    return "\n".join([*lines, "", f"Reference {suggestion.suggestion_id}"])
