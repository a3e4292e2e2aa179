"""Which inputs of the network a column of a table has.

A number has one; one more, at the end, if it has gaps. Categories have one input a level, which is
1 where the row is of that level and 0 elsewhere (one-hot encoding). In X, a column of categories
holds codes: that of a level counts from 0, and there is one for a gap and one for what is no level.

A gap among categories is a level of its own, if there was one when the layout was learnt. What is
no level has 0 in all inputs of its column. Of a column with many levels the most frequent have
inputs of their own, and all others share one.

A gap counts as much as it can be relied on: its input is :math:`n f / (n f + 20)`, where f is the
frequency of gaps in the column and n the number of rows, at least 250. An input that is 1 in two
rows would let the network learn these by heart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Codes of what is not a level, and of a gap.
NO_LEVEL, GAP = -1, -2

#: Inputs that the levels of a column may have, a gap among them.
MOST_LEVELS = 40


class LevelCodes(NamedTuple):
    """Levels of a column of categories."""

    n: int
    """They have the codes 0 to n - 1."""
    known: bool
    """Whether each counts as a level, also one that no row is of: the type of the column says so"""


#: Gaps at which the input that says so is one half, and the least number of rows that counts.
HALF_RELIED_ON, LEAST_ROWS = 20, 250

#: Columns of categories, by their numbers.
Levels = Mapping[int, LevelCodes]


@dataclass(frozen=True, eq=False)
class Layout:
    """The inputs of the network, by the column they come from.

    Parameters
    ----------
    numbers, number_inputs : ndarray of shape (n_numbers,)
        Columns of numbers, and the input of each.
    gaps, gap_inputs, gap_values : ndarray of shape (n_gaps,)
        Columns of numbers with gaps, the input that says where there is one, and its value there.
    categories : tuple of int
        Columns of categories.
    lookups : tuple of ndarray
        The input of each code of such a column, which is at code + 2; -1 for none. Levels that have
        the same input are infrequent.
    values : ndarray of shape (n_categories,)
        Value of that input where there is a gap.
    n_inputs : int
        Inputs in all.
    """

    numbers: NDArray
    number_inputs: NDArray
    gaps: NDArray
    gap_inputs: NDArray
    gap_values: NDArray
    categories: tuple[int, ...]
    lookups: tuple[NDArray, ...]
    values: NDArray
    n_inputs: int

    def __call__(self, X: NDArray, scaled: NDArray) -> NDArray:
        """Lay out the inputs, (n, n_inputs), of X and its scaled numbers, (n, n_features) each."""
        x = np.zeros((len(X), self.n_inputs), dtype=scaled.dtype)
        x[:, self.number_inputs] = scaled[:, self.numbers]
        x[:, self.gap_inputs] = np.isnan(X[:, self.gaps]) * self.gap_values
        for column, lookup, value in zip(self.categories, self.lookups, self.values, strict=True):
            codes = X[:, column].astype(np.intp)
            inputs = lookup[codes - GAP]
            rows = np.flatnonzero(inputs >= 0)
            x[rows, inputs[rows]] = np.where(codes[rows] == GAP, value, 1)
        return x

    @property
    def level_inputs(self) -> NDArray:
        """Inputs that stand for levels."""
        found = [lookup[lookup >= 0] for lookup in self.lookups]
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.intp)


def layout_of(
    X: NDArray,
    sample_weight: NDArray | None,
    levels: Levels,
    with_gap: NDArray | None = None,
) -> Layout | None:
    """Learn from the rows of X, (n, n_features), which inputs its columns have.

    Only the columns in ``with_gap`` can have an input for their gaps; by None all can. The result
    None stands for an input a column, in their order.
    """
    live: Any = slice(None)  # column by column, so that there is no copy of X
    if sample_weight is not None:
        live = sample_weight > 0
        sample_weight = sample_weight[live]
    gaps = _columns_with_gaps(X, levels, live)
    if with_gap is not None:
        gaps = np.intersect1d(gaps, with_gap)
    if not levels and not len(gaps):
        return None
    numbers, number_inputs, lookups, values, n_inputs = [], [], [], [], 0
    for j in range(X.shape[1]):
        if j in levels:
            codes = X[live, j].astype(np.intp)
            lookup = _lookup(codes, sample_weight, levels[j])
            values.append(_reliance(codes == GAP, sample_weight))
            lookups.append(np.where(lookup < 0, -1, lookup + n_inputs))
            n_inputs += int(lookup.max()) + 1
        else:
            numbers.append(j)
            number_inputs.append(n_inputs)
            n_inputs += 1
    return Layout(
        np.array(numbers, dtype=np.intp),
        np.array(number_inputs, dtype=np.intp),
        gaps,
        n_inputs + np.arange(len(gaps)),
        np.array([_reliance(np.isnan(X[live, j]), sample_weight) for j in gaps]),
        tuple(sorted(levels)),
        tuple(lookups),
        np.array(values),
        n_inputs + len(gaps),
    )


def _reliance(is_gap: NDArray, sample_weight: NDArray | None) -> float:
    """Value of the input that stands for the gaps in a column."""
    if not is_gap.any():
        return 0.0
    gaps = max(len(is_gap), LEAST_ROWS) * float(np.average(is_gap, weights=sample_weight))
    return gaps / (gaps + HALF_RELIED_ON)


def _columns_with_gaps(X: NDArray, levels: Levels, live: Any) -> NDArray:
    """Columns of numbers in which there are gaps in rows with a weight, but not gaps alone."""
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(X.sum(axis=0)))
    missing = {j: np.isnan(X[live, j]) for j in suspects.tolist() if j not in levels}
    return np.array([j for j, gap in missing.items() if gap.any() and not gap.all()], dtype=np.intp)


def _lookup(codes: NDArray, sample_weight: NDArray | None, levels: LevelCodes) -> NDArray:
    """Give the levels of one column inputs, which count from 0; (levels.n + 2,), -1 for none."""
    mass = np.bincount(codes - GAP, sample_weight, minlength=levels.n - GAP)
    is_level = mass > 0
    if levels.known:
        is_level[-GAP:] = True
    is_level[NO_LEVEL - GAP] = False
    chosen = np.flatnonzero(is_level)
    lookup = np.full(len(mass), -1)
    if len(chosen) > MOST_LEVELS:
        lookup[chosen] = MOST_LEVELS - 1
        order = np.argsort(-mass[chosen], kind="stable")
        chosen = np.sort(chosen[order[: MOST_LEVELS - 1]])
    # A gap, whose code is the lowest, comes last.
    chosen = np.concatenate([chosen[chosen > 0], chosen[chosen == 0]])
    lookup[chosen] = np.arange(len(chosen))
    return lookup
