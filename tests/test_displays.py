"""Pictures show the fitted network's own numbers, by its names, and nothing that is cut off."""

import dataclasses
import subprocess
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits, load_iris, make_moons, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor
from sknn_scratch.displays import LossCurve, LossCurveDisplay, NetworkDisplay

# Skipping also keeps quiet about what old versions of matplotlib import.
plt = pytest.importorskip("matplotlib.pyplot")
mpl_colors = pytest.importorskip("matplotlib.colors")

pytestmark = [
    # Networks need not have learnt much to be drawn.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # matplotlib 3.8 reads formulas by what newer versions of pyparsing deprecate.
    pytest.mark.filterwarnings("ignore:'.*' .*deprecated:DeprecationWarning"),
]

DISPLAYS = [LossCurveDisplay, NetworkDisplay]


@pytest.fixture(autouse=True)
def no_window():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def clf(iris):
    """Four inputs, two hidden layers, three outputs."""
    return ScratchMLPClassifier((6, 5), max_iter=8, random_state=0).fit(*iris)


def stand_in(**attributes):
    """Return a fitted estimator with these attributes in place of its own."""
    network = ScratchMLPClassifier((2,), max_iter=1, random_state=0).fit([[0], [1]], [0, 1])
    vars(network).update(attributes)
    return network


def entries(display) -> list[str]:
    """Texts of the legend."""
    ax = display.score_ax_ or display.ax_
    return [text.get_text() for text in ax.get_legend().get_texts()]


def texts(display) -> list[str]:
    """Texts in the picture of a network, those of its images included."""
    axes = [display.ax_, *display.ax_.child_axes]
    for ax in axes:
        axes += ax.child_axes
    found = [text for ax in axes for text in (*ax.texts, ax.xaxis.label, ax.yaxis.label)]
    ticks = [text for ax in axes for text in (*ax.get_xticklabels(), *ax.get_yticklabels())]
    return [text.get_text() for text in found + ticks]


def assert_within(figure) -> None:
    """Nothing that is drawn goes beyond the figure."""
    figure.draw_without_rendering()
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert -0.01 <= drawn.x0 <= drawn.x1 <= width + 0.01
    assert -0.01 <= drawn.y0 <= drawn.y1 <= height + 0.01


# ---------------------------------------------------------------- both


@pytest.mark.parametrize("display", DISPLAYS)
def test_what_is_no_fitted_network(display, iris):
    draw, network = display.from_estimator, ScratchMLPClassifier(max_iter=1, random_state=0)
    pipeline = make_pipeline(StandardScaler(), network)
    search = GridSearchCV(network, {"alpha": [0]}, cv=2, refit=False)
    for unfitted in (network, pipeline, search):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            draw(unfitted)
    for other in (LogisticRegression(), search, GridSearchCV(LogisticRegression(), {"C": [1]})):
        with pytest.raises(TypeError, match=r"has no (loss_curve_|coefs_)\. Pass a fitted Scratch"):
            draw(other.fit(*iris))
    for wrong in (None, {"a": network}, ScratchMLPClassifier):
        with pytest.raises(TypeError, match=r"estimator instance|is a class"):
            draw(wrong)
    with pytest.raises(TypeError, match="colour"):
        draw(network.fit(*iris), colour="red")


@pytest.mark.parametrize("display", DISPLAYS)
def test_the_end_of_searches_and_pipelines_is_drawn(display, iris):
    network = ScratchMLPClassifier((3,), max_iter=2, random_state=0)
    search = GridSearchCV(network, {"max_iter": [2, 3]}, cv=2)
    pipeline = make_pipeline(StandardScaler(), search).fit(*iris)
    outer = GridSearchCV(make_pipeline(StandardScaler(), network), {}, cv=2).fit(*iris)
    for estimator, end in (
        (pipeline, pipeline[-1].best_estimator_),
        (outer, outer.best_estimator_[-1]),
    ):
        drawn, expected = display.from_estimator(estimator), display.from_estimator(end)
        if display is LossCurveDisplay:
            assert drawn.curves == expected.curves
        else:
            assert drawn.coefs is expected.coefs
            assert drawn.intercepts is expected.intercepts


@pytest.mark.parametrize("display", DISPLAYS)
def test_axes_are_the_ones_given_or_new(display, clf):
    figure, (left, right) = plt.subplots(1, 2)
    drawn = display.from_estimator(clf, ax=right)
    assert (drawn.ax_, drawn.figure_) == (right, figure)
    assert not left.has_data()
    again = drawn.plot()
    assert again is drawn
    assert drawn.figure_ is not figure
    assert drawn.ax_.figure is drawn.figure_


@pytest.mark.parametrize("display", DISPLAYS)
def test_displays_can_be_drawn_in_a_part_of_a_figure(display, clf):
    part = plt.figure().subfigures(1, 2)[0]
    assert display.from_estimator(clf, ax=part.subplots()).figure_ is part


@pytest.mark.parametrize("display", DISPLAYS)
def test_matplotlib_is_missing(display, clf, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{display.__name__}.plot needs matplotlib .*\[plot\]"):
        display.from_estimator(clf)


def test_matplotlib_is_imported_when_a_picture_is_drawn():
    code = "import sys, sknn_scratch.displays; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


# ---------------------------------------------------------------- loss


def test_loss_of_a_fit(clf):
    display = LossCurveDisplay.from_estimator(clf)
    (line,) = display.ax_.lines
    assert display.lines_ == {"": {"loss": line}}
    np.testing.assert_array_equal(line.get_ydata(), clf.loss_curve_)
    np.testing.assert_array_equal(line.get_xdata(), np.arange(8) + 1)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == (
        "Epoch",
        "Guarded squared error",
    )
    assert entries(display) == ["Training loss"]
    assert display.score_ax_ is None


def test_losses_of_different_kinds_are_just_losses(clf, iris):
    theirs = MLPClassifier(max_iter=200, tol=1, random_state=0).fit(*iris)
    display = LossCurveDisplay.from_estimators({"ours": clf, "theirs": theirs})
    assert display.ax_.get_ylabel() == "Loss"
    assert entries(display) == ["ours", "theirs"]
    assert LossCurveDisplay.from_estimator(theirs).ax_.get_ylabel() == "Log loss"
    np.testing.assert_array_equal(display.lines_["theirs"]["loss"].get_ydata(), theirs.loss_curve_)


@pytest.mark.parametrize("scoring", [None, "loss"])
def test_early_stopping_shows_the_epoch_that_was_kept(scoring, iris):
    clf = ScratchMLPClassifier(early_stopping=True, scoring=scoring, random_state=0).fit(*iris)
    display = LossCurveDisplay.from_estimator(clf)
    lines = display.lines_[""]
    expected = {"loss": clf.loss_curve_, "validation_loss": clf.validation_loss_curve_}
    if scoring != "loss":  # which is in the picture already
        expected["validation_score"] = clf.validation_scores_
        assert lines["validation_score"].axes is display.score_ax_
        assert display.score_ax_.get_ylabel() == "Validation score"
    assert list(lines) == list(expected)
    for kind, values in expected.items():
        np.testing.assert_array_equal(lines[kind].get_ydata(), values)
        assert lines[kind].get_markevery() == (None if kind == "loss" else [clf.best_iter_ - 1])
    labels = ["Training loss", "Validation loss", "Validation score", "Epoch kept"]
    assert entries(display) == labels[: len(expected)] + labels[3:]
    assert_within(display.figure_)


@pytest.mark.parametrize("curves", [list, np.array])
def test_all_curves(curves):
    fitted = stand_in(
        loss="log_loss",
        scoring="roc_auc",
        loss_curve_=[5.0, 4.0, 3.0, 2.0],
        validation_loss_curve_=curves([5.5, 3.5, 4.5]),
        validation_scores_=curves([0.1, 0.3, 0.2]),
        best_iter_=2,
    )
    display = LossCurveDisplay.from_estimator(fitted)
    lines = display.lines_[""]
    assert list(lines) == ["loss", "validation_loss", "validation_score"]
    assert len({line.get_linestyle() for line in lines.values()}) == 3
    assert lines["loss"].get_markevery() is None
    assert lines["loss"].get_marker() == ""
    # They began an epoch later than training, and end with it.
    for kind, values in (
        ("validation_loss", [5.5, 3.5, 4.5]),
        ("validation_score", [0.1, 0.3, 0.2]),
    ):
        np.testing.assert_array_equal(lines[kind].get_xdata(), [2, 3, 4])
        np.testing.assert_array_equal(lines[kind].get_ydata(), values)
        assert lines[kind].get_markevery() == [1]
        assert lines[kind].get_marker() == "o"
    assert entries(display) == [
        "Training loss",
        "Validation loss",
        "Validation score",
        "Epoch kept",
    ]
    assert_within(display.figure_)


def test_several_estimators_have_names_and_colours(iris):
    network = ScratchMLPClassifier(early_stopping=True, max_iter=5, random_state=0)
    folds = cross_validate(network, *iris, cv=3, return_estimator=True)["estimator"]
    display = LossCurveDisplay.from_estimators(dict(enumerate(folds)))
    assert entries(display)[:4] == ["0", "1", "2", "Training loss"]
    for i, fold in enumerate(folds):
        np.testing.assert_array_equal(display.lines_[i]["loss"].get_ydata(), fold.loss_curve_)
        assert (
            len({mpl_colors.to_hex(line.get_color()) for line in display.lines_[i].values()}) == 1
        )
    greys = [
        np.dot(mpl_colors.to_rgb(lines["loss"].get_color()), [0.3, 0.59, 0.11])
        for lines in display.lines_.values()
    ]
    assert np.diff(greys).min() > 0.1, "they differ for who sees no colours"


@pytest.mark.parametrize(
    "losses, auto",
    [([1.0, 0.1], "linear"), ([1.0, 0.01], "log"), ([1.0, 0.0], "linear")],
)
def test_scale_of_the_loss(losses, auto):
    display = LossCurveDisplay(curves={"a": LossCurve(losses)}, loss_name="Loss")
    assert display.plot().ax_.get_yscale() == auto
    assert display.plot(yscale="linear").ax_.get_yscale() == "linear"
    assert display.plot(yscale="log").ax_.get_yscale() == "log"
    with pytest.raises(ValueError, match="yscale must be 'auto', 'linear' or 'log', got 'root'"):
        display.plot(yscale="root")


def test_partial_fit_adds_an_epoch(iris):
    clf = ScratchMLPClassifier((3,), random_state=0).partial_fit(*iris, classes=[0, 1, 2])
    line = LossCurveDisplay.from_estimator(clf).lines_[""]["loss"]
    assert line.get_marker() == ".", "a line of one point would not be seen"
    line = LossCurveDisplay.from_estimator(clf.partial_fit(*iris)).lines_[""]["loss"]
    assert line.get_marker() == ""
    np.testing.assert_array_equal(line.get_ydata(), clf.loss_curve_)
    assert len(clf.loss_curve_) == 2


def test_no_curve():
    with pytest.raises(ValueError, match="is empty: no epoch was finished"):
        LossCurveDisplay.from_estimator(stand_in(loss_curve_=[]))
    with pytest.raises(ValueError, match="estimators is empty"):
        LossCurveDisplay.from_estimators({})


# ---------------------------------------------------------------- the network


def test_nodes_and_edges_are_biases_and_weights(clf):
    display = NetworkDisplay.from_estimator(clf)
    assert [len(nodes.get_offsets()) for nodes in display.nodes_] == [4, 6, 5, 3]
    assert display.nodes_[0].get_array() is None
    for nodes, b in zip(display.nodes_[1:], clf.intercepts_, strict=True):
        np.testing.assert_array_equal(nodes.get_array(), b)
    assert len(display.edges_) == 3
    for i, (edges, W) in enumerate(zip(display.edges_, clf.coefs_, strict=True)):
        np.testing.assert_array_equal(edges.get_array(), W.ravel())
        ends = np.array(edges.get_segments()).reshape(*W.shape, 2, 2)
        for unit, start in enumerate(display.nodes_[i].get_offsets()):
            np.testing.assert_array_equal(ends[unit, :, 0], np.tile(start, (W.shape[1], 1)))
        for unit, end in enumerate(display.nodes_[i + 1].get_offsets()):
            np.testing.assert_array_equal(ends[:, unit, 1], np.tile(end, (W.shape[0], 1)))
        widths = np.array(edges.get_linewidths())
        assert np.corrcoef(widths, np.abs(W.ravel()))[0, 1] > 0.999
        assert widths.min() > 0.1, "each line can be seen"
        dashed = [pattern is not None for _, pattern in edges.get_linestyles()]
        np.testing.assert_array_equal(dashed, W.ravel() < 0)
        bound = np.abs(W).max()
        assert (edges.norm.vmin, edges.norm.vmax) == (-bound, bound), "zero in the middle"
    assert display.images_ == []
    places = {text.get_text(): text.xy for text in display.ax_.texts}
    for names, nodes in (
        (["x0", "x1", "x2", "x3"], display.nodes_[0]),
        (["y = 0", "y = 1", "y = 2"], display.nodes_[-1]),
    ):
        np.testing.assert_array_equal([places[name] for name in names], nodes.get_offsets())
        assert np.diff(nodes.get_offsets()[:, 1]).max() < 0, "the first is at the top"
    layers = ["Input", "Hidden 1", "Hidden 2", "Output"]
    assert [places[layer][0] for layer in layers] == [0, 1, 2, 3]
    assert {"Weight / largest", "Bias"} < set(texts(display))


def heat(image, width: int) -> np.ndarray:
    """Values of a picture of a unit, its first line at the bottom."""
    values = np.asarray(image.get_data())
    assert values.shape == (width, width)
    return values[::-1]


@pytest.mark.parametrize("activation", ["logistic", "tanh", "relu"])
def test_nodes_of_two_inputs_are_what_units_see(activation):
    X, y = make_moons(60, noise=0.2, random_state=0)
    clf = ScratchMLPClassifier((4, 3), activation=activation, max_iter=20, random_state=0)
    display = NetworkDisplay.from_estimator(clf.fit(X, y))
    boxes = [box.offsetbox for box in display.ax_.artists]
    assert len(boxes) == 2 + 4 + 3 + 1
    n = len(display.pictures[0][0])
    low, high = clf.mean_ - 2.5 * clf.scale_, clf.mean_ + 2.5 * clf.scale_
    x, y = np.meshgrid(*(np.linspace(low[j], high[j], n) for j in (0, 1)))
    points = np.column_stack([x.ravel(), y.ravel()])
    layers = [*clf.hidden_activations(points), clf.predict_proba(points)[:, 1:]]
    for box, a in zip(boxes[2:], np.hstack(layers).T, strict=True):
        is_share = activation == "logistic" or box is boxes[-1]
        scale = 1 if is_share else np.abs(a).max() or 1  # of a unit that is dead
        np.testing.assert_allclose(heat(box, n), (a / scale).reshape(n, n), atol=1e-12)
    # The inputs see themselves: the first from left to right, the second from below.
    assert (np.diff(heat(boxes[0], n), axis=1) > 0).all()
    assert (np.diff(heat(boxes[1], n), axis=0) > 0).all()
    assert {"Weight / largest", "Activation"} < set(texts(display))


def test_zeros_and_ones_are_within_the_plane():
    X, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), [0, 1, 1, 0]
    clf = ScratchMLPClassifier((4,), max_iter=1000, random_state=0).fit(X, y)
    picture = NetworkDisplay.from_estimator(clf).pictures[-1][0]
    at = [round((value + 0.25) / 1.5 * (len(picture) - 1)) for value in (0, 1)]
    corners = [picture[at[int(x1)], at[int(x0)]] > 0.5 for x0, x1 in X]
    assert corners == [False, True, True, False]


def test_of_wide_layers_the_units_that_do_most_are_drawn(iris):
    clf = ScratchMLPClassifier(max_iter=5, random_state=0).fit(*iris)
    display = NetworkDisplay.from_estimator(clf)
    W, V = clf.coefs_
    does = np.sqrt((W**2).sum(axis=0)) * np.sqrt((V**2).sum(axis=1))
    (_, shown, _) = display.units_
    np.testing.assert_array_equal(shown, np.sort(np.argsort(does)[-12:]))
    np.testing.assert_array_equal(display.edges_[0].get_array(), W[:, shown].ravel())
    np.testing.assert_array_equal(display.edges_[1].get_array(), V[shown].ravel())
    np.testing.assert_array_equal(display.nodes_[1].get_array(), clf.intercepts_[0][shown])
    assert "Hidden (12 of 200)" in texts(display)
    assert len(NetworkDisplay.from_estimator(clf, max_nodes=5).units_[1]) == 5


def test_a_unit_that_does_nothing_is_left_out():
    W, V = np.ones((3, 3)), np.ones((3, 1))
    W[:, 1] = 0
    display = NetworkDisplay(
        coefs=[W, V], intercepts=[np.zeros(3), np.zeros(1)], feature_names="abc", output_names="y"
    ).plot()
    assert display.units_[1].tolist() == [0, 2]
    assert "Hidden (2 of 3)" in texts(display)


@pytest.mark.parametrize("n_inputs", [2, 30])
@pytest.mark.parametrize(("dtype", "largest"), [(np.float32, 1e30), (np.float64, 1e300)])
def test_weights_whose_squares_overflow(dtype, largest, n_inputs):
    rng = np.random.default_rng(0)
    shapes = [(n_inputs, 20), (20, 1)]
    relative = [rng.uniform(-1, 1, size=shape) for shape in shapes]

    def drawn(coefs):
        return NetworkDisplay(
            coefs=coefs,
            intercepts=[np.zeros(20), np.zeros(1)],
            feature_names=[f"x{j}" for j in range(n_inputs)],
            output_names=["y"],
        ).plot()

    display = drawn([(W * largest).astype(dtype) for W in relative])
    for found, expected in zip(display.units_, drawn(relative).units_, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert_within(display.figure_)


def test_outputs_that_overflow_in_the_plane():
    X, y = make_moons(60, noise=0.2, random_state=0)
    reg = ScratchMLPRegressor((4,), dtype="float32", max_iter=20, random_state=0).fit(X, y)
    network = reg.network_
    coefs = [network.coefs[0], np.float32(3e38) * np.array([[1], [1], [-1], [-1]], np.float32)]
    vars(reg).update(network_=dataclasses.replace(network, coefs=coefs))
    picture = NetworkDisplay.from_estimator(reg).pictures[-1][0]
    assert picture.min() == 0
    assert picture.max() == 1


def test_many_inputs_are_a_heat_map_by_name(clf):
    display = NetworkDisplay.from_estimator(clf, max_nodes=3)
    assert (display.nodes_, display.edges_) == ([], [])
    for i, (image, W) in enumerate(zip(display.images_, clf.coefs_, strict=True)):
        shown = W[np.ix_(display.units_[i], display.units_[i + 1])]
        np.testing.assert_array_equal(image.get_array(), shown)
        assert (image.norm.vmin, image.norm.vmax) == (-np.abs(shown).max(), np.abs(shown).max())
    first, last = display.images_[0].axes, display.images_[-1].axes
    assert [text.get_text() for text in first.get_yticklabels()] == ["x0", "x1", "x2", "x3"]
    units = [str(unit) for unit in display.units_[1]]
    assert [text.get_text() for text in first.get_xticklabels()] == units
    assert [text.get_text() for text in last.get_xticklabels()] == ["y = 0", "y = 1", "y = 2"]
    assert "Input \N{RIGHTWARDS ARROW} Hidden 1 (3 of 6)" in texts(display)


def test_of_very_many_inputs_the_strongest_have_rows_whose_names_can_be_read():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(500, 4))
    display = NetworkDisplay(
        coefs=[W, np.ones((4, 1))],
        intercepts=[np.zeros(4), np.zeros(1)],
        feature_names=[f"name {i}" for i in range(500)],
        output_names=["y"],
    ).plot()
    rows = display.units_[0]
    assert 20 <= len(rows) <= 40
    others = np.setdiff1d(np.arange(500), rows)
    assert np.linalg.norm(W[rows], axis=1).min() >= np.linalg.norm(W[others], axis=1).max()
    labels = display.images_[0].axes.get_yticklabels()
    assert [label.get_text() for label in labels] == [f"name {i}" for i in rows]
    assert labels[0].get_fontsize() >= 6


def test_units_as_images():
    digits = load_digits()
    clf = ScratchMLPClassifier((20,), max_iter=2, random_state=0).fit(digits.data, digits.target)
    display = NetworkDisplay.from_estimator(clf, image_shape=(8, 8))
    *units, outputs = display.images_
    shown = display.units_[1]
    assert len(units) == len(shown) == 12
    for image, unit in zip(units, shown, strict=True):
        np.testing.assert_array_equal(image.get_array().ravel(), clf.coefs_[0][:, unit])
        assert image.axes.get_title() == str(unit)
    np.testing.assert_array_equal(outputs.get_array(), clf.coefs_[1][shown])
    assert_within(display.figure_)
    with pytest.raises(ValueError, match="has 49 pixels, but the network has 64 inputs"):
        display.plot(image_shape=(7, 7))


def test_a_network_of_zeros():
    names = {"feature_names": ["a"], "output_names": ["b"]}
    display = NetworkDisplay(coefs=[np.zeros((1, 1))], intercepts=[np.zeros(1)], **names)
    for max_nodes in (0, 1):
        assert_within(display.plot(max_nodes=max_nodes).figure_)
    norm = display.edges_[0].norm
    assert (norm.vmin, norm.vmax) == (-1, 1)


@pytest.mark.parametrize(
    "labels, outputs",
    [
        (["no", "yes"], ["yes"]),
        ([False, True], ["y = True"]),
        ([-1, 1], ["y = 1"]),
        (["a", "b", "c"], ["a", "b", "c"]),
    ],
)
def test_outputs_have_the_names_of_classes(labels, outputs):
    y = np.repeat(labels, 4)
    clf = ScratchMLPClassifier((2,), max_iter=1, random_state=0)
    display = NetworkDisplay.from_estimator(clf.fit(np.arange(len(y))[:, None], y))
    assert display.output_names == outputs


def test_outputs_for_labels_are_numbered():
    X, Y = make_multilabel_classification(20, 3, n_classes=4, random_state=0)
    clf = ScratchMLPClassifier((2,), max_iter=1, random_state=0).fit(X, Y)
    assert NetworkDisplay.from_estimator(clf).output_names == ["y0", "y1", "y2", "y3"]


@pytest.mark.parametrize("cls", [ScratchMLPRegressor, MLPRegressor])
def test_outputs_for_numbers_are_numbered(cls):
    X, Y = np.random.RandomState(0).normal(size=(2, 20, 3))
    network = cls(hidden_layer_sizes=(4,), max_iter=2, random_state=0)
    for y, names in ((Y[:, 0], ["y"]), (Y, ["y0", "y1", "y2"])):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(X, y)
        display = NetworkDisplay.from_estimator(network)
        assert display.output_names == names
        assert LossCurveDisplay.from_estimator(network).lines_[""]["loss"] is not None


@pytest.mark.parametrize("loss", ["huber", "poisson"])
def test_outputs_for_numbers_are_pictures_from_the_least_to_the_greatest(loss):
    X = np.random.RandomState(0).normal(size=(200, 2))
    y = 100 + 20 * X[:, 0]
    network = ScratchMLPRegressor((4,), loss=loss, random_state=0).fit(X, y)
    *_, (picture,) = NetworkDisplay.from_estimator(network).pictures
    assert (picture.min(), picture.max()) == (0, 1)
    assert (np.diff(picture[:, 4:-4], axis=1) > 0).mean() > 0.95  # y grows from left to right
    assert np.abs(np.diff(picture, axis=0)).mean() < 0.2 * np.abs(np.diff(picture, axis=1)).mean()


def test_inputs_have_the_names_of_columns():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame({"length": [0.0, 1, 2, 3], "price {$} / cost {$}": [1.0, 0, 1, 0]})
    y = ["a", "b", "a", "b"]
    clf = ScratchMLPClassifier((2,), max_iter=1, random_state=0)
    display = NetworkDisplay.from_estimator(clf.fit(X, y))
    assert display.feature_names == list(X.columns)
    assert set(X.columns) < set(texts(display))
    assert_within(display.figure_)  # though no formula stands between the dollars
    assert_within(display.plot(max_nodes=1).figure_)

    scaled = ColumnTransformer([("scaled", StandardScaler(), ["length"])])
    for before, names in (
        ([StandardScaler()], list(X.columns)),
        ([scaled], ["scaled__length"]),
        ([FunctionTransformer(np.asarray)], ["x0", "x1"]),  # has no names to give
        ([], list(X.columns)),
    ):
        pipeline = make_pipeline(*before, clf).fit(X, y)
        assert NetworkDisplay.from_estimator(pipeline).feature_names == names


def test_inputs_of_words_and_gaps_have_names():
    X = np.array([["a", 1.0], ["b", None], ["c", 3.0], ["a", 4.0]], dtype=object)
    clf = ScratchMLPClassifier((2,), max_iter=1, random_state=0).fit(X, [0, 1, 0, 1])
    display = NetworkDisplay.from_estimator(clf)
    assert display.feature_names == ["x0_a", "x0_b", "x0_c", "x1", "missingindicator_x1"]
    assert display.pictures is None, "there is no plane of words"


@pytest.mark.parametrize("shape", [(6.4, 4.8), (2, 1.5), (12, 2)])
@pytest.mark.parametrize(
    "sizes", [(1, 1), (4, 6, 5, 3), (20, 20, 20), (30, 50, 10), (5, 40, 20, 20)]
)
def test_nothing_of_a_network_goes_beyond_its_axes(shape, sizes):
    rng = np.random.default_rng(0)
    display = NetworkDisplay(
        coefs=[rng.normal(size=size) for size in pairwise(sizes)],
        intercepts=[rng.normal(size=size) for size in sizes[1:]],
        feature_names=[f"a long name of feature {i}" for i in range(sizes[0])],
        output_names=[f"class {i}" for i in range(sizes[-1])],
    )
    ax = plt.figure(figsize=shape).add_axes((0.1, 0.1, 0.8, 0.8))
    figure = display.plot(ax=ax).figure_
    figure.draw_without_rendering()
    columns = len(sizes) - 1
    assert 0 < np.diff(ax.get_xlim())[0] < 4 * columns, "they have a good part of the width"
    room, drawn = ax.get_window_extent(), ax.get_tightbbox()
    x, y = 0.02 * room.width, 0.02 * room.height  # letters of small sizes are a little wider
    assert room.x0 - x <= drawn.x0 <= drawn.x1 <= room.x1 + x
    assert room.y0 - y <= drawn.y0 <= drawn.y1 <= room.y1 + y
