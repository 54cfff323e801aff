"""A theme becomes a contact type: the tree's next version, its tickets in the label queue, a line in the audit log.

The steps can be taken again after a crash: the same contact type is added once, a ticket is queued once, and only the
last step says that the theme is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.problems import Problem
from service.serving import Serving
from service.themes.proposal import Proposal
from tickets import audit, theme_log
from tickets.catalogue import read_tree, write_tree
from tickets.label_queue import LabelRequest, enqueue
from tickets.taxonomy_versions import add_contact_type
from tickets.theme_log import Theme


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Who decides: `person` as the page names them, `actor` as the audit log does."""

    person: str
    actor: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The contact type, and how many tickets were sent to be labelled; the others had been asked before."""

    contact_type: str
    queued: int


def accept(held: Serving, theme_id: str, wanted: Proposal, *, by: Decider) -> Accepted:
    """Make a contact type of an open theme; from now on people can choose it.

    Raises ContactTypeError for a name or branch that cannot be, InputError for an unknown theme, Problem (409) when it
    was decided already.
    """
    with held.workspace.catalogue_lock():
        theme = theme_log.find_theme(held.engine, theme_id)
        if theme.status != "open":
            raise decided_already(theme)
        kept = read_tree(held.workspace)
        tree = kept if kept.nodes else held.choices.tree()
        after, contact_type = add_contact_type(tree, wanted.parent or None, wanted.name, wanted.description)
        if after is not kept:
            write_tree(held.workspace, after)
        queued = _ask(held, theme, wanted.tickets, contact_type=contact_type)
        at = held.options.clock()
        theme_log.decide(held.engine, theme_id, "accepted", by=by.person, at=at, contact_type=contact_type)
    note(held, "theme accepted", theme, by=by, contact_type=contact_type, tickets=queued)
    return Accepted(contact_type=contact_type, queued=queued)


def decided_already(theme: Theme) -> Problem:
    return Problem(409, "decided", f"the theme was {theme.status} already.", hint="Reload the list of themes.")


def note(held: Serving, action: str, theme: Theme, *, by: Decider, **details: str | int) -> None:
    """A line in the audit log."""
    audit.record(
        held.engine,
        at=held.options.clock(),
        actor=by.actor,
        action=action,
        target=theme.theme_id,
        request_id=by.request_id,
        details={"person": by.person, **details},
    )


def _ask(held: Serving, theme: Theme, count: int, *, contact_type: str) -> int:
    """Send the most typical tickets to the label queue; how many were not in it before."""
    found = theme_log.tickets_of(held.engine, theme.ticket_ids[:count])
    requests = [
        LabelRequest(
            ticket=ticket,
            suggestion=suggestion,
            share="theme",
            priority=1 - place / len(found),
            known_type=contact_type,
        )
        for place, (ticket, suggestion) in enumerate(found)
    ]
    return enqueue(held.engine, requests, at=held.options.clock())
