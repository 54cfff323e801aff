"""The knobs of a night: what is compared, when it is an alarm, how many labels are asked, when it is time to train
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# The least statistic that matters, by detector: below it a change is real perhaps, and not worth a person's time.
LEAST_EFFECTS: Mapping[str, float] = {
    "accuracy.estimate": 0.03,  # accuracy lost, as a share
    "embeddings.domain": 0.53,  # AUC; 0.5 is chance
    "embeddings.mmd": 0.0005,  # MMD²; about the square of the share of tickets that moved, times 0.2
    "predictions.types": 0.10,  # Cramér's V; a type that grows from 0 to 5 % of tickets gives about 0.15
    "predictions.one_type": 0.20,  # Cohen's h; a type that grows from 1 to 4 % of tickets gives about 0.20
    "confidence.probability": 0.08,  # KS distance: at most the share of tickets that moved
    "confidence.out_of_scope": 0.08,
    "confidence.abstained": 0.03,  # change of a share
    "text.length": 0.08,
    "text.language": 0.05,
    "text.unseen_words": 0.08,
    "text.words": 0.20,  # Cohen's h; a word that nobody used and that one ticket in a hundred uses now
    "attributes": 0.08,
    "feedback.acceptance": 0.03,  # drop of a share
    "feedback.override": 0.03,  # rise of a share
    "feedback.hits_at_3": 0.03,  # drop of a share
    "feedback.edit_distance": 0.05,  # rise of the mean share of a template that agents change
    "volume": 0.30,  # change against what the weekdays foretell
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a result is called drifted, and when drift becomes an alarm."""

    # Chance of an alarm on a quiet night, of any detector, persistence counted (monitoring/limits.py).
    # Where there are no limits from replays: chance of any false call on such a night, before persistence (Holm 1979).
    family_wise: float = 0.01
    replays: int = 200  # quiet nights that the limits come from, each with those before it; 0: p-values alone
    least_effects: Mapping[str, float] = field(default_factory=lambda: dict(LEAST_EFFECTS))
    persist: int = 2  # an alarm needs drift in `persist` of the last `of` nights, tonight among them
    of: int = 3
    agree: int = 3  # detectors that drift on one night for alarms to be critical where accuracy cannot be estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class ThemeLimits:
    """What makes a group of tickets a new theme."""

    unsure: float = 0.4  # of the reference that counts as unsure; as doubtful tickets of the window are looked at
    least: int = 8  # tickets, and customers, of a theme
    least_share: float = 0.01  # of all tickets that are clustered
    chance: float = 0.01  # of any theme in a night without one (Bonferroni over the clusters)
    lift: float = 2.0  # times as frequent as in the reference
    known: float = 0.25  # of the reference's unsure tickets are as far from all others as a theme's tickets must be
    most: int = 2500  # tickets of either window: clustering takes the square of their number


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything `run_night` may be told. The defaults suit a team with some hundred tickets a day."""

    # Windows
    window_days: int = 7  # the current window at most; weekdays are matched, so it may be shorter
    # Fewer days suffice when they bring as many: a change then shows in a night, not in a week.
    window_tickets: int = 500
    sample: int = 2000  # tickets of either window that are looked at; more sharpens little and costs time
    least: int = 50  # tickets a window needs; with fewer a detector says `unknown`
    history_days: int = 28  # before the window: for volume by weekday and for acceptance
    permutations: int = 1999
    seed: int = 0
    evidently: bool = True  # write the Evidently report; most of a night's seconds, so replays may do without

    # Alarms
    limits: Limits = field(default_factory=Limits)

    # New themes
    look_for_themes: bool = True  # a second a night or two; replays may do without
    themes: ThemeLimits = field(default_factory=ThemeLimits)

    # Labels asked each night, those of second people, gold and doubts included, and how they are shared out
    label_budget: int = 50
    double_share: float = 0.2  # of random tickets and suspects, once two people label; they tell how far people agree
    gold_share: float = 0.05  # of the budget: tickets with a known answer, which measure labelers
    suspects_per_night: int = 5  # labels of the past that the model doubts; at most a tenth of the budget
    unsure_share: float = 0.5
    diverse_share: float = 0.25  # the rest is random, which measures accuracy without bias

    # Retraining: reasons for it, any one suffices; 0 switches one off
    retrain_on_alarm: bool = True
    retrain_after_labels: int = 500  # new labels and corrections since the champion was trained
    # Since the newest ticket the champion was judged on, counted anew when it meets a challenger and stays.
    retrain_after_days: int = 90
    retrain_every_days: int = 0  # a fixed schedule, counted from the last training
    # An alarm alone teaches nothing: so many new labels and corrections must be there to learn from, one at least.
    labels_to_learn_from: int = 50
    # Days that a training holds out: those the gate compares on, and those before them that calibrate the challenger.
    # Labels of their tickets teach it nothing, so they are not counted as new until later days take their place.
    validation_days: int = 7
    gate_days: int = 7

    @property
    def held_out_days(self) -> int:
        return self.validation_days + self.gate_days
