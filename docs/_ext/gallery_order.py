"""Order of the examples in the gallery: from a first look at a network to its deployment."""

from pathlib import Path

EXAMPLES = (
    "moons",
    "digits",
    "loss_curves",
    "penguins",
    "search",
    "stacked_search",
    "calibration",
    "imbalanced",
    "ensemble",
    "regression_fan",
    "text",
    "stream",
    "callback",
    "onnx",
)


def place(path: str) -> int:
    """Return the place of an example, by its file."""
    return EXAMPLES.index(Path(path).stem.removeprefix("plot_"))
