"""`triage templates`: reply templates mined from past replies, and what people decide about them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from triage.options import AsOf, Folder, day_of, settings_of
from triage.printed_json import AsJson, print_json

templates_app = typer.Typer(help="Mine reply templates from past replies; approve them.", no_args_is_help=True)

Ids = Annotated[list[str], typer.Argument(help="Ids, as `triage templates list` shows them.")]


@templates_app.command("mine")
def mine_templates(
    workspace: Folder = None,
    as_of: AsOf = None,
    at_least: Annotated[int, typer.Option(min=2, help="How many replies must have been made from a template.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Find what agents write again and again, and propose it as templates with placeholders."""
    from pipeline.templates.proposals import mine
    from tickets.workspace import Workspace
    from triage.screen import screen

    opened = Workspace.open(settings_of(workspace).workspace)
    with opened.lock("templates"), screen(as_json=as_json) as shown:
        mine(opened, as_of=day_of(as_of), at_least=at_least, report=shown.report)
    _show(opened.root, whole=False, as_json=as_json)


@templates_app.command("list")
def list_templates(
    workspace: Folder = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="The whole text, the contact types and example tickets.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the proposals: how many replies each explains, and what was decided."""
    _show(settings_of(workspace).workspace, whole=whole, as_json=as_json)


@templates_app.command("approve")
def approve_templates(template_ids: Ids, workspace: Folder = None) -> None:
    """Make proposals reply templates. Where no column says which was sent, past replies tell with the next features."""
    _decide(template_ids, workspace, "approved")


@templates_app.command("reject")
def reject_templates(template_ids: Ids, workspace: Folder = None) -> None:
    """Refuse proposals; they are not proposed again."""
    _decide(template_ids, workspace, "rejected")


def _decide(template_ids: list[str], workspace: Path | None, status: Literal["approved", "rejected"]) -> None:
    from pipeline.templates.proposals import decide
    from tickets.workspace import Workspace

    opened = Workspace.open(settings_of(workspace).workspace)
    with opened.lock("templates"):
        decided = decide(opened, template_ids, status)
    for proposal in decided:
        print(f"{proposal.template_id}: {status}.")


def _show(root: Path, *, whole: bool, as_json: bool) -> None:
    from tickets.catalogue import read_proposals
    from tickets.workspace import Workspace

    proposals = read_proposals(Workspace.open(root))
    if as_json:
        print_json(proposals)
        return
    if not proposals:
        print("No template was proposed yet: run `triage templates mine`.")
    for proposal in proposals:
        support = f"{proposal.support:>8,}  {proposal.share:>6.1%}"
        print(f"{support}  {proposal.language}  {proposal.status:<9} {proposal.template_id}")
        if whole:
            indented = proposal.body.replace("\n", "\n    ")
            print(f"    {indented}\n    serves {', '.join(proposal.contact_types) or 'any contact type'}")
            print(f"    as in tickets {', '.join(proposal.examples)}\n")
