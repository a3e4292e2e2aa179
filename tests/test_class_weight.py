"""class_weight: the same as weights of the rows, written out by hand."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from jobs import PLAIN
from judges import effective_number, loss_of, scaled
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from sknn_scratch import ScratchMLPClassifier

X, KINDS = load_wine(return_X_y=True)
NAMES = np.array(["barolo", "grignolino", "barbera"])[KINDS]
LABELS = np.column_stack([KINDS == 0, X[:, 0] > 13.5]).astype(int)
OWN = np.random.RandomState(0).uniform(0.5, 2, size=len(X))

BALANCED = (178 / (3 * np.bincount(KINDS)))[KINDS]

CASES = {
    "balanced": ("balanced", NAMES, BALANCED),
    "by name": ({"barolo": 3, "grignolino": 0.5, "barbera": 1}, NAMES, [3, 0.5, 1]),
    "one if missing": ({"grignolino": 0.5}, NAMES, [1, 0.5, 1]),
    "nothing for one class": ({"barolo": 0.0}, NAMES, [0, 1, 1]),
    "no class named": ({}, NAMES, [1, 1, 1]),
    "one that is not there": (
        {"barolo": 3, "grignolino": 0.5, "barbera": 1, "merlot": 7},
        NAMES,
        [3, 0.5, 1],
    ),
    "by number": ({0: 3.0, 2: 2}, KINDS, [3, 1, 2]),
    "by truth": ({True: 4}, KINDS == 0, [4, 1, 1]),
    "binary, balanced": ("balanced", KINDS == 0, (89 / np.array([119, 59]))[(KINDS == 0) * 1]),
}

#: class_weight of two labels, and what each of them may be given alone.
OF_LABELS = {
    "balanced": ("balanced", ["balanced", "balanced"]),
    "a dict each": ([{1: 3}, {0: 0.5, 1: 2}], [{1: 3}, {0: 0.5, 1: 2}]),
    "of one label": ([{}, {1: 10}], [None, {1: 10}]),
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
@pytest.mark.parametrize("case", ["by name", "one if missing"])
def test_partial_fit(case, own):
    class_weight, y, weight = by_hand(case)
    classes = np.unique(y)
    ours, theirs = make(class_weight=class_weight), make()
    first = np.flatnonzero(KINDS < 2)[::2]  # the last class does not occur
    for rows in (first, np.arange(178)):
        part = 1 if own is None else own[rows]
        ours.partial_fit(X[rows], y[rows], None if own is None else part, classes=classes)
        theirs.partial_fit(X[rows], y[rows], weight[rows] * part, classes=classes)
    assert_same(ours, theirs)


# ---------------------------------------------------------------- rows that are absent


@pytest.mark.parametrize("y", [NAMES, KINDS == 0, LABELS], ids=["three", "two", "labels"])
@pytest.mark.parametrize(
    "settings", [{"solver": "lbfgs", "max_iter": "auto"}, {"batch_size": 178}, {}], ids=str
)
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_rows_of_weight_zero_do_not_count_for_balance(y, settings):
    live = np.ones(178, dtype=bool)
    live[:40] = live[150:160] = False
    ours = fit(make(class_weight="balanced", **settings), y, sample_weight=OWN * live)
    theirs = make(class_weight="balanced", **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(X[live], y[live], OWN[live])
    assert_same(ours, theirs)


def test_a_class_that_has_no_row_with_a_weight_has_no_say_in_the_balance():
    live = KINDS < 2
    ours = fit(make(class_weight="balanced"), NAMES, sample_weight=live * 1.0)
    weight = np.where(live, 130 / (2 * np.bincount(KINDS)[KINDS]), 0)
    assert_same(ours, fit(make(), NAMES, sample_weight=weight))


#: For one column of classes and for labels: class_weight, y, and rows that have no weight by it.
DEAD = {
    "classes": ({"barolo": 0}, NAMES, KINDS == 0),
    "labels": ([{0: 0}, {1: 0}], LABELS, (LABELS == [0, 1]).all(axis=1)),
}


@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
@pytest.mark.parametrize("case", DEAD)
def test_a_part_of_a_stream_in_which_no_class_has_a_weight_teaches_nothing(case, learning_rate):
    class_weight, y, dead = DEAD[case]
    classes = np.unique(NAMES) if y.ndim == 1 else [0, 1]
    parts = np.array_split(np.flatnonzero(~dead), 3)
    # Rows that have a weight of their own are looked at to scale the columns.
    settings = {"learning_rate": learning_rate, "scale_features": False, "init": "glorot"}
    models = [make(class_weight=class_weight, **settings) for _ in range(2)]
    for part in parts:
        for model in models:
            model.partial_fit(X[part], y[part], classes=classes)
        models[0].partial_fit(X[dead], y[dead], OWN[dead])
        assert models[0].loss_ == models[1].loss_
    assert_same(*models)
    assert models[0].t_ == models[1].t_ == len(np.concatenate(parts))


@pytest.mark.parametrize("case", DEAD)
def test_it_may_be_the_first_part(case):
    class_weight, y, dead = DEAD[case]
    classes = np.unique(NAMES) if y.ndim == 1 else [0, 1]
    model = make(class_weight=class_weight, learning_rate="adaptive")
    for _ in range(2):
        model.partial_fit(X[dead], y[dead], classes=classes)
        assert (model.t_, model.n_iter_, model.loss_curve_) == (0, 0, [])
        assert np.isnan(model.loss_)
        assert np.isfinite(model.predict_proba(X)).all()
    for _ in range(30):
        model.partial_fit(X, y)
    assert model.best_loss_ == min(model.loss_curve_)
    assert len(model.loss_curve_) == 30
    assert model.loss_ < model.loss_curve_[0] / 2


def test_rows_without_any_weight_of_their_own_are_refused():
    model = make(class_weight={"barolo": 0})
    with pytest.raises(ValueError, match="sample_weight is zero for every row"):
        model.partial_fit(X, NAMES, np.zeros(178), classes=np.unique(NAMES))
    with pytest.raises(ValueError, match="sample_weight is zero for every row"):
        model.fit(X, NAMES, (KINDS == 0) * 1.0)


# ---------------------------------------------------------------- several labels


@pytest.mark.parametrize("own", [None, OWN], ids=["alone", "times sample_weight"])
@pytest.mark.parametrize("case", OF_LABELS)
def test_each_label_is_weighed_for_itself(case, own):
    # Without hidden layers a label has nothing to do with the others: it is a logistic regression.
    of_labels, of_each = OF_LABELS[case]
    settings = {"hidden_layer_sizes": (), "solver": "lbfgs", "loss": "log_loss", "alpha": 0.7}
    ours = make(class_weight=of_labels, **settings, max_iter="auto", tol=1e-8)
    ours.fit(X, LABELS, sample_weight=own)
    rows = np.ones(178) if own is None else own
    weights = []
    for label, each in zip(LABELS.T, of_each, strict=True):
        weight = rows * compute_sample_weight(each, label)
        weights.append(weight / weight.mean())
    worth = np.mean([effective_number(y, w) for y, w in zip(LABELS.T, weights, strict=True)])
    seen = scaled(X, X, own)
    for c in range(2):
        theirs = LogisticRegression(C=worth / (0.7 * 178), solver="newton-cholesky", tol=1e-8)
        theirs.fit(seen, LABELS[:, c], sample_weight=weights[c])
        found = ours.predict_proba(X)[:, c]
        assert_allclose(found, theirs.predict_proba(seen)[:, 1], atol=3e-4)
    plain = make(**settings, max_iter="auto").fit(X, LABELS, sample_weight=own)
    assert np.abs(plain.predict_proba(X) - ours.predict_proba(X)).max() > 0.02


def from_zero(n_labels=1, **settings):
    """A linear model that starts with all its parameters at zero, and sees X as it comes."""
    model = make(hidden_layer_sizes=(), warm_start=True, **PLAIN, **settings)
    model.coefs_, model.intercepts_ = [np.zeros((13, n_labels))], [np.zeros(n_labels)]
    return model


@pytest.mark.parametrize("loss", ["guarded_squared_error", "squared_error", "log_loss"])
@pytest.mark.parametrize("own", [None, OWN], ids=["alone", "times sample_weight"])
def test_labels_are_learnt_as_if_each_came_alone_whatever_the_unit_of_its_weights(own, loss):
    of_labels = [{0: 1, 1: 3}, {0: 0.5, 1: 2}, {0: 100, 1: 300}]
    Y, seen = LABELS[:, [0, 1, 0]], scaled(X, X)
    ours = from_zero(3, class_weight=of_labels, loss=loss).fit(seen, Y, sample_weight=own)
    each = [
        from_zero(class_weight=weights, loss=loss).fit(seen, y, sample_weight=own)
        for y, weights in zip(Y.T, of_labels, strict=True)
    ]
    assert_allclose(ours.coefs_[0], np.hstack([one.coefs_[0] for one in each]), rtol=1e-9)
    assert_allclose(ours.loss_curve_, np.sum([one.loss_curve_ for one in each], axis=0), rtol=1e-9)


@pytest.mark.parametrize("own", [None, OWN], ids=["alone", "times sample_weight"])
@pytest.mark.parametrize("calls", ["of one row", "of few rows"])
def test_labels_in_a_stream_are_learnt_as_if_each_came_alone(calls, own):
    of_labels = [{1: 3}, {0: 0.5, 1: 2}]
    rows, seen = np.random.RandomState(0).permutation(178), scaled(X, X)
    parts = np.split(rows, 178 if calls == "of one row" else [5, 9, 40, 41, 100])
    ours = from_zero(2, class_weight=of_labels)
    each = [from_zero(class_weight=weights) for weights in of_labels]
    for part in parts:
        weight = None if own is None else own[part]
        ours.partial_fit(seen[part], LABELS[part], weight, classes=[0, 1])
        for one, y in zip(each, LABELS.T, strict=True):
            one.partial_fit(seen[part], y[part], weight, classes=[0, 1])
    assert_allclose(ours.coefs_[0], np.hstack([one.coefs_[0] for one in each]), rtol=1e-9)


def test_labels_in_a_sparse_matrix():
    for class_weight, _ in OF_LABELS.values():
        dense = fit(make(class_weight=class_weight), LABELS)
        assert_same(fit(make(class_weight=class_weight), sp.csr_matrix(LABELS)), dense)


@pytest.mark.parametrize("own", [None, OWN[:60]], ids=["alone", "times sample_weight_val"])
def test_validation_rows_are_weighted_by_class_too(own):
    val = np.arange(178) % 3 == 0
    class_weight = {"barolo": 5, "barbera": 0.1}
    model = make(class_weight=class_weight)
    model.fit(X, NAMES, X_val=X[val], y_val=NAMES[val], sample_weight_val=own)
    weight = np.array([5, 1, 0.1])[KINDS[val]] * (1 if own is None else own)
    p, weight_fit = model.predict_proba(X[val]), np.array([5, 1, 0.1])[KINDS]
    loss = loss_of("guarded_squared_error", p, NAMES[val], weight, NAMES, weight_fit)
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
        ({"0": 1}, KINDS, r"weights for \['0'\].*and none for \[0, 1, 2\]. Correct the names"),
        ([{2: 1}, {}], LABELS, r"weights for \[2\], which are not among the classes \[0, 1\]"),
        ([{0: 0, 1: 0}, {}], LABELS, r"leaves no row with a weight for the labels \[0\]"),
        ({"barolo": -0.5}, NAMES, r"must not be negative or NaN, got {'barolo': -0\.5}"),
        ({"barolo": np.nan}, NAMES, "must not be negative or NaN"),
        ([{0: -1}, {}], LABELS, "must not be negative or NaN"),
        ({"barolo": np.inf}, NAMES, "infinity|too large"),
        ({0: 0, 1: 0, 2: 0}, KINDS, r"leaves no row with a weight. Give one of the classes \[0, 1"),
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


def test_balance_of_a_label_that_one_row_has():
    X = np.random.RandomState(0).normal(size=(40, 2))
    Y = np.zeros((40, 2), dtype=int)
    Y[0, 0] = Y[::2, 1] = 1
    settings = {"max_iter": 3, "random_state": 0}
    by_hand = [{0: 40 / (2 * 39), 1: 40 / 2}, {}]
    balanced, expected = (
        ScratchMLPClassifier((2,), class_weight=weights, **settings).fit(X, Y)
        for weights in ("balanced", by_hand)
    )
    assert_allclose(balanced.loss_curve_, expected.loss_curve_)
