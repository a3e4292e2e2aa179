"""Memory of a fit: one scaled copy of X and little more, and of X as it comes none.

What it keeps of a row beside X does not depend on the columns, and counts where they are few.
"""

import gc
import tracemalloc
import weakref
from functools import cache

import numpy as np
import pandas as pd
import pytest
import scipy
from jobs import make_job
from sklearn.utils.fixes import parse_version

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.training.loop import train

# One epoch does not get far.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, D = 40_000, 100

#: Bytes that a fit may take beside what it takes of each row: buffers for a part of the rows.
BUFFERS = 4 << 20


def peak(X, *, partial=False, more=None, **settings):
    """Bytes that a fit of one epoch holds at most, by those of X."""
    y = (X[:, 0] > 0.5).astype(int)
    y += (X[:, 0] > 0.8) if settings.pop("classes", 2) == 3 else 0
    given = {"dtype": None, "max_iter": 1, "batch_size": 2000, "random_state": 0} | settings
    model = ScratchMLPClassifier((4,), **given)
    tracemalloc.start()
    try:
        if partial:
            model.partial_fit(X, y, classes=[0, 1])
        else:
            model.fit(X, y, **(more or {}))
        return tracemalloc.get_traced_memory()[1] / X.nbytes
    finally:
        tracemalloc.stop()


@cache
def table(dtype, order="C"):
    return np.random.RandomState(0).rand(N, D).astype(dtype, order=order)


WEIGHTS = np.random.RandomState(0).rand(N)
WITH_ZEROS = np.where(WEIGHTS < 0.3, 0, WEIGHTS)
FITS = {
    "defaults": {},
    "sgd": {"solver": "sgd"},
    "inputs left out": {"input_dropout": 0.1},
    "early stopping": {"early_stopping": True},
    "early stopping, where there are many rows": {"early_stopping": "auto"},
    "early stopping, three classes": {"early_stopping": True, "classes": 3},
    "weights": {"more": {"sample_weight": WEIGHTS}},
    "weights of zero": {"early_stopping": True, "more": {"sample_weight": WITH_ZEROS}},
    "classes balanced": {"class_weight": "balanced"},
    "partial_fit": {"partial": True},
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fit", FITS)
def test_a_fit_takes_one_copy_of_the_table_and_little_more(fit, dtype):
    assert 0.9 < peak(table(dtype), **FITS[fit]) < 1.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fit", FITS)
def test_beside_the_copy_it_takes_few_bytes_a_row(fit, dtype):
    n, settings = 100_000, FITS[fit]
    X = np.random.RandomState(0).rand(n, 10).astype(dtype)
    if weighted := "more" in settings:
        settings = settings | {"more": {"sample_weight": np.resize(WITH_ZEROS, n)}}
    weighted = weighted or "class_weight" in settings
    n_outputs = 3 if "classes" in settings else 1
    a_row = 16 + 2 * n_outputs * X.itemsize + 16 * weighted
    assert peak(X, **settings) * X.nbytes < X.nbytes + a_row * n + BUFFERS


@pytest.mark.parametrize(("dtype", "columns"), [(np.float32, 20), (np.float64, 16)])
@pytest.mark.parametrize("fit", ["defaults", "early stopping"])
def test_so_few_columns_are_enough_for_that_to_be_little(fit, dtype, columns):
    # So many rows that buffers, of which each thread has its own, are little too.
    X = np.random.RandomState(0).rand(1_000_000, columns).astype(dtype)
    assert peak(X, **FITS[fit]) < 1.3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fit", FITS)
def test_a_table_that_is_not_scaled_is_not_copied(fit, dtype):
    held_out = 0.1 if "early" in fit or "zero" in fit else 0
    assert peak(table(dtype), scale_features=False, **FITS[fit]) < 0.2 + 1.5 * held_out


@pytest.mark.parametrize("container", [np.asarray, pd.DataFrame])
def test_of_columns_that_lie_side_by_side_there_is_no_other_copy(container):
    X = table(np.float64, "F")
    y, given = (X[:, 0] > 0.5).astype(int), container(X)
    model = ScratchMLPClassifier((4,), dtype=None, max_iter=1, batch_size=2000, random_state=0)
    tracemalloc.start()
    model.fit(given, y)
    found = tracemalloc.get_traced_memory()[1] / X.nbytes
    tracemalloc.stop()
    assert 0.9 < found < 1.3


@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_in_another_type_the_copy_is_of_that_type(dtype):
    assert 0.45 < peak(table(np.float64), dtype=dtype) < 0.7


LBFGS = pytest.param(
    {"solver": "lbfgs"},
    marks=pytest.mark.skipif(
        parse_version(scipy.__version__) < parse_version("1.17"),
        reason="functions of older SciPy (1.13 was tried) refer to each other, and to the table",
    ),
)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, LBFGS], ids=str)
def test_a_fit_lets_go_of_the_table_at_its_end(settings):
    X = np.random.RandomState(0).rand(2000, 50)
    y = X[:, 0] > 0.5
    model = ScratchMLPClassifier((4,), max_iter=2, random_state=0, **settings)
    model.fit(X, y)
    gc.collect()
    gc.disable()  # which would come too late: it counts objects, not bytes
    tracemalloc.start()
    try:
        model.fit(X, y)
        assert tracemalloc.get_traced_memory()[0] < X.nbytes / 2
    finally:
        tracemalloc.stop()
        gc.enable()


def test_several_networks_let_go_of_their_tables_at_their_end():
    jobs = [make_job(np.random.RandomState(k), n=200, max_iter=2) for k in range(3)]
    tables = [weakref.ref(job.X) for job in jobs]
    gc.disable()
    try:
        train(jobs)
        del jobs
        assert all(table() is None for table in tables)
    finally:
        gc.enable()
