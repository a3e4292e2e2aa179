"""A network as heat maps of its weights, or its first units as images."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_scratch import _palette
from sknn_scratch.displays.common import (
    draw_scale,
    fit_texts,
    relative,
    size_in_points,
    symmetric_norm,
    write,
)

#: Minimum height of a row with a name, in points; and maximum number of inputs with a row.
ROW, MOST_ROWS = 8.5, 40


def draw_maps(display: Any, cmap: Any, image_shape: tuple[int, int] | None) -> None:
    """Draw a display, and put its images into its list."""
    ax, units, headings = display.ax_, list(display.units_), display.headings()
    width, height = size_in_points(ax)
    if image_shape is None:
        units[0] = _strongest(display.coefs[0][:, units[1]], int((height - 74) / ROW))
        display.units_ = units
        headings = display.headings()
    coefs = [
        W[np.ix_(start, end)]
        for W, start, end in zip(display.coefs, units, units[1:], strict=False)
    ]
    names = [[str(i) for i in chosen] for chosen in units]
    names[0] = [display.feature_names[i] for i in units[0]]
    names[-1] = list(display.output_names)
    left, top = 4.0, height - 42
    # Width in proportion to the columns of a map, or of the images.
    shares = np.array([W.shape[1] + 8.0 for W in coefs])
    if image_shape is not None:
        shares[0] = max(shares[0], shares[1:].sum())
    slots = (width - 8) * shares / shares.sum()
    for layer, W in enumerate(coefs):
        look = {"cmap": cmap, "norm": symmetric_norm([W])}
        slot = float(slots[layer])
        if layer == 0 and image_shape is not None:
            box = (left, 10.0, slot - 14, top - 10)
            _draw_units(display, W, names[1], box, image_shape, look)
        else:
            size, beside = fit_texts(ax, names[layer], 8, 0.45 * slot)
            below_size, below = fit_texts(ax, names[layer + 1], 8, 0.3 * height)
            box = (left + beside + 8, below + 22, slot - beside - 26, top - below - 22)
            _draw_map(display, W, (names[layer], names[layer + 1]), box, (size, below_size), look)
        _label(display, box, headings[layer : layer + 2], look)
        left += slot


def _strongest(W: NDArray, most: int) -> NDArray:
    """Choose the inputs with the largest weights, in their order."""
    most = max(1, min(most, MOST_ROWS))
    return np.sort(np.argsort(-np.linalg.norm(relative(W), axis=1), kind="stable")[:most])


def _inset(display: Any, box: tuple[float, ...]) -> Any:
    """Make axes in a box whose position and size are given in points."""
    width, height = size_in_points(display.ax_)
    x, y, w, h = box
    place = (x / width, y / height, max(w, 1) / width, max(h, 1) / height)
    return display.ax_.inset_axes(place, xticks=[], yticks=[])


def _draw_map(
    display: Any,
    W: NDArray,
    names: tuple[list[str], list[str]],
    box: tuple[float, ...],
    sizes: tuple[float, float],
    look: dict[str, Any],
) -> None:
    part = _inset(display, box)
    image = part.imshow(W, aspect="auto", interpolation="nearest", **look)
    display.images_.append(image)
    part.tick_params(length=0, pad=2)
    for spine in part.spines.values():
        spine.set_color(_palette.MUTED[0])
    (row_size, column_size), (_, _, w, h) = sizes, box
    rows = min(row_size, 0.95 * h / max(len(names[0]), 1))
    columns = min(column_size, 0.95 * w / max(len(names[1]), 1))
    part.set_yticks(range(len(names[0])), names[0], fontsize=max(rows, 0.5), parse_math=False)
    options = {"rotation": 90, "fontsize": max(columns, 0.5), "parse_math": False}
    part.set_xticks(range(len(names[1])), names[1], **options)


def _draw_units(
    display: Any,
    W: NDArray,
    names: list[str],
    box: tuple[float, ...],
    shape: tuple[int, int],
    look: dict[str, Any],
) -> None:
    """Draw the weights of each unit as an image, in a grid."""
    x, y, w, h = box
    n = len(names)

    def side_of(columns: int) -> float:
        return min(w / columns, h / -(-n // columns) - 12)

    columns = max(range(1, n + 1), key=side_of)
    side = max(side_of(columns), 1.0)
    for i, (name, weights) in enumerate(zip(names, W.T, strict=True)):
        row, column = divmod(i, columns)
        place = (x + column * side, y + h - (row + 1) * (side + 12), 0.93 * side, 0.93 * side)
        part = _inset(display, place)
        image = part.imshow(weights.reshape(shape), interpolation="nearest", **look)
        display.images_.append(image)
        part.set_title(name, fontsize=min(8, side / 3), pad=1.5, color=_palette.MUTED[0])
        for spine in part.spines.values():
            spine.set_color(_palette.MUTED[0])


def _label(display: Any, box: tuple[float, ...], headings: list[str], look: dict[str, Any]) -> None:
    """Write above the weights which layers they connect, and draw their colour scale."""
    width, height = size_in_points(display.ax_)
    x, _, w, _ = box
    draw_scale(display.ax_, (x / width, 1 - 22 / height, max(w, 1) / width, 6 / height), "", look)
    text = f"{headings[0]} \N{RIGHTWARDS ARROW} {headings[1]}"
    size, _ = fit_texts(display.ax_, [text], 9, max(w + 14, 1))
    at = ((x + w / 2) / width, 1 - 12 / height)
    write(display.ax_, text, at, (0, 0), xycoords="axes fraction", ha="center", fontsize=size)
