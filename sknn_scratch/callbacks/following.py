"""Let callbacks and checkpoints follow the training of a job."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sknn_scratch.callbacks.checkpoint import Checkpoint
from sknn_scratch.callbacks.protocol import FollowedFit, callbacks_of
from sknn_scratch.training.job import TrainingJob, TrainingState


def follow(
    job: TrainingJob,
    data: Mapping[str, Any],
    fitted: Callable[[TrainingState], dict[str, Any]],
    context: Any,
    given: dict[str, Any],
) -> FollowedFit:
    """Let callbacks follow the training of a job, from a checkpoint on if there is one.

    Parameters
    ----------
    job : TrainingJob
    data : mapping of str to array, tuple of arrays, or None
        All that the fit depends on, but for the estimator's parameters.
    fitted : callable
        Turns a state of training into the attributes of a fitted estimator.
    context : CallbackContext
        That of the fit.
    given : dict
        What every hook is given.
    """
    estimator, start, checkpoints = given["estimator"], job.start, []
    for callback in callbacks_of(estimator):
        if isinstance(callback, Checkpoint):
            start, write_if_due = callback.follow(estimator, job, data)
            checkpoints.append(write_if_due)
    return FollowedFit(context, given, replace(job, start=start), checkpoints, fitted)
