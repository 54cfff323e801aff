"""What to do about an alarm, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitoring.detectors.confidence import ABSTAINED, OUT_OF_SCOPE
from monitoring.detectors.text import UNSEEN
from monitoring.detectors.words import NAME as WORDS
from tickets.monitor_log import DetectorResult

_LABEL = "Label the tickets that the queue asks about, then retrain."
_THEMES = "Look at the new themes: a contact type may be missing."
_NEW = frozenset({OUT_OF_SCOPE, ABSTAINED, UNSEEN, WORDS})  # that drift when people write about something new


def recommend(result: DetectorResult, contact_types: Sequence[str], night: Sequence[DetectorResult] = ()) -> list[str]:
    """What answers this alarm, the most useful first. `night` are all results: what else drifted tells what it is."""
    new = [_THEMES] if _NEW & {other.detector for other in (result, *night) if other.drifted} else []
    match result.detector:
        case "volume":
            more = result.details.get("tickets", 0) > result.details.get("expected", 0)
            sentences = [f"Look at volume and staffing: {'more' if more else 'fewer'} tickets come than usual."]
            if not more:
                sentences.append("Check that the feed of tickets is whole.")
        case "attributes":
            sentences = [f"Check the feed of the attribute {name}." for name in _attributes(result.details)] or [_LABEL]
        case "text.language":
            grown = [row["name"] for row in result.details.get("moved", ()) if row["current"] > row["reference"]][:2]
            sentences = [f"Label tickets in {' and '.join(grown)}, then retrain." if grown else _LABEL]
        case "predictions.types" | "predictions.one_type":
            named = ", ".join(contact_types)
            sentences = [f"Look at staffing for {named}." if named else "Look at staffing by contact type.", *new]
        case "text.length":
            sentences = ["Check how tickets reach the service: forms, quoted mail or signatures may have changed."]
        case _:
            sentences = [*new, _LABEL]
    return sentences


def _attributes(details: Mapping[str, Any]) -> list[str]:
    """The attributes that vanished, or the one that moved most."""
    vanished = [str(name) for name in details.get("vanished", ())]
    moved = [str(row["attribute"]) for row in details.get("moved", ())][:1]
    return [*vanished, *(name for name in moved if name not in vanished)]
