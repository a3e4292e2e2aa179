"""The joblib backend "stacked": networks that are fitted at the same time train as one stack.

joblib hands a backend tasks to run, say the fits of a grid search. Here each task runs in a thread
of its own, one after the other, until it has a network to train: then it waits, and the next task
runs. When all of them wait or have ended, their networks are trained in stacks, in this process or,
if that takes long, in as many as there are cores, and the tasks go on where they were. Neither who
calls joblib nor what the tasks call has to know.

:class:`StackedBackend` is what joblib sees. The tasks of a call, and those of the calls nested in
it, share one :class:`Meeting`, which decides who may run. A fit takes part by
:func:`train_together`.
"""

import heapq
import math
import os
import tempfile
import threading
import time
import traceback
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from multiprocessing import parent_process
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import joblib
import numpy as np
from joblib.parallel import ParallelBackendBase
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_scratch.network.propagation import n_weights
from sknn_scratch.training.loop import Epoch, TrainingJob, TrainingResult, train
from sknn_scratch.training.stopping import NoImprovement

#: Tasks that may be under way at once, if nothing else is said.
MAX_STACK = 1024

#: Bytes of training data of the tasks under way, if nothing else is said.
MEMORY = 1 << 28

#: Bytes that one update of a stack may work on, to stay in the cache of a core.
CACHE = 1 << 22

#: Seconds of training from which on it is shared among processes. To start those takes about one.
WORTH_PROCESSES = 4.0

#: Seconds after which a running task no longer keeps others from running beside it.
HASTE = 0.1

#: Seconds without any news after which those who wait do so no longer: they are trained without
#: the others, and who has been trained runs on. So tasks that wait for each other come to an end.
PATIENCE = 1.0

#: Seconds that tasks get to come to their end after a call has ended early.
GRACE = 5.0


class Cancelled(BaseException):
    """Nobody wants the result of a task any more: the call it belongs to has ended early."""


class Crew:
    """The tasks of one call of joblib.Parallel."""

    def __init__(self, meeting: "Meeting", parent: "Crew | None"):
        self.meeting, self.parent = meeting, parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.ended_early = False

    def is_cancelled(self) -> bool:
        """Whether this call, or one that it is nested in, has ended early."""
        return self.ended_early or (self.parent is not None and self.parent.is_cancelled())


class Outcome(Future):
    """Result of a task, to come."""

    get = Future.result  # what joblib before 1.3 asks for it by


class Failure(NamedTuple):
    """What became of a task whose training has raised."""

    error: BaseException
    traceback: TracebackType | None


class Task:
    """A function to call, and where its thread stands."""

    def __init__(self, call: Callable[[], Any], crew: Crew):
        self.call, self.crew = call, crew
        self.outcome = Outcome()
        self.thread: threading.Thread | None = None
        self.turn = threading.Event()
        self.job: TrainingJob
        self.stack: list[Task] | None = None
        """The stack that its thread is to train."""
        self.trained: TrainingResult | Failure

    def go_on(self) -> None:
        """Let its thread run."""
        if self.thread is not None:
            self.turn.set()
            return
        self.thread = threading.Thread(target=self._run, name="stacked-task", daemon=True)
        self.crew.meeting.keep(self.thread)
        self.thread.start()

    def _run(self) -> None:
        _here.task = self
        try:
            if self.crew.is_cancelled():
                raise Cancelled
            result = self.call()
        except BaseException as error:
            # joblib does not keep the traceback of what it raises again.
            error.add_note("In the task:\n" + "".join(traceback.format_tb(error.__traceback__)))
            self.outcome.set_exception(error.with_traceback(None))
        else:
            self.outcome.set_result(result)
        self.crew.meeting.pause(self)

    def take_home(self) -> TrainingResult:
        """Return what has been trained, or raise what has been raised instead."""
        trained = self.trained
        del self.job, self.trained
        if isinstance(trained, Failure):
            raise trained.error.with_traceback(trained.traceback)
        if self.crew.is_cancelled():
            raise Cancelled
        return trained


class Meeting:
    """Where tasks run, wait for each other and are trained together.

    A task *runs*, until it ends or has a network to train: then it *waits*. When nobody runs any
    more, and nobody is left who could begin, those who wait are *trained*, in stacks that fit into
    the cache: one after the other, since threads that take turns at calling NumPy hold each other
    up; or in ``cores`` processes. Then they stand in *line* to run on.

    One task runs at a time, and none while a stack is trained here. At most one thread can execute
    Python anyway, and scikit-learn sets the filters of warnings, which belong to the process, at
    the beginning of each task. Beside a task that takes long, others run, up to ``cores`` in all.
    The lock guards all of that.
    """

    def __init__(self, cores: int, max_stack: int | None):
        self.cores, self.max_stack = cores, max_stack
        self.lock = threading.Lock()
        self.queue: list[tuple[int, int, Task]] = []
        """Heap of tasks that have not begun, those of inner calls first."""
        self.numbers = count()
        self.threads: list[threading.Thread] = []
        self.running: dict[Task, float] = {}
        """Tasks that run, and since when."""
        self.waiting: list[Task] = []
        self.stacks: deque[list[Task]] = deque()
        """What is yet to be trained of those who have met."""
        self.training = False
        """Whether a stack is being trained here."""
        self.away: list[list[Task]] = []
        """Stacks that are being trained in processes."""
        self.wanted: Path | None = None
        """A file that is there as long as anybody wants what is trained in processes."""
        self.line: deque[Task] = deque()
        self.under_way = 0
        """Tasks that have begun and not ended, but for those that wait for an inner call."""
        self.largest = 1
        """Bytes of training data of the largest job so far."""
        self.dispatching: set[Crew] = set()
        """Calls that may hand in more tasks at once."""
        self.news = time.monotonic()
        self.closed = threading.Event()
        self.clock = threading.Thread(target=self._watch_time, name="stacked-clock", daemon=True)
        self.clock.start()

    # ------------------------------------------------------------ what happens

    def submit(self, task: Task) -> None:
        """Take a task to run."""
        with self.lock:
            heapq.heappush(self.queue, (-task.crew.depth, next(self.numbers), task))
            self._advance()

    def pause(self, task: Task) -> None:
        """Note that a task does not run any more: it has ended, or waits for an inner call."""
        with self.lock:
            self.running.pop(task, None)
            self.under_way -= 1
            self._advance()

    def resume(self, task: Task) -> None:
        """Note that a task whose inner call has ended runs on."""
        with self.lock:
            self.running[task] = time.monotonic()
            self.under_way += 1

    def train(self, task: Task, job: TrainingJob) -> TrainingResult:
        """Wait until the job has been trained."""
        with self.lock:
            if task.crew.is_cancelled():
                raise Cancelled
            task.job = job
            self.largest = max(self.largest, job.X.data.nbytes + job.Y.nbytes)
            self.running.pop(task, None)
            self.waiting.append(task)
            self._advance()
        while True:
            task.turn.wait()
            task.turn.clear()
            if task.stack is None:
                break
            self._train_stack(task.stack)
            task.stack = None
        return task.take_home()

    def _train_stack(self, stack: list[Task]) -> None:
        """Train a stack in this thread."""
        trained = train_shielded(
            [task.job for task in stack], [task.crew.is_cancelled for task in stack]
        )
        with self.lock:
            self.training = False
            self._line_up(stack, trained)
            self._advance()

    def _train_away(self) -> None:
        """Train stacks in processes."""
        try:
            returned = joblib.Parallel(n_jobs=self.cores, backend="loky", batch_size=1)(
                joblib.delayed(train_in_process)([task.job for task in stack], self.wanted)
                for stack in self.away
            )
        except BaseException:
            # Of a scorer that cannot be sent, say. What is then wrong here as well, is raised here.
            with self.lock:
                self.stacks.extend(self.away)
                self.away = []
                self._advance()
            return
        with self.lock:
            for stack, (trained, changes) in zip(self.away, returned, strict=True):
                for task, change in zip(stack, changes, strict=True):
                    change.hand_over(task.job)
                self._line_up(stack, trained)
            self.away = []
            self._advance()

    def _line_up(self, stack: Sequence[Task], trained: Sequence[TrainingResult | Failure]) -> None:
        for task, result in zip(stack, trained, strict=True):
            task.trained = result
            self.line.append(task)

    def dispatched(self, crew: Crew) -> None:
        """Note that a call has handed in all tasks that it does before it waits for a result."""
        with self.lock:
            self.dispatching.discard(crew)
            self._advance()

    def cancel(self, crew: Crew) -> None:
        """End a call early: nobody runs on for it, and nobody else is held up."""

        def unwanted(task: Task) -> bool:
            return task.crew.is_cancelled()

        with self.lock:
            crew.ended_early = True
            if crew.parent is None and self.wanted is not None:
                self.wanted.unlink(missing_ok=True)
            unbegun = [task for *_, task in self.queue if unwanted(task)]
            self.queue = [entry for entry in self.queue if not unwanted(entry[-1])]
            heapq.heapify(self.queue)
            for tasks in (self.waiting, self.line, *self.stacks):
                for task in filter(unwanted, list(tasks)):
                    tasks.remove(task)
                    task.trained = Failure(Cancelled(), None)
                    self.running[task] = time.monotonic()
                    task.go_on()
            self.stacks = deque(stack for stack in self.stacks if stack)
            self._advance()
        for task in unbegun:
            task.outcome.set_exception(Cancelled())

    def keep(self, thread: threading.Thread) -> None:
        """Keep a thread that is about to start, to wait for its end later."""
        if len(self.threads) > 4 * MAX_STACK:
            self.threads = [thread for thread in self.threads if thread.is_alive()]
        self.threads.append(thread)

    def close(self, *, cancelled: bool) -> None:
        """Wait for the threads to end. Those that have been cancelled get a limited time."""
        deadline = time.monotonic() + GRACE
        for thread in self.threads:
            if thread.ident is not None:  # if an interrupt has not come before it was started
                thread.join(max(0.0, deadline - time.monotonic()) if cancelled else None)
        self.closed.set()
        self.clock.join()
        if self.wanted is not None:
            self.wanted.unlink(missing_ok=True)

    # ------------------------------------------------------------ who is next

    def _watch_time(self) -> None:
        while not self.closed.wait(HASTE):
            with self.lock:
                self._advance(news=False)

    def _advance(self, *, news: bool = True) -> None:
        """Let go on whoever can, with the lock: something has changed, or time has passed."""
        now = time.monotonic()
        if news:
            self.news = now
        impatient = now - self.news > PATIENCE
        while task := self._next(now, impatient):
            self.running[task] = now
            try:
                task.go_on()
            except RuntimeError:  # the system gives no more threads
                self._put_back(task)
                if not self.under_way:
                    raise
        all_are_here = not self.running and not self.dispatching
        busy = self.training or self.stacks or self.away
        if self.waiting and (all_are_here or impatient) and not busy:
            self._form_stacks()
        if self.stacks and not self.training and (impatient or not self.running):
            leader, *_ = stack = self.stacks.popleft()
            self.training = True
            leader.stack = stack
            leader.go_on()

    def _form_stacks(self) -> None:
        """Put those who wait into stacks, to be trained here or in processes."""
        # What watches training has to be called in this process.
        away = [task for task in self.waiting if not task.job.watchers]
        worth = sum(seconds(task.job) for task in away) > WORTH_PROCESSES
        if not (worth and len(away) > 1 and self.cores > 1 and parent_process() is None):
            away = []
        chosen = set(away)
        self.stacks.extend(stacks_of([task for task in self.waiting if task not in chosen]))
        self.waiting = []
        if away:
            self.away = stacks_of(away, self.cores)
            if self.wanted is None:
                handle, name = tempfile.mkstemp(prefix="stacked-")
                os.close(handle)
                self.wanted = Path(name)
            # A thread of its own, so that joblib does not take this for a call within a call.
            thread = threading.Thread(
                target=self._train_away, name="stacked-processes", daemon=True
            )
            self.keep(thread)
            thread.start()

    def _next(self, now: float, impatient: bool) -> Task | None:
        """Take out who is to run next: who has been trained, or else who has not begun."""
        room = not (self.training or self.stacks) and len(self.running) < self.cores
        room = room and all(now - since > HASTE for since in self.running.values())
        if self.line and (room or impatient):
            return self.line.popleft()
        if not (room and self.queue) or self.under_way >= self._width():
            return None
        self.under_way += 1
        return heapq.heappop(self.queue)[-1]

    def _put_back(self, task: Task) -> None:
        """Leave a task for later, and make do with the threads that there are."""
        del self.running[task]
        self.under_way -= 1
        task.thread = None
        self.threads.pop()
        heapq.heappush(self.queue, (-task.crew.depth, next(self.numbers), task))
        self.max_stack = self.under_way

    def _width(self) -> int:
        """How many tasks may be under way."""
        if self.max_stack is not None:
            return self.max_stack
        return max(self.cores, min(MAX_STACK, MEMORY // self.largest))


def train_shielded(
    jobs: Sequence[TrainingJob], are_unwanted: Sequence[Callable[[], bool]]
) -> list[TrainingResult | Failure]:
    """Train jobs as one stack, which those leave that raise something or that nobody wants.

    So they neither hold up nor harm the others.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    are_unwanted : sequence of callable
        For each job, a function that tells after each epoch whether nobody wants it any more.
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

    for k, job in enumerate(jobs):
        job.watchers = [*(shielded(k, watch, True) for watch in job.watchers), over(k)]
        if job.validate is not None:
            job.validate = shielded(k, job.validate, (math.nan, math.nan))
    try:
        trained: list[TrainingResult | Failure] = [*train(jobs)]
    except BaseException as error:
        return [Failure(error, error.__traceback__)] * len(jobs)
    for k, raised in errors.items():
        trained[k] = Failure(raised, raised.__traceback__)
    return trained


class Change(NamedTuple):
    """What training has changed in a job, apart from the result."""

    stopping: NoImprovement | None
    rng: np.random.RandomState
    dropout_rng: np.random.RandomState | None

    def hand_over(self, job: TrainingJob) -> None:
        """Change another job, the original, in the same way."""
        job.stopping = self.stopping
        for source, copy in ((job.rng, self.rng), (job.dropout_rng, self.dropout_rng)):
            if source is not None and copy is not None:
                source.set_state(copy.get_state())


def train_in_process(
    jobs: Sequence[TrainingJob], wanted: Path
) -> tuple[list[TrainingResult | Failure], list[Change]]:
    """Train jobs that have come from another process, as long as it lives and a file is there."""
    parent = os.getppid()

    def unwanted() -> bool:
        return os.getppid() != parent or not wanted.exists()

    trained = train_shielded(jobs, [unwanted] * len(jobs))
    # A traceback cannot be sent back.
    sent = [Failure(each.error, None) if isinstance(each, Failure) else each for each in trained]
    return sent, [Change(job.stopping, job.rng, job.dropout_rng) for job in jobs]


def stacks_of(tasks: Sequence[Task], least: int = 1) -> list[list[Task]]:
    """Put tasks into stacks of networks that can be trained as one; those with most work first.

    Networks that could share one stack are put into at least so many, if there are enough of them.
    """
    groups: dict[object, list[Task]] = defaultdict(list)
    stacks: list[list[Task]] = []
    for task in tasks:
        if issparse(task.job.X):
            stacks.append([task])
        else:
            groups[task.job.stack_key()].append(task)
    for group in groups.values():
        share_arrays([task.job for task in group])
        streams: dict[object, list[Task]] = defaultdict(list)
        for task in group:
            streams[task.job.stream_key()].append(task)
        n = max(least, math.ceil(len(group) * working_set(group[0].job) / CACHE))
        n = min(len(group), n)
        most = math.ceil(len(group) / n)
        cuts = [
            stream[i : i + most] for stream in streams.values() for i in range(0, len(stream), most)
        ]
        parts: list[list[Task]] = [[] for _ in range(n)]
        for cut in sorted(cuts, key=len, reverse=True):
            min(parts, key=len).extend(cut)
        stacks += filter(None, parts)
    return sorted(stacks, key=work, reverse=True)


def share_arrays(jobs: Sequence[TrainingJob]) -> None:
    """Let jobs whose arrays hold the same numbers refer to the same arrays.

    The fits of a search on the same fold each come with copies of their own.
    """
    known: dict[tuple[object, ...], list[NDArray]] = defaultdict(list)

    def first_alike(array: NDArray) -> NDArray:
        # What differs in the first row need not be compared to the end.
        alike = known[array.shape, array.dtype, array[0].tobytes()]
        for other in alike:
            if other is array or np.array_equal(other, array):
                return other
        alike.append(array)
        return array

    for job in jobs:
        job.X, job.Y = first_alike(job.X), first_alike(job.Y)
        if job.sample_weight is not None:
            job.sample_weight = first_alike(job.sample_weight)


def working_set(job: TrainingJob) -> int:
    """Bytes that an update of its network reads and writes, about."""
    n_inputs, *hidden, n_outputs = job.sizes
    per_row = n_inputs + 2 * sum(hidden) + 6 * n_outputs
    return (job.batch_size * per_row + 5 * job.theta.size) * job.theta.itemsize


def seconds(job: TrainingJob) -> float:
    """How long a network takes to train in a stack, about: it depends on the machine."""
    n = len(job.Y)
    updates = math.ceil(n / job.batch_size)
    multiplications = 3 * n * n_weights(job.sizes)
    return job.max_iter * (4e-6 * updates + 1e-10 * multiplications)


def work(stack: Sequence[Task]) -> float:
    """How long a stack takes to train, about, in seconds."""
    return sum(seconds(task.job) for task in stack)


# ---------------------------------------------------------------- what joblib and the fits see

_here = threading.local()


def train_together(job: TrainingJob) -> TrainingResult:
    """Train a job: with those of other tasks if this thread runs a task, else at once."""
    task: Task | None = getattr(_here, "task", None)
    if task is not None:
        return task.crew.meeting.train(task, job)
    (result,) = train([job])
    return result


def _checked(max_stack: Any) -> Any:
    """Return max_stack if it is what it may be."""
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
    """

    default_n_jobs = -1
    supports_retrieve_callback = True
    supports_timeout = True
    supports_sharedmem = True
    uses_threads = True

    def __init__(
        self, nesting_level: int | None = None, max_stack: int | None = None, **settings: Any
    ):
        super().__init__(nesting_level=nesting_level, **settings)
        self.max_stack = _checked(max_stack)
        self.n_jobs = -1
        self.lock = threading.Lock()
        self.users = 0
        """How many calls of this backend are under way: none, or one and then it has a crew."""
        self.crew: Crew

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Tell how many tasks can be under way at once."""
        if n_jobs == 0:
            raise ValueError("n_jobs must not be 0. Allowed are None, 1, -1 and so on.")
        return 1 if n_jobs == 1 else self.max_stack or MAX_STACK

    def configure(
        self,
        n_jobs: int = -1,
        parallel: Any = None,
        max_stack: int | None = None,
        **settings: Any,
    ) -> int:
        """Take the settings of a call; tell how many tasks can be under way at once."""
        self.n_jobs = n_jobs
        self.max_stack = _checked(max_stack) or self.max_stack
        return super().configure(n_jobs, parallel, **settings)

    def _cores(self) -> int:
        cores: int = joblib.cpu_count()
        n_jobs = -1 if self.n_jobs is None else self.n_jobs
        return min(cores, n_jobs) if n_jobs > 0 else max(1, cores + 1 + n_jobs)

    def start_call(self) -> None:
        """Begin a call: a meeting of its own, or part of that of the task which makes the call."""
        with self.lock:
            if self.users == 0:
                task: Task | None = getattr(_here, "task", None)
                if task is not None:
                    self.crew = Crew(task.crew.meeting, task.crew)
                else:
                    self.crew = Crew(Meeting(self._cores(), self.max_stack), None)
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
    ) -> Outcome:
        """Take a task to run."""
        task = Task(func, self.crew)
        if callback is not None:
            task.outcome.add_done_callback(callback)
        self.crew.meeting.submit(task)
        return task.outcome

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, outcome: Outcome) -> Any:
        """Return what a task has returned, or raise what it has raised."""
        return outcome.result()

    @contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Context in which a call waits for the results of its tasks."""
        crew, task = self.crew, getattr(_here, "task", None)
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
        return StackedBackend(nesting_level=self.nesting_level + 1, max_stack=self.max_stack), None


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
