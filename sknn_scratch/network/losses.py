r"""Losses, from the pre-activations z of the output layer to a value and a gradient.

Each function takes z of shape (K, n, n_outputs), targets y of the same shape (0 or 1 for classes,
any numbers in regression) and ``weight`` of the same shape, the normalised sample weight of each
row and output: 1 / n, times the sample weight if there is one, whose mean over the training rows
is 1. It also takes ``guard`` (K, 1, n_outputs), the factor of the log loss in the guarded squared
error, or None. It

- returns the loss of each network, :math:`\sum_i w_i L_i`, shape (K,), and
- replaces z by :math:`\delta = w \cdot \partial L / \partial z`, in place.

Starting at z instead of at the probabilities keeps the losses exact: no probability is ever rounded
to 0 or 1 before its logarithm is taken, so nothing overflows, nothing is clipped, and the loss of a
confident mistake keeps growing with the confidence.

Next to each loss for classes stands its baseline, the loss of always predicting the frequencies f
of the targets, (n_outputs,). It is the least loss of a network that does not look at X. In
regression the mean of the targets does not determine it, and :func:`baseline_of` evaluates the loss
itself.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit, xlogy

from sknn_scratch.network.arrays import inner, product
from sknn_scratch.network.links import NUMBER_LINKS
from sknn_scratch.network.threads import one_thread_for


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


def sigmoids(z: NDArray, scratch: Scratch) -> NDArray:
    """Fill scratch.p with 1 / (1 + exp(-z)), element by element."""
    return expit(z, scratch.p)


#: Largest difference between logarithms at which scaling all rows alike loses nothing.
NARROW = 60.0


def shift(z: NDArray, row: NDArray) -> NDArray:
    """Choose what to subtract from z so that exp(z) neither overflows nor vanishes in a whole row.

    It is the largest z of all, if the smallest is not far below; else the maximum of each row, in
    ``row`` (K, n, 1). A maximum along a short last axis takes many times as long as over a whole
    array.
    """
    top: NDArray = np.maximum.reduce(z, axis=None)
    if top - np.minimum.reduce(z, axis=None) < NARROW:
        return top
    return np.maximum.reduce(z, axis=-1, keepdims=True, out=row)


def softmax(z: NDArray, scratch: Scratch) -> NDArray:
    """Fill scratch.p with exp(z) / sum(exp(z)) over the outputs, and scratch.row with the sum.

    From z, :func:`shift` is subtracted in place, which changes no probability.
    """
    z -= shift(z, scratch.row)
    p = np.exp(z, scratch.p)
    product(p, scratch.ones, scratch.row)  # (K, n, n_outputs) @ (K, n_outputs, 1)
    p /= scratch.row
    return p


def squared_error_sigmoids(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute the squared error of sigmoid outputs, and replace z by delta.

    .. math:: L = \sum_c e_c^2, \quad e = p - y, \qquad
        \frac{\partial L}{\partial z_c} = 2 e_c\, p_c (1 - p_c)
    """
    p, q = sigmoids(z, scratch), scratch.q
    e = np.subtract(p, y, z)
    np.multiply(e, weight, q)
    loss = inner(q, e)
    np.multiply(q, p, z)
    np.subtract(1, p, p)
    z *= p
    z *= 2
    return loss


def squared_error_baseline(f: NDArray, guard: NDArray) -> float:
    r"""Compute the squared error of predicting f: :math:`\sum_c f_c (1 - f_c)`."""
    return float(f @ (1 - f))


def squared_error_softmax(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute the squared error of a softmax, and replace z by delta.

    .. math:: L = \sum_c e_c^2, \quad e = p - y, \qquad
        \frac{\partial L}{\partial z_c} = 2 p_c \Big(e_c - \sum_j e_j p_j\Big)
    """
    return _squared_error(softmax(z, scratch), z, y, weight, scratch)


def _squared_error(
    p: NDArray, z: NDArray, y: NDArray, weight: NDArray, scratch: Scratch
) -> NDArray:
    """Compute the squared error of the probabilities p of a softmax, and fill z with delta.

    scratch.q keeps weight * e.
    """
    q = scratch.q
    e = np.subtract(p, y, z)
    np.multiply(e, weight, q)
    loss = inner(q, e)
    np.multiply(q, p, z)
    product(z, scratch.ones, scratch.row)  # (K, n, n_outputs) @ (K, n_outputs, 1)
    np.subtract(q, scratch.row, z)
    z *= p
    z *= 2
    return loss


# Where a prediction is confidently wrong, the squared error is flat. That matters where a class is
# rare: a network that predicts its frequency f everywhere is near the least squared error, and its
# gradient, 2 f (1 - f) times the error, vanishes with f. So a class that is rare, or once given up
# in favour of another, stays given up. The gradient of the log loss is the error itself. The
# guarded squared error adds a fraction of it: the squared error of predicting f at balanced
# classes, minus that at the actual f. It is nothing if classes are balanced, and up to a quarter if
# one is rare (for a softmax, where a mistake counts twice, up to a half).


def guard_of_sigmoids(f: NDArray) -> NDArray:
    r"""Compute the guard of each output, :math:`g_c = \frac14 - f_c (1 - f_c)`."""
    return 0.25 - f * (1 - f)


def guarded_squared_error_sigmoids(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute the squared error of sigmoid outputs and some of their log loss; replace z by delta.

    .. math:: L = \sum_c e_c^2 + g_c \big(\log(1 + e^{z_c}) - y_c z_c\big), \quad e = p - y,
        \qquad \frac{\partial L}{\partial z_c} = \big(2 p_c (1 - p_c) + g_c\big)\, e_c
    """
    loss: Any = 0.0
    if guard is not None:
        log_loss = np.logaddexp(0, z, scratch.p)
        log_loss -= np.multiply(y, z, scratch.q)
        log_loss *= guard
        loss = inner(weight, log_loss)
    p, q = sigmoids(z, scratch), scratch.q
    e = np.subtract(p, y, z)
    np.multiply(e, weight, q)
    loss += inner(q, e)
    np.subtract(1, p, z)
    z *= p
    z *= 2
    if guard is not None:
        z += guard
    z *= q
    return loss


def guarded_squared_error_sigmoids_baseline(f: NDArray, guard: NDArray) -> float:
    """Compute the squared error of predicting f, and as much of the log loss as the guard says."""
    return float(f @ (1 - f) + guard @ (entr(f) + entr(1 - f)))


def guard_of_softmax(f: NDArray) -> NDArray:
    r"""Compute the guard, :math:`\frac12 - 2 m (1 - m)` with the frequency m of the rarest class.

    It is the same for all outputs: with a guard for each, the true probabilities would not minimise
    the loss.
    """
    return np.full_like(f, 0.5 - 2 * f.min() * (1 - f.min()))


def guarded_squared_error_softmax(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute the squared error of a softmax and some of its log loss; replace z by delta.

    .. math:: L = \sum_c e_c^2 - g \sum_c y_c \log p_c, \quad e = p - y, \qquad
        \frac{\partial L}{\partial z_c} = 2 p_c \Big(e_c - \sum_j e_j p_j\Big) + g\, e_c

    for targets that sum to one.
    """
    p = softmax(z, scratch)
    if guard is None:
        return _squared_error(p, z, y, weight, scratch)
    z -= np.log(scratch.row, scratch.row)
    log_loss = np.multiply(y, z, scratch.q)
    log_loss *= guard
    loss = -inner(weight, log_loss)
    loss += _squared_error(p, z, y, weight, scratch)
    scratch.q *= guard
    z += scratch.q
    return loss


def guarded_squared_error_softmax_baseline(f: NDArray, guard: NDArray) -> float:
    """Compute the squared error of predicting f, and as much of the log loss as the guard says."""
    return float(f @ (1 - f) + guard @ entr(f))


def log_loss_sigmoids(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute the cross-entropy of sigmoid outputs, and replace z by delta.

    .. math:: L = \sum_c \log(1 + e^{z_c}) - y_c z_c, \qquad
        \frac{\partial L}{\partial z} = p - y
    """
    loss = inner(weight, np.logaddexp(0, z, scratch.p)) - inner(
        weight, np.multiply(y, z, scratch.q)
    )
    np.subtract(sigmoids(z, scratch), y, z)
    z *= weight
    return loss


def log_loss_sigmoids_baseline(f: NDArray, guard: NDArray) -> float:
    """Compute the cross-entropy of predicting f: the entropy of each label, summed."""
    return float((entr(f) + entr(1 - f)).sum())


def log_loss_softmax(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute the cross-entropy of a softmax, and replace z by delta.

    .. math:: L = -\sum_c y_c \log p_c, \quad \log p_c = z_c - \log \sum_j e^{z_j}, \qquad
        \frac{\partial L}{\partial z} = p - y

    for targets that sum to one.
    """
    p = softmax(z, scratch)
    z -= np.log(scratch.row, scratch.row)
    loss = -inner(weight, np.multiply(y, z, scratch.q))
    np.subtract(p, y, z)
    z *= weight
    return loss


def log_loss_softmax_baseline(f: NDArray, guard: NDArray) -> float:
    """Compute the cross-entropy of predicting f: the entropy of the classes."""
    return float(entr(f).sum())


# ---------------------------------------------------------------- regression

#: Error from which on Huber's loss is linear, in units of the targets: a standard deviation if they
#: are scaled.
HUBER_DELTA = 1.0


def half_squared_error(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute half of the squared error, and replace z by delta.

    .. math:: L = \frac12 \sum_c e_c^2, \quad e = z - y, \qquad
        \frac{\partial L}{\partial z_c} = e_c
    """
    e = np.subtract(z, y, scratch.p)
    np.multiply(e, weight, z)
    return 0.5 * inner(z, e)


def huber(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute Huber's loss, and replace z by delta.

    It is half of the squared error up to an error of d, and linear from there on: with the error
    :math:`e = z - y`, and the same clipped, :math:`c = \max(-d, \min(e, d))`,

    .. math:: L = \sum_c c_c \left(e_c - \frac{c_c}{2}\right), \qquad
        \frac{\partial L}{\partial z_c} = c_c .

    P. J. Huber, "Robust estimation of a location parameter", 1964.
    """
    e = np.subtract(z, y, z)
    clipped = np.clip(e, -HUBER_DELTA, HUBER_DELTA, scratch.p)
    pull = np.multiply(clipped, weight, scratch.q)
    clipped *= 0.5
    e -= clipped
    loss = inner(pull, e)
    np.copyto(z, pull)
    return loss


def half_poisson_deviance(
    z: NDArray, y: NDArray, weight: NDArray, guard: NDArray | None, scratch: Scratch
) -> NDArray:
    r"""Compute half of the Poisson deviance of exp(z), and replace z by delta.

    .. math:: L = \sum_c y_c \log \frac{y_c}{e^{z_c}} - y_c + e^{z_c}, \qquad
        \frac{\partial L}{\partial z_c} = e^{z_c} - y_c
    """
    least = xlogy(y, y, scratch.q)
    least -= y
    least -= np.multiply(y, z, scratch.p)
    mean = np.exp(z, scratch.p)
    least += mean
    loss = inner(weight, least)
    np.subtract(mean, y, z)
    z *= weight
    return loss


# ---------------------------------------------------------------- the table


def no_guard(f: NDArray) -> NDArray:
    """Return zeros: the loss has no guard."""
    return np.zeros_like(f)


class Loss(NamedTuple):
    """One row of the table: a loss for one kind of output, with its baseline and its guard."""

    value_and_delta: Callable[[NDArray, NDArray, NDArray, NDArray | None, Scratch], NDArray]
    """Computes the loss of each network, (K,), given z, y, weight, guard and scratch; replaces z by
    delta."""
    baseline: Callable[[NDArray, NDArray], float] | None = None
    """Loss of always predicting the frequencies f of the targets, (n_outputs,), given the guard;
    None in regression."""
    guard: Callable[[NDArray], NDArray] = no_guard
    """Guard, (n_outputs,), for the frequencies of the targets."""


#: (name of the loss, activation of the output layer) -> row
LOSSES = {
    ("squared_error", "logistic"): Loss(squared_error_sigmoids, squared_error_baseline),
    ("squared_error", "softmax"): Loss(squared_error_softmax, squared_error_baseline),
    ("guarded_squared_error", "logistic"): Loss(
        guarded_squared_error_sigmoids, guarded_squared_error_sigmoids_baseline, guard_of_sigmoids
    ),
    ("guarded_squared_error", "softmax"): Loss(
        guarded_squared_error_softmax, guarded_squared_error_softmax_baseline, guard_of_softmax
    ),
    ("log_loss", "logistic"): Loss(log_loss_sigmoids, log_loss_sigmoids_baseline),
    ("log_loss", "softmax"): Loss(log_loss_softmax, log_loss_softmax_baseline),
    ("squared_error", "identity"): Loss(half_squared_error),
    ("huber", "identity"): Loss(huber),
    ("poisson", "exp"): Loss(half_poisson_deviance),
}


def mean_loss(
    row: Loss, z: NDArray, y: NDArray, sample_weight: NDArray | None, guard: NDArray
) -> float:
    """Compute the weighted mean loss of one network over rows. Uses up z.

    Parameters
    ----------
    row : Loss
    z, y : ndarray of shape (n, n_outputs)
        Pre-activations of the outputs, and targets.
    sample_weight : ndarray of shape (n, 1) or (n, n_outputs), or None
        Weights of the rows, in any unit.
    guard : ndarray of shape (n_outputs,)
    """
    given = np.ones((len(z), 1)) if sample_weight is None else sample_weight
    total = given.sum(axis=-2)
    total[total == 0] = np.inf  # an output of weight zero does not count
    weight = np.broadcast_to(given / total, z.shape).astype(z.dtype)
    with one_thread_for(z.size):
        return float(row.value_and_delta(z, y, weight, guard.astype(z.dtype), Scratch(z)))


def losses_of_rows(
    row: Loss, z: NDArray, y: NDArray, sample_weight: NDArray | None, guard: NDArray
) -> NDArray:
    """Compute the loss of each row, times its weight, (n,). Uses up z.

    Parameters
    ----------
    row : Loss
    z, y : ndarray of shape (n, n_outputs)
        Pre-activations of the outputs, and targets.
    sample_weight : ndarray of shape (n, 1) or (n, n_outputs), or None
        Weights of the rows.
    guard : ndarray of shape (n_outputs,)
    """
    given = np.ones((len(z), 1), dtype=z.dtype) if sample_weight is None else sample_weight
    weight = np.broadcast_to(given, z.shape)
    # As n networks of one row each.
    z, y, weight = (array[:, None, :] for array in (z, y, weight))
    return row.value_and_delta(z, y, weight, guard.astype(z.dtype), Scratch(z))


def baseline_of(
    key: tuple[str, str],
    f: NDArray,
    guard: NDArray,
    y: NDArray,
    sample_weight: NDArray | None,
) -> float:
    """Compute the loss of always predicting the mean of the targets.

    Parameters
    ----------
    key : tuple of two str
        Row of ``LOSSES``.
    f : ndarray of shape (n_outputs,)
        Frequencies of the targets if they are 0 or 1.
    guard : ndarray of shape (n_outputs,)
    y : ndarray of shape (n, n_outputs)
        Targets, whose mean is the baseline prediction in regression.
    sample_weight : ndarray of shape (n, 1) or None
        Their weights.
    """
    row = LOSSES[key]
    if row.baseline is not None:
        return row.baseline(f, guard)
    if (y == y[:1]).all():
        return 0.0
    weight = None if sample_weight is None else np.broadcast_to(sample_weight, y.shape)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(y.astype(np.float64), axis=-2, weights=weight)
        z = NUMBER_LINKS[key[1]].pre_activations(mean)
        return mean_loss(row, np.tile(z, (len(y), 1)), y, sample_weight, guard)
