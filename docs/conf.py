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
    "sphinx_gallery.gen_gallery",
]
# README.md and CHANGELOG.md are no pages here. tests/test_docs.py looks after all links.
suppress_warnings = ["myst.xref_missing"]
autodoc_mock_imports = ["onnx", "skl2onnx"]
myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3
# Each class stands on the page of the reference with its methods: none has a page of its own.
numpydoc_show_class_members = False

# Each gallery/plot_*.py is run, and becomes a page. One that raises ends the build.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"[\\/]plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "doc_module": ("sknn_scratch",),
    "reference_url": {"sknn_scratch": None},
    "backreferences_dir": "auto_gallery/backreferences",
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
}
# What it makes besides pages.
exclude_patterns = ["gallery", "auto_gallery/backreferences", "**sg_execution_times.rst"]

html_theme = "pydata_sphinx_theme"
html_title = project
html_theme_options = {"header_links_before_dropdown": 8, "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"**": []}
