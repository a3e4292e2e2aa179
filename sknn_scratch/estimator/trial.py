"""A trial before a fit: whether many epochs would teach a network more than a few.

Where classes overlap, a network soon knows what can be known, and from then on learns the noise of
its rows by heart. Only rows that it does not learn from tell. So the first epochs are tried out on
four fifths of the rows. Unless the other fifth is clearly better predicted in the later half of
these epochs than in the earlier, the fit has no more epochs than the trial. A network that predicts
this fifth no better than a constant does, in any epoch, may not have begun to learn, as where only
several columns together tell the class: its fit has all epochs. A trial of which the middle already
leaves no doubt that many help, as of classes that hardly overlap, ends early.
"""

import math
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from sknn_scratch.estimator.fitting import Fit
from sknn_scratch.estimator.plan import batch_size_for
from sknn_scratch.estimator.report import print_trial
from sknn_scratch.estimator.rows import split
from sknn_scratch.estimator.task import Task
from sknn_scratch.network.losses import LOSSES, losses_of_rows
from sknn_scratch.network.model import Network
from sknn_scratch.training.job import Epoch, TrainingJob
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.trainer import train_one

#: Fraction of the rows that a trial holds out, and of the planned epochs that it has.
HELD_OUT, TRIED = 0.2, 0.25

#: By how many standard errors the later half must be better; and by how many, from the middle of a
#: trial on, the later half of the epochs so far to end it. Twice as many, since there is more to
#: learn in the first epochs.
CLEARLY, BEYOND_DOUBT = 2.0, 4.0


@dataclass(frozen=True, eq=False)
class Progress:
    """Hold-out of a trial, which keeps what its rows lose, and ends it where that tells enough."""

    job: TrainingJob
    """Job of the fit."""
    rows: NDArray
    """Indices of the held-out rows, (n,)."""
    constant: NDArray
    """Loss of each of them where the frequencies of the classes are always predicted, (n,)."""
    losses: list[NDArray] = field(default_factory=list)
    """Loss of each of them after each epoch so far, (n,) each."""

    def __call__(self, theta: NDArray) -> tuple[float, float]:
        """Note the losses of the network with parameters theta; return their mean, and minus it."""
        z = Network.from_theta(self.job.architecture, theta).outputs(self.job.X, self.rows)
        self.losses.append(_losses(self.job, self.rows, z))
        loss = float(self.losses[-1].mean())
        return loss, -loss

    def learnt(self) -> float:
        """Compute by how many standard errors the best epoch is better than a constant."""
        return max(_standard_errors(self.constant - losses) for losses in self.losses)

    def lead(self) -> float:
        """Compute by how many standard errors the later half of the epochs so far is better."""
        half = len(self.losses) // 2
        return _standard_errors(
            np.mean(self.losses[:half], axis=0) - np.mean(self.losses[half:], axis=0)
        )

    def is_beyond_doubt(self, epoch: Epoch) -> bool:
        """Tell, after an epoch, whether the rest of the trial could hardly tell otherwise."""
        middle = tried_epochs(self.job.max_iter) / 2
        return epoch.number >= middle and self.lead() >= BEYOND_DOUBT


def _standard_errors(gain: NDArray) -> float:
    """Compute the mean of the gains of rows, (n,), in its standard errors."""
    with np.errstate(over="ignore", invalid="ignore"):  # a high rate may lose any amount
        error = float(gain.std()) / math.sqrt(len(gain))
        return float(gain.mean()) / error if error > 0 else 0.0


def after_trial(estimator: Any, task: Task, fit: Fit) -> Fit:
    """Try out a fit if its plan says so, and return it with as many epochs as help.

    Raises
    ------
    KeyboardInterrupt
        If the user interrupts the trial, after which the network has learnt nothing.
    """
    if not fit.plan.tries:
        return fit
    job, progress = _trial(estimator, task, fit)
    result = train_one(job)
    if result.stop_reason == "interrupted":
        raise KeyboardInterrupt
    if result.stop_reason != "max_iter" or not progress.learnt() >= CLEARLY > progress.lead():
        return fit
    if estimator.verbose:
        print_trial(result.n_iter, fit.job.max_iter)
    return fit._replace(job=replace(fit.job, max_iter=result.n_iter))


def tried_epochs(planned: int) -> int:
    """Return how many of the planned epochs a trial has."""
    return math.ceil(TRIED * planned)


def _trial(estimator: Any, task: Task, fit: Fit) -> tuple[TrainingJob, Progress]:
    """Make the job of a trial, and what follows it.

    It draws from copies, so that the fit itself draws as without it.
    """
    job, start, rng = fit.job, fit.job.start, deepcopy(fit.rng)
    n = job.n_rows
    targets = job.Y if job.rows is None else job.Y[job.rows]
    parts = split(n, math.ceil(HELD_OUT * n), task.stratify(targets), rng)
    rows, held_out = (part if job.rows is None else job.rows[part] for part in parts)
    progress = Progress(job, held_out, _constant_losses(job, held_out, fit.history.frequencies))
    trial = replace(
        job,
        rows=rows,
        start=replace(start, rng=rng, dropout_rng=deepcopy(start.dropout_rng)),
        schedule=Schedule("constant", job.schedule.learning_rate_init),
        batch_size=batch_size_for(estimator.batch_size, len(rows)),
        max_iter=tried_epochs(job.max_iter),
        measures_noise=False,
        input_penalty=0.0,
        hold_out=progress,
        callbacks=(progress.is_beyond_doubt,),
    )
    return trial, progress


def _constant_losses(job: TrainingJob, rows: NDArray, frequencies: NDArray) -> NDArray:
    """Compute the loss of each of some rows, (n,), if the frequencies are always predicted."""
    tiny = np.finfo(frequencies.dtype).eps  # classes of next to no weight
    f = np.clip(frequencies, tiny, 1 - tiny)
    z = logit(f) if job.architecture.output == "logistic" else np.log(f)
    return _losses(job, rows, np.tile(z.astype(job.Y.dtype), (len(rows), 1)))


def _losses(job: TrainingJob, rows: NDArray, z: NDArray) -> NDArray:
    """Compute the loss of each of some rows, (n,), given their outputs. Uses up z."""
    weight = None if job.sample_weight is None else job.sample_weight[rows]
    row = LOSSES[job.architecture.loss, job.architecture.output]
    return losses_of_rows(row, z, job.Y[rows], weight, job.guard)
