"""Ctrl-C, wherever R is called from: it stops soon, nothing stays behind, R goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.r, pytest.mark.processes, pytest.mark.slow]

BEGIN = """
    import os, signal, sys, threading, time, pandas as pd, rbridge_mi as rb
    hsb = rb.load_hsb()
    long = pd.concat([hsb.assign(schid=hsb["schid"] + f"-{i}") for i in range(60)])
    slow = rb.Lmer("mathach ~ ses + (1 + ses + female + minority | schid)")
    small = rb.Lmer("mathach ~ ses + (1 | schid)")
    endless = rb.AmeliaImputer(m=2, idvars=["schid", "meanses"], emburn=[10**9, 10**9])
    forever = rb.CompatibleImputer(
        "mathach ~ ses + (1 | schid)", m=2, rhat=1 + 1e-9, max_iter=10**7
    )
    holes = rb.ampute(hsb, prop=0.05, columns=["ses", "size"], seed=1)
    handlers = [signal.getsignal(x) for x in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
"""
AFTER = """
        took = time.monotonic() - float(sys.stdin.readline())
        now = [signal.getsignal(x) for x in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
        assert now == handlers
        assert small.fit(hsb).nobs == 7185
        print("well", took)
"""


def pressed(tmp_path: Path, text: str, wait: float) -> tuple[str, str, int, float]:
    """Run a program, press Ctrl-C some time after it said "go"; its output and how long it took."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    with subprocess.Popen(
        [sys.executable, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().strip() == "go"
        time.sleep(wait)
        begun = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        process.stdin.write(f"{begun}\n")
        process.stdin.flush()
        out, err = process.communicate(timeout=60)
        return out, err, process.returncode, time.monotonic() - begun


@pytest.mark.parametrize(
    "what",
    [
        "slow.fit(long)",
        "endless.impute(holes, seed=1)",
        "forever.impute(holes, seed=1)",
        "forever.impute(holes, seed=1, n_jobs=2)",
    ],
)
def test_it_stops_within_a_second_and_goes_on(what: str, tmp_path: Path) -> None:
    text = BEGIN + f"""
    print("go", flush=True)
    try:
        {what}
    except KeyboardInterrupt:""" + AFTER  # fmt: skip
    out, err, _, _ = pressed(tmp_path, text, 1.5 if "endless" in what else 3.0)
    assert out.startswith("well"), err
    assert float(out.split()[1]) < 1, out


def test_ctrl_c_while_another_thread_computes(tmp_path: Path) -> None:
    """The main thread takes the Ctrl-C; at its end R is stopped for the others too."""
    text = BEGIN + """
    def work():
        try:
            while True:
                endless.impute(holes, seed=1)
        except KeyboardInterrupt:
            print("thread stopped\\n", end="", flush=True)  # at once: others print too
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    print("go", flush=True)
    threads[0].join()
    """  # fmt: skip
    out, err, code, took = pressed(tmp_path, text, 2.0)
    assert out.split("\n").count("thread stopped") == 3, (out, err)
    assert "KeyboardInterrupt" in err
    assert code in (-signal.SIGINT, 130)
    assert took < 2


def test_ctrl_c_ends_rbridge_mi_run(tmp_path: Path) -> None:
    """The command, its code 130, and no process left of its group."""
    pd_frame = (
        "import rbridge_mi as rb; "
        "rb.ampute(rb.load_hsb(), prop=0.05, columns=['ses', 'size'], seed=1)"
        ".to_csv('data.csv', index=False)"
    )
    subprocess.run([sys.executable, "-c", pd_frame], cwd=tmp_path, check=True, timeout=120)
    (tmp_path / "job.toml").write_text(
        '[data]\npath = "data.csv"\n[data.columns]\nschid = "text"\nmathach = "float"\n'
        'ses = "float"\nsize = "float"\n'
        '[imputation]\nengine = "amelia"\nm = 2\nseed = 1\nidvars = ["schid"]\n'
        "emburn = [1000000000, 1000000000]\n"
        '[model]\nformula = "mathach ~ ses + (1 | schid)"\n[output]\nfolder = "out"\n'
    )
    with subprocess.Popen(
        [sys.executable, "-m", "rbridge_mi", "run", "job.toml"], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        time.sleep(9)
        assert process.poll() is None, process.communicate()
        begun = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert time.monotonic() - begun < 2
    assert process.returncode == 130, err
    left = subprocess.run(
        ["ps", "-o", "pid=,args=", "-g", str(process.pid)], capture_output=True, text=True
    )
    assert left.stdout == ""


@pytest.mark.parametrize("first", ["before", "after"])
def test_threads_go_on_when_the_main_thread_has_ended(first: str, tmp_path: Path) -> None:
    """Python waits for them, so that R must still start, and work, for them."""
    text = f"""
    import threading, rbridge_mi as rb
    hsb = rb.load_hsb()
    small = rb.Lmer("mathach ~ ses + (1 | schid)")
    def work():
        threading.main_thread().join()
        print(small.fit(hsb).nobs, small.fit(hsb).nobs, flush=True)
    if {first!r} == "before":
        small.fit(hsb)
    threading.Thread(target=work).start()
    """
    done = ran(tmp_path, text)
    assert (done.stdout, done.stderr, done.returncode) == ("7185 7185\n", "", 0)


def test_the_first_use_of_all_after_the_main_thread_has_ended(tmp_path: Path) -> None:
    """Works if the package was imported in time; what takes processes says what to do instead."""
    text = """
    import threading
    {first}
    def work():
        threading.main_thread().join()
        try:
            import rbridge_mi as rb
            hsb = rb.load_hsb()
            small = rb.Lmer("mathach ~ ses + (1 | schid)")
            print(small.fit(hsb).nobs, small.fit(hsb, isolate=True).nobs)
            several = rb.ImputedData.from_frames([hsb, hsb])
            print(len(small.fit(several)))
        except Exception as error:
            print(type(error).__name__, error)
            return
        for ask in (lambda: small.fit(several, n_jobs=2), lambda: rb.start_workers(2),
                    lambda: small.fit(several, isolate=True)):
            try:
                ask()
            except rb.RBridgeError as error:
                print(error)
    threading.Thread(target=work).start()
    """
    done = ran(tmp_path, text.format(first="import rbridge_mi"))
    lines = done.stdout.splitlines()
    assert (lines[:2], done.stderr, done.returncode) == (["7185 7185", "2"], "", 0)
    assert len(lines) == 5
    assert all("after the main thread has ended. Keep it waiting" in x for x in lines[2:])
    done = ran(tmp_path, text.format(first=""))
    assert "RBridgeError rbridge_mi can't be imported first" in done.stdout
    assert "Put `import rbridge_mi` at the top of the program" in done.stdout


def test_daemon_threads_do_not_keep_python_from_ending(tmp_path: Path) -> None:
    """Nobody waits for them: R is stopped, and they end unheard."""
    text = BEGIN + """
    begun = threading.Event()
    def work():
        while True:
            begun.set()
            endless.impute(holes, seed=1)
    for _ in range(3):
        threading.Thread(target=work, daemon=True).start()
    begun.wait()
    time.sleep(1)
    print("main thread ends", flush=True)
    """  # fmt: skip
    done = ran(tmp_path, text)
    assert (done.stdout, done.stderr, done.returncode) == ("main thread ends\n", "", 0)


def ran(tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    return subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
