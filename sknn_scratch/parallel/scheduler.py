"""Tasks that take turns in one process, and whose networks are trained together.

A task is a call in a thread, which at its end takes another. One runs at a time, until it stops:
when it has a network to train, when it waits for its children, or at its end. When no more can run,
the networks are trained in stacks, in the thread of the scheduler, and their tasks can run on.
"""

import queue
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import copy_context
from typing import Any

from sknn_scratch.parallel.sharing import MOST, Sharing, bytes_of
from sknn_scratch.training.grouping import gains_in_a_stack, stacks_of
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.shielded import Failure, train_shielded
from sknn_scratch.training.trainer import trained_by

#: Most bytes of the rows of the tasks whose networks wait, if there are several; 32 MiB with what
#: is kept for the next ones.
MEMORY = (1 << 25) - MOST

#: Seconds until others run beside a task, as it may need a lock that one which has stopped holds.
PATIENCE = 5.0

Call = Callable[[], Any]


class Cancelled(BaseException):
    """Raised in a task whose result nobody wants any more."""


class TaskThread(threading.Thread):
    """A thread that runs one task after the other, in memory that it takes once."""

    def __init__(self) -> None:
        super().__init__(name="stacked-task", daemon=True)
        self.turns: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        """Run the tasks that it is given, until it is given None."""
        while task := self.turns.get():
            task.context.run(task.run)
            del task  # and with it all that it holds


class Task:
    """A call in a thread, what has come of it, and the children that it waits for."""

    def __init__(self, scheduler: "Scheduler", parent: Any, *call: Call):
        self.scheduler, self.parent, self.calls = scheduler, parent, [*call]
        self.once = scheduler.sharing.once
        self.thread: TaskThread | None = None  # has one once it has begun
        self.context = copy_context()
        self.filters = warnings.filters
        self.networks: list[Any] = []  # jobs to train, and then what has come of them
        self.children: list[Task] = []
        self.pending: set[Task] = set()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make its call, forget it, and keep what comes of it."""
        try:
            with trained_by(self) if self.thread else nullcontext():
                self.result = self.calls.pop()()
        except BaseException as error:
            self.error = error
        self.scheduler.stopped.put(self)

    def train(self, jobs: Sequence[TrainingJob]) -> list[TrainingState]:
        """Wait until networks have been trained."""
        self.networks = [*jobs]
        self._stop()
        trained, self.networks = self.networks, []
        for failure in (each for each in trained if isinstance(each, Failure)):
            raise failure.error
        return trained

    def wait_for(self, calls: list[Call]) -> list[Any]:
        """Have children make these calls; return what they return, or raise the first error.

        The calls are taken out of the list, so that each can be forgotten when it has been made.
        """
        self.children = [Task(self.scheduler, self, call) for call in calls]
        self.pending = set(self.children)
        calls.clear()
        self._stop()
        error, self.error = self.error, None
        if error is not None:
            raise error
        return [child.result for child in self.children]

    def _stop(self) -> None:
        if self.thread is None:  # that of the scheduler
            self.scheduler.work_for(self)
        elif not self.scheduler.is_over:
            self.scheduler.stopped.put(self)
            self.thread.turns.get()
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
        self.idle: list[TaskThread] = []  # that have no task
        self.waiting: list[Task] = []  # those with a network to train
        self.sharing = Sharing()
        self.is_patient, self.is_over = True, False

    def run(self, calls: list[Call]) -> list[Any]:
        """Make calls, as :meth:`Task.wait_for` does."""
        with warnings.catch_warnings():
            self.filters = warnings.filters
            try:
                return Task(self, None).wait_for(calls)
            finally:
                self._end()

    def work_for(self, root: Task) -> None:
        """Run tasks until the children of the root are done."""
        self.ready.extend(root.children)
        while root.pending:
            if self.waiting and (not self.ready or not self.is_patient or self._is_full()):
                tasks, self.waiting = self.waiting, []
                self._train(tasks)
            elif self.ready:
                self._let_run(self.ready.popleft())
            else:
                self._wait()

    def _is_full(self) -> bool:
        held = bytes_of([task.networks for task in self.waiting])
        many = len(self.under_way) >= self.max_stack or held + held // len(self.waiting) > MEMORY
        return many and self.ready[0].thread is None

    def _let_run(self, task: Task) -> None:
        if task.thread is None and task not in task.parent.pending:  # one beside it has failed
            return
        self.running.add(task)
        self.under_way.add(task)
        warnings.filters = task.filters
        try:
            task.thread = task.thread or (self.idle.pop() if self.idle else TaskThread())
            task.thread.turns.put(task)
        except RuntimeError:  # the system gives no more threads: it runs in this one
            task.run()
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
        if task.networks and all(map(gains_in_a_stack, task.networks)):
            self.waiting.append(task)
        elif task.networks:
            self._train([task])
        elif task.pending:
            self.ready.extendleft(reversed(task.children))
        else:
            self.idle += [task.thread] if task.thread else []
            self.under_way.remove(task)
            if task in (parent := task.parent).pending:
                parent.pending.remove(task)
                if task.error is not None:
                    parent.error = task.error
                    parent.pending.clear()
                if not parent.pending and parent.parent is not None:
                    self.ready.appendleft(parent)

    def _train(self, tasks: Sequence[Task]) -> None:
        places = [(task, i) for task in tasks for i in range(len(task.networks))]
        jobs = [task.networks[i] for task, i in places]
        try:
            stacks = stacks_of(jobs)
        except MemoryError:
            stacks = [{k: job} for k, job in enumerate(jobs)]
        for stack in stacks:
            trained = train_shielded([*stack.values()])
            for (task, i), result in zip(map(places.__getitem__, stack), trained, strict=True):
                task.networks[i] = result
        self.ready.extendleft(reversed(tasks))

    def _end(self) -> None:
        self.is_over = True
        self.sharing.forget()
        threads = [*self.idle, *(task.thread for task in self.under_way if task.thread)]
        for thread in threads:
            thread.turns.put(None)  # for the task that it may be in
            thread.turns.put(None)
        for thread in threads:
            thread.join(PATIENCE)
