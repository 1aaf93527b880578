"""The one place where it is decided how m fits become one answer: by Rubin's rules, or by spread.

Fits to imputed data sets differ by what was missing only, so that each fit's own sampling variance
is added to the variance between them (Rubin's rules). Fits to bootstrap samples differ by sampling
already, and their spread is the whole variance. `rule_for` chooses by the kind of the data sets;
whoever pools anything is handed the rule, and asks it.

References
----------
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley. Equations 3.1.2-3.1.10.
Efron, B. & Tibshirani, R. J. (1993). An Introduction to the Bootstrap. Chapman & Hall. Chapter 6
(the spread) and section 13.3 (percentiles).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, PoolingError
from . import components, rubin
from .arrays import Floats
from .scales import Scale

__all__ = ["PoolingRule", "rule_for"]

Bools = NDArray[np.bool_]

_ON_SCALE = ("std_error", "df", "conf_low", "conf_high", "fmi")


class PoolingRule(Protocol):
    """What whoever pools m fits asks of the rule.

    See Also
    --------
    rule_for : Chooses one.
    """

    @property
    def description(self) -> str:
        """The rule as a report names it."""

    @property
    def short_name(self) -> str:
        """The rule as a column of a table names it."""

    @property
    def uses_dfcom(self) -> bool:
        """Whether the degrees of freedom that complete data would leave have an effect."""

    @property
    def knows_missing_information(self) -> bool:
        """Whether riv, lambda_ and fmi have a value."""

    @property
    def uses_variances(self) -> bool:
        """Whether the sampling variances within data sets have an effect."""

    def scalars(
        self,
        estimates: Floats,
        variances: Floats,
        *,
        dfcom: ArrayLike,
        conf_level: float,
        added: Floats | None = None,
    ) -> rubin.PooledScalars:
        """Pool estimates one by one.

        Parameters
        ----------
        estimates : ndarray of shape (m, p)
            Of each fit.
        variances : ndarray of shape (m, p)
            Each fit's own sampling variances.
        dfcom : float or array_like of shape (p,)
            Degrees of freedom that complete data would leave.
        conf_level : float
            Coverage of the intervals.
        added : ndarray of shape (m, p), optional
            The variance that a new observation adds to its mean.

        Returns
        -------
        PooledScalars
            The columns of a table of estimates.
        """

    def vcov(self, estimates: Floats, vcovs: Floats) -> Floats:
        """Pool the covariance matrix of a vector of estimates.

        Parameters
        ----------
        estimates : ndarray of shape (m, p)
            Of each fit.
        vcovs : ndarray of shape (m, p, p)
            Each fit's own sampling covariance matrices.

        Returns
        -------
        ndarray of shape (p, p)
            The total covariance matrix.
        """

    def random_effects(self, condval: Floats, condvar: Floats) -> tuple[Floats, Floats]:
        """Pool conditional modes.

        Parameters
        ----------
        condval, condvar : ndarray of shape (m, n)
            Conditional modes and variances; nan where a fit lacks a level.

        Returns
        -------
        tuple of ndarray
            Their means, and total standard deviations.
        """

    def on_scale(
        self,
        scale: Scale,
        values: Floats,
        inside: Bools,
        variances: Floats,
        *,
        variances_on: components.VariancesOn,
        center: Floats,
        conf_level: float,
    ) -> dict[str, Floats]:
        """Pool standard errors and intervals of SDs, correlations or ICCs on a scale.

        Parameters
        ----------
        scale : Scale
            One of ``rbridge_mi.pooling.scales``.
        values : ndarray of shape (m, p)
            The parameters of each fit, untransformed.
        inside : ndarray of bool of shape (m, p)
            Whether they lie inside of their range; on its boundary they have no value on the scale.
        variances : ndarray of shape (m, p)
            Each fit's own sampling variances; nan where there are none.
        variances_on : {"natural", "link"}
            What they are variances of: the parameters, or their values on the scale.
        center : ndarray of shape (p,)
            Point estimates, which the intervals are centred on.
        conf_level : float
            Coverage of the intervals.

        Returns
        -------
        dict of str to ndarray of shape (p,)
            std_error, df, conf_low, conf_high and fmi; nan where they have no value.
        """

    def least_m_at_boundary(self, conf_level: float) -> int | None:
        """Say how many data sets give intervals to a parameter that some have on its boundary.

        Parameters
        ----------
        conf_level : float
            Coverage of the intervals.

        Returns
        -------
        int or None
            None where no number does.
        """

    def check_joint_test(self, instead: str) -> None:
        """Refuse tests that join variances within and between data sets, if there are none.

        Parameters
        ----------
        instead : str
            What else can be done.

        Raises
        ------
        PoolingError
            Under a rule that has no such tests.
        """

    def check_same_rows(self, instead: str) -> None:
        """Refuse what puts the rows of the data sets beside each other, if they are other rows.

        Parameters
        ----------
        instead : str
            What else can be done.

        Raises
        ------
        ArgumentError
            Under a rule whose data sets hold other rows each.
        """

    def check_dfcom(self, dfcom: Any) -> None:
        """Refuse degrees of freedom of complete data that would have no effect.

        Parameters
        ----------
        dfcom : object
            As it was given; None where it wasn't.

        Raises
        ------
        ArgumentError
            If it was given, under a rule that doesn't use it.
        """


class _RubinsRules:
    """Rubin's rules, for fits to imputed data sets."""

    description = "Rubin's rules over imputations"
    short_name = "Rubin's rules"
    uses_dfcom = True
    knows_missing_information = True
    uses_variances = True

    def scalars(
        self,
        estimates: Floats,
        variances: Floats,
        *,
        dfcom: ArrayLike,
        conf_level: float,
        added: Floats | None = None,
    ) -> rubin.PooledScalars:
        total = variances if added is None else variances + added
        return rubin.pool_scalars(estimates, total, dfcom=dfcom, conf_level=conf_level)

    def vcov(self, estimates: Floats, vcovs: Floats) -> Floats:
        return rubin.pool_vcov(estimates, vcovs).t

    def random_effects(self, condval: Floats, condvar: Floats) -> tuple[Floats, Floats]:
        pooled = rubin.pool_blups(condval, condvar)
        return pooled.condval, pooled.condsd

    def on_scale(
        self,
        scale: Scale,
        values: Floats,
        inside: Bools,
        variances: Floats,
        *,
        variances_on: components.VariancesOn,
        center: Floats,
        conf_level: float,
    ) -> dict[str, Floats]:
        usable = inside.all(axis=0)
        known = ~(inside & ~np.isfinite(variances)).any(axis=0)
        # Stand-ins that every scale can carry; what comes of them is replaced by nan below.
        pooled = components.pool_on_scale(
            scale,
            np.where(usable, values, 0.5),
            np.where(usable & known, variances, 1.0),
            variances_on=variances_on,
            center=np.where(usable, center, 0.5),
            conf_level=conf_level,
        )
        usable &= known
        return {name: np.where(usable, getattr(pooled, name), np.nan) for name in _ON_SCALE}

    def least_m_at_boundary(self, conf_level: float) -> int | None:  # noqa: ARG002
        return None

    def check_joint_test(self, instead: str) -> None:
        pass

    def check_same_rows(self, instead: str) -> None:
        pass

    def check_dfcom(self, dfcom: Any) -> None:
        pass


class _BootstrapSpread:
    """The spread of estimates, for fits to bootstrap samples."""

    description = "spread over bootstrap samples (no imputations)"
    short_name = "bootstrap"
    uses_dfcom = False
    knows_missing_information = False
    uses_variances = False

    def scalars(
        self,
        estimates: Floats,
        variances: Floats,  # noqa: ARG002 - the spread holds them already
        *,
        dfcom: ArrayLike,  # noqa: ARG002
        conf_level: float,
        added: Floats | None = None,
    ) -> rubin.PooledScalars:
        pooled = rubin.pool_bootstrap(estimates, conf_level=conf_level)
        return pooled if added is None else _widened(pooled, added.mean(axis=0))

    def vcov(self, estimates: Floats, vcovs: Floats) -> Floats:  # noqa: ARG002
        return rubin.bootstrap_vcov(estimates)

    def random_effects(self, condval: Floats, condvar: Floats) -> tuple[Floats, Floats]:
        # The spread of the fits holds what condvar measures already: it isn't added to it.
        pooled = rubin.pool_blups(condval, condvar)
        return pooled.condval, np.sqrt(pooled.within)

    def on_scale(
        self,
        scale: Scale,
        values: Floats,
        inside: Bools,
        variances: Floats,  # noqa: ARG002 - the spread holds them already
        *,
        variances_on: components.VariancesOn,  # noqa: ARG002
        center: Floats,
        conf_level: float,
    ) -> dict[str, Floats]:
        usable = inside.all(axis=0)
        # Stand-ins that every scale can carry; what comes of them is replaced below.
        safe, middle = np.where(usable, values, 0.5), np.where(usable, center, 0.5)
        spread = rubin.pool_bootstrap(scale.there(safe), conf_level=conf_level)
        shift = scale.there(middle) - spread.estimate
        columns = {
            "std_error": spread.std_error / scale.slope(middle),
            "df": spread.df,
            "conf_low": scale.back(spread.conf_low + shift),
            "conf_high": scale.back(spread.conf_high + shift),
            "fmi": np.full(usable.shape, np.nan),
        }
        columns = {name: np.where(usable, column, np.nan) for name, column in columns.items()}
        for name, percentiles in self._at_boundary(values[:, ~usable], conf_level).items():
            columns[name][~usable] = percentiles
        return columns

    def _at_boundary(self, values: Floats, conf_level: float) -> dict[str, Floats]:
        """Compute standard errors and intervals where some samples lie on the boundary.

        No scale holds these. The standard error is the spread of the values as they are, and the
        ends of the interval are percentiles, the (m + 1) p-th of the ordered values; there are none
        where m + 1 values have none so far out. A correlation has no value in a sample whose SD is
        0, and none of this either.
        """
        columns = {"std_error": np.asarray(values.std(axis=0, ddof=1))}
        if len(values) >= self.least_m_at_boundary(conf_level):
            tail = (1 - conf_level) / 2
            ends = np.quantile(values, [tail, 1 - tail], axis=0, method="weibull")
            columns["conf_low"], columns["conf_high"] = ends
        return columns

    def least_m_at_boundary(self, conf_level: float) -> int:
        return math.ceil(2 * (1 - 1e-9) / (1 - conf_level) - 1)

    def check_joint_test(self, instead: str) -> None:
        raise PoolingError(
            "D1 to D4 join variances within and between imputations, and bootstrap samples are "
            f"none: {instead}."
        )

    def check_same_rows(self, instead: str) -> None:
        raise ArgumentError(f"each bootstrap sample has other rows: {instead}.")

    def check_dfcom(self, dfcom: Any) -> None:
        if dfcom is not None:
            raise ArgumentError(
                "dfcom has no effect on bootstrap samples: their spread is the whole error."
            )


def rule_for(kind: str) -> PoolingRule:
    """Choose the rule for data sets of a kind.

    Parameters
    ----------
    kind : {"imputation", "bootstrap"}
        That of an `ImputedData`.

    Returns
    -------
    PoolingRule
        Rubin's rules, or the spread.

    Examples
    --------
    >>> rule_for("bootstrap").knows_missing_information
    False
    """
    return {"imputation": _RUBIN, "bootstrap": _SPREAD}[kind]


_RUBIN: PoolingRule = _RubinsRules()
_SPREAD: PoolingRule = _BootstrapSpread()


def _widened(pooled: rubin.PooledScalars, added: Floats) -> rubin.PooledScalars:
    """Add a new observation's own variance to the spread of bootstrap predictions."""
    std_error = np.sqrt(pooled.t + added)
    half = (pooled.conf_high - pooled.estimate) / pooled.std_error * std_error
    return replace(
        pooled,
        std_error=std_error,
        conf_low=pooled.estimate - half,
        conf_high=pooled.estimate + half,
    )
