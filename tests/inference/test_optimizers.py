"""Every optimizer's fit is that of R's own call with this optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.testing import run_r
from tests.inference.inference_data import imputed

pytestmark = pytest.mark.r

CONTROLS = {
    "bobyqa": 'optimizer = "bobyqa", optCtrl = list(maxfun = 1e5)',
    "Nelder_Mead": 'optimizer = "Nelder_Mead", optCtrl = list(maxfun = 1e5)',
    "nlminbwrap": 'optimizer = "nlminbwrap", optCtrl = list(maxfun = 1e5)',
    "nloptwrap NLOPT_LN_NELDERMEAD": (
        'optimizer = "nloptwrap", optCtrl = list(maxeval = 1e5, algorithm = "NLOPT_LN_NELDERMEAD")'
    ),
    "nloptwrap NLOPT_LN_BOBYQA": (
        'optimizer = "nloptwrap", optCtrl = list(maxeval = 1e5, algorithm = "NLOPT_LN_BOBYQA")'
    ),
}


def in_r(call: str, maker: str, data: pd.DataFrame) -> dict[str, Any]:
    fits = ", ".join(
        f"`{name}` = lme4::{call}, control = lme4::{maker}({control}))"
        for name, control in CONTROLS.items()
    )
    code = f"""
    fits <- list({fits})
    log_lik <- sapply(fits, function(x) as.numeric(logLik(x)))
    beta <- sapply(fits, lme4::fixef)
    sd <- sapply(fits, function(x) as.data.frame(lme4::VarCorr(x))$sdcor)
    """
    return run_r(code, data=data)


@pytest.mark.parametrize(
    ("model", "call", "maker"),
    [
        (
            rb.Lmer("y ~ x1 + x2 + (1 + x1 | g)", reml=False),
            "lmer(y ~ x1 + x2 + (1 + x1 | g), data, REML = FALSE",
            "lmerControl",
        ),
        (
            rb.Glmer("event ~ x1 + (1 | g)", control={"calc.derivs": False}),
            "glmer(event ~ x1 + (1 | g), data, family = binomial",
            "glmerControl",
        ),
    ],
    ids=["lmer", "glmer"],
)
def test_each_row_is_r_with_that_optimizer(model: Any, call: str, maker: str) -> None:
    data = imputed(m=2)[0].assign(event=lambda d: (d["y"] > 1).astype("int64"))
    table = model.fit(data).all_fit().set_index("optimizer")
    theirs = in_r(call, maker, data)
    # In the order of as.data.frame(VarCorr(fit)): standard deviations before correlations.
    sds = [x for x in table.columns if x.startswith("g sd__")]
    sds += [x for x in table.columns if "cor__" in x or x.startswith("Residual")]
    terms = [x for x in table.columns if x in ("(Intercept)", "x1", "x2")]
    for i, name in enumerate(CONTROLS):
        row = table.loc[name]
        # The same bits: the same call on the same data.
        assert row["log_lik"] == np.ravel(theirs["log_lik"])[i], name
        np.testing.assert_array_equal(row[terms].astype(float), np.asarray(theirs["beta"])[:, i])
        expected = np.asarray(theirs["sd"]).reshape(len(sds), -1)[:, i]
        np.testing.assert_array_equal(row[sds].astype(float), expected)
    for name, package in (("nmkbw", "dfoptim"), ("optimx L-BFGS-B", "optimx")):
        row = table.loc[name]
        assert np.isfinite(row["log_lik"]) or row["messages"] == f"needs the R package {package}"


def test_of_several_fits_each_has_its_rows() -> None:
    data = imputed(m=2)
    fits = rb.Lmer("y ~ x1 + (1 | g)").fit(data)
    table = fits.all_fit()
    assert table["imputation"].value_counts().to_dict() == {1: 7, 2: 7}
    second = table[table["imputation"] == 2].drop(columns="imputation").reset_index(drop=True)
    pd.testing.assert_frame_equal(second, fits[1].all_fit())


def test_what_lme4_reports_is_in_the_row_and_a_failure_too() -> None:
    data = imputed(m=2)[0].assign(big=lambda d: d["x1"] * 1e6)
    table = rb.Lmer("y ~ big + (1 | g)").fit(data).all_fit()
    with_fit = table[table["log_lik"].notna()]
    assert len(with_fit) >= 5
    assert with_fit["messages"].str.contains("very different scales").all()
    with pytest.raises(rb.ArgumentError, match="maxfun"):
        rb.Lmer("y ~ x1 + (1 | g)").fit(data).all_fit(maxfun=0)
