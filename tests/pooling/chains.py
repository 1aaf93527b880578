"""Chains for tests of convergence, from fixed seeds: (chains, iterations, parameters)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def autoregressive(coefficients: list[float], chains: int, iterations: int, seed: int) -> Floats:
    """First-order autoregressions of variance 1, one parameter for each coefficient."""
    phi = np.array(coefficients)
    steps = np.random.Generator(np.random.PCG64(seed)).random((iterations, chains, len(phi)))
    noise = (steps - 0.5) * np.sqrt(12)  # Uniform numbers: the same with every numpy.
    x = np.empty((iterations, chains, len(phi)))
    x[0] = noise[0]
    for i in range(1, iterations):
        x[i] = phi * x[i - 1] + np.sqrt(1 - phi**2) * noise[i]
    return np.moveaxis(x, 0, 1)


def _stuck() -> Floats:
    x = autoregressive([0.5, 0.5, 0.5], 4, 200, 2)
    x[1, :, 0] += 3  # Another place,
    x[2, :, 1] *= 5  # another spread,
    x[3, 60:, 2] = x[3, 60, 2]  # and a chain that does not move on.
    return x


def _cauchy() -> Floats:
    uniform = np.random.Generator(np.random.PCG64(3)).random((4, 300, 2))
    return np.tan(np.pi * (uniform - 0.5))


def _discrete() -> Floats:
    x = autoregressive([0.3, 0.9], 4, 150, 5)
    x[:, :, 0] = x[:, :, 0] > 0.5
    x[:, :, 1] = np.round(x[:, :, 1] * 3)
    return x


CASES = {
    "autoregressive": autoregressive([0.0, 0.3, 0.9, 0.99, -0.5, -0.95], 4, 400, 1),
    "stuck": _stuck(),
    "cauchy": _cauchy(),
    "two chains, odd length": autoregressive([0.0, 0.7], 2, 101, 4),
    "one chain": autoregressive([0.2, 0.8], 1, 500, 6),
    "ties": _discrete(),
    "short": autoregressive([0.0, 0.5, 0.95], 3, 12, 7),
    "many short": autoregressive([0.0, 0.5, 0.95, -0.9], 20, 30, 8),
}
