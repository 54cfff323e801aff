"""What the helpdesk knew beside the text, as arrays: vocabularies, means, deviations and missing flags. No torch.

Training fits the specification on its own period, the release keeps it as attributes.json, and serving encodes with it,
so a value means the same in both. A value never seen gets its own index, an absent one another: neither is an error.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tickets.dataset import Dataset
from tickets.errors import ReleaseError
from tickets.workspace import write_text

MISSING, UNSEEN, FIRST_VALUE = 0, 1, 2  # indices of every vocabulary
_MOST_VALUES = 500  # the rarest beyond these share UNSEEN
_FEWEST_TICKETS = 2  # a value seen once says nothing
FURTHEST = 3.0  # standard deviations; neither one typed-in billion nor one shout must drown the rest

Source = Literal["ticket", "attribute", "statistic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRow:
    """One ticket's inputs beside its text; `statistics` come from pipeline.text.features.text_statistics."""

    channel: str
    language: str
    attributes: Mapping[str, Any]
    statistics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """A column of words. Index 0 is missing, 1 a value not in `values`, then `values` in order."""

    name: str
    source: Source
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A column of numbers; `mean` and `deviation` are of sign(x) log(1 + |x|): amounts and ages have long tails."""

    name: str
    source: Source
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeSpec:
    """How to encode attributes: C categories and M numbers, in this order."""

    categories: tuple[Category, ...]
    numbers: tuple[Number, ...]


@dataclass(frozen=True, slots=True)
class EncodedAttributes:
    """Arrays of n tickets, in the order of the specification."""

    categories: NDArray[np.int64]  # (n, C)
    numbers: NDArray[np.float32]  # (n, M) standardised, 0 where missing
    missing: NDArray[np.float32]  # (n, M) 1 where missing


def attribute_rows(features: pa.Table) -> list[AttributeRow]:
    """What rows of FEATURES, or examples, say beside the text: `channel`, `language`, `attributes`, `statistics`."""
    columns = (features[name].to_pylist() for name in ("channel", "language", "attributes", "statistics"))
    return [
        AttributeRow(
            channel=channel, language=language, attributes=json.loads(attributes), statistics=json.loads(numbers)
        )
        for channel, language, attributes, numbers in zip(*columns, strict=True)
    ]


def fit_attributes(rows: Sequence[AttributeRow], dataset: Dataset) -> AttributeSpec:
    """Vocabularies and moments of training rows. Booleans are numbers 0 and 1; columns never seen stay, as missing."""
    categories = [_fit_category(name, "ticket", rows) for name in ("channel", "language")]
    categories += [_fit_category(name, "attribute", rows) for name in dataset.categorical]
    numbers = [_fit_number(name, "attribute", rows) for name in (*dataset.numeric, *dataset.boolean)]
    numbers += [
        _fit_number(name, "statistic", rows) for name in sorted({key for row in rows for key in row.statistics})
    ]
    return AttributeSpec(categories=tuple(categories), numbers=tuple(numbers))


def encode_attributes(spec: AttributeSpec, rows: Sequence[AttributeRow]) -> EncodedAttributes:
    """Encode n tickets. An attribute a ticket lacks, or holds in the wrong kind, counts as missing."""
    categories = np.zeros((len(rows), len(spec.categories)), dtype=np.int64)
    for column, category in enumerate(spec.categories):
        place = _places(category.values)
        words = [_word(_value(row, category.name, category.source)) for row in rows]
        categories[:, column] = [MISSING if word is None else place.get(word, UNSEEN) for word in words]
    values = np.array(
        [[_number(_value(row, number.name, number.source)) for number in spec.numbers] for row in rows], np.float64
    ).reshape(len(rows), len(spec.numbers))
    means = np.array([number.mean for number in spec.numbers])
    deviations = np.array([number.deviation for number in spec.numbers])
    standard = np.clip((values - means) / deviations, -FURTHEST, FURTHEST)
    missing = np.isnan(values)
    standard[missing] = 0.0
    return EncodedAttributes(categories, standard.astype(np.float32), missing.astype(np.float32))


def save_attributes(spec: AttributeSpec, path: Path) -> None:
    write_text(path, attributes_to_text(spec))


def attributes_to_text(spec: AttributeSpec) -> str:
    """The specification as JSON, equal bytes for equal specifications."""
    return json.dumps(dataclasses.asdict(spec), indent=1, ensure_ascii=False)


def load_attributes(path: Path) -> AttributeSpec:
    """Read attributes.json. Raises ReleaseError when it is absent or is no specification."""
    try:
        return attributes_from_text(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReleaseError(
            f"cannot read the attributes of {path}: {error!r}.", hint="Train or copy the model again."
        ) from error


def attributes_from_text(text: str) -> AttributeSpec:
    """Read `attributes_to_text`. Raises ValueError, KeyError or TypeError for anything else."""
    data = json.loads(text)
    return AttributeSpec(
        categories=tuple(Category(**{**entry, "values": tuple(entry["values"])}) for entry in data["categories"]),
        numbers=tuple(Number(**entry) for entry in data["numbers"]),
    )


def _fit_category(name: str, source: Source, rows: Sequence[AttributeRow]) -> Category:
    words = Counter(word for row in rows if (word := _word(_value(row, name, source))) is not None)
    often = [word for word, count in words.most_common(_MOST_VALUES) if count >= _FEWEST_TICKETS]
    return Category(name=name, source=source, values=tuple(sorted(often)))


def _fit_number(name: str, source: Source, rows: Sequence[AttributeRow]) -> Number:
    values = np.array([_number(_value(row, name, source)) for row in rows], dtype=np.float64)
    present = values[~np.isnan(values)]
    if len(present) == 0:
        return Number(name=name, source=source, mean=0.0, deviation=1.0)
    deviation = float(present.std())
    return Number(
        name=name, source=source, mean=float(present.mean()), deviation=deviation if deviation > 1e-6 else 1.0
    )


@lru_cache(maxsize=256)
def _places(values: tuple[str, ...]) -> Mapping[str, int]:
    """Value -> its index; made once for a vocabulary, not for each ticket."""
    return {value: number for number, value in enumerate(values, start=FIRST_VALUE)}


def _value(row: AttributeRow, name: str, source: Source) -> Any:
    match source:
        case "ticket":
            return row.channel if name == "channel" else row.language
        case "attribute":
            return row.attributes.get(name)
        case "statistic":
            return row.statistics.get(name)


def _word(value: Any) -> str | None:
    """A category's value in one spelling: case and spacing make no difference, 3.0 is 3. Empty is missing."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(str(value).split()).casefold() or None


def _number(value: Any) -> float:
    """A number on the compressed scale, or NaN when there is none."""
    if value is None:
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):  # the last for whole numbers beyond what a float holds
        return math.nan
    return math.copysign(math.log1p(abs(number)), number) if math.isfinite(number) else math.nan
