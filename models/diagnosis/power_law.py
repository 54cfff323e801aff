"""Error against the number of training tickets as a power law: a + b n^-c.

Cortes, Jackel, Solla, Vapnik and Denker 1994, "Learning Curves: Asymptotic Values and Rate of Convergence"; Hestness et
al. 2017, "Deep Learning Scaling is Predictable, Empirically".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEAST_C, _MOST_C = 0.02, 2.0
_FIRST_C = (0.1, 0.3, 0.6, 1.0)  # starts; the best fit of all counts
FEWEST_SIZES = 4  # three numbers are fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """`a` is the error that remains with any number of tickets, `c` how fast the rest goes."""

    a: float
    b: float
    c: float

    def error_at(self, tickets: float) -> float:
        return self.a + self.b * math.pow(tickets, -self.c)

    def tickets_for(self, error: float) -> float:
        """How many tickets bring the error down to `error`; infinite when it stays above."""
        if error <= self.a:
            return math.inf
        if self.b == 0:
            return 0.0
        power = (math.log(self.b) - math.log(error - self.a)) / self.c
        return math.exp(power) if power < 700 else math.inf  # beyond that a float ends


def fit_power_law(
    sizes: NDArray[np.int64],
    errors: NDArray[np.float64],
    *,
    deviations: NDArray[np.float64] | None = None,
    start: PowerLaw | None = None,
) -> PowerLaw:
    """Bounded least squares: 0 <= a <= the least error, b >= 0, c in 0.02..2. `deviations` are the errors' own;
    `start` spares the search where a like curve has been fitted. Raises ValueError below four sizes.

    For a given c the best a and b follow from two linear equations, so only good starts differ.
    """
    from scipy.optimize import least_squares

    if len(sizes) < FEWEST_SIZES:
        raise ValueError(f"{len(sizes)} sizes; {FEWEST_SIZES} or more are needed.")
    scale = float(sizes.max())
    x = np.asarray(sizes, np.float64) / scale  # b is then an error too, and all three are of like size
    weight = 1.0 / (deviations if deviations is not None else np.ones(len(errors)))
    most = max(float(errors.min()), 1e-9)

    def residuals(given: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c = given
        return np.asarray((a + b * x**-c - errors) * weight)

    starts = [start.c] if start is not None else list(_FIRST_C)
    fits = [
        least_squares(
            residuals, _linear_start(x, errors, weight, c, most), bounds=([0, 0, _LEAST_C], [most, np.inf, _MOST_C])
        )
        for c in starts
    ]
    a, b, c = min(fits, key=lambda found: float(found.cost)).x
    return PowerLaw(a=float(a), b=float(b) * scale ** float(c), c=float(c))


def _linear_start(
    x: NDArray[np.float64], errors: NDArray[np.float64], weight: NDArray[np.float64], c: float, most: float
) -> list[float]:
    """The best a and b for a given c, moved inside the bounds."""
    columns = np.stack([np.ones_like(x), x**-c], axis=1) * weight[:, None]
    (a, b), *_ = np.linalg.lstsq(columns, errors * weight, rcond=None)
    inside = 1e-6 * most
    return [
        float(np.clip(a, inside, most - inside)),
        max(float(b), 1e-9),
        float(np.clip(c, _LEAST_C + 1e-6, _MOST_C - 1e-6)),
    ]
