"""Search for hyperparameters, and average networks, with the joblib backend "stacked".

With --draw, draws stacked_search.png instead: who runs when in a small batch, as it was recorded.
With --memory, prints the peak of memory of 200 fits of a large table, stacked and in processes.
With --together, prints the processor time of the fits of several ensembles, one by one and stacked.
With --words, prints the processor time of a stacked search over a table with words, and over the
same table encoded before.
"""

import argparse
import os
import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import ClassVar, NamedTuple

import joblib
import numpy as np
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import LabelBinarizer, OneHotEncoder, StandardScaler

from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier

GRID = {
    "net__hidden_layer_sizes": [(8,), (32,)],
    "net__learning_rate_init": [0.003, 0.01, 0.03],
}
DATA = {
    "iris": load_iris,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "digits": load_digits,
}
MB = 10**6


def search() -> None:
    """Run one search plainly and stacked, and compare."""
    X, y = load_breast_cancer(return_X_y=True)
    model = Pipeline([("scale", StandardScaler()), ("net", ScratchMLPClassifier(random_state=0))])
    plain = GridSearchCV(model, GRID)
    together = clone(plain)
    began = time.perf_counter()
    plain.fit(X, y)
    between = time.perf_counter()
    with parallel_config(backend="stacked"):
        together.fit(X, y)
    print(f"One by one: {between - began:.1f} s, stacked: {time.perf_counter() - between:.1f} s")
    scores = [found.cv_results_["mean_test_score"] for found in (plain, together)]
    print(f"Largest difference of mean scores: {np.abs(scores[0] - scores[1]).max():.1g}")
    print(f"Best: {together.best_params_}, accuracy {together.best_score_:.3f}")


# ---------------------------------------------------------------- an ensemble of networks


def brier(p: NDArray, y: NDArray) -> float:
    """Sum over the classes of the squared error of the probabilities, mean over the rows."""
    Y = LabelBinarizer().fit_transform(y)
    return float(((p - (np.hstack([1 - Y, Y]) if Y.shape[1] == 1 else Y)) ** 2).sum(1).mean())


def ensemble(rounds: int) -> None:
    """Compare one network with the mean of eight, trained one by one and stacked."""
    one = ScratchMLPClassifier(random_state=0)
    eight = BaggingClassifier(
        ScratchMLPClassifier(), n_estimators=8, bootstrap=False, random_state=0
    )
    print("| data | Brier of one | of eight | s of one | s of eight | s of eight, stacked |")
    print("| --- | --: | --: | --: | --: | --: |")
    for name, load in DATA.items():
        X, y = load(return_X_y=True)
        seconds = {"one": [], "eight": [], "stacked": []}
        for _ in range(rounds):
            for key, model in (("one", one), ("eight", eight), ("stacked", eight)):
                with parallel_config(backend="stacked" if key == "stacked" else "sequential"):
                    began = time.perf_counter()
                    model.fit(X, y)
                    seconds[key].append(time.perf_counter() - began)
        scores = []
        for model in (one, eight):
            with parallel_config(backend="stacked"):
                p = cross_val_predict(model, X, y, cv=10, method="predict_proba")
            scores.append(f"{brier(p, y):.4f}")
        times = [f"{median(values):.2f}" for values in seconds.values()]
        print("| " + " | ".join([name, *scores, *times]) + " |", flush=True)


def processor_time(model: BaseEstimator, X: NDArray, y: NDArray, rounds: int, stack: int) -> float:
    """Seconds of processor time of five fits of a model, of which so many are stacked."""
    seconds = []
    for _ in range(rounds):
        with parallel_config(backend="stacked", n_jobs=1, max_stack=stack):
            began = time.process_time()
            cross_validate(model, X, y, cv=5)
            seconds.append(time.process_time() - began)
    return median(seconds)


def together(
    rounds: int,
    names: Sequence[str] = ("iris", "wine", "breast cancer"),
    sizes: Sequence[int] = (200, 20),
) -> None:
    """Compare fits of ensembles one by one, and stacked."""
    print("| data | hidden units | one by one, s | stacked, s |")
    print("| --- | --: | --: | --: |")
    for name in names:
        X, y = DATA[name](return_X_y=True)
        for units in sizes:
            model = ScratchMLPEnsembleClassifier(hidden_layer_sizes=units, random_state=0)
            seconds = [processor_time(model, X, y, rounds, stack) for stack in (1, 5)]
            times = [f"{value:.2f}" for value in seconds]
            print("| " + " | ".join([name, str(units), *times]) + " |", flush=True)


# ---------------------------------------------------------------- a table with words


def words(rounds: int, n: int = 4000, most_epochs: Sequence[int] = (20, 60)) -> None:
    """Compare a search over a table with words, and over the same table encoded before."""
    import pandas as pd

    rng = np.random.RandomState(0)
    numbers = {f"number {i}": rng.normal(size=n) for i in range(8)}
    levels = {
        f"word {i}": [f"level {k}" for k in rng.randint(count, size=n)]
        for i, count in enumerate((2, 3, 5, 8, 12, 20))
    }
    X = pd.DataFrame(numbers | levels)
    y = X["number 0"] + (X["word 1"] == "level 1") + rng.normal(size=n) > 0.5
    encoded = np.hstack(
        [X[[*numbers]], OneHotEncoder(sparse_output=False).fit_transform(X[[*levels]])]
    )
    for epochs in most_epochs:
        net = ScratchMLPClassifier(max_iter=epochs, random_state=0)
        grid = {name.removeprefix("net__"): values for name, values in GRID.items()}
        model = GridSearchCV(net, grid, refit=False)
        seconds: dict[str, list[float]] = {"words": [], "encoded before": []}
        for _ in range(rounds):
            for found, table in zip(seconds.values(), (X, encoded), strict=True):
                with parallel_config(backend="stacked", n_jobs=1):
                    began = time.process_time()
                    model.fit(table, y)
                    found.append(time.process_time() - began)
        times = [f"{name} {median(found):.1f} s" for name, found in seconds.items()]
        print(f"{epochs} epochs: {', '.join(times)}", flush=True)


# ---------------------------------------------------------------- the picture of a batch


class Span(NamedTuple):
    """What a thread did, and from when to when."""

    thread: int
    what: str
    begin: float
    end: float


class Recorder(TransformerMixin, BaseEstimator):
    """The step before a network: notes which thread begins a task, and when."""

    log: ClassVar[list[tuple[int, str, float]]] = []

    def fit(self, X: NDArray, y: NDArray) -> "Recorder":
        """Note that a task has begun."""
        self.log.append((threading.get_ident(), "begins", time.perf_counter()))
        return self

    def transform(self, X: NDArray) -> NDArray:
        """Do something for a while, that it may be seen."""
        time.sleep(0.004)
        return X


class Network(ScratchMLPClassifier):
    """A network that notes when it waits, and when it has been trained."""

    def fit(self, X: NDArray, y: NDArray) -> "Network":
        """Note when the fit begins and ends."""
        Recorder.log.append((threading.get_ident(), "waits", time.perf_counter()))
        super().fit(X, y)
        Recorder.log.append((threading.get_ident(), "goes on", time.perf_counter()))
        return self

    def score(self, X: NDArray, y: NDArray) -> float:
        """Note when the score is there, and with it the task ends."""
        score = super().score(X, y)
        time.sleep(0.003)
        Recorder.log.append((threading.get_ident(), "ends", time.perf_counter()))
        return score


def recorded() -> list[Span]:
    """Run a small search in this process, and return what its threads did."""
    X, y = load_wine(return_X_y=True)
    model = Pipeline([("step", Recorder()), ("net", Network(random_state=0, max_iter=40))])
    grid = {"net__hidden_layer_sizes": [(8,), (32,)], "net__learning_rate_init": [0.003, 0.01]}
    with parallel_config(backend="stacked", n_jobs=1):
        GridSearchCV(model, grid, cv=3, refit=False).fit(X, y)
    began = Recorder.log[0][2]
    threads = list(dict.fromkeys(thread for thread, *_ in Recorder.log))
    spans = []
    for number, thread in enumerate(threads):
        times = {what: at - began for ident, what, at in Recorder.log if ident == thread}
        spans.append(Span(number, "runs", times["begins"], times["waits"]))
        spans.append(Span(number, "waits and is trained", times["waits"], times["goes on"]))
        spans.append(Span(number, "runs", times["goes on"], times["ends"]))
    return spans


def draw(path: Path) -> None:
    """Draw who ran, waited and was trained when."""
    from matplotlib.figure import Figure

    spans = recorded()
    colours = {"runs": "#0072B2", "waits and is trained": "#E69F00"}
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    for what, colour in colours.items():
        chosen = [span for span in spans if span.what == what]
        axes.barh(
            [span.thread + 1 for span in chosen],
            [1e3 * (span.end - span.begin) for span in chosen],
            left=[1e3 * span.begin for span in chosen],
            height=0.7,
            color=colour,
            label=what,
        )
    meets = 1e3 * max(span.begin for span in spans if span.what != "runs")
    axes.axvline(meets, color="black", linewidth=1)
    axes.annotate(
        "all are here: their networks are trained in two stacks",
        (meets, 0.1),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
    )
    axes.set_ylim(1 + len(spans) / 3, -0.6)
    axes.set_yticks(range(1, 1 + len({span.thread for span in spans})))
    axes.set_xlabel("milliseconds since the first task began")
    axes.set_ylabel("task (one fit of the search)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")


# ---------------------------------------------------------------- memory


def memory_of(pid: int) -> int:
    """Bytes of memory of a process; what it shares with others counts in parts (Linux)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def family(pid: int) -> list[int]:
    """Return a process and its children, and theirs."""
    children = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in path.read_text().split()]
        except OSError:
            continue
    return [pid, *(p for child in children for p in family(child))]


@contextmanager
def peak() -> Iterator[list[int]]:
    """Context that watches the memory of this process and its children, and keeps the peak."""
    found, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            found[0] = max(found[0], sum(map(memory_of, family(os.getpid()))))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def memory(rows: int, fits: int) -> None:
    """Fit a large table so many times, stacked and in processes; print what it took."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(rows, 50))
    y = X[:, 0] * X[:, 1] > X[:, 2]
    grid = {"learning_rate_init": np.geomspace(0.003, 0.03, fits // 5)}
    net = ScratchMLPClassifier((4,), max_iter=1, batch_size=1000, random_state=0)
    for backend in ("stacked", "loky"):
        get_reusable_executor().shutdown()
        with parallel_config(backend=backend), peak() as most:
            began = time.perf_counter()
            GridSearchCV(net, grid, n_jobs=-1, cv=5, refit=False).fit(X, y)
        seconds = time.perf_counter() - began
        print(f"{backend}: peak {most[0] / MB:,.0f} MB, {seconds:.0f} s", flush=True)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--draw", type=Path, metavar="FILE", help="draw who runs when in a batch")
    add("--memory", action="store_true", help="weigh 200 fits of a large table (Linux)")
    add("--together", action="store_true", help="time the fits of several ensembles")
    add("--words", action="store_true", help="time a search over a table with words")
    add("--rows", type=int, default=100_000, help="rows of that table")
    add("--fits", type=int, default=200, help="fits of that table")
    add("--rounds", type=int, default=5, help="how often what is timed is timed")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    if options.draw:
        draw(options.draw)
    elif options.memory:
        memory(options.rows, options.fits)
    elif options.together:
        together(options.rounds)
    elif options.words:
        words(options.rounds)
    else:
        print(f"Cores: {joblib.cpu_count()}")
        search()
        ensemble(options.rounds)


if __name__ == "__main__":
    main()
