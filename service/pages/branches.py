"""Contact types that were found, laid out again as the tree they come from, for pages that show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tickets.contact_types import SEPARATOR, ContactType


@dataclass
class Branch:
    """A part of the tree: its name, the leaves right under it, and the branches below. `written` is its whole path."""

    name: str
    written: str = ""
    leaves: list[ContactType] = field(default_factory=list)
    branches: dict[str, Branch] = field(default_factory=dict)


def branches(found: Iterable[tuple[ContactType, str]]) -> Branch:
    """The leaves with their written paths, as a tree in the order in which they came."""
    root = Branch("")
    for leaf, path in found:
        here = root
        for name in path.split(SEPARATOR)[:-1]:
            written = f"{here.written}{SEPARATOR}{name}" if here.written else name
            here = here.branches.setdefault(name, Branch(name, written))
        here.leaves.append(leaf)
    return root
