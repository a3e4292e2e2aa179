"""Pictures of fitted networks, by scikit-learn's convention: a display holds data, `plot` draws it.

matplotlib is imported when a picture is drawn.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

#: Losses are drawn on a logarithmic scale if the highest is more than this many times the lowest.
MANY_TIMES = 30

#: Kinds of curve: how they are drawn, and what the legend calls them.
CURVES: dict[str, tuple[Any, str]] = {
    "loss": ("-", "Training loss"),
    "validation_loss": ("--", "Validation loss"),
    "validation_score": (":", "Validation score"),
}


def _pyplot(caller: str) -> Any:
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f'{caller} needs matplotlib ({error}). Run: pip install "sknn-scratch[plot]"'
        ) from error
    return plt


def _network(estimator: Any, attribute: str) -> tuple[Any, Pipeline | None]:
    """Return the fitted network at the end of searches and pipelines, and the steps before it."""
    network, before = estimator, None
    while isinstance(network, Pipeline) or hasattr(network, "best_estimator_"):
        if isinstance(network, Pipeline):
            network, before = network[-1], network[:-1]
        else:
            network = network.best_estimator_
    check_is_fitted(network)
    if not hasattr(network, attribute):
        raise TypeError(
            f"{network!r} has no {attribute}. Pass a fitted ScratchMLPClassifier, or a Pipeline or "
            "a search with refit=True that ends in one."
        )
    return network, before


class LossCurve(NamedTuple):
    """What one fit kept of its training, a number an epoch; None for what it did not keep."""

    loss: Sequence[float]
    validation_loss: Sequence[float] | None = None
    validation_score: Sequence[float] | None = None
    best_iter: int | None = None
    """Epoch of the validation curves, from 1, whose parameters were kept."""


class LossCurveDisplay:
    """Loss of each epoch, on the training rows and on the validation rows.

    Parameters
    ----------
    curves : mapping of {name: LossCurve}
        Curves of each estimator. Those that are shorter than its training loss end with it.
    loss_name : str, default="Loss"
        What the loss is.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes of the losses, and their figure.
    score_ax_ : matplotlib Axes or None
        Axes of the validation scores, with their scale on the right; None without scores.
    lines_ : dict of {name: dict of {str: Line2D}}
        Lines of each estimator: "loss", and "validation_loss" and "validation_score" if it has
        them. On these two, a dot marks the epoch whose parameters were kept.

    Examples
    --------
    >>> from sknn_scratch import LossCurveDisplay, ScratchMLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
    >>> clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    >>> LossCurveDisplay.from_estimator(clf)  # doctest: +SKIP
    """

    def __init__(self, *, curves: Mapping[Any, LossCurve], loss_name: str = "Loss"):
        self.curves = curves
        self.loss_name = loss_name

    @classmethod
    def from_estimator(cls, estimator: Any, **plot: Any) -> Self:
        """Draw the curves of one fitted estimator, as :meth:`from_estimators` those of several."""
        return cls.from_estimators({"": estimator}, **plot)

    @classmethod
    def from_estimators(cls, estimators: Mapping[Any, Any], **plot: Any) -> Self:
        """Draw the curves of fitted estimators in one picture.

        Parameters
        ----------
        estimators : mapping of {name: estimator}
            By the name that the legend shall show, each a ScratchMLPClassifier (or what else has a
            ``loss_curve_``, such as MLPClassifier), or a Pipeline or a search that ends in one. For
            those of ``cross_validate(..., return_estimator=True)``, it is
            ``dict(enumerate(results["estimator"]))``.
        **plot : dict
            Parameters of :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError, TypeError
            If an estimator is not fitted; if it is none, or has no ``loss_curve_``.
        ValueError
            If there is none, or a ``loss_curve_`` is empty, as its first epoch was interrupted.
        """
        if not estimators:
            raise ValueError("estimators is empty. Name at least one fitted estimator.")
        curves, losses = {}, set()
        for name, estimator in estimators.items():
            network, _ = _network(estimator, "loss_curve_")
            if not network.loss_curve_:
                raise ValueError(f"loss_curve_ of {network!r} is empty: no epoch was finished.")
            # A score that is the loss would only be drawn twice.
            scored = getattr(network, "scoring", None) != "loss"
            curves[name] = LossCurve(
                network.loss_curve_,
                getattr(network, "validation_loss_curve_", None),
                getattr(network, "validation_scores_", None) if scored else None,
                getattr(network, "best_iter_", None),
            )
            losses.add(str(getattr(network, "loss", "loss")))
        loss = losses.pop() if len(losses) == 1 else "loss"
        return cls(curves=curves, loss_name=loss.replace("_", " ").capitalize()).plot(**plot)

    def plot(self, ax: Any = None, *, yscale: str = "auto") -> Self:
        """Draw the curves: a colour for each estimator, a style of line for each kind of curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        yscale : {"auto", "linear", "log"}, default="auto"
            Scale of the loss. "auto" is logarithmic if all losses are positive and the highest is
            more than 30 times the lowest.

        Returns
        -------
        self : LossCurveDisplay
            The display.
        """
        if yscale not in ("auto", "linear", "log"):
            raise ValueError(f"yscale must be 'auto', 'linear' or 'log', got {yscale!r}.")
        plt = _pyplot("LossCurveDisplay.plot")
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_, self.score_ax_ = ax, ax.figure, None
        if any(curve.validation_score is not None for curve in self.curves.values()):
            self.score_ax_ = ax.twinx()
            self.score_ax_.set_ylabel("Validation score")
        self.lines_: dict[Any, dict[str, Any]] = {}
        # Dark to light, so that they can be told apart in grey as well.
        colors = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(self.curves)))
        for (name, curve), color in zip(self.curves.items(), colors, strict=True):
            self.lines_[name] = lines = {}
            for kind, (style, _) in CURVES.items():
                if (values := getattr(curve, kind)) is None:
                    continue
                epochs = np.arange(len(curve.loss) - len(values), len(curve.loss)) + 1
                kept = [curve.best_iter - 1] if curve.best_iter and kind != "loss" else []
                marker = "o" if kept else "." if len(values) == 1 else ""  # one point has no line
                look = {"color": color, "marker": marker, "markevery": kept or None}
                on: Any = self.score_ax_ if kind == "validation_score" else ax
                (lines[kind],) = on.plot(epochs, values, style, label=str(name), **look)
        if yscale == "auto":
            parts = [part for c in self.curves.values() for part in (c.loss, c.validation_loss)]
            losses = np.concatenate([part for part in parts if part is not None])
            yscale = "log" if 0 < MANY_TIMES * losses.min() < losses.max() else "linear"
        ax.set(xlabel="Epoch", ylabel=self.loss_name, yscale=yscale)
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))

        # The legend names the estimators, if they have names, and the kinds, if there are several.
        handles = [lines["loss"] for name, lines in self.lines_.items() if name != ""]
        color = "dimgrey" if handles else colors[0]
        drawn = {kind for lines in self.lines_.values() for kind in lines}
        keys = [(style, "", label) for kind, (style, label) in CURVES.items() if kind in drawn]
        keys = [] if handles and len(keys) == 1 else keys
        if any(
            line.get_marker() == "o" for lines in self.lines_.values() for line in lines.values()
        ):
            keys.append(("", "o", "Epoch kept"))
        for style, marker, label in keys:
            handles.append(Line2D([], [], color=color, linestyle=style, marker=marker, label=label))
        # Losses fall and scores rise: in the middle of the right there is room.
        place = "center right" if self.score_ax_ else "best"
        width, height = _points(ax)
        size = min(10, 0.05 * width, 0.35 * height / len(handles))
        (self.score_ax_ or ax).legend(handles=handles, loc=place, fontsize=size)
        return self


class NetworkDisplay:
    """The network: a column of nodes for each layer, a line for each weight.

    The colour of a line, and its width, tell the weight; a negative one is dashed. The colour of a
    node tells its bias. With more than ``max_nodes`` nodes in any layer, each layer is an image of
    its weights, with a row for each input and a column for each unit, above a row of its biases.

    Weights are those of ``coefs_``: with ``scale_features=True`` they belong to scaled features,
    and so can be compared.

    Parameters
    ----------
    coefs, intercepts : list of ndarray of shape (n_in, n_out) and (n_out,)
        Weights and biases of each layer.
    feature_names, output_names : list of str
        Names of the inputs and of the outputs.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes of the picture, and their figure.
    nodes_ : list of PathCollection
        Nodes of each layer, that of the inputs included; empty if drawn as images.
    edges_ : list of LineCollection
        Lines into each layer, with ``coefs[i].ravel()`` as array; empty if drawn as images.
    images_ : list of (AxesImage, AxesImage)
        Weights and biases of each layer; empty if drawn as nodes.

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
    ):
        self.coefs = coefs
        self.intercepts = intercepts
        self.feature_names = feature_names
        self.output_names = output_names

    @classmethod
    def from_estimator(cls, estimator: Any, **plot: Any) -> Self:
        """Draw the network of a fitted estimator.

        Inputs have the names of ``feature_names_in_``, or those that the steps before the network
        give them, or else x0, x1, ...; outputs have those of ``classes_``, the one output of a
        network for two classes that of the second, and outputs for labels are y0, y1, ...

        Parameters
        ----------
        estimator : object
            ScratchMLPClassifier (or MLPClassifier), or a Pipeline or a search that ends in one.
        **plot : dict
            Parameters of :meth:`plot`.

        Returns
        -------
        display : NetworkDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError, TypeError
            If the estimator is not fitted; if it is none, or has no ``coefs_``.
        """
        network, before = _network(estimator, "coefs_")
        features = getattr(network, "feature_names_in_", None)
        if features is None and before:
            with suppress(AttributeError, ValueError):  # not every step has names to give
                features = before.get_feature_names_out()
        if features is None:
            features = [f"x{i}" for i in range(len(network.coefs_[0]))]
        outputs = [c if isinstance(c, str) else f"y = {c}" for c in network.classes_.tolist()]
        if network.out_activation_ == "logistic" and network.n_outputs_ > 1:
            outputs = [f"y{i}" for i in range(network.n_outputs_)]
        return cls(
            coefs=network.coefs_,
            intercepts=network.intercepts_,
            feature_names=list(features),
            output_names=outputs[-network.n_outputs_ :],
        ).plot(**plot)

    def plot(self, ax: Any = None, *, cmap: Any = "PuOr", max_nodes: int = 20) -> Self:
        """Draw the network, in the room that the axes have.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or matplotlib Colormap, default="PuOr"
            Colours, with zero in the middle.
        max_nodes : int, default=20
            Most nodes of a layer that are drawn as nodes.

        Returns
        -------
        self : NetworkDisplay
            The display.
        """
        plt = _pyplot("NetworkDisplay.plot")
        if ax is None:
            ax = plt.figure().add_axes((0.02, 0.02, 0.96, 0.96))
        ax.set_axis_off()
        self.ax_, self.figure_ = ax, ax.figure
        self.nodes_: list = []
        self.edges_: list = []
        self.images_: list = []
        sizes = [len(self.feature_names), *map(len, self.intercepts)]
        hidden = [f"Hidden {i}" for i in range(1, len(sizes) - 1)]
        layers = ["Input", *(hidden if len(hidden) != 1 else ["Hidden"]), "Output"]
        draw = self._draw_nodes if max(sizes) <= max_nodes else self._draw_images
        draw(sizes, layers, cmap)
        return self

    def _draw_nodes(self, sizes: list[int], layers: list[str], cmap: Any) -> None:
        from matplotlib.collections import LineCollection

        ax, last = self.ax_, len(self.coefs)
        line, node = ({"cmap": cmap, "norm": _norm(p)} for p in (self.coefs, self.intercepts))
        width, height = _points(ax)
        above, below = 16, 30  # the room for names and scales
        _draw_scale(ax, (0.02, 14 / height, 0.46, 6 / height), "Weight", line)
        _draw_scale(ax, (0.52, 14 / height, 0.46, 6 / height), "Bias", node)
        middle = height - above - below
        diameter = min(0.6 * middle / max(sizes), 0.15 * width / last, 30)
        places = [  # (n, 2) for each layer, from top to bottom
            np.column_stack([np.full(n, i), 1 - (np.arange(n) + 0.5) / n])
            for i, n in enumerate(sizes)
        ]
        for W, start, end in zip(self.coefs, places, places[1:], strict=False):
            w = W.ravel()
            ends = np.stack([np.repeat(start, len(end), 0), np.tile(end, (len(start), 1))], 1)
            widths = 0.15 * diameter * np.abs(w) / line["norm"].vmax
            # Dashes are as long as a line is wide: of one without width there would be millions.
            styles = np.where((w < 0) & (widths > 0.02), "--", "-")
            look = {"linewidths": widths, "linestyles": styles, **line}
            self.edges_.append(ax.add_collection(LineCollection(list(ends), array=w, **look)))
        for xy, b in zip(places, [None, *self.intercepts], strict=True):
            fill = {"color": "lightgrey"} if b is None else {"c": b, **node}
            circles = ax.scatter(*xy.T, s=diameter**2, **fill, edgecolors="black", zorder=2)
            self.nodes_.append(circles)
        margins, beside = [], diameter / 2 + 4
        for names, column, side, ha in (
            (self.feature_names, places[0], -1, "right"),
            (self.output_names, places[-1], 1, "left"),
        ):
            size, widest = _fit(ax, names, min(10, 0.8 * middle / max(sizes)), 0.25 * width)
            for name, place in zip(names, column, strict=True):
                _write(ax, name, place, (side * beside, 0), ha=ha, va="center", fontsize=size)
            margins.append(beside + widest)
        between = (width - sum(margins)) / last
        ax.set_xlim(-margins[0] / between, last + margins[1] / between)
        ax.set_ylim(-below / middle, 1 + above / middle)
        for i, layer in enumerate(layers):
            _write(ax, layer, (i, 1), (0, 4), ha="center", fontsize=min(10, between / 5.5))

    def _draw_images(self, sizes: list[int], layers: list[str], cmap: Any) -> None:
        ax = self.ax_
        width, height = _points(ax)
        # Names on the left and below, if there is room for them, and the scales above.
        scales = 2 if height > 200 else 1
        inputs = self.feature_names if 8 * sizes[0] < height - 100 else []
        in_size, in_room = _fit(ax, inputs, 8, 0.3 * width)
        slot = (width - in_room - 24) / len(self.coefs)
        outputs = self.output_names if 7 * sizes[-1] < slot else []
        out_size, out_room = _fit(ax, outputs, min(8, 0.8 * slot / sizes[-1]), 0.3 * height)
        low, top = out_room + 32, height - 4 - 20 * scales
        for i, (W, b) in enumerate(zip(self.coefs, self.intercepts, strict=True)):
            x, w = (in_room + 24 + i * slot) / width, 0.9 * slot / width
            images = []
            for row, (name, values, bottom, high) in enumerate(
                (("Weight", W, low, top - low), ("Bias", b[None], low - 14, 10))
            ):
                look = {"cmap": cmap, "norm": _norm([values])}
                if row < scales:
                    place = (x, 1 - (8 + 20 * row) / height, w, 6 / height)
                    _draw_scale(ax, place, name if slot > 80 else "", look)
                part = ax.inset_axes((x, bottom / height, w, high / height), xticks=[], yticks=[])
                images.append(part.imshow(values, aspect="auto", interpolation="nearest", **look))
            self.images_.append(tuple(images))
            biases = images[1].axes
            biases.set_xlabel(f"{layers[i + 1]} ({sizes[i + 1]})", fontsize=min(8, slot / 7.5))
        weights, biases = (image.axes for image in self.images_[0])
        weights.set_ylabel(f"{layers[0]} ({sizes[0]})", fontsize=8)
        weights.set_yticks(range(len(inputs)), inputs, fontsize=in_size, parse_math=False)
        biases.set_yticks([0], ["Bias"], fontsize=8)
        options = {"rotation": 90, "fontsize": out_size, "parse_math": False}
        self.images_[-1][1].axes.set_xticks(range(len(outputs)), outputs, **options)


def _points(ax: Any) -> NDArray:
    """Width and height of the axes; lengths here are in points."""
    return ax.get_window_extent().size * 72 / ax.figure.dpi


def _norm(arrays: Sequence[NDArray]) -> Any:
    from matplotlib.colors import Normalize

    bound = max(float(np.abs(array).max()) for array in arrays) or 1.0
    return Normalize(-bound, bound)


def _write(ax: Any, text: str, xy: Any, offset: tuple[float, float], **style: Any) -> None:
    ax.annotate(text, xy, offset, textcoords="offset points", parse_math=False, **style)


def _fit(ax: Any, names: Sequence[str], size: float, room: float) -> tuple[float, float]:
    """Return a font size, at most this one, in which the names fit the room; and their width."""
    texts = [ax.text(0, 0, name, parse_math=False) for name in names]
    for _ in range(2):  # letters of half the size are not half as wide
        for text in texts:
            text.set_fontsize(size)
        width = max((text.get_window_extent().width for text in texts), default=0)
        width *= 72 / ax.figure.dpi
        size *= min(1, room / max(width, 1))
    for text in texts:
        text.remove()
    return size, width


def _draw_scale(ax: Any, place: tuple[float, ...], name: str, colors: dict) -> None:
    from matplotlib.cm import ScalarMappable

    bar = ax.inset_axes(place)
    ax.figure.colorbar(ScalarMappable(**colors), cax=bar, orientation="horizontal", ticks=[])
    size = min(9, place[2] * _points(ax)[0] / (10 if name else 6))
    end = f"{colors['norm'].vmax:.2g}"
    texts = {"left": f"\N{MINUS SIGN}{end}", "center": name, "right": end}
    for x, (ha, text) in zip((0, 0.5, 1), texts.items(), strict=True):
        _write(bar, text, (x, 0), (0, -size), xycoords="axes fraction", ha=ha, fontsize=size)
