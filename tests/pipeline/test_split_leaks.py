"""The split: by time, no customer and no near-duplicate crosses it, and what the dataset gives wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.cleaning import clean
from pipeline.datasets import ready_dataset
from pipeline.duplicates import clusters, connected, signature, similarity
from pipeline.importing import import_files
from pipeline.outcomes import label
from pipeline.split import SplitPlan, split
from tickets.errors import InputError
from tickets.manifests import Manifest
from tickets.tables import SPLITS, TICKETS
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
        {"validation_from": date(2026, 1, 1)},
        {"validation_from": date(2026, 2, 1), "test_from": date(2026, 1, 1)},
    ],
)
def test_a_plan_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        SplitPlan(**wrong)


def test_near_duplicates_share_a_cluster_and_strangers_do_not(spark: SparkSession) -> None:
    rows = [(f"L{number}", LETTER.format(n=number) + f" Yours {number}") for number in range(30)]
    rows += [(f"X{number}", " ".join(f"w{number}n{place}" for place in range(40))) for number in range(30)]
    rows += [("A1", "refund"), ("A2", "refund"), ("A3", "delivery"), ("E1", "?!"), ("E2", "...")]
    frame = spark.createDataFrame(rows, "ticket_id string, text string").repartition(3)

    found = {row["ticket_id"]: row["cluster"] for row in clusters(frame).collect()}

    assert {found[f"L{number}"] for number in range(30)} == {"L0"}
    assert {number: found[f"X{number}"] for number in range(30)} == {number: f"X{number}" for number in range(30)}
    assert (found["A1"], found["A2"], found["A3"], found["E1"], found["E2"]) == ("A1", "A1", "A3", "E1", "E2")


def test_signatures_estimate_how_much_two_texts_share() -> None:
    words = [f"w{number}" for number in range(202)]
    one, half = " ".join(words), " ".join(words[:100] + [f"v{number}" for number in range(102)])

    assert similarity(signature(one), signature(one.upper() + "!")) == 1.0
    assert similarity(signature(one), signature(half)) == pytest.approx(98 / 302, abs=0.15)


def test_long_chains_become_one_component() -> None:
    nodes = np.random.default_rng(0).permutation(5_000).astype(np.int64)

    found, root = connected(nodes[:-1], nodes[1:])

    assert found.tolist() == list(range(5_000))
    assert set(root.tolist()) == {0}


def _run(workspace: Workspace, spark: SparkSession, plan: SplitPlan) -> Manifest:
    clean(workspace, as_of=DAY, spark=spark)
    label(workspace, as_of=DAY, spark=spark)
    return split(workspace, as_of=DAY, spark=spark, plan=plan)


def _assert_in_one_split(rows: list[dict[str, Any]], value: Callable[[dict[str, Any]], Any]) -> None:
    seen: dict[Any, str] = {}
    for found in rows:
        assert seen.setdefault(value(found), found["split"]) == found["split"]
