"""The site is built without a warning and without a network; its links hold, its notebooks ran."""

from __future__ import annotations

import ast
import inspect
import re
from os.path import normpath
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import tomllib
from packaging.requirements import Requirement
from sphinx.util.inventory import InventoryFile

import rbridge_mi as rb
import rbridge_mi.testing as kit
from rbridge_mi import errors
from tests.site.built import ROOT, Site

pytestmark = [pytest.mark.r, pytest.mark.slow, pytest.mark.processes]


def test_nothing_is_warned_of(site: Site) -> None:
    assert site.log == (0, "")


def test_generated_pages_are_what_their_sources_make(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As they are in the repository; else ``python docs/generated.py``."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    import generated

    folder = ROOT / "docs" / "reference"
    pages = generated.pages()
    assert {name: (folder / name).read_text("utf-8") for name in pages} == pages
    assert {x.name for x in folder.iterdir()} == {*pages, "index.md"}


# --- links --------------------------------------------------------------------------------------

ASKED = (("a", "href"), ("link", "href"), ("script", "src"), ("img", "src"))


def test_every_link_leads_to_a_place_that_is_there(site: Site) -> None:
    places = {
        path: {*page.xpath("//@id"), *page.xpath("//a/@name")} for path, page in site.pages.items()
    }
    broken = []
    for path, page in site.pages.items():
        for tag, attribute in ASKED:
            for target in page.xpath(f"//{tag}/@{attribute}"):
                parts = urlsplit(str(target))
                if parts.scheme in ("https", "mailto", "data"):
                    continue
                there = normpath(path.parent / unquote(parts.path)) if parts.path else str(path)
                page_of = places.get(Path(there), set())
                known = not parts.fragment or unquote(parts.fragment) in page_of
                if not ((site.html / there).is_file() and known):
                    broken.append(f"{path}: {target}")
    assert broken == []


def test_scripts_styles_and_pictures_are_in_the_folder(site: Site) -> None:
    outside = [
        f"{path}: {target}"
        for path, page in site.pages.items()
        for tag, attribute in ASKED
        if tag != "a"
        for target in page.xpath(f"//{tag}[not(@rel='canonical')]/@{attribute}")
        if urlsplit(str(target)).scheme not in ("", "data")
    ]
    assert outside == []


def test_links_to_other_sites_are_few_and_named(site: Site) -> None:
    """Documentation of Python and pandas, by the inventories."""
    hosts = {
        urlsplit(str(x)).netloc
        for page in site.pages.values()
        for x in page.xpath("//a/@href")
        if str(x).startswith("http")
    }
    assert hosts <= {"docs.python.org", "pandas.pydata.org"}


# --- the reference ------------------------------------------------------------------------------


def public_names() -> set[str]:
    """Functions and classes of the public modules, and public methods and properties of classes."""
    modules = {"rbridge_mi": rb, "rbridge_mi.testing": kit, "rbridge_mi.plot": rb.plot}
    modules["rbridge_mi.plot.data"] = rb.plot.data
    names = {f"rbridge_mi.{x}" for x in errors.__all__}
    for module, value in modules.items():
        for name in value.__all__:
            thing = getattr(value, name)
            if inspect.ismodule(thing):
                continue
            names.add(f"{module}.{name}")
            if inspect.isclass(thing) and not issubclass(thing, BaseException):
                names |= {f"{module}.{name}.{x}" for x in members(thing)}
    return names


def members(cls: type) -> set[str]:
    """Public methods and properties that this package defines, inherited ones too."""
    return {
        name
        for base in cls.__mro__
        if base.__module__.startswith("rbridge_mi")
        for name, value in vars(base).items()
        if not name.startswith("_")
        and (inspect.isroutine(value) or isinstance(value, property | classmethod | staticmethod))
        and getattr(cls, name).__doc__
    }


def test_all_public_names_are_in_the_inventory(site: Site) -> None:
    inventory = InventoryFile.loads((site.html / "objects.inv").read_bytes(), uri="").data
    documented = {
        name for kind, names in inventory.items() if kind.startswith("py:") for name in names
    }
    names = public_names()
    assert len(names) > 300
    assert names - documented == set()


# --- notebooks ----------------------------------------------------------------------------------


def shows(code: str) -> bool:
    """Whether a cell has to show something: it ends in an expression, it prints, or it draws."""
    last = ast.parse(code).body[-1]
    if isinstance(last, ast.Expr) and "assert_" not in code:  # they return nothing
        return True
    return "print(" in code or bool(re.search(r"\bplot\.\w+\(", code))


def test_every_cell_ran_and_shows_what_it_gives(site: Site) -> None:
    assert len(site.notebooks) >= 9
    for name, cells in site.notebooks.items():
        page = site.pages[Path(f"{name}.html")]
        ran = page.xpath("//div[contains(concat(' ', @class, ' '), ' cell ')]")
        assert len(ran) == len(cells) > 0, name
        for element, code in zip(ran, cells, strict=True):
            outputs = element.xpath("./div[contains(@class, 'cell_output')]")
            assert outputs or not shows(code), f"{name}: {code}"
            text = "".join(x.text_content() for x in outputs)
            assert "Traceback" not in text, f"{name}: {code}"
            if "statsmodels" not in code:  # which warns of its own fits
                assert "Warning" not in text, f"{name}: {code}"


def test_no_output_of_a_notebook_is_in_its_source(site: Site) -> None:
    """Blocks without a language stand for outputs elsewhere in docs/."""
    for name in site.notebooks:
        text = (site.source / f"{name}.md").read_text("utf-8")
        fences = re.findall(r"^(```+|:::+)(.*)$", text, flags=re.MULTILINE)
        opened = [language for mark, language in fences if mark.startswith("`")][::2]
        assert all(
            x.startswith("{code-cell}") or x in ("bash", "python", "r", "toml") for x in opened
        ), name


def test_python_310_resolves_without_the_tools_of_the_site() -> None:
    """Sphinx 9 needs Python 3.11; the package doesn't."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    extra = [
        Requirement(x) for x in tomllib.loads(text)["project"]["optional-dependencies"]["docs"]
    ]
    asked = {
        python: {
            x.name for x in extra if not x.marker or x.marker.evaluate({"python_version": python})
        }
        for python in ("3.10", "3.11")
    }
    tools = {"myst-nb", "numpydoc", "pydata-sphinx-theme", "sphinx", "sphinx-design"}
    assert asked["3.11"] - asked["3.10"] == tools
