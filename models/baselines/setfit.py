"""Rung 8: SetFit-style. The encoder learns from pairs of tickets what is alike, then logistic regression as in rung 5.

Method: Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts", https://arxiv.org/abs/2209.11055: pairs of
one leaf shall have cosine 1, pairs of two leaves cosine 0, by squared error (Reimers and Gurevych 2019).
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.baselines import Baseline, RungData
from models.baselines.frozen import regression
from models.baselines.text_vectors import MeanPooled, TextVectors
from models.batches import Tokens, tokenise
from models.device import choose_device, chooses_bf16, encoder_precision
from models.encoder import load_encoder, load_tokenizer
from models.training.run import share_of_rate

PAIRS_A_TICKET = 20  # of one leaf, and as many of two leaves, as in the paper
MOST_PAIRS = 12_000  # of both kinds together: with a long history more gain little and cost hours
_BATCH = 16  # pairs
_WARMUP = 0.1


def fit(data: RungData) -> Baseline:
    """As many layers learn as in the configuration, at its rate of the top layer. Raises InputError, MachineError or
    ReleaseError when the encoder cannot be loaded."""
    torch.manual_seed(data.config.seed)
    encoder = load_encoder(data.config.encoder, attention_dropout=data.config.attention_dropout)
    encoder.freeze_below(data.config.trainable_layers)
    tokenizer = load_tokenizer(data.config.encoder, data.config.max_tokens)
    pooled = MeanPooled(encoder)
    learn_alike(pooled, tokenizer, data)
    return regression(data, TextVectors.of(pooled, tokenizer))


def learn_alike(pooled: MeanPooled, tokenizer: Tokenizer, data: RungData) -> list[float]:
    """One pass over the sampled pairs; the loss of each step."""
    config = data.config
    device = choose_device(config.device)
    bf16 = chooses_bf16(config.precision, device)
    tokens = tokenise(tokenizer, data.inputs.texts)
    first, second, alike = sample_pairs(data.leaf, np.random.default_rng(config.seed))
    learning = [parameter for parameter in pooled.parameters() if parameter.requires_grad]
    steps = -(-len(first) // _BATCH)
    if not learning or not steps:
        return []
    optimiser = torch.optim.AdamW(learning, lr=config.learning_rate, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: share_of_rate(step, steps, _WARMUP))
    pooled.to(device).train()
    losses = []
    for start in range(0, len(first), _BATCH):
        some = slice(start, start + _BATCH)
        with encoder_precision(device, bf16=bf16):
            vectors = _vectors(pooled, tokens, np.concatenate([first[some], second[some]]), device)
        one, other = vectors.float().chunk(2)
        wanted = torch.from_numpy(alike[some]).to(device)
        loss = torch.nn.functional.mse_loss((one * other).sum(dim=1), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        torch.nn.utils.clip_grad_norm_(learning, config.gradient_clip)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def sample_pairs(
    leaf: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Two tickets of each pair, and 1 where they are of one leaf, 0 where not; half are of each kind, shuffled.

    The tickets are of two leaves or more. Where no leaf has two tickets, no pair is of one leaf.
    """
    count = len(leaf)
    wanted = max(1, min(PAIRS_A_TICKET * count, MOST_PAIRS // 2))
    order = np.argsort(leaf, kind="stable")  # leaf by leaf, as on a ring
    place = np.argsort(order)
    sizes = np.bincount(leaf)[leaf]  # of each ticket's own leaf
    begins = np.searchsorted(leaf[order], leaf)
    several = np.flatnonzero(sizes > 1)
    same = random.choice(several, wanted) if len(several) else np.zeros(0, np.int64)
    steps = random.integers(1, sizes[same])  # inside the leaf's own part
    partners = order[begins[same] + (place[same] - begins[same] + steps) % sizes[same]]
    apart = random.integers(count, size=wanted)
    steps = random.integers(count - sizes[apart])  # from the end of that part on, up to its beginning
    others = order[(begins[apart] + sizes[apart] + steps) % count]
    first, second = np.concatenate([same, apart]), np.concatenate([partners, others])
    alike = np.concatenate([np.ones(len(same), np.float32), np.zeros(len(apart), np.float32)])
    shuffled = random.permutation(len(first))
    return first[shuffled], second[shuffled], alike[shuffled]


def _vectors(pooled: MeanPooled, tokens: Tokens, rows: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    ids, mask = (torch.from_numpy(array).to(device) for array in tokens.padded(rows))
    found: torch.Tensor = pooled(ids, mask)
    return found
