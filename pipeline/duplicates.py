"""Near-duplicates of tickets over the whole history: form letters, copies, templated messages.

Spark ML's MinHashLSH joins every pair in a bucket, and one form letter sent 10,000 times makes 50 million pairs. Here
each text of a bucket is compared with the bucket's first text alone, so the work grows with the tickets. First is who
arrived first, so the links of a day never change when later days come: a night only links its own tickets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract_checks import check_written
from pipeline.lake import (
    arrivals,
    count_rows,
    made_from,
    mark,
    parts_of,
    read_arrivals,
    spark_path,
    spark_schema,
    write_sorted,
)
from pipeline.steps import run_step
from pipeline.text.minhash import BANDS, SIGNATURE, SIMILAR, similarity
from tickets.errors import MissingStepError
from tickets.manifests import Manifest, partition_name
from tickets.progress import Report, silent
from tickets.tables import NEAR_DUPLICATES, SIGNATURES
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

STEP = "duplicates"
RULES_VERSION = "2"  # raise it when links are found otherwise, and the next night finds every day's again
_BUCKETS_AT_ONCE = 2_000_000  # rows that a task sorts in memory: 40 MB
_LINKED = pa.schema(
    [
        pa.field("day", pa.int32(), nullable=False),
        pa.field("node", pa.int64(), nullable=False),
        pa.field("first", pa.int64(), nullable=False),
    ]
)
_CANDIDATES = _LINKED.append(pa.field("first_day", pa.int32(), nullable=False))


def link_duplicates(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> Manifest:
    """Write `near_duplicates` of the first day whose signatures, or those of a day before it, have changed, and of all
    days after it. Raises MissingStepError."""
    with run_step(workspace, STEP, as_of, report) as step:
        days = arrivals(workspace, SIGNATURES, as_of)
        if not days:
            raise MissingStepError("no ticket has been featurised yet.", hint="Run `triage features`.")
        step.reads_days(SIGNATURES, days)
        wanted = _chain([step.inputs[partition_name(SIGNATURES, day)] for day in days], days)
        known = [made_from(workspace, NEAR_DUPLICATES, day).get("fingerprint") == wanted[day] for day in days]
        changed = days[known.index(False) :] if False in known else []
        gone = sorted(set(arrivals(workspace, NEAR_DUPLICATES, as_of)) - set(days))
        with workspace.aside(STEP) as aside:
            if changed:
                _write_links(spark, workspace, days[: -len(changed)], changed, aside)
            for day in changed:
                mark(aside / NEAR_DUPLICATES.name / f"arrived={day}", wanted[day])
            check_written(spark, workspace, NEAR_DUPLICATES, aside / NEAR_DUPLICATES.name, changed)
            for day in [*changed, *gone]:
                workspace.publish(aside / NEAR_DUPLICATES.name, NEAR_DUPLICATES, [day])
        for day in days:
            step.wrote(NEAR_DUPLICATES, day, made_from=[partition_name(SIGNATURES, day)])
        step.rows_in = sum(count_rows(_partition(workspace, day)) for day in changed)
        links = sum(output.rows for output in step.outputs.values())
        step.counts = {"near_duplicates": links, "days": len(changed)}
        step.summary = f"{links:,} links" if changed else "nothing new"
    return step.done


def _write_links(
    spark: SparkSession, workspace: Workspace, before: Sequence[str], changed: Sequence[str], aside: Path
) -> None:
    """Write `aside/near_duplicates` by day: each node of the changed days with the first of a bucket it is alike to."""
    from pyspark.sql import functions as F  # noqa: N812

    new = read_arrivals(spark, workspace, SIGNATURES, changed)
    old = read_arrivals(spark, workspace, SIGNATURES, before)
    placed = _placed(new).withColumn("new", F.lit(True))
    if before:
        buckets = placed.select("bucket").distinct()
        placed = placed.unionByName(_placed(old).join(buckets, "bucket", "left_semi").withColumn("new", F.lit(False)))
    rows = BANDS * sum(count_rows(_partition(workspace, day)) for day in changed)
    tasks = max(1, -(-rows // _BUCKETS_AT_ONCE))
    shared = (
        placed.select("bucket", "day", "node", "new")
        .repartition(tasks, "bucket")
        .mapInArrow(_link_to_first, spark_schema(_CANDIDATES))
    )
    # Kept on disk: what follows reads it twice, and an executor that dies takes what it holds in memory along.
    shared.distinct().write.parquet(spark_path(aside / "candidates"))
    links = spark.read.schema(spark_schema(_CANDIDATES)).parquet(spark_path(aside / "candidates"))
    # A ticket that came again has a signature a day: those that met in a bucket are compared, and no later ones, or
    # the links of a day would change with what comes after it.
    firsts = links.select(F.col("first_day").alias("day"), F.col("first").alias("node"))
    ends = links.select("day", "node").union(firsts).distinct()
    signatures = new.unionByName(old).select(_day(F.col("arrived")).alias("day"), "node", "signature")
    signed = signatures.join(ends, ["day", "node"], "left_semi")
    signed.write.parquet(spark_path(aside / "signed"))  # a few of all signatures, needed on both sides
    signed = spark.read.schema(signed.schema).parquet(spark_path(aside / "signed"))
    mine = signed.select("day", "node", F.col("signature").alias("mine"))
    other = signed.select(
        F.col("day").alias("first_day"), F.col("node").alias("first"), F.col("signature").alias("other")
    )
    both = links.join(mine, ["day", "node"]).join(other, ["first_day", "first"])
    alike = both.mapInArrow(_keep_alike, spark_schema(_LINKED)).distinct()
    by_day = alike.withColumn("arrived", F.date_add(F.lit("1970-01-01").cast("date"), F.col("day")).cast("string"))
    write_sorted(by_day, aside / NEAR_DUPLICATES.name, NEAR_DUPLICATES, ("node", "first"), partition="arrived")


def _partition(workspace: Workspace, day: str) -> Path:
    return workspace.table_path(SIGNATURES) / f"arrived={day}"


def _placed(signatures: DataFrame) -> DataFrame:
    """A row for each bucket of each text."""
    from pyspark.sql import functions as F  # noqa: N812

    return signatures.select(_day(F.col("arrived")).alias("day"), "node", F.explode("buckets").alias("bucket"))


def _day(arrived: Column) -> Column:
    from pyspark.sql import functions as F  # noqa: N812

    return F.datediff(arrived.cast("date"), F.lit("1970-01-01").cast("date"))


def _link_to_first(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Whole buckets in, links of new nodes to the first of their buckets out."""
    rows = list(batches)
    if not rows:
        return
    bucket, day, node, new = (column.to_numpy() for column in pa.Table.from_batches(rows).columns)
    order = np.lexsort((node, day, bucket))
    bucket, day, node, new = bucket[order], day[order], node[order], new[order]
    starts = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
    size = np.diff(np.r_[starts, len(bucket)])
    first, first_day = np.repeat(node[starts], size), np.repeat(day[starts], size)
    links = new & (node != first)
    kept = [pa.array(part[links]) for part in (day, node, first, first_day)]
    yield pa.RecordBatch.from_arrays(kept, schema=_CANDIDATES)


def _keep_alike(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        alike = similarity(_signatures(batch.column("mine")), _signatures(batch.column("other"))) >= SIMILAR
        kept = batch.select(_LINKED.names).filter(pa.array(alike))
        yield pa.RecordBatch.from_arrays(kept.columns, schema=_LINKED)


def _signatures(column: pa.Array) -> npt.NDArray[np.uint8]:
    return np.frombuffer(b"".join(column.to_pylist()), dtype=np.uint8).reshape(-1, SIGNATURE)


def clusters(workspace: Workspace, days: Sequence[str]) -> pa.Table:
    """(node, root) of every node that has a near-duplicate among the days: nodes with one root are of one cluster.

    The links are joined here, on the driver: two integers a link, a few links for a ticket that has near-duplicates.
    """
    paths = [path for day in days for path in parts_of(workspace, NEAR_DUPLICATES, day)]
    links = [pq.read_table(path, columns=NEAR_DUPLICATES.schema.names, partitioning=None) for path in paths]
    edges = pa.concat_tables([NEAR_DUPLICATES.schema.empty_table(), *links])
    nodes, roots = connected(edges["node"].to_numpy(), edges["first"].to_numpy())
    return pa.table({"node": pa.array(nodes, pa.int64()), "root": pa.array(roots, pa.int64())})


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


def _chain(signatures: Sequence[str], days: Sequence[str]) -> dict[str, str]:
    """A day's links follow from its own signatures and all that arrived before."""
    chain, found = RULES_VERSION, {}
    for day, own in zip(days, signatures, strict=True):
        chain = hashlib.sha256(f"{chain}\n{day} {own}".encode()).hexdigest()
        found[day] = chain
    return found
