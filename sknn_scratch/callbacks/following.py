"""Let callbacks follow the training of a job."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sknn_scratch.callbacks.checkpoint import Checkpoint
from sknn_scratch.callbacks.protocol import FollowedFit, JobFollower, callbacks_of
from sknn_scratch.training.job import TrainingJob, TrainingState


def follow(
    job: TrainingJob,
    data: Mapping[str, Any],
    fitted: Callable[[TrainingState], dict[str, Any]],
    context: Any,
    given: dict[str, Any],
) -> FollowedFit:
    """Let callbacks follow the training of a job, which may resume from a checkpoint.

    Parameters
    ----------
    job : TrainingJob
    data : mapping of str to array, tuple of arrays, or None
        All that the fit depends on, except for the estimator's parameters.
    fitted : callable
        Turns a state of training into the attributes of a fitted estimator.
    context : CallbackContext
        Context of the fit.
    given : dict
        Arguments of every hook.
    """
    estimator, followers = given["estimator"], []
    callbacks = [one for one in callbacks_of(estimator) if isinstance(one, JobFollower)]
    # Checkpoints first: the others must know where the job starts.
    for callback in sorted(callbacks, key=lambda one: not isinstance(one, Checkpoint)):
        start, follower = callback.follow(estimator, job, data, fitted)
        job = replace(job, start=start)
        followers.append(follower)
    return FollowedFit(context, given, job, followers, fitted)
