"""Whether a fit's assumptions hold: residuals, random effects, and simulated responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..base.arguments import check_count, check_seed
from ..base.extras import needed_module
from ..base.glossary import checked
from ..errors import ArgumentError
from ..fits.asking import ask
from ..fits.which_models import is_linear
from ..inference.mermod import MerMod
from ..pooled.mermod_list import MerModList
from ..pooled.pooled_mermod import PooledMerMod
from .canvas import (
    DARK,
    IMPUTED,
    INK,
    LINES,
    OBSERVED,
    draw_legend,
    draw_title,
    draw_zero,
    enlarge_marks,
    label,
    new_panels,
    result_of,
    styled,
)
from .density import bandwidth_of, kernel_density
from .objects import check_kind, fits_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_model", "check_model_data", "quantile_residuals"]

Floats = NDArray[np.float64]

_BINS = 20
_FEW = 12  # distinct responses that are shown one by one
_MANY = 1500
_MOST_CURVES = 50
_LINEAR = ("residuals", "normal_residuals", "scale_location")
_GENERALISED = ("binned_residuals", "uniform_residuals", "residuals_by_rank")
_BOTH = ("random_effects", "posterior_predictive")


def check_model_data(
    obj: MerMod | MerModList | PooledMerMod,
    nsim: int = 100,
    seed: int | None = None,
    *,
    imputation: int | None = None,
) -> pd.DataFrame:
    """Tabulate residuals, random effects and simulations, for `rbridge_mi.plots.check_model`.

    Parameters
    ----------
    obj : MerMod, MerModList or PooledMerMod
        Of several fits one is taken.
    nsim : int
        Number of simulated sets of responses, with new random effects.
    seed : int, optional
        For ``set.seed`` before they are simulated, and for the random part of quantile residuals.
    imputation : int, optional
        The data set whose fit is taken, of several; the first by default.

    Returns
    -------
    DataFrame
        panel, series, replicate, x, y. Panels of a linear model: "residuals" (y) by fitted values
        (x), in units of the response; "normal_residuals", residuals of unit variance by normal
        quantiles; "scale_location", the square roots of their absolute values by fitted values. Of
        a generalised model: "binned_residuals", mean response minus mean of groups of rows with
        similar means, with twice its standard error (series "limit"); "uniform_residuals",
        randomised quantile residuals by uniform quantiles; "residuals_by_rank", these by the rank
        of the mean. Of both: "random_effects", standardised modes by normal quantiles, a series for
        each term; "posterior_predictive", densities, or shares of at most twelve distinct
        responses, observed (replicate 0) and simulated. The series "trend" are means of groups of
        rows with similar x.

    Raises
    ------
    ArgumentError
        An argument that can't be right.

    References
    ----------
    Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models,
    section 5.6 (binned residuals); Dunn and Smyth (1996), Journal of Computational and Graphical
    Statistics 5, 236-244 (quantile residuals).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb().head(500))
    >>> rb.plot.data.check_model(fit, nsim=20, seed=1)["panel"].nunique()
    5
    """
    fit = _one_fit(obj, imputation)
    check_count(nsim, "nsim", 2)
    seed = check_seed(seed)
    cases = ask(fit, "response_and_residuals")
    draws = np.asarray(ask(fit, "simulated_numbers", nsim, seed), dtype=float)
    response, mean, scaled = (np.asarray(cases[x], float) for x in ("response", "mean", "scaled"))
    if is_linear(fit):
        root = np.sqrt(np.abs(scaled))
        parts = [
            *_with_trend("residuals", mean, response - mean),
            _quantiles("normal_residuals", "residuals", scaled),
            *_with_trend("scale_location", mean, root),
        ]
    else:
        generator = np.random.default_rng(abs(seed))
        uniform = quantile_residuals(response, draws, generator)
        places = (np.arange(1, len(uniform) + 1) - 0.5) / len(uniform)
        rank = (mean.argsort(kind="stable").argsort(kind="stable") + 0.5) / len(mean)
        parts = [
            *_binned(mean, response - mean),
            _rows("uniform_residuals", "residuals", places, np.sort(uniform)),
            *_with_trend("residuals_by_rank", rank, uniform),
        ]
    for (grpvar, term), rows in fit.ranef().groupby(["grpvar", "term"], sort=False):
        values = rows["condval"].to_numpy()
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        parts.append(_quantiles("random_effects", f"{grpvar}: {term}", values / (spread or 1.0)))
    parts += _distributions(response, draws)
    return checked(pd.concat(parts, ignore_index=True), "plot_check_model")


def _one_fit(obj: Any, imputation: int | None) -> MerMod:
    check_kind(obj, (MerMod, MerModList, PooledMerMod), "check_model")
    fits = fits_of(obj, "check_model")
    if imputation is None:
        return fits[0]
    if isinstance(obj, MerMod):
        raise ArgumentError("imputation chooses one of several fits, and this is one.")
    by_number = {fit.imputation: fit for fit in fits}
    if imputation not in by_number:
        numbers = ", ".join(str(x) for x in by_number)
        raise ArgumentError(f"imputation {imputation!r} is none of the fits' numbers, {numbers}.")
    return by_number[imputation]


def _rows(panel: str, series: str, x: Any, y: Any, replicate: int = 0) -> pd.DataFrame:
    frame = pd.DataFrame({"x": x, "y": y}, dtype=float)
    frame.insert(0, "panel", panel)
    frame.insert(1, "series", series)
    frame.insert(2, "replicate", replicate)
    return frame


def _classes(x: Floats) -> NDArray[np.int64]:
    """Put values in classes of equal size, by their order: at most 20, of ten or more."""
    order = x.argsort(kind="stable").argsort(kind="stable")
    count = max(1, min(_BINS, len(x) // 10))
    classes: NDArray[np.int64] = (order * count // len(x)).astype(np.int64)
    return classes


def _with_trend(panel: str, x: Floats, y: Floats) -> list[pd.DataFrame]:
    means = pd.DataFrame({"x": x, "y": y}).groupby(_classes(x)).mean()
    return [_rows(panel, "residuals", x, y), _rows(panel, "trend", means["x"], means["y"])]


def _binned(mean: Floats, residual: Floats) -> list[pd.DataFrame]:
    classes = pd.DataFrame({"x": mean, "y": residual}).groupby(_classes(mean))
    means, error = classes.mean(), classes["y"].std() / np.sqrt(classes["y"].count())
    return [
        _rows("binned_residuals", "residuals", means["x"], means["y"]),
        _rows("binned_residuals", "limit", means["x"], 2 * error),
    ]


def _quantiles(panel: str, series: str, values: Floats) -> pd.DataFrame:
    """Sort values beside normal quantiles, at R's ``ppoints``."""
    from scipy.special import ndtri

    n = len(values)
    shift = 0.375 if n <= 10 else 0.5
    places = (np.arange(1, n + 1) - shift) / (n + 1 - 2 * shift)
    return _rows(panel, series, ndtri(places), np.sort(values))


def quantile_residuals(response: Floats, draws: Floats, generator: np.random.Generator) -> Floats:
    """Return where each response lies among its simulated values: uniform, if the model holds."""
    below = (draws < response[:, None]).sum(axis=1)
    equal = (draws == response[:, None]).sum(axis=1)
    random = generator.uniform(size=len(response))
    residuals: Floats = (below + random * (equal + 1)) / (draws.shape[1] + 1)
    return residuals


def _distributions(response: Floats, draws: Floats) -> list[pd.DataFrame]:
    panel = "posterior_predictive"
    sources = [("observed", 0, response)]
    sources += [("simulated", i, x) for i, x in enumerate(draws.T[:_MOST_CURVES], start=1)]
    distinct = np.unique(response)
    if len(distinct) <= _FEW:
        values = np.unique(np.concatenate([distinct, draws[:, :_MOST_CURVES].ravel()]))
        if len(values) <= 4 * _FEW:
            return [
                _rows(panel, name, values, [(y == v).mean() for v in values], i)
                for name, i, y in sources
            ]
    low, high = np.quantile(np.concatenate([x for _, _, x in sources]), [0.0005, 0.9995])
    bandwidth = bandwidth_of(response, len(response))
    ends = min(low, response.min()) - bandwidth, max(high, response.max()) + bandwidth
    grid = np.linspace(*ends, 151)
    return [
        _rows(panel, name, grid, kernel_density(y, grid, bandwidth), i) for name, i, y in sources
    ]


def check_model(
    obj: MerMod | MerModList | PooledMerMod,
    nsim: int = 100,
    seed: int | None = None,
    *,
    imputation: int | None = None,
    ax: Any = None,
    **style: Any,
) -> Any:
    """Draw five looks at whether a model's assumptions hold.

    Parameters
    ----------
    obj : MerMod, MerModList or PooledMerMod
        Of several fits one is taken.
    nsim : int
        Number of simulated sets of responses, with new random effects; at most 50 are drawn.
    seed : int, optional
        For ``set.seed`` before they are simulated, and for the random part of quantile residuals.
    imputation : int, optional
        The data set whose fit is taken, of several; the first by default.
    ax : sequence of five Axes, optional
        To draw on; a new figure's by default.
    **style : Any
        Properties of the points of residuals, `matplotlib.lines.Line2D`.

    Returns
    -------
    Figure
        Of a linear model: residuals by fitted values (the trend should be flat, at 0), their normal
        quantiles, and their size by fitted values (flat, too). Of a generalised model: binned
        residuals (about 95% within the lines), quantile residuals by uniform quantiles, and by the
        rank of the mean. Then the normal quantiles of the random effects, and the responses'
        distribution beside simulated ones.

    Raises
    ------
    ArgumentError
        An argument that can't be right.
    MissingExtraError
        Where matplotlib isn't installed.

    See Also
    --------
    rbridge_mi.MerMod.simulate : Simulated responses.

    References
    ----------
    Gelman and Hill (2007), Data Analysis Using Regression and Multilevel/Hierarchical Models,
    section 5.6 (binned residuals); Dunn and Smyth (1996), Journal of Computational and Graphical
    Statistics 5, 236-244 (quantile residuals).

    Examples
    --------
    >>> import rbridge_mi as rb
    >>> fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(rb.load_hsb().head(500))
    >>> len(fit.plot.check_model(nsim=20, seed=1).axes)
    5
    """
    frame = check_model_data(obj, nsim, seed, imputation=imputation)
    linear = _LINEAR[0] in set(frame["panel"])
    names = [*(_LINEAR if linear else _GENERALISED), *_BOTH]
    panels = new_panels(5, ax, 3.6, 3.0)
    for panel, name in zip(panels, names, strict=True):
        rows = frame[frame["panel"] == name]
        height = _DRAW[name](panel, rows, style) or 0.0
        draw_title(panel, _TITLES[name], above=height)
    response = fits_of(obj, "check_model")[0].formula.split("~")[0].strip()
    panels[-1].set_xlabel(label(response))
    return result_of(panels)


_TITLES = {
    "residuals": "residuals by fitted values",
    "normal_residuals": "normal quantiles of residuals",
    "scale_location": "size of residuals",
    "binned_residuals": "binned residuals",
    "uniform_residuals": "quantile residuals",
    "residuals_by_rank": "quantile residuals by rank",
    "random_effects": "normal quantiles of random effects",
    "posterior_predictive": "simulated responses",
}
_AXES = {
    "residuals": ("fitted value", "residual"),
    "scale_location": ("fitted value", "root of |residual|, scaled"),
    "residuals_by_rank": ("rank of the mean", "quantile residual"),
}


def _series(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    return rows[rows["series"] == name]


def _points(ax: Axes, rows: pd.DataFrame, style: dict[str, Any], alpha: float = 0.12) -> None:
    many = len(rows) > _MANY
    points = ax.plot(
        rows["x"], rows["y"], "o", color=OBSERVED, markersize=1.6 if many else 3,
        markeredgewidth=0, alpha=max(alpha, min(0.6, 1000 / len(rows))), rasterized=many,
    )  # fmt: skip
    styled(points, style)


def _draw_trend(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> None:
    _points(ax, _series(rows, "residuals"), style)
    trend = _series(rows, "trend")
    effects = needed_module("matplotlib.patheffects", "plot", "a plot")
    ax.plot(
        trend["x"], trend["y"], color=IMPUTED, linewidth=2.0,
        path_effects=[effects.withStroke(linewidth=4.0, foreground="white")],
    )  # fmt: skip
    name = rows["panel"].iloc[0]
    if name == "residuals":
        draw_zero(ax, vertical=False)
    if name == "residuals_by_rank":
        draw_zero(ax, 0.5, vertical=False)
    ax.set_xlabel(_AXES[name][0])
    ax.set_ylabel(_AXES[name][1])


def _draw_quantiles(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> None:
    _points(ax, rows, style, 0.7)
    ax.axline((0, 0), slope=1, color=INK, linewidth=0.9, linestyle="--")
    uniform = rows["panel"].iloc[0] == "uniform_residuals"
    ax.set_xlabel("uniform quantile" if uniform else "normal quantile")
    ax.set_ylabel("quantile residual" if uniform else "residual, scaled")


def _draw_binned(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> None:
    residuals, limit = _series(rows, "residuals"), _series(rows, "limit")
    points = ax.plot(residuals["x"], residuals["y"], "o", color=OBSERVED, markersize=4)
    styled(points, style)
    for sign in (-1, 1):
        ax.plot(limit["x"], sign * limit["y"], color=DARK, linewidth=0.9, linestyle="--")
    draw_zero(ax, vertical=False)
    ax.set_xlabel("mean of the class")
    ax.set_ylabel("response minus mean")


def _draw_effects(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> None:  # noqa: ARG001
    handles = []
    names = list(dict.fromkeys(rows["series"]))
    for i, name in enumerate(names):
        part = _series(rows, name)
        many = len(part) > 400
        handles += ax.plot(
            part["x"], part["y"], "os^Dv*"[i % 6], color=LINES[i % 6][0],
            markersize=1.8 if many else 3.5, markeredgewidth=0, alpha=0.7, rasterized=many,
        )  # fmt: skip
    ax.axline((0, 0), slope=1, color=INK, linewidth=0.9, linestyle="--")
    legend = ax.legend(
        handles, [label(x, 22) for x in names], loc="upper left", frameon=False, fontsize=7.5,
        handletextpad=0.1, borderaxespad=0.1,
    )  # fmt: skip
    enlarge_marks(legend)
    ax.set_xlabel("normal quantile")
    ax.set_ylabel("random effect, standardised")


def _draw_distributions(ax: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> float:  # noqa: ARG001
    observed, simulated = _series(rows, "observed"), _series(rows, "simulated")
    if len(observed) == 151:
        curves = [
            ax.plot(x["x"], x["y"], color=IMPUTED, linewidth=0.6, alpha=0.5)[0]
            for _, x in simulated.groupby("replicate")
        ]
        (line,) = ax.plot(observed["x"], observed["y"], color=OBSERVED, linewidth=2.0)
        handles: list[Any] = [line, curves[0]]
        ax.set_ylabel("density")
    else:
        bars = ax.bar(observed["x"], observed["y"], 0.6 * _step(observed["x"]), color=OBSERVED)
        aside = simulated["replicate"] / simulated["replicate"].max() - 0.5
        x = simulated["x"] + 0.4 * _step(observed["x"]) * aside
        (dots,) = ax.plot(
            x, simulated["y"], "o", color=IMPUTED, markersize=3.5, alpha=0.6,
            markeredgecolor="black", markeredgewidth=0.3,
        )  # fmt: skip
        handles = [bars, dots]
        if len(observed) <= _FEW:
            ax.set_xticks(observed["x"], [f"{x:g}" for x in observed["x"]])
        ax.set_ylabel("share")
    ax.set_ylim(bottom=0)
    return draw_legend(ax, handles, ["observed", "simulated"])


def _step(values: pd.Series[float]) -> float:
    gaps = np.diff(np.sort(values.unique()))
    return float(gaps.min()) if len(gaps) else 1.0


# Each returns the height of a legend above its axes, if there is one.
_DRAW: dict[str, Callable[..., float | None]] = {
    "residuals": _draw_trend,
    "scale_location": _draw_trend,
    "residuals_by_rank": _draw_trend,
    "normal_residuals": _draw_quantiles,
    "uniform_residuals": _draw_quantiles,
    "binned_residuals": _draw_binned,
    "random_effects": _draw_effects,
    "posterior_predictive": _draw_distributions,
}
