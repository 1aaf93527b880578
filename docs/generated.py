"""Pages of the reference that are made from the library's own sources: none is written by hand."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterable
from pathlib import Path

import rbridge_mi
from rbridge_mi import errors
from rbridge_mi.base.glossary import GLOSSARY, TABLES
from rbridge_mi.cli import _parser
from rbridge_mi.imputers.engines import ENGINES
from rbridge_mi.jobs import spec
from rbridge_mi.jobs.tables import JOB_TABLES

__all__ = ["write"]


def write(folder: Path) -> None:
    """Write the generated pages, those that have changed."""
    pages = {
        "glossary.md": glossary(),
        "command-line.md": command_line(),
        "job-files.md": job_files(),
        "errors.md": error_classes(),
    }
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def glossary() -> str:
    rows = [(f"`{name}`", meaning) for name, meaning in sorted(GLOSSARY.items())]
    tables = [(f"`{name}`", ", ".join(f"`{x}`" for x in columns)) for name, columns in TABLES.items()]
    return _page(
        "Glossary of columns",
        "One concept has one name in every table. Columns that the data name (levels of a factor, a column per term) keep the data's names.",
        "## What each column means",
        _table(("column", "what it is"), rows),
        "## Which table has which",
        _table(("table", "columns"), tables),
    )


def command_line() -> str:
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
    engines = []
    for engine in ENGINES:
        rows = [(f"`{x.name}`", x.kind) for x in engine.arguments]
        engines += [f"### `engine = \"{engine.name}\"`", _table(("key", "takes"), rows)]
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
        "`rbridge-mi run job.toml` does what a TOML file says. Every mistake of it is listed before any work.",
        f"```text\n{inspect.getdoc(spec)}\n```",
        "## Arguments of the engines",
        *engines,
        "## Tables",
        "Which tables a job can write, of pooled fits and of one fit (`engine = \"none\"`), and which of them it writes if it names none.",
        _table(("table", "pooled", "one fit", "by default"), tables),
    )


def error_classes() -> str:
    names = [x for x in errors.__all__ if hasattr(rbridge_mi, x)]
    parts = [
        f"```{{eval-rst}}\n.. autoexception:: rbridge_mi.{name}\n   :show-inheritance:\n```"
        for name in names
    ]
    return _page(
        "Errors",
        "Every error says what, where and what to do, and carries R's text. All of them are `RBridgeError`.",
        *parts,
    )


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(x.replace("|", "\\|") for x in row) + " |" for row in lines)
