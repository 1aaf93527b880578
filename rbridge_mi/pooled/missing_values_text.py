"""Sentences on what was missing and how it was imputed, from an `ImputedData` alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ..base.labels import label
from ..data.imputed_data import ImputedData
from ..errors import ArgumentError

__all__ = [
    "ENGINE_PACKAGES",
    "author",
    "diagnostics",
    "imputation",
    "missing_values",
    "resampling",
    "series",
]

#: The R package of an engine, where it has one.
ENGINE_PACKAGES = {"amelia": "Amelia", "mice": "mice", "jomo": "jomo", "pan": "mitml"}
_ENGINES = {
    "amelia": "a joint multivariate normal model, by expectation-maximisation with bootstrapping "
    "(Honaker, King and Blackwell 2011)",
    "mice": "fully conditional specification (van Buuren and Groothuis-Oudshoorn 2011)",
    "jomo": "a joint multilevel model, by Gibbs sampling (Quartagno, Grund and Carpenter 2019)",
    "pan": "a joint multivariate mixed model, by Gibbs sampling (Schafer and Yucel 2002)",
    "compatible": "a Gibbs sampler whose model of each incomplete variable is compatible with the "
    "analysis model (Enders, Du and Keller 2020; Lüdtke, Robitzsch and West 2020)",
}
# What the text says elsewhere, and what is no choice about the imputation.
_NOT_SETTINGS = ("m", "rng", "delta", "filter", "formula", "family", "link", "joined")
_PATTERN = 3  # patterns that are named
_MIXED = 1.05  # R-hat
_FEW = 8  # columns that are named in one list


def author(text: str) -> str:
    """Mark what only the author can know."""
    return f"[AUTHOR: {text}]"


def series(items: Iterable[Any]) -> str:
    """Write a list as a sentence has it.

    Examples
    --------
    >>> series("abc"), series("ab"), series("a")
    ('a, b and c', 'a and b', 'a')
    """
    texts = [str(x) for x in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def percent(part: float, whole: float) -> str:
    """Write a share in percent; one that isn't 0 or 1 is not rounded to it."""
    share = 100 * part / whole
    if 0 < share < 0.05:
        return "<0.1%"
    return ">99.9%" if 99.95 <= share < 100 else f"{share:.1f}%"


# -- what was missing ---------------------------------------------------------------------------


def missing_values(data: ImputedData, columns: Sequence[str]) -> Iterator[str]:
    """Say how much was missing in the columns of the analysis, in which patterns, and for whom."""
    original = data.original[list(columns)]
    holes, n = original.isna(), len(original)
    counts = holes.sum()
    holed = [x for x in columns if counts[x]]
    yield f"The analysis uses {len(columns)} variables ({series(columns)}) of {n} rows."
    if not holed:
        yield "None of them had missing values."
        return
    parts = [f"{x} ({counts[x]}, {percent(counts[x], n)})" for x in holed]
    yield f"Values were missing in {series(parts)}" + (
        "; the other variables were complete." if len(holed) < len(columns) else "."
    )
    complete = int((~holes.any(axis=1)).sum())
    yield f"{complete} rows ({percent(complete, n)}) were complete in these variables."
    yield _patterns(holes[holed])
    yield author(
        "why values are missing, whether some are by design, and whether the reasons have to do "
        "with the outcome or with other variables"
    )
    yield from _consequences(original, holes)


def _patterns(holes: pd.DataFrame) -> str:
    rows = holes[holes.any(axis=1)].value_counts()
    named = [
        f"{series(holes.columns[list(pattern)])} ({count} rows)"
        for pattern, count in rows.head(_PATTERN).items()
    ]
    if len(rows) == 1:
        return f"The missing values had one pattern: {named[0]}."
    return (
        f"The missing values had {len(rows)} patterns; the most frequent lacked {'; '.join(named)}."
    )


def _consequences(original: pd.DataFrame, holes: pd.DataFrame) -> Iterator[str]:
    """Compare rows with and without holes, by the values that both have."""
    incomplete = holes.any(axis=1)
    gaps = {}
    for name in original.columns:
        if not _is_number(original[name]):
            continue
        values = original[name].astype(np.float64)
        spread = values.std()
        groups = [values[incomplete].dropna(), values[~incomplete].dropna()]
        if min(map(len, groups)) > 1 and spread > 0:
            gaps[name] = (groups[0].mean() - groups[1].mean()) / spread
    if gaps:
        name = max(gaps, key=lambda x: abs(gaps[x]))
        yield (
            "Rows with missing values differed from complete ones by at most "
            f"{abs(gaps[name]):.2f} standard deviations of a variable's observed values ({name}, "
            f"{'higher' if gaps[name] > 0 else 'lower'} where values are missing)."
        )


# -- how it was imputed -------------------------------------------------------------------------


def imputation(
    data: ImputedData, columns: Sequence[str], groups: Sequence[str], versions: str
) -> Iterator[str]:
    """Say by what, how often, and from what missing values were imputed.

    Parameters
    ----------
    data : ImputedData
    columns : sequence of str
        Those of the analysis.
    groups : sequence of str
        Its grouping factors.
    versions : str
        A sentence on the software.
    """
    yield (
        f"Missing values were imputed {data.m} times, assuming that they are missing at random "
        "given the variables of the imputation model. "
        + author("why this is plausible, and which variables of the imputation model make it so")
    )
    yield from _engines(data, versions)
    for rows in data.settings.get("filter", ()):
        yield f"Of the {rows['of']} rows that were imputed, {rows['kept']} were kept."
    yield from _models(data, columns)
    yield from _design(data, columns, groups)
    yield from _derived(data, columns)
    for shift in data.settings.get("delta", ()):
        by = shift.get("by")
        amount = shift["delta"]
        shown = (
            series(f"{x:+g} where {by} is {label(group)}" for group, x in amount.items())
            if isinstance(amount, Mapping)
            else f"{amount:+g}"
        )
        yield (
            f"The imputed values of {shift['column']} were shifted by {shown} (delta adjustment), "
            "as if they were missing not at random."
        )


def _engines(data: ImputedData, versions: str) -> Iterator[str]:
    """Say by what each part of the data sets was drawn; they may have been joined from several."""
    of_all = {"method": data.method, "m": data.m, "seed": data.seed, "settings": data.settings}
    parts = data.settings.get("joined", [of_all])
    for part in parts:
        engine, settings = _ENGINES.get(part["method"]), part["settings"]
        which = "They were" if len(parts) == 1 else f"{part['m']} of them were"
        if engine is None:
            by = author(
                "by which software, version and method the data were imputed, with its settings"
            )
            which = "The imputations were" if len(parts) == 1 else which
            yield f"{which} made elsewhere: {by}."
        else:
            of_model = settings.get("formula") if part["method"] == "compatible" else None
            yield f"{which} drawn by {engine}{f', here {of_model}' if of_model else ''}."
            yield _settings(settings, part["seed"])
    yield versions


def resampling(data: ImputedData, versions: str) -> str:
    """Say that values were not imputed, and of what the samples are."""
    cluster = data.settings.get("cluster")
    what = "rows" if cluster is None else f"whole groups of {cluster}"
    return (
        f"Missing values were not imputed: the model was fitted to {data.m} bootstrap samples "
        f"of {what}, in each of which rows with missing values were left out. {versions}"
    )


def _settings(settings: Mapping[str, Any], used: int | None) -> str:
    given = {k: v for k, v in settings.items() if k not in _NOT_SETTINGS}
    shown = ", ".join(f"{name} = {_short(value)}" for name, value in given.items())
    seed = f"seed {used}" if used is not None else "no seed"
    others = f"with {shown}" if shown else "with its defaults"
    return f"The engine was called {others}, and {seed}."


def _short(value: Any) -> str:
    if isinstance(value, list | tuple) and value and all(isinstance(x, str) for x in value):
        return series(value)
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _models(data: ImputedData, columns: Sequence[str]) -> Iterator[str]:
    """One sentence for all columns that were imputed alike."""
    imputed = [x for x in data.original.columns if x in data.saw]
    if not imputed:
        yield author("which variables the imputation model had, of which form, for each variable")
        return
    alike: dict[Any, list[str]] = {}
    for name in imputed:
        model = data.saw[name]
        joint = frozenset((*model.predictors, name))
        groups = frozenset(x for x in model.groups if x not in joint)
        key = (model.method, joint, groups, model.level, model.random_effects)
        alike.setdefault(key, []).append(name)
    for (method, joint, groups, level, effects), names in alike.items():
        # Some may have been left out of the data after they were imputed.
        known = [*data.original.columns, *sorted(joint - set(data.original.columns), key=str)]
        others = [str(x) for x in known if x in joint and x not in names]
        sources = [*(["each other"] if len(names) > 1 else []), *others]
        text = f"{series(names)} {'were' if len(names) > 1 else 'was'} imputed"
        text += f" by {method}" if method.casefold() != data.method else ""
        text += f" from {series(sources)}" if sources else " from no other variable"
        if groups:
            text += f", telling apart the groups of {series(sorted(map(str, groups)))}"
        if level is not None:
            text += f", with one value for each {level}"
        if effects:
            text += f", with the analysis model's random effects ({series(effects)})"
        yield text + "."
    left = [x for x in columns if x not in data.saw and data[0][x].isna().any()]
    if left:
        yield f"Missing values of {series(left)} were not imputed."


def _design(data: ImputedData, columns: Sequence[str], groups: Sequence[str]) -> Iterator[str]:
    """Say which variables were auxiliary, and whether the imputation knew the groups."""
    models = {str(name): model for name, model in data.saw.items()}
    used = {str(x) for model in models.values() for x in (*model.predictors, *model.groups)}
    there = [str(x) for x in data.original.columns]
    others = used - set(columns)
    auxiliary = [*(x for x in there if x in others), *sorted(others - set(there))]
    if auxiliary:
        have = "have" if len(auxiliary) > 1 else "has"
        yield f"{series(auxiliary)} {have} no part in the analysis (auxiliary variables)."
    factors = dict.fromkeys(x for name in groups for x in name.split(":"))
    for factor in [x for x in factors if x in data.original.columns]:
        blind = [
            name for name, model in models.items() if factor not in model.groups
            and model.level != factor
        ]  # fmt: skip
        if blind:
            yield f"The imputation of {series(blind)} did not tell apart the groups of {factor}."


def _derived(data: ImputedData, columns: Sequence[str]) -> Iterator[str]:
    """Say which columns were computed from imputed ones."""
    given = data.settings.get("derived") or {}
    changing = data.store.differing or ()
    computed = [str(x) for x in changing if x not in data.saw and data.saw]
    computed += [str(x) for x in given if str(x) not in computed]
    passive = [
        f"{name} ({model.method})" for name, model in data.saw.items() if model.method[:1] == "~"
    ]
    if computed:
        were = "were" if len(computed) > 1 else "was"
        yield f"{series(computed)} {were} computed in each data set."
    if passive:
        yield f"Passive imputation computed {series(passive)} within the iterations."
    if not computed and not passive:
        yield author(
            f"whether any of {series(columns)} is derived from others (an index, a group mean, a "
            "transformation), and how imputed values of these were kept in agreement"
        )


# -- diagnostics ----------------------------------------------------------------------------------


def diagnostics(data: ImputedData, columns: Sequence[str]) -> Iterator[str]:
    """Say how the chains converged, and how imputed values compare with observed ones."""
    yield _convergence(data)
    parts = [x for name in columns for x in _compared(data, name)]
    if parts:
        shown = parts[:_FEW]
        more = f"; and {len(parts) - _FEW} further variables" if len(parts) > _FEW else ""
        yield f"Imputed against observed values: {'; '.join(shown)}{more}."
    yield author("whether the imputed values could have been measured, had they not been missing")


def _convergence(data: ImputedData) -> str:
    if data.method == "amelia":
        low, high = min(data.chain_lengths, default=0), max(data.chain_lengths, default=0)
        length = f"{low}" if low == high else f"{low} to {high}"
        log = f" (the engine reported: {series(x.rstrip('.') for x in data.log)})"
        log = log if data.log else ""
        return f"The EM chains ended after {length} iterations{log}."
    try:
        table = data.convergence()
    except ArgumentError:  # no chains, or too short ones
        return author("how the convergence of the imputation was checked")
    table = table.dropna()
    if table.empty:
        return author("how the convergence of the imputation was checked")
    worst = table.loc[table["rhat"].idxmax()]
    lengths = data.chain_lengths
    told = (
        "The chains' convergence was judged by R-hat (Vehtari et al. 2021), which after "
        f"{max(lengths)} iterations was at most {worst['rhat']:.3f} ({worst['parameter']}); the "
        f"smallest effective sample size was {table['ess_bulk'].min():.0f}."
    )
    if worst["rhat"] < _MIXED:
        return told
    return f"{told} " + author("why the chains were not run on, with an R-hat of 1.05 or above")


def _compared(data: ImputedData, name: str) -> Iterator[str]:
    original = data.original[name]
    holes = original.isna().to_numpy()
    if not holes.any() or not holes.sum() < len(original):
        return
    imputed = pd.concat([d[name].loc[holes] for d in data], ignore_index=True).dropna()
    observed = original.dropna()
    if imputed.empty:
        return
    if _is_number(original):
        a, b = imputed.astype(np.float64), observed.astype(np.float64)
        yield (
            f"{name} mean {a.mean():.3g} (SD {a.std():.3g}) against {b.mean():.3g} (SD "
            f"{b.std():.3g})"
        )
        return
    shares = [x.astype(str).value_counts(normalize=True) for x in (imputed, observed)]
    top = shares[1].index[0]
    a, b = float(shares[0].get(top, 0.0)), float(shares[1][top])
    yield f"{name} {percent(a, 1)} {top} against {percent(b, 1)}"


def _is_number(column: pd.Series[Any]) -> bool:
    kind = pd.api.types
    return kind.is_numeric_dtype(column.dtype) and not kind.is_bool_dtype(column.dtype)
