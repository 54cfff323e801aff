"""The contact-type decoder: a conditional softmax down the tree.

A node's vector is what the encoder makes of its path and description, plus a learned difference that starts at zero. A
node added after training has no difference yet and is found by its words alone. To what a ticket says the decoder adds
how frequent each node is among its siblings: `mix`, the label mix of the last weeks (models.label_mix).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize

from models.config import VECTOR_SIZE
from models.label_mix import even_mix
from models.tree_index import IMPOSSIBLE, TreeIndex
from tickets.contact_types import ContactTypeTree

_FIRST_SCALE = 10.0  # cosines lie close together; times this, a first guess is informed and not yet sure of itself


def node_texts(tree: ContactTypeTree) -> list[str]:
    """What the encoder reads of each node, in tree order: its path, then its description."""
    texts = []
    for node in tree.nodes:
        path = " > ".join(above.name for above in tree.ancestors(node.id))
        texts.append(f"{path}. {node.description}".strip() if node.description else path)
    return texts


class ContactTypeDecoder(nn.Module):
    """Ticket vectors to node logits, and node logits to probabilities of paths."""

    texts: Tensor
    mix: Tensor
    groups: Tensor
    place: Tensor
    active: Tensor
    ancestors: Tensor
    leaves: Tensor

    def __init__(self, index: TreeIndex, *, node_dropout: float) -> None:
        super().__init__()
        count = len(index.ids)
        self.node_dropout = node_dropout
        self.query = nn.Linear(VECTOR_SIZE, VECTOR_SIZE)
        nn.init.eye_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        self.difference = nn.Parameter(torch.zeros(count, VECTOR_SIZE))
        self.bias = nn.Parameter(torch.zeros(count))
        self.log_scale = nn.Parameter(torch.tensor(math.log(_FIRST_SCALE)))
        self.register_buffer("texts", torch.zeros(count, VECTOR_SIZE))
        self.register_buffer("mix", torch.from_numpy(even_mix(index)))
        most = index.groups.shape[1]
        self.register_buffer("groups", torch.from_numpy(index.groups), persistent=False)
        self.register_buffer("place", torch.from_numpy(index.group * most + index.slot), persistent=False)
        self.register_buffer("active", torch.from_numpy(index.active), persistent=False)
        self.register_buffer("ancestors", torch.from_numpy(index.ancestors), persistent=False)
        self.register_buffer("leaves", torch.from_numpy(index.leaves), persistent=False)

    def node_vectors(self) -> Tensor:
        """(N, 384): what is read from each node's text and what was learned of it."""
        return self.texts + self.difference

    def forward(self, ticket_vector: Tensor, mix: Tensor | None = None) -> Tensor:
        """(batch, 384) -> node logits (batch, N). In training a random share of nodes is told by its text alone.

        `mix` (batch, N) log shares of each ticket's own time; None is `self.mix`, of the last weeks.
        """
        difference: Tensor = self.difference
        bias: Tensor = self.bias
        if self.training and self.node_dropout > 0:
            kept = (torch.rand(len(bias), device=bias.device) >= self.node_dropout).float()
            difference, bias = difference * kept[:, None], bias * kept
        logits: Tensor = self.log_scale.exp() * (self.query(ticket_vector) @ (self.texts + difference).T) + bias
        return logits + (self.mix if mix is None else mix)

    def conditional(self, logits: Tensor) -> Tensor:
        """Log-probability of each node given its parent, (batch, N): gather siblings, softmax, gather back."""
        masked = torch.where(self.active, logits, torch.full_like(logits, IMPOSSIBLE))
        padding = torch.full_like(masked[:, :1], IMPOSSIBLE)
        groups, most = self.groups.shape
        siblings = torch.cat([masked, padding], dim=1).index_select(1, self.groups.reshape(-1))
        shares = log_softmax(siblings.reshape(-1, groups, most), dim=2).reshape(-1, groups * most)
        conditional = shares.index_select(1, self.place)
        return torch.where(self.active, conditional, torch.full_like(conditional, IMPOSSIBLE))

    def leaf_log_probabilities(self, logits: Tensor) -> Tensor:
        """(batch, L)"""
        return (self.conditional(logits) @ self.ancestors).index_select(1, self.leaves)

    def leaf_probabilities(self, logits: Tensor) -> Tensor:
        """(batch, L), summing to one."""
        return self.leaf_log_probabilities(logits).exp()

    def usual_leaves(self, mix: Tensor | None = None) -> Tensor:
        """(n, L) shares of the leaves in each `mix` (n, N), summing to one; None: that of the last weeks."""
        return self.leaf_probabilities(self.mix[None] if mix is None else mix)

    def expected_vector(self, leaf_probabilities: Tensor) -> Tensor:
        """The contact-type vector to expect, (batch, 384): leaf vectors weighted by probability, of length one."""
        leaf_vectors = self.node_vectors().index_select(0, self.leaves)
        return normalize(leaf_probabilities @ leaf_vectors, dim=1)

    def top_leaf_direction(self, leaf_probabilities: Tensor) -> Tensor:
        """Where a ticket vector must move to speak more for the likeliest leaf than for the average one, (batch, 384).

        A leaf's score adds up over its path, so the direction does too; it is pulled back through the query.
        """
        along_path = self.ancestors.index_select(1, self.leaves).T @ self.node_vectors()  # (L, 384)
        contrast = along_path - along_path.mean(dim=0, keepdim=True)
        top = leaf_probabilities.argmax(dim=1)
        return contrast.index_select(0, top) @ self.query.weight

    def loss(self, logits: Tensor, node: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """The mean of `ticket_losses`."""
        return self.ticket_losses(logits, node, smoothing=smoothing).mean()

    def ticket_losses(self, logits: Tensor, node: Tensor, *, smoothing: float = 0.0) -> Tensor:
        """(batch,) negative log-probability, in nats, of each ticket's path down to its `node` (batch,), inner or leaf.

        Smoothing spreads a share of each level's target over the active siblings (Szegedy et al. 2016). A model that
        knows nothing scores the sum over the path of log(siblings).
        """
        conditional = self.conditional(logits)
        on_path = self.ancestors.T.index_select(0, node)  # (batch, N) 1 on the ticket's path
        exact = -(conditional * on_path).sum(dim=1)
        if smoothing == 0:
            return exact
        return (1 - smoothing) * exact - smoothing * self._mean_over_siblings(conditional, on_path)

    def _mean_over_siblings(self, conditional: Tensor, on_path: Tensor) -> Tensor:
        """Sum over the path of the mean log-probability in each of its sibling groups, (batch,)."""
        groups, most = self.groups.shape
        group_of = self.place // most
        live = self.active.to(conditional.dtype)
        size = torch.zeros(groups, device=live.device, dtype=live.dtype).index_add(0, group_of, live).clamp(min=1)
        zero = torch.zeros(len(conditional), groups, device=live.device, dtype=live.dtype)
        mean = zero.index_add(1, group_of, conditional * live) / size
        visited = zero.index_add(1, group_of, on_path)
        return (mean * visited).sum(dim=1)
