"""Do more or fewer tickets arrive than on the same weekdays before?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
from scipy.stats import t as student

from monitoring.detectors.sample import seen, unknown
from tickets.monitor_log import DetectorResult

NAME = "volume"
LEAST_DAYS = 14  # of history, so that each weekday was seen twice


def volume(history: Mapping[date, int], current: Mapping[date, int], *, least_days: int = LEAST_DAYS) -> DetectorResult:
    """Tickets a day -> the change against what the weekdays foretell, as a share (0.2: a fifth more or less).

    A quasi-Poisson model: a mean for each weekday, and the spread of history around those means as the noise.
    """
    details: dict[str, object] = {"history_days": len(history), "tickets": sum(current.values())}
    past: dict[int, list[int]] = {}
    for day, count in history.items():
        past.setdefault(day.weekday(), []).append(count)
    days: dict[int, list[int]] = {}
    for day, count in current.items():
        days.setdefault(day.weekday(), []).append(count)
    freedom = len(history) - len(past)
    if len(history) < least_days or freedom < 5 or not current or any(weekday not in past for weekday in days):
        return unknown(NAME, f"needs {least_days} earlier days with every weekday among them", details)
    means = {weekday: float(np.mean(counts)) for weekday, counts in past.items()}
    expected = sum(means[weekday] * len(counts) for weekday, counts in days.items())
    if expected == 0:
        return unknown(NAME, "no ticket came on these weekdays before", details)
    pearson = sum(
        (count - means[weekday]) ** 2 / means[weekday]
        for weekday, counts in past.items()
        if means[weekday] > 0
        for count in counts
    )
    dispersion = max(1.0, pearson / freedom)
    variance = dispersion * sum(
        len(counts) * means[weekday] + len(counts) ** 2 * means[weekday] / len(past[weekday])
        for weekday, counts in days.items()
    )
    change = sum(map(sum, days.values())) - expected
    p_value = float(2 * student.sf(abs(change) / np.sqrt(variance), freedom))
    return seen(NAME, abs(change) / expected, p_value, {**details, "expected": expected, "dispersion": dispersion})
