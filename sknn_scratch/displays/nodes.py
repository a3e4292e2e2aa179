"""A network as columns of nodes, joined by lines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_scratch import _palette
from sknn_scratch.displays.common import (
    draw_scale,
    fit_texts,
    size_in_points,
    symmetric_norm,
    write,
)

#: Space for the headings above, and for the colour scales below, in points.
ABOVE, BELOW = 18, 30

#: Minimum and maximum width of a line, as a fraction of the diameter of a node.
THIN, WIDE = 0.012, 0.15


def draw_nodes(display: Any, cmap: Any, line_cmap: Any) -> None:
    """Draw a display, and put its nodes and edges into its lists."""
    ax, units = display.ax_, display.units_
    coefs = [
        W[np.ix_(start, end)]
        for W, start, end in zip(display.coefs, units, units[1:], strict=False)
    ]
    intercepts = [b[chosen] for b, chosen in zip(display.intercepts, units[1:], strict=True)]
    node = {"cmap": cmap, "norm": symmetric_norm(display.intercepts)}
    share = symmetric_norm([np.ones(1)])
    width, height = size_in_points(ax)
    places_of_scales = [(x, 14 / height, 0.46, 6 / height) for x in (0.02, 0.52)]
    draw_scale(ax, places_of_scales[0], "Weight / largest", {"cmap": line_cmap, "norm": share})
    if display.pictures is None:
        draw_scale(ax, places_of_scales[1], "Bias", node)
    else:
        draw_scale(ax, places_of_scales[1], "Activation", {"cmap": cmap, "norm": share})
    middle, last = height - ABOVE - BELOW, len(coefs)
    most = max(map(len, units))
    largest = 0.72 * middle / most if display.pictures is not None else 0.6 * middle / most
    diameter = min(largest, 0.17 * width / last, 48 if display.pictures is not None else 30)
    places = [  # (n, 2) for each layer, from top to bottom
        np.column_stack([np.full(len(chosen), i), 1 - (np.arange(len(chosen)) + 0.5) / len(chosen)])
        for i, chosen in enumerate(units)
    ]
    for W, start, end in zip(coefs, places, places[1:], strict=False):
        line = {"cmap": line_cmap, "norm": symmetric_norm([W])}
        display.edges_.append(_draw_edges(ax, W, start, end, diameter, line))
    for layer, (xy, b) in enumerate(zip(places, [None, *intercepts], strict=True)):
        fill = {"color": "lightgrey"} if b is None else {"c": b, **node}
        look: dict[str, Any] = {"edgecolors": _palette.INK[0], "linewidths": 0.8, "zorder": 2}
        if display.pictures is not None:
            look |= {"marker": "s", "linewidths": 1.6}
        display.nodes_.append(ax.scatter(*xy.T, s=diameter**2, **fill, **look))
        if display.pictures is not None:
            pictures = display.pictures[layer][units[layer]]
            for i, (place, picture) in enumerate(zip(xy, pictures, strict=True)):
                colors = cmap
                if layer == last:
                    colors = _palette.of_class(1 if len(display.output_names) == 1 else i)
                _draw_picture(ax, place, picture, diameter, colors, signed=layer != last)
    _write_names(display, places, diameter, (width, middle))


def _draw_edges(
    ax: Any, W: NDArray, start: NDArray, end: NDArray, diameter: float, line: dict[str, Any]
) -> Any:
    from matplotlib.collections import LineCollection

    w = W.ravel()
    ends = np.stack([np.repeat(start, len(end), 0), np.tile(end, (len(start), 1))], 1)
    widths = diameter * (THIN + (WIDE - THIN) * np.abs(w) / line["norm"].vmax)
    styles = np.where(w < 0, "--", "-")
    look = {"linewidths": widths, "linestyles": styles, **line}
    return ax.add_collection(LineCollection(list(ends), array=w, **look))


def _draw_picture(
    ax: Any, place: NDArray, picture: NDArray, diameter: float, cmap: Any, *, signed: bool
) -> None:
    """Draw the picture of a unit on its node."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    low = -1 if signed else 0
    image = OffsetImage(
        picture[::-1], zoom=diameter / len(picture), cmap=cmap, norm=_between(low, 1)
    )
    ax.add_artist(AnnotationBbox(image, tuple(place), frameon=False, pad=0, zorder=3))


def _between(low: float, high: float) -> Any:
    from matplotlib.colors import Normalize

    return Normalize(low, high)


def _write_names(
    display: Any, places: list[NDArray], diameter: float, room: tuple[float, float]
) -> None:
    """Write the names of inputs, outputs and layers, and fit everything into the axes."""
    ax, (width, middle), last = display.ax_, room, len(places) - 1
    margins, beside = [], diameter / 2 + 4
    most = max(map(len, places))
    for names, column, side, ha in (
        (display.feature_names, places[0], -1, "right"),
        (display.output_names, places[-1], 1, "left"),
    ):
        size, widest = fit_texts(ax, names, min(11, 0.8 * middle / most), 0.25 * width)
        for name, place in zip(names, column, strict=True):
            write(ax, name, place, (side * beside, 0), ha=ha, va="center", fontsize=size)
        margins.append(beside + widest)
    between = (width - sum(margins)) / last
    ax.set_xlim(-margins[0] / between, last + margins[1] / between)
    ax.set_ylim(-BELOW / middle, 1 + ABOVE / middle)
    headings = display.headings()
    size, _ = fit_texts(ax, headings, 10, min(between, width / (last + 1)))
    for i, heading in enumerate(headings):
        write(ax, heading, (i, 1), (0, 4), ha="center", fontsize=size)
