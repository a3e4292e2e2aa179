"""What goes into the training of one network, and what comes out: both complete, and frozen."""

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

#: How the names of arrays begin that are of the solver's state.
SOLVER = "solver."


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Where the training of one network stands: all that it needs to go on, and what came out.

    A job begins at one and ends with another, its result.
    """

    theta: NDArray
    """Parameters, (n_params,)."""
    rng: np.random.RandomState
    """Source of the order of the rows, which the run draws from."""
    dropout_rng: np.random.RandomState | None = None
    """Source of the inputs to leave out, likewise; None if none are."""
    solver: SolverState | None = None
    """Arrays of the solver, (n_params,) each; None before the first step."""
    steps: int = 0
    """Updates that the solver has made."""
    plateaus: int = 0
    """How often an adaptive learning rate was lowered."""
    samples_seen: int = 0
    """Rows that the solver has seen, each as often as it saw it."""
    noise: float = 1.0
    """Share of the variation in the targets that is taken for noise; scales the weight decay."""
    stopping: StoppingState = field(default_factory=StoppingState)
    order: NDArray | None = None
    """Numbers of the rows, (n,), in the order of the last epoch, which the next one shuffles."""
    n_iter: int = 0
    """Epochs of this run (L-BFGS: iterations)."""
    loss_curve: Sequence[float] = ()
    validation_loss_curve: Sequence[float] = ()
    scores: Sequence[float] = ()
    """Validation loss and score of each epoch, where there are some."""
    loss: float = math.nan
    """Loss at the end."""
    stop_reason: str = ""
    """Why training ended: "max_iter", "stalled", "callback", "diverged" or "interrupted"; of L-BFGS
    "converged", or in its own words why it did not. Empty if it has not ended."""

    def best_theta(self) -> NDArray:
        """Return the parameters of the best epoch where they were kept, else the last ones."""
        best = self.stopping.best_theta
        return self.theta if best is None else best

    def pack(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """Take apart: numbers, words and random states by name, and arrays by name."""
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
        """Put together again what :meth:`pack` has taken apart."""
        values = notes | {name: part for name, part in arrays.items() if SOLVER not in name}
        for name in RANDOM_SOURCES:
            values[name] = values[name] and _source_in(values[name])
        stopping = {part.name: values.pop(part.name) for part in fields(StoppingState)}
        solver = {n.removeprefix(SOLVER): part for n, part in arrays.items() if SOLVER in n}
        return cls(**values, solver=solver or None, stopping=StoppingState(**stopping))


def _source_in(state: dict[str, Any]) -> np.random.RandomState:
    """Make a source of random numbers that is in this state."""
    rng = np.random.RandomState(getattr(np.random, state["bit_generator"])(0))
    rng.set_state(state)
    return rng


class Epoch(NamedTuple):
    """Record of one epoch of one network: what printing and callbacks read."""

    number: int
    """Epochs so far in this run, this one included."""
    loss: float
    """Mean over the rows of the loss before each update, penalty included."""
    validation_loss: float | None
    """Loss on the validation rows after the epoch, where there are some."""
    score: float | None
    """Validation score after the epoch, where there are some."""
    seconds: float
    """Wall time since the run began."""
    state: Callable[[], TrainingState]
    """Gives the state so far, in arrays of its own; to be called before the next epoch."""
    stop_reason: str = ""
    """Why training ends with this epoch; empty if it goes on, as far as is known."""
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
    """Weights of the rows, (n, 1) or (n, n_outputs), of theta's dtype; of the rows to learn from
    they are 1 on average. None if all are equal."""
    architecture: Architecture
    start: TrainingState
    """Where it begins: new, after an earlier fit, or in the middle of a run that goes on."""
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
    stopping: NoImprovement | None = None
    """Rule that ends training, or lowers an adaptive learning rate; None trains for max_iter."""
    hold_out: Callable[[NDArray], tuple[float, float]] | None = None
    """Validation loss and score of theta (n_params,); the score is for the rule, which without one
    gets minus the loss."""
    callbacks: Sequence[Callable[[Epoch], object]] = ()
    """Called with the record of each epoch; training ends if one returns True."""
    measures_noise: bool = False
    """Whether the weight decay is scaled by the noise, which is measured in training."""
    input_dropout: float = 0.0
    """Share of the inputs that each update leaves out."""
    rows: NDArray | None = None
    """Numbers of the rows to learn from, in the order in which they are given; None for all. So
    rows can be set aside without a copy of the others."""

    @property
    def n_rows(self) -> int:
        """Rows to learn from."""
        n: int = self.X.shape[0] if self.rows is None else len(self.rows)
        return n

    def noise_after(self, epoch: int, loss: float, noise: float) -> float:
        """Tell the noise in the data after an epoch: until a quarter of training, what it was.

        What the first quarter leaves unexplained is taken for noise. That is late enough to have
        learnt something, and early enough not to have learnt by heart.
        """
        measured = self.measures_noise and epoch == max(1, self.max_iter // 4)
        return min(1.0, loss / self.baseline) if measured and self.baseline else noise
