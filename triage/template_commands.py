"""`triage templates`: reply templates mined from past replies, and what people decide about them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

import typer

templates_app = typer.Typer(help="Mine reply templates from past replies; approve them.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option("--workspace", "-w", help="The workspace folder (TRIAGE_WORKSPACE).")]
Ids = Annotated[list[str], typer.Argument(help="Ids, as `triage templates list` shows them.")]


@templates_app.command("mine")
def mine_templates(
    workspace: Folder = None,
    as_of: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Read what arrived up to this day; today.")
    ] = None,
    at_least: Annotated[int, typer.Option(min=2, help="How many replies must have been made from a template.")] = 20,
) -> None:
    """Find what agents write again and again, and propose it as templates with placeholders."""
    from pipeline.templates.proposals import mine
    from tickets.workspace import Workspace
    from triage.console import screen

    opened = Workspace.open(_root(workspace))
    day = (as_of or dt.datetime.now(dt.UTC)).date()
    with opened.lock("templates"), screen() as shown:
        mine(opened, as_of=day, at_least=at_least, report=shown.report)
    _show(opened.root, whole=False)


@templates_app.command("list")
def list_templates(
    workspace: Folder = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The whole text, the contact types and example tickets.")
    ] = False,
) -> None:
    """Show the proposals: how many replies each explains, and what was decided."""
    _show(_root(workspace), whole=whole)


@templates_app.command("approve")
def approve_templates(template_ids: Ids, workspace: Folder = None) -> None:
    """Make proposals reply templates. Past tickets whose reply was made from them get them with the next features."""
    _decide(template_ids, workspace, "approved")


@templates_app.command("reject")
def reject_templates(template_ids: Ids, workspace: Folder = None) -> None:
    """Refuse proposals; they are not proposed again."""
    _decide(template_ids, workspace, "rejected")


def _decide(template_ids: list[str], workspace: Path | None, status: Literal["approved", "rejected"]) -> None:
    from pipeline.templates.proposals import decide
    from tickets.workspace import Workspace

    opened = Workspace.open(_root(workspace))
    with opened.lock("templates"):
        decided = decide(opened, template_ids, status)
    for proposal in decided:
        print(f"{proposal.template_id}: {status}.")


def _show(root: Path, *, whole: bool) -> None:
    from tickets.catalogue import read_proposals
    from tickets.workspace import Workspace

    proposals = read_proposals(Workspace.open(root))
    if not proposals:
        print("No template was proposed yet: run `triage templates mine`.")
    for proposal in proposals:
        support = f"{proposal.support:>8,}  {proposal.share:>6.1%}"
        print(f"{support}  {proposal.language}  {proposal.status:<9} {proposal.template_id}")
        if whole:
            indented = proposal.body.replace("\n", "\n    ")
            print(f"    {indented}\n    serves {', '.join(proposal.contact_types) or 'any contact type'}")
            print(f"    as in tickets {', '.join(proposal.examples)}\n")


def _root(workspace: Path | None) -> Path:
    from triage.settings import read_settings

    return workspace or read_settings().workspace
