"""Fits that R saved without their data: what is computed from these is what R gives where they are."""

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
    for one in (fit, stored):
        for ask in (
            one.fixed, one.anova, one.all_fit, lambda: one.pvalues, lambda: one.emmeans(["f"]),  # noqa: B023
        ):  # fmt: skip
            with pytest.raises(rb.RBridgeError, match=r"'splines::ns\(x, 3\)', from which 'x'.*data="):
                ask()
    data = pd.read_csv(folder / "d.csv")
    rows = data.head(3)
    given = rb.MerMod.from_r(folder / "spline.rds", trust=INSISTS, data=data)
    assert fit.predict(rows).tolist() == given.predict(rows).tolist()


def test_other_data_are_refused(told: Told, folder: Path) -> None:
    data = pd.read_csv(folder / "d.csv")

    def read(data: Any) -> rb.MerMod:
        return rb.MerMod.from_r(folder / "plain.rds", trust=INSISTS, data=data)

    with pytest.raises(rb.ArgumentError, match="column 'y' differs in 160 of 160 rows"):
        read(data.assign(y=data["y"] + 1))
    changed = data.assign(x=data["x"].where(data.index != 6, 0.0))
    with pytest.raises(rb.ArgumentError, match="column 'x' differs in 1 of 160 rows.* 7"):
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
