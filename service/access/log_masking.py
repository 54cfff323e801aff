"""The last guard of the log: whatever string is logged, addresses, telephone and card numbers and keys are masked.

No code of ours logs such things on purpose. Exceptions of libraries may hold them.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from pipeline.text.clues import SEVEN_DIGITS
from pipeline.text.payment_numbers import mask_cards
from pipeline.text.phone_numbers import mask_phones
from pipeline.text.web_addresses import mask_emails

# Ids, times and routes that we make ourselves; a number within one is no telephone number.
_OURS = frozenset({"timestamp", "request_id", "trace_id", "level", "route", "method"})
_SECRET = re.compile(r"triage_[0-9a-f]{12}_\w+|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*|\b[Bb]earer\s+[\w.~+/=-]+")


def mask_secrets(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the event with every string in it masked, in lists and mappings too."""
    for name, value in event.items():
        if name not in _OURS:
            event[name] = _masked(value)
    return event


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_line(value)
    if isinstance(value, dict):
        return {name: _masked(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(inner) for inner in value]
    return value


def mask_line(text: str) -> str:
    """The text without what identifies a person or lets somebody in. Most lines hold nothing of the kind, so a cheap
    look goes before each costly pattern."""
    if "triage_" in text or "eyJ" in text or "earer" in text:
        text = _SECRET.sub("<SECRET>", text)
    if "@" in text:
        text = mask_emails(text, frozenset())
    if SEVEN_DIGITS.search(text):
        text = mask_phones(mask_cards(text))
    return text
