"""Writes the pages on which one watches a network learn, next to the pages that show them."""

from pathlib import Path

from pages import write_pages
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata


def write(app: Sphinx, error: Exception | None) -> None:
    """Train the networks, and write their pages into the folder ``pages`` of the site."""
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "pages"
        folder.mkdir(exist_ok=True)
        write_pages(folder)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in the end of the build."""
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
