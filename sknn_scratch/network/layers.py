"""The shape of a network, and its parameters: one array, and views of it as layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Architecture:
    """What a network computes, apart from its parameters.

    Parameters
    ----------
    sizes : tuple of int
        Number of units of each layer: inputs, hidden layers, outputs.
    activation : str
        Activation function of the hidden units, a row of ``ACTIVATIONS``.
    output : {"logistic", "softmax", "identity", "exp"}
        Activation function of the outputs, the inverse link.
    loss : str
        What training minimises: with the output, a row of ``LOSSES``.
    """

    sizes: tuple[int, ...]
    activation: str
    output: str
    loss: str

    def largest_product(self, n: int) -> int:
        """Count the multiplications of numbers in the largest matrix product for n rows."""
        return n * max(n_in * n_out for n_in, n_out in pairwise(self.sizes))


class Layer(NamedTuple):
    """Parameters of one layer of a stack, as views of theta (or of grad)."""

    W: NDArray
    """Weights, (K, n_in, n_out)."""
    b: NDArray
    """Biases, (K, 1, n_out)."""


def n_weights(sizes: Sequence[int]) -> int:
    """Count the weights of a network with these layer sizes, without its biases."""
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


def first_and_rest(sizes: Sequence[int]) -> list[slice]:
    """Find the weights of the first layer, and all others, among the weights of a network."""
    first = sizes[0] * sizes[1]
    return [slice(0, first), slice(first, n_weights(sizes))]


def n_params(sizes: Sequence[int]) -> int:
    """Count the weights and biases of a network with these layer sizes."""
    return n_weights(sizes) + sum(sizes[1:])


def layers_of(theta: NDArray, sizes: Sequence[int]) -> list[Layer]:
    """View theta (K, n_params) as the layers of a network with these sizes."""
    K = theta.shape[:-1]
    at_W, at_b = 0, n_weights(sizes)
    layers = []
    for n_in, n_out in pairwise(sizes):
        W = theta[..., at_W : at_W + n_in * n_out].reshape(*K, n_in, n_out)
        b = theta[..., at_b : at_b + n_out].reshape(*K, 1, n_out)
        layers.append(Layer(W, b))
        at_W += n_in * n_out
        at_b += n_out
    return layers


def theta_of(coefs: Sequence[NDArray], intercepts: Sequence[NDArray]) -> NDArray:
    """Pack weights (K, n_in, n_out) and biases (K, n_out) of all layers into theta, a copy."""
    K = intercepts[0].shape[:-1]
    return np.concatenate([part.reshape(*K, -1) for part in (*coefs, *intercepts)], axis=-1)
