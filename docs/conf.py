"""Settings of Sphinx, which makes the web pages of this folder."""

import sys
import tomllib
from pathlib import Path

import sknn_scratch

DOCS = Path(__file__).parent
sys.path += [str(DOCS / "_ext"), str(DOCS / "examples")]

with open(DOCS.parent / "pyproject.toml", "rb") as file:
    urls = tomllib.load(file)["project"].get("urls", {})

project = "sknn_scratch"
author = "The sknn_scratch developers"
copyright = author
version = release = sknn_scratch.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinxext.opengraph",
    "api_pages",
    "learning_pages",
    "mathml",
]
exclude_patterns = ["_ext", "gallery", "auto_gallery/backreferences", "**sg_execution_times.rst"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# ---------------------------------------------------------------- the API

autosummary_generate = False  # the pages are in api/
autodoc_typehints = "none"  # the docstrings have the types
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # link only what stands here
numpydoc_xref_aliases = {
    "ndarray": "numpy.ndarray",
    "RandomState": "numpy.random.RandomState",
    "joblib": "joblib.Parallel",
    "matplotlib Axes": "matplotlib.axes.Axes",
}
toc_object_entries_show_parents = "hide"

# Each inventory is fetched, so that links lead to what is there today. Without a network, the names
# in inventories/ are linked.
intersphinx_mapping = {
    name: (address, (None, f"inventories/{name}.txt"))
    for name, address in {
        "scikit-learn": "https://scikit-learn.org/stable/",
        "numpy": "https://numpy.org/doc/stable/",
        "python": "https://docs.python.org/3/",
        "joblib": "https://joblib.readthedocs.io/en/stable/",
    }.items()
}
intersphinx_timeout = 5

# ---------------------------------------------------------------- the gallery

# Each gallery/plot_*.py is run, and becomes a page. One that raises ends the build.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"[\\/]plot_",
    "within_subsection_order": "gallery_order.place",
    "abort_on_example_error": True,
    "doc_module": ("sknn_scratch",),
    "reference_url": {"sknn_scratch": None},
    "backreferences_dir": "auto_gallery/backreferences",
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
}

# ---------------------------------------------------------------- looks

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
templates_path = ["_templates"]
html_sidebars = {"index": [], "**": ["sidebar-nav-bs"]}
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # light or dark, as the system is
html_theme_options = {
    "logo": {
        "text": project,
        "image_light": "_static/logo.svg",
        "image_dark": "_static/logo_dark.svg",
    },
    "navbar_start": ["navbar-logo", "version"],
    "navbar_persistent": ["search-button"],
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "secondary_sidebar_items": ["page-toc"],
    "search_bar_text": "Search: NaN, one-hot, overfitting ...",
    "show_nav_level": 1,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": ["version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
if "Repository" in urls:
    html_theme_options["icon_links"] = [
        {"name": "Repository", "url": urls["Repository"], "icon": "fa-solid fa-code-branch"}
    ]

# Output is not copied, nor are prompts.
copybutton_selector = "div.highlight-python pre, div.highlight-default pre, div.highlight-sh pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# What a message with a link to a page shows. Where the site is, pyproject.toml says.
ogp_site_url = html_baseurl = urls.get("Documentation", "")
ogp_image = "_images/moons.png"  # of guide/watching.md
ogp_image_alt = "A network with eight hidden units learns which of two moons a point is in"
ogp_enable_meta_description = True
