"""What goes into the training of one network, and what comes out, as complete frozen objects."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.layers import Architecture
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import Solver, SolverState
from sknn_scratch.training.stopping import NoImprovement, StoppingState

#: Fields that hold a source of random numbers.
RANDOM_SOURCES = ("rng", "dropout_rng")

#: Prefix of the names of arrays of the solver's state.
SOLVER = "solver."


@dataclass(frozen=True, eq=False)
class TrainingState:
    """The state of training of one network: all that it needs to go on, and its record so far.

    A job starts from one, and its result is another.
    """

    theta: NDArray
    """Parameters, (n_params,)."""
    rng: np.random.RandomState
    """Random source of the order of the rows."""
    dropout_rng: np.random.RandomState | None = None
    """Random source of the inputs to leave out; None if updates leave none out."""
    solver: SolverState | None = None
    """Arrays of the solver, (n_params,) each; None before the first step."""
    steps: int = 0
    """Number of updates that the solver has made."""
    plateaus: int = 0
    """How often an adaptive learning rate was lowered."""
    samples_seen: int = 0
    """Number of rows that the solver has seen, counting repeats."""
    noise: float = 1.0
    """Fraction of the variation in the targets that counts as noise; scales the weight decay."""
    stopping: StoppingState = field(default_factory=StoppingState)
    order: NDArray | None = None
    """Row indices, (n,), in the order of the last epoch, which the next one shuffles."""
    n_iter: int = 0
    """Number of epochs of this run (L-BFGS: iterations)."""
    loss_curve: Sequence[float] = ()
    validation_loss_curve: Sequence[float] = ()
    scores: Sequence[float] = ()
    """Validation loss and score of each epoch, if there are validation rows."""
    loss: float = math.nan
    """Loss at the end."""
    stop_reason: str = ""
    """Why training ended: "max_iter", "stalled", "callback", "diverged" or "interrupted"; for
    L-BFGS also "converged", or SciPy's message. Empty if it has not ended."""

    def best_theta(self) -> NDArray:
        """Return the parameters of the best epoch if they were kept, else the last ones."""
        best = self.stopping.best_theta
        return self.theta if best is None else best

    def pack(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """Split the state into numbers, strings and random states by name, and arrays by name."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        solver, stopping = values.pop("solver"), values.pop("stopping")
        values |= {part.name: getattr(stopping, part.name) for part in fields(stopping)}
        arrays = {name: array for name, array in values.items() if isinstance(array, np.ndarray)}
        notes = {name: value for name, value in values.items() if name not in arrays}
        for name in RANDOM_SOURCES:
            notes[name] = notes[name] and notes[name].get_state(legacy=False)
        return notes, arrays | {f"{SOLVER}{name}": part for name, part in (solver or {}).items()}

    @classmethod
    def unpack(cls, notes: dict[str, Any], arrays: dict[str, NDArray]) -> Self:
        """Restore a state from the parts that :meth:`pack` returned."""
        values = notes | {name: part for name, part in arrays.items() if SOLVER not in name}
        for name in RANDOM_SOURCES:
            values[name] = None if values[name] is None else _source_in(values[name])
        stopping = {part.name: values.pop(part.name) for part in fields(StoppingState)}
        solver = {n.removeprefix(SOLVER): part for n, part in arrays.items() if SOLVER in n}
        return cls(**values, solver=solver or None, stopping=StoppingState(**stopping))

    def check(self, job: "TrainingJob") -> None:
        """Raise an error unless the training of a job can stand here.

        Raises
        ------
        ValueError
            If an array or a record has another shape or type than that of this job.
        """
        start = job.start
        solver = job.solver.new_state(start.theta)
        arrays = {f"{SOLVER}{name}": array for name, array in (self.solver or solver).items()}
        arrays |= {"theta": self.theta, "best_theta": self.best_theta()}
        like = {f"{SOLVER}{name}": array for name, array in solver.items()}
        like |= dict.fromkeys(("theta", "best_theta"), start.theta)
        for name in arrays.keys() | like.keys():
            a, b = np.asarray(arrays.get(name)), np.asarray(like.get(name))
            if (a.shape, a.dtype) != (b.shape, b.dtype) or not np.isfinite(a).all():
                raise ValueError(f"{name} is {a.dtype} {a.shape}, not finite {b.dtype} {b.shape}")
        rows = np.arange(job.X.shape[0]) if job.rows is None else np.sort(job.rows)
        if self.order is not None and not np.array_equal(np.sort(self.order, axis=None), rows):
            raise ValueError("order is not one of the rows")
        counts = {n: getattr(self, n) for n in ("steps", "plateaus", "samples_seen", "n_iter")}
        counts["count"] = self.stopping.count
        for name, count in counts.items():
            if type(count) is not int or count < 0:
                raise ValueError(f"{name} is {count!r}")
        numbers = [self.noise, self.loss, self.stopping.best_score]
        curves = [self.loss_curve, self.validation_loss_curve, self.scores]
        held_out = 0 if job.hold_out is None else self.n_iter
        if [len(curve) for curve in curves] != [self.n_iter, held_out, held_out]:
            raise ValueError("the losses and scores are not one for each epoch")
        for number in (*numbers, *(number for curve in curves for number in curve)):
            if type(number) not in (int, float):
                raise ValueError(f"{number!r} is not a number")
        if self.n_iter > job.max_iter or not isinstance(self.stop_reason, str):
            raise ValueError(f"it ended after {self.n_iter} epochs, for {self.stop_reason!r}")
        if (self.dropout_rng is None) != (start.dropout_rng is None) or self.rng is None:
            raise ValueError("it has other sources of random numbers")


def _source_in(state: dict[str, Any]) -> np.random.RandomState:
    """Make a source of random numbers in this state.

    Raises
    ------
    ValueError
        If the state is not of one of NumPy's generators.
    """
    generator = getattr(np.random, state["bit_generator"])
    if not (isinstance(generator, type) and issubclass(generator, np.random.BitGenerator)):
        raise ValueError(f"{state['bit_generator']!r} is no generator of random bits")
    rng = np.random.RandomState(generator(0))
    rng.set_state(state)
    return rng


class Epoch(NamedTuple):
    """Record of one epoch of one network, for printing and callbacks."""

    number: int
    """Number of epochs so far in this run, including this one."""
    loss: float
    """Mean loss over the rows, each before its update, including the penalty."""
    validation_loss: float | None
    """Loss on the validation rows after the epoch, if there are any."""
    score: float | None
    """Validation score after the epoch, if there are validation rows."""
    seconds: float
    """Wall time since the run began."""
    state: Callable[[], TrainingState]
    """Returns the state so far, in arrays of its own. Call it before the next epoch."""
    stop_reason: str = ""
    """Why training ends with this epoch; empty if, as far as is known, it goes on."""
    rate_was_lowered: bool = False
    """Whether training had stalled, and goes on at a lower learning rate."""


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """All that the training of one network depends on."""

    X: NDArray
    """Inputs, (n, n_inputs); or a CSR matrix, in a stack of one."""
    Y: NDArray
    """Targets, (n, n_outputs), of theta's dtype."""
    sample_weight: NDArray | None
    """Weights of the rows, (n, 1) or (n, n_outputs), of theta's dtype; their mean over the rows to
    learn from is 1. None if all are equal."""
    architecture: Architecture
    start: TrainingState
    """State to start from: a new one, that of an earlier fit, or that of an unfinished run."""
    solver: Solver
    schedule: Schedule
    guard: NDArray
    """Factor of the log loss in a guarded loss, (n_outputs,)."""
    baseline: float
    """Loss of a network that does not look at X, and always predicts the mean of the targets."""
    alpha: float
    """L2 penalty: adds alpha / 2 * |W|² / n to the loss of a batch of n rows."""
    weight_decay: float
    """Decoupled weight decay: each update first multiplies W by 1 - lr * weight_decay."""
    batch_size: int
    max_iter: int
    shuffle: bool
    input_decay: float = 1.0
    """Factor of the weight decay of the weights of the first layer."""
    input_penalty: float = 0.0
    """L2 penalty of the weights W of the first layer: adds input_penalty / 2 * |W|² to the loss,
    times the noise, once that is measured."""
    stopping: NoImprovement | None = None
    """Rule that ends training, or lowers an adaptive learning rate; None trains for max_iter."""
    hold_out: Callable[[NDArray], tuple[float, float]] | None = None
    """Returns validation loss and score of theta (n_params,). The stopping rule uses the score, or
    minus the training loss if this is None."""
    callbacks: Sequence[Callable[[Epoch], object]] = ()
    """Called with the record of each epoch; training ends if one returns True."""
    measures_noise: bool = False
    """Whether training measures the noise, and scales the weight decay by it."""
    input_dropout: float = 0.0
    """Fraction of the inputs that each update leaves out."""
    rows: NDArray | None = None
    """Indices of the rows to learn from, in their given order; None for all. So rows can be held
    out without a copy of the others."""

    @property
    def n_rows(self) -> int:
        """Number of rows to learn from."""
        n: int = self.X.shape[0] if self.rows is None else len(self.rows)
        return n

    def measures_noise_after(self, epoch: int) -> bool:
        """Tell whether this is the epoch whose loss becomes the noise."""
        return self.measures_noise and epoch == max(1, self.max_iter // 4)

    def noise_after(self, epoch: int, loss: float, noise: float) -> float:
        """Return the noise in the data after an epoch; it changes after a quarter of training.

        What the first quarter leaves unexplained counts as noise. By then the network has learnt
        something, and has not yet overfitted.
        """
        measured = self.measures_noise_after(epoch) and self.baseline
        return min(1.0, loss / self.baseline) if measured else noise
