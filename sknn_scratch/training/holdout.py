"""Hold-out: rows set aside, on which networks in training are scored."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.layers import Architecture
from sknn_scratch.network.losses import LOSSES, Scratch
from sknn_scratch.network.model import Network


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Rows set aside, and how a network is scored on them."""

    X: NDArray
    """Inputs as the network sees them, (n, n_inputs), dense or sparse."""
    Y: NDArray
    """Targets, (n, n_outputs), 0 or 1, of theta's dtype."""
    sample_weight: NDArray | None
    """Weights of the rows, (n,), or None."""
    architecture: Architecture
    score: Callable[[NDArray, NDArray, float], float]
    """Score, given theta, the outputs' pre-activations (n, n_outputs), and the loss."""

    def __call__(self, theta: NDArray) -> tuple[float, float]:
        """Return the loss and the score of the network with parameters theta, (n_params,)."""
        z = Network.from_theta(self.architecture, theta).outputs(self.X)
        given = np.ones(len(z)) if self.sample_weight is None else self.sample_weight
        weight = np.broadcast_to((given / given.sum())[:, None], z.shape).astype(z.dtype)
        row = LOSSES[self.architecture.loss, self.architecture.output]
        with np.errstate(over="ignore", invalid="ignore"):
            loss = float(row.value_and_delta(z.copy(), self.Y, weight, Scratch(z)))
        return loss, self.score(theta, z, loss)
