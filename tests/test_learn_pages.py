"""The pages for learners: their pictures, the code that they show, and their exercises."""

import ast
import os
import re
import runpy
from pathlib import Path

import pytest
from test_docs import Block, split_page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LEARN = sorted((DOCS / "learn").glob("*.md"))
FROM = sorted((DOCS / "coming_from").glob("*.md"))
PAGES = [*LEARN, *sorted((DOCS / "getting_started").glob("*.md")), *FROM]
PICTURES = DOCS / "images" / "learn"


def blocks_of(page: Path, tag: str) -> list[Block]:
    return [block for block in split_page(page.read_text())[0] if block.tag == tag]


# ---------------------------------------------------------------- pictures


@pytest.mark.slow
def test_the_script_draws_the_pictures_of_the_pages(tmp_path):
    pytest.importorskip("matplotlib")
    runpy.run_path(str(DOCS / "examples" / "learn_pictures.py"))["main"](tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in PICTURES.iterdir()}
    for name in drawn:
        written = (tmp_path / name).read_text()
        assert len(written) == pytest.approx((PICTURES / name).stat().st_size, rel=0.2), name


def test_every_picture_is_on_a_page_and_described_in_words():
    text = "\n".join(page.read_text() for page in PAGES)
    for path in PICTURES.iterdir():
        (alt,) = re.findall(rf"!\[([^\]]*)\]\(\.\./images/learn/{path.name}\)", text)
        assert len(alt) > 40, path.name


def test_pictures_follow_the_scheme_of_the_page():
    for path in PICTURES.iterdir():
        svg = path.read_text()
        assert "prefers-color-scheme: dark" in svg
        # Outside the style sheet no colour of a light page is left.
        fixed = set(re.findall(r"(?:fill|stroke): (#\w+)", svg))
        assert not fixed, path.name
        assert len(svg) < 250_000, path.name


# ---------------------------------------------------------------- code


def test_the_network_by_hand_has_forty_lines():
    code = blocks_of(DOCS / "learn" / "by_hand.md", "python")[0].source
    assert "def backward" in code
    assert len([line for line in code.splitlines() if line]) <= 40


def included(page: Path) -> list[tuple[Path, dict[str, str]]]:
    """Files that a page includes code from, with the options."""
    found = []
    for start in re.finditer(r"^```\{literalinclude\} (\S+)$", page.read_text(), re.MULTILINE):
        options = re.match(r"\n(?::.*\n)*", page.read_text()[start.end() :])[0]
        pairs = re.findall(r'^:([\w-]+): "?(.*?)"?$', options, re.MULTILINE)
        found.append(((page.parent / start[1]).resolve(), dict(pairs)))
    return found


@pytest.mark.parametrize("name", ["learn/source.md", "coming_from/pytorch.md"])
def test_a_page_shows_code_that_is_there(name):
    page = DOCS / name
    shown = included(page)
    assert len(shown) > 3
    for path, options in shown:
        code = path.read_text()
        assert options["language"] == "python"
        # A host of code shows the page without what it includes: there, a link leads to the file.
        assert f"]({os.path.relpath(path, page.parent)})" in page.read_text()
        if "start-at" in options:
            assert code.count(options["start-at"]) == 1, options
        else:
            body = ast.parse(code).body
            for name in options["pyobject"].split("."):
                named = [x for x in body if getattr(x, "name", "") == name]
                assert len(named) == 1, options
                body = named[0].body


def test_a_network_of_pytorch_is_the_same():
    pytest.importorskip("torch")
    script = runpy.run_path(str(DOCS / "examples" / "from_pytorch.py"))
    assert script["main"]() < 1e-9


def test_install_says_what_the_readme_says():
    readme, install = (
        path.read_text() for path in (ROOT / "README.md", DOCS / "getting_started" / "install.md")
    )
    for start in ("python3 -m venv .venv && .venv/bin/python -m pip install . ", "py -m venv"):
        (command,) = set(re.findall(rf"{re.escape(start)}[^`\n]*", readme))
        assert command in install


def test_install_names_the_extras_that_there_are():
    extras = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    page = (DOCS / "getting_started" / "install.md").read_text()
    named = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert len(named) == 4
    assert set(named) <= extras


def test_numbers_are_those_of_the_benchmarks():
    defaults, search, fit = (
        (DOCS / "benchmarks" / name).read_text()
        for name in ("defaults.md", "search_speed.md", "fit_speed.md")
    )
    text = "\n".join(page.read_text() for page in PAGES)
    quoted = re.findall(r"\d\.\d{4} ± \d\.\d{4}", text)
    assert len(quoted) > 2
    assert all(f"+{pair} |" in defaults for pair in quoted)
    alone, *_, of_64 = numbers_of("| 4-4-3 |", search)
    assert f"takes {alone:.0f} µs alone, and {of_64:.0f} µs as one of 64" in text
    _, ours, _, theirs, *_ = numbers_of("| iris | float64 |", fit)
    assert f"{theirs:.0f} µs against {ours:.0f} µs" in text


def numbers_of(row, page):
    """Numbers in the first row of a page that begins so."""
    [line, *_] = [line for line in page.splitlines() if line.startswith(row)]
    return [float(cell.replace(",", "")) for cell in line.removeprefix(row).split("|")[:-1]]


# ---------------------------------------------------------------- exercises


@pytest.mark.parametrize("page", LEARN, ids=lambda page: page.name)
def test_every_exercise_has_a_solution_that_runs(page):
    text = page.read_text()
    if page.name == "index.md":
        return
    *_, exercises = text.split("\n## Exercises\n")
    numbers = re.findall(r"^\*\*(\d)\.\*\*", exercises, re.MULTILINE)
    assert numbers == [str(i + 1) for i in range(len(numbers))]
    assert len(numbers) > 1
    # With blank lines around it, Markdown within is rendered by Sphinx and on hosts of code alike.
    solutions = re.findall(
        r"\n\n<details>\n<summary>Solution</summary>\n\n(.*?)\n\n</details>\n", exercises, re.DOTALL
    )
    assert len(solutions) == len(numbers)
    assert all("```python\n" in solution for solution in solutions)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_says_first_what_the_reader_can_do_after_it(page):
    first = next(line for line in page.read_text().splitlines() if line and line[0] != "#")
    assert first.startswith("After th")
