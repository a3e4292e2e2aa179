"""The plan of a fit: every "auto" as a plain number, from parameters, task and size of the data.

The order of random draws
-------------------------
All of them are from ``random_state``, in this order, which is that of MLPClassifier as far as it
draws too:

1. the initial parameters, unless the fit goes on from another: layer by layer, weights before
   biases; with ``init="scaled"`` then the directions of the first layer, the rows that it looks at
   (if there are many), and which quantile each unit takes;
2. the rows set aside, if there are any;
3. one number, the seed of a source of its own for the inputs that updates leave out, if any are;
4. before each epoch the order of the rows, if they are shuffled.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple, cast

import numpy as np

from sknn_scratch._caller import warn_user
from sknn_scratch._compat import InvalidParameterError
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import SGD, Adam, Solver
from sknn_scratch.training.stopping import NoImprovement

#: Rows beyond which ``early_stopping="auto"`` stops early.
MANY_ROWS = 10_000

#: About how many rows :func:`equal_batches` puts into a batch, if there are as many.
AUTO_BATCH_SIZE = 64

#: Rows of a batch with ``batch_size="at_most_200"``.
AT_MOST = 200

#: Iterations of L-BFGS when ``max_iter="auto"``.
AUTO_LBFGS_ITERATIONS = 1000

#: Bounds of :func:`planned_epochs`.
AUTO_EPOCHS = 60
UPDATES_PER_ROOT_OF_ROWS = 30
LEAST_UPDATES = 250
LEAST_UPDATES_TIMES_UNITS = 8000

#: Hidden units from which on :func:`learning_rate_for` needs no more than the least rate.
WIDE = 40

#: What :func:`learning_rate_for` multiplies the rate of a short run by at most.
MOST_HASTE = 2.0

#: How many times more epochs a low rate gets at most.
MOST_PATIENCE = 8.0

#: What an update takes off, times rows, and the fewest rows that count.
SHRINKAGE_TIMES_ROWS = 5.0
FEWEST_ROWS = 250

#: What an update takes off at most, at a rate far above "auto".
MOST_SHRINKAGE = 0.1

#: Bounds of :func:`input_dropout_for`.
FEWEST_FEATURES = 10
FREE_FEATURES_PER_ROW = 0.05
MOST_DROPOUT = 0.15


class Mode(NamedTuple):
    """How a call trains."""

    again: bool
    """Whether it goes on from a fit."""
    partial: bool = False
    """Whether it trains one epoch of a stream."""


@dataclass(frozen=True)
class Plan:
    """How a network is trained: no "auto" is left."""

    batch_size: int
    max_iter: int
    learning_rate_init: float
    auto_rate: float
    """The rate that ``learning_rate_init="auto"`` would be."""
    way: float
    """How far training comes, rate times updates, in units of how far "auto" would come in as many
    updates, or in those that it plans if that is less."""
    input_dropout: float
    weight_decay: float
    """Weight decay, before it is scaled by the noise if that is measured."""
    measures_noise: bool
    solver: Solver
    schedule: Schedule
    stopping: NoImprovement | None


def make_plan(
    parameters: Any,
    sizes: Sequence[int],
    n: int,
    effective_n: float,
    mode: Mode,
    stops_early: bool,
    base_rate: float,
) -> Plan:
    """Plan the training of a network.

    Parameters
    ----------
    parameters : estimator
        Its parameters are read.
    sizes : sequence of int
        Layer sizes: inputs, hidden layers, outputs.
    n : int
        Rows to learn from.
    effective_n : float
        Rows that they are worth by their weights; in a stream, with all that came before.
    mode : Mode
        How the call trains.
    stops_early : bool
        Whether rows are held out to stop by.
    base_rate : float
        Learning rate of Adam that suits the task.
    """
    hidden = sizes[1:-1]
    batch_size = _batch_size(parameters.batch_size, n)
    max_iter = 1 if mode.partial else _epochs(parameters, n, batch_size, hidden, base_rate)
    # A fit that goes on from another has come a part of the way.
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
    if isinstance(decay, str):
        decay = min(weight_decay_for(effective_n, auto_rate), MOST_SHRINKAGE / rate)
    return Plan(
        batch_size=batch_size,
        max_iter=max_iter,
        learning_rate_init=rate,
        auto_rate=auto_rate,
        way=rate * max_iter / (auto_rate * min(max_iter, planned_epochs(n, batch_size, hidden))),
        input_dropout=float(dropout),
        weight_decay=float(decay),
        measures_noise=parameters.weight_decay == "auto" and not mode.partial,
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
    sizes: list[Any] = list(given) if isinstance(given, Iterable) else [given]
    for size in sizes:
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise InvalidParameterError(
                f"hidden_layer_sizes must be > 0, got {given!r}. Allowed are an int of at "
                "least 1, or a sequence of such, one a hidden layer; () for a linear model."
            )
    return tuple(int(size) for size in sizes)


def stops_early(parameters: Any, n: int, *, has_validation: bool) -> bool:
    """Tell whether a fit to n rows stops by the score on rows held out."""
    if parameters.solver == "lbfgs":
        return False
    if parameters.early_stopping == "auto":
        return has_validation or n > MANY_ROWS
    return bool(parameters.early_stopping)


def _batch_size(batch_size: int | str, n: int) -> int:
    if batch_size == "auto":
        return equal_batches(n)
    if isinstance(batch_size, str):
        return min(AT_MOST, n)
    return min(batch_size, n)


def check_batch_size(parameters: Any, n: int) -> None:
    """Warn if a batch is to have more rows than the n that there are to learn from."""
    batch_size = parameters.batch_size
    if not isinstance(batch_size, str) and batch_size > n:
        warn_user(
            f"Got `batch_size`={batch_size}, larger than the {n} training rows. It is going to be "
            f"clipped to {n}."
        )


def equal_batches(n_samples: int) -> int:
    """Choose the rows of a batch with ``batch_size="auto"``: as many in each as can be, about 64.

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
    """Tell how many times more epochs a rate takes than the rate that "auto" would take.

    At a tenth of the rate four times the epochs were seen to arrive at the same Brier scores; so
    it grows with the power 2/3, up to eight times.
    """
    return min(MOST_PATIENCE, max(1.0, (auto_rate / rate) ** (2 / 3)))


def least_updates(hidden: Sequence[int]) -> float:
    """Count the updates of the parameters that it takes to get anywhere.

    250, or 8,000 by the units of the narrowest hidden layer if that is more.
    """
    narrowest = min(hidden, default=LEAST_UPDATES_TIMES_UNITS)
    return max(LEAST_UPDATES, LEAST_UPDATES_TIMES_UNITS / narrowest)


def planned_epochs(n_samples: int, batch_size: int, hidden: Sequence[int]) -> int:
    """Choose the epochs with ``max_iter="auto"``: enough updates, but not more than enough.

    Small tables need many epochs to get anywhere, large ones few. So: ``AUTO_EPOCHS``, but at most
    30 times the root of n_samples updates of the parameters, and no fewer than
    :func:`least_updates`.
    """
    updates_per_epoch = math.ceil(n_samples / batch_size)
    most = UPDATES_PER_ROOT_OF_ROWS * math.sqrt(n_samples)
    updates = max(least_updates(hidden), min(AUTO_EPOCHS * updates_per_epoch, most))
    return math.ceil(updates / updates_per_epoch)


def learning_rate_for(
    solver: str, hidden: Sequence[int], n_updates: float, base_rate: float
) -> float:
    """Choose the rate with ``learning_rate_init="auto"``: the base, and more where the way is long.

    In a narrow network each unit must do more, and its weights have farther to go: below 40 units
    in the narrowest hidden layer, the rate is more in proportion. And n_updates that are fewer than
    :func:`least_updates` must take longer steps to go as far: the rate grows with the cube root of
    how many times fewer, up to twice as much.

    "sgd", whose steps shrink with the gradient, takes ten times as much, and no longer steps for
    fewer updates: at twice the rate some networks do not learn.
    """
    rate = base_rate * max(1.0, WIDE / min(hidden, default=WIDE))
    if solver != "adam":
        return 10 * rate if solver == "sgd" else rate
    shortage = least_updates(hidden) / n_updates
    return rate * min(MOST_HASTE, max(1.0, shortage ** (1 / 3)))


def weight_decay_for(n_samples: float, learning_rate: float) -> float:
    r"""Choose the decay of a network whose targets are all noise: :math:`5 / (\eta \max(n, 250))`.

    :math:`\eta` is the rate that "auto" would be, so that an update at this rate takes
    :math:`5 / \max(n, 250)` off the weights at first. One at a lower rate takes less off: a network
    that learns slowly would be shrunk faster than it learns otherwise. The best linear fit to
    targets with noise of variance :math:`\sigma^2` shrinks weights in proportion to
    :math:`\sigma^2 / n` (ridge regression). Training multiplies this by the noise that it
    measures, so clean data hardly feel it.
    """
    return SHRINKAGE_TIMES_ROWS / (learning_rate * max(n_samples, FEWEST_ROWS))


def input_dropout_for(n_features: int, n_samples: float) -> float:
    r"""Choose how many of the inputs each update leaves out: :math:`D / n - 0.05`, 0 to 0.15.

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
    # "cosine" comes down towards a planned end, and partial_fit has none.
    endless = partial and parameters.learning_rate == "cosine"
    ignored = parameters.solver == "adam" and parameters.learning_rate in ("invscaling", "adaptive")
    name = "constant" if endless or ignored else parameters.learning_rate
    return Schedule(name, rate, parameters.power_t)


def _stopping(parameters: Any, *, stops_early: bool) -> NoImprovement | None:
    """Choose the rule for when training has stalled."""
    if parameters.learning_rate == "cosine" and not stops_early:
        return None
    return NoImprovement(parameters.tol, parameters.n_iter_no_change, keep_best=stops_early)
