"""Accessors of results whose code stands above them in the house, and is loaded at first use.

A result such as `ImputedData` imports nothing of `plots`, which imports it: the hook knows the
folder's name only, and asks that folder for the accessor when a user does.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["Hook"]


class Hook:
    """A class attribute that gives ``accessor(instance)`` of another folder.

    Parameters
    ----------
    folder : str
        Name of the folder of this package whose `accessor` is called with the instance.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        package = __name__.split(".")[0]
        return import_module(f"{package}.{self.folder}").accessor(instance)
