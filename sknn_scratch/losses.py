r"""Losses, from the pre-activations z of the output layer to a value and a gradient.

Each function takes z of shape (K, n, n_outputs) and targets y of the same shape (0 or 1), and

- fills ``values`` (K, n, 1) with the loss of each sample, summed over the outputs,
- fills ``p`` (like z) with scratch, and
- overwrites z with :math:`\delta = \partial\,\text{value}/\partial z`.

Starting at z instead of at the probabilities is what keeps them exact: no probability is ever
rounded to 0 or 1 before its logarithm is taken, so nothing overflows, nothing is clipped, and the
loss of a confident mistake keeps growing with the confidence.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit


def sigmoids(z: NDArray, p: NDArray) -> None:
    """Fill p with 1 / (1 + exp(-z)), each output for itself."""
    expit(z, out=p)


def softmax(z: NDArray, p: NDArray) -> NDArray:
    """Fill p with exp(z) / sum(exp(z)) over the outputs, overwriting z with z - max(z).

    Returns the sums of exp(z - max(z)), shape (K, n, 1).
    """
    z -= z.max(axis=-1, keepdims=True)
    np.exp(z, out=p)
    total: NDArray = p.sum(axis=-1, keepdims=True)
    p /= total
    return total


def squared_error_sigmoids(z: NDArray, y: NDArray, p: NDArray, values: NDArray) -> None:
    r"""Squared error of sigmoid outputs, overwriting z with delta.

    .. math:: L = \sum_c (p_c - y_c)^2, \qquad \delta_c = 2 (p_c - y_c)\, p_c (1 - p_c)
    """
    sigmoids(z, p)
    np.subtract(p, y, out=z)
    np.einsum("...c,...c->...", z, z, out=values[..., 0])
    z *= p
    np.subtract(1, p, out=p)
    z *= p
    z *= 2


def squared_error_softmax(z: NDArray, y: NDArray, p: NDArray, values: NDArray) -> None:
    r"""Squared error of a softmax, overwriting z with delta.

    .. math:: L = \sum_c e_c^2, \quad e = p - y, \qquad
        \delta_c = 2 p_c \Big(e_c - \sum_j e_j p_j\Big)
    """
    softmax(z, p)
    np.subtract(p, y, out=z)
    np.einsum("...c,...c->...", z, z, out=values[..., 0])
    z -= np.einsum("...c,...c->...", z, p)[..., None]
    z *= p
    z *= 2


def log_loss_sigmoids(z: NDArray, y: NDArray, p: NDArray, values: NDArray) -> None:
    r"""Cross-entropy of sigmoid outputs, overwriting z with delta.

    .. math:: L = \sum_c \log(1 + e^{z_c}) - y_c z_c, \qquad \delta = p - y

    with :math:`\log(1 + e^z) = \max(z, 0) + \log(1 + e^{-|z|})`.
    """
    np.abs(z, out=p)
    np.negative(p, out=p)
    np.exp(p, out=p)
    np.log1p(p, out=p)
    p += np.maximum(z, 0)
    p.sum(axis=-1, keepdims=True, out=values)
    values[..., 0] -= np.einsum("...c,...c->...", y, z)
    sigmoids(z, p)
    np.subtract(p, y, out=z)


def log_loss_softmax(z: NDArray, y: NDArray, p: NDArray, values: NDArray) -> None:
    r"""Cross-entropy of a softmax, overwriting z with delta.

    .. math:: L = \log \sum_j e^{z_j} - \sum_c y_c z_c, \qquad \delta = p - y

    for targets that sum to one; z is shifted by its maximum first, which changes nothing.
    """
    total = softmax(z, p)
    np.log(total, out=values)
    values[..., 0] -= np.einsum("...c,...c->...", y, z)
    np.subtract(p, y, out=z)


def chance_loss(loss: str, out_activation: str, y: NDArray, sample_weight: NDArray | None) -> float:
    r"""Loss of always predicting the frequencies of the classes in y, (n, n_outputs).

    With :math:`f_c` the weighted mean of :math:`y_c`, the squared error is
    :math:`\sum_c f_c (1 - f_c)` and the cross-entropy the entropy of the classes, or of each label.
    It is the least loss of a network that does not look at X.
    """
    f = np.average(y, axis=-2, weights=sample_weight)
    if loss == "squared_error":
        return float(f @ (1 - f))
    both = entr(f) if out_activation == "softmax" else entr(f) + entr(1 - f)
    return float(both.sum())


LossFunction = Callable[[NDArray, NDArray, NDArray, NDArray], None]

#: (name of the loss, activation of the output layer) -> function
LOSSES: dict[tuple[str, str], LossFunction] = {
    ("squared_error", "logistic"): squared_error_sigmoids,
    ("squared_error", "softmax"): squared_error_softmax,
    ("log_loss", "logistic"): log_loss_sigmoids,
    ("log_loss", "softmax"): log_loss_softmax,
}
