"""The tasks of a regressor: numbers, which are scaled for the network and back."""

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.metrics import r2_score
from sklearn.utils import assert_all_finite

from sknn_scratch.estimator.task import Task, kish
from sknn_scratch.network.features import FeatureMap
from sknn_scratch.network.links import NUMBER_LINKS
from sknn_scratch.network.losses import LOSSES
from sknn_scratch.network.model import Network
from sknn_scratch.network.stream_scaling import StreamScaling
from sknn_scratch.network.target_scaling import PositiveTargetScaling, TargetScaling


@dataclass(frozen=True, eq=False)
class Regression(Task):
    """Numbers: one output for each column of y, which is centred and scaled.

    Parameters
    ----------
    n_columns : int
        Number of columns of y; one column is an array of shape (n,).
    scaling : StreamScaling
        Centre and scale of the columns of y, and what it needs to go on learning them.
    """

    n_columns: int
    scaling: StreamScaling

    output: ClassVar[str] = "identity"
    new_scaling: ClassVar[type[FeatureMap]] = TargetScaling
    base_rate: ClassVar[float] = 0.005
    penalises_inputs: ClassVar[bool] = False
    no_better_than: ClassVar[str] = "a constant"
    constant: ClassVar[str] = "the mean of y"

    @classmethod
    def of(cls, n_columns: int) -> Self:
        """Make the task of so many columns, whose scale is not learnt yet."""
        return cls(n_columns, StreamScaling(cls.new_scaling()))

    @property
    def n_outputs(self) -> int:
        """Number of outputs of the network."""
        return self.n_columns

    @property
    def mean(self) -> Any:
        """What is subtracted from each column of y, (n_outputs,); None leaves y as it is."""
        return self.scaling.features.mean

    @property
    def scale(self) -> Any:
        """What each column of y is then divided by, (n_outputs,)."""
        return self.scaling.features.scale

    def own(self) -> Self:
        """Return the same task with centre and scale in arrays of its own."""
        return replace(self, scaling=self.scaling.own())

    def encode(self, y: Any, dtype: DTypeLike) -> NDArray:
        """Turn numbers into targets of the network, (n, n_outputs).

        Raises
        ------
        ValueError
            If one is beyond the range of this dtype.
        """
        y = y.reshape(len(y), -1)
        with np.errstate(over="ignore"):
            targets = y if self.mean is None else (y - self.mean) / self.scale
            # In an array of their own, as y may be the caller's.
            targets = targets.astype(dtype, order="C", copy=targets is y)
        if not (finite := np.isfinite(targets)).all():
            scaled = "" if self.mean is None else ", centred and scaled as the others need it,"
            raise ValueError(
                f"y holds {y[~finite][0]}, which{scaled} is too large for {np.dtype(dtype)}. Leave "
                "such rows out, clip y, or set dtype='float64'."
            )
        return targets

    def decode(self, z: NDArray) -> NDArray:
        """Turn pre-activations, (n, n_outputs), into numbers in the unit of y. Uses up z.

        If y was scaled they are float64: far from zero, float32 would lose the digits that the
        network has learnt. A number beyond the range of the type becomes the largest of the type.
        """
        numbers = NUMBER_LINKS[self.output].numbers
        with np.errstate(over="ignore", invalid="ignore"):
            if self.mean is None:
                y = numbers(z)
            else:
                y = numbers(z.astype(np.float64, copy=False)) * self.scale + self.mean
            if not math.isfinite(y.sum()):
                largest = np.finfo(y.dtype).max
                np.clip(y, -largest, largest, out=y)
        return y[:, 0] if self.n_columns == 1 else y

    def score(self, y: NDArray, predicted: NDArray, weight: NDArray | None) -> float:
        """Compute R2, averaged over the columns; NaN if a prediction is not finite.

        R2 does not depend on the unit of a column, whose squares could overflow or underflow. So
        each column is divided by a power of two, which is exact.
        """
        if len(y) < 2:
            raise ValueError(
                "R2 is not defined for the one validation row that there is. Give more rows as "
                "X_val and y_val, or set scoring='loss'."
            )
        if not np.isfinite(predicted).all():
            return math.nan
        largest = np.maximum(np.abs(y).max(axis=0), np.abs(predicted).max(axis=0))
        shift = -np.frexp(largest)[1]
        y, predicted = np.ldexp(y, shift), np.ldexp(predicted, shift)
        return float(r2_score(y, predicted, sample_weight=weight))

    def effective_number(self, targets: NDArray, weight: NDArray | None) -> float:
        """Compute the effective number of weighted rows."""
        if weight is None or not weight.any():
            return float(len(targets))
        return float(kish(np.ones((len(targets), 1)), weight)[0])

    def learnt(self, y: NDArray, weight: NDArray | None) -> Self:
        """Return the task with the scale learnt from all rows of a fit."""
        scaling = self.scaling.features.rescaled(y.reshape(len(y), -1), weight)
        return replace(self, scaling=StreamScaling(scaling, n_learnt=len(y)))

    def after(self, y: NDArray, weight: NDArray | None) -> Self:
        """Return the task after more rows of a stream, with its scale updated."""
        weight = np.ones(len(y)) if weight is None else weight
        return replace(self, scaling=self.scaling.after(y.reshape(len(y), -1), weight))

    def last_layer_of(self, before: Self, W: NDArray, b: NDArray) -> tuple[NDArray, NDArray]:
        """Return a last layer that predicts on this scale what W and b do on an earlier one."""
        ratio = before.scale / self.scale
        return W * ratio, b * ratio + (before.mean - self.mean) / self.scale

    def taken_over(self, network: Network, before: Self) -> Network:
        """Convert a network fitted on an earlier scale to this one; it predicts the same."""
        if self.scaling.features is before.scaling.features:
            return network
        W, b = self.last_layer_of(before, network.coefs[-1], network.intercepts[-1])
        return replace(
            network,
            coefs=[*network.coefs[:-1], W.astype(network.dtype)],
            intercepts=[*network.intercepts[:-1], b.astype(network.dtype)],
        )

    def check_range(self, name: str, y: NDArray) -> None:
        """Raise a ValueError if y, called by this name, has a number that cannot be predicted."""

    def check_again(self, y: NDArray, loss: str) -> None:
        """Raise a ValueError unless a network of this task can continue with y and this loss."""
        if (n_columns := columns_of(y)) != self.n_columns:
            raise ValueError(
                f"`y` has {n_columns} columns, but the network was fitted to {self.n_columns}. To "
                "go on from a fit, leave the columns of y as they were; for a new network set "
                "warm_start=False and call fit."
            )
        if (output := TASK_OF_LOSS[loss].output) != self.output:
            raise ValueError(
                f"loss={loss!r} has outputs of the kind {output!r}, but the network was fitted "
                f"with {self.output!r}. To go on from a fit, leave the loss as it was; for a new "
                "network set warm_start=False and call fit."
            )

    def check_validation(self, y_val: Any) -> None:
        """Raise a ValueError if a network cannot be scored on y_val."""
        if (n_columns := columns_of(y_val)) != self.n_columns:
            raise ValueError(
                f"y_val has {n_columns} columns, but y has {self.n_columns}. They must have the "
                "same columns."
            )
        self.check_range("y_val", y_val)


@dataclass(frozen=True, eq=False)
class PositiveRegression(Regression):
    """Nonnegative numbers, such as counts: the outputs are exponentials.

    Targets are divided by their mean, since they cannot be centred.
    """

    output: ClassVar[str] = "exp"
    new_scaling: ClassVar[type[FeatureMap]] = PositiveTargetScaling

    def last_layer_of(self, before: Self, W: NDArray, b: NDArray) -> tuple[NDArray, NDArray]:
        """Return a last layer that predicts on this scale what W and b do on an earlier one."""
        return W, b + np.log(before.scale / self.scale)

    def check_range(self, name: str, y: NDArray) -> None:
        """Raise a ValueError if there is a number below zero."""
        if y.min() < 0:
            raise ValueError(
                f"{name} must not be negative with loss='poisson', but its smallest value is "
                f"{y.min()}. Set loss='squared_error' or 'huber'."
            )


#: activation of the outputs -> task
TASKS = {task.output: task for task in (Regression, PositiveRegression)}

#: loss -> task
TASK_OF_LOSS = {loss: TASKS[output] for loss, output in LOSSES if output in TASKS}


def regression_of(
    y: NDArray,
    weight: NDArray | None,
    before: Regression | None,
    *,
    loss: str,
    scale_targets: bool,
    part: bool,
) -> Regression:
    """Find the task of numbers y, or check that they suit the task of an earlier fit.

    Parameters
    ----------
    y : ndarray of shape (n,) or (n, n_outputs)
    weight : ndarray of shape (n,) or None
        Weights of the rows.
    before : Regression or None
        Task of the fit that this one continues.
    loss : str
        What training minimises. It decides the kind of the outputs.
    scale_targets : bool
        Whether a new network learns y centred and scaled.
    part : bool
        Whether y is a part of a stream.

    Raises
    ------
    ValueError
        If y does not suit the earlier task, or has a number that cannot be predicted.
    """
    task = before or TASK_OF_LOSS[loss].of(columns_of(y))
    task.check_again(y, loss)
    task.check_range("y", y)
    if before is None and scale_targets and not part:
        return task.learnt(y, weight)
    goes_on_learning = part and (scale_targets if before is None else before.mean is not None)
    return task.after(y, weight) if goes_on_learning else task


def columns_of(y: NDArray) -> int:
    """Count the columns of y, (n,) or (n, n_outputs)."""
    n: int = 1 if y.ndim == 1 else y.shape[1]
    return n


def numbers_of(y: NDArray) -> NDArray:
    """Return y as float64.

    Raises
    ------
    ValueError
        If y is not numeric, or has missing or infinite values.
    """
    what, numbers = f"y of type {y.dtype}", None
    try:
        # Dates and time spans would become numbers in a unit that nobody has chosen.
        if y.dtype.kind == "O":
            for of in {*map(type, y.flat)}:
                if issubclass(of, np.datetime64 | np.timedelta64):
                    raise TypeError(f"it has objects of type {of.__name__}")
        if y.dtype.kind in "biufO":
            numbers = y.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        numbers, what = None, str(error)
    if numbers is None:
        raise ValueError(
            f"y must be numbers, but it is not: {what}. Convert it to numbers; to predict classes, "
            "use ScratchMLPClassifier."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        assert_all_finite(numbers, input_name="y")
    return numbers
