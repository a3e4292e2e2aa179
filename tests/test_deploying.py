"""Leaving the process: fitted state is plain data, and skops brings back what it wrote."""

import dataclasses
import math

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor

CANCER, IRIS = (load(return_X_y=True, as_frame=True) for load in (load_breast_cancer, load_iris))
DIGITS, DIGIT = load_digits(return_X_y=True)
MULTILABEL = DIGITS[:200], np.column_stack([DIGIT % 2, DIGIT > 4])[:200]
WORDS = IRIS[0], load_iris().target_names[IRIS[1]]


FITS = {
    "binary": ({}, CANCER),
    "multiclass": ({}, IRIS),
    "multilabel": ({}, MULTILABEL),
    "strings": ({}, WORDS),
    "float32": ({"dtype": np.float32}, IRIS),
    "sgd": ({"solver": "sgd"}, IRIS),
    "lbfgs": ({"solver": "lbfgs"}, IRIS),
    "stopping": ({"early_stopping": True, "n_iter_no_change": math.inf}, IRIS),
    "class weights": ({"class_weight": {0: 1, 1: 2, 2: np.float64(3)}}, IRIS),
    "random state": ({"random_state": np.random.RandomState(0)}, IRIS),
}


@pytest.fixture(scope="module", params=FITS)
def fit(request):
    """A pipeline fitted to a table, and the table."""
    settings, (X, y) = FITS[request.param]
    clf = ScratchMLPClassifier(20, **{"random_state": 0} | settings)
    return make_pipeline(StandardScaler(), clf).fit(X, y), X


#: Classes of what is fitted, beside the class of the task.
PARTS = ["ScratchMLPClassifier", "Network", "Architecture", "FeatureMap"]
PARTS += ["History", "StreamScaling"]
TASKS = ["Classification", "BinaryClassification", "Multilabel"]


def ours(types):
    """The same types, if all of them are of this package, and there are no more than are known."""
    assert all(name.startswith("sknn_scratch.") for name in types)
    names = [name.rpartition(".")[-1] for name in types]
    assert sorted(set(names) - set(TASKS)) == sorted(PARTS)
    assert len(names) == len(PARTS) + 1
    return types


def test_skops(fit):
    model, X = fit
    for part, inputs in ((model, X), (model[-1], model[0].transform(X))):
        written = skops.io.dumps(part)
        trusted = ours(skops.io.get_untrusted_types(data=written))
        again = skops.io.loads(written, trusted=trusted)
        assert_array_equal(again.predict_proba(inputs), part.predict_proba(inputs))
        assert_array_equal(again.predict(inputs), part.predict(inputs))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_after_skops(solver):
    one = ScratchMLPClassifier(solver=solver, random_state=0)
    one.partial_fit(*IRIS, classes=[0, 1, 2])
    written = skops.io.dumps(one)
    two = skops.io.loads(written, trusted=ours(skops.io.get_untrusted_types(data=written)))
    for clf in (one, two):
        clf.partial_fit(*IRIS)
    assert one.loss_curve_ == two.loss_curve_
    assert_array_equal(one.predict_proba(IRIS[0]), two.predict_proba(IRIS[0]))


def parts(value):
    """Types of a value and of all that is in it."""
    inside = value if isinstance(value, list | tuple) else ()
    if isinstance(value, dict):
        inside = value.values()
    elif type(value).__module__.startswith("sknn_scratch."):
        inside = vars(value).values()
    return {type(value)}.union(*map(parts, inside))


def test_fitted_state_is_arrays_and_builtins_in_a_few_classes(fit):
    clf = fit[0][-1]
    settings = clf.get_params()
    state = {name: value for name, value in vars(clf).items() if name not in settings}
    assert {"network_", "loss_curve_"} <= set(state)
    known = {np.ndarray, dict, list, tuple, str, bool, int, float, type(None)}
    own = parts(state) - known
    ours([f"{cls.__module__}.{cls.__qualname__}" for cls in (type(clf), *own)])
    assert all(dataclasses.is_dataclass(cls) for cls in own)


@pytest.mark.parametrize("loss", ["huber", "poisson"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_regressor(method, loss):
    X, y = load_diabetes(return_X_y=True)
    one = getattr(ScratchMLPRegressor(20, loss=loss, random_state=0), method)(X, y)
    written = skops.io.dumps(one)
    types = skops.io.get_untrusted_types(data=written)
    names = {name.rpartition(".")[-1] for name in types}
    positive = "Positive" if loss == "poisson" else ""
    assert names == set(PARTS) - {"ScratchMLPClassifier"} | {
        "ScratchMLPRegressor",
        f"{positive}Regression",
        f"{positive}TargetScaling",
    }
    two = skops.io.loads(written, trusted=types)
    for reg in (one, two):
        reg.partial_fit(X, y)
    assert_array_equal(one.predict(X), two.predict(X))
    assert one.target_scale_ == two.target_scale_
