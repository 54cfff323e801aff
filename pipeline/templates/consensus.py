"""What the wordings of one template have in common: its text, with {{placeholders}} where they differ. Pure.

A sentence belongs to the template when at least half of the replies have it. Within a sentence, what differs from reply
to reply becomes a placeholder, named by what it holds; what was taken for a name or number and never differs is put
back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from pipeline.templates.reply_skeleton import SLOT, Sentence, words_of

KEPT = 0.5  # share of replies that have a sentence, from which it is the template's
STEADY = 0.9  # share of replies in which words stand as they do, from which they are fixed
ALIKE = 0.6  # similarity of two sentences' words from which they are one sentence
_MOST_SENTENCES = 150  # distinct ones of a cluster that are looked at, the most frequent
_MOST_VARIANTS = 40  # of one sentence that are aligned
_PIECE = re.compile(r"\x00|[^\W_]+(?:[-'’][^\W_]+)*|[^\w\s\x00]")
_DAYS = ("day", "tag", "día", "dia", "jour", "giorn", "dag")
_TITLE_WORDS = 8


@dataclass(slots=True)
class Wording:
    """Replies that differ only in what was taken out, told together."""

    sentences: tuple[Sentence, ...]
    count: int = 0
    examples: list[str] = field(default_factory=list)
    contact_types: Counter[str] = field(default_factory=Counter)
    values: list[str] = field(default_factory=list)  # of each slot, what the first reply had there
    same: list[int] = field(default_factory=list)  # and how many replies had just that

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sentence.key for sentence in self.sentences)

    def add(self, found: Sequence[Sentence]) -> None:
        """Count one more reply with this wording."""
        values = [value for sentence in found for _, value in sentence.slots]
        if not self.count:
            self.values, self.same = values, [0] * len(values)
        self.count += 1
        for place, (value, first) in enumerate(zip(values, self.values, strict=True)):
            self.same[place] += value == first


@dataclass(slots=True)
class _Variant:
    """One wording of one sentence, over all replies of the cluster. `constant` is, for each slot, the value that
    nearly all have, or None."""

    sentence: Sentence
    weight: int = 0
    place: float = 0.0
    lines: Counter[int] = field(default_factory=Counter)
    held: list[Counter[str]] = field(default_factory=list)


def consensus(wordings: Sequence[Wording]) -> str:
    """The template's text; "" when the wordings share no sentence."""
    total = sum(wording.count for wording in wordings)
    kept = []
    for variants in _alike(_variants(wordings)):
        weight = sum(variant.weight for variant in variants)
        if weight >= KEPT * total:
            kept.append((sum(variant.place for variant in variants) / weight, variants))
    text = ""
    names: Counter[str] = Counter()
    for _, variants in sorted(kept, key=lambda entry: (entry[0], entry[1][0].sentence.key)):
        lines = variants[0].lines.most_common(1)[0][0]
        between = "\n" * lines or " "
        text += (between if text else "") + _sentence(variants, names)
    return text if words_of(text.lower()) else ""


def title_of(body: str) -> str:
    """A working title: the first words of the longest stretch without a placeholder or the end of a sentence."""
    longest = max(re.split(r"\s*\{\{\w+\}\}[\s,;:]*|(?<=[.!?…])\s+|\n+", body), key=len)
    title = " ".join(longest.split()[:_TITLE_WORDS]).strip(" ,;:.!?")
    return title[:1].upper() + title[1:]


def _variants(wordings: Sequence[Wording]) -> list[_Variant]:
    """Distinct sentences, most frequent first."""
    found: dict[str, _Variant] = {}
    for wording in wordings:
        used = 0
        for number, sentence in enumerate(wording.sentences):
            variant = found.get(sentence.key)
            if variant is None:
                variant = found[sentence.key] = _Variant(sentence, held=[Counter() for _ in sentence.slots])
            variant.weight += wording.count
            variant.place += wording.count * (number + 1) / len(wording.sentences)
            variant.lines[sentence.lines] += wording.count
            for held in variant.held:
                held[wording.values[used]] += wording.same[used]
                held[""] += wording.count - wording.same[used]
                used += 1
    ordered = sorted(found.values(), key=lambda variant: (-variant.weight, variant.sentence.key))
    return ordered[:_MOST_SENTENCES]


def _alike(variants: Sequence[_Variant]) -> list[list[_Variant]]:
    """Groups of sentences that say the same, each led by its most frequent wording."""
    groups: list[list[_Variant]] = []
    leaders: list[list[str]] = []
    for variant in variants:
        words = [word for word in variant.sentence.key.split(" ") if SLOT not in word]
        best, score = -1, ALIKE
        for number, leader in enumerate(leaders):
            common = sum((Counter(words) & Counter(leader)).values())
            if not words or 2 * common < score * (len(words) + len(leader)):
                continue
            alike = SequenceMatcher(None, words, leader, autojunk=False).ratio()
            if alike >= score:
                best, score = number, alike
        if best >= 0:
            groups[best].append(variant)
        else:
            groups.append([variant])
            leaders.append(words)
    return groups


def _sentence(variants: Sequence[_Variant], names: Counter[str]) -> str:
    """The leader's text with placeholders; `names` counts those that the template has already."""
    leader = variants[0]
    text = leader.sentence.text
    pieces = list(_PIECE.finditer(text))
    steady = _steady(variants, [piece.group() for piece in pieces])
    written: list[str] = []
    position = slot = 0
    for number, piece in enumerate(pieces):
        is_slot = piece.group() == SLOT
        if is_slot:
            kind, held = leader.sentence.slots[slot][0], leader.held[slot]
            slot += 1
        if is_slot or not steady[number]:
            following = not is_slot and number > 0 and not steady[number - 1] and pieces[number - 1].group() != SLOT
            if following:  # one placeholder for words that differ side by side
                position = piece.end()
                continue
            written.append(text[position : piece.start()])
            position = piece.end()
            if is_slot and (constant := _constant(held)) is not None:
                written.append(constant)
            else:
                told = _told(kind, text[piece.end() :]) if is_slot else _kind(piece.group())
                written.append("{{" + _numbered(told, names) + "}}")
    return "".join(written) + text[position:]


def _steady(variants: Sequence[_Variant], leader: Sequence[str]) -> list[bool]:
    """For each piece of the leader, whether nearly all replies have it there."""
    weight = [variants[0].weight] * len(leader)
    total = variants[0].weight
    lowered = [piece.lower() for piece in leader]
    for variant in variants[1:_MOST_VARIANTS]:
        pieces = [piece.lower() for piece in _PIECE.findall(variant.sentence.text)]
        for block in SequenceMatcher(None, lowered, pieces, autojunk=False).get_matching_blocks():
            for place in range(block.a, block.a + block.size):
                weight[place] += variant.weight
        total += variant.weight
    return [found >= STEADY * total or not piece[0].isalnum() for found, piece in zip(weight, leader, strict=True)]


def _constant(held: Counter[str]) -> str | None:
    """What nearly all replies have in a slot; None when it differs. A placeholder somebody left in stays one."""
    total = sum(held.values())
    value, count = max(
        ((value, count) for value, count in held.items() if value), key=lambda entry: entry[1], default=("", 0)
    )
    return value if count >= STEADY * total and total >= 5 else None


def _told(kind: str, after: str) -> str:
    """The name of a slot that was taken out. Numbers before days are days."""
    if kind == "number" and any(word.lower().startswith(_DAYS) for word in after.split()[:2]):
        return "days"
    return "text" if kind == "given" else kind


def _kind(words: str) -> str:
    return "name" if words[:1].isupper() else "text"


def _numbered(name: str, names: Counter[str]) -> str:
    names[name] += 1
    return name if names[name] == 1 else f"{name}_{names[name]}"
