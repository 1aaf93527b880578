"""Compare a fit with R's fit of the same model."""

from __future__ import annotations

from typing import Any

import pandas as pd

from ..inference.mermod import MerMod
from ..rdoor import call
from .answers import fit_answers
from .bits import Missing, compare
from .ordering import steady_rscript
from .values import to_python

__all__ = ["PANDAS_MISSING", "assert_parity", "data_of"]

# These tables are put together by pandas, so a cell that a row lacks is NaN there, not R's NA.
PANDAS_MISSING = frozenset({"tidy", "coef"})


def assert_parity(fit: MerMod, r_code: str, /, *, ulp: int = 0, **frames: Any) -> None:
    """Assert that a fit equals R's, to the last bit: every accessor, and the printed summary.

    Compared are attributes (formula, theta, sigma, criteria, messages ...), fixef, ranef, varcorr,
    vcov, coef, tidy, glance, model_info (these three where R has broom.mixed and merTools), fitted
    values, residuals of every type, the design matrix, and the lines of ``print(fit)`` and
    ``print(summary(fit))``.

    Parameters
    ----------
    fit : MerMod
        A fit to one data set.
    r_code : str
        A user's R script, run in a separate Rscript; its last expression is the fit, by ``lmer()``,
        ``glmer()`` or ``glmer.nb()``.
        The printed summary quotes the call: write it as this library does, with ``data = data``.
    ulp : int
        How far apart doubles may be. State a reason wherever it isn't 0.
    **frames : DataFrame and the like
        R variables of these names. By default ``data`` is the frame that the model was fitted to.

    Raises
    ------
    AssertionError
        Naming every accessor that differs, with its worst cell.
    RCallError
        Where the R code stops.

    See Also
    --------
    run_r : R code with other results than a fit.
    assert_frame_bits_equal : Compares two tables.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> assert_parity(fit, "library(lme4); lmer(mathach ~ ses + (1 | schid), data = data)")
    """
    __tracebackhide__ = True
    frames = frames or {"data": data_of(fit)}
    with steady_rscript() as r:
        r.submit("parity_script", code=r_code, frames=frames)
        mine = fit_answers(fit)
        theirs: dict[str, Any] = to_python(r.result()[0])
    reports = []
    for name, expected in theirs.items():
        missing: Missing = "any" if name in PANDAS_MISSING else "exact"
        comparison = compare(mine[name], expected, ulp=ulp, missing=missing)
        if not comparison.equal:
            reports.append(f"{name}: {comparison.report(('this fit', 'R'))}")
    if reports:
        raise AssertionError("\n".join(reports))


def data_of(fit: MerMod) -> pd.DataFrame:
    """Return the frame that a model was fitted to, as R has it."""
    formula = fit.r.call("stats::formula").value
    environment = call("base::environment", formula).value
    frame: pd.DataFrame = call("base::get", "data", envir=environment).value
    return frame
