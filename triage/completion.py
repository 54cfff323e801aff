"""What Tab offers for values: models of the workspace, presets, ready datasets, names of a fixed set.

`triage --install-completion` sets it up for the shell that asks. Each answer comes from file names or a short list: no
database is opened, nothing heavy imported, because a person waits with a finger on the key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import typer

RUNGS = ("majority", "keywords", "tfidf", "cota1", "frozen", "cnn", "lstm", "setfit", "transformer")
ROLES = ("agent", "labeler", "admin")
SINKS = ("mlflow", "tensorboard", "wandb", "none")
Offer = Callable[[str], list[str]]


def one_of(*names: str) -> Offer:
    """Those of a fixed set."""

    def offer(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return offer


presets = one_of("cpu-quick", "cpu", "gpu")
devices = one_of("auto", "cpu", "cuda", "mps")
policies = one_of("never", "fixed interval", "alarm-driven", "all labels")


def versions(ctx: typer.Context, incomplete: str) -> list[str]:
    """The models of the workspace, the newest first."""
    models = _workspace(ctx) / "models"
    known = sorted((path.parent.name for path in models.glob("*/release.json")), reverse=True)
    return [version for version in known if version.startswith(incomplete)]


def datasets(incomplete: str) -> list[str]:
    """The ready datasets, and TOML files that lie here or in the folder that was begun."""
    from pipeline.datasets import ready_datasets

    ready = [name for name in ready_datasets() if name.startswith(incomplete)]
    return [*ready, *_files(incomplete, ".toml")]


def changes_files(incomplete: str) -> list[str]:
    """cfpb, and files here."""
    return [name for name in ("cfpb",) if name.startswith(incomplete)] + list(_files(incomplete, ".toml"))


def rungs(incomplete: str) -> list[str]:
    """The next of several with commas: `--rungs tfidf,c` becomes tfidf,cota1 or tfidf,cnn."""
    before, comma, last = incomplete.rpartition(",")
    chosen = before.split(",")
    return [f"{before}{comma}{name}" for name in RUNGS if name.startswith(last) and name not in chosen]


def tables(incomplete: str) -> list[str]:
    """The lake's tables."""
    from tickets.tables import TABLES

    return sorted(table.name for table in TABLES if table.name.startswith(incomplete))


def _workspace(ctx: typer.Context) -> Path:
    """The one named in the line so far, else the one of the environment, which the outermost command has read."""
    named = ctx.params.get("workspace") or ctx.find_root().params.get("workspace")
    return Path(named or "workspace").expanduser()


def _files(incomplete: str, suffix: str) -> Iterator[str]:
    folder, slash, begun = incomplete.rpartition("/")
    place = Path(f"{folder}{slash}" or ".").expanduser()
    try:
        entries = sorted(place.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(begun) and (entry.suffix == suffix or (slash and entry.is_dir())):
            yield f"{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
