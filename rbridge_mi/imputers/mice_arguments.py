"""What `mice()` takes, and what it is asked: blocks of columns, their methods and predictors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..base.arguments import check_columns
from ..base.checks import hint
from ..errors import ArgumentError
from .arguments import Argument, check_kinds, under_r_names

__all__ = ["ARGUMENTS", "PASSED_ON", "Setup", "checked", "for_r", "is_passive", "set_up"]

WHERE = ("missing", "all", "none", "observed")
VISITS = ("roman", "arabic", "monotone", "revmonotone")
# All of mice()'s arguments but the data, m and seed. Python's signature, its checks and those of
# job files follow from this list.
_OF_MICE = (
    Argument("method", "methods"),
    Argument("predictorMatrix", "by column", each="types"),
    Argument("ignore", "values", hidden="has a value for each row, which a job file can't name"),
    Argument("where", "choice", choices=WHERE),
    Argument("blocks", "blocks"),
    Argument("visitSequence", "texts"),
    Argument("formulas", "by column", each="text"),
    Argument("blots", "by column", each="settings"),
    Argument("post", "by column", each="text"),
    Argument("defaultMethod", "texts", count=4),
    Argument("maxit", "whole", least=0),
    Argument("data.init", "values", hidden="is a frame: a job file has one only"),
)
# What mice() passes on by its dots: to its setup, and to the imputation functions.
_PASSED_ON = (
    Argument("eps", "number", least=0),
    Argument("maxcor", "number", least=0, most=1),
    Argument("threshold", "number", least=0),
    Argument("allow.na", "truth"),
    Argument("remove.constant", "truth"),
    Argument("remove.collinear", "truth"),
    Argument("donors", "whole", least=1),
    Argument("matchtype", "whole", least=0, most=2),
    Argument("exclude", "number"),
    Argument("use.matcher", "truth"),
    Argument("ridge", "number", least=0),
    Argument("ls.meth", "choice", choices=("qr", "ridge", "svd")),
    Argument("rank.adjust", "truth"),
    Argument("nnet.maxit", "whole", least=1),
    Argument("nnet.trace", "truth"),
    Argument("nnet.MaxNWts", "whole", least=1),
    Argument("polr.to.loggedEvents", "truth"),
    Argument("intercept", "truth"),
    Argument("paniter", "whole", least=1),
    Argument("groupcenter.slope", "truth"),
    Argument("n.burn", "whole", least=1),
    Argument("n.iter", "whole", least=1),
    Argument("minbucket", "whole", least=1),
    Argument("cp", "number", least=0),
    Argument("ntree", "whole", least=1),
    Argument("rfPackage", "choice", choices=("ranger", "randomForest")),
    Argument("nfolds", "whole", least=3),
    Argument("midas.kappa", "number", least=0),
    Argument("outout", "truth"),
    Argument("quad.outcome", "column"),
    Argument("ri.maxit", "whole", least=1),
    Argument("ums", "text"),
)
ARGUMENTS = (
    *_OF_MICE,
    *_PASSED_ON,
    Argument("printFlag", "truth", hidden="prints: a progress bar does that"),
)


PASSED_ON = tuple(x.name for x in _PASSED_ON)


@dataclass(frozen=True)
class Setup:
    """What mice will do with the data, as far as the arguments say it.

    Parameters
    ----------
    blocks : dict
        The columns of each block.
    methods : dict
        The method of each block; "" for none.
    types : DataFrame
        The predictor matrix: blocks by columns.
    where : DataFrame
        The cells to impute.
    by_formula : frozenset of str
        The blocks whose predictors a formula has, and not the matrix.
    ignore : array
        The rows from which nothing is estimated.
    """

    blocks: Mapping[str, list[str]]
    methods: Mapping[str, str]
    types: pd.DataFrame
    where: pd.DataFrame
    by_formula: frozenset[str]
    ignore: np.ndarray[Any, Any]

    @property
    def classes(self) -> list[str]:
        """The columns whose groups the predictor matrix names by -2."""
        return [str(name) for name in self.types.columns if (self.types[name] == -2).any()]

    def targets(self) -> list[tuple[str, str, str]]:
        """Return (block, method, column) of what is imputed."""
        return [
            (block, self.methods[block], name)
            for block, names in self.blocks.items()
            for name in names
            if self.methods[block] and self.where[name].any()
        ]


def is_passive(method: str) -> bool:
    """Tell whether a method is a formula that computes the column from others."""
    return method.startswith("~")


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
    given = list(given)
    if any(name == "seed" for name, _ in given):
        raise ArgumentError("seed is impute()'s: `MiceImputer(...).impute(data, seed=1)`.")
    values = under_r_names(given, ARGUMENTS, "MiceImputer")
    if values.pop("printFlag", False):
        raise ArgumentError("printFlag=True would print: a progress bar does that. Drop it.")
    frames = {x: values.pop(x) for x in ("where",) if isinstance(values.get(x), pd.DataFrame)}
    values = check_kinds(values, ARGUMENTS) | frames
    if {"predictorMatrix", "blocks", "formulas"} <= set(values):
        raise ArgumentError(
            "mice can't take predictorMatrix, blocks and formulas together: give two of them."
        )
    if "blots" in values:
        values["blots"] = {x: _settings(x, given) for x, given in values["blots"].items()}
    default = values.get("defaultMethod")
    if default is not None and (isinstance(default, str) or len(default) != 4):
        raise ArgumentError(
            "defaultMethod must be four methods, as in R: for numbers, for two categories, for "
            f"more, and for ordered ones; not {default!r}."
        )
    maxit = values.get("maxit", 1)
    if not isinstance(maxit, int | np.integer) or maxit < 0:
        raise ArgumentError(f"maxit must be a whole number of at least 0, not {maxit!r}.")
    return values


def _settings(block: str, given: Any) -> dict[str, Any]:
    """Check a block's arguments: R would look a function up by the name that some others hold."""
    if not isinstance(given, Mapping):
        raise ArgumentError(f"blots has {given!r} for {block!r}, and takes a mapping of arguments.")
    return check_kinds(under_r_names(given.items(), _PASSED_ON, f"blots of {block!r}"), _PASSED_ON)


def set_up(arguments: Mapping[str, Any], data: pd.DataFrame) -> Setup:
    """Find what mice will impute, by what and from what.

    Parameters
    ----------
    arguments : mapping
        As `checked` returned them.
    data : DataFrame

    Returns
    -------
    Setup
        Of all blocks, also those in which there is nothing to impute.

    Raises
    ------
    ArgumentError
        A name in the arguments that is none of the data's, or a shape that can't be right.
    """
    if data.shape[1] < 2:
        raise ArgumentError("mice needs at least two columns: it imputes each from the others.")
    formulas = dict(arguments.get("formulas", {}))
    blocks = _blocks(arguments.get("blocks"), data)
    by_formula = frozenset(formulas)
    if formulas and "blocks" in arguments:
        _check_blocks(formulas, blocks, "formulas")
        by_formula = frozenset(blocks)
    elif formulas:
        of_formulas = {name: _response(name, text, data) for name, text in formulas.items()}
        # R imputes the columns that have no formula only if it is given a matrix.
        rest = blocks if "predictorMatrix" in arguments else {}
        blocks = of_formulas | {k: v for k, v in rest.items() if k not in of_formulas}
    where = _where(arguments.get("where"), data)
    covered = {name for names in blocks.values() for name in names}
    where.loc[:, [x for x in data.columns if x not in covered]] = False
    check_columns(arguments.get("post", ()), data, "post")
    _check_blocks(arguments.get("blots", ()), blocks, "blots")
    return Setup(
        blocks,
        _methods(arguments, blocks, where, data),
        _types(arguments.get("predictorMatrix"), blocks, data),
        where,
        by_formula,
        _ignore(arguments.get("ignore"), data),
    )


def for_r(arguments: Mapping[str, Any], setup: Setup, data: pd.DataFrame) -> dict[str, Any]:
    """Return the arguments as ``run_mice`` in r/imputers/mice.R takes them.

    Parameters
    ----------
    arguments : mapping
        As `checked` returned them.
    setup : Setup
        What `set_up` made of them.
    data : DataFrame

    Returns
    -------
    dict
        Frames in the order of the data's columns, everything else as R writes it.
    """
    values = dict(arguments)
    if isinstance(values.get("method"), Mapping):
        values["method"] = dict(setup.methods)
    if "predictorMatrix" in values:
        values["predictorMatrix"] = {
            "types": setup.types.to_numpy(dtype=np.float64),
            "rows": list(setup.types.index),
            "columns": list(setup.types.columns),
        }
    if isinstance(values.get("where"), pd.DataFrame):
        values["where"] = _where(values["where"], data).reset_index(drop=True)
    if "blocks" in values:
        values["blocks"] = {name: list(columns) for name, columns in setup.blocks.items()}
    if "ignore" in values:
        values["ignore"] = setup.ignore
    if "visitSequence" in values:
        values["visitSequence"] = _visits(values["visitSequence"], setup)
    if "data.init" in values:
        values["data.init"] = _start(values["data.init"], data)
    if "quad.outcome" in values:
        check_columns([values["quad.outcome"]], data, "quad_outcome")
    return values


def _blocks(given: Any, data: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of each block; blocks without a name get R's: B1, B2, ..."""
    if given is None:
        return {str(name): [name] for name in data.columns}
    if isinstance(given, str):
        given = [given]
    lists = given.values() if isinstance(given, Mapping) else given
    if not lists or not all(len(x) for x in lists):
        raise ArgumentError("blocks must be lists of columns, each of at least one.")
    if isinstance(given, Mapping):
        blocks = {str(k): [v] if isinstance(v, str) else [*v] for k, v in given.items()}
    else:
        blocks, number = {}, 0
        for item in given:
            columns = [item] if isinstance(item, str) else [*item]
            number += len(columns) > 1
            blocks[f"B{number}" if len(columns) > 1 else columns[0]] = columns
    for name, columns in blocks.items():
        check_columns(columns, data, "blocks")
        if len(set(columns)) < len(columns):
            raise ArgumentError(f"block {name!r} names a column twice.")
    return blocks


def _check_blocks(names: Iterable[Any], blocks: Mapping[str, Any], what: str) -> None:
    """Refuse a name that is no block's; without `blocks` and `formulas` these are the columns."""
    for name in names:
        if name not in blocks:
            raise ArgumentError(
                f"{what} names {name!r}{hint(name, blocks)}, which mice does not impute: its "
                f"columns or blocks are {', '.join(map(repr, blocks))}."
            )


def _response(name: str, text: Any, data: pd.DataFrame) -> list[str]:
    """Return the columns on the left of a formula; R itself parses it."""
    left, tilde, _ = str(text).partition("~")
    columns = [x.strip().strip("`") for x in left.split("+") if x.strip()]
    if not tilde or not columns:
        raise ArgumentError(
            f"the formula of {name!r} must have its column on the left: '{name} ~ a + b', not "
            f"{text!r}."
        )
    check_columns(columns, data, "formulas")
    if name in data.columns and name not in columns:
        raise ArgumentError(
            f"the formula of {name!r} has {', '.join(map(repr, columns))} on its left: it would "
            f"impute that, and not {name!r}."
        )
    return columns


def _where(given: Any, data: pd.DataFrame) -> pd.DataFrame:
    """Return the cells to impute, by the data's columns and rows."""
    missing = data.isna()
    if given is None or isinstance(given, str):
        of_keyword = {"all": missing | True, "none": missing & False, "observed": ~missing}
        return of_keyword.get(given or "missing", missing)
    if not given.index.equals(data.index):
        raise ArgumentError("where must have the data's rows: a frame with the same index.")
    check_columns(given.columns, data, "where")
    absent = [repr(x) for x in data.columns if x not in given.columns]
    if absent:
        raise ArgumentError(f"where lacks the columns {', '.join(absent)}: give all of them.")
    if not all(pd.api.types.is_bool_dtype(x) for x in given.dtypes) or given.isna().any(axis=None):
        raise ArgumentError("where must hold True or False in every cell.")
    return given[list(data.columns)].astype(bool)


def _methods(
    arguments: Mapping[str, Any],
    blocks: Mapping[str, list[str]],
    where: pd.DataFrame,
    data: pd.DataFrame,
) -> dict[str, str]:
    """Return the method of each block; "" where there is nothing to impute."""
    given = arguments.get("method")
    defaults = arguments.get("defaultMethod", ("pmm", "logreg", "polyreg", "polr"))
    if given is None:
        chosen = {name: _default(data[columns], defaults) for name, columns in blocks.items()}
    elif isinstance(given, Mapping):
        _check_blocks(given, blocks, "method")
        chosen = {
            name: given[name] if name in given else _default(data[columns], defaults)
            for name, columns in blocks.items()
        }
    elif isinstance(given, str):
        if is_passive(given):
            raise ArgumentError(
                f"method={given!r} would compute every column by one formula: give it to its "
                "column, as in method={'bmi': '~ I(wgt / hgt^2)'}."
            )
        chosen = dict.fromkeys(blocks, given)
    else:
        if len(given) != len(blocks):
            raise ArgumentError(
                f"method is a list of {len(given)}, and there are {len(blocks)} "
                f"{'blocks' if 'blocks' in arguments else 'columns'}: give one method for each, in "
                "their order, or a mapping from names to methods."
            )
        chosen = dict(zip(blocks, given, strict=True))
    for name, method in chosen.items():
        if not isinstance(method, str):
            raise ArgumentError(f"the method of {name!r} must be a text, not {method!r}.")
        if is_passive(method) and len(blocks[name]) > 1:
            raise ArgumentError(
                f"block {name!r} has several columns, and a passive method ({method!r}) computes "
                "one: give that column a block of its own."
            )
    return {k: v if where[blocks[k]].any(axis=None) else "" for k, v in chosen.items()}


def _default(columns: pd.DataFrame, methods: Sequence[str]) -> str:
    """Return mice's default for a block: by the kind of its columns, if they are of one."""
    kinds = {_kind(columns[name]) for name in columns}
    # Of several kinds, R takes the method for numbers.
    return str(methods[kinds.pop() if len(kinds) == 1 else 0])


def _kind(column: pd.Series[Any]) -> int:
    """Return which of mice's four default methods a column gets."""
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) and len(dtype.categories) > 1:
        if len(dtype.categories) == 2:
            return 1
        return 3 if dtype.ordered else 2
    return 1 if pd.api.types.is_bool_dtype(dtype) else 0


def _types(given: Any, blocks: Mapping[str, list[str]], data: pd.DataFrame) -> pd.DataFrame:
    """Return the predictor matrix; what isn't given of it is as mice makes it."""
    types = pd.DataFrame(1, index=list(blocks), columns=list(data.columns))
    for name in blocks:
        if name in types.columns:
            types.loc[name, name] = 0
    if given is None:
        return types
    rows = given.iterrows() if isinstance(given, pd.DataFrame) else given.items()
    for name, row in rows:
        _check_blocks([name], blocks, "predictorMatrix")
        if not isinstance(row, Mapping | pd.Series):
            raise ArgumentError(
                f"predictorMatrix has {row!r} for {name!r}: it takes a mapping from names of "
                "columns to types, such as {'school': -2}."
            )
        for column, value in dict(row).items():
            check_columns([column], data, "predictorMatrix")
            if isinstance(value, bool | np.bool_) or value not in (-2, -1, 0, 1, 2, 3, 4):
                raise ArgumentError(
                    f"predictorMatrix has {value!r} for {name!r} and {column!r}: it takes 0 (no "
                    "predictor), 1 (predictor), -2 (the class), 2 (random slope), 3 and 4 (with "
                    "the class means, too)."
                )
            types.loc[name, column] = 0 if column == name else int(value)
    return types


def _ignore(given: Any, data: pd.DataFrame) -> np.ndarray[Any, Any]:
    if given is None:
        return np.zeros(len(data), bool)
    if isinstance(given, pd.Series) and not given.index.equals(data.index):
        raise ArgumentError("ignore must have the data's rows: a Series with the same index.")
    rows = np.asarray(given)
    if rows.dtype != bool or rows.shape != (len(data),):
        raise ArgumentError(f"ignore must be True or False for each of the {len(data)} rows.")
    if rows.all():
        raise ArgumentError("ignore names all rows, and leaves none to estimate anything from.")
    return rows


def _visits(given: Any, setup: Setup) -> Any:
    if isinstance(given, str) and given in VISITS:
        return given
    names = [given] if isinstance(given, str) else list(given)
    _check_blocks(names, setup.blocks, "visitSequence")
    if len(names) < 2:
        raise ArgumentError(
            "visitSequence needs two columns or blocks at least (mice takes one name for one of "
            f"its keywords: {', '.join(VISITS)}): leave it out, or name a complete column, too."
        )
    return names


def _start(given: Any, data: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(given, pd.DataFrame) or not given.index.equals(data.index):
        raise ArgumentError("data_init must be a frame with the data's rows and columns.")
    check_columns(data.columns, given, "the data's columns must be in data_init; that")
    if given[list(data.columns)].isna().any(axis=None):
        raise ArgumentError("data_init has missing values: imputations begin with its cells.")
    return given[list(data.columns)]
