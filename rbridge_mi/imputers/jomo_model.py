"""The analysis model as jomo.lmer and jomo.glmer read it, and what they would read wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .. import rdoor
from ..errors import ArgumentError, FormulaError

__all__ = ["JomoModel", "formula_of", "read_model"]

_PLAIN = (
    "jomo takes columns, products of columns and powers such as I(x^2), and of anything else it "
    "makes a wrong design without saying so"
)
# What else a model may have; jomo knows of none of it.
_BEYOND_FORMULA = ("weights", "offset", "subset", "contrasts", "na_action")


@dataclass(frozen=True)
class JomoModel:
    """A model that jomo reads as lme4 does.

    Parameters
    ----------
    text : str
        Its formula.
    response, group : str
    covariates : tuple of str
        Columns with fixed effects or random slopes.
    slopes : tuple of str
        Columns with random slopes.
    terms : tuple of mapping of str to int
        For each fixed term, the power of each of its columns.
    imputes_binary : bool
        Whether this R's jomo.glmer fills holes in its response.
    """

    text: str
    response: str
    group: str
    covariates: tuple[str, ...]
    slopes: tuple[str, ...]
    terms: tuple[Mapping[str, int], ...]
    imputes_binary: bool

    def refuse_columns(self, categories: Mapping[str, int], upper: set[str]) -> None:
        """Refuse terms that jomo would read wrongly, given what the columns are.

        Parameters
        ----------
        categories : mapping of str to int
            The number of categories of each column, 0 for numbers.
        upper : set of str
            The columns of the group's level.

        Raises
        ------
        ArgumentError
            Names the term and the column.
        """
        if not set(self.covariates) - upper:
            raise ArgumentError(
                f"model {self.text!r} has no covariate that differs within the groups, and jomo "
                "takes only models with one: use CompatibleImputer, or jomo() itself (clus=)."
            )
        for name in self.slopes:
            if name in upper:
                raise ArgumentError(
                    f"model: {name!r} has a random slope and one value in each group of "
                    f"{self.group!r}. jomo takes it for another column: leave it out of the "
                    "random term."
                )
        for name in self.slopes[:-1]:
            if categories[name]:
                raise ArgumentError(
                    f"model: {name!r} holds categories and has random slopes, behind which jomo "
                    "takes a wrong column: write it last in the random term."
                )
        for term in self.terms:
            self._refuse_term(term, categories)

    def refuse_response(self, data: pd.DataFrame, categories: int, family: str | None) -> None:
        """Refuse a response that its function doesn't take.

        Parameters
        ----------
        data : DataFrame
        categories : int
            The response's categories, 0 for numbers.
        family : str, optional
            The argument.

        Raises
        ------
        ArgumentError
            Names the response.
        """
        name = self.response
        if family != "binomial":
            if categories:
                raise ArgumentError(
                    f"the response {name!r} holds categories, and jomo.lmer takes numbers: give "
                    "family='binomial' (jomo.glmer, a probit model) if there are two."
                )
            return
        if categories != 2:
            raise ArgumentError(
                f"family='binomial' is for two categories, and the response {name!r} has "
                f"{categories}."
            )
        if data[name].isna().any() and not self.imputes_binary:
            raise ArgumentError(
                f"the response {name!r} has holes, which this version of jomo.glmer leaves open "
                "(2.7-5 and later fill them): drop these rows, install a later jomo, or use "
                "CompatibleImputer(family='binomial', link='probit')."
            )

    def _refuse_term(self, term: Mapping[str, int], categories: Mapping[str, int]) -> None:
        label = ":".join(term)
        for name, power in term.items():
            if categories[name] and power > 1:
                raise ArgumentError(f"model has a power of {name!r}, which holds categories.")
        if sum(categories[name] > 2 for name in term) > 1:
            raise ArgumentError(
                f"model: {label!r} is a product of two columns with three or more categories, of "
                "which jomo computes NaN: give one of them as dummy columns (pd.get_dummies)."
            )
        for name in term:
            rest = {x: power for x, power in term.items() if x != name}
            if categories[name] and rest and rest not in self.terms:
                raise ArgumentError(
                    f"model: {label!r} is a product with the categories of {name!r}, and "
                    f"{':'.join(rest)!r} is no term of its own. jomo then has another design than "
                    "lme4: add it."
                )


def formula_of(model: Any) -> str:
    """Return the formula of a model, or a formula itself.

    Raises
    ------
    ArgumentError
        It is neither, or a model with more than a formula.
    """
    if isinstance(model, str):
        return model
    formula = getattr(model, "formula", None)
    if not isinstance(formula, str):
        raise ArgumentError(
            f"model must be a formula, or a model such as rb.Lmer(...), not {type(model).__name__}."
        )
    for name in _BEYOND_FORMULA:
        if getattr(model, name, None) is not None:
            raise ArgumentError(
                f"model has {name}, and jomo knows of a formula only: use CompatibleImputer, or "
                f"give a model without {name}."
            )
    return formula


def read_model(text: str, data: pd.DataFrame) -> JomoModel:
    """Read a formula, and refuse what jomo fails on or takes for something else.

    Parameters
    ----------
    text : str
    data : DataFrame

    Returns
    -------
    JomoModel
        What the formula says.

    Raises
    ------
    FormulaError
        It is no formula of these columns.
    ArgumentError
        jomo doesn't read it as lme4 does.
    """
    rdoor.require_package("jomo", "JomoImputer")
    names = rdoor.names_for_r(data.columns)
    facts = rdoor.call("describe_jomo_model", text, names, error=FormulaError).value
    fault = next(_faults(facts, text), None)
    if fault is not None:
        raise ArgumentError(f"model: {fault}.")
    [bar] = facts["bars"]
    slopes = tuple(map(str, bar["terms"]))[1:]
    terms = tuple(
        dict(zip(map(str, x["columns"]), map(int, x["powers"]), strict=True))
        for x in facts["terms"]
    )
    fixed = [name for term in terms for name in term]
    response, group = str(facts["response"][0]), str(bar["group"][0])
    covariates = tuple(dict.fromkeys([*fixed, *slopes]))
    if response in map(str, facts["right"]):  # R's terms() would drop it, and jomo wouldn't
        raise ArgumentError(f"model: {response!r} is the response and on the right side, too.")
    if group in covariates:
        raise ArgumentError(f"model: {group!r} is the group and a covariate: leave one out.")
    imputes_binary = bool(facts["imputes_binary"][0])
    return JomoModel(text, response, group, covariates, slopes, terms, imputes_binary)


def _faults(facts: Mapping[str, Any], text: str) -> Iterator[str]:
    """Yield what jomo fails on, or would take for something else."""
    if facts["double"][0]:
        yield "jomo.lmer ends R at '||': write (1 + x | g), with the covariance"
    if not facts["response"][0]:
        yield (
            f"the response is {facts['response_text'][0]}, and jomo takes a column: compute it as "
            "a column of the data, and impute that"
        )
    bars = facts["bars"]
    if not bars:
        yield f"{text!r} has no random term, such as (1 | g): use jomo() itself (clus=)"
    if len(bars) > 1:
        yield (
            f"{text!r} has {len(bars)} random terms, and jomo takes one: use CompatibleImputer for "
            "crossed or nested groups"
        )
    for bar in bars:
        whole = f"({bar['text'][0]})"
        terms = [str(x) for x in bar["terms"]]
        if not bar["group"][0]:
            yield (
                f"the group of {whole} is not a column, and jomo takes one: make it a column, or "
                "use CompatibleImputer for nested groups"
            )
        if terms[0] != "1":
            yield (
                f"{whole} does not begin with its intercept, and jomo then leaves it out or ends "
                "R: write (1 + x | g)"
            )
        if "" in terms or "1" in terms[1:]:
            yield f"{whole} has more than an intercept and columns, and jomo takes only these"
    if not facts["intercept"][0]:
        yield "it has no intercept, and jomo takes only models with one"
    if len(facts["others"]):
        shown = ", ".join(map(str, facts["others"]))
        yield f"it has {shown}. {_PLAIN}: compute it as a column of the data"
    if facts["nested"][0]:
        yield f"it has %in%. {_PLAIN}: write a:b"
