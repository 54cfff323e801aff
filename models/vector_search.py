"""Brute-force search for the nearest of many unit vectors, twice as fast again with int8 candidates.

The vectors of a release outgrow a core's cache in float32, and reading them drives the network's weights out of it. A
small ONNX graph holds them in int8 (a scale a vector) and names candidates; their cosines are then computed exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tickets.errors import MachineError

_ROWS = 256  # queries at a time: their cosines to 50,000 vectors take 51 MB; fewer multiply slower
_FEW = 8  # queries that one inference has at most
_GROUPS = 512  # of vectors, of which only the most promising are searched
_SPARE = 34  # candidates beyond those wanted: int8 is off by up to 0.003 (docs/experiments.md, 2026-11-30)
_OPSET = 17


@dataclass(frozen=True, slots=True)
class VectorSearch:
    """vectors (n, width) float32, rows of length 1; `candidates` is an open session of what write_candidates writes, or
    None: then all cosines are exact."""

    vectors: NDArray[np.float32]
    candidates: Any = None

    def closest(self, queries: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(m, width) unit vectors -> rows and cosines, both (m, k), closest first; k = count, or all there are."""
        count = min(count, len(self.vectors))
        if not count or not len(queries):
            return np.zeros((len(queries), count), np.int64), np.zeros((len(queries), count), np.float32)
        parts = [self._closest(queries[at : at + _ROWS], count) for at in range(0, len(queries), _ROWS)]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([found for _, found in parts])

    def _closest(self, queries: NDArray[np.float32], count: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        if self.candidates is None or count + _SPARE >= len(self.vectors):
            cosines = self._cosines(queries)
            rows = _largest(cosines, count)
            found = np.take_along_axis(cosines, rows, axis=1)
        else:
            (rough,) = self.candidates.run(None, {"queries": queries})
            rows = _largest(rough, count + _SPARE)
            found = np.matmul(self.vectors[rows], queries[:, :, None])[:, :, 0]
        order = np.argsort(-found, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(found, order, axis=1)

    def _cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """(m, width) -> (m, n). Of few queries with the vectors first: the other way round BLAS would bring all
        vectors into another order first, which takes twice as long (docs/experiments.md, 2026-11-30)."""
        if len(queries) > _FEW:
            whole: NDArray[np.float32] = queries @ self.vectors.T
            return whole
        return np.ascontiguousarray((self.vectors @ np.ascontiguousarray(queries.T)).T)


def write_candidates(vectors: NDArray[np.float32], path: Path) -> None:
    """Write the graph that says the cosines of `queries` (m, width) to the vectors (n, width) roughly, (m, n). Raises
    MachineError without `onnx`."""
    try:
        from onnx import TensorProto, helper, numpy_helper, save
    except ImportError as error:
        raise MachineError(
            f"cannot write a graph: {error}.", hint='Run `pip install -e ".[models]"` in the checkout.'
        ) from error
    count, width = vectors.shape
    scales = np.maximum(np.abs(vectors).max(axis=1), np.finfo(np.float32).tiny) / 127
    quantised = np.rint(vectors / scales[:, None]).astype(np.int8)
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["queries"], ["quantised", "query_scale", "zero"]),
        helper.make_node("MatMulInteger", ["quantised", "vectors", "zero"], ["products"]),
        helper.make_node("Cast", ["products"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scales"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "query_scale"], ["cosines"]),
    ]
    graph = helper.make_graph(
        nodes,
        "candidates",
        [helper.make_tensor_value_info("queries", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("cosines", TensorProto.FLOAT, [None, count])],
        [
            numpy_helper.from_array(np.ascontiguousarray(quantised.T), "vectors"),
            numpy_helper.from_array(scales[None].astype(np.float32), "scales"),
        ],
    )
    # The oldest file format that has all of this, so that older runtimes read it.
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8), str(path))


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Columns of the `count` largest values of each row, (m, count), in no order. What numpy.argpartition finds: the
    `count` largest lie in the `count` groups with the largest maxima, so it searches those alone, five times faster."""
    depth = values.shape[1] // _GROUPS
    if depth < 2 or count > _GROUPS:
        return np.argpartition(values, -count, axis=1)[:, -count:]
    grouped = depth * _GROUPS  # column c is in group c % _GROUPS; the columns after these are searched as well
    highest = values[:, :grouped].reshape(len(values), depth, _GROUPS).max(axis=1)
    groups = np.argpartition(highest, -count, axis=1)[:, -count:]
    columns = (groups[:, None, :] + _GROUPS * np.arange(depth)[:, None]).reshape(len(values), -1)
    rest = np.broadcast_to(np.arange(grouped, values.shape[1]), (len(values), values.shape[1] - grouped))
    columns = np.concatenate([columns, rest], axis=1)
    found = np.argpartition(np.take_along_axis(values, columns, axis=1), -count, axis=1)[:, -count:]
    return np.take_along_axis(columns, found, axis=1)
