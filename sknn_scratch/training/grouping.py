"""Which jobs can be trained as one stack, and how many of them at a time."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from sknn_scratch.training.job import TrainingJob

#: Bytes that one update of a stack may work on, to stay in the cache of a core.
CACHE = 1 << 22


def stack_key(job: TrainingJob) -> tuple[object, ...]:
    """Name what the jobs of one stack have in common."""
    # The one setting of a solver that is not a number, and so cannot differ within a stack.
    nesterov = getattr(job.solver, "nesterovs_momentum", None)
    network = (job.architecture, job.start.theta.dtype, type(job.solver), nesterov)
    return (*network, job.n_rows, job.batch_size, job.start.n_iter)


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


def gains_in_a_stack(job: TrainingJob, cache: int = CACHE) -> bool:
    """Tell whether two such networks, or more, are to be trained as one."""
    return not issparse(job.X) and 2 * working_set(job) <= cache


def stacks_of(jobs: Sequence[TrainingJob], cache: int = CACHE) -> list[dict[int, TrainingJob]]:
    """Put jobs into stacks of networks that can be trained as one.

    Parameters
    ----------
    jobs : sequence of TrainingJob
    cache : int
        Bytes that one update of a stack may work on.

    Returns
    -------
    stacks : list of dict of {int: TrainingJob}
        The jobs of each stack, by their indices in ``jobs``. They share arrays that are equal.
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
        n = math.ceil(len(group) * working_set(jobs[numbers[0]]) / cache)
        n = min(len(group), n)
        stacks += [{k: group[k] for k in numbers[i::n]} for i in range(n)]
    return stacks


def working_set(job: TrainingJob) -> int:
    """Estimate the bytes that an update of a network reads and writes."""
    n_inputs, *hidden, n_outputs = job.architecture.sizes
    per_row = n_inputs + 2 * sum(hidden) + 6 * n_outputs
    theta = job.start.theta
    return (job.batch_size * per_row + 5 * theta.size) * theta.itemsize
