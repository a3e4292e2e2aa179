"""Tasks that take turns in one process, and whose networks are trained together.

A task is a call in a thread of its own. One runs at a time, until it stops: when it has a network
to train, when it waits for its children, or at its end. When no more can run, the networks are
trained in stacks, in the thread of the scheduler, and their tasks can run on.
"""

import queue
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any

from sknn_scratch.training.grouping import gains_in_a_stack, stacks_of
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.shielded import Failure, train_shielded
from sknn_scratch.training.trainer import trained_by

#: Most bytes of training data of the networks that wait, if there are several.
MEMORY = 1 << 25

#: Seconds until others run beside a task, as it may need a lock that one which has stopped holds.
PATIENCE = 5.0

Call = Callable[[], Any]


class Cancelled(BaseException):
    """Raised in a task whose result nobody wants any more."""


class Task:
    """A call in a thread of its own, what has come of it, and the children that it waits for."""

    def __init__(self, scheduler: "Scheduler", parent: "Task | None", call: Call):
        self.scheduler, self.parent, self.call = scheduler, parent, call
        self.thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="stacked-task", daemon=True
        )
        self.turn = threading.Semaphore(0)
        self.filters = warnings.filters
        self.job: TrainingJob | None = None
        self.trained: Any = None
        self.children: list[Task] = []
        self.pending: set[Task] = set()
        self.result: Any = None
        self.error: BaseException | None = None

    def make_call(self) -> None:
        """Make its call, in whatever thread, and keep what comes of it."""
        try:
            self.result = self.call()
        except BaseException as error:
            self.error = error

    def _run(self) -> None:
        with trained_by(self):
            self.make_call()
        self.scheduler.stopped.put(self)

    def train(self, job: TrainingJob) -> TrainingState:
        """Wait until a network has been trained."""
        self.job = job
        self._stop()
        trained, self.trained = self.trained, None
        if isinstance(trained, Failure):
            raise trained.error
        return trained

    def have_children(self, calls: Sequence[Call]) -> "list[Task]":
        """Take on tasks that make these calls."""
        self.children = [Task(self.scheduler, self, call) for call in calls]
        self.pending = set(self.children)
        return self.children

    def wait_for(self, calls: Sequence[Call]) -> list[Any]:
        """Have children make these calls, and return what they return."""
        self.have_children(calls)
        self._stop()
        return self.results()

    def results(self) -> list[Any]:
        """Return what the children have returned, or raise what the first to fail has raised."""
        error, self.error = self.error, None
        if error is not None:
            raise error
        return [child.result for child in self.children]

    def _stop(self) -> None:
        if not self.scheduler.is_over:
            self.scheduler.stopped.put(self)
            self.turn.acquire()
        if self.scheduler.is_over:
            raise Cancelled


class Scheduler:
    """Runs tasks. They tell it by the queue ``stopped`` that they stop, and share nothing else."""

    def __init__(self, max_stack: int):
        self.max_stack = max_stack  # most tasks under way at once
        self.stopped: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self.ready: deque[Task] = deque()  # those that can run on, then those that have not begun
        self.running: set[Task] = set()
        self.under_way: set[Task] = set()  # those that run, and those that have stopped
        self.waiting: list[Task] = []  # those with a network to train
        self.held = 0
        self.is_patient, self.is_over = True, False

    def run(self, calls: Sequence[Call]) -> list[Any]:
        """Make calls, and return what they return, or raise what the first to fail has raised."""
        with warnings.catch_warnings():
            self.filters = warnings.filters
            root = Task(self, None, self._end)  # whose thread is this one
            self.ready.extend(root.have_children(calls))
            try:
                while root.pending:
                    self._advance()
            finally:
                self._end()
            return root.results()

    def _advance(self) -> None:
        if self.waiting and (not self.ready or not self.is_patient or self._is_full()):
            tasks, self.waiting, self.held = self.waiting, [], 0
            self._train(tasks)
        elif self.ready:
            self._let_run(self.ready.popleft())
        else:
            self._wait()

    def _is_full(self) -> bool:
        held = self.held + self.held // len(self.waiting)
        too_many = len(self.under_way) >= self.max_stack or held > MEMORY
        return too_many and self.ready[0].thread.ident is None

    def _let_run(self, task: Task) -> None:
        warnings.filters = task.filters
        try:
            if task.thread.ident is not None:  # it has begun
                task.turn.release()
            elif task.parent is not None and task in task.parent.pending:
                self.under_way.add(task)
                task.thread.start()
            else:  # one beside it has failed
                return
        except RuntimeError:  # the system gives no more threads: it runs in this one
            self.under_way.remove(task)
            task.make_call()
            self._count_out(task)
        else:
            self.running.add(task)
            self._wait()

    def _wait(self) -> None:
        """Wait for a task to stop; if others have stopped, only so long."""
        while True:
            try:
                task = self.stopped.get(timeout=PATIENCE)  # bounded, as an interrupt may get lost
                break
            except queue.Empty:
                if len(self.under_way) > len(self.running):
                    self.is_patient = False
                    return
        self.running.remove(task)
        task.filters, warnings.filters = warnings.filters, self.filters
        if task.job is not None and gains_in_a_stack(task.job):
            self.waiting.append(task)
            self.held += task.job.X.nbytes + task.job.Y.nbytes
        elif task.job is not None:
            self._train([task])
        elif task.pending:
            self.ready.extendleft(reversed(task.children))
        else:
            task.thread.join()
            self.under_way.remove(task)
            self._count_out(task)

    def _count_out(self, task: Task) -> None:
        parent = task.parent
        if parent is None or task not in parent.pending:
            return
        parent.pending.remove(task)
        if task.error is not None:
            parent.error = task.error
            parent.pending.clear()
        if not parent.pending and parent.parent is not None:
            self.ready.appendleft(parent)

    def _train(self, tasks: Sequence[Task]) -> None:
        jobs = [task.job for task in tasks if task.job is not None]
        try:
            stacks = stacks_of(jobs)
        except MemoryError:
            stacks = [{k: job} for k, job in enumerate(jobs)]
        for stack in stacks:
            for k, trained in zip(stack, train_shielded([*stack.values()]), strict=True):
                tasks[k].trained = trained
        for task in tasks:
            task.job = None
        self.ready.extendleft(reversed(tasks))

    def _end(self) -> None:
        self.is_over = True
        left = [task for task in self.under_way if task.thread.ident is not None]
        for task in left:
            task.turn.release()
        for task in left:
            task.thread.join(PATIENCE)
