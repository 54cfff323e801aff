"""Which template a reply was made from, told by its text alone. Pure, and cheap: a few dictionary look-ups a reply.

Agents leave sentences out, add some, and change what they like, so sentences are compared, not whole replies.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.templates.reply_skeleton import SLOT, sentences, words_of
from tickets.records import ReplyTemplate

ALIKE = 0.6  # from which share of common words or sentences (Dice) a reply counts as made from a template
ALIKE_WORDS = 0.4  # of words at least: agents leave out a long sentence sooner than most of a template
_HEAD = 2  # words that lead to a pattern
_FREE_WORDS = 6  # at most, in one placeholder of free text
_SLOTS = re.compile(f"({SLOT}(?: {SLOT})*)")  # side by side


@dataclass(frozen=True, slots=True)
class ReplyIndex:
    """Templates made ready for `match_reply`. Make it once, with `index_replies`; it can be sent to executors."""

    template_ids: tuple[str, ...]
    words: tuple[int, ...]  # of each template
    sentences: tuple[int, ...]
    wordings: Mapping[str, tuple[tuple[int, int], ...]]  # sentence key -> (template, words)
    patterns: Mapping[str, tuple[tuple[re.Pattern[str], int, int], ...]]  # its first or last words -> the same


def index_replies(templates: Sequence[ReplyTemplate]) -> ReplyIndex:
    """Make templates ready. Those without words of their own are never matched."""
    wordings: dict[str, dict[int, int]] = defaultdict(dict)
    patterns: dict[str, list[tuple[re.Pattern[str], int, int]]] = defaultdict(list)
    ordered = sorted(templates, key=lambda template: template.template_id)
    totals, counts = [], []
    for number, template in enumerate(ordered):
        total = count = 0
        for sentence in sentences(template.body):
            words = words_of(sentence.key)
            total += words
            if words == 0:
                continue
            count += 1
            wordings[sentence.key][number] = words
            if any(kind == "given" for kind, _ in sentence.slots) and (head := _head(sentence.key)):
                patterns[head].append((_pattern(sentence.key), number, words))
        totals.append(total)
        counts.append(count)
    return ReplyIndex(
        template_ids=tuple(template.template_id for template in ordered),
        words=tuple(totals),
        sentences=tuple(counts),
        wordings={key: tuple(sorted(found.items())) for key, found in wordings.items()},
        patterns={head: tuple(found) for head, found in patterns.items()},
    )


def _pattern(key: str) -> re.Pattern[str]:
    """What a sentence of a template may have become. Slots side by side are one stretch of words: one by one, they
    could share the words out in exponentially many ways."""
    written = []
    for part in _SLOTS.split(key):
        if slots := part.count(SLOT):
            written.append(rf"[^ ]+(?: [^ ]+){{{slots - 1},{slots * _FREE_WORDS - 1}}}")
        else:
            written.append(re.escape(part))
    return re.compile("".join(written))


def match_reply(reply: str, index: ReplyIndex) -> str | None:
    """The id of the template that most of the reply's words come from and that is mostly there; None when none is.

    Of templates that fit equally well, the first by id.
    """
    return match_keys([sentence.key for sentence in sentences(reply)], index)


def match_keys(keys: Sequence[str], index: ReplyIndex) -> str | None:
    """`match_reply` of a reply whose sentences are known by their keys."""
    found: dict[int, list[int]] = {}
    total = count = 0
    for key in dict.fromkeys(keys):
        if own := words_of(key):
            total, count = total + own, count + 1
            for number, words in _uses(key, index).items():
                common = found.setdefault(number, [0, 0])
                common[0] += words
                common[1] += 1
    best, score = None, 0.0
    for number in sorted(found):
        words, same = found[number]
        alike = 2 * words / (total + index.words[number])
        whole = 2 * same / (count + index.sentences[number])
        if alike >= ALIKE_WORDS and max(alike, whole) >= ALIKE and alike + whole > score:
            best, score = number, alike + whole
    return None if best is None else index.template_ids[best]


def _uses(key: str, index: ReplyIndex) -> dict[int, int]:
    """The templates that have this sentence, and its words there."""
    found = dict(index.wordings.get(key, ()))
    for head in _heads(key):
        for pattern, number, words in index.patterns.get(head, ()):
            if number not in found and pattern.fullmatch(key):
                found[number] = words
    return found


def _head(key: str) -> str | None:
    """Where a pattern is filed: the words before its first slot or after its last one; None when there are none."""
    words = key.split(" ")
    free = [place for place, word in enumerate(words) if SLOT in word]
    first, last = words[: free[0]][:_HEAD], words[free[-1] + 1 :][-_HEAD:]
    if len(first) >= min(len(last), _HEAD) and first:
        return f"{' '.join(first)} ..."
    return f"... {' '.join(last)}" if last else None


def _heads(key: str) -> list[str]:
    words = key.split(" ")
    counts = range(1, min(_HEAD, len(words)) + 1)
    return [f"{' '.join(words[:count])} ..." for count in counts] + [f"... {' '.join(words[-n:])}" for n in counts]
