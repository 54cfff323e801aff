"""What happens to the company while it is simulated, and the truth about it: when, how strongly, in what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from tickets.errors import InputError
from tickets.simulate.catalogue import situation_by_path, situations

EventKind = Literal["new_product", "outage", "wording", "label_mix"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A scheduled change. From `start`, for `days` days (None: to the end), it shapes `share` of each day's tickets.

    new_product: that share is about contact types nobody wrote about before. outage: that share comes on top of the
    usual volume, about `contact_types`. label_mix: that share is moved to `contact_types`. wording: that share of
    English tickets uses the company's new words, at most: a text without any of the old ones stays as it is.
    The share grows in equal steps over `ramp_days`. Raises InputError for an impossible share or contact type.
    """

    kind: EventKind
    name: str
    start: date
    share: float
    days: int | None = None
    ramp_days: int = 0
    contact_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        limit = 0.95 if self.kind == "outage" else 1.0
        if not 0 <= self.share <= limit:
            raise InputError(
                f"the event {self.name!r} has the share {self.share}; 0 to {limit} is possible.",
                hint="Give a share within these bounds.",
            )
        if (self.kind == "wording") == bool(self.contact_types):
            raise InputError(
                f"the event {self.name!r} must name contact types, unless it changes the wording.",
                hint="Name the types it touches, as paths.",
            )
        if unknown := [path for path in self.contact_types if path not in situation_by_path()]:
            raise InputError(
                f"the event {self.name!r} names the unknown contact type {unknown[0]!r}.",
                hint="Name types of the catalogue, as paths.",
            )

    def share_on(self, day: date) -> float:
        """The share of the day's tickets that this event shapes."""
        since = (day - self.start).days
        if since < 0 or (self.days is not None and since >= self.days):
            return 0.0
        return self.share * min(1.0, (since + 1) / (self.ramp_days + 1))


def new_product(start: date, *, share: float = 0.12, ramp_days: int = 0) -> Event:
    """The company launches scooters; their contact types are in the tree from that day."""
    paths = tuple(situation.path for situation in situations(new_product=True))
    return Event(
        kind="new_product", name="scooter launch", start=start, share=share, ramp_days=ramp_days, contact_types=paths
    )


def outage(start: date, *, days: int = 1, share: float = 0.4) -> Event:
    """The app is down: more tickets than usual, most of them about that."""
    paths = ("Account::App::App crashes", "Account::Sign-in::Cannot sign in", "Payments::Methods::Card declined")
    return Event(kind="outage", name="app outage", start=start, days=days, share=share, contact_types=paths)


def wording_change(start: date, *, share: float = 0.6, ramp_days: int = 0) -> Event:
    """The company renames what it sells (languages/rebrand.toml), and customers take the new words up."""
    return Event(kind="wording", name="rebrand", start=start, share=share, ramp_days=ramp_days)


def label_mix_change(start: date, contact_types: tuple[str, ...], *, share: float = 0.2, ramp_days: int = 0) -> Event:
    """Some contact types become more frequent, in the words people always used."""
    return Event(
        kind="label_mix", name="label mix", start=start, share=share, ramp_days=ramp_days, contact_types=contact_types
    )


def launch_day(events: tuple[Event, ...]) -> date | None:
    """The first day on which the new product's contact types are in the tree, or None."""
    return min((event.start for event in events if event.kind == "new_product"), default=None)
