"""Checks of what the network reads, before there is a network: attributes on one scale and in every split, none of them
the answer, texts that fit and are known words, no ticket in two splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.attributes import FURTHEST, MISSING, UNSEEN
from models.batches import TicketArrays, spread_rows, tokenise
from models.config import TrainConfig
from models.diagnosis.findings import Finding, listed
from models.training.data import TrainingData

_FURTHEST_MEAN, _DEVIATIONS = 0.25, (0.5, 2.0)  # a standardised column is at 0 and 1; clipping moves it a little
_MOVED = 1.0  # deviations between training and validation that are worth a remark
_MOSTLY, _RARELY = 0.95, 0.5  # shares of tickets without an attribute
_UNSEEN = 0.2  # share of values that training did not have
_FEWEST = 20  # tickets; of fewer nothing is said
_BINS = 256  # of a number, when it is asked for the contact type
_TELLS_ALL, _TELLS_LEVEL = 0.9, 0.95  # of what the commonest contact type leaves open
_SAMPLE = 2_000  # training texts that are looked at
_EMPTY, _UNKNOWN = (0.01, 0.1), (0.02, 0.2)  # shares of texts, of tokens: worth a remark, a failure
_CUT = 0.2  # share of texts that are longer than max_tokens
_REPEATED = (0.01, 0.2)  # share of later texts that stand word for word in training


def numbers_are_standardised(data: TrainingData) -> Finding:
    """Every number is finite and, over the training tickets that have it, near mean 0 and deviation 1."""
    broken, off, moved, constant = [], [], [], []
    for column, number in enumerate(data.attributes.numbers):
        values = _present(data.train, column)
        if not np.isfinite(values).all():
            broken.append(number.name)
        elif len(values) >= _FEWEST:
            mean, deviation = float(values.mean()), float(values.std())
            cut = float(np.abs(values).max()) >= FURTHEST  # so rare that cutting it off leaves hardly any deviation
            if abs(mean) > _FURTHEST_MEAN or deviation > _DEVIATIONS[1]:
                off.append(f"{number.name} (mean {mean:.2f}, deviation {deviation:.2f})")
            elif deviation < 1e-6:
                constant.append(number.name)
            elif deviation < _DEVIATIONS[0] and not cut:
                off.append(f"{number.name} (mean {mean:.2f}, deviation {deviation:.2f})")
            later = _present(data.validation, column)
            if len(later) >= _FEWEST and abs(float(later.mean()) - mean) > _MOVED:
                moved.append(f"{number.name} (by {abs(float(later.mean()) - mean):.1f} deviations)")
    count = len(data.attributes.numbers)
    detail = f"{count} numbers; {count - len(broken) - len(off) - len(constant)} of mean 0 and deviation 1."
    detail += listed("Not finite", broken) + listed("Off", off) + listed("Constant", constant)
    detail += listed("Elsewhere in validation", moved)
    advice = (
        "Their means would shift what the network learned; is their unit the same in both periods?" if moved else ""
    )
    if broken or off:
        advice = "Look at these columns in dataset.toml and at the attributes.json they are encoded with."
    figures = {"not_finite": len(broken), "off": len(off), "constant": len(constant), "moved": len(moved)}
    return Finding(
        check="numbers are standardised", passed=not broken and not off, detail=detail, advice=advice, figures=figures
    )


def attributes_are_there(data: TrainingData) -> Finding:
    """No attribute is in one split and absent from another; what is mostly missing or never seen is told."""
    vanished, empty, unseen, constant = [], [], [], []
    worst = {"missing": 0.0, "unseen": 0.0}
    for name, train, *later in _shares(data):
        worst["missing"], worst["unseen"] = max(worst["missing"], train[0]), max(worst["unseen"], train[1])
        if any((train[0] < _RARELY) and part[0] > _MOSTLY for part in later):
            vanished.append(f"{name} (in training, not later)")
        elif train[0] > _MOSTLY and any(part[0] < _RARELY for part in later):
            vanished.append(f"{name} (later, not in training)")
        elif train[0] > _MOSTLY:
            empty.append(name)
        if any(part[1] > max(_UNSEEN, 2 * train[1]) for part in later):
            unseen.append(f"{name} ({max(part[1] for part in later):.0%})")
    for column, category in enumerate(data.attributes.categories):
        if len(np.unique(data.train.categories[:, column])) == 1 and category.name not in empty:
            constant.append(category.name)
    columns = len(data.attributes.categories) + len(data.attributes.numbers)
    detail = f"{columns} attributes; at most {worst['missing']:.0%} missing and {worst['unseen']:.0%} too rare to keep."
    detail += listed("In one split only", vanished) + listed("Hardly ever there", empty)
    detail += listed("One value only", constant) + listed("Values not seen in training", unseen)
    advice = ""
    if unseen or empty:
        advice = "Attributes that are new each time, or hardly ever there, help little: leave them out of dataset.toml."
    if vanished:
        advice = "Is the column called otherwise in one of the files, or filled only after the ticket was resolved?"
    figures = {**worst, "vanished": len(vanished), "empty": len(empty), "constant": len(constant)}
    return Finding(
        check="attributes are in every split", passed=not vanished, detail=detail, advice=advice, figures=figures
    )


def no_attribute_is_the_answer(data: TrainingData) -> Finding:
    """No single attribute, its values looked up in the training tickets, tells the contact type of the others.

    A label dealt at random cannot show such a leak: the attribute would keep the true one. Shares are of what always
    saying the commonest contact type leaves open.
    """
    learn, judge = _two_parts(data)
    if len(judge) < _FEWEST:
        return Finding(check="no attribute is the answer", passed=True, detail="Too few tickets to tell.")
    told: dict[str, float] = {}
    level_told: dict[str, float] = {}
    for name, known, unseen in _columns(data, learn, judge):
        told[name] = _told(known, learn.node, unseen, judge.node)
        for level in range(data.index.levels - 1):
            above = (data.index.node_at(part.node, level) for part in (learn, judge))
            level_told[name] = max(level_told.get(name, 0.0), _told(known, next(above), unseen, next(above)))
    answers = [f"{name} ({share:.0%})" for name, share in told.items() if share > _TELLS_ALL]
    levels = [f"{name} ({share:.0%})" for name, share in level_told.items() if share > _TELLS_LEVEL]
    best = max(told, key=told.__getitem__, default=None)
    detail = f"{best} tells most, {told[best]:.0%} of what there is to know." if best else "There are no attributes."
    detail += listed("Tells nearly all", answers) + listed("Tells an upper level", levels if not answers else [])
    advice = ""
    if answers or levels:
        advice = (
            "Is it known when a ticket arrives? If only the resolution fills it, move it to never_inputs in "
            "dataset.toml."
        )
    figures = {"told": max(told.values(), default=0.0), "upper_level_told": max(level_told.values(), default=0.0)}
    return Finding(
        check="no attribute is the answer", passed=not answers, detail=detail, advice=advice, figures=figures
    )


def texts_are_read(data: TrainingData, config: TrainConfig) -> Finding:
    """Few texts are empty or cut at max_tokens, and the tokenizer knows their words."""
    texts = data.train.rows["text"].take(spread_rows(len(data.train), _SAMPLE)).to_pylist()
    whole = Tokenizer.from_str(data.tokenizer.to_str())
    whole.no_truncation()
    tokens = tokenise(whole, texts)
    special = data.tokenizer.num_special_tokens_to_add(False)
    cut = float((tokens.lengths > config.max_tokens).mean())
    empty = float((tokens.lengths <= special).mean())
    unknown = _unknown_share(data.tokenizer, tokens.values, words=int((tokens.lengths - special).sum()))
    most = int(np.quantile(tokens.lengths, 0.95))
    detail = f"Half of the texts have up to {np.median(tokens.lengths):.0f} tokens, 95 % up to {most}, "
    detail += f"{cut:.1%} more than {config.max_tokens}; {empty:.1%} are empty, {unknown:.2%} of the tokens unknown."
    advice = []
    if cut > _CUT:
        advice.append(
            f"max_tokens = {most}, or what the encoder can read, would show it more; steps take longer in proportion."
        )
    if empty > _EMPTY[0]:
        advice.append("Look at the body's column in dataset.toml and at what cleaning took out of the empty ones.")
    if unknown > _UNKNOWN[0]:
        advice.append("The encoder was not made for these texts: choose one of their language and script.")
    figures = {"cut": cut, "empty": empty, "unknown": unknown, "tokens_95": float(most), "texts": float(len(texts))}
    return Finding(
        check="texts fit, and their words are known",
        passed=empty <= _EMPTY[1] and unknown <= _UNKNOWN[1],
        detail=detail,
        advice=" ".join(advice),
        figures=figures,
    )


def splits_are_apart(data: TrainingData) -> Finding:
    """No ticket is in two splits, and few later texts stand word for word in training."""
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    ids = [ticket_id for part in parts.values() for ticket_id in part.ticket_ids]
    twice = len(ids) - len(set(ids))
    known = set(_wording(data.train))
    repeated = {
        name: float(np.mean([wording in known for wording in _wording(part)]))
        for name, part in parts.items()
        if name != "train" and len(part)
    }
    worst = max(repeated.values(), default=0.0)
    detail = f"{twice} tickets are in two splits"
    detail += "".join(f"; {share:.1%} of the {name} texts stand in training" for name, share in repeated.items()) + "."
    advice = "Such tickets measure memory, not skill: split with `triage features`." if worst > _REPEATED[0] else ""
    if twice:
        advice = "A model that has seen a ticket looks better on it than it is: split again with `triage features`."
    return Finding(
        check="no ticket is in two splits",
        passed=twice == 0 and worst <= _REPEATED[1],
        detail=detail,
        advice=advice,
        figures={"twice": float(twice), "repeated": worst},
    )


def _present(tickets: TicketArrays, column: int) -> NDArray[np.float32]:
    """A number of the tickets that have it."""
    values: NDArray[np.float32] = tickets.numbers[:, column][tickets.missing[:, column] == 0]
    return values


def _shares(data: TrainingData) -> Iterator[tuple[Any, ...]]:
    """Each attribute's name, then (share missing, share of values too rare or new) in training and in later splits."""
    parts = [data.train, *(part for part in (data.validation, data.test) if len(part) >= _FEWEST)]
    for column, category in enumerate(data.attributes.categories):
        places = [part.categories[:, column] for part in parts]
        yield category.name, *((float((p == MISSING).mean()), float((p == UNSEEN).mean())) for p in places)
    for column, number in enumerate(data.attributes.numbers):
        yield number.name, *((float(part.missing[:, column].mean()), 0.0) for part in parts)


def _two_parts(data: TrainingData) -> tuple[TicketArrays, TicketArrays]:
    """Tickets to look values up in, and others to ask about: training and validation, or two parts of training."""
    if len(data.validation) >= _FEWEST:
        return data.train, data.validation
    cut = len(data.train) * 4 // 5
    return data.train.take(np.arange(cut)), data.train.take(np.arange(cut, len(data.train)))


def _columns(
    data: TrainingData, learn: TicketArrays, judge: TicketArrays
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Each attribute as small whole numbers, of both parts; a number by the quantile it is in."""
    for column, category in enumerate(data.attributes.categories):
        yield category.name, learn.categories[:, column], judge.categories[:, column]
    for column, number in enumerate(data.attributes.numbers):
        edges = np.unique(np.quantile(learn.numbers[:, column], np.linspace(0, 1, _BINS + 1)))
        bins = [np.searchsorted(edges, part.numbers[:, column], side="right") for part in (learn, judge)]
        missing = [part.missing[:, column].astype(np.int64) * (len(edges) + 1) for part in (learn, judge)]
        yield number.name, bins[0] + missing[0], bins[1] + missing[1]


def _told(
    known: NDArray[np.int64], node: NDArray[np.int64], unseen: NDArray[np.int64], truth: NDArray[np.int64]
) -> float:
    """Share of what the commonest node leaves open that looking a value up tells, on tickets not looked into."""
    commonest = np.bincount(node).argmax()
    counts = np.zeros((int(max(known.max(), unseen.max())) + 1, int(node.max()) + 1), np.int64)
    np.add.at(counts, (known, node), 1)
    looked_up = np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), commonest)[unseen]
    base = float((truth == commonest).mean())
    return 0.0 if base == 1 else max(0.0, (float((looked_up == truth).mean()) - base) / (1 - base))


def _unknown_share(tokenizer: Tokenizer, values: NDArray[np.int32], *, words: int) -> float:
    unknown = next((i for i in map(tokenizer.token_to_id, ("[UNK]", "<unk>")) if i is not None), None)
    return 0.0 if unknown is None or words <= 0 else float((values == unknown).sum()) / words


def _wording(tickets: TicketArrays) -> list[str]:
    return [" ".join(text.casefold().split()) for text in tickets.rows["text"].to_pylist()]
