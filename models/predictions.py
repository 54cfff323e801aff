"""From raw outputs to what can be trusted: calibrated probabilities, the likeliest leaf, out of scope, abstaining."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from models import release as names
from models.attributes import AttributeRow, attribute_rows
from models.calibrate import Calibration, leaf_probabilities
from models.confidence.newcomers import welcomed
from models.confidence.scope import LIMIT as SCOPE_LIMIT
from models.confidence.scope import energies, signs
from models.confidence.votes import Votes
from models.inference import OnnxModel, Outputs, TokenWeights
from models.neighbours import Neighbours, distance
from models.release import Release
from models.tree_index import TreeIndex, index_tree, node_probabilities
from tickets.catalogue import load_tree

OUT_OF_SCOPE = "out of scope"
TOO_UNSURE = "too unsure"


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
    rows, cosines = neighbours.search(outputs.vectors)
    columns = neighbours.leaf_columns(index, rows) if calibration.votes.share else np.full(rows.shape, -1, np.int64)
    leaves = leaf_probabilities(index, outputs.node_logits, columns, cosines, calibration)
    # In float32 as they are kept: among equals the first, as top_leaves.
    probabilities = node_probabilities(index, leaves.astype(np.float32))
    predicted = index.leaves[probabilities[:, index.leaves].argmax(axis=1)]
    probability = probabilities[np.arange(len(predicted)), predicted]
    near = distance(cosines, calibration.scope.closest)
    heard = welcomed(index, outputs.node_logits, calibration.welcome)
    energy = energies(index, heard, calibration.temperatures)
    strangeness = calibration.scope.strangeness(signs(near, energy, probability.astype(np.float64)))
    out_of_scope = calibration.out_of_scope(strangeness)
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
        """`threads` batches run at once. Raises ReleaseError when a file cannot be read as what it should be."""
        return cls(
            OnnxModel.load(release.folder, max_tokens=release.max_tokens, threads=threads),
            index_tree(load_tree(release.path(names.TREE))),
            release.calibration,
            Neighbours.load(release.folder),
        )

    def alone(self) -> Predictor:
        """The same without the votes of training tickets. For tickets that the model learned from: the nearest training
        ticket of such a one is itself."""
        return dataclasses.replace(self, calibration=dataclasses.replace(self.calibration, votes=Votes()))

    def predict(self, inputs: ModelInputs, *, explain: bool = False) -> Predictions:
        outputs = self.model.run(inputs.texts, inputs.rows, explain=explain)
        return interpret(outputs, self.index, self.calibration, self.neighbours)
