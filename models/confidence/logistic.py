"""Logistic regression with a few coefficients, by Newton's method: what serving's packages offer is numpy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_STEPS = 50
_CLOSE = 1e-9  # a smaller step changes nothing


def sigmoid(log_odds: Doubles) -> Doubles:
    shares: Doubles = 1.0 / (1.0 + np.exp(-np.clip(log_odds, -30.0, 30.0)))
    return shares


def log_odds(shares: Doubles) -> Doubles:
    bounded = np.clip(shares, 1e-6, 1.0 - 1e-6)
    odds: Doubles = np.log(bounded) - np.log1p(-bounded)
    return odds


def log_losses(shares: Doubles, right: NDArray[np.bool_]) -> Doubles:
    """(n,) what each probability costs, in nats."""
    bounded = np.clip(shares, 1e-6, 1.0 - 1e-6)
    losses: Doubles = -np.where(right, np.log(bounded), np.log1p(-bounded))
    return losses


def fit_logistic(
    inputs: Doubles,
    right: NDArray[np.bool_],
    penalty: Doubles,
    *,
    offset: Doubles,
    group: NDArray[np.int64] | None = None,
) -> Doubles:
    """The coefficients b (k,) that minimise mean log loss of sigmoid(offset + inputs b), plus b' penalty b.

    inputs (n, k), or (g, k) and a group (n,) that says which row is each ticket's; right and offset (n,); penalty
    (k, k), so positive that there is one minimum.
    """
    row = np.arange(len(inputs)) if group is None else group
    coefficients: Doubles = np.zeros(inputs.shape[1])
    step: Doubles = np.zeros(inputs.shape[1])
    best = np.inf
    for _ in range(_STEPS):
        odds = offset + (inputs @ coefficients)[row]
        loss = float(np.mean(np.logaddexp(0.0, odds) - right * odds) + coefficients @ penalty @ coefficients)
        if loss > best:  # too long a step: half of it
            step = step / 2.0
            coefficients = coefficients - step
            continue
        best = loss
        shares = sigmoid(odds)
        wrong = np.bincount(row, weights=shares - right, minlength=len(inputs))
        slope = inputs.T @ wrong / len(right) + 2.0 * penalty @ coefficients
        step = -np.asarray(np.linalg.solve(_curve(inputs, shares, penalty, row), slope), np.float64)
        coefficients = coefficients + step
        if np.abs(step).max(initial=0.0) < _CLOSE:
            break
    return coefficients


def uncertainty(inputs: Doubles, shares: Doubles, penalty: Doubles, group: NDArray[np.int64]) -> Doubles:
    """(k, k) covariance of the coefficients, as a normal curve around the best ones; shares (n,) are what they say."""
    covariance: Doubles = np.linalg.inv(_curve(inputs, shares, penalty, group)) / len(shares)
    return covariance


def _curve(inputs: Doubles, shares: Doubles, penalty: Doubles, row: NDArray[np.int64]) -> Doubles:
    """Second derivatives of the mean loss."""
    weight = np.bincount(row, weights=shares * (1.0 - shares), minlength=len(inputs)) / len(shares)
    curve: Doubles = (inputs * weight[:, None]).T @ inputs + 2.0 * penalty + 1e-12 * np.eye(inputs.shape[1])
    return curve
