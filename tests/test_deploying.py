"""Leaving the process: fitted state is plain data, and skops brings back what it wrote."""

import math

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_scratch import ScratchMLPClassifier

CLASS = "sknn_scratch.estimator.classifier.ScratchMLPClassifier"
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


def test_skops(fit):
    model, X = fit
    for part, inputs in ((model, X), (model[-1], model[0].transform(X))):
        written = skops.io.dumps(part)
        assert skops.io.get_untrusted_types(data=written) == [CLASS]
        again = skops.io.loads(written, trusted=[CLASS])
        assert_array_equal(again.predict_proba(inputs), part.predict_proba(inputs))
        assert_array_equal(again.predict(inputs), part.predict(inputs))


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_goes_on_after_skops(solver):
    one = ScratchMLPClassifier(solver=solver, random_state=0)
    one.partial_fit(*IRIS, classes=[0, 1, 2])
    two = skops.io.loads(skops.io.dumps(one), trusted=[CLASS])
    for clf in (one, two):
        clf.partial_fit(*IRIS)
    assert one.loss_curve_ == two.loss_curve_
    assert_array_equal(one.predict_proba(IRIS[0]), two.predict_proba(IRIS[0]))


def parts(value):
    """Types of a value and of all that is in it."""
    inside = value.values() if isinstance(value, dict) else value
    return {type(value)}.union(
        *map(parts, inside if isinstance(value, dict | list | tuple) else ())
    )


def test_fitted_state_is_arrays_and_builtins(fit):
    clf = fit[0][-1]
    settings = clf.get_params()
    state = {name: value for name, value in vars(clf).items() if name not in settings}
    assert {"coefs_", "loss_curve_"} <= set(state)
    assert parts(state) <= {np.ndarray, dict, list, tuple, str, bool, int, float, type(None)}
