"""What the estimator promises: labels, tables, attributes, probabilities, seeds."""

import io
import math
import re
from contextlib import redirect_stdout
from inspect import signature

import numpy as np
import pandas as pd
import polars as pl
import pytest
from jobs import PLAIN
from judges import effective_number, loss_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import brier_score_loss
from sklearn.preprocessing import MultiLabelBinarizer, StandardScaler, minmax_scale, scale

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.estimator.plan import LEAST_UPDATES, learning_rate_for

IRIS = load_iris(as_frame=True)
X_iris, y_iris = scale(IRIS.data.to_numpy()), IRIS.target.to_numpy()
X_cancer, y_cancer = load_breast_cancer(return_X_y=True)
X_cancer = scale(X_cancer)

XOR = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1]]), np.array([1, 1, 0, 0])


def quick(**settings):
    """An estimator of few epochs, for what does not depend on how well it has learnt."""
    return ScratchMLPClassifier(
        **{
            "hidden_layer_sizes": (8,),
            "init": "glorot",
            "learning_rate_init": 0.05,
            "max_iter": 15,
            "random_state": 0,
        }
        | settings
    )


@pytest.mark.parametrize("seed", range(100))
def test_xor_is_learnt_by_default_for_every_seed(seed):
    X, y = XOR
    assert_array_equal(ScratchMLPClassifier(random_state=seed).fit(X, y).predict(X), y)


def test_defaults_do_well_on_real_tables():
    raw_iris, raw_cancer = IRIS.data.to_numpy(), load_breast_cancer().data
    for tables, y, brier in [
        ((X_iris, raw_iris), y_iris, 0.06),
        ((X_cancer, raw_cancer), y_cancer, 0.04),
    ]:
        test = np.arange(len(y)) % 3 == 0
        for X in tables:
            clf = ScratchMLPClassifier(random_state=0).fit(X[~test], y[~test])
            p = clf.predict_proba(X[test])
            assert ((p - np.eye(p.shape[1])[y[test]]) ** 2).sum(axis=1).mean() < brier
            assert clf.score(X[test], y[test]) > 0.94


def multilabel(X, y):
    """Three labels a flower: its kind, whether it is large, whether its petals are wide."""
    return np.column_stack([y == 2, X[:, 0] > 0, X[:, 3] > 0]).astype(int)


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["setosa", "versicolor", "virginica"]),
        np.array(["setosa", "versicolor", "virginica"], dtype=object),
        np.array([-7, 3, 100]),
        np.array([0.0, 1.0, 2.0]),
        np.array([False, True, True]),
    ],
    ids=lambda labels: labels.dtype.name,
)
def test_labels_come_back_as_they_went_in(labels):
    y = labels[y_iris]
    clf = ScratchMLPClassifier(random_state=0).fit(X_iris, y)
    predicted = clf.predict(X_iris)
    assert_array_equal(clf.classes_, np.unique(labels))
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.95
    assert_array_equal(predicted, clf.classes_[clf.predict_proba(X_iris).argmax(axis=1)])


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_multilabel(container):
    Y = multilabel(X_iris, y_iris)
    clf = ScratchMLPClassifier(random_state=0).fit(X_iris, container(Y))
    p = clf.predict_proba(X_iris)
    assert p.shape == Y.shape
    assert_array_equal(clf.predict(X_iris), p > 0.5)
    assert ((p > 0.5) == Y).mean() > 0.95
    assert clf.out_activation_ == "logistic"
    assert_array_equal(clf.classes_, [0, 1, 2])


def test_multilabel_from_a_sparse_indicator_is_the_same():
    tags = [
        ["late"] * int(kind == 2) + ["large"] * int(big)
        for kind, big in zip(y_iris, X_iris[:, 0] > 0, strict=True)
    ]
    Y = MultiLabelBinarizer(sparse_output=True).fit_transform(tags)
    dense = quick().fit(X_iris, Y.toarray()).predict_proba(X_iris)
    assert_array_equal(quick().fit(X_iris, Y).predict_proba(X_iris), dense)


def test_probabilities_sum_to_one_and_logarithms_agree():
    for X, y in [(X_iris, y_iris), (X_cancer, y_cancer)]:
        clf = quick().fit(X, y)
        p = clf.predict_proba(X)
        assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
        assert_allclose(clf.predict_log_proba(X), np.log(p), rtol=1e-7)
    clf = quick().fit(X_iris, multilabel(X_iris, y_iris))
    assert_allclose(clf.predict_log_proba(X_iris), np.log(clf.predict_proba(X_iris)), rtol=1e-7)


def test_log_probabilities_stay_finite_where_probabilities_round_to_zero():
    for y in (y_cancer, y_iris):
        X = X_cancer if y is y_cancer else X_iris
        clf = quick(hidden_layer_sizes=(), **PLAIN).fit(X, y)
        with np.errstate(under="ignore"):
            assert (clf.predict_proba(1e6 * X[:5]) == 0).any()
            log_p = clf.predict_log_proba(1e6 * X[:5])
        assert np.isfinite(log_p).all()
        assert log_p.min() < -1e4


@pytest.mark.parametrize("loss", ["squared_error", "guarded_squared_error", "log_loss"])
@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_loss_less_the_penalty_is_that_of_the_probabilities(alpha, loss):
    # With one full batch, the last loss of the curve is that before the last update: train once
    # with n epochs, and look at the loss of epoch n + 1.
    settings = {"alpha": alpha, "batch_size": 569, "learning_rate": "constant", "loss": loss}
    clf = quick(**settings, **PLAIN, n_iter_no_change=100)
    with pytest.warns(ConvergenceWarning):
        clf.set_params(max_iter=10).fit(X_cancer, y_cancer)
    p = clf.predict_proba(X_cancer)
    expected = loss_of(loss, p, y_cancer)
    if loss == "squared_error":
        assert_allclose(expected, brier_score_loss(y_cancer, p[:, 1]), rtol=1e-12)
    penalty = alpha / 2 * sum((W**2).sum() for W in clf.coefs_) / len(y_cancer)
    with pytest.warns(ConvergenceWarning):
        clf.set_params(max_iter=11).fit(X_cancer, y_cancer)
    assert_allclose(clf.loss_ - penalty, expected, rtol=1e-10)


def test_attributes_have_their_documented_types_and_shapes():
    clf = quick(hidden_layer_sizes=(6, 5)).fit(X_iris, y_iris)
    assert [W.shape for W in clf.coefs_] == [(4, 6), (6, 5), (5, 3)]
    assert [b.shape for b in clf.intercepts_] == [(6,), (5,), (3,)]
    assert (clf.n_layers_, clf.n_outputs_, clf.n_features_in_) == (4, 3, 4)
    assert (clf.n_iter_, clf.t_, len(clf.loss_curve_)) == (15, 15 * 150, 15)
    assert clf.loss_ == clf.loss_curve_[-1]
    assert clf.best_loss_ == min(clf.loss_curve_)
    assert clf.validation_scores_ is None
    assert clf.best_validation_score_ is None
    assert clf.validation_loss_curve_ is None
    assert clf.best_iter_ is None
    assert clf.stop_reason_ == "max_iter"
    assert all(type(loss) is float for loss in clf.loss_curve_)
    assert (clf.mean_.shape, clf.scale_.shape) == ((4,), (4,))


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ({}, {"batch_size": 75, "learning_rate_init": 0.01, "input_dropout": 0}),
        ({"hidden_layer_sizes": (8,), "solver": "sgd"}, {"learning_rate_init": 0.5}),
        ({"batch_size": 40}, {"batch_size": 40}),
        ({"learning_rate_init": 0.3}, {"learning_rate_init": 0.3}),
        ({"max_iter": 25}, {"learning_rate_init": 0.01 * 5 ** (1 / 3)}),  # 50 of 250 updates
        ({"max_iter": 25, "solver": "sgd"}, {"learning_rate_init": 0.1}),
        ({"max_iter": 25, "learning_rate_init": 0.01}, {"learning_rate_init": 0.01}),
        ({"input_dropout": 0.3, "weight_decay": 0.2}, {"input_dropout": 0.3, "weight_decay": 0.2}),
        ({"solver": "lbfgs"}, {"weight_decay": 0}),
    ],
    ids=str,
)
def test_attributes_tell_what_was_used(settings, used):
    clf = ScratchMLPClassifier(random_state=0, **settings)
    given = clf.get_params()
    clf.fit(X_iris, y_iris)
    assert {name: getattr(clf, name + "_") for name in used} == pytest.approx(used, rel=1e-12)
    assert clf.get_params() == given
    assert clf.n_iter_ == len(clf.loss_curve_)


@pytest.mark.parametrize("hidden", [200, 20])
def test_longer_steps_take_a_short_run_farther(hidden):
    usual = learning_rate_for("adam", (hidden,), math.inf, 0.01)
    for seed in range(5):
        # Without decay, which would go by the longer steps.
        short = ScratchMLPClassifier(hidden, max_iter=10, weight_decay=0, random_state=seed)
        loss = short.fit(X_iris, y_iris).loss_
        assert loss < short.set_params(learning_rate_init=usual).fit(X_iris, y_iris).loss_


def test_a_fit_that_goes_on_takes_no_longer_steps():
    clf = ScratchMLPClassifier(max_iter=25, warm_start=True, random_state=0)
    rates = [clf.fit(X_iris, y_iris).learning_rate_init_ for _ in range(2)]
    assert rates == pytest.approx([0.01 * 5 ** (1 / 3), 0.01], rel=1e-12)
    clf = ScratchMLPClassifier(random_state=0)
    assert clf.partial_fit(X_iris, y_iris, classes=[0, 1, 2]).learning_rate_init_ == 0.01


@pytest.mark.parametrize("sizes", [5, [5], (5,), np.array([5]), np.int64(5), np.array(5)], ids=repr)
def test_hidden_layer_sizes_may_be_an_int_or_any_sequence(sizes):
    clf = quick(hidden_layer_sizes=sizes).fit(X_iris, y_iris)
    assert_array_equal(clf.coefs_[0], quick(hidden_layer_sizes=(5,)).fit(X_iris, y_iris).coefs_[0])


@pytest.mark.parametrize("sizes", [(), [], np.array([], dtype=int)], ids=repr)
def test_without_hidden_layers_it_is_a_linear_model(sizes):
    clf = ScratchMLPClassifier(sizes, random_state=0, **PLAIN).fit(X_cancer, y_cancer)
    z = X_cancer @ clf.coefs_[0] + clf.intercepts_[0]
    assert_allclose(clf.predict_proba(X_cancer)[:, 1], 1 / (1 + np.exp(-z[:, 0])), rtol=1e-10)
    assert clf.score(X_cancer, y_cancer) > 0.95


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_floats_keep_their_precision(dtype, solver):
    clf = quick(solver=solver, max_iter=200, loss="log_loss", alpha=1.0)
    clf.fit(X_iris.astype(dtype), y_iris)
    assert {part.dtype for part in (*clf.coefs_, *clf.intercepts_)} == {np.dtype(dtype)}
    assert clf.predict_proba(X_iris.astype(dtype)).dtype == dtype
    double = quick(solver=solver, max_iter=200, loss="log_loss", alpha=1.0).fit(X_iris, y_iris)
    assert_allclose(clf.predict_proba(X_iris), double.predict_proba(X_iris), atol=5e-3)


@pytest.mark.parametrize("dtype", ["float32", np.float32, "float64", np.float64, X_iris.dtype])
def test_dtype_is_what_is_computed_in_whatever_comes(dtype):
    wanted = np.dtype(dtype)
    expected = quick().fit(X_iris.astype(wanted), y_iris)
    for X in (X_iris.astype(np.float32), X_iris.astype(wanted), pd.DataFrame(X_iris)):
        clf = quick(dtype=dtype).fit(X, y_iris)
        assert {part.dtype for part in (*clf.coefs_, *clf.intercepts_)} == {wanted}
        as_given = np.float32 if isinstance(X, np.ndarray) and X.dtype == np.float32 else np.float64
        assert clf.predict_proba(X).dtype == np.result_type(as_given, wanted)
        assert_allclose(clf.predict_proba(X), expected.predict_proba(X_iris), atol=1e-4)


@pytest.mark.parametrize("y", [y_iris, y_iris == 1], ids=["three classes", "two classes"])
def test_probabilities_sum_to_one_in_the_precision_of_x(y):
    clf = quick(dtype="float32").fit(X_iris, y)
    for X, dtype in ((X_iris, np.float64), (X_iris.astype(np.float32), np.float32)):
        p, log_p = clf.predict_proba(X), clf.predict_log_proba(X)
        assert p.dtype == log_p.dtype == dtype
        assert_allclose(p.sum(axis=1), 1, rtol=4 * np.finfo(dtype).eps)
        assert_allclose(np.exp(log_p), p, rtol=20 * np.finfo(dtype).eps)


def test_integers_and_booleans_are_computed_in_float64():
    X = (X_iris > 0).astype(int)
    expected = quick().fit(X.astype(float), y_iris).predict_proba(X)
    assert_array_equal(quick().fit(X, y_iris).predict_proba(X), expected)
    assert_array_equal(quick().fit(X.astype(bool), y_iris).predict_proba(X), expected)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_tables_keep_and_check_their_feature_names(frame):
    table = frame(dict(zip(IRIS.feature_names, X_iris.T, strict=True)))
    if frame is pl.DataFrame and not hasattr(StandardScaler().fit(table), "feature_names_in_"):
        pytest.skip("this scikit-learn does not read the names of this Polars")
    clf = quick().fit(table, y_iris)
    assert_array_equal(clf.feature_names_in_, IRIS.feature_names)
    assert_array_equal(clf.predict(table), quick().fit(X_iris, y_iris).predict(X_iris))
    renamed = frame(dict(zip("abcd", X_iris.T, strict=True)))
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(renamed)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X_iris)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_same_seed_same_network_whatever_else_the_process_draws(solver):
    settings = {"solver": solver, "early_stopping": True, "loss": "log_loss", "max_iter": 500}
    first = quick(**settings).fit(X_iris, y_iris)
    np.random.seed(123)  # noqa: NPY002  (the global state is what must not matter)
    second = quick(**settings).fit(X_iris, y_iris)
    for a, b in zip(first.coefs_, second.coefs_, strict=True):
        assert_array_equal(a, b)
    other = quick(**settings | {"random_state": 1})
    assert not np.array_equal(first.coefs_[0], other.fit(X_iris, y_iris).coefs_[0])


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_integer_weights_equal_repeated_rows(alpha):
    weight = np.arange(len(y_iris)) % 4
    settings = {"batch_size": 1000, "shuffle": False, "max_iter": 50}
    weighted = quick(**settings, alpha=alpha)
    with pytest.warns(UserWarning, match="clipped"):
        weighted.fit(X_iris, y_iris, sample_weight=weight)
    # alpha is divided by what the rows are worth, which is less than the rows that come repeatedly.
    repeated = quick(**settings, alpha=alpha * weight.sum() / effective_number(y_iris, weight))
    with pytest.warns(UserWarning, match="clipped"):
        repeated.fit(np.repeat(X_iris, weight, axis=0), y_iris.repeat(weight))
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-8, atol=1e-11)


def test_weights_change_what_is_learnt():
    weight = np.where(y_cancer == 0, 20.0, 1.0)
    plain = quick(max_iter=60).fit(X_cancer, y_cancer)
    weighted = quick(max_iter=60).fit(X_cancer, y_cancer, sample_weight=weight)
    p, q = (clf.predict_proba(X_cancer)[:, 0].mean() for clf in (plain, weighted))
    assert q > p + 0.005


def test_input_is_left_alone_and_may_be_read_only():
    X, y, w = X_iris.copy(), y_iris.copy(), np.ones(150)
    for array in (X, y, w):
        array.setflags(write=False)
    clf = quick().fit(X, y, sample_weight=w)
    clf.predict(X)


def test_initial_weights_scaled_to_the_data_make_the_unit_of_measure_irrelevant():
    settings = {"init": "scaled", "max_iter": 1, "learning_rate_init": 1e-300, **PLAIN}
    first, second = quick(**settings), quick(**settings)
    for clf, X in [(first, X_iris), (second, 1000 * X_iris)]:
        with pytest.warns(ConvergenceWarning, match="no better than chance"):
            clf.fit(X, y_iris)
    assert_allclose(second.coefs_[0], first.coefs_[0] / 1000, rtol=1e-12)


def test_verbose_prints_a_line_an_epoch_and_why_it_stopped():
    def printed(**settings):
        out = io.StringIO()
        with redirect_stdout(out):
            quick(verbose=True, **settings).fit(X_iris, y_iris)
        return out.getvalue().splitlines()

    lines = printed(max_iter=3)
    assert [line.split(",")[0] for line in lines] == [f"Iteration {i}" for i in (1, 2, 3)]
    assert all(re.fullmatch(r"Iteration \d, loss = \d\.\d{8}, \d+\.\d s", line) for line in lines)

    settings = {"tol": 0.5, "learning_rate": "constant", "max_iter": 100}
    *epochs, last = printed(**settings)
    assert len(epochs) < 100
    assert last.startswith("Training loss did not improve more than tol=0.500000 for 10")
    *epochs, last = printed(**settings, early_stopping=True)
    assert re.search(r"validation loss = \d\.\d{8}, validation score = \d\.\d{4}, ", epochs[0])
    assert last.startswith("Validation score did not improve")
    lines = printed(solver="lbfgs", max_iter=500, alpha=10.0)
    expected = [f"Iteration {i}" for i in range(1, len(lines) + 1)]
    assert [line.split(",")[0] for line in lines] == expected


@pytest.mark.parametrize("learning_rate", ["constant", "cosine"])
@pytest.mark.parametrize("max_iter", [5, "auto"])
def test_cosine_ends_as_planned_and_a_constant_rate_says_that_it_has_not_converged(
    learning_rate, max_iter
):
    settings = {"hidden_layer_sizes": (40,), "batch_size": 150, "n_iter_no_change": 1000}
    clf = quick(learning_rate=learning_rate, max_iter=max_iter, **settings)
    planned = LEAST_UPDATES if max_iter == "auto" else 5  # one batch an epoch
    if learning_rate == "cosine":
        clf.fit(X_iris, y_iris)
    else:
        with pytest.warns(ConvergenceWarning, match=rf"\({planned}\) reached.*Increase max_iter"):
            clf.fit(X_iris, y_iris)
    assert clf.n_iter_ == planned


def test_early_stopping_returns_to_the_best_epoch():
    X, y = minmax_scale(load_digits().data), load_digits().target
    settings = {"early_stopping": True, "learning_rate": "constant", **PLAIN}
    clf = quick(max_iter=200, **settings).fit(X, y)
    assert clf.n_iter_ < 200
    assert len(clf.validation_scores_) == len(clf.loss_curve_) == clf.n_iter_
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.best_loss_ is None
    best = int(np.argmax(clf.validation_scores_)) + 1
    assert clf.best_iter_ == best
    with pytest.warns(ConvergenceWarning):
        shorter = quick(max_iter=best, **settings).fit(X, y)
    for a, b in zip(clf.coefs_, shorter.coefs_, strict=True):
        assert_array_equal(a, b)


def test_before_fit_it_says_so():
    for method in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(ScratchMLPClassifier(), method)(X_iris)


def test_lbfgs_keeps_the_loss_after_each_iteration():
    settings = {"solver": "lbfgs", "loss": "log_loss"}
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 6 iteration"):
        curve = quick(max_iter=6, **settings).fit(X_iris, y_iris).loss_curve_
    for n in range(1, 7):
        with pytest.warns(ConvergenceWarning, match="Increase max_iter"):
            clf = quick(max_iter=n, **settings).fit(X_iris, y_iris)
        assert clf.loss_ == clf.loss_curve_[-1] == curve[n - 1]


def test_the_parameters_are_those_of_each_class():
    class Narrow(ScratchMLPClassifier):
        def __init__(self, alpha=0.5, depth=1):
            super().__init__((4,) * depth, alpha=alpha)
            self.depth = depth

    assert Narrow().get_params() == {"alpha": 0.5, "depth": 1}
    assert clone(Narrow(depth=3)).hidden_layer_sizes == (4, 4, 4)
    names = [*signature(ScratchMLPClassifier.__init__).parameters][1:]
    assert [*ScratchMLPClassifier().get_params()] == sorted(names)
