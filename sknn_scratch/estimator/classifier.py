"""The estimator: validate, encode, train, adopt."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from scipy.special import expit, log_expit, log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, check_scoring, get_scorer_names
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.extmath import row_norms, softmax
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_scratch._compat import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    check_sample_weight,
    fit_context,
    is_first_partial_fit,
)
from sknn_scratch.callbacks.checkpoint import CallbackSupport, FitTask, fit_task
from sknn_scratch.estimator.plan import input_dropout_for, weight_decay_for
from sknn_scratch.estimator.targets import (
    class_weights,
    classes_of,
    decode,
    encode,
    is_multilabel,
    require_two,
)
from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.features import Scaling, scaling_of
from sknn_scratch.network.losses import LOSSES, chance_loss
from sknn_scratch.network.propagation import (
    Layer,
    draw_theta,
    glorot_bounds,
    hidden_activations,
    layers_of,
    output,
    place_units,
    scaled_bounds,
    theta_of,
)
from sknn_scratch.parallel.meeting import train_together
from sknn_scratch.training.holdout import Validation
from sknn_scratch.training.loop import (
    Epoch,
    SolverProgress,
    TrainingJob,
    TrainingResult,
    train_lbfgs,
)
from sknn_scratch.training.sampling import equal_batches
from sknn_scratch.training.schedules import Schedule, learning_rate_for, planned_epochs
from sknn_scratch.training.solvers import SGD, Adam, Solver
from sknn_scratch.training.stopping import NoImprovement

#: What X may come as without being converted.
FLOATS = (np.float64, np.float32)

#: Rows beyond which ``early_stopping="auto"`` stops early.
MANY_ROWS = 10_000

#: Iterations of L-BFGS when ``max_iter="auto"``.
AUTO_LBFGS_ITERATIONS = 1000


@contextmanager
def _all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Put the estimator back to what it was if the body fails."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class Rows(NamedTuple):
    """Rows as they came, validated, and what the network sees of them."""

    X: NDArray
    """(n, n_features), dense or sparse."""
    y: NDArray
    """Labels, (n,) or (n, n_labels)."""
    inputs: Any
    """X, scaled if it is to be, of theta's dtype."""
    targets: NDArray
    """0 or 1, (n, n_outputs), of theta's dtype."""
    sample_weight: NDArray | None

    def take(self, rows: NDArray) -> "Rows":
        """Some of the rows."""
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        X, y, inputs, targets = (part[rows] for part in self[:-1])
        return Rows(X, y, inputs, targets, weight)


def _solver_is_stochastic(estimator: "ScratchMLPClassifier") -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is not available with solver='lbfgs', which looks at all rows at once. "
            "Set solver='adam' or 'sgd'."
        )
    return True


class ScratchMLPClassifier(CallbackSupport, ClassifierMixin, BaseEstimator):
    r"""Multilayer perceptron of sigmoid units, trained by backpropagation of the squared error.

    Features are scaled inside (``scale_features``). Then each layer computes
    :math:`a_{l+1} = f(a_l W_l + b_l)`; the outputs are one sigmoid (two classes), a softmax (more
    classes) or one sigmoid a label (multilabel). With the default loss, training minimises the
    Brier score of the probabilities

    .. math:: \frac1n \sum_i \sum_c (p_{ic} - y_{ic})^2 + \frac{\alpha}{2n} \sum_l |W_l|^2 ,

    for more than two classes with a tenth of the log loss (see ``loss``).

    Parameters, methods and attributes are those of
    :class:`sklearn.neural_network.MLPClassifier`, and a few more. With ``activation="relu"``,
    ``hidden_layer_sizes=(100,)``, ``batch_size=min(200, n_samples)``,
    ``learning_rate="constant"``, ``learning_rate_init=0.001``, ``max_iter=200``,
    ``loss="log_loss"``, ``init="glorot"``, ``scale_features=False``, ``input_dropout=0``,
    ``weight_decay=0`` and ``beta_2=0.999`` the same ``random_state`` gives the same network as
    ``MLPClassifier()``, up to rounding.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(200,)
        Units of each hidden layer. An empty sequence makes a linear model.
    activation : {"identity", "logistic", "tanh", "relu"}, default="logistic"
        Function of the hidden units. "logistic" is the sigmoid.
    solver : {"lbfgs", "sgd", "adam"}, default="adam"
        "sgd" and "adam" work on minibatches; "lbfgs" (SciPy's L-BFGS-B) on all rows at once, which
        is often better for a few hundred rows.
    alpha : float, default=0.0001
        Strength of the L2 penalty, which is divided by the number of rows.
    batch_size : int or "auto", default="auto"
        Rows of a minibatch. "auto" cuts the rows into batches of equal size, of about 64 rows;
        ``batch_size_`` tells what was used.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="cosine"
        How the learning rate goes on from ``learning_rate_init``.

        - "constant": it stays.
        - "invscaling" (sgd only): divided by ``(t_ + 1) ** power_t`` after each epoch.
        - "adaptive" (sgd only): divided by 5 each time that training stalls.
        - "cosine": half a cosine wave, down to zero at ``max_iter``. Training does not stop on a
          plateau then, unless ``early_stopping`` is set. ``partial_fit`` has no planned end, and
          goes on at ``learning_rate_init``.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start. "auto" is 0.01 for "adam" and 0.1 for "sgd", and more below 40
        hidden units, in proportion. Where ``max_iter`` allows "adam" fewer updates than "auto"
        would at least, it is up to twice as much: multiplied by the cube root of how many times
        fewer. ``learning_rate_init_`` tells what was used.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int or "auto", default="auto"
        Most epochs (for "lbfgs": iterations). "auto" means 60 epochs, but at most
        30 * sqrt(n_samples) updates, and at least 250 (8,000 / n_units below 32 hidden units);
        1,000 iterations for "lbfgs". ``n_iter_`` tells what was done.
    loss : {"guarded_squared_error", "squared_error", "log_loss"}, default="guarded_squared_error"
        What training minimises.

        - "squared_error": the squared error of the probabilities (the Brier score).
        - "log_loss": their cross-entropy.
        - "guarded_squared_error": the squared error and, for more than two classes, a tenth of the
          log loss, so that no class is given up in favour of another.
    init : {"scaled", "glorot"}, default="scaled"
        Initial weights. "scaled": units start on the scale at which they work, those of the first
        layer look along few columns each and turn within the data. "glorot": uniform within
        Glorot's bounds, as in MLPClassifier.
    scale_features : bool, default=True
        Whether the network sees X as it is, or with its columns centred (``mean_``), divided by
        their standard deviation (``scale_``) and bounded smoothly: x / (1 + (x / 3.5)**4)**0.25.
        Columns of zeros and ones stay as they are; columns of a sparse X are not centred, but
        divided by their largest absolute value. All rows given to ``fit`` count, also those that
        it sets aside; a fit that goes on from another keeps its scaling, and ``partial_fit`` that
        of its first call.
    input_dropout : float or "auto", default="auto"
        Share of the columns that each update leaves out by chance. "auto" is
        n_features / n_samples - 0.05, between 0 and 0.15, and 0 below 10 columns; weighted rows
        count by their weights. ``input_dropout_`` tells what was used. Not used by "lbfgs".
    weight_decay : float or "auto", default="auto"
        Decoupled weight decay: each update first multiplies the weights (not the biases) by
        1 - learning rate * weight_decay. "auto" is such that this is 1 - 4 / max(n_samples, 250)
        at the start, times the noise in the data: the loss after the first quarter of the epochs,
        as a share of the loss of always predicting the frequencies of the classes; until then
        nothing decays. ``weight_decay_`` tells what was used. Not used by "lbfgs";
        ``partial_fit`` measures no noise, and goes by that of an earlier ``fit``, or does not
        decay.
    class_weight : "balanced", dict, list of dict or None, default=None
        Weights of classes, which multiply ``sample_weight``. "balanced" weights them inversely to
        their frequencies in y; a dict gives weights by class, 1 where it has none; multilabel y
        takes one dict a label.
    dtype : {"float32", "float64"}, NumPy type or None, default=None
        What the network is computed in, and what its parameters and probabilities are. None keeps
        float32 as it comes and takes float64 for all else. float32 is faster, and exact enough for
        most tables. A fit that goes on from another keeps the type of its parameters. "lbfgs"
        searches in float64 and rounds at the end.
    shuffle : bool, default=True
        Whether to put the rows into a new order before each epoch.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, of the row order, and of the validation split.
    tol : float, default=1e-4
        Least gain that counts as progress: of the loss, or with ``early_stopping`` of the
        validation score. For "lbfgs": largest component of the gradient at convergence.
    verbose : bool or int, default=False
        Whether to print one line an epoch.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the parameters of the last fit.
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether the momentum is Nesterov's.
    early_stopping : bool or "auto", default=False
        Whether to stop when the validation score stalls, and to return to the parameters of the
        best epoch. The rows for it are those given to ``fit`` as ``X_val``, or set aside from X
        (stratified for two classes). "auto" stops early if ``X_val`` is given, or if X has more
        than 10,000 rows.
    scoring : str, callable or None, default=None
        What the validation score is: the accuracy (None), minus the loss ("loss"), or a scorer of
        scikit-learn (name or callable). Weights of the rows are passed on to it.
    validation_fraction : float, default=0.1
        Share of the rows set aside for ``early_stopping``.
    beta_1 : float, default=0.9
        Decay of the running mean of the gradient of "adam".
    beta_2 : float, default=0.95
        Decay of the running mean of the squared gradient of "adam".
    epsilon : float, default=1e-8
        Keeps the quotient of "adam" finite.
    n_iter_no_change : int or inf, default=10
        Training has stalled after more than this many epochs without progress.
    max_fun : int, default=15000
        Most evaluations of the loss by "lbfgs".

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel y, the numbers of its columns.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer. Those of the first refer to the scaled features.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    mean_ : ndarray of shape (n_features,) or None
        What is subtracted from each column; None without ``scale_features``.
    scale_ : ndarray of shape (n_features,) or None
        What each column is then divided by.
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Lowest loss of all epochs; None if training was to stop early.
    loss_curve_ : list of float
        Loss of each epoch: the mean over its rows before each update, penalty included.
    validation_loss_curve_ : list of float or None
        Loss on the validation rows after each epoch, without the penalty.
    validation_scores_ : list of float or None
        Score (see ``scoring``) on the validation rows after each epoch.
    best_validation_score_ : float or None
        Best of ``validation_scores_``.
    best_iter_ : int or None
        Epoch that the parameters are from, counted from 1, if training was to stop early.
    n_iter_ : int
        Epochs (iterations) of the last fit.
    stop_reason_ : str
        Why the last fit ended: "max_iter", "stalled" (no more progress), "callback" (one told it
        to) or "interrupted" (Ctrl-C); of "lbfgs" "converged", or SciPy's words why it did not.
    batch_size_ : int
        Rows of a minibatch.
    learning_rate_init_ : float
        Learning rate at the start.
    input_dropout_ : float
        Share of the columns that each update left out.
    weight_decay_ : float
        Weight decay at the end of training.
    t_ : int
        Training rows that the solver has seen, each as often as it saw it.
    n_layers_ : int
        Layers, those of inputs and outputs included.
    n_outputs_ : int
        Outputs of the network.
    out_activation_ : {"logistic", "softmax"}
        Function of the outputs.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X had any that are strings.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : The estimator that this one can stand in for.

    Examples
    --------
    >>> from sknn_scratch import ScratchMLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
    >>> clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    >>> clf.predict([[0, 1], [1, 1]]).tolist()
    ['odd', 'even']
    """

    # In a notebook scikit-learn describes parameters only beside a link to documentation. There is
    # no page on the web to link to, so the link stays within the notebook.
    _doc_link_module = "sknn_scratch"
    _doc_link_template = "#{estimator_name}"

    classes_: NDArray
    coefs_: list[NDArray]
    intercepts_: list[NDArray]
    loss_curve_: list[float]
    best_loss_: float | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    out_activation_: str
    mean_: NDArray | None
    scale_: Any
    n_outputs_: int
    t_: int

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive", "cosine"})],
        "learning_rate_init": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions({loss for loss, _ in LOSSES})],
        "init": [StrOptions({"scaled", "glorot"})],
        "scale_features": ["boolean"],
        "input_dropout": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "weight_decay": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
        "dtype": [
            None,
            StrOptions({"float32", "float64"}),
            Options(type, {np.float32, np.float64}),
        ],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "scoring": [StrOptions({"loss", *get_scorer_names()}), callable, None],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {math.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (200,),
        activation: str = "logistic",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "cosine",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        max_iter: int | str = "auto",
        loss: str = "guarded_squared_error",
        init: str = "scaled",
        scale_features: bool = True,
        input_dropout: float | str = "auto",
        weight_decay: float | str = "auto",
        class_weight: str | dict | list[dict] | None = None,
        dtype: str | type | None = None,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | str = False,
        scoring: str | Callable | None = None,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.loss = loss
        self.init = init
        self.scale_features = scale_features
        self.input_dropout = input_dropout
        self.weight_decay = weight_decay
        self.class_weight = class_weight
        self.dtype = dtype
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.scoring = scoring
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

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
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels (numbers, strings, booleans), or an indicator matrix (multilabel).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; by default all are equal.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Inputs of validation rows of your own, in place of rows set aside from X.
        y_val : array-like of shape (n_val,) or (n_val, n_labels), default=None
            Their labels, of the classes that y has.
        sample_weight_val : array-like of shape (n_val,), default=None
            Their weights.

        Returns
        -------
        self : ScratchMLPClassifier
            The fitted estimator. If fitting fails, it is left as it was.

        Raises
        ------
        ValueError
            If a parameter, X, y or sample_weight is not what it should be, or if training
            overflows.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` ended training before it had converged, or if the network ended up no
            better than the frequencies of the classes.
        UserWarning
            If the user interrupted training (Ctrl-C); what was learnt until then is kept.
        """
        # Before what puts the estimator back, as scikit-learn needs its context until the end.
        task = fit_task(self, "fit", X, y, sample_weight)
        with _all_or_nothing(self):
            again = self.warm_start and hasattr(self, "coefs_")
            X, y = self._validate(X, y, reset=not again)
            if again:
                self._check_same_classes(y)
            else:
                self.classes_ = classes_of(y)
            validation_set = self._validate_set(y, X_val, y_val, sample_weight_val)
            job, result = self._fit(X, y, sample_weight, validation_set, again=again, task=task)
        self._report(job, result)
        return self

    @available_if(_solver_is_stochastic)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Go on training for one epoch over the given rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels; not all classes need to occur.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call, and only there.

        Returns
        -------
        self : ScratchMLPClassifier
            The estimator after one more epoch. If it fails, it is left as it was.

        Raises
        ------
        ValueError
            As :meth:`fit`; if ``classes`` is missing in the first call or not the same later; if y
            has other classes; if ``early_stopping`` is set, as there is nothing to stop.
        """
        if self.early_stopping is True:
            raise ValueError(
                "partial_fit does not support early_stopping=True: it trains one epoch, on rows "
                "that are all its own. Set early_stopping=False."
            )
        task = fit_task(self, "partial_fit", X, y, sample_weight)
        with _all_or_nothing(self):
            again = hasattr(self, "coefs_")
            X, y = self._validate(X, y, reset=not again)
            is_first_partial_fit(self, classes)
            if not is_multilabel(y):
                require_two(self.classes_, "classes")
            self._check_known_classes(y)
            job, result = self._fit(X, y, sample_weight, again=again, partial=True, task=task)
        if result.reason == "interrupted":
            self._report(job, result)
        return self

    def _fit(
        self,
        X: NDArray,
        y: NDArray,
        sample_weight: ArrayLike | None,
        validation_set: tuple[NDArray, NDArray, NDArray | None] | None = None,
        *,
        again: bool,
        partial: bool = False,
        task: FitTask | None,
    ) -> tuple[TrainingJob, TrainingResult]:
        """Train on validated X and y, from the fitted parameters if again, and adopt the result."""
        sample_weight = self._row_weights(X, y, sample_weight)
        rng = check_random_state(self.random_state)
        if not again:
            one_output = len(self.classes_) == 2 and not is_multilabel(y)
            self.n_outputs_ = 1 if one_output else len(self.classes_)
            self.out_activation_ = "logistic" if one_output or is_multilabel(y) else "softmax"
            self._fit_scaling(X, sample_weight)
        dtype = self.coefs_[0].dtype if again else np.dtype(self.dtype or X.dtype)
        rows = self._rows(X, y, sample_weight, dtype)
        sizes = (X.shape[1], *self._hidden_sizes(), self.n_outputs_)
        theta = self._fitted_theta(sizes) if again else self._draw(sizes, rows, rng)
        stochastic = self.solver != "lbfgs"
        stops_early = stochastic and not partial and self._stops_early(X, validation_set)
        validation = None
        if validation_set is not None:
            validation = self._rows(*validation_set, dtype)
        elif stops_early:
            rows, validation = self._set_aside(rows, rng)
        job = self._job(rows, sizes, theta, rng, again=again, partial=partial)
        job.stopping = self._stopping(theta, again=again, stops_early=stops_early)
        if validation is not None:
            job.validate = self._validation(validation, sizes)
        if task is not None:
            data = {"X": X, "y": y, "sample_weight": sample_weight, "X_val, y_val": validation_set}
            data["the fit that it goes on from"] = theta if again else None
            task.begin(job, data, lambda result: self._fitted_with(job, result, again=again))
        if self.solver == "lbfgs":
            result = train_lbfgs(job, self.tol, self.max_fun)
        else:
            result = train_together(job)
        self._adopt(job, result, again=again)
        if task is not None:
            task.end()
        return job, result

    def _validate_set(
        self, y: NDArray, X_val: Any, y_val: Any, sample_weight_val: Any
    ) -> tuple[NDArray, NDArray, NDArray | None] | None:
        """Validation rows that were given to fit, or None if there are none."""
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
        if is_multilabel(y_val) != is_multilabel(y):
            raise ValueError(
                "Of y and y_val, one is an indicator matrix (multilabel), and the other is one "
                "column of class labels. They must be of the same kind."
            )
        labels = unique_labels(y_val)
        if not is_multilabel(y_val) and not np.isin(labels, self.classes_).all():
            raise ValueError(
                f"y_val has classes that y does not have. y has {self.classes_}, y_val has "
                f"{labels}. Put rows of every class into y."
            )
        if is_multilabel(y_val) and y_val.shape[1] != len(self.classes_):
            raise ValueError(
                f"y_val has {y_val.shape[1]} labels, but y has {len(self.classes_)}. They must "
                "have the same columns."
            )
        return X_val, y_val, self._row_weights(X_val, y_val, sample_weight_val)

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[NDArray, NDArray]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            multi_output=True,
            # Features are scaled in the type they come in.
            dtype=FLOATS if self.dtype is None or self.scale_features else self.dtype,
            order="C",
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _row_weights(
        self, X: NDArray, y: NDArray, sample_weight: ArrayLike | None
    ) -> NDArray | None:
        """Weights of the rows, (n,), those of their classes included, or None if all are equal."""
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        if self.class_weight is None:
            return sample_weight
        weights = class_weights(self.class_weight, y, self.classes_)
        return check_sample_weight(weights if sample_weight is None else weights * sample_weight, X)

    def _fit_scaling(self, X: NDArray, sample_weight: NDArray | None) -> None:
        self.mean_ = self.scale_ = None
        if self.scale_features:
            self.mean_, self.scale_ = scaling_of(X, sample_weight)

    def _scaling(self) -> Scaling | None:
        """What the network's inputs go through, as fitted."""
        mean = getattr(self, "mean_", None)  # not there if coefs_ were assigned by hand
        return None if mean is None else Scaling(mean, self.scale_)

    def _is_multilabel(self) -> bool:
        return self.out_activation_ == "logistic" and self.n_outputs_ > 1

    def _check_same_kind(self, y: NDArray) -> None:
        if is_multilabel(y) != self._is_multilabel():
            kinds = ("one column of class labels", "an indicator matrix (multilabel)")
            raise ValueError(
                f"`y` is {kinds[is_multilabel(y)]}, but the network was fitted to "
                f"{kinds[self._is_multilabel()]}. To go on from a fit, leave the kind of y as it "
                "was; for a new network set warm_start=False and call fit."
            )

    def _check_same_classes(self, y: NDArray) -> None:
        self._check_same_kind(y)
        classes = unique_labels(y)
        if set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes_}, `y` has {classes}"
            )

    def _check_known_classes(self, y: NDArray) -> None:
        if hasattr(self, "coefs_"):
            self._check_same_kind(y)
        classes = unique_labels(y)
        if not np.isin(classes, self.classes_).all():
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. "
                f"`y` has {classes}. Name all classes in the first call to partial_fit."
            )

    def _hidden_sizes(self) -> tuple[int, ...]:
        given = self.hidden_layer_sizes
        sizes: list[Any] = [given] if isinstance(given, Integral) else list(cast(Sequence, given))
        for size in sizes:
            if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
                raise InvalidParameterError(
                    f"hidden_layer_sizes must be > 0, got {given!r}. Allowed are an int of at "
                    "least 1, or a sequence of such, one a hidden layer; () for a linear model."
                )
        return tuple(int(size) for size in sizes)

    def _draw(self, sizes: tuple[int, ...], rows: Rows, rng: np.random.RandomState) -> NDArray:
        """Parameters of a new network, (n_params,)."""
        dtype = rows.targets.dtype
        if self.init == "glorot":
            return draw_theta(sizes, glorot_bounds(sizes, self.activation), rng, dtype)
        if issparse(rows.inputs):  # may hold an entry in parts, so that row_norms would not do
            squares = np.asarray(rows.inputs.multiply(rows.inputs).sum(axis=1)).ravel()
        else:
            squares = row_norms(rows.inputs, squared=True)
        mean_square = float(np.average(squares, weights=rows.sample_weight))
        theta = draw_theta(sizes, scaled_bounds(sizes, self.activation, mean_square), rng, dtype)
        if len(sizes) > 2:
            place_units(layers_of(theta, sizes)[0], rows.inputs, rows.sample_weight, rng)
        return theta

    def _fitted_theta(self, sizes: tuple[int, ...]) -> NDArray:
        """Parameters of the fitted network, (n_params,), if it has these layer sizes."""
        fitted = (self.coefs_[0].shape[0], *(W.shape[1] for W in self.coefs_))
        if fitted != sizes:
            raise ValueError(
                f"The fitted network has layers of {fitted} units, but hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} and the data ask for {sizes}. To go on from a fit, "
                "leave both as they were; for a new network set warm_start=False and call fit."
            )
        return theta_of(self.coefs_, self.intercepts_)

    def _rows(self, X: NDArray, y: NDArray, sample_weight: NDArray | None, dtype: np.dtype) -> Rows:
        """Validated rows, and what the network sees of them."""
        scaling = self._scaling()
        return Rows(
            X=X,
            y=y,
            inputs=scaling(X, dtype) if scaling else X.astype(dtype, copy=False),
            targets=encode(y, self.classes_, dtype),
            sample_weight=None if sample_weight is None else sample_weight.astype(dtype),
        )

    def _job(
        self,
        rows: Rows,
        sizes: tuple[int, ...],
        theta: NDArray,
        rng: np.random.RandomState,
        *,
        again: bool,
        partial: bool,
    ) -> TrainingJob:
        """All that training depends on: the rows, and the parameters made concrete."""
        n, Y, sample_weight = len(rows.targets), rows.targets, rows.sample_weight
        seen = self.t_ if again and partial else 0
        weight = seen + float(n if sample_weight is None else sample_weight.sum())
        self.batch_size_ = self._batch_size(n)
        max_iter = 1 if partial else self._epochs(n, self.batch_size_)
        # A fit that goes on from another has come a part of the way.
        planned = math.inf if again or partial else max_iter * math.ceil(n / self.batch_size_)
        self.learning_rate_init_ = self._learning_rate(planned)
        self.input_dropout_ = self._input_dropout(sizes[0], weight)
        drops, noisy = self.input_dropout_ > 0, self.weight_decay == "auto" and not partial
        return TrainingJob(
            X=rows.inputs,
            Y=Y,
            sample_weight=sample_weight,
            sizes=sizes,
            activation=self.activation,
            out_activation=self.out_activation_,
            loss=self.loss,
            theta=theta,
            rng=rng,
            solver=self._solver(),
            schedule=self._schedule(partial=partial),
            alpha=self.alpha,
            weight_decay=self._weight_decay(weight),
            chance=chance_loss(self.loss, self.out_activation_, Y, sample_weight)
            if noisy
            else None,
            input_dropout=self.input_dropout_,
            # With t_, so that calls of partial_fit with one seed leave out different inputs.
            dropout_rng=np.random.RandomState([rng.randint(1 << 31), seen]) if drops else None,
            batch_size=self.batch_size_,
            max_iter=max_iter,
            shuffle=self.shuffle,
            watchers=[_print_epoch] if self.verbose else [],
            progress=self._progress(again=again, partial=partial),
        )

    def _stops_early(self, X: NDArray, validation_set: object) -> bool:
        if self.early_stopping == "auto":
            return validation_set is not None or X.shape[0] > MANY_ROWS
        return bool(self.early_stopping)

    def _set_aside(self, rows: Rows, rng: np.random.RandomState) -> tuple[Rows, Rows]:
        """Split off validation rows: the others, and those."""
        n, Y = len(rows.targets), rows.targets
        train, validation = train_test_split(
            np.arange(n),
            random_state=rng,
            test_size=self.validation_fraction,
            stratify=Y.astype(bool) if Y.shape[1] == 1 else None,
        )
        if len(validation) < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of "
                f"your dataset: validation_fraction={self.validation_fraction} leaves "
                f"{len(validation)} of {n} rows for it."
            )
        if not self._is_multilabel() and len(lost := np.setdiff1d(rows.y, rows.y[train])):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves no row of the classes "
                f"{lost.tolist()} to learn from. Lower it, or give X_val and y_val."
            )
        parts = rows.take(train), rows.take(validation)
        if any(part.sample_weight is not None and not part.sample_weight.any() for part in parts):
            raise ValueError(
                f"validation_fraction={self.validation_fraction} puts all rows with a weight on "
                "one side: to learn from, or for validation. Leave rows of weight zero out, or "
                "give X_val and y_val."
            )
        return parts

    def _validation(self, rows: Rows, sizes: tuple[int, ...]) -> Validation:
        """What networks in training are measured by on these rows."""
        return Validation(
            X=rows.inputs,
            Y=rows.targets,
            sample_weight=rows.sample_weight,
            sizes=sizes,
            activation=self.activation,
            out_activation=self.out_activation_,
            loss=self.loss,
            score=self._score_by(rows, sizes),
        )

    def _score_by(
        self, rows: Rows, sizes: tuple[int, ...]
    ) -> Callable[[NDArray, NDArray, float], float]:
        """Score by `scoring`, given theta, the outputs' pre-activations, and the loss."""
        if self.scoring == "loss":
            return lambda theta, z, loss: -loss
        if self.scoring is None:
            labels = self._decode(rows.targets)
            return lambda theta, z, loss: float(
                accuracy_score(
                    labels,
                    self._decode(self._probabilities(z)),
                    sample_weight=rows.sample_weight,
                )
            )
        scorer, probe = check_scoring(self, self.scoring), copy(self)
        probe.__dict__.pop("feature_names_in_", None)  # the rows are an array, without names
        weights = {} if rows.sample_weight is None else {"sample_weight": rows.sample_weight}

        def score(theta: NDArray, z: NDArray, loss: float) -> float:
            probe._set_layers(layers_of(theta, sizes))
            value = scorer(probe, rows.X, rows.y, **weights)
            if not isinstance(value, Real) or not math.isfinite(value):
                raise ValueError(
                    f"scoring={self.scoring!r} returned {value!r} on the validation rows. It must "
                    "return one finite number, the larger the better."
                )
            return float(value)

        return score

    def _batch_size(self, n: int) -> int:
        if isinstance(self.batch_size, str):
            return equal_batches(n)
        if self.batch_size > n:
            warnings.warn(
                f"Got `batch_size`={self.batch_size}, larger than the {n} training rows. It is "
                f"going to be clipped to {n}.",
                stacklevel=2,
            )
        return min(self.batch_size, n)

    def _epochs(self, n: int, batch_size: int) -> int:
        if not isinstance(self.max_iter, str):
            return self.max_iter
        if self.solver == "lbfgs":
            return AUTO_LBFGS_ITERATIONS
        return planned_epochs(n, batch_size, self._hidden_sizes())

    def _input_dropout(self, n_features: int, weight: float) -> float:
        """Share of the inputs that each update leaves out, for rows of this weight in all."""
        if not isinstance(self.input_dropout, str):
            return float(self.input_dropout)
        return input_dropout_for(n_features, weight)

    def _weight_decay(self, weight: float) -> float:
        """Weight decay before it is scaled by the noise, for rows of this weight in all."""
        if not isinstance(self.weight_decay, str):
            return float(self.weight_decay)
        return weight_decay_for(weight, self.learning_rate_init_)

    def _solver(self) -> Solver:
        if self.solver == "sgd":
            return SGD(self.momentum, self.nesterovs_momentum)
        return Adam(self.beta_1, self.beta_2, self.epsilon)

    def _learning_rate(self, n_updates: float) -> float:
        """Learning rate at the start of a run that is planned for so many updates."""
        if isinstance(self.learning_rate_init, str):
            return learning_rate_for(self.solver, self._hidden_sizes(), n_updates)
        return float(self.learning_rate_init)

    def _schedule(self, *, partial: bool) -> Schedule:
        # "cosine" comes down towards a planned end, and partial_fit has none.
        endless = partial and self.learning_rate == "cosine"
        ignored = self.solver == "adam" and self.learning_rate in ("invscaling", "adaptive")
        name = "constant" if endless or ignored else self.learning_rate
        return Schedule(name, self.learning_rate_init_, self.power_t)

    def _stopping(self, theta: NDArray, *, again: bool, stops_early: bool) -> NoImprovement | None:
        """Rule for when training has stalled, where it left off if the fit goes on."""
        if self.learning_rate == "cosine" and not stops_early:
            return None
        rule = NoImprovement(self.tol, self.n_iter_no_change, keep_best=stops_early)
        if again:
            rule.count = getattr(self, "_no_improvement_count", 0)
            if not stops_early:
                rule.best_score = -min(self.loss_curve_, default=math.inf)
            elif (best := getattr(self, "best_validation_score_", None)) is not None:
                rule.best_score, rule.best_theta = best, theta
        return rule

    def _progress(self, *, again: bool, partial: bool) -> SolverProgress:
        """Where the solver stands: partial_fit goes on with it, fit starts anew."""
        samples_seen = self.t_ if again else 0
        saved = getattr(self, "_solver_state", None)
        # Nothing decays before the noise is known.
        unknown = 0.0 if self.weight_decay == "auto" else 1.0
        noise = saved["noise"] if again and saved and unknown == 0 else unknown
        if not (again and partial and saved and saved["solver"] == self.solver):
            return SolverProgress(samples_seen=samples_seen, noise=noise)
        return SolverProgress(
            noise=noise,
            state=self._solver().taken_over(saved["arrays"], saved["settings"]),
            steps=saved["steps"],
            plateaus=saved["plateaus"],
            samples_seen=samples_seen,
        )

    def _set_layers(self, layers: Sequence[Layer]) -> None:
        self.coefs_ = [W for W, _ in layers]
        self.intercepts_ = [b[0] for _, b in layers]

    def _adopt(self, job: TrainingJob, result: TrainingResult, *, again: bool) -> None:
        """Turn what training gave into fitted attributes."""
        rule, theta = job.stopping, result.theta
        if rule is not None and rule.keep_best and rule.best_theta is not None:
            theta = rule.best_theta
        if result.reason == "diverged" or not np.isfinite(theta).all():
            raise ValueError(
                f"Training overflowed in epoch {result.n_iter} with learning_rate_init="
                f"{self.learning_rate_init_}: loss {result.loss}. Solver produced non-finite "
                "parameter weights or losses. Lower learning_rate_init, or scale the features, "
                "for instance with sklearn.preprocessing.StandardScaler."
            )
        before = self.loss_curve_ if again else []
        scores_before = (getattr(self, "validation_scores_", None) or []) if again else []
        losses_before = (getattr(self, "validation_loss_curve_", None) or []) if again else []
        self._set_layers(layers_of(theta, job.sizes))
        self.n_layers_ = len(job.sizes)
        self.weight_decay_ = job.weight_decay * result.progress.noise
        self.stop_reason_ = result.reason
        self.n_iter_, self.t_ = result.n_iter, result.progress.samples_seen
        self.loss_, self.loss_curve_ = result.loss, before + result.loss_curve
        self.best_loss_ = min(self.loss_curve_, default=self.loss_)
        self.validation_loss_curve_ = self.validation_scores_ = None
        self.best_validation_score_ = self.best_iter_ = None
        if job.validate is not None:
            self.validation_loss_curve_ = losses_before + result.validation_loss_curve
            self.validation_scores_ = scores_before + result.scores
            self.best_validation_score_ = max(self.validation_scores_, default=None)
        if rule is not None and rule.keep_best:
            self.best_loss_ = None
            scores = scores_before + result.scores
            self.best_iter_ = 1 + int(np.argmax(scores)) if scores else None
        self._no_improvement_count = 0 if rule is None else rule.count
        self._solver_state = {
            "solver": self.solver,
            "settings": asdict(job.solver),
            "steps": result.progress.steps,
            "plateaus": result.progress.plateaus,
            "noise": result.progress.noise if self.weight_decay == "auto" else 0.0,
            "arrays": result.progress.state,
        }

    def _fitted_with(
        self, job: TrainingJob, result: TrainingResult, *, again: bool
    ) -> dict[str, Any]:
        """Return the attributes of this estimator if training gave that."""
        fitted = copy(self)
        fitted._adopt(job, result, again=again)
        return fitted.__dict__

    def _report(self, job: TrainingJob, result: TrainingResult) -> None:
        """Print why training ended, if verbose; warn if it should have gone on."""
        if self.verbose and result.reason == "stalled":
            what = "Training loss" if job.validate is None else "Validation score"
            print(
                f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} "
                "consecutive epochs. Stopping."
            )
        if result.reason == "interrupted":
            warnings.warn(
                f"Training interrupted by user after {result.n_iter} epochs. What was learnt "
                "until then is kept.",
                stacklevel=2,
            )
        elif self.solver == "lbfgs" and result.reason not in ("converged", "callback"):
            warnings.warn(
                f"lbfgs failed to converge after {result.n_iter} iteration(s): {result.reason}. "
                f"Increase max_iter={job.max_iter} or max_fun={self.max_fun}, or scale the "
                "features, for instance with sklearn.preprocessing.StandardScaler.",
                ConvergenceWarning,
                stacklevel=2,
            )
        elif result.reason == "max_iter" and self.learning_rate != "cosine":
            warnings.warn(
                f"Maximum iterations ({job.max_iter}) reached, and the optimization hasn't "
                f"converged yet (loss {result.loss:.3g}). Increase max_iter or "
                "learning_rate_init, or set learning_rate='cosine', which ends as planned.",
                ConvergenceWarning,
                stacklevel=2,
            )
        elif (
            result.loss
            > (chance := chance_loss(job.loss, job.out_activation, job.Y, job.sample_weight))
            + self.tol
            and chance > 0
        ):
            warnings.warn(
                f"The network is no better than chance: its loss, {result.loss:.3g}, is over the "
                f"{chance:.3g} of always predicting the frequencies of the classes. Change "
                f"learning_rate_init={self.learning_rate_init_} (lower it if loss_curve_ rises, "
                "raise it or max_iter if it is flat), or scale the features, for instance with "
                "sklearn.preprocessing.StandardScaler.",
                ConvergenceWarning,
                stacklevel=2,
            )

    # ------------------------------------------------------------ predict

    def _through(self, function: Callable[..., Any], X: Any) -> Any:
        """What a function of `network` makes of the fitted network and of X as it comes."""
        if not self._is_plain(X):
            check_is_fitted(self, "coefs_")
            X = validate_data(self, X, accept_sparse="csr", dtype=FLOATS, reset=False)
        parameters = zip(self.coefs_, self.intercepts_, strict=True)
        layers = [Layer(W, b[None]) for W, b in parameters]
        return function(layers, X, ACTIVATIONS[self.activation], self._scaling())

    def _is_plain(self, X: Any) -> bool:
        """Whether X is a finite array of floats that fits, so that no validation would change it.

        Validation takes several times as long as predicting one row.
        """
        if not (
            type(X) is np.ndarray
            and X.dtype.char in "fd"
            and X.ndim == 2
            and len(X) > 0
            and hasattr(self, "coefs_")
            and X.shape[1] == self.n_features_in_
            and not hasattr(self, "feature_names_in_")
        ):
            return False
        # Of values that are all finite the sum may overflow: then validation has the last word.
        with np.errstate(over="ignore"):
            return math.isfinite(X.sum())

    def _probabilities(self, z: NDArray) -> NDArray:
        """Probabilities, given pre-activations of all outputs or of both classes; uses up z."""
        return softmax(z, copy=False) if self.out_activation_ == "softmax" else expit(z, z)

    def _both_classes(self, z: NDArray) -> NDArray:
        """One pre-activation a class: for two classes and one output, -z and z."""
        return np.hstack([-z, z]) if self.n_outputs_ == 1 else z

    def _decode(self, p: NDArray) -> NDArray:
        """Labels for the probabilities of the outputs, (n_samples, n_outputs)."""
        return decode(p, self.classes_, self._is_multilabel())

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Most probable class of each row; for multilabel, 1 where the probability is over one
            half.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, or values that are not finite.
        """
        return self._decode(self._probabilities(self._through(output, X)))

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of ``classes_``; rows sum to one, but for
            multilabel, where each column is the probability of its label.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, or values that are not finite.
        """
        return self._probabilities(self._both_classes(self._through(output, X)))

    def predict_log_proba(self, X: ArrayLike) -> NDArray:
        """Predict logarithms of class probabilities, also where those round to 0.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Natural logarithm of :meth:`predict_proba`; where a probability is too small for a
            floating-point number, the logarithm of what it would be. So it is never infinite.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, or values that are not finite.
        """
        z = self._both_classes(self._through(output, X))
        log_p = log_softmax(z, axis=1) if self.out_activation_ == "softmax" else log_expit(z)
        p = self._probabilities(z)
        return np.log(p, out=log_p, where=p > np.finfo(p.dtype).tiny)

    def hidden_activations(self, X: ArrayLike) -> list[NDArray]:
        """Activations of the hidden units: what the network makes of X on its way.

        They serve as features of another model, or to see what a unit responds to.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        activations : list of ndarray of shape (n_samples, n_units)
            One array a hidden layer, the first of them first.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, or values that are not finite.
        """
        return self._through(hidden_activations, X)

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn what this estimator can do: sparse X, multilabel y."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.input_tags.sparse = True
        return tags


def _print_epoch(epoch: Epoch) -> None:
    parts = [f"Iteration {epoch.number}", f"loss = {epoch.loss:.8f}"]
    if epoch.score is not None:
        parts.append(f"validation loss = {epoch.validation_loss:.8f}")
        parts.append(f"validation score = {epoch.score:.4f}")
    print(", ".join([*parts, f"{epoch.seconds:.1f} s"]))
    if epoch.verdict == "slower":
        print("No more progress at this learning rate. Going on with a fifth of it.")
