"""Ready descriptions: of the public data sets `cfpb`, `banking77`, `bitext`, and of `zendesk`, to copy and adapt."""

from __future__ import annotations

from pathlib import Path

from tickets.errors import DatasetError


def ready_dataset(name: str) -> Path:
    """The dataset.toml of a ready dataset. Raises DatasetError, naming those there are."""
    if name not in ready_datasets():
        raise DatasetError(
            f"there is no ready dataset {name!r}.",
            hint=f"There are {', '.join(ready_datasets())}; for your own data give the path of a dataset.toml.",
        )
    return Path(__file__).with_name(f"{name}.toml")


def ready_datasets() -> list[str]:
    """The names that `ready_dataset` takes, sorted."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.toml"))
