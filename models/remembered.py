"""Which models hold some of a few tickets: an excerpt of one they learned from, or one they were checked on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models import release as names
from tickets.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembering:
    """A model version that holds some of the tickets. `excerpts` are beginnings of texts it learned from, `whole` are
    validation tickets."""

    version: str
    excerpts: int
    whole: int
    served: bool


def versions_that_hold(workspace: Workspace, tickets: Collection[str]) -> list[Remembering]:
    """The versions under models/ and releases/ that hold any of the tickets, oldest first. A ticket that was learned
    from and is not among the newest is in the weights alone."""
    current = names.current_version(workspace)
    found: dict[str, Remembering] = {}
    for folder in sorted([*workspace.models.glob("*"), *workspace.releases.glob("*")], key=lambda path: path.name):
        excerpts, whole = (_held(folder / name, tickets) for name in (names.NEIGHBOURS, names.REFERENCE))
        if excerpts or whole:
            found[folder.name] = Remembering(
                version=folder.name, excerpts=excerpts, whole=whole, served=folder.name == current
            )
    return list(found.values())


def _held(path: Path, tickets: Collection[str]) -> int:
    """How many rows of a Parquet file are about the tickets; of one that is not there, none."""
    if not path.is_file():
        return 0
    rows = pq.ParquetFile(path).read(["ticket_id"])["ticket_id"]
    return int(pc.sum(pc.is_in(rows, value_set=pa.array(sorted(tickets), pa.string()))).as_py() or 0)
