"""How many digits two fits of one model share."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

MOST = 15  # digits that a double has for certain


def digits(differences: Sequence[float] | Any) -> int | None:
    """Digits that the largest of these relative differences leaves; None for what has no number."""
    values = np.abs(np.asarray(differences, dtype=float))
    if not values.size:
        return MOST
    worst = float(values.max())
    if math.isnan(worst):
        return None
    return max(0, min(MOST, math.floor(-math.log10(max(worst, 10.0**-MOST)) + 1e-9)))


def plain(name: str) -> str:
    """A coefficient's name without what R and patsy write around it."""
    name = re.sub(r"\b(C|factor|Q|np|standardize|scale|Intercept)\b|, Poly|, ddof=1", "", name)
    name = re.sub(r"\.Linear|\.Quadratic|\.Cubic",
                  lambda x: {".L": ".L", ".Q": ".Q", ".C": ".C"}[x[0][:2]], name)  # fmt: skip
    name = name.replace("[T.", "").replace("**", "^").replace(" ", "")
    return re.sub(r"[^\w^.:]", "", name).replace(".", "_")


def matched(ours: dict[str, float], theirs: dict[str, float]) -> list[tuple[float, float]] | None:
    """Pairs by name; by their order where a package has names of its own; None if counts differ."""
    a, b = {plain(k): v for k, v in ours.items()}, {plain(k): v for k, v in theirs.items()}
    if len(a) == len(ours) and set(a) == set(b):
        return [(x, b[k]) for k, x in a.items()]
    if len(ours) != len(theirs):
        return None
    return list(zip(ours.values(), theirs.values(), strict=True))


def group_name(name: str, names: Sequence[str]) -> str:
    """`Subject.1` is another term of Subject; `b:a` is `a:b`."""
    base = re.sub(r"\.\d+$", "", name)
    name = base if base in names else name
    return ":".join(sorted(re.split(r"[.:/]", name)))


def deviations(numbers: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Standard deviations by group; each group's terms together."""
    result: dict[str, dict[str, float]] = {}
    for group, terms in numbers["random"].items():
        of = result.setdefault(group_name(group, list(numbers["random"])), {})
        for term, value in terms.items():
            of[term if term not in of else f"{term}#{len(of)}"] = value
    return result


def compared(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Digits of fixed effects, standard deviations and log likelihood; the gap of the latter.

    Differences are relative: of a coefficient to the larger of itself and its standard error, of
    a standard deviation to itself, and in a singular fit, where it may be 0, to the model's
    largest.
    """
    pairs = matched(ours["fixed"], theirs["fixed"])
    fixed = None
    if pairs is not None:
        scale = [max(abs(a), e) for (a, _), e in zip(pairs, ours["errors"], strict=True)]
        fixed = digits([(a - b) / s for (a, b), s in zip(pairs, scale, strict=True)])
    a, b = deviations(ours), deviations(theirs)
    sd = None
    if set(a) == set(b):
        both = [matched(a[group], b[group]) for group in a]
        if all(x is not None for x in both):
            every = [pair for group in both if group is not None for pair in group]
            if not math.isnan(ours["residual"]):
                every.append((ours["residual"], theirs["residual"]))
            largest = max(x for x, _ in every)
            least = largest if min(x for x, _ in every) < 1e-4 * largest else 0.0
            sd = digits([(x - y) / max(x, least) for x, y in every])
    gap = float(theirs["log_lik"]) - ours["log_lik"]
    return {"fixed": fixed, "sd": sd, "gap": gap,
            "log_lik": digits([gap / max(1.0, abs(ours["log_lik"]))])}  # fmt: skip


def of_fitted(ours: Sequence[float], theirs: Sequence[float], residual: float) -> int | None:
    """Digits of the fitted values, beside their own or the residual SD; None for other rows."""
    x, y = np.asarray(ours, float), np.asarray(theirs, float)
    y = y[~np.isnan(y)]
    scale = np.nanmax([x.std(), residual, 1e-10])
    return digits((x - y) / scale) if x.shape == y.shape else None
