"""From tickets to suggestions: clean, wait for the model, keep, answer. Every way in comes through here: the API, the
console, the helpdesks.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from anyio import to_thread

from models.suggest import Suggester
from pipeline.text.clean import Refused, clean_ticket
from service.problems import FieldError, Problem
from service.serving import Serving
from tickets.feedback_log import find_suggestion, log_suggestions, new_id
from tickets.records import Suggestion, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A ticket to suggest for. `pointer` says where it stands in the request (RFC 6901); `suggestion_id` may be given,
    so that asking again finds the first answer."""

    ticket: Ticket
    pointer: str = ""
    suggestion_id: str = field(default_factory=new_id)
    top_types: int = 3
    top_templates: int = 3


async def answer(held: Serving, wanted: Sequence[Wanted]) -> list[Suggestion]:
    """One suggestion a ticket, kept with the cleaned ticket before it is returned.

    Raises Problem: 503 without a release, 422 for tickets that cleaning refuses.
    """
    suggester = held.releases.require(retry_after=held.options.retry_after_seconds).suggester
    with held.metrics.queue_depth.track_inprogress():
        pairs = await to_thread.run_sync(_infer, held, suggester, wanted, limiter=held.inference_turn)
    await to_thread.run_sync(log_suggestions, held.engine, pairs)
    made = [suggestion for _, suggestion in pairs]
    held.metrics.suggested(made)
    return made


def find_kept(held: Serving, suggestion_id: str) -> tuple[Ticket, Suggestion] | None:
    """A suggestion that was answered, with its cleaned ticket; None for an unknown id, whatever characters it holds."""
    return find_suggestion(held.engine, suggestion_id) if "\x00" not in suggestion_id else None


def _infer(held: Serving, suggester: Suggester, wanted: Sequence[Wanted]) -> list[tuple[Ticket, Suggestion]]:
    """Cleaned tickets with their suggestions. Runs in the inference thread."""
    started = time.perf_counter()
    cleaned = _clean(wanted, suggester.release.languages)
    made = suggester.suggest_cleaned(
        cleaned,
        top_types=max(one.top_types for one in wanted),
        top_templates=max(one.top_templates for one in wanted),
        now=held.options.clock(),
    )
    held.metrics.inference.observe(time.perf_counter() - started)
    held.metrics.batch_size.observe(len(wanted))
    return [
        (
            ticket,
            dataclasses.replace(
                suggestion,
                suggestion_id=one.suggestion_id,
                contact_types=suggestion.contact_types[: one.top_types],
                templates=suggestion.templates[: one.top_templates],
            ),
        )
        for one, ticket, suggestion in zip(wanted, cleaned, made, strict=True)
    ]


def _clean(wanted: Sequence[Wanted], languages: Sequence[str]) -> list[Ticket]:
    """The tickets as the pipeline would keep them: cleaned and masked. Raises Problem naming every one it refuses."""
    cleaned, errors = [], []
    for one in wanted:
        try:
            cleaned.append(clean_ticket(one.ticket, languages))
        except Refused as refused:
            errors.append(FieldError(where="body", pointer=one.pointer, detail=f"{refused.reason}: {refused.detail}"))
    if errors:
        raise Problem(
            422,
            "ticket-refused",
            errors[0].detail if len(wanted) == 1 else f"{len(errors)} of {len(wanted)} tickets cannot be read.",
            hint="Send what the customer wrote in `body`.",
            errors=errors,
        )
    return cleaned
