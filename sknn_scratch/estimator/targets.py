"""The tasks of a classifier: which outputs the labels need, and how to encode and decode them.

A task is one object for one kind of labels. It knows the classes, the number and the kind of the
network's outputs, and all that depends on them.
"""

import math
from dataclasses import dataclass, replace
from numbers import Real
from types import SimpleNamespace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from sknn_scratch._compat import InvalidParameterError, is_first_partial_fit
from sknn_scratch.estimator.task import Task, kish
from sknn_scratch.network.links import INVERSE_LINKS

ClassWeight = str | dict | list[dict]

#: Number of rows searched for classes at a time.
ROWS_AT_ONCE = 1 << 14


@dataclass(frozen=True, eq=False)
class Classification(Task):
    """One of several classes: a softmax over as many outputs.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels, sorted; for multilabel y, the indices of its columns.
    """

    classes: NDArray

    kind: ClassVar[str] = "one column of class labels"
    output: ClassVar[str] = "softmax"
    is_multilabel: ClassVar[bool] = False
    base_rate: ClassVar[float] = 0.01
    penalises_inputs: ClassVar[bool] = True
    no_better_than: ClassVar[str] = "chance"
    constant: ClassVar[str] = "the frequencies of the classes"

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        return len(self.classes)

    def own(self) -> Self:
        """Return the same task with the classes in an array of its own."""
        return replace(self, classes=self.classes.copy())

    def encode(self, y: Any, dtype: DTypeLike) -> NDArray:
        """Turn labels into targets 0 or 1, (n, n_outputs)."""
        return np.ascontiguousarray(y[:, None] == self.classes, dtype=dtype)

    def decode(self, z: NDArray) -> NDArray:
        """Turn pre-activations of the outputs, (n, n_outputs), into labels. Uses up z."""
        link = INVERSE_LINKS[self.output]
        return self.most_probable(link.probabilities(link.per_class(z)))

    def most_probable(self, p: NDArray) -> NDArray:
        """Turn probabilities of the classes, (n, n_classes), into labels."""
        return self.classes[p.argmax(axis=-1)]

    def score(self, y: NDArray, predicted: NDArray, weight: NDArray | None) -> float:
        """Compute the accuracy. What it is called with after each epoch needs no more checks."""
        is_right = y == predicted
        return float(
            np.average(is_right.all(axis=1) if self.is_multilabel else is_right, weights=weight)
        )

    def class_weights(
        self, class_weight: ClassWeight, y: Any, sample_weight: NDArray | None
    ) -> NDArray:
        """Weight each row of y, (n,), by its class.

        Parameters
        ----------
        class_weight : "balanced", dict, or (multilabel) list of dict
            "balanced" weights classes inversely to their number of rows of nonzero weight; a dict
            gives the weights of classes, 1 for those that it does not name.
        y : ndarray of shape (n,) or (n, n_labels)
        sample_weight : ndarray of shape (n,) or None

        Raises
        ------
        ValueError
            If a dict names an unknown class and leaves a known one out; if a weight is negative or
            NaN, or all are zero; or if class_weight is not of the kind that y needs.
        """
        number = np.searchsorted(self.classes, y)
        if class_weight == "balanced":
            counts = np.bincount(_live(number, sample_weight), minlength=len(self.classes))
            of_classes = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        elif isinstance(class_weight, dict):
            of_classes = _weights_of(class_weight, self.classes)
        else:
            raise ValueError(
                f"class_weight must be 'balanced' or a dict for one column of labels, got "
                f"{class_weight!r}."
            )
        if not of_classes.any():
            raise ValueError(
                f"class_weight={class_weight!r} leaves no row with a weight. Give one of the "
                f"classes {self.classes.tolist()} a weight."
            )
        return of_classes[number]

    def effective_number(self, targets: NDArray, weight: NDArray | None) -> float:
        r"""Compute the effective number of weighted rows, class by class.

        For each class it is :math:`(\sum w)^2 / \sum w^2`, the number of equally weighted rows that
        would estimate its mean as well (Kish, "Survey Sampling", 1965). The sum over the classes
        does not change if a class as a whole is weighted up or down, which takes no information
        away.

        Parameters
        ----------
        targets : ndarray of shape (n, n_outputs)
        weight : ndarray of shape (n, 1) or (n, n_outputs), or None
        """
        if weight is None or not weight.any():
            return float(len(targets))
        return float(kish(targets, weight).sum())

    def rarest(self, targets: NDArray) -> int:
        """Count the rows of the rarest class; of labels, of the rarest value of any."""
        present = np.count_nonzero(targets, axis=0)
        return int(min(present.min(), len(targets) - present.max()))

    def missing(self, y: NDArray) -> list:
        """List the classes that have no row in y."""
        return np.setdiff1d(self.classes, y).tolist()

    def check_kind(self, y: Any) -> None:
        """Raise a ValueError if y is of another kind than this task."""
        if is_multilabel(y) != self.is_multilabel:
            other = Multilabel.kind if is_multilabel(y) else Classification.kind
            raise ValueError(
                f"`y` is {other}, but the network was fitted to {self.kind}. To go on from a fit, "
                "leave the kind of y as it was; for a new network set warm_start=False and call "
                "fit."
            )

    def check_same_classes(self, y: Any) -> None:
        """Raise a ValueError unless y has these classes, as a warm start needs."""
        self.check_kind(y)
        classes = unique_labels(y)
        if set(classes) != set(self.classes):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous "
                f"call to fit. Previously got {self.classes}, `y` has {classes}"
            )

    def check_known_classes(self, y: Any) -> None:
        """Raise a ValueError if y has classes that are not among these."""
        self.check_kind(y)
        classes = unique_labels(y)
        if not np.isin(classes, self.classes).all():
            raise ValueError(
                f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes}. "
                f"`y` has {classes}. Name all classes in the first call to partial_fit."
            )

    def check_validation(self, y_val: Any) -> None:
        """Raise a ValueError if a network cannot be scored on these labels."""
        if is_multilabel(y_val) != self.is_multilabel:
            raise ValueError(
                "Of y and y_val, one is an indicator matrix (multilabel), and the other is one "
                "column of class labels. They must be of the same kind."
            )
        labels = unique_labels(y_val)
        if not np.isin(labels, self.classes).all():
            raise ValueError(
                f"y_val has classes that y does not have. y has {self.classes}, y_val has "
                f"{labels}. Put rows of every class into y."
            )

    def rows_to_keep(self, y: NDArray, train: NDArray, validation: NDArray) -> NDArray:
        """Find the first held-out row of each class that occurs only among the held-out rows."""
        y_val = y[validation]
        lost = np.unique(y_val)
        for start in range(0, len(train), ROWS_AT_ONCE):
            if not len(lost):
                break
            lost = np.setdiff1d(lost, y[train[start : start + ROWS_AT_ONCE]])
        return np.array([validation[y_val == name][0] for name in lost], dtype=int)


@dataclass(frozen=True, eq=False)
class BinaryClassification(Classification):
    """One of two classes: one sigmoid, the probability of the second."""

    output: ClassVar[str] = "logistic"

    @property
    def n_outputs(self) -> int:
        """Outputs of the network."""
        return 1

    def encode(self, y: Any, dtype: DTypeLike) -> NDArray:
        """Turn labels into targets 0 or 1, (n, 1)."""
        return np.ascontiguousarray(y[:, None] == self.classes[1:], dtype=dtype)

    def most_probable(self, p: NDArray) -> NDArray:
        """Turn probabilities of both classes, (n, 2), into labels."""
        return self.classes[(p[:, 1] > 0.5).astype(int)]

    def effective_number(self, targets: NDArray, weight: NDArray | None) -> float:
        """Compute the effective number of weighted rows, of both classes."""
        return _of_both(targets, weight)

    def stratify(self, targets: NDArray) -> NDArray | None:
        """Return what to stratify held-out rows by: the class, if both have several rows."""
        positive = np.count_nonzero(targets)
        return targets[:, 0].astype(bool) if 2 <= positive <= len(targets) - 2 else None


@dataclass(frozen=True, eq=False)
class Multilabel(Classification):
    """Several labels, each present or absent: one sigmoid per label.

    Parameters
    ----------
    classes : ndarray of shape (n_labels,), of objects
        Indices of the columns. They are Python's integers, not NumPy's: scikit-learn's scorers
        would mistake an array of two numbers for two classes.
    codes : tuple of two int
        Values in y of a label that is absent, and of one that is present.
    """

    codes: tuple[int, int] = (0, 1)

    kind: ClassVar[str] = "an indicator matrix (multilabel)"
    output: ClassVar[str] = "logistic"
    is_multilabel: ClassVar[bool] = True

    def encode(self, y: Any, dtype: DTypeLike) -> NDArray:
        """Turn an indicator matrix into targets 0 or 1, (n, n_labels)."""
        return np.ascontiguousarray(y == self.codes[1], dtype=dtype)

    def most_probable(self, p: NDArray) -> NDArray:
        """Turn probabilities of the labels, (n, n_labels), into an indicator matrix."""
        return np.array(self.codes)[(p > 0.5).astype(int)]

    def effective_number(self, targets: NDArray, weight: NDArray | None) -> float:
        """Compute the effective number of weighted rows, averaged over the labels."""
        return _of_both(targets, weight)

    def class_weights(
        self, class_weight: ClassWeight, y: Any, sample_weight: NDArray | None
    ) -> NDArray:
        """Weight each row and label of y, (n, n_labels), by presence; one dict per label.

        The loss normalises them to a mean of 1 for each label. So they weight a label's two classes
        against each other, and not the label against others.
        """
        Y = self.encode(y, int)
        if class_weight == "balanced":
            live = _live(Y, sample_weight)
            present = live.sum(axis=0)
            counts = np.stack([len(live) - present, present], axis=-1)
            absent_present = len(live) / (2 * np.maximum(counts, 1))
        elif (
            isinstance(class_weight, list)
            and len(class_weight) == Y.shape[1]
            and all(isinstance(weights, dict) for weights in class_weight)
        ):
            codes = np.array(self.codes)
            absent_present = np.array([_weights_of(weights, codes) for weights in class_weight])
        else:
            raise ValueError(
                f"class_weight must be 'balanced' or a list of one dict a label, {Y.shape[1]} in "
                f"all, for multilabel y, got {class_weight!r}."
            )
        if not absent_present.any(axis=-1).all():
            raise ValueError(
                f"class_weight={class_weight!r} leaves no row with a weight for the labels "
                f"{np.flatnonzero(~absent_present.any(axis=-1)).tolist()}. Give one of the two "
                "classes a weight."
            )
        return absent_present[np.arange(Y.shape[1]), Y]

    def missing(self, y: NDArray) -> list:
        """List the labels that no row of y has, or that every row has."""
        share = self.encode(y, float).mean(axis=0)
        return np.flatnonzero((share == 0) | (share == 1)).tolist()

    def for_scorers(self, y: NDArray) -> tuple[NDArray, Self]:
        """Return an indicator matrix of zeros and ones, and the task that predicts in it."""
        return self.encode(y, int), replace(self, codes=(0, 1))

    def check_same_classes(self, y: Any) -> None:
        """Raise a ValueError unless y has these labels, in the same codes."""
        super().check_same_classes(y)
        self._check_codes("y", y)

    def check_known_classes(self, y: Any) -> None:
        """Raise a ValueError if y has other labels, or other codes."""
        super().check_known_classes(y)
        if y.shape[1] != len(self.classes):
            raise ValueError(
                f"`y` has {y.shape[1]} labels, but `classes` names {len(self.classes)}. An "
                "indicator matrix has a column for each, also where nobody has the label."
            )
        self._check_codes("y", y)

    def _check_codes(self, name: str, y: Any) -> None:
        other = sorted(_values(y) - set(self.codes))
        if other:
            raise ValueError(
                f"`{name}` is an indicator matrix with {other} in it, but the labels are coded as "
                f"{self.codes[0]} (absent) and {self.codes[1]} (present), as in the first y. Use "
                "the same codes."
            )

    def check_validation(self, y_val: Any) -> None:
        """Raise a ValueError if a network cannot be scored on these labels."""
        if is_multilabel(y_val) and y_val.shape[1] != len(self.classes):
            raise ValueError(
                f"y_val has {y_val.shape[1]} labels, but y has {len(self.classes)}. They must "
                "have the same columns."
            )
        super().check_validation(y_val)
        self._check_codes("y_val", y_val)

    def rows_to_keep(self, y: NDArray, train: NDArray, validation: NDArray) -> NDArray:
        """Return no rows: a label that no row has can be learnt, too."""
        return np.array([], dtype=int)


def task_of(y: Any, before: Classification | None) -> Classification:
    """Find the task of labels y, or check that they suit the task of an earlier fit.

    Raises
    ------
    ValueError
        If y is not a classification target, has several columns of classes, has only one class, or
        has other classes than before.
    """
    if before is not None:
        before.check_same_classes(y)
        return before
    check_classification_targets(y)
    if not is_multilabel(y):
        return _task("y", np.unique(y))
    if type_of_target(y) == "multiclass-multioutput":
        raise ValueError(
            "y has several columns with more than two classes each. Allowed are one column of "
            "labels, or a binary indicator matrix (multilabel). Wrap the classifier in "
            "sklearn.multioutput.MultiOutputClassifier for one classifier a column."
        )
    return _multilabel(np.arange(y.shape[1]), y)


def task_of_stream(y: Any, classes: Any, before: Classification | None) -> Classification:
    """Find the task of labels that come in parts, given all classes or the task of earlier parts.

    Raises
    ------
    ValueError
        If neither is given or the two differ, or if y has other labels.
    """
    known = SimpleNamespace() if before is None else SimpleNamespace(classes_=before.classes)
    is_first_partial_fit(known, classes)
    if before is None and is_multilabel(y):
        before = _multilabel(known.classes_, y)
    task = before or _task("classes", known.classes_)
    task.check_known_classes(y)
    return task


def _multilabel(columns: NDArray, y: Any) -> Multilabel:
    """Make the task of an indicator matrix, whose two values are the codes of its labels."""
    values = _values(y)
    if values <= {0, 1}:
        values = {0, 1}
    if len(values) != 2:
        raise ValueError(
            f"`y` is an indicator matrix (multilabel) in which every value is {min(values)}. "
            "Allowed are 0 and 1, or two other numbers that both occur, in a stream in its first "
            "part. Recode it to 0 and 1."
        )
    absent, present = sorted(values)
    return Multilabel(columns.astype(object), (absent, present))


def _values(y: NDArray) -> set[int]:
    """Return the values that occur in an indicator matrix."""
    return {int(value) for value in np.unique(y)}


def _task(name: str, classes: NDArray) -> Classification:
    """Make the task of these classes, taken from the argument of this name."""
    if len(classes) < 2:
        raise ValueError(
            f"{name} has one class only, {classes.tolist()}. A classifier needs at least two "
            "classes."
        )
    return BinaryClassification(classes) if len(classes) == 2 else Classification(classes)


def is_multilabel(y: Any) -> bool:
    """Tell whether y, a classification target, is an indicator matrix: one column per label."""
    return y.ndim == 2


def _live(rows: NDArray, sample_weight: NDArray | None) -> NDArray:
    """Return the rows of nonzero weight; the others count as absent."""
    return rows if sample_weight is None else rows[sample_weight > 0]


def _of_both(targets: NDArray, weight: NDArray | None) -> float:
    """Compute the effective number of rows with and without a target, averaged over outputs."""
    if weight is None or not weight.any():
        return float(len(targets))
    return float((kish(targets, weight) + kish(targets == 0, weight)).mean())


def _weights_of(class_weight: dict, classes: NDArray) -> NDArray:
    """Return the weight of each class, (n_classes,).

    The dict may name a class that y lacks, as a fold may. But if it also leaves out a class of y,
    a name is probably misspelt.
    """
    names = classes.tolist()
    unknown = sorted(set(class_weight) - set(names), key=str)
    without = [name for name in names if name not in class_weight]
    if unknown and without:
        raise ValueError(
            f"class_weight has weights for {unknown}, which are not among the classes {names}, and "
            f"none for {without}. Correct the names, or give each class a weight."
        )
    weights: list[Any] = [class_weight.get(name, 1.0) for name in names]
    are_numbers = all(isinstance(weight, Real) for weight in weights)
    if not are_numbers or not all(0 <= weight < math.inf for weight in weights):
        raise InvalidParameterError(
            f"class_weight must not be negative or NaN, got {class_weight}. Allowed are "
            "numbers from 0 on, without infinity."
        )
    return np.array(weights, dtype=float)
