"""`triage models`, `triage promote` and `triage rollback`: which models there are, and which one is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from triage.completion import versions
from triage.options import Folder, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from triage.champion import KnownModel


def add_model_commands(app: typer.Typer) -> None:
    """Add them to the command line."""
    for command in (models, promote, rollback):
        app.command()(command)


def models(workspace: Folder = None, as_json: AsJson = False) -> None:
    """List the trained models: the champion, those before it, those in quarantine and why."""
    from triage.champion import known_models

    known = known_models(settings_of(workspace))
    if as_json:
        print_json(known)
        return
    for model in known:
        print(_told(model))
    if not known:
        print("No model has been trained yet: run `triage train`.")


def promote(
    version: Annotated[str, typer.Argument(autocompletion=versions, help="A version that `triage models` lists.")],
    workspace: Folder = None,
    force: Annotated[bool, typer.Option("--force", help="Also a model in quarantine; that lifts it.")] = False,
) -> None:
    """Make a trained model the one that is served. A running service takes it up by itself."""
    from triage import steps

    steps.promote(settings_of(workspace), version, force=force)
    print(f"{version} is served now.")


def rollback(workspace: Folder = None) -> None:
    """Serve the previous champion again. The one that is left goes into quarantine."""
    from triage import steps

    print(f"{steps.rollback(settings_of(workspace))} is served again.")


def _told(model: KnownModel) -> str:
    accuracy = "" if model.accuracy is None else f"  {model.accuracy:.1%} right on its test period"
    origin = f"  from {model.started_from}" if model.started_from else ""
    return f"{model.version}  {model.state}{accuracy}{origin}"
