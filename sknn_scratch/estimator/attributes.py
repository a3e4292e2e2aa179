"""Fitted attributes that are read from the fitted network."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.model import Network


class NetworkAttributes:
    """Mixin of an estimator that has a fitted network: its parts, by scikit-learn's names.

    Weights and biases may be assigned: after a fit they make a new network; before one, a warm
    start and the first call of partial_fit start from them.
    """

    network_: Network

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether there is a fitted network."""
        return "network_" in self.__dict__

    @property
    def coefs_(self) -> list[NDArray]:
        """Weights of each layer."""
        return self._read("coefs_", lambda network: network.coefs)

    @coefs_.setter
    def coefs_(self, coefs: list[NDArray]) -> None:
        if self.__sklearn_is_fitted__():
            self.network_ = replace(self.network_, coefs=[np.asarray(W) for W in coefs])
        else:
            self._assign("coefs_", coefs)

    @property
    def intercepts_(self) -> list[NDArray]:
        """Biases of each layer."""
        return self._read("intercepts_", lambda network: network.intercepts)

    @intercepts_.setter
    def intercepts_(self, intercepts: list[NDArray]) -> None:
        if self.__sklearn_is_fitted__():
            self.network_ = replace(self.network_, intercepts=[np.asarray(b) for b in intercepts])
        else:
            self._assign("intercepts_", intercepts)

    @property
    def n_layers_(self) -> int:
        """Number of layers, including inputs and outputs."""
        return self._read("n_layers_", lambda network: len(network.architecture.sizes))

    @n_layers_.setter
    def n_layers_(self, n_layers: int) -> None:
        self._assign("n_layers_", n_layers)

    @property
    def n_outputs_(self) -> int:
        """Number of outputs of the network."""
        return self._read("n_outputs_", lambda network: network.architecture.sizes[-1])

    @n_outputs_.setter
    def n_outputs_(self, n_outputs: int) -> None:
        self._assign("n_outputs_", n_outputs)

    @property
    def out_activation_(self) -> str:
        """Activation function of the outputs."""
        return self._read("out_activation_", lambda network: network.architecture.output)

    @out_activation_.setter
    def out_activation_(self, out_activation: str) -> None:
        self._assign("out_activation_", out_activation)

    @property
    def mean_(self) -> NDArray | None:
        """What is subtracted from each column."""
        return self._read("mean_", lambda network: network.features.mean)

    @property
    def scale_(self) -> NDArray | None:
        """What each column is then divided by."""
        return self._read("scale_", lambda network: network.features.scale)

    def _read(self, name: str, part: Any) -> Any:
        """Read an attribute from the fitted network, or else the value assigned to it."""
        if self.__sklearn_is_fitted__():
            return part(self.network_)
        try:
            return self.__dict__["_assigned"][name]
        except KeyError:
            raise AttributeError(
                f"{type(self).__name__} is not fitted, and has no {name} yet. Call fit first."
            ) from None

    def _assign(self, name: str, value: Any) -> None:
        """Keep what is assigned before the first fit."""
        if self.__sklearn_is_fitted__():
            raise AttributeError(f"{name} is read off the fitted network, and cannot be assigned.")
        self._assigned = {**self.__dict__.get("_assigned", {}), name: value}
