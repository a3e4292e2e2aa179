"""Minibatches: which rows, in which order, and without which inputs."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils.sparsefuncs import inplace_column_scale

from sknn_scratch.network.arrays import row_type
from sknn_scratch.training.cutting import row_blocks
from sknn_scratch.training.job import TrainingJob
from sknn_scratch.training.objective import Batch, Block, Rows


def batch_slices(n_samples: int, batch_size: int) -> Iterator[slice]:
    """Cut range(n_samples) into slices of batch_size rows; the last may be shorter."""
    for start in range(0, n_samples, batch_size):
        yield slice(start, min(start + batch_size, n_samples))


class Stream:
    """Rows in the order in which a network sees them, and the random sources of that order.

    Attributes
    ----------
    job : TrainingJob
        Gives the rows, whether to shuffle them, and the fraction of the inputs to leave out.
    rng, dropout_rng : RandomState
        Sources of the order, and of the inputs to leave out (or None).
    order : ndarray of shape (n,) or None
        Row indices in the order of the last epoch; None for all rows in their given order.
    """

    def __init__(self, job: TrainingJob):
        start = job.start
        self.job = job
        self.rng, self.dropout_rng = start.rng, start.dropout_rng
        self.order = job.rows if start.order is None else start.order

    def split(self) -> Self:
        """Make another stream that goes on alike."""
        other = type(self)(self.job)
        other.rng, other.dropout_rng = deepcopy(self.rng), deepcopy(self.dropout_rng)
        other.order = self.order
        return other


class Sampler:
    """Draws the batches of a stack.

    Parameters
    ----------
    streams : sequence of Stream
        That of each network.

    Attributes
    ----------
    K : tuple of int
        Axis of the stack's arrays: (n_networks,), or () for one network.
    """

    def __init__(self, streams: Sequence[Stream]):
        first = streams[0].job
        self.streams = streams
        self.K: tuple[int, ...] = () if len(streams) == 1 else (len(streams),)
        self.n, dtype = first.n_rows, first.start.theta.dtype
        sizes = first.architecture.sizes
        self.slices = list(batch_slices(self.n, first.batch_size))

        # A table that several networks see is there once.
        keys = [(id(s.job.X), id(s.job.Y), id(s.job.sample_weight)) for s in streams]
        tables = {key: stream.job for key, stream in zip(keys, streams, strict=True)}
        before = np.cumsum([0, *(job.X.shape[0] for job in tables.values())])
        starts = dict(zip(tables, before[:-1], strict=True))
        self.starts = [starts[key] for key in keys]
        self.X, self.Y = first.X, first.Y
        if len(tables) > 1:
            self.X = np.concatenate([job.X for job in tables.values()])
            self.Y = np.concatenate([job.Y for job in tables.values()])
        self.sample_weight = _joined_weights([*tables.values()])
        self.order = np.empty((len(streams), self.n), dtype=np.intp)
        for row, stream, start in zip(self.order, streams, self.starts, strict=True):
            given = stream.order
            row[:] = np.arange(self.n, dtype=row_type(self.n)) if given is None else given
            row += start
        self.rows = self.order.reshape(*self.K, self.n)
        self.kept: NDArray | None = None
        if any(stream.dropout_rng is not None for stream in streams):
            self.kept = np.ones((*self.K, 1, sizes[0]), dtype=dtype)
        self.batches: dict[int, Batch] = {}
        for n in {rows.stop - rows.start for rows in self.slices}:
            # Rows of a sparse X are gathered as a sparse matrix of their own.
            n_features = 0 if issparse(self.X) else sizes[0]
            X = np.empty((*self.K, n, n_features), dtype=dtype)
            y = np.empty((*self.K, n, sizes[-1]), dtype=dtype)
            cuts = [] if self.K or issparse(self.X) else row_blocks(sizes, n)
            self.batches[n] = Batch(sizes, self.K, X, y, cuts)

    def shuffle(self) -> None:
        """Bring the rows into the order of the next epoch."""
        for stream, order in zip(self.streams, self.order, strict=True):
            if stream.job.shuffle:
                stream.rng.shuffle(order)

    def gather(self, rows: slice) -> Batch:
        """Copy rows of the epoch, by their places in it, to where they are used.

        A batch that is cut into blocks is left to :meth:`fill_block`.
        """
        self.chosen = self.rows[..., rows]
        batch = self.batches[self.chosen.shape[-1]]
        if self.kept is not None:
            self._draw_inputs(self.kept)
        if not batch.blocks:
            self._fill(batch, self.chosen)
        return batch

    def fill_block(self, block: Block) -> None:
        """Copy the rows of a block of the batch that was gathered last."""
        self._fill(block, self.chosen[block.rows])

    def _fill(self, batch: Rows, chosen: NDArray) -> None:
        """Copy the chosen rows, (K, n), and leave inputs out."""
        if isinstance(self.X, np.ndarray):
            self.X.take(chosen, -2, batch.X, "clip")
        else:
            batch.X = self.X[chosen]
        self.Y.take(chosen, -2, batch.y, "clip")
        if self.sample_weight is not None:
            batch.set_weights(self.sample_weight[chosen])
        if self.kept is None:
            return
        if isinstance(batch.X, np.ndarray):
            batch.X *= self.kept
        else:
            inplace_column_scale(batch.X, self.kept.ravel())

    def _draw_inputs(self, kept: NDArray) -> None:
        """Leave out columns of an update at random, and scale the others up to compensate.

        It drops columns, not single values: that takes n times fewer random numbers, and makes no
        difference between a row that comes twice and one with twice the weight.
        """
        for stream, inputs in zip(self.streams, kept.reshape(len(self.streams), -1), strict=True):
            if stream.dropout_rng is not None:
                drawn = stream.dropout_rng.random_sample(len(inputs))
                np.greater_equal(drawn, stream.job.input_dropout, inputs)
                inputs /= 1 - stream.job.input_dropout

    def note_orders(self) -> None:
        """Store the current order of the rows in each stream."""
        for stream, order, start in zip(self.streams, self.order, self.starts, strict=True):
            stream.order = np.empty(self.n, dtype=row_type(len(self.Y)))
            np.subtract(order, start, stream.order, casting="same_kind")


def _joined_weights(jobs: Sequence[TrainingJob]) -> NDArray | None:
    """Join the weights of the rows of all tables; None if none has any."""
    given = [job.sample_weight for job in jobs if job.sample_weight is not None]
    if not given:
        return None
    width = max(weight.shape[1] for weight in given)
    joined = np.ones((sum(len(job.Y) for job in jobs), width), dtype=given[0].dtype)
    start = 0
    for job in jobs:
        if job.sample_weight is not None:
            joined[start : start + len(job.Y)] = job.sample_weight
        start += len(job.Y)
    return joined
