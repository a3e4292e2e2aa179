"""The piecewise-linear encoding: bins, what becomes of a value, and the network on it."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_wine

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.network.encoding import has_bins, learn_encoding
from sknn_scratch.network.features import learn_features

X, Y = load_wine(return_X_y=True)


def network(**settings):
    given = {"hidden_layer_sizes": 10, "random_state": 0, "max_iter": 20}
    given["numerical_encoding"] = "piecewise_linear"
    return ScratchMLPClassifier(**given | settings)


def by_hand(value, edges):
    """The encoding of one value, bin by bin."""
    found = []
    for low, high in pairwise(edges):
        if value <= low:
            found.append(0.0)
        elif value >= high:
            found.append(1.0)
        else:
            found.append((value - low) / (high - low))
    return found


@pytest.mark.parametrize("n_bins", [2, 4, 7])
def test_values_of_each_bin(n_bins):
    encoding = learn_encoding(X, None, (), n_bins)
    encoded = encoding(X)
    for j in range(X.shape[1]):
        mine = encoding.columns == j
        edges = np.append(encoding.start[mine], (encoding.start + encoding.width)[mine][-1])
        expected = np.quantile(X[:, j], np.linspace(0, 1, n_bins + 1), method="inverted_cdf")
        assert_allclose(edges, np.unique(expected))
        assert_allclose(encoded[:, mine], [by_hand(value, edges) for value in X[:, j]], atol=1e-12)
        # The parts add up to the value.
        assert_allclose(edges[0] + encoded[:, mine] @ np.diff(edges), X[:, j])


@pytest.mark.parametrize("n_values", [4, 5, 6, 7])
def test_there_are_no_more_bins_than_asked_for(n_values):
    encoding = learn_encoding(np.arange(n_values)[:, None] ** 2.0, None, (), 4)
    assert len(encoding.columns) == min(n_values - 1, 4)


def test_values_beyond_those_seen_are_at_the_edge():
    encoding = learn_encoding(X, None, (), 4)
    assert_array_equal(encoding(np.full((1, X.shape[1]), 1e300)), 1)
    assert_array_equal(encoding(np.full((1, X.shape[1]), -1e300)), 0)


def test_columns_that_stay_as_they_are():
    table = np.column_stack([np.ones(40), np.arange(40) % 2, np.arange(40.0), np.arange(40) % 3])
    encoding = learn_encoding(table, None, (3,), 4)
    assert encoding.columns.tolist() == [0, 1, 2, 2, 2, 2, 3]
    assert encoding.bins.tolist() == [0, 0, 1, 2, 3, 4, 0]
    assert encoding.first.tolist() == [0, 1, 2, 6]
    assert_array_equal(encoding(table)[:, [0, 1, 6]], table[:, [0, 1, 3]])


def test_few_values_have_a_bin_between_each():
    encoding = learn_encoding(np.array([[1.0], [5], [6], [5], [1]]), None, (), 4)
    assert encoding.start.tolist() == [1, 5]
    assert encoding.width.tolist() == [4, 1]


def test_as_many_bins_as_gaps_between_values_have_one_between_each():
    """However often each value comes."""
    encoding = learn_encoding(np.array([[1.0]] * 20 + [[2], [3], [4], [100]]), None, (), 4)
    assert encoding.start.tolist() == [1, 2, 3, 4]
    assert encoding.width.tolist() == [1, 1, 1, 96]


def test_a_weight_is_a_row_that_comes_again():
    weight = np.random.RandomState(0).randint(0, 4, len(X))
    weighted = learn_encoding(X, weight.astype(float), (), 4)
    repeated = learn_encoding(X.repeat(weight, axis=0), None, (), 4)
    assert_array_equal(weighted.start, repeated.start)
    assert_array_equal(weighted.width, repeated.width)
    assert_array_equal(learn_encoding(X, weight * 1e-3, (), 4).start, repeated.start)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaps_stay_gaps(dtype):
    table = X.astype(dtype)
    table[::5, 2] = np.nan
    encoding = learn_encoding(table, None, (), 4)
    there = ~np.isnan(table[:, 2])
    alone = learn_encoding(table[there], None, (), 4)
    mine = encoding.columns == 2
    assert_array_equal(encoding.start[mine], alone.start[mine])
    assert encoding(table).dtype == dtype
    assert np.isnan(encoding(table)[~there][:, mine]).all()
    # The network sees the centre, and one more input for the column.
    features = learn_features(table, None, {}, n_bins=4)
    seen = features(table, dtype)
    assert seen.shape[1] == len(encoding.columns) + 1
    assert_array_equal(seen[~there][:, np.flatnonzero(mine)], 0)
    assert_array_equal(seen[:, -1] > 0, ~there)


def test_it_is_the_network_on_a_table_encoded_by_hand():
    encoding = learn_encoding(X, None, (), 4)
    expected = network(numerical_encoding=None).fit(encoding(X), Y)
    found = network().fit(X, Y)
    assert_array_equal(found.predict_proba(X), expected.predict_proba(encoding(X)))
    assert_array_equal(found.mean_, expected.mean_)
    assert_array_equal(
        network(scale_features=False).fit(X, Y).coefs_[0],
        network(scale_features=False, numerical_encoding=None).fit(encoding(X), Y).coefs_[0],
    )


def test_names_and_a_frame():
    table = pd.DataFrame({"size": X[:, 0], "kind": np.where(X[:, 1] > 2, "a", "b")})
    table.loc[::7, "size"] = np.nan
    clf = network(n_bins=2).fit(table, Y)
    expected = ["size_bin1", "size_bin2", "kind_a", "kind_b", "missingindicator_size"]
    assert clf.input_names_.tolist() == expected
    assert len(clf.coefs_[0]) == 5
    assert clf.n_features_in_ == 2
    assert np.isfinite(clf.predict_proba(table)).all()


def test_a_stream():
    A, a = load_breast_cancer(return_X_y=True)
    clf = network(learning_rate_init=0.02)
    for _ in range(10):
        for start in range(0, 500, 100):
            rows = slice(start, start + 100)
            clf.partial_fit(A[rows], a[rows], classes=[0, 1])
    assert clf.score(A[500:], a[500:]) > 0.9
    # The bins are those of the first rows.
    first = learn_encoding(A[:100], None, (), 4)
    assert_array_equal(clf.network_.features.encoding.start, first.start)


def test_sparse_inputs_are_refused():
    with pytest.raises(TypeError, match="X is sparse, but numerical_encoding"):
        network().fit(csr_array(X), Y)


@pytest.mark.parametrize("bad", [{"numerical_encoding": "bins"}, {"n_bins": 1}, {"n_bins": 2.5}])
def test_bad_parameters(bad):
    with pytest.raises(ValueError, match=f"The '{next(iter(bad))}' parameter"):
        network(**bad).fit(X, Y)


@pytest.mark.parametrize("n_values", [3, 4, 5])
def test_as_many_values_as_edges_are_the_edges(n_values):
    values = np.arange(n_values) ** 2.0
    x = np.repeat(values, [50] + [1] * (n_values - 1))[:, None]
    encoding = learn_encoding(x, None, (), 4)
    assert_array_equal(encoding.start, values[:-1])
    assert_array_equal(encoding.width, np.diff(values))


@pytest.mark.parametrize("weighted", [False, True])
def test_whether_there_are_bins_is_known_before(weighted):
    rng = np.random.RandomState(0)
    gap = [np.nan, np.nan, np.nan, 2.0, np.nan, np.nan]
    columns = {
        "constant": ([7.0] * 6, False),
        "two values": ([0, 0, 0, 5, 0, 5.0], False),
        "two values and gaps": ([np.nan, 0, 0, 5, 0, np.nan], False),
        "one value and gaps": (gap, False),
        "gaps": ([np.nan] * 6, False),
        "three values": ([0, 1, 1, 1, 1, 2.0], not weighted),
        "numbers": (rng.standard_normal(6), True),
    }
    weight = np.array([0, 1, 1, 2, 1, 1.0]) if weighted else None
    for name, (column, expected) in columns.items():
        A = np.column_stack([np.zeros(6), column])
        assert has_bins(A, weight, ()) == expected, name
        assert learn_encoding(A, weight, (), 4).bins.any() == expected, name
        assert not has_bins(A, weight, {1})
