"""What Spark's tasks do for the topics: words to TF-IDF rows, passes of the SVD, the templates' past, cosines.

Each works on one part of a table laid aside, in numpy, and writes its own part; step.py puts them in order.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.topics.directions import gram_product
from pipeline.topics.profiles import COSINES, TemplateProfiles, sums_of_rows
from pipeline.topics.space import TermRows, TopicSpace, lists_of_numbers, lists_of_rows
from pipeline.topics.words import words
from pipeline.units import PartWriter, Unit, part_name, read_unit
from tickets.tables import SIMILARITIES, TOPICS

_TEXTS_AT_ONCE = 1_000  # as Python objects, a text's words take tens of times its bytes

_KEYS = [
    pa.field("ticket_id", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("sent", pa.string()),  # the template that the agent sent
    pa.field("templates", pa.list_(pa.string())),  # of the ticket's pairs, sorted
]
WORDS = pa.schema([*_KEYS, pa.field("words", pa.list_(pa.string()), nullable=False)])
VECTORS = pa.schema(
    [
        *_KEYS,
        pa.field("columns", pa.list_(pa.int32()), nullable=False),
        pa.field("weights", pa.list_(pa.float32()), nullable=False),
    ]
)
SUMS = pa.schema([pa.field("key", pa.int64(), nullable=False), pa.field("weight", pa.int64(), nullable=False)])


def find_words(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Texts to rows of WORDS."""
    for batch in batches:
        found = pa.array([words(text) for text in batch.column("text").to_pylist()], pa.list_(pa.string()))
        kept = [batch.column(field.name).cast(field.type) for field in _KEYS]
        yield pa.RecordBatch.from_arrays([*kept, found], schema=WORDS)


def weigh_unit(unit: Unit, space: TopicSpace, aside: Path, share: float) -> None:
    """Words to TF-IDF rows of all tickets in `aside`/vectors, and of a drawn share of the training tickets, which
    topics are fitted on, in `aside`/fitted."""
    name = part_name(unit.number)
    with (
        PartWriter(aside / "vectors" / name, VECTORS) as vectors,
        PartWriter(aside / "fitted" / name, VECTORS) as fitted,
    ):
        for _, whole in read_unit(unit, WORDS.names):
            for start in range(0, whole.num_rows, _TEXTS_AT_ONCE):
                read = whole.slice(start, _TEXTS_AT_ONCE)
                rows = space.rows(read["words"].to_pylist())
                keys = [read[field.name] for field in _KEYS]
                weighed = pa.Table.from_arrays([*keys, *lists_of_rows(rows, pa.float32())], schema=VECTORS)
                vectors.write(weighed)
                fitted.write(weighed.filter(_drawn(read, share)))


def _drawn(read: pa.Table, share: float) -> pa.Array:
    """Whether topics are fitted on each ticket: those of the training split whose id's hash is low."""
    pairs = zip(read["ticket_id"].to_pylist(), read["split"].to_pylist(), strict=True)
    return pa.array(
        [split == "train" and zlib.crc32(name.encode()) < share * 2**32 for name, split in pairs], pa.bool_()
    )


def gram_unit(unit: Unit, block: NDArray[np.float32]) -> NDArray[np.float64]:
    """The unit's share of the Gram matrix times a block."""
    product = np.zeros(block.shape)
    for _, read in read_unit(unit, ("columns", "weights")):
        product += gram_product(_rows(read), block)
    return product


def sum_unit(unit: Unit, place: Mapping[str, int], terms: int, aside: Path) -> None:
    """The TF-IDF rows of training tickets, added up by the template that was sent, in `aside`/sums."""
    with PartWriter(aside / "sums" / part_name(unit.number), SUMS) as sums:
        for _, read in read_unit(unit, ("split", "sent", "columns", "weights")):
            pairs = zip(read["split"].to_pylist(), read["sent"].to_pylist(), strict=True)
            told = [split == "train" and sent is not None for split, sent in pairs]
            past = read.filter(pa.array(told, pa.bool_()))
            templates = [place[name] for name in past["sent"].to_pylist()]
            keys, weights = sums_of_rows(_rows(past), templates, terms)
            sums.write(pa.Table.from_arrays([pa.array(keys), pa.array(weights)], schema=SUMS))


def compare_unit(unit: Unit, profiles: TemplateProfiles, aside: Path) -> None:
    """TF-IDF rows to their parts of TOPICS and SIMILARITIES, in `aside`."""
    name = part_name(unit.number)
    with (
        PartWriter(aside / TOPICS.name / name, TOPICS.schema) as placed,
        PartWriter(aside / SIMILARITIES.name / name, SIMILARITIES.schema) as compared,
    ):
        for _, read in read_unit(unit, VECTORS.names):
            rows = _rows(read)
            latent = profiles.space.topics(rows)
            columns = [read["ticket_id"], lists_of_numbers(latent)]
            placed.write(pa.Table.from_arrays(columns, schema=TOPICS.schema))
            compared.write(_similarities(read, rows, latent, profiles))


def _similarities(read: pa.Table, rows: TermRows, latent: NDArray[np.float32], profiles: TemplateProfiles) -> pa.Table:
    ids: list[str] = []
    names: list[str] = []
    numbers: list[int] = []
    among_past: list[bool] = []
    for number, row in enumerate(read.select(["ticket_id", "split", "sent", "templates"]).to_pylist()):
        for name in row["templates"] or ():
            ids.append(row["ticket_id"])
            names.append(name)
            numbers.append(number)
            among_past.append(row["split"] == "train" and name == row["sent"])
    places = np.asarray([profiles.place[name] for name in names], np.int64)
    cosines = profiles.cosines(rows, latent, np.asarray(numbers, np.int64), places, np.asarray(among_past, np.bool_))
    return pa.Table.from_arrays(
        [pa.array(ids, pa.string()), pa.array(names, pa.string()), *(pa.array(cosines[name]) for name in COSINES)],
        schema=SIMILARITIES.schema,
    )


def _rows(read: pa.Table) -> TermRows:
    columns: Any = read["columns"].combine_chunks()
    lengths = columns.value_lengths().to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weights = read["weights"].combine_chunks().flatten().to_numpy()
    return TermRows(starts, columns.flatten().to_numpy(), weights)
