"""Labelers who know the truth: they stand in for people wherever the loop runs on tickets whose outcome is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import sqlalchemy as sa

from tickets import label_queue

_LABELER = "labeler"
_AT_ONCE = 20


def answer_queue(engine: sa.Engine, truth: Mapping[str, str], *, at: dt.datetime) -> int:
    """Empty the queue truthfully; `truth` maps ticket ids to contact types. Returns how many tickets that were."""
    done = 0
    while claimed := label_queue.claim(engine, _LABELER, at=at, count=_AT_ONCE):
        for item in claimed:
            true_type = truth[item.ticket.ticket_id]
            label_queue.answer(engine, item.item_id, contact_type=true_type, labeler=_LABELER, at=at)
        done += len(claimed)
    return done
