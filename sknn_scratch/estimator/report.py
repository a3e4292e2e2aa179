"""What a fit reports: one line per epoch if verbose, and a warning if it should have gone on."""

import math
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sknn_scratch._caller import warn_user
from sknn_scratch.estimator.plan import Mode, Plan
from sknn_scratch.estimator.task import Task
from sknn_scratch.network.layers import first_and_rest
from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState

#: A run with less than this fraction of the rate times updates of "auto" may have ended too early.
SHORT = 0.25

#: Fraction of the epochs of a cosine schedule after which half of its rate times updates is done.
HALFWAY = 0.265

#: A loss that falls by more than this fraction of the baseline in the second half still falls fast.
STEEP = 0.05

#: Rate times updates, relative to that of "auto", below which a network stays where it starts.
AT_REST = 1e-3


def print_epoch(epoch: Epoch) -> None:
    """Print the record of an epoch."""
    parts = [f"Iteration {epoch.number}", f"loss = {epoch.loss:.8f}"]
    if epoch.score is not None:
        parts.append(f"validation loss = {epoch.validation_loss:.8f}")
        parts.append(f"validation score = {epoch.score:.4f}")
    print(", ".join([*parts, f"{epoch.seconds:.1f} s"]))
    if epoch.rate_was_lowered:
        print("No more progress at this learning rate. Going on with a fifth of it.")


def print_trial(tried: int, planned: int) -> None:
    """Print that a trial has shortened a fit."""
    print(
        f"A trial on held-out rows: {tried} epochs do, instead of the planned {planned}. Set "
        f"max_iter={planned} to have them all."
    )


def report(
    estimator: Any, task: Task, mode: Mode, plan: Plan, job: TrainingJob, result: TrainingState
) -> None:
    """Print why training ended, if verbose; warn if it should have gone on."""
    if result.stop_reason == "interrupted":
        warn_user(
            f"Training interrupted by user after {result.n_iter} epochs. What was learnt until "
            "then is kept."
        )
        return
    if mode.partial:  # the stream may go on
        return
    if estimator.verbose and result.stop_reason == "stalled":
        what = "Training loss" if job.hold_out is None else "Validation score"
        print(
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs. Stopping."
        )
    message = (
        _not_converged(estimator, job, result)
        or _no_better(estimator, task, job, result)
        or ("" if mode.again else _on_the_way(plan, job, result))
    )
    if message:
        warn_user(message, ConvergenceWarning)


def _not_converged(estimator: Any, job: TrainingJob, result: TrainingState) -> str:
    """Return a message if training ended before it had converged, or else an empty one."""
    if estimator.solver == "lbfgs" and result.stop_reason not in ("converged", "callback"):
        return (
            f"lbfgs failed to converge after {result.n_iter} iteration(s): {result.stop_reason}. "
            f"Increase max_iter={job.max_iter} or max_fun={estimator.max_fun}, or scale the "
            "features, for instance with sklearn.preprocessing.StandardScaler."
        )
    if result.stop_reason == "max_iter" and estimator.learning_rate != "cosine":
        return (
            f"Maximum iterations ({job.max_iter}) reached, and the optimization hasn't converged "
            f"yet (loss {result.loss:.3g}). Increase max_iter or learning_rate_init, or set "
            "learning_rate='cosine', which ends as planned."
        )
    return ""


def _no_better(estimator: Any, task: Task, job: TrainingJob, result: TrainingState) -> str:
    """Return a message if the network is no better than its baseline, or else an empty one."""
    first, _ = first_and_rest(job.architecture.sizes)
    loss = result.loss
    if job.input_penalty:  # which by itself says nothing about what was learnt
        # That of the last epoch, whose loss may only then have become the noise.
        state = job.start if job.measures_noise_after(result.n_iter) else result
        W = result.theta[first].astype(np.float64)
        loss -= float(W @ (job.input_penalty * (state.noise or 1.0) / 2 * W))
    if not (loss > job.baseline + float(estimator.tol) and job.baseline > 0):
        return ""
    alpha = f"lower alpha={estimator.alpha}, " if estimator.alpha > 0 else ""
    return (
        f"The network is no better than {task.no_better_than}: its loss, {loss:.3g}, is "
        f"over the {job.baseline:.3g} of always predicting {task.constant}. Change "
        f"learning_rate_init={job.schedule.learning_rate_init} (lower it if loss_curve_ rises, "
        f"raise it or max_iter if it is flat), {alpha}or scale the features, for instance with "
        "sklearn.preprocessing.StandardScaler."
    )


def _on_the_way(plan: Plan, job: TrainingJob, result: TrainingState) -> str:
    """Return a message if a run with a low rate ended as planned, but too early; or an empty one.

    After 26.5 % of the epochs of a cosine schedule, half of its rate times updates is done. If the
    second half still gained much, training on would gain more. At next to no rate, nothing gains.
    """
    planned = job.schedule.name == "cosine" and job.stopping is None
    if not planned or result.stop_reason != "max_iter" or plan.way >= SHORT:
        return ""
    halfway = result.loss_curve[math.ceil(HALFWAY * len(result.loss_curve)) - 1]
    at_rest = plan.way < AT_REST and result.loss > STEEP * job.baseline
    if not at_rest and halfway - result.loss <= STEEP * job.baseline:
        return ""
    how = "and its loss has hardly changed" if at_rest else "while its loss was still falling"
    return (
        f"Training ended as planned {how}: {halfway:.3g} after a "
        f"quarter of the epochs, {result.loss:.3g} at the end. "
        f"learning_rate_init={plan.learning_rate_init:g} is far below the "
        f"{plan.auto_rate:g} that 'auto' would take. Set learning_rate_init='auto', or raise "
        f"it or max_iter={job.max_iter}."
    )
