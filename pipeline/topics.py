"""Topics: what COTA v1 reads of tickets and templates - TF-IDF, latent topics and their cosines - as tables.

Method: Molino, Zheng, Wang, "COTA: Improving the Speed and Accuracy of Customer Support through Ranking and Deep
Networks", KDD 2018, https://arxiv.org/abs/1807.01337. Run on demand, before the baseline that reads it. Vocabulary,
weights, topics and the templates' past come from the training split alone.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.lake import count_rows, made_from, read_arrivals, read_table, spark_schema, write
from pipeline.latent_topics import gram_product, strongest_directions
from pipeline.steps import Report, run_step, silent
from pipeline.template_profiles import COSINES, TemplateProfiles, profiles_table, rows_of_sums, sums_of_rows
from pipeline.topic_space import TermRows, TopicSpace, write_topic_space
from pipeline.units import PartWriter, Unit, part_name, read_unit, run_units, units_of
from pipeline.words import template_words, words
from tickets.catalogue import read_dataset, read_templates
from tickets.errors import MissingStepError, TrainingDataError
from tickets.manifests import Manifest, file_hash
from tickets.tables import FEATURES, PAIRS, SIMILARITIES, SPLITS, TEMPLATE_PROFILES, TERM_WEIGHTS, TOPICS, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STEP = "topics"
FITTED_ON = 200_000  # training tickets, drawn by their ids; the topics of more are the same, and a night is short
LEAST_DOCUMENTS = 2  # of which a word must be known, unless there are hardly any
_TICKETS_IN_PART = 20_000
# Languages that Spark has stop words of, by the names it gives them.
_SPARKS_LANGUAGES = {
    **{"da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french"},
    **{"hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ru": "russian"},
    **{"sv": "swedish", "tr": "turkish"},
}

_KEYS = [
    pa.field("ticket_id", pa.string(), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("sent", pa.string()),  # the template that the agent sent
    pa.field("templates", pa.list_(pa.string())),  # of the ticket's pairs, sorted
]
_WORDS = Table("words", pa.schema([*_KEYS, pa.field("words", pa.list_(pa.string()), nullable=False)]), partition=None)
_VECTORS = pa.schema(
    [
        *_KEYS,
        pa.field("columns", pa.list_(pa.int32()), nullable=False),
        pa.field("weights", pa.list_(pa.float32()), nullable=False),
    ]
)
_SUMS = pa.schema([pa.field("key", pa.int64(), nullable=False), pa.field("weight", pa.int64(), nullable=False)])


def topics(
    workspace: Workspace,
    *,
    as_of: date,
    spark: SparkSession,
    report: Report = silent,
    dimensions: int = 100,
    vocabulary: int = 20_000,
) -> Manifest:
    """Fit `dimensions` topics of the `vocabulary` most frequent words on the training split, and write `term_weights`,
    `template_profiles`, `topics` of every labelled ticket and `similarities` of every row of `pairs`.

    Raises MissingStepError before `triage features`, TrainingDataError when the training tickets share no words.
    """
    for table in (FEATURES, SPLITS, PAIRS):
        if not workspace.table_path(table).is_dir():
            raise MissingStepError(
                f"the table `{table.name}` has not been written yet.", hint="Run `triage features` first."
            )
    with run_step(workspace, STEP, as_of, report) as step, workspace.aside(STEP) as aside:
        step.inputs = _inputs(workspace)
        write(_labelled_words(spark, workspace), aside / "words", _WORDS)
        texts = spark.read.schema(spark_schema(_WORDS.schema)).parquet(str(aside / "words"))
        space = _fit(spark, workspace, texts, aside, dimensions=dimensions, vocabulary=vocabulary)
        profiles = _profiles(spark, workspace, texts, space, aside)
        _compare(spark, profiles, aside)
        write_topic_space(space, aside / TERM_WEIGHTS.name)
        for table in (TERM_WEIGHTS, TEMPLATE_PROFILES, TOPICS, SIMILARITIES):
            workspace.publish(aside / table.name, table)
            step.counts[table.name] = count_rows(workspace.table_path(table))
        found = f"{space.directions.shape[1]} topics of {len(space.terms):,} words"
        step.summary = f"{found}, {step.counts[SIMILARITIES.name]:,} similarities"
    return step.done


def _inputs(workspace: Workspace) -> dict[str, str]:
    days = {day: made_from(workspace, FEATURES, day) for day in workspace.partitions(FEATURES)}
    inputs = {f"{FEATURES.name}/arrived={day}": str(made.get("fingerprint", "")) for day, made in days.items()}
    templates = workspace.catalogue / "templates.json"
    return inputs | ({"catalogue/templates.json": file_hash(templates)} if templates.exists() else {})


def _labelled_words(spark: SparkSession, workspace: Workspace) -> DataFrame:
    """The rows of _WORDS for every labelled ticket, spread by ticket alone, so that each run has the same parts."""
    from pyspark.sql import functions as F  # noqa: N812

    splits = read_table(spark, workspace, SPLITS).filter("split != 'unlabelled'").drop("cluster")
    pairs = read_arrivals(spark, workspace, PAIRS, workspace.partitions(PAIRS)).groupBy("ticket_id")
    offered = pairs.agg(
        F.max(F.when(F.col("relevant"), F.col("template_id"))).alias("sent"),
        F.sort_array(F.collect_set("template_id")).alias("templates"),
    )
    features = read_arrivals(spark, workspace, FEATURES, workspace.partitions(FEATURES))
    joined = features.select("ticket_id", "arrived", "text").join(splits, ["ticket_id", "arrived"])
    parts = 1 + count_rows(workspace.table_path(SPLITS)) // _TICKETS_IN_PART
    texts = joined.join(offered, "ticket_id", "left").select("ticket_id", "split", "sent", "templates", "text")
    spread = texts.repartition(parts, "ticket_id").sortWithinPartitions("ticket_id")
    return spread.mapInArrow(_find_words, spark_schema(_WORDS.schema))


def _find_words(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        found = pa.array([words(text) for text in batch.column("text").to_pylist()], pa.list_(pa.string()))
        kept = [batch.column(field.name).cast(field.type) for field in _KEYS]
        yield pa.RecordBatch.from_arrays([*kept, found], schema=_WORDS.schema)


def _fit(
    spark: SparkSession, workspace: Workspace, texts: DataFrame, aside: Path, *, dimensions: int, vocabulary: int
) -> TopicSpace:
    """Vocabulary, idf and topics of the training tickets; leaves every ticket's TF-IDF row in `aside`/vectors."""
    training = texts.filter("split = 'train'")
    documents = training.count()
    counted = _document_counts(spark, training, documents, vocabulary, read_dataset(workspace).languages)
    if not counted:
        raise TrainingDataError(
            f"no topics can be fitted: the {documents:,} training tickets share no words.",
            hint="Import more tickets with text, or move the dates of the split.",
        )
    # Smoothed as in Spark ML's IDF, which the tests compare with.
    idf = np.log((documents + 1) / (np.array(list(counted.values()), np.float64) + 1)).astype(np.float32)
    none = np.zeros((len(counted), 0))
    space = TopicSpace(tuple(counted), idf, none.astype(np.float32), none[0], documents)
    handle = spark.sparkContext.broadcast(space)
    share = min(1.0, FITTED_ON / documents)
    run_units(spark, _units(aside / "words"), lambda unit: weigh_unit(unit, handle.value, aside, share))
    handle.destroy()
    units = _units(aside / "fitted")
    directions, strengths = strongest_directions(
        lambda block: _gram(spark, units, block), terms=len(counted), count=dimensions
    )
    return TopicSpace(space.terms, idf, directions, strengths, documents)


def _document_counts(
    spark: SparkSession, training: DataFrame, documents: int, vocabulary: int, languages: Sequence[str]
) -> dict[str, int]:
    """The most frequent words and how many training tickets have each, most first, then by the alphabet. Spark's
    CountVectorizer leaves open which of equally frequent words it takes."""
    from pyspark.ml.feature import StopWordsRemover
    from pyspark.sql import functions as F  # noqa: N812

    known = [_SPARKS_LANGUAGES[language] for language in languages if language in _SPARKS_LANGUAGES]
    silent_words = {word for language in known for word in StopWordsRemover.loadDefaultStopWords(language)}
    least = LEAST_DOCUMENTS if documents > 100 else 1
    each = training.select(F.explode(F.array_distinct("words")).alias("word")).groupBy("word").count()
    most = each.filter(F.col("count") >= least).orderBy(F.desc("count"), "word").limit(vocabulary + len(silent_words))
    rows = most.collect()
    kept = [(row["word"], row["count"]) for row in rows if row["word"] not in silent_words]
    return dict(kept[:vocabulary])


def weigh_unit(unit: Unit, space: TopicSpace, aside: Path, share: float) -> None:
    """What a task runs: words to TF-IDF rows, and beside them those of the training tickets that topics are fitted
    on."""
    name = part_name(unit.number)
    fitted = PartWriter(aside / "fitted" / name, _VECTORS)
    with PartWriter(aside / "vectors" / name, _VECTORS) as vectors, fitted:
        for _, read in read_unit(unit, _WORDS.schema.names):
            rows = space.rows(read["words"].to_pylist())
            weighed = pa.Table.from_arrays([*(read[field.name] for field in _KEYS), *_lists(rows)], schema=_VECTORS)
            vectors.write(weighed)
            drawn = [
                split == "train" and zlib.crc32(ticket_id.encode("utf-8", "surrogatepass")) < share * 2**32
                for ticket_id, split in zip(read["ticket_id"].to_pylist(), read["split"].to_pylist(), strict=True)
            ]
            fitted.write(weighed.filter(pa.array(drawn, pa.bool_())))


def _gram(spark: SparkSession, units: Sequence[Unit], block: NDArray[np.float32]) -> NDArray[np.float64]:
    """One pass over the fitted rows, added up in the order of the parts: the same sum to the last bit in each run."""
    handle = spark.sparkContext.broadcast(block)
    try:
        return np.sum(run_units(spark, units, lambda unit: gram_unit(unit, handle.value)), axis=0)
    finally:
        handle.destroy()


def gram_unit(unit: Unit, block: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a task runs: the unit's share of the Gram matrix times a block."""
    product = np.zeros(block.shape)
    for _, read in read_unit(unit, ("columns", "weights")):
        product += gram_product(_rows(read), block)
    return product


def _profiles(
    spark: SparkSession, workspace: Workspace, texts: DataFrame, space: TopicSpace, aside: Path
) -> TemplateProfiles:
    """What the templates of pairs and catalogue are compared by; written to `aside` as TEMPLATE_PROFILES."""
    from pyspark.sql import functions as F  # noqa: N812

    own = {
        template.template_id: template_words(template.title, template.body) for template in read_templates(workspace)
    }
    offered = texts.select(F.explode("templates").alias("name")).distinct().collect()
    names = tuple(sorted({row["name"] for row in offered} | set(own)))
    place = {name: number for number, name in enumerate(names)}
    terms = len(space.terms)
    run_units(spark, _units(aside / "vectors"), lambda unit: sum_unit(unit, place, terms, aside))
    sums = spark.read.schema(spark_schema(_SUMS)).parquet(str(aside / "sums"))
    summed = sums.groupBy("key").agg(F.sum("weight").alias("weight")).orderBy("key").toArrow()
    past = rows_of_sums(summed["key"].to_numpy(), summed["weight"].to_numpy(), groups=len(names), terms=terms)
    sent = texts.filter("split = 'train' and sent is not null").groupBy("sent").count().collect()
    counts = np.zeros(len(names), np.int64)
    for row in sent:
        counts[place[row["sent"]]] = row["count"]
    own_rows = space.rows([own.get(name, []) for name in names])
    profiles = TemplateProfiles(names, space, own_rows, past, counts)
    (aside / TEMPLATE_PROFILES.name).mkdir()
    pq.write_table(profiles_table(profiles), aside / TEMPLATE_PROFILES.name / part_name(0), compression="zstd")
    return profiles


def sum_unit(unit: Unit, place: dict[str, int], terms: int, aside: Path) -> None:
    """What a task runs: the TF-IDF rows of the unit's training tickets, added up by the template that was sent."""
    with PartWriter(aside / "sums" / part_name(unit.number), _SUMS) as sums:
        for _, read in read_unit(unit, ("split", "sent", "columns", "weights")):
            told = [
                split == "train" and sent is not None
                for split, sent in zip(read["split"].to_pylist(), read["sent"].to_pylist(), strict=True)
            ]
            past = read.filter(pa.array(told, pa.bool_()))
            sums.write(
                pa.Table.from_arrays(
                    sums_of_rows(_rows(past), [place[name] for name in past["sent"].to_pylist()], terms),
                    schema=_SUMS,
                )
            )


def _compare(spark: SparkSession, profiles: TemplateProfiles, aside: Path) -> None:
    """Write TOPICS and SIMILARITIES to `aside`."""
    handle = spark.sparkContext.broadcast(profiles)
    run_units(spark, _units(aside / "vectors"), lambda unit: compare_unit(unit, handle.value, aside))
    handle.destroy()


def compare_unit(unit: Unit, profiles: TemplateProfiles, aside: Path) -> None:
    """What a task runs: TF-IDF rows to topics, and to the cosines with the templates of their pairs."""
    name = part_name(unit.number)
    with (
        PartWriter(aside / TOPICS.name / name, TOPICS.schema) as placed,
        PartWriter(aside / SIMILARITIES.name / name, SIMILARITIES.schema) as compared,
    ):
        for _, read in read_unit(unit, _VECTORS.names):
            rows = _rows(read)
            latent = profiles.space.topics(rows)
            lists = pa.FixedSizeListArray.from_arrays(pa.array(latent.ravel(), pa.float32()), latent.shape[1])
            placed.write(
                pa.Table.from_arrays([read["ticket_id"], lists.cast(pa.list_(pa.float32()))], schema=TOPICS.schema)
            )
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


def _units(folder: Path) -> list[Unit]:
    return units_of("", sorted(folder.glob("*.parquet")))


def _lists(rows: TermRows) -> tuple[pa.ListArray, pa.ListArray]:
    starts = pa.array(rows.starts, pa.int32())
    return (
        pa.ListArray.from_arrays(starts, pa.array(rows.columns, pa.int32())),
        pa.ListArray.from_arrays(starts, pa.array(rows.weights, pa.float32())),
    )


def _rows(read: pa.Table) -> TermRows:
    columns: Any = read["columns"].combine_chunks()
    lengths = columns.value_lengths().to_numpy()
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    weights = read["weights"].combine_chunks().flatten().to_numpy()
    return TermRows(starts, columns.flatten().to_numpy(), weights)
