"""The documentation site: `make docs`. Notebooks run when it is built, warnings are errors."""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generated  # noqa: E402 - beside this file

import rbridge_mi  # noqa: E402

project = "rbridge_mi"
author = "the authors of rbridge_mi"
project_copyright = "GPL-2.0-or-later"
version = release = rbridge_mi.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_design",
]
exclude_patterns = ["_build", "inventories"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}
nitpicky = False

# -- what is run ---------------------------------------------------------------------------------

nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "docs-cache")
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_merge_streams = True
# Pages that aren't notebooks show code whose output stands beside it; tests run those.
nb_execution_excludepatterns: list[str] = []
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# -- the reference -------------------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say them
autodoc_member_order = "groupwise"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
default_role = "autolink"
# Inventories of other projects' names are kept here, so that a build needs no network.
intersphinx_mapping = {
    name: (url, str(HERE / "inventories" / f"{name}.inv"))
    for name, url in {
        "python": "https://docs.python.org/3/",
        "numpy": "https://numpy.org/doc/stable/",
        "pandas": "https://pandas.pydata.org/docs/",
        "matplotlib": "https://matplotlib.org/stable/",
    }.items()
    if (HERE / "inventories" / f"{name}.inv").exists()
}

# -- how it looks --------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "rbridge_mi"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "show_toc_level": 2,
}

generated.write(HERE / "reference")
