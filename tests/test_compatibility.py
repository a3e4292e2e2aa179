"""Models that earlier versions have stored still predict the same; the public interface is known.

``stored_models.py`` writes the models, and ``public_api.py`` the list of names and signatures.
"""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose
from public_api import FILE, public_api
from stored_models import FOLDER, X, made, predicted

import sknn_scratch
from sknn_scratch import Checkpoint
from sknn_scratch.callbacks.checkpoint import FORMAT

# Three epochs do not get far.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

VERSIONS = sorted(folder.name for folder in FOLDER.iterdir())
MODELS = list(made())


def expected(version, name):
    """What a stored model predicted when it was stored."""
    with np.load(FOLDER / version / "predictions.npz") as file:
        return file[name]


def assert_same(found, version, name):
    assert_allclose(found, expected(version, name), rtol=1e-5, atol=1e-7)


def test_the_models_of_this_version_are_stored():
    assert sknn_scratch.__version__ in VERSIONS, "run python tests/stored_models.py"
    for version in VERSIONS:
        names = {file.name for file in (FOLDER / version).iterdir()}
        assert {f"{n}.{end}" for n in MODELS for end in ("pickle", "skops", "onnx")} <= names
        assert "predictions.npz" in names
        assert sum(file.stat().st_size for file in (FOLDER / version).iterdir()) < 1 << 18


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_pickle_predicts_and_trains_on(version, name):
    content = (FOLDER / version / f"{name}.pickle").read_bytes()
    if find_spec("numpy._core") is None:
        with pytest.raises(ModuleNotFoundError, match=r"numpy\._core"):
            pickle.loads(content)
        return  # NumPy 1.26.0 does not read pickles of NumPy 2; later versions do
    # No warning, although scikit-learn may be another: what is in it is of this package and NumPy.
    model = pickle.loads(content)
    assert_same(predicted(model), version, name)
    if hasattr(model, "partial_fit"):
        y = made()[name][1]
        losses = list(model.loss_curve_)
        model.partial_fit(X, y)
        assert model.loss_curve_[:-1] == losses
        assert np.isfinite(model.loss_)
    model.fit(X, made()[name][1])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_of_skops_predicts(version, name):
    skops_io = pytest.importorskip("skops.io")
    file = FOLDER / version / f"{name}.skops"
    types = skops_io.get_untrusted_types(file=file)
    assert all(each.startswith("sknn_scratch.") for each in types)
    assert_same(predicted(skops_io.load(file, trusted=types)), version, name)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_graph_predicts(version, name):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(
        str(FOLDER / version / f"{name}.onnx"), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {"X": X})[-1]
    assert_same(found.reshape(expected(version, name).shape), version, name)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "ensemble"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_checkpoint_resumes_or_says_why_not(version, name, tmp_path):
    path = tmp_path / "run.npz"
    content = (FOLDER / version / f"{name}.npz").read_bytes()
    path.write_bytes(content)
    model, y = made()[name]
    model.set_callbacks(Checkpoint(path))
    try:
        model.fit(X, y)
    except ValueError as error:
        # A new version may have other parameters, and another format.
        assert version != sknn_scratch.__version__
        assert f"this one reads format {FORMAT}" in str(error) or "of another fit" in str(error)
    else:
        assert_same(predicted(model), version, name)
    assert path.read_bytes() == content


def test_the_public_interface_is_the_known_one():
    assert public_api() == FILE.read_text(encoding="utf-8"), (
        "Is the change meant? Then run python tests/public_api.py, and name it in CHANGELOG.md."
    )


def test_the_models_are_the_ones_their_script_writes():
    """What is stored is what this version's estimators lead to, if it is the one being made."""
    for name, (model, y) in made().items():
        model.fit(X, y)
        assert_same(predicted(model), sknn_scratch.__version__, name)
