"""The Suggester: the one seam between a trained model and all that uses it. No torch, transformers, pandas, Spark."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from models import release as names
from models.attributes import AttributeRow
from models.confidence.answer_sets import MANY, nodes_above, set_sizes
from models.confidence.scope import LIMIT as SCOPE_LIMIT
from models.predictions import ModelInputs, Predictions, Predictor
from models.release import Release
from models.templates import TemplateMatrix, template_matrix
from models.tree_index import top_leaves
from models.words import word_weights
from pipeline.text.clean import clean_ticket
from pipeline.text.features import model_text, text_statistics
from tickets.catalogue import load_templates, load_tree
from tickets.contact_types import ContactTypeTree
from tickets.records import AnswerSet, RankedContactType, RankedTemplate, ReplyTemplate, Suggestion, Ticket

SIMILAR = 3  # resolved tickets shown beside a suggestion


@dataclass(frozen=True, slots=True)
class Suggester:
    """A loaded release that suggests. Safe to call from several threads: nothing changes after loading."""

    release: Release
    tree: ContactTypeTree
    template_matrix: TemplateMatrix
    predictor: Predictor

    @classmethod
    def load(cls, release: Release, *, threads: int = 1) -> Suggester:
        """`threads` batches run at once. Raises ReleaseError when a file cannot be read as what it should be."""
        from safetensors.numpy import load_file

        predictor = Predictor.load(release, threads=threads)
        templates = load_templates(release.path(names.TEMPLATES))
        tree = load_tree(release.path(names.TREE))
        with names.loading(release.folder):
            matrix = template_matrix(templates, tree, predictor.index, load_file(release.path(names.VECTORS)))
        return cls(release, tree, matrix, predictor)

    @property
    def templates(self) -> tuple[ReplyTemplate, ...]:
        return self.template_matrix.templates

    @property
    def version(self) -> str:
        return self.release.version

    def suggest(
        self, tickets: Sequence[Ticket], *, top_types: int = 3, top_templates: int = 3, now: datetime | None = None
    ) -> list[Suggestion]:
        """One suggestion a ticket, in order. `now` is the time written on them.

        Raises pipeline.text.clean.Refused for a ticket that cleaning refuses, such as one without text.
        """
        cleaned = [clean_ticket(ticket, self.release.languages) for ticket in tickets]
        return self.suggest_cleaned(cleaned, top_types=top_types, top_templates=top_templates, now=now)

    def suggest_cleaned(
        self, tickets: Sequence[Ticket], *, top_types: int = 3, top_templates: int = 3, now: datetime | None = None
    ) -> list[Suggestion]:
        """As `suggest`, for tickets that `clean_ticket` returned: the service cleans them itself, to keep them, and the
        lake has them cleaned."""
        inputs = _inputs(tickets)
        predictions = self.predictor.predict(inputs, explain=True)
        leaves = top_leaves(self.predictor.index, predictions.node_probabilities, max(top_types, MANY))
        sets = self._answer_sets(predictions, leaves)
        order, scores = self.template_matrix.rank(
            predictions.template_queries,
            predictions.node_probabilities[:, self.predictor.index.leaves],
            [ticket.language for ticket in tickets],
        )
        at = now or datetime.now(UTC)
        return [
            Suggestion(
                suggestion_id=uuid.uuid4().hex,
                ticket_id=ticket.ticket_id,
                model_version=self.version,
                created_at=at,
                contact_types=self._contact_types(leaves[row, :top_types], predictions.node_probabilities[row]),
                templates=self._templates(order[row], scores[row], top_templates),
                abstained=bool(predictions.abstained[row]),
                abstain_reason=predictions.abstain_reason(row),
                out_of_scope=round(float(predictions.out_of_scope[row]), 4),
                similar=self.predictor.neighbours.similar(
                    predictions.neighbours[row], predictions.cosines[row], count=SIMILAR
                ),
                answer_set=sets[row],
                words=word_weights(
                    inputs.texts[row],
                    predictions.tokens[row].offsets,
                    predictions.tokens[row].word_ids,
                    predictions.tokens[row].weights,
                ),
            )
            for row, ticket in enumerate(tickets)
        ]

    def detail_cleaned(self, tickets: Sequence[Ticket]) -> Predictions:
        """The arrays behind suggestions, for monitoring, of tickets that `clean_ticket` returned."""
        return self.predictor.predict(_inputs(tickets))

    def _contact_types(
        self, leaves: NDArray[np.int64], probabilities: NDArray[np.float32]
    ) -> tuple[RankedContactType, ...]:
        ids = self.predictor.index.ids
        return tuple(
            RankedContactType(
                contact_type=ids[leaf],
                path=self.tree.path(ids[leaf]),
                probability=round(float(probabilities[leaf]), 4),
                band=self.release.calibration.band(float(probabilities[leaf]), ids[leaf]),
            )
            for leaf in leaves.tolist()
        )

    def _answer_sets(self, predictions: Predictions, leaves: NDArray[np.int64]) -> list[AnswerSet | None]:
        """Of each ticket, from its likeliest leaves (n, MANY or more, or all there are), best first.

        Of a ticket out of scope nothing is promised: the coverage is that of tickets like those of validation.
        """
        found, index = self.release.calibration.sets, self.predictor.index
        if found is None:
            return [None] * len(leaves)
        sizes = set_sizes(predictions.node_probabilities[:, index.leaves], found)
        above = nodes_above(index, predictions.node_probabilities, predictions.predicted, found.enough_under)
        in_scope = predictions.out_of_scope <= SCOPE_LIMIT
        named = in_scope & (sizes <= MANY)
        held = in_scope & (sizes > MANY) & (above >= 0)
        return [
            AnswerSet(
                coverage=found.coverage,
                contact_types=tuple(index.ids[leaf] for leaf in leaves[row, : sizes[row]]) if named[row] else (),
                under=index.ids[above[row]] if held[row] else None,
            )
            for row in range(len(leaves))
        ]

    def _templates(
        self, order: NDArray[np.int64], scores: NDArray[np.float32], count: int
    ) -> tuple[RankedTemplate, ...]:
        chosen = [column for column in order[:count].tolist() if self.templates[column].active]  # inactive stand last
        return tuple(
            RankedTemplate(
                template_id=self.templates[column].template_id,
                title=self.templates[column].title,
                score=round(float(scores[column]), 4),
            )
            for column in chosen
        )


def _inputs(tickets: Sequence[Ticket]) -> ModelInputs:
    texts = [model_text(ticket) for ticket in tickets]
    rows = [
        AttributeRow(
            channel=ticket.channel,
            language=ticket.language or "",
            attributes=ticket.attributes,
            statistics=text_statistics(text),
        )
        for ticket, text in zip(tickets, texts, strict=True)
    ]
    return ModelInputs(texts, rows)
