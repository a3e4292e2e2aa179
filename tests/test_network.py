"""The network's way forward and back, judged by the formulas written out and by differences."""

import runpy
from dataclasses import astuple, replace
from itertools import pairwise, product

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import make_job
from numpy.testing import assert_allclose, assert_array_equal

from sknn_scratch.network import activations
from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.features import AS_THEY_ARE, learn_scaling
from sknn_scratch.network.initialisation import (
    ROWS_LOOKED_AT,
    draw_theta,
    glorot_bounds,
    initialise_by_data,
    scaled_bounds,
)
from sknn_scratch.network.layers import Architecture, layers_of, n_params, n_weights, theta_of
from sknn_scratch.network.model import BLOCK_VALUES, Network
from sknn_scratch.training.objective import Batch, Objective

FORMULAS = {
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "relu": lambda z: np.where(z > 0, z, 0),
}
OUTPUTS = {"binary": ("logistic", 1), "multiclass": ("softmax", 3), "multilabel": ("logistic", 4)}
# Each loss at each kind of output.
LOSSES_AT = [
    *product(["squared_error", "guarded_squared_error", "log_loss"], OUTPUTS.values()),
    ("squared_error", ("identity", 2)),
    ("huber", ("identity", 2)),
    ("poisson", ("exp", 2)),
]


def stack_of(jobs):
    """Objective and batch over all rows of the jobs, as one stack."""

    def joined(name):
        arrays = [getattr(job, name) for job in jobs]
        return np.stack(arrays) if len(jobs) > 1 else arrays[0]

    K = (len(jobs),) if len(jobs) > 1 else ()
    batch = Batch(jobs[0].architecture.sizes, K, joined("X"), joined("Y"))
    if jobs[0].sample_weight is not None:
        batch.set_weights(joined("sample_weight"))
    theta = np.stack([job.start.theta for job in jobs]).reshape(*K, -1)
    return Objective(jobs, theta), batch


def loss_written_out(job, theta):
    """Loss of one network on all rows of its job, in plain NumPy, one formula after another."""
    a, at, layers = job.X, 0, []
    sizes, activation, output, loss = astuple(job.architecture)
    for n_in, n_out in pairwise(sizes):
        layers.append([theta[at : at + n_in * n_out].reshape(n_in, n_out)])
        at += n_in * n_out
    for layer in layers:
        n_out = layer[0].shape[1]
        layer.append(theta[at : at + n_out])
        at += n_out
    for i, (W, b) in enumerate(layers):
        z = a @ W + b
        a = FORMULAS[activation](z) if i < len(layers) - 1 else z
    written_out = losses_of_classes if output in ("softmax", "logistic") else losses_of_numbers
    values = written_out(loss, output, z, job.Y, job.guard)
    weight = np.ones((len(z), 1)) if job.sample_weight is None else job.sample_weight
    norm = sum((W**2).sum() for W, _ in layers)
    return ((values * weight).sum() + job.alpha / 2 * norm) / len(z)


def losses_of_classes(loss, output, z, Y, guard):
    """Loss of each row and output, of 0 or 1."""
    if output == "softmax":
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    else:
        p = 1 / (1 + np.exp(-z))
    logs = -Y * np.log(p)
    if output == "logistic":
        logs -= (1 - Y) * np.log(1 - p)
    return {
        "squared_error": (p - Y) ** 2,
        "log_loss": logs,
        "guarded_squared_error": (p - Y) ** 2 + guard * logs,
    }[loss]


def losses_of_numbers(loss, output, z, Y, guard):
    """Loss of each row and output, of numbers."""
    if output == "exp":
        return Y * np.log(np.where(Y > 0, Y, 1)) - Y * z - Y + np.exp(z)
    e = np.abs(z - Y)
    return {"squared_error": e**2 / 2, "huber": np.where(e <= 1, e**2 / 2, e - 1 / 2)}[loss]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("hidden", [(), (4,), (4, 3), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("loss, outputs", LOSSES_AT, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("K", [1, 3])
def test_gradient_equals_finite_differences(K, activation, loss, outputs, hidden, weighted):
    rng = np.random.RandomState(0)
    output, n_outputs = outputs
    jobs = [
        make_job(
            rng,
            sizes=(3, *hidden, n_outputs),
            output=output,
            activation=activation,
            loss=loss,
            weighted=weighted,
            alpha=alpha,
        )
        for alpha in (0.3, 0.0, 2.0)[:K]
    ]
    objective, batch = stack_of(jobs)
    losses = objective.evaluate(batch)
    grad = objective.grad.reshape(K, -1)
    assert_allclose(
        np.atleast_1d(losses), [loss_written_out(job, job.start.theta) for job in jobs], rtol=1e-12
    )

    h = 1e-5
    differences = np.empty_like(grad)
    for k, job in enumerate(jobs):
        theta = job.start.theta
        for i in range(len(theta)):
            step = h * (np.arange(len(theta)) == i)
            up = loss_written_out(job, theta + step)
            down = loss_written_out(job, theta - step)
            differences[k, i] = (up - down) / (2 * h)
    # Relative to the largest component of each network's gradient.
    error = np.abs(grad - differences).max(axis=1) / np.abs(grad).max(axis=1)
    assert (error < 1e-6).all(), error


@pytest.mark.parametrize("width", [1, 4], ids=["of rows", "of rows and labels"])
@pytest.mark.parametrize("loss", ["squared_error", "guarded_squared_error", "log_loss"])
def test_a_batch_is_divided_by_its_number_of_rows_whatever_they_weigh(loss, width):
    rng = np.random.RandomState(0)
    job = make_job(rng, sizes=(3, 4, 4), output="logistic", loss=loss, alpha=0.3)
    job = replace(job, sample_weight=rng.uniform(0, 0.5, size=(7, width)))
    objective, batch = stack_of([job])
    theta = job.start.theta
    assert_allclose(objective.evaluate(batch), loss_written_out(job, theta), rtol=1e-12)
    h = 1e-5 * np.eye(len(theta))
    up, down = ([loss_written_out(job, theta + s * step) for step in h] for s in (1, -1))
    assert_allclose(objective.grad, np.subtract(up, down) / 2e-5, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [50, 2000])
def test_activation_and_its_derivative(name, dtype, size):
    # relu has no derivative at 0, which is not among these. Few and many take different ways.
    z = np.linspace(-8, 8, size)
    a = z.astype(dtype)
    ACTIVATIONS[name].apply(a)
    tolerance = 50 * np.finfo(dtype).eps
    assert a.dtype == dtype
    assert_allclose(a, FORMULAS[name](z), atol=tolerance, rtol=tolerance)

    h = 1e-6
    slope = (FORMULAS[name](z + h) - FORMULAS[name](z - h)) / (2 * h)
    before = a.copy()
    for scratch in (np.empty_like(a), a):
        assert_array_equal(a, before)
        delta = np.full_like(a, 3)
        ACTIVATIONS[name].backprop(a, delta, scratch)
        assert_allclose(delta, 3 * slope, atol=max(tolerance, 1e-8))


@pytest.mark.parametrize("by_exp", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_forms_of_the_sigmoid(monkeypatch, dtype, by_exp):
    types = {np.dtype(dtype)} if by_exp else set()
    monkeypatch.setattr(activations, "EXP_IS_FASTER", types)
    z = np.linspace(-90, 90, 2000).astype(dtype)
    a, exact = z.copy(), FORMULAS["logistic"](z.astype(np.float64))
    with np.errstate(over="ignore"):
        activations.logistic(a)
    assert_allclose(a, exact, rtol=0, atol=4 * np.finfo(dtype).eps)
    if by_exp:  # also far out, until exp overflows
        few = exact > 2 * np.finfo(dtype).tiny
        assert_allclose(a[few], exact[few], rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize(
    "found, types",
    [
        (["SSE42", "AVX", "F16C", "FMA3", "AVX2"], ["float32", "float64"]),
        (["X86_V3"], ["float32", "float64"]),
        (["SSE42", "AVX2", "AVX512F", "AVX512_SKX"], ["float64"]),
        (["X86_V3", "X86_V4"], ["float64"]),
        (["ASIMDHP", "ASIMDDP"], ["float64"]),
        (["SSE42"], ["float64"]),
        ([], ["float64"]),
    ],
    ids=str,
)
def test_the_form_of_the_sigmoid_goes_by_the_instructions_of_the_processor(
    monkeypatch, found, types
):
    """By NumPy's older names, its newer ones, and where it, as always, leaves out what is empty."""
    extensions = {"SIMD Extensions": {"found": found}} if found else {}
    monkeypatch.setattr(np, "show_config", lambda mode: extensions)
    chosen = runpy.run_path(activations.__file__)["EXP_IS_FASTER"]
    assert chosen == {np.dtype(name) for name in types}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_unit_starts_where_it_works(name):
    """Where its slope makes up for its scale. Half of rectified units are zero (He et al. 2015)."""
    gain, f, h = ACTIVATIONS[name].gain, FORMULAS[name], 1e-6
    if name == "relu":
        z = np.random.RandomState(0).normal(size=100_000)
        assert np.mean(f(gain * z) ** 2) == pytest.approx(1, rel=0.02)
    else:
        assert gain * (f(h) - f(-h)) / (2 * h) == pytest.approx(1)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [5, 2000])
def test_activations_are_finite_far_out(name, dtype, size):
    z = np.resize(np.array([-1e4, -750.0, 0.0, 750.0, 1e4], dtype=dtype), size)
    a = z.copy()
    with np.errstate(over="ignore"):
        ACTIVATIONS[name].apply(a)
    expected = {
        "identity": z,
        "logistic": (1 + np.sign(z)) / 2,
        "tanh": np.sign(z),
        "relu": np.maximum(z, 0),
    }
    assert_array_equal(a, expected[name])


def test_layers_are_views_of_theta_weights_first():
    sizes = (3, 4, 2)
    theta = np.zeros((2, n_params(sizes)))
    layers = layers_of(theta, sizes)
    for value, (W, b) in enumerate(layers, start=1):
        W[:], b[:] = value, -value
    assert [W.shape for W, _ in layers] == [(2, 3, 4), (2, 4, 2)]
    assert [b.shape for _, b in layers] == [(2, 1, 4), (2, 1, 2)]
    assert n_weights(sizes) == 20
    assert_array_equal(theta, np.tile([1] * 12 + [2] * 8 + [-1] * 4 + [-2] * 2, (2, 1)))


@pytest.mark.parametrize("K", [(), (1,), (3,)])
def test_theta_of_undoes_layers_of(K):
    sizes = (3, 4, 2)
    theta = np.random.RandomState(0).normal(size=(*K, n_params(sizes)))
    layers = layers_of(theta, sizes)
    packed = theta_of([W for W, _ in layers], [b[..., 0, :] for _, b in layers])
    assert_array_equal(packed, theta)
    assert not np.shares_memory(packed, theta)
    network = Network.from_theta(Architecture(sizes, "tanh", "softmax", "log_loss"), theta)
    assert_array_equal(network.theta, theta)
    assert all(np.shares_memory(part, theta) for part in network.coefs + network.intercepts)


def test_weights_are_drawn_layer_by_layer_within_their_bounds():
    theta = draw_theta((3, 2, 1), [0.5, 2.0], np.random.RandomState(7), np.float64)
    rng = np.random.RandomState(7)
    W1, b1 = rng.uniform(-0.5, 0.5, (3, 2)), rng.uniform(-0.5, 0.5, 2)
    W2, b2 = rng.uniform(-2, 2, (2, 1)), rng.uniform(-2, 2, 1)
    assert_array_equal(theta, theta_of([W1, W2], [b1, b2]))


def test_glorot_bounds():
    assert_allclose(glorot_bounds((3, 5, 2), "relu"), [(6 / 8) ** 0.5, (6 / 7) ** 0.5])
    assert_allclose(glorot_bounds((3, 5, 2), "logistic"), [(2 / 8) ** 0.5, (2 / 7) ** 0.5])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_scaled_bounds_put_first_layer_at_its_gain_whatever_the_scale(activation, scale):
    rng = np.random.RandomState(0)
    X = scale * rng.normal(size=(400, 10))
    (bound, last) = scaled_bounds((10, 2000, 1), activation, (X**2).sum(axis=1).mean())
    z = X @ rng.uniform(-bound, bound, (10, 2000))
    assert_allclose(z.std(), ACTIVATIONS[activation].gain, rtol=0.05)
    assert_allclose(last, (3 / 2000) ** 0.5)


def test_scaled_bounds_of_inputs_that_are_all_zero():
    assert_allclose(scaled_bounds((12, 3, 1), "tanh", 0.0), [0.5, 1.0])


# ---------------------------------------------------------------- units initialised by the data


def first_layer(X, weight=None, *, n_hidden=30, seed=0, dtype=np.float64):
    """A first layer that was initialised by X, and the root mean square length asked for."""
    sizes = (X.shape[1], n_hidden, 1)
    theta = draw_theta(sizes, [0.7, 1.0], np.random.RandomState(3), dtype)
    layer = layers_of(theta, sizes)[0]
    length = np.sqrt((layer.W**2).sum() / n_hidden)
    initialise_by_data(layer, X, weight, np.random.RandomState(seed))
    return layer, length


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "n_hidden"), [(1, 1), (1, 30), (2, 30), (40, 1), (40, 30), (999, 30)]
)
def test_units_have_the_length_asked_for_and_turn_within_the_data(container, dtype, n, n_hidden):
    X = np.random.RandomState(1).normal(size=(n, 6)).astype(dtype)
    (W, b), length = first_layer(container(X), n_hidden=n_hidden, dtype=dtype)
    assert W.dtype == b.dtype == dtype
    assert_allclose(np.linalg.norm(W, axis=0), length, rtol=1e-5)
    z = X.astype(np.float64) @ W
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    assert (z.min(axis=0) - tolerance <= -b).all()
    assert (-b <= z.max(axis=0) + tolerance).all()


def test_thresholds_are_spread_evenly_over_the_rows():
    X, n_hidden = np.random.RandomState(1).normal(size=(200, 6)), 30
    for seed in range(3):
        (W, b), _ = first_layer(X, n_hidden=n_hidden, seed=seed)
        below = np.sort((X @ W + b < -1e-12).mean(axis=0))
        even = np.arange(n_hidden) / n_hidden
        assert (below >= even - 2 / 200).all()
        assert (below <= even + 1 / n_hidden + 2 / 200).all()


def test_units_in_weighted_rows_are_those_in_repeated_rows_of_any_order():
    rng = np.random.RandomState(1)
    X, weight = rng.normal(size=(60, 6)), np.arange(60) % 4
    (W, b), _ = first_layer(X, weight.astype(float))
    rows = np.repeat(np.arange(60), weight)
    assert len(rows) <= ROWS_LOOKED_AT
    for order in (rows, rng.permutation(rows)):
        other, _ = first_layer(X[order])
        assert_allclose(other.W, W, rtol=1e-12)
        assert_allclose(other.b, b, rtol=1e-10)
    unweighted, _ = first_layer(X)
    assert np.abs(unweighted.b - b).max() > 0.01


@pytest.mark.parametrize("n", [50, 1000])
@pytest.mark.parametrize("seed", range(5))
def test_units_turn_where_rows_have_weight(n, seed):
    X = np.random.RandomState(1).normal(size=(n, 6))
    weight = np.zeros(n)
    weight[[3, 7, 11]] = [1, 2, 3]
    (W, b), _ = first_layer(X, weight, seed=seed)
    z = X[[3, 7, 11]] @ W
    assert (z.min(axis=0) - 1e-12 <= -b).all()
    assert (-b <= z.max(axis=0) + 1e-12).all()


def test_units_look_along_few_columns():
    X = np.random.RandomState(1).normal(size=(50, 50))
    (W, _), length = first_layer(X, n_hidden=400)
    normal = np.random.RandomState(1).normal(size=W.shape)
    squares = [np.sort(V**2 / (V**2).sum(axis=0), axis=0)[-3:].sum(axis=0) for V in (W, normal)]
    # Share of a unit's squared length that its three largest weights have.
    few, even = np.median(squares, axis=1)
    assert few > 0.85
    assert even < 0.4
    assert W.min() < -length / 2
    assert W.max() > length / 2


def test_the_same_seed_gives_the_same_units_and_another_does_not():
    X = np.random.RandomState(1).normal(size=(999, 6))
    (first, _), (second, _), (other, _) = (first_layer(X, seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(first, second, other, strict=True):
        assert_array_equal(a, b)
        assert np.abs(a - c).max() > 0.1


# ---------------------------------------------------------------- the way forward, in blocks


TANH = Architecture((5, 8, 3), "tanh", "softmax", "log_loss")


@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csr_array])
def test_outputs_go_through_rows_in_blocks(container):
    rng = np.random.RandomState(0)
    network = Network.from_theta(TANH, rng.normal(size=n_params(TANH.sizes)))
    (W1, W2), (b1, b2) = network.coefs, network.intercepts
    X = rng.normal(size=(21, 5))
    expected = np.tanh(X @ W1 + b1) @ W2 + b2
    assert BLOCK_VALUES > 21 * 8
    assert_allclose(network.outputs(container(X)), expected, rtol=1e-12)
    for rows in (1, 5, 20, 21):
        found = network.outputs(container(X), block_values=8 * rows)
        assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("container", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csr_array])
@pytest.mark.parametrize("hidden", [(), (8,), (2000, 5)], ids=str)
@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_stack_of_networks_answers_as_each_of_them(kind, hidden, container, scaled):
    rng = np.random.RandomState(0)
    output, n_outputs = OUTPUTS[kind]
    architecture = Architecture((5, *hidden, n_outputs), "logistic", output, "log_loss")
    n = BLOCK_VALUES // 2000 + 7  # more than one block of the widest
    X = container(rng.normal(1, 3, size=(n, 5)) * rng.binomial(1, 0.3, size=(n, 5)))
    features = learn_scaling(X, None) if scaled else AS_THEY_ARE
    theta = rng.normal(size=(3, n_params(architecture.sizes)))
    stack = Network.from_theta(architecture, theta, features)
    alone = [Network.from_theta(architecture, row, features) for row in theta]

    def assert_same(found, expected):
        assert found.shape == (3, n, *np.shape(expected)[2:])
        assert_allclose(found, expected, rtol=1e-12, atol=1e-13)

    for method in ("outputs", "probabilities", "log_probabilities"):
        assert_same(getattr(stack, method)(X), [getattr(one, method)(X) for one in alone])
    assert_same(stack.outputs(X, block_values=400), [one.outputs(X) for one in alone])
    layers = [one.hidden_activations(X) for one in alone]
    found = stack.hidden_activations(X)
    assert [a.shape[-1] for a in found] == list(hidden)
    for a, each in zip(found, zip(*layers, strict=True), strict=True):
        assert_same(a, each)


@settings(deadline=None, max_examples=60)
@given(
    K=st.integers(1, 3),
    n=st.integers(1, 4),
    n_features=st.integers(1, 3),
    hidden=st.lists(st.integers(1, 3), max_size=3),
    kind=st.sampled_from(list(OUTPUTS)),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_degenerate_shapes(K, n, n_features, hidden, kind, dtype):
    rng = np.random.RandomState(0)
    output, n_outputs = OUTPUTS[kind]
    sizes = (n_features, *hidden, n_outputs)
    jobs = [make_job(rng, n=n, sizes=sizes, output=output, dtype=dtype) for _ in range(K)]
    objective, batch = stack_of(jobs)
    losses = objective.evaluate(batch)
    losses = np.atleast_1d(losses)
    assert losses.shape == (K,)
    assert objective.grad.dtype == dtype
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert_allclose(losses, [loss_written_out(job, job.start.theta) for job in jobs], rtol=rtol)
    assert np.isfinite(objective.grad).all()
