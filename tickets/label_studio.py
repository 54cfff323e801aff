"""Label Studio's files: the queue as tasks and a labelling interface, annotations read back from an export.

Tasks, annotations and predictions: https://labelstud.io/guide/task_format. The tree, and paths of names as results:
https://labelstud.io/tags/taxonomy. What is read is the export called JSON: https://labelstud.io/guide/export.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from tickets.contact_types import SEPARATOR, ContactType, ContactTypeTree, split_path
from tickets.errors import SourceError
from tickets.label_queue import LabelRequest
from tickets.records import Suggestion
from tickets.taxonomy_changes import Place

CONTROL, TEXT = "contact_type", "ticket"  # the names of the two tags; a result names both
_LONGEST_SECONDS = 4 * 3600.0
_UNKEPT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One person's answer to one task. `number` counts the annotations of a file from 1; `whole` is its task with this
    annotation alone."""

    number: int
    annotation_id: str
    item_id: str | None
    ticket_id: str | None
    annotator: str
    paths: tuple[Place, ...]
    at: datetime | None  # UTC
    seconds: float | None
    cancelled: bool
    ground_truth: bool  # marked by a reviewer as the right answer
    whole: Mapping[str, Any]

    @property
    def label_id(self) -> str:
        """The same for the same annotation, however often it is imported. Each server counts its annotations from 1,
        over the same tasks, so what was asked is part of it and when it was answered."""
        created = self.at.isoformat() if self.at else ""
        return _hashed(f"label-studio:{self.item_id}:{self.ticket_id}:{self.annotation_id}:{created}")

    @property
    def former_ids(self) -> tuple[str, str]:
        """What `label_id` was before it spoke of the time, which annotations of several servers share; and before it
        spoke of the ticket, which of tasks without an item several tickets share."""
        return (
            _hashed(f"label-studio:{self.item_id}:{self.ticket_id}:{self.annotation_id}"),
            _hashed(f"label-studio:{self.item_id}:{self.annotation_id}"),
        )

    @property
    def keepable(self) -> bool:
        """Whether a database takes its names: half a character is no UTF-8, and PostgreSQL refuses a zero byte."""
        names = (self.item_id or "", self.ticket_id or "", self.annotator, self.annotation_id)
        return not any(_UNKEPT.search(name) for name in names)


def interface(tree: ContactTypeTree) -> str:
    """The labelling interface (XML) of a project: the ticket and the tree of contact types, of which one leaf is
    chosen. Descriptions are hints."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Header", value="$subject")
    ElementTree.SubElement(view, "Text", name=TEXT, value="$text")
    ElementTree.SubElement(view, "Text", name="about", value="$about")
    choices = {"name": CONTROL, "toName": TEXT, "leafsOnly": "true", "maxUsages": "1", "required": "true"}
    taxonomy = ElementTree.SubElement(view, "Taxonomy", {**choices, "showFullPath": "true", "pathSeparator": " › "})
    for top in tree.children(None):
        _choice(tree, taxonomy, top)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def tasks(items: Sequence[LabelRequest]) -> str:
    """The items as JSON to import. What the model says comes along as a prediction, not where labels must be blind."""
    return json.dumps([_task(item) for item in items], indent=1, ensure_ascii=False)


def read_annotations(text: str) -> list[Annotation]:
    """Every annotation of an export, in order, cancelled ones too. Raises SourceError for another format."""
    hint = "In Label Studio choose Export, then the format JSON."
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SourceError(f"the export is no JSON: {error}.", hint=hint) from error
    if not isinstance(found, list) or not all(isinstance(task, dict) for task in found):
        raise SourceError("the export is no list of tasks.", hint=hint)
    if any("annotation_id" in task and "annotations" not in task for task in found):
        raise SourceError("the export is JSON-MIN, which leaves annotations out.", hint=hint)
    if not all(isinstance(task.get("data"), dict) for task in found):
        raise SourceError("a task of the export has no `data`.", hint=hint)
    pairs = [(task, given) for task in found for given in _annotations(task)]
    return [_read(task, given, number) for number, (task, given) in enumerate(pairs, start=1)]


def contact_type_at(tree: ContactTypeTree, path: Place) -> str | None:
    """The leaf that a path of names means today, or that an id or written path names; None where there is none."""
    place = tuple(split_path(path[0])) if len(path) == 1 else path
    leaves = {leaf.id for leaf in tree.leaves()}
    today = tree.today(place)
    nodes = (tree.at(today[0]) if len(today) == 1 else None, tree.at(place))
    for known in (*(node.id for node in nodes if node is not None), SEPARATOR.join(path)):
        current = tree.migrate(known)
        if len(current) == 1 and current[0] in leaves:
            return current[0]
    return None


def _choice(tree: ContactTypeTree, parent: ElementTree.Element, node: ContactType) -> None:
    if not node.active:
        return
    hint = {"hint": node.description} if node.description else {}
    own = ElementTree.SubElement(parent, "Choice", {"value": node.name, **hint})
    for child in tree.children(node.id):
        _choice(tree, own, child)


def _task(item: LabelRequest) -> dict[str, Any]:
    ticket = item.ticket
    facts = {"received": f"{ticket.created_at:%Y-%m-%d %H:%M} UTC", "channel": ticket.channel, **ticket.attributes}
    data = {
        "item_id": item.item_id,
        "ticket_id": ticket.ticket_id,
        "subject": ticket.subject or "(no subject)",
        "text": ticket.body,
        "about": ", ".join(f"{name}: {value}" for name, value in facts.items() if value not in (None, "")),
    }
    shown = item.suggestion if not item.blind and item.share != "suspect" else None
    return {"data": data, "predictions": [_prediction(shown)] if shown is not None and shown.contact_types else []}


def _prediction(suggestion: Suggestion) -> dict[str, Any]:
    first = suggestion.contact_types[0]
    result = {
        "id": suggestion.suggestion_id,
        "from_name": CONTROL,
        "to_name": TEXT,
        "type": "taxonomy",
        "value": {"taxonomy": [split_path(first.path)]},
    }
    return {"model_version": suggestion.model_version, "score": round(first.probability, 4), "result": [result]}


def _hashed(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, name).hex


def _annotations(task: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Exports of old versions call them completions."""
    given = _listed(task.get("annotations", task.get("completions")))
    yield from (one for one in given if isinstance(one, dict))


def _read(task: Mapping[str, Any], given: Mapping[str, Any], number: int) -> Annotation:
    item_id, ticket_id = task["data"].get("item_id"), task["data"].get("ticket_id")
    annotator, seconds = _annotator(given.get("completed_by")), given.get("lead_time")
    timed = isinstance(seconds, int | float) and 0 <= seconds <= _LONGEST_SECONDS
    return Annotation(
        number=number,
        annotation_id=str(given.get("id") or f"{annotator} on {item_id or ticket_id}"),
        item_id=str(item_id) if item_id is not None else None,
        ticket_id=str(ticket_id) if ticket_id is not None else None,
        annotator=annotator,
        paths=tuple(_paths(given.get("result"))),
        at=_time(given.get("created_at")),
        seconds=float(seconds) if timed and seconds is not None else None,
        cancelled=given.get("was_cancelled") is True,
        ground_truth=given.get("ground_truth") is True,
        whole={**{name: value for name, value in task.items() if name != "completions"}, "annotations": [given]},
    )


def _annotator(written: object) -> str:
    """An e-mail address where the export has one, otherwise the number of the account."""
    if isinstance(written, dict):
        written = written.get("email") or written.get("id")
    return str(written) if isinstance(written, str) and written else f"label-studio-{written or 'unknown'}"


def _paths(result: Any) -> Iterator[Place]:
    """What was chosen, by <Taxonomy> or by <Choices>; other tags of a project say nothing here."""
    for region in _listed(result):
        value = region.get("value") if isinstance(region, dict) else None
        if not isinstance(value, dict):
            continue
        for path in _listed(value.get("taxonomy")):
            if isinstance(path, list) and path:
                yield tuple(map(str, path))
        yield from ((str(choice),) for choice in _listed(value.get("choices")))


def _listed(value: object) -> list[Any]:
    """A list as it is; nothing of what is none."""
    return value if isinstance(value, list) else []


def _time(written: object) -> datetime | None:
    """In UTC, which a time without a zone is taken for; None of what is no time, or none in UTC."""
    try:
        at = datetime.fromisoformat(str(written))
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
