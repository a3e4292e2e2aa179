"""What has been fitted: parameters do not change it, threads share it, a failing fit leaves it."""

import pickle
import sys
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_iris

from sknn_scratch import ScratchMLPClassifier

IRIS, KINDS = load_iris(return_X_y=True)
NAMES = load_iris().target_names[KINDS]
CANCER, BENIGN = load_breast_cancer(return_X_y=True, as_frame=True)
LABELS = np.column_stack([KINDS == 0, IRIS[:, 0] > 5.8]).astype(int)
TARGETS = {
    "binary": (IRIS[:100], NAMES[:100]),
    "multiclass": (IRIS, NAMES),
    "multilabel": (IRIS, LABELS),
}
ANSWERS = ("predict", "predict_proba", "predict_log_proba", "hidden_activations")

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def make(**settings):
    start = {"hidden_layer_sizes": (8, 5), "max_iter": 3, "random_state": 0}
    return ScratchMLPClassifier(**start | settings)


def answers(model, X):
    """All that a model says of X, in arrays."""
    *others, hidden = (getattr(model, name)(X) for name in ANSWERS)
    return [*others, *hidden]


# ---------------------------------------------------------------- parameters

OTHERS = {
    "activation": "relu",
    "loss": "log_loss",
    "scale_features": False,
    "dtype": "float32",
    "init": "glorot",
    "hidden_layer_sizes": (3,),
    "solver": "lbfgs",
    "class_weight": "balanced",
    "input_dropout": 0.5,
    "warm_start": True,
    "random_state": 1,
}
other_parameters = pytest.mark.parametrize(
    "changes",
    [*({name: value} for name, value in OTHERS.items()), OTHERS],
    ids=[*OTHERS, "all of them"],
)


@other_parameters
@pytest.mark.parametrize("kind", ["float64", "float32", "list"])
@pytest.mark.parametrize("target", TARGETS)
def test_parameters_set_after_a_fit_change_no_answer(target, kind, changes):
    X = IRIS.tolist() if kind == "list" else IRIS.astype(kind)
    model = make().fit(*TARGETS[target])
    before, said = answers(model, X), [model.out_activation_, model.n_layers_, model.n_outputs_]
    model.set_params(**changes)
    for expected, found in zip(before, answers(model, X), strict=True):
        assert found.dtype == expected.dtype
        assert_array_equal(found, expected)
    assert [model.out_activation_, model.n_layers_, model.n_outputs_] == said
    assert model.mean_.shape == model.scale_.shape == (4,)


@other_parameters
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_parameters_set_after_a_fit_do_not_change_its_graph(target, changes):
    skl2onnx, onnxruntime = (pytest.importorskip(name) for name in ("skl2onnx", "onnxruntime"))
    import sknn_scratch.onnx  # noqa: F401

    def results():
        graph = skl2onnx.to_onnx(model, IRIS[:1], options={"zipmap": False}).SerializeToString()
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        return session.run(None, {"X": IRIS})

    model = make().fit(*TARGETS[target])
    before = results()
    model.set_params(**changes)
    for expected, found in zip(before, results(), strict=True):
        assert_array_equal(found, expected)


# ---------------------------------------------------------------- threads

FITS = {
    "three classes": (IRIS, NAMES),
    "two classes": (IRIS[:100], KINDS[:100]),
    "two labels": (IRIS, LABELS),
    "ten other classes": (IRIS, np.arange(150) % 10 + 70),
    "two columns": (IRIS[:, :2], NAMES),
    "six columns": (np.hstack([IRIS, IRIS[:, :2]]), KINDS),
}


@pytest.fixture
def eager_threads():
    """Let threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@contextmanager
def served(ask):
    """Call a function again and again in a thread, as long as the context; gives all answers."""
    seen, done = set(), threading.Event()

    def serve():
        while not done.is_set():
            try:
                seen.add(ask())
            except Exception as error:
                seen.add(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("X", [IRIS[:5], IRIS[:5].tolist()], ids=["array", "list"])
@pytest.mark.parametrize("method", ANSWERS)
def test_who_predicts_while_another_refits_sees_the_old_network_or_the_new(
    eager_threads, method, X
):
    def ask(model):
        return pickle.dumps([part.tolist() for part in getattr(model, method)(X)])

    fits = [make().fit(*data) for data in FITS.values()]
    expected = {ask(model) for model in fits if model.n_features_in_ == 4}
    assert len(expected) == 4
    expected |= {
        f"ValueError: X has 4 features, but ScratchMLPClassifier is expecting {n} features as "
        "input."
        for n in (2, 6)
    }
    model = make().fit(*FITS["three classes"])
    with served(lambda: ask(model)) as seen:
        for i in range(300):
            for data in FITS.values():
                model.fit(*data)
            if i > 15 and len(seen) >= len(expected):
                break
    assert seen == expected


def test_who_predicts_while_another_goes_on_sees_probabilities(eager_threads):
    model = make().partial_fit(IRIS, NAMES, classes=np.unique(NAMES))
    with served(lambda: np.allclose(model.predict_proba(IRIS).sum(axis=1), 1)) as seen:
        for _ in range(100):
            model.partial_fit(IRIS, NAMES)
    assert seen == {True}


# ---------------------------------------------------------------- fits that fail


class Fault(Exception):
    """What the tests raise."""


class Faulty:
    """Raises while X is read."""

    def __array__(self, dtype=None, copy=None):
        raise Fault


def faulty_scorer(estimator, X, y):
    raise Fault


OVERFLOWS = {"solver": "sgd", "activation": "identity", "learning_rate_init": 1e300}
FAILURES = {
    "X cannot be read": ({}, (Faulty(), NAMES), {}),
    "infinity": ({}, (IRIS * np.inf, NAMES), {}),
    "other numbers of rows": ({}, (IRIS, NAMES[:9]), {}),
    "numbers that are no classes": ({}, (IRIS, IRIS[:, 0]), {}),
    "one class": ({}, (IRIS, np.ones(150)), {}),
    "negative weights": ({}, (IRIS, NAMES), {"sample_weight": -np.ones(150)}),
    "weights of no class": ({"class_weight": {"zinnia": 2}}, (IRIS, NAMES), {}),
    "a parameter": ({"alpha": -1}, (IRIS, NAMES), {}),
    "sizes": ({"hidden_layer_sizes": (8, 0)}, (IRIS, NAMES), {}),
    "X_val alone": ({}, (IRIS, NAMES), {"X_val": IRIS}),
    "X_val of other columns": ({}, (IRIS, NAMES), {"X_val": IRIS[:, :2], "y_val": NAMES}),
    "y_val of other classes": ({}, (IRIS, NAMES), {"X_val": IRIS, "y_val": KINDS}),
    "nothing to set aside": (
        {"early_stopping": True, "validation_fraction": 0.001},
        (IRIS, NAMES),
        {},
    ),
    "a scorer raises": ({"early_stopping": True, "scoring": faulty_scorer}, (IRIS, NAMES), {}),
    "a score is not finite": (
        {"early_stopping": True, "scoring": lambda *_: np.inf},
        (IRIS, NAMES),
        {},
    ),
    "overflow": (OVERFLOWS, (IRIS, NAMES), {}),
    "a warm start of other classes": ({"warm_start": True}, (CANCER, BENIGN + 1), {}),
}
STREAMS = {
    "X cannot be read": ({}, (Faulty(), BENIGN), {}),
    "infinity": ({}, (CANCER * np.inf, BENIGN), {}),
    "other columns": ({}, (CANCER.iloc[:, :4], BENIGN), {}),
    "another class": ({}, (CANCER, BENIGN + 1), {}),
    "other classes": ({}, (CANCER, BENIGN), {"classes": [0, 1, 2]}),
    "negative weights": ({}, (CANCER, BENIGN), {"sample_weight": -np.ones(569)}),
    "early stopping": ({"early_stopping": True}, (CANCER, BENIGN), {}),
    "another shape": ({"hidden_layer_sizes": (8,)}, (CANCER, BENIGN), {}),
    "overflow": (OVERFLOWS, (CANCER, BENIGN), {}),
}


def assert_fails_and_leaves_all(model, method, data, more):
    """A call raises, and each attribute is the very object it was, with the same in it."""
    before, inside = dict(vars(model)), pickle.dumps(model.coefs_)
    with pytest.raises((ValueError, Fault)):
        getattr(model, method)(*data, **more)
    assert vars(model).keys() == before.keys()
    assert [name for name, value in vars(model).items() if value is not before[name]] == []
    assert pickle.dumps(model.coefs_) == inside


@pytest.mark.parametrize("what", FAILURES)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(what):
    settings, data, more = FAILURES[what]
    model = make().fit(CANCER, BENIGN)
    expected = answers(model, CANCER)
    assert_fails_and_leaves_all(model.set_params(**settings), "fit", data, more)
    for found, before in zip(answers(model, CANCER), expected, strict=True):
        assert_array_equal(found, before)


@pytest.mark.parametrize("what", [what for what in FAILURES if "warm" not in what])
def test_a_first_fit_that_fails_leaves_nothing(what):
    settings, data, more = FAILURES[what]
    model = make(**settings)
    before = dict(vars(model))
    with pytest.raises((ValueError, Fault)):
        model.fit(*data, **more)
    assert vars(model) == before
    assert not any(hasattr(model, name) for name in ("coefs_", "classes_", "n_features_in_"))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("what", STREAMS)
def test_a_partial_fit_that_fails_leaves_the_estimator_as_it_was(what):
    settings, data, more = STREAMS[what]
    model = make().partial_fit(CANCER, BENIGN, classes=[0, 1])
    expected = answers(model, CANCER)
    assert_fails_and_leaves_all(model.set_params(**settings), "partial_fit", data, more)
    for found, before in zip(answers(model, CANCER), expected, strict=True):
        assert_array_equal(found, before)
