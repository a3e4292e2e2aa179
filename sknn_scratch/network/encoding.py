r"""Piecewise-linear encoding: a number as how far it is through each bin of its column.

The bins of a column lie between edges :math:`b_0 < b_1 < \ldots`, quantiles of its values. A value
x becomes, for each bin,

.. math:: \min(\max((x - b_t) / (b_{t+1} - b_t), 0), 1):

0 below it, 1 above, and in between what part of it x has passed. So a unit can do something in one
part of a column and nothing elsewhere, as trees do.

References
----------
Y. Gorishniy, I. Rubachev and A. Babenko, "On Embeddings for Numerical Features in Tabular Deep
Learning", NeurIPS 2022, section 3.2. There the first and the last bin are open; here they end at
the least and the greatest value, so that a value far out is one at the edge.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.quantiles import quantile


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """An encoding of a table, which makes one or more columns of each.

    Parameters
    ----------
    columns : ndarray of shape (n_encoded,)
        The column of X that each is made from, in ascending order.
    start, width : ndarray of shape (n_encoded,)
        Where its bin begins, and how wide it is; 0 and 1 where a column stays as it is.
    least, greatest : ndarray of shape (n_encoded,)
        0 and 1, where what is encoded is cut; infinite where a column stays as it is.
    """

    columns: NDArray
    start: NDArray
    width: NDArray
    least: NDArray
    greatest: NDArray

    def __call__(self, X: NDArray) -> NDArray:
        """Encode X, (n, n_features): (n, n_encoded), of the same type; a gap stays one."""
        with np.errstate(over="ignore"):
            x = X[:, self.columns] - self.start
            x /= self.width
        return np.clip(x, self.least, self.greatest, out=x).astype(X.dtype, copy=False)

    @property
    def first(self) -> NDArray:
        """Number of the first column that is made from each, (n_features,)."""
        return np.flatnonzero(np.diff(self.columns, prepend=-1))

    @property
    def bins(self) -> NDArray:
        """Number of the bin of each, (n_encoded,), from 1; 0 where a column stays as it is."""
        bins = np.arange(len(self.columns)) - self.first[self.columns] + 1
        return np.where(np.isfinite(self.greatest), bins, 0)


def learn_encoding(
    X: NDArray, sample_weight: NDArray | None, categories: Collection[int], n_bins: int
) -> PiecewiseLinear:
    """Learn bins from the columns of X, (n, n_features), dense, with gaps or without.

    Columns of categories, and those of one or two values, stay as they are.

    Parameters
    ----------
    X : ndarray of shape (n, n_features)
    sample_weight : ndarray of shape (n,) or None
        Rows count by their weight.
    categories : collection of int
        Columns of categories.
    n_bins : int
        Bins of a column; fewer if several quantiles are the same value.
    """
    live = np.ones(len(X), bool) if sample_weight is None else sample_weight > 0
    parts: list[NDArray] = []  # column, start, width, least, greatest
    for j in range(X.shape[1]):
        there = live & ~np.isnan(X[:, j])
        x = X[there, j].astype(np.float64)
        edges = np.unique(x)
        if j in categories or len(edges) < 3:
            parts.append(np.array([[j, 0, 1, -np.inf, np.inf]]))
            continue
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
