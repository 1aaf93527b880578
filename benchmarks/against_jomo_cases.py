"""The data on which CompatibleImputer and jomo.lmer are compared, and what makes them comparable.

Each case has a model that both sample from, up to their priors. jomo.lmer models all covariates
jointly; ours regresses one on the other. A joint normal of two columns is such a regression, and
`from_jomo` brings jomo's parameters to ours. `log_ratio` is the logarithm of jomo's prior density
over ours, by which our draws are weighted. Both priors are on the scale of standardised data, as
these are.

jomo's priors, as version 2.7-4 samples from them: flat for coefficients; for the residual variance
scaled inverse chi-squared of 1 degree of freedom around the complete records' estimate; for the
random effects' covariance inverse Wishart of q degrees of freedom, with the complete records'
estimate as its scale; for covariates inverse Wishart of q degrees of freedom and unit scale between
groups, and of -1 degree and unit scale within.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import rbridge_mi as rb
from rbridge_mi.sampling.priors import Prior

__all__ = ["CASES", "Case"]

Array: TypeAlias = NDArray[Any]
Draws: TypeAlias = Mapping[str, Array]
GROUPS, SIZE = 80, 9
PRIOR = Prior()  # ours


@dataclass(frozen=True)
class Case:
    """Data, a model, and how jomo's draws become ours."""

    title: str
    model: str
    fixed: tuple[str, ...]
    effects: tuple[str, ...]
    draw: Callable[[np.random.Generator], pd.DataFrame]
    covariates_from_jomo: Callable[[Draws], dict[str, Array]]
    covariates_log_ratio: Callable[[Draws], Array]
    binary: tuple[str, ...] = ()
    of_groups: tuple[str, ...] = ()
    note: str = ""

    def from_jomo(self, draws: Draws) -> dict[str, Array]:
        """jomo's draws under our names."""
        values = {name: draws[f"fixed[{j + 1}]"] for j, name in enumerate(self.fixed)}
        values["sigma"] = np.sqrt(draws["residual"])
        for i, name in enumerate(self.effects):
            values[f"sd(g: {name})"] = np.sqrt(draws[f"random[{i + 1},{i + 1}]"])
        if len(self.effects) == 2:
            scale = np.sqrt(draws["random[1,1]"] * draws["random[2,2]"])
            values[f"cor(g: {', '.join(self.effects)})"] = draws["random[1,2]"] / scale
        return values | self.covariates_from_jomo(draws)

    def log_ratio(self, draws: Draws, data: pd.DataFrame) -> Array:
        """The log density of jomo's prior less that of ours, at our draws."""
        variance, covariance = _complete_records(self.model, data)
        total: Array = _variance_log_ratio(draws["sigma"] ** 2, 1.0, variance)
        sds = [draws[f"sd(g: {name})"] for name in self.effects]
        psi = np.stack([[a * b for a in sds] for b in sds])
        if len(sds) == 2:
            correlation = draws[f"cor(g: {', '.join(self.effects)})"]
            psi[0, 1] = psi[1, 0] = psi[0, 1] * correlation
        psi = np.moveaxis(psi, (0, 1), (-2, -1))
        inverse = np.linalg.inv(psi)
        q = len(sds)
        log_det = np.linalg.slogdet(psi)[1]
        total += -0.5 * (2 * q + 1) * log_det - 0.5 * np.trace(covariance @ inverse, 0, -2, -1)
        diagonal = np.einsum("...ii->...i", inverse)
        total -= -0.5 * (2 + 2 * q) * log_det - 0.5 * (2 + q) * np.log(
            2 * diagonal + PRIOR.sd_scale**-2
        ).sum(-1)
        total += self.covariates_log_ratio(draws)
        return total


def _complete_records(model: str, data: pd.DataFrame) -> tuple[float, Array]:
    """Residual variance and random effects' covariance of the complete records."""
    table = rb.Lmer(model).fit(data.dropna()).varcorr()
    residual = table.loc[table["grp"] == "Residual", "vcov"]
    values = table.loc[table["grp"] == "g", "vcov"].to_numpy()
    if len(values) == 1:
        return float(residual.iloc[0]), values.reshape(1, 1)
    a, b, both = values
    return float(residual.iloc[0]), np.array([[a, both], [both, b]])


def _variance_log_ratio(variance: Array, df: float, scale: float) -> Array:
    """Scaled inverse chi-squared densities: df and df times scale against ours."""
    jomo = -(df / 2 + 1) * np.log(variance) - 0.5 * scale / variance
    ratio: Array = jomo - (-1.5 * np.log(variance) - 0.5 * PRIOR.variance_scale / variance)
    return ratio


def _half_t(variance: Array) -> Array:
    """Our prior of the variance of random intercepts: their SD is half-t with 2 df."""
    density: Array = -0.5 * np.log(variance) - 1.5 * np.log(2 + variance / PRIOR.sd_scale**2)
    return density


# -- one continuous covariate ---------------------------------------------------------------------


def _one_from_jomo(draws: Draws) -> dict[str, Array]:
    return {
        "x ~ (Intercept)": draws["mean[x]"],
        "x ~ sd(g)": np.sqrt(draws["between[x,x]"]),
        "x ~ sigma": np.sqrt(draws["within[x,x]"]),
    }


def _one_log_ratio(draws: Draws) -> Array:
    within, between = draws["x ~ sigma"] ** 2, draws["x ~ sd(g)"] ** 2
    total: Array = _variance_log_ratio(within, -1.0, 1.0)
    total += -1.5 * np.log(between) - 0.5 / between - _half_t(between)
    return total


# -- two of level 1, one of them complete ---------------------------------------------------------


def _two_from_jomo(draws: Draws) -> dict[str, Array]:
    slope = draws["within[x,z]"] / draws["within[z,z]"]
    residual = draws["within[x,x]"] - slope * draws["within[x,z]"]
    return {"x ~ z": slope, "x ~ sigma": np.sqrt(residual)}


def _two_log_ratio(draws: Draws) -> Array:
    slope, within = draws["x ~ z"], draws["x ~ sigma"] ** 2
    between = draws["x ~ sd(g)"] ** 2
    total: Array = -np.log(within) - 0.5 * (1 + slope**2) / within
    total -= -1.5 * np.log(within) - 0.5 * PRIOR.variance_scale / within
    total += -2 * np.log(between) - 0.5 / between - _half_t(between)
    return total


# -- one of level 1 and one of level 2, both incomplete -------------------------------------------


def _levels_from_jomo(draws: Draws) -> dict[str, Array]:
    slope = draws["between[x,z]"] / draws["between[z,z]"]
    rest = draws["between[x,x]"] - slope * draws["between[x,z]"]
    return {
        "z ~ (Intercept)": draws["mean2[z]"],
        "z ~ sigma": np.sqrt(draws["between[z,z]"]),
        "x ~ (Intercept)": draws["mean[x]"] - slope * draws["mean2[z]"],
        "x ~ z": slope,
        "x ~ sd(g)": np.sqrt(rest),
        "x ~ sigma": np.sqrt(draws["within[x,x]"]),
    }


def _levels_log_ratio(draws: Draws) -> Array:
    """The determinant of the change from (xx, xz, zz) to (rest, slope, zz) is zz."""
    slope, rest = draws["x ~ z"], draws["x ~ sd(g)"] ** 2
    of_z, within = draws["z ~ sigma"] ** 2, draws["x ~ sigma"] ** 2
    total: Array = _variance_log_ratio(within, -1.0, 1.0)
    total += -2.5 * np.log(rest * of_z) + np.log(of_z)
    total -= 0.5 / of_z + 0.5 * (1 + slope**2) / rest
    total -= _half_t(rest) - 1.5 * np.log(of_z) - 0.5 * PRIOR.variance_scale / of_z
    return total


# -- a binary covariate ---------------------------------------------------------------------------


def _binary_from_jomo(draws: Draws) -> dict[str, Array]:
    """jomo's latent normal is positive where x is 0, ours where it is 1."""
    return {
        "x ~ (Intercept)": -draws["mean[x.1]"],
        "x ~ sd(g)": np.sqrt(draws["between[x.1,x.1]"]),
    }


def _binary_log_ratio(draws: Draws) -> Array:
    between = draws["x ~ sd(g)"] ** 2
    ours = _half_t(between) - 0.5 * draws["x ~ (Intercept)"] ** 2 / 25
    ratio: Array = -1.5 * np.log(between) - 0.5 / between - ours
    return ratio


# -- the data -------------------------------------------------------------------------------------


def _normals(rng: np.random.Generator, group_share: float) -> Array:
    """A normal column, a share of whose variance lies between groups."""
    of_group = np.repeat(rng.normal(size=GROUPS), SIZE)
    rest = rng.normal(size=GROUPS * SIZE)
    column: Array = np.sqrt(group_share) * of_group + np.sqrt(1 - group_share) * rest
    return column


def _frame(
    rng: np.random.Generator, slope_variance: float, x: Array, z: Array | None = None
) -> pd.DataFrame:
    """y = 1 + x + z / 2 + u0 + u1 x + e, where 30% of x is missing, the likelier the larger y."""
    u0, u1 = (np.repeat(rng.normal(size=GROUPS), SIZE) for _ in range(2))
    y = 1 + x + np.sqrt(0.5) * u0 + np.sqrt(slope_variance) * u1 * x + rng.normal(size=x.size)
    if z is not None:
        y = y + 0.5 * z
    data = pd.DataFrame({"g": [f"g{i:02}" for i in np.repeat(np.arange(GROUPS), SIZE)], "x": x})
    if z is not None:
        data["z"] = z
    data["y"] = y = (y - y.mean()) / y.std()
    data["x"] = data["x"].mask(rng.uniform(size=x.size) < 1 / (1 + np.exp(1 - y)))
    return data


def _standardised(data: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    return data.assign(
        **{name: (data[name] - data[name].mean()) / data[name].std(ddof=0) for name in names}
    )


def _slope_data(rng: np.random.Generator) -> pd.DataFrame:
    return _standardised(_frame(rng, 0.2, _normals(rng, 0.3)), ("x",))


def _two_data(rng: np.random.Generator) -> pd.DataFrame:
    z = _normals(rng, 0.0)
    data = _frame(rng, 0.0, 0.6 * z + 0.8 * _normals(rng, 0.3), z)
    return _standardised(data, ("x", "z"))


def _levels_data(rng: np.random.Generator) -> pd.DataFrame:
    """A fifth of the groups have no z; z is standardised over groups."""
    z = np.repeat(rng.normal(size=GROUPS), SIZE)
    data = _frame(rng, 0.2, 0.4 * z + 0.9 * _normals(rng, 0.3), z)
    by_group = rng.uniform(size=GROUPS) < 0.2
    data["z"] = data["z"].mask(np.repeat(by_group, SIZE))
    return _standardised(data, ("x", "z"))  # groups are of one size


def _binary_data(rng: np.random.Generator) -> pd.DataFrame:
    return _frame(rng, 0.0, (_normals(rng, 0.3) > -0.2).astype(np.float64))


CASES = {
    "slope": Case(
        "A random slope of an incomplete covariate",
        "y ~ x + (1 + x | g)",
        ("(Intercept)", "x"),
        ("(Intercept)", "x"),
        _slope_data,
        _one_from_jomo,
        _one_log_ratio,
    ),
    "two": Case(
        "Random intercepts, an incomplete and a complete covariate",
        "y ~ x + z + (1 | g)",
        ("(Intercept)", "x", "z"),
        ("(Intercept)",),
        _two_data,
        _two_from_jomo,
        _two_log_ratio,
        note="The models of x differ here: jomo lets x have another slope on z between groups, "
        "and its `x ~ z` is the slope within them; ours has one slope for both. On the complete "
        "records lmer gives 0.531 for the slope within groups and 0.526 for the common one (seed "
        "1).",
    ),
    "levels": Case(
        "A random slope, incomplete covariates of rows and of groups",
        "y ~ x + z + (1 + x | g)",
        ("(Intercept)", "x", "z"),
        ("(Intercept)", "x"),
        _levels_data,
        _levels_from_jomo,
        _levels_log_ratio,
        of_groups=("z",),
        note="The regression of x on z is not the same, and jomo's is at fault. It draws the mean "
        "of z given z alone, though the random intercepts of x are correlated with z and tell of "
        'its mean too (version 2.7-4, `jomo2smcC.c`, "Updating level 2 beta"). So its means of x '
        "and of z are uncorrelated, the intercept's SD is too large, and with G groups the slope "
        "is too small by about one part in G. `benchmarks/jomo_level2.py` is a plain sampler "
        "of complete data done both ways: the intercept's SD is 0.066 with the right draw (lmer's "
        "standard error: 0.065) and 0.079 with jomo's; the slope is 0.369 and 0.365.",
    ),
    "binary": Case(
        "Random intercepts, a binary incomplete covariate",
        "y ~ x + (1 | g)",
        ("(Intercept)", "x"),
        ("(Intercept)",),
        _binary_data,
        _binary_from_jomo,
        _binary_log_ratio,
        binary=("x",),
        note="jomo mixes slowest in `x ~ sd(g)`, for whose SD the Monte Carlo error is "
        "underestimated: three more chains of 30000 iterations gave 0.6757 (0.0967), with SDs from "
        "0.0945 to 0.0986 by chain.",
    ),
}
