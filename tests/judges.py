"""Rules of the package written out plainly: judges of what it computes."""

import math
from fractions import Fraction

import numpy as np

# ---------------------------------------------------------------- losses


def targets_of(y):
    """0 or 1, one column an output: classes but the first of two, or labels."""
    if y.ndim == 2:
        return y
    classes = np.unique(y)
    return (y[:, None] == (classes[1:] if len(classes) == 2 else classes)).astype(int)


def is_softmax(y):
    return y.ndim == 1 and len(np.unique(y)) > 2


def guard_of(f, softmax):
    """How much of the log loss the guarded squared error has at these frequencies."""
    if softmax:
        rarest = min(f)
        return [0.5 - 2 * rarest * (1 - rarest)] * len(f)
    return [(1 - 2 * each) ** 2 / 4 for each in f]


def losses_of(loss, p, Y, guard, softmax):
    """Loss of each row, given the probabilities of the outputs and the targets."""
    squares = ((p - Y) ** 2).sum(axis=1)
    with np.errstate(divide="ignore"):
        logs = -np.where(Y == 1, np.log(p), 0 if softmax else np.log(1 - p))
    return {
        "squared_error": squares,
        "log_loss": logs.sum(axis=1),
        "guarded_squared_error": squares + (logs * guard).sum(axis=1),
    }[loss]


def loss_of(loss, p, y, weight=None, y_fit=None, weight_fit=None):
    """Mean loss of the probabilities of all classes, in a fit to y_fit (or y itself)."""
    y_fit, weight_fit = (y, weight) if y_fit is None else (y_fit, weight_fit)
    Y = targets_of(y) if y.ndim == 2 else (y[:, None] == np.unique(y_fit)[-p.shape[1] :]) * 1
    f = np.average(targets_of(y_fit), axis=0, weights=weight_fit)
    if y.ndim == 1 and p.shape[1] == 2:
        p, Y = p[:, 1:], Y[:, 1:]
    guard = guard_of(f, is_softmax(y_fit))
    return np.average(losses_of(loss, p, Y, guard, is_softmax(y_fit)), weights=weight)


def chance_of(loss, y, weight=None):
    """Loss of always predicting how often each class, or each label, comes."""
    Y, softmax = targets_of(y), is_softmax(y)
    f = np.average(Y, axis=0, weights=weight)
    losses = losses_of(loss, np.tile(f, (len(Y), 1)), Y, guard_of(f, softmax), softmax)
    return np.average(losses, weights=weight)


def effective_number(y, weight):
    """Rows that weighted rows are worth: (sum w)² / sum w² of each class, on average of labels."""
    if y.ndim == 2:
        return np.mean([effective_number(label, weight) for label in y.T])
    return sum(weight[y == c].sum() ** 2 / (weight[y == c] ** 2).sum() for c in np.unique(y))


# ---------------------------------------------------------------- scaling of columns


def bounded(x):
    return x / (1 + (x / 3.5) ** 4) ** 0.25


def scaling_of(X, weight=None):
    """Centre and scale of each column, in exact fractions, value by value."""
    weight = [1] * len(X) if weight is None else weight
    found = [_scaling_of_column(column.tolist(), weight) for column in np.asarray(X).T]
    return tuple(np.array(part) for part in zip(*found, strict=True))


def scaled(X, X_fit, weight=None):
    """X as a network should see it that was fitted to X_fit."""
    mean, scale = scaling_of(X_fit, weight)
    return bounded((X - mean) / scale)


def _scaling_of_column(values, weight):
    rows = [(Fraction(x), Fraction(float(w))) for x, w in zip(values, weight, strict=True) if w > 0]
    nonzero = [(x, w) for x, w in rows if x != 0]
    centred = 2 * _sum(nonzero) > _sum(rows)
    if not centred:
        rows = nonzero
    middle = _quantile(rows, Fraction(1, 2)) if centred else Fraction(0)
    deviations = [(abs(x - middle), w) for x, w in rows if x != middle]
    if not deviations:
        return float(middle), 1.0
    bound = 7 * _quantile(deviations, Fraction(6, 10))
    rows = [(x, w) for x, w in rows if abs(x - middle) <= bound]
    if {x for x, _ in rows} <= {0, 1}:
        return 0.0, 1.0
    mean = sum(x * w for x, w in rows) / _sum(rows) if centred else Fraction(0)
    return float(mean), math.sqrt(sum((x - mean) ** 2 * w for x, w in rows) / _sum(rows))


def _sum(rows):
    return sum(w for _, w in rows)


def _quantile(rows, share):
    """Smallest value that at least this share of the weight does not exceed."""
    passed, enough = 0, share * _sum(rows)
    for x, w in sorted(rows):
        passed += w
        if passed >= enough:
            return x
