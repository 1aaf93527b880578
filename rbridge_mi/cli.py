"""``rbridge-mi``: jobs, reports, the vignette as a command, and a look at the installation."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from . import __version__
from .errors import RBridgeError

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """Run a command; the exit code is 0 if it did its job, 1 if it could not, 130 on Ctrl-C.

    For ``run``: 1 if the job (or the command line) is wrong, 2 if the computation failed.
    """
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


class _Parser(argparse.ArgumentParser):
    """A wrong command line ends with 1, as a wrong job does: 2 is for computations that failed."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rbridge-mi",
        description="Multilevel models on incomplete data, by R's lme4 and Amelia.",
    )
    parser.add_argument("--version", action="version", version=f"rbridge-mi {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="the vignette on the hsb data, from holes to pooled tables; beside it what imputing "
        "from the analysis model gives",
    )
    demo.add_argument("--out", type=Path, metavar="DIR", help="write the tables there, as CSV")
    demo.add_argument("--m", type=_several, default=5, help="number of imputations (default: 5)")
    demo.add_argument(
        "--seed", type=int, default=1, help="seed of holes and imputations (default: 1)"
    )
    demo.add_argument("--vignette", action="store_true", help="stop after the vignette")
    demo.set_defaults(run=_demo)
    report = commands.add_parser(
        "report",
        help="one HTML page on a saved pooled model: data, imputations, results, methods text",
    )
    report.add_argument(
        "results",
        type=Path,
        metavar="RESULTS",
        help="what save() of fits, or of what they pool to, wrote",
    )
    report.add_argument(
        "--out", type=Path, metavar="FILE", default=Path("report.html"),
        help="the page to write (default: report.html)",
    )  # fmt: skip
    report.add_argument(
        "--listwise", type=Path, metavar="FIT",
        help="the same model fitted to the data with holes, saved, to stand beside",
    )  # fmt: skip
    report.add_argument(
        "--trust", action="store_true",
        help="unpack the R objects in the files too, which some parts need: only of files that you "
        "trust",
    )  # fmt: skip
    report.add_argument("--title", help="instead of the model's formula")
    report.set_defaults(run=_report)
    run = commands.add_parser(
        "run",
        help="do what a job file says: data, imputation, model, tables",
        description="Exit codes: 0 done, 1 the job is wrong, 2 the computation failed.",
    )
    run.add_argument("job", type=Path, metavar="JOB.toml")
    run.add_argument(
        "--out", type=Path, metavar="DIR", help="the folder to write, instead of output.folder"
    )
    run.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="the folder that data.path is in, instead of the job file's",
    )
    run.add_argument(
        "--n-jobs",
        type=int,
        metavar="N",
        help="processes for the fits (-1: one for each core); no byte of the results depends on it",
    )
    run.add_argument("--check", action="store_true", help="check the job and its data, and stop")
    run.set_defaults(run=_run)
    parity = commands.add_parser(
        "parity", help="compare every number with a separate Rscript, on this R, bit by bit"
    )
    parity.add_argument("--json", action="store_true", help="print the result as JSON")
    parity.add_argument(
        "--case", metavar="NAME", help="only these cases; * stands for anything, as in 'levels/*'"
    )
    parity.set_defaults(run=_parity)
    doctor = commands.add_parser("doctor", help="what is installed, what is missing, what mends it")
    doctor.set_defaults(run=_doctor)
    return parser


def _several(text: str) -> int:
    """Read a number of imputations from the command line."""
    from .base.checks import Wrong, whole

    try:
        count: int = whole(2)(int(text) if text.isdecimal() else text)
    except Wrong as wrong:
        raise argparse.ArgumentTypeError(wrong.told(str)) from None
    return count


def _parity(arguments: argparse.Namespace) -> int:
    import json

    from tqdm import tqdm

    from .parity import CASES, find_cases, run_suite

    cases = CASES if arguments.case is None else find_cases(arguments.case)
    if not cases:
        families = sorted({x.name.split("/")[0] for x in CASES})
        print(
            f"rbridge-mi: no case is named {arguments.case!r}; there are "
            f"{', '.join(f'{x}/*' for x in families)}",
            file=sys.stderr,
        )
        return 1

    def say(line: str) -> None:
        if not arguments.json:
            tqdm.write(line, file=sys.stdout)  # above the progress bar of a terminal

    outcome = run_suite(cases, say)
    if arguments.json:
        print(json.dumps(outcome.as_json(), indent=1))
    return 0 if outcome.equal else 1


def _doctor(_: argparse.Namespace) -> int:
    from .doctor import diagnose

    diagnosis = diagnose()
    print(diagnosis.report())
    return 0 if diagnosis.ok else 1


def _report(arguments: argparse.Namespace) -> int:
    import rbridge_mi as rb

    def load(path: Path) -> Any:
        return rb.load(path, allow_r_object=arguments.trust)

    results = load(arguments.results)
    listwise = None if arguments.listwise is None else load(arguments.listwise)
    try:
        path = rb.report(results, arguments.out, listwise=listwise, title=arguments.title)
    except OSError as error:
        print(f"rbridge-mi: {error}", file=sys.stderr)
        return 1
    print(f"Wrote {path}")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from .jobs import JobError, check_job, run_job

    def say(line: str) -> None:
        tqdm.write(line, file=sys.stderr)  # above the progress bars of a terminal

    places = {"out": arguments.out, "data_root": arguments.data_root}
    try:
        with _terminated_cleanly():
            if arguments.check:
                checked = check_job(arguments.job, **places)
                print(f"{checked.name}: no mistakes; it would write {checked.folder}")
                return 0
            done = run_job(arguments.job, **places, n_jobs=arguments.n_jobs, say=say)
    except JobError as error:
        print(f"rbridge-mi: {error}", file=sys.stderr)
        return 1
    except (RBridgeError, OSError, MemoryError) as error:
        print(f"rbridge-mi: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2
    except Exception:  # a mistake of this library's, not of the job
        traceback.print_exc()
        return 2
    print(f"Wrote {len(done.files)} files to {done.folder}: {', '.join(done.files)}")
    return 0


@contextmanager
def _terminated_cleanly() -> Iterator[None]:
    """Let SIGTERM (a container that is stopped) end the run as Ctrl-C does, nothing left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _demo(arguments: argparse.Namespace) -> int:
    from .demo import demo

    demo(arguments.m, arguments.seed, arguments.out, compatible=not arguments.vignette)
    return 0
