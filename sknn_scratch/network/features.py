r"""From raw columns to inputs of the network: of one scale, and smoothly clipped.

Raw columns come on every scale, and a unit whose inputs differ by a factor of a million learns from
the largest alone. So each column is centred and scaled,

.. math:: x = (X - \mu) / s,

and then clipped smoothly, so that an outlier cannot outweigh all other values,

.. math:: x \leftarrow \frac{x}{\sqrt[4]{1 + (x / 3.5)^4}} .

Within two standard deviations that changes x by at most 3 %, and no value is beyond ±3.5.

Centre and scale are the mean and the standard deviation of the values *within bounds*. A cell in
the wrong unit, a sentinel such as -999 or a heavy tail lies beyond them, and does not count. The
bounds are seven times the core, which is the 60 % quantile of the nonzero absolute deviations from
the median: for normal data they leave out nothing within 5.9 standard deviations. Deviations of
zero do not count, so that a column in which one value prevails keeps its other values.

Columns of zeros and ones stay as they are: scaled, a rare 1 would be an outlier. A column that is
at least half zeros keeps its zeros, so that a sparse X stays sparse: it is not centred, but divided
by the root mean square of its other values within bounds. A sparse X goes through the same map as
the same values dense.

A gap (NaN) becomes the centre of its column, 0. A column that has gaps when the map is learnt has
one more input, which is positive where there is a gap. A categorical column has one input per level
instead (see ``levels.py``).
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
from sknn_scratch.network.threads import one_thread_for

#: Scaled values are clipped smoothly to plus and minus this.
BOUND = 3.5

#: Scaled values are cut here before their fourth power is taken, which would overflow.
FAR_OUT = 1e6

#: Quantile of the deviations that is the core of a column; and the bounds, in cores.
CORE, WITHIN = 0.6, 7.0

#: Number of values mapped at a time, to stay in the cache; and measured at a time.
MAPPED_AT_ONCE, MEASURED_AT_ONCE = 1 << 15, 1 << 20


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Map from the columns of X to the inputs of the network: encode, scale, lay out.

    Parameters
    ----------
    mean : ndarray of shape (n_encoded,) or None
        What is subtracted from each column; None leaves X as it is.
    scale : ndarray of shape (n_encoded,) or None
        What each column is then divided by.
    layout : Layout or None
        Which inputs each column has; None if each has one, as with numbers without gaps.
    encoding : PiecewiseLinear or None
        Encoding before the scaling, from n_features to n_encoded columns; None if there is none.
    """

    mean: NDArray | None = None
    scale: NDArray | None = None
    layout: Layout | None = None
    encoding: PiecewiseLinear | None = None

    def __call__(self, X: Any, dtype: DTypeLike) -> NDArray:
        """Map X, (n, n_features), dense or CSR, to inputs of this dtype, (n, n_inputs).

        A sparse X stays sparse; columns that are centred, which are less than half zeros, are
        filled. If the map was learnt from a dense X with gaps, or encodes, it becomes dense. A map
        that changes nothing may return X itself.
        """
        if issparse(X) and self.is_dense:
            X = X.toarray()
        if issparse(X) and self.mean is not None and self.scale is not None:
            return _map_sparse(X, dtype, self.mean, self.scale)
        if self.is_identity:
            return _as_type(X, dtype)
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
            x = _as_type(X, dtype)
        else:
            x = _scaled(X, dtype, self.mean, self.scale)
        return x if self.layout is None else self.layout(X, x)

    @property
    def is_identity(self) -> bool:
        """Whether inputs are the columns as they are."""
        return self.mean is None and self.layout is None and self.encoding is None

    @property
    def is_dense(self) -> bool:
        """Whether inputs are always dense, as a sparse X has neither gaps nor an encoding."""
        return self.layout is not None or self.encoding is not None

    def encoded(self, X: Any) -> Any:
        """Encode X, (n, n_features), before it is scaled: (n, n_encoded)."""
        if self.encoding is None:
            return X
        return self.encoding(X.toarray() if issparse(X) else X)

    def n_inputs(self, n_features: int) -> int:
        """Count the inputs of the network."""
        if self.layout is not None:
            return self.layout.n_inputs
        return n_features if self.encoding is None else len(self.encoding.columns)

    def rescaled(self, X: Any, sample_weight: NDArray | None) -> Self:
        """Return the map with its scaling learnt anew from encoded rows, and the same inputs."""
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


def _as_type(X: Any, dtype: DTypeLike) -> Any:
    """Convert numbers that are not scaled; raise an error if one is beyond the type."""
    try:
        with np.errstate(over="raise"):
            return X.astype(dtype, copy=False)
    except FloatingPointError as error:
        raise ValueError(
            f"X has a value too large for {np.dtype(dtype)}, which this network computes in. Fit "
            "it with scale_features=True or dtype='float64'."
        ) from error


def _scaled(X: NDArray, dtype: DTypeLike, mean: NDArray, scale: NDArray) -> NDArray:
    # In float64, or else a column that is far from zero would lose its digits.
    with np.errstate(over="ignore"):
        x = np.subtract(X, mean, order="C")
        x /= scale
        x = x.astype(dtype, copy=False)
    clip_smoothly(x)
    with one_thread_for(x.size):
        has_gaps = math.isnan(np.vdot(x, x))  # the fastest way to find one
    if has_gaps:
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
    """Find the minimum and the maximum of each column of X, dense or sparse, ignoring gaps."""
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
    """Learn the map from the columns of X to inputs, from weighted rows.

    Parameters
    ----------
    X : {ndarray, CSR matrix} of shape (n, n_features)
        Numbers, with NaN in gaps; in categorical columns the codes of ``levels.py``.
    sample_weight : ndarray of shape (n,) or None
        Weights of the rows. Rows of weight zero do not count.
    levels : mapping of int to LevelCodes
        The categorical columns.
    scaled : bool
        Whether numbers are scaled.
    n_bins : int or None
        Number of bins of the piecewise-linear encoding of numbers; None for no encoding.
    """
    if issparse(X):
        return learn_scaling(X, sample_weight) if scaled else AS_THEY_ARE
    encoding = with_gap = None
    if n_bins is not None:
        encoding = learn_encoding(X, sample_weight, levels, n_bins)
        X, with_gap = encoding(X), encoding.first
        levels = {int(with_gap[j]): codes for j, codes in levels.items()}
    layout = layout_of(X, sample_weight, levels, with_gap, scaled)
    scaling = learn_scaling(X, sample_weight, levels) if scaled else AS_THEY_ARE
    return replace(scaling, layout=layout, encoding=encoding)


def learn_scaling(
    X: Any, sample_weight: NDArray | None, categories: Collection[int] = ()
) -> FeatureMap:
    """Learn how to scale the columns of X, (n, n_features), dense or CSR, from weighted rows.

    The order of the rows makes no difference, nor does the unit of their weights, nor whether a row
    comes twice or with twice the weight. A constant column becomes zero, and so does one without
    any value. Categorical columns stay as they are.
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
    """Compute centre and scale of a column, given all its values, (n,), and gaps."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = math.isfinite(x.sum())
    if not finite and (gaps := np.isnan(x)).any():
        x, weight = x[~gaps], _of(weight, ~gaps)
        if not len(x):
            return 0.0, math.inf  # makes all later values zero
    return _scaling_of_values(x, weight)


def _scaling_of_values(x: NDArray, weight: NDArray | None) -> tuple[float, float]:
    """Compute centre and scale of a column, given all its values, (n,)."""
    nonzero = x != 0
    if 2 * _mass(nonzero, weight) <= (len(x) if weight is None else weight.sum()):
        return 0.0, _scale_about(0.0, x[nonzero], _of(weight, nonzero))[1]
    return _scale_about(float(quantile(x, 0.5, weight)), x, weight, centred=True)


def _scaling_of_entries(
    values: NDArray, rows: NDArray, n: int, weight: NDArray | None
) -> tuple[float, float]:
    """Compute centre and scale of a column of n values, given its entries and their rows."""
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
    """Compute the mean and the standard deviation of the values within bounds about a centre.

    Without ``centred``, the mean is the given centre. With ``codes_stay``, zeros and ones are left
    as they are.
    """
    half = x * 0.5 - centre * 0.5  # the whole may overflow
    size = np.abs(half)
    differs = size * 0.5 > np.spacing(abs(centre) * 0.5)
    if not differs.any():
        return centre, 1.0
    core = float(quantile(size[differs], CORE, _of(weight, differs)))
    # Bounds beyond the type leave out nothing.
    within = size <= min(WITHIN * core, float(np.finfo(size.dtype).max))
    kept = x[within]
    if codes_stay and ((kept == 0) | (kept == 1)).all():
        return 0.0, 1.0
    deviation, weight = half[within] / core, _of(weight, within)
    mean = float(np.average(deviation, weights=weight)) if centred else 0.0
    deviation -= mean
    square = float(np.average(deviation * deviation, weights=weight))
    # It is 0 if next to no weight is elsewhere: then the column counts as constant.
    return centre + core * (2 * mean), core * (2 * math.sqrt(square)) or 1.0


def robust_moments(x: NDArray, weight: NDArray | None) -> tuple[float, float]:
    """Compute mean and standard deviation of the values within bounds, as for columns of X.

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
    """Count the chosen rows, or sum their weights."""
    return float(np.count_nonzero(chosen) if weight is None else weight[chosen].sum())
