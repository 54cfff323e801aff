"""Texts to vectors with a pretrained encoder, served as the product serves its own: an int8 ONNX graph on one thread.

So the rungs that use an encoder differ in what they learn, not in how they are run.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn.functional import normalize

from models.batches import tokenise
from models.encoder import TextEncoder
from models.inference import BATCH
from models.machine import cores
from models.onnx import OPSET, quantise

_INPUTS = ("input_ids", "attention_mask")


class MeanPooled(nn.Module):
    """An encoder and the mean of its token states, of length one."""

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.encoder = encoder  # models.onnx quantises what bears this name

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """(batch, T) int64 twice -> (batch, width)."""
        states = self.encoder(input_ids, attention_mask)
        return normalize((states * attention_mask.unsqueeze(2).to(states.dtype)).sum(dim=1), dim=1)


@dataclass(frozen=True)
class TextVectors:
    """A quantised graph and its tokenizer, in memory."""

    graph: bytes
    tokenizer: Tokenizer
    _one_thread: Any

    @classmethod
    def of(cls, pooled: MeanPooled, tokenizer: Tokenizer) -> TextVectors:
        """Export and quantise. Raises MachineError without `onnx`, ReleaseError for an encoder without matrix
        products."""
        pooled = pooled.to("cpu").eval()
        example = torch.ones(2, 8, dtype=torch.int64), torch.ones(2, 8, dtype=torch.int64)
        axes = {name: {0: "batch", 1: "tokens"} for name in _INPUTS} | {"vectors": {0: "batch"}}
        with tempfile.TemporaryDirectory() as folder:
            exact, small = Path(folder) / "exact.onnx", Path(folder) / "small.onnx"
            with warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # the tracer warns of every shape it reads
                torch.onnx.export(
                    pooled,
                    example,
                    str(exact),
                    input_names=list(_INPUTS),
                    output_names=["vectors"],
                    dynamic_axes=axes,
                    opset_version=OPSET,
                    dynamo=False,
                )
            quantise(exact, small)
            graph = small.read_bytes()
        return cls(graph, tokenizer, _session(graph, threads=1))

    @property
    def megabytes(self) -> float:
        return (len(self.graph) + len(self.tokenizer.to_str().encode())) / 1e6

    def embed(self, texts: Sequence[str], *, all_cores: bool = False) -> NDArray[np.float32]:
        """(n, width) float32 of length one, in the order given. All cores are for training, one is how it is served."""
        session = _session(self.graph, threads=cores()) if all_cores else self._one_thread
        tokens = tokenise(self.tokenizer, texts)
        order = np.argsort(tokens.lengths, kind="stable")
        parts = []
        for start in range(0, len(order), BATCH):
            ids, mask = tokens.padded(order[start : start + BATCH])
            parts.append(session.run(None, {"input_ids": ids, "attention_mask": mask})[0])
        if not parts:
            return np.zeros((0, session.get_outputs()[0].shape[-1]), np.float32)
        found: NDArray[np.float32] = np.concatenate(parts)[np.argsort(order)]
        return found


def _session(graph: bytes, *, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads sleep, as in the service
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
