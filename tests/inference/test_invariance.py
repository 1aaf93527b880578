"""What must not matter does not: units, order of imputations, rows and levels; and what must, does.

In the pooling functions these hold to the last bits (test_pooling_rubin.py). End to end lme4's
optimizer stands between: it stops within its tolerance (1e-8 of theta, on a scale that depends on a
predictor's units), at a place that the last bits of its input decide. OPTIMIZER is what that leaves
in estimates and standard errors here, with slopes, and with only an intercept (whose deviance
has one parameter) far less.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rbridge_mi as rb
from rbridge_mi import pooling
from tests.inference.inference_data import fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]

OPTIMIZER = 2e-4
TIGHT = {"optCtrl": {"xtol_abs": 1e-12, "xtol_rel": 1e-12, "ftol_abs": 1e-13, "maxeval": 100_000}}
FORMULA = "y ~ x1 + x2 + f + (1 + x1 | g)"
FREE = ("statistic", "df", "p_value", "riv", "lambda_", "fmi")  # of units
SCALED = ("estimate", "std_error", "conf_low", "conf_high")
SQUARED = ("ubar", "b", "t")


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(m=5, prop=0.15)


@pytest.fixture(scope="module")
def base(data: rb.ImputedData) -> rb.PooledMerMod:
    return fitted(FORMULA, data, control=TIGHT).pool()


def assert_same(a: rb.PooledMerMod, b: rb.PooledMerMod, rtol: float) -> None:
    """Every pooled table, matched by name."""
    x, y = a.fixed.set_index("term"), b.fixed.set_index("term")
    assert set(x.index) == set(y.index)
    for name in x.columns:
        close(x[name], y.loc[x.index, name], rtol)
    close(a.vcov, b.vcov.loc[a.vcov.index, a.vcov.columns], rtol, atol=rtol)
    keys = ["grp", "var1", "var2"]
    u, v = a.varcorr.set_index(keys), b.varcorr.set_index(keys)
    close(u, v.loc[u.index], rtol)
    keys = ["grpvar", "term", "grp"]
    u, v = a.ranef.set_index(keys), b.ranef.set_index(keys)
    close(u, v.loc[u.index], rtol, atol=rtol)
    close(a.sigma, b.sigma, rtol)
    close(a.icc, b.icc.loc[a.icc.index], rtol)
    keys = ["group", "term"]
    u, v = a.random.set_index(keys), b.random.set_index(keys)
    # The curvature is differentiated numerically, along each optimizer's own last steps; df and
    # fmi go with the spread of the fits' variances.
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    close(u[columns], v.loc[u.index, columns], max(rtol, 1e-5))


def close(a: object, b: object, rtol: float, atol: float = 0.0) -> None:
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=rtol, atol=atol)


# --- the order of things ------------------------------------------------------------------------


def test_order_of_imputations(data: rb.ImputedData, base: rb.PooledMerMod) -> None:
    """Other order, same fits: the same bits."""
    shuffled = rb.ImputedData.from_frames(
        [data[i] for i in (3, 0, 4, 2, 1)], original=data.original
    )
    again = fitted(FORMULA, shuffled, control=TIGHT).pool()
    pd.testing.assert_frame_equal(again.fixed, base.fixed, check_exact=True)
    pd.testing.assert_frame_equal(again.vcov, base.vcov, check_exact=True)
    assert_same(again, base, 1e-14)  # sums of five in another order


def test_order_of_rows(data: rb.ImputedData, base: rb.PooledMerMod) -> None:
    order = np.random.default_rng(1).permutation(len(data[0]))
    shuffled = data.transform(lambda d: d.iloc[order])
    assert_same(fitted(FORMULA, shuffled, control=TIGHT).pool(), base, 1e-6)


def test_order_of_group_levels(data: rb.ImputedData, base: rb.PooledMerMod) -> None:
    """The groups' labels are names: their order, as a category's, changes nothing."""
    backwards = data.transform(
        lambda d: d.assign(g=pd.Categorical(d["g"], categories=sorted(d["g"].unique())[::-1]))
    )
    assert_same(fitted(FORMULA, backwards, control=TIGHT).pool(), base, 1e-6)


def test_order_of_a_factors_levels(data: rb.ImputedData, base: rb.PooledMerMod) -> None:
    """The same levels with the same reference, in another order: the same rows by name."""
    other = data.transform(lambda d: d.assign(f=pd.Categorical(d["f"], categories=["a", "c", "b"])))
    again = fitted(FORMULA, other, control=TIGHT).pool()
    assert again.fixed["term"].tolist() == ["(Intercept)", "x1", "x2", "fc", "fb"]
    assert_same(again, base, 1e-6)


def test_order_of_terms(data: rb.ImputedData, base: rb.PooledMerMod) -> None:
    again = fitted("y ~ f + x2 + x1 + (1 + x1 | g)", data, control=TIGHT).pool()
    assert_same(again, base, 1e-6)


# --- units --------------------------------------------------------------------------------------


def assert_rescaled(
    again: rb.PooledMerMod, base: rb.PooledMerMod, term: str, c: float, rtol: float
) -> None:
    x, y = again.fixed.set_index("term"), base.fixed.set_index("term")
    factor = pd.Series(1.0, index=x.index)
    factor[term] = c
    for name in FREE:
        # A difference of fits that nearly agree: b loses what they share.
        close(x[name], y[name], 50 * rtol if name in ("df", "riv", "lambda_", "fmi") else 10 * rtol)
    for name in SCALED:
        close(x[name] * factor, y[name], rtol, atol=rtol)
    for name in SQUARED:
        close(x[name] * factor**2, y[name], 50 * rtol)


@pytest.mark.parametrize("c", [1e-3, 0.1, 7.0, 1e3])
def test_a_predictor_in_other_units(data: rb.ImputedData, base: rb.PooledMerMod, c: float) -> None:
    """x2 has no random slope: only the fixed part is rescaled, the optimizer's path stays."""
    again = fitted(FORMULA, data.assign(x2=lambda d: d["x2"] * c), control=TIGHT).pool()
    assert_rescaled(again, base, "x2", c, 1e-7)
    # Tests, contrasts, marginal means and predictions in the same units say the same.
    a, b = again.test("x2 = 0, fb = 0"), base.test("x2 = 0, fb = 0")
    close(
        a[["statistic", "df2", "p_value", "riv"]], b[["statistic", "df2", "p_value", "riv"]], 1e-5
    )
    close(again.random["conf_low"], base.random["conf_low"], 1e-4)
    close(again.r2, base.r2, 1e-6)


@pytest.mark.parametrize("c", [0.5, 4.0])
def test_a_predictor_with_random_slopes_in_other_units(
    data: rb.ImputedData, base: rb.PooledMerMod, c: float
) -> None:
    """Theta is rescaled too, so that the optimizer walks another path and stops elsewhere."""
    again = fitted(FORMULA, data.assign(x1=lambda d: d["x1"] * c), control=TIGHT).pool()
    assert_rescaled(again, base, "x1", c, OPTIMIZER)
    a, b = (x.random.set_index("term") for x in (again, base))
    close(a.loc["sd__x1", "estimate"] * c, b.loc["sd__x1", "estimate"], OPTIMIZER)
    close(a.loc["sd__x1", "conf_low"] * c, b.loc["sd__x1", "conf_low"], 10 * OPTIMIZER)
    close(a.loc["cor__(Intercept).x1", "conf_low"], b.loc["cor__(Intercept).x1", "conf_low"], 1e-2)


@pytest.mark.filterwarnings("ignore:merTools asks here")
def test_mertools_rule_depends_on_units(data: rb.ImputedData) -> None:
    """The reason for all this: the same data in other units have another t there."""
    small, large = (
        fitted(FORMULA, data.assign(x2=lambda d, c=c: d["x2"] * c)).mertools.model_fixed_eff()
        for c in (1e3, 1e-3)
    )
    a, b = (x.set_index("term").loc["x2", "statistic"] for x in (small, large))
    assert abs(a) > 3 * abs(b)


def test_the_response_in_other_units(data: rb.ImputedData, base: rb.PooledMerMod) -> None:
    again = fitted(FORMULA, data.assign(y=lambda d: 10 * d["y"]), control=TIGHT).pool()
    x, y = again.fixed.set_index("term"), base.fixed.set_index("term")
    for name in FREE:
        close(x[name], y[name], 1e-5)
    for name in SCALED:
        close(x[name] / 10, y[name], 1e-6)
    close(again.sigma / 10, base.sigma, 1e-6)
    close(again.icc, base.icc, 1e-6)


def test_another_reference_level(data: rb.ImputedData, base: rb.PooledMerMod) -> None:
    """The same comparison read off another parametrization."""
    other = data.transform(lambda d: d.assign(f=pd.Categorical(d["f"], categories=["b", "a", "c"])))
    again = fitted(FORMULA, other, control=TIGHT).pool()
    a = again.contrast(["fc", "-fa"])
    b = base.contrast(["fc - fb", "fb"])
    for name in pooling.COLUMNS:
        close(a[name], b[name], 1e-5, atol=1e-8)


# --- nothing missing ----------------------------------------------------------------------------


@pytest.mark.parametrize("m", [2, 5])
def test_identical_data_sets(data: rb.ImputedData, m: int) -> None:
    same = rb.ImputedData.from_frames([data[0]] * m, original=data.original)
    fits = fitted(FORMULA, same)
    pooled = fits.pool()
    table, alone = pooled.fixed, fits[0]
    assert (table["fmi"] == 0).all()
    assert (table["b"] == 0).all()
    assert (table["riv"] == 0).all()
    assert table["estimate"].tolist() == alone.beta.tolist()
    assert table["ubar"].tolist() == np.diag(alone.vcov()).tolist()
    assert table["std_error"].tolist() == np.sqrt(np.diag(alone.vcov())).tolist()
    assert pooled.vcov.equals(alone.vcov())
    # The mean of squared SDs, and back by a root: one rounding each.
    close(pooled.varcorr["sdcor"], alone.varcorr()["sdcor"], 1e-14)
    close(pooled.ranef["condval"], alone.ranef()["condval"], 1e-15)
    close(pooled.ranef["condsd"], alone.ranef()["condsd"], 1e-15)
    assert (pooled.random["fmi"] == 0).all()
    assert pooled.test("x1 = x2")["riv"].iloc[0] == 0
    assert math.isinf(fits.pool(dfcom=math.inf).fixed["df"].iloc[0])
    close(fits.r2(), alone.r2(), 1e-15)
    with pytest.warns(rb.RBridgeWarning, match="refitted"):
        lr = rb.compare(fits, fitted("y ~ x1 + x2 + (1 + x1 | g)", same), "D4")
    anova = alone.anova(rb.Lmer("y ~ x1 + x2 + (1 + x1 | g)").fit(data[0]))
    # The stacked fit's optimum, against m times the single one's; D4 divides chi-squared by k.
    assert lr["statistic"].iloc[0] * 2 == pytest.approx(anova["statistic"].iloc[1], rel=1e-4)


# --- in the pooling functions: exactly ----------------------------------------------------------

numbers = st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 3))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(numbers, st.floats(0.01, 10)), min_size=2, max_size=8),
    st.integers(-20, 20),
)
def test_units_are_exact_in_the_pooling_functions(
    fits: list[tuple[float, float]], power: int
) -> None:
    """Units of a power of two lose no bit: t, df, fmi and p are the same to the last one."""
    q, u = np.array([x[0] for x in fits]), np.array([x[1] for x in fits])
    c = 2.0**power
    a = pooling.pool_scalars(q, u, dfcom=50)
    b = pooling.pool_scalars(q / c, u / c**2, dfcom=50)
    for name in FREE:
        assert getattr(a, name) == getattr(b, name), name
    for name in SCALED:
        assert getattr(a, name) == getattr(b, name) * c, name
    for name in SQUARED:
        assert getattr(a, name) == getattr(b, name) * c**2, name
