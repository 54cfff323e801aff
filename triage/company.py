"""The simulated company of the demonstration: its plan of days, its agents and labelers, its nights."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from random import Random

import sqlalchemy as sa

from models.config import TrainConfig, preset
from monitoring.night import NightReport, run_night
from monitoring.policy import Policy
from service.app import create_app, running
from service.client import TriageClient
from service.options import ServiceOptions
from tickets.api_keys import create_key, revoke_keys
from tickets.catalogue import write_templates, write_tree
from tickets.errors import WorkspaceError
from tickets.feedback_log import new_id
from tickets.progress import Report, each
from tickets.simulate import (
    SimulatedDay,
    SimulationConfig,
    contact_type_tree,
    new_product,
    reply_templates,
    simulate,
    wording_change,
)
from tickets.workspace import Workspace
from triage.labelers import answer_queue
from triage.live import Handled, SimulatedClock, SimulatedDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """How much of everything. The days follow each other: history, quiet, drift, and after retraining."""

    history_days: int
    quiet_days: int
    most_drift_days: int  # a retrain decision ends them sooner
    after_days: int
    tickets_per_day: int
    training: TrainConfig
    retraining: TrainConfig  # starts from the champion, so fewer epochs do
    policy: Policy
    seed: int = 7
    start: dt.date = dt.date(2026, 1, 5)  # a Monday

    @property
    def live_from(self) -> dt.date:
        return self.start + dt.timedelta(days=self.history_days)

    @property
    def drift_from(self) -> dt.date:
        return self.live_from + dt.timedelta(days=self.quiet_days)

    def simulation(self, *, days: int | None = None) -> SimulationConfig:
        """The stream of tickets: at `drift_from` the company launches a product and renames others."""
        whole = self.history_days + self.quiet_days + self.most_drift_days + self.after_days
        return SimulationConfig(
            seed=self.seed,
            start=self.start,
            days=days or whole,
            tickets_per_day=self.tickets_per_day,
            events=(new_product(self.drift_from, share=0.15), wording_change(self.drift_from)),
        )


FULL = DemoPlan(
    history_days=42,
    quiet_days=6,
    most_drift_days=14,
    after_days=3,
    tickets_per_day=150,
    training=preset("cpu-quick"),
    retraining=replace(preset("cpu-quick"), epochs=2),
    # A challenger must learn from a few days of the change, so an alarm waits for that many labels.
    policy=Policy(
        sample=500,
        label_budget=40,
        suspects_per_night=0,
        labels_to_learn_from=450,
        retrain_after_labels=0,
        validation_days=2,
        gate_days=2,
    ),
)
QUICK = DemoPlan(
    history_days=14,
    quiet_days=3,
    most_drift_days=9,
    after_days=1,
    tickets_per_day=60,
    training=preset("cpu-quick"),
    retraining=replace(preset("cpu-quick"), epochs=2),
    policy=Policy(label_budget=30, suspects_per_night=0, retrain_after_labels=0, validation_days=2, gate_days=2),
)


@dataclass
class Company:
    """The company while the demonstration runs. Its tickets reach the product only over HTTP."""

    workspace: Workspace
    engine: sa.Engine
    desk: SimulatedDesk
    days: Iterator[SimulatedDay]
    policy: Policy
    report: Report
    # ticket_id -> true contact type; labelers know it, models never
    truth: dict[str, str] = field(default_factory=dict)

    def live(self, days: int, *, until_retraining: bool = False) -> tuple[list[Handled], NightReport]:
        """Agents work for so many days, and monitoring looks each night; the last night's report.

        With `until_retraining` the first decision to retrain ends it. Raises WorkspaceError when no day is left.
        """
        handled: list[Handled] = []
        night: NightReport | None = None
        for day in each("days of service", islice(self.days, days), days):
            self.truth |= {one.ticket.ticket_id: one.true_contact_type for one in day.tickets}
            handled += self.desk.work([day])
            night = self._night(day.day)
            if until_retraining and night.decision.retrain:
                break
        if night is None:
            raise WorkspaceError("the simulated company has no day left.", hint="Give the plan more days.")
        return handled, night

    def _night(self, day: dt.date) -> NightReport:
        midnight = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC)
        night = run_night(self.workspace, self.engine, as_of=day, policy=self.policy, now=midnight)
        drifted = ", ".join(result.detector for result in night.results if result.drifted) or "nothing"
        self.report(f"night of {day}: {night.run.status}; drifted: {drifted}; {night.queued} labels asked")
        for alarm in night.raised:
            self.report(f"  {alarm.severity}: {alarm.message}")
        if night.decision.retrain:
            self.report(f"  retrain: {'; '.join(night.decision.reasons)}")
        return night

    def launch(self) -> None:
        """The support lead adds the new product's contact types and templates to the catalogue."""
        write_tree(self.workspace, contact_type_tree(with_new_product=True))
        write_templates(self.workspace, reply_templates(with_new_product=True))

    def label(self, day: dt.date) -> int:
        """Labelers empty the queue on the evening of a day, truthfully; how many tickets that were."""
        return answer_queue(self.engine, self.truth, at=dt.datetime.combine(day, dt.time(23, 59), tzinfo=dt.UTC))

    def wait_for(self, version: str, *, seconds: float = 30.0) -> float:
        """Wait until the running service serves a version; how long it took. Raises WorkspaceError when it does not."""
        started = time.monotonic()
        while (waited := time.monotonic() - started) < seconds:
            if self.desk.client.model().version == version:
                return waited
            time.sleep(0.1)
        raise WorkspaceError(
            f"the service did not take up {version} within {seconds:.0f} seconds.",
            hint="See the service's log; `triage doctor` looks at the release.",
        )


@contextmanager
def open_for_business(workspace: Workspace, engine: sa.Engine, plan: DemoPlan, report: Report) -> Iterator[Company]:
    """Start the service on a free loopback port, with agents at their desks on the first day after the history."""
    clock = SimulatedClock(dt.datetime.combine(plan.live_from, dt.time(), tzinfo=dt.UTC))
    days = (day for day in simulate(plan.simulation()) if day.day >= plan.live_from)
    app = create_app(workspace, engine, ServiceOptions(clock=clock, release_check_seconds=0.2))
    with running(app) as address, _key(engine) as key, TriageClient(address, key=key) as client:
        report(f"service at {address}")
        desk = SimulatedDesk(client, clock, Random(plan.seed))
        yield Company(workspace, engine, desk, days, plan.policy, report)


@contextmanager
def _key(engine: sa.Engine) -> Iterator[str]:
    """The key that lets the simulated helpdesk in; its key ends with the demonstration."""
    made, written = create_key(engine, f"simulated helpdesk {new_id()[:8]}", "agent", at=dt.datetime.now(dt.UTC))
    try:
        yield written
    finally:
        revoke_keys(engine, made.key_id, at=dt.datetime.now(dt.UTC))
