"""Several networks with two views of a table: what they see, and what comes out."""

import pickle
import threading

import numpy as np
import pandas as pd
import pytest
import skops.io
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier

X, Y = load_wine(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True)


def ensemble(n_networks=4, hidden_layer_sizes=20, **settings):
    return ScratchMLPEnsembleClassifier(
        n_networks, hidden_layer_sizes, **{"random_state": 0, "max_iter": 20} | settings
    )


def alone(network):
    """The same network, not yet fitted, on its own."""
    return clone(network)


@parametrize_with_checks([ScratchMLPEnsembleClassifier(max_iter=100)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("table", ["wine", "cancer", "labels"])
def test_each_network_is_the_one_that_is_fitted_alone(table):
    A, a = {"wine": (X, Y), "cancer": CANCER, "labels": (X, np.eye(3, dtype=int)[Y])}[table]
    clf = ensemble().fit(A, a)
    for network in clf.networks_:
        single = alone(network).fit(A, a)
        # In a stack a product may be rounded otherwise, in single precision from 256 rows on.
        close = 1e-3 if len(A) >= 256 else 1e-9
        assert_allclose(network.predict_proba(A), single.predict_proba(A), atol=close)
        assert network.n_iter_ == single.n_iter_
        assert_array_equal(network.predict(A[:5]), single.predict(A[:5]))


def test_what_the_networks_see():
    clf = ensemble(5, (20, 11)).fit(X, Y)
    encodings = [network.numerical_encoding for network in clf.networks_]
    assert encodings == [None, "piecewise_linear", None, "piecewise_linear", None]
    shapes = [[W.shape for W in network.coefs_] for network in clf.networks_]
    assert shapes[0] == [(13, 20), (20, 11), (11, 3)]
    assert shapes[1] == [(4 * 13, 10), (10, 6), (6, 3)]
    assert len({network.random_state for network in clf.networks_}) == 5


def test_probabilities_are_the_mean():
    clf = ensemble().fit(X, Y)
    each = np.array([network.predict_proba(X) for network in clf.networks_])
    assert_allclose(clf.predict_proba(X), each.mean(axis=0), rtol=1e-12)
    assert_allclose(np.exp(clf.predict_log_proba(X)), each.mean(axis=0), rtol=1e-9)
    assert_array_equal(clf.predict(X), clf.classes_[each.mean(axis=0).argmax(axis=1)])
    assert each.std(axis=0).max() > 0.01
    assert np.isfinite(clf.predict_log_proba(X * 1e6)).all()


def test_several_labels():
    labels = np.column_stack([Y == 0, Y > 0]).astype(int)
    clf = ensemble().fit(X, labels)
    p = clf.predict_proba(X)
    assert_array_equal(clf.predict(X), p > 0.5)
    assert get_tags(clf).classifier_tags.multi_label


def test_it_is_better_than_one():
    A, a = CANCER
    one = ScratchMLPClassifier(random_state=0)
    several = ScratchMLPEnsembleClassifier(random_state=0)
    scores = [cross_val_score(clf, A, a, scoring="neg_log_loss").mean() for clf in (one, several)]
    assert scores[1] > scores[0]


def test_a_table_of_words_and_gaps():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"size": X[:, 0], "word": np.where(X[:, 6] > 2, "a", None)})
    frame.loc[rng.rand(len(X)) < 0.2, "size"] = np.nan
    clf = ensemble(2).fit(frame, Y)
    assert clf.feature_names_in_.tolist() == ["size", "word"]
    assert clf.n_features_in_ == 2
    assert "size_bin2" in clf.networks_[1].input_names_
    assert_allclose(clf.predict_proba(frame).sum(axis=1), 1)
    words = ensemble(2).fit(frame[["word"]], Y)
    assert [network.numerical_encoding for network in words.networks_] == [None, None]
    assert words.networks_[1].coefs_[0].shape[1] == 20


def test_sparse_inputs_are_seen_as_they_are():
    clf = ensemble(2).fit(csr_array(X), Y)
    assert [network.numerical_encoding for network in clf.networks_] == [None, None]
    assert_allclose(clf.predict_proba(csr_array(X)), clf.predict_proba(X), atol=1e-9)


def test_weights():
    weight = np.random.RandomState(0).rand(len(X))
    clf = ensemble(2).fit(X, Y, sample_weight=weight)
    for network in clf.networks_:
        single = alone(network).fit(X, Y, sample_weight=weight)
        assert_allclose(network.predict_proba(X), single.predict_proba(X), atol=1e-9)
    balanced = ensemble(2, class_weight="balanced").fit(X, Y)
    assert balanced.networks_[0].class_weight == "balanced"
    assert np.abs(balanced.predict_proba(X) - ensemble(2).fit(X, Y).predict_proba(X)).max() > 1e-4


def test_early_stopping_goes_back_to_the_best_epoch_of_each():
    rows, others = slice(0, None, 3), slice(1, None, 3)
    clf = ensemble(early_stopping=True, scoring="neg_log_loss", max_iter=40).fit(X, Y)
    own = ensemble(2, early_stopping=True, max_iter=40)
    held_out = {
        "X_val": X[others],
        "y_val": Y[others],
        "sample_weight_val": np.ones(len(Y[others])),
    }
    own.fit(X[rows], Y[rows], **held_out)
    for network in [*clf.networks_, *own.networks_]:
        assert network.best_iter_ is not None
    single = alone(own.networks_[1]).fit(X[rows], Y[rows], **held_out)
    assert own.networks_[1].validation_scores_ == single.validation_scores_


def test_the_seed_decides_all():
    p = ensemble().fit(X, Y).predict_proba(X)
    assert_array_equal(ensemble().fit(X, Y).predict_proba(X), p)
    rng = np.random.RandomState(0)
    assert_array_equal(ensemble(random_state=rng).fit(X, Y).predict_proba(X), p)
    assert not np.array_equal(ensemble(random_state=1).fit(X, Y).predict_proba(X), p)
    # More networks are more of the same.
    first = ensemble(2).fit(X, Y).networks_
    for one, other in zip(first, ensemble(4).fit(X, Y).networks_, strict=False):
        assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize("rows", [255, 256])
def test_the_type_goes_by_the_rows(rows):
    A, a = CANCER[0][:rows], CANCER[1][:rows]
    expected = np.float32 if rows == 256 else np.float64
    assert ensemble(2).fit(A, a).networks_[0].coefs_[0].dtype == expected
    assert ensemble(2, dtype="float64").fit(A, a).networks_[0].coefs_[0].dtype == np.float64
    assert ensemble(2, dtype=None).fit(A, a).networks_[0].coefs_[0].dtype == np.float64
    p = ensemble(2).fit(A, a).predict_proba(A)
    assert p.dtype == np.float64
    assert_allclose(p.sum(axis=1), 1, rtol=1e-14)


def test_copies_predict_the_same():
    clf = ensemble(2).fit(X, Y)
    p = clf.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), p)
    written = skops.io.dumps(clf)
    types = skops.io.get_untrusted_types(data=written)
    assert all(name.startswith("sknn_scratch.") for name in types)
    assert_array_equal(skops.io.loads(written, trusted=types).predict_proba(X), p)


def test_searches_and_pipelines():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), ensemble(2)),
        {"scratchmlpensembleclassifier__hidden_layer_sizes": [4, 8]},
        cv=3,
        scoring="neg_log_loss",
    )
    plain = clone(search).fit(X, Y).cv_results_["mean_test_score"]
    with parallel_config(backend="stacked"):
        assert_allclose(clone(search).fit(X, Y).cv_results_["mean_test_score"], plain, rtol=1e-6)


def test_a_fit_that_fails_changes_nothing():
    clf = ensemble(2).fit(X, Y)
    before = clf.networks_
    for bad in (
        lambda: clf.fit(X[:, :3], np.zeros(len(X))),
        lambda: clf.fit(np.full_like(X, np.inf), Y),
        lambda: clf.fit(X, Y, X_val=X),
        lambda: clf.set_params(n_networks=0).fit(X, Y),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            bad()
    assert clf.networks_ is before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_networks": 0}, "The 'n_networks' parameter of ScratchMLPEnsembleClassifier"),
        ({"n_networks": 2.5}, "The 'n_networks' parameter"),
        ({"n_bins": 1}, "The 'n_bins' parameter"),
        ({"dtype": "float16"}, "The 'dtype' parameter"),
        ({"hidden_layer_sizes": 0}, "The 'hidden_layer_sizes' parameter"),
    ],
)
def test_bad_parameters(settings, message):
    with pytest.raises(ValueError, match=message):
        ensemble(**settings).fit(X, Y)


def test_before_a_fit():
    clf = ensemble()
    with pytest.raises(NotFittedError):
        clf.predict(X)
    for name in ("classes_", "n_features_in_", "n_iter_", "feature_names_in_", "networks_"):
        assert not hasattr(clf, name)
    assert not hasattr(clf, "partial_fit")
    assert not hasattr(clf.fit(X, Y), "feature_names_in_")


def test_a_thread_predicts_while_another_fits():
    clf = ensemble(2).fit(X, Y)
    expected = [clf.predict_proba(X), ensemble(2, 5).fit(X[:, :5], Y).predict_proba(X[:, :5])]
    clf.set_params(hidden_layer_sizes=5)
    thread = threading.Thread(target=lambda: [clf.fit(X[:, :5], Y) for _ in range(3)])
    thread.start()
    while thread.is_alive():
        try:
            assert_array_equal(clf.predict_proba(X), expected[0])
        except ValueError as error:
            assert "13 features" in str(error)
            break
    thread.join()
    assert_array_equal(clf.predict_proba(X[:, :5]), expected[1])


class Interrupting:
    """A scorer that is interrupted at its n-th call."""

    def __init__(self, n):
        self.n = n

    def __call__(self, clf, X, y):
        self.n -= 1
        if self.n == 0:
            raise KeyboardInterrupt
        return clf.score(X, y)


def test_an_interrupt_keeps_what_was_learnt():
    clf = ensemble(4, early_stopping=True, scoring=Interrupting(7))
    with pytest.warns(UserWarning, match="interrupted by user after"):
        clf.fit(X, Y)
    assert 1 <= len(clf.networks_) < 4
    assert clf.predict_proba(X).shape == (178, 3)


@pytest.mark.parametrize(
    ("call", "epochs"),
    [(1, [0, 0]), (2, [1]), (3, [1, 1]), (4, [2, 1]), (9, [4, 4]), (10, [4, 1, 4])],
)
def test_an_interrupt_leaves_out_networks_without_an_epoch(call, epochs):
    """Networks 0 and 2 are a stack, and then 1 and 3."""
    clf = ensemble(4, max_iter=4, early_stopping=True, scoring=Interrupting(call))
    with pytest.warns(UserWarning, match="interrupted by user after"):
        clf.fit(X, Y)
    assert [network.n_iter_ for network in clf.networks_] == epochs
    assert clf.n_iter_ == max(epochs)
    assert_allclose(clf.predict_proba(X).sum(axis=1), 1)


def test_an_interrupt_of_a_later_stack_is_told():
    """Also if the networks of the first one were done."""
    clf = ensemble(2, early_stopping=True, scoring=Interrupting(25))
    with pytest.warns(UserWarning, match="interrupted by user after"):
        clf.fit(X, Y)
    reasons = [network.stop_reason_ for network in clf.networks_]
    assert sorted(reasons) == ["interrupted", "stalled"]


def test_networks_that_are_not_done_say_so():
    A, a = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="learning_rate_init"):
        ensemble(2, learning_rate_init=1e-4, max_iter=100).fit(A, a)
