"""Reply templates mined from the replies that agents wrote, for teams that have none. Pure; approval is in
pipeline/templates/proposals.py.

Plain Python on one core, not Spark: with names, amounts and numbers taken out, the replies of a team with habits fall
together into a few thousand wordings, which one pass collects; the rest is work on those alone. The table of wordings
is bounded by dropping what was seen once when it is full (lossy counting, Manku and Motwani 2002), so memory does not
grow with history. Wordings are clustered around the most frequent ones by common word pairs, and each cluster's common
text is the proposal.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from pipeline.templates.consensus import Wording, consensus, title_of
from pipeline.templates.reply_matching import ReplyIndex, index_replies, match_keys
from pipeline.templates.reply_skeleton import Sentence, sentences, words_of
from pipeline.text.language import tell_language
from tickets.catalogue import TemplateProposal
from tickets.progress import Report, silent
from tickets.records import ReplyTemplate

MOST_WORDINGS = 200_000  # kept at once; about 400 MB
FEWEST_WORDS = 5  # of a reply, to be worth a template
ALIKE = 0.4  # Jaccard similarity of word pairs from which two wordings are one template's
_POSTINGS = 64  # clusters that one word pair leads to: the commonest pairs say nothing
_EXAMPLES = 3
_SERVES = 0.02  # share of a template's uses from which a contact type counts as served


@dataclass(frozen=True, slots=True)
class SentReply:
    """A reply as an agent sent it, and what for."""

    ticket_id: str
    text: str
    contact_type: str | None = None


@dataclass(slots=True)
class _Cluster:
    leader: frozenset[tuple[str, str]]
    wordings: list[Wording] = field(default_factory=list)


def propose(
    replies: Iterable[SentReply],
    *,
    languages: Sequence[str],
    known: Sequence[ReplyTemplate] = (),
    at_least: int = 20,
    report: Report = silent,
) -> list[TemplateProposal]:
    """Templates that at least `at_least` of the replies were made from and that none of `known` explains, best
    supported first.

    `share` is of all replies given. Languages stay apart by themselves: they share no wording.
    """
    wordings, seen = collect(replies, known=index_replies(known), report=report)
    templates: list[ReplyTemplate] = []
    found: list[ReplyIndex] = []  # of one template each: an index of all would be made anew with each of them
    for cluster in clusters(wordings):
        if sum(wording.count for wording in cluster) < at_least:
            continue
        body = consensus(cluster)
        keys = [sentence.key for sentence in sentences(body)]
        if sum(map(words_of, keys)) < FEWEST_WORDS or any(match_keys(keys, index) for index in found):
            continue
        template = ReplyTemplate(
            template_id=_name(body), title=title_of(body), body=body, language=tell_language(body, languages)
        )
        templates.append(template)
        found.append(index_replies([template]))
    proposals = [proposal for proposal in _supported(templates, wordings, seen) if proposal.support >= at_least]
    return sorted(proposals, key=lambda proposal: (-proposal.support, proposal.template_id))


def collect(
    replies: Iterable[SentReply], *, known: ReplyIndex, most: int = MOST_WORDINGS, report: Report = silent
) -> tuple[list[Wording], int]:
    """The distinct wordings of the replies that `known` does not explain, most frequent first, and how many replies
    there were."""
    table: dict[tuple[str, ...], Wording] = {}
    seen = dropped = 0
    for reply in replies:
        seen += 1
        found = sentences(reply.text)
        keys = tuple(sentence.key for sentence in found)
        if sum(map(words_of, keys)) < FEWEST_WORDS or (known.template_ids and match_keys(keys, known) is not None):
            continue
        wording = table.get(keys)
        if wording is None:
            if len(table) >= most:
                dropped += _forget_rare(table)
            wording = table[keys] = Wording(sentences=tuple(_bare(sentence) for sentence in found))
        wording.add(found)
        if len(wording.examples) < _EXAMPLES:
            wording.examples.append(reply.ticket_id)
        if reply.contact_type:
            wording.contact_types[reply.contact_type] += 1
    if dropped:
        report(f"templates mine: {dropped:,} wordings seen once were left out, to bound memory")
    return sorted(table.values(), key=lambda wording: (-wording.count, wording.keys)), seen


def clusters(wordings: Iterable[Wording]) -> list[list[Wording]]:
    """Wordings of one template together. Each joins the most similar cluster led by a more frequent one, or leads its
    own."""
    found: list[_Cluster] = []
    postings: dict[tuple[str, str], list[int]] = defaultdict(list)
    for wording in wordings:
        pairs = _word_pairs(wording)
        shared: Counter[int] = Counter()
        for pair in pairs:
            shared.update(postings.get(pair, ()))
        best, score = -1, ALIKE
        for number, _ in shared.most_common(8):
            leader = found[number].leader
            common = len(pairs & leader)
            alike = common / (len(pairs) + len(leader) - common)
            if alike >= score:
                best, score = number, alike
        if best >= 0:
            found[best].wordings.append(wording)
            continue
        for pair in pairs:
            if len(postings[pair]) < _POSTINGS:
                postings[pair].append(len(found))
        found.append(_Cluster(leader=pairs, wordings=[wording]))
    return [cluster.wordings for cluster in found]


def _bare(sentence: Sentence) -> Sentence:
    """Without what stood in the slots: that belongs to one customer."""
    return sentence._replace(slots=tuple((kind, "") for kind, _ in sentence.slots))


def _forget_rare(table: dict[tuple[str, ...], Wording]) -> int:
    """Drop the wordings seen least, the oldest first, half of the table at most; returns how many."""
    fewest = min(wording.count for wording in table.values())
    rare = [keys for keys, wording in table.items() if wording.count == fewest][: max(1, len(table) // 2)]
    for keys in rare:
        del table[keys]
    return len(rare)


def _word_pairs(wording: Wording) -> frozenset[tuple[str, str]]:
    pairs: set[tuple[str, str]] = set()
    for key in wording.keys:
        words = ["", *key.split(" "), ""]
        pairs.update(pairwise(words))
    return frozenset(pairs)


def _name(body: str) -> str:
    """An id that says something and is the same whenever the same text is mined."""
    plain = unicodedata.normalize("NFKD", title_of(body).lower()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain)
    return f"{'-'.join(words[:5])[:40]}-{hashlib.sha256(body.encode()).hexdigest()[:6]}".strip("-")


def _supported(templates: Sequence[ReplyTemplate], wordings: Sequence[Wording], seen: int) -> list[TemplateProposal]:
    """Each template with the replies that `match_reply` will find for it."""
    index = index_replies(templates)
    support: Counter[str] = Counter()
    examples: dict[str, list[str]] = defaultdict(list)
    uses: dict[str, Counter[str]] = defaultdict(Counter)
    for wording in wordings:
        if (name := match_keys(wording.keys, index)) is not None:
            support[name] += wording.count
            uses[name].update(wording.contact_types)
            examples[name] += wording.examples[: _EXAMPLES - len(examples[name])]
    return [
        TemplateProposal(
            template_id=template.template_id,
            title=template.title,
            body=template.body,
            language=template.language,
            contact_types=_served(uses[template.template_id]),
            support=support[template.template_id],
            share=round(support[template.template_id] / max(seen, 1), 5),
            examples=tuple(examples[template.template_id]),
        )
        for template in templates
    ]


def _served(uses: Counter[str]) -> tuple[str, ...]:
    total = sum(uses.values())
    return tuple(sorted(name for name, count in uses.items() if count >= max(2, _SERVES * total)))
