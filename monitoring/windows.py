"""Windows: the tickets that are compared. The reference is the champion's own validation period, as its release keeps
it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.release import REFERENCE, Release
from tickets.errors import ReleaseError
from tickets.records import AttributeValue

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_MATCHED_AT_LEAST = 300  # reference tickets; with fewer left, unequal weekdays do less harm than a small reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """n tickets seen by one model. `counted` is how many the period had, before sampling; times are oldest and
    newest.
    """

    counted: int
    start: datetime | None
    end: datetime | None
    ticket_ids: tuple[str, ...]
    created_at: tuple[datetime, ...]
    texts: tuple[str, ...]
    languages: tuple[str, ...]
    channels: tuple[str, ...]
    attributes: tuple[Mapping[str, AttributeValue], ...]
    predicted: tuple[str, ...]
    probability: NDArray[np.float64]  # (n,) of the predicted contact type
    out_of_scope: NDArray[np.float64]  # (n,) 0 to 1
    abstained: NDArray[np.bool_]  # (n,)
    embeddings: NDArray[np.float32]  # (n, width)
    contact_types: tuple[str | None, ...] = ()  # the true ones, where known: () or n

    def __len__(self) -> int:
        return len(self.ticket_ids)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the prediction is the true contact type, for tickets whose true one is known, (k,)."""
        known = zip(self.predicted, self.contact_types, strict=False)
        return np.array([predicted == true for predicted, true in known if true is not None], dtype=np.bool_)

    def take(self, rows: NDArray[np.int64]) -> Window:
        """The window with some of its tickets, in the order given."""
        chosen = rows.tolist()
        columns = ("ticket_ids", "created_at", "texts", "languages", "channels", "attributes", "predicted")
        arrays = ("probability", "out_of_scope", "abstained", "embeddings")
        taken: dict[str, Any] = {
            name: tuple(getattr(self, name)[row] for row in chosen)
            for name in (*columns, *(["contact_types"] if self.contact_types else []))
        }
        return replace(self, **taken, **{name: getattr(self, name)[rows] for name in arrays})

    def to_json(self) -> dict[str, Any]:
        """What the monitor log keeps of a window."""
        return {
            "from": self.start.isoformat() if self.start else None,
            "until": self.end.isoformat() if self.end else None,
            "tickets": self.counted,
            "looked_at": len(self),
        }


def read_reference(release: Release) -> Window:
    """The validation period of a release. Raises ReleaseError when its file is not one that training writes."""
    path = release.path(REFERENCE)
    try:
        table = pq.read_table(path)
        columns = {name: table[name].to_pylist() for name in table.column_names if name != "embedding"}
        times = [_with_zone(time) for time in columns["created_at"]]
        return Window(
            counted=len(times),
            start=min(times, default=None),
            end=max(times, default=None),
            ticket_ids=tuple(columns["ticket_id"]),
            created_at=tuple(times),
            texts=tuple(columns["text"]),
            languages=tuple(language or "" for language in columns["language"]),
            channels=tuple(channel or "" for channel in columns["channel"]),
            attributes=tuple(json.loads(text) for text in columns["attributes"]),
            predicted=tuple(columns["predicted"]),
            probability=np.array(columns["probability"], dtype=np.float64),
            out_of_scope=np.array(columns["out_of_scope"], dtype=np.float64),
            abstained=np.array(columns["abstained"], dtype=np.bool_),
            embeddings=_matrix(table["embedding"]),
            contact_types=tuple(columns["contact_type"]),
        )
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise ReleaseError(
            f"cannot read {path}: {error}.", hint="Train again with this version, or roll back."
        ) from error


def newest_ticket(release: Release, *splits: str) -> datetime:
    """When the newest ticket of these splits of a release was created; LONG_AGO when they have none."""
    times = [datetime.fromisoformat(release.windows[split]["to"]) for split in splits if split in release.windows]
    return max(map(_with_zone, times), default=LONG_AGO)


def match_weekdays(reference: Window, current: Window, *, seed: int) -> tuple[Window, bool]:
    """The reference with the weekday mix of the current window, and whether it could be made.

    A Saturday differs from a Monday every week; that is no drift. Where matching would leave too few tickets, the whole
    reference is used.
    """
    if not len(current) or not len(reference):
        return reference, False
    days = np.array([time.weekday() for time in reference.created_at])
    wanted = np.bincount([time.weekday() for time in current.created_at], minlength=7) / len(current)
    there = np.bincount(days, minlength=7)
    if np.any((wanted > 0) & (there == 0)):
        return reference, False
    total = int(np.min(there[wanted > 0] / wanted[wanted > 0]))
    if total < min(_MATCHED_AT_LEAST, len(reference)):
        return reference, False
    rng = np.random.default_rng(seed)
    rows = [
        rng.permutation(np.flatnonzero(days == day))[: round(total * wanted[day])]
        for day in range(7)
        if wanted[day] > 0
    ]
    return reference.take(np.sort(np.concatenate(rows)).astype(np.int64)), True


def joined(windows: Sequence[Window]) -> Window:
    """Windows one after the other; at least one. Contact types that one of them does not know are None."""
    columns = ("ticket_ids", "created_at", "texts", "languages", "channels", "attributes", "predicted")
    arrays = ("probability", "out_of_scope", "abstained", "embeddings")
    types = tuple(t for one in windows for t in one.contact_types or (None,) * len(one))
    together: dict[str, Any] = {
        name: tuple(value for one in windows for value in getattr(one, name)) for name in columns
    }
    together |= {name: np.concatenate([getattr(one, name) for one in windows]) for name in arrays}
    return replace(
        windows[0],
        counted=sum(one.counted for one in windows),
        start=min((one.start for one in windows if one.start), default=None),
        end=max((one.end for one in windows if one.end), default=None),
        contact_types=types if any(one.contact_types for one in windows) else (),
        **together,
    )


def sample(window: Window, size: int, *, seed: int) -> Window:
    """At most `size` tickets, at random, the same ones for the same seed."""
    if len(window) <= size:
        return window
    return window.take(np.sort(np.random.default_rng(seed).permutation(len(window))[:size]))


def _with_zone(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """A column of n lists of equal length as (n, length). Raises ValueError when they are not."""
    lists = column.combine_chunks()
    lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
    if len(lengths) > 1 or None in lengths:
        raise ValueError(f"the embeddings have {', '.join(map(str, lengths))} numbers; equally many were expected")
    numbers: NDArray[np.float32] = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    return numbers.reshape(len(lists), *(lengths or [0]))
