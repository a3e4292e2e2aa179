r"""Formulas as MathML, which browsers draw without a script and without a network.

A formula that cannot be converted is a warning, so that none reaches a reader as raw TeX.
"""

from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.typing import ExtensionMetadata
from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)


def mathml(tex: str, display: str) -> str:
    r"""Convert a formula; display is "inline" or "block".

    Raises
    ------
    ValueError
        If part of the formula is unknown and would be left as TeX.

    Examples
    --------
    >>> mathml(r"\frac{a}{2}", "inline")
    '<math xmlns="..." display="inline"><mrow><mfrac><mrow><mi>a</mi>...<mn>2</mn>...</math>'
    >>> "<mtable" in mathml(r"a &= b \\ &= c", "block")
    True
    >>> mathml(r"\nothing{a}", "inline")
    Traceback (most recent call last):
    ValueError: cannot convert \nothing in the formula '\\nothing{a}'
    >>> mathml(r"\frac{a}{", "inline")
    Traceback (most recent call last):
    ValueError: cannot read the formula ...
    """
    # An environment by another name, of the same looks.
    tex = tex.replace("{aligned}", "{split}")
    if "\\\\" in tex and "\\begin" not in tex:
        tex = f"\\begin{{split}}{tex}\\end{{split}}"
    try:
        converted = convert(tex, display=display)
        root = ElementTree.fromstring(converted)
    except Exception as error:  # it has no base of its own for what it cannot read
        raise ValueError(f"cannot read the formula {tex!r}: {error!r}") from error
    unknown = [text for text in root.itertext() if "\\" in text]
    if unknown:
        raise ValueError(f"cannot convert {', '.join(unknown)} in the formula {tex!r}")
    return converted


def write(writer: HTML5Translator, node: nodes.Element, tag: str, display: str) -> None:
    """Write a formula within a tag of the class that themes know."""
    try:
        converted = mathml(node.astext(), display)
    except ValueError as error:
        LOGGER.warning("%s", error, location=node, type="mathml")
        converted = writer.encode(node.astext())
    writer.body.append(writer.starttag(node, tag, "", CLASS="math notranslate nohighlight"))
    writer.body.append(f"{converted}</{tag}>")
    raise nodes.SkipNode


def write_inline(writer: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a sentence."""
    write(writer, node, "span", "inline")


def write_block(writer: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    write(writer, node, "div", "block")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Offer the renderer to ``html_math_renderer``."""
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
