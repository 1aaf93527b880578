"""Columns that are exact functions of others: none of them can be imputed apart from the others.

All rules are about residuals in units of a column's SD, or about which values occur together, so
that they don't depend on units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np

from .columns import Column, Groups, is_constant_within
from .transforms import Doubles

__all__ = ["Dependency", "GroupMean", "dependencies", "group_means", "unit_rows"]

_EXACT = 1e-10  # the residual, in SDs of the column, of what is a function of others
_MEAN = 1e-5  # 1 - r^2 of a column and the group means that it holds, which may be rounded
_SHIFT = 0.05  # how far from the mean, in SDs, is still the mean
_LEAST_MEANS = 5
_LEAST_UNITS = 10  # fewer may agree by chance
_LEAST_ROWS = 30  # as many for a product, which may be one of columns with two values
_MOST_CODES = 20
_MOST_FACTORS = 30  # columns among which products are looked for: of 30 there are 12,180
_FIRST_ROWS = 60  # by which most products are ruled out
_ROUNDING = 1e-9
_CONSTANT = 1e-14  # the SD, relative to the mean, that rounding gives to a constant

# Writes a constant, coefficients and names in R's syntax.
_Write: TypeAlias = Callable[[float, Doubles, Sequence[str]], str]


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
    is_scaled : bool
        Whether it is a linear function of the mean, and not the mean itself.
    """

    column: str
    other: str
    factor: str
    complete_groups: bool
    is_scaled: bool


@np.errstate(over="ignore", invalid="ignore")  # of squares of large values
def dependencies(
    columns: Sequence[Column], derived: Sequence[Column], numbers: Mapping[str, Groups]
) -> list[Dependency]:
    """Find the columns that are exact functions of others, where one of them has holes.

    Parameters
    ----------
    columns : sequence of Column
        Those that are imputed, or that others are imputed from.
    derived : sequence of Column
        Those that are declared as derived; others may be linear functions of them.
    numbers : mapping of str to array of int
        The number of each row's group, by grouping factor.

    Returns
    -------
    list of Dependency
        First of one other column, then of several: linear functions, products of powers of
        positive columns, such as ``weight * height^-2``, and products of two columns.
    """
    pairs: dict[str, Dependency] = {}
    for one, two in combinations(columns, 2):
        if not one.missing and not two.missing:
            continue
        # Of two functions that are each other's inverse, the first of these is told.
        first, second = sorted((two, one), key=_last_to_be_derived)
        pair = _of_one(first, second, numbers)
        if pair is not None and pair.column not in pairs:
            pairs[pair.column] = pair
    dependent = dict(pairs)
    for search in (_linear, _power_products, _products):
        left = [x for x in columns if x.name not in dependent]
        dependent |= {x.column: x for x in search(left, derived, numbers)}
    return list(dependent.values())


def _last_to_be_derived(column: Column) -> tuple[bool, int, bool]:
    return column.role == "response", -column.missing, column.role == "covariate"


def _of_one(one: Column, two: Column, numbers: Mapping[str, Groups]) -> Dependency | None:
    rows = unit_rows([one, two], numbers)
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


def unit_rows(columns: Sequence[Column], numbers: Mapping[str, Groups]) -> Groups:
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
    return _polynomial(y, {name: x})


def _log(y: Doubles, x: Doubles, name: str) -> str | None:
    return _polynomial(y, {f"log({name})": np.log(x)}) if x.min() > 0 else None


def _exp(y: Doubles, x: Doubles, name: str) -> str | None:
    exponent = _polynomial(np.log(y), {name: x}) if y.min() > 0 else None
    return None if exponent is None else f"exp({exponent})"


def _power(y: Doubles, x: Doubles, name: str) -> str | None:
    if x.min() <= 0 or y.min() <= 0:
        return None
    coefficients = _coefficients(np.log(y), [np.log(x)])
    return None if coefficients is None else _power_text(*coefficients, [name])


def _square(y: Doubles, x: Doubles, name: str) -> str | None:
    """Find a quadratic function, such as the square of a column that was centred before."""
    return _polynomial(y, {name: x, f"{name}^2": x**2}, least_values=5)


def _polynomial(y: Doubles, terms: Mapping[str, Doubles], least_values: int = 3) -> str | None:
    """Return a column as a sum of terms, in R's syntax; None where this isn't exact."""
    coefficients = _coefficients(y, list(terms.values()), least_values)
    return None if coefficients is None else _sum_text(*coefficients, list(terms))


def _sum_text(constant: float, slopes: Doubles, names: Sequence[str]) -> str:
    """Write a linear function in R's syntax."""
    text = f"{constant:.10g}" if constant else ""
    for name, slope in zip(names, slopes, strict=True):
        if slope:
            text += _term(float(slope), name)
    if text.startswith(" - "):
        return "-" + text.removeprefix(" - ")
    return text.removeprefix(" + ")


def _power_text(constant: float, powers: Doubles, names: Sequence[str]) -> str:
    """Write the exponential of a linear function of logarithms as a product of powers."""
    factors = [f"{np.exp(constant):.10g}"] if constant else []
    for name, power in zip(names, powers, strict=True):
        if power:
            factors.append(name if abs(power - 1) < _ROUNDING else f"{name}^{power:.10g}")
    return " * ".join(factors)


def _coefficients(
    y: Doubles, terms: Sequence[Doubles], least_values: int = 3
) -> tuple[float, Doubles] | None:
    """Return the constant and the slopes of an exact linear function; None where it isn't exact.

    Those that are nothing but rounding are 0. A function of fewer than `least_values` values is
    one by chance.
    """
    predictors = np.column_stack(terms)
    centre, spread = predictors.mean(axis=0), predictors.std(axis=0)
    if (spread == 0).any() or not np.isfinite(spread).all():
        return None
    scaled = (predictors - centre) / spread
    fit = _exact_fit(y, np.column_stack([np.ones(len(y)), scaled]))
    if fit is None or len(np.unique(predictors[:, 0])) < least_values:
        return None
    slopes = fit[1:] / spread
    constant = float(fit[0] - slopes @ centre)
    size = float(np.abs(slopes * centre).sum() + np.abs(fit).sum() + y.std())
    if abs(constant) < _ROUNDING * size:
        constant = 0.0
    slopes[np.abs(slopes) * spread < _ROUNDING * float(y.std())] = 0.0
    return constant, slopes


def _term(slope: float, name: str) -> str:
    sign, size = ("-" if slope < 0 else "+"), abs(slope)
    return f" {sign} {name}" if abs(size - 1) < _ROUNDING else f" {sign} {size:.10g} * {name}"


def _exact_fit(y: Doubles, design: Doubles) -> Doubles | None:
    """Return the coefficients of a regression without residuals; None where it has some."""
    centre, spread = y.mean(), y.std()
    is_constant = spread <= _CONSTANT * abs(centre)
    if is_constant or not np.isfinite(spread) or len(y) <= design.shape[1] + 1:
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


def _linear(
    columns: Sequence[Column], derived: Sequence[Column], numbers: Mapping[str, Groups]
) -> Iterator[Dependency]:
    """Find the incomplete columns that are linear functions of several others."""
    return _of_pools(_numeric(columns), _numeric(derived), numbers, _sum_text)


def _power_products(
    columns: Sequence[Column], derived: Sequence[Column], numbers: Mapping[str, Groups]
) -> Iterator[Dependency]:
    """Find the incomplete columns that are products of powers of several others, all positive."""
    logs, derived_logs = (
        [
            replace(x, values=np.log(x.values))
            for x in _numeric(some)
            if x.labels is None and np.nanmin(x.values) > 0
        ]
        for some in (columns, derived)
    )
    return _of_pools(logs, derived_logs, numbers, _power_text)


def _products(
    columns: Sequence[Column], derived: Sequence[Column], numbers: Mapping[str, Groups]
) -> Iterator[Dependency]:
    """Find the columns that are products of two others, which may have been centred before."""
    del derived
    numeric = [x for x in _numeric(columns) if x.labels is None or x.labels == (0, 1)]
    if len(numeric) > _MOST_FACTORS:
        return
    last_first = list(reversed(numeric))
    standard = {x.name: (x.values - np.nanmean(x.values)) / np.nanstd(x.values) for x in numeric}
    taken: set[frozenset[str]] = set()
    for target in sorted(last_first, key=_last_to_be_derived):
        for one, two in combinations([x for x in numeric if x is not target], 2):
            members = frozenset([target.name, one.name, two.name])
            if members in taken or not (target.missing or one.missing or two.missing):
                continue
            y, a, b = (standard[x.name] for x in (target, one, two))
            few = np.flatnonzero(np.isfinite(y + a + b))[:_FIRST_ROWS]
            if len(few) < _LEAST_ROWS or not _is_product(y[few], a[few], b[few]):
                continue
            rows = unit_rows([target, one, two], numbers)
            if len(rows) < _LEAST_ROWS:
                continue
            y, a, b = (x.values[rows] for x in (target, one, two))
            coefficients = _coefficients(y, [a * b, a, b])
            if coefficients is None or not coefficients[1][0]:
                continue
            names = [_r_name(one.name), _r_name(two.name)]
            expression = _sum_text(*coefficients, [" * ".join(names), *names])
            taken.add(members)
            yield Dependency(target.name, (one.name, two.name), expression, len(rows))
            break


def _is_product(y: Doubles, a: Doubles, b: Doubles) -> bool:
    """Tell whether y is a sum of multiples of a, b, their product and 1."""
    spread = y.std()
    if spread == 0:
        return True  # these rows don't tell
    return _residual(y / spread, np.column_stack([np.ones(len(y)), a, b, a * b]))[1] <= _EXACT


def _numeric(columns: Sequence[Column]) -> list[Column]:
    return [
        x
        for x in columns
        if x.kind in ("continuous", "binary", "count") and np.nanstd(_finite(x)) > 0
    ]


def _of_pools(
    numeric: Sequence[Column],
    recomputed: Sequence[Column],
    numbers: Mapping[str, Groups],
    write: _Write,
) -> Iterator[Dependency]:
    """Find incomplete columns that are linear functions, and of recomputed ones if of no others."""
    seen: set[frozenset[str]] = set()
    last_first = list(reversed(numeric))
    for target in sorted(last_first, key=_last_to_be_derived):
        if not target.missing:
            continue
        dependency = _of_several(target, numeric, numbers, write)
        if dependency is None and recomputed:
            dependency = _of_several(target, [*numeric, *recomputed], numbers, write)
        if dependency is None:
            continue
        members = frozenset([target.name, *dependency.others])
        if members not in seen:
            seen.add(members)
            yield dependency


def _of_several(
    target: Column, columns: Sequence[Column], numbers: Mapping[str, Groups], write: _Write
) -> Dependency | None:
    """Find the fewest columns that one is a linear function of; None if it is of none, or of one.

    Those that are derived from it are left out.
    """
    others = [x for x in columns if x is not target and target.name not in x.origins]
    if target.level is not None:
        group = numbers[target.level]
        others = [x for x in others if is_constant_within(x.values, group)]
    if len(others) < 2 or _linear_fit(target, others, numbers, write) is None:
        return None
    for other in tuple(others):  # those that the function doesn't need
        fewer = [x for x in others if x is not other]
        if fewer and _linear_fit(target, fewer, numbers, write) is not None:
            others = fewer
    fit = _linear_fit(target, others, numbers, write)
    if fit is None or len(others) < 2:
        return None
    expression, units = fit
    return Dependency(target.name, tuple(x.name for x in others), expression, units)


def _linear_fit(
    target: Column, others: Sequence[Column], numbers: Mapping[str, Groups], write: _Write
) -> tuple[str, int] | None:
    rows = unit_rows([target, *others], numbers)
    if len(rows) < _LEAST_UNITS + len(others):
        return None
    terms = [x.values[rows] for x in others]
    coefficients = _coefficients(target.values[rows], terms, least_values=2)
    if coefficients is None:
        return None
    return write(*coefficients, [_r_name(x.name) for x in others]), len(rows)


def _finite(column: Column) -> Doubles:
    finite: Doubles = np.where(np.isfinite(column.values), column.values, np.nan)
    return finite if np.isfinite(finite).any() else np.zeros(1)


def _r_name(name: str) -> str:
    return name if name.replace(".", "_").isidentifier() else f"`{name}`"


@np.errstate(over="ignore", invalid="ignore")
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
        of_column = []
        for other in numeric:
            if other is column or not (column.missing or other.missing):
                continue
            if is_constant_within(other.values, group):
                continue
            mean = _group_mean(column, other, column.level, group)
            if mean is not None:
                of_column.append(mean)
        themselves = [x for x in of_column if not x.is_scaled]
        means += themselves or of_column
    return means


def _group_mean(column: Column, other: Column, level: str, group: Groups) -> GroupMean | None:
    n = int(group.max()) + 1
    observed = np.isfinite(other.values)
    count = np.bincount(group, observed, minlength=n)
    total = np.bincount(group, np.where(observed, other.values, 0.0), minlength=n)
    values = np.full(n, np.nan)
    values[group] = column.values
    size = np.bincount(group, minlength=n)
    for complete_groups in (True, False):
        usable = np.isfinite(values) & (count == size if complete_groups else count > 0)
        if usable.sum() < _LEAST_MEANS:
            continue
        a, b = values[usable], total[usable] / count[usable]
        if a.std() > 0 and b.std() > 0 and 1 - np.corrcoef(a, b)[0, 1] ** 2 < _MEAN:
            is_scaled = bool(np.abs(a - b).max() > _SHIFT * b.std())
            return GroupMean(column.name, other.name, level, complete_groups, is_scaled)
    return None
