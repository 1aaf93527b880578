"""The one thing in which two processes of the same R may differ, and how to make it the same.

Before lme4 factors a sparse matrix, CHOLMOD puts its rows into a fill-reducing order. On some
installations lme4 and Matrix were compiled with different layouts of CHOLMOD's settings: Debian
12's lme4 1.1-31 uses that of RcppEigen 0.3.3.9.3, which has a field that Matrix 1.5-3's lacks. lme4
then writes the address of its error handler where Matrix reads the number of orderings to try.
A positive number means "try all nine", a negative one "the default", and its sign is bit 31 of the
address at which the system loaded lme4's library: each process draws it anew, like a coin.

For models with crossed factors the order changes the rounding, and with it the optimizer's path.
Two Rscripts that fit ``diameter ~ 1 + (1 | plate) + (1 | sample)`` to the same data therefore agree
to ten digits only (measured: 5 of 10 processes gave each answer; all gave the same with address
randomization switched off). Bits can be compared only among processes that drew the same order.
The R that this library embeds loads lme4 where the bit is fixed; a plain Rscript does not. So
reference processes are started until one has this process's *order* (the estimates are not looked
at).
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..errors import RBridgeError
from ..models.lmer import Lmer
from ..rdoor import call
from ..rdoor.session import is_running
from .rscript import Rscript

__all__ = ["fill_reducing", "known_order", "steady_rscript"]

_TRIES = 60  # of a fair coin: the probability that all are wrong is 1 in 10^18


@cache
def fill_reducing() -> tuple[int, ...]:
    """Ask this process's R which method and order lme4 takes for a crossed design.

    Returns
    -------
    tuple of int
        CHOLMOD's method, then the permutation of the random effects.

    See Also
    --------
    known_order : The same, without starting R for it.
    """
    frame = call("base::getExportedValue", "lme4", "Penicillin").value
    fit = Lmer("diameter ~ 1 + (1 | plate) + (1 | sample)").fit(frame)
    factor = fit.r.call("lme4::getME", "L").value
    method = factor.call("methods::slot", "type").value[0]
    return (int(method), *(int(x) for x in factor.call("methods::slot", "perm").value))


def known_order() -> tuple[int, ...] | None:
    """Return `fill_reducing` if this process has started R and loaded lme4, and None otherwise."""
    if not is_running() or "lme4" not in call("base::loadedNamespaces").value:
        return None
    return fill_reducing()


def steady_rscript(timeout: float = 600.0) -> Rscript:
    """Start an Rscript in which lme4 orders the random effects as in this process.

    Parameters
    ----------
    timeout : float
        Seconds that one of its jobs may take.

    Returns
    -------
    Rscript
        A running process; use it as a context manager, or close it.

    Raises
    ------
    RBridgeError
        If none of sixty processes has that order: their R is not the one that is embedded here.

    See Also
    --------
    rbridge_mi.testing.rscript.Rscript : A process with either order.
    """
    mine = fill_reducing()
    bit = _address_bit()
    for i in range(_TRIES):
        r = Rscript(timeout)
        # Most processes with another order are recognised before they spend a second on loading
        # lme4. The bit is a guess, so the second half of the tries does without it.
        unlikely = i < _TRIES // 2 and bit is not None and r.ask("address_bit")[0] != bit
        if not unlikely and tuple(int(x) for x in r.ask("fill_reducing")) == mine:
            return r
        r.close()
    raise RBridgeError(
        f"no Rscript of {_TRIES} orders the random effects of a crossed design as the R in this "
        "process does: are they the same R, lme4 and Matrix? `rbridge-mi doctor` shows this one's."
    )


def _address_bit() -> bool | None:
    """Return bit 31 of the address of lme4's library in this process; None where it is unknown."""
    maps = Path("/proc/self/maps")
    if not maps.is_file():
        return None
    lines = [x for x in maps.read_text().splitlines() if x.endswith("/lme4.so")]
    return bool(int(lines[0].split("-")[0], 16) & 1 << 31) if lines else None
