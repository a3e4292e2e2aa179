"""Learning rates as pure functions of how far training has come."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: An "adaptive" learning rate that has come down to this is not lowered further.
LOWEST_ADAPTIVE_RATE = 1e-6


#: Hidden units from which on :func:`learning_rate_for` needs no more than the least rate.
WIDE = 40


def learning_rate_for(solver: str, hidden_sizes: Sequence[int]) -> float:
    """Learning rate with ``learning_rate_init="auto"``: 0.01, and more for narrow networks.

    In a narrow network each unit must do more, and its weights have farther to go. The narrowest
    hidden layer counts. "sgd", whose steps shrink with the gradient, takes ten times as much.
    """
    rate = 0.01 * max(1.0, WIDE / min(hidden_sizes, default=WIDE))
    return 10 * rate if solver == "sgd" else rate


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
