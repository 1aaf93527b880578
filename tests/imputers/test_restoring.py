"""What an engine imputed, in the dtype that the column had; or wider, with a note."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import rbridge_mi as rb
from rbridge_mi.imputers.restoring import restore

NAN = np.nan
ARROW32 = pd.ArrowDtype(pa.float32())


@pytest.mark.parametrize(
    ("dtype", "values", "becomes", "note"),
    [
        ("Int8", [5.0, -128.0], "Int8", None),
        ("Int8", [5.0, NAN], "Int8", None),
        ("Int8", [5.0, 300.0], "Int64", "which holds its imputations"),
        ("int8", [5.0, 300.0], "int64", "which holds its imputations"),
        ("uint8", [5.0, -1.0], "int64", "which holds its imputations"),
        ("UInt8", [5.0, -1.0], "Int64", "which holds its imputations"),
        ("int16", [5.0, NAN], "Int16", None),
        ("Int8", [5.0, 0.5], "Float64", "not whole numbers"),
        ("int64", [5.0, 2.0**60], "float64", "not whole numbers"),
        (pd.ArrowDtype(pa.int8()), [5.0, 300.0], "Int64", "which holds its imputations"),
        ("float32", [0.5, NAN], "float32", None),
        ("float32", [0.5, 0.1], "float64", "holds its imputations exactly"),
        ("Float32", [0.5, 0.1], "Float64", "holds its imputations exactly"),
        (ARROW32, [0.5, NAN], ARROW32, None),
        (ARROW32, [0.5, 0.1], "Float64", "holds its imputations exactly"),
    ],
)
def test_numbers(dtype: Any, values: list[float], becomes: Any, note: str | None) -> None:
    column = pd.Series([1, 2, 3], dtype=dtype, name="x")
    found = restore(column, [np.array(values), np.array([values[0], values[0]])])
    assert found.dtype == becomes
    assert (found.note is None) if note is None else note in (found.note or "")
    back = pd.Series(found.values[0], dtype=found.dtype)
    known = [x for x in values if x == x]
    assert [float(x) for x in back.dropna()] == known
    assert back.isna().tolist() == [x != x for x in values]


def test_categories_with_holes_that_stay() -> None:
    column = pd.Series(["a", "b", None], dtype=pd.CategoricalDtype(["b", "a"]), name="f")
    found = restore(column, [["a", None], ["b", NAN]])
    assert found.dtype is column.dtype
    assert [x.codes.tolist() for x in found.values] == [[1, -1], [0, -1]]
    with pytest.raises(rb.EncodingError, match=r"'f': imputed labels \['z'\] are none"):
        restore(column, [["a", "z"]])


def test_arrows_dictionaries_become_categories() -> None:
    dtype = pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))
    column = pd.Series(pd.array(pa.array(["a", "b", None], dtype.pyarrow_dtype), dtype), name="f")
    found = restore(column, [["b"], ["a"]])
    assert isinstance(found.dtype, pd.CategoricalDtype)
    assert [x.tolist() for x in found.values] == [["b"], ["a"]]
    assert found.note is not None
    assert "became category" in found.note


def test_a_row_without_a_value_is_left_by_amelia() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=200),
            "x": rng.normal(size=200).astype("float32"),
            "k": pd.array(rng.integers(0, 4, 200), dtype="Int8"),
            "b": pd.array(rng.random(200) < 0.5, dtype="boolean"),
            "c": pd.Categorical(rng.choice(["b", "a", "c"], 200), ["b", "a", "c"]),
            "g": np.repeat(np.arange(20), 10),
        }
    )
    holes = frame.copy()
    holes["x"] = frame["x"].astype(ARROW32)
    holes["y"] = frame["y"].mask(np.arange(200) % 7 == 3)
    for i, name in enumerate(["x", "k", "b", "c"]):
        holes.loc[20 + i, name] = None
    holes.loc[5, ["y", "x", "k", "b", "c"]] = None
    imputer = rb.AmeliaImputer(m=2, idvars="g", noms=["b", "c"], ords="k")
    with pytest.warns(rb.RBridgeWarning, match=r"x: float\[pyarrow\] became Float64"):
        imp = imputer.impute(holes, seed=1)
    for data in imp:
        assert data.iloc[5].isna().tolist() == [True] * 5 + [False]
        rest = data.drop(index=5)
        assert not rest.isna().any().any()
        assert data["c"].dtype == frame["c"].dtype
        known = holes["x"].notna()
        assert data.loc[known, "x"].tolist() == frame.loc[known, "x"].astype(float).tolist()
    fits = rb.Lmer("y ~ x + k + b + c + (1 | g)").fit(imp)
    alone = rb.Lmer("y ~ x + k + b + c + (1 | g)").fit(imp[1])
    pd.testing.assert_frame_equal(fits[1].fixef(), alone.fixef(), check_exact=True)
