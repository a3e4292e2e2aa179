"""Validation: rows of your own or set aside, their losses and scores, and the best epoch."""

import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from judges import loss_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import get_scorer, make_scorer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_scratch import MLP_CLASSIFIER_SETTINGS, ScratchMLPClassifier

IRIS, KINDS = load_iris(return_X_y=True)
CANCER, BENIGN = load_breast_cancer(return_X_y=True)
LABELS = np.column_stack([KINDS == 0, IRIS[:, 0] > 5.8, IRIS[:, 1] > 3]).astype(int)
TARGETS = {
    "binary": (CANCER, np.array(["malignant", "benign"])[BENIGN]),
    "multiclass": (IRIS, KINDS),
    "multilabel": (IRIS, LABELS),
}
targets = pytest.mark.parametrize("target", TARGETS)
losses = pytest.mark.parametrize("loss", ["guarded_squared_error", "squared_error", "log_loss"])


def split(X, y):
    """Rows to learn from, and a third of them to validate by."""
    val = np.arange(len(y)) % 3 == 0
    return X[~val], y[~val], X[val], y[val]


def make(**settings):
    start = {"hidden_layer_sizes": (8,), "dtype": None, "learning_rate_init": 0.05, "max_iter": 15}
    return ScratchMLPClassifier(**start | {"random_state": 0} | settings)


def fit(model, X, y, **fit_params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **fit_params)


def loss_by_hand(model, X, y, y_fit, weight=None, weight_fit=None):
    """The loss on these rows after a fit to y_fit, from nothing but the probabilities."""
    return loss_of(model.loss, model.predict_proba(X), y, weight, y_fit, weight_fit)


def weights_for(y, weighted):
    return np.random.RandomState(0).uniform(0.1, 3, size=len(y)) if weighted else None


# ---------------------------------------------------------------- losses and scores


@pytest.mark.parametrize("weighted", [False, True])
@losses
@targets
def test_losses_and_scores_are_those_of_the_network_after_each_epoch(target, loss, weighted):
    X, y, X_val, y_val = split(*TARGETS[target])
    weight = weights_for(y_val, weighted)
    # So set, each epoch is the same however many come after it.
    settings = {"loss": loss, "learning_rate": "constant", "weight_decay": 0, "alpha": 0.1}
    model = fit(make(**settings), X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    for epoch in (1, 2, 7, 15):
        judge = fit(make(**settings, max_iter=epoch), X, y)
        assert judge.validation_loss_curve_ is judge.validation_scores_ is None
        found = model.validation_loss_curve_[epoch - 1], model.validation_scores_[epoch - 1]
        assert found[0] == pytest.approx(loss_by_hand(judge, X_val, y_val, y, weight), rel=1e-9)
        assert found[1] == pytest.approx(judge.score(X_val, y_val, weight), rel=1e-12)
    for a, b in zip(model.coefs_, judge.coefs_, strict=True):
        assert_array_equal(a, b)  # without early stopping, they are only looked at
    assert {type(x) for x in model.validation_loss_curve_ + model.validation_scores_} == {float}
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ == min(model.loss_curve_)
    assert model.best_iter_ is None


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_array])
def test_sparse_validation_rows(container, scaled):
    X, y, X_val, y_val = split(IRIS, KINDS)
    for X_fit in (X, container(X)):
        sparse, dense = (
            fit(make(scale_features=scaled), X_fit, y, X_val=rows, y_val=y_val)
            for rows in (container(X_val), X_val)
        )
        assert_allclose(sparse.validation_loss_curve_, dense.validation_loss_curve_, rtol=1e-9)
        assert sparse.validation_scores_ == dense.validation_scores_
        expected = loss_by_hand(sparse, X_val, y_val, y)
        assert sparse.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


def test_sparse_labels_and_lists():
    X, y, X_val, y_val = split(IRIS, LABELS)
    dense = fit(make(), X, y, X_val=X_val, y_val=y_val)
    sparse = fit(make(), X, sp.csr_matrix(y), X_val=X_val.tolist(), y_val=sp.csr_matrix(y_val))
    assert sparse.validation_loss_curve_ == dense.validation_loss_curve_
    assert sparse.validation_scores_ == dense.validation_scores_


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_of_the_network_counts(dtype):
    X, y, X_val, y_val = split(IRIS, KINDS)
    model = fit(make(dtype=dtype), X, y, X_val=X_val, y_val=y_val)
    assert model.coefs_[0].dtype == dtype
    tolerance = 1e-9 if dtype == np.float64 else 1e-4
    expected = loss_by_hand(model, X_val, y_val, y)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=tolerance)


@losses
def test_lbfgs_keeps_curves_too(loss):
    X, y, X_val, y_val = split(IRIS, KINDS)
    settings = {"solver": "lbfgs", "loss": loss, "alpha": 1.0, "max_iter": "auto"}
    model = make(**settings).fit(X, y, X_val=X_val, y_val=y_val)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_ > 5
    expected = loss_by_hand(model, X_val, y_val, y)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)
    assert model.validation_scores_[-1] == model.score(X_val, y_val)
    judge = fit(make(**settings | {"max_iter": 4}), X, y)
    expected = loss_by_hand(judge, X_val, y_val, y)
    assert model.validation_loss_curve_[3] == pytest.approx(expected, rel=1e-9)
    assert_array_equal(model.coefs_[0], make(**settings).fit(X, y).coefs_[0])


def test_the_epoch_that_lbfgs_names_is_the_one_its_parameters_are_from():
    X, y, X_val, y_val = split(IRIS, KINDS)
    settings = {"solver": "lbfgs", "early_stopping": True, "scoring": "loss", "max_iter": "auto"}
    model = make(**settings).fit(X, y, X_val=X_val, y_val=y_val)
    # Its loss on these rows is at its lowest before the end.
    assert min(model.validation_loss_curve_) < 0.99 * model.validation_loss_curve_[-1]
    found = loss_by_hand(model, X_val, y_val, y)
    epoch = model.best_iter_ or model.n_iter_
    assert found == pytest.approx(model.validation_loss_curve_[epoch - 1], rel=1e-9)


def test_a_warm_start_adds_to_the_curves():
    X, y, X_val, y_val = split(IRIS, KINDS)
    own = {"X_val": X_val, "y_val": y_val}
    model = fit(make(warm_start=True, max_iter=4), X, y, **own)
    losses, scores = list(model.validation_loss_curve_), list(model.validation_scores_)
    fit(model, X, y, **own)
    assert model.validation_loss_curve_[:4] == losses
    assert model.validation_scores_[:4] == scores
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == 8
    expected = loss_by_hand(model, X_val, y_val, y)
    assert model.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


# ---------------------------------------------------------------- scoring


def worst_class(model, X, y, sample_weight=None):
    """The recall of the class that comes off worst, as a scorer of one's own."""
    right = model.predict(X) == y
    return min(right[y == c].mean() for c in np.unique(y))


SCORERS = {
    "accuracy": get_scorer("accuracy"),
    "neg_log_loss": get_scorer("neg_log_loss"),
    "roc_auc_ovr": get_scorer("roc_auc_ovr"),
    "balanced_accuracy": get_scorer("balanced_accuracy"),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("scoring", [None, "loss", *SCORERS, worst_class])
def test_scoring(scoring, early_stopping, weighted):
    X, y, X_val, y_val = split(IRIS, KINDS)
    weight = weights_for(y_val, weighted and scoring != "roc_auc_ovr")
    settings = {"early_stopping": early_stopping, "learning_rate_init": 0.02}
    model = make(scoring=scoring, **settings)
    fit(model, X, y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
    weights = {} if weight is None else {"sample_weight": weight}
    if scoring is None:
        found = model.score(X_val, y_val, weight)
    elif scoring == "loss":
        found = -loss_by_hand(model, X_val, y_val, y, weight)
        assert model.validation_scores_ == [-x for x in model.validation_loss_curve_]
    elif scoring is worst_class:
        found = worst_class(model, X_val, y_val)
    else:
        found = SCORERS[scoring](model, X_val, y_val, **weights)
    number = model.best_iter_ if early_stopping else model.n_iter_
    assert found == pytest.approx(model.validation_scores_[number - 1], rel=1e-9)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(set(model.validation_scores_)) > 1


@pytest.mark.parametrize("own", [False, True], ids=["set aside", "of one's own"])
@pytest.mark.parametrize("scoring", [None, "neg_log_loss"])
def test_tables_with_names_are_scored_without_a_warning(scoring, own):
    table = load_iris(as_frame=True)
    fit_params = {"X_val": table.data, "y_val": table.target} if own else {}
    model = make(scoring=scoring, early_stopping=True)
    model.fit(table.data, table.target, **fit_params)
    assert len(model.validation_scores_) == model.n_iter_


@pytest.mark.parametrize(
    ("score", "what"),
    [(math.nan, "nan"), (math.inf, "inf"), (np.ones(3), r"array\(\["), ("good", "'good'")],
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_score_that_is_no_number_is_an_error(score, what, early_stopping):
    model = make(scoring=lambda model, X, y: score, early_stopping=early_stopping)
    with pytest.raises(ValueError, match=rf"returned .*{what}.*It must return one finite number"):
        model.fit(IRIS, KINDS, X_val=IRIS, y_val=KINDS)
    assert not hasattr(model, "coefs_")


def plain_scorer(model, X, y):
    """A scorer of one's own that takes no weights."""
    return (model.predict(X) == y).mean()


class Scorer:
    """Another one, which is no function."""

    def __call__(self, model, X, y):
        return plain_scorer(model, X, y)


@pytest.mark.parametrize("scoring", [plain_scorer, Scorer(), "max_error_free"])
@pytest.mark.parametrize("weights", ["of classes", "of rows", "of both"])
def test_a_scorer_that_takes_no_weights_is_given_none(weights, scoring):
    if scoring == "max_error_free":  # one of scikit-learn's making, of a metric without weights
        scoring = make_scorer(lambda y, predicted: (y == predicted).mean())
    X, y, X_val, y_val = split(IRIS, KINDS)
    of_rows, of_val = (weights_for(part, weights != "of classes") for part in (y, y_val))
    class_weight = None if weights == "of rows" else "balanced"
    model = make(early_stopping=True, scoring=scoring, class_weight=class_weight)
    own = {"X_val": X_val, "y_val": y_val, "sample_weight_val": of_val}
    fit(model, X, y, sample_weight=of_rows, **own)
    assert model.best_validation_score_ == (model.predict(X_val) == y_val).mean()
    assert model.score(X_val, y_val, of_val) != model.score(X_val, y_val) or of_val is None


def test_what_takes_weights_is_given_them_also_among_others():
    X, y, X_val, y_val = split(IRIS, KINDS)
    weight, seen = weights_for(y_val, True), []

    def scorer(model, X, y, **weights):
        seen.append(weights)
        return model.score(X, y, **weights)

    own = {"X_val": X_val, "y_val": y_val, "sample_weight_val": weight}
    model = fit(make(early_stopping=True, scoring=scorer), X, y, **own)
    assert all(given.keys() == {"sample_weight"} for given in seen)
    assert_array_equal(seen[-1]["sample_weight"], weight)
    assert model.best_validation_score_ == pytest.approx(model.score(X_val, y_val, weight))


# ---------------------------------------------------------------- early stopping


@pytest.mark.parametrize("scoring", [None, "loss", "neg_log_loss"])
@targets
def test_the_best_epoch_is_kept(target, scoring):
    if target == "multilabel" and scoring == "neg_log_loss":
        scoring = "f1_macro"
    X, y, X_val, y_val = split(*TARGETS[target])
    settings = {"early_stopping": True, "scoring": scoring, "n_iter_no_change": 4, "tol": 1e-3}
    settings |= {"learning_rate": "constant", "weight_decay": 0, "learning_rate_init": 0.1}
    model = make(**settings, max_iter=400).fit(X, y, X_val=X_val, y_val=y_val)
    assert model.stop_reason_ == "stalled"
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) < 400
    assert model.best_iter_ == 1 + int(np.argmax(model.validation_scores_)) <= model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert model.best_loss_ is None
    expected = loss_by_hand(model, X_val, y_val, y)
    assert model.validation_loss_curve_[model.best_iter_ - 1] == pytest.approx(expected, rel=1e-9)
    judge = fit(make(**settings, max_iter=model.best_iter_), X, y, X_val=X_val, y_val=y_val)
    assert_array_equal(model.coefs_[0], judge.coefs_[0])


@pytest.mark.parametrize("early_stopping", [False, True, "auto"])
@pytest.mark.parametrize("own", [False, True], ids=["none given", "given"])
@pytest.mark.parametrize("n", [150, 10_000, 10_001])
def test_when_it_stops_early(early_stopping, own, n):
    rows = np.arange(n) % 150
    fit_params = {"X_val": IRIS[::2], "y_val": KINDS[::2]} if own else {}
    model = make(early_stopping=early_stopping, max_iter=2)
    fit(model, IRIS[rows], KINDS[rows], **fit_params)
    stops = early_stopping is True or (early_stopping == "auto" and (own or n > 10_000))
    assert (model.best_iter_ is not None) == (model.best_loss_ is None) == stops
    assert (model.validation_scores_ is not None) == (stops or own)
    # Rows are set aside only if there are no others.
    assert model.t_ == model.n_iter_ * (n - math.ceil(0.1 * n) if stops and not own else n)


@pytest.mark.parametrize("weighted", [False, True])
@targets
def test_rows_that_are_set_aside_are_those_of_train_test_split(target, weighted):
    X, y = TARGETS[target]
    weight = weights_for(y, weighted)
    settings = {"early_stopping": True, "validation_fraction": 0.3, "init": "glorot"}
    settings |= {"hidden_layer_sizes": (), "scale_features": False, "max_iter": 40}
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = fit(make(**settings), X, y, sample_weight=weight)
    rng = np.random.RandomState(0)
    for part in (*model.coefs_, *model.intercepts_):  # what is drawn before
        rng.uniform(size=part.shape)
    stratify = y if target == "binary" else None
    learnt, rows = train_test_split(
        np.arange(len(y)), test_size=0.3, random_state=rng, stratify=stratify
    )
    weight_fit = None if weight is None else weight[learnt]
    weight = None if weight is None else weight[rows]
    expected = loss_by_hand(model, X[rows], y[rows], y[learnt], weight, weight_fit)
    assert model.validation_loss_curve_[model.best_iter_ - 1] == pytest.approx(expected, rel=1e-9)
    expected = model.score(X[rows], y[rows], weight)
    assert model.best_validation_score_ == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_so_they_are_of_many_rows(n_classes):
    X = np.random.RandomState(0).rand(70_001, 2)
    y = (X[:, 0] * n_classes).astype(int)
    settings = {"hidden_layer_sizes": (2,), "early_stopping": True, "random_state": 0}
    settings |= {"batch_size": 1000, "max_iter": 2}
    ours = fit(ScratchMLPClassifier(**MLP_CLASSIFIER_SETTINGS | settings), X, y)
    with pytest.warns(ConvergenceWarning):
        theirs = MLPClassifier(**settings).fit(X, y)
    assert ours.validation_scores_ == theirs.validation_scores_
    assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_class_whose_rows_all_have_weight_zero_is_never_predicted(early_stopping):
    model = make(early_stopping=early_stopping, max_iter="auto")
    fit(model, IRIS, KINDS, sample_weight=(KINDS > 0) * 1.0)
    assert model.classes_.tolist() == [0, 1, 2]
    assert set(model.predict(IRIS[KINDS > 0])) == {1, 2}


def test_given_rows_are_no_part_of_training():
    X, y, X_val, y_val = split(IRIS, KINDS)
    one, other = (
        fit(make(), X, y, X_val=X_val[rows], y_val=y_val[rows]) for rows in (slice(9), slice(9, 40))
    )
    alone = fit(make(), X, y)
    for a, b, c in zip(one.coefs_, other.coefs_, alone.coefs_, strict=True):
        assert_array_equal(a, b)
        assert_array_equal(a, c)
    assert one.validation_loss_curve_ != other.validation_loss_curve_


def test_one_validation_row_and_one_class_are_enough():
    model = fit(make(early_stopping=True), IRIS, KINDS, X_val=IRIS[:1], y_val=KINDS[:1])
    assert set(model.validation_scores_) <= {0.0, 1.0}


# ---------------------------------------------------------------- in a pipeline


def test_a_pipeline_transforms_the_validation_rows():
    X, y, X_val, y_val = split(IRIS, KINDS)
    weight = weights_for(y_val, True)
    own = {"y_val": y_val, "sample_weight_val": weight}
    scaler = StandardScaler().fit(X)
    by_hand = make(scale_features=False, early_stopping="auto", scoring="neg_log_loss")
    fit(by_hand, scaler.transform(X), y, X_val=scaler.transform(X_val), **own)
    with sklearn.config_context(enable_metadata_routing=True):
        network = make(scale_features=False, early_stopping="auto", scoring="neg_log_loss")
        network.set_fit_request(X_val=True, y_val=True, sample_weight_val=True)
        pipeline = make_pipeline(StandardScaler(), network, transform_input=["X_val"])
        fit(pipeline, X, y, X_val=X_val, **own)
    assert pipeline[-1].validation_loss_curve_ == by_hand.validation_loss_curve_
    assert pipeline[-1].validation_scores_ == by_hand.validation_scores_
    assert_array_equal(
        pipeline.predict_proba(X_val), by_hand.predict_proba(scaler.transform(X_val))
    )


def test_a_pipeline_hands_on_what_it_is_told_to_without_routing():
    X, y, X_val, y_val = split(IRIS, KINDS)
    name = "scratchmlpclassifier__"
    pipeline = make_pipeline("passthrough", make())
    fit(pipeline, X, y, **{name + "X_val": X_val, name + "y_val": y_val})
    expected = loss_by_hand(pipeline[-1], X_val, y_val, y)
    assert pipeline[-1].validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-9)


def test_a_pipeline_that_does_not_transform_the_validation_rows_is_told():
    X, y, X_val, y_val = split(CANCER, BENIGN)
    name = "scratchmlpclassifier__"
    pipeline = make_pipeline(StandardScaler(), make())
    with pytest.warns(
        UserWarning, match=r"median of X_val is outside.*transform_input=\['X_val'\]"
    ):
        pipeline.fit(X, y, **{name + "X_val": X_val, name + "y_val": y_val})
    ready = pipeline[0].transform(X_val)
    fit(pipeline, X, y, **{name + "X_val": ready, name + "y_val": y_val})  # and no warning


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array, sp.csc_array])
@pytest.mark.parametrize("shift", [-1, 1])
@pytest.mark.parametrize(("n_columns", "told"), [(0, False), (2, False), (3, True), (8, True)])
def test_it_is_told_if_more_than_a_quarter_of_the_columns_are_elsewhere(
    n_columns, told, shift, container
):
    rng = np.random.RandomState(0)
    X, X_val, y = (
        rng.uniform(1, 2, size=(90, 8)),
        rng.uniform(1, 2, size=(60, 8)),
        np.arange(90) % 2,
    )
    X[:, 1] = 1.5
    X_val[:, 1] = 1.5
    for table in (X, X_val):
        table[:, 4:] *= 100
    X_val[:25] += 7  # what a few rows have makes no difference
    X_val[:, 8 - n_columns :] += 200 * shift
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(max_iter=3).fit(container(X), y, X_val=container(X_val), y_val=y[:60])
    found = [warning for warning in caught if "median of X_val" in str(warning.message)]
    assert len(found) == told
    assert {warning.filename for warning in found} <= {__file__}


# ---------------------------------------------------------------- errors

FRAME = pd.DataFrame(IRIS, columns=list("abcd"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"X_val": IRIS}, "X_val was given without y_val. Give X_val and y_val together"),
        ({"y_val": KINDS}, "y_val was given without X_val. Give X_val and y_val together"),
        ({"sample_weight_val": KINDS}, "sample_weight_val was given without X_val and y_val"),
        ({"X_val": IRIS[:, :3], "y_val": KINDS}, "X has 3 features, but .* is expecting 4"),
        ({"X_val": IRIS, "y_val": KINDS[:9]}, r"inconsistent numbers of samples: \[150, 9\]"),
        ({"X_val": IRIS, "y_val": KINDS + 1}, r"y_val has classes that y does not have.*\[1 2 3\]"),
        ({"X_val": IRIS, "y_val": LABELS}, "y_val"),
        ({"X_val": IRIS, "y_val": IRIS[:, 0]}, "Unknown label type|y_val"),
        ({"X_val": IRIS * np.inf, "y_val": KINDS}, "infinity"),
        ({"X_val": IRIS[:0], "y_val": KINDS[:0]}, "0 sample"),
        (
            {"X_val": IRIS, "y_val": KINDS, "sample_weight_val": -np.ones(150)},
            "sample_weight must not be negative",
        ),
        (
            {"X_val": IRIS, "y_val": KINDS, "sample_weight_val": np.zeros(150)},
            "sample_weight is zero for every row",
        ),
        (
            {"X_val": IRIS, "y_val": KINDS, "sample_weight_val": np.ones(3)},
            r"expected \(150,\)",
        ),
    ],
)
def test_errors(given, message):
    model = make()
    with pytest.raises(ValueError, match=message):
        model.fit(IRIS, KINDS, **given)
    assert not hasattr(model, "coefs_")
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize(
    ("y", "y_val", "message"),
    [
        (LABELS, LABELS[:, :2], "y_val has 2 labels, but y has 3"),
        (LABELS, KINDS, "y_val"),
        (BENIGN[:150], LABELS[:, :2], "y_val"),
    ],
)
def test_validation_targets_of_another_kind(y, y_val, message):
    with pytest.raises(ValueError, match=message):
        make().fit(IRIS, y, X_val=IRIS, y_val=y_val)


def test_names_of_columns_are_checked():
    with pytest.raises(ValueError, match="feature names should match"):
        make().fit(FRAME, KINDS, X_val=FRAME[list("dcba")], y_val=KINDS)


@pytest.mark.parametrize(
    ("error", "validation"),
    [
        (ValueError, {"X_val": IRIS[:, :2], "y_val": KINDS}),
        (ValueError, {"X_val": np.full_like(IRIS, np.inf), "y_val": KINDS}),
        (ValueError, {"X_val": IRIS, "y_val": KINDS[:9]}),
        (ValueError, {"X_val": IRIS, "y_val": KINDS, "sample_weight_val": -np.ones(150)}),
        (TypeError, {"X_val": IRIS.astype("M8[s]"), "y_val": KINDS}),
    ],
)
def test_an_error_about_validation_rows_says_so(error, validation):
    with pytest.raises(error) as raised:
        make().fit(IRIS, KINDS, **validation)
    assert any("X_val" in note for note in raised.value.__notes__)


def test_an_error_about_other_rows_does_not_speak_of_validation():
    with pytest.raises(ValueError) as raised:
        make().fit(np.full_like(IRIS, np.inf), KINDS, X_val=IRIS, y_val=KINDS)
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_others", [2, 1], ids=["three classes", "two classes"])
def test_a_class_of_one_row_is_learnt_from_and_not_set_aside(n_others, weighted):
    rows = np.flatnonzero(KINDS < n_others)
    X, y = IRIS[rows], np.array(["a", "b"])[KINDS[rows]].astype(object)
    y[7] = "rare"
    set_aside = []

    def scorer(model, X_val, y_val):
        assert "rare" not in y_val
        set_aside.append(len(y_val))
        return model.score(X_val, y_val)

    for seed in range(20):
        settings = {"validation_fraction": 0.5, "scoring": scorer, "max_iter": 2}
        model = make(early_stopping=True, random_state=seed, **settings)
        fit(model, X, y, sample_weight=weights_for(y, weighted))
        assert "rare" in model.classes_
        assert model.t_ == 2 * (len(y) - set_aside[-1])
    # Where it had been drawn, there is one row less.
    assert set(set_aside) == {len(y) // 2, len(y) // 2 - 1}


@pytest.mark.parametrize("scoring", [None, "loss", "neg_log_loss"])
@pytest.mark.parametrize("fraction", [0.02, 0.98])
def test_weights_that_are_all_zero_on_one_side_of_the_split(scoring, fraction):
    weight = (np.arange(150) % 50 == 0).astype(float)  # one row of each class
    model = make(early_stopping=True, validation_fraction=fraction, scoring=scoring)
    with pytest.raises(ValueError, match="validation"):
        model.fit(IRIS, KINDS, sample_weight=weight)
    assert not hasattr(model, "coefs_")


def test_partial_fit_takes_no_validation_rows():
    with pytest.raises(TypeError, match="X_val"):
        make().partial_fit(IRIS, KINDS, classes=[0, 1, 2], X_val=IRIS)
    model = make(early_stopping="auto").partial_fit(IRIS, KINDS, classes=[0, 1, 2])
    assert model.validation_scores_ is None


@pytest.mark.parametrize("label", [0, 1], ids=["none", "all"])
def test_a_score_that_fails_names_the_labels_that_no_row_or_every_row_has(label):
    X = np.arange(12.0).reshape(6, 2)
    Y = np.array([[0, 1], [1, 0]] * 3)
    Y_val = Y.copy()
    Y_val[:, 1] = label
    clf = ScratchMLPClassifier((2,), max_iter=1, early_stopping=True, scoring=lambda *_: np.nan)
    with pytest.raises(ValueError, match=r"returned nan on .*, which have no row of \[1\]"):
        clf.fit(X, Y, X_val=X, y_val=Y_val)


def test_lbfgs_prints_the_score_of_each_iteration(capsys):
    X, y = load_breast_cancer(return_X_y=True)
    clf = ScratchMLPClassifier((2,), solver="lbfgs", max_iter=6, verbose=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    printed = re.findall(r"validation loss = ([0-9.]+), validation score", capsys.readouterr().out)
    assert printed == [f"{loss:.8f}" for loss in clf.validation_loss_curve_]
    assert len(set(printed)) == 6


def test_a_scorer_that_divides_by_zero_is_refused_and_nothing_else():
    X, y = np.arange(8.0)[:, None], np.arange(8) % 2

    def scorer(estimator, X, y):
        return float(np.divide(-1.0, np.zeros(1))[0])

    clf = ScratchMLPClassifier(3, max_iter=1, scoring=scorer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"returned -inf on the validation rows"):
            clf.fit(X, y, X_val=X, y_val=y)
