"""The training loop: epochs over a stack of networks.

:func:`train` takes jobs that agree in what a stack must share (see ``grouping.py``), trains them as
one, and returns for each what came out.
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.arrays import short_buffers
from sknn_scratch.network.threads import in_blocks, one_thread_for
from sknn_scratch.training.cutting import equal_blocks, stack_parts, step_blocks
from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState
from sknn_scratch.training.objective import Batch, Objective, per_weight
from sknn_scratch.training.sampling import Sampler, Stream
from sknn_scratch.training.solvers import SolverState, stacked, stepping, stepping_through

#: About how many updates ahead steps are computed, as one array.
PLANNED_UPDATES = 512


class Member:
    """A network of a stack: its job, and what changes from epoch to epoch but for its arrays.

    Parameters
    ----------
    job : TrainingJob
    """

    def __init__(self, job: TrainingJob):
        start = job.start
        self.job, self.stream = job, Stream(job)
        self.steps, self.plateaus = start.steps, start.plateaus
        self.samples_seen, self.noise = start.samples_seen, start.noise
        self.stopping = start.stopping
        self.loss_curve = list(start.loss_curve)
        self.validation_loss_curve = list(start.validation_loss_curve)
        self.scores = list(start.scores)

    def state(
        self, theta: NDArray, solver: SolverState, stream: Stream, stop_reason: str
    ) -> TrainingState:
        """Return where its training stands, with copies of its arrays, and a stream's sources."""
        return TrainingState(
            theta=theta.copy(),
            rng=stream.rng,
            dropout_rng=stream.dropout_rng,
            solver={name: array.copy() for name, array in solver.items()},
            steps=self.steps,
            plateaus=self.plateaus,
            samples_seen=self.samples_seen,
            noise=self.noise,
            stopping=self.stopping,
            order=stream.order,
            n_iter=self.n_iter,
            loss_curve=list(self.loss_curve),
            validation_loss_curve=list(self.validation_loss_curve),
            scores=list(self.scores),
            loss=self.loss_curve[-1] if self.loss_curve else math.nan,
            stop_reason=stop_reason,
        )

    @property
    def n_iter(self) -> int:
        """Epochs that are on record."""
        return len(self.loss_curve)

    def count_updates(self, epoch: int, loss: float, n_updates: int, n_rows: int) -> None:
        """Count the updates of an epoch."""
        self.steps += n_updates
        self.samples_seen += n_rows
        self.noise = self.job.noise_after(epoch, loss, self.noise)

    def record(self, loss: float, theta: NDArray) -> tuple[float | None, float | None]:
        """Put an epoch on record; return its validation loss and score, where there are some."""
        validation_loss = score = None
        if self.job.hold_out is not None:
            validation_loss, score = self.job.hold_out(theta)
            self.validation_loss_curve.append(validation_loss)
            self.scores.append(score)
        self.loss_curve.append(loss)
        return validation_loss, score

    def decide(self, score: float, theta: NDArray) -> tuple[str, bool]:
        """Tell why training ends with this epoch, "" if it goes on; and whether its rate falls."""
        job, lowered = self.job, False
        stop_reason = "max_iter" if self.n_iter == job.max_iter else ""
        if not math.isfinite(self.loss_curve[-1]):
            stop_reason = "diverged"
        elif job.stopping is not None:
            self.stopping = job.stopping.update(self.stopping, score, theta)
            if job.stopping.has_stalled(self.stopping):
                lowered = job.schedule.lowers_on_plateau(self.plateaus)
                if lowered:
                    self.plateaus += 1
                    self.stopping = replace(self.stopping, count=0)
                else:
                    stop_reason = "stalled"
        return stop_reason, lowered


class Stack:
    """Networks in training. Those that are done leave, and the rest go on without them.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    """

    def __init__(self, jobs: Sequence[TrainingJob]):
        self.results: list[TrainingState | None] = [None] * len(jobs)
        self.epoch = jobs[0].start.n_iter
        self.n = jobs[0].n_rows
        self.began = time.perf_counter()
        starts = [job.start for job in jobs]
        self._settle(
            [Member(job) for job in jobs],
            range(len(jobs)),
            [start.theta for start in starts],
            [job.start.solver or job.solver.new_state(job.start.theta) for job in jobs],
        )
        # A run that goes on may have been at its end.
        if ended := {k: start.stop_reason for k, start in enumerate(starts) if start.stop_reason}:
            self.leave(ended)

    def _settle(
        self,
        members: Sequence[Member],
        places: Sequence[int],
        thetas: Sequence[NDArray],
        states: Sequence[SolverState],
    ) -> None:
        """Lay out all arrays for the networks that go on, with their numbers in jobs."""
        jobs = [member.job for member in members]
        sampler = Sampler([member.stream for member in members])
        K = sampler.K
        theta = np.stack(thetas).reshape(*K, -1)
        views = list(theta.reshape(len(jobs), -1))
        state = {
            name: np.stack([state[name] for state in states]).reshape(*K, -1) for name in states[0]
        }
        self.objective = Objective(jobs, theta)
        self.solver = stacked([job.solver for job in jobs], K, theta.dtype)
        weights, grad = self.objective.weights, self.objective.grad
        sizes, is_cut = jobs[0].architecture.sizes, any(b.blocks for b in sampler.batches.values())
        blocks = [] if K else step_blocks(sizes, is_cut)
        self.block_steps = [
            stepping_through(
                block[-2:], self.solver, theta, weights, grad, state, is_first=block.layer == 0
            )
            for block in blocks
        ]
        parts = [weights[..., part] for part in self.objective.first_and_rest]
        alone = stepping(self.solver, theta, parts, grad, state)
        self.step = self._step_in_blocks if blocks else alone
        # At once, as an interrupt asks for where the networks stand.
        self.members, self.places, self.sampler, self.theta, self.thetas, self.state = (
            members,
            places,
            sampler,
            theta,
            views,
            state,
        )
        self._follow_noise()

    def _follow_noise(self) -> None:
        """Set what is scaled by the noise: the penalty of the first layer's weights, and decays.

        The decays, (2, K, 1, 1), or (2,) for one network, are those of the weights of the first
        layer and of all others; None if there are none.
        """
        self.objective.penalise_inputs(
            [member.job.input_penalty * (member.noise or 1.0) for member in self.members]
        )
        decays = [member.job.weight_decay * member.noise for member in self.members]
        first = [
            member.job.input_decay * decay
            for member, decay in zip(self.members, decays, strict=True)
        ]
        self.weight_decay: NDArray | None = None
        if any(decays):
            self.weight_decay = np.array(
                [per_weight(numbers, self.theta) for numbers in (first, decays)]
            )
        self.replan()

    def replan(self) -> None:
        """Forget the steps that were computed ahead."""
        self.planned: Iterator[tuple[NDArray, NDArray | None]] = iter(())

    def run_epoch(self) -> list[float]:
        """Train for an epoch, and return the losses of the networks."""
        sampler = self.sampler
        sampler.shuffle()
        losses = 0.0
        for rows in sampler.slices:
            size, shrink = next(self.planned, None) or self._plan()
            batch = sampler.gather(rows)
            if batch.blocks:
                loss = self._update_in_blocks(batch, size, shrink)
            else:
                loss = self.objective.evaluate(batch)
                self.step(size, shrink)
            losses += loss * (rows.stop - rows.start)
        self.epoch += 1
        means: list[float] = np.ravel(losses / self.n).tolist()
        noise = [member.noise for member in self.members]
        for member, mean in zip(self.members, means, strict=True):
            member.count_updates(self.epoch, mean, len(sampler.slices), self.n)
        if [member.noise for member in self.members] != noise:
            self._follow_noise()
        return means

    def _update_in_blocks(self, batch: Batch, size: NDArray, shrink: NDArray | None) -> NDArray:
        """Take a step by a batch that is cut into blocks, and return the loss before."""

        def use(i: int) -> None:
            self.block_steps[i](size, shrink)

        return self.objective.evaluate_in_blocks(batch, self.sampler.fill_block, use)

    def _step_in_blocks(self, size: NDArray, shrink: NDArray | None) -> None:
        """Take a step by the gradient of a batch that is not cut, in blocks of the parameters."""
        in_blocks(lambda i: self.block_steps[i](size, shrink), len(self.block_steps))

    def _plan(self) -> tuple[NDArray, NDArray | None]:
        """Compute the size and the shrinking of the steps of the next epochs; return the first."""
        n_updates = len(self.sampler.slices)
        left = max(member.job.max_iter for member in self.members) - self.epoch
        n_epochs = min(left, math.ceil(PLANNED_UPDATES / n_updates))
        update = np.arange(n_epochs * n_updates)
        epoch = update // n_updates
        before = self.epoch * n_updates + update
        rates = []
        for member in self.members:
            # One division, so that it makes no difference from where on it is planned.
            progress = before / (n_updates * member.job.max_iter)
            seen = member.samples_seen + epoch * self.n
            if not member.steps:
                # A solver that starts anew, as in a warm start, starts with the initial rate.
                seen[epoch == 0] = 0
            rates.append(member.job.schedule(np.minimum(progress, 1), seen, member.plateaus))
        shape = (len(update), *self.theta.shape[:-1], 1)
        steps = np.array([member.steps + 1 + update for member in self.members])
        lr, steps = (array.T.reshape(shape) for array in (np.array(rates), steps))
        size = self.solver.step_size(lr, steps)
        lr, size = (array.astype(self.theta.dtype) for array in (lr, size))
        shrink: Iterable[NDArray | None] = repeat(None, len(update))
        if self.weight_decay is not None:
            # (n_updates, 2, K, 1, 1); of one network, (n_updates, 2).
            lr = lr[:, None, ..., None] if self.theta.ndim > 1 else lr
            shrink = 1 - lr * self.weight_decay
        self.planned = zip(size, shrink, strict=True)
        return next(self.planned)

    def end_epoch(self, losses: Sequence[float]) -> None:
        """Score the epoch that has just ended, show it to callbacks, and let go who is done."""
        ended = {}
        for k, loss in enumerate(losses):
            if stop_reason := self._end_epoch_of(k, loss):
                ended[k] = stop_reason
        if ended:
            self.leave(ended)

    def _end_epoch_of(self, k: int, loss: float) -> str:
        """Score the epoch that network k of the stack has just finished, and show it to callbacks.

        Returns why its training ends, or "" if it goes on.
        """
        member, theta = self.members[k], self.thetas[k]
        validation_loss, score = member.record(loss, theta)
        stop_reason, lowered = member.decide(-loss if score is None else score, theta)
        if lowered:
            self.replan()
        if member.job.callbacks:
            seconds = time.perf_counter() - self.began
            epoch = Epoch(
                number=self.epoch,
                loss=loss,
                validation_loss=validation_loss,
                score=score,
                seconds=seconds,
                state=partial(self.state_of, k),
                stop_reason=stop_reason,
                rate_was_lowered=lowered and not stop_reason,
            )
            # All of them see the record, also if one of them ends training.
            stops = [callback(epoch) for callback in member.job.callbacks]
            if any(stops):
                stop_reason = stop_reason or "callback"
        return stop_reason

    def state_of(self, k: int, stop_reason: str = "") -> TrainingState:
        """Return where network k of the stack stands, in arrays and sources of its own."""
        self.sampler.note_orders()
        stream = self.members[k].stream
        if not stop_reason:  # it goes on to draw from its sources
            stream = stream.split()
        return self.members[k].state(self.thetas[k], self._solver_state_of(k), stream, stop_reason)

    def _solver_state_of(self, k: int) -> SolverState:
        """View the solver's state of network k of the stack."""
        K = len(self.members)
        return {name: array.reshape(K, -1)[k] for name, array in self.state.items()}

    def leave(self, stop_reasons: dict[int, str]) -> None:
        """Let the networks leave whose number in the stack is a key, and keep their results."""
        for k, stop_reason in stop_reasons.items():
            self.results[self.places[k]] = self.state_of(k, stop_reason)
        stay = [k for k in range(len(self.members)) if k not in stop_reasons]
        thetas = [self.thetas[k] for k in stay]
        states = [self._solver_state_of(k) for k in stay]
        members = [self.members[k] for k in stay]
        if stay:
            self._settle(members, [self.places[k] for k in stay], thetas, states)
        else:
            self.members = members


def train(jobs: Sequence[TrainingJob]) -> list[TrainingState]:
    """Train jobs that have the same ``stack_key`` as one stack.

    A network that stalls, diverges or has had its epochs leaves the stack; the others go on. The
    result of a job does not depend on whom it was stacked with, up to rounding.

    Parameters
    ----------
    jobs : sequence of TrainingJob

    Returns
    -------
    results : list of TrainingState
        In the order of the jobs. On KeyboardInterrupt, what was learnt until then.
    """
    network, batch_size = jobs[0].architecture, jobs[0].batch_size
    parts = _parts(jobs)
    stacks = [Stack([jobs[k] for k in part]) for part in parts]
    try:
        with (
            one_thread_for(network.largest_product(batch_size)),
            np.errstate(over="ignore", invalid="ignore"),
            short_buffers(),
        ):
            _run_epochs(stacks)
    except KeyboardInterrupt:
        if not any(stack.members for stack in stacks):  # there is nothing left to end here
            raise
        for stack in stacks:
            stack.leave(dict.fromkeys(range(len(stack.members)), "interrupted"))
    results = {
        k: result
        for part, stack in zip(parts, stacks, strict=True)
        for k, result in zip(part, stack.results, strict=True)
    }
    return [result for _, result in sorted(results.items()) if result is not None]


def _parts(jobs: Sequence[TrainingJob]) -> list[range]:
    """Cut a stack that is worth it into smaller ones: the jobs of each, by their indices."""
    n = stack_parts(jobs[0].architecture.sizes, jobs[0].batch_size, len(jobs))
    return [range(len(jobs))[cut] for cut in equal_blocks(len(jobs), n)]


def _run_epochs(stacks: Sequence[Stack]) -> None:
    """Train stacks until all of their networks have left."""
    while running := [stack for stack in stacks if stack.members]:
        for stack, losses in zip(running, _run_epoch(running), strict=True):
            stack.end_epoch(losses)


def _run_epoch(stacks: Sequence[Stack]) -> list[list[float]]:
    """Train stacks for an epoch each, in threads, and return the losses of their networks."""
    if len(stacks) == 1:
        return [stacks[0].run_epoch()]
    losses: list[list[float]] = [[] for _ in stacks]

    def work(i: int) -> None:
        losses[i] = stacks[i].run_epoch()

    in_blocks(work, len(stacks))
    return losses
