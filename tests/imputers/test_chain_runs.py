"""Chains that are put down and taken up again go on as if they had not been."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from rbridge_mi.imputers.imputation_problem import Family, imputation_problem
from rbridge_mi.imputers.model_data import Formula, Options, read_model_data
from rbridge_mi.sampling.chains import Chains, prepared
from rbridge_mi.sampling.draws import Streams
from rbridge_mi.sampling.problem import Problem

pytestmark = pytest.mark.r


def problem(formula: str, family: Family, options: Options) -> Problem:
    rng = np.random.default_rng(4)
    g = np.repeat(np.arange(12), 10)
    z = rng.normal(size=12)[g]
    x = rng.normal(size=120) + 0.5 * z
    y = x + rng.normal(size=12)[g] + rng.normal(size=120)
    data = pd.DataFrame(
        {
            "g": [f"g{i}" for i in g],
            "y": y,
            "p": (y > 0).astype(float),
            "x": x,
            "z": np.where(g % 4 == 0, np.nan, z),
            "b": (rng.normal(size=120) + x > 0).astype(float),
            "k": rng.poisson(1.5, size=120).astype(float),
            "f": pd.Categorical(rng.choice(list("abc"), size=120)),
            "o": pd.Categorical(rng.choice(list("lmh"), size=120), list("lmh"), ordered=True),
            "a": x + y + rng.normal(size=120),
        }
    )
    data["m"] = data.groupby("g")["x"].transform("mean")
    for name in ("y", "x", "b", "k", "f", "o", "a"):
        data[name] = data[name].mask(rng.uniform(size=120) < 0.15)
    read = read_model_data(data, Formula(formula), family, options, 1)
    assert not read.refused
    whole = imputation_problem(
        read.columns, read.design, read.values, family, groups=read.groups, means=read.means,
        wrap=read.with_derived, offset=read.offset, weights=read.weights,
    )  # fmt: skip
    return prepared(whole, 1)


CASES = [
    ("y ~ x * z + I(x^2) + b + k + f + o + (1 + x | g)", Family(), Options(auxiliary=("a",))),
    ("y ~ x + m + b + (x || g)", Family(), Options(derived={"m": ("mean", "x", "g")})),
    ("p ~ x + z + f + (1 | g)", Family("binomial", "probit"), Options()),
    ("p ~ x + o + (1 | g)", Family("binomial", "logit"), Options()),
    ("k ~ x + z + o + (1 + x | g)", Family("poisson", "log"), Options(auxiliary=("a",))),
]


@pytest.mark.parametrize(("formula", "family", "options"), CASES)
def test_chains_go_on_from_their_state(formula: str, family: Family, options: Options) -> None:
    """Designs and linear predictors are those that the chains had; they differ by rounding only."""
    of = problem(formula, family, options)
    chains = Chains(of, Streams.of(3, range(3)))
    chains.run(30)
    state = pickle.loads(pickle.dumps(chains.state()))
    again = Chains(of, state["streams"], state)
    assert again.iteration == 30
    for name, node in chains.nodes.items():
        other = again.nodes[name]
        np.testing.assert_array_equal(other.current(), node.current(), err_msg=name)
        for model, restored in zip(node.models, other.models, strict=True):
            designs = [(model.design, restored.design)]
            for effects, restored_effects in zip(model.effects, restored.effects, strict=True):
                designs.append((effects.design, restored_effects.design))
                np.testing.assert_array_equal(restored_effects.u, effects.u)
            for design, restored_design in designs:
                # A group mean is updated in steps, and computed anew here.
                np.testing.assert_allclose(
                    restored_design.varying, design.varying, rtol=1e-9, atol=1e-9, err_msg=name
                )
            np.testing.assert_allclose(restored.eta, model.eta, rtol=1e-9, atol=1e-9, err_msg=name)
    for name, value in again.parameters().items():
        np.testing.assert_allclose(value, chains.parameters()[name], rtol=1e-9, err_msg=name)
