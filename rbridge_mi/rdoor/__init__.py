"""The one door to R: nothing outside this sub-package imports rpy2.

R starts at the first call and lives on a thread of its own, so that any thread may call it, one
at a time, and Ctrl-C reaches the thread that waits. Frames and vectors are carried as R's own
memory blocks, conditions come back as data.

``session``   starts R, owns its thread, interrupts it, refuses forks
``encode``    Python values to R objects
``decode``    R objects to Python values
``calls``     calls a function of ``r/*.R`` or of a package, and holds R objects for later
"""

from .calls import (
    Pending,
    Reply,
    RObject,
    begin_call_object,
    begin_each,
    call,
    call_object,
    has_package,
    interface_mode,
    prepare,
    require_package,
)
from .encode import check_frame_names, names_for_r

__all__ = [
    "Pending",
    "RObject",
    "Reply",
    "begin_call_object",
    "begin_each",
    "call",
    "call_object",
    "check_frame_names",
    "has_package",
    "interface_mode",
    "names_for_r",
    "prepare",
    "require_package",
]
