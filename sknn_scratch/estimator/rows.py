"""Rows of a table, to learn from or held out: as given, and as the network sees them."""

import math
from collections.abc import Callable
from copy import copy
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.metrics import check_scoring

from sknn_scratch._caller import warn_user
from sknn_scratch._compat import accepts_sample_weight, approximate_mode
from sknn_scratch.estimator.task import Task
from sknn_scratch.network.arrays import row_type
from sknn_scratch.network.features import FeatureMap, column_range
from sknn_scratch.network.layers import Architecture
from sknn_scratch.network.model import Network
from sknn_scratch.training.holdout import HoldOut
from sknn_scratch.training.trainer import current_trainer

#: Fraction of the columns from which on :func:`check_alike` warns.
MANY_COLUMNS = 0.25

#: Score of a network: given theta, the pre-activations of its outputs, and its loss.
Score = Callable[[NDArray, NDArray, float], float]


class Table(NamedTuple):
    """Validated rows, as they were given."""

    X: Any
    """(n, n_features), dense or sparse; None where only inputs of the network are needed."""
    y: NDArray
    """Labels or numbers, (n,) or (n, n_outputs)."""
    sample_weight: NDArray | None
    """Weights of the rows, (n,), times those of their classes unless y is multilabel."""
    label_weight: NDArray | None
    """Class weights of each row and label, (n, n_labels); None unless y is multilabel."""

    @property
    def n_live(self) -> int:
        """Number of rows with a nonzero weight."""
        weight = self.sample_weight
        return len(self.y) if weight is None else int(np.count_nonzero(weight))


class Rows(NamedTuple):
    """Rows as they were given, and as the network sees them."""

    table: Table
    inputs: NDArray
    """(n, n_inputs), of theta's dtype."""
    targets: NDArray
    """(n, n_outputs), of theta's dtype."""
    weight: NDArray | None
    """Weights in the loss, (n, 1) or (n, n_outputs), float64; None if all are equal."""

    def of(self, rows: NDArray | None) -> tuple[NDArray, NDArray | None]:
        """Return the targets and the weights in the loss of some of the rows, or of all."""
        if rows is None:
            return self.targets, self.weight
        return self.targets[rows], None if self.weight is None else self.weight[rows]


def rows_of(table: Table, task: Task, features: FeatureMap, dtype: np.dtype, keeps_X: bool) -> Rows:
    """Turn validated rows into inputs, targets and weights of the network; X may be let go of."""
    weight = None if table.sample_weight is None else table.sample_weight[:, None]
    if table.label_weight is not None:
        weight = table.label_weight if weight is None else table.label_weight * weight
    inputs = features(_own(table.X) if features.is_identity else table.X, dtype)
    if features.mean is None:
        _check_size(inputs)
    targets = task.encode(table.y, dtype)
    return Rows(table if keeps_X else table._replace(X=None), inputs, targets, weight)


def _own(X: Any) -> Any:
    """Return X, or a copy if other tasks run before training, which may write into X."""
    return X if current_trainer() is None else X.copy()


def _check_size(inputs: Any) -> None:
    """Raise a ValueError if inputs that were not scaled are so large that their squares overflow.

    Raises
    ------
    ValueError
        If so.
    """
    low, high = column_range(inputs)
    largest = max(-low.min(), high.max())
    if largest > math.sqrt(np.finfo(inputs.dtype).max / inputs.shape[1]):
        raise ValueError(
            f"X has a value of size {largest:.3g}, whose square is too large for {inputs.dtype}, "
            "and features are not scaled. Set scale_features=True, or scale X."
        )


def check_alike(X: Any, X_val: Any) -> None:
    """Warn if in many columns the median of X_val is outside the range of X.

    This happens if a Pipeline has transformed X and not X_val.
    """
    low, high = column_range(X)
    with np.errstate(over="ignore"):
        middle = np.median(X_val.toarray() if issparse(X_val) else X_val, axis=0)
    if np.mean((middle < low) | (middle > high)) > MANY_COLUMNS:
        warn_user(
            "In many columns, the median of X_val is outside of the range that X has there. If X "
            "was transformed by the steps of a Pipeline, X_val has to be, too: make the Pipeline "
            "with transform_input=['X_val'], and enable scikit-learn's metadata routing."
        )


def with_weight(table: Table, rows: NDArray | None) -> NDArray | None:
    """Leave out rows of weight zero; return the indices of those to learn from, None for all.

    If all weights are zero, as can happen in a part of a stream, all rows stay in.
    """
    weight = table.sample_weight
    if weight is None or weight.all() or not weight.any():
        return rows
    live = weight > 0
    return np.flatnonzero(live).astype(row_type(len(live))) if rows is None else rows[live[rows]]


def set_aside(
    rows: Rows, task: Task, fraction: float, rng: np.random.RandomState
) -> tuple[NDArray, NDArray]:
    """Split rows into those to learn from and those to hold out; return the indices of both."""
    n, y, weight = len(rows.targets), rows.table.y, rows.table.sample_weight
    n_validation = math.ceil(fraction * n)
    if n_validation == n:
        raise ValueError(
            f"The training set is empty: validation_fraction={fraction} sets all of the {n} rows "
            "aside. Decrease 'validation_fraction', or increase the size of your dataset."
        )
    # No rows at all cannot be stratified.
    stratified = task.stratify(rows.targets) if n_validation > 0 else None
    train, validation = split(n, n_validation, stratified, rng)
    # A class cannot be learnt from a row of weight zero.
    live = [part if weight is None else part[(weight > 0)[part]] for part in (train, validation)]
    if len(kept := task.rows_to_keep(y, *live)):
        train = np.concatenate([train, kept])
        validation = np.setdiff1d(validation, kept)
    if len(validation) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            f"dataset: validation_fraction={fraction} leaves {len(validation)} of {n} rows for it."
        )
    if weight is not None and not (weight[train].any() and weight[validation].any()):
        raise ValueError(
            f"validation_fraction={fraction} puts all rows with a weight on one side: to learn "
            "from, or for validation. Leave rows of weight zero out, or give X_val and y_val."
        )
    return train, validation


def split(
    n: int, n_validation: int, positive: NDArray | None, rng: np.random.RandomState
) -> tuple[NDArray, NDArray]:
    """Split the indices of n rows at random, stratified if it is given which are positive.

    The result is that of scikit-learn's ``train_test_split``, in the same order. That function
    takes several times the memory: for a narrow table, as much as the table itself.
    """
    if positive is None:
        order: NDArray = np.arange(n, dtype=row_type(n))
        rng.shuffle(order)
        return order[n_validation:], order[:n_validation]
    classes: list[NDArray] = [
        np.flatnonzero(rows).astype(row_type(n)) for rows in (~positive, positive)
    ]
    counts = np.array([len(rows) for rows in classes])
    n_train = approximate_mode(counts, n - n_validation, rng)
    n_held = approximate_mode(counts - n_train, n_validation, rng)
    for rows in classes:
        rng.shuffle(rows)
    parts = (
        np.concatenate([rows[:k] for rows, k in zip(classes, n_train, strict=True)]),
        np.concatenate(
            [rows[k : k + m] for rows, k, m in zip(classes, n_train, n_held, strict=True)]
        ),
    )
    for part in parts:
        rng.shuffle(part)
    return parts


def hold_out(
    rows: Rows,
    numbers: NDArray | None,
    architecture: Architecture,
    guard: NDArray,
    task: Task,
    features: FeatureMap,
    estimator: Any,
) -> HoldOut:
    """Make the hold-out on which networks in training are scored, by `scoring` of the estimator.

    It uses the rows with these indices, or all, and holds no copy of their inputs.
    """
    y, weight = rows.table.y, rows.table.sample_weight
    if numbers is not None:
        y, weight = y[numbers], None if weight is None else weight[numbers]
    if estimator.scoring == "loss":
        score: Score = _minus_loss
    elif estimator.scoring is None:
        score = _score_by_task(y, weight, task)
    else:
        X = _own(rows.table.X) if numbers is None else rows.table.X[numbers]
        score = _score_by_scorer(X, y, weight, architecture, task, features, estimator)
    return HoldOut(rows.inputs, numbers, *rows.of(numbers), guard, architecture, score)


def _minus_loss(theta: NDArray, z: NDArray, loss: float) -> float:
    return -loss


def _score_by_task(y: NDArray, weight: NDArray | None, task: Task) -> Score:
    def score(theta: NDArray, z: NDArray, loss: float) -> float:
        return task.score(y, task.decode(z), weight)

    return score


def _score_by_scorer(
    X: NDArray,
    y: NDArray,
    weight: NDArray | None,
    architecture: Architecture,
    task: Task,
    features: FeatureMap,
    estimator: Any,
) -> Score:
    """Score by a scorer of scikit-learn, called with an estimator that has the network."""
    scorer, probe = check_scoring(estimator, estimator.scoring), copy(estimator)
    y, task = task.for_scorers(y)
    probe._task, probe._columns = task, None  # the rows have been encoded
    remedy = (
        "Raise validation_fraction, give X_val and y_val with rows of every class, or choose a "
        "scorer that does without."
    )
    probe.__dict__.pop("feature_names_in_", None)  # the rows are an array, without names
    weights = {}
    if weight is not None and accepts_sample_weight(scorer):
        weights["sample_weight"] = weight

    def score(theta: NDArray, z: NDArray, loss: float) -> float:
        probe.network_ = Network.from_theta(architecture, theta, features)
        try:
            with np.errstate(divide="ignore", invalid="ignore"):  # such values are refused below
                value = scorer(probe, X, y, **weights)
        except AttributeError as error:  # such as of a scorer that needs probabilities
            if not isinstance(estimator.scoring, str):
                raise
            raise ValueError(
                f"scoring={estimator.scoring!r} needs what a {type(estimator).__name__} does not "
                f"have: {error} Choose another scorer."
            ) from error
        except ValueError as error:
            if missing := task.missing(y):
                raise ValueError(
                    f"scoring={estimator.scoring!r} failed on the validation rows, which have no "
                    f"row of {missing} ({error}). {remedy}"
                ) from error
            raise ValueError(
                f"scoring={estimator.scoring!r} failed on the validation rows: {error}"
            ) from error
        if not isinstance(value, Real) or not math.isfinite(value):
            missing = task.missing(y)
            why = f", which have no row of {missing}. {remedy}" if missing else "."
            raise ValueError(
                f"scoring={estimator.scoring!r} returned {value!r} on the validation rows{why} It "
                "must return one finite number, the larger the better."
            )
        return float(value)

    return score
