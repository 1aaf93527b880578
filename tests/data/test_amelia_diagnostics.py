"""`ImputedData.overimpute` and `disperse`: R's numbers, under names, and no picture."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.base.glossary import GLOSSARY, TABLES
from rbridge_mi.testing.rscript import find_rscript

pytestmark = [pytest.mark.r, pytest.mark.filterwarnings("ignore:.*small number of observations")]

ROLES: dict[str, Any] = {"idvars": "id", "noms": "kind", "sqrts": "w"}


def frame(blank: bool = True) -> pd.DataFrame:
    """Labelled rows: a text id, three numbers, a category, and a row with no value but its id."""
    g = np.random.default_rng(3)
    x = g.normal(size=60)
    data = pd.DataFrame(
        {
            "id": [f"p{i}" for i in range(60)],
            "x": x,
            "y": x + g.normal(size=60),
            "w": np.exp(x / 2),
            "kind": np.resize(np.array(["u", "v", "w"], object), 60),
        },
        index=pd.Index(range(900, 960), name="person"),
    )
    for name in ("x", "y", "w"):
        data.loc[g.choice(data.index, 6, replace=False), name] = np.nan
    if blank:
        data.iloc[7, 1:] = None
    return data


@pytest.fixture(scope="module")
def kept() -> rb.ImputedData:
    with pytest.warns(rb.RWarning, match="1 rows have no value"):
        return rb.AmeliaImputer(3, **ROLES).impute(frame(), seed=1, keep_r=True)


def by_r(place: Path, code: str) -> dict[str, list[float]]:
    """Impute in an Rscript as `kept` is, run code that ends in a list, and read its numbers."""
    data = frame()
    columns = ", ".join(
        f"{k} = c({', '.join(_in_r(x) for x in data[k])})" for k in ("id", "x", "y", "w", "kind")
    )
    script = place / "script.R"
    script.write_text(
        f"""suppressPackageStartupMessages(library(Amelia)); pdf(NULL)
        d <- data.frame({columns})
        set.seed(1)
        invisible(capture.output({{
          a <- amelia(d, m = 3, p2s = 0, idvars = "id", noms = "kind", sqrts = "w")
          out <- {{ {code} }}
        }}))
        for (name in names(out)) cat(name, sprintf("%a", as.numeric(out[[name]])), "\n")
        """
    )
    done = subprocess.run([find_rscript(), script], capture_output=True, text=True, check=True)
    lines = [x.split() for x in done.stdout.splitlines()]
    return {name: [float.fromhex(x) for x in values] for name, *values in lines}


def _in_r(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return "NA" if pd.isna(value) else repr(float(value))


def test_overimpute_takes_one_name(kept: rb.ImputedData) -> None:
    with pytest.raises(rb.ArgumentError, match="the name of one column"):
        kept.overimpute(["x"])  # type: ignore[arg-type]


@pytest.mark.processes
@pytest.mark.parametrize("column", ["x", "w"])
def test_overimputed_cells_are_r_s(kept: rb.ImputedData, column: str, tmp_path: Path) -> None:
    table = kept.overimpute(column, draws=4, seed=11)
    assert tuple(table.columns) == TABLES["overimpute"]
    assert set(table.columns) <= set(GLOSSARY)
    expected = by_r(tmp_path, f'set.seed(11); overimpute(a, "{column}", draws = 4)')
    observed = frame()[column].dropna()
    assert table["row"].tolist() == observed.index.tolist()
    assert table["observed"].tolist() == observed.tolist()
    # R's rows are in its own order, and are counted without the one that is blank.
    labels = frame().index.delete(7)[np.array(expected["row"], int) - 1]
    names = {
        "observed": "orig",
        "overimputed_mean": "mean.overimputed",
        "overimputed_low": "lower.overimputed",
        "overimputed_high": "upper.overimputed",
        "row_missing": "prcntmiss",
    }
    by_row = table.set_index("row").loc[labels]
    for name, theirs in names.items():
        assert by_row[name].tolist() == expected[theirs], name


@pytest.mark.processes
@pytest.mark.parametrize("dims", [1, 2])
def test_dispersed_chains_are_r_s(kept: rb.ImputedData, dims: int, tmp_path: Path) -> None:
    table = kept.disperse(m=3, dims=dims, seed=12)
    assert tuple(table.columns) == TABLES["disperse"]
    assert set(table.columns) <= set(GLOSSARY)
    code = f"""set.seed(12); out <- disperse(a, m = 3, dims = {dims})
        list(iters = out$iters, value = t(as.matrix(out$rotations)) %*% out$impdat)"""
    expected = by_r(tmp_path, code)
    assert table.groupby("chain")["iteration"].max().tolist() == expected["iters"]
    assert table["value"].tolist() == expected["value"]
    assert table["component"].tolist() == list(range(1, dims + 1)) * (len(table) // dims)
    assert (table.groupby("chain")["iteration"].diff().dropna() >= 0).all()


def test_the_seed_is_that_of_the_imputations_unless_another_is_given(kept: rb.ImputedData) -> None:
    pd.testing.assert_frame_equal(kept.overimpute("x"), kept.overimpute("x", seed=1))
    assert not kept.overimpute("x").equals(kept.overimpute("x", seed=2))
    pd.testing.assert_frame_equal(kept.disperse(), kept.disperse(seed=1))


def test_nothing_is_drawn_and_r_s_device_stays(
    kept: rb.ImputedData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kept.overimpute("x")
    kept.disperse(dims=2)
    assert rdoor.call("grDevices::dev.list").value is None
    rdoor.call("grDevices::pdf", None)
    before = rdoor.call("grDevices::dev.cur").value.tolist()
    rdoor.call("grDevices::pdf", None)
    rdoor.call("grDevices::dev.set", before[0])
    try:
        kept.overimpute("x")
        assert rdoor.call("grDevices::dev.cur").value.tolist() == before
        assert len(rdoor.call("grDevices::dev.list").value) == 2
    finally:
        rdoor.call("grDevices::graphics.off")
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused(kept: rb.ImputedData) -> None:
    plain = rb.AmeliaImputer(2, **ROLES).impute(frame(blank=False), seed=1)
    for ask in (lambda: plain.overimpute("x"), plain.disperse):
        with pytest.raises(rb.ArgumentError, match="impute with keep_r=True"):
            ask()
    boot = rb.BootstrapImputer(2).impute(frame(), seed=1)
    with pytest.raises(rb.ArgumentError, match=r"overimpute is Amelia's, and .* by 'bootstrap'"):
        boot.overimpute("x")
    with pytest.raises(rb.ArgumentError, match="disperse is Amelia's"):
        boot.disperse()
    with pytest.raises(rb.ArgumentError, match=r"'kind' is nominal \(noms\) to Amelia"):
        kept.overimpute("kind")
    with pytest.raises(rb.ArgumentError, match=r"'id' is an id variable \(idvars\)"):
        kept.overimpute("id")
    with pytest.raises(rb.ArgumentError, match="overimpute names 'q', which the data do not have"):
        kept.overimpute("q")
    with pytest.raises(rb.ArgumentError, match="draws must be a whole number of at least 1"):
        kept.overimpute("x", draws=0)
    with pytest.raises(rb.ArgumentError, match="dims must be"):
        kept.disperse(dims=3)
    with pytest.raises(rb.ArgumentError, match=r"m \(the number of chains\)"):
        kept.disperse(m=1)


def test_the_trace_is_all_of_amelia_s_history(kept: rb.ImputedData) -> None:
    histories = kept.r.call("base::getElement", "iterHist").value
    assert {np.asarray(x).shape[1] for x in histories} == {3}
    names = list(kept.trace["parameter"].cat.categories)
    assert names == ["changing", "risen", "singular"]
