"""`triage challenger`: let a trained model see a share of the traffic, and what came of it; what suggestions save."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from triage.completion import versions
from triage.options import Folder, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from models.comparison import Difference
    from monitoring.arms import ArmsReport

challenger_app = typer.Typer(
    help="A challenger beside the champion: in shadow, as canary; and what suggestions save.",
    no_args_is_help=True,
)


@challenger_app.command()
def begin(
    version: Annotated[str, typer.Argument(autocompletion=versions, help="A version that `triage models` lists.")],
    shadow: Annotated[
        float, typer.Option(help="Share of tickets it is asked about too; its answers are not shown.")
    ] = 0,
    canary: Annotated[float, typer.Option(help="Share of tickets that it answers instead of the champion.")] = 0,
    workspace: Folder = None,
) -> None:
    """Let a trained model see a share of the traffic. A running service takes it up by itself."""
    from triage import challenger

    begun = challenger.begin(settings_of(workspace), version, shadow=shadow, canary=canary)
    print(f"{begun.version} sees traffic now: shadow {begun.shadow:.0%}, canary {begun.canary:.0%}.")


@challenger_app.command()
def end(workspace: Folder = None) -> None:
    """The champion answers alone again."""
    from triage import challenger

    ended = challenger.end(settings_of(workspace))
    print(f"{ended.version} sees no traffic any more." if ended else "There was no challenger.")


@challenger_app.command()
def status(
    since: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day; 28 days ago when not given.")
    ] = None,
    workspace: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Who sees how much of the traffic, how the parts compare, and how far shadow and champion agree."""
    from triage import challenger

    challenge, report = challenger.compare(settings_of(workspace), since=since.date() if since else None)
    if as_json:
        print_json({"challenge": challenge, "report": report})
        return
    if challenge is None:
        print("The champion answers alone.")
    else:
        print(f"{challenge.version}: shadow {challenge.shadow:.0%}, canary {challenge.canary:.0%}, {challenge.since}")
    _show(report)


def _show(report: ArmsReport) -> None:
    for arm in report.arms:
        seconds = "" if arm.handle_seconds is None else f", handled in {arm.handle_seconds:.0f} s on average"
        accepted = "" if arm.arm == "holdout" else f", accepted {arm.accepted}"
        print(f"{arm.arm}: {arm.tickets:,} tickets with feedback{accepted}{seconds}")
    if not report.arms:
        print("There is no feedback in this time.")
    if report.saved:
        print(f"A suggestion saves {_seconds(report.saved)} of handling a ticket.")
    for version, gap in report.canaries.items():
        print(f"Tickets of the canary {version} take {_seconds(gap)} more to handle than the champion's.")
    for shadow in report.shadows:
        of = f"of {shadow.agreed.tickets:,} tickets"
        print(f"{shadow.version} in shadow agrees with the champion on {shadow.agreed} {of}.")
        if shadow.better:
            low, high = (f"{100 * side:+.1f}" for side in (shadow.better.low, shadow.better.high))
            print(
                f"  On {shadow.judged:,} tickets that agents settled its first contact type is right "
                f"{100 * shadow.better.value:+.1f} points more often ({low} to {high}); agents saw the champion's."
            )


def _seconds(gap: Difference) -> str:
    return f"{gap.value:.1f} s ({gap.low:.1f} to {gap.high:.1f})"
