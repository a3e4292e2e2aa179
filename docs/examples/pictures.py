"""Draw the pictures of docs/guide/pictures.md.

Needs matplotlib.
"""

import argparse
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.inspection import DecisionBoundaryDisplay

from sknn_scratch import LossCurveDisplay, NetworkDisplay, ScratchMLPClassifier, _palette

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
y = np.array(["even", "odd", "odd", "even"])


def xor(learning_rate: float = 0.1) -> ScratchMLPClassifier:
    """Return a network of four hidden units that has learnt XOR."""
    settings = {"weight_decay": 0, "max_iter": 500, "random_state": 0}
    return ScratchMLPClassifier((4,), learning_rate_init=learning_rate, **settings).fit(X, y)


def network_xor() -> plt.Figure:
    """Draw the network that has learnt XOR."""
    return NetworkDisplay.from_estimator(xor()).figure_


def draw_rows(ax: plt.Axes, rows: np.ndarray, labels: np.ndarray, size: float) -> None:
    """Draw rows of two classes by their signs."""
    for label in (0, 1):
        look = {"marker": _palette.class_shape(label).marker, "c": _palette.class_color(label)}
        ax.scatter(*rows[labels == label].T, s=size, edgecolors="white", linewidths=0.6, **look)


def boundary_xor() -> plt.Figure:
    """Draw the probability that it gives to "odd" in the plane of its inputs."""
    figure, ax = plt.subplots(layout="constrained")
    fine = {"grid_resolution": 200}
    look = {"response_method": "predict_proba", "class_of_interest": "odd", "eps": 0.4, "ax": ax}
    probability = DecisionBoundaryDisplay.from_estimator(
        xor(), X, levels=np.linspace(0, 1, 11), cmap=_palette.between_two(), **fine, **look
    )
    ink = _palette.INK[0]
    DecisionBoundaryDisplay.from_estimator(
        xor(), X, plot_method="contour", levels=[0.5], colors=ink, **fine, **look
    )
    draw_rows(ax, X, y == "odd", 120)
    for point, label in zip(X, y, strict=True):
        style = {"textcoords": "offset points", "ha": "center", "color": ink}
        ax.annotate(label, point, (0, 11), **style)
    ax.set(xlabel="x0", ylabel="x1", aspect="equal", xticks=[0, 1], yticks=[0, 1])
    figure.colorbar(probability.surface_, ax=ax, label="Probability of odd", ticks=[0, 0.5, 1])
    return figure


def loss_curves() -> plt.Figure:
    """Draw how XOR is learnt at several learning rates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the lowest rates are too low
        fits = {rate: xor(rate) for rate in (0.003, 0.01, 0.03, 0.1, 0.3)}
    display = LossCurveDisplay.from_estimators(fits)
    display.ax_.get_legend().set_title("learning_rate_init")
    return display.figure_


def loss_validation() -> plt.Figure:
    """Draw how a fit is stopped early."""
    clf = ScratchMLPClassifier(early_stopping=True, scoring="neg_log_loss", random_state=0)
    return LossCurveDisplay.from_estimator(clf.fit(*load_breast_cancer(return_X_y=True))).figure_


def network_iris() -> plt.Figure:
    """Draw a network with two hidden layers."""
    iris = load_iris(as_frame=True)
    clf = ScratchMLPClassifier((6, 4), random_state=0)
    return NetworkDisplay.from_estimator(clf.fit(iris.data, iris.target_names[iris.target])).figure_


def network_digits() -> plt.Figure:
    """Draw the units of the default network that do most on digits, as images of their weights."""
    clf = ScratchMLPClassifier(random_state=0).fit(*load_digits(return_X_y=True))
    return NetworkDisplay.from_estimator(clf, image_shape=(8, 8)).figure_


def network_cancer() -> plt.Figure:
    """Draw the units of the default network that do most on a table of thirty columns."""
    data = load_breast_cancer(as_frame=True)
    clf = ScratchMLPClassifier(random_state=0).fit(data.data, data.target_names[data.target])
    return NetworkDisplay.from_estimator(clf).figure_


def network_moons() -> plt.Figure:
    """Draw a network of two hidden layers, each unit as what it sees."""
    moons, labels = make_moons(300, noise=0.2, random_state=0)
    clf = ScratchMLPClassifier((8, 6), random_state=0).fit(moons, labels)
    return NetworkDisplay.from_estimator(clf).figure_


def hidden_units() -> plt.Figure:
    """Draw where in the plane each hidden unit is active."""
    moons, labels = make_moons(300, noise=0.2, random_state=0)
    clf = ScratchMLPClassifier((8,), learning_rate_init=0.1, random_state=0).fit(moons, labels)
    side = np.linspace(moons.min(0) - 0.3, moons.max(0) + 0.3, 150)
    plane = np.meshgrid(*side.T)
    (activations,) = clf.hidden_activations(np.column_stack([part.ravel() for part in plane]))
    figure, axes = plt.subplots(
        2, 4, figsize=(8, 4), sharex=True, sharey=True, layout="constrained"
    )
    for i, (ax, a) in enumerate(zip(axes.flat, activations.T, strict=True)):
        look = {"cmap": _palette.sequential(), "vmin": 0, "vmax": 1}
        image = ax.pcolormesh(*plane, a.reshape(plane[0].shape), **look)
        draw_rows(ax, moons, labels, 9)
        ax.set_title(f"unit {i}", fontsize=10)
    figure.colorbar(image, ax=axes, label="Activation")
    return figure


PICTURES = [
    network_xor,
    boundary_xor,
    loss_curves,
    loss_validation,
    network_moons,
    network_iris,
    network_cancer,
    network_digits,
    hidden_units,
]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    images = Path(__file__).parents[1] / "images"
    parser.add_argument("folder", nargs="?", type=Path, default=images, help="where to write them")
    return parser.parse_args()


def main(folder: Path) -> None:
    """Write the pictures to the folder."""
    folder.mkdir(exist_ok=True)
    for draw in PICTURES:
        figure, path = draw(), folder / f"{draw.__name__}.png"
        figure.savefig(path, dpi=200)  # two pixels for each of a page's
        plt.close(figure)
        # A palette makes the file several times smaller.
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
        print(f"wrote {path}")


if __name__ == "__main__":
    main(arguments().folder)
