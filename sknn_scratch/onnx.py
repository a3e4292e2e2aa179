"""Networks as ONNX graphs: importing this module teaches skl2onnx to convert the estimators.

Afterwards ``skl2onnx.to_onnx`` converts them like those of scikit-learn, alone, in a Pipeline or in
a GridSearchCV. Classifiers take the usual options: ``zipmap``, ``output_class_labels`` and
``nocl``.

>>> import numpy as np
>>> from onnxruntime import InferenceSession
>>> from skl2onnx import to_onnx
>>> import sknn_scratch.onnx
>>> from sknn_scratch import ScratchMLPClassifier
>>> X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), ["even", "odd", "odd", "even"]
>>> clf = ScratchMLPClassifier(random_state=0).fit(X, y)
>>> graph = to_onnx(clf, X[:1], options={"zipmap": False}).SerializeToString()
>>> session = InferenceSession(graph, providers=["CPUExecutionProvider"])
>>> label, probabilities = session.run(None, {"X": X})
>>> label.tolist()
['even', 'odd', 'odd', 'even']

A graph computes in the type of its input: float64 for ``DoubleTensorType``, float32 for all others.
It centres and scales features in float64 in any case, as ``predict`` does, or else a column far
from zero would lose its digits. It also scales the numbers of a regressor back in float64.
"""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from sknn_scratch.estimator.classifier import ScratchMLPClassifier
from sknn_scratch.estimator.ensemble import ScratchMLPEnsembleClassifier
from sknn_scratch.estimator.regressor import ScratchMLPRegressor
from sknn_scratch.network.encoding import PiecewiseLinear
from sknn_scratch.network.features import BOUND, FAR_OUT, FeatureMap
from sknn_scratch.network.levels import GAP, NO_LEVEL
from sknn_scratch.network.model import Network

try:
    from onnx.helper import np_dtype_to_tensor_dtype
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )
    from skl2onnx.common.utils_classifier import get_label_classes
except ImportError as error:
    raise ImportError(
        "sknn_scratch.onnx needs skl2onnx. In the folder of the project, run: "
        'python -m pip install ".[onnx]"'
    ) from error

#: Operators of each activation; the first one takes z.
OPERATORS: dict[str, list[tuple[str, *tuple[float, ...]]]] = {
    "identity": [],
    "logistic": [("Sigmoid",)],
    "tanh": [("Tanh",)],
    "relu": [("Relu",)],
}


class Graph:
    """Writes operators and constants into a graph of skl2onnx, and names their results."""

    def __init__(self, scope: Any, container: Any):
        self.scope = scope
        self.container = container

    def node(self, operator: str, *inputs: str, result: str | None = None, **options: Any) -> str:
        """Apply an operator; return the name of its result."""
        result = result or self.scope.get_unique_variable_name(operator.lower())
        name = self.scope.get_unique_operator_name(operator)
        self.container.add_node(operator, [*inputs], result, name=name, **options)
        return result

    def constant(self, value: ArrayLike, dtype: DTypeLike) -> str:
        """Add a constant of numbers, or of strings (dtype object), and return its name."""
        array, name = np.asarray(value, dtype), self.scope.get_unique_variable_name("constant")
        flat = [text.encode() for text in array.ravel()] if array.dtype == object else array.ravel()
        self.container.add_initializer(
            name, np_dtype_to_tensor_dtype(array.dtype), array.shape, flat
        )
        return name

    def cast(self, a: str, dtype: DTypeLike, result: str | None = None) -> str:
        """Convert to another type."""
        return self.node("Cast", a, to=np_dtype_to_tensor_dtype(np.dtype(dtype)), result=result)


def network_inputs(graph: Graph, clf: Any, inputs: Sequence[Any], dtype: DTypeLike) -> str:
    """Map the inputs of a graph to what the first layer sees (see ``network/features.py``).

    The inputs are one variable with all columns, or several with one column or more each.
    """
    features = clf.network_.features
    layout, encoding = features.layout, features.encoding
    if layout is None:
        x = joined(graph, inputs, np.float64)
        if encoding is not None:
            x = graph.node("Gather", x, graph.constant(encoding.columns, np.int64), axis=1)
            x = encoded(graph, encoding, slice(None), x)
        return scaled(graph, features, x, dtype)
    columns: list[Any] = []
    for variable in inputs:
        width = variable.type.shape[1]
        for j in range(width):
            name = variable.full_name
            if width > 1:
                name = graph.node("Gather", name, graph.constant([j], np.int64), axis=1)
            columns.append((name, variable.type))
    if len(columns) != clf.n_features_in_:
        raise ValueError(
            f"The inputs have {len(columns)} columns, but the network was fitted to "
            f"{clf.n_features_in_}. Give to_onnx each of its columns, in their order."
        )
    source = np.arange(len(columns)) if encoding is None else encoding.columns
    part = features
    if features.mean is not None and features.scale is not None:
        part = FeatureMap(features.mean[layout.numbers], features.scale[layout.numbers])
    pieces, places = [], []
    if len(layout.numbers):
        numbers = [_number(graph, j, *columns[j]) for j in source[layout.numbers]]
        x = graph.node("Concat", *numbers, axis=1)
        if encoding is not None:
            x = encoded(graph, encoding, layout.numbers, x)
        pieces.append(scaled(graph, part, x, dtype))
        places.append(layout.number_inputs)
    gaps = zip(source[layout.gaps], layout.gap_inputs, layout.gap_values, strict=True)
    for j, place, value in gaps:
        gap = graph.cast(graph.node("IsNaN", _number(graph, j, *columns[j])), dtype)
        pieces.append(graph.node("Mul", gap, graph.constant(value, dtype)))
        places.append([place])
    categories = source[list(layout.categories)]
    for j, lookup, values in zip(categories, layout.lookups, layout.values, strict=True):
        used = np.unique(lookup[lookup >= 0])
        if len(used):
            codes = _codes(graph, clf, j, *columns[j])
            all_codes = graph.constant([np.arange(len(lookup)) + GAP], np.int64)
            is_level = graph.cast(graph.node("Equal", codes, all_codes), dtype)
            inputs_of = graph.constant((lookup[:, None] == used) * values[:, None], dtype)
            pieces.append(graph.node("MatMul", is_level, inputs_of))
            places.append(used)
    order = graph.constant(np.argsort(np.concatenate(places)), np.int64)
    return graph.node("Gather", graph.node("Concat", *pieces, axis=1), order, axis=1)


def joined(graph: Graph, inputs: Sequence[Any], dtype: DTypeLike) -> str:
    """Join variables to one with all columns."""
    parts = [graph.cast(variable.full_name, dtype) for variable in inputs]
    return parts[0] if len(parts) == 1 else graph.node("Concat", *parts, axis=1)


def encoded(graph: Graph, encoding: PiecewiseLinear, which: Any, x: str) -> str:
    """Encode numbers piecewise-linearly, for the given encoded columns; gaps stay NaN."""

    def constant(part: NDArray) -> str:
        return graph.constant(part[which], np.float64)

    gap, nothing = graph.node("IsNaN", x), graph.constant(0, np.float64)
    x = graph.node("Where", gap, nothing, x)
    x = graph.node("Sub", x, constant(encoding.start))
    x = graph.node("Div", x, constant(encoding.width))
    x = graph.node("Max", x, constant(encoding.least))
    x = graph.node("Min", x, constant(encoding.greatest))
    return graph.node("Where", gap, graph.constant(np.nan, np.float64), x)


def scaled(graph: Graph, features: FeatureMap, x: str, dtype: DTypeLike) -> str:
    """Centre, scale and clip numbers in float64; a gap becomes the centre."""
    if features.mean is None or features.scale is None:
        return graph.cast(x, dtype)
    mean = graph.constant(features.mean, np.float64)
    x = graph.node("Where", graph.node("IsNaN", x), mean, x)
    x = graph.node("Sub", x, mean)
    x = graph.node("Div", x, graph.constant(features.scale, np.float64))
    x = graph.cast(x, dtype)
    limits = [graph.constant(limit, dtype) for limit in (-FAR_OUT, FAR_OUT)]
    x = graph.node("Clip", x, *limits)
    power = graph.node("Div", x, graph.constant(BOUND, dtype))
    for _ in range(2):
        power = graph.node("Mul", power, power)
    power = graph.node("Add", power, graph.constant(1, dtype))
    for _ in range(2):
        power = graph.node("Sqrt", power)
    return graph.node("Div", x, power)


def _number(graph: Graph, j: int, name: str, type_: Any) -> str:
    """Return a column of numbers in float64."""
    if isinstance(type_, StringTensorType):
        raise ValueError(
            f"Column {j} is one of numbers, but its input is of strings. Give it a type of numbers."
        )
    return graph.cast(name, np.float64)


def _codes(graph: Graph, clf: Any, j: int, name: str, type_: Any) -> str:
    """Encode a categorical column; an empty string is a gap."""
    categories = clf._columns.categories[j]
    words = categories.kind == "words"
    if words != isinstance(type_, StringTensorType):
        raise ValueError(
            f"Column {j} is one of {categories.kind}, so its input must be "
            f"{'' if words else 'not '}of strings. Give to_onnx its type in initial_types."
        )
    levels: list[Any] = categories.levels
    codes = [*range(len(levels))]
    if words:
        if "" in levels:
            raise ValueError(
                f"Column {j} has the empty string as a level, which stands for a gap in a graph. "
                "Name it otherwise, and fit again."
            )
        _check_nulls(levels, f"levels of column {j}")
        return _looked_up(graph, name, ["", *levels], [GAP, *codes])
    if any(float(np.float32(level)) != level for level in levels):
        raise ValueError(
            f"Column {j} has levels that single precision does not hold, in which a graph looks "
            "them up. Name them otherwise, for instance with astype(str), and fit again."
        )
    number = graph.cast(name, np.float32)
    found = _looked_up(graph, number, [*map(float, levels)], codes)
    return graph.node("Where", graph.node("IsNaN", number), graph.constant(GAP, np.int64), found)


def _looked_up(graph: Graph, x: str, keys: list[Any], values: list[int]) -> str:
    """Look up the value of each key in x; all else becomes NO_LEVEL."""
    table: dict[str, Any] = {
        "keys_strings" if isinstance(keys[0], str) else "keys_floats": keys,
        "values_int64s": values,
        "default_int64": NO_LEVEL,
    }
    return graph.node("LabelEncoder", x, op_domain="ai.onnx.ml", op_version=2, **table)


def outputs(graph: Graph, network: Network, a: str, dtype: DTypeLike) -> str:
    """Compute the pre-activations of the outputs from what the first layer sees."""
    for i, (W, b) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        if i:
            for operator, *constants in OPERATORS[network.architecture.activation]:
                a = graph.node(operator, a, *(graph.constant(c, dtype) for c in constants))
        a = graph.node("MatMul", a, graph.constant(W, dtype))
        a = graph.node("Add", a, graph.constant(b, dtype))
    return a


def _check_nulls(names: Iterable[str], what: str) -> None:
    """Raise a ValueError if a string has a null character, at which onnxruntime cuts it."""
    if found := [name for name in names if "\0" in name]:
        raise ValueError(
            f"The {what} {found} have a null character, at which a graph cuts strings. Name them "
            "otherwise, and fit again."
        )


def _integers(graph: Graph, classes: Any) -> str:
    """Add integer class labels as a constant; ONNX has integers of 64 bits."""
    limits = np.iinfo(np.int64)
    if any(not limits.min <= int(name) <= limits.max for name in classes):
        raise ValueError(
            f"The classes {list(classes)} do not fit into ONNX's 64-bit integers. Give them other "
            "numbers or names, or convert with options={'nocl': True}."
        )
    return graph.constant(classes, np.int64)


def type_of(operator: Any) -> type[np.floating]:
    """Tell the type that a graph computes in: float64 if an input has it, else float32."""
    double = any(isinstance(variable.type, DoubleTensorType) for variable in operator.inputs)
    return np.float64 if double else np.float32


def numbers_of_type(operator: Any, shape: list[int]) -> Any:
    """Return the skl2onnx type of numbers of this shape, in the precision of the graph."""
    return (DoubleTensorType if type_of(operator) is np.float64 else FloatTensorType)(shape)


def pre_activations(graph: Graph, operator: Any, estimator: Any) -> str:
    """Compute the pre-activations of the outputs of a fitted network, for X."""
    dtype, network = type_of(operator), estimator.network_
    within = min(np.dtype(dtype), network.dtype)  # as predict_proba computes
    x = network_inputs(graph, estimator, operator.inputs, within)
    z = outputs(graph, network, x, within)
    return z if within == dtype else graph.cast(z, dtype)


def probabilities_of(
    graph: Graph, operator: Any, clf: ScratchMLPClassifier, result: str | None = None
) -> str:
    """Compute the probabilities of the classes that a network gives."""
    z = pre_activations(graph, operator, clf)
    if clf.network_.architecture.sizes[-1] == 1:
        z = graph.node("Concat", graph.node("Neg", z), z, axis=1)
    if clf.network_.architecture.output == "softmax":
        return graph.node("Softmax", z, axis=1, result=result)
    return graph.node("Sigmoid", z, result=result)


def convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    """Write the graph of a fitted classifier, from its input to labels and probabilities."""
    clf, graph = operator.raw_operator, Graph(scope, container)
    label, probabilities = (variable.full_name for variable in operator.outputs)
    probabilities_of(graph, operator, clf, probabilities)
    write_labels(graph, operator, clf, probabilities, label)


def convert_ensemble(scope: Any, operator: Any, container: Any) -> None:
    """Write the graph of a fitted ensemble: the mean of the probabilities of its networks."""
    ensemble, graph = operator.raw_operator, Graph(scope, container)
    label, probabilities = (variable.full_name for variable in operator.outputs)
    first, *others = (probabilities_of(graph, operator, one) for one in ensemble.networks_)
    for other in others:
        first = graph.node("Add", first, other)
    n = graph.constant(len(ensemble.networks_), type_of(operator))
    graph.node("Div", first, n, result=probabilities)
    write_labels(graph, operator, ensemble.networks_[0], probabilities, label)


def write_labels(graph: Graph, operator: Any, clf: Any, probabilities: str, label: str) -> None:
    """Write the nodes that turn probabilities into labels."""
    dtype = type_of(operator)
    if clf._task.is_multilabel:
        present = graph.node("Greater", probabilities, graph.constant(0.5, dtype))
        codes = graph.constant(clf._task.codes, np.int64)
        graph.node("Gather", codes, graph.cast(present, np.int64), result=label)
    else:
        best = graph.node("ArgMax", probabilities, axis=1, keepdims=0)
        classes = get_label_classes(graph.scope, operator.raw_operator)
        strings = all(isinstance(name, str) for name in classes)
        if strings:
            _check_nulls(classes, "class labels")
        names = graph.constant(classes, object) if strings else _integers(graph, classes)
        graph.node("Gather", names, best, result=label)


def convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    """Write the graph of a fitted regressor, from its input to numbers in the unit of y."""
    task, graph = operator.raw_operator._task, Graph(scope, container)
    result = operator.outputs[0].full_name
    y = pre_activations(graph, operator, operator.raw_operator)
    if task.mean is not None:
        y = graph.cast(y, np.float64)
    if task.output == "exp":
        y = graph.node("Exp", y)
    if task.mean is not None:
        y = graph.node("Mul", y, graph.constant(task.scale, np.float64))
        y = graph.node("Add", y, graph.constant(task.mean, np.float64))
    graph.cast(y, type_of(operator), result=result)


def set_regressor_types(operator: Any) -> None:
    """Tell skl2onnx the type and shape of the numbers."""
    n = operator.inputs[0].get_first_dimension()
    shape = [n, operator.raw_operator.n_outputs_]
    operator.outputs[0].set_type(numbers_of_type(operator, shape))


def set_classifier_types(operator: Any) -> None:
    """Tell skl2onnx the types and shapes of labels and probabilities."""
    clf, (label, probabilities) = operator.raw_operator, operator.outputs
    n = operator.inputs[0].get_first_dimension()
    classes = get_label_classes(operator.scope_inst, clf)
    shape = [n, len(classes)]
    probabilities.set_type(numbers_of_type(operator, shape))
    first = clf.networks_[0] if isinstance(clf, ScratchMLPEnsembleClassifier) else clf
    if first._task.is_multilabel:
        label.set_type(Int64TensorType(shape))
    elif all(isinstance(name, str) for name in classes):
        label.set_type(StringTensorType([n]))
    elif all(isinstance(name, Real | bool | np.bool_) for name in classes):
        label.set_type(Int64TensorType([n]))
    else:
        raise ValueError("Class labels must be all integers or all strings.")


for classifier, converter in (
    (ScratchMLPClassifier, convert_classifier),
    (ScratchMLPEnsembleClassifier, convert_ensemble),
):
    update_registered_converter(
        classifier,
        f"Sknn{classifier.__name__}",
        set_classifier_types,
        converter,
        options={
            "zipmap": [True, False, "columns"],
            "output_class_labels": [False, True],
            "nocl": [True, False],
        },
    )

update_registered_converter(
    ScratchMLPRegressor, "SknnScratchMLPRegressor", set_regressor_types, convert_regressor
)
