"""`[contract]` of a dataset.toml: how many rows may be refused, and which numbers can be right.

[contract]
quarantine_at_most = 0.1                # share of the rows refused from which a run stops

[contract.ranges]                       # numeric attributes: lowest and highest that can be right
tenure_days = [0, 20000]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tickets.errors import DatasetError

_KEYS = ("quarantine_at_most", "ranges")
_AT_MOST = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractOptions:
    """`quarantine_at_most` is a share, 0 to 1; `ranges` maps a numeric attribute to its lowest and highest value."""

    quarantine_at_most: float = _AT_MOST
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def contract_options(data: Mapping[str, Any], numeric: Sequence[str]) -> ContractOptions:
    """Read and check `[contract]` of a parsed dataset.toml. Raises DatasetError."""
    options = data.get("contract", {})
    if not isinstance(options, Mapping):
        raise DatasetError(
            f"contract is {options!r}; it must be a table: [contract].",
            hint="Write the line [contract], and its keys under it.",
        )
    if unknown := sorted(set(options) - set(_KEYS)):
        raise DatasetError(f"[contract] has the unknown key {unknown[0]!r}.", hint=f"Known keys: {', '.join(_KEYS)}.")
    share = options.get("quarantine_at_most", _AT_MOST)
    if not _is_number(share) or not 0 <= share <= 1:
        raise DatasetError(
            f"quarantine_at_most is {share!r}; a share from 0 to 1 was expected.",
            hint="For one row in fifty: quarantine_at_most = 0.02.",
        )
    ranges = options.get("ranges", {})
    if not isinstance(ranges, Mapping):
        raise DatasetError(
            f"ranges is {ranges!r}; it must be a table: [contract.ranges].",
            hint="Write the line [contract.ranges], and under it amount = [0, 20000].",
        )
    if unknown := sorted(set(ranges) - set(numeric)):
        raise DatasetError(
            f"[contract.ranges] names {unknown[0]!r}, which is no numeric attribute.",
            hint="Ranges are for the columns that [attributes] lists as numeric.",
        )
    return ContractOptions(
        quarantine_at_most=float(share), ranges={name: _range(name, ranges[name]) for name in sorted(ranges)}
    )


def _range(name: str, written: Any) -> tuple[float, float]:
    match written:
        case [low, high] if _is_number(low) and _is_number(high) and low <= high:
            return float(low), float(high)
    raise DatasetError(
        f"the range of {name!r} is {written!r}.", hint="Write the lowest and the highest value: [0, 20000]."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
