"""Retention: what may leave the workspace, by age, and what still needs it.

Nothing goes by default but old suggestions for tickets that were open then, old reports, and models that nobody would
go back to. What a current table would be rebuilt from stays, unless it is asked for by name of its need.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow.compute as pc

from pipeline.importing import STEP as IMPORT
from tickets.lineage import Records
from tickets.manifests import manifests, partition_name, steps_run
from tickets.progress import Report, silent
from tickets.run_lock import lock_holder
from tickets.tables import BACKLOG, FEEDBACK, LABELS, QUARANTINE, RAW, SERVICE, SUGGESTIONS, TICKETS, Table
from tickets.workspace import Workspace

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """Days to keep; None keeps for ever. The newest partition, manifest and report stay whatever their age.

    `raw` and `quarantine` hold personal data as it came; `answers` are suggestions, feedback and labels.
    """

    raw: int | None = None
    quarantine: int | None = None
    answers: int | None = None
    backlog: int | None = 30
    manifests: int | None = 400
    reports: int | None = 180
    models: int | None = 90
    releases_kept: int = 3  # the champion, and so many before it, whatever their age


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """Something that is older than its policy. `needed_by` says what would be lost with it; "" when nothing is. `gone`
    once it was removed."""

    kind: str
    name: str
    day: str
    bytes: int
    path: Path
    needed_by: str = ""
    gone: bool = False


def retain(
    workspace: Workspace,
    policy: RetentionPolicy,
    *,
    as_of: date,
    kept_models: Collection[str] | None = None,
    apply: bool = False,
    needed_too: bool = False,
    report: Report = silent,
) -> list[Leaving]:
    """What is older than the policy allows on `as_of`. With `apply` it is removed (the caller holds the lock), but for
    what a current table needs, which goes only with `needed_too`.

    `kept_models` names the model versions that must stay: champion, challenger, earlier champions; None leaves all
    models alone. What a killed run left behind goes by itself when the next run takes the lock.
    """
    leaving = list(_leaving(workspace, policy, as_of, kept_models))
    if not apply:
        return leaving
    done = []
    with workspace.aside("retain") as bin_:
        for number, item in enumerate(leaving):
            gone = needed_too or not item.needed_by
            if gone:
                item.path.rename(bin_ / str(number))
                report(f"retain: {item.name} is gone")
            done.append(replace(item, gone=gone))
    return done


def _leaving(
    workspace: Workspace, policy: RetentionPolicy, as_of: date, kept_models: Collection[str] | None
) -> Iterator[Leaving]:
    for days, tables in (
        (policy.raw, (RAW,)),
        (policy.quarantine, (QUARANTINE,)),
        (policy.answers, (SUGGESTIONS, FEEDBACK, LABELS)),
        (policy.backlog, (BACKLOG,)),
    ):
        for table in tables:
            yield from _partitions(workspace, table, _first_kept(as_of, days))
    yield from _manifests(workspace, _first_kept(as_of, policy.manifests))
    yield from _reports(workspace, _first_kept(as_of, policy.reports))
    if kept_models is not None:
        yield from _models(workspace, _first_kept(as_of, policy.models), kept_models)
    if lock_holder(workspace.root) is None:
        for path in sorted(workspace.aside_root.glob("*")):
            yield _leave("left behind by a killed run", path, "", workspace)


def _first_kept(as_of: date, days: int | None) -> str:
    """The first day that stays; "" when all do."""
    return "" if days is None else (as_of - timedelta(days=days)).isoformat()


def _partitions(workspace: Workspace, table: Table, first_kept: str) -> Iterator[Leaving]:
    for value in workspace.partitions(table)[:-1]:
        if value < first_kept:
            path = workspace.lake / partition_name(table, value)
            yield _leave(table.name, path, value, workspace, needed_by=_needed_by(workspace, table, value))


def _needed_by(workspace: Workspace, table: Table, value: str) -> str:
    raw, tickets = (partition_name(other, value) for other in (RAW, TICKETS))
    if table is RAW and (workspace.lake / tickets).is_dir():
        return f"{tickets} is cleaned from it, and goes with it"
    if table is SUGGESTIONS and list((workspace.lake / raw).glob(f"{SERVICE}-*")):
        return f"the service's tickets in {raw} are taken from it"
    if table is SUGGESTIONS and _is_answered(workspace, value):
        return "feedback answers it, and is refused without it"
    if table in (FEEDBACK, LABELS):
        return "outcomes are read from it"
    return ""


def _is_answered(workspace: Workspace, day: str) -> bool:
    """Whether any feedback in the lake is about a suggestion of the day."""
    if not workspace.table_path(FEEDBACK).is_dir():
        return False
    names = workspace.read(SUGGESTIONS, ["suggestion_id"], where=pc.field("arrived") == day)["suggestion_id"]
    about = pc.field("suggestion_id").isin(names.combine_chunks()) & (pc.field("arrived") >= day)
    return bool(workspace.read(FEEDBACK, ["suggestion_id"], where=about).num_rows)


def _manifests(workspace: Workspace, first_kept: str) -> Iterator[Leaving]:
    if not first_kept:
        return
    records = Records(workspace)
    for step in steps_run(workspace):
        for manifest in list(manifests(workspace, step))[:-1]:
            if manifest.as_of >= first_kept:
                continue
            current = [
                name
                for name in manifest.outputs
                if (workspace.lake / name).is_dir() and manifest in records.writers(name)
            ]
            needed_by = f"the lineage of {current[0]} is told by it" if current else ""
            if step == IMPORT:
                needed_by = "the next import knows by it what was read already"
            path = workspace.manifests / step / f"{manifest.as_of}.json"
            yield _leave("manifests", path, manifest.as_of, workspace, needed_by=needed_by)


def _reports(workspace: Workspace, first_kept: str) -> Iterator[Leaving]:
    dated = [(found[0], path) for path in sorted(workspace.reports.glob("*")) if (found := _DAY.match(path.name))]
    newest = max((day for day, _ in dated), default="")
    for day, path in dated:
        if day < min(first_kept, newest):
            yield _leave("reports", path, day, workspace)


def _models(workspace: Workspace, first_kept: str, kept: Collection[str]) -> Iterator[Leaving]:
    """Whole model directories and releases; one that training has not sealed yet carries no date and stays."""
    for folder in (workspace.models, workspace.releases):
        for facts in sorted(folder.glob("*/release.json")):
            day = str(json.loads(facts.read_text(encoding="utf-8")).get("created_at", ""))[:10]
            if day and day < first_kept and facts.parent.name not in kept:
                yield _leave(folder.name, facts.parent, day, workspace)


def _leave(kind: str, path: Path, day: str, workspace: Workspace, *, needed_by: str = "") -> Leaving:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    name = str(path.relative_to(workspace.root))
    return Leaving(kind=kind, name=name, day=day, bytes=size, path=path, needed_by=needed_by)
