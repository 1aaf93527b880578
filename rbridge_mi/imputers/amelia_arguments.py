"""What `amelia()` takes, what it can't work on (known before R is called), what its codes mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_columns
from ..errors import ArgumentError, ImputationError
from .arguments import Argument, check_kinds, under_r_names

__all__ = [
    "ARGUMENTS",
    "check_column",
    "check_with_data",
    "checked",
    "failure",
    "for_r",
    "id_columns",
    "log_shift",
    "unused_priors",
]

_PROCESSES = "starts processes that ignore the seed: drop it"
# All of amelia()'s arguments but the data and m. Python's signature, its checks and those of job
# files follow from this list.
ARGUMENTS = (
    Argument("idvars", "columns"),
    Argument("noms", "columns"),
    Argument("ords", "columns"),
    Argument("logs", "columns"),
    Argument("sqrts", "columns"),
    Argument("lgstc", "columns"),
    Argument("lags", "columns"),
    Argument("leads", "columns"),
    Argument("ts", "column"),
    Argument("cs", "column"),
    Argument("priors", "table", widths=(4, 5), column_at=2),
    Argument("bounds", "table", widths=(3,), column_at=1),
    Argument("overimp", "table", widths=(2,), column_at=2),
    Argument("p2s", "whole", least=0, most=2),
    Argument("frontend", "truth", hidden="opens a window, which a job can't"),
    Argument("polytime", "whole", least=0, most=3),
    Argument("splinetime", "whole", least=0, most=6),
    Argument("intercs", "truth"),
    Argument("startvals", "start", least=0, most=1),
    Argument("tolerance", "number", least=0, above=True),
    Argument("incheck", "truth"),
    Argument("collect", "truth"),
    Argument(
        "arglist",
        "object",
        hidden="is an R object, which a job file can't hold: give the arguments themselves",
    ),
    Argument("empri", "number", least=0),
    Argument("autopri", "number", least=0, most=1),
    Argument("emburn", "wholes", least=0, count=2),
    Argument("max.resample", "whole", least=1),
    Argument("boot.type", "choice", choices=("ordinary", "none")),
    Argument("parallel", "choice", choices=("no",), hidden=_PROCESSES),
    Argument("ncpus", "number", hidden=_PROCESSES),
    Argument("cl", "object", hidden=_PROCESSES),
)
_COLUMNS = tuple(x.name for x in ARGUMENTS if x.kind == "columns")
_COLUMN = tuple(x.name for x in ARGUMENTS if x.kind == "column")
_TABLES = {x.name: x for x in ARGUMENTS if x.kind == "table"}
# An arglist has values of all other arguments, and Amelia then ignores those that are given.
_BESIDE_ARGLIST = ("arglist", "p2s", "incheck", "collect")

# What helps, by Amelia's code; what `for_r` refuses by name never gets one.
_SEVERAL = (
    "take the column out of all but one of logs, sqrts, lgstc, noms, ords and idvars, and ts and "
    "cs out of all of them"
)
_CONSTANT = "drop the constant column, or make it an id variable (idvars)"
_POLYTIME = "polytime is one whole number from 0 to 3, and needs the time column: ts='...'"
_SPLINETIME = "splinetime is one whole number from 0 to 6, and needs the time column: ts='...'"
_REMEDIES = {
    2: "drop or combine collinear columns, or add a ridge prior (empri, about 1% of the rows)",
    4: "drop the columns with fewer than two observed values, or name them in idvars",
    10: "leave the column out of sqrts, or shift it before imputing so that nothing is negative",
    11: "lgstc takes values strictly between 0 and 1: divide percentages by 100, move 0 and 1 "
    "inwards, or leave the column out of lgstc",
    14: "ts and cs must name different columns",
    21: _POLYTIME, 22: _POLYTIME, 23: _POLYTIME, 24: _POLYTIME, 25: _POLYTIME,
    27: "name the column of the cross-sections: cs='...'",
    28: "leave out intercs=True, or combine cross-sections: each must have at least three rows on "
    "average",
    32: _SEVERAL, 33: _SEVERAL,
    34: "drop columns (or name them in idvars), combine categories of nominal columns, lower "
    "polytime or splinetime, or give a ridge prior (empri)",
    35: "give a tolerance above 0",
    36: "combine categories (`data[column].replace({...})`), or, if the column only tells rows "
    "apart, name it in idvars instead of noms; numbers that aren't categories need neither",
    37: "category columns must be named in noms (nominal), ords (ordinal) or idvars",
    38: "text columns must be id variables (idvars) or nominal (noms)",
    39: "there is nothing to impute: fit the model to the data as they are",
    40: "name the time column, by which lags are counted: ts='...', and with several units "
    "cs='...'",
    41: "name the time column, by which leads are counted: ts='...', and with several units "
    "cs='...'",
    43: _CONSTANT,
    44: "make it whole numbers (`data[column].round().astype('Int64')`) or an ordered category "
    "(`pd.Categorical(..., ordered=True)`), or leave it out of ords",
    52: "max_resample is a whole number of at least 1",
    55: _SPLINETIME, 56: _SPLINETIME, 57: _SPLINETIME, 58: _SPLINETIME,
}  # fmt: skip


def checked(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Check arguments as far as that takes no data.

    Parameters
    ----------
    given : iterable of (str, object)
        Names, R's or Python's, and values.

    Returns
    -------
    dict
        Under R's names, without those that are None.

    Raises
    ------
    ArgumentError
        Unknown arguments, values of a wrong kind, arguments that exclude each other.
    """
    values = under_r_names(given, ARGUMENTS, "AmeliaImputer")
    if values.get("frontend"):
        raise ArgumentError("frontend=True opens Amelia's window, which a bridge can't: drop it.")
    if values.get("parallel", "no") != "no":
        raise ArgumentError(
            "Amelia's own parallel= ignores the seed, so the result could not be repeated: "
            "drop it; `Lmer.fit(imp, n_jobs=...)` runs the fits in parallel."
        )
    values = check_kinds(values, ARGUMENTS)
    ignored = [name for name in values if name not in _BESIDE_ARGLIST]
    if "arglist" in values and ignored:
        raise ArgumentError(
            f"arglist holds all of amelia()'s arguments, and {', '.join(ignored)} would be "
            "ignored: drop one or the other."
        )
    return values


def id_columns(arguments: Mapping[str, Any]) -> set[str]:
    """Return the columns that Amelia neither imputes nor imputes from."""
    return {*arguments.get("idvars", ()), *(arguments[x] for x in _COLUMN if x in arguments)}


def check_with_data(arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Make every check that needs no R; `arguments` need not be checked yet."""
    for_r(checked(arguments.items()), data)


def for_r(arguments: Mapping[str, Any], data: pd.DataFrame) -> dict[str, Any]:
    """Return the arguments as R takes them, after every check that needs no R.

    Parameters
    ----------
    arguments : mapping
        As `checked` returned them.
    data : DataFrame

    Returns
    -------
    dict
        Tables hold column numbers in place of names.

    Raises
    ------
    ArgumentError
        A column of the data or an argument can't be right.
    """
    values = dict(arguments)
    if "arglist" in values:
        return values
    for name in _COLUMNS:
        check_columns(values.get(name, ()), data, name)
    for name in _COLUMN:
        if name in values:
            check_columns([values[name]], data, name)
    for name, table in _TABLES.items():
        if name in values:
            values[name] = _numbered(values[name], table, data)
    for name in data.columns:
        check_column(data[name], values)
    _check_time(values, data)
    _check_size(values, data)
    if "priors" in values:
        _check_priors(values["priors"], values, data)
    if "bounds" in values:
        _check_bounds(values["bounds"], values, data)
    if "overimp" in values:
        _check_overimp(values["overimp"], values, data)
    return values


def failure(answer: Mapping[str, Any], output: str) -> ImputationError:
    """Return Amelia's code and text as an error, with what helps."""
    code = int(answer["code"][0])
    message = answer.get("message")
    text = " ".join(str(x).strip() for x in message if x) if message is not None else ""
    if code == 2:
        failed = ", ".join(str(x) for x in answer.get("failed", []))
        text = text or "the variance matrix of an imputation was not invertible"
        text = f"imputation {failed} failed: {text}"
    remedy = _REMEDIES.get(code, "see ?amelia")
    return ImputationError(
        f"Amelia (code {code}): {text}\n  what helps: {remedy}.", r_message=text, output=output
    )


def log_shift(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return notes on columns of which Amelia doesn't undo the logarithms that it took."""
    shifts = answer["log_shift"]
    return tuple(
        f"the imputed values of {name!r} are {shift:g} too large: with logs= Amelia imputes "
        "log(x - min + 1), but gives back exp(z) + min. For values that are right, impute the "
        f"logarithm as a column of its own, np.log(data[{name!r}]), without logs=, and take np.exp "
        "of it in the completed data (`imp.assign`)"
        for name, shift in zip(shifts["column"], shifts["shift"], strict=True)
        if abs(shift) > 0.5
    )


def unused_priors(arguments: Mapping[str, Any], data: pd.DataFrame) -> tuple[str, ...]:
    """Return a note on priors of observed cells; `arguments` are those that `for_r` returned."""
    if "priors" not in arguments:
        return ()
    over = {(int(i), int(j)) for i, j in arguments.get("overimp", ())}
    cells = [(int(i), int(j)) for i, j in arguments["priors"][:, :2] if i > 0]
    observed = data.notna().to_numpy()
    unused = [(i, j) for i, j in cells if (i, j) not in over and observed[i - 1, j - 1]]
    if not unused:
        return ()
    shown = ", ".join(f"row {i} of {data.columns[j - 1]!r}" for i, j in unused[:3])
    more = f" and {len(unused) - 3} more" if len(unused) > 3 else ""
    return (
        f"priors on observed cells ({shown}{more}): a prior is for a missing cell, and these stay "
        "as they are; to impute over them, name them in overimp too",
    )


def _numbered(value: Any, table: Argument, data: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return a table with column names turned into R's column numbers."""
    name, position = table.name, table.column_at
    rows = [list(row) for row in np.atleast_2d(np.asarray(value, dtype=object))]
    if not rows or any(len(row) not in table.widths for row in rows):
        widths = " or ".join(map(str, table.widths))
        raise ArgumentError(f"{name} must be a table of {widths} columns, as in R.")
    for row in rows:
        if isinstance(row[position - 1], str):
            check_columns([row[position - 1]], data, name)
            row[position - 1] = list(data.columns).index(row[position - 1]) + 1
    try:
        numbers = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must hold numbers, but for names of columns.") from None
    if np.isnan(numbers).any():
        raise ArgumentError(f"{name} has missing values: every number in it must be known.")
    columns = numbers[:, position - 1]
    if not np.isin(columns, np.arange(1, data.shape[1] + 1)).all():
        raise ArgumentError(
            f"{name} names columns that the data do not have: columns are counted from 1 to "
            f"{data.shape[1]}, as in R, or given by name."
        )
    return numbers


def check_column(column: pd.Series[Any], arguments: Mapping[str, Any]) -> None:
    """Refuse a column that Amelia can't impute from."""
    name = column.name
    if name in id_columns(arguments):
        return
    if column.isna().all():
        raise ArgumentError(
            f"column {name!r} has no value at all, so nothing can be imputed from it: drop it, "
            "or make it an id variable (idvars)."
        )
    if (
        pd.api.types.is_float_dtype(column.dtype)
        and np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan)).any()
    ):
        raise ArgumentError(
            f"column {name!r} holds infinite values: make them missing, or drop those rows."
        )
    number = pd.api.types.is_numeric_dtype(column.dtype)
    category = isinstance(column.dtype, pd.CategoricalDtype)
    ordinal = name in arguments.get("ords", ())
    if ordinal and not (number or category):
        raise ArgumentError(
            f"ords names {name!r}, which is text ({column.dtype}) and has no order of its own: "
            f"make it an ordered category (`data[{name!r}] = pd.Categorical(data[{name!r}], "
            "categories=[...], ordered=True)`), or name it in noms."
        )
    if not (number or ordinal or name in arguments.get("noms", ())):
        raise ArgumentError(
            f"column {name!r} ({column.dtype}) is neither a number, nor an id variable, nor "
            "nominal or ordinal: Amelia can't use it. Name it in idvars, noms or ords."
        )


def _check_time(arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Holes in the time or the cross-section column, where Amelia needs every value of it."""
    users = {
        "cs": [x for x in ("lags", "leads", "intercs") if arguments.get(x)],
        # Splines of four and more have knots between the first and the last time.
        "ts": ["splinetime"] if np.any(np.asarray(arguments.get("splinetime", 0)) > 3) else [],
    }
    for role, needed_by in users.items():
        name = arguments.get(role)
        if name is not None and needed_by and data[name].isna().any():
            row = int(np.flatnonzero(data[name].isna())[0])
            raise ArgumentError(
                f"{role} column {name!r} has missing values (the first in row {row + 1}), and "
                f"{' and '.join(needed_by)} can't be made without them: fill them in or drop those "
                f"rows (`data.dropna(subset=[{name!r}])`)."
            )


def _from_time(arguments: Mapping[str, Any]) -> bool:
    """Whether time or cross-section are columns of the imputation model too."""
    return any(np.any(arguments.get(x, 0)) for x in ("polytime", "splinetime", "intercs"))


def _check_size(arguments: Mapping[str, Any], data: pd.DataFrame) -> None:
    """Refuse data in which a column has no others to be imputed from."""
    used = [name for name in data.columns if name not in id_columns(arguments)]
    if len(used) > 1 or (used and _from_time(arguments)):
        return
    beside = " beside the id variables, ts and cs" if len(used) < data.shape[1] else ""
    only = f"only the column {used[0]!r}" if used else "no column"
    raise ArgumentError(
        f"the data have {only}{beside}, and Amelia imputes a column from the others: add columns "
        "that are related to it, or with a time column (ts) impute from its trend (polytime=1)."
    )


def _check_priors(
    priors: np.ndarray[Any, Any], arguments: Mapping[str, Any], data: pd.DataFrame
) -> None:
    rows, columns = priors[:, 0], priors[:, 1]
    if not np.isin(rows, np.arange(len(data) + 1)).all():
        raise ArgumentError(
            f"priors names rows that the data do not have: rows are counted from 1 to {len(data)}, "
            "as in R (row 1 is data.iloc[0]); row 0 stands for all missing cells of the column."
        )
    cells = pd.DataFrame({"row": rows.astype(int), "column": columns.astype(int)})
    twice = cells[cells.duplicated()]
    if len(twice):
        row, column = twice.iloc[0]
        raise ArgumentError(
            f"priors has two priors for row {row} of column {data.columns[column - 1]!r}: give one "
            "prior a cell."
        )
    _refuse_columns(columns, {"noms": arguments.get("noms", ())}, data, "priors", "a nominal one")
    _refuse_ids(columns, arguments, data, "priors")
    if priors.shape[1] == 4:
        if not (priors[:, 3] > 0).all():
            raise ArgumentError("priors: a standard deviation (the fourth number) must be above 0.")
        return
    if not ((priors[:, 4] > 0) & (priors[:, 4] < 1)).all():
        raise ArgumentError(
            "priors: a confidence (the fifth number) must lie between 0 and 1 (0.95 for 95%)."
        )
    if not (priors[:, 2] < priors[:, 3]).all():
        raise ArgumentError("priors: the lower end of a range must be below the upper end.")


def _check_bounds(
    bounds: np.ndarray[Any, Any], arguments: Mapping[str, Any], data: pd.DataFrame
) -> None:
    for column, low, high in bounds:
        if low > high:
            raise ArgumentError(
                f"bounds of column {data.columns[int(column) - 1]!r}: the lower one ({low:g}) is "
                f"above the upper one ({high:g})."
            )
    columns = bounds[:, 0]
    _refuse_columns(columns, {"noms": arguments.get("noms", ())}, data, "bounds", "a nominal one")
    _refuse_ids(columns, arguments, data, "bounds")


def _check_overimp(
    overimp: np.ndarray[Any, Any], arguments: Mapping[str, Any], data: pd.DataFrame
) -> None:
    rows, columns = overimp[:, 0], overimp[:, 1]
    if not np.isin(rows, np.arange(1, len(data) + 1)).all():
        raise ArgumentError(
            f"overimp names rows that the data do not have: rows are counted from 1 to {len(data)},"
            " as in R (row 1 is data.iloc[0])."
        )
    _refuse_ids(columns, arguments, data, "overimp")
    for column in np.unique(columns).astype(int):
        name = data.columns[column - 1]
        left = data[name].reset_index(drop=True)
        before = left.dropna().unique()
        left = left.drop(rows[columns == column].astype(int) - 1)
        after = left.dropna().unique()
        if not len(after):
            raise ArgumentError(
                f"overimp covers every observed cell of column {name!r}: nothing is left to "
                "impute it from."
            )
        # Amelia codes categories by their order in the data without these cells, and decodes them
        # by their order in the data with them.
        if name in arguments.get("noms", ()) and list(before) != list(after):
            raise ArgumentError(
                f"overimp covers the first cell of a category of the nominal column {name!r}, "
                "whereupon Amelia mixes its categories up: take that cell out of overimp, or put "
                "another row with that category before it."
            )

    if _from_time(arguments):
        return
    left = data.notna().to_numpy(copy=True)
    left[:, data.columns.isin(list(id_columns(arguments)))] = False
    before = left.any(axis=1)
    left[rows.astype(int) - 1, columns.astype(int) - 1] = False
    emptied = np.flatnonzero(before & ~left.any(axis=1)) + 1
    if len(emptied):
        raise ArgumentError(
            f"overimp covers all that row {emptied[0]} has, and Amelia leaves such a row empty: "
            "take one of its cells out of overimp."
        )


def _refuse_ids(
    columns: np.ndarray[Any, Any], arguments: Mapping[str, Any], data: pd.DataFrame, what: str
) -> None:
    roles = {name: [arguments[name]] for name in _COLUMN if name in arguments}
    roles = {"idvars": arguments.get("idvars", ()), **roles}
    _refuse_columns(columns, roles, data, what, "an id variable")


def _refuse_columns(
    columns: np.ndarray[Any, Any],
    roles: Mapping[str, Sequence[str]],
    data: pd.DataFrame,
    what: str,
    kind: str,
) -> None:
    for role, names in roles.items():
        for number in np.unique(columns).astype(int):
            name = data.columns[number - 1]
            if name in names:
                raise ArgumentError(
                    f"{what} names column {name!r}, {kind} ({role}), which Amelia can't use so: "
                    f"take it out of {what} or out of {role}."
                )
