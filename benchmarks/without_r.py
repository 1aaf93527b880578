"""This library beside packages that need no R: whose numbers are lme4's, and how long they take.

    .venv/bin/python benchmarks/without_r.py --page docs/bridges/without-r.md

The models are those of the parity suite, whose numbers here are lme4's bit for bit, and a few on
whole data sets. Each package runs in a process of its own (`without_r_peer.py`), in a virtual
environment beside this one, which is made if it is absent: what crashes, hangs or is refused is a
row and not the end. A row is written when it is known, and a second run goes on where the first
ended. Times are the least of several rounds, in which every package fits the same model in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from without_r_numbers import compared, of_fitted
from without_r_page import SHOWN, write_page

import rbridge_mi as rb
from rbridge_mi.parity.case import Argument, Column, ModelCase
from rbridge_mi.parity.engine import Suite
from rbridge_mi.parity.generalised import GENERALISED
from rbridge_mi.parity.models import MODELS
from rbridge_mi.testing import run_r

HERE = Path(__file__).resolve().parent
PEERS = {
    "statsmodels": "statsmodels==0.15.0",
    "mixedlm": "mixedlm==1.3.0",
    "lme-python": "lme-python[pandas]==0.2.7",
    "mixedlm-rs": "mixedlm-rs==0.2.0",
}
# What only steers R's own optimizers, or how R shows what it has left out.
OF_R = ("control", "start", "na_action", "mustart", "etastart", "init_ctrl", "nb_control")
LEFT_OUT = ("control", "glmer_control", "glmer_refused")
Row: TypeAlias = dict[str, Any]


def whole(name: str, formula: str, *groups: str, **more: Any) -> ModelCase:
    return ModelCase(f"whole/{name}", "whole", name, formula, groups, **more)


_LOGIT = (Argument("family", "binomial", ""),)
WHOLE = (
    whole("InstEval", "y ~ service + (1 | s) + (1 | d)", "s", "d"),
    whole("VerbAgg", "r2 ~ Anger + Gender + btype + situ + (1 | id) + (1 | item)", "id", "item",
          fitter="glmer", arguments=_LOGIT),
)  # fmt: skip


class Peer:
    """A package's process, which is started again after it ended."""

    def __init__(self, python: Path, package: str, limit: float) -> None:
        self.python, self.package, self.limit = python, package, limit
        self._process: subprocess.Popen[str] | None = None

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Its answer; or how it ended."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = subprocess.Popen(
                [self.python, "-X", "faulthandler", HERE / "without_r_peer.py", self.package],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        late = threading.Event()

        def end(process: subprocess.Popen[str] = process) -> None:
            late.set()
            process.kill()

        clock = threading.Timer(self.limit, end)
        clock.start()
        try:
            process.stdin.write(json.dumps(job, default=_values) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        finally:
            clock.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = process.wait()
        if late.is_set():
            return {"error": f"no answer within {self.limit:g} s"}
        return {"error": f"the process ended with code {code}"}

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
            self._process = None


def environment(folder: Path) -> Path:
    """The interpreter of the packages' environment, which is made if it is absent."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        with_pandas = [*PEERS.values(), f"pandas=={pd.__version__}"]
        try:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *with_pandas], check=True)
        except BaseException:
            shutil.rmtree(folder)  # half an environment is none
            raise
    return python


def versions(python: Path) -> dict[str, str]:
    code = "import importlib.metadata as m, sys; print(*map(m.version, sys.argv[1:]))"
    done = subprocess.run([python, "-c", code, *PEERS], check=True, capture_output=True, text=True)
    return dict(zip(PEERS, done.stdout.split(), strict=True))


# -- one model ---------------------------------------------------------------------------------


def of_lme4(fit: rb.MerMod) -> dict[str, Any]:
    """The numbers of a fit of this library, which are lme4's."""
    varcorr = fit.varcorr()
    random: dict[str, dict[str, float]] = {}
    sds = varcorr[varcorr["var2"].isna() & (varcorr["grp"] != "Residual")]
    for group, term, sd in sds[["grp", "var1", "sdcor"]].itertuples(index=False):
        random.setdefault(str(group), {})[str(term)] = float(sd)
    fixed = fit.fixef()
    return {
        "fixed": dict(zip(fixed["term"], fixed["estimate"].astype(float), strict=True)),
        "errors": np.sqrt(np.diag(fit.vcov().select_dtypes("number"))).tolist(),
        "random": random,
        "residual": float(fit.sigma) if fit.has_scale else float("nan"),
        "log_lik": float(fit.glance()["log_lik"].iloc[0]),
        "fitted": fit.fitted().dropna().tolist(),
    }


def _values(table: Any) -> Any:
    """Frames, Series and arrays of an argument, at any depth, as lists."""
    return np.asarray(table).tolist()


def timed(model: Any, frame: pd.DataFrame) -> tuple[rb.MerMod, float]:
    start = time.perf_counter()
    fit = model.fit(frame)
    return fit, time.perf_counter() - start


def job_of(case: ModelCase, path: Path) -> dict[str, Any]:
    arguments = {}
    for x in case.arguments:
        if x.name not in OF_R:
            arguments[x.name] = x.value.name if isinstance(x.value, Column) else x.value
    return {"data": str(path), "fitter": case.fitter, "formula": case.formula,
            "arguments": arguments}  # fmt: skip


def rows_of(
    case: ModelCase, frame: pd.DataFrame, path: Path, peers: dict[str, Peer], rounds: int
) -> list[Row]:
    """A row per package; none if lme4 itself refuses the model."""
    model = case.python_model(frame)
    try:
        fit, ours = timed(model, frame)
        lme4 = of_lme4(fit)
    except rb.RBridgeError:
        return []
    job = job_of(case, path)
    answers = {name: peer.ask(job) for name, peer in peers.items()}
    able = {name: x for name, x in answers.items() if "fixed" in x}
    seconds = {name: x["seconds"] for name, x in able.items()}
    for turn in range(rounds):
        # What takes long varies little: it is fitted again as often as ten seconds hold.
        if not turn or turn * ours < 10:
            ours = min(ours, timed(model, frame)[1])
        for name in able:
            if not turn or turn * seconds[name] < 10:
                again = peers[name].ask(job)
                seconds[name] = min(seconds[name], again.get("seconds", np.inf))
    rows = []
    for name, answer in answers.items():
        row = {"case": case.name, "family": case.family, "fitter": case.fitter,
               "formula": case.formula, "data": case.data, "rows": len(frame), "package": name,
               "ours": ours, "singular": bool(fit.is_singular)}  # fmt: skip
        if name in able:
            fitted = of_fitted(lme4["fitted"], answer.pop("fitted"), lme4["residual"])
            row |= {**answer, "seconds": seconds[name], "fitted": fitted,
                    "lme4": {k: x for k, x in lme4.items() if k != "fitted"}}  # fmt: skip
        else:
            row |= answer
        rows.append(row)
    return rows


# -- from nothing --------------------------------------------------------------------------------

_OURS = """
import sys, pandas as pd, rbridge_mi as rb
rb.Lmer("Reaction ~ Days + (Days | Subject)").fit(pd.read_pickle(sys.argv[1])).fixef()
"""


def cold(path: Path, python: Path, rounds: int) -> list[Row]:
    """Seconds of a new process, from its start to the first fit."""
    job = json.dumps({"data": str(path), "fitter": "lmer", "arguments": {},
                      "formula": "Reaction ~ Days + (Days | Subject)"})  # fmt: skip
    commands = {"ours": [sys.executable, "-c", _OURS, str(path)]}
    commands |= {x: [str(python), str(HERE / "without_r_peer.py"), x] for x in PEERS}
    least = dict.fromkeys(commands, np.inf)
    for _ in range(rounds):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, input=job + "\n", text=True, check=True, capture_output=True)
            least[name] = min(least[name], time.perf_counter() - start)
    return [
        {"case": "cold", "family": "cold", "package": x, "seconds": least[x], "ours": least["ours"]}
        for x in PEERS
    ]


# -- all ----------------------------------------------------------------------------------------


def run(out: Path, python: Path, rounds: int, limit: float, only: str) -> None:
    done = {(x["case"], x["package"]) for x in read(out)}
    cases = [x for x in (*MODELS, *GENERALISED) if x.family not in LEFT_OUT]
    cases = [x for x in (*cases, *WHOLE) if only in x.name]
    cases.sort(key=lambda x: SHOWN.index(x.name) if x.name in SHOWN else len(SHOWN))
    peers = {x: Peer(python, x, limit) for x in PEERS}
    with tempfile.TemporaryDirectory() as folder, Suite() as suite, out.open("a") as file:
        path = Path(folder) / "data.pickle"
        for case in cases:
            left = {k: x for k, x in peers.items() if (case.name, k) not in done}
            if not left or suite.missing_packages(case):
                continue
            frame = frame_of(case, suite)
            path.write_bytes(pickle.dumps(frame))
            rows = rows_of(case, frame, path, left, rounds)
            if not rows:
                rows = [{"case": case.name, "family": case.family, "package": x,
                         "lme4_refuses": True} for x in left]  # fmt: skip
            for row in rows:
                file.write(json.dumps(row) + "\n")
                print(line(row), flush=True)
            file.flush()
        if ("cold", "mixedlm") not in done and only in "cold":
            path.write_bytes(pickle.dumps(suite.data(MODELS[1])))
            file.writelines(json.dumps(x) + "\n" for x in cold(path, python, rounds))
    for peer in peers.values():
        peer.close()


def frame_of(case: ModelCase, suite: Suite) -> pd.DataFrame:
    if case in WHOLE:
        frame: pd.DataFrame = run_r(f"d <- as.data.frame(lme4::{case.data})")["d"]
        return frame
    return suite.data(case)


def read(out: Path) -> list[Row]:
    return [json.loads(x) for x in out.read_text().splitlines()] if out.exists() else []


def line(row: Row) -> str:
    """What is printed of a row while the program runs."""
    head = f"{row['case']:40} {row['package']:12}"
    for why in ("lme4_refuses", "not_offered", "error"):
        if why in row:
            return f"{head} {why}: {str(row[why])[:90]}"
    of = compared(row["lme4"], row)
    return (
        f"{head} fixed {of['fixed']} sd {of['sd']} logLik {of['log_lik']} ({of['gap']:.2g}) "
        f"fitted {row['fitted']}; {row['seconds']:.4f} s, ours {row['ours']:.4f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("build/without_r.jsonl"), help="rows")
    parser.add_argument("--peers", type=Path, default=Path("build/peers"),
                        help="the packages' environment; made if it is absent")  # fmt: skip
    parser.add_argument("--page", type=Path, help="the page whose tables are written")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of one fit")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    given = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the peers, as of this process
    given.out.parent.mkdir(parents=True, exist_ok=True)
    python = environment(given.peers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rb.RBridgeWarning)
        run(given.out, python, given.rounds, given.limit, given.only)
    if given.page:
        write_page(given.page, read(given.out), versions(python))


if __name__ == "__main__":
    main()
