"""The main job against a user's own Rscript: bit for bit; its pooled table against mice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

from . import rscript


@pytest.fixture(scope="module")
def theirs(holes: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("vignette")
    rscript.write_frame(holes, folder / "holes.csv")
    return rscript.run("vignette.R", folder)


def assert_fit(mine: rb.MerMod, theirs: dict[str, Any]) -> int:
    bits, count = rscript.assert_bits, 0
    assert list(mine.fixef()["term"]) == theirs["terms"]
    vcov = mine.vcov()
    assert list(vcov.index) == list(vcov.columns) == theirs["terms"]
    varcorr, ranef, coef = mine.varcorr(), mine.ranef(), mine.coef()
    for column, texts in (("grp", "vc_grp"), ("var1", "vc_var1"), ("var2", "vc_var2")):
        assert [None if pd.isna(x) else x for x in varcorr[column]] == theirs[texts]
    assert list(ranef["term"]) == theirs["re_term"]
    assert list(ranef["grp"]) == theirs["re_grp"]
    for what, values, expected in (
        ("fixef", mine.fixef()["estimate"], "fixef"),
        ("vcov", vcov.to_numpy().ravel(order="F"), "vcov"),
        ("theta", mine.theta, "theta"),
        ("sigma", [mine.sigma], "sigma"),
        ("log_lik", [mine.log_lik], "log_lik"),
        ("aic", [mine.aic], "aic"),
        ("bic", [mine.bic], "bic"),
        ("criterion", [mine.criterion], "criterion"),
        ("varcorr.vcov", varcorr["vcov"], "vc_vcov"),
        ("varcorr.sdcor", varcorr["sdcor"], "vc_sdcor"),
        ("ranef.condval", ranef["condval"], "re_condval"),
        ("ranef.condsd", ranef["condsd"], "re_condsd"),
        ("coef", coef.drop(columns=["grpvar", "grp"]).to_numpy().ravel(order="F"), "coef"),
        ("fitted", mine.fitted(), "fitted"),
        ("residuals", mine.residuals(), "residuals"),
    ):
        count += bits(values, theirs[expected], what)
    assert mine.summary().split("\n") == theirs["summary"]
    assert str(mine).split("\n") == theirs["printed"]
    return count


def test_listwise_fit_has_rs_bits(fit: rb.MerMod, theirs: dict[str, Any]) -> None:
    assert assert_fit(fit, theirs["listwise"]) > 10_000


def test_every_imputed_cell_has_rs_bits(
    imp: rb.ImputedData, holes: pd.DataFrame, theirs: dict[str, Any]
) -> None:
    assert len(imp) == len(theirs["imputations"]) == 5
    for i, (frame, columns) in enumerate(zip(imp, theirs["imputations"], strict=True)):
        assert list(frame.columns) == ["schid", *columns]
        for name, values in columns.items():
            rscript.assert_bits(frame[name], values, f"imputation {i + 1}, {name}")
        assert frame["schid"].equals(holes["schid"])


@pytest.mark.parametrize("i", range(5))
def test_fit_to_imputation_has_rs_bits(i: int, fits: rb.MerModList, theirs: dict[str, Any]) -> None:
    assert fits[i].imputation == i + 1
    assert assert_fit(fits[i], theirs["fits"][i]) > 10_000


def test_pooled_table_is_mices(fits: rb.MerModList, theirs: dict[str, Any]) -> None:
    mine = fits.pool().fixed.set_index("term")
    pool = theirs["pool"]
    assert list(mine.index) == pool["term"]
    for name in ("estimate", "ubar", "b", "t", "df", "riv", "lambda", "fmi"):
        expected = rscript.doubles(pool[name])
        found = mine[{"lambda": "lambda_"}.get(name, name)]
        # The same 64-bit inputs summed in another order: a few units in the last place.
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0, err_msg=name)
