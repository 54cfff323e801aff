"""`triage doctor`: what this machine and workspace lack, and the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tickets.progress import under_way
from triage.doctor import machine, packages
from triage.doctor import workspace as place
from triage.doctor.check import Check, looked
from triage.settings import Settings


def examine(settings: Settings) -> list[Check]:
    """Every check, in the order in which a newcomer meets them. It never raises."""
    looks: Sequence[tuple[str, Callable[[], Check]]] = (
        ("Python", machine.python),
        *((packages.title(room), partial(packages.needed, room)) for room in packages.ROOMS),
        ("Java", machine.java),
        ("memory", machine.memory),
        ("disk", partial(machine.disk, settings.workspace)),
        ("disk for Spark", machine.scratch),
        ("GPU", machine.gpu),
        ("Spark master", partial(machine.spark_master, settings.spark.master)),
        ("settings", partial(place.settings_fit, settings)),
        ("port", partial(machine.port, settings.host, settings.port)),
        ("workspace", partial(place.workspace, settings)),
        ("rights", partial(place.rights, settings)),
        ("database", partial(place.database, settings)),
        ("model", partial(place.model, settings)),
        ("browser for tests", machine.browser),
    )
    checks = []
    for done, (name, look) in enumerate(looks):
        under_way(name, done, len(looks))
        checks.append(looked(name, look))
    return checks


def well(checks: Sequence[Check]) -> bool:
    """Whether nothing is wrong; warnings do not count."""
    return all(check.state != "wrong" for check in checks)
