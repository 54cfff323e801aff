"""Training beside a loop that does nothing but the arithmetic: forward, backward, step, over the same buckets.

    python bench/bare_loop.py [--quick]

Both train the whole of MiniLM, word vectors included, on the same part of BANKING77 (../shared/data), in the same
precision and with the same optimiser, turn and turn about. The loop is what one would first write: the network as
loaded, its loss, AdamW. Training (`models.fit`) also clips gradients, reads the contact types' texts again, judges
itself on validation questions, keeps the best weights and writes a checkpoint, each more often here than in a whole
epoch; it counts from the end of its first step to the end.

Figures: train_times_bare_loop (the median over the turns of training's seconds a step by the loop's), least, most,
milliseconds_a_step, bare_milliseconds_a_step (medians), turns, steps.
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

from models.batches import TrainingData, batch_of, training_order
from models.config import TrainConfig
from models.device import choose_device, chooses_bf16, encoder_precision
from models.encoder import load_tokenizer
from models.fit import fit
from models.network import TriageNetwork
from models.training_run import make_optimiser, start_network, tensors_of

CONFIG = TrainConfig(max_tokens=64, epochs=1, compile="off")
_WARM_UP = 2  # steps of the loop before it is timed


@dataclass(frozen=True)
class Turn:
    """Seconds a step, one beside the other."""

    training: float
    bare: float

    @property
    def ratio(self) -> float:
        return self.training / self.bare


def times_bare_loop(*, quick: bool) -> float:
    """How many times the bare loop's time training takes; the median over a few turns."""
    return round(float(np.median([turn.ratio for turn in turns(*part(quick), count=3 if quick else 7)])), 3)


def part(quick: bool) -> tuple[TrainingData, TrainConfig]:
    """A part of an epoch of BANKING77, with as large a part of its validation questions."""
    steps = 16 if quick else 72
    asked, test = (banking77.questions(banking77.FOLDER, name) for name in ("train", "test"))
    order = np.random.default_rng(0).permutation(len(asked))
    tickets = steps * CONFIG.batch_size
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
        if number % 2:
            training = training_seconds(data, config)
            seconds = bare(network, optimiser, data, config, batches)
        else:
            seconds = bare(network, optimiser, data, config, batches)
            training = training_seconds(data, config)
        found.append(Turn(training, seconds))
        print(f"turn {number + 1}: training {training * 1e3:.0f} ms a step, the loop {seconds * 1e3:.0f} ms")
    return found


def training_seconds(data: TrainingData, config: TrainConfig) -> float:
    """Seconds a step of `fit`, all that it does between steps and at the end included."""
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        fit(
            data,
            config,
            folder=Path(folder),
            report=lambda _line: None,
            progress=lambda _step, _total, _loss: ends.append(time.perf_counter()),
        )
        return (time.perf_counter() - ends[0]) / (len(ends) - 1)


def bare(
    network: TriageNetwork,
    optimiser: torch.optim.Optimizer,
    data: TrainingData,
    config: TrainConfig,
    batches: list[NDArray[np.int64]],
) -> float:
    """Seconds a step of the loop that one would first write."""
    device = choose_device(config.device)
    bf16 = chooses_bf16(config.precision, device)
    network.train()
    started = time.perf_counter()
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
    return (time.perf_counter() - started) / len(batches)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="three turns of 16 steps instead of seven of 72")
    quick = arguments.parse_args().quick
    started = time.perf_counter()
    data, config = part(quick)
    found = turns(data, config, count=3 if quick else 7)
    ratios = [turn.ratio for turn in found]
    record(
        "bare_loop",
        {
            "train_times_bare_loop": round(float(np.median(ratios)), 3),
            "least": round(min(ratios), 3),
            "most": round(max(ratios), 3),
            "milliseconds_a_step": round(1e3 * float(np.median([turn.training for turn in found])), 1),
            "bare_milliseconds_a_step": round(1e3 * float(np.median([turn.bare for turn in found])), 1),
            "turns": len(found),
            "steps": len(training_order(data.train.tokens.lengths, config.batch_size, seed=config.seed, epoch=0)),
        },
        seconds=time.perf_counter() - started,
    )


if __name__ == "__main__":
    main()
