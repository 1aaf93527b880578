"""Make docs/gallery.md and its pictures: every plot, drawn by the code that stands beside it.

Run it in the checkout: ``python examples/gallery.py``; it takes some minutes.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[1] / "docs"

SETUP = """\
import pandas as pd
import rbridge_mi as rb

hsb = rb.load_hsb()
hsb["sector"] = pd.Categorical(hsb["schtype"].map({0: "public", 1: "Catholic"}))
hsb["high"] = (hsb["mathach"] > 15).astype(int)
columns = ["schid", "mathach", "minority", "ses", "sector", "meanses"]
holes = rb.ampute(hsb[columns], prop=0.2, columns=["mathach", "minority", "ses"], seed=1)

model = rb.Lmer("mathach ~ minority + ses * sector + meanses + (1 + ses | schid)")
imp = rb.CompatibleImputer(model, m=20).impute(holes, seed=1)
fits = model.fit(imp)
pooled = fits.pool()
listwise = model.fit(holes)

columns = ["schid", "high", "ses", "sector"]
binary_holes = rb.ampute(hsb[columns], prop=0.2, columns=["high", "ses"], seed=2)
binary_model = rb.Glmer("high ~ ses * sector + (1 | schid)", family="binomial")
binary = binary_model.fit(rb.CompatibleImputer(binary_model, m=5).impute(binary_holes, seed=1))

some = holes[holes["schid"].isin(hsb["schid"].unique()[:40])].drop(columns="sector")
imputer = rb.AmeliaImputer(m=5, idvars=["schid", "meanses"], noms="minority")
amelia = imputer.impute(some, seed=1, keep_r=True)

few = rb.CompatibleImputer(model, m=5).impute(holes, seed=1)
deltas = [-4, -2, 0, 2, 4, 6, 8, 10]
moved = rb.delta_sensitivity(model, few, "mathach", deltas, by="sector", groups=["public"])
"""

# Parts: title, then (name of the picture, text, code).
SCENES: list[tuple[str, list[tuple[str, str, str]]]] = [
    (
        "Before anything is imputed",
        [
            (
                "missing_map",
                "How much each school lacks. A column that is white in some schools and black in "
                "others is missing by school.",
                'rb.plot.missing_map(holes, group="schid")',
            ),
            (
                "missing_pattern",
                "Which columns are missing together.",
                "rb.plot.missing_pattern(holes)",
            ),
        ],
    ),
    (
        "Imputations",
        [
            (
                "trace",
                "The chains of the parameters that have mixed worst. R-hat is of the second half, "
                "the white one.",
                "imp.plot.trace(most=6)",
            ),
            (
                "density",
                "Observed values, and those of each imputation. These test scores end at 25, and "
                "a normal model doesn't know that.",
                "imp.plot.density()",
            ),
            ("strip", "The same values one by one.", 'imp.plot.strip(["minority", "ses"])'),
            (
                "scatter",
                "Two columns, with the rows that were filled.",
                'imp.plot.scatter("ses", "mathach", most=3)',
            ),
            (
                "overimpute",
                "What Amelia would have imputed for cells that are known.",
                'amelia.plot.overimpute("ses")',
            ),
        ],
    ),
    (
        "Coefficients",
        [
            (
                "forest",
                "Pooled, each imputation, and the rows without holes.",
                "pooled.plot.forest(listwise=listwise)",
            ),
            (
                "forest_ratios",
                "Odds ratios of a logistic model.",
                "binary.plot.forest(exponentiate=True, by_imputation=False)",
            ),
            (
                "variance",
                "What missing data add to each coefficient's variance, and to its standard error.",
                "pooled.plot.variance()",
            ),
            (
                "fmi",
                "The fraction of missing information, and how many imputations that takes.",
                "pooled.plot.fmi()",
            ),
            ("fe_sim", "merTools' simulated coefficients.", "listwise.plot.fe_sim(seed=1)"),
        ],
    ),
    (
        "Predictions",
        [
            (
                "predictions",
                "Pooled lines with their bands, by a second variable.",
                'pooled.plot.predictions("ses", by="sector")',
            ),
            (
                "predictions_binary",
                "Of a generalised model on the scale of the response.",
                'binary.plot.predictions("ses", by="sector")',
            ),
            (
                "predictions_categories",
                "Along categories.",
                'pooled.plot.predictions("sector", by="minority")',
            ),
        ],
    ),
    (
        "Random effects",
        [
            (
                "ranef",
                "Schools in order. The inner bar is what would be left, had nothing been missing; "
                "the outer one, a thin line, is the whole uncertainty. The colour is the share of "
                "the variance that missing data cause.",
                "pooled.plot.ranef()",
            ),
            (
                "re_sim",
                "merTools' simulated random effects, of all imputations together.",
                "rb.plot.re_sim(fits, n_sims=50, seed=1)",
            ),
        ],
    ),
    (
        "Were values missing not at random",
        [
            (
                "delta",
                "How estimates move, if the missing test scores of public schools are lower or "
                "higher than imputed. A point is white where its interval holds 0: where the "
                "colour changes is the tipping point.",
                'rb.plot.delta(moved, ["sectorpublic", "meanses", "ses:sectorpublic"])',
            ),
        ],
    ),
    (
        "Does the model hold?",
        [
            ("check_model", "Of a linear model.", "listwise.plot.check_model(seed=1)"),
            ("check_model_binary", "Of a generalised one.", "binary.plot.check_model(seed=1)"),
            (
                "profile",
                "Likelihood profiles: straight lines are quadratic likelihoods.",
                'listwise.plot.profile(["sd_(Intercept)|schid", "sigma", "ses"])',
            ),
        ],
    ),
]


def page() -> str:
    """Return the page as Markdown."""
    lines = [
        "# Plots",
        "",
        'Plots need matplotlib: `pip install "rbridge_mi[plot]"`. Each draws one frame, which is '
        "public too (`rb.plot.data.forest(pooled)` is what `rb.plot.forest(pooled)` draws), and "
        "returns its Axes, or a Figure where it has several panels. `ax=` draws on given Axes, and "
        "makes no figure; other keywords are properties of the main marks "
        '(`pooled.plot.forest(color="teal")`). Nothing is shown by itself and no setting of '
        "matplotlib is changed: notebooks and programs that use pyplot get figures of pyplot, and "
        "elsewhere `ax.figure.savefig(...)` writes one. All of them can be told apart in grey "
        "print.",
        "",
        "This page is made by `python examples/gallery.py`, with these data and models:",
        "",
        "```python",
        SETUP.rstrip(),
        "```",
    ]
    for title, scenes in SCENES:
        lines += ["", f"## {title}"]
        for name, text, code in scenes:
            lines += ["", text, "", "```python", code, "```", "", f"![{name}](gallery/{name}.png)"]
    return "\n".join(lines) + "\n"


def write_picture(shown: Any, path: Path) -> None:
    """Write a plot as a small picture, of 64 colours."""
    from PIL import Image

    figure = getattr(shown, "figure", shown)
    whole = BytesIO()
    figure.savefig(whole, format="png", dpi=80)
    Image.open(whole).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(
        path, optimize=True
    )


def main() -> None:
    """Write the page and its pictures."""
    folder = DOCS / "gallery"
    folder.mkdir(exist_ok=True)
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")
    names: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(SETUP, names)
        for _, scenes in SCENES:
            for name, _, code in scenes:
                write_picture(eval(code, names), folder / f"{name}.png")


if __name__ == "__main__":
    main()
