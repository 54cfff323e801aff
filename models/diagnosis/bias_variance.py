"""Where a model's errors come from, and what to do about the largest part.

After Ng ("Machine Learning Yearning", 2018): errors on tickets that are ever less like those learned from are lined up,
and each step from one to the next is one cause.

    irreducible        labels that disagree             -> labels
    training           tickets it learned from          -> avoidable bias
    same period        tickets held out beside them     -> variance
    validation, test   tickets of later periods         -> shift

One limit: a network that knows the label mix answers tickets of any age with that of the last weeks. Where the mix has
moved, errors on old tickets, and avoidable bias with them, come out larger than they are: at the expense of shift, or
of variance where shift is taken from TF-IDF.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.batches import TicketArrays, spread_rows
from models.config import TrainConfig
from models.diagnosis.answers import Judge, Learn, tfidf_rung
from models.diagnosis.label_noise import LabelNoise
from models.diagnosis.same_period import hold_out
from models.intervals import CONFIDENCE, share_of
from models.training.data import TrainingData
from tickets.errors import TrainingDataError
from tickets.progress import Report

IRREDUCIBLE, TRAINING, SAME_PERIOD, VALIDATION, TEST = "irreducible", "training", "same period", "validation", "test"
LABELS, BIAS, VARIANCE, SHIFT, FURTHER = "labels", "avoidable bias", "variance", "shift", "further shift"
_CAUSE = {IRREDUCIBLE: LABELS, TRAINING: BIAS, SAME_PERIOD: VARIANCE, VALIDATION: SHIFT, TEST: FURTHER}
_DRAWS = 1_000
_MOST = 2_000  # tickets of a split that are judged
_QUICK = 20_000  # tickets that TF-IDF learns from, where it only tells shift from variance
_SMALL = 0.01  # a gap below a point is no cause to work on

# training, validation, test -> (n,) a number for each group of its tickets that near-duplicates or customers link; in a
# split that is missing each ticket stands alone
Groups = Mapping[str, NDArray[np.int64]]


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


@dataclass(frozen=True, slots=True)
class Part:
    """Tickets to judge or to learn from, with the group of each."""

    tickets: TicketArrays
    groups: NDArray[np.int64]  # (n,)

    def take(self, rows: NDArray[np.int64]) -> Part:
        return Part(self.tickets.take(rows), self.groups[rows])

    def some(self) -> Part:
        """At most so many, over the whole period."""
        return self.take(spread_rows(len(self.groups), _MOST))


def measured(name: str, mistakes: NDArray[np.bool_], *, groups: NDArray[np.int64] | None = None, seed: int) -> Level:
    """From (n,) mistakes, one or more. Tickets of one group are drawn together: near-duplicates are one witness."""
    random = np.random.default_rng([seed, crc32(name.encode())])  # one set of samples a name, whoever is judged
    place = np.arange(len(mistakes)) if groups is None else np.unique(groups, return_inverse=True)[1]
    sums, sizes = np.bincount(place, weights=mistakes), np.bincount(place)
    error = float(mistakes.mean())
    draws = np.empty(_DRAWS)
    for draw in range(_DRAWS):  # all at once would be draws times groups numbers
        times = np.bincount(random.integers(0, len(sums), len(sums)), minlength=len(sums))
        draws[draw] = float(times @ sums) / float(times @ sizes)
    if error in (0.0, 1.0):
        draws = _of_one_mind(error, len(sums), random)
    return Level(name=name, error=error, draws=draws, tickets=len(mistakes))


def _of_one_mind(error: float, witnesses: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Draws where none, or all, of the witnesses are wrong, and to draw them again tells nothing: their 95 % interval
    is Wilson's."""
    share = share_of(round(error * witnesses), witnesses)
    reach = max(error - share.low, share.high - error)
    deviation = reach / NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
    return np.clip(random.normal(error, deviation, _DRAWS), 0.0, 1.0)


def irreducible(noise: LabelNoise) -> Level | None:
    if noise.share is None:
        return None
    draws = noise.draws
    if noise.share == 0.0:
        draws = _of_one_mind(0.0, noise.sample, np.random.default_rng(crc32(IRREDUCIBLE.encode())))
    return Level(name=IRREDUCIBLE, error=noise.share, draws=draws, tickets=noise.sample, how=noise.words)


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
    groups: Groups,
    noise: LabelNoise,
    *,
    judged: str,
) -> Decomposition:
    """Learn from the training tickets but for a slice, and judge on all. Raises TrainingDataError, also when no
    validation ticket has an outcome."""
    parts = _parts(data, groups)
    kept, held = hold_out(data.train, parts[TRAINING].groups, seed=config.seed)
    learned = parts[TRAINING].take(kept)
    judge = learn(learned.tickets, config.seed)
    later = {VALIDATION: parts[VALIDATION].some(), TEST: parts[TEST].some()}
    asked = {TRAINING: learned.some(), SAME_PERIOD: parts[TRAINING].take(held), **later}
    levels = _with_limit(_judged(judge, asked, seed=config.seed), config, smaller=SHIFT)
    return decompose(levels, noise, judged=judged, config=config, figures=_new_types(data))


def by_model(
    data: TrainingData,
    config: TrainConfig,
    judge: Judge,
    groups: Groups,
    noise: LabelNoise,
    *,
    judged: str,
    report: Report,
) -> Decomposition:
    """Judge a model that learned from all training tickets, so that none of that period is left to hold out.

    How much of its step to the validation period is shift is taken from TF-IDF, which is fitted with a slice held out
    and meets the same shift. `config` is what the model was trained with: advice names its values. Raises
    TrainingDataError, also when no validation ticket has an outcome.
    """
    parts = _parts(data, groups)
    own = _judged(judge, {name: part.some() for name, part in parts.items()}, seed=config.seed)
    training, validation, *last = _with_limit(own, config, smaller=VARIANCE)
    report("TF-IDF with a slice held out, to tell shift from variance.")
    recent = parts[TRAINING].take(np.arange(max(0, len(data.train) - _QUICK), len(data.train)))
    kept, held = hold_out(recent.tickets, recent.groups, seed=config.seed)
    quick = tfidf_rung(data, config)(recent.tickets.take(kept), config.seed)
    both = {SAME_PERIOD: recent.take(held), VALIDATION: parts[VALIDATION].some()}
    before, after = _judged(quick, both, seed=config.seed)
    shift = after.error - before.error
    estimated = Level(
        name=SAME_PERIOD,
        error=validation.error - shift,
        draws=validation.draws - (after.draws - before.draws),
        tickets=before.tickets,
        how=f"estimated: TF-IDF's error grows by {100 * shift:.1f} points from there to the validation period",
    )
    levels = [training, estimated, validation, *last]
    return decompose(levels, noise, judged=judged, config=config, figures=_new_types(data))


def _parts(data: TrainingData, groups: Groups) -> dict[str, Part]:
    """The three splits. Raises TrainingDataError without validation tickets: nothing would tell shift from variance."""
    if not len(data.validation):
        raise TrainingDataError(
            "no ticket of the validation split has an outcome; without them shift cannot be told from variance.",
            hint="Move the split's dates so that validation has tickets, then run `triage features`.",
        )
    tickets = {TRAINING: data.train, VALIDATION: data.validation, TEST: data.test}
    return {name: Part(part, groups.get(name, np.arange(len(part)))) for name, part in tickets.items()}


def _judged(judge: Judge, parts: Mapping[str, Part], *, seed: int) -> list[Level]:
    return [
        measured(name, judge(part.tickets), groups=part.groups, seed=seed)
        for name, part in parts.items()
        if len(part.groups)
    ]


def _with_limit(levels: Sequence[Level], config: TrainConfig, *, smaller: str) -> list[Level]:
    """The levels of the training period told how the label mix bears on them; `smaller` is the cause that shrinks."""
    if not config.label_mix:
        return list(levels)
    how = (
        "judged with the label mix of the last weeks, not of each ticket's own; where the mix has moved, this error "
        f"and {BIAS} come out too large, {smaller} too small"
    )
    return [dataclasses.replace(one, how=how) if one.name in (TRAINING, SAME_PERIOD) else one for one in levels]


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
