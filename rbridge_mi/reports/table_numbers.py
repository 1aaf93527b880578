"""The numbers of several models: a row for each coefficient, random effect and statistic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import pandas as pd

from ..base.glossary import TABLES, checked
from ..errors import ArgumentError, RCallError
from ..inference.model_column import ModelColumn

__all__ = ["Entry", "Key", "entries_of", "merged", "numbers_frame"]

_ESTIMATES = (
    "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
)  # fmt: skip

Entry: TypeAlias = dict[str, float]
Statistic: TypeAlias = tuple[str | None, str, Entry]  # group, term, numbers


class Key(NamedTuple):
    """What a row is about; `effects` are the random effects that it names."""

    section: str
    group: str | None
    term: str
    effects: tuple[str, ...] = ()


def entries_of(
    column: ModelColumn, random: str | None, wanted: Sequence[str], title: str, notes: list[str]
) -> dict[Key, Entry]:
    """Return a model's numbers, by section, group and term."""
    entries: dict[Key, Entry] = {}
    for row in column.fixed().to_dict("records"):
        key = Key("fixed", None, row.pop("term"))
        if key in entries:
            raise ArgumentError(
                f"model {title} has two coefficients {key.term!r}: rename a column."
            )
        entries[key] = row
    if random is not None and column.varcorr is not None:
        for key, value in _random(column.varcorr, random):
            entries[key] = {"estimate": value}
    by_name = {
        "icc": lambda: _by_group("icc", {} if column.icc is None else column.icc.dropna()),
        "groups": lambda: _by_group("ngrps", column.ngrps),
        "nobs": lambda: _observations(column.nobs),
        "r2": lambda: _explained(column, title, notes),
        "m": lambda: _single("m", column.m),
        "fmi": lambda: _single("fmi", column.fmi),
    }
    for name in wanted:
        for group, term, entry in by_name[name]():
            entries[Key("statistics", group, term)] = entry
    return entries


def _random(varcorr: pd.DataFrame, scale: str) -> Iterator[tuple[Key, float]]:
    diagonal, beside = ("var", "cov") if scale == "variance" else ("sd", "cor")
    values = varcorr["vcov" if scale == "variance" else "sdcor"]
    columns = (varcorr["grp"], varcorr["var1"], varcorr["var2"], values)
    for grp, var1, var2, value in zip(*columns, strict=True):
        # lme4 orders the effects as the formula does, which may have another order in each model.
        effects = tuple(sorted(str(x) for x in (var1, var2) if not pd.isna(x)))
        kind = diagonal if len(effects) < 2 else beside
        term = f"{kind}__{'.'.join(effects) or 'Observation'}"
        yield Key("random", str(grp), term, effects), float(value)


def _by_group(term: str, values: Any) -> Iterator[Statistic]:
    for group, value in values.items():
        yield str(group), term, {"estimate": float(value)}


def _observations(nobs: Sequence[int]) -> Iterator[Statistic]:
    if nobs:
        yield None, "nobs", {"estimate": float(min(nobs)), "largest": float(max(nobs))}


def _explained(column: ModelColumn, title: str, notes: list[str]) -> Iterator[Statistic]:
    if column.r2 is None:
        return
    try:
        row = column.r2()
    except RCallError as error:  # the residual variance on the scale of the link isn't known
        notes.append(f"No R² of {title}: {(error.r_message or str(error)).strip()}")
        return
    for term in ("r2_marginal", "r2_conditional"):
        yield None, term, {"estimate": float(row[term].iloc[0])}


def _single(term: str, value: float | None) -> Iterator[Statistic]:
    if value is not None:
        yield None, term, {"estimate": float(value)}


def merged(orders: Sequence[Sequence[Key]]) -> list[Key]:
    """Put the rows of several models into one order, which keeps each model's where it can.

    Residuals come after other random terms, and statistics by kind.
    """
    blocks: dict[Any, list[Key]] = {}
    for order in orders:
        by_block: dict[Any, list[Key]] = {}
        for key in order:
            residual = key.section == "random" and not key.effects
            block = (key.section, key.term if key.section == "statistics" else residual)
            by_block.setdefault(block, []).append(key)
        for block, keys in by_block.items():
            _merge_into(blocks.setdefault(block, []), keys)
    ranks = ("fixed", "random", "statistics")
    ordered = sorted(blocks, key=lambda block: (ranks.index(block[0]), block[1] is True))
    return [key for block in ordered for key in blocks[block]]


def _merge_into(rows: list[Key], keys: Sequence[Key]) -> None:
    """Add what is new before the next key that both have, or at the end."""
    place = len(rows)
    for key in reversed(keys):
        if key in rows:
            place = rows.index(key)
        else:
            rows.insert(place, key)


def numbers_frame(entries: Sequence[Mapping[Key, Entry]], titles: Sequence[str]) -> pd.DataFrame:
    """Put the numbers of all models under each other; see `ModelTable.numbers`."""
    rows = []
    for title, of_model in zip(titles, entries, strict=True):
        for key, entry in of_model.items():
            names = {
                "model": title, "section": key.section, "group": key.group, "term": key.term,
            }  # fmt: skip
            rows.append(names | {x: entry.get(x, math.nan) for x in _ESTIMATES})
            if entry.get("largest", entry["estimate"]) > entry["estimate"]:
                rows.append({**rows[-1], "term": "nobs_max", "estimate": entry["largest"]})
    return checked(pd.DataFrame(rows, columns=list(TABLES["models"])), "models")
