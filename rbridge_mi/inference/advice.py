"""What an analyst should know about fits and their imputations, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..data.imputed_data import ImputedData
from ..fits.fitted_model import FittedModel

__all__ = ["advise", "model_columns", "too_few_imputations"]

_NAME = re.compile(r"`([^`]+)`|([^\W\d][\w.]*|\.[\w.]*)")
_POLYNOMIAL = re.compile(r"(\w+::)?(poly|ns|bs)\(")
Floats: TypeAlias = npt.NDArray[np.float64]
_FROM_MODEL = "Impute from the model itself: `rb.impute(data, model=model, m=20)`"
_SAME = 2e-2  # of a standard deviation: derived columns are often stored rounded


def advise(
    fits: Sequence[FittedModel], data: ImputedData | None, fixed: pd.DataFrame
) -> tuple[str, ...]:
    """Advise what should be looked at, each with its remedy; empty where nothing is amiss.

    - *Too few imputations*: fewer than 1 + (fmi / 0.05)^2 / 2, fmi the largest (von Hippel 2020).
    - *Random slopes, imputed without the groups*: the model of an incomplete column neither told
      the groups apart, nor had the slope variable's group mean among its columns (`imp.saw`; of
      data sets that were imputed elsewhere that isn't known).
    - *Random slopes, imputed with intercepts alone*: the model of an incomplete column told the
      groups apart, but it was not imputed from an analysis model with these slopes.
    - *Products and powers*: the fixed part has some of an incomplete column that was not imputed
      from an analysis model (Seaman, Bartlett and White 2012).
    - *A group-level column imputed row by row*: constant in every group as observed, but not as
      imputed.
    - *A derived column not recomputed*: where the data are complete it is a group mean (or the
      deviation from one), a centred or rescaled copy, a square or quadratic, a logarithm, a
      product, a sum or a mean of other columns, up to a constant and a factor; in the imputed rows
      it isn't. A complete group mean that the model of the imputations took as known is left.
    - *Bootstrap samples of rows, or of other groups than the model's* (Davison and Hinkley 1997,
      section 3.8).
    """
    if data is None:
        return ()
    if data.kind == "bootstrap":
        return tuple(_broken_groups(fits[0], data))
    advice = list(too_few_imputations(fixed, len(fits)))
    columns = model_columns(fits[0].formula, data.original)
    groups = [g for g in _grouping(fits[0]) if g in data.original.columns]
    if data.original[columns].isna().any(axis=None):
        advice += _blind_slopes(fits[0], data, columns, groups)
        advice += _slopes_without_model(fits[0], data, columns)
        advice += _products(fits[0], data, columns)
        advice += _row_by_row(data, columns, groups)
        advice += _derived(data, columns, groups)
    return tuple(advice)


def _broken_groups(fit: FittedModel, data: ImputedData) -> Iterator[str]:
    """Name grouping factors whose groups the bootstrap samples tear, or put together."""
    if "cluster" not in data.settings:  # the samples were drawn elsewhere
        return
    cluster = data.settings["cluster"]
    if cluster is None:
        highest = min(fit.ngrps, key=lambda name: fit.ngrps[name])
        yield (
            f"the bootstrap samples draw rows one by one, though the model groups them by "
            f"{', '.join(fit.ngrps)}: a row that is drawn twice looks like two that agree, so that "
            "the variance between groups comes out far too large, and standard errors of "
            f"group-level coefficients too small. Draw whole groups: `BootstrapImputer(m=200, "
            f"cluster={highest!r})` (of nested groupings the highest)."
        )
        return
    for name in fit.ngrps:
        if cluster not in name.split(":"):
            yield (
                f"the bootstrap samples draw whole groups of {cluster}, but the model also groups "
                f"by {name}, whose groups they neither keep whole nor tell apart where one is "
                f"drawn twice: its variance is not to be trusted. Write a grouping that is nested "
                f"as (1 | {cluster}/{name}); for crossed ones there is no such bootstrap: impute."
            )


def too_few_imputations(fixed: pd.DataFrame, m: int) -> Iterator[str]:
    """Say where m is below 1 + (fmi / 0.05)^2 / 2, fmi the largest (von Hippel 2020)."""
    if fixed["fmi"].isna().all():
        return
    worst = fixed.loc[fixed["fmi"].idxmax()]
    needed = int(np.ceil(1 + 0.5 * (worst["fmi"] / 0.05) ** 2))
    if needed > m:
        yield (
            f"too few imputations: with a fraction of missing information of {worst['fmi']:.2f} "
            f"({worst['term']}), standard errors from m = {m} would come out differently with "
            f"other imputations. Impute again with m = {needed} or more for a coefficient of "
            "variation of 5% (`pooled.diagnostics()` has each coefficient's number)."
        )


def _blind_slopes(
    fit: FittedModel, data: ImputedData, columns: Sequence[str], groups: Sequence[str]
) -> Iterator[str]:
    models = {name: data.saw[name] for name in columns if name in data.saw}
    for group in groups:
        slopes = [slope for grp, slope in _random_slopes(fit) if _of_group(grp, group)]
        blind = {
            model.method
            for name, model in models.items()
            if group not in model.groups
            and not all(
                _has_mean(data.original, slope, group, (name, *model.predictors))
                for slope in slopes
            )
        }
        if not blind:
            continue
        yield (
            f"random slopes of {', '.join(slopes)} over {group}, but {', '.join(sorted(blind))} "
            f"imputed without knowing {group}: imputed values follow one slope for all groups, so "
            f"that the variance of the slopes, and their mean, come out too small. {_FROM_MODEL}. "
            "Or, before imputing, add the group means of incomplete and slope variables as columns "
            f"(`data.groupby({group!r})[...].transform('mean')`), which leaves the variance of the "
            "slopes too small still."
        )


def _random_slopes(fit: FittedModel) -> list[tuple[str, str]]:
    """Return the group and the name of each random effect but the intercepts."""
    table = fit.varcorr()
    sds = table[table["var2"].isna() & table["var1"].notna() & (table["var1"] != "(Intercept)")]
    return [(str(x.grp), str(x.var1)) for x in sds.itertuples()]


def _slopes_without_model(
    fit: FittedModel, data: ImputedData, columns: Sequence[str]
) -> Iterator[str]:
    for grp, slope in _random_slopes(fit):
        group = _bare(grp)
        lacking = {
            name: model
            for name, model in data.saw.items()
            if name in columns
            and f"{group}: {slope}" not in model.random_effects
            and (group in model.groups or model.random_effects)
        }
        if not lacking:
            continue
        methods = ", ".join(sorted({x.method for x in lacking.values()}))
        why = (
            "from a model without them"
            if any(x.random_effects for x in lacking.values())
            else f"with an intercept for each {group} alone"
        )
        yield (
            f"random slopes of {slope} over {group}, but {', '.join(lacking)} imputed {why} "
            f"({methods}): the variance of the slopes comes out too small. {_FROM_MODEL}."
        )


def _products(fit: FittedModel, data: ImputedData, columns: Sequence[str]) -> Iterator[str]:
    incomplete = {x for x in columns if x in data.saw and not data.saw[x].random_effects}
    of: dict[str, list[str]] = {}
    for term in fit.fixef()["term"].astype(str):
        if ":" in term or "^" in term or _POLYNOMIAL.match(term):
            for name in sorted({a or b for a, b in _NAME.findall(term)} & incomplete):
                of.setdefault(name, []).append(term)
    if not of:
        return
    terms = dict.fromkeys(term for terms in of.values() for term in terms)
    methods = ", ".join(sorted({data.saw[name].method for name in of}))
    yield (
        f"{', '.join(terms)} in the model, but {', '.join(of)} imputed ({methods}) without knowing "
        f"these products or powers: their coefficients come out too small. {_FROM_MODEL}."
    )


def _has_mean(data: pd.DataFrame, slope: str, group: str, seen: Sequence[str]) -> bool:
    """Whether a column that the imputation saw holds (nearly) the slope variable's group means."""
    if slope not in data.columns or not pd.api.types.is_numeric_dtype(data[slope].dtype):
        return False
    means = _group_mean(data, slope, group)
    for name in seen:
        if (
            name in (slope, group)
            or name not in data.columns
            or not pd.api.types.is_numeric_dtype(data[name].dtype)
        ):
            continue
        if (
            _constant_within(data[name], data[group])
            and abs(_correlation(_numbers(data[name]), means)) > 0.9
        ):
            return True
    return False


def _row_by_row(data: ImputedData, columns: Sequence[str], groups: Sequence[str]) -> Iterator[str]:
    original, first = data.original, data[0]
    for name in columns:
        holes = original[name].isna()
        if name in groups or not holes.any():
            continue
        for group in groups:
            if not _constant_within(original[name], original[group]):
                continue
            if _constant_within(first[name], first[group]):
                continue
            yield (
                f"{name} is a {group}-level column, but was imputed row by row: its imputed values "
                f"differ within a {group}. {_FROM_MODEL}, which gives each {group} one value. Or, "
                f"where any row of the {group} has the value, fill it in before imputing "
                f"(`data.groupby({group!r})[{name!r}].transform('first')`); for the others "
                f"impute one row per {group}, or give each one value: "
                f"`imp.assign(**{{{name!r}: lambda d: d.groupby({group!r})[{name!r}]"
                ".transform('mean')})`."
            )
            break


@dataclass(frozen=True)
class _Recipe:
    """How a column may have been computed: as a text, in pandas, from what, by which group.

    `make` gives one column, or several of which the column is a linear combination.
    """

    phrase: str
    code: str
    sources: tuple[str, ...]
    group: str | None
    make: Callable[[pd.DataFrame], Floats]
    powers: tuple[str, ...] = ()  # of several columns: each one's code
    is_mean: bool = False  # a group mean, and nothing else


def _derived(data: ImputedData, columns: Sequence[str], groups: Sequence[str]) -> Iterator[str]:
    original, first = data.original, data[0]
    numeric = [c for c in original.columns if _is_number(original[c])]
    targets = {c: _numbers(original[c]) for c in columns if c in numeric}
    spreads = {c: float(pd.Series(target).std()) for c, target in targets.items()}
    holes = {c: original[c].isna().to_numpy() for c in numeric}
    members = {g: _codes(original[g]) for g in groups}
    told: set[str] = set()
    for recipe in _recipes(columns, numeric, original, groups):
        touched = np.any([holes[c] for c in recipe.sources], axis=0)
        if recipe.group is not None:
            member = members[recipe.group]
            touched = touched | (member < 0) | np.isin(member, member[touched])
        values = recipe.make(original)
        for name, target in targets.items():
            if name in recipe.sources or name in told or not spreads[name] > 0:
                continue
            if recipe.is_mean and _is_given(data, name, recipe.sources[0]):
                continue
            whole = ~touched & ~np.isnan(target)
            units = len(np.unique(member[whole])) if recipe.group else int(whole.sum())
            line = _line(values[whole], target[whole], spreads[name], units)
            if line is None:
                continue
            if len(recipe.sources) == 1 and not _may_come_from(name, recipe, original):
                continue
            again = line[0] + np.atleast_2d(recipe.make(first).T).T @ line[1:]
            if _equal(again[touched], _numbers(first[name])[touched], spreads[name]):
                continue
            told.add(name)
            phrase, code = _spelled(recipe, line, original)
            yield (
                f"{name} looks like {phrase}, but isn't in the completed data: it was not "
                "recomputed from the imputed values. Leave it out of the imputation and recompute "
                f"it: `imp.assign(**{{{name!r}: lambda d: {code}}})`; if it was known apart "
                "from these data, leave it as it is."
            )


def _is_given(data: ImputedData, name: str, source: str) -> bool:
    """Tell whether the data were imputed from a model that takes a complete group mean as known.

    Such imputations go with the mean as it is, and their notes say so.
    """
    is_complete = not data.original[name].isna().any()
    seen = data.saw[source].predictors if source in data.saw else ()
    return is_complete and "formula" in data.settings and name in seen


def _line(values: Floats, target: Floats, spread: float, units: int) -> Floats | None:
    """Return the constant and factors that turn values into the target; None if none do."""
    if units < 5 or not np.isfinite(values).all():
        return None
    if values.ndim == 1 and _equal(values, target, spread):
        return np.array([0.0, 1.0])
    if units < 10:
        return None
    design = np.column_stack([np.ones(len(values)), values])
    few = slice(None, None, len(target) // 50 + 1)
    best = np.linalg.lstsq(design[few], target[few], rcond=None)[0]
    # A line that is near every row is near these, of which none is nearer than the best one.
    if np.sqrt(np.mean((design[few] @ best - target[few]) ** 2)) > 5 * _SAME * spread:
        return None
    solved, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    line: Floats = solved.astype(np.float64)
    shares = np.abs(line[1:]) * design[:, 1:].std(axis=0) / spread
    if rank < design.shape[1] or shares.min() < _SAME:  # a power that has no part in it
        return None
    if len(line) == 2 and abs(line[1] - 1) < 1e-3:  # a constant was added or taken away
        line = np.array([np.mean(target - values), 1.0])
    return line if _equal(design @ line, target, spread) else None


def _spelled(recipe: _Recipe, line: Floats, data: pd.DataFrame) -> tuple[str, str]:
    """Return the recipe with its constant and factors, as a text and in pandas."""
    constant, factors = float(line[0]), line[1:]
    if recipe.powers:
        parts = [f"{b:.10g} * {x}" for b, x in zip(factors, recipe.powers, strict=True)]
        return recipe.phrase, " + ".join([f"{constant:.10g}", *parts])
    factor = float(factors[0])
    if factor != 1:
        phrase, code = f"{factor:.4g} times {recipe.phrase}", f"{factor:.10g} * ({recipe.code})"
        if abs(constant) < 1e-9 * abs(factor * np.nanmean(np.abs(recipe.make(data)))):
            return phrase, code
        return f"{constant:.4g} plus {phrase}", f"{constant:.10g} + {code}"
    if constant == 0:
        return recipe.phrase, recipe.code
    sign, operation = ("-", "minus") if constant < 0 else ("+", "plus")
    values = recipe.make(data)
    mean = abs(np.nanmean(values) + constant) < _SAME * np.nanstd(values)
    phrase = f"{recipe.phrase} {operation} {abs(constant):.4g}{' (its mean)' if mean else ''}"
    return phrase, f"{recipe.code} {sign} {abs(constant):.10g}"


def _may_come_from(name: str, recipe: _Recipe, data: pd.DataFrame) -> bool:
    """Tell whether a column may be derived; of two copies, the one nearer to mean 0 is."""
    (source,) = recipe.sources
    if recipe.code != _column(source):
        return True

    both = data[[name, source]].dropna().astype(np.float64)
    mine, other = (both.mean().abs() / both.std().replace(0, np.inf))[[name, source]]
    if np.isclose(mine, other, rtol=1e-2):  # another unit: the later column
        return list(data.columns).index(name) > list(data.columns).index(source)
    return bool(mine < other)


def _column(x: str) -> str:
    return f"d[{x!r}]"


def _recipes(
    columns: Sequence[str], numeric: Sequence[str], data: pd.DataFrame, groups: Sequence[str]
) -> Iterator[_Recipe]:
    holed = [c for c in numeric if data[c].isna().any()]
    for x in holed:
        column = _column(x)
        for g in groups:
            mean = f"d.groupby({g!r})[{x!r}].transform('mean')"
            make = partial(_group_mean, x=x, g=g)
            yield _Recipe(f"the {g} mean of {x}", mean, (x,), g, make, is_mean=True)
            yield _Recipe(
                f"{x} minus its {g} mean",
                f"{column} - {mean}",
                (x,),
                g,
                partial(_deviation, x=x, g=g),
            )
        yield _Recipe(x, column, (x,), None, partial(_copy, x=x))
        yield _Recipe(
            f"the square of {x}", f"{column} ** 2", (x,), None, partial(_product, x=x, z=x)
        )
        yield _Recipe(f"the logarithm of {x}", f"np.log({column})", (x,), None, partial(_log, x=x))
        if data[x].nunique() > 3:
            phrase, powers = f"a quadratic in {x}", (column, f"{column} ** 2")
            yield _Recipe(phrase, "", (x,), None, partial(_powers, x=x), powers)
        if x not in columns:
            continue
        for z in columns:
            if z != x and z in numeric:
                code = f"{column} * {_column(z)}"
                yield _Recipe(f"{x} times {z}", code, (x, z), None, partial(_product, x=x, z=z))
    whole = data[list(numeric)].dropna().to_numpy(dtype=np.float64)
    for target in (c for c in columns if c in numeric):
        places, factor = _summands(numeric.index(target), whole)
        items = [numeric[i] for i in places]
        if len(items) > 1 and not set(items).isdisjoint(holed):
            what = "mean" if np.isclose(factor * len(items), 1, rtol=0.05) else "sum"
            phrase = f"the {what} of {', '.join(items[:-1])} and {items[-1]}"
            code = f"d[{items!r}].{what}(axis=1)"
            make = partial(_total, items=items, mean=what == "mean")
            yield _Recipe(phrase, code, tuple(items), None, make)


def _summands(target: int, whole: Floats) -> tuple[list[int], float]:
    """Return columns whose sum or mean the target may be, and the factor of them all."""
    y = whole[:, target]
    if len(whole) < 10 or not np.ptp(y) > 0:
        return [], 0.0
    others = [
        i for i in range(whole.shape[1])
        if i != target and abs(_correlation(whole[:, i], y)) < 1 - 1e-6
        and np.ptp(whole[:, i]) > 0
    ]  # fmt: skip
    if len(whole) < len(others) + 10:
        return [], 0.0
    x = whole[:, others]
    spread, scale = x.std(axis=0), y.std()
    factors = np.linalg.lstsq((x - x.mean(axis=0)) / spread, (y - y.mean()) / scale, rcond=1e-8)[0]
    items = np.flatnonzero(np.abs(factors) > _SAME)
    weights = factors[items] * scale / spread[items]
    if not len(items) or np.ptp(weights) > 0.1 * np.abs(weights).max():
        return [], 0.0
    return [others[i] for i in items], float(weights.mean())


def _copy(d: pd.DataFrame, x: str) -> Floats:
    return _numbers(d[x])


def _powers(d: pd.DataFrame, x: str) -> Floats:
    values = _numbers(d[x])
    return np.column_stack([values, values**2])


def _total(d: pd.DataFrame, items: Sequence[str], mean: bool) -> Floats:
    total: Floats = sum((_numbers(d[x]) for x in items), np.zeros(len(d)))
    return total / len(items) if mean else total


def _group_mean(d: pd.DataFrame, x: str, g: str) -> Floats:
    values = pd.Series(_numbers(d[x]), index=d.index)
    return _numbers(values.groupby(d[g], observed=True).transform("mean"))


def _deviation(d: pd.DataFrame, x: str, g: str) -> Floats:
    return _numbers(d[x]) - _group_mean(d, x, g)


def _product(d: pd.DataFrame, x: str, z: str) -> Floats:
    return _numbers(d[x]) * _numbers(d[z])


def _log(d: pd.DataFrame, x: str) -> Floats:
    values = _numbers(d[x])
    return np.log(values, out=np.full(len(values), np.nan), where=values > 0)


def _is_number(column: pd.Series[float]) -> bool:
    kind = pd.api.types
    return kind.is_numeric_dtype(column.dtype) and not kind.is_bool_dtype(column.dtype)


def _equal(a: Floats, b: Floats, spread: float) -> bool:
    gap = np.abs(a - b) / spread
    if not gap.size or not gap.max() <= 5 * _SAME:  # a missing one isn't, either
        return False
    return bool(np.sqrt(np.mean(gap**2)) <= _SAME)


def _numbers(column: pd.Series[Any]) -> Floats:
    values: Floats = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _codes(column: pd.Series[Any]) -> npt.NDArray[np.intp]:
    """Return a number for each value, the same for equal ones; -1 where there is none."""
    codes: npt.NDArray[np.intp] = pd.factorize(column)[0]
    return codes


def _correlation(a: Floats, b: Floats) -> float:
    there = ~(np.isnan(a) | np.isnan(b))
    x, y = a[there], b[there]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    with np.errstate(invalid="ignore"):  # of infinite values it is missing
        return float(np.corrcoef(x, y)[0, 1])


def _constant_within(column: pd.Series[Any], group: pd.Series[Any]) -> bool:
    """One value per group, among groups of which some have several."""
    value, member = _codes(column), _codes(group)
    there = (value >= 0) & (member >= 0)
    value, member = value[there], member[there]
    if not len(value):
        return False
    last = np.empty(member.max() + 1, dtype=np.intp)
    last[member] = value
    return bool((last[member] == value).all() and np.bincount(member).max() > 1)


def _grouping(fit: FittedModel) -> list[str]:
    """Columns that group: of "school:class" both."""
    return list(dict.fromkeys(part for name in fit.ngrps for part in name.split(":")))


def _of_group(grp: str, group: str) -> bool:
    """Whether a block of the random part ("g", or "g.1" of a double bar) is of this group."""
    return group in _bare(grp).split(":") or group in grp.split(":")


def _bare(grp: str) -> str:
    """Return a block's grouping factor, without the number that a double bar gives it."""
    return re.sub(r"\.\d+$", "", grp)


def model_columns(formula: str, data: pd.DataFrame) -> list[str]:
    """Return the columns of the data that a formula names, in their order."""
    names = [a or b for a, b in _NAME.findall(formula)]
    if "." in names:
        return list(data.columns)
    return [x for x in data.columns if x in names]
