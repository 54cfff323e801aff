"""Import: source files into `raw`, row by row as they came, and the dataset's description into the catalogue."""

from __future__ import annotations

import hashlib
import re
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
from tickets.manifests import Manifest, file_hash, read_manifest
from tickets.tables import RAW, SERVICE
from tickets.workspace import Workspace

_ROWS_IN_PART = 100_000
_BATCH_CHARACTERS = 16 * 1024 * 1024  # a row group: enough for compression, small enough to share out among cores
_BATCH_ROWS = 2_000
_PART = re.compile(
    r"(\d{6})-([0-9a-f]{16}-[0-9a-f]{6})-"
)  # when it was imported among the day's files, and which it is


@dataclass(frozen=True, slots=True)
class _Source:
    path: Path
    split: Split | None
    content: str  # SHA-256

    @property
    def name(self) -> str:
        """RAW.source: the file's name with the start of its hash."""
        return f"{self.path.name}#{self.content[:12]}"

    @property
    def key(self) -> str:
        """Names the file in the lake. File names may hold what Hadoop's paths may not, so a hash stands for the
        name."""
        return f"{self.content[:16]}-{hashlib.sha256(self.path.name.encode()).hexdigest()[:6]}"


def import_files(
    workspace: Workspace, files: Sequence[Path], dataset: Path, *, as_of: date, report: Report = silent
) -> Manifest:
    """Read source files as the dataset.toml at `dataset` says and keep every row in `raw/arrived=<as_of>`.

    Without `files`, those that dataset.toml lists are read. Contact types and reply templates that it names go into the
    catalogue. The same file imported again on the same day replaces its own rows. The manifest tells of every file of
    the day. Raises DatasetError, SourceError (before anything changed), InputError when the workspace belongs to
    another dataset.
    """
    described = load_dataset(dataset)
    _check(workspace, described)
    sources = _sources(files, described, dataset.parent)
    with run_step(workspace, "import", as_of, report) as step:
        rows = 0
        with workspace.aside("import") as aside:
            written: list[tuple[_Source, list[Path]]] = []
            for source in sources:
                check = partial(cfpb.check_header, dataset=described) if described.name == "cfpb" else None
                read = read_rows(source.path, described, check_header=check)
                parts, counted = _write_parts(read, source, aside)
                written.append((source, parts))
                rows += counted
                report(f"import: {source.path.name}: {counted:,} rows")
            keep_dataset(workspace, dataset)
            _keep_catalogue(workspace, described, dataset.parent)
            for source, parts in written:
                _put(workspace, as_of.isoformat(), source, parts)
        earlier = read_manifest(workspace, "import", as_of.isoformat())
        step.inputs = {**(earlier.inputs if earlier else {}), **{source.name: source.content for source in sources}}
        step.counts = _counts(workspace, as_of.isoformat())
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
    listed = [(folder / entry.path, entry.split) for entry in dataset.files]
    chosen = [(path, _given_split(path, listed)) for path in files] or listed
    if not chosen:
        raise InputError("no file to import.", hint="Name one, or list them under `files` in dataset.toml.")
    sources: dict[str, _Source] = {}
    for path, split in chosen:
        try:
            source = _Source(path, split, file_hash(path))
        except OSError as error:
            raise SourceError(
                f"cannot read {path}: {error.strerror}.", hint="Check the path and its rights."
            ) from error
        if (same := sources.setdefault(source.key, source)) is not source:
            raise InputError(f"{path} and {same.path} are one file.", hint="Name it once.")
    return list(sources.values())


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


def _put(workspace: Workspace, day: str, source: _Source, parts: Sequence[Path]) -> None:
    """The source's parts into the day, numbered so that what was imported last sorts last, in place of its old ones."""
    folder = workspace.table_path(RAW) / f"arrived={day}"
    present = sorted({(int(found[1]), found[2]) for path in folder.glob("*") if (found := _PART.match(path.name))})
    places = {key: place for place, key in present}
    last = present[-1][0] if present else 0
    own = places.get(source.key)
    place = own if own is not None and own == last else last + 1
    replace_parts(
        workspace,
        RAW,
        day,
        prefix=f"{place:06d}-{source.key}-",
        parts=parts,
        instead_of=None if own is None else f"{own:06d}-{source.key}-",
    )


def _counts(workspace: Workspace, day: str) -> dict[str, int]:
    """Imported rows of the day, and how many of them could not be read."""
    folder = workspace.table_path(RAW) / f"arrived={day}"
    parts = [path for path in folder.glob("*.parquet") if not path.name.startswith(SERVICE)]
    problems = [pq.ParquetFile(path).read(columns=["problem"])["problem"] for path in parts]
    return {
        "raw": sum(len(column) for column in problems),
        "unreadable": sum(len(column) - column.null_count for column in problems),
    }


def _write_parts(rows: Iterable[SourceRow], source: _Source, folder: Path) -> tuple[list[Path], int]:
    """Parquet files under `folder`, and how many rows they hold."""
    parts: list[Path] = []
    writer: pq.ParquetWriter | None = None
    count = in_part = 0
    try:
        for batch in _batches(rows, source):
            if writer is None or in_part >= _ROWS_IN_PART:
                if writer is not None:
                    writer.close()
                parts.append(folder / f"{source.key}-{len(parts):06d}.parquet")
                writer, in_part = pq.ParquetWriter(parts[-1], RAW.schema, compression="zstd"), 0
            writer.write_batch(batch)
            in_part += batch.num_rows
            count += batch.num_rows
    finally:
        if writer is not None:
            writer.close()
    return parts, count


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
