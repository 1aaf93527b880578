"""Lmer and MerMod: arguments, tables, wrong input."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.base.glossary import GLOSSARY, TABLES

pytestmark = pytest.mark.r


def groups(n: int = 200, seed: int = 0) -> pd.DataFrame:
    g = np.random.default_rng(seed)
    group = np.repeat([f"g{i}" for i in range(n // 10)], 10)
    x = g.normal(size=n)
    u, v = (np.repeat(g.normal(size=n // 10), 10) for _ in range(2))
    return pd.DataFrame({"y": 1 + x + u + v * x + g.normal(size=n), "x": x, "g": group,
                         "w": g.uniform(0.5, 2, n), "half": np.arange(n) % 2 == 0})  # fmt: skip


@pytest.fixture(scope="module")
def simple() -> rb.MerMod:
    return rb.Lmer("y ~ x + (1 + x | g)").fit(groups())


def test_tables_have_their_columns(simple: rb.MerMod) -> None:
    for name in ("fixef", "ranef", "varcorr", "model_info", "tidy"):
        assert tuple(getattr(simple, name)().columns) == TABLES[name]
    assert tuple(simple.glance().columns) == TABLES["glance_reml"]
    assert list(simple.coef().columns) == ["grpvar", "grp", "(Intercept)", "x"]
    ml = rb.Lmer("y ~ x + (1 | g)", reml=False).fit(groups())
    assert tuple(ml.glance().columns) == TABLES["glance_ml"]
    assert {x for columns in TABLES.values() for x in columns} <= set(GLOSSARY)


def test_tables_are_copies(simple: rb.MerMod) -> None:
    for name in ("fixef", "ranef", "varcorr", "vcov", "coef", "tidy", "fitted"):
        first = getattr(simple, name)()
        before = first.copy()
        first.iloc[0] = first.iloc[-1]
        assert not first.equals(before)
        assert getattr(simple, name)().equals(before), name


def test_shape_does_not_depend_on_the_number_of_groups() -> None:
    data = groups()
    two = data[data["g"].isin(["g1", "g2"])]
    for frame in (data, two):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit = rb.Lmer("y ~ x + (1 | g)").fit(frame)
        assert list(fit.ranef().columns) == list(TABLES["ranef"])
        assert len(fit.ranef()) == fit.ngrps["g"] == frame["g"].nunique()


def test_attributes(simple: rb.MerMod) -> None:
    assert simple.formula == "y ~ x + (1 + x | g)"
    assert (simple.reml, simple.nobs, simple.npar, simple.df_residual) == (True, 200, 6, 194)
    assert simple.ngrps == {"g": 20}
    assert list(simple.theta.index) == ["g.(Intercept)", "g.x.(Intercept)", "g.x"]
    assert simple.sigma == pytest.approx(1, rel=0.2)  # the data were made with 1
    assert not simple.is_singular
    assert simple.messages == ()
    assert simple.optimizer == "nloptwrap"
    assert -2 * simple.log_lik == pytest.approx(simple.criterion, rel=1e-14)  # same sum, rounded
    assert repr(simple) == "<MerMod: y ~ x + (1 + x | g); REML, 200 obs., g 20>"
    assert simple.summary().startswith("Linear mixed model fit by REML")
    assert re.match(r"<pre style=\"[^\"]*\">Linear mixed", simple._repr_html_())


def test_fitted_and_residuals_are_indexed_as_the_frame() -> None:
    data = groups().set_index(pd.Index([f"row{i}" for i in range(200)]))
    data.loc["row3", "x"] = np.nan
    fit = rb.Lmer("y ~ x + (1 | g)").fit(data)
    assert fit.nobs == 199
    assert "row3" not in fit.fitted().index
    total = fit.fitted() + fit.residuals()
    np.testing.assert_allclose(total, data.loc[total.index, "y"], rtol=1e-13)  # one rounding each
    padded = rb.Lmer("y ~ x + (1 | g)", na_action="na.exclude").fit(data)
    assert np.isnan(padded.residuals()["row3"])
    assert len(padded.fitted()) == 200


def test_arguments_by_column_and_by_array_agree() -> None:
    data = groups()
    for name, column in (("weights", "w"), ("subset", "half"), ("offset", "w")):
        named: dict[str, Any] = {name: column}
        by_name = rb.Lmer("y ~ x + (1 | g)", **named).fit(data)
        for given in (data[column], data[column].to_numpy(), data[column].tolist()):
            other = rb.Lmer("y ~ x + (1 | g)", **{name: given}).fit(data)
            assert other == by_name, name
        assert by_name != rb.Lmer("y ~ x + (1 | g)").fit(data)


def test_arguments_of_wrong_length_or_index_are_refused() -> None:
    data = groups()
    with pytest.raises(rb.ArgumentError, match=r"weights has shape \(3,\).*200 rows"):
        rb.Lmer("y ~ x + (1 | g)", weights=[1, 2, 3]).fit(data)
    with pytest.raises(rb.ArgumentError, match="offset has another index"):
        rb.Lmer("y ~ x + (1 | g)", offset=data["w"].iloc[::-1]).fit(data)
    for subset in (data["half"].astype(int).to_numpy(), "w"):
        with pytest.raises(rb.ArgumentError, match=r"subset holds .*64: it needs True or False"):
            rb.Lmer("y ~ x + (1 | g)", subset=subset).fit(data)
    with pytest.raises(rb.ArgumentError, match=r"subset names 'nope'"):
        rb.Lmer("y ~ x + (1 | g)", subset="nope").fit(data)
    with pytest.raises(rb.ArgumentError, match=r"'na.omit', 'na.exclude'"):
        rb.Lmer("y ~ x + (1 | g)", na_action="drop")


def test_control_reaches_lme4_and_unknown_names_are_refused() -> None:
    data = groups()
    fit = rb.Lmer(
        "y ~ x + (1 | g)", control={"optimizer": "bobyqa", "optCtrl": {"maxfun": 5000}}
    ).fit(data)
    assert fit.optimizer == "bobyqa"
    assert 'optimizer = "bobyqa"' in fit.summary()
    with pytest.raises(
        rb.ArgumentError,
        match=r"no argument 'optimiser' \(did you mean 'optimizer'\?\); it has optimizer",
    ):
        rb.Lmer("y ~ x + (1 | g)", control={"optimiser": "bobyqa"}).fit(data)


def test_contrasts_and_start() -> None:
    data = groups().assign(f=["a", "b"] * 100)
    fit = rb.Lmer("y ~ f + (1 | g)", contrasts={"f": "contr.sum"}, start=[0.7]).fit(data)
    assert fit.fixef()["term"].tolist() == ["(Intercept)", "f1"]
    with pytest.raises(rb.ArgumentError, match="contrasts names 'q'"):
        rb.Lmer("y ~ f + (1 | g)", contrasts={"q": "contr.sum"}).fit(data)


def test_odd_column_names_in_backticks() -> None:
    data = groups()
    plain = rb.Lmer("y ~ x + (1 | g)").fit(data)
    for name in ("if", "a b", "ü", "NA", "x.y z"):
        odd = data.rename(columns={"x": name, "g": f"g {name}"})
        fit = rb.Lmer(f"y ~ `{name}` + (1 | `g {name}`)").fit(odd)
        assert fit.fixef()["estimate"].tolist() == plain.fixef()["estimate"].tolist()


def test_splines_are_found() -> None:
    data = groups()
    one = rb.Lmer("y ~ ns(x, 3) + (1 | g)").fit(data)
    other = rb.Lmer("y ~ splines::ns(x, 3) + (1 | g)").fit(data)
    assert one.fixef()["estimate"].tolist() == other.fixef()["estimate"].tolist()
    again = one.predict(data.head(7))
    np.testing.assert_allclose(again, one.fitted().head(7), rtol=1e-12)  # another order of sums


def test_predict_with_and_without_random_effects(simple: rb.MerMod) -> None:
    data = groups()
    np.testing.assert_allclose(simple.predict(data), simple.fitted(), rtol=1e-13)  # sum order
    beta = simple.fixef()["estimate"].to_numpy()
    fixed = simple.predict(data, re_form="NA")
    np.testing.assert_allclose(fixed, beta[0] + beta[1] * data["x"], rtol=1e-13)
    new = data.head(2).assign(g="new").set_index(pd.Index(["p", "q"]))
    with pytest.raises(rb.RCallError, match="new levels"):
        simple.predict(new)
    allowed = simple.predict(new, allow_new_levels=True)
    assert list(allowed.index) == ["p", "q"]
    np.testing.assert_allclose(allowed, beta[0] + beta[1] * new["x"], rtol=1e-13)
    only = simple.predict(data, re_form="~(1 | g)")
    assert not np.allclose(only, simple.fitted())
    with pytest.raises(rb.ArgumentError, match="newdata must be a DataFrame"):
        simple.predict({"x": [1]})


def test_simulate_confint_anova(simple: rb.MerMod) -> None:
    sims = simple.simulate(3, seed=1)
    assert list(sims.columns) == ["sim_1", "sim_2", "sim_3"]
    assert sims.equals(simple.simulate(3, seed=1))
    wald = simple.confint(method="Wald").set_index("term")
    se = simple.tidy().set_index("term")["std_error"]
    estimate = simple.fixef().set_index("term")["estimate"]
    np.testing.assert_allclose(
        wald.loc["x", "conf_high"], estimate["x"] + 1.959964 * se["x"], rtol=1e-6
    )  # the normal quantile, as written here
    smaller = rb.Lmer("y ~ x + (1 | g)").fit(groups())
    table = simple.anova(smaller)
    assert list(table.index) == [smaller.formula, simple.formula]
    assert tuple(table.columns) == TABLES["anova"]
    assert table["df"].tolist()[1] == 2
    with pytest.raises(rb.ArgumentError, match="not str"):
        simple.anova("other")  # type: ignore[arg-type]


def test_any_r_function_can_be_asked(simple: rb.MerMod) -> None:
    assert simple.r.call("lme4::getME", "n_rtrms").value.tolist() == [1]
    assert simple.r.call("stats::AIC").value.tolist() == [simple.aic]
    with pytest.raises(rb.RCallError, match="not an exported object"):
        simple.r.call("lme4::nosuchthing")


def test_equality_copies_and_pickles(simple: rb.MerMod) -> None:
    assert simple == rb.Lmer("y ~ x + (1 + x | g)").fit(groups())
    assert simple != rb.Lmer("y ~ x + (1 | g)").fit(groups())
    for again in (copy.copy(simple), copy.deepcopy(simple), pickle.loads(pickle.dumps(simple))):
        assert again == simple
        assert again.predict(groups().head(3)).equals(simple.predict(groups().head(3)))
        assert again.summary() == simple.summary()


def test_singular_fit_is_kept_and_warned_of() -> None:
    data = groups().assign(y=lambda d: d["y"] - d.groupby("g")["y"].transform("mean"))
    with pytest.warns(rb.RWarning, match="boundary.*singular"):
        fit = rb.Lmer("y ~ x + (1 | g)").fit(data)
    assert fit.is_singular
    assert any("singular" in x for x in fit.messages)


def test_dropped_columns_are_told() -> None:
    data = groups().assign(x2=lambda d: 2 * d["x"])
    with pytest.warns(rb.RWarning, match="rank deficient"):
        fit = rb.Lmer("y ~ x + x2 + (1 | g)").fit(data)
    assert fit.dropped == ("x2",)


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("y ~ x", r"no random term: add one"),
        ("y ~ x + (1 | g", r"unexpected end of input"),
        ("y ~ x + (1 | g))", r"unexpected '\)'"),
        ("y ~ q + (1 | g)", r"names 'q', not among the columns 'y', 'x', 'g'"),
        ("~ x + (1 | g)", r"no response"),
        ("y + x", r"no '~'"),
        ("", r"result|parsing"),
        ("y ~ x; y ~ x", r"parsing|unexpected"),
        ("y ~ system('id') + (1 | g)", r"calls 'system', which is not on the list.*`allow`"),
        ("y ~ base::system('id') + (1 | g)", r"'base::system'"),
        ("y ~ `::`(base, system)('id') + (1 | g)", r"not on the list"),
        ("y ~ eval(parse(text = 'x')) + (1 | g)", r"'eval', 'parse'"),
        ("y ~ {x} + (1 | g)", r"'\{'"),
        ("y ~ (x <- 1) + (1 | g)", r"'<-'"),
        ("y ~ (function(a) a)(x) + (1 | g)", r"not on the list"),
        ("y ~ get('x') + (1 | g)", r"'get'"),
        ("y ~ I(log(system('id'))) + (1 | g)", r"'system'"),
    ],
)
def test_wrong_formulas_have_clear_errors(formula: str, text: str) -> None:
    with pytest.raises(rb.FormulaError, match=f"(?s){text}"):
        rb.Lmer(formula).fit(groups())


def test_allow_extends_the_list() -> None:
    data = groups()
    with pytest.raises(rb.FormulaError, match="'rank'"):
        rb.Lmer("rank(y) ~ x + (1 | g)").fit(data)
    assert rb.Lmer("rank(y) ~ x + (1 | g)", allow=["rank"]).fit(data).nobs == 200
    with pytest.raises(rb.ArgumentError, match="list of function names"):
        rb.Lmer("y ~ x + (1 | g)", allow="rank")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda d: d.iloc[:0], rb.ArgumentError, "data is empty"),
        (lambda d: d.to_numpy(), rb.ArgumentError, "must be a pandas DataFrame, not ndarray"),
        (lambda d: None, rb.ArgumentError, "not NoneType"),
        (lambda d: d.set_axis(["y", "x", "g", "w", "w"], axis=1), rb.ArgumentError, r"\['w'\]"),
        (lambda d: d.assign(x=np.nan), rb.ArgumentError, "column 'x' has no value at all"),
        (lambda d: d.assign(x=[np.inf] * 200), rb.ArgumentError, "'x' holds infinite values"),
        (lambda d: d.assign(g="one"), rb.FitError, "must have > 1 sampled level"),
        (lambda d: d.assign(g=[f"{i}" for i in range(200)]), rb.FitError, "number of levels"),
        (lambda d: d.assign(y=pd.to_timedelta(d["y"])), rb.EncodingError, "column 'y'"),
    ],
    ids=["empty", "array", "none", "twice", "all missing", "infinite", "one level", "each a level",
         "timedelta"],
)  # fmt: skip
def test_wrong_data_have_clear_errors(change: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        rb.Lmer("y ~ x + (1 | g)").fit(change(groups()))


def test_formula_must_be_text() -> None:
    with pytest.raises(rb.ArgumentError, match="must be text"):
        rb.Lmer(3)  # type: ignore[arg-type]


def test_verbose_goes_to_the_log(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("INFO", logger="rbridge_mi.r"):
        rb.Lmer("y ~ x + (1 | g)", verbose=1, control={"optimizer": "bobyqa"}).fit(groups())
    assert "f(" in caplog.text or "fn" in caplog.text
    assert capfd.readouterr().out == ""


def test_verbose_fits_of_a_list_are_logged_apart(caplog: pytest.LogCaptureFixture) -> None:
    imp = rb.ImputedData.from_frames([groups(seed=i).assign(g=groups()["g"]) for i in range(5)])
    model = rb.Lmer("y ~ x + (1 | g)", verbose=1, control={"optimizer": "bobyqa"})
    with caplog.at_level("INFO", logger="rbridge_mi.r"):
        model.fit(imp)
        together = [record.getMessage() for record in caplog.records]
        caplog.clear()
        for frame in imp:
            model.fit(frame)
    # The list's short fits share a turn of R's; what each printed is still its own.
    assert len(set(together)) == 5
    assert together == [record.getMessage() for record in caplog.records]


def test_a_fit_does_not_hold_r_hostage_to_the_frame() -> None:
    """The frame may change after the fit: R has its own copy."""
    data = groups()
    fit = rb.Lmer("y ~ x + (1 | g)").fit(data)
    before = fit.predict()
    data["x"] = 0.0
    assert fit.predict().equals(before)


def test_r_state_is_untouched_by_fits() -> None:
    before = rdoor.call("base::search").value.tolist()
    rb.Lmer("y ~ x + (1 | g)").fit(groups())
    assert rdoor.call("base::search").value.tolist() == before


def test_a_shared_column_that_r_cannot_hold_is_named(hsb: pd.DataFrame) -> None:
    """In a list of fits, what all data sets share goes to R once, by a call of its own."""
    frame = hsb.head(300).assign(when=pd.period_range("2000", periods=300, freq="D"))
    data = rb.ImputedData.from_frames([frame, frame.assign(ses=frame["ses"] + 1)])
    with pytest.raises(rb.EncodingError, match=r"^column 'when' has dtype period"):
        rb.Lmer("mathach ~ ses + when + (1 | schid)").fit(data)


def test_the_users_event_callback_is_put_back_after_a_fit(hsb: pd.DataFrame) -> None:
    from rpy2.rinterface_lib import openrlib

    rb.load_hsb()  # R has been started
    before = openrlib.rlib.ptr_R_ProcessEvents
    assert before != openrlib.ffi.NULL
    with pytest.raises(rb.FitError):
        rb.Lmer("mathach ~ ses + (1 | constant)").fit(hsb.assign(constant=1))
    assert openrlib.rlib.ptr_R_ProcessEvents == before
