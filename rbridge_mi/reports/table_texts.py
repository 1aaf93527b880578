"""The texts of a table of models: its cells, labels and notes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from ..inference.model_column import ModelColumn
from .layout import Cell
from .numbers import decimals, interval, p_value, span, stars_note, stars_of
from .table_numbers import Entry, Key

__all__ = ["LABELS", "TextRow", "Writer", "notes_of", "parts_of", "texts_frame"]

LABELS = {
    "nobs": "Observations",
    "r2_marginal": "R² (marginal)",
    "r2_conditional": "R² (conditional)",
    "m": "Imputations",
    "fmi": "Largest FMI",
}
_RATIOS = {
    ("binomial", "logit"): "odds ratios",
    ("binomial", "log"): "risk ratios",
    ("binomial", "cloglog"): "hazard ratios",
    ("poisson", "log"): "rate ratios",
}
_COUNTS = ("ngrps", "nobs", "m")
_INFERENCE = {
    "Rubin's rules": "Pooled by Rubin's rules",
    "bootstrap": "Pooled over bootstrap samples",
    "Kenward-Roger": "Standard errors by Kenward and Roger",
}


@dataclass(frozen=True)
class TextRow:
    """A row of texts: of which section and label, what it shows, and whether it is the first."""

    section: str
    label: str
    shows: str
    cells: tuple[Cell, ...]

    @property
    def first(self) -> bool:
        """Whether it has the label of the rows below, too."""
        return self.shows == "estimate"


@dataclass(frozen=True)
class Writer:
    """Writes the rows of a key."""

    labels: Mapping[str, str]
    shown: Sequence[str]
    levels: Sequence[float]
    digits: int

    def rows(self, key: Key, entries: Sequence[Entry | None]) -> Iterator[TextRow]:
        """Write the rows of one key, given each model's numbers of it, or None."""
        label = self._label(key)
        shown = ["estimate", *(self.shown if key.section == "fixed" else ())]
        for shows in shown:
            cells = tuple(Cell() if x is None else self._cell(key, x, shows) for x in entries)
            yield TextRow(key.section, label, shows, cells)

    def _cell(self, key: Key, entry: Entry, shows: str) -> Cell:
        if key.section == "statistics" and key.term in _COUNTS:
            low = entry["estimate"]
            return Cell(span([int(low), int(entry.get("largest", low))]))
        if shows == "estimate":
            stars = stars_of(entry["p_value"], self.levels) if key.section == "fixed" else ""
            return Cell(decimals(entry["estimate"], self.digits), stars)
        if shows == "std_error":
            return Cell(f"({decimals(entry['std_error'], self.digits)})")
        if shows == "interval":
            return Cell(interval(entry["conf_low"], entry["conf_high"], self.digits))
        if shows == "statistic":
            letter = "z" if math.isinf(entry["df"]) else "t"
            return Cell(f"{letter} = {decimals(entry['statistic'], self.digits)}")
        return Cell(p_value(entry["p_value"], self.digits))

    def _label(self, key: Key) -> str:
        if key.section == "fixed":
            return self._named(key.term)
        if key.section == "random":
            return self._random_label(key)
        if key.group is None:
            return self.labels.get(key.term, LABELS[key.term])
        return f"{'ICC' if key.term == 'icc' else 'Groups'} ({self._named(key.group)})"

    def _random_label(self, key: Key) -> str:
        if not key.effects:
            return self.labels.get("Residual", "Residual")
        effects = ", ".join(map(self._named, key.effects))
        kind = {"cov": " (covariance)", "cor": " (correlation)"}.get(key.term.split("__")[0], "")
        return f"{self._named(str(key.group))}: {effects}{kind}"

    def _named(self, name: str) -> str:
        """Return the label of a name, or of each part of an interaction."""
        if name in self.labels:
            return self.labels[name]
        parts = parts_of(name)
        if not any(x in self.labels for x in parts):
            return name
        return " × ".join(self.labels.get(x, x) for x in parts)


def parts_of(term: str) -> list[str]:
    """Return the variables of an interaction."""
    parts = term.split(":")
    return parts if len(parts) > 1 else []


def texts_frame(rows: Sequence[TextRow], titles: Sequence[str]) -> pd.DataFrame:
    """Put the texts into a frame; see `ModelTable.frame`."""
    index = pd.MultiIndex.from_tuples(
        [(x.section, x.label, x.shows) for x in rows], names=["section", "label", "shows"]
    )
    return pd.DataFrame([[str(c) for c in x.cells] for x in rows], index, list(titles))


def notes_of(
    columns: Sequence[ModelColumn],
    titles: Sequence[str],
    shown: Sequence[str],
    levels: Sequence[float],
) -> list[str]:
    """Write what stands below a table: how to read it, and what the models are."""
    below = {
        "std_error": "standard errors in parentheses",
        "interval": f"{100 * columns[0].conf_level:g}% confidence intervals in brackets",
    }
    told = [below[x] for x in shown if x in below]
    notes = [f"{'; '.join(told).capitalize()}."] if told else []
    notes += [f"{stars_note(levels)}."] if levels else []
    pairs = list(zip(titles, columns, strict=True))
    responses = [(a, x.response) for a, x in pairs]
    if len({x for _, x in responses if x}) > 1:
        notes.append(_listing("Responses", responses))
    families = {a: f"{x.fit.family} ({x.fit.link})" for a, x in pairs if x.fit and not x.is_linear}
    notes += [_listing("Generalised models", families.items())] if families else []
    if any(x.are_ratios for x in columns):
        kinds = [_ratios(x) if x.are_ratios else "" for x in columns]
        notes.append(_listing("Exponentiated", zip(titles, kinds, strict=True)))
    for inference, phrase in _INFERENCE.items():
        of_these = [a for a, x in pairs if x.inference == inference]
        notes += [f"{phrase}: {', '.join(of_these)}."] if of_these else []
    return notes


def _ratios(column: ModelColumn) -> str:
    """Say what exponentiated coefficients are."""
    if column.fit is None:
        return "ratios"
    family = "poisson" if math.isfinite(column.fit.nb_theta) else column.fit.family
    return _RATIOS.get((family, column.fit.link), "ratios")


def _listing(what: str, items: Iterable[tuple[str, str]]) -> str:
    """List what holds of which columns; an empty text holds of none."""
    titles: dict[str, list[str]] = {}
    for title, text in items:
        titles.setdefault(text, []).append(title)
    titles.pop("", None)
    parts = [f"{text} in {', '.join(of)}" for text, of in titles.items()]
    return f"{what}: {'; '.join(parts)}."
