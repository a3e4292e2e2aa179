"""Pages of the API: short signatures, and an anchor for each parameter and attribute."""

from collections.abc import Iterable
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

#: With more parameters than that, a signature shows only those that can be given by position.
LONGEST_SIGNATURE = 6

#: What scikit-learn's docstrings refer to on its own pages, besides names of Python.
THEIRS = {"accuracy_score", "r2_score", "metadata_routing", "meta-estimator"}


def shorten(parameters: addnodes.desc_parameterlist) -> None:
    """Cut a long signature off after its star: the list below has all parameters."""
    if len(parameters) <= LONGEST_SIGNATURE:
        return
    stars = [i for i, parameter in enumerate(parameters) if parameter.astext() == "*"]
    if stars:
        rest = addnodes.desc_parameter("", "", nodes.Text("..."))
        parameters[stars[0] + 1 :] = [rest]


def terms_of(description: addnodes.desc) -> Iterable[nodes.term]:
    """Terms of the lists of parameters, attributes and returned values of one object."""
    content = description.next_node(addnodes.desc_content)
    for fields in content.children:
        if isinstance(fields, nodes.field_list):
            for item in fields.findall(nodes.definition_list_item):
                yield item.next_node(nodes.term)


def add_anchors(description: addnodes.desc, document: nodes.document) -> None:
    """Give each parameter and attribute an address: the object's own, a dot, and its name."""
    ids = description[0]["ids"]
    for term in terms_of(description) if ids else ():
        # numpydoc writes the name of an attribute that is a property as a reference to it.
        name = term.next_node(lambda node: isinstance(node, nodes.strong | addnodes.pending_xref))
        if name is None:
            continue
        for each in name.astext().split(", "):
            address = f"{ids[0]}.{each.lstrip('*')}"
            if address not in document.ids:  # an attribute may be a property with a page entry
                document.ids[address] = term
                term["ids"].append(address)
        if term["ids"]:
            link = nodes.reference("", "#", refid=term["ids"][0], classes=["headerlink"])
            link["reftitle"] = f"Link to {name.astext()}"
            term.append(link)


def name_defaults(parameters: addnodes.desc_parameterlist) -> None:
    """Write a default of scikit-learn's by its name instead of its value."""
    for text in list(parameters.findall(nodes.Text)):
        if text == "'$UNCHANGED$'":
            text.parent.replace(text, nodes.Text("UNCHANGED"))


def edit(app: Sphinx, document: nodes.document) -> None:
    """Shorten the signatures of a page, and add its anchors."""
    for description in document.findall(addnodes.desc):
        for parameters in description[0].findall(addnodes.desc_parameterlist):
            shorten(parameters)
            name_defaults(parameters)
        add_anchors(description, document)


def leave_as_text(
    app: Sphinx, env: Any, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.TextElement | None:
    """Leave as text what only a fetched inventory has: labels and terms of other sites.

    numpydoc names the site in front of a colon.
    """
    target = node["reftarget"]
    if target in THEIRS or target.startswith(("numpy:", "python:")):
        # "python:sequence" is read as "sequence".
        return nodes.emphasis("", content.astext().rpartition(":")[2])
    return None


def setup(app: Sphinx) -> ExtensionMetadata:
    """Take part in reading."""
    app.connect("doctree-read", edit)
    app.connect("missing-reference", leave_as_text, priority=900)  # after intersphinx
    return {"parallel_read_safe": True, "parallel_write_safe": True}
