"""Manifests: what a step read, wrote and counted, so that any table can be traced to its sources."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tickets.tables import SCHEMA_VERSION
from tickets.workspace import Workspace, write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One run of one step. `inputs` maps a name to a content hash, `counts` a table or reason to rows."""

    step: str
    as_of: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    started_at: str = ""
    seconds: float = 0.0
    schema_version: int = SCHEMA_VERSION


def write_manifest(workspace: Workspace, manifest: Manifest) -> None:
    """Keep it at manifests/<step>/<as_of>.json; a rerun of the same date replaces it."""
    path = workspace.manifests / manifest.step / f"{manifest.as_of}.json"
    write_text(path, json.dumps(dataclasses.asdict(manifest), indent=1, sort_keys=True))


def read_manifest(workspace: Workspace, step: str, as_of: str) -> Manifest | None:
    path = workspace.manifests / step / f"{as_of}.json"
    return Manifest(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def manifests(workspace: Workspace, step: str) -> Iterator[Manifest]:
    """All manifests of a step, oldest date first."""
    for path in sorted((workspace.manifests / step).glob("*.json")):
        yield Manifest(**json.loads(path.read_text(encoding="utf-8")))


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
