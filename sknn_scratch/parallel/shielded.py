"""Training of jobs of several tasks, none of which harms the others."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState
from sknn_scratch.training.loop import train

Train = Callable[[Sequence[TrainingJob]], list[TrainingState]]


class Failure(NamedTuple):
    """What became of a task whose training has raised."""

    error: BaseException
    traceback: TracebackType | None


def train_shielded(
    jobs: Sequence[TrainingJob],
    are_unwanted: Sequence[Callable[[], bool]],
    train: Train = train,
) -> list[TrainingState | Failure]:
    """Train jobs as one stack, which those leave that raise something or that nobody wants.

    So they neither hold up nor harm the others.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    are_unwanted : sequence of callable
        For each job, a function that tells after each epoch whether nobody wants it any more.
    train : callable
        What trains the stack.
    """
    errors: dict[int, BaseException] = {}

    def shielded(k: int, function: Callable[[Any], Any], otherwise: Any) -> Callable[[Any], Any]:
        def call(argument: Any) -> Any:
            try:
                return function(argument)
            except BaseException as error:
                errors[k] = error
                return otherwise

        return call

    def over(k: int) -> Callable[[Epoch], bool]:
        return lambda epoch: k in errors or are_unwanted[k]()

    def shield(k: int, job: TrainingJob) -> TrainingJob:
        callbacks = [*(shielded(k, callback, True) for callback in job.callbacks), over(k)]
        hold_out = job.hold_out and shielded(k, job.hold_out, (math.nan, math.nan))
        return replace(job, callbacks=callbacks, hold_out=hold_out)

    try:
        trained: list[TrainingState | Failure] = [
            *train([shield(k, job) for k, job in enumerate(jobs)])
        ]
    except BaseException as error:
        return [Failure(error, error.__traceback__)] * len(jobs)
    for k, raised in errors.items():
        trained[k] = Failure(raised, raised.__traceback__)
    return trained


def train_in_process(jobs: Sequence[TrainingJob], wanted: Path) -> list[TrainingState | Failure]:
    """Train jobs that have come from another process, as long as it lives and a file is there."""
    parent = os.getppid()

    def unwanted() -> bool:
        return os.getppid() != parent or not wanted.exists()

    trained = train_shielded(jobs, [unwanted] * len(jobs))
    # A traceback cannot be sent back.
    return [Failure(each.error, None) if isinstance(each, Failure) else each for each in trained]
