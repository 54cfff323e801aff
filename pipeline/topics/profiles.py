"""What each reply template is compared by: its own words, and the words of the training tickets it was sent for.

COTA v1 describes a solution by its historical tickets and compares tickets with it by cosine (Molino, Zheng, Wang, KDD
2018, https://arxiv.org/abs/1807.01337). A template that nobody sent yet has only its own words, so both are kept.
Plain numpy: the batch fills SIMILARITIES, an export for other tools, with it; the baseline models/baselines/cota1.py
fits its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.topics.space import TermRows, TopicSpace, lists_of_rows, segment_sums
from tickets.errors import WorkspaceError
from tickets.manifests import fingerprint
from tickets.tables import TEMPLATE_PROFILES, TERM_WEIGHTS
from tickets.workspace import Workspace

_UNIT = 2.0**32  # a row's weights lie within 0 and 1
_PIECE = 1_000_000  # entries compared at a time
COSINES = ("words", "topics", "past_words", "past_topics")  # columns of SIMILARITIES


@dataclass(frozen=True)
class TemplateProfiles:
    """The templates' sides of the cosines, in the order of `names`.

    own: TF-IDF of title and body; past: the sum (float64) of the TF-IDF rows of the training tickets that the template
    was sent for; past_tickets: how many these are, (templates,) int64.
    """

    names: tuple[str, ...]
    space: TopicSpace
    own: TermRows
    past: TermRows
    past_tickets: NDArray[np.int64]

    @cached_property
    def place(self) -> dict[str, int]:
        """Template id -> its number."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def _own_side(self) -> _Side:
        return _Side.of(self.own, self.space)

    @cached_property
    def _past_side(self) -> _Side:
        return _Side.of(self.past, self.space)

    def cosines(
        self,
        rows: TermRows,
        topics: NDArray[np.float32],
        ticket: NDArray[np.int64],
        template: NDArray[np.int64],
        among_past: NDArray[np.bool_],
    ) -> dict[str, NDArray[np.float32]]:
        """Cosines of pairs (row number, template number), shapes (pairs,); 0 where a side has no known words.

        `among_past` marks pairs whose ticket is one of the template's past tickets: it is taken out of them first, or
        training would see in its features what no new ticket has.
        """
        none = np.zeros(len(ticket), bool)
        words, latent = self._own_side.cosines(rows, topics, ticket, template, none)
        past_words, past_latent = self._past_side.cosines(rows, topics, ticket, template, among_past)
        unknown = self.past_tickets[template] - among_past < 1
        past_words[unknown] = past_latent[unknown] = 0.0  # what is left of a sum of one ticket is rounding
        found = (words, latent, past_words, past_latent)
        return {name: values.astype(np.float32) for name, values in zip(COSINES, found, strict=True)}


@dataclass(frozen=True, slots=True)
class _Side:
    """Sparse vectors as one sorted list of (template * terms + term), with their lengths and topics."""

    terms: int
    keys: NDArray[np.int64]
    weights: NDArray[np.float64]
    squares: NDArray[np.float64]
    topics: NDArray[np.float64]
    topic_squares: NDArray[np.float64]

    @classmethod
    def of(cls, rows: TermRows, space: TopicSpace) -> _Side:
        weights = rows.weights.astype(np.float64)
        keys = np.repeat(np.arange(len(rows)), np.diff(rows.starts)) * len(space.terms) + rows.columns
        topics = rows.times(space.directions.astype(np.float64))
        return cls(
            len(space.terms), keys, weights, segment_sums(weights**2, rows.starts), topics, (topics**2).sum(axis=1)
        )

    def cosines(
        self,
        rows: TermRows,
        topics: NDArray[np.float32],
        ticket: NDArray[np.int64],
        template: NDArray[np.int64],
        without: NDArray[np.bool_],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cosines in words and in topics; where `without`, of the template's vector less the ticket's."""
        own = segment_sums(rows.weights.astype(np.float64) ** 2, rows.starts)[ticket]
        words = _cosines(self._dots(rows, ticket, template), own, self.squares[template], without)
        placed = topics.astype(np.float64)
        dots = np.einsum("pk,pk->p", placed[ticket], self.topics[template])
        latent = _cosines(dots, (placed**2).sum(axis=1)[ticket], self.topic_squares[template], without)
        return words, latent

    def _dots(self, rows: TermRows, ticket: NDArray[np.int64], template: NDArray[np.int64]) -> NDArray[np.float64]:
        lengths = np.diff(rows.starts)[ticket]
        ends = np.cumsum(lengths)
        dots = np.zeros(len(ticket))
        first = 0
        while first < len(ticket):
            reached = int(np.searchsorted(ends, ends[first] - lengths[first] + _PIECE, side="right"))
            last = max(reached, first + 1)
            some = slice(first, last)
            starts = np.concatenate([[0], np.cumsum(lengths[some])])
            entries = np.arange(starts[-1]) + np.repeat(rows.starts[ticket[some]] - starts[:-1], lengths[some])
            wanted = np.repeat(template[some] * self.terms, lengths[some]) + rows.columns[entries]
            dots[some] = segment_sums(self._weights_of(wanted) * rows.weights[entries], starts)
            first = last
        return dots

    def _weights_of(self, wanted: NDArray[np.int64]) -> NDArray[np.float64]:
        if not len(self.keys):
            return np.zeros(len(wanted))
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.weights[place], 0.0)


def _cosines(
    dots: NDArray[np.float64], one: NDArray[np.float64], other: NDArray[np.float64], without: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Of dot products and squared lengths: cos(a, b), or cos(a, b - a) where `without`."""
    squares = one * np.where(without, np.maximum(other - 2 * dots + one, 0.0), other)
    above = np.where(without, dots - one, dots)
    return np.clip(np.divide(above, np.sqrt(squares), out=np.zeros(len(dots)), where=squares > 1e-12), -1.0, 1.0)


def profiles_table(profiles: TemplateProfiles) -> pa.Table:
    """The profiles as the table TEMPLATE_PROFILES."""
    columns: list[Any] = [pa.array(profiles.names, pa.string()), pa.array(profiles.past_tickets, pa.int64())]
    columns += lists_of_rows(profiles.own, pa.float32()) + lists_of_rows(profiles.past, pa.float64())
    return pa.Table.from_arrays(columns, schema=TEMPLATE_PROFILES.schema)


def read_profiles(workspace: Workspace, space: TopicSpace) -> TemplateProfiles:
    """The profiles of the templates, in the words of this topic space.

    Raises MissingStepError before the step `topics`, WorkspaceError when its last run was killed between two tables.
    """
    if fingerprint(workspace, TEMPLATE_PROFILES.name) != fingerprint(workspace, TERM_WEIGHTS.name):
        raise WorkspaceError(
            "`template_profiles` and `term_weights` were fitted by different runs.",
            hint="Run `triage features --topics` again.",
        )
    table = workspace.read(TEMPLATE_PROFILES).sort_by("template_id")
    return TemplateProfiles(
        names=tuple(table["template_id"].to_pylist()),
        space=space,
        own=_rows(table, "words", "weights", np.float32),
        past=_rows(table, "past_words", "past_weights", np.float64),
        past_tickets=table["past_tickets"].to_numpy(),
    )


def _rows(table: pa.Table, columns: str, weights: str, kind: type) -> TermRows:
    lists = table[columns].combine_chunks()
    starts = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())]).astype(np.int64)
    values = table[weights].combine_chunks().flatten().to_numpy()
    return TermRows(starts, lists.flatten().to_numpy(), values.astype(kind))


def sums_of_rows(rows: TermRows, group: Sequence[int], terms: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sums of rows by group, as (group * terms + term) and weights in 2**-32: whole numbers add up to the same sum in
    any order, so that profiles are the same however the tickets were spread."""
    keys = np.repeat(np.asarray(group, np.int64), np.diff(rows.starts)) * terms + rows.columns
    found, place = np.unique(keys, return_inverse=True)
    weights = np.zeros(len(found), np.int64)
    np.add.at(weights, place, np.rint(rows.weights.astype(np.float64) * _UNIT).astype(np.int64))
    return found, weights


def rows_of_sums(keys: NDArray[np.int64], weights: NDArray[np.int64], *, groups: int, terms: int) -> TermRows:
    """The rows of `sums_of_rows` added up, one a group; `keys` rising."""
    starts = np.searchsorted(keys, np.arange(groups + 1) * terms).astype(np.int64)
    return TermRows(starts, (keys % terms).astype(np.int32), weights.astype(np.float64) / _UNIT)
