"""Model directories and releases: how a model lies on disk, is checked, promoted, rolled back. No torch, no MLflow.

A model directory is written whole by training under models/<version>. Promoting links it to releases/<version> and
names it in releases/current, the one file the service watches. releases/history.jsonl keeps every step, so rolling
back knows the way.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from models.calibrate import Calibration, calibration_from_json
from tickets.errors import ReleaseError, TriageError
from tickets.manifests import file_hash
from tickets.workspace import Workspace, write_text

log = structlog.get_logger()

FORMAT = 2
READ = (1, FORMAT)  # format 1 has temperatures and limits alone
FACTS = "release.json"
ONNX = "model.onnx"
TOKENIZER = "tokenizer.json"
TREE = "contact_types.json"
TEMPLATES = "templates.json"
ATTRIBUTES = "attributes.json"
HEADS = "heads.safetensors"
ENCODER = "encoder"
VECTORS = "vectors.safetensors"
NEIGHBOURS = "neighbours.parquet"
CANDIDATES = "neighbours.onnx"  # finds them faster; a release made before it works without
REFERENCE = "reference.parquet"
METRICS = "metrics.json"
CARD = "README.md"
EXPECTED_FILES = (
    *(ONNX, TOKENIZER, TREE, TEMPLATES, ATTRIBUTES, HEADS, f"{ENCODER}/config.json"),
    *(VECTORS, NEIGHBOURS, REFERENCE, METRICS, CARD),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A model directory, its release.json read. `windows` maps a split to {from, to, tickets}."""

    folder: Path
    version: str
    created_at: str
    tree_version: int
    languages: tuple[str, ...]
    max_tokens: int
    calibration: Calibration
    windows: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data_hash: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    started_from: str | None = None  # the version whose weights training went on from
    hashes: Mapping[str, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        return self.folder / name


@contextmanager
def loading(folder: Path) -> Iterator[None]:
    """A file of a model directory that its library cannot read is a ReleaseError, whatever that library raises."""
    try:
        yield
    except TriageError:
        raise
    except Exception as error:  # libraries raise bare Exceptions of their own making
        raise ReleaseError(f"cannot load {folder}: {error}.", hint="Train again, or roll back.") from error


def served_megabytes(folder: Path) -> float:
    """What serving reads of a model directory: the graph, its words, and the tickets that have a vote."""
    files = (folder / name for name in (ONNX, TOKENIZER, VECTORS, NEIGHBOURS, CANDIDATES))
    return sum(file.stat().st_size for file in files if file.exists()) / 1e6


def seal(release: Release) -> Release:
    """Write release.json with the hash of every other file in the folder: the last step of making a model directory.

    Raises ReleaseError when a file that belongs to a model directory is missing.
    """
    _refuse_missing(release.folder, EXPECTED_FILES)
    names = sorted(str(path.relative_to(release.folder)) for path in release.folder.rglob("*") if path.is_file())
    sealed = dataclasses.replace(
        release, hashes={name: file_hash(release.folder / name) for name in names if name != FACTS}
    )
    facts = {name: value for name, value in dataclasses.asdict(sealed).items() if name != "folder"}
    write_text(release.folder / FACTS, json.dumps({"format": FORMAT, **facts}, indent=1, ensure_ascii=False))
    return sealed


def open_release(folder: Path, *, verify: bool = True) -> Release:
    """Read a model directory and check every file against its hash.

    Raises ReleaseError, naming the file, when the directory or a file of it is missing, changed, or of another format.
    """
    facts = _read_facts(folder)
    if facts.get("format") not in READ:
        raise ReleaseError(
            f"{folder / FACTS} has format {facts.get('format')!r}; this version reads formats "
            f"{' and '.join(map(str, READ))}.",
            hint="Train again with this version, or install the version that made it.",
        )
    try:
        release = Release(
            folder=folder,
            version=str(facts["version"]),
            created_at=str(facts["created_at"]),
            tree_version=int(facts["tree_version"]),
            languages=tuple(facts["languages"]),
            max_tokens=int(facts["max_tokens"]),
            calibration=calibration_from_json(facts["calibration"]),
            windows=facts["windows"],
            metrics=facts["metrics"],
            data_hash=str(facts["data_hash"]),
            config=facts["config"],
            started_from=facts.get("started_from"),
            hashes=dict(facts["hashes"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReleaseError(f"{folder / FACTS} is incomplete: {error!r}.", hint="Train again, or roll back.") from error
    _refuse_missing(folder, (*EXPECTED_FILES, *release.hashes))
    if verify:
        _refuse_changed(release)
    return release


def current_version(workspace: Workspace) -> str | None:
    """The version the service serves, or None before the first promotion."""
    path = workspace.releases / "current"
    return (path.read_text(encoding="utf-8").strip() or None) if path.exists() else None


def current_release(workspace: Workspace) -> Release:
    """Raises ReleaseError before the first promotion, and as `open_release` does."""
    version = current_version(workspace)
    if version is None:
        raise ReleaseError("no model has been promoted yet.", hint="Run `triage train`, then `triage promote VERSION`.")
    return open_release(workspace.releases / version)


def versions(workspace: Workspace) -> list[str]:
    """The model directories that training left whole, oldest first."""
    return sorted(path.parent.name for path in workspace.models.glob(f"*/{FACTS}"))


def promote(workspace: Workspace, version: str) -> None:
    """Make models/<version> the release that is served. Promoting the current one again changes nothing.

    A damaged copy among the releases is replaced. Raises ReleaseError when the version is unknown (naming those there
    are) or its directory is damaged.
    """
    publish(workspace, version)
    previous = current_version(workspace)
    if previous == version:
        return
    _serve(workspace, "promote", version, previous)
    log.info("release promoted", version=version, previous=previous)


def known_release(workspace: Workspace, version: str) -> Release:
    """models/<version>, checked. Raises ReleaseError when it is unknown (naming those there are) or damaged."""
    known = versions(workspace)
    if version not in known:
        raise ReleaseError(
            f"there is no model {version!r}.", hint=f"Trained so far: {', '.join(known) or 'none; run `triage train`'}."
        )
    return open_release(workspace.models / version)


def publish(workspace: Workspace, version: str) -> None:
    """Put models/<version> among the releases, where the service reads. Raises ReleaseError as `promote` does."""
    known_release(workspace, version)
    if not _is_whole(workspace.releases / version):
        with workspace.aside("release") as aside:
            shutil.copytree(workspace.models / version, aside / version, copy_function=_link_or_copy)
            workspace.replace_folder(aside / version, workspace.releases / version)


def roll_back(workspace: Workspace) -> str:
    """Serve the release before the current one again and return its version. Raises ReleaseError when there is none."""
    current = current_version(workspace)
    line = _promoted(workspace)
    while line and line[-1] != current:  # only after somebody wrote releases/current by hand
        line.pop()
    if current is None or len(line) < 2:
        raise ReleaseError(
            f"nothing came before {current!r}." if current else "no model has been promoted yet.",
            hint="Promote another version with `triage promote VERSION`.",
        )
    previous = line[-2]
    open_release(workspace.releases / previous)
    _serve(workspace, "roll_back", previous, current)
    log.info("release rolled back", version=previous, previous=current)
    return previous


def history(workspace: Workspace) -> list[dict[str, Any]]:
    """Every promotion and roll-back, oldest first: {at, action, version, previous}.

    One that died before its last step is among them; the `previous` of the next entry, or releases/current, shows it.
    Raises ReleaseError when the file cannot be read.
    """
    path = workspace.releases / "history.jsonl"
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise ReleaseError(
            f"cannot read {path}: {error}.", hint="Restore it from a backup, or take the damaged line out."
        ) from error


def _promoted(workspace: Workspace) -> list[str]:
    """The promotions that were served and not rolled back, oldest first."""
    entries, line = history(workspace), list[str]()
    served_next = [*(entry["previous"] for entry in entries[1:]), current_version(workspace)]
    for entry, served in zip(entries, served_next, strict=False):  # without entries there is still a current one
        if entry["version"] != served:
            continue  # it died before its last step
        if entry["action"] == "promote":
            line.append(entry["version"])
        elif entry["previous"] in line:
            del line[len(line) - 1 - line[::-1].index(entry["previous"]) :]
    return line


def _serve(workspace: Workspace, action: str, version: str, previous: str | None) -> None:
    """History first: an entry that nothing confirms is skipped, a missing one would lose the way back."""
    entry = {"at": datetime.now(UTC).isoformat(), "action": action, "version": version, "previous": previous}
    write_text(
        workspace.releases / "history.jsonl",
        "".join(json.dumps(row) + "\n" for row in (*history(workspace), entry)),
    )
    write_text(workspace.releases / "current", version + "\n")


def _read_facts(folder: Path) -> dict[str, Any]:
    path = folder / FACTS
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReleaseError(
            f"{folder} is no model directory: it has no {FACTS}.", hint="Train again, or name another version."
        ) from error
    except (OSError, ValueError) as error:
        raise ReleaseError(f"cannot read {path}: {error}.", hint="Train again, or roll back.") from error
    if not isinstance(facts, dict):
        raise ReleaseError(f"{path} holds no object.", hint="Train again, or roll back.")
    return facts


def _refuse_missing(folder: Path, names: tuple[str, ...]) -> None:
    if missing := sorted({name for name in names if not (folder / name).is_file()}):
        raise ReleaseError(
            f"{folder} lacks {', '.join(missing)}.", hint="Train again, or roll back to a whole release."
        )


def _refuse_changed(release: Release) -> None:
    for name, expected in release.hashes.items():
        found = file_hash(release.folder / name)
        if found != expected:
            raise ReleaseError(
                f"{release.folder / name} was changed after training: its hash is "
                f"{found[:12]}, expected {expected[:12]}.",
                hint="Copy the file again from where it was made, train again, or roll back.",
            )


def _is_whole(folder: Path) -> bool:
    try:
        open_release(folder)
    except ReleaseError:
        return False
    return True


def _link_or_copy(source: str, target: str) -> None:
    """A second name for the file where the disk can do that; files are never written in place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
