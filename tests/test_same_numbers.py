"""The same numbers as MLPClassifier in the same process; and where not, why.

MLPClassifier is an independent judge of every activation, solver, weighting and stopping rule. It
takes sample_weight from scikit-learn 1.7 on. Before that, and beside it, whole weights are judged
by repeated rows.
"""

import ast
import copy
import inspect
import io
import pickle
import re
import warnings
from contextlib import contextmanager, redirect_stdout
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
import sklearn
from judges import effective_number
from mlp_defaults import MLPDefaults
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.utils import shuffle

from sknn_scratch import MLP_CLASSIFIER_SETTINGS, ScratchMLPClassifier

ACTIVATIONS = ["identity", "logistic", "tanh", "relu"]
SKLEARN = tuple(map(int, sklearn.__version__.split(".")[:2]))
TAKES_WEIGHTS = "sample_weight" in inspect.signature(MLPClassifier.fit).parameters


def load_binary():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X)[:250], y[:250]


def load_multiclass():
    iris = load_iris()
    return scale(iris.data), iris.target_names[iris.target]


def load_multilabel():
    X, digit = load_digits(return_X_y=True)
    labels = [digit % 2 == 0, digit > 4, np.isin(digit, [0, 6, 8, 9])]
    return X[:250] / 16, np.column_stack(labels)[:250].astype(int)


DATA = {
    "binary": load_binary(),
    "multiclass": load_multiclass(),
    "multilabel": load_multilabel(),
}
tasks = pytest.mark.parametrize("task", DATA)
activations = pytest.mark.parametrize("activation", ACTIVATIONS)

LEARNING_RATES = {"sgd": 0.05, "adam": 0.01}


def settings(solver, **changes):
    """Parameters that both classes take: some epochs of some batches, the last one short."""
    start = {
        "hidden_layer_sizes": (10, 6),
        "solver": solver,
        "learning_rate_init": LEARNING_RATES.get(solver, 0.001),
        "batch_size": 40,
        "max_iter": 20,
        "random_state": 3,
    }
    return start | changes


@contextmanager
def expected_warnings():
    """That max_iter ends a fit is no surprise; nor that old MLPClassifiers meet a new SciPy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", ".*`iprint` options of the L-BFGS-B", DeprecationWarning)
        yield


def fitted_again(model, X, y, **fit_params):
    with expected_warnings():
        return model.fit(X, y, **fit_params)


def fitted(cls, params, X, y, **fit_params):
    return fitted_again(cls(**params), X, y, **fit_params)


def parameters_of(model):
    return [*model.coefs_, *model.intercepts_]


def assert_same_network(ours, theirs, X, tol=1e-8):
    for part, other in zip(parameters_of(ours), parameters_of(theirs), strict=True):
        np.testing.assert_allclose(part, other, rtol=0, atol=tol)
        assert part.dtype == other.dtype
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=tol)


def assert_same_fit(ours, theirs, X, tol=1e-8):
    """All that a fit leaves behind agrees."""
    assert_same_network(ours, theirs, X, tol)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=tol)
    assert ours.loss_ == pytest.approx(theirs.loss_, abs=tol)
    assert ours.best_loss_ == pytest.approx(theirs.best_loss_, abs=tol)
    assert ours.validation_scores_ == pytest.approx(theirs.validation_scores_)
    assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_)
    for name in ["n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"]:
        assert getattr(ours, name) == getattr(theirs, name), name
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    assert ours.predict(X).dtype == theirs.predict(X).dtype


def distance(model, other):
    """Largest difference between the parameters of two networks of one shape."""
    pairs = zip(parameters_of(model), parameters_of(other), strict=True)
    return max(abs(part - others).max() for part, others in pairs)


# ---------------------------------------------------------------- the grid


@tasks
@activations
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_grid(task, activation, solver):
    X, y = DATA[task]
    params = settings(solver, activation=activation)
    ours, theirs = fitted(MLPDefaults, params, X, y), fitted(MLPClassifier, params, X, y)
    assert theirs.n_iter_ >= 15
    assert theirs.loss_ < theirs.loss_curve_[0]
    assert_same_fit(ours, theirs, X)


# Weights. A batch is divided by its number of rows here, and by the sum of its weights there: so it
# is the batches of all rows that agree, and a test shows that the others do not. The penalty is
# divided by what the rows are worth (see judges.effective_number), and there by the sum of the
# weights: so the judge gets weights of which that is the sum, or an alpha that makes up for it.


@tasks
@activations
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_whole_weights_are_repeated_rows(task, activation, solver):
    X, y = DATA[task]
    counts = np.random.RandomState(0).randint(4, size=len(X))
    params = settings(solver, activation=activation, n_iter_no_change=np.inf)
    some, all_rows = np.count_nonzero(counts), counts.sum()
    ours = fitted(MLPDefaults, params | {"batch_size": some}, X, y, sample_weight=counts)
    alpha = 1e-4 * all_rows / effective_number(y, counts)
    judge = params | {"batch_size": all_rows, "alpha": alpha}
    theirs = fitted(MLPClassifier, judge, X.repeat(counts, axis=0), y.repeat(counts, axis=0))
    assert_same_network(ours, theirs, X)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=1e-8)
    assert theirs.n_iter_ >= 15
    assert ours.t_ == 20 * some
    unweighted = fitted(MLPDefaults, params | {"batch_size": len(X)}, X, y)
    assert distance(ours, unweighted) > 1e-3


WEIGHTED_GRID = [
    (task, activation, solver)
    for task in DATA
    for activation in ACTIVATIONS
    for solver in ("sgd", "adam")
    if TAKES_WEIGHTS  # where it does not, the judge is the test above
]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("task, activation, solver", WEIGHTED_GRID or [(None, None, None)])
def test_grid_with_weights(task, activation, solver, alpha):
    if not TAKES_WEIGHTS:
        # So that the empty grid is the version's doing, not a slip of ours.
        with pytest.raises(TypeError, match="sample_weight"):
            MLPClassifier().fit([[0], [1]], [0, 1], sample_weight=[1, 1])
        return
    X, y = DATA[task]
    weights = np.random.RandomState(0).uniform(0, 3, size=len(X))
    params = settings(solver, activation=activation, batch_size=len(X), alpha=alpha)
    ours = fitted(MLPDefaults, params, X, y, sample_weight=weights)
    if alpha:
        weights = weights * effective_number(y, weights) / weights.sum()
    theirs = fitted(MLPClassifier, params, X, y, sample_weight=weights)
    assert theirs.n_iter_ >= 15
    assert_same_fit(ours, theirs, X)
    assert distance(ours, fitted(MLPDefaults, params, X, y)) > 1e-3


@tasks
@activations
def test_a_minibatch_is_divided_by_its_rows(task, activation):
    # The judge repeats the rows of a batch, and divides by how many these are then. Plain gradient
    # descent at a rate that makes up for it takes the steps that we take.
    X, y = DATA[task]
    y = np.unique(y, return_inverse=True)[1] if y.ndim == 1 else y
    counts = np.random.RandomState(0).randint(4, size=len(X))
    rows = np.flatnonzero(counts)
    params = settings("sgd", activation=activation, alpha=0.0, momentum=0.0, shuffle=False)
    params |= {"max_iter": 3, "batch_size": 40, "learning_rate_init": 0.5}
    order = np.random.RandomState(1).permutation(rows)
    ours = fitted(MLPDefaults, params, X[order], y[order], sample_weight=counts[order])
    judge = MLPClassifier(**params | {"warm_start": True, "max_iter": 1})
    start = fitted(MLPDefaults, params | {"max_iter": 1, "learning_rate_init": 1e-300}, X, y)
    fitted_again(judge.set_params(batch_size=len(X)), X, y)
    judge.coefs_, judge.intercepts_ = start.coefs_, start.intercepts_
    curve = []
    for _ in range(3):
        losses = []
        for first in range(0, len(order), 40):
            batch = order[first : first + 40]
            share = counts[batch].sum() / (len(batch) * counts[rows].mean())
            repeated = batch.repeat(counts[batch])
            assert len(np.unique(y[batch], axis=0)) >= 2
            judge.set_params(batch_size=len(repeated), learning_rate_init=0.5 * share)
            fitted_again(judge, X[repeated], y[repeated])
            losses.append(judge.loss_ * share * len(batch))
        curve.append(sum(losses) / len(order))
    assert_same_network(ours, judge, X)
    np.testing.assert_allclose(ours.loss_curve_, curve, rtol=1e-9)


@tasks
def test_minibatches_pull_on_average_as_all_rows_do(task):
    # At a rate next to zero, an epoch moves the parameters by the sum of the gradients of its
    # batches. Of ours it is that of all rows, whatever they weigh; of MLPClassifier's it is not.
    X, y = (part[::-1][:150] for part in DATA[task])
    weights = np.random.RandomState(0).uniform(size=150) ** 8  # few are heavy
    params = settings("sgd", alpha=0.0, momentum=0.0, max_iter=1, learning_rate_init=1e-6)
    start = fitted(MLPDefaults, params | {"learning_rate_init": 1e-300}, X, y)

    def pull(cls, batch_size):
        model = fitted(cls, params | {"batch_size": batch_size}, X, y, sample_weight=weights)
        pairs = zip(parameters_of(model), parameters_of(start), strict=True)
        return (
            np.concatenate([(part - before).ravel() for part, before in pairs]) * batch_size / 150
        )

    whole = pull(MLPClassifier if TAKES_WEIGHTS else MLPDefaults, 150)
    size = np.abs(whole).max()
    np.testing.assert_allclose(pull(MLPDefaults, 150), whole, rtol=0, atol=1e-6 * size)
    for batch_size in (10, 30):
        np.testing.assert_allclose(pull(MLPDefaults, batch_size), whole, rtol=0, atol=1e-4 * size)
        if TAKES_WEIGHTS:
            assert np.abs(pull(MLPClassifier, batch_size) - whole).max() > 0.05 * size


@tasks
def test_the_defaults_of_mlpclassifier(task):
    X, y = DATA[task]  # two batches of the automatic size, but for iris, which is one
    seed = {"random_state": 3}
    ours = fitted(ScratchMLPClassifier, MLP_CLASSIFIER_SETTINGS | seed, X, y)
    theirs = fitted(MLPClassifier, seed, X, y)
    assert ours.batch_size_ == min(200, len(X))
    assert_same_fit(ours, theirs, X)


# ---------------------------------------------------------------- one setting at a time

VARIANTS = {
    "invscaling": settings("sgd", learning_rate="invscaling", power_t=0.1),
    "adaptive": settings("sgd", learning_rate="adaptive", tol=0.05, n_iter_no_change=2),
    "nesterovs_momentum off": settings("sgd", nesterovs_momentum=False),
    "no momentum": settings("sgd", momentum=0.0),
    "full momentum": settings("sgd", momentum=1.0, learning_rate_init=1e-4),
    "adam's constants": settings("adam", beta_1=0.5, beta_2=0.9, epsilon=0.01),
    "adam without memory": settings("adam", beta_1=0.0, beta_2=0.0, epsilon=0.1),
    "large alpha": settings("sgd", alpha=10.0),
    "large alpha, adam": settings("adam", alpha=10.0),
    "no alpha": settings("sgd", alpha=0.0),
    "shuffle off": settings("sgd", shuffle=False),
    "shuffle off, adam": settings("adam", shuffle=False),
    "batches of one row": settings("sgd", batch_size=1, learning_rate_init=0.005, max_iter=15),
    "batches of 7 rows": settings("adam", batch_size=7),
    "one batch": settings("adam", batch_size=150),
    "automatic batches": {k: v for k, v in settings("sgd").items() if k != "batch_size"},
    "early stopping": settings("adam", early_stopping=True, max_iter=40, n_iter_no_change=15),
    "early stopping, sgd": settings("sgd", early_stopping=True, validation_fraction=0.3),
    "early stopping, adaptive": settings(
        "sgd", early_stopping=True, learning_rate="adaptive", n_iter_no_change=2, max_iter=40
    ),
    "a plateau": settings("sgd", tol=0.02, n_iter_no_change=12, max_iter=100),
    "no hidden layer": settings("sgd", hidden_layer_sizes=()),
    "no hidden layer, adam": settings("adam", hidden_layer_sizes=()),
    "one hidden layer, as an int": settings("adam", hidden_layer_sizes=12),
    "three hidden layers": settings("adam", hidden_layer_sizes=[8, 7, 6], activation="tanh"),
}


@cache
def without_the_variant(task, solver, max_iter):
    return fitted(MLPClassifier, settings(solver, max_iter=max_iter), *rows_of(task))


def rows_of(task):
    X, y = DATA[task]
    return X[::-1][:150], y[::-1][:150]


def labels_for(params, y):
    """Numbers in place of strings for early stopping, which fails on strings there before 1.9."""
    if y.dtype.kind == "U" and params.get("early_stopping"):
        return np.unique(y, return_inverse=True)[1]
    return y


@tasks
@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(task, variant):
    X, y = rows_of(task)
    params = VARIANTS[variant]
    y = labels_for(params, y)
    ours, theirs = fitted(MLPDefaults, params, X, y), fitted(MLPClassifier, params, X, y)
    assert theirs.n_iter_ >= 15
    assert_same_fit(ours, theirs, X)
    other = without_the_variant(task, params["solver"], params["max_iter"])
    assert theirs.loss_curve_ != other.loss_curve_, "the variant must make a difference"


def test_adaptive_variants_meet_plateaus():
    X, y = rows_of("binary")
    for variant in ("adaptive", "early stopping, adaptive"):
        constant = VARIANTS[variant] | {"learning_rate": "constant"}
        assert fitted(MLPClassifier, constant, X, y).n_iter_ < 15


def test_adam_ignores_the_learning_rates_of_sgd():
    X, y = rows_of("multiclass")
    constant = fitted(MLPDefaults, settings("adam"), X, y)
    for learning_rate in ("invscaling", "adaptive"):
        params = settings("adam", learning_rate=learning_rate)
        ours, theirs = fitted(MLPDefaults, params, X, y), fitted(MLPClassifier, params, X, y)
        assert_same_fit(ours, theirs, X)
        assert distance(ours, constant) == 0


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_early_stopping_with_weights(solver):
    # In whole numbers, and 1 for all where the judge takes no weights.
    X, y = DATA["binary"]
    params = settings(solver, early_stopping=True, max_iter=30, n_iter_no_change=14)
    params |= {"batch_size": 225, "alpha": 0.0}
    weights = np.ones(len(X))
    if TAKES_WEIGHTS:
        weights = np.random.RandomState(0).randint(1, 5, size=len(X))
    given = {"sample_weight": weights} if TAKES_WEIGHTS else {}
    ours = fitted(MLPDefaults, params, X, y, sample_weight=weights)
    theirs = fitted(MLPClassifier, params, X, y, **given)
    assert theirs.n_iter_ >= 15
    assert_same_fit(ours, theirs, X)


@tasks
@activations
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_float32(task, activation, solver):
    X, y = DATA[task]
    X = X.astype(np.float32)
    params = settings(solver, activation=activation)
    ours, theirs = fitted(MLPDefaults, params, X, y), fitted(MLPClassifier, params, X, y)
    assert theirs.n_iter_ >= 15
    assert_same_fit(ours, theirs, X, tol=1e-3)
    assert {part.dtype for part in parameters_of(ours)} == {np.dtype(np.float32)}
    assert ours.predict_proba(X).dtype == np.float32


@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_sparse(container, solver):
    X, y = DATA["multilabel"]
    X = container(X)
    ours = fitted(MLPDefaults, settings(solver), X, y)
    theirs = fitted(MLPClassifier, settings(solver), X, y)
    assert_same_fit(ours, theirs, X)


# ---------------------------------------------------------------- one fit after another

WARM = {
    "sgd": settings("sgd", max_iter=15),
    "adam": settings("adam", max_iter=15),
    "invscaling": settings("sgd", max_iter=15, learning_rate="invscaling", power_t=0.2),
    "adaptive": settings(
        "sgd", max_iter=15, learning_rate="adaptive", tol=0.02, n_iter_no_change=3
    ),
    "a plateau": settings("sgd", max_iter=60, tol=0.001),
    "early stopping": settings("sgd", max_iter=15, early_stopping=True, learning_rate_init=0.004),
}


@tasks
@pytest.mark.parametrize("kind", WARM)
def test_warm_start_over_three_fits(task, kind):
    X, y = DATA[task]
    y = labels_for(WARM[kind], y)
    params = WARM[kind] | {"warm_start": True}
    ours, theirs = MLPDefaults(**params), MLPClassifier(**params)
    for call in range(3):
        for model in (ours, theirs):
            fitted_again(model, X[call:], y[call:])
        assert_same_fit(ours, theirs, X)
        # Else its next fit writes over what early stopping has kept: see the last section.
        theirs.coefs_ = [W.copy() for W in theirs.coefs_]
        theirs.intercepts_ = [b.copy() for b in theirs.intercepts_]
    assert len(theirs.loss_curve_) >= 20
    assert theirs.loss_ < theirs.loss_curve_[0]


PARTIAL = {
    "sgd": WARM["sgd"],
    "adam": WARM["adam"],
    "invscaling": WARM["invscaling"],
    # A lower rate after every second call.
    "adaptive": WARM["adaptive"] | {"tol": 10.0, "n_iter_no_change": 1},
}


@tasks
@pytest.mark.parametrize("kind", PARTIAL)
def test_ten_calls_of_partial_fit(task, kind):
    X, y = DATA[task]
    params = PARTIAL[kind] | {"batch_size": 16}
    classes = np.unique(y) if y.ndim == 1 else [0, 1, 2]
    ours, theirs = MLPDefaults(**params), MLPClassifier(**params)
    for call in range(10):
        rows = slice(call, None, 2)
        for model in (ours, theirs):
            model.partial_fit(X[rows], y[rows], classes=classes)
        assert_same_fit(ours, theirs, X)
    assert len(theirs.loss_curve_) == 10
    assert theirs.loss_ < theirs.loss_curve_[0]


@pytest.mark.parametrize("kind", PARTIAL)
def test_partial_fit_after_fit(kind):
    # It goes on with the state of the solver: a new one would take other steps.
    X, y = DATA["multiclass"]
    ours, theirs = (fitted(cls, PARTIAL[kind], X, y) for cls in (MLPDefaults, MLPClassifier))
    for _ in range(3):
        assert_same_fit(ours.partial_fit(X, y), theirs.partial_fit(X, y), X)
    anew = fitted(MLPDefaults, PARTIAL[kind] | {"warm_start": True}, X, y)
    with pytest.warns(ConvergenceWarning):
        anew.set_params(max_iter=1).fit(X, y)
    assert anew.loss_curve_[:15] == pytest.approx(ours.loss_curve_[:15])
    assert anew.loss_ != pytest.approx(ours.loss_curve_[15], rel=1e-4)


# ---------------------------------------------------------------- lbfgs

# MLPClassifier clips probabilities to [eps, 1 - eps], eps = 2.2e-16, in the value of its log loss
# but not in the gradient. Where its line search comes to a point at which some true class is less
# probable than that, it judges values of one function by the slopes of another, and goes on from
# there on a way of its own. In these cases of the grid it does. There the judge is handed the exact
# value, and all else of it is as it is; in all others it is MLPClassifier as it comes.
CLIPPED = {
    ("multiclass", "logistic", "no weights"),
    ("multilabel", "relu", "no weights"),
}
if TAKES_WEIGHTS:
    CLIPPED |= {
        ("binary", "logistic", "sample_weight"),
        ("multiclass", "relu", "sample_weight"),
        ("multilabel", "relu", "sample_weight"),
    }

LBFGS = {
    "solver": "lbfgs",
    "hidden_layer_sizes": (10, 5),
    "alpha": 1e-4,
    "max_iter": 20,
    "random_state": 3,
}
WEIGHTINGS = ["no weights", "repeated rows", *(["sample_weight"] if TAKES_WEIGHTS else [])]


def outputs_at(theta, X, n_outputs, params):
    """Pre-activations of the outputs, written out; theta packed as MLPClassifier packs it."""
    sizes = [X.shape[1], *params["hidden_layer_sizes"], n_outputs]
    shapes = [*pairwise(sizes), *((n,) for n in sizes[1:])]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    parts = [part.reshape(s) for part, s in zip(np.split(theta, ends), shapes, strict=False)]
    coefs, intercepts = parts[: len(sizes) - 1], parts[len(sizes) - 1 :]
    activation = {
        "identity": lambda z: z,
        "logistic": expit,
        "tanh": np.tanh,
        "relu": lambda z: np.maximum(z, 0),
    }[params["activation"]]
    z = X @ coefs[0] + intercepts[0]
    for W, b in zip(coefs[1:], intercepts[1:], strict=True):
        z = activation(z) @ W + b
    return z, params["alpha"] / 2 * sum((W**2).sum() for W in coefs)


def exact_log_loss(theta, X, Y, weights, params):
    """Log loss and penalty, in which no probability is rounded."""
    z, penalty = outputs_at(theta, X, Y.shape[1], params)
    if Y.shape[1] > 1 and (Y.sum(axis=1) == 1).all():
        losses = -(Y * log_softmax(z, axis=1)).sum(axis=1)
    else:
        losses = -(Y * log_expit(z) + (1 - Y) * log_expit(-z)).sum(axis=1)
    return np.average(losses, weights=weights) + penalty / weights.sum()


def targets(y):
    """0 or 1, one column an output."""
    if y.ndim == 2:
        return y
    classes = np.unique(y)
    return (y[:, None] == (classes[1:] if len(classes) == 2 else classes)).astype(int)


class Evaluation(NamedTuple):
    theta: np.ndarray
    value: float
    exact: float
    grad: np.ndarray


def watched_lbfgs(monkeypatch, params, X, y, weights=None, *, hand_exact=False):
    """A fit by MLPClassifier, and all evaluations of its loss.

    With hand_exact, its line search is handed the exact value in place of its own.
    """
    seen, minimize, Y = [], scipy.optimize.minimize, targets(y)
    given = {} if weights is None else {"sample_weight": weights}
    all_weights = np.ones(len(X)) if weights is None else weights

    def watched(function, start, args=(), **options):
        def evaluate(theta, *rest):
            value, grad = function(theta, *rest)
            exact = exact_log_loss(theta, X, Y, all_weights, params)
            seen.append(Evaluation(theta.copy(), value, exact, grad.copy()))
            return (exact if hand_exact else value), grad

        return minimize(evaluate, start, args=args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(scipy.optimize, "minimize", watched)
        model = fitted(MLPClassifier, params, X, y, **given)
    assert seen
    return model, seen


def first_clipped(seen):
    """Number of the first evaluation whose value is visibly off, or None.

    In the grid it is off by 6 % or more, or by 1e-8 or less, where a loss near zero counts each
    probability that rounds to 1 as 1 - eps.
    """
    return next((i for i, e in enumerate(seen) if abs(e.value - e.exact) > 1e-3 * e.exact), None)


def lbfgs_data(task, weighting):
    """Rows and weights for us; the same for the judge, and what its alpha is to be times."""
    X, y = DATA[task]
    X, y = X[:150], y[:150]
    if weighting == "repeated rows":
        counts = np.random.RandomState(0).randint(1, 4, size=len(X))
        rows = np.repeat(np.arange(len(X)), counts)
        return (X, y, counts), (X[rows], y[rows]), len(rows) / effective_number(y, counts)
    if weighting == "sample_weight":
        weights = np.random.RandomState(0).uniform(0.2, 2, size=len(X))
        same = weights * effective_number(y, weights) / weights.sum()
        return (X, y, weights), (X, y, same), 1
    return (X, y), (X, y), 1


@tasks
@activations
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_lbfgs(task, activation, weighting, monkeypatch):
    for_us, for_them, times = lbfgs_data(task, weighting)
    params = LBFGS | {"activation": activation}
    with expected_warnings():
        ours = MLPDefaults(**params).fit(*for_us)
    params = params | {"alpha": params["alpha"] * times}
    theirs, seen = watched_lbfgs(monkeypatch, params, *for_them)
    clipped = first_clipped(seen) is not None
    assert clipped == ((task, activation, weighting) in CLIPPED)
    if clipped:
        theirs, _ = watched_lbfgs(monkeypatch, params, *for_them, hand_exact=True)
    assert ours.n_iter_ == theirs.n_iter_ >= 15
    assert ours.loss_ == pytest.approx(theirs.loss_, abs=1e-6)
    X = for_us[0]
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-6)
    assert (ours.out_activation_, ours.n_outputs_) == (theirs.out_activation_, theirs.n_outputs_)


def test_why_lbfgs_can_go_another_way(monkeypatch):
    X, y = DATA["multiclass"]
    params = LBFGS | {"activation": "logistic"}
    theirs, seen = watched_lbfgs(monkeypatch, params, X, y)
    handed, seen_handed = watched_lbfgs(monkeypatch, params, X, y, hand_exact=True)
    ours = fitted(MLPDefaults, params, X, y)

    # With its own value it ends elsewhere; with the exact one, where we end.
    assert abs(theirs.loss_ - ours.loss_) > 1e-3
    assert handed.loss_ == pytest.approx(ours.loss_, abs=1e-9)

    # The ways part at a point where its value is not the loss whose gradient it gives.
    at = first_clipped(seen)
    assert at > 0
    # Rounding grows to 4e-12 on the way, and to as much as 7e-10 in the last step, which is long.
    for one, other in zip(seen[: at + 1], seen_handed[: at + 1], strict=True):
        np.testing.assert_allclose(one.theta, other.theta, rtol=0, atol=1e-7)
    assert abs(seen[at + 1].theta - seen_handed[at + 1].theta).max() > 1e-3
    theta, value, exact, grad = seen[at]
    assert exact - value > 1

    # The gradient is that of the exact loss.
    def loss(theta):
        return exact_log_loss(theta, X, targets(y), np.ones(len(X)), params)

    direction = grad / np.linalg.norm(grad)
    slope = (loss(theta + 1e-5 * direction) - loss(theta - 1e-5 * direction)) / 2e-5
    assert slope == pytest.approx(np.linalg.norm(grad), rel=1e-6)

    # The value is the loss of clipped probabilities, which has another slope.
    def clipped(theta):
        z, penalty = outputs_at(theta, X, 3, params)
        p = np.clip(softmax(z, axis=1), np.finfo(float).eps, 1 - np.finfo(float).eps)
        return -np.log(p[targets(y) == 1]).mean() + penalty / len(X)

    assert clipped(theta) == pytest.approx(value, rel=1e-9)
    slope = (clipped(theta + 1e-5 * direction) - clipped(theta - 1e-5 * direction)) / 2e-5
    assert slope < 0.9 * np.linalg.norm(grad)


LBFGS_VARIANTS = {
    "no hidden layer": {"hidden_layer_sizes": ()},
    "large alpha": {"alpha": 10.0},
    "few evaluations": {"max_fun": 7},
    "large tol": {"tol": 0.05},
    "converged": {"alpha": 1.0, "max_iter": 1000, "hidden_layer_sizes": ()},
}


@tasks
@pytest.mark.parametrize("variant", LBFGS_VARIANTS)
def test_lbfgs_variant(task, variant):
    X, y = DATA[task]
    base = LBFGS | {"activation": "tanh"}
    params = base | LBFGS_VARIANTS[variant]
    ours, theirs = fitted(MLPDefaults, params, X, y), fitted(MLPClassifier, params, X, y)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, abs=1e-6)
    other = fitted(MLPClassifier, base, X, y)
    assert theirs.loss_ != pytest.approx(other.loss_, abs=1e-6), "the variant must be one"
    assert variant != "converged" or theirs.n_iter_ < 200


@tasks
def test_lbfgs_warm_start_over_three_fits(task):
    X, y = DATA[task]
    params = LBFGS | {"activation": "tanh", "warm_start": True, "max_iter": 7}
    ours, theirs = MLPDefaults(**params), MLPClassifier(**params)
    losses = []
    for _ in range(3):
        for model in (ours, theirs):
            fitted_again(model, X, y)
        assert ours.n_iter_ == theirs.n_iter_
        assert ours.loss_ == pytest.approx(theirs.loss_, abs=1e-6)
        losses.append(theirs.loss_)
    assert losses[0] > losses[1] > losses[2]


# ---------------------------------------------------------------- deliberate differences
#
# Where MLPClassifier errs. Each test shows what it does and what ScratchMLPClassifier does, in the
# same process; docs/coming_from/mlpclassifier.md lists them. A test that fails on a new
# scikit-learn, in the part that is about theirs, may well mean that it has been put right there.


def with_outputs(cls, coef, intercept, X, y, **params):
    """A model without hidden layers that has these parameters."""
    start = {
        "hidden_layer_sizes": (),
        "max_iter": 1,
        "warm_start": True,
        "learning_rate_init": 1e-9,
    }
    model = fitted(cls, start | params, X, y)
    model.coefs_ = [np.array(coef, dtype=model.coefs_[0].dtype)]
    model.intercepts_ = [np.array(intercept, dtype=model.coefs_[0].dtype)]
    return model


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("outputs", [1, 3])
def test_log_loss_of_a_confident_mistake(outputs, dtype):
    # One row in three is wrong, by 1000: so the mean loss is 1000 / 3. Theirs ends at -log(eps).
    X, y = np.array([[1], [2], [2]], dtype), np.arange(3) if outputs == 3 else [0, 1, 1]
    coef, intercept = ([[1000.0]], [0.0]) if outputs == 1 else (np.zeros((1, 3)), [0, 500, 1000])
    losses = {}
    for cls in (MLPClassifier, MLPDefaults):
        model = with_outputs(cls, coef, intercept, X, y, alpha=0.0)
        losses[cls] = fitted_again(model, X, y).loss_
    exact = 1000 / 3 if outputs == 1 else (1000 + 500) / 3
    assert losses[MLPDefaults] == pytest.approx(exact, rel=1e-6)
    clipped = -np.log(np.finfo(dtype).eps) * (1 if outputs == 1 else 2) / 3
    assert losses[MLPClassifier] == pytest.approx(clipped, rel=1e-6)


@pytest.mark.parametrize("outputs", [1, 3])
def test_log_probabilities_are_finite(outputs):
    X, y = np.array([[1.0], [2.0], [3.0]]), np.arange(3) if outputs == 3 else [0, 1, 1]
    coef = [[1000.0]] if outputs == 1 else [[0.0, 500.0, 1000.0]]
    theirs, ours = (
        with_outputs(cls, coef, np.zeros(outputs), X, y) for cls in (MLPClassifier, MLPDefaults)
    )
    with np.errstate(divide="ignore"):
        assert theirs.predict_log_proba(X).min() == -np.inf
    assert ours.predict_log_proba(X).min() == pytest.approx(-3000)


def test_small_probabilities_of_the_first_of_two_classes():
    X, y = np.array([[1.0], [2.0]]), ["no", "yes"]
    theirs, ours = (
        with_outputs(cls, [[50.0]], [0.0], X, y) for cls in (MLPClassifier, MLPDefaults)
    )
    assert theirs.predict_proba(X)[:, 0].tolist() == [0, 0]  # 1 - p
    np.testing.assert_allclose(ours.predict_proba(X)[:, 0], np.exp([-50, -100]), rtol=1e-12)


SETTINGS_OF_SOLVERS = {
    "learning_rate_init": ("sgd", {"learning_rate_init": 0.5}),
    "learning_rate_init, adam": ("adam", {"learning_rate_init": 0.5}),
    "momentum": ("sgd", {"momentum": 0.0}),
    "nesterovs_momentum": ("sgd", {"nesterovs_momentum": False}),
    "beta_1": ("adam", {"beta_1": 0.1}),
    "epsilon": ("adam", {"epsilon": 1.0}),
    "solver": ("sgd", {"solver": "adam"}),
}


@pytest.mark.parametrize("setting", SETTINGS_OF_SOLVERS)
def test_settings_changed_between_calls_of_partial_fit(setting):
    X, y = DATA["multiclass"]
    solver, change = SETTINGS_OF_SOLVERS[setting]
    moved = {}
    for cls in (MLPClassifier, MLPDefaults):
        model = cls(**settings(solver)).partial_fit(X, y, classes=np.unique(y))
        changed = pickle.loads(pickle.dumps(model)).set_params(**change)
        moved[cls] = distance(changed.partial_fit(X, y), model.partial_fit(X, y))
    assert moved[MLPClassifier] == 0
    assert moved[MLPDefaults] > 1e-4


def test_a_failing_first_call_leaves_nothing_behind():
    X, y = DATA["multiclass"]
    theirs, ours = (cls(early_stopping=True) for cls in (MLPClassifier, MLPDefaults))
    for model in (theirs, ours):
        with pytest.raises(ValueError, match="does not support early_stopping=True"):
            model.partial_fit(X, y, classes=np.unique(y))
    assert theirs.predict(X).shape == y.shape  # by weights that never were trained
    with pytest.raises(NotFittedError):
        ours.predict(X)
    assert vars(ours) == vars(MLPDefaults(early_stopping=True))


def test_a_failing_fit_leaves_the_last_one():
    X, y = DATA["multilabel"]
    theirs, ours = (
        fitted(cls, settings("adam"), X, y).set_params(early_stopping=True, validation_fraction=0.0)
        for cls in (MLPClassifier, MLPDefaults)
    )
    before = {model: model.predict_proba(X) for model in (theirs, ours)}
    for model, message in ((theirs, "test_size=0"), (ours, "validation set is too small")):
        with pytest.raises(ValueError, match=message):
            model.fit(X[:, :2], y)
    with pytest.raises(ValueError, match="is expecting 2 features"):
        theirs.predict_proba(X)
    np.testing.assert_array_equal(ours.predict_proba(X), before[ours])


def test_a_failing_first_call_does_not_fix_the_classes():
    X, y = DATA["multiclass"]
    theirs, ours = MLPClassifier(), MLPDefaults()
    for model in (theirs, ours):
        with pytest.raises(ValueError, match="NaN"):
            model.partial_fit(X * np.nan, y, classes=["setosa"])
    with pytest.raises(ValueError, match="not the same as on last call"):
        theirs.partial_fit(X, y, classes=np.unique(y))
    assert ours.partial_fit(X, y, classes=np.unique(y)).classes_.tolist() == np.unique(y).tolist()


def test_one_class():
    X, _ = DATA["binary"]
    y = np.ones(len(X))
    theirs = fitted(MLPClassifier, {"max_iter": 2}, X, y)
    assert len(theirs.classes_) == 1
    assert theirs.predict_proba(X).shape[1] == 2
    with pytest.raises(ValueError, match=r"y has one class only, \[1.0\]. .* at least two"):
        MLPDefaults().fit(X, y)
    theirs = MLPClassifier().partial_fit(X, y, classes=[1])
    assert theirs.predict_proba(X).shape[1] == 2
    with pytest.raises(ValueError, match=r"classes has one class only, \[1\]. .* at least two"):
        MLPDefaults().partial_fit(X, y, classes=[1])


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_batch_without_weight_has_no_say(alpha):
    X, y = (part[:75] for part in shuffle(*DATA["multiclass"], random_state=0))
    weights = np.repeat([1.0, 0.0, 1.0], 25)
    params = settings("sgd", shuffle=False, batch_size=25, max_iter=1, momentum=0.0, alpha=alpha)
    if TAKES_WEIGHTS:
        with pytest.raises(ZeroDivisionError):
            fitted(MLPClassifier, params, X, y, sample_weight=weights)
    ours = fitted(MLPDefaults, params, X, y, sample_weight=weights)
    without = fitted(MLPDefaults, params, X[weights > 0], y[weights > 0])
    assert ours.t_ == without.t_ == 50
    assert distance(ours, without) < 1e-12


@pytest.mark.parametrize(
    "weights, message", [(-1.0, "must not be negative"), (0.0, "is zero for every row")]
)
def test_weights_that_make_no_sense(weights, message):
    X, y = DATA["multiclass"]
    weights = np.full(len(X), weights)
    if TAKES_WEIGHTS and weights[0] < 0:
        fitted(MLPClassifier, {"max_iter": 2}, X, y, sample_weight=weights)  # and no error
    elif TAKES_WEIGHTS:
        with pytest.raises((ValueError, ZeroDivisionError)):
            fitted(MLPClassifier, {"max_iter": 2}, X, y, sample_weight=weights)
    with pytest.raises(ValueError, match=message):
        MLPDefaults().fit(X, y, sample_weight=weights)


def test_lbfgs_has_a_loss_curve():
    X, y = DATA["multiclass"]
    ours, theirs = fitted(MLPDefaults, LBFGS, X, y), fitted(MLPClassifier, LBFGS, X, y)
    for name in ["loss_curve_", "best_loss_", "validation_scores_", "best_validation_score_"]:
        assert not hasattr(theirs, name)
    assert len(ours.loss_curve_) == ours.n_iter_
    assert ours.loss_ == ours.loss_curve_[-1] == ours.best_loss_
    assert ours.validation_scores_ is ours.best_validation_score_ is None


SWITCHES = {
    "to another solver": ({"solver": "lbfgs"}, {"solver": "adam"}, AttributeError),
    "to early stopping": ({}, {"early_stopping": True}, AttributeError),
    "from early stopping": ({"early_stopping": True}, {"early_stopping": False}, TypeError),
}


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_warm_start_may_change_the_way_of_training(switch):
    X, y = DATA["binary"]
    before, after, error = SWITCHES[switch]
    models = {}
    for cls in (MLPClassifier, MLPDefaults):
        params = {"max_iter": 3, "warm_start": True, "random_state": 0} | before
        models[cls] = fitted(cls, params, X, y).set_params(**after)
    with pytest.raises(error):
        fitted_again(models[MLPClassifier], X, y)
    ours = models[MLPDefaults]
    first_loss = ours.loss_
    fitted_again(ours, X, y)
    assert len(ours.loss_curve_) == 6
    assert ours.loss_ < first_loss


@pytest.mark.parametrize("sizes", [(7,), (7, 3)])
def test_a_warm_start_of_another_shape_is_an_error(sizes):
    X, y = DATA["multiclass"]
    theirs, ours = (
        fitted(cls, {"hidden_layer_sizes": (5,), "max_iter": 2, "warm_start": True}, X, y)
        for cls in (MLPClassifier, MLPDefaults)
    )
    if len(sizes) == 1:
        fitted_again(theirs.set_params(hidden_layer_sizes=sizes), X, y)
        assert theirs.coefs_[0].shape == (4, 5)  # the setting is ignored
    else:
        with pytest.raises(AttributeError):
            fitted_again(theirs.set_params(hidden_layer_sizes=sizes), X, y)
    with pytest.raises(ValueError, match=r"has layers of \(4, 5, 3\) units, but hidden_layer_si"):
        fitted_again(ours.set_params(hidden_layer_sizes=sizes), X, y)


def test_a_warm_start_does_not_lose_the_best_epoch():
    # No epoch of the second fit is as good as the best of the first, which is to be kept.
    X, y = DATA["multiclass"]
    params = settings("adam", max_iter=40, early_stopping=True, warm_start=True)
    y = labels_for(params, y)
    for cls in (MLPClassifier, MLPDefaults):
        model = fitted(cls, params, X, y)
        best, kept = model.best_validation_score_, copy.deepcopy(model)
        fitted_again(model.set_params(learning_rate_init=10, max_iter=3), X, y)
        assert model.best_validation_score_ == best >= max(model.validation_scores_[-3:])
        if cls is MLPDefaults:
            assert distance(model, kept) == 0
        else:
            assert distance(model, kept) > 1  # these are the weights of the last epoch


def test_partial_fit_may_follow_warm_starts():
    X, y = DATA["multiclass"]
    theirs, ours = (
        fitted(cls, {"max_iter": 2, "warm_start": True}, X, y)
        for cls in (MLPClassifier, MLPDefaults)
    )
    with pytest.raises(ValueError, match="warm_start can only be used"):
        theirs.partial_fit(X[:40], y[:40])  # rows of one class
    assert ours.partial_fit(X[:40], y[:40]).t_ == 2 * 150 + 40


class Interrupting(io.StringIO):
    def write(self, text):
        raise KeyboardInterrupt


def test_interrupted_lbfgs(monkeypatch):
    X, y = DATA["multiclass"]
    minimize = scipy.optimize.minimize

    def interrupted(function, start, args=(), **options):
        def once(theta, *rest):
            function(theta, *rest)
            raise KeyboardInterrupt

        return minimize(once, start, args=args, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scipy.optimize, "minimize", interrupted)
        fitted(MLPClassifier, LBFGS, X, y)
    with (
        pytest.warns(UserWarning, match="interrupted by user after 1 epochs"),
        redirect_stdout(Interrupting()),
    ):
        ours = fitted(MLPDefaults, LBFGS | {"verbose": True}, X, y)
    assert distance(ours, fitted(MLPDefaults, LBFGS | {"max_iter": 1}, X, y)) < 1e-12


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("n_labels", [2, 3])
def test_classes_do_not_follow_labels(method, n_labels):
    X, labels = DATA["multilabel"]
    labels = labels[:, :n_labels]
    y = np.arange(len(X)) % n_labels
    theirs, ours = (
        fitted(cls, {"max_iter": 2, "warm_start": method == "fit"}, X, labels)
        for cls in (MLPClassifier, MLPDefaults)
    )
    with expected_warnings():
        assert getattr(theirs, method)(X, y).coefs_[-1].shape[1] == n_labels  # no error
        with pytest.raises(ValueError, match="leave the kind of y as it was"):
            getattr(ours, method)(X, y)


def test_partial_fit_leaves_the_arrays_that_were_handed_out():
    X, y = DATA["multiclass"]
    for cls, changed in ((MLPClassifier, True), (MLPDefaults, False)):
        model = cls().partial_fit(X, y, classes=np.unique(y))
        mine = model.coefs_[0]
        before = mine.copy()
        model.partial_fit(X, y)
        assert (mine != before).any() == changed


def test_lbfgs_keeps_float32():
    X, y = DATA["multiclass"]
    X = X.astype(np.float32)
    ours, theirs = fitted(MLPDefaults, LBFGS, X, y), fitted(MLPClassifier, LBFGS, X, y)
    assert theirs.coefs_[0].dtype == theirs.predict_proba(X).dtype == np.float64
    assert ours.coefs_[0].dtype == ours.predict_proba(X).dtype == np.float32
    # Given float32, theirs is no judge to 1e-6: SciPy goes on in the dtype of the start, and rounds
    # every step to float32. 20 iterations amplify that to 2e-6 in the loss, up or down as BLAS's
    # kernels round. Given float64, theirs differs by the start only, which we round to float32, by
    # 4e-8: that comes to 2e-5 in the parameters and 3e-7 in the loss, whatever the kernels.
    in_float64 = fitted(MLPClassifier, LBFGS, X.astype(np.float64), y)
    assert ours.loss_ == pytest.approx(in_float64.loss_, abs=1e-6)
    assert distance(ours, in_float64) < 1e-4


def test_overflow_is_an_error():
    X, y = DATA["multiclass"]
    params = settings("sgd", learning_rate_init=1e200, early_stopping=True, batch_size=135)
    y = labels_for(params, y)
    with np.errstate(all="ignore"):
        theirs = fitted(MLPClassifier, params, X, y)
    assert np.isnan(theirs.loss_)
    with pytest.raises(ValueError, match=r"overflowed in epoch 2 .* Lower learning_rate_init"):
        MLPDefaults(**params).fit(X, y)


def test_string_labels_with_early_stopping():
    X, y = DATA["multiclass"]
    params = settings("adam", early_stopping=True)
    ours = fitted(MLPDefaults, params, X, y)
    assert_same_network(ours, fitted(MLPClassifier, params, X, labels_for(params, y)), X)
    assert set(ours.predict(X)) <= set(y)
    if SKLEARN == (1, 6):
        with pytest.raises(TypeError, match="isnan"):
            fitted(MLPClassifier, params, X, y)


def test_sparse_targets_give_dense_predictions():
    X, y = DATA["multilabel"]
    ours, theirs = (
        fitted(cls, settings("adam"), X, scipy.sparse.csr_matrix(y))
        for cls in (MLPDefaults, MLPClassifier)
    )
    assert_same_network(ours, theirs, X)
    assert scipy.sparse.issparse(theirs.predict(X))
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X).toarray())


@pytest.mark.parametrize("sizes", [(2.5,), True, ("a",)])
def test_hidden_layer_sizes_are_integers(sizes):
    X, y = DATA["multiclass"]
    with pytest.raises(TypeError):
        MLPClassifier(hidden_layer_sizes=sizes).fit(X, y)
    with pytest.raises(ValueError, match="Allowed are an int of at least 1, or a sequence"):
        MLPDefaults(hidden_layer_sizes=sizes).fit(X, y)


def test_a_network_answers_in_the_dtype_of_the_table():
    X, y = DATA["multiclass"]
    for cls in (MLPDefaults, MLPClassifier):
        clf = fitted(cls, settings("adam"), X.astype(np.float32), y)
        assert clf.predict_proba(X).dtype == np.float64
        assert clf.predict_proba(X.astype(np.float32)).dtype == np.float32


# ---------------------------------------------------------------- what the documentation says


def test_the_table_of_parameters():
    page = (Path(__file__).parents[1] / "docs" / "coming_from" / "mlpclassifier.md").read_text(
        encoding="utf-8"
    )
    rows = re.findall(r"^\| `(\w+)` \| (none|`.+?`) \| `(.+?)` \|", page, flags=re.MULTILINE)
    defaults = ScratchMLPClassifier().get_params()
    assert {name: ast.literal_eval(ours) for name, _, ours in rows} == defaults
    assert [name for name, *_ in rows] == list(inspect.signature(ScratchMLPClassifier).parameters)
    their_rows = {name: theirs.strip("`") for name, theirs, _ in rows if theirs != "none"}
    their_defaults = MLPClassifier().get_params()
    assert {name: ast.literal_eval(value) for name, value in their_rows.items()} == their_defaults
    lines = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    for name, theirs, ours in rows:
        said = lines[name].rstrip("| ").count("|") > 3
        assert said or theirs == f"`{ours}`", f"{name} differs, and the table does not say why"
