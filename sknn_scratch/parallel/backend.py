"""The backend that joblib sees: it deals out the tasks of a call to processes, in batches."""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import closing, contextmanager
from numbers import Integral
from typing import Any

import joblib
from joblib.parallel import FallbackToBackend, ParallelBackendBase, SequentialBackend

from sknn_scratch.parallel.scheduler import Call, Scheduler, Task
from sknn_scratch.training.trainer import current_trainer

#: What joblib is told that can run at once. It hands in twice as many tasks before it waits.
MANY = 1024

#: Tasks of a batch, at least, where there are enough for all workers.
LEAST = 16


class StackedBackend(ParallelBackendBase):
    """Backend of joblib that trains the networks of its tasks as stacks, in each worker its own.

    Parameters
    ----------
    max_stack : int, default=256
        Most tasks that are under way at once in a worker, and so most networks of a stack. There
        are fewer where their training data would take more than 32 MiB.
    workers : str or joblib backend, default="loky"
        What runs the batches: "loky", processes on this machine, or "dask".
    """

    default_n_jobs = -1
    supports_retrieve_callback = True
    parallel: Any = None  # the call that it is of

    def __init__(
        self, nesting_level: int | None = None, max_stack: int = 256, workers: Any = "loky"
    ):
        super().__init__(nesting_level=nesting_level or 0)
        if not (isinstance(max_stack, Integral) and int(max_stack) >= 1):
            raise ValueError(f"max_stack must be a whole number from 1 on, got {max_stack!r}.")
        self.supports_sharedmem = self.nesting_level > 0  # calls of a task stay in its process
        self.max_stack: int = max_stack
        self.workers: Any = workers
        self.calls: list[Call] = []
        self.callbacks: list[Callable[[Any], Any]] = []

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Tell how many tasks can be handed in at once."""
        return MANY

    def get_nested_backend(self) -> tuple[ParallelBackendBase, None]:
        """Backend for calls that a task makes."""
        return StackedBackend(self.nesting_level + 1, self.max_stack), None

    def configure(self, n_jobs: int = -1, parallel: Any = None, **settings: Any) -> int:
        """Take the settings of a call, in a backend of its own, as several may be under way."""
        asked = {settings["prefer"], settings["require"]}
        if self.nesting_level and asked & {"threads", "sharedmem"}:  # so it is not networks
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if self.parallel is not parallel:
            own = {n: settings.get(n, getattr(self, n)) for n in ("max_stack", "workers")}
            backend = StackedBackend(self.nesting_level, **own)
            backend.parallel = parallel
            raise FallbackToBackend(backend)
        self.settings = {n: settings[n] for n in ("max_nbytes", "temp_folder", "mmap_mode")}
        self.settings |= {"timeout": parallel.timeout, "pre_dispatch": "all", "batch_size": 1}
        self.n_workers = 1
        if not self.nesting_level:
            most = joblib.parallel.get_active_backend()[1]  # a call may ask for one per task
            with joblib.parallel_config(backend=self.workers):
                self.n_workers = min(map(joblib.effective_n_jobs, {n_jobs, most or -1, -1}))
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Call, callback: Callable[[Any], Any]) -> None:
        """Take a task, and whom to tell its result."""
        self.calls.append(func)
        self.callbacks.append(callback)

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return the result that was told."""
        return out

    @contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Run all tasks. joblib may hand in more when it is told of results."""
        while self.calls:
            callbacks, self.callbacks = self.callbacks, []
            for callback, result in zip(callbacks, self._results(), strict=True):
                callback(result)
        yield

    def _results(self) -> Iterator[Any]:
        calls, self.calls = self.calls, []
        task = current_trainer()
        if isinstance(task, Task):
            yield from task.wait_for(calls)
            return
        batches = [*cut(calls, self.n_workers)]
        calls.clear()  # so that each can be forgotten when it has been made
        with joblib.parallel_config(backend=self.workers):
            parallel = joblib.Parallel(self.n_workers, return_as="generator", **self.settings)
        try:
            results = parallel(joblib.delayed(run)(batch, self.max_stack) for batch in batches)
        except BrokenExecutor:  # what has killed a worker must not run in this process
            raise
        except (OSError, RuntimeError):  # the system gives no processes
            results = (run(batch, self.max_stack) for batch in batches)
        with closing(results):
            for batch in results:
                yield from batch


def run(calls: list[Call], max_stack: int) -> list[Any]:
    """Run a batch of tasks, and take them out of the list."""
    return Scheduler(max_stack).run(calls)


def cut(calls: list[Call], n_workers: int) -> Iterator[list[Call]]:
    """Cut tasks into batches for so many workers, large ones first, so that all end together.

    A batch is a worker's share of half of what is left: guided self-scheduling, by Polychronopoulos
    and Kuck (IEEE Transactions on Computers C-36, 1987).
    """
    least = min(LEAST, math.ceil(len(calls) / n_workers)) if n_workers > 1 else len(calls)
    while calls:
        size = max(least, math.ceil(len(calls) / (2 * n_workers)))
        yield calls[:size]
        calls = calls[size:]


joblib.register_parallel_backend("stacked", StackedBackend)
