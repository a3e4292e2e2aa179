"""The same numbers as MLPRegressor in the same process; and where not, why.

MLPRegressor takes sample_weight and has the loss "poisson" from scikit-learn 1.7 on.
"""

import inspect

import numpy as np
import pytest
import scipy.sparse
from mlp_defaults import MLPRegressorDefaults
from sklearn.datasets import load_diabetes
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_poisson_deviance, mean_squared_error
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import scale
from test_same_numbers import (
    ACTIVATIONS,
    VARIANTS,
    distance,
    fitted,
    fitted_again,
    settings,
)

from sknn_scratch import MLP_REGRESSOR_SETTINGS, ScratchMLPRegressor

TAKES_WEIGHTS = "sample_weight" in inspect.signature(MLPRegressor.fit).parameters
HAS_POISSON = "loss" in inspect.signature(MLPRegressor).parameters

X, Y_DIABETES = (part[:200] for part in load_diabetes(return_X_y=True))
X = scale(X)
PROGRESS = scale(Y_DIABETES)
DATA = {
    "one number": PROGRESS,
    "three numbers": np.column_stack([PROGRESS, X[:, 0] * X[:, 2], np.abs(PROGRESS) - 1]),
}
COUNTS = np.round(Y_DIABETES / 20)
problems = pytest.mark.parametrize("problem", DATA)
activations = pytest.mark.parametrize("activation", ACTIVATIONS)
LOSSES = ["squared_error", *(["poisson"] if HAS_POISSON else [])]


def targets(problem, loss):
    """Numbers to predict, none below zero for the Poisson deviance."""
    return np.abs(DATA[problem]) if loss == "poisson" else DATA[problem]


def columns(y):
    """MLPRegressor reports the mean over the columns of squared errors, and minimises the sum."""
    return 1 if y.ndim == 1 else y.shape[1]


def assert_same_fit(ours, theirs, X, y, tol=1e-8):
    """All that a fit leaves behind agrees."""
    for part, other in zip(
        [*ours.coefs_, *ours.intercepts_], [*theirs.coefs_, *theirs.intercepts_], strict=True
    ):
        np.testing.assert_allclose(part, other, rtol=0, atol=tol)
        assert part.dtype == other.dtype
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=tol)
    assert ours.predict(X).dtype == theirs.predict(X).dtype
    assert ours.predict(X).shape == theirs.predict(X).shape
    if columns(y) == 1 or ours.loss == "poisson":
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=0, atol=tol)
        assert ours.loss_ == pytest.approx(theirs.loss_, abs=tol)
        assert ours.best_loss_ == pytest.approx(theirs.best_loss_, abs=tol)
    assert ours.validation_scores_ == pytest.approx(theirs.validation_scores_, abs=tol)
    assert ours.best_validation_score_ == pytest.approx(theirs.best_validation_score_, abs=tol)
    for name in ["n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"]:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert ours.score(X, y) == pytest.approx(theirs.score(X, y), abs=tol)


def both(params, X, y, **fit_params):
    ours = fitted(MLPRegressorDefaults, params, X, y, **fit_params)
    return ours, fitted(MLPRegressor, params, X, y, **fit_params)


@problems
@activations
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_grid(problem, activation, solver, loss):
    y = targets(problem, loss)
    params = settings(solver, activation=activation, n_iter_no_change=30)
    params |= {"learning_rate_init": {"sgd": 0.01, "adam": 0.005}[solver]}
    params |= {"loss": loss} if HAS_POISSON else {}
    ours, theirs = both(params, X, y)
    assert theirs.n_iter_ >= 15
    assert theirs.loss_ < theirs.loss_curve_[0]
    assert_same_fit(ours, theirs, X, y)


def test_the_defaults_of_mlpregressor():
    seed = {"random_state": 3}
    ours = fitted(ScratchMLPRegressor, MLP_REGRESSOR_SETTINGS | seed, X, Y_DIABETES)
    theirs = fitted(MLPRegressor, seed, X, Y_DIABETES)
    assert_same_fit(ours, theirs, X, Y_DIABETES)
    assert ours.target_mean_ is ours.target_scale_ is None


@problems
@pytest.mark.parametrize("variant", VARIANTS)
def test_variant(problem, variant):
    y = DATA[problem][:150]
    # At the rates of the classifier some of them overflow.
    params = VARIANTS[variant]
    params = params | {"learning_rate_init": params["learning_rate_init"] / 5}
    if columns(y) > 1 and not params.get("early_stopping"):
        params["n_iter_no_change"] = 1000  # whether a loss stalls depends on its unit
    ours, theirs = both(params, X[:150], y)
    assert_same_fit(ours, theirs, X[:150], y)


@problems
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("loss", LOSSES)
def test_weights(problem, loss, alpha):
    weights = np.random.RandomState(0).uniform(0, 3, size=len(X))
    y, params = targets(problem, loss), settings("adam", batch_size=len(X), alpha=alpha)
    params |= {"loss": loss} if HAS_POISSON else {}
    ours = fitted(MLPRegressorDefaults, params, X, y, sample_weight=weights)
    if not TAKES_WEIGHTS:
        with pytest.raises(TypeError, match="sample_weight"):
            MLPRegressor().fit(X, y, sample_weight=weights)
        return
    if alpha:  # the penalty is divided by what the rows are worth, and there by their sum
        weights = weights * (weights.sum() / (weights**2).sum())
    theirs = fitted(MLPRegressor, params, X, y, sample_weight=weights)
    assert_same_fit(ours, theirs, X, y)
    assert distance(ours, fitted(MLPRegressorDefaults, params, X, y)) > 1e-3


@problems
@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson"])
def test_whole_weights_are_repeated_rows(problem, loss):
    counts = np.random.RandomState(0).randint(4, size=len(X))
    y, some = targets(problem, loss), np.count_nonzero(counts)
    params = settings("adam", loss=loss, alpha=0.0, n_iter_no_change=np.inf)
    ours = fitted(MLPRegressorDefaults, params | {"batch_size": some}, X, y, sample_weight=counts)
    judge = fitted(
        MLPRegressorDefaults,
        params | {"batch_size": counts.sum()},
        X.repeat(counts, axis=0),
        y.repeat(counts, axis=0),
    )
    np.testing.assert_allclose(ours.predict(X), judge.predict(X), rtol=0, atol=1e-8)
    np.testing.assert_allclose(ours.loss_curve_, judge.loss_curve_, rtol=0, atol=1e-8)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("loss", LOSSES)
def test_float32(solver, loss):
    params = settings(solver, learning_rate_init=0.005)
    params |= {"loss": loss} if HAS_POISSON else {}
    y = targets("one number", loss)
    ours, theirs = both(params, X.astype(np.float32), y.astype(np.float32))
    assert_same_fit(ours, theirs, X.astype(np.float32), y, tol=1e-3)


@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse(container):
    params = settings("adam")
    ours, theirs = both(params, container(X), PROGRESS)
    assert_same_fit(ours, theirs, container(X), PROGRESS)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_one_fit_after_another(solver):
    params = settings(solver, learning_rate_init=0.01, max_iter=5, warm_start=True)
    ours, theirs = both(params, X, PROGRESS)
    for part in (slice(0, 90), slice(90, 200)):
        for model in (ours, theirs):
            fitted_again(model, X[part], PROGRESS[part])
        assert_same_fit(ours, theirs, X, PROGRESS)


@problems
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_ten_calls_of_partial_fit(problem, solver):
    y, params = DATA[problem], settings(solver, learning_rate_init=0.01)
    ours, theirs = MLPRegressorDefaults(**params), MLPRegressor(**params)
    for k in range(10):
        part = slice(20 * k, 20 * k + 20)
        for model in (ours, theirs):
            model.set_params(batch_size=20)
            model.partial_fit(X[part], y[part])
    assert_same_network_of_numbers(ours, theirs)
    assert len(ours.loss_curve_) == 10


def assert_same_network_of_numbers(ours, theirs):
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=1e-8)
    assert distance(ours, theirs) < 1e-8


@activations
@pytest.mark.parametrize("loss", LOSSES)
def test_lbfgs(activation, loss):
    params = settings("lbfgs", activation=activation, max_iter=15)
    params |= {"loss": loss} if HAS_POISSON else {}
    y = targets("one number", loss)
    ours, theirs = both(params, X, y)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.loss_ == pytest.approx(theirs.loss_, abs=1e-6)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=0, atol=1e-4)


# ---------------------------------------------------------------- deliberate differences


def test_the_loss_of_several_columns_is_the_one_that_is_minimised():
    y = DATA["three numbers"]
    ours, theirs = both(settings("adam", alpha=0.0, max_iter=5), X, y)
    np.testing.assert_allclose(ours.loss_curve_, 3 * np.array(theirs.loss_curve_))
    # The gradient of both is that of the sum: plain descent on all rows goes down the slope of it.
    params = settings("sgd", alpha=0.0, momentum=0.0, hidden_layer_sizes=(), batch_size=len(X))
    ours, theirs = both(params | {"max_iter": 2, "learning_rate_init": 1e-4}, X, y)
    assert distance(ours, theirs) < 1e-12
    start = fitted(
        MLPRegressorDefaults, params | {"max_iter": 1, "learning_rate_init": 1e-300}, X, y
    )
    step = np.abs(theirs.coefs_[0] - start.coefs_[0]).max() / 2
    e = start.predict(X) - y
    assert step == pytest.approx(1e-4 * np.abs(X.T @ e).max() / len(X), rel=1e-2)


def test_lbfgs_of_several_columns_has_the_gradient_of_its_loss():
    # SciPy is told a third of the loss there, beside the gradient of all of it, and is led astray.
    y, params = (
        DATA["three numbers"],
        settings("lbfgs", hidden_layer_sizes=(), alpha=0.0, tol=1e-10),
    )
    params |= {"max_iter": 1000, "max_fun": 10_000}
    ours, _ = both(params, X, y)
    design = np.column_stack([X, np.ones(len(X))])
    best = design @ np.linalg.lstsq(design, y, rcond=None)[0]
    np.testing.assert_allclose(ours.predict(X), best, rtol=0, atol=1e-3)


# ---------------------------------------------------------------- other judges


def test_the_poisson_loss_without_a_hidden_layer_is_a_generalised_linear_model():
    params = {"loss": "poisson", "solver": "lbfgs", "alpha": 0.0, "tol": 1e-9}
    params |= {"hidden_layer_sizes": (), "max_iter": 5000, "random_state": 0}
    ours = MLPRegressorDefaults(**params).fit(X, COUNTS)
    judge = PoissonRegressor(alpha=0.0, tol=1e-12, max_iter=1000).fit(X, COUNTS)
    np.testing.assert_allclose(ours.predict(X), judge.predict(X), rtol=1e-4)
    assert ours.loss_ == pytest.approx(mean_poisson_deviance(COUNTS, judge.predict(X)) / 2)


def test_the_squared_error_is_half_of_scikit_learns():
    ours = fitted(MLPRegressorDefaults, settings("lbfgs", alpha=0.0, max_iter=30), X, PROGRESS)
    assert ours.loss_ == pytest.approx(mean_squared_error(PROGRESS, ours.predict(X)) / 2)
