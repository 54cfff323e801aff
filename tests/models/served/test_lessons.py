"""Learning from trained models: what they say of every ticket, and of those that nobody labelled."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from models.batches import NONE
from models.config import TrainConfig
from models.encoder import load_tokenizer
from models.release import open_release
from models.train import train
from models.training.data import TrainingData, hash_of, load_training_data
from models.training.fit import fit
from models.training.lessons import sharpened, taught
from models.training.run import validate
from models.tree_index import index_tree
from tickets.contact_types import ContactTypeTree
from tickets.errors import InputError
from tickets.workspace import Workspace


def silent(*_anything: object) -> None:
    """No report, no progress."""


@pytest.fixture
def data(trained, tiny_config: TrainConfig) -> TrainingData:
    tokenizer = load_tokenizer(tiny_config.encoder, tiny_config.max_tokens)
    return load_training_data(trained.workspace, tokenizer, tiny_config, report=silent)


def test_a_teacher_says_of_every_ticket_what_it_would_suggest(trained, data: TrainingData) -> None:
    teacher = open_release(trained.model.folder)
    with_lessons = taught(data, [teacher], unlabelled=data.test.rows, threads=1, report=silent)
    lessons = with_lessons.lessons
    assert lessons is not None
    assert len(with_lessons.learned) == len(data.train) + len(data.test)
    assert lessons.leaves.sum(axis=1) == pytest.approx(np.ones(len(lessons.leaves)), abs=1e-5)
    assert (lessons.tickets.node[len(data.train) :] == NONE).all()
    said = data.index.leaves[lessons.leaves[len(data.train) :].argmax(axis=1)]
    assert (said == data.test.node).mean() == pytest.approx(
        trained.model.metrics["model"]["test"]["accuracy"], abs=0.02
    )
    assert hash_of(with_lessons) != hash_of(data)


def test_a_student_with_few_labels_learns_from_tickets_without_any(
    trained, data: TrainingData, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    few = dataclasses.replace(data, train=data.train.take(np.arange(20)))
    rest = data.train.rows.slice(20)
    helped = taught(few, [open_release(trained.model.folder)], unlabelled=rest, threads=1, report=silent)
    accuracy = {}
    for name, lesson in (("alone", few), ("helped", helped)):
        short = dataclasses.replace(tiny_config, epochs=8)
        fitted = fit(lesson, short, folder=tmp_path / name, report=silent, progress=silent)
        accuracy[name] = validate(fitted.network, data.test, batch_size=16)["validation_accuracy"]
    assert accuracy["helped"] > accuracy["alone"] + 0.1


def test_an_interrupted_student_ends_like_one_that_was_not(
    trained, data: TrainingData, tiny_config: TrainConfig, tmp_path: Path
) -> None:
    def interrupt(step: int, _total: int, _loss: float) -> None:
        if step == 30:
            raise InterruptedError

    helped = taught(data, [open_release(trained.model.folder)], unlabelled=data.test.rows, threads=1, report=silent)
    short = dataclasses.replace(tiny_config, epochs=2, checkpoint_every=10)
    whole = fit(helped, short, folder=tmp_path / "whole", report=silent, progress=silent)
    with pytest.raises(InterruptedError):
        fit(helped, short, folder=tmp_path / "parts", report=silent, progress=interrupt)
    resumed = fit(helped, short, folder=tmp_path / "parts", report=silent, progress=silent)
    for name, tensor in whole.network.state_dict().items():
        assert tensor.equal(resumed.network.state_dict()[name]), name


def test_sharpened_shares_keep_their_order_and_doubt_less() -> None:
    shares = np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 0.0]], np.float32)
    sharp = sharpened(shares)
    assert sharp[0, 0] > 0.5
    assert (np.argsort(sharp[0]) == np.argsort(shares[0])).all()
    assert sharp.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_a_teacher_of_another_tree_is_refused(trained, data: TrainingData) -> None:
    other = ContactTypeTree(nodes=()).with_paths(["Elsewhere::One", "Elsewhere::Two"])
    strange = dataclasses.replace(data, tree=other, index=index_tree(other))
    with pytest.raises(InputError, match="knows none of the contact types"):
        taught(strange, [open_release(trained.model.folder)], unlabelled=None, threads=1, report=silent)


def test_tickets_without_labels_need_a_teacher_which_is_told_before_anything_is_read(
    tmp_path: Path, tiny_config: TrainConfig
) -> None:
    empty = Workspace.create(tmp_path / "empty")
    with pytest.raises(InputError, match="there is no teacher"):
        train(empty, tiny_config, report=silent, progress=silent, with_unlabelled=True)
