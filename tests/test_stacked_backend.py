"""The joblib backend "stacked": it trains together, gives the same results, and always ends."""

import faulthandler
import gc
import inspect
import itertools
import math
import multiprocessing
import os
import pickle
import random
import signal
import sys
import threading
import time
import traceback
import tracemalloc
import warnings
import weakref
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import ClassVar

import joblib
import numpy as np
import pytest
import scipy.sparse
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from jobs import make_job
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.exceptions import FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sknn_scratch import (
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)
from sknn_scratch.network.activations import ACTIVATIONS, Activation
from sknn_scratch.parallel.backend import cut
from sknn_scratch.parallel.sharing import AS_IT_CAME
from sknn_scratch.training.grouping import gains_in_a_stack, stacks_of, working_set
from sknn_scratch.training.loop import train
from sknn_scratch.training.trainer import train_one

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FOREVER = 10**9

#: Seconds that no fit of these tests takes between two stops, however busy the machine is.
MORE_THAN_A_FIT = 1.0

in_this_process = partial(parallel_config, "stacked", n_jobs=1)
in_processes = partial(parallel_config, "stacked", n_jobs=2)

# Which starts the processes, and keeps them for the next test.
in_one_worker = pytest.mark.xdist_group("processes")


@pytest.fixture(autouse=True)
def watchdog():
    """Kill a test that hangs, and fail one that leaves a thread."""
    before = set(threading.enumerate())
    faulthandler.dump_traceback_later(300, exit=True)
    # A shell that runs this in the background has interrupts ignored.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)
    faulthandler.cancel_dump_traceback_later()
    left = [t.name for t in set(threading.enumerate()) - before]
    assert not [name for name in left if name.startswith("stacked")], left


@pytest.fixture(scope="module", autouse=True)
def no_processes_left():
    """End the processes when all tests are done."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def trained(monkeypatch):
    """How many networks have been trained in each stack of this process."""
    sizes = []

    def train_and_count(jobs):
        sizes.append(len(jobs))
        return train(jobs)

    monkeypatch.setattr("sknn_scratch.training.shielded.train", train_and_count)
    return sizes


X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X, Y = X_IRIS[::3], Y_IRIS[::3]


def network(**changes):
    """A network that is fitted quickly."""
    settings = {"hidden_layer_sizes": (4,), "dtype": None, "random_state": 0}
    return ScratchMLPClassifier(**(settings | {"max_iter": 5, "batch_size": 8} | changes))


GRID = {"hidden_layer_sizes": [(3,), (5,)], "learning_rate_init": [0.003, 0.01, 0.03]}


def search(estimator=None, grid=None, **settings):
    """A small grid search."""
    return GridSearchCV(
        network() if estimator is None else estimator, grid or GRID, cv=2, **settings
    )


def scores_of(search):
    """All scores of a search, but no times."""
    found = search.cv_results_
    return np.array([found[name] for name in sorted(found) if name.startswith(("split", "mean_t"))])


def scores_both_ways(model, grid):
    """Scores of a search some of whose fits fail: plain, and stacked in this process."""
    searches = [search(model, grid, refit=False) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.simplefilter("ignore", UserWarning)
        searches[0].fit(X, Y)
        with in_this_process():
            searches[1].fit(X, Y)
    return map(scores_of, searches)


# ---------------------------------------------------------------- the same results


def multilabel_digits():
    """Digits, and the bits of their numbers."""
    X, y = load_digits(return_X_y=True)
    return X[::4], (y[::4, None] >> np.arange(4)) & 1


def cancer_in_words():
    """Breast cancer, with strings for labels."""
    X, y = load_breast_cancer(return_X_y=True)
    return X, np.array(["malignant", "benign"])[y]


def wine():
    """Wine."""
    return load_wine(return_X_y=True)


@pytest.mark.parametrize(
    "load, changes, weighted, scoring",
    [
        (wine, {"early_stopping": True, "n_iter_no_change": 2}, False, "neg_log_loss"),
        (wine, {"class_weight": "balanced", "learning_rate": "constant"}, True, "neg_log_loss"),
        (cancer_in_words, {"solver": "sgd", "activation": "tanh"}, True, "neg_log_loss"),
        (cancer_in_words, {"class_weight": {"benign": 2.0}}, False, "neg_log_loss"),
        (multilabel_digits, {"input_dropout": 0.1, "alpha": 0.1}, False, "roc_auc"),
        (multilabel_digits, {"dtype": "float32"}, True, "roc_auc"),
    ],
)
def test_a_search_gives_the_same_results(trained, load, changes, weighted, scoring):
    X, y = load()
    model = Pipeline(
        [("scale", StandardScaler()), ("net", network(max_iter=15, batch_size=32, **changes))]
    )
    grid = {f"net__{name}": values for name, values in GRID.items()}
    plain, together = (
        search(model, grid, scoring=["accuracy", scoring], refit=False) for _ in range(2)
    )
    weights = np.random.RandomState(0).uniform(0.5, 2, len(y))
    parameters = {"net__sample_weight": weights} if weighted else {}
    plain.fit(X, y, **parameters)
    assert trained == []
    with in_this_process():
        together.fit(X, y, **parameters)
    assert sum(trained) == 12
    assert max(trained) > 1
    one_row = 1.01 / (len(y) // 2)
    rounding = 1e-4 if "dtype" in changes else 1e-11
    for metric, tolerance in (("accuracy", one_row), (scoring, rounding)):
        for split in range(2):
            name = f"split{split}_test_{metric}"
            expected, found = plain.cv_results_[name], together.cv_results_[name]
            assert_allclose(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "changes, n_outputs",
    [
        ({}, 1),
        ({"loss": "poisson", "early_stopping": True, "n_iter_no_change": 3}, 1),
        ({"loss": "squared_error", "solver": "sgd", "scale_targets": False}, 2),
        ({"input_dropout": 0.1, "alpha": 0.1}, 2),
    ],
)
def test_a_search_of_regressors_gives_the_same_results(trained, changes, n_outputs):
    X, y = load_diabetes(return_X_y=True)
    Y = y if n_outputs == 1 else np.column_stack([y / 100, X[:, 0]])
    model = ScratchMLPRegressor((4,), max_iter=15, batch_size=64, random_state=0, **changes)
    settings = {"scoring": ["r2", "neg_mean_absolute_error"], "refit": "r2"}
    plain, together = (search(model, **settings).fit(X, Y), search(model, **settings))
    assert trained == []
    with in_this_process():
        together.fit(X, Y)
    assert sum(trained) == 12
    assert max(trained) > 1
    for name in ("mean_test_r2", "mean_test_neg_mean_absolute_error"):
        assert_allclose(together.cv_results_[name], plain.cv_results_[name], rtol=1e-9)
    assert together.best_params_ == plain.best_params_


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("loss", ["guarded_squared_error", "log_loss"])
def test_weights_of_classes_and_labels_and_their_guards_share_a_stack(
    trained, loss, early_stopping
):
    X, y = multilabel_digits()
    rare = [{0: 1, 1: 5}, {}, {1: 0.5}, {0: 2}]
    model = network(loss=loss, early_stopping=early_stopping, batch_size=32)
    grid = {"class_weight": [None, "balanced", rare, [{}] * 4]}
    plain = search(model, grid, refit=False, scoring="roc_auc").fit(X, y)
    with in_this_process():
        together = search(model, grid, refit=False, scoring="roc_auc").fit(X, y)
    assert trained == [8]
    assert_allclose(scores_of(together), scores_of(plain))
    assert len(set(plain.cv_results_["mean_test_score"].round(9))) == 3


def test_networks_leave_the_stack_at_different_epochs(trained):
    settings = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 50}
    with in_this_process():
        found = cross_validate(network(**settings), X_IRIS, Y_IRIS, return_estimator=True)
    plain = cross_validate(network(**settings), X_IRIS, Y_IRIS, return_estimator=True)
    assert trained == [5]
    epochs = [clf.n_iter_ for clf in found["estimator"]]
    assert len(set(epochs)) > 1
    assert epochs == [clf.n_iter_ for clf in plain["estimator"]]


def fitted_search(kind, **settings):
    return kind(network(), GRID, cv=2, random_state=0, **settings).fit(X, Y)


def several_metrics():
    found = cross_validate(
        network(), X, Y, cv=3, scoring=["accuracy", "neg_log_loss"], return_estimator=True
    )
    probabilities = [clf.predict_proba(X) for clf in found["estimator"]]
    return [*found["test_accuracy"], *found["test_neg_log_loss"], *np.ravel(probabilities)]


def nested_search():
    found = cross_validate(search(network(max_iter=3)), X, Y, cv=3)
    return found["test_score"]


def search_in_a_pipeline_in_a_search():
    inner = search(network(max_iter=3))
    model = Pipeline([("scale", StandardScaler()), ("search", inner)])
    return scores_of(search(model, {"search__cv": [2, 3]}).fit(X, Y))


def deeply_nested():
    ensemble = BaggingClassifier(network(), n_estimators=3, random_state=0)
    inner = search(ensemble, {"n_estimators": [2, 3]})
    return cross_validate(inner, X, Y, cv=2, scoring="neg_log_loss")["test_score"]


HALVING = {"factor": 2, "min_resources": 24}
RUNS = {
    "GridSearchCV": lambda: search().fit(X, Y).predict_proba(X),
    "RandomizedSearchCV": lambda: scores_of(fitted_search(RandomizedSearchCV, n_iter=4)),
    "HalvingGridSearchCV": lambda: scores_of(fitted_search(HalvingGridSearchCV, **HALVING)),
    "cross_validate": several_metrics,
    "learning_curve": lambda: learning_curve(
        network(), X, Y, train_sizes=[0.5, 1.0], cv=3, shuffle=True, random_state=0
    )[2],
    "BaggingClassifier": lambda: (
        BaggingClassifier(network(), n_estimators=6, bootstrap=False, random_state=0)
        .fit(X, Y)
        .predict_proba(X)
    ),
    "VotingClassifier": lambda: (
        VotingClassifier(
            [
                ("a", network()),
                ("b", network(alpha=1.0)),
                ("c", DecisionTreeClassifier(random_state=0)),
            ],
            voting="soft",
        )
        .fit(X, Y)
        .predict_proba(X)
    ),
    "OneVsRestClassifier": lambda: OneVsRestClassifier(network()).fit(X, Y).predict_proba(X),
    "nested search": nested_search,
    "search in a pipeline in a search": search_in_a_pipeline_in_a_search,
    "search of ensembles in cross-validation": deeply_nested,
}


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_everything_that_uses_joblib_gives_the_same(trained, run):
    expected = run()
    assert trained == []
    with in_this_process():
        found = run()
    assert max(trained) > 1
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------- who is trained with whom


def test_all_fits_of_a_search_meet_before_any_is_trained(trained):
    with in_this_process():
        search().fit(X, Y)
    assert trained == [6, 6]  # two sizes, of each two splits and three rates


def test_nested_searches_meet_in_one_stack(trained):
    with in_this_process():
        cross_validate(search(grid={"alpha": [0.0, 1.0, 2.0]}), X, Y, cv=3)
    assert sum(trained) == 3 * (6 + 1)
    assert max(trained) > 6


def ensemble(**changes):
    """Two networks with each of two views of a table."""
    return ScratchMLPEnsembleClassifier(hidden_layer_sizes=(6,), random_state=0, **changes)


def test_networks_of_several_ensembles_meet_in_a_stack_per_view(trained):
    X = np.random.RandomState(0).normal(size=(60, 3))  # whose folds have as many bins
    y = X[:, 0] > 0

    def run():
        found = cross_validate(ensemble(max_iter=5), X, y, cv=2, return_estimator=True)
        return [clf.predict_proba(X) for clf in found["estimator"]]

    expected = run()
    assert trained == []
    with in_this_process():
        found = run()
    assert trained == [4, 4]
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_an_ensemble_that_fails_does_not_harm_others(trained):
    def scorer(estimator, X, y):
        if len(y) == 4:
            fail()
        return estimator.score(X, y)

    net = ensemble(max_iter=5, early_stopping=True, scoring=scorer)
    grid = {"validation_fraction": [0.1, 0.16, 0.2]}  # of 25 rows, the second holds out 4
    plain, found = scores_both_ways(net, grid)
    assert np.isnan(plain[:, 1]).all()
    assert not np.isnan(plain[:, [0, 2]]).any()
    assert_allclose(found, plain)


def test_the_search_may_say_how_many_processes(trained):
    with parallel_config("stacked"):
        search(n_jobs=1, refit=False).fit(X, Y)
    assert trained == [6, 6]


def test_one_core_needs_no_processes(trained, monkeypatch):
    monkeypatch.setattr(joblib._parallel_backends, "cpu_count", lambda: 1)
    with parallel_config("stacked"):
        search(refit=False).fit(X, Y)
    assert trained == [6, 6]


def test_n_jobs_must_not_be_0():
    with in_this_process(), pytest.raises(ValueError, match="n_jobs == 0"):
        search(n_jobs=0).fit(X, Y)


def test_one_task(trained):
    with in_this_process():
        clf = Parallel()([delayed(network().fit)(X, Y)])[0]
    assert trained == [1]
    assert_allclose(clf.predict_proba(X), network().fit(X, Y).predict_proba(X))


@in_one_worker
@pytest.mark.parametrize("config", [in_this_process, in_processes])
def test_a_call_that_asks_for_as_many_processes_as_tasks_gets_as_many_as_allowed(config):
    with config():
        effective = joblib.effective_n_jobs()
        found = set(Parallel(effective)(delayed(os.getpid)() for _ in range(40)))
    if config is in_this_process:
        assert found == {os.getpid()}
    else:
        assert len(found - {os.getpid()}) <= 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_task(n_jobs):
    with parallel_config("stacked"):
        assert Parallel(n_jobs)([]) == []


def test_max_stack_bounds_the_tasks_under_way(trained):
    grid = {"alpha": range(5)}
    with in_this_process(max_stack=4):
        found = search(grid=grid, refit=False).fit(X, Y)
    assert trained == [4, 4, 2]
    assert_allclose(scores_of(found), scores_of(search(grid=grid).fit(X, Y)))


@pytest.mark.skipif(
    "backend_kwargs" not in inspect.signature(Parallel).parameters,
    reason="older versions of joblib take no settings of the backend here",
)
def test_max_stack_can_be_given_to_a_single_call(trained):
    Parallel(n_jobs=1, backend="stacked", max_stack=3)(
        delayed(network(alpha=alpha).fit)(X, Y) for alpha in range(7)
    )
    assert trained == [3, 3, 1]


@pytest.mark.parametrize("max_stack", [0, -1, 2.5, "8", None])
def test_max_stack_is_a_whole_number(max_stack):
    with pytest.raises(ValueError, match="max_stack must be a whole number from 1"):
        parallel_config("stacked", max_stack=max_stack)


def test_large_data_bound_the_tasks_under_way(trained, monkeypatch):
    # Their own rows, of five and nearly of a sixth, and what their networks see of two folds.
    memory = 5.9 * 25 * 4 * AS_IT_CAME + 2 * 25 * (4 + 3) * 8
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.MEMORY", memory)
    with in_this_process():
        search(grid={"alpha": range(5)}, refit=False).fit(X, Y)
    assert trained == [5, 5]


class Remembered(ScratchMLPClassifier):
    """A network of which it is known whether it is still there."""

    fitted: ClassVar = weakref.WeakSet()
    most = 0

    def fit(self, X, y):
        """Fit, and count those that are there."""
        super().fit(X, y)
        self.fitted.add(self)
        Remembered.most = max(self.most, len(self.fitted))
        return self


@pytest.mark.parametrize("nested", [False, True])
def test_a_task_that_has_ended_leaves_nothing_but_its_result(nested):
    Remembered.most = 0
    model = Remembered((4,), max_iter=2, random_state=0)
    inner = search(model, {"alpha": range(8)}, refit=False)
    with in_this_process(max_stack=4):
        if nested:
            cross_validate(inner, X, Y, cv=2, error_score=np.nan, scoring=lambda *_: 0.0)
        else:
            inner.fit(X, Y)
    assert 1 <= Remembered.most <= 4


def traced_peak(run):
    """Bytes that are taken at most while something runs."""
    gc.collect()
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("tasks_at_a_time", [1, 3, 6])
def test_memory_is_that_of_one_fit_and_of_those_that_wait(monkeypatch, tasks_at_a_time):
    X = np.random.RandomState(0).rand(4000, 50)
    fold = X.nbytes // 2
    model = search(network(batch_size=100, max_iter=1), {"alpha": range(6)}, refit=False)
    alone = traced_peak(lambda: model.fit(X, X[:, 0] > 0.5))
    bound = (tasks_at_a_time + 0.9) * fold // 8 * AS_IT_CAME + 2 * fold
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.MEMORY", bound)
    with in_this_process():
        stacked = traced_peak(lambda: model.fit(X, X[:, 0] > 0.5))
    # A task holds its rows to fit and to score, here two halves; what networks see of each half is
    # there once, beside a copy of the half while it is made, and once more in a stack of several.
    seen = 3 if tasks_at_a_time == 1 else 4
    more = (2 * tasks_at_a_time + seen) - (2 + 1)
    assert stacked < alone + (more + 0.5) * fold


def test_a_stack_fits_into_the_cache():
    jobs = [make_job(np.random.RandomState(k)) for k in range(7)]
    stacks = stacks_of(jobs, cache=3 * working_set(jobs[0]))
    assert sorted(k for stack in stacks for k in stack) == [*range(7)]
    assert sorted(map(len, stacks)) == [2, 2, 3]
    assert gains_in_a_stack(jobs[0], cache=2 * working_set(jobs[0]))
    assert not gains_in_a_stack(jobs[0], cache=2 * working_set(jobs[0]) - 1)


def test_networks_too_large_for_a_stack_do_not_wait(trained, monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.gains_in_a_stack", lambda job: False)
    under_way = []

    def fit():
        under_way.append("begins")
        network().fit(X, Y)
        under_way.append("ends")

    with in_this_process():
        Parallel()(delayed(fit)() for _ in range(3))
    assert trained == [1, 1, 1]
    assert under_way == ["begins", "ends"] * 3


def test_more_tasks_than_joblib_hands_in_at_once(trained):
    with in_this_process():
        found = Parallel(pre_dispatch=4)(delayed(network(alpha=k).fit)(X, Y) for k in range(11))
    assert [clf.alpha for clf in found] == [*range(11)]
    assert trained == [4, 4, 3]


@pytest.mark.parametrize("n_tasks", [1, 7, 16, 120, 1000])
@pytest.mark.parametrize("n_workers", [1, 2, 8, 16])
def test_batches_keep_all_workers_busy_to_the_end(n_workers, n_tasks):
    batches = [*cut(range(n_tasks), n_workers)]
    assert [task for batch in batches for task in batch] == [*range(n_tasks)]
    sizes = [len(batch) for batch in batches]
    share = math.ceil(n_tasks / n_workers)
    assert max(sizes) <= share
    assert sizes == sorted(sizes, reverse=True)
    if n_workers > 1:
        assert max(sizes) <= max(16, math.ceil(share / 2))
        assert sizes[-1] <= 16
        assert min([*sizes[:-1], 16]) >= min(16, share)


def test_what_has_no_stack_is_trained_all_the_same(trained):
    grid = [
        {"solver": ["lbfgs"], "max_iter": [20]},
        {"hidden_layer_sizes": [(3,), (4,), (5, 2)]},
    ]
    sparse = scipy.sparse.csr_matrix(X)
    plain = search(grid=grid, refit=False).fit(sparse, Y)
    with in_this_process():
        found = search(grid=grid, refit=False).fit(sparse, Y)
    assert trained == [1] * 6
    assert_allclose(scores_of(found), scores_of(plain))


def test_estimators_of_other_classes_run_beside_networks(trained):
    grid = {"clf": [network(), DecisionTreeClassifier(random_state=0), network(alpha=1.0)]}
    model = Pipeline([("clf", network())])
    plain = search(model, grid).fit(X, Y)
    with in_this_process():
        found = search(model, grid).fit(X, Y)
    assert trained[0] == 4
    assert_allclose(scores_of(found), scores_of(plain))


def test_the_search_tells_of_its_progress(capfd):
    with in_this_process():
        search(verbose=3).fit(X, Y)
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "Fitting 2 folds for each of 6 candidates, totalling 12 fits"
    assert sum("END hidden_layer_sizes" in line for line in lines) == 12


# ---------------------------------------------------------------- errors


class Fault(Exception):
    """What the tests raise."""


def fail(*_):
    """Raise."""
    raise Fault("on purpose")


class Failing(ClassifierMixin, BaseEstimator):
    """A classifier that cannot be fitted."""

    def fit(self, X, y):
        """Raise."""
        fail()


BAD = {
    "bad parameter": ({"learning_rate_init": [0.01, -1.0, 0.03]}, "learning_rate_init"),
    "divergence": ({"learning_rate_init": [0.01, 1e300, 0.03]}, "overflowed"),
    "another class": ({"clf": [network(), Failing(), network(alpha=1.0)]}, "on purpose"),
}


@pytest.mark.parametrize("grid, message", BAD.values(), ids=BAD)
def test_a_candidate_that_fails(grid, message):
    model = Pipeline([("clf", network())])
    if "clf" not in grid:
        model = network(activation="identity", solver="sgd", learning_rate="constant")
    plain, found = scores_both_ways(model, grid)
    assert np.isnan(found).any()
    assert not np.isnan(found).all()
    assert_allclose(found, plain)
    with in_this_process(), pytest.raises((ValueError, Fault), match=message):
        search(model, grid, error_score="raise").fit(X, Y)


@in_one_worker
@pytest.mark.parametrize("config", [in_this_process, in_processes])
def test_the_error_tells_where_it_arose(config):
    with config(), pytest.raises(Fault) as caught:
        Parallel()([delayed(network().fit)(X, Y), delayed(fail)()])
    assert "in fail" in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("raising", [{"callbacks": [fail]}, {"hold_out": fail}], ids=" ".join)
def test_a_network_whose_callback_or_validation_raises_does_not_harm_the_others(trained, raising):
    def jobs():
        first, second, third = (make_job(np.random.RandomState(k)) for k in range(3))
        return [first, replace(second, **raising), third]

    with in_this_process():
        first, second, third = Parallel()(delayed(outcome)(job) for job in jobs())
    assert trained == [3]
    assert isinstance(second, Fault)
    for k, result in ((0, first), (2, third)):
        assert_allclose(result.theta, train([jobs()[k]])[0].theta, rtol=1e-10)


def outcome(job):
    """What training has come to."""
    try:
        return train_one(job)
    except Fault as error:
        return error


def test_if_a_stack_cannot_be_trained_all_its_tasks_hear_of_it(monkeypatch):
    monkeypatch.setitem(ACTIVATIONS, "failing", Activation(fail, fail, 1.0))
    jobs = [make_job(np.random.RandomState(k), activation="failing") for k in range(3)]
    with in_this_process():
        found = Parallel()(delayed(outcome)(job) for job in jobs)
    assert [str(error) for error in found] == ["on purpose"] * 3


def test_an_inner_call_that_fails_does_not_harm_the_others(trained):
    def inner(k):
        tasks = [delayed(network(alpha=alpha).fit)(X, Y) for alpha in range(3)]
        if k == 1:
            tasks.append(delayed(fail)())
        try:
            return Parallel()(tasks)[2].predict_proba(X)
        except Fault:
            return None

    with in_this_process():
        first, second, third = Parallel()(delayed(inner)(k) for k in range(3))
    assert second is None
    expected = network(alpha=2).fit(X, Y).predict_proba(X)
    assert_allclose(first, expected)
    assert_allclose(third, expected)


def test_an_inner_call_that_fails_ends(trained):
    begun = []

    def inner():
        tasks = [delayed(fail)(), *(delayed(begun.append)(k) for k in range(3))]
        with pytest.raises(Fault):
            Parallel()(tasks)
        return Parallel()(delayed(network(alpha=k).fit)(X, Y) for k in range(2))

    with in_this_process():
        Parallel()([delayed(inner)()])
    assert begun == []
    assert trained == [2]


def test_if_the_memory_does_not_do_for_stacks_networks_are_trained_alone(trained, monkeypatch):
    def too_much(jobs):
        raise MemoryError

    expected = scores_of(search(refit=False).fit(X, Y))
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.stacks_of", too_much)
    with in_this_process():
        found = search(refit=False).fit(X, Y)
    assert trained == [1] * 12
    assert_allclose(scores_of(found), expected)


def test_a_fault_of_the_scheduler_ends_the_search(monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.stacks_of", fail)
    with in_this_process(), pytest.raises(Fault, match="on purpose"):
        search(error_score=np.nan).fit(X, Y)
    monkeypatch.undo()
    with in_this_process():
        search().fit(X, Y)


# ---------------------------------------------------------------- processes


def tell(job):
    """Train a job; return in which process, and how many networks each stack there had so far."""
    from sknn_scratch.training import shielded

    if not hasattr(shielded, "sizes"):
        shielded.sizes, in_earnest = [], shielded.train

        def train_and_count(jobs):
            shielded.sizes.append(len(jobs))
            return in_earnest(jobs)

        shielded.train = train_and_count
    train_one(job)
    return os.getpid(), list(shielded.sizes)


@in_one_worker
def test_each_process_has_stacks_of_its_own():
    jobs = [make_job(np.random.RandomState(k), max_iter=200) for k in range(80)]
    with in_processes():
        found = Parallel()(delayed(tell)(job) for job in jobs)
    batches = [20, 16, 16, 16, 12]
    assert {pid for pid, _ in found}.isdisjoint({os.getpid()})
    sizes = [size for each in dict(found).values() for size in each]
    assert sorted(sizes) == sorted(batches)


def fitted(found):
    """All that the networks of a cross-validation have learnt, and how."""
    names = ("loss_curve_", "validation_scores_", "best_iter_", "n_iter_", "stop_reason_", "t_")
    return [
        ([*net.coefs_, *net.intercepts_], [getattr(net, name) for name in names])
        for net in found["estimator"]
    ]


@in_one_worker
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_training_in_processes_gives_the_same_results(scoring):
    X, y = cancer_in_words()
    net = network(max_iter=15, early_stopping=True, n_iter_no_change=2, scoring=scoring)
    arguments = {"cv": 4, "return_estimator": True, "params": {"sample_weight": 1.0 + X[:, 0] % 2}}
    plain = cross_validate(net, X, y, **arguments)
    with in_processes():
        together = cross_validate(net, X, y, **arguments)
    assert_allclose(together["test_score"], plain["test_score"], atol=1e-12)
    for (weights, rest), (weights_alone, rest_alone) in zip(
        fitted(together), fitted(plain), strict=True
    ):
        for a, b in zip(weights, weights_alone, strict=True):
            assert_allclose(a, b, rtol=1e-9, atol=1e-12)
        assert rest[2:] == rest_alone[2:]
        for a, b in zip(rest[:2], rest_alone[:2], strict=True):
            assert_allclose(a, b, rtol=1e-9)


@in_one_worker
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_everything_that_uses_joblib_gives_the_same_in_processes(run):
    expected = run()
    with in_processes():
        assert_allclose(run(), expected, rtol=1e-9, atol=1e-12)


@in_one_worker
@pytest.mark.parametrize("config", [in_this_process, in_processes])
def test_a_generator_goes_on_as_after_a_fit_alone(config):
    def networks():
        return [
            network(random_state=np.random.RandomState(7), alpha=k, max_iter=3 + k)
            for k in range(3)
        ]

    with config():
        together = Parallel()(delayed(net.fit)(X, Y) for net in networks())
    for net, alone in zip(together, networks(), strict=True):
        alone.fit(X, Y)
        assert_allclose(net.predict_proba(X), alone.predict_proba(X), rtol=1e-9)
        assert net.random_state.random_sample() == alone.random_state.random_sample()


@in_one_worker
def test_what_cannot_be_sent_needs_no_processes():
    lock = threading.Lock()

    def scorer(estimator, X, y):
        with lock:
            return estimator.score(X, y)

    net = network(early_stopping=True, scoring=scorer)
    plain = search(net, refit=False).fit(X, Y)
    with in_processes(), pytest.raises(pickle.PicklingError, match="Could not pickle the task"):
        search(net, refit=False).fit(X, Y)
    with in_this_process():
        together = search(net, refit=False).fit(X, Y)
    assert_allclose(scores_of(together), scores_of(plain), atol=1e-12)


def kind_of(X):
    """What a task sees of an array, and the file in which that lies."""
    return type(X).__name__, getattr(X, "filename", None)


@in_one_worker
def test_large_arrays_reach_processes_as_maps_of_one_file():
    large = np.zeros((1000, 200))
    with in_processes():
        # Other settings of memory need other processes; those before were ended by an error.
        assert Parallel(max_nbytes=None)([delayed(kind_of)(large)]) == [("ndarray", None)]
        found = Parallel()(delayed(kind_of)(large) for _ in range(40))
    ((kind, file),) = set(found)
    assert kind == "memmap"
    assert not os.path.exists(file)


def test_networks_that_are_watched_tell_of_their_epochs(trained, capsys):
    with in_this_process():
        cross_validate(network(verbose=True), X, Y, cv=2)
    assert trained == [2]
    assert capsys.readouterr().out.count("Iteration 5") == 2


def kill_this_process():
    """Die as by the hand of a system that has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


@in_one_worker
@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed another way")
def test_a_process_that_is_killed_ends_the_call_and_no_other():
    jobs = [make_job(np.random.RandomState(k)) for k in range(40)]
    with in_processes():
        with pytest.raises(BrokenExecutor, match=r"killed|terminated"):
            Parallel()([*(delayed(train_one)(job) for job in jobs), delayed(kill_this_process)()])
        assert len(Parallel()(delayed(train_one)(job) for job in jobs)) == 40


def no_more(*_, **__):
    """Refuse, as a system that has no more of something."""
    raise OSError("Read-only file system")


def no_threads(*_, **__):
    """Refuse to start a thread."""
    raise RuntimeError("can't start new thread")


@in_one_worker
@pytest.mark.parametrize("refuse", [no_more, no_threads])
def test_where_no_processes_can_be_had_all_is_done_here(trained, monkeypatch, refuse):
    expected = scores_of(search(refit=False).fit(X, Y))
    with in_processes():
        model = search(refit=False)
        monkeypatch.setattr(joblib._parallel_backends, "get_memmapping_executor", refuse)
        found = scores_of(model.fit(X, Y))
    assert sum(trained) == 12
    assert_allclose(found, expected)


# ---------------------------------------------------------------- interrupts and time


class Endless(threading.Event):
    """An event, set when the first epoch of a training without end is over."""

    def __call__(self, epoch):
        """Take note of an epoch."""
        self.set()

    def job(self, seed=0, **changes):
        """A job that trains for ever."""
        rng = np.random.RandomState(seed)
        return make_job(rng, callbacks=[self], max_iter=FOREVER, **changes)


def interrupted_by(event, then=lambda: None):
    """Start a thread that presses Ctrl-C, as it were, after the event; return the thread."""

    def interrupt():
        event.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        then()

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


def test_an_interrupt_ends_training():
    begun = Endless()
    thread = interrupted_by(begun)
    with in_this_process(), pytest.raises(KeyboardInterrupt):
        Parallel()(delayed(train_one)(begun.job(k)) for k in range(1000))
    thread.join()


def test_an_interrupt_ends_nested_calls():
    begun = Endless()
    thread = interrupted_by(begun)

    def inner(k):
        return Parallel()(delayed(train_one)(begun.job(i, n=7 + k)) for i in range(20))

    with in_this_process(max_stack=30), pytest.raises(KeyboardInterrupt):
        Parallel()(delayed(inner)(k) for k in range(20))
    thread.join()


def test_an_interrupt_ends_ensembles():
    begun, scores = threading.Event(), itertools.count()

    def scorer(estimator, X, y):
        begun.set()
        return next(scores)

    endless = ensemble(max_iter=FOREVER, early_stopping=True, scoring=scorer)
    thread = interrupted_by(begun)
    with in_this_process(), pytest.raises(KeyboardInterrupt):
        cross_validate(endless, X, Y, cv=3)
    thread.join()


def test_an_interrupt_ends_the_waiting():
    running, released = threading.Event(), threading.Event()

    def release():
        time.sleep(0.5)
        released.set()

    thread = interrupted_by(running, then=release)

    def hold():
        running.set()
        released.wait()

    tasks = [delayed(train_one)(make_job(np.random.RandomState(0)))] * 3
    with in_this_process(), pytest.raises(KeyboardInterrupt):
        Parallel()([*tasks, delayed(hold)()])
    thread.join()


def test_a_search_can_follow_an_interrupted_one(trained):
    begun = Endless()
    with in_this_process():
        thread = interrupted_by(begun)
        with pytest.raises(KeyboardInterrupt):
            Parallel()(delayed(train_one)(begun.job(k)) for k in range(3))
        thread.join()
        trained.clear()
        search(refit=False).fit(X, Y)
    assert trained == [6, 6]


def test_a_task_that_does_not_end_is_waited_for_only_so_long(monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.PATIENCE", 0.1)
    begun, released = threading.Event(), threading.Event()
    thread = interrupted_by(begun)

    def hold():
        begun.set()
        released.wait()

    with in_this_process(), pytest.raises(KeyboardInterrupt):
        Parallel()([delayed(hold)()] * 2)
    thread.join()
    (left,) = (t for t in threading.enumerate() if t.name == "stacked-task")
    assert left.daemon
    released.set()
    left.join()


def train_for_ever(seed, file):
    """Say that a process trains, and go on for ever."""
    job = make_job(np.random.RandomState(seed), max_iter=FOREVER)
    train_one(replace(job, callbacks=[lambda epoch: file.touch()]))


@in_one_worker
@pytest.mark.parametrize("inner", [False, True], ids=["training", "an inner call"])
def test_an_interrupt_ends_processes(tmp_path, inner):
    file = tmp_path / "trains"

    def interrupt():
        while not file.exists():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def task(seed):
        calls = [delayed(train_for_ever)(seed, file)]
        return Parallel()(calls) if inner else train_for_ever(seed, file)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with in_processes():
        Parallel()([delayed(os.getpid)()] * 2)
        (executor,) = {get_reusable_executor(reuse=True)}
        pids = list(executor._processes)
        with pytest.raises(KeyboardInterrupt):
            Parallel()(delayed(task)(k) for k in range(4))
    thread.join()
    assert not any(is_alive(pid) for pid in pids)


def is_alive(pid):
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@in_one_worker
def test_timeout(tmp_path):
    tasks = [delayed(train_for_ever)(k, tmp_path / "trains") for k in range(3)]
    with in_processes(), pytest.raises((TimeoutError, multiprocessing.TimeoutError)):
        Parallel(timeout=0.3)(tasks)


@in_one_worker
def test_a_timeout_that_is_not_reached():
    with in_processes():
        found = Parallel(timeout=100)(delayed(network().fit)(X, Y) for _ in range(3))
    assert len(found) == 3


def test_a_long_task_does_not_keep_others_from_running_and_being_trained(trained, monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.PATIENCE", MORE_THAN_A_FIT)
    released = threading.Event()

    def train_and_release():
        network().fit(X, Y)
        released.set()

    with in_this_process():
        Parallel()(
            [
                *[delayed(network().fit)(X, Y)] * 2,
                delayed(released.wait)(),
                delayed(train_and_release)(),
            ]
        )
    assert trained == [2, 1]


@pytest.mark.parametrize("lock", [threading.Lock(), threading.RLock()], ids=["lock", "rlock"])
def test_tasks_that_exclude_each_other_come_to_an_end(trained, monkeypatch, lock):
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.PATIENCE", MORE_THAN_A_FIT)

    def alone():
        with lock:
            network().fit(X, Y)

    with in_this_process():
        Parallel()(delayed(alone)() for _ in range(4))
    assert trained == [1] * 4


def test_tasks_that_exclude_each_other_the_second_time_come_to_an_end(trained, monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.scheduler.PATIENCE", MORE_THAN_A_FIT)
    lock = threading.Lock()

    def both():
        network().fit(X, Y)
        with lock:
            network().fit(X, Y)

    with in_this_process():
        Parallel()(delayed(both)() for _ in range(4))
    assert trained == [4, 1, 1, 1, 1]


def test_searches_in_several_threads_at_once():
    expected = scores_of(search().fit(X, Y))
    found = []

    def run():
        with in_this_process():
            found.append(scores_of(search().fit(X, Y)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for scores in found:
        assert_allclose(scores, expected)


@in_one_worker
@pytest.mark.parametrize("config", [in_this_process, in_processes])
def test_results_one_by_one(config):
    tasks = [delayed(network(alpha=alpha).fit)(X, Y) for alpha in range(5)]
    with config():
        found = [clf.alpha for clf in Parallel(return_as="generator")(tasks)]
        # While one call still has results to give, another begins and ends.
        some = Parallel(return_as="generator", pre_dispatch=2)(tasks)
        first = next(some).alpha
        search().fit(X, Y)
        rest = [clf.alpha for clf in some]
        assert found == [first, *rest] == [0, 1, 2, 3, 4]
        # Who leaves early leaves nothing running.
        never = Parallel(return_as="generator")(tasks)
        with pytest.warns(UserWarning, match="cancelled"):
            never.close()


def test_random_delays():
    rng = random.Random(0)

    def delay(X):
        time.sleep(rng.choice([0.0, 0.0, 0.0005, 0.002]))
        return X

    model = Pipeline([("delay", FunctionTransformer(delay)), ("net", network(max_iter=2))])
    grid = {"net__hidden_layer_sizes": [(2,), (3,)], "net__alpha": [0.0, 1.0]}
    few = slice(None, None, 3)
    expected = scores_of(search(model, grid, refit=False).fit(X[few], Y[few]))
    for repetition in range(20):
        with in_this_process(max_stack=repetition % 9 + 2):
            found = search(model, grid, refit=False).fit(X[few], Y[few])
        assert_allclose(scores_of(found), expected)


# ---------------------------------------------------------------- the process around it


@pytest.mark.parametrize("fails", [False, True], ids=["ends", "fails"])
def test_filters_of_warnings_stay_as_they_were(fails):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a message of its own")
        filters, before = warnings.filters, list(warnings.filters)
        grid = {"net": [network(alpha=k) for k in range(3)] + [Failing()] * fails}
        with in_this_process(), suppress(Fault):
            search(Pipeline([("net", network())]), grid, error_score="raise").fit(X, Y)
        assert warnings.filters is filters
        assert filters == before


def test_each_task_has_filters_of_its_own():
    def fit(action):
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            network().fit(X, Y)
            try:
                warnings.warn("after the fit", UserWarning, stacklevel=1)
            except UserWarning:
                return "error"
            return "ignore"

    actions = ["error", "ignore", "error", "ignore", "ignore"]
    with in_this_process():
        assert Parallel()(delayed(fit)(action) for action in actions) == actions


def start_at_most(monkeypatch, most):
    """Let the system give so many threads for tasks."""
    start = threading.Thread.start

    def start_some(thread):
        if sum(t.name == "stacked-task" for t in threading.enumerate()) >= most:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)


@pytest.mark.parametrize("most", [0, 5])
def test_a_system_that_gives_few_threads(trained, monkeypatch, most):
    expected = scores_of(search(refit=False).fit(X, Y))
    start_at_most(monkeypatch, most)
    with in_this_process():
        found = search(refit=False).fit(X, Y)
    # Who has no thread is trained at once, by itself.
    assert sum(trained) == most
    assert_allclose(scores_of(found), expected)


def test_threads_that_run_no_task_train_at_once(trained):
    with in_this_process():
        network().fit(X, Y)
    assert trained == []


def test_what_asks_for_threads_within_a_task_gets_none(monkeypatch):
    def trees():
        forest = RandomForestClassifier(5, random_state=0).fit(X, Y)
        return forest.predict_proba(X)

    expected, started, start = trees(), [], threading.Thread.start

    def start_and_count(thread):
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_and_count)
    with in_this_process():
        (found,) = Parallel()([delayed(trees)()])
    assert_allclose(found, expected)
    assert len(started) == 1
