"""Initial weights: drawn within Glorot's bounds, or scaled to the activation and to the data."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import issparse
from sklearn.utils.extmath import row_norms

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.arrays import row_type
from sknn_scratch.network.layers import Architecture, Layer, layers_of, n_params
from sknn_scratch.network.threads import one_thread_for

#: Number of rows of a large table that :func:`initialise_by_data` uses.
ROWS_LOOKED_AT = 256


def initial_theta(
    architecture: Architecture,
    init: str,
    X: Any,
    sample_weight: NDArray | None,
    rng: np.random.RandomState,
    dtype: DTypeLike,
) -> NDArray:
    """Draw the parameters of a new network.

    Parameters
    ----------
    architecture : Architecture
        Shape of the network.
    init : {"scaled", "glorot"}
        "glorot" draws within :func:`glorot_bounds`; "scaled" within :func:`scaled_bounds`, and
        then lets the first hidden layer :func:`initialise_by_data`.
    X : {ndarray, CSR matrix} of shape (n, n_features)
        Inputs, as the network sees them.
    sample_weight : ndarray of shape (n,) or None
        Weights of the rows.
    rng : RandomState
        Source of all that is drawn.
    dtype : dtype
        Type of the parameters.

    Returns
    -------
    theta : ndarray of shape (n_params,)
    """
    sizes, activation = architecture.sizes, architecture.activation
    if init == "glorot":
        return draw_theta(sizes, glorot_bounds(sizes, activation), rng, dtype)
    square = _mean_square(X, sample_weight)
    if square < np.finfo(dtype).tiny:  # inputs of zero, but for rows that hardly count
        square = 0.0
    bounds = scaled_bounds(sizes, activation, square)
    theta = draw_theta(sizes, bounds, rng, dtype)
    if len(sizes) > 2:
        initialise_by_data(layers_of(theta, sizes)[0], X, sample_weight, rng)
    return theta


def _mean_square(X: Any, sample_weight: NDArray | None) -> float:
    """Compute the weighted mean of the squared length of rows."""
    if issparse(X):  # may hold an entry in parts, which row_norms does not add up
        squares = np.asarray(X.multiply(X).sum(axis=1)).ravel()
    else:
        squares = row_norms(X, squared=True)
    if sample_weight is not None:  # in their unit, products could overflow
        sample_weight = np.ldexp(sample_weight, -np.frexp(sample_weight.max())[1])
    return float(np.average(squares, weights=sample_weight))


def glorot_bounds(sizes: Sequence[int], activation: str) -> list[float]:
    r"""Bound the weights of each layer by :math:`\sqrt{6 / (n_{in} + n_{out})}`.

    For the logistic function, 2 replaces 6, as in scikit-learn.

    References
    ----------
    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010.
    """
    factor = 2.0 if activation == "logistic" else 6.0
    return [(factor / (n_in + n_out)) ** 0.5 for n_in, n_out in pairwise(sizes)]


def scaled_bounds(sizes: Sequence[int], activation: str, mean_square: float) -> list[float]:
    r"""Bound the weights so that every unit starts on the scale where it works.

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
    dtype: DTypeLike = np.float64,
) -> NDArray:
    """Draw the parameters of one network, (n_params,), uniformly within a bound for each layer.

    Numbers are drawn layer by layer, each weights before biases, in the order of scikit-learn.
    """
    theta = np.empty(n_params(sizes), dtype=dtype)
    for layer, bound in zip(layers_of(theta, sizes), bounds, strict=True):
        for part in layer:
            part[:] = rng.uniform(-bound, bound, part.shape)
    return theta


def _rows_to_look_at(n: int, sample_weight: NDArray | None, rng: np.random.RandomState) -> NDArray:
    """Return the indices of the rows of nonzero weight; if there are many, of a random sample."""
    live: NDArray | None = None
    if sample_weight is not None:
        live = np.flatnonzero(sample_weight).astype(row_type(n))
    n_live = n if live is None else len(live)
    if n_live <= ROWS_LOOKED_AT:
        chosen = np.arange(n_live)
    else:
        chosen = rng.choice(n_live, ROWS_LOOKED_AT, replace=False)
    return chosen if live is None else live[chosen]


def initialise_by_data(
    layer: Layer, X: Any, sample_weight: NDArray | None, rng: np.random.RandomState
) -> None:
    r"""Initialise a first layer by the data, in place.

    Each unit weights few columns, and its threshold lies within the data. Unlike pixels, each
    column of a table means something by itself. So the directions of the units are drawn from a
    Cauchy distribution, in which a few of many numbers outweigh the rest; they get the root mean
    square length of the units' uniform weights. And at the threshold of a unit,
    :math:`w \cdot x + b = 0`, there should be data to tell apart: b is minus a quantile of
    :math:`w \cdot x` over the rows, and the units' quantiles are spread evenly.

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
    with one_thread_for(ROWS_LOOKED_AT * W.size):
        length = np.linalg.norm(W) / W.shape[-1] ** 0.5
        directions = rng.standard_cauchy(W.shape)
        W[...] = directions * (length / np.linalg.norm(directions, axis=-2))
        rows = _rows_to_look_at(X.shape[0], sample_weight, rng)
        weight = np.ones(len(rows)) if sample_weight is None else sample_weight[rows]
        z = X[rows] @ W  # (n, n_features) @ (n_features, n_hidden)
    # The quantile of z, not the z of a random row: so the order of the rows makes no difference,
    # nor whether a row comes twice or with twice the weight.
    z = np.ascontiguousarray(z.T)  # a unit's values side by side are sorted faster
    order = z.argsort(axis=-1)
    passed = weight[order].cumsum(axis=-1, dtype=np.float64)
    n_hidden = b.shape[-1]
    quantile = (rng.permutation(n_hidden) + rng.random_sample(n_hidden)) / n_hidden
    drawn = (passed[:, :-1] <= quantile[:, None] * passed[:, -1:]).sum(axis=-1, keepdims=True)
    b[...] = -np.take_along_axis(z, np.take_along_axis(order, drawn, axis=-1), axis=-1).T
