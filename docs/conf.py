"""The documentation site: `make docs`. Notebooks run when it is built, warnings are errors."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generated  # noqa: E402 - beside this file

import rbridge_mi  # noqa: E402

project = "rbridge_mi"
author = "the rbridge_mi maintainers"
project_copyright = "the rbridge_mi maintainers, GPL-2.0-or-later"
version = release = rbridge_mi.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx_design",
    "mathml",
]
exclude_patterns = ["_inventories"]
source_suffix = {".md": "myst-nb"}

# -- what is run ---------------------------------------------------------------------------------


def _digest() -> str:
    """Tell one state of the library from another: outputs that an older one gave are not shown."""
    package = Path(rbridge_mi.__file__).parent
    scripts = next(x for x in (package / "r", package.parent / "r") if x.exists())
    digest = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *scripts.rglob("*.R")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


os.environ["TQDM_DISABLE"] = "1"  # bars would be widgets, whose scripts pages fetch
os.environ.pop("MPLBACKEND", None)  # with "agg", say, notebooks would show no figure
# Only pages that say `file_format: mystnb` are notebooks. The blocks of others are run by tests.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "notebooks" / _digest())
nb_execution_in_temp = True
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4

# -- the reference -------------------------------------------------------------------------------

autodoc_typehints = "none"  # numpydoc's sections say them
autodoc_member_order = "groupwise"
toc_object_entries_show_parents = "hide"
default_role = "autolink"
numpydoc_show_class_members = False
# Types in docstrings are links: this library's classes, and those of which _inventories/ knows.
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"
numpydoc_xref_aliases = generated.links_of_types()
intersphinx_mapping = {
    path.stem: (url, str(path))
    for path in sorted((HERE / "_inventories").glob("*.inv"))
    for url in [generated.DOCUMENTATION[path.stem]]
}

# -- how it looks --------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "rbridge_mi"
html_math_renderer = "mathml"  # no script, and nothing that is fetched
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
    "show_toc_level": 2,
}

generated.write(HERE / "reference")
