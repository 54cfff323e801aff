"""New themes: what no contact type stands for is found and named; quiet days and types that grow make none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitoring.policy import ThemeLimits
from monitoring.theme_words import UNNAMED, snippet, theme_name, theme_words
from monitoring.themes import FoundTheme, find_themes
from monitoring.windows import Window

WIDTH = 32
KINDS = {
    "refund": "please refund the money for my ride today",
    "invoice": "send the invoice of last month for my company",
    "login": "the password and the login code do not work",
    "damage": "my parcel arrived damaged and the box is open",
    # What follows has no contact type.
    "scooter": "the scooter battery exploded while charging overnight",
    "roller": "der roller lädt nicht und der akku bleibt leer",
    "电池": "滑板车电池充电时爆炸了请尽快联系我",
}
KNOWN = tuple(KINDS)[:4]
CENTERS = dict(zip(KINDS, np.random.default_rng(7).normal(size=(len(KINDS), WIDTH)), strict=True))


def window(counts: dict[str, int], *, seed: int, reference: bool = False) -> Window:
    """Tickets of some kinds over a week: a model's view of them, doubtful of a fifth of what it knows and of all that
    it does not. Their ids begin with their kind."""
    rng = np.random.default_rng(seed)
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    count = len(kinds)
    start = datetime(2026, 3, 2, 9, tzinfo=UTC)
    times = tuple(start + timedelta(minutes=10_000 * place / max(count, 1)) for place in range(count))
    known = np.array([kind in KNOWN for kind in kinds], dtype=np.bool_)
    probability = np.where(known, rng.beta(8, 2, size=count), rng.beta(4, 6, size=count))
    vectors = np.array([CENTERS[kind] for kind in kinds]).reshape(count, WIDTH) + 0.7 * rng.normal(size=(count, WIDTH))
    return Window(
        counted=count,
        start=times[0] if times else None,
        end=times[-1] if times else None,
        ticket_ids=tuple(f"{kind}-{seed}-{place}" for place, kind in enumerate(kinds)),
        created_at=times,
        texts=tuple(KINDS[kind] for kind in kinds),
        languages=("en",) * count,
        channels=("email",) * count,
        attributes=({},) * count,
        predicted=tuple(kind if kind in KNOWN else str(rng.choice(KNOWN)) for kind in kinds),
        probability=probability.astype(np.float64),
        out_of_scope=np.where(known, 0.1, 0.6) + 0.05 * rng.normal(size=count),
        abstained=probability < 0.3,
        embeddings=vectors.astype(np.float32),
        contact_types=tuple(kinds) if reference else (),
    )


QUIET = dict.fromkeys(KNOWN, 150)
REFERENCE = window(QUIET, seed=0, reference=True)


def kinds_of(theme: FoundTheme, current: Window) -> list[str]:
    return [current.ticket_ids[row].split("-")[0] for row in theme.rows.tolist()]


@pytest.mark.parametrize("count", [25, 80])
def test_what_has_no_contact_type_is_found_whole_and_pure(count: int) -> None:
    current = window({**QUIET, "scooter": count}, seed=1)
    (theme,) = find_themes(REFERENCE, current, overridden={})
    found = kinds_of(theme, current)
    assert found.count("scooter") >= 0.95 * len(found)
    assert found.count("scooter") >= 0.8 * count
    assert {"scooter", "battery", "exploded"} <= set(theme.words)
    assert theme.examples[0]["text"] == KINDS["scooter"]
    assert len(theme.examples) == 1  # the same text once
    assert sum(theme.nearest.values()) <= 1.001
    assert set(theme.nearest) <= set(KNOWN)


def test_two_themes_of_other_languages_are_two_and_named_in_their_words() -> None:
    current = window({**QUIET, "roller": 40, "电池": 30}, seed=2)
    german, chinese = find_themes(REFERENCE, current, overridden={})
    assert set(kinds_of(german, current)) == {"roller"}
    assert set(kinds_of(chinese, current)) == {"电池"}
    assert {"roller", "akku"} <= set(german.words)
    assert set(chinese.words) & {"电池", "滑板", "板车", "充电"}


def test_the_same_windows_give_the_same_themes() -> None:
    current = window({**QUIET, "scooter": 40}, seed=3)
    first, second = (find_themes(REFERENCE, current, overridden={}) for _ in range(2))
    assert [theme.rows.tolist() for theme in first] == [theme.rows.tolist() for theme in second]
    assert [theme.name for theme in first] == [theme.name for theme in second]


def test_quiet_days_have_no_theme() -> None:
    found = [find_themes(REFERENCE, window(QUIET, seed=seed), overridden={}) for seed in range(10, 40)]
    assert [themes for themes in found if themes] == []


def test_a_contact_type_that_grows_is_no_new_theme() -> None:
    current = window({**QUIET, "damage": 500}, seed=4)
    assert find_themes(REFERENCE, current, overridden={}) == []


def test_what_was_as_frequent_before_is_no_new_theme() -> None:
    before = window({**QUIET, "scooter": 40}, seed=5, reference=True)
    assert find_themes(before, window({**QUIET, "scooter": 40}, seed=6), overridden={}) == []


def test_one_customer_makes_no_theme() -> None:
    current = window({**QUIET, "scooter": 40}, seed=7)
    wrote = [("c-1" if name.startswith("scooter") else name) for name in current.ticket_ids]
    assert find_themes(REFERENCE, current, overridden={}, customers=wrote) == []


def test_tickets_that_people_corrected_count_though_the_model_was_sure() -> None:
    quiet = window(QUIET, seed=8)
    current = window({**QUIET, "scooter": 40}, seed=8)
    new = np.array([name.startswith("scooter") for name in current.ticket_ids])
    current.probability[new], current.out_of_scope[new] = 0.99, 0.01
    assert len(quiet) < len(current)
    assert find_themes(REFERENCE, current, overridden={}) == []
    corrected = {name: "login" for name in current.ticket_ids if name.startswith("scooter")}
    (theme,) = find_themes(REFERENCE, current, overridden=corrected)
    assert theme.nearest == {"login": 1.0}


@pytest.mark.parametrize("counts", [{}, {"refund": 10}, {"scooter": 10}, {"refund": 400}, {"scooter": 7}])
def test_too_little_or_one_kind_is_a_clear_answer(counts: dict[str, int]) -> None:
    current = window(counts, seed=9)
    for reference in (REFERENCE, window({}, seed=0, reference=True), window({"refund": 5}, seed=0, reference=True)):
        found = find_themes(reference, current, overridden={})
        assert [kind for theme in found for kind in kinds_of(theme, current) if kind != "scooter"] == []


def test_of_a_large_window_a_sample_is_clustered_and_the_whole_is_counted() -> None:
    current = window({**QUIET, "scooter": 150}, seed=11)
    (theme,) = find_themes(REFERENCE, current, overridden={}, limits=ThemeLimits(most=300))
    assert kinds_of(theme, current) == ["scooter"] * 150


def test_rare_words_and_masked_data_name_nothing() -> None:
    many = ["my order is late <NAME>"] * 50
    new = ["zeppelin landed on <EMAIL>"] * 9 + ["zeppelin of Mariana"]
    (words,) = theme_words([*many, *new], many, [np.arange(50, 60)])
    assert "zeppelin" in words
    assert not {"mariana", "email", "name"} & set(words)
    assert theme_name(words).startswith("Zeppelin")
    assert theme_name(()) == UNNAMED
    assert theme_words(many, many, []) == []


def test_a_snippet_is_one_short_line_from_where_it_matters() -> None:
    text = "Dear team,\nI hope you are well. The scooter is locked!  But it goes on. Bye."
    assert snippet(text, ("scooter", "locked")) == "… The scooter is locked! But it goes on. Bye."
    assert snippet(text) == "Dear team, I hope you are well. The scooter is locked! But it goes on. Bye."
    assert snippet("你好。滑板车的电池爆炸了。", ("电池",)) == "… 滑板车的电池爆炸了。"
    assert snippet("") == ""
    assert snippet("two\n\n lines ") == "two lines"
    assert len(snippet("word " * 100)) <= 200
