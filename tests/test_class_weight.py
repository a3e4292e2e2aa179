"""class_weight: the same as weights of the rows, written out by hand."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning

from sknn_scratch import ScratchMLPClassifier

X, KINDS = load_wine(return_X_y=True)
NAMES = np.array(["barolo", "grignolino", "barbera"])[KINDS]
LABELS = np.column_stack([KINDS == 0, X[:, 0] > 13.5]).astype(int)
OWN = np.random.RandomState(0).uniform(0.5, 2, size=len(X))

BALANCED = (178 / (3 * np.bincount(KINDS)))[KINDS]
BALANCED_LABELS = np.prod([(178 / (2 * np.bincount(label)))[label] for label in LABELS.T], axis=0)

CASES = {
    "balanced": ("balanced", NAMES, BALANCED),
    "by name": ({"barolo": 3, "grignolino": 0.5, "barbera": 1}, NAMES, [3, 0.5, 1]),
    "one if missing": ({"grignolino": 0.5}, NAMES, [1, 0.5, 1]),
    "nothing for one class": ({"barolo": 0.0}, NAMES, [0, 1, 1]),
    "no class named": ({}, NAMES, [1, 1, 1]),
    "by number": ({0: 3.0, 2: 2}, KINDS, [3, 1, 2]),
    "by truth": ({True: 4}, KINDS == 0, [4, 1, 1]),
    "binary, balanced": ("balanced", KINDS == 0, (89 / np.array([119, 59]))[(KINDS == 0) * 1]),
    "labels, balanced": ("balanced", LABELS, BALANCED_LABELS),
    "labels": (
        [{1: 3}, {0: 0.5, 1: 2}],
        LABELS,
        np.where(LABELS[:, 0], 3, 1) * np.where(LABELS[:, 1], 2, 0.5),
    ),
}


def by_hand(case):
    """class_weight, y, and the weight of each row."""
    class_weight, y, weight = CASES[case]
    return class_weight, y, np.array(weight)[KINDS] if len(weight) == 3 else weight


def make(**settings):
    start = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0}
    return ScratchMLPClassifier(**start | settings)


def fit(model, y, **fit_params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **fit_params)


def assert_same(one, other):
    pairs = zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True)
    for a, b in pairs:
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("own", [None, OWN], ids=["alone", "times sample_weight"])
@pytest.mark.parametrize("case", CASES)
def test_it_is_the_same_as_weights_of_the_rows(case, own):
    class_weight, y, weight = by_hand(case)
    ours = fit(make(class_weight=class_weight), y, sample_weight=own)
    theirs = fit(make(), y, sample_weight=weight if own is None else weight * own)
    assert_same(ours, theirs)
    if case != "no class named":
        assert np.abs(ours.coefs_[0] - fit(make(), y, sample_weight=own).coefs_[0]).max() > 1e-4


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_every_solver_takes_it(solver):
    settings = {"solver": solver, "hidden_layer_sizes": (), "max_iter": "auto"}
    ours = fit(make(class_weight="balanced", **settings), NAMES)
    assert_same(ours, fit(make(**settings), NAMES, sample_weight=BALANCED))


@pytest.mark.parametrize("own", [None, OWN], ids=["alone", "times sample_weight"])
@pytest.mark.parametrize("case", ["by name", "labels", "one if missing"])
def test_partial_fit(case, own):
    class_weight, y, weight = by_hand(case)
    classes = np.unique(y) if y.ndim == 1 else [0, 1]
    ours, theirs = make(class_weight=class_weight), make()
    first = np.flatnonzero(KINDS < 2)[::2]  # the last class does not occur
    for rows in (first, np.arange(178)):
        part = 1 if own is None else own[rows]
        ours.partial_fit(X[rows], y[rows], None if own is None else part, classes=classes)
        theirs.partial_fit(X[rows], y[rows], weight[rows] * part, classes=classes)
    assert_same(ours, theirs)


def test_labels_in_a_sparse_matrix():
    for class_weight in ("balanced", CASES["labels"][0]):
        dense = fit(make(class_weight=class_weight), LABELS)
        assert_same(fit(make(class_weight=class_weight), sp.csr_matrix(LABELS)), dense)


@pytest.mark.parametrize("own", [None, OWN[:60]], ids=["alone", "times sample_weight_val"])
def test_validation_rows_are_weighted_by_class_too(own):
    val = np.arange(178) % 3 == 0
    class_weight = {"barolo": 5, "barbera": 0.1}
    model = make(class_weight=class_weight)
    model.fit(X, NAMES, X_val=X[val], y_val=NAMES[val], sample_weight_val=own)
    weight = np.array([5, 1, 0.1])[KINDS[val]] * (1 if own is None else own)
    order = [model.classes_.tolist().index(name) for name in NAMES[val]]
    p = model.predict_proba(X[val])
    p_of_kind = p[np.arange(len(p)), order]
    loss = ((p - np.eye(3)[order]) ** 2).sum(axis=1) - 0.1 * np.log(p_of_kind)
    loss = np.average(loss, weights=weight)
    assert model.validation_loss_curve_[-1] == pytest.approx(loss, rel=1e-9)
    score = np.average(model.predict(X[val]) == NAMES[val], weights=weight)
    assert model.validation_scores_[-1] == pytest.approx(score, rel=1e-9)


def test_it_is_left_as_it_was_given():
    class_weight = [{1: 3}, {0: 0.5, 1: 2}]
    model = fit(make(class_weight=class_weight), LABELS)
    assert model.class_weight is class_weight
    assert class_weight == [{1: 3}, {0: 0.5, 1: 2}]


@pytest.mark.parametrize(
    ("class_weight", "y", "message"),
    [
        ({"barolo": 1, "merlot": 2}, NAMES, r"weights for \['merlot'\].*not among the classes \['"),
        ({0: 1, "a": 2}, KINDS, r"weights for \['a'\], which are not among the classes \[0, 1, 2"),
        ({"0": 1}, KINDS, r"weights for \['0'\]"),
        ([{2: 1}, {}], LABELS, r"weights for \[2\], which are not among the classes \[0, 1\]"),
        ({"barolo": -0.5}, NAMES, r"must not be negative or NaN, got {'barolo': -0\.5}"),
        ({"barolo": np.nan}, NAMES, "must not be negative or NaN"),
        ([{0: -1}, {}], LABELS, "must not be negative or NaN"),
        ({"barolo": np.inf}, NAMES, "infinity|too large"),
        ({0: 0, 1: 0, 2: 0}, KINDS, "zero for every row"),
        ([{"barolo": 1}], NAMES, "must be 'balanced' or a dict for one column of labels, got"),
        ({0: 1}, LABELS, "list of one dict a label, 2 in all, for multilabel y, got {0: 1}"),
        ([{0: 1}], LABELS, r"list of one dict a label, 2 in all, for multilabel y, got \[{0: 1}"),
        ("even", NAMES, "'class_weight' parameter .* among {'balanced'}"),
        (3.0, NAMES, "'class_weight' parameter"),
    ],
)
def test_errors(class_weight, y, message):
    model = make(class_weight=class_weight)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X, y, classes=np.unique(y))


def test_it_moves_the_probabilities():
    plain, favoured = (fit(make(class_weight=weight), NAMES) for weight in (None, {"barbera": 20}))
    column = favoured.classes_.tolist().index("barbera")
    p, q = (model.predict_proba(X)[:, column].mean() for model in (plain, favoured))
    assert q > p + 0.05
    assert_array_equal(plain.classes_, favoured.classes_)
