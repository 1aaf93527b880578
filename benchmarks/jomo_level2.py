"""What jomo's draw of the mean of a group-level column does: a plain Gibbs sampler, done both ways.

x of rows and z of groups, both complete, are jointly normal: x = mean + u + e, with u and z
correlated. The mean of z is drawn given z and u, as its full conditional distribution says, or
given z alone, as jomo 2.7-4 does. Prints posterior means and SDs of the regression of x on z;
`lmer(x ~ z + (1 | g))` gives a standard error of 0.0648 for the intercept, and a slope of 0.3741.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from against_jomo_cases import GROUPS, SIZE
from numpy.typing import NDArray
from scipy.stats import invwishart

Array = NDArray[np.float64]
NAMES = ("x ~ (Intercept)", "x ~ z", "x ~ sd(g)", "x ~ sigma")


def data() -> tuple[Array, Array]:
    """x as (groups, rows of each), and z."""
    rng: Any = np.random.default_rng(5)
    z = rng.normal(size=GROUPS)
    of_group = np.sqrt(0.3) * rng.normal(size=GROUPS)
    rest = np.sqrt(0.7) * rng.normal(size=(GROUPS, SIZE))
    x = 0.4 * z[:, None] + 0.9 * (of_group[:, None] + rest)
    return (x - x.mean()) / x.std(), (z - z.mean()) / z.std()


def sample(x: Array, z: Array, iterations: int, seed: int, *, given_u: bool) -> Array:
    """Draws of the parameters in NAMES, the first 500 left out."""
    rng = np.random.default_rng(seed)
    groups, size = x.shape
    u, within, between = np.zeros(groups), 0.7, 0.5 * np.eye(2)
    draws = []
    for iteration in range(iterations):
        mean_x = (x - u[:, None]).mean() + np.sqrt(within / x.size) * rng.normal()
        slope = between[0, 1] / between[0, 0] if given_u else 0.0
        variance = between[1, 1] - slope * between[0, 1]
        mean_z = (z - slope * u).mean() + np.sqrt(variance / groups) * rng.normal()
        slope = between[0, 1] / between[1, 1]
        variance = between[0, 0] - slope * between[0, 1]
        precision = size / within + 1 / variance
        total = (x - mean_x).sum(axis=1) / within + slope * (z - mean_z) / variance
        u = total / precision + rng.normal(size=groups) / np.sqrt(precision)
        both = np.stack([u, z - mean_z])
        scale = both @ both.T + np.eye(2)
        between = invwishart.rvs(groups + 2, scale, random_state=rng)
        squares = float(((x - mean_x - u[:, None]) ** 2).sum())
        within = (squares + 1) / rng.chisquare(x.size - 1)
        if iteration >= 500:
            slope = between[0, 1] / between[1, 1]
            sd = np.sqrt(between[0, 0] - slope * between[0, 1])
            draws.append([mean_x - slope * mean_z, slope, sd, np.sqrt(within)])
    return np.array(draws)


def main() -> None:
    x, z = data()
    for text, given_u in (("given z and u", True), ("given z alone", False)):
        draws = sample(x, z, 10_000, 1, given_u=given_u)
        shown = [
            f"{name} {mean:.4f} ({sd:.4f})"
            for name, mean, sd in zip(NAMES, draws.mean(axis=0), draws.std(axis=0), strict=True)
        ]
        print(f"mean of z {text}: {', '.join(shown)}")


if __name__ == "__main__":
    main()
