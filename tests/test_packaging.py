"""What an index is given: a description whose links lead somewhere, and commands that work."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def readme():
    pytest.importorskip("hatchling")
    return runpy.run_path(str(ROOT / ".ci" / "readme.py"))


PAGE = """
![A picture](docs/a.png), [a page](docs/b.md#part), [here](#there), [web](https://example.org/c.md)
| ![In a table](d.png) | [mail](mailto:a@example.org) |

```python
table[0](x)
```
"""


def test_links_lead_to_the_repository(readme):
    made = readme["absolute"](PAGE, "https://example.org/us/project/")
    address = "https://example.org/us/project"
    for link in (
        f"![A picture]({address}/raw/HEAD/docs/a.png)",
        f"[a page]({address}/blob/HEAD/docs/b.md#part)",
        "[here](#there)",
        "[web](https://example.org/c.md)",
        f"![In a table]({address}/raw/HEAD/d.png)",
        "[mail](mailto:a@example.org)",
        "\ntable[0](x)\n",
    ):
        assert link in made


def test_without_an_address_they_stay_as_they_are(readme):
    assert readme["absolute"](PAGE, None) == PAGE


def test_no_link_of_the_readme_is_left_out(readme):
    text = (ROOT / "README.md").read_text()
    made = readme["absolute"](text, "https://example.org/project")
    prose = re.sub(r"^```.*?^```$", "", made, flags=re.DOTALL | re.MULTILINE)
    targets = re.findall(r"\]\(([^)]+)\)", prose)
    assert len(targets) > 10
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_the_hook_fills_in_the_description(readme):
    hook = readme["ReadmeHook"](str(ROOT), {})
    for urls in ({}, {"urls": {"Repository": "https://example.org/project"}}):
        metadata = {"name": "sknn-scratch", **urls}
        hook.update(metadata)
        assert metadata["readme"]["content-type"] == "text/markdown"
        has_address = "https://example.org/project/blob/HEAD/docs/" in metadata["readme"]["text"]
        assert has_address == bool(urls)


def test_extras_are_installed_by_commands_that_work():
    """No command names the package on an index; each names extras that there are."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/**/*.py")]
    pages += ROOT.glob("sknn_scratch/**/*.py")
    named = set()
    for page in pages:
        text = page.read_text()
        assert not re.search(r"sknn[-_]scratch\[[a-z]", text), f"{page} names an index"
        for extras in re.findall(r"install (?:-e )?[\"']?\.\[([a-z,]+)\]", text):
            named |= set(extras.split(","))
    assert named <= set(PROJECT["optional-dependencies"])
    assert {"plot", "onnx", "dask", "progress", "test"} <= named


def test_the_changelog_has_the_version():
    from sknn_scratch import __version__

    headings = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__
