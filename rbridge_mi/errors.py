"""What can go wrong, one class per stage; each message says what, where, and the remedy.

``RBridgeError`` is the root of everything this library raises on purpose. Arguments of the wrong
type or value raise ``ArgumentError``, which is a ``ValueError`` too; R's text is in
``r_message`` and, where known, ``r_call``.
"""

from __future__ import annotations

__all__ = [
    "ArgumentError",
    "EncodingError",
    "FitError",
    "FormulaError",
    "ImputationError",
    "MapError",
    "MissingExtraError",
    "MissingPathError",
    "NoValueError",
    "PoolingError",
    "PredictionError",
    "RBridgeError",
    "RBridgeWarning",
    "RCallError",
    "RForkError",
    "RNotFoundError",
    "RPackageError",
    "RTimeout",
    "RWarning",
    "RWorkerLost",
]


class RBridgeError(Exception):
    """Root of this library's exceptions."""


class ArgumentError(RBridgeError, ValueError):
    """An argument that can't be right: the message names it and lists what is valid."""


class MissingPathError(RBridgeError, FileNotFoundError):
    """A file, or the folder that one is to be written to, isn't there."""


class MissingExtraError(RBridgeError, ImportError):
    """A Python package that the call needs isn't installed: the message names the extra."""


class RNotFoundError(RBridgeError):
    """R, or the rpy2 that binds it, is absent, too old, or can't be loaded."""


class RPackageError(RBridgeError):
    """An R package that the call needs isn't installed."""


class RForkError(RBridgeError):
    """R was asked for in a forked child of a process that had started R."""


class EncodingError(RBridgeError, ValueError):
    """A value or column that can't be carried between Python and R exactly."""


class RCallError(RBridgeError):
    """R stopped with an error.

    Attributes
    ----------
    r_message : str
        R's text, complete.
    r_call : str
        The R call in which it arose, as R shows it; empty where R gives none.
    output : str
        What R had printed until then.

    See Also
    --------
    RWarning : What R warned of.
    """

    def __init__(
        self, message: str, *, r_message: str = "", r_call: str = "", output: str = ""
    ) -> None:
        super().__init__(message)
        self.r_message = r_message
        self.r_call = r_call
        self.output = output

    def __reduce__(self) -> tuple[object, ...]:
        # The keyword arguments would be lost on the way back from a worker process.
        return (_rebuild, (type(self), self.args[0], self.__dict__))


class FormulaError(RCallError, ValueError):
    """A formula that R can't parse, or that names something it may not."""


class ImputationError(RCallError):
    """The imputation stopped, or gave data sets that still have holes."""


class FitError(RCallError):
    """A model could not be fitted; `imputation` (1-based) tells to which data set.

    Under ``errors="raise"`` the fits that did succeed are in `fits`.

    See Also
    --------
    RWorkerLost : The process of a fit died.
    RTimeout : A fit took too long.
    """

    imputation: int | None = None
    fits: object = None


class MapError(RBridgeError):
    """A function of the user's stopped at one of the data sets.

    The function's exception is the cause (``error.__cause__``).

    Attributes
    ----------
    imputation : int
        The data set, from 1.
    traceback : str
        Python's report of the exception, with the lines of the function; that of a worker process
        has no other trace here.

    See Also
    --------
    FitError : A model of this library could not be fitted.
    """

    def __init__(self, message: str, imputation: int = 0, traceback: str = "") -> None:
        super().__init__(message)
        self.imputation = imputation
        self.traceback = traceback

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.args[0], self.imputation, self.traceback))


class RWorkerLost(RBridgeError):  # noqa: N818 - says what happened
    """A process that ran R died: killed, crashed, or out of memory.

    Attributes
    ----------
    what : str
        What was running, such as "lmer, imputation 3".
    r_call : str
        The call as R code.
    seed : int or None
        What ``set.seed`` was given.
    cause : str
        How the process ended.
    imputation : int or None
        The data set, from 1, whose fit or imputation was lost.
    fits : object
        As in `FitError`, the fits that did succeed.

    See Also
    --------
    RTimeout : The process was stopped since it took too long.
    """

    imputation: int | None = None
    fits: object = None

    def __init__(
        self,
        message: str,
        *,
        what: str = "",
        r_call: str = "",
        seed: int | None = None,
        cause: str = "",
    ) -> None:
        super().__init__(message)
        self.what = what
        self.r_call = r_call
        self.seed = seed
        self.cause = cause

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.args[0], self.__dict__))


class RTimeout(RWorkerLost, TimeoutError):  # noqa: N818 - as subprocess's TimeoutExpired
    """A fit or an imputation took longer than its `timeout`, and was stopped."""


class PredictionError(RCallError, ValueError):
    """New data, or a question about them, that a fit has no answer for."""


class NoValueError(RBridgeError, AttributeError):
    """A name of other libraries' results that has no value here, such as a pooled likelihood.

    It is an `AttributeError` too, so that ``hasattr(result, name)`` is False.
    """


class PoolingError(RBridgeError):
    """Fits that can't be pooled by name: their coefficients or parameters differ."""


class RBridgeWarning(UserWarning):
    """Root of this library's warnings."""


class RWarning(RBridgeWarning):
    """A warning or message that R gave, with R's text.

    See Also
    --------
    RCallError : What R stopped with.
    """


def _rebuild(
    cls: type[RCallError | RWorkerLost], message: str, state: dict[str, object]
) -> RBridgeError:
    error = cls(message)
    error.__dict__.update(state)
    return error
