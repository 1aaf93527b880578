"""The suite covers what it says that it covers, and allows nothing without a reason."""

from __future__ import annotations

import re

import pytest

from rbridge_mi.parity import CASES, ImputationCase, ModelCase, Suite

from . import (
    test_amelia,
    test_columns,
    test_datasets,
    test_estimation,
    test_generalised,
    test_jomo,
    test_mice,
    test_pan,
    test_random,
    test_terms,
)

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

MODELS = [x for x in CASES if isinstance(x, ModelCase)]
LINEAR = [x for x in MODELS if x.fitter == "lmer"]
GENERALISED = [x for x in MODELS if x.fitter != "lmer"]
IMPUTATIONS = [x for x in CASES if isinstance(x, ImputationCase)]


def test_there_are_enough_cases_and_each_is_tested_once() -> None:
    assert len(LINEAR) >= 100 and len(GENERALISED) >= 60 and len(IMPUTATIONS) >= 100
    names = [x.name for x in CASES]
    assert len(set(names)) == len(names)
    files = (
        test_amelia, test_columns, test_datasets, test_estimation, test_generalised, test_jomo,
        test_mice, test_pan, test_random, test_terms,
    )  # fmt: skip
    assert sorted(x.name for file in files for x in file.HERE) == sorted(names)


def test_no_tolerance_without_its_reason() -> None:
    for case in CASES:
        for apart in case.apart.values():
            assert len(apart.reason) > 40, case.name


@pytest.mark.parametrize(
    "pattern",
    [
        r"\(1 \| Subject\)", r"Days \| Subject", r"\|\|", r"\(0 \+ Days \| Subject\)",
        r"batch/cask", r"\(1 \| s\) \+ \(1 \| d\)", r"\(1 \| plate\)",
        r"\| Subject\) \+ \(0 \+ Days \| Subject\)", "REML = FALSE", "weights = ", "offset = ",
        r"offset\(", "subset = ", "contr.treatment", "contr.sum", "contr.helmert", "contr.poly",
        r"poly\(", r"splines::ns\(", r"I\(", r"log\(", r"scale\(", r"^log\(\w+\) ~", "na.omit",
        "na.exclude", "bobyqa", "Nelder_Mead", "nlminbwrap", "start = ", "optCtrl", "calc.derivs",
    ],
)  # fmt: skip
def test_every_kind_of_model_is_there(pattern: str) -> None:
    texts = [re.sub(r"^lmer\(", "", x.r_call()) for x in LINEAR]
    assert any(re.search(pattern, text) for text in texts)


@pytest.mark.parametrize(
    "pattern",
    [
        "family = binomial[,)]", r"binomial\(link = \"probit", r"binomial\(link = \"cloglog",
        r"binomial\(link = \"cauchit", r"binomial\(link = \"log\"", "family = poisson[,)]",
        r"poisson\(link = \"sqrt", r"poisson\(link = \"identity", "family = Gamma[,)]",
        r"Gamma\(link = \"log", r"Gamma\(link = \"identity", r"family = inverse.gaussian[,)]",
        r"inverse.gaussian\(link = \"log", r"gaussian\(link = \"log", r"^glmer.nb\(",
        r"negative.binomial\(theta", "nAGQ = 0", "nAGQ = 1L", "nAGQ = 5", "nAGQ = 11", "nAGQ = 25",
        r"cbind\(", "weights = ", "offset = ", r"offset\(", "subset = ", "na.exclude",
        "mustart = ", "etastart = ", "start = ", "contrasts = ", "nb.control", "initCtrl",
        r"optimizer = c\(", "bobyqa", "nloptwrap", "nAGQ0initStep", "tolPwrss", "calc.derivs",
        "compDev", r"\(1 \| id\) \+ \(1 \| item\)", r"\(1 \| site/plot\)", r"\(ses \|\| schid\)",
        r"\(0 \+ ses \| schid\)", r"\(1 \| INDEX\)", "quasi",
    ],
)  # fmt: skip
def test_every_kind_of_generalised_model_is_there(pattern: str) -> None:
    assert any(re.search(pattern, x.r_call()) for x in GENERALISED)


@pytest.mark.parametrize(
    "argument",
    ["noms", "ords", "logs", "sqrts", "lgstc", "ts", "cs", "polytime", "splinetime", "intercs",
     "lags", "leads", "priors", "bounds", "empri", "idvars", "overimp"],
)  # fmt: skip
def test_every_family_of_amelia_s_arguments_is_there(argument: str) -> None:
    assert any(x.name == argument for case in IMPUTATIONS for x in case.arguments)


@pytest.mark.parametrize(
    "part",
    ["Y2 = ", "X = ", "X2 = ", "Z = ", "clus = ", 'meth = "fixed"', 'meth = "random"', "a.prior = ",
     "l1cov.prior = ", "l2cov.prior = ", "u.start = ", "jomo.lmer", "jomo.glmer", "level = c"],
)  # fmt: skip
def test_every_family_of_jomo_s_arguments_is_there(part: str) -> None:
    assert any(part in case.script for case in IMPUTATIONS)


@pytest.mark.parametrize(
    "argument",
    ["method", "predictor_matrix", "ignore", "where", "blocks", "visit_sequence", "formulas",
     "blots", "post", "default_method", "maxit", "data_init", "eps", "donors"],
)  # fmt: skip
def test_every_argument_of_mice_is_there(argument: str) -> None:
    of_mice = [x for x in IMPUTATIONS if x.family == "mice"]
    assert len(of_mice) >= 25
    assert any(x.name == argument for case in of_mice for x in case.arguments)


def test_what_the_names_promise_is_so(suite: Suite) -> None:
    """A case whose name says that it is singular, warns or drops columns really does so."""
    import warnings

    import rbridge_mi as rb

    def fit(name: str) -> rb.MerMod:
        (case,) = [x for x in MODELS if x.name == name]
        frame = suite.data(case)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return case.python_model(frame).fit(frame)

    for case in GENERALISED:
        if case.family == "glmer_refused":
            with pytest.raises(rb.FitError):
                fit(case.name)
    assert fit("glmer_awkward/singular").is_singular
    assert fit("glmer_awkward/singular_slopes").is_singular
    assert fit("glmer_awkward/rank_deficient").dropped == ("twice",)
    messages = fit("glmer_awkward/stopped_early").messages
    messages += fit("glmer_awkward/not_converged").messages
    messages += fit("glmer_awkward/rescale").messages
    for text in ("failed to converge", "failure to converge", "nearly unidentifiable",
                 "very different scales", "negative eigenvalues"):  # fmt: skip
        assert any(text in x for x in messages), text
    assert fit("awkward/singular").is_singular
    assert fit("awkward/singular_slopes").is_singular
    assert fit("awkward/rank_deficient").dropped == ("twice",)
    messages = fit("awkward/stopped_early").messages + fit("awkward/rescale_slopes").messages
    assert any("failed to converge" in x for x in messages)
    assert any("very different scales" in x for x in messages)
