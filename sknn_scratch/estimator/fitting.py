"""From validated rows to a training job, and from its result to fitted attributes."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from sknn_scratch.estimator.columns import levels_of
from sknn_scratch.estimator.history import History, history_of
from sknn_scratch.estimator.plan import (
    Mode,
    Plan,
    check_batch_size,
    float_type,
    hidden_sizes,
    make_plan,
    stops_early,
)
from sknn_scratch.estimator.report import print_epoch
from sknn_scratch.estimator.rows import Rows, Table, hold_out, rows_of, set_aside, with_weight
from sknn_scratch.estimator.task import Task
from sknn_scratch.network.features import FeatureMap, learn_features
from sknn_scratch.network.initialisation import initial_theta
from sknn_scratch.network.layers import Architecture, layers_of, theta_of
from sknn_scratch.network.losses import LOSSES, baseline_of
from sknn_scratch.network.model import Network
from sknn_scratch.network.stream_scaling import StreamScaling
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.lbfgs import train_lbfgs
from sknn_scratch.training.stopping import StoppingState
from sknn_scratch.training.trainer import train_one


class Fit(NamedTuple):
    """A fit that is about to be trained."""

    mode: Mode
    plan: Plan
    job: TrainingJob
    features: FeatureMap
    history: History
    """Sums over the rows; in a stream, over all rows so far."""
    rng: np.random.RandomState
    """Source of all random numbers. The job draws from it, or from a copy."""


class Seen(NamedTuple):
    """A table as a network sees it."""

    scaling: StreamScaling
    rows: Rows
    """Rows to learn from. Early stopping holds some of them out if there are no others."""
    validation: Rows | None
    """Validation rows of the user's own, or None."""


@dataclass(frozen=True, eq=False)
class View:
    """A validated table as networks see it, which several fits can share."""

    learnt: dict[str, Any]
    """Attributes that validation has given an estimator: columns, names and the task of y."""
    seen: Sequence[Seen]
    """As they see it; once more if some see its numbers encoded."""

    @property
    def nbytes(self) -> int:
        """Bytes of the values of its arrays."""
        parts = [rows for seen in self.seen for rows in (seen.rows, seen.validation) if rows]
        # dense or sparse
        return sum(array.data.nbytes for rows in parts for array in (rows.inputs, rows.targets))


def see(
    estimator: Any,
    task: Task,
    table: Table,
    validation: Table | None,
    mode: Mode,
    keeps_X: bool = True,
) -> Seen:
    """Learn the map from columns to inputs, and apply it. Draws no random numbers."""
    scaling = _scaling(estimator, table, mode)
    if mode.again:
        dtype = estimator.network_.dtype
    else:
        dtype = float_type(estimator, table.n_live, table.X.dtype)
    rows = rows_of(table, task, scaling.features, dtype, keeps_X)
    held_out = validation and rows_of(validation, task, scaling.features, dtype, keeps_X)
    return Seen(scaling, rows, held_out)


def plan_fit(estimator: Any, task: Task, seen: Seen, mode: Mode) -> Fit:
    """Make a training job of parameters, task and rows, in the order of ``plan.py``.

    Parameters
    ----------
    estimator : estimator
        Its parameters are read, and its fitted attributes if the fit continues an earlier one.
    task : Task
        Task of y.
    seen : Seen
        The rows; networks with the same view can share it.
    mode : Mode
        Whether the fit continues another, and whether it is one epoch of a stream.
    """
    rng = check_random_state(estimator.random_state)
    scaling, rows, held_out = seen
    table, features, dtype = rows.table, scaling.features, rows.inputs.dtype
    sizes = (rows.inputs.shape[1], *hidden_sizes(estimator), task.n_outputs)
    network = Architecture(sizes, estimator.activation, task.output, estimator.loss)
    theta = _first_theta(estimator, network, rows, features, mode, rng)
    early = not mode.partial and stops_early(
        estimator, table.n_live, has_validation=held_out is not None
    )
    train_rows = validation_rows = None
    if held_out is None and early:
        held_out = rows
        train_rows, validation_rows = set_aside(rows, task, estimator.validation_fraction, rng)
    check_batch_size(estimator, len(rows.targets) if train_rows is None else len(train_rows))
    train_rows = with_weight(table, train_rows)
    history = history_of(*rows.of(train_rows), scaling)
    if not mode.partial and not history.weight.all():
        raise ValueError(
            f"class_weight={estimator.class_weight!r} leaves no row with a weight for the labels "
            f"{np.flatnonzero(history.weight == 0).tolist()}. Give the class that y has a weight."
        )
    if mode.again and mode.partial:
        history = estimator._history + history
    rows = rows._replace(weight=history.normalised(rows.weight, len(rows.targets)))
    targets, weight = rows.of(train_rows)
    n, effective_n = len(targets), task.effective_number(targets, weight)
    before = estimator.t_ if mode.again and mode.partial else 0
    rarest = task.rarest(targets)
    plan = make_plan(estimator, task, sizes, n, before + effective_n, rarest, mode, early)
    loss = network.loss, network.output
    guard = LOSSES[loss].guard(history.frequencies)
    job = TrainingJob(
        X=rows.inputs,
        Y=rows.targets,
        sample_weight=None if rows.weight is None else rows.weight.astype(dtype),
        rows=train_rows,
        architecture=network,
        start=_start(estimator, plan, theta, rng, mode, before),
        solver=plan.solver,
        schedule=plan.schedule,
        guard=guard,
        baseline=baseline_of(loss, history.frequencies, guard, targets, weight),
        alpha=estimator.alpha * n / effective_n,
        weight_decay=plan.weight_decay,
        measures_noise=plan.measures_noise,
        input_decay=plan.input_decay,
        input_penalty=plan.input_penalty,
        input_dropout=plan.input_dropout,
        batch_size=plan.batch_size,
        max_iter=plan.max_iter,
        shuffle=estimator.shuffle,
        stopping=plan.stopping,
        hold_out=held_out
        and hold_out(held_out, validation_rows, network, guard, task, features, estimator),
        callbacks=[print_epoch] if estimator.verbose else [],
    )
    return Fit(mode, plan, job, features, history, rng)


def _first_theta(
    estimator: Any,
    network: Architecture,
    rows: Rows,
    features: FeatureMap,
    mode: Mode,
    rng: np.random.RandomState,
) -> NDArray:
    """Return the parameters to start from: those of a fit, assigned by hand, or drawn."""
    assigned = getattr(estimator, "_assigned", {})
    if mode.again:
        fitted = estimator.network_
        return _theta_of(estimator, fitted.coefs, fitted.intercepts, network.sizes)
    if {"coefs_", "intercepts_"} <= assigned.keys() and (mode.partial or estimator.warm_start):
        return _theta_of(estimator, assigned["coefs_"], assigned["intercepts_"], network.sizes)
    weight, dtype = _weight_to_look_by(rows.table), rows.targets.dtype
    theta = initial_theta(network, estimator.init, rows.inputs, weight, rng, dtype)
    if features.layout is not None:
        # Nothing is learnt about a level that no row has: give it weights of zero.
        levels = features.layout.level_inputs
        seen = rows.inputs[:, levels] if weight is None else rows.inputs[weight > 0][:, levels]
        layers_of(theta, network.sizes)[0].W[levels[~seen.any(axis=0)]] = 0
    return theta


def _scaling(estimator: Any, table: Table, mode: Mode) -> StreamScaling:
    """Return the map from columns to inputs: learnt from the rows, or that of an earlier fit."""
    X, levels = table.X, levels_of(estimator._columns)
    scaled, n_bins = estimator.scale_features, bins_of(estimator, X)
    weight = table.sample_weight if mode.again else _weight_to_look_by(table)
    if mode.again:
        before: StreamScaling = estimator._history.scaling
        if not mode.partial or before.features.mean is None:
            return before
    elif not mode.partial or not scaled:
        features = learn_features(X, weight, levels, scaled=scaled, n_bins=n_bins)
        return StreamScaling(features, n_learnt=X.shape[0])
    else:
        features = learn_features(X, weight, levels, scaled=False, n_bins=n_bins)
        before = StreamScaling(features)
    return before.after(X, np.ones(X.shape[0]) if weight is None else weight)


def bins_of(estimator: Any, X: Any) -> int | None:
    """Return the number of bins that numbers are encoded in; None without encoding.

    Raises
    ------
    TypeError
        If X is sparse.
    """
    if estimator.numerical_encoding is None:
        return None
    if issparse(X):
        raise TypeError(
            "X is sparse, but numerical_encoding='piecewise_linear' makes nothing of zero that "
            "would stay zero. Make X dense, with X.toarray(), or set numerical_encoding=None."
        )
    return int(estimator.n_bins)


def _weight_to_look_by(table: Table) -> NDArray | None:
    """Return the row weights for learning scale and start of a network; None if they are equal.

    If no row in the first part of a stream has a weight, all rows count alike.
    """
    weight = table.sample_weight
    return None if weight is None or not weight.any() else weight


def train(estimator: Any, fit: Fit) -> TrainingState:
    """Train the job of a fit, alone or with those of other threads."""
    if fit.job.sample_weight is not None and not fit.job.sample_weight.any():
        # Every row of this part of a stream has weight zero: there is nothing to learn.
        start, loss = fit.job.start, getattr(estimator, "loss_", math.nan)
        solver = start.solver or fit.job.solver.new_state(start.theta)
        return replace(start, solver=solver, loss=loss, stop_reason="max_iter")
    if estimator.solver == "lbfgs":
        result = train_lbfgs(fit.job, float(estimator.tol), estimator.max_fun)
    else:
        result = train_one(fit.job)
    if result.rng is not fit.rng:  # training drew from a copy, in a stack or in another process
        fit.rng.set_state(result.rng.get_state(legacy=False))
    return result


def adopted(
    estimator: Any, fit: Fit, result: TrainingState, *, hand_on_curve: bool = False
) -> dict[str, Any]:
    """Return the attributes of an estimator that adopts the result of training.

    With ``hand_on_curve``, an existing loss curve is passed on as the same list, not yet extended:
    copying it in every call of partial_fit would take longer from call to call.

    Raises
    ------
    ValueError
        If training has overflowed.
    """
    theta = result.best_theta()
    if result.stop_reason == "diverged" or not np.isfinite(theta).all():
        name, value = "learning_rate_init", fit.job.schedule.learning_rate_init
        remedy = "Lower learning_rate_init"
        if estimator.solver == "lbfgs":
            name, value, remedy = "alpha", estimator.alpha, "Lower alpha"
        elif estimator.alpha > 0:
            remedy += f", lower alpha={estimator.alpha}"
        raise ValueError(
            f"Training overflowed in epoch {result.n_iter} with {name}={value}: loss "
            f"{result.loss}. Solver produced non-finite parameter weights or losses. {remedy}, "
            "or scale the features, for instance with sklearn.preprocessing.StandardScaler."
        )
    attributes = dict(
        estimator.__dict__,
        network_=Network.from_theta(fit.job.architecture, theta, fit.features),
        _history=fit.history,
        batch_size_=fit.job.batch_size,
        learning_rate_init_=fit.job.schedule.learning_rate_init,
        input_dropout_=fit.job.input_dropout,
        weight_decay_=fit.job.weight_decay * result.noise,
        stop_reason_=result.stop_reason,
        n_iter_=result.n_iter,
        t_=result.samples_seen,
        loss_=result.loss,
        _no_improvement_count=result.stopping.count,
        _solver_state={
            "solver": estimator.solver,
            "settings": asdict(fit.job.solver),
            "steps": result.steps,
            "plateaus": result.plateaus,
            "noise": result.noise if estimator.weight_decay == "auto" else 0.0,
            "arrays": result.solver,
        },
    )
    attributes.pop("_assigned", None)
    return attributes | _curves(estimator, fit, result, hand_on_curve=hand_on_curve)


def _curves(
    estimator: Any, fit: Fit, result: TrainingState, *, hand_on_curve: bool
) -> dict[str, Any]:
    """Return the curves of training, appended to those of the fits that this one continues."""

    def after_earlier(name: str, now: Sequence[float]) -> list[float]:
        before = (getattr(estimator, name, None) or []) if fit.mode.again else []
        return before if before and hand_on_curve else [*before, *now]

    losses = [*result.loss_curve, *([_best_loss(estimator)] if fit.mode.again else [])]
    stops_early = fit.job.stopping is not None and fit.job.stopping.keep_best
    curves = {
        "loss_curve_": after_earlier("loss_curve_", result.loss_curve),
        "best_loss_": None if stops_early else min(losses, default=result.loss),
        "validation_loss_curve_": None,
        "validation_scores_": None,
        "best_validation_score_": None,
        "best_iter_": None,
    }
    if fit.job.hold_out is not None:
        scores = after_earlier("validation_scores_", result.scores)
        curves["validation_loss_curve_"] = after_earlier(
            "validation_loss_curve_", result.validation_loss_curve
        )
        curves["validation_scores_"] = scores
        curves["best_validation_score_"] = max(scores, default=None)
        if stops_early and scores:
            curves["best_iter_"] = 1 + int(np.argmax(scores))
    return curves


def _best_loss(estimator: Any) -> float:
    """Return the lowest loss so far, from the curve if it has not been noted."""
    best: float | None = getattr(estimator, "best_loss_", None)
    if best is None or math.isnan(best):
        return min(estimator.loss_curve_, default=math.inf)
    return best


def _theta_of(
    estimator: Any, coefs: list[NDArray], intercepts: list[NDArray], sizes: tuple[int, ...]
) -> NDArray:
    """Pack weights and biases into theta, (n_params,), if they have these layer sizes."""
    fitted = (coefs[0].shape[0], *(W.shape[1] for W in coefs))
    if fitted != sizes:
        raise ValueError(
            f"The fitted network has layers of {fitted} units, but hidden_layer_sizes="
            f"{estimator.hidden_layer_sizes!r} and the data ask for {sizes}. To go on from a fit, "
            "leave both as they were; for a new network set warm_start=False and call fit."
        )
    return theta_of(coefs, intercepts)


def _start(
    estimator: Any, plan: Plan, theta: NDArray, rng: np.random.RandomState, mode: Mode, seen: int
) -> TrainingState:
    """Return where training starts: fit starts a new solver, partial_fit continues the old one."""
    dropout_rng = None
    if plan.input_dropout > 0:
        # Seeded with t_ too, so that calls of partial_fit with one seed leave out other inputs.
        dropout_rng = np.random.RandomState([rng.randint(1 << 31), *_words(seen)])
    saved = getattr(estimator, "_solver_state", None) if mode.again else None
    # Nothing decays before the noise is known.
    noise = 1.0 if estimator.weight_decay != "auto" else saved["noise"] if saved else 0.0
    start = TrainingState(
        theta,
        rng,
        dropout_rng,
        samples_seen=estimator.t_ if mode.again else 0,
        noise=noise,
        stopping=_stopping_state(estimator, plan, theta, mode),
    )
    if not (mode.partial and saved and saved["solver"] == estimator.solver):
        return start
    return replace(
        start,
        solver=plan.solver.taken_over(saved["arrays"], saved["settings"]),
        steps=saved["steps"],
        plateaus=saved["plateaus"],
    )


def _words(number: int) -> list[int]:
    """Cut a number into 32-bit words, the lowest first, as a seed takes them."""
    words = [number & 0xFFFFFFFF]
    while number := number >> 32:
        words.append(number & 0xFFFFFFFF)
    return words


def _stopping_state(estimator: Any, plan: Plan, theta: NDArray, mode: Mode) -> StoppingState:
    """Return where the stopping rule left off if the fit continues another, or its start."""
    if plan.stopping is None or not mode.again:
        return StoppingState()
    count = getattr(estimator, "_no_improvement_count", 0)
    if not plan.stopping.keep_best:
        return StoppingState(-_best_loss(estimator), count)
    if (best := getattr(estimator, "best_validation_score_", None)) is None:
        return StoppingState(count=count)
    return StoppingState(best, count, theta)
