"""What training writes into a model directory beside the ONNX graph: encoder, heads, tokenizer, catalogue, vectors."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from models import release as names
from models.attributes import save_attributes
from models.batches import TrainingData, template_text
from models.encoder import encoder_source
from models.heads import save_heads
from models.inference import OnnxModel
from models.neighbours import MOST, write_neighbours
from models.network import TriageNetwork
from models.predictions import ModelInputs, inputs_of
from tickets.catalogue import templates_to_text
from tickets.contact_types import tree_to_text
from tickets.workspace import write_text

PARITY_TICKETS = 64


def write_network(network: TriageNetwork, data: TrainingData, folder: Path, *, encoder: str) -> None:
    """Write all that is known before the graph exists. `encoder` is where the tokenizer's own files come from."""
    from transformers import AutoTokenizer, PreTrainedModel
    from transformers.utils import logging

    encoder_folder = folder / names.ENCODER
    logging.disable_progress_bar()  # only the command line prints
    cast(PreTrainedModel, network.encoder.model).save_pretrained(encoder_folder)
    AutoTokenizer.from_pretrained(encoder_source(encoder)).save_pretrained(encoder_folder)
    save_heads(network, folder / names.HEADS)
    data.tokenizer.save(str(folder / names.TOKENIZER))
    save_attributes(data.attributes, folder / names.ATTRIBUTES)
    write_text(folder / names.TREE, tree_to_text(data.tree))
    write_text(folder / names.TEMPLATES, templates_to_text(data.templates))


def parity_inputs(data: TrainingData) -> ModelInputs:
    """Real tickets, spread over the validation period, to compare the graph with the network on."""
    rows = np.unique(np.linspace(0, len(data.validation) - 1, PARITY_TICKETS).round().astype(np.int64))
    return inputs_of(data.validation.rows.take(rows))


def write_vectors(model: OnnxModel, network: TriageNetwork, data: TrainingData, folder: Path) -> NDArray[np.float32]:
    """Write the vectors of the templates and of the most recent training tickets, and the rows of these tickets.

    Returns the template vectors, (T, width).
    """
    from safetensors.numpy import save_file

    recent = data.train.rows.slice(max(0, len(data.train) - MOST))
    outputs = model.run(*inputs_of(recent))
    texts = [template_text(template) for template in data.templates]
    templates = np.asarray(network.encode_templates(data.tokenizer, texts).numpy(), dtype=np.float32)
    vectors = {"templates": templates, "neighbours": outputs.vectors.astype(np.float16)}
    save_file({name: np.ascontiguousarray(array) for name, array in vectors.items()}, folder / names.VECTORS)
    nodes = data.train.node[-len(recent) :]
    write_neighbours(
        folder,
        recent["ticket_id"].to_pylist(),
        recent["text"].to_pylist(),
        [data.index.ids[node] for node in nodes],
    )
    return templates
