"""Draw the Brier scores of accuracy.md: all tables at a glance.

Each row is a table, each sign a model: how much more its Brier score is than that of our ensemble.
To the right of the line a model is worse. Needs matplotlib.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sknn_scratch import _palette

HERE = Path(__file__).parent

#: Models that are drawn, by their names in the report: words for the legend, and marker.
MODELS = {
    "ours": ("one network of ours", "o"),
    "MLPClassifier": ("MLPClassifier", "s"),
    "forest": ("random forest", "^"),
    "boosting": ("boosted trees", "v"),
}
COLORS = (_palette.POSITIVE[0], *(_palette.class_color(k) for k in (1, 2, 3)))

#: Differences beyond this are drawn at the edge.
WIDEST = 0.1


def brier_scores(report: str) -> dict[str, dict[str, float]]:
    """Read the Brier score of each model, by table, off a report of accuracy.py."""
    lines = report[report.index("## Brier score") :].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    head, _, *body = rows
    return {row[0]: dict(zip(head[1:], map(float, row[1:]), strict=True)) for row in body}


def draw(scores: dict[str, dict[str, float]]) -> plt.Figure:
    """Draw the models of each table, those beside which ours is best on top."""
    gaps = {
        name: {model: found[model] - found["ensemble"] for model in MODELS}
        for name, found in scores.items()
    }
    peers = [model for model in MODELS if model != "ours"]
    names = sorted(gaps, key=lambda name: min(gaps[name][model] for model in peers))
    figure, ax = plt.subplots(figsize=(7.2, 8.4), layout="constrained")
    for (model, (label, marker)), color in zip(MODELS.items(), COLORS, strict=True):
        x = np.clip([gaps[name][model] for name in names], -WIDEST, WIDEST)
        style = {"marker": marker, "color": color, "edgecolors": "white", "linewidths": 0.5}
        ax.scatter(x, range(len(names)), s=38, label=label, zorder=3, **style)
    ax.axvline(0, color=_palette.INK[0], linewidth=1.2)
    ax.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=8)
    ax.set(xlabel="Brier score, less that of ScratchMLPEnsembleClassifier()")
    ax.set(xlim=(-0.045, WIDEST + 0.003), ylim=(-0.8, len(names) - 0.2))
    ax.grid(color=_palette.MUTED[0], alpha=0.2)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(length=0)
    ax.text(0.0015, len(names) - 0.55, "worse than ours →", fontsize=8, color=_palette.MUTED[0])
    ax.text(-0.0015, len(names) - 0.55, "← better", fontsize=8, color=_palette.MUTED[0], ha="right")
    figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return figure


def main() -> None:
    """Draw what the report says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", type=Path, default=HERE / "accuracy.md")
    parser.add_argument("--out", type=Path, default=HERE.parent / "images" / "tables.png")
    options = parser.parse_args()
    figure = draw(brier_scores(options.report.read_text(encoding="utf-8")))
    figure.savefig(options.out, dpi=160)


if __name__ == "__main__":
    main()
