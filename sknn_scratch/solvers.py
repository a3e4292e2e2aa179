r"""Solvers: settings in a frozen dataclass, state in arrays shaped like theta.

A solver moves the parameters ``theta`` (K, n_params) of a stack of K networks down their gradient
``grad``. Its settings are numbers for one network and may become arrays (K, 1), one row a
network, when networks with different settings share a stack (see :func:`stacked`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Setting = float | NDArray
State = dict[str, NDArray]


@dataclass(frozen=True)
class SGD:
    r"""Gradient descent with momentum, plain or Nesterov's.

    .. math:: u \leftarrow \mu u - \eta g, \qquad
        \theta \leftarrow \theta + u \quad\text{or, Nesterov's,}\quad \theta + \mu u - \eta g

    Parameters
    ----------
    momentum : float, default=0.9
        :math:`\mu`, between 0 and 1.
    nesterovs_momentum : bool, default=True
        Look ahead along the velocity, in the form of Sutskever et al., "On the importance of
        initialization and momentum in deep learning" (2013).
    """

    momentum: Setting = 0.9
    nesterovs_momentum: bool = True

    def new_state(self, theta: NDArray) -> State:
        """State before the first step: the velocity u, at rest."""
        return {"velocity": np.zeros_like(theta)}

    def step_size(self, lr: NDArray, step: NDArray) -> NDArray:
        """Length of the given step (counted from 1) at learning rate lr."""
        return lr

    def update(self, theta: NDArray, grad: NDArray, state: State, size: NDArray) -> None:
        """Take one step, overwriting theta, the state and (as scratch) grad."""
        velocity = state["velocity"]
        grad *= size
        velocity *= self.momentum
        velocity -= grad
        if self.nesterovs_momentum:
            theta -= grad
            np.multiply(velocity, self.momentum, out=grad)
            theta += grad
        else:
            theta += velocity


@dataclass(frozen=True)
class Adam:
    r"""Adam, steps scaled by running means of the gradient and of its square.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        \theta \leftarrow \theta -
            \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m}{\sqrt v + \epsilon}

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay of the two means, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the quotient finite.

    References
    ----------
    D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization", 2014,
    https://arxiv.org/abs/1412.6980 (the form at the end of its section 2).
    """

    beta_1: Setting = 0.9
    beta_2: Setting = 0.999
    epsilon: Setting = 1e-8

    def new_state(self, theta: NDArray) -> State:
        """State before the first step: the sums behind the two means, zero."""
        return {"m": np.zeros_like(theta), "v": np.zeros_like(theta)}

    def step_size(self, lr: NDArray, step: NDArray) -> NDArray:
        """Length of the given step (counted from 1) at learning rate lr, means unbiased."""
        return lr * np.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)

    def update(self, theta: NDArray, grad: NDArray, state: State, size: NDArray) -> None:
        """Take one step, overwriting theta, the state and (as scratch) grad.

        The state holds m / (1 - beta_1) and v / (1 - beta_2), which are plain decaying sums: two
        passes over memory less than the means, and no cancellation in float32. The factors are
        put back where there is one number for many: in the size of the step and in epsilon.
        """
        m, v = state["m"], state["v"]
        m *= self.beta_1
        m += grad
        np.multiply(grad, grad, out=grad)
        v *= self.beta_2
        v += grad
        root = np.sqrt(1 - self.beta_2)
        np.sqrt(v, out=grad)
        grad += self.epsilon / root
        np.divide(m, grad, out=grad)
        grad *= size * ((1 - self.beta_1) / root)
        theta -= grad


Solver = SGD | Adam


def stacked(solvers: Sequence[Solver], dtype: DTypeLike) -> Solver:
    """One solver for a stack: settings that differ become arrays (K, 1) of the dtype."""

    def merged(name: str) -> Any:
        values = [getattr(solver, name) for solver in solvers]
        return values[0] if len(set(values)) == 1 else np.array(values, dtype=dtype)[:, None]

    return replace(solvers[0], **{field.name: merged(field.name) for field in fields(solvers[0])})
