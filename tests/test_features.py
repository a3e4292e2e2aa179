"""Features as the network sees them: the formula written out, its far ends, and the estimator."""

import copy

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st
from jobs import PLAIN
from judges import bounded, scaled, scaling_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.preprocessing import StandardScaler

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.network import features
from sknn_scratch.network.features import FeatureMap, learn_features, learn_scaling

WINE, KINDS = load_wine(return_X_y=True)
TEST = np.arange(len(KINDS)) % 3 == 0
SPARSE = [sp.csr_matrix, sp.csr_array]


def table(n=40, seed=0):
    """Columns on many scales, none of zeros and ones."""
    rng = np.random.RandomState(seed)
    return rng.normal(size=(n, 4)) * [1, 1e-3, 1e4, 30] + [0, 5, -1e6, 3]


def counts(n=40, seed=0):
    """Mostly zeros, of both signs, and a column of zeros alone."""
    rng = np.random.RandomState(seed)
    X = rng.binomial(1, 0.3, size=(n, 5)) * rng.normal(size=(n, 5)) * [1, 1e-3, 1e4, 30, 0]
    assert (X != 0).any(axis=0).tolist() == [True] * 4 + [False]
    return X


# ---------------------------------------------------------------- the formula


@pytest.mark.parametrize("weighted", [False, True])
def test_columns_are_centred_divided_by_their_deviation_and_bounded(weighted):
    X, weight = table(), np.random.RandomState(1).uniform(size=40) if weighted else None
    mean = np.average(X, axis=0, weights=weight)
    scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
    scaling = learn_scaling(X, weight)
    assert_allclose(scaling.mean, mean, rtol=1e-12, atol=1e-12)
    assert_allclose(scaling.scale, scale, rtol=1e-8)
    assert_allclose(scaling(X, np.float64), bounded((X - mean) / scale), rtol=1e-6, atol=1e-8)


def test_it_is_standard_scaler_and_the_bound():
    X = table()
    standard = StandardScaler().fit(X[:30])
    scaled = learn_scaling(X[:30], None)(X, np.float64)
    assert_allclose(scaled, bounded(standard.transform(X)), rtol=1e-12, atol=1e-12)


def test_values_within_two_deviations_hardly_change():
    X = 7 * np.linspace(-1, 1, 41)[:, None] ** 3 + 100
    standard = ((X - X.mean()) / X.std()).ravel()
    seen = learn_scaling(X, None)(X, np.float64).ravel()
    near = np.abs(standard) <= 2
    assert 0 < near.sum() < len(near)
    assert_allclose(seen[near], standard[near], rtol=0.03)
    assert (np.abs(seen[~near]) < 0.97 * np.abs(standard[~near])).all()


def test_columns_of_zeros_and_ones_are_only_bounded():
    rng = np.random.RandomState(0)
    rare = (np.arange(40) == 7).astype(float)
    left_alone = np.column_stack([rng.randint(2, size=40), rare, 1 - rare, np.zeros(40)])
    X = np.column_stack([left_alone, rare / 2, -rare, 3 - 2 * rare])
    scaling = learn_scaling(X, None)
    assert_array_equal(scaling.mean[:4], 0)
    assert_array_equal(scaling.scale[:4], 1)
    assert_allclose(scaling(X, np.float64)[:, :4], bounded(left_alone), rtol=1e-15)
    # Other numbers are divided: those that are rare, by their size alone.
    assert_array_equal(scaling.mean[4:6], 0)
    assert_allclose(scaling.scale[4:6], [0.5, 1], rtol=1e-12)
    assert_allclose(scaling.mean[6], 2.95)


def test_zeros_and_ones_with_something_far_out_are_still_zeros_and_ones():
    column = np.r_[np.arange(39) % 2, -999.0][:, None]
    scaling = learn_scaling(column, None)
    assert (scaling.mean, scaling.scale) == (0, 1)


KINDS_OF_COLUMNS = {
    "normal": lambda rng, n: rng.normal(3, 10.0 ** rng.randint(-4, 5), n),
    "far from zero": lambda rng, n: 1e6 + rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_cauchy(n),
    "skewed": lambda rng, n: rng.lognormal(7, 3, n),
    "a sentinel": lambda rng, n: np.where(rng.rand(n) < 0.2, -999, rng.normal(size=n)),
    "few counts": lambda rng, n: rng.poisson(0.5, n),
    "many counts": lambda rng, n: rng.poisson(3, n),
    "zeros and ones": lambda rng, n: rng.randint(2, size=n),
    "zeros and minus ones": lambda rng, n: -rng.binomial(1, 0.8, n),
    "zeros and others": lambda rng, n: rng.binomial(1, 0.5, n) * rng.normal(size=n),
    "one value prevails": lambda rng, n: np.where(rng.rand(n) < 0.7, 8, rng.normal(size=n)),
    "constant": lambda rng, n: np.full(n, rng.choice([0, 1, 7.5])),
}


@pytest.mark.parametrize("kind", KINDS_OF_COLUMNS)
@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
@pytest.mark.parametrize("weights", ["none", "whole", "any"])
def test_centre_and_scale_are_those_of_the_values_within_bounds(kind, weights, container):
    rng = np.random.RandomState(0)
    for n in [*range(1, 8), 39, 40, 120]:
        X = KINDS_OF_COLUMNS[kind](rng, n)[:, None].astype(float)
        weight = {"none": None, "whole": rng.randint(4, size=n), "any": rng.uniform(size=n)}[
            weights
        ]
        weight = None if weight is None else np.r_[2.0, weight[1:]]
        mean, scale = scaling_of(X, weight)
        found = learn_scaling(container(X), weight)
        assert_allclose(found.mean, mean, rtol=1e-9, atol=1e-9 * scale[0])
        assert_allclose(found.scale, scale, rtol=1e-9)


@given(
    values=st.lists(
        st.sampled_from([-7, -1, 0, 0, 0, 1, 1, 2, 3, 50, 1e6]), min_size=1, max_size=9
    ),
    weights=st.lists(st.integers(0, 3), min_size=8, max_size=8),
)
@example(values=[0, 0, 0, 0, 1, 1, -7], weights=[1] * 8)
def test_values_that_tie_and_bounds_that_are_met(values, weights):
    X, weight = np.array(values, dtype=float)[:, None], np.array([1.0, *weights])[: len(values)]
    for w in (None, weight):
        mean, scale = scaling_of(X, w)
        for container in (np.asarray, *SPARSE):
            found = learn_scaling(container(X), w)
            assert_allclose([found.mean, found.scale], [mean, scale], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
@pytest.mark.parametrize("far", [-999, 1e6, 1e30, -1e300])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.35])
def test_what_is_far_out_does_not_count(share, far, container):
    X = np.random.RandomState(0).normal(5, 2, size=(200, 3))
    out = np.arange(200) < 200 * share
    slips = np.where(out[:, None], far, X)
    found = learn_scaling(container(slips), None)
    assert_allclose(found.mean, X[~out].mean(axis=0), rtol=1e-9)
    assert_allclose(found.scale, X[~out].std(axis=0), rtol=1e-9)
    seen = found(container(slips), np.float64)
    seen = seen if container is np.asarray else seen.toarray()
    assert_allclose(seen[out], np.sign(far) * 3.5, rtol=1e-6)


def test_of_normal_data_nothing_is_left_out_and_of_heavy_tails_something():
    rng = np.random.RandomState(0)
    normal, heavy = rng.normal(size=(10_000, 1)), rng.standard_cauchy(size=(10_000, 1))
    assert_allclose(learn_scaling(normal, None).scale, normal.std(axis=0), rtol=1e-9)
    assert learn_scaling(heavy, None).scale < heavy.std(axis=0) / 10


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
@pytest.mark.parametrize("n_zeros", [19, 20, 21])
def test_a_column_of_which_half_is_zero_is_not_centred(n_zeros, container):
    values = 5 + np.random.RandomState(0).normal(size=40 - n_zeros)
    X = np.r_[np.zeros(n_zeros), values][:, None]
    found = learn_scaling(container(X), None)
    if n_zeros < 20:
        assert_allclose([found.mean[0], found.scale[0]], [X.mean(), X.std()], rtol=1e-12)
    else:
        root = np.sqrt((values**2).mean())
        assert_allclose([found.mean[0], found.scale[0]], [0, root], rtol=1e-12)
        weight = np.where(X[:, 0] == 0, 0.5, 1.0)  # by weight, less than half
        mean = np.average(X[:, 0], weights=weight)
        assert_allclose(learn_scaling(container(X), weight).mean, mean, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, 7.0, -1e9, 1e18, 1e30])
def test_a_constant_column_becomes_zero(value, dtype):
    X = np.column_stack([np.full(51, value), table(51)[:, 0]]).astype(dtype)
    for weight in (None, np.random.RandomState(1).uniform(size=51)):
        assert_allclose(learn_scaling(X, weight)(X, dtype)[:, 0], 0, atol=1e-6)


@pytest.mark.parametrize("value", [1.0, 7.0, -1e9, 1e30])
def test_values_two_steps_of_the_type_apart_are_one_value_and_four_are_not(value):
    step = np.spacing(abs(value))
    for steps, scale in ((2, 1.0), (4, 4 * step * (2 / 3) ** 0.5)):
        X = value + steps * step * np.array([[-1.0], [0], [1]] * 9)
        assert_allclose(learn_scaling(X, None).scale, scale, rtol=1e-12)


def test_columns_are_measured_some_at_a_time(monkeypatch):
    """So many that their copy takes little memory."""
    seen = []

    def looking(block):
        seen.append(block.shape)
        return np.array(block, order="C")

    monkeypatch.setattr(features, "MEASURED_AT_ONCE", 1000)
    monkeypatch.setattr(np, "ascontiguousarray", looking)
    learn_scaling(np.random.RandomState(0).normal(size=(100, 200)), None)
    assert sum(columns for columns, _ in seen) == 200
    assert max(columns * rows for columns, rows in seen) == 1000


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("size", [1e-300, 1e9, 1e30, 3e38, 1e300, 1.7e308])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_far_out_are_finite_bounded_and_in_order(sparse, size, dtype):
    if dtype == np.float32 and not 1e-30 < size < 1e39:
        return  # not a number of this type
    values = (np.linspace(-1, 1, 41) * size).astype(dtype)
    X = np.column_stack([values, values, np.linspace(-1, 1, 41, dtype=dtype)])
    X[:, 1] += dtype(size) / 2 if size * 1.5 < float(np.finfo(dtype).max) else 0
    X = sp.csr_matrix(X) if sparse else X
    scaled = learn_scaling(X, None)(X, dtype)
    scaled = scaled.toarray() if sparse else scaled
    assert scaled.dtype == dtype
    assert np.isfinite(scaled).all()
    assert np.abs(scaled).max() <= 3.5
    assert (np.diff(scaled, axis=0) >= 0).all()


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
def test_rows_further_out_than_any_before_are_at_the_bound(container):
    scaling = learn_scaling(container(counts()), None)
    far = np.array([[1e30, -1e30, 1e300, -1.7e308, 0]])
    found = scaling(container(far), np.float64)
    found = found if isinstance(found, np.ndarray) else found.toarray()
    assert_allclose(found, [[3.5, -3.5, 3.5, -3.5, 0]], atol=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_order_is_kept_and_nothing_is_beyond_the_bound(values):
    X = np.array(values)[:, None]
    x = learn_scaling(X, None)(X, np.float64)
    assert np.abs(x).max() <= 3.5 + 1e-14
    assert (np.diff(x[X[:, 0].argsort()], axis=0) >= -1e-14).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
def test_the_type_asked_for_and_a_copy(container, dtype):
    X = counts()
    matrix, before = container(X.astype(np.float32)), X.astype(np.float32)
    scaling = learn_scaling(matrix, None)
    found = scaling(matrix, dtype)
    assert found.dtype == dtype
    assert scaling.mean.dtype.kind == scaling.scale.dtype.kind == "f"
    again, found = (a if isinstance(a, np.ndarray) else a.toarray() for a in (matrix, found))
    assert_array_equal(again, before)
    exact = learn_scaling(container(X), None)(container(X), np.float64)
    assert_allclose(found, exact if container is np.asarray else exact.toarray(), atol=1e-6)


# ---------------------------------------------------------------- sparse


@pytest.mark.parametrize("container", SPARSE)
def test_sparse_columns_keep_their_zeros(container):
    X = counts()
    scaling = learn_scaling(container(X), None)
    found = scaling(container(X), np.float64)
    assert sp.issparse(found)
    assert found.nnz == np.count_nonzero(X)
    root = [np.sqrt((x[x != 0] ** 2).mean()) for x in X.T[:4]]
    assert_array_equal(scaling.mean, 0)
    assert_allclose(scaling.scale, [*root, 1], rtol=1e-12)
    assert_allclose(found.toarray(), bounded(X / scaling.scale), rtol=1e-12)
    # The same for a dense X, such as one that is to be predicted.
    assert_allclose(scaling(X, np.float64), found.toarray(), rtol=1e-12)


def mixed(n=40):
    """Columns that stay sparse beside raw numbers, in turn."""
    return np.column_stack([table(n), counts(n), table(n, seed=1) + 2000])[
        :, np.arange(13) * 5 % 13
    ]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("container", SPARSE)
def test_a_sparse_table_goes_through_the_same_map_as_dense(container, weighted):
    X, weight = mixed(), np.random.RandomState(1).uniform(size=40) if weighted else None
    dense, sparse = learn_scaling(X, weight), learn_scaling(container(X), weight)
    assert_allclose(sparse.mean, dense.mean, rtol=1e-12)
    assert_allclose(sparse.scale, dense.scale, rtol=1e-12)
    found = sparse(container(X), np.float64)
    assert sp.issparse(found)
    assert_allclose(found.toarray(), scaled(X, X, weight), rtol=1e-8, atol=1e-8)
    assert_allclose(found.toarray(), dense(X, np.float64), rtol=1e-9, atol=1e-9)
    # Raw numbers are filled in, and nothing else.
    raw = dense.mean != 0
    assert raw.sum() == 8
    assert found.nnz <= 40 * raw.sum() + np.count_nonzero(X[:, ~raw])
    new = counts(seed=2).repeat(3, axis=1)[:, :13]
    assert_allclose(
        sparse(container(new), np.float64).toarray(), dense(new, np.float64), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("container", SPARSE)
def test_zeros_that_are_stored_and_columns_out_of_order_make_no_difference(container):
    X = mixed()
    full = sp.csr_array((X.ravel(), np.tile(np.arange(13), 40), 13 * np.arange(41)))
    turned = container((full.data, full.indices, full.indptr), shape=X.shape)
    for row in range(40):
        part = slice(13 * row, 13 * row + 13)
        turned.data[part], turned.indices[part] = turned.data[part][::-1], np.arange(13)[::-1]
    assert_array_equal(turned.toarray(), X)
    expected = learn_scaling(X, None)
    found = learn_scaling(turned, None)
    assert_allclose([found.mean, found.scale], [expected.mean, expected.scale], rtol=1e-12)
    seen = found(turned, np.float64).toarray()
    assert_allclose(seen, expected(X, np.float64), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("container", SPARSE)
def test_values_in_pieces_are_put_together_before_they_are_bounded(container):
    X = container(counts())
    data, columns = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2)
    pieces = container((data, columns, 2 * X.indptr), shape=X.shape)
    assert not pieces.has_canonical_format
    for scaling in (learn_scaling(X, None), learn_scaling(pieces, None)):
        found = scaling(pieces, np.float64).toarray()
        assert_allclose(found, learn_scaling(X, None)(X, np.float64).toarray(), rtol=1e-12)
    assert pieces.nnz == 2 * X.nnz


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
def test_weights_equal_repeated_rows(container):
    X, weight = mixed(), np.arange(40) % 4
    X[0] = 1e6  # has no weight
    weighted = learn_scaling(container(X), weight.astype(float))
    repeated = learn_scaling(container(X.repeat(weight, axis=0)), None)
    assert_allclose(weighted.mean, repeated.mean, rtol=1e-9, atol=1e-12)
    assert_allclose(weighted.scale, repeated.scale, rtol=1e-9)
    assert_allclose(weighted.scale, scaling_of(X, weight)[1], rtol=1e-9)


@pytest.mark.parametrize("container", [np.asarray, *SPARSE])
@pytest.mark.parametrize("unit", [1e-300, 1 / 40, 1000, 1e200])
def test_the_unit_of_weights_and_the_order_of_rows_make_no_difference(unit, container):
    rng = np.random.RandomState(0)
    X, weight, order = mixed(), rng.uniform(size=40), rng.permutation(40)
    expected = learn_scaling(X, weight)
    for X_given, weight_given in [(X, weight * unit), (X[order], weight[order] * unit)]:
        found = learn_scaling(container(X_given), weight_given)
        assert_allclose(found.mean, expected.mean, rtol=1e-9)
        assert_allclose(found.scale, expected.scale, rtol=1e-9)
    equal = learn_scaling(container(X), np.full(40, unit))
    assert_allclose(equal.mean, learn_scaling(X, None).mean, rtol=1e-9)


def test_rows_of_weight_zero_have_no_say_in_the_inputs_for_gaps():
    X, weight = table(300), np.ones(300)
    X[:30, 1] = X[250:, 2] = np.nan
    weight[250:] = 0
    expected = learn_features(X[:250], None, {})(X, np.float64)
    assert expected.shape[1] == X.shape[1] + 1
    assert_array_equal(learn_features(X, weight, {})(X, np.float64), expected)


def test_a_sparse_table_is_centred_too_if_a_dense_one_was():
    X = table()
    scaling = learn_scaling(X, None)
    found = scaling(sp.csr_array(X), np.float64)
    found = found.toarray() if sp.issparse(found) else found
    assert_allclose(found, scaling(X, np.float64), rtol=1e-12)


# ---------------------------------------------------------------- the estimator


def quick(**settings):
    return ScratchMLPClassifier((8,), **{"max_iter": 10, "random_state": 0} | settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": True},
        {"hidden_layer_sizes": (), "learning_rate_init": 0.1, "input_dropout": 0.2},
        {"init": "glorot", "solver": "sgd"},
        # It has one minimum, so that rounding does not lead elsewhere.
        {"hidden_layer_sizes": (), "solver": "lbfgs", "loss": "log_loss", "alpha": 1.0}
        | {"max_iter": "auto", "tol": 1e-9},
    ],
    ids=str,
)
def test_a_raw_table_equals_a_scaled_table_in_front(settings):
    inside = ScratchMLPClassifier(**{"max_iter": 20, "random_state": 0} | settings)
    in_front = copy.copy(inside).set_params(scale_features=False)
    inside.fit(WINE[~TEST], KINDS[~TEST])
    seen = scaled(WINE, WINE[~TEST])
    in_front.fit(seen[~TEST], KINDS[~TEST])
    assert_allclose(inside.mean_, WINE[~TEST].mean(axis=0), rtol=1e-12)
    assert_allclose(inside.scale_, WINE[~TEST].std(axis=0), rtol=1e-12)
    for method in ("predict_proba", "predict_log_proba"):
        found = getattr(inside, method)(WINE)
        assert_allclose(found, getattr(in_front, method)(seen), rtol=1e-6, atol=1e-6)
    pairs = zip(inside.hidden_activations(WINE), in_front.hidden_activations(seen), strict=True)
    for a, b in pairs:
        assert_allclose(a, b, atol=1e-6)
    assert inside.score(WINE[TEST], KINDS[TEST]) > 0.9


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_cells_in_a_wrong_unit_cost_next_to_nothing(container):
    X, y = load_breast_cancer(return_X_y=True)
    test = np.arange(569) % 3 == 0
    slips = X[~test].copy()
    slips[np.arange(30), np.arange(30)] = 1000 * X[~test].max(axis=0)  # one cell a column
    right, wrong = (
        ScratchMLPClassifier((40,), random_state=0).fit(container(table), y[~test])
        for table in (X[~test], slips)
    )
    p, q = (clf.predict_proba(X[test])[:, 1] for clf in (right, wrong))
    assert ((q - y[test]) ** 2).mean() < ((p - y[test]) ** 2).mean() + 0.005
    assert wrong.score(X[test], y[test]) > 0.95
    # Divided by deviations in which the slips count, the columns would say nothing.
    scaler = StandardScaler().fit(slips)
    blind = ScratchMLPClassifier((40,), scale_features=False, random_state=0)
    blind.fit(scaler.transform(slips), y[~test])
    assert blind.score(scaler.transform(X[test]), y[test]) < 0.9


def test_the_unit_of_measure_does_not_matter():
    first = quick().fit(WINE, KINDS)
    units = np.logspace(-6, 9, 13)
    second = quick().fit(WINE * units + 3 * units, KINDS)
    p = second.predict_proba(WINE * units + 3 * units)
    assert_allclose(p, first.predict_proba(WINE), atol=1e-6)


@pytest.mark.parametrize(
    "column",
    [np.full(178, 5.0), np.full(178, 1e9), 1e9 + np.linspace(-1, 1, 178)],
    ids=["constant", "constant and large", "large and nearly constant"],
)
def test_a_column_that_tells_nothing_changes_nothing_essential(column):
    X = np.column_stack([WINE, column])
    clf = ScratchMLPClassifier(random_state=0).fit(X[~TEST], KINDS[~TEST])
    p = clf.predict_proba(X[TEST])
    assert ((p - np.eye(3)[KINDS[TEST]]) ** 2).sum(axis=1).mean() < 0.05


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix])
def test_mean_and_scale_stay_in_a_warm_start(container):
    first, other = container(np.abs(WINE)), container(7 * WINE)
    warm = quick(warm_start=True).fit(first, KINDS)
    expected = learn_scaling(first, None)
    for _ in range(2):
        warm.fit(other, KINDS)
        assert_array_equal(warm.mean_, expected.mean)
        assert_array_equal(warm.scale_, expected.scale)
    anew = quick().fit(first, KINDS).fit(other, KINDS)
    assert_allclose(anew.scale_, 7 * expected.scale, rtol=1e-12)


def test_without_scaling_there_is_neither_mean_nor_scale():
    clf = quick(**PLAIN).fit(WINE / 100, KINDS)
    assert clf.mean_ is None
    assert clf.scale_ is None
    z = WINE / 100 @ clf.coefs_[0] + clf.intercepts_[0]
    (a,) = clf.hidden_activations(WINE / 100)
    assert_allclose(a, 1 / (1 + np.exp(-z)), atol=1e-12)


def test_what_was_fitted_counts_and_not_the_setting():
    scaled, plain = quick().fit(WINE, KINDS), quick(scale_features=False).fit(WINE / 100, KINDS)
    for clf, X in [(scaled, WINE), (plain, WINE / 100)]:
        p = clf.predict_proba(X)
        clf.set_params(scale_features=not clf.scale_features)
        assert_array_equal(clf.predict_proba(X), p)
        assert (clf.partial_fit(X, KINDS).mean_ is None) == (clf is plain)


def test_a_fit_on_weighted_rows_is_scaled_by_weight():
    weight = np.arange(178) % 3
    clf = quick().fit(WINE, KINDS, sample_weight=weight)
    X = WINE.repeat(weight, axis=0)
    assert_allclose(clf.mean_, X.mean(axis=0), rtol=1e-10)
    assert_allclose(clf.scale_, X.std(axis=0), rtol=1e-10)


@pytest.mark.parametrize("container", SPARSE)
def test_predictions_for_sparse_x_are_those_for_dense_x(container):
    for X in (WINE, container(WINE)):
        clf = quick().fit(X, KINDS)
        assert_allclose(clf.predict_proba(container(WINE)), clf.predict_proba(WINE), rtol=1e-9)


def test_scaling_is_what_the_attributes_say():
    clf = quick(dtype="float32").fit(WINE, KINDS)
    x = FeatureMap(clf.mean_, clf.scale_)(WINE, np.float32)
    assert x.dtype == np.float32
    z = x @ clf.coefs_[0] + clf.intercepts_[0]
    (a,) = clf.hidden_activations(WINE)
    assert a.dtype == np.float32
    assert_allclose(a, 1 / (1 + np.exp(-z)), atol=1e-5)
