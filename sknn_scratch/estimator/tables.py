"""Raw tables and their columns: data frames, arrays of objects, and the kinds of their cells."""

import math
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from numbers import Number, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

#: What the values of a column are; "nothing" if all are missing.
Kind = Literal["numbers", "words", "truth values", "nothing"]

#: How pandas, polars and pyarrow begin the names of numeric types; sparse ones are filled with 0.
NUMBER_TYPES = re.compile(r"u?int\d|float|double|halffloat|sparse\[(u?int|float)\d+, 0(\.0)?\]")

#: How they begin the names of categorical types, and of dates, times and time spans.
CATEGORY_TYPES = ("category", "categorical", "enum", "dictionary")
TIME_TYPES = ("date", "time", "duration", "period", "month_day_nano")

#: What NumPy would make an array of that has no rows; a mapping with a shape is SciPy's DOK array.
OTHER_THAN_TABLES = (str, bytes, os.PathLike, Mapping, Set, Iterator, Number)

DATES = "Make numbers of it, such as the year, the weekday or the days since a fixed date."
OTHERS = "Make numbers or words of it, or leave the column out."


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table, whose cells are looked at once."""

    name: str
    """Name or index, as in messages."""
    values: Any
    """A series of pandas or polars, an array of pyarrow, or an ndarray."""

    @property
    def type_name(self) -> str:
        """Name of its type, in lower case."""
        return str(getattr(self.values, "dtype", getattr(self.values, "type", None))).lower()

    def array(self) -> NDArray:
        """Return its values as an array, with None, NaN or pandas' NA in gaps.

        Raises
        ------
        TypeError
            If they are dates, times or spans of time, which could become numbers in a unit that
            nobody has chosen.
        """
        values, name = self.values, self.type_name
        if name.startswith(TIME_TYPES):
            raise TypeError(
                f"Column {self.name} of X holds values of type {name}; the argument must be a "
                f"string or a number in each cell. {DATES}"
            )
        if isinstance(values, np.ndarray):
            return values
        if hasattr(values, "to_pylist"):  # pyarrow's
            if name.startswith("dictionary"):  # which may be empty
                return as_objects(values.to_pylist())
            return np.asarray(values)
        if name in ("int128", "uint128"):  # polars'
            return as_objects(values.to_list())
        return np.asarray(values.to_numpy())

    @cached_property
    def cells(self) -> tuple[NDArray, NDArray]:
        """Its values as Python objects, (n,), and a mask of those that are missing."""
        array = self.array()
        if array.dtype.kind == "f" and re.match(r"u?int\d", self.type_name):
            # As floats, which gaps make of them, large whole numbers would be the same.
            listed = "to_pylist" if hasattr(self.values, "to_pylist") else "to_list"
            array = as_objects(getattr(self.values, listed)())
        objects = np.empty(len(array), dtype=object)
        # As a list, an array of dates could be one of whole numbers.
        objects[:] = list(array) if array.dtype.kind in "OMm" else array.tolist()
        if {*map(type, objects)} <= {str, bool, int}:
            return objects, np.zeros(len(objects), dtype=bool)
        return objects, np.fromiter(map(is_gap, objects), bool, len(objects))

    @cached_property
    def kind(self) -> Kind:
        """What its values are, but for those that are missing.

        Raises
        ------
        TypeError
            If they are neither numbers, words nor truth values, or of several kinds.
        """
        objects, missing = self.cells
        return kind_of(self, objects[~missing])

    def numbers(self) -> NDArray:
        """Return its numbers, float32 or float64, with NaN in gaps.

        Raises
        ------
        ValueError
            If it holds words.
        TypeError
            If it holds anything else that is no number.
        """
        array = self.array()
        if array.ndim == 1 and array.dtype.kind in "biuf":
            return array if array.dtype == np.float32 else array.astype(np.float64)
        objects, missing = self.cells
        kind = self.kind
        try:
            return np.where(missing, math.nan, objects).astype(np.float64)
        except OverflowError:
            raise ValueError(
                f"Column {self.name} of X holds a number that is too large for dtype('float64')."
            ) from None
        except ValueError:
            if kind != "words":
                raise
            word = next(value for value in objects[~missing] if not _is_number(value))
            raise ValueError(
                f"Column {self.name} of X is one of numbers, but holds the word {word!r}. Make a "
                "number of it, or leave the cell empty (NaN); or fit with the column among "
                "categorical_features."
            ) from None


def _is_number(word: str) -> bool:
    """Tell whether a word spells a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def is_frame(X: Any) -> bool:
    """Tell whether X is a data frame of pandas, polars or pyarrow, whose columns have types."""
    named = ("iloc", "get_columns", "column_names")
    return len(getattr(X, "shape", ())) == 2 and any(hasattr(X, name) for name in named)


def names_of(X: Any) -> list[Any]:
    """Return the names of the columns of a frame; of an array, none."""
    if not is_frame(X):
        return []
    # A frame of pyarrow has columns, too, which are no names.
    named = hasattr(X, "iloc") or hasattr(X, "get_columns")
    return list(X.columns if named else X.column_names)


def columns_of(X: Any) -> Iterator[Column]:
    """Split a data frame, or an array of objects, into columns."""
    if hasattr(X, "iloc"):
        return (Column(repr(name), X.iloc[:, j]) for j, name in enumerate(X.columns))
    if hasattr(X, "get_columns"):
        return (Column(repr(series.name), series) for series in X.get_columns())
    if hasattr(X, "column_names"):
        return (Column(repr(name), X.column(j)) for j, name in enumerate(X.column_names))
    return (Column(str(j), X[:, j]) for j in range(X.shape[1]))


def as_table(X: Any) -> Any:
    """Return X; turn lists that hold words or gaps into an array of objects.

    Raises
    ------
    TypeError
        If X is something else than a table.
    ValueError
        If X has less than two dimensions, or is a data frame without columns.
    """
    _check_is_table(X)
    X = unmasked(X)
    if hasattr(X, "collect_schema") and not hasattr(X, "shape"):
        raise TypeError(f"X is a {type(X).__name__}, which has no rows yet. Give X.collect().")
    if hasattr(X, "num_columns") and not hasattr(X, "shape"):  # a record batch of older pyarrow
        return sys.modules["pyarrow"].Table.from_batches([X])
    array = X
    if isinstance(X, list | tuple):
        try:
            array = np.asarray(X)
        except ValueError:  # ragged: validation raises the error
            return X
    shape = getattr(array, "shape", (0, 0))
    if len(shape) < 2:
        raise ValueError(
            f"Expected 2D array, got {len(shape)}D array instead: X is a {type(X).__name__} of "
            f"shape {shape}. Reshape your data: array.reshape(1, -1) makes one row, "
            "array.reshape(-1, 1) one column; of a data frame, take frame.iloc[[i]] or "
            "frame[[name]]."
        )
    if is_frame(X) and shape[1] == 0:
        raise ValueError(
            f"Found array with 0 feature(s): X is a data frame of shape {shape}. It needs at "
            "least one column."
        )
    is_raw = array is not X and array.dtype.kind in "OU"
    return np.array(X, dtype=object) if is_raw and array.ndim == 2 else X


def _check_is_table(X: Any) -> None:
    is_list = isinstance(X, list | tuple) and len(X) > 0
    if is_list and isinstance(X[0], Mapping | Set):
        what = f"a list of {type(X[0]).__name__}"
    elif X is None or (isinstance(X, OTHER_THAN_TABLES) and not hasattr(X, "shape")):
        what = f"of type {type(X).__name__}"
    else:
        return
    raise TypeError(
        f"X is {what}, which is no table. Give a data frame, an array of shape "
        "(n_samples, n_features), or a list of rows, each a list of values."
    )


def check_all_there(y: Any) -> None:
    """Refuse gaps in targets that are objects or dates; among floats, validation finds NaN.

    In a list, NumPy would make a word of a gap, and so a class.

    Raises
    ------
    ValueError
        If a value is missing.
    """
    if isinstance(y, list | tuple):
        values = np.array(y, dtype=object)
    elif issparse(y):
        return
    else:
        values = np.asarray(y)
    if values.size == 0 or values.ndim == 0 or values.dtype.kind not in "OMm":
        return
    if values.dtype.kind == "O":
        missing = np.fromiter(map(is_gap, values.flat), bool, values.size).reshape(values.shape)
    else:
        missing = np.isnat(values)
    rows = np.flatnonzero(missing.reshape(len(values), -1).any(axis=1))
    if len(rows) > 0:
        raise ValueError(
            f"Input y contains NaN: a value is missing in {len(rows)} of {len(values)} rows, first "
            f"in row {rows[0]} (from 0). Leave these rows out, of X too."
        )


def unmasked(array: Any) -> Any:
    """Return an array without a mask: what was masked is NaN, or among other things None."""
    if not isinstance(array, np.ma.MaskedArray):
        return array
    gap: Any = math.nan if array.dtype.kind in "biuf" else None
    mask = np.ma.getmaskarray(array)
    return np.where(mask, gap, array.data) if mask.any() else array.data


def has_objects(X: Any) -> bool:
    """Tell whether X is an array whose cells may be numbers, words, gaps or dates."""
    return isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUTMm"


def has_kinds(X: Any) -> bool:
    """Tell whether columns of X may be other than numeric, so that each has to be looked at."""
    if not is_frame(X):
        return has_objects(X)
    named = hasattr(X, "iloc") or hasattr(X, "get_columns")
    types = X.dtypes if named else X.schema.types
    return not all(NUMBER_TYPES.match(str(type_).lower()) for type_ in types)


def is_gap(value: Any) -> bool:
    """Tell whether a value is missing: None, NaN, NaT or pandas' NA."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def kind_of(column: Column, values: NDArray) -> Kind:
    """Tell what kind the values of a column are, given those that are not missing.

    Raises
    ------
    TypeError
        If they are neither numbers, words nor truth values, or of several kinds.
    """
    kinds: set[Kind] = set()
    for type_ in {*map(type, values)}:
        if issubclass(type_, str):
            kinds.add("words")
        elif issubclass(type_, bool | np.bool_):
            kinds.add("truth values")
        elif issubclass(type_, Real | Decimal):
            kinds.add("numbers")
        else:
            example = next(value for value in values if type(value) is type_)
            is_date = any(word in type_.__name__.lower() for word in ("date", "time", "period"))
            raise TypeError(
                f"Column {column.name} of X holds {example!r}, of type {type_.__name__}; the "
                "argument must be a string or a number in each cell. "
                f"{DATES if is_date else OTHERS}"
            )
    if len(kinds) > 1:
        raise TypeError(
            f"Column {column.name} of X mixes {' and '.join(sorted(kinds))}. A column is of one "
            "kind: make strings of all, for instance with astype(str), or numbers of all."
        )
    return next(iter(kinds), "nothing")


def as_objects(values: Sequence[Any]) -> NDArray:
    """Make an array of objects, (n,), also of such as are sequences."""
    objects = np.empty(len(values), dtype=object)
    objects[:] = values
    return objects


def is_category(column: Column) -> bool:
    """Tell whether a column is categorical, by its type, or else by its values."""
    name = column.type_name
    if name.startswith(CATEGORY_TYPES):
        return True
    if NUMBER_TYPES.match(name):
        return False
    return column.kind != "numbers"
