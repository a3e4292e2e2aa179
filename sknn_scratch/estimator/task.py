"""What every task is: what y asks for, and the way from y to targets of the network and back."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknn_scratch.network.model import Network


class Task:
    """Base of the tasks. What depends on the kind of y is here, or is the same for all kinds.

    Attributes
    ----------
    n_outputs : int
        Outputs of the network.
    output : str
        Function of the outputs.
    base_rate : float
        Learning rate of Adam, unless the network is narrow or has few updates.
    no_better_than, constant : str
        What a network is no better than that has learnt nothing, and what it always predicts then.
    """

    output: ClassVar[str]
    base_rate: ClassVar[float]
    no_better_than: ClassVar[str]
    constant: ClassVar[str]

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        raise NotImplementedError

    def encode(self, y: Any, dtype: DTypeLike) -> NDArray:
        """Turn y into targets of the network, (n, n_outputs)."""
        raise NotImplementedError

    def decode(self, z: NDArray) -> NDArray:
        """Turn pre-activations of the outputs, (n, n_outputs), into what y is like. Uses up z."""
        raise NotImplementedError

    def score(self, y: NDArray, predicted: NDArray, weight: NDArray | None) -> float:
        """Score predictions, as ``score`` of the estimator does."""
        raise NotImplementedError

    def effective_number(self, targets: NDArray, weight: NDArray | None) -> float:
        """Count the rows that weighted rows are worth."""
        raise NotImplementedError

    def check_validation(self, y_val: Any) -> None:
        """Raise a ValueError if a network cannot be scored on y_val."""
        raise NotImplementedError

    def taken_over(self, network: Network, before: Self) -> Network:
        """Make a network of an earlier state of this task predict the same now."""
        return network

    def stratify(self, targets: NDArray) -> NDArray | None:
        """Return what rows set aside are stratified by, or None."""
        return None

    def missing(self, y: NDArray) -> list:
        """List what a scorer may miss in y."""
        return []

    def for_scorers(self, y: NDArray) -> tuple[NDArray, Self]:
        """Return y, and the task that gives predictions, as scikit-learn's scorers expect."""
        return y, self

    def rows_to_keep(self, y: NDArray, train: NDArray, validation: NDArray) -> NDArray:
        """Find rows set aside that must be learnt from."""
        return np.array([], dtype=int)


def kish(chosen: NDArray, weight: NDArray) -> NDArray:
    """Effective number of the rows that are chosen by ones, (n_outputs,).

    It is the number of rows of equal weights that know a mean as well.

    Parameters
    ----------
    chosen : ndarray of shape (n, n_outputs)
    weight : ndarray of shape (n, 1) or (n, n_outputs)
    """
    largest = weight.max(axis=0)
    weight = weight / np.where(largest > 0, largest, 1)  # of very small ones the squares vanish
    weight = np.multiply(weight, chosen, weight if weight.shape == chosen.shape else None)
    sums = weight.sum(axis=0)
    weight *= weight
    squares = weight.sum(axis=0)
    return np.divide(sums**2, squares, out=np.zeros_like(sums), where=squares > 0)
