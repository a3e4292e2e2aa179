"""Streams: scaling while they are young, weights and frequencies of all rows so far, no end."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from jobs import PLAIN
from judges import bounded, scaled, scaling_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.linear_model import SGDClassifier

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.network.stream_scaling import ENOUGH_ROWS, StreamScaling

IRIS, KINDS = load_iris(return_X_y=True)
LABELS = np.column_stack([KINDS == 0, IRIS[:, 0] > 5.8, IRIS[:, 1] > 3]).astype(int)
CONTAINERS = [np.asarray, sp.csr_matrix, sp.csr_array]
containers = pytest.mark.parametrize("container", CONTAINERS)


def make(**settings):
    start = {"hidden_layer_sizes": (8,), "random_state": 0}
    return ScratchMLPClassifier(**start | settings)


def rows_of(n, seed=0):
    """Raw numbers, words and a heavy tail, in quarters."""
    rng = np.random.RandomState(seed)
    columns = [
        rng.normal(2005, 9, n),
        rng.poisson(0.3, n) * 7,
        rng.standard_cauchy(n),
        rng.randint(2, size=n),
        rng.lognormal(7, 1, n),
    ]
    return np.round(4 * np.column_stack(columns)) / 4


# ---------------------------------------------------------------- scaling

CALLS = {
    "one row each": [1] * 40,
    "one row, then many": [1, 70, 200],
    "few each": [9, 9, 9, 9, 9, 9],
    "fewer and fewer": [50, 20, 5, 1, 40, 300],
    "until it is settled": [400, 300, 200, 200, 400],
    "settled at once": [1200, 300],
    "settled to the row": [999, 1, 500],
}


@containers
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("calls", CALLS)
def test_a_young_stream_is_scaled_anew_by_all_rows_whenever_they_have_doubled(
    calls, weighted, container
):
    sizes = CALLS[calls]
    X = rows_of(sum(sizes))
    weight = np.ones(len(X))
    if weighted:
        weight = np.random.RandomState(1).randint(3, size=len(X)).astype(float)
        weight[0] = 1
    there = np.flatnonzero(weight)[:1000]  # these count
    scaling, learnt_from = StreamScaling(), 0
    expected = None
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        part = slice(end - size, end)
        scaling = scaling.after(container(X[part]), weight[part])
        so_far = there[there < end]
        if learnt_from < 1000 and (len(so_far) >= min(1000, 2 * learnt_from) or not learnt_from):
            learnt_from = len(so_far)
            expected = scaling_of(X[so_far], weight[so_far])
        assert_allclose(scaling.features.mean, expected[0], rtol=1e-9, atol=1e-9)
        assert_allclose(scaling.features.scale, expected[1], rtol=1e-9)
        assert (scaling.rows is None) == (len(so_far) == 1000 == ENOUGH_ROWS)


@containers
def test_the_estimator_goes_by_it(container):
    X, y = rows_of(1200), np.arange(1200) % 2
    model = make()
    for end in range(100, 1201, 100):
        model.partial_fit(container(X[end - 100 : end]), y[end - 100 : end], classes=[0, 1])
        learnt_from = {100: 100, 200: 200, 300: 200, 1000: 1000}.get(end)
        if learnt_from:
            mean, scale = scaling_of(X[:learnt_from])
            assert_allclose(model.mean_, mean, rtol=1e-9, atol=1e-9)
            assert_allclose(model.scale_, scale, rtol=1e-9)
    settled = model.network_.features
    model.partial_fit(container(1e3 * X), y)
    assert model.network_.features is settled


def test_parts_may_be_dense_and_sparse_in_turn():
    X, y = rows_of(600), np.arange(600) % 2
    kinds = [np.asarray, sp.csr_array, sp.csr_matrix, np.asarray, sp.csc_array, pd.DataFrame]
    dense, mixed = make(), make()
    for k, kind in enumerate(kinds):
        part = slice(100 * k, 100 * k + 100)
        dense.partial_fit(X[part], y[part], classes=[0, 1])
        mixed.partial_fit(kind(X[part]), y[part], classes=[0, 1])
    assert_allclose(mixed.mean_, dense.mean_, rtol=1e-9)
    assert_allclose(mixed.predict_proba(X), dense.predict_proba(X), atol=1e-6)


def test_rows_are_kept_only_while_a_stream_is_young():
    X, y = rows_of(4000), np.arange(4000) % 2
    model, sizes = make(), []
    for end in range(200, 4001, 200):
        model.partial_fit(X[end - 200 : end], y[end - 200 : end], classes=[0, 1])
        sizes.append(len(pickle.dumps(model)))
    assert sizes[3] - sizes[0] >= 600 * 5 * 8
    assert sizes[4] < sizes[0]
    assert sizes[-1] < sizes[4] + 500  # the loss curve


def test_after_a_fit_its_scaling_stays():
    X, y = rows_of(300), np.arange(300) % 2
    model = make(max_iter=5).fit(X, y)
    before = model.network_.features
    model.partial_fit(10 * X, y).partial_fit(X[:3], y[:3])
    assert model.network_.features is before


def batch(n, seed, first=False):
    """Rows whose label is told by a raw column, constant at first, and hardly by another."""
    rng = np.random.RandomState(seed)
    amount = rng.lognormal(7, 1, n)
    hint = amount / 1000 + rng.normal(size=n)
    column = np.full(n, 40.0) if first else amount
    return np.column_stack([column, hint]), (np.log(amount) > 7).astype(int)


@containers
@pytest.mark.parametrize("n_first", [1, 100, 1500], ids=["one row", "some rows", "settled"])
def test_a_column_that_is_constant_at_first_is_not_lost(n_first, container):
    model = make(hidden_layer_sizes=(30,))
    X, y = batch(n_first, 0, first=True)
    model.partial_fit(container(X), y, classes=[0, 1])
    if n_first > 1:
        assert_allclose(model.predict_proba(container(X))[:, 1].std() > 0, True)
    for seed in range(1, 60):
        X, y = batch(100, seed)
        model.partial_fit(container(X), y)
        if seed == 1 and n_first == 1500:  # scaled by the first rows in which it varies
            assert_allclose(model.mean_[0], scaling_of(X)[0][0], rtol=1e-9)
            assert_allclose(model.scale_[0], scaling_of(X)[1][0], rtol=1e-9)
            first = model.mean_[0]
    if n_first == 1500:
        assert model.mean_[0] == first
    X, y = batch(2000, 99)
    assert model.score(container(X), y) > 0.95


@containers
def test_columns_that_begin_to_vary_one_after_the_other(container):
    X = np.zeros((2500, 4))
    rng = np.random.RandomState(0)
    X[:, 3] = rng.normal(size=2500)
    for j, begin in enumerate([1200, 1500, 1500]):
        X[begin:, j] = rng.normal(10.0**j, 3, size=2500 - begin)
    scaling = StreamScaling()
    for start in range(0, 2500, 100):
        scaling = scaling.after(container(X[start : start + 100]), np.ones(100))
    for j, begin in enumerate([1200, 1500, 1500]):
        mean, scale = scaling_of(X[begin : begin + 100, [j]])
        assert_allclose(scaling.features.mean[j], mean[0])
        assert_allclose(scaling.features.scale[j], scale[0])
    assert_allclose(scaling.features.mean[3], X[:1000, 3].mean())
    assert not len(scaling.constant)


def test_rows_without_weight_say_nothing_about_a_column():
    X, weight = rows_of(1100), np.ones(1100)
    X[:, 2] = 5
    X[1050:, 2], weight[1050:] = 1e6, 0
    scaling = StreamScaling().after(X[:1000], weight[:1000]).after(X[1000:], weight[1000:])
    assert scaling.constant.tolist() == [2]
    assert scaling.features.mean[2] == 5


# ---------------------------------------------------------------- weights and frequencies


def by_hand(parts, loss, rate, seen):
    """Plain gradient descent of a linear model, row by row; weights and guard by all rows so far.

    Each part has rows, targets (n, n_outputs), and weights (n, n_outputs).
    """
    n_outputs = parts[0][1].shape[1]
    W, b = np.zeros((seen.shape[1], n_outputs)), np.zeros(n_outputs)
    n_so_far, weight_so_far, present = 0, np.zeros(n_outputs), np.zeros(n_outputs)
    curve = []
    for rows, Y, weights in parts:
        for w, y in zip(weights, Y, strict=True):
            n_so_far += 1
            weight_so_far += w
            present += w * y
        f = present / weight_so_far
        guard = (1 - 2 * f) ** 2 / 4 if "guarded" in loss else float(loss == "log_loss")
        total, dW, db = 0, 0 * W, 0 * b
        for x, y, w in zip(seen[rows], Y, weights, strict=True):
            share = w * n_so_far / weight_so_far / len(rows)
            p = 1 / (1 + np.exp(-(x @ W + b)))
            squares = 0 if loss == "log_loss" else 1
            logs = -y * np.log(p) - (1 - y) * np.log(1 - p)
            total += (share * (squares * (p - y) ** 2 + guard * logs)).sum()
            delta = share * (squares * 2 * p * (1 - p) + guard) * (p - y)
            dW += np.outer(x, delta)
            db += delta
        curve.append(total)
        W -= rate * dW
        b -= rate * db
    return W, b, curve


@pytest.mark.parametrize("loss", ["guarded_squared_error", "squared_error", "log_loss"])
@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("weights", ["none", "of rows", "of classes", "of both", "in thousands"])
def test_weights_are_in_units_of_their_mean_and_frequencies_of_all_rows_so_far(
    weights, labels, loss
):
    rng = np.random.RandomState(0)
    order, seen = rng.permutation(150), scaled(IRIS, IRIS)
    parts = np.split(order, [1, 4, 5, 40, 80, 81])
    Y = LABELS if labels == 3 else LABELS[:, :1]
    # They grow, so that a unit of each call for itself would be another one.
    own = np.empty(150)
    own[order] = np.linspace(0.1, 5, 150) * (1000 if weights == "in thousands" else 1)
    own = own if weights in ("of rows", "of both", "in thousands") else np.ones(150)
    dicts = [{0: 1, 1: 4}, {0: 2, 1: 0.5}, {}][:labels]
    of_classes = np.ones(Y.shape)
    if weights in ("of classes", "of both"):
        of_classes = np.column_stack(
            [[given.get(value, 1) for value in y] for given, y in zip(dicts, Y.T, strict=True)]
        )
    class_weight = None
    if weights in ("of classes", "of both"):
        class_weight = dicts if labels == 3 else dicts[0]
    model = make(
        hidden_layer_sizes=(),
        solver="sgd",
        momentum=0,
        learning_rate_init=0.5,
        batch_size="at_most_200",
        loss=loss,
        class_weight=class_weight,
        **PLAIN,
    )
    model.coefs_, model.intercepts_ = [np.zeros((4, labels))], [np.zeros(labels)]
    for rows in parts:
        y = LABELS[rows] if labels == 3 else LABELS[rows, 0]
        weight = None if weights in ("none", "of classes") else own[rows]
        model.partial_fit(seen[rows], y, weight, classes=[0, 1, 2] if labels == 3 else [0, 1])
    data = [(rows, Y[rows], own[rows, None] * of_classes[rows]) for rows in parts]
    W, b, curve = by_hand(data, loss, 0.5, seen)
    assert_allclose(model.coefs_[0], W, rtol=1e-9)
    assert_allclose(model.intercepts_[0], b, rtol=1e-9)
    assert_allclose(model.loss_curve_, curve, rtol=1e-9)


def test_a_fit_is_the_history_of_the_stream_after_it():
    seen, y = scaled(IRIS, IRIS), (KINDS == 0).astype(int)
    settings = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0} | PLAIN
    settings |= {"learning_rate": "constant", "learning_rate_init": 0.5, "batch_size": 150}
    model = make(**settings, max_iter=1, n_iter_no_change=math.inf, warm_start=True)
    model.coefs_, model.intercepts_ = [np.zeros((4, 1))], [np.zeros(1)]
    with pytest.warns(match="Maximum iterations"):
        model.fit(seen, y, sample_weight=np.full(150, 3.0))
    rare = np.r_[0, 60:90]
    model.set_params(batch_size=31).partial_fit(seen[rare], y[rare], np.full(31, 9.0))
    data = [(rows, y[rows, None], np.full((len(rows), 1), w)) for rows, w in [(np.arange(150), 3)]]
    data.append((rare, y[rare, None], np.full((31, 1), 9.0)))
    W, _, curve = by_hand(data, "guarded_squared_error", 0.5, seen)
    assert_allclose(model.coefs_[0], W, rtol=1e-9)
    assert_allclose(model.loss_curve_, curve, rtol=1e-9)


def test_balanced_classes_are_refused_as_sgdclassifier_does():
    X, y = IRIS[:10], KINDS[:10]
    for model in (make(class_weight="balanced"), SGDClassifier(class_weight="balanced")):
        with pytest.raises(ValueError, match=r"partial_fit"):
            model.partial_fit(X, y, classes=[0, 1, 2])
        assert not hasattr(model, "coefs_")
    model = make().partial_fit(X, y, classes=[0, 1, 2])
    before = pickle.dumps(model.coefs_)
    with pytest.raises(ValueError, match="Give the weights as a dict, for instance"):
        model.set_params(class_weight="balanced").partial_fit(X, y)
    assert pickle.dumps(model.coefs_) == before


# ---------------------------------------------------------------- no end


class Unread(list):
    """A loss curve that may be written on, but not read or copied."""

    def refuse(self, *_):
        raise AssertionError("the curve was read")

    __iter__ = __getitem__ = __add__ = __radd__ = __contains__ = copy = refuse


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_call_writes_on_the_loss_curve_and_does_not_read_it(solver):
    model = make(solver=solver).partial_fit(IRIS, KINDS, classes=[0, 1, 2])
    twin = pickle.loads(pickle.dumps(model))
    curve = Unread(twin.loss_curve_)
    model.loss_curve_ = curve
    for _ in range(5):
        model.partial_fit(IRIS, KINDS)
        twin.partial_fit(IRIS, KINDS)
        assert model.loss_curve_ is curve
        assert model.best_loss_ == twin.best_loss_ == min(twin.loss_curve_)
    assert len(curve) == 6
    assert list.__eq__(curve, twin.loss_curve_)
    with pytest.raises(AssertionError, match="curve was read"):
        list(curve)


def test_a_call_that_fails_writes_nothing_on_the_loss_curve():
    model = make().partial_fit(IRIS, KINDS, classes=[0, 1, 2])
    curve = list(model.loss_curve_)
    with pytest.raises(ValueError, match=r"not in `self\.classes_`"):
        model.partial_fit(IRIS, KINDS + 1)
    with pytest.raises(ValueError, match="overflowed"):
        big = make(activation="identity", solver="sgd", learning_rate_init=1e300, **PLAIN)
        big.partial_fit(1e100 * IRIS, KINDS, classes=[0, 1, 2])
    assert model.loss_curve_ == curve


def test_streams_of_more_than_four_billion_rows():
    X, y = np.random.RandomState(0).normal(size=(40, 60)), np.arange(40) % 2
    settings = {"hidden_layer_sizes": (), "solver": "sgd", "momentum": 0, "input_dropout": 0.5}
    settings |= {"scale_features": False, "weight_decay": 0, "batch_size": 40}

    def columns_used(seen):
        """A column that is left out has no gradient."""
        model = make(**settings).partial_fit(X, y, classes=[0, 1])
        model.t_ = seen
        before = model.coefs_[0].copy()
        model.partial_fit(X, y)
        assert model.t_ == seen + 40
        return tuple((model.coefs_[0] != before).ravel())

    counts = [0, 40, 2**32 - 40, 2**32 - 1, 2**32, 2**32 + 40, 2**33, 2**62]
    used = [columns_used(seen) for seen in counts]
    assert len(set(used)) == len(counts)
    assert used == [columns_used(seen) for seen in counts]
    assert all(10 < sum(mask) < 50 for mask in used)


def test_columns_seen_in_training_are_those_of_prediction():
    # The scaling of a young stream may change from call to call; answers go by the last one.
    model = make(hidden_layer_sizes=())
    X, y = rows_of(300), np.arange(300) % 2
    for part in (slice(0, 20), slice(20, 90), slice(90, 300)):
        model.partial_fit(X[part], y[part], classes=[0, 1])
        x = bounded((X - model.mean_) / model.scale_)
        z = x @ model.coefs_[0] + model.intercepts_[0]
        assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-z[:, 0])), rtol=1e-9)


def test_the_scale_settles_with_the_first_thousand_rows():
    rows = np.random.RandomState(0).normal(size=(1200, 2))
    y = np.arange(1200) % 2

    def mean(n):
        clf = ScratchMLPClassifier((2,), random_state=0)
        return clf.partial_fit(rows[:n], y[:n], classes=[0, 1]).mean_

    assert_array_equal(mean(1200), mean(1000))
    assert (mean(999) != mean(1000)).all()
