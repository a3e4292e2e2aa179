"""Tables as they come: words, categories and gaps, in frames and in arrays of objects."""

import datetime
import pickle
from decimal import Decimal

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.inspection import PartialDependenceDisplay, permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.fixes import parse_version

from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier
from sknn_scratch.network.levels import MOST_LEVELS

matplotlib.use("Agg")

N = 240


def frame(n=N, seed=0):
    """A frame with a column of each kind, and what follows from it."""
    rng = np.random.RandomState(seed)
    X = pd.DataFrame(
        {
            "age": rng.randn(n),
            "sex": rng.choice(["female", "male"], n),
            "city": pd.Categorical(rng.choice(list("abc"), n), categories=list("cabd")),
            "paid": rng.rand(n) > 0.5,
            "rooms": rng.randint(0, 5, n),
        }
    )
    y = np.where(X["age"] + 2 * (X["sex"] == "male") - (X["city"] == "b") > 0.5, "yes", "no")
    X.loc[::7, "age"] = np.nan
    X.loc[::9, "sex"] = None
    return X, y


X, Y = frame()
INPUTS = ["age", "sex_female", "sex_male", "sex_nan", "city_c", "city_a", "city_b", "city_d"]
INPUTS += ["paid_False", "paid_True", "rooms", "missingindicator_age"]


def network(hidden_layer_sizes=20, **settings):
    return ScratchMLPClassifier(
        hidden_layer_sizes, **{"random_state": 0, "max_iter": 30} | settings
    )


def inputs_of(clf, table):
    """What the first layer of a fitted network sees."""
    return clf.network_.features(clf._checked(table), np.float64)


# ---------------------------------------------------------------- what the network sees


def test_inputs_of_each_kind_of_column():
    clf = network().fit(X, Y)
    assert clf.input_names_.tolist() == INPUTS
    assert clf.coefs_[0].shape[0] == len(INPUTS)
    assert clf.n_features_in_ == 5
    assert clf.feature_names_in_.tolist() == list(X.columns)
    seen = pd.DataFrame(inputs_of(clf, X), columns=INPUTS)
    for column in ("sex", "city", "paid"):
        for level in X[column].dropna().unique():
            has, count = X[column] == level, 250 / N * (X[column] == level).sum()
            assert_allclose(seen[f"{column}_{level}"], has * count / (count + 5))
    for column, name in (("sex", "sex_nan"), ("age", "missingindicator_age")):
        gaps = 250 / N * X[column].isna().sum()
        assert_allclose(seen[name], X[column].isna() * gaps / (gaps + 20))
    assert_array_equal(seen["city_d"], 0)
    # Numbers are seen as they are without the rows that have gaps.
    there = X["age"].notna()
    alone = network().fit(X.loc[there, ["age"]], Y[there])
    assert_allclose(seen.loc[there, "age"], inputs_of(alone, X.loc[there, ["age"]])[:, 0])
    assert_array_equal(seen.loc[~there, "age"], 0)
    rooms = network().fit(X[["rooms"]], Y)
    assert_allclose(seen["rooms"], inputs_of(rooms, X[["rooms"]])[:, 0])


@pytest.mark.parametrize("how", ["unscaled", "stream"])
def test_levels_are_one_where_nothing_is_known_of_their_frequency(how):
    table = X[["city", "rooms"]]
    if how == "unscaled":
        clf = network(scale_features=False).fit(table, Y)
    else:
        clf = network().partial_fit(table, Y, classes=["no", "yes"])
    cities = inputs_of(clf, table)[:, :4]
    assert_array_equal(cities, (X["city"].to_numpy()[:, None] == list("cabd")).astype(float))


def test_a_listed_level_of_a_later_fit_counts_as_of_one_row():
    clf = network(warm_start=True).fit(X, Y)
    later = X.assign(city=pd.Categorical(["d"] * N, categories=list("cabd")))
    clf.fit(later, Y)
    once = 250 / N
    assert_allclose(inputs_of(clf, later)[:, INPUTS.index("city_d")], once / (once + 5))


def test_it_is_the_network_behind_encoders_of_scikit_learn():
    """With the same inputs in the same order, the same network."""
    words = X[["sex", "city", "paid"]].astype({"city": str}).fillna({"sex": "unknown"})
    rooms = X[["rooms"]]
    table = pd.concat([words, rooms], axis=1)
    encode = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    pipeline = make_pipeline(
        make_column_transformer((encode, list(words)), remainder="passthrough"),
        network(scale_features=False),
    ).fit(table, Y)
    raw = network(scale_features=False).fit(table, Y)
    assert raw.input_names_.tolist() == [
        name.removeprefix("remainder__").removeprefix("onehotencoder__")
        for name in pipeline[0].get_feature_names_out()
    ]
    assert_allclose(raw.predict_proba(table), pipeline.predict_proba(table), atol=1e-12)


@pytest.mark.parametrize(
    "other",
    [pl.from_pandas, pa.Table.from_pandas, lambda X: X.to_numpy(dtype=object), lambda X: X.copy()],
    ids=["polars", "pyarrow", "objects", "pandas"],
)
def test_libraries_agree(other):
    plain = X.astype({"city": str})
    expected = network().fit(plain, Y)
    clf = network().fit(other(plain), Y)
    assert_array_equal(clf.predict_proba(other(plain)), expected.predict_proba(plain))
    assert_array_equal(clf.predict(other(plain)), expected.predict(plain))
    assert clf.n_features_in_ == 5


def test_types_of_polars_and_pyarrow():
    levels = pl.Enum(["c", "a", "b", "d"])
    polars = pl.from_pandas(X.astype({"city": str})).with_columns(pl.col("city").cast(levels))
    assert network().fit(polars, Y).input_names_.tolist() == INPUTS
    categorical = polars.with_columns(pl.col("city").cast(pl.String).cast(pl.Categorical))
    without = [name for name in INPUTS if name != "city_d"]
    assert sorted(network().fit(categorical, Y).input_names_) == sorted(without)
    table = pa.Table.from_pandas(X.astype({"city": str}))
    city = table.schema.get_field_index("city")
    encoded = table.set_column(city, "city", table["city"].combine_chunks().dictionary_encode())
    assert sorted(network().fit(encoded, Y).input_names_) == sorted(without)
    of_pandas = X.assign(city=X["city"].astype(pd.ArrowDtype(encoded["city"].type)))
    assert sorted(network().fit(of_pandas, Y).input_names_) == sorted(without)
    batch = encoded.combine_chunks().to_batches()[0]
    assert len(network().fit(batch, Y).input_names_) == len(without)
    sparse = pd.DataFrame({"paid": X["paid"].astype(pd.SparseDtype(bool)), "x": np.arange(N)})
    assert network().fit(sparse, Y).input_names_.tolist() == ["paid_False", "paid_True", "x"]
    numbers = X[["age", "rooms"]]
    sparse = numbers.astype({"age": pd.SparseDtype(float), "rooms": pd.SparseDtype(int)})
    for chosen in ("age", "rooms"), ("age",):
        assert_array_equal(
            network().fit(sparse[[*chosen]], Y).predict_proba(sparse[[*chosen]]),
            network().fit(numbers[[*chosen]], Y).predict_proba(numbers[[*chosen]]),
        )
    wide = polars.with_columns(pl.col("rooms").cast(getattr(pl, "Int128", pl.Int64)))
    assert network().fit(wide, Y).input_names_.tolist() == INPUTS
    decimal = polars.with_columns(pl.col("rooms").cast(pl.Decimal(10, 2)))
    assert_array_equal(
        network().fit(decimal, Y).predict_proba(decimal),
        network().fit(polars, Y).predict_proba(polars),
    )


NULLABLE = {"rooms": "Int64", "age": "Float64", "paid": "boolean", "sex": "string"}
ARROW = {"rooms": "int64[pyarrow]", "age": "double[pyarrow]", "sex": "string[pyarrow]"}


@pytest.mark.parametrize("types", [NULLABLE, ARROW, {"rooms": "float32"}, {"rooms": "int8"}])
def test_types_of_pandas(types):
    expected = network().fit(X, Y).predict_proba(X)
    other = X.astype(types)
    assert_array_equal(network().fit(other, Y).predict_proba(other), expected)


@pytest.mark.parametrize("gap", [None, pd.NA, np.nan, np.float32("nan"), pd.NaT])
def test_gaps_are_alike(gap):
    expected = network().fit(X, Y).predict_proba(X)
    other = X.astype(object)
    for column in ("age", "sex"):
        cells = np.array(
            [gap if missing else v for v, missing in zip(X[column], X[column].isna(), strict=True)]
            + [0],
            dtype=object,
        )[:-1]
        other[column] = pd.Series(cells, dtype=object)
    other["city"] = X["city"]
    assert_array_equal(network().fit(other, Y).predict_proba(other), expected)


def test_numbers_stay_numbers():
    """Frames of numbers, and arrays of objects that are numbers, are what they were before."""
    A, a = load_iris(return_X_y=True, as_frame=True)
    expected = network().fit(A.to_numpy(), a)
    for table in (A, A.astype(object), A.to_numpy(dtype=object), A.to_numpy().tolist()):
        clf = network().fit(table, a)
        assert_array_equal(clf.coefs_[0], expected.coefs_[0])
        assert clf.network_.features.layout is None
    assert clf.input_names_.tolist() == ["x0", "x1", "x2", "x3"]


def test_single_precision_stays():
    table = X.astype({"age": "float32", "rooms": "float32"})
    assert network().fit(table, Y).predict_proba(table).dtype == np.float32
    assert network().fit(X, Y).predict_proba(X).dtype == np.float64


def test_gaps_in_an_array():
    A, a = load_iris(return_X_y=True)
    A[::5, 2] = np.nan
    clf = network().fit(A, a)
    assert clf.input_names_.tolist() == ["x0", "x1", "x2", "x3", "missingindicator_x2"]
    there = ~np.isnan(A[:, 2])
    alone = network().fit(A[there, 2:3], a[there])
    assert_array_equal(clf.mean_[2], alone.mean_[0])
    seen = inputs_of(clf, A)
    assert_allclose(seen[there, 2], inputs_of(alone, A[there, 2:3])[:, 0])
    assert_array_equal(seen[~there, 2], 0)
    assert_allclose(seen[:, 4], ~there * 50 / 70)  # 30 of 150 are 50 of 250
    later = A.copy()
    later[3] = np.nan
    assert_allclose(inputs_of(clf, later)[3], [0, 0, 0, 0, 50 / 70])


def test_gaps_that_come_later_are_the_centre():
    clf = network().fit(X.dropna(), Y[X.notna().all(axis=1)])
    assert "missingindicator_age" not in clf.input_names_
    assert "sex_nan" not in clf.input_names_
    one = X.dropna()[:1]
    centre = one.assign(age=clf.mean_[0])
    assert_allclose(
        clf.predict_proba(one.assign(age=np.nan)), clf.predict_proba(centre), rtol=1e-12
    )
    none = inputs_of(clf, one.assign(sex=None))
    assert_array_equal(none[:, [1, 2]], 0)


def test_what_is_no_level_has_no_input():
    clf = network().fit(X, Y)
    seen = pd.DataFrame(inputs_of(clf, X[:4].assign(sex="other")), columns=INPUTS)
    assert_array_equal(seen[["sex_female", "sex_male", "sex_nan"]], 0)
    with_d = X[:4].assign(city=pd.Categorical(["d"] * 4, categories=list("cabd")))
    unknown = X[:4].assign(city="elsewhere")
    # Of a level that no row is of nothing was learnt: it is as none.
    assert_allclose(clf.predict_proba(with_d), clf.predict_proba(unknown), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:The network is no better")
def test_few_gaps_count_little():
    """The value of the input is n / (n + 20) for n gaps, which are those of 250 rows at least."""
    for gaps, rows in ((2, 500), (25, 500), (3, 60), (300, 400)):
        table = np.arange(2.0 * rows).reshape(rows, 2)
        table[:gaps, 0] = np.nan
        words = table.astype(object)
        words[:, 0] = ["a", "b"] * (rows // 2)
        words[:gaps, 0] = None
        y = np.arange(rows) % 2
        n = gaps * max(rows, 250) / rows
        weight = np.full(rows, 0.01)
        for rows_given in (table, words):
            clf = network(max_iter=2).fit(rows_given, y, sample_weight=weight)
            assert_allclose(inputs_of(clf, rows_given)[0, 2], n / (n + 20))


def test_gaps_tell_something():
    rng = np.random.RandomState(0)
    a = rng.randn(400)
    y = rng.randint(0, 2, 400)
    a[y == 1] = np.where(rng.rand((y == 1).sum()) < 0.9, np.nan, a[y == 1])
    for table in (a[:, None], np.where(np.isnan(a), None, "word")[:, None]):
        assert cross_val_score(network(max_iter="auto"), table, y).mean() > 0.9


def test_many_levels():
    rng = np.random.RandomState(0)
    ids = np.concatenate(
        [np.repeat([f"often{i}" for i in range(50)], 8), [f"once{i}" for i in range(300)]]
    )
    table, y = pd.DataFrame({"id": ids, "x": rng.randn(700)}), rng.randint(0, 2, 700)
    clf = network().fit(table, y)
    names = clf.input_names_.tolist()
    assert len(names) == MOST_LEVELS + 1
    assert names[-2:] == ["id_infrequent_sklearn", "x"]
    assert all(name.startswith("id_often") for name in names[:-2])
    rare, often = inputs_of(clf, table.assign(id="once7")[:1]), inputs_of(clf, table[:1])
    assert_allclose(rare[0, MOST_LEVELS - 1], 388 / (388 + 5))  # 300 once, and 11 of the others
    assert_allclose(often[0, :MOST_LEVELS].sum(), 8 / (8 + 5))
    assert np.count_nonzero(rare[0, :MOST_LEVELS]) == np.count_nonzero(often[0, :MOST_LEVELS]) == 1
    assert not inputs_of(clf, table.assign(id="never")[:1])[0, :MOST_LEVELS].any()


@pytest.mark.slow
def test_a_hundred_thousand_levels():
    n = 100_000
    table = pd.DataFrame({"id": [f"i{i}" for i in range(n)], "x": np.arange(n) % 2})
    clf = network(4, max_iter=2).fit(table, np.arange(n) % 2)
    assert len(clf.input_names_) == MOST_LEVELS + 1
    assert clf.score(table, np.arange(n) % 2) > 0.9


@pytest.mark.filterwarnings("ignore:The network is no better")
def test_levels_count_by_weight():
    ids = [f"l{i}" for i in range(MOST_LEVELS + 5)] * 2
    table, y = pd.DataFrame({"id": ids}), np.arange(len(ids)) % 2
    weight = np.ones(len(ids))
    weight[[0, MOST_LEVELS + 5]] = 5
    names = network().fit(table[::-1], y, sample_weight=weight[::-1]).input_names_
    assert "id_l0" in names
    gone = np.where(table["id"].isin(["l1", "l2"]), 0.0, 1)
    kept = gone > 0
    with_zeros = network().fit(table, y, sample_weight=gone)
    without = network().fit(table[kept], y[kept])
    assert with_zeros.input_names_.tolist() == without.input_names_.tolist()


def test_a_column_of_gaps_alone_says_nothing():
    clf = network().fit(X.assign(empty=np.nan, none=None), Y)
    assert "missingindicator_empty" not in clf.input_names_
    p = clf.predict_proba(X.assign(empty=np.nan, none=None))
    assert_array_equal(clf.predict_proba(X.assign(empty=1e9, none=None)), p)


@pytest.mark.parametrize("empty", [None, np.nan, pd.Series([None] * N, dtype="string")])
def test_words_where_there_was_nothing(empty):
    """So it is in a fold without one of the few words of a column."""
    clf = network().fit(X.assign(note=empty), Y)
    assert "note" in clf.input_names_
    p = clf.predict_proba(X.assign(note=None))
    if isinstance(empty, float):
        with pytest.raises(ValueError, match="Column 'note' of X is one of numbers, but holds"):
            clf.predict(X.assign(note="word"))
    else:
        assert_array_equal(clf.predict_proba(X.assign(note="word")), p)
    assert_array_equal(clf.predict_proba(X.assign(note=1e9)), p)


def test_numbers_after_nothing_in_a_stream():
    rng = np.random.RandomState(0)
    late = pd.DataFrame({"a": rng.randn(1200), "b": rng.randn(1200)}).astype(object)
    y = np.where(late["b"] > 0, 1, 0)
    clf = network(learning_rate_init=0.02).partial_fit(late.assign(b=None), y, classes=[0, 1])
    for _ in range(20):
        clf.partial_fit(late, y)
    assert clf.score(late, y) > 0.9


def test_gaps_are_alike_whatever_is_a_category():
    """Also where all columns are taken for numbers, and where gaps are in an array of objects."""
    numbers = pd.DataFrame({"a": np.arange(N) * 1.0, "b": np.arange(N) % 5})
    numbers.loc[::7, "a"] = np.nan
    p = network().fit(numbers, Y).predict_proba(numbers)
    a = numbers["a"]
    tables = {
        "objects": numbers.assign(a=a.astype(object).where(a.notna(), pd.NA)),
        "Decimal": numbers.assign(a=[None if v != v else Decimal(int(v)) for v in a]),
        "category": numbers.assign(a=a.astype("Int64").astype("category")),
        "Arrow": numbers.assign(a=a.astype("double[pyarrow]")),
        "words": numbers.assign(a=a.map(str, na_action="ignore")),
        "pyarrow": pa.table(
            {"a": pa.array(a, from_pandas=True).dictionary_encode(), "b": numbers["b"]}
        ),
    }
    for table in tables.values():
        clf = network(categorical_features=None).fit(table, Y)
        assert_array_equal(clf.predict_proba(table), p)
        assert_array_equal(network().fit(numbers, Y).predict_proba(table), p)


def test_masked_cells_are_gaps():
    numbers = np.arange(2 * N).reshape(N, 2) * 1.0
    mask = np.zeros((N, 2), dtype=bool)
    mask[::7, 0] = True
    p = network().fit(np.where(mask, np.nan, numbers), Y).predict_proba(numbers)
    for array in (numbers, numbers.astype(int), numbers.astype(object)):
        masked = np.ma.array(array, mask=mask)
        clf = network().fit(masked, Y)
        assert_array_equal(clf.predict_proba(numbers), p)
        expected = clf.predict_proba(np.where(mask, np.nan, numbers))
        assert_array_equal(clf.predict_proba(masked), expected)
    words = np.ma.array(np.array([["a"], ["b"]] * (N // 2)), mask=mask[:, :1])
    assert network().fit(words, Y).input_names_.tolist() == ["x0_a", "x0_b", "x0_nan"]


# ---------------------------------------------------------------- categorical_features


def test_categories_chosen():
    names = network(categorical_features=["rooms", "sex", "city", "paid"]).fit(X, Y).input_names_
    assert [name for name in names if name.startswith("rooms")] == [f"rooms_{i}" for i in range(5)]
    mask = [False, True, True, True, True]
    assert_array_equal(network(categorical_features=mask).fit(X, Y).input_names_, names)
    assert_array_equal(network(categorical_features=[1, 2, 3, 4]).fit(X, Y).input_names_, names)
    array = X[["age", "rooms"]].to_numpy()
    clf = network(categorical_features=[1]).fit(array, Y)
    assert clf.input_names_.tolist()[1:6] == [f"x1_{float(i)}" for i in range(5)]
    assert_array_equal(clf.predict(array), clf.predict(array.astype(object)))
    numbers = network(categorical_features=None).fit(X[["age", "paid", "rooms"]], Y)
    assert numbers.input_names_.tolist() == ["age", "paid", "rooms", "missingindicator_age"]
    none = network(categorical_features=[]).fit(X[["age", "paid", "rooms"]], Y)
    assert_array_equal(none.input_names_, numbers.input_names_)


@pytest.mark.parametrize("other", [lambda X: X, pl.from_pandas, pa.Table.from_pandas])
def test_categories_chosen_by_name(other):
    table = other(X[["age", "rooms"]])
    clf = network(categorical_features=["rooms"]).fit(table, Y)
    assert [name.split("_")[0] for name in clf.input_names_[1:6]] == ["rooms"] * 5
    with pytest.raises(ValueError, match=r"'size', which X lacks. It has \['age', 'rooms'\]"):
        network(categorical_features=["size"]).fit(table, Y)


def test_large_whole_numbers_are_levels_of_their_own():
    """Gaps make floats of whole numbers, of which neighbours are the same from 2**53 on."""
    ids = [None if i % 7 == 0 else 2**60 + i % 2 for i in range(N)]
    y = np.arange(N) % 2
    tables = (
        pd.DataFrame({"id": pd.Series(ids, dtype="Int64")}),
        pd.DataFrame({"id": pd.Series(ids, dtype="int64[pyarrow]")}),
        pl.DataFrame({"id": ids}),
        pa.table({"id": ids}),
    )
    for table in tables:
        clf = network(categorical_features=["id"]).fit(table, y)
        assert clf.input_names_.tolist() == [f"id_{2**60}", f"id_{2**60 + 1}", "id_nan"]
        for other in tables:
            assert clf.score(other, y) > 0.9


@pytest.mark.parametrize("name", ["schema", "column_names", "get_columns", "type", "values"])
def test_columns_named_as_attributes_of_frames(name):
    table = X[["sex", "rooms"]].rename(columns={"sex": name})
    clf = network().fit(table, Y)
    assert clf.input_names_.tolist()[:2] == [f"{name}_female", f"{name}_male"]
    p = network().fit(X[["sex", "rooms"]], Y).predict_proba(X[["sex", "rooms"]])
    assert_array_equal(clf.predict_proba(table), p)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["size"], "categorical_features names column 'size', which X lacks. It has"),
        ([5], "categorical_features names column 5; X has 5 columns"),
        ([-1], "categorical_features names column -1; X has 5 columns"),
        ([True, False], "categorical_features is a mask of 2 columns, but X has 5"),
        ([0.5], "categorical_features must be 'from_dtype', None, a mask of 5 booleans"),
        ("sex", "The 'categorical_features' parameter of ScratchMLPClassifier must be"),
        (None, "Column 'sex' of X is one of numbers, but holds the word"),
        (["city"], "Column 'sex' of X is one of numbers, but holds the word"),
    ],
)
def test_categories_that_cannot_be_chosen(chosen, message):
    with pytest.raises(ValueError, match=message):
        network(categorical_features=chosen).fit(X, Y)


def test_names_of_an_array():
    with pytest.raises(ValueError, match="X has no names of columns: give numbers"):
        network(categorical_features=["a"]).fit(np.zeros((4, 1)), [0, 1, 0, 1])
    with pytest.raises(TypeError, match="X is sparse, but has columns of categories"):
        network(categorical_features=[0]).fit(csr_array(np.eye(4)), [0, 1, 0, 1])


# ---------------------------------------------------------------- what cannot be used

UNUSABLE = {
    "dates": pd.Timestamp("2020-01-02"),
    "days": datetime.date(2020, 1, 2),
    "spans": pd.Timedelta(days=3),
    "lists": [1, 2],
    "dicts": {"a": 1},
    "bytes": b"word",
    "complex numbers": 1j,
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_columns_that_cannot_be_used(kind):
    remedy = "Make numbers of it" if kind in ("dates", "days", "spans") else "leave the column out"
    with pytest.raises(TypeError, match=f"Column 'odd' of X holds .*{remedy}"):
        network().fit(X.assign(odd=[UNUSABLE[kind]] * N), Y)
    clf = network().fit(X, Y)
    with pytest.raises(TypeError, match=r"Column 'sex' of X holds .*must be a string or a number"):
        clf.predict(X.assign(sex=[UNUSABLE[kind]] * N))


TIMES = pd.date_range("2020-01-01", periods=N)
NUMBERS = X[["rooms"]]
OF_TIME = {
    "pandas, datetime64[ns]": lambda: NUMBERS.assign(odd=TIMES.as_unit("ns")),
    "pandas, timedelta64[ns]": lambda: NUMBERS.assign(odd=(TIMES - TIMES[0]).as_unit("ns")),
    "pandas, with a zone": lambda: NUMBERS.assign(odd=TIMES.tz_localize("UTC")),
    "pandas, no date at all": lambda: NUMBERS.assign(
        odd=pd.Series([pd.NaT] * N, dtype="datetime64[ns]")
    ),
    "pandas, Arrow": lambda: NUMBERS.assign(
        odd=pd.Series(TIMES, dtype=pd.ArrowDtype(pa.timestamp("ns")))
    ),
    "polars, Date": lambda: pl.from_pandas(NUMBERS).with_columns(odd=pl.Series(TIMES.date)),
    "polars, Datetime(ns)": lambda: pl.from_pandas(NUMBERS).with_columns(
        odd=pl.Series(TIMES).cast(pl.Datetime("ns"))
    ),
    "polars, Duration(ns)": lambda: pl.from_pandas(NUMBERS).with_columns(
        odd=pl.Series(TIMES - TIMES[0]).cast(pl.Duration("ns"))
    ),
    "pyarrow, timestamp[ns]": lambda: pa.table(
        {"rooms": X["rooms"], "odd": pa.array(TIMES, pa.timestamp("ns"))}
    ),
}


@pytest.mark.parametrize("of_time", OF_TIME)
def test_dates_never_become_numbers(of_time):
    table = OF_TIME[of_time]()
    for chosen in ("from_dtype", None, [0]):
        with pytest.raises(TypeError, match=r"Column 'odd' of X holds .*Make numbers of it"):
            network(categorical_features=chosen).fit(table, Y)


def test_dates_where_numbers_were():
    numbers = pl.DataFrame({"odd": np.arange(N) * 1.0})
    clf = network().fit(numbers, Y)
    with pytest.raises(TypeError, match=r"Column 'odd' of X holds .*Make numbers of it"):
        clf.predict(numbers.with_columns(odd=pl.Series(TIMES.date)))


@pytest.mark.parametrize("unit", ["datetime64[ns]", "datetime64[D]", "timedelta64[ns]"])
def test_dates_in_arrays(unit):
    dates = np.arange(N)[:, None].astype(unit)
    for chosen in ("from_dtype", None):
        with pytest.raises(TypeError, match="Column 0 of X holds values of type"):
            network(categorical_features=chosen).fit(dates, Y)
    with pytest.raises(TypeError, match="Column 0 of X holds values of type"):
        network().fit(np.zeros((N, 1)), Y).predict(dates)


def test_categories_that_are_dates():
    dates = pd.Categorical(TIMES.as_unit("ns"))
    with pytest.raises(TypeError, match=r"Column 'odd' of X holds .*Make numbers of it"):
        network().fit(X.assign(odd=dates), Y)


def test_categories_of_lists():
    odd = X.astype(object).assign(sex=[["a"]] * N)
    with pytest.raises(TypeError, match=r"Column 'sex' of X holds \['a'\], of type list"):
        network(categorical_features=["sex"]).fit(odd, Y)


@pytest.mark.parametrize("other", [lambda X: X, pl.from_pandas, pa.Table.from_pandas])
def test_columns_that_change(other):
    plain = X.astype({"city": str})
    clf = network().fit(other(plain), Y)
    before = pickle.dumps(clf.__dict__)
    with pytest.raises(ValueError, match="Column 'sex' of X holds numbers, and was of words"):
        clf.predict(other(plain.assign(sex=1)))
    with pytest.raises(ValueError, match="Column 'rooms' of X is one of numbers, but holds the wo"):
        clf.predict(other(plain.assign(rooms="two")))
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(other(plain[plain.columns[::-1]]))
    numbers = network().fit(other(plain[["age", "rooms"]]), Y)
    with pytest.raises(ValueError, match="Column 'rooms' of X is one of numbers, but holds the wo"):
        numbers.predict(other(plain[["age", "rooms"]].assign(rooms="two")))
    assert pickle.dumps(clf.__dict__) == before


def test_other_bad_tables():
    mixed = X.astype({"rooms": object})
    mixed.loc[3, "rooms"] = "two"
    with pytest.raises(TypeError, match="Column 'rooms' of X mixes numbers and words"):
        network().fit(mixed, Y)
    with pytest.raises(ValueError, match="X has 2 columns of the name 'sex'"):
        network().fit(X[["age", "sex", "sex"]], Y)
    with pytest.raises(ValueError, match="contains infinity"):
        network().fit(X.assign(rooms=np.inf), Y)
    with pytest.raises(ValueError, match="contains infinity"):
        network().fit(X, Y).predict(X.assign(rooms=-np.inf))
    with pytest.raises(ValueError, match=r"NaN, in column 0.*features are not scaled"):
        network(scale_features=False).fit(X, Y)
    with pytest.raises(ValueError, match=r"NaN, in column 1.*X is sparse"):
        network().fit(csr_array(np.array([[0, np.nan], [1, 2]])), [0, 1])
    with pytest.raises(TypeError, match="Column 0 of X mixes numbers and words"):
        network().fit([[1, 2], ["a", 3]], [0, 1])
    with pytest.raises(ValueError, match="Column 'rooms' of X holds a number that is too large"):
        network().fit(X.assign(rooms=pd.Series([10**400] * N, dtype=object)), Y)
    with pytest.raises(TypeError, match=r"Column 'rooms' of X holds .* of type complex64"):
        network().fit(X.assign(rooms=pd.Series([np.complex64(1j)] * N, dtype=object)), Y)
    for empty in (X[[]], pl.from_pandas(X[[]]), X[[]].to_numpy(dtype=object)):
        with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\)"):
            network().fit(empty, Y)
    with pytest.raises(TypeError, match="X is a LazyFrame, which has no rows yet"):
        network().fit(pl.from_pandas(X).lazy(), Y)
    for nested in (pl.Array(pl.Int64, 2), pl.List(pl.Int64)):
        odd = pl.from_pandas(X).with_columns(odd=pl.Series([[1, 2]] * N, dtype=nested))
        for chosen in ("from_dtype", [1, 2, 3]):
            with pytest.raises(TypeError, match="Column 'odd' of X holds"):
                network(categorical_features=chosen).fit(odd, Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        network().fit(X, Y[:-1])
    with pytest.raises(ValueError, match="expecting 5 features"):
        network().fit(X.to_numpy(dtype=object), Y).predict(X.to_numpy(dtype=object)[:, :4])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [ScratchMLPClassifier, ScratchMLPEnsembleClassifier])
def test_one_row_or_none_to_predict(make):
    model = make(hidden_layer_sizes=(4,), max_iter=5, random_state=0)
    model.fit(X, Y)
    flat = (
        r"Expected 2D array, got 1D array instead: X is a {} of shape \(5,\).*frame\.iloc\[\[i\]\]"
    )
    with pytest.raises(ValueError, match=flat.format("Series")):
        model.predict(X.iloc[0])
    with pytest.raises(ValueError, match=flat.format("list")):
        model.predict(X.iloc[0].tolist())
    with pytest.raises(ValueError, match=r"0 sample\(s\) \(shape=\(0, 5\)\).*ScratchMLPClassifier"):
        model.predict(X[:0])


def test_words_without_scaling():
    clf = network(scale_features=False).fit(X[["sex", "rooms"]], Y)
    assert clf.input_names_.tolist() == ["sex_female", "sex_male", "sex_nan", "rooms"]
    assert_array_equal(inputs_of(clf, X[["sex", "rooms"]])[:, 3], X["rooms"])


def test_tags():
    assert get_tags(network()).input_tags.categorical
    tags = get_tags(network()).input_tags
    assert tags.allow_nan and tags.categorical and tags.string
    assert not get_tags(network(scale_features=False)).input_tags.allow_nan
    assert not get_tags(network(categorical_features=None)).input_tags.string


# ---------------------------------------------------------------- around


def test_lists():
    rows = [["a", 1], ["b", None], ["a", 2], ["b", 4]]
    clf = network().fit(rows, [0, 1, 0, 1])
    assert clf.input_names_.tolist() == ["x0_a", "x0_b", "x1", "missingindicator_x1"]
    assert clf.predict([["a", None], ["never", 1]]).shape == (2,)


@pytest.mark.parametrize("scoring", [None, "loss", "roc_auc"])
def test_early_stopping(scoring):
    clf = network(early_stopping=True, scoring=scoring).fit(X, Y)
    assert clf.score(X, Y) > 0.7
    own = network(early_stopping=True, scoring=scoring)
    own.fit(X[:160], Y[:160], X_val=X[160:], y_val=Y[160:])
    assert own.score(X, Y) > 0.7


def test_streams():
    """Levels are those of the first rows, or of the type."""
    clf = network(learning_rate_init=0.05)
    for _ in range(20):
        for start in range(0, N, 60):
            rows = slice(start, start + 60)
            clf.partial_fit(X[rows], Y[rows], classes=["no", "yes"])
    assert clf.input_names_.tolist() == INPUTS
    assert clf.score(X, Y) > 0.85
    first = network().partial_fit(
        X[X["sex"] == "male"], Y[X["sex"] == "male"], classes=["no", "yes"]
    )
    assert "sex_female" not in first.input_names_
    first.partial_fit(X, Y)
    assert "sex_female" not in first.input_names_
    # A level of the type is learnt when rows of it come.
    late = X.assign(city=pd.Categorical(["d"] * N, categories=list("cabd")))
    before = first.coefs_[0][first.input_names_.tolist().index("city_d")].copy()
    first.partial_fit(late, Y)
    after = first.coefs_[0][first.input_names_.tolist().index("city_d")]
    assert not before.any() and after.any()


def test_warm_start():
    clf = network(warm_start=True).fit(X, Y)
    names = clf.input_names_
    clf.fit(X[X["sex"] != "male"], Y[X["sex"] != "male"])
    assert_array_equal(clf.input_names_, names)


def test_copies_predict_the_same():
    clf = network().fit(X, Y)
    p = clf.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), p)
    written = skops.io.dumps(clf)
    types = skops.io.get_untrusted_types(data=written)
    assert all(name.startswith("sknn_scratch.") for name in types)
    assert_array_equal(skops.io.loads(written, trusted=types).predict_proba(X), p)
    assert_array_equal(clone(clf).fit(X, Y).predict_proba(X), p)


def test_searches_agree():
    from joblib import parallel_config

    search = GridSearchCV(network(), {"hidden_layer_sizes": [5, 10]}, cv=3)
    plain = clone(search).fit(X, Y).cv_results_["mean_test_score"]
    with parallel_config(backend="stacked"):
        assert_allclose(clone(search).fit(X, Y).cv_results_["mean_test_score"], plain)
    assert cross_val_predict(network(), X, Y, method="predict_proba").shape == (N, 2)


def test_inspection():
    clf = network(max_iter="auto").fit(X, Y)
    found = permutation_importance(clf, X, Y, n_repeats=3, random_state=0).importances_mean
    assert found[1] > 0.1 > abs(found[3])


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="scikit-learn 1.6 fails on a column of words, with estimators of its own too",
)
def test_partial_dependence():
    clf = network(max_iter="auto").fit(X, Y)
    display = PartialDependenceDisplay.from_estimator(
        clf, X.dropna(), ["age", "sex"], categorical_features=["sex", "city", "paid"]
    )
    low, high = display.pd_results[1]["average"][0]
    assert high - low > 0.3


def test_set_output():
    pipeline = make_pipeline(
        make_column_transformer(
            (StandardScaler(), ["rooms"]), remainder="passthrough", verbose_feature_names_out=False
        ),
        network(),
    ).set_output(transform="pandas")
    pipeline.fit(X, Y)
    assert "sex_male" in pipeline[-1].input_names_


def test_a_fit_that_fails_changes_nothing():
    clf = network().fit(X, Y)
    before = pickle.dumps(clf.__dict__)
    with pytest.raises(TypeError, match="Column 'odd'"):
        clf.fit(X.assign(odd=[[1]] * N), Y)
    assert pickle.dumps(clf.__dict__) == before


# ---------------------------------------------------------------- any frame

CELLS = {
    "floats": st.floats(-1e6, 1e6, width=32),
    "whole": st.integers(-(2**40), 2**40),
    "words": st.sampled_from(["", "a", "b", "ü", "nan", "None", "1"]),
    "truth": st.booleans(),
    "category": st.sampled_from(["u", "v", "w"]),
    "dates": st.datetimes(datetime.datetime(1990, 1, 1), datetime.datetime(2030, 1, 1)),
    "mixed": st.one_of(st.integers(0, 9), st.text(max_size=2)),
    "nested": st.lists(st.integers(0, 3), max_size=2),
}


@st.composite
def frames(draw):
    """A frame of any library, with any kinds of columns, gaps in some, and rows of it."""
    n = draw(st.integers(2, 12))
    columns = {}
    for name, kind in draw(
        st.lists(
            st.tuples(st.sampled_from("abcdef"), st.sampled_from([*CELLS])), min_size=1, max_size=4
        )
    ):
        gaps = draw(st.sampled_from([0, 0, 0.3, 1]))
        cells = draw(st.lists(CELLS[kind], min_size=n, max_size=n))
        missing = draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
        values = [None if m < gaps else cell for cell, m in zip(cells, missing, strict=True)]
        dtype = "category" if kind == "category" else None
        columns[name] = pd.Series(values, dtype=dtype or draw(st.sampled_from([None, object])))
    table = pd.DataFrame(columns)
    y = np.arange(n) % 2
    library = draw(st.sampled_from(["pandas", "polars", "pyarrow", "objects"]))
    if library == "objects":
        return table.to_numpy(dtype=object), y
    try:
        return {"pandas": lambda X: X, "polars": pl.from_pandas, "pyarrow": pa.Table.from_pandas}[
            library
        ](table), y
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, pl.exceptions.ComputeError):
        return table, y


@pytest.mark.filterwarnings("ignore:The network is no better")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@settings(max_examples=100, deadline=None)
@given(frames(), frames())
def test_any_frame(table, other):
    """It works, or says which column does not."""
    (A, y), (B, _) = table, other
    clf = network(4, max_iter=2)
    try:
        clf.fit(A, y)
    except (TypeError, ValueError) as error:
        assert "olumn" in str(error) or "NaN" in str(error), error
        return
    p = clf.predict_proba(A)
    assert np.isfinite(p).all()
    assert_allclose(p.sum(axis=1), 1)
    assert len(clf.input_names_) == len(clf.coefs_[0])
    try:
        assert np.isfinite(clf.predict_proba(B)).all()
    except (TypeError, ValueError) as error:
        assert "olumn" in str(error) or "feature" in str(error), error
