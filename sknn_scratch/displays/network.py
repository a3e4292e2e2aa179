"""Pictures of a network: nodes and edges, heat maps of its weights, or its units as images."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sknn_scratch import _palette
from sknn_scratch.displays.common import fitted_network, pyplot, relative
from sknn_scratch.displays.maps import draw_maps
from sknn_scratch.displays.nodes import draw_nodes

#: Pixels of the picture of a unit, along each side.
PICTURE = 48

#: Units with less effect than this fraction of the largest are left out.
NEGLIGIBLE = 1e-3


class NetworkDisplay:
    """Draw a network: a column of nodes for each layer, a line for each weight.

    Colour and width of a line show the weight, relative to the largest one between the same layers;
    negative weights are dashed. With two inputs, each node is a picture of where in their plane its
    unit is active. Otherwise the colour of a node shows its bias.

    If a hidden layer has more than ``max_nodes`` units, those with the largest effect are drawn:
    the norm of the incoming weights times that of the outgoing ones. Units without effect are left
    out. With more than ``max_nodes`` inputs or outputs, weights are drawn as heat maps with a named
    row for each input and a column for each unit; or, with ``image_shape``, units as images.

    Weights are those of ``coefs_``: with ``scale_features=True`` they refer to scaled features,
    and so can be compared.

    Make it with :meth:`from_estimator`.

    Parameters
    ----------
    coefs, intercepts : list of ndarray of shape (n_in, n_out) and (n_out,)
        Weights and biases of each layer.
    feature_names, output_names : list of str
        Names of the inputs and of the outputs.
    pictures : list of ndarray of shape (n_units, height, width), default=None
        Activations in the plane of two inputs, for each layer including inputs and outputs. They
        range from -1 to 1; those of outputs from 0 to 1: probabilities, or numbers scaled by their
        range in the plane. The first row is at the bottom.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes of the picture, and their figure.
    units_ : list of ndarray of shape (n_shown,)
        Indices of the units shown of each layer, including the inputs.
    nodes_ : list of PathCollection
        Nodes of each layer, including the inputs; empty if drawn as heat maps.
    edges_ : list of LineCollection
        Lines into each layer, with the weights as array; empty if drawn as heat maps.
    images_ : list of AxesImage
        Heat maps of the weights of each layer; with ``image_shape``, one image per unit of the
        first layer and heat maps of the others. Empty if drawn as nodes.

    Examples
    --------
    >>> from sknn_scratch import NetworkDisplay, ScratchMLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
    >>> clf = ScratchMLPClassifier((4,), solver="lbfgs", random_state=0).fit(X, y)
    >>> NetworkDisplay.from_estimator(clf)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        coefs: Sequence[NDArray],
        intercepts: Sequence[NDArray],
        feature_names: Sequence[str],
        output_names: Sequence[str],
        pictures: Sequence[NDArray] | None = None,
    ):
        self.coefs = coefs
        self.intercepts = intercepts
        self.feature_names = feature_names
        self.output_names = output_names
        self.pictures = pictures

    @classmethod
    def from_estimator(cls, estimator: Any, **plot: Any) -> Self:
        """Draw the network of a fitted estimator.

        Inputs are named by ``input_names_``, by the steps before the network, or else x0, x1, ...
        Outputs are named by ``classes_``; the one output of a network for two classes by the
        second. Outputs for labels or numbers are y0, y1, ..., or y if there is only one.

        Parameters
        ----------
        estimator : object
            ScratchMLPClassifier or ScratchMLPRegressor (or scikit-learn's MLPClassifier or
            MLPRegressor), or a Pipeline or a search that ends in one. Its weights are drawn as they
            are: those of the first layer refer to scaled features, those of a regressor's last
            layer to scaled targets.
        **plot : dict
            Parameters of :meth:`plot`.

        Returns
        -------
        display : NetworkDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError, TypeError
            If the estimator is not fitted, is not an estimator, or has no ``coefs_``.
        """
        network, before = fitted_network(estimator, "coefs_")
        features = None
        named = hasattr(network, "feature_names_in_") or _has_inputs_of_its_own(network)
        if before and not named:
            with suppress(AttributeError, ValueError):  # not every step has names to give
                features = before.get_feature_names_out()
        if features is None:
            of_columns = getattr(network, "feature_names_in_", None)
            features = getattr(network, "input_names_", of_columns)
        if features is None:
            features = [f"x{i}" for i in range(len(network.coefs_[0]))]
        return cls(
            coefs=network.coefs_,
            intercepts=network.intercepts_,
            feature_names=list(features),
            output_names=_output_names(network),
            pictures=_pictures_of(network),
        ).plot(**plot)

    def plot(
        self,
        ax: Any = None,
        *,
        cmap: Any = None,
        max_nodes: int = 12,
        image_shape: tuple[int, int] | None = None,
    ) -> Self:
        """Draw the network, in the space that the axes have.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        cmap : str or matplotlib Colormap, default=None
            Colours, with zero in the middle; None goes from red to indigo.
        max_nodes : int, default=12
            Maximum number of units drawn of a hidden layer, and of inputs and outputs drawn as
            nodes.
        image_shape : tuple of two int, default=None
            Height and width in pixels, if the inputs are the pixels of an image, row by row. The
            units of the first layer are then drawn as images of their weights.

        Returns
        -------
        self : NetworkDisplay
            The display.

        Raises
        ------
        ValueError
            If the number of pixels of image_shape differs from the number of inputs.
        """
        n_inputs = len(self.feature_names)
        if image_shape is not None and image_shape[0] * image_shape[1] != n_inputs:
            raise ValueError(
                f"image_shape={tuple(image_shape)} has {image_shape[0] * image_shape[1]} pixels, "
                f"but the network has {n_inputs} inputs. Their numbers must be the same."
            )
        plt = pyplot("NetworkDisplay.plot")
        as_maps = image_shape is not None or max(n_inputs, len(self.output_names)) > max_nodes
        if ax is None:
            figure = plt.figure(figsize=(9, 5.5) if as_maps else (6.4, 4.8))
            ax = figure.add_axes((0.02, 0.02, 0.96, 0.96))
        ax.set_axis_off()
        self.ax_, self.figure_ = ax, ax.figure
        self.nodes_: list = []
        self.edges_: list = []
        self.images_: list = []
        self.units_ = self._shown(max_nodes)
        if as_maps:
            draw_maps(self, cmap or _palette.diverging(), image_shape)
        else:
            draw_nodes(self, cmap or _palette.diverging(), cmap or _palette.lines())
        return self

    def headings(self) -> list[str]:
        """Name the layers, with the number of units shown if that is not all."""
        sizes = [len(self.feature_names), *map(len, self.intercepts)]
        hidden = [f"Hidden {i}" for i in range(1, len(sizes) - 1)]
        names = ["Input", *(hidden if len(hidden) != 1 else ["Hidden"]), "Output"]
        return [
            name if len(units) == size else f"{name} ({len(units)} of {size})"
            for name, units, size in zip(names, self.units_, sizes, strict=True)
        ]

    def _shown(self, most: int) -> list[NDArray]:
        """Choose the units of each layer to draw: in a hidden layer those with most effect."""
        shown = [np.arange(len(self.feature_names))]
        for W_in, W_out in zip(self.coefs, self.coefs[1:], strict=False):
            does = np.linalg.norm(relative(W_in), axis=0)
            does *= np.linalg.norm(relative(W_out), axis=1)
            order = np.argsort(-does, kind="stable")[: max(most, 1)]
            shown.append(np.sort(order[does[order] >= NEGLIGIBLE * does.max()]))
        return [*shown, np.arange(len(self.output_names))]


def _has_inputs_of_its_own(network: Any) -> bool:
    """Tell whether a network has other inputs than one per column: levels, gaps or bins."""
    features = network.network_.features if hasattr(network, "network_") else None
    return features is not None and not (features.layout is None and features.encoding is None)


def _pictures_of(network: Any) -> list[NDArray] | None:
    """Compute the picture of each unit in the plane of two columns; None if there is no plane."""
    fitted = getattr(network, "network_", None)
    if fitted is None or network.n_features_in_ != 2 or _has_inputs_of_its_own(network):
        return None
    low, high = _plane_of(network)
    x, y = np.meshgrid(*np.linspace(low, high, PICTURE).T)
    points = np.column_stack([x.ravel(), y.ravel()])
    hidden = fitted.hidden_activations(points)
    if network.activation != "logistic":
        hidden = [a / np.maximum(np.abs(a).max(axis=0), np.finfo(a.dtype).tiny) for a in hidden]
    if hasattr(network, "classes_"):
        outputs = fitted.probabilities(points)[:, -network.n_outputs_ :]
    else:  # from the minimum in the plane to the maximum
        outputs = fitted.finite_outputs(points)
        outputs -= outputs.min(axis=0)
        outputs /= np.maximum(outputs.max(axis=0), np.finfo(outputs.dtype).tiny)
    inputs = np.column_stack([np.linspace(-1, 1, PICTURE)] * 2)
    seen = np.meshgrid(*inputs.T)
    layers = [np.column_stack([part.ravel() for part in seen]), *hidden, outputs]
    return [a.T.reshape(-1, PICTURE, PICTURE) for a in layers]


def _plane_of(network: Any) -> tuple[NDArray, NDArray]:
    """Choose the lower and upper ends of the plane, (2,) each, from the scaling of the columns."""
    if network.mean_ is None:
        return np.full(2, -2.5), np.full(2, 2.5)
    # Columns of zeros and ones stay as they are.
    as_it_is = (network.mean_ == 0) & (network.scale_ == 1)
    low = np.where(as_it_is, -0.25, network.mean_ - 2.5 * network.scale_)
    return low, np.where(as_it_is, 1.25, network.mean_ + 2.5 * network.scale_)


def _output_names(network: Any) -> list[str]:
    """Name the outputs of a fitted estimator: classes, or the columns of y."""
    n = network.n_outputs_
    if hasattr(network, "classes_") and not (network.out_activation_ == "logistic" and n > 1):
        names = [c if isinstance(c, str) else f"y = {c}" for c in network.classes_.tolist()]
        return names[-n:]
    return ["y"] if n == 1 else [f"y{i}" for i in range(n)]
