"""``rbridge-mi``: the vignette as a command, and a look at the installation."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from . import __version__
from .errors import RBridgeError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["main"]

_FORMULA = "mathach ~ minority + female + ses + meanses + (1 + ses | schid)"


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code is 0 if it did its job, 1 if it could not, 130 on Ctrl-C."""
    arguments = _parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except RBridgeError as error:
        print(f"rbridge-mi: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("rbridge-mi: interrupted", file=sys.stderr)
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rbridge-mi",
        description="Multilevel models on incomplete data, by R's lme4 and Amelia.",
    )
    parser.add_argument("--version", action="version", version=f"rbridge-mi {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="the vignette on the hsb data, from holes to pooled tables"
    )
    demo.add_argument("--out", type=Path, metavar="DIR", help="write the tables there, as CSV")
    demo.add_argument("--m", type=int, default=5, help="number of imputations (default: 5)")
    demo.add_argument(
        "--seed", type=int, default=1, help="seed of holes and imputations (default: 1)"
    )
    demo.set_defaults(run=_demo)
    doctor = commands.add_parser("doctor", help="what is installed, what is missing, what mends it")
    doctor.set_defaults(run=_doctor)
    return parser


def _doctor(_: argparse.Namespace) -> int:
    from .doctor import diagnose

    diagnosis = diagnose()
    print(diagnosis.report())
    return 0 if diagnosis.ok else 1


def _demo(arguments: argparse.Namespace) -> int:
    import pandas as pd

    import rbridge_mi as rb

    # What R has to say is part of the printed results; shown once there, not on top of them.
    warnings.simplefilter("ignore", rb.RBridgeWarning)
    hsb = rb.load_hsb()
    holes = rb.ampute(
        hsb, prop=0.05, columns=["minority", "female", "ses", "size"], seed=arguments.seed
    )
    imp = rb.impute(
        holes,
        m=arguments.m,
        seed=arguments.seed,
        idvars=["schid", "meanses"],
        noms=["minority", "female"],
    )
    model = rb.Lmer(_FORMULA)
    fit, fits = model.fit(holes), model.fit(imp)
    pooled = fits.pool()

    missing = imp.missing().rename_axis("column").reset_index()
    listwise = fit.tidy()[lambda d: d["effect"] == "fixed"]
    side_by_side = pd.DataFrame(
        {
            "term": listwise["term"],
            "listwise": listwise["estimate"],
            "listwise_se": listwise["std_error"],
            "pooled": pooled.fixed["estimate"],
            "pooled_se": pooled.fixed["std_error"],
            "fmi": pooled.fixed["fmi"],
        }
    )
    sections: list[tuple[str, str, pd.DataFrame]] = [
        ("Missing values, made completely at random", "missing", missing),
        (
            f"Listwise ({fit.nobs} rows) beside pooled ({fits[0].nobs} rows)",
            "compare",
            side_by_side,
        ),
        ("Pooled fixed effects (Rubin's rules)", "fixed", pooled.fixed),
        ("Pooled variance components", "varcorr", pooled.varcorr),
        ("Model info per imputation", "model_info", fits.model_info()),
    ]
    print(f"Model: {_FORMULA}\nData:  hsb, {len(hsb)} pupils in {hsb['schid'].nunique()} schools\n")
    for title, name, table in sections:
        _show(title, table)
        if name == "missing":
            print(f"Imputation\n----------\n{imp.summary()}\n")
    print(f"Summary\n-------\n{fits.summary()}")
    if arguments.out is not None:
        tables = {name: table for _, name, table in sections}
        tables |= {"ranef": pooled.ranef, "fixef_by_imputation": fits.fixef(by_imputation=True)}
        tables |= {"varcorr_by_imputation": fits.varcorr(by_imputation=True)}
        _write(arguments.out, tables)
    return 0


def _show(title: str, table: pd.DataFrame) -> None:
    import pandas as pd

    with pd.option_context("display.width", 160, "display.max_columns", None):
        print(f"{title}\n{'-' * len(title)}\n{table.to_string(index=False, na_rep='')}\n")


def _write(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(out / f"{name}.csv", index=False)
    print(f"\nWrote {len(tables)} tables to {out}/: {', '.join(f'{x}.csv' for x in tables)}")
