"""Tests of a model's terms: lmerTest's, Wald tests of generalised models, and pooled by D1."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_value
from ..base.glossary import checked
from ..errors import ArgumentError, PoolingError, RBridgeWarning
from ..fits.asking import ask
from ..fits.fitted_model import FittedModel
from ..fits.which_models import is_linear
from ..pooling import PoolingRule, wald_chi2
from ..pooling.tails import f_upper
from .degrees_of_freedom import check_adjusted
from .linear_combinations import CoefficientSets, coefficients, joint_test

__all__ = ["pooled_terms", "table_of_terms"]

Floats = NDArray[np.float64]

_TYPES = {1: 1, 2: 2, 3: 3, "1": 1, "2": 2, "3": 3, "I": 1, "II": 2, "III": 3}
_DDF = {"satterthwaite": "Satterthwaite", "kenward-roger": "Kenward-Roger", "lme4": "lme4"}
# Two fits' hypotheses are the same where they differ by less than this part of their size: lme4 and
# lmerTest compute them from each design, up to rounding.
_SAME = 1e-6
# lmerTest takes a hypothesis for one that follows from the others below this part of the largest.
_RANK = float(np.sqrt(np.finfo(np.float64).eps))


def table_of_terms(fit: FittedModel, wanted: Any, ddf: str | None) -> pd.DataFrame:
    """Test each term of one fit; see `MerMod.anova`."""
    number = None if wanted is None else _type_number(wanted)
    linear = is_linear(fit)
    if ddf is not None:
        check_value(ddf, tuple(_DDF), "ddf")
    if not linear and ddf not in (None, "lme4"):
        raise ArgumentError(
            f"ddf={ddf!r} is for linear mixed models, and {fit.formula} was fitted with family "
            f"{fit.family!r} and link {fit.link!r}: leave it out."
        )
    if ddf == "lme4" and number not in (None, 1):
        raise ArgumentError("ddf='lme4' is of type 1: lme4 has sequential sums of squares only.")
    if not linear and number in (2, 3):
        return _wald_terms(fit, number == 3)
    plain = ddf == "lme4" or not linear
    if ddf == "kenward-roger":
        check_adjusted([fit])
    number = number or (1 if plain else 3)
    method = "lme4" if plain else _DDF[ddf or "satterthwaite"]
    answer = ask(fit, "terms_table", number, method)
    table = pd.DataFrame({name: list(values) for name, values in answer.items()})
    columns = ["term", "sum_sq", "mean_sq", "df1", "df2", "statistic", "p_value"]
    return checked(table[columns], "anova_terms")


def _type_number(wanted: Any) -> int:
    # True would pass for 1.
    if isinstance(wanted, bool) or not isinstance(wanted, int | str) or wanted not in _TYPES:
        raise ArgumentError(f"type must be 1, 2 or 3 ('I', 'II' or 'III'), not {wanted!r}.")
    return _TYPES[wanted]


def _wald_terms(fit: FittedModel, as_coded: bool) -> pd.DataFrame:
    """Wald chi-squared tests as car has them: of type III if `as_coded`, else of type II."""
    structure = _Structure.of(fit)
    estimates, vcovs = coefficients([fit], list(fit.beta.index))
    beta, vcov = estimates[0], vcovs[0]
    rows = []
    for term in structure.terms:
        if term == "(Intercept)" and not as_coded:
            continue
        columns = structure.columns[term]
        if len(columns) == 0:
            rows.append((term, math.nan, 0.0, math.nan))
            continue
        above = [] if as_coded else structure.above(term)
        q, u = _given_zero(beta, vcov, columns, above)
        chi2 = float(wald_chi2(q[None], u[None])[0])
        k = len(columns)
        rows.append((term, chi2, float(k), float(f_upper(chi2 / k, k, math.inf))))
    names = ["term", "statistic", "df", "p_value"]
    return checked(pd.DataFrame(rows, columns=names), "anova_wald")


def _given_zero(
    beta: Floats, vcov: Floats, columns: Sequence[int], above: Sequence[int]
) -> tuple[Floats, Floats]:
    """Coefficients as they would be if those `above` were 0, and their covariance matrix.

    They are orthogonal to those above, so that their Wald statistic is that of both together minus
    that of those above: the test of type II.
    """
    q, u = beta[columns], vcov[np.ix_(columns, columns)]
    if not above:
        return q, u
    across = np.linalg.solve(vcov[np.ix_(above, above)], vcov[np.ix_(above, columns)])
    q = q - across.T @ beta[above]
    u = u - vcov[np.ix_(columns, above)] @ across
    return q, (u + u.T) / 2


class _Structure:
    """Which coefficients a term has, and which terms contain it."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.terms = [str(x) for x in answer["terms"]]
        columns = [[int(i) - 1 for i in np.atleast_1d(x)] for x in answer["columns"]]
        self.columns = dict(zip(self.terms, columns, strict=True))
        containing = [[str(x) for x in np.atleast_1d(y)] for y in answer["containing"]]
        self._containing = dict(zip(self.terms, containing, strict=True))

    @classmethod
    def of(cls, fit: FittedModel) -> _Structure:
        return cls(ask(fit, "term_structure"))

    def above(self, term: str) -> list[int]:
        """Return the coefficients of the terms that contain a term."""
        return [i for other in self._containing[term] for i in self.columns[other]]


def pooled_terms(
    fits: Sequence[FittedModel], sets: CoefficientSets, rule: PoolingRule, wanted: Any
) -> pd.DataFrame:
    """Test each term by D1; see `PooledMerMod.anova`."""
    rule.check_joint_test(
        "use `contrast`, whose intervals come from their spread, or impute the data"
    )
    number = _type_number(wanted)
    hypotheses = _common_hypotheses(fits, list(sets.terms), number)
    size = np.sqrt(sets.variances.mean(axis=0))
    rows, notes = [], []
    for term, matrix in hypotheses.items():
        independent = _independent_rows(matrix, size)
        if len(independent) == 0:
            rows.append((term, "D1", math.nan, 0, math.nan, math.nan, math.nan))
            continue
        tested = joint_test(sets, independent, np.zeros(len(independent)))
        rows.append(
            (term, tested.method, tested.statistic, tested.df1, tested.df2, tested.p_value,
             tested.riv)
        )  # fmt: skip
        if tested.note:
            notes.append(f"{term}: {tested.note}")
    columns = ["term", "method", "statistic", "df1", "df2", "p_value", "riv"]
    table = pd.DataFrame(rows, columns=columns)
    note = "; ".join(notes)
    if note:
        warnings.warn(f"anova: {note}", RBridgeWarning, stacklevel=3)
    table.attrs["note"] = note
    return checked(table, "anova_pooled")


def _common_hypotheses(
    fits: Sequence[FittedModel], terms: Sequence[str], number: int
) -> dict[str, Floats]:
    """Take each term's hypotheses of the first fit, which must be those of all others."""
    if not is_linear(fits[0]):
        if number != 3:
            raise ArgumentError(
                f"type {number} of a generalised model hangs on each fit's covariance matrix: take "
                "type=3, or `compare` with the model without the term."
            )
        of_fits = [_own_hypotheses(fit, terms) for fit in fits]
    else:
        of_fits = [_lmertest_hypotheses(fit, terms, number) for fit in fits]
    first = of_fits[0]
    for fit, hypotheses in zip(fits, of_fits, strict=True):
        for term, matrix in first.items():
            other = hypotheses.get(term)
            if other is None or not _same(matrix, other):
                hint = (
                    "" if number == 3 else ", and those of type=3 do not, where all cells have rows"
                )
                raise PoolingError(
                    f"the hypotheses of type {number} about {term} are others in imputation "
                    f"{fit.imputation} than in imputation {fits[0].imputation}: they hang on the "
                    f"data{hint}. Or use `compare` with the model without the term, or `test` with "
                    "hypotheses of your own."
                )
    return first


def _same(a: Floats, b: Floats) -> bool:
    return a.shape == b.shape and bool(
        np.all(np.abs(a - b) <= _SAME * np.abs(a).max(axis=1, keepdims=True, initial=0))
    )


def _lmertest_hypotheses(fit: FittedModel, terms: Sequence[str], number: int) -> dict[str, Floats]:
    answer = ask(fit, "term_hypotheses", number) or {}
    order = [list(fit.beta.index).index(x) for x in terms]
    return {
        str(term): np.asarray(matrix, dtype=np.float64).reshape(-1, len(terms))[:, order]
        for term, matrix in answer.items()
    }


def _own_hypotheses(fit: FittedModel, terms: Sequence[str]) -> dict[str, Floats]:
    structure = _Structure.of(fit)
    names = list(fit.beta.index)
    unit = np.eye(len(terms))
    return {
        term: unit[[list(terms).index(names[i]) for i in structure.columns[term]]]
        for term in structure.terms
    }


def _independent_rows(matrix: Floats, size: Floats) -> Floats:
    """Rows that say the same, and don't follow from each other; in units of standard errors."""
    if len(matrix) == 0:
        return matrix
    scaled = matrix * size
    _, values, right = np.linalg.svd(scaled, full_matrices=False)
    rank = int(np.sum(values > _RANK * values[0])) if values[0] > 0 else 0
    return matrix if rank == len(matrix) else np.asarray(right[:rank] / size)
