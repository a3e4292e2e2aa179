"""scikit-learn's callbacks see each epoch and may end training; a checkpoint resumes a fit exactly.

Judges: a fit that was planned to end where the callback looked, and a fit nobody interrupted.
"""

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from jobs import make_job
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from test_main import locked_folder

import sknn_scratch
from sknn_scratch import (
    LearningRecorder,
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)
from sknn_scratch.callbacks.checkpoint import NOTES, Checkpoint
from sknn_scratch.training.grouping import stack_key
from sknn_scratch.training.loop import train
from sknn_scratch.training.stopping import NoImprovement

needs_protocol = pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9),
    reason="callbacks came with scikit-learn 1.9",
)

X_iris, y_iris = load_iris(return_X_y=True)
X_digits, y_digits = load_digits(return_X_y=True)
X_digits, y_digits = X_digits[:500], y_digits[:500]
words = np.array(["zero", "one", "two"])[y_iris]


def quick(**settings):
    """A small network whose learning rate does not depend on how many epochs are planned."""
    settings = {"max_iter": 6, "learning_rate": "constant", "weight_decay": 0} | settings
    settings = {"dtype": None} | settings
    return ScratchMLPClassifier((8,), learning_rate_init=0.05, random_state=0, **settings)


def fit(clf, X=X_iris, y=y_iris, **more):
    """Fit without the warning of a constant rate that it has not converged, which is planned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clf.fit(X, y, **more)


class Recorder:
    """Keeps what it is told, and does what it is asked to at one of its hooks."""

    def __init__(self, at=(), do=lambda: None):
        self.events, self.fitted, self.given = [], [], []
        self.at, self.do = at, do

    def setup(self, estimator, context):
        return self._hook("setup", context)

    def teardown(self, estimator, context):
        return self._hook("teardown", context)

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata, fitted_estimator):
        return self._hook("begin", context, (X, y, metadata), fitted_estimator)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        return self._hook("end", context, (X, y, metadata), fitted_estimator)

    def _hook(self, name, context, given=None, fitted_estimator=None):
        event = (name, context.task_name, context.task_id)
        self.events.append(event)
        self.given.append(given)
        self.fitted.append(fitted_estimator)
        return self.do() if event == self.at else None


class Travelling(Recorder):
    """One that meta-estimators hand on to their parts."""

    max_propagation_depth = None


def fail():
    raise RuntimeError("the callback fails")


def in_builtins(value):
    """The same value with the objects of this package taken apart."""
    if dataclasses.is_dataclass(value):
        return {"class": type(value), **{k: in_builtins(v) for k, v in vars(value).items()}}
    return value


def assert_same_fit(a, b):
    """Two estimators are the same to the last bit, in all that they have learnt."""
    learnt = [
        {
            name: in_builtins(value)
            for name, value in vars(clf).items()
            if name not in clf.get_params() and not name.startswith("_skl")
        }
        for clf in (a, b)
    ]
    assert {"network_", "loss_curve_"} <= learnt[0].keys() == learnt[1].keys()
    for name, value in learnt[0].items():
        np.testing.assert_equal(learnt[1][name], value, err_msg=name)


# ---------------------------------------------------------------- without the protocol


WITHOUT = """
    import sys, sklearn.model_selection, sklearn.pipeline
    sys.modules["sklearn.callback"] = None  # makes its import fail
    from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor
    clf = ScratchMLPClassifier((2,), max_iter=1, random_state=0)
    clf.fit([[0], [1]], [0, 1]).partial_fit([[0], [1]], [0, 1])
    try:
        clf.set_callbacks(print)
    except ImportError as error:
        print(error)
    """


def test_before_scikit_learn_1_9_it_says_so():
    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(WITHOUT)],
        env={**os.environ, "PYTHONPATH": str(Path(sknn_scratch.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert re.search(r"needs scikit-learn 1\.9 or newer; .* is installed", said.stdout), said.stderr


def test_a_fit_without_callbacks_does_without_all_of_it():
    class Unfollowed(ScratchMLPClassifier):
        def _init_callback_context(self, **settings):
            raise AssertionError("this is how scikit-learn's protocol begins")

    clf = Unfollowed((8,), max_iter=2, random_state=0)
    clf.fit(X_iris, y_iris).partial_fit(X_iris, y_iris)
    make_pipeline(StandardScaler(), clf).fit(X_iris, y_iris)
    if hasattr(sklearn, "callback"):
        with pytest.raises(AssertionError, match="protocol begins"):
            clf.set_callbacks(Recorder()).fit(X_iris, y_iris)


# ---------------------------------------------------------------- what callbacks see


@needs_protocol
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"early_stopping": True},
        {"learning_rate": "adaptive", "solver": "sgd", "tol": 1.0, "n_iter_no_change": 1},
    ],
)
def test_each_epoch_is_a_task(settings):
    recorder = Recorder()
    weight = np.ones(150)
    clf = fit(quick(**settings).set_callbacks(recorder), y=words, sample_weight=weight)
    assert clf.n_iter_ == 6
    epochs = [(when, "epoch", k) for k in range(6) for when in ("begin", "end")]
    assert recorder.events == [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        *epochs,
        ("end", "fit", 0),
        ("teardown", "fit", 0),
    ]
    for X, y, metadata in filter(None, recorder.given):
        assert X is X_iris
        assert y is words
        assert metadata == {"sample_weight": weight}
    assert not any("callback_" in name for name in vars(clf)), "nothing is left behind"
    assert_same_fit(fit(quick(**settings), y=words, sample_weight=weight), clf)


@needs_protocol
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}])
def test_the_fitted_estimator_is_what_a_fit_that_ended_there_would_have_given(settings):
    recorder = Recorder()
    # On top of another fit, of which nothing must show.
    clf = fit(quick(max_iter=2), *load_breast_cancer(return_X_y=True))
    fit(clf.set_params(**quick(**settings).get_params()).set_callbacks(recorder), y=words)
    fitted = dict(zip(recorder.events, recorder.fitted, strict=True))
    assert fitted["begin", "fit", 0] is None
    before = fitted["begin", "epoch", 0]
    assert before.n_iter_ == len(before.loss_curve_) == 0
    assert before.predict_proba(X_iris).shape == (150, 3)
    for k in range(6):
        planned = fit(quick(max_iter=k + 1, **settings), y=words)
        seen = fitted["end", "epoch", k]
        assert seen.loss_curve_ == planned.loss_curve_
        assert seen.best_iter_ == planned.best_iter_
        assert_array_equal(seen.predict_proba(X_iris), planned.predict_proba(X_iris))
        if k < 5:
            later = fitted["begin", "epoch", k + 1]
            assert_array_equal(later.predict_proba(X_iris), planned.predict_proba(X_iris))
    assert_array_equal(fitted["end", "fit", 0].predict_proba(X_iris), clf.predict_proba(X_iris))


@needs_protocol
@pytest.mark.parametrize("settings", [{}, {"solver": "lbfgs"}, {"early_stopping": True}])
def test_a_callback_that_returns_true_ends_training(settings):
    first, second = Recorder(("end", "epoch", 2), lambda: True), Recorder()
    clf = quick(**settings).set_callbacks(first, second).fit(X_iris, y_iris)
    assert (clf.n_iter_, clf.stop_reason_) == (3, "callback")
    assert first.events == second.events, "the other one sees the last epoch as well"
    assert first.events[-3:] == [("end", "epoch", 2), ("end", "fit", 0), ("teardown", "fit", 0)]
    planned = fit(quick(max_iter=3, **settings))
    assert_array_equal(clf.predict_proba(X_iris), planned.predict_proba(X_iris))


@needs_protocol
@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize(
    "at",
    [
        ("setup", "fit", 0),
        ("begin", "fit", 0),
        ("begin", "epoch", 0),
        ("end", "epoch", 1),
        ("begin", "epoch", 3),
        ("end", "fit", 0),
    ],
)
def test_a_callback_that_raises_fails_the_fit_which_leaves_the_estimator_as_it_was(at, fitted):
    recorder, bystander = Recorder(at, fail), Recorder()
    clf = quick()
    if fitted:
        fit(clf, y=words)
    clf.set_callbacks(bystander, recorder)
    before = vars(clf).copy()
    with pytest.raises(RuntimeError, match="the callback fails"):
        fit(clf, *load_breast_cancer(return_X_y=True))
    assert recorder.events[-2:] == [at, ("teardown", "fit", 0)]
    assert bystander.events[-1] == ("teardown", "fit", 0)
    assert vars(clf) == before
    recorder.at = None
    assert fit(clf, y=words).n_iter_ == 6


@needs_protocol
def test_teardown_runs_if_the_data_are_refused():
    recorder = Recorder()
    clf = quick().set_callbacks(recorder)
    with pytest.raises(ValueError, match="infinity"):
        clf.fit(np.full((3, 2), np.inf), [0, 1, 0])
    assert recorder.events == [("setup", "fit", 0), ("teardown", "fit", 0)]


@needs_protocol
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_tasks_are_complete_where_the_user_interrupts(solver):
    def interrupt():
        raise KeyboardInterrupt

    recorder = Recorder(("begin", "epoch", 1), interrupt)
    clf = quick(solver=solver).set_callbacks(recorder)
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X_iris, y_iris)
    epoch = [(when, "epoch", 1) for when in ("begin", "end")]
    assert recorder.events[-4:] == [*epoch, ("end", "fit", 0), ("teardown", "fit", 0)]
    assert clf.n_iter_ == 1


@needs_protocol
def test_lbfgs_that_converges_ends_the_iteration_that_was_to_come():
    recorder = Recorder()
    clf = quick(solver="lbfgs", max_iter=500, alpha=10.0).set_callbacks(recorder)
    n_iter = clf.fit(X_iris, y_iris).n_iter_
    assert clf.stop_reason_ == "converged"
    assert recorder.events[-3] == ("end", "epoch", n_iter)
    assert recorder.fitted[-3] is None, "nothing has come of it"


def test_an_interrupt_before_the_first_epoch_has_ended_has_no_best_epoch():
    def interrupt(estimator, X, y):
        raise KeyboardInterrupt

    clf = quick(early_stopping=True, scoring=interrupt)
    with pytest.warns(UserWarning, match="interrupted by user after 0 epochs"):
        clf.fit(X_iris, y_iris)
    assert clf.best_iter_ is clf.best_validation_score_ is None
    assert clf.predict_proba(X_iris).shape == (150, 3)


@needs_protocol
def test_partial_fit_is_a_task_of_one_epoch():
    recorder = Recorder()
    clf = quick().set_callbacks(recorder)
    for _ in range(2):
        clf.partial_fit(X_iris, y_iris, classes=range(3))
    names = ["partial_fit", "partial_fit", "epoch", "epoch", "partial_fit", "partial_fit"]
    whens = ["setup", "begin", "begin", "end", "end", "teardown"]
    assert recorder.events == [(a, b, 0) for a, b in zip(whens, names, strict=True)] * 2
    assert recorder.fitted[9].t_ == 300


@needs_protocol
def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match="callbacks must be instances"):
        quick().set_callbacks(lambda epoch: None)


# ---------------------------------------------------------------- scikit-learn's own


@needs_protocol
def test_the_scoring_monitor_scores_each_epoch():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="neg_log_loss")
    iris = load_iris(as_frame=True)  # whose columns have names
    weight = np.linspace(0.5, 1.5, 150)
    clf = fit(quick().set_callbacks(monitor), iris.data, iris.target, sample_weight=weight)
    log = monitor.get_logs().data
    scores = {row["task_id_path"]: row["neg_log_loss"] for row in log}
    assert list(scores) == [(0,), *((0, k) for k in range(6))]
    for k in range(6):
        planned = fit(quick(max_iter=k + 1), iris.data, iris.target, sample_weight=weight)
        p = planned.predict_proba(iris.data)
        expected = np.average(np.log(p[range(150), iris.target]), weights=weight)
        assert scores[0, k] == pytest.approx(expected)
    assert scores[0,] == scores[0, 5]
    assert clf.n_iter_ == 6


@needs_protocol
def test_the_progress_bar_comes_to_its_end():
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    with redirect_stdout(io.StringIO()) as out:
        fit(make_pipeline(StandardScaler(), quick()).set_callbacks(ProgressBar()))
    lines = out.getvalue().splitlines()
    assert "Pipeline - fit-final-estimator | ScratchMLPClassifier - fit" in lines[-1]
    assert "100%" in lines[-1]


@needs_protocol
def test_callbacks_travel_through_a_search_and_a_pipeline():
    recorder = Travelling()
    pipeline = make_pipeline(StandardScaler(), quick())
    search = GridSearchCV(pipeline, {"scratchmlpclassifier__max_iter": [2, 3]}, cv=2)
    fit(search.set_callbacks(recorder))
    epochs = [event[2] for event in recorder.events if event[:2] == ("end", "epoch")]
    best = search.best_params_["scratchmlpclassifier__max_iter"]
    assert epochs == [*range(2)] * 2 + [*range(3)] * 2 + [*range(best)]
    assert [name for name, *_ in recorder.events].count("setup") == 1
    assert not hasattr(search.best_estimator_[-1], "_skl_callbacks")


@needs_protocol
def test_one_set_on_the_network_stays_with_its_clones():
    recorder = Recorder(("end", "epoch", 0), lambda: True)
    clf = quick().set_callbacks(recorder)
    search = fit(GridSearchCV(make_pipeline(StandardScaler(), clf), {}, cv=2))
    assert search.best_estimator_[-1].stop_reason_ == "callback"
    assert [name for name, *_ in recorder.events].count("setup") == 3
    assert fit(clone(clf).set_callbacks()).n_iter_ == 6


# ---------------------------------------------------------------- ensembles


class NetworkRecorder(Recorder):
    """One whose events are a name and the numbers of the network and the epoch, if there are."""

    max_propagation_depth = None

    def _hook(self, name, context, given=None, fitted_estimator=None):
        path = []
        while context.parent is not None and context.task_name in ("network", "epoch"):
            path.insert(0, context.task_id)
            context = context.parent
        event = (name, *path)
        self.events.append(event)
        self.given.append(given)
        self.fitted.append(fitted_estimator)
        return self.do() if event == self.at else None


def several(**settings):
    settings = {"max_iter": 4, "random_state": 0} | settings
    return ScratchMLPEnsembleClassifier(3, (8,), **settings)


def complete(events, networks):
    """Whether each task that has begun has ended, the inner ones first, and all networks have."""
    open_tasks = []
    for name, *path in events:
        if name == "begin":
            open_tasks.append(path)
        elif name == "end":
            assert not any(path == other[: len(path)] for other in open_tasks if other != path)
            open_tasks.remove(path)
    return not open_tasks and [("end", k) in events for k in range(3)] == [True] * networks


@needs_protocol
def test_networks_of_an_ensemble_are_tasks_and_their_epochs_tasks_within():
    recorder = NetworkRecorder()
    weight = np.linspace(0.5, 1.5, 150)
    clf = fit(several().set_callbacks(recorder), y=words, sample_weight=weight)
    assert recorder.events[:3] == [("setup",), ("begin",), ("begin", 0)]
    assert recorder.events[-2:] == [("end",), ("teardown",)]
    assert complete(recorder.events, networks=3)
    for X, y, metadata in filter(None, recorder.given):
        assert X is X_iris
        assert y is words
        assert metadata == {"sample_weight": weight}
    fitted = dict(zip(recorder.events, recorder.fitted, strict=True))
    assert_array_equal(fitted["end",].predict_proba(X_iris), clf.predict_proba(X_iris))
    for k, network in enumerate(clf.networks_):
        alone = Recorder()
        fit(clone(network).set_callbacks(alone), y=words, sample_weight=weight)
        epochs = [event for event in recorder.events if event[1:2] == (k,)]
        assert epochs[1:-1] == [(when, k, e) for e in range(4) for when in ("begin", "end")]
        seen = [e for e, event in zip(alone.fitted, alone.events, strict=True) if "epoch" in event]
        for event, expected in zip(epochs[1:-1], seen, strict=True):
            [found] = fitted[event].networks_
            assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-9)
            p = fitted[event].predict_proba(X_iris)
            assert_allclose(p, expected.predict_proba(X_iris), atol=1e-9)
        [last] = fitted["end", k].networks_
        assert_array_equal(last.predict_proba(X_iris), network.predict_proba(X_iris))
    assert vars(clf).keys() - clf.get_params().keys() == {"_skl_callbacks", "networks_"}
    unfollowed = fit(several(), y=words, sample_weight=weight)
    for one, other in zip(clf.networks_, unfollowed.networks_, strict=True):
        assert_same_fit(one, other)


@needs_protocol
def test_the_trial_of_an_ensemble_is_no_task():
    recorder = NetworkRecorder()
    clf = several(max_iter="auto").set_callbacks(recorder)
    rng = np.random.RandomState(0)
    X = rng.standard_normal((400, 2))
    fit(clf, X, (X[:, 0] + 2 * rng.standard_normal(400) > 0).astype(int))
    epochs = [sum(event[:2] == ("end", k) for event in recorder.events) - 1 for k in range(3)]
    assert epochs == [network.n_iter_ for network in clf.networks_]


@needs_protocol
def test_a_callback_ends_one_network_of_an_ensemble():
    recorder = NetworkRecorder(("end", 1, 1), lambda: True)
    clf = several().set_callbacks(recorder)
    fit(clf)
    assert [network.n_iter_ for network in clf.networks_] == [4, 2, 4]
    assert clf.networks_[1].stop_reason_ == "callback"
    assert complete(recorder.events, networks=3)


@needs_protocol
@pytest.mark.parametrize("fitted", [True, False])
@pytest.mark.parametrize(
    "at",
    [("setup",), ("begin",), ("begin", 1), ("end", 0, 1), ("begin", 1, 2), ("end", 2), ("end",)],
)
def test_a_callback_that_raises_leaves_an_ensemble_as_it_was(at, fitted):
    recorder = NetworkRecorder(at, fail)
    clf = several()
    if fitted:
        fit(clf)
    clf.set_callbacks(recorder)
    before = vars(clf).copy()
    with pytest.raises(RuntimeError, match="the callback fails"):
        fit(clf, X_digits, y_digits)
    assert recorder.events[-2:] == [at, ("teardown",)]
    assert vars(clf) == before


@needs_protocol
@pytest.mark.parametrize("at, begun", [(("begin", 0, 2), 2), (("begin", 1, 2), 3)])
def test_tasks_of_an_ensemble_are_complete_where_the_user_interrupts(at, begun):
    def interrupt():
        raise KeyboardInterrupt

    recorder = NetworkRecorder(at, interrupt)
    clf = several().set_callbacks(recorder)
    with pytest.warns(UserWarning, match="interrupted by user after 2 epochs"):
        clf.fit(X_iris, y_iris)
    assert len(clf.networks_) == begun
    assert complete(recorder.events, networks=3)
    fitted = dict(zip(recorder.events, recorder.fitted, strict=True))
    assert [fitted["end", k] is not None for k in range(3)].count(True) == begun


@needs_protocol
def test_callbacks_travel_through_a_search_to_the_networks_of_an_ensemble():
    recorder = NetworkRecorder()
    search = GridSearchCV(make_pipeline(StandardScaler(), several()), {}, cv=2)
    fit(search.set_callbacks(recorder))
    for k in range(3):
        epochs = [event[2] for event in recorder.events if event[:2] == ("end", k) and event[2:]]
        assert epochs == [0, 1, 2, 3] * 3  # two folds, and the fit to all rows
    assert not hasattr(search.best_estimator_[-1], "_skl_callbacks")


@needs_protocol
def test_scikit_learns_own_follow_an_ensemble():
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="neg_log_loss")
    clf = fit(several().set_callbacks(monitor))
    scores = {row["task_id_path"]: row["neg_log_loss"] for row in monitor.get_logs().data}
    assert len(scores) == 1 + 3 * (1 + 4)
    each = [network.predict_proba(X_iris) for network in clf.networks_]
    for path, p in {(0,): np.mean(each, axis=0), (0, 0): each[0], (0, 2, 3): each[2]}.items():
        assert scores[path] == pytest.approx(np.log(p[range(150), y_iris]).mean(), rel=1e-6)
    inside = ScoringMonitor(scoring="neg_log_loss")
    fit(make_pipeline(StandardScaler(), several().set_callbacks(inside)))
    paths = [row["task_id_path"] for row in inside.get_logs().data if row["task_name"] == "epoch"]
    assert sorted(path[-2:] for path in paths) == [(k, i) for k in range(3) for i in range(4)]
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    with redirect_stdout(io.StringIO()) as out:
        fit(several().set_callbacks(ProgressBar()))
    lines = out.getvalue().splitlines()
    assert len(lines) == 4
    assert all("100%" in line for line in lines)
    assert "network #2" in lines[-1]
    with redirect_stdout(io.StringIO()) as out:
        fit(make_pipeline(StandardScaler(), several()).set_callbacks(ProgressBar()))
    assert "network #2" in out.getvalue().splitlines()[-1]


@pytest.mark.parametrize("make", [Checkpoint, LearningRecorder])
def test_an_ensemble_refuses_callbacks_that_follow_one_network(make, tmp_path):
    callback = make(tmp_path / "run") if make is Checkpoint else make()
    clf = several()
    words = rf"{make.__name__} follows .* one network, and .* trains several. Set it on a Scratch"
    with pytest.raises(TypeError, match=words):
        clf.set_callbacks(callback)
    fit(clf)
    fit(clone(clf.networks_[0]).set_callbacks(callback))


# ---------------------------------------------------------------- checkpoints: going on


def killed_and_resumed(make, path, *data, kills=(7, 12, 13), every=5, **more):
    """Let a fit fail after some epochs, more than once, and come to its end at last."""
    for kill in kills:
        clf = make().set_callbacks(
            Checkpoint(path, every_n_epochs=every), Recorder(("end", "epoch", kill - 1), fail)
        )
        with pytest.raises(RuntimeError, match="the callback fails"):
            fit(clf, *data, **more)
    recorder = Recorder()
    clf = make().set_callbacks(Checkpoint(path), recorder)
    fit(clf, *data, **more)
    return clf, recorder


def wide(**settings):
    """A network that draws random numbers for everything it can."""
    defaults = {"hidden_layer_sizes": (20, 10), "dtype": None, "random_state": 0, "max_iter": 25}
    return ScratchMLPClassifier(**(defaults | {"input_dropout": 0.1} | settings))


@needs_protocol
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dtype": "float32", "batch_size": 33, "hidden_layer_sizes": ()},
        {"early_stopping": True, "n_iter_no_change": 15, "tol": 0.0, "scoring": "accuracy"},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "tol": 0.1}
        | {"n_iter_no_change": 2},
        {"solver": "sgd", "learning_rate": "invscaling", "weight_decay": 0.01, "power_t": 0.1},
        {"shuffle": False, "class_weight": "balanced", "n_iter_no_change": 14, "tol": 1.0}
        | {"learning_rate": "constant"},
    ],
)
def test_a_resumed_fit_ends_where_one_does_that_nobody_interrupted(tmp_path, settings):
    path = tmp_path / "run.npz"
    with redirect_stdout(io.StringIO()) as out:
        whole = fit(wide(verbose=True, **settings), X_digits, y_digits)
    assert whole.n_iter_ > 13
    resumed, recorder = killed_and_resumed(lambda: wide(**settings), path, X_digits, y_digits)
    assert_same_fit(whole, resumed)
    # Numbered on, as if there had been no interruption.
    epochs = [event[2] for event in recorder.events if event[:2] == ("begin", "epoch")]
    assert epochs == [*range(10, whole.n_iter_)]
    if settings.get("learning_rate") == "adaptive":
        assert out.getvalue().count("Going on with a fifth of it") > 1
    # And the file now is that of the end.
    recorder = Recorder()
    again = fit(wide(**settings).set_callbacks(Checkpoint(path), recorder), X_digits, y_digits)
    assert_same_fit(whole, again)
    assert [name for name, task, _ in recorder.events if task == "epoch"] == []
    assert os.listdir(tmp_path) == ["run.npz"]


@needs_protocol
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_a_resumed_fit_of_a_regressor(tmp_path, loss, columns):
    def make():
        return ScratchMLPRegressor((20, 10), loss=loss, max_iter=25, random_state=0)

    X, y = load_diabetes(return_X_y=True)
    y = y if columns == 1 else np.column_stack([y, X[:, 0] + 1])
    whole = fit(make(), X, y)
    resumed, recorder = killed_and_resumed(make, tmp_path / "run", X, y)
    assert_same_fit(whole, resumed)
    assert_array_equal(whole.predict(X), resumed.predict(X))
    seen = [fitted for fitted in recorder.fitted if fitted is not None]
    assert_array_equal(seen[-1].predict(X), whole.predict(X))
    with pytest.raises(ValueError, match=r"is a checkpoint of another fit: y was float64"):
        fit(make().set_callbacks(Checkpoint(tmp_path / "run")), X, 2 * y)


@needs_protocol
@pytest.mark.parametrize("case", ["weights", "own validation", "sparse", "labels", "generator"])
def test_whatever_the_data_are(tmp_path, case):
    X, y, more, settings = X_digits, y_digits, {}, {}
    if case == "weights":
        more = {"sample_weight": np.linspace(0, 2, 500)}
    elif case == "own validation":
        y = np.array([f"class {label}" for label in y], dtype=object)
        more = {"X_val": X[:100], "y_val": y[:100]}
        settings = {"early_stopping": "auto", "n_iter_no_change": 100}
    elif case == "sparse":
        X = pytest.importorskip("scipy.sparse").csr_matrix(X)
    elif case == "labels":
        y = np.column_stack([y % 2, y > 4])
    else:
        settings = {"random_state": np.random.RandomState(3)}

    def make():
        clf = wide(**settings)
        if case == "generator":
            clf.set_params(random_state=np.random.RandomState(3))
        return clf

    whole = fit(make(), X, y, **more)
    resumed, recorder = killed_and_resumed(make, tmp_path / "run", X, y, **more)
    assert_same_fit(whole, resumed)
    assert ("begin", "epoch", 10) in recorder.events
    assert ("begin", "epoch", 9) not in recorder.events


KILLED = """
    import sys, time, warnings
    from sklearn.datasets import load_digits
    from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor
    from sknn_scratch.callbacks.checkpoint import Checkpoint

    class Slow:
        ended = 0
        def setup(self, estimator, context): pass
        def teardown(self, estimator, context): pass
        def on_fit_task_begin(self, estimator, context): pass
        def on_fit_task_end(self, estimator, context):
            self.ended += 1
            time.sleep(0.02 if self.ended < 20 else 300)  # to be killed in time

    X, y = load_digits(return_X_y=True)
    clf = ScratchMLPClassifier(**eval(sys.argv[1]))
    clf.set_callbacks(Checkpoint(sys.argv[2], every_seconds=0), Slow()).fit(X[:500], y[:500])
    """


@pytest.mark.slow
@needs_protocol
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
@pytest.mark.parametrize(
    "settings, kills",
    [
        (
            {"input_dropout": 0.2, "early_stopping": True, "n_iter_no_change": 1000}
            | {"max_iter": 150},
            2,
        ),
        (
            {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 2}
            | {"max_iter": 150, "learning_rate_init": 0.5},
            1,
        ),
    ],
    ids=["adam", "sgd"],
)
def test_a_killed_process(tmp_path, settings, kills):
    settings = {"hidden_layer_sizes": (30,), "random_state": 1} | settings
    path = tmp_path / "run.npz"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), repr(settings), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(Path(sknn_scratch.__file__).parents[1])}
    for done in range(kills):
        before = path.stat().st_mtime_ns if done else None
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 300
        while not path.exists() or path.stat().st_mtime_ns == before:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    recorder = Recorder()
    resumed = ScratchMLPClassifier(**settings).set_callbacks(Checkpoint(path), recorder)
    whole = fit(ScratchMLPClassifier(**settings), X_digits, y_digits)
    assert_same_fit(whole, fit(resumed, X_digits, y_digits))
    began = next(number for when, task, number in recorder.events if task == "epoch")
    assert 1 < began < whole.n_iter_


@needs_protocol
def test_after_ctrl_c_the_next_fit_goes_on(tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    keeper = Checkpoint(tmp_path / "run", every_n_epochs=2)
    clf = wide().set_callbacks(keeper, Recorder(("end", "epoch", 6), interrupt))
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X_digits, y_digits)
    recorder = Recorder()
    clf.set_callbacks(keeper, recorder)
    assert_same_fit(fit(wide(), X_digits, y_digits), fit(clf, X_digits, y_digits))
    assert recorder.events[2] == ("begin", "epoch", 6)


@needs_protocol
def test_what_a_callback_has_ended_has_ended(tmp_path):
    keeper, stop = Checkpoint(tmp_path / "run"), Recorder(("end", "epoch", 2), lambda: True)
    first = quick().set_callbacks(stop, keeper).fit(X_iris, y_iris)
    second = quick().set_callbacks(keeper).fit(X_iris, y_iris)
    assert (second.n_iter_, second.stop_reason_) == (3, "callback")
    assert_same_fit(first, second)


@needs_protocol
def test_a_warm_start_is_another_fit(tmp_path):
    path = tmp_path / "run"
    clf = fit(quick(warm_start=True))
    fit(clf.set_callbacks(Checkpoint(path)))
    with pytest.raises(ValueError, match="the fit that it goes on from was float64"):
        fit(clf)
    assert clf.t_ == 2 * 6 * 150


class Clock:
    """Lets each epoch take so many seconds, and notes after which epochs a file was new."""

    def __init__(self, path, seconds):
        self.path, self.seconds, self.now = path, seconds, 0.0
        self.written, self.version = [], None

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        if context.task_name == "epoch":
            self.look(context.task_id)

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.now += self.seconds
        else:
            self.look(estimator.n_iter_)

    def look(self, epochs):
        version = self.path.exists() and self.path.stat().st_ino
        if version and version != self.version:
            self.written.append(epochs)
            self.path.with_name(f"kept {epochs}").hardlink_to(self.path)  # its number is not reused
            self.version = version


@needs_protocol
def test_when_the_file_is_written(tmp_path, monkeypatch):
    def written(seconds_an_epoch, **settings):
        folder = tmp_path / f"{seconds_an_epoch} {settings}"
        folder.mkdir()
        clock = Clock(folder / "run", seconds_an_epoch)
        with monkeypatch.context() as patch:
            patch.setattr(time, "monotonic", lambda: clock.now)
            fit(quick().set_callbacks(clock, Checkpoint(clock.path, **settings)))
        return clock.written

    assert written(1, every_n_epochs=2) == [2, 4, 6]
    assert written(1, every_n_epochs=4) == [4, 6], "and at the end"
    assert written(1) == [6]
    assert written(31) == [2, 4, 6]
    assert written(31, every_seconds=None) == [6]
    assert written(25, every_n_epochs=5) == [3, 5, 6]


@needs_protocol
def test_fits_that_train_as_a_stack_have_a_file_each(tmp_path):
    def vote(callback):
        networks = [wide(random_state=seed) for seed in range(3)]
        for seed, network in enumerate(networks):
            keeper = Checkpoint(tmp_path / str(seed), every_n_epochs=4)
            network.set_callbacks(keeper, *([callback] if seed == 1 else []))
        return VotingClassifier([(str(k), network) for k, network in enumerate(networks)])

    with parallel_config(backend="stacked", n_jobs=1):
        with pytest.raises(RuntimeError, match="the callback fails"):
            fit(vote(Recorder(("end", "epoch", 9), fail)), X_digits, y_digits)
        recorder = Recorder()
        resumed = fit(vote(recorder), X_digits, y_digits)
    assert recorder.events[2] == ("begin", "epoch", 8), "to fail is not to end"
    for seed, network in enumerate(resumed.estimators_):
        alone = fit(wide(random_state=seed), X_digits, y_digits)
        assert_allclose(network.loss_curve_, alone.loss_curve_, rtol=1e-9)
        assert_allclose(network.coefs_[0], alone.coefs_[0], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("end", [True, False], ids=["ended", "going on meanwhile"])
@pytest.mark.parametrize("alike", [True, False], ids=["of the same rows", "of other rows"])
def test_networks_of_a_stack_go_on_where_they_were(alike, end):
    def make_jobs(callback=None):
        rng = np.random.RandomState(4)
        rows = make_job(rng)
        jobs = [
            make_job(
                rng,
                batch_size=3,
                max_iter=9,
                input_dropout=0.3,
                start={
                    "rng": np.random.RandomState(0 if alike else k),
                    "dropout_rng": np.random.RandomState(0 if alike else k),
                },
                stopping=NoImprovement(0.0, np.inf, keep_best=True),
                callbacks=[] if callback is None else [callback],
            )
            for k in range(3)
        ]
        return [replace(job, X=rows.X, Y=rows.Y) for job in jobs] if alike else jobs

    def look(epoch):
        if epoch.number == 4:
            seen.append(epoch.state())
        return end and epoch.number == 4

    whole = train(make_jobs())
    seen = []
    halves = make_jobs(look)
    assert {result.stop_reason for result in train(halves)} == {"callback" if end else "max_iter"}
    later = [replace(job, start=state) for job, state in zip(make_jobs(), seen, strict=True)]
    assert stack_key(later[0]) != stack_key(halves[0])
    for a, b in zip(whole, train(later), strict=True):
        # Together with others of the same rows a product may be rounded in another way.
        compare = partial(assert_allclose, rtol=1e-10) if alike else assert_array_equal
        compare(a.theta, b.theta)
        compare(a.loss_curve, b.loss_curve)
        assert_array_equal(a.order, b.order)
    assert sorted(whole[1].order) == [*range(7)]


# ---------------------------------------------------------------- checkpoints: bad input


@pytest.fixture
def kept(tmp_path):
    """A file of a fit that has ended."""
    path = tmp_path / "run.npz"
    fit(quick().set_callbacks(Checkpoint(path)))
    return path


def refused(message, path, clf=None, data=(X_iris, y_iris), error=ValueError, **more):
    """Fit, which must fail before training and leave the file as it is."""
    content = path.read_bytes() if path.is_file() else None
    recorder = Recorder()
    clf = quick() if clf is None else clf
    with pytest.raises(error, match=message):
        clf.set_callbacks(Checkpoint(path), recorder).fit(*data, **more)
    assert not any("epoch" in event for event in recorder.events)
    assert (path.read_bytes() if path.is_file() else None) == content


@needs_protocol
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"learning_rate_init": 0.1}, r"learning_rate_init was 0\.05 and is 0\.1\. Put that back"),
        ({"random_state": 1}, "random_state was 0 and is 1"),
        ({"random_state": np.random.RandomState(0)}, "random_state was 0 and is one with checksum"),
        ({"max_iter": 7, "tol": 0.1}, "max_iter was 6 and is 7; tol was 0.0001 and is 0.1"),
        ({"hidden_layer_sizes": (9,)}, r"hidden_layer_sizes was \[8\] and is \[9\]"),
    ],
)
def test_a_file_of_a_fit_with_other_parameters(kept, changes, message):
    refused(f"of another fit: {message}", kept, quick().set_params(**changes))


@needs_protocol
def test_parameters_that_mean_the_same_are_the_same(kept):
    same = quick().set_params(hidden_layer_sizes=[8], tol=np.float64(1e-4), random_state=np.int8(0))
    with redirect_stdout(io.StringIO()):
        fit(same.set_params(verbose=True).set_callbacks(Checkpoint(kept)))
    assert_same_fit(fit(quick()), same)


@needs_protocol
def test_a_file_of_a_fit_to_other_data(kept):
    changed = X_iris.copy()
    changed[-1, -1] += 1e-9
    refused(r"another fit: X was float64 \(150, 4\) with .* and is", kept, data=(changed, y_iris))
    refused(r"another fit: y was int64 \(150,\)", kept, data=(X_iris, y_iris[::-1].copy()))
    refused("sample_weight was None and is float64", kept, sample_weight=np.ones(150))
    refused("X_val, y_val was None and is float64", kept, X_val=X_iris, y_val=y_iris)


@needs_protocol
def test_a_damaged_file(kept):
    content = kept.read_bytes()
    for length in (100, len(content) // 2, len(content) - 1):
        kept.write_bytes(content[:length])
        refused("is damaged .*Delete it to start anew, or give Checkpoint another path", kept)
    # No single byte can go wrong without being noticed, or it makes no difference.
    whole, noticed = fit(quick()), 0
    for position in range(0, len(content), 41):
        broken = bytearray(content)
        broken[position] ^= 0x10
        kept.write_bytes(broken)
        clf = quick().set_callbacks(Checkpoint(kept))
        try:
            fit(clf)
        except ValueError as error:
            assert "is damaged" in str(error) or "is not a checkpoint" in str(error)
            noticed += 1
        else:
            assert_same_fit(whole, clf)
    assert noticed > 0.9 * len(range(0, len(content), 41))


@needs_protocol
@pytest.mark.parametrize("kind", ["empty", "text", "npy", "npz", "pickle"])
def test_a_foreign_file(tmp_path, kind):
    path = tmp_path / "precious"
    with path.open("wb") as file:
        if kind == "text":
            file.write(b"not to be lost")
        elif kind == "npy":
            np.save(file, X_iris)
        elif kind == "npz":
            np.savez(file, X=X_iris)
        elif kind == "pickle":
            np.savez(file, sknn=np.array([object], dtype=object))
    refused("precious is not a checkpoint of sknn_scratch. Give Checkpoint another path", path)


@needs_protocol
def test_a_file_of_another_version(kept):
    with np.load(kept) as file:
        arrays = dict(file)
    notes = json.loads(arrays[NOTES].tobytes()) | {"format": 99}
    arrays[NOTES] = np.frombuffer(json.dumps(notes).encode(), np.uint8)
    np.savez(kept, **arrays)
    refused("checkpoint of format 99, of another version of sknn_scratch", kept)


@needs_protocol
def test_a_file_that_cannot_be_written(tmp_path):
    refused("cannot write to .*: it is a folder", tmp_path)
    refused("cannot write to .*: No such file or directory. Name a", tmp_path / "missing" / "run")
    (tmp_path / "file").touch()
    refused("cannot write to .*: Not a directory", tmp_path / "file" / "run")
    with locked_folder() as folder:
        refused("cannot write to .*: Permission denied", folder / "run")


@needs_protocol
def test_an_older_state_survives_a_writing_that_fails(tmp_path, monkeypatch):
    # The fit goes on, with one warning; what is in the file is of the last writing that succeeded.
    path = tmp_path / "run"

    def break_down():
        def savez(file, **arrays):
            file.write(b"PK")
            raise OSError("No space left on device")

        monkeypatch.setattr(np, "savez", savez)

    clf = wide().set_callbacks(
        Checkpoint(path, every_n_epochs=1), Recorder(("end", "epoch", 4), break_down)
    )
    with pytest.warns(UserWarning) as caught:
        clf.fit(X_digits, y_digits)
    (warning,) = caught
    words = rf"could not write {path} after epoch 5: No space left on device.*Training goes on"
    assert re.search(words, str(warning.message))
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["run"]
    assert_same_fit(fit(wide(), X_digits, y_digits), clf)
    recorder = Recorder()
    resumed = fit(wide().set_callbacks(Checkpoint(path), recorder), X_digits, y_digits)
    assert recorder.events[2] == ("begin", "epoch", 4)
    assert_same_fit(fit(wide(), X_digits, y_digits), resumed)


@needs_protocol
def test_what_could_not_be_written_is_written_when_there_is_room_again(tmp_path):
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    clf = quick().set_callbacks(
        Checkpoint(folder / "run", every_n_epochs=1),
        Recorder(("end", "epoch", 2), lambda: os.rename(folder, away)),
        Recorder(("end", "epoch", 4), lambda: os.rename(away, folder)),
    )
    with pytest.warns(UserWarning, match="after epoch 3: No such file or directory") as caught:
        fit(clf)
    assert len(caught) == 1
    assert os.listdir(folder) == ["run"]
    assert_same_fit(fit(quick()), clf)
    assert_same_fit(clf, fit(quick().set_callbacks(Checkpoint(folder / "run"))))


@needs_protocol
@pytest.mark.parametrize(
    "settings, message",
    [
        ({"solver": "lbfgs"}, "cannot resume solver='lbfgs'.*Set solver='adam' or 'sgd'"),
        ({"random_state": None}, "random_state=None.*Set random_state to a number"),
    ],
)
def test_a_fit_that_cannot_be_resumed(tmp_path, settings, message):
    refused(message, tmp_path / "run", quick().set_params(**settings))


@needs_protocol
@pytest.mark.parametrize(
    "settings, message",
    [
        ({"every_n_epochs": 0}, r"every_n_epochs of Checkpoint must be an int in .*; got 0"),
        ({"every_n_epochs": 1.5}, r"every_n_epochs of Checkpoint must be an int in .*; got 1\.5"),
        ({"every_seconds": -1}, "every_seconds of Checkpoint must be a float in .*; got -1"),
        ({"every_seconds": "1"}, "every_seconds of Checkpoint must be a float in .*; got '1'"),
    ],
)
def test_a_wrong_interval(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        quick().set_callbacks(Checkpoint(tmp_path / "run", **settings)).fit(X_iris, y_iris)


@needs_protocol
def test_one_file_is_for_one_fit(tmp_path, kept):
    keeper = Checkpoint(tmp_path / "other")
    with pytest.raises(TypeError, match=r"not of a Pipeline. Set it on the network itself"):
        make_pipeline(quick()).set_callbacks(keeper).fit(X_iris, y_iris)
    with pytest.raises(TypeError, match="not of a LogisticRegression"):
        LogisticRegression().set_callbacks(keeper).fit(X_iris, y_iris)
    with pytest.raises(ValueError, match="follows fit, but partial_fit was called"):
        quick().set_callbacks(keeper).partial_fit(X_iris, y_iris, classes=range(3))
    search = GridSearchCV(make_pipeline(quick().set_callbacks(keeper)), {}, cv=2)
    with pytest.raises(ValueError, match="follows one fit, but GridSearchCV makes many"):
        search.fit(X_iris, y_iris)

    def overtake():
        (tmp_path / "other").write_bytes(kept.read_bytes())

    clf = quick().set_callbacks(keeper, Recorder(("end", "epoch", 2), overtake))
    with pytest.warns(UserWarning, match="was written by another fit meanwhile. Give each") as seen:
        fit(clf)
    assert len(seen) == 1
    assert (tmp_path / "other").read_bytes() == kept.read_bytes()
    assert_same_fit(fit(quick()), clf)
    # In a pipeline it is one fit, and the search's best one may be kept.
    (tmp_path / "other").unlink()
    fit(make_pipeline(StandardScaler(), quick().set_callbacks(keeper)))
    assert (tmp_path / "other").exists()


@needs_protocol
def test_what_diverges_is_not_kept(tmp_path):
    diverges = quick(solver="sgd", activation="identity", scale_features=False).set_params(
        learning_rate_init=1e30, loss="log_loss"
    )
    clf = diverges.set_callbacks(Checkpoint(tmp_path / "run"))
    with pytest.raises(ValueError, match="Training overflowed"):
        clf.fit(X_iris * 1e100, y_iris)
    assert os.listdir(tmp_path) == []
