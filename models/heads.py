"""Everything of the network but the encoder, as heads.safetensors: written whole, read back whole or by name.

A retrained model starts from its predecessor: contact types that still exist keep what was learned of them, by id, and
attribute values by name; what is new starts from its text, or from nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import structlog
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models.attributes import FIRST_VALUE, AttributeSpec, Source, attributes_from_text, attributes_to_text
from models.network import CATEGORY_WIDTH, TriageNetwork
from tickets.errors import ReleaseError

log = structlog.get_logger()

_BY_NODE = ("decoder.difference", "decoder.bias", "decoder.texts", "decoder.mix")
_MADE_FRESH = ("decoder.texts", "decoder.mix")  # what a network has of a node before it learns
_LATER = ("decoder.mix", "ranker.type_weight")  # older releases lack them: a network keeps what it starts with
_EMBEDDING = "attributes.embedding.weight"
_FIRST_LAYER = "attributes.hidden.weight"


def save_heads(network: TriageNetwork, path: Path) -> None:
    """Write the heads, with the node ids and attribute specification they belong to."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in _head_state(network).items()}
    about = {"nodes": json.dumps(network.index.ids), "attributes": attributes_to_text(network.spec)}
    save_file(tensors, path, metadata=about)


def load_heads(network: TriageNetwork, path: Path) -> None:
    """Read heads into a network, of the same tree and attributes or of changed ones.

    Nodes are matched by id, columns of attributes and category values by name. A column that the file lacks weighs
    nothing yet; a node that it lacks keeps its present text vector and share, and has no learned difference.
    Raises ReleaseError when the file is no heads file or belongs to a network of another shape.
    """
    saved, nodes, spec = _read(path)
    state = {name: tensor.clone() for name, tensor in _head_state(network).items()}
    if missing := sorted(set(state) - set(saved) - set(_LATER)):
        raise ReleaseError(f"{path.name} lacks {missing[0]!r}.", hint="Train again with this version.")
    _match_nodes(network, saved, nodes)
    saved |= {name: state[name].cpu() for name in _LATER if name not in saved}
    _match_attributes(network, saved, spec, state)
    for name, tensor in state.items():
        if saved[name].shape != tensor.shape:
            raise ReleaseError(
                f"{name} in {path.name} has shape {tuple(saved[name].shape)}, not {tuple(tensor.shape)}.",
                hint="The folder is of another model than its release.json says: train or copy it again.",
            )
        tensor.copy_(saved[name])
    network.load_state_dict(state, strict=False)


def _read(path: Path) -> tuple[dict[str, Tensor], list[str], AttributeSpec]:
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open is no mapping
        return saved, json.loads(about["nodes"]), attributes_from_text(about["attributes"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ReleaseError(
            f"cannot read the heads in {path}: {error}.", hint="Train or copy the model again."
        ) from error


def _head_state(network: TriageNetwork) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("encoder.")}


def _match_nodes(network: TriageNetwork, saved: dict[str, Tensor], nodes: list[str]) -> None:
    if tuple(nodes) == network.index.ids:
        return
    place = {node: number for number, node in enumerate(nodes)}
    old = [place.get(node, -1) for node in network.index.ids]
    kept = torch.tensor([number >= 0 for number in old])
    rows = torch.tensor([max(0, number) for number in old])
    current = network.state_dict()
    for name in saved.keys() & set(_BY_NODE):
        fresh = current[name].cpu() if name in _MADE_FRESH else torch.zeros_like(current[name], device="cpu")
        carried = saved[name].index_select(0, rows)
        saved[name] = torch.where(kept.view(-1, *[1] * (carried.dim() - 1)), carried, fresh)
    log.info("nodes carried over", kept=int(kept.sum()), new=int((~kept).sum()))


def _match_attributes(
    network: TriageNetwork, saved: dict[str, Tensor], old: AttributeSpec, state: dict[str, Tensor]
) -> None:
    new = network.spec
    columns_before, columns_now = _input_columns(old), _input_columns(new)
    if columns_before != columns_now:
        log.info("attribute columns changed", before=len(columns_before), now=len(columns_now))
        weight = torch.zeros_like(state[_FIRST_LAYER], device="cpu")
        for column in columns_now.keys() & columns_before.keys():
            weight[:, columns_now[column]] = saved[_FIRST_LAYER][:, columns_before[column]]
        saved[_FIRST_LAYER] = weight
    before, now = _embedding_rows(old), _embedding_rows(new)
    embedding = state[_EMBEDDING].cpu().clone()
    for key in now.keys() & before.keys():
        embedding[now[key]] = saved[_EMBEDDING][before[key]]
    saved[_EMBEDDING] = embedding


def _input_columns(spec: AttributeSpec) -> dict[tuple[str, str, Source], list[int]]:
    """(kind, column, source) -> its inputs of the first layer, which reads embeddings, then numbers, then flags."""
    inputs: dict[tuple[str, str, Source], list[int]] = {}
    for place, category in enumerate(spec.categories):
        first = place * CATEGORY_WIDTH
        inputs["category", category.name, category.source] = list(range(first, first + CATEGORY_WIDTH))
    after = len(spec.categories) * CATEGORY_WIDTH
    for place, number in enumerate(spec.numbers, start=after):
        inputs["number", number.name, number.source] = [place, place + len(spec.numbers)]
    return inputs


def _embedding_rows(spec: AttributeSpec) -> dict[tuple[str, Source, str | int], int]:
    """(column, source, value) -> row of the embedding; missing and unseen go by their number."""
    rows: dict[tuple[str, Source, str | int], int] = {}
    for category in spec.categories:
        for value in (*range(FIRST_VALUE), *category.values):
            rows[category.name, category.source, value] = len(rows)
    return rows
