"""How good is the model now? From agents' feedback and from labels of randomly chosen tickets.

A champion keeps suggesting the names it learned while people answer in those of today, so both are read as today's tree
has them. What confidence alone tells is in monitoring.accuracy_estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from models.intervals import share_of
from tickets.contact_types import ContactTypeTree
from tickets.feedback_log import feedback_with_suggestions
from tickets.label_queue import labels_with_suggestions

EVER = datetime(9000, 1, 1, tzinfo=UTC)  # no time is later


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A suggestion beside what a person said of its ticket. `contact_type` is the person's, None when it was not
    given.
    """

    ticket_id: str
    at: datetime
    model_version: str
    # accepted | corrected | ignored; unaided where nothing was shown; or the share that a label was asked for
    action: str
    contact_type: str | None
    suggested: tuple[str, ...]  # best first
    band: str | None = None  # of the first: high | medium | low
    edit_distance: float | None = None  # the share of the sent template that changed; None when none was sent
    told: bool = True  # False where contact types changed so that nothing tells whether the suggestion was right


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval, all 0 to 1, from `tickets` tickets."""

    share: float
    low: float
    high: float
    tickets: int


def read_judged(engine: sa.Engine, start: datetime, end: datetime, *, today: ContactTypeTree) -> list[Judged]:
    """Feedback of a period, the latest of each suggestion, `as_of_today`."""
    latest = {
        row["suggestion_id"]: as_of_today(_judged(row, action=_action(row), at=row["at"]), today)
        for row in feedback_with_suggestions(engine, start, end)
    }
    return list(latest.values())


def read_labelled(engine: sa.Engine, start: datetime, end: datetime, *, today: ContactTypeTree) -> list[Judged]:
    """Labels of tickets that were suggested for in a period, `as_of_today`; `action` is the share that each was asked
    for.

    A label is dated by its ticket: one that is given weeks later tells how good the model was then, not how good it is.
    """
    labelled = []
    for row in labels_with_suggestions(engine, start, EVER):  # nobody is asked about a ticket before its suggestion
        if not row["suggestion"]:
            continue
        at = datetime.fromisoformat(row["suggestion"]["created_at"])
        if start <= at < end:
            version = row["suggestion"]["model_version"]
            said = _judged({**row, "model_version": version}, action=row["share"], at=at)
            labelled.append(as_of_today(said, today))
    return labelled


def as_of_today(item: Judged, today: ContactTypeTree) -> Judged:
    """The same with the names of today's tree on both sides. An agent who gave what was suggested its name of today has
    accepted it.

    Not `told` is whether a suggestion was right where what the person said is no one leaf today, or only part of what
    was suggested. A retired name that nothing replaced, and a name that is new, are just different from all others.
    """
    given, settled = item.contact_type, truth(item)
    leaf = None if settled is None else today.leaf_today(settled)
    means = [today.leaves_today(name) for name in item.suggested]
    suggested = tuple(
        leaves[0] if len(leaves) == 1 else name for name, leaves in zip(item.suggested, means, strict=True)
    )
    perhaps = [len(leaves) > 1 and leaf in leaves for leaves in means]
    renamed = item.action == "corrected" and leaf in suggested[:1] and given not in item.suggested[:1]
    return replace(
        item,
        action="accepted" if renamed else item.action,
        contact_type=given if given is None or leaf is None else leaf,
        suggested=suggested,
        told=settled is None or (leaf is not None and not any(perhaps[:1] if leaf in suggested else perhaps)),
    )


def accepted(judged: Iterable[Judged]) -> list[bool]:
    """Whether each suggestion that an agent acted on was accepted; one that was ignored says nothing, nor does one of
    which today's tree does not tell."""
    acted = (item for item in judged if item.told and item.action in {"accepted", "corrected"})
    return [item.action == "accepted" for item in acted]


def overridden_when_sure(judged: Iterable[Judged]) -> list[bool]:
    """Whether each suggestion that the model was sure of, and an agent acted on, was corrected."""
    acted = (item for item in judged if item.told and item.action in {"accepted", "corrected"})
    sure = (item for item in acted if item.band == "high")
    return [item.action == "corrected" for item in sure]


def audited_hits(labelled: Iterable[Judged]) -> list[bool]:
    """Whether the label of each randomly chosen ticket was among the first three suggested."""
    return [item.contact_type in item.suggested[:3] for item in labelled if item.action == "random" and item.told]


def editing(judged: Iterable[Judged]) -> list[float]:
    """The share that agents changed of each template they sent."""
    return [item.edit_distance for item in judged if item.edit_distance is not None]


def feedback_figures(judged: Sequence[Judged]) -> dict[str, Estimate | None]:
    """Acceptance, accuracy of the first contact type, and hits@3, from agents' feedback. Agents lean towards what
    they are shown, so these flatter the model; the random labels do not, nor does what agents chose unaided."""
    told = [item for item in judged if item.told]
    unaided = [item for item in told if item.action == "unaided"]
    known = [item for item in told if item.action in {"accepted", "corrected"} and truth(item) is not None]
    return {
        "acceptance": proportion(accepted(judged)),
        "accuracy_feedback": proportion([truth(item) in item.suggested[:1] for item in known]),
        "hits_at_3": proportion([truth(item) in item.suggested[:3] for item in known]),
        "accuracy_unaided": proportion([item.contact_type in item.suggested[:1] for item in unaided]),
    }


def label_figures(labelled: Sequence[Judged]) -> dict[str, Estimate | None]:
    """Accuracy and hits@3 on the random share of labels, the only one that stands for all tickets."""
    audit = [item for item in labelled if item.action == "random" and item.told]
    return {
        "accuracy_labels": proportion([item.contact_type in item.suggested[:1] for item in audit]),
        "hits_at_3_labels": proportion(audited_hits(labelled)),
    }


def proportion(outcomes: Sequence[bool]) -> Estimate | None:
    """A share with its Wilson interval; None of nothing."""
    if not outcomes:
        return None
    share = share_of(sum(outcomes), len(outcomes))
    return Estimate(sum(outcomes) / len(outcomes), share.low, share.high, len(outcomes))


def flat(figures: Mapping[str, Estimate | None]) -> dict[str, float | int | None]:
    """Figures as the flat names that a run's summary keeps: `x`, `x_low`, `x_high`, `x_tickets`."""
    rows: dict[str, float | int | None] = {}
    for name, figure in figures.items():
        rows[name] = figure.share if figure else None
        rows[f"{name}_low"] = figure.low if figure else None
        rows[f"{name}_high"] = figure.high if figure else None
        rows[f"{name}_tickets"] = figure.tickets if figure else 0
    return rows


def _action(row: Mapping[str, Any]) -> str:
    """What the agent did. Of a suggestion that was withheld nothing can be accepted: the agent chose unaided."""
    withheld = row["suggestion"].get("arm") == "holdout"
    return "unaided" if withheld and row["action"] == "corrected" else str(row["action"])


def truth(item: Judged) -> str | None:
    """What the person took it to be; accepting without naming one means the first."""
    if item.contact_type is not None:
        return item.contact_type
    return item.suggested[0] if item.action == "accepted" and item.suggested else None


def _judged(row: Mapping[str, Any], *, action: str, at: datetime) -> Judged:
    return Judged(
        ticket_id=row["ticket_id"],
        at=at,
        model_version=row["model_version"],
        action=action,
        contact_type=row["contact_type"],
        suggested=tuple(entry["contact_type"] for entry in row["suggestion"]["contact_types"]),
        band=next((entry.get("band") for entry in row["suggestion"]["contact_types"]), None),
        edit_distance=row.get("edit_distance"),
    )
