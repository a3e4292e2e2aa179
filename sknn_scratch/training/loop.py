"""Training: the epoch loop over a stack of networks, and L-BFGS beside it.

A :class:`TrainingJob` says all that the training of one network depends on. :func:`train` takes
jobs that agree in what a stack must share and trains them as one; :func:`train_lbfgs` takes one.
Both return what came out as a :class:`TrainingResult`.
"""

import math
import pickle
import time
from collections import Counter
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

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.arrays import total
from sknn_scratch.network.losses import LOSSES, Scratch
from sknn_scratch.network.propagation import Workspace, backward, forward, layers_of, n_weights
from sknn_scratch.network.threads import threads_for
from sknn_scratch.training.sampling import batch_slices
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import Solver, State, stacked
from sknn_scratch.training.stopping import NoImprovement


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

    def stream_key(self) -> object:
        """What jobs have in common that see the same rows in the same order.

        The arrays have to be the same objects: to compare what is in them takes time, and is up to
        those who know that it pays.
        """
        if self.resume is not None:
            return id(self)
        arrays = (id(self.X), id(self.Y), id(self.sample_weight))
        states = (state_of(self.rng), state_of(self.dropout_rng))
        return (*arrays, *states, self.shuffle, self.input_dropout)

    def measure_noise(self, epoch: int, loss: float) -> None:
        """Take what the first quarter of training leaves unexplained for the noise in the data.

        That is late enough to have learnt something, and early enough not to have learnt by heart.
        """
        if self.chance and epoch == max(1, self.max_iter // 4):
            self.progress.noise = min(1.0, loss / self.chance)

    def largest_product(self, n: int) -> int:
        """Multiplications of numbers in the largest product of matrices for n rows."""
        return n * max(n_in * n_out for n_in, n_out in pairwise(self.sizes))


def state_of(rng: np.random.RandomState | None) -> bytes | None:
    """State of a source of random numbers: those in the same state give the same numbers."""
    return None if rng is None else pickle.dumps(rng.get_state(legacy=False))


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
    K : tuple of int
        Axes of the stack.
    X : ndarray of shape (K, n, n_features), or sparse matrix (n, n_features) for one network
        Inputs. Along an axis of the stack in which networks share their rows, the length is 1; so
        also in y and share.
    y : ndarray of shape (K, n, n_outputs)
        Targets; its dtype is that of the computation.

    Attributes
    ----------
    share : ndarray of shape (K, n, n_outputs)
        Each row's share in the mean: 1 / n, or its weight over the sum of the batch's weights.
    total : ndarray of shape () or (K, 1, 1)
        Number of rows, or the sum of their weights.
    """

    def __init__(self, sizes: Sequence[int], K: tuple[int, ...], X: NDArray, y: NDArray):
        n = y.shape[-2]
        self.X, self.y = X, y
        self.share = np.full_like(y, 1 / n)
        self.total = np.array(n, dtype=y.dtype)
        self.work = Workspace(sizes, K, n, y.dtype)
        self.scratch = Scratch(self.work.z[-1])

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


class Sampler:
    """Draws the batches of a stack: which rows, in which order, and without which inputs.

    Networks that see the same rows in the same order, such as those of a search that differ in
    their learning rates, share a *stream*, if each stream has equally many of them. Then a row is
    gathered once for all of them, and the stack has two axes: streams, and networks of a stream.

    Parameters
    ----------
    jobs : sequence of TrainingJob
        The stack, stream by stream.
    streams : sequence of int
        Number of the stream of each job.
    orders : sequence of ndarray of shape (n,)
        Row numbers of each job in the order of its last epoch.

    Attributes
    ----------
    K : tuple of int
        Axes of the stack's arrays: () for one network, (n_jobs,), or (n_streams, n_each).
    """

    def __init__(
        self, jobs: Sequence[TrainingJob], streams: Sequence[int], orders: Sequence[NDArray]
    ):
        first, members = jobs[0], set(Counter(streams).values())
        self.jobs, self.n_each = jobs, members.pop() if len(members) == 1 else 1
        self.K: tuple[int, ...] = () if len(jobs) == 1 else (len(jobs) // self.n_each,)
        axes = self.K
        if self.n_each > 1:
            axes = (*self.K, 1)
            self.K = (*self.K, self.n_each)
        self.n, dtype = first.X.shape[0], first.theta.dtype
        self.slices = list(batch_slices(self.n, first.batch_size))
        self.leads = jobs[:: self.n_each]
        """The first job of each stream, whose sources of random numbers serve for all of it."""
        self.own = [(job, job.rng, job.dropout_rng) for job in jobs]
        for k, job in enumerate(jobs):
            lead = self.leads[k // self.n_each]
            job.rng, job.dropout_rng = lead.rng, lead.dropout_rng

        # What several jobs have in common is there once.
        tables = {(id(job.X), id(job.Y), id(job.sample_weight)): job for job in self.leads}
        starts = {key: i * self.n for i, key in enumerate(tables)}
        self.starts = [starts[id(j.X), id(j.Y), id(j.sample_weight)] for j in self.leads]
        self.X, self.Y = first.X, first.Y
        if len(tables) > 1:
            self.X = np.concatenate([job.X for job in tables.values()])
            self.Y = np.concatenate([job.Y for job in tables.values()])
        self.sample_weight = self._joined_weights([job.sample_weight for job in tables.values()])
        self.order = np.stack(orders[:: self.n_each]) + np.array(self.starts)[:, None]
        self.rows = self.order.reshape(*axes, self.n)
        self.kept: NDArray | None = None
        if any(job.dropout_rng is not None for job in self.leads):
            self.kept = np.ones((*axes, 1, first.sizes[0]), dtype=dtype)
        self.batches = {}
        for n in {rows.stop - rows.start for rows in self.slices}:
            # Rows of a sparse X are gathered as a sparse matrix of their own.
            n_features = 0 if issparse(self.X) else first.sizes[0]
            X = np.empty((*axes, n, n_features), dtype=dtype)
            y = np.empty((*axes, n, first.sizes[-1]), dtype=dtype)
            self.batches[n] = Batch(first.sizes, self.K, X, y)

    def _joined_weights(self, weights: Sequence[NDArray | None]) -> NDArray | None:
        """Weights of the rows of all tables, or None if none has any."""
        given = [weight for weight in weights if weight is not None]
        if not given:
            return None
        ones = np.ones_like(given[0])
        return np.concatenate([ones if weight is None else weight for weight in weights])

    def shuffle(self) -> None:
        """Bring the rows into the order of the next epoch."""
        for job, order in zip(self.leads, self.order, strict=True):
            if job.shuffle:
                job.rng.shuffle(order)

    def gather(self, rows: slice) -> Batch:
        """Copy rows of the epoch, by their places in it, to where they are used."""
        chosen = self.rows[..., rows]
        batch = self.batches[chosen.shape[-1]]
        if isinstance(self.X, np.ndarray):
            self.X.take(chosen, -2, batch.X, "clip")
        else:
            batch.X = self.X[chosen]
        self.Y.take(chosen, -2, batch.y, "clip")
        if self.sample_weight is not None:
            batch.set_weights(self.sample_weight[chosen])
        if self.kept is not None:
            self._leave_inputs_out(batch, self.kept)
        return batch

    def _leave_inputs_out(self, batch: Batch, kept: NDArray) -> None:
        """Leave columns of the batch out by chance, and scale up the others to make up for them.

        Columns, not single values: that takes n times fewer random numbers, and it makes no
        difference whether a row comes twice or with twice the weight.
        """
        for job, inputs in zip(self.leads, kept.reshape(len(self.leads), -1), strict=True):
            if job.dropout_rng is not None:
                drawn = job.dropout_rng.random_sample(len(inputs))
                np.greater_equal(drawn, job.input_dropout, inputs)
                inputs /= 1 - job.input_dropout
        if isinstance(batch.X, np.ndarray):
            batch.X *= kept
        else:
            inplace_column_scale(batch.X, kept.ravel())

    def order_of(self, k: int) -> NDArray:
        """Row numbers of job k in the order of the last epoch, (n,)."""
        return self.order[k // self.n_each] - self.starts[k // self.n_each]

    def end(self) -> None:
        """Give each job its own sources of random numbers back, as far on as those it has used."""
        for job, rng, dropout_rng in self.own:
            for own, used in ((rng, job.rng), (dropout_rng, job.dropout_rng)):
                if own is not None and used is not None and own is not used:
                    own.set_state(used.get_state())
            job.rng, job.dropout_rng = rng, dropout_rng


class Stack:
    """Networks in training. Those that are done leave, and the rest go on without them."""

    def __init__(self, jobs: Sequence[TrainingJob]):
        keys = [job.stream_key() if len(jobs) > 1 else None for job in jobs]
        streams = [keys.index(key) for key in keys]
        self.places = sorted(range(len(jobs)), key=streams.__getitem__)
        self.jobs = [jobs[place] for place in self.places]
        self.streams = [streams[place] for place in self.places]
        self.results: list[TrainingResult | None] = [None] * len(jobs)
        starts = [job.start() for job in jobs]
        self.curves = [list(start.loss_curve) for start in starts]
        self.validation_curves = [list(start.validation_loss_curve) for start in starts]
        self.scores = [list(start.scores) for start in starts]
        self.epoch = starts[0].n_iter
        self.began = time.perf_counter()
        self.n = jobs[0].X.shape[0]
        starts = [starts[place] for place in self.places]
        self._settle(
            [np.arange(self.n) if start.order is None else start.order for start in starts],
            [job.theta for job in self.jobs],
            [job.progress.state or job.solver.new_state(job.theta) for job in self.jobs],
        )
        # A run that goes on may have been at its end.
        if ended := {k: start.reason for k, start in enumerate(starts) if start.reason}:
            self.leave(ended)

    def _settle(
        self, orders: Sequence[NDArray], thetas: Sequence[NDArray], states: Sequence[State]
    ) -> None:
        """Lay out all arrays for the networks that are in the stack now."""
        self.sampler = Sampler(self.jobs, self.streams, orders)
        K = self.sampler.K
        self.theta = np.stack(thetas).reshape(*K, -1)
        self.thetas = list(self.theta.reshape(len(self.jobs), -1))
        self.state = {
            name: np.stack([state[name] for state in states]).reshape(*K, -1) for name in states[0]
        }
        self.objective = Objective(self.jobs, self.theta)
        self.solver = stacked([job.solver for job in self.jobs], K, self.theta.dtype)
        self.take_step = self.solver.bound(self.theta, self.objective.grad, self.state)
        self.weight_decay = self._noise_scaled_decay()
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
            sampler = self.sampler
            sampler.shuffle()
            losses = 0.0
            for rows in sampler.slices:
                lr, size = next(self.planned, None) or self._plan()
                loss = self.objective.evaluate(sampler.gather(rows))
                losses += loss * (rows.stop - rows.start)
                if self.weight_decay is not None:
                    self.objective.weights *= 1 - lr * self.weight_decay
                self.take_step(size)
            self.epoch += 1
            means = np.ravel(losses / self.n).tolist()
            for job, mean in zip(self.jobs, means, strict=True):
                job.progress.steps += len(sampler.slices)
                job.progress.samples_seen += self.n
                job.measure_noise(self.epoch, mean)
            self.weight_decay = self._noise_scaled_decay()
            yield means

    def _plan(self) -> tuple[NDArray, NDArray]:
        """Compute learning rates and step sizes of the next epochs; return those of one update."""
        n_updates = len(self.sampler.slices)
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

    def end_epoch(self, k: int, loss: float) -> str | None:
        """Record the epoch that network k of the stack has just finished, and show it to watchers.

        Returns why its training ends, or "slower" if it goes on at a lower rate, or None.
        """
        job, place, theta = self.jobs[k], self.places[k], self.thetas[k]
        validation_loss = score = None
        if job.validate is not None:
            validation_loss, score = job.validate(theta)
            self.validation_curves[place].append(validation_loss)
            self.scores[place].append(score)
        self.curves[place].append(loss)
        verdict = _verdict(job, self.epoch, loss, -loss if score is None else score, theta)
        if job.watchers:
            seconds, so_far = time.perf_counter() - self.began, partial(self.result_of, k)
            epoch = Epoch(self.epoch, loss, validation_loss, score, theta, seconds, so_far, verdict)
            # All of them see the record, also if one of them ends training.
            stops = [watch(epoch) for watch in job.watchers]
            if any(stops) and verdict in (None, "slower"):
                verdict = "callback"
        return verdict

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
            order=self.sampler.order_of(k),
        )

    def leave(self, reasons: dict[int, str]) -> None:
        """Let the networks leave whose place in the stack is a key, and keep their results."""
        thetas, K = self.thetas, len(self.jobs)
        states = [self.state_of(k) for k in range(K)]
        for k, reason in reasons.items():
            self.results[self.places[k]] = result = self.result_of(k, reason)
            self.jobs[k].progress = result.progress
        self.sampler.end()
        stay = [k for k in range(K) if k not in reasons]
        self.jobs = [self.jobs[k] for k in stay]
        self.places = [self.places[k] for k in stay]
        self.streams = [self.streams[k] for k in stay]
        if stay:
            orders = [self.sampler.order_of(k) for k in stay]
            self._settle(orders, [thetas[k] for k in stay], [states[k] for k in stay])


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
                    verdict = stack.end_epoch(k, loss)
                    if verdict == "slower":
                        stack.replan()
                    elif verdict is not None:
                        reasons[k] = verdict
                if reasons:
                    stack.leave(reasons)
    except KeyboardInterrupt:
        stack.leave(dict.fromkeys(range(len(stack.jobs)), "interrupted"))
    return [result for result in stack.results if result is not None]


def _verdict(job: TrainingJob, epoch: int, loss: float, score: float, theta: NDArray) -> str | None:
    """Tell whether training ends with this epoch, or goes on more slowly."""
    verdict = "max_iter" if epoch == job.max_iter else None
    if not math.isfinite(loss):
        verdict = "diverged"
    elif job.stopping is not None and job.stopping.update(score, theta):
        if not job.schedule.lowers_on_plateau(job.progress.plateaus):
            verdict = "stalled"
        else:
            job.progress.plateaus += 1
            job.stopping.count = 0
            verdict = verdict or "slower"
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
    batch = Batch(job.sizes, (), X, job.Y.astype(np.float64))
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
