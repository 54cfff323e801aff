"""Contracts at work, in Spark: rows from outside get the reason why they are refused, and what a step wrote is checked
before it is published.

A check reads a table once for all its rules together, once more, its key alone, for uniqueness, and once for each
reference into another table. Nothing else is read while all is well; the rows that break a rule are looked up only
then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contracts import CONTRACTS, Contract, Reference, Rule
from pipeline.lake import count_rows, parts_in, spark_path, spark_schema
from tickets.catalogue import read_templates, read_tree
from tickets.errors import ContractError
from tickets.tables import TABLES, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_EXAMPLES = 5
_FOUND_AT_MOST = 60  # characters of a value in a detail


def check_written(
    spark: SparkSession, workspace: Workspace, table: Table, folder: Path, partition_values: Sequence[str] | None = None
) -> None:
    """Check what a step wrote under `folder` (not published yet) against the table's contract: all of it, or the given
    partitions. Raises ContractError naming the rule, how many rows break it, and up to five of them."""
    if broken := next(_broken_promises(spark, workspace, table, folder, partition_values), None):
        raise ContractError(
            f"{broken} Nothing was published.",
            hint="This is a fault of the pipeline, not of the data: please report it. The tables are as they were.",
        )


def check_lake(spark: SparkSession, workspace: Workspace) -> list[str]:
    """Check every table of the lake as it stands; says what is broken, a line a rule."""
    present = [table for table in TABLES if workspace.table_path(table).is_dir() and table.name in CONTRACTS]
    return [
        broken
        for table in present
        for broken in _broken_promises(spark, workspace, table, workspace.table_path(table), None)
    ]


def _broken_promises(
    spark: SparkSession, workspace: Workspace, table: Table, folder: Path, partition_values: Sequence[str] | None
) -> Iterator[str]:
    contract = CONTRACTS[table.name]
    folders = _folders(table, folder, partition_values)
    files = [path for place in folders for path in parts_in(place)]
    wrong = list(_wrong_columns(contract, files))
    yield from wrong
    yield from _wrong_row_counts(workspace, contract, folders)
    if wrong or not files:
        return
    frame = _read(spark, contract, folder, files)
    yield from _broken_rules(workspace, contract, frame)
    yield from _repeated_keys(contract, frame)
    for reference in contract.references:
        if isinstance(reference.to, Table):
            known = _known(spark, workspace, reference)
            unknown = frame.filter(f"{reference.column} is not null").join(known, reference.column, "left_anti")
            yield from _told(contract, reference.name, reference.expected, unknown, unknown.count())


def with_reasons(frame: DataFrame, workspace: Workspace, table: Table) -> DataFrame:
    """Rows from outside with `reason` and `detail`, null for those that keep the table's contract; `frame` has the
    table's columns and its partition column. References into the catalogue are not checked here: contact types are
    read through the tree by `label`. Uniqueness is the reader's."""
    from pyspark.sql import functions as F  # noqa: N812

    contract = CONTRACTS[table.name]
    checks = [(F.expr(rule.broken), rule.name, rule.column, rule.expected) for rule in contract.all_rules]
    for number, reference in enumerate(contract.references):
        if isinstance(reference.to, Table):
            known, mark = _known(frame.sparkSession, workspace, reference).distinct(), f"_known_{number}"
            frame = frame.join(known.withColumn(mark, F.lit(True)), reference.column, "left")
            broken = F.col(reference.column).isNotNull() & F.col(mark).isNull()
            checks.append((broken, reference.name, reference.column, reference.expected))
    reason, detail = F.lit(None).cast("string"), F.lit(None).cast("string")
    for broken, name, column, expected in reversed(checks):  # the first rule that is broken names the reason
        found = F.coalesce(F.substring(F.col(column).cast("string"), 1, _FOUND_AT_MOST), F.lit("nothing"))
        said = F.concat(F.lit(f"{column!r} holds "), found, F.lit(f"; {expected} was expected."))
        reason, detail = F.when(broken, name).otherwise(reason), F.when(broken, said).otherwise(detail)
    marks = [name for name in frame.columns if name.startswith("_known_")]
    return frame.withColumn("reason", reason).withColumn("detail", detail).drop(*marks)


def _folders(table: Table, folder: Path, partition_values: Sequence[str] | None) -> list[Path]:
    if table.partition is None:
        return [folder]
    if partition_values is None:
        return sorted(folder.glob(f"{table.partition}=*"))
    return [folder / f"{table.partition}={value}" for value in partition_values]


def _wrong_columns(contract: Contract, files: Iterable[Path]) -> Iterator[str]:
    """The columns and types, from the files' footers."""
    for path in files:
        written = pq.read_schema(path)
        for column in contract.table.schema:
            place = written.get_field_index(column.name)
            if place < 0 or not _same_type(written.field(place).type, column.type):
                found = "nothing" if place < 0 else str(written.field(place).type)
                yield f"`{column.name}` of {contract.table.name} was written as {found}; {column.type} was expected."
                return


def _same_type(found: pa.DataType, expected: pa.DataType) -> bool:
    """Writers call a list's element by other names and differ in whether it may be null."""
    if pa.types.is_list(expected):
        return pa.types.is_list(found) and _same_type(found.value_type, expected.value_type)
    return bool(found == expected)


def _wrong_row_counts(workspace: Workspace, contract: Contract, folders: Sequence[Path]) -> Iterator[str]:
    if contract.rows_of is None:
        return
    other = contract.rows_of.name
    for folder in folders:
        rows, expected = count_rows(folder), count_rows(workspace.lake / other / folder.name)
        if rows != expected:
            yield f"{contract.table.name}/{folder.name} has {rows:,} rows; {expected:,} were expected, as {other} has."


def _read(spark: SparkSession, contract: Contract, folder: Path, files: Sequence[Path]) -> DataFrame:
    schema = spark_schema(contract.table.schema)
    if contract.table.partition is not None:
        schema = schema.add(contract.table.partition, "string")
    return spark.read.schema(schema).option("basePath", spark_path(folder)).parquet(*map(spark_path, files))


def _broken_rules(workspace: Workspace, contract: Contract, frame: DataFrame) -> Iterator[str]:
    """All rules, and the references into the catalogue, in one pass."""
    from pyspark.sql import functions as F  # noqa: N812

    rules = [*contract.all_rules]
    for number, reference in enumerate(contract.references):
        if not isinstance(reference.to, Table):
            known = _known(frame.sparkSession, workspace, reference).withColumn(f"_known_{number}", F.lit(True))
            frame = frame.join(F.broadcast(known), reference.column, "left")
            broken = f"{reference.column} is not null and _known_{number} is null"
            rules.append(Rule(name=reference.name, column=reference.column, broken=broken, expected=reference.expected))
    counted = frame.agg(*(F.count_if(F.expr(rule.broken)).alias(f"rule_{n}") for n, rule in enumerate(rules)))
    for rule, count in zip(rules, counted.collect()[0], strict=True):
        yield from _told(contract, rule.name, rule.expected, frame.filter(rule.broken), count)


def _repeated_keys(contract: Contract, frame: DataFrame) -> Iterator[str]:
    """As many different hashes as rows: then all keys differ. Only otherwise are the keys themselves compared."""
    from pyspark.sql import functions as F  # noqa: N812

    frame = frame.filter(contract.among) if contract.among else frame
    hashed = frame.select(F.xxhash64(*contract.key).alias("key"))
    rows, different = hashed.agg(F.count("*"), F.count_distinct("key")).collect()[0]
    if rows != different:
        repeated = frame.groupBy(*contract.key).count().filter("count > 1")
        yield from _told(contract, f"{' and '.join(contract.key)} not unique", "one row", repeated, repeated.count())


def _known(spark: SparkSession, workspace: Workspace, reference: Reference) -> DataFrame:
    """The values that may occur, one column; those of a table as often as they occur there."""
    if isinstance(reference.to, Table):
        table, folder = reference.to, workspace.table_path(reference.to)
        if not folder.is_dir() or not any(folder.rglob("*.parquet")):
            return spark.createDataFrame([], f"{reference.column} string")
        schema = spark_schema(pa.schema([table.schema.field(reference.column)]))
        return spark.read.schema(schema).parquet(spark_path(folder)).select(reference.column)
    if reference.to == "contact types":
        values = [node.id for node in read_tree(workspace).nodes if node.active]
    else:
        values = [template.template_id for template in read_templates(workspace)]
    return spark.createDataFrame([(value,) for value in sorted(set(values))], f"{reference.column} string")


def _told(contract: Contract, rule: str, expected: str, broken: DataFrame, count: int) -> Iterator[str]:
    """What is wrong with the rows that break a rule; nothing when there are none."""
    if not count:
        return
    rows = broken.select(*contract.key).orderBy(*contract.key).limit(_EXAMPLES).collect()
    named = "; ".join(", ".join(_shown(value) for value in row) for row in rows)
    many = "1 row breaks" if count == 1 else f"{count:,} rows break"
    yield f"{contract.table.name}: {many} the rule `{rule}` ({expected} expected): {named}."


def _shown(value: Any) -> str:
    return repr(value[:_FOUND_AT_MOST] if isinstance(value, str) else value)
