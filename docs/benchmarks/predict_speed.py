"""Time predict_proba of one network in this package and in scikit-learn, and weigh its memory.

Both estimators are fitted to the same network: 30 features, 100 hidden units, two classes, float64.
Their calls take turns. Memory is what a call has allocated at its peak, its result included.

Writes predict_speed.md. The page docs/benchmarks/index.md says how to read it.
"""

import argparse
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from fit_speed import (
    HERE,
    OURS,
    SKLEARN,
    THREADS,
    TITLES,
    Case,
    OtherPrograms,
    data,
    digits,
    head,
    names_among,
    our_estimator,
    positive,
    say,
    table,
    their_estimator,
    write,
)
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

CASE = Case("predict", 2000, 30, (100,), 2, 200, epochs=3)
ACTIVATIONS = ("logistic", "relu")
ROWS = (1, 1000, 1_000_000)

#: Seconds that calls are repeated for, to be timed together.
ENOUGH = 0.02

Predict = Callable[[NDArray], NDArray]


class Cost(NamedTuple):
    """What a call of predict_proba costs."""

    seconds: float
    bytes: int


def predictors(activation: str) -> dict[str, Predict]:
    """Return predict_proba of both estimators, fitted to the same network."""
    X, y = data(CASE, "float64")
    models = {
        OURS: our_estimator(CASE, CASE.epochs),
        SKLEARN: their_estimator(CASE, CASE.epochs),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = {
            name: model.set_params(activation=activation).fit(X, y).predict_proba
            for name, model in models.items()
        }
    check_same_probabilities(found, X)
    return found


def check_same_probabilities(predict: dict[str, Predict], X: NDArray) -> None:
    """Raise unless both estimators predict the same."""
    difference = np.abs(predict[OURS](X) - predict[SKLEARN](X)).max()
    if not difference < 1e-6:
        raise RuntimeError(f"Not the same network: probabilities differ by up to {difference}.")


def rows_like_data(n: int) -> NDArray:
    """Rows to predict, (n, n_features)."""
    return np.random.RandomState(1).normal(size=(n, CASE.features))


def timed(predict: Predict, X: NDArray, calls: int) -> float:
    """Seconds of one call, from so many."""
    began = time.perf_counter()
    for _ in range(calls):
        predict(X)
    return (time.perf_counter() - began) / calls


def peak(predict: Predict, X: NDArray) -> int:
    """Bytes that a call has allocated at its peak. NumPy reports its arrays to tracemalloc."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        predict(X)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def measure(predict: dict[str, Predict], X: NDArray, rounds: int) -> dict[str, Cost]:
    """Time calls in turns, and weigh one of each."""
    calls = {name: max(1, int(ENOUGH / timed(f, X, 1))) for name, f in predict.items()}
    seconds: dict[str, list[float]] = {name: [] for name in predict}
    names = list(predict)
    for i in range(rounds):
        for name in names if i % 2 else reversed(names):
            seconds[name].append(timed(predict[name], X, calls[name]))
    return {name: Cost(median(seconds[name]), peak(predict[name], X)) for name in names}


def limit(threads: str) -> AbstractContextManager[object]:
    """Context in which libraries use one thread, or as many as they do by default."""
    return threadpool_limits(1) if threads == "one" else nullcontext()


def row_of(n: int, activation: str, costs: dict[str, Cost]) -> list[str]:
    """Row of the table: milliseconds and megabytes, and ratios."""
    ours, theirs = costs[OURS], costs[SKLEARN]
    return [
        f"{n:,}",
        activation,
        digits(1e3 * ours.seconds),
        digits(1e3 * theirs.seconds),
        f"{theirs.seconds / ours.seconds:.2f}",
        digits(ours.bytes / 1e6),
        digits(theirs.bytes / 1e6),
        digits(theirs.bytes / ours.bytes),
    ]


def section(
    threads: str, activations: Sequence[str], sizes: Sequence[int], rounds: int
) -> list[str]:
    """Table of one thread setting."""
    header = ["rows", "hidden units", "ours, ms", "MLPClassifier, ms", "MLPClassifier / ours"]
    header += ["memory of ours, MB", "of MLPClassifier, MB", "MLPClassifier / ours"]
    rows = []
    with limit(threads):
        for activation in activations:
            predict = predictors(activation)
            for n in sizes:
                costs = measure(predict, rows_like_data(n), rounds)
                rows.append(row_of(n, activation, costs))
                say(f"{TITLES[threads]}, {activation}, {n:,} rows: done")
    return [f"## {TITLES[threads]}", *table(header, rows)]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rows", type=positive, nargs="+", default=[*ROWS], metavar="N", help="rows of a call")
    add("--activations", type=names_among(ACTIVATIONS), default=[*ACTIVATIONS])
    add("--threads", type=names_among(THREADS), default=[*THREADS], help="one, default, or both")
    add("--rounds", type=positive, default=11, help="how often each call is timed")
    add("--out", type=Path, default=HERE, metavar="DIR", help="where to write")
    return parser.parse_args()


def main() -> None:
    """Measure all that was asked for, and write the report."""
    options = arguments()
    others = OtherPrograms()
    sections = []
    for threads in options.threads:
        sections += section(threads, options.activations, options.rows, options.rounds)
    lines = [
        *head("Speed and memory of prediction", others),
        "",
        f"Milliseconds for one call of `predict_proba`, medians of {options.rounds} "
        f"round{'s' * (options.rounds > 1)}; megabytes that a call has allocated at its peak, its "
        "result included; and ratios. Above 1, ours is faster, or takes less memory.",
        "",
        *sections,
    ]
    write(options.out / "predict_speed.md", lines)


if __name__ == "__main__":
    main()
