"""What both estimators do: validate, plan, train, adopt, report; and predict."""

import math
from collections.abc import Callable, Mapping
from functools import cache, partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.metrics import get_scorer_names
from sklearn.utils import Tags, check_array, check_X_y, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_scratch._caller import is_one_of_many
from sknn_scratch._compat import Interval, Options, StrOptions, check_sample_weight, fit_context
from sknn_scratch.callbacks.following import follow
from sknn_scratch.callbacks.protocol import CallbackSupport, callback_context
from sknn_scratch.estimator.attributes import NetworkAttributes
from sknn_scratch.estimator.columns import (
    Columns,
    check_gaps,
    input_names,
    learn_columns,
)
from sknn_scratch.estimator.fitting import Fit, adopted, plan_fit, see, train
from sknn_scratch.estimator.plan import Mode
from sknn_scratch.estimator.report import report
from sknn_scratch.estimator.rows import Table, check_alike
from sknn_scratch.estimator.tables import as_table, check_all_there, has_kinds, unmasked
from sknn_scratch.estimator.task import Task
from sknn_scratch.estimator.trial import after_trial
from sknn_scratch.network.activations import ACTIVATIONS

#: Types of X that need no conversion.
FLOATS = (np.float64, np.float32)

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

#: Finds the task of y, given row weights and the task of the fit to continue, or None.
FindTask = Callable[[NDArray, NDArray | None, Any], Task]


def solver_is_stochastic(estimator: Any) -> bool:
    """Tell whether partial_fit is available; if not, raise an AttributeError that says why."""
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is not available with solver='lbfgs', which looks at all rows at once. "
            "Set solver='adam' or 'sgd'."
        )
    return True


class ScratchMLP(NetworkAttributes, CallbackSupport, BaseEstimator):
    """Base of the estimators.

    A fit works on a copy of the estimator. When it has succeeded, the copy's attributes replace the
    estimator's in one assignment. So a fit that fails leaves everything as it was, and another
    thread that predicts meanwhile sees the old network or the new one.
    """

    _task: Task
    _columns: Columns | None = None
    _takes_gaps = False
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

    # ------------------------------------------------------------ what an estimator adds

    def _find_task(self, y: NDArray, weight: NDArray | None, before: Any) -> Task:
        """Find the task of y, or check that y suits the task of the fit that continues."""
        raise NotImplementedError

    def _checked_targets(self, y: NDArray) -> NDArray:
        """Return y in the type that the task needs; one column is an array (n,)."""
        return y

    def _class_weights(self, y: NDArray, weight: NDArray | None) -> NDArray | None:
        """Weight rows by their classes, given row weights: (n,), (n, n_labels) or None."""
        return None

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
        fitted = self._copy()
        table = fitted._validate_table(mode, find_task, X, y, sample_weight)
        held_out = fitted._validate_set(*validation)
        if held_out is not None:
            check_alike(table.X, held_out.X)
        seen = see(fitted, fitted._task, table, held_out, mode)
        fit = plan_fit(fitted, fitted._task, seen, mode)
        fit = after_trial(fitted, fitted._task, fit)
        followed = None
        if context is not None:
            metadata = None if sample_weight is None else {"sample_weight": sample_weight}
            given = {"estimator": self, "X": X, "y": y, "metadata": metadata}
            data = fitted._data(table, held_out, fit)
            followed = follow(fit.job, data, partial(adopted, fitted, fit), context, given)
            fit = fit._replace(job=followed.job)
        result = train(fitted, fit)
        if result.stop_reason == "interrupted" and is_one_of_many():
            raise KeyboardInterrupt  # it is the search that the user wants to end
        attributes = adopted(fitted, fit, result, hand_on_curve=mode.partial)
        before, self.__dict__ = self.__dict__, attributes
        try:
            if followed is not None:
                followed.end({})
            if self.loss_curve_ is getattr(fitted, "loss_curve_", None):
                self.loss_curve_.extend(result.loss_curve)
        except BaseException:
            self.__dict__ = before
            raise
        report(self, fitted._task, mode, fit.plan, fit.job, result)
        return self

    def _validate_table(
        self, mode: Mode, find_task: FindTask, X: Any, y: Any, sample_weight: Any
    ) -> Table:
        """Validate the rows to learn from, and find their task."""
        X, y = self._validate(X, y, reset=not mode.again)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, X)
        before = self._task if mode.again else None
        self._task = find_task(y, weight, before)
        if before is not None:
            self.network_ = self._task.taken_over(self.network_, before)
        return self._weighted(X, y, weight, allow_zeros=mode.partial)

    def _data(self, table: Table, held_out: Table | None, fit: Fit) -> dict[str, Any]:
        """Return all that a fit depends on, except for parameters."""
        levels = [] if self._columns is None else self._columns.categories
        return {
            **table._asdict(),
            "categories of X": np.array([f"{of}" for of in levels]),
            "X_val, y_val": held_out and tuple(held_out),
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

    def _copy(self) -> Self:
        """Return a shallow copy of the estimator. A fit replaces attributes, and changes none.

        ``copy.copy`` takes several times as long as predicting one row.
        """
        return self._with(self.__dict__)

    def _with(self, attributes: Mapping[str, Any]) -> Self:
        """Return an estimator that has these attributes."""
        made = object.__new__(type(self))
        made.__dict__.update(attributes)
        return made

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[NDArray, NDArray]:
        """Validate rows to learn from or to hold out: X as numbers and codes, and y dense."""
        X, y = as_table(X), unmasked(y)
        check_all_there(y)
        if reset:
            self._columns = learn_columns(X, self.categorical_features)
            self._takes_gaps = bool(self.scale_features)
        X, y = self._table(
            X,
            y,
            reset=reset,
            multi_output=True,
            dtype=FLOATS,
            # If features are scaled, a column-major X is copied anyway.
            order=None if self.scale_features else "C",
        )
        if issparse(y):  # targets are dense
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, self._checked_targets(y)

    def _table(self, X: Any, *y: Any, reset: bool, **checks: Any) -> Any:
        """Validate X, or X and y; X becomes an array of numbers and codes, or a CSR matrix."""
        checks |= {"accept_sparse": "csr", "ensure_all_finite": "allow-nan"}
        columns = self._columns
        if columns is None and has_kinds(X):
            columns = Columns.of_numbers(X)
        with np.errstate(over="ignore", invalid="ignore"):  # as infinite values are summed up
            if columns is None:
                result = validate_data(self, X, *y, reset=reset, **checks)
            else:
                validate_data(self, X, *y, reset=reset, skip_check_array=True)
                check = check_X_y if y else check_array
                result = check(columns(X), *y, estimator=self, **checks)
        check_gaps(result[0] if y else result, allowed=self._takes_gaps)
        return result

    def _weighted(
        self, X: NDArray, y: NDArray, weight: NDArray | None, *, allow_zeros: bool = False
    ) -> Table:
        """Give validated rows their weights, including those of their classes.

        With ``allow_zeros``, all rows may be of classes of weight zero.
        """
        by_class = self._class_weights(y, weight)
        if by_class is None:
            return Table(X, y, weight, None)
        if by_class.ndim == 2:
            return Table(X, y, weight, by_class)
        if weight is not None:
            by_class = by_class * weight
        return Table(X, y, check_sample_weight(by_class, X, allow_zeros=allow_zeros), None)

    def _validate_set(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> Table | None:
        """Validate the validation rows that were given to fit; None if there are none."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            there, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            if X_val is y_val is None:
                there, missing = "sample_weight_val", "X_val and y_val"
            raise ValueError(
                f"{there} was given without {missing}. Give X_val and y_val together, or neither: "
                "then early_stopping sets rows of X aside."
            )
        X_val, y_val = self._validate(X_val, y_val, reset=False)
        self._task.check_validation(y_val)
        weight = sample_weight_val
        weight = None if weight is None else check_sample_weight(weight, X_val)
        return self._weighted(X_val, y_val, weight)

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

    def _checked(self, X: Any) -> Any:
        """Validate X, unless it is a finite array of floats that needs no change.

        Validation takes several times as long as predicting one row.
        """
        if (
            type(X) is np.ndarray
            and X.dtype.char in "fd"
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and not hasattr(self, "feature_names_in_")
            and self._columns is None
        ):
            # The sum of finite values may overflow: then validation decides.
            with np.errstate(over="ignore", invalid="ignore"):
                if math.isfinite(X.sum()):
                    return X
        check_is_fitted(self)
        return self._table(as_table(X), reset=False, dtype=FLOATS)

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
