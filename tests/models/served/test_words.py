"""Weights of word pieces become words that a person can read."""

from __future__ import annotations

from models.words import word_weights


def tokens(text: str, weights: list[float]) -> tuple[str, list[tuple[int, int]], list[int | None], list[float]]:
    """Every stretch between spaces is one word of one token."""
    offsets, at = [], 0
    for word in text.split(" "):
        offsets.append((at, at + len(word)))
        at += len(word) + 1
    return text, offsets, list(range(len(offsets))), weights


def test_pieces_of_a_word_are_joined_and_repeated_words_summed():
    text = "overcharged twice Twice"
    found = word_weights(text, [(0, 0), (0, 4), (4, 11), (12, 17), (18, 23)], [None, 0, 0, 1, 2], [9, 1, 2, 0.5, 0.5])
    assert [(word.word, word.weight) for word in found] == [("overcharged", 0.75), ("twice", 0.25)]


def test_stop_words_numbers_and_words_that_speak_against_are_left_out():
    found = word_weights(*tokens("the refund 42 !! against", [5.0, 1.0, 4.0, 3.0, -2.0]))
    assert [word.word for word in found] == ["refund"]


def test_masks_and_redactions_are_left_out():
    text = "mail <EMAIL> and XXXX refund"
    spans = [(0, 4), (5, 6), (6, 11), (11, 12), (13, 16), (17, 21), (22, 28)]
    found = word_weights(text, spans, list(range(7)), [1.0] * 7)
    assert {word.word for word in found} == {"mail", "refund"}


def test_at_most_five_words_heaviest_first():
    found = word_weights(*tokens("one1 two2 three four five six", [1, 6, 2, 5, 3, 4]))
    assert [word.word for word in found] == ["two2", "four", "six", "five", "three"]
