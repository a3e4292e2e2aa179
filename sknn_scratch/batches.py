"""Minibatches: how many rows, which rows, in which order."""

import math
from collections.abc import Iterator, Sequence

#: About how many rows :func:`equal_batches` puts into a batch, if there are as many.
AUTO_BATCH_SIZE = 64

#: Bounds of :func:`planned_epochs`.
AUTO_EPOCHS = 60
UPDATES_PER_ROOT_OF_ROWS = 30
LEAST_UPDATES = 250
LEAST_UPDATES_TIMES_UNITS = 8000


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


def planned_epochs(n_samples: int, batch_size: int, hidden_sizes: Sequence[int]) -> int:
    """Epochs of a run with ``max_iter="auto"``: enough updates, but not more than enough.

    Small tables need many epochs to get anywhere, large ones few. So: ``AUTO_EPOCHS``, but at most
    30 times the root of n_samples updates of the parameters; and at least 250 updates, or 8,000 by
    the units of the narrowest hidden layer if that is more.
    """
    updates_per_epoch = math.ceil(n_samples / batch_size)
    narrowest = min(hidden_sizes, default=LEAST_UPDATES_TIMES_UNITS)
    least = max(LEAST_UPDATES, LEAST_UPDATES_TIMES_UNITS / narrowest)
    most = UPDATES_PER_ROOT_OF_ROWS * math.sqrt(n_samples)
    updates = max(least, min(AUTO_EPOCHS * updates_per_epoch, most))
    return math.ceil(updates / updates_per_epoch)
