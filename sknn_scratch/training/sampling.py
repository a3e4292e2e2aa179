"""Minibatches: how many rows, which rows, in which order."""

import math
from collections.abc import Iterator

#: About how many rows :func:`equal_batches` puts into a batch, if there are as many.
AUTO_BATCH_SIZE = 64


def batch_slices(n_samples: int, batch_size: int) -> Iterator[slice]:
    """Cut range(n_samples) into slices of batch_size rows; the last may be shorter."""
    for start in range(0, n_samples, batch_size):
        yield slice(start, min(start + batch_size, n_samples))


def equal_batches(n_samples: int) -> int:
    """Rows in a batch with ``batch_size="auto"``: as many in each as can be, about 64.

    A short last batch would count as much as a full one, since Adam's steps are about equally long
    whatever the gradient.
    """
    n_batches = max(1, round(n_samples / AUTO_BATCH_SIZE))
    return math.ceil(n_samples / n_batches)
