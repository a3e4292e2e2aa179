"""How many threads matrix products may use.

BLAS splits a product over all cores and waits until the last is done. For small products that costs
more than it gains, and far more where other programs use the cores as well.
"""

from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

#: Multiplications in a product from which on several threads pay.
WORTH_SHARING = 1 << 27


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def threads_for(multiplications: int) -> AbstractContextManager[object]:
    """Context in which BLAS uses one thread, if products are no larger than worth sharing.

    Parameters
    ----------
    multiplications : int
        Multiplications of numbers in the largest product of matrices.
    """
    if multiplications >= WORTH_SHARING:
        return nullcontext()
    return _controller().limit(limits=1, user_api="blas")
