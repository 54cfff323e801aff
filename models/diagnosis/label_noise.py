"""How much of the error no model can take away, because the labels themselves disagree.

Two sources. Tickets that say the same and were given different contact types: the share of pairs that differ bounds
the best possible error (Cover and Hart 1967, "Nearest Neighbor Pattern Classification"). And tickets that a labeler
answered again: how often the first word was overruled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.batches import NONE, TicketArrays
from models.diagnosis.same_period import by_cluster
from models.training.data import TrainingData
from models.tree_index import TreeIndex
from tickets.contact_types import ContactTypeTree, split_path
from tickets.errors import MissingStepError
from tickets.tables import FEEDBACK, IMPORTED_OUTCOMES, LABELS, Table
from tickets.workspace import Workspace

_FEWEST_CLUSTERS, _FEWEST_RELABELLED = 30, 50
_DRAWS = 1_000
Source = Literal["near-duplicates", "labelers", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNoise:
    """A share of tickets (None: unknown), as it would come out of other samples (`draws`, for its interval), from so
    many clusters or tickets (`sample`)."""

    source: Source
    share: float | None
    draws: NDArray[np.float64]
    sample: int
    words: str


def label_noise(workspace: Workspace, data: TrainingData) -> LabelNoise:
    """From labelers where they answered enough tickets again, else from near-duplicates, else unknown. Raises
    MissingStepError before `split`."""
    told = overruled(workspace, data.tree, data.index)
    if told.share is not None:
        return told
    return disagreement(data.index, data.train, by_cluster(workspace, data.train.ticket_ids))


def disagreement(index: TreeIndex, tickets: TicketArrays, groups: NDArray[np.int64], *, seed: int = 17) -> LabelNoise:
    """From tickets of one group that bear different contact types; an inner node agrees with what is under it.

    A ticket's own chance to differ from another of its group is averaged over the tickets, so that a form letter sent a
    thousand times counts a thousand times, not a million.
    """
    differ, size = _within_groups(index, tickets.node, groups)
    if len(size) < _FEWEST_CLUSTERS:
        words = f"unknown: {len(size)} groups of near-duplicates, at least {_FEWEST_CLUSTERS} are needed"
        return _unknown(len(size), words)
    classes = max(2, len(np.unique(tickets.node)))
    drawn = np.random.default_rng(seed).multinomial(len(size), np.full(len(size), 1 / len(size)), size=_DRAWS)
    draws = least_error((drawn @ (differ * size)) / (drawn @ size), classes)
    pairs = float((differ * size).sum() / size.sum())
    share = float(least_error(np.array([pairs]), classes)[0])
    return LabelNoise(
        source="near-duplicates",
        share=share,
        draws=draws,
        sample=len(size),
        words=f"{pairs:.1%} of the pairs in {len(size):,} groups of near-duplicates ({int(size.sum()):,} tickets) "
        "bear different contact types",
    )


def overruled(workspace: Workspace, tree: ContactTypeTree, index: TreeIndex, *, seed: int = 17) -> LabelNoise:
    """From tickets that a labeler answered after an agent or the import had. Those drawn at random alone when they are
    enough, since the others were asked about because they looked odd. What an agent said after the labeler overrules
    nobody."""
    after = {ticket_id: (label, at) for ticket_id, label, at in _words(workspace, LABELS, "at") if at is not None}
    before = {
        ticket_id: contact_type
        for table, time in ((IMPORTED_OUTCOMES, "resolved_at"), (FEEDBACK, "at"))
        for ticket_id, contact_type, at in _words(workspace, table, time)
        if ticket_id in after and (at is None or at < after[ticket_id][1])
    }
    nodes = {
        ticket_id: (_node(tree, index, contact_type), _node(tree, index, after[ticket_id][0]))
        for ticket_id, contact_type in before.items()
    }
    known = {ticket_id: not _agree(index, *pair) for ticket_id, pair in nodes.items() if NONE not in pair}
    chosen = [known[ticket_id] for ticket_id in known.keys() & _drawn_at_random(workspace)]
    by_chance = len(chosen) >= _FEWEST_RELABELLED
    differ = np.array(chosen if by_chance else list(known.values()))
    if len(differ) < _FEWEST_RELABELLED:
        words = f"unknown: {len(differ)} tickets were labelled again, at least {_FEWEST_RELABELLED} are needed"
        return _unknown(len(differ), words)
    share = float(differ.mean())
    how = "drawn at random" if by_chance else "most of them asked about because they looked odd, so this is too high"
    return LabelNoise(
        source="labelers",
        share=share,
        draws=np.random.default_rng(seed).binomial(len(differ), share, _DRAWS) / len(differ),
        sample=len(differ),
        words=f"labelers overruled {share:.1%} of {len(differ):,} tickets, {how}",
    )


def least_error(differ: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """The lowest error that any classifier can have where a share `differ` of equal pairs bear different labels: Cover
    and Hart's bound, differ <= 2e - e² C/(C-1), solved for e. Labels that are wrong by chance reach it."""
    scale = classes / (classes - 1)
    return np.asarray((1 - np.sqrt(np.clip(1 - scale * differ, 0.0, 1.0))) / scale)


def _within_groups(
    index: TreeIndex, node: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each group of two or more: share of its pairs that differ, and its size."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    differ, sizes = [], []
    for rows in np.split(order, starts[1:]):
        if len(rows) < 2:
            continue
        kinds, counts = np.unique(node[rows], return_counts=True)
        related = np.array([[_agree(index, one, other) for other in kinds] for one in kinds], dtype=np.float64)
        agreeing = float(counts @ related @ counts) - len(rows)  # without each with itself
        differ.append(1 - agreeing / (len(rows) * (len(rows) - 1)))
        sizes.append(len(rows))
    return np.array(differ), np.array(sizes, np.int64)


def _agree(index: TreeIndex, one: int, other: int) -> bool:
    return bool(index.ancestors[one, other] or index.ancestors[other, one])


def _words(workspace: Workspace, table: Table, time: str) -> Iterator[tuple[str, str, datetime | None]]:
    """Ticket id, contact type and when it was said (None: unknown), the last word last; nothing where there is no such
    table."""
    try:
        rows = workspace.read(table, ["ticket_id", "contact_type", time, "arrived"])
    except MissingStepError:
        return
    rows = rows.sort_by([("arrived", "ascending"), (time, "ascending")])
    columns = (rows[name].to_pylist() for name in ("ticket_id", "contact_type", time))
    for ticket_id, contact_type, at in zip(*columns, strict=True):
        if contact_type is not None:
            yield ticket_id, contact_type, at


def _drawn_at_random(workspace: Workspace) -> set[str]:
    try:
        rows = workspace.read(LABELS, ["ticket_id", "share"])
    except MissingStepError:
        return set()
    pairs = zip(rows["ticket_id"].to_pylist(), rows["share"].to_pylist(), strict=True)
    return {ticket_id for ticket_id, share in pairs if share == "random"}


def _node(tree: ContactTypeTree, index: TreeIndex, written: str) -> int:
    """The place of an id or a written path in today's tree, NONE where it has none or several."""
    known = written if written in tree else None
    if known is None and (found := tree.at(tuple(split_path(written)))) is not None:
        known = found.id
    current = tree.migrate(known if known is not None else written)
    return index.position(current[0]) if len(current) == 1 else NONE


def _unknown(sample: int, words: str) -> LabelNoise:
    return LabelNoise(source="unknown", share=None, draws=np.zeros(0), sample=sample, words=words)
