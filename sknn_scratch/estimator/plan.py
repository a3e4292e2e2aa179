"""The plan of a fit: every "auto" as a plain number, from parameters, task and size of the data.

The order of random draws
-------------------------
All draws come from ``random_state``, in this order. MLPClassifier draws in the same order, as far
as it draws the same:

1. the initial parameters, unless the fit continues another: layer by layer, weights before biases;
   with ``init="scaled"`` then the directions of the first layer, the rows that it is fitted to (if
   there are many), and the quantile of each unit;
2. the rows held out, if any;
3. one number, the seed of a separate source for the inputs that updates leave out, if any;
4. before each epoch the order of the rows, if they are shuffled.

A trial before the fit (``trial.py``) draws from copies of the sources.
"""

import math
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike

from sknn_scratch._caller import warn_user
from sknn_scratch._compat import InvalidParameterError
from sknn_scratch.estimator.task import Task
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import SGD, Adam, Solver
from sknn_scratch.training.stopping import NoImprovement

#: Rows from which on ``dtype="auto"`` computes in single precision.
ROWS_FOR_SINGLE = 256

#: Rows beyond which ``early_stopping="auto"`` stops early.
MANY_ROWS = 10_000

#: Approximate number of rows in a batch of :func:`equal_batches`, if there are as many.
AUTO_BATCH_SIZE = 64

#: Maximum number of rows in a batch with ``batch_size="at_most_200"``.
AT_MOST = 200

#: Iterations of L-BFGS when ``max_iter="auto"``.
AUTO_LBFGS_ITERATIONS = 1000

#: Bounds of :func:`planned_epochs`.
AUTO_EPOCHS = 60
UPDATES_PER_ROOT_OF_ROWS = 30
LEAST_UPDATES = 250
LEAST_UPDATES_TIMES_UNITS = 8000

#: Number of hidden units from which on :func:`learning_rate_for` takes the base rate.
WIDE = 40

#: Largest factor by which :func:`learning_rate_for` raises the rate of a short run.
MOST_HASTE = 2.0

#: Largest factor by which a low rate raises the number of epochs.
MOST_PATIENCE = 8.0

#: Fraction of the weights that an update removes, times rows; and the least number of rows for it.
SHRINKAGE_TIMES_ROWS = 5.0
FEWEST_ROWS = 250

#: Of the weights of the first layer: the factor of their decay, and their L2 penalty times rows.
INPUT_DECAY, INPUT_PENALTY_TIMES_ROWS = 0.5, 0.004

#: Largest fraction that an update removes, at a rate far above "auto".
MOST_SHRINKAGE = 0.1

#: Rows of each class, and epochs, from which on a plan is tried out (``trial.py``): fewer rows tell
#: too little, and a quarter of fewer epochs has no two halves.
ROWS_TO_TRY, EPOCHS_TO_TRY = 100, 8

#: Bounds of :func:`input_dropout_for`.
FEWEST_FEATURES = 10
FREE_FEATURES_PER_ROW = 0.05
MOST_DROPOUT = 0.15


class Mode(NamedTuple):
    """How a call trains."""

    again: bool
    """Whether it continues an earlier fit."""
    partial: bool = False
    """Whether it trains one epoch of a stream."""


@dataclass(frozen=True)
class Plan:
    """How a network is trained: no "auto" is left."""

    batch_size: int
    max_iter: int
    tries: bool
    """Whether a trial decides if fewer epochs do."""
    learning_rate_init: float
    auto_rate: float
    """The rate that ``learning_rate_init="auto"`` would choose."""
    way: float
    """Rate times updates, relative to that of "auto" with as many updates, or with those that it
    plans if they are fewer."""
    input_dropout: float
    weight_decay: float
    """Weight decay, before it is multiplied by the noise if that is measured."""
    measures_noise: bool
    input_decay: float
    """Factor of the decay of the weights of the first layer."""
    input_penalty: float
    """L2 penalty of these weights, before it is multiplied by the noise if that is measured."""
    solver: Solver
    schedule: Schedule
    stopping: NoImprovement | None


def make_plan(
    parameters: Any,
    task: Task,
    sizes: Sequence[int],
    n: int,
    effective_n: float,
    rarest: int,
    mode: Mode,
    stops_early: bool,
) -> Plan:
    """Plan the training of a network.

    Parameters
    ----------
    parameters : estimator
        Its parameters are read.
    task : Task
        Task of y.
    sizes : sequence of int
        Layer sizes: inputs, hidden layers, outputs.
    n : int
        Rows to learn from.
    effective_n : float
        Effective number of these rows by their weights; in a stream, of all rows so far.
    rarest : int
        Number of rows of the rarest class; 0 in regression.
    mode : Mode
        How the call trains.
    stops_early : bool
        Whether rows are held out to stop by.
    """
    hidden, base_rate = sizes[1:-1], task.base_rate
    batch_size = batch_size_for(parameters.batch_size, n)
    max_iter = 1 if mode.partial else _epochs(parameters, n, batch_size, hidden, base_rate)
    # A fit that continues another is no short run: it has had updates before.
    planned = math.inf if mode.again or mode.partial else max_iter * math.ceil(n / batch_size)
    auto_rate = learning_rate_for(parameters.solver, hidden, planned, base_rate)
    given, dropout, decay = (
        parameters.learning_rate_init,
        parameters.input_dropout,
        parameters.weight_decay,
    )
    rate = auto_rate if isinstance(given, str) else float(given)
    if isinstance(dropout, str):
        dropout = input_dropout_for(sizes[0], effective_n)
    input_decay, input_penalty = 1.0, 0.0
    if task.penalises_inputs and hidden and parameters.solver == "adam" and decay == "auto":
        input_decay = INPUT_DECAY
        if not mode.partial:
            # Weights grow with the rate, and the sum of their squares with its square.
            input_penalty = input_penalty_for(effective_n) * min(1.0, auto_rate / rate) ** 2
    if isinstance(decay, str):
        decay = min(weight_decay_for(effective_n, auto_rate), MOST_SHRINKAGE / rate)
    return Plan(
        batch_size=batch_size,
        max_iter=max_iter,
        tries=(
            parameters.max_iter == "auto"
            and parameters.learning_rate == "cosine"
            and parameters.solver == "adam"
            and not (mode.again or mode.partial or stops_early)
            and rarest >= ROWS_TO_TRY
            and max_iter >= EPOCHS_TO_TRY
        ),
        learning_rate_init=rate,
        auto_rate=auto_rate,
        way=rate * max_iter / (auto_rate * min(max_iter, planned_epochs(n, batch_size, hidden))),
        input_dropout=float(dropout),
        weight_decay=float(decay),
        measures_noise=parameters.weight_decay == "auto" and not mode.partial,
        input_decay=input_decay,
        input_penalty=input_penalty,
        solver=_solver(parameters),
        schedule=_schedule(parameters, rate, partial=mode.partial),
        stopping=_stopping(parameters, stops_early=stops_early),
    )


def hidden_sizes(parameters: Any) -> tuple[int, ...]:
    """Read the units of each hidden layer off the parameters.

    Raises
    ------
    InvalidParameterError
        If they are not whole numbers of at least 1.
    """
    given = parameters.hidden_layer_sizes
    if isinstance(given, np.ndarray):  # maybe without an axis: np.array(200)
        given = given.tolist()
    sizes: list[Any] = [given]
    if not isinstance(given, Set | Mapping):  # which have no order
        with suppress(TypeError):
            sizes = list(given)
    for size in sizes:
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise InvalidParameterError(
                f"hidden_layer_sizes must be > 0, got {given!r}. Allowed are an int of at "
                "least 1, or a sequence of such, one a hidden layer; () for a linear model."
            )
    return tuple(int(size) for size in sizes)


def float_type(parameters: Any, n: int, given: DTypeLike) -> np.dtype:
    """Choose the type that a network of n rows, which came in the type given, computes in.

    On small tables double precision costs little, and results keep to what they are equal to in
    exact arithmetic: a weight of two and a row given twice, say.
    """
    dtype = parameters.dtype
    if isinstance(dtype, str) and dtype == "auto":
        dtype = "float32" if n >= ROWS_FOR_SINGLE else None
    return np.dtype(dtype or given)


def stops_early(parameters: Any, n: int, *, has_validation: bool) -> bool:
    """Tell whether a fit to n rows stops early, by its validation score."""
    if parameters.solver == "lbfgs":
        return False
    if parameters.early_stopping == "auto":
        return has_validation or n > MANY_ROWS
    return bool(parameters.early_stopping)


def batch_size_for(batch_size: int | str, n: int) -> int:
    """Choose the number of rows in a batch, given the parameter and the rows to learn from."""
    if batch_size == "auto":
        return equal_batches(n)
    if isinstance(batch_size, str):
        return min(AT_MOST, n)
    return min(batch_size, n)


def check_batch_size(parameters: Any, n: int) -> None:
    """Warn if batch_size is larger than n, the number of rows to learn from."""
    batch_size = parameters.batch_size
    if not isinstance(batch_size, str) and batch_size > n:
        warn_user(
            f"Got `batch_size`={batch_size}, larger than the {n} training rows. It is going to be "
            f"clipped to {n}."
        )


def equal_batches(n_samples: int) -> int:
    """Choose the batch size of ``batch_size="auto"``: about 64, with batches of equal size.

    A short last batch would count as much as a full one, since Adam's steps are about equally long
    whatever the gradient.
    """
    n_batches = max(1, round(n_samples / AUTO_BATCH_SIZE))
    return math.ceil(n_samples / n_batches)


def _epochs(
    parameters: Any, n: int, batch_size: int, hidden: Sequence[int], base_rate: float
) -> int:
    if not isinstance(parameters.max_iter, str):
        return cast(int, parameters.max_iter)
    if parameters.solver == "lbfgs":
        return AUTO_LBFGS_ITERATIONS
    epochs = planned_epochs(n, batch_size, hidden)
    if isinstance(parameters.learning_rate_init, str):
        return epochs
    rate = learning_rate_for(parameters.solver, hidden, math.inf, base_rate)
    return math.ceil(epochs * slowness(parameters.learning_rate_init, rate))


def slowness(rate: float, auto_rate: float) -> float:
    """Compute how many times more epochs a rate needs than the rate of "auto".

    At a tenth of the rate, four times the epochs were measured to reach the same Brier scores. So
    the factor grows with the power 2/3, up to eight.
    """
    return min(MOST_PATIENCE, max(1.0, (auto_rate / rate) ** (2 / 3)))


def least_updates(hidden: Sequence[int]) -> float:
    """Return the least number of updates that a network needs.

    It is 250, or 8,000 divided by the units of the narrowest hidden layer if that is more.
    """
    narrowest = min(hidden, default=LEAST_UPDATES_TIMES_UNITS)
    return max(LEAST_UPDATES, LEAST_UPDATES_TIMES_UNITS / narrowest)


def planned_epochs(n_samples: int, batch_size: int, hidden: Sequence[int]) -> int:
    """Choose the number of epochs with ``max_iter="auto"``.

    Small tables need many epochs, large ones few. So it is ``AUTO_EPOCHS``, but at most 30 times
    the square root of n_samples updates, and at least :func:`least_updates`.
    """
    updates_per_epoch = math.ceil(n_samples / batch_size)
    most = UPDATES_PER_ROOT_OF_ROWS * math.sqrt(n_samples)
    updates = max(least_updates(hidden), min(AUTO_EPOCHS * updates_per_epoch, most))
    return math.ceil(updates / updates_per_epoch)


def learning_rate_for(
    solver: str, hidden: Sequence[int], n_updates: float, base_rate: float
) -> float:
    """Choose the rate with ``learning_rate_init="auto"``: the base rate, or a higher one.

    In a narrow network each unit must do more, and its weights have farther to go: below 40 units
    in the narrowest hidden layer, the rate rises in inverse proportion. And if n_updates is less
    than :func:`least_updates`, each step must be longer: the rate grows with the cube root of how
    many times fewer they are, up to a factor of two.

    "sgd", whose steps shrink with the gradient, takes ten times the rate. For few updates it takes
    no more than that: at twice the rate some networks do not learn.
    """
    rate = base_rate * max(1.0, WIDE / min(hidden, default=WIDE))
    if solver != "adam":
        return 10 * rate if solver == "sgd" else rate
    shortage = least_updates(hidden) / n_updates
    return rate * min(MOST_HASTE, max(1.0, shortage ** (1 / 3)))


def weight_decay_for(n_samples: float, learning_rate: float) -> float:
    r"""Choose the decay of a network whose targets are all noise: :math:`5 / (\eta \max(n, 250))`.

    :math:`\eta` is the rate that "auto" would choose, so that an update at this rate first removes
    the fraction :math:`5 / \max(n, 250)` of the weights. An update at a lower rate removes less:
    otherwise a network that learns slowly would shrink faster than it learns. The best linear fit
    to targets with noise of variance :math:`\sigma^2` shrinks weights in proportion to
    :math:`\sigma^2 / n` (ridge regression). Training multiplies the decay by the noise that it
    measures, so that it hardly affects clean data.
    """
    return SHRINKAGE_TIMES_ROWS / (learning_rate * max(n_samples, FEWEST_ROWS))


def input_penalty_for(n_samples: float) -> float:
    r"""Choose the L2 penalty of the weights of the first layer: :math:`0.004 / \max(n, 250)`.

    Weight decay shrinks all weights alike. The gradient of a penalty passes through Adam, which
    divides it by the size of the gradient: so it hardly moves weights that the rows speak about,
    and shrinks those about which they say little. Half of the decay makes room for it.
    """
    return INPUT_PENALTY_TIMES_ROWS / max(n_samples, FEWEST_ROWS)


def input_dropout_for(n_features: int, n_samples: float) -> float:
    r"""Choose the fraction of inputs to leave out: :math:`D / n - 0.05`, clipped to [0, 0.15].

    With many columns for few rows, some fit the rows by accident; a network that must do without
    some of them each time does not rely on any. Below 10 columns none can be spared.
    """
    if n_features < FEWEST_FEATURES:
        return 0.0
    return min(MOST_DROPOUT, max(0.0, n_features / n_samples - FREE_FEATURES_PER_ROW))


def _solver(parameters: Any) -> Solver:
    if parameters.solver == "sgd":
        return SGD(parameters.momentum, parameters.nesterovs_momentum)
    return Adam(parameters.beta_1, parameters.beta_2, parameters.epsilon)


def _schedule(parameters: Any, rate: float, *, partial: bool) -> Schedule:
    # "cosine" falls towards a planned end, and partial_fit has none.
    endless = partial and parameters.learning_rate == "cosine"
    ignored = parameters.solver == "adam" and parameters.learning_rate in ("invscaling", "adaptive")
    name = "constant" if endless or ignored else parameters.learning_rate
    return Schedule(name, rate, parameters.power_t)


def _stopping(parameters: Any, *, stops_early: bool) -> NoImprovement | None:
    """Choose the rule that tells when training has stalled."""
    if parameters.learning_rate == "cosine" and not stops_early:
        return None
    return NoImprovement(float(parameters.tol), parameters.n_iter_no_change, keep_best=stops_early)
