"""The command line. A command parses, calls one plain function, prints; it imports what is heavy when it needs it."""

from __future__ import annotations

import datetime as dt
import os
import shlex
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tickets.errors import InputError, MachineError
from triage.commands.alerts import alerts_app
from triage.commands.challenger import challenger_app
from triage.commands.debug import add_debug_command
from triage.commands.experiments import add_experiment_commands
from triage.commands.forget import add_forget_command
from triage.commands.keys import add_audit_command, keys_app
from triage.commands.labels import labels_app
from triage.commands.lake import pipeline_app, quarantine_app
from triage.commands.models import add_model_commands
from triage.commands.nightly import add_nightly_command
from triage.commands.replay import add_replay_command
from triage.commands.sources import sources_app
from triage.commands.taxonomy import taxonomy_app
from triage.commands.templates import templates_app
from triage.commands.themes import add_theme_command
from triage.completion import datasets, one_of, versions
from triage.options import AsOf, Device, Encoder, Folder, Knobs, Preset, Sinks, day_of, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from triage.settings import Settings

app = typer.Typer(
    name="triage",
    help="Contact types and reply templates for every new ticket, kept right by monitoring.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(alerts_app, name="alerts")
app.add_typer(challenger_app, name="challenger")
app.add_typer(keys_app, name="keys")
app.add_typer(labels_app, name="labels")
app.add_typer(pipeline_app, name="pipeline")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(sources_app, name="sources")
app.add_typer(taxonomy_app, name="taxonomy")
app.add_typer(templates_app, name="templates")

Day = Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day of that period.")]


def main() -> None:
    """Run the command line; errors raised on purpose become one line and their exit code."""
    from triage.faults import told

    try:
        app()
    except BrokenPipeError:  # `triage audit | head`: who reads has gone, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        mendable = told(error)
        if mendable is None:
            raise
        print(f"triage: {mendable}", file=sys.stderr)
        sys.exit(mendable.exit_code)


@app.callback()
def _start(
    context: typer.Context,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, to standard error.")] = False,
    workspace: Annotated[
        Path, typer.Option("--workspace", "-w", envvar="TRIAGE_WORKSPACE", help="Without a command: where it stands.")
    ] = Path("workspace"),
    host: Annotated[str, typer.Option(envvar="TRIAGE_HOST", hidden=True)] = "127.0.0.1",
    port: Annotated[str, typer.Option(envvar="TRIAGE_PORT", hidden=True)] = "8000",
) -> None:
    source = context.get_parameter_source("workspace")
    named = source is not None and source.name == "COMMANDLINE"
    if context.invoked_subcommand is None:
        _show_standing(context, workspace, f" -w {shlex.quote(str(workspace))}" if named else "", (host, port))
        return
    if named:
        name = context.invoked_subcommand
        raise InputError("--workspace stands before the command.", hint=f"Write `triage {name} ... -w {workspace}`.")
    from triage.logs import configure_logs

    configure_logs(verbose=verbose)


def _show_standing(context: typer.Context, workspace: Path, option: str, address: tuple[str, str]) -> None:
    """Plain lines: drawing the whole help takes longer than finding all this out. `option` names the workspace in the
    commands that come next, but for the demonstration, which has a folder of its own and makes that anew."""
    from triage.standing import standing

    host, port = address
    at = int(port) if port.isdecimal() else 0
    stands = standing(workspace, today=dt.datetime.now(dt.UTC).date(), host=host, port=at)
    print("\n".join(stands.found))
    print("\nNext")
    following = [(command if "demo" in command else f"{command}{option}", told) for command, told in stands.next]
    width = max(len(command) for command, _ in following)
    for command, told in following:
        print(f"  {command:<{width}}  {told}")
    known = ", ".join(context.command.list_commands(context))  # type: ignore[attr-defined]  # of a group
    print(textwrap.fill(f"Commands: {known}.", 110, initial_indent="\n", subsequent_indent="  "))
    print("`triage COMMAND --help` tells of one, `triage --help` of all.")


@app.command()
def demo(
    workspace: Annotated[Path, typer.Option("--workspace", "-w", help="Made anew each time.")] = Path("demo"),
    serve: Annotated[bool, typer.Option(help="Keep the pages up at the end.")] = False,
    quick: Annotated[bool, typer.Option(help="A tenth of the tickets: shows the way, not the quality.")] = False,
) -> None:
    """Run the whole loop on simulated tickets: history, model, service, drift, labels, retraining."""
    from triage.console import show_summary
    from triage.loop import FULL, QUICK, run_demo
    from triage.screen import screen
    from triage.settings import read_settings

    settings = read_settings()
    with screen() as shown:
        summary = run_demo(workspace, settings, QUICK if quick else FULL, report=shown.report, progress=shown.progress)
    show_summary(summary)
    if serve:
        _serve(settings.model_copy(update={"workspace": workspace}))


@app.command("import")
def import_(
    dataset: Annotated[
        str,
        typer.Option(autocompletion=datasets, help="cfpb, banking77, bitext, zendesk, or the path of a dataset.toml."),
    ],
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="CSV, JSON lines, Parquet, or a Zendesk export. Left out: what dataset.toml lists."),
    ] = None,
    workspace: Folder = None,
    as_of: AsOf = None,
) -> None:
    """Bring source files into the lake, as they are."""
    from triage import steps
    from triage.screen import screen

    with screen() as shown:
        steps.import_files(settings_of(workspace), files or [], dataset, as_of=day_of(as_of), report=shown.report)


@app.command()
def features(
    workspace: Folder = None,
    as_of: AsOf = None,
    validation_from: Day = None,
    test_from: Day = None,
    test_until: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day after the test period.")
    ] = None,
    topics: Annotated[
        bool,
        typer.Option("--topics", help="Also, for other tools: latent topics, similarities of templates (COTA v1)."),
    ] = False,
) -> None:
    """Clean, label, split and featurise what was imported (Spark). Without days, the periods are fractions of time."""
    from triage import steps
    from triage.screen import screen

    periods = tuple(day.date() if day else None for day in (validation_from, test_from, test_until))
    with screen() as shown:
        steps.features(
            settings_of(workspace), as_of=day_of(as_of), periods=periods, with_topics=topics, report=shown.report
        )


@app.command()
def train(
    workspace: Folder = None,
    preset: Preset = "cpu",
    device: Device = None,
    encoder: Encoder = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the preset's.")] = None,
    max_train_tickets: Annotated[int | None, typer.Option(help="Use only the newest so many.")] = None,
    knobs_file: Knobs = None,
    sink: Sinks = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            autocompletion=versions, help="A trained version to learn from as well; may be given several times."
        ),
    ] = None,
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Let the teachers speak of tickets without an outcome too.")
    ] = False,
    promote_it: Annotated[bool, typer.Option("--promote", help="Serve it at once, without a gate.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on the features, measure it beside the baselines, register it."""
    from triage import steps
    from triage.console import show_metrics
    from triage.screen import screen

    knobs = {"device": device, "encoder": encoder, "epochs": epochs, "max_train_tickets": max_train_tickets}
    with screen(as_json=as_json) as shown:
        version = steps.train(
            settings_of(workspace),
            preset,
            knobs,
            promote_it=promote_it,
            report=shown.report,
            progress=shown.progress,
            knobs_file=knobs_file,
            sinks=sink or (),
            teachers=teacher or (),
            with_unlabelled=unlabelled,
        )
    if version is None:  # in all but the first of several processes
        return
    if as_json:
        print_json(version)
    else:
        show_metrics(version)


add_debug_command(app)
add_experiment_commands(app)
add_audit_command(app)
add_forget_command(app)
add_replay_command(app)
add_theme_command(app)


@app.command()
def evaluate(
    workspace: Folder = None,
    version: Annotated[
        str | None,
        typer.Option(autocompletion=versions, help="A model under models/; the current release when not given."),
    ] = None,
    errors: Annotated[
        bool,
        typer.Option(
            "--errors", help="Instead: what it gets wrong, which labels are suspect. Quotes masked texts of tickets."
        ),
    ] = False,
    split: Annotated[
        str, typer.Option(autocompletion=one_of("test", "validation"), help="With --errors: test or validation.")
    ] = "test",
    as_json: AsJson = False,
) -> None:
    """Show a model's figures beside majority class and TF-IDF on the same rows, or write a report of its errors."""
    from triage import steps
    from triage.console import show_errors, show_metrics
    from triage.screen import screen

    settings = settings_of(workspace)
    if not errors:
        known = steps.model_version(settings, version)
        if as_json:
            print_json(known)
        else:
            show_metrics(known)
        return
    with screen(as_json=as_json) as shown:
        found, files = steps.errors(settings, version, split=split, report=shown.report)
    if as_json:
        print_json(found)
    else:
        show_errors(found, files)


add_model_commands(app)


@app.command()
def serve(
    workspace: Folder = None,
    host: Annotated[str | None, typer.Option(help="TRIAGE_HOST")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="TRIAGE_PORT")] = None,
) -> None:
    """Serve suggestions, the console, the label queue and the dashboard."""
    settings = settings_of(workspace)
    given = {"host": host, "port": port}
    _serve(settings.model_copy(update={name: value for name, value in given.items() if value is not None}))


@app.command()
def score(workspace: Folder = None, as_of: AsOf = None) -> None:
    """Suggest for every open ticket in the lake (Spark)."""
    from triage import steps
    from triage.screen import screen

    with screen() as shown:
        steps.score(settings_of(workspace), as_of=day_of(as_of), report=shown.report)


@app.command()
def monitor(workspace: Folder = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Compare the last days with the champion's own validation period; raise alarms; ask for labels."""
    from triage import steps
    from triage.console import show_night
    from triage.screen import screen

    with screen(as_json=as_json) as shown:
        night = steps.monitor(settings_of(workspace), as_of=day_of(as_of), report=shown.report)
    if as_json:
        print_json(night)
    else:
        show_night(night)


@app.command()
def retrain(
    workspace: Folder = None,
    as_of: AsOf = None,
    preset: Preset = "cpu",
    device: Device = None,
    knobs_file: Knobs = None,
    as_json: AsJson = False,
) -> None:
    """Train a challenger on all that is known, let it meet the champion on the latest days, promote it if it wins."""
    from triage import steps
    from triage.console import show_gate
    from triage.screen import screen

    config = steps.train_config(preset, {"device": device}, knobs_file)
    with screen(as_json=as_json) as shown:
        outcome = steps.retrain(
            settings_of(workspace), config, as_of=day_of(as_of), report=shown.report, progress=shown.progress
        )
    if as_json:
        print_json(outcome)
    else:
        show_gate(outcome)


add_nightly_command(app)


@app.command(epilog="Exit code 0 when nothing is wrong, 3 otherwise; warnings do not count.")
def doctor(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Look at Python, packages, Java, memory, disk, GPU, Spark's master, settings, port, workspace, rights, database
    and the served model; say what is wrong and the command that mends it."""
    from triage.console import show_checks
    from triage.doctor.examine import examine, well
    from triage.screen import screen

    with screen(as_json=as_json):
        checks = examine(settings_of(workspace))
    if as_json:
        print_json(checks)
    else:
        show_checks(checks)
    if not well(checks):
        raise typer.Exit(MachineError.exit_code)


def _serve(settings: Settings) -> None:
    from triage import steps
    from triage.keys import address_here

    key, address = steps.first_key(settings), address_here(settings.host, settings.port)
    if key is not None:
        print(f"The administrator's key, made now and shown this once:\n  {key}\nSign in: {address}/login?key={key}")
    # Flushed, since a journal is a pipe: it would be told when a block is full.
    print(f"Console {address}/console, stop with Ctrl-C.", flush=True)
    steps.serve(settings)
