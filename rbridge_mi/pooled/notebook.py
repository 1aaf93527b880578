"""Pooled estimates in a notebook: what is read first, and the rest at a click."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ..base.text import monospaced
from .printing import FORMATS, estimates_title, observations_line, random_lines, title_line

if TYPE_CHECKING:
    from .pooled_estimates import PooledEstimates
    from .pooled_mermod import PooledMerMod

__all__ = ["estimates_html", "pooled_html"]

_FIRST = ("term", "estimate", "std_error", "conf_low", "conf_high", "p_value", "df", "fmi")


def pooled_html(pooled: PooledMerMod) -> str:
    """Write a pooled model in HTML, without any script."""
    random = ["Random effects (mean covariance matrices):", *random_lines(pooled.varcorr)]
    return "\n".join(
        [
            f"<p><b>{html.escape(title_line(pooled))}</b><br>"
            f"<code>{html.escape(pooled.formula)}</code></p>",
            *_coefficients(pooled),
            monospaced("\n".join([*random, observations_line(pooled)])),
            *_notes([*pooled.advice, *pooled.notes]),
        ]
    )


def estimates_html(pooled: PooledEstimates) -> str:
    """Write pooled estimates in HTML, without any script."""
    note = pooled.fixed.attrs.get("note", "")
    return "\n".join(
        [
            f"<p><b>{html.escape(estimates_title(pooled))}</b></p>",
            *_coefficients(pooled),
            *_notes([*([note] if note else []), *pooled.advice]),
        ]
    )


def _coefficients(pooled: PooledMerMod | PooledEstimates) -> list[str]:
    fixed, has_fmi = pooled.fixed, pooled.rule.knows_missing_information
    known = [x for x in fixed.columns if has_fmi or x in _WITHOUT_FMI]
    first = [x for x in _FIRST if x in known]
    rest = ["term", *(x for x in known if x not in first)]
    return [
        f"<p>Estimates{', exponentiated' if pooled.exponentiate else ''} "
        f"({100 * pooled.conf_level:g}% intervals):</p>",
        _table(fixed, first),
        f"<details><summary>More columns: {html.escape(', '.join(rest[1:]))}</summary>",
        _table(fixed, rest),
        "</details>",
    ]


# Bootstrap samples have no more.
_WITHOUT_FMI = (
    "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
)  # fmt: skip


def _table(frame: pd.DataFrame, columns: Sequence[str]) -> str:
    shown = frame[list(columns)]
    with pd.option_context("display.max_colwidth", None):  # names of terms as they are
        text: str = shown.to_html(index=False, border=0, formatters=FORMATS)
    return text


def _notes(texts: Iterable[str]) -> list[str]:
    return [f"<p>Note: {html.escape(text)}</p>" for text in texts]
