"""The door: start, threads, interrupts, forks, what R says, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rbridge_mi as rb
from rbridge_mi import rdoor

pytestmark = [pytest.mark.r, pytest.mark.slow]


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


def r(text: str) -> rdoor.RObject:
    """An unevaluated R expression."""
    return rdoor.call_object("base::str2lang", text)


def evaluate(text: str) -> rdoor.Reply:
    return rdoor.call("base::eval", r(text))


def test_environment_is_restored_for_this_process_and_its_children() -> None:
    done = python(
        """
        import os, subprocess
        child = lambda: subprocess.run(["env"], capture_output=True, text=True).stdout
        before, child_before = dict(os.environ), child()
        from rbridge_mi import rdoor
        assert rdoor.call("base::sum", [1, 2]).value[0] == 3
        assert dict(os.environ) == before, set(os.environ) ^ set(before)
        assert sorted(child().split()) == sorted(child_before.split())
        """,
        LD_LIBRARY_PATH="/nonexistent",
    )
    assert done.returncode == 0, done.stderr


def test_linear_algebra_and_sockets_load_after_the_environment_is_gone() -> None:
    assert evaluate("as.numeric(eigen(matrix(c(2, 0, 0, 1), 2))$values)").value.tolist() == [2, 1]
    assert isinstance(evaluate("libcurlVersion()").value[0], str)
    assert evaluate("R.home()").value[0].startswith("/")


def test_eight_threads_get_their_own_answers() -> None:
    def work(k: int) -> list[float]:
        return [float(rdoor.call("base::sum", [k, i]).value[0]) for i in range(50)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [[k + i for i in range(50)] for k in range(8)]


def test_objects_dropped_by_other_threads_do_no_harm() -> None:
    def work(k: int) -> bool:
        held = [rdoor.call_object("base::list", [k, i]) for i in range(30)]
        same = all(rdoor.call("base::length", x).value[0] == 1 for x in held)
        del held
        evaluate("invisible(gc())")
        return same

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


def test_ctrl_c_stops_r_within_a_second_and_r_stays_usable() -> None:
    handler = signal.getsignal(signal.SIGINT)
    loop = r("for (i in 1:1e12) i")
    sent: list[float] = []

    def press() -> None:
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(0.3, press)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        rdoor.call("base::eval", loop)
    assert time.monotonic() - sent[0] < 1
    assert rdoor.call("base::sum", [1, 2]).value[0] == 3
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_stops_one_long_lmer(hsb: pd.DataFrame) -> None:
    long = pd.concat([hsb.assign(schid=hsb["schid"] + f"-{i}") for i in range(40)])
    model = rb.Lmer("mathach ~ ses + (1 + ses + female + minority | schid)")
    timer = threading.Timer(4.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(long)
    assert rdoor.call("base::sum", [1, 2]).value[0] == 3


def test_use_after_fork_is_refused() -> None:
    done = python(
        """
        import os
        from rbridge_mi import rdoor, RForkError
        rdoor.call("base::sum", [1])
        child = os.fork()
        if child == 0:
            try:
                rdoor.call("base::sum", [1])
            except RForkError as error:
                os._exit(7 if "forked" in str(error) and "loky" in str(error) else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert rdoor.call("base::sum", [1]).value[0] == 1
        """
    )
    assert done.returncode == 0, done.stderr


def test_fork_before_r_starts_is_fine() -> None:
    done = python(
        """
        import os
        from rbridge_mi import rdoor
        child = os.fork()
        if child == 0:
            os._exit(int(rdoor.call("base::sum", [3, 4]).value[0]))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        """
    )
    assert done.returncode == 0, done.stderr


def test_r_ends_with_its_process_and_not_with_a_fork(tmp_path: Path) -> None:
    done = python(
        """
        import os, sys
        from rbridge_mi import rdoor
        folder = rdoor.call("base::tempdir").value[0]
        said = 'function(e) cat("ended", file = Sys.getenv("SAID"), append = TRUE)'
        said = rdoor.call_object("base::eval", rdoor.call_object("base::str2lang", said))
        rdoor.call("base::reg.finalizer", rdoor.call_object("base::globalenv"), said, True)
        child = os.fork()
        if child == 0:
            sys.exit(0)  # with the handlers that the parent had registered
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert os.path.isdir(folder)
        print(folder)
        """,
        SAID=str(tmp_path / "said"),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said").read_text() == "ended"  # once: by the parent
    assert not Path(done.stdout.strip()).exists()


def test_console_is_captured(capfd: pytest.CaptureFixture[str]) -> None:
    reply = evaluate('{cat("to the console\\n"); print(1:2); write("and to stderr", stderr()); 5}')
    assert reply.value.tolist() == [5]
    assert reply.output == "to the console\n[1] 1 2\nand to stderr\n"
    assert capfd.readouterr() == ("", "")


def test_conditions_come_back_with_rs_text() -> None:
    reply = evaluate('{warning("first ü"); message("a message"); warning("second"); 1}')
    assert reply.warnings == ("first ü", "second")
    assert reply.messages == ("a message",)


def test_errors_carry_rs_text_call_and_what_came_before() -> None:
    with pytest.raises(rb.RCallError) as caught:
        evaluate('(function(x) {warning("careful"); cat("seen\\n"); stop("it broke: ", x)})(3)')
    error = caught.value
    assert error.r_message == "it broke: 3"
    assert "x" in error.r_call
    assert error.output == "seen\n"
    assert "it broke: 3" in str(error)
    assert "careful" in str(error)


def test_infinite_recursion_is_an_error() -> None:
    with pytest.raises(rb.RCallError, match=r"nested too deeply|stack"):
        evaluate("(function() {f <- function(n) f(n + 1); f(1)})()")
    assert rdoor.call("base::sum", [1, 2]).value[0] == 3


def test_r_is_left_as_it_was() -> None:
    state = "list(options()$digits, getwd(), exists('.Random.seed', globalenv()), search())"
    before = evaluate(state).value
    evaluate("{options(digits = 3); setwd('/'); set.seed(9); stats::runif(3)}")
    with pytest.raises(rb.RCallError):
        evaluate("{options(digits = 3); setwd('/'); set.seed(9); stop('no')}")
    assert str(evaluate(state).value) == str(before)


def test_seeded_calls_leave_the_users_random_stream_alone(hsb: pd.DataFrame) -> None:
    done = python(
        """
        import rpy2.robjects as ro
        import rbridge_mi as rb
        hsb = rb.load_hsb()
        ro.r("set.seed(5)")
        first = list(ro.r("runif(2)"))
        ro.r("set.seed(5)")
        rb.BootstrapImputer(m=2).impute(hsb, seed=1)
        assert list(ro.r("runif(2)")) == first
        """
    )
    assert done.returncode == 0, done.stderr


def test_a_users_own_rpy2_session_goes_on() -> None:
    done = python(
        """
        import rpy2.robjects as ro
        from rpy2.rinterface_lib import callbacks
        heard = []
        callbacks.consolewrite_print = heard.append
        ro.r("x <- 41")
        from rbridge_mi import rdoor
        assert rdoor.call("base::sum", [1, 2]).value[0] == 3
        ro.r("cat(x + 1)")
        assert heard == ["42"], heard
        """
    )
    assert done.returncode == 0, done.stderr


def test_generators_other_kind_does_not_change_a_seed(hsb: pd.DataFrame) -> None:
    expected = rb.BootstrapImputer(m=2).impute(hsb, seed=3)[1]
    done = python(
        """
        import sys
        import rpy2.robjects as ro
        import rbridge_mi as rb
        ro.r('RNGkind("Wichmann-Hill", sample.kind = "Rounding")')
        print(rb.BootstrapImputer(m=2).impute(rb.load_hsb(), seed=3)[1].index[:20].tolist())
        """
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(expected.index[:20].tolist())


def test_r_objects_cross_processes_with_their_bits() -> None:
    import pickle

    values = np.array([0.1, -0.0, np.pi, 5e-324, np.inf])
    held = rdoor.call_object("base::list", values, "ü")
    again = pickle.loads(pickle.dumps(held))
    assert repr(again) == "<R object, serialized>"
    back = rdoor.call("base::identity", again).value
    assert back[0].tobytes() == values.tobytes()
    assert list(back[1]) == ["ü"]
    assert repr(again) == "<R object, live>"


def test_no_r_is_one_clear_sentence() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "R_HOME"}
    done = subprocess.run(
        [sys.executable, "-m", "rbridge_mi", "doctor"],
        capture_output=True,
        text=True,
        env={**environment, "PATH": "/nonexistent"},
    )
    assert done.returncode == 1
    assert "R was not found" in done.stdout
    assert "apt-get install" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_old_r_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    done = python(
        """
        from rbridge_mi import rdoor, RNotFoundError
        from rbridge_mi.rdoor import session
        session.MIN_R = (99, 0)
        try:
            rdoor.call("base::sum", [1])
        except RNotFoundError as error:
            assert "too old" in str(error) and "99.0" in str(error)
        else:
            raise SystemExit(1)
        """
    )
    assert done.returncode == 0, done.stderr


def test_missing_r_package_names_the_remedy() -> None:
    with pytest.raises(rb.RPackageError, match=r"apt-get install r-cran-nosuchpackage"):
        rdoor.require_package("noSuchPackage", "This test")


def test_unbuilt_bridge_is_explained() -> None:
    done = python(
        """
        import sys
        sys.modules["rpy2"] = None
        from rbridge_mi import rdoor, RNotFoundError
        try:
            rdoor.call("base::sum", [1])
        except RNotFoundError as error:
            assert "RPY2_CFFI_MODE=API" in str(error), error
        else:
            raise SystemExit(1)
        """
    )
    assert done.returncode == 0, done.stderr


def test_process_ends_cleanly_after_use() -> None:
    done = python("from rbridge_mi import rdoor; rdoor.call('base::sum', [1])")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
