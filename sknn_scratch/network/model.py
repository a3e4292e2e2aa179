"""A fitted network: all that turns a table into probabilities, in one object."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.features import AS_THEY_ARE, FeatureMap
from sknn_scratch.network.layers import Architecture, Layer, layers_of, theta_of
from sknn_scratch.network.links import INVERSE_LINKS
from sknn_scratch.network.propagation import forward
from sknn_scratch.network.threads import threads_for

#: Values that the widest layer may hold at a time, per block of rows.
BLOCK_VALUES = 1 << 18


@dataclass(frozen=True, eq=False)
class Network:
    """A stack of K fitted networks of one shape; one network leaves the axis K out.

    It shares nothing between calls, so that many threads can use it at once.

    Parameters
    ----------
    architecture : Architecture
        What it computes.
    coefs : list of ndarray of shape (K, n_in, n_out)
        Weights of each layer.
    intercepts : list of ndarray of shape (K, n_out)
        Biases of each layer.
    features : FeatureMap
        What the columns of X go through.
    """

    architecture: Architecture
    coefs: list[NDArray]
    intercepts: list[NDArray]
    features: FeatureMap = AS_THEY_ARE

    @classmethod
    def from_theta(
        cls, architecture: Architecture, theta: NDArray, features: FeatureMap = AS_THEY_ARE
    ) -> Self:
        """Make a network whose weights and biases are views of theta, (K, n_params)."""
        layers = layers_of(theta, architecture.sizes)
        return cls(
            architecture, [W for W, _ in layers], [b[..., 0, :] for _, b in layers], features
        )

    @property
    def theta(self) -> NDArray:
        """Parameters, (K, n_params), in an array of its own."""
        return theta_of(self.coefs, self.intercepts)

    @property
    def dtype(self) -> np.dtype:
        """Type that it computes in."""
        return self.coefs[0].dtype

    def _layers(self) -> list[Layer]:
        parameters = zip(self.coefs, self.intercepts, strict=True)
        return [Layer(W, b[..., None, :]) for W, b in parameters]

    def _largest_product(self, n: int) -> int:
        return n * max(W.shape[-2] * W.shape[-1] for W in self.coefs)

    def outputs(
        self, X: Any, rows: NDArray | None = None, *, block_values: int = BLOCK_VALUES
    ) -> NDArray:
        """Compute the pre-activations of the outputs for rows of X, as it came.

        Parameters
        ----------
        X : {ndarray, CSR matrix} of shape (n, n_features)
            Goes through in blocks of rows, so that memory beyond the result does not grow with
            their number.
        rows : ndarray of shape (n_chosen,), default=None
            Numbers of the rows to compute; None for all.
        block_values : int
            Values that the widest layer, or a dense X, may hold at a time.

        Returns
        -------
        z : ndarray of shape (K, n, n_outputs)
        """
        layers, activation = self._layers(), ACTIVATIONS[self.architecture.activation]
        n = X.shape[0] if rows is None else len(rows)
        dtype, K = self.dtype, self.coefs[0].shape[:-2]
        widths = [W.shape[-1] for W in self.coefs]
        widest = max(*widths, X.shape[1] if isinstance(X, np.ndarray) else 1)
        size = max(1, min(n, block_values // widest))
        hidden = [np.empty((*K, size, width), dtype=dtype) for width in widths[:-1]]
        result = np.empty((*K, n, widths[-1]), dtype=dtype)
        with threads_for(self._largest_product(size)), np.errstate(over="ignore"):
            for start in range(0, n, size):
                chosen = slice(start, start + size)
                block = self.features(X[chosen if rows is None else rows[chosen]], dtype)
                m = block.shape[0]
                z = [part[..., :m, :] for part in (*hidden, result[..., start:, :])]
                forward(layers, block, activation, z)
        return result

    def hidden_activations(self, X: Any) -> list[NDArray]:
        """Compute the activations of each hidden layer, (K, n, n_hidden) each, for X as it came."""
        n, dtype, K = X.shape[0], self.dtype, self.coefs[0].shape[:-2]
        inputs = self.features(X, dtype)
        z = [np.empty((*K, n, width), dtype=dtype) for width in [W.shape[-1] for W in self.coefs]]
        with (
            threads_for(self._largest_product(n)),
            np.errstate(over="ignore"),
        ):
            forward(self._layers(), inputs, ACTIVATIONS[self.architecture.activation], z)
        return z[:-1]

    def probabilities(self, X: Any, dtype: DTypeLike | None = None) -> NDArray:
        """Compute the probabilities of the classes, (K, n, n_classes), for X as it came.

        A single logistic output stands for two classes: that of its complement comes first. They
        are of this dtype and sum to one in it, by default in the type that it computes in.
        """
        link = INVERSE_LINKS[self.architecture.output]
        z = self.outputs(X).astype(dtype or self.dtype, copy=False)
        return link.probabilities(link.per_class(z))

    def log_probabilities(self, X: Any) -> NDArray:
        """Compute the logarithms of :meth:`probabilities`, finite also where those round to 0."""
        link = INVERSE_LINKS[self.architecture.output]
        return link.log_probabilities(link.per_class(self.outputs(X)))
