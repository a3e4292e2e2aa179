"""What the displays share: finding the fitted network, and drawing texts and colour scales."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def pyplot(caller: str) -> Any:
    """Import matplotlib.pyplot; if it is missing, raise an ImportError that names the caller."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib ({error}). In the folder of the project, run: "
            'python -m pip install ".[plot]"'
        ) from error
    return plt


def fitted_network(estimator: Any, attribute: str) -> tuple[Any, Pipeline | None]:
    """Return the fitted network at the end of searches and pipelines, and the steps before it.

    Raises
    ------
    NotFittedError
        If the network is not fitted.
    TypeError
        If it lacks the attribute.
    """
    network, before = estimator, None
    while isinstance(network, Pipeline) or hasattr(network, "best_estimator_"):
        if isinstance(network, Pipeline):
            network, before = network[-1], network[:-1]
        else:
            network = network.best_estimator_
    check_is_fitted(network)
    if not hasattr(network, attribute):
        raise TypeError(
            f"{network!r} has no {attribute}. Pass a fitted ScratchMLPClassifier or "
            "ScratchMLPRegressor, or a Pipeline or a search with refit=True that ends in one."
        )
    return network, before


def size_in_points(ax: Any) -> NDArray:
    """Return width and height of the axes, in points."""
    return ax.get_window_extent().size * 72 / ax.figure.dpi


def symmetric_norm(arrays: Sequence[NDArray]) -> Any:
    """Return a colour scale for all values of the arrays, with zero in the middle."""
    from matplotlib.colors import Normalize

    bound = max(float(np.abs(array).max()) for array in arrays) or 1.0
    return Normalize(-bound, bound)


def relative(a: NDArray) -> NDArray:
    """Divide numbers by the size of the largest, so that squares of them do not overflow."""
    parts: NDArray = a / (np.abs(a).max() or 1)
    return parts


def write(ax: Any, text: str, xy: Any, offset: tuple[float, float], **style: Any) -> None:
    """Write a text at a position, moved by an offset in points."""
    ax.annotate(text, xy, offset, textcoords="offset points", parse_math=False, **style)


def fit_texts(ax: Any, names: Sequence[str], size: float, room: float) -> tuple[float, float]:
    """Return the largest font size up to ``size`` in which the names fit ``room``, and their width.

    All lengths are in points.
    """
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


def draw_scale(ax: Any, place: tuple[float, ...], name: str, colors: dict) -> None:
    """Draw a colour scale at a position in the axes, with its ends and its name."""
    from matplotlib.cm import ScalarMappable

    bar = ax.inset_axes(place)
    ax.figure.colorbar(ScalarMappable(**colors), cax=bar, orientation="horizontal", ticks=[])
    size = min(9, place[2] * size_in_points(ax)[0] / (10 if name else 6))
    end = f"{colors['norm'].vmax:.2g}"
    texts = {"left": f"\N{MINUS SIGN}{end}", "center": name, "right": end}
    for x, (ha, text) in zip((0, 0.5, 1), texts.items(), strict=True):
        write(bar, text, (x, 0), (0, -size), xycoords="axes fraction", ha=ha, fontsize=size)
