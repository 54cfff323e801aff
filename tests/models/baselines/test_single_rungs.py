"""What is each rung's own: the majority's shares, readable rules, pairs and profiles, what alike means, attributes."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from models.baselines import RungData, cnn, cota1, frozen, keywords, lstm, majority, setfit, tfidf, word_network
from models.baselines.text_vectors import MeanPooled, TextVectors
from models.batches import tokenise
from models.encoder import load_encoder, load_tokenizer
from models.ladder.rungs import rung_data
from models.predictions import ModelInputs
from models.training.data import TrainingData


def test_the_majority_is_the_share_of_each_leaf(tiny_rung: RungData) -> None:
    shares = majority.fit(dataclasses.replace(tiny_rung, leaf=np.array([0, 0, 0, 2]))).predict(tiny_rung.validation)
    assert shares.tolist() == [[0.75, 0.0, 0.25, 0.0, 0.0]] * 60


def test_tfidf_leaves_unseen_leaves_at_zero(tiny_rung: RungData) -> None:
    texts = ["refund money back", "money refund please", "lost my phone", "phone lost in car"] * 5
    rows = list(tiny_rung.inputs.rows[:20])
    baseline = tfidf.fit(
        dataclasses.replace(tiny_rung, inputs=ModelInputs(texts, rows), leaf=np.array([0, 0, 3, 3] * 5))
    )
    shares = baseline.predict(ModelInputs(["refund the money", "my phone is lost"], rows[:2]))
    assert shares.argmax(axis=1).tolist() == [0, 3]
    assert shares[:, [1, 2, 4]].sum() == 0


def test_the_rules_are_the_telling_words_and_can_be_read(tiny_rung: RungData) -> None:
    baseline = keywords.fit(tiny_rung)
    lines = dict(line.split(": ", 1) for line in baseline.readable.splitlines())
    assert lines["Payments::Refund"].split(", ")[0] == "refund"
    assert lines["Delivery::Broken"].split(", ")[0] == "damaged"
    assert "hello" not in lines["Payments::Refund"].split(", ")


def test_log_odds_tell_a_word_of_one_group_from_one_that_all_use() -> None:
    everywhere = np.array([30.0, 300.0, 3.0])
    mine = np.array([30.0, 100.0, 1.0])
    z = keywords.log_odds_z(mine, everywhere - mine, 500 * everywhere / everywhere.sum())
    assert z[0] > 3
    assert abs(z[2]) < 1
    assert z.argmax() == 0


def test_texts_without_words_make_no_rules() -> None:
    assert keywords.learn_rules(["", "!!"], np.array([0, 1]), 2) == ()


@pytest.fixture
def ticket_space(tiny_rung: RungData) -> tuple[cota1.Candidates, Any, Any]:
    space = cota1.fit_space(tiny_rung.inputs.texts, seed=0)
    sparse, topics = space.rows(tiny_rung.inputs.texts)
    told = cota1.encode_attributes(tiny_rung.attributes, tiny_rung.inputs.rows)
    return cota1.describe(tiny_rung, space, sparse, topics, told), sparse, topics


def test_a_training_ticket_is_taken_out_of_its_own_past(
    tiny_rung: RungData, ticket_space: tuple[cota1.Candidates, Any, Any]
) -> None:
    """The cosine with the sum of the others, counted by hand."""
    candidates, sparse, topics = ticket_space
    cosines = cota1.compare(candidates, sparse, topics, past_of=tiny_rung.leaf)
    dense = sparse.toarray()
    for row in (0, 7, 42):
        own = tiny_rung.leaf[row]
        others = (tiny_rung.leaf == own) & (np.arange(len(dense)) != row)
        for place, vectors in ((2, dense), (3, topics)):
            mine, rest = vectors[row], vectors[others].sum(axis=0)
            by_hand = mine @ rest / np.linalg.norm(mine) / np.linalg.norm(rest)
            assert cosines[row, own, place] == pytest.approx(by_hand, abs=1e-3)
    plain = cota1.compare(candidates, sparse, topics, past_of=None)
    away = np.ones(plain.shape[:2], bool)
    away[np.arange(len(away)), tiny_rung.leaf] = False
    assert np.allclose(plain[away], cosines[away])


def test_a_past_of_one_ticket_is_no_past(tiny_rung: RungData) -> None:
    leaf = np.where(np.arange(len(tiny_rung.leaf)) == 5, 4, np.minimum(tiny_rung.leaf, 3))
    alone = dataclasses.replace(tiny_rung, leaf=leaf)
    space = cota1.fit_space(alone.inputs.texts, seed=0)
    sparse, topics = space.rows(alone.inputs.texts)
    told = cota1.encode_attributes(alone.attributes, alone.inputs.rows)
    cosines = cota1.compare(cota1.describe(alone, space, sparse, topics, told), sparse, topics, past_of=leaf)
    assert cosines[5, 4, 2:].tolist() == [0.0, 0.0]


def test_each_ticket_is_paired_with_its_leaf_the_closest_others_and_some_more() -> None:
    deal = np.random.default_rng(0)
    closeness, leaf = deal.random((30, 40)).astype(np.float32), deal.integers(40, size=30)
    ticket, candidate = cota1.sample_pairs(closeness, leaf, deal)
    assert len(ticket) == 30 * (cota1.NEGATIVES + 1)
    assert len(set(zip(ticket.tolist(), candidate.tolist(), strict=True))) == len(ticket)
    for one in range(30):
        chosen = candidate[ticket == one]
        assert leaf[one] in chosen
        others = [place for place in np.argsort(-closeness[one]) if place != leaf[one]]
        assert set(others[: cota1.NEGATIVES // 2]) <= set(chosen.tolist())
    few_tickets, few = cota1.sample_pairs(closeness[:, :3], np.zeros(30, np.int64), deal)
    assert len(few) == 90
    assert sorted(few[few_tickets == 0].tolist()) == [0, 1, 2]


@pytest.mark.parametrize("sizes", [(10, 10, 1), (1, 95, 4), (2, 1)])
def test_half_of_the_pairs_of_setfit_share_a_leaf_however_lopsided_the_history(sizes: tuple[int, ...]) -> None:
    leaf = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    first, second, alike = setfit.sample_pairs(leaf, np.random.default_rng(1))
    assert (alike == (leaf[first] == leaf[second])).all()
    assert (first != second).all()
    assert alike.mean() == 0.5
    together, apart = ({*zip(first[alike == kind], second[alike == kind], strict=True)} for kind in (1, 0))
    assert len(together) > 0.8 * min(sum(size * (size - 1) for size in sizes), len(first) // 2 * 0.5)
    assert {leaf[one] for one, _ in apart} == {leaf[other] for _, other in apart} == set(range(len(sizes)))


def test_where_no_leaf_has_two_tickets_no_pair_shares_one() -> None:
    _, _, alike = setfit.sample_pairs(np.arange(5), np.random.default_rng(1))
    assert len(alike) > 0
    assert alike.sum() == 0


def test_the_encoder_learns_what_is_alike(tiny_rung: RungData) -> None:
    encoder = load_encoder(tiny_rung.config.encoder)
    tokenizer = load_tokenizer(tiny_rung.config.encoder, tiny_rung.config.max_tokens)
    pooled = MeanPooled(encoder)
    faster = dataclasses.replace(tiny_rung.config, trainable_layers=None)
    losses = setfit.learn_alike(pooled, tokenizer, dataclasses.replace(tiny_rung, config=faster))
    assert np.mean(losses[-20:]) < 0.6 * np.mean(losses[:20])


def test_without_layers_that_learn_setfit_is_the_frozen_encoder(tiny_rung: RungData) -> None:
    still = dataclasses.replace(tiny_rung, config=dataclasses.replace(tiny_rung.config, trainable_layers=0))
    same = frozen.fit(still).predict(still.validation)
    assert np.allclose(setfit.fit(still).predict(still.validation), same, atol=1e-4)


def test_the_quantised_graph_gives_the_encoders_vectors(tiny_rung: RungData) -> None:
    """A little rounded, in the order of the texts, whatever the cores."""
    config, texts = tiny_rung.config, list(tiny_rung.inputs.texts[:21])
    tokenizer = load_tokenizer(config.encoder, config.max_tokens)
    vectors = TextVectors.of(MeanPooled(load_encoder(config.encoder)), tokenizer)
    found = vectors.embed(texts)
    pooled = MeanPooled(load_encoder(config.encoder)).eval()
    tokens = tokenise(tokenizer, texts)
    with torch.no_grad():
        exact = [pooled(*map(torch.from_numpy, tokens.padded(np.array([row]))))[0].numpy() for row in range(21)]
    assert (np.sum(found * np.stack(exact), axis=1) > 0.98).all()
    assert np.allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-4)
    assert np.allclose(found, vectors.embed(texts, all_cores=True), atol=1e-4)
    assert vectors.embed([]).shape[0] == 0


@pytest.fixture
def told_by_city(
    put_features: Any, make_row: Any, load_tiny: Callable[..., TrainingData], tiny_config: Any
) -> RungData:
    """Texts say nothing; the city gives the leaf away."""
    cities = {"refund": "Oslo", "invoice": "Rome", "late": "Lima", "lost": "Cairo", "broken": "Delhi"}
    deal = random.Random(2)
    for split, first in (("train", 0), ("validation", 300), ("test", 600)):
        rows = []
        for number in range(first, first + 150):
            leaf = deal.choice(sorted(cities))
            text = " ".join(deal.choices(["hello", "my", "order", "is", "today", "thanks"], k=5))
            rows.append(make_row(number, leaf, text, attributes=json.dumps({"city": cities[leaf]})))
        put_features(split, rows)
    return rung_data(load_tiny(), tiny_config)


@pytest.mark.parametrize("rung", [cota1, cnn, lstm], ids=["cota1", "cnn", "lstm"])
def test_rungs_that_read_attributes_learn_from_them(rung: Any, told_by_city: RungData) -> None:
    found = rung.fit(told_by_city).predict(told_by_city.validation)
    assert (found.argmax(axis=1) == told_by_city.validation_leaf).mean() > 0.9


def test_rungs_that_read_text_alone_cannot(told_by_city: RungData) -> None:
    found = tfidf.fit(told_by_city).predict(told_by_city.validation)
    assert (found.argmax(axis=1) == told_by_city.validation_leaf).mean() < 0.4


@pytest.mark.parametrize("reader", [cnn.Convolutions, lstm.BothWays])
def test_padding_changes_no_word_vector(reader: Any) -> None:
    torch.manual_seed(0)
    reads = reader().eval()
    words, mask = torch.randn(1, 3, word_network.WORD_WIDTH), torch.ones(1, 3, dtype=torch.int64)
    wider = torch.cat([words, torch.randn(1, 4, word_network.WORD_WIDTH)], dim=1)
    longer = torch.cat([mask, torch.zeros(1, 4, dtype=torch.int64)], dim=1)
    assert torch.allclose(reads(words, mask), reads(wider, longer), atol=1e-6)


def test_the_best_epoch_is_kept_and_training_ends_when_nothing_improves(tiny_rung: RungData) -> None:
    vocabulary = word_network.Vocabulary.of(tiny_rung.inputs.texts, most=24)
    network = word_network.WordNetwork(len(vocabulary), cnn.Convolutions(), tiny_rung)
    losses = word_network.train(network, vocabulary, tiny_rung)
    assert len(losses) < word_network.EPOCHS
    assert losses[-1] < 0.5 * losses[0]
    unseen = dataclasses.replace(tiny_rung, validation=ModelInputs([], []), validation_leaf=np.zeros(0, np.int64))
    assert len(word_network.train(network, vocabulary, unseen)) == word_network.EPOCHS_UNSEEN


def test_words_of_one_ticket_alone_stay_unknown() -> None:
    vocabulary = word_network.Vocabulary.of(["red car", "red bike 12", ""], most=2)
    assert vocabulary.number == {"red": 2}
    tokens = vocabulary.tokens(["red red red", "", "blue"])
    assert tokens.values.tolist() == [2, 2, 1, 1]
    assert tokens.lengths.tolist() == [2, 1, 1]
