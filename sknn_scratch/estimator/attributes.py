"""Fitted attributes that are read off the fitted network."""

from dataclasses import replace

from numpy.typing import NDArray

from sknn_scratch.network.model import Network


class NetworkAttributes:
    """Mixin of an estimator that has a fitted network: its parts, by scikit-learn's names.

    Weights and biases may be assigned, and then are those of a new network.
    """

    network_: Network

    def __sklearn_is_fitted__(self) -> bool:
        """Tell scikit-learn whether there is a fitted network."""
        return "network_" in self.__dict__

    @property
    def coefs_(self) -> list[NDArray]:
        """Weights of each layer."""
        return self._of_network("coefs_").coefs

    @coefs_.setter
    def coefs_(self, coefs: list[NDArray]) -> None:
        self.network_ = replace(self._of_network("coefs_"), coefs=coefs)

    @property
    def intercepts_(self) -> list[NDArray]:
        """Biases of each layer."""
        return self._of_network("intercepts_").intercepts

    @intercepts_.setter
    def intercepts_(self, intercepts: list[NDArray]) -> None:
        self.network_ = replace(self._of_network("intercepts_"), intercepts=intercepts)

    @property
    def mean_(self) -> NDArray | None:
        """What is subtracted from each column."""
        return self._of_network("mean_").features.mean

    @property
    def scale_(self) -> NDArray | None:
        """What each column is then divided by."""
        return self._of_network("scale_").features.scale

    @property
    def n_layers_(self) -> int:
        """Layers, those of inputs and outputs included."""
        return len(self._of_network("n_layers_").architecture.sizes)

    @property
    def n_outputs_(self) -> int:
        """Outputs of the network."""
        return self._of_network("n_outputs_").architecture.sizes[-1]

    @property
    def out_activation_(self) -> str:
        """Function of the outputs."""
        return self._of_network("out_activation_").architecture.output

    def _of_network(self, name: str) -> Network:
        """Return the fitted network, which an attribute of this name is read off."""
        try:
            return self.__dict__["network_"]
        except KeyError:
            raise AttributeError(
                f"{type(self).__name__} is not fitted, and has no {name} yet. Call fit first."
            ) from None
