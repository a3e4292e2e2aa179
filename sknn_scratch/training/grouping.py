"""Which jobs can be trained as one stack, and how many of them at a time."""

import math
import pickle
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_scratch.network.layers import n_weights
from sknn_scratch.training.job import TrainingJob

#: Bytes that one update of a stack may work on, to stay in the cache of a core.
CACHE = 1 << 22


def stack_key(job: TrainingJob) -> tuple[object, ...]:
    """Name what the jobs of one stack have in common."""
    # The one setting of a solver that is not a number, and so cannot differ within a stack.
    nesterov = getattr(job.solver, "nesterovs_momentum", None)
    network = (job.architecture, job.start.theta.dtype, type(job.solver), nesterov)
    return (*network, job.n_rows, job.batch_size, job.start.n_iter)


def stream_key(job: TrainingJob) -> object:
    """Name what jobs have in common that see the same rows in the same order.

    The arrays have to be the same objects: to compare what is in them takes time, and is up to
    :func:`sharing_arrays`.
    """
    start = job.start
    if start.n_iter:
        return id(job)
    arrays = (id(job.X), id(job.Y), id(job.sample_weight), id(job.rows))
    sources = (_fingerprint(start.rng), _fingerprint(start.dropout_rng))
    return (*arrays, *sources, job.shuffle, job.input_dropout)


def _fingerprint(rng: np.random.RandomState | None) -> bytes | None:
    """State of a source of random numbers: those in the same state give the same numbers."""
    return None if rng is None else pickle.dumps(rng.get_state(legacy=False))


def sharing_arrays(jobs: Sequence[TrainingJob]) -> list[TrainingJob]:
    """Let jobs whose arrays hold the same numbers refer to the same arrays.

    The fits of a search on the same fold each come with copies of their own.
    """
    known: dict[tuple[object, ...], list[NDArray]] = defaultdict(list)

    def first_alike(array: NDArray) -> NDArray:
        # What differs in the first row need not be compared to the end.
        alike = known[array.shape, array.dtype, array[0].tobytes()]
        for other in alike:
            if other is array or np.array_equal(other, array):
                return other
        alike.append(array)
        return array

    return [
        replace(
            job,
            X=first_alike(job.X),
            Y=first_alike(job.Y),
            sample_weight=None if job.sample_weight is None else first_alike(job.sample_weight),
            rows=None if job.rows is None else first_alike(job.rows),
        )
        for job in jobs
    ]


def stacks_of(
    jobs: Sequence[TrainingJob], least: int = 1, cache: int = CACHE
) -> list[dict[int, TrainingJob]]:
    """Put jobs into stacks of networks that can be trained as one; those with most work first.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    least : int
        Networks that could share one stack are put into at least so many, if there are enough.
    cache : int
        Bytes that one update of a stack may work on.

    Returns
    -------
    stacks : list of dict of {int: TrainingJob}
        The jobs of each stack, by their numbers in ``jobs``. They share the arrays that are equal.
    """
    groups: dict[object, list[int]] = defaultdict(list)
    stacks: list[dict[int, TrainingJob]] = []
    for k, job in enumerate(jobs):
        if issparse(job.X):
            stacks.append({k: job})
        else:
            groups[stack_key(job)].append(k)
    for numbers in groups.values():
        group = dict(zip(numbers, sharing_arrays([jobs[k] for k in numbers]), strict=True))
        streams: dict[object, list[int]] = defaultdict(list)
        for k, job in group.items():
            streams[stream_key(job)].append(k)
        n = max(least, math.ceil(len(group) * working_set(jobs[numbers[0]]) / cache))
        n = min(len(group), n)
        most = math.ceil(len(group) / n)
        cuts = [
            stream[i : i + most] for stream in streams.values() for i in range(0, len(stream), most)
        ]
        parts: list[list[int]] = [[] for _ in range(n)]
        for cut in sorted(cuts, key=len, reverse=True):
            min(parts, key=len).extend(cut)
        stacks += [{k: group[k] for k in part} for part in parts if part]
    return sorted(stacks, key=lambda stack: sum(map(seconds, stack.values())), reverse=True)


def working_set(job: TrainingJob) -> int:
    """Count the bytes that an update of a network reads and writes, about."""
    n_inputs, *hidden, n_outputs = job.architecture.sizes
    per_row = n_inputs + 2 * sum(hidden) + 6 * n_outputs
    theta = job.start.theta
    return (job.batch_size * per_row + 5 * theta.size) * theta.itemsize


def seconds(job: TrainingJob) -> float:
    """Estimate how long a network takes to train in a stack: it depends on the machine."""
    n = job.n_rows
    updates = math.ceil(n / job.batch_size)
    multiplications = 3 * n * n_weights(job.architecture.sizes)
    return job.max_iter * (4e-6 * updates + 1e-10 * multiplications)
