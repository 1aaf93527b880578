"""`fits.mertools` against merTools itself, on the same data, in a separate Rscript."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.base.glossary import GLOSSARY
from rbridge_mi.fits.answers import Answers
from rbridge_mi.mertools import MerToolsTables
from rbridge_mi.testing.ordering import steady_rscript
from tests.conftest import VIGNETTE

pytestmark = [pytest.mark.r, pytest.mark.slow]

HERE = Path(__file__).resolve().parents[1]
VERSION = "0.5.2"

# Sums are taken as R takes them (extended precision, two passes) and the rest is a handful of
# operations on doubles, so that only last bits could differ, where a compiler fuses two of them.
RTOL = 1e-12


def lme4_data(name: str) -> pd.DataFrame:
    return rdoor.call("base::getExportedValue", "lme4", name).value


def imputed(frame: pd.DataFrame, column: str, m: int, seed: int, noise: float) -> rb.ImputedData:
    """A tenth of the column is missing; m times it is filled in with its values plus noise."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(frame), len(frame) // 10, replace=False)
    holes, frames = frame.copy(), []
    holes.loc[rows, column] = np.nan
    for _ in range(m):
        filled = frame.copy()
        filled.loc[rows, column] += rng.normal(0, noise, len(rows))
        frames.append(filled)
    return rb.ImputedData.from_frames(frames, original=holes)


def no_intercept_variance() -> rb.ImputedData:
    """Groups that differ in their slope only: one fit has an intercept variance of zero."""
    rng = np.random.default_rng(9)
    g, x = np.repeat(np.arange(12), 8), np.tile(np.arange(8.0), 12) - 3.5
    y = 3 + x * (1 + rng.normal(0, 0.5, 12)[g]) + rng.normal(0, 3, 96)
    frame = pd.DataFrame({"g": [f"g{i:02d}" for i in g], "x": x, "y": y})
    return imputed(frame, "y", 3, 6, 2.0)


def one_collinear() -> rb.ImputedData:
    """The second data set has z = Days: lme4 drops Days there, as the later column."""
    sleep = lme4_data("sleepstudy")
    rng = np.random.default_rng(8)
    frames = [sleep.assign(z=rng.normal(size=len(sleep))) for _ in range(3)]
    frames[1]["z"] = frames[1]["Days"]
    return rb.ImputedData.from_frames(frames, original=frames[0])


def lost_level() -> rb.ImputedData:
    """The second data set has no "mid", so a term has one coefficient less there."""
    sleep = lme4_data("sleepstudy")
    sleep["week"] = np.where(sleep["Days"] < 3, "early", np.where(sleep["Days"] < 6, "mid", "late"))
    frames = [sleep, sleep.assign(week=sleep["week"].replace("mid", "late")), sleep]
    return rb.ImputedData.from_frames(frames, original=sleep)


def long_names() -> rb.ImputedData:
    sleep = lme4_data("sleepstudy")
    sleep["days_without_enough_sleep_until_the_test"] = sleep["Days"] * 1000
    sleep["days_squared_and_centred_at_their_mean"] = (sleep["Days"] - 4.5) ** 2
    return imputed(sleep, "Reaction", 3, 9, 20.0)


SLEEP = "Reaction ~ Days + (Days || Subject)"
LONG = (
    "Reaction ~ days_without_enough_sleep_until_the_test + days_squared_and_centred_at_their_mean"
    " + (1 + days_squared_and_centred_at_their_mean + Days | Subject)"
)
CASES: dict[str, tuple[str, bool, Any]] = {
    "hsb": (VIGNETTE, True, None),  # Amelia's data sets, of conftest
    "crossed": (
        "diameter ~ 1 + (1 | plate) + (1 | sample)",
        True,
        lambda: imputed(lme4_data("Penicillin"), "diameter", 4, 1, 1.0),
    ),
    "nested": (
        "strength ~ 1 + (1 | batch/cask)",
        True,
        lambda: imputed(lme4_data("Pastes"), "strength", 4, 2, 1.5),
    ),
    "double bar": (SLEEP, True, lambda: imputed(lme4_data("sleepstudy"), "Reaction", 5, 3, 30.0)),
    "ML": (
        "Reaction ~ Days + (0 + Days | Subject)",
        False,
        lambda: imputed(lme4_data("sleepstudy"), "Reaction", 3, 4, 30.0),
    ),
    "shifted names": (
        "diameter ~ x + (1 | plate) + (0 + x | plate) + (1 | sample)",
        True,
        lambda: imputed(
            lme4_data("Penicillin").assign(x=np.arange(144) % 7 / 3), "diameter", 3, 5, 1.0
        ),
    ),
    "zero variance": ("y ~ x + (1 + x | g)", True, no_intercept_variance),
    "dropped column": ("Reaction ~ z + Days + (1 | Subject)", True, one_collinear),
    "lost level": ("Reaction ~ 1 + (0 + week | Subject)", True, lost_level),
    "long names": (LONG, True, long_names),
    "one": (SLEEP, True, lambda: imputed(lme4_data("sleepstudy"), "Reaction", 1, 7, 30.0)),
    "identical": (
        SLEEP,
        True,
        lambda: rb.ImputedData.from_frames([lme4_data("sleepstudy")] * 2),
    ),
    "named cor_": (
        "Reaction ~ cor_x + (1 + cor_x | Subject)",
        True,
        lambda: imputed(
            lme4_data("sleepstudy").rename(columns={"Days": "cor_x"}), "Reaction", 2, 8, 20.0
        ),
    ),
}


@pytest.fixture(scope="module")
def lists(imp: rb.ImputedData, fits: rb.MerModList) -> dict[str, rb.MerModList]:
    fits_of_case = {}
    for name, (formula, reml, data) in CASES.items():
        fits_of_case[name] = fits if data is None else rb.Lmer(formula, reml=reml).fit(data())
    return fits_of_case


@pytest.fixture(scope="module")
def truth(
    lists: dict[str, rb.MerModList], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """merTools on the same frames and the same fits: one Rscript for all cases."""
    folder = tmp_path_factory.mktemp("fits")
    cases: dict[str, Any] = {}
    for name, (formula, reml, _) in CASES.items():
        files = [str(folder / f"{name}-{i}.rds") for i in range(len(lists[name]))]
        for fit, file in zip(lists[name], files, strict=True):
            fit.r.call("base::saveRDS", file)
        data = list(lists[name].data)
        cases[name] = {"formula": formula, "reml": reml, "data": data, "files": files}
    with steady_rscript() as r:
        version = r.stack(["merTools"])["packages"]["merTools"]
        assert version == VERSION, "these are the numbers of another merTools"
        answers: dict[str, Any] = r.ask("mertools_answers", cases=cases)
    return answers


@pytest.mark.parametrize("case", CASES)
def test_fits_are_those_of_lmer_mod_list(case: str, truth: dict[str, Any]) -> None:
    """The fits on which the tables are compared are those that lmerModList makes itself.

    They are not always equal bit for bit: with crossed factors, CHOLMOD may order equal columns
    differently in another process, so that the optimizer stops elsewhere within its tolerance (a
    relative difference of 5e-11 was measured). That is why merTools is asked about our fits.
    """
    rtol = 1e-8 if case in ("crossed", "shifted names") else 0
    ours, theirs = truth[case]["ours"], truth[case]["theirs"]
    assert len(ours) == len(theirs) > 0
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=0)


def quietly(call: Any) -> Any:
    """Ignore the warning about small variances, which has its own test below."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        return call()


def assert_table(mine: pd.DataFrame, theirs: pd.DataFrame, keys: list[str]) -> None:
    """Rows matched by their keys; R's order too; numbers to RTOL, NaN where R has NaN or NA."""
    theirs = theirs.rename(columns=lambda x: x.replace(".", "_").replace("AIC", "aic"))
    assert set(mine.columns) <= set(GLOSSARY)
    assert list(mine.columns) == list(theirs.columns)
    for key in keys:
        assert [None if pd.isna(x) else x for x in mine[key]] == [
            None if pd.isna(x) else x for x in theirs[key]
        ], key
    numbers = [x for x in mine.columns if x not in keys]
    assert numbers
    for name in numbers:
        a, b = mine[name].to_numpy(np.float64), theirs[name].to_numpy(np.float64)
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=0, err_msg=name)


TABLES = {
    "fixef": ["term"],
    "varcorr": ["grp", "var1", "var2"],
    "ranef": ["grpvar", "term", "grp"],
    "model_fixed_eff": ["term"],
    "model_rand_eff_stats": ["term", "group"],
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("case", CASES)
def test_table(
    case: str, table: str, lists: dict[str, rb.MerModList], truth: dict[str, Any]
) -> None:
    method = getattr(lists[case].mertools, table)
    if truth[case][table] is None:
        with pytest.raises(rb.PoolingError, match="merTools fails here"):
            method()
        return
    mine = quietly(method)
    assert_table(mine, truth[case][table], TABLES[table])


@pytest.mark.parametrize("case", CASES)
def test_model_info(case: str, lists: dict[str, rb.MerModList], truth: dict[str, Any]) -> None:
    mine = lists[case].mertools.model_info()
    assert list(mine["imputation"]) == list(range(1, len(lists[case]) + 1))
    assert_table(mine.drop(columns="imputation"), truth[case]["model_info"], [])


PRINTED: dict[str, tuple[str, dict[str, Any]]] = {
    "summary": ("summary", {}),
    "summary_5": ("summary", {"digits": 5}),
    "fastdisp": ("fastdisp", {}),
    "fastdisp_4": ("fastdisp", {"digits": 4}),
    "fastdisp_detail": ("fastdisp", {"detail": True}),
}


@pytest.mark.parametrize("printed", PRINTED)
@pytest.mark.parametrize("case", CASES)
def test_printed(
    case: str, printed: str, lists: dict[str, rb.MerModList], truth: dict[str, Any]
) -> None:
    method, arguments = PRINTED[printed]
    theirs = list(truth[case][printed])
    if theirs[0].startswith("Error: "):
        with pytest.raises(rb.PoolingError, match=r"merTools.* fails here"):
            quietly(lambda: getattr(lists[case].mertools, method)(**arguments))
        return
    mine = quietly(lambda: getattr(lists[case].mertools, method)(**arguments))
    assert str(mine).split("\n") == theirs


@pytest.mark.parametrize("case", CASES)
def test_warns_where_mertools_does(
    case: str, lists: dict[str, rb.MerModList], truth: dict[str, Any]
) -> None:
    (warned,) = truth[case]["warned"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lists[case].mertools.model_fixed_eff()
    assert [x.category for x in caught] == ([rb.RBridgeWarning] if warned else [])
    assert all(x.filename == __file__ for x in caught)


def test_errors_are_where_mertools_has_them(truth: dict[str, Any]) -> None:
    """merTools stops in these cases; the tests above would pass as well if it stopped nowhere."""
    stops = {
        (case, what)
        for case, answers in truth.items()
        for what in [*TABLES, *PRINTED]
        if answers[what] is None or str(answers[what][0] if what in PRINTED else "")[:6] == "Error:"
    }
    assert stops == {
        ("lost level", "varcorr"),
        ("lost level", "summary"),
        ("lost level", "summary_5"),
        ("named cor_", "fastdisp"),
        ("named cor_", "fastdisp_4"),
        ("named cor_", "fastdisp_detail"),
    }


def test_cases_show_the_mistakes(truth: dict[str, Any]) -> None:
    """Each case shows the mistake for which it was chosen."""
    assert truth["zero variance"]["varcorr"]["sdcor"].isna().any()
    assert truth["one"]["model_fixed_eff"]["df"].isna().all()
    assert np.isinf(truth["identical"]["model_fixed_eff"]["df"]).all()
    for case, named in (("double bar", ["Subject"]), ("shifted names", ["plate", "sample"])):
        grp = truth[case]["varcorr"]["grp"]
        assert list(grp[:-1]) == named
        assert pd.isna(grp.iloc[-1])
    crossed = truth["crossed"]["ranef"].set_index("grpvar")["condval"]
    assert list(crossed["plate"]) == list(crossed["sample"])
    assert len(truth["dropped column"]["model_fixed_eff"]) == 3
    assert {bool(x["warned"][0]) for x in truth.values()} == {True, False}


# -- without merTools, and without R ------------------------------------------------------------


class NoR:
    """A fit's R object where there is no R."""

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        raise rb.RNotFoundError("no R here")


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    path = HERE / "oracle" / "data" / "vignette_printed.json"
    tables: dict[str, Any] = json.loads(path.read_text())
    return tables


@pytest.fixture(scope="module")
def vignette(printed: dict[str, Any], fit: rb.MerMod) -> MerToolsTables:
    """Fits that hold only what the vignette prints about each imputation."""
    fits = []
    for i, part in enumerate(printed["imputations"], start=1):
        terms, sd = list(part["fixef"]), part["sd"]
        varcorr = pd.DataFrame(
            [
                ("schid", "(Intercept)", None, sd["(Intercept)"]),
                ("schid", "ses", None, sd["ses"]),
                ("schid", "(Intercept)", "ses", part["cor"]),
                ("Residual", None, None, sd["Residual"]),
            ],
            columns=["grp", "var1", "var2", "sdcor"],
        ).assign(vcov=np.nan)
        se = np.array(list(part["std_error"].values()))
        info = part["model_info"]
        known = {
            "mermod_core": {
                "formula": [VIGNETTE],
                "terms": terms,
                "beta": np.array(list(part["fixef"].values())),
                "nobs": [info["n_obs"]],
                "aic": [info["aic"]],
                "sigma": [info["sigma"]],
                "n_flist": [1],
                "group_names": ["schid"],
                "group_counts": [160],
                "reml": [True],
            },
            "mermod_varcorr": varcorr[["grp", "var1", "var2", "vcov", "sdcor"]],
            "mermod_vcov": {"terms": terms, "vcov": np.diag(se**2)},
        }
        fits.append(replace(fit, imputation=i, answers=Answers(NoR(), known)))
    return MerToolsTables(fits)


# Half a unit of the last digit that the vignette prints of each imputation.
HALF = {"fixef": 5e-7, "std_error": 5e-5, "sd": 5e-5, "cor": 5e-3}


def test_vignette_fixed_effects(vignette: MerToolsTables, printed: dict[str, Any]) -> None:
    """Its modelFixedEff, within what the rounding of its inputs (and of itself) allows."""
    mine = vignette.model_fixed_eff().set_index("term")
    theirs = pd.DataFrame(printed["model_fixed_eff"]).T
    assert list(mine.index) == list(theirs.index)
    assert sorted(mine.columns) == sorted(theirs.columns)
    q = pd.DataFrame([x["fixef"] for x in printed["imputations"]])[list(mine.index)]
    between = 1.2 * q.var(ddof=0)
    # d(mean of squared deviations) is at most twice the mean deviation times d(q).
    d_between = 1.2 * 2 * (q - q.mean()).abs().mean() * 2 * HALF["fixef"]
    d_std_error = HALF["std_error"] + d_between
    within = mine["std_error"] - between
    bounds = {
        "estimate": 2 * HALF["fixef"] + 0 * within,
        "std_error": d_std_error + 5e-8,
        "statistic": mine["statistic"].abs() * d_std_error / mine["std_error"] + 5e-7,
        # df is nearly 4 (within / between)^2; second-order terms are covered by the factor 1.05.
        "df": 1.05 * 2 * mine["df"] * (HALF["std_error"] / within + d_between / between) + 5e-3,
    }
    for name, bound in bounds.items():
        assert ((mine[name] - theirs[name]).abs() <= bound).all(), name
    # The bounds are narrow enough to exclude Rubin's rule, which gives 0.1770 for the intercept.
    assert abs(mine.loc["(Intercept)", "std_error"] - 0.1770) > 10 * bounds["std_error"].iloc[0]


def test_vignette_random_effects(vignette: MerToolsTables, printed: dict[str, Any]) -> None:
    mine = vignette.model_rand_eff_stats()
    theirs = pd.DataFrame(printed["model_rand_eff_stats"])
    # The vignette was made with broom: sd_(Intercept).schid for broom.mixed's sd__(Intercept).
    theirs["term"] = [
        term.replace("_", "__", 1).removesuffix(f".{group}")
        for term, group in zip(theirs["term"], theirs["group"], strict=True)
    ]
    assert list(mine.columns) == list(theirs.columns)
    assert mine[["term", "group"]].equals(theirs[["term", "group"]].astype(mine["term"].dtype))
    half = np.where(mine["term"].str.startswith("cor"), HALF["cor"], HALF["sd"])
    assert ((mine["estimate"] - theirs["estimate"]).abs() <= half + 5e-8).all()
    # An SD of m numbers moves by at most sqrt(m / (m - 1)) times what each of them does.
    spread = (mine["std_error"] - theirs["std_error"]).abs()
    assert (spread <= math.sqrt(5 / 4) * half + 5e-8).all()


def test_vignette_other_tables(vignette: MerToolsTables, printed: dict[str, Any]) -> None:
    fixef = vignette.fixef().set_index("term")["estimate"]
    theirs = pd.Series(printed["fixef_list"])
    assert list(fixef.index) == list(theirs.index)
    assert (fixef - theirs).abs().max() <= 2 * HALF["fixef"]
    varcorr = vignette.varcorr()
    sd, cor = varcorr[varcorr["var2"].isna()], varcorr[varcorr["var2"].notna()]
    assert list(varcorr["grp"]) == ["schid"] * 3
    assert list(cor["var1"]) == ["(Intercept)"]
    assert list(cor["var2"]) == ["ses"]
    expected = pd.Series(printed["varcorr_list"]["stddev"])
    assert list(sd["var1"]) == list(expected.index)
    assert np.abs(sd["sdcor"].to_numpy() - expected.to_numpy()).max() <= HALF["sd"] + 5e-8
    assert abs(cor["sdcor"].item() - printed["varcorr_list"]["correlation"]) <= HALF["cor"]
    info = vignette.model_info()
    for i, part in enumerate(printed["imputations"]):
        assert dict(info.loc[i]) == {"imputation": i + 1, **part["model_info"]}


def test_vignette_printed_without_r(vignette: MerToolsTables) -> None:
    text = str(vignette.fastdisp())
    assert "Days" not in text
    assert text.endswith("number of obs: 7185, groups: schid, 160\nAIC = 46331.1---")
    assert "ses         0.65     -0.61" in text  # mean SD, but the first fit's correlation
    assert "Residual Error = 5.970 " in str(vignette.summary()).split("\n")


def test_a_failed_fit_leaves_no_list(fits: rb.MerModList) -> None:
    broken = replace(fits, fits=fits.fits[:1] + fits.fits[2:], failed={2: rb.FitError("no")})
    with pytest.raises(rb.PoolingError, match="imputation 2 could not be fitted"):
        _ = broken.mertools
    assert len(broken[:].mertools.model_info()) == 4
    with pytest.raises(rb.PoolingError, match="no fits"):
        _ = fits[5:].mertools


def test_repr(fits: rb.MerModList) -> None:
    assert repr(fits.mertools).startswith("<MerToolsTables: 5 fits of mathach ~ ")
