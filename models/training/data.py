"""All that training reads: examples of three splits as arrays, with the tree, the templates and how to encode."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Tokenizer

from models.attributes import (
    AttributeSpec,
    EncodedAttributes,
    attribute_rows,
    attributes_to_text,
    encode_attributes,
    fit_attributes,
)
from models.batches import NONE, TicketArrays, tokenise
from models.config import TrainConfig
from models.tree_index import TreeIndex, index_tree
from tickets.catalogue import read_dataset, read_templates, read_tree, templates_to_text
from tickets.contact_types import ContactTypeTree, tree_to_text
from tickets.dataset import Dataset
from tickets.errors import TrainingDataError
from tickets.examples import read_examples, read_pairs
from tickets.progress import Report
from tickets.records import ReplyTemplate
from tickets.tables import PAIRS
from tickets.workspace import Workspace

OLDEST_FIRST = [("created_at", "ascending"), ("ticket_id", "ascending")]
LEAST_TICKETS = 10  # fewer cannot tell contact types apart


@dataclass(frozen=True, slots=True)
class Lessons:
    """Tickets to learn from, and the probabilities that trained models give the leaves of each (lessons.py)."""

    tickets: TicketArrays  # the labelled training tickets, then those without a label, whose node is NONE
    leaves: NDArray[np.float32]  # (n, L), rows sum to one


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All that training reads, in memory. `templates` are every template of the catalogue, in its order."""

    tree: ContactTypeTree
    index: TreeIndex
    templates: tuple[ReplyTemplate, ...]
    attributes: AttributeSpec
    tokenizer: Tokenizer
    train: TicketArrays
    validation: TicketArrays
    test: TicketArrays
    lessons: Lessons | None = None

    @property
    def learned(self) -> TicketArrays:
        """The tickets that training goes through: those of `train`, and with lessons also some without a label."""
        return self.train if self.lessons is None else self.lessons.tickets


def load_training_data(
    workspace: Workspace,
    tokenizer: Tokenizer,
    config: TrainConfig,
    *,
    report: Report,
) -> TrainingData:
    """Read the examples, PAIRS and the catalogue. Raises as `training_data` does, and MissingStepError when the
    pipeline has not run."""
    templates = read_templates(workspace)
    return training_data(
        labelled_examples(workspace, ("train", "validation", "test")),
        dataset=read_dataset(workspace),
        tree=read_tree(workspace),
        templates=templates,
        tokenizer=tokenizer,
        config=config,
        negatives=_hard_negatives(workspace, templates),
        report=report,
    )


def training_data(
    examples: Mapping[str, pa.Table],
    *,
    dataset: Dataset,
    tree: ContactTypeTree,
    templates: Sequence[ReplyTemplate],
    tokenizer: Tokenizer,
    config: TrainConfig,
    negatives: Mapping[str, Sequence[int]],
    report: Report,
) -> TrainingData:
    """From examples (tickets.examples) of train, validation and test, each with a contact type, oldest first.

    Attributes are fitted on the training split alone. A ticket of a retired contact type counts for its replacement; of
    one that was split, for what the parts have in common; without either it is left out, and the report says how many
    were. `negatives` maps a ticket id to places of templates it was not answered with. Raises TrainingDataError when
    nothing can be learned from what is there.
    """
    index = index_tree(tree)
    if len(index.leaves) == 0:
        raise TrainingDataError(
            "there are no contact types.", hint="Import tickets with outcomes, or a contact-type file."
        )
    known = {split: _targets(table, tree, index, split, report) for split, table in examples.items()}
    if config.max_train_tickets is not None:
        known["train"] = _most_recent(*known["train"], config.max_train_tickets)
    _refuse_unteachable(known["train"][1], index)
    rows = {split: attribute_rows(table) for split, (table, _) in known.items()}
    spec = fit_attributes(rows["train"], dataset)
    arrays = {
        split: _arrays(
            table,
            node,
            encode_attributes(spec, rows[split]),
            templates=templates,
            negatives=negatives,
            tokenizer=tokenizer,
        )
        for split, (table, node) in known.items()
    }
    for line in _empty_attributes(spec, arrays["train"]):
        report(line)
    report("Tickets: " + ", ".join(f"{split} {len(part):,}" for split, part in arrays.items()) + ".")
    return TrainingData(
        tree=tree,
        index=index,
        templates=tuple(templates),
        attributes=spec,
        tokenizer=tokenizer,
        train=arrays["train"],
        validation=arrays["validation"],
        test=arrays["test"],
    )


def ticket_arrays(data: TrainingData, examples: pa.Table) -> TicketArrays:
    """Examples without a label, as the model that learns from `data` reads them: no node, template or negatives."""
    return _arrays(
        examples,
        np.full(len(examples), NONE, np.int64),
        encode_attributes(data.attributes, attribute_rows(examples)),
        templates=(),
        negatives={},
        tokenizer=data.tokenizer,
    )


def template_text(template: ReplyTemplate) -> str:
    """What the encoder reads of a reply template."""
    return f"{template.title}\n{template.body}"


def labelled_examples(workspace: Workspace, splits: Sequence[str]) -> dict[str, pa.Table]:
    """Split -> its examples that have a contact type, oldest first, read in one pass: a day of the lake holds tickets
    of several splits. Raises MissingStepError before `split`."""
    examples = read_examples(workspace, splits=splits).sort_by(OLDEST_FIRST)
    usable = pc.field("contact_type").is_valid()
    return {split: examples.filter((pc.field("split") == split) & usable) for split in splits}


def _empty_attributes(spec: AttributeSpec, train: TicketArrays) -> Iterator[str]:
    """A line for each attribute of the dataset that training tickets say nothing with."""
    for category in spec.categories:
        if category.source == "attribute" and not category.values:
            yield f"The attribute {category.name} has no repeated value in the training tickets; it counts as missing."
    for place, number in enumerate(spec.numbers):
        if number.source == "attribute" and train.missing[:, place].all():
            yield f"The attribute {number.name} has no value in the training tickets; it counts as missing."


def _targets(
    table: pa.Table, tree: ContactTypeTree, index: TreeIndex, split: str, report: Report
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The rows whose contact type the tree knows, and each one's node."""
    column = table["contact_type"].to_pylist()
    node_of = {contact_type: _node(tree, index, contact_type) for contact_type in set(column)}
    node = np.array([node_of[contact_type] for contact_type in column], dtype=np.int64)
    usable = node != NONE
    if left_out := int((~usable).sum()):
        report(f"{left_out:,} {split} tickets are left out: their contact type is no longer in the tree.")
    return table.filter(pa.array(usable)), node[usable]


def _node(tree: ContactTypeTree, index: TreeIndex, contact_type: str) -> int:
    current = [index.position(node) for node in tree.migrate(contact_type)]
    chains = [index.paths[node] for node in current if index.active[node]]
    if not chains:
        return NONE
    common = np.all([chain == chains[0] for chain in chains], axis=0) & (chains[0] >= 0)
    return int(chains[0][common][-1]) if common.any() else NONE


def _most_recent(table: pa.Table, node: NDArray[np.int64], most: int) -> tuple[pa.Table, NDArray[np.int64]]:
    return table.slice(max(0, len(table) - most)), node[-most:]


def _refuse_unteachable(node: NDArray[np.int64], index: TreeIndex) -> None:
    if len(node) == 0:
        raise TrainingDataError(
            "no ticket of the training split has an outcome.",
            hint="Import resolved tickets, or move the split's dates, then run `triage features`.",
        )
    if len(np.unique(node)) == 1:
        raise TrainingDataError(
            f"all {len(node):,} training tickets have the contact type {index.ids[node[0]]!r}; two or more are needed.",
            hint="Import tickets of other contact types.",
        )
    if len(node) < LEAST_TICKETS:
        raise TrainingDataError(
            f"{len(node)} training tickets have an outcome; {LEAST_TICKETS} or more are needed to learn anything.",
            hint="Import more resolved tickets, or move the split's dates, then run `triage features`.",
        )


def _hard_negatives(workspace: Workspace, templates: Sequence[ReplyTemplate]) -> dict[str, list[int]]:
    """Training ticket id -> templates of its contact type that it was not answered with; of other types where its own
    has no other template. {} without PAIRS."""
    if not templates or not workspace.table_path(PAIRS).is_dir():
        return {}
    place = {template.template_id: number for number, template in enumerate(templates)}
    pairs = read_pairs(workspace, splits=["train"]).filter(~pc.field("relevant"))
    pairs = pairs.sort_by([("ticket_id", "ascending"), ("negative", "descending"), ("template_id", "ascending")])
    negatives: dict[str, list[int]] = {}
    first_kind: dict[str, str] = {}
    columns = (pairs[name].to_pylist() for name in ("ticket_id", "template_id", "negative"))
    for ticket_id, template_id, kind in zip(*columns, strict=True):
        if template_id in place and first_kind.setdefault(ticket_id, kind) == kind:
            negatives.setdefault(ticket_id, []).append(place[template_id])
    return negatives


def _arrays(
    table: pa.Table,
    node: NDArray[np.int64],
    attributes: EncodedAttributes,
    *,
    templates: Sequence[ReplyTemplate],
    negatives: Mapping[str, Sequence[int]],
    tokenizer: Tokenizer,
) -> TicketArrays:
    place = {template.template_id: number for number, template in enumerate(templates)}
    ticket_ids = table["ticket_id"].to_pylist()
    hard = [negatives.get(ticket_id, []) for ticket_id in ticket_ids]
    padded = np.full((len(hard), max(map(len, hard), default=0)), NONE, dtype=np.int64)
    for row, entries in enumerate(hard):
        padded[row, : len(entries)] = entries
    template = [place.get(template_id, NONE) for template_id in table["template_id"].to_pylist()]
    return TicketArrays(
        rows=table,
        tokens=tokenise(tokenizer, table["text"].to_pylist()),
        categories=attributes.categories,
        numbers=attributes.numbers,
        missing=attributes.missing,
        node=node,
        template=np.array(template, dtype=np.int64),
        negatives=padded,
    )


def hash_of(data: TrainingData) -> str:
    """SHA-256 of all that the model learns from or is judged on: tickets, outcomes, tree, templates, negatives,
    lessons."""
    digest = hashlib.sha256(tree_to_text(data.tree).encode())
    digest.update(templates_to_text(data.templates).encode())
    digest.update(attributes_to_text(data.attributes).encode())
    for part in (data.train, data.validation, data.test):
        digest.update("\n".join(part.ticket_ids).encode())
        digest.update(part.rows["created_at"].cast(pa.int64()).to_numpy().tobytes())
        arrays = (part.tokens.values, part.categories, part.numbers, part.missing)
        for array in (*arrays, part.node, part.template, part.negatives):
            digest.update(np.ascontiguousarray(array).tobytes())
    if data.lessons is not None:
        digest.update("\n".join(data.lessons.tickets.ticket_ids).encode())
        digest.update(np.ascontiguousarray(data.lessons.leaves).tobytes())
    return digest.hexdigest()
