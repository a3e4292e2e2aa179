"""How many threads BLAS may use while networks train."""

import warnings

import numpy as np
import pytest
from jobs import make_job
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.network.activations import ACTIVATIONS, Activation
from sknn_scratch.network.layers import Architecture, n_params
from sknn_scratch.network.model import Network
from sknn_scratch.network.threads import NEVER_SHARED, WORTH_SHARING, threads_for
from sknn_scratch.training.lbfgs import train_lbfgs
from sknn_scratch.training.loop import train


def blas_threads():
    """Most threads of any BLAS library in this process."""
    return max(info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas")


@pytest.fixture
def two_threads():
    with threadpool_limits(limits=2, user_api="blas"):
        if blas_threads() != 2:
            pytest.fail("BLAS does not let itself be set to two threads")
        yield


def test_small_products_get_one_thread_and_large_ones_all(two_threads):
    for multiplications in (NEVER_SHARED + 1, WORTH_SHARING - 1):
        with threads_for(multiplications):
            assert blas_threads() == 1
        assert blas_threads() == 2
    for multiplications in (NEVER_SHARED, WORTH_SHARING):
        with threads_for(multiplications):
            assert blas_threads() == 2


def test_the_limit_holds_until_the_last_has_left(two_threads):
    first, second = threads_for(NEVER_SHARED + 1), threads_for(NEVER_SHARED + 1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert blas_threads() == 1
    second.__exit__(None, None, None)
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


@pytest.mark.parametrize("settings", [{}, {"dtype": "float32"}, {"solver": "lbfgs"}], ids=str)
@pytest.mark.parametrize(
    ("shape", "hidden"), [((60, 2), 200), ((400, 30), 1000), ((4, 2), (128, 128))], ids=str
)
def test_a_fit_does_not_depend_on_the_number_of_threads(shape, hidden, settings):
    X, y = np.random.RandomState(0).normal(size=shape), np.arange(shape[0]) % 2
    found = []
    for n_threads in (1, 2):
        with threadpool_limits(limits=n_threads, user_api="blas"), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            clf = ScratchMLPClassifier(hidden, max_iter=3, random_state=0, **settings).fit(X, y)
            found.append([*clf.coefs_, *clf.intercepts_, clf.predict_proba(X)])
    for one, other in zip(*found, strict=True):
        assert_array_equal(one, other)


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
