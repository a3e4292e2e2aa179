"""Gives the packages their description: README.md, with links that lead somewhere from an index.

In README.md links and pictures are relative, so that they work in the folder. An index shows the
page without the folder. If pyproject.toml has the address of the repository, under `Repository` in
`[project.urls]`, they lead there, and otherwise stay as they are. Hatchling calls this module when
it builds.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

#: Ends of links to files of the project: neither an address, nor a part of the page.
LINK = re.compile(r"(!?)(\[[^\]]*\]\()(?![a-z][a-z0-9+.-]*:|#)([^)\s]+)(?=\))")

#: Blocks of code, in which nothing is a link.
BLOCK = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)


def absolute(text: str, repository: str | None) -> str:
    """Make the links of a page in Markdown lead to a repository, if it is known."""
    if repository is None:
        return text
    address = repository.removesuffix("/")

    def to_repository(link: re.Match[str]) -> str:
        picture, name, target = link.groups()
        return f"{picture}{name}{address}/{'raw' if picture else 'blob'}/HEAD/{target}"

    parts = BLOCK.split(text)
    return "".join(
        part if BLOCK.fullmatch(part) else LINK.sub(to_repository, part) for part in parts
    )


class ReadmeHook(MetadataHookInterface):
    """Fills in the field `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Read README.md, and make its links absolute."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        repository = metadata.get("urls", {}).get("Repository")
        description = absolute(text, repository)
        metadata["readme"] = {"content-type": "text/markdown", "text": description}
