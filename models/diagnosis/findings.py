"""What a check found: data that the command line prints and debug.json keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: whether it passed, what was seen, and what to do. Advice of a check that passed is a remark."""

    check: str
    passed: bool
    detail: str
    advice: str = ""
    figures: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """passed | remark | FAILED"""
        if not self.passed:
            return "FAILED"
        return "remark" if self.advice else "passed"


def listed(what: str, names: Sequence[str]) -> str:
    """` What: a, b and 2 more.` for the end of a detail; "" of none."""
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f" {what}: {', '.join(names[:_MOST_NAMED])}{more}."
