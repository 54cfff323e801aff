"""Import: source files into `raw`, row by row as they came, and the dataset's description into the catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import replace_parts
from pipeline.sources import cfpb
from pipeline.sources.tabular import SourceRow, read_rows
from pipeline.steps import Report, run_step, silent
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
from tickets.manifests import Manifest, file_hash
from tickets.tables import RAW
from tickets.workspace import Workspace

_ROWS_IN_PART = 100_000
_BATCH_CHARACTERS = 16 * 1024 * 1024  # a row group: enough for compression, small enough to share out among cores
_BATCH_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    split: Split | None
    content: str  # SHA-256

    @property
    def name(self) -> str:
        """RAW.source: the file's name with the start of its hash."""
        return f"{self.path.name}#{self.content[:12]}"


def import_files(
    workspace: Workspace, files: Sequence[Path], dataset: Path, *, as_of: date, report: Report = silent
) -> Manifest:
    """Read source files as the dataset.toml at `dataset` says and keep every row in `raw/arrived=<as_of>`.

    Without `files`, those that dataset.toml lists are read. Contact types and reply templates that it names go into the
    catalogue. The same file imported again on the same day replaces its own rows. Raises DatasetError, SourceError
    (before anything changed), InputError when the workspace belongs to another dataset.
    """
    described = load_dataset(dataset)
    _check(workspace, described)
    sources = _sources(files, described, dataset.parent)
    with run_step(workspace, "import", as_of, report) as step:
        rows = unread = 0
        with workspace.aside("import") as aside:
            written: list[tuple[_Source, list[Path]]] = []
            for source in sources:
                check = partial(cfpb.check_header, dataset=described) if described.name == "cfpb" else None
                read = read_rows(source.path, described, check_header=check)
                parts, counted, problems = _write_parts(read, source, aside)
                written.append((source, parts))
                rows, unread = rows + counted, unread + problems
                report(f"import: {source.path.name}: {counted:,} rows")
            keep_dataset(workspace, dataset)
            _keep_catalogue(workspace, described, dataset.parent)
            for source, parts in written:
                replace_parts(workspace, RAW, as_of.isoformat(), prefix=_prefix(source), parts=parts)
        step.inputs = {source.path.name: source.content for source in sources}
        step.counts = {"raw": rows, "unreadable": unread}
        step.summary = f"{rows:,} rows of {len(sources)} {'file' if len(sources) == 1 else 'files'}"
    return step.done


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


def _sources(files: Sequence[Path], dataset: Dataset, folder: Path) -> list[_Source]:
    splits = {Path(entry.path).name: entry.split for entry in dataset.files}
    paths = list(files) or [folder / entry.path for entry in dataset.files]
    if not paths:
        raise InputError("no file to import.", hint="Name one, or list them under `files` in dataset.toml.")
    sources = []
    for path in paths:
        try:
            sources.append(_Source(path, splits.get(path.name), file_hash(path)))
        except OSError as error:
            raise SourceError(
                f"cannot read {path}: {error.strerror}.", hint="Check the path and its rights."
            ) from error
    return sources


def _prefix(source: _Source) -> str:
    """File names may hold what Hadoop's paths may not, so a hash stands for the name."""
    return f"{source.content[:16]}-{hashlib.sha256(source.path.name.encode()).hexdigest()[:6]}-"


def _write_parts(rows: Iterable[SourceRow], source: _Source, folder: Path) -> tuple[list[Path], int, int]:
    """Parquet files under `folder`, how many rows they hold, and how many of these could not be read."""
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    count = in_part = problems = 0
    try:
        for batch in _batches(rows, source):
            if writer is None or in_part >= _ROWS_IN_PART:
                if writer is not None:
                    writer.close()
                parts.append(folder / f"{_prefix(source)}{len(parts):06d}.parquet")
                writer, in_part = pq.ParquetWriter(parts[-1], RAW.schema, compression="zstd"), 0
            writer.write_batch(batch)
            in_part += batch.num_rows
            count += batch.num_rows
            problems += batch.num_rows - batch.column("problem").null_count
    finally:
        if writer is not None:
            writer.close()
    return parts, count, problems


def _batches(rows: Iterable[SourceRow], source: _Source) -> Iterator[pa.RecordBatch]:
    waiting: list[SourceRow] = []
    characters = first = 0
    for row in rows:
        waiting.append(row)
        characters += len(row.fields)
        if len(waiting) >= _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            yield _batch(waiting, source, first)
            first += len(waiting)
            waiting, characters = [], 0
    if waiting:
        yield _batch(waiting, source, first)


def _batch(rows: Sequence[SourceRow], source: _Source, first: int) -> pa.RecordBatch:
    columns = [
        [source.name] * len(rows),
        range(first + 1, first + len(rows) + 1),
        [row.fields for row in rows],
        [source.split] * len(rows),
        [row.problem for row in rows],
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, type=field.type) for values, field in zip(columns, RAW.schema, strict=True)],
        schema=RAW.schema,
    )


def _keep_catalogue(workspace: Workspace, dataset: Dataset, folder: Path) -> None:
    """Take over a newer tree and newer or additional templates; what people changed in the catalogue meanwhile
    stays."""
    if dataset.contact_types_file:
        tree, kept = load_tree(folder / dataset.contact_types_file), read_tree(workspace)
        if not kept.nodes or tree.version > kept.version:
            write_tree(workspace, tree)
    if dataset.templates_file:
        templates = {template.template_id: template for template in read_templates(workspace)}
        for template in load_templates(folder / dataset.templates_file):
            known = templates.get(template.template_id)
            if known is None or template.version > known.version:
                templates[template.template_id] = template
        write_templates(workspace, list(templates.values()))
