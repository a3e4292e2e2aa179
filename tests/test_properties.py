"""Whatever comes: it works, or an error says why it does not.

Parameters, tables, targets and weights are those of ``strategies.py``. Warnings other than those
for users are errors, as everywhere in these tests. ``docs/development/contributing.md`` tells how
to draw more examples than the usual run does.
"""

import ast
import copy
import datetime
import functools
import inspect
import math
import pickle
import traceback
import warnings
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import sklearn
import strategies
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, issparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer_names

import sknn_scratch
from sknn_scratch import (
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)
from sknn_scratch._compat import InvalidParameterError

ESTIMATORS = [ScratchMLPClassifier, ScratchMLPRegressor, ScratchMLPEnsembleClassifier]
estimators = pytest.mark.parametrize("estimator", ESTIMATORS)


def fewer(times, **others):
    """Draw so many times fewer examples than the profile says."""
    return settings(max_examples=max(1, settings().max_examples // times), **others)


# ---------------------------------------------------------------- what counts as right

HERE, THERE = (Path(package.__file__).parent for package in (sknn_scratch, sklearn))


@functools.cache
def lines_that_raise(path):
    """Return the lines of a module that are in a raise statement."""
    tree = ast.parse(Path(path).read_text())
    raising = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return {line for node in raising for line in range(node.lineno, node.end_lineno + 1)}


def is_said(error):
    """Tell whether an error was raised on purpose: here, or by a check of scikit-learn."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if HERE in Path(frame.filename).parents or THERE in Path(frame.filename).parents
    ]
    last = frames[-1]
    return THERE in Path(last.filename).parents or last.lineno in lines_that_raise(last.filename)


def attempt(call, *args, **kwargs):
    """Call; return whether it worked, and its result or the error, which has to be a good one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)
        try:
            return True, call(*args, **kwargs)
        except (ValueError, TypeError) as error:
            assert str(error).strip()
            if not is_said(error):
                raise AssertionError("an error that nobody raised on purpose") from error
            return False, error


def same(a, b):
    """Tell whether two containers hold the same."""
    if a is None or isinstance(a, list | tuple | pd.RangeIndex):
        return repr(a) == repr(b)
    if issparse(a):
        a, b = a.tocoo(), b.tocoo()
        return a.shape == b.shape and same(a.data, b.data) and all(map(same, a.coords, b.coords))
    if isinstance(a, np.ndarray) and a.dtype != object:
        return a.dtype == b.dtype and np.asarray(a).tobytes() == np.asarray(b).tobytes()
    if isinstance(a, pa.Table | pa.Array):
        return a.equals(b) or repr(a.to_pylist()) == repr(b.to_pylist())  # NaN is not NaN there
    return repr(a) == repr(b) and str(getattr(a, "dtypes", "")) == str(getattr(b, "dtypes", ""))


def check_answers(model, X, n):
    """Check all that a fitted model answers about a table that it takes."""
    worked, predicted = attempt(model.predict, X)
    if not worked:
        return False
    assert len(predicted) == n
    if is_classifier(model):
        p, log_p = attempt(model.predict_proba, X)[1], attempt(model.predict_log_proba, X)[1]
        assert p.shape == log_p.shape == (n, len(model.classes_))
        assert ((p >= 0) & (p <= 1)).all()
        assert np.isfinite(log_p).all()
        assert_allclose(np.exp(log_p), p, atol=1e-5)
        if predicted.ndim == 1:
            assert_allclose(p.sum(axis=1), 1, rtol=0, atol=1e-6)
            chosen = np.searchsorted(model.classes_, predicted)
            assert_array_equal(model.classes_[chosen], predicted)
            assert (p[np.arange(n), chosen] >= p.max(axis=1) - 1e-6).all()
        else:
            assert predicted.shape == p.shape
            codes = getattr(model, "networks_", [model])[0]._task.codes
            assert_array_equal(predicted, np.where(p > 0.5, *codes[::-1]))
    else:
        assert predicted.dtype.kind == "f"
        assert np.isfinite(predicted).all()
    if hasattr(model, "hidden_activations"):
        check_hidden(model, X, n)
    return True


def check_hidden(model, X, n):
    """Check the activations of the hidden units."""
    worked, hidden = attempt(model.hidden_activations, X)
    assert not worked or all(len(part) == n and np.isfinite(part).all() for part in hidden)


def check_parameters(model):
    """Check the parameters of the fitted network or networks."""
    for network in getattr(model, "networks_", [model]):
        assert all(np.isfinite(part).all() for part in network.coefs_ + network.intercepts_)
        assert len(network.input_names_) == len(network.coefs_[0])
        assert np.isfinite(network.loss_) and network.n_iter_ >= 0


def targets_for(estimator, n):
    return strategies.labels(n) if is_classifier(estimator()) else strategies.targets(n)


# ---------------------------------------------------------------- a fit


@fewer(2)
@estimators
@given(data=st.data())
def test_any_fit(estimator, data):
    """Any parameters, tables, targets, weights, validation rows."""
    parameters = data.draw(strategies.parameters(estimator), "parameters")
    X = data.draw(strategies.tables(), "X")
    n = strategies.n_rows(X)
    y = data.draw(targets_for(estimator, n), "y")
    given = {"sample_weight": data.draw(strategies.row_weights(n), "weights")}
    if data.draw(st.integers(0, 3), "own validation rows") == 0:
        X_val = data.draw(st.one_of(st.just(X), strategies.tables()), "X_val")
        n_val = strategies.n_rows(X_val)
        given["X_val"] = X_val
        given["y_val"] = y if X_val is X else data.draw(targets_for(estimator, n_val), "y_val")
    before = copy.deepcopy((X, y, given))
    model = estimator(**parameters)
    worked, _ = attempt(model.fit, X, y, **given)
    event("fitted" if worked else "refused")
    assert same(X, before[0]) and same(y, before[1])
    assert all(same(given[name], before[2][name]) for name in given)
    assert all(getattr(model, name) is value for name, value in parameters.items())
    if not worked:
        assert_not_fitted(model, X)
        return
    check_parameters(model)
    assert check_answers(model, X, n)
    other = data.draw(strategies.tables(), "another X")
    check_answers(model, other, strategies.n_rows(other))


def assert_not_fitted(model, X):
    assert not [name for name in vars(model) if name.endswith("_")]
    with pytest.raises(NotFittedError, match=r"not fitted|no attribute"):
        model.predict(X)


# ---------------------------------------------------------------- the same numbers, laid out anew

EXACT = {"hidden_layer_sizes": (3,), "max_iter": 3, "random_state": 0, "dtype": "float64"}
PLACES = [*strategies.LAYOUTS, *strategies.SPARSE]


@fewer(4)
@estimators
@given(data=st.data())
def test_layout_makes_no_difference(estimator, data):
    """The same numbers give the same network and predictions, whatever they come in."""
    n = data.draw(st.integers(4, 12))
    kinds = ["eighths", "zeros and ones", "gaps", "steps far out", "constant", "any"]
    columns = [data.draw(strategies.numbers(n, kinds)) for _ in range(data.draw(st.integers(1, 3)))]
    A = np.column_stack(columns)
    places = PLACES
    # Gaps cannot be sparse, and of a sparse X an ensemble has other views.
    if estimator is ScratchMLPEnsembleClassifier or not np.isfinite(A).all():
        places = [place for place in PLACES if "sparse" not in place]
    first, second = data.draw(st.sampled_from(places)), data.draw(st.sampled_from(places))
    y = np.arange(n) % 2
    plain, other = estimator(**EXACT), estimator(**EXACT)
    layouts = strategies.LAYOUTS | strategies.SPARSE
    worked, _ = attempt(plain.fit, A, y)
    also, _ = attempt(other.fit, layouts[first](A), y)
    assert worked == also
    assume(worked)
    expected = plain.predict_proba(A) if is_classifier(plain) else plain.predict(A)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
        X = layouts[second](A)
        if hasattr(X, "columns") and hasattr(other, "feature_names_in_"):
            X = layouts[first](A)
        found = other.predict_proba(X) if is_classifier(other) else other.predict(X)
    assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------- invalid values


def number(least, most=math.inf, *, ends=(True, True), whole=False):
    """Tell which values are numbers between two ends, which may belong to them."""

    def allows(value):
        if not isinstance(value, Integral if whole else Real):
            return False
        above = value >= least if ends[0] else value > least
        below = value <= most if ends[1] and most < math.inf else value < most
        return bool(above and below)

    return allows


def one_of(*values):
    """Tell which values are among these, and of the same type."""
    return lambda value: any(type(value) is type(each) and value == each for each in values)


def either(*rules):
    return lambda value: any(rule(value) for rule in rules)


def is_bool(value):
    return isinstance(value, bool | np.bool_)


def is_list(value):
    return isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1


WHOLE = number(1, whole=True)
NOT_NEGATIVE, POSITIVE = number(0), number(0, ends=(False, False))
FRACTION = number(0, 1, ends=(True, False))
AUTO = one_of("auto")

#: What the docstrings allow, written down again.
ALLOWED = {
    "n_networks": WHOLE,
    "hidden_layer_sizes": lambda value: (
        WHOLE(value)
        or (is_list(value) and all(WHOLE(size) and not is_bool(size) for size in value))
    ),
    "activation": one_of("identity", "logistic", "tanh", "relu"),
    "init": one_of("scaled", "glorot"),
    "dtype": either(
        one_of(None, "auto", "float32", "float64", np.float32, np.float64),
        lambda value: isinstance(value, np.dtype) and value in ("float32", "float64"),
    ),
    "categorical_features": either(one_of("from_dtype", None), is_list),
    "numerical_encoding": one_of("piecewise_linear", None),
    "n_bins": number(2, whole=True),
    "scale_features": is_bool,
    "scale_targets": is_bool,
    "loss": one_of(
        *("squared_error", "log_loss", "guarded_squared_error"),
        *("huber", "absolute_error", "poisson"),
    ),
    "class_weight": either(one_of("balanced", None), lambda value: isinstance(value, dict | list)),
    "alpha": NOT_NEGATIVE,
    "weight_decay": either(AUTO, NOT_NEGATIVE),
    "input_dropout": either(AUTO, FRACTION),
    "solver": one_of("lbfgs", "sgd", "adam"),
    "batch_size": either(one_of("auto", "at_most_200"), WHOLE),
    "shuffle": is_bool,
    "learning_rate": one_of("constant", "invscaling", "adaptive", "cosine"),
    "learning_rate_init": either(AUTO, POSITIVE),
    "power_t": NOT_NEGATIVE,
    "momentum": number(0, 1),
    "nesterovs_momentum": is_bool,
    "beta_1": FRACTION,
    "beta_2": FRACTION,
    "epsilon": POSITIVE,
    "max_fun": WHOLE,
    "max_iter": either(AUTO, WHOLE),
    "tol": NOT_NEGATIVE,
    "n_iter_no_change": either(WHOLE, lambda value: isinstance(value, Real) and value == math.inf),
    "early_stopping": either(AUTO, is_bool),
    "validation_fraction": FRACTION,
    "scoring": either(one_of(None, "loss", *get_scorer_names()), callable),
    "warm_start": is_bool,
    "random_state": either(
        lambda value: value is None or isinstance(value, np.random.RandomState),
        number(0, 2**32 - 1, whole=True),
    ),
    "verbose": either(is_bool, number(0, whole=True)),
}

ANYTHING = st.one_of(
    st.floats(),
    st.integers(),
    st.text(max_size=4),
    st.binary(max_size=2),
    st.complex_numbers(),
    st.lists(st.one_of(st.integers(-2, 2), st.floats(), st.text(max_size=1)), max_size=3),
    st.sampled_from(
        [
            *(None, True, False, np.True_, -1, 0, 1, 2, 0.5, 1.0, 1.5, -0.0, math.inf, -math.inf),
            *(math.nan, np.float32(-1), np.int8(-1), np.float16(0.5), Decimal(1), 2**64, -(2**64)),
            *("auto", "Auto", "none", "mean", "float16", "float128", "f4", "at_most_100", b"adam"),
            *(np.float16, float, int, np.dtype("float16"), np.dtype(">f8"), object, object()),
            *({}, {1}, (), [], [[1]], [None], ["a"], (2, 0), np.array(3.5), np.array([1.5])),
            *(np.random.default_rng(0), datetime.date(2020, 1, 1), pd.NA, pd.NaT, slice(None)),
        ]
    ),
)


def names_of(estimator):
    return [*inspect.signature(estimator).parameters]


@fewer(10)
@pytest.mark.parametrize(
    ("estimator", "name"),
    [(estimator, name) for estimator in ESTIMATORS for name in names_of(estimator)],
)
@given(value=ANYTHING)
def test_invalid_parameters(estimator, name, value):
    """Any invalid value of a parameter is an error that names it."""
    with np.errstate(all="ignore"):
        assume(not ALLOWED[name](value))
    model = estimator(**{"hidden_layer_sizes": (2,), "max_iter": 1, name: value})
    with pytest.raises(InvalidParameterError, match=rf"\b{name}\b"):
        model.fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
    assert not [attribute for attribute in vars(model) if attribute.endswith("_")]


# ---------------------------------------------------------------- any life of an estimator


class Life(RuleBasedStateMachine):
    """Trainings of all kinds, changes, copies and predictions, in any order."""

    estimator = None

    @initialize(data=st.data())
    def begin(self, data):
        self.model = self.estimator(**data.draw(strategies.parameters(self.estimator)))
        n = data.draw(st.integers(6, 12))
        A = np.random.RandomState(0).normal(size=(n, 2))
        self.home = data.draw(st.sampled_from([*strategies.LAYOUTS.values()]))(A), np.arange(n) % 2
        self.known = None  # a table, and what the model predicts for it

    def _rows(self, data):
        """Draw rows; often those that came before, so that training can go on from training."""
        if data.draw(st.integers(0, 2)):
            return self.home
        X = data.draw(strategies.tables())
        return X, data.draw(targets_for(self.estimator, strategies.n_rows(X)))

    def _train(self, data, method, **given):
        X, y = self._rows(data)
        if data.draw(st.integers(0, 3)) == 0:
            given["sample_weight"] = data.draw(strategies.row_weights(strategies.n_rows(X)))
        before = dict(vars(self.model))
        worked, _ = attempt(getattr(self.model, method), X, y, **given)
        event(f"{method} {'worked' if worked else 'failed'}")
        if not worked:
            after = vars(self.model)
            assert after.keys() == before.keys()
            assert all(after[name] is before[name] for name in before)
            return
        check_parameters(self.model)
        answers = check_answers(self.model, X, strategies.n_rows(X))
        self.known = X, self._answer(X) if answers else None

    def _answer(self, X):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            if is_classifier(self.model):
                return self.model.predict_proba(X)
            return self.model.predict(X)

    @rule(data=st.data())
    def fit(self, data):
        self._train(data, "fit")

    @precondition(lambda self: hasattr(self.model, "partial_fit"))
    @rule(data=st.data())
    def partial_fit(self, data):
        given = {}
        if is_classifier(self.model):
            classes = [None, [0, 1], [0, 1], [0, 1], [0, 1, 2], ["a", "b"], [1], []]
            given["classes"] = data.draw(st.sampled_from(classes))
        self._train(data, "partial_fit", **given)

    @precondition(lambda self: "warm_start" in self.model.get_params())
    @rule(data=st.data())
    def warm_fit(self, data):
        self.model.set_params(warm_start=True)
        self._train(data, "fit")

    @rule(data=st.data())
    def set_params(self, data):
        name = data.draw(st.sampled_from(sorted(self.estimator._parameter_constraints)))
        value = data.draw(strategies.values_of(self.estimator, name))
        if data.draw(st.integers(0, 2)) == 0:
            value = data.draw(ANYTHING)
            with np.errstate(all="ignore"):
                assume(not ALLOWED[name](value))  # such as a million epochs
        self.model.set_params(**{name: value})

    @rule(keeps=st.booleans())
    def clone(self, keeps):
        other = clone(self.model)
        with pytest.raises(NotFittedError, match="not fitted"):
            other.predict([[0.0]])
        if not keeps:
            self.model, self.known = other, None

    @rule(how=st.sampled_from([lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy]))
    def copy(self, how):
        self.model = how(self.model)

    @rule(data=st.data())
    def predict(self, data):
        X = data.draw(strategies.tables())
        if self.known is None:
            with pytest.raises(NotFittedError, match="not fitted"):
                self.model.predict(X)
        else:
            check_answers(self.model, X, strategies.n_rows(X))

    @invariant()
    def answers_stay(self):
        """Nothing but training changes what a model predicts."""
        known = getattr(self, "known", None)
        if known is not None and known[1] is not None:
            assert_array_equal(self._answer(self.known[0]), self.known[1])


for estimator_ in ESTIMATORS:
    name_ = f"TestLifeOf{estimator_.__name__}"
    machine_ = type(name_, (Life,), {"estimator": estimator_})
    machine_.TestCase.settings = fewer(10, stateful_step_count=12)
    globals()[name_] = machine_.TestCase


# ---------------------------------------------------------------- what was found so

unfinished = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@unfinished
@pytest.mark.parametrize("settings", [{}, {"numerical_encoding": "piecewise_linear"}])
def test_sparse_rows_for_a_network_that_was_fitted_to_dense_ones(settings):
    A = np.random.RandomState(0).randint(0, 3, size=(30, 3)) * 1.0
    with_gaps = A.copy()
    with_gaps[::4, 1] = np.nan
    for network in (ScratchMLPClassifier, ScratchMLPEnsembleClassifier):
        own = settings if network is ScratchMLPClassifier else {}
        for table in (A, with_gaps):
            model = network(hidden_layer_sizes=(4,), max_iter=3, random_state=0, **own).fit(
                table, A[:, 0] > 1
            )
            expected = model.predict_proba(A)
            for make in strategies.SPARSE.values():
                assert_allclose(model.predict_proba(make(A)), expected, atol=1e-9)


@unfinished
def test_sparse_rows_for_a_network_that_was_fitted_to_objects():
    A = np.arange(12.0).reshape(6, 2)
    model = ScratchMLPClassifier((4,), max_iter=3, random_state=0).fit(
        A.astype(object), A[:, 0] > 5
    )
    assert_allclose(model.predict_proba(csr_array(A)), model.predict_proba(A), atol=1e-9)


@unfinished
@estimators
def test_infinity_of_both_signs(estimator):
    for infinite in ([[math.inf], [-math.inf]], csr_array([[math.inf], [-math.inf]])):
        with pytest.raises(ValueError, match="X contains infinity"):
            estimator().fit(infinite, [0, 1])
        model = estimator(hidden_layer_sizes=(2,), max_iter=1).fit([[0.0], [1.0]], [0, 1])
        with pytest.raises(ValueError, match="X contains infinity"):
            model.predict(infinite)
    with pytest.raises(ValueError, match="infinity"):
        estimator().fit([[0.0], [1.0]], [0, 1], sample_weight=[math.inf, -math.inf])


def test_infinite_targets_of_both_signs():
    with pytest.raises(ValueError, match="y contains infinity"):
        ScratchMLPRegressor().fit([[0.0], [1.0]], [math.inf, -math.inf])


@unfinished
@estimators
def test_weights_that_hardly_count(estimator):
    A = np.column_stack([np.arange(12.0), np.arange(12) % 2, np.full(12, 3.0)])
    weight = np.where(np.arange(12) < 2, 1e299, 1e-300)
    with np.errstate(all="raise", under="ignore"):
        model = estimator(hidden_layer_sizes=(3,), max_iter=3, random_state=0)
        model.fit(A, np.arange(12) % 2, sample_weight=weight)
        check_parameters(model)
        assert check_answers(model, A, 12)


@estimators
@pytest.mark.parametrize("chosen", ["from_dtype", [0], None])
def test_rows_of_different_lengths(estimator, chosen):
    with pytest.raises(ValueError, match=r"inhomogeneous|array with a sequence"):
        estimator(categorical_features=chosen).fit([[1, [2]], [3, 4]], [0, 1])


@pytest.mark.parametrize(
    ("name", "value"), [("learning_rate_init", -1.0), ("beta_1", 1j), ("momentum", "a")]
)
@pytest.mark.parametrize("estimator", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_invalid_parameters_between_calls_of_partial_fit(estimator, name, value):
    classes = {"classes": [0, 1]} if is_classifier(estimator()) else {}
    model = estimator((2,)).partial_fit([[0.0], [1.0]], [0, 1], **classes)
    model.set_params(**{name: value})
    with pytest.raises(InvalidParameterError, match=f"'{name}'"):
        model.partial_fit([[0.0], [1.0]], [0, 1])


@unfinished
def test_rows_of_different_lengths_for_a_network_with_words():
    model = ScratchMLPRegressor((2,), max_iter=1).fit([["a", 1], ["b", 2]], [0, 1])
    with pytest.raises(ValueError, match="X has rows of different lengths"):
        model.predict([["a", 1], ["b", [2, 3]], [["a"], 1]])


@estimators
def test_no_targets(estimator):
    for y in (np.array([], dtype=object), [], np.empty((0, 2), dtype=object)):
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples|0 sample\(s\)"):
            estimator().fit([[0.0], [1.0]], y)


def test_no_rows_to_validate_by():
    for labels in ([0, 1, 0, 1, 0], [0, 1, 2, 0, 1]):
        model = ScratchMLPClassifier(early_stopping=True, validation_fraction=0.0)
        with pytest.raises(ValueError, match="validation set is too small"):
            model.fit(np.zeros((5, 1)), labels)


@pytest.mark.parametrize("weight", ["a", None, -1, math.nan, math.inf, 1j])
@pytest.mark.parametrize("estimator", [ScratchMLPClassifier, ScratchMLPEnsembleClassifier])
def test_weights_of_classes(estimator, weight):
    for weights, y in (({0: weight}, [0, 1]), ([{0: weight}, {}], [[0, 1], [1, 0]])):
        with pytest.raises(InvalidParameterError, match="class_weight must not be negative or NaN"):
            estimator(class_weight=weights).fit([[0.0], [1.0]], y)


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss"])
def test_a_scorer_of_another_kind_of_model(scoring):
    model = ScratchMLPRegressor((2,), early_stopping=True, scoring=scoring, max_iter=2)
    A, y = np.arange(40.0)[:, None], np.arange(40) % 2
    with pytest.raises(ValueError, match=f"scoring='{scoring}' .*Choose another scorer"):
        model.fit(A, y)
