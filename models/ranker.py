"""The template ranker: a query from the ticket and its likely contact type, against vectors read from templates' texts.

Templates have no parameters of their own, so one written today ranks today. Training compares each ticket's template
with those of the other tickets in the batch and with a few that agents did not send; because a frequent template stands
in more batches, its score is lowered by the logarithm of that chance (Bengio and Senecal 2008; Yi et al. 2019).
Whether a template serves the ticket's likely contact types counts beside its text (models/templates.py), so that the
text need tell only the rest, and tells it of templates that nobody sent yet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from models.config import VECTOR_SIZE

_FIRST_SCALE = 10.0
_HIDDEN = 384


class TemplateRanker(nn.Module):
    """Builds queries and template vectors; both have length one, their dot product is the score."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * VECTOR_SIZE, _HIDDEN)
        self.difference = nn.Linear(_HIDDEN, VECTOR_SIZE)
        self.template = nn.Linear(VECTOR_SIZE, VECTOR_SIZE)
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))
        self.type_weight = nn.Parameter(torch.tensor(1.0))
        nn.init.zeros_(self.difference.weight)  # so that the first query is the sum of ticket and contact type
        nn.init.zeros_(self.difference.bias)
        nn.init.eye_(self.template.weight)
        nn.init.zeros_(self.template.bias)

    def forward(self, ticket_vector: Tensor, contact_type_vector: Tensor) -> Tensor:
        """(batch, 384) twice -> template query (batch, 384)."""
        both = torch.cat([ticket_vector, contact_type_vector], dim=1)
        learned = self.difference(torch.nn.functional.gelu(self.hidden(both)))
        return normalize(ticket_vector + contact_type_vector + learned, dim=1)

    def template_vectors(self, text_vectors: Tensor) -> Tensor:
        """Encoded template texts (n, 384) -> template vectors (n, 384)."""
        return normalize(self.template(text_vectors), dim=1)

    def loss(
        self, query: Tensor, vectors: Tensor, target: Tensor, log_chance: Tensor, log_lift: Tensor | None = None
    ) -> Tensor:
        """Mean cross-entropy in nats of each query's own template among the candidates.

        `query` (batch, 384), `vectors` (candidates, 384), `target` (batch,) indices into the candidates, `log_chance`
        (candidates,) how likely each was to be a candidate, `log_lift` (batch, candidates) how much likelier than usual
        the contact types it serves are.
        """
        logits = self.log_scale.exp() * (query @ vectors.T) - log_chance
        if log_lift is not None:
            logits = logits + self.type_weight * log_lift
        return cross_entropy(logits, target)


@dataclass(frozen=True)
class CandidateSampler:
    """Chooses the templates a batch is ranked among."""

    positive_share: NDArray[np.float64]  # (templates,) share of training tickets answered with each
    negative_share: NDArray[np.float64]  # (templates,) chance that one draw from a ticket's negatives is this one
    negatives: NDArray[np.int64]  # (n, K) of every training ticket, -1 where there is none
    draws: int  # negatives drawn per ticket

    def candidates(
        self, rows: NDArray[np.int64], template: NDArray[np.int64], random: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Candidate templates of a batch (c,), ascending, each ticket's own among them, and the log chance of each."""
        drawn = _draw(self.negatives[rows], self.draws, random)
        chosen = np.unique(np.concatenate([template, drawn]))
        count = len(rows)
        absent = (1 - self.positive_share[chosen]) ** count * (1 - self.negative_share[chosen]) ** (count * self.draws)
        chance = np.clip(1 - absent, 1e-6, 1.0)
        return chosen, np.log(chance).astype(np.float32)


def candidate_sampler(
    template: NDArray[np.int64], negatives: NDArray[np.int64], *, templates: int, draws: int
) -> CandidateSampler:
    """Count how often each of the templates is sent, and is offered as a negative to a ticket that was answered with
    one; -1 means none."""
    answered = template >= 0
    tickets = max(1, int(answered.sum()))
    positive = np.bincount(template[answered], minlength=templates) / tickets
    offered = negatives[answered]
    there = offered >= 0
    weight = there / np.maximum(1, there.sum(axis=1, keepdims=True))
    negative = np.bincount(offered[there], weights=weight[there], minlength=templates) / tickets
    return CandidateSampler(positive, negative, negatives, draws)


def _draw(negatives: NDArray[np.int64], draws: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Up to `draws` per row, without repeats, all rows in one array."""
    if draws == 0 or negatives.shape[1] == 0:
        return np.zeros(0, dtype=np.int64)
    order = np.where(negatives >= 0, random.random(negatives.shape), 2.0)  # the absent ones go last
    picked = np.take_along_axis(negatives, np.argsort(order, axis=1)[:, :draws], axis=1).reshape(-1)
    return picked[picked >= 0]
