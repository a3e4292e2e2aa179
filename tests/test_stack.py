"""A stack of networks equals its networks trained one by one."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from jobs import make_job
from numpy.testing import assert_allclose, assert_array_equal

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.losses import chance_loss
from sknn_scratch.training.loop import SolverProgress, Stack, state_of, train
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import SGD, Adam
from sknn_scratch.training.stopping import NoImprovement


def assert_same_as_alone(make_jobs):
    """Train the jobs of make_jobs() as one stack and one by one, and compare all results."""
    together = train(make_jobs())
    alone = [train([job])[0] for job in make_jobs()]
    for a, b in zip(together, alone, strict=True):
        assert_allclose(a.theta, b.theta, rtol=1e-10, atol=1e-14)
        for name in ("loss_curve", "validation_loss_curve", "scores"):
            assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-10)
        assert (a.n_iter, a.reason) == (b.n_iter, b.reason)
        assert (a.progress.steps, a.progress.plateaus) == (b.progress.steps, b.progress.plateaus)
        assert_allclose(a.progress.noise, b.progress.noise, rtol=1e-10)
        for name in a.progress.state:
            assert_allclose(a.progress.state[name], b.progress.state[name], rtol=1e-9, atol=1e-14)
    return together


@pytest.mark.parametrize("out_activation", ["softmax", "logistic"])
@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_networks_that_differ_in_all_that_may_differ(activation, loss, out_activation):
    def make_jobs():
        rng = np.random.RandomState(0)
        return [
            make_job(
                rng,
                n=23,
                sizes=(4, 5, 3, 2),
                out_activation=out_activation,
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
        jobs = []
        for k, rate in enumerate(rates):
            job = make_job(
                rng,
                n=23,
                weighted=k == 1,
                batch_size=5,
                max_iter=[12, 8, 20][k],
                weight_decay=[2.0, 0.5, 1.0][k],
                input_dropout=rate,
                dropout_rng=np.random.RandomState(k) if rate else None,
                progress=SolverProgress(noise=[0.0, 1.0, 0.3][k]),
            )
            if k < 2:
                job.chance = chance_loss(job.loss, job.out_activation, job.Y, job.sample_weight)
            jobs.append(job)
        return jobs

    together = assert_same_as_alone(make_jobs)
    for k, (job, result) in enumerate(zip(make_jobs(), together, strict=True)):
        if job.chance is None:
            assert result.progress.noise == 0.3
        else:
            noise = result.loss_curve[[3, 2][k] - 1] / job.chance
            assert result.progress.noise == pytest.approx(min(1, noise), rel=1e-12)


def streams_of_jobs(counts, max_iter, **changes):
    """Jobs that see the same rows in the same order, for each number of counts so many."""
    jobs = []
    for stream, count in enumerate(counts):
        rng = np.random.RandomState(10 + stream)
        rows = make_job(rng, n=23, weighted=stream == 1)
        for k in range(count):
            job = make_job(
                rng,
                n=23,
                batch_size=5,
                sample_weight=rows.sample_weight,
                input_dropout=0.3 * stream,
                dropout_rng=np.random.RandomState(stream) if stream else None,
                solver=Adam(beta_1=0.9 - 0.1 * k, beta_2=0.99),
                schedule=Schedule("cosine", 0.01 * (k + 1)),
                alpha=0.1 * k,
                weight_decay=0.5 * stream,
                max_iter=next(max_iter),
                **changes,
            )
            job.X, job.Y, job.rng = rows.X, rows.Y, np.random.RandomState(stream)
            jobs.append(job)
    return jobs


@pytest.mark.parametrize("loss", ["squared_error", "log_loss"])
@pytest.mark.parametrize(
    "counts, axes",
    [((3,), (1, 3)), ((2, 2), (2, 2)), ((3, 3, 3), (3, 3)), ((2, 3), (5,)), ((1, 1), (2,))],
)
def test_networks_that_see_the_same_rows_share_them(counts, axes, loss):
    def make_jobs(max_iter=(6,)):
        jobs = streams_of_jobs(counts, itertools.cycle(max_iter), loss=loss)
        return [jobs[k] for k in np.random.RandomState(0).permutation(len(jobs))]

    sampler = Stack(make_jobs()).sampler
    assert sampler.K == axes
    assert len(sampler.X) == 23 * len(counts)
    # All end at once; then one after the other, when what was shared no longer is.
    assert_same_as_alone(make_jobs)
    assert_same_as_alone(lambda: make_jobs([3, 6, 5, 9]))


def test_sources_of_random_numbers_go_on_where_training_has_left_them():
    def states(jobs):
        return [(state_of(job.rng), state_of(job.dropout_rng)) for job in jobs]

    def make_jobs():
        return streams_of_jobs((2, 2), itertools.cycle([3, 6, 6, 6]))

    together, alone = make_jobs(), make_jobs()
    sources = [(job.rng, job.dropout_rng) for job in together]
    train(together)
    for job in alone:
        train([job])
    assert states(together) == states(alone)
    assert [(job.rng, job.dropout_rng) for job in together] == sources


def test_stream_key_tells_apart_who_sees_other_rows():
    job, source = make_job(np.random.RandomState(0), weighted=True), np.random.RandomState

    def key(**changes):
        return replace(job, **({"rng": source(0)} | changes)).stream_key()

    assert key() == key(rng=source(0), alpha=1.0, theta=job.theta + 1, solver=SGD())
    drawn = source(0)
    drawn.normal()
    for changes in (
        {"X": job.X.copy()},
        {"Y": job.Y.copy()},
        {"sample_weight": job.sample_weight.copy()},
        {"rng": source(1)},
        {"rng": drawn},
        {"shuffle": False},
        {"input_dropout": 0.1, "dropout_rng": source(0)},
        {"resume": job.start()},
    ):
        assert key() != key(**changes), changes
    dropping = {"input_dropout": 0.1, "dropout_rng": source(0)}
    assert key(**dropping) != key(**dropping | {"dropout_rng": source(1)})
    assert key(**dropping) != key(**dropping | {"input_dropout": 0.2})


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
    assert {result.reason for result in together} == {"stalled", "max_iter"}
    assert together[0].progress.plateaus > 0


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
                validate=lambda theta: (theta[0], float(-np.abs(theta).sum())),
                stopping=NoImprovement(0.0, np.inf, keep_best=True),
                watchers=[lambda epoch, k=k: seen[k].append(epoch)],
            )
            jobs.append(job)
        return jobs

    jobs = make_jobs()
    results = train(jobs)
    for k, (job, result) in enumerate(zip(jobs, results, strict=True)):
        assert [epoch.number for epoch in seen[k]] == list(range(1, 5 + k))
        assert [epoch.loss for epoch in seen[k]] == result.loss_curve
        assert [epoch.validation_loss for epoch in seen[k]] == result.validation_loss_curve
        assert [epoch.score for epoch in seen[k]] == result.scores
        assert result.validation_loss_curve[-1] == result.theta[0]
        assert len(result.scores) == result.n_iter == 4 + k
        assert job.stopping.best_score == max(result.scores)
        assert -np.abs(job.stopping.best_theta).sum() == max(result.scores)


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
    assert [result.reason for result in results] == ["max_iter", "diverged", "max_iter"]
    assert results[1].n_iter < 60
    (alone,) = train([make_jobs()[2]])
    assert_allclose(results[2].theta, alone.theta, rtol=1e-10)


def test_an_interrupt_keeps_what_every_network_has_learnt():
    rng = np.random.RandomState(4)

    def interrupt(epoch):
        if epoch.number == 3:
            raise KeyboardInterrupt

    jobs = [make_job(rng), make_job(rng, watchers=[interrupt])]
    start = [job.theta.copy() for job in jobs]
    results = train(jobs)
    assert [result.reason for result in results] == ["interrupted"] * 2
    assert [result.n_iter for result in results] == [3, 3]
    for theta, result in zip(start, results, strict=True):
        assert np.abs(result.theta - theta).max() > 1e-3


def test_a_job_keeps_its_own_parameters_and_data():
    rng = np.random.RandomState(5)
    job = make_job(rng, weighted=True)
    before = [job.theta.copy(), job.X.copy(), job.Y.copy(), job.sample_weight.copy()]
    train([job])
    for array, copy in zip([job.theta, job.X, job.Y, job.sample_weight], before, strict=True):
        assert_array_equal(array, copy)


def test_stack_key_tells_apart_what_cannot_share_a_stack():
    def key(**changes):
        return make_job(np.random.RandomState(0), **changes).stack_key()

    assert key() == key(alpha=1.0, weight_decay=0.5, max_iter=9, solver=Adam(0.5), weighted=True)
    for changes in (
        {"sizes": (3, 5, 2)},
        {"n": 8},
        {"batch_size": 3},
        {"activation": "relu"},
        {"loss": "log_loss"},
        {"out_activation": "logistic"},
        {"dtype": np.float32},
        {"solver": SGD()},
    ):
        assert key() != key(**changes), changes
    assert key(solver=SGD()) != key(solver=SGD(nesterovs_momentum=False))


def test_weight_decay_shrinks_weights_and_not_biases():
    rng = np.random.RandomState(6)
    lr, decay, steps = 0.01, 2.0, 3
    # Without weights on the rows there is no gradient, and so decay is all there is.
    job = make_job(
        rng,
        schedule=Schedule("constant", lr),
        weight_decay=decay,
        max_iter=steps,
        sample_weight=np.zeros(7),
    )
    (result,) = train([job])
    expected = job.theta.copy()
    expected[:20] *= (1 - lr * decay) ** steps
    assert_allclose(result.theta, expected, rtol=1e-12)
