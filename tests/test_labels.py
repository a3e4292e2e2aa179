"""Labels in odd codes, two labels under scorers, classes that a fold lacks."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from judges import loss_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, KFold, TimeSeriesSplit, cross_val_score

from sknn_scratch import (
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)

rng = np.random.RandomState(0)
X = rng.normal(size=(240, 4))
LABELS = (X[:, :3] + 0.3 * rng.normal(size=(240, 3)) > 0).astype(int)

CODES = {
    "-1 and 1": (-1, 1),
    "1 and 2": (1, 2),
    "0 and 255": (0, 255),
    "-7 and -3": (-7, -3),
    "1 and 0 as floats": (0.0, 1.0),
}
codes = pytest.mark.parametrize("code", CODES)


def make(**settings):
    start = {"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0}
    return ScratchMLPClassifier(**start | settings)


def fit(model, X, y, **fit_params):
    """That few epochs do not get far is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **fit_params)


def coded(code, labels=LABELS):
    return np.array(CODES[code])[labels]


# ---------------------------------------------------------------- codes


@codes
@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame, sp.csr_matrix])
def test_an_indicator_matrix_may_have_other_codes(code, n_labels, container):
    labels = LABELS[:, :n_labels]
    Y = coded(code, labels)
    usual, other = fit(make(), X, labels), fit(make(), X, container(Y))
    assert_array_equal(other.predict_proba(X), usual.predict_proba(X))
    assert_array_equal(other.predict(X), np.array(CODES[code])[usual.predict(X)])
    assert accuracy_score(Y, other.predict(X)) == usual.score(X, labels) > 0.7
    assert other.score(X, Y) == usual.score(X, labels)
    # As forests do.
    forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
    assert set(np.unique(other.predict(X))) <= set(np.unique(forest.predict(X)))


@codes
def test_everything_else_that_takes_labels_takes_them_in_the_same_codes(code):
    absent, present = CODES[code]
    Y, val = coded(code), np.arange(240) % 3 == 0
    weights = [{absent: 1, present: 3}, {}, {present: 0.5}]
    usual = make(class_weight=[{0: 1, 1: 3}, {}, {1: 0.5}], early_stopping=True, scoring="f1_macro")
    other = clone(usual).set_params(class_weight=weights)
    for model, y in ((usual, LABELS), (other, Y)):
        fit(model, X[~val], y[~val], X_val=X[val], y_val=y[val])
        model.set_params(warm_start=True)
        fit(model, X[~val], y[~val], X_val=X[val], y_val=y[val])
        model.set_params(early_stopping=False).partial_fit(X, y)
    assert_array_equal(other.predict_proba(X), usual.predict_proba(X))
    assert other.validation_loss_curve_ == usual.validation_loss_curve_
    assert other.validation_scores_ == usual.validation_scores_


@pytest.mark.parametrize("value", [0, 1])
def test_an_indicator_matrix_of_zeros_or_of_ones_is_in_the_usual_codes(value):
    Y = np.full((240, 3), value)
    model = fit(make(max_iter="auto"), X, Y)
    assert_array_equal(model.predict(X), Y)
    model.partial_fit(X, LABELS)


def test_one_other_number_alone_is_no_code():
    message = r"`y` is an indicator matrix \(multilabel\) in which every value is 5.*Recode it"
    with pytest.raises(ValueError, match=message):
        make().fit(X, np.full((240, 3), 5))


def test_other_codes_later_are_an_error():
    Y = coded("-1 and 1")
    message = (
        r"is an indicator matrix with \[0\] in it, but the labels are coded as -1.*and 1 \(pres"
    )
    model = fit(make(warm_start=True), X, Y)
    before = model.predict_proba(X)
    for fails in (
        lambda: model.fit(X, LABELS),
        lambda: model.partial_fit(X, LABELS),
        lambda: make().fit(X, Y, X_val=X, y_val=LABELS),
    ):
        with pytest.raises(ValueError, match=message):
            fails()
    assert_array_equal(model.predict_proba(X), before)
    # Of one code alone, both are known.
    model.partial_fit(X[:5], np.full((5, 3), -1))


def test_a_stream_of_labels_begins_with_both_codes():
    model = make()
    for start in range(0, 240, 40):
        model.partial_fit(
            X[start : start + 40], coded("1 and 2")[start : start + 40], classes=range(3)
        )
    assert set(np.unique(model.predict(X))) == {1, 2}


# ---------------------------------------------------------------- two labels under scorers

SCORES = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("scoring", SCORES)
def test_scorers_of_probabilities(scoring, n_labels):
    Y, net, cv = LABELS[:, :n_labels], make(), KFold(3)
    found = cross_val_score(net, X, Y, cv=cv, scoring=scoring, error_score="raise")
    expected = []
    for train, test in cv.split(X):
        p = clone(net).fit(X[train], Y[train]).predict_proba(X[test])
        expected.append(
            np.mean([SCORES[scoring](y, each) for y, each in zip(Y[test].T, p.T, strict=True)])
        )
    assert_allclose(found, expected, rtol=1e-12)
    assert min(found) > 0.8
    search = GridSearchCV(net, {"alpha": [0, 1.0]}, cv=cv, scoring=scoring, error_score="raise")
    search.fit(X, Y)
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("scoring", SCORES)
def test_early_stopping_by_scorers_of_probabilities(scoring, n_labels):
    Y, val = LABELS[:, :n_labels], np.arange(240) % 3 == 0
    model = fit(
        make(early_stopping=True, scoring=scoring), X[~val], Y[~val], X_val=X[val], y_val=Y[val]
    )
    p = model.predict_proba(X[val])
    expected = np.mean([SCORES[scoring](y, each) for y, each in zip(Y[val].T, p.T, strict=True)])
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-12)
    assert len(set(model.validation_scores_)) > 1


def test_classes_of_labels_are_numbers_of_columns():
    for n_labels in (2, 3):
        model = fit(make(), X, LABELS[:, :n_labels])
        assert model.classes_.dtype == object
        assert model.classes_.tolist() == list(range(n_labels))
        assert {type(number) for number in model.classes_} == {int}


# ---------------------------------------------------------------- classes that a fold lacks


def test_class_weight_may_name_a_class_that_comes_late():
    y = np.where(X[:, 0] > 0.5, "bad", "ok").astype(object)
    y[-40::5] = "rare"
    weights = {"ok": 1, "bad": 3, "rare": 10}
    cv = TimeSeriesSplit(4)
    found = cross_val_score(make(class_weight=weights), X, y, cv=cv, error_score="raise")
    expected = []
    for train, test in cv.split(X):
        there = {name: weights[name] for name in set(y[train])}
        judge = fit(make(class_weight=there), X[train], y[train])
        expected.append(judge.score(X[test], y[test]))
    assert any(len(set(y[train])) == 2 for train, _ in cv.split(X))
    assert_allclose(found, expected)


def test_a_name_that_nothing_has_beside_a_class_without_weight_is_an_error():
    y = np.where(X[:, 0] > 0, "ok", "bad")
    message = (
        r"has weights for \['Bad'\], which are not among the classes \['bad', 'ok'\], and none"
    )
    with pytest.raises(ValueError, match=message):
        make(class_weight={"ok": 1, "Bad": 3}).fit(X, y)


LACKING = {
    "roc_auc_ovr": "no row of \\['c'\\].*Raise validation_fraction, give X_val and y_val",
    "neg_log_loss": "no row of \\['c'\\].*Raise validation_fraction, give X_val and y_val",
}


@pytest.mark.parametrize("scoring", LACKING)
def test_a_scorer_that_needs_every_class_says_which_the_validation_rows_lack(scoring):
    y = np.repeat(["a", "b", "c"], [118, 118, 4])
    order = np.random.RandomState(1).permutation(240)
    rows = order[y[order] != "c"][:40]
    model = make(scoring=scoring, early_stopping=True)
    with pytest.raises(ValueError, match=rf"(?s)scoring='{scoring}'.*{LACKING[scoring]}"):
        model.fit(X, y, X_val=X[rows], y_val=y[rows])
    assert not hasattr(model, "coefs_")


def test_a_scorer_that_does_without_is_fine():
    y = load_iris().target_names[np.repeat([0, 1, 2], [118, 118, 4])]
    rows = np.flatnonzero(y != "virginica")[::5]
    model = fit(make(early_stopping=True, scoring="f1_macro"), X, y, X_val=X[rows], y_val=y[rows])
    expected = f1_score(y[rows], model.predict(X[rows]), average="macro")
    assert model.best_validation_score_ == pytest.approx(expected)
    p = model.predict_proba(X[rows])
    expected = loss_of("guarded_squared_error", p, y[rows], y_fit=y)
    assert model.validation_loss_curve_[model.best_iter_ - 1] == pytest.approx(expected, rel=1e-9)


GAPS = {"None": None, "NaN": np.nan, "NA": pd.NA, "NaT": pd.NaT}
HOLDERS = {
    "a list": list,
    "an array": lambda values: np.array(values, dtype=object),
    "a series": lambda values: pd.Series(values, dtype=object),
    "strings": lambda values: pd.Series(values, dtype="string"),
    "a category": lambda values: pd.Series(values, dtype="category"),
    "polars": lambda values: pl.Series([None if pd.isna(value) else value for value in values]),
    "a column": lambda values: pd.DataFrame({"y": values}, dtype=object),
}


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("make", [ScratchMLPClassifier, ScratchMLPEnsembleClassifier])
def test_gaps_among_labels(make, holder, gap):
    labels = ["yes", "no", GAPS[gap], "no", GAPS[gap], "yes"]
    message = "Input y contains NaN: a value is missing in 2 of 6 rows, first in row 2"
    with pytest.raises(ValueError, match=message):
        make().fit(X[:6], HOLDERS[holder](labels))


def test_gaps_among_other_targets():
    message = "Input y contains NaN: a value is missing in 1 of 4 rows, first in row 1"
    dates = np.array(["2020-01-01", "NaT", "2021-01-01", "2020-01-01"], dtype="datetime64[D]")
    with pytest.raises(ValueError, match=message):
        ScratchMLPClassifier().fit(X[:4], dates)
    with pytest.raises(ValueError, match=message):
        ScratchMLPClassifier().partial_fit(X[:4], ["a", None, "b", "a"], classes=["a", "b"])
    with pytest.raises(ValueError, match=message):
        validation = {"X_val": X[:4], "y_val": ["a", None, "b", "a"]}
        ScratchMLPClassifier().fit(X[:4], ["a", "b", "b", "a"], **validation)
    for numbers in ([1.5, None, 2, 3], pd.Series([1.5, pd.NA, 2, 3], dtype=object)):
        with pytest.raises(ValueError, match=message):
            ScratchMLPRegressor().fit(X[:4], numbers)
    with pytest.raises(ValueError, match=message):
        ScratchMLPRegressor().fit(X[:4], [[1, 2], [3, None], [5, 6], [7, 8]])


def test_the_words_nan_and_none_are_labels():
    clf = fit(make(), X[:4], ["nan", "None", "nan", ""])
    assert clf.classes_.tolist() == ["", "None", "nan"]
