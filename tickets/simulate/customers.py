"""The people who write: who they are, where they live, how they write. Customer 7 of a seed is always the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

_FIRST = (
    "Anna", "Ben", "Carla", "Dan", "Ella", "Felix", "Grace", "Hugo", "Ines", "Jack", "Karen", "Liam", "Maria",
    "Noah", "Olga", "Paul", "Quinn", "Rosa", "Sam", "Tina", "Umar", "Vera", "Will", "Xenia", "Yusuf", "Zoe",
    "Aisha", "Boris", "Chloe", "David", "Emma", "Farid", "Gina", "Henry", "Ivan", "Julia", "Kofi", "Lena", "Marco",
    "Nadia", "Omar", "Priya", "Rui", "Sofia", "Tariq", "Ulla", "Victor", "Wei", "Yara", "Zack",
)  # fmt: skip
_LAST = (
    "Adams", "Baker", "Costa", "Diaz", "Evans", "Fischer", "Garcia", "Hughes", "Ivanov", "Jones", "Khan", "Lopez",
    "Meyer", "Novak", "Okafor", "Patel", "Quist", "Rossi", "Silva", "Taylor", "Usman", "Vogel", "Walker", "Xu",
    "Young", "Ziegler", "Ahmed", "Brown", "Clark", "Dubois", "Eriksen", "Fontaine", "Green", "Haddad", "Ito",
    "Jansen", "Kowalski", "Larsen", "Moreau", "Nguyen",
)  # fmt: skip
_MAIL_HOSTS = ("example.com", "example.org", "example.net", "mail.example.com")


@dataclass(frozen=True, slots=True)
class City:
    """A city, its weight among customers, its currency, and the share of them who write in another language."""

    name: str
    weight: float
    currency: str
    phone: str
    language: str = "en"
    language_share: float = 0.0


# Phone numbers come from the ranges that each country reserves for fiction and tests, where it has one.
CITIES = (
    City("London", 20, "£", "+44 20 7946 0{0:03d}"),
    City("Chicago", 16, "$", "+1 312 555 01{1:02d}"),
    City("Austin", 12, "$", "(512) 555-01{1:02d}", "es", 0.06),
    City("Dublin", 10, "€", "+353 20 91{0:03d}"),
    City("Toronto", 11, "$", "+1 416 555 01{1:02d}", "fr", 0.05),
    City("Manchester", 9, "£", "0161 496 0{0:03d}"),
    City("Lisbon", 5, "€", "+351 21 000 0{0:03d}"),
    City("Madrid", 6, "€", "+34 910 000 {0:03d}", "es", 0.27),
    City("Paris", 6, "€", "+33 1 99 00 {1:02d} {2:02d}", "fr", 0.3),
    City("Berlin", 5, "€", "030 23125 {0:03d}", "de", 0.32),
)
_CITY_WEIGHTS = tuple(city.weight for city in CITIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One customer. Rates are per word; `signed_up` counts days before the simulation's start (below zero: after)."""

    first: str
    last: str
    email: str
    phone: str
    city: City
    language: str
    platform: str
    payment: str
    member: bool
    signed_up: int
    typo_rate: float
    slang_rate: float
    lower_case: bool
    wordiness: float


@lru_cache(maxsize=50_000)
def customer(seed: int, number: int) -> Customer:
    """Customer `number` of a seed."""
    rng = Random(f"{seed}/customer/{number}")
    first, last = rng.choice(_FIRST), rng.choice(_LAST)
    city = rng.choices(CITIES, _CITY_WEIGHTS)[0]
    style = rng.random()
    return Customer(
        first=first,
        last=last,
        email=f"{first}.{last}{number}@{rng.choice(_MAIL_HOSTS)}".lower(),
        phone=city.phone.format(rng.randrange(1000), rng.randrange(100), rng.randrange(100)),
        city=city,
        language=city.language if rng.random() < city.language_share else "en",
        platform=rng.choices(("ios", "android", "web"), (45, 42, 13))[0],
        payment=rng.choices(("card", "wallet", "cash", "bank"), (64, 18, 11, 7))[0],
        member=rng.random() < 0.22,
        signed_up=int(rng.expovariate(1 / 420)) - 60,
        typo_rate=0.0 if style < 0.45 else rng.choice((0.01, 0.02, 0.04, 0.07)),
        slang_rate=0.5 if style > 0.85 else 0.0,
        lower_case=rng.random() < 0.13,
        wordiness=rng.choice((0.3, 0.7, 1.0, 1.2, 1.5)),
    )


def person_name(rng: Random) -> str:
    """The first name of a driver, courier, agent or friend."""
    return _FIRST[int(rng.random() * len(_FIRST))]


def card_number(rng: Random) -> str:
    """A card number on a test prefix whose check digit is right (Luhn), so that masking must find it."""
    digits = [int(digit) for digit in rng.choice(("424242", "555555", "400000")) + f"{rng.randrange(10**9):09d}"]
    total = sum(digit if place % 2 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(digits))
    number = "".join(map(str, digits)) + str(-total % 10)
    return " ".join(number[at : at + 4] for at in range(0, 16, 4)) if rng.random() < 0.6 else number
