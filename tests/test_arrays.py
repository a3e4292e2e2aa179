"""Products and sums, with and without the axis of the stack."""

import numpy as np
import pytest
import scipy.sparse
from numpy.testing import assert_allclose, assert_array_equal

from sknn_scratch.network.arrays import (
    MANY_ROWS,
    SHORT,
    inner,
    product,
    row_type,
    short_buffers,
    transposed,
)


@pytest.mark.parametrize("K", [(), (1,), (3,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_product_transposed_and_inner(K, dtype):
    rng = np.random.RandomState(0)
    a, b = rng.normal(size=(*K, 4, 5)).astype(dtype), rng.normal(size=(*K, 5, 2)).astype(dtype)
    # The sum may be near 0, but what is summed, and rounded, is of size 1 to 10.
    close = {"rtol": 100 * np.finfo(dtype).eps, "atol": 100 * np.finfo(dtype).eps}
    out = np.empty((*K, 4, 2), dtype=dtype)
    product(a, b, out)
    assert_allclose(out, np.einsum("...ij,...jk->...ik", a, b), **close)
    back = np.empty((*K, 5, 2), dtype=dtype)
    product(transposed(a), out, back)
    assert_allclose(back, np.einsum("...ij,...ik->...jk", a, out), **close)
    assert_allclose(inner(a, a), (a**2).sum(axis=(-1, -2)), **close)
    assert np.shape(inner(a, a)) == K


def test_buffers_are_short_only_for_a_while():
    before = np.getbufsize()
    with pytest.raises(KeyboardInterrupt), short_buffers():
        assert np.getbufsize() == SHORT != before
        raise KeyboardInterrupt
    assert np.getbufsize() == before


@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_product_with_a_sparse_matrix(container):
    rng = np.random.RandomState(0)
    a, b = rng.binomial(1, 0.3, size=(4, 5)) * 2.0, rng.normal(size=(5, 2))
    out, back = np.empty((4, 2)), np.empty((5, 2))
    product(container(a), b, out)
    product(transposed(container(a)), out, back)
    assert_array_equal(out, a @ b)
    assert_allclose(back, a.T @ (a @ b))


@pytest.mark.parametrize("n", [1, MANY_ROWS - 1, MANY_ROWS, 2**31, 2**31 + 1, 2**40])
def test_row_type_holds_the_last_index_and_is_short_where_that_counts(n):
    bits = np.iinfo(row_type(n)).bits
    assert n - 1 <= np.iinfo(row_type(n)).max
    assert bits == (32 if MANY_ROWS <= n <= 2**31 else np.iinfo(np.intp).bits)
