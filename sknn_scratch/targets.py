"""Labels to targets of the network, and probabilities back to labels."""

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.preprocessing import label_binarize
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels


def classes_of(y: NDArray) -> NDArray:
    """Classes in y, sorted, of its dtype; for multilabel y, the numbers of its columns.

    Raises
    ------
    ValueError
        If y is not a classification target, has several columns of classes, or one class only.
    """
    check_classification_targets(y)
    if type_of_target(y) == "multiclass-multioutput":
        raise ValueError(
            "y has several columns with more than two classes each. Allowed are one column of "
            "labels, or a binary indicator matrix (multilabel). Wrap the classifier in "
            "sklearn.multioutput.MultiOutputClassifier for one classifier a column."
        )
    if is_multilabel(y):
        return np.arange(y.shape[1])
    classes: NDArray = unique_labels(y).astype(y.dtype)
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
    """Whether y is an indicator matrix, one column a label."""
    return type_of_target(y) == "multilabel-indicator"


def encode(y: NDArray, classes: NDArray, dtype: DTypeLike) -> NDArray:
    """Targets 0 or 1, (n, n_outputs): one column for two classes, else one a class or label."""
    Y = label_binarize(y, classes=classes)
    if not isinstance(Y, np.ndarray):  # a sparse indicator matrix
        Y = Y.toarray()
    return np.ascontiguousarray(Y, dtype=dtype)


def decode(p: NDArray, classes: NDArray, multilabel: bool) -> NDArray:
    """Labels for the probabilities of the outputs, (n, n_outputs)."""
    if multilabel:
        return (p > 0.5).astype(int)
    if p.shape[-1] == 1:
        return classes[(p[:, 0] > 0.5).astype(int)]
    return classes[p.argmax(axis=-1)]
