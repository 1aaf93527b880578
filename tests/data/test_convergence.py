"""`ImputedData.convergence`: the trace as an array, warm-up, and traces without an answer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.base.glossary import GLOSSARY, TABLES
from rbridge_mi.data.convergence import chains_of
from rbridge_mi.data.provenance import (
    TRACE,
    joined_traces,
    parameters,
    trace_of_chains,
    trace_of_lengths,
)
from rbridge_mi.pooling import chain_convergence

pytestmark = pytest.mark.r

NAMES = ["sigma", "beta[x]", "a mean"]
FRAME = pd.DataFrame({"x": [1.0, np.nan]})


def imputed(trace: pd.DataFrame, method: str = "chains") -> rb.ImputedData:
    frames = [FRAME.fillna(float(i)) for i in range(3)]
    data = rb.ImputedData.from_frames(frames, original=FRAME, method=method)
    return dataclasses.replace(data, trace=trace)


@pytest.fixture
def draws() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(3, 101, 3)) + 1.0


def trace_of(draws: np.ndarray) -> pd.DataFrame:
    return trace_of_chains(NAMES, draws)


def test_a_trace_has_its_rows_by_chain_and_iteration(draws: np.ndarray) -> None:
    trace = trace_of(draws)
    assert tuple(trace.columns) == TRACE
    assert trace.dtypes.tolist()[:2] == [np.int64, np.int64]
    row = trace[(trace["imputation"] == 3) & (trace["iteration"] == 17)].set_index("parameter")
    assert row.loc["beta[x]", "value"] == draws[2, 16, 1]
    assert imputed(trace).chain_lengths == (101, 101, 101)
    names, array = chains_of(trace)
    assert names.tolist() == NAMES
    np.testing.assert_array_equal(array, draws)


def test_the_table_is_of_the_second_halves(draws: np.ndarray) -> None:
    table = imputed(trace_of(draws)).convergence()
    assert tuple(table.columns) == TABLES["convergence_chains"]
    assert set(table.columns) <= set(GLOSSARY)
    assert table["parameter"].tolist() == NAMES
    expected = chain_convergence(draws[:, 50:])
    np.testing.assert_array_equal(table["rhat"], expected.rhat)
    np.testing.assert_array_equal(table["ess_bulk"], expected.ess_bulk)


@pytest.mark.parametrize("warmup", [0, 7, 91])
def test_warmup(draws: np.ndarray, warmup: int) -> None:
    table = imputed(trace_of(draws)).convergence(warmup)
    np.testing.assert_array_equal(table["rhat"], chain_convergence(draws[:, warmup:]).rhat)


def test_rows_in_any_order_and_thinned_chains(draws: np.ndarray) -> None:
    trace = trace_of(draws)
    shuffled = trace.assign(iteration=trace["iteration"] * 10).sample(frac=1, random_state=1)
    names, array = chains_of(shuffled)
    order = pd.Index(NAMES).get_indexer(names)
    chain_order = pd.unique(shuffled["imputation"]) - 1
    np.testing.assert_array_equal(array, draws[chain_order][:, :, order])


def test_a_trace_of_objects_is_read_too(draws: np.ndarray) -> None:
    """Files of earlier versions have such traces."""
    trace = trace_of(draws)
    data = imputed(trace.astype({"parameter": object}))
    pd.testing.assert_frame_equal(data.convergence(), imputed(trace).convergence())


def test_a_constant_parameter_has_no_answer(draws: np.ndarray) -> None:
    draws[:, :, 1] = 3.0
    table = imputed(trace_of(draws)).convergence()
    assert table["rhat"].isna().tolist() == [False, True, False]


def test_data_that_were_imputed_elsewhere_have_no_chains() -> None:
    data = rb.ImputedData.from_frames([FRAME.fillna(1.0), FRAME.fillna(2.0)])
    with pytest.raises(rb.ArgumentError, match="imputed elsewhere"):
        data.convergence()
    with pytest.raises(rb.ArgumentError, match="no trace of their chains"):
        imputed(trace_of_lengths([30, 30, 30], "changing")).convergence()


def test_an_optimizer_draws_no_chains(draws: np.ndarray) -> None:
    with pytest.raises(rb.ArgumentError, match=r"amelia draws no Markov chains.*imp\.log"):
        imputed(trace_of(draws), method="amelia").convergence()


def test_chains_of_several_lengths(draws: np.ndarray) -> None:
    trace = trace_of(draws)
    shorter = trace[(trace["imputation"] != 2) | (trace["iteration"] <= 60)]
    with pytest.raises(rb.ArgumentError, match="from 60 to 101 iterations"):
        imputed(shorter).convergence()


def test_gaps_and_repetitions(draws: np.ndarray) -> None:
    trace = trace_of(draws)
    for broken in (
        trace[(trace["parameter"] != "sigma") | (trace["imputation"] != 1)],
        pd.concat([trace, trace.iloc[:1]]),
        pd.concat([trace.iloc[1:], trace.iloc[1:2]]),
    ):
        with pytest.raises(rb.ArgumentError, match="not one value for every chain"):
            imputed(broken).convergence()


@pytest.mark.parametrize("warmup", [92, 500])
def test_too_few_iterations_left(draws: np.ndarray, warmup: int) -> None:
    with pytest.raises(rb.ArgumentError, match=f"warmup {warmup} leaves .* of 101 iterations"):
        imputed(trace_of(draws)).convergence(warmup)


@pytest.mark.parametrize("warmup", [-1, 0.5, True, "10"])
def test_warmup_must_be_a_number_of_iterations(draws: np.ndarray, warmup: object) -> None:
    with pytest.raises(rb.ArgumentError, match="warmup must be a whole number of at least 0"):
        imputed(trace_of(draws)).convergence(warmup)  # type: ignore[arg-type]


# --- the trace's layout --------------------------------------------------------------------------


def test_joined_traces_count_on_and_keep_their_categories(draws: np.ndarray) -> None:
    first, second = trace_of(draws), trace_of(draws[:2])
    second["parameter"] = parameters(
        ["another" if x == "sigma" else x for x in second["parameter"]]
    )
    joined = joined_traces([first, second])
    assert tuple(joined.columns) == TRACE
    assert joined["imputation"].unique().tolist() == [1, 2, 3, 4, 5]
    assert joined["parameter"].cat.categories.tolist() == [*NAMES, "another"]
    assert joined["parameter"].tolist() == [*first["parameter"], *second["parameter"]]
    pd.testing.assert_frame_equal(joined_traces([first]), first)


def test_a_trace_comes_back_from_a_file(draws: np.ndarray, tmp_path: Path) -> None:
    for trace in (trace_of(draws), trace_of(draws).astype({"parameter": object})):
        loaded = rb.load(rb.save(imputed(trace), tmp_path / "data.zip"))
        assert isinstance(loaded, rb.ImputedData)
        pd.testing.assert_frame_equal(loaded.trace, trace)
