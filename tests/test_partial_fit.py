"""Going on: partial_fit, warm_start, and what is left when the user interrupts."""

import contextlib
import copy
import io
import pickle
import re
import warnings

import numpy as np
import pytest
from jobs import PLAIN
from mlp_defaults import MLPDefaults
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.utils import shuffle

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.network.activations import ACTIVATIONS

IRIS = load_iris()
X, Y = shuffle(scale(IRIS.data), IRIS.target, random_state=0)
NAMES = IRIS.target_names[Y]
CLASSES = sorted(IRIS.target_names)
LABELS = np.column_stack([Y == 0, Y > 0, Y == 1]).astype(int)

stochastic = pytest.mark.parametrize("solver", ["sgd", "adam"])
both_classes = pytest.mark.parametrize("cls", [MLPClassifier, MLPDefaults])


def make(cls=ScratchMLPClassifier, **changes):
    """A model whose epochs do not depend on how many there are to be."""
    start = {
        "hidden_layer_sizes": (8,),
        "activation": "tanh",
        "learning_rate": "constant",
        "learning_rate_init": 0.02,
        "max_iter": 5,
        "random_state": 0,
        "n_iter_no_change": np.inf,
    }
    return cls(**start | (PLAIN if cls is ScratchMLPClassifier else {}) | changes)


def fit(model, X=X, y=NAMES, **fit_params):
    """That max_iter ends the fit is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **fit_params)


def parameters_of(model):
    return [*model.coefs_, *model.intercepts_]


def distance(one, other):
    pairs = zip(parameters_of(one), parameters_of(other), strict=True)
    return max(abs(part - parts).max() for part, parts in pairs)


# ---------------------------------------------------------------- partial_fit: what a call is


@stochastic
def test_a_call_is_an_epoch(solver):
    model = make(solver=solver, batch_size=40)
    for call in range(1, 4):
        assert model.partial_fit(X[:100], NAMES[:100], classes=CLASSES) is model
        assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (1, 100 * call, call)
        assert model.loss_ == model.loss_curve_[-1]
        assert model.best_loss_ == min(model.loss_curve_)
    assert model.loss_ < model.loss_curve_[0]


@stochastic
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
def test_five_calls_are_a_fit_of_five_epochs(solver, loss):
    params = {"solver": solver, "loss": loss, "shuffle": False, "batch_size": 40}
    model = make(**params)
    for _ in range(5):
        model.partial_fit(X, NAMES, classes=CLASSES)
    whole = fit(make(**params))
    assert distance(model, whole) < 1e-12
    assert model.loss_curve_ == pytest.approx(whole.loss_curve_, rel=1e-12)
    assert model.t_ == whole.t_ == 5 * 150


@stochastic
def test_an_epoch_without_shuffling_is_a_call_for_each_batch(solver):
    # Of a loss that does not go by the frequencies of the rows that have come.
    params = {"solver": solver, "shuffle": False, "init": "glorot", "loss": "squared_error"}
    whole = fit(make(**params, batch_size=40, max_iter=1))
    model = make(**params)
    for start in range(0, 150, 40):
        rows = slice(start, start + 40)
        model.partial_fit(X[rows], NAMES[rows], classes=CLASSES)
    assert distance(model, whole) < 1e-12
    assert model.t_ == whole.t_ == 150


def test_rows_are_shuffled_unless_that_is_off():
    start = fit(make(batch_size=40, max_iter=1, warm_start=True))
    for on in (True, False):
        seeds = [
            fit(copy.deepcopy(start).set_params(shuffle=on, random_state=seed))
            for seed in (0, 0, 1)
        ]
        assert distance(seeds[0], seeds[1]) == 0
        assert (distance(seeds[0], seeds[2]) == 0) == (not on)
    turned = fit(copy.deepcopy(start).set_params(shuffle=False), X[::-1], NAMES[::-1])
    assert distance(turned, seeds[0]) > 1e-4


def test_it_goes_on_after_fit():
    model = fit(make(shuffle=False))
    assert distance(model.partial_fit(X, NAMES), fit(make(shuffle=False, max_iter=6))) < 1e-12
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (1, 6 * 150, 6)


def test_weights_of_rows():
    counts = np.random.RandomState(0).randint(4, size=150)
    n_weighted = np.count_nonzero(counts)
    weighted, repeated = (make(init="glorot", batch_size=n) for n in (n_weighted, counts.sum()))
    for _ in range(3):
        weighted.partial_fit(X, NAMES, sample_weight=counts, classes=CLASSES)
        repeated.partial_fit(X.repeat(counts, 0), NAMES.repeat(counts), classes=CLASSES)
    assert distance(weighted, repeated) < 1e-12
    assert weighted.t_ == 3 * n_weighted
    assert distance(weighted, make(init="glorot").partial_fit(X, NAMES, classes=CLASSES)) > 1e-3


@stochastic
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_it_goes_on_after_a_copy_or_a_pickle(solver, copied):
    model = make(solver=solver, batch_size=40).partial_fit(X, NAMES, classes=CLASSES)
    twin = copied(model)
    for each in (model, twin):
        each.partial_fit(X[:70], NAMES[:70])
    assert distance(model, twin) == 0
    assert (model.t_, model.loss_curve_) == (twin.t_, twin.loss_curve_)


@stochastic
def test_it_leaves_shallow_copies_alone(solver):
    model = make(solver=solver).partial_fit(X, NAMES, classes=CLASSES)
    twin, before = copy.copy(model), copy.deepcopy(model)
    model.partial_fit(X, NAMES)
    assert distance(twin, before) == 0
    for name in ("loss_", "best_loss_", "n_iter_", "t_"):
        assert getattr(twin, name) == getattr(before, name)
    assert distance(twin.partial_fit(X, NAMES), model) == 0


def test_a_clone_begins_anew():
    model = make().partial_fit(X, NAMES, classes=CLASSES).partial_fit(X, NAMES)
    twin = clone(model)
    with pytest.raises(NotFittedError):
        twin.predict(X)
    assert twin.partial_fit(X, NAMES, classes=CLASSES).t_ == 150


@pytest.mark.parametrize(
    "setting", [{"learning_rate_init": 0.1}, {"solver": "sgd"}, {"beta_1": 0.5}, {"alpha": 5.0}]
)
def test_settings_changed_between_calls_take_effect(setting):
    models = [make().partial_fit(X, NAMES, classes=CLASSES) for _ in range(2)]
    models[1].set_params(**setting)
    for model in models:
        model.partial_fit(X, NAMES)
    assert distance(*models) > 1e-6


def test_the_network_cannot_change_its_shape():
    model = make().partial_fit(X, NAMES, classes=CLASSES)
    with pytest.raises(ValueError, match=r"layers of \(4, 8, 3\) units, but hidden_layer_sizes=9"):
        model.set_params(hidden_layer_sizes=9).partial_fit(X, NAMES)
    assert model.set_params(hidden_layer_sizes=8).partial_fit(X, NAMES).t_ == 300


def test_no_call_warns_that_it_is_one_epoch_only(recwarn):
    make().partial_fit(X, NAMES, classes=CLASSES).partial_fit(X, NAMES)
    assert len(recwarn) == 0


# ---------------------------------------------------------------- partial_fit: classes


@both_classes
def test_classes_of_the_first_call(cls):
    model = make(cls)
    # In any order, and more than there are rows of.
    model.partial_fit(X[Y == 2][:9], NAMES[Y == 2][:9], classes=[*CLASSES[::-1], "zinnia"])
    assert model.classes_.tolist() == [*CLASSES, "zinnia"]
    assert model.predict_proba(X).shape == (150, 4)
    assert set(model.predict(X)) <= {*CLASSES, "zinnia"}
    model.partial_fit(X, NAMES)
    model.partial_fit(X, NAMES, classes=["zinnia", *CLASSES])
    model.partial_fit(X[:1], ["zinnia"])
    assert model.predict_proba(X).shape == (150, 4)


@both_classes
@pytest.mark.parametrize(
    "classes", [[3, 7], [-1.0, 2.0], [False, True], ["no", "yes"]], ids=lambda c: str(c[0])
)
def test_two_classes_of_any_type(cls, classes):
    y = np.array(classes)[(Y == 0).astype(int)]
    model = make(cls)
    for _ in range(30):
        model.partial_fit(X[:100], y[:100], classes=classes)
    assert model.classes_.tolist() == classes
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) > 0.95
    one = model.partial_fit(X[:1], y[:1])  # one row, and so one of the classes
    assert one.predict_proba(X).shape == (150, 2)


def test_a_class_that_comes_late_is_learnt():
    model = make(learning_rate_init=0.05)
    early = Y != 2
    for _ in range(20):
        model.partial_fit(X[early], NAMES[early], classes=CLASSES)
    assert set(model.predict(X)) == set(CLASSES[:2])
    for _ in range(60):
        model.partial_fit(X, NAMES)
    assert model.score(X, NAMES) > 0.9


@both_classes
def test_labels_that_are_missing_from_a_batch(cls):
    model = make(cls)
    nothing = np.zeros((10, 3), dtype=int)
    model.partial_fit(X[:10], nothing, classes=[0, 1, 2])
    model.partial_fit(X[Y == 0], LABELS[Y == 0])  # in all of these, the last is 0
    for _ in range(60):
        model.partial_fit(X, LABELS)
    assert model.out_activation_ == "logistic"
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(X).shape == model.predict(X).shape == (150, 3)
    assert (model.predict(X) == LABELS).mean() > 0.9


ERRORS = {
    "no classes in the first call": (
        [(X, NAMES, None)],
        "classes must be passed on the first call",
    ),
    "classes that are not those of the first call": (
        [(X, NAMES, CLASSES), (X, NAMES, CLASSES[:2])],
        "is not the same as on last call",
    ),
    "a class that was not named": (
        [(X, NAMES, [*CLASSES[:2], "zinnia"])],
        r"has classes not in `self.classes_`",
    ),
    "a class that was not named, later": (
        [(X, NAMES, CLASSES), (X, np.char.upper(NAMES), None)],
        r"has classes not in `self.classes_`",
    ),
    "a label that was not named": (
        [(X, LABELS, [0, 1])],
        r"has classes not in `self.classes_`",
    ),
    "other columns of X": (
        [(X, NAMES, CLASSES), (X[:, :2], NAMES, None)],
        r"X has 2 features, but .* is expecting 4",
    ),
    "labels after classes": (
        [(X, Y, [0, 1, 2]), (X, LABELS, None)],
        "multilabel",
    ),
    "rows that do not match": (
        [(X, NAMES[:9], CLASSES)],
        "inconsistent numbers of samples",
    ),
    "numbers that are no classes": (
        [(X, X[:, 0], [0, 1])],
        "Unknown label type",
    ),
}


@both_classes
@pytest.mark.parametrize("what", ERRORS)
def test_it_raises_where_mlpclassifier_does(cls, what):
    (*calls, (X_bad, y_bad, classes)), message = ERRORS[what]
    model = make(cls)
    for X_good, y_good, all_classes in calls:
        model.partial_fit(X_good, y_good, classes=all_classes)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(X_bad, y_bad, classes=classes)


@pytest.mark.parametrize("what", ERRORS)
def test_after_an_error_the_model_is_as_it_was(what):
    (*calls, (X_bad, y_bad, classes)), _ = ERRORS[what]
    model = make()
    for X_good, y_good, all_classes in calls:
        model.partial_fit(X_good, y_good, classes=all_classes)
    before = pickle.dumps(model)
    with contextlib.suppress(ValueError):
        model.partial_fit(X_bad, y_bad, classes=classes)
    assert pickle.dumps(model) == before


@both_classes
def test_it_is_not_there_for_lbfgs(cls):
    model = make(cls, solver="lbfgs")
    assert not hasattr(model, "partial_fit")
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        model.partial_fit(X, NAMES, classes=CLASSES)
    assert hasattr(model.set_params(solver="sgd"), "partial_fit")


def test_for_lbfgs_the_error_says_what_to_do():
    with pytest.raises(AttributeError) as caught:
        make(solver="lbfgs").partial_fit(X, NAMES, classes=CLASSES)
    assert "Set solver='adam' or 'sgd'" in str(caught.value.__cause__)


@both_classes
def test_early_stopping_is_an_error(cls):
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        make(cls, early_stopping=True).partial_fit(X, NAMES, classes=CLASSES)


# ---------------------------------------------------------------- warm_start


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_a_warm_start_goes_on_from_the_parameters(solver):
    model = fit(make(solver=solver, warm_start=True))
    first, curve = copy.deepcopy(model), list(model.loss_curve_)
    fit(model)
    assert model.n_iter_ == 5
    assert model.loss_curve_[: len(curve)] == curve
    assert len(model.loss_curve_) == 10
    assert model.loss_ < first.loss_
    assert model.t_ == (0 if solver == "lbfgs" else 2 * 5 * 150)
    cold = fit(fit(make(solver=solver)))
    assert distance(cold, first) == 0
    assert len(cold.loss_curve_) == 5


def test_the_first_fit_is_not_a_warm_start():
    assert distance(fit(make(warm_start=True)), fit(make())) == 0


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_parameters_may_be_assigned_by_hand(solver, loss):
    model = fit(make(solver=solver, loss=loss, warm_start=True, alpha=0.0))
    W, b = [np.full(W.shape, 0.1) for W in model.coefs_], [b * 0 for b in model.intercepts_]
    model.coefs_, model.intercepts_ = W, b
    # All units are alike, and so are the classes.
    np.testing.assert_allclose(model.predict_proba(X), 1 / 3, rtol=1e-12)
    fit(model.set_params(max_iter=1, batch_size=150))
    if solver != "lbfgs":  # its loss is that after the first step
        assert model.loss_ == pytest.approx(np.log(3) if loss == "log_loss" else 2 / 3)
    assert model.loss_ < (np.log(3) if loss == "log_loss" else 2 / 3) + 1e-12
    for part in (*W, *b):
        assert np.ptp(part) == 0  # what was assigned is left alone


def test_units_may_be_taken_out_by_hand():
    model = fit(make())
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    model.coefs_, model.intercepts_ = [W1[:, ::2], W2[::2]], [b1[::2], b2]
    z = np.tanh(X @ W1[:, ::2] + b1[::2])
    np.testing.assert_allclose(model.hidden_activations(X)[0], z, rtol=1e-12)
    p = softmax(z @ W2[::2] + b2, axis=1)
    np.testing.assert_allclose(model.predict_proba(X), p, rtol=1e-12)
    with pytest.raises(
        ValueError, match=r"layers of \(4, 4, 3\) units, but hidden_layer_sizes=\(8,"
    ):
        model.partial_fit(X, NAMES)
    assert model.set_params(hidden_layer_sizes=(4,), solver="lbfgs", warm_start=True) is model
    assert fit(model).coefs_[0].shape == (4, 4)


@both_classes
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_warm_start_wants_the_same_classes(cls, solver):
    model = fit(make(cls, solver="adam", warm_start=True))
    model.set_params(solver=solver)
    for y in (np.char.upper(NAMES), np.where(Y > 0, "setosa", NAMES)):
        with pytest.raises(ValueError, match="warm_start can only be used where `y` has the same"):
            fit(model, X, y)


@both_classes
def test_a_warm_start_does_not_turn_classes_into_labels(cls):
    model = fit(make(cls, warm_start=True), X, Y)
    with pytest.raises(ValueError, match="multilabel"):
        fit(model, X, LABELS)


@both_classes
def test_a_warm_start_wants_the_same_columns(cls):
    model = fit(make(cls, warm_start=True))
    with pytest.raises(ValueError, match=r"X has 3 features, but .* is expecting 4"):
        fit(model, X[:, :3])


def test_after_a_failing_warm_start_the_model_is_as_it_was():
    model = fit(make(warm_start=True))
    before = pickle.dumps(model)
    for y in (np.char.upper(NAMES), NAMES[:9], X[:, 0]):
        with pytest.raises(ValueError):
            fit(model, X, y)
        assert pickle.dumps(model) == before


def test_rows_set_aside_are_not_counted_as_seen():
    model = fit(make(early_stopping=True, validation_fraction=0.2, warm_start=True), X, Y)
    assert model.t_ == 5 * 120
    fit(model, X, Y)
    assert model.t_ == 2 * 5 * 120
    assert len(model.validation_scores_) == 10
    assert model.best_validation_score_ == max(model.validation_scores_)


# ---------------------------------------------------------------- when training ends


@both_classes
@stochastic
def test_without_a_plateau_rule_all_epochs_are_done(cls, solver):
    model = make(cls, solver=solver, max_iter=40, tol=1e9)
    with pytest.warns(ConvergenceWarning, match="[Mm]aximum iterations"):
        model.fit(X, NAMES)
    assert model.n_iter_ == 40


@both_classes
@stochastic
@pytest.mark.parametrize("patience", [1, 4, 10])
def test_epochs_without_progress_that_are_borne_with(cls, solver, patience):
    # The first epoch is progress, and no later one can be with this tol.
    model = make(cls, solver=solver, max_iter=40, tol=1e9, n_iter_no_change=patience)
    assert model.fit(X, NAMES).n_iter_ == 1 + patience + 1


@stochastic
def test_the_warning_says_what_to_change(solver):
    with pytest.warns(ConvergenceWarning) as caught:
        make(solver=solver, max_iter=7).fit(X, NAMES)
    (warning,) = caught
    text = str(warning.message)
    assert "Maximum iterations (7) reached" in text
    for name in ("Increase max_iter", "learning_rate_init", "learning_rate='cosine'"):
        assert name in text


@pytest.mark.parametrize(
    "limit, remedy", [({"max_iter": 3}, "max_iter=3"), ({"max_fun": 3}, "max_fun=3")]
)
def test_the_warning_of_lbfgs_says_what_to_change(limit, remedy):
    with pytest.warns(ConvergenceWarning) as caught:
        make(solver="lbfgs", **{"max_iter": 500} | limit).fit(X, NAMES)
    (warning,) = caught
    text = str(warning.message)
    assert "lbfgs failed to converge after" in text
    assert "Increase max_iter=" in text
    assert remedy in text
    assert "StandardScaler" in text


@pytest.mark.parametrize(
    "changes",
    [{"learning_rate": "cosine", "learning_rate_init": 0.05}, {"tol": 1.0, "n_iter_no_change": 1}],
)
def test_no_warning_where_training_ends_as_planned(changes, recwarn):
    make(max_iter=60, **changes).fit(X, NAMES)
    assert len(recwarn) == 0


def test_a_warning_made_an_error_leaves_the_fit():
    model = make(max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            model.fit(X, NAMES)
    assert model.n_iter_ == 2
    assert model.predict(X).shape == (150,)


def test_batches_larger_than_the_data_are_clipped_with_a_warning():
    with pytest.warns(UserWarning, match="`batch_size`=151, larger than the 150 training rows"):
        model = make(batch_size=151).partial_fit(X, NAMES, classes=CLASSES)
    assert distance(model, make(batch_size=150).partial_fit(X, NAMES, classes=CLASSES)) == 0


# ---------------------------------------------------------------- Ctrl-C


class InterruptingStream(io.StringIO):
    """Where a model prints to: pressing Ctrl-C when it comes to the given epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def write(self, text):
        if re.match(rf"Iteration {self.epoch}\b", text):
            raise KeyboardInterrupt
        return super().write(text)


class InterruptingRandomState(np.random.RandomState):
    """Pressing Ctrl-C when it is asked for the order of the rows of the given epoch."""

    def __init__(self, seed, epoch, before=0):
        super().__init__(seed)
        self.left, self.asked = epoch + before, False

    def ask(self, method, rows):
        outermost, self.asked = not self.asked, True
        self.left -= outermost
        if self.left == 0:
            raise KeyboardInterrupt
        try:
            return method(rows)
        finally:
            self.asked = not outermost

    def permutation(self, rows):
        return self.ask(super().permutation, rows)

    def shuffle(self, rows):
        return self.ask(super().shuffle, rows)


@contextlib.contextmanager
def interrupted_at(epoch, times=1):
    """Ctrl-C when this epoch is printed; one warning that says so, and no other."""
    with (
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(InterruptingStream(epoch)),
    ):
        warnings.simplefilter("always")
        yield
    assert [warning.category for warning in caught] == [UserWarning] * times
    assert all("interrupted by user" in str(warning.message) for warning in caught)


def assert_usable(model):
    """It predicts, goes on, and can be pickled; what it says of itself fits together."""
    p = model.predict_proba(X)
    assert np.isfinite(p).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert len(model.loss_curve_) == model.n_iter_
    assert pickle.loads(pickle.dumps(model)).predict(X).tolist() == model.predict(X).tolist()
    curve = list(model.loss_curve_)
    fit(model.set_params(warm_start=True, verbose=False, random_state=0, max_iter=3))
    assert model.loss_curve_ == curve + model.loss_curve_[-3:]


@both_classes
@stochastic
@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_interrupted_fit(cls, solver, epoch):
    model = make(cls, solver=solver, verbose=True, batch_size=40)
    with interrupted_at(epoch):
        assert model.fit(X, NAMES) is model
    whole = fit(make(cls, solver=solver, batch_size=40, max_iter=epoch))
    assert distance(model, whole) == 0
    assert (model.n_iter_, model.t_) == (epoch, 150 * epoch)
    assert model.loss_curve_ == whole.loss_curve_
    assert model.loss_ == whole.loss_
    assert_usable(model)


def test_interrupted_fit_with_the_defaults():
    model = ScratchMLPClassifier(verbose=True, random_state=0)
    with interrupted_at(30):
        model.fit(X, NAMES)
    assert model.n_iter_ == 30
    assert model.score(X, NAMES) > 0.9
    assert_usable(model)


def test_the_warning_says_what_is_left():
    model = make(verbose=True)
    with (
        pytest.warns(UserWarning, match=r"after 3 epochs\. What was learnt until then is kept"),
        contextlib.redirect_stdout(InterruptingStream(3)),
    ):
        model.fit(X, NAMES)


@stochastic
@pytest.mark.parametrize("steps", [0, 1, 4, 5])
def test_interrupted_in_the_middle_of_an_epoch(solver, steps, monkeypatch):
    # Four batches an epoch: the steps that were made are kept, and whole epochs are counted.
    tanh, calls = ACTIVATIONS["tanh"], []

    def interrupted(z):
        calls.append(1)
        if len(calls) > steps:
            raise KeyboardInterrupt
        tanh.apply(z)

    params = {"solver": solver, "init": "glorot", "loss": "squared_error"}
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="interrupted by user"):
        patch.setitem(ACTIVATIONS, "tanh", tanh._replace(apply=interrupted))
        model = make(**params, batch_size=40, shuffle=False).fit(X, NAMES)
    assert len(calls) == steps + 1
    assert model.n_iter_ == steps // 4
    assert model.t_ == 150 * model.n_iter_
    if steps:
        # As many steps by partial_fit, a batch each.
        by_hand = make(**params)
        for step in range(steps):
            rows = slice(40 * (step % 4), 40 * (step % 4) + 40)
            by_hand.partial_fit(X[rows], NAMES[rows], classes=CLASSES)
        assert distance(model, by_hand) < 1e-12
    assert_usable(model)


@pytest.mark.parametrize("epoch", [1, 3])
def test_interrupted_while_the_validation_rows_are_scored(epoch):
    calls = []

    def interrupted(estimator, X, y):
        calls.append(1)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return estimator.score(X, y)

    model = make(early_stopping=True, scoring=interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, Y)
    assert len(calls) == epoch
    assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_
    assert model.best_validation_score_ == max(model.validation_scores_, default=None)
    assert np.isfinite(model.predict_proba(X)).all()


@stochastic
@pytest.mark.parametrize("epoch", [1, 2, 4])
def test_interrupted_between_epochs(solver, epoch):
    params = {"solver": solver, "init": "glorot"}  # "scaled" asks for an order of its own
    model = make(**params, random_state=InterruptingRandomState(0, epoch))
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, NAMES)
    assert model.n_iter_ == epoch - 1
    if epoch > 1:
        assert distance(model, fit(make(**params, max_iter=epoch - 1))) == 0
    assert_usable(model)


def test_interrupted_before_the_first_epoch():
    model = make(init="glorot", random_state=InterruptingRandomState(0, 1))
    with pytest.warns(UserWarning, match="interrupted by user after 0 epochs"):
        model.fit(X, NAMES)
    assert (model.n_iter_, model.t_, model.loss_curve_) == (0, 0, [])
    assert np.isnan(model.loss_)
    assert_usable(model)


@pytest.mark.parametrize("epoch", range(1, 13))
def test_interrupted_with_early_stopping(epoch):
    # Among these epochs there are some with a new best score, and some without.
    params = {"early_stopping": True, "learning_rate_init": 0.01, "batch_size": 40}
    model = make(verbose=True, max_iter=20, **params)
    with interrupted_at(epoch):
        model.fit(X, Y)
    whole = fit(make(max_iter=epoch, **params), X, Y)
    assert model.n_iter_ == len(model.validation_scores_) == epoch
    assert model.validation_scores_ == whole.validation_scores_
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert distance(model, whole) == 0


def test_early_stopping_was_interrupted_at_telling_epochs():
    params = {"early_stopping": True, "learning_rate_init": 0.01, "batch_size": 40}
    scores = fit(make(max_iter=12, **params), X, Y).validation_scores_
    news = [i for i in range(1, 12) if scores[i] > max(scores[:i])]
    assert 2 <= len(news) <= 9


@pytest.mark.parametrize("epoch", [1, 3])
def test_interrupted_between_epochs_with_early_stopping(epoch):
    random_state = InterruptingRandomState(0, epoch, before=1)  # the split asks once
    model = make(init="glorot", random_state=random_state, early_stopping=True)
    with pytest.warns(UserWarning, match=f"after {epoch - 1} epochs"):
        model.fit(X, Y)
    assert len(model.validation_scores_) == model.n_iter_ == epoch - 1
    assert model.predict(X).shape == (150,)
    fit(model.set_params(warm_start=True, random_state=0), X, Y)
    assert len(model.validation_scores_) == epoch - 1 + 5


@pytest.mark.parametrize("iteration", [1, 2, 7])
def test_interrupted_lbfgs(iteration):
    model = make(solver="lbfgs", loss="log_loss", alpha=0.0, verbose=True, max_iter=30)
    with interrupted_at(iteration):
        model.fit(X, NAMES)
    assert len(model.loss_curve_) == model.n_iter_ == iteration
    whole = fit(make(solver="lbfgs", loss="log_loss", alpha=0.0, max_iter=iteration))
    assert distance(model, whole) < 1e-12
    assert model.loss_ == pytest.approx(log_loss(NAMES, model.predict_proba(X)), rel=1e-12)
    assert_usable(model)


@stochastic
def test_interrupted_partial_fit(solver):
    model = make(solver=solver, verbose=True).partial_fit(X, NAMES, classes=CLASSES)
    with interrupted_at(1):
        assert model.partial_fit(X, NAMES) is model
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (1, 300, 2)
    twice = make(solver=solver).partial_fit(X, NAMES, classes=CLASSES).partial_fit(X, NAMES)
    assert distance(model, twice) == 0
    model.set_params(verbose=False).partial_fit(X, NAMES)
    assert distance(model, twice.partial_fit(X, NAMES)) == 0


@stochastic
def test_an_interrupted_partial_fit_that_learnt_nothing(solver):
    model = make(solver=solver).partial_fit(X, NAMES, classes=CLASSES)
    before = copy.deepcopy(model)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.set_params(random_state=InterruptingRandomState(0, 1)).partial_fit(X, NAMES)
    assert distance(model, before) == 0
    assert (model.t_, model.loss_curve_) == (before.t_, before.loss_curve_)
    for each in (model, before):
        each.set_params(random_state=0).partial_fit(X, NAMES)
    assert distance(model, before) == 0


def test_interrupted_warm_start():
    model = fit(make(warm_start=True))
    with interrupted_at(2):
        model.set_params(verbose=True).fit(X, NAMES)
    assert (model.n_iter_, model.t_, len(model.loss_curve_)) == (2, 7 * 150, 7)
    whole = fit(fit(make(warm_start=True)).set_params(max_iter=2))
    assert distance(model, whole) == 0


class InterruptingArray:
    """Pressing Ctrl-C while X is read, before there is anything to keep."""

    def __array__(self, dtype=None, copy=None):
        raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_interrupted_before_training(method):
    model = make()
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(InterruptingArray(), NAMES)
    with pytest.raises(NotFittedError):
        model.predict(X)
    fit(model)
    before = pickle.dumps(model)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(InterruptingArray(), NAMES)
    assert pickle.dumps(model) == before


def test_cosine_has_no_end_to_come_down_to_in_partial_fit():
    cosine, constant = (make(learning_rate=name, batch_size=20) for name in ("cosine", "constant"))
    for _ in range(3):
        for model in (cosine, constant):
            model.partial_fit(X, NAMES, classes=CLASSES)
    for ours, theirs in zip(cosine.coefs_, constant.coefs_, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_verbose_says_when_an_adaptive_rate_comes_down():
    settings = {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2}
    settings |= {"momentum": 0, "batch_size": 150}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        model = fit(make(verbose=True, max_iter=200, **settings))
    lowered = out.getvalue().count("Going on with a fifth of it.")
    # From 0.02 to the first rate that is at most 1e-6.
    assert lowered == 7
    # At which it goes on.
    lowered, constant = (
        copy.deepcopy(model).set_params(learning_rate=name, verbose=False).partial_fit(X, NAMES)
        for name in ("adaptive", "constant")
    )
    assert distance(constant, model) == pytest.approx(5**7 * distance(lowered, model), rel=1e-3)
