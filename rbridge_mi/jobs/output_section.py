"""The [pooling] and [output] of a job file."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Any

from ..base.checks import LEVEL, boolean, list_of, number, one_of, text
from ..inference.degrees_of_freedom import vcov_of_one
from .data_section import FORMATS, check_pyarrow
from .imputation_section import imputes_from_model
from .job import OutputSpec, PoolingSpec
from .tables import JOB_TABLES, TABLES_OF_CHAINS, TABLES_OF_LIST, TABLES_OF_ONE
from .values import Table, shown

__all__ = ["output_section", "pooling_section"]

_DFCOM = ("residual", "satterthwaite", "kenward-roger")


def _dfcom(value: Any) -> str | float:
    if isinstance(value, str) and value in _DFCOM:
        return value
    wanted = f"a number above 0, inf, or one of {', '.join(map(shown, _DFCOM))}"
    return number(wanted, lambda x: x > 0)(value)


def pooling_section(table: Table, engine: str) -> PoolingSpec:
    """Take how fits are pooled, or, of one, how its coefficients are tested."""
    dfcom = table.take("dfcom", _dfcom, None)
    vcov = table.take("vcov", one_of("model", "kenward-roger"), None)
    spec = PoolingSpec(
        dfcom,
        table.take("conf_level", LEVEL, 0.95),
        vcov or "model",
        table.take("exponentiate", boolean, False),
    )
    table.done()
    if engine != "none":
        return spec
    # Of one fit, Kenward and Roger's degrees of freedom and standard errors go together.
    if dfcom is None and vcov == "kenward-roger":
        spec = dataclasses.replace(spec, dfcom=vcov)
    implied = vcov_of_one(spec.dfcom)
    if vcov not in (None, implied):
        table.mistakes.add(
            "pooling.vcov",
            f"must be {shown(implied)} with pooling.dfcom = {shown(dfcom)} and imputation.engine = "
            '"none": of one fit, Kenward and Roger\'s standard errors go with their degrees of '
            "freedom",
        )
    return dataclasses.replace(spec, vcov=implied)


def output_section(table: Table, engine: str) -> OutputSpec:
    """Take what is written."""
    tables = TABLES_OF_ONE if engine == "none" else TABLES_OF_LIST
    if not engine:  # which tables there are depends on it
        tables = tuple(table.name for table in JOB_TABLES)
    elif imputes_from_model(engine):
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
    check_pyarrow(table, "formats", formats)
    spec = OutputSpec(
        table.take("folder", text),
        tuple(formats),
        tuple(table.take("tables", list_of(one_of(*tables), "tables", 0), by_default)),
        imputed,
        report,
    )
    table.done()
    return spec
