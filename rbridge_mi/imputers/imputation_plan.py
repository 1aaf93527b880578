"""What the compatible imputer will do with a frame, told before anything runs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from ..base.arguments import check_frame_for_r, check_known
from ..base.glossary import checked
from ..base.text import Printed
from ..data.imputed_data import ImputedData
from .column_checks import check_columns_can_be_imputed
from .columns import Column
from .compatible import CompatibleImputer
from .compatible_arguments import ARGUMENTS
from .imputation_problem import Regression, regressions
from .model_data import ModelData, nan_as_missing, read_model_data
from .two_stages import from_model

__all__ = ["ImputationPlan", "imputation_plan"]

_MODELS = {
    "continuous": "normal",
    "binary": "probit",
    "ordered": "ordered probit",
    "categories": "probits in sequence",
    "count": "rounded log-normal",
}
_WIDTH = 100


@dataclass(frozen=True, eq=False)
class ImputationPlan:
    """What will be imputed, and how; it prints as a table.

    Attributes
    ----------
    table : DataFrame
        One row per column of the data: column, role, level, type, missing (a fraction of its
        units), imputed_by, predictors, reason.
    refused : tuple of str
        What keeps the data from being imputed, each with its column and a remedy; empty if
        nothing does.
    notes : tuple of str
        What should be known of the data.

    See Also
    --------
    imputation_plan : Makes it.
    """

    table: pd.DataFrame
    refused: tuple[str, ...]
    notes: tuple[str, ...]
    _model: Any = field(repr=False)
    _data: pd.DataFrame = field(repr=False)
    _arguments: dict[str, Any] = field(repr=False)
    _read: ModelData = field(repr=False)

    def impute(
        self, m: int | None = None, seed: int | None = None, *, n_jobs: int | None = None
    ) -> ImputedData:
        """Impute as planned: ``impute(data, model, m, seed=seed, n_jobs=n_jobs)``.

        Parameters
        ----------
        m : int, optional
            Chosen by a pilot, if it is not given.
        seed : int, optional
        n_jobs : int, optional

        Returns
        -------
        ImputedData
            As `impute` returns it.

        Raises
        ------
        ImputationError
            The plan refuses columns.
        """
        check_columns_can_be_imputed(self._read.refused)
        return from_model(self._model, m, self._data, seed, n_jobs, 100, self._arguments)

    def summary(self) -> Printed:
        """Return the plan as a text: columns of the model, notes, and what is refused."""
        return Printed.of(self._lines())

    def _lines(self) -> Iterator[str]:
        used = self.table[self.table["role"] != "unused"].copy()
        used["missing"] = [_percent(x) if x else "" for x in used["missing"]]
        used["level"] = used["level"].fillna("row")
        shown = used[["column", "role", "level", "type", "missing", "imputed_by"]].fillna("")
        yield from _left_aligned(shown)
        unused = [
            f"{x.column} ({_percent(x.missing)} missing)" if x.missing else str(x.column)
            for x in self.table.itertuples()
            if x.role == "unused"
        ]
        if unused:
            yield from _wrapped("Not used, and left as they are: ", ", ".join(unused) + ".")
        for x in self.table.itertuples():
            if isinstance(x.predictors, str):
                yield from _wrapped(f"{x.column}: ", f"from {x.predictors}. {_capital(x.reason)}")
        for text in self.notes:
            yield from _wrapped("Note: ", text)
        for text in self.refused:
            yield from _wrapped("Refused: ", text)

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def imputation_plan(data: pd.DataFrame, model: Any, **arguments: Any) -> ImputationPlan:
    """Tell what `CompatibleImputer` will do with these data, without doing it.

    Parameters
    ----------
    data : DataFrame
        With holes.
    model : Lmer, Glmer or str
        The model that will be fitted, or its formula.
    **arguments : object
        Of `CompatibleImputer`: auxiliary, types, levels, transforms, bounds, derived, ...

    Returns
    -------
    ImputationPlan
        Prints as a table: each column's level, type, fraction missing, role, how it is imputed,
        from what, and why; with everything that would be refused.

    Raises
    ------
    ArgumentError, FormulaError
        An argument, a column name or the formula can't be right.

    See Also
    --------
    impute : ``impute(data, model=model)`` does it.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> holes = rb.ampute(rb.load_hsb(), prop=0.05, columns=["female", "ses"], seed=1)
    >>> plan = rb.imputation_plan(holes, rb.Lmer("mathach ~ female + ses + (1 | schid)"))
    >>> plan.table[["column", "role", "type"]].head(4)
         column       role        type
    0     schid      group  categories
    1  minority     unused      binary
    2    female  covariate      binary
    3       ses  covariate  continuous
    """
    data = nan_as_missing(check_frame_for_r(data))
    check_known(arguments, [x.name for x in ARGUMENTS], "CompatibleImputer")
    imputer = CompatibleImputer(model, 2, **arguments)
    read = read_model_data(data, imputer.model, imputer.family, imputer.options, 0)
    chosen = {x.column.name: x for x in regressions(read.columns, read.groups, read.response)}
    derived = imputer.options.derived
    rows = [_row(x, chosen.get(x.name), read, data, derived) for x in read.columns.values()]
    names = (
        "column", "role", "level", "type", "missing", "imputed_by", "predictors", "reason",
    )  # fmt: skip
    table = pd.DataFrame(rows, columns=list(names)).astype(dict.fromkeys(names[2:3], object))
    return ImputationPlan(
        checked(table, "imputation_plan"),
        tuple(x.text for x in read.refused),
        read.notes,
        model,
        data,
        arguments,
        read,
    )


def _row(
    column: Column,
    regression: Regression | None,
    read: ModelData,
    data: pd.DataFrame,
    derived: Mapping[str, Any],
) -> tuple[Any, ...]:
    missing = column.missing / max(column.units, 1)
    if column.role in ("unused", "group"):
        missing = float(data[column.name].isna().mean())
    imputed_by, predictors, reason = None, None, column.reason
    if column.role == "derived":
        formula = derived[column.name]
        imputed_by = "recomputed"
        predictors = formula
        if not isinstance(formula, str):
            predictors = f"the mean of {formula[1]} in each group of {formula[2]}"
        reason = "it is recomputed as `derived` has it."
    elif column.name == read.response and column.missing:
        imputed_by, predictors = "analysis model", "the analysis model"
    elif regression is not None and column.missing:
        imputed_by = _MODELS[column.kind]
        if column.kind == "continuous" and column.transform.name != "identity":
            imputed_by = f"normal of the {column.transform.name}"
        predictors = _predictors(regression, read)
    if column.name == read.response:
        reason = f"it is the response of a {read.family.name} model."
    return (
        column.name, column.role, column.level, column.kind, missing, imputed_by, predictors,
        reason,
    )  # fmt: skip


def _predictors(regression: Regression, read: ModelData) -> str:
    """Tell what a column is imputed from: its regression, and the models that it is part of."""
    column = regression.column
    parts = [*regression.complete, *(f"the {column.level} mean of {x}" for x in regression.means)]
    parts += regression.parents
    text = ", ".join(parts) if parts else "its mean"
    if regression.groups:
        text += f"; intercepts by {', '.join(regression.groups)}"
    if column.role == "covariate":
        text += f"; and the analysis model of {read.response}"
    return text


def _left_aligned(table: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of a table of texts."""
    columns = [[str(name), *map(str, table[name])] for name in table]
    widths = [max(map(len, column)) for column in columns]
    for cells in zip(*columns, strict=True):
        yield " ".join(map(str.ljust, cells, widths)).rstrip()


def _percent(fraction: float) -> str:
    return f"{fraction:.1%}" if fraction >= 0.001 else "<0.1%"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _wrapped(label: str, text: str) -> Sequence[str]:
    return textwrap.wrap(label + text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
