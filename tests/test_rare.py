"""Rare classes: how much of the log loss a fit adds, and that it does not give them up."""

import warnings

import numpy as np
import pytest
from judges import effective_number, guard_of, is_softmax, losses_of, targets_of
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.special import expit, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.utils.class_weight import compute_sample_weight

from sknn_scratch import ScratchMLPClassifier

LOSSES = ("guarded_squared_error", "squared_error", "log_loss")

# ---------------------------------------------------------------- how much is added

Y = np.repeat([[0, 0], [1, 0], [1, 1], [0, 1]], [140, 40, 15, 5], axis=0)
KINDS = np.repeat(["a", "b", "c"], [100, 90, 10])
WEIGHTS = np.random.RandomState(0).uniform(0.1, 3, size=200)


def first_loss(y, n_outputs, **settings):
    """Loss of a model that has learnt nothing yet, for which all is equally probable."""
    weight = settings.pop("sample_weight", None)
    model = ScratchMLPClassifier((), max_iter=1, warm_start=True, batch_size=200, **settings)
    model.coefs_, model.intercepts_ = [np.zeros((1, n_outputs))], [np.zeros(n_outputs)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(np.zeros((200, 1)), y, sample_weight=weight).loss_


@pytest.mark.parametrize("weighted", [False, True])
def test_of_two_classes_or_labels_it_is_a_quarter_of_the_square_of_one_less_twice_the_frequency(
    weighted,
):
    weight = WEIGHTS if weighted else None
    parts = []
    for y in Y.T:
        f = np.average(y, weights=weight)
        parts.append(0.25 + (1 - 2 * f) ** 2 / 4 * np.log(2))
        assert first_loss(y, 1, sample_weight=weight) == pytest.approx(parts[-1], rel=1e-12)
    assert first_loss(Y, 2, sample_weight=weight) == pytest.approx(sum(parts), rel=1e-12)
    # Of a label that half of the weight has, nothing.
    halves = compute_sample_weight("balanced", Y[:, 0])
    assert first_loss(Y[:, 0], 1, sample_weight=halves) == pytest.approx(0.25, rel=1e-12)
    assert first_loss(Y, 2, class_weight="balanced") == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_of_more_classes_it_goes_by_the_rarest(weighted):
    weight = WEIGHTS if weighted else np.ones(200)
    m = min(weight[kind == KINDS].sum() for kind in "abc") / weight.sum()
    expected = 2 / 3 + (0.5 - 2 * m * (1 - m)) * np.log(3)
    given = {"sample_weight": weight} if weighted else {}
    assert first_loss(KINDS, 3, **given) == pytest.approx(expected, rel=1e-12)
    balanced = 2 / 3 + (0.5 - 4 / 9) * np.log(3)
    assert first_loss(KINDS, 3, class_weight="balanced") == pytest.approx(balanced, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("y", [KINDS == "c", KINDS, Y], ids=["two", "three", "labels"])
def test_the_least_loss_is_where_another_search_finds_it(y, weighted):
    rng = np.random.RandomState(1)
    X = np.column_stack([y != "a" if y.ndim == 1 else Y[:, 0], rng.normal(size=200)])
    X = X + 0.7 * rng.normal(size=X.shape)
    weight = WEIGHTS if weighted else np.ones(200)
    T = targets_of(y)
    guard = guard_of(np.average(T, axis=0, weights=weight), is_softmax(y))

    def loss(theta):
        W, b = theta[: 2 * T.shape[1]].reshape(2, -1), theta[2 * T.shape[1] :]
        z = X @ W + b
        p = softmax(z, axis=1) if is_softmax(y) else expit(z)
        losses = losses_of("guarded_squared_error", p, T, guard, is_softmax(y))
        penalty = 2.0 / 2 * (W**2).sum() / effective_number(y, weight)
        return np.average(losses, weights=weight) + penalty

    theirs = minimize(loss, np.zeros(3 * T.shape[1]), method="BFGS", options={"gtol": 1e-7})
    settings = {"solver": "lbfgs", "alpha": 2.0, "tol": 1e-8, "scale_features": False}
    ours = ScratchMLPClassifier((), **settings, random_state=0)
    ours.fit(X, y, sample_weight=WEIGHTS if weighted else None)
    assert ours.loss_ == pytest.approx(theirs.fun, abs=1e-7)
    found = np.concatenate([ours.coefs_[0].ravel(), ours.intercepts_[0]])
    assert loss(found) == pytest.approx(theirs.fun, abs=1e-7)
    assert_allclose(ours.coefs_[0].ravel(), theirs.x[: 2 * T.shape[1]], atol=0.01)


# ---------------------------------------------------------------- what it is good for


def rows_of(seed):
    """Rows of which one in fifty is positive, by a rule that is not linear."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(3000, 6))
    score = X[:, 0] * X[:, 1] + X[:, 2] + 0.5 * rng.normal(size=3000)
    return X, (score > np.quantile(score, 0.98)).astype(int)


def targets_for(kind, X, y):
    if kind == "one of two classes":
        return y
    if kind == "one of four classes":
        return np.where(y == 1, 1, np.digitize(X[:, 3], [-0.5, 0.5]) + (X[:, 3] > -0.5))
    return np.column_stack([X[:, 0] > 0, y, X[:, 1] > 1]).astype(int)


@pytest.mark.parametrize("kind", ["one of two classes", "one of several labels"])
def test_what_is_rare_is_told_apart_as_with_log_loss(kind):
    scores = {loss: [] for loss in LOSSES}
    for seed in (0, 1):
        X, y = rows_of(seed)
        given = targets_for(kind, X, y)
        for loss in LOSSES:
            model = ScratchMLPClassifier(loss=loss, random_state=0).fit(X[:1500], given[:1500])
            p = model.predict_proba(X[1500:])[:, 1]
            rank = roc_auc_score(y[1500:], p), average_precision_score(y[1500:], p)
            scores[loss].append(rank)
    guarded, squares, logs = (np.mean(scores[loss], axis=0) for loss in LOSSES)
    assert (guarded > np.subtract(logs, [0.02, 0.04])).all()
    assert (guarded > np.add(squares, [0.1, 0.05])).all()


def test_a_rare_class_among_several():
    X, y = rows_of(0)
    given = targets_for("one of four classes", X, y)
    assert np.bincount(given, minlength=4)[1] == 60
    found = {}
    for loss in LOSSES:
        model = ScratchMLPClassifier(loss=loss, random_state=0).fit(X[:1500], given[:1500])
        found[loss] = roc_auc_score(y[1500:], model.predict_proba(X[1500:])[:, 1])
    assert found["guarded_squared_error"] > found["log_loss"] - 0.03
    assert_allclose(model.classes_, [0, 1, 2, 3])
