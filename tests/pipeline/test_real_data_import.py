"""The public data sets, whole: every row in is a ticket or in quarantine."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pytest

from pipeline.datasets import ready_dataset
from pipeline.importing import import_files
from pipeline.nightly import run_pipeline
from pipeline.split import SplitPlan
from tickets.catalogue import read_templates, read_tree
from tickets.examples import read_examples
from tickets.tables import FEATURES, PAIRS, SPLITS
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.slow
def test_cfpb_complaints_go_through_whole(workspace: Workspace, spark: SparkSession, shared_data: Path) -> None:
    arrived = date(2024, 2, 1)
    imported = import_files(workspace, [shared_data / "cfpb/complaints.csv.gz"], ready_dataset("cfpb"), as_of=arrived)
    plan = SplitPlan(validation_from=date(2023, 6, 1), test_from=date(2023, 6, 15), test_until=date(2023, 8, 24))

    cleaned, _, _, labelled, split, _ = run_pipeline(workspace, as_of=arrived, spark=spark, plan=plan)

    assert imported.counts["raw"] == 14_417
    assert cleaned.counts["tickets"] + cleaned.counts["quarantine"] == 14_417
    assert labelled.counts["outcomes"] == cleaned.counts["tickets"]
    assert sum(split.counts.values()) == labelled.counts["outcomes"]
    assert len(read_tree(workspace).leaves()) == 219
    features = read_examples(workspace)
    assert features.num_rows == 14_417
    test = features.filter(pc.field("split") == "test")
    assert pc.max(test["created_at"]).as_py().date() < date(2023, 8, 24)
    attributes = " ".join(features["attributes"].slice(0, 500).to_pylist())
    assert "Closed with" not in attributes
    clusters = workspace.read(SPLITS)["cluster"].value_counts()
    assert max(pc.struct_field(clusters, "counts").to_pylist()) > 20  # form letters were found


@pytest.mark.slow
def test_bitext_replies_become_templates(workspace: Workspace, spark: SparkSession, shared_data: Path) -> None:
    day = date(2020, 1, 2)
    import_files(workspace, [shared_data / "bitext/tickets-with-replies.csv"], ready_dataset("bitext"), as_of=day)
    run_pipeline(workspace, as_of=day, spark=spark)

    templates = {template.template_id: template for template in read_templates(workspace)}

    assert len(templates) == 27
    assert templates["track_refund"].contact_types == ("REFUND::track_refund",)
    assert workspace.read(PAIRS).filter(pc.field("relevant")).num_rows == workspace.read(FEATURES).num_rows == 6_480
