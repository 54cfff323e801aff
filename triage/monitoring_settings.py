"""TRIAGE_MONITORING__*: the policy of a night in plain settings. triage/settings.py reads them, triage/night_options.py
hands them to the parts. Each has the default of the knob that it fills."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

Start = Literal["auto", "warm", "cold"]


class MonitoringSettings(BaseModel):
    """What is compared, how many labels are asked, when it is time to retrain, and which challenger passes."""

    window_days: int = Field(default=7, ge=1, description="Days that a night looks back on at most.")
    window_tickets: int = Field(default=500, ge=1, description="Fewer days suffice when they bring so many tickets.")
    alarm_family_wise: float = Field(
        default=0.01,
        ge=0.01,  # 1,999 permutations reach a p-value of 0.0005, which Holm's correction over the detectors makes 0.009
        lt=1,
        description="Chance of any alarm on a quiet night, all detectors counted; 0.01 at least, since at less the "
        "detectors that permute tickets could never alarm.",
    )
    alarm_persist: int = Field(default=2, ge=1, le=3, description="Of the last three nights that must drift to alarm.")
    alarm_replays: int = Field(
        default=200, ge=0, description="Quiet nights that limits come from; 0 goes by p-values alone."
    )
    label_budget: int = Field(default=50, ge=0, description="Labels asked a night; 0 asks none.")
    unsure_share: float = Field(default=0.5, ge=0, le=1, description="Of these labels: tickets the model is unsure of.")
    diverse_share: float = Field(
        default=0.25, ge=0, le=1, description="Of these labels: tickets unlike each other. The rest is random."
    )
    double_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Of random tickets and doubted labels: asked of two people, once two label.",
    )
    gold_share: float = Field(default=0.05, ge=0, le=1, description="Of these labels: tickets with a known answer.")
    suspects_per_night: int = Field(default=5, ge=0, description="Of these labels: past ones that the model doubts.")
    look_for_themes: bool = Field(default=True, description="Look for new themes, each night.")
    retrain_on_alarm: bool = Field(default=True, description="Retrain while an alarm is open.")
    labels_to_learn_from: int = Field(
        default=50,
        ge=0,
        description="New labels and corrections that an alarm needs, one at least; twice as many with each "
        "challenger that fails after the second while it is open.",
    )
    retrain_after_labels: int = Field(default=500, ge=0, description="New labels and corrections; 0 switches it off.")
    retrain_after_days: int = Field(
        default=90,
        ge=0,
        description="Age of the newest ticket the champion was judged on, counted anew when it meets a challenger and "
        "stays; 0 switches it off.",
    )
    retrain_every_days: int = Field(default=0, ge=0, description="A fixed schedule; 0 switches it off.")
    retrain_start: Start = Field(
        default="auto",
        description="What a challenger starts from: cold the encoder, warm the champion, auto the champion unless it "
        "learned from days now held out.",
    )
    validation_days: int = Field(default=7, ge=1, description="Days before the gate's that calibrate a challenger.")
    gate_days: int = Field(default=7, ge=1, description="The latest days, on which the gate compares.")
    gate_confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Of the challenger's win, one-sided.")
    gate_least_tickets: int = Field(default=100, ge=1, description="Labelled tickets that the gate needs.")
    gate_large_type: int = Field(default=30, ge=1, description="Tickets that make a contact type large.")
    gate_type_loss: float = Field(
        default=0.05, ge=0, le=1, description="Accuracy that a challenger may not lose on a large contact type."
    )
    gate_hits_loss: float = Field(default=0.02, ge=0, le=1, description="Nor of hits@3; 1 switches a guard off.")
    gate_template_loss: float = Field(default=0.03, ge=0, le=1, description="Nor of the templates' reciprocal rank.")
    gate_calibration_loss: float = Field(
        default=0.05, ge=0, le=1, description="What its calibration error may not grow by."
    )
    probation_days: int = Field(
        default=14, ge=0, description="How long a new champion is rolled back when it does worse; 0 never."
    )
    probation_confidence: float = Field(
        default=0.95, gt=0.5, lt=1, description="That a champion as good as the one before stays."
    )
    probation_least: int = Field(default=100, ge=1, description="Judged tickets of either champion that it takes.")
    probation_drop: float = Field(
        default=0.05, gt=0, le=1, description="The fall of acceptance or accuracy that matters."
    )

    @model_validator(mode="after")
    def _shares_of_one(self) -> Self:
        if self.unsure_share + self.diverse_share > 1:
            raise ValueError("unsure_share and diverse_share together are more than 1")
        return self
