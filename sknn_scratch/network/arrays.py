"""Products and sums over the last two axes, for one network or for a stack of K.

One network's arrays leave the first axis out. That is not another case, but the same kernels
without an axis to broadcast over; NumPy's functions for plain matrices take half the time of those
for stacks of matrices, which counts while matrices are small.
"""

import numpy as np
from numpy.typing import NDArray


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


def inner(a: NDArray, b: NDArray) -> NDArray:
    """Sum a * b over the last two axes, shape (K,)."""
    if a.ndim == 2:
        return a.ravel().dot(b.ravel())
    return np.einsum("...ij,...ij->...", a, b)
