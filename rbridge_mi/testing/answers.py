"""The library's answers about a fit, laid out as ``r/reference/models.R`` lays out lme4's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pandas as pd

from ..errors import RCallError
from ..fits.fitted_model import ResidualType
from ..inference.mermod import MerMod

__all__ = ["answer", "compared", "fit_answers", "intervals", "numbered", "simulated"]


def fit_answers(fit: MerMod) -> dict[str, Any]:
    """Ask a fit for every accessor that needs no argument; R's side is ``model_answers``.

    Parameters
    ----------
    fit : MerMod
        A fit to one data set.

    Returns
    -------
    dict
        Tables, arrays and lines of text, by accessor.
    """
    return {
        "attributes": answer(lambda: _attributes(fit)),
        "fixef": answer(fit.fixef),
        "ranef": answer(fit.ranef),
        "varcorr": answer(fit.varcorr),
        "vcov": answer(lambda: _matrix(fit.vcov())),
        "coef": answer(fit.coef),
        "model_info": answer(fit.model_info),
        "tidy": answer(fit.tidy),
        "glance": answer(fit.glance),
        "fitted": answer(lambda: numbered(fit, fit.fitted())),
        "residuals": answer(lambda: numbered(fit, fit.residuals())),
        "residual_types": answer(lambda: _residual_types(fit)),
        "design": answer(lambda: fit.r.call("lme4::getME", "X").value),
        "summary": answer(lambda: _lines(fit.summary())),
        "print": answer(lambda: _lines(str(fit))),
    }


def answer(ask: Callable[[], Any]) -> Any:
    """Return what `ask` returns; where R stops, a dict of its text, as on the reference's side."""
    try:
        return ask()
    except RCallError as error:
        return {"error": np.array([error.r_message], object)}


def numbered(fit: MerMod, values: pd.Series[Any], index: pd.Index | None = None) -> pd.DataFrame:
    """Turn a Series into rows of R's row number, looked up by the label, and the value."""
    labels = fit.index if index is None else index
    rows = labels.get_indexer(values.index) + 1
    return pd.DataFrame({"row": rows, "value": values.to_numpy()})


def simulated(fit: MerMod, frame: pd.DataFrame) -> pd.DataFrame:
    """Put R's row numbers in front of simulated responses."""
    rows = frame.reset_index(drop=True)
    rows.insert(0, "row", fit.index.get_indexer(frame.index) + 1)
    return rows


def intervals(frame: pd.DataFrame) -> pd.DataFrame:
    """Return confidence intervals unchanged: both sides lay them out alike."""
    return frame


def compared(frame: pd.DataFrame) -> pd.DataFrame:
    """Make the models' formulas the first column of an anova table."""
    return frame.reset_index()


def _attributes(fit: MerMod) -> dict[str, Any]:
    return {
        "formula": _text(fit.formula),
        "reml": np.array([fit.reml]),
        "family": _text(fit.family),
        "link": _text(fit.link),
        "has_scale": np.array([fit.has_scale]),
        "nAGQ": None if fit.nAGQ is None else np.array([fit.nAGQ]),
        "nb_theta": np.array([fit.nb_theta]),
        "nobs": np.array([fit.nobs]),
        "npar": np.array([fit.npar]),
        "df_residual": np.array([fit.df_residual]),
        "ngrps": pd.Series(dict(fit.ngrps)),
        "sigma": np.array([fit.sigma]),
        "theta": fit.theta,
        "log_lik": np.array([fit.log_lik]),
        "aic": np.array([fit.aic]),
        "bic": np.array([fit.bic]),
        "criterion": np.array([fit.criterion]),
        "is_singular": np.array([fit.is_singular]),
        "dropped": _text(*fit.dropped),
        "optimizer": _text(fit.optimizer),
        "optimizer_message": _text(fit.optimizer_message),
        "messages": _text(*fit.messages),
    }


def _residual_types(fit: MerMod) -> pd.DataFrame:
    columns = {x: fit.residuals(type=x) for x in get_args(ResidualType)}
    columns["scaled"] = fit.residuals(type="pearson", scaled=True)
    rows = numbered(fit, columns["response"])[["row"]]
    return rows.assign(**{name: values.to_numpy() for name, values in columns.items()})


def _text(*values: str) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def _lines(text: str) -> np.ndarray[Any, Any]:
    return _text(*text.split("\n"))


def _matrix(frame: pd.DataFrame) -> Any:
    """Return a matrix with its names; without them if it has no rows, as in R."""
    return frame if len(frame) else frame.to_numpy()
