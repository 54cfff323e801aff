"""Each detector: quiet when nothing moved, awake when something did, and never a crash on windows that hold little."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from monitoring.detectors import (
    attributes,
    confidence,
    domain_classifier,
    feedback,
    mmd,
    predictions,
    text,
    words,
)
from tickets.monitor_log import DetectorResult
from tickets.records import AttributeValue

Vectors = NDArray[np.float64]
RUNS = 100
NOMINAL = 0.05
# 100 tests at 5 %: more than 12 false alarms has a chance of one in a thousand.
AT_MOST = 12
WORDS = [
    f"{first}{second}" for first in "bcdfghklmnprst" for second in ("anto", "eril", "imov", "ussa", "olde", "iptu")
]


def vectors(rng: np.random.Generator, count: int, *, moved: float = 0.0) -> Vectors:
    """Unit vectors in eight clusters; a share `moved` of them in a ninth."""
    centers = np.random.default_rng(7).normal(size=(9, 32))
    cluster = np.where(rng.random(count) < moved, 8, rng.integers(0, 8, count))
    rows: Vectors = centers[cluster] + rng.normal(size=(count, 32))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def types(rng: np.random.Generator, count: int, *, moved: float = 0.0) -> list[str]:
    weights = 1 / np.arange(1, 31)
    drawn = rng.choice(30, count, p=weights / weights.sum())
    return ["new" if rng.random() < moved else f"type {number}" for number in drawn]


def edits(rng: np.random.Generator, count: int, *, moved: float = 0.0) -> Vectors:
    """Most templates are sent as they are; a share `moved` more is rewritten."""
    changed: Vectors = np.where(rng.random(count) < 0.3 + moved, rng.beta(2, 5, count), 0.0)
    return changed


def texts(rng: np.random.Generator, count: int, *, moved: float = 0.0) -> list[str]:
    written = []
    for _ in range(count):
        words = list(rng.choice(WORDS, int(rng.integers(5, 15))))
        written.append(" ".join([*words, *(["zzyzx", "quuxly", "frobnic"] if rng.random() < moved else [])]))
    return written


def ticket_attributes(
    rng: np.random.Generator, count: int, *, moved: float = 0.0
) -> list[Mapping[str, AttributeValue]]:
    return [
        {
            "city": "Atlantis" if rng.random() < moved else str(rng.choice(["Lisbon", "Porto", "Faro"])),
            "amount": float(rng.gamma(2, 10)) if rng.random() < 0.8 else None,
            "vip": bool(rng.random() < 0.1),
        }
        for _ in range(count)
    ]


def shares(rng: np.random.Generator, count: int, *, moved: float = 0.0) -> Vectors:
    values: Vectors = np.where(rng.random(count) < moved, rng.beta(2, 5, count), rng.beta(8, 2, count))
    return values


def flags(rng: np.random.Generator, count: int, *, moved: float = 0.0) -> NDArray[np.bool_]:
    return np.asarray(rng.random(count) < 0.1 + moved)


def judged(rng: np.random.Generator, count: int, *, moved: float = 0.0) -> NDArray[np.bool_]:
    return np.asarray(rng.random(count) < 0.85 - moved)


DETECTORS: dict[str, tuple[Callable[..., DetectorResult], Callable[..., object], float]] = {
    "embeddings.domain": (lambda a, b: domain_classifier.domain_classifier(a, b, permutations=199), vectors, 0.2),
    "embeddings.mmd": (lambda a, b: mmd.mmd(a, b, permutations=199), vectors, 0.2),
    "predictions.types": (predictions.predicted_types, types, 0.1),
    "predictions.one_type": (predictions.one_type, types, 0.1),
    "confidence.probability": (confidence.probability, shares, 0.3),
    "confidence.out_of_scope": (confidence.out_of_scope, shares, 0.3),
    "confidence.abstained": (confidence.abstained, flags, 0.15),
    "text.length": (text.length, texts, 0.6),
    "text.language": (text.language, types, 0.1),
    "text.unseen_words": (text.unseen_words, texts, 0.3),
    "text.words": (words.word_shares, texts, 0.3),
    "attributes": (attributes.attribute_drift, ticket_attributes, 0.15),
    "feedback.acceptance": (feedback.acceptance, judged, 0.15),
    "feedback.override": (feedback.override, flags, 0.15),
    "feedback.hits_at_3": (feedback.hits_at_3, judged, 0.15),
    "feedback.edit_distance": (feedback.edit_distance, edits, 0.25),
}


@pytest.mark.parametrize("name", DETECTORS)
def test_two_windows_of_the_same_kind_raise_no_more_false_alarms_than_promised(name: str) -> None:
    detect, world, _ = DETECTORS[name]
    rng = np.random.default_rng(11)
    p_values = [detect(world(rng, 200), world(rng, 150)).p_value for _ in range(RUNS)]
    assert sum(p is not None and p <= NOMINAL for p in p_values) <= AT_MOST
    assert None not in p_values


@pytest.mark.parametrize("name", DETECTORS)
def test_a_real_change_is_seen(name: str) -> None:
    detect, world, moved = DETECTORS[name]
    rng = np.random.default_rng(12)
    seen = 0
    for _ in range(10):
        result = detect(world(rng, 300), world(rng, 300, moved=moved))
        assert result.detector == name
        seen += result.p_value is not None and result.p_value <= 0.01
    assert seen >= 9


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("size", [0, 1, 10])
def test_too_few_tickets_are_unknown_and_no_crash(name: str, size: int) -> None:
    detect, world, _ = DETECTORS[name]
    rng = np.random.default_rng(13)
    result = detect(world(rng, 300), world(rng, size))
    assert result.status == "unknown"
    assert result.p_value is None
    assert result.details["why"]


@pytest.mark.parametrize("detect", [domain_classifier.domain_classifier, mmd.mmd])
def test_identical_embeddings_do_not_crash_and_show_no_drift(detect: Callable[..., DetectorResult]) -> None:
    same = np.ones((80, 16)) / 4
    result = detect(same, same, permutations=99)
    assert result.p_value is not None
    assert result.p_value > 0.5


def test_the_domain_classifier_names_the_tickets_least_like_the_reference() -> None:
    rng = np.random.default_rng(3)
    current = np.concatenate([vectors(rng, 150), vectors(rng, 50, moved=1.0)])
    ids = [f"old {row}" for row in range(150)] + [f"new {row}" for row in range(50)]
    result = domain_classifier.domain_classifier(vectors(rng, 400), current, ids=ids, permutations=199)
    assert all(example.startswith("new") for example in result.details["examples"])


def test_one_predicted_type_in_both_windows_is_no_drift() -> None:
    result = predictions.predicted_types(["a"] * 100, ["a"] * 100)
    assert (result.status, result.statistic, result.p_value) == ("ok", 0.0, 1.0)


def test_a_new_category_is_named() -> None:
    result = predictions.predicted_types(["a", "b"] * 100, ["a", "b", "c", "b"] * 50)
    assert result.details["new"] == ["c"]
    assert result.details["moved"][0] == {"name": "a", "reference": 0.5, "current": 0.25}


def test_types_that_are_all_too_rare_are_unknown_and_no_quiet() -> None:
    every = [str(number) for number in range(100)]
    result = predictions.predicted_types(every, every)
    assert result.status == "unknown"
    assert "too rare" in result.details["why"]


def test_many_rare_types_are_tested_together_without_false_certainty() -> None:
    rng = np.random.default_rng(5)
    small = [
        predictions.predicted_types(
            [str(n) for n in rng.integers(0, 500, 200)], [str(n) for n in rng.integers(0, 500, 60)]
        )
        for _ in range(30)
    ]
    assert sum(result.p_value is not None and result.p_value <= NOMINAL for result in small) <= 5


def test_words_nobody_used_before_are_listed_when_several_tickets_use_them() -> None:
    rng = np.random.default_rng(4)
    once = [*texts(rng, 200, moved=0.3), "onlyonce word"]
    result = text.unseen_words(texts(rng, 300), once)
    assert {"zzyzx", "quuxly", "frobnic"} <= set(result.details["new"])
    assert "onlyonce" not in result.details["new"]


def test_new_words_that_are_equally_frequent_stand_in_one_order_in_every_process() -> None:
    rng = np.random.default_rng(4)
    new = [f"zz{letter}" for letter in "kbmafdchgejil"]
    result = text.unseen_words(texts(rng, 300), [*texts(rng, 200), *[" ".join(new)] * 4])
    assert result.details["new"] == sorted(new)[:10]


def test_a_word_that_one_ticket_in_thirty_begins_to_use_is_seen_and_one_that_is_gone_too() -> None:
    rng = np.random.default_rng(5)
    before, after = texts(rng, 1000), texts(rng, 500)
    spoken = [f"{text} scooter" if place % 30 == 0 else text for place, text in enumerate(after)]
    came, gone = words.word_shares(before, spoken), words.word_shares(spoken, before)
    for result, share in ((came, "current"), (gone, "reference")):
        assert result.p_value is not None and result.p_value < 1e-4
        assert result.details["moved"][0]["name"] == "scooter"
        assert result.details["moved"][0][share] == pytest.approx(1 / 30, abs=0.002)


JAPANESE = ["返金", "請求書", "荷物", "住所", "会員証", "割引", "領収書", "再配達", "支払い", "予約", "解約", "印鑑"]


def unspaced(rng: np.random.Generator, count: int, *, about: str = "") -> list[str]:
    """Sentences of which hardly two are the same; each tenth, or all, `about` something."""
    written = []
    for place in range(count):
        said = "のことで".join(rng.permutation(JAPANESE)[: int(rng.integers(3, 7))].tolist())
        written.append(f"{about}と{said}をお願いします。" if about and place % 10 == 0 else f"{said}をお願いします。")
    return written


def test_a_new_word_is_seen_where_no_spaces_are_written() -> None:
    rng = np.random.default_rng(13)
    before, now = unspaced(rng, 600), unspaced(rng, 400, about="電動自転車")
    spoken = words.word_shares(before, now)
    assert spoken.p_value is not None and spoken.p_value < 1e-6
    assert {row["name"] for row in spoken.details["moved"]} <= {"電動", "動自", "自転", "転車", "車と"}
    assert {"電動", "動自", "自転", "転車"} <= set(text.unseen_words(before, now).details["new"])
    same = unspaced(rng, 400)
    for result in (words.word_shares(before, same), text.unseen_words(before, same), text.length(before, same)):
        assert result.p_value is not None and result.p_value > 0.001


def test_longer_tickets_are_seen_where_no_spaces_are_written() -> None:
    rng = np.random.default_rng(14)
    twice = [first + second for first, second in zip(unspaced(rng, 200), unspaced(rng, 200), strict=True)]
    result = text.length(unspaced(rng, 200), twice)
    assert result.statistic is not None and result.statistic > 0.5


@pytest.mark.parametrize(
    ("text_", "expected"),
    [
        ("I can't pay 12 EUR, order A4711_b", ["can", "pay", "eur", "order"]),
        ("Grüße aus STRASSE, ça déjà?", ["grüße", "aus", "strasse", "ça", "déjà"]),
        ("İade iade", ["iade", "iade"]),
        ("환불 부탁드립니다", ["환불", "부탁드립니다"]),
        ("верните деньги", ["верните", "деньги"]),
        ("iPhoneの電池が2個", ["iphone", "の電", "電池", "池が"]),
        ("Votre pre\u0301fe\u0301re\u0301", ["votre", "préféré"]),
        ("मेरी स्कूटी खो गई।", ["मेरी", "स्कूटी", "खो", "गई"]),
        ("பணம் வேண்டும் 12", ["பணம்", "வேண்டும்"]),
        ("ငွေပြန်", ["ငပ", "ပန"]),
        ("Mr XXXX of <ADDRESS> wants an XXL shirt", ["mr", "of", "wants", "an", "xxl", "shirt"]),
        ("ขอคืนเงิน", ["ขอ", "อค", "คน", "นเ", "เง", "งน"]),
    ],
)
def test_words_are_taken_as_each_script_writes_them(text_: str, expected: list[str]) -> None:
    assert list(text.words_of(text_)) == expected


def test_tickets_without_words_are_left_out() -> None:
    rng = np.random.default_rng(4)
    result = text.unseen_words(texts(rng, 300), [*texts(rng, 100), *["12345"] * 20])
    assert result.details["current"] == 100


def test_acceptance_that_rises_is_no_drift() -> None:
    result = feedback.acceptance(np.r_[np.ones(50), np.zeros(50)] > 0, np.ones(100) > 0)
    assert result.p_value is not None
    assert result.p_value > 0.9
    assert result.statistic == -0.5


def test_acceptance_is_held_against_the_accuracy_of_the_reference_while_there_is_no_earlier_period() -> None:
    now = np.r_[np.ones(60), np.zeros(40)] > 0
    result = feedback.acceptance(np.zeros(0, np.bool_), now, right=np.r_[np.ones(170), np.zeros(30)] > 0)
    assert result.details["against"] == "its accuracy on the reference period"
    assert result.p_value is not None
    assert result.p_value < 0.001
    assert result.details["share"] == pytest.approx({"reference": 0.8, "current": 0.6})
    assert feedback.acceptance(np.zeros(0, np.bool_), now).status == "unknown"
