"""The error report as people read it (Markdown) and as machines do (JSON), and where both are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from models.diagnosis.error_report import ErrorReport
from models.diagnosis.mistakes import MOST_TYPES, ConfusedPair, Example
from models.diagnosis.slices import FALSE_ALARMS, LEAST, Slice
from models.diagnosis.suspects import FEWEST, SuspectLabels, write_suspects
from models.diagnosis.telling_words import LEAST_SHARE, LEAST_TEXTS, SURE, TellingWord
from models.markdown import plain, table
from tickets.contact_types import ContactTypeTree
from tickets.workspace import Workspace, write_text

_MOST_SLICES, _MOST_SUSPECTS, _MOST_NOISY = 25, 25, 10


def report_paths(workspace: Workspace, version: str, split: str) -> tuple[Path, Path, Path]:
    """Where the report of a model is kept: Markdown, JSON, and the suspect labels as Parquet."""
    folder, name = workspace.experiments, version if split == "test" else f"{version}-{split}"
    return folder / f"errors-{name}.md", folder / f"errors-{name}.json", folder / f"suspects-{name}.parquet"


def write_report(workspace: Workspace, found: ErrorReport, tree: ContactTypeTree) -> tuple[Path, Path, Path]:
    """Write the three files of `report_paths`, and return them. Contact types are written as paths of `tree`."""
    text, data, suspects = report_paths(workspace, found.version, found.split)
    write_text(text, to_markdown(found, tree))
    write_text(data, to_json(found))
    write_suspects(suspects, found.labels, version=found.version)
    return text, data, suspects


def to_json(found: ErrorReport) -> str:
    """The whole report; contact types are ids. Equal reports are equal bytes."""
    return json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False)


def to_markdown(found: ErrorReport, tree: ContactTypeTree) -> str:
    """The report in sections, most useful first. Ticket texts are masked already, and shortened."""
    name = _Names(tree)
    sections = [
        _headline(found),
        *_levels(found),
        *_types(found, name),
        *_pairs(found, name),
        *_mistakes(found, name),
        *_slices(found.slices),
        *_confidence(found),
        *(line for labels in found.labels for line in _suspects(labels, name)),
    ]
    return "\n\n".join(sections) + "\n"


class _Names:
    """Contact-type ids as paths, safe inside a Markdown table."""

    def __init__(self, tree: ContactTypeTree) -> None:
        self._tree = tree

    def __call__(self, contact_type: str | None) -> str:
        if contact_type is None:
            return ""
        return plain(self._tree.path(contact_type) if contact_type in self._tree else contact_type)


def _headline(found: ErrorReport) -> str:
    lines = [
        f"# Errors of model {found.version}",
        f"{found.tickets:,} {found.split} tickets, {found.first[:10]} to {found.last[:10]}, through the served int8 "
        f"graph. The first suggestion is right for {found.right}. Intervals are 95 %.",
    ]
    if found.left_out:
        lines.append(f"{found.left_out:,} more are left out: the model learned from them or was calibrated on them.")
    if found.unknown_types:
        lines.append(f"{found.unknown_types:,} have a contact type that the model does not know; they count as errors.")
    return "\n\n".join(lines)


def _levels(found: ErrorReport) -> Iterable[str]:
    rows = [
        [str(level.level), str(level.errors), f"{level.share_of_errors:.0%}", str(level.right)]
        for level in found.levels
    ]
    yield "## Where the path goes wrong"
    yield "An error belongs to the first level that is wrong: right product and wrong issue is level 2."
    yield _table(("level", "errors", "of all errors", "right, the levels above being right"), rows)


def _types(found: ErrorReport, name: _Names) -> Iterable[str]:
    rows = [
        [
            name(row.contact_type) + (" **" if row.surely_worse else ""),
            str(row.tickets),
            str(row.missed),
            f"{row.share_of_errors:.0%}",
            str(row.taken),
            str(row.recall),
            str(row.precision),
            name(row.taken_for),
        ]
        for row in found.types[:MOST_TYPES]
        if row.missed or row.taken
    ]
    yield "## Contact types that cost most"
    yield (
        "By missed tickets. ** marks those that are missed more often than the rest (Fisher's exact test, one-sided; "
        "Benjamini and Hochberg over all contact types). Taken: tickets of others that were given this type."
    )
    yield _table(
        ("contact type", "tickets", "missed", "of all errors", "taken", "recall", "precision", "most often taken for"),
        rows,
    )


def _pairs(found: ErrorReport, name: _Names) -> Iterable[str]:
    yield "## Most confused pairs"
    yield (
        "Both ways together. The words tell tickets of one from tickets of the other (log-odds, at least "
        f"{SURE} standard errors from zero, in {LEAST_SHARE:.0%} of its tickets or more and in {LEAST_TEXTS} at "
        "least), with the shares of its own tickets and of the other's that they stand in. A pair without such words "
        "has too few tickets, is one contact type under two names, or needs a rule that agents can follow."
    )
    for number, pair in enumerate(found.pairs, start=1):
        yield _pair(number, pair, name)


def _pair(number: int, pair: ConfusedPair, name: _Names) -> str:
    first, second = name(pair.first), name(pair.second)
    lines = [
        f"{number}. **{first}** and **{second}**: {pair.first_as_second + pair.second_as_first} "
        f"({pair.first_as_second} of the first taken for the second, {pair.second_as_first} the other way), "
        f"{pair.share} of the tickets of both.",
        f"   - first: {_words(pair.first_words)}",
        f"   - second: {_words(pair.second_words)}",
        *(
            f"   - {plain(one.ticket_id)} is {name(one.truth)}, said {one.probability:.2f} for {name(one.predicted)}: "
            f"{plain(one.text)}"
            for one in pair.examples
        ),
    ]
    return "\n".join(lines)


def _mistakes(found: ErrorReport, name: _Names) -> Iterable[str]:
    yield "## Most confident mistakes"
    yield "Either the model is wrong for a reason worth knowing, or the label is (see suspect labels)."
    yield "\n".join(_mistake(one, name) for one in found.mistakes) or "None."


def _mistake(one: Example, name: _Names) -> str:
    weighed = f" Words: {', '.join(map(plain, one.words))}." if one.words else ""
    return (
        f"- {one.probability:.2f} for {name(one.predicted)}; it is {name(one.truth)} ({one.truth_probability:.2f}). "
        f"{plain(one.ticket_id)}: {plain(one.text)}{weighed}"
    )


def _slices(slices: Sequence[Slice]) -> Iterable[str]:
    yield "## Slices"
    if not slices:
        yield f"No value of a language, channel or attribute has {LEAST} tickets with as many outside of it."
        return
    worse = [one for one in slices if one.worse]
    yield (
        f"{len(worse)} of {len(slices)} slices are worse than the rest of the tickets (Fisher's exact test, one-sided; "
        f"Benjamini and Hochberg over all, {FALSE_ALARMS:.0%} false alarms). Expected: the error that the slice's mix "
        "of contact types has elsewhere. A mean probability far above 1 - error is overconfidence."
    )
    rows = [
        [
            plain(one.title) + (" **worse**" if one.worse else ""),
            str(one.tickets),
            str(one.error),
            str(one.rest),
            f"{one.expected:.1%}",
            f"{one.confidence:.1%}",
            f"{one.p_value:.2g}",
        ]
        for one in slices[:_MOST_SLICES]
    ]
    yield _table(("slice", "tickets", "error", "error of the rest", "expected", "mean probability", "p"), rows)
    if len(slices) > _MOST_SLICES:
        yield f"{len(slices) - _MOST_SLICES} more, none surely worse than these, are in the JSON file."


def _confidence(found: ErrorReport) -> Iterable[str]:
    yield "## Confidence"
    yield f"Expected calibration error {found.calibration_error:.3f}."
    rows = [
        [f"{one.low:.1f} to {one.high:.1f}", str(one.right.tickets), f"{one.confidence:.1%}", str(one.right), one.off]
        for one in found.reliability
    ]
    yield _table(("probability", "tickets", "mean probability", "right", ""), rows)
    bands = [[one.band, str(one.right.tickets), str(one.right)] for one in found.bands]
    yield _table(("band", "tickets", "right"), bands)


def _suspects(labels: SuspectLabels, name: _Names) -> Iterable[str]:
    yield f"## Suspect labels, {labels.split}"
    if not labels.tickets:
        yield f"No two contact types have {FEWEST} tickets each, so no label can be judged."
        return
    yield (
        f"Nothing is relabelled: look first. {len(labels.suspects):,} of {labels.tickets:,} labels are suspect. About "
        f"{labels.expected_share:.1%} are expected to be wrong; the judge agrees with {labels.agreement:.0%} of the "
        "labels, and the weaker it is, the more right ones it doubts. Judged by "
        f"{labels.method}; {labels.left_out:,} tickets are left out: their contact type has fewer than {FEWEST} "
        "tickets or is one that the model mostly misses."
    )
    rows = [
        [f"{one.score:.2f}", f"{plain(one.ticket_id)}", name(one.contact_type), name(one.likelier), plain(one.text)]
        for one in labels.suspects[:_MOST_SUSPECTS]
    ]
    yield _table(("score", "ticket", "label", "likelier", "text"), rows)
    noisy = [
        [name(one.contact_type), str(one.tickets), str(one.expected_wrong), f"{one.share:.0%}"]
        for one in labels.types[:_MOST_NOISY]
        if one.expected_wrong
    ]
    if noisy:
        yield _table(("label", "tickets", "expected wrong", "share"), noisy)


def _words(words: Sequence[TellingWord]) -> str:
    return ", ".join(f"{plain(one.word)} ({one.here:.0%}, {one.there:.0%})" for one in words) or "no word of its own"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return table(headings, rows) if rows else "None."
