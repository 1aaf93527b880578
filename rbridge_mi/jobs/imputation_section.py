"""The [imputation] of a job file: an engine, and its arguments under R's names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..base.checks import (
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
from .data_section import FORMATS
from .job import ImputationSpec
from .values import Table, by_column, isolation, matrix, setting, shown

__all__ = ["engine_arguments", "imputation_section", "imputes", "imputes_from_model"]

ENGINE_NAMES = (*(x.name for x in ENGINES), "auto", "given", "none")

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


_EACH: dict[str, Callable[[Argument], Check]] = {
    "choice": lambda argument: one_of(*argument.choices),
    "level": lambda _: _level,
    "bounds": lambda _: _bounds,
    "derivation": lambda _: _derivation,
    "text": lambda _: text,
    "types": lambda _: by_column(whole()),
    "settings": lambda _: by_column(setting),
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


def imputes(engine: str) -> bool:
    """Tell whether it fills holes: not where there is one fit, or data sets come imputed."""
    return engine not in ("", "none", "given")


def imputes_from_model(engine: str) -> bool:
    """Tell whether the engine imputes from a model of the job."""
    return imputes(engine) and engine_named(engine).needs_model


def _given(table: Table, format: str) -> ImputationSpec:
    """Take what data sets that are imputed already need: how they are told apart."""
    for name in ("m", "seed", "isolate", "timeout"):
        table.refuse(name, 'has no meaning with engine = "given": the data sets are there')
    table.refuse("trust", "is not for job files: R never reads a file of theirs by itself")
    of_table = format in FORMATS
    arguments = {
        "imp": table.take("imp", text, ".imp" if of_table else None),
        "id": table.take("id", any_text, ".id" if of_table else None),
    }
    table.done()
    return ImputationSpec("given", None, 0, {k: v for k, v in arguments.items() if v is not None})


def imputation_section(table: Table | None, models: Sequence[str], format: str) -> ImputationSpec:
    """Take the engine and its arguments; `models` are the names of several, `format` the data's."""
    if table is None:
        return ImputationSpec("")
    engine = table.take(
        "engine", one_of(*ENGINE_NAMES), None, required=f"one of {', '.join(ENGINE_NAMES)}"
    )
    if engine is None:  # without it nobody can say which of the other keys have a place
        of_engines = [x.name for y in ENGINES for x in y.arguments]
        names = dict.fromkeys(["model", "imp", "id", *of_engines, *_DATA_ARGUMENTS])
        table.flatten(["engine", "m", "seed", "isolate", "timeout", *names])
        table.take("m", whole(2))
        table.take("seed", whole())
        isolation(table, None)
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
    if engine == "given":
        return _given(table, format)
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
    isolated: dict[str, Any] = {}
    if engine_named(engine).isolates:
        isolated = isolation(table, None)
        for name, why in _refused_arguments(engine).items():
            table.refuse(name, why)
    else:
        does = "runs no R" if from_model else "only draws rows"
        for name in ("isolate", "timeout"):
            table.refuse(name, f'has no meaning with engine = "{engine}", which {does}')
        for name, why in _DATA_ARGUMENTS.items():
            table.refuse(name, why)
    model = ""
    if from_model and models:
        listed = ", ".join(map(shown, models))
        model = table.take(
            "model", one_of(*models), models[0],
            required=f"the model that the data are imputed from, one of {listed}",
        )  # fmt: skip
    elif from_model:
        table.refuse("model", "is what [model] has: the data are imputed from it")
    arguments = {}
    for name, check in checks.items():
        value = table.take(name, check)
        if value is not None:
            arguments[name] = value
    table.done()
    return ImputationSpec(engine, m, seed, arguments, **isolated, model=model)
