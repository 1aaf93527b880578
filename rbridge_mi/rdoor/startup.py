"""What R is started with: its home, its locale, and which of its startup files it reads.

One rule holds for the R in this process, for those of worker and isolated processes, and for the
Rscripts that parity and tests compare with. R reads the files of its installation
(``R_HOME/etc``: Renviron, Renviron.site, Rprofile.site) and no other: no ``.Rprofile`` and no
``.Renviron``, of the working directory or of the user, no file that ``R_PROFILE``, ``R_ENVIRON``,
``R_PROFILE_USER`` or ``R_ENVIRON_USER`` names, and no ``.RData``. With ``RBRIDGE_R_STARTUP=user``
in the environment R reads what a plain Rscript reads, which still is no ``.RData``.

``R_LIBS``, ``R_LIBS_USER`` and ``R_LIBS_SITE`` name folders of packages and are kept, as by
``Rscript --vanilla``. ``R_DEFAULT_PACKAGES`` is always ignored: an R without stats is half an R.

Text reaches R as UTF-8, so that R's LC_CTYPE is always a UTF-8 one. Other categories are those of
the environment; one that this system does not have becomes "C".
"""

from __future__ import annotations

import ctypes
import locale
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from ..errors import ArgumentError, RNotFoundError

__all__ = [
    "DEFAULT_PACKAGES",
    "STARTUP",
    "find_home",
    "reads_users_files",
    "start_environment",
    "startup_files",
    "utf8_locale",
    "version_of",
]

STARTUP = "RBRIDGE_R_STARTUP"
DEFAULT_PACKAGES = ("methods", "datasets", "utils", "grDevices", "graphics", "stats")

# R reads the user's files unless the variable is there and empty; the site's, if it isn't there.
_USER_FILES = ("R_ENVIRON_USER", "R_PROFILE_USER")
_SITE_FILES = ("R_ENVIRON", "R_PROFILE")
# The tests of R itself use R_TESTS: a script that the base package's profile runs.
_NEVER = ("R_DEFAULT_PACKAGES", "R_SCRIPT_DEFAULT_PACKAGES", "R_TESTS")

_CATEGORIES = (
    "LC_CTYPE", "LC_COLLATE", "LC_TIME", "LC_MONETARY", "LC_MESSAGES", "LC_PAPER", "LC_MEASUREMENT",
)  # fmt: skip
_UTF8_LOCALES = ("C.UTF-8", "C.utf8", "en_US.UTF-8", "en_GB.UTF-8", "UTF-8")

_INSTALL_R = (
    "Install R 4.2 or newer with lme4 and Amelia (in a checkout: `make r`; on Debian: "
    "`apt-get install r-base-core r-base-dev r-cran-lme4 r-cran-amelia`)"
)


def find_home(environment: Mapping[str, str]) -> str:
    """R's home, an absolute path: the one that R_HOME names, else that of the R on PATH.

    R itself ends the process if it is started with a wrong one, so that it is looked at first. An
    empty R_HOME is as good as none.

    Raises
    ------
    RNotFoundError
        There is no R, or R_HOME names a folder that isn't an R's home.
    """
    given = environment.get("R_HOME")
    if given:
        home = Path(given).absolute()
        lacks = [x for x in _parts_of_home() if not (home / x).is_file()]
        if lacks:
            what = f"has no {lacks[0]}" if home.is_dir() else "is no folder"
            raise RNotFoundError(
                f"R_HOME is {given!r}, which is not the home of an R: it {what}. Unset R_HOME, so "
                "that the R on PATH is taken, or set it to what `R RHOME` prints."
            )
        return str(home)
    command = shutil.which("R", path=environment.get("PATH"))
    if command is None:
        raise RNotFoundError(
            f"R was not found: there is no 'R' on PATH and R_HOME is not set. {_INSTALL_R}, then "
            "reinstall rpy2-rinterface, which is built against the R that it finds."
        )
    try:
        done = subprocess.run(
            [command, "RHOME"],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        printed = done.stdout.strip() or done.stderr.strip()
    except (OSError, subprocess.SubprocessError) as error:
        printed = str(error)
    home = Path(printed.splitlines()[-1] if printed else "")
    lacks = [x for x in _parts_of_home() if not (home / x).is_file()]
    if lacks:
        raise RNotFoundError(
            f"{command} is no R that works: `{command} RHOME` says {printed[:500]!r}, and there is "
            f"no {lacks[0]} in that folder. {_INSTALL_R}."
        )
    return str(home)


def _parts_of_home() -> Iterator[str]:
    """Files without which R ends the process at its start, or starts as half an R."""
    yield "etc/Renviron"
    yield "library/base/R/base"
    for name in DEFAULT_PACKAGES:
        yield f"library/{name}/DESCRIPTION"


def version_of(home: Path) -> str | None:
    """Return the version of the R in this home, such as "4.2.2"; None if no file states it."""
    try:
        text = (home / "library" / "base" / "DESCRIPTION").read_text("utf-8", "replace")
    except OSError:
        return None
    version = re.search(r"^Version: *(\S+)", text, re.MULTILINE)
    return version.group(1) if version else None


def reads_users_files(environment: Mapping[str, str]) -> bool:
    """Whether the user's startup files are read; see this module's rule.

    Raises
    ------
    ArgumentError
        The variable holds something else than "user".
    """
    chosen = environment.get(STARTUP, "")
    if chosen not in ("", "user"):
        raise ArgumentError(
            f"the environment variable {STARTUP} is {chosen!r}: set it to 'user', so that R reads "
            "the startup files that a plain Rscript reads (.Rprofile, .Renviron), or unset it, so "
            "that R reads those of its installation alone."
        )
    return chosen == "user"


def startup_files() -> str:
    """Describe whose startup files an R that is started now reads."""
    if reads_users_files(os.environ):
        return f"the installation's and the user's ({STARTUP}=user)"
    return "the installation's alone"


def start_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which this module's rule starts an R or an Rscript.

    Raises
    ------
    RNotFoundError
        This system has no UTF-8 locale.
    """
    variables = {name: x for name, x in environment.items() if name not in _NEVER}
    if not reads_users_files(environment):
        for name in _SITE_FILES:
            variables.pop(name, None)
        variables |= dict.fromkeys(_USER_FILES, "")
    return _with_locale(variables)


# -- the locale ------------------------------------------------------------------------------


def _with_locale(environment: dict[str, str]) -> dict[str, str]:
    """Change the environment only if R would have no UTF-8 LC_CTYPE, or lacks a locale."""
    everything = environment.get("LC_ALL")
    rest = environment.get("LANG") or "C"
    asked = {x: everything or environment.get(x) or rest for x in _CATEGORIES}
    wanted = {x: name if codeset(name) is not None else "C" for x, name in asked.items()}
    wanted["LC_CTYPE"] = utf8_locale(asked["LC_CTYPE"])
    if wanted == asked:
        return environment
    return {name: x for name, x in environment.items() if name != "LC_ALL"} | wanted


def utf8_locale(asked: str) -> str:
    """Return the locale `asked` for if this system has it in UTF-8, else the nearest it has.

    Raises
    ------
    RNotFoundError
        This system has none.
    """
    language = asked.partition(".")[0].partition("@")[0]
    same = [f"{language}.UTF-8"] if language not in ("C", "POSIX") else []
    for name in (asked, *same, *_UTF8_LOCALES):
        if codeset(name) == "UTF-8":
            return name
    raise RNotFoundError(
        "this system has no UTF-8 locale, which R needs to read names and levels that are not "
        "ASCII. Install one, such as C.UTF-8 or en_US.UTF-8 (on Debian: `apt-get install "
        "locales-all`)."
    )


@lru_cache(maxsize=64)
def codeset(name: str) -> str | None:
    """Return the codeset of a locale's LC_CTYPE, such as "UTF-8"; None if there is no such locale.

    The C library is asked, and this process's locale stays as it is.
    """
    c = ctypes.CDLL(None)
    c.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
    c.newlocale.restype = ctypes.c_void_p
    c.nl_langinfo_l.argtypes = [ctypes.c_int, ctypes.c_void_p]
    c.nl_langinfo_l.restype = ctypes.c_char_p
    c.freelocale.argtypes = [ctypes.c_void_p]
    first = 1 if sys.platform == "darwin" else 0  # there LC_ALL is category 0, and has no bit
    handle = c.newlocale(1 << (locale.LC_CTYPE - first), os.fsencode(name), None)
    if not handle:
        return None
    try:
        return str(c.nl_langinfo_l(locale.CODESET, handle).decode("ascii"))
    finally:
        c.freelocale(handle)
