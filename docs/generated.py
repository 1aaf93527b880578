"""Pages of the reference that are made from the library's own sources: none is written by hand.

``python docs/generated.py`` writes them; so does every build of the site.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable
from pathlib import Path

import rbridge_mi
from rbridge_mi import errors, testing
from rbridge_mi.base.glossary import GLOSSARY, TABLES
from rbridge_mi.cli import _parser
from rbridge_mi.imputers.engines import ENGINES
from rbridge_mi.jobs import spec
from rbridge_mi.jobs.tables import JOB_TABLES
from rbridge_mi.plots.accessor import _PLOTS

__all__ = ["DOCUMENTATION", "TYPES", "links_of_types", "pages", "write"]

# Where other projects' documentation is, by the names of their inventories in _inventories/.
DOCUMENTATION = {
    "python": "https://docs.python.org/3/",
    "pandas": "https://pandas.pydata.org/docs/",
}
# What docstrings call a class, and its full name.
TYPES = {
    "DataFrame": "pandas.DataFrame",
    "Series": "pandas.Series",
    "Path": "pathlib.Path",
    "Exception": "Exception",
    "ValueError": "ValueError",
    "FileNotFoundError": "FileNotFoundError",
    "ImportError": "ImportError",
    "AttributeError": "AttributeError",
    "TimeoutError": "TimeoutError",
    "UserWarning": "UserWarning",
}

CLASSES = "   :members:\n   :inherited-members: Sequence, BaseException, object"
# Each page of the reference: title, what it is about, names.
REFERENCE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "data.md": (
        "Data",
        "The vignette's data, holes in data, and m data sets of one.",
        ("load_hsb", "ampute", "ImputedData", "MappedResults"),
    ),
    "imputers.md": (
        "Imputation",
        "What fills holes. [Which engine when](../imputation.md) says which to take.",
        (
            "impute", "imputation_plan", "impute_with", "CompatibleImputer", "AmeliaImputer",
            "MiceImputer", "JomoImputer", "PanImputer", "BootstrapImputer",
        ),
    ),
    "models.md": (
        "Models",
        "Models are values: they are stated once, and fitted to a frame or to m data sets.",
        ("Lmer", "Glmer", "GlmerNb", "start_workers"),
    ),
    "fits.md": ("Fits", "One fit, and m of them.", ("MerMod", "MerModList")),
    "grids.md": (
        "Grids",
        "Many models on m data sets; [a guide](../guides/many-fits.md) shows one.",
        ("fit_each", "FitGrid"),
    ),
    "pooled.md": (
        "Pooling",
        "One answer from m fits, of any estimator.",
        (
            "PooledMerMod", "pool", "PooledEstimates", "compare", "compare_estimates",
            "delta_sensitivity",
        ),
    ),
    "reports.md": (
        "Tables and reports",
        "What a paper prints, and one page on an analysis.",
        ("table", "ModelTable", "for_maketables", "report", "to_records"),
    ),
    "files.md": (
        "Files",
        "Results in files, and imputations that other programs made.",
        ("save", "load", "read_imputed"),
    ),
}  # fmt: skip


def links_of_types() -> dict[str, str]:
    """Return what a type in a docstring links to, by the words that docstrings use."""
    # numpydoc's defaults link every int and str to Python's documentation: that helps nobody.
    from numpydoc.xref import DEFAULT_LINKS

    here = {x: f"rbridge_mi.{x}" for x in rbridge_mi.__all__ if x[0].isupper()}
    return {**{x: x for x in DEFAULT_LINKS}, **TYPES, **here}


def pages() -> dict[str, str]:
    """Return each page's text by its file's name."""
    return {
        **{name: reference(*page) for name, page in REFERENCE.items()},
        "plots.md": plots(),
        "testing.md": kit(),
        "glossary.md": glossary(),
        "command-line.md": command_line(),
        "job-files.md": job_files(),
        "errors.md": error_classes(),
    }


def write(folder: Path) -> None:
    """Write the pages that have changed."""
    for name, text in pages().items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def reference(title: str, about: str, names: Iterable[str]) -> str:
    """Return a page of some public names."""
    return _page(title, about, *(_documented(f"rbridge_mi.{name}") for name in names))


def plots() -> str:
    """Return the page of `rb.plot`, and of the frames that it draws."""
    drawn = [x for x in rbridge_mi.plot.__all__ if x not in ("accessor", "data")]
    return _page(
        "Plots",
        "`rb.plot.forest(x)` draws the frame of `rb.plot.data.forest(x)`; it is `x.plot.forest()` "
        "too, and so with each plot. [The gallery](../gallery.md) shows all of them.",
        *(_documented(f"rbridge_mi.plot.{name}") for name in drawn),
        _documented("rbridge_mi.plot.accessor"),
        "## Frames",
        "What the plots draw, without matplotlib.",
        "```{eval-rst}\n.. py:module:: rbridge_mi.plot.data\n```",
        *(_documented(f"rbridge_mi.plot.data.{name}") for name in rbridge_mi.plot.data.__all__),
    )


def kit() -> str:
    """Return the page of `rbridge_mi.testing`."""
    return _page(
        "Testing",
        "The kit for your own regression tests against R; [a guide](../guides/testing.md) shows "
        "how it is used.",
        "```{eval-rst}\n.. automodule:: rbridge_mi.testing\n```",
        *(_documented(f"rbridge_mi.testing.{name}") for name in testing.__all__),
        "## The plugin of pytest",
        "```{eval-rst}\n.. automodule:: rbridge_mi.testing.plugin\n```",
    )


def glossary() -> str:
    """Return the page that says what each column of a table means."""
    rows = [(f"`{name}`", meaning) for name, meaning in sorted(GLOSSARY.items())]
    tables = [(f"`{name}`", ", ".join(f"`{x}`" for x in y)) for name, y in TABLES.items()]
    return _page(
        "Glossary of columns",
        "One concept has one name in every table. Columns that the data name (levels of a factor, "
        "a column per term) keep the data's names.",
        "## What each column means",
        _table(("column", "what it is"), rows),
        "## Which table has which",
        _table(("table", "columns"), tables),
    )


def command_line() -> str:
    """Return the page of `rbridge-mi` and its commands: what their `--help` prints."""
    parser = _parser()
    parser.prog = "rbridge-mi"
    commands = next(x for x in parser._actions if isinstance(x, argparse._SubParsersAction))
    parts = [f"```text\n{_help(parser)}```"]
    for name, command in commands.choices.items():
        parts += [f"## `rbridge-mi {name}`", f"```text\n{_help(command)}```"]
    return _page("Command line", *parts)


def _help(parser: argparse.ArgumentParser) -> str:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=88)
    return parser.format_help()


def job_files() -> str:
    """Return the page of the keys and tables of job files."""
    engines = []
    for engine in ENGINES:
        rows = [(f"`{x.name}`", x.kind) for x in engine.arguments]
        engines += [f'### `engine = "{engine.name}"`', _table(("key", "takes"), rows)]
    tables = [
        (
            f"`{x.name}`",
            "yes" if x.of_list or x.of_chains else "",
            "yes" if x.of_one else "",
            ", ".join(x.default),
        )
        for x in JOB_TABLES
    ]
    return _page(
        "Job files",
        "`rbridge-mi run job.toml` does what a TOML file says. Every mistake of it is listed "
        "before any work. [A guide](../guides/jobs.md) shows one.",
        f"```{{eval-rst}}\n.. currentmodule:: rbridge_mi\n\n{inspect.getdoc(spec)}\n```",
        "## Arguments of the engines",
        *engines,
        "## Tables",
        'Which tables a job can write, of pooled fits and of one fit (`engine = "none"`), and '
        "which of them it writes if it names none.",
        _table(("table", "pooled", "one fit", "by default"), tables),
    )


def error_classes() -> str:
    """Return the page of errors: what each is, and what to do."""
    return _page(
        "Errors",
        "Every error says what is wrong, where, and what to do; it carries R's own text where R "
        "gave one. All of them are `RBridgeError`, all warnings `RBridgeWarning`.",
        *(
            f"```{{eval-rst}}\n.. autoexception:: rbridge_mi.{name}\n   :show-inheritance:\n```"
            for name in errors.__all__
        ),
    )


def _documented(name: str) -> str:
    value = rbridge_mi
    for part in name.split(".")[1:]:
        value = getattr(value, part)
    if inspect.isclass(value):
        return f"```{{eval-rst}}\n.. autoclass:: {name}\n{CLASSES}\n{_plots_of(name, value)}```"
    return f"```{{eval-rst}}\n.. autofunction:: {name}\n```"


def _plots_of(name: str, cls: type) -> str:
    """Return what is said of a class's accessor `plot`, if it has one."""
    if cls not in _PLOTS:
        return ""
    first = _PLOTS[cls][0].__name__
    plots = ",\n   ".join(f":func:`~rbridge_mi.plot.{x.__name__}`" for x in _PLOTS[cls])
    return f"""
.. py:attribute:: {name}.plot

   Its plots, as methods: ``x.plot.{first}(...)`` is ``rb.plot.{first}(x, ...)``. There are
   {plots}.
"""


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(x.replace("|", "\\|") for x in row) + " |" for row in lines)


if __name__ == "__main__":
    write(Path(__file__).resolve().parent / "reference")
