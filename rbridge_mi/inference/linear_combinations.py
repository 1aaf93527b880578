"""Linear combinations of coefficients, of one fit or of m: tested together, or one by one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_level, check_value
from ..base.glossary import checked
from ..errors import ArgumentError, RBridgeWarning
from ..fits.fitted_model import FittedModel
from ..pooling import PoolingRule, adjusted_level, adjusted_p, joint
from ..pooling.multiplicity import ADJUSTMENTS
from ..pooling.tails import t_critical
from .degrees_of_freedom import adjusted_vcovs, complete_df
from .hypothesis_text import linear_rows

__all__ = [
    "CoefficientSets",
    "CompleteDf",
    "coefficient_table",
    "coefficients",
    "estimate_contrasts",
    "hypothesis_test",
    "joint_test",
    "one_row",
]

Floats = NDArray[np.float64]


class CompleteDf(Protocol):
    """Degrees of freedom that complete data would leave, for each row of a matrix."""

    def __call__(self, matrix: Floats, *, joint: bool = False) -> float | Floats:
        """Return one number where it is the same for every row, or all are tested together."""


@dataclass(frozen=True, eq=False)
class CoefficientSets:
    """m sets of estimates of the same coefficients: what is asked of fits, and of any estimates.

    Attributes
    ----------
    terms : sequence of str
        Names of the p coefficients.
    estimates : ndarray of shape (m, p)
        Of each set.
    vcovs : ndarray of shape (m, p, p)
        Sampling covariance matrices of each set.
    complete_df : callable
        Degrees of freedom that complete data would leave; see `CompleteDf`.
    covariances_known : bool
        False where only the variances are known: what lies off the diagonal has no meaning then.
    """

    terms: Sequence[str]
    estimates: Floats
    vcovs: Floats
    complete_df: CompleteDf
    covariances_known: bool = True

    @classmethod
    def of_fits(
        cls, fits: Sequence[FittedModel], terms: Sequence[str], dfcom: Any, vcov: str = "model"
    ) -> CoefficientSets:
        """Collect those of fits; see `complete_df` for `dfcom`, and `coefficients` for `vcov`."""
        return cls(terms, *coefficients(fits, terms, vcov), partial(complete_df, dfcom, fits))

    @property
    def variances(self) -> Floats:
        """Each set's squared standard errors, of shape (m, p)."""
        return np.diagonal(self.vcovs, axis1=1, axis2=2)

    def check_covariances(self, matrix: Floats, *, joint: bool = False) -> None:
        """Refuse rows that combine terms, or are tested together, if only variances are known.

        Raises
        ------
        ArgumentError
            Naming the terms.
        """
        if self.covariances_known:
            return
        used = matrix != 0
        for row in used.any(axis=0, keepdims=True) if joint else used:
            terms = [term for term, x in zip(self.terms, row, strict=True) if x]
            if len(terms) > 1:
                raise ArgumentError(
                    f"{', '.join(terms)} are asked about together, which takes the covariances "
                    "between them, and only variances were given: give `covariances` instead."
                )


def coefficients(
    fits: Sequence[FittedModel], terms: Sequence[str], vcov: str = "model"
) -> tuple[Floats, Floats]:
    """Collect the fits' coefficients, by name of term.

    Parameters
    ----------
    fits : sequence of FittedModel
        Of one model.
    terms : sequence of str
        Names of the coefficients, in the wanted order.
    vcov : {"model", "kenward-roger"}
        Their covariance matrices: those of the fits, or Kenward and Roger's, by R's
        ``pbkrtest::vcovAdj``.

    Returns
    -------
    tuple of ndarray
        Estimates, of shape (m, p), and covariance matrices, of shape (m, p, p).

    Raises
    ------
    ArgumentError
        For Kenward and Roger's, where a fit isn't linear, or isn't by REML.
    RPackageError
        Where R lacks pbkrtest.
    """
    names = list(terms)
    estimates = np.array([fit.beta.loc[names].to_numpy() for fit in fits])
    if vcov == "model":
        return estimates, np.array([fit.vcov().loc[names, names].to_numpy() for fit in fits])
    matrices = adjusted_vcovs(fits)
    return estimates, np.array([matrix.loc[names, names].to_numpy() for matrix in matrices])


def joint_test(sets: CoefficientSets, matrix: Floats, right: Floats) -> joint.JointTest:
    """Test by D1 that matrix @ coefficients = right.

    Parameters
    ----------
    sets : CoefficientSets
        The coefficients.
    matrix : ndarray of shape (k, p)
        A row per hypothesis.
    right : ndarray of shape (k,)
        Their right-hand sides.

    Returns
    -------
    JointTest
        Of one set, its own Wald F test.

    Raises
    ------
    ArgumentError
        Where a hypothesis follows from the others, or contradicts them.
    """
    sets.check_covariances(matrix, joint=True)
    q, u = joint.linear_hypothesis(sets.estimates, sets.vcovs, matrix, right)
    complete = sets.complete_df(matrix, joint=len(matrix) > 1)
    return joint.d1(q, u, dfcom=float(np.max(complete)))


def hypothesis_test(
    sets: CoefficientSets, rule: PoolingRule, hypothesis: Any, rhs: Any
) -> pd.DataFrame:
    """Test hypotheses together by D1; see `PooledMerMod.test`."""
    rule.check_joint_test(
        "use `contrast`, whose intervals come from their spread, or impute the data"
    )
    matrix, right, labels = linear_rows(hypothesis, sets.terms, rhs)
    tested = joint_test(sets, matrix, right)
    return one_row(tested, [tested.note], hypothesis="; ".join(labels))


def one_row(
    tested: joint.JointTest, notes: Sequence[str], *, stacklevel: int = 4, **attrs: str
) -> pd.DataFrame:
    """Make a table of one row of a test; notes are warned of, and kept in ``attrs["note"]``.

    Parameters
    ----------
    tested : JointTest
        The test.
    notes : sequence of str
        What had to be done differently; empty texts are left out.
    stacklevel : int
        As in `warnings.warn`, counted from here.
    **attrs : str
        Other attributes of the table.

    Returns
    -------
    DataFrame
        One row: method, statistic, df1, df2, p_value, riv.
    """
    names = ("method", "statistic", "df1", "df2", "p_value", "riv")
    frame = pd.DataFrame({name: [getattr(tested, name)] for name in names})
    note = "; ".join(x for x in notes if x)
    if note:
        warnings.warn(f"{tested.method}: {note}", RBridgeWarning, stacklevel=stacklevel)
    frame.attrs.update(note=note, **attrs)
    return checked(frame, "test")


def estimate_contrasts(
    sets: CoefficientSets,
    rule: PoolingRule,
    conf_level: float,
    contrast: Any,
    rhs: Any,
    adjust: str | None = None,
) -> pd.DataFrame:
    """Estimate linear combinations one by one; see `PooledMerMod.contrast`."""
    check_level(conf_level)
    method = "none" if adjust is None else adjust
    check_value(method, ADJUSTMENTS, "adjust")
    matrix, right, labels = linear_rows(contrast, sets.terms, rhs)
    sets.check_covariances(matrix)
    q = sets.estimates @ matrix.T - right
    u = np.maximum(np.einsum("kp,mpq,kq->mk", matrix, sets.vcovs, matrix), 0)
    complete = sets.complete_df(matrix) if rule.uses_dfcom else math.inf
    pooled = rule.scalars(q, u, dfcom=complete, conf_level=conf_level)
    columns = pooled.columns()
    k = len(labels)
    if k > 1 and method != "none":
        columns["p_value"] = adjusted_p(columns["p_value"], method)
        half = columns["std_error"] * t_critical(
            adjusted_level(conf_level, k, method), columns["df"]
        )
        columns["conf_low"] = columns["estimate"] - half
        columns["conf_high"] = columns["estimate"] + half
    frame = pd.DataFrame({"term": labels, **columns})
    frame.attrs["note"] = _note(method, k)
    return checked(frame, "fixed")


def coefficient_table(sets: CoefficientSets, rule: PoolingRule, conf_level: float) -> pd.DataFrame:
    """Estimate the coefficients themselves, as they were given.

    Parameters
    ----------
    sets : CoefficientSets
    rule : PoolingRule
    conf_level : float

    Returns
    -------
    DataFrame
        The columns of a pooled model's `fixed`, not exponentiated.
    """
    table = estimate_contrasts(sets, rule, conf_level, np.eye(len(sets.terms)), None)
    return table.assign(term=list(sets.terms))


def _note(method: str, k: int) -> str:
    if k < 2:
        return ""
    if method == "none":
        return "p values and intervals are not adjusted for several comparisons"
    intervals = "sidak" if method == "sidak" else "bonferroni"
    return f"p values are adjusted by {method}, intervals by {intervals}, for {k} comparisons"
