"""An alarm's explanation: the types, words and tickets that carry the change, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.diagnosis.telling_words import own_words, together, word_counts
from models.release import Release
from monitoring.detectors import confidence
from monitoring.detectors.attributes import attribute_drift
from monitoring.detectors.predictions import one_type, predicted_types
from monitoring.detectors.text import language, unseen_words
from monitoring.detectors.words import word_shares
from monitoring.explanations import explain
from monitoring.windows import Window, read_reference
from tickets.monitor_log import DetectorResult


@pytest.fixture
def windows(release: Release) -> tuple[Window, Window]:
    """Halves of the reference; in the second every fourth ticket tells of scooters, is taken for a damage, and is
    Spanish."""
    whole = read_reference(release)
    reference, current = whole.take(np.arange(0, 800, 2)), whole.take(np.arange(1, 800, 2))
    new = np.arange(400) % 4 == 0
    return reference, replace(
        current,
        texts=tuple("scooter battery exploded" if odd else text for odd, text in zip(new, current.texts, strict=True)),
        predicted=tuple("damage" if odd else kind for odd, kind in zip(new, current.predicted, strict=True)),
        languages=tuple("es" if odd else "en" for odd in new),
        out_of_scope=np.where(new, 0.9, current.out_of_scope),
        abstained=new,
        attributes=tuple(
            {**row, "city": "Braga"} if odd else row for odd, row in zip(new, current.attributes, strict=True)
        ),
    )


def drifted(name: str, details: dict[str, object] | None = None) -> DetectorResult:
    return DetectorResult(
        detector=name, statistic=0.5, limit=0.1, p_value=1e-9, status="drifted", details=details or {}
    )


SEES: dict[str, Callable[[Window, Window], DetectorResult]] = {
    "predictions.types": lambda a, b: predicted_types(a.predicted, b.predicted),
    "predictions.one_type": lambda a, b: one_type(a.predicted, b.predicted),
    "text.unseen_words": lambda a, b: unseen_words(a.texts, b.texts),
    "text.words": lambda a, b: word_shares(a.texts, b.texts),
    "text.language": lambda a, b: language(a.languages, b.languages),
    "attributes": lambda a, b: attribute_drift(a.attributes, b.attributes),
    "confidence.out_of_scope": lambda _a, _b: drifted("confidence.out_of_scope"),
    "confidence.abstained": lambda _a, _b: drifted("confidence.abstained"),
}


@pytest.mark.parametrize("name", SEES)
def test_each_detector_is_explained_by_the_tickets_that_moved_it(name: str, windows: tuple[Window, Window]) -> None:
    reference, current = windows
    told = explain(SEES[name](reference, current), reference, current)
    assert told.contact_types[0] == "damage"
    assert {"scooter", "battery", "exploded"} <= set(told.words)
    texts = dict(zip(current.ticket_ids, current.texts, strict=True))
    assert len(told.examples) == 5
    scooters = sum("scooter" in texts[ticket_id] for ticket_id in told.examples)
    assert scooters >= (1 if name.startswith("predictions.") else 5)  # other damages are taken for damages too


def test_feedback_is_explained_by_what_agents_corrected(windows: tuple[Window, Window]) -> None:
    reference, current = windows
    corrected = [current.ticket_ids[row] for row in range(0, 80, 4)]
    told = explain(drifted("feedback.acceptance"), reference, current, overridden=corrected)
    assert set(told.examples) <= set(corrected)
    assert told.contact_types == ["damage"]
    assert "scooter" in told.words


ALPHABET = "abcdefghijklmnopqrst"
FIRST = np.arange(400) < 100  # the tickets that carry the change


# What the reference is, what the current window is, and the detector that sees it; all figures go the other way than
# where a model gets worse.
OTHER_WAY: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[Window, Window], DetectorResult]]] = {
    "the model is surer": (
        {"probability": np.full(400, 0.5)},
        {"probability": np.where(FIRST, 0.99, 0.6)},
        lambda a, b: confidence.probability(a.probability, b.probability),
    ),
    "tickets lie nearer": (
        {"out_of_scope": np.full(400, 0.6)},
        {"out_of_scope": np.where(FIRST, 0.01, 0.5)},
        lambda a, b: confidence.out_of_scope(a.out_of_scope, b.out_of_scope),
    ),
    "the model abstains less": (
        {"abstained": np.full(400, True)},
        {"abstained": ~FIRST},
        lambda a, b: confidence.abstained(a.abstained, b.abstained),
    ),
    "an attribute is there more often": (
        {"attributes": ({"amount": 1.0}, *[{"amount": None}] * 399)},
        {"attributes": tuple({"amount": 1.0 if first else None} for first in FIRST)},
        lambda a, b: attribute_drift(a.attributes, b.attributes),
    ),
    "a number is there less often, and comes as NaN": (
        {"attributes": ({"amount": 1.0},) * 400},
        {"attributes": tuple({"amount": float("nan") if first else 1.0} for first in FIRST)},
        lambda a, b: attribute_drift(a.attributes, b.attributes),
    ),
    "a number grew, and some are infinite": (
        {"attributes": tuple({"amount": float(row % 10)} for row in range(400))},
        {
            "attributes": tuple(
                {"amount": 50.0 if first else float("inf") if row % 50 == 0 else float(row % 10)}
                for row, first in enumerate(FIRST)
            )
        },
        lambda a, b: attribute_drift(a.attributes, b.attributes),
    ),
    "rare values are new ones": (
        {"attributes": tuple({"sku": f"old {row % 80}"} for row in range(400))},
        {"attributes": tuple({"sku": f"new {row}" if first else f"old {row % 80}"} for row, first in enumerate(FIRST))},
        lambda a, b: attribute_drift(a.attributes, b.attributes),
    ),
    "a number comes as text": (
        {"attributes": tuple({"amount": row + 0.5} for row in range(400))},
        {"attributes": tuple({"amount": f"{row}" if first else row + 0.25} for row, first in enumerate(FIRST))},
        lambda a, b: attribute_drift(a.attributes, b.attributes),
    ),
    "a text attribute is named as the presence of a number is": (
        {"attributes": ({"gift present": "yes"},) * 400},
        {"attributes": tuple({"gift present": "no" if first else "yes"} for first in FIRST)},
        lambda a, b: attribute_drift(a.attributes, b.attributes),
    ),
    "fewer words are new": (
        {"texts": tuple(f"{first}{second}x {first}{second}y my parcel" for first in ALPHABET for second in ALPHABET)},
        {"texts": tuple("my parcel" if first else "my parcel zzz" for first in FIRST)},
        lambda a, b: unseen_words(a.texts, b.texts),
    ),
}


@pytest.mark.parametrize("told", OTHER_WAY)
def test_examples_lie_on_the_side_that_the_figure_moved_to(told: str, windows: tuple[Window, Window]) -> None:
    before, now, see = OTHER_WAY[told]
    reference, current = replace(windows[0], **before), replace(windows[0], **now)
    examples = explain(see(reference, current), reference, current).examples
    assert len(examples) == 5
    assert set(examples) <= set(current.ticket_ids[:100])


def test_fewer_new_words_are_not_shown_by_tickets_without_any_word(windows: tuple[Window, Window]) -> None:
    before, now, see = OTHER_WAY["fewer words are new"]
    reference = replace(windows[0], **before)
    current = replace(windows[0], texts=("12345",) * 5 + now["texts"][5:])
    examples = explain(see(reference, current), reference, current).examples
    assert len(examples) == 5
    assert set(examples) <= set(current.ticket_ids[5:100])


@pytest.mark.parametrize(
    ("result", "others", "first"),
    [
        (drifted("confidence.abstained"), (), "Look at the new themes: a contact type may be missing."),
        (drifted("feedback.acceptance"), (), "Label the tickets that the queue asks about, then retrain."),
        (
            drifted("feedback.acceptance"),
            (drifted("text.unseen_words"),),
            "Look at the new themes: a contact type may be missing.",
        ),
        (
            drifted("attributes", {"moved": [{"name": "amount present", "attribute": "amount"}]}),
            (),
            "Check the feed of the attribute amount.",
        ),
        (
            drifted("attributes", {"vanished": ["plan"], "moved": [{"name": "plan", "attribute": "plan"}]}),
            (),
            "Check the feed of the attribute plan.",
        ),
        (
            drifted("volume", {"tickets": 300, "expected": 100.0}),
            (),
            "Look at volume and staffing: more tickets come than usual.",
        ),
    ],
)
def test_what_is_recommended_fits_the_alarm(
    result: DetectorResult, others: tuple[DetectorResult, ...], first: str, windows: tuple[Window, Window]
) -> None:
    assert explain(result, *windows, results=others).recommends[0] == first


def distinctive(here: list[str], there: list[str]) -> tuple[str, ...]:
    own, others = word_counts(here), word_counts(there)
    return own_words(own, others, together([own, others]))


def test_own_words_are_those_one_side_uses_more_and_neither_common_nor_single_ones() -> None:
    here = ["the scooter broke", "my scooter is the one", "the scooter stopped"] * 10 + ["onlyonce"]
    there = ["the parcel broke", "my parcel is the one", "the parcel stopped"] * 100
    assert distinctive(here, there) == ("scooter",)
    assert distinctive(there, here) == ("parcel",)
    assert distinctive([], there) == distinctive(here, []) == ()


def test_masks_that_cleaning_newly_sets_are_no_words_that_raise_or_explain_an_alarm(
    windows: tuple[Window, Window],
) -> None:
    reference, current = windows
    masked = replace(current, texts=tuple(text.replace("scooter", "<NAME> scooter") for text in current.texts))
    texts = reference.texts, masked.texts
    for result in (drifted("confidence.abstained"), word_shares(*texts), unseen_words(*texts)):
        told = explain(result, reference, masked)
        assert "scooter" in told.words
        assert "name" not in told.words
