"""``GlmerNb`` is ``lme4::glmer.nb``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import ArgumentError
from .mixed_model import Column, MixedModel

__all__ = ["GlmerNb"]


@dataclass(frozen=True, eq=False)
class GlmerNb(MixedModel):
    """A negative binomial mixed model whose theta is estimated: ``lme4::glmer.nb(...)``.

    The variance of a count with mean mu is mu + mu^2 / theta. lme4 maximises the likelihood over
    theta, with a fit of ``glmer`` at each value; standard errors take theta as known. Some
    versions of lme4, such as 1.1-31, stop where `interval`, `tol` or `init_ctrl` is given.

    Parameters
    ----------
    formula : str
        As in `Lmer`; the response is a count.
    nAGQ : int
        As in `Glmer`.
    interval : pair of float, optional
        Where the logarithm of theta is sought; within 3 of a first estimate by default.
    tol : float
        To which theta is sought, on the scale of its logarithm.
    nb_control : mapping, optional
        Arguments of ``glmerControl()`` for the fits while theta is sought (R's ``nb.control``).
    init_ctrl : mapping, optional
        Of the first estimate of theta (R's ``initCtrl``): ``limit``, ``eps``, ``trace``, and
        ``theta`` to start from a value.
    control, start, weights, offset, subset, mustart, etastart : optional
        As in `Glmer`.
    na_action, contrasts, verbose, allow : optional
        As in `Lmer`.

    Examples
    --------
    >>> import numpy as np, pandas as pd, rbridge_mi as rb
    >>> g = np.random.default_rng(1)
    >>> data = pd.DataFrame({"x": g.normal(size=300), "site": np.repeat(range(30), 10)})
    >>> mean = np.exp(1 + 0.5 * data["x"] + np.repeat(g.normal(size=30), 10) / 2)
    >>> data["count"] = g.negative_binomial(2, 2 / (2 + mean))
    >>> fit = rb.GlmerNb("count ~ x + (1 | site)").fit(data)
    >>> fit.family, round(fit.nb_theta, 3)
    ('Negative Binomial(1.6317)', 1.632)

    See Also
    --------
    Glmer : Other families, and theta given.

    References
    ----------
    Venables and Ripley (2002), Modern Applied Statistics with S, section 7.4.
    """

    fitter: ClassVar = "glmer.nb"
    control_maker: ClassVar = "glmerControl"
    per_row: ClassVar = (*MixedModel.per_row, "mustart", "etastart")

    formula: str
    nAGQ: int | None = None  # noqa: N815 -- R's name
    interval: Sequence[float] | None = None
    tol: float | None = None
    nb_control: Mapping[str, Any] | None = None
    init_ctrl: Mapping[str, Any] | None = None
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

    distribution: ClassVar = ("negative binomial", "log")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.interval is not None and len(self.interval) != 2:
            raise ArgumentError(f"interval takes two numbers, not {len(self.interval)}.")

    def own_arguments(self) -> dict[str, Any]:
        """Return the arguments that ``glmer.nb`` has and other fitters haven't."""
        given = {
            "nAGQ": self.nAGQ,
            "interval": None if self.interval is None else [float(x) for x in self.interval],
            "tol": self.tol,
            "initCtrl": None if self.init_ctrl is None else dict(self.init_ctrl),
        }
        return {name: value for name, value in given.items() if value is not None}

    def controls(self) -> dict[str, Mapping[str, Any]]:
        """Return the arguments that ``glmerControl`` makes."""
        controls = super().controls()
        return controls if self.nb_control is None else {**controls, "nb.control": self.nb_control}
