"""Files that name some tickets: reports, suspects, rows that the database refused. They are told, not changed."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_JSON = frozenset({".json", ".jsonl", ".ndjson"})
_TEXTS = frozenset({".csv", ".html", ".md", ".txt"})
_LONG = 6  # letters of an id that is hardly a number or a word of something else
_READ_BY_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#])")


def files_that_name(folder: Path, tickets: Collection[str]) -> list[Path]:
    """The files under a folder, or the file itself, in which one of the ids stands: in the column `ticket_id` of
    Parquet, as a word in text, as a whole value in JSON, where a long one may also be a word of a value. A short id may
    be another word, so a file may be told that has nothing of the ticket."""
    if not tickets:
        return []
    files = [folder] if folder.is_file() else (path for path in sorted(folder.rglob("*")) if path.is_file())
    patterns = {**dict.fromkeys(_JSON, _in_json(tickets)), **dict.fromkeys(_TEXTS, _in_text(tickets))}
    return [path for path in files if _names(path, tickets, patterns.get(path.suffix))]


def _in_json(tickets: Collection[str]) -> re.Pattern[str]:
    spelled = {one: {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1]} for one in tickets}
    values = [f'"{re.escape(word)}"' for words in spelled.values() for word in words]
    words = [_word(word) for one, words in spelled.items() if len(one) >= _LONG for word in words]
    return re.compile("|".join(sorted({*values, *words})))


def _in_text(tickets: Collection[str]) -> re.Pattern[str]:
    """In Markdown, what it would read is escaped."""
    spelled = {*tickets, *(_READ_BY_MARKDOWN.sub(r"\\\1", one) for one in tickets)}
    return re.compile("|".join(map(_word, sorted(spelled))))


def _word(text: str) -> str:
    return rf"(?<![\w-]){re.escape(text)}(?![\w-])"


def _names(path: Path, tickets: Collection[str], pattern: re.Pattern[str] | None) -> bool:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            if "ticket_id" not in file.schema_arrow.names:
                return False
            ids = file.read(["ticket_id"])["ticket_id"]
        return bool(pc.any(pc.is_in(ids, value_set=pa.array(sorted(tickets), ids.type))).as_py())
    if pattern is None:
        return False
    with open(path, encoding="utf-8", errors="replace") as text:
        return any(pattern.search(line) for line in text)
