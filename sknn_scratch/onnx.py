"""Networks as ONNX graphs: importing this module teaches skl2onnx to convert the classifier.

Afterwards ``skl2onnx.to_onnx`` converts it as it converts scikit-learn's own classifiers, alone, in
a Pipeline or in a GridSearchCV, and with the same options: ``zipmap``, ``output_class_labels``
and ``nocl``.

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
Features are centred and scaled in float64 in any case, as in ``predict_proba``, since a column that
is far from zero loses its digits otherwise.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from sknn_scratch.estimator.classifier import ScratchMLPClassifier
from sknn_scratch.network.features import BOUND, FAR_OUT, FeatureMap
from sknn_scratch.network.model import Network

try:
    from onnx.helper import np_dtype_to_tensor_dtype
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from skl2onnx.common.utils_classifier import get_label_classes
except ImportError as error:
    raise ImportError(
        'sknn_scratch.onnx needs skl2onnx. Install it with: pip install "sknn-scratch[onnx]"'
    ) from error

#: Operators of each activation, the first of which takes z.
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
        """Add a constant and return its name, of numbers or (dtype object) of strings."""
        array, name = np.asarray(value, dtype), self.scope.get_unique_variable_name("constant")
        flat = [text.encode() for text in array.ravel()] if array.dtype == object else array.ravel()
        self.container.add_initializer(
            name, np_dtype_to_tensor_dtype(array.dtype), array.shape, flat
        )
        return name

    def cast(self, a: str, dtype: DTypeLike, result: str | None = None) -> str:
        """Convert to another type."""
        return self.node("Cast", a, to=np_dtype_to_tensor_dtype(np.dtype(dtype)), result=result)


def network_inputs(graph: Graph, features: FeatureMap, X: str, dtype: DTypeLike) -> str:
    """Map X to what the first layer sees (see ``network/features.py``)."""
    if features.mean is None or features.scale is None:
        return graph.cast(X, dtype)
    x = graph.cast(X, np.float64)
    x = graph.node("Sub", x, graph.constant(features.mean, np.float64))
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


def outputs(graph: Graph, network: Network, a: str, dtype: DTypeLike) -> str:
    """Compute the pre-activations of the outputs, for what the first layer sees."""
    for i, (W, b) in enumerate(zip(network.coefs, network.intercepts, strict=True)):
        if i:
            for operator, *constants in OPERATORS[network.architecture.activation]:
                a = graph.node(operator, a, *(graph.constant(c, dtype) for c in constants))
        a = graph.node("MatMul", a, graph.constant(W, dtype))
        a = graph.node("Add", a, graph.constant(b, dtype))
    return a


def _integers(graph: Graph, classes: Any) -> str:
    """Add numbers of classes as a constant; ONNX has integers of 64 bits."""
    limits = np.iinfo(np.int64)
    if any(not limits.min <= int(name) <= limits.max for name in classes):
        raise ValueError(
            f"The classes {list(classes)} do not fit into ONNX's 64-bit integers. Give them other "
            "numbers or names, or convert with options={'nocl': True}."
        )
    return graph.constant(classes, np.int64)


def convert(scope: Any, operator: Any, container: Any) -> None:
    """Write the graph of a fitted classifier, from its input to labels and probabilities."""
    clf, graph = operator.raw_operator, Graph(scope, container)
    label, probabilities = (variable.full_name for variable in operator.outputs)
    dtype = np.float64 if isinstance(operator.inputs[0].type, DoubleTensorType) else np.float32

    network = clf.network_
    x = network_inputs(graph, network.features, operator.inputs[0].full_name, dtype)
    z = outputs(graph, network, x, dtype)
    if network.architecture.sizes[-1] == 1:
        z = graph.node("Concat", graph.node("Neg", z), z, axis=1)
    if network.architecture.output == "softmax":
        graph.node("Softmax", z, axis=1, result=probabilities)
    else:
        graph.node("Sigmoid", z, result=probabilities)

    if clf._task.is_multilabel:
        present = graph.node("Greater", probabilities, graph.constant(0.5, dtype))
        codes = graph.constant(clf._task.codes, np.int64)
        graph.node("Gather", codes, graph.cast(present, np.int64), result=label)
    else:
        best = graph.node("ArgMax", probabilities, axis=1, keepdims=0)
        classes = get_label_classes(scope, clf)
        strings = all(isinstance(name, str) for name in classes)
        names = graph.constant(classes, object) if strings else _integers(graph, classes)
        graph.node("Gather", names, best, result=label)


def set_output_types(operator: Any) -> None:
    """Tell skl2onnx the types and shapes of labels and probabilities."""
    calculate_linear_classifier_output_shapes(operator)
    if operator.raw_operator._task.is_multilabel:
        label, probabilities = operator.outputs
        label.type = Int64TensorType(probabilities.type.shape)


update_registered_converter(
    ScratchMLPClassifier,
    "SknnScratchMLPClassifier",
    set_output_types,
    convert,
    options={
        "zipmap": [True, False, "columns"],
        "output_class_labels": [False, True],
        "nocl": [True, False],
    },
)
