"""From raw outputs to what can be trusted: calibrated probabilities, the likeliest leaf, out of scope, abstaining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models import release as names
from models.attributes import AttributeRow, attribute_rows
from models.calibrate import SCOPE_LIMIT, Calibration
from models.inference import OnnxModel, Outputs, TokenWeights
from models.neighbours import Neighbours, distance
from models.release import Release
from models.tree_index import TreeIndex, index_tree, path_probabilities
from tickets.catalogue import load_tree

OUT_OF_SCOPE = "out of scope"
TOO_UNSURE = "too unsure"
_ROWS = 1024  # tickets at a time: sibling groups are padded to the largest, which multiplies their memory


class ModelInputs(NamedTuple):
    """What the model reads of n tickets: `texts` from pipeline.text.features.model_text, and their attributes."""

    texts: Sequence[str]
    rows: Sequence[AttributeRow]


def inputs_of(features: pa.Table) -> ModelInputs:
    """The inputs in rows of the FEATURES table, or examples: their `text` and what `attribute_rows` reads."""
    return ModelInputs(features["text"].to_pylist(), attribute_rows(features))


@dataclass(frozen=True, slots=True)
class Predictions:
    """n tickets, in the order given. Node columns are in tree order."""

    embeddings: NDArray[np.float32]  # (n, width) length 1
    node_probabilities: NDArray[np.float32]  # (n, N) calibrated, of the path going through each node
    predicted: NDArray[np.int64]  # (n,) node of the likeliest leaf
    probability: NDArray[np.float32]  # (n,) its calibrated probability
    out_of_scope: NDArray[np.float32]  # (n,) 0 to 1
    abstained: NDArray[np.bool_]  # (n,)
    template_queries: NDArray[np.float32]  # (n, width) length 1
    neighbours: NDArray[np.int64]  # (n, k) rows of Neighbours, closest first
    cosines: NDArray[np.float32]  # (n, k)
    tokens: list[TokenWeights]

    def __len__(self) -> int:
        return len(self.predicted)

    def abstain_reason(self, ticket: int) -> str | None:
        if not self.abstained[ticket]:
            return None
        return OUT_OF_SCOPE if self.out_of_scope[ticket] > SCOPE_LIMIT else TOO_UNSURE


def interpret(outputs: Outputs, index: TreeIndex, calibration: Calibration, neighbours: Neighbours) -> Predictions:
    """Calibrated predictions from the raw outputs of n tickets."""
    logits = outputs.node_logits
    probabilities = np.zeros_like(logits)
    for start in range(0, len(logits), _ROWS):
        part = slice(start, start + _ROWS)
        probabilities[part] = path_probabilities(index, logits[part], calibration.temperatures)
    predicted = index.leaves[probabilities[:, index.leaves].argmax(axis=1)]  # among equals the first, as top_leaves
    probability = probabilities[np.arange(len(predicted)), predicted]
    rows, cosines = neighbours.search(outputs.vectors)
    out_of_scope = calibration.out_of_scope(distance(cosines))
    return Predictions(
        embeddings=outputs.vectors,
        node_probabilities=probabilities,
        predicted=predicted,
        probability=probability,
        out_of_scope=out_of_scope,
        abstained=(out_of_scope > SCOPE_LIMIT) | (probability < calibration.abstain_below),
        template_queries=outputs.template_queries,
        neighbours=rows,
        cosines=cosines,
        tokens=outputs.tokens,
    )


@dataclass(frozen=True, slots=True)
class Predictor:
    """A loaded model and what is needed to read its outputs."""

    model: OnnxModel
    index: TreeIndex
    calibration: Calibration
    neighbours: Neighbours

    @classmethod
    def load(cls, release: Release, *, threads: int = 1) -> Predictor:
        """`threads` work inside one batch. Raises ReleaseError when a file cannot be read as what it should be."""
        return cls(
            OnnxModel.load(release.folder, max_tokens=release.max_tokens, threads=threads),
            index_tree(load_tree(release.path(names.TREE))),
            release.calibration,
            Neighbours.load(release.folder),
        )

    def predict(self, inputs: ModelInputs, *, explain: bool = False) -> Predictions:
        outputs = self.model.run(inputs.texts, inputs.rows, explain=explain)
        return interpret(outputs, self.index, self.calibration, self.neighbours)
