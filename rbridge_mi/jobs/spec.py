"""What a job file may say; all of it is checked, and every mistake listed, before any work.

========== ==============================================================================
[data]     path, format, columns (name = type), missing, delimiter, decimal, encoding
[imputation] engine, m, seed, isolate, timeout, and the engine's arguments under R's names;
           engine = "compatible" imputes from [model]
[model]    formula, fitter, reml (lmer), family, link, nAGQ (glmer), control, start, weights,
           offset, subset, na_action, contrasts, isolate, timeout
[pooling]  dfcom, conf_level, vcov, exponentiate
[output]   folder, formats, tables, imputed, report
========== ==============================================================================

A job is data: no value of it reaches R as code. A formula may call only what `Lmer` allows anyway
(there is no ``allow`` here), as may what mice takes as code, and the names of functions
(optimizers, contrasts, mice's methods) come from lists.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..base.checks import (
    LEVEL,
    SECONDS,
    SEED,
    Check,
    Wrong,
    any_of,
    any_text,
    boolean,
    list_of,
    number,
    one_of,
    text,
    whole,
)
from ..imputers.arguments import Argument
from ..imputers.engines import ENGINES, engine_named
from .tables import JOB_TABLES, TABLES_OF_CHAINS, TABLES_OF_LIST, TABLES_OF_ONE
from .values import Mistakes, Table, by_column, encoding, matrix, shown, text_list

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "ColumnSpec",
    "DataSpec",
    "ImputationSpec",
    "Job",
    "ModelSpec",
    "OutputSpec",
    "PoolingSpec",
    "column_key",
    "engine_arguments",
    "parse_data",
    "parse_job",
    "parse_toml",
]

TYPES = ("category", "text", "integer", "float", "boolean", "date", "datetime")
_COMPRESSED = ("zip", "bz2", "xz", "zst", "7z", "tar", "tgz")
ENGINE_NAMES = (*(x.name for x in ENGINES), "auto", "none")
FORMATS = ("csv", "parquet")

_INSTALL_PARQUET = (
    '"parquet" needs pyarrow, which isn\'t installed: pip install "rbridge_mi[parquet]"'
)


@dataclass(frozen=True)
class ColumnSpec:
    """A column of the data: its type, and what goes with it."""

    type: str
    levels: tuple[str, ...] | None = None
    ordered: bool = False
    format: str | None = None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataSpec:
    """The data: one file, and the columns to take from it (None: all of a Parquet file's)."""

    path: str
    format: str
    columns: Mapping[str, ColumnSpec] | None
    missing: tuple[str, ...] = ("", "NA")
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"


@dataclass(frozen=True)
class ImputationSpec:
    """The engine, its arguments under R's names, and whether it runs in a separate process.

    Without m an engine that imputes from the model chooses it.
    """

    engine: str
    m: int | None = 5
    seed: int = 0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    isolate: bool | None = None
    timeout: float | None = None


@dataclass(frozen=True)
class ModelSpec:
    """The arguments of `Lmer`, `Glmer` or `GlmerNb`, and whether a separate process fits it."""

    formula: str
    fitter: str = "lmer"
    arguments: Mapping[str, Any] = field(default_factory=dict)
    isolate: bool = False
    timeout: float | None = None


@dataclass(frozen=True)
class PoolingSpec:
    """How the fits become one answer; without dfcom, that is infinite for models without scale."""

    dfcom: str | float | None = None
    conf_level: float = 0.95
    vcov: str = "model"
    exponentiate: bool = False


@dataclass(frozen=True)
class OutputSpec:
    """What is written; the folder is relative to the job file's."""

    folder: str | None
    formats: tuple[str, ...]
    tables: tuple[str, ...]
    imputed: bool = False
    report: bool = False


@dataclass(frozen=True)
class Job:
    """A job file that has been checked, defaults filled in."""

    data: DataSpec
    imputation: ImputationSpec
    model: ModelSpec
    pooling: PoolingSpec
    output: OutputSpec


def parse_toml(source: str, mistakes: Mistakes) -> dict[str, Any]:
    """Read a TOML text; the result is empty, with a mistake, if it is none."""
    try:
        return tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        mistakes.add("(file)", f"is not valid TOML: {error or 'nested too deeply'}")
        return {}


def parse_job(given: Mapping[str, Any], mistakes: Mistakes) -> Job | None:
    """Return the job of a TOML file, or None where there are mistakes, which join the list.

    Parameters
    ----------
    given : mapping
        What `parse_toml` read.
    mistakes : Mistakes
        The list.

    Returns
    -------
    Job or None
        None where anything was added to `mistakes`.

    Examples
    --------
    >>> mistakes = Mistakes()
    >>> parse_job({"imputation": {"engine": "amelia", "m": 1.5, "seed": 1}}, mistakes) is None
    True
    >>> [text for key, text in mistakes if key == "imputation.m"]
    ['must be a whole number of at least 2, not 1.5']
    """
    before = len(mistakes)
    top = Table("", given, mistakes)
    data = _data(_section(top, "data", mistakes))
    imputation = _imputation(_section(top, "imputation", mistakes))
    model = _model(_section(top, "model", mistakes))
    engine = imputation.engine
    pooling = _pooling(Table("pooling", top.take("pooling", _same, {}), mistakes), engine)
    output = _output(Table("output", top.take("output", _same, {}), mistakes), engine)
    top.done()
    if len(mistakes) > before:
        return None
    return Job(data, imputation, model, pooling, output)


def parse_data(given: Mapping[str, Any]) -> DataSpec | None:
    """Return the [data] of a job that may have mistakes elsewhere; None if [data] has some."""
    mistakes = Mistakes()
    spec = _data(Table("data", given.get("data"), mistakes))
    return None if mistakes else spec


_STARTS = {
    "data": 'begin with [data] and path = "file.csv"',
    "imputation": '[imputation] with engine = "compatible" (or "amelia", "bootstrap", "auto", '
    '"none")',
    "model": '[model] with formula = "y ~ x + (1 | group)"',
}


def _same(value: Any) -> Any:
    return value


def _section(top: Table, name: str, mistakes: Mistakes) -> Table | None:
    section = top.take(name, _same, None, required=_STARTS[name])
    return None if section is None else Table(name, section, mistakes)


# -- [data] --------------------------------------------------------------------------------


def _data(table: Table | None) -> DataSpec:
    if table is None:
        return DataSpec("", "csv", None)
    path = table.take("path", text, "", required='the data\'s file, such as "data.csv"')
    suffix = path.lower().removesuffix(".gz").rpartition(".")[2]
    guess = suffix if suffix in FORMATS else None
    ask = "" if guess or not path else f"one of {', '.join(map(shown, FORMATS))}"
    if ask and suffix in _COMPRESSED:
        ask += f"; {shown(path)} is compressed, of which only .csv.gz can be read: unpack it"
    kind = table.take("format", one_of(*FORMATS), guess, required=ask) or "csv"
    if kind == "parquet" and not _has_pyarrow():
        table.mistakes.add("data.format" if "format" in table.given else "data.path",
                           _INSTALL_PARQUET)  # fmt: skip
    columns = _columns(table, kind)
    if kind == "parquet":
        if path.lower().endswith(".gz"):
            table.mistakes.add("data.path", "is a compressed Parquet file: unpack it")
        for name in ("missing", "delimiter", "decimal", "encoding"):
            table.refuse(name, "has no meaning for Parquet, which has types and nulls of its own")
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


def _has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def _character(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n':
        raise Wrong('must be one character, such as ";", not {}', value)
    return value


def _columns(table: Table, kind: str) -> dict[str, ColumnSpec] | None:
    given = table.take("columns", _same, None)
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
    if kind == "parquet":
        table.refuse("missing", "has no meaning for Parquet, which has nulls of its own")
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


# -- [imputation] --------------------------------------------------------------------------

_NAMES = list_of(text, "column names", 1, single=True)
_METHODS = list_of(any_text, "methods", unique=False)
_MATRIX = matrix()


def _argument_check(argument: Argument) -> Check:
    """Return the check of an engine's argument, by its kind."""
    least = None if argument.least is None else int(argument.least)
    most = None if argument.most is None else int(argument.most)
    checks: dict[str, Callable[[], Check]] = {
        "columns": lambda: _NAMES,
        "column": lambda: text,
        "table": lambda: matrix(argument.widths, name_at=argument.column_at - 1),
        "number": lambda: _number_within(argument),
        "whole": lambda: whole(least, most),
        "wholes": lambda: list_of(
            whole(least), "two whole numbers", argument.count, argument.count, unique=False
        ),
        "start": lambda: any_of(_MATRIX, whole(least, most)),
        "matrix": lambda: _MATRIX,
        "truth": lambda: boolean,
        "choice": lambda: one_of(*argument.choices),
        "by column": lambda: by_column(_EACH[argument.each](argument)),
        "text": lambda: text,
        "texts": lambda: _texts(argument.count),
        "methods": lambda: _methods,
        "blocks": lambda: any_of(list_of(_block, "columns or lists of them"), by_column(_NAMES)),
        "formulas": lambda: any_of(list_of(text, "two formulas", 2, 2), text),
        "roles": lambda: _of_levels(by_column(whole(least, most))),
        "prior": lambda: _prior,
    }
    return checks[argument.kind]()


def _of_levels(check: Check) -> Check:
    """Make the check of a value, or of two for level 1 and level 2."""
    two = list_of(check, "two tables", 2, 2, unique=False)
    return lambda value: two(value) if isinstance(value, list) else check(value)


def _prior(value: Any) -> Any:
    """Check a table of numbers and matrices, or several."""
    parts = value if isinstance(value, list) else [value]
    number_or_matrix = any_of(number(), _MATRIX)
    if not parts or not all(isinstance(x, Mapping) for x in parts):
        raise Wrong("must be a table such as {a = 1, Binv = [[1]], ...}, not {}", value)
    checked = [by_column(number_or_matrix)(x) for x in parts]
    return checked if isinstance(value, list) else checked[0]


def _bounds(value: Any) -> tuple[float, float]:
    """Check a least and a greatest value; -inf and inf stand for none."""
    check = list_of(number("a number", lambda x: x == x), "two numbers", 2, 2, unique=False)
    least, greatest = check(value)
    return least, greatest


def _level(value: Any) -> str | None:
    """Check the name of a grouping factor; an empty text stands for rows."""
    return any_text(value) or None


def _derivation(value: Any) -> str | tuple[str, ...]:
    """Check an R expression, or ["mean", column, group]."""
    if isinstance(value, str):
        return str(text(value))
    if not isinstance(value, list) or len(value) != 3 or value[0] != "mean":
        raise Wrong('must be ["mean", column, group] or an R expression of columns, not {}', value)
    return ("mean", *map(text, value[1:]))


def _texts(count: int) -> Check:
    """Make the check of so many texts; without a number, of one or several."""
    if count:
        return list_of(text, f"{count} texts", count, count, unique=False)
    return any_of(text, list_of(text, "texts"))


def _methods(value: Any) -> Any:
    """Check a method, several in the order of the columns, or some by name; "" is none."""
    if isinstance(value, Mapping):
        return by_column(any_text)(value)
    return text(value) if isinstance(value, str) else _METHODS(value)


def _block(value: Any) -> Any:
    """Check a column's name, or several."""
    return text(value) if isinstance(value, str) else _NAMES(value)


def _setting(value: Any) -> Any:
    """Check a number, a truth value, a text, or a list of one kind of these."""
    kinds = {type(x) for x in value} if isinstance(value, list) else {type(value)}
    if len(kinds) != 1 or not kinds <= {bool, int, float, str}:
        raise Wrong("must be a number, a text, true or false, or a list of these, not {}", value)
    return value


_EACH: dict[str, Callable[[Argument], Check]] = {
    "choice": lambda argument: one_of(*argument.choices),
    "level": lambda _: _level,
    "bounds": lambda _: _bounds,
    "derivation": lambda _: _derivation,
    "text": lambda _: text,
    "types": lambda _: by_column(whole()),
    "settings": lambda _: by_column(_setting),
}


def _number_within(argument: Argument) -> Check:
    least = -math.inf if argument.least is None else argument.least
    most = math.inf if argument.most is None else argument.most
    if argument.most is not None:
        return number(f"a number from {least:g} to {most:g}", lambda x: least <= x <= most)
    if argument.above:
        return number(f"a number above {least:g}", lambda x: least < x < math.inf)
    return number(f"a number of at least {least:g}", lambda x: least <= x < math.inf)


_DATA_ARGUMENTS = dict.fromkeys(("x", "data"), "is what [data] reads")


def engine_arguments(engine: str) -> dict[str, Argument]:
    """Return the arguments that an engine takes in a job, by R's names.

    "auto" takes those of the engine that is tried first, and those of the last one, on which it
    may fall back.
    """
    last = next(x for x in reversed(ENGINES) if not x.needs_model)
    engines = (engine_named("auto"), last) if engine == "auto" else (engine_named(engine),)
    return {x.name: x for y in engines for x in y.arguments if not x.hidden}


def _refused_arguments(engine: str) -> dict[str, str]:
    hidden = {x.name: x.hidden for x in engine_named(engine).arguments if x.hidden}
    return hidden | _DATA_ARGUMENTS


def _imputation(table: Table | None) -> ImputationSpec:
    if table is None:
        return ImputationSpec("")
    engine = table.take(
        "engine", one_of(*ENGINE_NAMES), None, required=f"one of {', '.join(ENGINE_NAMES)}"
    )
    if engine is None:  # without it nobody can say which of the other keys have a place
        names = dict.fromkeys([*(x.name for y in ENGINES for x in y.arguments), *_DATA_ARGUMENTS])
        table.flatten(["engine", "m", "seed", "isolate", "timeout", *names])
        table.take("m", whole(2))
        table.take("seed", whole())
        _isolation(table, None)
        table.finish(*names)
        return ImputationSpec("")
    if engine == "none":
        for name in tuple(table.given):
            if name != "engine":
                table.refuse(
                    name, 'has no meaning with engine = "none": drop it, or choose another'
                )
        table.done()
        return ImputationSpec(engine)
    from_model = engine_named(engine).needs_model
    needs_m = from_model and table.given.get("family", "gaussian") != "gaussian"
    m = table.take(
        "m",
        whole(2),
        None if from_model else 5,
        required="a whole number: only a linear model is fitted to choose it" if needs_m else "",
    )
    seed = table.take(
        "seed",
        SEED,
        0,
        required="a whole number, such as 1, so that the job gives the same bytes each time",
    )
    checks = {name: _argument_check(x) for name, x in engine_arguments(engine).items()}
    table.flatten(["engine", "m", "seed", "isolate", "timeout", *checks])
    isolation: dict[str, Any] = {}
    if engine_named(engine).isolates:
        isolation = _isolation(table, None)
        for name, why in _refused_arguments(engine).items():
            table.refuse(name, why)
    else:
        does = "runs no R" if from_model else "only draws rows"
        for name in ("isolate", "timeout"):
            table.refuse(name, f'has no meaning with engine = "{engine}", which {does}')
        for name, why in _DATA_ARGUMENTS.items():
            table.refuse(name, why)
        if from_model:
            table.refuse("model", "is what [model] has: the data are imputed from it")
    arguments = {}
    for name, check in checks.items():
        value = table.take(name, check)
        if value is not None:
            arguments[name] = value
    table.done()
    return ImputationSpec(engine, m, seed, arguments, **isolation)


def _isolation(table: Table, default: bool | None) -> dict[str, Any]:
    return {
        "isolate": table.take("isolate", boolean, default),
        "timeout": table.take("timeout", SECONDS),
    }


# -- [model] -------------------------------------------------------------------------------

_STOP = one_of("ignore", "stop")
_CHECK = one_of("ignore", "message", "warning", "stop")
_CHECK_SMALL = one_of(
    "ignore", "message", "warning", "stop", "messageSmall", "warningSmall", "stopSmall"
)
_ACTION = ("ignore", "message", "warning", "stop")
_TOLERANCE = number("a number above 0", lambda x: 0 < x < math.inf)


def _convergence(value: Any) -> Any:
    """Check an action, or the list that lme4 makes of one: action, tol, relTol."""
    if not isinstance(value, Mapping):
        return one_of(*_ACTION)(value)
    checks: dict[str, Check] = {"action": one_of(*_ACTION), "tol": _TOLERANCE, "relTol": _TOLERANCE}
    unknown = [x for x in value if x not in checks]
    if unknown or "action" not in value or "tol" not in value:
        raise Wrong("must be an action or a table of action, tol and relTol, not {}", value)
    return {name: checks[name](x) for name, x in value.items()} | {"relTol": value.get("relTol")}


def _optimizer_settings(value: Any) -> dict[str, Any]:
    scalars = (bool, int, float, str)
    if not isinstance(value, Mapping) or not all(isinstance(x, scalars) for x in value.values()):
        raise Wrong("must be a table of numbers and texts, such as {maxfun = 20000}, not {}", value)
    return dict(value)


_OPTIMIZER = one_of("nloptwrap", "bobyqa", "Nelder_Mead", "nlminbwrap")

# The arguments of lmerControl() and glmerControl(); what this R's lme4 has of them, the model
# checks. R looks an optimizer up by its name, so that the names are listed here.
_CONTROL: dict[str, Check] = {
    "optimizer": any_of(_OPTIMIZER, list_of(_OPTIMIZER, "two optimizers", 2, 2, unique=False)),
    "restart_edge": boolean,
    "boundary.tol": number("a number of at least 0", lambda x: 0 <= x < math.inf),
    "calc.derivs": boolean,
    "use.last.params": boolean,
    "sparseX": boolean,
    "standardize.X": boolean,
    "autoscale": boolean,
    "check.nobs.vs.rankZ": _CHECK_SMALL,
    "check.nobs.vs.nlev": _CHECK_SMALL,
    "check.nlev.gtreq.5": _CHECK,
    "check.nlev.gtr.1": _CHECK,
    "check.nobs.vs.nRE": _CHECK_SMALL,
    "check.rankX": one_of(
        "message+drop.cols", "silent.drop.cols", "warn+drop.cols", "stop.deficient", "ignore"
    ),
    "check.scaleX": one_of(
        "warning", "stop", "silent.rescale", "message+rescale", "warn+rescale", "ignore"
    ),
    "check.formula.LHS": _STOP,
    "check.conv.grad": _convergence,
    "check.conv.singular": _convergence,
    "check.conv.hess": _convergence,
    "optCtrl": _optimizer_settings,
    "tolPwrss": _TOLERANCE,
    "compDev": boolean,
    "nAGQ0initStep": boolean,
    "check.response.not.const": _STOP,
}  # fmt: skip

_CONTRASTS = ("contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.SAS")


def _contrasts(value: Any) -> dict[str, Any]:
    """Check, per column, the name of one of R's contrast functions, or a matrix."""
    if not isinstance(value, Mapping) or not value:
        raise Wrong('must be a table, such as {sector = "contr.sum"}, not {}', value)
    check = any_of(_MATRIX, one_of(*_CONTRASTS))
    codings = {}
    for name, item in value.items():
        try:
            codings[name] = check(item)
        except Wrong as wrong:
            told = f"has {{}}, which {wrong.text}, or a matrix of numbers"
            raise Wrong(told, name, *wrong.values) from None
    return codings


_FITTERS = ("lmer", "glmer", "glmer.nb")
# What only some fitters take, and which.
_OF_FITTERS: dict[str, tuple[str, ...]] = {
    "reml": ("lmer",),
    "family": ("glmer",),
    "link": ("glmer",),
    "nAGQ": ("glmer", "glmer.nb"),
    "mustart": ("glmer", "glmer.nb"),
    "etastart": ("glmer", "glmer.nb"),
}


def _start(value: Any) -> Any:
    """Check start values: of theta, or a table of theta and fixef."""
    numbers = list_of(number(), "numbers", unique=False)
    if not isinstance(value, Mapping):
        return list_of(number(), "numbers (theta)", unique=False)(value)
    if not value or value.keys() - {"theta", "fixef"}:
        raise Wrong("must be numbers, or a table of theta and fixef, not {}", value)
    return {name: numbers(x) for name, x in value.items()}


def _model(table: Table | None) -> ModelSpec:
    if table is None:
        return ModelSpec("")
    formula = table.take("formula", text, "", required='as in R, "y ~ x + (1 | group)"')
    checks: dict[str, Check] = {
        "reml": boolean,
        "family": text,
        "link": text,
        "nAGQ": whole(0),
        "start": _start,
        "weights": text,
        "offset": text,
        "subset": text,
        "mustart": text,
        "etastart": text,
        "na_action": one_of("na.omit", "na.exclude", "na.fail", "na.pass"),
        "contrasts": _contrasts,
        "verbose": whole(0),
    }
    table.flatten(["formula", "fitter", *checks, "control", "na.action", "isolate", "timeout"])
    if "na.action" in table.given:
        table.given.setdefault("na_action", table.given.pop("na.action"))
    if "REML" in table.given:
        table.given.setdefault("reml", table.given.pop("REML"))
    guess = "glmer" if "family" in table.given else "lmer"
    fitter = table.take("fitter", one_of(*_FITTERS), guess) or guess
    for name, fitters in _OF_FITTERS.items():
        if fitter not in fitters:
            table.refuse(
                name, f"belongs to {' and '.join(fitters)}, and this model is fitted by {fitter}"
            )
    arguments = {name: table.take(name, check) for name, check in checks.items()}
    arguments["control"] = _control(table)
    isolation = _isolation(table, False)
    table.refuse("data", "is what [data] reads")
    table.refuse(
        "allow",
        "is not for job files, which run no code of their own: use `Lmer(..., allow=...)`",
    )
    table.done()
    given = {k: v for k, v in arguments.items() if v is not None}
    return ModelSpec(formula, fitter, given, **isolation)


def _control(table: Table) -> dict[str, Any] | None:
    given = table.take("control", _same)
    if given is None:
        return None
    control = Table("model.control", given, table.mistakes)
    control.flatten(_CONTROL)
    settings = {name: control.take(name, check) for name, check in _CONTROL.items()}
    control.done()
    return {k: v for k, v in settings.items() if v is not None}


# -- [pooling], [output] -------------------------------------------------------------------

_DFCOM = ("residual", "satterthwaite", "kenward-roger")


def _dfcom(value: Any) -> str | float:
    if isinstance(value, str) and value in _DFCOM:
        return value
    wanted = f"a number above 0, inf, or one of {', '.join(map(shown, _DFCOM))}"
    return number(wanted, lambda x: x > 0)(value)


def _pooling(table: Table, engine: str) -> PoolingSpec:
    if engine == "none":
        for name in tuple(table.given):
            table.refuse(
                name, 'has no meaning with imputation.engine = "none", which makes one fit'
            )
        return PoolingSpec()
    spec = PoolingSpec(
        table.take("dfcom", _dfcom, None),
        table.take("conf_level", LEVEL, 0.95),
        table.take("vcov", one_of("model", "kenward-roger"), "model"),
        table.take("exponentiate", boolean, False),
    )
    table.done()
    return spec


def _output(table: Table, engine: str) -> OutputSpec:
    tables = TABLES_OF_ONE if engine == "none" else TABLES_OF_LIST
    if not engine:  # which tables there are depends on it
        tables = tuple(table.name for table in JOB_TABLES)
    elif engine != "none" and engine_named(engine).needs_model:
        tables += TABLES_OF_CHAINS
    kind = "one" if engine == "none" else "list"
    by_default = [x.name for x in JOB_TABLES if kind in x.default and x.name in tables]
    imputed = table.take("imputed", boolean, False)
    if engine == "none" and imputed:
        table.mistakes.add(
            "output.imputed", 'has nothing to write with imputation.engine = "none": drop it'
        )
    report = table.take("report", boolean, False)
    if engine == "none" and report:
        table.mistakes.add(
            "output.report",
            'is a page on imputed data, of which there are none with imputation.engine = "none": '
            "drop it",
        )
    elif report:
        absent = [x for x in ("jinja2", "matplotlib") if importlib.util.find_spec(x) is None]
        if absent:
            table.mistakes.add(
                "output.report",
                f"needs {' and '.join(absent)}, which "
                f"{'is' if len(absent) == 1 else 'are'} not installed: "
                'pip install "rbridge_mi[report]"',
            )
    formats = table.take(
        "formats",
        list_of(one_of(*FORMATS), 'formats, such as ["csv", "parquet"]', single=True),
        ["csv"],
    )
    if "parquet" in formats and not _has_pyarrow():
        table.mistakes.add("output.formats", _INSTALL_PARQUET)
    spec = OutputSpec(
        table.take("folder", text),
        tuple(formats),
        tuple(table.take("tables", list_of(one_of(*tables), "tables", 0), by_default)),
        imputed,
        report,
    )
    table.done()
    return spec
