"""Many threads and a web server on one R: right answers, nothing hangs, nothing leaks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = [pytest.mark.r, pytest.mark.processes]

MODEL = rb.Lmer("y ~ x + (1 | g)", control={"calc.derivs": False})


def made(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat([f"g{i}" for i in range(6)], 5)
    effect = np.repeat(rng.normal(size=6), 5)
    x = rng.normal(size=30)
    return pd.DataFrame({"y": x + effect + rng.normal(size=30), "x": x, "g": g})


def quiet_fit(seed: int) -> rb.MerMod:
    return MODEL.fit(made(seed))


def test_eight_threads_fit_different_data() -> None:
    """8 x 200 fits in a process of its own: each thread's answers are its own, to the bit, and
    memory stays where it was. Small samples warn of singular fits; that is no failure here."""
    program = f"""
        import sys, threading, time, warnings
        from pathlib import Path
        warnings.simplefilter("ignore")
        sys.path.insert(0, {str(__file__.rsplit("/tests/", 1)[0])!r})
        from tests.whole.test_server import made, quiet_fit
        def resident():
            return int(Path("/proc/self/statm").read_text().split()[1])
        expected = {{seed: quiet_fit(seed) for seed in range(8)}}
        wrong = []
        def work(k, times):
            for i in range(times):
                if i % 2:  # every thread has data of its own, and some that others have too
                    fit = quiet_fit(k)
                    same = fit.criterion == expected[k].criterion and (
                        fit.beta.equals(expected[k].beta) and fit.sigma == expected[k].sigma)
                else:
                    seed = (k + i) % 8
                    same = quiet_fit(seed).theta.equals(expected[seed].theta)
                if not same:
                    wrong.append((k, i))
        def all_of(times):
            threads = [threading.Thread(target=work, args=(k, times)) for k in range(8)]
            for x in threads: x.start()
            for x in threads: x.join()
        all_of(10)  # warm up
        before, begun = resident(), time.monotonic()
        all_of(200)
        print(len(wrong), resident() / before - 1, time.monotonic() - begun)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True,
        timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    wrong, growth, _ = done.stdout.split()
    assert int(wrong) == 0
    assert float(growth) < 0.05


# -- a server -----------------------------------------------------------------------------------


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """POST {"seed": k, "formula": ...}: the fixed effects of a fit to the k-th data."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    try:
        asked = json.loads(body)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            formula = asked.get("formula", MODEL.formula)
            fit = rb.Lmer(formula, control={"calc.derivs": False}).fit(made(asked["seed"]))
        status, answer = "200 OK", {"fixef": [x.hex() for x in fit.beta.tolist()]}
    except rb.RBridgeError as error:
        status, answer = "422 Unprocessable Content", {"fixef": [], "error": [str(error)]}
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


@contextmanager
def serving() -> Iterator[str]:
    with make_server("127.0.0.1", 0, app, server_class=Server, handler_class=Silent) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join(10)


def ask(url: str, **asked: Any) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(url, json.dumps(asked).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.filterwarnings("ignore")
def test_a_server_under_load() -> None:
    """120 requests, 8 at a time, a sixth of them wrong: bounded, and on this machine only."""
    expected = {k: [x.hex() for x in quiet_fit(k).beta.tolist()] for k in range(5)}
    wrong = ["y ~ x", "y ~ system('true') + (1 | g)", "y ~ nowhere + (1 | g)", "y ~ (1 | "]

    def one(i: int) -> bool:
        if i % 6 == 5:
            status, answer = ask(url, seed=1, formula=wrong[i % 4])
            return status == 422 and bool(answer["error"])
        return ask(url, seed=i % 5) == (200, {"fixef": expected[i % 5]})

    with serving() as url, ThreadPoolExecutor(8) as clients:
        assert all(clients.map(one, range(120)))


@pytest.mark.filterwarnings("ignore")
def test_asyncio_goes_on_while_r_computes() -> None:
    """As docs/concurrency.md shows it: `asyncio.to_thread`; the loop is never blocked for long."""

    async def main() -> tuple[list[rb.MerMod], float]:
        worst, last, done = 0.0, time.monotonic(), False

        async def beat() -> None:
            nonlocal worst, last
            while not done:
                await asyncio.sleep(0.01)
                now = time.monotonic()
                worst, last = max(worst, now - last), now

        heart = asyncio.create_task(beat())
        fits = await asyncio.gather(*(asyncio.to_thread(quiet_fit, k) for k in range(12)))
        done = True
        await heart
        return list(fits), worst

    fits, worst = asyncio.run(main())
    assert all(fit == quiet_fit(k) for k, fit in enumerate(fits))
    assert worst < 1.0


# -- what a call leaves behind -----------------------------------------------------------------

STATE = """list(
    options()[setdiff(names(options()), 'browser')], getwd(), search(), Sys.getlocale(),
    Sys.getenv('TZ', NA), RNGkind(), exists('.Random.seed', globalenv()), ls(globalenv()),
    if (exists('.Random.seed', globalenv())) get('.Random.seed', globalenv())
)"""
MESS = """{
    options(digits = 3, OutDec = ',', warn = 2, na.action = 'na.fail', brand.new = 1,
            contrasts = c('contr.sum', 'contr.poly'))
    setwd('/'); set.seed(9); RNGkind('Wichmann-Hill'); stats::runif(3)
    Sys.setlocale('LC_COLLATE', 'C'); Sys.setlocale('LC_NUMERIC', 'C')
    Sys.setenv(TZ = 'Asia/Tokyo')
    attach(list(lmer = 1, c = 2), name = 'mess')
"""


def evaluate(text: str) -> rdoor.Reply:
    return rdoor.call("base::eval", rdoor.call_object("base::str2lang", text))


@pytest.mark.parametrize("end", ["1}", "stop('no')}"], ids=["well", "in an error"])
def test_no_state_of_r_leaks(end: str) -> None:
    before = repr(evaluate(STATE).value)
    if end == "1}":
        evaluate(MESS + end)
    else:
        with pytest.raises(rb.RCallError):
            evaluate(MESS + end)
    assert repr(evaluate(STATE).value) == before


@pytest.mark.filterwarnings("ignore")
def test_fits_and_imputations_leave_rs_state_alone(holes: pd.DataFrame) -> None:
    rb.Lmer("mathach ~ ses + (1 | schid)").fit(holes)  # packages are loaded
    imputer = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"])
    imputer.impute(holes, seed=2)
    before = repr(evaluate(STATE).value)
    fit = rb.Lmer("mathach ~ ses + (1 | schid)").fit(holes)
    fit.simulate(1, seed=4)
    imputer.impute(holes, seed=1)
    rb.BootstrapImputer(m=2).impute(holes, seed=1)
    with pytest.raises(rb.ImputationError):
        rb.AmeliaImputer(m=2, idvars=["schid"]).impute(holes.assign(k=1.0), seed=1)
    assert repr(evaluate(STATE).value) == before


def test_a_users_rpy2_with_its_conversions_is_not_disturbed() -> None:
    """robjects in the same process, its own converters active, in two threads at once.

    Under rpy2's lock, since rpy2 has R keep and release objects without it: two threads would be in
    R's memory manager at once.
    """
    program = """
        import threading, time, warnings
        warnings.simplefilter("ignore")
        import numpy as np, pandas as pd
        import rpy2.robjects as ro
        from rpy2.robjects import default_converter, numpy2ri
        from rpy2.robjects.conversion import localconverter, get_conversion
        from rpy2.rinterface_lib.openrlib import rlock
        import rbridge_mi as rb
        hsb = rb.load_hsb()
        model = rb.Lmer("mathach ~ ses + (1 | schid)")
        expected = model.fit(hsb)
        ro.r("theirs <- 41; options(digits = 4); set.seed(3)")
        first = list(ro.r("runif(2)"))
        ro.r("set.seed(3)")
        with localconverter(default_converter + numpy2ri.converter):
            rules = get_conversion()
            assert isinstance(ro.r("c(1, 2)"), np.ndarray)
            assert model.fit(hsb) == expected
            assert isinstance(ro.r("c(1, 2)"), np.ndarray)
            assert get_conversion() is rules
            wrong = []
            def work():
                for _ in range(5):
                    if model.fit(hsb) != expected:
                        wrong.append(1)
            thread = threading.Thread(target=work)
            thread.start()
            turns = 0
            while thread.is_alive():
                with rlock:
                    if float(ro.r("theirs + 1")[0]) != 42:
                        wrong.append(2)
                turns += 1
                time.sleep(0.001)  # Python's locks are not fair
            assert turns > 1
            assert not wrong
        assert list(ro.r("runif(2)")) == first
        assert list(ro.r("getOption('digits')")) == [4]
        assert list(ro.r("ls()")) == ["theirs"]
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True,
        timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
