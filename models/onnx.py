"""From the trained network to model.onnx: export, int8 quantisation, and proof that both still say the same.

Only the encoder's matrix products are quantised (weights per channel, activations on the fly). The heads stay in
float: they are small, and contact types lie close together there.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models import release as names
from models.attributes import encode_attributes
from models.batches import tokenise
from models.inference import INPUTS, OUTPUTS, OnnxModel, Outputs
from models.network import TriageNetwork
from models.predictions import ModelInputs
from models.tree_index import path_probabilities
from tickets.errors import MachineError, ReleaseError

log = structlog.get_logger()

OPSET = 17
_BATCH = {0: "batch"}
_TOKENS = {0: "batch", 1: "tokens"}
_DYNAMIC = {
    **dict.fromkeys(INPUTS[:2], _TOKENS),
    **dict.fromkeys(INPUTS[2:], _BATCH),
    **dict.fromkeys(OUTPUTS[:3], _BATCH),
    OUTPUTS[3]: _TOKENS,
}
ENCODER_NODES = "/encoder/"  # how the exporter names what stands inside TriageNetwork.encoder
CLOSE_ENOUGH = 1e-3  # fp32 graph against torch: only the order of additions differs


@dataclass(frozen=True, slots=True)
class Parity:
    """How far two versions of a model are apart on the same tickets."""

    tickets: int
    cosine: float  # mean between ticket vectors, 1 is equal
    agreement: float  # share of tickets with the same likeliest leaf
    probability_gap: float  # mean change of the likeliest leaf's probability


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What int8 may cost. Agreement is reported and not limited: on near ties either answer is as good."""

    least_cosine: float = 0.97
    most_probability_gap: float = 0.06


def export(network: TriageNetwork, path: Path) -> None:
    """Write the network as an fp32 graph with any number of tickets and tokens. Raises MachineError without `onnx`."""
    network = network.to("cpu").eval()
    spec = network.spec
    example = (
        torch.ones(2, 8, dtype=torch.int64),
        torch.ones(2, 8, dtype=torch.int64),
        torch.zeros(2, len(spec.categories), dtype=torch.int64),
        torch.zeros(2, len(spec.numbers)),
        torch.zeros(2, len(spec.numbers)),
    )
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the tracer warns of every shape it reads; parity is checked on real texts
            torch.onnx.export(
                network,
                example,
                str(path),
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_axes=_DYNAMIC,
                opset_version=OPSET,
                dynamo=False,
            )
    except ImportError as error:
        raise MachineError(
            f"cannot export: {error}.", hint='Run `pip install -e ".[models]"` in the checkout.'
        ) from error


def quantise(source: Path, target: Path) -> int:
    """Write the graph with int8 weights in the encoder's matrix products; returns how many were changed.

    Raises ReleaseError when none was found, MachineError without `onnxruntime`.
    """
    try:
        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MachineError(
            f"cannot quantise: {error}.", hint='Run `pip install -e ".[models]"` in the checkout.'
        ) from error

    # Without this the quantiser complains to the root logger. Its other two passes gain nothing here.
    quant_pre_process(str(source), str(source), skip_optimization=True, skip_symbolic_shape=True)
    graph = onnx.load(str(source)).graph
    constants = {tensor.name for tensor in graph.initializer}
    chosen = [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and node.name.startswith(ENCODER_NODES) and constants.intersection(node.input)
    ]
    if not chosen:
        raise ReleaseError(f"{source.name} has no matrix product to quantise.", hint="Choose a BERT-like encoder.")
    quantize_dynamic(str(source), str(target), weight_type=QuantType.QInt8, per_channel=True, nodes_to_quantize=chosen)
    return len(chosen)


def torch_outputs(network: TriageNetwork, tokenizer: Tokenizer, inputs: ModelInputs) -> Outputs:
    """What the network itself says of the tickets, one by one, on the CPU: the yardstick of parity."""
    network = network.to("cpu").eval()
    tokens = tokenise(tokenizer, inputs.texts)
    encoded = encode_attributes(network.spec, inputs.rows)
    parts = []
    with torch.no_grad():
        for row in range(len(tokens)):
            one = np.array([row])
            attributes = (encoded.categories[one], encoded.numbers[one], encoded.missing[one])
            output = network(*(torch.from_numpy(array) for array in (*tokens.padded(one), *attributes)))
            parts.append([tensor.numpy() for tensor in output[:3]])
    vectors, logits, queries = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Outputs(vectors, logits, queries, [])


def parity(network: TriageNetwork, expected: Outputs, found: Outputs) -> Parity:
    """Compare two models' outputs for the same tickets."""
    leaves = network.index.leaves
    before, after = (path_probabilities(network.index, out.node_logits)[:, leaves] for out in (expected, found))
    top = before.argmax(axis=1)
    rows = np.arange(len(top))
    return Parity(
        tickets=len(top),
        cosine=float(np.mean(np.sum(expected.vectors * found.vectors, axis=1))),
        agreement=float(np.mean(top == after.argmax(axis=1))),
        probability_gap=float(np.mean(np.abs(before[rows, top] - after[rows, top]))),
    )


def check_parity(found: Parity, tolerance: Tolerance) -> None:
    """Raises ReleaseError when quantisation changed the model more than it may."""
    log.info("parity", cosine=found.cosine, agreement=found.agreement, probability_gap=found.probability_gap)
    if found.cosine < tolerance.least_cosine or found.probability_gap > tolerance.most_probability_gap:
        raise ReleaseError(
            f"int8 changed the model too much on {found.tickets} tickets: cosine {found.cosine:.3f} (at least "
            f"{tolerance.least_cosine}), probability gap {found.probability_gap:.3f} (at most "
            f"{tolerance.most_probability_gap}).",
            hint="Choose another encoder, or train longer at a lower learning rate.",
        )


def export_checked(
    network: TriageNetwork,
    tokenizer: Tokenizer,
    folder: Path,
    inputs: ModelInputs,
    *,
    max_tokens: int,
) -> Parity:
    """Write the folder's model.onnx, int8, and prove it on `inputs`: first fp32 against torch, then int8 against torch.

    The folder has tokenizer.json and attributes.json already. Raises ReleaseError, naming the step that failed.
    """
    exact, served = folder / "model-fp32.onnx", folder / names.ONNX
    export(network, exact)
    expected = torch_outputs(network, tokenizer, inputs)
    try:
        plain = OnnxModel.load(folder, max_tokens=max_tokens, graph=exact.name).run(*inputs)
        _refuse_unequal(expected.node_logits, plain.node_logits, "node logits")
        _refuse_unequal(expected.vectors, plain.vectors, "ticket vectors")
        _refuse_unequal(expected.template_queries, plain.template_queries, "template queries")
        quantise(exact, served)
    finally:
        exact.unlink(missing_ok=True)
    found = parity(network, expected, OnnxModel.load(folder, max_tokens=max_tokens).run(*inputs))
    check_parity(found, Tolerance())
    return found


def _refuse_unequal(expected: NDArray[np.float32], found: NDArray[np.float32], what: str) -> None:
    furthest = float(np.abs(expected - found).max(initial=0.0))
    if not furthest <= CLOSE_ENOUGH * max(1.0, float(np.abs(expected).max(initial=0.0))):
        raise ReleaseError(
            f"the exported graph's {what} differ from the network's by {furthest:.2g}.",
            hint="This encoder does not export faithfully; choose another.",
        )
