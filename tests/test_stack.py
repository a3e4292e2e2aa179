"""A stack of networks equals its networks trained one by one."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from jobs import make_job
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.losses import LOSSES
from sknn_scratch.training.grouping import stack_key
from sknn_scratch.training.lbfgs import train_lbfgs
from sknn_scratch.training.loop import Stack, train
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import SGD, Adam
from sknn_scratch.training.stopping import NoImprovement
from sknn_scratch.training.trainer import train_all


def sources_of(state):
    """States of the sources of random numbers."""
    sources = (state.rng, state.dropout_rng)
    return [source and pickle.dumps(source.get_state(legacy=False)) for source in sources]


def assert_same_as_alone(make_jobs):
    """Train the jobs of make_jobs() as one stack and one by one, and compare all results."""
    together = train(make_jobs())
    alone = [train([job])[0] for job in make_jobs()]
    for a, b in zip(together, alone, strict=True):
        assert_allclose(a.theta, b.theta, rtol=1e-10, atol=1e-14)
        for name in ("loss_curve", "validation_loss_curve", "scores", "noise"):
            assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-10)
        for name in ("n_iter", "stop_reason", "steps", "plateaus", "samples_seen"):
            assert getattr(a, name) == getattr(b, name), name
        assert a.stopping.count == b.stopping.count
        assert_allclose(a.stopping.best_score, b.stopping.best_score, rtol=1e-10)
        assert a.solver.keys() == b.solver.keys()
        for name in a.solver:
            assert_allclose(a.solver[name], b.solver[name], rtol=1e-9, atol=1e-14)
        assert sources_of(a) == sources_of(b)
        assert_array_equal(a.order, b.order)
    assert len({id(result.rng) for result in together}) == len(together)
    return together


@pytest.mark.parametrize("loss, output", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_networks_that_differ_in_all_that_may_differ(activation, loss, output):
    def make_jobs():
        rng = np.random.RandomState(0)
        return [
            make_job(
                rng,
                n=23,
                sizes=(4, 5, 3, 2),
                output=output,
                activation=activation,
                loss=loss,
                weighted=k % 2 == 0,
                solver=Adam(beta_1=0.9 - 0.1 * k, beta_2=0.99, epsilon=10.0**-k),
                schedule=Schedule(["constant", "cosine", "constant"][k], 0.01 * (k + 1)),
                alpha=0.1 * k,
                weight_decay=[0.0, 0.5, 0.1][k],
                batch_size=5,
                max_iter=[12, 7, 9][k],
                shuffle=k != 1,
            )
            for k in range(3)
        ]

    together = assert_same_as_alone(make_jobs)
    assert [result.n_iter for result in together] == [12, 7, 9]


@pytest.mark.parametrize("rates", [(0.0, 0.0, 0.0), (0.3, 0.0, 0.6)], ids=["all in", "left out"])
def test_inputs_left_out_and_decay_scaled_by_the_noise(rates):
    def make_jobs():
        rng = np.random.RandomState(7)
        return [
            make_job(
                rng,
                n=23,
                weighted=k == 1,
                batch_size=5,
                max_iter=[12, 8, 20][k],
                weight_decay=[2.0, 0.5, 1.0][k],
                measures_noise=k < 2,
                input_dropout=rate,
                start={
                    "dropout_rng": np.random.RandomState(k) if rate else None,
                    "noise": [0.0, 1.0, 0.3][k],
                },
            )
            for k, rate in enumerate(rates)
        ]

    together = assert_same_as_alone(make_jobs)
    for k, (job, result) in enumerate(zip(make_jobs(), together, strict=True)):
        if not job.measures_noise:
            assert result.noise == 0.3
        else:
            noise = result.loss_curve[[3, 2][k] - 1] / job.baseline
            assert result.noise == pytest.approx(min(1, noise), rel=1e-12)


@pytest.mark.parametrize("loss", ["squared_error", "guarded_squared_error", "log_loss"])
def test_networks_of_the_same_table_and_of_others(loss):
    def make_jobs():
        jobs = []
        for table in range(2):
            rng = np.random.RandomState(10 + table)
            rows = make_job(rng, n=23, weighted=table == 1, loss=loss)
            for k in range(3):
                job = make_job(
                    rng,
                    n=23,
                    batch_size=5,
                    sample_weight=rows.sample_weight,
                    X=rows.X,
                    Y=rows.Y,
                    guard=rows.guard,
                    loss=loss,
                    input_dropout=0.3 * table,
                    start={
                        "rng": np.random.RandomState(table),
                        "dropout_rng": np.random.RandomState(table) if table else None,
                    },
                    schedule=Schedule("cosine", 0.01 * (k + 1)),
                    max_iter=[3, 6, 6][k],
                )
                jobs.append(job)
        return jobs

    sampler = Stack(make_jobs()).sampler
    assert sampler.K == (6,)
    assert len(sampler.X) == 23 * 2, "a table that several networks see is there once"
    together = assert_same_as_alone(make_jobs)
    assert [result.n_iter for result in together] == [3, 6, 6] * 2
    # What they have drawn from is their own.
    assert sources_of(together[0]) != sources_of(together[1]) == sources_of(together[2])


CHOICE = np.array([20, 3, 4, 11, 12, 22, 5, 9, 0, 1])


@pytest.mark.parametrize("container", [np.asarray, csr_matrix])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_rows_to_learn_from_are_as_good_as_a_table_of_their_own(weighted, shuffle, container):
    def make(*, taken):
        job = make_job(np.random.RandomState(0), n=23, weighted=weighted, shuffle=shuffle)
        job = replace(job, X=container(job.X), batch_size=4)
        if not taken:
            return replace(job, rows=CHOICE)
        parts = (job.X, job.Y, job.sample_weight)
        X, Y, weight = (None if part is None else part[CHOICE] for part in parts)
        return replace(job, X=X, Y=Y, sample_weight=weight)

    chosen, alone = (train([make(taken=taken)])[0] for taken in (False, True))
    assert_array_equal(chosen.theta, alone.theta)
    assert chosen.loss_curve == alone.loss_curve
    assert chosen.samples_seen == alone.samples_seen == 50
    assert_array_equal(chosen.order, CHOICE[alone.order])
    chosen, alone = (train_lbfgs(make(taken=taken), 1e-4, 100) for taken in (False, True))
    assert_array_equal(chosen.theta, alone.theta)


def test_stacks_of_rows_to_learn_from():
    def make_jobs():
        rng = np.random.RandomState(0)
        table = make_job(rng, n=23, loss="guarded_squared_error")
        return [
            make_job(
                rng,
                loss="guarded_squared_error",
                X=table.X,
                Y=table.Y,
                rows=rows,
                guard=table.guard * (k + 1),
                batch_size=4,
                schedule=Schedule("constant", 0.01 * (k + 1)),
                start={"rng": np.random.RandomState(0)},
            )
            for k, rows in enumerate([CHOICE, CHOICE, CHOICE + 1 - CHOICE // 22])
        ]

    assert_same_as_alone(make_jobs)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_schedules_and_stopping(nesterov):
    def make_jobs():
        rng = np.random.RandomState(1)
        return [
            make_job(
                rng,
                n=30,
                batch_size=7,
                solver=SGD(momentum=0.5 + 0.1 * k, nesterovs_momentum=nesterov),
                schedule=Schedule(name, 0.1, power_t=0.5),
                max_iter=[80, 80, 80, 4][k],
                stopping=NoImprovement(1e-3, n_iter_no_change=2 + k, keep_best=False),
            )
            for k, name in enumerate(["adaptive", "invscaling", "constant", "constant"])
        ]

    together = assert_same_as_alone(make_jobs)
    assert {result.stop_reason for result in together} == {"stalled", "max_iter"}
    assert together[0].plateaus > 0


def test_each_network_gets_its_own_records_and_best_parameters():
    seen = {}

    def make_jobs():
        rng = np.random.RandomState(2)
        jobs = []
        for k in range(3):
            seen[k] = []
            job = make_job(
                rng,
                max_iter=4 + k,
                hold_out=lambda theta: (theta[0], float(-np.abs(theta).sum())),
                stopping=NoImprovement(0.0, np.inf, keep_best=True),
                callbacks=[lambda epoch, k=k: seen[k].append(epoch)],
            )
            jobs.append(job)
        return jobs

    jobs = make_jobs()
    results = train(jobs)
    for k, result in enumerate(results):
        assert [epoch.number for epoch in seen[k]] == list(range(1, 5 + k))
        assert [epoch.loss for epoch in seen[k]] == result.loss_curve
        assert [epoch.validation_loss for epoch in seen[k]] == result.validation_loss_curve
        assert [epoch.score for epoch in seen[k]] == result.scores
        assert result.validation_loss_curve[-1] == result.theta[0]
        assert len(result.scores) == result.n_iter == 4 + k
        assert result.stopping.best_score == max(result.scores)
        assert -np.abs(result.stopping.best_theta).sum() == max(result.scores)


def test_a_network_that_diverges_leaves_and_the_others_go_on():
    def make_jobs():
        rng = np.random.RandomState(3)
        jobs = [
            make_job(
                rng,
                activation="identity",
                loss="log_loss",
                solver=SGD(),
                schedule=Schedule("constant", lr),
                max_iter=60,
            )
            for lr in (0.01, 1e6, 0.02)
        ]
        return jobs

    results = train(make_jobs())
    assert [result.stop_reason for result in results] == ["max_iter", "diverged", "max_iter"]
    assert results[1].n_iter < 60
    (alone,) = train([make_jobs()[2]])
    assert_allclose(results[2].theta, alone.theta, rtol=1e-10)


def test_an_interrupt_keeps_what_every_network_has_learnt():
    rng = np.random.RandomState(4)

    def interrupt(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    jobs = [make_job(rng), make_job(rng, callbacks=[interrupt])]
    start = [job.start.theta.copy() for job in jobs]
    results = train(jobs)
    assert [result.stop_reason for result in results] == ["interrupted"] * 2
    assert [result.n_iter for result in results] == [3, 3]
    for theta, result in zip(start, results, strict=True):
        assert np.abs(result.theta - theta).max() > 1e-3


def test_a_job_keeps_its_own_parameters_and_data():
    rng = np.random.RandomState(5)
    job = make_job(rng, weighted=True)
    arrays = [job.start.theta, job.X, job.Y, job.sample_weight]
    before = [array.copy() for array in arrays]
    train([job])
    for array, copy in zip(arrays, before, strict=True):
        assert_array_equal(array, copy)


def test_stack_key_tells_apart_what_cannot_share_a_stack():
    def key(**changes):
        return stack_key(make_job(np.random.RandomState(0), **changes))

    assert key() == key(alpha=1.0, weight_decay=0.5, max_iter=9, solver=Adam(0.5), weighted=True)
    for changes in (
        {"sizes": (3, 5, 2)},
        {"n": 8},
        {"batch_size": 3},
        {"activation": "relu"},
        {"loss": "log_loss"},
        {"output": "logistic"},
        {"dtype": np.float32},
        {"solver": SGD()},
    ):
        assert key() != key(**changes), changes
    assert key(solver=SGD()) != key(solver=SGD(nesterovs_momentum=False))


def test_weight_decay_shrinks_weights_and_not_biases():
    rng = np.random.RandomState(6)
    lr, decay, steps = 0.01, 2.0, 3
    # Rows that have no weight have no gradient, and so decay is all there is.
    job = make_job(
        rng,
        schedule=Schedule("constant", lr),
        weight_decay=decay,
        max_iter=steps,
        sample_weight=np.zeros((7, 1)),
    )
    (result,) = train([job])
    expected = job.start.theta.copy()
    expected[:20] *= (1 - lr * decay) ** steps
    assert_allclose(result.theta, expected, rtol=1e-12)


def test_a_stack_that_ends_early_does_not_keep_the_others_from_training():
    rng = np.random.RandomState(0)
    jobs = [make_job(rng, sizes=(3, n, 2), callbacks=[lambda epoch: True]) for n in (4, 5)]
    assert [result.stop_reason for result in train_all(jobs)] == ["callback"] * 2
