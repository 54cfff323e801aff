"""A theme that is found again is the same theme: what a night found, matched with what earlier nights found.

Two finds are one theme when they share tickets, or when their centroids are close in the embeddings of one model;
after a change of model only tickets tell. So a theme keeps its days and what people decided about it, and a dismissed
one does not come back.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import sqlalchemy as sa

from monitoring.consequences import Tonight, followed
from monitoring.evidence import Evidence
from monitoring.policy import Policy
from monitoring.themes import FoundTheme, find_themes
from monitoring.windows import Window
from tickets import theme_log
from tickets.theme_log import Theme, seen_again

_SHARED = 0.3  # of the smaller one's tickets; windows of a week share six days with those of the night before
_CLOSE = 0.85  # cosine; finds of one theme in different tickets reach 0.9, themes about one product 0.7
_KNOWN = 500  # themes looked through, last seen first


def note_themes(engine: sa.Engine, tonight: Tonight, evidence: Evidence, policy: Policy) -> Sequence[Theme]:
    """Find the new themes of the night and record them; returns them. A night that later ones followed notes none."""
    if not policy.look_for_themes or followed(engine, tonight):
        return ()
    found = find_themes(
        evidence.reference,
        evidence.current,
        overridden=overridden(evidence),
        customers=[item.ticket.customer_key or item.ticket.ticket_id for item in evidence.logged],
        limits=policy.themes,
        seed=policy.seed,
    )
    dated = [_dated(theme, evidence.current, tonight) for theme in found]
    noted = remember(theme_log.latest_themes(engine, limit=_KNOWN), dated)
    theme_log.record(engine, noted)
    return noted


def overridden(evidence: Evidence) -> dict[str, str | None]:
    """Tickets that an agent or a labeler gave another contact type than was suggested first, with that type."""
    corrected = {
        item.ticket_id: item.contact_type for item in evidence.judged_after if item.action == "corrected" and item.told
    }
    labelled = {
        item.ticket_id: item.contact_type
        for item in evidence.labelled
        if item.told and item.contact_type is not None and item.contact_type not in item.suggested[:1]
    }
    return corrected | labelled


def remember(known: Sequence[Theme], found: Sequence[Theme]) -> list[Theme]:
    """What was found, each as the known theme that it is. Several finds that are one known theme become one again."""
    tonight: dict[str, Theme] = {}
    before: dict[str, Theme] = {}
    for theme in found:
        same = _same(known, theme)
        if same is None:
            tonight[theme.theme_id] = theme
            continue
        before[same.theme_id] = same
        first = tonight.get(same.theme_id)
        tonight[same.theme_id] = theme if first is None else _joined(first, theme)
    return [seen_again(before[name], theme) if name in before else theme for name, theme in tonight.items()]


def _same(known: Sequence[Theme], theme: Theme) -> Theme | None:
    """The known theme that this is, the most alike of several; None when it is new."""
    best, most = None, 0.0
    for one in known:
        alike = max(_shared(one, theme) / _SHARED, _cosine(one, theme) / _CLOSE)
        if alike >= 1.0 and alike > most:
            best, most = one, alike
    return best


def _shared(one: Theme, other: Theme) -> float:
    fewer = min(len(one.ticket_ids), len(other.ticket_ids))
    return len(set(one.ticket_ids) & set(other.ticket_ids)) / fewer if fewer else 0.0


def _cosine(one: Theme, other: Theme) -> float:
    """Of the centroids; 0 where they are of different models."""
    if one.model_version != other.model_version or len(one.centroid) != len(other.centroid):
        return 0.0
    return float(np.dot(one.centroid, other.centroid))  # both have length 1


def _joined(first: Theme, second: Theme) -> Theme:
    """Two finds of one night that are one theme; the larger comes first and tells what it is about."""
    return replace(
        first,
        tickets=first.tickets + second.tickets,
        share=first.share + second.share,
        days={day: first.days.get(day, 0) + second.days.get(day, 0) for day in sorted({*first.days, *second.days})},
        ticket_ids=(*first.ticket_ids, *second.ticket_ids),
        first_seen=min(first.first_seen, second.first_seen),
        last_seen=max(first.last_seen, second.last_seen),
    )


def _dated(theme: FoundTheme, current: Window, tonight: Tonight) -> Theme:
    """A find as a theme. Where the window is a sample, tickets are counted as many times as they stand for."""
    stands_for = current.counted / len(current)
    times = [current.created_at[row] for row in theme.rows.tolist()]
    return Theme(
        theme_id=uuid.uuid4().hex,
        name=theme.name,
        words=theme.words,
        tickets=round(stands_for * len(times)),
        share=round(len(times) / len(current), 4),
        days=_days(Counter(time.date().isoformat() for time in times), current, stands_for),
        examples=theme.examples,
        ticket_ids=[current.ticket_ids[row] for row in theme.rows.tolist()],
        nearest=theme.nearest,
        centroid=[round(float(number), 5) for number in theme.centroid],
        model_version=tonight.release.version,
        first_seen=min(times),
        last_seen=max(times),
        run_id=tonight.run_id,
    )


def _days(counted: Mapping[str, int], current: Window, stands_for: float) -> dict[str, int]:
    """The tickets of each day, from the theme's first to the last of the window, days without any among them."""
    last = max(time.date() for time in current.created_at)
    day, days = date.fromisoformat(min(counted)), {}
    while day <= last:
        days[day.isoformat()] = round(stands_for * counted.get(day.isoformat(), 0))
        day += timedelta(days=1)
    return days
