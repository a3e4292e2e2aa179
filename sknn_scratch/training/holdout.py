"""Validation: loss and score of a network in training, on rows that it does not learn from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.losses import LOSSES, Scratch
from sknn_scratch.network.propagation import layers_of, output


@dataclass(frozen=True)
class Validation:
    """Rows set aside, and what networks in training are scored by on them.

    Called with parameters theta, (n_params,), it returns their loss and their score.
    """

    X: NDArray
    """Inputs as the network sees them, (n, n_features), dense or sparse."""
    Y: NDArray
    """Targets, (n, n_outputs), 0 or 1, of theta's dtype."""
    sample_weight: NDArray | None
    """Weights of the rows, (n,), or None."""
    sizes: tuple[int, ...]
    activation: str
    out_activation: str
    loss: str
    score: Callable[[NDArray, NDArray, float], float]
    """Score, given theta, the outputs' pre-activations (n, n_outputs), and the loss."""

    def __call__(self, theta: NDArray) -> tuple[float, float]:
        """Loss and score of the network with these parameters."""
        z = output(layers_of(theta, self.sizes), self.X, ACTIVATIONS[self.activation])
        weight = np.ones(len(z)) if self.sample_weight is None else self.sample_weight
        share = np.broadcast_to((weight / weight.sum())[:, None], z.shape).astype(z.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            loss = float(
                LOSSES[self.loss, self.out_activation](z.copy(), self.Y, share, Scratch(z))
            )
        return loss, self.score(theta, z, loss)
