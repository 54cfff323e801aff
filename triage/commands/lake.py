"""The commands that look after the lake: `triage pipeline ...` and `triage quarantine ...`. Each parses, calls one
plain function and prints."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tickets.errors import ContractError
from triage.completion import tables
from triage.options import AsOf, Folder, day_of, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from pipeline.upkeep.status import PipelineStatus, StepStatus
    from tickets.lineage import Lineage

pipeline_app = typer.Typer(help="The nightly pipeline: where it stands, what it keeps.", no_args_is_help=True)
quarantine_app = typer.Typer(help="Rows that were refused: look at them, try them again.", no_args_is_help=True)

Reason = Annotated[str | None, typer.Option(help="Only rows refused for this reason.")]
Step = Annotated[str | None, typer.Option(help="Only rows refused by this step.")]
Day = Annotated[dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only rows that arrived on this day.")]
AsOfRetain = Annotated[
    dt.datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d"],
        help="The day to run for; today when not given. It may be one to come: what will be too old by then.",
    ),
]


@pipeline_app.command()
def status(workspace: Folder = None, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Each step's last run, what has changed since, what the tables take, who is at work."""
    from pipeline.upkeep.status import pipeline_status
    from tickets.workspace import Workspace

    found = pipeline_status(Workspace.open(settings_of(workspace).workspace), as_of=day_of(as_of))
    if as_json:
        print_json(found)
    else:
        _show_status(found)


@pipeline_app.command()
def check(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Check every table of the lake against its contract (Spark). Exit code 7 when one is broken."""
    from pipeline.contract_checks import check_lake
    from triage.screen import screen
    from triage.steps import opened, spark_for

    settings = settings_of(workspace)
    with screen(as_json=as_json), opened(settings, "check") as (lake, _), spark_for(settings) as spark:
        broken = check_lake(spark, lake)
    if as_json:
        print_json({"broken": broken})
    else:
        for line in broken:
            print(line)
        print("Every table keeps its contract." if not broken else f"{len(broken)} promises are broken.")
    if broken:
        raise typer.Exit(ContractError.exit_code)


@pipeline_app.command()
def compact(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Merge the many small files of a partition into few."""
    from pipeline.upkeep import compaction
    from tickets.workspace import Workspace
    from triage.screen import screen

    opened = Workspace.open(settings_of(workspace).workspace)
    with opened.lock("compact"), screen(as_json=as_json) as shown:
        done = compaction.compact(opened, report=shown.report)
    if as_json:
        print_json(done)
        return
    rows = [
        (one.name, one.files_before, one.files_after, _size(one.bytes_before), _size(one.bytes_after)) for one in done
    ]
    _show_table("Compacted", ("partition", "files", "now", "size", "now"), rows, empty="No partition has small files.")


@pipeline_app.command()
def retain(
    workspace: Folder = None,
    as_of: AsOfRetain = None,
    apply: Annotated[bool, typer.Option(help="Remove it; otherwise only show what would go.")] = False,
    needed_too: Annotated[bool, typer.Option(help="Also what a current table is made from.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show, or remove, what is older than the policy (TRIAGE_RETENTION__*) allows."""
    from triage import upkeep
    from triage.screen import screen

    settings, day = settings_of(workspace), day_of(as_of, ahead=True)
    with screen(as_json=as_json) as shown:
        old = upkeep.retain(settings, as_of=day, apply=apply, needed_too=needed_too, report=shown.report)
    if as_json:
        print_json([*old.files, *old.rows])
        return
    rows = [
        (item.name, item.day, _size(item.bytes), item.needed_by, "gone" if item.gone else "kept" if apply else "")
        for item in old.files
    ]
    rows += [
        (f"{one.table}, {one.rows:,} rows", f"before {one.before}", "", "", "gone" if one.gone else "")
        for one in old.rows
    ]
    title = "Older than the policy allows" if apply else "Would go with --apply, unless something needs it"
    _show_table(title, ("what", "day", "size", "needed by", ""), rows, empty="Nothing is older than the policy allows.")


@pipeline_app.command()
def lineage(
    table: Annotated[str, typer.Argument(autocompletion=tables, help="A table of the lake, such as features.")],
    partition: Annotated[
        str | None, typer.Argument(help="A value of its partition, such as 2026-03-02; the newest when not given.")
    ] = None,
    workspace: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Where a partition came from, down to the source files, and what has changed since."""
    from tickets.lineage import find_lineage
    from tickets.workspace import Workspace

    tree = find_lineage(Workspace.open(settings_of(workspace).workspace), table, partition)
    if as_json:
        print_json(tree)
    else:
        _show_lineage(tree)


@quarantine_app.command("list")
def list_(
    workspace: Folder = None,
    reason: Reason = None,
    step: Step = None,
    day: Day = None,
    limit: Annotated[int, typer.Option(min=0, help="Show so many rows; 0 for the counts alone.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print whole rows as JSON lines, all of them.")] = False,
) -> None:
    """Count refused rows by reason and show some; with --json, whole rows that can be mended and given to `replay`."""
    from itertools import islice

    from pipeline.upkeep.quarantine import Chosen, count_reasons, refused
    from tickets.workspace import Workspace

    opened = Workspace.open(settings_of(workspace).workspace)
    chosen = Chosen(reason=reason, step=step, day=day.date().isoformat() if day else None)
    if as_json:
        for row in refused(opened, chosen):
            print(json.dumps(row, ensure_ascii=False, sort_keys=True))
        return
    counted = [tuple(entry.values()) for entry in count_reasons(opened, chosen)]
    _show_table("Quarantine", ("step", "reason", "rows", "first day", "last day"), counted, empty="Nothing is refused.")
    rows = [
        (row["id"], row["arrived"], row["source"], row["row"], row["reason"], row["detail"])
        for row in islice(refused(opened, chosen), limit)
    ]
    if rows:
        _show_table(f"The first {len(rows)}", ("id", "day", "source", "row", "reason", "detail"), rows)


@quarantine_app.command("replay")
def replay_(
    workspace: Folder = None,
    reason: Reason = None,
    step: Step = None,
    day: Day = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="Only this row; may be given again.")] = None,
    corrected: Annotated[
        Path | None, typer.Option(help="Lines of `triage quarantine list --json` with `fields` mended.")
    ] = None,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """After a fix, try refused rows again: their days are cleaned anew (Spark). `triage features` splits them after."""
    from pipeline.upkeep.quarantine import Chosen
    from triage.screen import screen
    from triage.upkeep import replay as do

    chosen = Chosen(
        reason=reason, step=step, day=day.date().isoformat() if day else None, ids=frozenset(ids) if ids else None
    )
    with screen(as_json=as_json) as shown:
        done = do(settings_of(workspace), chosen, corrected, as_of=day_of(as_of), report=shown.report)
    if as_json:
        print_json(done)
        return
    mended = (
        f"{done.corrected.written:,} corrected, {done.corrected.unchanged:,} were so already; "
        if done.corrected
        else ""
    )
    print(f"{mended}{done.left:,} of {done.chosen:,} rows left the quarantine; {len(done.days)} days were done again.")


def _show_table(title: str, headings: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str = "") -> None:
    """A table; numbers to the right. What rows hold may look like markup and is shown as it is."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        print(empty)
        return
    table = Table(title=title, title_justify="left")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if isinstance(rows[0][place], (int, float)) else "left")
    for row in rows:
        table.add_row(*(Text(f"{value:,}" if isinstance(value, int) else str(value)) for value in row))
    Console(highlight=False).print(table)


def _show_status(found: PipelineStatus) -> None:
    print(found.verdict)
    headings = ("step", "as of", "rows in", "rows out", "refused", "seconds", "rows/s", "state", "")
    _show_table("Steps", headings, [_step_row(step) for step in found.steps])
    tables = [(one.table, one.partitions, one.files, _size(one.bytes), ", ".join(one.crowded)) for one in found.tables]
    if tables:
        _show_table("Tables", ("table", "partitions", "files", "size", "many small files"), tables)
    if found.left_behind:
        print(f"A killed run left {_size(found.left_behind)} behind; the next run removes it.")


def _step_row(step: StepStatus) -> tuple[Any, ...]:
    share = "" if step.quarantined is None else f"{step.quarantined:.2%}"
    speed = "" if step.rows_per_second is None else f"{step.rows_per_second:,.0f}"
    shown = ", ".join(step.why[:3]) + (f" and {len(step.why) - 3} more" if len(step.why) > 3 else "")
    return (
        *(step.step, step.as_of, step.rows_in, step.rows_out, share, f"{step.seconds:.1f}", speed),
        *(step.condition, shown),
    )


def _show_lineage(tree: Lineage) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    def label(node: Lineage) -> str:
        rows = "" if node.rows is None else f", {node.rows:,} rows"
        by = f" ({', '.join(node.steps)}{rows})" if node.steps else ""
        return escape(f"{node.name}{by}") + (" [red]has changed since[/red]" if node.changed else "")

    def grow(branch: Tree, node: Lineage) -> None:
        for source in node.inputs:
            grow(branch.add(label(source)), source)

    root = Tree(label(tree))
    grow(root, tree)
    Console(highlight=False).print(root)


def _size(count: int) -> str:
    """Bytes as a person reads them."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
