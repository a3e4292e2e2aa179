"""Fitted models of each version in files, to see that later versions still read them.

Before a release, write those of the version there is, on Linux with the newest packages::

    python tests/stored_models.py

That fills ``tests/stored_models/<version>``: pickles, files of skops, ONNX graphs, checkpoints, and
what the models predict. A folder of a released version is never written again.
"""

import pickle
import sys
import warnings
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sknn_scratch
from sknn_scratch import (
    Checkpoint,
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)

FOLDER = Path(__file__).with_suffix("")

# Numbers that every version of NumPy draws alike, and exactly.
X = np.random.RandomState(0).randint(-40, 40, size=(40, 3)) / 8
LABELS = np.array(["no", "yes"])[(X[:, 0] > X[:, 1]).astype(int)]
KINDS = np.digitize(X[:, 1], [-2, 2])
NUMBERS = X[:, 0] - X[:, 2] ** 2

SETTINGS = {"max_iter": 3, "random_state": 0}


def made() -> dict[str, tuple[Any, NDArray]]:
    """Estimators, not fitted, and what they are to predict from X."""
    return {
        "classifier": (ScratchMLPClassifier((4,), **SETTINGS), LABELS),
        "kinds": (ScratchMLPClassifier((3, 2), solver="sgd", **SETTINGS), KINDS),
        "regressor": (ScratchMLPRegressor((4,), **SETTINGS), NUMBERS),
        "counts": (ScratchMLPRegressor((4,), loss="poisson", **SETTINGS), KINDS),
        "ensemble": (ScratchMLPEnsembleClassifier(2, (4,), **SETTINGS), LABELS),
    }


def predicted(model: Any) -> NDArray:
    """Probabilities of the classes, or numbers."""
    return getattr(model, "predict_proba", model.predict)(X)


def write() -> int:
    """Write the models of this version."""
    import skops.io
    from skl2onnx import to_onnx

    import_module("sknn_scratch.onnx")  # teaches to_onnx
    folder, predictions = FOLDER / sknn_scratch.__version__, {}
    folder.mkdir(parents=True, exist_ok=True)
    for name, (model, y) in made().items():
        if not isinstance(model, ScratchMLPEnsembleClassifier):  # a checkpoint is of one network
            checkpoint = folder / f"{name}.npz"
            checkpoint.unlink(missing_ok=True)
            model.set_callbacks(Checkpoint(checkpoint)).fit(X, y).set_callbacks()
        else:
            model.fit(X, y)
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(model))
        skops.io.dump(model, folder / f"{name}.skops", compression=zipfile.ZIP_DEFLATED)
        # Of operators that the oldest onnxruntime knows that is tested.
        more = {} if "predict_proba" not in dir(model) else {"options": {"zipmap": False}}
        graph = to_onnx(model, X[:1], target_opset={"": 15, "ai.onnx.ml": 2}, **more)
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
        predictions[name] = predicted(model)
    np.savez(folder / "predictions.npz", **predictions)
    files = list(folder.iterdir())
    print(f"{folder}: {len(files)} files, {sum(file.stat().st_size for file in files)} bytes")
    return 0


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(write())
