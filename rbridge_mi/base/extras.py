"""Python packages that only some functions need, loaded when one of these is first used."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from ..errors import MissingExtraError

__all__ = ["needed_module"]


def needed_module(name: str, extra: str, what: str) -> ModuleType:
    """Import a module of an extra.

    Parameters
    ----------
    name : str
        The module, such as "matplotlib.figure".
    extra : str
        The extra of this library that has its package.
    what : str
        What needs it, for the message.

    Returns
    -------
    module
        The module.

    Raises
    ------
    MissingExtraError
        The package isn't installed, or can't be imported.

    Examples
    --------
    >>> needed_module("json", "report", "a report").__name__
    'json'
    """
    try:
        return import_module(name)
    except ImportError as error:
        package = name.split(".")[0]
        raise MissingExtraError(
            f"{what} needs the package {package}, which can't be imported ({error}): "
            f'pip install "rbridge_mi[{extra}]".'
        ) from error
