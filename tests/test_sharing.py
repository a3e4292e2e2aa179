"""Fits of a stacked search share what they make of the same table, and never of another."""

import copy
import gc
import threading
import warnings
import weakref
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.exceptions import DataConversionWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sknn_scratch import (
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)
from sknn_scratch.estimator import validation
from sknn_scratch.parallel.sharing import Sharing

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

in_this_process = partial(parallel_config, "stacked", n_jobs=1)


@pytest.fixture
def seen(monkeypatch):
    """What networks have seen so far, one for each table that was encoded."""
    found, see = [], validation.see

    def see_and_note(*given):
        found.append(see(*given))
        return found[-1]

    monkeypatch.setattr(validation, "see", see_and_note)
    return found


def words(n=60, seed=0):
    """A table with words and gaps, and labels."""
    rng = np.random.RandomState(seed)
    X = pd.DataFrame({"number": rng.normal(size=n), "whole": rng.randint(9, size=n)})
    X["word"] = [f"level {k}" for k in rng.randint(4, size=n)]
    X["category"] = pd.Categorical([f"kind {k}" for k in rng.randint(3, size=n)])
    y = np.asarray((X["number"] > 0) ^ (X["word"] == "level 1"))
    X.loc[::7, ["number", "word"]] = None
    return X, y


def network(kind=ScratchMLPClassifier, **changes):
    """A network that is fitted quickly."""
    return kind(hidden_layer_sizes=(4,), **({"max_iter": 3, "random_state": 0} | changes))


def parameters_of(net):
    """All that a fitted estimator has learnt, as bytes."""
    nets = getattr(net, "networks_", [net])
    return [[array.tobytes() for array in (*one.coefs_, *one.intercepts_)] for one in nets]


def fit(net, X, y, **more):
    """Fit a clone and predict, as a task does."""
    net = clone(net).fit(X, y, **more)
    return parameters_of(net), net.predict(X).tolist()


def tasks(*fits):
    """What fits come to as tasks of one batch, each of a stack of its own, so alike to the bit."""
    with in_this_process(max_stack=1):
        return Parallel()(delayed(fit)(*each[:3], **dict(*each[3:])) for each in fits)


def rows_of(X):
    """Make the same rows once more, as a fold is made."""
    return X.take(range(len(X))) if hasattr(X, "iloc") else X[np.arange(X.shape[0])]


# ---------------------------------------------------------------- what is the same is shared


@pytest.mark.parametrize("kind", [ScratchMLPClassifier, ScratchMLPRegressor])
@pytest.mark.parametrize("container", ["frame", "objects", "numbers", "sparse"])
def test_fits_to_the_same_rows_share_them_and_are_what_they_are_alone(seen, kind, container):
    X, y = words()
    X = {
        "frame": X,
        "objects": X.to_numpy(dtype=object),
        "numbers": X[["whole", "whole"]].to_numpy(dtype=float),
        "sparse": scipy.sparse.csr_matrix(X[["whole", "whole"]].to_numpy(dtype=float)),
    }[container]
    y = y.astype(float) if kind is ScratchMLPRegressor else y
    nets = [network(kind, alpha=alpha, max_iter=2 + k) for k, alpha in enumerate((0, 0.1, 1))]
    expected = [fit(net, X, y) for net in nets]
    assert len(seen) == 3
    seen.clear()
    assert tasks(*[(net, rows_of(X), y.copy()) for net in nets]) == expected
    assert len(seen) == 1


def test_ensembles_share_both_views(seen):
    X, y = words()
    nets = [network(ScratchMLPEnsembleClassifier, learning_rate_init=r) for r in (0.01, 0.02)]
    expected = [fit(net, X, y) for net in nets]
    seen.clear()
    assert tasks(*[(net, rows_of(X), y.copy()) for net in nets]) == expected
    assert len(seen) == 2


def scores_of(search):
    """Scores of a search."""
    found = search.cv_results_
    return [found[f"split{i}_test_{name}"].tolist() for i in range(3) for name in search.scoring]


@pytest.mark.parametrize("weighted", [False, True])
def test_each_fold_of_a_search_is_encoded_once_to_fit_and_once_to_score(
    seen, monkeypatch, weighted
):
    again, validated_again = [], ScratchMLPClassifier._validated_again.__func__

    def validate_and_note(cls, *given):
        again.append(given)
        return validated_again(cls, *given)

    monkeypatch.setattr(ScratchMLPClassifier, "_validated_again", classmethod(validate_and_note))
    X, y = words(90)
    grid = {"alpha": [0.0, 0.5, 1.0, 2.0]}
    search = GridSearchCV(network(), grid, cv=3, refit=False, scoring=["accuracy", "neg_log_loss"])
    more = {"sample_weight": np.arange(90) % 3 + 1.0} if weighted else {}
    expected = scores_of(clone(search).fit(X, y, **more))
    assert (len(seen), len(again)) == (12, 24)
    seen.clear(), again.clear()
    with in_this_process(max_stack=1):
        assert scores_of(clone(search).fit(X, y, **more)) == expected
    assert (len(seen), len(again)) == (3, 3)


def test_what_a_pipeline_has_transformed_is_shared(seen):
    X, y = words(90)
    X = X[["whole", "number"]].fillna(0.0)
    model = Pipeline([("scale", StandardScaler()), ("net", network())])
    grid = {"net__alpha": [0.0, 1.0], "scale__with_mean": [True, False]}
    search = GridSearchCV(model, grid, cv=3, refit=False, scoring=["accuracy"])
    expected = scores_of(clone(search).fit(X, y))
    seen.clear()
    with in_this_process(max_stack=1):
        assert scores_of(clone(search).fit(X, y)) == expected
    assert len(seen) == 2 * 3


def test_validation_rows_that_metadata_routing_brings_are_shared(seen):
    X, y = words(90)
    held = words(30, seed=1)
    with sklearn.config_context(enable_metadata_routing=True):
        net = network(early_stopping=True).set_fit_request(X_val=True, y_val=True)
        search = GridSearchCV(net, {"alpha": [0.0, 1.0]}, cv=3, refit=False, scoring=["accuracy"])
        more = {"X_val": held[0], "y_val": held[1]}
        expected = scores_of(clone(search).fit(X, y, **more))
        seen.clear()
        with in_this_process(max_stack=1):
            assert scores_of(clone(search).fit(X, y, **more)) == expected
    assert len(seen) == 3
    assert all(each.validation is not None for each in seen)


# ---------------------------------------------------------------- what is not the same is not

X, Y = words()


def changed(change):
    """Return the table after a change to a copy of it."""
    table = X.copy()
    made = change(table)
    return table if made is None else made


def with_cell(column, row, value):
    """Change one cell."""

    def change(table):
        table.loc[row, column] = value

    return change


NEAR_MISSES = {
    "a number, by one bit": with_cell("number", 1, np.nextafter(X.loc[1, "number"], 1)),
    "a word": with_cell("word", 1, "level 0" if X.loc[1, "word"] != "level 0" else "level 2"),
    "a gap": with_cell("word", 1, None),
    "a gap less": with_cell("number", 7, 0.0),
    "another category": with_cell("category", 1, {"kind 0": "kind 1"}.get(X.category[1], "kind 0")),
    "rows in another order": lambda table: table.iloc[::-1].reset_index(drop=True),
    "columns in another order": lambda table: table[table.columns[::-1]],
    "the name of a column": lambda table: table.rename(columns={"word": "world"}),
    "a row less": lambda table: table[:-1],
    "the type of a column": lambda table: table.astype({"whole": np.float32}),
    "words as categories": lambda table: table.astype({"word": "category"}),
    "words as strings": lambda table: table.astype({"word": "string"}),
    "a level that no row has": lambda table: table.assign(
        category=table["category"].cat.add_categories("none")
    ),
    "levels in another order": lambda table: table.assign(
        category=table["category"].cat.reorder_categories(["kind 2", "kind 0", "kind 1"])
    ),
    "zero with the other sign": lambda table: table.assign(whole=table["whole"] * -1.0),
    "an array": lambda table: table.to_numpy(dtype=object),
}


@pytest.mark.parametrize("change", NEAR_MISSES.values(), ids=NEAR_MISSES)
def test_a_table_that_differs_a_little_is_another(seen, change):
    other = rows_of(changed(change))
    both = [(network(), table, Y[: len(table)]) for table in (rows_of(X), other)]
    expected = [fit(*each) for each in both]
    seen.clear()
    assert tasks(*both, (network(), rows_of(X), Y)) == [*expected, expected[0]]
    assert len(seen) == 2


NUMBERS = np.random.RandomState(0).normal(size=(40, 3))
LABELS = NUMBERS[:, 0] > 0
FLIPPED = np.where(np.arange(40) == 3, ~LABELS, LABELS)
OTHERS = {
    "labels": (network(), NUMBERS, FLIPPED),
    "labels of another type": (network(), NUMBERS, LABELS.astype(int)),
    "weights": (network(), NUMBERS, LABELS, {"sample_weight": np.arange(40.0) + 1}),
    "weights of one": (network(), NUMBERS, LABELS, {"sample_weight": np.ones(40)}),
    "validation rows": (
        network(early_stopping=True),
        *(NUMBERS, LABELS),
        {"X_val": NUMBERS, "y_val": LABELS},
    ),
    "single precision": (network(), NUMBERS.astype(np.float32), LABELS),
    "class_weight": (network(class_weight="balanced"), NUMBERS, LABELS),
    "dtype": (network(dtype="float32"), NUMBERS, LABELS),
    "scale_features": (network(scale_features=False), NUMBERS, LABELS),
    "numerical_encoding": (network(numerical_encoding="piecewise_linear"), NUMBERS, LABELS),
    "n_bins": (network(n_bins=3), NUMBERS, LABELS),
    "categorical_features": (network(categorical_features=[0]), NUMBERS, LABELS),
    "loss": (network(loss="log_loss"), NUMBERS, LABELS),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_is_given_with_a_table_matters(seen, other):
    first = network(), NUMBERS, LABELS
    expected = [fit(*each[:3], **dict(*each[3:])) for each in (first, other)]
    seen.clear()
    assert tasks(first, other, first, other) == expected * 2
    assert len(seen) == 2


@pytest.mark.parametrize("changes", [{"scale_targets": False}, {"loss": "squared_error"}])
def test_what_decides_how_a_regressor_sees_numbers_matters(seen, changes):
    X, y = load_diabetes(return_X_y=True)
    nets = [network(ScratchMLPRegressor), network(ScratchMLPRegressor, **changes)]
    expected = [fit(net, X, y) for net in nets]
    seen.clear()
    assert tasks(*[(net, X, y) for net in nets]) == expected
    assert len(seen) == 2


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(
        st.sampled_from(
            [0, 1, 2, 0.0, -0.0, 1.0, True, False, "0", "1", "a", "ab", "", None, float("nan")]
        ),
        min_size=8,
        max_size=8,
    ),
    place=st.integers(0, 7),
    value=st.sampled_from([0, 1, 0.0, -0.0, 1.0, True, False, "0", "1", "a", "b", None]),
)
def test_tables_of_objects_are_the_same_only_if_all_cells_are(cells, place, value):
    def table_of(values):
        table = np.empty((4, 2), dtype=object)
        table.ravel()[:] = values
        return table

    once, other = Sharing().once, [*cells[:place], value, *cells[place + 1 :]]
    first, second, third = (once(Cells, table_of(values)) for values in (cells, other, [*cells]))
    assert third is first
    is_same = type(value) is type(cells[place]) and repr(value) == repr(cells[place])
    assert is_same or second is not first
    assert [*map(repr, second.cells)] == [*map(repr, other)]


class Cells:
    """Cells of a table of objects."""

    nbytes = 0

    def __init__(self, table):
        self.cells = [*table.ravel()]


@pytest.mark.parametrize("setting", [{"assume_finite": True}, {"transform_output": "pandas"}])
def test_under_other_settings_of_sklearn_it_is_made_again(seen, setting):
    def task(setting):
        with sklearn.config_context(**setting):
            return fit(network(), NUMBERS, LABELS)

    with in_this_process():
        Parallel()(delayed(task)(each) for each in ({}, setting, {}))
    assert len(seen) == 2


# ---------------------------------------------------------------- each task stands for itself


def test_rows_that_a_task_changes_later_are_not_those_of_others(seen):
    """Others that come later, and share, must not see the change."""

    def task(k):
        X = NUMBERS.copy()
        net = network(scale_features=False, alpha=k).fit(X, LABELS)
        X *= 100  # such as a step that works in place, to score the same rows
        return parameters_of(net)

    expected = [task(k) for k in range(3)]
    seen.clear()
    with in_this_process(max_stack=1):
        assert Parallel()(delayed(task)(k) for k in range(3)) == expected
    assert len(seen) == 1


class Labels(str):
    """Labels that cannot be pickled."""

    def __reduce__(self):
        raise TypeError("on purpose")


@pytest.mark.parametrize("held_out", [False, True], ids=["to learn from", "held out"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    ("settings", "y"),
    [
        ({}, LABELS),
        ({}, np.array([Labels(label) for label in LABELS], dtype=object)),
        ({"early_stopping": True, "scoring": "accuracy"}, LABELS),
        ({"early_stopping": True, "scoring": "accuracy", "warm_start": True}, LABELS),
    ],
    ids=["shared", "not pickled", "scorer", "warm start"],
)
def test_networks_that_wait_do_not_see_what_other_tasks_write(settings, y, scaled, held_out):
    """Such as a step that scales the common X in place."""

    def train(net, X, held):
        net = copy.deepcopy(net).fit(X, y, X_val=held, y_val=y)
        return parameters_of(net), net.validation_scores_

    def write(table):
        table *= -3

    net = network(scale_features=scaled, **settings)
    X, held = NUMBERS.copy(), NUMBERS + 0.5
    if net.warm_start:
        net.fit(X, y)
    expected = train(net, X, held)
    with in_this_process():
        found, _ = Parallel()(
            [delayed(train)(net, X, held), delayed(write)(held if held_out else X)]
        )
    assert found == expected


def test_scorers_and_callbacks_get_rows_of_their_own(seen):
    def scorer(estimator, X, y):
        X *= 0.5  # as it must not
        return float(X.sum())

    def task(k, **more):
        held = {"X_val": NUMBERS.copy(), "y_val": LABELS}
        net = network(early_stopping=True, scoring=scorer, alpha=k).fit(NUMBERS, LABELS, **held)
        return net.validation_scores_

    expected = [task(k) for k in range(2)]
    seen.clear()
    with in_this_process(max_stack=1):
        assert Parallel()(delayed(task)(k) for k in range(2)) == expected
    assert len(seen) == 2


@pytest.mark.parametrize("kind", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_what_a_task_writes_into_fitted_attributes_is_its_own(kind, seen):
    def task():
        net = network(kind).fit(X[["number", "whole"]], Y)
        found = [net.mean_, net.scale_, net.feature_names_in_]
        is_classifier = kind is ScratchMLPClassifier
        found += [net.classes_] if is_classifier else [net.target_mean_, net.target_scale_]
        before = [array.tolist() for array in found]
        for array in found:
            array[:] = array[::-1].copy() if len(array) > 1 else array + 1
        return before

    expected = task()
    seen.clear()
    with in_this_process(max_stack=1):
        assert Parallel()([delayed(task)()] * 3) == [expected] * 3
    assert len(seen) == 1


class Told(ScratchMLPClassifier):
    """A subclass that looks at a parameter when scikit-learn asks what it can do."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.random_state is not None
        return tags


def test_methods_of_a_subclass_may_look_at_any_attribute(seen):
    nets = [network(Told, alpha=alpha) for alpha in (0.0, 1.0)]
    plain = [fit(network(alpha=alpha), X, Y) for alpha in (0.0, 1.0)]
    assert [fit(net, X, Y) for net in nets] == plain
    seen.clear()
    assert tasks(*[(net, X, Y) for net in nets]) == plain
    assert len(seen) == 2
    scoring = {"early_stopping": True, "scoring": "accuracy"}
    assert fit(network(Told, **scoring), X, Y) == fit(network(**scoring), X, Y)


def test_parameters_stay_the_objects_that_were_given():
    weight = {False: 1.0, True: 2.0}

    def task():
        net = network(class_weight=weight).fit(NUMBERS, LABELS)
        return net.class_weight is weight

    with in_this_process():
        assert Parallel()([delayed(task)()] * 2) == [True, True]


def test_a_new_fit_forgets_the_names_of_an_earlier_one(seen):
    def task():
        net = network().fit(X, Y).fit(NUMBERS, LABELS)
        return hasattr(net, "feature_names_in_"), net.n_features_in_, net.predict(NUMBERS).tolist()

    expected = [task()] * 2
    seen.clear()
    with in_this_process(max_stack=1):
        assert Parallel()([delayed(task)()] * 2) == expected
    assert len(seen) == 2


def test_what_fails_fails_in_each_task_as_it_does_alone(seen):
    def task(labels):
        with pytest.raises(ValueError) as caught:
            fit(network(), NUMBERS, labels)
        return str(caught.value)

    labels = np.zeros(40)
    expected = [task(labels)] * 2
    with in_this_process():
        assert Parallel()([delayed(task)(labels)] * 2) == expected
    assert "one class only" in expected[0]


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_a_fold_that_fails_does_not_harm_the_others(seen):
    y = np.where(np.arange(60) < 30, True, Y)
    folds = [(range(30), range(30, 60)), (range(60), range(30)), (range(20, 60), range(30))]
    search = GridSearchCV(
        network(), {"alpha": [0.0, 1.0]}, cv=folds, refit=False, scoring=["accuracy"]
    )
    with pytest.warns(FitFailedWarning, match="2 fits failed"):
        expected = scores_of(clone(search).fit(X, y))
    seen.clear()
    with in_this_process(max_stack=1), pytest.warns(FitFailedWarning, match="2 fits failed"):
        found = scores_of(clone(search).fit(X, y))
    assert_array_equal(found, expected)
    assert np.isnan(found).any(axis=1).tolist() == [True, False, False]
    assert len(seen) == 2


def test_what_warns_does_so_in_each_task(seen):
    def task():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fit(network(), NUMBERS, LABELS[:, None])
        return sum(issubclass(one.category, DataConversionWarning) for one in caught)

    assert task() == 1
    with in_this_process():
        assert Parallel()([delayed(task)()] * 3) == [1, 1, 1]


@pytest.mark.filterwarnings("always")
def test_warnings_of_other_threads_are_heard():
    """Also for good, if one of them begins to catch warnings while something is made."""
    calls, may_end, thread_of = [], threading.Event(), {}

    def catch_for_some_time(is_catching):
        with warnings.catch_warnings():
            warnings.warn("of another thread", stacklevel=1)
            is_catching.set()
            may_end.wait()

    def make(n):
        calls.append(n)
        is_catching = threading.Event()
        thread_of[n] = threading.Thread(target=catch_for_some_time, args=(is_catching,))
        thread_of[n].start()
        is_catching.wait()
        return np.zeros(n)

    with warnings.catch_warnings(record=True) as caught:
        made = Sharing().once(make, 5)
        may_end.set()
        thread_of[5].join()
        warnings.warn("afterwards", stacklevel=1)
    assert [str(one.message) for one in caught] == ["of another thread", "afterwards"]
    assert calls == [5]
    assert made.tolist() == [0.0] * 5


def test_searches_in_several_threads(recwarn):
    """scikit-learn copies the filters of warnings, also those of another thread."""
    search = GridSearchCV(network(), {"alpha": [0.0, 1.0]}, cv=3, refit=False, scoring=["accuracy"])
    expected, found = scores_of(clone(search).fit(X, Y)), []

    def run():
        with in_this_process(max_stack=1):
            for _ in range(4):
                found.append(scores_of(clone(search).fit(X, Y)))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 12


def test_what_cannot_be_pickled_is_not_shared(seen):
    y = np.array([Labels(label) for label in LABELS], dtype=object)
    expected = [fit(network(), NUMBERS, y)] * 2
    seen.clear()
    assert tasks(*[(network(), NUMBERS, y)] * 2) == expected
    assert len(seen) == 2


class Forgetful:
    """A mixin of objects of which only a part is pickled."""

    def __reduce__(self):
        return type(self), (self.part,)


class Rows(Forgetful):
    """A table that loads its rows, as they are now, when it is asked for them."""

    rows = NUMBERS
    part = shape = NUMBERS.shape

    def __init__(self, shape):
        pass

    def __len__(self):
        return len(self.rows)

    def __array__(self, dtype=None, copy=None):
        return np.array(self.rows, dtype=dtype)


class Number(Forgetful, float):
    """A number that is pickled as zero."""

    part = 0.0


class Word(Forgetful, str):
    """A word that is pickled as "a"."""

    part = "a"


def objects(kind, factor):
    return np.array([[kind(f"{factor * x:.0f}"), x] for x in NUMBERS[:, 0]], dtype=object)


@pytest.mark.parametrize("kind", [Rows, Number, Word], ids=["table", "numbers", "words"])
def test_objects_that_are_not_what_is_pickled_are_not_shared(kind, monkeypatch):
    def task(factor):
        if kind is Rows:
            monkeypatch.setattr(Rows, "rows", factor * NUMBERS + factor)
        table = Rows(NUMBERS.shape) if kind is Rows else objects(kind, factor)
        return fit(network(scale_features=False), table, LABELS)

    expected = [task(factor) for factor in (1.0, 4.0)]
    assert expected[0] != expected[1]
    with in_this_process(max_stack=1):
        assert Parallel()(delayed(task)(factor) for factor in (1.0, 4.0)) == expected


def test_large_tables_are_not_shared(seen, monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.sharing.MOST", NUMBERS.nbytes)
    for table in (NUMBERS, NUMBERS.astype(object)):
        seen.clear()
        assert len({*map(str, tasks(*[(network(), table, LABELS)] * 2))}) == 1
        assert len(seen) == 2


# ---------------------------------------------------------------- memory


def test_of_results_that_nobody_has_the_last_are_kept(monkeypatch):
    monkeypatch.setattr("sknn_scratch.parallel.sharing.MOST", 1000)
    sharing = Sharing()
    made = [weakref.ref(sharing.once(np.zeros, 50)) for _ in range(3)]  # of 400 bytes
    assert made[0]() is made[1]() is made[2]() is not None
    others = [weakref.ref(sharing.once(np.full, 50, k)) for k in range(2)]
    assert made[0]() is None
    assert all(one() is not None for one in others)
    held = sharing.once(np.zeros, 50)
    for k in range(10):
        sharing.once(np.full, 50, k)
    assert sharing.once(np.zeros, 50) is held


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_left_when_a_batch_has_ended(monkeypatch, fails):
    found, see = [], validation.see

    def see_and_note(*given):
        made = see(*given)
        found.extend(weakref.ref(array) for array in (made.rows.inputs, made.rows.targets))
        return made

    def score(net, X, y):
        net.predict(X)
        if fails and net.alpha == 1:
            raise RuntimeError("on purpose")
        return 0.0

    monkeypatch.setattr(validation, "see", see_and_note)
    search = GridSearchCV(
        network(), {"alpha": [0.0, 1.0]}, cv=3, refit=False, scoring=score, error_score="raise"
    )
    gc.collect()
    gc.disable()
    try:
        with in_this_process():
            try:
                search.fit(X, Y)
            except RuntimeError:
                assert fails
        if fails:
            gc.collect()  # frames of tasks that were cancelled
        assert len(found) == 6
        assert all(one() is None for one in found)
    finally:
        gc.enable()
