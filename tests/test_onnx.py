"""What onnxruntime computes from a converted network is what the network predicts."""

import importlib
import sys

import numpy as np
import onnx
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from onnx.defs import onnx_opset_version
from onnxruntime import InferenceSession
from skl2onnx import to_onnx
from skl2onnx.common.data_types import (
    BooleanTensorType,
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
    StringTensorType,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler, minmax_scale

import sknn_scratch.onnx  # noqa: F401
from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier, ScratchMLPRegressor
from sknn_scratch.network.activations import ACTIVATIONS

DIGITS, DIGIT = load_digits(return_X_y=True)
LABELS = np.column_stack([DIGIT % 2, DIGIT > 4, DIGIT % 3 == 0]).astype(int)
PROBLEMS = {
    "binary": load_breast_cancer(return_X_y=True),
    "multiclass": load_iris(return_X_y=True),
    "multilabel": (DIGITS[:300], LABELS[:300]),
    "two labels": (DIGITS[:300], LABELS[:300, :2]),
}
IRIS = PROBLEMS["multiclass"]
IRIS32 = IRIS[0].astype(np.float32)

# Rounding of probabilities by the type that the graph computes in.
CLOSE = {np.float32: 1e-5, np.float64: 1e-12}
ARRAYS = {"zipmap": False}

# Old onnxruntime says with a DeprecationWarning what it will not bear with later.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def classifier(hidden_layer_sizes=(20,), **settings):
    settings = {"dtype": None, "max_iter": 10, "random_state": 0} | settings
    return ScratchMLPClassifier(hidden_layer_sizes, **settings)


def run(model, inputs, **how):
    """Results of a converted model for an array, or for a dict of columns (n, 1) each."""
    if not isinstance(inputs, dict):
        inputs = {"X": inputs}
        how |= {"X": inputs["X"][:1]}
    graph = to_onnx(model, **how)
    onnx.checker.check_model(graph, full_check=True)
    session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_network_in_single_precision_that_is_given_double(name):
    X, y = PROBLEMS[name]
    model = classifier(dtype="float32").fit(X, y)
    _, p = run(model, X, options=ARRAYS)
    assert p.dtype == model.predict_proba(X).dtype == np.float64
    assert_allclose(p, model.predict_proba(X), rtol=0, atol=1e-6)
    if name in ("binary", "multiclass"):
        assert_allclose(p.sum(axis=1), 1, rtol=1e-14)


def assert_same(model, X, **how):
    """Labels and probabilities of the graph are those of the model, and of the same shapes."""
    label, p = run(model, X, options=ARRAYS, **how)
    expected = model.predict_proba(X)
    assert_allclose(p, expected, rtol=0, atol=CLOSE[p.dtype.type])
    assert_array_equal(label, model.predict(X))
    assert expected.std() > 0.01, "a network that has learnt nothing would be no test"


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_problems(problem, dtype):
    X, y = PROBLEMS[problem]
    assert_same(classifier().fit(X, y), X.astype(dtype))
    X = minmax_scale(X).astype(dtype)
    assert_same(classifier(scale_features=False, dtype=dtype).fit(X, y), X)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(), (8,), (8, 5)], ids=len)
def test_activations_and_layers(activation, sizes):
    assert_same(classifier(sizes, activation=activation).fit(*IRIS), IRIS[0])


@pytest.mark.parametrize(
    "classes",
    [
        np.array([-7, 2, 2**40]),
        np.array([1.0, 2.0, 5.0]),
        np.array(["élan", "naïve", "ß"]),
        np.array(["a", "bb", "ccc"], dtype=object),
        np.array([False, True]),
    ],
    ids=lambda classes: str(classes.dtype),
)
def test_labels(classes):
    X, y = IRIS[0], classes[np.minimum(IRIS[1], len(classes) - 1)]
    assert_same(classifier().fit(X, y), X)


@pytest.mark.parametrize("target_opset", [12, min(onnx_opset_version(), 21)])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_opsets(problem, target_opset):
    X, y = PROBLEMS[problem]
    assert_same(classifier().fit(X, y), X, target_opset=target_opset)


def test_columns_far_from_zero_and_values_far_out():
    """Times in seconds since 1970 have no digits to spare in float32, nor has 1e30 a square."""
    rng = np.random.RandomState(0)
    X = np.column_stack([1.7e9 + 1e5 * rng.normal(size=500), 1e-20 * rng.normal(size=500)])
    X = X.astype(np.float32)
    clf = classifier().fit(X, X[:, 0] + 1e25 * X[:, 1] > np.median(X[:, 0]))
    X[::7, 1] = 1e30
    assert_same(clf, X)


@pytest.mark.parametrize("dtype", [np.int64, bool])
def test_inputs_that_are_not_floats(dtype):
    X = (DIGITS > 8 if dtype is bool else DIGITS).astype(dtype)[:300]
    assert_same(classifier().fit(X, DIGIT[:300]), X)


# ---------------------------------------------------------------- options


def test_probabilities_as_dictionaries_and_as_columns():
    clf = classifier().fit(IRIS[0], load_iris().target_names[IRIS[1]])
    expected = clf.predict_proba(IRIS32)
    label, by_class = run(clf, IRIS32)
    assert_array_equal(label, clf.predict(IRIS32))
    assert_allclose(pd.DataFrame(by_class)[clf.classes_], expected, atol=1e-5)

    label, *columns = run(clf, IRIS32, options={"zipmap": "columns"})
    assert_array_equal(label, clf.predict(IRIS32))
    assert_allclose(np.column_stack(columns), expected, atol=1e-5)


def test_class_labels_as_an_output_and_left_out():
    clf = classifier().fit(IRIS[0], load_iris().target_names[IRIS[1]])
    label, _, classes = run(clf, IRIS32, options={"output_class_labels": True, **ARRAYS})
    assert_array_equal(label, clf.predict(IRIS32))
    assert_array_equal(classes, clf.classes_)
    number, _ = run(clf, IRIS32, options={"nocl": True, **ARRAYS})
    assert_array_equal(clf.classes_[number], label)


# ---------------------------------------------------------------- as a part of other models


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(MinMaxScaler(), StandardScaler(), classifier()),
        GridSearchCV(make_pipeline(MinMaxScaler(), classifier()), {"memory": [None]}, cv=2),
        GridSearchCV(classifier(), {"learning_rate_init": [0.02, 0.05]}, cv=2),
        CalibratedClassifierCV(classifier(), cv=2),
        BaggingClassifier(classifier(), n_estimators=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_with_a_network_inside(model):
    model.fit(*IRIS)
    assert_same(model, IRIS32)
    if isinstance(model, GridSearchCV):
        assert_same(model.best_estimator_, IRIS32)


def test_a_table_with_words():
    X, y = load_iris(return_X_y=True, as_frame=True)
    table = pd.DataFrame({"length": X.iloc[:, 2], "width": np.where(X.iloc[:, 3] > 1, "w", "n")})
    columns = make_column_transformer((MinMaxScaler(), ["length"]), (OneHotEncoder(), ["width"]))
    model = make_pipeline(columns, classifier()).fit(table, y)
    label, p = run(
        model,
        {
            "length": table[["length"]].to_numpy(np.float32),
            "width": table[["width"]].to_numpy(object),
        },
        initial_types=[
            ("length", FloatTensorType([None, 1])),
            ("width", StringTensorType([None, 1])),
        ],
        options=ARRAYS,
    )
    assert_allclose(p, model.predict_proba(table), atol=1e-5)
    assert_array_equal(label, model.predict(table))


@pytest.mark.parametrize("code", [(-1, 1), (1, 2), (0, 255), (-7, -3)])
def test_labels_in_other_codes(code):
    X, Y = DIGITS[:300], np.array(code)[LABELS[:300]]
    model = classifier().fit(X, Y)
    label, p = run(model, X, options=ARRAYS)
    assert label.dtype == np.int64
    assert set(np.unique(label)) == set(code)
    assert_array_equal(label, model.predict(X))
    assert_allclose(p, model.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("large", [2**63 - 1, 2**63, 2**64 - 1])
def test_class_numbers_that_onnx_does_not_have(large):
    X, y = IRIS[0], np.array([3, 70, large], dtype=np.uint64)[IRIS[1]]
    model = classifier().fit(X, y)
    if large < 2**63:
        assert_same(model, X)
        return
    with pytest.raises(
        ValueError, match=rf"{large}\S* do not fit into ONNX's 64-bit integers. Give"
    ):
        to_onnx(model, X[:1], options=ARRAYS)
    number, p = run(model, X, options={"nocl": True, **ARRAYS})
    assert_array_equal(model.classes_[number], model.predict(X))
    assert_allclose(p, model.predict_proba(X), atol=1e-9)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("scale_targets", [True, False])
@pytest.mark.parametrize("loss", ["huber", "squared_error", "poisson"])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_numbers(n_outputs, loss, scale_targets, dtype):
    X = IRIS[0][:, :2].astype(dtype)
    y = IRIS[0][:, 2] if n_outputs == 1 else IRIS[0][:, 1:] * [1, 2, 3]
    model = ScratchMLPRegressor(
        20, loss=loss, scale_targets=scale_targets, dtype=dtype, random_state=0
    ).fit(X, y)
    (found,) = run(model, X)
    expected = model.predict(X)
    assert found.dtype == dtype
    assert found.shape == (len(X), n_outputs)
    assert_allclose(found.reshape(expected.shape), expected, rtol=10 * CLOSE[dtype])
    assert (expected.std(axis=0) > 0.1).all(), "a network that has learnt nothing is no test"


def test_numbers_far_from_zero_of_a_pipeline():
    X, y = IRIS32[:, :2], 1e6 + IRIS32[:, 2].astype(float)
    model = GridSearchCV(
        make_pipeline(MinMaxScaler(), ScratchMLPRegressor(20, random_state=0)), {"memory": [None]}
    ).fit(X, y)
    (found,) = run(model, X)
    assert_allclose(found[:, 0], model.predict(X), rtol=1e-6)
    assert np.corrcoef(found[:, 0], y)[0, 1] > 0.9


# ---------------------------------------------------------------- bad input


def test_without_skl2onnx(monkeypatch):
    monkeypatch.delitem(sys.modules, "sknn_scratch.onnx")
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r'pip install "\.\[onnx\]"'):
        importlib.import_module("sknn_scratch.onnx")


def test_a_classifier_that_is_not_fitted():
    with pytest.raises(RuntimeError, match="No known ways to retrieve the number of classes"):
        to_onnx(ScratchMLPClassifier(), initial_types=[("X", Int64TensorType([None, 2]))])


# ---------------------------------------------------------------- tables as they come


def a_table(n=300):
    """Words and numbers with gaps, truth values, and whole numbers that are categories."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "word": rng.choice(["a", "b", "ü"], n),
            "size": rng.randn(n) * 1e3 + 1e6,
            "truth": rng.rand(n) > 0.5,
            "code": rng.randint(0, 4, n).astype(float),
        }
    )
    X.loc[::5, "word"], X.loc[::7, "size"], X.loc[::8, "code"] = None, np.nan, np.nan
    return X, (X["word"] == "a").astype(int)


TYPES = {
    "word": StringTensorType([None, 1]),
    "size": DoubleTensorType([None, 1]),
    "truth": BooleanTensorType([None, 1]),
    "code": DoubleTensorType([None, 1]),
}


def given_to_graph(X):
    """Columns as a graph takes them, a gap among words as an empty string."""
    words = X["word"].astype(object).where(X["word"].notna(), "")
    return {name: (words if name == "word" else X[name]).to_numpy()[:, None] for name in X}


def test_words_and_gaps():
    X, y = a_table()
    clf = classifier(categorical_features=["word", "truth", "code"]).fit(X, y)
    assert {"word_nan", "code_nan", "missingindicator_size"} <= set(clf.input_names_)
    later = pd.concat([X, X[:3].assign(word="never", code=9.0), X[:3].assign(size=np.nan)])
    types = {"initial_types": list(TYPES.items()), "options": ARRAYS}
    label, p = run(clf, given_to_graph(later), **types)
    assert_allclose(p, clf.predict_proba(later), atol=1e-12)
    assert_array_equal(label, clf.predict(later))


def test_an_array_with_gaps():
    X, y = IRIS[0].copy(), IRIS[1]
    X[::6, 1] = np.nan
    clf = classifier().fit(X, y)
    X[3] = np.nan
    _, p = run(clf, X, options=ARRAYS)
    assert_allclose(p, clf.predict_proba(X), atol=1e-12)
    plain = classifier().fit(*IRIS)
    _, p = run(plain, X.astype(np.float32), options=ARRAYS)
    assert_allclose(p, plain.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("problem", ["binary", "multiclass", "multilabel"])
def test_two_views(problem, gaps):
    X, y = PROBLEMS[problem][0][:300].copy(), PROBLEMS[problem][1][:300]
    if gaps:
        X[::6, 1] = np.nan
    several = ScratchMLPEnsembleClassifier(3, 20, max_iter=10, random_state=0, dtype="float64")
    for clf in (several, classifier(numerical_encoding="piecewise_linear")):
        clf.fit(X, y)
        label, p = run(clf, X, options=ARRAYS)
        assert_allclose(p, clf.predict_proba(X), atol=1e-12)
        assert_array_equal(label, clf.predict(X))


def test_two_views_of_words_and_gaps():
    X, y = a_table()
    clf = ScratchMLPEnsembleClassifier(
        2, 20, max_iter=10, random_state=0, dtype="float64", categorical_features=[0, 2, 3]
    ).fit(X, y)
    types = {"initial_types": list(TYPES.items()), "options": ARRAYS}
    label, p = run(clf, given_to_graph(X), **types)
    assert_allclose(p, clf.predict_proba(X), atol=1e-12)
    assert_array_equal(label, clf.predict(X))


def test_an_array_of_words():
    X, y = np.array([["a", "x"], ["b", "y"], ["a", "y"], ["b", "x"]], dtype=object), [0, 1, 0, 1]
    clf = classifier().fit(X, y)
    types = [("X", StringTensorType([None, 2]))]
    graph = to_onnx(clf, initial_types=types, options=ARRAYS)
    session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    assert_allclose(session.run(None, {"X": X})[1], clf.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "types", "message"),
    [
        ({"word": ""}, {}, "Column 0 has the empty string as a level"),
        ({"code": 2.0**24 + 1}, {}, "Column 3 has levels that single precision does not hold"),
        ({}, {"size": StringTensorType([None, 1])}, "Column 1 is one of numbers"),
        ({}, {"word": DoubleTensorType([None, 1])}, "Column 0 is one of words, so its input must"),
        ({}, {"truth": StringTensorType([None, 1])}, "Column 2 is one of truth values, so its"),
        ({}, {"size": None}, "The inputs have 3 columns, but the network was fitted to 4"),
    ],
)
def test_what_cannot_be_converted(change, types, message):
    X, y = a_table()
    for name, value in change.items():
        X.loc[1, name] = value
    clf = classifier(categorical_features=["word", "truth", "code"]).fit(X, y)
    given = [(name, kind) for name, kind in (TYPES | types).items() if kind is not None]
    with pytest.raises(ValueError, match=message):
        to_onnx(clf, initial_types=given, options=ARRAYS)
