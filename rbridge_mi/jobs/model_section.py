"""A [model] of a job file: the arguments of `Lmer`, `Glmer` or `GlmerNb`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..base.checks import (
    Check,
    Wrong,
    any_of,
    boolean,
    list_of,
    number,
    one_of,
    text,
    whole,
)
from .job import ModelSpec
from .means_section import MEANS, means_of, tests_of
from .values import Table, as_given, isolation, matrix

__all__ = ["model_section"]

_MATRIX = matrix()
_STOP = one_of("ignore", "stop")
_CHECK = one_of("ignore", "message", "warning", "stop")
_CHECK_SMALL = one_of(
    "ignore", "message", "warning", "stop", "messageSmall", "warningSmall", "stopSmall"
)
_ACTION = ("ignore", "message", "warning", "stop")
_TOLERANCE = number("a number above 0", lambda x: 0 < x < math.inf)


def _convergence(value: Any) -> Any:
    """Check an action, or the list that lme4 makes of one: action, tol, relTol."""
    if not isinstance(value, Mapping):
        return one_of(*_ACTION)(value)
    checks: dict[str, Check] = {"action": one_of(*_ACTION), "tol": _TOLERANCE, "relTol": _TOLERANCE}
    unknown = [x for x in value if x not in checks]
    if unknown or "action" not in value or "tol" not in value:
        raise Wrong("must be an action or a table of action, tol and relTol, not {}", value)
    return {name: checks[name](x) for name, x in value.items()} | {"relTol": value.get("relTol")}


def _optimizer_settings(value: Any) -> dict[str, Any]:
    scalars = (bool, int, float, str)
    if not isinstance(value, Mapping) or not all(isinstance(x, scalars) for x in value.values()):
        raise Wrong("must be a table of numbers and texts, such as {maxfun = 20000}, not {}", value)
    return dict(value)


_OPTIMIZER = one_of("nloptwrap", "bobyqa", "Nelder_Mead", "nlminbwrap")

# The arguments of lmerControl() and glmerControl(); what this R's lme4 has of them, the model
# checks. R looks an optimizer up by its name, so that the names are listed here.
_CONTROL: dict[str, Check] = {
    "optimizer": any_of(_OPTIMIZER, list_of(_OPTIMIZER, "two optimizers", 2, 2, unique=False)),
    "restart_edge": boolean,
    "boundary.tol": number("a number of at least 0", lambda x: 0 <= x < math.inf),
    "calc.derivs": boolean,
    "use.last.params": boolean,
    "sparseX": boolean,
    "standardize.X": boolean,
    "autoscale": boolean,
    "check.nobs.vs.rankZ": _CHECK_SMALL,
    "check.nobs.vs.nlev": _CHECK_SMALL,
    "check.nlev.gtreq.5": _CHECK,
    "check.nlev.gtr.1": _CHECK,
    "check.nobs.vs.nRE": _CHECK_SMALL,
    "check.rankX": one_of(
        "message+drop.cols", "silent.drop.cols", "warn+drop.cols", "stop.deficient", "ignore"
    ),
    "check.scaleX": one_of(
        "warning", "stop", "silent.rescale", "message+rescale", "warn+rescale", "ignore"
    ),
    "check.formula.LHS": _STOP,
    "check.conv.grad": _convergence,
    "check.conv.singular": _convergence,
    "check.conv.hess": _convergence,
    "optCtrl": _optimizer_settings,
    "tolPwrss": _TOLERANCE,
    "compDev": boolean,
    "nAGQ0initStep": boolean,
    "check.response.not.const": _STOP,
}  # fmt: skip

_CONTRASTS = ("contr.treatment", "contr.sum", "contr.helmert", "contr.poly", "contr.SAS")


def _contrasts(value: Any) -> dict[str, Any]:
    """Check, per column, the name of one of R's contrast functions, or a matrix."""
    if not isinstance(value, Mapping) or not value:
        raise Wrong('must be a table, such as {sector = "contr.sum"}, not {}', value)
    check = any_of(_MATRIX, one_of(*_CONTRASTS))
    codings = {}
    for name, item in value.items():
        try:
            codings[name] = check(item)
        except Wrong as wrong:
            told = f"has {{}}, which {wrong.text}, or a matrix of numbers"
            raise Wrong(told, name, *wrong.values) from None
    return codings


_FITTERS = ("lmer", "glmer", "glmer.nb")
# What only some fitters take, and which.
_OF_FITTERS: dict[str, tuple[str, ...]] = {
    "reml": ("lmer",),
    "family": ("glmer",),
    "link": ("glmer",),
    "nAGQ": ("glmer", "glmer.nb"),
    "mustart": ("glmer", "glmer.nb"),
    "etastart": ("glmer", "glmer.nb"),
}


def _start(value: Any) -> Any:
    """Check start values: of theta, or a table of theta and fixef."""
    numbers = list_of(number(), "numbers", unique=False)
    if not isinstance(value, Mapping):
        return list_of(number(), "numbers (theta)", unique=False)(value)
    if not value or value.keys() - {"theta", "fixef"}:
        raise Wrong("must be numbers, or a table of theta and fixef, not {}", value)
    return {name: numbers(x) for name, x in value.items()}


def model_section(table: Table) -> ModelSpec:
    """Take a model's arguments, and what is asked of it."""
    formula = table.take("formula", text, "", required='as in R, "y ~ x + (1 | group)"')
    checks: dict[str, Check] = {
        "reml": boolean,
        "family": text,
        "link": text,
        "nAGQ": whole(0),
        "start": _start,
        "weights": text,
        "offset": text,
        "subset": text,
        "mustart": text,
        "etastart": text,
        "na_action": one_of("na.omit", "na.exclude", "na.fail", "na.pass"),
        "contrasts": _contrasts,
        "verbose": whole(0),
    }
    table.flatten(
        [
            "formula",
            "fitter",
            *checks,
            "control",
            "na.action",
            "isolate",
            "timeout",
            "tests",
            *MEANS,
        ]
    )
    if "na.action" in table.given:
        table.given.setdefault("na_action", table.given.pop("na.action"))
    if "REML" in table.given:
        table.given.setdefault("reml", table.given.pop("REML"))
    guess = "glmer" if "family" in table.given else "lmer"
    fitter = table.take("fitter", one_of(*_FITTERS), guess) or guess
    for name, fitters in _OF_FITTERS.items():
        if fitter not in fitters:
            table.refuse(
                name, f"belongs to {' and '.join(fitters)}, and this model is fitted by {fitter}"
            )
    arguments = {name: table.take(name, check) for name, check in checks.items()}
    arguments["control"] = _control(table)
    isolated = isolation(table, False)
    asked: dict[str, Any] = {"tests": tests_of(table), "means": means_of(table)}
    table.refuse("data", "is what [data] reads")
    table.refuse(
        "allow",
        "is not for job files, which run no code of their own: use `Lmer(..., allow=...)`",
    )
    table.done()
    given = {k: v for k, v in arguments.items() if v is not None}
    return ModelSpec(formula, fitter, given, **isolated, **asked)


def _control(table: Table) -> dict[str, Any] | None:
    given = table.take("control", as_given)
    if given is None:
        return None
    control = Table(f"{table.key}.control", given, table.mistakes)
    control.flatten(_CONTROL)
    settings = {name: control.take(name, check) for name, check in _CONTROL.items()}
    control.done()
    return {k: v for k, v in settings.items() if v is not None}
