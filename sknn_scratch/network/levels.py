"""Which inputs of the network each column of a table has.

A numeric column has one, and one more at the end if it has gaps (missing values). A categorical
column has one input per level, which is 0 where the row does not have that level (one-hot
encoding). In X, a categorical column holds codes: levels count from 0, and there is one code for a
gap and one for an unknown level.

A gap among categories is a level of its own, if there was one when the layout was learnt. An
unknown level is 0 in all inputs of its column. In a column with many levels, the most frequent have
inputs of their own, and all others share one.

Where a row has the level or the gap, the input is :math:`n f / (n f + c)`, where f is its frequency
in the column and n the number of rows, at least 250; c is 5 for a level and 20 for a gap. So the
network relies little on what is rare: an input that is 1 in two rows would let it learn these by
heart. If inputs are not to be scaled, and in a stream, whose first rows tell little of how rare a
level is, that of a level is 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Codes of an unknown level, and of a gap.
NO_LEVEL, GAP = -1, -2

#: Maximum number of inputs of a categorical column, including that of a gap.
MOST_LEVELS = 40


class LevelCodes(NamedTuple):
    """Levels of a categorical column."""

    n: int
    """Number of levels, which have the codes 0 to n - 1."""
    known: bool
    """Whether the type of the column lists them, so that each counts, even if no row has it."""


#: Number of rows with a level, or a gap, at which its input is one half.
HALF_LEVEL, HALF_GAP = 5, 20

#: Least number of rows of a table that counts for this.
LEAST_ROWS = 250

#: Categorical columns, by their indices.
Levels = Mapping[int, LevelCodes]


@dataclass(frozen=True, eq=False)
class Layout:
    """The inputs of the network, by the column they come from.

    Parameters
    ----------
    numbers, number_inputs : ndarray of shape (n_numbers,)
        Numeric columns, and the input of each.
    gaps, gap_inputs, gap_values : ndarray of shape (n_gaps,)
        Numeric columns with gaps, the input that indicates a gap, and its value there.
    categories : tuple of int
        Categorical columns.
    lookups : tuple of ndarray
        For each categorical column, the input of each code, at index code + 2; -1 for none. Levels
        that share an input are infrequent.
    values : tuple of ndarray
        For each categorical column, the value of the input of each code, at index code + 2.
    n_inputs : int
        Total number of inputs.
    """

    numbers: NDArray
    number_inputs: NDArray
    gaps: NDArray
    gap_inputs: NDArray
    gap_values: NDArray
    categories: tuple[int, ...]
    lookups: tuple[NDArray, ...]
    values: tuple[NDArray, ...]
    n_inputs: int

    def __call__(self, X: NDArray, scaled: NDArray) -> NDArray:
        """Lay out the inputs, (n, n_inputs), given X and its scaled numbers, (n, n_features)."""
        x = np.zeros((len(X), self.n_inputs), dtype=scaled.dtype)
        x[:, self.number_inputs] = scaled[:, self.numbers]
        x[:, self.gap_inputs] = np.isnan(X[:, self.gaps]) * self.gap_values
        for column, lookup, value in zip(self.categories, self.lookups, self.values, strict=True):
            places = X[:, column].astype(np.intp) - GAP
            inputs = lookup[places]
            rows = np.flatnonzero(inputs >= 0)
            x[rows, inputs[rows]] = value[places[rows]]
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
    scaled: bool = True,
) -> Layout | None:
    """Learn from the rows of X, (n, n_features), which inputs its columns have.

    Only the columns in ``with_gap`` can have an input for their gaps; with None all can. If inputs
    are not scaled, that of a level is 1 in all rows that have it. The result is None if each column
    has one input, in their order.
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
            mass = np.bincount(codes - GAP, sample_weight, minlength=levels[j].n - GAP)
            lookup = _lookup(mass, levels[j])
            value = _level_values(mass, lookup, len(codes))
            if not scaled:
                value[1:] = 1
            values.append(value)
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
        np.array([_gap_value(np.isnan(X[live, j]), sample_weight) for j in gaps]),
        tuple(sorted(levels)),
        tuple(lookups),
        tuple(values),
        n_inputs + len(gaps),
    )


def _gap_value(is_gap: NDArray, sample_weight: NDArray | None) -> float:
    """Compute the value of the input that indicates the gaps of a numeric column."""
    mass = np.bincount(is_gap, sample_weight, minlength=2)
    return float(_reliance(mass / mass.sum(), len(is_gap), HALF_GAP)[1])


def _level_values(mass: NDArray, lookup: NDArray, n: int) -> NDArray:
    """Compute the value of the input of each code of a column, given the weights of the codes.

    A level that no row has counts as if one had it: rows of a later fit may.
    """
    has_input = lookup >= 0
    half = np.full(len(mass), HALF_LEVEL)
    half[0] = HALF_GAP
    together = np.bincount(lookup[has_input], mass[has_input])  # of levels that share an input
    frequency = np.zeros(len(mass))
    frequency[has_input] = np.maximum(together[lookup[has_input]] / mass.sum(), 1 / n)
    return _reliance(frequency, n, half)


def _reliance(frequency: NDArray, n: int, half: ArrayLike) -> NDArray:
    """Compute the values of inputs from the frequencies, among n rows, of what they stand for."""
    count = max(n, LEAST_ROWS) * frequency
    return count / (count + half)


def _columns_with_gaps(X: NDArray, levels: Levels, live: Any) -> NDArray:
    """Find numeric columns with both gaps and numbers in rows of nonzero weight."""
    with np.errstate(over="ignore", invalid="ignore"):
        suspects = np.flatnonzero(~np.isfinite(X.sum(axis=0)))
    missing = {j: np.isnan(X[live, j]) for j in suspects.tolist() if j not in levels}
    return np.array([j for j, gap in missing.items() if gap.any() and not gap.all()], dtype=np.intp)


def _lookup(mass: NDArray, levels: LevelCodes) -> NDArray:
    """Assign inputs, counting from 0, to the codes of one column: (levels.n + 2,), -1 for none."""
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
