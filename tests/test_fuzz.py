"""Whatever comes from outside as bytes or as a string: refused with a message, or taken right.

A longer run draws other examples each time::

    python -m pytest tests/test_fuzz.py --hypothesis-profile long
"""

import io
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sknn_scratch import Checkpoint, LearningRecorder, ScratchMLPClassifier, ScratchMLPRegressor
from sknn_scratch.callbacks.checkpoint import NOTES
from sknn_scratch.callbacks.protocol import JobFollower

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # Of long arguments, when hypothesis reports a fault: it would hide the fault.
    pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning"),
]

X = np.random.RandomState(0).randint(-8, 8, size=(20, 2)) / 4
LABELS = (X[:, 0] > 0).astype(int)
NUMBERS = X[:, 0] * X[:, 1]

#: For what takes long.
FEWER = settings(max_examples=settings.default.max_examples // 4)

REFUSALS = (
    r"{} (is damaged|is not a checkpoint of sknn_scratch|is a checkpoint of (another|format))"
)


# ---------------------------------------------------------------- files of checkpoints


def model(kind):
    """A network whose fit is short, and the targets of its fit."""
    if kind == "classifier":
        return ScratchMLPClassifier((3,), max_iter=3, random_state=0, early_stopping=True), LABELS
    return ScratchMLPRegressor((3,), max_iter=3, random_state=0, input_dropout=0.2), NUMBERS


@dataclass
class Left:
    """What a fit that was left has written, and what it would have predicted."""

    path: Path
    content: bytes = field(repr=False)  # hypothesis warns of long ones
    whole: np.ndarray = field(repr=False)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """The file of a fit that was left after its second epoch, by the kind of the model."""
    found = {}
    for kind in ("classifier", "regressor"):
        path = tmp_path_factory.mktemp(kind) / "run.npz"
        one, y = model(kind)
        one.set_callbacks(Checkpoint(path, every_n_epochs=1), Leaving())
        with pytest.raises(RuntimeError):
            one.fit(X, y)
        whole, y = model(kind)
        found[kind] = Left(path, path.read_bytes(), whole.fit(X, y).predict(X))
    return found


class Leaving(JobFollower):
    """A callback of this package, which any version of scikit-learn has, that ends a fit."""

    def follow(self, estimator, job, data, fitted):
        def leave(epoch):
            if epoch.number == 2:
                raise RuntimeError

        return job.start, leave


def resumed(kind, checkpoints, content):
    """Predictions of a fit that finds this file; None if it refuses it, as it ought to."""
    path = checkpoints[kind].path
    path.write_bytes(content)
    one, y = model(kind)
    one.set_callbacks(Checkpoint(path))
    before = vars(one).copy()
    try:
        one.fit(X, y)
    except ValueError as error:
        assert re.match(REFUSALS.format(re.escape(str(path))), str(error)), error
        assert vars(one) == before
        assert path.read_bytes() == content
        return None
    assert np.isfinite(one.predict(X)).all()
    return one.predict(X)


@st.composite
def damages(draw):
    """Say how a file is damaged: a function of its content."""
    kind = draw(st.sampled_from(["cut", "bits", "bytes", "missing", "more", "other"]))
    at = draw(st.floats(0, 1, exclude_max=True))
    some = draw(st.binary(min_size=1, max_size=40))
    bits = draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7))))

    def damage(content):
        k, changed = int(at * len(content)), bytearray(content)
        if kind == "cut":
            return content[:k]
        if kind == "bits":
            for place, bit in bits:
                changed[int(place * len(content))] ^= 1 << bit
            return bytes(changed)
        if kind == "other":
            return some
        gone = {"bytes": len(some), "missing": len(some), "more": 0}[kind]
        return content[:k] + (b"" if kind == "missing" else some) + content[k + gone :]

    return damage


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@given(damage=damages())
@example(damage=lambda content: content)
@example(damage=lambda content: b"")
def test_a_damaged_file_is_refused_or_makes_no_difference(kind, checkpoints, damage):
    left = checkpoints[kind]
    found = resumed(kind, checkpoints, damage(left.content))
    assert found is None or np.array_equal(found, left.whole)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=5,
)
ARRAYS = st.sampled_from(
    [
        np.array(1.0),
        np.zeros(0),
        np.zeros(3),
        np.zeros((2, 2)),
        np.array(["text"]),
        np.array([np.nan] * 13),
        np.arange(20),
        np.zeros(20, dtype=np.intp),
        np.full(20, 99),
    ]
)


def packed(notes, arrays):
    """Content of a file with such notes and arrays."""
    file = io.BytesIO()
    text = json.dumps(notes).encode()
    np.savez(file, **{NOTES: np.frombuffer(text, np.uint8)}, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@given(
    where=st.sampled_from(["notes", "fit", "state", "arrays"]),
    place=st.integers(0, 99) | st.text(max_size=5),
    array=ARRAYS,
    value=st.none() | st.tuples(JSON),
    notes=st.none() | st.tuples(JSON),
)
def test_a_file_with_other_things_in_it_is_refused_or_finite(
    kind, checkpoints, where, place, array, value, notes
):
    """Whole for NumPy, but not as a checkpoint is: as nobody but somebody else has made it."""
    with np.load(io.BytesIO(checkpoints[kind].content)) as file:
        arrays = dict(file)
    found = json.loads(arrays.pop(NOTES).tobytes())
    inside = {"notes": found, "fit": found["fit"], "state": found["state"], "arrays": arrays}[where]
    keys = sorted(inside)
    key = place if isinstance(place, str) else keys[place % len(keys)]
    if value is None:
        inside.pop(key, None)
    elif where == "arrays":
        inside[re.sub(r"[^\w.]", "", key) or "x"] = array
    else:
        (inside[key],) = value
    resumed(kind, checkpoints, packed(found if notes is None else notes[0], arrays))


@pytest.mark.parametrize("name", ["steps", "plateaus", "samples_seen"])
def test_a_count_below_zero_is_refused(checkpoints, name):
    with np.load(io.BytesIO(checkpoints["classifier"].content)) as file:
        arrays = dict(file)
    notes = json.loads(arrays.pop(NOTES).tobytes())
    assert resumed("classifier", checkpoints, packed(notes, arrays)) is not None
    notes["state"][name] = -1
    assert resumed("classifier", checkpoints, packed(notes, arrays)) is None


# ---------------------------------------------------------------- names on a page

# What a name may be in Python, halves of surrogate pairs among them.
NAMES = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=12) | st.sampled_from(
    ["</script>", "<script>alert(1)</script>", "<!--", "-->", "]]>", "$title", "${x}", "&lt;", "\0"]
)


class Elements(HTMLParser):
    """Tags of a page, and what its elements hold as text."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.inside = [], {}, None

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(attributes)))
        self.inside = dict(attributes).get("id", tag)

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, text):
        self.text[self.inside] = self.text.get(self.inside, "") + text


def elements_of(page):
    parser = Elements()
    parser.feed(page)
    parser.close()
    return parser


@pytest.fixture(scope="module")
def recorded():
    """A recorder that has followed a fit, and the tags of its page."""
    recorder = LearningRecorder()
    ScratchMLPClassifier((2,), max_iter=2, random_state=0).set_callbacks(recorder).fit(X, LABELS)
    return recorder


@FEWER
@given(names=st.tuples(NAMES, NAMES), title=NAMES)
def test_names_stay_names_on_a_page(recorded, tmp_path_factory, names, title):
    path = tmp_path_factory.getbasetemp() / "page.html"
    plain = elements_of(recorded.to_html(path).read_text(encoding="utf-8"))
    page = recorded.to_html(path, feature_names=names, title=title or None)
    found = elements_of(page.read_text(encoding="utf-8"))
    assert found.tags == plain.tags, "no name makes an element"
    # Two halves of a pair that stand side by side are one character in JSON.
    pairs = [name.encode("utf-16", "surrogatepass") for name in names]
    joined = [pair.decode("utf-16", "surrogatepass") for pair in pairs]
    assert json.loads(found.text["content"])["features"] == joined
    written = title.encode("utf-8", "xmlcharrefreplace").decode()
    if title and title == written and not re.search(r"[\0\r]|&", title):
        assert found.text["title"] == title


# ---------------------------------------------------------------- names in a graph

# What protobuf takes for a string is UTF-8.
IN_A_GRAPH = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@FEWER
@given(labels=st.lists(IN_A_GRAPH, min_size=2, max_size=2, unique=True), levels=st.data())
def test_names_in_a_graph_are_those_of_the_network(labels, levels):
    runtime = pytest.importorskip("onnxruntime")
    skl2onnx = pytest.importorskip("skl2onnx")
    types = pytest.importorskip("skl2onnx.common.data_types")
    pytest.importorskip("sknn_scratch.onnx")
    names = levels.draw(st.lists(IN_A_GRAPH, min_size=2, max_size=2, unique=True))
    table = pd.DataFrame({"x": X[:, 0], "word": np.array(names, dtype=object)[LABELS]})
    y = np.array(labels, dtype=object)[LABELS]
    clf = ScratchMLPClassifier((2,), max_iter=2, random_state=0).fit(table, y)
    inputs = [("x", types.DoubleTensorType([None, 1])), ("word", types.StringTensorType([None, 1]))]
    if "\0" in "".join(labels + names):
        with pytest.raises(ValueError, match="have a null character, at which a graph cuts"):
            skl2onnx.to_onnx(clf, initial_types=inputs, options={"zipmap": False})
        return
    graph = skl2onnx.to_onnx(clf, initial_types=inputs, options={"zipmap": False})
    session = runtime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    given_to_it = {name: table[[name]].to_numpy() for name in table}
    found, p = session.run(None, given_to_it)
    np.testing.assert_allclose(p, clf.predict_proba(table), rtol=1e-6, atol=1e-9)
    assert list(found) == list(clf.predict(table))
