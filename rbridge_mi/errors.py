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
    """An argument that can't be right: the message names it and lists what is valid.

    Remedy: write one of the values that the message lists; where it asks "Did you mean", take that.
    """


class MissingPathError(RBridgeError, FileNotFoundError):
    """A file, or the folder that one is to be written to, isn't there.

    Remedy: correct the path, or make the folder: none is made unasked.
    """


class MissingExtraError(RBridgeError, ImportError):
    """A Python package that the call needs isn't installed: the message names the extra.

    Remedy: run the ``pip install`` command of the message.
    """


class RNotFoundError(RBridgeError):
    """R, or the rpy2 that binds it, is absent, too old, or can't be loaded.

    Remedy: ``rbridge-mi doctor`` lists what is missing, and the command that installs it.
    """


class RPackageError(RBridgeError):
    """An R package that the call needs isn't installed.

    Remedy: ``rbridge-mi doctor`` lists what is missing, and the command that installs it.
    """


class RForkError(RBridgeError):
    """R was asked for in a forked child of a process that had started R.

    Remedy: start processes by "spawn" or "forkserver", or leave them to ``n_jobs=``.
    """


class EncodingError(RBridgeError, ValueError):
    """A value or column that can't be carried between Python and R exactly.

    Remedy: convert the column that the message names to the type that it proposes.
    """


class RCallError(RBridgeError):
    """R stopped with an error.

    Remedy: read R's text in the message; it is that of the R function in `r_call`, whose help page
    says what the function asks of its arguments.

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
    """A formula that R can't parse, or that names something it may not.

    Remedy: correct the name or the place that the message shows. A function that is not on the
    list of those that formulas may call is permitted by ``allow=``, in code that you trust.
    """


class ImputationError(RCallError):
    """The imputation stopped, or gave data sets that still have holes.

    Remedy: `imputation_plan` shows which column is imputed from what. Leave out columns that
    determine one another, or say what they are (``noms``, ``idvars``, ``types``).
    """


class FitError(RCallError):
    """A model could not be fitted; `imputation` (1-based) tells to which data set.

    Under ``errors="raise"`` the fits that did succeed are in `fits`.

    Remedy: fit the model to that data set alone, ``model.fit(imp[error.imputation - 1])``, and read
    R's text; a model that is too large for the data is simplified in its random part first.
    ``errors="keep"`` returns the other fits.

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

    Remedy: call the function on that data set alone, ``f(imp[error.imputation - 1])``, and correct
    it there.

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

    Remedy: `cause` says how it ended. Where memory ran out, use fewer processes (``n_jobs``) or
    fewer data sets at once; where R crashed, the call in `r_call` crashes in plain R too.

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
    """A fit or an imputation took longer than its `timeout`, and was stopped.

    Remedy: give it more time, or a simpler model.
    """


class PredictionError(RCallError, ValueError):
    """New data, or a question about them, that a fit has no answer for.

    Remedy: the message names the column or the level. ``allow_new_levels=True`` predicts groups
    that the fit does not know, ``re_form="~0"`` leaves all groups out.
    """


class NoValueError(RBridgeError, AttributeError):
    """A name of other libraries' results that has no value here, such as a pooled likelihood.

    It is an `AttributeError` too, so that ``hasattr(result, name)`` is False.

    Remedy: the message says what to ask for instead.
    """


class PoolingError(RBridgeError):
    """Fits that can't be pooled by name: their coefficients or parameters differ.

    Remedy: fit one model to all data sets. Where a rare level is absent from some of them, make the
    column a categorical with the same categories everywhere, or merge the level into another.
    """


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
