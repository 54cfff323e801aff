"""A page of the documentation as the tests read it: its blocks of code, what steers them, its links and its anchors.

A block says its language. An HTML comment on the line before it steers it: `<!-- run -->` executes it,
`<!-- output -->` shows what the block before printed, `<!-- file: NAME -->` writes it to NAME before later blocks run,
`<!-- run by: TEST -->` names the test of its own that executes it, `<!-- not run: REASON -->` says why nobody does. A
block of commands or of Python must say one of these. `<!-- starts from: history -->` at the top of a page names what
the page begins with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INDENTED = "indented"  # the language of a block that is set off by four spaces alone
STATES = ("nothing", "history", "trained")

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[\w+-]*)")
_COMMENT = re.compile(r"^\s*<!-- *(.*?) *-->\s*$")
_STARTS_FROM = re.compile(r"^<!-- starts from: *(.*?) *-->\s*$", re.MULTILINE)
_ITEM = re.compile(r"^\s*([-*+]|\d+[.)]) ")
_LINK = re.compile(
    r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^\s()<>]*(?:\([^\s()]*\)[^\s()<>]*)*)>?(?:\s+[\"'][^\"']*[\"'])?\s*\)"
)
_DEFINED = re.compile(r"^ {0,3}\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_HTML_LINK = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src)=[\"']([^\"']+)")
_HTML_ANCHOR = re.compile(r"<[^>]+\b(?:id|name)=[\"']([^\"']+)")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code: where it stands, what it is written in, what steers it."""

    page: str
    line: int  # of its first line of code, from 1
    language: str
    text: str
    steer: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `name` is its path below the repository's root."""

    name: str
    text: str

    @property
    def starts_from(self) -> str:
        """What the folder holds in which its blocks run; an unknown name is for a test to find."""
        found = _STARTS_FROM.search("\n".join(self.text.splitlines()[:10]))
        return found[1] if found else "nothing"

    @property
    def runs(self) -> bool:
        return any(block.steer == "run" for block in self.blocks())

    def blocks(self) -> list[Block]:
        """In the order of the page."""
        return list(_blocks(self.name, self.text.splitlines()))

    def prose(self) -> str:
        """The page without its blocks: what stands in them is neither link nor heading. Lines keep their numbers."""
        lines = self.text.splitlines()
        for block in self.blocks():
            first, count = block.line - 1, block.text.count("\n") + 1
            fences = 0 if block.language == INDENTED else 1
            for number in range(first - fences, min(first + count + fences, len(lines))):
                lines[number] = ""
        return "\n".join(lines)

    def links(self) -> list[str]:
        """Targets of links and images, as they are written. Code spans hold none."""
        text = re.sub(r"(`+)(?:(?!`).)+?\1", "``", self.prose())
        return [*_LINK.findall(text), *_DEFINED.findall(text), *_HTML_LINK.findall(text)]

    def anchors(self) -> set[str]:
        """What `#...` may name: headings as GitHub and our site turn them into anchors, and ids in HTML."""
        told: Counter[str] = Counter()
        found = set(_HTML_ANCHOR.findall(self.prose()))
        for heading in re.findall(r"^#{1,6} +(.+?)(?: +#+)?$", self.prose(), re.MULTILINE):
            slug = anchor_of(heading)
            found.add(f"{slug}-{told[slug]}" if told[slug] else slug)
            told[slug] += 1
        return found


def documented() -> list[Page]:
    """README.md and every page below docs/."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [Page(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def anchor_of(heading: str) -> str:
    """As GitHub makes it: small letters, spaces to hyphens, no other punctuation."""
    words = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        if fence := _FENCE.match(lines[number]):
            end = _end_of_fence(lines, number, fence["fence"])
            text = "\n".join(_without(line, len(fence["indent"])) for line in lines[number + 1 : end])
            comment = _COMMENT.match(lines[number - 1]) if number else None
            steer = comment[1] if comment and not comment[1].startswith("starts from:") else ""
            yield Block(page, number + 2, fence["language"].lower(), text, steer)
            number = end + 1
        elif _begins_indented(lines, number):
            end = _end_of_indented(lines, number)
            yield Block(page, number + 1, INDENTED, "\n".join(line[4:] for line in lines[number:end]))
            number = end
        else:
            number += 1


def _end_of_fence(lines: list[str], start: int, fence: str) -> int:
    """The line that closes it; the end of the page when nothing does."""
    for number in range(start + 1, len(lines)):
        closing = lines[number].strip()
        if len(closing) >= len(fence) and set(closing) == {fence[0]}:
            return number
    return len(lines)


def _begins_indented(lines: list[str], number: int) -> bool:
    """Four spaces after an empty line are code, unless they go on with an item of a list."""
    if not re.match(r"^ {4,}\S", lines[number]) or (number and lines[number - 1].strip()):
        return False
    before = next((line for line in reversed(lines[:number]) if line.strip() and not line.startswith("  ")), "")
    return not _ITEM.match(before)


def _end_of_indented(lines: list[str], start: int) -> int:
    last = start
    for number in range(start, len(lines)):
        if lines[number].startswith("    "):
            last = number
        elif lines[number].strip():
            break
    return last + 1


def _without(line: str, indent: int) -> str:
    return line[indent:] if line[:indent].isspace() else line
