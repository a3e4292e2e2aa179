"""The regressor: scaled targets, what y may be, several columns, streams, and what it says."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from judges import effective_number
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import BaggingRegressor, StackingRegressor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.inspection import PartialDependenceDisplay
from sklearn.linear_model import Ridge
from sklearn.metrics import PredictionErrorDisplay, get_scorer, r2_score
from sklearn.model_selection import cross_val_score
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from sknn_scratch import MLP_REGRESSOR_SETTINGS, ScratchMLPRegressor

X, y = make_friedman1(n_samples=300, noise=0.5, random_state=0)
X_test, y_test = make_friedman1(n_samples=300, noise=0, random_state=1)
TWO = np.column_stack([y, 1e6 - 1e5 * y])


def regressor(*args, **settings):
    return ScratchMLPRegressor(*args, **{"max_iter": 20, "random_state": 0} | settings)


def test_it_learns():
    assert ScratchMLPRegressor(random_state=0).fit(X, y).score(X_test, y_test) > 0.9
    # The mean of y is worth 0, and a straight line this:
    assert Ridge().fit(X, y).score(X_test, y_test) < 0.8


# ---------------------------------------------------------------- the scale of y


def within_bounds(y, weight=None):
    """Mean and deviation of the values within seven times the core, written out."""
    y = np.repeat(y, weight) if weight is not None else y
    middle = np.sort(y)[int(np.ceil(len(y) / 2)) - 1]
    size = np.abs(y - middle)
    core = np.sort(size[size > 0])
    core = core[int(np.ceil(0.6 * len(core))) - 1]
    kept = y[size <= 7 * core]
    return kept.mean(), kept.std()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", ["huber", "squared_error"])
def test_each_column_is_centred_and_scaled_by_its_values_within_bounds(loss):
    outlier = np.where(np.arange(300) == 7, 1e5, y)
    reg = regressor(loss=loss).fit(X, np.column_stack([y, 3 - 2e8 * y, outlier]))
    expected = [within_bounds(y), within_bounds(3 - 2e8 * y), within_bounds(outlier)]
    assert_allclose(reg.target_mean_, [mean for mean, _ in expected])
    assert_allclose(reg.target_scale_, [sd for _, sd in expected])
    assert_allclose(within_bounds(y), [y.mean(), y.std()])  # nothing is far out there
    assert abs(within_bounds(outlier)[1] / y.std() - 1) < 0.01


def test_weights_count_for_the_scale():
    counts = np.random.RandomState(0).randint(4, size=300)
    reg = regressor().fit(X, y, sample_weight=counts * 0.1)
    mean, sd = within_bounds(y, counts)
    assert_allclose([reg.target_mean_[0], reg.target_scale_[0]], [mean, sd])


def test_zeros_and_ones_are_scaled_as_other_numbers():
    rare = np.arange(300) % 50 == 0
    reg = regressor().fit(X, rare)
    assert_allclose([reg.target_mean_[0], reg.target_scale_[0]], [rare.mean(), rare.std()])


def test_of_a_positive_mean_the_scale_is_that_mean():
    counts = np.random.RandomState(0).poisson(y)
    reg = regressor(loss="poisson").fit(X, counts)
    assert reg.out_activation_ == "exp"
    assert_array_equal(reg.target_mean_, [0])
    assert_allclose(reg.target_scale_, [counts.mean()])
    predicted = reg.predict(X)
    assert (predicted > 0).all()
    assert predicted.mean() == pytest.approx(counts.mean(), rel=0.05)
    assert r2_score(y, predicted) > 0.5
    tenfold = regressor(loss="poisson").fit(X, 10 * counts).predict(X)
    assert_allclose(tenfold, 10 * predicted)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", ["huber", "squared_error", "poisson"])
def test_without_it_the_network_sees_y_as_it_is(loss):
    reg = regressor(loss=loss, scale_targets=False).fit(X, y)
    assert reg.target_mean_ is reg.target_scale_ is None
    z = reg.network_.outputs(X)[:, 0]
    assert_array_equal(reg.predict(X), np.exp(z) if loss == "poisson" else z)


@pytest.mark.parametrize("loss", ["huber", "squared_error"])
@pytest.mark.parametrize("factor, shift", [(1e-200, 0), (1e200, 0), (3e5, 1e9), (1.0, 1e12)])
def test_the_unit_of_y_makes_no_difference(loss, factor, shift):
    expected = regressor(loss=loss).fit(X, y).predict(X_test)
    found = regressor(loss=loss).fit(X, factor * y + shift).predict(X_test)
    error = 1e-9 + abs(shift / factor) * 1e-13
    assert_allclose((found - shift) / factor, expected, rtol=error, atol=error)


def test_small_steps_far_from_zero():
    steps = 1e15 + np.round(y)
    predicted = regressor().fit(X, steps).predict(X)
    assert predicted.dtype == np.float64
    assert r2_score(np.round(y), predicted - 1e15) > 0.7
    # In float32 1e15 has no such steps; the network sees what is left of them when it is centred.
    predicted = regressor(dtype="float32").fit(X, steps).predict(X)
    assert r2_score(np.round(y), predicted - 1e15) > 0.7


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_predictions_are_those_of_the_network_in_the_unit_of_y():
    reg = regressor().fit(X, TWO)
    z = reg.network_.outputs(X)
    assert_allclose(reg.predict(X), z * reg.target_scale_ + reg.target_mean_)
    # The loss is that of the scaled targets.
    reg = regressor(loss="squared_error", solver="lbfgs", alpha=0, max_iter=30).fit(X, y)
    error = (reg.predict(X) - y) / reg.target_scale_
    assert reg.loss_ == pytest.approx((error**2).mean() / 2)


def test_a_constant_is_predicted():
    for value in (0.0, -3.5, 1e15):
        reg = ScratchMLPRegressor(random_state=0).fit(X, np.full(300, value))
        assert_allclose(reg.predict(X), value, rtol=1e-15, atol=0.1)
        assert reg.target_scale_ == [1]


def test_targets_far_out_do_not_wreck_it():
    rng = np.random.RandomState(0)
    wrong = y.copy()
    wrong[rng.choice(300, 9, replace=False)] += 100 * y.std() * rng.choice([-1, 1], 9)
    robust = ScratchMLPRegressor(random_state=0).fit(X, wrong).score(X_test, y_test)
    squares = ScratchMLPRegressor(loss="squared_error", random_state=0).fit(X, wrong)
    assert robust > 0.8
    assert squares.score(X_test, y_test) < robust - 0.3


# ---------------------------------------------------------------- what y may be


@pytest.mark.parametrize(
    "as_given",
    [
        lambda y: y.tolist(),
        lambda y: y.astype(object),
        lambda y: pd.Series(y, index=range(7, 307)),
        lambda y: pd.Series(y).astype("Float64"),
        lambda y: pl.Series(y),
        lambda y: np.asfortranarray(y),
    ],
    ids=["list", "objects", "pandas", "pandas, nullable", "polars", "NumPy"],
)
def test_containers_of_y(as_given):
    expected = regressor().fit(X, y).predict(X)
    assert_array_equal(regressor().fit(X, as_given(y)).predict(X), expected)


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int8, bool, np.float32, np.float16])
def test_types_of_y(dtype):
    numbers = (y > 14 if dtype is bool else np.round(y)).astype(dtype)
    expected = regressor().fit(X, numbers.astype(float)).predict(X)
    found = regressor().fit(X, numbers).predict(X)
    assert_array_equal(found, expected)
    assert found.dtype == np.float64


def test_frames_of_several_columns():
    expected = regressor().fit(X, TWO).predict(X)
    for frame in (pd.DataFrame(TWO), pl.DataFrame(TWO, schema=["a", "b"])):
        assert_array_equal(regressor().fit(X, frame).predict(X), expected)
    assert expected.shape == (300, 2)


def test_a_column_is_an_array_and_says_so():
    with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
        reg = regressor().fit(X, y[:, None])
    assert reg.predict(X).shape == (300,)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (np.where(np.arange(300) == 5, np.nan, y), "Input y contains NaN"),
        (np.where(np.arange(300) == 5, np.inf, y), "Input y contains infinity"),
        (np.where(np.arange(300) == 5, None, y.astype(object)), "Input y contains NaN"),
        (np.array(["low", "high"] * 150), r"y must be numbers, but it is not: y of type <U4. Conv"),
        (np.array(["low", 1.0] * 150, object), "y must be numbers, but it is not: could not conv"),
        (np.arange(300).astype("M8[s]"), r"y must be numbers, but it is not: y of type datetime64"),
        (np.array([*np.arange(300).astype("m8[s]")], object), "has objects of type timedelta64"),
        (np.array([10**400] * 300, object), "y must be numbers, but it is not: int too large"),
        (np.ma.array(y, mask=y > np.median(y)), "Input y contains NaN"),
        (y[:299], "inconsistent numbers of samples"),
    ],
    ids="a gap,infinity,None,words,a word,dates,spans,too large,masked,short".split(","),
)
def test_what_y_may_not_be(wrong, message):
    reg = regressor()
    with pytest.raises(ValueError, match=message):
        reg.fit(X, wrong)
    assert not hasattr(reg, "coefs_")


def test_counts_are_not_negative():
    counts = np.round(y)
    for arguments in ({"y": counts - 20}, {"y": counts, "X_val": X, "y_val": counts - 20}):
        name = "y_val" if "X_val" in arguments else "y"
        with pytest.raises(
            ValueError, match=rf"{name} must not be negative with loss='poisson', b"
        ):
            regressor(loss="poisson").fit(X, **arguments)
    regressor(loss="poisson").fit(X, np.zeros(300))


def test_a_failed_fit_leaves_the_last_one():
    reg = regressor().fit(X, y)
    before = reg.predict(X)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        reg.fit(X, np.full(300, np.nan))
    with pytest.raises(ValueError, match="Training overflowed in epoch"):
        reg.set_params(solver="sgd", learning_rate_init=1e200, loss="squared_error").fit(X, TWO)
    assert_array_equal(reg.predict(X), before)


# ---------------------------------------------------------------- several columns


def test_columns_do_not_depend_on_each_others_unit():
    expected = regressor().fit(X, TWO).predict(X)
    other = regressor().fit(X, TWO * [1e9, 1e-9]).predict(X)
    assert_allclose(other / [1e9, 1e-9], expected, rtol=1e-7)
    assert min(r2_score(TWO, expected, multioutput="raw_values")) > 0.7


def test_tags():
    tags = get_tags(ScratchMLPRegressor())
    assert tags.estimator_type == "regressor"
    assert tags.target_tags.multi_output
    assert tags.input_tags.sparse
    assert tags.target_tags.required


# ---------------------------------------------------------------- weights


def test_the_penalty_goes_by_what_weighted_rows_are_worth():
    weight = np.random.RandomState(0).uniform(size=300) ** 4
    worth = weight.sum() ** 2 / (weight**2).sum()
    assert worth == pytest.approx(effective_number(np.ones(300), weight))
    plain = {"scale_features": False, "scale_targets": False, "weight_decay": 0}
    settings = plain | {"loss": "squared_error", "solver": "lbfgs", "hidden_layer_sizes": ()}
    settings |= {"alpha": 30.0, "max_iter": 5000, "tol": 1e-9}
    reg = regressor(**settings).fit(X, y, sample_weight=weight)
    # The loss is a mean, and the penalty alpha / (2 worth): Ridge sums, and has no 1 / 2.
    judge = Ridge(alpha=30 * weight.sum() / worth).fit(X, y, sample_weight=weight)
    assert_allclose(reg.predict(X), judge.predict(X), rtol=1e-4)


def test_rows_of_weight_zero_do_not_count():
    weight = np.ones(300)
    weight[200:] = 0
    wrong = np.where(weight > 0, y, 1e9)
    found = regressor(early_stopping=False).fit(X, wrong, sample_weight=weight)
    assert found.target_mean_ == pytest.approx(regressor().fit(X[:200], y[:200]).target_mean_)
    assert found.score(X_test, y_test) > 0.7


# ---------------------------------------------------------------- early stopping


def test_the_validation_score_is_r2():
    reg = regressor(early_stopping=True, n_iter_no_change=np.inf)
    reg.fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert max(reg.validation_scores_) == reg.best_validation_score_
    assert reg.best_validation_score_ == pytest.approx(r2_score(y[200:], reg.predict(X[200:])))
    assert reg.best_iter_ == 1 + np.argmax(reg.validation_scores_)


@pytest.mark.parametrize("unit", [2.0**997, 2.0**-1000, -(2.0**600)])
def test_early_stopping_in_any_unit(unit):
    """Squares of y would overflow, or be nothing."""
    plain, other = (
        regressor(early_stopping=True).fit(X[:200], s * y[:200], X_val=X[200:], y_val=s * y[200:])
        for s in (1.0, unit)
    )
    if unit > 0:
        assert_array_equal(other.validation_scores_, plain.validation_scores_)
        assert_array_equal(other.predict(X), unit * plain.predict(X))
    assert 1 > other.best_validation_score_ > 0.5
    two = regressor(early_stopping=True).fit(X, np.column_stack([y, unit * y]))
    assert 1 > two.best_validation_score_ > 0.5


def test_one_validation_row():
    one = {"X_val": X[:1], "y_val": y[:1]}
    with pytest.raises(ValueError, match="R2 is not defined for the one validation row"):
        regressor(early_stopping=True).fit(X, y, **one)
    assert np.isfinite(regressor(scoring="loss").fit(X, y, **one).validation_scores_).all()


def test_a_scorer_of_other_targets():
    with pytest.raises(ValueError, match=r"scoring='accuracy' failed on .* continuous"):
        regressor(early_stopping=True, scoring="accuracy").fit(X, y)


@pytest.mark.parametrize(
    "scoring", ["neg_mean_absolute_error", "r2", "neg_median_absolute_error", "loss"]
)
def test_scorers_see_the_unit_of_y(scoring):
    reg = regressor(early_stopping=True, scoring=scoring, n_iter_no_change=np.inf)
    reg.fit(X[:200], 1e6 * y[:200], X_val=X[200:], y_val=1e6 * y[200:])
    if scoring == "loss":
        assert_array_equal(reg.validation_scores_, -np.array(reg.validation_loss_curve_))
    else:
        expected = get_scorer(scoring)(reg, X[200:], 1e6 * y[200:])
        assert reg.best_validation_score_ == pytest.approx(expected)


def test_rows_set_aside():
    reg = regressor(early_stopping=True, max_iter=200, n_iter_no_change=3).fit(X, TWO)
    assert reg.stop_reason_ == "stalled"
    assert len(reg.validation_scores_) == reg.n_iter_ < 200
    assert reg.best_validation_score_ > 0.7


@pytest.mark.parametrize("y_val", [TWO, TWO[:, [0, 1, 1]]])
def test_validation_rows_of_other_columns(y_val):
    with pytest.raises(ValueError, match=rf"y_val has {y_val.shape[1]} columns, but y has 1\."):
        regressor().fit(X, y, X_val=X, y_val=y_val)


# ---------------------------------------------------------------- one fit after another


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_a_warm_start_goes_on_and_keeps_the_scale(loss):
    reg = regressor(warm_start=True, loss=loss, solver="lbfgs", max_iter=10).fit(X, y)
    scale, loss_before = reg.target_scale_, reg.loss_
    reg.fit(X, y)
    assert reg.loss_ < loss_before
    reg.fit(X, 100 * y)
    assert_array_equal(reg.target_scale_, scale)


def test_a_warm_start_of_another_kind_is_an_error():
    reg = regressor(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="`y` has 2 columns, but the network was fitted to 1"):
        reg.fit(X, TWO)
    with pytest.raises(ValueError, match="loss='poisson' has outputs of the kind 'exp', but the "):
        reg.set_params(loss="poisson").fit(X, y)
    reg.set_params(loss="squared_error").fit(X, y)


@pytest.mark.parametrize("loss", ["huber", "squared_error", "poisson"])
def test_a_young_stream_goes_on_learning_the_scale_of_y(loss):
    rng = np.random.RandomState(0)
    Xs, size = rng.uniform(size=(2000, 10)), 1 + np.arange(2000) / 100
    ys = np.abs(rng.normal(size=2000) * size) + size
    reg, scales = regressor(loss=loss), []
    for start in range(0, 2000, 50):
        part = slice(start, start + 50)
        reg.partial_fit(Xs[part], ys[part])
        scales.append(reg.target_scale_[0])
    expected = regressor(loss=loss).fit(Xs[:1000], ys[:1000])
    assert reg.target_scale_ == pytest.approx(expected.target_scale_)
    assert reg.target_mean_ == pytest.approx(expected.target_mean_)
    # Learnt anew when the rows have doubled, and settled at 1,000.
    assert [k + 1 for k in range(1, 40) if scales[k] != scales[k - 1]] == [2, 4, 8, 16, 20]


@pytest.mark.parametrize("loss", ["huber", "poisson"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_when_the_scale_changes_the_predictions_do_not(loss, dtype):
    settings = {"learning_rate_init": 1e-300, "dtype": dtype, "loss": loss, "scale_features": False}
    target = np.column_stack([y, 1e6 + y])
    reg = regressor(**settings).partial_fit(X[:50], target[:50])
    before, scale = reg.predict(X), reg.target_scale_
    reg.partial_fit(X[50:], 3 * target[50:])
    assert (reg.target_scale_ > 1.5 * scale).any()
    assert_allclose(reg.predict(X), before, rtol=1e-5 if dtype == "float32" else 1e-12)


def test_a_stream_learns():
    reg = ScratchMLPRegressor(random_state=0)
    for _ in range(15):
        for start in range(0, 300, 50):
            reg.partial_fit(X[start : start + 50], y[start : start + 50])
    assert reg.score(X_test, y_test) > 0.85
    again = pickle.loads(pickle.dumps(reg))
    for model in (reg, again):
        model.partial_fit(X, y)
    assert_array_equal(reg.predict(X), again.predict(X))


def test_a_stream_that_began_with_a_constant():
    reg = regressor()
    for _ in range(4):
        reg.partial_fit(np.tile(X, (1, 1)), np.full(300, 5.0))
    assert_array_equal(reg.target_scale_, [1])
    reg.partial_fit(X, 1e4 * y)
    assert reg.target_scale_ == pytest.approx(1e4 * y.std())


def test_partial_fit_of_other_columns_is_an_error():
    reg = regressor().partial_fit(X, y)
    with pytest.raises(ValueError, match="`y` has 2 columns, but the network was fitted to 1"):
        reg.partial_fit(X, TWO)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        reg.set_params(early_stopping=True).partial_fit(X, y)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as error:
        reg.set_params(solver="lbfgs").partial_fit(X, y)
    assert "partial_fit is not available with solver='lbfgs'" in str(error.value.__cause__)


# ---------------------------------------------------------------- what it says


def test_it_warns_if_it_is_no_better_than_the_mean():
    noise = np.random.RandomState(0).normal(size=300)
    message = (
        r"The network is no better than a constant: its loss, [\d.e+]+, is over the [\d.e+]+ of "
        r"always predicting the mean of y\. Change learning_rate_init"
    )
    for loss in ("huber", "squared_error"):
        with pytest.warns(ConvergenceWarning, match=message):
            regressor(loss=loss, max_iter=1).fit(X, noise)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor().fit(X, y)


def test_hidden_activations():
    reg = regressor((7, 4)).fit(X, y)
    first, second = reg.hidden_activations(X)
    assert first.shape == (300, 7)
    assert_allclose(second @ reg.coefs_[-1] + reg.intercepts_[-1], reg.network_.outputs(X))


def test_it_is_not_fitted():
    with pytest.raises(NotFittedError):
        regressor().predict(X)
    with pytest.raises(AttributeError, match="has no target_scale_ yet"):
        regressor().target_scale_  # noqa: B018


def test_html():
    html = regressor().fit(X, y)._repr_html_()
    assert "ScratchMLPRegressor" in html


def test_the_settings_of_mlpregressor_are_not_to_be_changed():
    with pytest.raises(TypeError):
        MLP_REGRESSOR_SETTINGS["loss"] = "huber"


# ---------------------------------------------------------------- among scikit-learn's tools


def test_sparse_and_frames():
    sparse = np.where(X > 0.6, X, 0)
    expected = regressor().fit(sparse, y).predict(sparse)
    found = regressor().fit(csr_matrix(sparse), y).predict(sparse)
    assert_allclose(found, expected, rtol=1e-6)
    names = [f"column {j}" for j in range(10)]
    frame = pd.DataFrame(X, columns=names)
    reg = regressor().fit(frame, y)
    assert_array_equal(reg.predict(frame), regressor().fit(X, y).predict(X))
    assert reg.feature_names_in_.tolist() == names


def test_a_table_with_words_and_gaps():
    group = np.where(X[:, 3] > 0.5, "high", "low").astype(object)
    group[::17] = None
    frame = pd.DataFrame(X).drop(columns=3).assign(group=group)
    frame.iloc[5::19, 0] = np.nan
    frame.columns = frame.columns.astype(str)
    reg = ScratchMLPRegressor(random_state=0).fit(frame[:200], y[:200])
    without = ScratchMLPRegressor(random_state=0).fit(frame[:200].drop(columns="group"), y[:200])
    assert {"group_high", "group_low", "group_nan"} < set(reg.input_names_)
    rest = frame[200:]
    assert reg.score(rest, y[200:]) > without.score(rest.drop(columns="group"), y[200:]) + 0.1
    assert_array_equal(reg.predict(pl.from_pandas(rest)), reg.predict(rest))


@pytest.mark.parametrize(
    "wrapped",
    [
        TransformedTargetRegressor(regressor(max_iter="auto"), func=np.log, inverse_func=np.exp),
        BaggingRegressor(regressor(max_iter="auto"), n_estimators=3, random_state=0),
        make_pipeline(StandardScaler(), regressor(max_iter="auto")),
        StackingRegressor([("network", regressor(max_iter="auto"))], Ridge(), cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_inside_other_models(wrapped):
    assert wrapped.fit(X, y + 1).score(X_test, y_test + 1) > 0.85


@pytest.mark.parametrize("several", [MultiOutputRegressor, RegressorChain])
def test_a_model_for_each_column(several):
    model = several(regressor()).fit(X, TWO)
    assert model.predict(X).shape == (300, 2)
    assert model.score(X, TWO) > 0.7


def test_cross_val_score_is_r2():
    scores = cross_val_score(regressor(max_iter="auto"), *load_diabetes(return_X_y=True), cv=3)
    assert 0.35 < scores.mean() < 0.6


def test_scikit_learns_pictures_are_in_the_unit_of_y():
    import matplotlib

    matplotlib.use("Agg")
    reg = regressor().fit(X, 1e6 + y)
    display = PredictionErrorDisplay.from_estimator(reg, X, 1e6 + y)
    assert_array_equal(display.y_pred, reg.predict(X))
    display = PartialDependenceDisplay.from_estimator(reg, X, [3], grid_resolution=5)
    assert abs(display.pd_results[0]["average"] - 1e6).max() < 50


@pytest.mark.parametrize("most", [0.3, 1.0, 7.0])
def test_what_an_exponential_predicts_is_divided_by_its_mean(most):
    y = np.linspace(0, most, 30)
    reg = ScratchMLPRegressor((2,), loss="poisson", max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reg.fit(y[:, None], y)
    assert_allclose(reg.target_scale_, most / 2)
