r"""Losses, from the pre-activations z of the output layer to a value and a gradient.

Each function takes z of shape (K, n, n_outputs), targets y of the same shape (0 or 1) and ``share``
of the same shape, each row's share in the mean (1 / n, or its weight over the sum of weights). It

- returns the loss of each network, :math:`\sum_i \text{share}_i L_i`, shape (K,), and
- overwrites z with :math:`\delta = \text{share} \cdot \partial L / \partial z`.

Starting at z instead of at the probabilities is what keeps them exact: no probability is ever
rounded to 0 or 1 before its logarithm is taken, so nothing overflows, nothing is clipped, and the
loss of a confident mistake keeps growing with the confidence.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit

from sknn_scratch.network.arrays import product, total


class Scratch:
    """Arrays in which the loss of a batch is computed, allocated once.

    Attributes
    ----------
    p, q : ndarray of shape (K, n, n_outputs)
    row : ndarray of shape (K, n, 1)
    ones : ndarray of shape (K, n_outputs, 1)
        ``p @ ones`` sums p over the outputs.
    """

    def __init__(self, z: NDArray):
        *K, n, n_outputs = z.shape
        self.p, self.q = np.empty_like(z), np.empty_like(z)
        self.row = np.empty((*K, n, 1), dtype=z.dtype)
        self.ones = np.ones((*K, n_outputs, 1), dtype=z.dtype)


def sigmoids(z: NDArray, work: Scratch) -> NDArray:
    """Fill work.p with 1 / (1 + exp(-z)), each output for itself."""
    return expit(z, work.p)


#: Up to this difference between logarithms nothing is lost by scaling all rows alike.
NARROW = 30.0


def shift(z: NDArray, row: NDArray) -> NDArray:
    """What to subtract from z so that exp(z) neither overflows nor is zero in all of a row.

    That is the largest z of all, if the smallest is not far below; else the maximum of each row, in
    row (K, n, 1). Along a short last axis a maximum takes many times as long as over a whole array.
    """
    top: NDArray = np.maximum.reduce(z, axis=None)
    if top - np.minimum.reduce(z, axis=None) < NARROW:
        return top
    return np.maximum.reduce(z, axis=-1, keepdims=True, out=row)


def softmax(z: NDArray, work: Scratch) -> NDArray:
    """Fill work.p with exp(z) / sum(exp(z)) over the outputs, and work.row with the sum.

    Overwriting z with z less its :func:`shift`, which changes no probability.
    """
    z -= shift(z, work.row)
    p = np.exp(z, work.p)
    product(p, work.ones, work.row)  # (K, n, n_outputs) @ (K, n_outputs, 1)
    p /= work.row
    return p


def squared_error_sigmoids(z: NDArray, y: NDArray, share: NDArray, work: Scratch) -> NDArray:
    r"""Squared error of sigmoid outputs, overwriting z with delta.

    .. math:: L = \sum_c e_c^2, \quad e = p - y, \qquad
        \frac{\partial L}{\partial z_c} = 2 e_c\, p_c (1 - p_c)
    """
    p, q = sigmoids(z, work), work.q
    e = np.subtract(p, y, z)
    np.multiply(e, share, q)
    loss = total(q, e)
    np.multiply(q, p, z)
    np.subtract(1, p, p)
    z *= p
    z *= 2
    return loss


def squared_error_softmax(z: NDArray, y: NDArray, share: NDArray, work: Scratch) -> NDArray:
    r"""Squared error of a softmax, overwriting z with delta.

    .. math:: L = \sum_c e_c^2, \quad e = p - y, \qquad
        \frac{\partial L}{\partial z_c} = 2 p_c \Big(e_c - \sum_j e_j p_j\Big)
    """
    return _squared_error(softmax(z, work), z, y, share, work)


def _squared_error(p: NDArray, z: NDArray, y: NDArray, share: NDArray, work: Scratch) -> NDArray:
    """Squared error of the probabilities p of a softmax; fills z with delta, and q with share e."""
    q = work.q
    e = np.subtract(p, y, z)
    np.multiply(e, share, q)
    loss = total(q, e)
    np.multiply(q, p, z)
    product(z, work.ones, work.row)  # (K, n, n_outputs) @ (K, n_outputs, 1)
    np.subtract(q, work.row, z)
    z *= p
    z *= 2
    return loss


#: Share of the log loss in the guarded squared error.
GUARD = 0.1


def guarded_squared_error_softmax(z: NDArray, y: NDArray, share: NDArray, work: Scratch) -> NDArray:
    r"""Squared error of a softmax and a tenth of its log loss, overwriting z with delta.

    Where the true class has no probability at all, the squared error is flat, so that a class that
    is once given up in favour of another stays so. The log loss is steep there.

    .. math:: L = \sum_c e_c^2 - \frac{1}{10} \sum_c y_c \log p_c, \quad e = p - y, \qquad
        \frac{\partial L}{\partial z_c} =
            2 p_c \Big(e_c - \sum_j e_j p_j\Big) + \frac{1}{10} e_c

    for targets that sum to one.
    """
    p = softmax(z, work)
    z -= np.log(work.row, work.row)
    loss = -GUARD * total(share, np.multiply(y, z, work.q))
    loss += _squared_error(p, z, y, share, work)
    work.q *= GUARD
    z += work.q
    return loss


def log_loss_sigmoids(z: NDArray, y: NDArray, share: NDArray, work: Scratch) -> NDArray:
    r"""Cross-entropy of sigmoid outputs, overwriting z with delta.

    .. math:: L = \sum_c \log(1 + e^{z_c}) - y_c z_c, \qquad
        \frac{\partial L}{\partial z} = p - y
    """
    loss = total(share, np.logaddexp(0, z, work.p)) - total(share, np.multiply(y, z, work.q))
    np.subtract(sigmoids(z, work), y, z)
    z *= share
    return loss


def log_loss_softmax(z: NDArray, y: NDArray, share: NDArray, work: Scratch) -> NDArray:
    r"""Cross-entropy of a softmax, overwriting z with delta.

    .. math:: L = -\sum_c y_c \log p_c, \quad \log p_c = z_c - \log \sum_j e^{z_j}, \qquad
        \frac{\partial L}{\partial z} = p - y

    for targets that sum to one.
    """
    p = softmax(z, work)
    z -= np.log(work.row, work.row)
    loss = -total(share, np.multiply(y, z, work.q))
    np.subtract(p, y, z)
    z *= share
    return loss


def chance_loss(loss: str, out_activation: str, y: NDArray, sample_weight: NDArray | None) -> float:
    r"""Loss of always predicting the frequencies of the classes in y, (n, n_outputs).

    With :math:`f_c` the weighted mean of :math:`y_c`, the squared error is
    :math:`\sum_c f_c (1 - f_c)` and the cross-entropy the entropy of the classes, or of each label.
    It is the least loss of a network that does not look at X.
    """
    f = np.average(y, axis=-2, weights=sample_weight)
    squared_error = float(f @ (1 - f))
    entropy = entr(f) if out_activation == "softmax" else entr(f) + entr(1 - f)
    log_loss = float(entropy.sum())
    if loss == "log_loss":
        return log_loss
    guarded = loss == "guarded_squared_error" and out_activation == "softmax"
    return squared_error + GUARD * log_loss if guarded else squared_error


LossFunction = Callable[[NDArray, NDArray, NDArray, Scratch], NDArray]

#: (name of the loss, activation of the output layer) -> function
LOSSES: dict[tuple[str, str], LossFunction] = {
    ("squared_error", "logistic"): squared_error_sigmoids,
    ("squared_error", "softmax"): squared_error_softmax,
    # One sigmoid an output needs no guard: no class can be given up for another.
    ("guarded_squared_error", "logistic"): squared_error_sigmoids,
    ("guarded_squared_error", "softmax"): guarded_squared_error_softmax,
    ("log_loss", "logistic"): log_loss_sigmoids,
    ("log_loss", "softmax"): log_loss_softmax,
}
