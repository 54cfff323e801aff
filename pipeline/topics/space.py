"""TF-IDF and latent topics of texts with numpy alone: what the batch fits, which needs no Spark to be read.

Method: latent semantic analysis (Deerwester et al. 1990) as COTA v1 uses it (Molino, Zheng, Wang, KDD 2018,
https://arxiv.org/abs/1807.01337): a ticket's TF-IDF vector, projected on the strongest right singular vectors of the
training tickets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.topics.words import words
from tickets.errors import MissingStepError, WorkspaceError
from tickets.tables import TERM_WEIGHTS
from tickets.workspace import Workspace

_FILE = "part-0000.parquet"
_NOTES = b"topic_space"  # key of the file's metadata: singular values and the number of training tickets
_PIECE = 65_536  # entries taken at a time: bounds memory at 26 MB for 100 topics, whatever the texts


@dataclass(frozen=True, slots=True)
class TermRows:
    """Sparse rows, one a text: row i holds entries starts[i] to starts[i + 1] of `columns` (rising) and `weights`.

    Shapes (rows + 1,) int64, (entries,) int32, (entries,) float; TF-IDF rows have length 1, or 0 without known words.
    """

    starts: NDArray[np.int64]
    columns: NDArray[np.int32]
    weights: NDArray[Any]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def pieces(self) -> Iterator[tuple[int, TermRows]]:
        """The rows in order in pieces of bounded size, each with the number of its first row."""
        first = 0
        while first < len(self):
            reached = int(np.searchsorted(self.starts, self.starts[first] + _PIECE, side="right")) - 1
            last = min(max(reached, first + 1), len(self))
            low, high = self.starts[first], self.starts[last]
            yield (
                first,
                TermRows(self.starts[first : last + 1] - low, self.columns[low:high], self.weights[low:high]),
            )
            first = last

    def times(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """The product with a (terms, k) matrix: (rows, k), in the matrix's type."""
        product = np.zeros((len(self), matrix.shape[1]), matrix.dtype)
        for first, piece in self.pieces():
            weighted = matrix[piece.columns] * piece.weights[:, None].astype(matrix.dtype)
            product[first : first + len(piece)] = segment_sums(weighted, piece.starts)
        return product


def segment_sums(values: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[Any]:
    """Sums of values[starts[i]:starts[i + 1]] along the first axis, 0 for an empty segment. Shape (segments, ...)."""
    sums = np.zeros((len(starts) - 1, *values.shape[1:]), values.dtype)
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        sums[filled] = np.add.reduceat(values, starts[:-1][filled], axis=0)
    return sums


@dataclass(frozen=True)
class TopicSpace:
    """The vocabulary of the training tickets and its latent topics.

    terms: most frequent first; idf: (terms,) float32; directions: (terms, topics) float32, orthonormal columns,
    strongest first; strengths: (topics,) float64, their singular values; documents: training tickets counted.
    """

    terms: tuple[str, ...]
    idf: NDArray[np.float32]
    directions: NDArray[np.float32]
    strengths: NDArray[np.float64]
    documents: int

    @cached_property
    def _column(self) -> dict[str, int]:
        return {term: column for column, term in enumerate(self.terms)}

    def rows(self, texts: Sequence[Sequence[str]]) -> TermRows:
        """TF-IDF of texts given as words: count times idf, each row scaled to length 1 (float32). Words that training
        did not know are left out."""
        column = self._column
        lengths: list[int] = []
        columns: list[int] = []
        counts: list[int] = []
        for text in texts:
            found = sorted(Counter(column[word] for word in text if word in column).items())
            lengths.append(len(found))
            columns += [entry[0] for entry in found]
            counts += [entry[1] for entry in found]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        where = np.asarray(columns, np.int32)
        weights = np.asarray(counts, np.float64) * self.idf[where]
        scale = np.sqrt(segment_sums(weights**2, starts))
        scale[scale == 0] = 1.0  # a word that every ticket has weighs nothing
        return TermRows(starts, where, (weights / np.repeat(scale, lengths)).astype(np.float32))

    def topics(self, rows: TermRows) -> NDArray[np.float32]:
        """Where TF-IDF rows lie in the latent topics: (rows, topics) float32."""
        return rows.times(self.directions)

    def transform_text(self, texts: Sequence[str]) -> tuple[TermRows, NDArray[np.float32]]:
        """The TF-IDF rows of texts and their topics, the very numbers that the batch writes for the same texts."""
        rows = self.rows([words(text) for text in texts])
        return rows, self.topics(rows)


def write_topic_space(space: TopicSpace, folder: Path) -> None:
    """Write the table TERM_WEIGHTS into a folder, one file; the singular values stand in the file's metadata."""
    columns = [pa.array(space.terms, pa.string()), pa.array(space.idf), lists_of_numbers(space.directions)]
    table = pa.Table.from_arrays(columns, schema=TERM_WEIGHTS.schema)
    notes = json.dumps({"documents": space.documents, "strengths": space.strengths.tolist()})
    folder.mkdir(parents=True)
    pq.write_table(table.replace_schema_metadata({_NOTES: notes}), folder / _FILE, compression="zstd")


def read_topic_space(workspace: Workspace) -> TopicSpace:
    """What the step `topics` fitted last. Raises MissingStepError before it, WorkspaceError when the file is another
    program's."""
    path = workspace.table_path(TERM_WEIGHTS) / _FILE
    if not path.exists():
        raise MissingStepError(
            "no topics have been fitted yet.",
            hint="Run `triage features --topics`.",
        )
    table = pq.read_table(path)
    notes = (table.schema.metadata or {}).get(_NOTES)
    if notes is None:
        raise WorkspaceError(
            f"{path} lacks the singular values that the step `topics` writes.",
            hint="Run `triage features --topics` again.",
        )
    told = json.loads(notes)
    weights = table["topics"].combine_chunks().flatten().to_numpy()
    return TopicSpace(
        terms=tuple(table["word"].to_pylist()),
        idf=table["idf"].to_numpy().astype(np.float32),
        directions=weights.reshape(table.num_rows, len(told["strengths"])),
        strengths=np.asarray(told["strengths"], np.float64),
        documents=told["documents"],
    )


def lists_of_numbers(matrix: NDArray[np.float32]) -> pa.ListArray:
    """A (rows, k) matrix as a column of lists."""
    starts = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(starts, pa.int32()), pa.array(matrix.ravel(), pa.float32()))


def lists_of_rows(rows: TermRows, kind: pa.DataType) -> list[pa.ListArray]:
    """Sparse rows as two columns of lists: columns, and weights of the given type."""
    starts = pa.array(rows.starts, pa.int32())
    values = (pa.array(rows.columns, pa.int32()), pa.array(rows.weights, kind))
    return [pa.ListArray.from_arrays(starts, each) for each in values]
