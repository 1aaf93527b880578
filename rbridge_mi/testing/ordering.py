"""The one thing in which two processes of the same R may differ, and how to have it the same.

lme4 factors a sparse matrix whose rows CHOLMOD puts into a fill-reducing order first. On some
installations lme4 and Matrix were compiled with different layouts of CHOLMOD's settings: Debian
12's lme4 1.1-31 takes RcppEigen 0.3.3.9.3's, which has a field that Matrix 1.5-3's lacks. lme4
then writes the address of its error handler where Matrix reads the number of orderings to try.
A positive number means "try all nine", a negative one "the default", and which it is depends on bit
31 of the address at which the system loaded lme4's library: a coin tossed anew for each process.

For models with crossed factors the order, hence the rounding, hence the optimizer's path may
differ, so that two Rscripts that fit ``diameter ~ 1 + (1 | plate) + (1 | sample)`` to the same data
agree to ten digits and no more (measured: 5 of 10 processes gave each answer; all the same with
address randomization switched off). Parity can only be told among processes whose coin fell alike.
Processes of this library don't toss it (``rbridge_mi.rdoor.lme4_library``); a plain Rscript does.
So a reference process is started until its *order* (not its estimates) is this process's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..errors import RBridgeError
from ..models import Lmer
from ..rdoor import call
from ..rdoor import session as embedded
from .rscript import Rscript

__all__ = ["fill_reducing", "known_order", "steady_rscript"]

_TRIES = 60  # of a fair coin: all wrong once in 10^18


@cache
def fill_reducing() -> tuple[int, ...]:
    """The method and order that lme4 takes for a crossed design, in this process's R."""
    frame = call("base::getExportedValue", "lme4", "Penicillin").value
    fit = Lmer("diameter ~ 1 + (1 | plate) + (1 | sample)").fit(frame)
    factor = fit.r.call("lme4::getME", "L").value
    method = factor.call("methods::slot", "type").value[0]
    return (int(method), *(int(x) for x in factor.call("methods::slot", "perm").value))


def known_order() -> tuple[int, ...] | None:
    """`fill_reducing` where this process has its R running and lme4 loaded; else None."""
    if embedded._session is None or "lme4" not in call("base::loadedNamespaces").value:
        return None
    return fill_reducing()


def steady_rscript(timeout: float = 600.0) -> Rscript:
    """An Rscript in which lme4 takes the random effects in the same order as in this process.

    Raises
    ------
    RBridgeError
        Where none of sixty did: that R is not the one that is embedded here.
    """
    mine = fill_reducing()
    bit = _address_bit()
    for i in range(_TRIES):
        r = Rscript(timeout)
        # Most of the wrong ones are told before they have spent a second on loading lme4.
        unlikely = i < _TRIES // 2 and bit is not None and r.ask("address_bit")[0] != bit
        if not unlikely and tuple(int(x) for x in r.ask("fill_reducing")) == mine:
            return r
        r.close()
    raise RBridgeError(
        f"no Rscript of {_TRIES} orders the random effects of a crossed design as the R in this "
        "process does: are they the same R, lme4 and Matrix? `rbridge-mi doctor` shows this one's."
    )


def _address_bit() -> bool | None:
    """Bit 31 of the address of lme4's library in this process, where the system tells it."""
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return None
    lines = [x for x in maps.read_text().splitlines() if x.endswith("/lme4.so")]
    return bool(int(lines[0].split("-")[0], 16) & 1 << 31) if lines else None
