"""The fictional company's tree, replies and phrases are complete and agree with each other."""

from __future__ import annotations

import re
from random import Random

import pytest

from tickets.errors import InputError
from tickets.simulate import contact_type_tree, reply_templates
from tickets.simulate.agents import resolution
from tickets.simulate.catalogue import LANGUAGES, fitting_replies, replies, situation_by_path, situations
from tickets.simulate.customers import card_number
from tickets.simulate.grammar import parse, slots, speak
from tickets.simulate.language import language, rename
from tickets.simulate.noise import add_typos, as_html

PLACEHOLDERS = {"customer_name", "agent_name", "amount", "city", "product", "order_id", "days", "link"}
COMPUTED = {
    *("amount", "less", "small", "big", "city", "product", "order", "name", "agent", "first", "full", "email", "phone"),
    *("card", "mins", "number", "number2", "day", "digit", "digit2", "quotedate", "thing", "worker"),
}


def test_the_tree_has_sixty_leaves_on_three_levels_all_described():
    tree = contact_type_tree()
    assert len(tree.leaves()) >= 60
    assert {len(tree.ancestors(leaf.id)) for leaf in tree.leaves()} == {3}
    assert all(len(node.description) > 15 for node in tree.nodes)
    assert all(node.id == tree.path(node.id) for node in tree.nodes)


def test_the_new_product_is_in_the_later_tree_only():
    before, after = contact_type_tree(), contact_type_tree(with_new_product=True)
    added = {node.id for node in after.nodes} - {node.id for node in before.nodes}
    assert after.version == before.version + 1
    assert added and all(path.startswith("Scooters") for path in added)
    templates = {t.template_id for t in reply_templates(with_new_product=True)} - {
        t.template_id for t in reply_templates()
    }
    assert templates == {"scooter-refunded", "scooter-credit", "scooter-stands"}


def test_there_are_eighty_templates_with_known_placeholders():
    templates = reply_templates()
    assert len(templates) >= 80
    assert len({template.template_id for template in templates}) == len(templates)
    for template in templates:
        used = set(re.findall(r"\{\{(\w+)\}\}", template.body))
        assert "customer_name" in used and used <= PLACEHOLDERS, template.template_id
        assert template.body.count("{") == 2 * len(re.findall(r"\{\{\w+\}\}", template.body))


def test_templates_serve_leaves_of_the_tree():
    leaves = {leaf.id for leaf in contact_type_tree(with_new_product=True).leaves()}
    for reply in replies():
        assert set(reply.template.contact_types) <= leaves
        assert bool(reply.serves) == bool(reply.template.contact_types), reply.template.template_id


def test_every_resolution_of_every_contact_type_has_a_template_in_every_language():
    sums, tenures = (None, 5.0, 20.0, 50.0, 90.0, 500.0), (0, 70, 130, 500)
    for situation in situation_by_path().values():
        outcomes = {
            resolution(situation.policy, amount=amount, status=status, tenure=tenure, member=member, platform=platform)
            for amount in sums
            for tenure in tenures
            for status in situation.status
            for member in (True, False)
            for platform in ("web", "ios")
        }
        for outcome in outcomes:
            for spoken in LANGUAGES:
                assert fitting_replies(situation.path, outcome, spoken)[0].language in (spoken, "en")


def test_a_template_that_nobody_wrote_is_an_error():
    with pytest.raises(InputError, match="no reply template"):
        fitting_replies("Rides::Fares::Wait time fee", "made up", "en")


def test_most_contact_types_have_several_templates():
    several = [
        leaf for leaf in contact_type_tree().leaves() if sum(leaf.id in t.contact_types for t in reply_templates()) > 1
    ]
    assert len(several) >= 70


def test_every_language_says_every_contact_type():
    for code in LANGUAGES[1:]:
        assert set(language(code).says) == set(situation_by_path())


def test_every_slot_of_every_phrase_can_be_filled():
    for code in LANGUAGES:
        spoken = language(code)
        said = [phrase for phrases in spoken.says.values() for phrase in phrases]
        said += [*spoken.greetings, *spoken.openers, *spoken.chatter, *spoken.feelings, *spoken.asks, *spoken.closings]
        said += [*spoken.signatures, *spoken.pii, *spoken.quoted, *spoken.outage]
        said += [phrase for phrases in (*spoken.words.values(), *spoken.nouns.values()) for phrase in phrases]
        if code == "en":
            for situation in situation_by_path().values():
                said += [*situation.subjects, *situation.says, *situation.details, *situation.asks, *situation.vague]
                said += [*situation.shared_subjects, *situation.shared_says]
        unknown = {name for phrase in said for name in slots(phrase)} - COMPUTED - set(spoken.words)
        assert not unknown, code


def test_phrases_choose_nest_and_fill():
    phrase = parse("(I|we (all|)) paid {amount}")
    rng = Random(1)
    said = {speak(phrase, rng, {"amount": "$5"}, {}) for _ in range(50)}
    assert said == {"I paid $5", "we all paid $5", "we  paid $5"}


@pytest.mark.parametrize("broken", ["(a|b", "a|b", "a)", "{not a slot}"])
def test_a_broken_phrase_is_refused(broken):
    with pytest.raises(InputError):
        parse(broken)


def test_contact_types_share_wordings_across_branches():
    sharing: dict[str, set[str]] = {}
    for situation in situations():
        if situation.shares:
            sharing.setdefault(situation.shares, set()).add(situation.path.split("::")[0])
    assert sum(len(branches) > 1 for branches in sharing.values()) >= 7


def test_card_numbers_pass_the_luhn_check():
    rng = Random(3)
    for _ in range(200):
        digits = [int(digit) for digit in card_number(rng).replace(" ", "")][::-1]
        doubled = sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
        assert len(digits) == 16 and (sum(digits[::2]) + doubled) % 10 == 0


def test_the_new_words_replace_the_old_ones_whole_and_keep_capitals():
    assert rename("Driver cancelled my ride, bride and all") == "Captain called off my hop, bride and all"


def test_typos_keep_digits_and_the_number_of_words():
    text = "please refund order RD-123 over 45.00 dollars quickly because waiting annoys everyone"
    spoiled = add_typos(text, Random(2), 0.5)
    assert spoiled != text
    assert len(spoiled.split()) == len(text.split())
    assert "RD-123" in spoiled and "45.00" in spoiled


def test_html_mail_escapes_what_the_customer_wrote():
    for seed in range(6):
        mail = as_html(["1 < 2 & 3"], "> old <support@rondo.example>", Random(seed))
        assert "1 &lt; 2 &amp; 3" in mail
        assert "<support@" not in mail
