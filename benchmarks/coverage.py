"""Do the intervals cover? Two-level data with holes, imputed and pooled, in several designs.

    .venv/bin/python benchmarks/coverage.py build/coverage --replications 500 --n-jobs 2
    .venv/bin/python benchmarks/coverage.py build/coverage --report docs/coverage.md

The first line runs, the second writes the page from what is stored. coverage_designs.py has the
designs, coverage_engines.py the engines; coverage_tables.py makes the page.

The folder has a file per design and engine, with one row per replication and parameter. What is
stored is not computed again: the program can be stopped and started at will, with other engines and
designs too, at the same time as well if no two of them share both. Replication k has the same data
whatever ran before it, or beside it, and engines see the same data. An imputation that failed is
stored as failed; to try it again, delete its file.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from coverage_designs import DESIGNS, STUDIED, Design
from coverage_engines import ENGINES, EngineError, Given, impute
from coverage_tables import page
from tqdm import tqdm

import rbridge_mi as rb
from rbridge_mi.errors import RBridgeError
from rbridge_mi.inference.degrees_of_freedom import complete_df
from rbridge_mi.pooling import tails

FIELDS = ("design", "replication", "engine", "part", "rule", "parameter", "estimate", "std_error",
          "conf_low", "conf_high")  # fmt: skip
RULES = ("residual", "satterthwaite")

Row = dict[str, Any]


def one(
    replication: int, wanted: Sequence[tuple[str, str]], seed: int, m: int
) -> dict[tuple[str, str], list[Row]]:
    """The rows of a replication for each (design, engine) in `wanted`."""
    return {
        (design, engine): _labelled(design, replication, engine, given)
        for design in dict.fromkeys(design for design, _ in wanted)
        for given in [drawn(DESIGNS[design], replication, seed, m)]
        for engine in (engine for name, engine in wanted if name == design)
    }


def drawn(design: Design, replication: int, seed: int, m: int) -> Given:
    """A replication's data."""
    rng = np.random.default_rng([seed, replication])
    complete = design.draw(rng)
    holes = design.delete(complete, rng)
    return Given(design, complete, holes, m, int(rng.integers(2**31 - 1)))


def _labelled(design: str, replication: int, engine: str, given: Given) -> list[Row]:
    labels = {"design": design, "replication": replication, "engine": engine}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # singular fits are part of the study
        return [labels | row for row in _rows(engine, given)]


def _rows(engine: str, given: Given) -> list[Row]:
    """Coefficients by each rule, variances, and last the CPU seconds of the imputation."""
    model = rb.Lmer(given.design.model)
    try:
        data, seconds = impute(engine, given)
        fitted = model.fit(data)
        rows = [*(_of_one(fitted) if isinstance(fitted, rb.MerMod) else _of_many(fitted))]
    except (EngineError, RBridgeError) as error:
        seconds = float("nan")
        rows = [{"part": "failed", "parameter": str(error).splitlines()[0][:200]}]
    for row in rows:
        back = given.design.in_its_units(row["parameter"])
        row |= {name: row[name] * back for name in FIELDS[6:] if name in row}
    return [*rows, {"part": "cpu", "parameter": "seconds", "estimate": seconds}]


def _of_one(fit: rb.MerMod) -> Iterator[Row]:
    terms = list(fit.beta.index)
    std_errors = np.sqrt(np.diag(fit.vcov()))
    for rule in RULES:
        df = np.broadcast_to(complete_df(rule, [fit], np.eye(len(terms))), len(terms))
        for term, std_error, its_df in zip(terms, std_errors, df, strict=True):
            half = float(tails.t_critical(0.95, its_df)) * std_error
            yield _fixed(rule, term, fit.beta[term], std_error, half)
    yield from _variances(fit.varcorr(), {})


def _of_many(fits: rb.MerModList) -> Iterator[Row]:
    for rule in RULES:
        pooled = fits.pool(dfcom=rule)
        for row in pooled.fixed.itertuples():
            half = (row.conf_high - row.conf_low) / 2
            yield _fixed(rule, row.term, row.estimate, row.std_error, half)
    for row in fits.mertools.model_fixed_eff().itertuples():
        half = float(tails.t_critical(0.95, row.df)) * row.std_error
        yield _fixed("mertools", row.term, row.estimate, row.std_error, half)
    sds = pooled.random.set_index(["group", "term"])
    yield from _variances(
        pooled.varcorr,
        {
            _variance_name(group, term.removeprefix("sd__")): {
                "conf_low": row["conf_low"] ** 2,
                "conf_high": row["conf_high"] ** 2,
            }
            for (group, term), row in sds.iterrows()
            if term.startswith("sd__")
        },
    )


def _fixed(rule: str, term: str, estimate: float, std_error: float, half: float) -> Row:
    return {
        "part": "fixed",
        "rule": rule,
        "parameter": term,
        "estimate": estimate,
        "std_error": std_error,
        "conf_low": estimate - half,
        "conf_high": estimate + half,
    }


def _variances(varcorr: pd.DataFrame, intervals: Mapping[str, Row]) -> Iterator[Row]:
    """Variances, and the squared ends of their SDs' intervals."""
    for row in varcorr[varcorr["var2"].isna()].itertuples():
        name = _variance_name(row.grp, row.var1)
        yield {"part": "variance", "parameter": name, "estimate": row.vcov} | intervals.get(
            name, {}
        )


def _variance_name(group: str, term: str) -> str:
    return group if group == "Residual" else f"{group}: {term}"


def path_of(folder: Path, design: str, engine: str) -> Path:
    return folder / f"{design}-{engine}.csv"


def stored(path: Path) -> pd.DataFrame:
    """The replications that are whole in a file: each ends with its CPU seconds."""
    if not path.exists():
        return pd.DataFrame(columns=list(FIELDS))
    text = path.read_text()
    rows = pd.read_csv(io.StringIO(text[: text.rfind("\n") + 1]), keep_default_na=False,
                       na_values={name: ["", "nan"] for name in FIELDS[6:]})  # fmt: skip
    whole = rows["replication"].isin(rows.loc[rows["part"] == "cpu", "replication"])
    return rows[whole].reset_index(drop=True)


def as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, FIELDS, restval="", lineterminator="\n").writerows(
        {k: repr(float(v)) if isinstance(v, float) else v for k, v in row.items()} for row in rows
    )
    return text.getvalue()


def left(
    folder: Path, designs: Sequence[str], engines: Sequence[str], replications: int
) -> list[tuple[int, list[tuple[str, str]]]]:
    """What each replication lacks. Files get rid of what was cut short."""
    done = {}
    for design in designs:
        for engine in engines:
            path = path_of(folder, design, engine)
            rows = stored(path)
            rows.to_csv(path, index=False)
            done[design, engine] = set(rows["replication"])
    lacks = [(k, [key for key, has in done.items() if k not in has]) for k in range(replications)]
    return [(k, wanted) for k, wanted in lacks if wanted]


def settle(folder: Path, settings: dict[str, int]) -> None:
    """A folder has replications of one seed and one m."""
    path = folder / "settings.json"
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists() and (others := json.loads(path.read_text())) != settings:
        raise SystemExit(f"{folder} was begun with {others}, not {settings}.")
    path.write_text(json.dumps(settings))


def run(
    folder: Path,
    designs: Sequence[str],
    engines: Sequence[str],
    replications: int,
    *,
    seed: int,
    m: int,
    n_jobs: int,
) -> None:
    """Compute what is not stored yet, one replication of all designs after the other."""
    settle(folder, {"seed": seed, "m": m})
    todo = left(folder, designs, engines, replications)
    results = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        joblib.delayed(one)(k, wanted, seed, m) for k, wanted in todo
    )
    for result in tqdm(results, total=len(todo), unit="replication"):
        for (design, engine), rows in result.items():
            with path_of(folder, design, engine).open("a") as handle:
                handle.write(as_csv(rows))
            if rows[0]["part"] == "failed":
                tqdm.write(f"{design}, {engine}: {rows[0]['parameter']}")


def collected(folder: Path) -> pd.DataFrame:
    """All rows of a folder."""
    files = [path_of(folder, design, engine) for design in DESIGNS for engine in ENGINES]
    return pd.concat([stored(path) for path in files if path.exists()], ignore_index=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where replications are stored")
    parser.add_argument("--designs", nargs="+", choices=list(DESIGNS), default=list(STUDIED))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--m", type=int, default=10, help="imputations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--report", type=Path, help="write the page of what is stored; run nothing")
    given = parser.parse_args()
    if given.report:
        settings = json.loads((given.folder / "settings.json").read_text())
        given.report.write_text(page(collected(given.folder), **settings))
        return
    run(
        given.folder,
        given.designs,
        given.engines,
        given.replications,
        seed=given.seed,
        m=given.m,
        n_jobs=given.n_jobs,
    )


if __name__ == "__main__":
    main()
