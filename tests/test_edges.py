"""Numerical edges: numbers at the ends of their range, tables at the ends of theirs.

Everywhere a network is finite, and right where there is something to learn; or an error or a
warning names the setting and the remedy.
"""

import math
import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.base import is_classifier
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from test_properties import ESTIMATORS, check_parameters

from sknn_scratch import (
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)

X, MOONS = make_moons(200, noise=0.15, random_state=0)
NUMBERS = X[:, 0] + X[:, 1] ** 2
NETWORKS = [ScratchMLPClassifier, ScratchMLPRegressor]
estimators = pytest.mark.parametrize("estimator", ESTIMATORS)
networks = pytest.mark.parametrize("estimator", NETWORKS)


def make(estimator, **settings):
    if estimator is ScratchMLPEnsembleClassifier:
        settings["n_networks"] = 2
    return estimator(**{"hidden_layer_sizes": (20,), "random_state": 0} | settings)


def target(estimator):
    return MOONS if is_classifier(estimator()) else NUMBERS


def answer(model, X):
    p = model.predict_proba(X)[:, 1] if is_classifier(model) else model.predict(X)
    assert np.isfinite(p).all()
    return p


# ---------------------------------------------------------------- numbers


@estimators
@pytest.mark.parametrize("unit", [1e-300, 2.0**-1000, 1e300, 2.0**1000])
def test_units_at_the_ends(estimator, unit):
    y = target(estimator)
    expected = make(estimator).fit(X, y)
    found = make(estimator).fit(X * unit, y)
    check_parameters(found)
    assert_allclose(answer(found, X * unit), answer(expected, X), atol=1e-3)


@estimators
@pytest.mark.parametrize("unit", [5e-324, 1e-320, 1e-310])
def test_denormal_columns(estimator, unit):
    y = target(estimator)
    tiny = np.round(X * 1e3) * unit
    model = make(estimator).fit(tiny, y)
    check_parameters(model)
    assert model.score(tiny, y) > 0.9
    answer(model, X)


@estimators
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_steps_of_one_at_1e15(estimator, dtype):
    y = target(estimator)
    far = 1e15 + np.round(X * 1e3)
    assert make(estimator, dtype=dtype).fit(far, y).score(far, y) > 0.9


@pytest.mark.parametrize("unit", [1e-300, 1e300, 1e-310, 1.0])
@pytest.mark.parametrize("loss", ["huber", "squared_error", "poisson"])
def test_targets_at_the_ends(loss, unit):
    y = np.abs(NUMBERS) * unit
    model = make(ScratchMLPRegressor, loss=loss).fit(X, y)
    check_parameters(model)
    error = np.abs(answer(model, X) / unit - y / unit)
    assert np.median(error) < 0.2


def test_the_largest_targets():
    y = np.where(MOONS == 1, 1.7e308, -1.7e308)
    model = make(ScratchMLPRegressor, loss="squared_error").fit(X, y)
    predicted = answer(model, X)
    assert np.mean((predicted > 0) == MOONS) > 0.95
    # Beyond them there is no number: far outside a network may want to predict one.
    assert np.isfinite(answer(model, X * 1e6)).all()


@pytest.mark.parametrize("weight", [None, np.arange(200) % 3])
def test_the_largest_targets_as_they_are(weight):
    settings = {"scale_targets": False, "dtype": "float64", "max_iter": 3}
    for y in (np.full(200, 1e307), np.where(MOONS == 1, 1.7e308, -1.7e308)):
        model = make(ScratchMLPRegressor, **settings)
        with np.errstate(all="raise", under="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                answer(model.partial_fit(X, y, weight).fit(X, y, weight), X)
            except ValueError as error:
                assert "Training overflowed in epoch 1" in str(error)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_target_that_cannot_be_scaled(dtype):
    y = np.where(np.arange(200) == 3, 1.7e308, NUMBERS * 1e-20)
    message = rf"y holds 1\.7e\+308, which, centred and scaled .* too large for {dtype}.*clip y"
    with pytest.raises(ValueError, match=message):
        make(ScratchMLPRegressor, dtype=dtype).fit(X, y)
    with pytest.raises(ValueError, match=r"y holds 1e\+39, which is too large for float32"):
        make(ScratchMLPRegressor, dtype="float32", scale_targets=False).fit(X, y / 1.7e308 * 1e39)


@networks
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["logistic", "relu", "identity"])
def test_raw_numbers_that_are_too_large_for_a_network(estimator, dtype, activation):
    settings = {"scale_features": False, "dtype": dtype, "activation": activation}
    model = make(estimator, **settings)
    y = target(estimator)
    unit = {"float32": 1e25, "float64": 1e200}[dtype]
    message = rf"X has a value of size \S+, .* too large for {dtype}.*scale_features=True"
    for container in (np.asarray, csr_array):
        with pytest.raises(ValueError, match=message):
            model.fit(container(X * unit), y)
    model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for far in (X * 1e300, csr_array(X * 1e300), X * 1e35):
            try:
                answer(model, far)
            except ValueError as error:
                message = "cannot compute its units.*Scale X|too large for float32.*scale_features"
                assert re.search(message, str(error))


def test_units_that_are_not_numbers():
    settings = {"activation": "relu", "scale_features": False}
    model = make(ScratchMLPRegressor, hidden_layer_sizes=(20, 20), **settings).fit(X, NUMBERS)
    far = np.full((1, 2), 1.7e308) * [[1, -1]]
    for compute in (model.predict, model.hidden_activations):
        with pytest.raises(ValueError, match=r"cannot compute its units.*Scale X"):
            compute(far)
    model = make(ScratchMLPRegressor, **settings).fit(X, NUMBERS)
    assert all(np.isfinite(part).all() for part in model.hidden_activations(far))


# ---------------------------------------------------------------- tables


@networks
def test_one_row(estimator):
    model = make(estimator)
    if is_classifier(model):
        with pytest.raises(ValueError, match="one class only"):
            model.fit(X[:1], [1])
        return
    model.fit(X[:1], [3.0])
    assert_allclose(model.predict(X[:1]), 3.0, atol=1e-3)
    answer(model, X)


@estimators
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weight_on_rows_of_zeros_alone(estimator, dtype):
    rows = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0], [3.0, 1.0]] * 3)
    weight = np.array([1e290, 1e290, 1e-300, 1.0] * 3)
    model = make(estimator, dtype=dtype, max_iter=5)
    with np.errstate(over="raise", invalid="raise", divide="raise"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows, np.arange(12) % 2, sample_weight=weight)
        answer(model, rows)
    check_parameters(model)


@estimators
def test_one_column(estimator):
    x = np.linspace(-1, 1, 200)[:, None]
    y = np.abs(x[:, 0]) > 0.5 if is_classifier(estimator()) else np.abs(x[:, 0])
    assert make(estimator).fit(x, y).score(x, y) > 0.9


@estimators
def test_5000_columns(estimator):
    rng = np.random.RandomState(0)
    wide = rng.normal(size=(60, 5000))
    wide[:, 7] = np.arange(60) % 2 * 50
    y = np.arange(60) % 2
    model = make(estimator, max_iter=20).fit(wide, y)
    check_parameters(model)
    assert model.score(wide, y) > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [ScratchMLPClassifier, ScratchMLPEnsembleClassifier])
def test_1000_classes(estimator):
    rng = np.random.RandomState(0)
    y = np.arange(4000) % 1000
    code = (y[:, None] >> np.arange(10)) & 1
    many = code * 2.0 - 1 + 0.1 * rng.normal(size=(4000, 10))
    model = make(estimator, hidden_layer_sizes=(50,), max_iter=30).fit(many, y)
    p = model.predict_proba(many)
    assert p.shape == (4000, 1000)
    assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert model.score(many, y) > 0.9


@pytest.mark.parametrize("estimator", [ScratchMLPClassifier, ScratchMLPEnsembleClassifier])
def test_a_class_with_one_row(estimator):
    y = MOONS.copy()
    y[0] = 2
    far = X.copy()
    far[0] = [5, 5]
    model = make(estimator).fit(far, y)
    assert model.predict(far[:1]).tolist() == [2]
    assert model.score(far, y) > 0.95


@estimators
def test_rows_that_are_all_alike(estimator):
    y = np.arange(200) % 4 == 0
    model = make(estimator, max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(np.full((200, 3), 7.0), y)
    if is_classifier(model):
        assert_allclose(answer(model, [[7.0, 7.0, 7.0]]), 0.25, atol=0.03)
    else:
        squares = make(estimator, loss="squared_error").fit(np.full((200, 3), 7.0), y)
        assert_allclose(answer(squares, [[7.0, 7.0, 7.0]]), 0.25, atol=0.03)


@estimators
def test_rows_that_contradict_each_other(estimator):
    y = np.repeat([0, 1], 200)
    model = make(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(np.concatenate([X, X]), y)
    assert_allclose(answer(model, X), 0.5, atol=0.1)


# ---------------------------------------------------------------- settings


@estimators
@pytest.mark.parametrize("rate", [1e-300, 1e-12])
def test_next_to_no_learning_rate(estimator, rate):
    model = make(estimator, learning_rate_init=rate, max_iter=20)
    message = f"no better than .*learning_rate_init={rate}|hardly changed.*init={rate:g} is far"
    with pytest.warns(ConvergenceWarning, match=message):
        model.fit(X, target(estimator))
    check_parameters(model)


@networks
@pytest.mark.parametrize("rate", [1e6, 1e300])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("activation", ["logistic", "relu"])
def test_a_learning_rate_far_too_high(estimator, rate, solver, activation):
    settings = {"solver": solver, "activation": activation, "max_iter": 20}
    model = make(estimator, learning_rate_init=rate, **settings)
    name = rf"learning_rate_init={rate}".replace("+", r"\+")
    try:
        model.fit(X, target(estimator))
    except (ValueError, ConvergenceWarning) as error:
        assert re.search(rf"(overflowed in epoch|no better than).*{name}.*[Ll]ower", str(error))
    else:  # Adam's steps and rectified units know no scale
        assert model.score(X, target(estimator)) > 0.7


@networks
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_penalty_that_leaves_nothing(estimator, solver):
    model = make(estimator, alpha=1e10, solver=solver, max_iter=100)
    y = target(estimator)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*, lower alpha=10000000000\.0")
        try:
            model.fit(X, y)
        except ValueError as error:
            assert "epoch" in str(error) and "lower alpha=10000000000.0" in str(error)
            assert solver == "sgd"
            return
    check_parameters(model)
    assert np.ptp(answer(model, X)) < 1e-3
    assert_allclose(answer(model, X), np.mean(y), atol=0.2)


def test_a_penalty_that_overflows():
    for solver in ("adam", "lbfgs"):
        model = make(ScratchMLPClassifier, alpha=1e308, solver=solver, scale_features=False)
        with pytest.raises(ValueError, match=r"Training overflowed in epoch \d+ .*ower alpha"):
            model.fit(X * 1e-3, MOONS)


@pytest.mark.parametrize("alpha", [3.4028235677973366e38, 1e300])
def test_a_penalty_beyond_single_precision(alpha):
    model = make(ScratchMLPClassifier, alpha=alpha, dtype="float32")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"Training overflowed in epoch 1 .*ower alpha"):
            model.fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_tolerance_of_half_precision_and_losses_beyond_it(solver):
    model = ScratchMLPRegressor(
        (3,), loss="squared_error", scale_targets=False, solver=solver, alpha=1e6, max_iter=2
    ).set_params(tol=np.float16(0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, X[:, 0] * 1e5)
    assert np.isfinite(model.loss_)


@networks
def test_ten_hidden_layers(estimator):
    model = make(estimator, hidden_layer_sizes=(20,) * 10)
    assert model.fit(X, target(estimator)).score(X, target(estimator)) > 0.9


@estimators
@pytest.mark.parametrize("way", [{}, {"early_stopping": True}, {"activation": "relu"}])
def test_float32_throughout(estimator, way):
    single, y = X.astype(np.float32), target(estimator)
    model = make(estimator, dtype=None if "early_stopping" in way else "float32", **way)
    model.fit(single, y)
    for network in getattr(model, "networks_", [model]):
        arrays = [*network.coefs_, *network.intercepts_, *network.hidden_activations(single)]
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
    check_parameters(model)
    assert model.score(single, y) > 0.85
    assert math.isfinite(model.score(X, y))
