"""The ladder: simple models on the same tickets as the model, their quality and what each of them costs.

A rung learns from the training tickets that end in a leaf, is measured on the splits that the model is measured on, and
is timed on single tickets with one thread, as the service runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import numpy as np
import pyarrow as pa
import structlog
from numpy.typing import NDArray

from models.baselines import Baseline, RungData, cnn, cota1, frozen, keywords, lstm, majority, setfit, tfidf
from models.batches import TicketArrays
from models.config import TrainConfig
from models.evaluate import Figures, milliseconds, splits, timed_rows
from models.ladder.record import Reads
from models.predictions import ModelInputs, inputs_of
from models.quality import contact_type_quality, template_quality
from models.templates import readable_first
from models.training.data import TrainingData
from tickets.errors import TrainingDataError, TriageError
from tickets.progress import Report

log = structlog.get_logger()

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to tell contact types: its name on paper, what it reads of a ticket, and how it learns."""

    title: str
    reads: Reads
    fit: Callable[[RungData], Baseline]


LADDER: Mapping[str, Rung] = {
    "majority": Rung("majority", "nothing", majority.fit),
    "keywords": Rung("keyword rules", "text", keywords.fit),
    "tfidf": Rung("TF-IDF + logistic regression", "text", tfidf.fit),
    "cota1": Rung("COTA v1", "text, attributes", cota1.fit),
    "frozen": Rung("frozen encoder + logistic regression", "text", frozen.fit),
    "cnn": Rung("CNN (COTA v2)", "text, attributes", cnn.fit),
    "lstm": Rung("LSTM (COTA v2)", "text, attributes", lstm.fit),
    "setfit": Rung("SetFit-style", "text", setfit.fit),
}
BESIDE_TRAINING: Mapping[str, Rung] = {name: LADDER[name] for name in ("majority", "tfidf")}  # quick ones


@dataclass(frozen=True, slots=True)
class Measured:
    """A rung's figures, and what it said of the n tickets of each split."""

    figures: Figures
    leaves: Mapping[str, NDArray[np.float32]]  # split -> (n, L) probabilities
    readable: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    """What all rungs share: what they learn from, and what they are measured on."""

    data: TrainingData
    learned: RungData
    inputs: Mapping[str, ModelInputs]  # of each split
    singles: Sequence[ModelInputs]  # single tickets, to be timed
    sent: NDArray[np.float32]  # (L, T) how often each template was sent for each leaf


def evaluate_baselines(
    data: TrainingData,
    config: TrainConfig,
    *,
    report: Report,
    ladder: Mapping[str, Rung] = BESIDE_TRAINING,
) -> dict[str, Figures]:
    """Figures of each rung, fitted on the same training tickets and measured on the same splits, with its cost.

    A rung that cannot learn from these tickets is left out, and the report says why.
    """
    if not ladder:
        return {}
    course = attempt("baselines", lay_out, data, config)
    if isinstance(course, str):
        report(f"Baselines are left out: {course}")
        return {}
    figures: dict[str, Figures] = {}
    for name, rung in ladder.items():
        report(f"Baseline: {rung.title}")
        found = attempt(rung.title, measure_rung, rung, course)
        if isinstance(found, str):
            report(f"It is left out: {found}")
        else:
            figures[name] = found.figures
    return figures


def attempt(title: str, measure: Callable[P, T], *given: P.args, **named: P.kwargs) -> T | str:
    """What `measure` gives, or in words why it could not: one rung that fails must not end the others."""
    try:
        return measure(*given, **named)
    except TriageError as error:
        return str(error)
    except Exception as error:  # any library may refuse in its own way
        log.debug("rung failed", rung=title, exc_info=True)
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def lay_out(data: TrainingData, config: TrainConfig) -> Course:
    """Raises TrainingDataError when the training tickets have fewer than two leaves among them."""
    return Course(
        data,
        rung_data(data, config),
        {split: inputs_of(tickets.rows) for split, tickets in splits(data).items()},
        [inputs_of(row) for row in timed_rows(data)],
        _sent_for(data),
    )


def measure_rung(rung: Rung, course: Course) -> Measured:
    """Fit and measure. A rung ranks templates by how often they were sent for the contact types it expects, those in
    the ticket's language first, as the model does.

    Raises ArithmeticError when a probability is no number.
    """
    started = time.perf_counter()
    baseline = rung.fit(course.learned)
    seconds = time.perf_counter() - started
    leaves = {split: baseline.predict(inputs) for split, inputs in course.inputs.items()}
    if not all(np.isfinite(shares).all() for shares in leaves.values()):
        raise ArithmeticError("its probabilities are not finite; its training diverged")
    figures = {split: _quality(course, split, leaves[split]) for split in leaves}
    single = milliseconds(baseline.predict, course.singles)
    figures["cost"] = {"train_seconds": seconds, "ms_per_ticket": single, "megabytes": baseline.megabytes}
    return Measured(figures, leaves, baseline.readable)


def rung_data(data: TrainingData, config: TrainConfig) -> RungData:
    """The training and validation tickets that end in a leaf. Raises TrainingDataError as `lay_out` does."""
    inputs, leaf = _in_leaves(data, data.train)
    if len(np.unique(leaf)) < 2:
        raise TrainingDataError(
            f"{len(leaf):,} training tickets end in a leaf of the tree, of {len(np.unique(leaf))} different ones; a "
            "rung needs two.",
            hint="Import tickets of other contact types.",
        )
    validation, validation_leaf = _in_leaves(data, data.validation)
    return RungData(
        inputs=inputs,
        leaf=leaf,
        validation=validation,
        validation_leaf=validation_leaf,
        tree=data.tree,
        index=data.index,
        attributes=data.attributes,
        config=config,
    )


def _quality(course: Course, split: str, leaves: NDArray[np.float32]) -> dict[str, float]:
    tickets = splits(course.data)[split]
    languages = tickets.rows["language"].to_pylist()
    order = readable_first(leaves @ course.sent, course.data.templates, languages)
    return contact_type_quality(course.data.index, leaves, tickets.node) | template_quality(order, tickets.template)


def _in_leaves(data: TrainingData, tickets: TicketArrays) -> tuple[ModelInputs, NDArray[np.int64]]:
    leaf = data.index.columns_of(tickets.node)
    usable = leaf >= 0
    return inputs_of(tickets.rows.filter(pa.array(usable))), leaf[usable]


def _sent_for(data: TrainingData) -> NDArray[np.float32]:
    """(L, T) share of each leaf's replies that used each template; a leaf without any uses the overall shares."""
    leaf, template = data.index.columns_of(data.train.node), data.train.template
    counts = np.zeros((len(data.index.leaves), len(data.templates)), np.float32)
    answered = (leaf >= 0) & (template >= 0)
    np.add.at(counts, (leaf[answered], template[answered]), 1.0)
    overall = counts.sum(axis=0) / max(float(counts.sum()), 1.0)
    shares: NDArray[np.float32] = (counts + overall) / np.maximum(counts.sum(axis=1, keepdims=True) + 1.0, 1.0)
    return shares
