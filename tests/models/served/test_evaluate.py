"""Scoring a release on a later window, and the reference of monitoring."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from models.evaluate import score_release
from models.predictions import Predictor, inputs_of
from models.reference import predictions_table
from models.release import open_release
from monitoring.gate import GatePolicy
from tickets.catalogue import write_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.examples import read_examples
from triage.retrain import meet


@pytest.fixture(scope="module")
def window(made_up) -> pa.Table:
    return read_examples(made_up, splits=["test"])


def test_scores_match_the_figures_of_training(trained, window):
    scores = score_release(open_release(trained.model.folder), window)
    assert len(scores) == window.num_rows
    assert scores.correct.mean() == pytest.approx(trained.model.metrics["model"]["test"]["accuracy"], abs=0.02)
    assert scores.correct.tolist() == [a == b for a, b in zip(scores.truth, scores.predicted, strict=True)]


def test_templates_are_found_where_training_measured_them(trained, window):
    scores = score_release(open_release(trained.model.folder), window)
    sent = [template is not None for template in window["template_id"].to_pylist()]
    assert (~np.isnan(scores.template_found)).tolist() == sent
    measured = trained.model.metrics["model"]["test"]["template_mrr"]
    assert np.nanmean(scores.template_found) == pytest.approx(measured, abs=0.02)
    unknown = pa.array(["never heard of"] * window.num_rows)
    changed = window.set_column(window.schema.get_field_index("template_id"), "template_id", unknown)
    assert score_release(open_release(trained.model.folder), changed).template_found.max() == 0


def test_unlabelled_tickets_are_left_out_and_unknown_types_count_as_wrong(trained, window):
    types = [None, "brand new", *window["contact_type"].to_pylist()[2:]]
    changed = window.set_column(window.schema.get_field_index("contact_type"), "contact_type", pa.array(types))
    scores = score_release(open_release(trained.model.folder), changed)
    assert len(scores) == window.num_rows - 1
    assert scores.truth[0] == "brand new"
    assert not scores.correct[0]


def test_any_leaf_under_an_inner_contact_type_is_right(trained, window):
    types = [{"refund": "pay", "double": "pay"}.get(name, name) for name in window["contact_type"].to_pylist()]
    coarse = window.set_column(window.schema.get_field_index("contact_type"), "contact_type", pa.array(types))
    scores = score_release(open_release(trained.model.folder), coarse)
    paying = np.array(types) == "pay"
    predicted = np.isin(scores.predicted, ["refund", "double"])
    assert paying.any()
    assert scores.correct[paying].tolist() == predicted[paying].tolist()


TODAY = ContactTypeTree(
    nodes=tuple(ContactType(id=name, name=name) for name in ("money back", "lost", "route", "login", "password")),
    mapping={"refund": ("money back",), "double": ("money back",), "account": ("login", "password")},
)


def in_todays_names(window: pa.Table, **parts: str) -> pa.Table:
    now = {"refund": "money back", "double": "money back", **parts}
    types = [now.get(name, name) for name in window["contact_type"].to_pylist()]
    return window.set_column(window.schema.get_field_index("contact_type"), "contact_type", pa.array(types))


def test_types_that_were_renamed_and_merged_count_for_what_they_are_today(trained, window):
    release = open_release(trained.model.folder)
    before, now = score_release(release, window), score_release(release, in_todays_names(window), today=TODAY)
    truth, paying = np.array(before.truth), np.isin(before.predicted, ["refund", "double"])
    merged = np.isin(truth, ["refund", "double"])
    assert now.correct[merged].tolist() == paying[merged].tolist()
    other = np.isin(truth, ["lost", "route"])
    assert now.ranks[other].tolist() == before.ranks[other].tolist()
    assert now.told[merged | other].all()


def test_a_part_of_a_type_that_was_split_is_not_told_and_a_new_type_is_wrong(trained, window):
    release = open_release(trained.model.folder)
    scores = score_release(release, in_todays_names(window, account="login"), today=TODAY)
    login = np.array(scores.truth) == "login"
    assert login.any()
    assert (~scores.told).tolist() == login.tolist()
    left = scores.take(scores.told)
    assert len(left) == len(left.template_found) == np.sum(~login)
    grown = ContactTypeTree(nodes=(*TODAY.nodes, ContactType(id="scooter", name="Scooter")), mapping=TODAY.mapping)
    new = score_release(release, in_todays_names(window, lost="scooter"), today=grown)
    scooter = np.array(new.truth) == "scooter"
    assert new.told[scooter].all()
    assert not new.correct[scooter].any()


def test_the_gate_reads_both_models_as_the_tree_of_today_has_them(two_models, window, write_examples):
    write_tree(two_models, TODAY)
    write_examples(two_models, {"test": in_todays_names(window, account="login").to_pylist()}, [])
    first, second = (open_release(two_models.models / name) for name in ("first", "second"))
    lines: list[str] = []
    result = meet(two_models, first, second, GatePolicy(least_tickets=10), lines.append)
    login = window["contact_type"].to_pylist().count("account")
    assert result.figures["tickets"] == window.num_rows - login
    assert result.figures["champion_accuracy"] > 0.7
    assert lines == [f"{login} tickets are left out: the tree of today does not tell whether a model was right"]


def test_the_reference_tells_the_true_leaf_in_the_models_own_tree(trained):
    """An inner node is no leaf to be right or wrong about."""
    release = open_release(trained.model.folder)
    predictor = Predictor.load(release)
    rows = read_examples(trained.workspace).slice(0, 3)
    nodes = np.array([predictor.index.position(name) for name in ("pay", "lost", "account")])
    table = predictions_table(rows, nodes, predictor.predict(inputs_of(rows)), predictor.index)
    assert table["contact_type"].to_pylist() == [None, "lost", "account"]


def test_the_reference_holds_the_validation_period(trained, made_up):
    reference = pq.read_table(trained.model.folder / "reference.parquet")
    validation = read_examples(made_up, splits=["validation"])
    assert sorted(reference["ticket_id"].to_pylist()) == sorted(validation["ticket_id"].to_pylist())
    assert len(reference["embedding"][0]) == 384
    paths = dict(zip(reference["predicted"].to_pylist(), reference["level_1"].to_pylist(), strict=True))
    assert paths["refund"] == "pay"
    assert paths["account"] == "account"
    assert set(reference["level_2"].to_pylist()) <= {"refund", "double", "lost", "route", "account"}
    agreement = pc.mean(pc.equal(reference["predicted"], reference["contact_type"]).cast(pa.float64())).as_py()
    assert agreement == pytest.approx(trained.model.metrics["model"]["validation"]["accuracy"], abs=0.02)


def test_metrics_json_has_a_row_a_contact_type(trained):
    metrics = json.loads((trained.model.folder / "metrics.json").read_text())
    rows = metrics["contact_types"]["test"]
    assert {row["contact_type"] for row in rows} == {"refund", "double", "lost", "route", "account"}
    assert sum(row["tickets"] for row in rows) == 60
