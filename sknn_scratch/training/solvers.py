r"""Solvers: settings in a frozen dataclass, state in arrays shaped like theta.

A solver moves the parameters ``theta`` (K, n_params) of a stack of K networks down their gradient
``grad``. Its settings are numbers for one network and may become arrays (K, 1), one row a
network, when networks with different settings share a stack (see :func:`stacked`).

All solvers have the same methods. ``new_state(theta)`` makes the state before the first step,
``taken_over(state, settings)`` takes one over from a solver with other settings, and
``step_size(lr, step)`` returns the size of the given step (counted from 1) at learning rate lr.
``bound(theta, grad, state)`` returns the function that takes a step of that size, in place: it
changes theta, the state and (as scratch) grad. Each of a step's operations goes through the whole
arrays, element by element; so they can also be bound to parts of the arrays (see :func:`stepping`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Setting = float | NDArray
SolverState = dict[str, NDArray]
Step = Callable[[NDArray], None]
ShrinkingStep = Callable[[NDArray, NDArray | None], None]

#: Parameters that a step goes through at a time, if they are many: those stay in the cache.
AT_ONCE = 1 << 16


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

    def new_state(self, theta: NDArray) -> SolverState:
        """Make the state before the first step: the velocity u, at rest."""
        return {"velocity": np.zeros_like(theta)}

    def taken_over(self, state: SolverState, settings: dict[str, Any]) -> SolverState:
        """Copy a state that was reached with other settings, for use with these."""
        return {"velocity": state["velocity"].copy()}

    def step_size(self, lr: NDArray, step: NDArray) -> NDArray:
        """Return the size of the given step at learning rate lr, which is lr."""
        return lr

    def bound(self, theta: NDArray, grad: NDArray, state: SolverState) -> Step:
        """Return the function that takes one step of a given size."""
        velocity, momentum = state["velocity"], np.asarray(self.momentum, dtype=theta.dtype)

        def take_step(size: NDArray) -> None:
            nonlocal theta, grad, velocity
            grad *= size
            velocity *= momentum
            velocity -= grad
            if self.nesterovs_momentum:
                theta -= grad
                np.multiply(velocity, momentum, grad)
                theta += grad
            else:
                theta += velocity

        return take_step


@dataclass(frozen=True)
class Adam:
    r"""Adam: steps scaled by running means of the gradient and of its square.

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        v \leftarrow \beta_2 v + (1 - \beta_2) g^2, \quad
        \theta \leftarrow \theta -
            \eta \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m}{\sqrt v + \epsilon}

    The state holds :math:`m / (1 - \beta_1)` and :math:`v / (1 - \beta_2)`, which are plain
    decaying sums: that saves two passes over memory, and nothing cancels in float32. The factors
    are applied to the step size and to epsilon instead, which are single numbers.

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9 and 0.999
        Decay rates of the two means, in [0, 1).
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

    def new_state(self, theta: NDArray) -> SolverState:
        """Make the state before the first step: the sums behind the two means, zero."""
        return {"m": np.zeros_like(theta), "v": np.zeros_like(theta)}

    def taken_over(self, state: SolverState, settings: dict[str, Any]) -> SolverState:
        """Copy a state that was reached with other settings, so that the means stay the same."""
        return {
            "m": state["m"] * ((1 - settings["beta_1"]) / (1 - self.beta_1)),
            "v": state["v"] * ((1 - settings["beta_2"]) / (1 - self.beta_2)),
        }

    def step_size(self, lr: NDArray, step: NDArray) -> NDArray:
        """Return the size of the given step at learning rate lr, for the sums in the state."""
        unbiased = np.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        return lr * unbiased * ((1 - self.beta_1) / np.sqrt(1 - self.beta_2))

    def bound(self, theta: NDArray, grad: NDArray, state: SolverState) -> Step:
        """Return the function that takes one step of a given size."""
        m, v = state["m"], state["v"]
        with np.errstate(over="ignore"):  # with an infinite epsilon there are no steps
            beta_1, beta_2, epsilon = (
                np.asarray(number, dtype=theta.dtype)
                for number in (self.beta_1, self.beta_2, self.epsilon / np.sqrt(1 - self.beta_2))
            )

        def take_step(size: NDArray) -> None:
            nonlocal theta, grad, m, v
            m *= beta_1
            m += grad
            np.multiply(grad, grad, grad)
            v *= beta_2
            v += grad
            np.sqrt(v, grad)
            grad += epsilon
            np.divide(m, grad, grad)
            grad *= size
            theta -= grad

        return take_step


Solver = SGD | Adam


def stacked(solvers: Sequence[Solver], K: tuple[int, ...], dtype: DTypeLike) -> Solver:
    """Make one solver for a stack: settings that differ become arrays (K, 1) of the dtype."""

    def merged(name: str) -> Any:
        values = [getattr(solver, name) for solver in solvers]
        if len(set(values)) == 1:
            return values[0]
        return np.array(values, dtype=dtype).reshape(*K, 1)

    return replace(solvers[0], **{field.name: merged(field.name) for field in fields(solvers[0])})


def stepping(
    solver: Solver, theta: NDArray, weights: Sequence[NDArray], grad: NDArray, state: SolverState
) -> ShrinkingStep:
    """Return the function that shrinks the weights, and then takes a step.

    Parameters
    ----------
    solver : Solver
    theta, grad : ndarray of shape (K, n_params)
    weights : sequence of ndarray of shape (K, 1, n_weights)
        Views of those weights in theta that shrink alike.
    state : dict
        Arrays of the solver, (K, n_params).

    Returns
    -------
    step : callable
        Takes the size of the step, (K, 1), and the factors that the weights of each view are
        multiplied by first, (n_views, K, 1, 1), or None.
    """
    take_step = solver.bound(theta, grad, state)

    def step(size: NDArray, shrink: NDArray | None) -> None:
        if shrink is not None:
            for some, factor in zip(weights, shrink, strict=True):
                np.multiply(some, factor, some)
        take_step(size)

    return step


def stepping_through(
    blocks: Sequence[slice],
    solver: Solver,
    theta: NDArray,
    weights: NDArray,
    grad: NDArray,
    state: SolverState,
    is_first: bool,
) -> ShrinkingStep:
    """Return the function that does so for blocks of the parameters of one layer of one network.

    It goes through them in parts that stay in the cache. That changes no number: all operations are
    element by element. The weights come first in theta. Those of the first layer take the first of
    the factors, and all others the last.
    """
    parts = [
        slice(at, min(at + AT_ONCE, block.stop))
        for block in blocks
        for at in range(block.start, block.stop, AT_ONCE)
    ]
    steps = []
    for part in parts:
        some = {name: array[part] for name, array in state.items()}
        steps.append(stepping(solver, theta[part], [weights[..., part]], grad[part], some))

    def step(size: NDArray, shrink: NDArray | None) -> None:
        mine = None if shrink is None else shrink[:1] if is_first else shrink[-1:]
        for step_of_part in steps:
            step_of_part(size, mine)

    return step
