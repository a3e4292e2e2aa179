r"""The network: parameters as layers, the way forward and the way back.

A network here is always a *stack* of K networks of one shape. All parameters of the stack are one
array ``theta`` of shape (K, n_params), and layers are named views into it. Kernels work on the last
two axes and broadcast over the first, which a stack of one leaves out (see ``arrays.py``).

Names used throughout the package
---------------------------------
=========  ==========================================================================
X          inputs, (K, n, n_features)
y          targets, (K, n, n_outputs)
W, b       weights (K, n_in, n_out) and biases (K, 1, n_out) of a layer
z          pre-activations, z = a W + b, (K, n, n_out)
a          activations, a = f(z); the input of the first layer is X
delta      dLoss/dz
theta      all parameters, (K, n_params): first every W, then every b
grad       dLoss/dtheta
lr         learning rate
=========  ==========================================================================
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknn_scratch.network.activations import ACTIVATIONS, Activation
from sknn_scratch.network.arrays import product, transposed
from sknn_scratch.network.features import Scaling
from sknn_scratch.network.threads import threads_for

#: Rows of a large table by which :func:`place_units` goes.
PLACING_ROWS = 256

#: Values that the widest layer of :func:`output` may hold at a time, per block of rows.
BLOCK_VALUES = 1 << 18


class Layer(NamedTuple):
    """Parameters of one layer of a stack, as views of theta (or of grad)."""

    W: NDArray
    b: NDArray


def n_weights(sizes: Sequence[int]) -> int:
    """Weights of a network with these layer sizes (inputs, hidden..., outputs), without biases."""
    return sum(n_in * n_out for n_in, n_out in pairwise(sizes))


def n_params(sizes: Sequence[int]) -> int:
    """Weights and biases of a network with these layer sizes."""
    return n_weights(sizes) + sum(sizes[1:])


def layers_of(theta: NDArray, sizes: Sequence[int]) -> list[Layer]:
    """Views of theta (K, n_params) as the layers of a network with these sizes."""
    K = theta.shape[:-1]
    at_W, at_b = 0, n_weights(sizes)
    layers = []
    for n_in, n_out in pairwise(sizes):
        W = theta[..., at_W : at_W + n_in * n_out].reshape(*K, n_in, n_out)
        b = theta[..., at_b : at_b + n_out].reshape(*K, 1, n_out)
        layers.append(Layer(W, b))
        at_W += n_in * n_out
        at_b += n_out
    return layers


def theta_of(coefs: Sequence[NDArray], intercepts: Sequence[NDArray]) -> NDArray:
    """Pack the weights and biases of one network into its theta, (n_params,)."""
    return np.concatenate([np.ravel(part) for part in (*coefs, *intercepts)])


# ---------------------------------------------------------------- initial weights


def glorot_bounds(sizes: Sequence[int], activation: str) -> list[float]:
    r"""Bounds :math:`\sqrt{6 / (n_{in} + n_{out})}` of Glorot's uniform initialisation.

    With 2 in place of 6 for the logistic function, as in scikit-learn.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    """
    factor = 2.0 if activation == "logistic" else 6.0
    return [(factor / (n_in + n_out)) ** 0.5 for n_in, n_out in pairwise(sizes)]


def scaled_bounds(sizes: Sequence[int], activation: str, mean_square: float) -> list[float]:
    r"""Bounds at which every unit starts on the scale where it works.

    A weight drawn uniformly within :math:`\pm r` has variance :math:`r^2 / 3`, so that
    :math:`z = \sum_i x_i w_i` has variance :math:`E|x|^2\, r^2 / 3`. With
    :math:`r = g \sqrt{3 / E|x|^2}` its standard deviation is the gain g of the activation,
    whatever the scale of the inputs. Behind the first layer, where activations are of order one,
    :math:`E|x|^2` is taken to be the number of inputs; outputs start with a gain of one.

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr and K.-R. Müller, "Efficient BackProp", 1998, section 4.6, which
    assumes standardised inputs; here their scale is measured.

    Parameters
    ----------
    sizes : sequence of int
        Layer sizes: inputs, hidden layers, outputs.
    activation : str
        Name of the hidden activation.
    mean_square : float
        Mean of the squared length of the input rows, :math:`E|x|^2`.
    """
    squares = [mean_square if mean_square > 0 else float(sizes[0]), *map(float, sizes[1:-1])]
    gains = [ACTIVATIONS[activation].gain] * (len(sizes) - 2) + [1.0]
    return [gain * (3 / square) ** 0.5 for gain, square in zip(gains, squares, strict=True)]


def draw_theta(
    sizes: Sequence[int],
    bounds: Sequence[float],
    rng: np.random.RandomState,
    dtype: DTypeLike,
) -> NDArray:
    """Draw one network, (n_params,): layer by layer, W then b, uniformly within the bounds."""
    theta = np.empty(n_params(sizes), dtype=dtype)
    for layer, bound in zip(layers_of(theta, sizes), bounds, strict=True):
        for part in layer:
            part[:] = rng.uniform(-bound, bound, part.shape)
    return theta


def place_units(
    layer: Layer, X: Any, sample_weight: NDArray | None, rng: np.random.RandomState
) -> None:
    r"""Overwriting a first layer: each unit looks along few columns, and turns within the data.

    The columns of a table mean something each for itself, other than pixels do. So the directions
    of the units are drawn from a Cauchy distribution, in which a few of many numbers outweigh the
    rest; their lengths are those that the uniform weights in the layer have on average. And where
    a unit turns, :math:`w \cdot x + b = 0`, there ought to be data to tell apart: b is minus a
    quantile of :math:`w \cdot x` over the rows, and the units' quantiles are spread evenly.

    Parameters
    ----------
    layer : Layer
        W (n_features, n_hidden), drawn uniformly, and b (1, n_hidden), of one network.
    X : {ndarray, CSR matrix} of shape (n, n_features)
        Inputs.
    sample_weight : ndarray of shape (n,) or None
        Weights of the rows.
    rng : RandomState
        Source of the directions, and of the rows.
    """
    W, b = layer
    with threads_for(PLACING_ROWS * W.size):
        length = np.linalg.norm(W) / W.shape[-1] ** 0.5
        directions = rng.standard_cauchy(W.shape)
        W[...] = directions * (length / np.linalg.norm(directions, axis=-2))
        rows = np.arange(X.shape[0]) if sample_weight is None else np.flatnonzero(sample_weight)
        if len(rows) > PLACING_ROWS:
            rows = rng.choice(rows, PLACING_ROWS, replace=False)
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight[rows]
        z = X[rows] @ W  # (n, n_features) @ (n_features, n_hidden)
    # The quantile of z, not the z of a row drawn: so it makes no difference in which order rows
    # come, and whether one comes twice or with twice the weight.
    z = np.ascontiguousarray(z.T)  # a unit's values side by side are sorted faster
    order = z.argsort(axis=-1)
    passed = weight[order].cumsum(axis=-1, dtype=np.float64)
    n_hidden = b.shape[-1]
    share = (rng.permutation(n_hidden) + rng.random_sample(n_hidden)) / n_hidden
    drawn = (passed[:, :-1] <= share[:, None] * passed[:, -1:]).sum(axis=-1, keepdims=True)
    b[...] = -np.take_along_axis(z, np.take_along_axis(order, drawn, axis=-1), axis=-1).T


# ---------------------------------------------------------------- forward and backward


class Workspace:
    """Arrays that one batch of n rows is computed in, allocated once.

    Attributes
    ----------
    z : list of ndarray of shape (K, n, n_out)
        One array a layer: pre-activations, then (but for the last) activations.
    delta : list of ndarray of shape (K, n, n_out)
        One array a hidden layer: dLoss/dz.
    ones : ndarray of shape (K, 1, n)
        ``ones @ delta`` sums delta over the rows.
    """

    def __init__(self, sizes: Sequence[int], K: tuple[int, ...], n: int, dtype: DTypeLike):
        self.z = [np.empty((*K, n, n_out), dtype=dtype) for n_out in sizes[1:]]
        self.delta = [np.empty_like(z) for z in self.z[:-1]]
        self.ones = np.ones((*K, 1, n), dtype=dtype)


def forward(
    layers: Sequence[Layer], X: NDArray, activation: Activation, z: Sequence[NDArray]
) -> None:
    """Fill z with each hidden layer's activations and with the last layer's pre-activations.

    X is (K, n, n_features), or a sparse matrix (n, n_features) for one network.
    """
    a = X
    for (W, b), out in zip(layers, z, strict=True):
        product(a, W, out)  # (K, n, n_in) @ (K, n_in, n_out)
        out += b
        if out is not z[-1]:
            activation.apply(out)
        a = out


def backward(
    layers: Sequence[Layer],
    X: NDArray,
    activation: Activation,
    work: Workspace,
    grads: Sequence[Layer],
) -> None:
    """Fill grads, given dLoss/dz of the last layer in work.z[-1]. Uses up the activations there."""
    delta = work.z[-1]
    for i in reversed(range(len(layers))):
        a = work.z[i - 1] if i else X
        product(transposed(a), delta, grads[i].W)  # (K, n_in, n) @ (K, n, n_out)
        product(work.ones, delta, grads[i].b)  # (K, 1, n) @ (K, n, n_out)
        if i:
            below = work.delta[i - 1]
            product(delta, transposed(layers[i].W), below)  # (K, n, n_out) @ (K, n_out, n_in)
            activation.backprop(a, below)
            delta = below


def hidden_activations(
    layers: Sequence[Layer], X: NDArray, activation: Activation, scaling: Scaling | None = None
) -> list[NDArray]:
    """Activations of each hidden layer of one network, (n, n_hidden) each, for X as it came."""
    n, dtype = X.shape[0], layers[0].W.dtype
    inputs = scaling(X, dtype) if scaling else X.astype(dtype, copy=False)
    z = [np.empty((n, W.shape[-1]), dtype=dtype) for W, _ in layers]
    with threads_for(n * max(W.size for W, _ in layers)), np.errstate(over="ignore"):
        forward(layers, inputs, activation, z)
    return z[:-1]


def output(
    layers: Sequence[Layer], X: NDArray, activation: Activation, scaling: Scaling | None = None
) -> NDArray:
    """Pre-activations of the last layer of one network, (n, n_outputs), for all rows of X.

    Goes through X (n, n_features), dense or sparse, in blocks of rows, so that memory beyond the
    result does not grow with their number. Nothing is shared between calls. With a scaling, X is
    taken as it came, and scaled first.
    """
    n, dtype = X.shape[0], layers[0].W.dtype
    widths = [W.shape[-1] for W, _ in layers]
    rows = max(1, min(n, BLOCK_VALUES // max(widths)))
    hidden = [np.empty((rows, width), dtype=dtype) for width in widths[:-1]]
    result = np.empty((n, widths[-1]), dtype=dtype)
    largest = rows * max(W.size for W, _ in layers)
    with threads_for(largest), np.errstate(over="ignore"):
        for start in range(0, n, rows):
            block = X[start : start + rows]
            block = scaling(block, dtype) if scaling else block.astype(dtype, copy=False)
            z = [part[: block.shape[0]] for part in (*hidden, result[start:])]
            forward(layers, block, activation, z)
    return result
