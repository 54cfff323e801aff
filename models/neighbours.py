"""The training tickets a release remembers: similar ones to show, and how far from known ground a ticket lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models import release as names
from models.inference import open_session
from models.tree_index import TreeIndex
from models.vector_search import VectorSearch, write_candidates
from tickets.records import SimilarTicket

MOST = 50_000  # the most recent ones; brute force over them takes about a millisecond
SNIPPET = 120  # characters
VOTERS = 30  # nearest ones that are searched for: they vote (models/confidence/votes.py), the closest are shown


@dataclass(frozen=True, slots=True)
class Neighbours:
    """vectors (n, width) float32, rows of length 1; and for each row its ticket."""

    vectors: NDArray[np.float32]
    ticket_ids: list[str]
    snippets: list[str]
    contact_types: list[str]
    candidates: Any = None  # an open int8 graph of the vectors; releases older than it have none

    @classmethod
    def load(cls, folder: Path) -> Neighbours:
        """From a model directory. Kept as float16 on disk, float32 in memory: numpy multiplies that far faster. Raises
        ReleaseError when a file cannot be read."""
        from safetensors.numpy import load_file

        candidates = folder / names.CANDIDATES
        with names.loading(folder):
            table = pq.ParquetFile(folder / names.NEIGHBOURS).read()  # read_table would import pandas
            return cls(
                np.ascontiguousarray(load_file(folder / names.VECTORS)["neighbours"], dtype=np.float32),
                table["ticket_id"].to_pylist(),
                table["snippet"].to_pylist(),
                table["contact_type"].to_pylist(),
                open_session(candidates) if candidates.exists() else None,
            )

    def search(
        self, queries: NDArray[np.float32], count: int = VOTERS
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(m, width) unit vectors -> rows and cosines, both (m, k), closest first; k = count, or all there are."""
        return VectorSearch(self.vectors, self.candidates).closest(queries, count)

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


def distance(cosines: NDArray[np.float32], closest: int) -> NDArray[np.float32]:
    """(m, k) cosines, closest first -> (m,) mean distance to so many training tickets, 0 to 2."""
    if not cosines.shape[1]:
        return np.zeros(len(cosines), np.float32)
    result: NDArray[np.float32] = (1.0 - cosines[:, :closest].mean(axis=1)).astype(np.float32)
    return result


def write_neighbours(
    folder: Path,
    vectors: NDArray[np.float32],
    *,
    ticket_ids: list[str],
    texts: list[str],
    contact_types: list[str],
) -> None:
    """The rows beside the vectors (neighbours.parquet), and the graph that finds them quickly. The vectors themselves
    lie with those of the templates."""
    snippets = [" ".join(text.split())[:SNIPPET] for text in texts]
    pq.write_table(
        pa.table({"ticket_id": ticket_ids, "snippet": snippets, "contact_type": contact_types}),
        folder / names.NEIGHBOURS,
    )
    write_candidates(vectors, folder / names.CANDIDATES)
