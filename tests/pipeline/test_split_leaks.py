"""The split: by time, no customer and no near-duplicate crosses it, and what the dataset gives wins."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.cleaning import clean
from pipeline.datasets import ready_dataset
from pipeline.duplicates import connected, link_duplicates
from pipeline.featurise import featurise, node_of
from pipeline.importing import import_files
from pipeline.outcomes import label
from pipeline.split import SplitPlan, split
from pipeline.text.minhash import sign, similarity
from tickets.errors import InputError
from tickets.examples import read_examples
from tickets.manifests import Manifest
from tickets.tables import NEAR_DUPLICATES, SPLITS, TICKETS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAY = date(2026, 3, 2)
MakeRow = Callable[..., dict[str, str]]
LETTER = (
    "I am writing to dispute the account number {n} on my credit report because it does not belong to me and I never "
    "opened it please remove it at once as the law demands and send me a written confirmation within thirty days"
)


def test_no_customer_and_no_near_duplicate_crosses_a_split(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: Callable[..., Path]
) -> None:
    rows = [make_row(number, opened=f"2026-01-{1 + number // 8:02d}") for number in range(200)]
    for number in range(0, 200, 9):
        rows[number]["text"] = LETTER.format(n=number)
    for number in range(5, 200, 11):
        rows[number]["customer"] = f"regular{number % 3}@example.com"
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)

    counts = _run(workspace, spark, SplitPlan()).counts

    tickets = {found["ticket_id"]: found for found in workspace.read(TICKETS).to_pylist()}
    splits = workspace.read(SPLITS).to_pylist()
    assert len(splits) == 200
    assert counts["leak"] > 5
    assert {counts[name] > 10 for name in ("train", "validation", "test")} == {True}
    kept = [found for found in splits if found["split"] != "leak"]
    for value in (lambda found: found["cluster"], lambda found: tickets[found["ticket_id"]]["customer_key"]):
        _assert_in_one_split(kept, value)
    times = {
        name: [tickets[found["ticket_id"]]["created_at"] for found in kept if found["split"] == name]
        for name in ("train", "validation", "test")
    }
    assert max(times["train"]) < min(times["validation"]) <= max(times["validation"]) < min(times["test"])
    letters = {found["cluster"] for found in splits if int(found["ticket_id"][1:]) % 9 == 0}
    assert letters == {"T0000"}


def test_labels_that_mean_nothing_score_at_chance_though_every_letter_comes_three_times(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: Callable[..., Path]
) -> None:
    """Each letter has a random type of four, and each copy of it the same: who has seen a copy knows the type."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(5)
    letters = [" ".join(f"w{word}" for word in random.integers(0, 400, 40)) for _ in range(240)]
    kinds = random.integers(0, 4, len(letters))
    rows = []
    for number, letter in enumerate(np.tile(np.arange(len(letters)), 3)):
        day = 1 + number * 28 // (3 * len(letters))
        changed = {"text": f"{letters[letter]} {number}", "reason": f"Kind::{kinds[letter]}"}
        rows.append(make_row(number, opened=f"2026-01-{day:02d}", title="", **changed))
    for number in range(720, 960):  # and letters that come once
        text = " ".join(f"w{word}" for word in random.integers(0, 400, 40))
        changed = {"text": text, "reason": f"Kind::{random.integers(0, 4)}"}
        rows.append(make_row(number, opened=f"2026-01-{1 + (number - 720) * 28 // 240:02d}", title="", **changed))
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    _run(workspace, spark, SplitPlan(train=0.6, validation=0.1, test=0.3))
    scores = {}
    for name in ("test", "leak"):
        learned, judged = (read_examples(workspace, splits=[split]).to_pydict() for split in ("train", name))
        words = TfidfVectorizer(token_pattern=r"w\d+")
        model = LogisticRegression(C=100, max_iter=500)
        model.fit(words.fit_transform(learned["text"]), learned["contact_type"])
        scores[name] = model.score(words.transform(judged["text"]), judged["contact_type"]), len(judged["text"])

    accuracy, tickets = scores["test"]
    assert accuracy < 0.25 + 3 * np.sqrt(0.25 * 0.75 / tickets)
    assert tickets > 50
    assert scores["leak"][0] > 0.9  # what the split keeps away from the test


def test_dates_cut_where_the_plan_says(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: Callable[..., Path]
) -> None:
    rows = [make_row(number, opened=f"2026-01-{1 + number:02d}T12:00:00Z") for number in range(28)]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)
    plan = SplitPlan(validation_from=date(2026, 1, 11), test_from=date(2026, 1, 16), test_until=date(2026, 1, 21))

    counts = _run(workspace, spark, plan).counts

    assert counts == {"train": 10, "validation": 5, "test": 5, "later": 8}


def test_a_given_split_wins_and_validation_comes_out_of_train(
    workspace: Workspace, spark: SparkSession, tmp_path: Path
) -> None:
    for name, size in (("train", 300), ("test", 40)):
        lines = [
            f"how do I change {name} set{number}ting of x{number * 7919} with y{number} card,topic{number % 4}"
            for number in range(size)
        ]
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,category", *lines, ""]), encoding="utf-8")
    import_files(workspace, [tmp_path / "train.csv", tmp_path / "test.csv"], ready_dataset("banking77"), as_of=DAY)

    counts = _run(workspace, spark, replace(SplitPlan(), train=0.6, validation=0.3)).counts

    assert counts["test"] == 40
    assert counts["train"] + counts["validation"] == 300
    splits = {found["ticket_id"]: found for found in workspace.read(SPLITS).to_pylist()}
    assert splits["test.csv-1"]["split"] == "test"
    _assert_in_one_split(
        [found for found in splits.values() if found["split"] != "test"], lambda found: found["cluster"]
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"train": 0.5},
        {"train": 0.9, "validation": 0.0},  # two cuts at one moment: tickets would be dealt out by chance
        {"validation_from": date(2026, 1, 1)},
        {"validation_from": date(2026, 2, 1), "test_from": date(2026, 1, 1)},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        SplitPlan(**wrong)


def test_near_duplicates_share_a_cluster_and_strangers_do_not(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: Callable[..., Path]
) -> None:
    texts = {f"L{number:02d}": LETTER.format(n=number) + f" Yours {number}" for number in range(30)}
    strangers = {f"X{number}": " ".join(f"w{number}n{place}" for place in range(40)) for number in range(30)}
    texts |= strangers | {"A1": "refund", "A2": "refund", "A3": "delivery", "E1": "?!", "E2": "..."}
    rows = [make_row(number, id=name, text=text, title="") for number, (name, text) in enumerate(texts.items())]
    import_files(workspace, [write_csv(rows)], dataset_file, as_of=DAY)

    _run(workspace, spark, SplitPlan())

    found = {row["ticket_id"]: row["cluster"] for row in workspace.read(SPLITS).to_pylist()}
    assert {found[name] for name in texts if name.startswith("L")} == {"L00"}
    assert {name: found[name] for name in strangers} == {name: name for name in strangers}
    assert (found["A1"], found["A2"], found["A3"], found["E1"], found["E2"]) == ("A1", "A1", "A3", "E1", "E2")


def test_a_night_finds_the_near_duplicates_of_older_tickets_and_links_stay_as_they_were(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: Callable[..., Path]
) -> None:
    nights = [DAY + timedelta(days=number) for number in range(3)]
    for night in nights:
        rows = [make_row(number + 100 * night.day) for number in range(20)]
        rows[3]["text"] = LETTER.format(n=night.day)
        import_files(workspace, [write_csv(rows, name=f"{night}.csv")], dataset_file, as_of=night)
        _run(workspace, spark, SplitPlan(), as_of=night)
    by_night = workspace.read(NEAR_DUPLICATES).sort_by("node")
    splits = {row["ticket_id"]: row["cluster"] for row in workspace.read(SPLITS).to_pylist()}

    for night in nights:
        shutil.rmtree(workspace.table_path(NEAR_DUPLICATES) / f"arrived={night}")
    _run(workspace, spark, SplitPlan(), as_of=nights[-1])

    assert workspace.read(NEAR_DUPLICATES).sort_by("node").equals(by_night)
    letters = sorted(f"T{3 + 100 * night.day:04d}" for night in nights)
    assert {splits[name] for name in letters} == {letters[0]}
    assert by_night.num_rows == 2
    assert set(by_night["node"].to_pylist()) == {node_of(name) for name in letters[1:]}


def test_links_of_a_day_stay_as_they_were_when_a_ticket_comes_again_with_another_text(
    workspace: Workspace, spark: SparkSession, dataset_file: Path, make_row: MakeRow, write_csv: Callable[..., Path]
) -> None:
    letter = LETTER.format(n=1)
    nights = [DAY, DAY + timedelta(days=1)]
    for night, text in zip(nights, (_half_like(letter), letter), strict=True):
        rows = [make_row(2, text=text, title="")]
        rows += [make_row(1, text=letter, title="")] if night == DAY else []
        import_files(workspace, [write_csv(rows, name=f"{night}.csv")], dataset_file, as_of=night)
        _run(workspace, spark, SplitPlan(), as_of=night)
    by_night = workspace.read(NEAR_DUPLICATES)

    shutil.rmtree(workspace.table_path(NEAR_DUPLICATES))
    _run(workspace, spark, SplitPlan(), as_of=nights[-1])

    assert workspace.read(NEAR_DUPLICATES).equals(by_night)
    assert by_night.to_pylist() == [
        {"node": node_of("T0002"), "first": node_of("T0001"), "arrived": nights[1].isoformat()}
    ]


def _half_like(letter: str) -> str:
    """A text that meets the letter in a bucket and is no near-duplicate of it."""
    words = letter.split()
    for kept in range(len(words) // 2, len(words)):
        for other in range(40):
            text = " ".join([*words[:kept], *(f"v{other}x{place}" for place in range(len(words) - kept))])
            signatures, buckets = sign([letter, text])
            if set(buckets[0]) & set(buckets[1]) and similarity(signatures[:1], signatures[1:])[0] < 0.5:
                return text
    raise AssertionError("no such text")


def test_signatures_estimate_how_much_two_texts_share() -> None:
    words = [f"w{number}" for number in range(202)]
    one, half = " ".join(words), " ".join(words[:100] + [f"v{number}" for number in range(102)])

    signatures, buckets = sign([one, one.upper() + "!", half, "x " * 9_000])

    assert similarity(signatures[:1], signatures[1:2]) == [1.0]
    assert similarity(signatures[:1], signatures[2:3]) == pytest.approx([98 / 302], abs=0.15)
    assert (buckets[0] == buckets[1]).all()
    assert not (buckets[0] == buckets[3]).any()


def test_nodes_are_what_spark_makes_of_an_id(spark: SparkSession) -> None:
    from pyspark.sql import functions as F  # noqa: N812

    ids = ["", "T1", "Größe-😀", "x" * 200]
    frame = spark.createDataFrame([(name,) for name in ids], "ticket_id string")

    assert [row[0] for row in frame.select(F.xxhash64("ticket_id")).collect()] == [node_of(name) for name in ids]


def test_long_chains_become_one_component() -> None:
    nodes = np.random.default_rng(0).permutation(5_000).astype(np.int64)

    found, root = connected(nodes[:-1], nodes[1:])

    assert found.tolist() == list(range(5_000))
    assert set(root.tolist()) == {0}


def _run(workspace: Workspace, spark: SparkSession, plan: SplitPlan, as_of: date = DAY) -> Manifest:
    for step in (clean, featurise, link_duplicates, label):
        step(workspace, as_of=as_of, spark=spark)
    return split(workspace, as_of=as_of, spark=spark, plan=plan)


def _assert_in_one_split(rows: list[dict[str, Any]], value: Callable[[dict[str, Any]], Any]) -> None:
    seen: dict[Any, str] = {}
    for found in rows:
        assert seen.setdefault(value(found), found["split"]) == found["split"]
