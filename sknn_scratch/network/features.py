r"""From columns as they came to inputs of the network: of one scale, and smoothly clipped.

Raw columns come on every scale, and a unit whose inputs differ by a factor of a million learns from
the largest alone. So each column is centred and scaled,

.. math:: x = (X - \mu) / s,

and then clipped smoothly, so that a value far out cannot outweigh all others,

.. math:: x \leftarrow \frac{x}{\sqrt[4]{1 + (x / 3.5)^4}} .

Within two standard deviations that changes x by at most 3 %, and no value is beyond ±3.5.

Centre and scale are the mean and the standard deviation of the values *within bounds*. A slip of a
unit, a sentinel such as -999 or a heavy tail lies beyond them, and does not count. The bounds are
seven times the core, which is the 60 % quantile of the deviations from the median that are not
zero: so for normal data nothing within 5.9 standard deviations is left out. The deviations of zero
do not count, so that a column in which one value prevails keeps what the others say.

Columns of zeros and ones stay as they are: divided by its deviation, a rare one would be far out. A
column of which at least half is zero keeps its zeros, so that a sparse X stays sparse: it is not
centred, but divided by the root of the mean square of its other values within bounds. A sparse X
goes through the same map as the same values dense.

A gap (NaN) is the centre of its column, 0. A column that has gaps when the map is learnt has one
more input, which is 1 where there is a gap. A column of categories has an input a level instead
(see ``levels.py``).
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import csr_matrix, issparse

from sknn_scratch.network.encoding import PiecewiseLinear, learn_encoding
from sknn_scratch.network.levels import Layout, Levels, layout_of
from sknn_scratch.network.quantiles import quantile

#: Scaled values are clipped smoothly to this, up and down.
BOUND = 3.5

#: Scaled values are cut here before their fourth power is taken, which would overflow.
FAR_OUT = 1e6

#: Quantile of the deviations that is the core of a column, and how many times it the bounds are.
CORE, WITHIN = 0.6, 7.0

#: A core from which on all values are within bounds, which would overflow otherwise.
HUGE = 1e300

#: Values that are mapped at a time, to stay in the cache; and of which statistics are taken.
MAPPED_AT_ONCE, MEASURED_AT_ONCE = 1 << 15, 1 << 20


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """What the columns of X go through before the network sees them.

    Parameters
    ----------
    mean : ndarray of shape (n_encoded,) or None
        What is subtracted from each column; None leaves X as it is.
    scale : ndarray of shape (n_encoded,) or None
        What each column is then divided by.
    layout : Layout or None
        Which inputs a column has; None if each has one, as with numbers without gaps.
    encoding : PiecewiseLinear or None
        What becomes of the columns first, n_features to n_encoded; None if they stay as they are.
    """

    mean: NDArray | None = None
    scale: NDArray | None = None
    layout: Layout | None = None
    encoding: PiecewiseLinear | None = None

    def __call__(self, X: Any, dtype: DTypeLike) -> NDArray:
        """Map X, (n, n_features), dense or CSR, to inputs of this dtype, (n, n_inputs).

        A sparse X stays sparse: of the columns that are centred, which are less than half zero, all
        entries are there afterwards. What is to be left as it is may come back without a copy.
        """
        if issparse(X) and self.mean is not None and self.scale is not None:
            return _map_sparse(X, dtype, self.mean, self.scale)
        if self.mean is None and self.layout is None and self.encoding is None:
            return X.astype(dtype, copy=False)
        rows = max(1, MAPPED_AT_ONCE // X.shape[1])
        if len(X) <= rows:
            return self._block(X, dtype)
        x = np.empty((len(X), self.n_inputs(X.shape[1])), dtype=dtype)
        for start in range(0, len(X), rows):
            x[start : start + rows] = self._block(X[start : start + rows], dtype)
        return x

    def _block(self, X: NDArray, dtype: DTypeLike) -> NDArray:
        """Map a few rows of X, dense."""
        X = self.encoded(X)
        if self.mean is None or self.scale is None:
            x = X.astype(dtype, copy=False)
        else:
            x = _scaled(X, dtype, self.mean, self.scale)
        return x if self.layout is None else self.layout(X, x)

    def encoded(self, X: Any) -> Any:
        """Encode X, (n, n_features): what is scaled and laid out, (n, n_encoded)."""
        return X if self.encoding is None else self.encoding(X)

    def n_inputs(self, n_features: int) -> int:
        """Count the inputs of the network."""
        if self.layout is not None:
            return self.layout.n_inputs
        return n_features if self.encoding is None else len(self.encoding.columns)

    def rescaled(self, X: Any, sample_weight: NDArray | None) -> Self:
        """Return the map with its scaling learnt anew, from encoded rows; its inputs stay."""
        categories = () if self.layout is None else self.layout.categories
        learnt = self.learnt(X, sample_weight, categories)
        return replace(self, mean=learnt.mean, scale=learnt.scale)

    @staticmethod
    def learnt(
        X: Any, sample_weight: NDArray | None, categories: Collection[int] = ()
    ) -> "FeatureMap":
        """Learn a scaling from these rows."""
        return learn_scaling(X, sample_weight, categories)


#: The map that leaves X as it is.
AS_THEY_ARE = FeatureMap()


def _scaled(X: NDArray, dtype: DTypeLike, mean: NDArray, scale: NDArray) -> NDArray:
    # In float64, since a column that is far from zero loses its digits otherwise.
    with np.errstate(over="ignore"):
        x = np.subtract(X, mean, order="C")
        x /= scale
        x = x.astype(dtype, copy=False)
    clip_smoothly(x)
    if math.isnan(np.vdot(x, x)):  # the fastest way to find a gap
        x[np.isnan(x)] = 0
    return x


def _map_sparse(X: Any, dtype: DTypeLike, mean: NDArray, scale: NDArray) -> Any:
    X = X.copy()
    X.sum_duplicates()
    with np.errstate(over="ignore"):
        data = (X.data / scale[X.indices]).astype(dtype, copy=False)
    clip_smoothly(data)
    filled = np.flatnonzero(mean)
    data[np.isin(X.indices, filled)] = 0
    x = csr_matrix((data, X.indices, X.indptr), shape=X.shape)
    if not len(filled):
        return x
    part = FeatureMap(mean[filled], scale[filled])(X[:, filled].toarray(), dtype)
    at = np.arange(len(part) + 1) * len(filled)
    columns = np.tile(filled, len(part))
    return x + csr_matrix((part.ravel(), columns, at), shape=X.shape)


def clip_smoothly(x: NDArray) -> None:
    """Replace x by x / (1 + (x / BOUND)⁴)^¼, in place."""
    np.maximum(x, -FAR_OUT, out=x)  # both take half the time of np.clip for one row
    np.minimum(x, FAR_OUT, out=x)
    power = x * (1 / BOUND)
    power *= power
    power *= power
    power += 1
    np.sqrt(power, power)
    x /= np.sqrt(power, power)


def column_range(X: Any) -> tuple[NDArray, NDArray]:
    """Find the least and the greatest value of each column of X, dense or sparse, but for gaps."""
    if issparse(X):
        low, high = X.min(axis=0), X.max(axis=0)
        return np.ravel(low.toarray()), np.ravel(high.toarray())
    return np.fmin.reduce(X, axis=-2), np.fmax.reduce(X, axis=-2)


def learn_features(
    X: Any,
    sample_weight: NDArray | None,
    levels: Levels,
    *,
    scaled: bool = True,
    n_bins: int | None = None,
) -> FeatureMap:
    """Learn what the columns of X, (n, n_features), dense or CSR, go through, from weighted rows.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, n_features)
        Numbers, with NaN in gaps; in columns of categories the codes of ``levels.py``.
    sample_weight : ndarray of shape (n,) or None
        Rows of weight zero do not count.
    levels : mapping of int to LevelCodes
        The columns of categories.
    scaled : bool
        Whether numbers are scaled.
    n_bins : int or None
        Bins of the piecewise-linear encoding of numbers; None for none.
    """
    if issparse(X):
        return learn_scaling(X, sample_weight) if scaled else AS_THEY_ARE
    encoding = with_gap = None
    if n_bins is not None:
        encoding = learn_encoding(X, sample_weight, levels, n_bins)
        X, with_gap = encoding(X), encoding.first
        levels = {int(with_gap[j]): codes for j, codes in levels.items()}
    layout = layout_of(X, sample_weight, levels, with_gap)
    scaling = learn_scaling(X, sample_weight, levels) if scaled else AS_THEY_ARE
    return replace(scaling, layout=layout, encoding=encoding)


def learn_scaling(
    X: Any, sample_weight: NDArray | None, categories: Collection[int] = ()
) -> FeatureMap:
    """Learn how to scale the columns of X, (n, n_features), dense or CSR, from weighted rows.

    It makes no difference in which order rows come, in which unit their weights are, and whether a
    row comes twice or with twice the weight. A constant column becomes zero, and so does one of
    which all is missing. Columns of categories stay as they are.
    """
    live: Any = slice(None)
    weight = None
    if sample_weight is not None:
        live = np.flatnonzero(sample_weight)
        weight = sample_weight[live].astype(np.float64)
    n_features = X.shape[1]
    mean, scale = np.zeros(n_features), np.ones(n_features)
    if issparse(X):
        X = X[live].tocsc()
        X.sum_duplicates()
        for j in range(n_features):
            entries = slice(X.indptr[j], X.indptr[j + 1])
            if entries.start < entries.stop:
                rows, values = X.indices[entries], X.data[entries]
                mean[j], scale[j] = _scaling_of_entries(values, rows, X.shape[0], weight)
        return FeatureMap(mean, scale)
    # As rows of a block, the values of a column lie side by side.
    width = max(1, min(MEASURED_AT_ONCE // len(X), n_features // 10))
    for start in range(0, n_features, width):
        block = np.ascontiguousarray(X[:, start : start + width].T)[:, live]
        for j, x in enumerate(block, start):
            if j not in categories:
                mean[j], scale[j] = _scaling_of_column(x, weight)
    return FeatureMap(mean, scale)


def _scaling_of_column(x: NDArray, weight: NDArray | None) -> tuple[float, float]:
    """Centre and scale of a column, given all its values, (n,), gaps among them."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(x.sum())
    if not finite and (gaps := np.isnan(x)).any():
        x, weight = x[~gaps], _of(weight, ~gaps)
        if not len(x):
            return 0.0, math.inf  # whatever comes later says nothing
    return _scaling_of_values(x, weight)


def _scaling_of_values(x: NDArray, weight: NDArray | None) -> tuple[float, float]:
    """Centre and scale of a column, given all its values, (n,)."""
    nonzero = x != 0
    if 2 * _mass(nonzero, weight) <= (len(x) if weight is None else weight.sum()):
        return 0.0, _scale_about(0.0, x[nonzero], _of(weight, nonzero))[1]
    return _scale_about(float(quantile(x, 0.5, weight)), x, weight, centred=True)


def _scaling_of_entries(
    values: NDArray, rows: NDArray, n: int, weight: NDArray | None
) -> tuple[float, float]:
    """Centre and scale of a column of n values, given those that are not zero and their rows."""
    total = n if weight is None else weight.sum()
    if 2 * _mass(values != 0, _of(weight, rows)) <= total:
        nonzero = values != 0
        return 0.0, _scale_about(0.0, values[nonzero], _of(_of(weight, rows), nonzero))[1]
    column = np.zeros(n, dtype=values.dtype)
    column[rows] = values
    return _scaling_of_values(column, weight)


def _scale_about(
    centre: float,
    x: NDArray,
    weight: NDArray | None,
    *,
    centred: bool = False,
    codes_stay: bool = True,
) -> tuple[float, float]:
    """Mean (or the centre) and root mean square deviation of the values within bounds about it.

    With ``codes_stay``, zeros and ones are to stay as they are.
    """
    half = x * 0.5 - centre * 0.5  # the whole may overflow
    size = np.abs(half)
    differs = size > np.spacing(abs(centre))
    if not differs.any():
        return centre, 1.0
    core = float(quantile(size[differs], CORE, _of(weight, differs)))
    within = size <= WITHIN * core if core < HUGE else np.ones(len(x), dtype=bool)
    kept = x[within]
    if codes_stay and ((kept == 0) | (kept == 1)).all():
        return 0.0, 1.0
    deviation, weight = half[within] / core, _of(weight, within)
    mean = float(np.average(deviation, weights=weight)) if centred else 0.0
    deviation -= mean
    square = float(np.average(deviation * deviation, weights=weight))
    return centre + 2 * core * mean, 2 * core * math.sqrt(square)


def robust_moments(x: NDArray, weight: NDArray | None) -> tuple[float, float]:
    """Compute mean and standard deviation of the values within bounds, as the map of columns does.

    Parameters
    ----------
    x : ndarray of shape (n,)
    weight : ndarray of shape (n,) or None
        Weights of the values, all positive.
    """
    centre = float(quantile(x, 0.5, weight))
    return _scale_about(centre, x, weight, centred=True, codes_stay=False)


def _of(weight: NDArray | None, rows: NDArray) -> NDArray | None:
    return None if weight is None else weight[rows]


def _mass(chosen: NDArray, weight: NDArray | None) -> float:
    """How much is chosen: rows, or their weight."""
    return float(np.count_nonzero(chosen) if weight is None else weight[chosen].sum())
