"""The examples of the gallery run, each draws a picture, and their style has the right colours.

The script that draws the pictures of a page is here, too.
"""

import re
import runpy
from pathlib import Path

import matplotlib
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

import sknn_scratch
from sknn_scratch import _palette

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs" / "gallery"
EXAMPLES = sorted(GALLERY.glob("plot_*.py"))
# What an example needs, and not every supported environment has.
NEEDS = {"plot_callback": "sklearn.callback"}


def pictures_of(example, monkeypatch) -> list[int]:
    """Run an example; for each figure that it shows, count the axes that hold something."""
    shown = []

    def show():
        for number in plt.get_fignums():
            figure = plt.figure(number)
            figure.canvas.draw()
            axes = [part for ax in figure.axes for part in (ax, *ax.child_axes)]
            shown.append(sum(ax.has_data() for ax in axes))
        plt.close("all")

    plt.close("all")
    monkeypatch.setattr(plt, "show", show)
    with matplotlib.rc_context():
        runpy.run_path(str(example), run_name="__main__")
    assert not plt.get_fignums(), "the last figure is shown too"
    return shown


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_draws_a_picture(example, tmp_path, monkeypatch):
    if example.stem in NEEDS:
        pytest.importorskip(NEEDS[example.stem])
    monkeypatch.chdir(tmp_path)
    counts = pictures_of(example, monkeypatch)
    assert counts and all(counts)
    assert list(tmp_path.iterdir()) == [], "an example leaves no files behind"


def test_an_example_without_a_picture_is_found(tmp_path, monkeypatch):
    example = tmp_path / "plot_nothing.py"
    example.write_text("import matplotlib.pyplot as plt\nplt.subplots()\nplt.show()\n")
    assert pictures_of(example, monkeypatch) == [0]
    example.write_text("import matplotlib.pyplot as plt\nplt.plot([1, 2])\n")
    with pytest.raises(AssertionError, match="the last figure is shown too"):
        pictures_of(example, monkeypatch)
    plt.close("all")


def test_every_example_has_its_place():
    order = runpy.run_path(str(ROOT / "docs" / "_ext" / "gallery_order.py"))
    assert sorted(order["EXAMPLES"]) == [path.stem.removeprefix("plot_") for path in EXAMPLES]
    assert order["place"]("plot_digits.py") == 1


def test_every_example_is_a_page_of_its_own():
    assert len(EXAMPLES) >= 12
    for example in EXAMPLES:
        text = example.read_text()
        title, line, _, first = text.removeprefix('"""\n').splitlines()[:4]
        assert set(line) == {"="} and len(line) == len(title), f"{example.name} has no title"
        assert first.strip() and "This example" in text.split('"""')[1], (
            f"the beginning of {example.name} does not say what it shows"
        )


def test_the_style_has_the_colours_of_the_palette():
    with plt.style.context("sknn_scratch.pictures"):
        cycle = [to_hex(color) for color in plt.rcParams["axes.prop_cycle"].by_key()["color"]]
        ink, muted, paper = (
            to_hex(plt.rcParams[name])
            for name in ("text.color", "axes.edgecolor", "figure.facecolor")
        )
    assert cycle == [light for light, _ in _palette.CLASS_COLORS]
    assert (ink, muted, paper) == (_palette.INK[0], _palette.MUTED[0], _palette.PAPER[0])


def test_colours_written_out_in_examples_are_those_of_the_palette():
    known = set(_palette.css().lower().replace(";", " ").split())
    known |= {to_hex(_palette.between_two()(x)) for x in (0.0, 1.0)}
    for example in EXAMPLES:
        written = set(re.findall(r"#[0-9a-f]{6}\b", example.read_text()))
        assert written <= known, f"{example.name}: {written - known}"


def test_the_style_is_part_of_the_package():
    assert (Path(sknn_scratch.__file__).parent / "pictures.mplstyle").is_file()


# ---------------------------------------------------------------- the pictures of a page


def test_the_pictures_of_the_page(tmp_path):
    docs = ROOT / "docs"
    runpy.run_path(str(docs / "examples" / "pictures.py"))["main"](tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    others = {"tables.png"}  # drawn by docs/benchmarks/accuracy_picture.py
    assert drawn == {path.name for path in (docs / "images").glob("*.png")} - others
    page = (docs / "guide" / "pictures.md").read_text()
    for name in drawn:
        assert f"(../images/{name})" in page
        assert (docs / "images" / name).stat().st_size < 130_000
        pixels = plt.imread(tmp_path / name)
        assert min(pixels.shape[:2]) > 700
        assert pixels.std() > 0.1
