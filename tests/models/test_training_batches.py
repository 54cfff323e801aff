"""From tables to batches: targets, templates, order, and clear refusals when nothing can be learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.batches import NONE, batch_of, evaluation_batches, spread_rows, tokenise, training_order
from models.training.data import TrainingData
from tickets.catalogue import read_tree, write_tree
from tickets.contact_types import ContactTypeTree
from tickets.errors import TrainingDataError
from tickets.workspace import Workspace

Load = Callable[..., TrainingData]
Put = Callable[[str, list[dict[str, Any]]], None]
MakeRow = Callable[..., dict[str, Any]]


def test_every_labelled_ticket_is_read_with_its_outcome(load_tiny: Load) -> None:
    data = load_tiny()
    assert (len(data.train), len(data.validation), len(data.test)) == (120, 40, 40)
    for place, row in enumerate(data.train.rows.to_pylist()):
        assert data.index.ids[data.train.node[place]] == row["contact_type"]
        assert data.templates[data.train.template[place]].template_id == row["template_id"]


def test_hard_negatives_are_templates_that_were_not_sent(load_tiny: Load) -> None:
    train = load_tiny().train
    there = train.negatives != NONE
    assert there.any(axis=1).all()
    assert (np.where(there, train.negatives, -2) != train.template[:, None]).all()


def test_attributes_are_fitted_on_the_training_split_alone(
    load_tiny: Load, put_features: Put, make_row: MakeRow
) -> None:
    before = load_tiny().attributes
    put_features(
        "test", [make_row(900 + n, "late", "late", attributes='{"city": "Paris", "amount": 1e9}') for n in range(9)]
    )
    assert load_tiny().attributes == before


def test_an_attribute_without_values_is_reported(load_tiny: Load) -> None:
    lines: list[str] = []
    load_tiny(lines.append)
    assert any("planet" in line and "missing" in line for line in lines)


def test_a_training_order_visits_every_ticket_once_and_depends_on_seed_and_epoch(load_tiny: Load) -> None:
    lengths = load_tiny().train.tokens.lengths
    order = training_order(lengths, 8, seed=1, epoch=0)
    assert sorted(np.concatenate(order).tolist()) == list(range(120))
    same, other = training_order(lengths, 8, seed=1, epoch=0), training_order(lengths, 8, seed=1, epoch=1)
    assert all((a == b).all() for a, b in zip(order, same, strict=True))
    assert any((a != b).any() for a, b in zip(order, other, strict=True))


def test_batches_hold_tickets_of_like_length(load_tiny: Load) -> None:
    lengths = load_tiny().train.tokens.lengths
    spread = np.mean([np.ptp(lengths[rows]) for rows in training_order(lengths, 8, seed=1, epoch=0)])
    assert spread < np.ptp(lengths) / 3


def test_a_batch_pads_to_its_longest_ticket(load_tiny: Load) -> None:
    train = load_tiny().train
    rows = np.array([3, 5, 7])
    batch = batch_of(train, rows)
    assert batch.input_ids.shape[1] == train.tokens.lengths[rows].max()
    assert (batch.attention_mask.sum(axis=1) == train.tokens.lengths[rows]).all()
    assert (batch.input_ids[batch.attention_mask == 0] == 0).all()


def test_taking_tickets_keeps_each_with_its_tokens(load_tiny: Load) -> None:
    train = load_tiny().train
    rows = np.array([9, 0, 50])
    part = train.take(rows)
    assert part.ticket_ids == [train.ticket_ids[row] for row in rows]
    assert (batch_of(part, np.arange(3)).input_ids == batch_of(train, rows).input_ids).all()
    assert len(train.take(np.zeros(0, np.int64))) == 0


def test_evaluation_sees_every_ticket_once(load_tiny: Load) -> None:
    rows = np.concatenate([batch.rows for batch in evaluation_batches(load_tiny().validation, 16)])
    assert sorted(rows.tolist()) == list(range(40))


def test_case_and_spacing_give_the_same_tokens(load_tiny: Load) -> None:
    tokens = tokenise(load_tiny().tokenizer, ["My  MONEY\nplease", "my money please"])
    assert tokens.values[: tokens.offsets[1]].tolist() == tokens.values[tokens.offsets[1] :].tolist()


def test_an_empty_text_still_makes_a_batch(load_tiny: Load) -> None:
    ids, mask = tokenise(load_tiny().tokenizer, [""]).padded(np.array([0]))
    assert ids.shape == mask.shape == (1, 2)  # the tokens that open and close a text


def test_the_most_recent_tickets_are_kept_when_a_limit_is_set(load_tiny: Load) -> None:
    whole, part = load_tiny().train, load_tiny(max_train_tickets=30).train
    assert part.ticket_ids == whole.ticket_ids[-30:]


def changed(tree: ContactTypeTree, mapping: dict[str, tuple[str, ...]], *retired: str) -> ContactTypeTree:
    nodes = tuple(dataclasses.replace(node, active=node.id not in retired) for node in tree.nodes)
    return ContactTypeTree(nodes=nodes, version=tree.version + 1, mapping=mapping)


def test_a_retired_type_counts_for_its_replacement_and_a_split_one_for_what_the_parts_share(
    load_tiny: Load, tiny_workspace: Workspace
) -> None:
    tree = read_tree(tiny_workspace)
    old = load_tiny().train.rows["contact_type"].to_pylist()
    mapping = {"refund": ("invoice",), "late": ("lost", "broken")}
    write_tree(tiny_workspace, changed(tree, mapping, "refund", "late"))
    data = load_tiny()
    ids = [data.index.ids[node] for node in data.train.node]
    assert {now for now, before in zip(ids, old, strict=True) if before == "refund"} == {"invoice"}
    assert {now for now, before in zip(ids, old, strict=True) if before == "late"} == {"delivery"}


def test_a_type_retired_without_replacement_is_left_out_and_counted(load_tiny: Load, tiny_workspace: Workspace) -> None:
    write_tree(tiny_workspace, changed(read_tree(tiny_workspace), {}, "refund"))
    lines: list[str] = []
    data = load_tiny(lines.append)
    assert len(data.train) < 120
    assert any(f"{120 - len(data.train)} train tickets are left out" in line for line in lines)


def test_no_resolved_ticket_is_refused(load_tiny: Load, put_features: Put, make_row: MakeRow) -> None:
    put_features("train", [make_row(1, None, "hello")])
    with pytest.raises(TrainingDataError, match="no ticket of the training split has an outcome"):
        load_tiny()


def test_a_single_contact_type_is_refused(load_tiny: Load, put_features: Put, make_row: MakeRow) -> None:
    put_features("train", [make_row(number, "late", "late") for number in range(5)])
    with pytest.raises(TrainingDataError, match="all 5 training tickets have the contact type 'late'"):
        load_tiny()


def test_an_empty_tree_is_refused(load_tiny: Load, tiny_workspace: Workspace) -> None:
    write_tree(tiny_workspace, ContactTypeTree(nodes=()))
    with pytest.raises(TrainingDataError, match="no contact types"):
        load_tiny()


def test_some_tickets_are_the_newest_or_lie_over_the_whole_period(load_tiny: Load) -> None:
    train = load_tiny().train
    assert train.newest(3).ticket_ids == train.ticket_ids[-3:]
    assert train.newest(1_000).ticket_ids == train.ticket_ids
    assert train.spread(3).ticket_ids == [train.ticket_ids[place] for place in (0, 59, 119)]
    assert train.spread(1_000).ticket_ids == train.ticket_ids
    assert spread_rows(0, 3).tolist() == []
