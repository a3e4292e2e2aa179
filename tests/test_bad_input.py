"""Every bad input gets an error that names the parameter, what came and what is allowed."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.estimator import validation

X, y = load_iris(return_X_y=True)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (0, r"'hidden_layer_sizes' parameter .* must be an array-like or an int.*Got 0"),
        (-3, r"'hidden_layer_sizes' .* Got -3"),
        (2.5, r"'hidden_layer_sizes' .* Got 2.5"),
        ("8", r"'hidden_layer_sizes' .* Got '8'"),
        (None, r"'hidden_layer_sizes' .* Got None"),
        (np.array(None), r"hidden_layer_sizes must be > 0, got None\. Allowed"),
        (np.array("8"), r"hidden_layer_sizes must be > 0, got '8'"),
        ((8, 0), r"hidden_layer_sizes must be > 0, got \(8, 0\).*at least 1, or a sequence"),
        ((8, -1), r"hidden_layer_sizes must be > 0, got \(8, -1\)"),
        ((8, 2.0), r"hidden_layer_sizes must be > 0, got \(8, 2.0\)"),
        ((8, np.nan), r"hidden_layer_sizes must be > 0, got \(8, nan\)"),
        (((8, 4),), r"hidden_layer_sizes must be > 0, got \(\(8, 4\),\)"),
        ((8, True), r"hidden_layer_sizes must be > 0, got \(8, True\)"),
        (np.ones((2, 2), dtype=int), r"hidden_layer_sizes must be > 0, got \[\[1, 1\], \[1, 1\]\]"),
        (np.array(2.5), r"hidden_layer_sizes must be > 0, got 2.5|must be an array-like or an int"),
    ],
    ids=repr,
)
def test_hidden_layer_sizes(sizes, message):
    with pytest.raises(ValueError, match=message):
        ScratchMLPClassifier(sizes).fit(X, y)


#: In any order.
BATCH_SIZES = "{('auto', 'at_most_200'|'at_most_200', 'auto')}"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("learning_rate_init", 0, r"in the range \(0"),
        ("learning_rate_init", -1e-3, r"in the range \(0"),
        ("learning_rate_init", np.nan, r"in the range \(0"),
        ("learning_rate_init", "fast", r"'auto'.* in the range \(0"),
        ("alpha", -1, r"in the range \[0"),
        ("weight_decay", -0.1, r"in the range \[0"),
        ("weight_decay", "much", "a str among {'auto'} or a float"),
        ("input_dropout", 1.0, r"in the range \[0"),
        ("input_dropout", -0.1, r"in the range \[0"),
        ("input_dropout", "much", "a str among {'auto'} or a float"),
        ("scale_features", "yes", "bool"),
        ("class_weight", "even", "'balanced'"),
        ("scoring", "brier", "a str among {.*'neg_log_loss'.*}, a callable or None"),
        ("batch_size", 0, rf"a str among {BATCH_SIZES} or an int in the range \[1"),
        ("batch_size", 2.5, rf"a str among {BATCH_SIZES} or an int"),
        ("batch_size", "at_most_100", rf"a str among {BATCH_SIZES} or an int"),
        ("max_iter", 0, "a str among {'auto'} or an int"),
        ("max_iter", "long", "a str among {'auto'} or an int"),
        ("activation", "sigmoid", "logistic"),
        ("solver", "newton", "lbfgs"),
        ("loss", "hinge", "squared_error"),
        ("init", "zeros", "glorot"),
        ("learning_rate", "linear", "cosine"),
        ("dtype", "float16", "float32"),
        ("momentum", 1.1, r"\[0\.0, 1\.0\]"),
        ("beta_1", 1.0, r"\[0\.0, 1\.0\)"),
        ("beta_2", -0.1, r"\[0\.0, 1\.0\)"),
        ("epsilon", 0.0, r"in the range \(0"),
        ("tol", -1e-9, r"in the range \[0"),
        ("n_iter_no_change", 0, "an int in the range"),
        ("validation_fraction", 1.0, r"\[0\.0, 1\.0\)"),
        ("shuffle", "yes", "bool"),
        ("early_stopping", "maybe", "bool.*'auto'"),
        ("random_state", -1, "random_state|RandomState"),
    ],
)
def test_parameters(name, value, allowed):
    with pytest.raises(ValueError, match=rf"'{name}' parameter .*{allowed}.* Got {value!r}"):
        ScratchMLPClassifier(**{name: value}).fit(X, y)


@pytest.mark.parametrize(
    ("fraction", "message"),
    [
        (0.0, r"validation set is too small.*validation_fraction=0\.0 leaves 0 of 150 rows"),
        (
            0.999,
            r"training set is empty: validation_fraction=0\.999 sets all of the 150 rows aside",
        ),
        (0.005, r"validation set is too small.*validation_fraction=0\.005 leaves 1 of 150 rows"),
    ],
)
def test_validation_fraction_that_leaves_too_little(fraction, message):
    clf = ScratchMLPClassifier(early_stopping=True, validation_fraction=fraction)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y)


def test_batch_size_larger_than_the_data_is_clipped_with_a_warning():
    clf = ScratchMLPClassifier(batch_size=500, random_state=0)
    with pytest.warns(UserWarning, match=r"`batch_size`=500, larger than the 150.*clipped to 150"):
        clf.fit(X, y)
    same = ScratchMLPClassifier(batch_size=150, random_state=0).fit(X, y)
    assert_array_equal(clf.coefs_[0], same.coefs_[0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(150), r"y has one class only, \[0\.0\]. A classifier needs at least two"),
        (np.full(150, "a"), r"y has one class only, \['a'\]"),
        (X[:, 0], "Unknown label type: continuous"),
        (np.where(y == 0, np.nan, y), "Input y contains NaN"),
        (np.column_stack([y, y]), "more than two classes each.*MultiOutputClassifier"),
        (y[:149], r"inconsistent numbers of samples: \[150, 149\]"),
        (None, "requires y to be passed"),
    ],
    ids=["one", "one str", "continuous", "nan", "multioutput", "length", "none"],
)
def test_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        ScratchMLPClassifier().fit(X, labels)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.where(X > 5, np.inf, X), "Input X contains infinity"),
        (X[:0], "0 sample"),
        (X[:, :0], r"0 feature\(s\)"),
        (X[:, 0], r"Expected 2D array, got 1D array.*of shape \(150,\).*Reshape your data"),
        (X[:, 0].tolist(), r"Expected 2D array, got 1D array instead: X is a list"),
        (X.astype(complex), "Complex data not supported"),
    ],
    ids=["inf", "no rows", "no columns", "1d", "list", "complex"],
)
def test_inputs(inputs, message):
    with pytest.raises(ValueError, match=message):
        ScratchMLPClassifier().fit(inputs, y[: len(inputs)])
    clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=message):
        clf.predict(inputs)


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ({"a": [1.0, 2.0]}, "of type dict"),
        ([{"a": 1.0}, {"a": 2.0}], "a list of dict"),
        (({1.0}, {2.0}), "a list of set"),
        ("table.csv", "of type str"),
        (Path("table.csv"), "of type .*Path"),
        (map(list, X), "of type map"),
        (csv.reader(["1,2"]), "of type reader"),
        ({1.0, 2.0}, "of type set"),
        (3, "of type int"),
        (None, "of type NoneType"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
@pytest.mark.parametrize("columns", ["numbers", "words"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_no_table(table, what, columns):
    known = X[:2] if columns == "numbers" else [["a", 1.0], ["b", 2.0]]
    clf = ScratchMLPClassifier(max_iter=5, random_state=0).fit(known, [0, 1])
    for act in (lambda: ScratchMLPClassifier().fit(table, y), lambda: clf.predict(table)):
        with pytest.raises(TypeError, match=f"X is {what}, which is no table. Give a data frame"):
            act()


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.where(y == 0, -0.5, 1), r"sample_weight must not be negative.*-0\.5"),
        (np.zeros(150), "sample_weight is zero for every row"),
        (np.ones(149), r"sample_weight.shape == \(149,\), expected \(150,\)"),
        (np.ones((150, 2)), "Sample weights must be 1D"),
        (np.where(y == 0, np.nan, 1), "contains NaN"),
        (np.full(150, 1e308), "sum of sample_weight is too large"),
    ],
    ids=["negative", "zero", "length", "2d", "nan", "huge"],
)
def test_sample_weight(weight, message):
    with np.errstate(over="ignore"), pytest.raises(ValueError, match=message):
        ScratchMLPClassifier().fit(X, y, sample_weight=weight)


def test_other_features_at_predict():
    clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4 features"):
        clf.predict(X[:, :3])


def test_values_whose_sum_overflows_are_no_bad_input():
    clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    huge = np.full((5, 4), 1e307)
    with np.errstate(over="ignore"):
        assert np.isinf(huge.sum())
    assert clf.predict(huge).shape == (5,)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_that_overflows_names_the_epoch_and_the_rate(dtype):
    X, y = load_breast_cancer(return_X_y=True)
    clf = ScratchMLPClassifier(
        activation="relu", solver="sgd", loss="log_loss", learning_rate_init=1e6, random_state=0
    )
    message = r"Training overflowed in epoch \d+ with learning_rate_init=1000000\.0.*Lower"
    with pytest.raises(ValueError, match=message):
        clf.fit(scale(X).astype(dtype), y)
    assert not hasattr(clf, "coefs_")


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_training_that_cannot_overflow_but_learns_nothing_says_so(solver):
    # The squared error of probabilities is bounded: units saturate, and all gradients vanish.
    clf = ScratchMLPClassifier(
        loss="squared_error", solver=solver, learning_rate_init=1e6, random_state=0
    )
    message = (
        r"no better than chance: .* over the 0\.667 of .* learning_rate_init=1000000\.0 \(lower it"
    )
    with pytest.warns(ConvergenceWarning, match=message):
        clf.fit(scale(X), y)


@pytest.mark.parametrize(
    "fail",
    [
        lambda clf: clf.set_params(alpha=-1).fit(X, y),
        lambda clf: clf.fit(X[:, :3], np.zeros(150)),
        lambda clf: clf.fit(np.full_like(X, np.inf), y),
        lambda clf: clf.fit(X[:, :3], y, sample_weight=-np.ones(150)),
        lambda clf: clf.set_params(
            activation="relu", solver="sgd", learning_rate_init=1e6, loss="log_loss"
        ).fit(X[:, :2], y),
        lambda clf: clf.partial_fit(X, np.arange(150)),
        lambda clf: clf.set_params(warm_start=True).fit(X, y == 1),
        lambda clf: clf.set_params(warm_start=True, hidden_layer_sizes=(3,)).fit(X, y),
    ],
)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(fail):
    clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    before, predicted = dict(vars(clf)), clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"\w"):
        fail(clf)
    fitted = {name for name in before if name.endswith("_")}
    assert {name for name in vars(clf) if name.endswith("_")} == fitted
    clf.set_params(activation=ScratchMLPClassifier().activation)
    assert_array_equal(clf.predict_proba(X), predicted)


def test_going_on_with_another_shape_says_what_differs():
    clf = ScratchMLPClassifier((8,), warm_start=True, random_state=0).fit(X, y)
    message = r"layers of \(4, 8, 3\) units, but hidden_layer_sizes=\(5,\) .*ask for \(4, 5, 3\)"
    with pytest.raises(ValueError, match=message):
        clf.set_params(hidden_layer_sizes=(5,)).fit(X, y)
    with pytest.raises(ValueError, match=message):
        clf.partial_fit(X, y)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("at", range(7))
def test_an_infinite_value_is_found_in_any_block(monkeypatch, at, order):
    monkeypatch.setattr(validation, "AT_ONCE", 4)  # two rows, or half a column
    X = np.asarray(np.random.RandomState(0).normal(size=(7, 2)), order=order)
    clf = ScratchMLPClassifier(4, random_state=0).fit(X, X[:, 0] > 0)
    assert clf.predict_proba(X).shape == (7, 2)
    X[at, 1] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        clf.predict_proba(X)


@pytest.mark.parametrize("order", ["C", "F"])
def test_blocks_follow_the_order_of_X_in_memory(monkeypatch, order):
    monkeypatch.setattr(validation, "AT_ONCE", 90)
    X = np.ones((4, 60) if order == "C" else (60, 4), order=order)
    numbers = []

    def noting(work, n):
        numbers.append(n)
        for i in range(n):
            work(i)

    monkeypatch.setattr(validation, "in_blocks", noting)
    assert validation._sum(X) == X.size
    assert numbers == [4]  # a row or a column each, as two are more than 90 values
