"""Products and sums over the last two axes, for one network or for a stack of K.

The arrays of a single network leave the first axis out. The kernels are the same, with no axis to
broadcast over; NumPy's functions for plain matrices take half the time of those for stacks of
matrices, which counts while matrices are small.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

#: Numbers that NumPy copies at a time, where it copies, in :func:`short_buffers`.
SHORT = 512

#: Number of rows from which on their indices take four bytes, and up to which these suffice.
MANY_ROWS, MOST_ROWS = 1 << 16, 1 << 31


@contextmanager
def short_buffers() -> Iterator[None]:
    """Context for operations on a stack that broadcast one number a network to its parameters.

    As long as a buffer is longer than a network's row of the array, which NumPy's usual one of
    8,192 numbers often is, NumPy copies the rows to it first. That takes two to three times as long
    as the operation.
    """
    before = np.setbufsize(SHORT)
    try:
        yield
    finally:
        np.setbufsize(before)


def product(a: NDArray, b: NDArray, out: NDArray) -> None:
    """Fill out with a @ b. The first factor may be a sparse matrix, of rows that all K share."""
    if not isinstance(a, np.ndarray):
        for k in np.ndindex(out.shape[:-2]):
            out[k] = a @ b[k]
    elif out.ndim == 2:
        a.dot(b, out)
    else:
        np.matmul(a, b, out)


def transposed(a: NDArray) -> NDArray:
    """View a with its last two axes exchanged. Without the first axis, a may be sparse."""
    return a.T if a.ndim == 2 else a.swapaxes(-1, -2)


def row_type(n: int) -> type:
    """Choose the type of the indices of n rows.

    For many rows it takes half the memory of NumPy's own index type; few are kept in that type,
    which needs no conversion.
    """
    return np.int32 if MANY_ROWS <= n <= MOST_ROWS else np.intp


def inner(a: NDArray, b: NDArray) -> NDArray:
    """Sum a * b over the last two axes, shape (K,); of vectors, over their only one."""
    if a.ndim < 3:
        return a.ravel().dot(b.ravel())
    K = len(a)  # a product of a row and a column takes two thirds of einsum's time
    return np.matmul(a.reshape(K, 1, -1), b.reshape(K, -1, 1)).ravel()
