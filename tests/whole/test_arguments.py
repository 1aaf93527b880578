"""Arguments: each has R's effect, or is refused by name; none is dropped."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import pooling
from rbridge_mi.inference.diagnostics import Diagnostics
from rbridge_mi.mertools import MerToolsTables
from rbridge_mi.testing import run_r
from tests.inference.inference_data import complete, fitted, imputed

pytestmark = [pytest.mark.r, pytest.mark.slow]

FORMULA = "y ~ x1 + f + (1 + f | g)"


@pytest.fixture(scope="module")
def data() -> rb.ImputedData:
    return imputed(complete(groups=14), m=3)


@pytest.fixture(scope="module")
def fits(data: rb.ImputedData) -> rb.MerModList:
    return fitted("y ~ x1 + f + (1 | g)", data)


@pytest.fixture(scope="module")
def fit(fits: rb.MerModList) -> rb.MerMod:
    return fits[0]


# --- every public function, with an argument that it doesn't have ---------------------------------

UNKNOWN = "no_such_argument"
CLASSES = (
    *(x for name in rb.__all__ if inspect.isclass(x := getattr(rb, name))),
    Diagnostics,
    MerToolsTables,
)
# The keywords of these are names of columns.
NAMES_OF_COLUMNS = {"ImputedData.assign"}


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in rb.__all__:
        found = getattr(rb, name)
        if inspect.isfunction(found):
            yield name, found
    for cls in CLASSES:
        if issubclass(cls, BaseException):
            continue
        yield cls.__name__, cls
        for name, found in inspect.getmembers(cls):
            if not name.startswith("_") and (inspect.isfunction(found) or inspect.ismethod(found)):
                yield f"{cls.__name__}.{name}", found


def passes_on(function: Callable[..., Any]) -> bool:
    return any(x.kind is x.VAR_KEYWORD for x in inspect.signature(function).parameters.values())


PUBLIC = dict(public())


@pytest.mark.parametrize("name", [x for x in PUBLIC if not passes_on(PUBLIC[x])])
def test_unknown_arguments_are_named(name: str) -> None:
    with pytest.raises(TypeError, match=UNKNOWN):
        PUBLIC[name](**{UNKNOWN: 1})


def _set_params(made: Any) -> Callable[[rb.MerModList, dict[str, Any]], Any]:
    return lambda fits, more: made.set_params(**more)


# Those that pass arguments on, with what they need to get so far.
PASSING: dict[str, Callable[[rb.MerModList, dict[str, Any]], Any]] = {
    "impute": lambda fits, more: rb.impute(fits.data.original, **more),
    "imputation_plan": lambda fits, more: rb.imputation_plan(
        fits.data.original, rb.Lmer("y ~ x1 + f + (1 | g)"), **more
    ),
    "AmeliaImputer": lambda fits, more: rb.AmeliaImputer(**more),
    "JomoImputer": lambda fits, more: rb.JomoImputer(**more),
    "MiceImputer": lambda fits, more: rb.MiceImputer(**more),
    "PanImputer": lambda fits, more: rb.PanImputer(formula="y ~ x1 + (1 | g)", **more),
    **{
        f"{type(x).__name__}.set_params": _set_params(x)
        for x in (
            rb.AmeliaImputer(),
            rb.BootstrapImputer(),
            rb.CompatibleImputer(FORMULA),
            rb.JomoImputer(),
            rb.MiceImputer(),
            rb.PanImputer(formula="y ~ x1 + (1 | g)"),
            rb.Lmer(FORMULA),
            rb.Glmer(FORMULA),
            rb.GlmerNb(FORMULA),
        )
    },
    "MerMod.predict": lambda fits, more: fits[0].predict(**more),
    "MerMod.simulate": lambda fits, more: fits[0].simulate(**more),
    "MerMod.confint": lambda fits, more: fits[0].confint(**more),
    "MerMod.emmeans": lambda fits, more: fits[0].emmeans("f", **more),
    "MerMod.emtrends": lambda fits, more: fits[0].emtrends("f", "x1", **more),
    "PooledMerMod.emtrends": lambda fits, more: fits.pool().emtrends("f", "x1", **more),
    "PooledMerMod.emmeans": lambda fits, more: fits.pool().emmeans("f", **more),
}


def test_all_that_pass_on_are_tried() -> None:
    assert {x for x in PUBLIC if passes_on(PUBLIC[x])} - NAMES_OF_COLUMNS == set(PASSING)


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("unknown", [UNKNOWN, "no.such.argument", "na_act", "..."])
def test_unknown_arguments_are_not_passed_on(name: str, unknown: str, fits: rb.MerModList) -> None:
    with pytest.raises(rb.ArgumentError, match="has no argument") as error:
        PASSING[name](fits, {unknown: 1})
    assert f"'{unknown.replace('_', '.')}'" in str(error.value).replace("_", ".")


def test_every_argument_of_rs_methods_is_taken_or_refused_with_a_reason(fit: rb.MerMod) -> None:
    """What lme4's methods have, this R's version of them, is known here by name."""
    methods = "list(predict = 'predict', simulate = 'simulate', confint = 'confint')"
    made = run_r(
        f"found <- lapply({methods}, function(x) "
        "names(formals(getFromNamespace(paste0(x, '.merMod'), 'lme4'))))"
    )["found"]
    cases: list[tuple[str, Callable[..., Any], set[str]]] = [
        ("predict", fit.predict, {"newdata", "re.form", "allow.new.levels"}),
        ("simulate", fit.simulate, {"nsim", "seed"}),
        ("confint", fit.confint, {"parm", "level", "method"}),
    ]
    for method, ask, own in cases:
        for name in set(made[method]) - own - {"object", "..."}:
            for spelled in {name, name.replace(".", "_")}:
                try:
                    ask(**{spelled: object()})
                except rb.ArgumentError as error:
                    assert f"{method} has no argument" not in str(error), error
                except Exception:  # taken, and then an object() isn't what it should be
                    continue


# --- predict, simulate and confint against R's ----------------------------------------------------

R = """
suppressMessages(library(lme4))
fit <- lmer(y ~ x1 + f + (1 | g), data)
new <- data[c(1, 30, 31, 60), ]
random <- predict(fit, new, random.only = TRUE)
own <- predict(fit, random.only = TRUE)
params <- predict(fit, new, newparams = list(beta = c(1, 2, 3, 4), theta = 2))
holed <- within(new, x1[2] <- NA)
omitted <- predict(fit, holed, na.action = na.omit)
used <- simulate(fit, 2, seed = 3, use.u = TRUE)
formed <- simulate(fit, 1, seed = 3, re.form = ~(1 | g))
fixed <- simulate(fit, 1, seed = 3, cond.sim = FALSE)
fresh <- simulate(fit, 2, seed = 3, newdata = new)
named <- rownames(confint(fit, method = "Wald", oldNames = FALSE))
set.seed(4)
boot <- suppressMessages(confint(fit, method = "boot", nsim = 20, boot.type = "norm"))
"""


def test_arguments_have_rs_effect(fit: rb.MerMod, data: rb.ImputedData) -> None:
    found = run_r(R, data=data[0])
    new = data[0].iloc[[0, 29, 30, 59]]

    def same(mine: Any, theirs: Any) -> None:
        np.testing.assert_array_equal(np.asarray(mine, float), np.asarray(theirs, float))

    same(fit.predict(new, random_only=True), found["random"])
    dotted: dict[str, Any] = {"random.only": True}
    same(fit.predict(new, **dotted), found["random"])
    same(fit.predict(random_only=True), found["own"])
    params = {"beta": [1.0, 2.0, 3.0, 4.0], "theta": 2.0}
    same(fit.predict(new, newparams=params), found["params"])
    holed = new.assign(x1=[*new["x1"][:1], np.nan, *new["x1"][2:]])
    omitted = fit.predict(holed, na_action="na.omit")
    same(omitted, found["omitted"])
    assert omitted.index.equals(new.index[[0, 2, 3]])
    same(fit.simulate(2, seed=3, use_u=True), found["used"])
    same(fit.simulate(2, seed=3, **{"use.u": True}), found["used"])
    assert not fit.simulate(2, seed=3).equals(fit.simulate(2, seed=3, use_u=True))
    same(fit.simulate(1, seed=3, re_form="~(1 | g)"), found["formed"])
    same(fit.simulate(1, seed=3, re_form=None), found["formed"])
    same(fit.simulate(1, seed=3, cond_sim=False), found["fixed"])
    fresh = fit.simulate(2, seed=3, newdata=new)
    same(fresh, found["fresh"])
    assert fresh.index.equals(new.index)
    assert fit.confint(method="Wald", oldNames=False)["term"].tolist() == list(found["named"])
    boot = fit.confint(method="boot", nsim=20, boot_type="norm", seed=4)
    same(boot[["conf_low", "conf_high"]], found["boot"])


def test_standard_errors_of_one_fit(fit: rb.MerMod, data: rb.ImputedData) -> None:
    new = data[0].iloc[[3, 40, 41]]
    table = fit.predict(new, re_form="NA", se_fit=True)
    x = np.column_stack([np.ones(3), new["x1"], new["f"] == "b", new["f"] == "c"]).astype(float)
    expected = np.sqrt(np.einsum("ij,jk,ik->i", x, fit.vcov().to_numpy(), x))
    # A triangular solve against the covariance matrix itself.
    np.testing.assert_allclose(table["std_error"], expected, rtol=1e-9)
    assert table["estimate"].tolist() == fit.predict(new, re_form="NA").tolist()
    own = fit.predict(se_fit=True)
    assert own.index.equals(fit.index) and (own["std_error"] > 0).all()
    assert own["std_error"].tolist() == pytest.approx(
        fit.predict(data[0], se_fit=True)["std_error"]
    )


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda fit: fit.predict(terms=1), "does not take 'terms': lme4 has not implemented it"),
        (lambda fit: fit.predict(ReForm=None), "'ReForm': it is an old name of re_form"),
        (lambda fit: fit.predict(type="terms"), "type must be one of"),
        (lambda fit: fit.predict(re_form=3), "re_form must be None"),
        (lambda fit: fit.predict(re_form="NA", random_only=True), "nothing to predict"),
        (lambda fit: fit.predict(se_fit=True, random_only=True), "combined with random.only"),
        (lambda fit: fit.predict(random_only=True, **{"random.only": True}), "twice"),
        (lambda fit: fit.simulate(family="poisson"), "the fit has its family"),
        (lambda fit: fit.simulate(weights=[1]), "'weights': lme4 takes it only where"),
        (lambda fit: fit.simulate(use_u=True, re_form="NA"), "one of use_u and re_form"),
        (lambda fit: fit.simulate(0), "nsim must be a whole number"),
        (lambda fit: fit.confint(parm="nope"), "parm has no argument 'nope'|parm.*nope"),
        (lambda fit: fit.confint(parm=["x1", "nope"]), "nope"),
        (lambda fit: fit.confint(parm=9), "the fit has 6 terms"),
        (lambda fit: fit.confint(level=95), "level must be a number between 0 and 1"),
        (lambda fit: fit.confint(level=float("nan")), "level must be a number between 0 and 1"),
        (lambda fit: fit.confint(method="wald"), "method must be one of"),
        (lambda fit: fit.confint(seed=1), "seed is for method='boot'"),
        (lambda fit: fit.confint(nsim=9), "'nsim': it is of method='boot', and this is 'profile'"),
        (lambda fit: fit.confint(method="Wald", zeta=2), "'zeta': it is of method='profile'"),
        (lambda fit: fit.confint(quiet=True), "nothing is printed here"),
        (lambda fit: fit.confint(old_names=False), "no argument 'old_names'"),
        (lambda fit: fit.anova(refit=False), "refit is for comparing fits"),
    ],
)  # fmt: skip
def test_refused(ask: Callable[[rb.MerMod], Any], said: str, fit: rb.MerMod) -> None:
    with pytest.raises(rb.ArgumentError, match=said):
        ask(fit)


def test_lists_refuse_what_has_no_effect(fits: rb.MerModList, data: rb.ImputedData) -> None:
    for ask in (fits.glance, fits.model_info):
        with pytest.raises(rb.ArgumentError, match="no valid pooled value"):
            ask(by_imputation=False)
    model = rb.Lmer("y ~ x1 + (1 | g)")
    for arguments in ({"n_jobs": 2}, {"errors": "keep"}, {"return_objects": True}):
        with pytest.raises(rb.ArgumentError, match=f"{next(iter(arguments))} of fit.. is for"):
            model.fit(data[0], **arguments)
    with pytest.raises(rb.ArgumentError, match="dfcom is for method='D1'"):
        rb.compare(fits, model.fit(data), method="D3", dfcom=10)


# --- one fit and pooled fits answer alike ---------------------------------------------------------


@pytest.fixture(scope="module")
def sloped(data: rb.ImputedData) -> rb.MerModList:
    return fitted(FORMULA, data)


WRONG: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = {
    "new group": (lambda d: d.assign(g="zz"), "new levels of g: zz.*allow_new_levels=True"),
    "new level": (
        lambda d: d.assign(f="zz"),
        "new levels of f: zz; the fit has coefficients for a",
    ),
    "missing group": (lambda d: d.assign(g=None), "group g is missing in 3 of the 3 rows"),
    "no group": (lambda d: d.drop(columns="g"), "newdata has no column 'g'"),
    "no column": (lambda d: d.drop(columns=["x1", "f"]), "newdata has no column 'x1', 'f'"),
    "text": (lambda d: d.assign(x1="a"), "column 'x1' is text or a factor in newdata, and was num"),
    "numbers": (lambda d: d.assign(f=1.5), "column 'f' is numeric in newdata, and was text or a f"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_newdata(what: str, sloped: rb.MerModList, data: rb.ImputedData) -> None:
    change, said = WRONG[what]
    wrong = change(data[0].head(3))
    heard = set()
    for ask in (sloped[0].predict, sloped.predict):
        with pytest.raises(rb.PredictionError, match=said) as error:
            ask(wrong)
        heard.add((str(error.value), error.value.r_message))
    assert len(heard) == 1  # the same words, and R's own
    with pytest.raises(rb.PredictionError, match=f"{said}|missing values in 'g'"):
        sloped[0].simulate(newdata=wrong)


def test_rows_with_gaps_have_no_prediction(sloped: rb.MerModList, data: rb.ImputedData) -> None:
    rows = data[0].head(4)
    gaps = rows.assign(
        f=rows["f"].where([True, False, True, True]), x1=rows["x1"].where([True, True, False, True])
    )
    for fit in sloped:
        mine, whole = fit.predict(gaps), fit.predict(rows)
        assert mine.isna().tolist() == [False, True, True, False]
        assert mine.iloc[[0, 3]].equals(whole.iloc[[0, 3]])
    assert sloped.predict(gaps)["estimate"].isna().tolist() == [False, True, True, False]
    with pytest.raises(rb.PredictionError, match="missing values in 'x1', 'f'"):
        sloped[0].simulate(newdata=gaps)


def test_a_factors_slope_may_be_left_out(sloped: rb.MerModList, data: rb.ImputedData) -> None:
    """lme4 stops here ("contrasts can be applied only to factors"): these are ours."""
    rows = data[0].head(5)
    for fit in sloped:
        modes = fit.ranef().query("term == '(Intercept)'").set_index("grp")["condval"]
        expected = fit.predict(rows, re_form="NA") + modes.loc[rows["g"]].to_numpy()
        # The sum in another order.
        np.testing.assert_allclose(fit.predict(rows, re_form="~(1 | g)"), expected, rtol=1e-12)
        np.testing.assert_allclose(fit.predict(re_form="~(1 | g)")[:5], expected, rtol=1e-12)
    both = np.mean([x.predict(rows, re_form="~(1 | g)") for x in sloped], axis=0)
    np.testing.assert_allclose(sloped.predict(rows, re_form="~(1 | g)")["estimate"], both)
    with pytest.raises(rb.PredictionError, match="leaves out the slope of a factor"):
        sloped[0].simulate(re_form="~(1 | g)")


def test_a_dot_stands_for_the_columns_of_the_fit(data: rb.ImputedData) -> None:
    names = ["y", "x1", "f", "g"]
    both = rb.ImputedData.from_frames([data[0][names], data[1][names]])
    fits = fitted("y ~ . - g + (1 | g)", both)
    same = fitted("y ~ x1 + f + (1 | g)", both)
    for rows in (data[0].head(5)[names], data[0].head(5)[["x1", "f", "g"]]):
        assert fits.predict(rows).equals(same.predict(rows))
        assert fits[0].predict(rows).equals(same[0].predict(rows))
    new = data[0].iloc[::9].head(4)[names].assign(g=lambda d: ["new", *d["g"][1:]])
    for one, other in ((fits, same), (fits[0], same[0])):
        mine = one.predict(new, allow_new_levels=True)
        assert mine.equals(other.predict(new, allow_new_levels=True))


def test_no_rows(sloped: rb.MerModList, data: rb.ImputedData) -> None:
    none = data[0].head(0)
    for form in (None, "NA"):
        assert len(sloped[0].predict(none, re_form=form)) == 0
        assert len(sloped.predict(none, re_form=form)) == 0
    assert sloped[0].simulate(2, newdata=none).shape == (0, 2)


def test_an_offset_argument_is_missed_aloud(data: rb.ImputedData) -> None:
    frame = data[0].assign(off=3.0)
    fit = rb.Lmer("y ~ x1 + (1 | g)", offset="off").fit(frame)
    inside = rb.Lmer("y ~ x1 + offset(off) + (1 | g)").fit(frame)
    for ask in (lambda x: x.predict(frame), lambda x: x.simulate(newdata=frame)):
        with pytest.warns(rb.RWarning, match=r"offset= is not part.*offset\(column\)"):
            ask(fit)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ask(inside)
    both = rb.ImputedData.from_frames([frame, frame.assign(x1=frame["x1"] + 0.01)])
    with pytest.warns(rb.RWarning, match="offset= is not part"):
        fitted("y ~ x1 + (1 | g)", both, offset="off").predict(frame)


# --- weights --------------------------------------------------------------------------------------


def test_a_new_observation_has_its_own_weight(data: rb.ImputedData) -> None:
    weighted = data.assign(w=lambda d: np.resize([0.25, 1.0, 9.0], len(d)))
    fits = fitted("y ~ x1 + (1 | g)", weighted, weights="w")
    rows = weighted[0].iloc[[0, 1, 2]]
    assert rows["w"].tolist() == [0.25, 1.0, 9.0]
    u = np.array([x.predict(rows, se_fit=True)["std_error"] ** 2 for x in fits])
    q = np.array([x.predict(rows) for x in fits])
    more = np.array([x.sigma**2 / rows["w"] for x in fits])
    expected = pooling.pool_scalars(q, u + more, dfcom=float(fits[0].df_residual))
    for newdata, at in ((rows, [0, 1, 2]), (None, [0, 1, 2])):
        table = fits.predict(newdata, interval="prediction").iloc[at]
        np.testing.assert_allclose(table["std_error"], expected.std_error, rtol=1e-9)
    with pytest.raises(rb.PredictionError, match=r"newdata has no column 'w', which are the fit"):
        fits.predict(rows.drop(columns="w"), interval="prediction")
    with pytest.raises(rb.PredictionError, match="must be positive"):
        fits.predict(rows.assign(w=0.0), interval="prediction")
    assert fits.predict(rows.drop(columns="w")).equals(fits.predict(rows))
    values = fitted("y ~ x1 + (1 | g)", weighted, weights=weighted[0]["w"].to_numpy())
    with pytest.raises(rb.PredictionError, match="given as values, one per row"):
        values.predict(rows, interval="prediction")
    np.testing.assert_allclose(
        values.predict(interval="prediction"), fits.predict(interval="prediction")
    )
    for ask in (
        lambda: fits[0].simulate(1, seed=1),
        lambda: fits[0].confint(parm="x1", method="boot", nsim=5, seed=1),
    ):
        with pytest.warns(rb.RWarning, match=r"simulate.*leaves the fit's weights out"):
            ask()


# --- degrees of freedom of predictions ------------------------------------------------------------

R_DF = """
suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)})
found <- lapply(frames, function(d) {
  fit <- lme4::lmer(y ~ x1 + f + (1 + x1 | g), d)
  X <- model.matrix(~ x1 + f, d)[c(1, 20, 30), ]
  model <- as_lmerModLmerTest(fit)
  list(satterthwaite = apply(X, 1, function(x) contest1D(model, x)$df),
       kr = apply(X, 1, function(x) ddf_Lb(vcovAdj(fit), x, vcov(fit))))
})
"""


def test_small_sample_df_of_predictions(data: rb.ImputedData) -> None:
    fits = fitted("y ~ x1 + f + (1 + x1 | g)", data)
    found = run_r(R_DF, frames=list(data))["found"]
    rows = data[0].iloc[[0, 19, 29]][["x1", "f", "g"]]
    frames = [d.assign(x1=data[0]["x1"], f=data[0]["f"]) for d in data]  # neither has holes
    assert all(x["x1"].equals(data[0]["x1"]) for x in frames)
    q = np.array([x.predict(rows, re_form="NA") for x in fits])
    u = np.array([x.predict(rows, re_form="NA", se_fit=True)["std_error"] ** 2 for x in fits])
    for method, name in (("satterthwaite", "satterthwaite"), ("kenward-roger", "kr")):
        dfcom = np.mean([x[name] for x in found], axis=0)
        expected = pooling.pool_scalars(q, u, dfcom=dfcom)
        table = fits.predict(rows, re_form="NA", interval="confidence", dfcom=method)
        # Numerical derivatives of the variance: each by its own path.
        np.testing.assert_allclose(table["df"], expected.df, rtol=1e-5)
        np.testing.assert_allclose(table["conf_low"], expected.conf_low, rtol=1e-5)


def test_df_of_balanced_one_way_predictions() -> None:
    """Balanced groups of one mean: closed forms. The grand mean's variance is MSB / (a n), with
    a - 1 df; a new group's observation has (1 + 1/a) (MSB - MSE) / n + (1 + 1/(a n)) MSE, whose
    Satterthwaite df are v^2 / sum of (c MS)^2 / df."""
    a, n = 6, 5
    rng = np.random.default_rng(3)
    y = np.repeat(rng.normal(size=a) * 2, n) + rng.normal(size=a * n)
    frame = pd.DataFrame({"y": y, "g": np.repeat([f"g{i}" for i in range(a)], n)})
    fits = fitted("y ~ 1 + (1 | g)", rb.ImputedData.from_frames([frame, frame]))
    means = frame.groupby("g")["y"].mean()
    msb = n * float(((means - y.mean()) ** 2).sum()) / (a - 1)
    mse = float(((frame["y"] - means.loc[frame["g"]].to_numpy()) ** 2).sum()) / (a * n - a)
    assert msb > mse
    parts = np.array([(1 + 1 / a) / n * msb, (1 + 1 / (a * n) - (1 + 1 / a) / n) * mse])
    new = parts.sum() ** 2 / (parts**2 / [a - 1, a * n - a]).sum()
    row = frame.head(1)
    cases: list[tuple[Literal["confidence", "prediction"], float, float]] = [
        ("confidence", float(a - 1), msb / (a * n)),
        ("prediction", float(new), float(parts.sum())),
    ]
    for interval, df, v in cases:
        table = fits.predict(row, re_form="NA", interval=interval, dfcom="satterthwaite")
        # Without variance between imputations: Barnard and Rubin's (1999) df of the observed data.
        expected = pooling.barnard_rubin_df(2, 0.0, df)
        assert float(table["df"].iloc[0]) == pytest.approx(float(expected), rel=1e-3), interval
        assert float(table["std_error"].iloc[0]) == pytest.approx(v**0.5, rel=1e-4)


def test_df_need_a_linear_function(fits: rb.MerModList, data: rb.ImputedData) -> None:
    rows = data[0].head(2)
    cases: list[dict[str, Any]] = [{}, {"re_form": "NA", "interval": "prediction"}]
    for arguments in cases:
        with pytest.raises(rb.ArgumentError, match=r"kenward-roger.*of the fixed part alone"):
            fits.predict(rows, dfcom="kenward-roger", **arguments)
    with_groups = fits.predict(rows, dfcom="satterthwaite")
    assert (with_groups["df"] < fits.predict(rows)["df"] + 1e-9).all()
    boot = fitted("y ~ x1 + (1 | g)", rb.BootstrapImputer(m=3).impute(complete(), seed=1))
    with pytest.raises(rb.ArgumentError, match="dfcom has no effect on bootstrap samples"):
        boot.predict(rows, dfcom=10)


# --- emmeans --------------------------------------------------------------------------------------


R_MEANS = """
suppressMessages({library(lme4); library(emmeans)})
emm_options(lmer.df = "asymptotic")
of <- function(d) {
  models <- list(
    offset = lmer(y ~ x1 + f + (1 | g), d, offset = off),
    inside = lmer(y ~ x1 + f + offset(off) + (1 | g), d),
    weights = lmer(y ~ x1 + f + (1 | g), d, weights = w),
    subset = lmer(y ~ x1 + f + (1 | g), d, subset = keep),
    holes = lmer(holed ~ x1 + f + (1 | g), d),
    rank = suppressMessages(lmer(y ~ f * b + x1 + (1 | g), d))
  )
  said <- function(grid) {
    s <- summary(grid, adjust = "none")
    list(mean = s[[attr(s, "estName")]], se = s$SE)
  }
  c(lapply(models, function(fit) list(
    plain = said(emmeans(fit, "f")),
    offset = said(emmeans(fit, "f", offset = 3)),
    pairwise = said(contrast(emmeans(fit, "f"), "pairwise")),
    control = said(contrast(emmeans(fit, "f"), "trt.vs.ctrl", ref = 2)),
    grid = said(emmeans(fit, c("f", "x1"), cov.keep = "x1", at = list(x1 = c(0, 1))))
  )), list(cells = said(emmeans(models$rank, c("f", "b")))))
}
found <- lapply(frames, function(d) { environment(of) <- environment(); of(d) })
"""


@pytest.fixture(scope="module")
def designs(data: rb.ImputedData) -> rb.ImputedData:
    """Beside offsets and weights a cell of f and b without data."""
    more = data.assign(
        off=lambda d: 10 + np.arange(len(d)) % 3,
        w=lambda d: 1.0 + np.arange(len(d)) % 4,
        keep=lambda d: np.arange(len(d)) % 4 > 0,
        b=lambda d: np.where(np.arange(len(d)) % 2, "u", "v"),
        holed=lambda d: d["y"].where(np.arange(len(d)) % 5 > 0),
    )
    return more.assign(b=lambda d: d["b"].where(d["f"] != "c", "u"))


@pytest.fixture(scope="module")
def means(designs: rb.ImputedData) -> Any:
    return run_r(R_MEANS, frames=list(designs))["found"]


def pooled_means(parts: list[Any]) -> pooling.PooledScalars:
    whole = np.isfinite(np.array([x["mean"] for x in parts])).all(axis=0)
    q = np.array([np.asarray(x["mean"])[whole] for x in parts])
    u = np.array([np.asarray(x["se"])[whole] for x in parts]) ** 2
    return pooling.pool_scalars(q, u)


MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "offset": ("y ~ x1 + f + (1 | g)", {"offset": "off"}),
    "inside": ("y ~ x1 + f + offset(off) + (1 | g)", {}),
    "weights": ("y ~ x1 + f + (1 | g)", {"weights": "w"}),
    "subset": ("y ~ x1 + f + (1 | g)", {"subset": "keep"}),
    "holes": ("holed ~ x1 + f + (1 | g)", {}),
}
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "offset": {"offset": 3},
    "pairwise": {"contrast": "pairwise", "adjust": "none"},
    "control": {"contrast": "trt.vs.ctrl", "ref": 2, "adjust": "none"},
    "grid": {"specs": ["f", "x1"], "at": {"x1": [0, 1]}, "cov_keep": "x1"},
}


@pytest.mark.parametrize("model", MODELS)
def test_means_are_rs(model: str, designs: rb.ImputedData, means: Any) -> None:
    formula, more = MODELS[model]
    pooled = fitted(formula, designs, **more).pool()
    for call, arguments in CALLS.items():
        expected = pooled_means([x[model][call] for x in means])
        table = pooled.emmeans(**{"specs": "f", **arguments})
        for name in ("estimate", "std_error"):
            # b is a difference of the fits' means: their last digits count.
            np.testing.assert_allclose(table[name], getattr(expected, name), rtol=1e-7)


SUMMARIES: dict[str, dict[str, Any]] = {
    "summary(pairs)": {"contrast": "pairwise"},
    "summary(pairs, adjust = 'bonferroni')": {"contrast": "pairwise", "adjust": "bonferroni"},
    "summary(pairs, adjust = 'scheffe')": {"contrast": "pairwise", "adjust": "scheffe"},
    "summary(pairs, adjust = 'holm', type = 'response')": {
        "contrast": "pairwise", "adjust": "holm", "type": "response",
    },
    "summary(contrast(grid, 'trt.vs.ctrl'))": {"contrast": "trt.vs.ctrl"},
    "summary(contrast(grid, 'poly'))": {"contrast": "poly"},
    "summary(grid)": {},
    "summary(grid, type = 'response')": {"type": "response"},
    "summary(grid, type = 'response', bias.adjust = TRUE)": {"type": "response", "bias_adj": True},
    "summary(grid, null = 0.5, side = '>')": {"null": 0.5, "side": ">"},
    "summary(grid, delta = 0.3, adjust = 'sidak')": {"delta": 0.3, "adjust": "sidak"},
    "summary(grid, level = 0.5)": {"level": 0.5},
}  # fmt: skip


def test_summaries_are_emmeans_own_of_the_pooled_means(data: rb.ImputedData) -> None:
    """As R's of one fit, with the pooled df: the imputations are the same, and df alike."""
    positive = data[0].assign(y=lambda d: np.exp(d["y"] / 4))
    same = rb.ImputedData.from_frames([positive] * 3)
    pooled = fitted("log(y) ~ x1 + f + (1 | g)", same).pool(dfcom=12)
    df = float(pooled.fixed["df"].iloc[0])
    asked = [x.replace("summary(", "summary(infer = TRUE, df = df, ") for x in SUMMARIES]
    found = run_r(
        f"""
suppressMessages({{library(lme4); library(emmeans)}})
grid <- emmeans(lmer(log(y) ~ x1 + f + (1 | g), data), "f", lmer.df = "asymptotic")
pairs <- contrast(grid, "pairwise")
found <- lapply(list({", ".join(asked)}), function(s) {{
  list(estimate = s[[attr(s, "estName")]], std_error = s$SE, p_value = s$p.value,
    conf_low = s[[attr(s, "clNames")[1]]], conf_high = s[[attr(s, "clNames")[2]]],
    statistic = s$t.ratio)
}})""",
        data=positive,
        df=df,
    )["found"]
    for arguments, expected in zip(SUMMARIES.values(), found, strict=True):
        table = pooled.emmeans("f", **arguments)
        for name, values in expected.items():
            np.testing.assert_allclose(table[name], values, rtol=1e-7, err_msg=f"{arguments}")
        if arguments.get("type"):
            np.testing.assert_allclose(np.sqrt(table["t"]), table["std_error"], rtol=1e-9)
    pairs = pooled.emmeans("f", contrast="pairwise", type="response")
    assert pairs["contrast"].tolist() == ["a / b", "a / c", "b / c"]
    assert "tukey method for comparing a family of 3 estimates" in pairs.attrs["note"]
    assert "not adjusted" in pooled.contrast(["fb", "fc"]).attrs["note"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"df": 10}, r"'df': degrees of freedom are pooled.*pool\(dfcom"),
        ({"lmer_df": "satterthwaite"}, "degrees of freedom are pooled"),
        ({"level": 0.9, "conf_level": 0.9}, "give one of them"),
        ({"level": 95}, "between 0 and 1"),
        ({"bias_adj": True}, "are of type='response'"),
        ({"type": "linear"}, "type must be one of"),
        ({"regrid": "response"}, "would not be linear"),
        ({"infer": True}, "both intervals and tests"),
        ({"weights": "cell"}, "weights must be one of"),
        ({"contr": "pairwise"}, "that is `contrast`"),
        ({"adjust": "mvt"}, "drawn at random"),
        ({"adjust": "turkey"}, "adjust must be one of"),
        ({"ref": 2}, "no argument 'ref'"),
        ({"contrast": "pairwise", "ref": 2}, "no argument 'ref'"),
        ({"cov_reduce": "mean"}, "cov_reduce must be"),
    ],
)  # fmt: skip
def test_emmeans_refuses(arguments: dict[str, Any], said: str, fits: rb.MerModList) -> None:
    with pytest.raises(rb.ArgumentError, match=said):
        fits.pool().emmeans("f", **arguments)


def test_contrast_methods_are_listed(fits: rb.MerModList) -> None:
    with pytest.raises(rb.RCallError, match=r"'pairs' is none of emmeans' own: .*pairwise"):
        fits.pool().emmeans("f", contrast="pairs")


def test_means_that_cant_be_estimated(designs: rb.ImputedData, means: Any) -> None:
    """A cell without data: emmeans says nonEst of it, and of nothing else."""
    fits = fitted("y ~ f * b + x1 + (1 | g)", designs)
    assert fits[0].dropped == ("fc:bv",)
    expected = pooled_means([x["cells"] for x in means])
    with pytest.warns(rb.RBridgeWarning, match=r"can't be estimated.*: c, v\. A level"):
        table = fits.pool().emmeans(["f", "b"])
    assert table["estimate"].isna().tolist() == [False] * 5 + [True]
    np.testing.assert_allclose(table["estimate"][:5], expected.estimate, rtol=1e-7)
    np.testing.assert_allclose(table["std_error"][:5], expected.std_error, rtol=1e-7)
    with pytest.warns(rb.RBridgeWarning, match="can't be estimated"):
        pairs = fits.pool().emmeans(["f", "b"], contrast="pairwise")
    assert pairs["estimate"].isna().sum() == 5 and pairs["p_value"].isna().sum() == 5
    with pytest.warns(rb.RBridgeWarning, match="can't be estimated"):
        small = fits.pool("satterthwaite").emmeans(["f", "b"])
    assert small["df"].isna().tolist() == [False] * 5 + [True]


# --- R's functions that look for the data of the fit's call ---------------------------------------


def test_influence_finds_the_data(data: rb.ImputedData) -> None:
    fit = rb.Lmer("y ~ x1 + (1 | g)").fit(data[0])
    found = run_r(
        """
library(lme4)
fit <- lmer(y ~ x1 + (1 | g), data)
found <- influence(fit, "g")[["fixed.effects[-g]"]]""",
        data=data[0],
    )["found"]
    mine = fit.r.call("stats::influence", "g").value
    deleted = mine.call("base::unclass").value["fixed.effects[-g]"]
    np.testing.assert_array_equal(deleted, np.asarray(found))
    by_case = fit.r.call("stats::influence").value
    assert len(by_case.call("stats::cooks.distance").value) == fit.nobs
