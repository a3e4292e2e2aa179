"""What is worth being cut into blocks, and into which: by its size alone, never by the cores.

So a fit is the same to the last bit on any machine that computes products alike, whoever takes the
blocks (see ``network/threads.py``).
"""

from collections.abc import Sequence
from itertools import pairwise

from sknn_scratch.network.layers import n_weights

#: Multiplications of an update from which on it is cut: they take some milliseconds.
WORTH_CUTTING = 1 << 26

#: Multiplications of a block, and rows or inputs, at least. With fewer, products take longer.
LEAST_WORK, LEAST_ROWS, LEAST_INPUTS = 1 << 23, 128, 192

#: Multiplications of an update of a part of a stack, at least: so that each of the calls of NumPy
#: that it consists of takes much longer than the Python between them.
LEAST_WORK_OF_STACK = 1 << 24

#: Blocks of rows at most, or parts of a stack.
MOST_BLOCKS = 16

#: About how many multiplications take as long as a hidden unit's activation and its derivative.
WORK_OF_UNIT = 100

#: Parameters from which on an update of them is cut, and parameters of a block.
MANY_PARAMETERS, PARAMETERS_OF_BLOCK = 1 << 17, 1 << 15


def multiplications(sizes: Sequence[int], n: int) -> int:
    """Count about how many multiplications the gradient of n rows takes.

    Three for a weight and row: forward, back, and for the gradient; none back to the inputs.
    """
    return n * (3 * n_weights(sizes) - sizes[0] * sizes[1] + WORK_OF_UNIT * sum(sizes[1:-1]))


def equal_blocks(length: int, n: int) -> list[slice]:
    """Cut range(length) into n blocks of equal length, or nearly."""
    return [slice(*ends) for ends in pairwise(length * i // n for i in range(n + 1))]


def row_blocks(sizes: Sequence[int], n: int) -> list[slice]:
    """Cut a batch of n rows into blocks, if it is worth it; else there are none."""
    work = multiplications(sizes, n)
    if work < WORTH_CUTTING:
        return []
    most = min(n // LEAST_ROWS, work // LEAST_WORK, MOST_BLOCKS)
    return equal_blocks(n, most) if most > 1 else []


def stack_parts(sizes: Sequence[int], n: int, K: int) -> int:
    """Tell into how many stacks one of K networks with batches of n rows is cut.

    They are trained side by side, epoch by epoch, which needs fewer meetings than to cut updates.
    """
    work = K * multiplications(sizes, n)
    return 1 if work < WORTH_CUTTING else min(K, work // LEAST_WORK_OF_STACK, MOST_BLOCKS)


def input_blocks(sizes: Sequence[int], n: int) -> list[tuple[int, slice]]:
    """Cut the inputs of each layer into blocks, those with most work first.

    Returns
    -------
    blocks : list of tuple (layer, inputs)
    """
    blocks = []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        most = max(1, min(n_in // LEAST_INPUTS, n * n_in * n_out // LEAST_WORK))
        blocks += [(layer, inputs) for inputs in equal_blocks(n_in, most)]
    return sorted(blocks, key=lambda block: -(block[1].stop - block[1].start) * sizes[block[0] + 1])


def parameter_blocks(n_params: int) -> list[slice]:
    """Cut the parameters of a network into blocks, if they are many; else there are none."""
    if n_params < MANY_PARAMETERS:
        return []
    return equal_blocks(n_params, n_params // PARAMETERS_OF_BLOCK)
