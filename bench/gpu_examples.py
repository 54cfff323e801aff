"""What bench/gpu_train.py trains on, made with no more than a bare GPU machine has: examples as Parquet, an encoder."""

from __future__ import annotations

import csv
import datetime as dt
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.config import DEFAULT_ENCODER, TrainConfig
from models.encoder import encoder_source, load_tokenizer
from models.training.data import TrainingData, training_data
from tickets.contact_types import ContactTypeTree
from tickets.dataset import dataset_from_toml
from tickets.examples import SCHEMA
from tickets.simulate import SimulationConfig, simulate

_DAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
_DATASET = {
    "format": "parquet",
    "created_at_constant": _DAY,
    "ticket": {"body": "text"},
    "outcome": {"contact_type": "contact_type"},
}
_VOCABULARY = 30_522  # of an encoder made here, as MiniLM has

Rows = list[tuple[str, str, str]]  # split, text, contact type


def read_examples(parquet: Path | None, files: Sequence[Path], *, tickets: int) -> pa.Table:
    """Examples (tickets.examples) in `parquet` when it is there. Else they are made, and written there when it is
    named: of a train and a test file in BANKING77's form, or, without files, of so many simulated tickets."""
    if parquet is not None and parquet.exists():
        return pq.read_table(parquet, schema=SCHEMA)
    made = _table(_of_files(*files) if files else _simulated(tickets))
    if parquet is not None:
        pq.write_table(made, parquet)
    return made


def training_of(examples: pa.Table, encoder: str, config: TrainConfig) -> TrainingData:
    """Training data whose tree is made of the contact types in the examples. No attributes, no templates."""
    return training_data(
        {split: examples.filter(pc.field("split") == split) for split in ("train", "validation", "test")},
        dataset=dataset_from_toml(_DATASET, name="examples"),
        tree=ContactTypeTree(nodes=()).with_paths(sorted(set(examples["contact_type"].to_pylist()))),
        templates=(),
        tokenizer=load_tokenizer(encoder, config.max_tokens),
        config=config,
        negatives={},
        report=print,
    )


def encoder_here(name: str, texts: Sequence[str], folder: Path) -> str:
    """The folder or id of `name`; where it is the default and that is not installed, an encoder of its shape with
    random weights in `folder`, its tokenizer fitted on the texts: it learns less, and is as fast."""
    if name != DEFAULT_ENCODER or importlib.util.find_spec(DEFAULT_ENCODER.replace("-", "_")) is not None:
        return encoder_source(name)
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    print(f"{DEFAULT_ENCODER} is not installed: an encoder of its shape with random weights stands in.")
    pieces = BertWordPieceTokenizer()
    pieces.train_from_iterator(texts, vocab_size=_VOCABULARY, show_progress=False)
    pieces.save(str(folder / "tokenizer.json"))
    BertTokenizerFast(tokenizer_file=str(folder / "tokenizer.json")).save_pretrained(folder)
    shape = BertConfig(
        vocab_size=_VOCABULARY,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    BertModel(shape).save_pretrained(folder)
    return str(folder)


def _of_files(train: Path, test: Path) -> Rows:
    """CSV files with the columns text and category; a tenth of the first, drawn by a seed, is for validation."""
    rows: Rows = []
    for split, path in (("train", train), ("test", test)):
        with path.open(encoding="utf-8", newline="") as file:
            read = [(row["text"], row["category"].replace("_", " ").strip()) for row in csv.DictReader(file)]
        drawn = set(np.random.default_rng(0).permutation(len(read))[: len(read) // 10].tolist())
        for place, (text, contact_type) in enumerate(read):
            rows.append(("validation" if split == "train" and place in drawn else split, text, contact_type))
    return rows


def _simulated(tickets: int) -> Rows:
    """Tickets of the simulated company as customers wrote them: the last tenth is for test, the tenth before it for
    validation."""
    config = SimulationConfig(seed=11, start=_DAY.date(), days=10, tickets_per_day=max(1, tickets // 10))
    written = [one for day in simulate(config) for one in day.tickets]
    train, validation = int(0.8 * len(written)), int(0.1 * len(written))
    splits = ["train"] * train + ["validation"] * validation + ["test"] * (len(written) - train - validation)
    return [
        (split, f"{one.ticket.subject}\n{one.ticket.body}".strip(), one.true_contact_type)
        for split, one in zip(splits, written, strict=True)
    ]


def _table(rows: Rows) -> pa.Table:
    columns = {
        "ticket_id": [f"t{number}" for number in range(len(rows))],
        "created_at": [_DAY] * len(rows),
        "text": [text for _, text, _ in rows],
        "language": ["en"] * len(rows),
        "channel": [""] * len(rows),
        "attributes": ["{}"] * len(rows),
        "statistics": ["{}"] * len(rows),
        "contact_type": [contact_type for _, _, contact_type in rows],
        "split": [split for split, _, _ in rows],
    }
    return pa.table({name: columns.get(name, [None] * len(rows)) for name in SCHEMA.names}, schema=SCHEMA)
