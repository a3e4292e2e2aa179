"""Time the training of one network by this package, scikit-learn, PyTorch, and products alone.

All do the same work: the same layer sizes, sigmoid units, log loss, batches, epochs, and Adam with
the same settings, without penalty and without a rule that stops early. Each thread setting has a
process of its own, since libraries read the number of threads when they are loaded. The processes
take turns, so that whatever else the machine does hits all alike. Then the same is timed while
another program computes on each core, a fit of both estimators with all their defaults, and what an
update consists of, each kind of work alone.

Writes fit_speed.md and fit_speed.png. The page docs/benchmarks/index.md says how to read them.
"""

import argparse
import gc
import json
import math
import os
import platform
import shlex
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple, Self

import joblib
import numpy as np
import scipy
import sklearn
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_info

import sknn_scratch
from sknn_scratch import (
    MLP_CLASSIFIER_SETTINGS,
    MLP_REGRESSOR_SETTINGS,
    ScratchMLPClassifier,
    ScratchMLPRegressor,
)
from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.layers import n_params, n_weights
from sknn_scratch.network.losses import LOSSES, Scratch
from sknn_scratch.training.cutting import input_blocks, row_blocks, step_blocks
from sknn_scratch.training.solvers import Adam, stepping, stepping_through

HERE = Path(__file__).parent

DTYPES = ("float64", "float32")
THREADS = ("one", "default")
THREAD_VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

#: Seconds between two runs, in which the threads of the last one go to sleep.
PAUSE = 0.05

#: A report warns of its numbers if other programs kept more cores busy than this.
MOST_BUSY_CORES = 0.2

OURS, SKLEARN, TORCH, PRODUCTS = "ours", "MLPClassifier", "PyTorch", "products"
TORCH_PRODUCTS = "PyTorch's products"
CUT_PRODUCTS, SIGMOIDS, LOSS, STEPS = "products in blocks", "sigmoids", "loss", "Adam"


@dataclass(frozen=True)
class Case:
    """Shape of a data set and of the network that is trained on it."""

    name: str
    rows: int
    features: int
    hidden: tuple[int, ...]
    classes: int
    """0 if it is a number that is to be predicted."""
    batch: int
    epochs: int
    """So many that a fit takes between a twentieth of a second and two seconds."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Layer sizes: inputs, hidden layers, outputs (one for two classes, and for a number)."""
        return (self.features, *self.hidden, self.classes if self.classes > 2 else 1)

    @property
    def batches(self) -> list[int]:
        """Rows of each batch of an epoch."""
        return [min(self.batch, self.rows - start) for start in range(0, self.rows, self.batch)]

    def updates(self, epochs: int) -> int:
        """Count the updates of the parameters in so many epochs."""
        return epochs * len(self.batches)


CASES = {
    case.name: case
    for case in (
        Case("xor", 4, 3, (4,), 2, 4, epochs=2000),
        Case("iris", 150, 4, (16,), 3, 32, epochs=300),
        Case("cancer", 569, 30, (16,), 2, 200, epochs=300),
        Case("digits", 1797, 64, (100,), 10, 200, epochs=50),
        Case("table", 20000, 30, (100,), 2, 200, epochs=8),
        Case("deep", 10000, 30, (128, 128), 2, 256, epochs=8),
        Case("mnist-size", 10000, 784, (256, 128), 10, 256, epochs=2),
        Case("big", 8000, 784, (1024, 1024), 10, 512, epochs=1),
        Case("number", 20000, 30, (100,), 0, 200, epochs=8),
        Case("number-deep", 5000, 30, (100, 50), 0, 64, epochs=10),
    )
}


# ---------------------------------------------------------------- the same work, four times


@lru_cache(maxsize=1)
def data(case: Case, dtype: str) -> tuple[NDArray, NDArray]:
    """Rows scattered around a centre of their class: X (rows, features), y (rows,).

    A number to predict is a curve along a line through the rows.
    """
    rng = np.random.RandomState(0)
    if not case.classes:
        X = rng.normal(size=(case.rows, case.features))
        along = X @ rng.normal(size=case.features) / math.sqrt(case.features)
        return X.astype(dtype), np.sin(2 * along).astype(dtype)
    y = rng.permutation(case.rows) % case.classes
    centres = rng.normal(size=(case.classes, case.features))
    X = rng.normal(size=(case.rows, case.features)) + centres[y]
    return X.astype(dtype), y


def settings(case: Case, epochs: int) -> dict[str, Any]:
    """Parameters of both estimators. Nothing is left to their defaults."""
    return {
        "hidden_layer_sizes": case.hidden,
        "activation": "logistic",
        "solver": "adam",
        "alpha": 0.0,
        "batch_size": case.batch,
        "learning_rate": "constant",
        "learning_rate_init": 0.001,
        "max_iter": epochs,
        "shuffle": True,
        "random_state": 0,
        "early_stopping": False,
        "n_iter_no_change": math.inf,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
    }


def our_estimator(case: Case, epochs: int) -> ScratchMLPClassifier | ScratchMLPRegressor:
    """Return this package's estimator, set to do what scikit-learn's does."""
    if not case.classes:
        return ScratchMLPRegressor(**MLP_REGRESSOR_SETTINGS | settings(case, epochs))
    return ScratchMLPClassifier(**MLP_CLASSIFIER_SETTINGS | settings(case, epochs))


def their_estimator(case: Case, epochs: int) -> MLPClassifier | MLPRegressor:
    """Return scikit-learn's estimator."""
    cls = MLPClassifier if case.classes else MLPRegressor
    return cls(**settings(case, epochs))


#: A training that can be run again and again. Returns its last epoch's loss, if it has any.
Training = Callable[[], float | None]


def fit_of_ours(case: Case, dtype: str, epochs: int) -> Training:
    """Prepare a fit of this package's estimator."""
    model, (X, y) = our_estimator(case, epochs), data(case, dtype)
    return lambda: model.fit(X, y).loss_


def fit_of_sklearn(case: Case, dtype: str, epochs: int) -> Training:
    """Prepare a fit of scikit-learn's estimator."""
    model, (X, y) = their_estimator(case, epochs), data(case, dtype)
    return lambda: model.fit(X, y).loss_


def loop_of_torch(case: Case, dtype: str, epochs: int) -> Training:
    """Prepare a plain PyTorch loop. It is given tensors, and nothing is validated."""
    import torch
    from torch import nn

    X_array, y_array = data(case, dtype)
    X, y = torch.from_numpy(X_array), torch.from_numpy(y_array)
    if case.classes <= 2:
        y = y.to(X.dtype)[:, None]
    losses = {
        0: lambda z, y: nn.functional.mse_loss(z, y) / 2,
        2: nn.functional.binary_cross_entropy_with_logits,
    }
    loss_of = losses.get(case.classes, nn.functional.cross_entropy)

    def train() -> float:
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(case.sizes):
            layers += [nn.Linear(n_in, n_out, dtype=X.dtype), nn.Sigmoid()]
        model = nn.Sequential(*layers[:-1])
        optimiser = torch.optim.Adam(
            model.parameters(), lr=0.001, betas=(0.9, 0.999), eps=1e-8, fused=True
        )
        for _ in range(epochs):
            total = torch.zeros((), dtype=X.dtype)
            for rows in torch.randperm(case.rows).split(case.batch):
                optimiser.zero_grad()
                loss = loss_of(model(X[rows]), y[rows])
                loss.backward()
                optimiser.step()
                total += loss.detach() * len(rows)
        return total.item() / case.rows

    return train


def normal(rng: np.random.RandomState, dtype: str, *shape: int) -> NDArray:
    """Draw numbers that a layer of this width leaves in proportion."""
    return (rng.normal(size=shape) / math.sqrt(shape[-1])).astype(dtype)


def products_alone(
    case: Case, dtype: str, epochs: int, *, is_cut: bool = False, by_torch: bool = False
) -> Training:
    """Prepare the matrix products of a training, on arrays that are there already.

    They are whole, or cut into the blocks that this package cuts an update into; and NumPy's, or
    PyTorch's.
    """
    rng = np.random.RandomState(0)
    layers = list(pairwise(case.sizes))
    W = [normal(rng, dtype, n_in, n_out) for n_in, n_out in layers]
    W_grad = [np.empty_like(w) for w in W]
    Product = Callable[[], object]

    def product(left: NDArray, right: NDArray, out: NDArray, by: Callable[..., Any]) -> Product:
        if not by_torch:
            return lambda: by(left, right, out)
        import torch

        a, b, into = (torch.from_numpy(array) for array in (left, right, out))
        return lambda: torch.mm(a, b, out=into)

    def prepared(n: int) -> list[Product]:
        a = [normal(rng, dtype, n, width) for width in case.sizes]
        delta = [normal(rng, dtype, n, width) for width in case.sizes[1:]]
        cuts = row_blocks(case.sizes, n) if is_cut else []
        found = []
        for rows in cuts or [slice(None)]:
            for i, w in enumerate(W):  # (n, n_in) @ (n_in, n_out)
                found.append(product(a[i][rows], w, a[i + 1][rows], np.dot))
            for i in reversed(range(1, len(W))):  # (n, n_out) @ (n_out, n_in)
                found.append(product(delta[i][rows], W[i].T, delta[i - 1][rows], np.dot))
        # (n_in, n) @ (n, n_out)
        if cuts:
            for i, inputs, *_ in input_blocks(case.sizes):
                found.append(product(a[i][:, inputs].T, delta[i], W_grad[i][inputs], np.matmul))
        else:
            found += [product(a[i].T, delta[i], W_grad[i], np.dot) for i in range(len(W))]
        return found

    batches = {n: prepared(n) for n in set(case.batches)}

    def train() -> None:
        for n in case.batches * epochs:
            for multiply in batches[n]:
                multiply()

    return train


def sigmoids_alone(case: Case, dtype: str, epochs: int) -> Training:
    """Prepare the sigmoids of a training and their derivatives, as this package computes them."""
    rng, sigmoid = np.random.RandomState(0), ACTIVATIONS["logistic"]
    batches = {
        n: [(normal(rng, dtype, n, width), np.empty((n, width), dtype)) for width in case.hidden]
        for n in set(case.batches)
    }

    def train() -> None:
        for n in case.batches * epochs:
            for a, delta in batches[n]:
                delta.fill(1)
                sigmoid.apply(a)
                sigmoid.backprop(a, delta, a)

    return train


def losses_alone(case: Case, dtype: str, epochs: int) -> Training:
    """Prepare the loss of a training and its derivative, as this package computes them."""
    rng = np.random.RandomState(0)
    key = {0: ("squared_error", "identity"), 2: ("log_loss", "logistic")}
    loss = LOSSES[key.get(case.classes, ("log_loss", "softmax"))]

    def prepared(n: int) -> tuple[NDArray, NDArray, NDArray, None, Scratch]:
        z, y = (normal(rng, dtype, n, case.sizes[-1]) for _ in range(2))
        return z, y, np.full_like(z, 1 / n), None, Scratch(z)

    batches = {n: prepared(n) for n in set(case.batches)}

    def train() -> None:
        for n in case.batches * epochs:
            loss.value_and_delta(*batches[n])

    return train


def steps_alone(case: Case, dtype: str, epochs: int) -> Training:
    """Prepare the steps of Adam, as this package takes them."""
    rng, solver = np.random.RandomState(0), Adam()
    theta, grad = (normal(rng, dtype, n_params(case.sizes)) for _ in range(2))
    state, weights = solver.new_state(theta), theta[None, : n_weights(case.sizes)]
    is_cut = bool(row_blocks(case.sizes, case.batch))
    steps = [
        stepping_through(block[-2:], solver, theta, weights, grad, state, is_first=False)
        for block in step_blocks(case.sizes, is_cut)
    ] or [stepping(solver, theta, [weights], grad, state)]
    size = np.full(1, 0.001, dtype)

    def train() -> None:
        for _ in range(case.updates(epochs)):
            for step in steps:
                step(size, None)

    return train


CONTENDERS = {
    OURS: fit_of_ours,
    SKLEARN: fit_of_sklearn,
    TORCH: loop_of_torch,
    PRODUCTS: products_alone,
    TORCH_PRODUCTS: partial(products_alone, by_torch=True),
}

#: Contenders that need PyTorch, and those that do not train.
WITH_TORCH, NO_TRAINING = {TORCH, TORCH_PRODUCTS}, {PRODUCTS, TORCH_PRODUCTS}

#: What an update consists of.
PARTS = {
    PRODUCTS: products_alone,
    CUT_PRODUCTS: partial(products_alone, is_cut=True),
    SIGMOIDS: sigmoids_alone,
    LOSS: losses_alone,
    STEPS: steps_alone,
}

#: Real tables, for a fit with all defaults.
TABLES = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
}


def default_fit(contender: str, name: str) -> Training:
    """Prepare a fit of an estimator as it comes, to a table whose columns are standardised."""
    X, y = TABLES[name](return_X_y=True)
    X = StandardScaler().fit_transform(X)
    estimator = {OURS: ScratchMLPClassifier, SKLEARN: MLPClassifier}[contender]
    model = estimator(random_state=0)
    return lambda: model.fit(X, y).loss_


# ---------------------------------------------------------------- processes that take turns


class Run(NamedTuple):
    """One training, timed."""

    seconds: float
    loss: float | None
    """Loss of the last epoch; None for products alone."""


def timed(train: Training) -> Run:
    """Run a training once."""
    gc.collect()
    began = time.perf_counter()
    loss = train()
    return Run(time.perf_counter() - began, loss)


def serve() -> None:
    """Run trainings as they are asked for: a JSON object a line comes in, and one goes out."""
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    for line in sys.stdin:
        request = json.loads(line)
        if "table" in request:
            train = default_fit(request["contender"], request["table"])
        else:
            prepare = (CONTENDERS | PARTS)[request["contender"]]
            train = prepare(CASES[request["case"]], request["dtype"], request["epochs"])
        print(json.dumps(timed(train)._asdict()), flush=True)


class Worker:
    """A process with a thread setting of its own, which runs trainings when asked to."""

    def __init__(self, threads: str):
        environment = {k: v for k, v in os.environ.items() if k not in THREAD_VARIABLES}
        if threads == "one":
            environment |= dict.fromkeys(THREAD_VARIABLES, "1")
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        """Return the worker, which has been started already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process: it has no more lines to read."""
        self.process.communicate()

    def run(self, contender: str, case: Case, dtype: str, epochs: int) -> Run:
        """Have one training run, and wait for it."""
        return self._ask(contender=contender, case=case.name, dtype=dtype, epochs=epochs)

    def run_default(self, contender: str, table: str) -> Run:
        """Have an estimator fitted as it comes, and wait for it."""
        return self._ask(contender=contender, table=table)

    def _ask(self, **request: Any) -> Run:
        assert self.process.stdin is not None and self.process.stdout is not None
        time.sleep(PAUSE)
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"The process that should run {request} has ended; see above.")
        return Run(**json.loads(answer))


#: What a process runs to keep a core busy, until the one that has started it has gone.
BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


class BusyMachine:
    """Context in which a process computes on each core that may be used."""

    def __enter__(self) -> Self:
        """Start the processes."""
        command = [sys.executable, "-c", BUSY]
        self.processes = [subprocess.Popen(command) for _ in range(joblib.cpu_count())]
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


def check_same_work(case: Case, losses: dict[str, float | None]) -> None:
    """Raise unless both estimators, given the same random numbers, arrived at the same loss."""
    ours, theirs = losses[OURS], losses[SKLEARN]
    if ours is None or theirs is None or not math.isclose(ours, theirs, rel_tol=1e-3):
        raise RuntimeError(
            f"{case.name}: not the same work: loss {ours} after our training, {theirs} after "
            "MLPClassifier's."
        )


#: Median seconds of a training, by thread setting and contender.
Medians = dict[tuple[str, str], float]


def measure(
    case: Case,
    dtype: str,
    workers: dict[str, Worker],
    contenders: Sequence[str],
    rounds: int,
    epochs: int,
) -> Medians:
    """Time all contenders under all thread settings, in turns."""
    turns = [(threads, contender) for contender in contenders for threads in workers]
    for threads, contender in turns:
        workers[threads].run(contender, case, dtype, epochs=1)
    seconds: dict[tuple[str, str], list[float]] = {turn: [] for turn in turns}
    for i in range(rounds):
        first = i * len(workers) % len(turns)
        losses = {}
        for turn in turns[first:] + turns[:first]:
            threads, contender = turn
            run = workers[threads].run(contender, case, dtype, epochs)
            seconds[turn].append(run.seconds)
            losses[contender] = run.loss
        check_same_work(case, losses)
    return {turn: median(values) for turn, values in seconds.items()}


def measure_default_fits(
    workers: dict[str, Worker], tables: Sequence[str], rounds: int
) -> dict[str, dict[tuple[str, str], float]]:
    """Time a fit of both estimators as they come to each table, in turns: median seconds."""
    turns = [(threads, contender) for contender in (OURS, SKLEARN) for threads in workers]
    found = {}
    for table in tables:
        seconds: dict[tuple[str, str], list[float]] = {turn: [] for turn in turns}
        for _ in range(rounds + 1):
            for threads, contender in turns:
                run = workers[threads].run_default(contender, table)
                seconds[threads, contender].append(run.seconds)
        found[table] = {turn: median(values[1:]) for turn, values in seconds.items()}
    return found


# ---------------------------------------------------------------- what is written


@cache
def torch_module() -> ModuleType | None:
    """PyTorch, if it is installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def machine() -> str:
    """Processor, cores that may be used, operating system."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        processor = names[0].split(": ")[1] if names else processor
    cores = joblib.cpu_count()
    return f"{processor}, {cores} core{'s' * (cores > 1)}, {platform.system()} {platform.machine()}"


class OtherPrograms:
    """How much other programs have kept the machine busy since this object was made."""

    def __init__(self) -> None:
        self.began, self.seconds_before = time.perf_counter(), self._seconds()

    def _seconds(self) -> float | None:
        """Seconds of processor time that others have used so far, where Linux tells it."""
        stat = Path("/proc/stat")
        if not stat.exists():
            return None
        # cpu user nice system idle iowait irq softirq steal ...
        ticks = [int(number) for number in stat.read_text().splitlines()[0].split()[1:9]]
        spent = (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")
        return spent - sum(os.times()[:4])  # this process, and its children that have ended

    def cores(self) -> float | None:
        """Cores that others have used on average. Ask when the child processes have ended."""
        seconds, elapsed = self._seconds(), time.perf_counter() - self.began
        if seconds is None or self.seconds_before is None:
            return None
        return max(0.0, seconds - self.seconds_before) / elapsed


def versions(*, with_torch: bool) -> str:
    """Versions of all that takes part."""
    blas = {
        " ".join(str(pool.get(key, "")) for key in ("internal_api", "version", "architecture"))
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    found = {
        "Python": platform.python_version(),
        "sknn_scratch": sknn_scratch.__version__,
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
        "BLAS": " and ".join(sorted(blas)) or "unknown",
    }
    if with_torch and (torch := torch_module()) is not None:
        found["PyTorch"] = torch.__version__
    return ", ".join(f"{name} {version}" for name, version in found.items())


def head(title: str, others: OtherPrograms, *, with_torch: bool = False) -> list[str]:
    """First lines of a report: title, command, machine, versions, what else the machine did."""
    command = shlex.join(["python", f"docs/benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    lines = [
        f"# {title}",
        "",
        f"Written by `{command}`; [what is measured](index.md).",
        "",
        f"- Machine: {machine()}",
        f"- Versions: {versions(with_torch=with_torch)}",
    ]
    if (busy := others.cores()) is not None:
        lines.append(f"- Cores that other programs kept busy meanwhile, on average: {busy:.1f}")
        if busy > MOST_BUSY_CORES:
            lines.append("- **Do not rely on these numbers: the machine was busy.**")
            say(f"Other programs kept {busy:.1f} cores busy: do not rely on these numbers.")
    return lines


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table, empty ones around it; numbers to the right."""
    rows = [list(row) for row in rows]
    numeric = [
        all(row[i][:1].isdigit() or row[i] == "-" for row in rows) for i in range(len(header))
    ]
    rule = ["--:" if right else "---" for right in numeric]
    return ["", *("| " + " | ".join(row) + " |" for row in [list(header), rule, *rows]), ""]


def digits(value: float, count: int = 3) -> str:
    """Write a number with so many digits, and no exponent."""
    if not value:
        return "0"
    return f"{value:,.{max(0, count - 1 - math.floor(math.log10(abs(value))))}f}"


def write(path: Path, lines: Sequence[str]) -> None:
    """Write a report, with a single line between its parts."""
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    say(f"wrote {path}")


def say(text: str) -> None:
    """Tell who waits how far it is."""
    print(text, file=sys.stderr, flush=True)


def names_among(choices: Sequence[str]) -> Callable[[str], list[str]]:
    """Type of an option: names with commas between them."""

    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; choose from {', '.join(choices)}"
            )
        return names

    return parse


def positive(text: str) -> int:
    """Type of an option: a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


# ---------------------------------------------------------------- the report of this script

#: Medians by case and dtype.
Results = dict[tuple[Case, str], Medians]

TITLES = {"one": "One thread", "default": "Default threads"}


def section(
    threads: str, results: Results, contenders: Sequence[str], epochs: int | None
) -> list[str]:
    """Table of one thread setting: microseconds an update, and ratios."""
    others = [contender for contender in contenders if contender != OURS]
    header = ["case", "dtype", "updates", *(f"{name}, µs" for name in contenders)]
    header += [f"{name} / ours" for name in others]
    rows = []
    for (case, dtype), medians in results.items():
        updates = case.updates(epochs or case.epochs)
        row = [case.name, dtype, f"{updates}"]
        row += [digits(1e6 * medians[threads, name] / updates) for name in contenders]
        ours = medians[threads, OURS]
        row += [f"{medians[threads, name] / ours:.2f}" for name in others]
        if threads != "one" and ("one", OURS) in medians:
            row.append(f"{medians['one', OURS] / ours:.2f}")
        rows.append(row)
    if len(rows[0]) > len(header):
        header.append("ours with one thread / ours")
    return [f"## {TITLES[threads]}", *table(header, rows)]


def busy_epochs(case: Case, epochs: int | None) -> int:
    """Choose the epochs on the busy machine, where some fits take many times as long."""
    return epochs or math.ceil(case.epochs / 4)


def busy_section(
    results: Results, contenders: Sequence[str], rounds: int, epochs: int | None
) -> list[str]:
    """Table of the busy machine: what more threads than one gain or cost each contender."""
    header = ["case", "dtype"]
    for name in contenders:
        header += [f"{name}, one thread, µs", f"{name}, default, µs", f"{name}: one / default"]
    rows = []
    for (case, dtype), medians in results.items():
        row = [case.name, dtype]
        for name in contenders:
            one, default = (medians[threads, name] for threads in ("one", "default"))
            updates = case.updates(busy_epochs(case, epochs))
            row += [digits(1e6 * seconds / updates) for seconds in (one, default)]
            row.append(f"{one / default:.2f}")
        rows.append(row)
    return [
        "## Busy machine",
        "",
        "Meanwhile another process computes on each core. Microseconds for one update, medians of "
        f"{rounds} round{'s' * (rounds > 1)}. Below 1, the threads that a library takes by default "
        "make a fit slower.",
        *table(header, rows),
    ]


def parts_section(results: Results, rounds: int, epochs: int | None) -> list[str]:
    """Table of what an update consists of, and of what it would gain without all else."""
    taken = [CUT_PRODUCTS, SIGMOIDS, LOSS, STEPS]
    header = ["case", "dtype", "ours, µs", *(f"{name}, µs" for name in PARTS), "rest, µs"]
    header += [f"{SKLEARN}, µs", f"{SKLEARN} / ours", f"{SKLEARN} / parts"]
    rows = []
    for (case, dtype), medians in results.items():
        times = {name: seconds for (_, name), seconds in medians.items()}
        parts = sum(times[name] for name in taken)
        shown = [times[OURS], *(times[name] for name in PARTS), max(0.0, times[OURS] - parts)]
        shown.append(times[SKLEARN])
        updates = case.updates(epochs or case.epochs)
        rows.append([case.name, dtype, *(digits(1e6 * seconds / updates) for seconds in shown)])
        rows[-1] += [f"{times[SKLEARN] / seconds:.2f}" for seconds in (times[OURS], parts)]
    return [
        "## What an update consists of",
        "",
        "One thread, microseconds for one update, medians of "
        f"{rounds} round{'s' * (rounds > 1)}: each part alone, by the functions of this package, "
        "on arrays that are there already. Large updates are cut into blocks for threads, and "
        "products of blocks take longer than whole ones. The rest is what is left of our time: to "
        "validate, to gather rows, to add biases, Python, and arrays that leave the cache between "
        f"parts. {SKLEARN} / parts is the ratio if there were no rest.",
        *table(header, rows),
    ]


def default_section(found: dict[str, dict[tuple[str, str], float]], rounds: int) -> list[str]:
    """Table of the fits with all defaults."""
    threads = list(dict.fromkeys(threads for medians in found.values() for threads, _ in medians))
    header = ["table"]
    for setting in threads:
        title = TITLES[setting].lower()
        header += [f"ours, {title}, ms", f"MLPClassifier, {title}, ms", f"ratio, {title}"]
    rows = []
    for name, medians in found.items():
        row = [name]
        for setting in threads:
            ours, theirs = medians[setting, OURS], medians[setting, SKLEARN]
            row += [digits(1e3 * ours), digits(1e3 * theirs), f"{theirs / ours:.2f}"]
        rows.append(row)
    return [
        "## All defaults",
        "",
        "`ScratchMLPClassifier()` and `MLPClassifier()` as they come, on standardised columns: "
        f"not the same work. Milliseconds for a fit, medians of {rounds} "
        f"round{'s' * (rounds > 1)}; ratio is MLPClassifier / ours.",
        *table(header, rows),
    ]


def report(
    results: Results,
    threads: Sequence[str],
    contenders: Sequence[str],
    rounds: int,
    epochs: int | None,
) -> list[str]:
    """Lines of the report, but for its head."""
    lines = [
        "",
        f"Microseconds for one update of the parameters, medians of {rounds} "
        f"round{'s' * (rounds > 1)}, and ratios of medians. Above 1, ours is faster; "
        "products / ours is the share of our time that the matrix products alone would take. They "
        "are NumPy's, by np.dot; PyTorch's are the same products by torch.mm.",
        "",
    ]
    if TORCH not in contenders:
        lines += ["PyTorch is not installed, so its columns are missing.", ""]
    for setting in threads:
        lines += section(setting, results, contenders, epochs)
    return lines


#: Colours that are told apart without seeing red and green (Okabe and Ito), markers of different
#: shape, and how far from the middle of the row they lie, lest one hide another.
STYLES = {
    SKLEARN: ("#0072B2", "o", -0.15),
    TORCH: ("#D55E00", "s", 0.15),
    PRODUCTS: ("#009E73", "^", 0.0),
}


def draw(results: Results, threads: Sequence[str], contenders: Sequence[str], path: Path) -> None:
    """Draw times relative to ours, a panel for each thread setting and dtype."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import LogLocator, NullLocator
    except ImportError:
        say("matplotlib is not installed, so there is no picture.")
        return
    cases = list(dict.fromkeys(case for case, _ in results))
    dtypes = list(dict.fromkeys(dtype for _, dtype in results))
    height = 1.6 + len(threads) * (0.9 + 0.32 * len(cases))
    figure = Figure(figsize=(4.8 * len(dtypes), height), layout="constrained")
    panels = figure.subplots(len(threads), len(dtypes), sharex=True, sharey=True, squeeze=False)
    for setting, row in zip(threads, panels, strict=True):
        for dtype, axes in zip(dtypes, row, strict=True):
            axes.set_title(f"{TITLES[setting]}, {dtype}")
            axes.axvline(1, color="black", linewidth=1.5)
            for name in (name for name in contenders if name in STYLES):
                colour, marker, shift = STYLES[name]
                medians = [results[case, dtype] for case in cases]
                ratios = [m[setting, name] / m[setting, OURS] for m in medians]
                label = "matrix products alone" if name == PRODUCTS else name
                places = [place + shift for place in range(len(cases))]
                axes.plot(ratios, places, marker, color=colour, markersize=7, label=label)
    axes = panels[0][0]
    axes.set_yticks(range(len(cases)), [case.name for case in cases])
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_xscale("log")
    for axes in panels.flat:
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=20))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter("{x:g}")
        axes.grid(True, color="0.88")
        axes.set_axisbelow(True)
    figure.supxlabel("time of a fit / time of ours (black line); to the right: ours is faster")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    say(f"wrote {path}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--cases", type=names_among([*CASES]), default=[*CASES], help=f"from {','.join(CASES)}")
    add("--dtypes", type=names_among(DTYPES), default=[*DTYPES], help=f"from {','.join(DTYPES)}")
    add("--threads", type=names_among(THREADS), default=[*THREADS], help="one, default, or both")
    add("--rounds", type=positive, default=11, help="how often each fit is timed")
    add("--epochs", type=positive, help="epochs of all cases, instead of those chosen for each")
    add("--busy-rounds", type=int, default=5, help="likewise on the busy machine; 0 for none")
    add("--tables", type=names_among([*TABLES]), default=[*TABLES], help="for all defaults")
    add("--default-rounds", type=int, default=5, help="likewise with all defaults; 0 for none")
    add("--part-rounds", type=int, default=5, help="likewise for parts of an update; 0 for none")
    add("--out", type=Path, default=HERE, metavar="DIR", help="where to write")
    add("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure all that was asked for, and write the report."""
    options = arguments()
    if options.serve:
        serve()
        return
    others = OtherPrograms()
    contenders = [*CONTENDERS]
    if torch_module() is None:
        contenders = [name for name in CONTENDERS if name not in WITH_TORCH]
    results: Results = {}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(name)) for name in options.threads}
        for case in (CASES[name] for name in options.cases):
            for dtype in options.dtypes:
                epochs = options.epochs or case.epochs
                began = time.perf_counter()
                medians = measure(case, dtype, workers, contenders, options.rounds, epochs)
                results[case, dtype] = medians
                seconds = time.perf_counter() - began
                say(f"{case.name} {dtype}: {options.rounds} round(s) in {seconds:.0f} s")
        more = []
        if options.part_rounds and "one" in workers:
            parts, one = {}, {"one": workers["one"]}
            for case, dtype in results:
                epochs = options.epochs or case.epochs
                parts[case, dtype] = measure(
                    case, dtype, one, [OURS, SKLEARN, *PARTS], options.part_rounds, epochs
                )
                say(f"{case.name} {dtype}, parts: done")
            more += parts_section(parts, options.part_rounds, options.epochs)
        if options.default_rounds:
            found = measure_default_fits(workers, options.tables, options.default_rounds)
            more += default_section(found, options.default_rounds)
        if options.busy_rounds and set(workers) == set(THREADS):
            busy, trained = {}, [name for name in contenders if name not in NO_TRAINING]
            with BusyMachine():
                for case, dtype in results:
                    epochs = busy_epochs(case, options.epochs)
                    busy[case, dtype] = measure(
                        case, dtype, workers, trained, options.busy_rounds, epochs
                    )
                    say(f"{case.name} {dtype}, busy machine: done")
            more += busy_section(busy, trained, options.busy_rounds, options.epochs)
    lines = head("Speed of fit", others, with_torch=True)
    lines += report(results, options.threads, contenders, options.rounds, options.epochs) + more
    write(options.out / "fit_speed.md", lines)
    draw(results, options.threads, contenders, options.out / "fit_speed.png")


if __name__ == "__main__":
    main()
