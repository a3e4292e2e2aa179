"""Weights: their unit, rows that are absent or come twice, what rows are worth, their classes."""

import math
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from judges import effective_number, targets_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_iris, make_classification, make_moons
from sklearn.ensemble import AdaBoostClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.estimator.targets import task_of

IRIS, KINDS = load_iris(return_X_y=True)
CANCER, BENIGN = (part[:150] for part in load_breast_cancer(return_X_y=True))
LABELS = np.column_stack([KINDS == 0, IRIS[:, 0] > 5.8]).astype(int)
TARGETS = {
    "binary": (CANCER, BENIGN),
    "multiclass": (IRIS, load_iris().target_names[KINDS]),
    "multilabel": (IRIS, LABELS),
}
targets = pytest.mark.parametrize("target", TARGETS)

WAYS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "lbfgs": {"solver": "lbfgs", "alpha": 1.0, "max_iter": 30},
    "float32": {"dtype": "float32"},
    "log loss and a penalty": {"loss": "log_loss", "alpha": 1.0},
    "early stopping": {"early_stopping": True},
    "balanced": {"class_weight": "balanced"},
}
UNITS = [1.0, 1 / 150, 1000.0, 1e200, 1e-200]


def make(**settings):
    start = {"hidden_layer_sizes": (16,), "max_iter": 15, "random_state": 0}
    return ScratchMLPClassifier(**start | settings)


def fit(model, X, y, **fit_params):
    """That few epochs do not get far is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **fit_params)


def unequal(n, seed=0):
    """Weights from next to nothing to 4."""
    return np.random.RandomState(seed).uniform(0, 2, size=n) ** 2


# ---------------------------------------------------------------- their unit


@targets
@pytest.mark.parametrize("way", WAYS)
def test_equal_weights_are_no_weights_whatever_their_unit(way, target):
    X, y = TARGETS[target]
    none = fit(make(**WAYS[way]), X, y)
    for unit in UNITS:
        given = fit(make(**WAYS[way]), X, y, sample_weight=np.full(len(y), unit))
        assert_allclose(given.predict_proba(X), none.predict_proba(X), atol=1e-9)
        assert_allclose(given.loss_curve_, none.loss_curve_, rtol=1e-6)
        assert given.t_ == none.t_


@targets
@pytest.mark.parametrize("way", WAYS)
def test_the_unit_of_weights_makes_no_difference(way, target):
    X, y = TARGETS[target]
    weight = unequal(len(y))
    one = fit(make(**WAYS[way]), X, y, sample_weight=weight)
    none = fit(make(**WAYS[way]), X, y)
    assert np.abs(one.predict_proba(X) - none.predict_proba(X)).max() > 0.01
    for unit in UNITS[1:]:
        other = fit(make(**WAYS[way]), X, y, sample_weight=weight * unit)
        assert_allclose(other.predict_proba(X), one.predict_proba(X), atol=1e-9)
        for name in ("weight_decay_", "input_dropout_", "loss_"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6)


def test_the_unit_of_weights_of_validation_rows_makes_no_difference():
    weight = unequal(50)
    models = [
        fit(
            make(early_stopping=True, scoring="loss"),
            IRIS,
            KINDS,
            X_val=IRIS[::3],
            y_val=KINDS[::3],
            sample_weight_val=weight * unit,
        )
        for unit in UNITS
    ]
    for model in models[1:]:
        losses = model.validation_loss_curve_
        assert_allclose(losses, models[0].validation_loss_curve_, rtol=1e-9)


def test_class_weights_in_counts_and_in_inverse_counts():
    X, y = make_classification(600, weights=[0.97], flip_y=0.1, random_state=0)
    counts = np.bincount(y)
    weights = [
        "balanced",
        {0: 1 / counts[0], 1: 1 / counts[1]},
        {0: counts[1], 1: counts[0]},
        {0: 7 * counts[1], 1: 7 * counts[0]},
    ]
    first, *others = (fit(make(class_weight=each), X, y).predict_proba(X) for each in weights)
    for other in others:
        assert_allclose(other, first, atol=1e-9)
    assert np.abs(fit(make(), X, y).predict_proba(X) - first).max() > 0.1


# ---------------------------------------------------------------- rows


@targets
@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("early stopping", "balanced")])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_a_row_of_weight_zero_is_an_absent_row(container, way, target):
    # In minibatches as well, and with "auto" for all that goes by the number of rows.
    X, y = TARGETS[target]
    weight = unequal(len(y))
    weight[np.random.RandomState(1).permutation(len(y))[: len(y) // 3]] = 0
    there = weight > 0
    spoilt = np.where(there[:, None], X, 1e6)
    settings = WAYS[way] | {"hidden_layer_sizes": (40,), "max_iter": "auto"}
    if way == "lbfgs":
        settings["max_iter"] = 5
    zero = fit(make(**settings), container(spoilt), y, sample_weight=weight)
    absent = fit(make(**settings), container(X[there]), y[there], sample_weight=weight[there])
    assert_allclose(zero.predict_proba(X), absent.predict_proba(X), atol=1e-6)
    for name in ("t_", "n_iter_", "batch_size_", "learning_rate_init_", "input_dropout_"):
        assert getattr(zero, name) == pytest.approx(getattr(absent, name), rel=1e-9)


@targets
@pytest.mark.parametrize("way", [way for way in WAYS if way not in ("early stopping", "balanced")])
def test_a_row_of_weight_two_is_a_row_that_comes_twice(way, target):
    # In full batches, without what goes by the number of rows.
    X, y = TARGETS[target]
    counts = np.random.RandomState(0).randint(4, size=len(y))
    settings = WAYS[way] | {"weight_decay": 0, "input_dropout": 0, "alpha": 0, "max_iter": 15}
    weighted = make(**settings, batch_size=np.count_nonzero(counts))
    repeated = make(**settings, batch_size=counts.sum())
    fit(weighted, X, y, sample_weight=counts)
    fit(repeated, X.repeat(counts, axis=0), y.repeat(counts, axis=0))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=2e-6)
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-5)
    assert weighted.n_iter_ == repeated.n_iter_


@targets
@pytest.mark.parametrize("weighted", [False, True])
def test_the_order_of_rows_makes_no_difference_to_a_full_batch(target, weighted):
    X, y = TARGETS[target]
    weight = unequal(len(y)) if weighted else np.ones(len(y))
    order = np.random.RandomState(1).permutation(len(y))
    one, other = (
        fit(make(batch_size=len(y)), X[rows], y[rows], sample_weight=weight[rows])
        for rows in (np.arange(len(y)), order)
    )
    assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-9)


# ---------------------------------------------------------------- what rows are worth


@targets
@pytest.mark.parametrize("weights", ["any", "whole", "of rows and labels"])
def test_effective_number(target, weights):
    _, y = TARGETS[target]
    rng = np.random.RandomState(0)
    task = task_of(y, None)
    width = task.n_outputs if weights == "of rows and labels" else 1
    weight = rng.uniform(0, 2, size=(len(y), width))
    weight = rng.randint(3, size=weight.shape) if weights == "whole" else weight
    if target == "multiclass":
        weight = weight[:, :1]
    found = task.effective_number(task.encode(y, float), weight)
    # Row by row: of each class, or of each label's two, the square of the sum over that of squares.
    columns = targets_of(y).T
    if target != "multiclass":
        columns = [side for column in columns for side in (column, 1 - column)]
    expected = 0
    for k, column in enumerate(columns):
        own = weight[:, (k // 2 if target == "multilabel" else 0) % weight.shape[1]]
        total = sum(w for w, there in zip(own, column, strict=True) if there)
        squares = sum(w * w for w, there in zip(own, column, strict=True) if there)
        expected += total**2 / squares
    expected /= 2 if target == "multilabel" else 1
    assert found == pytest.approx(expected, rel=1e-12)
    if weight.shape[1] == 1:
        assert effective_number(y, weight[:, 0]) == pytest.approx(expected, rel=1e-12)
    assert 0 < found < len(y)
    assert task.effective_number(task.encode(y, float), 7 * weight) == pytest.approx(found)


@targets
def test_rows_are_worth_their_number_if_their_classes_weigh_alike(target):
    _, y = TARGETS[target]
    task = task_of(y, None)
    encoded = task.encode(y, float)
    weight = np.where(encoded[:, :1] == 1, 0.01, 50.0)
    if target == "multilabel":
        weight = np.where(encoded == 1, 0.01, 50.0)
    if target == "multiclass":
        weight = (encoded @ [0.01, 1, 50])[:, None]
    for each in (None, np.ones_like(weight), weight):
        assert task.effective_number(encoded, each) == pytest.approx(len(y), rel=1e-12)


def test_a_class_without_weight_is_worth_nothing():
    task = task_of(KINDS, None)
    weight = np.array([0.0, 3.0, 3.0])[KINDS][:, None]
    assert task.effective_number(task.encode(KINDS, float), weight) == pytest.approx(100)


def test_what_goes_by_the_number_of_rows_goes_by_what_they_are_worth():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(600, 64)), np.arange(600) % 2
    weight = rng.uniform(0, 1, size=600)
    worth = effective_number(y, weight)
    assert 400 < worth < 500
    model = fit(make(max_iter=1), X, y, sample_weight=weight)
    assert model.input_dropout_ == pytest.approx(64 / worth - 0.05, rel=1e-9)
    # The noise is at most 1, and for labels like these it is.
    assert model.weight_decay_ == pytest.approx(5 / (model.learning_rate_init_ * worth), rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_penalty_goes_by_what_rows_are_worth(weighted):
    # It has one minimum, which another solver finds.
    X, weight = (CANCER - CANCER.mean(axis=0)) / CANCER.std(axis=0), unequal(150)
    weight = weight if weighted else np.ones(150)
    settings = {"scale_features": False, "solver": "lbfgs", "max_iter": "auto", "tol": 1e-8}
    ours = make(hidden_layer_sizes=(), loss="log_loss", alpha=3.0, **settings)
    ours.fit(X, BENIGN, sample_weight=weight)
    # mean(w l) / mean(w) + alpha / 2 / worth |W|², times worth / alpha
    share = weight / weight.sum() * effective_number(BENIGN, weight)
    theirs = LogisticRegression(C=1 / 3, solver="newton-cholesky", tol=1e-10)
    theirs.fit(X, BENIGN, sample_weight=share)
    assert_allclose(ours.coefs_[0].ravel(), theirs.coef_.ravel(), atol=1e-3)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=2e-4)


# ---------------------------------------------------------------- weights of classes


@pytest.mark.parametrize("loss", ["guarded_squared_error", "squared_error", "log_loss"])
@pytest.mark.parametrize("weights", ["balanced", {0: 1, 1: 5}, {0: 2, 1: 1}])
def test_where_x_tells_nothing_the_answer_is_the_weighted_frequency(weights, loss):
    # Whatever the batches: 30 rows of 3,000 are positive, and few batches have one.
    n, share = 3000, 0.01
    y = np.arange(n) % 100 < 100 * share
    odds = share / (1 - share)
    if weights == "balanced":
        odds = 1
    else:
        odds *= weights[1] / weights[0]
    settings = {"hidden_layer_sizes": (), "class_weight": weights, "loss": loss}
    model = make(**settings, max_iter="auto").fit(np.zeros((n, 1)), y)
    p = model.predict_proba(np.zeros((1, 1)))[0, 1]
    assert math.log(p / (1 - p)) == pytest.approx(math.log(odds), abs=0.35)


@pytest.mark.parametrize("target", ["binary", "multilabel"])
def test_balanced_classes_need_no_guard(target):
    X, y = TARGETS[target]
    guarded, squares = (
        fit(make(class_weight="balanced", loss=loss), X, y)
        for loss in ("guarded_squared_error", "squared_error")
    )
    assert_allclose(guarded.predict_proba(X), squares.predict_proba(X), atol=1e-9)
    assert_allclose(guarded.loss_curve_, squares.loss_curve_, rtol=1e-9)
    plain = [fit(make(loss=model.loss), X, y).loss_ for model in (guarded, squares)]
    assert plain[0] > plain[1] + 1e-4


# ---------------------------------------------------------------- boosting


def test_adaboost_starts_from_a_plain_fit_and_gets_better():
    X, y = make_moons(300, noise=0.25, random_state=0)
    boosted = AdaBoostClassifier(make(hidden_layer_sizes=(2,)), n_estimators=8, random_state=0)
    fit(boosted, X[:200], y[:200])  # its weights are shares that sum to one
    first = boosted.estimators_[0]
    plain = fit(make(hidden_layer_sizes=(2,), random_state=first.random_state), X[:200], y[:200])
    assert_allclose(first.predict_proba(X), plain.predict_proba(X), atol=1e-9)
    assert_array_equal(len(boosted.estimators_), 8)
    assert boosted.score(X[200:], y[200:]) >= plain.score(X[200:], y[200:]) + 0.02
