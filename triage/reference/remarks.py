"""Comments beside declarations, read from their source: what a table or a column means stands nowhere else."""

from __future__ import annotations

import ast
import inspect
import io
import tokenize
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class Remarks:
    """Of one declaration: what is said on its first line, and what of each thing in it that is given a name."""

    whole: str
    parts: dict[str, str]


def remarks_of(module: ModuleType, *, call: str) -> dict[str, Remarks]:
    """Variable -> remarks, of every `VARIABLE = call(...)` of the module. A part is a call whose first argument is its
    name; what stands behind its last line is said of it."""
    source = inspect.getsource(module)
    comments = _comments(source)
    found = {}
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as made) if ast.unparse(made.func) == call:
                found[name] = Remarks(_opening(comments, node.lineno), _parts(made, comments))
    return found


def _comments(source: str) -> dict[int, tuple[str, bool]]:
    """Line -> comment, and whether it has the line to itself."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: (token.string.lstrip("# "), not token.line[: token.start[1]].strip())
        for token in tokens
        if token.type == tokenize.COMMENT and "noqa" not in token.string
    }


def _opening(comments: dict[int, tuple[str, bool]], line: int) -> str:
    """The comment on the line, with the lines of comment that follow it."""
    if line not in comments:
        return ""
    said = [comments[line][0]]
    while (line := line + 1) in comments and comments[line][1]:
        said.append(comments[line][0])
    return " ".join(said)


def _parts(whole: ast.Call, comments: dict[int, tuple[str, bool]]) -> dict[str, str]:
    said = {}
    for node in ast.walk(whole):
        if isinstance(node, ast.Call) and node is not whole and node.args and isinstance(node.args[0], ast.Constant):
            comment = comments.get(node.end_lineno or node.lineno)
            if comment is not None and isinstance(node.args[0].value, str):
                said[node.args[0].value] = comment[0]
    return said
