"""What every estimator here does: validate, plan, train, adopt, report; and predict."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Tags, check_random_state, column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_scratch._compat import check_sample_weight, fit_context
from sknn_scratch.callbacks.following import follow
from sknn_scratch.callbacks.protocol import CallbackSupport, FollowedFit, callback_context
from sknn_scratch.estimator.plan import Mode, Plan, hidden_sizes, make_plan, stops_early
from sknn_scratch.estimator.report import print_epoch, report, report_interrupt
from sknn_scratch.estimator.rows import Rows, hold_out, rows_of, set_aside
from sknn_scratch.estimator.targets import Classification
from sknn_scratch.network.features import AS_THEY_ARE, FeatureMap, learn_scaling
from sknn_scratch.network.initialisation import initial_theta
from sknn_scratch.network.layers import Architecture
from sknn_scratch.network.losses import LOSSES
from sknn_scratch.network.model import Network
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.lbfgs import train_lbfgs
from sknn_scratch.training.stopping import StoppingState
from sknn_scratch.training.trainer import train_one

#: What X may come as without being converted.
FLOATS = (np.float64, np.float32)


class Table(NamedTuple):
    """Rows that were given: validated, with weights that include those of their classes."""

    X: NDArray
    y: NDArray
    sample_weight: NDArray | None


class Followers(NamedTuple):
    """The callbacks that follow a fit."""

    context: Any
    """Context of the fit, None if there are no callbacks."""
    given: dict[str, Any]
    """What every hook is given."""


class Run(NamedTuple):
    """What became of a call."""

    job: TrainingJob
    result: TrainingState
    followed: FollowedFit | None


def _solver_is_stochastic(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError(
            "partial_fit is not available with solver='lbfgs', which looks at all rows at once. "
            "Set solver='adam' or 'sgd'."
        )
    return True


class ScratchMLP(CallbackSupport, BaseEstimator):
    """Base of the estimators.

    A fit works on a copy of the estimator, and takes its place when it has succeeded: in one
    assignment, so that a fit that fails leaves all as it was, and another thread that predicts
    meanwhile sees the old network or the new one.
    """

    network_: Network
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    t_: int
    _task: Classification

    # ------------------------------------------------------------ what an estimator adds

    def _new_task(self, y: NDArray) -> Classification:
        """Find the task of y."""
        raise NotImplementedError

    def _stream_task(self, y: NDArray, classes: Any, before: Any) -> Classification:
        """Find the task of the first rows of a stream, or check that later ones are of it."""
        raise NotImplementedError

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
        self : estimator
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
        context = callback_context(self, "fit")
        mode = Mode(again=self.warm_start and self.__sklearn_is_fitted__())
        fitted = self._copy()
        X_fit, y_fit = fitted._validate(X, y, reset=not mode.again)
        if mode.again:
            fitted._task.check_same_classes(y_fit)
        else:
            fitted._task = self._new_task(y_fit)
        table = fitted._weighted(X_fit, y_fit, sample_weight)
        validation = fitted._validate_set(X_val, y_val, sample_weight_val)
        followers = Followers(context, self._given(X, y, sample_weight))
        run = fitted._train(table, validation, mode, followers)
        self._become(fitted, run.followed)
        report(self, run.job, run.result)
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
        self : estimator
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
        context = callback_context(self, "partial_fit")
        mode = Mode(again=self.__sklearn_is_fitted__(), partial=True)
        fitted = self._copy()
        X_fit, y_fit = fitted._validate(X, y, reset=not mode.again)
        fitted._task = self._stream_task(y_fit, classes, getattr(self, "_task", None))
        table = fitted._weighted(X_fit, y_fit, sample_weight)
        followers = Followers(context, self._given(X, y, sample_weight))
        run = fitted._train(table, None, mode, followers)
        self._become(fitted, run.followed)
        report_interrupt(run.result)
        return self

    def _copy(self) -> Self:
        """Return the estimator as it is now: what is fitted is replaced in it, and never changed.

        A plain copy of the attributes: ``copy.copy`` takes several times as long as predicting one
        row.
        """
        now = object.__new__(type(self))
        now.__dict__.update(self.__dict__)
        return now

    def _become(self, fitted: Self, followed: FollowedFit | None) -> None:
        """Take on what has been fitted, unless a callback raises at the end."""
        before, self.__dict__ = self.__dict__, fitted.__dict__
        if followed is not None:
            try:
                followed.end()
            except BaseException:
                self.__dict__ = before
                raise

    def _given(self, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
        """Return what callbacks are given."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        return {"estimator": self, "X": X, "y": y, "metadata": metadata}

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether there is a fitted network."""
        return hasattr(self, "network_")

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

    def _weighted(self, X: NDArray, y: NDArray, sample_weight: ArrayLike | None) -> Table:
        """Give validated rows their weights, (n,), those of their classes included."""
        if sample_weight is not None:
            sample_weight = check_sample_weight(sample_weight, X)
        if self.class_weight is None:
            return Table(X, y, sample_weight)
        weights = self._task.class_weights(self.class_weight, y)
        if sample_weight is not None:
            weights = weights * sample_weight
        return Table(X, y, check_sample_weight(weights, X))

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
        return self._weighted(X_val, y_val, sample_weight_val)

    # ------------------------------------------------------------ plan, train, adopt

    def _train(
        self, table: Table, validation: Table | None, mode: Mode, followers: Followers
    ) -> Run:
        """Train on validated rows, from the fitted network if it goes on, and adopt the result."""
        rng, task = check_random_state(self.random_state), self._task
        if mode.again:
            features, dtype = self.network_.features, self.network_.dtype
        else:
            features, dtype = AS_THEY_ARE, np.dtype(self.dtype or table.X.dtype)
            if self.scale_features:
                features = learn_scaling(table.X, table.sample_weight)
        rows = rows_of(*table, task, features, dtype)
        sizes = (rows.inputs.shape[1], *hidden_sizes(self), task.n_outputs)
        network = Architecture(sizes, self.activation, task.output, self.loss)
        if mode.again:
            theta = self._fitted_theta(sizes)
        else:
            theta = initial_theta(network, self.init, rows.inputs, rows.sample_weight, rng, dtype)
        early = not mode.partial and stops_early(
            self, table.X.shape[0], has_validation=validation is not None
        )
        held_out = None
        if validation is not None:
            held_out = rows_of(*validation, task, features, dtype)
        elif early:
            rows, held_out = set_aside(rows, task, self.validation_fraction, rng)
        seen = self.t_ if mode.again and mode.partial else 0
        plan = make_plan(self, sizes, len(rows.targets), seen + rows.weight, mode, early)
        job = self._job(plan, network, rows, self._start(plan, theta, rng, mode, seen))
        if held_out is not None:
            job = replace(job, hold_out=hold_out(held_out, network, task, features, self))
        adopt = partial(self._adopted, job, features, mode)
        data = {
            **table._asdict(),
            "X_val, y_val": validation and tuple(validation),
            "the fit that it goes on from": theta if mode.again else None,
        }
        followed = follow(job, data, adopt, *followers) if followers.context else None
        job = followed.job if followed else job
        if self.solver == "lbfgs":
            result = train_lbfgs(job, self.tol, self.max_fun)
        else:
            result = train_one(job)
        self.__dict__ = adopt(result)
        if result.rng is not rng:  # training drew from a copy, in a stack or in another process
            rng.set_state(result.rng.get_state(legacy=False))
        return Run(job, result, followed)

    def _fitted_theta(self, sizes: tuple[int, ...]) -> NDArray:
        """Return the parameters of the fitted network, (n_params,), if it has these layer sizes."""
        coefs = self.network_.coefs
        fitted = (coefs[0].shape[0], *(W.shape[1] for W in coefs))
        if fitted != sizes:
            raise ValueError(
                f"The fitted network has layers of {fitted} units, but hidden_layer_sizes="
                f"{self.hidden_layer_sizes!r} and the data ask for {sizes}. To go on from a fit, "
                "leave both as they were; for a new network set warm_start=False and call fit."
            )
        return self.network_.theta

    def _start(
        self, plan: Plan, theta: NDArray, rng: np.random.RandomState, mode: Mode, seen: int
    ) -> TrainingState:
        """Tell where training starts: fit starts anew, partial_fit goes on with the solver."""
        dropout_rng = None
        if plan.input_dropout > 0:
            # With t_, so that calls of partial_fit with one seed leave out different inputs.
            dropout_rng = np.random.RandomState([rng.randint(1 << 31), seen])
        saved = getattr(self, "_solver_state", None) if mode.again else None
        # Nothing decays before the noise is known.
        noise = 1.0 if self.weight_decay != "auto" else saved["noise"] if saved else 0.0
        start = TrainingState(
            theta,
            rng,
            dropout_rng,
            samples_seen=self.t_ if mode.again else 0,
            noise=noise,
            stopping=self._stopping_state(plan, theta, mode),
        )
        if not (mode.partial and saved and saved["solver"] == self.solver):
            return start
        return replace(
            start,
            solver=plan.solver.taken_over(saved["arrays"], saved["settings"]),
            steps=saved["steps"],
            plateaus=saved["plateaus"],
        )

    def _stopping_state(self, plan: Plan, theta: NDArray, mode: Mode) -> StoppingState:
        """Tell where the rule that ends training left off, if the fit goes on."""
        if plan.stopping is None or not mode.again:
            return StoppingState()
        count = getattr(self, "_no_improvement_count", 0)
        if not plan.stopping.keep_best:
            return StoppingState(-min(self.loss_curve_, default=math.inf), count)
        if (best := getattr(self, "best_validation_score_", None)) is None:
            return StoppingState(count=count)
        return StoppingState(best, count, theta)

    def _job(
        self, plan: Plan, network: Architecture, rows: Rows, start: TrainingState
    ) -> TrainingJob:
        """Put together all that training depends on, but for rows held out."""
        baseline = LOSSES[network.loss, network.output].baseline
        return TrainingJob(
            X=rows.inputs,
            Y=rows.targets,
            sample_weight=rows.sample_weight,
            architecture=network,
            start=start,
            solver=plan.solver,
            schedule=plan.schedule,
            alpha=self.alpha,
            weight_decay=plan.weight_decay,
            batch_size=plan.batch_size,
            max_iter=plan.max_iter,
            shuffle=self.shuffle,
            stopping=plan.stopping,
            callbacks=[print_epoch] if self.verbose else [],
            baseline=baseline(rows.targets, rows.sample_weight) if plan.measures_noise else None,
            input_dropout=plan.input_dropout,
        )

    def _adopted(
        self, job: TrainingJob, features: FeatureMap, mode: Mode, result: TrainingState
    ) -> dict[str, Any]:
        """Return the attributes of this estimator if training gave that."""
        theta = result.best_theta()
        if result.stop_reason == "diverged" or not np.isfinite(theta).all():
            raise ValueError(
                f"Training overflowed in epoch {result.n_iter} with learning_rate_init="
                f"{job.schedule.learning_rate_init}: loss {result.loss}. Solver produced "
                "non-finite parameter weights or losses. Lower learning_rate_init, or scale the "
                "features, for instance with sklearn.preprocessing.StandardScaler."
            )
        attributes = dict(
            self.__dict__,
            network_=Network.from_theta(job.architecture, theta, features),
            batch_size_=job.batch_size,
            learning_rate_init_=job.schedule.learning_rate_init,
            input_dropout_=job.input_dropout,
            weight_decay_=job.weight_decay * result.noise,
            stop_reason_=result.stop_reason,
            n_iter_=result.n_iter,
            t_=result.samples_seen,
            loss_=result.loss,
            _no_improvement_count=result.stopping.count,
            _solver_state={
                "solver": self.solver,
                "settings": asdict(job.solver),
                "steps": result.steps,
                "plateaus": result.plateaus,
                "noise": result.noise if self.weight_decay == "auto" else 0.0,
                "arrays": result.solver,
            },
        )
        return attributes | self._curves(job, result, mode)

    def _curves(self, job: TrainingJob, result: TrainingState, mode: Mode) -> dict[str, Any]:
        """Return the attributes that tell how training went, those of earlier fits before."""

        def after_earlier(name: str, now: Sequence[float]) -> list[float]:
            return [*((getattr(self, name, None) or []) if mode.again else []), *now]

        loss_curve = after_earlier("loss_curve_", result.loss_curve)
        stops_early = job.stopping is not None and job.stopping.keep_best
        curves = {
            "loss_curve_": loss_curve,
            "best_loss_": None if stops_early else min(loss_curve, default=result.loss),
            "validation_loss_curve_": None,
            "validation_scores_": None,
            "best_validation_score_": None,
            "best_iter_": None,
        }
        if job.hold_out is not None:
            scores = after_earlier("validation_scores_", result.scores)
            curves["validation_loss_curve_"] = after_earlier(
                "validation_loss_curve_", result.validation_loss_curve
            )
            curves["validation_scores_"] = scores
            curves["best_validation_score_"] = max(scores, default=None)
            if stops_early and scores:
                curves["best_iter_"] = 1 + int(np.argmax(scores))
        return curves

    # ------------------------------------------------------------ predict

    def _checked(self, X: Any) -> Any:
        """Validate X, unless it is a finite array of floats that fits, which would not change it.

        Validation takes several times as long as predicting one row.
        """
        if (
            type(X) is np.ndarray
            and X.dtype.char in "fd"
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and not hasattr(self, "feature_names_in_")
        ):
            # Of values that are all finite the sum may overflow: then validation has the last word.
            with np.errstate(over="ignore"):
                if math.isfinite(X.sum()):
                    return X
        check_is_fitted(self)
        return validate_data(self, X, accept_sparse="csr", dtype=FLOATS, reset=False)

    def hidden_activations(self, X: ArrayLike) -> list[NDArray]:
        """Compute the activations of the hidden units: what the network makes of X on its way.

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
        now = self._copy()
        X = now._checked(X)
        return now.network_.hidden_activations(X)

    # ------------------------------------------------------------ fitted attributes

    @property
    def coefs_(self) -> list[NDArray]:
        """Weights of each layer."""
        return self._of_network("coefs_").coefs

    @coefs_.setter
    def coefs_(self, coefs: list[NDArray]) -> None:
        self.network_ = replace(self._of_network("coefs_"), coefs=coefs)

    @property
    def intercepts_(self) -> list[NDArray]:
        """Biases of each layer."""
        return self._of_network("intercepts_").intercepts

    @intercepts_.setter
    def intercepts_(self, intercepts: list[NDArray]) -> None:
        self.network_ = replace(self._of_network("intercepts_"), intercepts=intercepts)

    @property
    def mean_(self) -> NDArray | None:
        """What is subtracted from each column."""
        return self._of_network("mean_").features.mean

    @property
    def scale_(self) -> NDArray | None:
        """What each column is then divided by."""
        return self._of_network("scale_").features.scale

    @property
    def n_layers_(self) -> int:
        """Layers, those of inputs and outputs included."""
        return len(self._of_network("n_layers_").architecture.sizes)

    @property
    def n_outputs_(self) -> int:
        """Outputs of the network."""
        return self._of_network("n_outputs_").architecture.sizes[-1]

    @property
    def out_activation_(self) -> str:
        """Function of the outputs."""
        return self._of_network("out_activation_").architecture.output

    def _of_network(self, name: str) -> Network:
        """Return the fitted network, which an attribute of this name is read off."""
        try:
            return self.__dict__["network_"]
        except KeyError:
            raise AttributeError(
                f"{type(self).__name__} is not fitted, and has no {name} yet. Call fit first."
            ) from None

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn what this estimator can do: sparse X."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
