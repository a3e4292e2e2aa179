"""Losses at the pre-activations: their values, their derivatives, and their far ends."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit, log_softmax, logsumexp, softmax
from sklearn.metrics import brier_score_loss, log_loss

from sknn_scratch.network import losses
from sknn_scratch.network.losses import LOSSES, Scratch


def evaluate(key, z, y):
    """Losses (n,) of one network's samples, and delta, leaving z alone."""
    one, values, deltas = np.ones_like(z[:1]), [], []
    for i in range(len(z)):
        delta = z[i : i + 1].copy()
        values.append(LOSSES[key].value_and_delta(delta, y[i : i + 1], one, Scratch(delta)))
        deltas.append(delta)
    return np.array(values), np.concatenate(deltas)


def targets_for(output, shape, rng):
    if output == "softmax":
        return np.eye(shape[-1])[rng.randint(shape[-1], size=shape[:-1])]
    return rng.randint(2, size=shape).astype(float)


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
def test_delta_equals_finite_differences(key):
    rng = np.random.RandomState(0)
    z = rng.normal(scale=3, size=(10, 3))
    y = targets_for(key[1], z.shape, rng)
    _, delta = evaluate(key, z, y)
    h = 1e-6
    for c in range(3):
        step = h * (np.arange(3) == c)
        difference = evaluate(key, z + step, y)[0] - evaluate(key, z - step, y)[0]
        assert_allclose(delta[..., c], difference / (2 * h), atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [1, 29, 31, 700, 1e4])
@pytest.mark.parametrize("K", [(), (3,), (2, 3)], ids=str)
def test_softmax_is_scipys(K, spread, dtype):
    z = np.random.RandomState(0).uniform(-spread / 2, spread / 2, (*K, 20, 5))
    z.flat[:2] = -spread / 2, spread / 2
    z = (z + 100).astype(dtype)
    expected = log_softmax(z.astype(np.float64), axis=-1)
    shifted, work = z.copy(), Scratch(z)
    p = losses.softmax(shifted, work)
    error = np.finfo(dtype).eps * max(100, spread)
    assert_allclose(p, np.exp(expected), rtol=2 * error, atol=np.finfo(dtype).tiny)
    assert_allclose(shifted - np.log(work.row), expected, rtol=error, atol=error)


def test_squared_error_is_the_brier_score():
    rng = np.random.RandomState(0)
    z, y = rng.normal(size=(30, 1)), rng.randint(2, size=(30, 1)).astype(float)
    values, _ = evaluate(("squared_error", "logistic"), z, y)
    assert_allclose(values.mean(), brier_score_loss(y.ravel(), expit(z).ravel()))

    z, y = rng.normal(size=(30, 4)), np.eye(4)[rng.randint(4, size=30)]
    values, _ = evaluate(("squared_error", "softmax"), z, y)
    assert_allclose(values, ((softmax(z, axis=1) - y) ** 2).sum(axis=1))


def test_guarded_squared_error_adds_a_tenth_of_the_log_loss_to_a_softmax():
    rng = np.random.RandomState(0)
    z, y = rng.normal(size=(30, 4)), np.eye(4)[rng.randint(4, size=30)]
    values, _ = evaluate(("guarded_squared_error", "softmax"), z, y)
    squares = ((softmax(z, axis=1) - y) ** 2).sum(axis=1)
    assert_allclose(values, squares - 0.1 * log_softmax(z, axis=1)[y > 0])


def test_only_the_squared_error_is_flat_where_the_true_class_has_no_probability():
    z, y = np.array([[40.0, -40.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    slopes = {loss: evaluate((loss, "softmax"), z, y)[1][0, 1] for loss, _ in LOSSES}
    assert abs(slopes["squared_error"]) < 1e-15
    assert_allclose([slopes["log_loss"], slopes["guarded_squared_error"]], [-1, -0.1])


def test_log_loss_is_scikit_learns():
    rng = np.random.RandomState(0)
    z, labels = rng.normal(size=(30, 4)), rng.randint(4, size=30)
    values, _ = evaluate(("log_loss", "softmax"), z, np.eye(4)[labels])
    assert_allclose(values.mean(), log_loss(labels, softmax(z, axis=1)))

    z = rng.normal(size=(30, 1))
    values, _ = evaluate(("log_loss", "logistic"), z, (labels > 1).astype(float)[:, None])
    assert_allclose(values.mean(), log_loss(labels > 1, expit(z[:, 0])))


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_everything_is_finite_and_nothing_warns(key, dtype):
    z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype=dtype)
    y = np.eye(3, dtype=dtype)
    loss = LOSSES[key].value_and_delta(z, y, np.ones_like(z), Scratch(z))
    assert np.isfinite(loss)
    assert np.isfinite(z).all()


def test_log_loss_keeps_growing_with_a_confident_mistake():
    for z in (40.0, 400.0, 1e4):
        values, delta = evaluate(("log_loss", "logistic"), np.full((1, 1), z), np.zeros((1, 1)))
        assert_allclose([values[0], delta[0, 0]], [-log_expit(-z), 1.0])
        row = np.array([[z, 0.0, 0.0]])
        values, _ = evaluate(("log_loss", "softmax"), row, np.array([[0.0, 1.0, 0.0]]))
        assert_allclose(values, -log_softmax(row, axis=1)[:, 1])
        assert_allclose(values, logsumexp(row))


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
def test_shares_weigh_the_samples_and_stacks_equal_single_networks(key):
    rng = np.random.RandomState(0)
    z = rng.normal(size=(3, 8, 4))
    y, share = targets_for(key[1], z.shape, rng), rng.uniform(size=(3, 8, 1)) * np.ones(4)
    delta = z.copy()
    losses = LOSSES[key].value_and_delta(delta, y, share, Scratch(delta))
    for k in range(3):
        values, unweighted = evaluate(key, z[k], y[k])
        assert_allclose(losses[k], values @ share[k, :, 0])
        assert_allclose(delta[k], unweighted * share[k])


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_baseline_is_the_loss_of_the_class_frequencies(key, weighted):
    rng = np.random.RandomState(0)
    y = targets_for(key[1], (40, 3), rng)
    weight = rng.uniform(size=40) if weighted else np.ones(40)
    f = weight @ y / weight.sum()
    z = np.log(f) if key[1] == "softmax" else np.log(f / (1 - f))
    values, _ = evaluate(key, np.tile(z, (40, 1)), y)
    found = LOSSES[key].baseline(y, weight if weighted else None)
    assert_allclose(found, values @ weight / weight.sum())


@pytest.mark.parametrize("key", LOSSES, ids=" ".join)
def test_the_baseline_where_a_label_never_occurs(key):
    assert LOSSES[key].baseline(np.array([[1.0, 0.0], [1.0, 0.0]]), None) == 0
