"""Every plot as a picture, pixel by pixel.

They are compared in the Docker image only, by ``pytest --mpl tests/pictures``; CONTRIBUTING.md says
how they are renewed. matplotlib's wheel brings its own fonts and FreeType, so that one version of
it draws the same pixels on any machine, but for the last bits of numbers, by which the shade of an
edge can differ by one of 256 levels: 1% of the pixels off by one are a root mean square of 0.1.
Mistakes are larger. In the picture of `forest`, another digit in a label is 1.5, marks half a point
larger are 1.6, a move by half a pixel is 6, and a colour that is off by 17 levels 0.35.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi.plots import checks, effects, overimputed, predicted, profiled
from tests.pictures import frames

ROOT = Path(__file__).resolve().parents[2]
TOLERANCE = 0.1

picture = pytest.mark.mpl_image_compare(
    baseline_dir="baseline", style="default", backend="agg", tolerance=TOLERANCE,
    savefig_kwargs={"dpi": 60}, deterministic=True,
)  # fmt: skip


def figure_of(drawn: Any) -> Any:
    return getattr(drawn, "figure", None) or drawn


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, str, pd.DataFrame], None]:
    """Give a plot of fits a stored frame: here is tested how it is drawn, and R isn't asked."""

    def give(module: Any, name: str, frame: pd.DataFrame) -> None:
        monkeypatch.setattr(module, name, lambda *_, **__: frame)
        if hasattr(module, "fits_of"):
            fit = SimpleNamespace(formula="score ~ ses + (1 | school)", link="identity")
            monkeypatch.setattr(module, "fits_of", lambda *_: [fit])

    return give


def test_matplotlib_is_the_one_that_drew_the_pictures() -> None:
    lines = (ROOT / "docker" / "requirements-test.txt").read_text("utf-8").splitlines()
    (pinned,) = [x.split("==")[1].rstrip(" \\") for x in lines if x.startswith("matplotlib==")]
    assert mpl.__version__ == pinned, "these pictures are compared in the Docker image only"


def test_every_plot_has_a_picture() -> None:
    names = {x.stem.removeprefix("test_") for x in (ROOT / "tests/pictures/baseline").iterdir()}
    assert set(rb.plot.__all__) - {"accessor", "data"} <= names
    tests = {
        x.removeprefix("test_") for x, test in globals().items() if hasattr(test, "pytestmark")
    }
    assert names == tests


# -- data and imputations ------------------------------------------------------------------------


@picture
def test_missing_map() -> Any:
    return figure_of(rb.plot.missing_map(frames.holes(), "school"))


@picture
def test_missing_map_rows() -> Any:
    return figure_of(rb.plot.missing_map(frames.holes()))


@picture
def test_missing_pattern() -> Any:
    return figure_of(rb.plot.missing_pattern(frames.holes()))


@picture
def test_density() -> Any:
    return rb.plot.density(frames.imputed())


@picture
def test_strip() -> Any:
    return rb.plot.strip(frames.imputed())


@picture
def test_scatter() -> Any:
    return rb.plot.scatter(frames.imputed(), "ses", "score", most=2)


@picture
def test_trace() -> Any:
    return rb.plot.trace(frames.imputed())


@picture
def test_trace_many() -> Any:
    return rb.plot.trace(frames.imputed(12))


@picture
def test_overimpute(stored: Any) -> Any:
    stored(overimputed, "overimpute_data", frames.overimputed())
    return figure_of(rb.plot.overimpute(frames.imputed(), "ses"))


# -- coefficients --------------------------------------------------------------------------------


@picture
def test_forest() -> Any:
    return figure_of(rb.plot.forest(frames.pooled()))


@picture
def test_forest_ratios() -> Any:
    return figure_of(rb.plot.forest(frames.pooled(exponentiate=True), by_imputation=False))


@picture
def test_variance() -> Any:
    return figure_of(rb.plot.variance(frames.pooled()))


@picture
def test_fmi() -> Any:
    return figure_of(rb.plot.fmi(frames.pooled()))


@picture
def test_fe_sim(stored: Any) -> Any:
    stored(effects, "fe_sim_data", frames.simulated_terms())
    fit: Any = None
    return figure_of(rb.plot.fe_sim(fit))


@picture
def test_delta() -> Any:
    return rb.plot.delta(frames.moved())


# -- models --------------------------------------------------------------------------------------


@picture
def test_ranef(stored: Any) -> Any:
    stored(effects, "ranef_data", frames.levels(middle="condval", spread="condsd"))
    fit: Any = None
    return rb.plot.ranef(fit)


@picture
def test_ranef_many(stored: Any) -> Any:
    stored(effects, "ranef_data", frames.levels(300, middle="condval", spread="condsd"))
    fit: Any = None
    return rb.plot.ranef(fit)


@picture
def test_re_sim(stored: Any) -> Any:
    stored(effects, "re_sim_data", frames.levels(middle="median", spread="sd"))
    fit: Any = None
    return rb.plot.re_sim(fit)


@picture
def test_predictions(stored: Any) -> Any:
    stored(predicted, "predictions_data", frames.predicted())
    fit: Any = None
    return figure_of(rb.plot.predictions(fit, "ses", "often"))


@picture
def test_predictions_categories(stored: Any) -> Any:
    stored(predicted, "predictions_data", frames.predicted_categories())
    fit: Any = None
    return figure_of(rb.plot.predictions(fit, "often"))


@picture
def test_check_model(stored: Any) -> Any:
    stored(checks, "check_model_data", frames.checked_linear())
    fit: Any = None
    return rb.plot.check_model(fit)


@picture
def test_check_model_binary(stored: Any) -> Any:
    stored(checks, "check_model_data", frames.checked_binary())
    fit: Any = None
    return rb.plot.check_model(fit)


@picture
def test_profile(stored: Any) -> Any:
    stored(profiled, "profile_data", frames.profiled())
    fit: Any = None
    return rb.plot.profile(fit)
