"""Training: the epoch loop over a stack of networks, and L-BFGS beside it.

A :class:`TrainingJob` says all that the training of one network depends on. :func:`train` takes
jobs that agree in what a stack must share and trains them as one; :func:`train_lbfgs` takes one.
Both return what came out as a :class:`TrainingResult`.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import inplace_column_scale

from sknn_scratch.activations import ACTIVATIONS
from sknn_scratch.arrays import total
from sknn_scratch.batches import batch_slices
from sknn_scratch.losses import LOSSES, Scratch
from sknn_scratch.network import Workspace, backward, forward, layers_of, n_weights
from sknn_scratch.schedules import Schedule
from sknn_scratch.solvers import Solver, State, stacked
from sknn_scratch.stopping import NoImprovement
from sknn_scratch.threads import threads_for


class Epoch(NamedTuple):
    """Record of one epoch of one network: what stopping, printing and callbacks read."""

    number: int
    """Epochs so far in this run, this one included."""

    loss: float
    """Mean over the rows of the loss before each update, penalty included."""

    validation_loss: float | None
    """Loss on the validation rows after the epoch, where there are some."""

    score: float | None
    """Validation score after the epoch, where there are some."""

    theta: NDArray
    """Parameters after the epoch, (n_params,): a view that the next epoch overwrites."""

    seconds: float
    """Wall time since the run began."""

    result: "Callable[[], TrainingResult]"
    """Gives what came out so far, in arrays of its own; to be called before the next epoch."""

    verdict: str | None = None
    """None if training simply goes on; "slower" if at a lower rate; else why it ends."""


@dataclass
class SolverProgress:
    """Where a solver stands, so that training can go on from there."""

    state: State | None = None
    """Arrays shaped like theta, one network's, (n_params,); None before the first step."""

    steps: int = 0
    """Updates of theta so far."""

    plateaus: int = 0
    """How often an adaptive learning rate was lowered so far."""

    samples_seen: int = 0
    """Samples that the solver's schedule has seen so far."""

    noise: float = 1.0
    """Share of the variation in the targets that is taken for noise; scales the weight decay."""


@dataclass
class TrainingJob:
    """All that the training of one network depends on.

    Jobs can share a stack if they agree in what :meth:`stack_key` returns.
    """

    X: NDArray
    """Inputs, (n, n_features); or a CSR matrix, in a stack of one."""
    Y: NDArray
    """Targets, (n, n_outputs), 0 or 1, of theta's dtype."""
    sample_weight: NDArray | None
    """Weights of the rows, (n,), of theta's dtype; or None."""
    sizes: tuple[int, ...]
    """Layer sizes: inputs, hidden layers, outputs."""
    activation: str
    out_activation: str
    loss: str
    theta: NDArray
    """Parameters to start from, (n_params,)."""
    rng: np.random.RandomState
    """Source of the row order of each epoch."""
    solver: Solver
    schedule: Schedule
    alpha: float
    """L2 penalty: adds alpha / 2 * |W|² / n to the loss of n rows."""
    weight_decay: float
    """Decoupled weight decay: each update first multiplies W by 1 - lr * weight_decay."""
    batch_size: int
    max_iter: int
    shuffle: bool
    stopping: NoImprovement | None = None
    """Rule that ends training, or lowers an adaptive learning rate; None trains for max_iter."""
    validate: Callable[[NDArray], tuple[float, float]] | None = None
    """Validation loss and score of theta (n_params,); the score is for the rule, which without one
    gets minus the loss."""
    watchers: Sequence[Callable[[Epoch], object]] = ()
    """Called with the record of each epoch; training ends if one returns True."""
    chance: float | None = None
    """Loss of a network that does not look at X; if given, the noise is measured by it."""
    input_dropout: float = 0.0
    """Share of the inputs that each update leaves out."""
    dropout_rng: np.random.RandomState | None = None
    """Source of the inputs to leave out."""
    progress: SolverProgress = field(default_factory=SolverProgress)
    resume: "TrainingResult | None" = None
    """What came out so far of a run that is to go on; theta, progress, the rule and the sources of
    random numbers are then those at its end."""

    def start(self) -> "TrainingResult":
        """What came out before training: nothing, or what is so far of a run that goes on."""
        return self.resume or TrainingResult(self.theta, self.progress)

    def stack_key(self) -> tuple[object, ...]:
        """What the jobs of one stack have in common."""
        network = (self.sizes, self.activation, self.out_activation, self.loss, self.theta.dtype)
        # The one setting of a solver that is not a number, and so cannot differ within a stack.
        nesterov = getattr(self.solver, "nesterovs_momentum", None)
        loop = (self.X.shape[0], self.batch_size, self.start().n_iter)
        return (*network, type(self.solver), nesterov, *loop)

    def measure_noise(self, epoch: int, loss: float) -> None:
        """Take what the first quarter of training leaves unexplained for the noise in the data.

        That is late enough to have learnt something, and early enough not to have learnt by heart.
        """
        if self.chance and epoch == max(1, self.max_iter // 4):
            self.progress.noise = min(1.0, loss / self.chance)

    def largest_product(self, n: int) -> int:
        """Multiplications of numbers in the largest product of matrices for n rows."""
        return n * max(n_in * n_out for n_in, n_out in pairwise(self.sizes))


@dataclass
class TrainingResult:
    """What came out of the training of one network."""

    theta: NDArray
    """Parameters after the last epoch, (n_params,)."""
    progress: SolverProgress
    n_iter: int = 0
    """Epochs of this run (L-BFGS: iterations)."""
    loss_curve: list[float] = field(default_factory=list)
    validation_loss_curve: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    """Validation loss and score of each epoch, where there are some."""
    reason: str = ""
    """Why it ended: "max_iter", "stalled", "callback", "diverged" or "interrupted"; of L-BFGS
    "converged", or in its own words why it did not. Empty if it has not ended."""
    loss: float = math.nan
    """Loss at the end."""
    order: NDArray | None = None
    """Numbers of the rows, (n,), in the order of the last epoch, which the next one shuffles; not
    of L-BFGS."""


# ---------------------------------------------------------------- loss and gradient of a batch


class Batch:
    """Rows of K networks, and the arrays in which their loss and gradient are computed.

    Parameters
    ----------
    sizes : sequence of int
        Layer sizes.
    X : ndarray of shape (K, n, n_features), or sparse matrix (n, n_features) for one network
        Inputs.
    y : ndarray of shape (K, n, n_outputs)
        Targets; its dtype is that of the computation.

    Attributes
    ----------
    share : ndarray of shape (K, n, n_outputs)
        Each row's share in the mean: 1 / n, or its weight over the sum of the batch's weights.
    total : ndarray of shape () or (K, 1, 1)
        Number of rows, or the sum of their weights.
    """

    def __init__(self, sizes: Sequence[int], X: NDArray, y: NDArray):
        *K, n, _ = y.shape
        self.X, self.y = X, y
        self.share = np.full_like(y, 1 / n)
        self.total = np.array(n, dtype=y.dtype)
        self.work = Workspace(sizes, tuple(K), n, y.dtype)
        self.scratch = Scratch(y)

    def set_weights(self, sample_weight: NDArray) -> None:
        """Set the shares from weights (K, n)."""
        total = sample_weight.sum(axis=-1, keepdims=True)
        total[total == 0] = np.inf  # a batch without any weight has no say, nor has its penalty
        self.share[...] = (sample_weight / total)[..., None]
        self.total = total[..., None]


class Objective:
    """Loss and gradient of a stack of K networks at theta.

    Attributes
    ----------
    theta, grad : ndarray of shape (K, n_params)
    layers, grads : list of Layer
        Views of theta and of grad.
    weights, weight_grads : ndarray of shape (K, 1, n_weights)
        Views of the weights, without the biases.
    """

    def __init__(self, jobs: Sequence[TrainingJob], theta: NDArray):
        first = jobs[0]
        self.theta, self.grad = theta, np.empty_like(theta)
        self.layers = layers_of(self.theta, first.sizes)
        self.grads = layers_of(self.grad, first.sizes)
        self.weights = self.theta[..., None, : n_weights(first.sizes)]
        self.weight_grads = self.grad[..., None, : n_weights(first.sizes)]
        self.activation = ACTIVATIONS[first.activation]
        self.loss = LOSSES[first.loss, first.out_activation]
        self.alpha = per_network([job.alpha for job in jobs], theta)[..., None]
        self.penalised = bool(self.alpha.any())
        self.penalty = np.empty_like(self.weights)

    def evaluate(self, batch: Batch) -> NDArray:
        """Fill grad, and return the loss of each network, (K,)."""
        work = batch.work
        forward(self.layers, batch.X, self.activation, work.z)
        loss = self.loss(work.z[-1], batch.y, batch.share, batch.scratch)
        backward(self.layers, batch.X, self.activation, work, self.grads)
        if self.penalised:
            np.multiply(self.weights, self.alpha / batch.total, self.penalty)
            self.weight_grads += self.penalty
            loss += 0.5 * total(self.weights, self.penalty)
        return loss


def per_network(numbers: Sequence[float], theta: NDArray) -> NDArray:
    """Numbers of K networks, (K, 1), in the dtype of their theta, (K, n_params)."""
    return np.array(numbers, dtype=theta.dtype).reshape(*theta.shape[:-1], 1)


# ---------------------------------------------------------------- the stack and its epochs

#: About how many updates ahead learning rates are computed, as one array.
PLANNED_UPDATES = 512


class Stack:
    """Networks in training. Those that are done leave, and the rest go on without them."""

    def __init__(self, jobs: Sequence[TrainingJob]):
        self.jobs = list(jobs)
        self.places = list(range(len(jobs)))
        self.results: list[TrainingResult | None] = [None] * len(jobs)
        starts = [job.start() for job in jobs]
        self.curves = [list(start.loss_curve) for start in starts]
        self.validation_curves = [list(start.validation_loss_curve) for start in starts]
        self.scores = [list(start.scores) for start in starts]
        self.epoch = starts[0].n_iter
        self.began = time.perf_counter()

        first = jobs[0]
        self.n = first.X.shape[0]
        self.slices = list(batch_slices(self.n, first.batch_size))
        self.X = first.X if len(jobs) == 1 else np.concatenate([job.X for job in jobs])
        self.Y = first.Y if len(jobs) == 1 else np.concatenate([job.Y for job in jobs])
        self.sample_weight = self._joined_weights()
        # The rows of each job, in the order of the current epoch.
        self.order = np.arange(len(jobs) * self.n).reshape(len(jobs), self.n)
        for order, start in zip(self.order, starts, strict=True):
            if start.order is not None:
                order[:] = order[start.order]
        self._settle(
            [job.theta for job in jobs],
            [job.progress.state or job.solver.new_state(job.theta) for job in jobs],
        )
        # A run that goes on may have been at its end.
        if ended := {k: start.reason for k, start in enumerate(starts) if start.reason}:
            self.leave(ended)

    def _joined_weights(self) -> NDArray | None:
        """Weights of the rows of all jobs, (K * n,), or None if none has any."""
        if all(job.sample_weight is None for job in self.jobs):
            return None
        ones = np.ones(self.n, dtype=self.jobs[0].theta.dtype)
        return np.concatenate(
            [ones if job.sample_weight is None else job.sample_weight for job in self.jobs]
        )

    def _settle(self, thetas: Sequence[NDArray], states: Sequence[State]) -> None:
        """Lay out all arrays for the networks that are in the stack now."""
        first, K = self.jobs[0], () if len(self.jobs) == 1 else (len(self.jobs),)
        self.theta = np.stack(thetas).reshape(*K, -1)
        self.thetas = list(self.theta.reshape(len(self.jobs), -1))
        self.rows = self.order.reshape(*K, self.n)
        self.state = {
            name: np.stack([state[name] for state in states]).reshape(*K, -1) for name in states[0]
        }
        self.objective = Objective(self.jobs, self.theta)
        self.solver = stacked([job.solver for job in self.jobs], self.theta.dtype)
        self.take_step = self.solver.bound(self.theta, self.objective.grad, self.state)
        self.weight_decay = self._noise_scaled_decay()
        self.kept: NDArray | None = None
        if any(job.dropout_rng is not None for job in self.jobs):
            self.kept = np.ones((*K, 1, first.sizes[0]), dtype=self.theta.dtype)
        self.batches = {}
        for n in {rows.stop - rows.start for rows in self.slices}:
            # Rows of a sparse X are gathered as a sparse matrix of their own.
            n_features = 0 if issparse(self.X) else first.sizes[0]
            X = np.empty((*K, n, n_features), dtype=self.theta.dtype)
            y = np.empty((*K, n, first.sizes[-1]), dtype=self.theta.dtype)
            self.batches[n] = Batch(first.sizes, X, y)
        self.replan()

    def _noise_scaled_decay(self) -> NDArray | None:
        """Weight decay of each network, (K, 1, 1), or None if there is none."""
        decays = [job.weight_decay * job.progress.noise for job in self.jobs]
        return per_network(decays, self.theta)[..., None] if any(decays) else None

    def replan(self) -> None:
        """Forget the learning rates that were computed ahead."""
        self.planned: Iterator[tuple[NDArray, NDArray]] = iter(())

    def epochs(self) -> Iterator[list[float]]:
        """Train epoch by epoch, and yield the losses of each, while networks are left."""
        while self.jobs:
            for job, order in zip(self.jobs, self.order, strict=True):
                if job.shuffle:
                    job.rng.shuffle(order)
            losses = 0.0
            for batch in self.slices:
                lr, size = next(self.planned, None) or self._plan()
                loss = self.objective.evaluate(self._gather(self.rows[..., batch]))
                losses += loss * (batch.stop - batch.start)
                if self.weight_decay is not None:
                    self.objective.weights *= 1 - lr * self.weight_decay
                self.take_step(size)
            self.epoch += 1
            means = np.ravel(losses / self.n).tolist()
            for job, mean in zip(self.jobs, means, strict=True):
                job.progress.steps += len(self.slices)
                job.progress.samples_seen += self.n
                job.measure_noise(self.epoch, mean)
            self.weight_decay = self._noise_scaled_decay()
            yield means

    def _plan(self) -> tuple[NDArray, NDArray]:
        """Compute learning rates and step sizes of the next epochs; return those of one update."""
        n_updates = len(self.slices)
        left = max(job.max_iter for job in self.jobs) - self.epoch
        n_epochs = min(left, math.ceil(PLANNED_UPDATES / n_updates))
        update = np.arange(n_epochs * n_updates)
        epoch = update // n_updates
        before = self.epoch * n_updates + update
        rates = []
        for job in self.jobs:
            progress = job.progress
            # One division, so that it makes no difference from where on it is planned.
            share = before / (n_updates * job.max_iter)
            seen = progress.samples_seen + epoch * self.n
            if not progress.steps:
                # A solver that starts anew, as in a warm start, starts with the initial rate.
                seen[epoch == 0] = 0
            rates.append(job.schedule(np.minimum(share, 1), seen, progress.plateaus))
        shape = (len(update), *self.theta.shape[:-1], 1)
        steps = np.array([job.progress.steps + 1 + update for job in self.jobs])
        lr, steps = (array.T.reshape(shape) for array in (np.array(rates), steps))
        size = self.solver.step_size(lr, steps)
        lr, size = (array.astype(self.theta.dtype) for array in (lr[..., None], size))
        self.planned = zip(lr, size, strict=True)
        return next(self.planned)

    def _gather(self, rows: NDArray) -> Batch:
        """Copy these rows of each network, (K, n), to where they are used."""
        batch = self.batches[rows.shape[-1]]
        if isinstance(self.X, np.ndarray):
            self.X.take(rows, -2, batch.X, "clip")
        else:
            batch.X = self.X[rows]
        self.Y.take(rows, -2, batch.y, "clip")
        if self.sample_weight is not None:
            batch.set_weights(self.sample_weight[rows])
        if self.kept is not None:
            self._leave_inputs_out(batch, self.kept)
        return batch

    def _leave_inputs_out(self, batch: Batch, kept: NDArray) -> None:
        """Leave columns of the batch out by chance, and scale up the others to make up for them.

        Columns, not single values: that takes n times fewer random numbers, and it makes no
        difference whether a row comes twice or with twice the weight.
        """
        for job, inputs in zip(self.jobs, kept.reshape(len(self.jobs), -1), strict=True):
            if job.dropout_rng is not None:
                drawn = job.dropout_rng.random_sample(len(inputs))
                inputs[:] = (drawn >= job.input_dropout) / (1 - job.input_dropout)
        if isinstance(batch.X, np.ndarray):
            batch.X *= kept
        else:
            inplace_column_scale(batch.X, kept.ravel())

    def record(self, k: int, loss: float) -> Epoch:
        """Record of the epoch that network k of the stack has just finished."""
        job, place, theta = self.jobs[k], self.places[k], self.thetas[k]
        validation_loss = score = None
        if job.validate is not None:
            validation_loss, score = job.validate(theta)
            self.validation_curves[place].append(validation_loss)
            self.scores[place].append(score)
        self.curves[place].append(loss)
        seconds = time.perf_counter() - self.began
        so_far = partial(self.result_of, k)
        return Epoch(self.epoch, loss, validation_loss, score, theta, seconds, so_far)

    def state_of(self, k: int) -> State:
        """Solver's state of network k of the stack, as views."""
        return {name: array.reshape(len(self.jobs), -1)[k] for name, array in self.state.items()}

    def result_of(self, k: int, reason: str = "") -> TrainingResult:
        """Result so far of network k of the stack, in arrays of its own."""
        place = self.places[k]
        curve = list(self.curves[place])
        state = {name: array.copy() for name, array in self.state_of(k).items()}
        return TrainingResult(
            theta=self.thetas[k].copy(),
            progress=replace(self.jobs[k].progress, state=state),
            n_iter=len(curve),
            loss_curve=curve,
            validation_loss_curve=list(self.validation_curves[place]),
            scores=list(self.scores[place]),
            reason=reason,
            loss=curve[-1] if curve else math.nan,
            order=self.order[k] - place * self.n,
        )

    def leave(self, reasons: dict[int, str]) -> None:
        """Let the networks leave whose place in the stack is a key, and keep their results."""
        thetas, K = self.thetas, len(self.jobs)
        states = [self.state_of(k) for k in range(K)]
        for k, reason in reasons.items():
            self.results[self.places[k]] = result = self.result_of(k, reason)
            self.jobs[k].progress = result.progress
        stay = [k for k in range(K) if k not in reasons]
        self.jobs = [self.jobs[k] for k in stay]
        self.places = [self.places[k] for k in stay]
        self.order = self.order[stay]
        if stay:
            self._settle([thetas[k] for k in stay], [states[k] for k in stay])


def train(jobs: Sequence[TrainingJob]) -> list[TrainingResult]:
    """Train jobs that agree in their :meth:`TrainingJob.stack_key` as one stack.

    A network that stalls, diverges or has had its epochs leaves the stack; the others go on. The
    result of a job does not depend on whom it was stacked with, up to rounding.

    Parameters
    ----------
    jobs : sequence of TrainingJob
        Their ``rng``, ``stopping`` and ``progress`` are carried forward.

    Returns
    -------
    results : list of TrainingResult
        In the order of the jobs. On KeyboardInterrupt, of what was learnt until then.
    """
    stack = Stack(jobs)
    largest = jobs[0].largest_product(jobs[0].batch_size)
    try:
        with threads_for(largest), np.errstate(over="ignore", invalid="ignore"):
            for losses in stack.epochs():
                reasons = {}
                for k, loss in enumerate(losses):
                    verdict = _verdict(stack.jobs[k], stack.record(k, loss))
                    if verdict == "slower":
                        stack.replan()
                    elif verdict is not None:
                        reasons[k] = verdict
                if reasons:
                    stack.leave(reasons)
    except KeyboardInterrupt:
        stack.leave(dict.fromkeys(range(len(stack.jobs)), "interrupted"))
    return [result for result in stack.results if result is not None]


def _verdict(job: TrainingJob, epoch: Epoch) -> str | None:
    """Tell whether training ends with this epoch or goes on more slowly; show it to who watches."""
    verdict = "max_iter" if epoch.number == job.max_iter else None
    score = -epoch.loss if epoch.score is None else epoch.score
    if not math.isfinite(epoch.loss):
        verdict = "diverged"
    elif job.stopping is not None and job.stopping.update(score, epoch.theta):
        if not job.schedule.lowers_on_plateau(job.progress.plateaus):
            verdict = "stalled"
        else:
            job.progress.plateaus += 1
            job.stopping.count = 0
            verdict = verdict or "slower"
    # All of them see the record, also if one of them ends training.
    stops = [watch(epoch._replace(verdict=verdict)) for watch in job.watchers]
    if any(stops) and verdict in (None, "slower"):
        verdict = "callback"
    return verdict


# ---------------------------------------------------------------- L-BFGS

#: SciPy's status of a search that its callback has called off.
CALLED_OFF = 99


def train_lbfgs(job: TrainingJob, tol: float, max_fun: int) -> TrainingResult:
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
    result : TrainingResult
        On KeyboardInterrupt, of the best parameters found until then.
    """
    # In float64 whatever comes in: line searches compare losses that differ in the last digits.
    X = job.X.astype(np.float64, copy=False)
    batch = Batch(job.sizes, X, job.Y.astype(np.float64))
    if job.sample_weight is not None:
        batch.set_weights(job.sample_weight.astype(np.float64))
    objective = Objective([job], job.theta.astype(np.float64))
    began = time.perf_counter()
    best, best_loss, loss = objective.theta.copy(), math.inf, math.nan
    curve: list[float] = []
    validation: list[tuple[float, float]] = []

    def loss_and_grad(theta: NDArray) -> tuple[float, NDArray]:
        nonlocal best, best_loss, loss
        objective.theta[:] = theta
        loss = float(objective.evaluate(batch))
        if loss < best_loss:
            best, best_loss = theta.copy(), loss
        return loss, objective.grad.copy()

    def watch(theta: NDArray) -> None:
        # An iteration ends with the evaluation of the parameters that it arrives at.
        curve.append(loss)
        if job.validate is not None:
            validation.append(job.validate(theta))
        validation_loss, score = validation[-1] if validation else (None, None)
        seconds = time.perf_counter() - began
        so_far = partial(result_of, theta, loss, len(curve))
        epoch = Epoch(len(curve), loss, validation_loss, score, theta, seconds, so_far)
        stops = [watch(epoch) for watch in job.watchers]
        if any(stops):
            raise StopIteration

    def result_of(theta: NDArray, loss: float, n_iter: int, reason: str = "") -> TrainingResult:
        return TrainingResult(
            theta=theta.astype(job.theta.dtype),
            progress=job.progress,
            n_iter=n_iter,
            loss_curve=list(curve),
            validation_loss_curve=[loss for loss, _ in validation],
            scores=[score for _, score in validation],
            reason=reason,
            loss=loss,
        )

    try:
        with (
            threads_for(job.largest_product(X.shape[0])),
            np.errstate(over="ignore", invalid="ignore"),
        ):
            found = minimize(
                loss_and_grad,
                objective.theta.copy(),
                method="L-BFGS-B",
                jac=True,
                options={"maxfun": max_fun, "maxiter": job.max_iter, "gtol": tol},
                callback=watch,
            )
    except KeyboardInterrupt:
        theta, loss, n_iter, reason = best, best_loss, len(curve), "interrupted"
    else:
        theta, loss, n_iter = found.x, float(found.fun), min(found.nit, job.max_iter)
        reasons = {0: "converged", CALLED_OFF: "callback"}
        reason = reasons.get(found.status, str(found.message))
    return result_of(theta, loss, n_iter, reason)
