"""The joblib backend "stacked": it trains together, gives the same results, and always ends."""

import faulthandler
import inspect
import multiprocessing
import pickle
import random
import signal
import tempfile
import threading
import time
import warnings
from dataclasses import replace
from functools import partial

import joblib
import numpy as np
import pytest
import scipy.sparse
from joblib import Parallel, delayed
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
from sklearn.ensemble import BaggingClassifier, VotingClassifier
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

from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor
from sknn_scratch.network.activations import ACTIVATIONS, Activation
from sknn_scratch.parallel.backend import StackedBackend
from sknn_scratch.parallel.meeting import Limits
from sknn_scratch.training.grouping import seconds, working_set
from sknn_scratch.training.loop import train
from sknn_scratch.training.trainer import train_one

# joblib before 1.3 has the older name only.
stacked = getattr(joblib, "parallel_config", joblib.parallel_backend)
JOBLIB = tuple(int(part) for part in joblib.__version__.split(".")[:2])

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FOREVER = 10**9


SETTINGS = {}


def register(**settings):
    """Register the backend with these settings, besides those that it has already."""
    SETTINGS.update(settings)
    joblib.register_parallel_backend("stacked", partial(StackedBackend, **SETTINGS))


def set_limits(**changes):
    """Register the backend with other limits; unless they say so, there is all the time."""
    # On a busy machine 1,000 threads take their time to end.
    register(limits=Limits(**{"patience": 1e9, "grace": 1e9} | changes))


@pytest.fixture(autouse=True)
def watchdog(monkeypatch):
    """Kill a test that hangs, fail one that leaves a thread, and let nobody lose patience."""
    set_limits()
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    before = set(threading.enumerate())
    faulthandler.dump_traceback_later(120, exit=True)
    # A shell that runs this in the background has interrupts ignored.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)
    faulthandler.cancel_dump_traceback_later()
    SETTINGS.clear()
    register()
    assert set(threading.enumerate()) <= before


@pytest.fixture
def trained():
    """How many networks have been trained in each stack, by tasks of the backend."""
    sizes = []

    def train_and_count(jobs):
        if threading.current_thread().name == "stacked-task":
            sizes.append(len(jobs))
        return train(jobs)

    register(train=train_and_count)
    return sizes


X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X, Y = X_IRIS[::3], Y_IRIS[::3]


def network(**changes):
    """A network that is fitted quickly."""
    settings = {"hidden_layer_sizes": (4,), "max_iter": 5, "batch_size": 8, "random_state": 0}
    return ScratchMLPClassifier(**(settings | changes))


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
    with stacked("stacked"):
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
    with stacked("stacked"):
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
    with stacked("stacked"):
        together = search(model, grid, refit=False, scoring="roc_auc").fit(X, y)
    assert trained == [8]
    assert_allclose(scores_of(together), scores_of(plain))
    assert len(set(plain.cv_results_["mean_test_score"].round(9))) == 3


def test_networks_leave_the_stack_at_different_epochs(trained):
    settings = {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 50}
    with stacked("stacked"):
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
    with stacked("stacked"):
        found = run()
    assert max(trained) > 1
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


# ---------------------------------------------------------------- who is trained with whom


def test_all_fits_of_a_search_meet_before_any_is_trained(trained):
    with stacked("stacked"):
        search().fit(X, Y)
    assert trained == [6, 6]  # two sizes, of each two splits and three rates


def test_nested_searches_meet_in_one_stack(trained):
    with stacked("stacked"):
        cross_validate(search(grid={"alpha": [0.0, 1.0, 2.0]}), X, Y, cv=3)
    assert max(trained) > 6


@pytest.mark.parametrize("n_jobs", [None, -1, -2, 2, 1000])
def test_n_jobs_does_not_bound_the_stack(trained, n_jobs):
    with stacked("stacked"):
        search(grid={"alpha": [0.0, 1.0, 2.0]}, refit=False, n_jobs=n_jobs).fit(X, Y)
    assert trained == [6]


@pytest.mark.skipif(JOBLIB < (1, 3), reason="joblib 1.2 leaves n_jobs=1 to the backend")
def test_with_one_job_fits_are_trained_one_after_the_other(trained):
    with stacked("stacked"):
        assert_allclose(scores_of(search(n_jobs=1).fit(X, Y)), scores_of(search().fit(X, Y)))
    assert trained == [6, 6]  # of the other search


def test_n_jobs_must_not_be_0():
    with stacked("stacked"), pytest.raises(ValueError, match="n_jobs must not be 0"):
        search(n_jobs=0).fit(X, Y)


def test_one_task(trained):
    with stacked("stacked"):
        clf = Parallel(n_jobs=2)([delayed(network().fit)(X, Y)])[0]
    assert trained == [1]
    assert_allclose(clf.predict_proba(X), network().fit(X, Y).predict_proba(X))


def test_no_task():
    with stacked("stacked"):
        assert Parallel(n_jobs=2)([]) == []


@pytest.mark.parametrize("given", ["by the call", "by the limits"])
def test_max_stack_bounds_the_tasks_under_way(trained, given):
    if given == "by the limits":
        set_limits(max_stack=4)
    with stacked("stacked", **({"max_stack": 4} if given == "by the call" else {})):
        found = search(grid={"alpha": range(5)}, refit=False).fit(X, Y)
    assert max(trained) == 4
    assert sum(trained) == 10
    assert_allclose(scores_of(found), scores_of(search(grid={"alpha": range(5)}).fit(X, Y)))


@pytest.mark.skipif(
    "backend_kwargs" not in inspect.signature(Parallel).parameters,
    reason="older versions of joblib take no settings of the backend here",
)
def test_max_stack_can_be_given_to_a_single_call(trained):
    Parallel(n_jobs=-1, backend="stacked", max_stack=3)(
        delayed(network(alpha=alpha).fit)(X, Y) for alpha in range(7)
    )
    assert sorted(trained) == [1, 3, 3]


def test_large_data_bound_the_tasks_under_way(trained):
    set_limits(memory=5 * 25 * (4 + 3) * 8)
    with stacked("stacked"):
        search(grid={"alpha": range(5)}, refit=False).fit(X, Y)
    assert max(trained) == 5
    assert sum(trained) == 10


def test_a_stack_fits_into_the_cache(trained):
    set_limits(cache=3 * working_set(make_job(np.random.RandomState(0))))
    jobs = [make_job(np.random.RandomState(k)) for k in range(7)]
    with stacked("stacked"):
        Parallel(n_jobs=2)(delayed(train_one)(job) for job in jobs)
    assert sorted(trained) == [2, 2, 3]


@pytest.mark.parametrize("max_stack", [0, -1, 2.5, "8"])
def test_max_stack_is_a_whole_number(max_stack):
    with pytest.raises(ValueError, match="max_stack must be None or a whole number from 1"):
        stacked("stacked", max_stack=max_stack)


def test_what_has_no_stack_is_trained_all_the_same(trained):
    grid = [
        {"solver": ["lbfgs"], "max_iter": [20]},
        {"hidden_layer_sizes": [(3,), (4,), (5, 2)]},
    ]
    sparse = scipy.sparse.csr_matrix(X)
    plain = search(grid=grid, refit=False).fit(sparse, Y)
    with stacked("stacked"):
        found = search(grid=grid, refit=False).fit(sparse, Y)
    assert trained == [1] * 6
    assert_allclose(scores_of(found), scores_of(plain))


def test_estimators_of_other_classes_run_beside_networks(trained):
    grid = {"clf": [network(), DecisionTreeClassifier(random_state=0), network(alpha=1.0)]}
    model = Pipeline([("clf", network())])
    plain = search(model, grid).fit(X, Y)
    with stacked("stacked"):
        found = search(model, grid).fit(X, Y)
    assert trained[0] == 4
    assert_allclose(scores_of(found), scores_of(plain))


def test_the_search_tells_of_its_progress(capfd):
    with stacked("stacked"):
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
    searches = [search(model, grid, refit=False) for _ in range(2)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.simplefilter("ignore", UserWarning)
        searches[0].fit(X, Y)
        with stacked("stacked"):
            searches[1].fit(X, Y)
    plain, found = map(scores_of, searches)
    assert np.isnan(found).any()
    assert not np.isnan(found).all()
    assert_allclose(found, plain)
    with stacked("stacked"), pytest.raises((ValueError, Fault), match=message):
        search(model, grid, error_score="raise").fit(X, Y)


def test_the_error_tells_where_it_arose():
    with stacked("stacked"), pytest.raises(Fault) as caught:
        Parallel(n_jobs=2)([delayed(network().fit)(X, Y), delayed(fail)()])
    assert "in fail" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("raising", [{"callbacks": [fail]}, {"hold_out": fail}], ids=" ".join)
def test_a_network_whose_callback_or_validation_raises_does_not_harm_the_others(trained, raising):
    def jobs():
        first, second, third = (make_job(np.random.RandomState(k)) for k in range(3))
        return [first, replace(second, **raising), third]

    with stacked("stacked"):
        first, second, third = Parallel(n_jobs=2)(delayed(outcome)(job) for job in jobs())
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
    with stacked("stacked"):
        found = Parallel(n_jobs=2)(delayed(outcome)(job) for job in jobs)
    assert [str(error) for error in found] == ["on purpose"] * 3


def test_an_inner_call_that_fails_does_not_harm_the_others(trained):
    def inner(k):
        tasks = [delayed(network(alpha=alpha).fit)(X, Y) for alpha in range(3)]
        if k == 1:
            tasks.append(delayed(fail)())
        try:
            return Parallel(n_jobs=2)(tasks)[2].predict_proba(X)
        except Fault:
            return None

    with stacked("stacked"):
        first, second, third = Parallel(n_jobs=2)(delayed(inner)(k) for k in range(3))
    assert second is None
    expected = network(alpha=2).fit(X, Y).predict_proba(X)
    assert_allclose(first, expected)
    assert_allclose(third, expected)


# ---------------------------------------------------------------- processes


@pytest.fixture
def processes():
    """How many networks are in each stack that is sent to a process, from the first second on."""
    sent = []

    def submit(backend, func, callback=None):
        sent.extend(len(jobs) for _, (jobs, _), _ in func.items)
        return getattr(loky, name)(backend, func, callback)

    loky = joblib.parallel.BACKENDS["loky"]
    name = "submit" if hasattr(loky, "submit") else "apply_async"  # before joblib 1.5
    watched = type("Watched", (loky,), {name: submit})
    joblib.register_parallel_backend("loky", watched)
    set_limits(worth_processes=0.0)
    yield sent
    joblib.register_parallel_backend("loky", loky)
    get_reusable_executor().shutdown(wait=True)


def fitted(found):
    """All that the networks of a cross-validation have learnt, and how."""
    names = ("loss_curve_", "validation_scores_", "best_iter_", "n_iter_", "stop_reason_", "t_")
    return [
        ([*net.coefs_, *net.intercepts_], [getattr(net, name) for name in names])
        for net in found["estimator"]
    ]


@pytest.mark.slow
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_training_in_processes_gives_the_same_results(trained, processes, scoring):
    X, y = cancer_in_words()
    net = network(max_iter=15, early_stopping=True, n_iter_no_change=2, scoring=scoring)
    arguments = {"cv": 4, "return_estimator": True, "params": {"sample_weight": 1.0 + X[:, 0] % 2}}
    plain = cross_validate(net, X, y, **arguments)
    with stacked("stacked"):
        together = cross_validate(net, X, y, n_jobs=-1, **arguments)
    assert trained == []
    assert sum(processes) == 4
    assert len(processes) >= 2
    assert_allclose(together["test_score"], plain["test_score"], atol=1e-12)
    for (weights, rest), (weights_alone, rest_alone) in zip(
        fitted(together), fitted(plain), strict=True
    ):
        for a, b in zip(weights, weights_alone, strict=True):
            assert_allclose(a, b, rtol=1e-9, atol=1e-12)
        assert rest[2:] == rest_alone[2:]
        for a, b in zip(rest[:2], rest_alone[:2], strict=True):
            assert_allclose(a, b, rtol=1e-9)


def sources_of(state):
    """States of the sources of random numbers."""
    return [
        pickle.dumps(source.get_state(legacy=False)) for source in (state.rng, state.dropout_rng)
    ]


@pytest.mark.slow
def test_sources_of_random_numbers_go_on_where_a_process_has_left_them(processes):
    def make_jobs():
        rng = np.random.RandomState
        return [
            make_job(rng(k), start={"dropout_rng": rng(9)}, input_dropout=0.2) for k in range(3)
        ]

    with stacked("stacked"):
        results = Parallel(n_jobs=2)(delayed(train_one)(job) for job in make_jobs())
    assert sum(processes) == 3
    for job, result in zip(make_jobs(), results, strict=True):
        (expected,) = train([job])
        assert_allclose(result.theta, expected.theta, rtol=1e-10)
        assert sources_of(result) == sources_of(expected)


@pytest.mark.parametrize("where", ["here", "in processes"])
def test_a_generator_goes_on_as_after_a_fit_alone(request, where):
    if where == "in processes":
        request.getfixturevalue("processes")

    def networks():
        # They see the same rows in the same order, one of them for fewer epochs.
        return [
            network(random_state=np.random.RandomState(7), alpha=k, max_iter=3 + k)
            for k in range(3)
        ]

    with stacked("stacked"):
        together = Parallel(n_jobs=2)(delayed(net.fit)(X, Y) for net in networks())
    for net, alone in zip(together, networks(), strict=True):
        alone.fit(X, Y)
        assert_allclose(net.predict_proba(X), alone.predict_proba(X), rtol=1e-9)
        assert net.random_state.random_sample() == alone.random_state.random_sample()


@pytest.mark.slow
def test_a_network_whose_validation_raises_in_a_process_does_not_harm_the_others(processes):
    jobs = [make_job(np.random.RandomState(k), hold_out=fail if k == 2 else None) for k in range(4)]
    with stacked("stacked"):
        results = Parallel(n_jobs=2)(delayed(outcome)(job) for job in jobs)
    assert sum(processes) == 4
    assert isinstance(results[2], Fault)
    assert [r.stop_reason for k, r in enumerate(results) if k != 2] == ["max_iter"] * 3


def test_what_cannot_be_sent_to_a_process_is_trained_here(trained, processes):
    lock = threading.Lock()

    def scorer(estimator, X, y):
        with lock:
            return estimator.score(X, y)

    net = network(early_stopping=True, scoring=scorer)
    plain, together = search(net, refit=False).fit(X, Y), search(net, refit=False, n_jobs=-1)
    with stacked("stacked"):
        together.fit(X, Y)
    assert sum(processes) == sum(trained) == 12
    assert_allclose(scores_of(together), scores_of(plain), atol=1e-12)


def test_who_is_watched_stays_in_this_process(trained, processes, capsys):
    with stacked("stacked"):
        cross_validate(network(verbose=True), X, Y, cv=2)
    assert trained == [2]
    assert processes == []
    assert capsys.readouterr().out.count("Iteration 5") == 2


@pytest.mark.slow
def test_an_interrupt_ends_training_in_processes(processes):
    def interrupt():
        while not processes:
            time.sleep(0.01)
        time.sleep(3)  # they start, and train
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    jobs = [make_job(np.random.RandomState(k), max_iter=FOREVER) for k in range(4)]
    with stacked("stacked"), pytest.raises(KeyboardInterrupt):
        Parallel(n_jobs=2)(delayed(train_one)(job) for job in jobs)
    thread.join()
    assert sum(processes) == 4


def test_how_long_training_takes_grows_with_what_there_is_to_do():
    job = make_job(np.random.RandomState(0), n=50, batch_size=10, max_iter=10)
    alone = seconds(job)
    assert 0 < alone < 0.01
    assert seconds(replace(job, max_iter=100)) == pytest.approx(10 * alone)
    assert seconds(replace(job, batch_size=50)) < alone
    assert (
        seconds(
            make_job(np.random.RandomState(0), n=50, batch_size=10, max_iter=10, sizes=(3, 400, 2))
        )
        > alone
    )


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


def interrupted_by(event):
    """Start a thread that presses Ctrl-C, as it were, after the event; return the thread."""

    def interrupt():
        event.wait()
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


def test_an_interrupt_ends_training():
    begun = Endless()
    thread = interrupted_by(begun)
    with stacked("stacked"), pytest.raises(KeyboardInterrupt):
        Parallel(n_jobs=2)(delayed(train_one)(begun.job(k)) for k in range(1000))
    thread.join()


def test_an_interrupt_ends_nested_calls():
    begun = Endless()
    thread = interrupted_by(begun)

    def inner(k):
        return Parallel(n_jobs=2)(delayed(train_one)(begun.job(i, n=7 + k)) for i in range(20))

    with stacked("stacked", max_stack=30), pytest.raises(KeyboardInterrupt):
        Parallel(n_jobs=2)(delayed(inner)(k) for k in range(20))
    thread.join()


def test_an_interrupt_ends_the_waiting():
    running, released = threading.Event(), threading.Event()
    thread = interrupted_by(running)

    def hold():
        running.set()
        released.wait()

    timer = threading.Timer(0.5, released.set)
    timer.start()
    tasks = [delayed(train_one)(make_job(np.random.RandomState(0)))] * 3
    with stacked("stacked"), pytest.raises(KeyboardInterrupt):
        Parallel(n_jobs=2)([*tasks, delayed(hold)()])
    thread.join()
    timer.join()


def test_a_search_can_follow_an_interrupted_one(trained):
    begun = Endless()
    with stacked("stacked"):
        thread = interrupted_by(begun)
        with pytest.raises(KeyboardInterrupt):
            Parallel(n_jobs=2)(delayed(train_one)(begun.job(k)) for k in range(3))
        thread.join()
        trained.clear()
        search(refit=False).fit(X, Y)
    assert trained == [6, 6]


def test_a_task_that_does_not_end_is_waited_for_only_so_long():
    set_limits(grace=0.1)
    begun, released = threading.Event(), threading.Event()

    def fail_then():
        begun.wait()
        fail()

    def hold():
        begun.set()
        released.wait()

    with stacked("stacked"), pytest.raises(Fault):
        Parallel(n_jobs=2)([delayed(fail_then)(), delayed(hold)()])
    (left,) = (t for t in threading.enumerate() if t.name == "stacked-task")
    assert left.daemon
    released.set()
    left.join()


def test_timeout():
    begun = Endless()
    with stacked("stacked"), pytest.raises((TimeoutError, multiprocessing.TimeoutError)):
        Parallel(n_jobs=2, timeout=0.3)(delayed(train_one)(begun.job(k)) for k in range(3))


def test_a_timeout_that_is_not_reached():
    with stacked("stacked"):
        found = Parallel(n_jobs=2, timeout=100)(delayed(network().fit)(X, Y) for _ in range(3))
    assert len(found) == 3


def test_a_long_task_does_not_keep_others_from_running_and_being_trained(trained):
    set_limits(patience=0.5)
    others = threading.Semaphore(0)

    def wait_for_others():
        for _ in range(3):
            others.acquire()

    def network_and_signal():
        network().fit(X, Y)
        others.release()

    with stacked("stacked"):
        Parallel(n_jobs=2)([delayed(wait_for_others)(), *[delayed(network_and_signal)()] * 3])
    assert trained == [3]


def test_tasks_that_exclude_each_other_come_to_an_end(trained):
    set_limits(patience=0.3)
    lock = threading.Lock()

    def alone():
        with lock:
            network().fit(X, Y)

    with stacked("stacked"):
        Parallel(n_jobs=2)(delayed(alone)() for _ in range(4))
    assert trained == [1] * 4


def test_searches_in_several_threads_at_once():
    expected = scores_of(search().fit(X, Y))
    found = []

    def run():
        with stacked("stacked"):
            found.append(scores_of(search().fit(X, Y)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for scores in found:
        assert_allclose(scores, expected)


@pytest.mark.skipif(JOBLIB < (1, 3), reason="joblib 1.2 has no generators")
def test_results_one_by_one():
    set_limits(patience=0.3)
    tasks = [delayed(network(alpha=alpha).fit)(X, Y) for alpha in range(5)]
    with stacked("stacked"):
        found = [clf.alpha for clf in Parallel(n_jobs=2, return_as="generator")(tasks)]
        # While one call still has results to give, another begins and ends.
        some = Parallel(n_jobs=2, return_as="generator", pre_dispatch=2)(tasks)
        first = next(some).alpha
        search().fit(X, Y)
        rest = [clf.alpha for clf in some]
        assert found == [first, *rest] == [0, 1, 2, 3, 4]
        # Who leaves early cancels the rest.
        begun = Endless()
        never = Parallel(n_jobs=2, return_as="generator")(
            delayed(train_one)(begun.job(k)) for k in range(3)
        )
        begun.wait()
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
        with stacked("stacked", max_stack=repetition % 9 + 2):
            found = search(model, grid, refit=False, n_jobs=-1).fit(X[few], Y[few])
        assert_allclose(scores_of(found), expected)


# ---------------------------------------------------------------- the process around it


def test_filters_of_warnings_stay_as_they_were():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "a message of its own")
        filters, before = warnings.filters, list(warnings.filters)
        with stacked("stacked"):
            search().fit(X, Y)
        assert warnings.filters is filters
        assert filters == before


def test_a_system_that_gives_few_threads(trained, monkeypatch):
    start = threading.Thread.start

    def start_some(thread):
        if sum(t.name == "stacked-task" for t in threading.enumerate()) >= 5:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_some)
    with stacked("stacked"):
        search(grid={"alpha": range(6)}, refit=False).fit(X, Y)
    assert sum(trained) == 12
    assert max(trained) <= 5


def test_a_system_that_gives_no_threads(monkeypatch):
    start = threading.Thread.start

    def start_none(thread):
        if thread.name == "stacked-task":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_none)
    with stacked("stacked"), pytest.raises(RuntimeError, match="can't start new thread"):
        search().fit(X, Y)


def in_no_folder(monkeypatch):
    """There is no folder that files could be written to, as in a container that is read-only."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")


def without_a_thread_for_processes(monkeypatch):
    """The system gives no more threads when one is to wait for processes."""
    start = threading.Thread.start

    def start_others(thread):
        if thread.name == "stacked-processes":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_others)


@pytest.mark.parametrize("spoil", [in_no_folder, without_a_thread_for_processes])
def test_where_no_processes_can_be_had_networks_are_trained_here(trained, monkeypatch, spoil):
    expected = scores_of(search(refit=False).fit(X, Y))
    set_limits(worth_processes=0.0)
    spoil(monkeypatch)
    with stacked("stacked"):
        found = scores_of(search(refit=False).fit(X, Y))
    assert sum(trained) == 12
    assert_allclose(found, expected)


def test_if_networks_cannot_be_put_into_stacks_the_search_ends(monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.meeting.stacks_of", fail)
    with stacked("stacked"):
        with pytest.raises(Fault, match="on purpose"):
            search(error_score="raise").fit(X, Y)
        with pytest.raises(ValueError, match=r"All the 12 fits failed(.|\n)*on purpose"):
            search(error_score=np.nan).fit(X, Y)
    monkeypatch.undo()
    with stacked("stacked"):
        search().fit(X, Y)


def test_threads_that_run_no_task_train_at_once(trained):
    with stacked("stacked"):
        network().fit(X, Y)
    assert trained == []
