"""What every task has: which outputs y needs, and how to encode and decode y."""

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknn_scratch.network.model import Network


class Task:
    """Base of the tasks: all that depends on the kind of y.

    Attributes
    ----------
    n_outputs : int
        Number of outputs of the network.
    output : str
        Activation function of the outputs.
    base_rate : float
        Learning rate of Adam, unless the network is narrow or gets few updates.
    penalises_inputs : bool
        Whether a penalty of the weights of the first layer suits it.
    no_better_than, constant : str
        For messages about a network that has learnt nothing: what it is no better than, and what
        that always predicts.
    """

    output: ClassVar[str]
    base_rate: ClassVar[float]
    penalises_inputs: ClassVar[bool]
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
        """Turn pre-activations of the outputs, (n, n_outputs), into predictions. Uses up z."""
        raise NotImplementedError

    def score(self, y: NDArray, predicted: NDArray, weight: NDArray | None) -> float:
        """Score predictions, as ``score`` of the estimator does."""
        raise NotImplementedError

    def effective_number(self, targets: NDArray, weight: NDArray | None) -> float:
        """Compute the effective number of weighted rows."""
        raise NotImplementedError

    def rarest(self, targets: NDArray) -> int:
        """Count the rows of the rarest class; 0 in regression."""
        return 0

    def check_validation(self, y_val: Any) -> None:
        """Raise a ValueError if a network cannot be scored on y_val."""
        raise NotImplementedError

    def own(self) -> Self:
        """Return the same task, whose arrays that a user can reach are its own."""
        raise NotImplementedError

    def taken_over(self, network: Network, before: Self) -> Network:
        """Make a network of an earlier state of this task predict the same now."""
        return network

    def stratify(self, targets: NDArray) -> NDArray | None:
        """Return what to stratify held-out rows by, or None."""
        return None

    def missing(self, y: NDArray) -> list:
        """List the classes that y lacks, which a scorer may need."""
        return []

    def for_scorers(self, y: NDArray) -> tuple[NDArray, Self]:
        """Return y, and the task that gives predictions, as scikit-learn's scorers expect."""
        return y, self

    def rows_to_keep(self, y: NDArray, train: NDArray, validation: NDArray) -> NDArray:
        """Find held-out rows that training needs."""
        return np.array([], dtype=int)


def kish(chosen: NDArray, weight: NDArray) -> NDArray:
    """Compute Kish's effective number of the rows that are chosen by ones, (n_outputs,).

    It is the number of equally weighted rows that would estimate a mean as well.

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
