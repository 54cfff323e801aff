"""The limits of detectors that A/A replays gave, kept by model and size of window: a night need not repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import sqlalchemy as sa

from tickets.database import detector_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorLimits:
    """`limits` maps detectors, and attributes as `part_of` names them, to the statistic that drift begins at; `p_limit`
    is the level for a night's p-values.

    `knobs` tells what else they depend on: limits made with other knobs are of no use.
    """

    model_version: str = ""
    window_days: int = 0
    window_tickets: int = 0
    knobs: str = ""
    made_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    limits: Mapping[str, float] = field(default_factory=dict)
    p_limit: float
    replays: int
    history_days: int
    history_tickets: int
    seconds: float


def part_of(detector: str, part: str) -> str:
    """The name of the limit of one attribute."""
    return f"{detector}: {part}"


def find_limits(
    engine: sa.Engine, model_version: str, *, window_days: int, window_tickets: int
) -> DetectorLimits | None:
    """None when none were made of this model and window."""
    table = detector_limits.c
    query = sa.select(detector_limits).where(
        table.model_version == model_version,
        table.window_days == window_days,
        table.window_tickets == window_tickets,
    )
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    return DetectorLimits(**row) if row else None


def record_limits(engine: sa.Engine, made: DetectorLimits) -> None:
    """Keep limits in place of any of the same model and window."""
    table = detector_limits.c
    same = (
        table.model_version == made.model_version,
        table.window_days == made.window_days,
        table.window_tickets == made.window_tickets,
    )
    with engine.begin() as connection:
        connection.execute(sa.delete(detector_limits).where(*same))
        connection.execute(sa.insert(detector_limits).values(**asdict(made)))
