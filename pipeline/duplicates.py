"""Near-duplicate clusters of tickets: form letters, copies, templated messages. MinHash in Spark, deterministic.

Spark ML's MinHashLSH joins every pair in a bucket, and one form letter sent 10,000 times makes 50 million pairs. Here
each text of a bucket is compared with the bucket's first text alone, so the work grows with the tickets. Method: Broder
1997, banded as in Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SIMILAR = 0.6  # estimated Jaccard similarity of word triples from which two texts count as the same letter
BANDS = 21
ROWS_IN_BAND = 6  # texts of similarity 0.8 share a band with probability 0.998, of 0.6 with 0.63, of 0.3 with 0.02
SIGNATURE = BANDS * ROWS_IN_BAND

_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"\b\d+\b")  # a form letter differs in its account number
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd: they tell the places of a triple
_SIGNED = pa.schema(
    [
        pa.field("node", pa.int64(), nullable=False),
        pa.field("ticket_id", pa.string(), nullable=False),
        pa.field("bands", pa.list_(pa.int64()), nullable=False),
        pa.field("signature", pa.binary(), nullable=False),
    ]
)
_COMPARED = pa.schema([pa.field("node", pa.int64(), nullable=False), pa.field("first", pa.int64(), nullable=False)])


def clusters(texts: DataFrame) -> DataFrame:
    """(ticket_id, text) -> (ticket_id, cluster): `cluster` is the smallest ticket_id among the ticket's
    near-duplicates.

    Equal texts always share a cluster; a ticket without a near-duplicate is its own. Links are joined on the driver:
    two integers for each ticket that has a near-duplicate.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    from pipeline.lake import spark_schema

    spark = texts.sparkSession
    signed = texts.select("ticket_id", "text").mapInArrow(_sign, spark_schema(_SIGNED)).persist()
    try:
        buckets = signed.select("node", F.posexplode("bands").alias("band", "bucket"))
        first = F.min("node").over(Window.partitionBy("band", "bucket"))
        links = buckets.withColumn("first", first).filter("node != first").select("node", "first").distinct()
        mine = signed.select("node", F.col("signature").alias("mine"))
        other = signed.select(F.col("node").alias("first"), F.col("signature").alias("other"))
        compared = links.join(mine, "node").join(other, "first").mapInArrow(_compare, spark_schema(_COMPARED))
        edges = compared.toArrow()
        labels = pa.table(
            dict(zip(("node", "root"), connected(edges["node"].to_numpy(), edges["first"].to_numpy()), strict=True))
        )
        roots = F.broadcast(spark.createDataFrame(labels))
        rooted = signed.select("ticket_id", "node").join(roots, "node", "left")
        rooted = rooted.withColumn("root", F.coalesce("root", "node"))
        named = rooted.groupBy("root").agg(F.min("ticket_id").alias("cluster"))
        # Materialised before `signed` is let go, so that nothing is signed twice.
        return rooted.join(named, "root").select("ticket_id", "cluster").localCheckpoint()
    finally:
        signed.unpersist()


def connected(
    left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The nodes of a graph's edges (sorted) and the smallest node each is connected to. Shapes (nodes,), (nodes,)."""
    nodes, ends = np.unique(np.concatenate([left, right]), return_inverse=True)
    source, target = ends[: len(left)], ends[len(left) :]
    root = np.arange(len(nodes))
    while True:
        before = root.copy()
        smallest = np.minimum(root[source], root[target])
        # Hook both ends' roots to the smaller label, then shorten the paths by half: few rounds even for long chains.
        np.minimum.at(root, before[source], smallest)
        np.minimum.at(root, before[target], smallest)
        root = root[root]
        if np.array_equal(root, before):
            return nodes, nodes[root]


def signature(text: str) -> npt.NDArray[np.uint32]:
    """MinHash of a text's word triples, case, numbers and punctuation set aside. Shape (126,) uint32."""
    words = _WORD.findall(_NUMBER.sub("0", text.lower()))[:5_000] or [text]
    known = np.fromiter((_word_hash(word) for word in words), dtype=np.uint64, count=len(words))
    if len(known) >= 3:
        known = known[:-2] * _FIRST + known[1:-1] * _SECOND + known[2:]  # wraps modulo 2**64 on purpose
    hashes = np.unique(known)
    factors, offsets = _permutations()
    smallest = np.full(SIGNATURE, np.iinfo(np.uint64).max, dtype=np.uint64)
    for start in range(0, len(hashes), 256):  # a bounded table, whatever the length of the text
        permuted = hashes[start : start + 256, None] * factors + offsets
        smallest = np.minimum(smallest, permuted.min(axis=0))
    return (smallest >> np.uint64(32)).astype(np.uint32)


def similarity(one: npt.NDArray[np.uint32], other: npt.NDArray[np.uint32]) -> float:
    """Estimated Jaccard similarity of two signatures, 0 to 1."""
    return float((one == other).mean())


@lru_cache(maxsize=1)
def _permutations() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    generator = np.random.default_rng(20190612)
    factors = generator.integers(1, 2**63, size=SIGNATURE, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return factors, generator.integers(0, 2**63, size=SIGNATURE, dtype=np.uint64)


@lru_cache(maxsize=100_000)
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _sign(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        ids = batch.column("ticket_id").to_pylist()
        signatures = np.zeros((len(ids), SIGNATURE), dtype=np.uint32)
        for number, text in enumerate(batch.column("text").to_pylist()):
            signatures[number] = signature(text)
        bands = [
            [
                int.from_bytes(hashlib.blake2b(band.tobytes(), digest_size=8).digest(), "little", signed=True)
                for band in row
            ]
            for row in signatures.reshape(-1, BANDS, ROWS_IN_BAND)
        ]
        nodes = [
            int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)
            for name in ids
        ]
        columns = [nodes, ids, bands, [row.tobytes() for row in signatures]]
        yield pa.RecordBatch.from_pydict(dict(zip(_SIGNED.names, columns, strict=True)), schema=_SIGNED)


def _compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        mine, other = (_signatures(batch.column(name)) for name in ("mine", "other"))
        alike = pa.array((mine == other).mean(axis=1) >= SIMILAR, type=pa.bool_())
        kept = batch.select(_COMPARED.names).filter(alike)
        yield pa.RecordBatch.from_arrays(kept.columns, schema=_COMPARED)


def _signatures(column: pa.Array) -> npt.NDArray[np.uint32]:
    return np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint32).reshape(-1, SIGNATURE)
