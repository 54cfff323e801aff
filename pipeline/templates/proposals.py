"""Mined templates in the catalogue: proposed from the lake's replies, then approved or rejected by people."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Literal

from pipeline.contact_type_reading import read_contact_type
from pipeline.corrections import out_of_force, read_in_force
from pipeline.lake import arrivals, parts_of
from pipeline.rows import outcome_from_row
from pipeline.templates.mining import SentReply, propose
from pipeline.units import units_of
from tickets.catalogue import (
    TemplateProposal,
    read_dataset,
    read_proposals,
    read_templates,
    read_tree,
    write_proposals,
    write_templates,
)
from tickets.contact_types import ContactTypeTree
from tickets.dataset import Dataset
from tickets.errors import InputError, MissingStepError
from tickets.progress import Report, silent
from tickets.records import ReplyTemplate
from tickets.tables import RAW
from tickets.workspace import Workspace


def mine(workspace: Workspace, *, as_of: date, at_least: int = 20, report: Report = silent) -> list[TemplateProposal]:
    """Propose templates from all replies that arrived up to `as_of` without a template id, and keep the proposals in
    the catalogue; returns the new ones, best supported first.

    What people approved or rejected stays as it is and is not proposed again; what nobody looked at is replaced.
    Raises MissingStepError before the first import, InputError when dataset.toml names no reply.
    """
    dataset = read_dataset(workspace)
    if "reply" not in dataset.outcome:
        raise InputError("dataset.toml names no `reply`.", hint='Say under [outcome] where replies are: reply = "...".')
    decided = [proposal for proposal in read_proposals(workspace) if proposal.status != "proposed"]
    known = {proposal.template_id: template_of(proposal) for proposal in decided}
    known |= {template.template_id: template for template in read_templates(workspace)}
    found = propose(
        stored_replies(workspace, dataset, as_of=as_of),
        languages=dataset.languages,
        known=list(known.values()),
        at_least=at_least,
        report=report,
    )
    tree = read_tree(workspace)
    found = [_current(proposal, tree) for proposal in found]
    write_proposals(workspace, [*decided, *found])
    covered = sum(proposal.share for proposal in found)
    report(f"templates: {len(found)} proposed, which {covered:.0%} of the replies were made from")
    return found


def stored_replies(workspace: Workspace, dataset: Dataset, *, as_of: date) -> Iterator[SentReply]:
    """Replies without a template id in the raw rows up to `as_of`, corrected rows as they stand now, a row group in
    memory at a time. Raises MissingStepError."""
    days = arrivals(workspace, RAW, as_of)
    if not days:
        raise MissingStepError(f"nothing was imported up to {as_of}.", hint="Run `triage import` first.")
    gone = out_of_force(workspace, days)
    for day in days:
        for unit in units_of(day, parts_of(workspace, RAW, day)):
            for _, rows in read_in_force(unit, gone):
                yield from _replies(rows.to_pylist(), dataset)


def decide(
    workspace: Workspace, template_ids: Sequence[str], status: Literal["approved", "rejected"]
) -> list[TemplateProposal]:
    """Approve or reject proposals, by id. Approved ones become templates of the catalogue; where no column says which
    template was sent, the next `clean` tells past tickets by them. Raises InputError for an id that nobody proposed,
    before anything changed."""
    proposals = {proposal.template_id: proposal for proposal in read_proposals(workspace)}
    if missing := [name for name in template_ids if name not in proposals]:
        raise InputError(f"{missing[0]!r} was not proposed.", hint="`triage templates list` shows those that are.")
    kept = {template.template_id: template for template in read_templates(workspace)}
    for name in template_ids:
        if status == "rejected" and proposals[name].status == "approved" and name in kept:
            raise InputError(f"{name!r} is in use already.", hint="Make the template inactive instead.")
        proposals[name] = dataclasses.replace(proposals[name], status=status)
        if status == "approved":
            kept.setdefault(name, template_of(proposals[name]))
    if status == "approved":
        write_templates(workspace, list(kept.values()))
    write_proposals(workspace, list(proposals.values()))
    return [proposals[name] for name in template_ids]


def template_of(proposal: TemplateProposal) -> ReplyTemplate:
    return ReplyTemplate(
        template_id=proposal.template_id,
        title=proposal.title,
        body=proposal.body,
        language=proposal.language,
        contact_types=proposal.contact_types,
    )


def _current(proposal: TemplateProposal, tree: ContactTypeTree) -> TemplateProposal:
    """The contact types it serves under their current ids; as they were written where the tree does not know them."""
    served = {read_contact_type(written, tree).contact_type or written for written in proposal.contact_types}
    return dataclasses.replace(proposal, contact_types=tuple(sorted(served)))


def _replies(rows: Sequence[dict[str, Any]], dataset: Dataset) -> Iterator[SentReply]:
    for row in rows:
        if row["problem"]:
            continue
        outcome = outcome_from_row(row["fields"], dataset, source=row["source"], row=row["row"])
        if outcome is not None and outcome.reply and outcome.template_id is None:
            yield SentReply(outcome.ticket_id, outcome.reply, outcome.contact_type)
