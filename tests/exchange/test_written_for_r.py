"""Files for R: read by the real packages, in a separate R process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

from .conftest import run_r

pytestmark = pytest.mark.r

INSISTS: Any = "despite CVE-2024-27322"
MODEL = rb.Lmer("y ~ x + age + (1 | school)")
Told = dict[str, list[tuple[str, float]]]


@pytest.fixture(scope="module")
def imp(r_files: Path) -> rb.ImputedData:
    return rb.read_imputed(r_files / "mids.rds")


@pytest.fixture(scope="module")
def fits(imp: rb.ImputedData) -> rb.MerModList:
    return MODEL.fit(imp)


@pytest.fixture(scope="module")
def told(
    imp: rb.ImputedData, fits: rb.MerModList, tmp_path_factory: pytest.TempPathFactory
) -> Told:
    """What R says, by what it was asked."""
    folder = tmp_path_factory.mktemp("written")
    imp.to_r(folder / "mids.rds")
    imp.to_r(folder / "mitml_list.rds", as_="mitml.list")
    imp.to_r(folder / "amelia.rds", as_="amelia")
    imp.to_r(folder / "list.rds", as_="list")
    fits[0].to_r(folder / "fit.rds")
    fits.to_r(folder / "fits.rds")
    lines = run_r(Path(__file__).with_name("use_files.R"), folder).split("\n")
    answers: Told = {}
    for line in filter(None, lines):
        what, term, value = line.split(";")
        answers.setdefault(what, []).append((term, float.fromhex(value)))
    return answers


@pytest.mark.parametrize("package", ["mice", "mitml", "pool"])
def test_models_fitted_in_r_to_the_data_sets(told: Told, fits: rb.MerModList, package: str) -> None:
    ours = fits.pool().fixed.set_index("term")
    # The fits have the same bits; a mean of three may be added up in another order.
    for term, value in told[package]:
        assert value == pytest.approx(ours.loc[term, "estimate"], rel=1e-13)
    for term, value in told.get(f"{package}_se", []):
        assert value == pytest.approx(ours.loc[term, "std_error"], rel=1e-12)


def test_the_values_are_the_same_bits(told: Told, imp: rb.ImputedData) -> None:
    values = imp[1]["x"].tolist()
    for what in ("long", "amelia", "list"):
        assert [x for _, x in told[what]] == values
    assert [x for _, x in told["transformed"]] == [2 * x for x in imp[0]["x"]]
    missing = imp.original.isna().sum()
    assert told["missing"] == [(name, missing[name]) for name in imp.original.columns]


def test_a_fit_goes_on_living_in_r(told: Told, fits: rb.MerModList, imp: rb.ImputedData) -> None:
    fit = fits[0]
    assert told["fit"] == list(fit.beta.items())
    fewer = rb.Lmer("y ~ x + (1 | school)").fit(imp[0])
    assert told["update"] == list(fewer.beta.items())
    assert [x for _, x in told["predict"]] == fit.fitted().tolist()[:3]


@pytest.mark.parametrize("as_", ["mids", "mitml.list", "amelia", "list"])
def test_what_is_written_is_read_again(imp: rb.ImputedData, tmp_path: Path, as_: Any) -> None:
    path = imp.to_r(tmp_path / "x.rds", as_=as_)
    again = rb.read_imputed(path)
    assert all(a.equals(b) for a, b in zip(again, imp, strict=True))
    if as_ in ("mids", "amelia"):
        assert again == imp
    assert path.read_bytes() == imp.to_r(tmp_path / "y.rds", as_=as_).read_bytes()


def test_row_labels(tmp_path: Path) -> None:
    for index in (["b", "a", "ü"], [7, 3, 9], [2**40, 1, 2]):
        frame = pd.DataFrame({"x": [1.0, None, 3.0], "g": [1, 2, 3]}, index=index)
        imp = rb.ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
        for as_ in ("mids", "amelia", "list", "mitml.list"):
            again = rb.read_imputed(imp.to_r(tmp_path / "x.rds", as_=as_))
            assert [str(x) for x in again[0].index] == [str(x) for x in index]
            assert again[1]["x"].tolist() == [1.0, 6.0, 3.0]


def test_cells_that_differ_where_nothing_was_missing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, None, 3.0], "y": [1.0, 2.0, 4.0]})
    other = [frame.assign(x=[1.0, 5.0, 3.0]), frame.assign(x=[9.0, 6.0, 3.0])]
    imp = rb.ImputedData.from_frames(other, original=frame)
    again = rb.read_imputed(imp.to_r(tmp_path / "x.rds"))
    assert [x["x"].tolist() for x in again] == [[1.0, 5.0, 3.0], [9.0, 6.0, 3.0]]


def test_what_cant_be_written(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x y": [1.0, None, 3.0], "y": [1.0, 2.0, 4.0]})
    imp = rb.ImputedData.from_frames([frame.fillna(5.0), frame.fillna(6.0)], original=frame)
    with pytest.raises(rb.EncodingError, match="column 'x y': mice pastes names"):
        imp.to_r(tmp_path / "x.rds")
    assert rb.read_imputed(imp.to_r(tmp_path / "x.rds", as_="list"))[0].equals(imp[0])
    with pytest.raises(rb.ArgumentError, match=r"as_.*mids"):
        imp.to_r(tmp_path / "x.rds", as_="mice")  # type: ignore[arg-type]
    with pytest.raises(rb.MissingPathError, match="there is no folder"):
        imp.to_r(tmp_path / "no" / "x.rds", as_="list")
    with pytest.raises(rb.ArgumentError, match="is a folder"):
        imp.to_r(tmp_path, as_="list")
    samples = rb.BootstrapImputer(m=2).impute(imp[0], seed=1)
    with pytest.raises(rb.ArgumentError, match="bootstrap samples"):
        samples.to_r(tmp_path / "x.rds")
    assert rb.read_imputed(samples.to_r(tmp_path / "x.rds", as_="list"), "r").m == 2


def test_a_link_is_replaced_and_not_followed(imp: rb.ImputedData, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("mine")
    link = tmp_path / "x.rds"
    link.symlink_to(kept)
    imp.to_r(link, as_="list")
    assert kept.read_text() == "mine"
    assert not link.is_symlink()
    assert sorted(x.name for x in tmp_path.iterdir()) == ["kept", "x.rds"]


# -- fits ------------------------------------------------------------------------------------


def test_fits_that_r_made(r_files: Path) -> None:
    fit = rb.MerMod.from_r(r_files / "fit.rds", trust=INSISTS)
    fits = rb.MerModList.from_r(r_files / "mira_lmer.rds", trust=INSISTS)
    imp = rb.read_imputed(r_files / "mids.rds")
    ours = MODEL.fit(imp)
    # The formula says the same; the data are mice's own there.
    assert ours == fits
    assert fit == fits[1]
    assert fits.names == ("imp1", "imp2", "imp3")
    assert fits.data[2]["x"].tolist() == imp[2]["x"].tolist()
    assert fits.pool().fixed.equals(ours.pool().fixed)
    assert rb.MerModList.from_r(r_files / "fits.rds", trust=INSISTS, data=imp).data == imp
    assert fit.fitted().tolist() == ours[1].fitted().tolist()
    assert fit.index.tolist() == list(range(1, 61))
    assert fit.predict(imp[1].head(3)).tolist() == ours[1].predict(imp[1].head(3)).tolist()
    with pytest.raises(rb.ArgumentError, match="3 models: MerModList"):
        rb.MerMod.from_r(r_files / "fits.rds", trust=INSISTS)
    with pytest.raises(rb.ArgumentError, match="ImputedData of the models"):
        rb.MerModList.from_r(r_files / "fits.rds", trust=INSISTS, data=imp[0])
    with pytest.raises(rb.ArgumentError, match="class lm, and neither"):
        rb.MerMod.from_r(r_files / "lm.rds", trust=INSISTS)
    for read in (rb.MerMod.from_r, rb.MerModList.from_r):
        with pytest.raises(rb.ArgumentError, match="say trust=True"):
            read(r_files / "fit.rds")


ROWS = """
d <- data.frame(y = rnorm(40), x = rnorm(40), g = gl(8, 5), z = rbinom(40, 1, .5))
d$x[c(2, 7)] <- NA
named <- d
row.names(named) <- paste0("row ", 1:40)
control <- lme4::lmerControl(check.conv.singular = "ignore")
saveRDS(list(
  omitted = lme4::lmer(y ~ x + (1 | g), d, control = control),
  excluded = lme4::lmer(y ~ x + (1 | g), d, na.action = na.exclude, control = control),
  named = lme4::lmer(y ~ x + (1 | g), named, control = control),
  named_excluded = lme4::lmer(y ~ x + (1 | g), named, na.action = na.exclude, control = control),
  subset = lme4::lmer(y ~ x + (1 | g), d[11:40, ], control = control),
  tested = lmerTest::lmer(y ~ x + (1 | g), d, control = control)
), commandArgs(TRUE)[1])
"""


def test_the_rows_of_fits_that_r_made(tmp_path: Path) -> None:
    (tmp_path / "x.R").write_text("set.seed(3)\n" + ROWS)
    path = tmp_path / "x.rds"
    run_r(tmp_path / "x.R", path)
    held = rdoor.call_object("base::readRDS", str(path))
    for i in range(1, 7):
        one = tmp_path / "one.rds"
        r = held.call("base::[[", i).value
        rdoor.call("base::saveRDS", r, str(one))
        fit = rb.MerMod.from_r(one, trust=INSISTS)
        values = r.call("stats::fitted").value
        labels = r.call("fit_row_labels").value
        assert fit.fitted().index.tolist() == list(labels)
        np.testing.assert_array_equal(fit.fitted().to_numpy(), values)
        np.testing.assert_array_equal(
            fit.residuals(type="pearson").to_numpy(),
            r.call("stats::residuals", type="pearson").value,
        )
        assert len(fit.predict()) == len(values)
        assert "lmerModLmerTest" not in "\n".join(str(fit.summary()).splitlines()[:2])
        assert fit.tidy()["estimate"].notna().all()
    with pytest.raises(rb.ArgumentError, match="other rows"):
        rb.MerModList.from_r(path, trust=INSISTS)


def test_a_fit_without_its_object(fits: rb.MerModList, tmp_path: Path) -> None:
    stored = rb.load(rb.save(fits[0], tmp_path / "fit.zip"))
    assert isinstance(stored, rb.MerMod)
    with pytest.raises(rb.ArgumentError, match="allow_r_object=True"):
        stored.to_r(tmp_path / "fit.rds")


@pytest.mark.parametrize("name", [".imp", ".id"])
def test_names_that_complete_needs(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({name: [1, 2], "x": [1.0, None]})
    imp = rb.ImputedData.from_frames([frame.fillna(3.0), frame.fillna(4.0)], original=frame)
    with pytest.raises(rb.EncodingError, match=rf"column '\{name}' has a name that mice"):
        imp.to_r(tmp_path / "x.rds")
