"""The [data] of a job file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from typing import Any

from ..base.checks import Wrong, boolean, list_of, one_of, text
from .job import ColumnSpec, DataSpec
from .values import Mistakes, Table, as_given, encoding, shown, text_list

__all__ = ["FORMATS", "check_format", "check_pyarrow", "column_key", "data_section"]

TYPES = ("category", "text", "integer", "float", "boolean", "date", "datetime")
_COMPRESSED = ("zip", "bz2", "xz", "zst", "7z", "tar", "tgz")
#: Formats of tables, which are written, too.
FORMATS = ("csv", "parquet", "feather")
# Those of programs that impute.
_OF_PROGRAMS = ("stata", "spss", "r")
_BY_SUFFIX = {
    "csv": "csv",
    "parquet": "parquet",
    "feather": "feather",
    "arrow": "feather",
    "dta": "stata",
    "sav": "spss",
    "zsav": "spss",
    "rds": "r",
    "rda": "r",
    "rdata": "r",
}

_TYPED = {"parquet": "Parquet", "feather": "Feather"}  # files that have types, as they are called


def data_section(table: Table | None) -> DataSpec:
    """Take what the job says of its data."""
    if table is None:
        return DataSpec("", "csv", None)
    path = table.take("path", text, "", required='the data\'s file, such as "data.csv"')
    suffix = path.lower().removesuffix(".gz").rpartition(".")[2]
    guess = _BY_SUFFIX.get(suffix)
    ask = "" if guess or not path else f"one of {', '.join(map(shown, FORMATS))}"
    if ask and suffix in _COMPRESSED:
        ask += f"; {shown(path)} is compressed, of which only .csv.gz can be read: unpack it"
    kind = table.take("format", one_of(*FORMATS, *_OF_PROGRAMS), guess, required=ask) or "csv"
    check_pyarrow(table, "format" if "format" in table.given else "path", [kind])
    if kind in _OF_PROGRAMS:
        for name in ("columns", "missing", "delimiter", "decimal", "encoding"):
            table.refuse(name, f'has no meaning for format = "{kind}", whose files say it')
        table.done()
        return DataSpec(path, kind, None)
    columns = _columns(table, kind)
    if kind in _TYPED:
        if path.lower().endswith(".gz"):
            table.mistakes.add("data.path", f"is a compressed {_TYPED[kind]} file: unpack it")
        for name in ("missing", "delimiter", "decimal", "encoding"):
            table.refuse(
                name, f"has no meaning for {_TYPED[kind]}, which has types and nulls of its own"
            )
        spec = DataSpec(path, kind, columns)
    else:
        spec = DataSpec(
            path,
            kind,
            columns,
            tuple(table.take("missing", text_list('texts, such as ["", "NA"]'), ("", "NA"))),
            table.take("delimiter", _character, ","),
            table.take("decimal", one_of(".", ","), "."),
            table.take("encoding", encoding, "utf-8"),
        )
        if spec.delimiter == spec.decimal:
            table.mistakes.add("data.decimal", f"is the delimiter too, {shown(spec.decimal)}")
    table.done()
    return spec


def check_format(spec: DataSpec, engine: str, mistakes: Mistakes) -> None:
    """Report a format that only holds data sets that are imputed already."""
    if spec.format in _OF_PROGRAMS and engine not in ("given", ""):
        mistakes.add(
            "data.format",
            f'"{spec.format}" is read with imputation.engine = "given" only, as data sets that are '
            f"imputed already: take one of {', '.join(map(shown, FORMATS))}",
        )


def check_pyarrow(table: Table, name: str, kinds: Iterable[str]) -> None:
    """Report formats that need pyarrow, under the key that asks for them, where there is none."""
    if importlib.util.find_spec("pyarrow") is not None:
        return
    for kind in kinds:
        if kind in _TYPED:
            table.mistakes.add(
                table.path(name),
                f"{shown(kind)} needs pyarrow, which isn't installed: "
                'pip install "rbridge_mi[parquet]"',
            )


def _character(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n':
        raise Wrong('must be one character, such as ";", not {}', value)
    return value


def _columns(table: Table, kind: str) -> dict[str, ColumnSpec] | None:
    given = table.take("columns", as_given, None)
    if given is None:
        return None
    inner = Table("data.columns", given, table.mistakes)
    if isinstance(given, Mapping) and not given:
        table.mistakes.add("data.columns", 'is empty: name the columns to use, such as x = "float"')
    return {name: _column(inner, name, kind) for name in inner.given}


def _column(columns: Table, name: str, kind: str) -> ColumnSpec:
    given, key = columns.given[name], column_key(name)
    if isinstance(given, str):
        try:
            return ColumnSpec(one_of(*TYPES)(given))
        except Wrong as wrong:
            columns.mistakes.add(key, wrong.told(shown))
        return ColumnSpec("text")
    if not isinstance(given, Mapping):
        columns.mistakes.add(key, f'must be a type, such as "float", not {shown(given)}')
        return ColumnSpec("text")
    table = Table(key, given, columns.mistakes)
    kind_of = table.take("type", one_of(*TYPES), required=f"one of {', '.join(TYPES)}")
    if kind_of is None:  # without it nobody can say which of the other keys have a place
        table.finish("levels", "ordered", "format", "missing")
        return ColumnSpec("text")
    levels: Any = None
    ordered = False
    style = None
    if kind_of == "category":
        levels = table.take("levels", list_of(text, 'texts, such as ["low", "high"]', 1))
        ordered = table.take("ordered", boolean, False)
        if ordered and levels is None and "levels" not in given:
            table.mistakes.add(
                table.path("levels"), "is missing: an ordered category needs its order"
            )
    else:
        for key in ("levels", "ordered"):
            table.refuse(key, 'belongs to a column of type "category"')
    if kind_of in ("date", "datetime"):
        style = table.take("format", text)
    else:
        table.refuse("format", 'belongs to a column of type "date" or "datetime"')
    missing: Any = ()
    if kind in _TYPED:
        table.refuse("missing", f"has no meaning for {_TYPED[kind]}, which has nulls of its own")
    else:
        missing = table.take("missing", text_list('texts, such as ["-9"]'), ())
    table.done()
    return ColumnSpec(kind_of, None if levels is None else tuple(levels), ordered, style,
                      tuple(missing))  # fmt: skip


def column_key(name: str) -> str:
    """Return the key of a column; a name with a dot in it stands in quotes, as in TOML."""
    return (
        Table("data.columns", {}, Mistakes()).path(name)
        if "." not in name
        else f"data.columns.{shown(name)}"
    )
