"""The history that is lived again: a simulated company's half year, or the resolved tickets of a workspace."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from tickets.catalogue import read_dataset, read_templates, read_tree, templates_to_text
from tickets.contact_types import ContactTypeTree, tree_to_text
from tickets.errors import InputError
from tickets.records import Outcome, ReplyTemplate, Ticket
from tickets.simulate import (
    SimulatedDay,
    SimulatedTicket,
    SimulationConfig,
    contact_type_tree,
    label_mix_change,
    new_product,
    outage,
    reply_templates,
    simulate,
    wording_change,
)
from tickets.simulate.history import dataset_text, export_row
from tickets.tables import OUTCOMES, TICKETS
from tickets.workspace import Workspace, write_text

AGENTS_MISTAKES = 0.05  # of what an agent records alone: the simulator's rate
_NEWEST = 20_000
_HANDLE_SECONDS = 300.0  # where the history does not tell


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The contact types and reply templates from a day on, as the support lead keeps them."""

    since: dt.date
    tree: ContactTypeTree
    templates: tuple[ReplyTemplate, ...]


@dataclass(frozen=True, kw_only=True)
class History:
    """Days of tickets with their outcomes. `catalogues` begin with the first day's; `events` tell what changed when."""

    name: str
    days: tuple[SimulatedDay, ...]
    catalogues: tuple[Catalogue, ...]
    dataset: str  # dataset.toml of what `export` writes
    events: tuple[tuple[dt.date, str], ...] = ()

    @cached_property
    def truth(self) -> dict[str, str]:
        """Ticket ids to contact types: labelers know it, models never."""
        return {one.ticket.ticket_id: one.true_contact_type for day in self.days for one in day.tickets}

    def export(self, folder: Path, days: Sequence[SimulatedDay]) -> Path:
        """Write some days as a helpdesk would export them; returns the path of dataset.toml."""
        there = in_force(self.catalogues, days[-1].day)
        rows = (json.dumps(export_row(ticket), ensure_ascii=False) for day in days for ticket in day.tickets)
        write_text(folder / "tickets.jsonl", "\n".join(rows) + "\n")
        write_text(folder / "contact_types.json", tree_to_text(there.tree))
        write_text(folder / "templates.json", templates_to_text(there.templates))
        write_text(folder / "dataset.toml", self.dataset)
        return folder / "dataset.toml"


def in_force(catalogues: Sequence[Catalogue], day: dt.date) -> Catalogue:
    """The last one that began by then."""
    return [catalogue for catalogue in catalogues if catalogue.since <= day][-1]


def simulated_history(*, learn_days: int, live_days: int, tickets_per_day: int, seed: int = 7) -> History:
    """A company's days. Once they are live, with as many steps between as the days leave room for: a contact type
    grows, a product is launched, the app is down for two days (which is no reason to train), products are renamed."""
    start = dt.date(2026, 1, 5)
    step = dt.timedelta(days=live_days // 5)
    live = start + dt.timedelta(days=learn_days)
    mix = label_mix_change(live + step // 2, _most_asked(), share=0.15, ramp_days=6)
    launch = new_product(live + 3 * step // 2, share=0.12, ramp_days=4)
    down = outage(live + 5 * step // 2, days=2)
    renamed = wording_change(live + 7 * step // 2, share=0.6, ramp_days=6)
    config = SimulationConfig(
        seed=seed,
        start=start,
        days=learn_days + live_days,
        tickets_per_day=tickets_per_day,
        events=(mix, launch, down, renamed),
    )
    before = Catalogue(start, contact_type_tree(), reply_templates())
    after = Catalogue(launch.start, contact_type_tree(with_new_product=True), reply_templates(with_new_product=True))
    return History(
        name="simulated company",
        days=tuple(simulate(config)),
        catalogues=(before, after),
        dataset=dataset_text("simulated", told="Tickets of a simulated company."),
        events=tuple((event.start, event.name) for event in config.events),
    )


def workspace_history(
    workspace: Workspace, *, learn_days: int, tickets_per_day: int | None = None, seed: int = 7, newest: int = _NEWEST
) -> History:
    """The newest resolved tickets of a workspace in order of time, each with the outcome that the lake holds: that one
    counts as true. Contact types enter the tree on the day of their first ticket.

    With `tickets_per_day` the calendar is told anew: so many tickets make a day, however far apart they came. After
    the `learn_days` agents are simulated; alone they would record a sibling in five of a hundred tickets. Tickets whose
    outcome is no leaf of the tree are left out. Raises MissingStepError, InputError when there are too few days.
    """
    tree, dataset, rng = read_tree(workspace), read_dataset(workspace), Random(seed)
    resolved = _resolved(workspace, tree)[-newest:]
    days = list(_days(resolved, tickets_per_day))
    if len(days) <= learn_days:
        raise InputError(
            f"the history has {len(days)} days; the first {learn_days} are for learning, so nothing is left to replay.",
            hint="Import more, or let fewer tickets make a day.",
        )
    catalogues = tuple(_catalogues(days, learn_days, tree, read_templates(workspace)))
    live = [
        SimulatedDay(day.day, [_as_agents_see_it(one, in_force(catalogues, day.day).tree, rng) for one in day.tickets])
        for day in days[learn_days:]
    ]
    kinds = {"categorical": dataset.categorical, "numeric": dataset.numeric, "boolean": dataset.boolean}
    told = f"Tickets of {dataset.name}, replayed."
    return History(
        name=dataset.name,
        days=(*days[:learn_days], *live),
        catalogues=catalogues,
        dataset=dataset_text(f"{dataset.name}-replay", told=told, languages=dataset.languages, attributes=kinds),
    )


def _most_asked() -> tuple[str, ...]:
    """Two leaves of one group, so that the mix moves and every word of it is known."""
    return tuple(leaf.id for leaf in contact_type_tree().leaves()[:2])


def _resolved(workspace: Workspace, tree: ContactTypeTree) -> list[SimulatedTicket]:
    """Tickets that ended in a leaf, oldest first, in their latest version."""
    leaves = {leaf.id for leaf in tree.leaves()}
    outcomes = {row["ticket_id"]: row for row in workspace.read(OUTCOMES).to_pylist()}
    latest: dict[str, dict[str, Any]] = {}
    for row in workspace.read(TICKETS).sort_by("arrived").to_pylist():
        if row["ticket_id"] in outcomes and outcomes[row["ticket_id"]]["contact_type"] in leaves:
            latest[row["ticket_id"]] = row
    ordered = sorted(latest.values(), key=lambda row: (row["created_at"], row["ticket_id"]))
    return [_ended(row, outcomes[row["ticket_id"]]) for row in ordered]


def _ended(row: dict[str, Any], outcome: dict[str, Any]) -> SimulatedTicket:
    """A ticket of the lake in the simulator's shape; the hash of its customer stands for an address."""
    template = outcome["template_id"]
    return SimulatedTicket(
        ticket=Ticket(
            ticket_id=row["ticket_id"],
            created_at=row["created_at"].astimezone(dt.UTC),
            channel=row["channel"],
            subject=row["subject"],
            body=row["body"],
            attributes=json.loads(row["attributes"]),
        ),
        true_contact_type=outcome["contact_type"],
        right_template_id=template or "",
        outcome=Outcome(
            ticket_id=row["ticket_id"],
            contact_type=outcome["contact_type"],
            template_id=template,
            handle_seconds=outcome["handle_seconds"] or _HANDLE_SECONDS,
            labeler=outcome["labeler"],
        ),
        reply_text="",
        requester=("", row["customer_key"] or ""),
        language=row["language"],
    )


def _days(tickets: Sequence[SimulatedTicket], tickets_per_day: int | None) -> Iterator[SimulatedDay]:
    """Days without a gap, from the first ticket to the last."""
    if not tickets:
        return
    start = tickets[0].ticket.created_at.date()
    dealt: dict[dt.date, list[SimulatedTicket]] = defaultdict(list)
    for number, one in enumerate(tickets):
        if tickets_per_day is not None:
            at = dt.datetime.combine(start, dt.time(), tzinfo=dt.UTC) + dt.timedelta(days=number / tickets_per_day)
            one = replace(one, ticket=replace(one.ticket, created_at=at))  # noqa: PLW2901  # the same, dated anew
        dealt[one.ticket.created_at.date()].append(one)
    last = max(dealt)
    for number in range((last - start).days + 1):
        day = start + dt.timedelta(days=number)
        yield SimulatedDay(day, dealt[day])


def _as_agents_see_it(one: SimulatedTicket, tree: ContactTypeTree, rng: Random) -> SimulatedTicket:
    """What an agent alone would record: mostly the truth, now and then a sibling."""
    true = tree[one.true_contact_type]
    siblings = [node.id for node in tree.leaves() if node.parent == true.parent and node is not true]
    if rng.random() >= AGENTS_MISTAKES or not siblings:
        return one
    return replace(one, outcome=replace(one.outcome, contact_type=rng.choice(siblings)))


def _catalogues(
    days: Sequence[SimulatedDay], learn_days: int, tree: ContactTypeTree, templates: tuple[ReplyTemplate, ...]
) -> Iterator[Catalogue]:
    """The tree as far as tickets have told of it: of the days to learn from at once, then day by day."""
    known = {ticket.true_contact_type for day in days[:learn_days] for ticket in day.tickets}
    version = 1
    yield Catalogue(days[0].day, _part(tree, known, version), templates)
    for day in days[learn_days:]:
        if new := {ticket.true_contact_type for ticket in day.tickets} - known:
            known, version = known | new, version + 1
            yield Catalogue(day.day, _part(tree, known, version), templates)


def _part(tree: ContactTypeTree, leaves: Iterable[str], version: int) -> ContactTypeTree:
    """The tree down to some of its leaves."""
    wanted = {node.id for leaf in leaves for node in tree.ancestors(leaf)}
    return ContactTypeTree(nodes=tuple(node for node in tree.nodes if node.id in wanted), version=version)
