"""Learning rate schedules."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: An "adaptive" learning rate at or below this is not lowered further.
LOWEST_ADAPTIVE_RATE = 1e-6


@dataclass(frozen=True)
class Schedule:
    r"""Learning rate of one network, a pure function of its progress in training.

    ============  =================================================================================
    constant      :math:`\eta_0`
    invscaling    :math:`\eta_0 / (t + 1)^p`, t the samples seen before this epoch
    adaptive      :math:`\eta_0 / 5^d`, d the number of plateaus met so far
    cosine        :math:`\eta_0 (1 + \cos \pi s) / 2`, s the fraction of all updates made
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

    def __call__(self, progress: NDArray, samples_seen: NDArray, plateaus: int) -> NDArray:
        """Return the learning rates of some future updates.

        Parameters
        ----------
        progress : ndarray of shape (n_updates,)
            For each update, the fraction of the planned updates made before it, in [0, 1).
        samples_seen : ndarray of shape (n_updates,)
            For each update, the samples that the solver sees before its epoch.
        plateaus : int
            How often training has stalled and gone on with a lower rate.

        Returns
        -------
        lr : ndarray of shape (n_updates,)
        """
        lr = np.full_like(progress, self.learning_rate_init)
        if self.name == "invscaling":
            lr /= (samples_seen + 1.0) ** self.power_t
        elif self.name == "adaptive":
            lr /= 5.0**plateaus
        elif self.name == "cosine":
            lr *= 0.5 * (1 + np.cos(np.pi * progress))
        return lr

    def lowers_on_plateau(self, plateaus: int) -> bool:
        """Tell whether a network that stalls goes on with a lower rate, instead of stopping."""
        lr = self.learning_rate_init / 5.0**plateaus
        return self.name == "adaptive" and lr > LOWEST_ADAPTIVE_RATE
