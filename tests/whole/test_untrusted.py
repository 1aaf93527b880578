"""Formulas, names and texts are data: nothing that is smuggled in through them runs.

Each attempt would make a file. It must be refused, or do nothing; and the file isn't there.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor
from rbridge_mi.jobs import JobError, check_job, run_job

pytestmark = [pytest.mark.r, pytest.mark.slow]

GOOD = "y ~ x + (1 | g)"


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    g = np.repeat([f"g{i}" for i in range(12)], 6)
    f = np.tile(["a", "b", "c"], 24)
    return pd.DataFrame({"y": rng.normal(size=72), "x": rng.normal(size=72), "g": g, "f": f})


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that an attempt would make, in the working directory, which R shares."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "canary"
    assert not (tmp_path / "canary").exists(), "code ran"


PAYLOADS = [
    "system('touch canary')",
    "base::system('touch canary')",
    "base:::system('touch canary')",
    "`system`('touch canary')",
    "'system'('touch canary')",
    "`base`::`system`('touch canary')",
    "'base'::'system'('touch canary')",
    "`::`(base, system)('touch canary')",
    "`::`('base', 'system')('touch canary')",
    "(system)('touch canary')",
    "(function(z) system('touch canary'))(1)",
    "(\\(z) system('touch canary'))(1)",
    "{system('touch canary'); x}",
    "{x}",
    "(x <- system('touch canary'))",
    "(x <<- 1)",
    "(system('touch canary') -> x)",
    "assign('x', system('touch canary'))",
    "eval(parse(text = 'system(\"touch canary\")'))",
    "evalq(system('touch canary'))",
    "eval(quote(system('touch canary')))",
    "do.call('system', list('touch canary'))",
    "do.call(system, list('touch canary'))",
    "Reduce(system, 'touch canary')",
    "sapply('touch canary', system)",
    "sapply('touch canary', 'system')",
    "match.fun('system')('touch canary')",
    "get('system')('touch canary')",
    "getFunction('system')('touch canary')",
    "file.create('canary')",
    "writeLines('x', 'canary')",
    "sink('canary')",
    "log(system('touch canary'))",
    "I(I(I(system('touch canary'))))",
    "poly(x, {system('touch canary'); 2})",
    "ifelse(TRUE, system('touch canary'), x)",
    "ns(x, knots = system('touch canary'))",
    "splines::ns(x, df = system('touch canary'))",
    "splines::system('touch canary')",
    "if (TRUE) system('touch canary') else x",
    "for (i in 1) system('touch canary')",
    "while (TRUE) system('touch canary')",
    "repeat system('touch canary')",
    "x[system('touch canary')]",
    "x[[system('touch canary')]]",
    "x$system",
    "x@system",
    "?system",
    "x |> system()",
    "-system('touch canary')",
    "!system('touch canary')",
    "(~ system('touch canary'))[[2]]",
    "local(system('touch canary'))",
    "with(list(), system('touch canary'))",
    "tryCatch(system('touch canary'))",
    "on.exit(system('touch canary'))",
    "delayedAssign('x', system('touch canary'))",
    "makeActiveBinding('x', system, environment())",
    "library(tcltk)",
    "source('canary')",
    "readRDS('canary')",
    ".Internal(system('touch canary', FALSE, 0))",
    ".Primitive('system')",
    ".Call('x')",
    "UseMethod('x')",
    "Recall()",
    "C(f, system)",
    "C(f, 'system')",
    "C(f, base::system)",
    "C(f, c('system'))",
    "C(f, as.character(f))",
    "C(f, ifelse(TRUE, 'system', ''))",
    "C(contr = 'system', object = f)",
    "C(f, co = 'system')",
    "C(f, 'sys' , 1)",
    "stats::C(f, 'system')",
    "I(C(f, 'system'))",
    # Other spellings of the same.
    "system(r'(touch canary)')",
    "sy\\u0073tem('touch canary')",
    "`sy\\u0073tem`('touch canary')",
    "'\\x73ystem'('touch canary')",
    "x |> base::system()",
    "'touch canary' |> system()",
    "c('touch canary') |> (\\(z) system(z))()",
    "base::`system`('touch canary')",
    "`:::`(base, system)('touch canary')",
    "`if`(TRUE, system('touch canary'))",
    "`for`(i, 1, system('touch canary'))",
    "`{`(system('touch canary'))",
    "`(`(system('touch canary'))",
    "`%in%`(x, system('touch canary'))",
    "x %in% system('touch canary')",
    "x %o% system('touch canary')",
    "`<-`(x, system('touch canary'))",
    "`$`(x, system('touch canary'))",
    "dummy(f, system('touch canary'))",
    "cut(x, breaks = system('touch canary'))",
    "poly(x, 2, coefs = system('touch canary'))",
    "C(f, r'(system)')",
    "C(f, 'sy\\u0073tem')",
    "C(f, contr.treatment(system('touch canary')))",
    "C(f, contr.sum, contrasts = 'system')",
    "stats::`C`(f, 'system')",
    "splines::C(f, 'system')",
]
PLACES: dict[str, Callable[[str], str]] = {
    "fixed": lambda p: f"y ~ x + {p} + (1 | g)",
    "response": lambda p: f"{p} ~ x + (1 | g)",
    "within": lambda p: f"y ~ I(x + {p}) + (1 | g)",
    "slope": lambda p: f"y ~ x + ({p} | g)",
    "group": lambda p: f"y ~ x + (1 | {p})",
    "nested": lambda p: f"y ~ x + (1 | g / {p})",
    "double bar": lambda p: f"y ~ x + ({p} || g)",
}


def test_the_canary_sings(data: pd.DataFrame, tmp_path: Path, monkeypatch: Any) -> None:
    """The payloads do make the file where they are let."""
    monkeypatch.chdir(tmp_path)
    for i, function in enumerate(("system", "file.create")):
        text = "'touch canary'" if i == 0 else "'canary'"
        with refused_or_harmless():
            rb.Lmer(f"y ~ x + {function}({text}) + (1 | g)", allow=[function]).fit(data)
        (tmp_path / "canary").unlink()


@contextmanager
def refused_or_harmless() -> Iterator[None]:
    """Whatever is said: what counts is that nothing ran."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(rb.RBridgeError):
            yield


@pytest.mark.parametrize("payload", PAYLOADS)
def test_formulas_run_nothing(payload: str, data: pd.DataFrame, canary: Path) -> None:
    for place in PLACES.values():
        with pytest.raises(rb.FormulaError):
            rb.Lmer(place(payload)).fit(data)


@pytest.mark.parametrize(
    "text",
    [
        "system('touch canary')",
        "y ~ x + (1 | g); system('touch canary')",
        "y ~ x + (1 | g)\nsystem('touch canary')",
        "y <- system('touch canary') ~ x",
        "y = system('touch canary') ~ x",
        "system('touch canary'); y ~ x + (1 | g)",
        "~ x + (1 | g)",
        "",
        " ",
        "NULL",
        "y ~",
        "y ~ x + (1 | g",
        "y ~ x + (1 | g) #\\",
        "y ~ '",
        "y ~ `",
        'y ~ r"(',
        "y ~ \\u{41}",
        "y ~ 0x",
        "y ~ x + (1 | g)" + " + x" * 20_000 + "(",
        "y ~ " + "(" * 10_000,
        "y ~ " + "-" * 20_000 + "x + (1 | g)",
        "y ~ x\0 + (1 | g)",
        "y ~ \ud800",
    ],
    ids=lambda text: repr(text[:24]),
)  # fmt: skip
def test_what_is_no_formula_is_refused(text: str, data: pd.DataFrame, canary: Path) -> None:
    if text.endswith("#\\"):
        rb.Lmer(text).fit(data)  # a comment is one
        return
    with pytest.raises((rb.FormulaError, rb.EncodingError)):
        rb.Lmer(text).fit(data)


def test_the_refusal_names_the_call_and_the_remedy(data: pd.DataFrame) -> None:
    with pytest.raises(rb.FormulaError, match=r"calls 'eval', 'parse'.*`allow`"):
        rb.Lmer("y ~ eval(parse(text = 'x')) + (1 | g)").fit(data)
    with pytest.raises(rb.FormulaError, match=r"calls 'stats::runif'.*`allow`"):
        rb.Lmer("y ~ stats::runif + (1 | g)").fit(data)
    with pytest.raises(rb.FormulaError, match=r"\"system\" as a coding in C\(f, \"system\"\)"):
        rb.Lmer("y ~ C(f, 'system') + (1 | g)").fit(data)


def test_what_is_meant_is_allowed(data: pd.DataFrame) -> None:
    fit = rb.Lmer("y ~ rev(x) + (1 | g)", allow=["rev"]).fit(data)
    expected = rb.Lmer(GOOD).fit(data.assign(x=data["x"].to_numpy()[::-1]))
    assert fit.criterion == expected.criterion
    data = data.assign(f=data["f"].astype("category"))
    rb.Lmer("y ~ C(f, contr.helmert) + C(f, c(-1, 0, 1), 1) + (1 | g)").fit(data)
    rb.Lmer("y ~ C(f, stats::contr.sum) + C(f, 'contr.SAS') + (1 | g)").fit(data)
    rb.Lmer("y ~ C(f, contr.treatment(3, base = 2)) + (1 | g)").fit(data)


NAMES = [
    "system",
    "base::system",
    "quit",
    "eval",
    "file.create",
    "print",
    "function(n) 1",
    "",
    "`x`",
]


def plan(model: rb.Lmer, data: pd.DataFrame) -> None:
    """Make R's call, as workers do without the checks that come before any fit."""
    rdoor.call_object("plan_model", model.specification(data), list(data.columns))


@pytest.mark.parametrize("name", NAMES)
def test_contrasts_call_only_rs_own(name: str, data: pd.DataFrame, canary: Path) -> None:
    commands = data.assign(f=data["f"].map({"a": "touch canary", "b": "b", "c": "c"}))
    for value in (name, [name], [name, name], {"x": name}):
        with pytest.raises(rb.FormulaError, match=r"contrasts of 'f' must be one of contr\.treat"):
            rb.Lmer("y ~ f + (1 | g)", contrasts={"f": value}).fit(commands)
        with pytest.raises(rb.RCallError, match=r"contrasts of 'f'"):
            plan(rb.Lmer("y ~ f + (1 | g)", contrasts={"f": value}), commands)


@pytest.mark.parametrize("name", ["contr.sum", "system", "C", "T", "if", "~", "(weights)", "NA"])
@pytest.mark.parametrize("value", ["system", "touch canary"])
def test_columns_that_bear_the_name_of_a_function(
    name: str, value: str, data: pd.DataFrame, canary: Path
) -> None:
    """R looks a function up by name; a text that stands there instead must not be called."""
    data = data.assign(f=data["f"].astype("category"))
    decoy = data.assign(**{name: value})
    for term in (f"C(f, `{name}`)", f"C(f, `{name}`, 1)", f"`{name}`(x)", f"log(abs(`{name}`))"):
        with pytest.raises(rb.RBridgeError):
            rb.Lmer(f"y ~ {term} + (1 | g)").fit(decoy)
    expected = rb.Lmer("y ~ C(f, contr.sum) + I(x) + (1 | g)").fit(data)
    if name != "contr.sum":
        again = rb.Lmer("y ~ C(f, contr.sum) + I(x) + (1 | g)").fit(decoy)
        assert again.criterion == expected.criterion


def test_new_data_do_not_name_functions(data: pd.DataFrame, canary: Path) -> None:
    """One row with a text for the coding: R would call what it names."""
    data = data.assign(f=data["f"].astype("category"))
    row = data.head(1).assign(**{"contr.sum": "stop"})
    frames = [data, data.assign(x=data["x"] + 0.01)]
    fits = rb.Lmer("y ~ x + C(f, contr.sum, 1) + (1 | g)").fit(rb.ImputedData.from_frames(frames))
    plain = fits[0].predict(data.head(1))
    assert len(plain) == 1
    for call in (fits[0].predict, fits.predict, partial(fits[0].simulate, 1, seed=1)):
        with pytest.raises(
            rb.RBridgeError, match=r"'contr\.sum' is a coding in C\(\), and a column"
        ):
            call(newdata=row)
    assert fits[0].predict(row.rename(columns={"contr.sum": "other"})).equals(plain)


def test_contrasts_that_are_meant(data: pd.DataFrame) -> None:
    named = rb.Lmer("y ~ f + (1 | g)", contrasts={"f": "contr.sum"}).fit(data)
    matrix = rb.Lmer(
        "y ~ f + (1 | g)", contrasts={"f": np.array([[1.0, 0], [0, 1], [-1, -1]])}
    ).fit(data)
    assert named.beta.to_numpy() == pytest.approx(matrix.beta.to_numpy(), rel=1e-6)
    rb.Lmer("y ~ f + (1 | g)", contrasts={"f": "contrasts"}, allow=["contrasts"])


@pytest.mark.parametrize("name", [*NAMES, ["bobyqa", "system"]])
def test_optimizers_are_those_of_the_list(name: Any, data: pd.DataFrame, canary: Path) -> None:
    model = rb.Lmer(GOOD, control={"optimizer": name})
    with pytest.raises(rb.FormulaError, match=r"the optimizer '.*' is none of nloptwrap"):
        model.fit(data)
    with pytest.raises(rb.RCallError, match=r"the optimizer '.*' is none of nloptwrap"):
        plan(model, data)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_re_form_runs_nothing(payload: str, data: pd.DataFrame, canary: Path) -> None:
    fit = fits_of(data)[0]
    for text in (f"~ ({payload} | g)", f"~ (1 | {payload})", f"~ {payload}", payload):
        with pytest.raises(rb.RCallError):
            fit.predict(data, re_form=text)
        with pytest.raises(rb.RBridgeError):
            fits_of(data).predict(data, re_form=text)
        with pytest.raises(rb.RCallError):
            fit.simulate(1, seed=1, **{"re.form": text})


@pytest.mark.parametrize("payload", PAYLOADS)
def test_derived_columns_run_nothing(payload: str, data: pd.DataFrame, canary: Path) -> None:
    holes = data.assign(d=data["x"]).mask(data.index.to_series() < 3, np.nan)[["y", "d", "x"]]
    holes = holes.assign(g=data["g"])
    for text in (payload, f"x + {payload}", f"x) + ({payload}", f"I({payload})"):
        with pytest.raises(rb.RBridgeError):
            rb.imputation_plan(holes, rb.Lmer("y ~ d + (1 | g)"), derived={"d": text})


_FITS: dict[int, rb.MerModList] = {}


def fits_of(data: pd.DataFrame) -> rb.MerModList:
    if id(data) not in _FITS:
        frames = [data, data.assign(x=data["x"] + 0.01)]
        _FITS[id(data)] = rb.Lmer(GOOD).fit(rb.ImputedData.from_frames(frames))
    return _FITS[id(data)]


def test_re_form_that_is_meant(data: pd.DataFrame) -> None:
    fit = fits_of(data)[0]
    assert fit.predict(data, re_form="~ (1 | g)").equals(fit.predict(data))
    assert fit.simulate(2, seed=1, **{"re.form": "~ (1 | g)"}).shape == (72, 2)
    assert fit.simulate(2, seed=1, **{"use.u": True}).shape == (72, 2)


@pytest.mark.parametrize("name", ["na.action", "na.act", "FUN", "family", "terms", "newparams"])
@pytest.mark.parametrize("text", ["system", "quit", "file.create", ["system"], {"theta": "system"}])
def test_passed_on_arguments_name_no_functions(
    name: str, text: Any, data: pd.DataFrame, canary: Path
) -> None:
    fit = fits_of(data)[0]
    for method in (fit.predict, fit.simulate, fit.confint):
        with pytest.raises(
            rb.RBridgeError, match=r"holds text.*not passed on|has no argument|take"
        ):
            method(**{name: text})
    # Behind the check of names stands R's own.
    form: dict[str, Any] = {"newdata": None, "re_form": None, "allow_new_levels": False}
    profile = {"parm": None, "level": 0.95, "method": "profile", "seed": None}
    for function, own in (
        ("mermod_predict", form),
        ("mermod_simulate", {"nsim": 1, "seed": 1}),
        ("mermod_confint", profile),
    ):
        with pytest.raises(rb.RCallError, match=r"holds text.*not passed on"):
            fit.r.call(function, **own, **{name: text})


@pytest.mark.parametrize(
    "text", ["system('touch canary')", "f; system('touch canary')", "system", "pairwise ~ f"]
)
def test_marginal_means_run_nothing(text: str, data: pd.DataFrame, canary: Path) -> None:
    frame = data.assign(f=data["f"].astype("category"))
    frames = [frame, frame.assign(x=frame["x"] + 0.01)]
    pooled = rb.Lmer("y ~ x + f + (1 | g)").fit(rb.ImputedData.from_frames(frames)).pool()
    with pytest.raises(rb.RBridgeError):
        pooled.emmeans(text)
    with pytest.raises(rb.RBridgeError):
        pooled.emmeans("f", contrast=text)
    arguments: dict[str, Any]
    for name in ("cov.reduce", "data", "vcov.", "nesting", "tran", "regrid", "mode", "options"):
        arguments = {name: text}
        with pytest.raises(rb.ArgumentError, match=r"has no argument|does not take|must be"):
            pooled.emmeans("f", **arguments)
        with pytest.raises(rb.RCallError, match="holds text"):
            fit = pooled.fits[0]
            fit.r.call("marginal_means", ["f"], None, None, arguments, {})
    for name in ("weights", "by", "type", "cov.keep", "submodel"):
        arguments = {name: text}
        with refused_or_harmless():
            pooled.emmeans("f", **arguments)
    with pytest.raises(rb.RBridgeError):
        pooled.test(f"{text} = 0")


def test_choices_among_passed_on_arguments(data: pd.DataFrame) -> None:
    fit = fits_of(data)[0]
    holes = data.assign(x=data["x"].where(data.index != 3))
    omit: dict[str, Any] = {"na.action": "na.omit"}
    assert len(fit.predict(holes, type="response", **omit)) == 71
    assert len(fit.confint(parm="x", optimizer="bobyqa")) == 1
    with pytest.raises(rb.RCallError, match="is none of"):
        fit.confint(parm="x", optimizer="system")


EVIL = [
    "system('touch canary')",
    "`system('touch canary')`",
    "x`); system('touch canary'); (`",
    "x'); system('touch canary'); ('",
    'x"); system("touch canary"); ("',
    "x\\`); system('touch canary')",
    "1 | system('touch canary')",
    "a + system('touch canary')",
    "if",
    "function(x) x",
    "{}",
    "x <- 1",
    "base::system",
    "a\nb",
    "...",
    "..1",
    "",
    " ",
    "TRUE",
    "(Intercept)",
    "data",
    "weights",
    "formula",
    "ü 漢",
]


@pytest.mark.parametrize("name", EVIL)
def test_names_of_columns_are_not_code(name: str, data: pd.DataFrame, canary: Path) -> None:
    quoted = "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
    frame = data.rename(columns={"x": name})
    group = data.rename(columns={"g": name})
    with refused_or_harmless():
        fit = rb.Lmer(f"y ~ {quoted} + ({quoted} || g)").fit(frame)
        assert fit.nobs == 72
        fit.predict(frame.head(3))
        fit.confint(method="Wald")
        str(fit.summary())
        fit.anova()
        fit.anova(type=2)
        fit.fixed("kenward-roger")
        fit.emtrends("g", name)
    with refused_or_harmless():
        fit = rb.Lmer(f"y ~ x + (1 + x | {quoted})").fit(group)
        fit.predict(group.head(3)), fit.ranef(), fit.coef()
    for argument in ("weights", "offset", "subset"):
        with refused_or_harmless():
            given = frame.assign(**{name: 1.0}) if argument != "subset" else frame
            if argument == "subset":
                given = frame.assign(**{name: True})
            named: dict[str, Any] = {argument: name}
            rb.Lmer("y ~ 1 + (1 | g)", **named).fit(given)
    holes = frame.copy()
    holes.loc[::7, name] = np.nan
    with refused_or_harmless():
        imputer = rb.AmeliaImputer(m=2, idvars=["g"], noms=["f"], logs=[])
        imp = imputer.impute(holes, seed=1)
        assert list(imp[0].columns) == list(frame.columns)
    with refused_or_harmless():
        rb.AmeliaImputer(m=2, idvars=["g", "f"], lags=name, ts=name).impute(holes, seed=1)
    with refused_or_harmless():
        rb.Lmer(f"y ~ {name} + (1 | g)").fit(frame)  # unquoted: a formula of its own


@pytest.mark.parametrize("name", EVIL)
def test_levels_are_not_code(name: str, data: pd.DataFrame, canary: Path) -> None:
    levels = {"a": name, "b": "b", "c": "c"}
    frame = data.assign(f=pd.Categorical(data["f"].map(levels)), g=data["g"].replace("g3", name))
    with refused_or_harmless():
        fit = rb.Lmer("y ~ f * x + (1 + x | g)").fit(frame)
        assert fit.ngrps == {"g": 12}
        fit.predict(frame.head(3)), fit.ranef(), fit.coef(), str(fit.summary())
        fit.confint(method="Wald")
    holes = frame.copy()
    holes.loc[::7, "f"] = np.nan
    with refused_or_harmless():
        imp = rb.AmeliaImputer(m=2, idvars=["g"], noms=["f"]).impute(holes, seed=1)
        assert set(imp[0]["f"]) <= {name, "b", "c"}
        rb.Lmer("y ~ f + (1 | g)").fit(imp).pool()


AMELIA: dict[str, list[Any]] = {
    "priors": ["system('touch canary')", [["system", 1, 2, 3]]],
    "bounds": ["system('touch canary')", [["system('touch canary')", 1, 2]]],
    "tolerance": ["system('touch canary')"],
    "startvals": ["system('touch canary')", ["system"]],
    "boot.type": ["system('touch canary')"],
    "arglist": ["system('touch canary')", {"x": "system('touch canary')"}],
    "emburn": [["system('touch canary')", "quit()"]],
    "cl": ["system('touch canary')"],
    "incheck": ["system('touch canary')"],
    "polytime": ["system('touch canary')"],
    "empri": ["system('touch canary')"],
    "max.resample": ["system('touch canary')"],
    "parallel": ["system('touch canary')"],
    "frontend": ["system('touch canary')"],
    "noms": ["system('touch canary')"],
    "ts": ["system('touch canary')"],
}


@pytest.mark.parametrize(("name", "values"), AMELIA.items(), ids=list(AMELIA))
def test_amelias_arguments_are_not_code(
    name: str, values: list[Any], data: pd.DataFrame, canary: Path
) -> None:
    holes = data.drop(columns="f")
    holes.loc[::7, "x"] = np.nan
    for value in values:  # some of them once ended the process
        with pytest.raises(rb.ArgumentError, match=name):
            rb.AmeliaImputer(m=2, idvars=["g"], **{name: value}).impute(holes, seed=1)


@pytest.mark.parametrize("value", ["system('touch canary')", ["system"], {"theta": "system()"}])
def test_other_arguments_of_the_model(value: Any, data: pd.DataFrame, canary: Path) -> None:
    for arguments in (
        {"start": value},
        {"control": {"optCtrl": {"maxfun": value}}},
        {"control": {"check.conv.grad": value}},
        {"control": {"check.nobs.vs.nlev": value}},
        {"control": {"calc.derivs": value}},
        {"na_action": value},
        {"verbose": value},
        {"reml": value},
        {"weights": value},
        {"offset": value},
        {"subset": value},
    ):
        try:
            with refused_or_harmless():
                rb.Lmer(GOOD, **arguments).fit(data)
        except (ValueError, TypeError):
            pass


def test_a_vector_is_not_mistaken_for_a_column_of_its_name(data: pd.DataFrame) -> None:
    weights = np.linspace(1.0, 2.0, len(data))
    expected = rb.Lmer(GOOD, weights=weights).fit(data)
    for name in ("weights", ".weights"):
        decoy = data.assign(**{"weights": 1.0, name: 1.0})
        found = rb.Lmer(GOOD, weights=weights).fit(decoy)
        assert found.criterion == expected.criterion
    assert expected.criterion != rb.Lmer(GOOD).fit(data).criterion


# Names that are programs, each breaking out in its own way where a text of them is parsed: as a
# call, out of brackets, and without a bracket (R's `[` is made another function first).
PROGRAMS = [
    "file.create('canary')",
    "g)+(1|file.create('canary'))+(1|g",
    "a+'[' <- file.create; 'canary'[TRUE]+b",
    "{file.create('canary')}",
    "x <- file.create('canary')",
]

# What the named column replaces in a frame of y, x, z, g, h and f; the formula; other arguments.
NAMED: dict[str, tuple[str, str, dict[str, str]]] = {
    "response": ("y", "@ ~ x + f + (x | g)", {}),
    "response alone": ("y", "@ ~ (1 | g)", {}),
    "response within a call": ("y", "log(@ + 1) ~ f + (1 | g)", {}),
    "response within a product": ("y", "I(@ * 2) ~ f + (1 | g)", {}),
    "covariate": ("x", "y ~ @ * f + (1 | g)", {}),
    "covariate alone": ("x", "y ~ @ + (1 | g)", {}),
    "covariate within calls": ("x", "y ~ log(@) + poly(@, 2) + f + (1 | g)", {}),
    "factor": ("f", "y ~ @ * x + (1 | g)", {}),
    "factor alone": ("f", "y ~ @ + (1 | g)", {"contrasts": "contr.sum"}),
    "factor made": ("f", "y ~ factor(@) + x + (1 | g)", {}),
    "coding": ("f", "y ~ C(@, contr.sum) + x + (1 | g)", {}),
    "all columns": ("x", "y ~ . - g - h - s + (1 | g)", {}),
    "slope": ("x", "y ~ @ + f + (@ | g)", {}),
    "slope of a double bar": ("x", "y ~ @ + f + (@ || g)", {}),
    "factor of a double bar": ("f", "y ~ x + (@ || g)", {}),
    "group": ("g", "y ~ x + f + (x | @)", {}),
    "group of a double bar": ("g", "y ~ x + f + (x || @)", {}),
    "group of a second double bar": ("g", "y ~ x + f + (1 | h) + (0 + x || @)", {}),
    "inner group": ("h", "y ~ x + f + (x || g/@)", {}),
    "outer group": ("g", "y ~ x + f + (1 | @/h)", {}),
    "group of an interaction": ("h", "y ~ x + @ + (1 | g) + (x || interaction(g, @))", {}),
    "weights": ("x", "y ~ z + f + (1 | g)", {"weights": "@"}),
    "offset": ("x", "y ~ z + f + (1 | g)", {"offset": "@"}),
    "offset within the formula": ("x", "y ~ z + f + offset(@) + (1 | g)", {}),
    "subset": ("s", "y ~ x + f + (1 | g)", {"subset": "@"}),
}


@pytest.fixture(scope="module")
def wide() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    n = 96
    return pd.DataFrame(
        {
            "y": rng.normal(20.0, 1.0, size=n),
            "x": rng.normal(9.0, 1.0, size=n),
            "z": rng.normal(size=n),
            "g": np.repeat([f"g{i}" for i in range(12)], 8),
            "h": np.tile(["p", "q"], n // 2),
            "f": pd.Categorical(np.tile(["a", "b", "c"], n // 3)),
            "s": True,
        }
    )


def ask_everything(fits: rb.MerModList, frame: pd.DataFrame, part: str, names: list[str]) -> None:
    """Every question that R, or a text of R, takes part in; an answer may be a refusal."""
    fit = fits[0]
    pooled = fits.pool()
    again = rb.Lmer("z ~ 1 + (1 | h)").fit(frame) if {"z", "h"} <= set(frame) else fit
    matrix = np.eye(len(fit.beta))[-2:]
    questions: list[Callable[[], Any]] = [
        *(getattr(fit, x) for x in ("ranef", "coef", "varcorr", "r2", "residuals", "summary")),
        fit.anova,
        *(partial(fit.anova, type=x) for x in (1, 2)),
        partial(fit.anova, ddf="kenward-roger"),
        partial(fit.anova, again),
        *(partial(fit.test, matrix, dfcom=x) for x in ("satterthwaite", "kenward-roger")),
        pooled.anova,
        partial(str, fit),
        partial(fit.predict, frame.head(9), allow_new_levels=True),
        partial(fit.predict, re_form="NA"),
        partial(fit.confint, method="Wald"),
        partial(fit.confint, parm=fit.beta.index[-1]),
        partial(fit.confint, method="boot", seed=1, nsim=2),
        partial(fit.simulate, 1, seed=1, **{"use.u": True}),
        partial(fits.predict, frame.head(9), interval="prediction"),
        lambda: pooled.random,
        lambda: pooled.advice,
        partial(pooled.test, matrix),
        fits.mertools.summary,
        fits.mertools.ranef,
    ]
    for form in (part, f"~ (1 || {part.rpartition('|')[2]}"):
        questions += [
            partial(fit.predict, re_form=form),
            partial(fit.predict, frame, re_form=form),
            partial(fit.simulate, 1, seed=1, **{"re.form": form}),
            partial(fits.predict, frame, re_form=form),
        ]

    def pooled_and_tested(dfcom: str) -> Any:
        return fits.pool(dfcom=dfcom).test(matrix)

    for dfcom in ("satterthwaite", "kenward-roger"):
        questions.append(partial(pooled_and_tested, dfcom))
    for name in names:
        questions += [
            partial(pooled.emmeans, name, contrast="pairwise"),
            partial(pooled.emmeans, "f", by=name, weights="proportional", submodel="minimal"),
            partial(pooled.emmeans, name, at={name: [1.0, 2.0]}, type="response"),
            partial(pooled.emtrends, "f", name),
            partial(pooled.test, f"`{name}` = 0"),
            partial(pooled.contrast, name),
        ]
    for ask in questions:
        with refused_or_harmless():
            ask()


# Every role with two of the programs, and those where a text is known to be parsed with all.
ROLES_AND_PROGRAMS = [
    (role, name)
    for i, role in enumerate(NAMED)
    for j, name in enumerate(PROGRAMS)
    if (i - j) % 5 in (0, 2)
    or role in ("response within a call", "covariate alone", "group of a double bar")
]


@pytest.mark.parametrize(("role", "name"), ROLES_AND_PROGRAMS)
def test_names_that_are_programs(role: str, name: str, wide: pd.DataFrame, canary: Path) -> None:
    column, formula, arguments = NAMED[role]
    frame = wide.rename(columns={column: name})
    quoted = f"`{name}`"
    given: dict[str, Any] = dict.fromkeys(arguments, name)
    if "contrasts" in arguments:
        given = {"contrasts": {name: arguments["contrasts"]}}
    model = rb.Lmer(formula.replace("@", quoted), **given)
    other = rb.Lmer(f"{model.formula.partition('~')[0]} ~ 1 + (1 | {'g' if 'g' in frame else 'h'})")
    frames = [frame.assign(z=frame["z"] + shift) for shift in (0.0, 0.01)]
    imp = rb.ImputedData.from_frames(frames)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = model.fit(imp)
        reduced = other.fit(imp)
    part = "~ (" + model.formula.rpartition("(")[2] if "interaction" not in formula else "~ (1 | g)"
    ask_everything(fits, frame, part, ["f", name])
    for method in ("D1", "D2", "D3", "D4"):
        with refused_or_harmless():
            rb.compare(fits, reduced, method=method)
    with refused_or_harmless():
        rb.save(fits, "saved.zip")
        rb.load("saved.zip").summary()
    with refused_or_harmless():
        rb.BootstrapImputer(m=2, cluster=name).impute(frame, seed=1)


def test_levels_that_are_programs(wide: pd.DataFrame, canary: Path) -> None:
    levels = dict(zip(["a", "b", "c"], PROGRAMS[:3], strict=True))
    groups = dict(zip([f"g{i}" for i in range(5)], PROGRAMS, strict=True))
    frame = wide.assign(
        f=wide["f"].cat.rename_categories(levels),
        g=wide["g"].replace(groups),
        h=wide["h"].replace({"p": PROGRAMS[3]}),
    )
    imp = rb.ImputedData.from_frames([frame, frame.assign(z=frame["z"] + 0.01)])
    for formula in ("y ~ f * x + (f || g) + (1 | h)", "y ~ f + h + (x || g/h)"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits = rb.Lmer(formula).fit(imp)
        ask_everything(fits, frame, "~ (1 | g)", ["f", "h", *PROGRAMS])


def test_the_response_is_no_program_for_emmeans(wide: pd.DataFrame, canary: Path) -> None:
    """emmeans evaluates pieces of the response's text, between its brackets and its plus signs."""
    program = PROGRAMS[2]
    named = wide.rename(columns={"y": program})
    both = [
        rb.Lmer(f"log(`{program}` + 1) ~ f + (1 | g)").fit(in_two(named)),
        rb.Lmer("log(y + 1) ~ f + (1 | g)").fit(in_two(wide)),
        rb.Lmer(f'log(ifelse(h == "{program}", y, y + 1)) ~ f + (1 | g)').fit(in_two(wide)),
    ]
    means = [fits.pool().emmeans("f")["estimate"].to_numpy().tobytes() for fits in both]
    assert means[0] == means[1] == means[2]


def in_two(frame: pd.DataFrame) -> rb.ImputedData:
    return rb.ImputedData.from_frames([frame, frame.assign(z=frame["z"] + 0.01)])


def test_contrasts_of_means_are_emmeans_own(wide: pd.DataFrame) -> None:
    pooled = rb.Lmer("y ~ f + (1 | g)").fit(in_two(wide)).pool()
    with pytest.raises(rb.RCallError, match=r"contrast 'nope' is none of emmeans' own: consec"):
        pooled.emmeans("f", contrast="nope")


@pytest.mark.parametrize(
    "text", ["~ (x || `system('touch canary')`)", "~ (1 | other)", "~ (q | g)"]
)
def test_re_form_names_variables_of_the_model(text: str, data: pd.DataFrame, canary: Path) -> None:
    fits = fits_of(data)
    wider = data.assign(other=data["g"], q=data["x"], **{"system('touch canary')": data["g"]})
    for call in (
        fits[0].predict,
        fits.predict,
        partial(fits[0].predict, wider),
        partial(fits.predict, wider),
    ):
        with pytest.raises(rb.RCallError, match=r"re_form names '.*', not among the model's var"):
            call(re_form=text)
    with pytest.raises(rb.RCallError, match=r"re_form names '.*', not among the model's var"):
        fits[0].simulate(1, seed=1, **{"re.form": text})


@pytest.mark.parametrize("name", PROGRAMS[:3])
def test_a_job_whose_header_is_a_program(name: str, wide: pd.DataFrame, canary: Path) -> None:
    """The check finds no mistake, since there is none: the run does as for a plain name."""
    found: list[bytes] = []
    for own in (name, "plain"):
        frame = wide[["y", "x", "g"]].rename(columns={"g": own})
        rb.ampute(frame, prop=0.1, columns=["x"], seed=1).to_csv("d.csv", index=False)
        Path("job.toml").write_text(
            f"""
            [data]
            path = "d.csv"
            [data.columns]
            {json.dumps(own)} = "text"
            x = "float"
            y = "float"
            [imputation]
            engine = "amelia"
            m = 2
            seed = 1
            idvars = [{json.dumps(own)}]
            [model]
            formula = {json.dumps(f"y ~ x + (x || `{own}`)")}
            [output]
            folder = {json.dumps(f"out-{len(found)}")}
            """
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_job("job.toml")
            result = run_job("job.toml")
        found.append((result.folder / "fixed.csv").read_bytes())
    assert found[0] == found[1]


def test_the_check_of_a_job_tells_what_a_double_bar_can_not_be(
    wide: pd.DataFrame, canary: Path
) -> None:
    name = PROGRAMS[0]
    wide[["y", "g"]].assign(**{name: wide["x"]}).to_csv("d.csv", index=False)
    Path("job.toml").write_text(
        f"""
        [data]
        path = "d.csv"
        [data.columns]
        {json.dumps(name)} = "float"
        g = "text"
        y = "float"
        [imputation]
        engine = "none"
        [model]
        formula = {json.dumps(f"y ~ (`{name}` > 1 || g)")}
        [output]
        folder = "out"
        """
    )
    with pytest.raises(JobError, match=r"write I\(`file\.create\('canary'\)` > 1\)"):
        check_job("job.toml")


@pytest.mark.parametrize(
    ("term", "hint"),
    [
        ("np.log(x)", r"for np\.log R has log\(x\)"),
        ("numpy.sqrt(x)", r"for numpy\.sqrt R has sqrt\(x\)"),
        ("np.power(x, 2)", r"for np\.power R has I\(x\^2\)"),
        ("C(f, Treatment)", r"for Treatment R has contr\.treatment"),
        ('C(f, Treatment(reference="b"))', r'for Treatment R has .* relevel\(f, ref = "b"\)'),
        ("C(f, Sum)", r"for Sum R has contr\.sum"),
        ('Q("school id")', r"for Q R has backticks"),
        ("standardize(x)", r"for standardize R has scale\(x\)"),
    ],
)
def test_pythons_names_get_rs(term: str, hint: str, data: pd.DataFrame) -> None:
    with pytest.raises(rb.FormulaError, match=hint):
        rb.Lmer(f"y ~ {term} + (1 | g)").fit(data)


def test_c_takes_a_factor(data: pd.DataFrame) -> None:
    """patsy's C(x) makes categories of any column, R's C() changes the coding of a factor."""
    for term, column in (("C(f)", "f"), ("C(f, contr.sum)", "f"), ("I(x) + C(x)", "x")):
        with pytest.raises(rb.ArgumentError, match=rf"Write factor\({column}\) for C\({column}\)"):
            rb.Lmer(f"y ~ {term} + (1 | g)").fit(data)
    factor = data.assign(f=data["f"].astype("category"))
    expected = rb.Lmer("y ~ factor(f) + (1 | g)").fit(data)
    for fit in (
        rb.Lmer("y ~ C(f) + (1 | g)").fit(factor),
        rb.Lmer("y ~ C(factor(f)) + (1 | g)").fit(data),
    ):
        assert fit.beta.to_numpy().tobytes() == expected.beta.to_numpy().tobytes()
