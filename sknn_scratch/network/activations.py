r"""Activation functions of the hidden units, each beside its derivative.

A layer computes its pre-activations :math:`z = a W + b` and from them its activations
:math:`a = f(z)`. The backward pass turns :math:`\partial L/\partial a` into
:math:`\delta = \partial L/\partial z = \partial L/\partial a \cdot f'(z)`. Every derivative here
is written with the activation *a* alone, so that *z* need not be kept.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

#: Number of values below which one slow call beats four fast ones.
FEW = 512

#: The newest instructions that NumPy found here, beyond those that it was built for.
NEWEST_INSTRUCTIONS = np.show_config("dicts").get("SIMD Extensions", {}).get("found", [])[-1:]

#: Types in which the sigmoid is faster by exp than by tanh. float32 is one with AVX2, which newer
#: versions of NumPy call X86_V3: there the sigmoids of 6,400 numbers took 24 µs by exp, and 38 by
#: tanh. It is none with AVX-512, nor where NumPy computes tanh with vectors, but not exp.
EXP_IS_FASTER: set[np.dtype] = {np.dtype(np.float64)}
if NEWEST_INSTRUCTIONS in (["AVX2"], ["X86_V3"]):
    EXP_IS_FASTER.add(np.dtype(np.float32))


def identity(z: NDArray) -> None:
    """Replace z by a = z, that is, leave it alone."""


def identity_backprop(a: NDArray, delta: NDArray, scratch: NDArray) -> None:
    """Multiply delta by f'(z) = 1, that is, leave it alone."""


def logistic(z: NDArray) -> None:
    """Replace z by a = 1 / (1 + exp(-z)) = (1 + tanh(z / 2)) / 2, in place.

    The form is the one that NumPy computes faster; for a few values, SciPy's one call is cheaper
    than four. Far out exp(-z) is infinite and a is 0, as it should be: silence NumPy's warning of
    the overflow.
    """
    if z.size < FEW:
        expit(z, z)
    elif z.dtype in EXP_IS_FASTER:
        np.negative(z, z)
        np.exp(z, z)
        z += 1
        np.reciprocal(z, z)
    else:
        z *= 0.5
        np.tanh(z, z)
        z *= 0.5
        z += 0.5


def logistic_backprop(a: NDArray, delta: NDArray, scratch: NDArray) -> None:
    """Multiply delta by f'(z) = a (1 - a), in place."""
    delta *= a
    np.subtract(1, a, scratch)
    delta *= scratch


def tanh(z: NDArray) -> None:
    """Replace z by a = tanh(z), in place."""
    np.tanh(z, z)


def tanh_backprop(a: NDArray, delta: NDArray, scratch: NDArray) -> None:
    """Multiply delta by f'(z) = 1 - a², in place."""
    np.multiply(a, a, scratch)
    np.subtract(1, scratch, scratch)
    delta *= scratch


def relu(z: NDArray) -> None:
    """Replace z by a = max(z, 0), in place."""
    np.maximum(z, 0, out=z)


def relu_backprop(a: NDArray, delta: NDArray, scratch: NDArray) -> None:
    """Multiply delta by f'(z), 1 if a > 0 and else 0, in place."""
    np.sign(a, scratch)
    delta *= scratch


class Activation(NamedTuple):
    """One row of the table: a function, its derivative, and the scale of its initial weights."""

    apply: Callable[[NDArray], None]
    """``apply(z)`` replaces the pre-activations z by the activations, in place."""

    backprop: Callable[[NDArray, NDArray, NDArray], None]
    """``backprop(a, delta, scratch)`` replaces delta = dL/da by dL/dz, in place.

    scratch is an array like a; it may be a itself where that is not needed any more.
    """

    gain: float
    """Standard deviation of z at which a unit starts (see ``scaled_bounds``)."""


ACTIVATIONS = {
    "identity": Activation(identity, identity_backprop, gain=1.0),
    # A slope of 1/4 at zero asks for inputs four times as wide.
    "logistic": Activation(logistic, logistic_backprop, gain=4.0),
    "tanh": Activation(tanh, tanh_backprop, gain=1.0),
    # He et al. (2015): half of the units are zero, the others make up for it.
    "relu": Activation(relu, relu_backprop, gain=2.0**0.5),
}
