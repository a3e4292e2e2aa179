"""Inverse links: from the pre-activations of the outputs to what a network predicts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, log_softmax
from sklearn.utils import extmath


def same(z: NDArray) -> NDArray:
    """Return z as it is."""
    return z


# ---------------------------------------------------------------- classes


def logistic_per_class(z: NDArray) -> NDArray:
    """Give each of two classes with one output a pre-activation: -z and z.

    So the complement of a sigmoid is also a sigmoid, and exact where 1 - p would cancel.
    """
    return np.concatenate([-z, z], axis=-1) if z.shape[-1] == 1 else z


def logistic_probabilities(z: NDArray) -> NDArray:
    """Replace z by its sigmoids, in place."""
    return expit(z, z)


def logistic_log_probabilities(z: NDArray) -> NDArray:
    """Return the logarithms of the sigmoids of z. Uses up z."""
    return _log_where_normal(log_expit(z), logistic_probabilities(z))


def softmax_probabilities(z: NDArray) -> NDArray:
    """Replace z by its softmax over the last axis, in place."""
    extmath.softmax(z.reshape(-1, z.shape[-1]), copy=False)
    return z


def softmax_log_probabilities(z: NDArray) -> NDArray:
    """Return the logarithms of the softmax of z. Uses up z."""
    return _log_where_normal(log_softmax(z, axis=-1), softmax_probabilities(z))


def _log_where_normal(log_p: NDArray, p: NDArray) -> NDArray:
    """Take the logarithm of p unless p is subnormal, so that it agrees with p up to rounding."""
    return np.log(p, out=log_p, where=p > np.finfo(p.dtype).tiny)


class InverseLink(NamedTuple):
    """What turns pre-activations of the outputs, (K, n, n_outputs), into probabilities."""

    per_class: Callable[[NDArray], NDArray]
    """Gives each class its own pre-activation, (K, n, n_classes)."""
    probabilities: Callable[[NDArray], NDArray]
    """Replaces pre-activations by probabilities, in place."""
    log_probabilities: Callable[[NDArray], NDArray]
    """Returns the logarithms of the probabilities, never infinite; uses up the pre-activations."""


#: activation of the output layer -> inverse link, of classes
INVERSE_LINKS = {
    "logistic": InverseLink(logistic_per_class, logistic_probabilities, logistic_log_probabilities),
    "softmax": InverseLink(same, softmax_probabilities, softmax_log_probabilities),
}


# ---------------------------------------------------------------- numbers


def exponential(z: NDArray) -> NDArray:
    """Replace z by its exponential, in place."""
    return np.exp(z, z)


def logarithm(mean: NDArray) -> NDArray:
    """Return the logarithm of nonnegative numbers; for zero that of a very small number."""
    return np.log(np.maximum(mean, np.finfo(mean.dtype).tiny))


class NumberLink(NamedTuple):
    """What turns pre-activations of the outputs into numbers, and back."""

    numbers: Callable[[NDArray], NDArray]
    """Replaces pre-activations by numbers, in place."""
    pre_activations: Callable[[NDArray], NDArray]
    """Returns the pre-activations that give these numbers."""


#: activation of the output layer -> link, in regression
NUMBER_LINKS = {
    "identity": NumberLink(same, same),
    "exp": NumberLink(exponential, logarithm),
}
