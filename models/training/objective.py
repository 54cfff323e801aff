"""What training makes small: the contact-type loss, the template loss, and what draws like tickets together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.batches import NONE, Batch
from models.config import TrainConfig
from models.decoder import ContactTypeDecoder
from models.device import sent
from models.network import NetworkOutput, TriageNetwork
from models.templates import lift

_TEMPERATURE = 0.1  # of the cosines that the contrastive loss compares


class Losses(NamedTuple):
    """Mean losses of some tickets, in nats."""

    contact_type: Tensor
    template: Tensor  # over those that were answered with one
    contrastive: Tensor  # over those that have company of their contact type


class Candidates(NamedTuple):
    """The templates that a batch's tickets are ranked among."""

    templates: NDArray[np.int64]  # (c,) their places in TrainingData.templates, ascending
    texts: Tensor  # (c, 384) encoded, without gradient
    log_chance: Tensor  # (c,) how likely each was to be a candidate
    serves: Tensor  # (c, L) 1 where a template may serve a leaf


def losses(
    network: TriageNetwork,
    output: NetworkOutput,
    part: Batch,
    config: TrainConfig,
    *,
    candidates: Candidates | None,
    lessons: Tensor | None,
    mix: Tensor | None,
) -> Losses:
    """The losses of a part of a batch. Without candidates, no ticket of the batch has a template. `lessons` (batch, L)
    are the leaf probabilities that teachers gave; without any, every ticket has a label. `mix` (batch, N) is what the
    output was made with, None the last weeks'."""
    device = output.node_logits.device
    node = sent(part.node, device)
    contact_type = contact_type_loss(network.decoder, output.node_logits, node, lessons, config)
    zero = torch.zeros_like(contact_type)
    contrastive = contrastive_loss(output.ticket_vector, node) if config.contrastive_weight > 0 else zero
    answered = np.flatnonzero(part.template != NONE)
    if candidates is None or not len(answered):
        return Losses(contact_type, zero, contrastive)
    vectors = network.ranker.template_vectors(candidates.texts)
    rows = sent(answered, device)
    queries = output.template_query.index_select(0, rows)
    target = sent(np.searchsorted(candidates.templates, part.template[answered]), device)
    logits, own_mix = output.node_logits.index_select(0, rows), None if mix is None else mix.index_select(0, rows)
    log_lift = _log_lift(network, logits, own_mix, candidates.serves)
    template = network.ranker.loss(queries, vectors, target, candidates.log_chance, log_lift)
    return Losses(contact_type, template, contrastive)


def _log_lift(network: TriageNetwork, logits: Tensor, mix: Tensor | None, serves: Tensor) -> Tensor | None:
    """(batch, c) natural logarithms, without gradient: the ranking loss may not bend what the decoder believes. Usual
    is what was so in each ticket's own weeks. None where the ranker is not told of contact types."""
    if not network.condition_on_contact_type:
        return None
    likely = network.decoder.leaf_probabilities(logits).detach()
    return lift(likely, network.decoder.usual_leaves(mix), serves).log()


def contact_type_loss(
    decoder: ContactTypeDecoder, logits: Tensor, node: Tensor, lessons: Tensor | None, config: TrainConfig
) -> Tensor:
    """Mean over tickets, of the recorded outcome and of what teachers say: `config.teacher_weight` is the teachers'
    share where there is an outcome; where there is none, they alone count."""
    if lessons is None:
        return decoder.loss(logits, node, smoothing=config.label_smoothing)
    recorded = decoder.ticket_losses(logits, node.clamp(min=0), smoothing=config.label_smoothing)
    taught = -(lessons * decoder.leaf_log_probabilities(logits)).sum(dim=1)
    weight = torch.where(node == NONE, 1.0, config.teacher_weight)
    return ((1 - weight) * recorded + weight * taught).mean()


def contrastive_loss(vectors: Tensor, node: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al. 2020) of vectors of length one (batch, 384): each ticket against all
    others here, those of its contact type being right. Tickets without company or label do not count."""
    alike = (node[:, None] == node[None, :]) & (node != NONE)[:, None]
    alike.fill_diagonal_(False)
    company = alike.sum(dim=1)
    if not bool((company > 0).any()):
        return vectors.sum() * 0.0
    itself = torch.eye(len(node), dtype=torch.bool, device=node.device)
    scores = (vectors @ vectors.T / _TEMPERATURE).masked_fill(itself, -torch.inf)
    shares = torch.where(alike, scores.log_softmax(dim=1), 0.0)
    counted = company > 0
    return -(shares.sum(dim=1)[counted] / company[counted]).mean()
