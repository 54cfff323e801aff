"""Import: source rows into `raw` as they came, and the dataset's description into the catalogue.

A source is a file, the new pages of a Zendesk export, or what a database query returns since the last import.
"""

from __future__ import annotations

import dataclasses
import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.forgotten_rows import kept_out
from pipeline.lake import parts_of
from pipeline.raw_parts import RawSource, put_parts, raw_counts, write_parts
from pipeline.sources import cfpb, zendesk
from pipeline.sources.database import WATERMARK, Extraction, extract_query
from pipeline.sources.tabular import SourceRow, read_rows
from pipeline.steps import run_step
from tickets.catalogue import (
    keep_dataset,
    load_templates,
    load_tree,
    read_dataset,
    read_templates,
    read_tree,
    write_templates,
    write_tree,
)
from tickets.dataset import Dataset, Split, load_dataset
from tickets.errors import DatasetError, InputError, MissingStepError, SourceError
from tickets.manifests import Manifest, file_hash, manifests, read_manifest
from tickets.progress import Report, silent
from tickets.records import ReplyTemplate
from tickets.tables import RAW
from tickets.workspace import Workspace

STEP = "import"


@dataclass
class _Delivery:
    """One source and its rows. `skipped` and what `source` and `inputs` say are complete once the rows were read."""

    source: RawSource
    rows: Iterator[SourceRow]
    inputs: dict[str, str]
    skipped: Counter[str] = field(default_factory=Counter)
    extraction: Extraction | None = None
    told: str = ""

    def complete(self) -> None:
        """Take over what only the rows could tell, once they are read: of a database, their content and the new
        watermark."""
        if self.extraction is not None:
            self.source = dataclasses.replace(self.source, content=self.extraction.content)
            self.inputs |= self.extraction.inputs


def import_dataset(
    workspace: Workspace,
    files: Sequence[Path],
    dataset: Path,
    *,
    as_of: date,
    source_url: str | None = None,
    report: Report = silent,
) -> Manifest:
    """Import whatever the dataset.toml at `dataset` describes: files, a Zendesk export's folder, or a database query
    (`source_url` is its database). Raises what `import_files` and `import_database` raise."""
    if load_dataset(dataset).format == "database":
        if files:
            raise InputError("this dataset is a database query; it takes no files.", hint="Leave them out.")
        return import_database(workspace, dataset, url=source_url, as_of=as_of, report=report)
    return import_files(workspace, files, dataset, as_of=as_of, report=report)


def import_news(
    workspace: Workspace, dataset: Path, *, as_of: date, source_url: str | None = None, report: Report = silent
) -> Manifest | None:
    """What the sources that dataset.toml lists hold and no import has read, for a job that comes back each night: new
    files, new pages of an export, new rows of a query. None when every file was read before. Raises as `import_dataset`
    does."""
    described = load_dataset(dataset)
    if described.format in {"database", "zendesk"}:  # they know where they stopped
        return import_dataset(workspace, [], dataset, as_of=as_of, source_url=source_url, report=report)
    read = {content for manifest in manifests(workspace, STEP) for content in manifest.inputs.values()}
    found: dict[str, Path] = {}
    for path, _ in _listed(described, dataset.parent):
        found.setdefault(_content(path), path)  # an export under two names is one
    news = [path for content, path in found.items() if content not in read]
    return import_files(workspace, news, dataset, as_of=as_of, report=report) if news else None


def import_files(
    workspace: Workspace, files: Sequence[Path], dataset: Path, *, as_of: date, report: Report = silent
) -> Manifest:
    """Read source files as the dataset.toml at `dataset` says and keep every row in `raw/arrived=<as_of>`.

    Without `files`, those that dataset.toml lists are read, `*` standing for any name. Of a Zendesk export, give the
    folder: pages imported on an earlier day, or earlier this day, are not read again, deleted tickets are counted and
    left out, and macros become reply templates. Contact types and reply templates that dataset.toml names go into the
    catalogue. The same file imported again on the same day replaces its own rows; rows that were forgotten (`triage
    forget`) stay out. The manifest tells of every source of the day. Raises DatasetError, SourceError (before anything
    changed), InputError when the workspace belongs to another dataset.
    """
    described = load_dataset(dataset)
    _check(workspace, described)
    if described.format == "zendesk":
        deliveries, macros = _zendesk(workspace, files, described, dataset.parent)
    else:
        deliveries, macros = _files(files, described, dataset.parent), ()
    return _import(workspace, described, dataset, deliveries, macros=macros, as_of=as_of, report=report)


def import_database(
    workspace: Workspace, dataset: Path, *, url: str | None, as_of: date, report: Report = silent
) -> Manifest:
    """Keep what the dataset's query returns in `raw/arrived=<as_of>`, from the watermark of the last import on.

    The new watermark is kept in the manifest, and only once the rows are in the lake: an import that was killed reads
    them again and puts them in place of what it left. `url` is any SQLAlchemy URL; it is written nowhere. Raises
    DatasetError, InputError without a url, SourceError when the database or the query fails.
    """
    described = load_dataset(dataset)
    _check(workspace, described)
    if not url:
        raise InputError("no database is set to read from.", hint="Set TRIAGE_SOURCE_URL to its SQLAlchemy URL.")
    earlier = [manifest for manifest in manifests(workspace, STEP) if manifest.as_of <= as_of.isoformat()]
    extraction = extract_query(described, url, as_of=as_of, inputs=earlier[-1].inputs if earlier else {})
    name = f"{described.name}#{extraction.place[:12]}"
    source = RawSource(name=name, place=extraction.place, content="0" * 16, replaces_place=True)  # until it is read
    delivery = _Delivery(source, extraction.rows(), {}, extraction=extraction, told=extraction.told)
    return _import(workspace, described, dataset, [delivery], macros=(), as_of=as_of, report=report)


def _import(
    workspace: Workspace,
    dataset: Dataset,
    path: Path,
    deliveries: Sequence[_Delivery],
    *,
    macros: Sequence[ReplyTemplate],
    as_of: date,
    report: Report,
) -> Manifest:
    """What all sources have in common: rows into the day, the dataset of `path` into the catalogue, the manifest."""
    day = as_of.isoformat()
    with run_step(workspace, STEP, as_of, report) as step:
        rows, forgotten = 0, kept_out(workspace, salt=dataset.name)
        with workspace.aside(STEP) as aside:
            written: list[tuple[_Delivery, list[Path]]] = []
            for delivery in deliveries:
                parts, counted = write_parts(
                    delivery.rows, delivery.source, aside, skipped=delivery.skipped, kept_out=forgotten
                )
                delivery.complete()
                written.append((delivery, parts))
                rows += counted
                left_out = "".join(f", {number:,} {reason}" for reason, number in sorted(delivery.skipped.items()))
                report(f"import: {delivery.told}: {counted:,} rows{left_out}")
            keep_dataset(workspace, path)
            _keep_catalogue(workspace, dataset, path.parent, macros)
            for delivery, parts in written:
                put_parts(workspace, day, delivery.source, parts)
        earlier = read_manifest(workspace, STEP, day)
        step.inputs = dict(earlier.inputs) if earlier else _carried(workspace, day)
        for delivery in deliveries:
            step.inputs |= delivery.inputs
        step.counts = raw_counts(workspace, day)
        if parts_of(workspace, RAW, day):
            step.wrote(RAW, day, made_from=[name for name in step.inputs if not name.startswith(WATERMARK)])
        step.rows_in = step.rows_out = rows
        step.summary = f"{rows:,} rows of {len(deliveries)} {'source' if len(deliveries) == 1 else 'sources'}"
    return step.done


def _carried(workspace: Workspace, day: str) -> dict[str, str]:
    """Watermarks of the import before: the last manifest always tells where the next one begins."""
    earlier = [manifest for manifest in manifests(workspace, STEP) if manifest.as_of < day]
    inputs = earlier[-1].inputs if earlier else {}
    return {name: value for name, value in inputs.items() if name.startswith(WATERMARK)}


def _check(workspace: Workspace, dataset: Dataset) -> None:
    try:
        ZoneInfo(dataset.timezone)
    except (KeyError, ValueError, OSError) as error:
        raise DatasetError(
            f"timezone is {dataset.timezone!r}.", hint='Use a name such as "Europe/Berlin" or "UTC".'
        ) from error
    try:
        kept = read_dataset(workspace)
    except MissingStepError:
        return
    if kept.name != dataset.name:
        raise InputError(
            f"{workspace.root} holds the dataset {kept.name!r}, not {dataset.name!r}.",
            hint="Give each dataset its own workspace.",
        )


def _files(files: Sequence[Path], dataset: Dataset, folder: Path) -> list[_Delivery]:
    listed = _listed(dataset, folder)
    chosen = [(path, _given_split(path, listed)) for path in files] or listed
    if not chosen:
        raise InputError("no file to import.", hint="Name one, or list them under `files` in dataset.toml.")
    check = partial(cfpb.check_header, dataset=dataset) if dataset.name == "cfpb" else None
    deliveries: dict[str, tuple[Path, _Delivery]] = {}
    for path, split in chosen:
        content = _content(path)
        source = RawSource(name=f"{path.name}#{content[:12]}", place=path.name, content=content, split=split)
        rows = read_rows(path, dataset, check_header=check)
        delivery = _Delivery(source, rows, {source.name: content}, told=path.name)
        same, kept = deliveries.setdefault(source.key, (path, delivery))
        if kept is not delivery:
            raise InputError(f"{path} and {same} are one file.", hint="Name it once.")
    return [delivery for _, delivery in deliveries.values()]


def _listed(dataset: Dataset, folder: Path) -> list[tuple[Path, Split | None]]:
    """The files of dataset.toml, patterns replaced by what they match now, sorted."""
    return [(path, entry.split) for entry in dataset.files for path in _matching(folder / entry.path)]


def _matching(path: Path) -> list[Path]:
    """What a pattern stands for; a name is itself, also when it looks like a pattern."""
    if path.exists() or not glob.has_magic(str(path)):
        return [path]
    root = Path(path.anchor)
    return sorted(root.glob(str(path.relative_to(root))))


def _content(path: Path) -> str:
    try:
        return file_hash(path)
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}.", hint="Check the path and its rights.") from error


def _given_split(path: Path, listed: Sequence[tuple[Path, Split | None]]) -> Split | None:
    """The split of the listed file that this is: the very file, or else the only one of its name."""
    for entry, split in listed:
        if entry.resolve() == path.resolve():
            return split
    named = {split for entry, split in listed if entry.name == path.name}
    if len(named) > 1:
        raise InputError(
            f"dataset.toml lists several files named {path.name}, in different splits.",
            hint="Give them names of their own, or import without naming files.",
        )
    return named.pop() if named else None


def _zendesk(
    workspace: Workspace, folders: Sequence[Path], dataset: Dataset, beside: Path
) -> tuple[list[_Delivery], tuple[ReplyTemplate, ...]]:
    """The pages that no import has read yet, of each folder, and the macros."""
    chosen = list(folders) or [beside / entry.path for entry in dataset.files]
    if not chosen:
        raise InputError("no folder to import.", hint="Name the folder that `triage sources zendesk` wrote.")
    known = {name for manifest in manifests(workspace, STEP) for name in manifest.inputs}
    deliveries: list[_Delivery] = []
    macros: list[ReplyTemplate] = []
    for folder in chosen:
        export = zendesk.open_export(folder, dataset)
        macros += export.macros()
        home = folder.absolute().name  # of `.` too: a page is known by the same name wherever it is imported from
        named = [(page, f"{home}/{page.name}#{content[:12]}", content) for page, content in export.pages()]
        new = [(page, name, content) for page, name, content in named if name not in known]
        if not new:
            continue
        pages = [page for page, _, _ in new]
        inputs = {name: content for _, name, content in new}
        content = zendesk.joint_hash(inputs.values())
        source = RawSource(
            name=f"{home}/{pages[0].stem}#{content[:12]}",
            place=f"{home}/{pages[0].name}",
            content=content,
            replaces_place=True,
        )
        skipped: Counter[str] = Counter()
        told = f"{home}: {len(pages)} {'page' if len(pages) == 1 else 'pages'}"
        deliveries.append(_Delivery(source, export.rows(pages, skipped), inputs, skipped, told=told))
    return deliveries, tuple(macros)


def _keep_catalogue(workspace: Workspace, dataset: Dataset, folder: Path, macros: Sequence[ReplyTemplate]) -> None:
    """Take over a newer tree and newer or additional templates; what people changed in the catalogue meanwhile
    stays."""
    if dataset.contact_types_file:
        with workspace.catalogue_lock():
            tree, kept = load_tree(folder / dataset.contact_types_file), read_tree(workspace)
            if not kept.nodes or tree.version > kept.version:
                write_tree(workspace, tree)
    given = [*(load_templates(folder / dataset.templates_file) if dataset.templates_file else ()), *macros]
    if not given:
        return
    templates = {template.template_id: template for template in read_templates(workspace)}
    for template in given:
        known = templates.get(template.template_id)
        if known is None or template.version > known.version:
            templates[template.template_id] = template
    write_templates(workspace, list(templates.values()))
