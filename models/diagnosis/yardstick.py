"""Does it match a known result: TF-IDF on the same rows, and the encoder before it learns anything."""

from __future__ import annotations

import numpy as np

from models.config import TrainConfig
from models.diagnosis.answers import frozen_rung, of_network, tfidf_rung
from models.diagnosis.dry_run import Start
from models.diagnosis.findings import Finding
from models.training.data import TrainingData
from models.training.run import start_run

_CHECK = "the encoder is within reach of TF-IDF"
_LEARN, _JUDGE = 2_000, 1_000  # tickets; on two cores about half a minute
_REACH = 0.6  # of the way from the commonest contact type to TF-IDF; on real tickets a sound encoder goes 0.7 to 1.2


def known_result(data: TrainingData, config: TrainConfig, *, start: Start = start_run) -> Finding:
    """TF-IDF beats always saying the commonest contact type, and logistic regression on the frozen encoder comes near
    TF-IDF: tickets and outcomes belong together, and weights, tokens and pooling are those the encoder was made with.
    """
    learn = data.train.newest(_LEARN)
    judge = (data.validation if len(data.validation) else data.test).spread(_JUDGE)
    if not len(judge):
        return Finding(check=_CHECK, passed=True, detail="No ticket to judge on.")
    if len(np.unique(learn.node[np.isin(learn.node, data.index.leaves)])) < 2:
        return Finding(check=_CHECK, passed=True, detail="Left out: it needs tickets of two leaves of the tree.")
    counts = np.bincount(learn.node, minlength=len(data.index.ids))
    majority = float((judge.node == counts.argmax()).mean())
    simple = 1 - float(tfidf_rung(data, config)(learn, config.seed)(judge).mean())
    network = start(data, config).network
    frozen = 1 - float(frozen_rung(data, of_network(data, network))(learn, config.seed)(judge).mean())
    detail = (
        f"Right on {len(judge):,} tickets, having read {len(learn):,}: TF-IDF {simple:.1%}, the frozen encoder "
        f"{frozen:.1%}, the commonest contact type {majority:.1%}."
    )
    advice = ""
    if simple <= majority + _by_chance(majority, len(judge)):
        advice = "Words tell nothing of the contact type: do texts and outcomes belong to the same tickets?"
    elif frozen < majority + _REACH * (simple - majority) - _by_chance(simple, len(judge)):
        advice = "Are weights and tokenizer of one encoder, made for these texts' language, and is max_tokens enough?"
    figures = {"tfidf": simple, "frozen": frozen, "majority": majority, "tickets": float(len(judge))}
    return Finding(check=_CHECK, passed=not advice, detail=detail, advice=advice, figures=figures)


def _by_chance(accuracy: float, tickets: int) -> float:
    """Two standard deviations of an accuracy."""
    return 2 * float(np.sqrt(accuracy * (1 - accuracy) / tickets))
