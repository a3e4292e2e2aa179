"""What must make no difference, put to the estimators as a whole.

===================================  ==========================================================
makes no difference                  where it is held
===================================  ==========================================================
unit of the weights of rows          ``test_weights`` (classifier), here (regressor, ensemble)
weight 2 and a row that comes twice  ``test_weights``, ``test_same_numbers``,
                                     ``test_same_numbers_of_regression``, here (ensemble)
weight 0 and an absent row           ``test_weights``, ``test_regressor`` (the scale), here
order of rows, in a full batch       ``test_weights`` (classifier), here (regressor, ensemble)
unit of columns                      ``test_features``, ``test_edges`` (at the ends)
order of columns                     here
names of classes, of levels          here
unit and shift of y                  ``test_regressor``
type, layout, container of X         ``test_properties``; of y: ``test_regressor``
other rows of a prediction           ``test_threads`` (large blocks), here (each row alone)
size of blocks                       here, ``test_network``
K stacked or single                  ``test_stack``, ``test_stacked_backend``, ``test_ensemble``
number of cores                      ``test_threads``
all but the seed                     ``test_estimator``, ``test_ensemble``, here (regressor)
a fit, to the rest of the process    here; thread limits: ``test_threads`` too
a fit, to the arrays given           ``test_properties``, ``test_sparse``
a failed fit, to the estimator       ``test_fitted``, ``test_bad_input``, ``test_properties``
===================================  ==========================================================
"""

import os
import random
import signal
import sys
import tempfile
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning
from test_properties import ESTIMATORS
from threadpoolctl import threadpool_info

from sknn_scratch import (
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)

X, MOONS = make_moons(120, noise=0.2, random_state=0)
X = np.column_stack([X, np.random.RandomState(0).normal(size=120)])
NUMBERS = X[:, 0] - X[:, 1] ** 2
IRIS, KINDS = load_iris(return_X_y=True)
WEIGHT = np.random.RandomState(1).uniform(0, 2, size=120) ** 2

estimators = pytest.mark.parametrize("estimator", ESTIMATORS)
others = pytest.mark.parametrize("estimator", [ScratchMLPRegressor, ScratchMLPEnsembleClassifier])
networks = pytest.mark.parametrize("estimator", [ScratchMLPClassifier, ScratchMLPRegressor])
#: It has one minimum, to which L-BFGS comes from everywhere, to three digits and more.
LINEAR = {
    "hidden_layer_sizes": (),
    "solver": "lbfgs",
    "alpha": 1.0,
    "tol": 1e-9,
    "max_iter": 1000,
    "random_state": 0,
}


def make(estimator, **settings):
    start = {"hidden_layer_sizes": (12,), "max_iter": 15, "random_state": 0, "dtype": "float64"}
    if estimator is ScratchMLPEnsembleClassifier:
        start["n_networks"] = 2
    return estimator(**start | settings)


def target(estimator):
    return MOONS if is_classifier(estimator()) else NUMBERS


def fit(model, *args, **kwargs):
    """That few epochs do not get far is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*args, **kwargs)


def answer(model, X):
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


# ---------------------------------------------------------------- weights and rows


@others
@pytest.mark.parametrize("unit", [1 / 120, 1000.0, 1e200, 1e-200])
def test_unit_of_weights(estimator, unit):
    y = target(estimator)
    one = fit(make(estimator), X, y, sample_weight=WEIGHT)
    other = fit(make(estimator), X, y, sample_weight=WEIGHT * unit)
    assert_allclose(answer(other, X), answer(one, X), atol=1e-9)
    assert np.abs(answer(fit(make(estimator), X, y), X) - answer(one, X)).max() > 0.01


@others
def test_weight_zero_and_an_absent_row(estimator):
    y = target(estimator)
    weight = WEIGHT * (np.arange(120) % 3 > 0)
    there = weight > 0
    spoilt, wrong = np.where(there[:, None], X, 1e6), np.where(there, y, 0)
    zero = fit(make(estimator, max_iter="auto"), spoilt, wrong, sample_weight=weight)
    absent = fit(make(estimator, max_iter="auto"), X[there], y[there], sample_weight=weight[there])
    assert_allclose(answer(zero, X), answer(absent, X), atol=1e-6)


def test_weight_two_and_a_row_that_comes_twice():
    counts = np.random.RandomState(0).randint(4, size=120)
    # One batch: the ensemble has no batch size of its own, and takes about 64 rows as one.
    rows = np.flatnonzero(np.cumsum(counts) <= 80)
    # Two columns: with more, their encoded ones are left out at random, by the number of rows.
    settings, few = {"weight_decay": 0.0}, X[:, :2]
    weighted = make(ScratchMLPEnsembleClassifier, **settings)
    repeated = make(ScratchMLPEnsembleClassifier, **settings)
    fit(weighted, few[rows], MOONS[rows], sample_weight=counts[rows])
    fit(repeated, few[rows].repeat(counts[rows], axis=0), MOONS[rows].repeat(counts[rows]))
    assert weighted.networks_[0].batch_size_ == np.count_nonzero(counts[rows])
    assert repeated.networks_[0].batch_size_ == counts[rows].sum()
    assert_allclose(answer(weighted, few), answer(repeated, few), atol=2e-6)


@others
def test_order_of_rows_in_a_full_batch(estimator):
    y, order = target(estimator), np.random.RandomState(0).permutation(80)
    settings = {} if estimator is ScratchMLPEnsembleClassifier else {"batch_size": 80}
    one, other = (
        fit(make(estimator, **settings), X[rows], y[rows], sample_weight=WEIGHT[rows])
        for rows in (np.arange(80), order)
    )
    assert_allclose(answer(one, X), answer(other, X), atol=1e-9)


# ---------------------------------------------------------------- columns, levels and classes

ORDER = [2, 0, 1]


@networks
def test_order_of_columns_of_a_network_that_starts_alike(estimator):
    y = target(estimator)
    settings = {"warm_start": True, "batch_size": 120, "input_dropout": 0, "weight_decay": 0}
    one, other = make(estimator, **settings), make(estimator, **settings)
    fit(one, X, y), fit(other, X[:, ORDER], y)
    other.coefs_ = [one.coefs_[0][ORDER], *one.coefs_[1:]]
    other.intercepts_ = one.intercepts_
    fit(one, X, y), fit(other, X[:, ORDER], y)
    assert_allclose(answer(other, X[:, ORDER]), answer(one, X), atol=1e-9)


@networks
def test_order_of_columns_of_a_model_with_one_minimum(estimator):
    y = target(estimator)
    loss = {"loss": "log_loss"} if is_classifier(estimator()) else {"loss": "squared_error"}
    one = estimator(**LINEAR, **loss).fit(X, y)
    other = estimator(**LINEAR, **loss).fit(X[:, ORDER], y)
    assert_allclose(answer(other, X[:, ORDER]), answer(one, X), atol=1e-3)


@pytest.mark.parametrize("estimator", [ScratchMLPClassifier, ScratchMLPEnsembleClassifier])
@pytest.mark.parametrize(
    "names",
    [
        [-7, 0, 1],
        [0.0, 1.0, 2.0],
        ["a", "b", "c"],
        ["A", "a", "ä"],
        [2**40, 2**50, 2**62],
        np.array(["x", "y", "z"], dtype=object),
    ],
    ids=str,
)
def test_names_of_classes_in_the_same_order(estimator, names):
    names = np.asarray(names)
    one, other = fit(make(estimator), IRIS, KINDS), fit(make(estimator), IRIS, names[KINDS])
    assert_array_equal(answer(other, IRIS), answer(one, IRIS))
    assert_array_equal(other.predict(IRIS), names[one.predict(IRIS)])
    assert_array_equal(other.classes_, names)


def test_two_names_of_classes():
    one = fit(make(ScratchMLPClassifier), X, MOONS)
    for names in ([False, True], ["no", "yes"], [-1, 1]):
        other = fit(make(ScratchMLPClassifier), X, np.array(names)[MOONS])
        assert_array_equal(answer(other, X), answer(one, X))


@pytest.mark.parametrize("order", [[1, 0, 2], [2, 1, 0], [1, 2, 0]])
def test_names_of_classes_in_another_order(order):
    # Class k of the one is class order[k] of the other.
    settings = LINEAR | {"loss": "log_loss"}
    one = ScratchMLPClassifier(**settings).fit(IRIS, KINDS)
    other = ScratchMLPClassifier(**settings).fit(IRIS, np.array(order)[KINDS])
    assert_allclose(answer(other, IRIS)[:, order], answer(one, IRIS), atol=1e-3)
    swapped = ScratchMLPClassifier(**settings).fit(X, 1 - MOONS)
    two = ScratchMLPClassifier(**settings).fit(X, MOONS)
    assert_allclose(answer(swapped, X)[:, ::-1], answer(two, X), atol=1e-3)


def words(names, dtype):
    levels = np.asarray(names, dtype=object)[np.arange(120) % 3]
    return pd.DataFrame({"a": X[:, 0], "b": pd.Series(levels, dtype=dtype)})


@estimators
@pytest.mark.parametrize("names", [["", "k", "ü"], ["00", "1", "10"], ["B", "a", "b"]])
@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_names_of_levels_in_the_same_order(estimator, names, dtype):
    y = target(estimator)
    one = fit(make(estimator), words([*"pqr"], object), y)
    other = fit(make(estimator), words(names, dtype), y)
    assert_array_equal(answer(other, words(names, dtype)), answer(one, words([*"pqr"], object)))


@networks
def test_names_of_levels_in_another_order(estimator):
    y = target(estimator)
    loss = {"loss": "log_loss"} if is_classifier(estimator()) else {"loss": "squared_error"}
    one, other = words([*"pqr"], object), words(["z", "m", "a"], object)
    found = [answer(estimator(**LINEAR, **loss).fit(table, y), table) for table in (one, other)]
    assert_allclose(found[1], found[0], atol=1e-3)


# ---------------------------------------------------------------- predictions


@estimators
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_each_row_alone(estimator, dtype):
    """Also of a raw table, whose parts may lack words and gaps that the whole has."""
    table = words(["p", "q", None], object)
    table.loc[::7, "a"] = np.nan
    y = target(estimator)
    for whole in (X, X.astype(dtype), table):
        model = fit(make(estimator, dtype=dtype), whole, y)
        rows = [whole[i : i + 1] for i in range(0, 120, 5)]
        alone = np.concatenate([answer(model, row) for row in rows])
        assert_allclose(alone, answer(model, whole)[::5], rtol=1e-5, atol=1e-6)


@networks
@pytest.mark.parametrize("block_values", [1, 12, 50, 333, 10**9])
def test_size_of_blocks(estimator, block_values):
    model = fit(make(estimator), X, target(estimator))
    found = model.network_.outputs(X, block_values=block_values)
    assert_allclose(found, model.network_.outputs(X), rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- the process


def test_the_seed_decides_all():
    one = fit(make(ScratchMLPRegressor, hidden_layer_sizes=(30,)), X, NUMBERS)
    np.random.seed(7)  # noqa: NPY002
    again = fit(make(ScratchMLPRegressor, hidden_layer_sizes=(30,)), X, NUMBERS)
    assert_array_equal(answer(again, X), answer(one, X))
    other = fit(make(ScratchMLPRegressor, hidden_layer_sizes=(30,), random_state=1), X, NUMBERS)
    assert np.abs(answer(other, X) - answer(one, X)).max() > 1e-3


def surroundings():
    """What a fit must leave alone."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "NumPy's random numbers": (kind, keys.tolist(), *rest),
        "Python's random numbers": random.getstate(),
        "filters of warnings": list(warnings.filters),
        "NumPy's error state": (np.geterr(), np.geterrcall()),
        "NumPy's print options": np.get_printoptions(),
        "scikit-learn's configuration": sklearn.get_config(),
        "limits of threads": [
            (info["filepath"], info["num_threads"]) for info in threadpool_info()
        ],
        "environment": dict(os.environ),
        "temporary files": os.listdir(tempfile.gettempdir()),
        "files here": os.listdir(),
        "open files": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
        "folder": os.getcwd(),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "limits of Python": (sys.getrecursionlimit(), sys.getswitchinterval()),
        "threads that keep the process": [t for t in threading.enumerate() if not t.daemon],
        "hooks": (sys.excepthook, threading.excepthook, sys.stdout, sys.stderr),
    }


class Interrupting:
    """A scorer that is interrupted, or fails, when it is called for the third time."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, estimator, X, y):
        self.calls += 1
        if self.calls == 3:
            raise self.error
        return 1.0


WAYS = {
    "it works": lambda model, X, y: model.fit(X, y),
    "weights and validation rows": lambda model, X, y: model.set_params(early_stopping=True).fit(
        X, y, sample_weight=WEIGHT, X_val=X, y_val=y, sample_weight_val=WEIGHT
    ),
    "wrong parameter": lambda model, X, y: model.set_params(max_iter=0).fit(X, y),
    "wrong X": lambda model, X, y: model.fit(np.where(X > 0, np.inf, -np.inf), y),
    "wrong y": lambda model, X, y: model.fit(X, np.full(120, np.nan)),
    "it overflows": lambda model, X, y: model.set_params(learning_rate_init=1e308).fit(X, y),
    "it fails": lambda model, X, y: model.set_params(
        early_stopping=True, scoring=Interrupting(RuntimeError("no"))
    ).fit(X, y),
    "Ctrl-C": lambda model, X, y: model.set_params(
        early_stopping=True, scoring=Interrupting(KeyboardInterrupt())
    ).fit(X, y),
    "a warning is an error": lambda model, X, y: model.set_params(learning_rate_init=1e-9).fit(
        X, y
    ),
    "predictions": lambda model, X, y: model.fit(X, y).predict(X[:0]),
}
FAIL = ("wrong parameter", "wrong X", "wrong y", "it overflows", "it fails", "predictions")


@estimators
@pytest.mark.parametrize("way", WAYS)
def test_a_fit_leaves_its_surroundings_as_they_were(estimator, way, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model, y = make(estimator, max_iter=5), target(estimator)
    fit(make(estimator), X, y)  # what is loaded at first use is there
    given = X.copy(), y.copy()
    with np.errstate(divide="raise", under="ignore"), np.printoptions(precision=3):
        before, failed = surroundings(), False
        try:
            with warnings.catch_warnings():
                action = "error" if way == "a warning is an error" else "ignore"
                warnings.simplefilter(action, UserWarning)
                inside = list(warnings.filters)
                try:
                    WAYS[way](model, X, y)
                finally:
                    assert list(warnings.filters) == inside
        except (ValueError, RuntimeError, UserWarning):
            failed = True
        after = surroundings()
    assert failed == (way in FAIL or way == "a warning is an error")
    assert after.keys() == before.keys()
    for what in before:
        assert after[what] == before[what], what
    assert_array_equal(X, given[0])
    assert_array_equal(y, given[1])


@pytest.mark.parametrize("state", ["raise", "warn", "print"])
@estimators
def test_numpys_error_state_makes_no_difference(estimator, state):
    """Far-out values, saturated units: what overflows in between is no error."""
    y = target(estimator)
    far = X * np.where(np.arange(120) % 10 == 0, 1e200, 1)[:, None]
    expected = fit(make(estimator), far, y)
    with np.errstate(over=state, invalid=state, divide=state, under="ignore"):
        found = fit(make(estimator), far, y)
        assert_array_equal(answer(found, far), answer(expected, far))
