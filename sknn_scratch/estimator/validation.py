"""Validate the tables that an estimator is given; in a stacked search, once for all fits of a fold.

The fits of a search cut rows out of its table each for itself, and those of a fold get the same. So
what validation makes of a table, and what networks see of it, are functions of the table and of the
few attributes that matter to them, and of nothing else: :func:`once` makes them.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import check_array, check_X_y, column_or_1d
from sklearn.utils.validation import check_is_fitted, validate_data

from sknn_scratch._compat import check_sample_weight
from sknn_scratch.estimator.columns import Columns, check_gaps, learn_columns, levels_of
from sknn_scratch.estimator.fitting import Seen, View, see
from sknn_scratch.estimator.plan import Mode
from sknn_scratch.estimator.rows import Table, check_alike
from sknn_scratch.estimator.tables import as_table, check_all_there, has_kinds, unmasked
from sknn_scratch.estimator.task import Task
from sknn_scratch.network.encoding import has_bins
from sknn_scratch.network.model import Network
from sknn_scratch.network.threads import in_blocks, one_thread_for
from sknn_scratch.training.trainer import once

PACKAGE = __name__.partition(".")[0]

#: Types of X that need no conversion.
FLOATS = (np.float64, np.float32)

#: Parameters that decide how a table is validated and seen by a network. The others do not exist
#: for what does that.
SEEN_BY = {
    "categorical_features",
    "numerical_encoding",
    "n_bins",
    "scale_features",
    "dtype",
    "class_weight",
    "loss",
    "scale_targets",
}

#: Attributes that an estimator has once it has validated a table.
LEARNT = {"n_features_in_", "feature_names_in_", "_columns", "_takes_gaps", "_task"}

#: About how many values are summed up at a time.
AT_ONCE = 1 << 20

Made = TypeVar("Made")

#: Finds the task of y, given row weights and the task of the fit to continue, or None.
FindTask = Callable[[NDArray, NDArray | None, Any], Task]


class TableValidation:
    """Mixin of an estimator that validates tables."""

    categorical_features: Any
    scale_features: bool
    scoring: Any
    network_: Network
    _task: Task
    _columns: Columns | None = None
    _takes_gaps = False

    #: Parameters that make no difference to that.
    _not_seen_by: ClassVar[frozenset[str]]

    # ------------------------------------------------------------ what an estimator adds

    def _find_task(self, y: NDArray, weight: NDArray | None, before: Any) -> Task:
        """Find the task of y, or check that y suits the task of the fit that continues."""
        raise NotImplementedError

    def _checked_targets(self, y: NDArray) -> NDArray:
        """Return y in the type that the task needs; one column is an array (n,)."""
        return y

    def _class_weights(self, y: NDArray, weight: NDArray | None) -> NDArray | None:
        """Weight rows by their classes, given row weights: (n,), (n, n_labels) or None."""
        return None

    # ------------------------------------------------------------ copies

    def _copy(self) -> Self:
        """Return a shallow copy of the estimator. A fit replaces attributes, and changes none.

        ``copy.copy`` takes several times as long as predicting one row.
        """
        return self._with(self.__dict__)

    @classmethod
    def _with(cls, attributes: Mapping[str, Any]) -> Self:
        """Return an estimator that has these attributes."""
        made = object.__new__(cls)
        made.__dict__.update(attributes)
        return made

    # ------------------------------------------------------------ rows to learn from

    def _view(self, *given: Any, is_followed: bool = False, encoded_too: bool = False) -> View:
        """Validate a table for a new fit, and see it; also encoded if asked for, if it has bins.

        In a stacked search, fits share it, unless callbacks or a scorer get hold of its rows.
        """
        if is_followed or self.scoring not in (None, "loss"):
            return self._viewed(vars(self), True, encoded_too, *given)
        return self._once(self._viewed, False, encoded_too, *given)

    @classmethod
    def _viewed(cls, viewer: dict[str, Any], keeps_X: bool, encoded_too: bool, *given: Any) -> View:
        one, mode = cls._with(viewer), Mode(again=False)
        tables = one._validated(mode, one._find_task, *given)
        ways, table, levels = [one], tables[0], levels_of(one._columns)
        if encoded_too and has_bins(table.X, table.sample_weight, levels):
            ways.append(cls._with(vars(one) | {"numerical_encoding": "piecewise_linear"}))
        seen = [see(way, one._task, *tables, mode, keeps_X) for way in ways]
        return View({name: value for name, value in vars(one).items() if name in LEARNT}, seen)

    def _once(self, function: Callable[..., Made], *given: Any) -> Made:
        """Return what a method of the class makes of the attributes of the estimator, and more.

        In a stacked search, estimators share it that have the same attributes, but for those that
        make no difference to it. To the methods of a subclass, any may make one.
        """
        viewer = vars(self)
        if not type(self).__module__.startswith(f"{PACKAGE}."):
            return function(viewer, *given)
        seen_by = {
            name: value
            for name, value in viewer.items()
            if name in LEARNT or not (name in self._not_seen_by or "_" in (name[0], name[-1]))
        }
        return once(function, seen_by, *given)

    def _with_view(self, view: View) -> tuple[Self, list[Seen]]:
        """Return a copy of the estimator that has validated a table, and what it sees of it.

        It has nothing of an earlier table. Arrays that a user can reach are its own.
        """
        kept = {name: value for name, value in vars(self).items() if name not in LEARNT}
        learnt = view.learnt | {"_task": view.learnt["_task"].own()}
        if "feature_names_in_" in learnt:
            learnt["feature_names_in_"] = learnt["feature_names_in_"].copy()
        seen = [each._replace(scaling=each.scaling.own()) for each in view.seen]
        return self._with(kept | learnt), seen

    def _validated(
        self,
        mode: Mode,
        find_task: FindTask,
        X: Any,
        y: Any,
        sample_weight: Any,
        *validation: Any,
    ) -> tuple[Table, Table | None]:
        """Validate the rows to learn from, find their task, and validate those to hold out."""
        X, y = self._validate(X, y, reset=not mode.again)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, X)
        before = self._task if mode.again else None
        self._task = find_task(y, weight, before)
        if before is not None:
            self.network_ = self._task.taken_over(self.network_, before)
        table = self._weighted(X, y, weight, allow_zeros=mode.partial)
        try:
            held_out = self._validate_set(*validation)
            if held_out is not None:
                check_alike(X, held_out.X)
        except (TypeError, ValueError) as error:
            error.add_note("That is about the validation rows: X_val, y_val, sample_weight_val.")
            raise
        return table, held_out

    def _validate(self, X: Any, y: Any, *, reset: bool) -> tuple[NDArray, NDArray]:
        """Validate rows to learn from or to hold out: X as numbers and codes, and y dense."""
        X, y = as_table(X), unmasked(y)
        check_all_there(y)
        if reset:
            self._columns = learn_columns(X, self.categorical_features)
            self._takes_gaps = bool(self.scale_features)
        X, y = self._table(
            X,
            y,
            reset=reset,
            multi_output=True,
            dtype=FLOATS,
            # If features are scaled, a column-major X is copied anyway.
            order=None if self.scale_features else "C",
        )
        if issparse(y):  # targets are dense
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, self._checked_targets(y)

    def _table(self, X: Any, *y: Any, reset: bool, **checks: Any) -> Any:
        """Validate X, or X and y; X becomes an array of numbers and codes, or a CSR matrix."""
        checks |= {"accept_sparse": "csr", "ensure_all_finite": "allow-nan"}
        columns = self._columns
        if columns is None and has_kinds(X):
            columns = Columns.of_numbers(X)
        with np.errstate(over="ignore", invalid="ignore"):  # as infinite values are summed up
            if columns is None:
                result = validate_data(self, X, *y, reset=reset, **checks)
            else:
                validate_data(self, X, *y, reset=reset, skip_check_array=True)
                check = check_X_y if y else check_array
                result = check(columns(X), *y, estimator=self, **checks)
        check_gaps(result[0] if y else result, allowed=self._takes_gaps)
        return result

    def _weighted(
        self, X: NDArray, y: NDArray, weight: NDArray | None, *, allow_zeros: bool = False
    ) -> Table:
        """Give validated rows their weights, including those of their classes.

        With ``allow_zeros``, all rows may be of classes of weight zero.
        """
        by_class = self._class_weights(y, weight)
        if by_class is None:
            return Table(X, y, weight, None)
        if by_class.ndim == 2:
            return Table(X, y, weight, by_class)
        if weight is not None:
            by_class = by_class * weight
        return Table(X, y, check_sample_weight(by_class, X, allow_zeros=allow_zeros), None)

    def _validate_set(self, X_val: Any, y_val: Any, sample_weight_val: Any) -> Table | None:
        """Validate the validation rows that were given to fit; None if there are none."""
        if X_val is None and y_val is None and sample_weight_val is None:
            return None
        if X_val is None or y_val is None:
            there, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
            if X_val is y_val is None:
                there, missing = "sample_weight_val", "X_val and y_val"
            raise ValueError(
                f"{there} was given without {missing}. Give X_val and y_val together, or neither: "
                "then early_stopping sets rows of X aside."
            )
        X_val, y_val = self._validate(X_val, y_val, reset=False)
        self._task.check_validation(y_val)
        weight = sample_weight_val
        weight = None if weight is None else check_sample_weight(weight, X_val)
        return self._weighted(X_val, y_val, weight)

    # ------------------------------------------------------------ rows to predict

    def _checked(self, X: Any) -> Any:
        """Validate X, unless it is a finite array of floats that needs no change.

        Validation takes several times as long as predicting one row.
        """
        if (
            type(X) is np.ndarray
            and X.dtype.char in "fd"
            and X.ndim == 2
            and len(X) > 0
            and X.shape[1] == getattr(self, "n_features_in_", None)
            and not hasattr(self, "feature_names_in_")
            and self._columns is None
        ):
            # The sum of finite values may overflow: then validation decides.
            with np.errstate(over="ignore", invalid="ignore"):
                if math.isfinite(_sum(X)):
                    return X
        check_is_fitted(self)
        return self._once(self._validated_again, X)

    @classmethod
    def _validated_again(cls, viewer: dict[str, Any], X: Any) -> Any:
        return cls._with(viewer)._table(as_table(X), reset=False, dtype=FLOATS)


def _sum(X: NDArray) -> float:
    """Sum up X, (n, n_features); of many values, any thread may take the next block."""
    if X.size <= AT_ONCE:
        return float(X.sum())
    if abs(X.strides[0]) < abs(X.strides[1]):  # so that a block lies side by side in memory
        X = X.T
    size = max(1, AT_ONCE // X.shape[1])
    sums = np.empty(math.ceil(len(X) / size))

    def sum_block(i: int) -> None:
        sums[i] = X[i * size : (i + 1) * size].sum()

    with one_thread_for(X.size):
        in_blocks(sum_block, len(sums))
    return float(sums.sum())
