"""How many threads matrix products may use.

BLAS splits a product over all cores and waits until the last is done. For small products that costs
more than it gains, and far more where other programs use the cores as well.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from threading import Lock
from typing import Self

from threadpoolctl import ThreadpoolController

#: Multiplications in a product up to which BLAS uses one thread of its own accord. OpenBLAS begins
#: to share products of matrices at 2**18, of a vector and a matrix at 9,216, of vectors at 10,000.
NEVER_SHARED = 1 << 13

#: Multiplications in a product from which on several threads pay.
WORTH_SHARING = 1 << 27


class _OneThread:
    """Limit BLAS to one thread as long as anybody is within the context.

    The number of threads belongs to the process, not to the thread of Python that sets it. So the
    first to enter sets it, and the last to leave puts it back.
    """

    def __init__(self) -> None:
        self.lock, self.within = Lock(), 0
        self.controller = ThreadpoolController()

    def __enter__(self) -> Self:
        with self.lock:
            if self.within == 0:
                self.limiter = self.controller.limit(limits=1, user_api="blas")
            self.within += 1
        return self

    def __exit__(self, *exception: object) -> None:
        with self.lock:
            self.within -= 1
            if self.within == 0:
                self.limiter.restore_original_limits()


@cache
def _one_thread() -> _OneThread:
    return _OneThread()


def threads_for(multiplications: int) -> AbstractContextManager[object]:
    """Make a context in which BLAS uses one thread, unless products are worth sharing.

    Parameters
    ----------
    multiplications : int
        Multiplications of numbers in the largest product of matrices.
    """
    if NEVER_SHARED < multiplications < WORTH_SHARING:
        return _one_thread()
    return nullcontext()
