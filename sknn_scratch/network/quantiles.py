"""Quantiles of weighted values."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def quantile(x: NDArray, fraction: float, weight: NDArray | None) -> Any:
    """Return the smallest value of x, (n,), up to which at least this fraction of weight lies."""
    fraction -= 1e-9  # sums of weights are rounded
    if weight is None:
        k = max(math.ceil(fraction * len(x)) - 1, 0)
        return np.partition(x, k)[k]
    order = x.argsort()
    passed = weight[order].cumsum()
    return x[order[np.searchsorted(passed, fraction * passed[-1])]]
