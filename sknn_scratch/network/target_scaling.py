r"""From numbers to targets of the network: columns centred and scaled, :math:`(y - \mu) / s`."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.features import FeatureMap, robust_moments


@dataclass(frozen=True, eq=False)
class TargetScaling(FeatureMap):
    """Centre and scale of targets: mean and standard deviation of the values within bounds.

    The bounds are those of the features, so that a few outliers do not count. There is no exception
    for zeros and ones.
    """

    @staticmethod
    def learnt(
        X: Any, sample_weight: NDArray | None, categories: Collection[int] = ()
    ) -> FeatureMap:
        """Learn centre and scale of the columns of X, targets (n, n_outputs), by weighted rows."""
        live: Any = slice(None) if sample_weight is None else np.flatnonzero(sample_weight)
        weight = None if sample_weight is None else sample_weight[live]
        found = [robust_moments(column, weight) for column in X[live].T]
        return FeatureMap(*np.array(found).T)


@dataclass(frozen=True, eq=False)
class PositiveTargetScaling(FeatureMap):
    """Scale of targets that an exponential predicts: they are divided by their mean."""

    @staticmethod
    def learnt(
        X: Any, sample_weight: NDArray | None, categories: Collection[int] = ()
    ) -> FeatureMap:
        """Learn the mean of the columns of X, targets (n, n_outputs), by weighted rows."""
        largest = X.max(axis=0)
        largest = np.where(largest > 0, largest, 1)
        mean = largest * np.average(X / largest, axis=0, weights=sample_weight)  # without overflow
        return FeatureMap(np.zeros(X.shape[1]), np.where(mean > 0, mean, 1))
