"""The nightly batch, top to bottom: clean, featurise, find near-duplicates, label, split, pair.

The first three handle texts, each day of arrival once. The others read narrow columns of the whole history.
"""

from __future__ import annotations

import time
from datetime import date
from typing import TYPE_CHECKING

from pipeline.cleaning import clean
from pipeline.duplicates import link_duplicates
from pipeline.featurise import featurise
from pipeline.lake import fit_shuffles
from pipeline.outcomes import label
from pipeline.pairs import pair
from pipeline.split import SplitPlan, split
from pipeline.steps import Report, silent
from tickets.manifests import Manifest
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def run_pipeline(
    workspace: Workspace, *, as_of: date, spark: SparkSession, plan: SplitPlan | None = None, report: Report = silent
) -> list[Manifest]:
    """From raw rows that arrived up to `as_of` to features and pairs; returns the steps' manifests in order.

    Run it again and the tables hold the same rows; days that did not change are not done again. A step that dies
    leaves its table as it was. Raises MissingStepError before the first import, MachineError when disk or memory is
    full.
    """
    clock = time.perf_counter()
    fit_shuffles(spark, workspace)
    done = [
        clean(workspace, as_of=as_of, spark=spark, report=report),
        featurise(workspace, as_of=as_of, spark=spark, report=report),
        link_duplicates(workspace, as_of=as_of, spark=spark, report=report),
        label(workspace, as_of=as_of, spark=spark, report=report),
        split(workspace, as_of=as_of, spark=spark, plan=plan, report=report),
        pair(workspace, as_of=as_of, spark=spark, report=report),
    ]
    report(f"pipeline: done in {time.perf_counter() - clock:.1f} s")
    return done
