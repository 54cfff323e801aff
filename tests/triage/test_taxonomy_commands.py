"""`triage taxonomy`: what a person reads when looking at a tree, trying a changes file, applying it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tickets.catalogue import keep_dataset, read_tree, write_tree
from tickets.contact_types import ContactTypeTree
from tickets.errors import ContactTypeError, LockedError, MissingStepError
from tickets.workspace import Workspace
from triage.commands.taxonomy import taxonomy_app

CHANGES = """
[[change]]
on = 2026-03-01
from = "Delivery::Late"
to = "Delivery::Not on time"

[[change]]
on = 2026-03-02
from = "Cards"
to = [{ path = "Credit card", when = { kind = ["visa"] } }, { path = "Prepaid card", when = { kind = ["gift"] } }]
"""


def triage(workspace: Workspace, *arguments: str | Path) -> str:
    result = CliRunner().invoke(taxonomy_app, [*map(str, arguments), "--workspace", str(workspace.root)])
    if result.exception:
        raise result.exception
    return result.output


@pytest.fixture
def changes(tmp_path: Path, workspace: Workspace) -> Path:
    write_tree(workspace, ContactTypeTree(nodes=()).with_paths(["Delivery::Late", "Delivery::Lost", "Cards"]))
    path = tmp_path / "changes.toml"
    path.write_text(CHANGES, encoding="utf-8")
    return path


def test_checking_a_file_says_what_it_would_do_and_writes_nothing(workspace: Workspace, changes: Path) -> None:
    before = read_tree(workspace)
    said = triage(workspace, "check", changes)
    assert "Version 1 would become version 2." in said
    assert "2 retired:\n  Delivery::Late\n  Cards\n" in said
    assert "3 added:\n  Credit card\n  Delivery::Not on time\n  Prepaid card\n" in said
    assert read_tree(workspace) == before


def test_applying_a_file_makes_the_next_version_once(workspace: Workspace, changes: Path) -> None:
    assert "Version 1 became version 2." in triage(workspace, "apply", changes)
    assert read_tree(workspace).version == 2
    assert triage(workspace, "apply", changes) == "Nothing changes: version 2 has it all.\n"
    assert triage(workspace, "show").splitlines() == [
        "version 2: 4 contact types in use, 2 nodes retired",
        *("  Credit card", "  Delivery", "    Lost", "    Not on time", "  Prepaid card"),
    ]
    assert triage(workspace, "history").splitlines() == [
        *("2026-03-01: 1 change", "  Delivery::Late -> Delivery::Not on time"),
        *("2026-03-02: 1 change", "  Cards -> Credit card | Prepaid card"),
    ]


def test_a_column_that_the_dataset_does_not_keep_is_named(workspace: Workspace, changes: Path, tmp_path: Path) -> None:
    described = tmp_path / "dataset.toml"
    text = 'created_at_constant = 2026-01-01T00:00:00Z\n[ticket]\nbody = "text"\n[outcome]\ncontact_type = "reason"\n'
    described.write_text(text, encoding="utf-8")
    keep_dataset(workspace, described)
    assert "dataset.toml does not name 'kind' under [outcome] told_by" in triage(workspace, "check", changes)
    described.write_text(text + 'told_by = ["kind"]\n', encoding="utf-8")
    keep_dataset(workspace, described)
    assert "told_by" not in triage(workspace, "check", changes)


def test_the_changes_of_the_bureau_come_with_the_product(workspace: Workspace) -> None:
    assert "The empty tree would become version 1." in triage(workspace, "check", "cfpb")
    with pytest.raises(ContactTypeError, match=r"no changes file 'cfbp'.*ready ones are cfpb"):
        triage(workspace, "check", "cfbp")


def test_nothing_is_applied_while_another_run_holds_the_workspace(workspace: Workspace, changes: Path) -> None:
    with workspace.lock("a night"), pytest.raises(LockedError, match="a night"):
        triage(workspace, "apply", changes)
    assert read_tree(workspace).version == 1


def test_an_empty_tree_says_how_to_fill_it(workspace: Workspace) -> None:
    with pytest.raises(MissingStepError, match="the contact-type tree is empty"):
        triage(workspace, "show")
