"""Every block of Python in docs/ is run: by the build (notebooks), here, or elsewhere."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import distributed
import joblib
import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.testing import run_r
from tests.whole.pages import BLOCK, ROOT, Page, differences, run

pytestmark = [pytest.mark.r, pytest.mark.slow, pytest.mark.processes]

DOCS = ROOT / "docs"
# Pages whose blocks another test runs.
ELSEWHERE = {
    "coming-from-pymer4.md": "tests/whole/test_pymer4_page.py",
    "models.md": "tests/whole/test_models_page.py",
}
# Pages whose blocks are run here, each by its test.
HERE = {
    "cluster.md",
    "concurrency.md",
    "gallery.md",
    "guides/testing.md",
    "imputation.md",
    "index.md",
}


def test_each_page_with_blocks_is_run_somewhere() -> None:
    pages = {str(x.relative_to(DOCS)): x.read_text("utf-8") for x in DOCS.rglob("*.md")}
    with_blocks = {name for name, text in pages.items() if re.search(r"```+ *python\b", text)}
    # A page of the bridges is run by a test that has its name.
    tests = "".join(x.read_text("utf-8") for x in (ROOT / "tests").rglob("test_*.py"))
    bridges = {x for x in with_blocks if x.startswith("bridges/") and Path(x).name in tests}
    assert with_blocks - bridges == HERE | set(ELSEWHERE)
    for name, test in ELSEWHERE.items():
        assert name in (ROOT / test).read_text("utf-8")
    for name in with_blocks - bridges:  # none escapes by being indented or fenced otherwise
        assert len(BLOCK.findall(pages[name])) == len(re.findall(r"```+ *python", pages[name])), (
            name
        )


@pytest.fixture(scope="module")
def small() -> pd.DataFrame:
    hsb = rb.load_hsb()
    return hsb[hsb["schid"].isin(hsb["schid"].unique()[:40])].reset_index(drop=True)


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.repeat([f"g{i:02d}" for i in range(24)], 5), "id": range(120)})
    data["x"] = rng.normal(size=120)
    data["y"] = data["x"] + rng.normal(size=24)[data.index // 5] + rng.normal(size=120)
    return data


def test_the_front_page(small: pd.DataFrame) -> None:
    data = rb.ampute(small, prop=0.1, columns=["ses", "minority"], seed=1)
    blocks, variables = run("index.md", given={"data": data})
    assert len(blocks) == 1
    assert variables["fits"].pool().fixed["term"].tolist() == [
        "(Intercept)", "minority", "female", "ses", "meanses",
    ]  # fmt: skip


def test_imputation(holes: pd.DataFrame) -> None:
    """The plan is what the page shows; the estimates are, but for what chance does to them.

    The plan follows from the data. Another BLAS takes the chains along other paths, to another set
    of 20 imputations: estimates of two sets differ with a variance of 2 b / m, and less than four
    such standard deviations. fmi std_error^2 is b, nearly.
    """
    blocks, variables = run("imputation.md", width=120, given={"holes": holes}, show=True)
    assert len(blocks) == 6
    (_, plan, shown), (_, chains, chains_shown), (_, pooled, pooled_shown) = blocks[1:4]
    assert differences(plan, shown) == []
    assert chains.split()[:3] == chains_shown.split()[:3] == ["parameter", "rhat", "ess_bulk"]
    assert len(chains.splitlines()) == len(chains_shown.splitlines()) == 4
    check_estimates(pooled, pooled_shown)
    assert variables["imp"].m == 5


def check_estimates(printed: str, shown: str) -> None:
    """Compare the estimates of two tables of 20 imputations each; see `test_imputation`."""
    table, expected = (
        pd.read_csv(io.StringIO(x), sep=r"\s+").set_index("term") for x in (printed, shown)
    )
    assert list(table.index) == list(expected.index)
    spread = np.sqrt(2 * expected["fmi"] * expected["std_error"] ** 2 / 20)
    assert ((table["estimate"] - expected["estimate"]).abs() < 4 * spread).all()


def test_the_readme() -> None:
    """Its ten lines print what it shows, but for what chance does; its links lead to files."""
    blocks, variables = run("../README.md", width=120)
    [(_, printed, shown)] = blocks
    table, varcorr = printed.split("        grp", 1)
    table_shown, varcorr_shown = shown.split("        grp", 1)
    check_estimates(table, table_shown)
    assert varcorr.split()[:4] == varcorr_shown.split()[:4] == ["var1", "var2", "vcov", "sdcor"]
    assert len(varcorr.splitlines()) == len(varcorr_shown.splitlines()) == 5
    assert len(variables["fits"]) == 20
    links = re.findall(r"\]\(([^)#]+)", (ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 25
    assert [x for x in links if not (ROOT / x).exists()] == []


def test_the_gallery(small: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """All plots of the page, of the first 40 schools: those of the page are of 160."""
    import matplotlib.pyplot as plt

    monkeypatch.setattr(rb, "load_hsb", lambda: small.copy())
    plt.switch_backend("agg")
    with plt.rc_context({"figure.max_open_warning": 0}):
        blocks, variables = run("gallery.md")
    assert len(blocks) > 20
    assert len(plt.get_fignums()) >= 20
    plt.close("all")
    assert variables["pooled"].m == 20


def test_a_users_regression_test(hsb: pd.DataFrame) -> None:
    _, variables = run("guides/testing.md")
    variables["test_variances"](hsb, run_r)  # the fixture is `run_r` with a memory


def test_concurrency(frame: pd.DataFrame) -> None:
    model = rb.Lmer("y ~ x + (1 | g)")
    imp = rb.impute(rb.ampute(frame, prop=0.1, columns=["x"], seed=1), model=model, m=2, seed=1)
    given: Page = {"read": lambda request: request.frame, "model": model, "imp": imp}
    _, variables = run("concurrency.md", given=given)
    assert variables["fits"].failed == {}
    handler: Any = variables["handler"]
    status, records = handler(SimpleNamespace(formula="y ~ x + (1 | g)", frame=frame))
    assert (status, [x["term"] for x in records]) == (200, ["(Intercept)", "x"])
    status, text = handler(SimpleNamespace(formula="y ~ system('x') + (1 | g)", frame=frame))
    assert status == 422
    assert "system" in text
    fits = asyncio.run(variables["main"]([frame, frame.iloc[:80]]))
    assert [x.nobs for x in fits] == [120, 80]


def test_cluster(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a cluster of two workers on this machine in the place of the page's."""
    numbered = frame.assign(g=frame["g"].str[1:].astype(int))
    holes = rb.ampute(numbered, prop=0.1, columns=["x"], seed=1)
    model = rb.Lmer("y ~ x + (1 | g)")
    imputer = rb.AmeliaImputer(m=2, idvars=["id", "g"])
    given: Page = {"holes": holes, "model": model, "imp": imputer.impute(holes, seed=1)}
    given |= {"joblib": joblib, "rb": rb}
    connect = distributed.Client
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        monkeypatch.setattr(distributed, "Client", lambda address: connect(cluster))
        monkeypatch.setattr("dask.distributed.Client", lambda address: connect(cluster))
        _, variables = run("cluster.md", given=given)
        variables["client"].close()
    assert len(variables["fits"]) == 100


# --- names in the text ----------------------------------------------------------------------------

KINDS: dict[str, tuple[type, ...]] = {
    "fit": (rb.MerMod,),
    "fits": (rb.MerModList,),
    "imp": (rb.ImputedData,),
    "pooled": (rb.PooledMerMod,),
    "model": (rb.Lmer, rb.Glmer),
}
# Names of files (fits.md, fit.rds), and R's model.matrix.
OTHERS = {"md", "rds", "matrix"}
PROSE = sorted(
    str(x.relative_to(DOCS))
    for x in DOCS.rglob("*.md")
    if x.parent.name in ("guides", "tutorials", "explanations") or x.name == "index.md"
)


@pytest.mark.parametrize("name", PROSE)
def test_names_in_the_text_are_there(name: str) -> None:
    text = (DOCS / name).read_text("utf-8")
    assert {x for x in re.findall(r"\brb\.(\w+)", text) if x not in rb.__all__} == set()
    plots = {*rb.plot.__all__}
    assert {x for x in re.findall(r"\.plot\.(\w+)\(", text) if x not in plots} == set()
    for variable, classes in KINDS.items():
        asked = set(re.findall(rf"(?<![\w.]){variable}\.(\w+)", text))
        fields = {x for y in classes for x in getattr(y, "__dataclass_fields__", {})}
        unknown = {x for x in asked - fields - OTHERS if not any(hasattr(y, x) for y in classes)}
        assert unknown == set(), variable
