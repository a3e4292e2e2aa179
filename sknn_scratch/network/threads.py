"""Threads: BLAS keeps to one, and large work is cut into blocks that a few threads take.

BLAS splits a product over all cores and waits until the last is done. For small products that costs
more than it gains, and far more where other programs use the cores as well. So products keep to one
thread. What is worth it is cut into blocks instead, by its size alone, and whoever has time takes
the next block: the thread that cut it, and helpers that the process keeps for that. How many there
are, and who takes what, makes no difference to the result.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from queue import SimpleQueue
from threading import Lock, RLock, Thread, get_ident
from typing import Any, Self

import joblib
import numpy as np
from threadpoolctl import ThreadpoolController

from sknn_scratch.network.arrays import SHORT

#: Multiplications in a product up to which BLAS uses one thread of its own accord. OpenBLAS begins
#: to share products of matrices at 2**18, of a vector and a matrix at 9,216, of vectors at 10,000.
NEVER_SHARED = 1 << 13


class _OneThread:
    """Limit BLAS to one thread as long as there are limits that have begun.

    With most libraries the number of threads belongs to the process, not to the thread of Python
    that sets it. So the first limit to begin sets it, and the last to end puts it back. With
    others, such as MKL, it belongs to the thread, and each sets its own.

    Attributes
    ----------
    n_threads : int
        Threads that BLAS would use if it were not limited.
    """

    def __init__(self) -> None:
        # A limit that is deleted ends, and that may be at any time, also where the lock is held.
        self.lock, self.n_threads = RLock(), 1
        self.within: dict[int, int] = {}
        """The thread of each limit that has begun, by the limit's id."""
        self.libraries = ThreadpoolController().select(user_api="blas").lib_controllers
        self.shared = [library for library in self.libraries if not _is_of_thread(library)]
        self.own = [library for library in self.libraries if _is_of_thread(library)]
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(
                before=self.lock.acquire,
                after_in_parent=self.lock.release,
                after_in_child=self._forked,
            )

    def _forked(self) -> None:
        """In a child process, forget the threads that did not come along."""
        there = bool(self.within)
        self.within = {key: ident for key, ident in self.within.items() if ident == get_ident()}
        if there and not self.within:
            _set_threads(self.shared, self.before)
        self.lock.release()

    def begin(self, limit: int) -> None:
        """Begin a limit; if an interrupt gets in between, :meth:`end` makes up for it."""
        with self.lock:
            if not self.within:
                found = [library.num_threads for library in self.libraries]
                self.n_threads = max(found) if found else joblib.cpu_count()
                self.before = [library.num_threads for library in self.shared]
            self.within[limit] = get_ident()
            if len(self.within) == 1:
                _set_threads(self.shared, [1] * len(self.shared))

    def end(self, limit: int) -> None:
        """End a limit, unless it has ended, or has not begun."""
        with self.lock:
            if self.within.keys() == {limit}:
                _set_threads(self.shared, self.before)
            self.within.pop(limit, None)


class _Limit:
    """Context in which BLAS uses one thread.

    Python may let an interrupt in as the first thing of ``__exit__``. So that the limit does not
    outlast its block then, it also ends when the context is deleted.
    """

    has_begun = False

    def __init__(self, blas: _OneThread):
        self.blas, self.before = blas, [library.num_threads for library in blas.own]

    def __enter__(self) -> Self:
        self.has_begun = True
        self.blas.begin(id(self))
        _set_threads(self.blas.own, [1] * len(self.before))
        return self

    def __exit__(self, *exception: object) -> None:
        _set_threads(self.blas.own, self.before)
        self.blas.end(id(self))
        self.has_begun = False

    def __del__(self) -> None:
        if self.has_begun:
            self.blas.end(id(self))


def _is_of_thread(library: Any) -> bool:
    """Tell whether the number of threads belongs to the thread of Python that sets it."""
    api, layer = library.internal_api, getattr(library, "threading_layer", None)
    return api == "mkl" or (api, layer) == ("openblas", "openmp")


def _set_threads(libraries: Sequence[Any], numbers: Sequence[int]) -> None:
    for library, n in zip(libraries, numbers, strict=True):
        # From threadpoolctl 3.8 on, the first thread to set OpenBLAS keeps all others from it until
        # it gives that up. Here one sets it for all, and another may put it back.
        give_up = getattr(library, "clear_controlling_thread", lambda *, force: None)
        give_up(force=True)
        library.set_num_threads(n)
        give_up(force=True)


@cache
def _one_thread() -> _OneThread:
    return _OneThread()


def one_thread_for(multiplications: int) -> AbstractContextManager[object]:
    """Make a context in which BLAS uses one thread.

    Parameters
    ----------
    multiplications : int
        Multiplications of numbers in the largest product of matrices. If they are so few that BLAS
        keeps to one thread anyway, nothing is done, which takes no time.
    """
    return nullcontext() if multiplications <= NEVER_SHARED else _Limit(_one_thread())


class _Call:
    """Blocks to be worked on by whoever has time.

    Parameters
    ----------
    work : callable
        Takes the number of a block.
    n : int
        Blocks.
    """

    def __init__(self, work: Callable[[int], object], n: int):
        self.work, self.left = work, deque(range(n))
        self.lock, self.closed = Lock(), False
        self.came = self.gone = 0
        """Helpers that have come, and those of them that have gone."""
        self.news: SimpleQueue[None] = SimpleQueue()
        self.errors: list[BaseException] = []

    def work_on(self) -> None:
        """Work on blocks until none is left."""
        while self.left:
            try:
                i = self.left.popleft()
            except IndexError:  # another was faster
                return
            self.work(i)

    def help(self) -> None:
        """Work on blocks in the thread of a helper, unless the call has been closed."""
        with self.lock:
            if self.closed:
                return
            self.came += 1
        try:
            self.work_on()
        except BaseException as error:
            self.errors.append(error)
            self.left.clear()
        with self.lock:
            self.gone += 1
        self.news.put(None)

    def close(self) -> None:
        """Let no helper come any more, and wait until all have gone."""
        self.left.clear()
        with self.lock:
            self.closed = True
        while self.gone < self.came:
            self.news.get()


class _Helpers:
    """Threads of the process that help with blocks. They sleep while there are none."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.calls: SimpleQueue[_Call] = SimpleQueue()
        self.n = 0

    def invite(self, call: _Call, n: int) -> None:
        """Ask n helpers to a call; start those that are missing, as far as the system lets us."""
        with self.lock:
            while self.n < n:
                # A daemon: it ends with the process, whatever it waits for.
                thread = Thread(target=self._serve, name="sknn_scratch-helper", daemon=True)
                try:
                    thread.start()
                except (RuntimeError, MemoryError):  # the system gives no more threads
                    break
                self.n += 1
            n = min(n, self.n)
        for _ in range(n):
            self.calls.put(call)

    def _serve(self) -> None:
        # What the callers have set for their threads.
        np.seterr(over="ignore", invalid="ignore")
        np.setbufsize(SHORT)
        own = _one_thread().own
        _set_threads(own, [1] * len(own))
        while True:
            self.calls.get().help()


_helpers = _Helpers()


def _without_helpers() -> None:
    """Forget the helpers, which did not come along into a child process."""
    global _helpers
    _helpers = _Helpers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_without_helpers)


def in_blocks(work: Callable[[int], object], n: int) -> None:
    """Call ``work(0)`` to ``work(n - 1)``, each once, in as many threads as BLAS would use.

    To be called where :func:`one_thread_for` limits BLAS. Blocks are taken in this order, and must
    not depend on each other. A block may be cut into blocks itself, and any number of threads may
    call this at once: who calls works too, and so waits for nobody who has not begun.

    Raises
    ------
    BaseException
        What a block raises; those that nobody has begun are left out then. When this function
        returns or raises, nobody works on any block.
    """
    helpers = min(n, _one_thread().n_threads) - 1
    if helpers < 1:
        for i in range(n):
            work(i)
        return
    call = _Call(work, n)
    try:
        _helpers.invite(call, helpers)
        call.work_on()
    finally:
        _close_for_sure(call)
    if call.errors:
        raise call.errors[0]


def _close_for_sure(call: _Call) -> None:
    """Close a call, and only then let an interrupt through."""
    try:
        call.close()
    except BaseException:
        _close_for_sure(call)
        raise
