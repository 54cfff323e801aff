"""Batch scoring against ONNX Runtime alone: the same model, the same tickets, the same cores.

    python bench/scoring_rate.py [--quick]

ONNX Runtime alone means: as many processes as Spark has cores, one thread each, and in each one session that runs on
batches tokenised, encoded, sorted by length and padded before the clock starts. Batch scoring is the whole step `score`
in a warm Spark session: reading the lake, starting the tasks, loading the release, tokenising, neighbours, words, JSON,
writing the table. Figures: scoring_tickets_per_second, bare_tickets_per_second, scoring_share_of_bare_onnxruntime.

The model is MiniLM of six layers in int8 as training exports it. Its head has hardly learned, which costs nobody time;
its neighbours are as many as a release remembers.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TYPE_CHECKING

# This folder comes last: it holds a pipeline.py, and `pipeline` must mean the package.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench_record import record

from models import release as names
from models.config import TrainConfig
from models.inference import OUTPUTS, OnnxModel, open_session
from models.neighbours import MOST, write_neighbours
from models.predictions import ModelInputs, inputs_of
from models.release import Release, current_release, open_release, promote, seal
from models.score_backlog import score
from models.train import train
from pipeline.text.clean import clean_ticket
from pipeline.text.features import model_text, text_statistics
from tickets.catalogue import keep_dataset, write_templates, write_tree
from tickets.progress import silent
from tickets.records import Ticket, attributes_to_text
from tickets.simulate import (
    SimulatedTicket,
    SimulationConfig,
    contact_type_tree,
    reply_templates,
    simulate,
    write_history,
)
from tickets.tables import FEATURES, OUTCOMES, SPLITS, TICKETS, Table
from tickets.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NIGHT = dt.date(2026, 3, 1)
_LEARNED, _VALIDATED = 300, 100
_READY_WITHIN = 600  # seconds; a process that died would be waited for for ever
_LANGUAGES = ("en", "es", "fr", "de")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="4,000 open tickets instead of 20,000")
    tickets = 4_000 if arguments.parse_args().quick else 20_000
    started = time.perf_counter()
    from pipeline.session import spark_session

    spark = spark_session(app="bench", master="local[2]")
    with tempfile.TemporaryDirectory() as folder:
        workspace = backlog(Path(folder), tickets)
        figures = scoring_figures(workspace, spark, cores=2)
    spark.stop()
    record("scoring_rate", figures, seconds=time.perf_counter() - started)


def backlog(folder: Path, tickets: int) -> Workspace:
    """A workspace under `folder` with so many open, cleaned tickets and a promoted release."""
    workspace = Workspace.create(folder / "workspace")
    write_history(SimulationConfig(seed=1, start=NIGHT, days=1, tickets_per_day=1), folder / "export", processes=1)
    keep_dataset(workspace, folder / "export" / "dataset.toml")
    write_tree(workspace, contact_type_tree())
    write_templates(workspace, reply_templates())
    simulated = _simulated(tickets + _LEARNED + _VALIDATED)
    cleaned = [clean_ticket(one.ticket, _LANGUAGES) for one in simulated[:tickets]]
    _write(workspace, TICKETS, [_ticket_row(ticket) for ticket in cleaned])
    _write_examples(workspace, simulated[tickets:])
    config = TrainConfig(epochs=1, trainable_layers=0)
    made = train(workspace, config, report=silent, progress=silent, ladder={})
    _widen(open_release(made.folder))
    promote(workspace, made.version)
    return workspace


def scoring_figures(workspace: Workspace, spark: SparkSession, *, cores: int) -> dict[str, float | int]:
    """Tickets a second of the step `score` on a Spark of so many cores, of ONNX Runtime alone, and their ratio.

    Each is measured twice and its better run counts; the first run of Spark starts Python workers.
    """
    release, rows = current_release(workspace), workspace.read(TICKETS).num_rows
    scoring = max(rows / _seconds_to_score(workspace, spark) for _ in range(2))
    bare = max(bare_rate(release, _inputs(workspace.read(TICKETS)), processes=cores) for _ in range(2))
    return {
        "tickets": rows,
        "scoring_tickets_per_second": round(scoring, 1),
        "bare_tickets_per_second": round(bare, 1),
        "scoring_share_of_bare_onnxruntime": round(scoring / bare, 3),
    }


def bare_rate(release: Release, inputs: ModelInputs, *, processes: int) -> float:
    """Tickets a second of ONNX Runtime alone, shared between so many processes of one thread."""
    context = multiprocessing.get_context("spawn")
    ready, ended = context.Barrier(processes), context.SimpleQueue()
    shares = [ModelInputs(inputs.texts[n::processes], inputs.rows[n::processes]) for n in range(processes)]
    running = [context.Process(target=_run_bare, args=(release, share, ready, ended)) for share in shares]
    for process in running:
        process.start()
    for process in running:
        process.join()
    if any(process.exitcode for process in running):
        raise SystemExit("a process of ONNX Runtime alone ended early")
    seconds: list[float] = [ended.get() for _ in running]
    return float(len(inputs.texts) / max(seconds))


def _run_bare(release: Release, inputs: ModelInputs, ready: Barrier, ended: SimpleQueue[float]) -> None:
    model = OnnxModel.load(release.folder, max_tokens=release.max_tokens)
    batches = [fed for _, fed in model.batches(model.encode(*inputs))]
    session = open_session(release.path(names.ONNX))
    session.run(list(OUTPUTS), batches[0])
    ready.wait(_READY_WITHIN)
    started = time.perf_counter()
    for fed in batches:
        session.run(list(OUTPUTS), fed)
    ended.put(time.perf_counter() - started)


def _seconds_to_score(workspace: Workspace, spark: SparkSession) -> float:
    started = time.perf_counter()
    score(workspace, spark, as_of=NIGHT, report=silent)
    return time.perf_counter() - started


def _simulated(count: int) -> list[SimulatedTicket]:
    config = SimulationConfig(seed=5, start=NIGHT, days=1, tickets_per_day=round(1.2 * count) + 100)
    return [one for day in simulate(config, processes=2) for one in day.tickets][:count]


def _ticket_row(ticket: Ticket) -> dict[str, object]:
    return {**dataclasses.asdict(ticket), "attributes": attributes_to_text(ticket.attributes)}


def _inputs(tickets: pa.Table) -> ModelInputs:
    """What the model reads of rows of TICKETS."""
    columns = tickets.select([field.name for field in dataclasses.fields(Ticket)]).to_pylist()
    rows = [_feature_row(Ticket(**{**row, "attributes": json.loads(row["attributes"])})) for row in columns]
    return inputs_of(pa.Table.from_pylist(rows, schema=FEATURES.schema))


def _feature_row(ticket: Ticket) -> dict[str, object]:
    text = model_text(ticket)
    told = {name: getattr(ticket, name) for name in ("ticket_id", "created_at", "language", "channel")}
    statistics = json.dumps(text_statistics(text))
    return {**told, "text": text, "statistics": statistics, "attributes": attributes_to_text(ticket.attributes)}


def _write_examples(workspace: Workspace, simulated: Sequence[SimulatedTicket]) -> None:
    """The first of them to learn from, the others to validate on."""
    ids = [one.ticket.ticket_id for one in simulated]
    _write(workspace, FEATURES, [_feature_row(clean_ticket(one.ticket, _LANGUAGES)) for one in simulated])
    _write(workspace, OUTCOMES, [dataclasses.asdict(one.outcome) for one in simulated])
    splits = ["train"] * _LEARNED + ["validation"] * (len(ids) - _LEARNED)
    placed = zip(ids, splits, strict=True)
    _write(workspace, SPLITS, [{"ticket_id": i, "arrived": str(NIGHT), "split": s, "cluster": i} for i, s in placed])


def _write(workspace: Workspace, table: Table, rows: Sequence[dict[str, object]]) -> None:
    folder = workspace.table_path(table)
    folder = folder / f"arrived={NIGHT}" if table.partition else folder
    folder.mkdir(parents=True)
    known = [{name: row.get(name) for name in table.schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(known, schema=table.schema), folder / "part.parquet")


def _widen(release: Release) -> None:
    """Give the release as many neighbours as one that learned from a large history remembers."""
    from safetensors.numpy import load_file, save_file

    vectors = load_file(release.path(names.VECTORS))
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(vectors["neighbours"]), size=MOST)
    near = vectors["neighbours"][drawn] + rng.normal(0, 0.02, (MOST, vectors["neighbours"].shape[1]))
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    known = pq.read_table(release.path(names.NEIGHBOURS)).take(pa.array(drawn))
    release.path(names.VECTORS).unlink()  # the file may have a second name
    save_file({**vectors, "neighbours": near.astype(np.float16)}, release.path(names.VECTORS))
    release.path(names.NEIGHBOURS).unlink()
    release.path(names.CANDIDATES).unlink(missing_ok=True)
    ids, texts, contact_types = (known[name].to_pylist() for name in ("ticket_id", "snippet", "contact_type"))
    write_neighbours(release.folder, near.astype(np.float32), ticket_ids=ids, texts=texts, contact_types=contact_types)
    seal(release)


if __name__ == "__main__":
    main()
