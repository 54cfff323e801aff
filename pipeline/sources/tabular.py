"""CSV, JSON lines and Parquet, gzipped or not, read row by row as dataset.toml describes them.

A row that cannot be read is kept as far as it can be told, with a `problem`; only a file that cannot be the right one
is refused.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import orjson

from tickets.dataset import Dataset
from tickets.errors import SourceError
from tickets.progress import under_way

INVALID_UTF8 = "invalid UTF-8"
WRONG_COLUMNS = "wrong number of columns"
BROKEN_JSON = "broken JSON"
LARGEST_FIELD = 64 * 1024 * 1024  # characters; more than that is a quote that was never closed
DEEPEST = 200  # levels of JSON; Python's own reader gives up at about a thousand
_READ_BYTES = 1024 * 1024
_LOOK_AHEAD = 1_000  # JSON lines have no header: a field that none of so many rows has is missing

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

CheckHeader = Callable[[list[str], Path], None]


class SourceRow(NamedTuple):
    """A row as it came: a JSON object in text (column -> value), and why it could not be read, if it could not."""

    fields: str
    problem: str | None = None


def read_rows(path: Path, dataset: Dataset, *, check_header: CheckHeader | None = None) -> Iterator[SourceRow]:
    """The rows of a file, streamed. Raises SourceError when the file cannot be opened, is empty, or lacks columns.

    `check_header` looks at the columns of CSV and Parquet in place of `require_columns`: of a known source it can say
    more.
    """
    check = check_header or (lambda columns, where: require_columns(columns, dataset, where.name))
    match dataset.format:
        case "csv":
            rows = _csv_rows(path, check)
        case "jsonl":
            rows = _json_rows(path, dataset)
        case "parquet":
            rows = _parquet_rows(path, check)
        case other:
            raise SourceError(f"{path.name} cannot be read as {other!r}.", hint="Use csv, jsonl or parquet.")
    empty = True
    with _readable(path):
        for row in rows:
            empty = False
            yield row
    if empty:
        raise SourceError(f"{path.name} is empty: it has no rows.", hint="Export it again, or leave it out.")


def require_columns(found: Iterable[str], dataset: Dataset, source: str) -> None:
    """Raises SourceError, listing the columns that dataset.toml names and `source` lacks, and those it has."""
    present = list(found)
    missing = sorted(column for column in dataset.columns if not _has(present, column))
    if missing:
        raise SourceError(
            f"{source} lacks {'columns' if len(missing) > 1 else 'the column'} {', '.join(map(repr, missing))}.",
            hint=f"It has {', '.join(map(repr, present[:40]))}. Correct it, or the column names in dataset.toml.",
        )


def _has(present: list[str], column: str) -> bool:
    return column in present or ("." in column and column.split(".", maxsplit=1)[0] in present)


def _csv_rows(path: Path, check_header: CheckHeader) -> Iterator[SourceRow]:
    csv.field_size_limit(LARGEST_FIELD)
    # Bytes that are no UTF-8 come through as lone surrogates, so that a row, not the file, is at fault.
    with io.TextIOWrapper(_open(path), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines = csv.reader(file)
        header = _distinct(name.strip() for name in next(lines, []))
        if not header:
            return
        check_header(header, path)
        for values in lines:
            if values:
                yield _csv_row(header, values)


def _distinct(names: Iterable[str]) -> list[str]:
    """Column names of which no two are equal, so that no value of a row hides another: `note`, `note (2)`."""
    seen: Counter[str] = Counter()
    distinct = []
    for written in names:
        name = written or "unnamed"
        seen[name] += 1
        distinct.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return distinct


def _csv_row(header: list[str], values: list[str]) -> SourceRow:
    fields: dict[str, Any] = dict(zip(header, values, strict=False))
    problem = None
    if len(values) != len(header):
        problem = f"{WRONG_COLUMNS}: {len(values)} instead of {len(header)}"
        if len(values) > len(header):
            fields[""] = values[len(header) :]
    return source_row(fields, problem)


def _json_rows(path: Path, dataset: Dataset) -> Iterator[SourceRow]:
    needed = {dataset.ticket[name] for name in ("ticket_id", "created_at", "body") if name in dataset.ticket}
    ahead: list[SourceRow] = []
    seen: dict[str, None] = {}
    with _open(path) as file:
        for number, line in enumerate(line for line in file if line.strip()):
            row, names = _json_row(line)
            if number < _LOOK_AHEAD:
                ahead.append(row)
                seen.update(dict.fromkeys(names))
                continue
            if ahead:
                _require_seen(seen, needed, path)
                yield from ahead
                ahead = []
            yield row
    if ahead:
        _require_seen(seen, needed, path)
        yield from ahead


def _require_seen(seen: Mapping[str, None], needed: set[str], path: Path) -> None:
    """Raises SourceError when none of the rows looked at has a field that every ticket needs."""
    missing = sorted(name for name in needed if not _has(list(seen), name))
    if missing:
        raise SourceError(
            f"no row at the start of {path.name} has {', '.join(map(repr, missing))}.",
            hint=f"They have {', '.join(map(repr, list(seen)[:40])) or 'no fields'}. Correct dataset.toml.",
        )


def _json_row(line: bytes) -> tuple[SourceRow, list[str]]:
    """A line that is a sound JSON object stays as it is; anything else goes the slow way, which finds out why."""
    try:
        sound = orjson.loads(line)
    except orjson.JSONDecodeError:
        return _odd_json_row(line)
    if isinstance(sound, dict) and line.count(b"[") + line.count(b"{") <= DEEPEST:
        return SourceRow(line.decode().strip()), list(sound)
    return _odd_json_row(line)


def _odd_json_row(line: bytes) -> tuple[SourceRow, list[str]]:
    """Not a number, half a character, a byte that is no UTF-8, an object within a thousand others: Python reads them,
    or says what is wrong."""
    text = line.decode("utf-8-sig", errors="surrogateescape").rstrip("\r\n")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return source_row({"": text}, BROKEN_JSON), []
    if not isinstance(fields, dict):
        return source_row({"": fields}, f"{BROKEN_JSON}: {type(fields).__name__} instead of an object"), []
    if _is_deep(fields):
        return source_row({"": text}, f"{BROKEN_JSON}: nested more than {DEEPEST} levels deep"), []
    return source_row(fields, None), list(fields)


def _is_deep(fields: dict[str, Any]) -> bool:
    """Whether values are nested deeper than every later reader is sure to manage."""
    level: list[Any] = [fields]
    for _ in range(DEEPEST):
        nested = (value for value in level if isinstance(value, (dict, list)))
        level = [inner for value in nested for inner in (value.values() if isinstance(value, dict) else value)]
        if not level:
            return False
    return True


def _parquet_rows(path: Path, check_header: CheckHeader) -> Iterator[SourceRow]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        check_header(file.schema_arrow.names, path)
        for batch in file.iter_batches(batch_size=2_000):
            for fields in batch.to_pylist():
                yield source_row(fields, None)


def source_row(fields: dict[str, Any], problem: str | None) -> SourceRow:
    """A row as JSON text. Bytes that were no UTF-8 stay visible as \\xNN."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=_plain)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = _LONE_SURROGATE.sub(_show, text)
        problem = problem or INVALID_UTF8
    return SourceRow(text, problem)


def _show(found: re.Match[str]) -> str:
    """A byte that was no UTF-8 as \\xNN, half a character from a JSON escape as \\uNNNN; both escaped for JSON text."""
    code = ord(found.group())
    return f"\\\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\\\u{code:04x}"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _open(path: Path) -> IO[bytes]:
    with open(path, "rb") as file:
        start = file.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff"):
        raise SourceError(f"{path.name} is in UTF-16.", hint="Save it as UTF-8 and import it again.")
    watched = cast(IO[bytes], io.BufferedReader(_Watched(path), _READ_BYTES))
    return cast(IO[bytes], _Gzip(watched)) if start == b"\x1f\x8b" else watched


class _Gzip(gzip.GzipFile):
    """Closes the file that it reads, too."""

    def __init__(self, packed: IO[bytes]) -> None:
        super().__init__(fileobj=packed)
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()


class _Watched(io.FileIO):
    """A file that tells how far it has been read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._name, self._size = path.name, path.stat().st_size

    def readinto(self, buffer: Any, /) -> int | None:
        read = super().readinto(buffer)
        under_way(f"bytes of {self._name}", min(self.tell(), self._size), self._size)
        return read


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path.name} is cut short or no gzip file: {error}.", hint="Fetch it again.") from error
    except csv.Error as error:
        raise SourceError(f"{path.name} is no CSV: {error}.", hint="Is a quotation mark left open?") from error
    except pa.ArrowException as error:
        raise SourceError(
            f"{path.name} is no Parquet file: {error}.", hint="Check `format` in dataset.toml."
        ) from error
    except OSError as error:
        raise SourceError(
            f"cannot read {path}: {error.strerror or error}.", hint="Check the path and its rights."
        ) from error
