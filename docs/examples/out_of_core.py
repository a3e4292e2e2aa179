"""Train on a table that is larger than the memory of the process, one partition at a time.

Writes a Parquet file of two classes, drawn from a known distribution, so that the best possible
score is known as well. Trains with `partial_fit` on one partition after another. After the first,
the process limits its own memory to little more than it has by then (its data segment, as
`ulimit -d` does). Prints the score on rows held out, the peak of memory in use, and what comes of
reading the table at once. Needs pyarrow, and Linux for the limit.
"""

import argparse
import math
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.metrics import brier_score_loss

from sknn_scratch import ScratchMLPClassifier

COLUMNS = 20
MB = 10**6


def probability(X: NDArray) -> NDArray:
    """Probability of the second class, given the features."""
    z = 2 * X[:, 0] * X[:, 1] + 2 * np.sin(2 * X[:, 2]) + X[:, 3] - X[:, 4]
    return 1 / (1 + np.exp(-2 * z))


def draw(rows: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Draw rows of the table: features and classes."""
    X = rng.standard_normal((rows, COLUMNS), dtype=np.float32)
    return X, rng.random(rows) < probability(X)


def write(path: Path, rows: int, partition: int) -> None:
    """Write a table of so many rows, a partition at a time."""
    rng = np.random.default_rng(0)
    schema = pa.schema([(f"x{i}", pa.float32()) for i in range(COLUMNS)] + [("y", pa.bool_())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as file:
        for start in range(0, rows, partition):
            X, y = draw(min(partition, rows - start), rng)
            file.write_batch(pa.record_batch([*X.T.copy(), y], schema=schema))


def partitions(path: Path) -> Iterator[pa.Table]:
    """Read the table, a partition at a time."""
    with pq.ParquetFile(path, memory_map=False) as file:
        for i in range(file.num_row_groups):
            yield file.read_row_group(i, use_threads=False)


def arrays(table: pa.Table) -> tuple[NDArray, NDArray]:
    """Features and classes as NumPy arrays."""
    *columns, y = (column.to_numpy() for column in table.columns)
    return np.column_stack(columns), y


def memory(name: str) -> float:
    """Megabytes of memory of this process: VmHWM is the peak in use, VmData may be written."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status[name].removesuffix("kB")) * 1024 / MB


def allow(more: int) -> None:
    """Let this process take so many megabytes more than it has, and then fail."""
    limit = int((memory("VmData") + more) * MB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def train(path: Path, more: int) -> ScratchMLPClassifier:
    """Train one epoch; from the second partition on, in so many megabytes more."""
    clf = ScratchMLPClassifier(random_state=0)
    n = pq.read_metadata(path).num_row_groups
    for i, table in enumerate(partitions(path)):
        # partial_fit knows of no end: bring the learning rate down along half a cosine wave here.
        clf.set_params(learning_rate_init=0.01 * (1 + math.cos(math.pi * i / n)) / 2)
        clf.partial_fit(*arrays(table), classes=[False, True])
        if i == 0:
            print(f"After one partition: {memory('VmHWM'):,.0f} MB in use; allowed: {more} MB more")
            allow(more)
    return clf


def main() -> None:
    """Write, train, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--partition", type=int, default=100_000, help="rows of a partition")
    parser.add_argument("--memory", type=int, default=100, help="MB more than after one")
    options = parser.parse_args()

    # Memory that is given back to the system at once, so that the limit means what it says.
    pa.set_memory_pool(pa.system_memory_pool())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.parquet")
        write(path, options.rows, options.partition)
        print(f"Table: {options.rows:,} rows, {path.stat().st_size / MB:,.0f} MB")
        clf = train(path, options.memory)
        X, y = draw(20_000, np.random.default_rng(1))
        p = clf.predict_proba(X)[:, 1]
        print(f"Brier score on {len(y):,} rows held out: {brier_score_loss(y, p):.4f}")
        print(f"Brier score of the true probabilities: {brier_score_loss(y, probability(X)):.4f}")
        print(f"Peak of memory in use: {memory('VmHWM'):,.0f} MB")
        try:
            arrays(pq.ParquetFile(path, memory_map=False).read(use_threads=False))
        except MemoryError as error:
            print(f"The table at once: {type(error).__name__}")


if __name__ == "__main__":
    main()
