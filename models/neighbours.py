"""The training tickets a release remembers: similar ones to show, and how far from known ground a ticket lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models import release as names
from models.tree_index import TreeIndex
from tickets.records import SimilarTicket

MOST = 50_000  # the most recent ones; brute force over them takes about 2 ms
SNIPPET = 120  # characters
VOTERS = 30  # nearest ones that are searched for: they vote (models/confidence/votes.py), the closest are shown
_ROWS = 256  # queries at a time: their cosines to MOST tickets take 51 MB; fewer multiply slower
_FEW = 8  # queries that one inference has at most
_GROUPS = 512  # of tickets, of which only the most promising are searched


@dataclass(frozen=True, slots=True)
class Neighbours:
    """vectors (n, width) float32, rows of length 1; and for each row its ticket."""

    vectors: NDArray[np.float32]
    ticket_ids: list[str]
    snippets: list[str]
    contact_types: list[str]

    @classmethod
    def load(cls, folder: Path) -> Neighbours:
        """From a model directory. Kept as float16 on disk, float32 in memory: numpy multiplies that far faster."""
        from safetensors.numpy import load_file

        table = pq.ParquetFile(folder / names.NEIGHBOURS).read()  # read_table would import pandas
        return cls(
            np.ascontiguousarray(load_file(folder / names.VECTORS)["neighbours"], dtype=np.float32),
            table["ticket_id"].to_pylist(),
            table["snippet"].to_pylist(),
            table["contact_type"].to_pylist(),
        )

    def search(
        self, queries: NDArray[np.float32], count: int = VOTERS
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(m, width) unit vectors -> rows and cosines, both (m, k), closest first; k = count, or all there are."""
        count = min(count, len(self.vectors))
        if not count or not len(queries):
            return np.zeros((len(queries), count), np.int64), np.zeros((len(queries), count), np.float32)
        parts = [_closest(self._cosines(queries[at : at + _ROWS]), count) for at in range(0, len(queries), _ROWS)]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([found for _, found in parts])

    def _cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """(m, width) -> (m, n). Of few queries with the vectors first: the other way round BLAS would bring all
        vectors into another order first, which takes twice as long (docs/experiments.md, 2026-11-30)."""
        if len(queries) > _FEW:
            whole: NDArray[np.float32] = queries @ self.vectors.T
            return whole
        return np.ascontiguousarray((self.vectors @ np.ascontiguousarray(queries.T)).T)

    def leaf_columns(self, index: TreeIndex, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """(m, k) rows -> (m, k) places of their contact types among the leaves, -1 where it is none of them."""
        column = index.leaf_columns
        places = [[column.get(self.contact_types[row], -1) for row in found] for found in rows.tolist()]
        return np.array(places, np.int64).reshape(rows.shape)

    def similar(
        self, rows: NDArray[np.int64], cosines: NDArray[np.float32], *, count: int
    ) -> tuple[SimilarTicket, ...]:
        """Records of one ticket's neighbours, closest first."""
        return tuple(
            SimilarTicket(
                ticket_id=self.ticket_ids[row],
                snippet=self.snippets[row],
                contact_type=self.contact_types[row],
                similarity=round(float(cosine), 4),
            )
            for row, cosine in zip(rows[:count].tolist(), cosines[:count].tolist(), strict=True)
        )


def _closest(cosines: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Columns and values of the `count` largest cosines of each row, largest first."""
    columns = _largest(cosines, count)
    found = np.take_along_axis(cosines, columns, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(found, order, axis=1)


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Columns of the `count` largest values of each row, (m, count), in no order. What numpy.argpartition finds: the
    `count` largest lie in the `count` groups with the largest maxima, so it searches those alone, five times faster."""
    depth = values.shape[1] // _GROUPS
    if depth < 2 or count > _GROUPS:
        return np.argpartition(values, -count, axis=1)[:, -count:]
    grouped = depth * _GROUPS  # column c is in group c % _GROUPS; the columns after these are searched as well
    highest = values[:, :grouped].reshape(len(values), depth, _GROUPS).max(axis=1)
    groups = np.argpartition(highest, -count, axis=1)[:, -count:]
    columns = (groups[:, None, :] + _GROUPS * np.arange(depth)[:, None]).reshape(len(values), -1)
    rest = np.broadcast_to(np.arange(grouped, values.shape[1]), (len(values), values.shape[1] - grouped))
    columns = np.concatenate([columns, rest], axis=1)
    found = np.argpartition(np.take_along_axis(values, columns, axis=1), -count, axis=1)[:, -count:]
    return np.take_along_axis(columns, found, axis=1)


def distance(cosines: NDArray[np.float32], closest: int) -> NDArray[np.float32]:
    """(m, k) cosines, closest first -> (m,) mean distance to so many training tickets, 0 to 2."""
    if not cosines.shape[1]:
        return np.zeros(len(cosines), np.float32)
    result: NDArray[np.float32] = (1.0 - cosines[:, :closest].mean(axis=1)).astype(np.float32)
    return result


def write_neighbours(folder: Path, ticket_ids: list[str], texts: list[str], contact_types: list[str]) -> None:
    """The rows beside the vectors: neighbours.parquet."""
    snippets = [" ".join(text.split())[:SNIPPET] for text in texts]
    pq.write_table(
        pa.table({"ticket_id": ticket_ids, "snippet": snippets, "contact_type": contact_types}),
        folder / names.NEIGHBOURS,
    )
