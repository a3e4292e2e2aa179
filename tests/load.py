"""Load on one process: threads that predict and fit at once, and calls without number.

``tests/test_load.py`` does a little of it; this does all of it, in some minutes, and prints what it
has seen. It fails if a prediction is not that of one network to the last bit, or if a fit differs
from the same fit alone. Memory is what Linux says that the process holds::

    python tests/load.py
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import RandomizedSearchCV

from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier, ScratchMLPRegressor

_RNG = np.random.RandomState(0)
X = _RNG.normal(size=(300, 5))
X_NEW = _RNG.normal(size=(2_000, 5))  # so many that BLAS is kept to one thread
LABELS = [(X[:, j] > 0).astype(int) for j in (0, 1)]
NUMBERS = [X[:, j] ** 2 for j in (0, 1)]

SETTINGS = {"max_iter": 3, "random_state": 0}
MODELS: list[tuple[Any, list[NDArray]]] = [
    (ScratchMLPClassifier((20,), **SETTINGS), LABELS),
    (ScratchMLPRegressor((20,), **SETTINGS), NUMBERS),
    (ScratchMLPEnsembleClassifier(2, (20,), **SETTINGS), LABELS),
]


def predicted(model: Any) -> NDArray:
    """Probabilities, or numbers."""
    return getattr(model, "predict_proba", model.predict)(X_NEW)


def fitted(model: Any, y: NDArray) -> NDArray:
    """What a new fit predicts."""
    return predicted(clone(model).fit(X, y))


def memory() -> int:
    """Bytes that this process holds; the most it ever held where there is no /proc."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# ---------------------------------------------------------------- threads


def service(
    seconds: float, n_predicting: int = 8, n_refitting: int = 2, n_fitting: int = 4
) -> Counter:
    """Predict in some threads, refit the same models in others, and fit others in others.

    A model is refitted to one target and then to another, so a prediction is that of one of two
    networks; a mixture of both would be neither.
    """
    known = [[fitted(model, y) for y in targets] for model, targets in MODELS]
    shared = [clone(model).fit(X, targets[0]) for model, targets in MODELS]
    done: list[tuple[str, bool]] = []
    end = time.monotonic() + seconds

    def predict(k: int) -> tuple[str, bool]:
        number = k % len(MODELS)
        found = predicted(shared[number])
        return "predictions", any(np.array_equal(found, each) for each in known[number])

    def refit(k: int) -> tuple[str, bool]:
        # Each model by one thread: two that fit the same one at once overwrite each other.
        own = range(k, len(MODELS), n_refitting)
        number, which = own[len(done) % len(own)], len(done) // 2 % 2
        shared[number].fit(X, MODELS[number][1][which])
        return "refits", True

    def fit(k: int) -> tuple[str, bool]:
        number = k % len(MODELS)
        which = len(done) % 2
        found = fitted(MODELS[number][0], MODELS[number][1][which])
        return "other fits", np.array_equal(found, known[number][which])

    def repeat(work: Callable[[int], tuple[str, bool]], k: int) -> None:
        while True:  # at least once, however busy the machine is
            try:
                done.append(work(k))
            except BaseException as error:
                done.append((f"raised {type(error).__name__}: {error}", False))
            if time.monotonic() >= end:
                break

    threads = [
        threading.Thread(target=repeat, args=(work, k))
        for work, n in ((predict, n_predicting), (refit, n_refitting), (fit, n_fitting))
        for k in range(n)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 300)
    found = Counter(name for name, _ in done)
    found["wrong"] = sum(not right for _, right in done)
    found["threads that hang"] = sum(thread.is_alive() for thread in threads)
    return found


# ---------------------------------------------------------------- many calls


class Growth(NamedTuple):
    """What many calls cost, at the beginning and at the end."""

    calls: int
    first: float
    last: float
    """Median processor seconds of a call, of the first tenth after one to warm up, and of the
    last."""
    bytes: int
    """How much more the process held after the last call than after the first tenth."""


def repeated(call: Callable[[], object], n: int) -> Growth:
    """Make many calls."""
    seconds = []
    for k in range(n):
        if k == n // 10:
            before = memory()
        began = time.process_time()
        call()
        seconds.append(time.process_time() - began)
    tenth = n // 10
    first, last = seconds[tenth : 2 * tenth], seconds[-tenth:]
    return Growth(n, statistics.median(first), statistics.median(last), memory() - before)


def fits(n: int) -> Growth:
    """Fit a model again and again, each in turn."""
    models = [(clone(model), targets[0]) for model, targets in MODELS]
    k = [0]

    def call() -> None:
        k[0] += 1
        model, y = models[k[0] % len(models)]
        model.fit(X, y)

    return repeated(call, n)


def partial_fits(n: int) -> Growth:
    """Learn from a stream, labels and numbers in turn."""
    classifier = ScratchMLPClassifier((5,), random_state=0)
    regressor = ScratchMLPRegressor((5,), random_state=0)
    parts = np.random.RandomState(0).randint(0, 290, size=1000)
    k = [0]

    def call() -> None:
        rows = slice(start := parts[k[0] % len(parts)], start + 10)
        k[0] += 1
        if k[0] % 2:
            classifier.partial_fit(X[rows], LABELS[0][rows], classes=[0, 1])
        else:
            regressor.partial_fit(X[rows], NUMBERS[0][rows])

    growth = repeated(call, n)
    for model in (classifier, regressor):
        assert np.isfinite(predicted(model)).all()
    return growth


# ---------------------------------------------------------------- processes


def fit_all(_: object = None) -> list[NDArray]:
    """What the fits of all models predict."""
    return [fitted(model, targets[0]) for model, targets in MODELS]


def in_processes(method: str, n: int = 2) -> bool:
    """Whether fits in processes are those in this one, to the last bit."""
    expected = fit_all()
    if method == "loky":
        found = joblib.Parallel(n_jobs=n)(joblib.delayed(fit_all)() for _ in range(2 * n))
    else:
        with multiprocessing.get_context(method).Pool(n) as pool:
            found = pool.map_async(fit_all, range(2 * n)).get(300)
    return all(np.array_equal(a, b) for each in found for a, b in zip(each, expected, strict=True))


def search(n: int, backend: str = "stacked") -> tuple[int, float, int]:
    """Search among so many candidates; return how many have a score, seconds, and bytes held."""
    grid = {
        "learning_rate_init": np.geomspace(1e-3, 1e-1, 100),
        "alpha": np.geomspace(1e-6, 1, 100),
    }
    model = ScratchMLPClassifier((3,), max_iter=2, batch_size=75, random_state=0)
    found = RandomizedSearchCV(model, grid, n_iter=n, cv=2, random_state=0)
    before, began = memory(), time.perf_counter()
    with joblib.parallel_config(backend):
        found.fit(X, LABELS[0])
    scores = found.cv_results_["mean_test_score"]
    return int(np.isfinite(scores).sum()), time.perf_counter() - began, memory() - before


def told(name: str, growth: Growth) -> None:
    """Print what many calls cost."""
    print(
        f"{growth.calls} {name}: {1e3 * growth.first:.3f} ms of processor time a call at first, "
        f"{1e3 * growth.last:.3f} ms at last, {growth.bytes / 2**20:+.1f} MiB",
        flush=True,
    )


def main() -> int:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60, help="of threads that predict and fit")
    parser.add_argument("--fits", type=int, default=1_000)
    parser.add_argument("--partial-fits", type=int, default=100_000)
    parser.add_argument("--candidates", type=int, default=10_000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{os.cpu_count()} cores")
    seen = service(given.seconds)
    print(", ".join(f"{n} {name}" for name, n in sorted(seen.items())), flush=True)
    told("fits", fits(given.fits))
    for method in [*multiprocessing.get_all_start_methods(), "loky"]:
        same = in_processes(method)
        print(f"{method}: {'the same bits' if same else 'OTHER BITS'}", flush=True)
    scored, seconds, held = search(given.candidates)
    print(f"{given.candidates} candidates: {scored} scores, {seconds:.0f} s, {held >> 20} MiB")
    told("calls of partial_fit", partial_fits(given.partial_fits))
    return int(seen["wrong"] + seen["threads that hang"] > 0)


if __name__ == "__main__":
    sys.exit(main())
