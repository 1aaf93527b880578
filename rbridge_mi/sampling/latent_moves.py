"""Moves of latent normals together with the parameters behind them.

The latent normals of a binary or ordered variable are drawn given the parameters, and these given
the latent normals: where a group has one value only, or effects are large, either holds the other
back. The moves here change both at once, with exact acceptance (Liu and Sabatti 2000, Biometrika
87: generalised Gibbs sampling).
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .draws import Streams, truncated_normal_between
from .mixed_model import MixedModel
from .random_effects import RandomEffects

__all__ = ["move_groups", "scale_all"]

Array: TypeAlias = NDArray[Any]


def move_groups(
    model: MixedModel, effects: RandomEffects, lower: Array, upper: Array, streams: Streams
) -> None:
    """Move each group's random intercept and all of its latent normals by the same amount.

    What is left over of the latent normals stays as it is, so that the amount has the prior of the
    intercept given the group's other effects, between the limits at which a latent normal would
    leave its interval.

    Parameters
    ----------
    model : MixedModel
        Of the latent normals.
    effects : RandomEffects
        One of the model's; without a random intercept nothing moves.
    lower, upper : array, shape (C, n)
        The interval of each latent normal.
    streams : Streams
    """
    i = effects.intercept
    if i is None:
        return
    order, starts = effects.order, effects.starts
    least = np.maximum.reduceat((lower - model.y).take(order, axis=1), starts, axis=1)
    most = np.minimum.reduceat((upper - model.y).take(order, axis=1), starts, axis=1)
    inverse = effects.precision()
    sd = inverse[:, i, i, None] ** -0.5
    mean = -np.einsum("cj,cjg->cg", inverse[:, i], effects.u) * sd**2
    amount = truncated_normal_between(
        streams, mean, sd, np.minimum(least, 0.0), np.maximum(most, 0.0)
    )
    effects.u[:, i] += amount
    by_row = amount.take(effects.codes, axis=1)
    model.y += by_row
    model.eta += by_row


def scale_all(model: MixedModel, streams: Streams) -> None:
    """Multiply latent normals, coefficients, random effects and their SDs by the same number.

    No sign of a latent normal changes. Its density, and the priors, leave a gamma density for the
    square of the number (Liu and Wu 1999, Journal of the American Statistical Association 94), but
    for the priors of the standard deviations, by which a draw from it is accepted.

    Parameters
    ----------
    model : MixedModel
        Of the latent normals, without an offset.
    streams : Streams
    """
    e = model.y - model.eta
    weighted = e if model.weights is None else e * model.weights
    rows = np.full(len(e), float(e.shape[1]))
    if model.weights is not None:
        rows = model.weights.sum(axis=1)
    squares = np.array([a @ b for a, b in zip(e, weighted, strict=True)])
    squares += np.sum(model.b**2 * model.prior_precision, axis=1)
    count = rows + model.design.p + sum(x.design.p for x in model.effects)
    proposed = np.sqrt(2.0 * streams.gamma(0.5 * count[:, None])[:, 0] / squares)
    ratio = np.zeros(len(e))
    for effects in model.effects:
        ratio += effects.log_prior_of_scale(proposed) - effects.log_prior_of_scale(np.ones(len(e)))
    accepted = np.log(streams.uniform(1)[:, 0]) < ratio
    factor = np.where(accepted, proposed, 1.0)
    model.y *= factor[:, None]
    model.eta *= factor[:, None]
    model.b *= factor[:, None]
    for effects in model.effects:
        effects.u *= factor[:, None, None]
        effects.psi *= factor[:, None, None] ** 2
