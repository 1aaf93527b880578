"""What a job asks of a model's coefficients: hypotheses, marginal means, slopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base.checks import LEVEL, Wrong, list_of, text
from ..inference.marginal_means import MEANS_ARGUMENTS
from .job import MeansSpec
from .values import Table, as_given, file_name, setting

__all__ = ["MEANS", "means_of", "tests_of"]

#: The functions that a model may have tables of.
MEANS = ("emmeans", "emtrends")

_OWN = ("specs", "var", "contrast", "at", "conf_level", "adjust")
_OF_POOLING = ("df", "dfcom", "lmer.df")


def tests_of(table: Table) -> dict[str, str]:
    """Take a model's hypotheses, by what they are called in the table `tests`."""
    checked: dict[str, str] = table.take("tests", _hypotheses, {})
    return checked


def _hypotheses(value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        if not value or not all(isinstance(x, str) and x.strip() for x in value.values()):
            raise Wrong(
                'must be hypotheses by name, such as {slopes = "x = 0, z = 0"}, not {}', value
            )
        return dict(value)
    texts = list_of(text, 'hypotheses, such as ["x = 0", "x = z"]', single=True)(value)
    return {x: x for x in texts}


def means_of(table: Table) -> dict[str, MeansSpec]:
    """Take a model's marginal means and slopes, by the names of their tables."""
    specs = {}
    for function in MEANS:
        given = table.take(function, as_given, {})
        inner = Table(table.path(function), given, table.mistakes)
        for name, arguments in inner.given.items():
            key = inner.path(name)
            try:
                file_name(name)
            except Wrong as wrong:
                table.mistakes.add(key, wrong.told())
            inside = Table(key, arguments, table.mistakes)
            if isinstance(arguments, Mapping):
                specs[f"{function}_{name}"] = MeansSpec(function, _asked(inside, function))
        table.mistakes.unlike(inner.key, inner.given)
    return specs


def _asked(table: Table, function: str) -> dict[str, Any]:
    """Take the arguments of one; which there are is checked as the function itself does."""
    table.flatten([*_OWN, "level", *_OF_POOLING, *MEANS_ARGUMENTS])
    arguments: dict[str, Any] = {
        "specs": table.take(
            "specs",
            list_of(text, "names of factors", single=True),
            required='names of factors, such as ["sector"], or "1" for one mean of them all',
        ),
        "contrast": table.take("contrast", as_given),
        "at": table.take("at", _at),
        "conf_level": table.take("conf_level", LEVEL),
        "adjust": table.take("adjust", text),
    }
    if function == "emtrends":
        arguments["var"] = table.take("var", text, required="the covariate whose slopes these are")
    else:
        table.refuse("var", "belongs to emtrends")
    for name in _OF_POOLING:
        table.refuse(name, "is [pooling] dfcom, which holds for all tables")
    for name in table.given:
        if name not in (*arguments, *_OF_POOLING, "var"):
            arguments[name] = table.take(name, setting)
    return {k: v for k, v in arguments.items() if v is not None}


def _at(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not value:
        raise Wrong("must be values of columns, such as {ses = [-1, 0, 1]}, not {}", value)
    values = {}
    for name, item in value.items():
        try:
            values[name] = setting(item)
        except Wrong as wrong:
            raise Wrong(f"has {{}}, which {wrong.text}", name, *wrong.values) from None
    return values
