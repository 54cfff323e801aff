"""Whether the packages that each room needs are installed, in versions that it works with. Nothing is imported."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from triage.doctor.check import Check

_PROJECT = "ticket-triage"
ROOMS = {"": "", "pipeline": "pyspark", "models": "torch", "service": "fastapi", "monitoring": "evidently"}
"""Extras, and the package without which one was never asked for; "" is what every command needs."""


def title(room: str) -> str:
    return f"packages of {room}/" if room else "packages"


def needed(room: str) -> Check:
    name, extra = title(room), f"[{room}]" if room else ""
    install = f"pip install -c constraints.txt -e '.{extra}'"
    marker = ROOMS[room]
    if marker and installed(marker) is None:
        return Check(name=name, state="warning", found=f"not installed: no {marker}", mend=install)
    try:
        wanted = list(_requirements(room))
    except metadata.PackageNotFoundError:
        return Check(name=name, state="wrong", found=f"{_PROJECT} itself is not installed", mend="./setup.sh")
    problems = [said for one in wanted if (said := problem(one))]
    if problems:
        return Check(name=name, state="wrong", found="; ".join(problems), mend=install)
    shown = f", {marker} {installed(marker)} among them" if marker else ""
    return Check(name=name, found=f"all {len(wanted)} there in versions that fit{shown}")


def _requirements(room: str) -> Iterator[Requirement]:
    for written in metadata.requires(_PROJECT) or ():
        one = Requirement(written)
        belongs = one.marker is None if not room else one.marker is not None and one.marker.evaluate({"extra": room})
        if belongs:
            yield one


def problem(wanted: Requirement) -> str:
    """What is wrong with what is installed; "" when nothing is."""
    found = installed(wanted.name)
    if found is None:
        return f"no {wanted.name}"
    if not wanted.specifier.contains(found, prereleases=True):
        return f"{wanted.name} is {found}, {wanted.specifier} is needed"
    return ""


def installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
