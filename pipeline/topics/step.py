"""Topics: what COTA v1 reads of tickets and templates - TF-IDF, latent topics and their cosines - as tables.

Method: Molino, Zheng, Wang, "COTA: Improving the Speed and Accuracy of Customer Support through Ranking and Deep
Networks", KDD 2018, https://arxiv.org/abs/1807.01337. Run on demand, by `triage features --topics`. Vocabulary,
weights, topics and the templates' past come from the training split alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.contract_checks import check_written
from pipeline.lake import count_rows, made_from, mark, parts_in, read_arrivals, read_table, spark_path, spark_schema
from pipeline.steps import run_step
from pipeline.topics.directions import strongest_directions
from pipeline.topics.profiles import TemplateProfiles, profiles_table, rows_of_sums
from pipeline.topics.space import TopicSpace, write_topic_space
from pipeline.topics.tasks import SUMS, WORDS, compare_unit, find_words, gram_unit, sum_unit, weigh_unit
from pipeline.topics.words import template_words
from pipeline.units import Unit, part_name, run_units, units_of
from tickets.catalogue import read_dataset, read_templates
from tickets.errors import MissingStepError, TrainingDataError
from tickets.manifests import Manifest
from tickets.progress import Report, silent
from tickets.tables import FEATURES, PAIRS, SIMILARITIES, SPLITS, TEMPLATE_PROFILES, TERM_WEIGHTS, TOPICS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark import Broadcast
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")

STEP = "topics"
RULES_VERSION = "1"  # raise it when words, weights or cosines change, and the next run makes them again
FITTED_ON = 200_000  # training tickets, drawn by their ids; the topics of more are the same, and a night is short
LEAST_DOCUMENTS = 2  # of which a word must be known, unless there are hardly any
_TICKETS_IN_PART = 5_000
_TABLES = (TERM_WEIGHTS, TEMPLATE_PROFILES, TOPICS, SIMILARITIES)
# Languages that Spark has stop words of, by the names it gives them.
_SPARKS_LANGUAGES = {
    **{"da": "danish", "de": "german", "en": "english", "es": "spanish", "fi": "finnish", "fr": "french"},
    **{"hu": "hungarian", "it": "italian", "nl": "dutch", "no": "norwegian", "pt": "portuguese", "ru": "russian"},
    **{"sv": "swedish", "tr": "turkish"},
}


def topics(
    workspace: Workspace,
    *,
    as_of: date,
    spark: SparkSession,
    report: Report = silent,
    dimensions: int = 100,
    vocabulary: int = 20_000,
) -> Manifest:
    """Fit `dimensions` topics of the `vocabulary` most frequent words on the training split. Write `term_weights`,
    `template_profiles`, `topics` of every labelled ticket and `similarities` of every row of `pairs`, unless all that
    they follow from is as it was.

    Raises MissingStepError before `triage features`, TrainingDataError when no word tells the training tickets apart.
    """
    for table in (FEATURES, SPLITS, PAIRS):
        if not workspace.table_path(table).is_dir():
            raise MissingStepError(
                f"the table `{table.name}` has not been written yet.", hint="Run `triage features` first."
            )
    with run_step(workspace, STEP, as_of, report) as step:
        for table in (FEATURES, PAIRS):
            step.reads_days(table, workspace.partitions(table))
        step.reads(SPLITS.name, "catalogue/dataset.toml", "catalogue/templates.json")
        wanted = step.follows_from(RULES_VERSION, dimensions, vocabulary)
        fresh = all(made_from(workspace, table).get("fingerprint") == wanted for table in _TABLES)
        if not fresh:
            with workspace.aside(STEP) as aside:
                _make(spark, workspace, aside, dimensions=dimensions, vocabulary=vocabulary)
                for table in _TABLES:
                    mark(aside / table.name, wanted, rows=count_rows(aside / table.name))
                    check_written(spark, workspace, table, aside / table.name)
                for table in _TABLES:
                    workspace.publish(aside / table.name, table)
        for table in _TABLES:
            step.wrote(table)
            step.counts[table.name] = count_rows(workspace.table_path(table))
        step.rows_in = step.counts[TOPICS.name]
        step.summary = f"topics of {step.rows_in:,} tickets, {step.counts[SIMILARITIES.name]:,} similarities"
        step.summary += ", nothing new" if fresh else ""
    return step.done


def _make(spark: SparkSession, workspace: Workspace, aside: Path, *, dimensions: int, vocabulary: int) -> None:
    """Write the four tables to `aside`."""
    _labelled_words(spark, workspace).write.parquet(spark_path(aside / "words"))
    texts = spark.read.schema(spark_schema(WORDS)).parquet(spark_path(aside / "words"))
    space = _fit(spark, workspace, texts, aside, dimensions=dimensions, vocabulary=vocabulary)
    profiles = _profiles(spark, workspace, texts, space, aside)
    _compare(spark, profiles, aside)
    write_topic_space(space, aside / TERM_WEIGHTS.name)


def _labelled_words(spark: SparkSession, workspace: Workspace) -> DataFrame:
    """The rows of WORDS for every labelled ticket, spread by ticket alone, so that each run has the same parts."""
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
    return spread.mapInArrow(find_words, spark_schema(WORDS))


def _fit(
    spark: SparkSession, workspace: Workspace, texts: DataFrame, aside: Path, *, dimensions: int, vocabulary: int
) -> TopicSpace:
    """Vocabulary, idf and topics of the training tickets; leaves every ticket's TF-IDF row in `aside`/vectors."""
    training = texts.filter("split = 'train'")
    documents = training.count()
    counted = _document_counts(training, documents, vocabulary, read_dataset(workspace).languages)
    if not counted:
        raise _no_topics(documents)
    # Smoothed as in Spark ML's IDF, which the tests compare with.
    idf = np.log((documents + 1) / (np.array(list(counted.values()), np.float64) + 1)).astype(np.float32)
    none = np.zeros((len(counted), 0))
    space = TopicSpace(tuple(counted), idf, none.astype(np.float32), none[0], documents)
    share = min(1.0, FITTED_ON / documents)
    with _shared(spark, space) as handle:
        run_units(spark, _units(aside / "words"), lambda unit: weigh_unit(unit, handle.value, aside, share))
    units = _units(aside / "fitted")
    directions, strengths = strongest_directions(
        lambda block: _gram(spark, units, block), terms=len(counted), count=dimensions
    )
    if not len(strengths):
        raise _no_topics(documents)
    return TopicSpace(space.terms, idf, directions, strengths, documents)


def _no_topics(documents: int) -> TrainingDataError:
    return TrainingDataError(
        f"no topics can be fitted: no word tells the {documents:,} training tickets apart.",
        hint="Import more tickets with text, or move the dates of the split.",
    )


def _document_counts(training: DataFrame, documents: int, vocabulary: int, languages: Sequence[str]) -> dict[str, int]:
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


def _gram(spark: SparkSession, units: Sequence[Unit], block: NDArray[np.float32]) -> NDArray[np.float64]:
    """One pass over the fitted rows, added up in the order of the parts: the same sum to the last bit in each run."""
    with _shared(spark, block) as handle:
        parts = run_units(spark, units, lambda unit: gram_unit(unit, handle.value))
    return np.asarray(np.sum(parts, axis=0), np.float64)


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
    sums = spark.read.schema(spark_schema(SUMS)).parquet(spark_path(aside / "sums"))
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


def _compare(spark: SparkSession, profiles: TemplateProfiles, aside: Path) -> None:
    """Write TOPICS and SIMILARITIES to `aside`."""
    with _shared(spark, profiles) as handle:
        run_units(spark, _units(aside / "vectors"), lambda unit: compare_unit(unit, handle.value, aside))


@contextmanager
def _shared(spark: SparkSession, value: T) -> Iterator[Broadcast[T]]:
    """A value sent to each executor once, and forgotten there after the block."""
    handle = spark.sparkContext.broadcast(value)
    try:
        yield handle
    finally:
        handle.destroy()


def _units(folder: Path) -> list[Unit]:
    return units_of("", parts_in(folder))
