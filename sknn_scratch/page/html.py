"""The page as one file: the template, filled with its style, its scripts and its content."""

import html
from importlib.resources import files
from string import Template
from typing import Any

from sknn_scratch import _palette
from sknn_scratch.page.content import as_json

#: The scripts, each after those that it uses.
SCRIPTS = ("network.js", "pictures.js", "panels.js", "player.js")


def page_of(content: dict[str, Any]) -> str:
    """Make a self-contained HTML page of a content, as ``content_of`` returns it."""
    folder = files(__package__)

    def read(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8")

    return Template(read("template.html")).substitute(
        title=html.escape(content["title"]),
        style=_palette.css() + "\n" + read("style.css"),
        scripts="\n".join(map(read, SCRIPTS)),
        content=as_json(content),
    )
