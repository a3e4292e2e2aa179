"""Faults at every point of a fit: an interrupt or an error at each line, no memory for any array.

``tests/test_faults.py`` tries some of the points; this tries all of them, which takes a core about
an hour, and counts what came of them::

    python tests/faults.py --jobs 2
"""

import argparse
import ctypes
import faulthandler
import linecache
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from inspect import CO_GENERATOR
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_info, threadpool_limits

import sknn_scratch
from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier, ScratchMLPRegressor

PACKAGE = str(Path(sknn_scratch.__file__).parent)

#: Functions of which Python drops what they raise, or scikit-learn takes it for a no.
DROPPED = {"__del__", "solver_is_stochastic"}

X = np.random.RandomState(0).normal(size=(40, 3))
LABELS = (X[:, 0] > 0).astype(int)
NUMBERS = X[:, 0] - X[:, 1] ** 2


class Story(NamedTuple):
    """A call that trains an estimator."""

    make: Callable[[], Any]
    call: Callable[[Any], object]


# Wide enough that BLAS is kept to one thread, which has to be given back.
SETTINGS = {"random_state": 0, "max_iter": 2}


def regressor(**settings: Any) -> ScratchMLPRegressor:
    return ScratchMLPRegressor((70,), **SETTINGS | settings)


def at_random(estimator: Any, X: Any, y: Any) -> float:
    """Score a network by its digits, so that each stalls at another epoch."""
    return float(np.sin(1e6 * estimator.predict_proba(X).sum(axis=0)[0]))


STORIES = {
    "classifier": Story(
        lambda: ScratchMLPClassifier((70, 30), early_stopping=True, batch_size=20, **SETTINGS),
        lambda clf: clf.fit(X, LABELS),
    ),
    "classifier, again": Story(
        lambda: ScratchMLPClassifier((70,), warm_start=True, **SETTINGS).fit(X, LABELS),
        lambda clf: clf.fit(X, LABELS),
    ),
    "regressor, lbfgs": Story(
        lambda: regressor(solver="lbfgs"), lambda reg: reg.fit(X, NUMBERS, np.linspace(1, 2, 40))
    ),
    "regressor, partial_fit": Story(
        lambda: regressor().fit(X, NUMBERS), lambda reg: reg.partial_fit(X, NUMBERS)
    ),
    "ensemble": Story(
        # One network ends before the others, which are laid out anew.
        lambda: ScratchMLPEnsembleClassifier(
            3, (70,), random_state=0, max_iter=20, early_stopping=True, scoring=at_random
        ),
        lambda clf: clf.fit(X, LABELS),
    ),
}


# ---------------------------------------------------------------- an error at a line


class AtLine:
    """Context that counts the lines of the package that run in this thread, and raises at one.

    Python lets an interrupt in between lines and when a function begins, but not where a block of
    ``with`` ends, whose line runs once more there: so these lines do not count. Nor do calls of
    generators, as up to Python 3.11 there also is one when one that was not used up is closed.

    Parameters
    ----------
    at : int, default=-1
        Number of the line to raise at; none if negative.
    error : type of BaseException
        What is raised.

    Attributes
    ----------
    lines : list of tuple
        File, line and event of each line that ran; empty where one raises.
    place : tuple of str and int or None
        File and line that raised.
    """

    def __init__(self, at: int = -1, error: type[BaseException] = KeyboardInterrupt):
        self.at, self.error, self.n = at, error, 0
        self.lines: list[tuple[str, int, str]] = []
        self.place: tuple[str, int] | None = None

    def __enter__(self):
        self.before = sys.gettrace()
        sys.settrace(self._begin)
        return self

    def __exit__(self, *exception: object) -> None:
        sys.settrace(self.before)

    def _begin(self, frame: FrameType, event: str, argument: object) -> Any:
        names = {f.f_code.co_name for f in (frame, frame.f_back) if f is not None}
        if not frame.f_code.co_filename.startswith(PACKAGE) or names & DROPPED:
            return None
        if not frame.f_code.co_flags & CO_GENERATOR:
            self._line(frame, event, argument)
        return self._line

    def _line(self, frame: FrameType, event: str, argument: object) -> Any:
        place = frame.f_code.co_filename, frame.f_lineno
        if event in ("call", "line") and not (
            event == "line" and linecache.getline(*place).lstrip().startswith("with ")
        ):
            self.n += 1
            if self.at < 0:
                self.lines.append((*place, event))
            elif self.n - 1 == self.at:
                self.place = place
                raise self.error("put in by a test")
        return self._line


def lines_of(story: Story) -> list[int]:
    """Numbers of the lines that a story runs: of each its first and its last run."""
    estimator = story.make()
    with AtLine() as counting:
        story.call(estimator)
    first, last = {}, {}
    for k, line in enumerate(counting.lines):
        first.setdefault(line, k)
        last[line] = k
    return sorted({*first.values(), *last.values()})


# ---------------------------------------------------------------- no memory for an array


def _from_numpy(index: int, result: Any, *arguments: Any) -> Any:
    """Return a function of NumPy's C interface, by its index there, which never changes."""
    try:
        from numpy._core import _multiarray_umath as core
    except ImportError:  # NumPy 1
        from numpy.core import _multiarray_umath as core

    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    table = ctypes.cast(pointer(core._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(result, *arguments)(table[index])


_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_MALLOC = ctypes.PYFUNCTYPE(_POINTER, _POINTER, _SIZE)
_TWO_SIZES = ctypes.PYFUNCTYPE(_POINTER, _POINTER, _SIZE, _SIZE)


class _Handler(ctypes.Structure):
    """PyDataMem_Handler: who allocates the memory of arrays (NEP 49)."""

    _fields_ = [
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        *((name, _POINTER) for name in ("context", "malloc", "calloc", "realloc", "free")),
    ]


class AtAllocation:
    """Context that counts how often NumPy allocates memory for an array, and refuses it once.

    There is one of it, as arrays that it has allocated remember it.
    """

    def __init__(self) -> None:
        new = ctypes.PYFUNCTYPE(ctypes.py_object, _POINTER, ctypes.c_char_p, _POINTER)(
            ("PyCapsule_New", ctypes.pythonapi)
        )
        pointer = ctypes.PYFUNCTYPE(_POINTER, ctypes.py_object, ctypes.c_char_p)(
            ("PyCapsule_GetPointer", ctypes.pythonapi)
        )
        self.set_handler = _from_numpy(304, ctypes.py_object, ctypes.py_object)
        usual = _Handler.from_address(pointer(_from_numpy(305, ctypes.py_object)(), b"mem_handler"))
        self.functions = [
            _MALLOC(self._or_none(_MALLOC(usual.malloc))),
            _TWO_SIZES(self._or_none(_TWO_SIZES(usual.calloc))),
            _TWO_SIZES(self._or_none(_TWO_SIZES(usual.realloc))),
        ]
        addresses = [ctypes.cast(function, _POINTER) for function in self.functions]
        self.handler = _Handler(b"failing", 1, usual.context, *addresses, usual.free)
        self.capsule = new(ctypes.addressof(self.handler), b"mem_handler", None)
        self.n, self.at = 0, -1

    def _or_none(self, allocate: Callable) -> Callable:
        def allocate_or_not(*arguments: Any) -> int | None:
            self.n += 1
            return None if self.n - 1 == self.at else allocate(*arguments)

        return allocate_or_not

    @contextmanager
    def __call__(self, at: int = -1) -> Iterator[None]:
        """Refuse one allocation, by its number; none if negative."""
        self.n, self.at = 0, at
        before = self.set_handler(self.capsule)
        try:
            yield
        finally:
            self.set_handler(before)


_at_allocation: list[AtAllocation] = []


def at_allocation() -> AtAllocation:
    """Return the one there is."""
    if not _at_allocation:
        _at_allocation.append(AtAllocation())
    return _at_allocation[0]


def allocations_of(story: Story) -> list[int]:
    """Numbers of the allocations of a story."""
    estimator, failing = story.make(), at_allocation()
    with failing():
        story.call(estimator)
    return list(range(failing.n))


# ---------------------------------------------------------------- what came of it


def around() -> dict[str, object]:
    """What a fit must leave as it was."""
    return {
        "threads of BLAS": [info["num_threads"] for info in threadpool_info()],
        "threads": threading.active_count(),
        "error state": np.geterr(),
        "filters of warnings": list(warnings.filters),
        "NumPy's own random numbers": np.random.get_state()[1].tobytes(),  # noqa: NPY002
    }


def contents(estimator: Any) -> dict[str, Any]:
    """Attributes of an estimator, lists by what is in them."""
    return {
        name: [id(value), *value] if isinstance(value, list) else id(value)
        for name, value in vars(estimator).items()
    }


def learnt(estimator: Any) -> tuple[NDArray, list[float], set[str]]:
    """What a fit has led to: predictions, losses and the names of attributes."""
    one = getattr(estimator, "networks_", [estimator])[-1]
    function = getattr(estimator, "predict_proba", estimator.predict)
    return function(X), list(one.loss_curve_), set(vars(estimator))


def has_learnt(estimator: Any, whole: tuple) -> bool:
    """Whether a fit has led to all that another has led to."""
    try:
        found = learnt(estimator)
    except (AttributeError, NotFittedError):
        return False
    return np.array_equal(found[0], whole[0]) and found[1:] == whole[1:]


def check(story: Story, fault: Any, error: type[BaseException], whole: tuple, again: bool) -> str:
    """Let a story run under a fault, and check what it leaves; return what came of it."""
    estimator = story.make()
    before, outside = contents(estimator), around()
    try:
        with fault:
            story.call(estimator)
    except error:
        came = "raised, as before"
        if contents(estimator) != before:
            assert has_learnt(estimator, whole), "it is neither as before nor fitted"
            came = "raised, fitted"
    else:
        assert error is KeyboardInterrupt, "an error was lost"
        networks = getattr(estimator, "networks_", [estimator])
        reasons = {getattr(one, "stop_reason_", "not fitted") for one in networks}
        # Networks of an ensemble without an epoch are left out.
        are_left_out = len(networks) < getattr(estimator, "n_networks", 1)
        assert "interrupted" in reasons or are_left_out, "an interrupt was lost"
        came = "returned what was learnt"
        assert np.isfinite(learnt(estimator)[0]).all()
    found = around()
    changed = [name for name in outside if found[name] != outside[name]]
    assert not changed, f"other than before: {', '.join(changed)}"
    if again and came == "raised, as before":
        story.call(estimator)
        assert has_learnt(estimator, whole), "the next fit is another"
    return came


@contextmanager
def watched(seconds: float) -> Iterator[None]:
    """End the process, with a traceback, if this takes so long: something hangs."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def try_all(name: str, kind: str, every: int = 1, offset: int = 0) -> Counter:
    """Try the points of a story, or each so many of them; count what came of it.

    Parameters
    ----------
    name : str
        Name of the story.
    kind : {"KeyboardInterrupt", "MemoryError", "allocation"}
        An error at a line, or no memory for an array.
    """
    story, found = STORIES[name], Counter()
    with warnings.catch_warnings(), threadpool_limits(2, "blas"):
        warnings.simplefilter("ignore")
        for _ in range(2):  # what is computed once in a process is computed now
            estimator = story.make()
            story.call(estimator)
        whole = learnt(estimator)
        points = (allocations_of if kind == "allocation" else lines_of)(story)
        error = KeyboardInterrupt if kind == "KeyboardInterrupt" else MemoryError
        for k in points[offset::every]:
            with watched(60):
                fault = at_allocation()(k) if kind == "allocation" else AtLine(k, error)
                try:
                    found[check(story, fault, error, whole, again=True)] += 1
                except AssertionError as wrong:
                    place = "" if kind == "allocation" else f", {fault.place}"
                    raise AssertionError(f"{name}, {kind} at {k}{place}: {wrong}") from wrong
    return found


def main() -> int:
    """Try all points; print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--every", type=int, default=1, help="only each so many of the points")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the points")
    parser.add_argument("--stories", nargs="+", choices=STORIES, default=list(STORIES))
    given = parser.parse_args()
    began, found, wrong = time.perf_counter(), dict[tuple[str, str], Counter](), 0
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as processes:
        shares = [
            (name, kind, processes.submit(try_all, name, kind, given.every * given.jobs, offset))
            for name in given.stories
            for kind in ("KeyboardInterrupt", "MemoryError", "allocation")
            for offset in range(0, given.every * given.jobs, given.every)
        ]
        for name, kind, share in shares:
            try:
                found.setdefault((name, kind), Counter()).update(share.result())
            except AssertionError as error:
                print(f"WRONG: {error}", flush=True)
                wrong += 1
    for (name, kind), counts in found.items():
        print(f"{name}, {kind}:", ", ".join(f"{n} {came}" for came, n in sorted(counts.items())))
    total = sum(sum(counts.values()) for counts in found.values())
    print(f"{total} faults, {time.perf_counter() - began:.0f} s")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main())
