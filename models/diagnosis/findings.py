"""What a check found: data that the command line prints and debug.json keeps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass


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
