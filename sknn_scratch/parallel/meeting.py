"""Where the tasks of a call run, wait for each other, and are trained together."""

import heapq
import os
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

import joblib

from sknn_scratch.parallel.shielded import Failure, Train, train_in_process, train_shielded
from sknn_scratch.training.grouping import CACHE, seconds, stacks_of
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.loop import train
from sknn_scratch.training.trainer import trained_by

#: Tasks that may be under way at once, if nothing else is said.
MAX_STACK = 1024


@dataclass(frozen=True)
class Limits:
    """What the tasks of a call may take before things are done another way.

    Parameters
    ----------
    max_stack : int or None
        Most tasks that are under way at once. None means 1,024, or fewer by ``memory``.
    memory : int
        Bytes of training data of the tasks under way.
    cache : int
        Bytes that one update of a stack may work on, to stay in the cache of a core.
    worth_processes : float
        Seconds of training from which on it is shared among processes. To start those takes about
        one.
    haste : float
        Seconds after which a running task no longer keeps others from running beside it.
    patience : float
        Seconds without any news after which those who wait do so no longer: they are trained
        without the others, and who has been trained runs on. So tasks that wait for each other
        come to an end.
    grace : float
        Seconds that tasks get to come to their end after a call has ended early.
    """

    max_stack: int | None = None
    memory: int = 1 << 28
    cache: int = CACHE
    worth_processes: float = 4.0
    haste: float = 0.1
    patience: float = 1.0
    grace: float = 5.0


#: The task that a thread runs, if it runs one.
here = threading.local()


class Cancelled(BaseException):
    """The result of a task is no longer needed: the call it belongs to has ended early."""


class Crew:
    """The tasks of one call of joblib.Parallel."""

    def __init__(self, meeting: "Meeting", parent: "Crew | None"):
        self.meeting, self.parent = meeting, parent
        self.depth: int = parent.depth + 1 if parent else 0
        self.ended_early = False

    def is_cancelled(self) -> bool:
        """Tell whether this call, or one that it is nested in, has ended early."""
        return self.ended_early or (self.parent is not None and self.parent.is_cancelled())


class Pending(Future):
    """Future result of a task."""

    get = Future.result  # what joblib before 1.3 asks for it by


class JoblibTask:
    """A function to call, and the state of the thread that calls it."""

    def __init__(self, call: Callable[[], Any], crew: Crew):
        self.call, self.crew = call, crew
        self.pending = Pending()
        self.thread: threading.Thread | None = None
        self.turn = threading.Event()
        self.job: TrainingJob
        self.stack: list[JoblibTask] | None = None
        """The stack that its thread shall train."""
        self.trained: TrainingState | Failure

    def go_on(self) -> None:
        """Let its thread run."""
        if self.thread is not None:
            self.turn.set()
            return
        self.thread = threading.Thread(target=self._run, name="stacked-task", daemon=True)
        self.crew.meeting.keep(self.thread)
        self.thread.start()

    def train(self, job: TrainingJob) -> TrainingState:
        """Wait until a job has been trained, with those of other tasks."""
        return self.crew.meeting.train(self, job)

    def _run(self) -> None:
        here.task = self
        try:
            if self.crew.is_cancelled():
                raise Cancelled
            with trained_by(self.train):
                result = self.call()
        except BaseException as error:
            # joblib does not keep the traceback of what it raises again.
            error.add_note("In the task:\n" + "".join(traceback.format_tb(error.__traceback__)))
            self.pending.set_exception(error.with_traceback(None))
        else:
            self.pending.set_result(result)
        self.crew.meeting.pause(self)

    def take_home(self) -> TrainingState:
        """Return the result of training, or raise its exception."""
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

    def __init__(self, cores: int, limits: Limits, train: Train = train):
        self.cores, self.limits, self.max_stack = cores, limits, limits.max_stack
        self.train_stack = train
        self.lock = threading.Lock()
        self.queue: list[tuple[int, int, JoblibTask]] = []
        """Heap of tasks that have not begun, those of inner calls first."""
        self.numbers = count()
        self.threads: list[threading.Thread] = []
        self.running: dict[JoblibTask, float] = {}
        """Tasks that run, and since when."""
        self.waiting: list[JoblibTask] = []
        self.stacks: deque[list[JoblibTask]] = deque()
        """Stacks that wait to be trained, of the tasks that have met."""
        self.training = False
        """Whether a stack is being trained here."""
        self.away: list[list[JoblibTask]] = []
        """Stacks that are being trained in processes."""
        self.wanted: Path | None = None
        """A file that exists as long as results from processes are needed."""
        self.line: deque[JoblibTask] = deque()
        self.under_way = 0
        """Tasks that have begun and not ended, except those that wait for an inner call."""
        self.largest = 1
        """Bytes of training data of the largest job so far."""
        self.dispatching: set[Crew] = set()
        """Calls that may submit more tasks."""
        self.untold: list[tuple[JoblibTask, BaseException]] = []
        """Tasks that have failed before they began, until joblib is told."""
        self.news = time.monotonic()
        self.closed = threading.Event()
        self.clock = threading.Thread(target=self._watch_time, name="stacked-clock", daemon=True)
        self.clock.start()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the lock; tell joblib afterwards of tasks that have failed before they began.

        joblib may hand in a task when it hears of another, and so must not find the lock taken.
        """
        with self.lock:
            yield
            told, self.untold = self.untold, []
        for task, error in told:
            task.pending.set_exception(error)

    # ------------------------------------------------------------ what happens

    def submit(self, task: JoblibTask) -> None:
        """Take a task to run."""
        with self._held():
            heapq.heappush(self.queue, (-task.crew.depth, next(self.numbers), task))
            self._advance()

    def pause(self, task: JoblibTask) -> None:
        """Note that a task no longer runs: it has ended, or waits for an inner call."""
        with self._held():
            self.running.pop(task, None)
            self.under_way -= 1
            self._advance()

    def resume(self, task: JoblibTask) -> None:
        """Note that a task whose inner call has ended runs on."""
        with self._held():
            self.running[task] = time.monotonic()
            self.under_way += 1

    def train(self, task: JoblibTask, job: TrainingJob) -> TrainingState:
        """Wait until the job has been trained."""
        with self._held():
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

    def _train_stack(self, stack: list[JoblibTask]) -> None:
        """Train a stack in this thread."""
        trained = train_shielded(
            [task.job for task in stack],
            [task.crew.is_cancelled for task in stack],
            self.train_stack,
        )
        with self._held():
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
            with self._held():
                self.stacks.extend(self.away)
                self.away = []
                self._advance()
            return
        with self._held():
            for stack, trained in zip(self.away, returned, strict=True):
                self._line_up(stack, trained)
            self.away = []
            self._advance()

    def _line_up(
        self, stack: Sequence[JoblibTask], trained: Sequence[TrainingState | Failure]
    ) -> None:
        for task, result in zip(stack, trained, strict=True):
            task.trained = result
            self.line.append(task)

    def dispatched(self, crew: Crew) -> None:
        """Note that a call has handed in all tasks that it does before it waits for a result."""
        with self._held():
            self.dispatching.discard(crew)
            self._advance()

    def cancel(self, crew: Crew) -> None:
        """End a call early: nobody runs on for it, and nobody else is held up."""

        def unwanted(task: JoblibTask) -> bool:
            return task.crew.is_cancelled()

        with self._held():
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
            task.pending.set_exception(Cancelled())

    def keep(self, thread: threading.Thread) -> None:
        """Keep a thread that is about to start, to wait for its end later."""
        if len(self.threads) > 4 * MAX_STACK:
            self.threads = [thread for thread in self.threads if thread.is_alive()]
        self.threads.append(thread)

    def close(self, *, cancelled: bool) -> None:
        """Wait for the threads to end. Those that have been cancelled get a limited time."""
        deadline = time.monotonic() + self.limits.grace
        for thread in self.threads:
            if thread.ident is not None:  # if an interrupt has not come before it was started
                thread.join(max(0.0, deadline - time.monotonic()) if cancelled else None)
        self.closed.set()
        self.clock.join()
        if self.wanted is not None:
            self.wanted.unlink(missing_ok=True)

    # ------------------------------------------------------------ who is next

    def _watch_time(self) -> None:
        while not self.closed.wait(self.limits.haste):
            with self._held():
                self._advance(news=False)

    def _advance(self, *, news: bool = True) -> None:
        """Let go on whoever can, with the lock: something has changed, or time has passed."""
        now = time.monotonic()
        if news:
            self.news = now
        try:
            self._let_go_on(now, now - self.news > self.limits.patience)
        except (
            BaseException
        ) as error:  # nobody else would hear of it, and those who wait would wait on
            self._fail(error)

    def _let_go_on(self, now: float, impatient: bool) -> None:
        while task := self._next(now, impatient):
            self.running[task] = now
            try:
                task.go_on()
            except (RuntimeError, MemoryError):  # the system gives no more threads
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

    def _fail(self, error: BaseException) -> None:
        """End all tasks with an error: those that wait raise it, and no other begins."""
        self.untold += [(task, error) for *_, task in self.queue]
        waiting = [*self.waiting, *(task for stack in self.stacks for task in stack)]
        self.queue, self.waiting, self.stacks = [], [], deque()
        for task in waiting:
            task.trained = Failure(error, error.__traceback__)
            self.running[task] = time.monotonic()
            task.go_on()

    def _form_stacks(self) -> None:
        """Put those who wait into stacks, to be trained here or in processes."""
        # What follows training has to be called in this process.
        away = [task for task in self.waiting if not task.job.callbacks]
        worth = sum(seconds(task.job) for task in away) > self.limits.worth_processes
        if not (worth and len(away) > 1 and self.cores > 1 and parent_process() is None):
            away = []
        chosen = set(away)
        to_stay = self._stacks_of([task for task in self.waiting if task not in chosen])
        to_go = self._stacks_of(away, self.cores)
        self.waiting = []
        self.stacks.extend(to_stay)
        if not to_go:
            return
        # A thread of its own, so that joblib does not take this for a call within a call.
        thread = threading.Thread(target=self._train_away, name="stacked-processes", daemon=True)
        self.away = to_go
        try:
            if self.wanted is None:
                handle, name = tempfile.mkstemp(prefix="stacked-")
                os.close(handle)
                self.wanted = Path(name)
            self.keep(thread)
            thread.start()
        except (OSError, RuntimeError, MemoryError):  # no folder to write to, or no more threads
            self.away = []
            self.stacks.extend(to_go)

    def _stacks_of(self, tasks: Sequence[JoblibTask], least: int = 1) -> list[list[JoblibTask]]:
        """Put tasks into stacks, and let those of a stack share the arrays that are equal."""
        stacks = stacks_of([task.job for task in tasks], least, self.limits.cache)
        for stack in stacks:
            for k, job in stack.items():
                tasks[k].job = job
        return [[tasks[k] for k in stack] for stack in stacks]

    def _next(self, now: float, impatient: bool) -> JoblibTask | None:
        """Take out who is to run next: who has been trained, or else who has not begun."""
        room = not (self.training or self.stacks) and len(self.running) < self.cores
        room = room and all(now - since > self.limits.haste for since in self.running.values())
        if self.line and (room or impatient):
            return self.line.popleft()
        if not (room and self.queue) or self.under_way >= self._width():
            return None
        self.under_way += 1
        return heapq.heappop(self.queue)[-1]

    def _put_back(self, task: JoblibTask) -> None:
        """Leave a task for later, and make do with the threads that there are."""
        del self.running[task]
        self.under_way -= 1
        task.thread = None
        self.threads.pop()
        heapq.heappush(self.queue, (-task.crew.depth, next(self.numbers), task))
        self.max_stack = self.under_way

    def _width(self) -> int:
        """Tell how many tasks may be under way."""
        if self.max_stack is not None:
            return self.max_stack
        return max(self.cores, min(MAX_STACK, self.limits.memory // self.largest))
