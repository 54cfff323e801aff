"""What is masked, and what looks like it but is not."""

from __future__ import annotations

import pytest

from pipeline.text.payment_numbers import is_iban, passes_luhn
from pipeline.text.redact import customer_hash, mask

MASKED = {
    "mail jane.doe+shop@mail.example.co.uk today": "mail <EMAIL> today",
    "Card 4111 1111 1111 1111, exp 04/27": "Card <CARD>, exp 04/27",
    "card 4111-1111-1111-1111": "card <CARD>",
    "valid until 2027 4111 1111 1111 1111": "valid until 2027 <CARD>",
    "3782 822463 10005 4111 1111 1111 1111": "<CARD> <CARD>",
    "amex 378282246310005": "amex <CARD>",
    "IBAN DE89 3704 0044 0532 0130 00 please": "IBAN <IBAN> please",
    "to gb29nwbk60161331926819.": "to <IBAN>.",
    "call +44 20 7946 0958": "call <PHONE>",
    "call +1 (415) 555-2671 now": "call <PHONE> now",
    "call 415-555-2671 or (415) 555-2671": "call <PHONE> or <PHONE>",
    "my phone number is 4155552671": "my phone number is <PHONE>",
    "see https://shop.example/reset?token=abc123 now": "see <URL> now",
    "Hi John,\nmy name is Mary Ann Jones.": "Hi <NAME>,\nmy name is <NAME>.",
    "Dear Mrs. Miller, hello": "Dear Mrs. <NAME>, hello",
    "Please call. Thanks, Mary": "Please call. Thanks, <NAME>",
    "Hallo Jürgen,": "Hallo <NAME>,",
    "order 113542617735902, invoice 2023061512": "order <ORDER>, invoice <ORDER>",
    "ticket #4711 for 62 Station Road": "ticket #<TICKET> for <ADDRESS>",
}
KEPT = [
    "the label says 113542617735902",
    "the code SUMMER20 of 2026",
    "card ending in 4242",
    "4111 1111 1111 1112 fails the check digit",
    "DE89 3704 0044 0532 0130 01 fails the check",
    "on 2026-03-02 10:15 I paid 1,299.50",
    "see https://shop.example/help/returns",
    "Hi team,",
    "Dear Sir or Madam,",
    "Hello Support,",
    "Thanks, please hurry",
    "please call me back on 2026-03-12, 9.00 - 17.00",
    "I miss Spotify Premium",
    "Wagen 7, Platz 12 und auf Platz 14",
    "Ich habe nie 100000 Euro bekommen",
]


@pytest.mark.parametrize("text", MASKED)
def test_personal_data_is_masked_by_type(text: str) -> None:
    assert mask(text) == MASKED[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert mask(text) == text


def test_check_digits() -> None:
    assert passes_luhn("4111111111111111")
    assert not passes_luhn("4111111111111112")
    assert is_iban("GB29NWBK60161331926819")
    assert not is_iban("GB29NWBK60161331926818")


def test_a_customer_is_one_key_within_a_dataset_and_another_in_the_next() -> None:
    key = customer_hash("Jane@Example.com ", salt="shop")

    assert key == customer_hash("jane@example.com", salt="shop")
    assert key != customer_hash("jane@example.com", salt="bank")
    assert len(key) == 32
