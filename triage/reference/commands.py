"""Every command with its arguments, options and exit codes, as docs/reference/commands.md shows them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main

from tickets import errors
from triage.reference.markdown import code, joined, table

_INTRODUCTION = """# Commands

`triage COMMAND --help` says the same on the terminal. Every command takes `--help`; `triage --verbose COMMAND` logs
to standard error what happens. Days are UTC. Settings are environment variables ([settings](settings.md))."""
_WELL = "done"
_READABLE = {"%Y-%m-%d": "YYYY-MM-DD", "%H:%M": "HH:MM", "<list[Path]>": "<path>", "<list[str]>": "<str>"}
_ELSE = "anything else; also a failed check of `debug`, an alert that could not be sent"


def as_markdown() -> str:
    """The page: what there is, the exit codes, then a section a command."""
    from triage.cli import app

    whole: Any = typer.main.get_command(app)
    found = list(_leaves(whole, whole.make_context("triage", [], resilient_parsing=True)))
    contents = ((f"[`{path}`](#{path.replace(' ', '-')})", _first_sentence(command)) for path, command, _ in found)
    parts = [_INTRODUCTION, table(("command", "what it does"), contents), "## Exit codes", _exit_codes()]
    for path, command, context in found:
        parts += [f"## {path}", *_section(path, command, context)]
    return joined(parts)


def _leaves(command: Any, context: Any) -> Iterator[tuple[str, Any, Any]]:
    """(path, command, context) of every command that does something, groups resolved."""
    if not hasattr(command, "commands"):
        yield context.command_path, command, context
        return
    for name, inner in sorted(command.commands.items()):
        if not inner.hidden:
            yield from _leaves(inner, inner.make_context(name, [], parent=context, resilient_parsing=True))


def _section(path: str, command: Any, context: Any) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield inspect.cleandoc(command.help or "")
    yield f"```text\n{path} {usage}\n```"
    arguments: list[tuple[str, str]] = []
    options: list[tuple[str, str]] = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            (arguments if parameter.param_type_name == "argument" else options).append(_shown(*record))
    yield table(("argument", ""), arguments)
    yield table(("option", ""), options)


def _shown(names: str, said: str) -> tuple[str, str]:
    for written, readable in _READABLE.items():
        names = names.replace(written, readable)
    return code(names), re.sub(r"(?:^| {2})\[(.+)\]$", r" (\1)", said)


def _first_sentence(command: Any) -> str:
    return re.split(r"\.\s", inspect.cleandoc(command.help or ""), maxsplit=1)[0].rstrip(".")


def _exit_codes() -> str:
    """From the tree of errors at the head of tickets/errors.py, which names code and meaning of each."""
    rows: dict[int, list[str]] = {0: [_WELL]}
    for name, told in re.findall(r"(\w+Error) {2,}(.+)", errors.__doc__ or ""):
        number = getattr(errors, name).exit_code
        meaning = re.sub(r" \(exit \d+\)$", "", told)
        if number != errors.TriageError.exit_code:
            rows.setdefault(number, []).append(meaning)
    rows[errors.TriageError.exit_code] = [_ELSE]
    return table(("exit code", "meaning"), ((str(number), "; ".join(said)) for number, said in sorted(rows.items())))
