"""What a stream of rows has shown so far: sums of weights, and frequencies of targets."""

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.stream_scaling import StreamScaling

#: A weight that differs from 1 by less than this is 1.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class History:
    """Sums over all rows that a network has learnt from.

    Parameters
    ----------
    n_rows : int
        Number of rows with a nonzero weight.
    weight : ndarray of shape (1,) or (n_outputs,)
        Sum of their weights in the loss.
    present : ndarray of shape (n_outputs,)
        Sum of the weights of those with the target 1; in regression, the weighted sum of targets.
    scaling : StreamScaling
        Scaling of the columns, and what it needs to go on learning.
    """

    n_rows: int
    weight: NDArray
    present: NDArray
    scaling: StreamScaling = field(default_factory=StreamScaling)

    @property
    def frequencies(self) -> NDArray:
        """Weighted frequencies of the targets, (n_outputs,)."""
        total = np.where(self.weight > 0, self.weight, 1)
        return self.present / total

    def normalised(self, weight: NDArray | None, n: int) -> NDArray | None:
        """Divide the weights of n rows by the mean of all rows so far; None if all become 1."""
        if weight is None and (self.weight == self.n_rows).all():
            return None
        mean = np.where(self.weight > 0, self.weight / max(self.n_rows, 1), 1)
        weight = (np.ones((n, 1)) if weight is None else weight) / mean
        farthest = max(1 - weight.min(), weight.max() - 1)
        return None if farthest < ROUNDING else weight

    def __add__(self, other: "History") -> Self:
        """Add the sums of further rows, and take over their scaling, which is that of all rows."""
        with np.errstate(over="ignore", invalid="ignore"):
            present = self.present + other.present
        return type(self)(
            self.n_rows + other.n_rows, self.weight + other.weight, present, other.scaling
        )


def history_of(targets: NDArray, weight: NDArray | None, scaling: StreamScaling) -> History:
    """Sum up rows: their targets, (n, n_outputs), and their weights in the loss."""
    n = len(targets)
    with np.errstate(over="ignore", invalid="ignore"):  # sums of numbers, which nobody reads
        if weight is None:
            return History(n, np.array([float(n)]), targets.sum(axis=0, dtype=np.float64), scaling)
        n = n if weight.any() else 0
        return History(n, weight.sum(axis=0), (weight * targets).sum(axis=0), scaling)
