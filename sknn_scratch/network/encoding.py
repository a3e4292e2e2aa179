r"""Piecewise-linear encoding: for each bin of a column, the part of it that a number has passed.

The bins of a column lie between edges :math:`b_0 < b_1 < \ldots`, quantiles of its values. For each
bin, a value x becomes

.. math:: \min(\max((x - b_t) / (b_{t+1} - b_t), 0), 1):

0 below the bin, 1 above, and in between the part of it that x has passed. So a unit can respond to
one part of a column and to nothing elsewhere, as trees do.

References
----------
Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep
Learning", NeurIPS 2022, section 3.2. There the first and the last bin are open; here they end at
the minimum and the maximum, so that an outlier counts as a value at the edge.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_scratch.network.quantiles import quantile

#: Values that are encoded at a time, in float64.
ENCODED_AT_ONCE = 1 << 15


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """An encoding of a table, which turns each column into one or more.

    Parameters
    ----------
    columns : ndarray of shape (n_encoded,)
        Index of the column of X that each encoded column comes from, in ascending order.
    start, width : ndarray of shape (n_encoded,)
        Start and width of its bin; 0 and 1 where a column stays as it is.
    least, greatest : ndarray of shape (n_encoded,)
        Bounds that encoded values are clipped to, 0 and 1; infinite where a column stays as it is.
    """

    columns: NDArray
    start: NDArray
    width: NDArray
    least: NDArray
    greatest: NDArray

    def __call__(self, X: NDArray) -> NDArray:
        """Encode X, (n, n_features), as (n, n_encoded) of the same type; gaps stay NaN."""
        encoded = np.empty((len(X), len(self.columns)), dtype=X.dtype)
        rows = max(1, ENCODED_AT_ONCE // len(self.columns))
        for at in range(0, len(X), rows):
            with np.errstate(over="ignore"):
                x = X[at : at + rows, self.columns] - self.start
                x /= self.width
            encoded[at : at + rows] = np.clip(x, self.least, self.greatest, out=x)
        return encoded

    @property
    def first(self) -> NDArray:
        """Index of the first encoded column of each column of X, (n_features,)."""
        return np.flatnonzero(np.diff(self.columns, prepend=-1))

    @property
    def bins(self) -> NDArray:
        """Bin of each encoded column, (n_encoded,), from 1; 0 where a column stays as it is."""
        bins = np.arange(len(self.columns)) - self.first[self.columns] + 1
        return np.where(np.isfinite(self.greatest), bins, 0)


def learn_encoding(
    X: NDArray, sample_weight: NDArray | None, categories: Collection[int], n_bins: int
) -> PiecewiseLinear:
    """Learn bins from the columns of X, (n, n_features), dense, with gaps or without.

    Categorical columns, and those of one or two values, stay as they are.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    sample_weight : ndarray of shape (n,) or None
        Weights of the rows.
    categories : collection of int
        Indices of the categorical columns.
    n_bins : int
        Number of bins of a column; fewer if quantiles coincide.
    """
    live = np.ones(len(X), bool) if sample_weight is None else sample_weight > 0
    parts: list[NDArray] = []  # column, start, width, least, greatest
    for j in range(X.shape[1]):
        there = live & ~np.isnan(X[:, j])
        x = X[there, j].astype(np.float64)
        if j in categories or _at_most_two(x):
            parts.append(np.array([[j, 0, 1, -np.inf, np.inf]]))
            continue
        edges = np.unique(x)
        weight = None if sample_weight is None else sample_weight[there]
        if len(edges) > n_bins + 1:
            inner = [quantile(x, k / n_bins, weight) for k in range(1, n_bins)]
            edges = np.unique([edges[0], *inner, edges[-1]])
        parts.append(
            np.column_stack(
                np.broadcast_arrays(j, edges[:-1], np.diff(edges), np.float64(0), np.float64(1))
            )
        )
    columns, start, width, least, greatest = np.concatenate(parts).T
    return PiecewiseLinear(columns.astype(np.intp), start, width, least, greatest)


def has_bins(X: Any, sample_weight: NDArray | None, categories: Collection[int]) -> bool:
    """Tell whether :func:`learn_encoding` would find bins in a column of X, (n, n_features).

    In a sparse X there are none.
    """
    if issparse(X):
        return False
    live = np.ones(len(X), bool) if sample_weight is None else sample_weight > 0
    for j in range(X.shape[1]):
        x = X[live, j]
        if j not in categories and not _at_most_two(x[~np.isnan(x)]):
            return True
    return False


def _at_most_two(x: NDArray) -> bool:
    """Tell whether x, (n,), has at most two values, without sorting it."""
    return not len(x) or bool(((x == x.min()) | (x == x.max())).all())
