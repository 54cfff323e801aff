"""The catalogue of a workspace: its dataset description, contact-type tree, reply templates and proposed ones."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tickets.contact_types import ContactTypeTree, tree_from_json, tree_to_text
from tickets.dataset import Dataset, load_dataset
from tickets.errors import InputError, MissingStepError
from tickets.records import ReplyTemplate
from tickets.workspace import Workspace, write_text

_WRITTEN = "Mend the file or restore it from a backup; the next import writes it where dataset.toml names one."


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateProposal:
    """A reply template mined from replies. `support` counts the replies made from it, `share` (0 to 1) is of all that
    were looked at; `examples` are ticket ids."""

    template_id: str
    title: str
    body: str
    language: str
    contact_types: tuple[str, ...] = ()
    support: int = 0
    share: float = 0.0
    examples: tuple[str, ...] = ()
    status: Literal["proposed", "approved", "rejected"] = "proposed"


def read_dataset(workspace: Workspace) -> Dataset:
    """Raises MissingStepError before the first import."""
    path = workspace.catalogue / "dataset.toml"
    if not path.exists():
        raise MissingStepError(
            f"{workspace.root} has no dataset yet.", hint="Run `triage import FILE --dataset NAME` first."
        )
    return load_dataset(path)


def keep_dataset(workspace: Workspace, path: Path) -> Dataset:
    """Check a dataset.toml and copy it into the workspace. Raises DatasetError."""
    dataset = load_dataset(path)
    write_text(workspace.catalogue / "dataset.toml", path.read_text(encoding="utf-8"))
    return dataset


def read_tree(workspace: Workspace) -> ContactTypeTree:
    """An empty tree before the first one was written. Raises InputError, ContactTypeError as `load_tree`."""
    path = workspace.catalogue / "contact_types.json"
    return load_tree(path) if path.exists() else ContactTypeTree(nodes=())


def load_tree(path: Path) -> ContactTypeTree:
    """Raises InputError for a file that cannot be read, ContactTypeError for what is no tree."""
    return tree_from_json(_load(path))


def write_tree(workspace: Workspace, tree: ContactTypeTree) -> None:
    write_text(workspace.catalogue / "contact_types.json", tree_to_text(tree))


def read_templates(workspace: Workspace) -> tuple[ReplyTemplate, ...]:
    """() before the first ones were written. Raises InputError."""
    path = workspace.catalogue / "templates.json"
    return load_templates(path) if path.exists() else ()


def load_templates(path: Path) -> tuple[ReplyTemplate, ...]:
    """Read a JSON list of templates. Raises InputError naming the first entry that is none."""
    templates = []
    for number, entry in enumerate(_load(path), start=1):
        try:
            templates.append(_template(entry))
        except (TypeError, AttributeError) as error:
            raise InputError(
                f"entry {number} of {path.name} is no reply template: {error}.",
                hint='Write {"template_id": ..., "title": ..., "body": ...} with texts; "contact_types" is a list.',
            ) from error
    return tuple(templates)


def _template(entry: Any) -> ReplyTemplate:
    """Raises TypeError, AttributeError for what is none; a text is no list of contact types, though it has letters."""
    given = entry.get("contact_types", [])
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"its contact_types are {given!r}")
    template = ReplyTemplate(**{**entry, "contact_types": tuple(given)})
    for name in ("template_id", "title", "body"):
        if not isinstance(getattr(template, name), str):
            raise TypeError(f"its {name} is no text")
    return template


def templates_to_text(templates: Sequence[ReplyTemplate]) -> str:
    return json.dumps([dataclasses.asdict(template) for template in templates], indent=1, ensure_ascii=False)


def write_templates(workspace: Workspace, templates: Sequence[ReplyTemplate]) -> None:
    write_text(workspace.catalogue / "templates.json", templates_to_text(templates))


def read_proposals(workspace: Workspace) -> tuple[TemplateProposal, ...]:
    """Proposed templates with what people decided; () before any were mined. Raises InputError."""
    path = workspace.catalogue / "template_proposals.json"
    lists = ("contact_types", "examples")
    try:
        entries = _load(path) if path.exists() else []
        return tuple(TemplateProposal(**{**entry, **{name: tuple(entry[name]) for name in lists}}) for entry in entries)
    except (TypeError, KeyError) as error:
        raise InputError(
            f"{path.name} holds an entry that is no proposal: {error}.",
            hint="Remove the file and run `triage templates mine` again.",
        ) from error


def write_proposals(workspace: Workspace, proposals: Sequence[TemplateProposal]) -> None:
    entries = [dataclasses.asdict(proposal) for proposal in proposals]
    write_text(workspace.catalogue / "template_proposals.json", json.dumps(entries, indent=1, ensure_ascii=False))


def _load(path: Path) -> Any:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}.", hint=_WRITTEN) from error
    if not isinstance(data, (list, dict)):
        raise InputError(f"{path} holds {type(data).__name__}; a list or an object was expected.", hint=_WRITTEN)
    return data
