"""The tutorial post that the package began with, replayed and corrected.

The post: Ashwin Vaidya, "Creating Neural Network from Scratch in Python", 1 May 2019,
https://ashwinvaidya.com/blog/creating-neural-network-from-scratch-in-python/.
`docs/learn/the_post.md` tells the story; its claims are tested here, against plain NumPy that
shares nothing with the package.

Shapes: X (n, 3), Y (n, 1), W1 (3, units), W2 (units, 1), b1 (units,), b2 (1,). The functions
written with ``...`` and ``swapaxes`` also take stacks of networks, with leading axes.
"""

import ast
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config
from jobs import PLAIN
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from sknn_scratch import ScratchMLPClassifier

X = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 1], [0, 0, 1]])
Y = np.array([[1.0], [1], [0], [0]])
y = np.array([1, 1, 0, 0])

# What the post prints, every 1000 epochs from epoch 0 on.
PRINTED = [
    0.5013730688788007,
    0.4664830127093482,
    0.24207358013744795,
    0.09891100378926312,
    0.087323152676015,
    0.06892222408037366,
    0.05528837086156295,
    0.027425185939300573,
]
EPOCHS = range(0, 8000, 1000)
PAGE = Path(__file__).parents[1] / "docs" / "learn" / "the_post.md"


# The post's network and its update, in plain NumPy


class Net(NamedTuple):
    """Parameters of the network, or their gradients, or their steps."""

    W1: np.ndarray
    W2: np.ndarray
    b1: np.ndarray
    b2: np.ndarray


def start(seed=1, n_features=3, units=4):
    """The post's initial parameters, drawn in its order."""
    draw = np.random.RandomState(seed).randn
    return Net(draw(n_features, units), draw(units, 1), draw(units), draw(1))


def stack(nets):
    """Many networks as one, with a leading axis."""
    return Net(*map(np.stack, zip(*nets, strict=True)))


def sigma(z):
    return 1.0 / (1.0 + np.exp(-z))


def dsigma(z):
    return sigma(z) * (1 - sigma(z))


def forward(net, X):
    a1 = sigma(X @ net.W1 + net.b1[..., None, :])
    return a1, sigma(a1 @ net.W2 + net.b2[..., None, :])


def mae(net, X=X, Y=Y):
    return np.abs(forward(net, X)[1] - Y).mean(axis=(-2, -1))


def mse(net, X=X, Y=Y):
    return ((forward(net, X)[1] - Y) ** 2).mean(axis=(-2, -1))


def step(net, X=X, Y=Y, *, output=True, hidden=True, biases=True):
    """What one epoch subtracts from each parameter.

    Each switch chooses between the right form and the post's: the sigmoid's derivative in the
    output layer, the same in the hidden layer, the biases' sums. With all three right the step is
    n/2 times the gradient of the mean squared error; with none it is the post's.
    """
    a1, a2 = forward(net, X)
    delta2 = (a2 - Y) * (a2 * (1 - a2) if output else dsigma(a2))
    delta1 = delta2 @ net.W2.swapaxes(-1, -2) * (a1 * (1 - a1) if hidden else dsigma(a1))
    if biases:
        b1, b2 = delta1.sum(axis=-2), delta2.sum(axis=-2)
    else:
        b1, b2 = delta1.mean(axis=-1), delta2.mean(axis=-2)
    return Net(X.T @ delta1, a1.swapaxes(-1, -2) @ delta2, b1, b2)


POST = {"output": False, "hidden": False, "biases": False}
RIGHT = {"output": True, "hidden": True, "biases": True}


def descend(net, n_epochs, rate=1.0, *, step=step, **form):
    """Train; returns the error (mean absolute) before each epoch and the last parameters."""
    errors = []
    for _ in range(n_epochs):
        errors.append(mae(net))
        net = Net(*(p - rate * s for p, s in zip(net, step(net, **form), strict=True)))
    return np.array([*errors, mae(net)]), net


def numeric_gradient(loss, net, eps=1e-6):
    """Central differences of ``loss(net)`` in every parameter."""
    grads = []
    for i, p in enumerate(net):
        grad = np.empty_like(p)
        for index in np.ndindex(p.shape):
            e = np.zeros_like(p)
            e[index] = eps
            up, down = (net._replace(**{Net._fields[i]: p + s * e}) for s in (1, -1))
            grad[index] = (loss(up) - loss(down)) / (2 * eps)
        grads.append(grad)
    return Net(*grads)


def cosine(a, b):
    return float(np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b)))


# What the post prints


def test_the_printed_loss_is_the_mean_absolute_error():
    errors, net = descend(start(), 1000, **POST)
    assert_allclose([errors[0], errors[-1]], PRINTED[:2], rtol=1e-9)
    # Not the mean squared error that the text defines.
    assert_allclose([mse(start()), mse(net)], [0.268576, 0.218316], atol=1e-6)


def reordered_step(net):
    """The post's step with the sums of both products by weights taken in reverse."""

    def product(A, B):
        return sum(A[:, k, None] * B[k] for k in reversed(range(len(B))))

    a1 = sigma(product(X, net.W1) + net.b1)
    a2 = sigma(product(a1, net.W2) + net.b2)
    delta2 = (a2 - Y) * dsigma(a2)
    delta1 = delta2 @ net.W2.T * dsigma(a1)
    return Net(X.T @ delta1, a1.T @ delta2, delta1.mean(axis=1), delta2.mean(axis=0))


def nudged(net, index):
    """The next larger number in place of one hidden weight."""
    W1 = net.W1.copy()
    W1[index] = np.nextafter(W1[index], np.inf)
    return net._replace(W1=W1)


def test_the_posts_update_amplifies_rounding():
    nets = stack([start(), *(nudged(start(), index) for index in np.ndindex(3, 4))])
    errors, _ = descend(nets, 2500, **POST)
    reordered, _ = descend(start(), 2500, step=reordered_step)
    gaps = np.abs(np.column_stack([errors[:, 1:], reordered]) - errors[:, :1])
    assert gaps[:1001].max() < 1e-12
    # A nudge may be absorbed by the rounding of its first sums; most are not.
    assert (gaps.max(axis=0) > 0.01).sum() >= 8


def test_the_right_gradient_does_not_amplify_rounding():
    reference, _ = descend(start(), 7000, **RIGHT)
    other, _ = descend(nudged(start(), (0, 0)), 7000, **RIGHT)
    assert np.abs(other - reference).max() < 1e-12


def largest_factor(net, **form):
    """The eigenvalue of largest size of one update's Jacobian."""
    shapes = [p.shape for p in net]
    cuts = np.cumsum([p.size for p in net])[:-1]

    def update(theta):
        parts = [p.reshape(s) for p, s in zip(np.split(theta, cuts), shapes, strict=True)]
        return theta - np.concatenate([s.ravel() for s in step(Net(*parts), **form)])

    theta = np.concatenate([p.ravel() for p in net])
    eps = 1e-6
    columns = [(update(theta + eps * e) - update(theta - eps * e)) / (2 * eps) for e in np.eye(21)]
    values = np.linalg.eigvals(np.array(columns).T)
    return values[np.argmax(np.abs(values))]


@pytest.mark.parametrize(
    ("form", "factors"),
    [(POST, [1.001, -1.023, -1.385]), (RIGHT, [1.031, 1.000, 1.000])],
    ids=["post", "right"],
)
def test_why_the_posts_update_amplifies_rounding(form, factors):
    nets = [descend(start(), n_epochs, **form)[1] for n_epochs in (1000, 1400, 1480)]
    assert_allclose([largest_factor(net, **form) for net in nets], factors, atol=1e-3)


# Its mistakes, in the code


@pytest.mark.parametrize(("n", "units"), [(4, 4), (5, 4), (4, 3), (7, 2)])
def test_the_right_step_is_n_half_times_the_gradient(n, units):
    rng = np.random.RandomState(0)
    A, B = rng.randn(n, 3), rng.randint(2, size=(n, 1))
    net = start(2, units=units)
    numeric = numeric_gradient(lambda net: mse(net, A, B), net)
    for s, g in zip(step(net, A, B), numeric, strict=True):
        assert_allclose(s, n / 2 * g, rtol=1e-6, atol=1e-9)


def test_the_sigmoid_is_taken_twice():
    z = np.linspace(-6, 6, 25)
    a = sigma(z)
    slope = (sigma(z + 1e-6) - sigma(z - 1e-6)) / 2e-6
    assert_allclose(dsigma(z), slope, rtol=1e-6)
    assert_allclose(a * (1 - a), slope, rtol=1e-6)
    # The post gives it the activation, and so gets a number that hardly changes at all.
    twice = dsigma(a)
    assert twice.min() > 0.1966
    assert twice.max() <= 0.25
    # A saturated unit has next to no slope; the post's stays at a fifth.
    z = np.array([0.0, 2, 5, 20])
    assert_allclose(dsigma(z), [0.25, 0.1050, 0.0066, 0], atol=5e-5)
    assert_allclose(dsigma(sigma(z)), [0.2350, 0.2072, 0.1972, 0.1966], atol=5e-5)


def test_taken_twice_the_weights_gradient_is_wrong_taken_once_it_is_right():
    numeric = numeric_gradient(mse, start())
    once = step(start(), output=True, hidden=True, biases=False)
    assert_allclose(once.W1, 2 * numeric.W1, rtol=1e-6, atol=1e-9)
    assert_allclose(once.W2, 2 * numeric.W2, rtol=1e-6, atol=1e-9)
    # The post's has not even the right direction, so no learning rate makes up for it.
    assert_allclose(cosine(step(start(), **POST).W1, numeric.W1), 0.806, atol=1e-3)
    later = descend(start(), 1000, **POST)[1]
    post, numeric = step(later, **POST), numeric_gradient(mse, later)
    assert_allclose(cosine(post.W1, numeric.W1), 0.061, atol=1e-3)
    assert_allclose(cosine(post.W2, numeric.W2), 0.940, atol=1e-3)
    assert_allclose(cosine(post.b2, numeric.b2), -1)


def test_taken_twice_saturated_weights_run_away():
    # Every unit is saturated on every row, so its weights have no effect on the loss ...
    net = start()._replace(b1=np.full(4, 40.0))
    assert np.abs(numeric_gradient(mse, net).W1).max() < 1e-9
    # ... and the post moves them all the same.
    assert np.abs(step(net, **POST).W1).max() > 0.01


def test_taken_twice_at_the_output_it_is_close_to_the_log_loss():
    _, net = descend(start(), 2000, **RIGHT)
    _, a2 = forward(net, X)
    # The output's delta is (a2 - Y), as for the log loss, times a factor that is nearly constant.
    factor = dsigma(a2)
    assert factor.min() > 0.1966
    assert factor.max() <= 0.25
    # The right factor for the squared error fades as the output becomes sure of itself.
    assert (a2 * (1 - a2)).max() < 0.05


def test_the_hidden_bias_averages_over_units_instead_of_samples():
    numeric = numeric_gradient(mse, start())
    # The third column of X is one in every row, so its weights and the bias share one gradient.
    assert_allclose(numeric.b1, numeric.W1[2], rtol=1e-6, atol=1e-9)
    post = step(start(), biases=False).b1
    assert cosine(post, numeric.b1) < 0.5
    # Unit j is moved by row j: with the rows in another order it moves otherwise.
    order = [3, 2, 1, 0]
    assert_allclose(step(start(), X[order], Y[order], biases=False).b1, post[order], rtol=1e-9)
    assert_allclose(step(start(), X[order], Y[order]).b1, step(start()).b1, rtol=1e-9)


@pytest.mark.parametrize(("n", "units"), [(5, 4), (4, 3)])
def test_the_hidden_bias_fits_only_when_samples_and_units_are_as_many(n, units):
    rng = np.random.RandomState(0)
    A, B = rng.randn(n, 3), rng.randint(2, size=(n, 1))
    net = start(units=units)
    bias = net.b1.copy()
    with pytest.raises(ValueError, match=r"could not be broadcast|non-broadcastable"):
        bias -= step(net, A, B, **POST).b1
    bias -= step(net, A, B).b1
    assert bias.shape == (units,)


def test_a_single_sample_is_not_refused_but_moves_all_units_alike():
    net = start()
    bias = net.b1.copy()
    bias -= step(net, X[:1], Y[:1], **POST).b1
    assert np.ptp(bias - net.b1) < 1e-12
    assert np.ptp(step(net, X[:1], Y[:1]).b1) > 1e-3


def test_biases_take_a_mean_where_weights_take_a_sum():
    numeric = numeric_gradient(mse, start())
    form = step(start(), output=True, hidden=True, biases=False)
    n = len(X)
    # The learning rate that the code amounts to: n/2 for weights, 1/2 for the output's bias ...
    assert_allclose(form.W2, n / 2 * numeric.W2, rtol=1e-6)
    assert_allclose(form.b2, 1 / 2 * numeric.b2, rtol=1e-6)
    # ... where the text's own rule, w - (1/n) sum dJ/dw with J = (y_hat - y)^2, is 1 for both.
    rows = [numeric_gradient(lambda net, i=i: mse(net, X[[i]], Y[[i]]), start()) for i in range(n)]
    assert_allclose(sum(r.W2 for r in rows) / n, numeric.W2, rtol=1e-6)
    assert_allclose(sum(r.b2 for r in rows) / n, numeric.b2, rtol=1e-6)


# Its mistakes, in the text


def test_the_printed_derivatives_lack_the_error():
    x, w, b, target = 0.7, -1.3, 0.4, 1.0
    eps = 1e-6
    z = x * w + b

    def J(w, b):
        return (sigma(x * w + b) - target) ** 2

    dJ_dw = (J(w + eps, b) - J(w - eps, b)) / (2 * eps)
    dJ_db = (J(w, b + eps) - J(w, b - eps)) / (2 * eps)
    assert_allclose(dJ_dw, 2 * (sigma(z) - target) * dsigma(z) * x, rtol=1e-6)
    assert_allclose(dJ_db, 2 * (sigma(z) - target) * dsigma(z), rtol=1e-6)
    assert_allclose(dJ_dw / (2 * dsigma(z) * x), sigma(z) - target, rtol=1e-6)  # as printed
    # Without the error the sign is wrong here, and the step leads away from the target.
    assert np.sign(2 * dsigma(z) * x) != np.sign(dJ_dw)


def test_randn_draws_from_a_normal_distribution():
    draws = np.random.RandomState(1).randn(100_000)
    assert_allclose([draws.mean(), draws.std()], [0, 1], atol=0.02)
    assert_allclose(np.mean(np.abs(draws) < 1), 0.683, atol=0.01)  # uniform, same sd: 0.577
    assert np.abs(draws).max() > 3  # uniform, same sd: at most 1.732


def test_the_loss_is_a_curved_surface_not_a_hyperplane():
    one, other = start(1), start(2)
    middle = Net(*((p + q) / 2 for p, q in zip(one, other, strict=True)))
    assert abs(mse(middle) - (mse(one) + mse(other)) / 2) > 1e-3


# What each mistake costs, over 100 seeds


def solved(net):
    return ((forward(net, X)[1] > 0.5) == (Y > 0.5)).all(axis=(-2, -1))


# Counts of runs that amplify rounding differ by a few from machine to machine.
@pytest.mark.parametrize(
    ("form", "at_least", "at_most", "error", "amplified"),
    [
        pytest.param(POST, 5, 40, 0.5, True, id="post"),
        pytest.param(POST | {"output": True}, 5, 40, 0.5, True, id="output put right"),
        pytest.param(POST | {"hidden": True}, 100, 100, 0.0014, False, id="hidden put right"),
        pytest.param(POST | {"biases": True}, 85, 100, 0.018, True, id="biases put right"),
        pytest.param(RIGHT, 100, 100, 0.0127, False, id="all put right"),
    ],
)
def test_100_seeds(form, at_least, at_most, error, amplified):
    starts = [start(seed) for seed in range(100)]
    nets = stack(starts + [nudged(net, (0, 0)) for net in starts])
    with np.errstate(over="ignore"):  # weights that run away
        errors, nets = descend(nets, 7000, **form)
        assert at_least <= solved(nets)[:100].sum() <= at_most
    assert_allclose(np.median(errors[-1, :100]), error, rtol=0.2 if amplified else 0.05)
    gaps = np.abs(errors[:, :100] - errors[:, 100:]).max(axis=0)
    if amplified:
        assert (gaps > 1e-3).sum() >= 5
    else:
        assert gaps.max() < 1e-9


def test_without_biases_xor_is_solved_too():
    def no_bias(net):
        s = step(net)
        return s._replace(b1=0 * s.b1, b2=0 * s.b2)

    net = start()
    net = net._replace(b1=0 * net.b1, b2=0 * net.b2)
    _, net = descend(net, 7000, step=no_bias)
    assert solved(net)
    assert not net.b1.any()
    assert not net.b2.any()


# The same network in this package

SGD = {"solver": "sgd", "learning_rate_init": 2.0, "momentum": 0, "nesterovs_momentum": False}
ADAM = {"solver": "adam", "learning_rate_init": 0.01, "beta_1": 0.9, "beta_2": 0.999}


def trained(n_epochs, **settings):
    """The package's network after n_epochs from the post's initial parameters."""
    mlp = ScratchMLPClassifier(
        (4,),
        activation="logistic",
        loss="squared_error",
        learning_rate="constant",
        alpha=0,
        shuffle=False,
        tol=0,
        n_iter_no_change=np.inf,
        warm_start=True,
        max_iter=1,
        **PLAIN,
        **settings,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is meant to end it
        mlp.fit(X, y)
        net = start()
        mlp.coefs_, mlp.intercepts_ = [net.W1, net.W2], [net.b1, net.b2]
        return mlp.set_params(max_iter=n_epochs).fit(X, y) if n_epochs else mlp


def error_of(mlp):
    return np.abs(mlp.predict_proba(X)[:, 1] - y).mean()


def descend_by_adam(net, n_epochs, rate, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
    """Adam (Kingma and Ba, 2015, section 2, last form) on the mean squared error."""
    errors = [mae(net)]
    m = v = Net(*(0 * p for p in net))
    for t in range(1, n_epochs + 1):
        grad = Net(*(s * 2 / len(X) for s in step(net)))
        m = Net(*(beta_1 * a + (1 - beta_1) * g for a, g in zip(m, grad, strict=True)))
        v = Net(*(beta_2 * a + (1 - beta_2) * g**2 for a, g in zip(v, grad, strict=True)))
        size = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        moves = (size * a / (np.sqrt(c) + epsilon) for a, c in zip(m, v, strict=True))
        net = Net(*(p - move for p, move in zip(net, moves, strict=True)))
        errors.append(mae(net))
    return np.array(errors), net


@pytest.fixture(scope="module")
def replays():
    return {
        "sgd": descend(start(), 7000, **RIGHT),
        "adam": descend_by_adam(start(), 7000, rate=0.01),
    }


@pytest.mark.parametrize("settings", [SGD, ADAM], ids=["sgd", "adam"])
def test_the_package_follows_the_right_gradient(settings, replays):
    errors, net = replays[settings["solver"]]
    for n_epochs in EPOCHS:
        mlp = trained(n_epochs, **settings)
        assert_allclose(error_of(mlp), errors[n_epochs], rtol=1e-9)
    assert_allclose(mlp.coefs_[0], net.W1, rtol=1e-8)
    assert_allclose(mlp.coefs_[1], net.W2, rtol=1e-8)
    assert_allclose(mlp.intercepts_[0], net.b1, rtol=1e-8)
    assert_allclose(mlp.intercepts_[1], net.b2, rtol=1e-8)


def test_the_packages_loss_is_the_mean_squared_error_that_the_post_defines():
    mlp = trained(1000, **SGD)
    losses = mlp.loss_curve_[-1000:]
    before_last = descend(start(), 999, **RIGHT)[1]
    assert_allclose([losses[0], losses[-1]], [mse(start()), mse(before_last)], rtol=1e-9)


def test_the_pages_table(replays):
    row = r"^\| (\d+) \| (0\.\d{6}) \| (0\.\d{6}) \| (0\.\d{6}) \|$"
    rows = re.findall(row, PAGE.read_text(encoding="utf-8"), re.M)
    assert [int(row[0]) for row in rows] == list(EPOCHS)
    for n_epochs, post, sgd, adam in rows:
        assert float(post) == round(PRINTED[int(n_epochs) // 1000], 6)
        assert_allclose(float(sgd), replays["sgd"][0][int(n_epochs)], rtol=0, atol=6e-7)
        assert_allclose(float(adam), replays["adam"][0][int(n_epochs)], rtol=0, atol=6e-7)


# XOR for every seed

XOR_SETTINGS = {
    "hidden_layer_sizes": (4,),
    "activation": "logistic",
    "solver": "adam",
    "loss": "squared_error",
    "init": "scaled",
    "alpha": 1e-4,
    "weight_decay": 0.0,
    "batch_size": "auto",
    "learning_rate": "cosine",
    "learning_rate_init": 0.3,
    "beta_1": 0.9,
    "beta_2": 0.9,
    "max_iter": 500,
}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(XOR_SETTINGS, id="4 units"),
        pytest.param({}, id="defaults"),
        pytest.param(
            {"hidden_layer_sizes": (4,)}, id="defaults with 4 units", marks=pytest.mark.slow
        ),
    ],
)
def test_xor_is_learnt_for_every_seed(settings):
    networks = [ScratchMLPClassifier(**settings, random_state=seed) for seed in range(100)]
    with parallel_config("stacked", n_jobs=1):
        networks = Parallel()(delayed(mlp.fit)(X, y) for mlp in networks)
    unsolved = [mlp.random_state for mlp in networks if (mlp.predict(X) != y).any()]
    assert unsolved == []


def test_the_page_gives_these_settings():
    block = re.search(r"^settings = (\{.*?^\})", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert block is not None
    assert ast.literal_eval(block[1]) == XOR_SETTINGS
