"""Solvers, schedules, stopping and batches, each judged by its formula written out."""

import math
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils import gen_batches

from sknn_scratch.estimator.plan import equal_batches, learning_rate_for, planned_epochs
from sknn_scratch.training.sampling import batch_slices
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import SGD, Adam, stacked
from sknn_scratch.training.stopping import NoImprovement, StoppingState


def adam_by_the_book(theta, grads, lr, beta_1, beta_2, epsilon):
    """Kingma and Ba's algorithm 1 in the order of the end of their section 2."""
    m = v = 0
    for t, g in enumerate(grads, start=1):
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        size = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        theta = theta - size * m / (np.sqrt(v) + epsilon)
    return theta


def test_means_stay_when_the_betas_change():
    theta, grads = problem()
    before, after = Adam(0.9, 0.999, 1e-8), Adam(0.5, 0.9, 1e-8)
    found, grad = theta.copy(), np.empty_like(theta)
    state = before.new_state(found)
    m = v = 0
    for solver, some in [(before, grads[:10]), (after, grads[10:])]:
        state = solver.taken_over(state, asdict(before))
        take_step = solver.bound(found, grad, state)
        for g in some:
            grad[:] = g
            take_step(solver.step_size(np.array(0.1), np.array(7)))
            m = solver.beta_1 * m + (1 - solver.beta_1) * g
            v = solver.beta_2 * v + (1 - solver.beta_2) * g**2
            size = 0.1 * math.sqrt(1 - solver.beta_2**7) / (1 - solver.beta_1**7)
            theta = theta - size * m / (np.sqrt(v) + 1e-8)
    # Steps differ by 1e-14 where NumPy's power differs from Python's in the last bit of 0.999**7,
    # since 1 less that is 0.007. A parameter that ends near 0 has come from about 1.
    assert_allclose(found, theta, rtol=1e-12, atol=1e-12)


def test_a_state_is_taken_over_to_the_last_bit_and_as_a_copy():
    theta, grads = problem()
    for solver in (SGD(0.9), Adam()):
        state = solver.new_state(theta)
        grad = grads[0].copy()
        solver.bound(theta.copy(), grad, state)(np.array(0.1))
        taken = solver.taken_over(state, asdict(solver))
        for name in state:
            assert_array_equal(taken[name], state[name])
            assert not np.shares_memory(taken[name], state[name])


def sgd_by_the_book(theta, grads, lr, momentum, nesterov):
    u = 0
    for g in grads:
        u = momentum * u - lr * g
        theta = theta + (momentum * u - lr * g if nesterov else u)
    return theta


def run(solver, theta, grads, lr):
    theta, grad = theta.copy(), np.empty_like(theta)
    take_step = solver.bound(theta, grad, solver.new_state(theta))
    for step, g in enumerate(grads, start=1):
        grad[:] = g
        take_step(solver.step_size(np.asarray(lr), np.array(step)))
    return theta


def problem():
    rng = np.random.RandomState(0)
    return rng.normal(size=(3, 6)), rng.normal(size=(20, 3, 6))


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.99), (0.5, 0.0)])
@pytest.mark.parametrize("epsilon", [1e-8, 0.1])
def test_adam(betas, epsilon):
    theta, grads = problem()
    found = run(Adam(*betas, epsilon), theta, grads, 0.1)
    assert_allclose(found, adam_by_the_book(theta, grads, 0.1, *betas, epsilon), rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd(momentum, nesterov):
    theta, grads = problem()
    found = run(SGD(momentum, nesterov), theta, grads, 0.1)
    assert_allclose(found, sgd_by_the_book(theta, grads, 0.1, momentum, nesterov), rtol=1e-12)


def test_settings_may_differ_within_a_stack():
    theta, grads = problem()
    lr = np.array([[0.1], [0.01], [1.0]])
    solvers = [Adam(0.9, 0.999, 1e-8), Adam(0.8, 0.99, 1e-8), Adam(0.0, 0.9, 1e-8)]
    together = stacked(solvers, (3,), np.float64)
    assert together.epsilon == 1e-8
    assert_array_equal(together.beta_1, [[0.9], [0.8], [0.0]])
    found = run(together, theta, grads, lr)
    for k, solver in enumerate(solvers):
        alone = run(solver, theta[k : k + 1], grads[:, k : k + 1], lr[k])
        assert_allclose(found[k : k + 1], alone, rtol=1e-12)


def test_schedules():
    share, seen = np.array([0.0, 0.25, 0.5]), np.array([0, 0, 99])
    assert_array_equal(Schedule("constant", 0.2)(share, seen, 3), [0.2] * 3)
    assert_allclose(Schedule("invscaling", 0.2, 0.5)(share, seen, 3), [0.2, 0.2, 0.02])
    assert_allclose(Schedule("adaptive", 0.2)(share, seen, 2), [0.008] * 3)
    expected = [0.2, 0.1 * (1 + math.cos(math.pi / 4)), 0.1]
    assert_allclose(Schedule("cosine", 0.2)(share, seen, 2), expected)


def test_only_an_adaptive_rate_comes_down_on_a_plateau_and_not_for_ever():
    assert not Schedule("constant", 0.1).lowers_on_plateau(0)
    schedule = Schedule("adaptive", 0.1)
    lowered = [schedule.lowers_on_plateau(plateaus) for plateaus in range(10)]
    # 0.1 / 5**7 = 1.28e-6 is lowered once more, 0.1 / 5**8 = 2.6e-7 is not.
    assert lowered == [True] * 8 + [False] * 2


def states_after(rule, scores):
    """State of the rule after each score; the parameters of an epoch are its score."""
    state, states = StoppingState(), []
    for score in scores:
        state = rule.update(state, score, np.array([score]))
        states.append(state)
    return states


def test_stopping_counts_epochs_without_progress():
    rule = NoImprovement(tol=0.5, n_iter_no_change=2, keep_best=True)
    states = states_after(rule, [1.0, 1.2, 2.0, 2.4, 2.1, 2.2])
    assert [state.count for state in states] == [0, 1, 0, 1, 2, 3]
    assert [rule.has_stalled(state) for state in states] == [False] * 5 + [True]
    assert [state.best_score for state in states] == [1.0, 1.2, 2.0, 2.4, 2.4, 2.4]
    assert_array_equal(states[-1].best_theta, [2.4])


def test_stopping_keeps_a_copy_and_only_if_asked():
    theta = np.zeros(2)
    keeping, forgetting = (
        NoImprovement(0.0, 1, keep_best=keep).update(StoppingState(), 1.0, theta)
        for keep in (True, False)
    )
    theta += 1
    assert_array_equal(keeping.best_theta, [0, 0])
    assert forgetting.best_theta is None


def test_stopping_with_nan_and_with_infinite_patience():
    rule = NoImprovement(tol=0.0, n_iter_no_change=math.inf, keep_best=False)
    states = states_after(rule, map(float, range(150, 0, -1)))
    assert not any(map(rule.has_stalled, states))
    assert states[-1].count == 149
    after = rule.update(states[-1], math.nan, np.zeros(1))
    assert not rule.has_stalled(after)
    assert (after.best_score, after.count) == (150.0, 0)


@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (10, 3), (10, 10), (9, 3)])
def test_batch_slices(n, batch_size):
    assert list(batch_slices(n, batch_size)) == list(gen_batches(n, batch_size))


@pytest.mark.parametrize(
    ("n", "batch_size", "hidden_sizes", "epochs"),
    [
        (4, 4, (200,), 250),  # one update an epoch: at least 250
        (150, 150, (), 250),
        (150, 50, (200, 10), 267),  # 800 updates, three an epoch
        (150, 150, (1,), 8000),
        (2000, 200, (200,), 60),  # 600 updates
        (40_000, 200, (200,), 30),  # at most 6,000
        (1_000_000, 1000, (200, 200), 30),
        (100_000_000, 200, (1,), 1),
    ],
)
def test_planned_epochs(n, batch_size, hidden_sizes, epochs):
    assert planned_epochs(n, batch_size, hidden_sizes) == epochs


@given(
    n=st.integers(1, 10**6),
    batch_size=st.integers(1, 10**6),
    hidden_sizes=st.lists(st.integers(1, 1000), max_size=3),
)
def test_as_many_epochs_as_it_takes_and_not_one_more(n, batch_size, hidden_sizes):
    epochs, updates = planned_epochs(n, batch_size, hidden_sizes), -(-n // batch_size)
    least = max(250, 8000 / min(hidden_sizes, default=8000))
    most = 30 * math.sqrt(n)
    assert epochs * updates >= least
    if epochs > 60:
        assert (epochs - 1) * updates < least
    elif epochs < 60:
        assert epochs * updates >= most
        assert (epochs - 1) * updates < max(least, most)


@given(n=st.integers(1, 10**7))
def test_equal_batches(n):
    size = equal_batches(n)
    sizes = [rows.stop - rows.start for rows in batch_slices(n, size)] if n < 10**4 else [size]
    # As many batches as those of 64 rows would be, rounded; each as full as the others make it.
    n_batches = max(1, round(n / 64))
    assert size == -(-n // n_batches)
    assert math.ceil(n / size) <= n_batches
    assert sum(sizes) == n or len(sizes) == 1
    assert size <= n
    assert 43 <= size <= 95 or size == n < 43


@pytest.mark.parametrize(
    ("n", "size"), [(1, 1), (95, 95), (96, 48), (97, 49), (128, 64), (150, 75), (64_001, 65)]
)
def test_equal_batches_of_some_tables(n, size):
    assert equal_batches(n) == size


@pytest.mark.parametrize(
    ("solver", "hidden_sizes", "n_updates", "rate"),
    [
        ("adam", (200,), 250, 0.01),
        ("adam", (200,), math.inf, 0.01),
        ("adam", (), 250, 0.01),
        ("adam", (40, 300), 1000, 0.01),
        ("adam", (100, 8), 1000, 0.05),
        ("adam", (200,), 125, 0.01 * 2 ** (1 / 3)),  # half of 250
        ("adam", (200,), 32, 0.01 * (250 / 32) ** (1 / 3)),
        ("adam", (200,), 31, 0.02),
        ("adam", (200,), 1, 0.02),
        ("adam", (100, 8), 500, 0.05 * 2 ** (1 / 3)),  # half of 8,000 / 8
        ("sgd", (200,), 250, 0.1),
        ("sgd", (200,), 1, 0.1),
        ("sgd", (1,), math.inf, 4.0),
        ("lbfgs", (200,), 1, 0.01),
    ],
)
def test_learning_rate_for(solver, hidden_sizes, n_updates, rate):
    assert learning_rate_for(solver, hidden_sizes, n_updates, 0.01) == pytest.approx(
        rate, rel=1e-12
    )


@given(
    n=st.integers(1, 10**6),
    batch_size=st.integers(1, 10**6),
    hidden_sizes=st.lists(st.integers(1, 1000), max_size=3),
)
def test_a_run_as_long_as_planned_needs_no_haste(n, batch_size, hidden_sizes):
    n_updates = planned_epochs(n, batch_size, hidden_sizes) * -(-n // batch_size)
    rate = learning_rate_for("adam", hidden_sizes, n_updates, 0.01)
    assert rate == learning_rate_for("adam", hidden_sizes, math.inf, 0.01)
