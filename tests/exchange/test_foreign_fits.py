"""Fits that R saved without their data: what needs these is as in R, where they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb

from .conftest import run_r

pytestmark = pytest.mark.r

INSISTS: Any = "despite CVE-2024-27322"
LINEAR = [
    "plain", "chick", "log", "poly", "scale", "weights", "offset", "offset_argument", "subset",
    "rows", "omitted", "excluded", "named", "control", "sums",
]  # fmt: skip
GENERALISED = ["counts", "share", "poisson"]
Told = dict[tuple[str, str], dict[str, float]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("foreign")


@pytest.fixture(scope="module")
def told(folder: Path) -> Told:
    answers: Told = {}
    for line in run_r(Path(__file__).with_name("foreign_fits.R"), folder).splitlines():
        fit, what, term, value = line.split(";")
        answers.setdefault((fit, what), {})[term] = float.fromhex(value)
    return answers


def compare(table: pd.DataFrame, columns: dict[str, str], told: Told, fit: str) -> None:
    """Compare a table, whose first column names the rows, with what R said."""
    rows = table.set_index(table.columns[0])
    for column, what in columns.items():
        expected = told[fit, what]
        assert [str(x) for x in rows.index] == list(expected), (fit, what)
        # The same computation, but for x of log(x) and the like, which is within some last bits;
        # lmerTest's derivatives by differences make 1e-7 of these.
        np.testing.assert_allclose(
            rows[column], list(expected.values()), rtol=2e-6, atol=1e-9, err_msg=f"{fit}: {what}"
        )


def check_fit(fit: rb.MerMod, told: Told, name: str) -> None:
    means = fit.emmeans(["Diet" if name == "chick" else "f"])
    compare(means, {"estimate": "emmeans", "std_error": "emmeans_se"}, told, name)
    if name not in GENERALISED:
        compare(fit.fixed(), {"df": "df", "p_value": "p"}, told, name)
        compare(fit.anova(), {"df2": "anova_df", "p_value": "anova_p"}, told, name)
    by = fit.all_fit().set_index("optimizer")
    for term, value in told[name, "nelder_mead"].items():
        # Two runs of an optimizer that stops within its own tolerance.
        assert by.loc["Nelder_Mead", term] == pytest.approx(value, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", [*LINEAR, *GENERALISED])
def test_the_data_are_in_the_model_frame(told: Told, folder: Path, name: str) -> None:
    check_fit(rb.MerMod.from_r(folder / f"{name}.rds", trust=INSISTS), told, name)


@pytest.mark.parametrize("name", [x for x in LINEAR if x != "chick"] + GENERALISED + ["spline"])
def test_the_data_are_given(told: Told, folder: Path, name: str) -> None:
    data = pd.read_csv(folder / "d.csv")
    if name in ("omitted", "excluded"):
        data.loc[[2, 49, 119], "z"] = np.nan
    fit = rb.MerMod.from_r(folder / f"{name}.rds", trust=INSISTS, data=data)
    check_fit(fit, told, name)
    again = rb.MerMod.from_r(fit.to_r(folder / "again.rds"), trust=INSISTS)
    assert again == fit
    check_fit(again, told, name)


def test_what_cant_be_recovered_is_named(told: Told, folder: Path) -> None:
    fit = rb.MerMod.from_r(folder / "spline.rds", trust=INSISTS)
    assert len(fit.beta) == 6
    assert fit.r2().loc[0, "var_residual"] == pytest.approx(fit.sigma**2)
    stored = rb.MerMod.from_r(fit.to_r(folder / "again.rds"), trust=INSISTS)
    problem = r"'splines::ns\(x, 3\)', from which 'x'.*data="
    for one in (fit, stored):
        for ask in ("fixed", "anova", "all_fit"):
            with pytest.raises(rb.RBridgeError, match=problem):
                getattr(one, ask)()
        with pytest.raises(rb.RBridgeError, match=problem):
            one.emmeans(["f"])
    data = pd.read_csv(folder / "d.csv")
    rows = data.head(3)
    given = rb.MerMod.from_r(folder / "spline.rds", trust=INSISTS, data=data)
    assert fit.predict(rows).tolist() == given.predict(rows).tolist()


def test_other_data_are_refused(told: Told, folder: Path) -> None:
    data = pd.read_csv(folder / "d.csv")

    def read(data: Any) -> rb.MerMod:
        return rb.MerMod.from_r(folder / "plain.rds", trust=INSISTS, data=data)

    with pytest.raises(rb.ArgumentError, match=r"column 'y' differs in 160 of 160 rows"):
        read(data.assign(y=data["y"] + 1))
    changed = data.assign(x=data["x"].where(data.index != 6, 0.0))
    with pytest.raises(rb.ArgumentError, match=r"column 'x' differs in 1 of 160 rows.* 7"):
        read(changed)
    with pytest.raises(rb.ArgumentError, match="no column 'f'"):
        read(data.drop(columns="f"))
    with pytest.raises(rb.ArgumentError, match="45 rows, and the fit has 160"):
        read(data.head(45))
    with pytest.raises(rb.ArgumentError, match="DataFrame, not str"):
        read("d.csv")
    # Rows are found by the labels that R has for them, wherever they are.
    shuffled = data.set_index(np.arange(1, 161)).sample(frac=1, random_state=1)
    assert read(shuffled).fixed().equals(read(data).fixed())


LISTS = """
set.seed(5)
suppressPackageStartupMessages(library(lme4))
d <- data.frame(x = rnorm(60), g = rep(letters[1:12], each = 5))
d$y <- d$x + rep(rnorm(12), each = 5) + rnorm(60)
other <- transform(d, x = x + rnorm(60) / 9)
saveRDS(lapply(list(d, other), function(d) lmer(y ~ x + (1 | g), d)), commandArgs(TRUE)[1])
saveRDS(list(lmer(y ~ x + (1 | g), d)), commandArgs(TRUE)[2])
for (x in list(d, other)) cat(sprintf("%a", c(x$x, x$y)), sep = "\n")
"""


def test_the_data_of_several_fits(tmp_path: Path) -> None:
    (tmp_path / "x.R").write_text(LISTS)
    lines = run_r(tmp_path / "x.R", tmp_path / "two.rds", tmp_path / "one.rds").split()
    x1, y, x2, _ = np.array([float.fromhex(x) for x in lines]).reshape(4, 60)
    frame = pd.DataFrame({"x": x1, "g": np.repeat(list("abcdefghijkl"), 5), "y": y})
    frames = [frame, frame.assign(x=x2)]

    def read(frames: list[pd.DataFrame]) -> rb.MerModList:
        data = rb.ImputedData.from_frames(frames)
        return rb.MerModList.from_r(tmp_path / "two.rds", trust=INSISTS, data=data)

    fits = read(frames)
    ours = rb.Lmer("y ~ x + (1 | g)").fit(rb.ImputedData.from_frames(frames))
    assert fits == ours
    without = rb.MerModList.from_r(tmp_path / "two.rds", trust=INSISTS)
    for one in (fits, without):
        assert one.pool(dfcom="satterthwaite").fixed.equals(ours.pool(dfcom="satterthwaite").fixed)
    with pytest.raises(rb.ArgumentError, match=r"imputation 2: .*column 'x' differs in 60 of 60"):
        read([frame, frame.assign(x=x1)])
    with pytest.raises(rb.ArgumentError, match=r"imputation 1: .*column 'y' differs in 60 of 60"):
        read([x.assign(y=x["y"] + 1) for x in frames])
    with pytest.raises(rb.ArgumentError, match=r"imputation 1: .*45 rows, and the fit has 60"):
        read([x.head(45) for x in frames])
    with pytest.raises(rb.ArgumentError, match=r"imputation 1: .*no column 'x'"):
        read([x.drop(columns="x").assign(v=x["x"]) for x in frames])
    with pytest.raises(rb.ArgumentError, match=r"of the 2 models .*not of 3"):
        read([*frames, frame])


def test_one_fit_is_not_pooled(tmp_path: Path) -> None:
    (tmp_path / "x.R").write_text(LISTS)
    run_r(tmp_path / "x.R", tmp_path / "two.rds", tmp_path / "one.rds")
    fits = rb.MerModList.from_r(tmp_path / "one.rds", trust=INSISTS)
    text = str(fits)
    assert text.startswith(str(fits[0].summary()))
    assert "There is one fit, and nothing is pooled." in text
    assert "imp1" in text.splitlines()[-1]
    assert "nothing is pooled" in fits._repr_html_()


def test_fits_of_changed_data_are_told_apart(told: Told, folder: Path) -> None:
    # Rows with names, and rows that begin at the 31st, are found in the data by these.
    named = rb.MerMod.from_r(folder / "named.rds", trust=INSISTS)
    assert len(named.anova(rb.MerMod.from_r(folder / "named.rds", trust=INSISTS), refit=False)) == 2
    rows = rb.MerMod.from_r(folder / "rows.rds", trust=INSISTS)
    assert len(rows.anova(rb.MerMod.from_r(folder / "rows.rds", trust=INSISTS), refit=False)) == 2
    with pytest.raises(rb.RBridgeError, match="rows"):
        rows.anova(rb.MerMod.from_r(folder / "plain.rds", trust=INSISTS), refit=False)
