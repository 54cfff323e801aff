"""What a person may choose from: the contact-type tree and the reply templates, as the catalogue stands now.

The catalogue may be newer than the model: a contact type added this morning can be chosen before any model knows it. It
may also be empty, or differ from the release that is served; what the release suggests can be chosen all the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import structlog

from models.suggest import Suggester
from pipeline.text.redact import customer_hash
from service.releases import Releases
from tickets.catalogue import read_dataset, read_templates, read_tree
from tickets.contact_types import ContactType, ContactTypeTree
from tickets.errors import TriageError
from tickets.records import ReplyTemplate
from tickets.workspace import Workspace

log = structlog.get_logger()


class _Catalogue(NamedTuple):
    stamp: tuple[int, ...]
    tree: ContactTypeTree
    templates: tuple[ReplyTemplate, ...]
    salt: str


class Choices:
    """Reads the catalogue again when its files change, and not otherwise. Safe from several threads."""

    def __init__(self, workspace: Workspace, releases: Releases) -> None:
        self._workspace = workspace
        self._releases = releases
        self._catalogue = _Catalogue((), ContactTypeTree(nodes=()), (), "")

    def tree(self) -> ContactTypeTree:
        """The catalogue's tree, or the release's while the catalogue has none."""
        tree = self._current().tree
        suggester = self._suggester()
        return suggester.tree if suggester is not None and not tree.nodes else tree

    def templates(self) -> tuple[ReplyTemplate, ...]:
        """The catalogue's templates, or the release's while the catalogue has none."""
        suggester = self._suggester()
        return self._current().templates or (suggester.templates if suggester is not None else ())

    def customer_key(self, given: str | None) -> str | None:
        """A customer's key as the pipeline stores it, so that one customer is one key however the ticket came in."""
        return customer_hash(given, salt=self._current().salt) if given else None

    def knows_contact_type(self, contact_type: str) -> bool:
        """True also for a type that the release suggests and the catalogue has retired: outcomes are migrated later."""
        suggester = self._suggester()
        tree = self.tree()
        return (
            contact_type in tree
            or contact_type in tree.mapping
            or (suggester is not None and contact_type in suggester.tree)
        )

    def template(self, template_id: str) -> ReplyTemplate | None:
        suggester = self._suggester()
        known = (*self.templates(), *(suggester.templates if suggester is not None else ()))
        return next((template for template in known if template.template_id == template_id), None)

    def path(self, contact_type: str) -> str:
        """The written path, or the id itself where no tree has it."""
        suggester = self._suggester()
        trees = [self.tree(), *([suggester.tree] if suggester is not None else [])]
        return next((tree.path(contact_type) for tree in trees if contact_type in tree), contact_type)

    def active_paths(self) -> list[tuple[str, str]]:
        """(id, path) of every active node of the tree, branches before what is under them."""
        tree = self.tree()
        return [(node.id, tree.path(node.id)) for node in tree.nodes if node.active]

    def search(self, query: str, *, limit: int = 300) -> list[tuple[ContactType, str]]:
        """Active leaves, with their paths, whose path or description holds every word of the query; in tree order."""
        tree = self.tree()
        words = query.casefold().split()
        found = []
        for leaf in tree.leaves():
            path = tree.path(leaf.id)
            if all(word in f"{path} {leaf.description}".casefold() for word in words):
                found.append((leaf, path))
            if len(found) == limit:
                break
        return found

    def _suggester(self) -> Suggester | None:
        loaded = self._releases.loaded
        return loaded.suggester if loaded else None

    def _current(self) -> _Catalogue:
        folder = self._workspace.catalogue
        stamp = tuple(_written(folder / name) for name in ("contact_types.json", "templates.json", "dataset.toml"))
        if stamp != self._catalogue.stamp:
            try:
                tree, templates = read_tree(self._workspace), read_templates(self._workspace)
                salt = read_dataset(self._workspace).name if (folder / "dataset.toml").exists() else ""
                self._catalogue = _Catalogue(stamp, tree, templates, salt)
            except TriageError as error:  # a broken file is told once; what was read before goes on being offered
                log.error("catalogue refused", reason=error.message)
                self._catalogue = self._catalogue._replace(stamp=stamp)
        return self._catalogue


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
