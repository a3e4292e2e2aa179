"""Ctrl-C: a fit keeps what it has learnt; what makes many fits ends, and is not handed a part."""

import warnings

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_selection import SequentialFeatureSelector
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_scratch import ScratchMLPClassifier

X, KINDS = load_iris(return_X_y=True)
LABELS = np.column_stack([KINDS == 0, X[:, 0] > 5.8]).astype(int)


class CtrlC:
    """A scorer that presses Ctrl-C when it is asked for the third time."""

    def __init__(self):
        self.asked = 0

    def __call__(self, estimator, X, y):
        self.asked += 1
        if self.asked == 3:
            raise KeyboardInterrupt
        return 0.5

    def __deepcopy__(self, memo):  # clones press it together
        return self


def interrupted():
    settings = {"max_iter": 5, "early_stopping": True, "random_state": 0}
    return ScratchMLPClassifier((8,), scoring=CtrlC(), **settings)


# ---------------------------------------------------------------- one fit

ONE_FIT = {
    "alone": lambda net: net.fit(X, KINDS),
    "in a comprehension": lambda net: next(iter([each.fit(X, KINDS) for each in [net]])),
    "at the end of a pipeline": lambda net: make_pipeline(StandardScaler(), net).fit(X, KINDS)[-1],
    "in a pipeline in a pipeline": lambda net: Pipeline(
        [("in", make_pipeline(StandardScaler(), net))]
    ).fit(X, KINDS)["in"][-1],
}


@pytest.mark.parametrize("how", ONE_FIT)
def test_one_fit_keeps_what_it_has_learnt(how):
    with pytest.warns(UserWarning, match="interrupted by user after 2 epochs") as caught:
        net = ONE_FIT[how](interrupted())
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert net.stop_reason_ == "interrupted"
    assert net.n_iter_ == len(net.loss_curve_) == 2
    assert net.predict(X).shape == (150,)


# ---------------------------------------------------------------- many fits

MANY_FITS = {
    "a search": lambda net: GridSearchCV(net, {"alpha": [0, 1]}, cv=2).fit(X, KINDS),
    "a search of a pipeline": lambda net: GridSearchCV(
        make_pipeline(StandardScaler(), net), {}, cv=2
    ).fit(X, KINDS),
    "a pipeline with a search": lambda net: make_pipeline(
        StandardScaler(), GridSearchCV(net, {}, cv=2)
    ).fit(X, KINDS),
    "its last fit": lambda net: GridSearchCV(net, {}, cv=[(np.arange(0, 150, 2), [1])]).fit(
        X, KINDS
    ),
    "scores": lambda net: cross_val_score(net, X, KINDS, cv=3),
    "scores of a pipeline": lambda net: cross_val_score(make_pipeline(net), X, KINDS, cv=3),
    "predictions": lambda net: cross_val_predict(net, X, KINDS, cv=3),
    "a learning curve": lambda net: learning_curve(net, X, KINDS, cv=3),
    "bagging": lambda net: BaggingClassifier(net, 3).fit(X, KINDS),
    "boosting": lambda net: AdaBoostClassifier(net, n_estimators=3).fit(X, KINDS),
    "a vote": lambda net: VotingClassifier(
        [("net", net), ("other", LogisticRegression(max_iter=1000))]
    ).fit(X, KINDS),
    "a stack": lambda net: StackingClassifier([("net", net)], cv=2).fit(X, KINDS),
    "calibration": lambda net: CalibratedClassifierCV(net, cv=2).fit(X, KINDS),
    "one against the rest": lambda net: OneVsRestClassifier(net).fit(X, KINDS),
    "several outputs": lambda net: MultiOutputClassifier(net).fit(X, LABELS),
    "a chain": lambda net: ClassifierChain(net).fit(X, LABELS),
    "a choice of columns": lambda net: SequentialFeatureSelector(
        net, n_features_to_select=1, cv=2
    ).fit(X, KINDS),
}


@pytest.mark.parametrize("how", MANY_FITS)
def test_what_makes_many_fits_ends(how):
    net = interrupted()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", FutureWarning)
        with pytest.raises(KeyboardInterrupt):
            MANY_FITS[how](net)
    assert net.scoring.asked == 3
    assert not hasattr(net, "coefs_")


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("backend", ["sequential", "threading", "stacked"])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_ends_in_threads_and_in_a_stack(backend, n_jobs):
    net = interrupted()
    with parallel_config(backend=backend, n_jobs=n_jobs), pytest.raises(KeyboardInterrupt):
        GridSearchCV(net, {"alpha": [0, 1, 2]}, cv=2).fit(X, KINDS)


def test_after_it_the_network_can_be_fitted():
    net = interrupted()
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(net, X, KINDS)
    assert net.fit(X, KINDS).n_iter_ == 5
    assert clone(net).fit(X, KINDS).loss_curve_ == net.loss_curve_
