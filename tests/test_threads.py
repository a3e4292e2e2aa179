"""How many threads BLAS may use while networks train."""

import numpy as np
import pytest
from jobs import make_job
from threadpoolctl import threadpool_info, threadpool_limits

from sknn_scratch.threads import WORTH_SHARING, threads_for
from sknn_scratch.training import train, train_lbfgs


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
    with threads_for(WORTH_SHARING - 1):
        assert blas_threads() == 1
    assert blas_threads() == 2
    with threads_for(WORTH_SHARING):
        assert blas_threads() == 2


@pytest.mark.parametrize(
    "train_one", [lambda job: train([job]), lambda job: train_lbfgs(job, 0, 99)]
)
def test_training_limits_its_own_threads_only(two_threads, train_one):
    seen = []
    job = make_job(np.random.RandomState(0), watchers=[lambda epoch: seen.append(blas_threads())])
    train_one(job)
    assert set(seen) == {1}
    assert blas_threads() == 2


def test_the_limit_ends_with_an_error_too(two_threads):
    def fail(epoch):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        train([make_job(np.random.RandomState(0), watchers=[fail])])
    assert blas_threads() == 2


def test_largest_product_of_a_job():
    job = make_job(np.random.RandomState(0), sizes=(3, 50, 20, 2))
    assert job.largest_product(10) == 10 * 50 * 20
