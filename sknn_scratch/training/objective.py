"""Loss and gradient of a batch of rows, for a stack of networks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.arrays import inner
from sknn_scratch.network.layers import layers_of, n_weights
from sknn_scratch.network.losses import LOSSES, Scratch
from sknn_scratch.network.propagation import Workspace, backward, forward
from sknn_scratch.training.job import TrainingJob


class Batch:
    """Rows of K networks, and the arrays in which their loss and gradient are computed.

    Parameters
    ----------
    sizes : sequence of int
        Layer sizes.
    K : tuple of int
        Axis of the stack: (n_networks,), or () for one network.
    X : ndarray of shape (K, n, n_features), or sparse matrix (n, n_features) for one network
        Inputs.
    y : ndarray of shape (K, n, n_outputs)
        Targets; its dtype is that of the computation.

    Attributes
    ----------
    weight : ndarray of shape (K, n, n_outputs)
        Normalised weight of each row and output: 1 / n times its weight, which is 1 on average.
    """

    def __init__(self, sizes: Sequence[int], K: tuple[int, ...], X: NDArray, y: NDArray):
        n = y.shape[-2]
        self.X, self.y = X, y
        self.weight = np.full_like(y, 1 / n)
        self.work = Workspace(sizes, K, n, y.dtype)
        self.scratch = Scratch(self.work.z[-1])

    def set_weights(self, sample_weight: NDArray) -> None:
        """Set the weights of the rows, (K, n, n_outputs) or (K, n, 1), which are 1 on average.

        They are divided by the number of rows, not by their sum: a batch that happens to have
        heavy rows counts more than others. Otherwise heavy rows would count less than they ought.
        """
        np.divide(sample_weight, self.y.shape[-2], self.weight)


class Objective:
    """Loss and gradient of a stack of K networks at theta.

    Attributes
    ----------
    theta, grad : ndarray of shape (K, n_params)
    layers, grads : list of Layer
        Views of theta and of grad.
    weights, weight_grads : ndarray of shape (K, 1, n_weights)
        Views of the weights, without the biases.
    """

    def __init__(self, jobs: Sequence[TrainingJob], theta: NDArray):
        network = jobs[0].architecture
        self.theta, self.grad = theta, np.empty_like(theta)
        self.layers = layers_of(self.theta, network.sizes)
        self.grads = layers_of(self.grad, network.sizes)
        self.weights = self.theta[..., None, : n_weights(network.sizes)]
        self.weight_grads = self.grad[..., None, : n_weights(network.sizes)]
        self.activation = ACTIVATIONS[network.activation]
        self.loss = LOSSES[network.loss, network.output]
        guard = np.stack([job.guard for job in jobs]).astype(theta.dtype)
        # Of even classes there is none, which saves what it multiplies.
        self.guard = guard.reshape(*theta.shape[:-1], 1, -1) if guard.any() else None
        self.alpha = per_network([job.alpha for job in jobs], theta)[..., None]
        self.penalised = bool(self.alpha.any())
        self.penalty = np.empty_like(self.weights)

    def evaluate(self, batch: Batch) -> NDArray:
        """Fill grad, and return the loss of each network, (K,)."""
        work = batch.work
        forward(self.layers, batch.X, self.activation, work.z)
        loss = self.loss.value_and_delta(
            work.z[-1], batch.y, batch.weight, self.guard, batch.scratch
        )
        backward(self.layers, batch.X, self.activation, work, self.grads)
        if self.penalised:
            np.multiply(self.weights, self.alpha / batch.y.shape[-2], self.penalty)
            self.weight_grads += self.penalty
            loss += 0.5 * inner(self.weights, self.penalty)
        return loss


def per_network(numbers: Sequence[float], theta: NDArray) -> NDArray:
    """Lay out numbers of K networks, (K, 1), in the dtype of their theta, (K, n_params)."""
    return np.array(numbers, dtype=theta.dtype).reshape(*theta.shape[:-1], 1)
