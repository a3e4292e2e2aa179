"""The estimator among scikit-learn's tools, on real data."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler, scale

from sknn_scratch import ScratchMLPClassifier

CANCER = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(*CANCER, random_state=0, stratify=CANCER[1])


def pipeline(**settings):
    return make_pipeline(StandardScaler(), ScratchMLPClassifier(random_state=0, **settings))


def test_clone_and_set_params():
    clf = ScratchMLPClassifier((7, 3), alpha=0.5, random_state=3).fit(scale(X_train), y_train)
    copy = clone(clf)
    assert copy.get_params() == clf.get_params()
    assert not hasattr(copy, "coefs_")
    assert copy.set_params(alpha=0.1, hidden_layer_sizes=5).alpha == 0.1
    assert clf.alpha == 0.5


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    model = pipeline().fit(X_train, y_train)
    copy = pickle.loads(pickle.dumps(model, protocol=protocol))
    assert_array_equal(copy.predict_proba(X_test), model.predict_proba(X_test))
    copy[-1].partial_fit(X_test, y_test)


def test_joblib_with_and_without_memory_map(tmp_path):
    model = pipeline().fit(X_train, y_train)
    joblib.dump(model, tmp_path / "model.joblib")
    for mode in (None, "r"):
        copy = joblib.load(tmp_path / "model.joblib", mmap_mode=mode)
        assert_array_equal(copy.predict_proba(X_test), model.predict_proba(X_test))
        copy[-1].partial_fit(X_test, y_test)


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_grid_search_in_two_processes_equals_one():
    grid = {
        "scratchmlpclassifier__hidden_layer_sizes": [(4,), (16,)],
        "scratchmlpclassifier__learning_rate_init": [5e-2, 2e-1],
    }
    one, two = (
        GridSearchCV(pipeline(max_iter=60), grid, cv=3, n_jobs=n_jobs).fit(X_train, y_train)
        for n_jobs in (1, 2)
    )
    assert_allclose(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert two.best_estimator_.score(X_test, y_test) > 0.93


def test_cross_val_score():
    X, y = load_wine(return_X_y=True)
    assert cross_val_score(pipeline(), X, y, cv=5).mean() > 0.95


def test_stacking():
    line = LogisticRegression(solver="newton-cholesky")
    stack = StackingClassifier(
        [("network", pipeline(max_iter=40)), ("line", make_pipeline(StandardScaler(), line))],
        final_estimator=line,
        cv=3,
    ).fit(X_train, y_train)
    assert stack.score(X_test, y_test) > 0.93


def test_calibration():
    calibrated = CalibratedClassifierCV(pipeline(max_iter=40), cv=3).fit(X_train, y_train)
    assert brier_score_loss(y_test, calibrated.predict_proba(X_test)[:, 1]) < 0.06


def test_bagging():
    bag = BaggingClassifier(pipeline(max_iter=20), n_estimators=4, random_state=0)
    assert bag.fit(X_train, y_train).score(X_test, y_test) > 0.93


def test_columns_of_strings_and_string_labels():
    iris = load_iris(as_frame=True)
    table = iris.data.set_axis(["sepal length", "sepal width", "length", "width"], axis=1)
    # Petal widths as words, as they would come in a table that people fill in.
    table["width"] = pd.cut(table["width"], [0, 0.8, 1.65, 3], labels=["narrow", "middle", "wide"])
    table["width"] = table["width"].astype(str)
    numbers = ["sepal length", "sepal width", "length"]
    columns = make_column_transformer((StandardScaler(), numbers), (OneHotEncoder(), ["width"]))
    y = iris.target_names[iris.target]
    model = make_pipeline(columns, ScratchMLPClassifier(random_state=0)).fit(table, y)
    assert set(model.predict(table)) == set(iris.target_names)
    assert np.mean(model.predict(table) == y) > 0.95
