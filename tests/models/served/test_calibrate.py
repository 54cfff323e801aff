"""What a release keeps of its calibration: applied as it was fitted, read as it was written, of this format or 1."""

from __future__ import annotations

import dataclasses
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.attributes import AttributeRow
from models.calibrate import Calibration, Targets, calibration_from_json
from models.confidence.answer_sets import set_sizes
from models.confidence.fitting import fit_calibration
from models.confidence.votes import Votes
from models.inference import Outputs
from models.neighbours import Neighbours
from models.predictions import ModelInputs, Predictor, interpret
from models.release import FACTS, VECTORS, open_release
from models.suggest import Suggester
from models.tree_index import index_tree, path_probabilities
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.manifests import file_hash
from tickets.records import Ticket

INDEX = index_tree(
    ContactTypeTree(
        nodes=(
            ContactType(id="pay", name="Payments"),
            *(ContactType(id=f"pay{number}", name=f"Pay {number}", parent="pay") for number in range(3)),
            ContactType(id="ride", name="Ride"),
            *(ContactType(id=f"ride{number}", name=f"Ride {number}", parent="ride") for number in range(3)),
            ContactType(id="gone", name="Gone", parent="ride", active=False),
        )
    )
)
PLAIN = Calibration(temperatures=(1.0, 1.0), high=0.9, medium=0.7, abstain_below=0.2, scope_center=1.0, scope_scale=0.1)


def world(count: int, *, seed: int) -> tuple[Outputs, np.ndarray]:
    """Tickets around the center of their leaf, half of them far from it; logits that are too sure, of a network that
    sees half of the ticket's vector; the true leaves."""
    centers = np.random.default_rng(99).normal(size=(len(INDEX.leaves), 16))
    rng = np.random.default_rng(seed)
    leaf = rng.integers(0, len(INDEX.leaves), count)
    vectors = centers[leaf] + rng.normal(size=(count, 16)) * rng.uniform(0.2, 2.4, (count, 1))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = 24.0 * vectors[:, :8] @ (centers / np.linalg.norm(centers, axis=1, keepdims=True))[:, :8].T
    logits = np.zeros((count, len(INDEX.ids)), np.float32)
    logits[:, INDEX.leaves] = scores
    for parent in ("pay", "ride"):
        inner = INDEX.position(parent)
        logits[:, inner] = np.log(np.exp(scores) @ INDEX.leaves_under[inner])
    return Outputs(vectors.astype(np.float32), logits, vectors.astype(np.float32), []), INDEX.leaves[leaf]


def remembered(count: int) -> Neighbours:
    outputs, nodes = world(count, seed=7)
    ids = [str(number) for number in range(count)]
    return Neighbours(outputs.vectors, ids, ids, [INDEX.ids[node] for node in nodes])


def fitted(count: int = 900, targets: Targets | None = None) -> tuple[Calibration, Neighbours]:
    outputs, nodes = world(count, seed=1)
    neighbours = remembered(600)
    return fit_calibration(outputs, INDEX, nodes, neighbours, targets or Targets()), neighbours


def test_what_is_fitted_on_validation_is_honest_on_other_tickets():
    calibration, neighbours = fitted()
    outputs, nodes = world(4000, seed=2)
    before, after = (interpret(outputs, INDEX, one, neighbours) for one in (PLAIN, calibration))
    gap_before, gap_after = (
        abs(made.probability.mean() - np.mean(made.predicted == nodes)) for made in (before, after)
    )
    assert gap_before > 0.05
    assert gap_after < 0.03
    firm = np.array(
        [
            calibration.band(float(probability), INDEX.ids[node]) == "high"
            for probability, node in zip(after.probability, after.predicted, strict=True)
        ]
    )
    assert np.mean(after.predicted[firm] == nodes[firm]) >= 0.9


def test_inner_nodes_have_what_the_leaves_under_them_have():
    calibration, neighbours = fitted()
    assert calibration.votes.share > 0
    made = interpret(world(50, seed=3)[0], INDEX, calibration, neighbours).node_probabilities
    assert made[:, INDEX.leaves].sum(axis=1) == pytest.approx(np.ones(50), abs=1e-5)
    for name in ("pay", "ride"):
        children = [INDEX.position(f"{name}{number}") for number in range(3)]
        assert made[:, INDEX.position(name)] == pytest.approx(made[:, children].sum(axis=1), abs=1e-5)
    assert not made[:, INDEX.position("gone")].any()


@pytest.mark.parametrize("count", [1, 5, 30])
def test_few_validation_tickets_are_enough_to_serve(count: int):
    calibration, neighbours = fitted(count)
    made = interpret(world(20, seed=3)[0], INDEX, calibration, neighbours)
    assert np.isfinite(made.node_probabilities).all()
    assert made.probability.min() > 0
    json.dumps(dataclasses.asdict(calibration), allow_nan=False)


def test_targets_move_the_limits_and_the_sets():
    easy, hard = (fitted(targets=Targets(high=high, medium=0.6))[0] for high in (0.8, 0.97))
    assert easy.high < hard.high
    outputs, nodes = world(2000, seed=2)
    sizes, hits = [], []
    for coverage in (0.7, 0.95):
        calibration, neighbours = fitted(targets=Targets(coverage=coverage))
        assert calibration.sets is not None
        leaves = interpret(outputs, INDEX, calibration, neighbours).node_probabilities[:, INDEX.leaves]
        size = set_sizes(leaves, calibration.sets)
        own = leaves[np.arange(len(nodes)), np.searchsorted(INDEX.leaves, nodes)]
        sizes.append(size.mean())
        hits.append(np.mean((leaves > own[:, None]).sum(axis=1) < size))
    assert sizes[0] < sizes[1]
    assert hits[0] >= 0.7 - 0.02
    assert hits[1] >= 0.95 - 0.02


def test_no_ticket_of_the_band_medium_is_abstained_on_whatever_its_type():
    calibration, _ = fitted(targets=Targets(abstain=0.69))
    assert min(medium for _, medium in calibration.type_limits.values()) < calibration.medium
    assert 0 < calibration.abstain_below <= min(medium for _, medium in calibration.type_limits.values())


def test_tickets_of_no_known_type_score_out_of_scope_and_others_hardly_ever():
    calibration, neighbours = fitted()
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(500, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    strange = Outputs(vectors, rng.normal(size=(500, len(INDEX.ids))).astype(np.float32), vectors, [])
    known = interpret(world(2000, seed=4)[0], INDEX, calibration, neighbours)
    assert known.abstained[known.out_of_scope > 0.5].all()
    assert np.mean(known.out_of_scope > 0.5) < 0.03
    assert np.mean(interpret(strange, INDEX, calibration, neighbours).out_of_scope > 0.5) > 0.3


def test_a_type_without_training_tickets_is_not_outvoted_on_its_own_tickets():
    new = INDEX.position("pay2")
    remembers = remembered(600)
    kept = [row for row, contact_type in enumerate(remembers.contact_types) if contact_type != "pay2"]
    ids, types = ([names[row] for row in kept] for names in (remembers.ticket_ids, remembers.contact_types))
    neighbours = Neighbours(remembers.vectors[kept], ids, ids, types)

    def shy(count: int, seed: int) -> tuple[Outputs, np.ndarray]:
        outputs, nodes = world(count, seed=seed)
        outputs.node_logits[:, new] -= 8.0
        return outputs, nodes

    outputs, nodes = shy(1500, 1)
    trained = np.array([INDEX.position(name) for name in types])
    welcoming = fit_calibration(outputs, INDEX, nodes, neighbours, Targets(), trained=trained)
    unaware = fit_calibration(outputs, INDEX, nodes, neighbours, Targets())
    assert set(welcoming.welcome) == {"pay2"}
    fresh, truth = shy(3000, 2)
    one, other = (interpret(fresh, INDEX, calibration, neighbours) for calibration in (welcoming, unaware))
    own = truth == new
    assert one.node_probabilities[own, new].mean() > 1.5 * other.node_probabilities[own, new].mean()
    right = [np.mean(made.predicted[~own] == truth[~own]) for made in (one, other)]
    assert right[0] > right[1] - 0.01


def test_a_calibration_is_read_as_it_was_written():
    calibration, _ = fitted()
    assert calibration_from_json(json.loads(json.dumps(dataclasses.asdict(calibration)))) == calibration
    bare = json.loads(json.dumps(dataclasses.asdict(PLAIN)))
    assert calibration_from_json(bare) == PLAIN


def test_a_calibration_of_format_1_is_read_and_means_what_it_meant():
    names = ("temperatures", "high", "medium", "abstain_below", "scope_center", "scope_scale")
    old = {name: value for name, value in dataclasses.asdict(PLAIN).items() if name in names}
    calibration = calibration_from_json(json.loads(json.dumps(old)))
    outputs, _ = world(20, seed=3)
    made = interpret(outputs, INDEX, calibration, remembered(100))
    assert made.node_probabilities == pytest.approx(
        path_probabilities(INDEX, outputs.node_logits, (1.0, 1.0)), abs=1e-5
    )
    distance = 1.0 - made.cosines[:, :10].mean(axis=1)  # of the ten nearest
    assert made.out_of_scope == pytest.approx(1 / (1 + np.exp(-(distance - 1.0) / 0.1)), abs=1e-4)


@pytest.mark.parametrize(
    "broken",
    [
        {"temperatures": "warm"},
        {"high": "most"},
        {"votes": {"shares": 1}},
        {"bend": {}},
        {"welcome": ["late"]},
        {"type_limits": None},
    ],
)
def test_a_broken_calibration_is_refused(broken: dict[str, object]):
    data = json.loads(json.dumps(dataclasses.asdict(PLAIN)))
    with pytest.raises((KeyError, TypeError, ValueError)):
        calibration_from_json({**data, **broken})


def test_a_contact_type_has_its_own_limits_or_the_common_ones():
    calibration = dataclasses.replace(PLAIN, type_limits={"pay0": (0.95, 0.8)})
    assert [calibration.band(0.92, name) for name in ("pay0", "pay1")] == ["medium", "high"]
    assert [calibration.band(0.75, name) for name in ("pay0", "pay1")] == ["low", "medium"]


def test_the_model_alone_says_what_it_says_without_neighbours(trained):
    predictor = Predictor.load(open_release(trained.model.folder))
    given = dataclasses.replace(predictor.calibration, votes=Votes(share=0.9, width=0.1))
    voted = dataclasses.replace(predictor, calibration=given)
    row = AttributeRow(channel="app", language="en", attributes={}, statistics={})
    inputs = ModelInputs(["lost umbrella refund"], [row])
    alone, together = voted.alone().predict(inputs), voted.predict(inputs)
    assert voted.alone().calibration.votes.share == 0
    assert not np.allclose(alone.node_probabilities, together.node_probabilities, atol=1e-3)


def test_a_release_of_format_1_still_serves(trained, tmp_path: Path):
    folder = tmp_path / "old"
    shutil.copytree(trained.model.folder, folder)
    facts = json.loads((folder / FACTS).read_text())
    for name in ("votes", "bend", "scope", "sets", "type_limits", "welcome"):
        del facts["calibration"][name]
    vectors = load_file(folder / VECTORS)
    save_file({name: vectors[name] for name in ("templates", "neighbours")}, folder / VECTORS)
    facts["hashes"][VECTORS] = file_hash(folder / VECTORS)
    (folder / FACTS).write_text(json.dumps({**facts, "format": 1}))
    suggester = Suggester.load(open_release(folder))
    ticket = Ticket(ticket_id="t", created_at=datetime(2026, 3, 1, tzinfo=UTC), body="refund my money")
    (suggestion,) = suggester.suggest([ticket])
    assert suggestion.answer_set is None
    assert suggestion.contact_types
    assert all(-1 <= template.score <= 1 for template in suggestion.templates)  # cosines, as they were then
    assert suggestion.templates
