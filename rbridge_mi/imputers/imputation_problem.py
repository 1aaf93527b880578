"""From a frame and a model to what is sampled: the order of the regressions, and their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from ..base.labels import label
from ..sampling.children import Block, Columns, GroupMean
from ..sampling.priors import Prior
from ..sampling.problem import AnalysisModel, Grouping, Level, Problem, Variable
from ..sampling.scales import CountScale, RateScale, Scale
from .columns import Column
from .model_design import ModelDesign

__all__ = [
    "FUNCTIONS",
    "Family",
    "Regression",
    "imputation_problem",
    "observed_codes",
    "regressions",
    "shown_values",
]

Array: TypeAlias = NDArray[Any]

#: Of a binary response and of latent normals, whose scale is that of a probit or a logit.
_LATENT = Prior(coefficient_sd=2.5, intercept_sd=5.0)
_RESPONSE = {
    "probit": Prior(coefficient_sd=5.0),
    "logit": Prior(coefficient_sd=8.0),
    "log": Prior(coefficient_sd=5.0),
}


@dataclass(frozen=True)
class Family:
    """The distribution of the response.

    Parameters
    ----------
    name : str
        "gaussian", "binomial" or "poisson".
    link : str
        "identity", "probit", "logit" or "log".
    """

    name: str = "gaussian"
    link: str = "identity"


@dataclass(frozen=True)
class Regression:
    """What an incomplete covariate, or an auxiliary variable, is regressed on.

    Parameters
    ----------
    column : Column
    complete : tuple of str
        Complete columns.
    means : tuple of str
        Complete columns of lower levels, whose mean over each unit's rows is used.
    parents : tuple of str
        Incomplete columns that come before it.
    groups : tuple of str
        Grouping factors with random intercepts.
    """

    column: Column
    complete: tuple[str, ...]
    means: tuple[str, ...]
    parents: tuple[str, ...]
    groups: tuple[str, ...]


def regressions(
    columns: Mapping[str, Column], groups: Mapping[str, Array], response: str
) -> tuple[Regression, ...]:
    """Put incomplete covariates and auxiliary columns in order, each with its predictors.

    Columns of higher levels come first, those with the fewest groups before others; then columns
    of rows; auxiliary columns of rows come last, since they are regressed on the response too.

    Parameters
    ----------
    columns : mapping of str to Column
    groups : mapping of str to array of int
        The group of each row, from 0.
    response : str

    Returns
    -------
    tuple of Regression
        In the order in which they are drawn.
    """
    covariates = [x for x in columns.values() if x.role == "covariate"]
    auxiliary = [x for x in columns.values() if x.role == "auxiliary"]
    before = [x for x in auxiliary if x.level is not None]
    after = [x for x in auxiliary if x.level is None]
    first = sorted([*covariates, *before], key=lambda x: (x.units, x.missing))
    chosen: list[Regression] = []
    for column in (x for x in first if x.missing):
        parents = [x.column for x in chosen]
        chosen.append(_regression(column, first, parents, groups))
    all_rows = [x.column for x in chosen]
    known = [*first, columns[response]]
    for column in sorted(after, key=lambda x: x.missing):
        parents = [*all_rows, columns[response]] if columns[response].missing else [*all_rows]
        chosen.append(_regression(column, known, parents, groups))
        known.append(column)
        if column.missing:
            all_rows.append(column)
    return tuple(chosen)


def _regression(
    column: Column,
    others: Sequence[Column],
    parents: Sequence[Column],
    groups: Mapping[str, Array],
) -> Regression:
    complete = [x for x in others if not x.missing and x.name != column.name]
    level = column.level
    at_level = [x for x in complete if _is_within(x.level, level, groups)]
    return Regression(
        column,
        tuple(x.name for x in at_level),
        () if level is None else tuple(x.name for x in complete if x.level is None),
        tuple(x.name for x in parents if _is_within(x.level, level, groups)),
        tuple(name for name in groups if _groups_units(name, level, groups)),
    )


def _is_within(level: str | None, lower: str | None, groups: Mapping[str, Array]) -> bool:
    """Tell whether columns of a level have one value in each unit of another one."""
    if level == lower or lower is None:
        return True
    return level is not None and _is_function(groups[level], groups[lower])


def _is_function(of: Array, codes: Array) -> bool:
    """Tell whether each group of `codes` lies in one group of `of`."""
    first = np.unique(codes, return_index=True)[1]
    return bool((of[first][codes] == of).all())


def _groups_units(name: str, level: str | None, groups: Mapping[str, Array]) -> bool:
    """Tell whether a factor groups the units of a level, several in some groups."""
    codes = groups[name]
    if level is None:
        return int(codes.max()) + 1 < len(codes)
    if name == level or not _is_function(codes, groups[level]):
        return False
    return int(codes.max()) < int(groups[level].max())


def imputation_problem(
    columns: Mapping[str, Column],
    design: ModelDesign,
    values: Mapping[str, Array],
    family: Family,
    *,
    groups: Mapping[str, Array],
    means: Mapping[str, tuple[str, str]],
    wrap: Any,
    offset: Array | None,
    weights: Array | None,
) -> Problem:
    """Make the problem that `sampling.chains` samples.

    Parameters
    ----------
    columns : mapping of str to Column
    design : ModelDesign
    values : mapping of str to array, shape (rows,)
        The columns of the design in a first completed data set.
    family : Family
    groups : mapping of str to array of int
    means : mapping of str to (str, str)
        Of each column that is a group mean, the column and the group.
    wrap : callable
        Takes a part of the design, and returns one that computes other derived columns by itself.
    offset, weights : array, shape (rows,), or None

    Returns
    -------
    Problem
        Without `within` and `linear`, which `sampling.chains.prepared` adds.
    """
    builder = _Builder(columns, groups, design)
    response_name = design.response_column
    assert response_name is not None
    chosen = regressions(columns, groups, response_name)
    covariates = [x for x in chosen if x.column.level is not None or x.column.role == "covariate"]
    auxiliary = [x for x in chosen if x not in covariates]
    analysis = _analysis(columns, design, values, groups, means, wrap, offset, weights)
    return Problem(
        builder.levels,
        tuple(builder.variable(x) for x in covariates),
        _response(columns[response_name], design, family, analysis),
        tuple(builder.variable(x) for x in auxiliary),
        analysis,
    )


class _Builder:
    """Makes the variables of a problem."""

    def __init__(
        self, columns: Mapping[str, Column], groups: Mapping[str, Array], design: ModelDesign
    ) -> None:
        self._columns = columns
        self._design = design
        rows = len(next(iter(columns.values())).values)
        self.levels: dict[str | None, Level] = {None: Level(None, np.arange(rows), rows)}
        for name, codes in groups.items():
            self.levels[name] = Level(name, codes, int(codes.max()) + 1)

    def variable(self, regression: Regression) -> Variable:
        column = regression.column
        level = self.levels[column.level]
        first = level.first_rows()
        values = column.values[first]
        matrix = [np.ones(level.units)]
        names = ["(Intercept)"]
        for name in regression.complete:
            for text, predictor in self._predictors(name, first):
                matrix.append(predictor)
                names.append(text)
        for name in regression.means:
            for text, predictor in self._predictors(name, slice(None)):
                sums = np.bincount(level.unit_of_row, predictor, level.units)
                matrix.append(_standardised(sums / np.bincount(level.unit_of_row))[0])
                names.append(f"mean of {text}")
        kept = [i for i, x in enumerate(matrix) if i == 0 or np.ptp(x) > 0]
        sampled, scale = _sampled(column, values)
        return Variable(
            column.name,
            column.kind,
            column.level,
            sampled,
            scale=scale,
            shown=tuple(_shown(column, self._design)),
            complete=np.stack([matrix[i] for i in kept], axis=1),
            complete_names=tuple(names[i] for i in kept),
            parents=regression.parents,
            groupings=tuple(self._grouping(x, first) for x in regression.groups),
            prior=Prior() if column.kind in ("continuous", "count") else _LATENT,
        )

    def _predictors(self, name: str, rows: Any) -> list[tuple[str, Array]]:
        """Return a complete column's columns in a regression; of log(y), say, for a response."""
        column, function = self._columns[name], self._design.response_function
        if name == self._design.response_column and function:
            forward = FUNCTIONS[function][0]
            return [(name, _standardised(forward(column.values[rows]))[0])]
        return _predictors(column, rows)

    def _grouping(self, name: str, first: Array) -> Grouping:
        level = self.levels[name]
        return Grouping(name, level.unit_of_row[first], level.units)


def _standardised(values: Array) -> tuple[Array, float, float]:
    """Return values standardised by those that are observed, with their mean and SD."""
    size = float(np.nanmax(np.abs(values))) or 1.0  # squares of values / size neither over- nor
    scaled = values / size  # underflow
    centre, spread = float(np.nanmean(scaled)), float(np.nanstd(scaled))
    if not spread > 1e-14:
        spread = 1.0
    return (scaled - centre) / spread, centre * size, spread * size


def observed_codes(column: Column) -> Array:
    """Return the codes that a column has, in order; none of a column of numbers.

    A category that was never observed is not imputed: nothing is known of it.
    """
    if column.labels is None:
        return np.array([], np.int64)
    return np.unique(column.values[~np.isnan(column.values)]).astype(np.int64)


def _sampled(column: Column, values: Array) -> tuple[Array, Scale]:
    """Return a variable's values as they are sampled, and the scale."""
    if column.labels is not None:
        places = np.searchsorted(observed_codes(column), values).astype(np.float64)
        return np.where(np.isnan(values), np.nan, places), Scale()
    if column.kind == "count":
        _, centre, spread = _standardised(np.log(values + 0.5))
        least, greatest = column.transform.least, column.transform.greatest
        # A count is the whole part of a number, which is kept clear of where it would be another.
        lower = np.log(np.ceil(least) + 1e-9) if least > 0 else -np.inf
        upper = np.log(np.floor(greatest) + 1.0 - 1e-9) if np.isfinite(greatest) else np.inf
        limits = float((lower - centre) / spread), float((upper - centre) / spread)
        return values, CountScale(centre, spread, None, *limits)
    transform = column.transform
    back = None if transform.name == "identity" else transform.backward
    sampled, centre, spread = _standardised(transform.forward(values))
    limits = (transform.lower - centre) / spread, (transform.upper - centre) / spread
    return sampled, Scale(centre, spread, back, *limits)


def _shown(column: Column, design: ModelDesign) -> Array:
    """Return what the analysis model's design takes for each observed code."""
    codes = observed_codes(column)
    levels = design.levels.get(column.name)
    if levels is None or column.labels is None:
        shown = [] if column.labels is None else column.labels
        is_text = any(isinstance(x, str) for x in shown)
        return codes.astype(np.float64) if is_text else np.array(shown, np.float64)[codes]
    place = {level: i for i, level in enumerate(levels)}
    return np.array([place[label(column.labels[code])] for code in codes], np.float64)


def _predictors(column: Column, rows: Any) -> list[tuple[str, Array]]:
    """Return a complete column's standardised columns in others' regressions."""
    values = column.values[rows]
    if column.kind in ("ordered", "categories"):
        assert column.labels is not None
        return [
            (f"{column.name}{text}", _standardised((values == code).astype(np.float64))[0])
            for code, text in enumerate(column.labels)
            if code
        ]
    if column.kind == "count":
        return [(column.name, _standardised(np.log(values + 0.5))[0])]
    return [(column.name, _standardised(column.transform.forward(values))[0])]


#: What a response may be a function of: forward, and back.
FUNCTIONS: Mapping[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "log": (np.log, np.exp),
    "log2": (np.log2, np.exp2),
    "log10": (np.log10, partial(np.power, 10.0)),
    "log1p": (np.log1p, np.expm1),
    "sqrt": (np.sqrt, np.square),
}


def _response(
    column: Column, design: ModelDesign, family: Family, analysis: AnalysisModel
) -> Variable:
    if family.name == "gaussian":
        forward, back = FUNCTIONS.get(design.response_function or "", (np.array, None))
        values = forward(column.values)
        rest = values if analysis.offset is None else values - analysis.offset
        _, centre, spread = _standardised(rest)
        if analysis.constant is None:
            centre = 0.0  # nothing in the model could take it up
        sampled = (values - centre) / spread
        return Variable(column.name, "continuous", None, sampled, scale=Scale(centre, spread, back))
    prior = _RESPONSE[family.link]
    if family.name == "poisson":
        scale = _rate_scale(column.values, analysis)
        return Variable(column.name, "poisson", None, column.values, scale=scale, prior=prior)
    return Variable(
        column.name,
        "logit" if family.link == "logit" else "binary",
        None,
        column.values,
        shown=(0.0, 1.0),
        prior=prior,
    )


def _rate_scale(counts: Array, analysis: AnalysisModel) -> RateScale:
    """Return the scale of a count response; linear predictors are relative to its mean rate."""
    centre = 0.0
    if analysis.constant is not None:  # else nothing in the model could take it up
        observed = ~np.isnan(counts)
        offset = np.zeros(len(counts)) if analysis.offset is None else analysis.offset
        centre = float(np.log(counts[observed].sum()) - logsumexp(offset[observed]))
    _, log_mean, log_sd = _standardised(np.log(counts + 0.5))
    return RateScale(centre, log_mean=log_mean, log_sd=log_sd)


def _analysis(
    columns: Mapping[str, Column],
    design: ModelDesign,
    values: Mapping[str, Array],
    groups: Mapping[str, Array],
    means: Mapping[str, tuple[str, str]],
    wrap: Any,
    offset: Array | None,
    weights: Array | None,
) -> AnalysisModel:
    blocks = []
    fixed = wrap(design.fixed)
    names = design.fixed.names
    intercept = names.index("(Intercept)") if "(Intercept)" in names else None
    if names:
        blocks.append(_block(fixed, values, names, 0, None))
    effects: dict[str, list[tuple[str, ...]]] = {name: [] for name in groups}
    for part in design.random:
        k = list(groups).index(part.group)
        start = sum(map(len, effects[part.group]))
        blocks.append(_block(wrap(part.design), values, part.design.names, start, k))
        effects[part.group].append(part.design.names)
    needed = frozenset().union(*(x.part.columns for x in blocks))
    means = {name: mean for name, mean in means.items() if name in needed}
    needed |= {of for of, _ in means.values()}
    return AnalysisModel(
        tuple(blocks),
        names,
        intercept,
        _constant(design.fixed.matrix(values), intercept),
        tuple(Grouping(name, codes, int(codes.max()) + 1) for name, codes in groups.items()),
        tuple(tuple(effects[name]) for name in groups),
        {name: _raw(columns, design, name, values) for name in sorted(needed)},
        tuple(
            GroupMean(name, of, groups[group], np.bincount(groups[group]))
            for name, (of, group) in means.items()
        ),
        offset,
        weights,
    )


def _constant(matrix: Array, intercept: int | None) -> Array | None:
    """Return the combination of the columns of X that is 1 in every row; None without one."""
    if intercept is not None:
        unit: Array = np.eye(matrix.shape[1])[intercept]
        return unit
    spread = np.sqrt((matrix**2).mean(axis=0))
    spread[spread == 0] = 1.0
    scaled = matrix / spread
    solved = np.linalg.lstsq(scaled, np.ones(len(matrix)), rcond=1e-10)[0]
    is_one = np.abs(scaled @ solved - 1.0).max() < 1e-9
    return solved / spread if is_one else None


def _raw(
    columns: Mapping[str, Column], design: ModelDesign, name: str, values: Mapping[str, Array]
) -> Array:
    """Return a column as the design takes it, in all rows; what stands in holes means nothing."""
    column = columns.get(name)
    if column is None or column.role == "group":
        return np.asarray(values[name], np.float64)
    return shown_values(column, design, column.values)


def shown_values(column: Column, design: ModelDesign, values: Array) -> Array:
    """Return a column as the design takes it.

    Parameters
    ----------
    column : Column
    design : ModelDesign
    values : array
        Numbers, or codes as the column has them; NaN in holes.

    Returns
    -------
    array
        Of the same shape.
    """
    if column.labels is None:
        return values
    shown = np.append(_shown(column, design), np.nan)
    places = np.searchsorted(observed_codes(column), values)
    of_values: Array = shown[np.where(np.isnan(values), -1, places)]
    return of_values


def _block(
    part: Columns,
    values: Mapping[str, Array],
    names: Sequence[str],
    start: int,
    effects: int | None,
) -> Block:
    """Standardise the columns of a part; they are centred where there is an intercept."""
    matrix = part.matrix({name: values[name] for name in part.columns} or values)
    has_intercept = "(Intercept)" in names
    is_intercept = np.array([x == "(Intercept)" for x in names])
    size = np.abs(matrix).max(axis=0)
    size[size == 0] = 1.0
    scaled = matrix / size
    centre = np.where(is_intercept | (not has_intercept), 0.0, scaled.mean(axis=0))
    spread = np.where(is_intercept, 1.0, np.sqrt(((scaled - centre) ** 2).mean(axis=0)))
    spread = np.where(spread > 1e-12, spread, 1.0)
    return Block(part, start, centre * size, spread * size, effects)
