"""``Lmer`` is ``lme4::lmer``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from .mixed_model import Column, MixedModel

__all__ = ["Lmer"]


@dataclass(frozen=True, eq=False)
class Lmer(MixedModel):
    """A linear mixed model: ``lme4::lmer(formula, data, REML, ...)``.

    Parameters
    ----------
    formula : str
        As in R: ``"mathach ~ ses + (1 + ses | schid)"``. It is parsed by R, not evaluated, and
        may call arithmetic, ``log``, ``poly``, ``splines::ns``, ``scale``, ``factor`` and the
        like; columns whose names aren't R names stand in backticks. A double bar, as in
        ``(x + z || g)``, stands for the terms that lme4 makes of it.
    reml : bool
        Restricted maximum likelihood (R's ``REML``).
    control : mapping, optional
        Arguments of ``lmerControl()`` under R's names, such as
        ``{"optimizer": "bobyqa", "optCtrl": {"maxfun": 20000}, "calc.derivs": False}``.
    start : sequence or mapping, optional
        Start values of theta.
    weights, offset, subset : str or array, optional
        The name of a column, or one value per row of the data; a Series must have the data's
        index. A subset holds True or False.
    na_action : {"na.omit", "na.exclude", "na.fail", "na.pass"}, optional
    contrasts : mapping, optional
        Per factor, the name of a contrast function ("contr.sum"), or a matrix with a row per level
        and a column per coefficient: a list of rows, an array, or a DataFrame. The rows stand in
        the order of the levels; those of a DataFrame whose index names levels are taken by name,
        and its column names become part of the terms' names, as in R.
    verbose : int
        How much lme4 prints; it goes to the logger ``rbridge_mi.r``.
    allow : sequence of str
        Further functions that the formula may call, or that `contrasts` and the optimizer may
        name; they run with this process' rights.

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
    >>> fit.fixef()
              term   estimate
    0  (Intercept)  12.657480
    1          ses   2.390196

    See Also
    --------
    MerMod : One fit.
    MerModList : The fits to m data sets.

    References
    ----------
    Bates, Mächler, Bolker and Walker (2015), Fitting Linear Mixed-Effects Models Using lme4,
    Journal of Statistical Software 67(1).
    """

    fitter: ClassVar = "lmer"
    control_maker: ClassVar = "lmerControl"

    formula: str
    reml: bool = True
    control: Mapping[str, Any] | None = None
    start: Any = None
    weights: Column | None = None
    offset: Column | None = None
    subset: Column | None = None
    na_action: str | None = None
    contrasts: Mapping[str, Any] | None = None
    verbose: int = 0
    allow: Sequence[str] = ()

    def own_arguments(self) -> dict[str, Any]:
        """Return the arguments that ``lmer`` has and other fitters haven't."""
        return {"REML": self.reml}
