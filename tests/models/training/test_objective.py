"""The parts of the loss: what each draws towards, and what it leaves alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from models.batches import NONE
from models.config import TrainConfig
from models.decoder import ContactTypeDecoder
from models.templates import lift
from models.training.objective import contact_type_loss, contrastive_loss
from models.tree_index import index_tree
from tickets.contact_types import ContactTypeTree

TREE = ContactTypeTree(nodes=()).with_paths(["Pay::Refund", "Pay::Invoice", "Send::Late", "Send::Lost"])
INDEX = index_tree(TREE)
CONFIG = TrainConfig(label_smoothing=0.0, teacher_weight=0.5)


@pytest.fixture
def decoder() -> ContactTypeDecoder:
    return ContactTypeDecoder(INDEX, node_dropout=0.0)


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(3, len(INDEX.ids), generator=torch.Generator().manual_seed(1))


def test_without_lessons_the_recorded_outcome_alone_counts(decoder: ContactTypeDecoder, logits: torch.Tensor) -> None:
    node = torch.from_numpy(INDEX.leaves[:3])
    expected = -torch.log(decoder.leaf_probabilities(logits)[range(3), range(3)]).mean()
    assert contact_type_loss(decoder, logits, node, None, CONFIG) == pytest.approx(float(expected), rel=1e-5)


def test_a_ticket_without_a_label_learns_from_its_teachers_alone(
    decoder: ContactTypeDecoder, logits: torch.Tensor
) -> None:
    lessons = torch.tensor([[0.7, 0.1, 0.1, 0.1]]).repeat(3, 1)
    unlabelled = torch.full((3,), NONE)
    expected = -(lessons * torch.log(decoder.leaf_probabilities(logits))).sum(dim=1).mean()
    for weight in (0.0, 0.5):
        config = dataclasses.replace(CONFIG, teacher_weight=weight)
        assert contact_type_loss(decoder, logits, unlabelled, lessons, config) == pytest.approx(float(expected), 1e-5)


def test_a_labelled_ticket_learns_from_both_by_the_teachers_weight(
    decoder: ContactTypeDecoder, logits: torch.Tensor
) -> None:
    lessons = torch.full((3, 4), 0.25)
    node = torch.from_numpy(INDEX.leaves[:3])
    recorded = contact_type_loss(decoder, logits, node, None, CONFIG)
    taught = contact_type_loss(decoder, logits, torch.full((3,), NONE), lessons, CONFIG)
    config = dataclasses.replace(CONFIG, teacher_weight=0.25)
    mixed = contact_type_loss(decoder, logits, node, lessons, config)
    assert float(mixed) == pytest.approx(0.75 * float(recorded) + 0.25 * float(taught), rel=1e-5)


def test_usual_leaves_follow_the_mix_they_are_told(decoder: ContactTypeDecoder) -> None:
    """A ticket of a month of refunds is not told that refunds are unusual because they are today."""
    then = torch.zeros(2, len(INDEX.ids))
    then[0, INDEX.position("Pay::Refund")] = 3.0
    usual = decoder.usual_leaves(then)
    assert usual.shape == (2, 4)
    assert torch.allclose(usual.sum(dim=1), torch.ones(2))
    refund = [INDEX.ids[leaf] for leaf in INDEX.leaves].index("Pay::Refund")
    assert float(usual[0, refund]) > 0.4 > float(usual[1, refund])
    serves = torch.zeros(1, 4)
    serves[0, refund] = 1.0
    likely = decoder.leaf_probabilities(then)
    assert torch.allclose(lift(likely, usual, serves), torch.ones(2, 1), atol=1e-4)
    assert float(lift(likely, decoder.usual_leaves()[0], serves)[0]) > 1.5


def test_the_contrastive_loss_is_small_when_tickets_of_a_type_lie_together() -> None:
    apart = torch.eye(4)
    node = torch.tensor([0, 0, 1, 1])
    together = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    assert float(contrastive_loss(together, node)) < 0.01
    assert float(contrastive_loss(apart, node)) == pytest.approx(np.log(3), rel=1e-5)  # all others look alike


def test_tickets_without_company_or_label_do_not_count() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(2)), dim=1)
    vectors.requires_grad_()
    alone = contrastive_loss(vectors, torch.tensor([0, 1, NONE, NONE]))
    assert alone.item() == 0.0
    alone.backward()
    assert torch.isfinite(vectors.grad).all()
    two = contrastive_loss(vectors, torch.tensor([0, 0, NONE, NONE]))
    assert two.item() > 0
