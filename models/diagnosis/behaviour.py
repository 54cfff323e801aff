"""Checks of how the network behaves before it is trained: every parameter is reached by the loss, every input changes
the answer, and a ticket's answer does not depend on the tickets beside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from models.attributes import FIRST_VALUE, MISSING
from models.batches import NONE, Batch, batch_of, spread_rows
from models.config import TrainConfig
from models.diagnosis.dry_run import Start
from models.diagnosis.findings import Finding, listed
from models.training.data import TrainingData
from models.training.run import TrainingRun, start_run, take_step, tensors_of

_STEPS = 3  # what starts at zero hides what lies behind it in the first
_TICKETS = 16
_SAME, _SAME_ON_GPU = 1e-3, 5e-2  # nats; float32 rounds otherwise in a batch of another size, TF32 a hundred times so
_CHANGED = 1e-6


def gradients_flow(data: TrainingData, config: TrainConfig, *, start: Start = start_run) -> Finding:
    """Within a few steps every parameter that may learn gets a gradient that is finite and not all zero.

    Left aside are a pooler, which no token state passes through, and the ranker where no ticket has a template.
    """
    check = "every parameter gets a gradient"
    advice = "It takes part in no output, or something before the loss cuts it off."
    run = start(data, config)
    learning = {name: part for name, part in run.network.named_parameters() if part.requires_grad}
    if not learning:
        return Finding(check=check, passed=False, detail="No parameter may learn.", advice="Raise trainable_layers.")
    batch = _some_tickets(data)
    run.network.train()
    reached: set[str] = set()
    broken: set[str] = set()
    for _ in range(_STEPS):
        take_step(run, batch)
        for name, part in learning.items():
            if part.grad is not None and bool(part.grad.any()):
                reached.add(name)
                if not bool(part.grad.isfinite().all()):
                    broken.add(name)
    ranks = config.ranker_weight > 0 and bool((batch.template != NONE).any())
    expected = {n for n in learning if ".pooler." not in n and (ranks or not n.startswith("ranker."))}
    dead = sorted(name for name in expected - reached if learning[name].numel())
    detail = f"{len(expected & reached)} of {len(expected)} tensors in {_STEPS} steps."
    detail += listed("None for", dead) + listed("Not finite", sorted(broken))
    return Finding(
        check=check,
        passed=not dead and not broken,
        detail=detail,
        advice=advice if dead else "Lower learning_rate, or set precision to fp32." if broken else "",
        figures={"expected": len(expected), "reached": len(expected & reached), "not_finite": len(broken)},
    )


def inputs_matter(data: TrainingData, config: TrainConfig, *, start: Start = start_run) -> Finding:
    """Other words, other categories and other numbers each change the node logits of every ticket."""
    run = start(data, config)
    batch = _some_tickets(data)
    before = _logits(run, batch)
    changed = {}
    for name, other in _changed_inputs(data, batch).items():
        difference = (_logits(run, other) - before).abs().amax(dim=1)
        changed[name] = float(difference.min())
    deaf = [name for name, least in changed.items() if not least > _CHANGED]
    detail = ", ".join(f"{name} {least:.2g}" for name, least in changed.items())
    return Finding(
        check="every input changes the answer",
        passed=not deaf,
        detail=f"Least change of a ticket's node logits: {detail}.",
        advice=f"The network does not hear {' and '.join(deaf)}: look at the way from there to the logits."
        if deaf
        else "",
        figures=changed,
    )


def batches_do_not_mix(data: TrainingData, config: TrainConfig, *, start: Start = start_run) -> Finding:
    """A ticket alone gets the logits that it gets beside longer ones: padding and neighbours leave no trace."""
    run = start(data, config)
    lengths = data.train.tokens.lengths
    order = np.argsort(lengths, kind="stable")
    rows = np.unique(np.concatenate([order[: _TICKETS // 2], order[-(_TICKETS // 2) :]]))
    together = _logits(run, batch_of(data.train, rows))
    alone = torch.cat([_logits(run, batch_of(data.train, rows[place : place + 1])) for place in range(len(rows))])
    difference = float((together - alone).abs().max())
    passed = difference <= (_SAME if run.device.type == "cpu" else _SAME_ON_GPU)
    detail = f"Largest difference {difference:.2g} in the logits of {len(rows)} tickets of {lengths[rows].min()} to "
    detail += f"{lengths[rows].max()} tokens."
    advice = "" if passed else "Look for a mask that is not applied, or a sum or norm over the batch."
    return Finding(
        check="a ticket's answer is its own",
        passed=passed,
        detail=detail,
        advice=advice,
        figures={"difference": difference},
    )


@torch.no_grad()
def _logits(run: TrainingRun, batch: Batch) -> Tensor:
    """(batch, active nodes) in evaluation and float32."""
    run.network.eval()
    logits: Tensor = run.network(*tensors_of(batch, run.device)).node_logits
    return logits[:, torch.from_numpy(run.network.index.active).to(logits.device)].cpu()


def _some_tickets(data: TrainingData) -> Batch:
    """Tickets over the whole training period, those with a template first."""
    order = np.argsort(data.train.template == NONE, kind="stable")
    answered = order[: max(_TICKETS, int((data.train.template != NONE).sum()))]
    return batch_of(data.train, answered[spread_rows(len(answered), _TICKETS)])


def _changed_inputs(data: TrainingData, batch: Batch) -> Mapping[str, Batch]:
    """The batch with one kind of input changed for every ticket: other words between the same first and last token."""
    random = np.random.default_rng(0)
    ids = batch.input_ids.copy()
    words = np.unique(data.train.tokens.values)
    for row, length in enumerate(batch.attention_mask.sum(axis=1)):
        inner = slice(1, max(2, int(length) - 1))
        ids[row, inner] = random.choice(words, ids[row, inner].shape)
    changed = {"words": dataclasses.replace(batch, input_ids=ids)}
    if batch.categories.shape[1]:
        other = np.where(batch.categories == MISSING, FIRST_VALUE - 1, MISSING)
        changed["categories"] = dataclasses.replace(batch, categories=other)
    if batch.numbers.shape[1]:
        changed["numbers"] = dataclasses.replace(
            batch, numbers=batch.numbers + np.float32(1), missing=np.zeros_like(batch.missing)
        )
    return changed
