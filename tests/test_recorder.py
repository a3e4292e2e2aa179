"""LearningRecorder keeps a fit as it went, and its page holds what a browser needs and no more.

Judges: fits that were planned to end where a frame was kept, and the parameters read back from the
page. What a browser makes of the page is in test_page_in_browser.py.
"""

import base64
import json
import pickle
import re
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sknn_scratch
from sknn_scratch import (
    Checkpoint,
    LearningRecorder,
    ScratchMLPClassifier,
    ScratchMLPRegressor,
)
from sknn_scratch.datasets import load_penguins
from sknn_scratch.page.content import MOST_PICTURES, content_of, inputs_of, shown_units
from sknn_scratch.page.recording import MOST_ROWS, MOST_VALUES, rows_to_keep

needs_protocol = pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9),
    reason="callbacks came with scikit-learn 1.9",
)

XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array(["even", "odd", "odd", "even"])
IRIS = load_iris(as_frame=True)
MOONS = make_moons(200, noise=0.2, random_state=0)


def record(X, y, recorder=None, *, hidden=(4,), fit=None, **settings):
    """Fit with a recorder; return it and the network."""
    recorder = LearningRecorder() if recorder is None else recorder
    clf = ScratchMLPClassifier(hidden, **{"random_state": 0, "max_iter": 30, **settings})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf.set_callbacks(recorder).fit(X, y, **(fit or {}))
    return recorder, clf


# ---------------------------------------------------------------- what is kept


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_a_frame_is_the_network_of_a_fit_that_ended_there(solver):
    constant = {"solver": solver, "learning_rate": "constant", "learning_rate_init": 0.05}
    recorder, clf = record(*MOONS, max_iter=8, weight_decay=0, **constant)
    kept = recorder.recording_
    assert list(kept.epochs) == sorted(set(kept.epochs))
    assert kept.epochs[0] == 0
    assert kept.epochs[-1] == clf.n_iter_
    for epoch, network in list(zip(kept.epochs, kept.networks, strict=True))[1:]:
        _, ended = record(*MOONS, max_iter=epoch, weight_decay=0, **constant)
        assert_array_equal(network.theta, ended.network_.theta)


def test_frames_are_denser_at_first_and_end_with_the_fitted_network():
    recorder, clf = record(*XOR, LearningRecorder(max_frames=10), max_iter=200)
    kept = recorder.recording_
    assert len(kept.epochs) <= 10
    distances = np.diff(kept.epochs)
    assert (np.diff(distances) >= -1).all()  # but for rounding
    assert distances[0] < distances[-1] / 5
    assert kept.kept == len(kept.epochs) - 1
    assert kept.fitted is clf.network_
    assert_array_equal(kept.loss_curve, clf.loss_curve_)


def test_early_stopping_keeps_the_best_epoch_and_what_came_after():
    stopped = {"early_stopping": True, "scoring": "loss", "n_iter_no_change": 5, "max_iter": 200}
    recorder, clf = record(*MOONS, learning_rate_init=0.3, **stopped)
    kept = recorder.recording_
    assert kept.epochs[kept.kept] == clf.best_iter_
    assert kept.epochs[-1] == clf.n_iter_ > clf.best_iter_
    assert_array_equal(kept.fitted.theta, clf.network_.theta)
    assert_array_equal(kept.validation_loss_curve, clf.validation_loss_curve_)
    # Rows that were set aside are not among those that it learns from.
    assert kept.n_learnt == len(kept.X) == 180


def test_a_warm_start_is_recorded_by_itself():
    recorder, clf = record(*MOONS, max_iter=5, warm_start=True)
    first = clf.network_
    clf.fit(*MOONS)
    kept = recorder.recording_
    assert_array_equal(kept.networks[0].theta, first.theta)
    assert kept.epochs[-1] == len(kept.loss_curve) == 5
    assert list(kept.loss_curve) == clf.loss_curve_[5:]


def test_a_fit_that_fails_leaves_the_recording_as_it_was():
    recorder, _ = record(*MOONS)
    before = recorder.recording_
    with pytest.raises(ValueError, match="overflowed"), np.errstate(all="ignore"):
        settings = {"solver": "sgd", "activation": "identity", "loss": "log_loss"}
        raw = {"scale_features": False, "learning_rate_init": 1e30}
        record(MOONS[0] * 1e100, MOONS[1], recorder, **settings, **raw)
    assert recorder.recording_ is before


def test_a_recorder_beside_a_checkpoint(tmp_path):
    checkpoint, recorder = Checkpoint(tmp_path / "run.npz"), LearningRecorder()
    for _ in range(2):
        clf = ScratchMLPClassifier((4,), max_iter=10, random_state=0)
        clf.set_callbacks(recorder, checkpoint).fit(*MOONS)
        assert recorder.recording_.fitted is clf.network_
    # The second fit ended where it began.
    assert list(recorder.recording_.epochs) == [10]


def test_rows_are_some_of_each_class_and_few():
    y = np.r_[np.zeros(20_000), np.ones(3_000)]
    targets = np.column_stack([y == 0, y == 1]).astype(float)
    rows = rows_to_keep(targets, None, n_features=2)
    assert len(rows) == MOST_ROWS
    assert_allclose(targets[rows].mean(axis=0), targets.mean(axis=0), atol=0.01)
    assert len(rows_to_keep(targets, None, n_features=300)) == MOST_VALUES // 300
    assert_array_equal(rows_to_keep(targets, np.array([7, 3, 5]), n_features=2), [3, 5, 7])


def test_sparse_rows_are_kept_dense():
    X = (load_digits().data[:300] > 8).astype(float)
    y = load_digits().target[:300]
    recorder, _ = record(csr_matrix(X), y, max_iter=2)
    assert_array_equal(recorder.recording_.X, X)


def test_a_large_network_has_fewer_frames_and_a_huge_one_is_refused():
    X, y = load_digits(return_X_y=True)
    recorder, _ = record(X, y, hidden=(200,), max_iter=40)
    assert 10 <= len(recorder.recording_.epochs) <= 13
    with pytest.raises(ValueError, match="up to 150,000 parameters, and this one has 150,010"):
        record(X, y, hidden=(2000,), max_iter=1)


def test_it_is_pickled_with_the_estimator(tmp_path):
    recorder, clf = record(*XOR)
    (copy,) = pickle.loads(pickle.dumps(clf))._skl_callbacks
    assert copy.to_html(tmp_path / "a.html").read_text() == (
        recorder.to_html(tmp_path / "b.html").read_text()
    )


# ---------------------------------------------------------------- what is refused


def test_what_cannot_be_recorded():
    recorder = LearningRecorder()
    clf = ScratchMLPClassifier((2,), random_state=0).set_callbacks(recorder)
    with pytest.raises(ValueError, match="LearningRecorder follows fit, but partial_fit was call"):
        clf.partial_fit(*XOR, classes=["even", "odd"])
    with pytest.raises(ValueError, match=r"max_frames of LearningRecorder must be .*\[2, inf\)"):
        record(*XOR, LearningRecorder(max_frames=1))


@needs_protocol
def test_clones_that_are_fitted_side_by_side_do_not_mix():
    recorder = LearningRecorder()
    clf = ScratchMLPClassifier((3,), max_iter=6, random_state=0).set_callbacks(recorder)
    clones = [(str(units), clone(clf).set_params(hidden_layer_sizes=(units,))) for units in (2, 3)]
    with parallel_config(backend="stacked", n_jobs=1):
        voting = VotingClassifier(clones).fit(*MOONS)
    networks = {len(one.coefs_[0][0]): one.network_ for one in voting.estimators_}
    kept = recorder.recording_
    assert kept.fitted is networks[kept.fitted.architecture.sizes[1]]
    assert len({network.architecture for network in kept.networks}) == 1
    assert list(kept.epochs) == list(range(7))


@needs_protocol
def test_a_search_and_other_estimators_are_refused():
    clf = ScratchMLPClassifier((2,), random_state=0).set_callbacks(LearningRecorder())
    with pytest.raises(ValueError, match="follows one fit, but GridSearchCV makes many"):
        GridSearchCV(clf, {}, cv=2, error_score="raise").fit(*MOONS)
    with pytest.raises(TypeError, match="not of a LogisticRegression"):
        LogisticRegression().set_callbacks(LearningRecorder()).fit(*MOONS)
    with pytest.raises(
        TypeError, match="whose probabilities its page shows, not of a ScratchMLPReg"
    ):
        ScratchMLPRegressor().set_callbacks(LearningRecorder()).fit(*MOONS)


def test_the_last_step_of_a_pipeline_is_followed():
    recorder = LearningRecorder()
    clf = ScratchMLPClassifier((3,), max_iter=5, random_state=0).set_callbacks(recorder)
    pipeline = make_pipeline(StandardScaler(), clf).fit(*MOONS)
    assert recorder.recording_.fitted is pipeline[-1].network_
    assert_allclose(recorder.recording_.X.mean(axis=0), 0, atol=1e-12)


WITHOUT = """
    import sys, sklearn.model_selection, sklearn.pipeline
    sys.modules["sklearn.callback"] = None  # makes its import fail
    import numpy as np
    from sknn_scratch import Checkpoint, LearningRecorder, ScratchMLPClassifier
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), [0, 1, 1, 0]
    recorder = LearningRecorder()
    clf = ScratchMLPClassifier((4,), max_iter=9, random_state=0)
    clf.set_callbacks(recorder, Checkpoint(sys.argv[1])).fit(X, y)
    print(list(recorder.recording_.epochs), recorder.recording_.fitted is clf.network_)
    clf.set_callbacks(recorder).fit(X, y)
    try:
        clf.partial_fit(X, y)
    except ValueError as error:
        print(error)
    print(clf.set_callbacks().fit(X, y).n_iter_)
    """


def test_it_works_without_callbacks_of_scikit_learn(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(WITHOUT), tmp_path / "run.npz"],
        cwd=Path(sknn_scratch.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )
    kept, refused, n_iter = done.stdout.splitlines() or [done.stderr] * 3
    assert kept == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9] True"
    assert refused.startswith("LearningRecorder follows fit, but partial_fit was called")
    assert n_iter == "9"
    assert (tmp_path / "run.npz").exists()


# ---------------------------------------------------------------- the page


def content(page: str) -> dict:
    """The content of a page, as the browser parses it."""
    return json.loads(re.search(r'id="content">(.*?)</script>', page, re.DOTALL)[1])


def test_parameters_can_be_read_back_to_nine_digits(tmp_path):
    recorder, _ = record(*MOONS, hidden=(5, 3))
    page = content(recorder.to_html(tmp_path / "page.html").read_text())
    integers = np.frombuffer(base64.b64decode(page["parameters"]), "<i4")
    frames = integers.reshape(len(page["epochs"]), -1)
    for network, values in zip(recorder.recording_.networks, frames, strict=True):
        at = 0
        for W, b, steps in zip(network.coefs, network.intercepts, page["steps"], strict=True):
            for part, step in zip((W, b), steps, strict=True):
                read = values[at : at + part.size].reshape(part.shape) * step
                assert_allclose(read, part, rtol=0, atol=0.5001 * step)
                at += part.size
        assert at == len(values)


@pytest.mark.parametrize("case", ["xor", "moons", "iris"])
def test_a_small_page_is_small_and_asks_for_nothing(tmp_path, case):
    X, y = {"xor": XOR, "moons": MOONS, "iris": (IRIS.data, IRIS.target)}[case]
    page = record(X, y, hidden=(8,), max_iter="auto")[0].to_html(tmp_path / "page.html").read_text()
    assert len(page.encode()) < 300_000
    addresses = set(re.findall(r"\b(?:https?|ftp|wss?)://[^\s\"'<>)]+", page))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, which nobody asks for
    assert not re.search(
        r"\b(?:src|href)=(?!\"data:,\")|@import|url\(|fetch\(|XMLHttp|import\(", page
    )
    assert "default-src 'none'" in page


def test_pages_are_written_without_matplotlib(tmp_path):
    code = """
        import sys
        sys.modules["matplotlib"] = None
        from sknn_scratch import LearningRecorder, ScratchMLPClassifier
        recorder = LearningRecorder()
        ScratchMLPClassifier((2,), max_iter=2).set_callbacks(recorder).fit([[0, 1], [1, 0]], [0, 1])
        print(recorder.to_html(sys.argv[1]))
        """
    path = tmp_path / "page.html"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), path],
        cwd=Path(sknn_scratch.__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.strip() == str(path), done.stderr
    assert path.read_text().startswith("<!doctype html>")


def test_nothing_in_a_name_ends_the_script(tmp_path):
    names = ["</script><script>alert(1)</script>", "<!--&\u2028"]
    recorder, _ = record(*XOR)
    page = recorder.to_html(tmp_path / "page.html", feature_names=names, title="<b>&").read_text()
    assert content(page)["features"] == names
    assert "alert(1)</script>" not in page
    assert "<title>&lt;b&gt;&amp;</title>" in page


def test_views():
    iris = record(IRIS.data, IRIS.target)[0].recording_
    assert content_of(iris)["view"] == {"kind": "bars"}
    for columns in [("petal length (cm)", "petal width (cm)"), (2, 3)]:
        view = content_of(iris, columns=columns)["view"]
        assert (view["kind"], view["columns"], view["others"]) == ("plane", [2, 3], [0, 1])
        assert_allclose(view["held"], IRIS.data.median())
    for shape in ((2, 2), np.array([2, 2])):
        assert content_of(iris, image_shape=shape)["view"]["shape"] == [2, 2]
    # The third column of the post's table is 1 in every row: what varies is a plane.
    post = record(np.column_stack([XOR[0], np.ones(4)]), XOR[1])[0].recording_
    assert content_of(post)["view"]["columns"] == [0, 1]
    assert content_of(post)["truth_table"] == [0, 1, 2, 3]
    assert content_of(iris)["truth_table"] is None


@pytest.mark.parametrize("odd", ["</script>", "$title ${x}", "\u2028", "\ud800", "", "<!--"])
def test_odd_names(tmp_path, odd):
    y = np.where(IRIS.target > 1, odd or "yes", "no")
    recorder, _ = record(IRIS.data.to_numpy()[:, :2], y, max_iter=2)
    page = recorder.to_html(tmp_path / "page.html", title=odd, feature_names=[odd, "other"])
    text = page.read_text(encoding="utf-8")
    content = json.loads(re.search(r"application/json[^>]*>(.*?)</script>", text, re.S)[1])
    assert content["features"] == [odd, "other"]
    assert {*content["classes"]} == {"no", odd or "yes"}


@pytest.mark.parametrize("settings", [{}, {"numerical_encoding": "piecewise_linear"}], ids=str)
@pytest.mark.parametrize("scaled", [True, False])
def test_inputs_are_described_as_the_feature_map_makes_them(settings, scaled):
    X, y = load_penguins(return_X_y=True)
    if not scaled:  # then there are no gaps
        X, y = X[[None not in row for row in X]], y[[None not in row for row in X]]
    recorder, clf = record(X, y, max_iter=1, scale_features=scaled, **settings)
    kept, made = recorder.recording_, clf.network_.features
    described = inputs_of(made, X.shape[1])
    assert len(described) == len(kept.input_names) == clf.coefs_[0].shape[0]
    for i, part in enumerate(described):
        value, expected = kept.X[:, part["column"]], made(kept.X, np.float64)[:, i]
        if "codes" in part:
            computed = np.array([part["codes"].get(code, 0) for code in value.tolist()])
        elif "gap" in part:
            computed = np.isnan(value) * part["gap"]
        else:
            computed = value
            if "width" in part:
                computed = np.clip((value - part["start"]) / part["width"], 0, 1)
            if scaled:
                computed = (computed - part["mean"]) / part["scale"]
                computed = computed / (1 + (computed / 3.5) ** 4) ** 0.25
            computed = np.where(np.isnan(value), 0, computed)
        assert_allclose(computed, expected, rtol=1e-12, atol=1e-12)


def test_of_a_wide_layer_the_units_that_do_most_are_shown():
    recorder, clf = record(*MOONS, hidden=(40, 3), max_iter=60)
    first, second = shown_units(recorder.recording_, MOST_PICTURES)
    assert len(first) == MOST_PICTURES
    assert second == [0, 1, 2]

    def loss_without(units):
        """Squared error where the units of the first layer give their mean whatever X is."""
        a = clf.hidden_activations(MOONS[0])[0].copy()
        a[:, units] = a[:, units].mean(axis=0)
        for W, b in list(zip(clf.coefs_, clf.intercepts_, strict=True))[1:]:
            a = 1 / (1 + np.exp(-(a @ W + b)))
        return np.mean((a[:, 0] - MOONS[1]) ** 2)

    others = [unit for unit in range(40) if unit not in first][:MOST_PICTURES]
    assert loss_without(first) > loss_without(others)


def test_units_and_weights_whose_squares_overflow():
    settings = {"hidden": (40,), "activation": "relu", "dtype": "float32", "max_iter": 5}
    recording = record(*MOONS, **settings)[0].recording_
    fitted, factor = recording.fitted, np.float32(2.0**80)
    (W, V), (b, c) = fitted.coefs, fitted.intercepts
    larger = replace(fitted, coefs=[W * factor, V * factor], intercepts=[b * factor, c])
    networks = [larger] * len(recording.networks)
    found = shown_units(replace(recording, networks=networks), MOST_PICTURES)
    assert found == shown_units(recording, MOST_PICTURES)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"columns": ("petal length (cm)", "area")}, "columns has 'area', which is no column. The"),
        ({"columns": (0, 4)}, "their numbers, from 0 to 3"),
        ({"columns": "petal width (cm)"}, "columns must be two different names or numbers"),
        ({"columns": (1, 1)}, "columns must be two different names or numbers"),
        ({"columns": (1, "sepal width (cm)")}, "columns must be two different names or numbers"),
        ({"columns": 1}, "columns must be two different names or numbers"),
        ({"columns": (0.5, 1)}, "columns has 0.5, which is no column"),
        ({"image_shape": 4}, "image_shape must be two integers from 1 on"),
        ({"image_shape": (-2, -2)}, "image_shape must be two integers from 1 on"),
        ({"image_shape": (2.0, 2)}, "image_shape must be two integers from 1 on"),
        ({"columns": (0, 1), "image_shape": (2, 2)}, "columns and image_shape were both given"),
        ({"columns": (0, 4), "n": 5}, "columns names 'word', which is of categories"),
        ({"columns": (0, 5), "n": 6}, "columns names 'one', which has one value only"),
        ({"image_shape": (2, 3), "n": 6}, "an input of the network for each pixel, but it has 7"),
        ({"image_shape": (8, 8)}, r"image_shape=\(8, 8\) has 64 pixels, but the network has 4 col"),
        ({"feature_names": ["a", "b"]}, "feature_names has 2 names, but the network has 4 columns"),
    ],
)
def test_options_that_do_not_suit_the_table(tmp_path, options, message):
    n = options.pop("n", 4)
    word = np.where(IRIS.target > 1, "a", "b")
    X = IRIS.data.assign(word=word, one=1.0).iloc[:, :n]
    recorder, _ = record(X, IRIS.target, max_iter=2)
    with pytest.raises(ValueError, match=message):
        recorder.to_html(tmp_path / "page.html", **options)
    assert not (tmp_path / "page.html").exists()


def test_nothing_was_recorded(tmp_path):
    with pytest.raises(NotFittedError, match="has recorded nothing yet"):
        LearningRecorder().to_html(tmp_path / "page.html")
