"""Tables and results as plain values: JSON takes them, and keeps every bit."""

from __future__ import annotations

import datetime as dt
import json
import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import rbridge_mi as rb


@pytest.fixture(scope="module")
def pooled(fits: rb.MerModList) -> rb.PooledMerMod:
    return fits.pool()


def strict(value: Any) -> Any:
    """What a reader of the strictest JSON gets."""
    return json.loads(json.dumps(value, allow_nan=False))


def test_cells_are_pythons_and_none_where_json_has_no_number() -> None:
    table = pd.DataFrame(
        {
            "double": [0.1, np.nan, math.inf, -math.inf],
            "single": np.array([0.1, 0, 1, 2], "float32"),
            "whole": [1, 2, 3, 2**62],
            "masked": pd.array([1, None, 3, 4], "Int64"),
            "halves": pd.array([0.5, None, 1.0, 2.0], "Float64"),
            "truth": [True, False, True, True],
            "maybe": pd.array([True, None, False, True], "boolean"),
            "text": ["a", None, "ü", '"'],
            "category": pd.Categorical([1.0, None, 2.0, 1.0]),
            "time": pd.to_datetime(["2020-01-01 12:00", None, *["2020-01-02 00:00"] * 2]),
            "date": [dt.date(2020, 1, 1), None, dt.date(2020, 1, 2), dt.date(2020, 1, 3)],
            "lasts": pd.to_timedelta(["1D", None, "2h", "3s"]),
            "object": [np.float64("nan"), np.int32(3), pd.NA, np.bool_(True)],
        }
    )
    first, second, third, last = rb.to_records(table)
    assert first == {
        "double": 0.1, "single": float(np.float32(0.1)), "whole": 1, "masked": 1, "halves": 0.5,
        "truth": True, "maybe": True, "text": "a", "category": "1", "time": "2020-01-01T12:00:00",
        "date": "2020-01-01", "lasts": "P1DT0H0M0S", "object": None,
    }  # fmt: skip
    gone = ("double", "masked", "halves", "maybe", "text", "category", "time", "date", "lasts")
    assert [second[x] for x in gone] == [None] * len(gone)
    assert third["double"] is last["double"] is third["object"] is None
    assert (second["object"], last["object"], last["whole"]) == (3, True, 2**62)
    plain = (bool, int, float, str, type(None))
    assert all(type(x) in plain for row in (first, second, third, last) for x in row.values())
    assert strict(rb.to_records(table)) == [first, second, third, last]


def test_arrow_columns() -> None:
    table = pd.DataFrame({"x": pd.array([0.1, None], "double[pyarrow]"),
                          "t": pd.array(["a", None], "string[pyarrow]")})  # fmt: skip
    assert rb.to_records(table) == [{"x": 0.1, "t": "a"}, {"x": None, "t": None}]


def test_doubles_keep_every_bit() -> None:
    bits = np.random.default_rng(1).integers(0, 2**64, 2000, np.uint64).view(np.float64)
    values = np.append(bits[np.isfinite(bits)], [5e-324, -0.0, 1.7976931348623157e308])
    back = [row["x"] for row in strict(rb.to_records(pd.DataFrame({"x": values})))]
    assert np.array(back, np.float64).tobytes() == values.tobytes()


def test_labels_come_first() -> None:
    named = pd.DataFrame({"x": [1]}, index=pd.Index(["r"], name="row"))
    assert rb.to_records(named) == [{"row": "r", "x": 1}]
    plain = pd.DataFrame({"index": [1]}, index=["r"])
    assert rb.to_records(plain) == [{"index_": "r", "index": 1}]
    assert rb.to_records(pd.Series({"a": 0.5})) == [{"index": "a", "value": 0.5}]
    two = pd.MultiIndex.from_tuples([("g", 1)], names=["grp", None])
    assert rb.to_records(pd.Series([0.5], two, name="icc")) == [
        {"grp": "g", "index2": 1, "icc": 0.5}
    ]
    assert rb.to_records(pd.DataFrame({3: [1]})) == [{"3": 1}]
    assert rb.to_records(pd.DataFrame({"x": []})) == []


@pytest.mark.parametrize(
    ("table", "text"),
    [
        ([1], "table must be a DataFrame"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "several columns that are '1'"),
        (pd.DataFrame({"z": [1j]}), "column 'z' holds complex"),
        (pd.DataFrame({"z": [object()]}), "column 'z' holds object"),
        (pd.DataFrame({"z": [b"x"]}), "column 'z' holds bytes"),
    ],
)
def test_what_has_no_form_is_refused_by_name(table: Any, text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.to_records(table)


def same(table: pd.DataFrame, records: list[dict[str, Any]]) -> None:
    """Each value of a table, by column and row, with all bits."""
    assert len(table) == len(records)
    for i, row in enumerate(records):
        assert list(row) == list(table.columns)
        for name, value in row.items():
            mine = table[name].iloc[i]
            if value is None:
                assert pd.isna(mine) or not math.isfinite(mine)
            else:
                assert mine == value


@pytest.mark.r
def test_a_pooled_models_tables(pooled: rb.PooledMerMod) -> None:
    whole = strict(pooled.to_dict())
    assert whole == json.loads(pooled.to_json())
    for name in ("fixed", "varcorr", "ranef"):
        same(getattr(pooled, name), whole[name])
    same(pooled.tidy(), whole["tidy"])
    same(pooled.vcov.rename_axis("term").reset_index(), whole["vcov"])
    assert whole["icc"] == [{"grp": "schid", "icc": pooled.icc["schid"]}]
    assert (whole["formula"], whole["m"], whole["nobs"]) == (pooled.formula, 5, [7185] * 5)
    assert whole["ngrps"] == {"schid": 160}
    assert whole["sigma"] == pooled.sigma
    some = pooled.to_dict(tables=["random", "r2"])
    same(pooled.random, some["random"])
    same(pooled.r2, some["r2"])
    assert "fixed" not in some


@pytest.mark.r
def test_a_fits_tables(fit: rb.MerMod) -> None:
    whole = strict(fit.to_dict())
    tables = ("fixef", "varcorr", "ranef", "coef", "tidy", "glance", "model_info", "convergence")
    for name in tables:
        same(getattr(fit, name)(), whole[name])
    assert (whole["log_lik"], whole["messages"]) == (fit.log_lik, list(fit.messages))
    same(fit.fixed(), fit.to_dict(["fixed"])["fixed"])


@pytest.mark.r
def test_a_lists_tables(fits: rb.MerModList) -> None:
    whole = strict(fits.to_dict())
    same(fits.tidy(by_imputation=True), whole["tidy_by_imputation"])
    same(fits.glance(), whole["glance"])
    assert (whole["m"], whole["failed"]) == (5, {})


def test_other_pooled_estimates() -> None:
    q = [[1.0, 2.0], [1.2, 2.1], [0.9, 1.8]]
    pooled = rb.pool(q, variances=[[0.1, 0.2]] * 3, names=["x", "z"])
    whole = strict(pooled.to_dict())
    same(pooled.fixed, whole["fixed"])
    assert whole["dfcom"] is None
    assert whole["vcov"][0]["z"] is None  # the covariance isn't known


@pytest.mark.r
def test_they_need_no_r_where_the_result_was_pickled(pooled: rb.PooledMerMod) -> None:
    code = (
        "import pickle, sys; from rbridge_mi import rdoor; "
        "print(pickle.load(open(sys.argv[1], 'rb')).to_json()); "
        "from rbridge_mi.rdoor import session; assert 'rpy2' not in sys.modules"
    )
    import subprocess
    import sys
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pooled.pickle"
        path.write_bytes(pickle.dumps(pooled))
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == pooled.to_dict()


@pytest.mark.r
@pytest.mark.parametrize("tables", [["fixd"], "fixed", ["fixef"]])
def test_tables_are_checked(tables: Any, pooled: rb.PooledMerMod) -> None:
    with pytest.raises(rb.ArgumentError, match="tables"):
        pooled.to_dict(tables)


@pytest.mark.r
def test_a_service_returns_them(pooled: rb.PooledMerMod, fit: rb.MerMod) -> None:
    app = FastAPI()

    @app.get("/pooled")
    def of_pooled() -> dict[str, Any]:
        return pooled.to_dict()

    @app.get("/tidy")
    def of_fit() -> list[dict[str, Any]]:
        return rb.to_records(fit.tidy())

    @app.get("/pandas", response_model=None)
    def of_pandas() -> Any:
        return fit.tidy().to_dict("records")

    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/pooled")
        assert answer.status_code == 200
        assert answer.json() == pooled.to_dict()
        assert client.get("/tidy").json() == rb.to_records(fit.tidy())
        assert client.get("/pandas").status_code == 500  # what these are for
