"""The batch, top to bottom. Each night: clean, featurise, find near-duplicates, label. Before a training: split, pair.

The first three handle texts, each day of arrival once; label looks at the tickets that something new was said of. The
split follows from the whole history and only training reads it, so no night pays for it.
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
from tickets.manifests import Manifest
from tickets.progress import Report, silent
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def take_up(workspace: Workspace, *, as_of: date, spark: SparkSession, report: Report = silent) -> list[Manifest]:
    """Take up what has arrived up to `as_of`: from raw rows to features and outcomes; returns the steps' manifests in
    order. What `run_pipeline` says of reruns and errors holds here too."""
    fit_shuffles(spark, workspace)
    return [
        clean(workspace, as_of=as_of, spark=spark, report=report),
        featurise(workspace, as_of=as_of, spark=spark, report=report),
        link_duplicates(workspace, as_of=as_of, spark=spark, report=report),
        label(workspace, as_of=as_of, spark=spark, report=report),
    ]


def run_pipeline(
    workspace: Workspace, *, as_of: date, spark: SparkSession, plan: SplitPlan | None = None, report: Report = silent
) -> list[Manifest]:
    """From raw rows that arrived up to `as_of` to all that training reads; returns the steps' manifests in order.

    Run it again and the tables hold the same bytes; days that did not change are not done again. A step that dies
    leaves its table as it was. Raises MissingStepError before the first import, ContractError when too many rows are
    refused, MachineError when disk or memory is full.
    """
    clock = time.perf_counter()
    done = [
        *take_up(workspace, as_of=as_of, spark=spark, report=report),
        split(workspace, as_of=as_of, spark=spark, plan=plan, report=report),
        pair(workspace, as_of=as_of, spark=spark, report=report),
    ]
    report(f"pipeline: done in {time.perf_counter() - clock:.1f} s")
    return done
