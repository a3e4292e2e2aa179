"""All that differs between scikit-learn versions or is private there, in one place.

The package imports from here whatever has a private name in scikit-learn, or has changed between
the supported versions.
"""

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)
from sklearn.utils.extmath import _approximate_mode as approximate_mode
from sklearn.utils.multiclass import _check_partial_fit_first_call as is_first_partial_fit
from sklearn.utils.validation import _check_sample_weight
from sklearn.utils.validation import _num_samples as num_samples

try:
    from sklearn.callback import CallbackSupportMixin

    HAS_CALLBACKS = True
except ImportError:  # scikit-learn < 1.9
    HAS_CALLBACKS = False

    class Task:
        """Stand-in for a callback context, with the hooks that callbacks of this package use."""

        parent = None

        def __init__(self, task_name: str, callbacks: Any = ()):
            self.task_name, self.callbacks = task_name, callbacks

        def subcontext(self, task_name: str) -> "Task":
            """Return the task of an epoch, which has no callbacks."""
            return Task(task_name)

        def call_on_fit_task_begin(self, **given: Any) -> None:
            """Do nothing."""

        def call_on_fit_task_end(self, *, estimator: Any, **given: Any) -> bool:
            """Tell the callbacks that the task has ended. None of them can end training."""
            for callback in self.callbacks:
                callback.on_fit_task_end(estimator, self)
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in where scikit-learn has no callbacks."""

        def set_callbacks(self, *callbacks: Any) -> None:
            """Set callbacks of this package."""
            self._skl_callbacks = list(callbacks)

        def _init_callback_context(self, task_name: str, max_subtasks: int | None) -> Task:
            task = Task(task_name, self._skl_callbacks)
            for callback in self._skl_callbacks:
                callback.setup(self, task)
            return task


__all__ = [
    "HAS_CALLBACKS",
    "CallbackSupportMixin",
    "Interval",
    "InvalidParameterError",
    "Options",
    "StrOptions",
    "accepts_sample_weight",
    "approximate_mode",
    "check_sample_weight",
    "fit_context",
    "is_first_partial_fit",
    "num_samples",
]

# From 1.8 on it refuses weights that are all zero, with its own message.
_ZEROS_ALLOWED: dict[str, Any] = (
    {"allow_all_zero_weights": True}
    if "allow_all_zero_weights" in inspect.signature(_check_sample_weight).parameters
    else {}
)


#: Largest sum of weights, so that the sums of many calls can still be added up.
LARGEST_SUM = 1e300


def check_sample_weight(
    sample_weight: ArrayLike, X: NDArray, *, allow_zeros: bool = False
) -> NDArray:
    """Validate weights of the rows of X; return them as an array (n,) of float64.

    Raises
    ------
    ValueError
        If there is not one weight per row, if one is negative or not finite, if all are zero and
        ``allow_zeros`` is False, or if their sum is too large.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        weights: NDArray = _check_sample_weight(
            sample_weight, X, dtype=np.float64, **_ZEROS_ALLOWED
        )
    if weights.min() < 0:
        raise ValueError(
            f"sample_weight must not be negative, but its smallest value is {weights.min()}. "
            "Leave rows out, or give them a weight of zero."
        )
    if not (allow_zeros or weights.any()):
        raise ValueError("sample_weight is zero for every row. At least one must be positive.")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if total > LARGEST_SUM:
        raise ValueError(
            f"The sum of sample_weight is too large, {total:.3g}. Scale it down: the unit of "
            "weights does not matter."
        )
    return weights


def accepts_sample_weight(scorer: Any) -> bool:
    """Tell whether a scorer of scikit-learn, or any callable, takes weights of the rows."""
    try:
        parameters = inspect.signature(getattr(scorer, "_score_func", scorer)).parameters
    except ValueError:  # it is not written in Python
        return False
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    return takes_any or "sample_weight" in parameters
