"""What short fits of every kind end with: a judge of changes that must not change a number.

``python tests/stored_fits.py write FILE`` computes every fit and stores all that it leaves behind,
bit for bit; ``check FILE`` computes them again and names those that differ in a single bit. Bits
are those of one machine and one set of versions, which the file notes. ``summarise`` rewrites
``stored_fits.json``, a few rounded numbers a fit, which ``test_stored_fits.py`` compares anywhere.
"""

import argparse
import copy
import io
import itertools
import json
import math
import pickle
import platform
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
import scipy
import scipy.sparse
import sklearn
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import is_classifier
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_info, threadpool_limits

import sknn_scratch
from sknn_scratch import Checkpoint, ScratchMLPClassifier, ScratchMLPRegressor
from sknn_scratch.estimator.base import ScratchMLP

HAS_CALLBACKS = find_spec("sklearn.callback") is not None  # from scikit-learn 1.9 on

#: Warnings that count where versions differ.
WARNINGS = ("ConvergenceWarning", "DataConversionWarning", "UserWarning")

#: Reasons to stop that are the same with every version of SciPy.
STOP_REASONS = ("max_iter", "stalled", "callback", "interrupted", "converged")

#: Where the summaries are.
SUMMARIES = Path(__file__).with_name("stored_fits.json")

Record = dict[str, NDArray]
"""What one network has learnt, or one search has found, by name."""
Records = dict[str, Record]
"""Of one fit of the table below: a record after each of its steps, or of each of its networks."""
Run = Callable[[], Records]


# ---------------------------------------------------------------- tables


class Table(NamedTuple):
    """Rows to learn from, and rows for validation."""

    X: Any
    y: Any
    weights: NDArray
    X_val: Any
    y_val: Any
    weights_val: NDArray


def split(X: NDArray, y: NDArray) -> Table:
    """Table of X and y, of which every fifth row is for validation."""
    weights = np.random.RandomState(9).uniform(0.2, 2, size=len(X))
    weights[::7] = 0
    held = np.arange(len(X)) % 5 == 0
    return Table(*(part[rows] for rows in (~held, held) for part in (X, y, weights)))


def classified(n: int, columns: int, classes: int = 2, **settings: Any) -> tuple[NDArray, NDArray]:
    """Rows of clusters, with some labels wrong."""
    settings = {"n_informative": columns - 2, "flip_y": 0.1, "random_state": 1} | settings
    return datasets.make_classification(n, columns, n_classes=classes, **settings)


def binary() -> Table:
    X, y = classified(150, 6)
    return split(X, np.array(["no", "yes"])[y])


def multiclass() -> Table:
    return split(*classified(160, 7, 3))


def multilabel() -> Table:
    made = datasets.make_multilabel_classification(150, 8, n_classes=3, random_state=2)
    return split(*made)


def moons() -> Table:
    X, y = datasets.make_moons(230, noise=0.3, random_state=3)
    return split(X, y == 1)


def blobs() -> Table:
    return split(*datasets.make_blobs(130, 3, centers=5, cluster_std=4.0, random_state=4))


def rings() -> Table:
    return split(
        *datasets.make_gaussian_quantiles(n_samples=300, n_features=2, n_classes=4, random_state=5)
    )


def hastie() -> Table:
    return split(*datasets.make_hastie_10_2(430, random_state=6))


def wide() -> Table:
    """So many columns that as many inputs as ever are left out by chance."""
    return split(*classified(100, 30, 3))


def columns() -> Table:
    """So many that some inputs are left out."""
    return split(*classified(200, 14))


def uneven() -> Table:
    X, y = classified(200, 5, 3, weights=[0.75, 0.2, 0.05])
    return split(X, np.array(["much", "less", "rare"])[y])


def tiny() -> Table:
    return split(*datasets.make_circles(25, noise=0.1, random_state=7))


def mixed() -> Table:
    """Columns on scales far apart, of zeros and ones, constant, and with values far out."""
    X, y = classified(180, 8, 3)
    X[:, 0] *= 1e6
    X[:, 1] = 1e-6 * X[:, 1] + 3
    X[:, 2] = X[:, 2] > 1
    X[:, 3] = 7.0
    X[:, 4] **= 5
    return split(X, y)


def vast() -> Table:
    """Columns whose squares overflow."""
    X, y = classified(100, 4)
    return split(X * [1e150, 1.0, 1e-150, 1e200], y)


def large() -> Table:
    """So many rows that early_stopping="auto" stops early."""
    return split(*classified(12_700, 4, 3, n_clusters_per_class=1))


def numbers() -> Table:
    X, y = datasets.make_friedman1(180, noise=1.0, random_state=6)
    return split(X, 1000 + 50 * y)


def several_numbers() -> Table:
    X, y = datasets.make_friedman1(150, noise=1.0, random_state=7)
    return split(X, np.column_stack([y, 1e6 * X[:, 0] * X[:, 1]]))


def counts() -> Table:
    X, y = datasets.make_friedman1(150, noise=0.0, random_state=8)
    return split(X, np.random.RandomState(8).poisson(y))


def sparse(table: Callable[[], Table], container: Any = scipy.sparse.csr_matrix) -> Any:
    """Make the X of a table sparse: what is small becomes zero."""

    def make() -> Table:
        found = table()
        X, X_val = (container(np.where(X > 0.5, X, 0.0)) for X in (found.X, found.X_val))
        return found._replace(X=X, X_val=X_val)

    return make


def typed(table: Callable[[], Table], dtype: Any) -> Callable[[], Table]:
    """Make the X of a table one of this dtype."""

    def make() -> Table:
        found = table()
        return found._replace(X=found.X.astype(dtype), X_val=found.X_val.astype(dtype))

    return make


def labelled(table: Callable[[], Table], change: Callable[[NDArray], Any]) -> Callable[[], Table]:
    """Change the y of a table."""

    def make() -> Table:
        found = table()
        return found._replace(y=change(found.y), y_val=change(found.y_val))

    return make


# ---------------------------------------------------------------- what a fit leaves behind

ATTRIBUTES = [
    "mean_",
    "scale_",
    "loss_",
    "best_loss_",
    "loss_curve_",
    "validation_loss_curve_",
    "validation_scores_",
    "best_validation_score_",
    "best_iter_",
    "n_iter_",
    "stop_reason_",
    "batch_size_",
    "learning_rate_init_",
    "input_dropout_",
    "weight_decay_",
    "t_",
    "n_layers_",
    "n_outputs_",
    "out_activation_",
    "n_features_in_",
]

#: Those that only a classifier, or only a regressor, has; and likewise what predicts.
OF_ONE_KIND = ["classes_", "target_mean_", "target_scale_"]
METHODS = ["predict", "predict_proba", "predict_log_proba"]


def as_array(value: Any) -> NDArray:
    """Return an attribute as an array that needs no pickle."""
    array = np.array("None") if value is None else np.asarray(value)
    return np.array(array.tolist()) if array.dtype == object else array


def listed(name: str, arrays: Iterable[NDArray]) -> Record:
    """Arrays of a list, each under a name of its own."""
    return {f"{name}[{k}]": array for k, array in enumerate(arrays)}


def state_of(rng: np.random.RandomState) -> Record:
    """State of a source of random numbers."""
    name, key, *rest = rng.get_state()
    return {f"{name} key": key, f"{name} place": np.array(rest, dtype=np.float64)}


def record(model: ScratchMLP, X: Any) -> Record:
    """All that a network has learnt, and what it says of some rows of X."""
    names = [*ATTRIBUTES, *(name for name in OF_ONE_KIND if hasattr(model, name))]
    found = {name: as_array(getattr(model, name)) for name in names}
    found |= listed("coefs_", model.coefs_) | listed("intercepts_", model.intercepts_)
    for title, rows in {"X": X[:12], "one row": X[12:13], "far out": X[:6] * 1000}.items():
        for method in filter(partial(hasattr, model), METHODS):
            found[f"{method}({title})"] = getattr(model, method)(rows)
        found |= listed(f"hidden_activations({title})", model.hidden_activations(rows))
    if isinstance(model.random_state, np.random.RandomState):
        found |= state_of(model.random_state)
    return found


def computed(run: Run) -> Records:
    """Compute a fit on one BLAS thread; its records, and what it warned of and printed."""
    printed = io.StringIO()
    with (
        threadpool_limits(1, user_api="blas"),
        warnings.catch_warnings(record=True) as warned,
        redirect_stdout(printed),
    ):
        warnings.simplefilter("always")
        records = run()
    # In order, as tasks of a stack take turns by the clock.
    messages = sorted(f"{each.category.__name__}: {each.message}" for each in warned)
    return records | {
        "messages": {
            "warnings": np.array(messages, dtype=str),
            "printed": np.array(re.sub(r"\d+\.\d s$", "", printed.getvalue(), flags=re.MULTILINE)),
        }
    }


# ---------------------------------------------------------------- ways to fit

Step = Callable[[ScratchMLP, Table], ScratchMLP]
"""What happens to a network; it returns the one to go on with."""

QUICK = {
    "dtype": None,
    "hidden_layer_sizes": (8,),
    "max_iter": 8,
    "batch_size": 32,
    "random_state": 0,
}
DEFAULTS = {"hidden_layer_sizes": (200,), "max_iter": "auto", "batch_size": "auto"}
DEFAULTS_OF_NUMBERS = {"hidden_layer_sizes": (100, 50), "max_iter": "auto", "batch_size": "auto"}


def network(settings: dict[str, Any], cls: type = ScratchMLPClassifier) -> ScratchMLP:
    """Make a network that is fitted quickly, but for the settings; those that change are copies."""
    return cls(**copy.deepcopy(QUICK | settings))


def fit(
    rows: slice = slice(None), *, weighted: bool = False, validation: str = "", **changes: Any
) -> Step:
    """Call fit on some rows, with changed parameters, and with validation rows of its own or not.

    Parameters
    ----------
    rows : slice
        Rows of the table to learn from.
    weighted : bool
        Whether they have weights.
    validation : {"", "own", "weighted"}
        Whether to give X_val and y_val, and whether with weights.
    **changes
        Parameters to set before.
    """

    def step(model: ScratchMLP, table: Table) -> ScratchMLP:
        model.set_params(**copy.deepcopy(changes))
        given = {"X_val": table.X_val, "y_val": table.y_val} if validation else {}
        if validation == "weighted":
            given["sample_weight_val"] = table.weights_val
        weights = table.weights[rows] if weighted else None
        return model.fit(table.X[rows], table.y[rows], weights, **given)

    return step


def partial_fit(rows: slice = slice(None), *, weighted: bool = False, **changes: Any) -> Step:
    """Call partial_fit on some rows, with changed parameters."""

    def step(model: ScratchMLP, table: Table) -> ScratchMLP:
        model.set_params(**copy.deepcopy(changes))
        y = table.y
        given = {}
        if is_classifier(model) and not hasattr(model, "coefs_"):
            given["classes"] = np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])
        weights = table.weights[rows] if weighted else None
        return model.partial_fit(table.X[rows], y[rows], weights, **given)

    return step


def with_sparse(step: Step) -> Step:
    """Take a step with a sparse X."""

    def sparse_step(model: ScratchMLP, table: Table) -> ScratchMLP:
        return step(model, table._replace(X=scipy.sparse.csr_matrix(table.X)))

    return sparse_step


def pickled(model: ScratchMLP, table: Table) -> ScratchMLP:
    """Save and load the network."""
    return pickle.loads(pickle.dumps(model))


def refused(step: Step) -> Step:
    """Take a step that fails, and turn its error into a warning."""

    def failing(model: ScratchMLP, table: Table) -> ScratchMLP:
        try:
            step(model, table)
        except ValueError as error:
            warnings.warn(f"refused: {error}", stacklevel=2)
            return model
        raise AssertionError("the step was to fail")

    return failing


class CtrlC(KeyboardInterrupt):
    """An interrupt by the user that belongs to a fit."""


class InterruptingOutput(io.StringIO):
    """Standard output at which the user presses Ctrl-C when so many lines have come."""

    def __init__(self, lines: int):
        super().__init__()
        self.lines = lines

    def write(self, text: str) -> int:
        self.lines -= text.count("\n")
        if self.lines <= 0:
            raise CtrlC
        return len(text)


def interrupted(step: Step, *, after: int) -> Step:
    """Take a step that prints epochs, and interrupt it after so many."""

    def step_until(model: ScratchMLP, table: Table) -> ScratchMLP:
        with redirect_stdout(InterruptingOutput(after)):
            return step(model.set_params(verbose=True), table)

    return step_until


class InterruptingScorer:
    """Scores by the mean of the largest probabilities, until the user presses Ctrl-C."""

    def __init__(self, after: int | float = math.inf):
        self.after = after

    def __call__(
        self, estimator: Any, X: Any, y: Any, sample_weight: NDArray | None = None
    ) -> float:
        self.after -= 1
        if self.after < 0:
            raise CtrlC
        surest = estimator.predict_proba(X).max(axis=1)
        return float(np.average(surest, weights=sample_weight))


def story(
    table: Callable[[], Table],
    *steps: Step,
    cls: type = ScratchMLPClassifier,
    **settings: Any,
) -> Run:
    """Let a network go through steps, by default one fit, with a record after each."""

    def run() -> Records:
        rows, model, found = table(), network(settings, cls), {}
        for k, step in enumerate(steps or [fit()], start=1):
            model = step(model, rows)
            found[f"{k}"] = record(model, rows.X)
        return found

    return run


def by_the_global_generator() -> Records:
    """Fit with random_state=None."""
    rng = check_random_state(None)
    before = rng.get_state()
    rng.seed(3)
    try:
        found = story(multiclass, random_state=None, input_dropout=0.1)()
        found["1"] |= state_of(rng)
    finally:
        rng.set_state(before)
    return found


# ---------------------------------------------------------------- callbacks


class Stopped(Exception):
    """What a callback raises."""


class Watcher:
    """Callback that keeps the parameters after each epoch, and ends or fails after one of them."""

    def __init__(self, *, end: int | None = None, fail: int | None = None, error: Any = Stopped):
        self.end, self.fail, self.error = end, fail, error
        self.seen: Record = {}

    def setup(self, estimator: Any, context: Any) -> None:
        pass

    def teardown(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        pass

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> bool:
        if context.task_name != "epoch" or fitted_estimator is None:
            return False
        epoch = context.task_id + 1
        coefs, curve = fitted_estimator.coefs_, fitted_estimator.loss_curve_
        self.seen |= listed(f"epoch {epoch}: coefs_", coefs)
        self.seen[f"epoch {epoch}: loss_curve_"] = np.array(curve)
        if epoch == self.fail:
            raise self.error
        return epoch == self.end


def watched(
    table: Callable[[], Table], step: Step | None = None, *, end: int | None = None, **settings: Any
) -> Run:
    """Fit with a callback that watches each epoch, and may end training after one."""

    def run() -> Records:
        rows, watcher = table(), Watcher(end=end)
        model = network(settings).set_callbacks(watcher)
        (step or fit())(model, rows)
        return {"1": record(model, rows.X), "epochs": watcher.seen}

    return run


def resumed(
    table: Callable[[], Table],
    step: Step | None = None,
    *,
    kills: Sequence[int] = (3, 6),
    end: int | None = None,
    every: int = 2,
    first: Step | None = None,
    error: type[BaseException] = Stopped,
    **settings: Any,
) -> Run:
    """Go on from a checkpoint, after fits that failed or were ended early.

    Parameters
    ----------
    table, step, **settings
        The fit.
    kills : sequence of int
        A fit fails after each of these epochs.
    end : int, optional
        Then one is ended by a callback after this one.
    every : int
        The state is written after every so many epochs.
    first : step, optional
        What happens to each network before it gets callbacks.
    error : exception class
        What the callback raises.
    """

    def run() -> Records:
        rows, found = table(), {}
        with tempfile.TemporaryDirectory() as folder:
            keeper = Checkpoint(Path(folder) / "run.npz", every_n_epochs=every, every_seconds=None)
            watchers = [Watcher(fail=kill, error=error) for kill in kills]
            watchers += [Watcher(end=end)] if end else []
            for k, watcher in enumerate([*watchers, Watcher()], start=1):
                model = network(settings)
                if first is not None:
                    first(model, rows)
                model.set_callbacks(keeper, watcher)
                with suppress(Stopped):
                    found[f"{k}"] = record((step or fit())(model, rows), rows.X)
                found[f"epochs {k}"] = watcher.seen
        return found

    return run


def resumed_together() -> Records:
    """Go on from checkpoints in a stack."""
    rows, models = multiclass(), []
    with tempfile.TemporaryDirectory() as folder:
        for k, changes in enumerate([{"alpha": 0.1, "input_dropout": 0.1}, {"momentum": 0.5}]):
            settings = {"solver": "sgd"} | changes
            keeper = Checkpoint(Path(folder) / f"{k}", every_n_epochs=2, every_seconds=None)
            with suppress(Stopped):
                fit()(network(settings).set_callbacks(keeper, Watcher(fail=5)), rows)
            models.append(network(settings).set_callbacks(keeper))
        with parallel_config(backend="stacked", n_jobs=1):
            models = Parallel()(delayed(fit())(model, rows) for model in models)
    return {f"{k}": record(model, rows.X) for k, model in enumerate(models, start=1)}


# ---------------------------------------------------------------- stacks


def together(
    table: Callable[[], Table],
    changes: Sequence[dict[str, Any]],
    *steps: Step,
    n_jobs: int = 1,
    max_stack: int = 256,
    **settings: Any,
) -> Run:
    """Let networks go through steps, each step of all of them in one call of joblib."""

    def run() -> Records:
        rows = table()
        models = [network(settings | each) for each in changes]
        for step in steps or [fit()]:
            with parallel_config(backend="stacked", n_jobs=n_jobs, max_stack=max_stack):
                models = Parallel()(delayed(step)(model, rows) for model in models)
        return {f"{k}": record(model, rows.X) for k, model in enumerate(models, start=1)}

    return run


def scores_of(found: dict[str, Any]) -> Record:
    """What a search or a cross-validation has measured, but for times."""
    return {
        name: np.asarray(values)
        for name, values in found.items()
        if re.match(r"(split\d+|mean|std|rank)_test_|test_", name)
    }


def searched(
    table: Callable[[], Table],
    grid: dict[str, list],
    *,
    scoring: Any = ("accuracy", "neg_log_loss"),
    **settings: Any,
) -> Run:
    """Search a grid in stacks, and fit the best once more."""

    def run() -> Records:
        rows = table()
        search = GridSearchCV(
            network(settings), grid, cv=2, scoring=list(scoring), refit=scoring[-1]
        )
        with parallel_config(backend="stacked", n_jobs=1):
            search.fit(rows.X, rows.y)
        return {
            "1": record(search.best_estimator_, rows.X),
            "scores": scores_of(search.cv_results_),
        }

    return run


def cross_validated(
    table: Callable[[], Table], *, weighted: bool = False, scoring: Any = None, **settings: Any
) -> Run:
    """Cross-validate in stacks."""

    def run() -> Records:
        rows = table()
        with parallel_config(backend="stacked", n_jobs=1):
            found = cross_validate(
                network(settings),
                rows.X,
                rows.y,
                cv=3,
                scoring=scoring,
                params={"sample_weight": rows.weights} if weighted else None,
                return_estimator=True,
            )
        networks = {f"{k}": record(each, rows.X) for k, each in enumerate(found["estimator"], 1)}
        # Whether scores are weighted, too, depends on the version of scikit-learn.
        return networks if weighted else networks | {"scores": scores_of(found)}

    return run


def in_processes() -> Records:
    """Train stacks in processes; they stall after a few epochs."""
    changes = [*SEEDS, {"alpha": 0.1}]
    stalling = {"max_iter": 10**6, "tol": 0.1, "n_iter_no_change": 2}
    found = together(blobs, changes, n_jobs=2, **ADAM, **stalling)()
    get_reusable_executor().shutdown(wait=True)
    return found


def bagged() -> Records:
    """Bag networks that differ in their rows and seeds."""
    rows = blobs()
    ensemble = BaggingClassifier(network({}), n_estimators=3, random_state=0)
    with parallel_config(backend="stacked", n_jobs=1):
        ensemble.fit(rows.X, rows.y)
    return {f"{k}": record(each, rows.X) for k, each in enumerate(ensemble.estimators_, start=1)}


# ---------------------------------------------------------------- the fits


def turns() -> Iterator[tuple[str, tuple[int, ...], dict[str, Any]]]:
    """Settings that take turns, in periods that have no factor in common."""
    activations = ["logistic", "tanh", "relu", "identity"]
    layers = [(8,), (7, 5), (), (6, 5, 4), (12,)]
    others = [
        {},
        {"init": "glorot"},
        {"scale_features": False},
        {"class_weight": "balanced"},
        {"dtype": "float32"},
        {"early_stopping": True},
        {"alpha": 0.1, "weight_decay": 0.02},
    ]
    for number in itertools.count():
        yield activations[number % 4], layers[number % 5], others[number % 7]


def grid() -> Iterator[tuple[str, Run]]:
    """Each task with each loss and each solver, alone and in stacks; all else takes turns."""
    tasks = (binary, multiclass, multilabel)
    losses = ("guarded_squared_error", "squared_error", "log_loss")
    solvers = ("adam", "sgd", "lbfgs")
    stack = [{}, {"alpha": 0.5}, {"random_state": 1}, {"max_iter": 5, "random_state": 1}]
    each = itertools.product(range(2), tasks, losses, solvers)
    for number, ((_, task, loss, solver), (activation, layers, other)) in enumerate(
        zip(each, turns(), strict=False)
    ):
        if activation == "relu":
            other = {"init": "glorot"} | other  # see BITS_ONLY
        words = [task.__name__, loss, solver, activation, layers]
        words += [f"{key}={value}" for key, value in other.items()]
        if task is multilabel and "class_weight" in other:
            other = {"class_weight": [{0: 2.0}, {1: 3.0}, {0: 0.5, 1: 1.5}]}
        settings = {"loss": loss, "solver": solver, "activation": activation}
        settings |= {"hidden_layer_sizes": layers} | other
        if solver == "sgd":
            settings["learning_rate_init"] = 0.1  # at more some of them do not learn
        step = fit(weighted=number % 11 < 5)
        name = ", ".join(map(str, [*words, *["weighted"] * (number % 11 < 5)]))
        yield name, story(task, step, **settings)
        if solver != "lbfgs":
            yield f"stacked, {name}", together(task, stack, step, **settings)


SGD = {"solver": "sgd", "learning_rate": "constant", "learning_rate_init": 0.1}
ADAM = {"learning_rate": "constant", "learning_rate_init": 0.02}
LBFGS = {"solver": "lbfgs", "max_iter": 12}
ADAPTIVE = {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1}
STOPPING = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 25}
FIRST, SECOND = slice(0, 70), slice(70, None)

FITS: dict[str, Run] = dict(grid())

# As anybody would call it.
FITS |= {
    f"defaults, {table.__name__}": story(table, **DEFAULTS)
    for table in (binary, multiclass, multilabel, moons, blobs, rings, wide, columns, uneven, tiny)
}
FITS |= {
    "defaults, hastie": story(hastie, **DEFAULTS),
    "defaults, mixed columns": story(mixed, **DEFAULTS),
    "defaults, sgd": story(multiclass, solver="sgd", **DEFAULTS),
    "defaults, lbfgs": story(multiclass, solver="lbfgs", **DEFAULTS | {"max_iter": 15}),
    "defaults, narrow": story(moons, **DEFAULTS | {"hidden_layer_sizes": 4}),
    "defaults, no hidden layer": story(multiclass, **DEFAULTS | {"hidden_layer_sizes": ()}),
    "defaults, three hidden layers": story(
        rings, **DEFAULTS | {"hidden_layer_sizes": [20, 15, 10]}
    ),
    "defaults, few epochs": story(blobs, **DEFAULTS | {"max_iter": 3}),
    "many rows": story(
        large, early_stopping="auto", max_iter=2, batch_size="auto", hidden_layer_sizes=4
    ),
    "many rows, one batch": story(large, max_iter=2, batch_size=10_160),
    "as MLPClassifier": story(
        blobs,
        **DEFAULTS
        | {"hidden_layer_sizes": (100,), "activation": "relu", "loss": "log_loss"}
        | {"learning_rate": "constant", "learning_rate_init": 0.001, "init": "glorot"}
        | {"scale_features": False, "input_dropout": 0, "weight_decay": 0, "beta_2": 0.999}
        | {"batch_size": 104, "max_iter": 30},
    ),
}

# Solvers, their schedules and settings.
FITS |= {
    "sgd, constant": story(multiclass, **SGD),
    "sgd, no momentum": story(multiclass, **SGD, momentum=0.0),
    "sgd, plain momentum": story(binary, **SGD, nesterovs_momentum=False),
    "sgd, full momentum": story(binary, **SGD | {"momentum": 1.0, "learning_rate_init": 0.001}),
    "sgd, invscaling": story(multilabel, **SGD | {"learning_rate": "invscaling", "power_t": 0.1}),
    "sgd, adaptive": story(multiclass, **ADAPTIVE, max_iter=20),
    "sgd, adaptive, to the lowest rate": story(binary, **ADAPTIVE | {"tol": 9.0}, max_iter=40),
    "sgd, cosine": story(moons, solver="sgd", learning_rate_init=0.3),
    "sgd, cosine, glorot, relu": story(rings, solver="sgd", init="glorot", activation="relu"),
    "sgd, a large decay": story(multiclass, **SGD, weight_decay=0.3),
    "adam, constant": story(multiclass, **ADAM),
    "adam, invscaling, which it ignores": story(binary, **ADAM | {"learning_rate": "invscaling"}),
    "adam, adaptive, which it ignores": story(
        binary, **ADAM | {"learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2}
    ),
    "adam, its constants": story(multilabel, **ADAM, beta_1=0.5, beta_2=0.9, epsilon=0.01),
    "adam, without memory": story(multiclass, beta_1=0.0, beta_2=0.0, epsilon=0.1),
    "adam, stalled": story(blobs, **ADAM, tol=0.05, n_iter_no_change=2, max_iter=30),
    "adam, never stalled": story(blobs, **ADAM, tol=0.05, n_iter_no_change=math.inf),
    "a large alpha": story(multiclass, alpha=10.0),
    "no alpha": story(multiclass, alpha=0.0, activation="relu", init="glorot"),
    "rows in order": story(rings, shuffle=False),
    "rows in order, sgd, weighted": story(rings, fit(weighted=True), shuffle=False, **SGD),
    "batches of one row": story(tiny, batch_size=1, max_iter=5),
    "batches of seven rows": story(moons, batch_size=7, max_iter=3),
    "batches that are too large": story(binary, batch_size=500),
    "dropout": story(binary, input_dropout=0.3),
    "dropout, sgd, weighted": story(wide, fit(weighted=True), input_dropout=0.5, **SGD),
    "dropout, no scaling": story(
        multilabel, input_dropout=0.2, activation="tanh", scale_features=False
    ),
    "decay, float32": story(multiclass, weight_decay=0.1, dtype="float32"),
    "one hidden layer for each activation": story(
        blobs,
        *(fit(activation=each) for each in ("identity", "logistic", "tanh", "relu")),
        init="glorot",
        max_iter=4,
    ),
    "three hidden layers for each activation": story(
        rings,
        *(fit(activation=each) for each in ("identity", "logistic", "tanh", "relu")),
        hidden_layer_sizes=(9, 7, 5),
        init="glorot",
        max_iter=4,
    ),
    "verbose": story(multiclass, **ADAPTIVE, max_iter=12, verbose=True, early_stopping=True),
    "verbose, stalled": story(blobs, **ADAM, tol=0.1, n_iter_no_change=1, verbose=True),
    "a generator for random_state": story(
        wide, fit(), fit(), random_state=np.random.RandomState(5), max_iter=5
    ),
    "random_state of None": by_the_global_generator,
    "no better than chance": story(binary, learning_rate_init=5.0, max_iter=2),
    "an overflow is refused": story(
        multiclass, fit(), refused(fit(alpha=-1.0)), **SGD, scale_features=False
    ),
}

# L-BFGS.
FITS |= {
    "lbfgs, converged": story(multiclass, **LBFGS | {"max_iter": "auto"}, alpha=30.0),
    "lbfgs, few evaluations": story(multiclass, **LBFGS, max_fun=6),
    "lbfgs, weighted": story(multilabel, fit(weighted=True), **LBFGS),
    "lbfgs, own validation": story(binary, fit(validation="weighted"), **LBFGS, scoring="loss"),
    "lbfgs, float32": story(multiclass, **LBFGS, dtype="float32", activation="tanh"),
    "lbfgs, sparse": story(sparse(multiclass), **LBFGS),
    "lbfgs, three hidden layers": story(moons, **LBFGS, hidden_layer_sizes=(9, 8, 7)),
    "lbfgs, warm start": story(binary, fit(), fit(SECOND), **LBFGS, warm_start=True),
    "lbfgs, interrupted": story(
        multiclass,
        fit(validation="own"),
        **LBFGS,
        scoring=InterruptingScorer(4),
    ),
}

# Weights of rows and of classes.
FITS |= {
    "weighted, defaults": story(uneven, fit(weighted=True), **DEFAULTS),
    "class_weight balanced": story(uneven, class_weight="balanced"),
    "class_weight balanced, weighted": story(uneven, fit(weighted=True), class_weight="balanced"),
    "class_weight dict": story(uneven, class_weight={"rare": 5.0, "less": 1.5}, solver="sgd"),
    "class_weight dict, weighted, set aside": story(
        binary, fit(weighted=True), **STOPPING, class_weight={"yes": 3.0}
    ),
    "class_weight list of dicts": story(
        multilabel, class_weight=[{0: 1.0, 1: 4.0}, {1: 0.5}, {}], loss="log_loss"
    ),
    "class_weight, float32": story(uneven, class_weight="balanced", dtype=np.float32),
}

# Inputs and labels.
FITS |= {
    "sparse, defaults": story(sparse(multiclass), **DEFAULTS),
    "sparse, weighted, sgd": story(sparse(multilabel), fit(weighted=True), **SGD),
    "sparse, dropout": story(sparse(wide), **ADAM),
    "sparse, no scaling, tanh": story(sparse(binary), scale_features=False, activation="tanh"),
    "sparse, float32": story(typed(sparse(multiclass), np.float32)),
    "sparse, no hidden layer": story(sparse(multiclass), hidden_layer_sizes=(), max_iter=5),
    "sparse, csc": story(sparse(multiclass, scipy.sparse.csc_array), init="glorot"),
    "sparse, own validation": story(
        sparse(multiclass), fit(validation="weighted"), **STOPPING, scoring="neg_log_loss"
    ),
    "sparse, set aside": story(sparse(binary), **STOPPING),
    "float32 as it comes": story(typed(multiclass, np.float32)),
    "float32 as it comes, weighted, sgd": story(
        typed(multilabel, np.float32), fit(weighted=True), **SGD
    ),
    "float32 for float64": story(wide, dtype="float32"),
    "float32 for float64, no scaling": story(binary, dtype="float32", scale_features=False),
    "float64 for float32": story(typed(moons, np.float32), dtype=np.float64),
    "float32, set aside": story(typed(blobs, np.float32), **STOPPING, scoring="loss"),
    "float32, three hidden layers": story(
        typed(rings, np.float32), hidden_layer_sizes=(9, 7, 5), activation="relu", init="glorot"
    ),
    "mixed columns, weighted": story(mixed, fit(weighted=True)),
    "mixed columns, float32": story(typed(mixed, np.float32)),
    "vast columns": story(vast),
    "whole numbers": story(typed(multilabel, np.int64)),
    "labels as a column": story(labelled(multiclass, lambda y: y[:, None])),
    "labels as a sparse matrix": story(labelled(multilabel, scipy.sparse.csr_matrix)),
    "no scaling, scaled start": story(blobs, scale_features=False),
    "no scaling, glorot": story(blobs, scale_features=False, init="glorot", activation="tanh"),
}

# Early stopping.
FITS |= {
    "set aside": story(multiclass, **STOPPING),
    "set aside, binary, sgd": story(moons, **STOPPING, solver="sgd"),
    "set aside, multilabel": story(multilabel, **STOPPING, validation_fraction=0.3),
    "set aside, weighted": story(multiclass, fit(weighted=True), **STOPPING),
    "set aside, loss": story(blobs, **STOPPING, scoring="loss"),
    "set aside, scorer": story(binary, fit(weighted=True), **STOPPING, scoring="roc_auc"),
    "set aside, scorer, multilabel": story(multilabel, **STOPPING, scoring="f1_macro"),
    "set aside, scoring callable": story(blobs, **STOPPING, scoring=InterruptingScorer()),
    "set aside, adaptive": story(multiclass, **STOPPING | ADAPTIVE),
    "set aside, constant": story(multiclass, **STOPPING, **ADAM),
    "own validation": story(multiclass, fit(validation="own"), **STOPPING),
    "own validation, weighted": story(
        binary, fit(weighted=True, validation="weighted"), **STOPPING, scoring="loss"
    ),
    "own validation, multilabel, sgd": story(
        multilabel, fit(validation="weighted"), **STOPPING, solver="sgd", scoring="loss"
    ),
    "own validation, auto": story(
        rings, fit(validation="own"), **STOPPING | {"early_stopping": "auto"}
    ),
    "own validation, watched only": story(rings, fit(validation="weighted"), max_iter=6),
    "own validation, class_weight": story(
        uneven, fit(validation="own"), **STOPPING, class_weight="balanced", scoring="loss"
    ),
    "interrupted while scoring": story(multiclass, **STOPPING, scoring=InterruptingScorer(4)),
    "interrupted in the first epoch": story(binary, **STOPPING, scoring=InterruptingScorer(0)),
    "interrupted while scoring, warm start": story(
        multiclass,
        fit(scoring=InterruptingScorer(3)),
        fit(scoring=InterruptingScorer(2)),
        fit(scoring=None),
        **STOPPING,
        warm_start=True,
    ),
    "interrupted while printing": story(multiclass, interrupted(fit(), after=3)),
    "interrupted while printing, partial_fit": story(
        multiclass, partial_fit(), interrupted(partial_fit(), after=1)
    ),
}

# One fit after another.
FITS |= {
    "warm start": story(multiclass, fit(), fit(), warm_start=True),
    "warm start, sgd, other rows": story(binary, fit(FIRST), fit(SECOND), **SGD, warm_start=True),
    "warm start, invscaling": story(
        binary, fit(), fit(), **SGD | {"learning_rate": "invscaling"}, warm_start=True
    ),
    "warm start, adaptive": story(
        multiclass, fit(), fit(), **ADAPTIVE, max_iter=12, warm_start=True
    ),
    "warm start, constant, stalled": story(
        blobs, fit(), fit(), **ADAM, tol=0.05, n_iter_no_change=2, warm_start=True
    ),
    "warm start, set aside": story(multiclass, fit(), fit(), **STOPPING, warm_start=True),
    "warm start, set aside, not yet stalled": story(
        multiclass, *[fit()] * 3, early_stopping=True, max_iter=4, warm_start=True
    ),
    "warm start, own validation": story(
        moons,
        fit(validation="own"),
        fit(validation="weighted", weighted=True),
        **STOPPING,
        scoring="loss",
        warm_start=True,
    ),
    "warm start, to early stopping and back": story(
        multiclass, fit(), fit(early_stopping=True), fit(early_stopping=False), warm_start=True
    ),
    "warm start, defaults, dropout": story(wide, fit(), fit(FIRST), **DEFAULTS, warm_start=True),
    "warm start, weighted, float32": story(
        uneven, fit(weighted=True), fit(weighted=True), dtype="float32", warm_start=True
    ),
    "warm start, another solver": story(
        multiclass, fit(), fit(solver="sgd"), fit(solver="lbfgs"), fit(), warm_start=True
    ),
    "warm start, sparse": story(sparse(multiclass), fit(), fit(SECOND), warm_start=True),
    "warm start, a generator": story(
        multiclass, fit(), fit(), random_state=np.random.RandomState(1), warm_start=True
    ),
    "a second fit starts anew": story(multiclass, fit(), fit(FIRST, random_state=1)),
    "partial_fit": story(multiclass, *[partial_fit()] * 4),
    "partial_fit, sgd": story(binary, *[partial_fit()] * 3, **SGD),
    "partial_fit, plain momentum": story(
        multilabel, *[partial_fit()] * 3, **SGD, nesterovs_momentum=False
    ),
    "partial_fit, invscaling": story(
        multiclass, *[partial_fit()] * 3, **SGD | {"learning_rate": "invscaling"}
    ),
    "partial_fit, adaptive": story(
        multiclass, *[partial_fit()] * 4, **ADAPTIVE | {"tol": 9.0}, learning_rate_init=0.2
    ),
    "partial_fit, other rows, weighted": story(
        multiclass, partial_fit(FIRST, weighted=True), partial_fit(SECOND), partial_fit(FIRST)
    ),
    "partial_fit, dropout": story(wide, *[partial_fit()] * 3, input_dropout=0.3),
    "partial_fit, dropout as it comes": story(wide, partial_fit(FIRST), partial_fit(SECOND)),
    "partial_fit, decay": story(binary, *[partial_fit()] * 3, weight_decay=0.1),
    "partial_fit, a generator": story(
        wide, *[partial_fit(FIRST)] * 3, random_state=np.random.RandomState(5)
    ),
    "partial_fit, sparse, float32": story(
        typed(sparse(multiclass), np.float32), *[partial_fit()] * 3
    ),
    "partial_fit, dense, then sparse": story(
        multiclass, partial_fit(), with_sparse(partial_fit()), partial_fit()
    ),
    "partial_fit, class_weight": story(
        uneven, *[partial_fit(weighted=True)] * 3, class_weight={"rare": 4.0}
    ),
    "partial_fit, saved between calls": story(
        multiclass, partial_fit(), pickled, partial_fit(), pickled, partial_fit()
    ),
    "partial_fit, settings change": story(
        multiclass,
        partial_fit(),
        partial_fit(learning_rate_init=0.2),
        partial_fit(momentum=0.5),
        partial_fit(nesterovs_momentum=False),
        partial_fit(solver="adam", learning_rate_init=0.01),
        partial_fit(beta_1=0.5),
        partial_fit(beta_2=0.5, batch_size=16),
        **SGD,
    ),
    "partial_fit after fit": story(multiclass, fit(), partial_fit(), partial_fit(), **DEFAULTS),
    "partial_fit after early stopping": story(
        multiclass,
        fit(early_stopping=True, n_iter_no_change=2),
        partial_fit(early_stopping=False),
        partial_fit(),
    ),
    "fit after partial_fit": story(
        multiclass, partial_fit(), partial_fit(), fit(), warm_start=True, learning_rate="constant"
    ),
}

# Networks that train as stacks.
RATES = [{"learning_rate_init": rate} for rate in (0.003, 0.01, 0.1)]
SEEDS = [{"random_state": seed} for seed in range(3)]
MIXED = [{"alpha": 1.0}, {"random_state": 1}, {"beta_1": 0.5, "max_iter": 5}, {"max_iter": 3}]
FITS |= {
    "stacked, one stream": together(multiclass, RATES),
    "stacked, one stream, sgd, weighted": together(binary, RATES, fit(weighted=True), solver="sgd"),
    "stacked, streams": together(multilabel, [a | b for a in SEEDS for b in RATES[:2]], max_iter=5),
    "stacked, seeds": together(blobs, SEEDS, loss="log_loss", activation="relu", init="glorot"),
    "stacked, uneven streams": together(rings, [*SEEDS, *RATES], max_iter=5),
    "stacked, max_iter differs": together(multiclass, MIXED),
    "stacked, defaults": together(columns, [{}, {"alpha": 1.0}, {"random_state": 1}], **DEFAULTS),
    "stacked, one network": together(multiclass, [{}]),
    "stacked, several stacks": together(
        multiclass,
        [{}, {"hidden_layer_sizes": ()}, {"activation": "tanh"}, {"alpha": 0.1}, LBFGS],
        max_iter=5,
    ),
    "stacked, two at a time": together(multiclass, RATES, max_stack=2, max_iter=5),
    "stacked, dropout, float32": together(
        wide, [*SEEDS, {"input_dropout": 0}], dtype="float32", hidden_layer_sizes=(6, 5, 4)
    ),
    "stacked, rows in order": together(moons, [*RATES, *SEEDS], shuffle=False, max_iter=5),
    "stacked, adaptive": together(
        multiclass, [{"tol": tol} for tol in (0.001, 0.05, 9.0)], **ADAPTIVE | {"max_iter": 15}
    ),
    "stacked, plain momentum": together(
        multiclass,
        [{"momentum": each} for each in (0.0, 0.5, 0.9)],
        **SGD,
        nesterovs_momentum=False,
    ),
    "stacked, set aside": together(blobs, [*SEEDS, {"alpha": 5.0}], **STOPPING, scoring="loss"),
    "stacked, own validation": together(
        rings, RATES, fit(validation="weighted"), **STOPPING, scoring="neg_log_loss"
    ),
    "stacked, sparse": together(sparse(multiclass), SEEDS[:2]),
    "stacked, generators": together(
        wide,
        [{"random_state": np.random.RandomState(seed)} for seed in (1, 1, 2)],
        max_iter=5,
    ),
    "stacked, warm start": together(multiclass, MIXED[:3], fit(), fit(), warm_start=True),
    "stacked, partial_fit": together(binary, RATES, *[partial_fit()] * 3, solver="sgd"),
    "stacked, other data": together(multiclass, MIXED, fit(FIRST), max_iter=4),
    "stacked, in processes": in_processes,
    "stacked search": searched(
        multiclass, {"learning_rate_init": [0.003, 0.03], "alpha": [0.0, 1.0]}, max_iter=5
    ),
    "stacked search, sizes": searched(
        binary, {"hidden_layer_sizes": [(5,), (6, 4)], "max_iter": [3, 6]}, solver="sgd"
    ),
    "stacked search, set aside": searched(
        uneven, {"alpha": [0.0, 0.1, 10.0]}, **STOPPING, class_weight="balanced"
    ),
    "stacked search, multilabel": searched(
        multilabel, {"beta_1": [0.5, 0.9]}, scoring=["roc_auc"], dtype="float32"
    ),
    "stacked cross-validation": cross_validated(multiclass, scoring=["neg_log_loss", "accuracy"]),
    "stacked cross-validation, weighted": cross_validated(moons, weighted=True, **SGD),
    "stacked cross-validation, set aside": cross_validated(rings, **STOPPING),
    "stacked ensemble": bagged,
}

#: Fits that need scikit-learn's callbacks.
CALLBACK_FITS: dict[str, Run] = {
    "watched": watched(multiclass),
    "watched, set aside": watched(binary, **STOPPING | {"max_iter": 5}),
    "watched, lbfgs": watched(multiclass, **LBFGS | {"max_iter": 5}),
    "watched, partial_fit": watched(multiclass, partial_fit()),
    "ended by a callback": watched(multiclass, end=3),
    "ended by a callback, lbfgs": watched(multiclass, **LBFGS, end=3),
    "ended by a callback, own validation": watched(
        moons, fit(validation="own"), **STOPPING, scoring="loss", end=4
    ),
    "resumed": resumed(multiclass),
    "resumed, defaults, dropout": resumed(
        wide, kills=(20, 150), every=10, **DEFAULTS | {"hidden_layer_sizes": (40,)}
    ),
    "resumed, sgd, weighted": resumed(binary, fit(weighted=True), **SGD),
    "resumed, adaptive": resumed(multiclass, kills=(3, 7, 9), **ADAPTIVE, max_iter=15),
    "resumed, invscaling": resumed(multilabel, **SGD | {"learning_rate": "invscaling"}),
    "resumed, stalled": resumed(blobs, **ADAM, tol=0.05, n_iter_no_change=2, max_iter=30),
    "resumed, set aside": resumed(multiclass, **STOPPING),
    "resumed, own validation": resumed(
        rings, fit(validation="weighted"), **STOPPING, scoring="loss"
    ),
    "resumed, float32, rows in order": resumed(
        multiclass, dtype="float32", shuffle=False, hidden_layer_sizes=()
    ),
    "resumed, sparse": resumed(sparse(multiclass), input_dropout=0.2),
    "resumed, a generator": resumed(multiclass, random_state=np.random.RandomState(3)),
    "resumed, warm start": resumed(multiclass, first=fit(), warm_start=True),
    "resumed, ended by a callback": resumed(multiclass, kills=(3,), end=6),
    "resumed after an interrupt": resumed(multiclass, error=CtrlC),
    "resumed, stacked": resumed_together,
}
if HAS_CALLBACKS:
    FITS |= CALLBACK_FITS

#: Fits of which no summary is kept. A scaled start puts the kink of a rectified unit on a row, and
#: on which side of it the row then is, rounding decides.
BITS_ONLY: dict[str, Run] = {
    "relu, scaled start": story(multiclass, activation="relu"),
    "relu, scaled start, defaults": story(moons, activation="relu", **DEFAULTS),
    "relu, scaled start, sgd, weighted": story(
        binary, fit(weighted=True), activation="relu", solver="sgd"
    ),
    "relu, scaled start, lbfgs": story(multilabel, **LBFGS, activation="relu"),
    "relu, scaled start, float32": story(rings, activation="relu", dtype="float32"),
    "relu, scaled start, two hidden layers": story(
        blobs, activation="relu", hidden_layer_sizes=(7, 6), loss="log_loss"
    ),
    "relu, scaled start, sparse, no scaling": story(
        sparse(binary), activation="relu", scale_features=False
    ),
    "relu, scaled start, stacked": together(wide, [*SEEDS, *RATES], activation="relu"),
}
REGRESSORS = {
    "defaults": story(numbers, cls=ScratchMLPRegressor, **DEFAULTS_OF_NUMBERS),
    "several numbers, weighted": story(
        several_numbers, fit(weighted=True), cls=ScratchMLPRegressor, loss="squared_error"
    ),
    "counts, own validation": story(
        counts,
        fit(validation="weighted"),
        cls=ScratchMLPRegressor,
        loss="poisson",
        early_stopping=True,
    ),
    "set aside, float32": story(
        numbers, cls=ScratchMLPRegressor, early_stopping=True, dtype="float32"
    ),
    "as it is, sgd": story(
        counts,
        cls=ScratchMLPRegressor,
        scale_targets=False,
        solver="sgd",
        learning_rate_init=0.001,
        loss="squared_error",
    ),
    "lbfgs, warm start": story(
        numbers, fit(), fit(), cls=ScratchMLPRegressor, solver="lbfgs", warm_start=True
    ),
    "a stream": story(
        several_numbers,
        partial_fit(slice(0, 20)),
        partial_fit(slice(20, 60), weighted=True),
        partial_fit(slice(60, 120)),
        cls=ScratchMLPRegressor,
    ),
    "a stream of counts": story(
        counts,
        partial_fit(slice(0, 20)),
        partial_fit(slice(20, 120)),
        cls=ScratchMLPRegressor,
        loss="poisson",
    ),
}
FITS |= {f"regressor, {name}": run for name, run in REGRESSORS.items()}
FITS |= BITS_ONLY


# ---------------------------------------------------------------- to the bit


def flattened(records: Records) -> Record:
    """All arrays of a fit, each under the name of its record and its own."""
    return {
        f"{part}: {name}": array for part, found in records.items() for name, array in found.items()
    }


def difference(before: NDArray | None, now: NDArray | None) -> tuple[float, str]:
    """How far two arrays are apart, and in words; 0 if they are the same to the bit."""
    if before is None or now is None:
        return math.inf, "is new" if before is None else "is missing"
    if (before.dtype, before.shape) == (now.dtype, now.shape) and before.tobytes() == now.tobytes():
        return 0.0, ""
    if before.dtype.kind == now.dtype.kind == "U":
        was, is_now = (repr(array.tolist()) for array in (before, now))
        pairs = enumerate(itertools.zip_longest(was, is_now))
        start = max(0, next(k for k, (a, b) in pairs if a != b) - 20)
        return math.inf, f"was ...{was[start:][:60]}..., is ...{is_now[start:][:60]}..."
    if (before.dtype, before.shape) != (now.dtype, now.shape):
        return math.inf, f"was {before.dtype} {before.shape}, is {now.dtype} {now.shape}"
    with np.errstate(invalid="ignore"):
        gaps = np.abs(before.astype(np.float64) - now.astype(np.float64))
    # The rest are zeros of another sign, and what is not a number.
    largest = float(np.max(gaps[np.isfinite(gaps)], initial=0.0))
    return max(largest, sys.float_info.min), f"differs by up to {largest:.3g}"


def fault(before: Record, now: Record) -> str:
    """What differs most between the arrays of two fits, in words; empty if no bit differs."""
    found = {name: difference(before.get(name), now.get(name)) for name in before | now}
    found = {name: each for name, each in found.items() if each[0] > 0}
    if not found:
        return ""
    worst = max(found, key=lambda name: found[name][0])
    others = f"; {len(found)} of {len(before)} arrays differ" if len(found) > 1 else ""
    return f"{worst} {found[worst][1]}{others}"


def circumstances() -> dict[str, str]:
    """What the last bits depend on."""
    blas = [each for each in threadpool_info() if each["user_api"] == "blas"]
    kernels = sorted(f"{each.get('architecture')} {each['version']}" for each in blas)
    packages = {each.__name__: each.__version__ for each in (np, scipy, sklearn, joblib)}
    return packages | {"python": platform.python_version(), "blas": ", ".join(kernels)}


def write(path: str, names: Sequence[str]) -> int:
    """Compute fits and store all that they leave behind."""
    arrays = {"circumstances": np.array(json.dumps(circumstances()))}
    for name in names:
        found = flattened(computed(FITS[name]))
        arrays |= {f"{name} | {part}": array for part, array in found.items()}
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    print(f"{len(names)} fits, {len(arrays)} arrays")
    return 0


def read(path: str) -> tuple[dict[str, str], dict[str, Record]]:
    """Circumstances of a file, and its fits."""
    found: dict[str, Record] = {}
    with np.load(path) as file:
        then = json.loads(str(file["circumstances"]))
        for key in file.files:
            name, bar, part = key.partition(" | ")
            if bar:
                found.setdefault(name, {})[part] = file[key]
    return then, found


def check(path: str, names: Sequence[str]) -> int:
    """Compute fits again, and name those that differ from what is stored in a single bit."""
    then, stored = read(path)
    for key, now in circumstances().items():
        if then[key] != now:
            print(f"{key} was {then[key]}, is {now}: the last bits may differ for that.")
    n_faults = 0
    for name in names:
        if name not in stored:
            found = "is not in the file"
        else:
            try:
                found = fault(stored[name], flattened(computed(FITS[name])))
            except (Exception, CtrlC) as error:
                found = f"fails with {type(error).__name__}: {error}"
        if found:
            n_faults += 1
            print(f"{name}: {found}")
    print(f"{len(names)} fits, {n_faults} differ")
    return int(n_faults > 0)


# ---------------------------------------------------------------- in a few numbers

Summary = dict[str, Any]
"""Of a fit: for each network numbers that may be off by rounding, in lists, and others."""

#: What may be off by rounding.
NUMBERS = ("loss", "weights", "biases", "p", "validation", "size")


#: What most fits have, and so goes without saying.
USUAL = {"dtype": "float64", "best_iter": "None", "stop_reason": "max_iter", "warnings": {}}


def rounded(numbers: Iterable[float]) -> list[float]:
    """Numbers to nine significant digits."""
    return [float(f"{number:.9g}") for number in numbers]


def size_of(found: Record, name: str = "") -> float:
    """Sum of the magnitudes of all numbers in arrays whose names begin so."""
    arrays = [array for key, array in found.items() if key.startswith(name)]
    return sum(float(np.abs(array, dtype=np.float64).sum()) for array in arrays)


def validation_of(found: Record) -> float:
    """Sum of the losses and of the magnitudes of the scores on validation rows."""
    curves = ("validation_loss_curve_", "validation_scores_")
    return sum(size_of(found, name) for name in curves if found[name].dtype.kind == "f")


def alike(values: list) -> Any:
    """One value if all are the same, else all."""
    return values[0] if all(value == values[0] for value in values) else values


def predicted(found: Record) -> NDArray:
    """Probabilities of some rows, or numbers, (n, n_outputs)."""
    p = found["predict_proba(X)"] if "predict_proba(X)" in found else found["predict(X)"]
    return p.reshape(len(p), -1)


def summary(records: Records) -> Summary:
    """A few numbers of a fit."""
    networks = [found for found in records.values() if "coefs_[0]" in found]
    reasons = [str(found["stop_reason_"]) for found in networks]
    kinds = [str(message).split(":")[0] for message in records["messages"]["warnings"]]
    numbers = {
        "dtype": alike([str(found["coefs_[0]"].dtype) for found in networks]),
        "n_iter": alike([int(found["n_iter_"]) for found in networks]),
        "best_iter": alike([str(found["best_iter_"]) for found in networks]),
        "t": alike([int(found["t_"]) for found in networks]),
        "stop_reason": alike([each if each in STOP_REASONS else "SciPy's" for each in reasons]),
        "warnings": dict(Counter(kind for kind in kinds if kind in WARNINGS)),
        "loss": rounded(found["loss_"] for found in networks),
        "weights": rounded(size_of(found, "coefs_") for found in networks),
        "biases": rounded(size_of(found, "intercepts_") for found in networks),
        "p": rounded(predicted(found)[k % 12, -1] for k, found in enumerate(networks)),
        "validation": rounded(filter(None, map(validation_of, networks))),
        "size": rounded(
            # Not the ranks, as two may be about equal.
            size_of({name: array for name, array in found.items() if not name.startswith("rank")})
            for part, found in records.items()
            if part.startswith(("epochs", "scores"))
        ),
    }
    return {name: value for name, value in numbers.items() if value != USUAL.get(name, [])}


#: How far numbers of a network may be off, rtol and atol. With four kernels of OpenBLAS, with and
#: without the vector units that NumPy knows, and on the lowest versions, they were off by up to
#: 3e-10 in float64 and 2e-6 in float32, of themselves. The fits are short, so that it is no more.
TOLERANCES = {"float64": (1e-7, 1e-10), "float32": (1e-4, 1e-6)}


def departures(stored: Summary, found: Summary) -> list[str]:
    """What differs between the summaries of two fits by more than rounding, in words."""
    single = "float32" in stored.get("dtype", "")
    rtol, atol = TOLERANCES["float32" if single else "float64"]
    faults = []
    for name in stored | found:
        before, now = stored.get(name, USUAL.get(name)), found.get(name, USUAL.get(name))
        same = before == now
        if name in NUMBERS and before and now and len(before) == len(now):
            same = np.allclose(now, before, rtol, atol, equal_nan=True)
        if not same:
            faults.append(f"{name} was {before}, is {now}")
    return faults


def summarise() -> int:
    """Rewrite the summaries of all fits, one line each."""
    names = [name for name in FITS if name not in BITS_ONLY]
    lines = [f"{json.dumps(name)}: {json.dumps(summary(computed(FITS[name])))}" for name in names]
    SUMMARIES.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"{len(lines)} fits")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command, what in (("write", write), ("check", check)):
        own = commands.add_parser(command, help=what.__doc__)
        own.add_argument("file", help="where the bits are, in NumPy's format .npz")
        own.add_argument("--only", default="", metavar="PATTERN", help="fits whose names match it")
    commands.add_parser("summarise", help=summarise.__doc__)
    given = parser.parse_args(arguments)
    print(f"sknn_scratch in {Path(sknn_scratch.__file__).parent}")
    if not HAS_CALLBACKS:
        print(f"Without {len(CALLBACK_FITS)} fits, as scikit-learn < 1.9 has no callbacks.")
        if given.command == "summarise":
            parser.error("summaries are of all fits")
    if given.command == "summarise":
        return summarise()
    names = [name for name in FITS if re.search(given.only, name)]
    if not names:
        parser.error(f"no fit has a name that matches {given.only}")
    return {"write": write, "check": check}[given.command](given.file, names)


if __name__ == "__main__":
    sys.exit(main())
