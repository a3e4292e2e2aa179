"""Settings and training jobs for the tests of the numerical modules."""

import numpy as np

from sknn_scratch.network.initialisation import draw_theta
from sknn_scratch.network.layers import Architecture
from sknn_scratch.network.losses import LOSSES, baseline_of
from sknn_scratch.training.job import TrainingJob, TrainingState
from sknn_scratch.training.schedules import Schedule
from sknn_scratch.training.solvers import Adam

#: Settings of the estimator under which the network sees X as it comes, and nothing but the
#: gradient of the loss moves its parameters.
PLAIN = {"dtype": None, "scale_features": False, "input_dropout": 0, "weight_decay": 0}


def make_job(
    rng,
    *,
    n=7,
    sizes=(3, 4, 2),
    activation="logistic",
    output="softmax",
    loss="squared_error",
    dtype=np.float64,
    weighted=False,
    start=None,
    **changes,
):
    """A job on random data.

    Output "softmax" has one-hot targets, "logistic" any zeros and ones, "exp" counts, and
    "identity" numbers.

    Guard and baseline are those of its targets. Changes of its start come as a dict.
    """
    if output == "softmax":
        Y = np.eye(sizes[-1])[rng.randint(sizes[-1], size=n)]
    elif output == "logistic":
        Y = rng.randint(2, size=(n, sizes[-1]))
    elif output == "exp":
        Y = rng.poisson(2, size=(n, sizes[-1]))
    else:
        Y = rng.normal(scale=2, size=(n, sizes[-1]))
    weight = None
    X = rng.normal(size=(n, sizes[0])).astype(dtype)
    if weighted:
        weight = rng.uniform(0.5, 2, size=(n, 1))
        weight = (weight / weight.mean()).astype(dtype)
    f = np.average(Y, axis=0, weights=None if weight is None else weight[:, 0])
    guard = LOSSES[loss, output].guard(f)
    settings = {
        "X": X,
        "Y": Y.astype(dtype),
        "sample_weight": weight,
        "guard": guard,
        "baseline": baseline_of((loss, output), f, guard, Y, weight),
        "architecture": Architecture(tuple(sizes), activation, output, loss),
        "start": TrainingState(
            **{
                "theta": draw_theta(sizes, [1.0] * (len(sizes) - 1), rng, dtype),
                "rng": np.random.RandomState(rng.randint(1 << 30)),
            }
            | (start or {})
        ),
        "solver": Adam(),
        "schedule": Schedule("constant", 0.01),
        "alpha": 0.0,
        "weight_decay": 0.0,
        "batch_size": n,
        "max_iter": 5,
        "shuffle": True,
    }
    return TrainingJob(**(settings | changes))
