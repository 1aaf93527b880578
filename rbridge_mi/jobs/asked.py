"""What a job asks of its models' coefficients: checked before any fit, and answered after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from .. import rdoor
from ..base.glossary import checked
from ..errors import ArgumentError, PoolingError, RCallError, RPackageError
from ..inference.hypothesis_text import linear_rows
from ..inference.marginal_means import check_means
from ..models.plans import FixedPart
from ..pooled.nested_models import compare, compare_fits
from ..pooling import joint
from .job import ComparisonSpec, MeansSpec, ModelSpec, PoolingSpec, model_key
from .tables import FitResults, ListResults, Results
from .values import JobError, Mistakes, Table, shown

__all__ = ["asked_tables", "check_asked", "comparisons_table"]


# -- before any fit ------------------------------------------------------------------------


def check_asked(
    key: str, spec: ModelSpec, part: FixedPart, data: pd.DataFrame, mistakes: Mistakes
) -> None:
    """Check hypotheses, means and slopes against what is known of a model's fixed part.

    Parameters
    ----------
    key : str
        The model's, in the job file.
    spec : ModelSpec
        The model.
    part : FixedPart
        Its columns and terms, as far as they are known before the fit.
    data : DataFrame
        The data, with their holes.
    mistakes : Mistakes
        The list that mistakes join.
    """
    if part.terms is not None:
        for name, text in spec.tests.items():
            try:
                matrix, right, _ = linear_rows(text, part.terms)
                p = len(part.terms)  # of any coefficients: one row may follow from the others
                joint.linear_hypothesis(np.zeros((1, p)), np.eye(p)[None], matrix, right)
            except ArgumentError as error:
                mistakes.add(_test_key(key, name, text), str(error))
    if spec.means:
        try:
            rdoor.require_package("emmeans", "emmeans")
        except RPackageError as error:
            mistakes.add(f"{key}.{next(iter(spec.means.values())).function}", str(error))
            return
    for name, means in spec.means.items():
        _check_means(_means_key(key, name, means), means, part, data, mistakes)


def _test_key(key: str, name: str, text: str) -> str:
    """Return the key of a hypothesis, which has a name of its own, or stands in a list."""
    return f"{key}.tests" if name == text else _key(f"{key}.tests", name)


def _key(key: str, name: str) -> str:
    """Return the key of what is under a key, quoted where TOML wants it."""
    return Table(key, {}, Mistakes()).path(name)


def _means_key(key: str, name: str, means: MeansSpec) -> str:
    return f"{key}.{means.function}.{name.removeprefix(means.function + '_')}"


def _check_means(
    key: str, means: MeansSpec, part: FixedPart, data: pd.DataFrame, mistakes: Mistakes
) -> None:
    arguments = dict(means.arguments)
    main = {
        x: arguments.pop(x, None)
        for x in ("specs", "contrast", "at", "conf_level", "adjust", "var")
    }
    trend = main.pop("var")
    try:
        check_means(**main, arguments=arguments, trend=trend)
    except ArgumentError as error:
        mistakes.add(key, str(error))
    except RCallError as error:
        mistakes.add(key, error.r_message or str(error))
    if part.columns is None:
        return
    by = arguments.get("by", [])
    named: dict[str, Iterable[str]] = {
        "specs": main["specs"] if main["specs"] != ["1"] else [],
        "at": main["at"] or {},
        "by": [by] if isinstance(by, str) else by if isinstance(by, list) else [],
    }
    for argument, names in named.items():
        for name in names:
            if name not in part.columns:
                mistakes.add(
                    f"{key}.{argument}",
                    f"names {shown(name)}, which is no column of the model's fixed part; those are "
                    f"{', '.join(map(shown, part.columns))}",
                )
    numbers = [x for x in part.columns if _is_number(data[x])]
    if trend is not None and trend not in numbers:
        mistakes.add(
            f"{key}.var",
            f"{shown(trend)} is no numeric column of the model's fixed part; those are "
            f"{', '.join(map(shown, numbers)) or 'none'}",
        )


def _is_number(column: pd.Series[Any]) -> bool:
    kinds = pd.api.types
    return kinds.is_numeric_dtype(column.dtype) and not kinds.is_bool_dtype(column.dtype)


# -- after the fits ------------------------------------------------------------------------


def asked_tables(job: str, name: str, spec: ModelSpec, results: Results) -> dict[str, pd.DataFrame]:
    """Make the tables that a model asks for by itself.

    Parameters
    ----------
    job : str
        The job file's name, for errors.
    name : str
        The model's.
    spec : ModelSpec
        The model.
    results : Results
        What came of it.

    Returns
    -------
    dict of str to DataFrame
        By the names of the tables; ``attrs["note"]`` says what a table leaves to be said.

    Raises
    ------
    JobError
        What could only be found out from the fits, under its key.
    """
    tables = {}
    key = model_key(name)
    if spec.tests:
        rows = []
        for label, text in spec.tests.items():
            with _as_mistake(job, _test_key(key, label, text)):
                row = _test(results, text)
            row.insert(0, "hypothesis", label)
            rows.append(row)
        table = pd.concat(rows, ignore_index=True)
        tables["tests"] = checked(
            table, "tests" if isinstance(results, ListResults) else "tests_one"
        )
    for table_name, means in spec.means.items():
        with _as_mistake(job, _means_key(key, table_name, means)):
            tables[table_name] = _means(results, means)
    return tables


def _test(results: Results, text: str) -> pd.DataFrame:
    if isinstance(results, FitResults):
        return results.fit.test(text, dfcom=results.dfcom)
    return results.pooled.test(text)


def _means(results: Results, means: MeansSpec) -> pd.DataFrame:
    arguments = dict(means.arguments)
    if isinstance(results, ListResults):
        pooled: pd.DataFrame = getattr(results.pooled, means.function)(**arguments)
        return pooled
    if "level" not in arguments:
        arguments.setdefault("conf_level", results.pooling.conf_level)
    table: pd.DataFrame = getattr(results.fit, means.function)(**arguments, dfcom=results.dfcom)
    return table


def comparisons_table(
    job: str,
    comparisons: Mapping[str, ComparisonSpec],
    results: Mapping[str, Results],
    pooling: PoolingSpec,
) -> pd.DataFrame:
    """Compare models with those nested in them, a row for each comparison.

    Parameters
    ----------
    job : str
        The job file's name, for errors.
    comparisons : mapping
        By name.
    results : mapping
        By name of the model.
    pooling : PoolingSpec
        Has the dfcom of D1.

    Returns
    -------
    DataFrame
        comparison, full, reduced, and the columns of `compare`, or of likelihood ratio tests where
        there is one fit of each model; then note.

    Raises
    ------
    JobError
        Models that can't be compared, under the key of the comparison.
    """
    rows = []
    of_one = False
    for name, spec in comparisons.items():
        full, reduced = results[spec.full], results[spec.reduced]
        with _as_mistake(job, _key("comparisons", name)):
            if isinstance(full, ListResults) and isinstance(reduced, ListResults):
                arguments = dict(spec.arguments)
                if arguments["method"] == "D1":
                    arguments["dfcom"] = pooling.dfcom
                row = compare(full.fits, reduced.fits, **arguments)
            else:
                assert isinstance(full, FitResults) and isinstance(reduced, FitResults)
                of_one = True
                row = compare_fits(full.fit, reduced.fit)
        note = row.attrs.get("note", "")
        for i, (column, value) in enumerate(
            {"comparison": name, "full": spec.full, "reduced": spec.reduced}.items()
        ):
            row.insert(i, column, value)
        rows.append(row.assign(note=note))
    return checked(
        pd.concat(rows, ignore_index=True), "comparisons_one" if of_one else "comparisons"
    )


@contextmanager
def _as_mistake(job: str, key: str) -> Iterator[None]:
    """Make what the fits show to be wrong a mistake of the job, under its key."""
    try:
        yield
    except (ArgumentError, PoolingError, RCallError) as error:
        raise JobError(job, [(key, getattr(error, "r_message", "") or str(error))]) from error
