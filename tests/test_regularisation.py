"""What holds a network back: weight decay scaled by the noise, inputs left out."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from jobs import PLAIN, make_job
from judges import chance_of, effective_number, scaled
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.estimator.plan import (
    equal_batches,
    input_dropout_for,
    input_penalty_for,
    weight_decay_for,
)
from sknn_scratch.training.loop import Stack
from sknn_scratch.training.objective import Objective

IRIS, KINDS = load_iris(return_X_y=True)
CANCER, BENIGN = load_breast_cancer(return_X_y=True)
DIGITS, NUMBERS = load_digits(return_X_y=True)
LABELS = np.column_stack([KINDS == 0, IRIS[:, 0] > 5.8]).astype(int)
TARGETS = {
    "binary": (CANCER, BENIGN),
    "multiclass": (IRIS, KINDS),
    "multilabel": (IRIS, LABELS),
}

positive = st.floats(1e-6, 1e9)


def fit(model, X, y, **fit_params):
    """That few epochs do not get far is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, **fit_params)


def make(**settings):
    start = {"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0}
    return ScratchMLPClassifier(**start | settings)


# ---------------------------------------------------------------- the formulas


@pytest.mark.parametrize(
    ("n", "rate", "decay"),
    [(250, 0.01, 2), (1, 0.01, 2), (4000, 0.01, 0.125), (1000, 1.0, 0.005), (1e9, 0.04, 1.25e-7)],
)
def test_weight_decay_for(n, rate, decay):
    assert weight_decay_for(n, rate) == pytest.approx(decay, rel=1e-12)


@pytest.mark.parametrize(("n", "penalty"), [(1, 1.6e-5), (250, 1.6e-5), (1000, 4e-6), (4e6, 1e-9)])
def test_input_penalty_for(n, penalty):
    assert input_penalty_for(n) == pytest.approx(penalty, rel=1e-12)


@given(n=positive, more=positive, rate=st.floats(1e-9, 1e3))
def test_an_update_takes_off_less_the_more_rows_there_are(n, more, rate):
    shrinkage = rate * weight_decay_for(n, rate)
    assert shrinkage == pytest.approx(5 / max(n, 250), rel=1e-12)
    assert weight_decay_for(n + more, rate) <= weight_decay_for(n, rate)


@pytest.mark.parametrize(
    ("n_features", "n", "share"),
    [(9, 10, 0), (10, 50, 0.15), (10, 100, 0.05), (10, 200, 0), (64, 1797, 0), (30, 300, 0.05)],
)
def test_input_dropout_for(n_features, n, share):
    assert input_dropout_for(n_features, n) == pytest.approx(share, abs=1e-12)


@given(n_features=st.integers(1, 10**6), n=positive, more=positive)
def test_input_dropout_is_bounded_and_falls_with_the_rows(n_features, n, more):
    share = input_dropout_for(n_features, n)
    assert 0 <= input_dropout_for(n_features, n + more) <= share <= 0.15
    if n_features < 10 or n_features / n <= 0.05:
        assert share == 0
    elif n_features / n < 0.2:
        assert share == pytest.approx(n_features / n - 0.05, abs=1e-12)


# ---------------------------------------------------------------- decay scaled by the noise


def auto_rate(epochs, n, batch_size=None):
    """The rate that learning_rate_init="auto" would be, for 8 units and so many epochs."""
    updates = epochs * math.ceil(n / (batch_size or equal_batches(n)))
    return 0.01 * 40 / 8 * min(2, (1000 / updates) ** (1 / 3))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared_error", "guarded_squared_error", "log_loss"])
@pytest.mark.parametrize("target", TARGETS)
def test_decay_is_scaled_by_what_the_first_quarter_leaves_unexplained(target, loss, weighted):
    X, y = TARGETS[target]
    weight = np.random.RandomState(0).uniform(0, 3, size=len(y)) if weighted else None
    model = fit(make(loss=loss, learning_rate_init=0.08), X, y, sample_weight=weight)
    n = len(y) if weight is None else effective_number(y, weight)
    noise = model.loss_curve_[12 // 4 - 1] / chance_of(loss, y, weight)
    assert 0 < noise < 1
    # By the rate that "auto" would be, whatever it is.
    expected = 5 / (auto_rate(12, len(y)) * max(n, 250)) * noise
    assert model.weight_decay_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("max_iter", [1, 3, 4, 9])
def test_the_first_quarter_is_one_epoch_at_least(max_iter):
    model = fit(make(max_iter=max_iter, learning_rate_init=0.03), CANCER, BENIGN)
    chance = chance_of("guarded_squared_error", BENIGN)
    noise = model.loss_curve_[max(1, max_iter // 4) - 1] / chance
    assert noise < 1
    rate = auto_rate(max_iter, 569)
    assert model.weight_decay_ == pytest.approx(5 / (rate * 569) * noise, rel=1e-9)


def test_there_is_no_more_noise_than_there_is_variation():
    y = np.random.RandomState(0).permutation(KINDS)
    model = fit(make(learning_rate_init=0.3), IRIS, y)
    assert model.loss_curve_[2] > chance_of("guarded_squared_error", y)
    assert model.weight_decay_ == pytest.approx(5 / (auto_rate(12, 150) * 250), rel=1e-12)


@pytest.mark.parametrize(("rate", "bounded"), [(0.4, False), (0.6, True), (3.0, True), (1e6, True)])
def test_no_update_takes_more_than_a_tenth_off(rate, bounded):
    y = np.random.RandomState(0).permutation(KINDS)
    model = fit(make(learning_rate_init=rate, loss="squared_error"), IRIS, y)
    decay = 5 / (auto_rate(12, 150) * 250)
    assert model.weight_decay_ == pytest.approx(0.1 / rate if bounded else decay, rel=1e-12)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_nothing_decays_before_the_noise_is_known(early_stopping):
    # Nor is anything penalised in gradient descent.
    settings = {"early_stopping": early_stopping, "learning_rate_init": 0.03, "solver": "sgd"}
    auto, none = (fit(make(weight_decay=decay, **settings), IRIS, KINDS) for decay in ("auto", 0))
    assert auto.loss_curve_[:3] == none.loss_curve_[:3]
    # The first batch of the fourth epoch comes before any decay, and the second after.
    assert (np.array(auto.loss_curve_[3:]) != none.loss_curve_[3:]).all()
    assert none.weight_decay_ == 0


STILL = {"learning_rate": "constant", "learning_rate_init": 0.02, "n_iter_no_change": np.inf}
STILL |= {"epsilon": 1e12}
"""With this epsilon the gradient moves nothing; an update takes off 0.4 times 5 / 250 of weights
all the same, times the noise: 0.02 is 0.4 of the rate that "auto" would be."""

AUTO_DECAY = 5 / (0.05 * 250)

#: The weights of the first layer decay by half.
SHARE = (0.5, 1)


def test_a_warm_start_decays_from_the_start_and_measures_anew():
    settings = {"loss": "squared_error", "warm_start": True, "learning_rate_init": 0.03}
    model = fit(make(**settings), IRIS, KINDS)
    before = model.coefs_
    noise = model.weight_decay_ * auto_rate(12, 150) * 250 / 5
    fit(model.set_params(max_iter=8, batch_size=150, **STILL), IRIS, KINDS)
    anew = model.weight_decay_ / AUTO_DECAY
    assert anew == pytest.approx(model.loss_curve_[12 + 1] / (2 / 3), rel=1e-9)
    assert abs(anew - noise) > 0.01
    for after, W, share in zip(model.coefs_, before, SHARE, strict=True):
        unit = share * 0.4 * 5 / 250
        left = (1 - unit * noise) ** 2 * (1 - unit * anew) ** 6
        assert left < 0.995
        assert_allclose(after, left * W, rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_partial_fit_decays_by_the_noise_of_an_earlier_fit_or_not_at_all(weighted):
    weight = np.random.RandomState(0).uniform(0.5, 3, size=150) if weighted else None
    model = fit(make(learning_rate_init=0.03), IRIS, KINDS)
    before = model.coefs_
    noise = model.weight_decay_ * auto_rate(12, 150) * 250 / 5
    # All rows seen before, as often as they were, and what these are worth.
    n = 12 * 150 + (effective_number(KINDS, weight) if weighted else 150)
    model.set_params(batch_size=150, **STILL).partial_fit(IRIS, KINDS, weight)
    for after, W, share in zip(model.coefs_, before, SHARE, strict=True):
        assert_allclose(after, W * (1 - share * 0.4 * 5 / n * noise), rtol=1e-8)
    assert model.weight_decay_ == pytest.approx(5 / (0.05 * n) * noise, rel=1e-9)

    model = make(batch_size=150, **STILL)
    model.partial_fit(IRIS, KINDS, classes=[0, 1, 2])
    before = model.coefs_[0].copy()
    model.partial_fit(IRIS, KINDS)
    assert_allclose(model.coefs_[0], before, atol=1e-10)
    assert model.weight_decay_ == 0


def test_a_number_is_taken_as_it_is():
    still = {"batch_size": 150, "max_iter": 8, **STILL}
    rate = STILL["learning_rate_init"]
    after_none = make(weight_decay=0.1 / rate, **still)
    after_auto = fit(make(learning_rate_init=0.03, warm_start=True), IRIS, KINDS)
    after_auto.set_params(weight_decay=0.1 / rate, **still)
    fit(after_none, IRIS, KINDS).set_params(warm_start=True)
    for model in (after_none, after_auto):
        before = model.coefs_[0].copy()
        fit(model, IRIS, KINDS)
        assert model.weight_decay_ == 0.1 / rate
        assert_allclose(model.coefs_[0], 0.9**8 * before, rtol=1e-6)
        model.partial_fit(IRIS, KINDS)
        assert_allclose(model.coefs_[0], 0.9**9 * before, rtol=1e-6)


def test_auto_after_a_number_knows_of_no_noise_yet():
    model = make(weight_decay=0.5, warm_start=True, learning_rate_init=0.03)
    fit(model, IRIS, KINDS)
    before = model.coefs_[0].copy()
    model.set_params(weight_decay="auto", batch_size=150, **STILL).partial_fit(IRIS, KINDS)
    assert_allclose(model.coefs_[0], before, atol=1e-10)


@pytest.mark.parametrize("K", [1, 2])
@pytest.mark.parametrize("sizes", [(3, 4, 2), (3, 4, 5, 2)])
def test_weights_of_the_first_layer_have_a_penalty_of_their_own(sizes, K):
    penalties = np.array([0.3, 0.7])[:K]
    gradients, losses = {}, {}
    for times in (0, 1):
        rng = np.random.RandomState(0)
        jobs = [
            make_job(rng, sizes=sizes, alpha=0.2, input_penalty=times * penalty)
            for penalty in penalties
        ]
        stack = Stack(jobs)
        losses[times] = stack.objective.evaluate(stack.sampler.gather(slice(7)))
        gradients[times] = np.reshape(stack.objective.grad, (K, -1))
    n_first = sizes[0] * sizes[1]
    W = np.reshape(stack.theta, (K, -1))[:, :n_first]
    expected = np.zeros_like(gradients[0])
    expected[:, :n_first] = penalties[:, None] * W
    assert_allclose(gradients[1] - gradients[0], expected, atol=1e-14)
    squares = np.square(W).sum(axis=1)
    assert_allclose(np.ravel(losses[1] - losses[0]), penalties / 2 * squares, rtol=1e-12)


def test_the_penalty_is_scaled_by_the_noise_once_that_is_measured():
    start = {"noise": 0.0}
    job = make_job(
        np.random.RandomState(0), input_penalty=0.3, measures_noise=True, max_iter=8, start=start
    )
    stack, found = Stack([job]), []
    for epoch in (1, 2, 3):
        found.append(stack.objective.input_penalty.item())
        [loss] = stack.run_epoch()
        if epoch == 2:
            measured = min(1.0, loss / job.baseline)
    assert found == [0.3, 0.3, pytest.approx(0.3 * measured, rel=1e-12)]


@pytest.mark.parametrize(
    "settings",
    [{"weight_decay": 0.5}, {"solver": "sgd"}, {"solver": "lbfgs"}, {"hidden_layer_sizes": ()}],
    ids=repr,
)
def test_nothing_is_penalised_but_what_adam_decays_by_itself(settings, monkeypatch):
    seen = []
    penalise_inputs = Objective.penalise_inputs

    def note(objective, penalties):
        seen.extend(penalties)
        penalise_inputs(objective, penalties)

    monkeypatch.setattr(Objective, "penalise_inputs", note)
    fit(make(**settings), IRIS, KINDS)
    assert seen
    assert not any(seen)
    fit(make(), IRIS, KINDS)
    assert any(seen)


def test_a_penalty_alone_is_no_reason_to_warn():
    """Labels that the columns do not tell: the loss without the penalty is that of chance."""
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((40, 3)), np.arange(40) % 2
    model = ScratchMLPClassifier(random_state=0, learning_rate_init=1e-9, max_iter=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    squares = np.square(model.coefs_[0]).sum()
    said = [str(warning.message) for warning in caught if "no better" in str(warning.message)]
    penalty = 0.004 / 250 / 2 * min(1.0, model.loss_ / 0.25) * squares
    assert penalty > 0.01
    assert bool(said) == (model.loss_ - penalty > 0.25 + 1e-4)
    if said:
        assert f"its loss, {model.loss_ - penalty:.3g}" in said[0]


def test_the_penalty_that_the_last_loss_has_is_not_counted():
    """Not that by the noise which is measured after it; and it does not overflow."""
    rng = np.random.RandomState(0)
    X = rng.randn(200, 20)
    y = (X[:, 0] + 0.3 * rng.randn(200) > 0).astype(int)
    other = y.copy()
    flipped = np.random.RandomState(8).permutation(200)[:62]
    other[flipped] = 1 - other[flipped]
    model = ScratchMLPClassifier(
        200, random_state=0, dtype="float64", batch_size=200, warm_start=True, max_iter=40
    ).fit(X, y)
    with pytest.warns(ConvergenceWarning, match=r"no better than chance: its loss, 0\.252,"):
        model.set_params(max_iter=1).fit(X, other)
    model = ScratchMLPClassifier(30, random_state=0, dtype="float64", learning_rate_init=1e155)
    with pytest.warns(ConvergenceWarning, match="no better than chance"):
        model.fit(X, y)


def test_lbfgs_does_not_decay():
    assert make(solver="lbfgs", max_iter="auto").fit(IRIS, KINDS).weight_decay_ == 0


# ---------------------------------------------------------------- inputs left out


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_on_average_the_masked_batch_is_the_batch(container):
    job = make_job(
        np.random.RandomState(0),
        sizes=(6, 3, 2),
        input_dropout=0.3,
        start={"dropout_rng": np.random.RandomState(1)},
    )
    X = job.X
    job = replace(job, X=container(X))
    stack, drawn = Stack([job]), []
    for _ in range(2000):
        x = stack.sampler.gather(slice(7)).X
        drawn.append(x.copy() if container is np.asarray else x.toarray())
    kept = np.array(drawn) / X
    # Whole columns, of nothing or of more to make up for it.
    assert_allclose(kept, np.broadcast_to(kept[:, :1], kept.shape), atol=1e-12)
    assert_allclose(np.unique(kept.round(9)), [0, 1 / 0.7])
    deviation = np.sqrt(0.3 / 0.7 / 2000)
    assert_allclose(kept[:, 0].mean(axis=0), 1, atol=4 * deviation)
    # Columns are left out independently of each other.
    assert np.abs(np.corrcoef(kept[:, 0].T) - np.eye(6)).max() < 4 / np.sqrt(2000)
    assert_array_equal(X, job.X if container is np.asarray else job.X.toarray())


def test_networks_that_leave_nothing_out_see_everything():
    jobs = [
        make_job(np.random.RandomState(0)),
        make_job(
            np.random.RandomState(1),
            input_dropout=0.5,
            start={"dropout_rng": np.random.RandomState(0)},
        ),
    ]
    stack = Stack(jobs)
    for _ in range(5):
        batch = stack.sampler.gather(slice(7))
        assert_array_equal(batch.X[0], jobs[0].X)
        assert np.abs(batch.X[1] - jobs[1].X).max() > 0.1


@pytest.mark.parametrize("init", ["scaled", "glorot"])
def test_the_same_columns_are_left_out_for_weighted_and_for_repeated_rows(init):
    weight = np.arange(120) % 4  # 90 rows, as good as 180
    X, y = DIGITS[:120], NUMBERS[:120]
    settings = {"init": init, "shuffle": False, "input_dropout": 0.3, "learning_rate_init": 0.03}
    weighted = fit(make(batch_size=90, **settings), X, y, sample_weight=weight)
    repeated = fit(make(batch_size=180, **settings), X.repeat(weight, axis=0), y.repeat(weight))
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    everything = make(batch_size=90, **settings | {"input_dropout": 0})
    fit(everything, X, y, sample_weight=weight)
    assert np.abs(everything.coefs_[0] - weighted.coefs_[0]).max() > 0.01


def test_calls_of_partial_fit_with_one_seed_leave_out_different_columns():
    X, y = np.random.RandomState(0).normal(size=(40, 60)), np.arange(40) % 2
    settings = {"solver": "sgd", "momentum": 0, "alpha": 0, "hidden_layer_sizes": ()}
    settings |= PLAIN | {"batch_size": 40}

    def columns_used(model):
        """A column that is left out has no gradient."""
        before = model.coefs_[0].copy()
        model.partial_fit(X, y)
        return (model.coefs_[0] != before).ravel()

    def start():
        return make(**settings | {"input_dropout": 0.5}).partial_fit(X, y, classes=[0, 1])

    model, twin = start(), start()
    used = [columns_used(model) for _ in range(4)]
    assert_array_equal([columns_used(twin) for _ in range(4)], used)
    assert len({mask.tobytes() for mask in used}) == 4
    assert 0.3 < np.mean(used) < 0.7
    assert columns_used(start().set_params(input_dropout=0)).all()


UNEQUAL = np.random.RandomState(0).uniform(0, 1, size=600)
WORTH = effective_number(NUMBERS[:600], UNEQUAL)


@pytest.mark.parametrize(
    ("settings", "X", "y", "weight", "share"),
    [
        ({}, DIGITS[:200], NUMBERS[:200], None, 0.15),
        ({}, DIGITS, NUMBERS, None, 0),
        ({}, DIGITS[:600], NUMBERS[:600], None, 64 / 600 - 0.05),
        ({}, DIGITS[:600], NUMBERS[:600], np.full(600, 0.4), 64 / 600 - 0.05),
        ({}, DIGITS[:600], NUMBERS[:600], UNEQUAL, 64 / WORTH - 0.05),
        ({}, IRIS, KINDS, None, 0),
        ({"input_dropout": 0.25}, IRIS, KINDS, None, 0.25),
        ({"input_dropout": 0}, DIGITS[:200], NUMBERS[:200], None, 0),
    ],
)
def test_input_dropout_as_fitted(settings, X, y, weight, share):
    model = fit(make(max_iter=1, **settings), X, y, sample_weight=weight)
    assert model.input_dropout_ == pytest.approx(share, abs=1e-12)


def test_inputs_are_left_out_in_training_only():
    X, y = DIGITS[:200], NUMBERS[:200]
    model = fit(make(input_dropout=0.5), X, y)
    assert_array_equal(model.predict_proba(X), model.predict_proba(X))
    (W1, W2), (b1, b2) = model.coefs_, model.intercepts_
    z = 1 / (1 + np.exp(-scaled(X, X) @ W1 - b1)) @ W2 + b2
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    assert_allclose(model.predict_proba(X), p, rtol=1e-6)


def test_lbfgs_leaves_nothing_out():
    settings = {"solver": "lbfgs", "max_iter": "auto", "hidden_layer_sizes": ()}
    with_, without = (make(**settings, input_dropout=share).fit(IRIS, KINDS) for share in (0.5, 0))
    assert_array_equal(with_.coefs_[0], without.coefs_[0])
