"""COTA v1's features: fitted on training tickets alone, the same with and without Spark, and good for ranking."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.lake import mark
from pipeline.text.clean import clean_ticket
from pipeline.text.features import model_text
from pipeline.topics.directions import gram_product, strongest_directions
from pipeline.topics.profiles import COSINES, TemplateProfiles, read_profiles
from pipeline.topics.space import TermRows, TopicSpace, read_topic_space
from pipeline.topics.step import topics
from pipeline.topics.words import template_words, words
from tickets.catalogue import write_templates
from tickets.errors import MissingStepError, TrainingDataError, WorkspaceError
from tickets.examples import read_examples, read_pairs
from tickets.manifests import read_manifest
from tickets.simulate import SimulatedTicket, SimulationConfig, reply_templates, simulate
from tickets.tables import FEATURES, SIMILARITIES, TEMPLATE_PROFILES, TERM_WEIGHTS, TOPICS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NIGHT = date(2026, 3, 1)
LANGUAGES = ("en", "de", "es", "fr")
DATASET = """
name = "simulated"
format = "jsonl"
languages = ["en", "de", "es", "fr"]
[ticket]
created_at = "created_at"
body = "description"
[outcome]
contact_type = "contact_type"
template_id = "macro"
"""
TICKETS = 1_500
DIMENSIONS = 40


@dataclass(frozen=True)
class Fitted:
    """A workspace of simulated tickets after the step."""

    workspace: Workspace
    space: TopicSpace


def row_of(simulated: SimulatedTicket) -> dict[str, Any]:
    ticket = clean_ticket(simulated.ticket, LANGUAGES)
    return {
        "ticket_id": ticket.ticket_id,
        "created_at": ticket.created_at,
        "text": model_text(ticket),
        "language": ticket.language,
        "channel": ticket.channel,
        "attributes": "{}",
        "statistics": "{}",
        "contact_type": simulated.outcome.contact_type,
        "template_id": simulated.outcome.template_id,
        "outcome_source": "import",
    }


def pairs_for(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The template that was sent among seven others, any of them."""
    others = sorted({template.template_id for template in reply_templates()} - {row["template_id"]})
    drawn = Random(row["ticket_id"]).sample(others, 7)
    known = [(row["template_id"], True), *((name, False) for name in drawn)]
    return [
        {"ticket_id": row["ticket_id"], "template_id": name, "relevant": sent, "negative": None if sent else "random"}
        for name, sent in known
    ]


@pytest.fixture(scope="module")
def fitted(
    tmp_path_factory: pytest.TempPathFactory, write_examples: Callable[..., None], spark: SparkSession
) -> Fitted:
    workspace = Workspace.create(tmp_path_factory.mktemp("topics") / "workspace")
    (workspace.catalogue / "dataset.toml").write_text(DATASET, encoding="utf-8")
    write_templates(workspace, reply_templates())
    days = simulate(SimulationConfig(seed=3, start=date(2026, 1, 5), days=10, tickets_per_day=200))
    rows = [row_of(simulated) for day in days for simulated in day.tickets][:TICKETS]
    splits = {"train": rows[:1_000], "validation": rows[1_000:1_200], "test": rows[1_200:1_450]}
    unlabelled = [{**row, "contact_type": None, "template_id": None} for row in rows[1_450:]]
    pairs = [pair for part in splits.values() for row in part for pair in pairs_for(row)]
    write_examples(workspace, {**splits, "unlabelled": unlabelled}, pairs)
    topics(workspace, as_of=NIGHT, spark=spark, dimensions=DIMENSIONS, vocabulary=1_000)
    return Fitted(workspace, read_topic_space(workspace))


def test_words_are_lower_case_with_masks_as_words_and_without_bare_numbers() -> None:
    text = "I didn’t pay 20 EUR, write to <EMAIL>!\nÄrger: Bestellung RD-77A"
    assert words(text) == ["i", "didn't", "pay", "eur", "write", "to", "<email>", "ärger", "bestellung", "rd", "77a"]


def test_words_of_a_pasted_log_are_bounded() -> None:
    assert len(words("ab " * 5_000_000)) == 20_000 // 3 + 1
    assert words("a" * 41 + " short " + "b" * 40) == ["short", "b" * 40]


def test_a_templates_placeholders_are_no_words() -> None:
    found = template_words("Refund sent", "Hi {{customer_name}}, {{amount}} is back.")
    assert found == ["refund", "sent", "hi", "is", "back"]


def test_every_labelled_ticket_has_topics_and_every_pair_its_similarities(fitted: Fitted) -> None:
    workspace = fitted.workspace
    labelled = read_examples(workspace, splits=["train", "validation", "test"], columns=["ticket_id"])
    placed = workspace.read(TOPICS)
    assert sorted(placed["ticket_id"].to_pylist()) == labelled["ticket_id"].to_pylist()
    assert set(map(len, placed["topics"].to_pylist())) == {DIMENSIONS}
    keys = ["ticket_id", "template_id"]
    assert pairs_of(workspace.read(SIMILARITIES, keys)) == pairs_of(read_pairs(workspace, columns=keys))
    manifest = read_manifest(workspace, "topics", NIGHT.isoformat())
    assert manifest is not None
    assert manifest.counts == {
        "similarities": 8 * 1_450,
        "template_profiles": 99,
        "term_weights": 1_000,
        "topics": 1_450,
    }


def pairs_of(table: pa.Table) -> list[tuple[str, str]]:
    return sorted(zip(table["ticket_id"].to_pylist(), table["template_id"].to_pylist(), strict=True))


def test_stop_words_of_every_language_are_silent_and_masks_are_not(fitted: Fitted) -> None:
    assert not {"the", "und", "pour", "también", "didn't"} & set(fitted.space.terms)
    assert {"<name>", "<email>", "refund"} <= set(fitted.space.terms)


def test_the_batch_writes_the_very_numbers_that_numpy_alone_gives(fitted: Fitted) -> None:
    examples = read_examples(fitted.workspace, splits=["validation", "test"], columns=["ticket_id", "text"])
    rows, latent = fitted.space.transform_text(examples["text"].to_pylist())
    placed = fitted.workspace.read(TOPICS).to_pylist()
    written = {row["ticket_id"]: row["topics"] for row in placed}
    assert [written[ticket_id] for ticket_id in examples["ticket_id"].to_pylist()] == latent.tolist()

    profiles = read_profiles(fitted.workspace, fitted.space)
    similar = fitted.workspace.read(SIMILARITIES)
    place = {ticket_id: number for number, ticket_id in enumerate(examples["ticket_id"].to_pylist())}
    some = similar.filter(pc.is_in(similar["ticket_id"], examples["ticket_id"].combine_chunks())).to_pylist()
    tickets = np.array([place[row["ticket_id"]] for row in some])
    templates = np.array([profiles.place[row["template_id"]] for row in some])
    alone = profiles.cosines(rows, latent, tickets, templates, np.zeros(len(some), bool))
    for name in COSINES:
        assert [row[name] for row in some] == alone[name].tolist()


def test_rows_are_those_of_spark_ml(fitted: Fitted, spark: SparkSession) -> None:
    from pyspark.ml.feature import IDF, CountVectorizerModel, Normalizer

    texts = read_examples(fitted.workspace, splits=["train"], columns=["text"])["text"].to_pylist()
    frame = spark.createDataFrame(pa.table({"words": [words(text) for text in texts]})).coalesce(1)
    counter = CountVectorizerModel.from_vocabulary(list(fitted.space.terms), inputCol="words", outputCol="counts")
    counted = counter.transform(frame)
    weigher = IDF(inputCol="counts", outputCol="weighed").fit(counted)
    np.testing.assert_allclose(fitted.space.idf, weigher.idf.toArray(), rtol=1e-6)
    scaled = Normalizer(inputCol="weighed", outputCol="scaled").transform(weigher.transform(counted)).select("scaled")
    theirs = np.stack([row["scaled"].toArray() for row in scaled.collect()])
    np.testing.assert_allclose(dense(fitted.space.transform_text(texts)[0], fitted.space), theirs, atol=1e-6)


def test_topics_are_the_singular_vectors_of_spark_ml(fitted: Fitted, spark: SparkSession) -> None:
    from pyspark.mllib.linalg import Vectors
    from pyspark.mllib.linalg.distributed import RowMatrix

    texts = read_examples(fitted.workspace, splits=["train"], columns=["text"])["text"].to_pylist()
    few = replace(fitted.space, terms=fitted.space.terms[:90], idf=fitted.space.idf[:90])  # Spark solves these at once
    ours = few.rows([words(text) for text in texts])
    theirs = RowMatrix(spark.sparkContext.parallelize(list(map(Vectors.dense, dense(ours, few))), 2)).computeSVD(10)
    directions, strengths = strongest_directions(lambda block: gram_product(ours, block), terms=90, count=20)
    np.testing.assert_allclose(strengths[:10], theirs.s.toArray(), rtol=1e-5)
    np.testing.assert_allclose(np.abs((directions[:, :10] * theirs.V.toArray()).sum(axis=0)), 1.0, atol=1e-4)


def dense(rows: TermRows, space: TopicSpace) -> np.ndarray[Any, Any]:
    full = np.zeros((len(rows), len(space.terms)))
    full[np.repeat(np.arange(len(rows)), np.diff(rows.starts)), rows.columns] = rows.weights
    return full


def test_cosines_are_those_of_dense_vectors_and_a_ticket_is_not_among_its_own_past(fitted: Fitted) -> None:
    examples = read_examples(fitted.workspace, splits=["train"], columns=["ticket_id", "text", "template_id"])
    tickets = dense(fitted.space.transform_text(examples["text"].to_pylist())[0], fitted.space)
    sent = np.array(examples["template_id"].to_pylist())
    place = {ticket_id: number for number, ticket_id in enumerate(examples["ticket_id"].to_pylist())}
    own = {
        template.template_id: dense(fitted.space.rows([template_words(template.title, template.body)]), fitted.space)[0]
        for template in reply_templates()
    }
    directions = fitted.space.directions.astype(float)

    def cosine(one: Any, other: Any) -> float:
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        return float(one @ other / lengths) if lengths > 0 else 0.0

    checked = 0
    for row in fitted.workspace.read(SIMILARITIES).to_pylist():
        if row["ticket_id"] not in place or checked == 400:
            continue
        checked += 1
        number = place[row["ticket_id"]]
        past = np.flatnonzero(sent == row["template_id"])
        summed = tickets[past[past != number]].sum(axis=0)
        expected = {
            "words": cosine(tickets[number], own[row["template_id"]]),
            "topics": cosine(tickets[number] @ directions, own[row["template_id"]] @ directions),
            "past_words": cosine(tickets[number], summed),
            "past_topics": cosine(tickets[number] @ directions, summed @ directions),
        }
        assert {name: row[name] for name in COSINES} == pytest.approx(expected, abs=1e-4)
    assert checked == 400


def test_what_later_tickets_say_changes_nothing_that_was_fitted(
    fitted: Fitted, tmp_path: Path, spark: SparkSession
) -> None:
    """The same training tickets give the same bytes, whatever validation and test tickets say."""
    shutil.copytree(fitted.workspace.root, tmp_path / "other")
    other = Workspace.open(tmp_path / "other")
    train = set(read_examples(other, splits=["train"], columns=["ticket_id"])["ticket_id"].to_pylist())
    features = other.read(FEATURES)
    texts = [row["text"] if row["ticket_id"] in train else "zeppelin refund zeppelin" for row in features.to_pylist()]
    changed = features.set_column(features.column_names.index("text"), "text", pa.array(texts)).drop(["arrived"])
    [path] = other.table_path(FEATURES).rglob("*.parquet")
    pq.write_table(changed.cast(FEATURES.schema), path)
    mark(path.parent, "other texts")
    topics(other, as_of=NIGHT, spark=spark, dimensions=DIMENSIONS, vocabulary=1_000)

    assert "zeppelin" not in read_topic_space(other).terms
    for table in (TERM_WEIGHTS, TEMPLATE_PROFILES):
        assert content(other, table.name) == content(fitted.workspace, table.name)
    for table in (TOPICS, SIMILARITIES):
        before, after = (
            [row for row in workspace.read(table).to_pylist() if row["ticket_id"] in train]
            for workspace in (fitted.workspace, other)
        )
        assert before == after
    assert other.read(TOPICS).num_rows == 1_450


def test_a_second_run_does_nothing_until_something_changes(fitted: Fitted, tmp_path: Path, spark: SparkSession) -> None:
    shutil.copytree(fitted.workspace.root, tmp_path / "again")
    again = Workspace.open(tmp_path / "again")
    told: list[str] = []
    for vocabulary in (1_000, 900):
        topics(again, as_of=NIGHT, spark=spark, report=told.append, dimensions=DIMENSIONS, vocabulary=vocabulary)
        assert len(read_topic_space(again).terms) == vocabulary
    assert ["nothing new" in line for line in told] == [True, False]
    shutil.copytree(fitted.workspace.table_path(TERM_WEIGHTS), again.table_path(TERM_WEIGHTS), dirs_exist_ok=True)
    with pytest.raises(WorkspaceError, match="different runs"):
        read_profiles(again, read_topic_space(again))


def content(workspace: Workspace, table: str) -> dict[str, bytes]:
    folder = workspace.lake / table
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def test_the_template_that_was_sent_stands_above_others(fitted: Fitted) -> None:
    """Of eight templates chance ranks the one that was sent first in 12.5 % of the tickets, among three in 37.5 %."""
    relevant = {
        (row["ticket_id"], row["template_id"]): row["relevant"] for row in read_pairs(fitted.workspace).to_pylist()
    }
    test = set(read_examples(fitted.workspace, splits=["test"], columns=["ticket_id"])["ticket_id"].to_pylist())
    offered: dict[str, list[dict[str, Any]]] = {}
    for row in fitted.workspace.read(SIMILARITIES).to_pylist():
        if row["ticket_id"] in test:
            offered.setdefault(row["ticket_id"], []).append(row)
    first, among_three = {}, {}
    for name in COSINES:
        ranks = []
        for rows in offered.values():
            [sent] = [row[name] for row in rows if relevant[row["ticket_id"], row["template_id"]]]
            ranks.append(sum(row[name] >= sent for row in rows))
        first[name], among_three[name] = (np.mean(np.array(ranks) <= most) for most in (1, 3))
    assert first["words"] > 0.3
    assert first["topics"] > 0.3
    assert first["past_words"] > 0.6
    assert first["past_topics"] > 0.5
    assert among_three["past_words"] > 0.9


def test_a_template_without_a_past_and_a_ticket_without_known_words_are_like_nothing(fitted: Fitted) -> None:
    profiles = read_profiles(fitted.workspace, fitted.space)
    rows, latent = fitted.space.transform_text(["", "zeppelin 42", "refund my cancelled ride"])
    assert [len(rows), rows.starts[2], float(np.abs(latent[:2]).max())] == [3, 0, 0.0]
    unsent = int(np.flatnonzero(profiles.past_tickets == 0)[0])
    often = int(profiles.past_tickets.argmax())
    tickets, templates = np.array([0, 1, 2, 2]), np.array([often, often, unsent, often])
    found = profiles.cosines(rows, latent, tickets, templates, np.zeros(4, bool))
    for name in COSINES:
        assert found[name][:2].tolist() == [0.0, 0.0]
    assert found["past_words"][2] == found["past_topics"][2] == 0.0
    assert found["past_words"][3] > 0
    alone = TemplateProfiles(("once",), fitted.space, rows_at(rows, 0), rows_at(rows, 2), np.array([1]))
    once = alone.cosines(rows, latent, np.array([2]), np.array([0]), np.array([True]))
    assert once["past_words"].tolist() == once["past_topics"].tolist() == [0.0]


def rows_at(rows: TermRows, number: int) -> TermRows:
    low, high = rows.starts[number], rows.starts[number + 1]
    return TermRows(np.array([0, high - low]), rows.columns[low:high], rows.weights[low:high])


def random_rows(rank: int | None = None) -> tuple[TermRows, np.ndarray[Any, Any]]:
    """300 sparse rows of 120 terms with falling singular values, a few of them empty; also as a dense matrix."""
    draw = np.random.default_rng(5)
    full = (draw.random((300, 120)) < 0.1) * draw.random((300, 120)) * np.linspace(2, 0.2, 120)
    full[7] = full[299] = 0
    if rank is not None:
        full = full[:rank].repeat(20, axis=0)
    row, column = np.nonzero(full)
    starts = np.searchsorted(row, np.arange(len(full) + 1))
    return TermRows(starts, column.astype(np.int32), full[row, column].astype(np.float32)), full


def test_the_strongest_directions_are_the_right_singular_vectors() -> None:
    rows, full = random_rows()
    directions, strengths = strongest_directions(lambda block: gram_product(rows, block), terms=120, count=30)
    _, singular, right = np.linalg.svd(full)
    np.testing.assert_allclose(strengths, singular[:30], rtol=1e-4)
    np.testing.assert_allclose(directions.T @ directions, np.eye(30), atol=1e-5)
    np.testing.assert_allclose(np.abs((directions * right[:30].T).sum(axis=0)), 1.0, atol=1e-3)
    assert (directions[np.abs(directions).argmax(axis=0), np.arange(30)] > 0).all()


@pytest.mark.parametrize("rank", [3, 0])
def test_no_more_directions_are_found_than_there_are(rank: int) -> None:
    rows, _ = random_rows(rank) if rank else (TermRows(np.zeros(5, int), np.zeros(0, np.int32), np.zeros(0)), None)
    directions, strengths = strongest_directions(lambda block: gram_product(rows, block), terms=120, count=30)
    assert directions.shape == (120, rank)
    assert len(strengths) == rank


def test_before_the_features_there_are_no_topics(workspace: Workspace, spark: SparkSession) -> None:
    with pytest.raises(MissingStepError, match="features"):
        topics(workspace, as_of=NIGHT, spark=spark)
    with pytest.raises(MissingStepError, match="no topics"):
        read_topic_space(workspace)


@pytest.mark.parametrize("text", ["42 the 77", "where is my parcel"])
def test_tickets_that_no_word_tells_apart_are_told(
    workspace: Workspace, write_examples: Callable[..., None], spark: SparkSession, text: str
) -> None:
    (workspace.catalogue / "dataset.toml").write_text(DATASET, encoding="utf-8")
    day = next(iter(simulate(SimulationConfig(seed=3, start=NIGHT, days=1, tickets_per_day=5))))
    write_examples(workspace, {"train": [{**row_of(simulated), "text": text} for simulated in day.tickets]}, [])
    with pytest.raises(TrainingDataError, match="no word tells"):
        topics(workspace, as_of=NIGHT, spark=spark)
    assert not workspace.table_path(TOPICS).exists()
