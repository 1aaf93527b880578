"""The one door to R: nothing outside this sub-package imports rpy2.

R starts at the first call and runs on a dedicated thread, so that any thread may call it, one
at a time, and Ctrl-C reaches the thread that waits. Frames and vectors are carried as R's own
memory blocks, conditions come back as data.

``startup``       what R is started with: its home, its startup files, its locale
``session``       starts R, owns its thread, interrupts it, refuses forks
``encode``        Python values to R objects
``decode``        R objects to Python values
``console``       what R prints, and R's event loop, for the length of a turn
``turns``         one call, or several in one go: arguments in, value and conditions back
``objects``       R objects that Python holds for later
``calls``         calls of the functions of ``r/`` and of packages
``packages``      which packages R has
``names``         which text and names R can hold
``kin``           R objects that are alike, pickled small
``locale``        in which locale a call has R sort text
``lme4_library``  where the system loads lme4's compiled code
"""

from .calls import begin_call_object, begin_each, call, call_object
from .kin import Kin
from .locale import AsHere, plain_locale
from .names import check_frame_names, names_for_r
from .objects import RObject
from .packages import has_package, interface_mode, prepare, require_package
from .startup import startup_files
from .turns import Pending, Reply

__all__ = [
    "AsHere",
    "Kin",
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
    "plain_locale",
    "prepare",
    "require_package",
    "startup_files",
]
