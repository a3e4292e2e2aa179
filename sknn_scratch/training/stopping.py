"""When to stop: a rule, and a state that scores go into."""

import math
from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class StoppingState:
    """Where a network stands with the rule that ends its training.

    Parameters
    ----------
    best_score : float, default=-inf
        Best score so far (the more the better).
    count : int, default=0
        Epochs without progress so far.
    best_theta : ndarray of shape (n_params,) or None
        Parameters of the best epoch, where the rule keeps them.
    """

    best_score: float = -math.inf
    count: int = 0
    best_theta: NDArray | None = None


@dataclass(frozen=True)
class NoImprovement:
    """Training has stalled after more than ``n_iter_no_change`` epochs without a gain of ``tol``.

    Parameters
    ----------
    tol : float
        Least gain over the best score so far that counts as progress.
    n_iter_no_change : int or inf
        Patience: epochs without progress before training has stalled.
    keep_best : bool
        Whether to keep a copy of the parameters of the best epoch.
    """

    tol: float
    n_iter_no_change: float
    keep_best: bool

    def update(self, state: StoppingState, score: float, theta: NDArray) -> StoppingState:
        """Take in the score of one more epoch.

        A score that is not a number is never the best, and resets the count, as any comparison with
        it fails.
        """
        count = state.count + 1 if score < state.best_score + self.tol else 0
        if not score > state.best_score:
            return StoppingState(state.best_score, count, state.best_theta)
        return StoppingState(score, count, theta.copy() if self.keep_best else state.best_theta)

    def has_stalled(self, state: StoppingState) -> bool:
        """Tell whether there was no progress for too long."""
        return state.count > self.n_iter_no_change
