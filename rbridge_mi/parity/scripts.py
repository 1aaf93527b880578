"""Writes a case as two scripts that can be run alone: one for R, one for Python.

Both contain the whole data set. Doubles are hexadecimal, so that they are the same 64 bits wherever
the scripts run. Both print the fixed effects and theta, a name and a hexadecimal double per line.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from .case import Column, ModelCase

__all__ = ["python_script", "r_script"]

_EPOCH = dt.date(1970, 1, 1)


def r_script(case: ModelCase, frame: pd.DataFrame) -> str:
    """Write R code that makes the data, fits the model as a user would, and prints the estimates.

    Parameters
    ----------
    case : ModelCase
        The model.
    frame : DataFrame
        Its data.

    Returns
    -------
    str
        The script.

    See Also
    --------
    python_script : The same in Python.
    """
    columns = ",\n  ".join(f"{_r_text(str(x))} = {_r_column(frame[x])}" for x in frame.columns)
    lines = ["library(lme4)", f"data <- list(\n  {columns}\n)"]
    lines.append("data <- as.data.frame(data, optional = TRUE, stringsAsFactors = FALSE)")
    if case.collate is not None:
        lines.append(f'icuSetCollate(locale = "{case.collate}")')
    if case.prelude:
        lines.append(case.prelude)
    lines.append(f"fit <- {case.r_call()}")
    lines.append('estimates <- c(fixef(fit), getME(fit, "theta"))')
    lines.append('cat(sprintf("%s %a\\n", names(estimates), estimates), sep = "")')
    return "\n".join(lines) + "\n"


def python_script(case: ModelCase, frame: pd.DataFrame) -> str:
    """Write Python code that makes the data, fits the model by this library, and prints the same.

    Parameters
    ----------
    case : ModelCase
        The model.
    frame : DataFrame
        Its data.

    Returns
    -------
    str
        The script.

    See Also
    --------
    r_script : The same in R.
    """
    columns = "".join(f"    {str(x)!r}: {_python_column(frame[x])},\n" for x in frame.columns)
    arguments = "".join(
        f", {x.name}=" + (f"data[{x.value.name!r}].to_numpy()" if isinstance(x.value, Column)
                          else repr(x.value))
        for x in case.arguments
    )  # fmt: skip
    lines = [
        "import datetime",
        "import numpy as np",
        "import pandas as pd",
        "import rbridge_mi as rb",
        "from rbridge_mi import rdoor",
        "h = float.fromhex",
        "data = pd.DataFrame({\n" + columns + "})",
    ]
    if case.collate is not None:
        lines.append(f'rdoor.call("base::icuSetCollate", locale={case.collate!r})')
    lines += [
        f"fit = rb.{case.model.__name__}({case.formula!r}{arguments}).fit(data)",
        "for part in (fit.beta, fit.theta):",
        "    for name, value in part.items():",
        "        print(name, float(value).hex())",
    ]
    return "\n".join(lines) + "\n"


def _r_column(column: pd.Series[Any]) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = _r_vector([str(x) for x in column.cat.categories], _r_text, "NA_character_")
        codes = _r_vector([None if x < 0 else x + 1 for x in column.cat.codes], _r_whole, "NA")
        classes = 'c("ordered", "factor")' if column.cat.ordered else '"factor"'
        return f"structure(as.integer({codes}), levels = {levels}, class = {classes})"
    values = [None if pd.isna(x) else x for x in column]
    kind = _kind(column)
    if kind == "logical":
        return _r_vector(values, lambda x: "TRUE" if x else "FALSE", "NA")
    if kind == "integer":
        return _r_vector(values, _r_whole, "NA_integer_")
    if kind == "double":
        return _r_vector(values, _r_double, "NA_real_")
    if kind == "date":
        days = _r_vector(values, lambda x: str((_day(x) - _EPOCH).days), "NA_real_")
        return f'structure({days}, class = "Date")'
    return _r_vector(values, _r_text, "NA_character_")


def _r_vector(values: list[Any], write: Callable[[Any], str], missing: str) -> str:
    return f"c({', '.join(missing if x is None else write(x) for x in values)})"


def _r_whole(value: Any) -> str:
    return f"{int(value)}L"


def _r_double(value: float) -> str:
    return "Inf" if value == np.inf else "-Inf" if value == -np.inf else float(value).hex()


def _r_text(text: str) -> str:
    plain = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    inside = "".join(plain.get(x, x if " " <= x <= "~" else f"\\U{ord(x):08x}") for x in text)
    return f'"{inside}"'


def _python_column(column: pd.Series[Any]) -> str:
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes = [int(x) for x in column.cat.codes]
        categories = [str(x) for x in column.cat.categories]
        return f"pd.Categorical.from_codes({codes}, {categories!a}, ordered={column.cat.ordered})"
    kind = _kind(column)
    if kind == "double":
        inside = ", ".join(
            "np.nan" if np.isnan(x) else f"h({float(x).hex()!r})"
            for x in column.to_numpy(np.float64, na_value=np.nan)
        )
        return f"[{inside}]"
    values = [None if pd.isna(x) else x for x in column]
    if kind == "logical":
        return f'pd.array({[None if x is None else bool(x) for x in values]}, dtype="boolean")'
    if kind == "integer":
        return f'pd.array({[None if x is None else int(x) for x in values]}, dtype="Int32")'
    if kind == "date":
        inside = ", ".join("None" if x is None else repr(_day(x)) for x in values)
        return f"pd.Series([{inside}], dtype=object)"
    return f"pd.array({values!a}, dtype=object)"


def _kind(column: pd.Series[Any]) -> str:
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "logical"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "double"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date"
    held = column[column.notna()]
    return "date" if len(held) and isinstance(held.iloc[0], dt.date) else "text"


def _day(value: Any) -> dt.date:
    day: dt.date = value.date() if isinstance(value, dt.datetime) else value
    return day
