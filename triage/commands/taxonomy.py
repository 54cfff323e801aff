"""`triage taxonomy`: which contact types there are, how they came about, and how the next version would look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from triage.completion import changes_files
from triage.options import Folder, settings_of
from triage.printed_json import AsJson, print_json

if TYPE_CHECKING:
    from triage.taxonomy import NextVersion

taxonomy_app = typer.Typer(help="Versions of the contact-type tree: renames, merges, splits.", no_args_is_help=True)

File = Annotated[
    str,
    typer.Argument(metavar="FILE", autocompletion=changes_files, help="A changes file, or cfpb (docs/taxonomy.md)."),
]
_AT_MOST = 20  # lines of each kind


@taxonomy_app.command()
def show(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Print the contact types in use, as a tree."""
    from triage.taxonomy import tree_of

    tree = tree_of(settings_of(workspace))
    if as_json:
        print_json(tree)
        return
    retired = sum(not node.active for node in tree.nodes)
    print(f"version {tree.version}: {len(tree.leaves())} contact types in use, {retired} nodes retired")
    for node in sorted((node for node in tree.nodes if node.active), key=lambda node: tree.place(node.id)):
        place = tree.place(node.id)
        print(f"{'  ' * len(place)}{place[-1]}")


@taxonomy_app.command()
def check(file: File, workspace: Folder = None, as_json: AsJson = False) -> None:
    """Say what a changes file would do, and write nothing."""
    from triage import taxonomy

    version = taxonomy.check(settings_of(workspace), file)
    if as_json:
        print_json(_difference(version))
    else:
        _show_difference(version, done=False)


@taxonomy_app.command()
def apply(file: File, workspace: Folder = None, as_json: AsJson = False) -> None:
    """Make the next version of the tree. History is read through it from the next `triage features` on."""
    from triage import taxonomy

    version = taxonomy.apply(settings_of(workspace), file)
    if as_json:
        print_json(_difference(version))
        return
    _show_difference(version, done=True)
    if version.after is not version.before:
        print("Next: `triage features` reads history through it, `triage train` learns the new names.")


@taxonomy_app.command()
def history(workspace: Folder = None, as_json: AsJson = False) -> None:
    """Print what changed on which day."""
    from triage import taxonomy

    days = taxonomy.history(settings_of(workspace))
    if as_json:
        print_json(days)
        return
    if not days:
        print("No change was ever applied.")
    for day in days:
        print(f"{day.on}: {len(day.changes)} change{'s' * (len(day.changes) > 1)}")
        for old, new in day.changes:
            print(f"  {old} -> {' | '.join(new) or 'retired'}")


def _difference(version: NextVersion) -> dict[str, object]:
    """Without the two trees, which `show --json` tells whole."""
    numbers = {"before": version.before.version, "after": version.after.version}
    return {**numbers, "difference": version.difference, "untold": version.untold}


def _show_difference(version: NextVersion, *, done: bool) -> None:
    if version.after is version.before:
        print(f"Nothing changes: version {version.before.version} has it all.")
    else:
        before = f"Version {version.before.version}" if version.before.nodes else "The empty tree"
        print(f"{before} {'became' if done else 'would become'} version {version.after.version}.")
    found = version.difference
    for word, paths in (("retired", found.retired), ("added", found.added), ("in use again", found.returned)):
        if paths:
            print(f"{len(paths)} {word}:")
            print("\n".join(f"  {path}" for path in paths[:_AT_MOST]))
        if len(paths) > _AT_MOST:
            print(f"  and {len(paths) - _AT_MOST} more")
    if version.untold:
        named = ", ".join(map(repr, version.untold))
        print(f"Not every part can be told: dataset.toml does not name {named} under [outcome] told_by.")
