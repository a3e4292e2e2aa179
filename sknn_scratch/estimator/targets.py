"""Labels to targets of the network, and probabilities back to labels."""

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.sparse import issparse
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target


def classes_of(y: NDArray) -> NDArray:
    """Classes in y, sorted, of its dtype; for multilabel y, the numbers of its columns.

    Raises
    ------
    ValueError
        If y is not a classification target, has several columns of classes, or one class only.
    """
    check_classification_targets(y)
    if is_multilabel(y):
        if type_of_target(y) == "multiclass-multioutput":
            raise ValueError(
                "y has several columns with more than two classes each. Allowed are one column of "
                "labels, or a binary indicator matrix (multilabel). Wrap the classifier in "
                "sklearn.multioutput.MultiOutputClassifier for one classifier a column."
            )
        return np.arange(y.shape[1])
    classes = np.unique(y)
    require_two(classes, "y")
    return classes


def require_two(classes: NDArray, name: str) -> None:
    """Raise a ValueError if there is one class only in what has this name."""
    if len(classes) < 2:
        raise ValueError(
            f"{name} has one class only, {classes.tolist()}. A classifier needs at least two "
            "classes."
        )


def is_multilabel(y: NDArray) -> bool:
    """Whether y, a classification target, is an indicator matrix: one column a label."""
    return y.ndim == 2


def encode(y: Any, classes: NDArray, dtype: DTypeLike) -> NDArray:
    """Targets 0 or 1, (n, n_outputs): one column for two classes, else one a class or label."""
    if issparse(y):  # an indicator matrix
        Y = y.toarray()
    elif y.ndim == 2:
        Y = y
    else:
        Y = y[:, None] == (classes[1:] if len(classes) == 2 else classes)
    return np.ascontiguousarray(Y, dtype=dtype)


def decode(p: NDArray, classes: NDArray, multilabel: bool) -> NDArray:
    """Labels for the probabilities of the outputs, (n, n_outputs)."""
    if multilabel:
        return (p > 0.5).astype(int)
    if p.shape[-1] == 1:
        return classes[(p[:, 0] > 0.5).astype(int)]
    return classes[p.argmax(axis=-1)]


def class_weights(class_weight: str | dict | list[dict], y: Any, classes: NDArray) -> NDArray:
    """Weight of each row of y, (n,), by its class; for multilabel y, the product over its labels.

    Parameters
    ----------
    class_weight : "balanced", dict, or (multilabel) list of dict
        "balanced" weights classes inversely to their frequencies in y; a dict gives the weights of
        classes, one if missing; multilabel y takes one dict a label.

    Raises
    ------
    ValueError
        If a dict names a class that is not among the classes or gives a weight that is not a
        number of at least 0, or if class_weight is of another kind than y.
    """
    if class_weight == "balanced":
        return compute_sample_weight("balanced", y.toarray() if issparse(y) else y)
    if not is_multilabel(y):
        if not isinstance(class_weight, dict):
            raise ValueError(
                f"class_weight must be 'balanced' or a dict for one column of labels, got "
                f"{class_weight!r}."
            )
        return _weights_of(class_weight, classes)[np.searchsorted(classes, y)]
    if not isinstance(class_weight, list) or len(class_weight) != y.shape[1]:
        raise ValueError(
            f"class_weight must be 'balanced' or a list of one dict a label, {y.shape[1]} in all, "
            f"for multilabel y, got {class_weight!r}."
        )
    absent_present = np.array([_weights_of(weights, np.array([0, 1])) for weights in class_weight])
    Y = encode(y, classes, int)
    return absent_present[np.arange(Y.shape[1]), Y].prod(axis=1)


def _weights_of(class_weight: dict, classes: NDArray) -> NDArray:
    """Weight of each class, (n_classes,)."""
    unknown = set(class_weight) - set(classes.tolist())
    if unknown:
        raise ValueError(
            f"class_weight has weights for {sorted(unknown, key=str)}, which are not among the "
            f"classes {classes.tolist()}. Leave them out, or correct their names."
        )
    weights = np.array([class_weight.get(c, 1.0) for c in classes.tolist()], dtype=float)
    if not (weights >= 0).all():
        raise ValueError(f"class_weight must not be negative or NaN, got {class_weight}.")
    return weights
