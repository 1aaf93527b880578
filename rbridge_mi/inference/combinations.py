"""Linear combinations of pooled coefficients: tested together, or estimated one by one."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.glossary import checked
from ..errors import PoolingError, RBridgeWarning
from ..fits.mermod import MerMod
from ..pooling import joint, rubin
from .complete_df import complete_df
from .hypotheses import linear_rows

__all__ = ["coefficients", "estimate_contrasts", "hypothesis_test", "one_row"]

Floats = NDArray[np.float64]


def coefficients(fits: Sequence[MerMod], terms: Sequence[str]) -> tuple[Floats, Floats]:
    """Estimates (m, p) and covariance matrices (m, p, p), by name of term."""
    names = list(terms)
    estimates = np.array([fit.beta.loc[names].to_numpy() for fit in fits])
    return estimates, np.array([fit.vcov().loc[names, names].to_numpy() for fit in fits])


def hypothesis_test(
    fits: Sequence[MerMod], terms: Sequence[str], kind: str, dfcom: Any, hypothesis: Any, rhs: Any
) -> pd.DataFrame:
    """See `PooledMerMod.test`."""
    if kind == "bootstrap":
        raise PoolingError(
            "D1 joins variances within and between imputations, and bootstrap samples are none: "
            "use `contrast`, whose intervals come from their spread, or impute the data."
        )
    matrix, right, labels = linear_rows(hypothesis, terms, rhs)
    q, u = joint.linear_hypothesis(*coefficients(fits, terms), matrix, right)
    complete = complete_df(dfcom, fits, matrix, joint=len(matrix) > 1)
    tested = joint.d1(q, u, dfcom=float(np.max(complete)))
    return one_row(tested, [tested.note], hypothesis="; ".join(labels))


def one_row(
    tested: joint.JointTest, notes: Sequence[str], *, stacklevel: int = 4, **attrs: str
) -> pd.DataFrame:
    """The test as a table of one row; notes are warned of, and kept in ``attrs["note"]``."""
    names = ("method", "statistic", "df1", "df2", "p_value", "riv")
    frame = pd.DataFrame({name: [getattr(tested, name)] for name in names})
    note = "; ".join(x for x in notes if x)
    if note:
        warnings.warn(f"{tested.method}: {note}", RBridgeWarning, stacklevel=stacklevel)
    frame.attrs.update(note=note, **attrs)
    return checked(frame, "test")


def estimate_contrasts(
    fits: Sequence[MerMod],
    terms: Sequence[str],
    kind: str,
    dfcom: Any,
    conf_level: float,
    contrast: Any,
    rhs: Any,
) -> pd.DataFrame:
    """See `PooledMerMod.contrast`."""
    matrix, right, labels = linear_rows(contrast, terms, rhs)
    estimates, vcovs = coefficients(fits, terms)
    q = estimates @ matrix.T - right
    if kind == "bootstrap":
        pooled = rubin.pool_bootstrap(q, conf_level=conf_level)
    else:
        u = np.einsum("kp,mpq,kq->mk", matrix, vcovs, matrix)
        complete = complete_df(dfcom, fits, matrix)
        pooled = rubin.pool_scalars(q, np.maximum(u, 0), dfcom=complete, conf_level=conf_level)
    frame = pd.DataFrame({"term": labels, **pooled.columns()})
    several = len(labels) > 1
    note = "p values and intervals are not adjusted for several comparisons" if several else ""
    frame.attrs["note"] = note
    return checked(frame, "fixed")
