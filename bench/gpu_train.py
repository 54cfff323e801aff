"""Training beside the Hugging Face Trainer with its defaults: the same encoder, the same examples, the same run.

    python bench/gpu_train.py [train.csv test.csv] [--examples FILE.parquet] [--device cuda] [--quick]

Runs where only torch, transformers, accelerate, tokenizers, safetensors, numpy, pyarrow and scikit-learn are. The
files are in BANKING77's form (text, category); without any, simulated tickets stand in. `--examples` names a Parquet
file of examples: read when it is there, else made. Without a CUDA device it says so and does the quick sizes on the
CPU.

Both are timed in turns, warm-up left out, then train to the end once for their accuracy on the test split. Rates are
medians over the turns. The Trainer is as a newcomer runs it: batches of 8 in float32, its collator, its 3 epochs.

Figures: examples_per_second, trainer_examples_per_second, times_trainer (median of the turns' ratios) with least and
most, peak_memory_mb and trainer_peak_memory_mb (of the GPU; on a CPU the process so far), accuracy and
trainer_accuracy, tflops (arithmetic of layers and attention on real tokens, forward and backward, a second),
matmul_tflops (a large bf16 product in this run) and data_sheet_tflops, shares of both, tokens_a_ticket, batch_size.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

# The repository's folder comes before this one: its packages need not be installed, and bench/pipeline.py would hide
# the package of that name.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_record import peak_mb, record
from gpu_examples import encoder_here, read_examples, training_of

from models.batches import TicketArrays
from models.config import DEFAULT_ENCODER, TrainConfig, preset
from models.device import choose_device
from models.encoder import load_encoder
from models.training.data import TrainingData
from models.training.fit import fit
from models.training.run import validate
from tickets.errors import MachineError, TriageError
from tickets.progress import silent

# Dense bf16 TFLOP/s of the makers' data sheets, by what the device's name holds; the first that fits counts.
DATA_SHEET = {
    "B200": 2250.0,
    "H200": 989.0,
    "H100 PCIe": 756.0,
    "H100": 989.0,
    "A100": 312.0,
    "L40S": 362.0,
    "L4": 121.0,
    "A10": 125.0,
}


@dataclass(frozen=True)
class Size:
    """How much to measure: steps of each kind before and in a timed turn, turns, epochs of the whole training."""

    tickets: int  # simulated
    warm_up: int
    steps: int
    trainer_warm_up: int
    trainer_steps: int
    turns: int
    epochs: int
    matmul: int  # rows and columns


FULL = Size(
    tickets=20_000, warm_up=40, steps=200, trainer_warm_up=50, trainer_steps=400, turns=5, epochs=6, matmul=8192
)
QUICK = Size(tickets=500, warm_up=1, steps=4, trainer_warm_up=2, trainer_steps=12, turns=3, epochs=1, matmul=1024)


class EnoughError(Exception):
    """Ends a training that was only to be timed."""


@dataclass
class Clock:
    """Examples a second between the end of step `first` and the end of step `last`. The last batch of an epoch is not
    full, so a step counts as many as the mean step has."""

    device: torch.device
    first: int
    last: int
    a_step: float
    rate: float = 0.0
    _started: float = 0.0

    def step(self, number: int) -> None:
        if number not in (self.first, self.last):
            return
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if number == self.first:
            self._started = now
        else:
            self.rate = (self.last - self.first) * self.a_step / (now - self._started)


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: examples/s of a turn, and accuracy of a whole training."""

    timed: Callable[[], float]
    accuracy: Callable[[], float]


def a_step(tickets: TicketArrays, batch_size: int) -> float:
    """Examples of the mean step."""
    return len(tickets) / -(-len(tickets) // batch_size)


def ours(data: TrainingData, config: TrainConfig, size: Size) -> Side:
    device = choose_device(config.device)
    untested = dataclasses.replace(data, validation=data.validation.take(np.zeros(0, np.int64)))
    in_vain = dataclasses.replace(config, epochs=1_000, checkpoint_every=10**9)

    def timed() -> float:
        clock = Clock(device, size.warm_up, size.warm_up + size.steps, a_step(data.train, config.batch_size))

        def progress(step: int, _total: int, _loss: float) -> None:
            clock.step(step)
            if step == clock.last:
                raise EnoughError

        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(EnoughError):
            fit(untested, in_vain, folder=Path(folder), report=silent, progress=progress)
        return clock.rate

    def accuracy() -> float:
        with tempfile.TemporaryDirectory() as folder:
            fitted = fit(data, config, folder=Path(folder), report=print, progress=silent)
        fitted.network.to(device)
        return validate(fitted.network, data.test, batch_size=config.batch_size)["validation_accuracy"]

    return Side(timed, accuracy)


def trainer(data: TrainingData, encoder: str, device: torch.device, size: Size, *, quick: bool) -> Side:
    """transformers.Trainer on the same token ids, its arguments left as they come."""
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    kinds = {node: place for place, node in enumerate(np.unique(data.train.node).tolist())}
    train, test = (_rows(tickets, kinds) for tickets in (data.train, data.test))

    def made(folder: str, **arguments: Any) -> Any:
        plain = TrainingArguments(folder, use_cpu=device.type == "cpu", disable_tqdm=True, report_to=[], **arguments)
        model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=len(kinds))
        tokenizer = AutoTokenizer.from_pretrained(encoder)
        return Trainer(model, plain, train_dataset=train, eval_dataset=test, processing_class=tokenizer)

    def timed() -> float:
        with tempfile.TemporaryDirectory() as folder:
            job = made(folder, max_steps=size.trainer_warm_up + size.trainer_steps)
            mean = a_step(data.train, job.args.per_device_train_batch_size)
            clock = Clock(device, size.trainer_warm_up, size.trainer_warm_up + size.trainer_steps, mean)

            class Watch(TrainerCallback):
                def on_step_end(self, _args: Any, state: Any, _control: Any, **_others: Any) -> None:
                    clock.step(state.global_step)

            job.add_callback(Watch())
            job.train()
        return clock.rate

    def accuracy() -> float:
        with tempfile.TemporaryDirectory() as folder:
            job = made(folder, **({"num_train_epochs": 1} if quick else {}))
            job.train()
            found = job.predict(test)
        return float((found.predictions.argmax(axis=1) == found.label_ids).mean())

    return Side(timed, accuracy)


def _rows(tickets: TicketArrays, kinds: dict[int, int]) -> list[dict[str, Any]]:
    """Tickets as a tokenised dataset has them; a kind that training never saw is counted as wrong."""
    values, offsets = tickets.tokens.values, tickets.tokens.offsets
    return [
        {
            "input_ids": values[offsets[row] : offsets[row + 1]].tolist(),
            "attention_mask": [1] * int(offsets[row + 1] - offsets[row]),
            "labels": kinds.get(int(node), -100),
        }
        for row, node in enumerate(tickets.node)
    ]


def flop_an_example(data: TrainingData, encoder: str) -> float:
    """Floating-point operations of training on a mean ticket: 6 a weight and token (2 forward, 4 backward), and
    attention's two products. Embeddings, norms and heads are left out."""
    loaded = load_encoder(encoder)
    weights = sum(part.numel() for layer in loaded.layers for part in layer.parameters() if part.dim() > 1)
    lengths = data.train.tokens.lengths.astype(np.float64)
    return float(6 * weights * lengths.mean() + 12 * len(loaded.layers) * loaded.width * (lengths**2).mean())


def matmul_tflops(device: torch.device, size: int) -> float:
    """The best of a few large bf16 products: what this chip can do here, now."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = 0.0
    for repeat in range(8):
        if device.type == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(10):
            left @ right
        if device.type == "cuda":
            torch.cuda.synchronize()
        if repeat:
            best = max(best, 10 * 2 * size**3 / (time.perf_counter() - started) / 1e12)
    return best


def measured(sides: dict[str, Side], device: torch.device, size: Size) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Rates of each side by turn, then peak memory and accuracy."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    figures: dict[str, Any] = {}
    for turn in range(size.turns):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            rates[name].append(sides[name].timed())
            print(f"turn {turn + 1}: {name}examples_per_second {rates[name][-1]:,.0f}")
    for name, side in sides.items():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        figures[f"{name}accuracy"] = round(side.accuracy(), 4)
        memory = torch.cuda.max_memory_allocated() / 1e6 if device.type == "cuda" else peak_mb()
        figures[f"{name}peak_memory_mb"] = round(memory)
    return rates, figures


def can_compile(data: TrainingData, config: TrainConfig) -> TrainConfig:
    """With the encoder compiled, when that works here."""
    one = data.train.take(np.arange(config.batch_size))
    tried = dataclasses.replace(config, compile="on", epochs=1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            fit(dataclasses.replace(data, train=one), tried, folder=Path(folder), report=silent, progress=silent)
    except MachineError as error:
        print(f"{error}")
        return dataclasses.replace(config, compile="off")
    return dataclasses.replace(config, compile="on")


def _some(tickets: TicketArrays, most: int) -> TicketArrays:
    return tickets.take(np.random.default_rng(0).permutation(len(tickets))[:most])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="a train and a test file with columns text and category")
    parser.add_argument("--examples", type=Path, help="Parquet of examples: read when there, else made")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="a Hugging Face id or folder")
    parser.add_argument("--device", default="auto", help="auto, cuda or cpu")
    parser.add_argument("--batch-size", type=int, default=preset("gpu").batch_size)
    parser.add_argument("--quick", action="store_true", help="few steps: shows that it works")
    asked = parser.parse_args()
    if len(asked.files) not in (0, 2):
        parser.error("name a train and a test file, or none")
    device = choose_device(asked.device)
    quick = asked.quick
    if device.type != "cuda" and not quick:
        print("No CUDA device: the quick sizes, on the CPU.")
        device, quick = torch.device("cpu"), True
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        figures = compared(asked, device, QUICK if quick else FULL, Path(folder), quick=quick)
    record("gpu_train", figures, seconds=time.perf_counter() - started)


def compared(
    asked: argparse.Namespace, device: torch.device, size: Size, folder: Path, *, quick: bool
) -> dict[str, Any]:
    """All figures."""
    examples = read_examples(asked.examples, asked.files, tickets=size.tickets)
    encoder = encoder_here(asked.encoder, examples["text"].to_pylist(), folder)
    config = dataclasses.replace(
        preset("gpu"), encoder=encoder, device=str(device), epochs=size.epochs, batch_size=asked.batch_size
    )
    data = training_of(examples, encoder, config)
    if quick:
        data = dataclasses.replace(data, train=_some(data.train, size.tickets), test=_some(data.test, size.tickets))
    if device.type == "cuda":
        config = can_compile(data, config)
    sides = {"": ours(data, config, size), "trainer_": trainer(data, encoder, device, size, quick=quick)}
    rates, figures = measured(sides, device, size)
    ratios = [a / b for a, b in zip(rates[""], rates["trainer_"], strict=True)]
    rate = float(np.median(rates[""]))
    tflops, peak = rate * flop_an_example(data, encoder) / 1e12, matmul_tflops(device, size.matmul)
    chip = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor() or "CPU"
    sheet = next((value for name, value in DATA_SHEET.items() if name in chip), None)
    return {
        "examples_per_second": round(rate, 1),
        "trainer_examples_per_second": round(float(np.median(rates["trainer_"])), 1),
        "times_trainer": round(float(np.median(ratios)), 2),
        "times_trainer_least": round(min(ratios), 2),
        "times_trainer_most": round(max(ratios), 2),
        **figures,
        "tflops": round(tflops, 4),
        "matmul_tflops": round(peak, 3),
        "share_of_matmul": round(tflops / peak, 4),
        **({"data_sheet_tflops": sheet, "share_of_data_sheet": round(tflops / sheet, 4)} if sheet else {}),
        "tokens_a_ticket": round(float(data.train.tokens.lengths.mean()), 1),
        "batch_size": config.batch_size,
        "compiled": config.compile == "on",
        "tickets": len(data.train),
        "device": chip,
        "torch": torch.__version__,
        "quick": quick,
    }


if __name__ == "__main__":
    try:
        main()
    except TriageError as error:
        sys.exit(f"gpu_train: {error}")
