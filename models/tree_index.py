"""The contact-type tree as arrays: from node logits to probabilities of paths, without torch.

Training (decoder.py) and serving (suggest.py) read the same arrays, so both mean the same by a probability. The model
is a conditional softmax: siblings share one softmax, and a path's probability is the product of its nodes' shares. An
inactive node, or one under an inactive parent, has probability 0, and its siblings share what it would have had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tickets.contact_types import ContactTypeTree

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

IMPOSSIBLE = -1e4  # a log-probability that is 0 as a probability, and stays finite in sums, products and bfloat16


@dataclass(frozen=True)
class TreeIndex:
    """N nodes in tree order, in G sibling groups of at most M children, on at most D levels; see `index_tree`."""

    ids: tuple[str, ...]
    level: Integers  # (N,) 0 at the top level
    active: NDArray[np.bool_]  # (N,) the node and everything above it is active
    group: Integers  # (N,) the sibling group a node is in
    slot: Integers  # (N,) its place in that group
    groups: Integers  # (G, M) node indices, N where a group has fewer than M children
    ancestors: Floats  # (N, N) 1 where the row's node is the column's node or above it
    paths: Integers  # (N, D) node indices from the top level down to the node, -1 after its end
    leaves: Integers  # (L,) active nodes without active children
    leaves_under: Floats  # (N, L) 1 where the column's leaf is the row's node or under it: columns of `ancestors`
    leaf_columns: Mapping[str, int]  # contact type -> its place in `leaves`

    @property
    def levels(self) -> int:
        return int(self.paths.shape[1])

    def position(self, contact_type: str) -> int:
        """Where the id stands in `ids`. Raises ValueError for an unknown one."""
        return self.ids.index(contact_type)

    def nodes_of(self, contact_types: Sequence[str]) -> Integers:
        """(n,) where each id stands in `ids`, -1 for an unknown one."""
        place = {node: position for position, node in enumerate(self.ids)}
        return np.array([place.get(contact_type, -1) for contact_type in contact_types], dtype=np.int64)

    def columns_of(self, nodes: Integers) -> Integers:
        """(n,) where each node (n,) stands in `leaves`, -1 for an inner, inactive or unknown (-1) one."""
        column = np.full(len(self.ids) + 1, -1, np.int64)  # the last entry answers for -1
        column[self.leaves] = np.arange(len(self.leaves))
        return column[nodes]

    def node_at(self, nodes: Integers, level: int) -> Integers:
        """(n,) the node on the path of each (n,) at a level, 0 at the top; itself where its path ends above."""
        path = self.paths[nodes, level]
        return np.where(path >= 0, path, nodes)

    def class_counts(self) -> Integers:
        """(N,) active siblings of each node, itself included."""
        counts = np.bincount(self.group[self.active], minlength=len(self.groups))
        return counts[self.group].astype(np.int64)


def index_tree(tree: ContactTypeTree) -> TreeIndex:
    """The arrays of a tree. Its nodes may come in any order."""
    ids = tuple(node.id for node in tree.nodes)
    place = {node_id: position for position, node_id in enumerate(ids)}
    chains = [[place[node.id] for node in tree.ancestors(node_id)] for node_id in ids]
    count, depth = len(ids), max((len(chain) for chain in chains), default=0)
    paths = np.full((count, depth), -1, dtype=np.int64)
    ancestors = np.zeros((count, count), dtype=np.float32)
    for position, chain in enumerate(chains):
        paths[position, : len(chain)] = chain
        ancestors[chain, position] = 1
    own = np.array([node.active for node in tree.nodes], dtype=bool)
    active = np.array([bool(own[chain].all()) for chain in chains], dtype=bool)
    parent = np.array([-1 if node.parent is None else place[node.parent] for node in tree.nodes], dtype=np.int64)
    group, slot, groups = _sibling_groups(parent)
    with_children = {int(above) for above, alive in zip(parent, active, strict=True) if alive}
    leaves = [position for position in range(count) if active[position] and position not in with_children]
    return TreeIndex(
        ids=ids,
        level=np.array([len(chain) - 1 for chain in chains], dtype=np.int64),
        active=active,
        group=group,
        slot=slot,
        groups=groups,
        ancestors=ancestors,
        paths=paths,
        leaves=np.array(leaves, dtype=np.int64),
        leaves_under=np.ascontiguousarray(ancestors[:, leaves]),
        leaf_columns={ids[position]: column for column, position in enumerate(leaves)},
    )


def _sibling_groups(parent: Integers) -> tuple[Integers, Integers, Integers]:
    count = len(parent)
    members: dict[int, list[int]] = {}
    for position, above in enumerate(parent.tolist()):
        members.setdefault(above, []).append(position)
    group = np.zeros(count, dtype=np.int64)
    slot = np.zeros(count, dtype=np.int64)
    groups = np.full((len(members), max(map(len, members.values()), default=0)), count, dtype=np.int64)
    for number, siblings in enumerate(members.values()):
        groups[number, : len(siblings)] = siblings
        group[siblings] = number
        slot[siblings] = np.arange(len(siblings))
    return group, slot, groups


def conditional_log_probabilities(
    index: TreeIndex, node_logits: Floats, temperatures: Sequence[float] | Floats | None = None
) -> Floats:
    """Log-probability of each node given its parent: (batch, N) from logits (batch, N); IMPOSSIBLE where inactive.

    `temperatures` holds one a level (Guo et al. 2017, per level); logits are divided by them. None is 1 everywhere.
    """
    logits = np.asarray(node_logits, dtype=np.float32)
    if temperatures is not None:
        logits = logits / np.asarray(temperatures, dtype=np.float32)[index.level]
    logits = np.where(index.active, logits, np.float32(IMPOSSIBLE))
    padding = np.full((len(logits), 1), IMPOSSIBLE, dtype=np.float32)
    grouped = np.concatenate([logits, padding], axis=1)[:, index.groups]  # (batch, G, M)
    highest = grouped.max(axis=2, keepdims=True)
    shifted = grouped - highest
    shares = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    conditional = shares[:, index.group, index.slot]
    return np.where(index.active, conditional, np.float32(IMPOSSIBLE)).astype(np.float32)


def path_probabilities(
    index: TreeIndex, node_logits: Floats, temperatures: Sequence[float] | Floats | None = None
) -> Floats:
    """Probability that a ticket's path goes through each node, (batch, N). Over `index.leaves` it sums to one."""
    conditional = conditional_log_probabilities(index, node_logits, temperatures)
    return np.asarray(np.exp(conditional @ index.ancestors), dtype=np.float32)


def node_probabilities(index: TreeIndex, leaves: Floats) -> Floats:
    """(batch, N) from probabilities of the leaves (batch, L): a node has what the leaves at and under it have."""
    return np.asarray(leaves @ index.leaves_under.T, dtype=np.float32)


def top_leaves(index: TreeIndex, probabilities: Floats, k: int) -> Integers:
    """Node indices of the k likeliest leaves, best first: (batch, min(k, L)); equal ones in tree order.

    All leaves are compared: their probabilities come from one matrix product, so a beam would save nothing and could
    miss one.
    """
    order = np.argsort(-probabilities[:, index.leaves], axis=1, kind="stable")[:, :k]
    return index.leaves[order]
