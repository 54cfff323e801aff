"""The error report of a trained model: what goes wrong, for whom, how surely, and which labels are suspect.

Figures come through the served graph. The report is data (JSON); models/diagnosis/error_text.py says it in Markdown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models import release as names
from models.attributes import load_attributes
from models.confidence.reliability import expected_calibration_error
from models.diagnosis import mistakes as wrong
from models.diagnosis.slices import Slice, Slicings, compare_slices, slicings_of
from models.diagnosis.suspects import CALIBRATED, SuspectLabels, suspect_labels
from models.diagnosis.trained_suspects import trained_suspects
from models.intervals import Share, share_of
from models.machine import cores
from models.predictions import Predictor, inputs_of
from models.release import Release
from models.training.data import OLDEST_FIRST
from models.words import word_weights
from tickets.catalogue import load_tree
from tickets.errors import InputError, TrainingDataError
from tickets.examples import read_examples
from tickets.progress import Report
from tickets.tables import SPLITS
from tickets.workspace import Workspace

JUDGED = ("validation", "test")
_TOKENISE_AT_ONCE = 4_096
_HALF = 0.5
_MOST_PAST = 500  # past tickets of a contact type that its words are learned from


@dataclass(frozen=True, slots=True, kw_only=True)
class BandShare:
    """How often suggestions of a band were right; `abstained` is a band of its own."""

    band: str
    right: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReport:
    """Everything found about one split. `left_out` tickets are among those that the model learned from."""

    version: str
    split: str
    tickets: int
    first: str  # created_at of the oldest ticket
    last: str
    left_out: int
    unknown_types: int  # tickets whose contact type the model's tree lacks; they count as errors
    right: Share
    calibration_error: float
    levels: tuple[wrong.LevelErrors, ...]
    types: tuple[wrong.TypeErrors, ...]
    pairs: tuple[wrong.ConfusedPair, ...]
    mistakes: tuple[wrong.Example, ...]
    reliability: tuple[wrong.ConfidenceBin, ...]
    bands: tuple[BandShare, ...]
    slices: tuple[Slice, ...]
    labels: tuple[SuspectLabels, ...]
    paths: Mapping[str, str]  # contact type -> its path, of those among `types`


def report_errors(workspace: Workspace, release: Release, *, split: str = "test", report: Report) -> ErrorReport:
    """Look at the labelled tickets of a split (validation or test) through the served graph.

    Raises InputError for another split, TrainingDataError when it has no labelled ticket that is new to the model,
    MissingStepError before `triage features`, ReleaseError, MachineError.
    """
    if split not in JUDGED:
        raise InputError(f"the split is {split!r}.", hint=f"It may be {' or '.join(JUDGED)}.")
    examples = _labelled(workspace, (split, "train"))
    train = examples.filter(pc.field("split") == "train")
    rows, left_out = _unseen(release, examples, split)
    report(f"Asking model {release.version} about {len(rows):,} {split} tickets.")
    predictor = Predictor.load(release, threads=cores())
    answers = _answers(predictor, rows)
    right, types, spec = answers.correct, wrong.worst_types(answers), load_attributes(release.path(names.ATTRIBUTES))
    slicings = {**slicings_of(rows, spec), **_more_slicings(workspace, release, rows)}
    report("Looking at errors: contact types, pairs, slices, confidence.")
    times = rows["created_at"].to_pylist()
    return ErrorReport(
        version=release.version,
        split=split,
        tickets=len(rows),
        first=min(times).isoformat(),
        last=max(times).isoformat(),
        left_out=left_out,
        unknown_types=int((answers.truth < 0).sum()),
        right=share_of(int(right.sum()), len(right)),
        calibration_error=expected_calibration_error(answers.probability, right),
        levels=tuple(wrong.errors_by_level(answers)),
        types=tuple(types),
        pairs=tuple(wrong.confused_pairs(answers, _past_texts(train))),
        mistakes=tuple(wrong.confident_mistakes(answers, _explainer(predictor, rows))),
        reliability=tuple(wrong.reliability(answers.probability, right)),
        bands=_bands(release, answers),
        slices=tuple(compare_slices(slicings, ~right, answers.truth, answers.probability)),
        labels=(
            _suspects_judged(answers, types, split),
            trained_suspects(workspace, predictor.neighbours, predictor.index, train, report=report),
        ),
        paths=_paths(release, types),
    )


def _paths(release: Release, types: Sequence[wrong.TypeErrors]) -> dict[str, str]:
    tree = load_tree(release.path(names.TREE))
    named = {name for row in types for name in (row.contact_type, row.taken_for) if name is not None}
    return {contact_type: tree.path(contact_type) for contact_type in sorted(named)}


def _labelled(workspace: Workspace, splits: Sequence[str]) -> pa.Table:
    examples = read_examples(workspace, splits=splits).filter(pc.field("contact_type").is_valid())
    return examples.sort_by(OLDEST_FIRST)


def _unseen(release: Release, examples: pa.Table, split: str) -> tuple[pa.Table, int]:
    """The split's rows that this very release did not learn from, nor was calibrated on when they are test tickets: the
    split may have been drawn anew since it was trained. And how many others there were."""
    rows = examples.filter(pc.field("split") == split)
    known = pq.ParquetFile(release.path(names.NEIGHBOURS)).read(["ticket_id"])["ticket_id"].combine_chunks()
    seen = pc.or_(pc.is_in(rows["ticket_id"], value_set=known), _forgotten(release, examples, rows, known))
    if split == "test":
        chosen_on = pq.ParquetFile(release.path(names.REFERENCE)).read(["ticket_id"])["ticket_id"]
        seen = pc.or_(seen, pc.is_in(rows["ticket_id"], value_set=chosen_on.combine_chunks()))
    unseen = rows.filter(pc.invert(seen))
    if not len(unseen):
        raise TrainingDataError(
            f"{split} has no labelled ticket that is new to model {release.version} ({len(rows):,} known ones).",
            hint="Import later tickets, or move the split's dates, then run `triage features`.",
        )
    return unseen, len(rows) - len(unseen)


def _forgotten(release: Release, examples: pa.Table, rows: pa.Table, known: pa.Array) -> pa.ChunkedArray:
    """(n,) which rows the release may have learned from and no longer names: it keeps the newest training tickets, and
    of the time before them only the dates are known."""
    window = release.windows.get("train")
    if window is None or window["tickets"] <= len(known):
        return pa.chunked_array([pa.array([False] * len(rows), pa.bool_())])
    kept = examples.filter(pc.is_in(examples["ticket_id"], value_set=known))["created_at"]
    oldest = pc.min(kept).as_py() or datetime.fromisoformat(window["to"])
    created = rows["created_at"]
    return pc.and_(pc.greater_equal(created, datetime.fromisoformat(window["from"])), pc.less(created, oldest))


def _answers(predictor: Predictor, rows: pa.Table) -> wrong.Answers:
    made = predictor.predict(inputs_of(rows))
    given = rows["contact_type"].to_pylist()
    return wrong.Answers(
        index=predictor.index,
        ticket_ids=rows["ticket_id"].to_pylist(),
        texts=rows["text"].to_pylist(),
        given=given,
        truth=predictor.index.nodes_of(given),
        node_probabilities=made.node_probabilities,
        predicted=made.predicted,
        probability=made.probability,
        abstained=made.abstained,
    )


def _explainer(predictor: Predictor, rows: pa.Table) -> Callable[[Sequence[int]], list[tuple[str, ...]]]:
    def explain(chosen: Sequence[int]) -> list[tuple[str, ...]]:
        part = rows.take(pa.array(chosen, pa.int64()))
        tokens = predictor.predict(inputs_of(part), explain=True).tokens
        return [
            tuple(word.word for word in word_weights(text, own.offsets, own.word_ids, own.weights))
            for text, own in zip(part["text"].to_pylist(), tokens, strict=True)
        ]

    return explain


def _more_slicings(workspace: Workspace, release: Release, rows: pa.Table) -> Slicings:
    """Whether the text was cut, and whether near-duplicates of the ticket are about."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(release.path(names.TOKENIZER)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    texts, cut = rows["text"].to_pylist(), list[str]()
    for start in range(0, len(texts), _TOKENISE_AT_ONCE):
        encoded = tokenizer.encode_batch(texts[start : start + _TOKENISE_AT_ONCE])
        cut += ["cut" if len(one.ids) > release.max_tokens else "read whole" for one in encoded]
    return {"text": cut, "near-duplicates": _duplicates(workspace, rows)}


def _duplicates(workspace: Workspace, rows: pa.Table) -> list[str]:
    placed = workspace.read(SPLITS, ["ticket_id", "split", "cluster"])
    cluster_of = dict(zip(placed["ticket_id"].to_pylist(), placed["cluster"].to_pylist(), strict=True))
    learned = set(placed.filter(pc.field("split") == "train")["cluster"].to_pylist())
    own = [cluster_of.get(ticket_id, ticket_id) for ticket_id in rows["ticket_id"].to_pylist()]
    size = Counter(own)
    return [
        "one was learned from" if cluster in learned else "among these tickets" if size[cluster] > 1 else "none"
        for cluster in own
    ]


def _past_texts(train: pa.Table) -> dict[str, list[str]]:
    """The newest texts of each contact type."""
    past: dict[str, list[str]] = {}
    for contact_type, text in zip(
        reversed(train["contact_type"].to_pylist()), reversed(train["text"].to_pylist()), strict=True
    ):
        known = past.setdefault(contact_type, [])
        if len(known) < _MOST_PAST:
            known.append(text)
    return past


def _bands(release: Release, answers: wrong.Answers) -> tuple[BandShare, ...]:
    said = zip(answers.probability.tolist(), answers.predicted.tolist(), strict=True)
    named = [release.calibration.band(value, answers.index.ids[node]) for value, node in said]
    band = np.array(named, dtype=object)
    band[answers.abstained] = "abstained"
    return tuple(
        BandShare(band=name, right=share_of(int(answers.correct[band == name].sum()), int((band == name).sum())))
        for name in ("high", "medium", "low", "abstained")
    )


def _suspects_judged(answers: wrong.Answers, types: Sequence[wrong.TypeErrors], split: str) -> SuspectLabels:
    """Of the very tickets that were judged. Where the model surely misses most tickets of a contact type, its doubts
    tell of the model, not of the labels."""
    missed = {row.contact_type for row in types if row.recall.high < _HALF}
    leaves = [leaf for leaf in answers.index.leaves if answers.index.ids[leaf] not in missed]
    return suspect_labels(
        answers.given,
        answers.node_probabilities[:, leaves],
        [answers.index.ids[leaf] for leaf in leaves],
        ticket_ids=answers.ticket_ids,
        texts=answers.texts,
        split=split,
        method=CALIBRATED,
    )
