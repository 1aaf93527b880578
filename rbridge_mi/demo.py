"""The vignette on the hsb data, as a command; beside it what a compatible imputation gives."""

from __future__ import annotations

import gc
import os
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from .data.imputed_data import ImputedData
    from .inference.mermod import MerMod
    from .pooled.mermod_list import MerModList

__all__ = ["demo"]

# Columns of `compare_estimates` that the demo shows, and what they are called there.
_SIDE_BY_SIDE = {
    "term": "term",
    "listwise_estimate": "listwise",
    "listwise_std_error": "listwise_se",
    "pooled_estimate": "pooled",
    "pooled_std_error": "pooled_se",
    "fmi": "fmi",
}
_FORMULA = "mathach ~ minority + female + ses + meanses + (1 + ses | schid)"
_NEEDED = (
    ".datasets", ".imputers.choose", ".imputers.amelia", ".models.lmer", ".models.fitting",
    ".pooled.listwise", ".rdoor.encode", ".rdoor.decode", "scipy.special", "tqdm.auto",
)  # fmt: skip
_HOLED = ["minority", "female", "ses", "size"]


def demo(m: int, seed: int, out: Path | None, *, compatible: bool = True) -> None:
    """Print the vignette's tables, then the compatible imputation's.

    Parameters
    ----------
    m : int
        Number of imputations.
    seed : int
        Of the holes and the imputations.
    out : Path, optional
        A folder, in which the tables are written as CSV; with `compatible` also ``report.html``,
        on the models fitted to those imputations.
    compatible : bool
        Impute from the analysis model too, after the vignette.
    """
    _prepare()
    import rbridge_mi as rb

    # What R has to say is part of the printed results; shown once there, not on top of them.
    warnings.simplefilter("ignore", rb.RBridgeWarning)
    hsb = rb.load_hsb()
    holes = rb.ampute(hsb, prop=0.05, columns=_HOLED, seed=seed)
    imp = rb.impute(holes, m=m, seed=seed, idvars=["schid", "meanses"], noms=["minority", "female"])
    model = rb.Lmer(_FORMULA)
    fit, fits = model.fit(holes), model.fit(imp)
    print(f"Model: {_FORMULA}\nData:  hsb, {len(hsb)} pupils in {hsb['schid'].nunique()} schools\n")
    tables = _vignette(fit, imp, fits)
    if compatible:
        print("\nImputing from the analysis model...\n", flush=True)
        gc.enable()
        start = time.perf_counter()
        ours = rb.impute(holes, model=model, m=m, seed=seed)
        seconds = time.perf_counter() - start
        print(f"Imputation\n----------\n{ours.summary()}\n\nIt took {seconds:.1f} s.\n")
        fitted = model.fit(ours)
        estimates = _estimates(model.fit(hsb), fit, fits, fitted)
        _show("Estimates: complete data, listwise, vignette's recipe, compatible", estimates)
        tables["estimates"] = estimates
    if out is not None:
        tables["ranef"] = fits.pooled_by_default.ranef
        tables["fixef_by_imputation"] = fits.fixef(by_imputation=True)
        tables["varcorr_by_imputation"] = fits.varcorr(by_imputation=True)
        _write(out, tables)
        if compatible:
            _report(out, fitted, fit)
    gc.freeze()


def _prepare() -> None:
    """Start R, and let it load its packages while Python imports all that the vignette needs."""
    from . import rdoor

    # Compiling R functions that run a few times costs more than it gains; lme4's come compiled.
    os.environ.setdefault("R_ENABLE_JIT", "0")
    # Room for the cells that lme4 fills: without, R collects garbage some twenty times while it
    # loads. Not for every process: R's heap would keep the 100 MB.
    os.environ.setdefault("R_NSIZE", "3500k")
    os.environ.setdefault("R_VSIZE", "256M")
    gc.disable()  # likewise Python's search for cycles, while the vignette runs
    rdoor.prepare("lme4", "Amelia")
    for name in _NEEDED:
        import_module(name, __package__)


def _vignette(fit: MerMod, imp: ImputedData, fits: MerModList) -> dict[str, pd.DataFrame]:
    """Print the vignette's tables, and return them."""
    from .pooled.listwise import compare_estimates

    pooled = fits.pooled_by_default
    compared = compare_estimates(fit, fits)[list(_SIDE_BY_SIDE)].rename(columns=_SIDE_BY_SIDE)
    missing = imp.missing().rename_axis("column").reset_index()
    _show("Missing values, made completely at random", missing)
    print(f"Imputation\n----------\n{imp.summary()}\n")
    _show(f"Listwise ({fit.nobs} rows) beside pooled ({fits[0].nobs} rows)", compared)
    _show("Pooled fixed effects (Rubin's rules)", pooled.fixed)
    _show("Pooled variance components", pooled.varcorr)
    _show("Model info per imputation", model_info := fits.model_info())
    print(f"Summary\n-------\n{fits.summary()}")
    return {
        "missing": missing,
        "compare": compared,
        "fixed": pooled.fixed,
        "varcorr": pooled.varcorr,
        "model_info": model_info,
    }


def _estimates(
    complete: MerMod, listwise: MerMod, vignette: MerModList, compatible: MerModList
) -> pd.DataFrame:
    """Put coefficients with their standard errors, and variances, side by side."""
    import pandas as pd

    from .pooled.listwise import compare_estimates

    first = compare_estimates(listwise, vignette)
    second = compare_estimates(listwise, compatible)
    coefficients = pd.DataFrame(
        {
            "parameter": first["term"],
            "complete": complete.beta.loc[first["term"]].to_numpy(),
            "listwise": first["listwise_estimate"],
            "listwise_se": first["listwise_std_error"],
            "vignette": first["pooled_estimate"],
            "vignette_se": first["pooled_std_error"],
            "compatible": second["pooled_estimate"],
            "compatible_se": second["pooled_std_error"],
        }
    )
    variances = pd.DataFrame(
        {
            "complete": _variances(complete.varcorr()),
            "listwise": _variances(listwise.varcorr()),
            "vignette": _variances(vignette.varcorr()),
            "compatible": _variances(compatible.varcorr()),
        }
    )
    both = [coefficients, variances.rename_axis("parameter").reset_index()]
    return pd.concat(both, ignore_index=True)


def _variances(varcorr: pd.DataFrame) -> pd.Series[float]:
    """Return the variances by what they are of."""
    table = varcorr[varcorr["var2"].isna()]
    names = [
        "residual variance" if term != term else f"variance of {term}, {group}"
        for group, term in zip(table["grp"], table["var1"], strict=True)
    ]
    variances: pd.Series[float] = table["vcov"].set_axis(names)
    return variances


def _show(title: str, table: pd.DataFrame) -> None:
    import pandas as pd

    with pd.option_context("display.width", 160, "display.max_columns", None):
        print(f"{title}\n{'-' * len(title)}\n{table.to_string(index=False, na_rep='')}\n")


def _write(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False)
    print(f"\nWrote {len(tables)} tables to {out}/: {', '.join(f'{x}.csv' for x in tables)}")


def _report(out: Path, fits: MerModList, listwise: MerMod) -> None:
    import rbridge_mi as rb

    try:
        path = rb.report(fits, out / "report.html", listwise=listwise)
    except rb.MissingExtraError as error:
        print(f"No report: {error}")
        return
    print(f"Wrote {path}: open it in a browser")
