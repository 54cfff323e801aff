"""Who changed the champion is in the audit log, whoever did it and however."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from models.release import current_version
from tickets.audit import entries, machine_user
from triage.champion import promote, roll_back

if TYPE_CHECKING:
    from tickets.workspace import Workspace


def test_a_promotion_and_a_rollback_are_noted_once_each(
    served: Workspace, second_version: str, engine: sa.Engine
) -> None:
    first = current_version(served)
    for _ in range(2):  # the second changes nothing
        promote(served, engine, second_version, details={"reasons": ["by hand"]}, tracking_uri="")
    assert roll_back(served, engine, tracking_uri="") == first
    noted = [(entry.actor, entry.action, entry.target, dict(entry.details)) for entry in entries(engine)]
    assert noted == [
        (machine_user(), "promoted", second_version, {"reasons": ["by hand"]}),
        (machine_user(), "rolled back", first, {"from": second_version}),
    ]
