"""Beyond one process: a search on a Dask cluster, and a table larger than memory. And examples."""

import os
import runpy
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import dask
import distributed
import numpy as np
import pandas as pd
import pytest
from distributed import Client, LocalCluster
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

import sknn_scratch
from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


@pytest.fixture(scope="module")
def cluster():
    """A cluster of two processes, which take long to start, most of all on a busy machine."""
    limits = [f"distributed.comm.timeouts.{kind}" for kind in ("connect", "tcp")]
    with (
        dask.config.set(dict.fromkeys(limits, "300s")),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
    ):
        yield cluster


# One worker has it.
on_the_cluster = pytest.mark.xdist_group("cluster")


def example(name: str, *options: str) -> list[str]:
    """Lines that an example prints."""
    run = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name, *options],
        env={**os.environ, "PYTHONPATH": str(Path(sknn_scratch.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.slow
@on_the_cluster
def test_a_search_on_a_cluster_of_two_processes(cluster):
    def score(model, X, y):
        brier = brier_score_loss(y, model.predict_proba(X)[:, 1])
        return {"brier": -brier, "process": os.getpid()}

    X, y = load_breast_cancer(return_X_y=True)
    network = ScratchMLPClassifier(dtype=None, max_iter=10, random_state=0)
    pipeline = make_pipeline(RobustScaler(), network)
    grid = {"scratchmlpclassifier__hidden_layer_sizes": [5, (20, 10), 50, 200]}
    search = GridSearchCV(pipeline, grid, cv=3, scoring=score, refit="brier")
    local = clone(search).fit(X, y)
    with Client(cluster), parallel_config(backend="dask"):
        remote = clone(search).fit(X, y)
        with parallel_config(backend="stacked", workers="dask"):
            stacked = clone(search).fit(X, y)

    def results(search, name):
        return np.array([search.cv_results_[f"split{k}_test_{name}"] for k in range(3)])

    assert set(results(local, "process").flat) == {os.getpid()}
    assert len(set(results(remote, "process").flat) - {os.getpid()}) == 2
    assert_array_equal(results(remote, "brier"), results(local, "brier"))
    assert len(np.unique(results(local, "brier"))) == 12
    assert_allclose(results(stacked, "brier"), results(local, "brier"), rtol=1e-9)
    assert len(set(results(stacked, "process").flat) - {os.getpid()}) == 2
    assert remote.best_params_ == local.best_params_
    assert_array_equal(remote.predict_proba(X), local.predict_proba(X))


@pytest.mark.slow
@on_the_cluster
def test_the_example_of_a_cluster(cluster, monkeypatch, capsys):
    asked = {}
    monkeypatch.setattr(
        distributed, "LocalCluster", lambda **how: asked.update(how) or nullcontext(cluster)
    )
    runpy.run_path(str(EXAMPLES / "dask_search.py"), run_name="__main__")
    assert asked == {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    local, remote, same, best = capsys.readouterr().out.splitlines()
    assert local.startswith("27 fits, processes: 1, ")
    assert remote.startswith("27 fits, processes: 2, ")
    assert same == "The same scores: True"
    assert float(best.split()[-1]) > 0.95


@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory as only Linux can")
def test_the_example_of_a_table_larger_than_memory():
    lines = example(
        "out_of_core.py", "--rows", "400_000", "--partition", "10_000", "--memory", "20"
    )
    table, before, score, best_score, peak, at_once = lines
    assert table == "Table: 400,000 rows, 32 MB"
    assert float(score.split()[-1]) < float(best_score.split()[-1]) + 0.02
    before, peak = (int(line.split(": ")[1].split(" MB")[0]) for line in (before, peak))
    assert peak <= before + 20
    assert at_once == "The table at once: ArrowMemoryError"


@pytest.mark.slow
def test_frames_partition_by_partition():
    """Strings, missing values and numbers to predict, as Dask hands partitions of a frame on."""
    frames = pytest.importorskip("dask.dataframe")
    rng = np.random.RandomState(0)
    n = 600
    frame = pd.DataFrame({"size": rng.randn(n), "word": rng.choice(["a", "b"], n)})
    frame["target"] = frame["size"] + 2 * (frame["word"] == "a")
    frame["label"] = np.where(frame["target"] > 1, "much", "little")
    frame.loc[::7, "size"] = np.nan
    partitions = frames.from_pandas(frame, npartitions=6).partitions
    settings = {"learning_rate_init": 0.02, "random_state": 0}
    classifier, regressor = ScratchMLPClassifier(**settings), ScratchMLPRegressor(**settings)
    for _ in range(10):
        for partition in partitions:
            rows = partition.compute()
            X = rows[["size", "word"]]
            classifier.partial_fit(X, rows["label"], classes=["little", "much"])
            regressor.partial_fit(X, rows["target"])
    X = frame[["size", "word"]]
    assert classifier.score(X, frame["label"]) > 0.85
    assert regressor.score(X, frame["target"]) > 0.75
    assert "word_a" in classifier.input_names_
    assert regressor.input_names_.tolist() == classifier.input_names_.tolist()
