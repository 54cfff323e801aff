"""Training beside a loop that does nothing but the arithmetic: forward, backward, step, over the same buckets.

    python bench/bare_loop.py [--quick]

Both train the whole of MiniLM, word vectors included, on the same part of BANKING77, in the same
precision and with the same optimiser, turn and turn about. The loop is what one would first write: the network as
loaded, its loss, AdamW. Training (`models.training.fit`) also clips gradients, reads the contact types' texts again,
judges itself on validation questions, keeps the best weights and writes a checkpoint, each more often here than in a
whole epoch; it counts from the end of its first step to the end.

Figures: train_times_bare_loop (the median over the turns of training's seconds a step by the loop's), least, most,
processor_times_bare_loop (the same in processor seconds, which a busy neighbour disturbs less; on a GPU they say
little), milliseconds_a_step, bare_milliseconds_a_step (medians), turns, steps.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

# As a script this folder comes first, and its pipeline.py would hide the package of that name.
sys.path.sort(key=lambda place: place == str(Path(__file__).parent))

import banking77
from bench_record import record
from public_data import BANKING77

from models.batches import batch_of, training_order
from models.config import TrainConfig
from models.device import choose_device, chooses_bf16, encoder_precision
from models.encoder import load_tokenizer
from models.network import TriageNetwork
from models.training.data import TrainingData
from models.training.fit import fit
from models.training.run import make_optimiser, start_network, tensors_of
from tickets.progress import silent

CONFIG = TrainConfig(max_tokens=64, epochs=1, compile="off")
_WARM_UP = 2  # steps of the loop before it is timed
_STEPS, _TURNS = {True: 16, False: 72}, {True: 3, False: 7}  # quick, or not


@dataclass(frozen=True)
class Cost:
    """What a step takes, in seconds: on the clock, and of all processors together."""

    clock: float
    processor: float


Turn = tuple[Cost, Cost]  # of training, of the loop


def times_bare_loop(*, quick: bool) -> float:
    """How many times the bare loop's time training takes; the median over a few turns."""
    found = turns(*part(quick), count=_TURNS[quick])
    return round(float(np.median(clock_ratios(found))), 3)


def clock_ratios(found: list[Turn]) -> list[float]:
    """Training's time by the loop's, of each turn."""
    return [ours.clock / loop.clock for ours, loop in found]


def part(quick: bool) -> tuple[TrainingData, TrainConfig]:
    """A part of an epoch of BANKING77, with as large a part of its validation questions."""
    asked, test = (banking77.questions(BANKING77, name) for name in ("train", "test"))
    order = np.random.default_rng(0).permutation(len(asked))
    tickets = _STEPS[quick] * CONFIG.batch_size
    train = [asked[place] for place in order[:tickets]]
    validation = [asked[place] for place in order[tickets : tickets + tickets // 9]]
    tokenizer = load_tokenizer(CONFIG.encoder, CONFIG.max_tokens)
    return banking77.data_of(train, validation, test[:10], tokenizer, CONFIG), CONFIG


def turns(data: TrainingData, config: TrainConfig, *, count: int) -> list[Turn]:
    """So many turns; which of the two goes first changes."""
    network = start_network(data, config)
    optimiser = make_optimiser(network, config)
    batches = training_order(data.train.tokens.lengths, config.batch_size, seed=config.seed, epoch=0)
    bare(network, optimiser, data, config, batches[:_WARM_UP])
    found = []
    for number in range(count):
        both = [lambda: training(data, config), lambda: bare(network, optimiser, data, config, batches)]
        first = number % 2
        costs = {place: both[place]() for place in (first, 1 - first)}
        found.append((costs[0], costs[1]))
        clocks = (f"{name} {1e3 * costs[place].clock:.0f} ms" for place, name in enumerate(("training", "the loop")))
        print(f"turn {number + 1}, a step: {', '.join(clocks)}")
    return found


def training(data: TrainingData, config: TrainConfig) -> Cost:
    """A step of `fit`, all that it does between steps and at the end included."""
    ends: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        fit(
            data,
            config,
            folder=Path(folder),
            report=silent,
            progress=lambda _step, _total, _loss: ends.append(_now()),
        )
        return _cost(ends[0], len(ends) - 1)


def bare(
    network: TriageNetwork,
    optimiser: torch.optim.Optimizer,
    data: TrainingData,
    config: TrainConfig,
    batches: list[NDArray[np.int64]],
) -> Cost:
    """A step of the loop that one would first write."""
    device = choose_device(config.device)
    bf16 = chooses_bf16(config.precision, device)
    network.train()
    started = _now()
    for rows in batches:
        batch = batch_of(data.train, rows)
        ids, mask, *attributes = tensors_of(batch, device)
        with encoder_precision(device, bf16=bf16):
            states = network.encoder(ids, mask)
        logits = network.read_states(states.float(), mask, *attributes).node_logits
        loss = network.decoder.loss(logits, torch.from_numpy(batch.node).to(device), smoothing=config.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return _cost(started, len(batches))


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _cost(started: tuple[float, float], steps: int) -> Cost:
    clock, processor = _now()
    return Cost((clock - started[0]) / steps, (processor - started[1]) / steps)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="three turns of 16 steps instead of seven of 72")
    quick = arguments.parse_args().quick
    started = time.perf_counter()
    found = turns(*part(quick), count=_TURNS[quick])
    ratios = clock_ratios(found)
    processor = [ours.processor / loop.processor for ours, loop in found]
    record(
        "bare_loop",
        {
            "train_times_bare_loop": round(float(np.median(ratios)), 3),
            "least": round(min(ratios), 3),
            "most": round(max(ratios), 3),
            "processor_times_bare_loop": round(float(np.median(processor)), 3),
            "milliseconds_a_step": round(1e3 * float(np.median([ours.clock for ours, _ in found])), 1),
            "bare_milliseconds_a_step": round(1e3 * float(np.median([loop.clock for _, loop in found])), 1),
            "turns": len(found),
            "steps": _STEPS[quick],
        },
        seconds=time.perf_counter() - started,
    )


if __name__ == "__main__":
    main()
