"""Accuracy of classifiers as they come, on many tables, under one protocol.

A table is a file NAME.csv.gz with the class in its column "target" and nothing where a value is
missing. --bundled adds the four classification sets of scikit-learn. Of a larger table 4,000 rows
are taken, stratified. Three stratified folds are held out in turn, twice, which makes six fits.
From the rows to train on are learnt: medians in place of missing numbers, and the scale of each
number (--raw leaves the scale out); the most frequent value in place of missing strings, and one
column for each string, at most 20. All models get the same arrays and the same seeds, and take
turns, by one thread.

With --frames only tables with strings or gaps count, and ours gets the frame as it was read. So
does boosting, with its strings as pandas' categories; "by hand" is ours behind the preparation
above, and so are all others.

Each --set makes one more model: ours, with some parameters set otherwise. Prints tables in
Markdown. Brier scores are half the squared error summed over the classes, calibration errors
(ECE) are of the likeliest class, in 15 bins, and seconds are processor time of a fit. How far one
of ours is "behind the best peer" is the mean over the tables of what its Brier score is over that
of the best model that is not of this package, and nothing where it is better.
"""

import argparse
import ast
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fit_speed import OtherPrograms, head, names_among, positive, say, table
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelEncoder,
    OneHotEncoder,
    StandardScaler,
)
from threadpoolctl import threadpool_limits

from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier

#: Makes an unfitted estimator for a seed.
Make = Callable[[int], ClassifierMixin]

#: Scores of a fold, by name; of a model, by fold; of a set, by model; and of all sets.
Scores = dict[str, float]
Results = dict[str, dict[str, list[Scores]]]


def ensemble(n_networks: int) -> Make:
    """Return a maker of several networks of ours."""
    return lambda seed: ScratchMLPEnsembleClassifier(n_networks, random_state=seed)


def realmlp(seed: int) -> ClassifierMixin:
    """Return RealMLP, which needs the package pytabkit."""
    from pytabkit import RealMLP_TD_Classifier

    return RealMLP_TD_Classifier(random_state=seed, device="cpu", n_threads=1, verbosity=0)


def tabm(seed: int) -> ClassifierMixin:
    """Return TabM, which needs the package pytabkit."""
    from pytabkit import TabM_D_Classifier

    return TabM_D_Classifier(random_state=seed, device="cpu", n_threads=1, verbosity=0)


def lightgbm(seed: int) -> ClassifierMixin:
    """Return boosted trees of LightGBM."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1)


def catboost(seed: int) -> ClassifierMixin:
    """Return boosted trees of CatBoost."""
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        random_seed=seed, thread_count=1, verbose=False, allow_writing_files=False
    )


MODELS: dict[str, Make] = {
    "ours": lambda seed: ScratchMLPClassifier(random_state=seed),
    "ensemble": ensemble(4),
    "two networks": ensemble(2),
    "MLPClassifier": lambda seed: MLPClassifier(random_state=seed),
    "forest": lambda seed: RandomForestClassifier(random_state=seed),
    "boosting": lambda seed: HistGradientBoostingClassifier(
        categorical_features="from_dtype", random_state=seed
    ),
    "logistic": lambda seed: LogisticRegression(max_iter=1000),
    "LightGBM": lightgbm,
    "CatBoost": catboost,
    "RealMLP": realmlp,
    "TabM": tabm,
}

#: Those that need no package but scikit-learn.
USUAL = [name for name in MODELS if name not in ("LightGBM", "CatBoost", "RealMLP", "TabM")]

#: Those of this package.
OURS = ("ours", "ensemble", "two networks", "by hand")

METRICS = {
    "brier": "Brier score",
    "log_loss": "Log loss",
    "balanced": "Balanced accuracy",
    "ece": "Calibration error",
    "seconds": "Seconds of a fit",
}

#: Metrics of which differences are shown, and what they are called there.
COMPARED = {"brier": "Brier score", "log_loss": "log loss", "balanced": "balanced accuracy"}

BUNDLED = ("iris", "wine", "breast_cancer", "digits")


# ---------------------------------------------------------------- tables


def tables(folders: Sequence[Path], bundled: bool) -> Iterator[tuple[str, pd.DataFrame, NDArray]]:
    """Yield name, columns and classes, counted from 0, of each table."""
    for path in (path for folder in folders for path in sorted(folder.glob("*.csv.gz"))):
        X = pd.read_csv(path, keep_default_na=False, na_values=[""])
        y = X.pop("target")
        yield path.name.removesuffix(".csv.gz"), X, LabelEncoder().fit_transform(y)
    for name in BUNDLED if bundled else ():
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True, as_frame=True)
        yield name, X, y.to_numpy()


def prepare(raw: bool) -> ColumnTransformer:
    """Return the transformer from columns to floats."""
    numbers = [SimpleImputer(strategy="median"), *([] if raw else [StandardScaler()])]
    strings = [
        SimpleImputer(strategy="most_frequent"),
        OneHotEncoder(max_categories=20, handle_unknown="ignore", sparse_output=False),
    ]
    number = make_column_selector(dtype_include="number")
    other = make_column_selector(dtype_exclude="number")
    return ColumnTransformer(
        [("numbers", make_pipeline(*numbers), number), ("strings", make_pipeline(*strings), other)],
        sparse_threshold=0,
    )


def folds(
    X: pd.DataFrame, y: NDArray, options: argparse.Namespace
) -> Iterator[tuple[NDArray, NDArray, NDArray, NDArray]]:
    """Yield X and y to train on, X and y held out."""
    if options.rows and len(y) > options.rows:
        chosen, _ = train_test_split(
            np.arange(len(y)), train_size=options.rows, stratify=y, random_state=0
        )
        X, y = X.iloc[np.sort(chosen)], y[np.sort(chosen)]
    strings = X.select_dtypes(exclude="number").astype(object)
    X = X.assign(**{name: column.where(column.notna(), np.nan) for name, column in strings.items()})
    cv = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0)
    for train, held in list(cv.split(X, y))[: options.folds]:
        if options.frames:
            yield X.iloc[train], y[train], X.iloc[held], y[held]
            continue
        transformer = prepare(options.raw)
        A = transformer.fit_transform(X.iloc[train]).astype(float)
        B = transformer.transform(X.iloc[held]).astype(float)
        if options.odd_columns:
            A, B = (np.column_stack([Z, np.full(len(Z), 1e9), np.ones(len(Z))]) for Z in (A, B))
        if options.wrong_cells:
            columns = np.arange(X.select_dtypes("number").shape[1])  # they come first
            rows = np.random.RandomState(0).randint(len(A), size=len(columns))
            A[rows, columns] = 1000 * np.abs(A[:, columns]).max(axis=0)
        yield A, y[train], B, y[held]


# ---------------------------------------------------------------- scores


def scores(p: NDArray, y: NDArray) -> Scores:
    """Score probabilities p (n, n_classes) of classes y (n,)."""
    truth = y[:, None] == np.arange(p.shape[1])
    likeliest = p.argmax(axis=1)
    bounded = np.clip(p, 1e-7, 1)
    surprise = -np.log(bounded[truth] / bounded.sum(axis=1))
    # Bins are open to the left and closed to the right: (0, 1/15], (1/15, 2/15], ...
    bins = np.ceil(15 * p.max(axis=1))
    excess = p.max(axis=1) - (likeliest == y)
    return {
        "brier": float(np.square(p - truth).sum(axis=1).mean() / 2),
        "log_loss": float(surprise.mean()),
        "balanced": float(balanced_accuracy_score(y, likeliest)),
        "ece": sum(abs(float(excess[bins == b].sum())) for b in np.unique(bins)) / len(y),
    }


def categories(X: pd.DataFrame) -> pd.DataFrame:
    """Make pandas' categories of strings."""
    strings = X.select_dtypes(exclude="number").columns
    return X.astype(dict.fromkeys(strings, "category"))


def on_frames(name: str, make: Make) -> Make:
    """Put in front of a model what it needs to take a frame as it was read."""
    if name == "ours":
        return make
    first = FunctionTransformer(categories) if name == "boosting" else prepare(raw=False)
    return lambda seed: make_pipeline(first, make(seed))


def measure(X: pd.DataFrame, y: NDArray, makers: dict[str, Make], options: Any) -> dict[str, list]:
    """Scores of all models in all folds of one table; the models take turns."""
    found: dict[str, list[Scores]] = {name: [] for name in makers}
    for seed, (A, a, B, b) in enumerate(folds(X, y, options)):
        for name, make in makers.items():
            model = make(seed)
            began = time.process_time()
            model.fit(A, a)
            seconds = time.process_time() - began
            p = np.zeros((len(b), y.max() + 1))
            p[:, model.classes_] = model.predict_proba(B)
            found[name].append({**scores(p, b), "seconds": seconds})
    return found


# ---------------------------------------------------------------- report


def report(
    results: Results, metrics: dict[str, str] = METRICS, compared: dict[str, str] = COMPARED
) -> list[str]:
    """Lines of the report: means, differences from the first model, each set.

    Of the metrics compared, the first is the better the lower.
    """
    models = list(next(iter(results.values())))
    means = {
        metric: np.array(
            [[np.mean([s[metric] for s in found[m]]) for m in models] for found in results.values()]
        )
        for metric in metrics
    }
    rows = [
        [model, *(f"{means[metric][:, i].mean():.4f}" for metric in metrics)]
        for i, model in enumerate(models)
    ]
    lines = [f"## Means over {len(results)} sets", *table(["model", *metrics.values()], rows)]
    peers = [i for i, model in enumerate(models) if model not in OURS]
    first = next(iter(compared))
    if peers:
        best = means[first][:, peers].min(axis=1)
        for i, row in enumerate(rows):
            behind = np.maximum(means[first][:, i] - best, 0).mean()
            row.append("" if i in peers else f"{behind:.4f}")
        lines = lines[:1] + table(["model", *metrics.values(), "behind the best peer"], rows)
    rows = []
    for i, model in enumerate(models[1:], 1):
        row = [model]
        for metric in compared:
            gaps = means[metric][:, i] - means[metric][:, 0]
            error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else np.nan
            row.append(f"{gaps.mean():+.4f} ± {error:.4f}")
        gaps = means[first][:, i] - means[first][:, 0]
        rows.append([*row, f"{(gaps > 0).sum()}", f"{(gaps < 0).sum()}"])
    if rows:
        header = ["model", *compared.values()]
        header += [f"sets with a better {compared[first]} of {models[0]}", "with a worse"]
        lines += [f"## Differences from {models[0]}", *table(header, rows)]
    for metric, title in metrics.items():
        values = zip(results, means[metric], strict=True)
        rows = [[name, *(f"{value:.4f}" for value in row)] for name, row in values]
        lines += [f"## {title}", *table(["set", *models], rows)]
    return lines


def changed(settings: Sequence[str], cls: type = ScratchMLPClassifier) -> tuple[str, Make]:
    """Name and maker of our estimator with parameters set as in PARAM=VALUE."""
    given: dict[str, Any] = {}
    for name, _, value in (setting.partition("=") for setting in settings):
        try:
            given[name] = ast.literal_eval(value)
        except (SyntaxError, ValueError):
            given[name] = value
    cls().set_params(**given)  # complains of an unknown name before all fits
    return ", ".join(settings), lambda seed: cls(random_state=seed, **given)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("directories", nargs="*", type=Path, metavar="FOLDER", help="where NAME.csv.gz files are")
    add("--bundled", action="store_true", help=f"also {', '.join(BUNDLED)}")
    add("--sets", type=lambda text: text.split(","), help="of all these sets, only some")
    add("--models", type=names_among([*MODELS]), default=USUAL, help=f"of {','.join(MODELS)}")
    add("--set", nargs="+", action="append", default=[], metavar="PARAM=VALUE", dest="changes")
    add("--rows", type=int, default=4000, help="rows to take of a larger table; 0 takes all")
    add("--folds", type=positive, default=6, help="only the first folds of six")
    add("--frames", action="store_true", help="tables with strings or gaps, as they are read")
    add("--raw", action="store_true", help="do not standardise")
    add("--odd-columns", action="store_true", help="add a column of 1e9 and one of 1")
    add(
        "--wrong-cells", action="store_true", help="in rows to train on, a cell a column times 1000"
    )
    add("--json", type=Path, metavar="FILE", help="where to keep the scores of all folds")
    return parser.parse_args()


def main() -> None:
    """Measure all that was asked for, and print the report."""
    options = arguments()
    others = OtherPrograms()
    warnings.simplefilter("ignore")  # of strings that only rows held out have; of convergence
    makers = {name: MODELS[name] for name in options.models} | dict(map(changed, options.changes))
    if options.frames:
        makers["by hand"] = MODELS["ours"]
        makers = {name: on_frames(name, make) for name, make in makers.items()}
    results: Results = {}
    with threadpool_limits(1):
        for name, X, y in tables(options.directories, options.bundled):
            plain = len(X.select_dtypes("number").columns) == X.shape[1] and X.notna().all(
                axis=None
            )
            if (options.sets is None or name in options.sets) and not (options.frames and plain):
                results[name] = measure(X, y, makers, options)
                say(f"{name}: {len(y)} rows")
                if options.json:
                    options.json.write_text(json.dumps(results), encoding="utf-8")
    if not results:
        raise SystemExit("There is no such set.")
    print("\n".join([*head("Accuracy", others), "", *report(results)]))


if __name__ == "__main__":
    main()
