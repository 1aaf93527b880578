"""The arguments of Glmer and GlmerNb: what reaches R, and what is refused before."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.testing import run_r

FORMULA = "y ~ x + (1 | g)"


def frame() -> pd.DataFrame:
    random = np.random.default_rng(2)
    g = np.repeat(np.arange(20), 10)
    x = random.normal(size=200)
    eta = 0.3 + 0.5 * x + random.normal(size=20)[g]
    return pd.DataFrame(
        {
            "x": x,
            "g": [f"g{i:02}" for i in g],
            "y": random.poisson(np.exp(eta)),
            "start": np.full(200, 0.2),
            "exposure": random.uniform(0.5, 2, size=200),
        }
    )


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("binomial", ("binomial", None)),
        ("binomial(probit)", ("binomial", "probit")),
        ("stats::Gamma(link = 'log')", ("Gamma", "log")),
        ('inverse.gaussian("1/mu^2")', ("inverse.gaussian", "1/mu^2")),
        ("MASS::negative.binomial(theta = 2, link = sqrt)", ("negative.binomial", "sqrt")),
        ("poisson()", ("poisson", None)),
    ],
)
def test_a_family_is_read_as_r_writes_it(family: str, expected: tuple[str, str | None]) -> None:
    assert rb.Glmer(FORMULA, family=family).distribution == expected


def test_the_link_is_said_once() -> None:
    assert rb.Glmer(FORMULA, link="probit").distribution == ("binomial", "probit")
    with pytest.raises(rb.ArgumentError, match="says more than its name: put the link there"):
        rb.Glmer(FORMULA, family="binomial(logit)", link="probit")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"family": "binominal"}, "family 'binominal' is none of binomial, poisson"),
        ({"family": 3}, "family must be text, as in R"),
        ({"link": "loglog"}, "link must be one of .*, not 'loglog'"),
        ({"nAGQ": -1}, "nAGQ must be a whole number from 0"),
        ({"nAGQ": 2.5}, "nAGQ must be a whole number from 0"),
        ({"nAGQ": True}, "nAGQ must be a whole number from 0"),
    ],
)
def test_mistakes_are_refused_by_name(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(rb.ArgumentError, match=text):
        rb.Glmer(FORMULA, **arguments)


def test_a_negative_binomial_has_its_own_arguments() -> None:
    with pytest.raises(rb.ArgumentError, match="interval takes two numbers, not 3"):
        rb.GlmerNb(FORMULA, interval=[1, 2, 3])
    with pytest.raises(TypeError, match="family"):
        rb.GlmerNb(FORMULA, family="poisson")  # type: ignore[call-arg]


PROGRAMS = [
    "binomial(system('touch {file}'))",
    "binomial(link = (function() system('touch {file}'))())",
    "binomial(link = system)",
    "base::system('touch {file}')",
    "MASS::binomial()",
    "stats::negative.binomial(2)",
    "binomial; system('touch {file}')",
    "negative.binomial(theta = {{system('touch {file}'); 2}})",
    "binomial(variance = get('system'))",
    "eval(binomial)",
]


@pytest.mark.r
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_family_is_data(program: str, tmp_path: Path) -> None:
    file = tmp_path / "ran"
    with pytest.raises((rb.ArgumentError, rb.FormulaError), match="family"):
        rb.Glmer(FORMULA, family=program.format(file=file)).fit(frame())
    assert not file.exists()


@pytest.mark.r
def test_start_values_and_controls_reach_r() -> None:
    """The same bits as R's own call with these arguments."""
    data = frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RWarning)
        fits = {
            "etastart": rb.Glmer(FORMULA, "poisson", etastart="start", offset="x").fit(data),
            "mustart": rb.Glmer(
                FORMULA, "poisson", mustart=data["exposure"].to_numpy(), nAGQ=0
            ).fit(data),
            "start": rb.Glmer(
                FORMULA, "poisson", start={"theta": [0.4], "fixef": [0.1, 0.2]},
                control={"optimizer": ["bobyqa", "nloptwrap"], "tolPwrss": 1e-9},
            ).fit(data),
            "nb": rb.GlmerNb(FORMULA, nb_control={"optimizer": "bobyqa"}).fit(data),
        }  # fmt: skip
    theirs = run_r(
        """
        library(lme4)
        fits <- suppressWarnings(list(
          etastart = glmer(y ~ x + (1 | g), data, poisson, etastart = start, offset = x),
          mustart = glmer(y ~ x + (1 | g), data, poisson, mustart = exposure, nAGQ = 0),
          start = glmer(y ~ x + (1 | g), data, poisson,
            start = list(theta = 0.4, fixef = c(0.1, 0.2)),
            control = glmerControl(optimizer = c("bobyqa", "nloptwrap"), tolPwrss = 1e-9)),
          nb = glmer.nb(y ~ x + (1 | g), data = data,
            nb.control = glmerControl(optimizer = "bobyqa"))
        ))
        beta <- lapply(fits, fixef)
        theta <- lapply(fits, getME, "theta")
        nb_theta <- getME(fits$nb, "glmer.nb.theta")
        """,
        data=data,
    )
    for name, fit in fits.items():
        np.testing.assert_array_equal(fit.beta, np.ravel(theirs["beta"][name]), err_msg=name)
        np.testing.assert_array_equal(fit.theta, np.ravel(theirs["theta"][name]), err_msg=name)
    assert fits["nb"].nb_theta == float(np.ravel(theirs["nb_theta"])[0])
    assert (fits["mustart"].nAGQ, fits["start"].nAGQ) == (0, 1)


@pytest.mark.r
def test_the_search_for_theta_is_rs() -> None:
    """lme4 1.1-31 passes these on to glmer(), which stops at them: then the error is R's."""
    data = frame()
    theirs = run_r(
        """
        library(lme4)
        answer <- tryCatch({
          fit <- glmer.nb(y ~ x + (1 | g), data = data, interval = c(-2, 6), tol = 1e-3,
            initCtrl = list(limit = 5, eps = 1e-3))
          list(beta = fixef(fit), error = "")
        }, error = function(condition) list(beta = 0, error = conditionMessage(condition)))
        """,
        data=data,
    )["answer"]
    model = rb.GlmerNb(FORMULA, interval=[-2, 6], tol=1e-3, init_ctrl={"limit": 5, "eps": 1e-3})
    error = str(np.ravel(theirs["error"])[0])
    if error:
        with pytest.raises(rb.FitError, match=r"unused arguments \(interval = c\(-2, 6\)"):
            model.fit(data)
        assert error.startswith("unused arguments (interval = c(-2, 6)")
    else:
        np.testing.assert_array_equal(model.fit(data).beta, np.ravel(theirs["beta"]))


@pytest.mark.r
def test_a_column_that_is_not_there_and_a_vector_of_another_length() -> None:
    with pytest.raises(rb.ArgumentError, match=r"mustart.*'nowhere'"):
        rb.Glmer(FORMULA, "poisson", mustart="nowhere").fit(frame())
    with pytest.raises(rb.ArgumentError, match=r"etastart has shape \(3,\)"):
        rb.Glmer(FORMULA, "poisson", etastart=[1.0, 2.0, 3.0]).fit(frame())
    with pytest.raises(rb.ArgumentError, match=r"nb\.control \(glmerControl\)"):
        rb.GlmerNb(FORMULA, nb_control={"optimiser": "bobyqa"}).fit(frame())
    with pytest.raises(rb.FitError, match="quasi"):
        rb.Glmer(FORMULA, "quasipoisson").fit(frame())
