"""The `triage ...` command lines of a shell block, held against the real command line: do command and options exist?"""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import Any

import typer
import typer.main

_PUNCTUATION = ";&|()<>"
_SETTING = re.compile(r"^[A-Za-z_]\w*=")
# What runs another command: in its arguments `triage` is a command only where a command of ours follows.
_WRAPPERS = frozenset(
    {"sudo", "env", "time", "nohup", "exec", "docker", "kubectl", "torchrun", "timeout", "systemd-run"}
)
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")
_STAND_INS = {"YYYY-MM-DD": "2026-01-01"}  # what a page writes where a reader puts something of theirs


def triage_calls(shell: str) -> list[list[str]]:
    """The arguments of every call of `triage` in a shell text, in order. Raises ValueError when it cannot be split."""
    text = re.sub(r"\\\n", " ", _without_heredocs(shell))
    calls = []
    for line in _whole_lines(text):
        for words in _simple_commands(line):
            arguments = _arguments(words)
            if arguments is not None:
                calls.append(arguments)
            for word in words:
                for inner in re.findall(r"\$\(([^()]*)\)", word):
                    calls += triage_calls(inner)
    return calls


def what_is_wrong(arguments: list[str], *, whole: bool = True) -> str | None:
    """What the command line says against these arguments; None when it takes them.

    With `whole=False`, as in running text, arguments may be missing and a group may stand for its commands.
    """
    from triage.cli import app

    command: Any = _command_of(app)
    context = command.make_context("triage", [], resilient_parsing=True)
    rest = [_STAND_INS.get(word, word) for word in arguments]
    while hasattr(command, "commands"):
        while rest and rest[0] in ("--verbose", "-v"):
            rest = rest[1:]
        if not rest or rest[0] in ("--help", "-h", "..."):
            enough = rest or not whole or command.invoke_without_command
            return None if enough else f"`{context.command_path}` needs a command."
        if rest[0].startswith("-"):  # an option of its own: tried out, --install-completion would install it
            options = {name for option in command.params for name in option.opts}
            return None if rest[0] in options else f"`{context.command_path}` has no option {rest[0]}."
        known = command.commands.get(rest[0])
        if known is None and rest[0].isupper():  # a reader's own: COMMAND
            return None
        if known is None:
            return f"`{context.command_path}` has no command {rest[0]!r}; it has {', '.join(sorted(command.commands))}."
        command, name, rest = known, rest[0], rest[1:]
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    return _refused(command, context, rest, whole=whole)


@cache
def _command_of(app: typer.Typer) -> Any:
    return typer.main.get_command(app)


def _refused(command: Any, context: Any, arguments: list[str], *, whole: bool) -> str | None:
    if {"--help", "-h", "..."} & set(arguments):
        return None
    try:
        command.make_context(context.info_name, list(arguments), parent=context.parent)
    except typer.TyperException as error:
        said = str(getattr(error, "format_message", error.__str__)())
        # A page may speak of files that its reader has, and running text leaves things out.
        if said.startswith("Invalid value") and any("$" in word for word in arguments):
            return None  # only a shell knows it
        passed_over = ("does not exist",) if whole else ("does not exist", "Missing ", "requires an ", "the formats")
        return None if any(words in said for words in passed_over) else f"`{context.command_path}`: {said}"
    return None


def _without_heredocs(shell: str) -> str:
    kept, until = [], None
    for line in shell.splitlines():
        if until is not None:
            until = None if line.strip() == until else until
            continue
        kept.append(line)
        if found := _HEREDOC.search(line):
            until = found[2]
    return "\n".join(kept)


def _whole_lines(text: str) -> list[str]:
    """Lines, joined where a quotation goes on over their end."""
    lines: list[str] = []
    open_line = ""
    for line in text.splitlines():
        open_line = f"{open_line}\n{line}" if open_line else line
        try:
            _words(open_line)
        except ValueError:
            continue
        lines.append(open_line)
        open_line = ""
    if open_line:
        raise ValueError(f"a quotation does not end: {open_line.splitlines()[0]}")
    return lines


def _words(line: str) -> list[str]:
    """Words and punctuation, as a shell splits them. Raises ValueError where a quotation is still open."""
    bare = re.sub(r"(?<=\s)[012](?=[<>])", "", _before_comment(line))  # the numbers of `2>&1` are no words
    split = shlex.shlex(bare, posix=True, punctuation_chars=_PUNCTUATION)
    split.whitespace_split = True
    split.commenters = ""  # shlex would cut inside words too
    return list(split)


def _before_comment(line: str) -> str:
    """A `#` begins a comment at the start of a word, outside quotations."""
    quotation = ""
    for place, letter in enumerate(line):
        if quotation:
            quotation = "" if letter == quotation else quotation
        elif letter in "'\"":
            quotation = letter
        elif letter == "#" and (place == 0 or line[place - 1].isspace()):
            return line[:place]
    return line


def _simple_commands(line: str) -> list[list[str]]:
    """The commands of one line, parted at pipes, `&&`, `;`, brackets and redirections."""
    commands: list[list[str]] = [[]]
    skip = False
    for word in _words(line):
        if set(word) <= set("<>&") and set(word) & set("<>"):
            skip = True  # the next word is a file
        elif word and set(word) <= set(_PUNCTUATION):
            commands.append([])
        elif skip:
            skip = False
        else:
            commands[-1].append(word)
    return [words for words in commands if words]


def _arguments(words: list[str]) -> list[str] | None:
    """What follows `triage`, when this command calls it."""
    rest = list(words)
    while rest and (_SETTING.match(rest[0]) or rest[0] in ("do", "then", "else", "if", "while", "until", "!", "{")):
        rest = rest[1:]
    if not rest:
        return None
    if _is_triage(rest[0]):
        return rest[1:]
    for place, word in enumerate(rest[:-1]):
        if word == "-m" and rest[place + 1] == "triage":
            return rest[place + 2 :]
        if rest[0] in _WRAPPERS and _is_triage(word) and _is_command(rest[place + 1]):
            return rest[place + 1 :]
    return None


def _is_triage(word: str) -> bool:
    return word == "triage" or word.endswith("bin/triage")


def _is_command(word: str) -> bool:
    from triage.cli import app

    return word in _command_of(app).commands
