"""What the demonstration does and prints: XOR, raw tables, a search, and numbers to predict."""

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import numpy as np
from joblib import parallel_config
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from sknn_scratch import LearningRecorder, ScratchMLPClassifier, ScratchMLPRegressor
from sknn_scratch.datasets import load_penguins

# As in the post: the third input is 1 in every row.
XOR_X = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1]])
XOR_Y = np.array([1, 1, 0, 0])
XOR_LINES = 9

OURS, THEIRS = "ScratchMLPClassifier", "MLPClassifier"

FOLDS = 3
SEARCHED = "digits"
HIDDEN_UNITS = (50, 100)
LEARNING_RATES = (0.01, 0.03)


# ---------------------------------------------------------------- XOR, the post's network


class XorRun(NamedTuple):
    """The post's network after training, and how it got there."""

    network: ScratchMLPClassifier
    recorder: LearningRecorder
    epochs: list[int]
    """Some of the epochs, from 0, which is before the first."""
    errors: list[float]
    """Mean absolute error over the four rows after each of them."""


def train_xor(seed: int) -> XorRun:
    """Train a 3-4-1 network on XOR, recording how it learns."""
    recorder = LearningRecorder()
    network = ScratchMLPClassifier(hidden_layer_sizes=(4,), random_state=seed)
    network.set_callbacks(recorder).fit(XOR_X, XOR_Y)
    recording = recorder.recording_
    errors = [
        float(np.abs(then.probabilities(XOR_X)[:, 1] - XOR_Y).mean()) for then in recording.networks
    ]
    return XorRun(network, recorder, list(recording.epochs), errors)


def print_xor(run: XorRun) -> None:
    """Print the error on its way down, and the truth table that was learnt."""
    print("1. XOR: 3 inputs, 4 hidden units, 1 output, and all else by default")
    print()
    print("   Loss is the mean absolute error, |wanted - probability|, over the four rows.")
    print()
    for i in np.unique(np.linspace(0, len(run.epochs) - 1, XOR_LINES).round().astype(int)):
        print(f"   epoch {run.epochs[i]:4d}   Loss:  {run.errors[i]}")
    print()
    print("   inputs   wanted   probability   predicted")
    predicted = run.network.predict(XOR_X)
    for x, wanted, p, y in zip(
        XOR_X, XOR_Y, run.network.predict_proba(XOR_X)[:, 1], predicted, strict=True
    ):
        print(f"   {' '.join(map(str, x))}    {wanted:6d}   {p:11.4f}   {y:9d}")
    print()
    print(f"   {np.count_nonzero(predicted == XOR_Y)} of 4 rows right")


# ---------------------------------------------------------------- tables, as they come


class Table(NamedTuple):
    """Rows of a table, as they were read."""

    name: str
    X: Any
    y: NDArray
    words: Sequence[int] = ()
    """Indices of the columns of words. Any column may have gaps."""


class Result(NamedTuple):
    """Result of cross-validating one model on one table."""

    table: str
    model: str
    brier: float
    accuracy: float
    seconds: float
    """Mean wall time of a fit."""
    not_converged: int
    """Fits that warned that they had not converged."""


DATASETS = {
    "penguins": load_penguins,
    "breast_cancer": load_breast_cancer,
    "iris": load_iris,
    "wine": load_wine,
    "digits": load_digits,
}


def load_table(name: str) -> Table:
    """Load a table that comes with this package or with scikit-learn."""
    X, labels = DATASETS[name](return_X_y=True)
    y = np.unique(labels, return_inverse=True)[1]
    words = [j for j in range(X.shape[1]) if any(isinstance(cell, str) for cell in X[:, j])]
    return Table(name, X, y, words)


def contenders(table: Table, seed: int) -> dict[str, Any]:
    """Return the models to compare on a table, with their defaults, by name.

    MLPClassifier takes neither words nor gaps: on such tables it needs more steps before it.
    """
    ours, theirs = ScratchMLPClassifier(random_state=seed), MLPClassifier(random_state=seed)
    if not table.words:
        scaled = make_pipeline(StandardScaler(), theirs)
        return {OURS: ours, THEIRS: theirs, f"StandardScaler, {THEIRS}": scaled}
    numbers = [j for j in range(table.X.shape[1]) if j not in table.words]
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(table.words)),
    )
    return {OURS: ours, f"4 steps, {THEIRS}": make_pipeline(prepared, theirs)}


def brier_score(y: NDArray, probabilities: NDArray) -> float:
    """Compute the mean squared error of the probabilities; with more than two classes, summed.

    y holds the class indices, (n,), for probabilities (n, n_classes).
    """
    squares = (probabilities - np.eye(probabilities.shape[1])[y]) ** 2
    return float(squares.sum(axis=1).mean() / (2 if probabilities.shape[1] == 2 else 1))


def minus_brier_score(model: Any, X: Any, y: NDArray) -> float:
    """Score a model by minus the Brier score; that of scikit-learn 1.6 is for two classes only."""
    return -brier_score(y, model.predict_proba(X))


def folds(seed: int) -> StratifiedKFold:
    """Return the folds of each cross-validation here."""
    return StratifiedKFold(FOLDS, shuffle=True, random_state=seed)


def compare(table: Table, seed: int) -> list[Result]:
    """Cross-validate the models on a table."""
    results = []
    scoring = {"brier": minus_brier_score, "accuracy": "accuracy"}
    for name, model in contenders(table, seed).items():
        with counted_warnings() as count:
            scores = cross_validate(
                model, table.X, table.y, cv=folds(seed), scoring=scoring, error_score="raise"
            )
        brier, accuracy = -scores["test_brier"].mean(), scores["test_accuracy"].mean()
        seconds = scores["fit_time"].mean()
        results.append(Result(table.name, name, brier, accuracy, seconds, len(count)))
    return results


@contextmanager
def counted_warnings() -> Iterator[list[Any]]:
    """Collect ConvergenceWarnings in a list instead of showing them; show the others.

    It also limits BLAS to one thread: sharing products as small as these only costs time, and all
    models should run under the same conditions.
    """
    kept: list[Any] = []
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(limits=1):
        warnings.simplefilter("always", ConvergenceWarning)
        yield kept
    for one in caught:
        if issubclass(one.category, ConvergenceWarning):
            kept.append(one)
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def print_heading_of_tables() -> None:
    """Print the heading of the comparison."""
    print(f"2. Tables as they come: defaults, means over {FOLDS} folds, one thread")
    print()
    print(f"   {'table':<13}   {'model':<29}    Brier    accuracy   seconds of a fit")


def print_table(results: Sequence[Result]) -> None:
    """Print the results on one table, and mark the lowest Brier score."""
    least = min(one.brier for one in results)
    for i, one in enumerate(results):
        print(
            f"   {'' if i else one.table:<13}   {one.model:<29}   {one.brier:6.4f}"
            f"{'*' if one.brier == least else ' '}   {one.accuracy:8.4f}   {one.seconds:16.3f}"
        )
    print()


def print_notes_on_tables(results: Sequence[Result]) -> None:
    """Explain the columns of results, and print how many fits did not converge."""
    print("   The Brier score is the mean squared error of the probabilities; * marks the lowest.")
    if any(one.model.startswith("4 steps") for one in results):
        print(
            "   The 4 steps: SimpleImputer and StandardScaler for numbers, OneHotEncoder for words,"
        )
        print("   and a ColumnTransformer; MLPClassifier takes neither words nor gaps.")
    for model in dict.fromkeys(one.model for one in results):
        theirs = [one for one in results if one.model == model]
        count = sum(one.not_converged for one in theirs)
        if count:
            print(f"   {model}: {count} of {FOLDS * len(theirs)} fits had not converged.")


# ---------------------------------------------------------------- a search


class SearchReport(NamedTuple):
    """A search, and its duration."""

    way: str
    search: GridSearchCV
    seconds: float
    """Wall time, including the fit of the best candidate to all rows."""


def run_search(table: Table, seed: int, *, stacked: bool) -> SearchReport:
    """Search hidden units and learning rate by cross-validation, plainly or as stacks."""
    search = GridSearchCV(
        ScratchMLPClassifier(random_state=seed),
        {
            "hidden_layer_sizes": [(units,) for units in HIDDEN_UNITS],
            "learning_rate_init": LEARNING_RATES,
        },
        scoring=minus_brier_score,
        cv=folds(seed),
        error_score="raise",
    )
    # In this process, as to start others takes longer than so small a search.
    config = parallel_config(backend="stacked", n_jobs=1) if stacked else nullcontext()
    began = time.perf_counter()
    with counted_warnings(), config:
        search.fit(table.X, table.y)
    way = "stacked" if stacked else "plain"
    return SearchReport(way, search, time.perf_counter() - began)


def print_search(table: Table, reports: Sequence[SearchReport]) -> None:
    """Print the candidates, the best first, and the duration of each way."""
    rows, columns = table.X.shape
    print(f"3. Grid search on {table.name}: {rows} rows, {columns} columns as they come,")
    print(f"   chosen by the Brier score in {FOLDS} folds")
    print()
    print("   rank   hidden   learning rate    Brier")
    results = reports[0].search.cv_results_
    for i in np.argsort(results["rank_test_score"], kind="stable"):
        units, rate = searched(results["params"][i])
        rank, brier = results["rank_test_score"][i], -results["mean_test_score"][i]
        print(f"   {rank:4d}   {units:6d}   {rate:13g}   {brier:6.4f}")
    print()
    for one in reports:
        print(f"   {one.way:<7}   {one.seconds:5.1f} s")
    differ = max(np.abs(np.subtract(score_grid(one.search), score_grid(reports[0].search))).max()
                 for one in reports)  # fmt: skip
    print(f"   Scores of the two ways differ by {differ:.0e} at most.")


def searched(params: dict[str, Any]) -> tuple[int, float]:
    """Return hidden units and learning rate of a candidate."""
    (units,) = params["hidden_layer_sizes"]
    return units, params["learning_rate_init"]


def score_grid(search: GridSearchCV) -> NDArray:
    """Return mean Brier scores as a table of hidden units (rows) by learning rate (columns)."""
    results = search.cv_results_
    scores = {
        searched(params): -score
        for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    return np.array([[scores[units, rate] for rate in LEARNING_RATES] for units in HIDDEN_UNITS])


# ---------------------------------------------------------------- a number


def print_numbers(seed: int) -> None:
    """Fit both regressors with their defaults, and print their scores on held-out rows."""
    X, y = load_diabetes(return_X_y=True)
    X, X_held_out, y, y_held_out = train_test_split(X, y, random_state=seed)
    print(f"4. A number to predict: diabetes, {len(y)} rows, {len(X_held_out)} more held out")
    print()
    for model in (ScratchMLPRegressor(random_state=seed), MLPRegressor(random_state=seed)):
        with counted_warnings():
            score = model.fit(X, y).score(X_held_out, y_held_out)
        print(f"   {type(model).__name__:<20}   R2 {score:5.2f}")
