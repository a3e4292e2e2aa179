"""Settings of Sphinx, which makes web pages of this folder."""

from importlib import metadata

project = "sknn_scratch"
copyright = "the contributors of sknn_scratch"
release = metadata.version("sknn-scratch")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
# README.md and CHANGELOG.md are no pages here. tests/test_docs.py looks after all links.
suppress_warnings = ["myst.xref_missing"]
autodoc_mock_imports = ["onnx", "skl2onnx"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
# Each class stands on the page of the reference with its methods: none has a page of its own.
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = project
html_theme_options = {"header_links_before_dropdown": 8, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"**": []}
