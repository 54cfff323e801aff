"""One training under way: the network, its optimiser, and the step that changes them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models import release as names
from models.batches import NONE, Batch, TicketArrays, TrainingData, evaluation_batches, hash_of, template_text
from models.config import TrainConfig
from models.device import choose_device, chooses_bf16, encoder_precision
from models.heads import load_heads
from models.network import NetworkOutput, TriageNetwork, build_network
from models.ranker import CandidateSampler, candidate_sampler
from models.state_cache import StateCache


@dataclass
class TrainingRun:
    """A training under way. Make one with `start_run`; `take_step` moves it on."""

    data: TrainingData
    config: TrainConfig
    network: TriageNetwork
    optimiser: torch.optim.Optimizer
    sampler: CandidateSampler
    device: torch.device
    bf16: bool
    fingerprint: str  # of data, settings and first weights
    total: int  # steps
    template_texts: Tensor  # (templates, 384) encoded texts, read again now and then; no gradient
    cache: StateCache | None = None
    step: int = 0
    best: float = -1.0  # mean reciprocal rank on the validation split
    looks_since_best: int = 0
    loss_sum: float = 0.0  # since the last look
    loss_steps: int = 0
    stopped: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)

    def ended(self) -> bool:
        return self.stopped or self.step >= self.total


def start_network(data: TrainingData, config: TrainConfig, initial: Path | None = None) -> TriageNetwork:
    """The network before its first step: pretrained, or from an earlier model directory; node texts read."""
    encoder = str(initial / names.ENCODER) if initial else config.encoder
    network = build_network(encoder, data.tree, data.attributes, config)
    if initial is not None:
        load_heads(network, initial / names.HEADS)
    network.encoder.freeze_below(config.trainable_layers)
    network.to(choose_device(config.device))
    network.refresh_nodes(data.tokenizer)
    return network


def make_optimiser(network: TriageNetwork, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter 2019): heads at their own rate, encoder layers slower the further down they are."""
    layers = list(network.encoder.layers)
    depth_of = {
        parameter: len(layers) - 1 - place for place, layer in enumerate(layers) for parameter in layer.parameters()
    }
    inside = set(network.encoder.parameters())
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for parameter in network.parameters():
        if not parameter.requires_grad:
            continue
        slower = config.layer_decay ** depth_of.get(parameter, len(layers))
        rate = config.learning_rate * slower if parameter in inside else config.head_learning_rate
        groups.setdefault((rate, config.weight_decay if parameter.dim() > 1 else 0.0), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": group, "lr": rate, "rate": rate, "weight_decay": decay} for (rate, decay), group in groups.items()],
        fused=True,
    )


def losses(
    network: TriageNetwork,
    output: NetworkOutput,
    batch: Batch,
    candidates: tuple[Tensor, Tensor, Tensor] | None,
    *,
    smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Contact-type and template loss of a batch, in nats. `candidates` are template vectors (c, 384), each answered
    ticket's own place among them, and log chances (c,); None when no ticket of the batch has a template."""
    node = torch.from_numpy(batch.node).to(output.node_logits.device)
    contact_type = network.decoder.loss(output.node_logits, node, smoothing=smoothing)
    if candidates is None:
        return contact_type, torch.zeros_like(contact_type)
    vectors, target, log_chance = candidates
    answered = torch.from_numpy(batch.template != NONE).to(node.device)
    return contact_type, network.ranker.loss(output.template_query[answered], vectors, target, log_chance)


def tensors_of(batch: Batch, device: torch.device) -> list[Tensor]:
    """The five inputs of the network, in the order of its `forward`."""
    arrays = (batch.input_ids, batch.attention_mask, batch.categories, batch.numbers, batch.missing)
    return [torch.from_numpy(array).to(device) for array in arrays]


@torch.no_grad()
def validate(network: TriageNetwork, tickets: TicketArrays, *, batch_size: int, bf16: bool = False) -> dict[str, float]:
    """Loss, accuracy and mean reciprocal rank of contact types. For an inner node the first leaf under it counts."""
    was_training = network.training
    network.eval()
    device = network.encoder.device
    decoder, sums = network.decoder, np.zeros(3)
    for batch in evaluation_batches(tickets, batch_size * 2):
        inputs = tensors_of(batch, device)
        with encoder_precision(device, bf16=bf16):
            states = network.encoder(inputs[0], inputs[1])
        logits = network.read_states(states.float(), *inputs[1:]).node_logits
        node = torch.from_numpy(batch.node).to(device)
        right = decoder.ancestors.index_select(0, node).index_select(1, decoder.leaves) > 0  # (batch, L)
        order = decoder.leaf_probabilities(logits).argsort(dim=1, descending=True, stable=True)
        rank = right.gather(1, order).float().argmax(dim=1) + 1
        sums += [float(decoder.loss(logits, node)) * len(node), float((rank == 1).sum()), float((1 / rank).sum())]
    network.train(was_training)
    loss, accuracy, reciprocal = (sums / max(1, len(tickets))).tolist()
    return {"validation_loss": loss, "validation_accuracy": accuracy, "validation_mrr": reciprocal}


def start_run(data: TrainingData, config: TrainConfig, initial: Path | None = None) -> TrainingRun:
    network = start_network(data, config, initial)
    device = choose_device(config.device)
    steps_an_epoch = -(-len(data.train) // config.batch_size)
    templates = len(data.templates)
    return TrainingRun(
        data=data,
        config=config,
        network=network,
        optimiser=make_optimiser(network, config),
        sampler=candidate_sampler(
            data.train.template, data.train.negatives, templates=templates, draws=config.hard_negatives
        ),
        device=device,
        bf16=chooses_bf16(config.precision, device),
        fingerprint=_fingerprint(data, config, initial),
        total=steps_an_epoch * config.epochs,
        template_texts=network.encode_texts(data.tokenizer, [template_text(template) for template in data.templates]),
    )


def take_step(run: TrainingRun, batch: Batch) -> float:
    config, network = run.config, run.network
    share = _rate(run.step, run.total, config.warmup)
    for group in run.optimiser.param_groups:
        group["lr"] = group["rate"] * share
    inputs = tensors_of(batch, run.device)
    with encoder_precision(run.device, bf16=run.bf16):
        if run.cache is None:
            states = network.encoder(inputs[0], inputs[1])
        else:
            states = network.encoder.upper(run.cache.frozen, run.cache.padded(batch.rows, run.device), inputs[1])
    output = network.read_states(states.float(), *inputs[1:])
    contact_type, template = losses(network, output, batch, _candidates(run, batch), smoothing=config.label_smoothing)
    loss = contact_type + config.ranker_weight * template
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
    torch.nn.utils.clip_grad_norm_(network.parameters(), config.gradient_clip)
    run.optimiser.step()
    run.step += 1
    return float(loss.detach())


def _candidates(run: TrainingRun, batch: Batch) -> tuple[Tensor, Tensor, Tensor] | None:
    answered = batch.template != NONE
    if not answered.any():
        return None
    random = np.random.default_rng([run.config.seed, 1, run.step])
    chosen, target, log_chance = run.sampler.candidates(batch.rows[answered], batch.template[answered], random)
    texts = run.template_texts[torch.from_numpy(chosen).to(run.device)]
    vectors = run.network.ranker.template_vectors(texts)
    return vectors, torch.from_numpy(target).to(run.device), torch.from_numpy(log_chance).to(run.device)


def _rate(step: int, total: int, warmup: float) -> float:
    """Share of the full learning rate: up from zero over the warm-up, then down to zero, both linearly."""
    rise = max(1, int(total * warmup))
    return (step + 1) / rise if step < rise else max(0.0, (total - step) / max(1, total - rise))


def refresh_texts(run: TrainingRun) -> None:
    """Node and template texts, read by the encoder as it has become. They carry no gradient: there are several times as
    many of them as tickets in a step."""
    run.network.refresh_nodes(run.data.tokenizer)
    texts = [template_text(template) for template in run.data.templates]
    run.template_texts = run.network.encode_texts(run.data.tokenizer, texts)


def _fingerprint(data: TrainingData, config: TrainConfig, initial: Path | None) -> str:
    """Changes with anything that would make a checkpoint's past another one."""
    settings = json.dumps(asdict(config), sort_keys=True)
    return hashlib.sha256("\n".join((settings, str(initial), hash_of(data))).encode()).hexdigest()
