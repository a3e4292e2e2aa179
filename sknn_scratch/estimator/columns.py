"""Columns of a raw table: which are numeric, which are categorical, and where values are missing.

:class:`Columns` turns a table into one array of numbers: gaps (missing values) are NaN, and the
values of a categorical column become the codes of its levels (see ``network/levels.py``).
"""

import math
from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_scratch._compat import InvalidParameterError
from sknn_scratch.estimator.tables import (
    Column,
    Kind,
    columns_of,
    has_kinds,
    is_category,
    is_frame,
    kind_of,
    names_of,
)
from sknn_scratch.network.features import FeatureMap
from sknn_scratch.network.levels import GAP, NO_LEVEL, LevelCodes, Levels

#: Name of the input that infrequent levels share, as in scikit-learn's OneHotEncoder.
INFREQUENT = "infrequent_sklearn"


class Categories(NamedTuple):
    """Levels of a categorical column."""

    kind: Kind
    levels: list[Any]
    """In the order of their codes."""
    known: bool
    """Whether the type of the column lists them, including those that no row has."""


def _categories_of(column: Column) -> Categories:
    if column.kind == "truth values":
        return Categories(column.kind, [False, True], known=True)
    levels = getattr(getattr(column.values, "dtype", None), "categories", None)
    if levels is not None and column.type_name != "categorical":  # polars' are those of all frames
        levels = np.array([*levels, None], dtype=object)[:-1]
        return Categories(kind_of(column, levels), list(levels), known=True)
    objects, missing = column.cells
    return Categories(column.kind, sorted({*objects[~missing]}), known=False)


@dataclass(frozen=True, eq=False)
class Columns:
    """The kind of each column of a table, and how to turn the table into an array of numbers.

    Parameters
    ----------
    n : int
        Number of columns of the table.
    categories : tuple of Categories or None
        Levels of each column; None for a numeric one. A column whose values were all missing has
        none: words in it are ignored, and numbers are numbers.
    """

    n: int
    categories: tuple[Categories | None, ...]

    @classmethod
    def learn(cls, X: Any, chosen: NDArray | None) -> Self:
        """Learn the columns of a table: the chosen ones are categorical, with None those of words.

        Raises
        ------
        TypeError
            If a column holds neither numbers nor words, or both.
        """
        found = [
            _categories_of(column)
            if (is_category(column) if chosen is None else chosen[j])
            else None
            for j, column in enumerate(columns_of(X))
        ]
        return cls(len(found), tuple(found))

    @classmethod
    def of_numbers(cls, X: Any) -> Self:
        """Take all columns of a table as numeric."""
        return cls(X.shape[1], (None,) * X.shape[1])

    @property
    def levels(self) -> Levels:
        """Categorical columns, and their codes."""
        return {
            j: LevelCodes(len(of.levels), of.known)
            for j, of in enumerate(self.categories)
            if of is not None and of.levels
        }

    def __call__(self, X: Any) -> NDArray:
        """Turn a table with these columns into an array of floats, (n, n_features).

        Raises
        ------
        TypeError, ValueError
            If a column is of another kind than in the table that was learnt from.
        """
        X = dense(X)
        parts: list[NDArray] = []
        for column, categories in zip(columns_of(X), self.categories, strict=True):
            if categories is None:
                parts.append(column.numbers())
            elif categories.levels:
                parts.append(_codes(column, categories))
            else:
                is_word = column.kind == "words"
                parts.append(np.full(X.shape[0], math.nan) if is_word else column.numbers())
        levels = self.levels
        numbers = [part for j, part in enumerate(parts) if j not in levels]
        dtype = np.result_type(*numbers) if numbers else np.dtype(np.float64)
        table = np.empty((X.shape[0], self.n), dtype=dtype)
        for j, part in enumerate(parts):
            table[:, j] = part
        return table


def _codes(column: Column, categories: Categories) -> NDArray:
    """Turn the values of a categorical column into codes of its levels, (n,)."""
    if column.kind not in ("nothing", categories.kind):
        raise ValueError(
            f"Column {column.name} of X holds {column.kind}, and was of {categories.kind} in fit. "
            "Give it as it was, or fit again."
        )
    objects, missing = column.cells
    code_of = {level: code for code, level in enumerate(categories.levels)}
    codes = np.full(len(objects), GAP)
    codes[~missing] = [code_of.get(value, NO_LEVEL) for value in objects[~missing]]
    return codes


def input_names(names: NDArray, columns: Columns | None, features: FeatureMap) -> NDArray:
    """Name the inputs of the network, as OneHotEncoder and MissingIndicator would.

    Parameters
    ----------
    names : ndarray of shape (n_features,)
        Names of the columns.
    columns : Columns or None
        Kinds and levels of the columns; None if all are numeric.
    features : FeatureMap
        The map from columns to inputs.

    Returns
    -------
    names : ndarray of shape (n_inputs,)
    """
    encoding, layout = features.encoding, features.layout
    source = np.arange(len(names)) if encoding is None else encoding.columns
    bins = [0] * len(names) if encoding is None else encoding.bins
    names = names[source]
    encoded = [f"{name}_bin{k}" if k else name for name, k in zip(names, bins, strict=True)]
    if layout is None:
        return np.array(encoded, dtype=object)
    found = np.empty(layout.n_inputs, dtype=object)
    found[layout.number_inputs] = np.array(encoded, dtype=object)[layout.numbers]
    found[layout.gap_inputs] = [f"missingindicator_{name}" for name in names[layout.gaps]]
    for j, lookup in zip(layout.categories, layout.lookups, strict=True):
        categories = None if columns is None else columns.categories[source[j]]
        levels = ["nan", "", *(categories.levels if categories else [])]  # by code + 2
        shared = Counter(lookup.tolist())
        for i, level in zip(lookup.tolist(), levels, strict=True):
            if i >= 0:
                found[i] = f"{names[j]}_{level if shared[i] == 1 else INFREQUENT}"
    return found


def learn_columns(X: Any, categorical_features: Any) -> Columns | None:
    """Learn the kinds and levels of the columns of X; None if all are numeric.

    Parameters
    ----------
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        A table.
    categorical_features : "from_dtype", None, or array-like of bool, int or str
        Which columns are categorical.

    Raises
    ------
    TypeError, ValueError
        If a column holds neither numbers nor words, if names are not unique, or if
        categorical_features does not fit X.
    """
    _check_unique(names_of(X))
    if categorical_features is None:
        return None
    if isinstance(categorical_features, str):
        learnt = Columns.learn(X, None) if has_kinds(X) else None
        is_plain = learnt is None or all(of is None for of in learnt.categories)
        return None if is_plain else learnt
    try:
        is_table = len(np.shape(X)) == 2
    except ValueError:  # its rows differ in length
        is_table = False
    if not is_table:
        return None  # validation raises the error
    chosen = _chosen(X, categorical_features)
    return Columns.learn(dense(X), chosen) if chosen.any() else None


def _check_unique(names: list[Any]) -> None:
    for name, times in Counter(map(repr, names)).most_common(1):
        if times == 1:
            return
        raise ValueError(
            f"X has {times} columns of the name {name}. Give each a name of its own, or drop all "
            "but one."
        )


def dense(X: Any) -> Any:
    """Return X as a data frame or a dense array.

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If its rows differ in length.
    """
    if issparse(X):
        raise TypeError(
            "X is sparse, but has columns of categories. Make it dense, with X.toarray()."
        )
    try:
        return X if is_frame(X) else np.asarray(X)
    except ValueError as error:
        raise ValueError(
            f"X has rows of different lengths, or cells of several values: {error} Give each row "
            "one value a column."
        ) from error


def _chosen(X: Any, categorical_features: Any) -> NDArray:
    """Return a mask of the chosen columns, (n_features,), given a mask, indices or names."""
    n = np.shape(X)[1]
    given = np.asarray(categorical_features)
    if given.size == 0:
        return np.zeros(n, dtype=bool)
    allowed = f"a mask of {n} booleans, numbers from 0 to {n - 1}, or names of columns"
    if given.ndim != 1 or given.dtype.kind not in "biuUO":
        raise InvalidParameterError(
            f"categorical_features must be 'from_dtype', None, {allowed}; got "
            f"{categorical_features!r}."
        )
    chosen = np.zeros(n, dtype=bool)
    if given.dtype.kind == "b":
        if len(given) != n:
            raise ValueError(
                f"categorical_features is a mask of {len(given)} columns, but X has {n}."
            )
        return given
    names = [str(name) for name in names_of(X)]
    for item in given.tolist():
        if isinstance(item, int):
            if not 0 <= item < n:
                raise ValueError(f"categorical_features names column {item}; X has {n} columns.")
            chosen[item] = True
        elif item in names:
            chosen[[name == item for name in names]] = True
        else:
            raise ValueError(
                f"categorical_features names column {item!r}, which X lacks. "
                + (f"It has {names}." if names else "X has no names of columns: give numbers.")
            )
    return chosen


#: No categorical columns.
NO_LEVELS: Levels = MappingProxyType({})


def levels_of(columns: Columns | None) -> Levels:
    """Return the categorical columns and their codes."""
    return NO_LEVELS if columns is None else columns.levels


def check_gaps(X: Any, *, allowed: bool) -> None:
    """Refuse gaps in a validated X if they are not allowed, or if X is sparse.

    Raises
    ------
    ValueError
        If there are any; it names the first column with one.
    """
    if allowed and not issparse(X):
        return
    values = X.data if issparse(X) else X
    if not values.size or not np.isnan(values.min()):  # without a mask as large as X
        return
    gaps = np.isnan(values)
    column = X.indices[gaps][0] if issparse(X) else np.flatnonzero(gaps.any(axis=0))[0]
    raise ValueError(
        f"Input X contains NaN, in column {column}. Gaps are allowed if X is dense and "
        f"scale_features=True; here {'X is sparse' if issparse(X) else 'features are not scaled'}."
        " Fill them in first, for instance with sklearn.impute.SimpleImputer."
    )
