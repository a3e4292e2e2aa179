"""Hold-out: rows on which networks in training are scored."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.layers import Architecture
from sknn_scratch.network.losses import LOSSES, mean_loss
from sknn_scratch.network.model import Network


@dataclass(frozen=True, eq=False)
class HoldOut:
    """Held-out rows, and how a network is scored on them."""

    X: NDArray
    """Inputs as the network sees them, dense or sparse; may include other rows."""
    rows: NDArray | None
    """Indices of the held-out rows in X, (n,); None if all are."""
    Y: NDArray
    """Targets, (n, n_outputs), of theta's dtype."""
    sample_weight: NDArray | None
    """Weights of the rows, (n, 1) or (n, n_outputs), or None."""
    guard: NDArray
    """Factor of the log loss in a guarded loss, (n_outputs,)."""
    architecture: Architecture
    score: Callable[[NDArray, NDArray, float], float]
    """Score, given theta, the outputs' pre-activations (n, n_outputs), and the loss."""

    def __call__(self, theta: NDArray) -> tuple[float, float]:
        """Return the loss and the score of the network with parameters theta, (n_params,)."""
        z = Network.from_theta(self.architecture, theta).outputs(self.X, self.rows)
        row = LOSSES[self.architecture.loss, self.architecture.output]
        with np.errstate(over="ignore", invalid="ignore"):
            loss = mean_loss(row, z.copy(), self.Y, self.sample_weight, self.guard)
        return loss, self.score(theta, z, loss)
