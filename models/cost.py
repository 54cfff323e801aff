"""What it takes to serve and train for a team of a given size, and what that costs on machines of one's own or rented.

Back-of-the-envelope arithmetic over measured rates (bench/results/) and prices that the reader puts in: capacity from
the busiest minutes, hours of work a month, and the month in which a purchase has paid for itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tickets.errors import InputError

HOURS_A_MONTH = 730.0  # a year's hours over twelve
DAYS_A_MONTH = HOURS_A_MONTH / 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How tickets come: the mean of a day, the share of a day in its busiest hour, the busiest day of a week over the
    mean, the busiest minute over its hour's mean. Raises InputError."""

    tickets_a_day: float
    peak_hour_share: float
    busiest_day: float = 1.0
    burst: float = 3.0

    def __post_init__(self) -> None:
        if self.tickets_a_day < 0:
            raise InputError(f"tickets_a_day is {self.tickets_a_day}.", hint="It must be 0 or more.")
        if not 1 / 24 <= self.peak_hour_share <= 1:
            raise InputError(
                f"peak_hour_share is {self.peak_hour_share}.",
                hint="The busiest hour has 1/24 of a day at least, 1 at most.",
            )
        for name in ("busiest_day", "burst"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} is {getattr(self, name)}.",
                    hint="It must be 1 or more: the busiest is no quieter than the mean.",
                )

    @property
    def peak_per_second(self) -> float:
        """Tickets a second in the busiest minute."""
        return self.tickets_a_day * self.busiest_day * self.peak_hour_share / 3600 * self.burst


def replicas(load: Load, *, per_second: float, headroom: float = 0.5, spare: int = 1) -> int:
    """Service processes that keep a share `headroom` of their capacity free in the busiest minute, and `spare` more
    that may fail or be replaced meanwhile.

    `per_second` is what one replica answers at full load, tickets/s. Raises InputError.
    """
    if per_second <= 0 or not 0 <= headroom < 1 or spare < 0:
        raise InputError(
            f"a rate of {per_second} tickets/s, a headroom of {headroom} and {spare} spare replicas were given.",
            hint="The rate must be above 0, headroom from 0 to below 1, spare replicas 0 or more.",
        )
    return max(1, math.ceil(load.peak_per_second / (per_second * (1 - headroom)))) + spare


def hours(units: float, *, per_second: float) -> float:
    """Hours of work on so many tickets (or tickets times epochs) at a rate. Raises InputError."""
    if per_second <= 0:
        raise InputError(f"a rate of {per_second} a second was given.", hint="It must be above 0.")
    return units / per_second / 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Machines that are bought: paid once in a service life, then power and people. Money is in one currency."""

    purchase: float  # of all machines together
    life_months: int  # after which they are bought again
    watts: float  # drawn on average, cooling included
    kwh_price: float
    upkeep_a_month: float  # people, rack, network

    def __post_init__(self) -> None:
        if self.life_months < 1:
            raise InputError(f"life_months is {self.life_months}.", hint="It must be 1 or more.")

    @property
    def running_a_month(self) -> float:
        return self.upkeep_a_month + self.watts / 1000 * HOURS_A_MONTH * self.kwh_price

    @property
    def a_month(self) -> float:
        """All of it, the purchase spread over the service life."""
        return self.purchase / self.life_months + self.running_a_month

    def spent(self, months: int) -> float:
        """Until the end of so many months; machines are bought again when their life is over."""
        return self.purchase * max(1, math.ceil(months / self.life_months)) + months * self.running_a_month


@dataclass(frozen=True, slots=True, kw_only=True)
class Rented:
    """Machines by the hour: those that always run, those that run for a job, and what comes on top."""

    always: float  # machines
    hour_price: float  # of one of them
    job_hours: float = 0.0  # a month
    job_hour_price: float = 0.0
    upkeep_a_month: float = 0.0  # people, storage, traffic

    @property
    def a_month(self) -> float:
        serving = self.always * HOURS_A_MONTH * self.hour_price
        return serving + self.job_hours * self.job_hour_price + self.upkeep_a_month

    def spent(self, months: int) -> float:
        return months * self.a_month


def break_even_month(owned: Owned, rented: Rented) -> int | None:
    """The first month at whose end buying has cost no more than renting; None when that does not come while the
    machines live."""
    saved = rented.a_month - owned.running_a_month
    if saved <= 0:
        return None
    month = max(1, math.ceil(owned.purchase / saved))
    return month if month <= owned.life_months else None
