"""What both estimators do: validate, plan, train, adopt, report; and predict."""

import math
from functools import cache, partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer_names
from sklearn.utils import Tags

from sknn_scratch._caller import is_one_of_many
from sknn_scratch._compat import Interval, Options, StrOptions, fit_context
from sknn_scratch.callbacks.following import follow
from sknn_scratch.callbacks.protocol import CallbackSupport, callback_context, hook_arguments
from sknn_scratch.estimator.attributes import NetworkAttributes
from sknn_scratch.estimator.columns import input_names
from sknn_scratch.estimator.fitting import Fit, Seen, adopted, plan_fit, see, train
from sknn_scratch.estimator.plan import Mode
from sknn_scratch.estimator.report import report
from sknn_scratch.estimator.trial import after_trial
from sknn_scratch.estimator.validation import SEEN_BY, FindTask, TableValidation
from sknn_scratch.network.activations import ACTIVATIONS

#: Settings that make an estimator scikit-learn's with its defaults, except for the loss.
MLP_SETTINGS: dict[str, Any] = {
    "hidden_layer_sizes": (100,),
    "activation": "relu",
    "init": "glorot",
    "dtype": None,
    "scale_features": False,
    "alpha": 0.0001,
    "weight_decay": 0.0,
    "input_dropout": 0.0,
    "batch_size": "at_most_200",
    "learning_rate": "constant",
    "learning_rate_init": 0.001,
    "beta_2": 0.999,
    "max_iter": 200,
}


def solver_is_stochastic(estimator: Any) -> bool:
    """Tell whether partial_fit is available; if not, raise an AttributeError that says why."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is not available with solver='lbfgs', which looks at all rows at once. "
            "Set solver='adam' or 'sgd'."
        )
    return True


class ScratchMLP(NetworkAttributes, TableValidation, CallbackSupport, BaseEstimator):
    """Base of the estimators.

    A fit works on a copy of the estimator. When it has succeeded, the copy's attributes replace the
    estimator's in one assignment. So a fit that fails leaves everything as it was, and another
    thread that predicts meanwhile sees the old network or the new one.
    """

    loss_curve_: list[float]

    #: What both estimators have; each adds its loss.
    _parameter_constraints: ClassVar[dict[str, list]] = {
        # the network
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "init": [StrOptions({"scaled", "glorot"})],
        "dtype": [
            None,
            StrOptions({"auto", "float32", "float64"}),
            Options(type, {np.float32, np.float64}),
            Options(np.dtype, {np.dtype(np.float32), np.dtype(np.float64)}),
        ],
        # its inputs
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "numerical_encoding": [StrOptions({"piecewise_linear"}), None],
        "n_bins": [Interval(Integral, 2, None, closed="left")],
        "scale_features": ["boolean"],
        # what is minimised
        "alpha": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "input_dropout": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        # how
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "batch_size": [
            StrOptions({"auto", "at_most_200"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "shuffle": ["boolean"],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", "cosine"})],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        # how long
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {math.inf}),
        ],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
        "warm_start": ["boolean"],
        # around
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    _not_seen_by = frozenset(_parameter_constraints) - SEEN_BY

    # ------------------------------------------------------------ fit

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. For a classifier: class labels (numbers, strings, booleans), or an indicator
            matrix (multilabel). For a regressor: numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; by default all are equal.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Inputs of validation rows of your own, used instead of rows held out from X. A Pipeline
            passes them on untransformed, unless it is made with ``transform_input=["X_val"]``.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets, with classes that occur in y, or with the same columns.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self : estimator
            The fitted estimator. If fitting fails, it is left as it was.

        Raises
        ------
        ValueError
            If a parameter, X, y or sample_weight is not valid, or if training overflows.
        TypeError
            If a column of X is neither numeric nor categorical, such as dates.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` ended training before it had converged, or if the network ended up no
            better than one that always predicts the mean of y, or the frequencies of its classes.
        UserWarning
            If X_val seems not to have been transformed as X was; or if the user interrupted
            training (Ctrl-C), in which case what was learnt so far is kept. Inside a search or
            another estimator that makes many fits, and in a trial of few epochs (``max_iter``),
            Ctrl-C raises KeyboardInterrupt instead.
        """
        mode = Mode(again=self.warm_start and self.__sklearn_is_fitted__())
        validation = X_val, y_val, sample_weight_val
        return self._fit(mode, self._find_task, X, y, sample_weight, validation)

    def _partial_fit(self, find_task: FindTask, X: Any, y: Any, sample_weight: Any) -> Self:
        """Train for one more epoch, on the given rows, with the task that find_task finds."""
        if self.early_stopping is True:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it trains one epoch, on rows "
                "that are all its own. Set early_stopping=False."
            )
        mode = Mode(again=self.__sklearn_is_fitted__(), partial=True)
        if mode.again:  # scikit-learn looks at the parameters before the first call only
            self._validate_params()
        return self._fit(mode, find_task, X, y, sample_weight)

    def _fit(
        self,
        mode: Mode,
        find_task: FindTask,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation: tuple[Any, Any, Any] = (None, None, None),
    ) -> Self:
        """Validate, plan, train, adopt, report."""
        context = callback_context(self, "partial_fit" if mode.partial else "fit")
        if mode.again or mode.partial:
            fitted = self._copy()
            tables = fitted._validated(mode, find_task, X, y, sample_weight, *validation)
            seen = see(fitted, fitted._task, *tables, mode)
        else:
            rows = X, y, sample_weight, *validation
            view = self._view(*rows, is_followed=context is not None)
            fitted, [seen] = self._with_view(view)
        fit = plan_fit(fitted, fitted._task, seen, mode)
        fit = after_trial(fitted, fitted._task, fit)
        followed = None
        if context is not None:
            given = hook_arguments(self, X, y, sample_weight)
            data = fitted._data(seen, fit)
            followed = follow(fit.job, data, partial(adopted, fitted, fit), context, given)
            fit = fit._replace(job=followed.job)
        result = train(fitted, fit)
        if result.stop_reason == "interrupted" and is_one_of_many():
            raise KeyboardInterrupt  # it is the search that the user wants to end
        attributes = adopted(fitted, fit, result, hand_on_curve=mode.partial)
        before = self.__dict__
        try:
            self.__dict__ = attributes
            if followed is not None:
                followed.end({})
            if self.loss_curve_ is getattr(fitted, "loss_curve_", None):
                self.loss_curve_.extend(result.loss_curve)
        except BaseException:
            self.__dict__ = before
            raise
        report(self, fitted._task, mode, fit.plan, fit.job, result)
        return self

    def _data(self, seen: Seen, fit: Fit) -> dict[str, Any]:
        """Return all that a fit depends on, except for parameters."""
        levels = [] if self._columns is None else self._columns.categories
        return {
            **seen.rows.table._asdict(),
            "categories of X": np.array([f"{of}" for of in levels]),
            "X_val, y_val": seen.validation and tuple(seen.validation.table),
            "the fit that it goes on from": fit.job.start.theta if fit.mode.again else None,
        }

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        """Return the names of the parameters; clones ask for them many times, of many parameters.

        scikit-learn looks at the signature each time, which took a tenth of a short search.
        """
        names: list[str] = super()._get_param_names()
        return names

    # ------------------------------------------------------------ predict

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict class labels or numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            From a classifier: the most probable class of each row; for multilabel y, an indicator
            matrix of the labels whose probability is above one half. From a regressor: numbers in
            the unit of y.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, infinite values, or missing values that are not
            allowed.
        """
        now = self._copy()
        X = now._checked(X)
        return now._task.decode(now.network_.finite_outputs(X))

    def hidden_activations(self, X: ArrayLike) -> list[NDArray]:
        """Compute the activations of the hidden units.

        Use them as features for another model, or to see what a unit responds to.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        activations : list of ndarray of shape (n_samples, n_units)
            One array per hidden layer, from the first to the last.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, infinite values, or missing values that are not
            allowed.
        """
        now = self._copy()
        X = now._checked(X)
        return now.network_.hidden_activations(X)

    @property
    def input_names_(self) -> NDArray:
        """Names of the inputs of the network, (n_inputs,), one for each row of ``coefs_[0]``."""
        features = self._read("input_names_", lambda network: network.features)
        default = [f"x{j}" for j in range(self.n_features_in_)]
        names = np.asarray(getattr(self, "feature_names_in_", default), dtype=object)
        return input_names(names, self._columns, features)

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn what this estimator supports: sparse X, words, categories, gaps."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        tags.input_tags.string = self.categorical_features is not None
        tags.input_tags.allow_nan = bool(self.scale_features)
        return tags
