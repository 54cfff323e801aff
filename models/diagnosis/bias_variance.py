"""Where a model's errors come from, and what to do about the largest part.

After Ng ("Machine Learning Yearning", 2018): errors on tickets that are ever less like those learned from are lined up,
and each step from one to the next is one cause.

    irreducible        labels that disagree             -> labels
    training           tickets it learned from          -> avoidable bias
    same period        tickets held out beside them     -> variance
    validation, test   tickets of later periods         -> shift
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.batches import TicketArrays
from models.config import TrainConfig
from models.diagnosis.answers import Judge, Learn, Report, tfidf_rung
from models.diagnosis.label_noise import LabelNoise
from models.diagnosis.same_period import hold_out
from models.training.data import TrainingData

IRREDUCIBLE, TRAINING, SAME_PERIOD, VALIDATION, TEST = "irreducible", "training", "same period", "validation", "test"
LABELS, BIAS, VARIANCE, SHIFT, FURTHER = "labels", "avoidable bias", "variance", "shift", "further shift"
_CAUSE = {IRREDUCIBLE: LABELS, TRAINING: BIAS, SAME_PERIOD: VARIANCE, VALIDATION: SHIFT, TEST: FURTHER}
_DRAWS = 1_000
_MOST = 2_000  # tickets of a split that are judged
_QUICK = 20_000  # tickets that TF-IDF learns from, where it only tells shift from variance
_SMALL = 0.01  # a gap below a point is no cause to work on


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """The error on one kind of tickets: a share, and as it would come out of other samples (`draws`, (1000,))."""

    name: str
    error: float
    draws: NDArray[np.float64]
    tickets: int
    how: str = ""  # said when it was not simply counted

    @property
    def interval(self) -> tuple[float, float]:
        return _interval(self.draws)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What one cause adds to the error, with its 95 % interval; `clear` when that lies above zero."""

    cause: str
    before: str
    after: str
    size: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        return self.low > 0 and self.size > _SMALL


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """Levels and gaps in order, what to do next in words, and what was judged."""

    judged: str
    levels: tuple[Level, ...]
    gaps: tuple[Gap, ...]
    noise: LabelNoise
    advice: tuple[str, ...]
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def largest(self) -> Gap:
        return max(self.gaps, key=lambda gap: gap.size)


def measured(name: str, mistakes: NDArray[np.bool_], *, groups: NDArray[np.int64] | None = None, seed: int) -> Level:
    """From (n,) mistakes, one or more. Tickets of one group are drawn together: near-duplicates are one witness."""
    random = np.random.default_rng([seed, crc32(name.encode())])  # one set of samples a name, whoever is judged
    place = np.arange(len(mistakes)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(place, weights=mistakes), np.bincount(place)
    draws = np.empty(_DRAWS)
    for draw in range(_DRAWS):  # all at once would be draws times groups numbers
        times = np.bincount(random.integers(0, len(sums), len(sums)), minlength=len(sums))
        draws[draw] = float(times @ sums) / float(times @ sizes)
    return Level(name=name, error=float(mistakes.mean()), draws=draws, tickets=len(mistakes))


def irreducible(noise: LabelNoise) -> Level | None:
    if noise.share is None:
        return None
    return Level(name=IRREDUCIBLE, error=noise.share, draws=noise.draws, tickets=noise.sample, how=noise.words)


def decompose(
    levels: Sequence[Level],
    noise: LabelNoise,
    *,
    judged: str,
    config: TrainConfig,
    figures: Mapping[str, float] | None = None,
) -> Decomposition:
    """`levels` from training to the last period; the irreducible one goes before them where it is known. Their gaps add
    up to the last error."""
    lowest = irreducible(noise)
    ordered = ([lowest] if lowest is not None else []) + list(levels)
    gaps = [_gap(None, ordered[0])] if lowest is not None else []
    if lowest is None:
        gaps.append(dataclasses.replace(_gap(None, ordered[0]), cause=f"{BIAS} and {LABELS}"))
    gaps += [_gap(one, other) for one, other in pairwise(ordered)]
    found = Decomposition(
        judged=judged, levels=tuple(ordered), gaps=tuple(gaps), noise=noise, advice=(), figures=figures or {}
    )
    return dataclasses.replace(found, advice=tuple(_advice(found, config)))


def by_fitting(
    data: TrainingData,
    config: TrainConfig,
    learn: Learn,
    groups: NDArray[np.int64],
    noise: LabelNoise,
    *,
    judged: str,
) -> Decomposition:
    """Learn from the training tickets but for a slice, and judge on all. Raises TrainingDataError."""
    kept, held = hold_out(data.train, groups, seed=config.seed)
    learned = data.train.take(kept)
    judge = learn(learned, config.seed)
    later = {VALIDATION: some(data.validation), TEST: some(data.test)}
    parts = {TRAINING: some(learned), SAME_PERIOD: data.train.take(held), **later}
    levels = _judged(judge, parts, {SAME_PERIOD: groups[held]}, seed=config.seed)
    return decompose(levels, noise, judged=judged, config=config, figures=_new_types(data))


def by_model(
    data: TrainingData,
    config: TrainConfig,
    judge: Judge,
    groups: NDArray[np.int64],
    noise: LabelNoise,
    *,
    judged: str,
    report: Report,
) -> Decomposition:
    """Judge a model that learned from all training tickets, so that none of that period is left to hold out.

    How much of its step to the validation period is shift is taken from TF-IDF, which is fitted with a slice held out
    and meets the same shift. Raises TrainingDataError.
    """
    own = {TRAINING: some(data.train), VALIDATION: some(data.validation), TEST: some(data.test)}
    levels = _judged(judge, own, {}, seed=config.seed)
    report("TF-IDF with a slice held out, to tell shift from variance.")
    newest = np.arange(max(0, len(data.train) - _QUICK), len(data.train))
    recent, of_recent = data.train.take(newest), groups[newest]
    kept, held = hold_out(recent, of_recent, seed=config.seed)
    quick = tfidf_rung(data, config)(recent.take(kept), config.seed)
    both = {SAME_PERIOD: recent.take(held), VALIDATION: some(data.validation)}
    beside = _judged(quick, both, {SAME_PERIOD: of_recent[held]}, seed=config.seed)
    if len(levels) > 1 and len(beside) == 2:
        shift = beside[1].error - beside[0].error
        training, later = levels[0], levels[1]
        estimated = Level(
            name=SAME_PERIOD,
            error=later.error - shift,
            draws=later.draws - (beside[1].draws - beside[0].draws),
            tickets=beside[0].tickets,
            how=f"estimated: TF-IDF's error grows by {100 * shift:.1f} points from there to the validation period",
        )
        levels = [training, estimated, *levels[1:]]
    return decompose(levels, noise, judged=judged, config=config, figures=_new_types(data))


def some(tickets: TicketArrays) -> TicketArrays:
    """At most so many, over the whole period."""
    rows = np.linspace(0, len(tickets) - 1, min(len(tickets), _MOST)).astype(np.int64)
    return tickets.take(rows)


def _judged(
    judge: Judge, parts: Mapping[str, TicketArrays], groups: Mapping[str, NDArray[np.int64]], *, seed: int
) -> list[Level]:
    return [
        measured(name, judge(part), groups=groups.get(name), seed=seed) for name, part in parts.items() if len(part)
    ]


def _gap(before: Level | None, after: Level) -> Gap:
    draws = after.draws if before is None else after.draws - before.draws
    low, high = _interval(draws)
    size = after.error - (0.0 if before is None else before.error)
    cause = _CAUSE[after.name]
    return Gap(
        cause=cause, before="" if before is None else before.name, after=after.name, size=size, low=low, high=high
    )


def _interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _new_types(data: TrainingData) -> dict[str, float]:
    """Share of each later period's tickets whose contact type no training ticket has."""
    parts = {VALIDATION: data.validation, TEST: data.test}
    return {
        f"new_types_{name}": float((~np.isin(part.node, data.train.node)).mean())
        for name, part in parts.items()
        if len(part)
    }


def _advice(found: Decomposition, config: TrainConfig) -> list[str]:
    largest = found.largest
    said = [
        f"{found.levels[-1].error:.1%} of the {found.levels[-1].name} tickets are wrong. Largest: {largest.cause}, "
        f"{100 * largest.size:.1f} points ({100 * largest.low:.1f} to {100 * largest.high:.1f})."
    ]
    if not largest.clear:
        return [*said, "It does not stand clear of chance: judge on more tickets before working on any of them."]
    said.append(_NEXT[largest.cause](found, config))
    easier = next((gap for gap in found.gaps if gap.cause in (SHIFT, FURTHER) and gap.high < 0), None)
    if easier is not None:
        said.append(
            f"The {easier.after} tickets are easier than the {easier.before} ones, by {-100 * easier.size:.1f} points: "
            "training holds what hardly comes any more. Compare with a model of the newest tickets "
            "(--max-train-tickets)."
        )
    memorised = next((gap for gap in found.gaps if gap.cause == BIAS and gap.high < 0), None)
    if memorised is not None:
        said.append(
            "Training errs less than labels disagree: it learns wrong labels by heart, and variance holds their price."
        )
    if found.noise.share is None:
        said.append(
            f"How much of the training error is in the labels is {found.noise.words}. Two people who label the same "
            "200 tickets would tell."
        )
    return said


def _on_labels(_found: Decomposition, _config: TrainConfig) -> str:
    return (
        "No model takes this away. Review labels (near-duplicates with different contact types first), write what "
        "tells confused contact types apart into their descriptions, or merge them."
    )


def _on_bias(_found: Decomposition, config: TrainConfig) -> str:
    layers = "" if config.trainable_layers is None else "let more layers learn (preset gpu lets all), "
    return (
        f"It does not even learn its own tickets: {layers}train longer than {config.epochs} epochs, read more than "
        f"{config.max_tokens} tokens, add attributes that are known on arrival, try a larger encoder."
    )


def _on_variance(_found: Decomposition, _config: TrainConfig) -> str:
    return (
        "It knows its own tickets better than others of their time: import more history (`triage debug "
        "--learning-curve` says how much helps), stop earlier, let fewer layers learn, raise weight_decay, dropout or "
        "label_smoothing."
    )


def _on_shift(found: Decomposition, _config: TrainConfig) -> str:
    new = max((share for name, share in found.figures.items() if name.startswith("new_types")), default=0.0)
    types = f" {new:.1%} of the later tickets have contact types that training never saw." if new > _SMALL else ""
    return (
        "Later tickets are other tickets: retrain more often and up to a later day, let the newest tickets be labelled "
        f"first, keep the periods for validation and test short, look at what `triage monitor` says moved.{types}"
    )


_NEXT = {
    LABELS: _on_labels,
    BIAS: _on_bias,
    f"{BIAS} and {LABELS}": _on_bias,
    VARIANCE: _on_variance,
    SHIFT: _on_shift,
    FURTHER: _on_shift,
}
