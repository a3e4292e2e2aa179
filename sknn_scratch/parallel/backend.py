"""The backend that joblib sees: it hands the tasks of each call to a meeting."""

import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Any

import joblib
from joblib.parallel import ParallelBackendBase

from sknn_scratch.parallel.meeting import (
    MAX_STACK,
    Crew,
    JoblibTask,
    Limits,
    Meeting,
    Pending,
    here,
)
from sknn_scratch.parallel.shielded import Train
from sknn_scratch.training.loop import train


def _checked(max_stack: Any) -> Any:
    """Return max_stack if it is allowed."""
    if max_stack is None or (isinstance(max_stack, Integral) and int(max_stack) >= 1):
        return max_stack
    raise ValueError(f"max_stack must be None or a whole number from 1 on, got {max_stack!r}.")


class StackedBackend(ParallelBackendBase):
    """Backend of joblib that trains networks of tasks which run at the same time as one stack.

    Parameters
    ----------
    max_stack : int or None, default=None
        Most tasks that are under way at once, and so most networks that can share a stack. None
        means 1,024, or fewer if their training data would take more than 256 MiB.
    limits : Limits, default=None
        What else bounds the tasks; the usual limits by default.
    train : callable, default=train
        What trains the jobs of a stack.
    """

    default_n_jobs = -1
    supports_retrieve_callback = True
    supports_timeout = True
    supports_sharedmem = True
    uses_threads = True

    def __init__(
        self,
        nesting_level: int | None = None,
        max_stack: int | None = None,
        limits: Limits | None = None,
        train: Train = train,
        **settings: Any,
    ):
        super().__init__(nesting_level=nesting_level, **settings)
        self.limits, self.train = limits or Limits(), train
        self._bound(max_stack)
        self.n_jobs = -1
        self.lock = threading.Lock()
        self.users = 0
        """How many calls of this backend are under way: none, or one and then it has a crew."""
        self.crew: Crew

    def _bound(self, max_stack: int | None) -> None:
        if _checked(max_stack) is not None:
            self.limits = replace(self.limits, max_stack=max_stack)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Tell how many tasks can be under way at once."""
        if n_jobs == 0:
            raise ValueError("n_jobs must not be 0. Allowed are None, 1, -1 and so on.")
        return 1 if n_jobs == 1 else self.limits.max_stack or MAX_STACK

    def configure(
        self,
        n_jobs: int = -1,
        parallel: Any = None,
        max_stack: int | None = None,
        **settings: Any,
    ) -> int:
        """Take the settings of a call; tell how many tasks can be under way at once."""
        self.n_jobs = n_jobs
        self._bound(max_stack)
        return super().configure(n_jobs, parallel, **settings)

    def _cores(self) -> int:
        cores: int = joblib.cpu_count()
        n_jobs = -1 if self.n_jobs is None else self.n_jobs
        return min(cores, n_jobs) if n_jobs > 0 else max(1, cores + 1 + n_jobs)

    def start_call(self) -> None:
        """Begin a call: a meeting of its own, or part of that of the task which makes the call."""
        with self.lock:
            if self.users == 0:
                task: JoblibTask | None = getattr(here, "task", None)
                if task is not None:
                    self.crew = Crew(task.crew.meeting, task.crew)
                else:
                    self.crew = Crew(Meeting(self._cores(), self.limits, self.train), None)
                    _filters.keep()
            self.users += 1
        self.crew.meeting.dispatching.add(self.crew)

    def stop_call(self) -> None:
        """End a call."""
        with self.lock:
            self.users -= 1
            if self.users:
                return
            crew = self.crew
            del self.crew
        crew.meeting.dispatched(crew)
        if crew.parent is None:
            crew.meeting.close(cancelled=crew.ended_early)
            _filters.restore()

    def submit(
        self, func: Callable[[], Any], callback: Callable[[Future], Any] | None = None
    ) -> Pending:
        """Take a task to run."""
        task = JoblibTask(func, self.crew)
        if callback is not None:
            task.pending.add_done_callback(callback)
        self.crew.meeting.submit(task)
        return task.pending

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, pending: Pending) -> Any:
        """Return what a task has returned, or raise what it has raised."""
        return pending.result()

    @contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Context in which a call waits for the results of its tasks."""
        crew, task = self.crew, getattr(here, "task", None)
        crew.meeting.dispatched(crew)
        if task is not None:
            crew.meeting.pause(task)
        try:
            yield
        finally:
            if task is not None:
                crew.meeting.resume(task)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """End a call early."""
        if self.users:
            self.crew.meeting.cancel(self.crew)

    def get_nested_backend(self) -> tuple[ParallelBackendBase, None]:
        """Backend for calls that a task makes: they take part in the same meeting."""
        level, limits = self.nesting_level + 1, self.limits
        return StackedBackend(level, limits=limits, train=self.train), None


class _Filters:
    """Keeps the filters of warnings as they are as long as anybody needs them.

    scikit-learn sets them anew in each task and puts them back afterwards. As they belong to the
    process, and not to the thread, they would end up as one of the tasks has set them.
    """

    def __init__(self) -> None:
        self.lock, self.users = threading.Lock(), 0

    def keep(self) -> None:
        with self.lock:
            if self.users == 0:
                self.context = warnings.catch_warnings()
                self.context.__enter__()
            self.users += 1

    def restore(self) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.context.__exit__(None, None, None)


_filters = _Filters()

joblib.register_parallel_backend("stacked", StackedBackend)
