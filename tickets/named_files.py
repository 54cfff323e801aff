"""Files that name some tickets: reports, suspects, rows that the database refused. They are told, not changed."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_TEXTS = frozenset({".csv", ".html", ".json", ".jsonl", ".md", ".ndjson", ".txt"})


def files_that_name(folder: Path, tickets: Collection[str]) -> list[Path]:
    """The files under a folder, or the file itself, in which one of the ids stands: in the column `ticket_id` of
    Parquet, as a word in text. A short id may be another word there, so a file may be told that has nothing of the
    ticket."""
    if not tickets:
        return []
    word = re.compile(rf"(?<![\w-])(?:{'|'.join(re.escape(one) for one in _as_written(tickets))})(?![\w-])")
    files = [folder] if folder.is_file() else (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if _names(path, tickets, word)]


def _as_written(tickets: Collection[str]) -> list[str]:
    """Ids as they stand in Markdown too, where what it would read is escaped."""
    return sorted({*tickets, *(re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", one) for one in tickets)})


def _names(path: Path, tickets: Collection[str], word: re.Pattern[str]) -> bool:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            if "ticket_id" not in file.schema_arrow.names:
                return False
            ids = file.read(["ticket_id"])["ticket_id"]
        return bool(pc.any(pc.is_in(ids, value_set=pa.array(sorted(tickets), ids.type))).as_py())
    if path.suffix not in _TEXTS:
        return False
    with open(path, encoding="utf-8", errors="replace") as text:
        return any(word.search(line) for line in text)
