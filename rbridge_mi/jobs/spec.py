"""What a job file may say; all of it is checked, and every mistake listed, before any work.

================== ======================================================================
[data]             path, format, columns (name = type), missing, delimiter, decimal, encoding
[imputation]       engine, m, seed, isolate, timeout, and the engine's arguments under R's
                   names; engine = "compatible" imputes from [model], and of several from
                   that which model = "NAME" names; engine = "given", with imp and id, takes
                   data sets that are imputed already
[model]            formula, fitter, reml (lmer), family, link, nAGQ (glmer), control, start,
                   weights, offset, subset, na_action, contrasts, isolate, timeout; tests;
                   [model.emmeans.NAME] and [model.emtrends.NAME]
[models.NAME]      the same keys, of each of several models, in place of [model]
[comparisons.NAME] full, reduced (names of models), method, use, robust
[pooling]          dfcom, conf_level, vcov, exponentiate
[output]           folder, formats, tables, imputed, report
================== ======================================================================

Hypotheses are texts, as `PooledMerMod.test` reads them: ``tests = ["female = 0", "x = z"]`` or,
with names for their table, ``tests = {joint = "female = 0, ses = 2"}``. They are written as the
table ``tests``; [model.emmeans.NAME], which has the arguments of `PooledMerMod.emmeans`, as
``emmeans_NAME``; comparisons, by the rules of `compare`, as ``comparisons``. Tables of one of
several models are in a folder of its name.

With engine = "given" the file of [data] holds all data sets under each other: the column `imp`
(".imp") numbers them, 0 being the data with their holes, and `id` (".id") their rows; id = "" where
rows are told by their places. Neither needs a type in [data.columns]. format = "stata", "spss" and
"r" (.dta, .sav, .rds) are read by `read_imputed`, R never running what is in them.

With engine = "none" there is one fit of each model, to the data as they are: the tables are those
of `MerMod`, and models are compared by likelihood ratio tests (`MerMod.anova`).

A job is data: no value of it reaches R as code. A formula may call only what `Lmer` allows anyway
(there is no ``allow`` here), as may what mice takes as code, and the names of functions
(optimizers, contrasts, mice's methods) come from lists.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from ..base.checks import Wrong
from .comparison_section import comparisons_section
from .data_section import check_format, column_key, data_section
from .imputation_section import engine_arguments, imputation_section
from .job import (
    ColumnSpec,
    DataSpec,
    ImputationSpec,
    Job,
    ModelSpec,
    OutputSpec,
    PoolingSpec,
    model_key,
)
from .model_section import model_section
from .output_section import output_section, pooling_section
from .tables import TABLES_OF_DATA
from .values import Mistakes, Table, as_given, file_name

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
    data = data_section(_section(top, "data", mistakes))
    models = _models(top)
    names = [] if list(models) == [""] else list(models)
    imputation = imputation_section(_section(top, "imputation", mistakes), names, data.format)
    engine = imputation.engine
    check_format(data, engine, mistakes)
    comparisons = comparisons_section(top, models, engine)
    pooling = pooling_section(_optional(top, "pooling"), engine)
    output = output_section(_optional(top, "output"), engine)
    top.done()
    if engine == "bootstrap":
        for name, model in models.items():
            if model.tests:
                mistakes.add(f"{model_key(name)}.tests", _NO_TESTS)
    if len(mistakes) > before:
        return None
    return Job(data, imputation, models, pooling, output, comparisons)


def parse_data(given: Mapping[str, Any]) -> DataSpec | None:
    """Return the [data] of a job that may have mistakes elsewhere; None if [data] has some."""
    mistakes = Mistakes()
    spec = data_section(Table("data", given.get("data"), mistakes))
    return None if mistakes else spec


_STARTS = {
    "data": 'begin with [data] and path = "file.csv"',
    "imputation": '[imputation] with engine = "compatible" (or "amelia", "bootstrap", "auto", '
    '"given", "none")',
    "model": '[model] with formula = "y ~ x + (1 | group)"',
}


_NO_TESTS = (
    "are joint tests, which bootstrap samples don't have: take [model.emmeans], or another "
    "imputation.engine"
)
# What is at the top of the folder, so that no model's folder may be called so.
_AT_TOP = (*TABLES_OF_DATA, "comparisons", "imputed", "report", "run", "summary")


def _models(top: Table) -> dict[str, ModelSpec]:
    """Take [model], or each of [models]."""
    if "models" not in top.given:
        section = _section(top, "model", top.mistakes)
        return {"": ModelSpec("") if section is None else model_section(section)}
    top.refuse("model", "is one model, and [models.NAME] are several: take one of both")
    tables = Table("models", top.take("models", as_given), top.mistakes)
    if isinstance(top.given["models"], Mapping) and not tables.given:
        top.mistakes.add("models", "is empty: name a model, such as [models.small]")
    models = {}
    for name, keys in tables.given.items():
        key = tables.path(name)
        try:
            file_name(name)
        except Wrong as wrong:
            top.mistakes.add(key, wrong.told())
        if name.casefold() in _AT_TOP:
            top.mistakes.add(key, "is the name of what the run itself writes: take another")
        models[name] = model_section(Table(key, keys, top.mistakes))
    top.mistakes.unlike("models", tables.given)
    return models


def _section(top: Table, name: str, mistakes: Mistakes) -> Table | None:
    section = top.take(name, as_given, None, required=_STARTS[name])
    return None if section is None else Table(name, section, mistakes)


def _optional(top: Table, name: str) -> Table:
    return Table(name, top.take(name, as_given, {}), top.mistakes)
