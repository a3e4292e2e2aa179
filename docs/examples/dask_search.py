"""Run a grid search on a Dask cluster, here of two worker processes, and compare with a local run.

On a real cluster, give `Client` the address of its scheduler instead. Needs the extra "dask";
in the folder of the project, `python -m pip install ".[dask]"` installs it.
"""

import os
from time import perf_counter

from distributed import Client, LocalCluster
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV

from sknn_scratch import ScratchMLPClassifier

GRID = {"hidden_layer_sizes": [(10,), (50,), (200,)], "learning_rate_init": [0.003, 0.01, 0.03]}


def accuracy_and_process(clf, X, y):
    """Score a fitted network; tell also which process has done it."""
    return {"accuracy": accuracy_score(y, clf.predict(X)), "process": os.getpid()}


def timed_fit(search, X, y):
    """Fit a copy of a search, and print what it took."""
    began = perf_counter()
    search = clone(search).fit(X, y)
    results = search.cv_results_
    processes = {p for k in range(search.n_splits_) for p in results[f"split{k}_test_process"]}
    fits = len(results["params"]) * search.n_splits_
    print(f"{fits} fits, processes: {len(processes)}, seconds: {perf_counter() - began:.1f}")
    return search


def main():
    """Search locally and on the cluster."""
    X, y = load_breast_cancer(return_X_y=True)
    search = GridSearchCV(
        ScratchMLPClassifier(random_state=0),
        GRID,
        cv=3,
        scoring=accuracy_and_process,
        refit="accuracy",
    )
    local = timed_fit(search, X, y)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster),
        parallel_config(backend="dask"),
    ):
        remote = timed_fit(search, X, y)
    same = remote.cv_results_["mean_test_accuracy"] == local.cv_results_["mean_test_accuracy"]
    print(f"The same scores: {same.all()}")
    print(f"Best: {remote.best_params_}, accuracy {remote.best_score_:.3f}")


if __name__ == "__main__":
    main()
