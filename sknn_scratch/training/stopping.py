"""When to stop: scores in, booleans out."""

import math
from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass
class NoImprovement:
    """Stalled after more than ``n_iter_no_change`` epochs without a gain of ``tol``.

    Parameters
    ----------
    tol : float
        Least gain over the best score so far that counts as progress.
    n_iter_no_change : int or inf
        Epochs without progress that are borne with.
    keep_best : bool
        Whether to keep a copy of the parameters of the best epoch.
    best_score : float, default=-inf
        Best score so far (the more the better).
    count : int, default=0
        Epochs without progress so far.
    best_theta : ndarray of shape (n_params,) or None
        Parameters of the best epoch, where they are kept.
    """

    tol: float
    n_iter_no_change: float
    keep_best: bool
    best_score: float = -math.inf
    count: int = 0
    best_theta: NDArray | None = None

    def update(self, score: float, theta: NDArray) -> bool:
        """Take in the score of one more epoch; tell whether training has stalled.

        A score that is not a number is no progress and no standstill either: it is never the best,
        and resets the count, as any comparison with it fails.
        """
        self.count = self.count + 1 if score < self.best_score + self.tol else 0
        if score > self.best_score:
            self.best_score = score
            if self.keep_best:
                self.best_theta = theta.copy()
        return self.count > self.n_iter_no_change
