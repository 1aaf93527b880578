"""When the chains of CompatibleImputer end, and what is kept and told of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import rbridge_mi as rb
from rbridge_mi.imputers import chain_runs
from rbridge_mi.pooling.convergence import chain_convergence

from .hostile import small, stacked

pytestmark = pytest.mark.r

MODEL = "y ~ x + z + (1 + x | g)"
CHECKED = [100, 140, 196, 275, 385, 539, 755, 1057]  # each 1.4 times the one before, rounded up


def imputed(**arguments: Any) -> tuple[rb.ImputedData, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        imp = rb.CompatibleImputer(MODEL, m=4, **arguments).impute(small(), seed=1)
    return imp, [str(x.message) for x in caught]


def traced(imp: rb.ImputedData) -> tuple[list[str], np.ndarray[Any, Any]]:
    """The trace as an array, (m, iterations, parameters), by its columns."""
    names = list(dict.fromkeys(imp.trace["parameter"]))
    wide = imp.trace.pivot(index=["imputation", "iteration"], columns="parameter", values="value")
    return names, wide[names].to_numpy().reshape(imp.m, -1, len(names))


@pytest.mark.parametrize("rhat", [1.05, 1.02])
def test_chains_end_when_all_parameters_have_mixed(rhat: float) -> None:
    imp, said = imputed(rhat=rhat)
    names, trace = traced(imp)
    iterations = trace.shape[1]
    assert iterations in CHECKED
    for n in CHECKED[: CHECKED.index(iterations) + 1]:
        worst = chain_convergence(trace[:, n // 2 : n]).rhat.max()
        assert (worst <= rhat) == (n == iterations)
    assert not [x for x in said if "R-hat" in x]
    table = imp.convergence()
    assert table["parameter"].tolist() == names
    np.testing.assert_array_equal(
        table["rhat"], chain_convergence(trace[:, iterations // 2 :]).rhat
    )
    np.testing.assert_array_equal(
        table["ess_bulk"], chain_convergence(trace[:, iterations // 2 :]).ess_bulk
    )


def test_every_parameter_is_watched() -> None:
    imp, _ = imputed(rhat=1e9, min_iter=25, max_iter=25)
    names, trace = traced(imp)
    assert names == [
        "(Intercept)", "x", "z",
        "sd(g: (Intercept))", "sd(g: x)", "cor(g: (Intercept), x)", "sigma",
        "x ~ (Intercept)", "x ~ z", "x ~ sd(g)", "x ~ sigma", "mean(x)", "var(x)",
    ]  # fmt: skip
    assert trace.shape == (4, 25, len(names))
    # The last iteration's values are the imputations, whose mean and variance the trace has.
    holes = small()["x"].isna().to_numpy()
    values = stacked(imp, "x")[:, holes]
    last = dict(zip(names, trace[:, -1].T, strict=True))
    np.testing.assert_allclose(last["mean(x)"], values.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(last["var(x)"], values.var(axis=1), rtol=1e-12)


def test_chains_that_have_not_mixed_are_told_with_the_parameters() -> None:
    imp, said = imputed(rhat=1.001, max_iter=60)
    (text,) = (x for x in said if "chains differ" in x)
    table = imp.convergence().sort_values("rhat", ascending=False)
    slow = table[table["rhat"] > 1.001]
    shown = ", ".join(f"{x.parameter} ({x.rhat:.2f})" for x in slow.head(5).itertuples())
    assert text.startswith(
        f"CompatibleImputer: after 60 iterations the chains differ in {shown} and "
        f"{len(slow) - 5} more: R-hat is above 1.001"
    )
    assert imp.notes[-1] in text
    assert imp.trace["iteration"].max() == 60


def test_min_iter_is_the_least() -> None:
    imp, _ = imputed(rhat=1e9, min_iter=130)
    assert imp.trace["iteration"].max() == 130


class Bar:
    """What the program does with its progress bar."""

    def __init__(self, total: int | None, label: str, unit: str) -> None:
        self.begun = (total, label, unit)
        self.iterations = 0
        self.shown: list[tuple[int, str]] = []

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, n: int) -> None:
        self.iterations += n

    def set_postfix_str(self, text: str) -> None:
        self.shown.append((self.iterations, text))


def test_the_bar_has_iterations_and_the_worst_rhat(monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Bar] = []

    def begin(total: int | None, label: str, unit: str) -> Bar:
        bars.append(Bar(total, label, unit))
        return bars[-1]

    monkeypatch.setattr(chain_runs, "progress_bar", begin)
    imp, _ = imputed(rhat=1.02)
    (bar,) = bars
    assert bar.begun == (None, "compatible", "iteration")
    _, trace = traced(imp)
    at = CHECKED[: CHECKED.index(trace.shape[1]) + 1]
    worst = [chain_convergence(trace[:, n // 2 : n]).rhat.max() for n in at[:-1]]
    texts = [f"worst R-hat {x:.2f}" for x in worst]
    assert len(texts) >= 1
    assert bar.shown == list(zip(at, [*texts, "converged"], strict=True))
