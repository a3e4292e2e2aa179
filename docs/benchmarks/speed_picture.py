"""Draw the seconds of time_to_accuracy.md and search_speed.md: both pages at a glance.

On the left a training until it predicts as well as MLPClassifier() does, on the right a search.
Each row is a line of the page's first table. Needs matplotlib.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sknn_scratch import _palette

HERE = Path(__file__).parent
COLORS = (_palette.class_color(1), _palette.POSITIVE[0], _palette.class_color(2))
MARKERS = ("s", "o", "^")


def first_table(page: str) -> tuple[list[str], list[list[str]]]:
    """Read the head and the rows of the first table of a page."""
    block = page[page.index("\n| ") :].split("\n\n")[0].strip().splitlines()
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block]
    return head, rows


def read_seconds(rows: Sequence[Sequence[str]], columns: Sequence[int]) -> np.ndarray:
    """Read columns of numbers, (n_columns, n_rows)."""
    return np.array([[float(row[k].replace(",", "")) for row in rows] for k in columns])


def time_to_accuracy(page: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read the sets, and the seconds of both estimators on each."""
    head, rows = first_table(page)
    columns = [k for k, name in enumerate(head) if name == "seconds"][:2]
    seconds = read_seconds(rows, columns)
    names = ("MLPClassifier()", "ours, until as good")
    return [row[0] for row in rows], dict(zip(names, seconds, strict=True))


def search(page: str) -> tuple[list[str], dict[str, np.ndarray]]:
    """Read the searches, and the seconds of each way to run them."""
    head, rows = first_table(page)
    columns = [k for k, name in enumerate(head) if name.endswith(", s")]
    seconds = read_seconds(rows, columns)
    names = [head[k].removesuffix(", s") for k in columns]
    labels = [f"{row[0]},\n{row[1]} processes" for row in rows]
    return labels, dict(zip(names, seconds, strict=True))


def draw_row(ax: plt.Axes, title: str, labels: list[str], seconds: dict[str, np.ndarray]) -> None:
    """Draw a row for each label: a sign for each contender, the slowest first, and a line."""
    y = np.arange(len(labels))[::-1]
    values = np.array(list(seconds.values()))
    ax.hlines(y, values.min(0), values.max(0), color=_palette.MUTED[0], alpha=0.4, linewidth=2)
    for (name, x), color, marker in zip(seconds.items(), COLORS, MARKERS, strict=False):
        ax.scatter(x, y, s=46, color=color, marker=marker, label=name, zorder=3)
    for row, (slow, *_, fast) in zip(y, values.T, strict=True):
        ratio = f"{slow / fast:.1f} times"
        ax.annotate(ratio, (max(slow, fast), row), (9, -3), textcoords="offset points")
    ax.set(xscale="log", title=title, xlabel="seconds", ylim=(-0.6, len(labels) - 0.3))
    ax.set_xlim(values.min() / 1.3, values.max() * 3)  # with room for the words on the right
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    ax.set_yticks(y, labels)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x", color=_palette.MUTED[0], alpha=0.2)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, frameon=False)


def draw(training: str, searches: str) -> plt.Figure:
    """Draw both pages."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    draw_row(left, "A training", *time_to_accuracy(training))
    draw_row(right, "A search", *search(searches))
    return figure


def main() -> None:
    """Draw what the pages say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "speed.png")
    options = parser.parse_args()
    pages = ("time_to_accuracy.md", "search_speed.md")
    figure = draw(*((HERE / page).read_text(encoding="utf-8") for page in pages))
    figure.savefig(options.out, dpi=160)


if __name__ == "__main__":
    main()
