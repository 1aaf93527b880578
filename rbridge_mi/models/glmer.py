"""``Glmer`` is ``lme4::glmer``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..base.arguments import check_value
from ..errors import ArgumentError
from .mixed_model import Code, Column, MixedModel

__all__ = ["Glmer"]

_LINKS = (
    "logit", "probit", "cauchit", "cloglog", "log", "identity", "sqrt", "inverse", "1/mu^2",
)  # fmt: skip

# lme4 refuses the quasi families itself.
_FAMILIES = (
    "binomial", "poisson", "Gamma", "inverse.gaussian", "gaussian", "negative.binomial", "quasi",
    "quasibinomial", "quasipoisson",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Glmer(MixedModel):
    """A generalised linear mixed model: ``lme4::glmer(formula, data, family, nAGQ, ...)``.

    Parameters
    ----------
    formula : str
        As in `Lmer`. The response of a binomial model is 0 and 1 (or False and True, or a factor of
        two levels), ``cbind(success, failure)``, or a proportion with the number of trials in
        `weights`.
    family : str
        As in R: "binomial", "poisson", "Gamma", "inverse.gaussian", "gaussian", or, with the link,
        ``"binomial(link = 'cloglog')"``; ``"negative.binomial(theta = 2)"`` (MASS) where theta is
        known, and `GlmerNb` where it isn't. lme4 has no quasi families.
    nAGQ : int
        Points of adaptive Gauss-Hermite quadrature: 1 is the Laplace approximation; 0 estimates
        the coefficients together with the random effects, which is faster and less exact; more
        than 1 is for models with one random intercept.
    link : str, optional
        The link, where `family` doesn't say it: "logit", "probit", "cauchit", "cloglog", "log",
        "identity", "sqrt", "inverse", "1/mu^2". The family's first by default.
    control : mapping, optional
        Arguments of ``glmerControl()`` under R's names, such as ``{"optimizer": "bobyqa"}`` or
        ``{"optimizer": ["bobyqa", "Nelder_Mead"], "tolPwrss": 1e-9}``.
    start : sequence or mapping, optional
        Start values: of theta, or ``{"theta": [...], "fixef": [...]}``.
    weights, offset, subset : str or array, optional
        As in `Lmer`; the offset is on the scale of the link.
    mustart, etastart : str or array, optional
        Start values of the response's mean, or of the linear predictor: a column, or one value
        per row.
    na_action, contrasts, verbose, allow : optional
        As in `Lmer`.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> pupils = rb.load_hsb().assign(high=lambda d: (d["mathach"] > 18).astype(int))
    >>> fit = rb.Glmer("high ~ ses + (1 | schid)", family="binomial").fit(pupils)
    >>> fit.fixef().round(3)
              term  estimate
    0  (Intercept)    -1.191
    1          ses     0.694

    See Also
    --------
    GlmerNb : Counts that vary more than Poisson's.
    Lmer : Normal responses.
    MerMod : One fit.
    MerModList : The fits to m data sets.

    References
    ----------
    Bates, Mächler, Bolker and Walker (2015), Journal of Statistical Software 67(1); Pinheiro and
    Chao (2006), Journal of Computational and Graphical Statistics 15, 58-81 (quadrature).
    """

    fitter: ClassVar = "glmer"
    control_maker: ClassVar = "glmerControl"
    per_row: ClassVar = (*MixedModel.per_row, "mustart", "etastart")

    formula: str
    family: str = "binomial"
    nAGQ: int = 1  # noqa: N815 -- R's name
    link: str | None = None
    control: Mapping[str, Any] | None = None
    start: Any = None
    weights: Column | None = None
    offset: Column | None = None
    subset: Column | None = None
    mustart: Column | None = None
    etastart: Column | None = None
    na_action: str | None = None
    contrasts: Mapping[str, Any] | None = None
    verbose: int = 0
    allow: Sequence[str] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.family, str):
            raise ArgumentError(
                f"family must be text, as in R ('binomial'), not {type(self.family).__name__}."
            )
        if self.distribution[0] not in _FAMILIES:
            raise ArgumentError(
                f"family {self.family!r} is none of {', '.join(_FAMILIES)}: write its name, or as "
                "in R \"binomial(link = 'probit')\"."
            )
        if isinstance(self.nAGQ, bool) or not isinstance(self.nAGQ, int) or self.nAGQ < 0:
            raise ArgumentError(f"nAGQ must be a whole number from 0, not {self.nAGQ!r}.")
        if self.link is not None:
            check_value(self.link, _LINKS, "link")
            if not re.fullmatch(r"[\w.:]+", self.family):
                raise ArgumentError(
                    f"family={self.family!r} says more than its name: put the link there, as in "
                    "\"binomial(link = 'probit')\", or give link and the bare name."
                )

    @property
    def distribution(self) -> tuple[str, str | None]:
        """The name of the family, and of the link where it is said."""
        match = re.fullmatch(r"(?:\w+::)?([\w.]+)(?:\((.*)\))?", self.family.strip(), re.DOTALL)
        if match is None:
            return self.family, self.link
        name, inside = match.groups()
        given = [
            x for x in _LINKS if re.search(rf"(?<![\w/]){re.escape(x)}(?![\w/^])", inside or "")
        ]
        return name, given[0] if given else self.link

    def own_arguments(self) -> dict[str, Any]:
        """Return the arguments that ``glmer`` has and other fitters haven't."""
        family = self.family if self.link is None else f'{self.family}(link = "{self.link}")'
        # Not R's default: with family="gaussian" glmer calls lmer, which has no such argument.
        return {"family": Code(family), **({} if self.nAGQ == 1 else {"nAGQ": self.nAGQ})}
