"""The demonstration: ``python -m sknn_scratch``.

1. The network of the tutorial post that the package began with (three inputs, four hidden units,
   one output) learns XOR.
2. On a real table a grid search looks for hidden units and learning rate, for
   ``ScratchMLPClassifier`` and, in the same way, for scikit-learn's ``MLPClassifier``; rows that
   neither has seen tell what came of it.

With ``--plots DIR`` it draws what it found. All that it does, it does as any user could.
"""

import argparse
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits

from sknn_scratch import ScratchMLPClassifier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

# As in the post: the third input is 1 in every row.
XOR_X = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1]])
XOR_Y = np.array([1, 1, 0, 0])
XOR_EPOCHS = 800
XOR_PRINT_EVERY = 100

DATASETS = {
    "breast_cancer": load_breast_cancer,
    "iris": load_iris,
    "wine": load_wine,
    "digits": load_digits,
}
# Both models' defaults are among these: 100 units, and a rate of 0.01 (ours) or 0.001.
HIDDEN_UNITS = (8, 32, 100)
LEARNING_RATES = (0.001, 0.01, 0.1)
FOLDS = 5
HELD_OUT = 0.25

PICTURES = ("xor.png", "grid_search.png", "held_out.png")
# Two colours that the colour-blind tell apart, and a scale that also reads in grey.
BLUE, ORANGE, SCALE = "#0072B2", "#E69F00", "cividis"


# ---------------------------------------------------------------- XOR, the post's network


class XorRun(NamedTuple):
    """The post's network after training, and how it got there."""

    network: ScratchMLPClassifier
    errors: list[float]
    """Mean absolute error over the four rows after each epoch."""


def train_xor(seed: int) -> XorRun:
    """Train a 3-4-1 network on XOR, looking at its error after each epoch.

    One row a step, from small weights at a low rate: four hidden units leave little to spare, and
    steps over all four rows at once get stuck from about one start in ten.
    """
    network = ScratchMLPClassifier(
        hidden_layer_sizes=(4,),
        learning_rate="constant",
        learning_rate_init=0.03,
        batch_size=1,
        init="glorot",
        # A generator, not a number: a number would put the rows into the same order every epoch.
        random_state=check_random_state(seed),
    )
    errors = []
    for _ in range(XOR_EPOCHS):
        network.partial_fit(XOR_X, XOR_Y, classes=[0, 1])
        probability = network.predict_proba(XOR_X)[:, 1]
        errors.append(float(np.abs(probability - XOR_Y).mean()))
    return XorRun(network, errors)


def print_xor(run: XorRun) -> None:
    """Print the error on its way down, and the truth table that was learnt."""
    print("1. XOR: a network of 3 inputs, 4 hidden units and 1 output")
    print()
    print("   Loss is the mean absolute error, |wanted - probability|, over the four rows.")
    print()
    for epoch in (1, *range(XOR_PRINT_EVERY, XOR_EPOCHS + 1, XOR_PRINT_EVERY)):
        print(f"   epoch {epoch:3d}   Loss:  {run.errors[epoch - 1]}")
    print()
    print("   inputs   wanted   probability   predicted")
    predicted = run.network.predict(XOR_X)
    for x, wanted, p, y in zip(
        XOR_X, XOR_Y, run.network.predict_proba(XOR_X)[:, 1], predicted, strict=True
    ):
        print(f"   {' '.join(map(str, x))}    {wanted:6d}   {p:11.4f}   {y:9d}")
    print()
    print(f"   {np.count_nonzero(predicted == XOR_Y)} of 4 rows right")


# ---------------------------------------------------------------- a real table, two models


class Table(NamedTuple):
    """A data set, with rows held out."""

    name: str
    class_names: list[str]
    X: NDArray
    X_held_out: NDArray
    y: NDArray
    y_held_out: NDArray


class SearchReport(NamedTuple):
    """What the search for one model came to."""

    model: str
    search: GridSearchCV
    seconds: float
    """Wall time of the search, the fit of the best candidate to all rows included."""
    not_converged: int
    """Fits that warned that they had not converged."""
    predicted: NDArray
    """Labels for the rows held out, (n,)."""
    accuracy: float
    brier: float


def load_table(name: str, seed: int) -> Table:
    """Load a data set of scikit-learn and hold out rows of every class."""
    data = DATASETS[name]()
    split = train_test_split(
        data.data, data.target, test_size=HELD_OUT, stratify=data.target, random_state=seed
    )
    return Table(name, [str(label) for label in data.target_names], *split)


def models(seed: int) -> list[ClassifierMixin]:
    """Return the two models to compare, each with its own defaults."""
    return [ScratchMLPClassifier(random_state=seed), MLPClassifier(random_state=seed)]


def run_search(model: ClassifierMixin, table: Table, seed: int) -> SearchReport:
    """Search the grid with cross-validation, then score the best candidate on the rows held out."""
    search = GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("mlp", model)]),
        {
            "mlp__hidden_layer_sizes": [(units,) for units in HIDDEN_UNITS],
            "mlp__learning_rate_init": LEARNING_RATES,
        },
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        error_score="raise",
    )
    began = time.perf_counter()
    not_converged = fit_counting_warnings(search, table.X, table.y)
    seconds = time.perf_counter() - began
    predicted = search.predict(table.X_held_out)
    return SearchReport(
        model=type(model).__name__,
        search=search,
        seconds=seconds,
        not_converged=not_converged,
        predicted=predicted,
        accuracy=accuracy_score(table.y_held_out, predicted),
        brier=brier_score(table.y_held_out, search.predict_proba(table.X_held_out)),
    )


def fit_counting_warnings(search: GridSearchCV, X: NDArray, y: NDArray) -> int:
    """Fit, and count the ConvergenceWarnings instead of showing them; others are shown.

    On one BLAS thread: products as small as these only lose by sharing the work, and both models
    are to run under the same conditions.
    """
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(limits=1):
        warnings.simplefilter("always", ConvergenceWarning)
        search.fit(X, y)
    others = [one for one in caught if not issubclass(one.category, ConvergenceWarning)]
    for one in others:
        warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    return len(caught) - len(others)


def brier_score(y: NDArray, probabilities: NDArray) -> float:
    """Mean squared error of the probabilities: of the one class or, if more than two, summed.

    y holds the numbers of the columns of probabilities (n, n_classes).
    """
    n_classes = probabilities.shape[1]
    if n_classes == 2:
        return float(brier_score_loss(y, probabilities[:, 1]))
    return float(((probabilities - np.eye(n_classes)[y]) ** 2).sum(axis=1).mean())


def print_table(table: Table) -> None:
    """Print which data set it is, and what is done with it."""
    rows, held_out = len(table.X), len(table.X_held_out)
    print(f"2. Grid search on {table.name}: {table.X.shape[1]} columns, ", end="")
    print(f"{len(table.class_names)} classes, {rows} rows, {held_out} more held out")
    print()
    print(f"   A pipeline of StandardScaler and the model, {FOLDS}-fold cross-validation.")
    print("   Apart from what is searched, each model has its own defaults.")


def print_candidates(report: SearchReport) -> None:
    """Print all candidates of a search, the best first."""
    results = report.search.cv_results_
    print()
    print(f"   {report.model}")
    print("   rank   hidden   learning rate   CV accuracy     std   fit seconds")
    for i in np.argsort(results["rank_test_score"], kind="stable"):
        units, rate = searched(results["params"][i])
        print(
            f"   {results['rank_test_score'][i]:4d}   {units:6d}   {rate:13g}   "
            f"{results['mean_test_score'][i]:11.4f}   {results['std_test_score'][i]:.3f}   "
            f"{results['mean_fit_time'][i]:11.3f}"
        )


def searched(params: dict[str, Any]) -> tuple[int, float]:
    """Hidden units and learning rate of a candidate."""
    (units,) = params["mlp__hidden_layer_sizes"]
    return units, params["mlp__learning_rate_init"]


def print_comparison(reports: Sequence[SearchReport], n_held_out: int) -> None:
    """Print the best candidate of each model on the rows held out."""
    print()
    print("   The best of each, on the rows held out")
    print(f"   {'model':<20}   hidden   learning rate   accuracy    Brier   search seconds")
    for one in reports:
        units, rate = searched(one.search.best_params_)
        print(
            f"   {one.model:<20}   {units:6d}   {rate:13g}   {one.accuracy:8.4f}   "
            f"{one.brier:6.4f}   {one.seconds:14.1f}"
        )
    print()
    print(
        f"   One row more or less is {1 / n_held_out:.4f} of accuracy. The Brier score is the mean"
    )
    print("   squared error of the probabilities: lower is better.")
    fits = FOLDS * len(HIDDEN_UNITS) * len(LEARNING_RATES) + 1
    for one in reports:
        print(f"   {one.model}: {one.not_converged} of {fits} fits gave a ConvergenceWarning.")


# ---------------------------------------------------------------- pictures


def save_pictures(
    directory: Path, run: XorRun, table: Table, reports: Sequence[SearchReport]
) -> None:
    """Draw XOR, the searches and the confusion matrices as PNG files, and print their paths."""
    figures = (draw_xor(run), draw_searches(table, reports), draw_confusion(table, reports))
    print()
    for name, figure in zip(PICTURES, figures, strict=True):
        figure.savefig(directory / name, dpi=150)
        print(f"   wrote {directory / name}")


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure that belongs to no window, sized in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def draw_xor(run: XorRun) -> "Figure":
    """Draw the error over epochs, and the probability in the plane of the first two inputs."""
    figure = new_figure(10, 4.4)
    curve, plane = figure.subplots(1, 2)
    curve.plot(range(1, XOR_EPOCHS + 1), run.errors, color=BLUE)
    curve.set(
        title="XOR: error while learning",
        xlabel="epoch",
        ylabel="mean absolute error",
        xlim=(0, XOR_EPOCHS),
        ylim=(0, None),
    )
    curve.grid(alpha=0.3)

    side = np.linspace(-0.25, 1.25, 151)
    x1, x2 = np.meshgrid(side, side)
    rows = np.column_stack([x1.ravel(), x2.ravel(), np.ones(x1.size)])
    p = run.network.predict_proba(rows)[:, 1].reshape(x1.shape)
    surface = plane.contourf(x1, x2, p, levels=np.linspace(0, 1, 11), cmap=SCALE)
    plane.contour(x1, x2, p, levels=[0.5], colors="white", linestyles="dashed")
    for label, marker, color in ((0, "o", BLUE), (1, "s", ORANGE)):
        x = XOR_X[label == XOR_Y]
        style = {"s": 90, "marker": marker, "color": color, "edgecolors": "white", "zorder": 3}
        plane.scatter(x[:, 0], x[:, 1], label=f"wanted {label}", **style)
    plane.set(
        title="Probability of 1 (dashed: one half)",
        xlabel="first input",
        ylabel="second input",
        aspect="equal",
    )
    figure.colorbar(surface, ax=plane, label="probability")
    figure.legend(loc="outside lower right", ncols=2)
    return figure


def draw_searches(table: Table, reports: Sequence[SearchReport]) -> "Figure":
    """Draw the cross-validated accuracy of each model over hidden units and learning rate."""
    figure = new_figure(10, 4.4)
    axes = figure.subplots(1, len(reports), sharey=True)
    grids = [score_grid(one.search) for one in reports]
    limits = float(np.min(grids)), float(np.max(grids))
    for ax, one, grid in zip(axes, reports, grids, strict=True):
        image = heat_map(ax, grid, "{:.4f}", limits)
        ax.set_xticks(range(len(LEARNING_RATES)), [f"{rate:g}" for rate in LEARNING_RATES])
        ax.set_yticks(range(len(HIDDEN_UNITS)), [str(units) for units in HIDDEN_UNITS])
        ax.set(title=one.model, xlabel="learning rate")
    axes[0].set_ylabel("hidden units")
    figure.colorbar(image, ax=axes, label="accuracy")
    figure.suptitle(f"{table.name}: mean accuracy in {FOLDS}-fold cross-validation")
    return figure


def score_grid(search: GridSearchCV) -> NDArray:
    """Mean scores as a table of hidden units (rows) by learning rate (columns)."""
    results = search.cv_results_
    scores = {
        searched(params): score
        for params, score in zip(results["params"], results["mean_test_score"], strict=True)
    }
    return np.array([[scores[units, rate] for rate in LEARNING_RATES] for units in HIDDEN_UNITS])


def draw_confusion(table: Table, reports: Sequence[SearchReport]) -> "Figure":
    """Draw the confusion matrix of each model on the rows held out."""
    labels = range(len(table.class_names))
    figure = new_figure(10, 5.8)
    axes = figure.subplots(1, len(reports), sharey=True)
    counts = [confusion_matrix(table.y_held_out, one.predicted) for one in reports]
    for ax, one, count in zip(axes, reports, counts, strict=True):
        image = heat_map(ax, count, "{:d}", (0, int(np.max(counts))))
        ax.set_xticks(labels, table.class_names)
        ax.set_yticks(labels, table.class_names)
        ax.set(
            title=f"{one.model}\naccuracy {one.accuracy:.4f}, Brier score {one.brier:.4f}",
            xlabel="predicted class",
        )
    axes[0].set_ylabel("true class")
    figure.colorbar(image, ax=axes, label="rows", shrink=0.8)
    figure.suptitle(f"{table.name}: the {len(table.y_held_out)} rows held out")
    return figure


def heat_map(
    ax: "Axes", values: NDArray, template: str, limits: tuple[float, float]
) -> "AxesImage":
    """Draw values as coloured cells between limits, and write each into its cell."""
    low, high = limits
    image = ax.imshow(values, cmap=SCALE, vmin=low, vmax=high)
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value < (low + high) / 2 else "black"
        text = template.format(value)
        ax.text(column, row, text, ha="center", va="center", color=color)
    return image


# ---------------------------------------------------------------- command line


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; what cannot work ends the program here, with exit code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m sknn_scratch",
        description="Train the tutorial post's network on XOR, then compare ScratchMLPClassifier "
        "with scikit-learn's MLPClassifier in a grid search on a real table.",
    )
    parser.add_argument(
        "--dataset",
        choices=DATASETS,
        default="breast_cancer",
        help="table for the grid search, one that comes with scikit-learn (default: %(default)s)",
    )
    parser.add_argument(
        "--plots",
        metavar="DIR",
        type=Path,
        help=f"write {', '.join(PICTURES)} into this folder, which is made if its parent exists; "
        "needs matplotlib",
    )
    parser.add_argument(
        "--seed",
        type=seed_number,
        default=0,
        help="number from 0 to 2**32 - 1 that all randomness comes from (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    if arguments.plots is not None:
        try:
            check_plots(arguments.plots)
        except (ImportError, OSError) as error:
            parser.error(f"argument --plots: {error}")
    return arguments


def seed_number(text: str) -> int:
    """Convert a command-line argument to a seed."""
    seed = int(text)
    if not 0 <= seed < 2**32:
        raise argparse.ArgumentTypeError(f"{seed} is not between 0 and 2**32 - 1")
    return seed


def check_plots(directory: Path) -> None:
    """Make sure that pictures can be drawn, and written to the directory, made if need be.

    Raises
    ------
    ImportError
        If matplotlib cannot be imported.
    OSError
        If the directory cannot be made or written to.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f'pictures need matplotlib ({error}). Run: pip install "sknn-scratch[plot]"'
        ) from error
    try:
        directory.mkdir(exist_ok=True)
        # Permission bits do not tell of a read-only disk: write to know.
        with tempfile.TemporaryFile(dir=directory):
            pass
    except FileExistsError as error:
        raise OSError(f"{directory} is a file. Name a folder.") from error
    except OSError as error:
        parent_exists = directory.parent.exists()
        reason = error.strerror if parent_exists else f"{directory.parent} does not exist"
        raise OSError(f"cannot write to {directory}: {reason}.") from error


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration.

    Parameters
    ----------
    argv : sequence of str, default=None
        Command-line arguments; by default those of the program.

    Returns
    -------
    code : int
        0. Arguments that cannot work raise SystemExit with code 2 instead, as argparse does.
    """
    arguments = parse_arguments(argv)
    run = train_xor(arguments.seed)
    print_xor(run)
    print()
    table = load_table(arguments.dataset, arguments.seed)
    print_table(table)
    reports = []
    for model in models(arguments.seed):
        reports.append(run_search(model, table, arguments.seed))
        print_candidates(reports[-1])
    print_comparison(reports, len(table.X_held_out))
    if arguments.plots is not None:
        save_pictures(arguments.plots, run, table, reports)
    return 0
