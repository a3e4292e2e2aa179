"""README.md and docs/ are true: their Python runs and prints what they say, links lead to files.

A page's blocks tagged ``python`` are run in order, in one namespace. What a block prints is
compared with the next fenced block, if that is tagged ``text``; if it is tagged ``text about``, its
numbers may differ, as those of seconds do. A block that begins with ``>>>`` is run as a doctest.
"""

import contextlib
import doctest
import io
import re
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
# What the Python of a page needs, and not every supported environment has.
NEEDS = {"callbacks.md": ["sklearn.callback"]}
NUMBER = r"-?\d+(\.\d+)?"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """A fenced block of a page."""

    tag: str
    source: str
    line: int
    """Number of the first line of the source, from 1."""


def pages(root: Path) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def split_page(text: str) -> tuple[list[Block], str]:
    """Fenced blocks of a page, and its prose."""
    blocks, prose, inside, fence, tag = [], [], [], None, ""
    for number, line in enumerate(text.splitlines(), start=1):
        mark = re.match(r"\s*(`{3,}|~{3,})\s*([^\s`]*( about$)?)", line)
        if fence is None and mark:
            fence, tag, inside = mark[1], mark[2], []
        elif fence is None:
            prose.append(line)
        elif mark and mark[1].startswith(fence) and not mark[2]:
            indent = min((len(x) - len(x.lstrip()) for x in inside if x.strip()), default=0)
            source = "".join(f"{x[indent:]}\n" for x in inside)
            blocks.append(Block(tag, source, number - len(inside)))
            fence = None
        else:
            inside.append(line)
    assert fence is None, f"the block tagged {tag!r} is not closed"
    return blocks, "\n".join(prose)


# ---------------------------------------------------------------- code


def run_doctest(block: Block, namespace: dict, name: str) -> None:
    examples = doctest.DocTestParser().get_examples(block.source)
    test = doctest.DocTest(examples, namespace, name, name, block.line - 1, block.source)
    report = io.StringIO()
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=report.write, clear_globs=False)
    if report.getvalue():
        raise AssertionError(report.getvalue())
    namespace.update(test.globs)


def run_plain(block: Block, namespace: dict, name: str, following: Block) -> None:
    # Blank lines in front make the lines of a traceback those of the page.
    code = compile("\n" * (block.line - 1) + block.source, name, "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    if not following.tag.startswith("text"):
        return
    expected, got = following.source, printed.getvalue()
    if following.tag == "text about":
        expected, got = (re.sub(NUMBER, "(number)", text) for text in (expected, got))
    checker = doctest.OutputChecker()
    if not checker.check_output(expected, got, FLAGS):
        difference = checker.output_difference(doctest.Example("", expected), got, FLAGS)
        raise AssertionError(f"{name}, line {block.line}:\n{difference}")


def run_page(page: Path) -> int:
    """Run the Python of a page; return how many blocks that were."""
    blocks, _ = split_page(page.read_text())
    namespace, count = {"__name__": "__main__"}, 0
    for block, following in pairwise([*blocks, Block("", "", 0)]):
        if block.tag != "python":
            continue
        count += 1
        if block.source.lstrip().startswith(">>>"):
            run_doctest(block, namespace, str(page))
        else:
            run_plain(block, namespace, str(page), following)
    return count


def with_python(root: Path) -> list[Path]:
    return [
        page
        for page in pages(root)
        if any(block.tag == "python" for block in split_page(page.read_text())[0])
    ]


def page_of(path: Path):
    """A page as a parameter; one that starts joblib's processes is for the worker that has them."""
    mark = pytest.mark.xdist_group("processes")
    return pytest.param(path, marks=mark if path.name == "stacked_search.md" else ())


@pytest.mark.parametrize(
    "page", map(page_of, with_python(ROOT)), ids=lambda page: str(page.relative_to(ROOT))
)
def test_python_of_a_page_runs(page, tmp_path, monkeypatch):
    for module in NEEDS.get(page.name, []):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    assert run_page(page) > 0


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda page: str(page.relative_to(ROOT)))
def test_python_is_tagged_as_such(page):
    tags = {block.tag for block in split_page(page.read_text())[0]}
    wrong = {"", "Python", "ipython", "py", "pycon", "python3"} & tags
    assert not wrong, "a block that is run is tagged python; one that is not, by what it is"


# ---------------------------------------------------------------- links


def relative_links(page: Path) -> list[str]:
    """Targets of a page's links to files, without what follows a #."""
    prose = re.sub(r"(`+).+?\1", "", split_page(page.read_text())[1], flags=re.DOTALL)
    inline = re.findall(r"\]\(\s*<?([^)>\s]+)", prose)
    references = re.findall(r"^ {0,3}\[[^\]]+\]:\s+<?([^>\s]+)", prose, flags=re.MULTILINE)
    html = re.findall(r"\b(?:href|src)=[\"']([^\"']+)", prose)
    files = [unquote(target.split("#")[0]) for target in inline + references + html]
    return [target for target in files if target and not re.match(r"[a-z][a-z0-9+.-]+:", target)]


def broken_links(page: Path, root: Path) -> list[str]:
    """Links of a page to what is not there, or outside of the project."""
    return [
        target
        for target in relative_links(page)
        if not (page.parent / target).exists()
        or not (page.parent / target).resolve().is_relative_to(root.resolve())
    ]


def pages_below(page: Path) -> list[str]:
    """Targets of a page's tables of contents."""
    blocks = [block for block in split_page(page.read_text())[0] if block.tag == "{toctree}"]
    lines = [line for block in blocks for line in block.source.splitlines()]
    named = [re.sub(r".*<(.+)>", r"\1", line) for line in lines if line and line[0] != ":"]
    return [f"{name}.md" for name in named]


def unreachable_pages(root: Path) -> list[str]:
    """Pages of docs/ that no link or table of contents leads to from README.md or docs/index.md."""
    todo, seen = [root / "README.md", root / "docs" / "index.md"], set()
    while todo:
        page = todo.pop().resolve()
        if page not in seen and page.suffix == ".md" and page.is_file():
            seen.add(page)
            todo += [page.parent / x for x in relative_links(page) + pages_below(page)]
    return [str(page.relative_to(root)) for page in pages(root) if page.resolve() not in seen]


@pytest.mark.parametrize(
    "page",
    [*pages(ROOT), ROOT / "CHANGELOG.md"],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_lead_to_files(page):
    assert broken_links(page, ROOT) == []


def test_every_page_can_be_reached():
    assert (ROOT / "docs" / "index.md").is_file()
    assert unreachable_pages(ROOT) == []


# ---------------------------------------------------------------- the checks themselves


def write_page(folder: Path, *lines: str, name: str = "README.md") -> Path:
    page = folder / name
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join(lines) + "\n")
    return page


def fenced(tag: str, *lines: str) -> list[str]:
    return [f"```{tag}", *lines, "```"]


def test_blocks_of_a_page_share_a_namespace(tmp_path):
    page = write_page(
        tmp_path,
        *fenced("python", "a = 1"),
        *fenced("text", ""),
        *fenced("python", ">>> a + 1", "2", ">>> b = 3"),
        *fenced("toml", "not python"),
        *fenced("python", "print(a + b)"),
        "It prints:",
        *fenced("text", "4"),
        *fenced("python", "print(0.5, 's', -2)"),
        *fenced("text about", "1.25 s 3"),
    )
    assert run_page(page) == 4


@pytest.mark.parametrize(
    "lines, message",
    [
        ([*fenced("python", "print(1 + 1)"), "", *fenced("text", "3")], "README.md, line 2:"),
        ([*fenced("python", "print(1 + 1)"), "so:", *fenced("text", "3")], "Got:\n    2"),
        ([*fenced("python", "print(0.5, 's')"), *fenced("text about", "1 h")], "line 2:"),
        ([*fenced("python", "print(0.5, 's')"), *fenced("text about", "1 2 s")], "line 2:"),
        (["", *fenced("python", ">>> 1 + 1", "3")], "line 3, in .*\nFailed example:"),
        (fenced("python", "assert 1 + 1 == 3, 'wrong'"), "wrong"),
        (["````python", "assert 1 + 1 == 3, 'wrong'", "````"], "wrong"),
        (["1. One:", "   ```python", "   if True:", "       assert 0, 'wrong'", "   ```"], "wrong"),
        (["```python", "a = 1"], "the block tagged 'python' is not closed"),
    ],
)
def test_a_wrong_page_is_found(tmp_path, lines, message):
    page = write_page(tmp_path, *lines)
    with pytest.raises(AssertionError, match=message):
        run_page(page)


def test_an_error_says_the_line_of_the_page(tmp_path):
    page = write_page(tmp_path, "# Title", "", *fenced("python", "a = 1", "a / 0"))
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page)
    last = caught.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (str(page), 5)


def test_a_broken_link_is_found(tmp_path):
    write_page(tmp_path, "here", name="docs/page name.md")
    page = write_page(
        tmp_path,
        "[good](docs/page%20name.md#part), [self](#part), [web](https://example.org), `[x](code)`",
        "[bad](docs/other.md), ![picture](docs/none.svg 'title'), [outside](../..)",
        "<img src='docs/none.png'>",
        "[ref]: docs/nowhere.md",
        *fenced("text", "[in a block](nowhere.md)"),
    )
    assert broken_links(page, tmp_path) == [
        "docs/other.md",
        "docs/none.svg",
        "../..",
        "docs/nowhere.md",
        "docs/none.png",
    ]


def test_a_page_that_cannot_be_reached_is_found(tmp_path):
    write_page(tmp_path, "[docs](docs/index.md)")
    contents = fenced("{toctree}", ":hidden:", "", "three", "Four <four>")
    write_page(tmp_path, "[one](one.md)", *contents, name="docs/index.md")
    for name in ("three", "four"):
        write_page(tmp_path, "text", name=f"docs/{name}.md")
    write_page(tmp_path, "[two](deep/two.md)", name="docs/one.md")
    write_page(tmp_path, "[up](../index.md)", name="docs/deep/two.md")
    write_page(tmp_path, "[one](one.md)", name="docs/island.md")
    assert unreachable_pages(tmp_path) == ["docs/island.md"]
