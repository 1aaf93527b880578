"""scikit-learn's get_params, set_params and clone, on imputers and models."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import rbridge_mi as rb

FORMULA = "mathach ~ ses + (1 | schid)"
DOTTED: dict[str, Any] = {"max.resample": 10, "boot.type": "none"}  # R's names
PAN: dict[str, Any] = {"n.iter": 5}
PRIORS = [[1, "ses", 0.0, 1.0], [2, "ses", 0.0, 1.0]]

MADE: dict[str, Any] = {
    "amelia": lambda: rb.AmeliaImputer(3, idvars="schid", priors=PRIORS, **DOTTED),
    "amelia, by default": rb.AmeliaImputer,
    "bootstrap": lambda: rb.BootstrapImputer(m=7, cluster="schid"),
    "mice": lambda: rb.MiceImputer(
        m=2,
        predictor_matrix=pd.DataFrame({"x": [0, 1], "y": [1, 0]}, index=["x", "y"]),
        ignore=np.array([True, False]),
        maxit=3,
    ),
    "jomo": lambda: rb.JomoImputer(m=2, Y=["ses"], clus="schid", nburn=10, scale=False),
    "jomo, of a model": lambda: rb.JomoImputer(model=rb.Lmer(FORMULA, reml=False)),
    "pan": lambda: rb.PanImputer(formula="ses ~ 1 + (1 | schid)", n_burn=10, **PAN),
    "compatible": lambda: rb.CompatibleImputer(
        rb.Lmer(FORMULA), m=4, levels={"size": "schid"}, max_iter=200
    ),
    "compatible, of a text": lambda: rb.CompatibleImputer(FORMULA, family="binomial"),
    "Lmer": lambda: rb.Lmer(FORMULA, weights=np.array([1.0, np.nan]), contrasts={"g": [[1], [0]]}),
    "Glmer": lambda: rb.Glmer("y ~ x + (1 | g)", family="poisson", nAGQ=2, control={"tol": 1.0}),
    "GlmerNb": lambda: rb.GlmerNb("y ~ x + (1 | g)", offset=pd.Series([0.0, 1.0])),
}


@pytest.fixture(params=MADE)
def made(request: pytest.FixtureRequest) -> Any:
    return MADE[request.param]()


def test_the_parameters_are_those_of_the_constructor(made: Any) -> None:
    signature = inspect.signature(type(made)).parameters
    names = [name for name, x in signature.items() if x.kind is not x.VAR_KEYWORD]
    assert list(made.get_params(deep=False)) == names
    assert type(made)(**made.get_params(deep=False)) == made


def test_a_clone_is_equal_and_another(made: Any) -> None:
    other = clone(made)
    assert type(other) is type(made)
    assert other == made
    assert hash(other) == hash(made)
    assert other is not made
    assert repr(other) == repr(made)
    assert other != "something else"


def test_a_clone_shares_nothing_that_changes() -> None:
    control = {"optimizer": "bobyqa"}
    model = rb.Lmer(FORMULA, control=control)
    other = clone(model)
    control["optimizer"] = "Nelder_Mead"
    assert other.control == {"optimizer": "bobyqa"}
    assert other != model


def test_set_params_changes_the_object_itself() -> None:
    imputer = rb.AmeliaImputer(3, idvars="schid", max_resample=10)
    assert imputer.set_params(m=4, empri=0.5) is imputer
    assert imputer == rb.AmeliaImputer(4, idvars="schid", max_resample=10, empri=0.5)
    assert (imputer.m, imputer.arguments["empri"]) == (4, 0.5)
    model = rb.Lmer(FORMULA)
    model.set_params(reml=False)
    assert model == rb.Lmer(FORMULA, reml=False)
    assert model.own_arguments() == {"REML": False}


def test_set_params_takes_rs_names() -> None:
    imputer = rb.AmeliaImputer(max_resample=10).set_params(**{"max.resample": 20})
    assert imputer.get_params()["max_resample"] == 20
    assert imputer.arguments == {"max.resample": 20}


def test_none_takes_an_argument_away() -> None:
    imputer = rb.AmeliaImputer(idvars="schid").set_params(idvars=None)
    assert imputer == rb.AmeliaImputer()


def test_parameters_of_a_model_in_an_imputer() -> None:
    model = rb.Lmer(FORMULA)
    imputer = rb.CompatibleImputer(model)
    assert imputer.get_params()["model__formula"] == FORMULA
    assert "model__formula" not in imputer.get_params(deep=False)
    imputer.set_params(model__reml=False, m=3)
    assert imputer == rb.CompatibleImputer(rb.Lmer(FORMULA, reml=False), m=3)
    assert model.reml


@pytest.mark.parametrize(
    ("made", "params", "text"),
    [
        ("amelia", {"m": 0}, "m \\(the number of imputations\\)"),
        ("amelia", {"emprii": 1}, "emprii.*did you mean 'empri'"),
        ("amelia", {"rng": "mine"}, "rng"),
        ("amelia", {"polytime": "no"}, "polytime"),
        ("amelia", {"rng__x": 1}, "rng is 'r', which has no parameters"),
        ("mice", {"maxitt": 1}, "maxitt"),
        ("compatible", {"rhat": 0.5}, "rhat"),
        ("compatible", {"model": 3}, "model must be"),
        ("compatible", {"model__remll": True}, "remll"),
        ("Lmer", {"formula": 3}, "formula must be text"),
        ("Lmer", {"na_action": "na.no"}, "na_action"),
        ("Glmer", {"family": "binom"}, "family"),
        ("bootstrap", {"m": 0}, "m \\(the number"),
    ],
)  # fmt: skip
def test_set_params_refuses_what_the_constructor_refuses(
    made: str, params: dict[str, Any], text: str
) -> None:
    before, after = MADE[made](), MADE[made]()
    with pytest.raises(rb.ArgumentError, match=text):
        after.set_params(**params)
    assert after == before


@pytest.mark.r
def test_a_clone_does_the_same(holes: pd.DataFrame) -> None:
    imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"], noms=["minority", "female"])
    one, other = imputer.impute(holes, seed=1), clone(imputer).impute(holes, seed=1)
    assert one == other
    model = rb.Lmer(FORMULA)
    assert clone(model).fit(one) == model.fit(one)


def test_tables_in_arguments_are_compared_by_value() -> None:
    frames = [pd.DataFrame({"x": [0, 1], "y": [1, x]}, index=["x", "y"]) for x in (0, 0, 1)]
    one, same, other = (rb.MiceImputer(predictor_matrix=x) for x in frames)
    assert one == same
    assert one != other
    weights = [np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.array([1, 2])]
    assert len({id(x) for x in weights}) == 3
    models = [rb.Lmer(FORMULA, weights=x) for x in weights]
    assert models[0] == rb.Lmer(FORMULA, weights=weights[0].copy())
    assert models[0] != models[1]
    assert models[0] != models[2]
