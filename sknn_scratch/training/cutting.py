"""What is worth being cut into blocks, and into which: by its size alone, never by the cores.

So a fit is the same to the last bit on any machine that computes products alike, whoever takes the
blocks (see ``network/threads.py``).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from sknn_scratch.network.layers import n_params, n_weights

#: Multiplications of an update from which on it is cut: they take some milliseconds.
WORTH_CUTTING = 1 << 26

#: Multiplications of a block of rows, and its rows, at least. With fewer, products take longer; and
#: more blocks call NumPy more often, where each call that lets go of Python's lock waits some
#: microseconds to have it back if other threads want it too. With 16 threads, an update of (784,
#: 256, 128, 10) by 256 rows in float64 took 4.2 ms in blocks of 128 rows, 4.0 in blocks of 64, 5.0
#: of 32, and 7.6 of 16; in float32 3.1, 3.6, 4.4 and 7.3 ms.
LEAST_WORK, LEAST_ROWS = 1 << 23, 128

#: Inputs of a layer that are a block, and the weights that lead away from them, at least.
LEAST_INPUTS, LEAST_WEIGHTS = 128, 1 << 14

#: Cuts are at multiples of this: products take longer where rows or columns are left over.
EVEN = 16

#: Multiplications of an update of a part of a stack, at least: so that each of the calls of NumPy
#: that it consists of takes much longer than the Python between them.
LEAST_WORK_OF_STACK = 1 << 24

#: Blocks of rows at most, or parts of a stack.
MOST_BLOCKS = 16

#: About how many multiplications take as long as a hidden unit's activation and its derivative.
WORK_OF_UNIT = 100

#: Parameters from which on a step is cut, also where the rest of the update is not.
MANY_PARAMETERS = 1 << 17


def multiplications(sizes: Sequence[int], n: int) -> int:
    """Count about how many multiplications the gradient of n rows takes.

    Three for a weight and row: forward, back, and for the gradient; none back to the inputs.
    """
    return n * (3 * n_weights(sizes) - sizes[0] * sizes[1] + WORK_OF_UNIT * sum(sizes[1:-1]))


def equal_blocks(length: int, n: int, even: int = 1) -> list[slice]:
    """Cut range(length) into n blocks of equal length, or nearly, at multiples of even."""
    cuts = [length * i // n // even * even for i in range(n)]
    return [slice(*ends) for ends in pairwise([*cuts, length])]


def row_blocks(sizes: Sequence[int], n: int) -> list[slice]:
    """Cut a batch of n rows into blocks, if it is worth it; else there are none."""
    work = multiplications(sizes, n)
    if work < WORTH_CUTTING:
        return []
    most = min(n // LEAST_ROWS, work // LEAST_WORK, MOST_BLOCKS)
    return equal_blocks(n, most, EVEN) if most > 1 else []


def stack_parts(sizes: Sequence[int], n: int, K: int) -> int:
    """Tell into how many stacks one of K networks with batches of n rows is cut.

    They are trained side by side, epoch by epoch, which needs fewer meetings than to cut updates.
    """
    work = K * multiplications(sizes, n)
    return 1 if work < WORTH_CUTTING else min(K, work // LEAST_WORK_OF_STACK, MOST_BLOCKS)


class InputBlock(NamedTuple):
    """Some inputs of a layer, and the parameters whose gradient is computed with them."""

    layer: int
    inputs: slice
    weights: slice
    """Where in theta the weights are that lead away from these inputs."""
    biases: slice
    """Where in theta the layer's biases are, which go with its first inputs; else empty."""


def input_blocks(sizes: Sequence[int]) -> list[InputBlock]:
    """Cut the inputs of each layer into blocks, those with most weights first.

    Of a layer there are 1, 2, 4, ... blocks, which as many cores share evenly.
    """
    blocks, at_weights, at_biases = [], 0, n_weights(sizes)
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        most = max(1, min(n_in // LEAST_INPUTS, n_in * n_out // LEAST_WEIGHTS))
        biases = slice(at_biases, at_biases + n_out)
        for inputs in equal_blocks(n_in, 1 << most.bit_length() - 1, EVEN):
            weights = slice(at_weights, at_weights + (inputs.stop - inputs.start) * n_out)
            blocks.append(InputBlock(layer, inputs, weights, biases))
            at_weights, biases = weights.stop, slice(0, 0)
        at_biases += n_out
    return sorted(blocks, key=lambda block: block.weights.start - block.weights.stop)


def step_blocks(sizes: Sequence[int], is_cut: bool) -> list[InputBlock]:
    """Cut the parameters if updates are cut, or if they are many; else there are no blocks."""
    return input_blocks(sizes) if is_cut or n_params(sizes) >= MANY_PARAMETERS else []
