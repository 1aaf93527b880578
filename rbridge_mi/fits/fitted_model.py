"""One fitted model: lme4's numbers as tidy frames, and R's object for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from ..base.arguments import check_value, checked_argument
from ..base.checks import boolean
from ..base.glossary import beside, checked
from ..base.text import Printed
from ..exchange.r_written import write_object
from .answers import Answers, Askable

__all__ = ["FittedModel", "ResidualType", "random_terms", "stacked"]

# What R's residuals() has; it lists "partial", too, and has not implemented it.
ResidualType: TypeAlias = Literal["response", "pearson", "working", "deviance"]


@dataclass(frozen=True, eq=False)
class FittedModel:
    """The tables of a mixed model fitted by lme4, with the 64 bits that R gave each number.

    What costs R time is fetched when first asked for, and kept in `answers`. A pickled fit holds
    all of it, so that it can be read where there is no R.

    Attributes
    ----------
    answers : Answers
        The fitted R object, and what it has answered so far.
    index : Index
        Of the frame that the model was fitted to.
    messages : tuple of str
        R's warnings and messages while fitting.
    imputation : int or None
        The data set (from 1) that it was fitted to, in a list of fits.

    See Also
    --------
    MerMod : Adds what can be asked of a fit: predictions, intervals, tests.
    """

    answers: Answers = field(repr=False)
    index: pd.Index = field(repr=False)
    messages: tuple[str, ...] = ()
    imputation: int | None = None

    @property
    def r(self) -> Askable:
        """The R object: ``fit.r.call("pkg::function", ...)`` asks R anything of it."""
        return self.answers.r

    @property
    def formula(self) -> str:
        """The formula as R writes it."""
        return str(self._core["formula"][0])

    @property
    def reml(self) -> bool:
        """Whether it was fitted by restricted maximum likelihood; False for generalised models."""
        return bool(self._core["reml"][0])

    @property
    def family(self) -> str:
        """The family of the response's distribution; "gaussian" for ``lmer``."""
        # A file of an earlier version doesn't say: its fits are linear. So for link and has_scale.
        return str(self._core.get("family", ["gaussian"])[0])

    @property
    def link(self) -> str:
        """The link function's name; "identity" for ``lmer``."""
        return str(self._core.get("link", ["identity"])[0])

    @property
    def has_scale(self) -> bool:
        """Whether there is a residual standard deviation: not in binomial and Poisson models."""
        return bool(self._core.get("has_scale", [True])[0])

    @property
    def nAGQ(self) -> int | None:  # noqa: N802 -- R's name
        """Points of the quadrature: 1 is Laplace's approximation; None for linear models."""
        points = self._core.get("nAGQ")
        return None if points is None else int(points[0])

    @property
    def nb_theta(self) -> float:
        """The negative binomial's theta, var = mu + mu^2 / theta; nan for other families."""
        theta = self._core.get("nb_theta")
        return float("nan") if theta is None else float(theta[0])

    @property
    def nobs(self) -> int:
        """Number of rows used."""
        return int(self._core["nobs"][0])

    @property
    def npar(self) -> int:
        """Number of estimated parameters."""
        return int(self._core["npar"][0])

    @property
    def df_residual(self) -> int:
        """Number of rows minus number of estimated parameters."""
        return int(self._core["df_residual"][0])

    @property
    def ngrps(self) -> dict[str, int]:
        """Number of levels per grouping factor."""
        core = self._core
        names_and_counts = zip(core["group_names"], core["group_counts"], strict=True)
        return {str(name): int(count) for name, count in names_and_counts}

    @property
    def n_lvls(self) -> int:
        """Number of grouping factors, under the name of merTools' ``modelInfo``."""
        return int(self._core["n_flist"][0])

    @property
    def sigma(self) -> float:
        """Residual standard deviation, in the units of the response; nan without `has_scale`."""
        return float(self._core["sigma"][0]) if self.has_scale else float("nan")

    @property
    def theta(self) -> pd.Series[float]:
        """Covariance parameters on lme4's scale, by R's names."""
        return _series(self._core["theta"], self._core["theta_names"], "theta")

    @property
    def beta(self) -> pd.Series[float]:
        """Fixed effects, by term."""
        return _series(self._core["beta"], self._core["terms"], "estimate")

    @property
    def log_lik(self) -> float:
        """Log-likelihood; the restricted one after REML."""
        return float(self._core["log_lik"][0])

    @property
    def aic(self) -> float:
        """Akaike's information criterion; of the restricted likelihood after REML."""
        return float(self._core["aic"][0])

    @property
    def bic(self) -> float:
        """Bayesian information criterion; of the restricted likelihood after REML."""
        return float(self._core["bic"][0])

    @property
    def criterion(self) -> float:
        """Minus twice the log-likelihood at the optimum; the restricted one after REML."""
        return float(self._core["criterion"][0])

    @property
    def is_singular(self) -> bool:
        """Whether it is on the boundary of the covariance parameters: ``isSingular(m)``."""
        return bool(self._core["singular"][0])

    @property
    def optimizer(self) -> str:
        """The optimizer, as lme4 names it."""
        return str(self._core["optimizer"][0])

    @property
    def optimizer_message(self) -> str:
        """The optimizer's last message."""
        return " ".join(self._core["optimizer_message"])

    @property
    def collation(self) -> str:
        """How R sorted text while it fitted, such as "C" or "en_US.UTF-8 (ICU: root)".

        R makes a factor of a column of text, with its levels in that order: the first of them, the
        reference level, hangs on the locale of this process. Give a categorical for an order of
        your own.
        """
        return " ".join(self._core.get("collation", ()))

    @property
    def dropped(self) -> tuple[str, ...]:
        """Coefficients that were dropped since the design was rank deficient."""
        names = self._core["dropped"]
        return tuple(names if names is not None else ())

    # -- tables ------------------------------------------------------------------------------

    def fixef(self) -> pd.DataFrame:
        """Return the fixed effects, in R ``fixef(m)``.

        Returns
        -------
        DataFrame
            Columns term, estimate.

        See Also
        --------
        MerMod.tidy : With standard errors.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> fit.fixef()["term"].tolist()
        ['(Intercept)', 'ses']
        """
        core = self._core
        return checked(pd.DataFrame({"term": core["terms"], "estimate": core["beta"]}), "fixef")

    def ranef(self) -> pd.DataFrame:
        """Return the conditional modes of the random effects, with their standard deviations.

        In R: ``as.data.frame(ranef(m, condVar = TRUE))``.

        Returns
        -------
        DataFrame
            Columns grpvar, term, grp, condval, condsd: a row per grouping factor, term and level.

        See Also
        --------
        MerMod.coef : Fixed plus random effects.
        """
        return checked(pd.DataFrame(dict(self.answers["mermod_ranef"])), "ranef")

    def varcorr(self) -> pd.DataFrame:
        """Return variances and covariances of the random effects, and sigma squared.

        In R: ``as.data.frame(VarCorr(m))``.

        Returns
        -------
        DataFrame
            Columns grp, var1, var2, vcov, sdcor. var2 is missing for a variance, and var1 too for
            the residual, a row that only a fit with a scale has.

        See Also
        --------
        MerMod.vcov : The covariance of the fixed effects' estimates.
        MerModList.varcorr : The mean over several fits.
        """
        return checked(pd.DataFrame(dict(self.answers["mermod_varcorr"])), "varcorr")

    def vcov(self) -> pd.DataFrame:
        """Return the covariance matrix of the fixed effects, in R ``vcov(m)``.

        Returns
        -------
        DataFrame
            Terms x terms.

        See Also
        --------
        MerMod.varcorr : The covariance of the random effects.
        MerModList.vcov : Pooled over several fits.
        """
        answer = self.answers["mermod_vcov"]
        terms = list(answer["terms"])
        return pd.DataFrame(answer["vcov"].copy(), index=terms, columns=terms)

    def coef(self) -> pd.DataFrame:
        """Return fixed plus random effects per level, in R ``coef(m)``.

        Returns
        -------
        DataFrame
            Columns grpvar, grp, and one per term. A term that a grouping factor doesn't have is
            missing in its rows. A term keeps its name: if it is called grp or grpvar, the table's
            own column gets an underscore (``grp_``).

        See Also
        --------
        MerMod.coef_parts : Its two parts.
        MerMod.fixef : Fixed effects alone.
        MerMod.ranef : Random effects alone.
        """
        return beside(*self.coef_parts())

    def coef_parts(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return the two parts of `coef`: grpvar and grp, and the terms' columns, row by row.

        See Also
        --------
        MerMod.coef : Both in one frame.
        """
        keys, values = [], []
        for grpvar, table in self.answers["mermod_coef"].items():
            keys.append(pd.DataFrame({"grpvar": grpvar, "grp": table["grp"]}))
            values.append(pd.DataFrame(table["values"].copy(), columns=list(table["terms"])))
        return stacked(keys), stacked(values)

    def model_info(self) -> pd.DataFrame:
        """Return one row on the model, as merTools' ``modelInfo(m)``.

        Returns
        -------
        DataFrame
            Columns n_obs, n_lvls, aic, sigma.

        See Also
        --------
        MerMod.glance : Likelihood and criteria.
        """
        row = {
            "n_obs": [self.nobs],
            "n_lvls": [self.n_lvls],
            "aic": [self.aic],
            "sigma": [self.sigma],
        }
        return checked(pd.DataFrame(row), "model_info")

    def tidy(self) -> pd.DataFrame:
        """Return all estimates in one frame, as broom.mixed's ``tidy(m)``.

        Returns
        -------
        DataFrame
            Columns effect, group, term, estimate, std_error, statistic: the fixed effects, then
            standard deviations (``sd__term``) and correlations (``cor__a.b``) of the random ones.

        See Also
        --------
        MerMod.glance : One row on the whole model.
        MerModList.tidy : Pooled over several fits.
        """
        core = self._core
        beta = core["beta"]
        std_error = np.sqrt(np.diag(self.answers["mermod_vcov"]["vcov"]))
        random = random_terms(self.answers["mermod_varcorr"])
        none = np.full(len(random), np.nan)
        frame = pd.DataFrame(
            {
                "effect": ["fixed"] * len(beta) + ["ran_pars"] * len(random),
                "group": [None] * len(beta) + [x[0] for x in random],
                "term": [*core["terms"], *(x[1] for x in random)],
                "estimate": np.concatenate([beta, [x[2] for x in random]]),
                "std_error": np.concatenate([std_error, none]),
                "statistic": np.concatenate([beta / std_error, none]),
            }
        )
        return checked(frame, "tidy")

    def glance(self) -> pd.DataFrame:
        """Return one row on the whole model, as broom.mixed's ``glance(m)``.

        Returns
        -------
        DataFrame
            Columns nobs, sigma, log_lik, aic, bic, reml_crit (deviance where the fit is not by
            REML), df_residual.

        See Also
        --------
        MerMod.tidy : All estimates.
        """
        core = self._core
        # For a generalised model R's deviance() is another number than -2 log-likelihood.
        deviance = core.get("deviance")
        row = {
            "nobs": [self.nobs],
            "sigma": [self.sigma],
            "log_lik": [self.log_lik],
            "aic": [self.aic],
            "bic": [self.bic],
            "reml_crit" if self.reml else "deviance": [
                self.criterion if deviance is None else float(deviance[0])
            ],
            "df_residual": [self.df_residual],
        }
        return checked(pd.DataFrame(row), "glance_reml" if self.reml else "glance_ml")

    def convergence(self) -> pd.DataFrame:
        """Return one row: is_singular, and R's warnings and messages while fitting, joined by "; ".

        See Also
        --------
        MerModList.convergence : The same of several fits.
        """
        row = {"is_singular": [self.is_singular], "messages": ["; ".join(self.messages)]}
        return checked(pd.DataFrame(row), "convergence")

    def fitted(self) -> pd.Series[float]:
        """Return the fitted values with all random effects, in R ``fitted(m)``.

        Returns
        -------
        Series
            By the frame's index.

        See Also
        --------
        MerMod.residuals : What they leave.
        MerMod.predict : For new data.
        """
        cases = self.answers["mermod_cases"]
        return self._by_row(cases["rows"], cases["fitted"], "fitted")

    def residuals(
        self,
        type: ResidualType | None = None,
        scaled: bool = False,
    ) -> pd.Series[float]:
        """Return the residuals, in R ``residuals(m, type, scaled)``.

        Parameters
        ----------
        type : {"response", "pearson", "working", "deviance"}, optional
            "response" is the response minus its fitted mean, in the response's units, and the
            default for linear models. "deviance", the default for generalised ones, is the root of
            the row's share of the deviance, with the sign of "response". "pearson" is "response"
            times the root of the row's weight over the variance function; "working" is "response"
            on the scale of the linear predictor, as in the last step of the iterations. For a
            linear model the last two are response and deviance, which is pearson, again.
        scaled : bool
            Divide by sigma, which is 1 in a model without a residual standard deviation.

        Returns
        -------
        Series
            By the frame's index; rows that were left out with ``na_action="na.exclude"`` are
            missing.

        Raises
        ------
        ArgumentError
            Another type, or `scaled` that is no truth value.

        See Also
        --------
        MerMod.fitted : The fitted values.

        References
        ----------
        McCullagh and Nelder (1989), Generalized Linear Models, 2nd ed., section 2.4.

        Examples
        --------
        >>> import rbridge_mi as rb
        >>> hsb = rb.load_hsb().assign(high=lambda d: (d["mathach"] > 18).astype(int))
        >>> fit = rb.Glmer("high ~ ses + (1 | schid)").fit(hsb)
        >>> fit.residuals(type="response").head(2).round(3).tolist()
        [-0.104, 0.818]
        """
        if type is not None:
            check_value(type, get_args(ResidualType), "type")
        checked_argument(scaled, boolean, "scaled")
        if type is None and not scaled:
            cases = self.answers["mermod_cases"]
            return self._by_row(cases["residual_rows"], cases["residuals"], "residuals")
        asked = self.r.call("mermod_residuals", type=type, scaled=scaled).value
        return self._by_row(asked["rows"], asked["values"], "residuals")

    def summary(self) -> Printed:
        """Return what R prints for ``summary(m)``.

        Returns
        -------
        Printed
            Text that shows as it is in a console and in a notebook.

        See Also
        --------
        MerMod.tidy : The estimates as a frame.
        """
        return Printed.of(self.answers["mermod_summary"])

    def to_r(self, path: Any) -> Path:
        """Write the fitted R object to a file, for ``readRDS(path)``.

        Parameters
        ----------
        path : path
            Of the file, such as "fit.rds"; one that is there is replaced.

        Returns
        -------
        Path
            Of the file.

        Raises
        ------
        ArgumentError
            The R object isn't here, as in a fit that was loaded without it.
        MissingPathError
            There is no such folder.

        See Also
        --------
        MerMod.from_r : Reads such files.

        Examples
        --------
        >>> import tempfile
        >>> import rbridge_mi as rb
        >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb())
        >>> folder = tempfile.TemporaryDirectory()
        >>> fit.to_r(folder.name + "/fit.rds").name
        'fit.rds'
        >>> folder.cleanup()
        """
        return write_object(path, self.r)

    # -- helpers ---------------------------------------------------------------------------

    def needed(self, newdata: pd.DataFrame | None) -> pd.DataFrame | None:
        """Return the columns of new data that the fit has: R may be unable to hold others."""
        # A file of an earlier version may not say.
        columns = self._core.get("columns")
        if newdata is None or columns is None:
            return newdata
        return newdata[[x for x in newdata.columns if isinstance(x, str) and x in columns]]

    def index_of(self, newdata: pd.DataFrame | None) -> pd.Index:
        """Return the index of new data, or that of the frame of the fit."""
        return self.index if newdata is None else newdata.index

    def _by_row(self, rows: Any, values: Any, name: str) -> pd.Series[float]:
        return pd.Series(values.copy(), index=self.index[rows - 1], name=name)

    @property
    def _core(self) -> Mapping[str, Any]:
        """R's answer that most attributes are read from."""
        core: Mapping[str, Any] = self.answers["mermod_core"]
        return core

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FittedModel):
            return NotImplemented
        return (
            self.formula == other.formula
            and self.fixef().equals(other.fixef())
            and self.theta.equals(other.theta)
            and self.criterion == other.criterion
            and self.vcov().equals(other.vcov())
            and self.ranef().equals(other.ranef())
        )

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "\n".join(self.answers["mermod_print"])

    def __repr__(self) -> str:
        groups = ", ".join(f"{name} {n}" for name, n in self.ngrps.items())
        method = "REML" if self.reml else "ML"
        if (self.family, self.link) != ("gaussian", "identity"):
            method = f"{self.family} ({self.link}), {method}"
        return f"<MerMod: {self.formula}; {method}, {self.nobs} obs., {groups}>"

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def _series(values: Any, names: Any, name: str) -> pd.Series[float]:
    return pd.Series(values.copy(), index=list(names), name=name)


def stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return the tables under each other; a column that one hasn't is missing in its rows."""
    return pd.concat(tables, ignore_index=True) if len(tables) > 1 else tables[0]


def random_terms(varcorr: Mapping[str, Any] | pd.DataFrame) -> list[tuple[str, str, float]]:
    """Return (group, term, value) of each standard deviation and correlation.

    They are in the order of the lower triangles.
    """
    rows: list[tuple[str, str, float]] = []
    # The residual's row has no var1; a grouping factor may be called "Residual", too.
    blocks: dict[tuple[str, bool], list[tuple[Any, Any, float]]] = {}
    columns = (varcorr[x] for x in ("grp", "var1", "var2", "sdcor"))
    for grp, a, b, value in zip(*columns, strict=True):
        blocks.setdefault((grp, bool(pd.isna(a))), []).append((a, b, float(value)))
    for (grp, residual), block in blocks.items():
        if residual:
            rows += [(grp, "sd__Observation", value) for _, _, value in block]
            continue
        sds = [(a, value) for a, b, value in block if pd.isna(b)]
        # They are matched by their places, since two terms may have one name.
        correlations = iter([row for row in block if not pd.isna(row[1])])
        for j, (term, value) in enumerate(sds):
            rows.append((grp, f"sd__{term}", value))
            for a, b, value in islice(correlations, len(sds) - j - 1):
                rows.append((grp, f"cor__{a}.{b}", value))
    return rows
