"""Loss and gradient of a batch of rows, for a stack of networks."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.arrays import inner
from sknn_scratch.network.layers import first_and_rest, layers_of, n_weights
from sknn_scratch.network.losses import LOSSES, Scratch
from sknn_scratch.network.propagation import (
    Workspace,
    backward,
    backward_deltas,
    forward,
    layer_gradient,
)
from sknn_scratch.network.threads import in_blocks
from sknn_scratch.training.cutting import input_blocks
from sknn_scratch.training.job import TrainingJob


class Rows:
    """Rows of K networks, of a batch or of a part of it.

    Parameters
    ----------
    X, y, weight : ndarray of shape (K, n, n_features), (K, n, n_outputs) and (K, n, n_outputs)
        Inputs, targets and normalised weights.
    n : int
        Rows of the batch.
    """

    def __init__(self, X: NDArray, y: NDArray, weight: NDArray, n: int):
        self.X, self.y, self.weight, self.n = X, y, weight, n

    def set_weights(self, sample_weight: NDArray) -> None:
        """Set the weights of the rows, (K, n, n_outputs) or (K, n, 1), which are 1 on average.

        They are divided by the number of rows, not by their sum: a batch that happens to have
        heavy rows counts more than others. Otherwise heavy rows would count less than they ought.
        """
        np.divide(sample_weight, self.n, self.weight)


class Block(Rows):
    """Some rows of a batch in views of its arrays, with scratch of their own."""

    def __init__(self, batch: "Batch", rows: slice):
        X, y, weight = (array[..., rows, :] for array in (batch.X, batch.y, batch.weight))
        super().__init__(X, y, weight, batch.n)
        self.rows = rows
        self.z = [z[..., rows, :] for z in batch.work.z]
        self.delta = [delta[..., rows, :] for delta in batch.work.delta]
        self.scratch_of_delta = [np.empty_like(delta) for delta in self.delta]
        self.scratch = Scratch(self.z[-1])


Fill = Callable[[Block], None]
Use = Callable[[int], None]


class Batch(Rows):
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
    cuts : sequence of slice
        Blocks of rows, each of which any thread may compute; of one network with a dense X only.

    Attributes
    ----------
    weight : ndarray of shape (K, n, n_outputs)
        Normalised weight of each row and output: 1 / n times its weight, which is 1 on average.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        K: tuple[int, ...],
        X: NDArray,
        y: NDArray,
        cuts: Sequence[slice] = (),
    ):
        n = y.shape[-2]
        super().__init__(X, y, np.full_like(y, 1 / n), n)
        self.work = Workspace(sizes, K, n, y.dtype)
        self.scratch = Scratch(self.work.z[-1])
        self.blocks = [Block(self, rows) for rows in cuts]
        self.input_blocks = input_blocks(sizes) if cuts else []


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
        self.alpha = per_weight([job.alpha for job in jobs], theta)
        self.penalised = bool(self.alpha.any())
        self.penalty = np.empty_like(self.weights)
        self.first_and_rest = first_and_rest(network.sizes)
        self.penalise_inputs([job.input_penalty for job in jobs])

    def penalise_inputs(self, penalties: Sequence[float]) -> None:
        """Set the penalty, besides alpha, of the weights of the first layer of each network."""
        penalty = per_weight(penalties, self.theta)
        self.input_penalty = penalty if penalty.any() else None
        # What is penalised alike, at once.
        whole = slice(self.weights.shape[-1])
        parts = [whole] if self.input_penalty is None else self.first_and_rest
        self.penalised_parts = [
            self._views(part) for layer, part in enumerate(parts) if self._penalises(layer)
        ]

    def evaluate(self, batch: Batch) -> NDArray:
        """Fill grad, and return the loss of each network, (K,)."""
        if batch.blocks:
            return self.evaluate_in_blocks(batch)
        work = batch.work
        forward(self.layers, batch.X, self.activation, work.z)
        loss = self.loss.value_and_delta(
            work.z[-1], batch.y, batch.weight, self.guard, batch.scratch
        )
        backward(self.layers, batch.X, self.activation, work, self.grads)
        for layer, views in enumerate(self.penalised_parts):
            loss += penalise(*views, self._strength(layer, batch.n))
        return loss

    def _views(self, weights: slice) -> tuple[NDArray, NDArray, NDArray]:
        """View some weights, their gradient, and scratch: (K, 1, n), or (n,) of one network."""
        arrays = self.weights, self.weight_grads, self.penalty
        which: Any = (..., weights) if self.theta.ndim > 1 else (0, weights)
        W, grad, scratch = (array[which] for array in arrays)
        return W, grad, scratch

    def _penalises(self, layer: int) -> bool:
        """Tell whether the weights of a layer have a penalty."""
        return self.penalised or (layer == 0 and self.input_penalty is not None)

    def _strength(self, layer: int, n: int) -> NDArray:
        """Return the penalty of each weight of a layer, in a batch of n rows, (K, 1, 1) or ()."""
        if layer == 0 and self.input_penalty is not None:
            return self.alpha / n + self.input_penalty if self.penalised else self.input_penalty
        return self.alpha / n

    def evaluate_in_blocks(
        self, batch: Batch, fill: Fill | None = None, use: Use | None = None
    ) -> NDArray:
        """Fill grad, and return the loss, block by block.

        First dLoss/dz for blocks of rows, and then the gradient for blocks of each layer's inputs.
        So each number of the gradient is summed by one thread, over all rows at once.

        Parameters
        ----------
        batch : Batch
            One that is cut into blocks.
        fill : callable or None
            Copies what a block of rows is to hold into its arrays; None if it is there.
        use : callable or None
            Takes the number of a block of inputs when its gradient is there, while that is still in
            the cache. It may change the block's parameters: no other block reads them any more.
        """
        losses: list[Any] = [None] * len(batch.blocks)
        penalties: list[Any] = [0] * len(batch.input_blocks)
        seen = [batch.X, *batch.work.z[:-1]]
        deltas = [*batch.work.delta, batch.work.z[-1]]

        def propagate(i: int) -> None:
            block = batch.blocks[i]
            if fill is not None:
                fill(block)
            forward(self.layers, block.X, self.activation, block.z)
            losses[i] = self.loss.value_and_delta(
                block.z[-1], block.y, block.weight, self.guard, block.scratch
            )
            backward_deltas(
                self.layers, self.activation, block.z, block.delta, block.scratch_of_delta
            )

        def differentiate(i: int) -> None:
            layer, inputs, weights, _ = batch.input_blocks[i]
            layer_gradient(seen[layer], deltas[layer], batch.work.ones, self.grads[layer], inputs)
            if self._penalises(layer):
                penalties[i] = penalise(*self._views(weights), self._strength(layer, batch.n))
            if use is not None:
                use(i)

        in_blocks(propagate, len(batch.blocks))
        in_blocks(differentiate, len(batch.input_blocks))
        loss: NDArray = sum(losses) + sum(penalties)
        return loss


def penalise(weights: NDArray, grad: NDArray, scratch: NDArray, strength: NDArray) -> NDArray:
    """Add the penalty of weights to their gradient, and return it."""
    np.multiply(weights, strength, scratch)
    np.add(grad, scratch, grad)
    return 0.5 * inner(weights, scratch)


def per_weight(numbers: Sequence[float], theta: NDArray) -> NDArray:
    """Lay out numbers of K networks, (K, 1, 1), to be multiplied with their weights, (K, 1, n).

    They have the dtype of theta, (K, n_params). What is too large for it becomes infinite, with
    which training says that it overflows. That of one network is a scalar, as a product with one
    takes half the time.
    """
    with np.errstate(over="ignore"):
        laid_out = np.array(numbers, dtype=theta.dtype)
    number: NDArray = laid_out[:, None, None] if theta.ndim > 1 else laid_out[0]
    return number
