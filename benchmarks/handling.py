"""What does each engine make of each kind of data? A table, from runs.

    .venv/bin/python benchmarks/handling.py build/handling --replications 20 --n-jobs 2
    .venv/bin/python benchmarks/handling.py build/handling --report docs/imputation.md

Each kind of data has its model. In every replication the model is fitted to complete data, and,
pooled, to m data sets that an engine imputed from the same data with holes. An engine is "right"
where no coefficient and no variance is further from those of the complete data than 5% of its true
value, in the mean over the replications, or than three Monte Carlo errors. What is stored in the
folder is not run again; to run a cell again, delete its file.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

import rbridge_mi as rb
from rbridge_mi.errors import ArgumentError, FormulaError, RBridgeError

Rng: TypeAlias = np.random.Generator
GROUPS, EACH, M = 80, 10, 5
BEGIN, END = "<!-- benchmarks/handling.py: begin -->", "<!-- end -->"
SMALL, SURE = 0.05, 3.0  # of the true value; Monte Carlo errors


@dataclass(frozen=True)
class Kind:
    """A kind of data: how it is drawn, where its holes are, and the model that is fitted.

    `columns` says what each incomplete column is: "number", "binary", "categories", "count" or
    "group" (a number for each group); `truth` has the true coefficients and variances.
    """

    title: str
    model: str
    columns: Mapping[str, str]
    truth: Mapping[str, float]
    draw: Callable[[Rng], pd.DataFrame]
    without: bool = False  # whether every sixth group lacks all values of x


def two_level(
    rng: Rng,
    *,
    of: Callable[[pd.DataFrame], Any],
    x: str = "number",
    slope: bool = False,
    sizes: tuple[int, ...] = (EACH,) * GROUPS,
) -> pd.DataFrame:
    """Groups g with a column x of rows and z of groups; y = of(data) + random effects + noise."""
    g = np.repeat(np.arange(len(sizes)), sizes)
    latent = np.sqrt(0.3) * rng.normal(size=len(sizes))[g] + np.sqrt(0.7) * rng.normal(size=g.size)
    made: dict[str, Any] = {
        "number": latent,
        "binary": (latent > 0).astype(float),
        "categories": pd.Categorical.from_codes(np.digitize(latent, [-0.5, 0.5]), list("abc")),
        "count": rng.poisson(np.exp(0.5 * latent)).astype(float),
    }
    data = pd.DataFrame({"g": [f"g{i:03}" for i in g], "x": made[x]})
    data["z"] = rng.normal(size=len(sizes))[g]
    data["y"] = of(data) + np.sqrt(0.5) * rng.normal(size=len(sizes))[g] + rng.normal(size=g.size)
    if slope:
        data["y"] += np.sqrt(0.2) * rng.normal(size=len(sizes))[g] * data["x"]
    return data


def _crossed(rng: Rng) -> pd.DataFrame:
    data = two_level(rng, of=_line)
    h = rng.integers(40, size=len(data))
    data["h"] = [f"h{i:02}" for i in h]
    data["x"] += np.sqrt(0.3) * rng.normal(size=40)[h]
    data["y"] += np.sqrt(0.5) * rng.normal(size=40)[h] + data["x"] * 0
    return data


def _nested(rng: Rng) -> pd.DataFrame:
    data = two_level(rng, of=_line)
    s = np.arange(len(data)) // (2 * EACH)
    data["s"] = [f"s{i:02}" for i in s]
    data["x"] += np.sqrt(0.3) * rng.normal(size=GROUPS // 2)[s]
    data["y"] += np.sqrt(0.5) * rng.normal(size=GROUPS // 2)[s]
    return data


def _line(data: pd.DataFrame) -> Any:
    return 1 + data["x"]


LINE = {"(Intercept)": 1.0, "x": 1.0, "var(g)": 0.5, "var(Residual)": 1.0}
MODEL = "y ~ x + (1 | g)"
KINDS = {
    "number": Kind("a number", MODEL, {"x": "number"}, LINE, lambda r: two_level(r, of=_line)),
    "binary": Kind(
        "a binary column", MODEL, {"x": "binary"}, LINE,
        lambda r: two_level(r, of=_line, x="binary"),
    ),
    "categories": Kind(
        "3 categories", MODEL, {"x": "categories"},
        {"(Intercept)": 1.0, "xb": 0.5, "xc": 1.0, "var(g)": 0.5, "var(Residual)": 1.0},
        lambda r: two_level(r, of=lambda d: 1 + 0.5 * d["x"].cat.codes, x="categories"),
    ),
    "count": Kind(
        "counts", MODEL, {"x": "count"}, LINE | {"x": 0.5},
        lambda r: two_level(r, of=lambda d: 1 + 0.5 * d["x"], x="count"),
    ),
    "group": Kind(
        "a group-level number", "y ~ x + z + (1 | g)", {"z": "group"}, LINE | {"z": 0.5},
        lambda r: two_level(r, of=lambda d: 1 + d["x"] + 0.5 * d["z"]),
    ),
    "slope": Kind(
        "random slopes", "y ~ x + (1 + x | g)", {"x": "number"}, LINE | {"var(g: x)": 0.2},
        lambda r: two_level(r, of=_line, slope=True),
    ),
    "interaction": Kind(
        "an interaction", "y ~ x * z + (1 | g)", {"x": "number", "z": "group"},
        LINE | {"z": 0.5, "x:z": 0.5},
        lambda r: two_level(r, of=lambda d: 1 + d["x"] + 0.5 * d["z"] + 0.5 * d["x"] * d["z"]),
    ),
    "square": Kind(
        "a square", "y ~ x + I(x^2) + (1 | g)", {"x": "number"}, LINE | {"I(x^2)": 0.3},
        lambda r: two_level(r, of=lambda d: 1 + d["x"] + 0.3 * d["x"] ** 2),
    ),
    "crossed": Kind(
        "crossed groups", "y ~ x + (1 | g) + (1 | h)", {"x": "number"}, LINE | {"var(h)": 0.5},
        _crossed,
    ),
    "nested": Kind(
        "nested groups", "y ~ x + (1 | s) + (1 | g)", {"x": "number"}, LINE | {"var(s)": 0.5},
        _nested,
    ),
    "singletons": Kind(
        "some groups of one row", MODEL, {"x": "number"}, LINE,
        lambda r: two_level(r, of=_line, sizes=(1,) * 40 + (EACH,) * GROUPS),
    ),
    "without": Kind(
        "groups without any value", MODEL, {"x": "number"}, LINE,
        lambda r: two_level(r, of=_line), without=True,
    ),
}  # fmt: skip


def with_holes(kind: Kind, data: pd.DataFrame, rng: Rng) -> pd.DataFrame:
    """30% of x's rows, or of z's groups, are missing at random given y."""
    holes = data.copy()
    for name, what in kind.columns.items():
        by = data.groupby("g")["y"].transform("mean") if what == "group" else data["y"]
        chance = 0.6 / (1 + np.exp(-(by - by.mean()) / by.std()))
        if what == "group":
            groups = data["g"].unique()
            chosen = dict(zip(groups, rng.uniform(size=len(groups)), strict=True))
            holes[name] = holes[name].mask(data["g"].map(chosen) < chance)
        else:
            holes[name] = holes[name].mask(rng.uniform(size=len(data)) < chance)
    if kind.without:
        holes["x"] = holes["x"].mask(data["g"].isin(data["g"].unique()[::6]))
    return holes


# -- the engines --------------------------------------------------------------------------------

Imputed: TypeAlias = rb.ImputedData
Run: TypeAlias = Callable[[Kind, pd.DataFrame, int], Imputed]


def _groups(kind: Kind) -> list[str]:
    return [name for name in ("s", "g", "h") if f"| {name})" in kind.model]


def _compatible(kind: Kind, data: pd.DataFrame, seed: int) -> Imputed:
    return rb.impute(data, model=rb.Lmer(kind.model), m=M, seed=seed)


def _amelia(kind: Kind, data: pd.DataFrame, seed: int) -> Imputed:
    nominal = [x for x, what in kind.columns.items() if what in ("binary", "categories")]
    return rb.AmeliaImputer(M, idvars=_groups(kind), noms=nominal or None).impute(data, seed)


def _mice(methods: Mapping[str, str]) -> Run:
    def run(kind: Kind, data: pd.DataFrame, seed: int) -> Imputed:
        groups = _groups(kind)
        method = dict.fromkeys(data, "") | {
            name: methods[what] for name, what in kind.columns.items()
        }
        two_level = {name: method[name].startswith("2l") for name in kind.columns}
        # 2l.norm ignores predictors without a random slope.
        slopes = {x: 2 for x in data if x not in groups} if methods is NORM else {}
        types = {
            name: dict.fromkeys(groups, -2 if two_level[name] else 0)
            | (slopes if two_level[name] and kind.columns[name] != "group" else {})
            for name in kind.columns
        }
        imputer = rb.MiceImputer(M, method=method, predictor_matrix=types, maxit=10)
        return imputer.impute(data, seed)

    return run


def _jomo(kind: Kind, data: pd.DataFrame, seed: int) -> Imputed:
    groups = _groups(kind)
    rows = [x for x, what in kind.columns.items() if what != "group"]
    given = [x for x in data if x not in (*groups, *kind.columns, "y")]
    imputer = rb.JomoImputer(
        M,
        Y=[*rows, "y"],
        Y2=[x for x, what in kind.columns.items() if what == "group"] or None,
        X=[x for x in given if x != "z"] or None,
        X2=[x for x in given if x == "z"] or None,
        clus=groups if len(groups) > 1 else groups[0],  # type: ignore[arg-type]  # it has one
        factors=[x for x, what in kind.columns.items() if what == "binary"] or None,
        nburn=500,
        nbetween=100,
    )
    return imputer.impute(data, seed)


def _jomo_lmer(kind: Kind, data: pd.DataFrame, seed: int) -> Imputed:
    binary = [x for x, what in kind.columns.items() if what == "binary"] or None
    imputer = rb.JomoImputer(M, model=kind.model, factors=binary, nburn=500, nbetween=100)
    return imputer.impute(data, seed)


def _pan(kind: Kind, data: pd.DataFrame, seed: int) -> Imputed:
    predictors = " + ".join(x for x in data if x not in (*_groups(kind), *kind.columns))
    bars = " + ".join(f"(1 | {x})" for x in _groups(kind))
    targets = " + ".join(kind.columns)
    imputer = rb.PanImputer(
        M, formula=f"{targets} ~ 1 + {predictors} + {bars}", n_burn=500, n_iter=100
    )
    return imputer.impute(data, seed)


PAN = {"number": "2l.pan", "binary": "2l.bin", "categories": "polyreg", "count": "2l.pan",
       "group": "2lonly.norm"}  # fmt: skip
LMER = PAN | {"number": "2l.lmer", "count": "2l.lmer", "group": "2lonly.pmm"}
NORM = PAN | {"number": "2l.norm", "count": "2l.norm"}
SINGLE = dict.fromkeys(("number", "count", "group"), "pmm") | {
    "binary": "logreg", "categories": "polyreg",
}  # fmt: skip
ENGINES: dict[str, tuple[str, Run]] = {
    "compatible": ("compatible", _compatible),
    "amelia": ("Amelia", _amelia),
    "mice": ("mice: pmm, logreg, polyreg", _mice(SINGLE)),
    "mice_pan": ("mice: 2l.pan, 2l.bin, 2lonly.norm", _mice(PAN)),
    "mice_lmer": ("mice: 2l.lmer, 2lonly.pmm", _mice(LMER)),
    "mice_norm": ("mice: 2l.norm", _mice(NORM)),
    "jomo": ("jomo", _jomo),
    "jomo_lmer": ("jomo.lmer", _jomo_lmer),
    "pan": ("mitml: panImpute", _pan),
}


# -- a cell ---------------------------------------------------------------------------------------


def estimates(beta: pd.Series[float], varcorr: pd.DataFrame) -> dict[str, float]:
    """Coefficients and variances by the names that `Kind.truth` has."""
    values = {str(k): float(v) for k, v in beta.items()}
    for row in varcorr[varcorr["var2"].isna()].itertuples():
        slope = (
            f": {row.var1}"
            if row.var1 not in ("(Intercept)", None) and row.grp != "Residual"
            else ""
        )
        values[f"var({row.grp}{slope})"] = float(row.vcov)
    return values


def replication(kind: Kind, run: Run, number: int) -> dict[str, Any]:
    """The differences from complete data; or what was refused, or failed."""
    rng = np.random.default_rng([1, number])
    complete = kind.draw(rng)
    used = ["y", *(x for x in complete if x != "y" and x in kind.model)]
    complete = complete[used]
    holes = with_holes(kind, complete, rng)
    model = rb.Lmer(kind.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = model.fit(complete)
        reference = estimates(whole.beta, whole.varcorr())
        try:
            pooled = model.fit(run(kind, holes, number + 1)).pool()
        except (ArgumentError, FormulaError) as error:
            return {"refused": str(error)}
        except RBridgeError as error:
            return {"failed": str(error)}
    result = estimates(pooled.fixed.set_index("term")["estimate"], pooled.varcorr)
    return {"differences": {k: result[k] - reference[k] for k in kind.truth}}


def verdict(kind: Kind, results: list[dict[str, Any]]) -> str:
    """What the table says of a cell."""
    refused = [x["refused"] for x in results if "refused" in x]
    failed = [x["failed"] for x in results if "failed" in x]
    if len(refused) == len(results):
        return "refused"
    if len(failed) == len(results):
        return "fails in R"
    table = pd.DataFrame([x["differences"] for x in results if "differences" in x])
    relative = table / pd.Series(kind.truth)
    mean, error = relative.mean(), relative.std() / np.sqrt(len(relative))
    off = mean[(mean.abs() > SMALL) & (mean.abs() > SURE * error)]
    text = "right"
    if len(off):
        worst = off.abs().idxmax()
        text = f"biased: {worst} {100 * off[worst]:+.0f}%"
    if refused:
        text += f"; refused {len(refused)} of {len(results)}"
    if failed:
        text += f"; fails in R {len(failed)} of {len(results)}"
    return text


def run(folder: Path, kinds: list[str], engines: list[str], replications: int, n_jobs: int) -> None:
    """Compute the cells that are not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    todo = [
        (kind, engine) for kind in kinds for engine in engines
        if not (folder / f"{kind}-{engine}.json").exists()
    ]  # fmt: skip
    with joblib.Parallel(n_jobs=n_jobs) as parallel:
        for kind, engine in tqdm(todo, unit="cell"):
            results = parallel(
                joblib.delayed(replication)(KINDS[kind], ENGINES[engine][1], number)
                for number in range(replications)
            )
            (folder / f"{kind}-{engine}.json").write_text(json.dumps(results))
            tqdm.write(f"{kind}, {engine}: {verdict(KINDS[kind], results)}")


def table(folder: Path) -> str:
    """The table of what is stored, and what was refused."""
    cells = {
        (kind, engine): json.loads(path.read_text())
        for kind in KINDS for engine in ENGINES
        if (path := folder / f"{kind}-{engine}.json").exists()
    }  # fmt: skip
    most = max(len(x) for x in cells.values())
    lines = [
        f"Output of `benchmarks/handling.py` ({most} replications, m = {M}; {GROUPS} groups of "
        f"{EACH} rows; 30% of a column missing at random given y). *Right*: no coefficient and no "
        "variance is further from that of the complete data than 5% of its true value, in the mean "
        "over the replications, or than three Monte Carlo errors. *Biased* names the worst one. "
        "*Refused*: an error before R is called, with what helps. *Fails in R*: R stops.",
        "",
        f"| incomplete column, model | {' | '.join(title for title, _ in ENGINES.values())} |",
        "|---" * (len(ENGINES) + 1) + "|",
    ]
    for name, kind in KINDS.items():
        texts = [verdict(kind, cells[name, x]) if (name, x) in cells else "-" for x in ENGINES]
        model = kind.model.replace("|", "\\|")
        lines.append(f"| {kind.title}: `{model}` | {' | '.join(texts)} |")
    lines += ["", "Where an engine refuses or fails, it says:", ""]
    told: dict[str, list[str]] = {}
    for (name, engine), results in cells.items():
        for word in ("refused", "failed"):
            if texts := [x[word] for x in results if word in x]:
                text = " ".join(texts[0].split())
                told.setdefault(f"{ENGINES[engine][0]}: {text}", []).append(KINDS[name].title)
    lines += [f"- {', '.join(titles)}, {text}" for text, titles in told.items()]
    return "\n".join(lines) + "\n"


def put_into(page: Path, text: str) -> None:
    """Put the table between its two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where cells are stored")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES), default=list(ENGINES))
    parser.add_argument("--replications", type=int, default=20)
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--report", type=Path, help="put the table of what is stored into a page")
    given = parser.parse_args()
    if given.report:
        put_into(given.report, table(given.folder))
        return
    run(given.folder, given.kinds, given.engines, given.replications, given.n_jobs)


if __name__ == "__main__":
    main()
