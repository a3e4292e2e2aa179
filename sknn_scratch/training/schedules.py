"""How long to train, and at which learning rate as training comes along."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Bounds of :func:`planned_epochs`.
AUTO_EPOCHS = 60
UPDATES_PER_ROOT_OF_ROWS = 30
LEAST_UPDATES = 250
LEAST_UPDATES_TIMES_UNITS = 8000

#: Hidden units from which on :func:`learning_rate_for` needs no more than the least rate.
WIDE = 40

#: What :func:`learning_rate_for` multiplies the rate of a short run by at most.
MOST_HASTE = 2.0

#: An "adaptive" learning rate that has come down to this is not lowered further.
LOWEST_ADAPTIVE_RATE = 1e-6


def least_updates(hidden_sizes: Sequence[int]) -> float:
    """Updates of the parameters that it takes to get anywhere.

    250, or 8,000 by the units of the narrowest hidden layer if that is more.
    """
    narrowest = min(hidden_sizes, default=LEAST_UPDATES_TIMES_UNITS)
    return max(LEAST_UPDATES, LEAST_UPDATES_TIMES_UNITS / narrowest)


def planned_epochs(n_samples: int, batch_size: int, hidden_sizes: Sequence[int]) -> int:
    """Epochs of a run with ``max_iter="auto"``: enough updates, but not more than enough.

    Small tables need many epochs to get anywhere, large ones few. So: ``AUTO_EPOCHS``, but at most
    30 times the root of n_samples updates of the parameters, and no fewer than
    :func:`least_updates`.
    """
    updates_per_epoch = math.ceil(n_samples / batch_size)
    most = UPDATES_PER_ROOT_OF_ROWS * math.sqrt(n_samples)
    updates = max(least_updates(hidden_sizes), min(AUTO_EPOCHS * updates_per_epoch, most))
    return math.ceil(updates / updates_per_epoch)


def learning_rate_for(solver: str, hidden_sizes: Sequence[int], n_updates: float) -> float:
    """Learning rate with ``learning_rate_init="auto"``: 0.01, and more where the way is long.

    In a narrow network each unit must do more, and its weights have farther to go: below 40 units
    in the narrowest hidden layer, the rate is more in proportion. And n_updates that are fewer than
    :func:`least_updates` must take longer steps to go as far: the rate grows with the cube root of
    how many times fewer, up to twice as much.

    "sgd", whose steps shrink with the gradient, takes ten times as much, and no longer steps for
    fewer updates: at twice the rate some networks do not learn.
    """
    rate = 0.01 * max(1.0, WIDE / min(hidden_sizes, default=WIDE))
    if solver != "adam":
        return 10 * rate if solver == "sgd" else rate
    shortage = least_updates(hidden_sizes) / n_updates
    return rate * min(MOST_HASTE, max(1.0, shortage ** (1 / 3)))


@dataclass(frozen=True)
class Schedule:
    r"""Learning rate of one network.

    ============  =================================================================================
    constant      :math:`\eta_0`
    invscaling    :math:`\eta_0 / (t + 1)^p`, t the samples seen before this epoch
    adaptive      :math:`\eta_0 / 5^d`, d the number of plateaus met so far
    cosine        :math:`\eta_0 (1 + \cos \pi s) / 2`, s the share of all updates already made
                  (Loshchilov and Hutter, "SGDR", 2016, https://arxiv.org/abs/1608.03983, without
                  restarts)
    ============  =================================================================================

    Parameters
    ----------
    name : {"constant", "invscaling", "adaptive", "cosine"}
        Row of the table above.
    learning_rate_init : float
        :math:`\eta_0`.
    power_t : float, default=0.5
        Exponent p of "invscaling".
    """

    name: str
    learning_rate_init: float
    power_t: float = 0.5

    def __call__(self, share: NDArray, samples_seen: NDArray, plateaus: int) -> NDArray:
        """Learning rates of some updates to come.

        Parameters
        ----------
        share : ndarray of shape (n_updates,)
            For each update, the share of the planned updates that are made before it, in [0, 1).
        samples_seen : ndarray of shape (n_updates,)
            For each update, the samples that the solver sees before its epoch.
        plateaus : int
            How often training has stalled and gone on with a lower rate.

        Returns
        -------
        lr : ndarray of shape (n_updates,)
        """
        lr = np.full_like(share, self.learning_rate_init)
        if self.name == "invscaling":
            lr /= (samples_seen + 1.0) ** self.power_t
        elif self.name == "adaptive":
            lr /= 5.0**plateaus
        elif self.name == "cosine":
            lr *= 0.5 * (1 + np.cos(np.pi * share))
        return lr

    def lowers_on_plateau(self, plateaus: int) -> bool:
        """Whether a network that stalls goes on with a lower rate, instead of stopping."""
        lr = self.learning_rate_init / 5.0**plateaus
        return self.name == "adaptive" and lr > LOWEST_ADAPTIVE_RATE
