"""Start values and priors of jomo's chains, which its compiled code takes as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError

__all__ = ["Sizes", "check_matrices"]

_ROUNDING = 1e-8  # asymmetry, relative to the largest value


@dataclass(frozen=True)
class Sizes:
    """The sizes of a joint model.

    Parameters
    ----------
    outcomes, upper_outcomes : int
        Columns of its two levels; a column with k categories counts k - 1 times.
    covariates, upper_covariates, random : int
        Columns of X, X2 and Z, with the intercepts.
    groups : int
    each_group : bool
        Whether each group has a covariance matrix.
    """

    outcomes: int
    upper_outcomes: int
    covariates: int
    upper_covariates: int
    random: int
    groups: int
    each_group: bool

    @property
    def effects(self) -> int:
        """Random effects of a group."""
        return self.random * self.outcomes + self.upper_outcomes

    def shapes(self) -> dict[str, tuple[int, int]]:
        """Return the shape of each matrix, by R's names."""
        p, effects = self.outcomes, self.effects
        return {
            "beta.start": (self.covariates, p),
            "l2.beta.start": (self.upper_covariates, self.upper_outcomes),
            "u.start": (self.groups, effects),
            "l1cov.start": (p * self.groups if self.each_group else p, p),
            "l1cov.prior": (p, p),
            "l2cov.start": (effects, effects),
            "l2cov.prior": (effects, effects),
        }


def check_matrices(given: Mapping[str, Any], sizes: Sizes) -> None:
    """Refuse matrices of a wrong shape, and covariances that are none.

    Parameters
    ----------
    given : mapping
        Arguments by R's names, the matrices as arrays.
    sizes : Sizes

    Raises
    ------
    ArgumentError
        Names the matrix, and says what it must be.
    """
    for name, shape in sizes.shapes().items():
        if name not in given:
            continue
        matrix = given[name]
        if matrix.shape != shape or 0 in shape:
            raise ArgumentError(
                f"{name} must have {shape[0]} rows and {shape[1]} columns here, and has "
                f"{matrix.shape[0]} and {matrix.shape[1]}. A column with k categories counts k - 1 "
                "times, numbers come before categories, and the columns of X, X2 and Z begin with "
                "the intercept."
            )
        if "cov" in name:
            for block in np.split(matrix, shape[0] // shape[1]):
                _check_covariance(block, name)
    least = sizes.outcomes
    for name in ("a", "a.start", "a.prior"):
        if given.get(name, np.inf) < least:
            raise ArgumentError(
                f"{name} is a number of degrees of freedom, and must be at least {least} here: one "
                "for each column of the joint model's level of rows."
            )


def _check_covariance(block: np.ndarray[Any, Any], name: str) -> None:
    symmetric = np.abs(block - block.T).max() <= _ROUNDING * np.abs(block).max()
    if not symmetric or np.linalg.eigvalsh(block).min() <= 0:
        raise ArgumentError(
            f"{name} must hold covariances: a symmetric matrix, whose eigenvalues are above 0."
        )
