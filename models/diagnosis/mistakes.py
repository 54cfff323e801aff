"""Where a release goes wrong on tickets whose contact type is known: types, pairs, single tickets, levels, confidence.

Everything here is counted from answers of the served graph; models/diagnosis/error_report.py gathers them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.diagnosis.slices import discoveries, worse_by_chance
from models.diagnosis.telling_words import TellingWord, telling_words, together, word_counts
from models.intervals import Share, share_of
from models.tree_index import TreeIndex

MOST_TYPES, MOST_PAIRS, MOST_MISTAKES, EXAMPLES = 15, 10, 20, 3
SHOWN = 240  # characters of a ticket
_BINS = 10  # of probabilities
_FEWEST = 5  # tickets of a contact type that is called surely worse
_OFF_LEAST = 20  # tickets of a bin that is called off


@dataclass(frozen=True, slots=True)
class Answers:
    """What a release says of n tickets, in one order. Texts are masked, as the lake keeps them."""

    index: TreeIndex
    ticket_ids: Sequence[str]
    texts: Sequence[str]
    given: Sequence[str]  # contact types as the tickets have them
    truth: NDArray[np.int64]  # (n,) node, -1 where the release does not know the contact type
    node_probabilities: NDArray[np.float32]  # (n, N) calibrated
    predicted: NDArray[np.int64]  # (n,) node of the likeliest leaf
    probability: NDArray[np.float32]  # (n,) its probability
    abstained: NDArray[np.bool_]  # (n,)

    def __len__(self) -> int:
        return len(self.predicted)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) the first suggestion is the contact type, or a leaf under it where only an inner node is known."""
        return (self.index.ancestors[self.truth, self.predicted] > 0) & (self.truth >= 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeErrors:
    """One contact type: how many of its tickets were missed, and how many of others were taken for it."""

    contact_type: str
    tickets: int
    missed: int
    share_of_errors: float  # its missed tickets among all errors
    taken: int
    recall: Share
    precision: Share
    taken_for: str | None  # the contact type that most of its missed tickets got
    surely_worse: bool  # more of its tickets were missed than of the others, after correction over all contact types


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A ticket that the model got wrong. `words` are those that weighed most, heaviest first."""

    ticket_id: str
    text: str
    truth: str
    predicted: str
    probability: float
    truth_probability: float
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedPair:
    """Two contact types that are taken for each other. The words are what tells the tickets of one from the other's."""

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    share: Share  # of the tickets of both
    first_words: tuple[TellingWord, ...]
    second_words: tuple[TellingWord, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelErrors:
    """A level of the tree, 1 at the top: the errors that begin there, the levels above being right."""

    level: int
    errors: int
    share_of_errors: float
    right: Share  # of the tickets that are right above


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceBin:
    """Tickets whose first suggestion has a probability from `low` to `high`."""

    low: float
    high: float
    confidence: float  # mean probability
    right: Share
    off: str  # too sure | too shy, where the mean lies outside the interval; else empty


def worst_types(answers: Answers) -> list[TypeErrors]:
    """Contact types by the tickets they cost, those with most missed tickets first; leaves that occur alone."""
    index, truth, predicted = answers.index, answers.truth, answers.predicted
    leaf = index.columns_of(truth) >= 0
    right = answers.correct
    errors, surely_worse = int((~right).sum()), _surely_worse(truth[leaf], ~right[leaf])
    rows = []
    for node in np.unique(truth[leaf]):
        mine, claimed = leaf & (truth == node), predicted == node
        missed = mine & ~right
        others = Counter(predicted[missed].tolist())
        own = share_of(int((mine & right).sum()), int(mine.sum()))
        rows.append(
            TypeErrors(
                contact_type=index.ids[node],
                tickets=int(mine.sum()),
                missed=int(missed.sum()),
                share_of_errors=float(missed.sum()) / max(errors, 1),
                taken=int((claimed & ~right).sum()),
                recall=own,
                precision=share_of(int((claimed & right).sum()), int(claimed.sum())),
                taken_for=index.ids[others.most_common(1)[0][0]] if others else None,
                surely_worse=int(node) in surely_worse,
            )
        )
    return sorted(rows, key=lambda row: (-row.missed, -row.taken, row.contact_type))


def _surely_worse(truth: NDArray[np.int64], wrong: NDArray[np.bool_]) -> set[int]:
    """The nodes of enough tickets that are missed more often than the rest, tested as slices are: among many contact
    types some would lie low by chance."""
    nodes, counts = np.unique(truth, return_counts=True)
    tested = nodes[counts >= _FEWEST]
    p_values = np.array([worse_by_chance(truth == node, wrong) for node in tested])
    return set(tested[discoveries(p_values)].tolist())


def confused_pairs(answers: Answers, past: Mapping[str, Sequence[str]]) -> list[ConfusedPair]:
    """The pairs of leaves with most confusions, both ways together. `past` maps a contact type to texts of it, to
    learn from what tells the two apart; the answers' own texts come in addition."""
    index = answers.index
    truth, predicted = answers.truth, answers.predicted
    wrong = np.flatnonzero((index.columns_of(truth) >= 0) & ~answers.correct)
    counts = Counter(
        (min(pair), max(pair)) for pair in zip(truth[wrong].tolist(), predicted[wrong].tolist(), strict=True)
    )
    ranked = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:MOST_PAIRS]
    named = {node for pair, _ in ranked for node in pair}
    texts = {node: _texts_of(answers, node, past) for node in named}
    words = {node: word_counts(texts[node]) for node in named}
    background = together(words.values())
    pairs = []
    for (first, second), _ in ranked:
        one_way = wrong[(truth[wrong] == first) & (predicted[wrong] == second)]
        other_way = wrong[(truth[wrong] == second) & (predicted[wrong] == first)]
        ours, theirs = telling_words(words[first], words[second], background)
        both = int(((truth == first) | (truth == second)).sum())
        surest = sorted((*one_way, *other_way), key=lambda row: -answers.probability[row])[:EXAMPLES]
        pairs.append(
            ConfusedPair(
                first=index.ids[first],
                second=index.ids[second],
                first_as_second=len(one_way),
                second_as_first=len(other_way),
                share=share_of(len(one_way) + len(other_way), both),
                first_words=ours,
                second_words=theirs,
                examples=tuple(example(answers, int(row)) for row in surest),
            )
        )
    return pairs


def confident_mistakes(
    answers: Answers, explain: Callable[[Sequence[int]], Sequence[Sequence[str]]], *, most: int = MOST_MISTAKES
) -> list[Example]:
    """Errors of the highest probability, the surest first. `explain` gives the words that weighed most in some rows."""
    wrong = np.flatnonzero(~answers.correct)
    rows = wrong[np.argsort(-answers.probability[wrong], kind="stable")][:most].tolist()
    return [example(answers, row, tuple(words)) for row, words in zip(rows, explain(rows), strict=True)]


def errors_by_level(answers: Answers) -> list[LevelErrors]:
    """Where on the path the first wrong turn was: the right product and the wrong issue is an error of level 2.

    A ticket whose contact type is an inner node can go wrong only down to it; one of an unknown contact type counts on
    no level.
    """
    index = answers.index
    known = answers.truth >= 0
    paths, said = index.paths[answers.truth[known]], index.paths[answers.predicted[known]]
    errors = int((~answers.correct).sum())
    above = np.ones(len(paths), np.bool_)
    levels = []
    for level in range(index.levels):
        there = above & (paths[:, level] >= 0)
        right = there & (paths[:, level] == said[:, level])
        lost = int((there & ~right).sum())
        levels.append(
            LevelErrors(
                level=level + 1,
                errors=lost,
                share_of_errors=lost / max(errors, 1),
                right=share_of(int(right.sum()), int(there.sum())),
            )
        )
        above = right
    return levels


def reliability(probability: NDArray[np.float32], correct: NDArray[np.bool_]) -> list[ConfidenceBin]:
    """Probabilities beside how often they were right, in bins of equal width; empty ones are left out."""
    place = np.minimum((probability * _BINS).astype(np.int64), _BINS - 1)
    found = []
    for number in np.unique(place):
        mine = place == number
        confidence, right = float(probability[mine].mean()), share_of(int(correct[mine].sum()), int(mine.sum()))
        off = "too sure" if confidence > right.high else "too shy" if confidence < right.low else ""
        found.append(
            ConfidenceBin(
                low=float(number) / _BINS,
                high=float(number + 1) / _BINS,
                confidence=confidence,
                right=right,
                off=off if mine.sum() >= _OFF_LEAST else "",
            )
        )
    return found


def example(answers: Answers, row: int, words: tuple[str, ...] = ()) -> Example:
    """One row as a person reads it."""
    truth = int(answers.truth[row])
    return Example(
        ticket_id=answers.ticket_ids[row],
        text=shortened(answers.texts[row]),
        truth=answers.given[row],
        predicted=answers.index.ids[answers.predicted[row]],
        probability=float(answers.probability[row]),
        truth_probability=float(answers.node_probabilities[row, truth]) if truth >= 0 else 0.0,
        words=words,
    )


def shortened(text: str, most: int = SHOWN) -> str:
    """One line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _texts_of(answers: Answers, node: int, past: Mapping[str, Sequence[str]]) -> list[str]:
    own = [answers.texts[row] for row in np.flatnonzero(answers.truth == node).tolist()]
    return [*past.get(answers.index.ids[node], ()), *own]
