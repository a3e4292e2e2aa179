r"""Activation functions of the hidden units, each beside its derivative.

A layer computes its pre-activations :math:`z = a W + b` and from them its activations
:math:`a = f(z)`. Going back, it turns :math:`\partial L/\partial a` into
:math:`\delta = \partial L/\partial z = \partial L/\partial a \cdot f'(z)`. Every derivative here
is written with the activation *a* alone, so that *z* need not be kept.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


def identity(z: NDArray) -> None:
    """Overwriting z with a = z, that is, leave it alone."""


def identity_backprop(a: NDArray, delta: NDArray) -> None:
    """Overwriting delta with delta * f'(z), where f'(z) = 1: leave it alone."""


def logistic(z: NDArray) -> None:
    """Overwriting z with a = 1 / (1 + exp(-z)) = (1 + tanh(z / 2)) / 2.

    The form with tanh neither overflows nor branches, and NumPy computes tanh with vector
    instructions.
    """
    z *= 0.5
    np.tanh(z, out=z)
    z *= 0.5
    z += 0.5


def logistic_backprop(a: NDArray, delta: NDArray) -> None:
    """Overwriting delta with delta * f'(z), where f'(z) = a (1 - a). Uses up a."""
    delta *= a
    np.subtract(1, a, out=a)
    delta *= a


def tanh(z: NDArray) -> None:
    """Overwriting z with a = tanh(z)."""
    np.tanh(z, out=z)


def tanh_backprop(a: NDArray, delta: NDArray) -> None:
    """Overwriting delta with delta * f'(z), where f'(z) = 1 - a². Uses up a."""
    np.multiply(a, a, out=a)
    np.subtract(1, a, out=a)
    delta *= a


def relu(z: NDArray) -> None:
    """Overwriting z with a = max(z, 0)."""
    np.maximum(z, 0, out=z)


def relu_backprop(a: NDArray, delta: NDArray) -> None:
    """Overwriting delta with delta * f'(z), where f'(z) is 1 if a > 0, else 0. Uses up a."""
    np.sign(a, out=a)
    delta *= a


class Activation(NamedTuple):
    """One row of the table: a function, its derivative, and the scale of its initial weights."""

    apply: Callable[[NDArray], None]
    """``apply(z)`` overwrites the pre-activations z with the activations."""

    backprop: Callable[[NDArray, NDArray], None]
    """``backprop(a, delta)`` overwrites delta = dL/da with dL/dz; a is scratch afterwards."""

    gain: float
    """Standard deviation of z at which a unit starts (see :func:`network.scaled_bounds`)."""


ACTIVATIONS = {
    "identity": Activation(identity, identity_backprop, gain=1.0),
    # A slope of 1/4 at zero asks for inputs four times as wide.
    "logistic": Activation(logistic, logistic_backprop, gain=4.0),
    "tanh": Activation(tanh, tanh_backprop, gain=1.0),
    # He et al. (2015): half of the units are zero, the others make up for it.
    "relu": Activation(relu, relu_backprop, gain=2.0**0.5),
}
