"""Tuned against tuned: our classifier as it comes and searched, and MLPClassifier searched.

Tables are those of accuracy.py: files NAME.csv.gz in a folder, and with --bundled the four
classification sets of scikit-learn; of a larger table 4,000 rows are taken, stratified. Five
stratified, shuffled folds are held out in turn. On the rows of the other four a search over twelve
candidates chooses by the Brier score in three stratified, shuffled folds, and fits the best one
anew: so what is held out has no say in what is chosen. All searches have as many candidates, the
same folds and the same seeds, and run one after the other, by one thread. All columns are prepared
as in accuracy.py, learnt from the rows to train on alone, those of an inner fold too.

Prints tables in Markdown: means, differences, each table, seconds, and which candidates were
chosen. Brier scores are half the squared error summed over the classes; seconds are processor time
of the whole search, or of the one fit.
"""

import argparse
import json
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy import BUNDLED, prepare, scores, tables
from fit_speed import OtherPrograms, head, positive, say, table
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from sknn_scratch import ScratchMLPClassifier

#: Values of parameters, by name.
Grid = dict[str, list[Any]]

UNITS_AND_RATES: Grid = {
    "hidden_layer_sizes": [(8,), (50,), (200,)],
    "learning_rate_init": [0.001, 0.003, 0.01, 0.03],
}

#: What is searched, by the name of the contender; None fits the defaults. All grids have as many
#: candidates.
CONTENDERS: dict[str, tuple[Callable[..., Any], Grid | None]] = {
    "ours": (ScratchMLPClassifier, None),
    "ours, units and rates": (ScratchMLPClassifier, UNITS_AND_RATES),
    "ours, widths and rates": (
        ScratchMLPClassifier,
        {
            "hidden_layer_sizes": [(100,), (200,), (400,)],
            "learning_rate_init": [0.003, "auto", 0.02, 0.04],
        },
    ),
    "ours, penalty and dropout": (
        ScratchMLPClassifier,
        {"alpha": [0.0, 0.1, 1.0], "input_dropout": ["auto", 0.0, 0.1, 0.3]},
    ),
    "ours, activations and layers": (
        ScratchMLPClassifier,
        {
            "activation": ["logistic", "tanh", "relu"],
            "hidden_layer_sizes": [(), (50,), (200,), (100, 100)],
        },
    ),
    "MLPClassifier": (MLPClassifier, None),
    "MLPClassifier, units and rates": (MLPClassifier, UNITS_AND_RATES),
    "MLPClassifier, penalty and rates": (
        MLPClassifier,
        {"alpha": [1e-4, 1e-2, 1.0], "learning_rate_init": [0.001, 0.003, 0.01, 0.03]},
    ),
}

#: What came of a contender on one outer fold: Brier score, seconds, and the candidate chosen.
Outcome = dict[str, Any]
Results = dict[str, dict[str, list[Outcome]]]


def pipeline(make: Callable[..., Any], seed: int, raw: bool) -> Pipeline:
    """Return the preparation of the columns and a network."""
    return Pipeline([("columns", prepare(raw)), ("net", make(random_state=seed))])


def probabilities(model: BaseEstimator, X: pd.DataFrame, n_classes: int) -> NDArray:
    """Predict probabilities of all classes, 0 for those that the rows to train on lacked."""
    p = np.zeros((len(X), n_classes))
    p[:, model.classes_] = model.predict_proba(X)
    return p


def minus_brier(n_classes: int) -> Callable[[BaseEstimator, pd.DataFrame, NDArray], float]:
    """Return a scorer: minus the Brier score."""

    def scorer(model: BaseEstimator, X: pd.DataFrame, y: NDArray) -> float:
        return -scores(probabilities(model, X, n_classes), y)["brier"]

    return scorer


def fit(
    make: Callable[..., Any], grid: Grid | None, X: pd.DataFrame, y: NDArray, seed: int, raw: bool
) -> tuple[BaseEstimator, str]:
    """Fit the defaults, or what a search chooses; return that and the candidate in words."""
    model = pipeline(make, seed, raw)
    if grid is None:
        return model.fit(X, y), "defaults"
    inner = StratifiedKFold(3, shuffle=True, random_state=seed)
    scoring = minus_brier(int(y.max()) + 1)
    candidates = {f"net__{name}": values for name, values in grid.items()}
    search = GridSearchCV(model, candidates, scoring=scoring, cv=inner, error_score="raise")
    search.fit(X, y)
    chosen = ", ".join(
        f"{name.removeprefix('net__')}={value}" for name, value in search.best_params_.items()
    )
    return search.best_estimator_, chosen


def subsample(X: pd.DataFrame, y: NDArray, rows: int) -> tuple[pd.DataFrame, NDArray]:
    """Take rows of a larger table, stratified; without numpy's own missing values in strings."""
    if rows and len(y) > rows:
        chosen, _ = train_test_split(np.arange(len(y)), train_size=rows, stratify=y, random_state=0)
        X, y = X.iloc[np.sort(chosen)], y[np.sort(chosen)]
    strings = X.select_dtypes(exclude="number").astype(object)
    return X.assign(**{n: c.where(c.notna(), np.nan) for n, c in strings.items()}), y


def measure(X: pd.DataFrame, y: NDArray, options: argparse.Namespace) -> dict[str, list[Outcome]]:
    """Outcomes of all contenders in the outer folds of one table."""
    X, y = subsample(X, y, options.rows)
    found: dict[str, list[Outcome]] = {name: [] for name in options.contenders}
    outer = StratifiedKFold(5, shuffle=True, random_state=0)
    for seed, (train, held) in enumerate(list(outer.split(X, y))[: options.folds]):
        for name in options.contenders:
            began = time.process_time()
            model, chosen = fit(*CONTENDERS[name], X.iloc[train], y[train], seed, options.raw)
            seconds = time.process_time() - began
            p = probabilities(model, X.iloc[held], int(y.max()) + 1)
            brier = scores(p, y[held])["brier"]
            found[name].append({"brier": brier, "seconds": seconds, "chosen": chosen})
    return found


def report(results: Results) -> list[str]:
    """Lines of the report."""
    names = list(next(iter(results.values())))
    mean = {
        metric: np.array(
            [
                [np.mean([one[metric] for one in found[n]]) for n in names]
                for found in results.values()
            ]
        )
        for metric in ("brier", "seconds")
    }
    rows = []
    for i, name in enumerate(names):
        gaps = mean["brier"][:, i] - mean["brier"][:, 0]
        error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
        gap = f"{gaps.mean():+.4f} ± {error:.4f}" if i else ""
        better = str((gaps > 0).sum()) if i else ""
        rows.append(
            [
                name,
                f"{mean['brier'][:, i].mean():.4f}",
                gap,
                better,
                f"{mean['seconds'][:, i].mean():.2f}",
            ]
        )
    first = names[0]
    header = ["contender", "Brier score", f"minus that of {first}"]
    header += [f"tables with a better score of {first}", "seconds"]
    lines = [f"## Means over {len(results)} tables", *table(header, rows)]
    for metric, title in {"brier": "Brier score", "seconds": "Seconds"}.items():
        cells = zip(results, mean[metric], strict=True)
        digits = 4 if metric == "brier" else 2
        body = [[name, *(f"{value:.{digits}f}" for value in row)] for name, row in cells]
        lines += [f"## {title}", *table(["table", *names], body)]
    rows = []
    for name in names:
        counts = Counter(one["chosen"] for found in results.values() for one in found[name])
        if CONTENDERS[name][1] is not None:
            rows += [[name, chosen, str(count)] for chosen, count in counts.most_common()]
    if rows:
        header = ["contender", "candidate", "times chosen"]
        lines += ["## What was chosen", *table(header, rows)]
    return lines


def contenders(text: str) -> list[str]:
    """Read names of contenders, separated by semicolons."""
    names = [name.strip() for name in text.split(";")]
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {'; '.join(CONTENDERS)}")
    return names


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("directories", nargs="*", type=Path, metavar="FOLDER", help="where NAME.csv.gz files are")
    add("--bundled", action="store_true", help=f"also {', '.join(BUNDLED)}")
    add("--tables", type=lambda text: text.split(","), help="of all these tables, only some")
    add(
        "--contenders",
        type=contenders,
        default=[*CONTENDERS],
        help=f"some of {'; '.join(CONTENDERS)}, separated by semicolons",
    )
    add("--rows", type=int, default=4000, help="rows to take of a larger table; 0 takes all")
    add("--folds", type=positive, default=5, help="only the first outer folds of five")
    add("--raw", action="store_true", help="do not standardise")
    add("--json", type=Path, metavar="FILE", help="where to keep all outcomes")
    return parser.parse_args()


def main() -> None:
    """Measure all that was asked for, and print the report."""
    options = arguments()
    others = OtherPrograms()
    warnings.simplefilter("ignore")  # of strings that only rows held out have; of convergence
    results: Results = {}
    with threadpool_limits(1):
        for name, X, y in tables(options.directories, options.bundled):
            if options.tables is None or name in options.tables:
                results[name] = measure(X, y, options)
                say(f"{name}: {len(y)} rows")
                if options.json:
                    options.json.write_text(json.dumps(results), encoding="utf-8")
    if not results:
        raise SystemExit("There is no such table.")
    print("\n".join([*head("Tuned against tuned", others), "", *report(results)]))


if __name__ == "__main__":
    main()
