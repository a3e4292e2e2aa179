"""When to stop: a rule, and the state that it updates with each score."""

import math
from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class StoppingState:
    """Where a network stands with the rule that ends its training.

    Parameters
    ----------
    best_score : float, default=-inf
        Best score so far; higher is better.
    count : int, default=0
        Number of epochs without progress so far.
    best_theta : ndarray of shape (n_params,) or None
        Parameters of the best epoch, if the rule keeps them.
    """

    best_score: float = -math.inf
    count: int = 0
    best_theta: NDArray | None = None


@dataclass(frozen=True)
class NoImprovement:
    """Rule: training has stalled after too many epochs without progress.

    Parameters
    ----------
    tol : float
        Minimum gain over the best score so far that counts as progress.
    n_iter_no_change : int or inf
        Patience: training has stalled after more than this many epochs without progress.
    keep_best : bool
        Whether to keep a copy of the parameters of the best epoch.
    """

    tol: float
    n_iter_no_change: float
    keep_best: bool

    def update(self, state: StoppingState, score: float, theta: NDArray) -> StoppingState:
        """Return the state after the score of one more epoch.

        A score of NaN is never the best, and resets the count, as any comparison with it fails.
        """
        count = state.count + 1 if score < state.best_score + self.tol else 0
        if not score > state.best_score:
            return StoppingState(state.best_score, count, state.best_theta)
        return StoppingState(score, count, theta.copy() if self.keep_best else state.best_theta)

    def has_stalled(self, state: StoppingState) -> bool:
        """Tell whether there was no progress for too long."""
        return state.count > self.n_iter_no_change
