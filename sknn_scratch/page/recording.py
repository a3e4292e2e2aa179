"""Recordings of a fit: its networks after some of the epochs, some rows, and its losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_scratch.network.model import Network

#: Maximum number of rows that are kept, and of values in them.
MOST_ROWS, MOST_VALUES = 400, 30_000


@dataclass(frozen=True, eq=False)
class Recording:
    """A record of one fit.

    Parameters
    ----------
    epochs : sequence of int
        Epochs after which parameters were kept, in ascending order. 0 is before the first.
    networks : sequence of Network
        The network after each of them.
    kept : int
        Index of the network that the fit ended with.
    X : ndarray of shape (n_rows, n_features)
        Some of the training rows, before scaling; NaN in gaps, and codes in categorical columns.
    targets : ndarray of shape (n_rows, n_outputs)
        Their targets, 0 or 1.
    n_learnt : int
        Number of all training rows.
    classes : list
        Class labels; for multilabel y, the indices of its columns.
    feature_names : list of str
        Names of the columns.
    input_names : list of str
        Names of the inputs of the network, which has one or more for each column.
    loss_name : str
        The loss, by its name in ``ScratchMLPClassifier``.
    loss_curve : sequence of float
        Loss of each epoch.
    validation_loss_curve : sequence of float or None
        Loss on the validation rows after each epoch, if there were any.
    """

    epochs: Sequence[int]
    networks: Sequence[Network]
    kept: int
    X: NDArray
    targets: NDArray
    n_learnt: int
    classes: list
    feature_names: list[str]
    input_names: list[str]
    loss_name: str
    loss_curve: Sequence[float]
    validation_loss_curve: Sequence[float] | None

    @property
    def fitted(self) -> Network:
        """The network that the fit ended with."""
        return self.networks[self.kept]


def rows_to_keep(targets: NDArray, rows: NDArray | None, n_features: int) -> NDArray:
    """Choose the indices of some rows of each class, (n_chosen,); of all rows if they are few.

    Parameters
    ----------
    targets : ndarray of shape (n, n_outputs)
        0 or 1.
    rows : ndarray of shape (n_learnt,) or None
        Indices of the rows to choose from; None for all.
    n_features : int
        Number of columns of X: with many of them, fewer rows are chosen.
    """
    rows = np.arange(len(targets)) if rows is None else np.sort(rows)
    most = max(20, min(MOST_ROWS, MOST_VALUES // n_features))
    if len(rows) <= most:
        return rows
    # Evenly spaced among the rows ordered by class, so that each class keeps its frequency.
    ordered = rows[np.lexsort(targets[rows].T)]
    return np.sort(ordered[np.linspace(0, len(rows) - 1, most).round().astype(int)])


def dense_rows(X: Any, rows: NDArray) -> NDArray:
    """Return a dense copy of these rows of X, dense or sparse."""
    chosen: NDArray = X[rows].toarray() if issparse(X) else X[rows].copy()
    return chosen
