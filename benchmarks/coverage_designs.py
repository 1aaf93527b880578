"""The designs of the coverage study: how data are drawn, and how holes come into them.

Every design has about 500 rows in groups g, ``y = fixed part + u0 + u1 x + e``, with random
intercepts and slopes (variances 0.5 and 0.2, independent) and residual variance 1. x has variance
1, of which 0.3 lies between groups; z, of variance 1, is constant within groups. y and g are always
observed. A row's x, or a group's z, is missing at random given y (for z given the group's mean of
y): the larger y, the likelier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

__all__ = ["DESIGNS", "RESIDUAL", "STUDIED", "UNITS", "VARIANCES", "Design"]

# The true variances, by the names under which the study keeps their estimates.
VARIANCES = {"g: (Intercept)": 0.5, "g: x": 0.2, "Residual": 1.0}
RESIDUAL = "Residual"
SLOPE = {"(Intercept)": 1.0, "x": 1.0}
EVEN = (10,) * 50
# 1 to 40 rows, 10 in the mean, most groups small.
UNEVEN = tuple(round(1 + 39 * (i / 49) ** 3.4) for i in range(50))
MISSING = {"x": 0.3, "z": 0.2}


@dataclass(frozen=True)
class Design:
    """One kind of data, and the model that is fitted to it.

    `truth` has the true value of each coefficient, `holes` the incomplete columns. x's numbers are
    multiplied by `factor` after all else (x in another unit).
    """

    title: str
    model: str = "y ~ x + (1 + x | g)"
    truth: Mapping[str, float] = field(default_factory=lambda: SLOPE)
    sizes: tuple[int, ...] = EVEN
    holes: tuple[str, ...] = ("x",)
    binary: bool = False
    factor: float = 1.0

    def draw(self, rng: np.random.Generator) -> pd.DataFrame:
        """Complete data: g, x, z if the model has it, and y."""
        g = np.repeat(np.arange(len(self.sizes)), self.sizes)
        x = np.sqrt(0.3) * rng.normal(size=len(self.sizes))[g] + np.sqrt(0.7) * rng.normal(
            size=g.size
        )
        if self.binary:
            x = (x > 0).astype(float)
        intercept, slope = (
            np.sqrt(VARIANCES[name]) * rng.normal(size=len(self.sizes))[g]
            for name in ("g: (Intercept)", "g: x")
        )
        residual = np.sqrt(VARIANCES[RESIDUAL]) * rng.normal(size=g.size)
        data = pd.DataFrame({"g": [f"g{i:02}" for i in g], "x": x * self.factor})
        terms = {"(Intercept)": np.ones(g.size), "x": x, "I(x^2)": x**2}
        if "z" in self.truth:
            data["z"] = terms["z"] = z = rng.normal(size=len(self.sizes))[g]
            terms["x:z"] = x * z
        y = sum(value * terms[term] for term, value in self.truth.items())
        return data.assign(y=y + intercept + slope * x + residual)

    def delete(self, data: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
        """The same data with holes, in x's rows and in z's groups."""
        data = data.copy()
        if "x" in self.holes:
            data["x"] = data["x"].mask(_chosen(data["y"], MISSING["x"], rng))
        if "z" in self.holes:
            chosen = _chosen(data.groupby("g")["y"].mean(), MISSING["z"], rng)
            data["z"] = data["z"].mask(data["g"].map(chosen))
        return data

    def in_its_units(self, parameter: str) -> float:
        """What brings an estimate back to the unit in which the truth is stated."""
        return {"x": self.factor, "g: x": self.factor**2}.get(parameter, 1.0)


def _chosen(given: pd.Series[float], share: float, rng: np.random.Generator) -> pd.Series[bool]:
    """Choose at random, the larger `given` the likelier, `share` of them in the mean."""
    z = (given - given.mean()) / given.std()
    low, high = -10.0, 10.0
    for _ in range(60):  # the intercept that makes the mean probability right
        middle = (low + high) / 2
        probability = 1 / (1 + np.exp(-(middle + z)))
        low, high = (middle, high) if probability.mean() < share else (low, middle)
    return rng.uniform(size=len(given)) < probability


DESIGNS = {
    "slope": Design("a random slope"),
    "binary": Design("a binary incomplete covariate", binary=True),
    "level2": Design(
        "an incomplete covariate of level 2",
        "y ~ x + z + (1 + x | g)",
        SLOPE | {"z": 0.5},
        holes=("z",),
    ),
    "quadratic": Design(
        "a quadratic term", "y ~ x + I(x^2) + (1 + x | g)", SLOPE | {"I(x^2)": 0.3}
    ),
    "interaction": Design(
        "an interaction of levels 1 and 2, both incomplete",
        "y ~ x + z + x:z + (1 + x | g)",
        SLOPE | {"z": 0.5, "x:z": 0.5},
        holes=("x", "z"),
    ),
    "unbalanced": Design("groups of 1 to 40 rows", sizes=UNEVEN),
    "few": Design("15 groups of 33 or 34 rows", sizes=(34,) * 5 + (33,) * 10),
    "small_units": Design("a random slope, x's numbers 10 times larger", factor=10.0),
    "large_units": Design("a random slope, x's numbers 100 times smaller", factor=0.01),
}
UNITS = ("small_units", "large_units")
STUDIED = tuple(name for name in DESIGNS if name not in UNITS)
