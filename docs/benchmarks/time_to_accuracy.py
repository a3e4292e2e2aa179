"""Time until probabilities are as good as those of MLPClassifier().

For each data set and each seed, a third of the rows is held out and the others are standardised.
The aim is the mean, over the seeds, of the Brier score that MLPClassifier() reaches on the rows
held out. ScratchMLPClassifier keeps its defaults but for max_iter, which goes up step by step; each
step is a fit from the start, planned for that many epochs. The first step whose mean reaches the
aim is then timed, in turns with MLPClassifier() and with all defaults, by one thread.

Writes time_to_accuracy.md. The page docs/benchmarks/index.md says how to read it.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import numpy as np
from fit_speed import HERE, OtherPrograms, digits, head, names_among, positive, say, table, write
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknn_scratch import ScratchMLPClassifier

SETS: dict[str, Callable[..., Any]] = {
    "iris": load_iris,
    "wine": load_wine,
    "cancer": load_breast_cancer,
    "digits": load_digits,
}


class Split(NamedTuple):
    """Standardised rows to train on, and rows held out, with a seed for the network."""

    X: NDArray
    y: NDArray
    X_held: NDArray
    y_held: NDArray
    seed: int


class Outcome(NamedTuple):
    """One fit: how good, how long, how many epochs."""

    brier: float
    seconds: float
    epochs: int


class Summary(NamedTuple):
    """Mean Brier score of fits, and medians."""

    brier: float
    middle_brier: float
    seconds: float
    epochs: float


#: Makes an unfitted estimator for a seed.
Make = Callable[[int], ClassifierMixin]


def splits(name: str, seeds: int) -> list[Split]:
    """Split a data set, once for each seed."""
    X, y = SETS[name](return_X_y=True)
    found = []
    for seed in range(seeds):
        X_train, X_held, y_train, y_held = train_test_split(
            X, y, test_size=1 / 3, stratify=y, random_state=seed
        )
        scaler = StandardScaler().fit(X_train)
        found.append(
            Split(scaler.transform(X_train), y_train, scaler.transform(X_held), y_held, seed)
        )
    return found


def brier_score(p: NDArray, y: NDArray) -> float:
    """Mean over rows of the squared error of p (n, n_classes), summed over the classes.

    Of one class, where there are two, as scikit-learn's brier_score_loss has it.
    """
    squares = np.square(p - (y[:, None] == np.arange(p.shape[-1]))).sum(axis=-1)
    return float(squares.mean() / (2 if p.shape[-1] == 2 else 1))


def fit(make: Make, split: Split) -> Outcome:
    """Fit an estimator, timed, and score it on the rows held out."""
    model = make(split.seed)
    began = time.perf_counter()
    model.fit(split.X, split.y)
    seconds = time.perf_counter() - began
    return Outcome(
        brier_score(model.predict_proba(split.X_held), split.y_held), seconds, model.n_iter_
    )


def summary(outcomes: Sequence[Outcome]) -> Summary:
    """Take the mean Brier score of fits, and the medians of it, of the seconds and epochs."""
    briers = [outcome.brier for outcome in outcomes]
    return Summary(mean(briers), *(median(values) for values in zip(*outcomes, strict=True)))


def theirs(seed: int) -> MLPClassifier:
    """Return scikit-learn's estimator as it is."""
    return MLPClassifier(random_state=seed)


def ours(seed: int) -> ScratchMLPClassifier:
    """Return this package's estimator as it is."""
    return ScratchMLPClassifier(random_state=seed)


def planned_for(epochs: int) -> Make:
    """Return a maker of this package's estimator, as it is but for the number of epochs."""
    return lambda seed: ScratchMLPClassifier(max_iter=epochs, random_state=seed)


def steps(most: int) -> Iterator[int]:
    """Numbers of epochs to try: 1, 2, 3, 4, and then about a quarter more each time."""
    epochs = 1
    while epochs <= most:
        yield epochs
        epochs = max(epochs + 1, math.floor(epochs * 1.25))


def shortest(data: Sequence[Split], aim: float, most: int) -> tuple[int | None, float]:
    """Return the first number of epochs whose mean Brier score is at most the aim, and the score.

    If none is, return None and the best of those tried.
    """
    best = math.inf
    for epochs in steps(most):
        brier = summary([fit(planned_for(epochs), split) for split in data]).brier
        if brier <= aim:
            return epochs, brier
        best = min(best, brier)
    return None, best


def in_turns(makers: dict[str, Make], data: Sequence[Split], rounds: int) -> dict[str, Summary]:
    """Fit all estimators to all splits, again and again, in turns."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in makers}
    for _ in range(rounds):
        for split in data:
            for name, make in makers.items():
                outcomes[name].append(fit(make, split))
    return {name: summary(found) for name, found in outcomes.items()}


def rows_of(
    name: str, data: Sequence[Split], rounds: int, most: int
) -> tuple[list[str], list[str]]:
    """Row of each of the two tables for a data set."""
    aim = summary([fit(theirs, split) for split in data]).brier
    epochs, brier = shortest(data, aim, most)
    say(f"{name}: Brier score {aim:.4f} to reach; {brier:.4f} with max_iter={epochs}")
    makers: dict[str, Make] = {"theirs": theirs, "defaults": ours}
    if epochs is not None:
        makers["shortest"] = planned_for(epochs)
    found = in_turns(makers, data, rounds)
    theirs_, defaults = found["theirs"], found["defaults"]
    row = [name, f"{len(data[0].y)}", f"{theirs_.brier:.4f}", digits(theirs_.seconds)]
    middle = [name, f"{theirs_.middle_brier:.4f}"]
    if epochs is None:
        row += [f"not within {most}", f"best {brier:.4f}", "-", "-"]
        middle.append("-")
    else:
        reached = found["shortest"]
        row += [f"{epochs}", f"{reached.brier:.4f}", digits(reached.seconds)]
        row.append(digits(theirs_.seconds / reached.seconds))
        middle.append(f"{reached.middle_brier:.4f}")
    row += [f"{defaults.epochs:g}", f"{defaults.brier:.4f}", digits(defaults.seconds)]
    return row, [*middle, f"{defaults.middle_brier:.4f}"]


HEADER = [
    "set",
    "rows",
    "MLPClassifier(): Brier",
    "seconds",
    "ours: max_iter",
    "Brier",
    "seconds",
    "MLPClassifier() / ours",
    "all defaults of ours: epochs",
    "Brier",
    "seconds",
]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--sets", type=names_among([*SETS]), default=[*SETS], help=f"from {','.join(SETS)}")
    add("--seeds", type=positive, default=200, help="splits and networks of each set")
    add("--rounds", type=positive, default=1, help="how often each fit is timed")
    add("--max-epochs", type=positive, default=1000, metavar="N", help="most epochs to try")
    add("--out", type=Path, default=HERE, metavar="DIR", help="where to write")
    return parser.parse_args()


def main() -> None:
    """Measure all that was asked for, and write the report."""
    options = arguments()
    others = OtherPrograms()
    warnings.filterwarnings("ignore", category=ConvergenceWarning)
    with threadpool_limits(1):
        rows = [
            rows_of(name, splits(name, options.seeds), options.rounds, options.max_epochs)
            for name in options.sets
        ]
    means, medians = zip(*rows, strict=True)
    lines = [
        *head("Time to accuracy", others),
        "",
        "Mean Brier scores on the third of the rows that was held out, and median seconds of a fit "
        f"by one thread, over {options.seeds} seed{'s' * (options.seeds > 1)}, each timed "
        f"{options.rounds} time{'s' * (options.rounds > 1)}.",
        *table(HEADER, means),
        "",
        "Medians of the same Brier scores:",
        *table(["set", "MLPClassifier()", "ours, with that max_iter", "ours"], medians),
    ]
    write(options.out / "time_to_accuracy.md", lines)


if __name__ == "__main__":
    main()
