"""The glossary: one concept, one column name, one line of meaning; and the tables made of them."""

from __future__ import annotations

import pandas as pd

from .errors import RBridgeError

__all__ = ["GLOSSARY", "TABLES", "checked"]

GLOSSARY: dict[str, str] = {
    "imputation": "number of the data set that the row is about, from 1",
    "term": "name of a coefficient, as R writes it",
    "effect": "'fixed', or 'ran_pars' for standard deviations and correlations",
    "group": "grouping factor of a random term; 'Residual' for the residual",
    "grp": "a level of the grouping factor; in varcorr the factor itself, as lme4 has it",
    "grpvar": "grouping factor of a random effect",
    "var1": "term of a random effect; missing for the residual",
    "var2": "second term of a covariance; missing for a variance",
    "vcov": "variance, or covariance of var1 and var2",
    "sdcor": "standard deviation, or correlation of var1 and var2",
    "condval": "conditional mode of a random effect (pooled: their mean)",
    "condsd": "its conditional standard deviation (pooled: total)",
    "estimate": "estimate, in the units of the response per unit of the term",
    "std_error": "standard error of the estimate",
    "statistic": "estimate divided by its standard error",
    "df": "degrees of freedom of the reference t distribution",
    "p_value": "two-sided p value of the statistic",
    "conf_low": "lower end of the confidence interval",
    "conf_high": "upper end of the confidence interval",
    "ubar": "within-imputation variance: the mean of the squared standard errors",
    "b": "between-imputation variance of the estimates, divisor m - 1",
    "t": "total variance: ubar + (1 + 1/m) b",
    "riv": "relative increase in variance due to missing data",
    "lambda_": "proportion of the total variance due to missing data",
    "fmi": "fraction of missing information",
    "n_obs": "rows that the model was fitted to",
    "n_lvls": "number of grouping factors, as merTools' modelInfo counts",
    "nobs": "rows that the model was fitted to",
    "npar": "number of estimated parameters",
    "sigma": "residual standard deviation",
    "log_lik": "log-likelihood; the restricted one after REML",
    "aic": "Akaike's criterion on log_lik",
    "bic": "Schwarz's criterion on log_lik",
    "reml_crit": "-2 times the restricted log-likelihood at the optimum",
    "deviance": "-2 times the log-likelihood at the optimum",
    "df_residual": "nobs minus npar",
    "is_singular": "whether the fit lies on the boundary of the covariance parameters",
    "messages": "what lme4 and its optimizer said about the fit",
}

TABLES: dict[str, tuple[str, ...]] = {
    "fixef": ("term", "estimate"),
    "ranef": ("grpvar", "term", "grp", "condval", "condsd"),
    "varcorr": ("grp", "var1", "var2", "vcov", "sdcor"),
    "model_info": ("n_obs", "n_lvls", "aic", "sigma"),
    "tidy": ("effect", "group", "term", "estimate", "std_error", "statistic"),
    "glance_reml": ("nobs", "sigma", "log_lik", "aic", "bic", "reml_crit", "df_residual"),
    "glance_ml": ("nobs", "sigma", "log_lik", "aic", "bic", "deviance", "df_residual"),
    "confint": ("term", "conf_low", "conf_high"),
    "anova": ("npar", "aic", "bic", "log_lik", "deviance", "statistic", "df", "p_value"),
    "convergence": ("is_singular", "messages"),
    "fixed": (
        "term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
        "ubar", "b", "t", "riv", "lambda_", "fmi",
    ),
}  # fmt: skip


def checked(frame: pd.DataFrame, table: str, *, by_imputation: bool = False) -> pd.DataFrame:
    """The frame, after a look that its columns are the table's; every table leaves through here."""
    expected = [*(["imputation"] if by_imputation else []), *TABLES[table]]
    if list(frame.columns) != expected:
        raise RBridgeError(f"table {table!r} has columns {list(frame.columns)}, not {expected}")
    return frame
