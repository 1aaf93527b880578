"""Columns that are exact functions of others: none of them can be imputed apart from the others.

All rules are about residuals in units of a column's SD, or about which values occur together, so
that they don't depend on units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .columns import Column, Groups, is_constant_within
from .transforms import Doubles

__all__ = ["Dependency", "GroupMean", "dependencies", "group_means"]

_EXACT = 1e-10  # the residual, in SDs of the column, of what is a function of others
_MEAN = 1e-5  # 1 - r^2 of a column and the group means that it holds, which may be rounded
_LEAST_UNITS = 10  # fewer may agree by chance
_MOST_CODES = 20


@dataclass(frozen=True)
class Dependency:
    """A column that is an exact function of others.

    Attributes
    ----------
    column : str
        The column.
    others : tuple of str
        Those that it is a function of.
    expression : str or None
        The function as an R expression; None for categories, each of which has its counterpart.
    units : int
        In how many units this was seen: those in which all of them are observed.
    """

    column: str
    others: tuple[str, ...]
    expression: str | None
    units: int


@dataclass(frozen=True)
class GroupMean:
    """A column that is the mean of another in each group of a factor.

    Attributes
    ----------
    column, other, factor : str
        The mean, what it is the mean of, and the grouping factor.
    complete_groups : bool
        Whether this holds in the groups without holes; otherwise it is the mean of what is
        observed.
    """

    column: str
    other: str
    factor: str
    complete_groups: bool


def dependencies(columns: Sequence[Column], numbers: Mapping[str, Groups]) -> list[Dependency]:
    """Find the columns that are exact functions of others, where one of them has holes.

    Parameters
    ----------
    columns : sequence of Column
        Those that are imputed, or that others are imputed from.
    numbers : mapping of str to array of int
        The number of each row's group, by grouping factor.

    Returns
    -------
    list of Dependency
        First of one other column, then of several by a linear function.
    """
    pairs = []
    for one, two in combinations(columns, 2):
        if one.missing or two.missing:
            # What has more holes is the function, where the function has an inverse.
            first, second = (one, two) if one.missing >= two.missing else (two, one)
            pair = _of_one(first, second, numbers)
            if pair is not None:
                pairs.append(pair)
    paired = {x.column for x in pairs}
    linear = _linear([x for x in columns if x.name not in paired], numbers)
    return [*pairs, *linear]


def _of_one(one: Column, two: Column, numbers: Mapping[str, Groups]) -> Dependency | None:
    rows = _unit_rows([one, two], numbers)
    a, b = one.values[rows], two.values[rows]
    units = len(rows)
    if units < _LEAST_UNITS:
        return None
    if one.labels is not None or two.labels is not None:
        if _one_to_one(a, b):
            return Dependency(one.name, (two.name,), None, units)
        return None
    for (target, y), (source, x) in (((one, a), (two, b)), ((two, b), (one, a))):
        for form in (_affine, _log, _exp, _power, _square):
            expression = form(y, x, _r_name(source.name))
            if expression is not None:
                return Dependency(target.name, (source.name,), expression, units)
    return None


def _unit_rows(columns: Sequence[Column], numbers: Mapping[str, Groups]) -> Groups:
    """Rows in which all columns are observed: one of each group where all are of its level."""
    observed = np.all([np.isfinite(x.values) for x in columns], axis=0)
    rows = np.flatnonzero(observed)
    level = columns[0].level
    if level is None or any(not is_constant_within(x.values, numbers[level]) for x in columns):
        return rows
    return rows[np.unique(numbers[level][rows], return_index=True)[1]]


def _one_to_one(a: Doubles, b: Doubles) -> bool:
    """Tell whether each value of the one occurs with one value of the other, and the reverse."""
    first, second = np.unique(a, return_inverse=True), np.unique(b, return_inverse=True)
    n = len(first[0])
    if n != len(second[0]) or not 2 <= n <= min(_MOST_CODES, len(a) // 2):
        return False
    return len(np.unique(first[1] * n + second[1])) == n


def _affine(y: Doubles, x: Doubles, name: str) -> str | None:
    line = _line(y, x)
    return None if line is None else _sum(line[0], line[1], name)


def _log(y: Doubles, x: Doubles, name: str) -> str | None:
    line = _line(y, np.log(x)) if x.min() > 0 else None
    return None if line is None else _sum(line[0], line[1], f"log({name})")


def _exp(y: Doubles, x: Doubles, name: str) -> str | None:
    line = _line(np.log(y), x) if y.min() > 0 else None
    return None if line is None else f"exp({_sum(line[0], line[1], name)})"


def _power(y: Doubles, x: Doubles, name: str) -> str | None:
    line = _line(np.log(y), np.log(x)) if x.min() > 0 and y.min() > 0 else None
    if line is None:
        return None
    factor = float(np.exp(line[0]))
    power = f"{name}^{line[1]:.10g}" if line[1] > 0 else f"{name}^({line[1]:.10g})"
    return power if np.isclose(factor, 1, rtol=1e-8) else f"{factor:.10g} * {power}"


def _square(y: Doubles, x: Doubles, name: str) -> str | None:
    """Find a quadratic function, as a column that was squared after it was centred has."""
    centre, spread = x.mean(), x.std()
    if spread == 0:
        return None
    z = (x - centre) / spread
    fit = _exact_fit(y, np.column_stack([np.ones_like(z), z, z**2]))
    if fit is None or len(np.unique(x)) < 5:
        return None
    constant, slope, curve = fit
    curve = curve / spread**2
    slope = slope / spread - 2 * curve * centre
    constant = constant - slope * centre - curve * centre**2
    return _sum(constant, curve, f"{name}^2") + _term(slope, name, y.std() / spread)


def _line(y: Doubles, x: Doubles) -> tuple[float, float] | None:
    """Return the intercept and slope of an exact line; None where there is none."""
    centre, spread = x.mean(), x.std()
    if spread == 0:
        return None
    fit = _exact_fit(y, np.column_stack([np.ones_like(x), (x - centre) / spread]))
    if fit is None or len(np.unique(x)) < 3:
        return None
    slope = float(fit[1] / spread)
    intercept = float(fit[0] - slope * centre)
    # What is left by rounding is no intercept.
    scale = abs(float(fit[0])) + abs(slope * centre) + float(y.std())
    return (0.0 if abs(intercept) < 1e-9 * scale else intercept), slope


def _exact_fit(y: Doubles, design: Doubles) -> Doubles | None:
    """Return the coefficients of a regression without residuals; None where it has some."""
    centre, spread = y.mean(), y.std()
    if spread == 0 or len(y) <= design.shape[1] + 1:
        return None
    few = min(len(y), 10 * design.shape[1] + 50)
    if few < len(y) and _residual((y[:few] - centre) / spread, design[:few])[1] > _EXACT:
        return None
    coefficients, residual = _residual((y - centre) / spread, design)
    if residual > _EXACT:
        return None
    coefficients *= spread
    coefficients[0] += centre
    return coefficients


def _residual(y: Doubles, design: Doubles) -> tuple[Doubles, float]:
    coefficients: Doubles = np.asarray(np.linalg.lstsq(design, y, rcond=1e-13)[0], dtype=np.float64)
    return coefficients, float(np.sqrt(np.mean((y - design @ coefficients) ** 2)))


def _linear(columns: Sequence[Column], numbers: Mapping[str, Groups]) -> Iterator[Dependency]:
    """Find the incomplete columns that are linear functions of several others."""
    numeric = [
        x
        for x in columns
        if x.kind in ("continuous", "binary", "count") and np.nanstd(_finite(x)) > 0
    ]
    seen: set[frozenset[str]] = set()
    for target in sorted(numeric, key=lambda x: -x.missing):
        others = [x for x in numeric if x is not target]
        if target.level is not None:
            group = numbers[target.level]
            others = [x for x in others if is_constant_within(x.values, group)]
        if not target.missing or len(others) < 2 or _linear_fit(target, others, numbers) is None:
            continue
        for other in tuple(others):  # those that the function doesn't need
            fewer = [x for x in others if x is not other]
            if fewer and _linear_fit(target, fewer, numbers) is not None:
                others = fewer
        members = frozenset([target.name, *(x.name for x in others)])
        fit = _linear_fit(target, others, numbers)
        if fit is None or len(others) < 2 or members in seen:
            continue
        seen.add(members)
        expression, units = fit
        yield Dependency(target.name, tuple(x.name for x in others), expression, units)


def _linear_fit(
    target: Column, others: Sequence[Column], numbers: Mapping[str, Groups]
) -> tuple[str, int] | None:
    rows = _unit_rows([target, *others], numbers)
    if len(rows) < _LEAST_UNITS + len(others):
        return None
    y = target.values[rows]
    predictors = np.column_stack([x.values[rows] for x in others])
    centre, spread = predictors.mean(axis=0), predictors.std(axis=0)
    if (spread == 0).any() or y.std() == 0:
        return None
    scaled = (predictors - centre) / spread
    fit = _exact_fit(y, np.column_stack([np.ones(len(rows)), scaled]))
    if fit is None:
        return None
    slopes = fit[1:] / spread
    constant = float(fit[0] - slopes @ centre)
    scale = abs(float(fit[0])) + float(np.abs(slopes * centre).sum()) + float(y.std())
    terms = [
        _term(float(slope), _r_name(x.name), float(y.std() / s))
        for slope, x, s in zip(slopes, others, spread, strict=True)
    ]
    text = ("" if abs(constant) < 1e-9 * scale else f"{constant:.10g}") + "".join(terms)
    return text.removeprefix(" + "), len(rows)


def _finite(column: Column) -> Doubles:
    finite: Doubles = np.where(np.isfinite(column.values), column.values, np.nan)
    return finite if np.isfinite(finite).any() else np.zeros(1)


def _sum(constant: float, slope: float, name: str) -> str:
    term = name if abs(slope - 1) < 1e-9 else f"{slope:.10g} * {name}"
    return term if constant == 0 else f"{constant:.10g} + {term}"


def _term(slope: float, name: str, scale: float) -> str:
    """Write a term of a sum, unless it is nothing but rounding."""
    if abs(slope) < 1e-9 * scale:
        return ""
    sign, size = ("-" if slope < 0 else "+"), abs(slope)
    return f" {sign} {name}" if abs(size - 1) < 1e-9 else f" {sign} {size:.10g} * {name}"


def _r_name(name: str) -> str:
    return name if name.replace(".", "_").isidentifier() else f"`{name}`"


def group_means(columns: Sequence[Column], numbers: Mapping[str, Groups]) -> list[GroupMean]:
    """Find the columns that are means of another column in each group, perhaps rounded.

    Parameters
    ----------
    columns : sequence of Column
        Those that are imputed, or that others are imputed from.
    numbers : mapping of str to array of int
        The number of each row's group, by grouping factor.

    Returns
    -------
    list of GroupMean
        Where the mean or the other column has holes.
    """
    numeric = [x for x in columns if x.kind in ("continuous", "binary", "count")]
    means = []
    for column in numeric:
        if column.level is None:
            continue
        group = numbers[column.level]
        for other in numeric:
            if other is column or not (column.missing or other.missing):
                continue
            if is_constant_within(other.values, group):
                continue
            complete = _is_mean(column, other, group)
            if complete is not None:
                means.append(GroupMean(column.name, other.name, column.level, complete))
    return means


def _is_mean(column: Column, other: Column, group: Groups) -> bool | None:
    """Tell whether it is the mean in groups without holes, or (False) of what is observed."""
    n = int(group.max()) + 1
    observed = np.isfinite(other.values)
    count = np.bincount(group, observed, minlength=n)
    total = np.bincount(group, np.where(observed, other.values, 0.0), minlength=n)
    values = np.full(n, np.nan)
    values[group] = column.values
    size = np.bincount(group, minlength=n)
    for complete in (True, False):
        usable = np.isfinite(values) & (count == size if complete else count > 0)
        if usable.sum() >= 5:
            a, b = values[usable], total[usable] / count[usable]
            if a.std() > 0 and b.std() > 0 and 1 - np.corrcoef(a, b)[0, 1] ** 2 < _MEAN:
                return complete
    return None
