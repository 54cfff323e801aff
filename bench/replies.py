"""Reply templates at the simulated company, judged on tickets worded as no training ticket is: from the test period on,
customers say what troubles them in sentences that nobody used before, where a contact type has several in a language.
In English every type has three or more; in the other languages most have one, which is then repeated.

`achievable` is what a clairvoyant reaches who puts the template that fits first and then those most often sent for
the true contact type in that language: agents send another reply now and then, and nobody can foresee that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.batches import NONE, TicketArrays
from models.config import TrainConfig
from models.predictions import inputs_of
from models.release import Release
from models.suggest import Suggester
from models.training.data import TrainingData, load_training_data
from pipeline.importing import import_dataset
from pipeline.nightly import run_pipeline
from pipeline.session import spark_session
from pipeline.split import SplitPlan
from tickets.progress import silent
from tickets.simulate import SimulationConfig, write_history
from tickets.workspace import Workspace

_START = dt.date(2026, 1, 5)


def company(folder: Path, *, days: int, tickets_per_day: int, seed: int) -> tuple[Workspace, Path]:
    """A history whose last fifth is written in new sentences, through the pipeline (Spark); and the truth about it."""
    test_from = _START + dt.timedelta(days=round(days * 0.8))
    validation_from = _START + dt.timedelta(days=round(days * 0.7))
    end = _START + dt.timedelta(days=days)
    config = SimulationConfig(
        seed=seed,
        start=_START,
        days=days,
        tickets_per_day=tickets_per_day,
        new_sentences_from=test_from,
    )
    dataset = write_history(config, folder / "history")
    workspace = Workspace.create(folder / "workspace")
    import_dataset(workspace, [folder / "history" / "tickets.jsonl"], dataset, as_of=end, report=silent)
    plan = SplitPlan(validation_from=validation_from, test_from=test_from, test_until=end)
    with spark_session() as spark:
        run_pipeline(workspace, as_of=end, spark=spark, plan=plan, report=silent)
    return workspace, folder / "history" / "truth.parquet"


def data_of(workspace: Workspace, tokenizer: Tokenizer, config: TrainConfig) -> TrainingData:
    return load_training_data(workspace, tokenizer, config, report=silent)


def without_templates(data: TrainingData, unseen: NDArray[np.int64]) -> TrainingData:
    """As if the templates in these places had not been written yet: nothing in training or validation tells of them."""
    return dataclasses.replace(
        data, train=_forgotten(data.train, unseen), validation=_forgotten(data.validation, unseen)
    )


def unseen_templates(data: TrainingData, count: int, *, seed: int) -> NDArray[np.int64]:
    """Places of `count` templates, drawn from those that answered test tickets."""
    return np.random.default_rng(seed).choice(np.unique(data.test.template[data.test.template != NONE]), count, False)


def template_ranks(release: Release, data: TrainingData) -> NDArray[np.int64]:
    """Rank of the template that was sent, 1 is best, for each test ticket that has one; through the served graph."""
    suggester = Suggester.load(release, threads=2)
    predictions = suggester.predictor.predict(inputs_of(data.test.rows))
    leaves, languages = predictions.node_probabilities[:, data.index.leaves], data.test.rows["language"].to_pylist()
    order, _ = suggester.template_matrix.rank(predictions.template_queries, leaves, languages)
    answered = data.test.template != NONE
    ranks: NDArray[np.int64] = 1 + np.argmax(order[answered] == data.test.template[answered, None], axis=1)
    return ranks


def in_language(data: TrainingData, language: str) -> NDArray[np.bool_]:
    """Which of the test tickets that have a template are written in it."""
    return np.array([written_in == language for _, written_in, _ in _answers(data.test)])


def achievable(data: TrainingData, truth: Path) -> float:
    """Hits@3 of the clairvoyant on the same test tickets."""
    table = pq.read_table(truth)
    told = {
        ticket: (kind, right)
        for ticket, kind, right in zip(
            table["ticket_id"].to_pylist(),
            table["true_contact_type"].to_pylist(),
            table["right_template_id"].to_pylist(),
            strict=True,
        )
    }
    ids = [template.template_id for template in data.templates]
    sent: dict[tuple[str, str], Counter[str]] = {}
    for ticket, language, template in _answers(data.train):
        sent.setdefault((told[ticket][0], language), Counter())[ids[template]] += 1
    hits = []
    for ticket, language, template in _answers(data.test):
        kind, right = told[ticket]
        others = [name for name, _ in sent.get((kind, language), Counter()).most_common(3) if name != right]
        hits.append(ids[template] in [right, *others][:3])
    return float(np.mean(hits))


def _answers(tickets: TicketArrays) -> list[tuple[str, str, int]]:
    rows = zip(tickets.ticket_ids, tickets.rows["language"].to_pylist(), tickets.template.tolist(), strict=True)
    return [row for row in rows if row[2] != NONE]


def _forgotten(tickets: TicketArrays, unseen: NDArray[np.int64]) -> TicketArrays:
    return dataclasses.replace(
        tickets,
        template=np.where(np.isin(tickets.template, unseen), NONE, tickets.template),
        negatives=np.where(np.isin(tickets.negatives, unseen), NONE, tickets.negatives),
    )
