"""One training under way: the network, its optimiser, and the step that changes them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from models.batches import NONE, Batch, TicketArrays, evaluation_batches
from models.config import TrainConfig
from models.device import allow_fast_products, choose_device, chooses_bf16, encoder_precision, sent
from models.label_mix import LabelMix, days_of, even_mix, label_mix
from models.network import NetworkOutput, TriageNetwork, build_network
from models.ranker import CandidateSampler, candidate_sampler
from models.templates import served_leaves
from models.training.data import TrainingData, hash_of, template_text
from models.training.distributed import ALONE, Workers
from models.training.encoder import prepare_encoder
from models.training.objective import Candidates, losses
from models.training.state_cache import StateCache

_GPU_WIDTH = 8  # a batch's length is a multiple of it on a GPU: fewer shapes, and whole tiles for its matrix units


@dataclass
class TrainingRun:
    """A training under way. Make one with `start_run`; `advance` moves it on."""

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
    serves: Tensor  # (templates, L) 1 where a template may serve a leaf
    mix: LabelMix | None = None  # of the tickets that are learned from
    lessons: Tensor | None = None  # (n, L) float32, in main memory
    workers: Workers = ALONE
    encode: Callable[[Tensor, Tensor], Tensor] | None = None  # the encoder, compiled; None: as it is
    cache: StateCache | None = None
    step: int = 0
    best: float = -1.0  # mean reciprocal rank on the validation split
    looks_since_best: int = 0
    unread: list[Tensor] = field(default_factory=list)  # losses of the last steps, still on the device
    loss: float = 0.0  # the last that was read
    loss_sum: float = 0.0  # since the last look
    loss_steps: int = 0
    stopped: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)  # in this process
    seconds: float = 0.0  # in those before, from which it goes on

    def spent(self) -> float:
        """Seconds so far."""
        return self.seconds + time.perf_counter() - self.started

    def ended(self) -> bool:
        return self.stopped or self.step >= self.total


def start_network(data: TrainingData, config: TrainConfig, initial: Path | None = None) -> TriageNetwork:
    """The network before its first step: pretrained, or from an earlier model directory; node texts read."""
    if initial is None:
        network = build_network(config.encoder, data.tree, data.attributes, config)
    else:
        from models.heads import load_heads  # with the logging of a whole installation, which a bare GPU box lacks
        from models.release import ENCODER, HEADS

        network = build_network(str(initial / ENCODER), data.tree, data.attributes, config)
        load_heads(network, initial / HEADS)
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


def tensors_of(batch: Batch, device: torch.device) -> list[Tensor]:
    """The five inputs of the network, in the order of its `forward`."""
    arrays = (batch.input_ids, batch.attention_mask, batch.categories, batch.numbers, batch.missing)
    return [sent(array, device) for array in arrays]


@torch.no_grad()
def validate(
    network: TriageNetwork, tickets: TicketArrays, *, batch_size: int, bf16: bool = False, workers: Workers = ALONE
) -> dict[str, float]:
    """Loss, accuracy and mean reciprocal rank of contact types, each process reading its share of the batches. For an
    inner node the first leaf under it counts."""
    was_training = network.training
    network.eval()
    device = network.encoder.device
    decoder = network.decoder
    sums = [torch.zeros(3, device=device)]
    for batch in islice(evaluation_batches(tickets, batch_size * 2), workers.rank, None, workers.count):
        inputs = tensors_of(batch, device)
        with encoder_precision(device, bf16=bf16):
            states = network.encoder(inputs[0], inputs[1])
        logits = network.read_states(states.float(), *inputs[1:]).node_logits
        node = sent(batch.node, device)
        right = decoder.ancestors.index_select(0, node).index_select(1, decoder.leaves) > 0  # (batch, L)
        order = decoder.leaf_probabilities(logits).argsort(dim=1, descending=True, stable=True)
        rank = right.gather(1, order).float().argmax(dim=1) + 1
        sums.append(torch.stack([decoder.loss(logits, node) * len(node), (rank == 1).sum(), (1 / rank).sum()]))
    network.train(was_training)
    total = torch.stack(sums).cpu().double().sum(dim=0)  # one wait for the device, not one a batch
    workers.add_up([total])
    loss, accuracy, reciprocal = (total / max(1, len(tickets))).tolist()
    return {"validation_loss": loss, "validation_accuracy": accuracy, "validation_mrr": reciprocal}


def start_run(
    data: TrainingData, config: TrainConfig, initial: Path | None = None, *, workers: Workers = ALONE
) -> TrainingRun:
    """A training before its first step. Raises InputError, MachineError, ReleaseError."""
    started = time.perf_counter()
    network = start_network(data, config, initial)
    device = choose_device(config.device)
    bf16 = chooses_bf16(config.precision, device)
    allow_fast_products(device, bf16=bf16)
    learned = data.learned
    prepare_encoder(network.encoder, learned.tokens.values, device)
    mix = label_mix(days_of(learned.rows), learned.node, data.index) if config.label_mix else None
    network.decoder.mix.copy_(torch.from_numpy(even_mix(data.index) if mix is None else mix.now))
    steps_an_epoch = -(-len(learned) // config.batch_size)
    templates = len(data.templates)
    return TrainingRun(
        data=data,
        config=config,
        network=network,
        optimiser=make_optimiser(network, config),
        sampler=candidate_sampler(
            learned.template, learned.negatives, templates=templates, draws=config.hard_negatives
        ),
        device=device,
        bf16=bf16,
        fingerprint=_fingerprint(data, config, initial),
        total=steps_an_epoch * config.epochs,
        template_texts=network.encode_texts(data.tokenizer, [template_text(template) for template in data.templates]),
        serves=sent(served_leaves(data.templates, data.tree, data.index), device),
        mix=mix,
        lessons=None if data.lessons is None else torch.from_numpy(data.lessons.leaves),
        workers=workers,
        started=started,
    )


def take_step(run: TrainingRun, batch: Batch) -> float:
    """One step on a batch, of which this process takes its share; its loss in nats, over all processes."""
    return float(advance(run, batch))


def advance(run: TrainingRun, batch: Batch) -> Tensor:
    """`take_step` without waiting for the device: the loss is a tensor without gradient, on the device."""
    share = share_of_rate(run.step, run.total, run.config.warmup)
    for group in run.optimiser.param_groups:
        group["lr"] = group["rate"] * share
    run.optimiser.zero_grad(set_to_none=True)
    candidates = draw_candidates(run, batch)
    loss = torch.zeros((), device=run.device)
    for part in parts_of(run, batch):
        share_of_loss = part_loss(run, part, batch, candidates)
        share_of_loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        loss += share_of_loss.detach()
    add_up_gradients(run, loss)
    clip_gradients(run.network, run.config.gradient_clip)
    run.optimiser.step()
    run.step += 1
    return loss


def part_loss(run: TrainingRun, part: Batch, whole: Batch, candidates: Candidates | None) -> Tensor:
    """What a part of the batch adds to the batch's loss. A mean over tickets counts by the part's share of them, so
    that parts, in one process or in several, give the gradient of the whole; the contrastive loss alone compares
    within a part."""
    mix = None if run.mix is None else sent(run.mix.shares[run.mix.row[part.rows]], run.device)
    output = read_part(run, part, mix)
    lessons = None if run.lessons is None else run.lessons[torch.from_numpy(part.rows)].to(run.device)
    found = losses(run.network, output, part, run.config, candidates=candidates, lessons=lessons, mix=mix)
    tickets = len(part.rows) / len(whole.rows)
    answered = int((part.template != NONE).sum()) / max(1, int((whole.template != NONE).sum()))
    of_tickets = found.contact_type + run.config.contrastive_weight * found.contrastive
    return tickets * of_tickets + run.config.ranker_weight * answered * found.template


def read_part(run: TrainingRun, part: Batch, mix: Tensor | None) -> NetworkOutput:
    """The network's forward pass on some tickets: the encoder in its own precision, the rest in float32. `mix` (batch,
    N) log shares of each ticket's own weeks."""
    ids, mask, *attributes = tensors_of(part, run.device)
    with encoder_precision(run.device, bf16=run.bf16):
        if run.cache is not None:
            given = run.cache.padded(part.rows, run.device, width=mask.shape[1])
            states = run.network.encoder.upper(run.cache.frozen, given, mask)
        else:
            states = run.network.encoder(ids, mask) if run.encode is None else run.encode(ids, mask)
    categories, numbers, missing = attributes
    return run.network.read_states(states.float(), mask, categories, numbers, missing, mix)


def parts_of(run: TrainingRun, batch: Batch) -> Iterator[Batch]:
    """This process's share of a batch, in parts that are in memory one at a time. None when it has no share."""
    multiple = _GPU_WIDTH if run.device.type == "cuda" else 1
    own = run.workers.share(np.arange(len(batch.rows)))
    most = run.config.micro_batch_size or len(batch.rows)
    for start in range(0, len(own), most):
        yield part_of(batch, own[start : start + most], multiple=multiple)


def part_of(batch: Batch, places: NDArray[np.int64], *, multiple: int = 1) -> Batch:
    """Some tickets of a batch, no longer than the longest of them, rounded up to a `multiple` of tokens."""
    if len(places) < len(batch.rows):
        batch = replace(batch, **{entry.name: getattr(batch, entry.name)[places] for entry in fields(batch)})
        longest = max(1, int(batch.attention_mask.sum(axis=1).max()))
        batch = replace(batch, input_ids=batch.input_ids[:, :longest], attention_mask=batch.attention_mask[:, :longest])
    if more := -batch.input_ids.shape[1] % multiple:
        wider = {name: np.pad(getattr(batch, name), ((0, 0), (0, more))) for name in ("input_ids", "attention_mask")}
        batch = replace(batch, **wider)
    return batch


def draw_candidates(run: TrainingRun, batch: Batch) -> Candidates | None:
    """The same in every process: the batch, the seed and the step alone decide. None when no ticket of the batch has a
    template."""
    answered = batch.template != NONE
    if not answered.any():
        return None
    random = np.random.default_rng([run.config.seed, 1, run.step])
    chosen, log_chance = run.sampler.candidates(batch.rows[answered], batch.template[answered], random)
    places = sent(chosen, run.device)
    texts, serves = (table.index_select(0, places) for table in (run.template_texts, run.serves))
    return Candidates(chosen, texts, sent(log_chance, run.device), serves)


def add_up_gradients(run: TrainingRun, loss: Tensor) -> None:
    """Sum gradients and loss over the processes. A parameter that only other processes' shares reached gets a gradient
    here too, and one that none reached stays without: the optimisers must do the same."""
    if run.workers.count == 1:
        return
    learning = [parameter for parameter in run.network.parameters() if parameter.requires_grad]
    reached = torch.tensor([float(parameter.grad is not None) for parameter in learning])
    run.workers.add_up([reached])  # on the host: no device is waited for
    gradients = []
    for parameter, processes in zip(learning, reached.tolist(), strict=True):
        if processes and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        if processes and parameter.grad is not None:
            gradients.append(parameter.grad)
    run.workers.add_up([loss, *gradients])


def clip_gradients(network: TriageNetwork, limit: float) -> None:
    """Shorten the gradient to `limit`, in the 2-norm, where it is longer."""
    learning = [parameter for parameter in network.parameters() if parameter.grad is not None]
    norm = get_total_norm([parameter.grad for parameter in learning if parameter.grad is not None])
    if norm.device.type == "cpu" and norm <= limit:
        return  # to multiply by one takes time; a GPU would have to be waited for to know
    clip_grads_with_norm_(learning, limit, norm)


def share_of_rate(step: int, total: int, warmup: float) -> float:
    """Share of the full learning rate at a step: up from zero over the share `warmup` of all steps, then down to zero,
    both linearly."""
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
