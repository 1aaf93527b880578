"""The one door to R: nothing outside this sub-package imports rpy2.

R starts at the first call and lives on a thread of its own, so that any thread may call it, one
at a time, and Ctrl-C reaches the thread that waits. Frames and vectors are carried as R's own
memory blocks, conditions come back as data.

``startup``   what R is started with: its home, its startup files, its locale
``session``   starts R, owns its thread, interrupts it, refuses forks
``encode``    Python values to R objects
``decode``    R objects to Python values
``calls``     calls a function of ``r/*.R`` or of a package, and holds R objects for later
"""

from .calls import (
    AsHere,
    Pending,
    Reply,
    RObject,
    begin_call_object,
    begin_each,
    call,
    call_object,
    has_package,
    interface_mode,
    plain_locale,
    prepare,
    require_package,
)
from .startup import startup_files

__all__ = [
    "AsHere",
    "Pending",
    "RObject",
    "Reply",
    "begin_call_object",
    "begin_each",
    "call",
    "call_object",
    "has_package",
    "interface_mode",
    "plain_locale",
    "prepare",
    "require_package",
    "startup_files",
]
