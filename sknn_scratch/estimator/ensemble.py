"""An ensemble of networks that see a table in two ways, and whose probabilities are averaged."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from sknn_scratch._caller import is_one_of_many
from sknn_scratch._compat import Interval, fit_context
from sknn_scratch.callbacks.protocol import (
    CallbackSupport,
    FollowedFit,
    JobFollower,
    callbacks_of,
    hook_arguments,
)
from sknn_scratch.estimator.classifier import ScratchMLPClassifier
from sknn_scratch.estimator.fitting import Fit, Seen, adopted, plan_fit
from sknn_scratch.estimator.plan import Mode, hidden_sizes
from sknn_scratch.estimator.report import report
from sknn_scratch.estimator.trial import after_trial, tried_epochs
from sknn_scratch.training.job import TrainingState
from sknn_scratch.training.trainer import train_all

#: Parameters that go to each network as they are.
SHARED = (
    "activation",
    "dtype",
    "categorical_features",
    "n_bins",
    "class_weight",
    "weight_decay",
    "learning_rate_init",
    "max_iter",
    "early_stopping",
    "validation_fraction",
    "scoring",
)


#: The mode of every fit of an ensemble.
ANEW = Mode(again=False)


class ScratchMLPEnsembleClassifier(CallbackSupport, ClassifierMixin, BaseEstimator):
    """Average the probabilities of several networks, which see a table in two ways.

    Networks alternately see the columns as they are and piecewise-linear encoded, which is nearer
    to what trees see. The two views err on different rows, so that their mean is better than
    either. Networks with the same view are trained as one stack.

    Parameters
    ----------
    n_networks : int, default=4
        Number of networks. The first, the third and so on see the columns as they are, the others
        see them encoded.
    hidden_layer_sizes : int or sequence of int, default=(200,)
        Number of units in each hidden layer of a network that sees the columns as they are. One
        that sees them encoded, and so has more inputs, has half as many.
    activation : {"identity", "logistic", "tanh", "relu"}, default="logistic"
        Activation function of the hidden units.
    dtype : {"auto", "float32", "float64"}, NumPy type or None, default="auto"
        What the networks compute in, as in :class:`ScratchMLPClassifier`.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Which columns are categorical, as in :class:`ScratchMLPClassifier`.
    n_bins : int, default=4
        Number of bins of the piecewise-linear encoding.
    class_weight : "balanced", dict, list of dict or None, default=None
        Weights of the classes, as in :class:`ScratchMLPClassifier`.
    weight_decay : float or "auto", default="auto"
        Decoupled weight decay of each network.
    learning_rate_init : float or "auto", default="auto"
        Initial learning rate of each network.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs of each network. "auto" is as in :class:`ScratchMLPClassifier`.
    early_stopping : bool or "auto", default=False
        Whether each network stops when its validation score stalls, and returns to its best epoch.
        Without validation rows of your own, each network holds out different rows.
    validation_fraction : float, default=0.1
        Fraction of the rows that each network holds out.
    scoring : str, callable or None, default=None
        The validation score, as in :class:`ScratchMLPClassifier`; None is the accuracy.
    random_state : int, RandomState instance or None, default=None
        Determines the seeds of the networks.

    Attributes
    ----------
    networks_ : list of ScratchMLPClassifier
        The networks, each a fitted classifier in its own right.
    classes_ : ndarray of shape (n_classes,)
        Class labels; for multilabel y, the indices of its columns.
    n_iter_ : int
        Number of epochs of the network that was trained longest.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if all are strings.

    See Also
    --------
    ScratchMLPClassifier : One network.

    Notes
    -----
    There is neither ``warm_start`` nor ``partial_fit``. To train on, use the networks in
    ``networks_``.

    With ``max_iter="auto"``, the first network tries out whether few epochs do, if there is a trial
    at all. The others have as many of their epochs: their ``max_iter`` is a number. If few do, that
    makes them short fits, whose automatic learning rate is up to 1.6 times that of a fit of all
    epochs.

    All networks see a sparse X, or a table without numeric columns, as it is. They then differ in
    their seeds alone.

    References
    ----------
    Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning", NeurIPS 2022. B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and Scalable
    Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.

    Examples
    --------
    >>> from sknn_scratch import ScratchMLPEnsembleClassifier
    >>> from sknn_scratch.datasets import load_penguins
    >>> X, y = load_penguins(return_X_y=True)
    >>> clf = ScratchMLPEnsembleClassifier(random_state=0).fit(X[::2], y[::2])
    >>> clf.score(X[1::2], y[1::2]) > 0.97
    True
    >>> [network.numerical_encoding for network in clf.networks_]
    [None, 'piecewise_linear', None, 'piecewise_linear']
    """

    networks_: list[ScratchMLPClassifier]

    _parameter_constraints: ClassVar[dict[str, list]] = {
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        **{
            name: ScratchMLPClassifier._parameter_constraints[name]
            for name in ("hidden_layer_sizes", *SHARED, "random_state")
        },
    }

    def __init__(
        self,
        n_networks: int = 4,
        hidden_layer_sizes: int | Sequence[int] = (200,),
        *,
        activation: str = "logistic",
        dtype: str | type | None = "auto",
        categorical_features: ArrayLike | str | None = "from_dtype",
        n_bins: int = 4,
        class_weight: str | dict | list[dict] | None = None,
        weight_decay: float | str = "auto",
        learning_rate_init: float | str = "auto",
        max_iter: int | str = "auto",
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        scoring: str | Callable | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.n_networks = n_networks
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dtype = dtype
        self.categorical_features = categorical_features
        self.n_bins = n_bins
        self.class_weight = class_weight
        self.weight_decay = weight_decay
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.random_state = random_state

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
        """Train the networks.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels (numbers, strings, booleans), or an indicator matrix (multilabel).
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; by default all are equal.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Inputs of validation rows of your own, used instead of rows held out from X.
        y_val : array-like of shape (n_val,) or (n_val, n_labels), default=None
            Their labels. All classes must occur in y.
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
            If a network should have been trained longer, or ended up no better than always
            predicting the frequencies of the classes.
        UserWarning
            If the user interrupted training (Ctrl-C). The networks that have had an epoch are kept.
            In a trial of few epochs (``max_iter``), Ctrl-C raises KeyboardInterrupt instead.
        """
        context = None
        if callbacks_of(self):
            context = self._init_callback_context(
                task_name="fit", max_subtasks=self.n_networks, sequential_subtasks=False
            )
        shared = {name: getattr(self, name) for name in SHARED}
        rng = check_random_state(self.random_state)
        one = ScratchMLPClassifier(self.hidden_layer_sizes, random_state=0, **shared)
        rows = X, y, sample_weight, X_val, y_val, sample_weight_val
        view = one._view(*rows, is_followed=context is not None, encoded_too=self.n_networks > 1)
        members = _plan(self.n_networks, _ways(*one._with_view(view)), rng)
        followed: list[FollowedFit] = []
        if context is not None:
            given = hook_arguments(self, X, y, sample_weight)
            context.call_on_fit_task_begin(**given)
            followed = [member.followed(k, context, given) for k, member in enumerate(members)]
        jobs = [one.job for one in followed] or [member.fit.job for member in members]
        begun = {k: result for k, result in enumerate(train_all(jobs)) if result is not None}
        interrupted = [k for k, result in begun.items() if result.stop_reason == "interrupted"]
        if interrupted and is_one_of_many():
            raise KeyboardInterrupt  # it is the search that the user wants to end
        # A network without an epoch would blur what the others have learnt.
        learnt = {k: result for k, result in begun.items() if result.n_iter > 0} or begun
        networks = {k: members[k].fitted(result) for k, result in learnt.items()}
        before = self.__dict__
        try:
            self.__dict__ = {**before, "networks_": [*networks.values()]}
            for k, task in enumerate(followed):
                task.end({"networks_": [networks[k]]} if k in networks else None)
            if context is not None:
                context.call_on_fit_task_end(**given, reconstruction_attributes={})
        except BaseException:
            self.__dict__ = before
            raise
        for k in interrupted[:1] or begun:
            member, fit = members[k]
            report(member, member._task, ANEW, fit.plan, fit.job, begun[k])
        return self

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks that follow each fit, replacing earlier ones.

        Within the task of the fit, each network is a task named "network", and its epochs are tasks
        within that. So ``context.parent.task_id`` of an epoch is the number of its network, counted
        from 0, and its ``fitted_estimator`` is the ensemble of this network alone. Training of a
        network ends after an epoch for which the ``on_fit_task_end`` of a callback returns True;
        the others go on.

        Parameters
        ----------
        *callbacks : objects with the methods of :class:`sklearn.callback.FitCallback`
            Calling it without any removes those that were set.

        Returns
        -------
        self : estimator
            The estimator.

        Raises
        ------
        ImportError
            If scikit-learn is older than 1.9, which has no callbacks.
        TypeError
            If one of them is not a callback, or is a :class:`Checkpoint` or
            :class:`LearningRecorder`, which follow single networks.
        """
        for one in callbacks:
            if isinstance(one, JobFollower):
                raise TypeError(
                    f"{type(one).__name__} follows the training of one network, and "
                    f"{type(self).__name__} trains several. Set it on a ScratchMLPClassifier, such "
                    "as clone(ensemble.networks_[0]), and fit that."
                )
        return super().set_callbacks(*callbacks)

    # ------------------------------------------------------------ predict

    @property
    def classes_(self) -> NDArray:
        """Class labels."""
        return self.networks_[0].classes_

    @property
    def n_iter_(self) -> int:
        """Number of epochs of the network that was trained longest."""
        return max(network.n_iter_ for network in self.networks_)

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X."""
        n: int = self.networks_[0].n_features_in_
        return n

    @property
    def feature_names_in_(self) -> NDArray:
        """Names of the columns."""
        return self.networks_[0].feature_names_in_

    def predict(self, X: ArrayLike) -> NDArray:
        """Predict class labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Most probable class of each row; for multilabel y, an indicator matrix of the labels
            whose probability is above one half.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, or infinite values.
        """
        first, p = self._mean(X)
        return first._task.most_probable(p)

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Predict class probabilities: the mean over the networks.

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
            If X has other columns than in fit, or infinite values.
        """
        return self._mean(X)[1]

    def predict_log_proba(self, X: ArrayLike) -> NDArray:
        """Predict logarithms of class probabilities.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Natural logarithm of :meth:`predict_proba`. It is finite even where that rounds to 0.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If X has other columns than in fit, or infinite values.
        """
        networks, X = self._checked(X)
        found = [network.network_.log_probabilities(X).astype(np.float64) for network in networks]
        log_p: NDArray = logsumexp(found, axis=0) - np.log(len(networks))
        return log_p

    def _mean(self, X: Any) -> tuple[ScratchMLPClassifier, NDArray]:
        """Return a network, and the mean of the probabilities of all, (n_samples, n_classes)."""
        networks, X = self._checked(X)
        p = np.zeros((X.shape[0], len(networks[0].classes_)))
        for network in networks:
            p += network.network_.probabilities(X, np.float64)
        p /= len(networks)
        return networks[0], p

    def _checked(self, X: Any) -> tuple[list[ScratchMLPClassifier], Any]:
        """Return the networks as they are now, and X, validated."""
        check_is_fitted(self)
        networks = self.networks_  # another thread may fit meanwhile
        return networks, networks[0]._checked(X)

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether there are fitted networks."""
        return "networks_" in self.__dict__

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn what this estimator supports: what a single network does."""
        tags = super().__sklearn_tags__()
        one = ScratchMLPClassifier().__sklearn_tags__()
        return replace(tags, input_tags=one.input_tags, classifier_tags=one.classifier_tags)


class Member(NamedTuple):
    """A network of an ensemble that is about to be trained."""

    estimator: ScratchMLPClassifier
    fit: Fit

    def fitted(self, state: TrainingState) -> ScratchMLPClassifier:
        """Return the network as training left it."""
        return self.estimator._with(adopted(self.estimator, self.fit, state))

    def followed(self, k: int, context: Any, given: dict[str, Any]) -> FollowedFit:
        """Let the callbacks of an ensemble follow its training, as network number k."""
        task = context.subcontext(task_name="network", task_id=k, max_subtasks=None)
        return FollowedFit(
            task, given, self.fit.job, (), lambda state: {"networks_": [self.fitted(state)]}
        )


def _ways(
    one: ScratchMLPClassifier, seen: Sequence[Seen]
) -> list[tuple[ScratchMLPClassifier, Seen]]:
    """Return the ways in which a table is seen: as it is, and encoded if there is that view too."""
    halved = [(size + 1) // 2 for size in hidden_sizes(one)]
    changes = {"hidden_layer_sizes": halved, "numerical_encoding": "piecewise_linear"}
    ways = [one, one._with({**vars(one), **changes})]
    return [*zip(ways, seen, strict=False)]


def _plan(
    n: int, views: Sequence[tuple[ScratchMLPClassifier, Seen]], rng: np.random.RandomState
) -> list[Member]:
    """Plan the training of n networks, which see a table in several views by turns.

    The first that is to be tried out tells for all whether few epochs do.
    """
    members: list[Member] = []
    few: bool | None = None
    for k in range(n):
        one, seen = views[k % len(views)]
        seed = rng.randint(np.iinfo(np.int32).max)
        network = one._with({**vars(one), "random_state": seed})
        fit = plan_fit(network, network._task, seen, ANEW)
        planned = fit.plan.max_iter
        if fit.plan.tries and few is None:
            fit = after_trial(network, network._task, fit)
            few = fit.job.max_iter < planned
        elif fit.plan.tries:
            epochs = tried_epochs(planned) if few else planned
            network = network._with({**vars(network), "max_iter": epochs})
            if few:  # as many epochs as were planned make the same job
                fit = plan_fit(network, network._task, seen, ANEW)
        members.append(Member(network, fit))
    return members
