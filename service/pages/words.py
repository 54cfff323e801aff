"""Plain words for what monitoring names shortly: detectors, events of models, shares of labels; and commands in a
sentence."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup, escape

DETECTORS: Mapping[str, str] = {
    "feedback.acceptance": "What agents accept",
    "feedback.override": "What agents correct though the model was sure",
    "feedback.hits_at_3": "The right type among the first three",
    "feedback.edit_distance": "What agents change in templates",
    "accuracy.estimate": "Estimated accuracy",
    "text.unseen_words": "New words",
    "text.words": "Words in use",
    "predictions.types": "Mix of contact types",
    "predictions.one_type": "The contact type that moved most",
    "label_shift": "Mix of contact types, corrected for mistakes",
    "attributes": "Ticket attributes",
    "text.language": "Languages",
    "text.length": "Length of tickets",
    "embeddings.domain": "Wording as a whole",
    "embeddings.mmd": "Spread of topics",
    "volume": "Number of tickets",
    "confidence.probability": "How sure the model is",
    "confidence.abstained": "How often it leaves the choice open",
    "confidence.out_of_scope": "Distance from what it learned",
}
EVENTS: Mapping[str, str] = {
    "trained": "trained",
    "promoted": "put into service",
    "rejected": "not better, left out",
    "rolled back": "back in service",
    "retrain decided": "training decided",
    "challenge begun": "trial on real tickets begun",
    "challenge ended": "trial on real tickets ended",
}
SHARES: Mapping[str, str] = {
    "unsure": "the model was unsure",
    "diverse": "unlike others",
    "random": "drawn at random",
    "theme": "of a new theme that became a contact type",
    "suspect": "an earlier label looks wrong",
    "gold": "a check of labelling itself",
}


def detector(name: str) -> str:
    return DETECTORS.get(name, name.replace(".", ": ").replace("_", " "))


def event(kind: str) -> str:
    return EVENTS.get(kind, kind)


def share(name: str) -> str:
    return SHARES.get(name, name)


def commands(text: str) -> Markup:
    """What stands between `backticks` as code; the rest escaped."""
    parts = [escape(part) for part in text.split("`")]
    if len(parts) % 2 == 0:  # one without its other half is no code
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))
