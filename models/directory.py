"""What training writes into a model directory beside the ONNX graph: encoder, heads, tokenizer, catalogue, vectors,
findings. Its layout is that of Hugging Face: a model card at the root, and `encoder/` loads by plain transformers.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models import release as names
from models.attributes import save_attributes
from models.diagnosis.mistakes import reliability
from models.diagnosis.slices import compare_slices, slicings_of
from models.encoder import encoder_source, quietly
from models.evaluate import Figures, splits
from models.heads import save_heads
from models.inference import OnnxModel
from models.neighbours import MOST, write_neighbours
from models.network import TriageNetwork
from models.predictions import ModelInputs, Predictions, inputs_of
from models.quality import class_report
from models.reference import predictions_table
from models.templates import TemplateMatrix, served_leaves
from models.training.data import TrainingData, template_text
from tickets.catalogue import templates_to_text
from tickets.contact_types import tree_to_text
from tickets.workspace import write_text

PARITY_TICKETS = 64
LICENCE_FILE = "LICENSE"  # so the hub looks for it
LICENCE = """\
This model learned from the support tickets of those who trained it, and keeps excerpts of them. This file gives nobody
else a licence to it. Whoever trained it may put another text here.

The text encoder goes back to another model, named in README.md, whose licence stays in force for it.
"""
_MOST_VALUES = 20  # languages, channels, label sources that are counted by name


def write_network(network: TriageNetwork, data: TrainingData, folder: Path, *, encoder: str) -> None:
    """Write all that is known before the graph exists. `encoder` is where the tokenizer's own files come from."""
    from transformers import AutoTokenizer, PreTrainedModel

    encoder_folder = folder / names.ENCODER
    with quietly():
        cast(PreTrainedModel, network.encoder.model).save_pretrained(encoder_folder)
    tokenizer = AutoTokenizer.from_pretrained(encoder_source(encoder))
    limit = data.tokenizer.truncation or {}
    tokenizer.model_max_length = limit.get("max_length", tokenizer.model_max_length)  # cut where the product cuts
    tokenizer.save_pretrained(encoder_folder)
    write_text(folder / LICENCE_FILE, LICENCE)
    save_heads(network, folder / names.HEADS)
    data.tokenizer.save(str(folder / names.TOKENIZER))
    save_attributes(data.attributes, folder / names.ATTRIBUTES)
    write_text(folder / names.TREE, tree_to_text(data.tree))
    write_text(folder / names.TEMPLATES, templates_to_text(data.templates))


def parity_inputs(data: TrainingData) -> ModelInputs:
    """Real tickets, spread over the validation period, to compare the graph with the network on."""
    rows = np.unique(np.linspace(0, len(data.validation) - 1, PARITY_TICKETS).round().astype(np.int64))
    return inputs_of(data.validation.rows.take(rows))


def write_vectors(model: OnnxModel, network: TriageNetwork, data: TrainingData, folder: Path) -> TemplateMatrix:
    """Write the vectors of the templates and of the most recent training tickets, and the rows of these tickets.

    Returns what ranks templates.
    """
    from safetensors.numpy import save_file

    recent = data.train.rows.slice(max(0, len(data.train) - MOST))
    outputs = model.run(*inputs_of(recent))
    texts = [template_text(template) for template in data.templates]
    templates = TemplateMatrix(
        data.templates,
        np.asarray(network.encode_templates(data.tokenizer, texts).numpy(), dtype=np.float32),
        served_leaves(data.templates, data.tree, data.index),
        network.decoder.usual_leaves()[0].cpu().numpy(),
        scale=network.ranker.log_scale.exp().item(),
        type_weight=network.ranker.type_weight.item() if network.condition_on_contact_type else 0.0,
    )
    vectors = templates.tensors() | {"neighbours": outputs.vectors.astype(np.float16)}
    save_file({name: np.ascontiguousarray(array) for name, array in vectors.items()}, folder / names.VECTORS)
    nodes = data.train.node[-len(recent) :]
    write_neighbours(
        folder,
        vectors["neighbours"].astype(np.float32),  # as they are read again
        ticket_ids=recent["ticket_id"].to_pylist(),
        texts=recent["text"].to_pylist(),
        contact_types=[data.index.ids[node] for node in nodes],
    )
    return templates


def write_findings(
    data: TrainingData, predictions: Mapping[str, Predictions], metrics: Mapping[str, Figures], folder: Path
) -> None:
    """Write reference.parquet, and metrics.json: the figures of everyone, and of each split a row a contact type, the
    slices, the reliability of probabilities, and what the tickets are."""
    found: dict[str, Any] = {"contact_types": {}, "slices": {}, "reliability": {}, "tickets": {}}
    for split in ("train", "validation", "test"):
        found["tickets"][split] = _about(getattr(data, split).rows)
    for split, tickets in splits(data).items():
        made = predictions[split]
        right = data.index.ancestors[tickets.node, made.predicted] > 0  # for an inner node any leaf under it
        slices = compare_slices(slicings_of(tickets.rows, data.attributes), ~right, tickets.node, made.probability)
        leaves = made.node_probabilities[:, data.index.leaves]
        found["contact_types"][split] = class_report(data.index, leaves, tickets.node)
        found["slices"][split] = [asdict(one) for one in slices]
        found["reliability"][split] = [asdict(one) for one in reliability(made.probability, right)]
    write_text(folder / names.METRICS, json.dumps({**metrics, **found}, indent=1, ensure_ascii=False))
    reference = predictions_table(data.validation.rows, data.validation.node, predictions["validation"], data.index)
    pq.write_table(reference, folder / names.REFERENCE)


def _about(rows: pa.Table) -> dict[str, Any]:
    """Counts of languages, channels and label sources, commonest first, and of contact types."""

    def counted(name: str) -> dict[str, int]:
        values = Counter(value or "unknown" for value in rows[name].to_pylist())
        return dict(values.most_common(_MOST_VALUES))

    return {
        "languages": counted("language"),
        "channels": counted("channel"),
        "label_sources": counted("outcome_source"),
        "contact_types": len(set(rows["contact_type"].to_pylist())),
    }
