"""The web pages that Sphinx made of docs/ work in a browser, at a desk and on a phone.

The environment variable BUILT_SITE names their folder, as the gate sets it when it has built them;
without it these tests are skipped. Headless Chromium (browser.py) visits every page. It reaches
nothing but the server of the tests, so that what a page shows it shows without a network.
"""

import json
import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest
from browser import DESKTOP, PHONE, emulate, resize, start_chromium, wait_until
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By

SITE = Path(os.environ.get("BUILT_SITE", ""))
if not os.environ.get("BUILT_SITE"):
    pytest.skip("BUILT_SITE does not name a folder of web pages", allow_module_level=True)

# One worker has the browser, and visits each page once.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def serve():
    """Serve a folder; return its address."""
    servers = []

    def serve(folder):
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def chromium():
    browser = start_chromium("host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1")
    browser.set_script_timeout(120)
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def home(serve):
    assert (SITE / "index.html").is_file(), f"BUILT_SITE={SITE} has no index.html"
    return serve(SITE)


# ---------------------------------------------------------------- a visit

LOADED = """
const done = arguments[0];
document.querySelectorAll("[loading=lazy]").forEach((e) => { e.loading = "eager"; });
const images = () => [...document.images].every((image) => image.complete);
const wait = () =>
  document.readyState === "complete" && images() ? done(true) : setTimeout(wait, 20);
wait();
"""

# What is wrong with a page however wide it is.
FAULTS = r"""
const name = (e) => e.outerHTML.slice(0, 120);
const faults = [];
const heads = document.querySelectorAll("h1").length;
if (heads !== 1) faults.push(`${heads} h1`);
for (const image of document.images) {
  const shown = image.getClientRects().length;
  if (shown && !image.naturalWidth) faults.push(`missing: ${name(image)}`);
  // A picture within a link that has words needs none.
  const told = image.alt.trim() || image.closest("a, .sphx-glr-thumbcontainer")?.textContent.trim();
  if (!told) faults.push(`no alt text: ${name(image)}`);
}
for (const frame of document.querySelectorAll("iframe")) {
  if (!frame.title) faults.push(`no title: ${name(frame)}`);
  if (!frame.contentDocument?.querySelector("h1")) faults.push(`missing: ${name(frame)}`);
}
for (const formula of document.querySelectorAll(".math")) {
  const drawn = formula.querySelector("math")?.getBoundingClientRect();
  if (!(drawn?.width > 4 && drawn?.height > 4)) faults.push(`not drawn: ${name(formula)}`);
}
const prose = document.querySelector("main").cloneNode(true);
prose.querySelectorAll("pre, code, script, style").forEach((e) => e.remove());
const tex = prose.textContent.match(/\\[a-zA-Z(\[]{2,}|\$[^$\s][^$]*\$/);
if (tex) faults.push(`raw TeX: ${tex[0]}`);
return faults;
"""

# And at this width: the page pans, or something stands beyond its edge and cannot be scrolled to.
TOO_WIDE = """
const faults = [], edge = arguments[0], width = document.documentElement.scrollWidth;
if (width > edge) faults.push(`${width} px wide`);
const scrolls = (e) => e && e !== document.body &&
  (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
for (const e of document.querySelectorAll("main *"))
  if (e.getClientRects().length && e.getBoundingClientRect().right > edge + 1 && !scrolls(e))
    faults.push(`beyond the edge: ${e.outerHTML.slice(0, 120)}`);
return faults.slice(0, 5);
"""


def messages_of(browser):
    """Warnings and errors in the console, and requests for other hosts than that of the tests."""
    entries = browser.get_log("browser")
    said = [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    local = ("http://127.0.0.1:", "data:", "blob:")
    return said + sorted(f"asks for {url}" for url in urls if not url.startswith(local))


def visit(browser, url):
    """Open a page at both widths; return what is wrong with it."""
    messages_of(browser)  # what was before is of no interest
    resize(browser, DESKTOP)
    browser.get(url)
    browser.execute_async_script(LOADED)
    faults = browser.execute_script(FAULTS)
    for size in (DESKTOP, PHONE):
        resize(browser, size)
        found = browser.execute_script(TOO_WIDE, size[0])
        faults += [f"at {size[0]} px: {fault}" for fault in found]
    return faults + messages_of(browser)


def test_every_page(chromium, home):
    # Of pages on which one watches a network learn, test_page_in_browser.py is the test.
    others = {"pages", "_static"}
    pages = [p for p in sorted(SITE.rglob("*.html")) if not others & {*p.relative_to(SITE).parts}]
    assert len(pages) > 40
    faults = {}
    for page in pages:
        name = page.relative_to(SITE).as_posix()
        found = visit(chromium, f"{home}/{name}")
        if found:
            faults[name] = found
    assert faults == {}


# ---------------------------------------------------------------- what visitors do

# What a visitor may type, and the page that answers it, among the first ten results.
SEARCHES = {
    "NaN": "guide/table_as_it_comes",
    "missing values": "guide/table_as_it_comes",
    "categorical": "guide/table_as_it_comes",
    "one-hot": "guide/table_as_it_comes",
    "overfitting": "guide/overfitting",
    "save model": "guide/deploying",
    "calibration": "guide/probabilities",
    "ScratchMLPRegressor": "api/ScratchMLPRegressor",
}


@pytest.mark.parametrize("words", SEARCHES)
def test_search(chromium, home, words):
    resize(chromium, DESKTOP)
    chromium.get(f"{home}/search.html?q={quote(words)}")
    done = "return document.querySelector('.search-summary')?.textContent.includes('found')"
    wait_until(chromium, lambda: chromium.execute_script(done))
    links = chromium.find_elements(By.CSS_SELECTOR, "#search-results li > a")
    found = [link.get_attribute("href").removeprefix(f"{home}/") for link in links]
    assert any(f"{SEARCHES[words]}.html" in link for link in found[:10]), found


def test_the_bar_is_one_row(chromium, home):
    chromium.get(f"{home}/index.html")
    for width in (1200, 1400, 1920):
        resize(chromium, (width, 900))
        items = chromium.find_elements(By.CSS_SELECTOR, ".bd-header .navbar-nav > .nav-item")
        shown = [item for item in items if item.is_displayed()]
        assert len(shown) >= 7
        assert len({item.rect["y"] for item in shown}) == 1
        assert chromium.find_element(By.CSS_SELECTOR, ".bd-header").rect["height"] < 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_on_the_home_page(chromium, home, scheme):
    resize(chromium, DESKTOP)
    chromium.get(f"{home}/index.html")
    chromium.execute_script("document.documentElement.dataset.theme = arguments[0]", scheme)
    frame = chromium.find_element(By.CSS_SELECTOR, "iframe.learning")
    chromium.execute_script("arguments[0].scrollIntoView()", frame)
    chromium.switch_to.frame(frame)
    try:
        # What the script of the page does last.
        wait_until(chromium, lambda: chromium.execute_script("return 'learning' in window"))
        chromium.find_element(By.CSS_SELECTOR, "#back").click()
        slider = chromium.find_element(By.CSS_SELECTOR, "#slider")
        last = int(slider.get_attribute("max"))
        assert int(slider.get_property("value")) == last - 1
        dark = "return matchMedia('(prefers-color-scheme: dark)').matches"
        wait_until(chromium, lambda: chromium.execute_script(dark) == (scheme == "dark"))
    finally:
        chromium.switch_to.default_content()


@pytest.mark.parametrize("page", ["index", "guide/pictures", "auto_gallery/plot_penguins"])
def test_nothing_is_white_in_the_dark(chromium, home, page):
    imread = pytest.importorskip("matplotlib.image").imread
    white = {}
    for scheme in ("light", "dark"):
        emulate(chromium, prefers_color_scheme=scheme)
        chromium.get(f"{home}/{page}.html")
        chromium.execute_async_script(LOADED)
        height = chromium.execute_script("return document.documentElement.scrollHeight")
        resize(chromium, (DESKTOP[0], min(height, 4000)))
        pixels = imread(BytesIO(chromium.get_screenshot_as_png()))[..., :3]
        white[scheme] = (pixels.min(axis=-1) > 0.85).mean()
    emulate(chromium)
    assert white["light"] > 0.5
    assert white["dark"] < 0.03


def test_code_is_copied_without_prompts_and_output(chromium, home):
    granted = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": home}
    chromium.execute_cdp_cmd("Browser.grantPermissions", granted)
    resize(chromium, DESKTOP)
    chromium.get(f"{home}/api/ScratchMLPClassifier.html")
    button = chromium.find_element(By.CSS_SELECTOR, "button.copybtn")
    chromium.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    ActionChains(chromium).move_to_element(button).click().perform()
    copied = chromium.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied.splitlines()[0] == "from sknn_scratch import ScratchMLPClassifier"
    assert "clf.predict" in copied
    assert "['odd', 'even']" not in copied


# ---------------------------------------------------------------- the checks themselves


@pytest.mark.parametrize(
    "body, fault",
    [
        ("", "0 h1"),
        ("<h1>a</h1><h1>b</h1>", "2 h1"),
        ("<h1>a</h1><img src='none.png' alt='none'>", "missing: <img"),
        ("<h1>a</h1><img src='dot.svg'>", "no alt text: <img"),
        ("<h1>a</h1><img src='dot.svg' alt=''>", "no alt text: <img"),
        ("<h1>a</h1><iframe src='dot.svg' title='a dot'></iframe>", "missing: <iframe"),
        ("<h1>a</h1><iframe src='index.html'></iframe>", "no title: <iframe"),
        (r"<h1>a</h1><span class='math'>\(x\)</span>", "not drawn: <span"),
        (r"<h1>a</h1><p>where \frac{1}{n} is</p>", r"raw TeX: \frac"),
        ("<h1>a</h1><p>where $x_i$ is</p>", "raw TeX: $x_i$"),
        ("<h1>a</h1><div style='width: 1000px'>wide</div>", "at 390 px: 1008 px wide"),
        (
            "<h1>a</h1><div style='overflow: hidden'><p style='width: 1000px'>cut</p></div>",
            "at 390 px: beyond the edge: <p",
        ),
        ("<h1>a</h1><script>missing()</script>", "missing is not defined"),
        ("<h1>a</h1><script src='none.js'></script>", "404"),
        ("<h1>a</h1><script>fetch('https://example.org').catch(() => 0)</script>", "asks for http"),
        (
            "<h1>a</h1><p>good</p><img src='dot.svg' alt='a dot'><math><mi>x</mi></math>"
            "<div style='overflow: auto'><p style='width: 1000px'>scrolls</p></div>"
            "<pre style='overflow: auto'>" + "long " * 100 + "</pre>",
            None,
        ),
    ],
)
def test_faults_are_found(chromium, serve, tmp_path, body, fault):
    (tmp_path / "dot.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><path d='M0 0h9v9z'/></svg>"
    )
    head = "<meta name=viewport content='width=device-width'><link rel=icon href='dot.svg'>"
    page = f"<!doctype html><html><head>{head}</head><body><main>{body}</main></body></html>"
    (tmp_path / "index.html").write_text("<h1>another</h1>")
    (tmp_path / "page.html").write_text(page)
    found = visit(chromium, f"{serve(tmp_path)}/page.html")
    if fault is None:
        assert found == []
    else:
        assert any(fault in one for one in found), found
