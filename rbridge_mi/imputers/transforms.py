"""The scale that a column is imputed on, and the range of the values that it may be given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from scipy.special import expit, logit

from ..base.checks import is_number
from ..errors import ArgumentError

__all__ = ["IDENTITY", "Doubles", "Transform", "TransformName", "transform_of"]

Doubles: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
TransformName = Literal["identity", "log", "logit"]

_NAMES: tuple[TransformName, ...] = ("identity", "log", "logit")


@dataclass(frozen=True)
class Transform:
    """A monotone function from a column's scale to the scale that it is imputed on.

    Parameters
    ----------
    name : str
        "identity" (the values themselves), "log" (of the distance from the least value) or "logit"
        (of the place between the least and the greatest value).
    least, greatest : float
        The range of the column's values. The log and the logit take values inside it only, the
        identity also its ends.

    Examples
    --------
    >>> Transform("log", 10.0).forward([11.0])
    array([0.])
    >>> Transform("logit", 0.0, 10.0).backward([0.0])
    array([5.])
    """

    name: TransformName = "identity"
    least: float = -math.inf
    greatest: float = math.inf

    @property
    def lower(self) -> float:
        """The least value on the scale of imputation."""
        return self.least if self.name == "identity" else -math.inf

    @property
    def upper(self) -> float:
        """The greatest value on the scale of imputation."""
        if self.name == "log" and math.isfinite(self.greatest):
            return math.log(self.greatest - self.least)
        return self.greatest if self.name == "identity" else math.inf

    @property
    def range(self) -> str:
        """The range of the values as a phrase, which goes on after "must be"."""
        opens, closes = {
            "identity": ("at least", "at most"),
            "log": ("above", "at most"),
            "logit": ("above", "below"),
        }[self.name]
        parts = []
        if math.isfinite(self.least):
            parts.append(f"{opens} {self.least:g}")
        if math.isfinite(self.greatest):
            parts.append(f"{closes} {self.greatest:g}")
        return " and ".join(parts) or "any number"

    def forward(self, values: Any) -> Doubles:
        """Bring values of the column to the scale of imputation; holes stay holes."""
        values = np.asarray(values, dtype=np.float64)
        if self.name == "log":
            scaled = np.log(values - self.least)
        elif self.name == "logit":
            scaled = logit((values - self.least) / (self.greatest - self.least))
        else:
            scaled = values
        return np.asarray(scaled, dtype=np.float64)

    def backward(self, scaled: Any) -> Doubles:
        """Bring imputed values back to the column's scale, inside its range."""
        scaled = np.asarray(scaled, dtype=np.float64)
        if self.name == "identity":
            return np.asarray(np.clip(scaled, self.least, self.greatest))
        # A draw far out is rounded to an end of the range, which the forward function doesn't take.
        first = np.nextafter(self.least, math.inf)
        last = self.greatest
        if self.name == "log":
            with np.errstate(over="ignore"):
                values = self.least + np.exp(scaled)
            last = min(last, np.finfo(np.float64).max)
        else:
            values = self.least + (self.greatest - self.least) * expit(scaled)
            last = np.nextafter(self.greatest, -math.inf)
        return np.asarray(np.clip(values, first, last))

    def outside(self, values: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Tell which values the range doesn't have; holes are not outside."""
        values = np.asarray(values, dtype=np.float64)
        at_least = values <= self.least if self.name != "identity" else values < self.least
        at_most = values >= self.greatest if self.name == "logit" else values > self.greatest
        outside: np.ndarray[Any, np.dtype[np.bool_]] = at_least | at_most
        return outside


#: The values themselves, without a range.
IDENTITY = Transform()


def transform_of(column: str, name: Any = None, bounds: Any = None) -> Transform:
    """Make a column's transform from what `transforms` and `bounds` say of it.

    Parameters
    ----------
    column : str
        Its name, for messages.
    name : str, optional
        "log" or "logit"; without it the values themselves.
    bounds : tuple of two numbers, optional
        The least and the greatest value; None where there is no limit.

    Returns
    -------
    Transform
        With the range that belongs to both: without bounds a log has values above 0, and a logit
        values between 0 and 1.

    Raises
    ------
    ArgumentError
        An unknown transform, bounds that are no range, or a logit with one bound.
    """
    name = "identity" if name is None else name
    if name not in _NAMES:
        raise ArgumentError(
            f"transforms gives {column!r} {name!r}; a transform is one of "
            f"{', '.join(map(repr, _NAMES))}."
        )
    least, greatest = (None, None) if bounds is None else _pair(column, bounds)
    if name == "logit":
        if (least is None) != (greatest is None):
            raise ArgumentError(
                f"bounds gives {column!r} one limit, {bounds!r}, and its logit needs both: give "
                "the other too, or leave bounds out for values between 0 and 1."
            )
        least, greatest = (0.0, 1.0) if least is None else (least, greatest)
    if name == "log" and least is None:
        least = 0.0
    transform = Transform(
        name,
        -math.inf if least is None else least,
        math.inf if greatest is None else greatest,
    )
    if transform.least >= transform.greatest:
        raise ArgumentError(
            f"bounds gives {column!r} {bounds!r}, between which there is no value"
            f"{' that has a log' if name == 'log' else ''}: the first must be less than the second."
        )
    return transform


def _pair(column: str, bounds: Any) -> tuple[float | None, float | None]:
    sound = isinstance(bounds, tuple | list) and len(bounds) == 2
    if not sound or not all(x is None or (is_number(x) and not math.isnan(x)) for x in bounds):
        raise ArgumentError(
            f"bounds gives {column!r} {bounds!r}; it must be a pair of numbers, such as (0, 100), "
            "with None where there is no limit."
        )
    least, greatest = (None if x is None or math.isinf(x) else float(x) for x in bounds)
    return least, greatest
