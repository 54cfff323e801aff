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
from tickets.records import ReplyTemplate

Floats = TypeVar("Floats", bound=Any)  # numpy arrays when serving, torch tensors in training

DOUBT = 0.05  # share of tickets whose predicted contact types are taken to say nothing: no template is impossible
_LEAST = 1e-6  # a template of contact types that nobody asks about is as likely as usual


@dataclass(frozen=True, slots=True)
class TemplateMatrix:
    """The templates of a release, one row each, the inactive ones too, and what their scores are made with."""

    templates: tuple[ReplyTemplate, ...]
    vectors: NDArray[np.float32]  # (T, width) of length 1
    serves: NDArray[np.float32]  # (T, L) 1 where a template may serve a leaf
    usual: NDArray[np.float32]  # (L,) share of each leaf among the tickets that were learned from last
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

        `queries` (n, width) have length 1, `leaves` (n, L) are probabilities. Active templates in the ticket's language
        stand first, then active ones in others, then inactive ones: an answer that the customer cannot read is no
        answer, yet nothing is hidden.
        """
        scores = self.scale * (queries @ self.vectors.T)
        if self.type_weight:
            scores += self.type_weight * np.log(lift(leaves, self.usual, self.serves))
        written_in = np.array([template.language for template in self.templates], dtype=object)
        inactive = np.array([not template.active for template in self.templates], dtype=bool)
        order = np.zeros(scores.shape, np.int64)
        for row, language in enumerate(languages):
            order[row] = np.lexsort((-scores[row], written_in != language, inactive))
        return order, scores.astype(np.float32)


def template_matrix(
    templates: Sequence[ReplyTemplate], index: TreeIndex, tensors: Mapping[str, NDArray[np.float32]]
) -> TemplateMatrix:
    """From what `TemplateMatrix.tensors` gave; a release from before there were weights ranks by text alone."""
    vectors = np.ascontiguousarray(tensors["templates"], dtype=np.float32)
    serves = served_leaves(templates, index)
    if "template_weights" not in tensors:
        return TemplateMatrix(tuple(templates), vectors, serves, np.full(len(index.leaves), 1.0, np.float32))
    scale, type_weight = tensors["template_weights"].tolist()
    return TemplateMatrix(tuple(templates), vectors, serves, tensors["usual_leaves"], scale, type_weight)


def served_leaves(templates: Sequence[ReplyTemplate], index: TreeIndex) -> NDArray[np.float32]:
    """(T, L) 1 where a template names the leaf or a node above it; everywhere, where it names no node of the tree."""
    place = {node: position for position, node in enumerate(index.ids)}
    serves = np.ones((len(templates), len(index.leaves)), np.float32)
    for row, template in enumerate(templates):
        if nodes := [place[name] for name in template.contact_types if name in place]:
            serves[row] = index.leaves_under[nodes].max(axis=0)
    return serves


def lift(likely: Floats, usual: Floats, serves: Floats) -> Floats:
    """How many times likelier than usual a ticket is of a contact type that a template serves, with some doubt.

    `likely` (n, L) and `usual` (L,) are probabilities of leaves, `serves` (T, L); (n, T), at least DOUBT.
    """
    odds: Floats = (likely @ serves.T + _LEAST) / (serves @ usual + _LEAST)
    shrunk: Floats = odds * (1 - DOUBT) + DOUBT
    return shrunk
