"""The web pages that Sphinx made of docs/: links lead somewhere, and the API is all there.

The environment variable BUILT_SITE names their folder, as the gate sets it when it has built them;
without it the tests of the pages are skipped.
"""

import inspect
import os
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

import sknn_scratch

SITE = Path(os.environ.get("BUILT_SITE", ""))
needs_site = pytest.mark.skipif(
    "BUILT_SITE" not in os.environ, reason="BUILT_SITE does not name a folder of web pages"
)


class Page(HTMLParser):
    """The addresses within a page, what it links to and shows, and what it says of itself."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.meta = set(), set(), {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links |= {found[name] for name in ("href", "src") if found.get(name)}
        if tag == "meta":
            self.meta[found.get("property") or found.get("name")] = found.get("content")


@cache
def read(path):
    return Page(path.read_text(encoding="utf-8"))


def broken(page, site):
    """Links of a page to what is not in its site, or to a place that the other page lacks."""
    found = []
    for link in read(page).links:
        if re.match(r"[a-z][a-z0-9+.-]*:|//", link):
            continue
        path, place = urldefrag(link)
        path = unquote(path.split("?")[0])
        target = (page.parent / path).resolve() if path else page
        if target.is_dir():
            target /= "index.html"
        inside = target.is_relative_to(site.resolve()) and target.is_file()
        # What follows the # of another file is for its scripts.
        if not inside or (
            place and target.suffix == ".html" and unquote(place) not in read(target).ids
        ):
            found.append(link)
    return sorted(found)


def pages_of(site):
    """Pages made of docs/: not what a theme brings, and not those a network learnt on."""
    found = sorted(site.resolve().rglob("*.html"))
    others = {site.resolve() / name for name in ("_static", "pages")}
    return [page for page in found if not others & {*page.parents}]


@needs_site
def test_links_lead_somewhere():
    pages = pages_of(SITE)
    assert len(pages) > 40
    faults = {str(page.relative_to(SITE.resolve())): broken(page, SITE) for page in pages}
    assert {page: links for page, links in faults.items() if links} == {}


def test_broken_links_are_found(tmp_path):
    (tmp_path / "b.html").write_text("<h1 id='here'>b</h1><a href='a.html'>a</a>")
    (tmp_path / "a.html").write_text("""
        <a href="b.html#here">good</a> <a href="#self" id="self">good</a> <img src="">
        <a href="https://example.org/none">elsewhere</a> <a href="b.html?q=a">good</a>
        <a href="b.html#there">bad</a> <a href="c.html">bad</a> <img src="c.png">
        <a href="#none">bad</a> <a href="../up.html">bad</a>
        """)
    assert broken(tmp_path / "b.html", tmp_path) == []
    assert broken(tmp_path / "a.html", tmp_path) == [
        "#none",
        "../up.html",
        "b.html#there",
        "c.html",
        "c.png",
    ]


CLASSES = [name for name in sknn_scratch.__all__ if inspect.isclass(getattr(sknn_scratch, name))]


@needs_site
@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_a_page_and_each_parameter_an_address(name):
    page, cls = read(SITE / "api" / f"{name}.html"), getattr(sknn_scratch, name)
    address = f"sknn_scratch.{name}"
    parts = [f"{address}.{parameter}" for parameter in inspect.signature(cls).parameters]
    if issubclass(cls, sknn_scratch.ScratchMLPClassifier):
        parts += [f"{address}.{part}" for part in ("score", "set_callbacks", "coefs_", "classes_")]
    assert {address, *parts} <= page.ids


@needs_site
def test_every_public_name_is_in_the_api():
    pages = [read(page) for page in (SITE / "api").glob("*.html")]
    there = {place for page in pages for place in page.ids}
    names = {f"sknn_scratch.{name}" for name in sknn_scratch.__all__}
    assert names | {"sknn_scratch.datasets.load_penguins", "module-sknn_scratch.onnx"} <= there


@needs_site
@pytest.mark.parametrize("name", CLASSES)
def test_a_signature_is_short(name):
    text = (SITE / "api" / f"{name}.html").read_text(encoding="utf-8")
    signature = re.search(rf'<dt [^>]*id="sknn_scratch\.{name}">(.*?)</dt>', text, re.DOTALL)[1]
    words = re.sub(r"<[^>]+>|\s+", "", signature.split("viewcode-link")[0])
    parameters = list(inspect.signature(getattr(sknn_scratch, name)).parameters)
    long = len(parameters) > 6
    assert f"{name}(" in words
    assert parameters[0] in words
    assert (parameters[-1] in words) != long
    assert ("*,...)" in words) == long
    assert len(words) < 160


@needs_site
def test_other_references_are_linked():
    text = (SITE / "api" / "ScratchMLPClassifier.html").read_text(encoding="utf-8")
    assert not re.search(r">(python|numpy):", text), "a name of numpydoc's own is left"
    links = read(SITE / "api" / "ScratchMLPClassifier.html").links
    for start, end in (
        ("https://scikit-learn.org/", "#sklearn.neural_network.MLPClassifier"),
        ("https://numpy.org/", "#numpy.ndarray"),
        ("https://docs.python.org/", "#float"),
    ):
        assert any(link.startswith(start) and link.endswith(end) for link in links)


@needs_site
def test_what_a_message_with_a_link_shows():
    meta = read(SITE / "guide" / "watching.html").meta
    assert meta["og:title"] == "Watch it learn"
    assert meta["og:description"] == meta["description"]
    assert len(meta["description"]) > 50
    image = meta["og:image"]
    assert image.startswith("https:") or (SITE / image).is_file()
