"""Losses at the pre-activations: their values, their derivatives, and their far ends."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax
from sklearn.metrics import brier_score_loss, log_loss

from sknn_scratch.losses import LOSSES, chance_loss


def evaluate(key, z, y):
    """Values (K, n) and delta of a loss, leaving z alone."""
    delta, values = z.copy(), np.empty((*z.shape[:-1], 1))
    LOSSES[key](delta, y, np.empty_like(z), values)
    return values[..., 0], delta


def targets_for(out_activation, shape, rng):
    if out_activation == "softmax":
        return np.eye(shape[-1])[rng.randint(shape[-1], size=shape[:-1])]
    return rng.randint(2, size=shape).astype(float)


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
def test_delta_equals_finite_differences(key):
    rng = np.random.RandomState(0)
    z = rng.normal(scale=3, size=(2, 5, 3))
    y = targets_for(key[1], z.shape, rng)
    _, delta = evaluate(key, z, y)
    h = 1e-6
    for c in range(3):
        step = h * (np.arange(3) == c)
        difference = evaluate(key, z + step, y)[0] - evaluate(key, z - step, y)[0]
        assert_allclose(delta[..., c], difference / (2 * h), atol=1e-8)


def test_squared_error_is_the_brier_score():
    rng = np.random.RandomState(0)
    z, y = rng.normal(size=(1, 30, 1)), rng.randint(2, size=(1, 30, 1)).astype(float)
    values, _ = evaluate(("squared_error", "logistic"), z, y)
    assert_allclose(values.mean(), brier_score_loss(y.ravel(), expit(z).ravel()))

    z, y = rng.normal(size=(1, 30, 4)), np.eye(4)[rng.randint(4, size=(1, 30))]
    values, _ = evaluate(("squared_error", "softmax"), z, y)
    assert_allclose(values[0], ((softmax(z[0], axis=1) - y[0]) ** 2).sum(axis=1))


def test_log_loss_is_scikit_learns():
    rng = np.random.RandomState(0)
    z, labels = rng.normal(size=(1, 30, 4)), rng.randint(4, size=30)
    values, _ = evaluate(("log_loss", "softmax"), z, np.eye(4)[labels][None])
    assert_allclose(values.mean(), log_loss(labels, softmax(z[0], axis=1)))

    z = rng.normal(size=(1, 30, 1))
    values, _ = evaluate(("log_loss", "logistic"), z, (labels > 1).astype(float)[None, :, None])
    assert_allclose(values.mean(), log_loss(labels > 1, expit(z[0, :, 0])))


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_everything_is_finite_and_nothing_warns(key, dtype):
    z = np.array([[[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]]], dtype=dtype)
    y = np.eye(3, dtype=dtype)[None]
    delta, values = z.copy(), np.empty((1, 3, 1), dtype=dtype)
    LOSSES[key](delta, y, np.empty_like(z), values)
    assert np.isfinite(values).all()
    assert np.isfinite(delta).all()


def test_log_loss_keeps_growing_with_a_confident_mistake():
    for z in (40.0, 400.0, 1e4):
        values, delta = evaluate(("log_loss", "logistic"), np.full((1, 1, 1), z), np.zeros((1, 1)))
        assert_allclose([values[0, 0], delta[0, 0, 0]], [-log_expit(-z), 1.0])
        row = np.array([[[z, 0.0, 0.0]]])
        values, _ = evaluate(("log_loss", "softmax"), row, np.array([[[0.0, 1.0, 0.0]]]))
        assert_allclose(values, -log_softmax(row[0])[None, :, 1])
        assert_allclose(values[0, 0], logsumexp(row))


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
@pytest.mark.parametrize("weighted", [False, True])
def test_chance_loss_is_that_of_the_class_frequencies(key, weighted):
    rng = np.random.RandomState(0)
    y = targets_for(key[1], (40, 3), rng)
    weight = rng.uniform(size=40) if weighted else np.ones(40)
    f = weight @ y / weight.sum()
    z = np.log(f) if key[1] == "softmax" else np.log(f / (1 - f))
    values, _ = evaluate(key, np.tile(z, (1, 40, 1)), y[None])
    found = chance_loss(*key, y, weight if weighted else None)
    assert_allclose(found, values[0] @ weight / weight.sum())


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
def test_chance_loss_where_a_label_never_occurs(key):
    assert chance_loss(*key, np.array([[1.0, 0.0], [1.0, 0.0]]), None) == 0
