"""Learning rates as pure functions of how far training has come."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: An "adaptive" learning rate that has come down to this is not lowered further.
LOWEST_ADAPTIVE_RATE = 1e-6


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

    def __call__(self, share: NDArray, samples_seen: int, plateaus: int) -> NDArray:
        """Learning rates of the updates of one epoch.

        Parameters
        ----------
        share : ndarray of shape (n_updates,)
            For each update, the share of the planned updates that were made before it, in [0, 1).
        samples_seen : int
            Samples that the solver saw before this epoch, each as often as it saw it.
        plateaus : int
            How often training has stalled and gone on with a lower rate.

        Returns
        -------
        lr : ndarray of shape (n_updates,)
        """
        return _RATES[self.name](self, share, samples_seen, plateaus)

    def lowers_on_plateau(self, plateaus: int) -> bool:
        """Whether a network that stalls goes on with a lower rate, instead of stopping."""
        lr = self.learning_rate_init / 5.0**plateaus
        return self.name == "adaptive" and lr > LOWEST_ADAPTIVE_RATE


def _constant(schedule: Schedule, share: NDArray, samples_seen: int, plateaus: int) -> NDArray:
    return np.full_like(share, schedule.learning_rate_init)


def _invscaling(schedule: Schedule, share: NDArray, samples_seen: int, plateaus: int) -> NDArray:
    lr = schedule.learning_rate_init / (samples_seen + 1) ** schedule.power_t
    return np.full_like(share, lr)


def _adaptive(schedule: Schedule, share: NDArray, samples_seen: int, plateaus: int) -> NDArray:
    return np.full_like(share, schedule.learning_rate_init / 5.0**plateaus)


def _cosine(schedule: Schedule, share: NDArray, samples_seen: int, plateaus: int) -> NDArray:
    return 0.5 * schedule.learning_rate_init * (1 + np.cos(np.pi * share))


_RATES: dict[str, Callable[[Schedule, NDArray, int, int], NDArray]] = {
    "constant": _constant,
    "invscaling": _invscaling,
    "adaptive": _adaptive,
    "cosine": _cosine,
}
