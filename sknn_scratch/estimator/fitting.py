"""From validated rows to a training job, and from its result to fitted attributes."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from sknn_scratch.estimator.plan import Mode, Plan, hidden_sizes, make_plan, stops_early
from sknn_scratch.estimator.report import print_epoch
from sknn_scratch.estimator.rows import Rows, hold_out, rows_of, set_aside
from sknn_scratch.estimator.targets import Classification
from sknn_scratch.network.features import AS_THEY_ARE, FeatureMap, learn_scaling
from sknn_scratch.network.initialisation import initial_theta
from sknn_scratch.network.layers import Architecture, theta_of
from sknn_scratch.network.losses import LOSSES
from sknn_scratch.network.model import Network
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.lbfgs import train_lbfgs
from sknn_scratch.training.stopping import StoppingState
from sknn_scratch.training.trainer import train_one


class Table(NamedTuple):
    """Rows that were given: validated, with weights that include those of their classes."""

    X: NDArray
    y: NDArray
    sample_weight: NDArray | None


class Fit(NamedTuple):
    """A fit that is about to be trained."""

    mode: Mode
    job: TrainingJob
    features: FeatureMap
    rng: np.random.RandomState
    """Source of all that is random, which the job draws from, or from a copy."""


def plan_fit(
    estimator: Any, task: Classification, table: Table, validation: Table | None, mode: Mode
) -> Fit:
    """Make a training job of parameters, task and rows, in the order of ``plan.py``.

    Parameters
    ----------
    estimator : estimator
        Its parameters are read, and what is fitted if the fit goes on from that.
    task : Classification
        What the labels ask for.
    table : Table
        Rows to learn from, of which some are set aside if it is to stop early without others.
    validation : Table or None
        Rows to hold out.
    mode : Mode
        Whether the fit goes on from another, and whether it is one epoch of a stream.
    """
    rng = check_random_state(estimator.random_state)
    if mode.again:
        features, dtype = estimator.network_.features, estimator.network_.dtype
    else:
        features, dtype = AS_THEY_ARE, np.dtype(estimator.dtype or table.X.dtype)
        if estimator.scale_features:
            features = learn_scaling(table.X, table.sample_weight)
    rows = rows_of(*table, task, features, dtype)
    sizes = (rows.inputs.shape[1], *hidden_sizes(estimator), task.n_outputs)
    network = Architecture(sizes, estimator.activation, task.output, estimator.loss)
    assigned = getattr(estimator, "_assigned", {})
    if mode.again:
        theta = _theta_of(estimator, estimator.network_.coefs, estimator.network_.intercepts, sizes)
    elif {"coefs_", "intercepts_"} <= assigned.keys() and (mode.partial or estimator.warm_start):
        theta = _theta_of(estimator, assigned["coefs_"], assigned["intercepts_"], sizes)
    else:
        theta = initial_theta(network, estimator.init, rows.inputs, rows.sample_weight, rng, dtype)
    early = not mode.partial and stops_early(
        estimator, table.X.shape[0], has_validation=validation is not None
    )
    held_out = None
    if validation is not None:
        held_out = rows_of(*validation, task, features, dtype)
    elif early:
        rows, held_out = set_aside(rows, task, estimator.validation_fraction, rng)
    seen = estimator.t_ if mode.again and mode.partial else 0
    plan = make_plan(estimator, sizes, len(rows.targets), seen + rows.weight, mode, early)
    start = _start(estimator, plan, theta, rng, mode, seen)
    job = _job(estimator, plan, network, rows, start)
    if held_out is not None:
        job = replace(job, hold_out=hold_out(held_out, network, task, features, estimator))
    return Fit(mode, job, features, rng)


def train(estimator: Any, fit: Fit) -> TrainingState:
    """Train the job of a fit, alone or with those of other threads."""
    if estimator.solver == "lbfgs":
        result = train_lbfgs(fit.job, estimator.tol, estimator.max_fun)
    else:
        result = train_one(fit.job)
    if result.rng is not fit.rng:  # it drew from a copy, in a stack or in another process
        fit.rng.set_state(result.rng.get_state(legacy=False))
    return result


def adopted(estimator: Any, fit: Fit, result: TrainingState) -> dict[str, Any]:
    """Return the attributes of an estimator that adopts what training gave.

    Raises
    ------
    ValueError
        If training has overflowed.
    """
    theta = result.best_theta()
    if result.stop_reason == "diverged" or not np.isfinite(theta).all():
        raise ValueError(
            f"Training overflowed in epoch {result.n_iter} with learning_rate_init="
            f"{fit.job.schedule.learning_rate_init}: loss {result.loss}. Solver produced "
            "non-finite parameter weights or losses. Lower learning_rate_init, or scale the "
            "features, for instance with sklearn.preprocessing.StandardScaler."
        )
    attributes = dict(
        estimator.__dict__,
        network_=Network.from_theta(fit.job.architecture, theta, fit.features),
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
    return attributes | _curves(estimator, fit, result)


def _curves(estimator: Any, fit: Fit, result: TrainingState) -> dict[str, Any]:
    """Return the attributes that tell how training went, those of earlier fits before."""

    def after_earlier(name: str, now: Sequence[float]) -> list[float]:
        return [*((getattr(estimator, name, None) or []) if fit.mode.again else []), *now]

    loss_curve = after_earlier("loss_curve_", result.loss_curve)
    stops_early = fit.job.stopping is not None and fit.job.stopping.keep_best
    curves = {
        "loss_curve_": loss_curve,
        "best_loss_": None if stops_early else min(loss_curve, default=result.loss),
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


def _theta_of(
    estimator: Any, coefs: list[NDArray], intercepts: list[NDArray], sizes: tuple[int, ...]
) -> NDArray:
    """Return the parameters of a network, (n_params,), if it has these layer sizes."""
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
    """Tell where training starts: fit starts anew, partial_fit goes on with the solver."""
    dropout_rng = None
    if plan.input_dropout > 0:
        # With t_, so that calls of partial_fit with one seed leave out different inputs.
        dropout_rng = np.random.RandomState([rng.randint(1 << 31), seen])
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


def _stopping_state(estimator: Any, plan: Plan, theta: NDArray, mode: Mode) -> StoppingState:
    """Tell where the rule that ends training left off, if the fit goes on."""
    if plan.stopping is None or not mode.again:
        return StoppingState()
    count = getattr(estimator, "_no_improvement_count", 0)
    if not plan.stopping.keep_best:
        return StoppingState(-min(estimator.loss_curve_, default=math.inf), count)
    if (best := getattr(estimator, "best_validation_score_", None)) is None:
        return StoppingState(count=count)
    return StoppingState(best, count, theta)


def _job(
    estimator: Any, plan: Plan, network: Architecture, rows: Rows, start: TrainingState
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
        alpha=estimator.alpha,
        weight_decay=plan.weight_decay,
        batch_size=plan.batch_size,
        max_iter=plan.max_iter,
        shuffle=estimator.shuffle,
        stopping=plan.stopping,
        callbacks=[print_epoch] if estimator.verbose else [],
        baseline=baseline(rows.targets, rows.sample_weight) if plan.measures_noise else None,
        input_dropout=plan.input_dropout,
    )
