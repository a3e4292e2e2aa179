"""What was recorded of a fit: its networks after some of the epochs, some rows, and its losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_scratch.network.model import Network

#: Most rows that are kept, and most numbers in them.
MOST_ROWS, MOST_VALUES = 400, 30_000


@dataclass(frozen=True, eq=False)
class Recording:
    """A fit as it went.

    Parameters
    ----------
    epochs : sequence of int
        Numbers of the epochs after which parameters were kept, in ascending order. 0 is before the
        first.
    networks : sequence of Network
        The network after each of them.
    kept : int
        Which of them is the fitted one.
    X : ndarray of shape (n_rows, n_features)
        Some of the rows to learn from, as they came; with NaN in gaps, and codes in columns of
        categories.
    targets : ndarray of shape (n_rows, n_outputs)
        Their targets, 0 or 1.
    n_learnt : int
        Rows to learn from, these and others.
    classes : list
        Class labels, or numbers of the labels.
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
    """Choose rows, (n_chosen,), some of each class: all if they are few.

    Parameters
    ----------
    targets : ndarray of shape (n, n_outputs)
        0 or 1.
    rows : ndarray of shape (n_learnt,) or None
        Numbers of the rows to choose from; None for all.
    """
    rows = np.arange(len(targets)) if rows is None else np.sort(rows)
    most = max(20, min(MOST_ROWS, MOST_VALUES // n_features))
    if len(rows) <= most:
        return rows
    # Evenly spaced among the rows ordered by class: of each as large a part as of the others.
    ordered = rows[np.lexsort(targets[rows].T)]
    return np.sort(ordered[np.linspace(0, len(rows) - 1, most).round().astype(int)])


def dense_rows(X: Any, rows: NDArray) -> NDArray:
    """Return these rows of X, dense or sparse, in an array of their own."""
    chosen: NDArray = X[rows].toarray() if issparse(X) else X[rows].copy()
    return chosen
