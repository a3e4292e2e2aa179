"""Losses at the pre-activations: their values, their derivatives, and their far ends."""

import judges
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, huber, log_expit, log_softmax, logsumexp, softmax
from sklearn.metrics import (
    brier_score_loss,
    log_loss,
    mean_poisson_deviance,
    mean_squared_error,
)

from sknn_scratch.network import losses
from sknn_scratch.network.links import INVERSE_LINKS, NUMBER_LINKS
from sknn_scratch.network.losses import LOSSES, Scratch, baseline_of, mean_loss

#: Losses of classes, and of numbers.
OF_CLASSES = [key for key in LOSSES if key[1] in INVERSE_LINKS]
OF_NUMBERS = [key for key in LOSSES if key[1] in NUMBER_LINKS]


def guard_for(key, n_outputs):
    """Some guard that a loss may have: of a softmax the same for all outputs."""
    rng = np.random.RandomState(5)
    guard = np.full(n_outputs, 0.3) if key[1] == "softmax" else rng.uniform(0.05, 0.25, n_outputs)
    return guard if "guarded" in key[0] else np.zeros(n_outputs)


def evaluate(key, z, y, guard=None):
    """Losses (n,) of one network's samples, and delta, leaving z alone."""
    one, values, deltas = np.ones_like(z[:1]), [], []
    guard = guard_for(key, z.shape[-1]) if guard is None else guard
    for i in range(len(z)):
        delta = z[i : i + 1].copy()
        values.append(LOSSES[key].value_and_delta(delta, y[i : i + 1], one, guard, Scratch(delta)))
        deltas.append(delta)
    return np.array(values), np.concatenate(deltas)


def targets_for(output, shape, rng):
    if output == "softmax":
        return np.eye(shape[-1])[rng.randint(shape[-1], size=shape[:-1])]
    if output == "exp":
        return rng.poisson(2, size=shape).astype(float)
    if output == "identity":
        return rng.normal(scale=3, size=shape)
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


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_guarded_squared_error_adds_as_much_of_the_log_loss_as_the_guard_says(output):
    rng = np.random.RandomState(0)
    z, key = rng.normal(size=(30, 4)), ("guarded_squared_error", output)
    y = targets_for(output, z.shape, rng)
    guard = guard_for(key, 4)
    p = softmax(z, axis=1) if output == "softmax" else expit(z)
    expected = judges.losses_of(key[0], p, y, guard, output == "softmax")
    assert_allclose(evaluate(key, z, y)[0], expected, rtol=1e-12)
    without = evaluate(("squared_error", output), z, y)
    for found, squares in zip(evaluate(key, z, y, np.zeros(4)), without, strict=True):
        assert_allclose(found, squares, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output", ["logistic", "softmax"])
def test_without_a_guard_it_is_that_of_a_guard_of_zero(output, dtype):
    rng = np.random.default_rng(4)
    z, y = rng.normal(0, 3, (12, 3)).astype(dtype), np.eye(3, dtype=dtype)[rng.integers(3, size=12)]
    weight, loss = np.full_like(z, 1 / 12), LOSSES["guarded_squared_error", output]
    found = []
    for guard in (None, np.zeros(3, dtype=dtype)):
        delta = z.copy()
        value = loss.value_and_delta(delta, y, weight, guard, Scratch(delta))
        found.append((value, delta))
    assert found[0][0] == found[1][0]
    assert_array_equal(found[0][1], found[1][1])


def test_only_the_squared_error_is_flat_where_the_true_class_has_no_probability():
    z, y = np.array([[40.0, -40.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    for output in ("softmax", "logistic"):
        slopes = {loss: evaluate((loss, output), z, y)[1][0, 1] for loss, _ in OF_CLASSES}
        guard = guard_for(("guarded_squared_error", output), 3)[1]
        assert abs(slopes["squared_error"]) < 1e-15
        assert_allclose([slopes["log_loss"], slopes["guarded_squared_error"]], [-1, -guard])


# ---------------------------------------------------------------- the guard

frequencies = st.lists(st.floats(0.001, 1), min_size=1, max_size=6)


@given(frequencies)
def test_the_guard_of_each_label_goes_by_how_rare_it_or_its_absence_is(f):
    guard = LOSSES["guarded_squared_error", "logistic"].guard(np.array(f))
    assert_allclose(guard, judges.guard_of(f, softmax=False), atol=1e-15)
    rarer = np.minimum(f, 1 - np.array(f))
    assert (np.diff(guard[rarer.argsort()]) <= 1e-15).all()


@given(frequencies)
def test_the_guard_of_classes_goes_by_the_rarest(f):
    f = np.array([*f, 0.5]) / (sum(f) + 0.5)
    guard = LOSSES["guarded_squared_error", "softmax"].guard(f)
    assert_allclose(guard, judges.guard_of(f, softmax=True), atol=1e-15)
    assert len(set(guard)) == 1


@pytest.mark.parametrize("f", [0.5, 0.3, 0.02, 1e-4])
def test_the_guard_makes_up_for_the_pull_that_the_squared_error_lacks(f):
    # Where every row has the frequency for its probability, the slope is a multiple of the mistake.
    # Of the squared error it is 2 f (1 - f), at most 1/2; the guard adds half of what is missing.
    y, p = np.array([[0.0], [1.0]]), np.array([f])
    z = np.log(p / (1 - p))[None].repeat(2, axis=0)
    guard = LOSSES["guarded_squared_error", "logistic"].guard(p)
    _, delta = evaluate(("guarded_squared_error", "logistic"), z, y, guard)
    pull = 2 * f * (1 - f)
    assert_allclose(delta / (f - y), pull + (0.5 - pull) / 2, rtol=1e-10)
    assert guard[0] == 0 if f == 0.5 else guard[0] > 0


@pytest.mark.parametrize("output", ["softmax", "logistic"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_other_losses_have_no_guard(loss, output):
    assert_array_equal(LOSSES[loss, output].guard(np.array([0.01, 0.2, 0.79])), 0)


@pytest.mark.parametrize("output", ["softmax", "logistic"])
def test_with_a_guard_the_least_loss_is_still_where_probabilities_are_right(output):
    f = np.array([0.02, 0.28, 0.7])
    guard = LOSSES["guarded_squared_error", output].guard(f)
    z = (np.log(f) if output == "softmax" else np.log(f / (1 - f)))[None]
    # The expected slope over what may come, each as often as f says.
    if output == "softmax":
        may_come, weights = np.eye(3), f
    else:
        may_come = np.array([[0, 0, 0], [1, 1, 1]])
        weights = np.array([1 - f, f])
    slopes = [
        evaluate(("guarded_squared_error", output), z, y[None].astype(float), guard)[1][0] * w
        for y, w in zip(may_come, weights, strict=True)
    ]
    assert np.abs(slopes).max() > 0.003
    assert_allclose(sum(slopes), 0, atol=1e-15)


# ---------------------------------------------------------------- the others


def test_log_loss_is_scikit_learns():
    rng = np.random.RandomState(0)
    z, labels = rng.normal(size=(30, 4)), rng.randint(4, size=30)
    values, _ = evaluate(("log_loss", "softmax"), z, np.eye(4)[labels])
    assert_allclose(values.mean(), log_loss(labels, softmax(z, axis=1)))

    z = rng.normal(size=(30, 1))
    values, _ = evaluate(("log_loss", "logistic"), z, (labels > 1).astype(float)[:, None])
    assert_allclose(values.mean(), log_loss(labels > 1, expit(z[:, 0])))


@pytest.mark.parametrize("key", OF_CLASSES, ids=" ".join)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_out_everything_is_finite_and_nothing_warns(key, dtype):
    z = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 1e4], [1e4, 1e4, 1e4]], dtype=dtype)
    y = np.eye(3, dtype=dtype)
    guard = guard_for(key, 3).astype(dtype)
    loss = LOSSES[key].value_and_delta(z, y, np.ones_like(z), guard, Scratch(z))
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
    guard = np.stack([k * guard_for(key, 4) for k in (1, 2, 3)])[:, None]
    delta = z.copy()
    losses = LOSSES[key].value_and_delta(delta, y, share, guard, Scratch(delta))
    for k in range(3):
        values, unweighted = evaluate(key, z[k], y[k], guard[k, 0])
        assert_allclose(losses[k], values @ share[k, :, 0])
        assert_allclose(delta[k], unweighted * share[k])


@pytest.mark.parametrize("loss", ["squared_error", "guarded_squared_error", "log_loss"])
def test_labels_may_have_weights_of_their_own(loss):
    rng, key = np.random.RandomState(0), (loss, "logistic")
    z, y = rng.normal(size=(8, 4)), rng.randint(2, size=(8, 4)).astype(float)
    share, delta, guard = rng.uniform(size=(8, 4)), z.copy(), guard_for(key, 4)
    found = LOSSES[key].value_and_delta(delta, y, share, guard, Scratch(delta))
    parts = [
        evaluate(key, z[:, [c]], y[:, [c]], guard[[c]])  # a label for itself
        for c in range(4)
    ]
    assert_allclose(found, sum(values @ share[:, c] for c, (values, _) in enumerate(parts)))
    assert_allclose(delta, np.hstack([slopes for _, slopes in parts]) * share)


@pytest.mark.parametrize("key", OF_CLASSES, ids=" ".join)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_baseline_is_the_loss_of_the_class_frequencies(key, weighted):
    rng = np.random.RandomState(0)
    y = targets_for(key[1], (40, 3), rng)
    weight = rng.uniform(size=40) if weighted else np.ones(40)
    f, guard = weight @ y / weight.sum(), guard_for(key, 3)
    z = np.log(f) if key[1] == "softmax" else np.log(f / (1 - f))
    values, _ = evaluate(key, np.tile(z, (40, 1)), y)
    assert_allclose(LOSSES[key].baseline(f, guard), values @ weight / weight.sum())


@pytest.mark.parametrize("key", OF_CLASSES, ids=" ".join)
def test_the_baseline_where_a_label_never_occurs(key):
    assert LOSSES[key].baseline(np.array([1.0, 0.0]), guard_for(key, 2)) == 0


# ---------------------------------------------------------------- numbers


def test_losses_of_numbers_are_those_of_scikit_learn_and_scipy():
    rng = np.random.RandomState(0)
    z, y = rng.normal(scale=2, size=(40, 3)), rng.normal(scale=2, size=(40, 3))
    squares, _ = evaluate(("squared_error", "identity"), z, y)
    assert_allclose(squares.mean(), 3 * mean_squared_error(y, z) / 2)
    robust, _ = evaluate(("huber", "identity"), z, y)
    assert_allclose(robust, huber(1.0, z - y).sum(axis=1))
    counts = rng.poisson(1.5, size=(40, 3)).astype(float)
    assert (counts == 0).any()
    deviance, _ = evaluate(("poisson", "exp"), z, counts)
    expected = [
        mean_poisson_deviance(c, np.exp(each)) / 2 for c, each in zip(counts.T, z.T, strict=True)
    ]
    assert_allclose(deviance.mean(), sum(expected))


def test_far_out_the_squared_error_pulls_with_the_error_and_hubers_loss_with_one():
    z, y = np.array([[1e4, -1e4, 1.0, -0.5]]), np.zeros((1, 4))
    _, squares = evaluate(("squared_error", "identity"), z, y)
    _, robust = evaluate(("huber", "identity"), z, y)
    assert_array_equal(squares, z)
    assert_array_equal(robust, [[1, -1, 1, -0.5]])


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_hubers_loss_of_targets_far_out_is_finite(size, dtype):
    z, y = np.zeros((1, 2), dtype), np.array([[size, -size]], dtype)
    loss = LOSSES["huber", "identity"].value_and_delta(z, y, np.ones_like(z), None, Scratch(z))
    assert_allclose(loss, 2 * size - 1, rtol=1e-6)
    assert_array_equal(z, [[-1, 1]])


@pytest.mark.parametrize("key", OF_NUMBERS, ids=" ".join)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_baseline_of_numbers_is_the_loss_of_their_mean(key, weighted):
    rng = np.random.RandomState(0)
    y = targets_for(key[1], (40, 3), rng)
    weight = rng.uniform(size=40) if weighted else np.ones(40)
    mean, guard = weight @ y / weight.sum(), np.zeros(3)
    values, _ = evaluate(key, np.tile(np.log(mean) if key[1] == "exp" else mean, (40, 1)), y)
    expected = values @ weight / weight.sum()
    given = 5 * weight[:, None] if weighted else None
    assert_allclose(baseline_of(key, mean, guard, y, given), expected)
    assert_allclose(baseline_of(key, mean, guard, y.astype(np.float32), given), expected, rtol=1e-5)


def test_the_baseline_of_the_squared_error_is_half_of_the_variance_and_of_the_deviance_sklearns():
    rng = np.random.RandomState(0)
    y = rng.poisson(2, size=(50, 2)).astype(float)
    guard, f = np.zeros(2), y.mean(axis=0)
    found = baseline_of(("squared_error", "identity"), f, guard, y, None)
    assert_allclose(found, y.var(axis=0).sum() / 2)
    found = baseline_of(("poisson", "exp"), f, guard, y, None)
    expected = [mean_poisson_deviance(c, np.full(50, c.mean())) / 2 for c in y.T]
    assert_allclose(found, sum(expected))


def test_the_baseline_of_counts_that_are_all_zero_is_zero():
    zeros, none = np.zeros((9, 1)), np.zeros(1)
    assert baseline_of(("poisson", "exp"), none, none, zeros, None) == 0


def test_a_mean_loss_is_the_same_in_any_unit_of_weight():
    rng = np.random.RandomState(0)
    z, y, weight = rng.normal(size=(9, 2)), rng.normal(size=(9, 2)), rng.uniform(size=(9, 1))
    row, guard = LOSSES["huber", "identity"], np.zeros(2)
    found = [mean_loss(row, z.copy(), y, factor * weight, guard) for factor in (1, 1e-9)]
    expected = np.average(huber(1.0, z - y).sum(axis=1), weights=weight[:, 0])
    assert_allclose(found, expected)
