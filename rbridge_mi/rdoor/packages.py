"""R's packages: whether they are there, and loading them ahead of time."""

from __future__ import annotations

import contextlib
import threading

from ..errors import RPackageError
from .calls import call
from .console import without_events
from .session import session

__all__ = ["has_package", "interface_mode", "prepare", "require_package"]

_loaded: set[str] = set()


def has_package(name: str) -> bool:
    """Tell whether R can load the package; one that was loaded is not asked for again."""
    if name not in _loaded and call("has_package", name).value[0]:
        _loaded.add(name)
    return name in _loaded


def require_package(name: str, what: str) -> None:
    """Refuse, with the remedy, where R lacks a package that `what` needs."""
    if not has_package(name):
        folders = ", ".join(call("base::.libPaths").value)
        raise RPackageError(
            f"{what} needs the R package {name}, which this R does not have. Install it: on "
            f"Debian `apt-get install r-cran-{name.lower()}`, elsewhere in R "
            f'install.packages("{name}"). R looks for packages in {folders}; name further folders '
            "in the environment variable R_LIBS. `rbridge-mi doctor` lists what is missing."
        )


def prepare(*packages: str) -> None:
    """Start R, and have it load packages while the caller goes on.

    R's start is Python's work in good part, and would only wait for the caller's; loading is R's.
    Errors of loading are left to the first call, which meets them again.
    """
    r = session()

    def load() -> None:
        with without_events():  # each event would wait for Python's lock, which imports hold
            for name in packages:
                r.function("has_package")(name)

    def wait() -> None:
        with contextlib.suppress(Exception):
            r.run(load)

    threading.Thread(target=wait, name="load R packages", daemon=True).start()


def interface_mode() -> str:
    """Tell how rpy2 is bound to R: "API" (compiled) or "ABI"."""

    def mode() -> str:
        from rpy2.rinterface_lib import openrlib

        return str(openrlib.cffi_mode.name)

    return session().run(mode)
