"""The classifier: its parameters, and what only a classifier has."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if

from sknn_scratch._compat import StrOptions, fit_context
from sknn_scratch.estimator.base import MLP_SETTINGS, ScratchMLP, solver_is_stochastic
from sknn_scratch.estimator.targets import Classification, task_of, task_of_stream
from sknn_scratch.network.links import INVERSE_LINKS
from sknn_scratch.network.losses import LOSSES

#: Settings that make a ScratchMLPClassifier an MLPClassifier with its defaults.
MLP_CLASSIFIER_SETTINGS: Mapping[str, Any] = MappingProxyType({**MLP_SETTINGS, "loss": "log_loss"})


class ScratchMLPClassifier(ClassifierMixin, ScratchMLP):
    r"""Multilayer perceptron of sigmoid units, trained by backpropagation of the squared error.

    The columns of X may hold numbers, strings, booleans, categories and missing values. They are
    encoded and scaled inside (``categorical_features``, ``scale_features``). Then each layer
    computes :math:`a_{l+1} = f(a_l W_l + b_l)`; the outputs are one sigmoid (two classes), a
    softmax (more classes) or one sigmoid per label (multilabel). With the default loss, training
    minimises the Brier score of the probabilities

    .. math:: \frac1n \sum_i \sum_c (p_{ic} - y_{ic})^2 + \frac{\alpha}{2n} \sum_l |W_l|^2 ,

    plus some of the log loss where classes are imbalanced (see ``loss``).

    It has all parameters, methods and attributes of
    :class:`sklearn.neural_network.MLPClassifier`, and a few more. With the settings in
    ``sknn_scratch.MLP_CLASSIFIER_SETTINGS``, the same ``random_state`` gives the same network as
    ``MLPClassifier()``, up to rounding.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(200,)
        Number of units in each hidden layer. An empty sequence makes a linear model.
    activation : {"identity", "logistic", "tanh", "relu"}, default="logistic"
        Activation function of the hidden units. "logistic" is the sigmoid.
    init : {"scaled", "glorot"}, default="scaled"
        Initial weights. "scaled" starts units in the working range of their activation; the
        directions of the first layer weight few columns each, and its thresholds lie within the
        data. "glorot" draws uniformly within Glorot's bounds, as in MLPClassifier.
    dtype : {"auto", "float32", "float64"}, NumPy type or None, default="auto"
        What the network is computed in, and what its parameters are. float32 takes half the memory
        and about two thirds of the time, and is exact enough for tables: columns are scaled in
        float64 before, and probabilities are in float64 for X in float64. "auto" means float32 from
        256 rows of nonzero weight on, and the type of X below. None means the type of X: float32 as
        it comes, float64 for all else. A fit that goes on from another keeps the type of its
        parameters. "lbfgs" searches in float64 and rounds at the end.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Which columns are categorical: a boolean mask, indices or names. "from_dtype" means columns
        of strings, booleans or a categorical type, in a frame of pandas, polars or pyarrow or in a
        NumPy array of objects. None means that all are numeric. The network has one input for each
        level, and one for missing values if ``fit`` saw any. In a column with more than 40 levels,
        the most frequent have inputs of their own and all others share one. A level that ``fit``
        did not see has no effect in ``predict``. ``input_names_`` names the inputs.
    numerical_encoding : "piecewise_linear" or None, default=None
        Encoding of numeric columns, before they are scaled. "piecewise_linear" replaces each column
        of more than two values by one column per bin, which holds the part of the bin that a value
        has passed: clip((x - start) / width, 0, 1). Bins lie between quantiles. It is another view
        of a table, nearer to what trees see; networks with different views do better together than
        alone. X must be dense.
    n_bins : int, default=4
        Number of bins of the piecewise-linear encoding; fewer if quantiles coincide.
    scale_features : bool, default=True
        Whether the network sees each column centred (``mean_``), divided by its standard deviation
        (``scale_``) and clipped smoothly: x / (1 + (x / 3.5)**4)**0.25. If False, it sees X as it
        is, and X must have no missing values. Both statistics are those of the values within
        bounds, so that outliers, such as a sentinel or a cell in the wrong unit, do not count.
        Columns of zeros and ones stay as they are. Columns that are at least half zeros are not
        centred, but divided by the root mean square of their other values. A sparse X is treated as
        the same values dense. All rows given to ``fit`` count, also those that it holds out; a fit
        that continues an earlier one keeps its scaling. ``partial_fit`` updates the scaling until
        1,000 rows have come.
    loss : {"guarded_squared_error", "squared_error", "log_loss"}, default="guarded_squared_error"
        What training minimises.

        - "squared_error": the squared error of the probabilities (the Brier score).
        - "log_loss": their cross-entropy.
        - "guarded_squared_error": the squared error plus a fraction of the log loss, so that
          training gives no class up because it is rare, or in favour of another. The fraction is
          (1 - 2 f)**2 / 4 with two classes or for each label, where f is its frequency, and
          1/2 - 2 m (1 - m) with more classes, where m is the frequency of the rarest.
    class_weight : "balanced", dict, list of dict or None, default=None
        Weights of the classes, which multiply ``sample_weight``. "balanced" makes them inversely
        proportional to the class frequencies among the rows of nonzero weight, for multilabel y
        label by label. A dict gives weights by class, and may name classes that y lacks; multilabel
        y takes a list of one dict per label.
    alpha : float, default=0
        Strength of the L2 penalty, which is divided by the number of rows; with weights, by their
        effective number.
    weight_decay : float or "auto", default="auto"
        Decoupled weight decay: each update first multiplies the weights (not the biases) by 1 -
        learning rate * weight_decay. With "auto", that is 1 - noise * 5 / max(n_samples, 250) at
        the initial learning rate that "auto" would choose. The noise is the loss after the first
        quarter of the epochs, as a fraction of the loss of always predicting the frequencies of the
        classes; until then nothing decays. ``weight_decay_`` holds the value used. With "adam" the
        weights of the first layer decay half as fast. Instead they have a penalty, of 0.002 /
        max(n_samples, 250) times their sum of squares, which is multiplied by the noise once that
        is known, and at a rate above that of "auto" divided by the square of how many times it is.
        "lbfgs" ignores all this; ``partial_fit`` measures no noise and has no such penalty, and
        uses the noise of an earlier ``fit``, or does not decay.
    input_dropout : float or "auto", default="auto"
        Fraction of the inputs that each update leaves out at random. "auto" is n_inputs / n_samples
        - 0.05, clipped to [0, 0.15], and 0 below 10 inputs; weighted rows count by their effective
        number. ``input_dropout_`` holds the value used. "lbfgs" ignores it.
    solver : {"lbfgs", "sgd", "adam"}, default="adam"
        "sgd" and "adam" work on minibatches; "lbfgs" (SciPy's L-BFGS-B) works on all rows at once,
        which is often better for a few hundred rows.
    batch_size : int, "auto" or "at_most_200", default="auto"
        Number of rows in a minibatch. "auto" cuts the rows into batches of equal size, about 64
        rows each; "at_most_200" takes 200 rows, or all if there are fewer, as "auto" of
        MLPClassifier does. ``batch_size_`` holds the value used.
    shuffle : bool, default=True
        Whether to shuffle the rows before each epoch.
    learning_rate : {"constant", "invscaling", "adaptive", "cosine"}, default="cosine"
        How the learning rate changes from ``learning_rate_init`` on.

        - "constant": it stays the same.
        - "invscaling" (sgd only): before each epoch, it is ``learning_rate_init`` divided by
          ``(t_ + 1) ** power_t``.
        - "adaptive" (sgd only): it is divided by 5 each time training stalls.
        - "cosine": it falls along half a cosine wave to zero at ``max_iter``. Training does not
          stop on a plateau then, unless ``early_stopping`` is set. ``partial_fit`` has no planned
          end, and stays at ``learning_rate_init``.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate. "auto" is 0.01 for "adam" and 0.1 for "sgd", times 40 / n_units below
        40 hidden units. Where ``max_iter`` allows "adam" fewer updates than "auto" would at least,
        the rate is multiplied by the cube root of how many times fewer, at most by 2.
        ``learning_rate_init_`` holds the value used.
    power_t : float, default=0.5
        Exponent of "invscaling".
    momentum : float, default=0.9
        Momentum of "sgd".
    nesterovs_momentum : bool, default=True
        Whether the momentum is Nesterov's.
    beta_1 : float, default=0.9
        Decay rate of the running mean of the gradient in "adam".
    beta_2 : float, default=0.95
        Decay rate of the running mean of the squared gradient in "adam".
    epsilon : float, default=1e-8
        Small constant that keeps the quotient in "adam" finite.
    max_fun : int, default=15000
        Maximum number of evaluations of the loss by "lbfgs".
    max_iter : int or "auto", default="auto"
        Maximum number of epochs (for "lbfgs": iterations). "auto" means 60 epochs, but at most 30 *
        sqrt(n_samples) updates, and at least 250 (8,000 / n_units below 32 hidden units). With a
        ``learning_rate_init`` below what "auto" would choose it is up to 8 times as many. If each
        class has 100 rows or more, and "adam" trains along a "cosine" without stopping early, a
        quarter of these epochs is first tried out on four fifths of the rows. Where the others are
        clearly better predicted than by a constant, and not clearly better in its later half than
        in its earlier half, there are no more epochs than that, and ``verbose`` says so. A number
        has no trial. For "lbfgs", "auto" means 1,000 iterations. ``n_iter_`` holds the number done.
    tol : float, default=1e-4
        Minimum gain that counts as progress: of the loss, or with ``early_stopping`` of the
        validation score. For "lbfgs": largest component of the gradient at convergence.
    n_iter_no_change : int or inf, default=10
        Training has stalled after more than this many epochs without progress.
    early_stopping : bool or "auto", default=False
        Whether to stop when the validation score stalls, and to return to the parameters of the
        best epoch. The validation rows are those given to ``fit`` as ``X_val``, or rows held out
        from X (stratified for two classes). "auto" stops early if ``X_val`` is given, or if X has
        more than 10,000 rows.
    validation_fraction : float, default=0.1
        Fraction of the rows that ``early_stopping`` holds out.
    scoring : str, callable or None, default=None
        The validation score: the accuracy (None), minus the loss ("loss"), or a scorer of
        scikit-learn (name or callable). It is given the weights of the rows if it takes them.
    warm_start : bool, default=False
        Whether ``fit`` continues from the parameters of the last fit.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the rows, the validation split and the inputs
        that updates leave out.
    verbose : bool or int, default=False
        Whether to print one line per epoch.

    Attributes
    ----------
    network_ : Network
        The fitted network as one object: its architecture, its parameters, and the transformation
        of X. ``coefs_``, ``intercepts_``, ``mean_`` and ``scale_`` are read from it.
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel y, the indices of its columns, as objects: scikit-learn's
        scorers would mistake an array of two numbers for two classes.
    coefs_ : list of ndarray of shape (n_in, n_out)
        Weights of each layer. Those of the first refer to the scaled features.
    intercepts_ : list of ndarray of shape (n_out,)
        Biases of each layer.
    mean_ : ndarray of shape (n_features,) or None
        What is subtracted from each column; None without ``scale_features``. With
        ``numerical_encoding``, ``mean_`` and ``scale_`` have an entry for each encoded column
        instead.
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
        Epoch that the parameters come from, counted from 1; None unless training was to stop early.
    n_iter_ : int
        Number of epochs (iterations) of the last fit.
    stop_reason_ : str
        Why the last fit ended: "max_iter", "stalled" (no more progress), "callback" (a callback
        asked for it) or "interrupted" (Ctrl-C); for "lbfgs" also "converged", or SciPy's message.
    batch_size_ : int
        Number of rows in a minibatch.
    learning_rate_init_ : float
        Initial learning rate.
    input_dropout_ : float
        Fraction of the inputs that each update left out.
    weight_decay_ : float
        Weight decay at the end of training.
    t_ : int
        Number of training rows that the solver has seen, counting repeats.
    n_layers_ : int
        Number of layers, including inputs and outputs.
    n_outputs_ : int
        Number of outputs of the network.
    out_activation_ : {"logistic", "softmax"}
        Activation function of the outputs.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if all are strings.
    input_names_ : ndarray of shape (n_inputs,)
        Names of the inputs of the network, one for each row of ``coefs_[0]``. An input is named
        after its column; that of a level "column_level", as in OneHotEncoder, that of missing
        values among categories "column_nan", that of levels that share one
        "column_infrequent_sklearn", that of missing values among numbers
        "missingindicator_column", and that of a bin of the piecewise-linear encoding
        "column_bin1". Without names, columns are called x0, x1 and so on.

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

    _task: Classification

    # In a notebook, scikit-learn describes parameters only next to a link to documentation. There
    # is no page on the web to link to, so the link stays within the notebook.
    _doc_link_module = "sknn_scratch"
    _doc_link_template = "#{estimator_name}"

    _parameter_constraints: ClassVar[dict[str, list]] = {
        **ScratchMLP._parameter_constraints,
        "loss": [StrOptions({loss for loss, output in LOSSES if output in INVERSE_LINKS})],
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (200,),
        activation: str = "logistic",
        *,
        init: str = "scaled",
        dtype: str | type | None = "auto",
        categorical_features: ArrayLike | str | None = "from_dtype",
        numerical_encoding: str | None = None,
        n_bins: int = 4,
        scale_features: bool = True,
        loss: str = "guarded_squared_error",
        class_weight: str | dict | list[dict] | None = None,
        alpha: float = 0.0,
        weight_decay: float | str = "auto",
        input_dropout: float | str = "auto",
        solver: str = "adam",
        batch_size: int | str = "auto",
        shuffle: bool = True,
        learning_rate: str = "cosine",
        learning_rate_init: float | str = "auto",
        power_t: float = 0.5,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.95,
        epsilon: float = 1e-8,
        max_fun: int = 15000,
        max_iter: int | str = "auto",
        tol: float = 1e-4,
        n_iter_no_change: float = 10,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        scoring: str | Callable | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool | int = False,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.init = init
        self.dtype = dtype
        self.categorical_features = categorical_features
        self.numerical_encoding = numerical_encoding
        self.n_bins = n_bins
        self.scale_features = scale_features
        self.loss = loss
        self.class_weight = class_weight
        self.alpha = alpha
        self.weight_decay = weight_decay
        self.input_dropout = input_dropout
        self.solver = solver
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.max_fun = max_fun
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @property
    def classes_(self) -> NDArray:
        """Class labels."""
        return self._read("classes_", lambda network: self._task.classes)

    @available_if(solver_is_stochastic)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> Self:
        """Train for one more epoch, on the given rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels. Not all classes need to occur.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        classes : array-like of shape (n_classes,), default=None
            All classes that can occur in any call; required in the first call, and only there.

        Returns
        -------
        self : estimator
            The estimator after one more epoch. If it fails, it is left as it was.

        Raises
        ------
        ValueError
            As in :meth:`fit`; if ``classes`` is missing in the first call, or differs later; if y
            has other classes; if ``early_stopping=True``, as there is nothing to stop; if
            ``class_weight="balanced"``, as one part of the rows does not tell class frequencies.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                "partial_fit does not support class_weight='balanced': how frequent the classes "
                "are cannot be told from one part of the rows. Give the weights as a dict, for "
                "instance those of sklearn.utils.class_weight.compute_class_weight('balanced', "
                "classes=classes, y=y) for a sample of y."
            )

        def find_task(y: NDArray, weight: NDArray | None, before: Any) -> Classification:
            return task_of_stream(y, classes, before)

        return self._partial_fit(find_task, X, y, sample_weight)

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Predict class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probability of each class, in the order of ``classes_``. Rows sum to one; for multilabel
            y, each column is the probability of its label instead.

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
        return now.network_.probabilities(X)

    def predict_log_proba(self, X: ArrayLike) -> NDArray:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Natural logarithm of :meth:`predict_proba`. It is finite even where the probability
            is too small for a floating-point number and rounds to 0.

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
        return now.network_.log_probabilities(X)

    def _find_task(self, y: NDArray, weight: NDArray | None, before: Any) -> Classification:
        return task_of(y, before)

    def _class_weights(self, y: NDArray, weight: NDArray | None) -> NDArray | None:
        if self.class_weight is None:
            return None
        return self._task.class_weights(self.class_weight, y, weight)

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn what this estimator can do: multilabel y, and what its base can."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
