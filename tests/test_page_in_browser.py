"""The page works in a browser: what it shows, what moves it, and that it asks for nothing.

Headless Chromium opens the files (browser.py). Judge of the numbers: predict_proba.
"""

import json
import warnings

import numpy as np
import pytest
from browser import DESKTOP, PHONE, TABLET, emulate, resize, start_chromium, wait_until
from numpy.testing import assert_allclose, assert_array_equal
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning

from sknn_scratch import LearningRecorder, ScratchMLPClassifier
from sknn_scratch.datasets import load_penguins

# One worker has the browser, and makes each page once.
pytestmark = pytest.mark.xdist_group("page")

XOR = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array(["even", "odd", "odd", "even"])
IRIS = load_iris(as_frame=True)
IRIS_NAMES = IRIS.target_names[IRIS.target.to_numpy()]
DIGITS = load_digits()
MOONS = make_moons(80, noise=0.2, random_state=0)
PENGUINS = load_penguins(return_X_y=True, as_frame=True)
LABELS = np.column_stack([MOONS[1], MOONS[0][:, 0] > 0.5]).astype(int)


@pytest.fixture(scope="module")
def chromium():
    browser = start_chromium()
    yield browser
    browser.quit()


class Page:
    """A page that is open in the browser."""

    def __init__(self, browser, path):
        self.browser, self.path = browser, path

    def resize(self, size):
        resize(self.browser, size)

    def open(self, size=DESKTOP, **media):
        """Open it in a window of this size; media are features such as prefers_color_scheme."""
        self.resize(size)
        emulate(self.browser, **media)
        for log in ("browser", "performance"):
            self.browser.get_log(log)  # what was before is of no interest
        self.browser.get(self.path.as_uri())
        return self

    def command(self, name, **parameters):
        return self.browser.execute_cdp_cmd(name, parameters)

    def js(self, expression, *arguments):
        return self.browser.execute_script(f"return {expression}", *arguments)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.one(selector).text

    @property
    def frame(self):
        return int(self.one("#slider").get_property("value"))

    @property
    def last(self):
        return int(self.one("#slider").get_attribute("max"))

    def slide(self, frame):
        self.js(
            "(s => { s.value = arguments[0]; s.dispatchEvent(new Event('input')) })"
            "(document.getElementById('slider'))",
            frame,
        )

    def watch_play(self):
        """Keep what the button says, and the frame, whenever it changes.

        A film may be over before a slow machine looks.
        """
        self.js(
            "(b => { window.said = []; new MutationObserver(() => said.push("
            "[b.getAttribute('aria-label'), Number(document.getElementById('slider').value)]))"
            ".observe(b, { attributeFilter: ['aria-label'] }) })(arguments[0])",
            self.one("#play"),
        )

    @property
    def said(self):
        """What ``watch_play`` kept."""
        return self.js("window.said")

    def press(self, *keys):
        ActionChains(self.browser).send_keys(*keys).perform()

    def picture(self, selector):
        """What is on a canvas."""
        return self.js("arguments[0].toDataURL()", self.one(selector))

    def faults(self):
        """Messages in the console, and requests for anything but the file."""
        messages = [entry["message"] for entry in self.browser.get_log("browser")]
        events = [
            json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")
        ]
        requested = {
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        }
        assert self.path.as_uri() in requested, "the log does not even have the file"
        return messages + sorted(requested - {self.path.as_uri(), "data:,"})


@pytest.fixture(scope="module")
def page_of(chromium, tmp_path_factory):
    """Make a page of a fit, and the network that was fitted."""
    made = {}

    def page_of(X, y, hidden=(4,), options=None, **settings):
        key = (id(X), hidden, str(options), str(settings))
        if key not in made:
            recorder = LearningRecorder(max_frames=20)
            clf = ScratchMLPClassifier(hidden, **{"random_state": 0, "max_iter": 40, **settings})
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                clf.set_callbacks(recorder).fit(X, y)
            path = tmp_path_factory.mktemp("page") / "page.html"
            recorder.to_html(path, **(options or {}))
            made[key] = Page(chromium, path), clf, recorder.recording_
        return made[key]

    return page_of


CASES = {
    "xor": (*XOR, (4,), {}, {"max_iter": "auto"}),
    "moons, two layers": (*MOONS, (6, 4), {}, {"early_stopping": True}),
    "iris": (IRIS.data, IRIS_NAMES, (8,), {}, {}),
    "iris, a plane": (
        IRIS.data,
        IRIS_NAMES,
        (8,),
        {"columns": ("petal length (cm)", "petal width (cm)")},
        {},
    ),
    "digits": (DIGITS.data, DIGITS.target, (30,), {"image_shape": (8, 8)}, {"max_iter": 5}),
    "words and gaps": (*PENGUINS, (8,), {}, {}),
    "words, gaps and bins": (
        *PENGUINS,
        (8,),
        {"columns": ("bill_length_mm", "bill_depth_mm")},
        {"numerical_encoding": "piecewise_linear"},
    ),
    "labels": (MOONS[0], LABELS, (5,), {}, {}),
}


def case(page_of, name):
    X, y, hidden, options, settings = CASES[name]
    return page_of(X, y, hidden, options, **settings)


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize("name", CASES)
def test_probabilities_are_those_of_predict_proba(page_of, name):
    page, clf, recording = case(page_of, name)
    page.open()
    for frame in (0, page.last // 2, recording.kept):
        computed = page.js("learning.probabilities(arguments[0])", frame)
        expected = recording.networks[frame].probabilities(recording.X)
        assert_allclose(computed, expected, rtol=0, atol=1e-6)
    assert_array_equal(expected, clf.network_.probabilities(recording.X))


@pytest.mark.parametrize("settings", [{"dtype": "float32"}, {"scale_features": False}, {}], ids=str)
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_whatever_the_activation_and_the_columns(page_of, activation, settings):
    # One column is far from zero, one has a value far out, one is mostly zero, one is constant.
    rng = np.random.RandomState(0)
    X = rng.normal(size=(60, 4)) * [3, 1e-3, 1, 0] + [1e6, 0, 0, 5]
    X[7, 1], X[:40, 2] = 9, 0
    if not settings.get("scale_features", True):
        X = X[:, 1:]
    page, _, recording = page_of(
        X, rng.randint(3, size=60), (5,), activation=activation, **settings
    )
    computed = page.open().js("learning.probabilities(learning.recording.kept)")
    assert_allclose(computed, recording.fitted.probabilities(recording.X), rtol=0, atol=1e-6)


def test_a_linear_model_has_a_page_as_well(page_of):
    for X, y in ((IRIS.data, IRIS_NAMES), MOONS):
        page, _, recording = page_of(X, y, ())
        computed = page.open().js("learning.probabilities(learning.recording.kept)")
        assert_allclose(computed, recording.fitted.probabilities(recording.X), rtol=0, atol=1e-6)
        assert page.faults() == []


# ---------------------------------------------------------------- what is shown


TOO_WIDE = """
    [...document.querySelectorAll("main *, .player *")]
        .filter((e) => e.getClientRects().length && !e.closest("option"))
        .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
        .map((e) => e.outerHTML.slice(0, 90))
    """


@pytest.mark.parametrize("name", CASES)
def test_it_fits_its_window_and_says_nothing_in_the_console(page_of, name):
    page = case(page_of, name)[0].open(PHONE)
    for size in (PHONE, TABLET, DESKTOP, (1600, 1000)):
        page.resize(size)
        page.press(Keys.HOME, Keys.RIGHT)
        assert page.js("[document.documentElement.scrollWidth, innerWidth]") == [size[0]] * 2
        assert page.js(TOO_WIDE.strip()) == []
    assert page.faults() == []


@pytest.mark.parametrize(
    "fault, message",
    [
        ("<script>missing()</script>", "missing is not defined"),
        ("<img src='https://example.org/a.png'>", "Content Security Policy"),
        ("<script>location.hash || fetch('other.json')</script>", "Content Security Policy"),
    ],
)
def test_faults_are_found(page_of, tmp_path, fault, message):
    page = case(page_of, "xor")[0]
    text = page.path.read_text().replace("</body>", f"{fault}</body>")
    faulty = Page(page.browser, tmp_path / "page.html")
    faulty.path.write_text(text)
    found = faulty.open().faults()
    assert any(message in fault for fault in found)


def test_requests_are_found(page_of, tmp_path):
    page = case(page_of, "xor")[0]
    (tmp_path / "other.js").write_text("")
    faulty = Page(page.browser, tmp_path / "page.html")
    faulty.path.write_text("<script src='other.js'></script>")
    (fault,) = faulty.open().faults()
    assert "other.js" in fault


def test_counts_and_truth_table(page_of):
    page, clf, recording = case(page_of, "xor")
    page.open()
    assert page.text("h1") == "How a network learnt to tell even and odd apart"
    assert page.text("#counts") == "All 4 right"
    rows = [row.text.split() for row in page.all("#table tbody tr")]
    p = clf.predict_proba(XOR[0])[:, 1]
    for i, (x, wanted) in enumerate(zip(*XOR, strict=True)):
        assert rows[i] == [*(f"{v:g}" for v in x), wanted, f"{p[i]:.3f}", "✓"]
    page.slide(0)
    wrong = int((recording.networks[0].probabilities(XOR[0]).argmax(1) != [0, 1, 1, 0]).sum())
    assert wrong > 0
    assert page.text("#counts") == f"{4 - wrong} right, {wrong} wrong"
    assert len(page.all("#plot .wrong .ring")) == wrong
    assert [row.text[-1] for row in page.all("#table tbody tr")].count("✗") == wrong


def test_pictures_of_units_are_what_they_see(page_of):
    page, clf, _ = case(page_of, "moons, two layers")
    page.open()
    n = page.js("document.querySelector('.unit button canvas').width")
    low, high = (np.array(page.js(f"learning.recording.view.{end}")) for end in ("low", "high"))
    share = np.linspace(0, 1, n)
    x, y = np.meshgrid(low[0] + share * (high[0] - low[0]), high[1] - share * (high[1] - low[1]))
    layers = clf.hidden_activations(np.column_stack([x.ravel(), y.ravel()]))
    buttons = page.all(".unit button")
    for button, a in zip(buttons, np.hstack(layers).T, strict=False):
        pixels = page.js(
            "[...arguments[0].getContext('2d').getImageData(0, 0, arguments[1], arguments[1]).data]"
            ".filter((_, i) => i % 4 === 0)",
            button.find_element(By.CSS_SELECTOR, "canvas"),
            n,
        )
        # From paper, 255, to nine tenths of indigo, whose red is 0x3b.
        assert_allclose(pixels, 255 + 0.9 * a * (0x3B - 255), atol=1.5)
    assert len(buttons) == 6 + 4 + 1


def test_a_chosen_unit_is_shown_in_large(page_of):
    page, _, _ = case(page_of, "moons, two layers")
    page.open()
    before = page.picture("#plot canvas")
    unit = page.all(".unit button")[7]
    unit.click()
    assert page.text("#decision-title") == "Where unit 1 of hidden layer 2 is active"
    large, small = (
        page.picture("#plot canvas"),
        page.picture(".unit button[aria-pressed=true] canvas"),
    )
    assert large == small != before
    assert page.text("#readout").startswith("Unit 1 of hidden layer 2. Weights: unit ")
    page.press(Keys.ESCAPE)
    assert page.picture("#plot canvas") == before
    assert page.text("#decision-title") == "What it decides"


def test_names_are_text(page_of):
    evil = "<script>document.title = 'hacked'</script><img src=x onerror=\"document.title='x'\">"
    frame = IRIS.data.iloc[:, [0, 2]].rename(columns={"sepal length (cm)": evil})
    classes = np.where(IRIS.target > 0, "<b>one</b>", "&lt;none")
    for options in ({}, {"columns": (0, 1), "title": evil}):
        page, _, _ = page_of(frame, classes, (3,), options)
        page.open()
        assert page.browser.title == options.get("title", page.text("h1"))
        assert page.all("main img, main script, main b:not(.bar b)") == []
        assert page.js("document.querySelector('.unit .name').textContent") == evil
        assert page.text("#classes li:nth-child(2) span") == "<b>one</b>"
        assert page.faults() == []


def test_more_inputs_are_bars_by_name(page_of):
    page, clf, recording = case(page_of, "iris")
    page.open()
    W = clf.coefs_[0]
    most = max(np.abs(network.coefs[0]).max() for network in recording.networks)
    for unit, card in enumerate(page.all(".card")):
        bars = card.find_elements(By.CSS_SELECTOR, ":scope > .bar")
        assert [bar.text for bar in bars] == list(IRIS.data.columns)
        for bar, w in zip(bars, W[:, unit], strict=True):
            filled = bar.find_element(By.CSS_SELECTOR, "b")
            share = float(page.js("arguments[0].style.width", filled).rstrip("%")) / 50
            assert share == pytest.approx(abs(w) / most, abs=1e-3)
            assert (filled.get_attribute("class") == "negative") == (w < 0)
    assert len(page.all("#plot .lane")) == 3


def test_words_and_gaps_are_inputs_with_names(page_of):
    page, clf, _ = case(page_of, "words and gaps")
    page.open()
    inputs = page.js("learning.recording.inputs")
    gaps = [name for name in inputs if name.endswith(" missing")]
    assert gaps == [f"{name} missing" for name in PENGUINS[0].columns[1:5]]
    others = [name for name in clf.input_names_ if not name.startswith("missing")]
    assert [name for name in inputs if name not in gaps] == others
    page = case(page_of, "words, gaps and bins")[0].open()
    assert "2 rows with a gap in these columns are not on it." in page.text("#decision-note")
    assert len(page.all("#plot .dot")) == len(PENGUINS[0]) - 2


def test_pixels_are_images(page_of):
    page, _, recording = case(page_of, "digits")
    page.open()
    assert len(page.all(".card canvas")) == 12
    assert len(page.all(".images li")) == 60
    answers = recording.fitted.probabilities(recording.X).argmax(axis=1)
    said = [item.text.replace("✗ ", "") for item in page.all(".images li")]
    assert said == [str(answers[i]) for i in page.js("learning.recording.view.rows")]


@pytest.mark.parametrize("name", ["iris, a plane", "iris", "digits"])
def test_dark_and_light(page_of, name):
    page = case(page_of, name)[0]
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    canvas = ".unit canvas, .card canvas, .lanes"
    looks = []
    for scheme in ("light", "dark"):
        page.open(prefers_color_scheme=scheme)
        looks.append([page.js(ground), page.one(canvas).screenshot_as_base64])
    assert looks[0][0] != looks[1][0]
    assert looks[0][1] != looks[1][1]
    # Switched while the page is open, it is drawn anew.
    page.command("Emulation.setEmulatedMedia", features=[])
    page.command(
        "Emulation.setEmulatedMedia",
        features=[{"name": "prefers-color-scheme", "value": "light"}],
    )
    wait_until(
        page.browser,
        lambda: [page.js(ground), page.one(canvas).screenshot_as_base64] == looks[0],
    )


def test_those_who_do_not_see_are_told(page_of):
    page = case(page_of, "moons, two layers")[0].open()
    page.press(Keys.HOME)
    assert page.text("#status").startswith("before the first epoch: ")
    assert page.one("#slider").get_attribute("aria-valuetext") == page.text("#status")
    unnamed = page.js(
        "[...document.querySelectorAll('button, [role=img], select, input')]"
        ".filter(e => !(e.getAttribute('aria-label') || e.labels?.[0]?.textContent)).length"
    )
    assert unnamed == 0
    assert page.one("#plot svg").accessible_name.startswith("The plane of x0 (across) and x1 (up)")
    assert page.one(".unit button").accessible_name.startswith("Unit 0 of hidden layer 1. Weights")


# ---------------------------------------------------------------- the player


def test_slider(page_of):
    page, _, recording = case(page_of, "moons, two layers")
    page.open()
    assert page.frame == recording.kept
    assert page.last == len(recording.epochs) - 1
    assert page.text("#where").endswith("which was kept")
    seen = {page.picture("#plot canvas")}
    for frame in (0, 3):
        page.slide(frame)
        seen.add(page.picture("#plot canvas"))
        epoch = recording.epochs[frame]
        assert page.text("#where").startswith(f"Epoch {epoch} of" if epoch else "Before the first")
    assert len(seen) == 3


def test_keys(page_of):
    page = case(page_of, "xor")[0].open()
    page.press(Keys.HOME)
    assert page.frame == 0
    page.press(Keys.RIGHT, Keys.RIGHT, Keys.RIGHT, Keys.LEFT)
    assert page.frame == 2
    page.press(Keys.END, Keys.RIGHT)
    assert page.frame == page.last
    page.press("+", "+", "-")
    assert page.one("#speed").get_property("value") == "2"
    page.press(*"---")  # slow enough to pause before the end
    page.watch_play()
    page.press(" ", " ")
    assert page.said == [["Pause", 0], ["Play", page.frame]]
    assert page.frame < page.last
    # By tab to a button, which the space bar presses once.
    page.one("#back").send_keys("")
    before = page.frame
    page.press(Keys.SPACE)
    assert page.frame == max(before - 1, 0)


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_play_to_the_end(page_of, motion):
    page = case(page_of, "iris, a plane")[0].open(prefers_reduced_motion=motion)
    assert page.frame == page.last
    page.press("+", "+")
    page.watch_play()
    page.one("#play").click()
    assert page.said[0] == ["Pause", 0]
    if motion == "reduce":
        page.slide(page.last - 2)
        page.one("#play").click()
    wait_until(page.browser, lambda: page.one("#play").get_attribute("aria-label") == "Play")
    assert page.said[-1] == ["Play", page.last] == ["Play", page.frame]
    assert page.text("#status").startswith("epoch ")
    assert page.faults() == []


def test_steps_and_the_loss_curve(page_of):
    page, _, recording = case(page_of, "xor")
    page.open()
    page.one("#back").click()
    assert page.frame == page.last - 1
    page.one("#ahead").click()
    assert page.frame == page.last
    curve = page.one("#loss svg")
    ActionChains(page.browser).move_to_element(curve).click().perform()
    at = recording.epochs[page.frame] / recording.epochs[-1]
    assert 0.3 < at < 0.6


def test_touch(page_of):
    page = case(page_of, "xor")[0].open(PHONE)
    page.command("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        for selector in ("#back", ".unit button"):
            box = page.js(
                "(r => [r.x + r.width / 2, r.y + r.height / 2, r.width, r.height])"
                "(document.querySelector(arguments[0]).getBoundingClientRect())",
                selector,
            )
            assert min(box[2:]) >= 30
            point = [{"x": box[0], "y": box[1]}]
            page.command("Input.dispatchTouchEvent", type="touchStart", touchPoints=point)
            page.command("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        # A touch is a click only when the browser knows that it was no other gesture.
        wait_until(page.browser, lambda: page.text("#decision-title") == "Where unit 0 is active")
    finally:
        page.command("Emulation.setTouchEmulationEnabled", enabled=False)
    assert page.frame == page.last - 1
