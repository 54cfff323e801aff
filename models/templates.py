"""Putting reply templates in order for a ticket. Pure numpy: suggesting and evaluating call the same function.

A template's score adds two things: how near its text stands to what the network asks for, and how much likelier than
usual the ticket is of a contact type that the template serves. The second holds for a template nobody sent yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.tree_index import TreeIndex
from tickets.contact_types import ContactTypeTree
from tickets.records import ReplyTemplate

Floats = TypeVar("Floats", bound=Any)  # numpy arrays when serving, torch tensors in training

DOUBT = 0.05  # share of tickets whose predicted contact types are taken to say nothing: no template is impossible
_LEAST = 1e-6  # a template of contact types that nobody asks about is as likely as usual


@dataclass(frozen=True, slots=True, eq=False)
class TemplateMatrix:
    """The templates of a release, one row each, the inactive ones too, and what their scores are made with. It is equal
    to itself alone, so what was found in one can be remembered."""

    templates: tuple[ReplyTemplate, ...]
    vectors: NDArray[np.float32]  # (T, width) of length 1
    serves: NDArray[np.float32]  # (T, L) 1 where a template may serve a leaf
    usual: NDArray[np.float32]  # (L,) share of each leaf in the label mix that serving starts from
    scale: float = 1.0  # of the dot product of query and vector
    type_weight: float = 0.0  # of the logarithm of the lift

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """What a release keeps of it beside the templates and the tree; `template_matrix` reads it back."""
        weights = np.array([self.scale, self.type_weight], np.float32)
        return {"templates": self.vectors, "template_weights": weights, "usual_leaves": self.usual}

    def rank(
        self, queries: NDArray[np.float32], leaves: NDArray[np.float32], languages: Sequence[str | None]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Template columns best first (n, T), and scores (n, T) in template order, natural logarithms up to a constant.

        `queries` (n, width) have length 1, `leaves` (n, L) are probabilities.
        """
        scores = self.scale * (queries @ self.vectors.T)
        if self.type_weight:
            scores += self.type_weight * np.log(lift(leaves, self.usual, self.serves))
        return readable_first(scores, self.templates, languages), scores.astype(np.float32)


def readable_first(
    scores: NDArray[np.floating[Any]], templates: Sequence[ReplyTemplate], languages: Sequence[str | None]
) -> NDArray[np.int64]:
    """Template columns (n, T) of scores (n, T), best first among those that can be sent.

    Active templates in the ticket's language stand first, then active ones in others, then inactive ones: an answer
    that the customer cannot read is no answer, yet nothing is hidden.
    """
    written_in = np.array([template.language for template in templates], dtype=object)
    inactive = np.array([not template.active for template in templates], dtype=bool)
    order = np.zeros(scores.shape, np.int64)
    for row, language in enumerate(languages):
        order[row] = np.lexsort((-scores[row], written_in != language, inactive))
    return order


def template_matrix(
    templates: Sequence[ReplyTemplate],
    tree: ContactTypeTree,
    index: TreeIndex,
    tensors: Mapping[str, NDArray[np.float32]],
) -> TemplateMatrix:
    """From what `TemplateMatrix.tensors` gave; a release from before there were weights ranks by text alone."""
    vectors = np.ascontiguousarray(tensors["templates"], dtype=np.float32)
    serves = served_leaves(templates, tree, index)
    if "template_weights" not in tensors:
        even = np.full(len(index.leaves), 1.0 / max(1, len(index.leaves)), np.float32)
        return TemplateMatrix(tuple(templates), vectors, serves, even)
    scale, type_weight = tensors["template_weights"].tolist()
    return TemplateMatrix(tuple(templates), vectors, serves, tensors["usual_leaves"], scale, type_weight)


def served_leaves(templates: Sequence[ReplyTemplate], tree: ContactTypeTree, index: TreeIndex) -> NDArray[np.float32]:
    """(T, L) 1 where a template names the leaf or a node above it, by its name of today or an earlier one; everywhere,
    where it names no node that is in use."""
    place = {node: position for position, node in enumerate(index.ids)}
    serves = np.ones((len(templates), len(index.leaves)), np.float32)
    for row, template in enumerate(templates):
        if nodes := [place[node] for name in template.contact_types for node in tree.migrate(name)]:
            serves[row] = index.leaves_under[nodes].max(axis=0)
    return serves


def lift(likely: Floats, usual: Floats, serves: Floats) -> Floats:
    """How many times likelier than usual a ticket is of a contact type that a template serves, with some doubt.

    `likely` (n, L) and `usual` (L,), or (n, L) of each ticket's own weeks, are probabilities of leaves, `serves`
    (T, L); (n, T), at least DOUBT.
    """
    odds: Floats = (likely @ serves.T + _LEAST) / (usual @ serves.T + _LEAST)
    shrunk: Floats = odds * (1 - DOUBT) + DOUBT
    return shrunk
