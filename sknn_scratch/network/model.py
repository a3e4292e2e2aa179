"""A fitted network: all that turns a table into probabilities, in one object."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from sknn_scratch.network.activations import ACTIVATIONS
from sknn_scratch.network.features import AS_THEY_ARE, FeatureMap
from sknn_scratch.network.layers import Architecture, Layer, layers_of, theta_of
from sknn_scratch.network.links import INVERSE_LINKS
from sknn_scratch.network.propagation import forward
from sknn_scratch.network.threads import in_blocks, one_thread_for

#: Infinite outputs become the largest number over this, so that differences are finite.
FAR_FROM_INFINITE = 4

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
        return self._computed(X, rows, block_values, lambda z: z)

    def finite_outputs(self, X: Any) -> NDArray:
        """Compute :meth:`outputs` to predict by; what is infinite becomes a very large number.

        Raises
        ------
        ValueError
            If an output is not a number.
        """
        return self._computed(X, None, BLOCK_VALUES, finite)

    def _computed(
        self, X: Any, rows: NDArray | None, block_values: int, finish: Callable[[NDArray], NDArray]
    ) -> NDArray:
        """Compute what ``finish`` makes of the outputs' pre-activations, in blocks of rows.

        Any thread may take the next block.
        """
        n = X.shape[0] if rows is None else len(rows)
        widths = [W.shape[-1] for W in self.coefs]
        is_dense = isinstance(X, np.ndarray) or self.features.is_dense
        widest = max(*widths, X.shape[1] if is_dense else 1)
        size = max(1, min(n, block_values // widest))
        layers = self._layers()
        with (
            one_thread_for(self._largest_product(size)),
            np.errstate(over="ignore", invalid="ignore"),
        ):
            if n <= size:
                all_rows = X if rows is None else X[rows]
                return finish(self._outputs(layers, all_rows, self._workspace(n)))
            of_none = finish(self._workspace(0)[-1])
            result = np.empty((*of_none.shape[:-2], n, of_none.shape[-1]), dtype=of_none.dtype)
            spare: list[list[NDArray]] = []

            def compute(i: int) -> None:
                try:
                    z = spare.pop()
                except IndexError:  # as many are at work as never before
                    z = self._workspace(size)
                chosen: Any = slice(i * size, (i + 1) * size)
                block = X[chosen if rows is None else rows[chosen]]
                result[..., chosen, :] = finish(self._outputs(layers, block, z))
                spare.append(z)

            in_blocks(compute, math.ceil(n / size))
        return result

    def _workspace(self, n: int) -> list[NDArray]:
        """Make an array for the pre-activations of each layer, (K, n, n_out)."""
        return [np.empty((*W.shape[:-2], n, W.shape[-1]), dtype=self.dtype) for W in self.coefs]

    def _outputs(self, layers: list[Layer], X: Any, z: Sequence[NDArray]) -> NDArray:
        """Compute the pre-activations of the outputs, (K, n, n_outputs), in arrays z."""
        block = self.features(X, self.dtype)
        z = [part[..., : block.shape[0], :] for part in z]
        forward(layers, block, ACTIVATIONS[self.architecture.activation], z)
        return np.ascontiguousarray(z[-1])

    def hidden_activations(self, X: Any) -> list[NDArray]:
        """Compute the activations of each hidden layer, (K, n, n_hidden) each, for X as it came.

        Raises
        ------
        ValueError
            If one is not a number.
        """
        n, dtype, K = X.shape[0], self.dtype, self.coefs[0].shape[:-2]
        inputs = self.features(X, dtype)
        z = [np.empty((*K, n, width), dtype=dtype) for width in [W.shape[-1] for W in self.coefs]]
        with (
            one_thread_for(self._largest_product(n)),
            np.errstate(over="ignore", invalid="ignore"),
        ):
            forward(self._layers(), inputs, ACTIVATIONS[self.architecture.activation], z)
            return [finite(part) for part in z[:-1]]

    def probabilities(self, X: Any, dtype: DTypeLike | None = None) -> NDArray:
        """Compute the probabilities of the classes, (K, n, n_classes), for X as it came.

        A single logistic output stands for two classes: that of its complement comes first. They
        are of this dtype and sum to one in it, by default in float64 for X in float64, whatever the
        network computes in.
        """
        link = INVERSE_LINKS[self.architecture.output]
        wanted = dtype or np.result_type(X.dtype, self.dtype)

        def probabilities(z: NDArray) -> NDArray:
            return link.probabilities(link.per_class(finite(z).astype(wanted, copy=False)))

        return self._computed(X, None, BLOCK_VALUES, probabilities)

    def log_probabilities(self, X: Any) -> NDArray:
        """Compute the logarithms of :meth:`probabilities`, finite also where those round to 0."""
        link, dtype = INVERSE_LINKS[self.architecture.output], np.result_type(X.dtype, self.dtype)

        def log_probabilities(z: NDArray) -> NDArray:
            return link.log_probabilities(link.per_class(finite(z).astype(dtype, copy=False)))

        return self._computed(X, None, BLOCK_VALUES, log_probabilities)


def finite(z: NDArray) -> NDArray:
    """Replace infinite values of units by very large ones, in place.

    Raises
    ------
    ValueError
        If one is not a number, as a sum of infinite terms.
    """
    if math.isfinite(z.sum()):  # as a rule; finite values whose sum overflows are looked at, too
        return z
    if np.isnan(z).any():
        raise ValueError(
            "The network cannot compute its units for some rows, as sums in it overflow to plus "
            "and minus infinity. Scale X, or set scale_features=True; or fit again with a lower "
            "learning_rate_init."
        )
    largest = np.finfo(z.dtype).max / FAR_FROM_INFINITE
    clipped: NDArray = np.clip(z, -largest, largest, out=z)
    return clipped
