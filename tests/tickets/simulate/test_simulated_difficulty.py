"""The simulated tickets are neither trivial nor hopeless, attributes help, drift hurts. Real models, small samples."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from scipy.sparse import hstack
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier

from tickets.simulate import SimulatedTicket, SimulationConfig, new_product, simulate, wording_change

pytestmark = pytest.mark.slow
CONFIG = SimulationConfig(seed=31, start=date(2026, 1, 5), days=8, tickets_per_day=800)
TESTED_FROM = CONFIG.start + timedelta(days=6)  # about 4,800 tickets to train on, 1,500 to test


def text(ticket: SimulatedTicket) -> str:
    return ticket.ticket.subject + "\n" + re.sub("<[^>]+>", " ", ticket.ticket.body)


def attributes(ticket: SimulatedTicket) -> dict[str, float]:
    known = ticket.ticket.attributes
    return {f"{name}={known[name]}": 0.5 for name in ("product", "platform", "trip_status", "payment_method", "member")}


def accuracies(config: SimulationConfig, *, with_attributes: bool = False) -> tuple[float, float]:
    """Trained on the first days' recorded labels; accuracy on the last days against the truth, and the records."""
    tickets = [ticket for day in simulate(config) for ticket in day.tickets]
    end = sum(ticket.ticket.created_at.date() < TESTED_FROM for ticket in tickets)
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    train, test = words.fit_transform(map(text, tickets[:end])), words.transform(map(text, tickets[end:]))
    if with_attributes:
        columns = DictVectorizer().fit(map(attributes, tickets))
        train = hstack([train, columns.transform(map(attributes, tickets[:end]))]).tocsr()
        test = hstack([test, columns.transform(map(attributes, tickets[end:]))]).tocsr()
    # Logistic regression by stochastic gradient: here 82.2 %, the exact fit 81.0 % in six times the time.
    model = SGDClassifier(loss="log_loss", alpha=2e-5, max_iter=15, tol=None, random_state=0)
    recorded = np.array([t.outcome.contact_type for t in tickets])
    found = model.fit(train, recorded[:end]).predict(test)
    truth = np.array([t.true_contact_type for t in tickets[end:]])
    return float((found == truth).mean()), float((found == recorded[end:]).mean())


@pytest.fixture(scope="module")
def by_text() -> tuple[float, float]:
    return accuracies(CONFIG)


def test_tfidf_with_logistic_regression_lands_between_75_and_90_percent(by_text):
    against_truth, against_records = by_text
    assert 0.75 <= against_truth <= 0.90
    assert against_records < against_truth


def test_attributes_help_beyond_the_text(by_text):
    assert accuracies(CONFIG, with_attributes=True)[0] > by_text[0] + 0.01


def test_events_hurt_a_model_that_has_not_seen_them(by_text):
    rebrand, launch = wording_change(TESTED_FROM, share=1.0), new_product(TESTED_FROM, share=0.2)
    assert accuracies(replace(CONFIG, events=(rebrand,)))[0] < by_text[0] - 0.02
    assert accuracies(replace(CONFIG, events=(rebrand, launch)))[0] < by_text[0] - 0.15
