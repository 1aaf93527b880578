"""What all plots share: where they draw, what they leave alone, what they refuse."""

from __future__ import annotations

import subprocess
import sys

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

import rbridge_mi as rb
from rbridge_mi.plots.accessor import accessor

pytestmark = pytest.mark.r


def python(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ESTIMATES = (
    "import sys\nimport rbridge_mi as rb\n"
    "pooled = rb.pool([[1.0], [1.5]], [[0.2], [0.3]], names=['x'])\n"
)


def test_matplotlib_is_loaded_by_the_first_plot_and_not_by_its_frame() -> None:
    program = ESTIMATES + (
        "rb.plot.data.forest(pooled), pooled.plot, dir(pooled.plot)\n"
        "before = 'matplotlib' in sys.modules\n"
        "pooled.plot.forest()\n"
        "print(before, 'matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)\n"
    )
    assert python(program) == "False True False"


def test_import_of_the_package_loads_no_plots() -> None:
    program = "import sys, rbridge_mi\nprint([x for x in sys.modules if 'plot' in x])"
    assert python(program) == "[]"


def test_without_matplotlib_the_error_says_what_to_install() -> None:
    program = ESTIMATES.replace(
        "import sys\n", "import sys\nsys.modules['matplotlib'] = None\n"
    ) + (
        "print(len(rb.plot.data.forest(pooled)))\n"
        "try:\n    pooled.plot.forest()\n"
        "except rb.MissingExtraError as error:\n    print(isinstance(error, ImportError), error)\n"
    )
    lines = python(program).splitlines()
    assert lines[0] == "3"
    assert lines[1].startswith("True a plot needs the package matplotlib")
    assert 'pip install "rbridge_mi[plot]"' in lines[1]


def test_where_pyplot_is_in_use_it_has_the_figure() -> None:
    program = ESTIMATES + (
        "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\n"
        "ax = pooled.plot.forest()\nprint(plt.gcf() is ax.figure)\n"
        "pooled.plot.forest(ax=ax)\nprint(len(plt.get_fignums()))\n"
    )
    assert python(program).split() == ["True", "1"]


def test_given_axes_are_drawn_on_and_settings_stay(small_imp: rb.ImputedData) -> None:
    before = mpl.rcParams.copy()
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert small_imp.plot.density("y", ax=left) is left
    assert small_imp.plot.density(["y", "x2"], ax=[left, right]) is figure
    assert mpl.rcParams.copy() == before


def test_one_panel_is_axes_and_several_are_a_figure(small_imp: rb.ImputedData) -> None:
    assert isinstance(small_imp.plot.density("y"), mpl.axes.Axes)
    both = small_imp.plot.density()
    assert isinstance(both, Figure)
    assert [x.get_xlabel() for x in both.axes] == ["y", "x2"]


def test_axes_of_a_subfigure_are_drawn_on(small_imp: rb.ImputedData) -> None:
    figure = Figure(layout="constrained")
    ax = figure.add_subfigure(figure.add_gridspec(1, 2)[0]).subplots()
    assert small_imp.plot.strip("y", ax=ax) is ax
    figure.canvas.draw()


def test_wrong_axes_are_refused(small_imp: rb.ImputedData) -> None:
    ax = Figure().subplots()
    with pytest.raises(rb.ArgumentError, match="has 2 panels, and 1 Axes were given"):
        small_imp.plot.density(ax=ax)
    for wrong in ("left", 3, [ax, None], Figure()):
        with pytest.raises(rb.ArgumentError, match="ax must be a matplotlib Axes"):
            small_imp.plot.density(["y", "x2"], ax=wrong)


def test_unknown_styles_are_named_with_the_nearest(small_pooled: rb.PooledMerMod) -> None:
    with pytest.raises(rb.ArgumentError, match=r"no argument 'markersise' \(did you mean 'markers"):
        small_pooled.plot.forest(markersise=3)
    with pytest.raises(rb.ArgumentError, match=r"can't be given \{'color': 'no colour'\}"):
        small_pooled.plot.forest(color="no colour")


def test_styles_reach_the_marks(small_pooled: rb.PooledMerMod) -> None:
    ax = small_pooled.plot.forest(by_imputation=False, c="red", ms=11)
    (points,) = [x for x in ax.lines if x.get_marker() == "o"]
    assert (points.get_color(), points.get_markersize()) == ("red", 11)


def test_an_accessor_has_the_plots_of_its_object(
    small_imp: rb.ImputedData, small_pooled: rb.PooledMerMod, small_fits: rb.MerModList
) -> None:
    assert "density" in dir(small_imp.plot)
    assert "forest" not in dir(small_imp.plot)
    assert small_pooled.plot.forest.__func__ is rb.plot.forest
    with pytest.raises(AttributeError, match=r"PooledMerMod has no plot 'forrest' \(did you"):
        _ = small_pooled.plot.forrest
    assert not hasattr(small_fits[0].plot, "density")
    for obj in (small_imp, small_pooled, small_fits, small_fits[0]):
        for name in dir(obj.plot):
            assert getattr(obj.plot, name).__func__ is getattr(rb.plot, name)
            assert hasattr(rb.plot.data, name)
    assert repr(accessor(small_imp)).startswith("<plots of <ImputedData")


def test_objects_that_have_no_such_plot_are_refused(small_imp: rb.ImputedData) -> None:
    with pytest.raises(rb.ArgumentError, match=r"forest takes .*, not ImputedData"):
        rb.plot.forest(small_imp)  # type: ignore[arg-type]
    with pytest.raises(rb.ArgumentError, match=r"density takes an ImputedData, not int"):
        rb.plot.density(1)  # type: ignore[arg-type]
    samples = rb.BootstrapImputer(m=2).impute(small_imp.original, seed=1)
    with pytest.raises(rb.ArgumentError, match="bootstrap samples have no imputed ones"):
        samples.plot.density()


def test_public_names_agree() -> None:
    plots = set(rb.plot.__all__) - {"accessor", "data"}
    assert set(rb.plot.data.__all__) == plots
