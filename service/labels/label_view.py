"""What the pages of /labels show beside the ticket: what may be chosen, what was just done, how the work stands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query

from models.intervals import Share, share_of
from service.pages.opened import opened_now
from service.serving import Serving
from tickets import label_queue, label_work, monitor_log
from tickets.label_answers import UNDO_WITHIN, can_undo
from tickets.label_queue import LabelRequest
from tickets.label_work import Hits, Waiting, Work
from tickets.monitor_log import MonitorRun

_NIGHT = timedelta(days=1)
LOOKED_BACK = timedelta(days=28)
_WORDS = {
    "labelled": "Label kept.",
    "skipped": "Set aside.",
    "passed-done": "Passed over: the label that somebody else gave it counts.",
    "passed-disputed": "Passed over: the labels that others gave it do not agree, and somebody settles that.",
    "settled": "Dispute settled.",
    "undone": "Taken back. The ticket waits for you again.",
    "undone-elsewhere": "Taken back. Somebody else has the ticket now.",
}
_NO_WAY_BACK = ("passed-disputed", "undone", "undone-elsewhere")


@dataclass(frozen=True)
class Notice:
    """Read from the address: what was `done`, with which `item`."""

    done: Annotated[str, Query(max_length=20)] = ""
    item: Annotated[str, Query(max_length=200, pattern=r"^[\w:.-]*$")] = ""

    def shown(self, held: Serving, person: str | None) -> dict[str, str] | None:
        """The words, and the item that this person can still take back; None when there is nothing to say."""
        words = _WORDS.get(self.done)
        if words is None:
            return None
        if person is None or self.done in _NO_WAY_BACK:
            return {"words": words, "undo": ""}
        undoable = can_undo(held.engine, self.item, labeler=person, at=held.options.clock())
        return {"words": words, "undo": self.item if undoable else ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A contact type that is offered, and what is said of it."""

    contact_type: str
    path: str
    band: str = ""
    probability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How the work stands, for one person and in all, over all time; agreement and gold over four weeks, without the
    last ten minutes."""

    waiting: Waiting
    own: Work
    everybody: Work
    counts: dict[str, int]
    agreed: Share
    gold: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A share or a coefficient with its 95 % interval, `of` so many tickets or labels."""

    value: float
    low: float
    high: float
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good all people's labels are, as the last night found it: the share of tickets on which they agree, Cohen's
    kappa, Krippendorff's alpha, and the share of known answers that were hit. None where nothing is known."""

    agreement: Measured | None
    kappa: Measured | None
    alpha: Measured | None
    gold: Measured | None


@dataclass(frozen=True, slots=True)
class NextBatch:
    """When monitoring last asked for labels and how many, and when it asks again; None before its first night."""

    last: datetime | None
    asked: int
    next: datetime | None
    late: bool


def choices_of(held: Serving, item: LabelRequest) -> list[Choice]:
    """What is offered for an item: nothing where its labels must be blind, the theme's contact type first."""
    if item.share == "suspect" and item.doubt is not None and item.known_type is not None:
        said = (
            (item.known_type, item.doubt["given_probability"]),
            (item.doubt["likelier"], item.doubt["likelier_probability"]),
        )
        return [Choice(contact_type=name, path=held.choices.path(name), probability=share) for name, share in said]
    if item.blind or item.suggestion is None:
        return []
    ranked = [Choice(contact_type=it.contact_type, path=it.path, band=it.band) for it in item.suggestion.contact_types]
    if item.share != "theme" or item.known_type is None or not held.choices.knows_contact_type(item.known_type):
        return ranked
    others = [choice for choice in ranked if choice.contact_type != item.known_type]
    return [Choice(contact_type=item.known_type, path=held.choices.path(item.known_type)), *others]


def progress_of(held: Serving, person: str) -> Progress:
    """Figures for a person's page. Those that tell a gold ticket from others leave out what can still be taken back."""
    now, engine = held.options.clock(), held.engine
    since, until = now - LOOKED_BACK, now - UNDO_WITHIN
    agreed = label_work.agreement_of(person, label_work.labels_by_item(engine, since=since, until=until))
    gold = label_work.gold_hits(engine, held.choices.tree(), since=since, until=until).get(person, Hits(0, 0))
    return Progress(
        waiting=label_work.waiting(engine, person, at=now),
        own=label_work.work(engine, at=now, person=person),
        everybody=label_work.work(engine, at=now),
        counts=label_queue.counts(engine),
        agreed=share_of(agreed.hits, agreed.compared),
        gold=share_of(gold.hits, gold.compared),
    )


def next_batch(run: MonitorRun | None, *, now: datetime) -> NextBatch:
    """Monitoring asks each night; when the last one was tells when the next is due. It is late when the dashboard
    says so too."""
    if run is None:
        return NextBatch(None, 0, None, late=False)
    due = run.started_at + _NIGHT
    return NextBatch(run.started_at, int(run.summary.get("labels_asked", 0)), due, late=run.late(now))


def quality_in(run: MonitorRun | None) -> Quality:
    """From a night's summary, see monitoring/label_quality.py."""
    said = run.summary if run is not None else {}

    def measured(name: str) -> Measured | None:
        if said.get(name) is None:
            return None
        low, high, count = (said[f"{name}_{part}"] for part in ("low", "high", "tickets"))
        return Measured(value=said[name], low=low, high=high, of=count)

    return Quality(
        agreement=measured("label_agreement"),
        kappa=measured("label_kappa"),
        alpha=measured("label_alpha"),
        gold=measured("gold_accuracy"),
    )


def view(held: Serving, person: str | None, told: Notice) -> dict[str, Any]:
    """What every page of /labels is given."""
    last = next(iter(monitor_log.recent_runs(held.engine, limit=1)), None)
    return {
        "notice": told.shown(held, person),
        "progress": progress_of(held, person) if person else None,
        "next_batch": next_batch(last, now=held.options.clock()),
        "quality": quality_in(last),
        "opened": opened_now(held),
        "found": held.choices.search(""),
        "query": "",
        "path_of": held.choices.path,
    }
