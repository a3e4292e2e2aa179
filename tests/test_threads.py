"""BLAS keeps to one thread, and several take blocks of work: nobody can tell from results."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from dataclasses import replace

import numpy as np
import pytest
from joblib import Parallel, delayed
from jobs import make_job
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor
from sknn_scratch.network import losses
from sknn_scratch.network.activations import ACTIVATIONS, Activation
from sknn_scratch.network.initialisation import initialise_by_data
from sknn_scratch.network.layers import Architecture, Layer, layers_of, n_params
from sknn_scratch.network.model import Network
from sknn_scratch.network.threads import NEVER_SHARED, in_blocks, one_thread_for
from sknn_scratch.training import cutting, solvers
from sknn_scratch.training.lbfgs import train_lbfgs
from sknn_scratch.training.loop import train
from sknn_scratch.training.sampling import Sampler
from sknn_scratch.training.solvers import SGD, Adam
from sknn_scratch.training.stopping import NoImprovement

LONG = 300  #: Seconds after which what is waited for will not come, on a busy machine either.

# An epoch or a few do not get far.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def blas_threads():
    """Most threads of any BLAS library in this process."""
    return max(info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas")


def threads(n):
    """Context in which BLAS would use n threads."""
    return threadpool_limits(limits=n, user_api="blas")


@pytest.fixture
def two_threads():
    with threads(2):
        if blas_threads() != 2:
            pytest.fail("BLAS does not let itself be set to two threads")
        yield


def helpers():
    return [t for t in threading.enumerate() if t.name == "sknn_scratch-helper"]


# ---------------------------------------------------------------- one thread for BLAS


def test_all_but_tiny_products_get_one_thread(two_threads):
    for multiplications in (NEVER_SHARED + 1, 1 << 40):
        with one_thread_for(multiplications):
            assert blas_threads() == 1
        assert blas_threads() == 2
    with one_thread_for(NEVER_SHARED):
        assert blas_threads() == 2


def test_the_limit_holds_until_the_last_has_left(two_threads):
    first, second = one_thread_for(NEVER_SHARED + 1), one_thread_for(NEVER_SHARED + 1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert blas_threads() == 1
    second.__exit__(None, None, None)
    assert blas_threads() == 2


def test_any_thread_limits_and_another_puts_back(two_threads):
    # The main thread has set the number before, which would keep others from it.
    seen = []
    entered, left = threading.Event(), threading.Event()

    def first():
        with one_thread_for(NEVER_SHARED + 1):
            seen.append(blas_threads())
            entered.set()
            assert left.wait(LONG)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(LONG)
    with one_thread_for(NEVER_SHARED + 1):
        left.set()
        thread.join()
        seen.append(blas_threads())
    assert seen == [1, 1]
    assert blas_threads() == 2
    with threads(3):  # and the main thread can set it as before
        assert blas_threads() == 3
    assert blas_threads() == 2


@pytest.mark.parametrize(
    "train_one", [lambda job: train([job]), lambda job: train_lbfgs(job, 0, 99)]
)
def test_training_limits_its_own_threads_only(two_threads, train_one):
    seen = []
    job = make_job(
        np.random.RandomState(0),
        sizes=(3, 600, 500, 2),
        max_iter=2,
        callbacks=[lambda epoch: seen.append(blas_threads())],
    )
    train_one(job)
    assert set(seen) == {1}
    assert blas_threads() == 2


def test_the_limit_ends_with_an_error_too(two_threads):
    def fail(epoch):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        train([make_job(np.random.RandomState(0), sizes=(3, 600, 500, 2), callbacks=[fail])])
    assert blas_threads() == 2


@pytest.mark.parametrize("cls", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_all_of_a_fit_limits_blas(two_threads, monkeypatch, cls):
    """A product that BLAS shares while another thread forks would wait for ever."""
    seen = []

    def spy(function):
        def looking(*arrays):
            if arrays[0].size > NEVER_SHARED:
                seen.append(blas_threads())
            return function(*arrays)

        return looking

    monkeypatch.setattr(np, "vdot", spy(np.vdot))
    monkeypatch.setattr("sknn_scratch.network.losses.inner", spy(losses.inner))
    X = np.random.RandomState(0).normal(size=(30_000, 1))
    y = X[:, 0] > 0
    # Products of its batches are tiny, which those over all rows are not.
    cls((2,), max_iter=1, batch_size=10_000).fit(X[:20_000], y[:20_000], X_val=X, y_val=y)
    assert len(seen) > 3
    assert set(seen) == {1}


def test_largest_product_of_a_network():
    architecture = Architecture((3, 50, 20, 2), "tanh", "softmax", "log_loss")
    assert architecture.largest_product(10) == 10 * 50 * 20


def test_predicting_limits_its_own_threads_only(two_threads, monkeypatch):
    seen = []
    looking = Activation(lambda z: seen.append(blas_threads()), None, 1.0)
    monkeypatch.setitem(ACTIVATIONS, "looking", looking)
    architecture = Architecture((3, 100, 1), "looking", "logistic", "log_loss")
    network = Network.from_theta(architecture, np.zeros(n_params(architecture.sizes)))
    network.outputs(np.zeros((2000, 3)))
    assert seen == [1]
    network.outputs(np.zeros((1, 3)))
    assert seen == [1, 2]
    network.hidden_activations(np.zeros((2000, 3)))
    network.hidden_activations(np.zeros((1, 3)))
    assert seen == [1, 2, 1, 2]
    assert blas_threads() == 2
    architecture = Architecture((100, 100, 1), "looking", "logistic", "log_loss")
    network = Network.from_theta(architecture, np.zeros(n_params(architecture.sizes)))
    network.outputs(np.zeros((1, 100)))  # one row, but of many weights
    assert seen.pop() == 1


def test_initialising_by_the_data_limits_blas(two_threads):
    seen = []

    class Looking(np.random.RandomState):
        def standard_cauchy(self, size):
            seen.append(blas_threads())
            return super().standard_cauchy(size)

    layer = Layer(np.ones((20, 30)), np.zeros((1, 30)))
    initialise_by_data(layer, np.random.RandomState(0).normal(size=(99, 20)), None, Looking(0))
    assert seen == [1]
    assert blas_threads() == 2


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 40])
def test_each_block_is_worked_on_once(n, n_threads):
    with threads(n_threads), one_thread_for(1 << 30):
        for _ in range(20):
            done = []
            in_blocks(done.append, n)
            assert sorted(done) == list(range(n))


@pytest.mark.parametrize("n", [3, 9])
def test_blocks_are_worked_on_at_the_same_time(n):
    # Each waits for the others: one after the other, they would wait for ever.
    together = threading.Barrier(n, timeout=LONG)
    with threads(n), one_thread_for(1 << 30):
        in_blocks(lambda i: together.wait(), n)


def test_one_thread_needs_no_helper():
    seen = set()
    with threads(1), one_thread_for(1 << 30):
        in_blocks(lambda i: seen.add(threading.current_thread()), 9)
    assert seen == {threading.current_thread()}


def test_blocks_within_blocks():
    done = []
    with threads(3), one_thread_for(1 << 30):
        in_blocks(lambda i: in_blocks(lambda j: done.append((i, j)), 4), 5)
    assert sorted(done) == [(i, j) for i in range(5) for j in range(4)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("raising", [0, 3, 7])
def test_an_error_in_a_block_is_raised_when_nobody_works_any_more(error, raising):
    at_work = set()

    def work(i):
        at_work.add(i)
        if i == raising:
            at_work.discard(i)
            raise error("of block 3")
        time.sleep(0.01)
        at_work.discard(i)

    with threads(3), one_thread_for(1 << 30):
        with pytest.raises(error, match="of block 3"):
            in_blocks(work, 8)
        assert not at_work
        in_blocks(work, raising)  # the helpers are still there


def test_an_interrupt_waits_for_blocks_that_have_begun():
    began, ended = threading.Event(), []

    def work(i):
        if threading.current_thread() is threading.main_thread():
            assert began.wait(LONG)
            raise KeyboardInterrupt
        began.set()
        time.sleep(0.1)
        ended.append(i)

    with threads(2), one_thread_for(1 << 30), pytest.raises(KeyboardInterrupt):
        in_blocks(work, 2)
    assert len(ended) == 1


def test_idle_helpers_sleep_and_keep_nothing():
    with threads(3), one_thread_for(1 << 30):
        array = np.zeros(10)
        seen = weakref.ref(array)
        together = threading.Barrier(3, timeout=LONG)

        def work(i, array=array):
            together.wait()

        in_blocks(work, 3)
        del array, work
        end = time.monotonic() + LONG
        while seen() is not None and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
        assert seen() is None
    if not hasattr(time, "pthread_getcpuclockid"):
        pytest.skip("the system tells no thread's own time")
    clocks = [time.pthread_getcpuclockid(helper.ident) for helper in helpers()]
    assert len(clocks) >= 2
    end, before, now = time.monotonic() + LONG, None, []
    while before != now and time.monotonic() < end:  # the last work may not have ended yet
        before = [time.clock_gettime(clock) for clock in clocks]
        time.sleep(0.2)
        now = [time.clock_gettime(clock) for clock in clocks]
    assert before == now
    assert len(helpers()) == len(clocks)


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_a_system_that_gives_no_threads(monkeypatch, error):
    def fail(thread):
        raise error

    monkeypatch.setattr(threading.Thread, "start", fail)
    done = []
    with threads(60), one_thread_for(1 << 30):
        in_blocks(done.append, 60)
    assert sorted(done) == list(range(60))


def test_warnings_of_overflow_stay_away_in_helpers():
    together = threading.Barrier(3, timeout=LONG)

    def work(i):
        together.wait()
        np.exp(np.full(600, 1e9))

    with (
        threads(3),
        one_thread_for(1 << 30),
        np.errstate(over="ignore"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        in_blocks(work, 3)


# ---------------------------------------------------------------- what is cut


@pytest.mark.parametrize("n", [1, 5, 127, 128, 300, 391, 5000])
@pytest.mark.parametrize("sizes", [(3, 4, 1), (784, 256, 10), (40, 3000, 2000, 3)], ids=str)
def test_cuts_cover_all_and_nothing_twice(n, sizes):
    rows = [slice(0, n)] if not (cuts := cutting.row_blocks(sizes, n)) else cuts
    assert_array_equal(np.concatenate([np.arange(n)[cut] for cut in rows]), np.arange(n))
    assert len(cuts) == 0 or min(cut.stop - cut.start for cut in cuts) >= cutting.LEAST_ROWS
    assert not any(cut.start % cutting.EVEN for cut in cuts)
    for layer, n_in in enumerate(sizes[:-1]):
        found = [np.arange(n_in)[b.inputs] for b in cutting.input_blocks(sizes) if b.layer == layer]
        assert_array_equal(np.sort(np.concatenate(found)), np.arange(n_in))


@pytest.mark.parametrize("sizes", [(3, 4, 1), (784, 256, 10), (40, 3000, 2000, 3)], ids=str)
def test_each_block_of_inputs_knows_where_its_parameters_are(sizes):
    theta = np.arange(n_params(sizes))
    layers, found = layers_of(theta, sizes), []
    for layer, inputs, weights, biases in cutting.input_blocks(sizes):
        assert inputs.start % cutting.EVEN == 0
        assert_array_equal(theta[weights], layers[layer].W[inputs].ravel())
        assert_array_equal(theta[biases], [] if inputs.start else layers[layer].b.ravel())
        found += [theta[weights], theta[biases]]
    assert_array_equal(np.sort(np.concatenate(found)), theta)


@pytest.mark.parametrize("is_cut", [False, True])
@pytest.mark.parametrize("sizes", [(3, 4, 1), (784, 256, 10)], ids=str)
def test_a_step_is_cut_with_updates_or_if_parameters_are_many(sizes, is_cut):
    many = n_params(sizes) >= cutting.MANY_PARAMETERS
    assert (len(cutting.step_blocks(sizes, is_cut)) > 0) == (is_cut or many)


def test_small_updates_are_not_cut():
    for sizes, n in (((3, 4, 1), 4), ((64, 100, 10), 200), ((30, 128, 128, 1), 256)):
        assert cutting.row_blocks(sizes, n) == []
        assert cutting.stack_parts(sizes, n, 2) == 1
    assert len(cutting.row_blocks((784, 256, 128, 10), 256)) == 2
    assert len(cutting.row_blocks((784, 1024, 1024, 10), 512)) == 4


#: What is not cut below these sizes, and where.
CUT_AT = (
    "WORTH_CUTTING",
    "LEAST_WORK",
    "LEAST_ROWS",
    "LEAST_INPUTS",
    "LEAST_WEIGHTS",
    "LEAST_WORK_OF_STACK",
    "MANY_PARAMETERS",
    "EVEN",
)


@pytest.fixture
def everything_is_cut(monkeypatch):
    """Cut even the smallest update."""
    for name in CUT_AT:
        monkeypatch.setattr(cutting, name, 1)


def trained_whole_and_cut(monkeypatch, make_jobs, train=train):
    """Results of jobs in one piece, and of the same in blocks on two threads."""
    whole = train(make_jobs())
    for name in CUT_AT:
        monkeypatch.setattr(cutting, name, 1)
    with threads(2):
        return whole, train(make_jobs())


def assert_alike(whole, cut):
    for a, b in zip(whole, cut, strict=True):
        assert_allclose(a.theta, b.theta, rtol=1e-9, atol=1e-12)
        assert_allclose(a.loss_curve, b.loss_curve, rtol=1e-9)
        assert (a.n_iter, a.stop_reason, a.steps) == (b.n_iter, b.stop_reason, b.steps)
        assert_array_equal(a.order, b.order)


@pytest.mark.parametrize("output", ["softmax", "logistic"])
@pytest.mark.parametrize("loss", ["squared_error", "guarded_squared_error", "log_loss"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_blocks_train_as_the_whole_does(monkeypatch, activation, loss, output):
    def make_jobs():
        return [
            make_job(
                np.random.RandomState(3),
                n=23,
                sizes=(4, 5, 3, 2),
                output=output,
                activation=activation,
                loss=loss,
                weighted=True,
                solver=Adam(epsilon=1e-3),
                alpha=0.1,
                weight_decay=0.5,
                input_dropout=0.3,
                start={"dropout_rng": np.random.RandomState(1)},
                batch_size=10,
                max_iter=5,
            )
        ]

    assert_alike(*trained_whole_and_cut(monkeypatch, make_jobs))


@pytest.mark.parametrize("n_networks", [1, 2])
@pytest.mark.parametrize("solver", [Adam(), SGD(), SGD(nesterovs_momentum=False)], ids=str)
def test_a_step_in_blocks_is_the_same_to_the_bit(monkeypatch, solver, n_networks):
    """Of one network; a stack takes its steps at once, however many parameters it has."""

    def make_jobs():
        rng = np.random.RandomState(3)
        settings = {"sizes": (4, 9, 2), "solver": solver, "weight_decay": 0.5}
        return [make_job(rng, **settings) for _ in range(n_networks)]

    whole = train(make_jobs())
    for name in ("MANY_PARAMETERS", "LEAST_INPUTS", "LEAST_WEIGHTS", "EVEN"):
        monkeypatch.setattr(cutting, name, 1)
    monkeypatch.setattr(solvers, "AT_ONCE", 4)
    with threads(2):
        cut = train(make_jobs())
    for a, b in zip(whole, cut, strict=True):
        assert_array_equal(a.theta, b.theta)
        for name, array in a.solver.items():
            assert_array_equal(array, b.solver[name])


def test_lbfgs_in_blocks_searches_as_the_whole_does(monkeypatch):
    def make_jobs():
        return make_job(np.random.RandomState(3), n=40, max_iter=8, weighted=True, alpha=0.1)

    whole, cut = trained_whole_and_cut(
        monkeypatch, make_jobs, lambda job: [train_lbfgs(job, 0, 999)]
    )
    assert_allclose(whole[0].theta, cut[0].theta, rtol=1e-6)


def test_sparse_rows_are_not_cut(monkeypatch):
    def make_jobs():
        job = make_job(np.random.RandomState(3), n=23, batch_size=10, max_iter=3)
        return [replace(job, X=csr_matrix(job.X))]

    whole, cut = trained_whole_and_cut(monkeypatch, make_jobs)
    assert_array_equal(whole[0].theta, cut[0].theta)


@pytest.mark.parametrize("shared", [False, True], ids=["own rows", "the same rows"])
def test_a_stack_in_parts_trains_as_the_whole_does(monkeypatch, shared):
    def make_jobs():
        jobs = []
        for k in range(7):
            job = make_job(
                np.random.RandomState(0 if shared else k),
                n=23,
                batch_size=10,
                max_iter=[12, 3, 9, 12, 5, 8, 20][k],
                stopping=NoImprovement(1e-4, 2, keep_best=False) if k == 6 else None,
                start={"dropout_rng": np.random.RandomState(7)},
                input_dropout=0.3,
            )
            if jobs and shared:
                job = replace(job, X=jobs[0].X, Y=jobs[0].Y, alpha=0.01 * k)
            jobs.append(job)
        return jobs

    whole, cut = trained_whole_and_cut(monkeypatch, make_jobs)
    assert_alike(whole, cut)
    assert len({id(result.rng) for result in cut}) == len(cut)


def test_an_interrupt_ends_all_parts_of_a_stack(everything_is_cut):
    def interrupt(epoch):
        if epoch.number == 2:
            raise KeyboardInterrupt

    jobs = [
        make_job(np.random.RandomState(k), max_iter=9, callbacks=[interrupt] if k == 3 else [])
        for k in range(5)
    ]
    with threads(2):
        results = train(jobs)
    assert [result.stop_reason for result in results] == ["interrupted"] * 5
    assert {result.n_iter for result in results} <= {1, 2}


# ---------------------------------------------------------------- the same to the bit

#: A network of which updates are cut, steps too, and predictions of as many rows as there are.
LARGE = {"hidden_layer_sizes": (500, 200), "max_iter": 1, "batch_size": 300, "random_state": 0}
SETTINGS = {
    "defaults": {},
    "float64": {"dtype": "float64"},
    "float32": {"dtype": "float32"},
    "sgd": {"solver": "sgd"},
    "lbfgs": {"solver": "lbfgs"},
    "inputs left out, a penalty, weights": {
        "input_dropout": 0.1,
        "alpha": 0.1,
        "class_weight": {0: 2},
    },
}


def large_fit(settings=()):
    """Parameters and probabilities of a fit that is cut into blocks."""
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(900, 200)), np.arange(900) % 3
    clf = ScratchMLPClassifier(**LARGE | dict(settings)).fit(X, y)
    return [clf.network_.theta, clf.predict_proba(np.tile(X, (3, 1))), np.array(clf.loss_curve_)]


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


def test_the_large_fit_is_cut(monkeypatch):
    sizes = (200, *LARGE["hidden_layer_sizes"], 3)
    blocks = cutting.row_blocks(sizes, LARGE["batch_size"])
    assert len(blocks) > 1
    assert len(cutting.input_blocks(sizes)) > len(sizes) - 1  # more than one of a layer
    filled, fill = [], Sampler.fill_block
    monkeypatch.setattr(
        Sampler, "fill_block", lambda self, block: (filled.append(block), fill(self, block))
    )
    large_fit()
    assert len(filled) == 3 * len(blocks), "each of three batches"


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_large_fit_does_not_depend_on_the_number_of_threads(settings):
    found = []
    for n_threads in (1, 2, 5):
        with threads(n_threads):
            found.append(large_fit(settings))
    assert len(helpers()) >= 4
    for other in found[1:]:
        assert_same_bits(found[0], other)


@pytest.mark.parametrize("settings", [{}, {"dtype": "float64"}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize(
    ("shape", "hidden"), [((60, 2), 200), ((400, 30), 1000), ((4, 2), (128, 128))], ids=str
)
def test_a_fit_does_not_depend_on_the_number_of_threads(shape, hidden, settings):
    X, y = np.random.RandomState(0).normal(size=shape), np.arange(shape[0]) % 2
    found = []
    for n_threads in (1, 2, 5):
        with threads(n_threads):
            clf = ScratchMLPClassifier(hidden, max_iter=3, random_state=0, **settings).fit(X, y)
            found.append([*clf.coefs_, *clf.intercepts_, clf.predict_proba(X)])
    for other in found[1:]:
        assert_same_bits(found[0], other)


def test_several_threads_fit_at_once():
    expected, found = large_fit(), {}

    def fit(k):
        found[k] = large_fit()

    with threads(3):
        at_once = [threading.Thread(target=fit, args=(k,)) for k in range(4)]
        for thread in at_once:
            thread.start()
        for thread in at_once:
            thread.join()
        assert blas_threads() == 3
    assert len(found) == 4
    for each in found.values():
        assert_same_bits(each, expected)


def fit_in_process(pipe, n_threads):
    with threads(n_threads):
        pipe.send(large_fit())


START_METHODS = [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()]


# From Python 3.12 on, a fork beside other threads is warned of.
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("method", START_METHODS)
def test_in_a_process_that_is(method):
    with threads(3):
        expected = large_fit()  # so there are helpers, which do not come along
        assert helpers()
        context = multiprocessing.get_context(method)
        ours, theirs = context.Pipe()
        process = context.Process(target=fit_in_process, args=(theirs, 3))
        process.start()
        assert ours.poll(LONG)
        assert_same_bits(ours.recv(), expected)
        process.join(LONG)
        assert process.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_fit():
    """A process that is forked while another thread trains neither hangs nor errs."""
    expected, stop = large_fit(), threading.Event()

    def train_on():
        while not stop.is_set():
            large_fit()

    with threads(2):
        thread = threading.Thread(target=train_on)
        thread.start()
        try:
            for _ in range(3):
                context = multiprocessing.get_context("fork")
                ours, theirs = context.Pipe()
                process = context.Process(target=fit_in_process, args=(theirs, 2))
                process.start()
                assert ours.poll(LONG)
                assert_same_bits(ours.recv(), expected)
                process.join(LONG)
        finally:
            stop.set()
            thread.join()


def blas_threads_in_a_fork():
    """How many threads BLAS has in a process that is forked here."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    child = os.fork()
    if child == 0:
        try:
            theirs.send(blas_threads())
        finally:
            os._exit(0)
    found = ours.recv() if ours.poll(60) else None
    os.waitpid(child, 0)
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_fork_is_limited_by_the_thread_that_came_along_alone(two_threads):
    with one_thread_for(NEVER_SHARED + 1):
        assert blas_threads_in_a_fork() == 1
    entered, left = threading.Event(), threading.Event()

    def limited():
        with one_thread_for(NEVER_SHARED + 1):
            entered.set()
            assert left.wait(120)

    thread = threading.Thread(target=limited)
    thread.start()
    try:
        assert entered.wait(30)
        assert blas_threads() == 1
        assert blas_threads_in_a_fork() == 2
    finally:
        left.set()
        thread.join()
    assert blas_threads_in_a_fork() == 2


@pytest.mark.xdist_group("processes")
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_in_workers_of_joblib(backend):
    expected = large_fit()
    for found in Parallel(n_jobs=2, backend=backend)(delayed(large_fit)() for _ in range(3)):
        assert_same_bits(found, expected)


def test_the_process_ends_with_its_helpers_asleep():
    code = (
        "import threading\n"
        "from threadpoolctl import threadpool_limits\n"
        "from sknn_scratch.network.threads import in_blocks, one_thread_for\n"
        f"together = threading.Barrier(3, timeout={LONG})\n"
        "with threadpool_limits(3, 'blas'), one_thread_for(1 << 30):\n"
        "    in_blocks(lambda i: together.wait(), 3)\n"
        "print(threading.active_count())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG, check=True
    )
    assert found.stdout.strip() == "3"
    assert found.stderr == ""


def test_prediction_of_many_rows_does_not_depend_on_the_number_of_threads():
    X, y = np.random.RandomState(0).normal(size=(6000, 3)), np.arange(6000) % 2
    clf = ScratchMLPClassifier((300,), max_iter=1, random_state=0).fit(X, y)
    found = []
    for n_threads in (1, 2, 5):
        with threads(n_threads):
            found.append([clf.predict(X), clf.predict_proba(X), clf.predict_log_proba(X)])
    for other in found[1:]:
        assert_same_bits(found[0], other)
    by_rows = np.concatenate([clf.predict_proba(part) for part in np.array_split(X, 13)])
    assert_allclose(found[0][1], by_rows, rtol=1e-5)
