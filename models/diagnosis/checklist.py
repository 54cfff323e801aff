"""The checks to walk before a long training: are the inputs in order, does it run, is it sane at the start, can it
learn, does it learn only what is there, is it near a known result. Findings are data; `triage debug` prints them.

After Karpathy, "A Recipe for Training Neural Networks" (2019).
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.batches import NONE, batch_of, spread_rows
from models.config import TrainConfig
from models.diagnosis.behaviour import batches_do_not_mix, gradients_flow, inputs_matter
from models.diagnosis.dry_run import Start, dry_run
from models.diagnosis.findings import Finding
from models.diagnosis.inputs import (
    attributes_are_there,
    no_attribute_is_the_answer,
    numbers_are_standardised,
    splits_are_apart,
    texts_are_read,
)
from models.diagnosis.yardstick import known_result
from models.training.data import TrainingData
from models.training.fit import FitResult, fit
from models.training.run import TrainingRun, start_run, take_step, validate
from tickets.contact_types import ContactTypeTree
from tickets.progress import Report, silent

_HEAD_RATE = 3e-3  # where few steps must do
_OVERFIT_TICKETS, _OVERFIT_STEPS = 16, 60
_PERMUTED_TICKETS, _PERMUTED_BATCH, _PERMUTED_STEPS = 256, 8, 320  # on two cores about half a minute
_PERMUTED_CACHE = 2.0  # GB; 256 tickets take a tenth of it
_BY_HEART = 0.3  # of what always saying the commonest leaves open; MiniLM on complaints reaches 1, a tiny one 0.5
_JUDGED_TICKETS = 512
_SPREAD = (math.sqrt(5) - 1) / 2  # multiples of it, without their whole part, lie evenly wherever one begins (Weyl)
_INFORMED, _CONFUSED = 0.25, 1.25  # bounds of the first loss, as shares of knowing nothing
_FIRST_TICKETS = 128
_EXACT = 1e-4  # of the loss; float32 adds up a path's logarithms


def check_training(data: TrainingData, config: TrainConfig, *, report: Report) -> list[Finding]:
    """All checks, in order, on the data and settings that are to be trained with; about two minutes on two cores. When
    a step does not run, those that need one are left out."""
    findings = []
    for finding in _walk(data, config):
        report(f"{finding.verdict}: {finding.check}. {finding.detail}")
        findings.append(finding)
    return findings


def _walk(data: TrainingData, config: TrainConfig) -> Iterator[Finding]:
    yield splits_are_apart(data)
    yield texts_are_read(data, config)
    yield numbers_are_standardised(data)
    yield attributes_are_there(data)
    yield no_attribute_is_the_answer(data)
    runs = dry_run(data, config)
    yield runs
    if not runs.passed:
        return
    yield knowing_nothing(data, config)
    yield initial_loss(data, config)
    yield inputs_matter(data, config)
    yield batches_do_not_mix(data, config)
    yield gradients_flow(data, config)
    yield overfits_one_batch(data, config)
    yield permuted_labels(data, config)
    yield known_result(data, config)


def knowing_nothing(data: TrainingData, config: TrainConfig, *, start: Start = start_run) -> Finding:
    """With node vectors and label mix at zero the decoder's loss is the sum over a path of log(siblings), to float32's
    rounding: tree, targets and softmax mean the same."""
    run = start(data, config)
    decoder = run.network.decoder
    _hide(decoder.texts, decoder.difference, decoder.bias, decoder.mix)
    found, expected = _first_loss(data, config, run)
    passed = math.isclose(found, expected, rel_tol=_EXACT)
    return Finding(
        check="the loss of knowing nothing is exact",
        passed=passed,
        detail=f"{found:.5f} nats with all it knows hidden; the logarithms of siblings sum to {expected:.5f}.",
        advice="" if passed else "Is a ticket's contact type inactive, or the tree another than the decoder's?",
        figures={"loss": found, "unknowing": expected},
    )


def initial_loss(data: TrainingData, config: TrainConfig, *, start: Start = start_run) -> Finding:
    """Before training, the loss is near that of knowing nothing, or no more than how frequent contact types are.

    Node texts may lower it; far lower means that inputs tell the answer, higher that the first weights are too sure.
    """
    run = start(data, config)
    decoder = run.network.decoder
    found, expected = _first_loss(data, config, run)
    _hide(decoder.texts, decoder.difference, decoder.bias)
    frequent, _ = _first_loss(data, config, run)
    passed = _INFORMED * min(expected, frequent) <= found <= _CONFUSED * max(expected, frequent)
    return Finding(
        check="the first loss is that of knowing little",
        passed=passed,
        detail=f"{found:.2f} nats; knowing nothing is {expected:.2f}, knowing the label mix alone {frequent:.2f}.",
        advice="" if passed else "If far lower, look for an outcome among the inputs; if higher, for wrong inputs.",
        figures={"loss": found, "unknowing": expected, "label_mix": frequent},
    )


def overfits_one_batch(data: TrainingData, config: TrainConfig, *, start: Start = start_run) -> Finding:
    """Without dropout, a few steps on one batch bring its loss to almost nothing."""
    check = "it can learn one batch by heart"
    plain = dataclasses.replace(
        config, batch_size=_OVERFIT_TICKETS, label_smoothing=0.0, warmup=0.0, epochs=1, head_learning_rate=_HEAD_RATE
    )
    run = start(data, plain)
    if not any(part.requires_grad for part in run.network.parameters()):
        return Finding(check=check, passed=False, detail="No parameter may learn.", advice="Raise trainable_layers.")
    _, first = np.unique(data.train.tokens.lengths, return_index=True)  # distinct texts, one a length
    batch = batch_of(data.train, first[spread_rows(len(first), _OVERFIT_TICKETS)])
    run.total = _OVERFIT_STEPS * 2  # the rate must not end at zero
    run.network.eval()
    seen = [take_step(run, batch) for _ in range(_OVERFIT_STEPS)]
    passed = seen[-1] < 0.1 * seen[0]
    return Finding(
        check=check,
        passed=passed,
        detail=f"Loss {seen[0]:.2f} -> {seen[-1]:.3f} in {_OVERFIT_STEPS} steps on {len(batch.node)} tickets.",
        advice="" if passed else "Raise learning_rate or trainable_layers; if that does not help, look at the inputs.",
        figures={"first_loss": seen[0], "last_loss": seen[-1]},
    )


def permuted_labels(data: TrainingData, config: TrainConfig, *, train: Callable[..., FitResult] = fit) -> Finding:
    """Trained on contact types dealt out at random until it knows them by heart, it must not beat guessing one: else it
    gets the true ones by another way. An attribute that is the answer stays with its ticket;
    `no_attribute_is_the_answer` looks for that."""
    check = "labels dealt at random teach nothing"
    later = data.validation if len(data.validation) else data.test
    if len(later) == 0:
        return Finding(check=check, passed=True, detail="No ticket to test on.")
    unseen = later.take(np.arange(min(len(later), _JUDGED_TICKETS)))
    part = np.random.default_rng(config.seed).permutation(len(data.train))[:_PERMUTED_TICKETS]
    dealt = dataclasses.replace(
        data.train.take(part),
        node=_dealt(data.train.node[part], seed=config.seed + 1),
        template=np.full(len(part), NONE),  # their texts would be read again and again, for nothing
    )
    with tempfile.TemporaryDirectory() as folder:
        fitted = train(
            dataclasses.replace(
                data, tree=_nameless(data.tree), templates=(), train=dealt, validation=unseen, lessons=None
            ),
            _by_heart(config, len(dealt)),
            folder=Path(folder),
            report=silent,
            progress=silent,
        )
    accuracy = fitted.history[-1]["validation_accuracy"]
    known = validate(fitted.network, dealt, batch_size=_PERMUTED_BATCH)["validation_accuracy"]
    chance, of_dealt = (float(np.bincount(node).max() / len(node)) for node in (unseen.node, dealt.node))
    limit = chance + 3 * math.sqrt(chance * (1 - chance) / len(unseen))
    advice = ""
    if accuracy > limit:
        advice = "Labels reach training by another way than as targets."
    elif known < of_dealt + _BY_HEART * (1 - of_dealt):
        advice = "It hardly learned the labels it was dealt, so this tells little."
    return Finding(
        check=check,
        passed=accuracy <= limit,
        detail=f"Accuracy {accuracy:.3f} on tickets not seen; the commonest contact type is {chance:.3f} of them. It "
        f"knows {known:.0%} of {len(dealt)} labels dealt by heart.",
        advice=advice,
        figures={"accuracy": accuracy, "chance": chance, "limit": limit, "by_heart": known},
    )


def _dealt(node: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """(n,) the same labels in another order: the tickets of each contact type get every label as often as those of the
    others do. By chance alone a contact type could get its own more often, and that can be learned."""
    by_type = np.lexsort((np.random.default_rng(seed).random(len(node)), node))
    dealt = np.empty_like(node)
    dealt[by_type[np.argsort(np.arange(len(node)) * _SPREAD % 1.0)]] = np.sort(node)
    return dealt


def _nameless(tree: ContactTypeTree) -> ContactTypeTree:
    """The same tree, of whose nodes the texts tell nothing: an encoder finds many a contact type by its words alone."""
    nodes = tuple(dataclasses.replace(node, name="contact type", description="") for node in tree.nodes)
    return dataclasses.replace(tree, nodes=nodes)


def _by_heart(config: TrainConfig, tickets: int) -> TrainConfig:
    """As many steps whatever the settings are, nothing that keeps from learning by heart, and one look at the end. The
    encoder stands still, so that each text is read once: what lies on top of it is enough to learn any labels."""
    return dataclasses.replace(
        config,
        trainable_layers=0,
        state_cache_gb=_PERMUTED_CACHE,
        batch_size=_PERMUTED_BATCH,
        epochs=math.ceil(_PERMUTED_STEPS / math.ceil(tickets / _PERMUTED_BATCH)),
        validation_every=10 * _PERMUTED_STEPS,
        ranker_weight=0.0,
        label_smoothing=0.0,
        attribute_dropout=0.0,
        node_dropout=0.0,
        weight_decay=0.0,
        head_learning_rate=_HEAD_RATE,
    )


def _first_loss(data: TrainingData, config: TrainConfig, run: TrainingRun) -> tuple[float, float]:
    """Loss on the newest training tickets as the network is, and that of knowing nothing, in nats."""
    tickets = data.train.newest(_FIRST_TICKETS)
    unknowing = np.log(data.index.class_counts().clip(min=1)) @ data.index.ancestors
    found = validate(run.network, tickets, batch_size=config.batch_size, bf16=run.bf16)["validation_loss"]
    return found, float(unknowing[tickets.node].mean())


@torch.no_grad()
def _hide(*told: torch.Tensor) -> None:
    for part in told:
        part.zero_()
