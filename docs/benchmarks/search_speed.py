"""Time whole searches for hyperparameters: in processes, and with the joblib backend "stacked".

MLPClassifier and ScratchMLPClassifier search the same candidates and are set alike, so that their
networks do the same work: sigmoid units, log loss, Adam at a constant rate, no rule that stops
early. The searches take turns, on as many cores as there are workers: on Linux the script and all
its processes keep to so many. Then stacks of several sizes are timed alone, by one thread.

Prints the table, and writes search_speed.md. The page docs/benchmarks/index.md says how to read it.
"""

import argparse
import heapq
import os
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from fit_speed import (
    HERE,
    OURS,
    SKLEARN,
    OtherPrograms,
    digits,
    head,
    names_among,
    positive,
    say,
    table,
    write,
)
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from scipy.stats import loguniform, randint
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import (
    GridSearchCV,
    ParameterGrid,
    ParameterSampler,
    RandomizedSearchCV,
    StratifiedKFold,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknn_scratch import MLP_CLASSIFIER_SETTINGS, ScratchMLPClassifier
from sknn_scratch.network.initialisation import draw_theta, glorot_bounds
from sknn_scratch.network.layers import Architecture
from sknn_scratch.parallel.backend import cut
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.loop import train
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import Adam

FOLDS = 5

#: What both networks have in common. Neither stalls in more epochs than there are.
SAME = {
    "activation": "logistic",
    "batch_size": 32,
    "learning_rate": "constant",
    "random_state": 0,
}

GRID = {
    "net__hidden_layer_sizes": [4, 8, 16, 32],
    "net__learning_rate_init": [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
}
DISTRIBUTIONS = {
    "net__hidden_layer_sizes": randint(4, 33),
    "net__learning_rate_init": loguniform(0.0003, 0.1),
}

DRAWN = {"n_iter": 200, "random_state": 0}

grid = partial(GridSearchCV, param_grid=GRID)
random = partial(RandomizedSearchCV, param_distributions=DISTRIBUTIONS, **DRAWN)

#: Up to this learning rate training is so calm that a difference in rounding stays small.
CALM = 0.01


class Case(NamedTuple):
    """A search on a data set."""

    load: Callable[..., tuple[NDArray, NDArray]]
    search: Callable[..., GridSearchCV | RandomizedSearchCV]
    title: str
    candidates: Iterable[dict]


CASES = {
    "iris": Case(load_iris, grid, "iris, grid of 24", ParameterGrid(GRID)),
    "cancer": Case(load_breast_cancer, grid, "breast cancer, grid of 24", ParameterGrid(GRID)),
    "digits": Case(load_digits, grid, "digits, grid of 24", ParameterGrid(GRID)),
    "wine": Case(
        load_wine, random, "wine, 200 at random", ParameterSampler(DISTRIBUTIONS, **DRAWN)
    ),
}

STACKED = "stacked"
PROCESSES = "loky"

#: Who searches, and by which backend of joblib.
CONTENDERS = ((SKLEARN, PROCESSES), (OURS, PROCESSES), (OURS, STACKED))


def estimator(name: str, epochs: int) -> Pipeline:
    """Make what is searched for."""
    never = {"max_iter": epochs, "n_iter_no_change": epochs + 1}
    net = {
        SKLEARN: lambda: MLPClassifier(**SAME, **never),
        OURS: lambda: ScratchMLPClassifier(**MLP_CLASSIFIER_SETTINGS | SAME | never),
    }[name]()
    return Pipeline([("scale", StandardScaler()), ("net", net)])


class Costs(NamedTuple):
    """What a search has taken."""

    seconds: float
    """Wall time."""
    spent: float
    """Seconds of processor time of this process and its workers."""
    parent: float
    """Seconds of processor time of this process alone."""


class Run(NamedTuple):
    """A search that was timed."""

    costs: Costs
    scores: NDArray
    """Accuracy on each fold of each candidate, (n_folds, n_candidates)."""
    rates: NDArray
    """Learning rate of each candidate."""


def spent() -> float:
    """Seconds of processor time that this process and, on Linux, its children have used."""
    seconds = time.process_time()
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text().split():
            # pid (name) state ppid ... utime stime ..., in ticks
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def run(case: Case, name: str, backend: str, epochs: int, workers: int) -> Run:
    """Time one search."""
    X, y = case.load(return_X_y=True)
    search = case.search(estimator(name, epochs), cv=FOLDS, refit=False, n_jobs=workers)
    with warnings.catch_warnings(), parallel_config(backend=backend):
        warnings.simplefilter("ignore", ConvergenceWarning)
        before = np.array([time.perf_counter(), spent(), time.process_time()])
        search.fit(X, y)
        costs = np.array([time.perf_counter(), spent(), time.process_time()]) - before
    folds = [search.cv_results_[f"split{i}_test_score"] for i in range(FOLDS)]
    rates = search.cv_results_["param_net__learning_rate_init"].astype(float)
    return Run(Costs(*costs), np.array(folds), rates)


def start(workers: int, cores: set[int]) -> None:
    """Have joblib start so many workers, on as many cores, and have them import what they need."""
    get_reusable_executor().shutdown()
    if cores:
        os.sched_setaffinity(0, sorted(cores)[:workers])
    for name, backend in CONTENDERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            run(CASES["iris"], name, backend, 1, workers)


def check_same_results(case: Case, runs: dict[tuple[str, str], Run]) -> None:
    """Raise unless both backends, and but for rounding both packages, found the same."""
    rows = len(case.load(return_X_y=True)[1]) // FOLDS
    ours, together = runs[OURS, PROCESSES].scores, runs[OURS, STACKED].scores
    calm = runs[OURS, STACKED].rates <= CALM
    difference = np.abs(ours - together)[:, calm].max()
    if not difference < 1.5 / rows:
        raise RuntimeError(f"{case.title}: not the same scores: they differ by {difference}.")
    if (SKLEARN, PROCESSES) not in runs:
        return
    theirs = runs[SKLEARN, PROCESSES].scores
    if not abs(ours.mean() - theirs.mean()) < 0.005:
        raise RuntimeError(
            f"{case.title}: not the same work: mean accuracy {ours.mean()} of ours, "
            f"{theirs.mean()} of MLPClassifier's."
        )


Turns = tuple[tuple[str, str], ...]
Medians = dict[tuple[str, str], Costs]


def measure(case: Case, turns: Turns, rounds: int, epochs: int, workers: int) -> Medians:
    """Time all contenders, in turns."""
    costs: dict[tuple[str, str], list[Costs]] = {turn: [] for turn in turns}
    for i in range(rounds):
        first = i % len(turns)
        runs = {}
        for turn in turns[first:] + turns[:first]:
            runs[turn] = run(case, *turn, epochs, workers)
            costs[turn].append(runs[turn].costs)
        check_same_results(case, runs)
    return {turn: Costs(*np.median(found, axis=0)) for turn, found in costs.items()}


# ---------------------------------------------------------------- a model of more workers

Task = Callable[[], float]


def fit_and_score(
    model: Pipeline, parameters: dict, X: NDArray, y: NDArray, train: NDArray, test: NDArray
) -> float:
    """Do what a search does in a task."""
    model = clone(model).set_params(**parameters).fit(X[train], y[train])
    return model.score(X[test], y[test])


def tasks_of(case: Case, epochs: int) -> list[tuple]:
    """Tasks of a search, in its order."""
    X, y = case.load(return_X_y=True)
    folds = [*StratifiedKFold(FOLDS).split(X, y)]
    model = estimator(OURS, epochs)
    return [
        delayed(fit_and_score)(model, parameters, X, y, *fold)
        for parameters in case.candidates
        for fold in folds
    ]


def processor_time(tasks: Sequence[tuple], backend: str) -> float:
    """Seconds of processor time that tasks take as one batch, in this process."""
    with warnings.catch_warnings(), parallel_config(backend, n_jobs=1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        began = time.process_time()
        Parallel()(tasks)
        return time.process_time() - began


def end_of(pieces: Iterable[tuple[float, float]], workers: int) -> float:
    """Second at which pieces of work are done, each taken by the worker that is free first.

    A piece is the second from which on it is there, and the seconds it takes.
    """
    free = [0.0] * workers
    for there, takes in pieces:
        heapq.heappush(free, max(there, heapq.heappop(free)) + takes)
    return max(free)


def modelled(case: Case, epochs: int, rounds: int, workers: Sequence[int]) -> list[list[str]]:
    """Rows of the table of the model: one for each number of workers."""

    def costs_of(parts: Sequence[Sequence[tuple]], backend: str) -> list[float]:
        found = [[processor_time(part, backend) for part in parts] for _ in range(rounds)]
        return np.median(found, axis=0).tolist()

    tasks = tasks_of(case, epochs)
    each = {
        backend: median(run(case, OURS, backend, epochs, 2).costs.parent for _ in range(rounds))
        / len(tasks)
        for backend in (PROCESSES, STACKED)
    }
    alone = costs_of([[task] for task in tasks], "sequential")
    rows = []
    for n in workers:
        batches = [*cut(tasks, n)]
        costs = costs_of(batches, STACKED)
        plain = end_of(((k * each[PROCESSES], cost) for k, cost in enumerate(alone, 1)), n)
        together = end_of(((len(tasks) * each[STACKED], cost) for cost in costs), n)
        parts = [1e3 * each[PROCESSES], 1e3 * each[STACKED]]
        parts += [1e3 * sum(alone) / len(tasks), 1e3 * sum(costs) / len(tasks)]
        sizes = f"{len(batches)} of {max(map(len, batches))} to {min(map(len, batches))}"
        rows.append(
            [case.title, str(n), *map(digits, parts), sizes, digits(plain), digits(together)]
        )
        rows[-1].append(f"{plain / together:.1f}")
        say(" | ".join(rows[-1]))
    return rows


# ---------------------------------------------------------------- stacks of several sizes


#: Layer sizes whose stacks are timed, and their rows.
SHAPES = {
    (4, 4, 3): 120,
    (4, 32, 3): 120,
    (30, 32, 1): 455,
    (64, 32, 10): 1437,
    (128, 128, 10): 1437,
}
STACKS = (1, 2, 4, 8, 16, 32, 64)


def job(sizes: tuple[int, ...], rows: int, epochs: int, seed: int) -> TrainingJob:
    """Make a network to train on data made up at random."""
    rng = np.random.RandomState(seed)
    outputs = sizes[-1]
    output = "logistic" if outputs == 1 else "softmax"
    Y = np.eye(outputs)[rng.randint(outputs, size=rows)] if outputs > 1 else None
    return TrainingJob(
        X=rng.normal(size=(rows, sizes[0])),
        Y=rng.randint(2, size=(rows, 1)).astype(float) if Y is None else Y,
        sample_weight=None,
        architecture=Architecture(sizes, "logistic", output, loss="log_loss"),
        start=TrainingState(draw_theta(sizes, glorot_bounds(sizes, "logistic"), rng), rng),
        solver=Adam(),
        schedule=Schedule("constant", 0.001),
        guard=np.zeros(outputs),  # log loss has none
        baseline=1.0,
        alpha=0.0,
        weight_decay=0.0,
        batch_size=SAME["batch_size"],
        max_iter=epochs,
        shuffle=True,
    )


def stack_costs(sizes: tuple[int, ...], rounds: int) -> list[str]:
    """Row of the second table: microseconds of processor time, by the size of the stack."""
    rows = SHAPES[sizes]
    updates = -(-rows // SAME["batch_size"])
    epochs = max(1, 60 // updates)
    costs: dict[int, list[float]] = {K: [] for K in STACKS}
    for _ in range(rounds):
        for K in STACKS:
            jobs = [job(sizes, rows, epochs, seed) for seed in range(K)]
            began = time.process_time()
            train(jobs)
            costs[K].append(1e6 * (time.process_time() - began) / (K * epochs * updates))
    return ["-".join(map(str, sizes)), *(digits(median(values)) for values in costs.values())]


def row_of(case: Case, workers: int, medians: Medians) -> list[str]:
    """Row of the table."""
    *others, together = (medians.get(turn) for turn in CONTENDERS)
    seconds = ["-" if costs is None else digits(costs.seconds) for costs in (*others, together)]
    ratios = [
        "-" if costs is None else f"{getattr(costs, kind) / getattr(together, kind):.1f}"
        for kind in ("seconds", "spent")
        for costs in others
    ]
    return [case.title, str(workers), *seconds, *ratios]


def counts(text: str) -> list[int]:
    """Read whole numbers from a list with commas."""
    return [positive(each) for each in text.split(",")]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--cases", type=names_among([*CASES]), default=[*CASES], help=f"from {','.join(CASES)}")
    add("--rounds", type=positive, default=5, help="how often each search is timed")
    add("--workers", type=counts, default=[1, 2], help="numbers of workers, and of cores")
    add("--ours", action="store_true", help="leave MLPClassifier out")
    add("--modelled", type=counts, default=[2, 4, 8, 16], help="numbers of workers of the model")
    add("--epochs", type=positive, default=60, help="epochs of each fit")
    add("--out", type=Path, default=HERE, metavar="DIR", help="where to write")
    return parser.parse_args()


def main() -> None:
    """Measure all that was asked for, and write the report."""
    options = arguments()
    rows = []
    turns = CONTENDERS[1:] if options.ours else CONTENDERS
    others = OtherPrograms()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    header = ["search", "workers", "MLPClassifier in processes, s", "ours in processes, s"]
    header += ["ours stacked, s", "MLPClassifier / stacked", "ours in processes / stacked"]
    header += ["the first ratio in processor time", "the second in processor time"]
    parts = ["search", "workers", "parent per task, processes, ms", "parent per task, stacked, ms"]
    parts += ["task alone, ms", "task in its batch, ms", "batches"]
    parts += ["processes, s", "stacked, s", "processes / stacked"]
    with threadpool_limits(1):
        for workers in options.workers:
            start(workers, cores)
            for name in options.cases:
                medians = measure(CASES[name], turns, options.rounds, options.epochs, workers)
                rows.append(row_of(CASES[name], workers, medians))
                say(" | ".join(rows[-1]))
        start(2, cores)
        model = [
            row
            for name in options.cases
            for row in modelled(CASES[name], options.epochs, options.rounds, options.modelled)
        ]
        get_reusable_executor().shutdown()
        costs = [stack_costs(sizes, options.rounds) for sizes in SHAPES]
    lines = [
        *head("Speed of a search", others),
        "",
        f"Wall time of a whole search of {FOLDS} folds and {options.epochs} epochs, medians of "
        f"{options.rounds} round{'s' * (options.rounds > 1)}, and ratios. Above 1, the stacked "
        "search is faster. One worker is the process itself. Processor time is that of all "
        "processes.",
        *table(header, rows),
        "## More workers than cores here",
        "",
        "A model, from parts that were measured one by one in processor time: what the parent, "
        "the process that searches, spends on each task (clones, dealing out, results; measured "
        "with two workers), each task alone, and each batch. In processes, a task can begin when "
        "its turn in the parent has come, and the worker that is free first takes it. Stacked, "
        "batches can begin when all tasks have had their turn. Not in it: what it costs workers to "
        "receive tasks, and that cores share memory.",
        *table(parts, model),
        "## Stacks of several sizes",
        "",
        "Microseconds of processor time for an update of one network, by the number of networks in "
        f"its stack; batches of {SAME['batch_size']}.",
        *table(["layers", *map(str, STACKS)], costs),
    ]
    print("\n".join(table(header, rows)))
    write(options.out / "search_speed.md", lines)


if __name__ == "__main__":
    main()
