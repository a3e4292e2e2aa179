"""Training of a stack in which no network harms another."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState
from sknn_scratch.training.loop import train


class Failure(NamedTuple):
    """What became of a network whose training has raised something."""

    error: BaseException


def train_shielded(jobs: Sequence[TrainingJob]) -> list[TrainingState | Failure]:
    """Train jobs as one stack, which those leave whose callbacks or hold-out raise something.

    Raises
    ------
    KeyboardInterrupt
        If training is interrupted.
    """
    errors: dict[int, Exception] = {}

    def shielded(k: int, function: Callable[[Any], Any], otherwise: Any) -> Callable[[Any], Any]:
        def call(argument: Any) -> Any:
            try:
                return function(argument)
            except Exception as error:
                errors[k] = error
                return otherwise

        return call

    def has_failed(k: int) -> Callable[[Epoch], bool]:
        return lambda epoch: k in errors

    def shield(k: int, job: TrainingJob) -> TrainingJob:
        if job.hold_out is None and not job.callbacks:
            return job
        callbacks = [shielded(k, callback, True) for callback in job.callbacks]
        hold_out = job.hold_out and shielded(k, job.hold_out, (math.nan, math.nan))
        return replace(job, callbacks=[*callbacks, has_failed(k)], hold_out=hold_out)

    try:
        results = train([shield(k, job) for k, job in enumerate(jobs)])
    except Exception as error:
        return [Failure(error)] * len(jobs)
    if any(result.stop_reason == "interrupted" for result in results):
        raise KeyboardInterrupt
    return [Failure(errors[k]) if k in errors else result for k, result in enumerate(results)]
