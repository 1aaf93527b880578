"""Lists of fits: sequence, pooled tables by name, failures, processes, pickles without R."""

from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.base.glossary import TABLES
from tests.conftest import VIGNETTE

pytestmark = pytest.mark.r


def test_sequence(fits: rb.MerModList) -> None:
    assert len(fits) == 5
    assert fits.names == ("imp1", "imp2", "imp3", "imp4", "imp5")
    assert [x.imputation for x in fits] == [1, 2, 3, 4, 5]
    part = fits[1:3]
    assert isinstance(part, rb.MerModList)
    assert part.names == ("imp2", "imp3")
    assert fits["imp4"] is fits[3]
    with pytest.raises(KeyError, match="imp1"):
        fits["imp9"]


def test_pooled_tables_have_the_columns_of_one_fit(fits: rb.MerModList) -> None:
    for name in ("fixef", "ranef", "varcorr", "tidy"):
        pooled = getattr(fits, name)()
        assert list(pooled.columns) == list(TABLES[name])
        assert len(pooled) == len(getattr(fits[0], name)())
        stacked = getattr(fits, name)(by_imputation=True)
        assert list(stacked.columns) == ["imputation", *TABLES[name]]
        assert len(stacked) == sum(len(getattr(x, name)()) for x in fits)
    assert list(fits.coef().columns) == list(fits[0].coef().columns)
    assert len(fits.coef()) == 160
    assert fits.vcov().shape == (5, 5)


def test_model_info_stands_per_imputation(fits: rb.MerModList) -> None:
    info = fits.model_info()
    assert list(info.columns) == ["imputation", *TABLES["model_info"]]
    assert info["aic"].tolist() == [x.aic for x in fits]
    assert fits.glance()["bic"].tolist() == [x.bic for x in fits]


def test_pooled_by_hand(fits: rb.MerModList) -> None:
    """Each pooled table against its definition, written out with pandas."""
    m = len(fits)
    by = fits.fixef(by_imputation=True).groupby("term", sort=False)["estimate"]
    pooled = fits.pool().fixed.set_index("term")
    np.testing.assert_allclose(pooled["estimate"], by.mean(), rtol=1e-14)  # sums of five
    np.testing.assert_allclose(pooled["b"], by.var(ddof=1), rtol=1e-12)
    ubar = np.mean([np.diag(x.vcov()) for x in fits], axis=0)
    np.testing.assert_allclose(pooled["ubar"], ubar, rtol=1e-14)
    np.testing.assert_allclose(np.diag(fits.vcov()), pooled["t"], rtol=1e-13)

    ranef = fits.ranef(by_imputation=True)
    groups = ranef.groupby(["grpvar", "term", "grp"], sort=False)
    total = groups["condsd"].agg(lambda s: (s**2).mean()) + (1 + 1 / m) * groups["condval"].var()
    mine = fits.ranef().set_index(["grpvar", "term", "grp"])
    means = groups["condval"].mean().loc[mine.index]
    np.testing.assert_allclose(mine["condval"], means, atol=1e-14)
    np.testing.assert_allclose(mine["condsd"] ** 2, total.loc[mine.index], rtol=1e-12)

    varcorr = fits.varcorr(by_imputation=True)
    means = varcorr.groupby(["grp", "var1", "var2"], dropna=False, sort=False)["vcov"].mean()
    np.testing.assert_allclose(fits.varcorr()["vcov"], means.to_numpy(), rtol=1e-14)
    sd = fits.varcorr().set_index(["grp", "var1", "var2"])["sdcor"]
    assert sd.iloc[0] == pytest.approx(math.sqrt(means.iloc[0]), rel=1e-15)
    assert sd.iloc[2] == pytest.approx(
        means.iloc[2] / math.sqrt(means.iloc[0] * means.iloc[1]), rel=1e-14
    )
    pool = fits.pool()
    assert pool.sigma == pytest.approx(math.sqrt(np.mean([x.sigma**2 for x in fits])), rel=1e-15)
    assert pool.icc["schid"] == pytest.approx(means.iloc[0] / (means.iloc[0] + means.iloc[3]))
    assert pool.m == 5


def test_dfcom_and_level(fits: rb.MerModList) -> None:
    default, given = fits.pool().fixed, fits.pool(dfcom=7176).fixed
    pd.testing.assert_frame_equal(default, given)
    endless = fits.pool(dfcom=math.inf).fixed
    assert (endless["df"] > default["df"]).all()
    narrow = fits.pool(conf_level=0.5).fixed
    assert (narrow["conf_low"] > default["conf_low"]).all()
    for wrong in (0, -1, "many", True):
        with pytest.raises(rb.ArgumentError, match="dfcom"):
            fits.pool(dfcom=wrong)
    with pytest.raises(rb.ArgumentError, match="conf_level"):
        fits.pool(conf_level=95)


def test_one_fit_is_not_pooled(fits: rb.MerModList) -> None:
    with pytest.raises(rb.ArgumentError, match="at least two fits, not 1"):
        fits[:1].pool()


def test_summary_reads_like_lme4s(fits: rb.MerModList) -> None:
    text = fits.summary()
    for part in (VIGNETTE, "Random effects", "Fixed effects", "Number of obs: 7185", "schid, 160",
                 "Rubin", "imp5: 7185 obs."):  # fmt: skip
        assert part in text
    assert str(fits) == text
    assert fits._repr_html_().startswith("<pre style=")
    assert repr(fits) == f"<MerModList: 5 fits of {VIGNETTE}>"


def test_bootstrap_is_pooled_by_spread(holes: pd.DataFrame) -> None:
    boot = rb.BootstrapImputer(m=4).impute(holes, seed=1)
    fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(boot)
    fixed = fits.pool().fixed.set_index("term")
    by = fits.fixef(by_imputation=True).groupby("term", sort=False)["estimate"]
    np.testing.assert_allclose(fixed["std_error"], by.std(), rtol=1e-12)
    assert fixed[["ubar", "riv", "lambda_", "fmi"]].isna().all(axis=None)
    assert "no imputations" in fits.summary()


def test_processes_give_the_same_bits(fits: rb.MerModList, imp: rb.ImputedData) -> None:
    parallel = rb.Lmer(VIGNETTE).fit(imp, n_jobs=2)
    assert parallel == fits
    for a, b in zip(parallel, fits, strict=True):
        assert a.vcov().to_numpy().tobytes() == b.vcov().to_numpy().tobytes()
        assert a.fitted().to_numpy().tobytes() == b.fitted().to_numpy().tobytes()
    assert parallel[0].predict(imp[0].head(3)).equals(fits[0].predict(imp[0].head(3)))


def broken(imp: rb.ImputedData) -> rb.ImputedData:
    """The second data set has one school only."""
    frames = [x[["mathach", "ses", "schid"]].head(300).copy() for x in imp]
    frames[1]["schid"] = "1224"
    return rb.ImputedData.from_frames(frames)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_failing_fit_is_named_and_the_others_are_kept(imp: rb.ImputedData, n_jobs: int) -> None:
    model, data = rb.Lmer("mathach ~ ses + (1 | schid)"), broken(imp)
    with pytest.raises(rb.FitError, match=r"imputation 2: .*sampled level") as caught:
        model.fit(data, n_jobs=n_jobs)
    error = caught.value
    assert error.imputation == 2
    assert "sampled level" in error.r_message
    assert isinstance(error.fits, rb.MerModList)
    assert error.fits.names == ("imp1", "imp3", "imp4", "imp5")
    with pytest.warns(rb.RWarning, match="imputation 2 was not fitted"):
        kept = model.fit(data, n_jobs=n_jobs, errors="keep")
    assert kept.names == ("imp1", "imp3", "imp4", "imp5")
    assert list(kept.failed) == [2]
    assert "imp2: not fitted" in kept.summary()
    assert kept.pool().m == 4
    with pytest.raises(rb.ArgumentError, match="'raise', 'keep'"):
        model.fit(data, errors="ignore")  # type: ignore[call-overload]


def test_messages_are_tagged_with_their_imputations(imp: rb.ImputedData) -> None:
    data = imp.transform(lambda d: d.assign(noise=np.random.default_rng(1).normal(size=len(d))))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fits = rb.Lmer("noise ~ ses + (1 | schid)").fit(data)
    tagged = [str(x.message) for x in caught if "imputations 1-5: boundary" in str(x.message)]
    assert len(tagged) == 1
    assert fits.convergence()["is_singular"].all()
    assert "singular" in fits.summary()


def test_fits_that_differ_in_terms_are_not_pooled_by_position() -> None:
    g = np.random.default_rng(0)
    columns = {"y": g.normal(size=60), "f": ["a", "b", "c"] * 20, "g": list("uvwxyz") * 10}
    frame = pd.DataFrame(columns)
    other = frame.assign(f=["a", "b"] * 30)
    data = rb.ImputedData.from_frames([frame, other])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = rb.Lmer("y ~ f + (1 | g)").fit(data)
    with pytest.raises(rb.PoolingError, match=r"imputation 2 has other coefficients.*fc"):
        fits.pool()


def test_levels_that_only_some_imputations_have(imp: rb.ImputedData) -> None:
    frames = [x[["mathach", "ses", "schid"]].head(400).copy() for x in list(imp)[:3]]
    for frame in frames[1:]:
        frame.loc[frame["schid"] == "1288", "schid"] = "1224"
    fits = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.ImputedData.from_frames(frames))
    ranef = fits.ranef().set_index("grp")
    alone = fits[0].ranef().set_index("grp").loc["1288"]
    assert ranef.loc["1288", "condval"] == alone["condval"]
    assert ranef.loc["1288", "condsd"] == pytest.approx(alone["condsd"], rel=1e-15)


def test_results_live_where_rpy2_cannot(
    fits: rb.MerModList, fit: rb.MerMod, tmp_path: Path
) -> None:
    (tmp_path / "fits.pickle").write_bytes(pickle.dumps((fit, fits, fits.pool(), fits.data)))
    expected = {
        "fixed": fits.pool().fixed, "ranef": fits.ranef(), "varcorr": fits.varcorr(),
        "coef": fits.coef(), "vcov": fits.vcov(), "info": fits.model_info(), "fixef": fit.fixef(),
    }  # fmt: skip
    (tmp_path / "expected.pickle").write_bytes(pickle.dumps(expected))
    program = f"""
import pathlib, pickle, sys
sys.modules["rpy2"] = None
folder = pathlib.Path({str(tmp_path)!r})
fit, fits, pooled, imp = pickle.loads((folder / "fits.pickle").read_bytes())
expected = pickle.loads((folder / "expected.pickle").read_bytes())
found = dict(fixed=fits.pool().fixed, ranef=fits.ranef(), varcorr=fits.varcorr(), coef=fits.coef(),
             vcov=fits.vcov(), info=fits.model_info(), fixef=fit.fixef())
for name, table in expected.items():
    assert table.equals(found[name]), name
assert pooled.fixed.equals(expected["fixed"])
assert "Rubin" in fits.summary() and fit.summary().startswith("Linear mixed model")
assert len(fit.fitted()) == fit.nobs and imp[0].notna().all(axis=None)
try:
    fit.predict()
except Exception as error:
    assert "RNotFoundError" in type(error).__name__, error
else:
    raise SystemExit("predict ran without rpy2")
"""
    environment = {k: v for k, v in os.environ.items() if k != "R_HOME"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env={**environment, "PATH": "/nonexistent"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_convergence_of_one_fit_is_a_row_of_the_lists(fits: rb.MerModList) -> None:
    rows = pd.concat([fit.convergence() for fit in fits], ignore_index=True)
    pd.testing.assert_frame_equal(fits.convergence().drop(columns="imputation"), rows)
    messages = ["; ".join(fit.messages) for fit in fits]
    assert rows["messages"].tolist() == messages
    assert rows["is_singular"].tolist() == [fit.is_singular for fit in fits]


def test_estimates_are_compared_with_the_pooling_that_the_tables_share(
    fits: rb.MerModList, fit: rb.MerMod
) -> None:
    """At the default level nothing is pooled again, with the same numbers as where it is."""
    assert fits.pooled_by_default is fits.pooled_by_default
    shared = rb.compare_estimates(fit, fits)
    pd.testing.assert_series_equal(
        shared["pooled_conf_low"], fits.pool().fixed["conf_low"], check_names=False
    )
    narrow = rb.compare_estimates(fit, fits, conf_level=0.5)
    assert (narrow["pooled_conf_low"] > shared["pooled_conf_low"]).all()
