"""The forward pass and the backward pass of a stack, written for one batch of rows.

The backward pass also comes in two parts, for a batch that is cut into blocks of rows:
:func:`backward_deltas` for each block of rows, and then :func:`layer_gradient` over all rows, for
each block of a layer's inputs.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknn_scratch.network.activations import Activation
from sknn_scratch.network.arrays import product, transposed
from sknn_scratch.network.layers import Layer


class Workspace:
    """Arrays that one batch of n rows is computed in, allocated once.

    Attributes
    ----------
    z : list of ndarray of shape (K, n, n_out)
        One array a layer: pre-activations, then (but for the last) activations.
    delta : list of ndarray of shape (K, n, n_out)
        One array a hidden layer: dLoss/dz.
    ones : ndarray of shape (K, 1, n)
        ``ones @ delta`` sums delta over the rows.
    """

    def __init__(self, sizes: Sequence[int], K: tuple[int, ...], n: int, dtype: DTypeLike):
        self.z = [np.empty((*K, n, n_out), dtype=dtype) for n_out in sizes[1:]]
        self.delta = [np.empty_like(z) for z in self.z[:-1]]
        self.ones = np.ones((*K, 1, n), dtype=dtype)


def forward(
    layers: Sequence[Layer], X: NDArray, activation: Activation, z: Sequence[NDArray]
) -> None:
    """Fill z with each hidden layer's activations and with the last layer's pre-activations.

    X is (K, n, n_features), or (n, n_features) where all K see the same rows; a sparse matrix has
    the latter shape.
    """
    a = X
    for (W, b), out in zip(layers, z, strict=True):
        product(a, W, out)  # (K, n, n_in) @ (K, n_in, n_out)
        out += b
        if out is not z[-1]:
            activation.apply(out)
        a = out


def backward(
    layers: Sequence[Layer],
    X: NDArray,
    activation: Activation,
    work: Workspace,
    grads: Sequence[Layer],
) -> None:
    """Fill grads, given dLoss/dz of the last layer in work.z[-1]. Uses up the activations there."""
    delta = work.z[-1]
    for i in reversed(range(len(layers))):
        a = work.z[i - 1] if i else X
        product(transposed(a), delta, grads[i].W)  # (K, n_in, n) @ (K, n, n_out)
        product(work.ones, delta, grads[i].b)  # (K, 1, n) @ (K, n, n_out)
        if i:
            below = work.delta[i - 1]
            product(delta, transposed(layers[i].W), below)  # (K, n, n_out) @ (K, n_out, n_in)
            activation.backprop(a, below, a)
            delta = below


def backward_deltas(
    layers: Sequence[Layer],
    activation: Activation,
    z: Sequence[NDArray],
    delta: Sequence[NDArray],
    scratch: Sequence[NDArray],
) -> None:
    """Fill delta, dLoss/dz of each hidden layer, given that of the last layer in z[-1].

    The activations in z stay. scratch are arrays like delta.
    """
    above = z[-1]
    for i in reversed(range(len(delta))):
        product(above, transposed(layers[i + 1].W), delta[i])  # (n, n_out) @ (n_out, n_in)
        activation.backprop(z[i], delta[i], scratch[i])
        above = delta[i]


def layer_gradient(a: NDArray, delta: NDArray, ones: NDArray, grad: Layer, inputs: slice) -> None:
    """Fill the gradient of the weights of some inputs of a layer; with the first, of the biases.

    It is that of one network: a (n, n_in) is what the layer sees, delta (n, n_out) is dLoss/dz.
    """
    # ndarray.dot would copy the columns first.
    np.matmul(a[:, inputs].T, delta, grad.W[inputs])  # (.., n) @ (n, n_out)
    if not inputs.start:
        product(ones, delta, grad.b)  # (1, n) @ (n, n_out)
