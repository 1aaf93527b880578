"""statsmodels' names on our results: what each holds, in its layout, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.formula.api import mixedlm

import rbridge_mi as rb

pytestmark = pytest.mark.r

FORMULA = "mathach ~ ses + meanses + (1 + ses | schid)"
# R's names of theirs: they call a random intercept as its grouping factor.
NAMES = {"Intercept": "(Intercept)", "schid": "(Intercept)"}


@pytest.fixture(scope="module")
def ours(hsb: pd.DataFrame) -> rb.MerMod:
    return rb.Lmer(FORMULA).fit(hsb)


@pytest.fixture(scope="module")
def theirs(hsb: pd.DataFrame) -> Any:
    model = mixedlm("mathach ~ ses + meanses", hsb, groups="schid", re_formula="~ses")
    return model.fit()


@pytest.fixture(scope="module")
def pooled(fits: rb.MerModList) -> rb.PooledMerMod:
    return fits.pool()


def of_theirs(series: pd.Series, terms: pd.Index) -> pd.Series:
    return series.rename(index=NAMES).loc[terms]


@pytest.mark.parametrize("name", ["params", "fe_params", "bse", "tvalues", "pvalues"])
def test_series_by_term_are_laid_out_as_theirs(ours: rb.MerMod, theirs: Any, name: str) -> None:
    mine, other = getattr(ours, name), getattr(theirs, name)
    assert type(mine) is type(other)
    assert (mine.name, mine.dtype) == (other.name, other.dtype)
    fixed = [NAMES.get(x, x) for x in theirs.fe_params.index]
    assert sorted(mine.index) == sorted(fixed)


def test_estimates_agree_with_theirs(ours: rb.MerMod, theirs: Any) -> None:
    # Two optimizers of one REML criterion. statsmodels' standard errors are of the Hessian in all
    # parameters, lme4's are given the variances: with 160 groups they differ by half a per cent.
    terms = ours.params.index
    np.testing.assert_allclose(ours.params, of_theirs(theirs.params, terms), rtol=1e-4)
    np.testing.assert_allclose(ours.bse, of_theirs(theirs.bse_fe, terms), rtol=1e-2)
    assert ours.llf == pytest.approx(theirs.llf, abs=0.01)
    cov = theirs.cov_params().rename(index=NAMES, columns=NAMES).loc[terms, terms]
    np.testing.assert_allclose(ours.cov_params(), cov, rtol=2e-2, atol=1e-4)
    for name in ("fittedvalues", "resid"):
        mine, other = getattr(ours, name), getattr(theirs, name)
        assert mine.index.equals(other.index)
        assert mine.name is None and other.name is None
        np.testing.assert_allclose(mine, other, atol=0.02)


def test_intervals_have_columns_0_and_1(ours: rb.MerMod, theirs: Any) -> None:
    mine, other = ours.conf_int(), theirs.conf_int()
    assert list(mine.columns) == list(other.columns) == [0, 1]
    assert mine.index.equals(ours.params.index)
    # Theirs are normal, ours have 150 or more degrees of freedom: a few per cent wider.
    np.testing.assert_allclose(mine, other.rename(index=NAMES).loc[mine.index], atol=0.05)


def test_random_effects_are_a_dict_of_series(ours: rb.MerMod, theirs: Any) -> None:
    mine, other = ours.random_effects, theirs.random_effects
    assert set(mine) == {str(x) for x in other}
    for level, effects in other.items():
        assert sorted(mine[str(level)].index) == sorted(NAMES.get(x, x) for x in effects.index)
        by_term = of_theirs(effects, mine[str(level)].index)
        np.testing.assert_allclose(mine[str(level)], by_term, atol=0.02)
    table = ours.ranef().set_index(["grp", "term"])["condval"]
    assert all(effects[term] == table[level, term] for level, effects in mine.items()
               for term in effects.index)  # fmt: skip


def test_they_are_the_numbers_of_our_tables(ours: rb.MerMod) -> None:
    table = ours.fixed().set_index("term")
    for name, column in {
        "params": "estimate",
        "bse": "std_error",
        "tvalues": "statistic",
        "pvalues": "p_value",
    }.items():
        assert getattr(ours, name).to_dict() == table[column].to_dict()
    wide = ours.fixed(conf_level=0.99).set_index("term")
    assert ours.conf_int(alpha=0.01)[0].to_dict() == wide["conf_low"].to_dict()
    assert ours.cov_params().equals(ours.vcov())
    assert ours.fittedvalues.to_list() == ours.fitted().to_list()
    assert ours.llf == ours.log_lik


def test_a_generalised_fit_has_response_residuals(hsb: pd.DataFrame) -> None:
    data = hsb.assign(high=(hsb["mathach"] > 18).astype(int))
    fit = rb.Glmer("high ~ ses + (1 | schid)").fit(data)
    np.testing.assert_allclose(fit.resid + fit.fittedvalues, data["high"], atol=1e-12)
    assert fit.pvalues.to_dict() == fit.fixed().set_index("term")["p_value"].to_dict()


def test_what_is_written_changes_nothing(ours: rb.MerMod, pooled: rb.PooledMerMod) -> None:
    for result in (ours, pooled):
        before = result.params.copy()
        params, covariances, intervals = result.params, result.cov_params(), result.conf_int()
        params.iloc[0] = covariances.iloc[0, 0] = intervals.iloc[0, 0] = -1.0
        assert result.params.equals(before)
        assert result.cov_params().iloc[0, 0] > 0
        with pytest.raises(AttributeError):
            result.params = before  # type: ignore[misc]


def test_pooled_ones_are_the_pooled_table(pooled: rb.PooledMerMod, fits: rb.MerModList) -> None:
    table = pooled.fixed.set_index("term")
    assert pooled.params.to_dict() == pooled.fe_params.to_dict() == table["estimate"].to_dict()
    assert pooled.bse.to_dict() == table["std_error"].to_dict()
    assert pooled.tvalues.to_dict() == table["statistic"].to_dict()
    assert pooled.pvalues.to_dict() == table["p_value"].to_dict()
    assert pooled.conf_int()[1].to_dict() == table["conf_high"].to_dict()
    assert pooled.cov_params().equals(pooled.vcov)
    wide = fits.pool(conf_level=0.99).fixed.set_index("term")
    np.testing.assert_allclose(pooled.conf_int(alpha=0.01)[0], wide["conf_low"], rtol=1e-14)
    effects = pooled.ranef.set_index(["grp", "term"])["condval"]
    assert {(g, t): x for g, s in pooled.random_effects.items() for t, x in s.items()} == (
        effects.to_dict()
    )
    assert pooled.fittedvalues.equals(fits.fitted().rename(None))
    assert pooled.resid.equals(fits.residuals().rename(None))


def test_pooled_ratios_keep_the_coefficients(hsb: pd.DataFrame) -> None:
    data = hsb.assign(high=(hsb["mathach"] > 18).astype(int))
    holes = rb.ampute(data, prop=0.05, columns="ses", seed=1)
    imp = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"]).impute(holes, seed=1)
    fits = rb.Glmer("high ~ ses + (1 | schid)").fit(imp)
    plain, ratios = fits.pool(), fits.pool(exponentiate=True)
    assert ratios.fixed["estimate"].tolist() != plain.fixed["estimate"].tolist()
    for name in ("params", "bse", "tvalues", "pvalues"):
        np.testing.assert_allclose(getattr(ratios, name), getattr(plain, name), rtol=1e-13)
    np.testing.assert_allclose(ratios.conf_int(), plain.conf_int(), rtol=1e-12)


def test_a_pooled_model_has_no_likelihood(pooled: rb.PooledMerMod) -> None:
    assert not hasattr(pooled, "llf")
    assert getattr(pooled, "llf", None) is None
    with pytest.raises(rb.NoValueError, match="by_imputation=True") as caught:
        _ = pooled.llf
    assert isinstance(caught.value, AttributeError)


def test_several_grouping_factors_have_no_dict(hsb: pd.DataFrame) -> None:
    fit = rb.Lmer("mathach ~ ses + (1 | schid) + (1 | size)").fit(hsb)
    with pytest.raises(rb.NoValueError, match="'schid', 'size': use ranef"):
        _ = fit.random_effects


def test_bootstrap_samples_have_no_common_rows(hsb: pd.DataFrame) -> None:
    samples = rb.BootstrapImputer(m=3, cluster="schid").impute(hsb, seed=1)
    pooled = rb.Lmer("mathach ~ ses + (1 | schid)").fit(samples).pool()
    for name in ("resid", "fittedvalues"):
        with pytest.raises(rb.NoValueError, match="other rows"):
            getattr(pooled, name)
    assert pooled.bse.to_dict() == pooled.fixed.set_index("term")["std_error"].to_dict()


def test_any_estimators_pooled_estimates(pooled: rb.PooledMerMod) -> None:
    q = [[1.0, 2.0], [1.2, 2.1], [0.9, 1.8]]
    estimates = rb.pool(q, variances=[[0.1, 0.2]] * 3, names=["x", "z"])
    assert estimates.params.to_dict() == {"x": estimates.fixed["estimate"][0], "z": 5.9 / 3}
    np.testing.assert_allclose(
        estimates.conf_int(0.1),
        rb.pool(q, variances=[[0.1, 0.2]] * 3, names=["x", "z"], conf_level=0.9).fixed[
            ["conf_low", "conf_high"]
        ],
        rtol=1e-14,
    )
    assert not hasattr(estimates, "llf")
    for twice in (estimates, pooled):
        with pytest.raises(rb.ArgumentError, match="is pooled already"):
            rb.pool([twice, twice])


@pytest.mark.parametrize("alpha", [0, 1, -0.1, "0.05", None, True, float("nan")])
def test_alpha_is_checked(ours: rb.MerMod, alpha: Any) -> None:
    with pytest.raises(rb.ArgumentError, match="alpha"):
        ours.conf_int(alpha)
