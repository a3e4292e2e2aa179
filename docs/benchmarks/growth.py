"""Measure how a fit grows with the rows and the columns of a table, beside other classifiers.

The table is made up, of two classes: their log odds are a smooth function of ten columns; all other
columns are noise. All models are fitted with their defaults, each in a process of its own, which
tells seconds, epochs, the memory that was taken beyond the table, and the Brier score on rows that
were not fitted to. MLPClassifier is also fitted with early stopping, and without it only as far as
it ends in time.

Writes growth.md and growth.png. The page docs/benchmarks/index.md says how to read them.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fit_speed import HERE, OURS, SKLEARN, OtherPrograms, digits, head, positive, say, table, write
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss
from sklearn.neural_network import MLPClassifier

from sknn_scratch import ScratchMLPClassifier

ROWS, COLUMNS = (1000, 10_000, 100_000, 1_000_000), (10, 100, 1000)

#: Rows of the tables that differ in their columns, and columns of those that differ in their rows.
FIXED_ROWS, FIXED_COLUMNS = 10_000, 30

#: Columns that the classes depend on, and rows that are held out.
INFORMATIVE, HELD_OUT = 10, 20_000

#: Values of the table up to which MLPClassifier is fitted without early stopping.
MOST_VALUES = 1_000_000

STOPPING, TREES = "MLPClassifier, early stopping", "boosted trees"
CONTENDERS: dict[str, Callable[[], Any]] = {
    OURS: lambda: ScratchMLPClassifier(random_state=0),
    SKLEARN: lambda: MLPClassifier(random_state=0),
    STOPPING: lambda: MLPClassifier(random_state=0, early_stopping=True),
    TREES: lambda: HistGradientBoostingClassifier(random_state=0),
}


class Cost(NamedTuple):
    """What a fit took, and how good it is."""

    seconds: float
    epochs: int
    megabytes: float | None
    """Memory beyond that of the table, at its peak; None where the system does not tell."""
    brier: float


def made_up(rows: int, columns: int, seed: int) -> tuple[NDArray, NDArray]:
    """Draw a table, X (rows, columns) and y (rows,). Of all, y depends on X in the same way."""
    law, rng = np.random.default_rng(0), np.random.default_rng([1, seed])
    inwards, outwards = law.normal(size=(INFORMATIVE, 12)), law.normal(size=12)
    X = rng.normal(size=(rows, columns))
    turned = np.tanh(X[:, :INFORMATIVE] @ inwards / INFORMATIVE**0.5)
    return X, (rng.random(rows) < expit(3 * turned @ outwards)).astype(int)


def memory() -> int | None:
    """Bytes of memory that this process holds now, where Linux tells it."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return None
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Peak:
    """Context that watches the most memory that the process holds."""

    def __enter__(self) -> "Peak":
        """Begin to watch."""
        self.before = self.most = memory()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while self.most is not None and not self.ended.wait(0.01):
            self.most = max(self.most, memory() or 0)

    def __exit__(self, *_: object) -> None:
        """End watching."""
        self.ended.set()
        self.thread.join()

    @property
    def megabytes(self) -> float | None:
        """What came on top, in MB."""
        if self.most is None or self.before is None:
            return None
        return (self.most - self.before) / 1e6


def cost(contender: str, rows: int, columns: int) -> Cost:
    """Fit a contender in this process."""
    warnings.simplefilter("ignore")
    X, y = made_up(rows, columns, seed=0)
    model = CONTENDERS[contender]()
    with Peak() as peak:
        began = time.perf_counter()
        model.fit(X, y)
        seconds = time.perf_counter() - began
    X, y = made_up(HELD_OUT, columns, seed=1)
    brier = brier_score_loss(y, model.predict_proba(X)[:, 1])
    return Cost(seconds, int(model.n_iter_), peak.megabytes, float(brier))


def in_process(contender: str, rows: int, columns: int) -> Cost:
    """Fit a contender in a process of its own."""
    command = [sys.executable, __file__, "--fit", contender, str(rows), str(columns)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Cost(*json.loads(run.stdout))


#: Costs by rows, columns and contender.
Costs = dict[tuple[int, int], dict[str, Cost]]


def measure(shapes: Sequence[tuple[int, int]]) -> Costs:
    """Fit all contenders to tables of these rows and columns."""
    found: Costs = {}
    for rows, columns in shapes:
        found[rows, columns] = {}
        for name in CONTENDERS:
            if name == SKLEARN and rows * columns > MOST_VALUES:
                continue
            found[rows, columns][name] = in_process(name, rows, columns)
            say(f"{rows:,} rows, {columns:,} columns, {name}: done")
    return found


def section(title: str, costs: Costs) -> list[str]:
    """Table of some shapes."""
    header = ["rows", "columns", "model", "seconds", "epochs or trees", "memory, MB", "Brier score"]
    rows = []
    for (n, d), by_model in costs.items():
        for name, found in by_model.items():
            megabytes = "-" if found.megabytes is None else digits(found.megabytes)
            row = [f"{n:,}", f"{d:,}", name, digits(found.seconds), str(found.epochs), megabytes]
            rows.append([*row, f"{found.brier:.4f}"])
    return [f"## {title}", *table(header, rows)]


#: Colours that are told apart without seeing red and green (Okabe and Ito), and markers.
STYLES = {
    OURS: ("black", "D"),
    SKLEARN: ("#0072B2", "o"),
    STOPPING: ("#56B4E9", "s"),
    TREES: ("#D55E00", "^"),
}


def draw(by_rows: Costs, by_columns: Costs, path: Path) -> None:
    """Draw seconds and Brier scores against rows and columns."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        say("matplotlib is not installed, so there is no picture.")
        return
    figure = Figure(figsize=(9, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    for j, (costs, what) in enumerate(((by_rows, "rows"), (by_columns, "columns"))):
        for name, (colour, marker) in STYLES.items():
            shapes = [shape for shape, by_model in costs.items() if name in by_model]
            places = [shape[j] for shape in shapes]
            for axes, field in zip(panels[:, j], ("seconds", "brier"), strict=True):
                values = [getattr(costs[shape][name], field) for shape in shapes]
                axes.plot(places, values, marker=marker, color=colour, label=name)
        panels[0, j].set_yscale("log")
        panels[1, j].set_xscale("log")
        panels[1, j].set_xlabel(what)
    panels[0, 0].set_ylabel("seconds of a fit")
    panels[1, 0].set_ylabel("Brier score on rows held out")
    for axes in panels.flat:
        axes.grid(True, color="0.88")
        axes.set_axisbelow(True)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    say(f"wrote {path}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--rows", type=positive, nargs="+", default=[*ROWS], metavar="N", help="rows to measure")
    add("--columns", type=positive, nargs="+", default=[*COLUMNS], metavar="N", help="columns")
    add("--out", type=Path, default=HERE, metavar="DIR", help="where to write")
    add("--fit", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.columns) < INFORMATIVE:
        parser.error(f"--columns: the classes depend on {INFORMATIVE}, so there are no fewer.")
    return options


def main() -> None:
    """Measure all that was asked for, and write the report."""
    options = arguments()
    if options.fit:
        contender, rows, columns = options.fit
        print(json.dumps(cost(contender, int(rows), int(columns))))
        return
    others = OtherPrograms()
    by_rows = measure([(n, FIXED_COLUMNS) for n in options.rows])
    by_columns = measure([(FIXED_ROWS, n) for n in options.columns])
    lines = [
        *head("Growth", others),
        "",
        "One fit each, by as many threads as each takes by default. Memory is what the process "
        f"held at its peak beyond the table. The Brier score is that on {HELD_OUT:,} other rows.",
        "",
        *section("Rows", by_rows),
        *section("Columns", by_columns),
    ]
    write(options.out / "growth.md", lines)
    draw(by_rows, by_columns, options.out / "growth.png")


if __name__ == "__main__":
    main()
