"""Pictures of the results of the demonstration. matplotlib is imported only to draw them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sknn_scratch import _palette
from sknn_scratch.demonstration.experiments import (
    FOLDS,
    HIDDEN_UNITS,
    LEARNING_RATES,
    XOR_X,
    XOR_Y,
    Result,
    SearchReport,
    Table,
    XorRun,
    score_grid,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: Names of the files.
PICTURES = ("xor.png", "tables.png", "grid_search.png")


def save_pictures(
    directory: Path,
    run: XorRun,
    results: Sequence[Result],
    table: Table,
    reports: Sequence[SearchReport],
) -> None:
    """Draw XOR, the tables and the search as PNG files, and print their paths."""
    figures = (draw_xor(run), draw_tables(results), draw_search(table, reports[0]))
    print()
    for name, figure in zip(PICTURES, figures, strict=True):
        figure.savefig(directory / name, dpi=200)
        print(f"   wrote {directory / name}")


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure that belongs to no window, sized in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def draw_xor(run: XorRun) -> "Figure":
    """Draw the error over epochs, and the probability in the plane of the first two inputs."""
    figure = new_figure(10, 4.4)
    curve, plane = figure.subplots(1, 2)
    curve.plot(run.epochs, run.errors, color=_palette.POSITIVE[0])
    curve.set(
        title="XOR: error while learning",
        xlabel="epoch",
        ylabel="mean absolute error",
        xlim=(0, run.epochs[-1]),
        ylim=(0, None),
    )
    curve.grid(alpha=0.3)

    side = np.linspace(-0.25, 1.25, 151)
    x1, x2 = np.meshgrid(side, side)
    rows = np.column_stack([x1.ravel(), x2.ravel(), np.ones(x1.size)])
    p = run.network.predict_proba(rows)[:, 1].reshape(x1.shape)
    surface = plane.contourf(x1, x2, p, levels=np.linspace(0, 1, 11), cmap=_palette.between_two())
    plane.contour(x1, x2, p, levels=[0.5], colors=_palette.INK[0])
    for label in (0, 1):
        x = XOR_X[label == XOR_Y]
        style = {"s": 90, "marker": _palette.class_shape(label).marker, "edgecolors": "white"}
        color = _palette.class_color(label)
        plane.scatter(x[:, 0], x[:, 1], label=f"wanted {label}", color=color, zorder=3, **style)
    plane.set(
        title="Probability of 1 (line: one half)",
        xlabel="first input",
        ylabel="second input",
        aspect="equal",
    )
    figure.colorbar(surface, ax=plane, label="probability")
    figure.legend(loc="outside lower right", ncols=2)
    return figure


def draw_tables(results: Sequence[Result]) -> "Figure":
    """Draw the Brier score of each model on each table."""
    tables = list(dict.fromkeys(one.table for one in results))
    models = list(dict.fromkeys(one.model for one in results))
    figure = new_figure(10, 1.6 + 0.9 * len(tables))
    ax = figure.subplots()
    for i, model in enumerate(models):
        scores = [one.brier for one in results if one.model == model]
        y = np.arange(len(tables)) + 0.25 * (i - (len(models) - 1) / 2)
        bars = ax.barh(y, scores, 0.22, label=model, color=_palette.class_color(i))
        ax.bar_label(bars, fmt="%.4f", padding=3, fontsize=9)
    ax.set_yticks(range(len(tables)), tables)
    ax.invert_yaxis()
    ax.set(title=f"Tables as they come: Brier score with defaults, mean of {FOLDS} folds")
    ax.set(xlabel="Brier score (lower is better)")
    ax.margins(x=0.12)
    figure.legend(loc="outside lower center", ncols=len(models))
    return figure


def draw_search(table: Table, report: SearchReport) -> "Figure":
    """Draw the cross-validated Brier score over hidden units and learning rate."""
    figure = new_figure(7, 3.6)
    ax = figure.subplots()
    image = heat_map(ax, score_grid(report.search), "{:.4f}")
    ax.set_xticks(range(len(LEARNING_RATES)), [f"{rate:g}" for rate in LEARNING_RATES])
    ax.set_yticks(range(len(HIDDEN_UNITS)), [str(units) for units in HIDDEN_UNITS])
    title = f"{table.name}: Brier score, mean of {FOLDS} folds (lower is better)"
    ax.set(title=title, xlabel="learning rate", ylabel="hidden units")
    figure.colorbar(image, ax=ax, label="Brier score")
    return figure


def heat_map(ax: "Axes", values: NDArray, template: str) -> "AxesImage":
    """Draw values as coloured cells, and write each into its cell."""
    image = ax.imshow(values, cmap=_palette.sequential(), aspect="auto")
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values):
        color = "white" if value > middle else _palette.INK[0]
        text = template.format(value)
        ax.text(column, row, text, ha="center", va="center", color=color)
    return image
