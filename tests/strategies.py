"""What hypothesis draws from: any valid parameters, tables, targets and weights of rows."""

import datetime
import math
import tempfile
from decimal import Decimal
from fractions import Fraction
from numbers import Integral

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from hypothesis import strategies as st
from sklearn.metrics import get_scorer_names

from sknn_scratch._compat import Interval, Options, StrOptions

# ---------------------------------------------------------------- parameters

#: Largest values, to keep fits short. Other whole numbers have no bound.
CAPS = {"max_fun": 20, "n_networks": 3}


def constant_score(estimator, X, y):
    return 1


def no_score(estimator, X, y, sample_weight=None):
    return math.nan


WEIGHTS = st.sampled_from([0, 1, 1, 2.5, 1e-300, 1e300, np.float32(3), Fraction(1, 3), -1, "a"])
DICTS = st.dictionaries(st.sampled_from([0, 1, 2, "a", "b", True]), WEIGHTS, max_size=3)

#: Values of parameters whose constraints do not tell what is in them.
SPECIAL = {
    "max_iter": st.integers(1, 4),  # "auto" can take seconds
    "hidden_layer_sizes": st.one_of(
        st.integers(1, 6),
        st.lists(st.integers(1, 5), max_size=3).flatmap(
            lambda sizes: st.sampled_from(
                [sizes, tuple(sizes), np.array(sizes, dtype=np.int16), pd.Series(sizes, dtype=int)]
            )
        ),
        st.sampled_from([np.int64(3), np.array(4), range(2, 4), ()]),
    ),
    "categorical_features": st.one_of(
        st.sampled_from(["from_dtype", None]),
        st.sampled_from(["from_dtype", None, [], ["a"], ["a", "c"], np.array([], dtype=object)]),
        st.lists(st.integers(-1, 4), max_size=2),
        st.lists(st.booleans(), min_size=1, max_size=4),
        st.lists(st.booleans(), min_size=1, max_size=4).map(np.array),
    ),
    "scoring": st.sampled_from(
        [None, "loss", *sorted(get_scorer_names()), constant_score, no_score]
    ),
    "class_weight": st.one_of(
        st.sampled_from([None, "balanced"]), DICTS, st.lists(DICTS, min_size=1, max_size=3)
    ),
    "random_state": st.one_of(
        st.none(), st.integers(0, 2**32 - 1), st.integers(0, 9).map(np.random.RandomState)
    ),
}


def _of_interval(name, interval):
    low, high = interval.left, interval.right
    if interval.type is Integral:
        cap = CAPS.get(name)
        return st.integers(low, cap) if cap else st.one_of(st.integers(low, 20), st.integers(low))
    floats = st.floats(
        low,
        high,
        allow_nan=False,
        allow_infinity=False,
        exclude_min=low is not None and interval.closed in ("right", "neither"),
        exclude_max=high is not None and interval.closed in ("left", "neither"),
    )
    usual = [value for value in (1e-12, 1e-3, 0.1, 0.9, 10.0, 1e6) if value in interval]
    others = [np.float32(0.1), np.float16(0.5), 0, 1, np.int8(1)]
    return st.one_of(
        st.sampled_from([*usual, *(value for value in others if value in interval)]), floats
    )


def _of_constraint(name, constraint):
    if constraint is None:
        return st.none()
    if isinstance(constraint, StrOptions | Options):
        return st.sampled_from(sorted(constraint.options, key=str))
    if isinstance(constraint, Interval):
        return _of_interval(name, constraint)
    words = {
        "boolean": st.sampled_from([True, False, np.True_, np.False_]),
        "verbose": st.sampled_from([False, True, 0, 2]),
    }
    return words[constraint]


def values_of(estimator, name):
    """Draw a valid value of a parameter of an estimator, a class."""
    if name in SPECIAL:
        return SPECIAL[name]
    constraints = estimator._parameter_constraints[name]
    return st.one_of([_of_constraint(name, constraint) for constraint in constraints])


def parameters(estimator):
    """Draw valid parameters of an estimator, a class: a few of them, or many."""
    names = sorted(estimator._parameter_constraints)
    chosen = st.one_of(
        st.lists(st.sampled_from(names), max_size=4, unique=True),
        st.lists(st.sampled_from(names), max_size=len(names), unique=True),
    )
    start = {"hidden_layer_sizes": st.just((3,)), "max_iter": SPECIAL["max_iter"]}
    if "n_networks" in names:
        start["n_networks"] = st.just(2)
    return chosen.flatmap(
        lambda chosen: st.fixed_dictionaries(
            start | {name: values_of(estimator, name) for name in chosen}
        )
    )


# ---------------------------------------------------------------- columns

FLOATS = {
    "eighths": st.integers(-64, 64).map(lambda number: number / 8),
    "zeros and ones": st.sampled_from([0.0, 1.0]),
    "any": st.floats(allow_nan=False, allow_infinity=False),
    "gaps": st.one_of(st.just(math.nan), st.floats(-9, 9)),
    "not finite": st.sampled_from([0.0, 1.0, math.inf, -math.inf]),
    "tiny": st.sampled_from([0.0, 5e-324, -5e-324, 1e-300, 2e-300, 1e-310, -1e-300]),
    "huge": st.sampled_from([1e300, -1e300, 1.7e308, -1.7e308, 1.0]),
    "steps far out": st.integers(0, 9).map(lambda step: 1e15 + step),
    "constant": st.just(3.0),
}


@st.composite
def numbers(draw, n, kinds=tuple(FLOATS)):
    """Draw a column of n numbers, float64."""
    finite = [kind for kind in kinds if kind != "not finite"]
    kind = draw(st.sampled_from([*finite * 4, *kinds]))
    return np.array(draw(st.lists(FLOATS[kind], min_size=n, max_size=n)), dtype=np.float64)


class Subclass(np.ndarray):
    """An ndarray of another class."""


def memory_map(array):
    """Return the array as a map of a file, read-only."""
    with tempfile.NamedTemporaryFile() as file:
        array.tofile(file.name)
        return np.memmap(file.name, dtype=array.dtype, mode="r", shape=array.shape)


def strided(array):
    """Return the array as every other row and column of another, from behind."""
    n, d = array.shape
    other = np.full((2 * n, 2 * d), 7, dtype=array.dtype)
    other[::2, ::2] = array[::-1, ::-1]
    return other[::2, ::2][::-1, ::-1]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


#: How the same numbers, float64, can come: in any order, layout, container.
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "strided": strided,
    "read-only": read_only,
    "memory map": memory_map,
    "big-endian": lambda A: A.astype(">f8"),
    "subclass": lambda A: A.view(Subclass),
    "masked": lambda A: np.ma.masked_array(np.where(np.isnan(A), 99, A), mask=np.isnan(A)),
    "objects": lambda A: A.astype(object),
    "objects with None": lambda A: np.where(np.isnan(A), None, A.astype(object)),
    "fractions": lambda A: np.vectorize(
        lambda x: Fraction(x) if math.isfinite(x) else x, otypes=[object]
    )(A),
    "decimals": lambda A: np.vectorize(Decimal, otypes=[object])(A),
    "lists": lambda A: A.tolist(),
    "lists of NumPy's numbers": lambda A: [list(row) for row in A],
    "pandas": pd.DataFrame,
    "pandas, objects": lambda A: pd.DataFrame(A).astype(object),
    "pandas, nullable": lambda A: pd.DataFrame(A).astype("Float64"),
    "pandas, Arrow": lambda A: pd.DataFrame(A).astype(pd.ArrowDtype(pa.float64())),
    "pandas, sparse": lambda A: pd.DataFrame(A).astype(pd.SparseDtype("float64", 0.0)),
    "polars": lambda A: pl.DataFrame(A.copy()),
    "pyarrow": lambda A: pa.table({f"c{j}": column for j, column in enumerate(A.T)}),
}

SPARSE = {
    f"sparse, {make.__name__}": make
    for make in (
        sp.csr_matrix,
        sp.csr_array,
        sp.csc_array,
        sp.coo_matrix,
        sp.lil_array,
        sp.dok_matrix,
    )
}

TYPES = [
    *("float16", "float32", ">f4", "longdouble", "complex64"),
    *("bool", "int8", "uint8", "<i2", ">i4", "int64", "uint64"),
]


@st.composite
def arrays(draw, n=None):
    """Draw a numeric table in any type, layout and container, without names of columns."""
    n = draw(st.integers(1, 12)) if n is None else n
    A = np.column_stack([draw(numbers(n)) for _ in range(draw(st.integers(1, 4)))])
    how = draw(st.sampled_from([*[*LAYOUTS, *SPARSE, "type", "type"] * 2, "empty"]))
    if how == "empty":
        return np.empty(draw(st.sampled_from([(0, 2), (n, 0), (n,), (n, 1, 1), ()])))
    if how == "type":
        with np.errstate(all="ignore"):
            return A.astype(draw(st.sampled_from(TYPES)))
    return (LAYOUTS | SPARSE)[how](A)


# ---------------------------------------------------------------- frames

DAYS = st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1))
CELLS = {
    "numbers": st.floats(-1e6, 1e6, width=32),
    "any number": st.floats(),
    "whole": st.integers(-100, 100),
    "large": st.integers(-(2**62), 2**62),
    "beyond 64 bits": st.integers(-(2**70), 2**70),
    "small": st.integers(0, 100),
    "truth": st.booleans(),
    "words": st.sampled_from(["", "a", "b", "ü", "nan", "None", "1", "\0", "a" * 300]),
    "any word": st.text(max_size=3),
    "days": DAYS,
    "times": st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2030, 1, 1)),
    "spans": st.timedeltas(datetime.timedelta(0), datetime.timedelta(99)),
    "decimals": st.decimals(-99, 99, places=2),
    "bytes": st.binary(max_size=2),
    "mixed": st.one_of(st.integers(0, 9), st.text(max_size=2)),
    "numbers and truth": st.one_of(st.integers(0, 9), st.booleans()),
    "lists": st.lists(st.integers(0, 3), max_size=2),
    "complex": st.complex_numbers(max_magnitude=9),
    "nothing": st.none(),
}

NUMBERS = ["float64", "float32", "Float64", "Float32", "double[pyarrow]", "float[pyarrow]"]
WHOLE = ["int64", "int16", "Int64", "Int8", "int32[pyarrow]", "Sparse[int]", "category"]
#: Types of pandas, by the kind of the cells; None and object go with each.
PANDAS = {
    "numbers": [*NUMBERS, "category", "Sparse[float]"],
    "any number": NUMBERS,
    "whole": WHOLE,
    "small": [*WHOLE, "uint8", "UInt16", "uint32[pyarrow]"],
    "large": ["int64", "Int64", "int64[pyarrow]", "category"],
    "truth": ["bool", "boolean", "bool[pyarrow]", "category"],
    "words": ["string", "string[pyarrow]", "category", "dictionary"],
    "any word": ["string", "string[pyarrow]", "category"],
    "times": ["datetime64[ns]", "datetime64[ns, UTC]", "timestamp[us][pyarrow]", "category"],
    "days": ["date32[pyarrow]", "period[D]"],
    "spans": ["timedelta64[ns]", "duration[us][pyarrow]"],
    "decimals": ["decimal128(12, 2)[pyarrow]"],
}
POLARS = {
    "numbers": [pl.Float64, pl.Float32],
    "any number": [pl.Float64],
    "whole": [pl.Int8, pl.Int64, pl.Float32],
    "small": [pl.UInt8, pl.UInt64],
    "large": [pl.Int64],
    "truth": [pl.Boolean],
    "words": [pl.String, pl.Categorical, pl.Enum(["", "a", "b", "ü", "nan", "None", "1"])],
    "times": [pl.Datetime("us"), pl.Datetime("ms")],
    "days": [pl.Date],
    "spans": [pl.Duration("us")],
    "decimals": [pl.Decimal(12, 2)],
    "lists": [pl.List(pl.Int64)],
    "nothing": [pl.Null, pl.Float64, pl.String, pl.Boolean],
}
PYARROW = {
    "numbers": [pa.float64(), pa.float32()],
    "any number": [pa.float64()],
    "whole": [pa.int8(), pa.int64()],
    "small": [pa.uint8(), pa.uint64()],
    "large": [pa.int64()],
    "truth": [pa.bool_()],
    "words": [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())],
    "times": [pa.timestamp("us"), pa.timestamp("ns", "UTC")],
    "days": [pa.date32(), pa.date64()],
    "spans": [pa.duration("us")],
    "decimals": [pa.decimal128(12, 2)],
    "lists": [pa.list_(pa.int64())],
    "nothing": [pa.null(), pa.float64(), pa.string(), pa.bool_()],
}
#: Why a library cannot make a column of these cells.
CANNOT = (
    TypeError,
    ValueError,
    OverflowError,
    NotImplementedError,
    pa.ArrowException,
    pl.exceptions.PolarsError,
)


@np.errstate(all="ignore")
def _series(cells, dtype):
    if dtype == "dictionary":
        return pd.Series(pd.array(cells, pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))))
    if isinstance(dtype, str) and dtype.endswith("[pyarrow]") and dtype.startswith("decimal"):
        return pd.Series(cells, dtype=pd.ArrowDtype(pa.decimal128(12, 2)))
    return pd.Series(cells, dtype=dtype)


NAMES = st.sampled_from(["a", "b", "c", "d", "", "a b", "ü", 0, 1, ("a", 1), None, 2.5])


@st.composite
def frames(draw, n=None):
    """Draw a frame of any library with columns of any kinds, or an array of objects."""
    n = draw(st.integers(1, 12)) if n is None else n
    library = draw(st.sampled_from(["pandas", "pandas", "polars", "pyarrow", "objects", "lists"]))
    types = {"pandas": PANDAS, "polars": POLARS, "pyarrow": PYARROW}.get(library, {})
    usual = ["numbers", "whole", "truth", "words", "any word"]
    columns = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([*usual, *usual, *usual, *CELLS]))
        gaps = draw(st.sampled_from([False, False, True]))
        cells = st.one_of(CELLS[kind], st.none()) if gaps else CELLS[kind]
        cells = draw(st.lists(cells, min_size=n, max_size=n))
        dtype = draw(st.sampled_from([None, object, *types.get(kind, []) * 2]))
        columns.append((cells, dtype))
    some = NAMES if library == "pandas" else st.text(max_size=3)
    names = [*"abcd"][: len(columns)]
    if draw(st.integers(0, 4)) == 0:
        names = [draw(some) for _ in columns]
    try:
        if library == "pandas":
            index = draw(st.sampled_from([None, range(5, 5 + n), [0] * n]))
            parts = [_series(*column).reset_index(drop=True) for column in columns]
            frame = pd.concat(parts, axis=1)
            frame.columns = pd.Index(names, tupleize_cols=False)
            return frame if index is None else frame.set_axis(index, axis=0)
        if library == "polars":
            return pl.DataFrame(
                [
                    pl.Series(name, cells, dtype=pl.Object if dtype is object else dtype)
                    for name, (cells, dtype) in zip(names, columns, strict=True)
                ]
            )
        if library == "pyarrow":
            made = [pa.array(cells, None if dtype is object else dtype) for cells, dtype in columns]
            return pa.table(made, names=names)
    except CANNOT:
        pass
    table = np.empty((n, len(columns)), dtype=object)
    for j, (cells, _) in enumerate(columns):
        table[:, j] = np.fromiter(cells, dtype=object, count=n)
    return table.tolist() if library == "lists" else table


def tables(n=None):
    """Draw a table: an array or a frame."""
    return st.one_of(arrays(n), frames(n))


def n_rows(table):
    """Count the rows of any table; 0 if it has none."""
    shape = np.shape(table) if isinstance(table, list) and not table else None
    shape = getattr(table, "shape", shape)
    if shape is None:
        return len(table)
    return shape[0] if len(shape) else 0


# ---------------------------------------------------------------- targets

#: Labels of up to four classes, in any type.
LABELS = [
    np.arange(4),
    np.arange(4) - 1,
    np.arange(4, dtype=np.uint8),
    np.arange(4) * 2**60,
    np.arange(4, dtype=float),
    np.array([0.0, 1.0, 2.0, 3.0], dtype=np.float32),
    np.array(["a", "b", "ü", ""]),
    np.array(["a", "b", "c", "d"], dtype=object),
    np.array([False, True]),
    np.array([0, 1, 2, 3], dtype=object),
    np.array([0.5, 1.5, 2.5, 3.0]),  # no classes
    np.array(["a", 1, "b", 2], dtype=object),  # of two types
    np.array([0, math.nan]),
    np.array([b"a", b"b"]),
    np.array(["2020-01-01", "2020-01-02"], dtype="datetime64[D]"),
]

CONTAINERS = {
    "array": lambda y: y,
    "list": lambda y: y.tolist(),
    "column": lambda y: y[:, None],
    "strided": lambda y: np.repeat(y, 2, axis=0)[::2],
    "read-only": read_only,
    "subclass": lambda y: y.view(Subclass),
    "masked": lambda y: np.ma.masked_array(y, mask=np.zeros(y.shape, bool)),
    "pandas": lambda y: pd.Series(y, index=range(7, 7 + len(y))),
    "pandas, category": lambda y: pd.Series(y, dtype="category"),
    "pandas, nullable": lambda y: pd.Series(y).convert_dtypes(),
    "pandas, Arrow": lambda y: pd.Series(y).convert_dtypes(dtype_backend="pyarrow"),
    "pandas, frame": lambda y: pd.DataFrame({"y": y}),
    "polars": lambda y: pl.Series(y.tolist()),
    "pyarrow": lambda y: pa.array(y.tolist()),
}


@st.composite
def labels(draw, n):
    """Draw targets of a classifier for n rows, most of them good."""
    if draw(st.integers(0, 3)) == 0:
        Y = np.array(
            draw(
                st.lists(
                    st.lists(st.integers(0, 1), min_size=2, max_size=2), min_size=n, max_size=n
                )
            ),
            dtype=int,
        ).reshape(n, 2)
        codes = draw(st.sampled_from([(0, 1), (0, 1), (-1, 1), (1, 2), (0.0, 1.0), (0, 3)]))
        Y = np.array(codes)[Y]
        how = draw(
            st.sampled_from(
                [
                    np.asarray,
                    np.ndarray.tolist,
                    sp.csr_matrix,
                    sp.csc_array,
                    pd.DataFrame,
                    read_only,
                ]
            )
        )
        return how(Y)
    names = draw(st.sampled_from([*LABELS[:10] * 4, *LABELS]))
    k = draw(st.integers(2, len(names)))
    y = names[np.arange(n) % k]
    if draw(st.booleans()):
        y = names[np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)), int)]
    return _contained(draw, y)


@st.composite
def targets(draw, n):
    """Draw targets of a regressor for n rows."""
    kinds = ["any", "zeros and ones", "tiny", "huge", "steps far out", "constant", "not finite"]
    y = draw(numbers(n, kinds))
    if draw(st.booleans()):
        y = np.abs(y)
    if draw(st.integers(0, 3)) == 0:
        y = np.column_stack([y, draw(numbers(n, kinds))])
        how = st.sampled_from([np.asarray, np.asfortranarray, np.ndarray.tolist, pd.DataFrame])
        return draw(how)(y)
    kinds = st.sampled_from([*["float64"] * 4, "float32", ">f8", "int64", "bool", "object", "str"])
    with np.errstate(all="ignore"):
        y = y.astype(draw(kinds))
    return _contained(draw, y)


@np.errstate(all="ignore")  # older pandas tries whether numbers are whole
def _contained(draw, y):
    how = draw(st.sampled_from([*["array"] * 6, *CONTAINERS]))
    try:
        y = CONTAINERS[how](y)
    except CANNOT:
        pass
    return y[:-1] if draw(st.integers(0, 60)) == 0 else y


def row_weights(n):
    """Draw weights of n rows; often none."""
    value = st.sampled_from([0, 1, 2, 0.5, 1e-300, 1e300, 1e-5])
    lists = st.lists(value, min_size=n, max_size=n)
    bad = st.sampled_from([-1.0, math.nan, math.inf, "a", None]).map(lambda value: [value] * n)
    return st.one_of(
        *[st.none()] * 6,
        lists,
        lists.map(lambda weight: np.clip(weight, 0, 9).astype(np.float32)),
        lists.map(pd.Series),
        st.lists(st.integers(0, 3), min_size=n, max_size=n).map(np.array),
        bad,
    )
