"""Draw the pictures of docs/learn/ and docs/getting_started/.

They are SVG, with the colours of a light or a dark page, whichever shows them. Needs matplotlib.
"""

import argparse
import io
import re
import warnings
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split

from sknn_scratch import ScratchMLPClassifier, _palette
from sknn_scratch.datasets import load_penguins
from sknn_scratch.network.initialisation import initial_theta, scaled_bounds
from sknn_scratch.network.layers import Architecture, layers_of

PAPER, INK, MUTED = _palette.PAPER[0], _palette.INK[0], _palette.MUTED[0]
POSITIVE, NEGATIVE = _palette.POSITIVE[0], _palette.NEGATIVE[0]
CLASSES = [_palette.class_color(i) for i in range(3)]

STYLE = {
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 11,
    "legend.frameon": False,
    "svg.hashsalt": "sknn_scratch",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
}

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
ODD = np.array([[0.0], [1.0], [1.0], [0.0]])


def sigmoid(z: np.ndarray) -> np.ndarray:
    """Compute the logistic function."""
    return 1 / (1 + np.exp(-z))


def slope(z: np.ndarray) -> np.ndarray:
    """Compute the derivative of the logistic function."""
    return sigmoid(z) * (1 - sigmoid(z))


# ---------------------------------------------------------------- planes


def grid(low: float, high: float, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the two coordinates of a square of points, (n, n) each, and its rows, (n * n, 2)."""
    x1, x2 = np.meshgrid(np.linspace(low, high, n), np.linspace(low, high, n))
    return x1, x2, np.column_stack([x1.ravel(), x2.ravel()])


def shade(ax: plt.Axes, plane: Sequence[np.ndarray], values: np.ndarray, color: str) -> None:
    """Shade a plane by values between 0 (nothing) and 1 (the colour)."""
    levels = np.linspace(0, 1, 9)
    colors = [(color, 0.8 * (low + high) / 2) for low, high in pairwise(levels)]
    ax.contourf(*plane[:2], np.clip(values, 1e-9, 1 - 1e-9), levels=levels, colors=colors)


def shade_active(ax: plt.Axes, plane: Sequence[np.ndarray], a: np.ndarray) -> None:
    """Show where in a plane a unit is active, and the line on which it is half active."""
    a = a.reshape(plane[0].shape)
    shade(ax, plane, a, POSITIVE)
    if a.min() < 0.5 < a.max():
        ax.contour(*plane[:2], a, levels=[0.5], colors=[INK], linewidths=1)


def shade_classes(ax: plt.Axes, plane: Sequence[np.ndarray], p: np.ndarray) -> None:
    """Show the probability of the second of two classes, and the line on which it is one half."""
    p = p.reshape(plane[0].shape)
    shade(ax, plane, np.maximum(1 - 2 * p, 0), CLASSES[0])
    shade(ax, plane, np.maximum(2 * p - 1, 0), CLASSES[1])
    if p.min() < 0.5 < p.max():
        ax.contour(*plane[:2], p, levels=[0.5], colors=[INK], linewidths=1)


def mark(ax: plt.Axes, rows: np.ndarray, labels: np.ndarray, size: float) -> None:
    """Mark rows of two classes by shape and colour."""
    for label in (0, 1):
        look = {"marker": _palette.class_shape(label).marker, "c": CLASSES[label]}
        chosen = rows[labels.ravel() == label]
        ax.scatter(*chosen.T, s=size, edgecolors=PAPER, linewidths=0.5, zorder=3, **look)


def bare(ax: plt.Axes, title: str = "") -> None:
    """Leave out the ticks, and keep the plane square."""
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.set_title(title)


# ---------------------------------------------------------------- a neuron


def neuron() -> plt.Figure:
    """Draw what the weight and the bias of a neuron with one input do."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.7), sharey=True, layout="constrained")
    x = np.linspace(-4, 4, 200)
    looks = [(INK, ":"), (POSITIVE, "-"), (NEGATIVE, "--")]
    for ax, cases, title in (
        (axes[0], [(1, 0), (4, 0), (-4, 0)], "The weight sets the slope"),
        (axes[1], [(4, 8), (4, 0), (4, -8)], "The bias sets the place"),
    ):
        for (w, b), (color, line) in zip(cases, looks, strict=True):
            name = f"w = {w}" if ax is axes[0] else f"b = {b}"
            ax.plot(x, sigmoid(w * x + b), color=color, linestyle=line)
            place = (
                (-b / w + 0.3, 0.6) if ax is axes[1] else {1: (1.6, 0.68), 4: (-2.1, 0.02)}.get(w)
            )
            ax.text(*(place or (-2.4, 0.85)), name, fontsize=9, color=color)
        ax.set(xlabel="x", yticks=[0, 0.5, 1])
        ax.set_title(title)
    axes[0].set_ylabel("activation a")
    return figure


def neuron_plane() -> plt.Figure:
    """Draw where neurons with two inputs are active."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.6), layout="constrained")
    plane = grid(-3, 3)
    for ax, (w, b) in zip(axes, [((1, 1), 0), ((1, 1), -2), ((4, -2), 0)], strict=True):
        shade_active(ax, plane, sigmoid(plane[2] @ w + b))
        foot = -b * np.array(w) / np.dot(w, w)
        way = 1.2 * np.array(w) / np.linalg.norm(w)
        ax.annotate("", foot + way, foot, arrowprops={"arrowstyle": "->", "color": INK})
        bare(ax, f"w = ({w[0]}, {w[1]}), b = {b}")
        ax.set(xlabel="$x_1$", ylabel="$x_2$")
    return figure


def neuron_xor() -> plt.Figure:
    """Draw two units and an output that compute XOR, with weights chosen by hand."""
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.6), layout="constrained")
    plane = grid(-0.4, 1.4)
    either, both = (sigmoid(plane[2] @ [10, 10] + b) for b in (-5, -15))
    shade_active(axes[0], plane, either)
    shade_active(axes[1], plane, both)
    shade_classes(axes[2], plane, sigmoid(10 * either - 10 * both - 5))
    for ax, title in zip(axes, ["either", "both", "output: XOR"], strict=True):
        mark(ax, XOR, ODD, 60)
        bare(ax, title)
    return figure


# ---------------------------------------------------------------- forward and backward


class ByHand:
    """The network of docs/learn/by_hand.md, from its start."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0).normal
        self.parameters = [2 * draw(size=(2, 4)), np.zeros(4), 2 * draw(size=(4, 1)), np.zeros(1)]

    def forward(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute hidden activations and outputs."""
        W1, b1, W2, b2 = self.parameters
        H = sigmoid(X @ W1 + b1)
        return H, sigmoid(H @ W2 + b2)

    def loss(self) -> float:
        """Compute the mean squared error on XOR."""
        return float(np.mean((self.forward(XOR)[1] - ODD) ** 2))

    def gradient(self, inner: Callable[[np.ndarray], np.ndarray]) -> list[np.ndarray]:
        """Compute the gradient, given the slope of the hidden units as a function of H."""
        H, P = self.forward(XOR)
        D2 = 2 / len(XOR) * (P - ODD) * P * (1 - P)
        D1 = D2 @ self.parameters[2].T * inner(H)
        return [XOR.T @ D1, D1.sum(axis=0), H.T @ D2, D2.sum(axis=0)]

    def train(self, n_epochs: int) -> list[float]:
        """Train for some epochs at a rate of 2, and return the loss before each."""
        losses = []
        for _ in range(n_epochs):
            losses.append(self.loss())
            for parameter, part in zip(
                self.parameters, self.gradient(lambda H: H * (1 - H)), strict=True
            ):
                parameter -= 2.0 * part
        return losses


def by_hand() -> plt.Figure:
    """Draw the loss of the network of forty lines, and its output at three epochs."""
    figure, axes = plt.subplots(2, 2, figsize=(5.6, 4.4), layout="constrained")
    first, *planes = axes.flat
    net, losses, plane = ByHand(), [], grid(-0.4, 1.4)
    for ax, n_epochs in zip(planes, (0, 200, 1800), strict=True):
        losses += net.train(n_epochs)
        shade_classes(ax, plane, net.forward(plane[2])[1])
        mark(ax, XOR, ODD, 50)
        bare(ax, f"epoch {len(losses)}")
    first.semilogy(losses, color=POSITIVE)
    first.set(xlabel="epoch", ylabel="loss", xticks=[0, 1000, 2000])
    return figure


def gradient_check() -> plt.Figure:
    """Draw the relative error of finite differences over their step."""
    net, steps = ByHand(), np.logspace(-12, 0, 49)
    for part in net.parameters:  # biases too
        part += np.random.default_rng(1).normal(size=part.shape)
    W1 = net.parameters[0]

    def numeric(eps: float) -> np.ndarray:
        found = np.empty_like(W1)
        for index in np.ndindex(W1.shape):
            value, sides = W1[index], []
            for sign in (1, -1):
                W1[index] = value + sign * eps
                sides.append(net.loss())
            W1[index] = value
            found[index] = (sides[0] - sides[1]) / (2 * eps)
        return found

    figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
    for name, inner, color, line in (
        ("a mistake: sigmoid taken twice", slope, NEGATIVE, "--"),
        ("the right gradient", lambda H: H * (1 - H), POSITIVE, "-"),
    ):
        exact = net.gradient(inner)[0]
        errors = []
        for eps in steps:
            found = numeric(eps)
            lengths = np.linalg.norm(exact) + np.linalg.norm(found)
            errors.append(np.linalg.norm(exact - found) / lengths)
        ax.loglog(steps, errors, color=color, linestyle=line, label=name)
    ax.set(xlabel="step ε", ylabel="relative error", ylim=(1e-13, 3))
    ax.legend(loc="lower left", fontsize=10)
    return figure


# ---------------------------------------------------------------- the post


def post_slopes() -> plt.Figure:
    """Draw the derivative of the sigmoid, and what the post takes for it."""
    figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
    z = np.linspace(-8, 8, 300)
    ax.plot(
        z,
        slope(sigmoid(z)),
        color=NEGATIVE,
        linestyle="--",
        label=r"the post: $\sigma'(\sigma(z))$",
    )
    ax.plot(z, slope(z), color=POSITIVE, label=r"right: $\sigma'(z)$")
    ax.set(xlabel="z", ylabel="slope", ylim=(0, 0.29), yticks=[0, 0.1, 0.2])
    ax.legend(fontsize=10, loc="center right", bbox_to_anchor=(1, 0.42))
    return figure


def post_errors() -> plt.Figure:
    """Draw the error of the post's network, once more with one weight nudged, and done right."""
    X, Y = np.column_stack([[0.0, 1, 1, 0], [1.0, 0, 1, 0], np.ones(4)]), np.c_[[1.0, 1, 0, 0]]

    def run(nudge: bool, right: bool) -> list[float]:
        draw = np.random.RandomState(1).randn
        W1, W2, b1, b2 = draw(3, 4), draw(4, 1), draw(4), draw(1)
        if nudge:
            W1[0, 0] = np.nextafter(W1[0, 0], np.inf)
        errors = []
        for _ in range(7000):
            H = sigmoid(X @ W1 + b1)
            P = sigmoid(H @ W2 + b2)
            errors.append(abs(P - Y).mean())
            if right:  # twice the gradient, which is as long as the post's step
                D2 = 4 / len(X) * (P - Y) * P * (1 - P)
                D1 = D2 @ W2.T * H * (1 - H)
                steps = X.T @ D1, H.T @ D2, D1.sum(axis=0), D2.sum(axis=0)
            else:
                D2 = (P - Y) * slope(P)
                D1 = D2 @ W2.T * slope(H)
                steps = X.T @ D1, H.T @ D2, D1.mean(axis=1), D2.mean(axis=0)
            W1, W2, b1, b2 = (p - s for p, s in zip((W1, W2, b1, b2), steps, strict=True))
        return errors

    figure, ax = plt.subplots(figsize=(6.6, 3), layout="constrained")
    ax.plot(run(False, False)[::10], color=NEGATIVE, linewidth=0.8, label="the post")
    ax.plot(
        run(True, False)[::10], color=CLASSES[1], linewidth=0.8, label="one weight nudged by 1e-16"
    )
    ax.plot(run(False, True)[::10], color=POSITIVE, linewidth=2, label="the right gradient")
    ax.set(xlabel="epoch", ylabel="mean absolute error", ylim=(0, 0.8))
    ax.set_yticks([0, 0.2, 0.4, 0.6])
    ax.set_xticks([0, 200, 400, 600], ["0", "2,000", "4,000", "6,000"])
    ax.legend(fontsize=10, loc="upper right")
    return figure


# ---------------------------------------------------------------- weights, steps, losses, stacks


def initialisation() -> plt.Figure:
    """Draw six units at their start, on the two moons, for three ways to draw their weights."""
    moons, _ = make_moons(40, noise=0.15, random_state=0)
    moons = (moons - moons.mean(axis=0)) / moons.std(axis=0)
    network = Architecture((2, 6, 1), "logistic", "logistic", "squared_error")
    rng = np.random.RandomState(2)
    bound = scaled_bounds(network.sizes, "logistic", np.mean(np.sum(moons**2, axis=1)))[0]
    ways = {
        "Glorot": initial_theta(network, "glorot", moons, None, rng, np.float64),
        "formula": rng.uniform(-bound, bound, size=25),
        "by data": initial_theta(network, "scaled", moons, None, rng, np.float64),
    }
    figure, axes = plt.subplots(3, 6, figsize=(7, 3.7), layout="constrained")
    plane = grid(-2.4, 2.4, 25)
    for row, (name, theta) in zip(axes, ways.items(), strict=True):
        W, b = layers_of(theta, network.sizes)[0]
        for ax, a in zip(row, sigmoid(plane[2] @ W + b).T, strict=True):
            shade_active(ax, plane, a)
            ax.scatter(*moons.T, s=2, c=INK, linewidths=0)
            bare(ax)
        row[0].set_ylabel(name)
    return figure


def adam() -> plt.Figure:
    """Draw the paths of four solvers in a narrow valley."""
    steep = np.array([1.0, 25.0])

    def plain(rate: float) -> Callable:
        return lambda theta, g, t: theta - rate * g

    def momentum(rate: float) -> Callable:
        u = np.zeros(2)

        def step(theta: np.ndarray, g: np.ndarray, t: int) -> np.ndarray:
            u[:] = 0.9 * u - rate * g
            return theta + u

        return step

    def adaptive(rate: float) -> Callable:
        m, v = np.zeros(2), np.zeros(2)

        def step(theta: np.ndarray, g: np.ndarray, t: int) -> np.ndarray:
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g**2
            return theta - rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)

        return step

    figure, axes = plt.subplots(
        2, 2, figsize=(7, 3.8), sharex=True, sharey=True, layout="constrained"
    )
    x, y = np.meshgrid(np.linspace(-4.6, 2.2, 120), np.linspace(-1.5, 1.5, 60))
    cases = [
        ("gradient descent, rate 0.02", plain(0.02), MUTED),
        ("gradient descent, rate 0.077", plain(0.077), NEGATIVE),
        ("momentum 0.9, rate 0.01", momentum(0.01), CLASSES[2]),
        ("Adam, rate 0.3", adaptive(0.3), POSITIVE),
    ]
    for ax, (name, step, color) in zip(axes.flat, cases, strict=True):
        path = [np.array([-4.0, 1.0])]
        for t in range(1, 31):
            path.append(step(path[-1], steep * path[-1], t))
        level = 0.5 * (x**2 + 25 * y**2)
        ax.contour(x, y, level, levels=[0.5, 2, 5, 10, 17], colors=[MUTED], linewidths=0.5)
        ax.plot(*np.transpose(path), ".-", color=color, markersize=4, linewidth=1)
        ax.plot(0, 0, "+", color=INK, markersize=9)
        ax.set_title(name)
    figure.supxlabel(r"$\theta_1$", fontsize=11)
    figure.supylabel(r"$\theta_2$", fontsize=11)
    return figure


def losses() -> plt.Figure:
    """Draw squared error and log loss of a row of class 1, and their gradients."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.9), layout="constrained")
    p = np.linspace(0.003, 1, 300)
    squared, log = {"color": POSITIVE}, {"color": NEGATIVE, "linestyle": "--"}
    axes[0].plot(p, (p - 1) ** 2, label="squared error", **squared)
    axes[0].plot(p, -np.log(p), label="log loss", **log)
    axes[0].set(xlabel="probability p of the true class", ylabel="loss", ylim=(0, 4))
    axes[0].legend(fontsize=10)
    z = np.linspace(-8, 6, 300)
    p = sigmoid(z)
    axes[1].plot(z, 2 * (p - 1) * p * (1 - p), **squared)
    axes[1].plot(z, p - 1, **log)
    axes[1].set(xlabel="z of the output", ylabel="gradient by z")
    axes[1].text(-7.8, -0.12, "confident\nmistakes", va="top", color=MUTED, fontsize=10)
    return figure


def stack() -> plt.Figure:
    """Draw three networks with arrays of their own, and as one array with one more axis."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.7), layout="constrained")
    colors = [POSITIVE, CLASSES[2], CLASSES[1]]

    def sheet(ax: plt.Axes, x: float, y: float, color: str) -> None:
        ax.add_patch(Rectangle((x, y), 2.2, 1.5, facecolor=PAPER, edgecolor="none"))
        ax.add_patch(Rectangle((x, y), 2.2, 1.5, facecolor=(color, 0.25), edgecolor=color))
        for i in range(1, 4):
            ax.plot([x + 2.2 * i / 4] * 2, [y, y + 1.5], color=color, linewidth=0.6)
        ax.plot([x, x + 2.2], [y + 0.75] * 2, color=color, linewidth=0.6)

    for i, color in enumerate(colors):
        sheet(axes[0], 0, 4.2 - 2.1 * i, color)
        axes[0].text(2.5, 4.95 - 2.1 * i, f"X @ W of network {i + 1}", va="center")
    for i, color in reversed(list(enumerate(colors))):
        sheet(axes[1], 0.8 * i, 2 + 0.8 * i, color)
    axes[1].text(0, 1.2, "X @ W, W of shape (3, 2, 4)", va="center")
    for ax, title in zip(axes, ["three networks, three calls", "a stack, one call"], strict=True):
        ax.set(xlim=(-0.3, 6.2), ylim=(-0.4, 6), aspect="equal")
        ax.set_title(title)
        ax.axis("off")
    return figure


# ---------------------------------------------------------------- getting started


def loss_shapes() -> plt.Figure:
    """Draw four typical loss curves."""
    X, y = make_moons(400, noise=0.3, random_state=0)
    cases = {
        "As it should be": {},
        "Rate too low": {"learning_rate_init": 1e-4, "max_iter": 100},
        "Rate too high": {"learning_rate_init": 1.0, "learning_rate": "constant"},
        "Overfitting": {"weight_decay": 0, "max_iter": 300},
    }
    figure, axes = plt.subplots(2, 2, figsize=(7, 4.4), sharey=True, layout="constrained")
    for ax, (title, settings) in zip(axes.flat, cases.items(), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            clf = ScratchMLPClassifier(random_state=0, **settings)
            clf.fit(X[:100], y[:100], X_val=X[100:], y_val=y[100:])
        epochs = np.arange(1, clf.n_iter_ + 1)
        ax.plot(epochs, clf.loss_curve_, color=POSITIVE, label="training")
        ax.plot(epochs, clf.validation_loss_curve_, color=NEGATIVE, ls="--", label="validation")
        ax.set(title=title, ylim=(0, 0.6))
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0, 0].legend(fontsize=10)
    figure.supxlabel("epoch", fontsize=11)
    figure.supylabel("loss", fontsize=11)
    return figure


def search_report() -> plt.Figure:
    """Draw the Brier scores of a grid search as a table of colours."""
    frame = load_penguins(as_frame=True).frame.dropna(subset="sex")
    X, y = frame.drop(columns="sex"), (frame["sex"] == "MALE").astype(int)
    X, _, y, _ = train_test_split(X, y, random_state=0, stratify=y)
    sizes, rates = [(1,), (10,), (200,)], [0.001, 0.01, 0.1]
    parameters = {"hidden_layer_sizes": sizes, "learning_rate_init": rates, "max_iter": [40]}
    search = GridSearchCV(
        ScratchMLPClassifier(random_state=0), parameters, scoring="neg_brier_score", cv=5
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the lowest rate is too low
        search.fit(X, y)
    scores = -search.cv_results_["mean_test_score"].reshape(len(sizes), len(rates))
    figure, ax = plt.subplots(figsize=(5.4, 3), layout="constrained")
    worse = (scores - scores.min()) / np.ptp(scores)
    for i, j in np.ndindex(scores.shape):
        color = (POSITIVE, 0.08 + 0.6 * (1 - worse[i, j]) ** 2)
        ax.add_patch(Rectangle((j - 0.47, i - 0.44), 0.94, 0.88, facecolor=color))
        weight = "bold" if scores[i, j] == scores.min() else "normal"
        ax.text(j, i, f"{scores[i, j]:.3f}", ha="center", va="center", weight=weight)
    ax.set(xlim=(-0.5, len(rates) - 0.5), ylim=(len(sizes) - 0.5, -0.5))
    ax.set_xticks(range(len(rates)), [str(rate) for rate in rates])
    ax.set_yticks(range(len(sizes)), [str(size[0]) for size in sizes])
    ax.set(xlabel="learning_rate_init", ylabel="hidden units")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return figure


PICTURES = [
    neuron,
    neuron_plane,
    neuron_xor,
    by_hand,
    gradient_check,
    post_slopes,
    post_errors,
    initialisation,
    adam,
    losses,
    stack,
    loss_shapes,
    search_report,
]


def for_both_schemes(svg: str) -> str:
    """Replace the colours of a light page by custom properties that follow the page's scheme."""
    css = _palette.css()
    names = dict(re.findall(r"--([\w-]+): (#\w{6})", css.split("@media")[0]))
    for name, color in names.items():
        svg = svg.replace(color, f"var(--{name})")
    return svg.replace('<style type="text/css">', f'<style type="text/css">{css}\n', 1)


def shorter(svg: str) -> str:
    """Round numbers to a tenth of a point, where they are coordinates of a path or of a marker."""

    def rounded(match: re.Match) -> str:
        return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.1f}", match[0])

    return re.sub(r' (?:d="M|x="|y=")[^"]*"', rounded, svg)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    images = Path(__file__).parents[1] / "images" / "learn"
    parser.add_argument("folder", nargs="?", type=Path, default=images, help="where to write them")
    parser.add_argument("--only", nargs="*", default=[], help="names of pictures, without .svg")
    return parser.parse_args()


def main(folder: Path, only: Sequence[str] = ()) -> None:
    """Write the pictures to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for draw in PICTURES:
        if only and draw.__name__ not in only:
            continue
        drawn = io.StringIO()
        with plt.rc_context(STYLE):
            figure = draw()
            figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(figure)
        path = folder / f"{draw.__name__}.svg"
        svg = shorter(for_both_schemes(drawn.getvalue()))
        path.write_text(svg, encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    options = arguments()
    main(options.folder, options.only)
