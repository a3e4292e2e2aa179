"""Who trains a job: this thread at once, or whoever collects the jobs of several threads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import local
from typing import Any, Protocol, TypeVar

from sknn_scratch.training.grouping import stacks_of
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.loop import train

_this_thread = local()

Made = TypeVar("Made")


class Trainer(Protocol):
    """Who trains the jobs of a thread."""

    def train(self, jobs: Sequence[TrainingJob]) -> list[TrainingState]:
        """Train jobs."""

    def once(self, function: Callable[..., Made], *arguments: Any) -> Made:
        """Return what a function makes of arguments, or has made of equal ones."""


def current_trainer() -> Trainer | None:
    """Return who trains the jobs of this thread; None if it does so itself."""
    return getattr(_this_thread, "trainer", None)


def train_one(job: TrainingJob) -> TrainingState:
    """Train a job, by the trainer of this thread if it has one, else at once."""
    trainer = current_trainer()
    return train([job])[0] if trainer is None else trainer.train([job])[0]


def train_all(jobs: Sequence[TrainingJob]) -> Sequence[TrainingState | None]:
    """Train jobs, by the trainer of this thread if it has one, else at once, in stacks.

    The result is None for those that the user did not let begin (Ctrl-C).
    """
    if (trainer := current_trainer()) is not None:
        return trainer.train(jobs)
    results: list[TrainingState | None] = [None] * len(jobs)
    for stack in stacks_of(jobs):
        trained = train([*stack.values()])
        for number, result in zip(stack, trained, strict=True):
            results[number] = result
        if any(result.stop_reason == "interrupted" for result in trained):
            break
    return results


def once(function: Callable[..., Made], *arguments: Any) -> Made:
    """Return what a function makes of arguments, or has made of equal ones for another thread.

    It must depend on nothing else, change none of them, and make what nobody changes.
    """
    trainer = current_trainer()
    return function(*arguments) if trainer is None else trainer.once(function, *arguments)


@contextmanager
def trained_by(trainer: Trainer) -> Iterator[None]:
    """Make a context in which the jobs of this thread are handed to a trainer."""
    before = current_trainer()
    _this_thread.trainer = trainer
    try:
        yield
    finally:
        _this_thread.trainer = before
