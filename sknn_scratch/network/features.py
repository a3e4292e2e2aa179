r"""From columns as they came to inputs of the network: of one scale, and smoothly clipped.

Raw columns come on every scale, and a unit whose inputs differ by a factor of a million learns from
the largest alone. So each column is centred and scaled,

.. math:: x = (X - \mu) / s,

and then clipped smoothly, so that a value far out cannot outweigh all others,

.. math:: x \leftarrow \frac{x}{\sqrt[4]{1 + (x / 3.5)^4}} .

Within two standard deviations that changes x by at most 3 %, and no value is beyond ±3.5.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import issparse
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.utils.sparsefuncs import inplace_column_scale

#: Scaled values are clipped smoothly to this, up and down.
BOUND = 3.5

#: Values beyond this are scaled down before they are squared.
LARGE = 1e100

#: Scaled values are cut here before their fourth power is taken, which would overflow.
FAR_OUT = 1e6


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """What the columns of X go through before the network sees them.

    Parameters
    ----------
    mean : ndarray of shape (n_features,) or None
        What is subtracted from each column; None leaves X as it is.
    scale : ndarray of shape (n_features,) or None
        What each column is then divided by.
    """

    mean: NDArray | None = None
    scale: NDArray | None = None

    def __call__(self, X: Any, dtype: DTypeLike) -> NDArray:
        """Map X, (n, n_features), dense or CSR, to inputs of this dtype.

        A sparse X stays sparse if nothing is to be subtracted from it. What is to be left as it is
        may come back without being copied.
        """
        if self.mean is None or self.scale is None:
            return X.astype(dtype, copy=False)
        if issparse(X) and self.mean.any():
            X = X.toarray()
        if issparse(X):
            x = X.astype(dtype, copy=True)
            x.sum_duplicates()
            inplace_column_scale(x, 1 / self.scale)
            clip_smoothly(x.data)
        else:
            with np.errstate(over="ignore"):
                x = X - self.mean
                x /= self.scale
                x = x.astype(dtype, copy=False)
            clip_smoothly(x)
        return x


#: The map that leaves X as it is.
AS_THEY_ARE = FeatureMap()


def clip_smoothly(x: NDArray) -> None:
    """Replace x by x / (1 + (x / BOUND)⁴)^¼, in place."""
    np.clip(x, -FAR_OUT, FAR_OUT, out=x)
    power = x * (1 / BOUND)
    power *= power
    power *= power
    power += 1
    np.sqrt(power, power)
    x /= np.sqrt(power, power)


def learn_scaling(X: NDArray, sample_weight: NDArray | None) -> FeatureMap:
    """Learn how to scale the columns of X, (n, n_features), from weighted rows.

    Dense columns are centred on their mean and divided by their standard deviation; a constant
    column becomes zero. Columns of zeros and ones stay as they are: divided by its deviation, a
    rare one would be far out. Sparse columns (CSR) must keep their zeros: they are not centred, but
    divided by their largest absolute value.
    """
    if sample_weight is not None:
        X, sample_weight = X[sample_weight > 0], sample_weight[sample_weight > 0]
    if issparse(X):
        return FeatureMap(np.zeros(X.shape[1]), MaxAbsScaler().fit(X).scale_)
    low, high = X.min(axis=-2).astype(np.float64), X.max(axis=-2).astype(np.float64)
    # The squares of very large numbers overflow.
    largest = np.maximum(-low, high)
    unit = np.where(largest > LARGE, largest, 1.0)
    scaler = StandardScaler().fit(X if (unit == 1).all() else X / unit, sample_weight=sample_weight)
    # The mean of a constant column may be off by rounding.
    mean = np.where(low == high, low, scaler.mean_ * unit)
    scale = np.where(low == high, 1.0, scaler.scale_ * unit)
    zero_one = ((X == 0) | (X == 1)).all(axis=-2)
    return FeatureMap(np.where(zero_one, 0.0, mean), np.where(zero_one, 1.0, scale))
