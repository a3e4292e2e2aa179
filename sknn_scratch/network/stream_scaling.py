"""Scaling of columns whose rows come in parts: it is updated while the stream is young."""

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, issparse, vstack

from sknn_scratch.network.features import FeatureMap, column_range

#: Rows from which on the scaling is settled.
ENOUGH_ROWS = 1000


@dataclass(frozen=True, eq=False)
class StreamScaling:
    """The current map of the columns, and what it needs to go on learning.

    While a stream is young its rows are kept, and the scaling is learnt anew from all of them each
    time their number has doubled. At 1,000 rows it is settled, and the rows are dropped. Only a
    column that has had at most one value by then is scaled later, by the first rows in which it has
    others. Which inputs a column has is settled by the first rows.

    Parameters
    ----------
    features : FeatureMap
        Current map of the columns.
    rows : {ndarray, CSR matrix} of shape (n_kept, n_features) or None
        The rows of a young stream.
    sample_weight : ndarray of shape (n_kept,) or None
        Their weights.
    n_learnt : int
        Number of rows that the scaling was learnt from.
    constant : ndarray of shape (n_constant,)
        Indices of the columns that had at most one value when the scaling was settled.
    value : ndarray of shape (n_constant,)
        That value.
    """

    features: FeatureMap = field(default_factory=FeatureMap)
    rows: Any = None
    sample_weight: NDArray | None = None
    n_learnt: int = 0
    constant: NDArray = field(default_factory=lambda: np.empty(0, dtype=int))
    value: NDArray = field(default_factory=lambda: np.empty(0))

    def own(self) -> Self:
        """Return the same scaling with centre and scale in arrays of its own."""
        features = self.features
        own = replace(features, mean=copy(features.mean), scale=copy(features.scale))
        return replace(self, features=own)

    def after(self, X: Any, sample_weight: NDArray) -> Self:
        """Return the scaling after more rows, X (n, n_features), have come."""
        X = self.features.encoded(X)
        if self.n_learnt and self.rows is None:
            return self._after_settling(X, sample_weight) if len(self.constant) else self
        live = np.flatnonzero(sample_weight)
        n_before = 0 if self.rows is None else self.rows.shape[0]
        live = live[: ENOUGH_ROWS - n_before]
        rows, weight = X[live], sample_weight[live]
        if self.rows is not None and self.sample_weight is not None:
            if issparse(X) or issparse(self.rows):
                rows = vstack([csr_matrix(self.rows), csr_matrix(rows)], "csr")
            else:
                rows = np.vstack([self.rows, rows])
            weight = np.concatenate([self.sample_weight, weight])
        n = rows.shape[0]
        grown = replace(self, rows=rows, sample_weight=weight)
        if n < min(2 * self.n_learnt, ENOUGH_ROWS):
            return grown
        grown = replace(grown, features=self.features.rescaled(rows, weight), n_learnt=n)
        if n < ENOUGH_ROWS:
            return grown
        first = rows[:1].toarray()[0] if issparse(rows) else rows[0]
        low, high = column_range(rows)
        varies = low < high
        if self.features.layout is not None:
            varies[list(self.features.layout.categories)] = True
        constant = np.flatnonzero(~varies)
        return replace(
            grown, rows=None, sample_weight=None, constant=constant, value=first[constant]
        )

    def _after_settling(self, X: Any, sample_weight: NDArray) -> Self:
        """Scale the columns that were constant until now by rows in which they vary."""
        columns = _dense(X[:, self.constant])
        live = columns[sample_weight > 0]
        varies = ((live != self.value) & (live == live)).any(axis=0)  # a gap differs from itself
        if not varies.any() or self.features.mean is None or self.features.scale is None:
            return self
        learnt = self.features.learnt(columns[:, varies], sample_weight)
        mean, scale = self.features.mean.copy(), self.features.scale.copy()
        mean[self.constant[varies]], scale[self.constant[varies]] = learnt.mean, learnt.scale
        return replace(
            self,
            features=replace(self.features, mean=mean, scale=scale),
            constant=self.constant[~varies],
            value=self.value[~varies],
        )


def _dense(X: Any) -> NDArray:
    dense: NDArray = X.toarray() if issparse(X) else X
    return dense
