"""How far the labels themselves can be trusted: agreement of the last weeks, and answers to gold tickets."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa

from monitoring.agreement import Coefficient, agreement
from monitoring.performance import flat, proportion
from tickets.contact_types import ContactTypeTree
from tickets.label_answers import UNDO_WITHIN
from tickets.label_work import gold_hits, labels_by_item

LOOKED_AT = timedelta(days=28)


def label_quality(
    engine: sa.Engine, tree: ContactTypeTree, *, at: datetime, seed: int = 0
) -> dict[str, float | int | None]:
    """Figures for a night's summary: `label_agreement`, `label_kappa`, `label_alpha` and `gold_accuracy`, each with
    `_low`, `_high` and `_tickets`; None where nothing is known. What can still be taken back is in no figure about
    gold."""
    found = agreement(list(labels_by_item(engine, since=at - LOOKED_AT).values()), seed=seed)
    gold = gold_hits(engine, tree, since=at - LOOKED_AT, until=at - UNDO_WITHIN).values()
    right, given = sum(each.hits for each in gold), sum(each.compared for each in gold)
    return {
        **_flat("label_agreement", found.raw),
        **_flat("label_kappa", found.kappa),
        **_flat("label_alpha", found.alpha),
        **flat({"gold_accuracy": proportion([True] * right + [False] * (given - right))}),
    }


def _flat(name: str, found: Coefficient | None) -> dict[str, float | int | None]:
    return {
        name: found.value if found else None,
        f"{name}_low": found.low if found else None,
        f"{name}_high": found.high if found else None,
        f"{name}_tickets": found.items if found else 0,
    }
