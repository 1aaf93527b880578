"""The [comparisons.NAME] of a job file: which models are compared, and by which rule."""

from __future__ import annotations

from collections.abc import Mapping

from ..base.checks import boolean, one_of, text
from .job import ComparisonSpec, ModelSpec
from .values import Table, as_given

__all__ = ["comparisons_section"]

_METHODS = ("D1", "D2", "D3", "D4")
_ONLY_OF = {"use": "D2", "robust": "D4"}


def comparisons_section(
    top: Table, models: Mapping[str, ModelSpec], engine: str
) -> dict[str, ComparisonSpec]:
    """Take the comparisons; their models are checked as far as their fits need not be known."""
    given = top.take("comparisons", as_given, {})
    inner = Table("comparisons", given, top.mistakes)
    if inner.given and list(models) == [""]:
        top.mistakes.add("comparisons", "are between models by name: write [models.NAME]")
        return {}
    if inner.given and engine == "bootstrap":
        top.mistakes.add(
            "comparisons",
            'are no tests that bootstrap samples have: take another imputation.engine, or "none"',
        )
    specs = {}
    for name, keys in inner.given.items():
        specs[name] = _comparison(Table(inner.path(name), keys, top.mistakes), models, engine)
    return specs


def _comparison(table: Table, models: Mapping[str, ModelSpec], engine: str) -> ComparisonSpec:
    def of_model(name: str) -> str:
        value: str = table.take(
            name, one_of(*models) if models else text, "", required="the name of one of [models]"
        )
        return value

    full, reduced = of_model("full"), of_model("reduced")
    if full and full == reduced:
        table.mistakes.add(table.path("reduced"), "is the full model itself")
    arguments = {}
    if engine == "none":
        for name in ("method", *_ONLY_OF):
            table.refuse(
                name,
                "is of fits to several imputed data sets; with imputation.engine = "
                '"none" models are compared by their likelihood ratio',
            )
    else:
        method = table.take("method", one_of(*_METHODS), "D1")
        arguments["method"] = method
        for name, check in (("use", one_of("wald", "likelihood")), ("robust", boolean)):
            value = table.take(name, check)
            if value is None:
                continue
            if method != _ONLY_OF[name]:
                table.mistakes.add(
                    table.path(name),
                    f'belongs to method = "{_ONLY_OF[name]}", and this is {method}',
                )
            arguments[name] = value
        if method in ("D3", "D4"):
            for which, name in (("full", full), ("reduced", reduced)):
                if name in models and models[name].fitter == "glmer.nb":
                    table.mistakes.add(
                        table.path(which),
                        f"{method} has no answer for a negative binomial model, whose dispersion "
                        'is estimated apart from its likelihood: take method = "D1" or "D2"',
                    )
    table.done()
    return ComparisonSpec(full, reduced, arguments)
