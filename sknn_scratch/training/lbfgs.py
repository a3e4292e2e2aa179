"""L-BFGS: all rows at once, with SciPy's search."""

import math
import time
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import issparse

from sknn_scratch.network.threads import one_thread_for
from sknn_scratch.training.cutting import row_blocks
from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState
from sknn_scratch.training.objective import Batch, Objective

#: SciPy's status of a search that its callback has stopped.
CALLED_OFF = 99

#: Why a search ended, by SciPy's status; for any other status, SciPy's message says why.
STOP_REASONS = {0: "converged", CALLED_OFF: "callback"}


class Search:
    """A search in progress: its objective, what it has found, and a record of each iteration."""

    def __init__(self, job: TrainingJob):
        # Always in float64: line searches compare losses that differ in the last digits.
        rows = slice(None) if job.rows is None else job.rows
        X, Y = (part[rows].astype(np.float64, copy=False) for part in (job.X, job.Y))
        self.job = job
        sizes = job.architecture.sizes
        self.batch = Batch(sizes, (), X, Y, [] if issparse(X) else row_blocks(sizes, job.n_rows))
        if job.sample_weight is not None:
            self.batch.set_weights(job.sample_weight[rows].astype(np.float64))
        self.objective = Objective([job], job.start.theta.astype(np.float64))
        self.began = time.perf_counter()
        self.best, self.best_loss = self.objective.theta.copy(), math.inf
        self.loss = math.nan
        self.loss_curve: list[float] = []
        self.validation: list[tuple[float, float]] = []

    def loss_and_grad(self, theta: NDArray) -> tuple[float, NDArray]:
        """Evaluate the objective at theta, and note the best so far."""
        self.objective.theta[:] = theta
        self.loss = float(self.objective.evaluate(self.batch))
        if self.loss < self.best_loss:
            self.best, self.best_loss = theta.copy(), self.loss
        return self.loss, self.objective.grad.copy()

    def end_iteration(self, theta: NDArray) -> None:
        """Record an iteration that has arrived at theta; stop the search if a callback asks for it.

        Raises
        ------
        StopIteration
            If a callback asks for it. SciPy then ends the search.
        """
        # The last evaluation of an iteration is at the parameters that it arrives at.
        self.loss_curve.append(self.loss)
        if self.job.hold_out is not None:
            self.validation.append(self.job.hold_out(theta))
        n_iter = len(self.loss_curve)
        validation_loss, score = self.validation[-1] if self.validation else (None, None)
        epoch = Epoch(
            number=n_iter,
            loss=self.loss,
            validation_loss=validation_loss,
            score=score,
            seconds=time.perf_counter() - self.began,
            state=partial(self.state, theta, self.loss, n_iter),
        )
        stops = [callback(epoch) for callback in self.job.callbacks]
        if any(stops):
            raise StopIteration

    def state(
        self, theta: NDArray, loss: float, n_iter: int, stop_reason: str = ""
    ) -> TrainingState:
        """Return the state of training, given that the search has arrived at theta."""
        return replace(
            self.job.start,
            theta=theta.astype(self.job.start.theta.dtype),
            n_iter=n_iter,
            loss_curve=list(self.loss_curve),
            validation_loss_curve=[loss for loss, _ in self.validation],
            scores=[score for _, score in self.validation],
            loss=loss,
            stop_reason=stop_reason,
        )


def train_lbfgs(job: TrainingJob, tol: float, max_fun: int) -> TrainingState:
    """Minimise the loss over all rows with SciPy's L-BFGS-B.

    Parameters
    ----------
    job : TrainingJob
        Its solver, schedule, batch size and stopping rule are not used.
    tol : float
        Largest component of the gradient at which the search has converged.
    max_fun : int
        Most evaluations of the loss.

    Returns
    -------
    result : TrainingState
        On KeyboardInterrupt, the best parameters found until then.
    """
    search = Search(job)
    largest = job.architecture.largest_product(job.n_rows)
    try:
        with one_thread_for(largest), np.errstate(over="ignore", invalid="ignore"):
            found = minimize(
                search.loss_and_grad,
                search.objective.theta.copy(),
                method="L-BFGS-B",
                jac=True,
                options={"maxfun": max_fun, "maxiter": job.max_iter, "gtol": tol},
                callback=search.end_iteration,
            )
    except KeyboardInterrupt:
        n_iter = len(search.loss_curve)
        return search.state(search.best, search.best_loss, n_iter, "interrupted")
    stop_reason = STOP_REASONS.get(found.status, str(found.message))
    if not math.isfinite(found.fun):
        stop_reason = "diverged"
    n_iter = min(found.nit, job.max_iter)
    return search.state(found.x, float(found.fun), n_iter, stop_reason)
