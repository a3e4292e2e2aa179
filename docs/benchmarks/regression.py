"""Accuracy of regressors as they come, on many tables, under one protocol.

A table is a file NAME.csv.gz with the number to predict in its column "target" and nothing where a
value is missing. --bundled adds diabetes, which comes with scikit-learn. Of a larger table 4,000
rows are taken. Three folds are held out in turn, twice, which makes six fits. From the rows to
train on are learnt: medians in place of missing numbers, and the scale of each number; the most
frequent value in place of missing strings, and one column for each string, at most 20. All models
get the same arrays and the same seeds, and take turns, by one thread. "MLPRegressor (y scaled)" is
MLPRegressor within a TransformedTargetRegressor, with StandardScaler.

With --frames only tables with strings or gaps count, and ours gets the frame as it was read. So
does boosting, with its strings as pandas' categories; "by hand" is ours behind the preparation
above, and so are all others.

With --far-out, of the targets to train on, one in a hundred is moved by 20 standard deviations, up
or down.

Each --set makes one more model: ours, with some parameters set otherwise. Prints tables in
Markdown. Errors are those of the rows held out, divided by the standard deviation of y there;
seconds are processor time of a fit.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accuracy import Results, Scores, changed, on_frames, prepare, report
from fit_speed import OtherPrograms, head, names_among, positive, say
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.base import RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import RepeatedKFold
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknn_scratch import ScratchMLPRegressor

#: Makes an unfitted estimator for a seed.
Make = Callable[[int], RegressorMixin]

MODELS: dict[str, Make] = {
    "ours": lambda seed: ScratchMLPRegressor(random_state=seed),
    "MLPRegressor": lambda seed: MLPRegressor(random_state=seed),
    "MLPRegressor (y scaled)": lambda seed: TransformedTargetRegressor(
        MLPRegressor(random_state=seed), transformer=StandardScaler()
    ),
    "forest": lambda seed: RandomForestRegressor(random_state=seed),
    "boosting": lambda seed: HistGradientBoostingRegressor(
        categorical_features="from_dtype", random_state=seed
    ),
    "ridge": lambda seed: RidgeCV(),
}

METRICS = {"nrmse": "RMSE / sd", "nmae": "MAE / sd", "seconds": "Seconds of a fit"}
COMPARED = {"nrmse": "RMSE / sd", "nmae": "MAE / sd"}


def tables(folders: Sequence[Path], bundled: bool) -> Iterator[tuple[str, pd.DataFrame, NDArray]]:
    """Yield name, columns and numbers to predict of each table."""
    for path in (path for folder in folders for path in sorted(folder.glob("*.csv.gz"))):
        X = pd.read_csv(path, keep_default_na=False, na_values=[""])
        yield path.name.removesuffix(".csv.gz"), X, X.pop("target").to_numpy(dtype=float)
    if bundled:
        X, y = datasets.load_diabetes(return_X_y=True, as_frame=True)
        yield "diabetes", X, y.to_numpy()


def folds(
    X: pd.DataFrame, y: NDArray, options: argparse.Namespace
) -> Iterator[tuple[Any, NDArray, Any, NDArray]]:
    """Yield X and y to train on, X and y held out."""
    if options.rows and len(y) > options.rows:
        chosen = np.sort(np.random.RandomState(0).choice(len(y), options.rows, replace=False))
        X, y = X.iloc[chosen], y[chosen]
    strings = X.select_dtypes(exclude="number").astype(object)
    X = X.assign(**{name: column.where(column.notna(), np.nan) for name, column in strings.items()})
    cv = RepeatedKFold(n_splits=3, n_repeats=2, random_state=0)
    for train, held in list(cv.split(X))[: options.folds]:
        A, a, B = X.iloc[train], y[train], X.iloc[held]
        if not options.frames:
            transformer = prepare(raw=False)
            A = transformer.fit_transform(A).astype(float)
            B = transformer.transform(B).astype(float)
        if options.far_out:
            rng = np.random.RandomState(0)
            moved = rng.choice(len(a), max(1, len(a) // 100), replace=False)
            a[moved] += 20 * a.std() * rng.choice([-1, 1], len(moved))
        yield A, a, B, y[held]


def scores(predicted: NDArray, y: NDArray) -> Scores:
    """Score predictions (n,) of numbers y (n,)."""
    error, sd = predicted - y, y.std()
    return {
        "nrmse": float(np.sqrt(np.mean(error**2)) / sd),
        "nmae": float(np.abs(error).mean() / sd),
    }


def measure(X: pd.DataFrame, y: NDArray, makers: dict[str, Make], options: Any) -> dict[str, list]:
    """Scores of all models in all folds of one table; the models take turns."""
    found: dict[str, list[Scores]] = {name: [] for name in makers}
    for seed, (A, a, B, b) in enumerate(folds(X, y, options)):
        for name, make in makers.items():
            model = make(seed)
            began = time.process_time()
            model.fit(A, a)
            seconds = time.process_time() - began
            found[name].append({**scores(model.predict(B), b), "seconds": seconds})
    return found


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("directories", nargs="*", type=Path, metavar="FOLDER", help="where NAME.csv.gz files are")
    add("--bundled", action="store_true", help="also diabetes")
    add("--sets", type=lambda text: text.split(","), help="of all these sets, only some")
    add("--models", type=names_among([*MODELS]), default=[*MODELS], help=f"of {','.join(MODELS)}")
    add("--set", nargs="+", action="append", default=[], metavar="PARAM=VALUE", dest="changes")
    add("--rows", type=int, default=4000, help="rows to take of a larger table; 0 takes all")
    add("--folds", type=positive, default=6, help="only the first folds of six")
    add("--frames", action="store_true", help="tables with strings or gaps, as they are read")
    add("--far-out", action="store_true", help="move one target in a hundred far out")
    add("--json", type=Path, metavar="FILE", help="where to keep the scores of all folds")
    return parser.parse_args()


def main() -> None:
    """Measure all that was asked for, and print the report."""
    options = arguments()
    others = OtherPrograms()
    warnings.simplefilter("ignore")  # of strings that only rows held out have; of convergence
    makers = {name: MODELS[name] for name in options.models}
    makers |= dict(changed(settings, ScratchMLPRegressor) for settings in options.changes)
    if options.frames:
        makers["by hand"] = MODELS["ours"]
        makers = {name: on_frames(name, make) for name, make in makers.items()}
    results: Results = {}
    with threadpool_limits(1):
        for name, X, y in tables(options.directories, options.bundled):
            plain = X.select_dtypes("number").shape[1] == X.shape[1] and X.notna().all(axis=None)
            if (options.sets is None or name in options.sets) and not (options.frames and plain):
                results[name] = measure(X, y, makers, options)
                say(f"{name}: {len(y)} rows")
                if options.json:
                    options.json.write_text(json.dumps(results), encoding="utf-8")
    if not results:
        raise SystemExit("There is no such set.")
    lines = report(results, METRICS, COMPARED)
    print("\n".join([*head("Accuracy of regressors", others), "", *lines]))


if __name__ == "__main__":
    main()
