"""What the page shows, as JSON: a recording, and the view that suits its table."""

import base64
import json
import warnings
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sknn_scratch.network.features import BOUND, FAR_OUT, FeatureMap
from sknn_scratch.network.levels import GAP
from sknn_scratch.network.model import Network
from sknn_scratch.page.recording import Recording

#: Maximum number of units shown of a hidden layer: as pictures of a plane, or as cards of weights.
MOST_PICTURES, MOST_CARDS = 10, 12

#: Maximum number of points of a loss curve.
MOST_POINTS = 600

#: Maximum number of distinct rows, and of columns, of a truth table.
FEW_ROWS, FEW_COLUMNS = 8, 4

#: Maximum number of rows shown as images.
MOST_IMAGES = 60

#: Largest 32-bit integer; parameters are written as such integers.
STEPS = 2**31 - 1


def content_of(
    recording: Recording,
    *,
    title: str | None = None,
    columns: tuple[str | int, str | int] | None = None,
    feature_names: Sequence[str] | None = None,
    image_shape: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Describe a recording for the page; the parameters are those of ``LearningRecorder.to_html``.

    Raises
    ------
    ValueError
        If a parameter does not suit the recording.
    """
    names = _names(recording, feature_names)
    inputs = inputs_of(recording.fitted.features, len(names))
    view = _view(recording.X, names, inputs, columns, image_shape)
    architecture = recording.fitted.architecture
    classes = class_names(recording)
    parameters, steps = _fixed_point(recording.networks)
    most = MOST_PICTURES if view["kind"] == "plane" else MOST_CARDS
    return {
        "title": str(title) if title else _title(classes, multilabel=_is_multilabel(recording)),
        "features": names,
        "inputs": _input_names(recording, names, inputs),
        "classes": classes,
        "multilabel": _is_multilabel(recording),
        "sizes": architecture.sizes,
        "activation": architecture.activation,
        "output": architecture.output,
        "map": {"inputs": inputs, "bound": BOUND, "far_out": FAR_OUT},
        "epochs": recording.epochs,
        "kept": recording.kept,
        "parameters": parameters,
        "steps": steps,
        "view": view,
        "shown": shown_units(recording, most),
        "rows": _with_gaps(recording.X),
        "targets": _targets(recording),
        "n_learnt": recording.n_learnt,
        "truth_table": _truth_table(recording.X, inputs),
        "loss": {"name": recording.loss_name.replace("_", " "), **_curves(recording)},
    }


def as_json(content: dict[str, Any]) -> str:
    """Write JSON for a script element: nothing in it can close the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def class_names(recording: Recording) -> list[str]:
    """Name the classes, or the labels of multilabel y."""
    if _is_multilabel(recording):
        return [f"label {number}" for number in recording.classes]
    return [str(label) for label in recording.classes]


def _is_multilabel(recording: Recording) -> bool:
    architecture = recording.fitted.architecture
    return architecture.output == "logistic" and architecture.sizes[-1] > 1


def _title(classes: list[str], *, multilabel: bool) -> str:
    if multilabel:
        return f"How a network learnt {len(classes)} labels"
    if len(classes) > 4 or sum(map(len, classes)) > 60:
        return f"How a network learnt to tell {len(classes)} classes apart"
    return f"How a network learnt to tell {', '.join(classes[:-1])} and {classes[-1]} apart"


def _names(recording: Recording, given: Sequence[str] | None) -> list[str]:
    """Return the names of the columns: those given, or those of the table."""
    n_features = recording.X.shape[1]
    if given is None:
        return recording.feature_names
    if len(given) != n_features:
        raise ValueError(
            f"feature_names has {len(given)} names, but the network has {n_features} columns. Give "
            "one name a column."
        )
    return [str(name) for name in given]


def _input_names(recording: Recording, names: list[str], inputs: list[dict[str, Any]]) -> list[str]:
    """Name the inputs, by names of the columns that may have been given after the fit."""
    renamed = []
    for name, part in zip(recording.input_names, inputs, strict=True):
        before, now = (of[part["column"]] for of in (recording.feature_names, names))
        renamed.append(f"{now} missing" if "gap" in part else name.replace(before, now, 1))
    return renamed


def inputs_of(features: FeatureMap, n_features: int) -> list[dict[str, Any]]:
    """Describe how the page computes each input of the network, and from which column.

    The input of a number has "mean" and "scale" if it is scaled, and "start" and "width" if it is a
    bin of the piecewise-linear encoding. An input for gaps has its value there, "gap"; one for
    levels has "codes", its value for each code.
    """
    encoding, layout = features.encoding, features.layout
    source = np.arange(n_features) if encoding is None else encoding.columns

    def number(j: int) -> dict[str, Any]:
        part: dict[str, Any] = {"column": int(source[j])}
        if features.mean is not None and features.scale is not None:
            # The scale of a column without any value is infinite.
            scale = min(float(features.scale[j]), np.finfo(float).max)
            part |= {"mean": float(features.mean[j]), "scale": scale}
        if encoding is not None and np.isfinite(encoding.greatest[j]):
            part |= {"start": float(encoding.start[j]), "width": float(encoding.width[j])}
        return part

    if layout is None:
        return [number(j) for j in range(len(source))]
    found: list[dict[str, Any]] = [{} for _ in range(layout.n_inputs)]
    for j, i in zip(layout.numbers.tolist(), layout.number_inputs.tolist(), strict=True):
        found[i] = number(j)
    gaps = (layout.gaps, layout.gap_inputs, layout.gap_values)
    for j, i, value in zip(*(part.tolist() for part in gaps), strict=True):
        found[i] = {"column": int(source[j]), "gap": value}
    for j, lookup, values in zip(layout.categories, layout.lookups, layout.values, strict=True):
        for code, (i, value) in enumerate(zip(lookup.tolist(), values.tolist(), strict=True), GAP):
            if i >= 0:
                found[i].setdefault("column", int(source[j]))
                found[i].setdefault("codes", {})[code] = value
    return found


def _with_gaps(X: NDArray) -> list:
    """Convert an array to lists, with None in gaps."""
    return [[None if value != value else value for value in row] for row in X.tolist()]


def _view(
    X: NDArray,
    names: list[str],
    inputs: list[dict[str, Any]],
    columns: tuple[str | int, str | int] | None,
    image_shape: tuple[int, int] | None,
) -> dict[str, Any]:
    """Choose a view: a plane of two columns, units as images of their weights, or as bars."""
    if image_shape is not None and columns is not None:
        raise ValueError(
            "columns and image_shape were both given. Give columns to look at a plane of two of "
            "them, or image_shape to look at all of them as an image."
        )
    if image_shape is not None:
        height, width = _height_and_width(image_shape)
        if height * width != X.shape[1]:
            raise ValueError(
                f"image_shape={(height, width)} has {height * width} pixels, but the network "
                f"has {X.shape[1]} columns. Their numbers must be the same."
            )
        if len(inputs) != X.shape[1]:
            raise ValueError(
                f"image_shape needs an input of the network for each pixel, but it has "
                f"{len(inputs)} inputs for {X.shape[1]} columns. Fill gaps, and set "
                "numerical_encoding=None."
            )
        shown = np.linspace(0, len(X) - 1, min(MOST_IMAGES, len(X))).round().astype(int)
        return {"kind": "images", "shape": [height, width], "rows": shown.tolist()}
    varying = _varying(X)
    categories = {part["column"] for part in inputs if "codes" in part}
    if columns is not None:
        chosen = _two(columns, names)
        for j in chosen:
            if j in categories or j not in varying:
                what = "is of categories" if j in categories else "has one value only"
                raise ValueError(
                    f"columns names {names[j]!r}, which {what}. A plane needs two columns of "
                    "numbers that vary."
                )
        return _plane(X, chosen, inputs)
    if len(varying) == 2 and not categories & set(varying):
        return _plane(X, varying, inputs)
    return {"kind": "bars"}


def _varying(X: NDArray) -> list[int]:
    """Find the columns with several values."""
    return np.flatnonzero(np.fmax.reduce(X, axis=0) > np.fmin.reduce(X, axis=0)).tolist()


def _height_and_width(image_shape: tuple[int, int]) -> tuple[int, int]:
    sides = np.asarray(image_shape)
    if sides.shape != (2,) or sides.dtype.kind not in "iu" or sides.min() < 1:
        raise ValueError(
            f"image_shape must be two integers from 1 on, height and width; got {image_shape!r}."
        )
    height, width = sides.tolist()
    return height, width


def _two(columns: tuple[str | int, str | int], names: list[str]) -> list[int]:
    """Return the numbers of two columns, given their names or numbers."""
    two = not isinstance(columns, str) and np.shape(columns) == (2,)
    chosen = [_column(name, names) for name in columns] if two else []
    if len(set(chosen)) != 2:
        raise ValueError(
            f"columns must be two different names or numbers of columns; got {columns!r}."
        )
    return chosen


def _column(name: str | int, names: list[str]) -> int:
    """Return the index of a column, given its name or its index."""
    if isinstance(name, str) and name in names:
        return names.index(name)
    if isinstance(name, Integral) and 0 <= name < len(names):
        return int(name)
    some = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
    raise ValueError(
        f"columns has {name!r}, which is no column. The columns are {some}; name two of them, or "
        f"give their numbers, from 0 to {len(names) - 1}."
    )


def _plane(X: NDArray, columns: list[int], inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe the plane of two columns: its bounds, and the values that the others are held at."""
    low, high = np.fmin.reduce(X[:, columns], axis=0), np.fmax.reduce(X[:, columns], axis=0)
    margin = 0.12 * (high - low)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # about columns without any value
        held = np.nanmedian(X, axis=0)
    for part in inputs:
        if "codes" in part:
            codes, counts = np.unique(X[:, part["column"]], return_counts=True)
            held[part["column"]] = codes[counts.argmax()]
    (held,) = _with_gaps(held[None])
    return {
        "kind": "plane",
        "columns": columns,
        # The inputs computed from each of the two.
        "inputs": [
            [i for i, part in enumerate(inputs) if part["column"] == j and "gap" not in part]
            for j in columns
        ],
        "low": (low - margin).tolist(),
        "high": (high + margin).tolist(),
        "held": held,
        "others": [j for j in _varying(X) if j not in columns],
    }


def shown_units(recording: Recording, most: int) -> list[list[int]]:
    """Choose the units of each hidden layer with the largest effect, in their order.

    The effect of a unit is the standard deviation of its activation over the rows, times the norm
    of its outgoing weights.
    """
    network, chosen = recording.fitted, []
    activations = network.hidden_activations(recording.X)
    for a, W in zip(activations, network.coefs[1:], strict=True):
        # In float64, where squares of float32 do not overflow.
        effect = a.std(axis=0, dtype=np.float64) * np.linalg.norm(W.astype(np.float64), axis=1)
        chosen.append(np.sort(np.argsort(-effect, kind="stable")[:most]).tolist())
    return chosen


def _targets(recording: Recording) -> list:
    """Return the class index of each row; for multilabel y, a list of 0 and 1 per row."""
    targets = recording.targets.astype(int)
    if _is_multilabel(recording):
        return targets.tolist()
    return (targets[:, 0] if targets.shape[1] == 1 else targets.argmax(axis=1)).tolist()


def _truth_table(X: NDArray, inputs: list[dict[str, Any]]) -> list[int] | None:
    """Return the indices of the distinct rows, if they are few and all columns are numeric."""
    if X.shape[1] > FEW_COLUMNS or len(X) > 100 or any("codes" in part for part in inputs):
        return None
    _, first = np.unique(X, axis=0, return_index=True)
    return first.tolist() if len(first) <= FEW_ROWS else None


def _curves(recording: Recording) -> dict[str, Any]:
    """Return the points of the loss curves: of all epochs, or of some if they are many."""
    n = len(recording.loss_curve)
    chosen = np.unique(np.linspace(0, n - 1, min(n, MOST_POINTS)).round().astype(int)).tolist()
    curves: dict[str, Any] = {"epochs": [i + 1 for i in chosen]}
    for name, curve in (
        ("training", recording.loss_curve),
        ("validation", recording.validation_loss_curve),
    ):
        curves[name] = curve and [float(f"{curve[i]:.6g}") for i in chosen]
    return curves


def _fixed_point(networks: Sequence[Network]) -> tuple[str, list[list[float]]]:
    """Write the parameters of all networks as 32-bit integers, little-endian, in base64.

    They are ordered by network, then by layer, with the weights (n_in, n_out) before the biases.
    Each weight matrix and each bias vector has a step size of its own, which the integers are
    multiples of. So the error is less than 2.4e-10 times its largest value; that of float32 would
    be up to 6e-8.

    Returns
    -------
    parameters : str
        The integers, in base64.
    steps : list of [float, float]
        For each layer, the step sizes of its weights and of its biases.
    """
    arrays = [
        [array for layer in zip(network.coefs, network.intercepts, strict=True) for array in layer]
        for network in networks
    ]
    steps = [
        max(float(np.abs(array).max()) for array in over_time) / STEPS or 1.0
        for over_time in zip(*arrays, strict=True)
    ]
    integers = [
        (array.ravel().astype(np.float64) / step).round()
        for of_network in arrays
        for array, step in zip(of_network, steps, strict=True)
    ]
    code = base64.b64encode(np.concatenate(integers).astype("<i4").tobytes()).decode()
    return code, [list(pair) for pair in zip(steps[::2], steps[1::2], strict=True)]
